/* nat/load.c, use.c, affinity.c: what a reload does to flows, counters and affinity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

#include <stdio.h>
#include <string.h>

#define LAB                            \
    "apiVersion: podglass/v1alpha1\n"  \
    "kind: Lab\n"                      \
    "metadata: {name: lab}\n"          \
    "spec:\n"                          \
    "  podCIDRs: [10.244.0.0/16]\n"    \
    "  serviceCIDRs: [10.96.0.0/16]\n" \
    "  nodes: [{name: node1, address: 192.0.2.11, podCIDR: 10.244.1.0/24}]\n"

#define SERVICE(extra)                                                                         \
    "---\n"                                                                                    \
    "apiVersion: v1\n"                                                                         \
    "kind: Service\n"                                                                          \
    "metadata: {name: a, namespace: t}\n"                                                      \
    "spec:\n"                                                                                  \
    "  clusterIP: 10.96.1.1\n" extra                                                           \
    "  ports: [{name: tcp, protocol: TCP, port: 80, targetPort: 8080}, {name: udp, protocol: " \
    "UDP, port: 53, targetPort: 5353}]\n"

#define SLICE(endpoints)                                                                        \
    "---\n"                                                                                     \
    "apiVersion: discovery.k8s.io/v1\n"                                                         \
    "kind: EndpointSlice\n"                                                                     \
    "metadata: {name: a-x, namespace: t, labels: {kubernetes.io/service-name: a}}\n"            \
    "addressType: IPv4\n"                                                                       \
    "ports: [{name: tcp, protocol: TCP, port: 8080}, {name: udp, protocol: UDP, port: 5353}]\n" \
    "endpoints: [" endpoints "]\n"

/* Another service that has taken the cluster IP of the first over. */
#define OTHER_SERVICE                                                                      \
    "---\n"                                                                                \
    "apiVersion: v1\n"                                                                     \
    "kind: Service\n"                                                                      \
    "metadata: {name: b, namespace: t}\n"                                                  \
    "spec: {clusterIP: 10.96.1.1, ports: [{protocol: UDP, port: 53, targetPort: 5353}]}\n" \
    "---\n"                                                                                \
    "apiVersion: discovery.k8s.io/v1\n"                                                    \
    "kind: EndpointSlice\n"                                                                \
    "metadata: {name: b-x, namespace: t, labels: {kubernetes.io/service-name: b}}\n"       \
    "addressType: IPv4\n"                                                                  \
    "ports: [{name: \"\", protocol: UDP, port: 5353}]\n"                                   \
    "endpoints: [{addresses: [10.244.1.9], nodeName: node1}]\n"

#define EP(address) "{addresses: [" address "], nodeName: node1}"
#define STICKY \
    "  sessionAffinity: ClientIP\n  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}\n"

static int open_world(void **state)
{
    static struct pg_world w;

    pg_world_open(&w, NULL);
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    pg_world_close(*state);
    return 0;
}

static struct pg_tuple to_service(uint8_t proto, const char *src, uint16_t src_port)
{
    return pg_make_tuple(proto, src, src_port, "10.96.1.1", proto == PG_PROTO_UDP ? 53 : 80);
}

static struct pg_addr send_to(struct pg_world *w, uint8_t proto, const char *src, uint16_t src_port)
{
    struct pg_tuple t = to_service(proto, src, src_port);
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_ACCEPT);
    return m.p.tuple.dst;
}

static bool lives(struct pg_world *w, uint8_t proto, uint16_t src_port)
{
    struct pg_tuple t = to_service(proto, Q, src_port);
    struct pg_nat_flow_view v;

    return pg_nat_find(w->nat, &t, w->now_us, &v);
}

static void udp_flows_of_an_endpoint_that_went_away_are_deleted_tcp_stays(void **state)
{
    struct pg_world *w = *state;

    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2")));
    send_to(w, PG_PROTO_UDP, Q, 1000);
    send_to(w, PG_PROTO_TCP, Q, 1000);
    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2") ", " EP("10.244.1.4")));
    assert_true(lives(w, PG_PROTO_UDP, 1000));
    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.4")));
    assert_false(lives(w, PG_PROTO_UDP, 1000));
    assert_true(lives(w, PG_PROTO_TCP, 1000));

    struct pg_made m; /* the established flow keeps its old endpoint */
    struct pg_tuple t = to_service(PG_PROTO_TCP, Q, 1000);
    struct pg_addr old = pg_make_addr("10.244.1.2");
    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_ACCEPT);
    assert_true(pg_addr_equal(&m.p.tuple.dst, &old));
}

static void udp_flows_are_deleted_when_no_endpoint_is_left(void **state)
{
    struct pg_world *w = *state;

    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2")));
    send_to(w, PG_PROTO_UDP, Q, 1000);
    pg_world_load(w, LAB SERVICE(""));
    assert_false(lives(w, PG_PROTO_UDP, 1000));
    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2")));
    send_to(w, PG_PROTO_UDP, Q, 1000);
}

/* As kube-proxy since 1.32: it compares flows with the services there are. Until the address is a service's again. */
static void udp_flow_to_a_service_that_is_gone_stays_until_the_address_has_another(void **state)
{
    struct pg_world *w = *state;

    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2")));
    send_to(w, PG_PROTO_UDP, Q, 1000);
    send_to(w, PG_PROTO_UDP, Q, 1001);
    pg_world_load(w, LAB);
    assert_true(lives(w, PG_PROTO_UDP, 1000));
    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2"))); /* the same one serves again */
    assert_true(lives(w, PG_PROTO_UDP, 1000));
    pg_world_load(w, LAB);
    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.4")));
    assert_false(lives(w, PG_PROTO_UDP, 1000));
    assert_false(lives(w, PG_PROTO_UDP, 1001));
}

/* Another service, with endpoints of its own, takes the address over: no row of it knows the flow. */
static void udp_flow_is_deleted_when_another_service_takes_the_address(void **state)
{
    struct pg_world *w = *state;

    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2")));
    send_to(w, PG_PROTO_UDP, Q, 1000);
    pg_world_load(w, LAB);
    pg_world_load(w, LAB OTHER_SERVICE);
    assert_false(lives(w, PG_PROTO_UDP, 1000));
}

static void udp_clean_up_leaves_other_ports_of_the_address_alone(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple other = pg_make_tuple(PG_PROTO_UDP, Q, 1000, "10.96.1.1", 9999);
    struct pg_made m;

    pg_world_load(w, LAB);
    pg_world_first(w, &m, &other); /* nobody's address: dropped, no flow */
    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2")));
    send_to(w, PG_PROTO_UDP, Q, 1000);
    send_to(w, PG_PROTO_TCP, Q, 1000);
    pg_world_load(w, LAB SERVICE("")); /* no endpoint left: UDP goes, TCP stays */
    assert_false(lives(w, PG_PROTO_UDP, 1000));
    assert_true(lives(w, PG_PROTO_TCP, 1000));
}

static void terminating_endpoint_that_serves_keeps_its_udp_flows(void **state)
{
    struct pg_world *w = *state;

    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2")));
    send_to(w, PG_PROTO_UDP, Q, 1000);
    pg_world_load(w, LAB SERVICE("") SLICE("{addresses: [10.244.1.2], nodeName: node1, conditions: "
                                           "{ready: false, serving: true, terminating: true}}"));
    assert_true(lives(w, PG_PROTO_UDP, 1000));
    pg_world_load(w, LAB SERVICE("") SLICE("{addresses: [10.244.1.2], nodeName: node1, conditions: "
                                           "{ready: false, serving: false, terminating: true}}"));
    assert_false(lives(w, PG_PROTO_UDP, 1000));
}

static void plain_udp_flow_to_what_becomes_a_service_is_deleted(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_UDP, Q, 1000, "203.0.113.77", 53);
    struct pg_tuple other = pg_make_tuple(PG_PROTO_UDP, Q, 1000, "203.0.113.77", 54);
    struct pg_nat_flow_view v;
    struct pg_made m;

    pg_world_load(w, LAB);
    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_ACCEPT);
    assert_int_equal(pg_world_first(w, &m, &other), PG_NAT_ACCEPT);
    pg_world_load(w, LAB SERVICE("  externalIPs: [203.0.113.77]\n") SLICE(EP("10.244.1.2")));
    assert_false(pg_nat_find(w->nat, &t, w->now_us, &v));
    assert_true(pg_nat_find(w->nat, &other, w->now_us, &v));
}

static uint32_t port_index(const struct pg_world *w, uint16_t port)
{
    for (uint32_t i = 0; i < w->snapshot->service_port_count; i++) {
        if (w->snapshot->service_ports[i].port == port)
            return i;
    }
    return PG_INDEX_NONE;
}

static void assert_use(struct pg_world *w, const char *address, uint32_t active, uint64_t hits)
{
    struct pg_addr a = pg_make_addr(address);
    uint32_t got_active;
    uint64_t got_hits;

    pg_nat_endpoint_use(w->nat, port_index(w, 80), &a, 8080, &got_active, &got_hits);
    assert_int_equal(got_active, active);
    assert_int_equal(got_hits, hits);
}

static void endpoint_counters_survive_a_reload(void **state)
{
    struct pg_world *w = *state;

    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2")));
    for (uint16_t port = 1; port <= 5; port++)
        send_to(w, PG_PROTO_TCP, Q, port);
    assert_use(w, "10.244.1.2", 5, 5);
    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2") ", " EP("10.244.1.4")));
    assert_use(w, "10.244.1.2", 5, 5);
    assert_use(w, "10.244.1.4", 0, 0);
    pg_world_wait(w, 121000);
    assert_use(w, "10.244.1.2", 0, 5);
}

static void service_name_outlives_the_service(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_service(PG_PROTO_TCP, Q, 1000);
    struct pg_nat_flow_view v;

    pg_world_load(w, LAB SERVICE("") SLICE(EP("10.244.1.2")));
    send_to(w, PG_PROTO_TCP, Q, 1000);
    pg_world_load(w, LAB);
    assert_true(pg_nat_find(w->nat, &t, w->now_us, &v));
    assert_string_equal(v.service_name, "t/a");
    assert_int_equal(v.service, PG_INDEX_NONE);
    pg_world_wait(w, 121000);
    pg_world_load(w, LAB); /* now the rows may go */
    assert_int_equal(pg_use_find(w->nat->uses, &(struct pg_use_key){0}), 0);
}

static void many_reloads_do_not_pile_up_rows(void **state)
{
    struct pg_world *w = *state;
    char text[4096];

    for (int i = 0; i < 300; i++) {
        snprintf(text, sizeof(text), LAB SERVICE("") SLICE(EP("10.244.1.%d")), i % 200 + 10);
        pg_world_load(w, text);
        send_to(w, PG_PROTO_UDP, Q, (uint16_t)(1 + i));
    }
    assert_true(pg_use_count(w->nat->uses) < 400);
}

/* ---- affinity ---- */

static void client_stays_with_its_endpoint_until_the_timeout(void **state)
{
    struct pg_world *w = *state;
    unsigned moved = 0;

    pg_world_load(w, LAB SERVICE(STICKY)
                         SLICE(EP("10.244.1.2") ", " EP("10.244.1.3") ", " EP("10.244.1.4")));
    for (uint8_t client = 20; client < 40; client++) {
        char src[16];
        snprintf(src, sizeof(src), "10.244.1.%u", client);
        struct pg_addr first = send_to(w, PG_PROTO_TCP, src, 1);
        for (uint16_t port = 2; port < 10; port++) {
            pg_world_wait(w, 1000);
            struct pg_addr next = send_to(w, PG_PROTO_TCP, src, port);
            assert_true(pg_addr_equal(&first, &next));
        }
        pg_world_wait(w, 60001);
        struct pg_addr later = send_to(w, PG_PROTO_TCP, src, 100);
        moved += !pg_addr_equal(&first, &later);
    }
    assert_true(moved > 5); /* two in three, by chance */
}

static void affinity_is_per_service_port(void **state)
{
    struct pg_world *w = *state;

    pg_world_load(w, LAB SERVICE(STICKY) SLICE(EP("10.244.1.2") ", " EP("10.244.1.3")));
    send_to(w, PG_PROTO_TCP, Q, 1);
    assert_int_equal(pg_affinity_count(w->nat->affinity), 1);
    send_to(w, PG_PROTO_UDP, Q, 1);
    assert_int_equal(pg_affinity_count(w->nat->affinity), 2);
}

static void affinity_is_refreshed_by_flows_not_by_packets(void **state)
{
    struct pg_world *w = *state;

    pg_world_load(w, LAB SERVICE(STICKY) SLICE(EP("10.244.1.2") ", " EP("10.244.1.3")));
    for (int i = 0; i < 7; i++) { /* one flow, a packet every ten seconds */
        send_to(w, PG_PROTO_UDP, Q, 1);
        pg_world_wait(w, 10000);
    }
    assert_int_equal(pg_affinity_count(w->nat->affinity), 0);
}

static void record_of_an_endpoint_that_went_away_does_not_bind(void **state)
{
    struct pg_world *w = *state;
    struct pg_addr other = pg_make_addr("10.244.1.4");

    pg_world_load(w, LAB SERVICE(STICKY) SLICE(EP("10.244.1.2")));
    send_to(w, PG_PROTO_TCP, Q, 1);
    pg_world_load(w, LAB SERVICE(STICKY) SLICE(EP("10.244.1.4")));
    struct pg_addr got = send_to(w, PG_PROTO_TCP, Q, 2);
    assert_true(pg_addr_equal(&got, &other));
}

/* As kube-proxy, whose sets go with the setting: switched on again, nobody remembers. */
static void affinity_goes_on_and_off_live(void **state)
{
    struct pg_world *w = *state;
    static const char slice[] = SLICE(EP("10.244.1.2") ", " EP("10.244.1.3"));
    struct pg_text on = {0};
    struct pg_text off = {0};

    pg_text_printf(&on, "%s%s", LAB SERVICE(STICKY), slice);
    pg_text_printf(&off, "%s%s", LAB SERVICE(""), slice);
    pg_world_load(w, off.at);
    send_to(w, PG_PROTO_TCP, Q, 1);
    assert_int_equal(pg_affinity_count(w->nat->affinity), 0);
    pg_world_load(w, on.at);
    struct pg_addr first = send_to(w, PG_PROTO_TCP, Q, 2);
    for (uint16_t port = 3; port < 20; port++) {
        struct pg_addr next = send_to(w, PG_PROTO_TCP, Q, port);
        assert_true(pg_addr_equal(&first, &next));
    }
    pg_world_load(w, on.at); /* nothing changes, nothing is forgotten */
    assert_int_equal(pg_affinity_count(w->nat->affinity), 1);
    pg_world_load(w, off.at);
    assert_int_equal(pg_affinity_count(w->nat->affinity), 0);
    unsigned moved = 0;
    for (uint16_t port = 20; port < 60; port++) {
        struct pg_addr next = send_to(w, PG_PROTO_TCP, Q, port);
        moved += !pg_addr_equal(&first, &next);
    }
    assert_true(moved > 5);
    pg_text_free(&on);
    pg_text_free(&off);
}

/* Keyed on the source before masquerade, whichever address of the port was used. */
static void affinity_is_shared_by_all_addresses_of_a_port(void **state)
{
    struct pg_world *w = *state;
    static const char *const addresses[] = {"10.96.1.1", "203.0.113.77", "203.0.113.78"};

    pg_world_load(w, LAB SERVICE(STICKY "  externalIPs: [203.0.113.77, 203.0.113.78]\n")
                         SLICE(EP("10.244.1.2") ", " EP("10.244.1.3") ", " EP("10.244.1.4")));
    for (uint8_t client = 1; client < 30; client++) {
        char src[16];
        struct pg_addr got[3];
        snprintf(src, sizeof(src), "198.51.100.%u", client);
        for (int i = 0; i < 3; i++) {
            struct pg_tuple t =
                pg_make_tuple(PG_PROTO_TCP, src, (uint16_t)(100 + i), addresses[i], 80);
            struct pg_made m;
            assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_ACCEPT);
            got[i] = m.p.tuple.dst;
        }
        assert_true(pg_addr_equal(&got[0], &got[1]) && pg_addr_equal(&got[0], &got[2]));
    }
    assert_int_equal(pg_affinity_count(w->nat->affinity), 29);
}

static void count_view(void *arg, const struct pg_nat_affinity_view *v)
{
    unsigned *seen = arg;
    struct pg_addr q = pg_make_addr(Q);

    assert_string_equal(v->service_name, "t/a");
    assert_int_equal(v->service_port, 80);
    assert_true(pg_addr_equal(&v->client, &q));
    assert_int_equal(v->port, 8080);
    *seen = *seen * 1000 + (unsigned)v->timeout_s;
}

static void affinity_is_shown_with_the_time_left(void **state)
{
    struct pg_world *w = *state;
    unsigned seen = 0;

    pg_world_load(w, LAB SERVICE(STICKY) SLICE(EP("10.244.1.2") ", " EP("10.244.1.3")));
    send_to(w, PG_PROTO_TCP, Q, 1);
    pg_nat_walk_affinity(w->nat, w->now_us, count_view, &seen);
    assert_int_equal(seen, 60);
    pg_world_wait(w, 59500);
    seen = 0;
    pg_nat_walk_affinity(w->nat, w->now_us, count_view, &seen);
    assert_int_equal(seen, 1);
    pg_world_wait(w, 500);
    seen = 0;
    pg_nat_walk_affinity(w->nat, w->now_us, count_view, &seen);
    assert_int_equal(seen, 0);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(udp_flows_of_an_endpoint_that_went_away_are_deleted_tcp_stays),
        WORLD_TEST(udp_flows_are_deleted_when_no_endpoint_is_left),
        WORLD_TEST(udp_flow_to_a_service_that_is_gone_stays_until_the_address_has_another),
        WORLD_TEST(udp_flow_is_deleted_when_another_service_takes_the_address),
        WORLD_TEST(udp_clean_up_leaves_other_ports_of_the_address_alone),
        WORLD_TEST(terminating_endpoint_that_serves_keeps_its_udp_flows),
        WORLD_TEST(plain_udp_flow_to_what_becomes_a_service_is_deleted),
        WORLD_TEST(endpoint_counters_survive_a_reload),
        WORLD_TEST(service_name_outlives_the_service),
        WORLD_TEST(many_reloads_do_not_pile_up_rows),
        WORLD_TEST(client_stays_with_its_endpoint_until_the_timeout),
        WORLD_TEST(affinity_is_per_service_port),
        WORLD_TEST(affinity_is_refreshed_by_flows_not_by_packets),
        WORLD_TEST(record_of_an_endpoint_that_went_away_does_not_bind),
        WORLD_TEST(affinity_goes_on_and_off_live),
        WORLD_TEST(affinity_is_shown_with_the_time_left),
        WORLD_TEST(affinity_is_shared_by_all_addresses_of_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
