/* nat/dialect.c as policy.c uses it: the columns of "what does the pod see" (reference A4) for each dialect, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dialect.h"
#include "nat_internal.h"
#include "nat_world.h"

#include <stdio.h>
#include <string.h>

enum via { VIA_CLUSTER_IP, VIA_NODE_PORT, VIA_LB };
/* How a source comes out. */
enum seen {
    KEPT,    /* source and port */
    GATEWAY, /* the pod gateway of node1, port drawn */
    NODE,    /* node1, port drawn */
    GATEWAY_PORT_KEPT,
    NODE_PORT_KEPT,
    LOOPBACK, /* 169.254.42.1, port kept */
    DROPPED,
};

struct row {
    const char *name;
    const char *src;
    enum via via;
    unsigned service;
    enum seen seen[PG_DIALECT_COUNT];
    enum pg_code code[PG_DIALECT_COUNT];
};

#define CODES(a, b, c)                        \
    {                                         \
        PG_CODE_##a, PG_CODE_##b, PG_CODE_##c \
    }

static const struct row rows[] = {
    {"A4 row 1, same node",
     Q,
     VIA_CLUSTER_IP,
     SVC_LOCAL,
     {KEPT, KEPT, KEPT},
     CODES(KEPT_POD, KEPT_CONNECT, KEPT_CONNECT)},
    {"A4 row 1, other node",
     Q,
     VIA_CLUSTER_IP,
     SVC_REMOTE,
     {KEPT, KEPT, KEPT},
     CODES(KEPT_POD, KEPT_CONNECT, KEPT_CONNECT)},
    {"A4 row 2",
     P1,
     VIA_CLUSTER_IP,
     SVC_LOCAL,
     {GATEWAY, LOOPBACK, LOOPBACK},
     CODES(MASQ_HAIRPIN, MASQ_LOOPBACK, MASQ_LOOPBACK)},
    {"A4 row 3",
     NODE1,
     VIA_CLUSTER_IP,
     SVC_LOCAL,
     {GATEWAY, GATEWAY_PORT_KEPT, GATEWAY_PORT_KEPT},
     CODES(MASQ_NOT_POD, NODE_CONNECT, NODE_CONNECT)},
    {"A4 row 4",
     NODE1,
     VIA_CLUSTER_IP,
     SVC_REMOTE,
     {NODE, NODE_PORT_KEPT, NODE_PORT_KEPT},
     CODES(MASQ_NOT_POD, NODE_CONNECT, NODE_CONNECT)},
    {"A4 row 5, local pod",
     CLIENT,
     VIA_CLUSTER_IP,
     SVC_LOCAL,
     {GATEWAY, DROPPED, DROPPED},
     CODES(MASQ_NOT_POD, DROP_CLUSTER_IP, DROP_CLUSTER_IP)},
    {"A4 row 5, remote pod",
     CLIENT,
     VIA_CLUSTER_IP,
     SVC_REMOTE,
     {NODE, DROPPED, DROPPED},
     CODES(MASQ_NOT_POD, DROP_CLUSTER_IP, DROP_CLUSTER_IP)},
    {"A4 row 6",
     CLIENT,
     VIA_NODE_PORT,
     SVC_LOCAL,
     {GATEWAY, KEPT, KEPT},
     CODES(MASQ_CLUSTER, KEPT_NEAR, KEPT_NEAR)},
    {"A4 row 7",
     CLIENT,
     VIA_NODE_PORT,
     SVC_REMOTE,
     {NODE, NODE_PORT_KEPT, KEPT},
     CODES(MASQ_CLUSTER, MASQ_REMOTE, KEPT_DSR)},
    {"A4 row 8",
     CLIENT,
     VIA_NODE_PORT,
     SVC_HOST_LOCAL,
     {KEPT, KEPT, KEPT},
     CODES(KEPT_HOST_ENDPOINT, KEPT_NEAR, KEPT_NEAR)},
    {"A4 row 9",
     CLIENT,
     VIA_NODE_PORT,
     SVC_HOST_REMOTE,
     {NODE, NODE_PORT_KEPT, KEPT},
     CODES(MASQ_CLUSTER, MASQ_REMOTE, KEPT_DSR)},
    {"A4 row 10",
     CLIENT,
     VIA_NODE_PORT,
     SVC_KEEP_LOCAL,
     {KEPT, KEPT, KEPT},
     CODES(KEPT_LOCAL, KEPT_LOCAL, KEPT_LOCAL)},
    {"A4 row 11, node port",
     CLIENT,
     VIA_NODE_PORT,
     SVC_KEEP_REMOTE,
     {DROPPED, DROPPED, DROPPED},
     CODES(DROP_NO_LOCAL, DROP_NO_LOCAL, DROP_NO_LOCAL)},
    {"A4 row 11, balancer address",
     CLIENT,
     VIA_LB,
     SVC_KEEP_REMOTE,
     {DROPPED, DROPPED, DROPPED},
     CODES(DROP_NO_LOCAL, DROP_NO_LOCAL, DROP_NO_LOCAL)},
    {"A4 row 12, local pod",
     CLIENT,
     VIA_LB,
     SVC_LOCAL,
     {GATEWAY, KEPT, KEPT},
     CODES(MASQ_CLUSTER, KEPT_NEAR, KEPT_NEAR)},
    {"A4 row 12, remote pod",
     CLIENT,
     VIA_LB,
     SVC_REMOTE,
     {NODE, NODE_PORT_KEPT, KEPT},
     CODES(MASQ_CLUSTER, MASQ_REMOTE, KEPT_DSR)},
    {"A4 row 13",
     CLIENT,
     VIA_LB,
     SVC_KEEP_LOCAL,
     {KEPT, KEPT, KEPT},
     CODES(KEPT_LOCAL, KEPT_LOCAL, KEPT_LOCAL)},
    {"A4 row 14, node port, local pod",
     Q,
     VIA_NODE_PORT,
     SVC_LOCAL,
     {GATEWAY, KEPT, KEPT},
     CODES(MASQ_CLUSTER, KEPT_CONNECT, KEPT_CONNECT)},
    {"A4 row 14, balancer address, remote pod",
     Q,
     VIA_LB,
     SVC_REMOTE,
     {NODE, KEPT, KEPT},
     CODES(MASQ_CLUSTER, KEPT_CONNECT, KEPT_CONNECT)},
    {"A4 row 15, node port",
     Q,
     VIA_NODE_PORT,
     SVC_KEEP_REMOTE,
     {KEPT, KEPT, KEPT},
     CODES(KEPT_LOCAL, KEPT_CONNECT, KEPT_CONNECT)},
    {"A4 row 15, balancer address",
     Q,
     VIA_LB,
     SVC_KEEP_LOCAL,
     {KEPT, KEPT, KEPT},
     CODES(KEPT_LOCAL, KEPT_CONNECT, KEPT_CONNECT)},
    {"A4 row 16, local pod",
     NODE1,
     VIA_NODE_PORT,
     SVC_KEEP_LOCAL,
     {GATEWAY, GATEWAY_PORT_KEPT, GATEWAY_PORT_KEPT},
     CODES(MASQ_NODE_LOCAL, NODE_CONNECT, NODE_CONNECT)},
    {"A4 row 16, remote pod",
     NODE1,
     VIA_LB,
     SVC_KEEP_REMOTE,
     {NODE, NODE_PORT_KEPT, NODE_PORT_KEPT},
     CODES(MASQ_NODE_LOCAL, NODE_CONNECT, NODE_CONNECT)},
    {"node process to its own host endpoint",
     NODE1,
     VIA_CLUSTER_IP,
     SVC_HOST_LOCAL,
     {KEPT, KEPT, KEPT},
     CODES(KEPT_HOST_ENDPOINT, KEPT_HOST_ENDPOINT, KEPT_HOST_ENDPOINT)},
    {"source ranges filter pods",
     Q,
     VIA_LB,
     SVC_RANGES,
     {DROPPED, KEPT, KEPT},
     CODES(DROP_SOURCE_RANGE, KEPT_CONNECT, KEPT_CONNECT)},
    {"source ranges filter clients",
     CLIENT,
     VIA_LB,
     SVC_RANGES,
     {DROPPED, DROPPED, DROPPED},
     CODES(DROP_SOURCE_RANGE, DROP_SOURCE_RANGE, DROP_SOURCE_RANGE)},
};

/* ---- the world under a dialect ---- */

static void load_with(struct pg_world *w, const char *setting)
{
    struct pg_text text = {0};
    const char *at = strstr(pg_world_manifest, "spec:\n") + strlen("spec:\n");

    pg_text_add(&text, pg_world_manifest, (size_t)(at - pg_world_manifest));
    pg_text_printf(&text, "  %s\n%s", setting, at);
    pg_world_load(w, text.at);
    pg_text_free(&text);
}

static void load_dialect(struct pg_world *w, enum pg_dialect d)
{
    char setting[64];

    snprintf(setting, sizeof(setting), "dialect: %s", pg_dialect_name(d));
    load_with(w, setting);
}

static struct pg_tuple tuple_of(const struct row *r, uint16_t port)
{
    struct pg_tuple t =
        pg_make_tuple(PG_PROTO_TCP, r->src, port, NODE1, (uint16_t)(30000 + r->service));

    if (r->via == VIA_NODE_PORT)
        return t;
    t.dst = r->via == VIA_LB ? pg_world_lb_ip(r->service) : pg_world_cluster_ip(r->service);
    t.dst_port = 80;
    return t;
}

static const char *address_of(const struct row *r, enum seen seen)
{
    switch (seen) {
    case GATEWAY:
    case GATEWAY_PORT_KEPT: return GW1;
    case NODE:
    case NODE_PORT_KEPT: return NODE1;
    case LOOPBACK: return "169.254.42.1";
    case KEPT:
    case DROPPED:
    default: return r->src;
    }
}

/* The first packet, as it leaves. */
static void check(struct pg_world *w, const struct row *r, enum pg_dialect d)
{
    struct pg_tuple t = tuple_of(r, 40000);
    struct pg_made m;
    struct pg_addr node = pg_make_addr(NODE1);
    enum seen seen = r->seen[d];
    struct pg_addr sees = pg_make_addr(address_of(r, seen));
    char text[PG_ADDR_TEXT];

    pg_make_first(&m, &t);
    m.p.entry_node = (uint16_t)pg_snapshot_node_by_addr(w->snapshot, &node);
    enum pg_verdict_nat got = pg_world_send(w, &m);
    bool dropped = got != PG_NAT_ACCEPT;
    enum pg_code code =
        pg_world_last_code(w, dropped ? PG_STAGE_NAT_PREROUTING : PG_STAGE_NAT_POSTROUTING,
                           dropped ? PG_FIELD_NONE : PG_FIELD_SRC);

    if (dropped != (seen == DROPPED) || code != r->code[d])
        fail_msg("%s, %s: verdict %d because %s", pg_dialect_name(d), r->name, got,
                 pg_code_name(code));
    if (dropped)
        return;
    if (!pg_addr_equal(&m.p.tuple.src, &sees))
        fail_msg("%s, %s: the pod sees %s", pg_dialect_name(d), r->name,
                 pg_addr_print(&m.p.tuple.src, text));
    if ((seen == GATEWAY || seen == NODE) == (m.p.tuple.src_port == 40000))
        fail_msg("%s, %s: source port %u", pg_dialect_name(d), r->name, m.p.tuple.src_port);
}

static void pod_sees_what_the_table_says_under_each_dialect(void **state)
{
    (void)state;
    for (int d = 0; d < PG_DIALECT_COUNT; d++) {
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            struct pg_world w;

            pg_world_open(&w, NULL);
            load_dialect(&w, (enum pg_dialect)d);
            pg_trace_set_level(w.trace, PG_TRACE_PACKETS);
            check(&w, &rows[i], (enum pg_dialect)d);
            pg_world_close(&w);
        }
    }
}

/* ---- single questions ---- */

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

static struct pg_nat_decision decide(struct pg_world *w, const struct pg_tuple *t)
{
    struct pg_nat_decision d;

    pg_nat_decide(w->nat->services, t, pg_nat_entry_node(w->nat->services, t), 0, PG_INDEX_NONE,
                  &d);
    return d;
}

static uint16_t port_seen(struct pg_world *w, const char *client, uint16_t port)
{
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, client, port, NODE1, 30000 + SVC_REMOTE);
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_ACCEPT);
    return m.p.tuple.src_port;
}

static void cilium_keeps_the_port_if_it_is_in_range_and_free(void **state)
{
    struct pg_world *w = *state;

    load_dialect(w, PG_DIALECT_CILIUM_SNAT);
    assert_int_equal(port_seen(w, CLIENT, 40000), 40000);
    uint16_t second = port_seen(w, "198.51.100.8", 40000); /* taken now */
    assert_int_not_equal(second, 40000);
    assert_true(second >= 32768);
    for (uint16_t port = 1000; port < 1100; port++) /* never one that may be a node port */
        assert_true(port_seen(w, CLIENT, port) >= 32768);
}

/* Node ports: kube-proxy answers on the primary address alone, Cilium on every address of a node. */
static void cilium_answers_node_ports_on_the_gateway_as_well(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 1, GW1, 30000 + SVC_LOCAL);

    assert_int_equal(decide(w, &t).kind, PG_DECIDE_PLAIN);
    load_dialect(w, PG_DIALECT_CILIUM_SNAT);
    assert_int_equal(decide(w, &t).kind, PG_DECIDE_DNAT);
}

static void cilium_answers_node_ports_on_loopback_to_node_processes_alone(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple node = pg_make_tuple(PG_PROTO_TCP, NODE1, 1, "127.0.0.1", 30000 + SVC_LOCAL);
    struct pg_tuple pod = pg_make_tuple(PG_PROTO_TCP, Q, 1, "127.0.0.1", 30000 + SVC_LOCAL);
    struct pg_addr gateway = pg_make_addr(GW1);

    assert_int_equal(decide(w, &node).kind, PG_DECIDE_PLAIN); /* kube-proxy: nobody's */
    load_dialect(w, PG_DIALECT_CILIUM_SNAT);
    struct pg_nat_decision d = decide(w, &node);
    assert_int_equal(d.kind, PG_DECIDE_DNAT);
    assert_true(pg_addr_equal(&d.snat_addr, &gateway));
    assert_int_equal(decide(w, &pod).kind, PG_DECIDE_PLAIN);
}

static void cilium_decides_at_the_node_of_the_client(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, NODE1, 40000, NODE2, 30000 + SVC_REMOTE);
    struct pg_addr node1 = pg_make_addr(NODE1);

    load_dialect(w, PG_DIALECT_CILIUM_SNAT);
    struct pg_nat_decision d = decide(w, &t);
    assert_int_equal(d.node, pg_snapshot_node_by_addr(w->snapshot, &node1));
    assert_true(pg_addr_equal(&d.snat_addr, &node1));
}

static void masquerade_all_means_nothing_to_cilium(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, Q, 40000, "0.0.0.0", 80);

    t.dst = pg_world_cluster_ip(SVC_LOCAL);
    load_with(w, "masqueradeAll: true");
    assert_true(decide(w, &t).masquerade);
    load_with(w, "masqueradeAll: true\n  dialect: cilium-snat");
    assert_false(decide(w, &t).masquerade);
}

static void a_reason_names_the_line_that_chose_the_dialect(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 40000, NODE1, 30000 + SVC_LOCAL);

    load_dialect(w, PG_DIALECT_CILIUM_DSR);
    const struct pg_reason *why = pg_reason_get(decide(w, &t).snat_reason);
    assert_string_equal(why->field, "spec.dialect");
    assert_string_equal(why->value, "cilium-dsr");
    assert_int_equal(why->line, 5);
}

/* A reload that changes the dialect is in force for new flows; an open one keeps its tuples. */
static void a_reload_changes_the_dialect_of_new_flows(void **state)
{
    struct pg_world *w = *state;

    assert_int_not_equal(port_seen(w, CLIENT, 40000), 40000);
    load_dialect(w, PG_DIALECT_CILIUM_SNAT);
    assert_int_equal(port_seen(w, CLIENT, 40001), 40001);
    assert_int_not_equal(port_seen(w, CLIENT, 40000), 40000);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pod_sees_what_the_table_says_under_each_dialect),
        WORLD_TEST(cilium_keeps_the_port_if_it_is_in_range_and_free),
        WORLD_TEST(cilium_answers_node_ports_on_the_gateway_as_well),
        WORLD_TEST(cilium_answers_node_ports_on_loopback_to_node_processes_alone),
        WORLD_TEST(cilium_decides_at_the_node_of_the_client),
        WORLD_TEST(masquerade_all_means_nothing_to_cilium),
        WORLD_TEST(a_reason_names_the_line_that_chose_the_dialect),
        WORLD_TEST(a_reload_changes_the_dialect_of_new_flows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
