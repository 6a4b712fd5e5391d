/* app/watch.c and app/capture.c on a path without a kernel: who watches what, and what a capture shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/capture.h"
#include "podglass/sim.h"
#include "podglass/watch.h"

#include <string.h>

static const char manifest[] =
    "apiVersion: v1\nkind: Service\nmetadata: {name: gateway, namespace: edge}\n"
    "spec: {type: LoadBalancer, clusterIP: 10.96.5.5, selector: {app: gateway}, "
    "ports: [{port: 80}]}\n"
    "status: {loadBalancer: {ingress: [{ip: 203.0.113.10}]}}\n---\n"
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gateway, namespace: edge}\n"
    "spec: {selector: {matchLabels: {app: gateway}}, "
    "template: {metadata: {labels: {app: gateway}}}}\n---\n"
    "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
    "spec: {clusterIP: 10.96.12.40, selector: {app: web}, "
    "ports: [{port: 80, targetPort: 8080}]}\n---\n"
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n"
    "spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}\n"
    "---\n"
    "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop, namespace: shop}\n"
    "spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}\n---\n"
    "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: {name: lab}\n"
    "spec: {ingress: {service: edge/gateway}}\n";

static struct pg_snapshot *snapshot;
static struct pg_sim sim;
static struct pg_watchers watchers;

static int set_up(void **state)
{
    struct pg_manifest_input input = {
        .path = "test.yaml", .text = manifest, .text_len = sizeof manifest - 1};
    struct pg_load_options load = {.pods = PG_PODS_ECHO};
    struct pg_path_options options = {.trace_records = 1024};
    struct pg_findings findings;
    (void)state;
    assert_int_equal(pg_snapshot_load(&input, 1, &load, &snapshot, &findings), 0);
    pg_findings_free(&findings);
    assert_int_equal(pg_sim_open(&options, snapshot, 1, &sim), 0);
    pg_watchers_init(&watchers, sim.path);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pg_watchers_end(&watchers);
    pg_sim_close(&sim);
    pg_snapshot_put(snapshot);
    pg_reason_forget_all();
    return 0;
}

/* A request of 198.51.100.`last`. Returns how many records it left. */
static uint64_t ask(uint8_t last)
{
    static const char bytes[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    struct pg_response response;
    struct pg_request r = {.from = pg_addr_v4(198, 51, 100, last),
                           .to = pg_addr_v4(203, 0, 113, 10),
                           .to_port = 80,
                           .bytes = bytes,
                           .len = sizeof bytes - 1};
    uint64_t before = pg_trace_next_seq(pg_path_trace(sim.path));
    assert_int_equal(pg_sim_request(&sim, &r, &response), 0);
    assert_int_equal(response.error, 0);
    assert_int_equal(response.status, 200);
    pg_response_free(&response);
    return pg_trace_next_seq(pg_path_trace(sim.path)) - before;
}

static void nothing_is_recorded_unless_somebody_watches(void **state)
{
    struct pg_watch w = {0};
    (void)state;
    assert_int_equal(ask(1), 0);
    pg_watch_begin(&watchers, &w);
    assert_true(ask(1) > 15);
    pg_watch_end(&watchers, &w);
    assert_int_equal(ask(1), 0);
    pg_watch_end(&watchers, &w); /* a second time does no harm */
}

static void only_who_is_wanted_is_recorded(void **state)
{
    struct pg_watch one = {.want = {.has_from = true, .from = pg_addr_v4(198, 51, 100, 1)}};
    struct pg_watch two = {.want = {.has_from = true, .from = pg_addr_v4(198, 51, 100, 2)}};
    struct pg_watch all = {0};
    (void)state;
    pg_watch_begin(&watchers, &one);
    assert_true(ask(1) > 15);
    assert_int_equal(ask(2), 0);
    pg_watch_begin(&watchers, &two);
    assert_true(ask(2) > 15);
    assert_int_equal(ask(3), 0);
    pg_watch_begin(&watchers, &all);
    assert_true(ask(3) > 15);
    pg_watch_end(&watchers, &all);
    assert_int_equal(ask(3), 0);
    pg_watch_end(&watchers, &one);
    assert_int_equal(ask(1), 0);
    assert_true(ask(2) > 15);
    pg_watch_end(&watchers, &two);
}

/* Reads what was recorded since *seq and puts it together as a reader does; counts exchanges of HTTP. */
struct told {
    uint32_t exchanges;
    struct pg_exchange_view last;
};

static void on_exchange(void *arg, const struct pg_exchange *x)
{
    struct told *t = arg;
    if (x->is_http && x->complete) {
        pg_exchange_look(x, &t->last);
        t->exchanges++;
    }
}

static struct told read_since(uint64_t seq)
{
    struct told t = {0};
    struct pg_exchanges *e = pg_exchanges_new(64, on_exchange, &t);
    struct pg_record r;
    uint64_t missed;
    assert_non_null(e);
    while (pg_trace_read(pg_path_trace(sim.path), &seq, &r, &missed)) {
        pg_exchanges_feed(e, &r);
    }
    pg_exchanges_flush(e);
    pg_exchanges_free(e);
    return t;
}

/* Several requests on one connection of 198.51.100.9. */
static void ask_raw(const char *bytes)
{
    struct pg_response response;
    struct pg_request r = {.from = pg_addr_v4(198, 51, 100, 9),
                           .to = pg_addr_v4(203, 0, 113, 10),
                           .to_port = 80,
                           .bytes = bytes,
                           .len = (uint32_t)strlen(bytes),
                           .raw = true};
    assert_int_equal(pg_sim_request(&sim, &r, &response), 0);
    assert_int_equal(response.error, 0);
    pg_response_free(&response);
}

static void who_asks_for_a_host_leaves_others_unrecorded(void **state)
{
    struct pg_watch mine = {.want = {.host = "x"}};
    struct pg_watch other = {.want = {.host = "elsewhere.example.test"}};
    (void)state;
    pg_watch_begin(&watchers, &other);
    assert_int_equal(ask(1), 0);
    assert_int_equal(ask(2), 0);
    pg_watch_begin(&watchers, &mine);
    uint64_t seq = pg_trace_next_seq(pg_path_trace(sim.path));
    assert_true(ask(3) > 15);
    struct told t = read_since(seq);
    assert_int_equal(t.exchanges, 1);
    assert_string_equal(t.last.entry, "edge/gateway"); /* what came before the head is there, too */
    assert_true(t.last.has_verdict);
    pg_watch_end(&watchers, &mine);
    assert_int_equal(ask(4), 0);
    pg_watch_end(&watchers, &other);
}

static void each_request_of_a_connection_is_decided_anew(void **state)
{
    struct pg_watch w = {.want = {.path = "/wanted"}};
    uint64_t seq = pg_trace_next_seq(pg_path_trace(sim.path));
    (void)state;
    pg_watch_begin(&watchers, &w);
    ask_raw("GET /no HTTP/1.1\r\nHost: x\r\n\r\nGET /wanted/1 HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /neither HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /wanted/2 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    struct told t = read_since(seq);
    assert_int_equal(t.exchanges, 2);
    assert_string_equal(t.last.target, "/wanted/2");
    assert_string_equal(t.last.entry,
                        "edge/gateway"); /* told with the first request, which nobody wanted */
    assert_string_equal(t.last.service, "shop/web");
    assert_true(t.last.has_verdict);
    pg_watch_end(&watchers, &w);
}

static void a_service_is_known_by_its_route(void **state)
{
    struct pg_watch other = {.want = {.service = "shop/other"}};
    struct pg_watch back = {.want = {.service = "shop/web"}};
    struct pg_watch front = {.want = {.service = "edge/gateway"}};
    (void)state;
    pg_watch_begin(&watchers, &other);
    assert_int_equal(ask(1), 0);
    pg_watch_begin(&watchers, &back);
    uint64_t seq = pg_trace_next_seq(pg_path_trace(sim.path));
    assert_true(ask(2) > 15);
    assert_int_equal(read_since(seq).exchanges, 1);
    pg_watch_end(&watchers, &back);
    pg_watch_begin(&watchers, &front);
    assert_true(ask(3) > 15);
    pg_watch_end(&watchers, &front);
    pg_watch_end(&watchers, &other);
}

static void a_pod_and_a_verdict_are_known_in_the_end(void **state)
{
    struct pg_watch pod = {.want = {.pod = "shop/web-0"}};
    struct pg_watch nobody = {.want = {.pod = "shop/web-9"}};
    struct pg_watch lost = {.want = {.has_verdict = true, .verdict = PG_VERDICT_LOST}};
    struct pg_watch kept = {.want = {.has_verdict = true, .verdict = PG_VERDICT_KEPT}};
    (void)state;
    pg_watch_begin(&watchers, &nobody);
    pg_watch_begin(&watchers, &kept);
    assert_int_equal(ask(1), 0);
    pg_watch_begin(&watchers, &pod);
    assert_true(ask(2) > 15);
    pg_watch_end(&watchers, &pod);
    pg_watch_begin(&watchers, &lost);
    uint64_t seq = pg_trace_next_seq(pg_path_trace(sim.path));
    assert_true(ask(3) > 15);
    assert_int_equal(read_since(seq).last.verdict, PG_VERDICT_LOST);
    pg_watch_end(&watchers, &lost);
    pg_watch_end(&watchers, &kept);
    pg_watch_end(&watchers, &nobody);
}

/* More flows than are kept back at a time: nothing wanted is missed. */
static void the_sieve_may_be_full(void **state)
{
    struct pg_watch w = {.want = {.path = "/wanted"}};
    (void)state;
    pg_watch_begin(&watchers, &w);
    for (uint32_t i = 0; i < 600; i++) {
        assert_int_equal(ask((uint8_t)i), 0);
    }
    uint64_t seq = pg_trace_next_seq(pg_path_trace(sim.path));
    ask_raw("GET /wanted HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_int_equal(read_since(seq).exchanges, 1);
    pg_watch_end(&watchers, &w);
}

/* A pooled upstream connection shows its translation for each request that goes on it, under that request's label. */
static void a_reused_connection_is_told_for_who_uses_it(void **state)
{
    struct pg_watch w = {0};
    struct pg_record r;
    uint64_t seq;
    uint64_t missed;
    uint32_t label = 0;
    int legs = 0;
    (void)state;
    pg_watch_begin(&watchers, &w);
    ask(1);
    seq = pg_trace_next_seq(pg_path_trace(sim.path));
    ask(2);
    while (pg_trace_read(pg_path_trace(sim.path), &seq, &r, &missed)) {
        label = label != 0 ? label : r.label;
        assert_int_equal(r.label, label);
        legs += r.field == PG_FIELD_DST && r.direction == 0 && r.conntrack != 0;
    }
    assert_int_equal(legs, 2);
    pg_watch_end(&watchers, &w);
}

/* ---- captures ---- */

static uint32_t count_packets(const struct pg_text *t, const char *text)
{
    uint32_t n = 0;
    for (size_t at = 0; at < t->len;) {
        uint32_t type;
        uint32_t len;
        memcpy(&type, t->at + at, 4);
        memcpy(&len, t->at + at + 4, 4);
        assert_true(len >= 12 && len % 4 == 0 && at + len <= t->len);
        n += type == 6 && (text == NULL || memmem(t->at + at, len, text, strlen(text)) != NULL);
        at += len;
    }
    return n;
}

static void each_rewrite_is_a_pair(void **state)
{
    struct pg_capture_options options = {0};
    struct pg_text t = {0};
    (void)state;
    struct pg_capture *c = pg_capture_begin(sim.path, &options);
    assert_non_null(c);
    ask(1);
    pg_capture_take(c, &t);
    assert_true(count_packets(&t, NULL) >= 12);
    assert_int_equal(count_packets(&t, NULL) % 2, 0);
    assert_int_equal(count_packets(&t, "=>"), count_packets(&t, NULL) / 2);
    assert_true(count_packets(&t, "PG101") > 0);
    assert_non_null(memmem(t.at, t.len, "web.shop.svc", 12));
    assert_int_equal(pg_capture_dropped(c), 0);
    pg_text_free(&t);
    pg_capture_end(sim.path, c);
    ask(1); /* nobody captures */
    pg_capture_end(sim.path, NULL);
}

static void a_filter_takes_the_pair_by_either_side(void **state)
{
    struct pg_capture_options options = {0};
    struct pg_text t = {0};
    struct pg_text why = {0};
    (void)state;
    assert_int_equal(pg_pcap_compile("host 198.51.100.1", &options.filter, &why), 0);
    struct pg_capture *c = pg_capture_begin(sim.path, &options);
    ask(2);
    pg_capture_take(c, &t);
    assert_int_equal(count_packets(&t, NULL), 0);
    pg_text_free(&t);
    ask(1);
    pg_capture_take(c, &t);
    assert_true(count_packets(&t, NULL) >= 8);
    assert_int_equal(count_packets(&t, "10.96.12.40"), 0); /* the other leg has no such address */
    pg_text_free(&t);
    pg_capture_end(sim.path, c);
}

static void a_full_buffer_loses_packets_and_says_so(void **state)
{
    struct pg_capture_options options = {.buffer_bytes = 8192};
    struct pg_text t = {0};
    (void)state;
    struct pg_capture *c = pg_capture_begin(sim.path, &options);
    for (int i = 0; i < 20; i++) {
        ask(1);
    }
    assert_true(pg_capture_dropped(c) > 100);
    pg_capture_take(c, &t);
    assert_true(t.len <= 8192);
    pg_text_free(&t);
    ask(1);
    pg_capture_take(c, &t);
    assert_true(count_packets(&t, NULL) > 0);
    pg_text_free(&t);
    pg_capture_end(sim.path, c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_recorded_unless_somebody_watches, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_who_is_wanted_is_recorded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_asks_for_a_host_leaves_others_unrecorded, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(each_request_of_a_connection_is_decided_anew, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_service_is_known_by_its_route, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pod_and_a_verdict_are_known_in_the_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_sieve_may_be_full, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reused_connection_is_told_for_who_uses_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(each_rewrite_is_a_pair, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_filter_takes_the_pair_by_either_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_buffer_loses_packets_and_says_so, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
