/* tools/ask.c and tools/ends.c: from words to the bytes of a request and the address it goes to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/ask.h"

#include <string.h>

static struct pg_snapshot *snapshot;
static struct pg_zone *zone;

static int set_up(void **state)
{
    static const char yaml[] =
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
        "spec: {clusterIP: 10.96.0.20, selector: {app: web}, ports: [{port: 80}]}\n---\n"
        "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: default}\n"
        "spec: {clusterIP: 10.96.0.21, ports: [{port: 80}]}\n---\n"
        "apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: shop, labels: {app: web}}\n"
        "spec: {containers: [{name: c}]}\n---\n"
        "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n"
        "  clients: [{name: alice, address: 198.51.100.7}]\n";
    struct pg_manifest_input input = {.path = "t.yaml", .text = yaml, .text_len = sizeof yaml - 1};
    struct pg_findings findings;
    const struct pg_hash_key key = {1, 2};

    (void)state;
    assert_int_equal(pg_snapshot_load(&input, 1, NULL, &snapshot, &findings), 0);
    pg_findings_free(&findings);
    zone = pg_zone_new(snapshot, &key);
    assert_non_null(zone);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pg_zone_free(zone);
    pg_snapshot_put(snapshot);
    pg_reason_forget_all();
    return 0;
}

static void bytes_are_what_was_asked_for_and_no_more(void **state)
{
    static const char *const headers[] = {"X-A:  1", "host: other", "User-Agent:"};
    struct pg_ask ask = {.url = "10.96.0.20/x?y",
                         .headers = headers,
                         .header_count = 3,
                         .body = PG_SLICE_LITERAL("hello")};
    struct pg_asked a;
    struct pg_text why = {0};

    (void)state;
    assert_int_equal(pg_ask_read(&ask, snapshot, zone, &a, &why), 0);
    assert_string_equal(a.bytes.at, "POST /x?y HTTP/1.1\r\nX-A: 1\r\nhost: other\r\n"
                                    "Content-Length: 5\r\n\r\nhello");
    assert_string_equal(a.title.at, "POST http://10.96.0.20/x?y");
    assert_string_equal(a.from.name, "alice");
    assert_int_equal(a.to_port, 80);
    pg_asked_free(&a);
    ask = (struct pg_ask){.url = "http://[fd00::1]:81?q", .method = "HEAD"};
    assert_int_not_equal(pg_ask_read(&ask, snapshot, zone, &a, &why), 0);
    assert_non_null(strstr(why.at, "different address families"));
    pg_text_free(&why);
}

/* The same short name is another service for a pod of another namespace. */
static void names_are_searched_as_a_resolver_would(void **state)
{
    static const struct {
        const char *from, *host, *addr;
    } rows[] = {
        {"pod:shop/p", "web", "10.96.0.20"},
        {"alice", "web", "10.96.0.21"},
        {"pod:shop/p", "web.default", "10.96.0.21"},
        {"alice", "web.shop", "10.96.0.20"},
        {"pod:shop/p", "web.shop.svc", "10.96.0.20"},
        {"pod:shop/p", "web.shop.svc.cluster.local", "10.96.0.20"},
        {"pod:shop/p", "web.shop.svc.cluster.local.", "10.96.0.20"},
        {"alice", "web.", NULL},
        {"alice", "web.gone", NULL},
        {"pod:shop/p", "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_end_of from;
        struct pg_addr a;
        pg_reason_id reason;
        struct pg_name_walk walk;
        struct pg_text why = {0};
        char text[PG_ADDR_TEXT];
        assert_int_equal(pg_end_from(snapshot, rows[i].from, &from, &why), 0);
        bool found = pg_end_resolve(snapshot, zone, pg_slice_of(rows[i].host), &from, &a, &reason,
                                    &walk) == PG_DNS_OK;
        if (found != (rows[i].addr != NULL) ||
            (found && strcmp(pg_addr_print(&a, text), rows[i].addr) != 0))
            fail_msg("%s from %s: %s", rows[i].host, rows[i].from, found ? text : "nothing");
    }
}

static void a_name_outside_costs_a_pod_four_names_of_which_three_are_denied(void **state)
{
    static const struct {
        const char *from, *host, *names, *statuses;
    } rows[] = {
        {"pod:shop/p", "www.example.org",
         "www.example.org.shop.svc.cluster.local. www.example.org.svc.cluster.local. "
         "www.example.org.cluster.local. www.example.org. ",
         "NXDOMAIN NXDOMAIN NXDOMAIN REFUSED "},
        {"pod:shop/p", "www.example.org.", "www.example.org. ", "REFUSED "},
        {"pod:shop/p", "web", "web.shop.svc.cluster.local. ", "NOERROR "},
        {"pod:shop/p", "a.b.c.d.e.f",
         "a.b.c.d.e.f. a.b.c.d.e.f.shop.svc.cluster.local. a.b.c.d.e.f.svc.cluster.local. "
         "a.b.c.d.e.f.cluster.local. ",
         "REFUSED NXDOMAIN NXDOMAIN NXDOMAIN "},
        {"pod:shop/p", "192.0.2.7", "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_end_of from;
        struct pg_addr a;
        pg_reason_id reason;
        struct pg_name_walk walk;
        struct pg_text names = {0}, statuses = {0};
        assert_int_equal(pg_end_from(snapshot, rows[i].from, &from, &names), 0);
        (void)pg_end_resolve(snapshot, zone, pg_slice_of(rows[i].host), &from, &a, &reason, &walk);
        pg_text_puts(&names, "");
        pg_text_puts(&statuses, "");
        for (uint32_t k = 0; k < walk.count; k++) {
            pg_text_printf(&names, "%s ", walk.step[k].name);
            pg_text_printf(&statuses, "%s ", pg_dns_status_name(walk.step[k].status));
        }
        assert_string_equal(names.at ? names.at : "", rows[i].names);
        assert_string_equal(statuses.at ? statuses.at : "", rows[i].statuses);
        pg_text_free(&names);
        pg_text_free(&statuses);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_outside_costs_a_pod_four_names_of_which_three_are_denied),
        cmocka_unit_test(bytes_are_what_was_asked_for_and_no_more),
        cmocka_unit_test(names_are_searched_as_a_resolver_would),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
