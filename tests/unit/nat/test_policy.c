/* nat/policy.c: who reaches which endpoint, and whose address the pod sees. The rows are those of
 * kube-proxy's behaviour on real nodes: pods, node processes and outside clients times cluster IP,
 * node port and balancer address times policies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

#include <stdio.h>
#include <string.h>

enum via { VIA_CLUSTER_IP, VIA_NODE_PORT, VIA_LB };
enum end { SAME, RANDOM, REJECTED, DROPPED };

struct row { // NOLINT(clang-analyzer-optin.performance.Padding): in the order a row is read
    const char *name;
    const char *src;
    enum via via;
    unsigned service;
    const char *entry; /* node where a packet from outside enters; NULL: node1, "": not told */
    enum end end;      /* source port kept or random, or refused */
    const char *sees;  /* source the endpoint sees */
    enum pg_code code; /* why the source was replaced or kept, or why refused */
};

static const struct row rows[] = {
    {"1 pod to cluster IP, same node", Q, VIA_CLUSTER_IP, SVC_LOCAL, NULL, SAME, Q,
     PG_CODE_KEPT_POD},
    {"1 pod to cluster IP, other node", Q, VIA_CLUSTER_IP, SVC_REMOTE, NULL, SAME, Q,
     PG_CODE_KEPT_POD},
    {"2 pod to itself through a cluster IP", P1, VIA_CLUSTER_IP, SVC_LOCAL, NULL, RANDOM, GW1,
     PG_CODE_MASQ_HAIRPIN},
    {"3 node to cluster IP, local pod", NODE1, VIA_CLUSTER_IP, SVC_LOCAL, NULL, RANDOM, GW1,
     PG_CODE_MASQ_NOT_POD},
    {"4 node to cluster IP, remote pod", NODE1, VIA_CLUSTER_IP, SVC_REMOTE, NULL, RANDOM, NODE1,
     PG_CODE_MASQ_NOT_POD},
    {"5 outside to cluster IP, local pod", CLIENT, VIA_CLUSTER_IP, SVC_LOCAL, NULL, RANDOM, GW1,
     PG_CODE_MASQ_NOT_POD},
    {"5 outside to cluster IP, remote pod", CLIENT, VIA_CLUSTER_IP, SVC_REMOTE, NULL, RANDOM, NODE1,
     PG_CODE_MASQ_NOT_POD},
    {"6 client to node port, Cluster, local pod", CLIENT, VIA_NODE_PORT, SVC_LOCAL, NULL, RANDOM,
     GW1, PG_CODE_MASQ_CLUSTER},
    {"7 client to node port, Cluster, remote pod", CLIENT, VIA_NODE_PORT, SVC_REMOTE, NULL, RANDOM,
     NODE1, PG_CODE_MASQ_CLUSTER},
    {"8 client to node port, local host endpoint", CLIENT, VIA_NODE_PORT, SVC_HOST_LOCAL, NULL,
     SAME, CLIENT, PG_CODE_KEPT_HOST_ENDPOINT},
    {"9 client to node port, remote host endpoint", CLIENT, VIA_NODE_PORT, SVC_HOST_REMOTE, NULL,
     RANDOM, NODE1, PG_CODE_MASQ_CLUSTER},
    {"10 client to node port, Local, local pod", CLIENT, VIA_NODE_PORT, SVC_KEEP_LOCAL, NULL, SAME,
     CLIENT, PG_CODE_KEPT_LOCAL},
    {"11 client to node port, Local, no local pod", CLIENT, VIA_NODE_PORT, SVC_KEEP_REMOTE, NULL,
     DROPPED, NULL, PG_CODE_DROP_NO_LOCAL},
    {"11 client to LB address, Local, no local pod", CLIENT, VIA_LB, SVC_KEEP_REMOTE, NODE1,
     DROPPED, NULL, PG_CODE_DROP_NO_LOCAL},
    {"12 client to LB address, Cluster, local pod", CLIENT, VIA_LB, SVC_LOCAL, NODE1, RANDOM, GW1,
     PG_CODE_MASQ_CLUSTER},
    {"12 client to LB address, Cluster, remote pod", CLIENT, VIA_LB, SVC_REMOTE, NODE1, RANDOM,
     NODE1, PG_CODE_MASQ_CLUSTER},
    {"13 client to LB address, Local", CLIENT, VIA_LB, SVC_KEEP_LOCAL, NODE1, SAME, CLIENT,
     PG_CODE_KEPT_LOCAL},
    {"13 the balancer finds the node with the pod", CLIENT, VIA_LB, SVC_KEEP_REMOTE, "", SAME,
     CLIENT, PG_CODE_KEPT_LOCAL},
    {"14 pod to node port, Cluster, local pod", Q, VIA_NODE_PORT, SVC_LOCAL, NULL, RANDOM, GW1,
     PG_CODE_MASQ_CLUSTER},
    {"14 pod to LB address, Cluster, remote pod", Q, VIA_LB, SVC_REMOTE, "", RANDOM, NODE1,
     PG_CODE_MASQ_CLUSTER},
    {"15 pod to node port, Local, remote pod", Q, VIA_NODE_PORT, SVC_KEEP_REMOTE, NULL, SAME, Q,
     PG_CODE_KEPT_LOCAL},
    {"15 pod to LB address, Local, local pod", Q, VIA_LB, SVC_KEEP_LOCAL, "", SAME, Q,
     PG_CODE_KEPT_LOCAL},
    {"15 pod to LB address, Local, remote pod", Q, VIA_LB, SVC_KEEP_REMOTE, "", SAME, Q,
     PG_CODE_KEPT_LOCAL},
    {"16 node to node port, Local, local pod", NODE1, VIA_NODE_PORT, SVC_KEEP_LOCAL, NULL, RANDOM,
     GW1, PG_CODE_MASQ_NODE_LOCAL},
    {"16 node to LB address, Local, remote pod", NODE1, VIA_LB, SVC_KEEP_REMOTE, "", RANDOM, NODE1,
     PG_CODE_MASQ_NODE_LOCAL},
    {"a process on the pod bridge passes for a pod", GW1, VIA_CLUSTER_IP, SVC_REMOTE, NULL, SAME,
     GW1, PG_CODE_KEPT_POD},
    {"and keeps its address with policy Local", GW1, VIA_LB, SVC_KEEP_REMOTE, NULL, SAME, GW1,
     PG_CODE_KEPT_LOCAL},
    {"hairpin through a Local node port", P1, VIA_NODE_PORT, SVC_KEEP_LOCAL, NULL, RANDOM, GW1,
     PG_CODE_MASQ_HAIRPIN},
    {"no endpoint anywhere", CLIENT, VIA_NODE_PORT, SVC_EMPTY, NULL, REJECTED, NULL,
     PG_CODE_REJECT_NO_ENDPOINT},
    {"no endpoint anywhere, cluster IP", Q, VIA_CLUSTER_IP, SVC_EMPTY, NULL, REJECTED, NULL,
     PG_CODE_REJECT_NO_ENDPOINT},
    {"no endpoint anywhere rejects under Local, too", CLIENT, VIA_LB, SVC_EMPTY_LOCAL, NODE1,
     REJECTED, NULL, PG_CODE_REJECT_NO_ENDPOINT},
    {"internal policy Local without a local pod", Q, VIA_CLUSTER_IP, SVC_INTERNAL, NULL, DROPPED,
     NULL, PG_CODE_DROP_NO_LOCAL},
    {"internal policy Local with one", P2, VIA_CLUSTER_IP, SVC_INTERNAL, "", RANDOM, GW2,
     PG_CODE_MASQ_HAIRPIN},
    {"client outside the source ranges", CLIENT, VIA_LB, SVC_RANGES, NODE1, DROPPED, NULL,
     PG_CODE_DROP_SOURCE_RANGE},
    {"client inside the source ranges", "203.0.113.200", VIA_LB, SVC_RANGES, NODE1, RANDOM, GW1,
     PG_CODE_MASQ_CLUSTER},
    {"source ranges do not guard node ports", CLIENT, VIA_NODE_PORT, SVC_RANGES, NULL, RANDOM, GW1,
     PG_CODE_MASQ_CLUSTER},
    {"source ranges filter pods as well", Q, VIA_LB, SVC_RANGES, NULL, DROPPED, NULL,
     PG_CODE_DROP_SOURCE_RANGE},
    {"source ranges do not guard cluster IPs", Q, VIA_CLUSTER_IP, SVC_RANGES, NULL, SAME, Q,
     PG_CODE_KEPT_POD},
    {"terminating endpoints serve when none is ready", Q, VIA_CLUSTER_IP, SVC_ENDING, NULL, SAME, Q,
     PG_CODE_KEPT_POD},
    {"the local set falls back by itself", CLIENT, VIA_NODE_PORT, SVC_MIXED, NULL, SAME, CLIENT,
     PG_CODE_KEPT_LOCAL},
};

static uint16_t entry_of(const struct pg_world *w, const char *name)
{
    if (name && !*name)
        return PG_NODE_NONE;
    struct pg_addr a = pg_make_addr(name ? name : NODE1);
    return (uint16_t)pg_snapshot_node_by_addr(w->snapshot, &a);
}

static struct pg_tuple tuple_of(const struct row *r, uint16_t src_port)
{
    struct pg_tuple t =
        pg_make_tuple(PG_PROTO_TCP, r->src, src_port, NODE1, (uint16_t)(30000 + r->service));

    if (r->via == VIA_NODE_PORT)
        return t;
    t.dst = r->via == VIA_LB ? pg_world_lb_ip(r->service) : pg_world_cluster_ip(r->service);
    t.dst_port = 80;
    return t;
}

static void check_refused(struct pg_world *w, const struct row *r, enum pg_verdict_nat got,
                          const struct pg_made *m, const struct pg_tuple *t)
{
    if (got != (r->end == REJECTED ? PG_NAT_REJECT : PG_NAT_DROP))
        fail_msg("%s: verdict %d", r->name, got);
    if (pg_world_last_code(w, PG_STAGE_NAT_PREROUTING, PG_FIELD_NONE) != r->code)
        fail_msg("%s: wrong code", r->name);
    assert_true(pg_tuple_equal(&m->p.tuple, t)); /* refused packets are not touched */
    assert_int_equal(pg_nat_flow_count(w->nat), 0);
}

static void check_passed(struct pg_world *w, const struct row *r, const struct pg_made *m)
{
    char text[PG_ADDR_TEXT];
    struct pg_addr sees = pg_make_addr(r->sees);
    enum pg_code code = pg_world_last_code(w, PG_STAGE_NAT_POSTROUTING, PG_FIELD_SRC);

    if (!pg_addr_equal(&m->p.tuple.src, &sees))
        fail_msg("%s: the pod sees %s", r->name, pg_addr_print(&m->p.tuple.src, text));
    if (code != r->code)
        fail_msg("%s: reason %s", r->name, pg_code_name(code));
    if ((r->end == SAME) != (m->p.tuple.src_port == 40000))
        fail_msg("%s: source port %u", r->name, m->p.tuple.src_port);
    assert_int_equal(m->p.tuple.dst_port, 8080);
}

static void pod_sees_what_the_truth_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct pg_world w;
        struct pg_made m;

        pg_world_open(&w, NULL);
        pg_trace_set_level(w.trace, PG_TRACE_PACKETS);
        struct pg_tuple t = tuple_of(r, 40000);
        pg_make_first(&m, &t);
        m.p.entry_node = entry_of(&w, r->entry);
        enum pg_verdict_nat got = pg_world_send(&w, &m);
        if (r->end == REJECTED || r->end == DROPPED)
            check_refused(&w, r, got, &m, &t);
        else if (got == PG_NAT_ACCEPT)
            check_passed(&w, r, &m);
        else
            fail_msg("%s: refused as %s", r->name, pg_drop_name(w.drop));
        pg_world_close(&w);
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

static struct pg_nat_decision decide(struct pg_world *w, const struct pg_tuple *t, uint64_t draw)
{
    struct pg_nat_decision d;
    uint16_t entry = pg_nat_entry_node(w->nat->services, t);

    pg_nat_decide(w->nat->services, t, entry, draw, PG_INDEX_NONE, &d);
    return d;
}

static struct pg_nat_decision decide_to(struct pg_world *w, const char *src,
                                        const struct pg_addr *dst, uint8_t proto, uint16_t port)
{
    struct pg_tuple t = pg_make_tuple(proto, src, 40000, "0.0.0.0", port);

    t.dst = *dst;
    return decide(w, &t, 0);
}

static void headless_traffic_is_plain(void **state) /* row 19 */
{
    struct pg_addr p2 = pg_make_addr(P2);
    struct pg_nat_decision d = decide_to(*state, Q, &p2, PG_PROTO_TCP, 8080);

    assert_int_equal(d.kind, PG_DECIDE_PLAIN);
    assert_int_equal(pg_reason_get(d.dnat_reason)->code, PG_CODE_PLAIN);
}

static void cluster_ip_without_such_a_port_rejects(void **state)
{
    struct pg_addr vip = pg_world_cluster_ip(SVC_LOCAL);

    assert_int_equal(decide_to(*state, Q, &vip, PG_PROTO_TCP, 81).kind, PG_DECIDE_REJECT);
    assert_int_equal(decide_to(*state, Q, &vip, PG_PROTO_UDP, 80).kind, PG_DECIDE_REJECT);
    assert_int_equal(decide_to(*state, Q, &vip, PG_PROTO_ICMP, 8 << 8).kind, PG_DECIDE_REJECT);
}

static void unallocated_service_address_is_dropped(void **state)
{
    struct pg_addr nobody = pg_make_addr("10.96.77.7");
    struct pg_nat_decision d = decide_to(*state, Q, &nobody, PG_PROTO_TCP, 80);

    assert_int_equal(d.kind, PG_DECIDE_DROP);
    assert_int_equal(pg_reason_get(d.dnat_reason)->code, PG_CODE_DROP_UNALLOCATED);
}

static void other_ports_of_nodes_and_balancers_are_plain(void **state)
{
    struct pg_addr node = pg_make_addr(NODE1);
    struct pg_addr gateway = pg_make_addr(GW1);
    struct pg_addr lb = pg_world_lb_ip(SVC_LOCAL);
    struct pg_addr proxy_mode = pg_world_lb_ip(SVC_PROXY_MODE);

    assert_int_equal(decide_to(*state, CLIENT, &node, PG_PROTO_TCP, 22).kind, PG_DECIDE_PLAIN);
    assert_int_equal(decide_to(*state, CLIENT, &node, PG_PROTO_UDP, 30001).kind, PG_DECIDE_PLAIN);
    assert_int_equal(decide_to(*state, Q, &gateway, PG_PROTO_TCP, 30001).kind, PG_DECIDE_PLAIN);
    assert_int_equal(decide_to(*state, CLIENT, &lb, PG_PROTO_TCP, 81).kind, PG_DECIDE_PLAIN);
    assert_int_equal(decide_to(*state, CLIENT, &proxy_mode, PG_PROTO_TCP, 80).kind,
                     PG_DECIDE_PLAIN);
}

static void cluster_dns_is_answered_by_podglass_itself(void **state)
{
    struct pg_addr dns = pg_make_addr("10.96.0.10");

    assert_int_equal(decide_to(*state, Q, &dns, PG_PROTO_UDP, 53).kind, PG_DECIDE_PLAIN);
    assert_int_equal(decide_to(*state, Q, &dns, PG_PROTO_TCP, 53).kind, PG_DECIDE_PLAIN);
    assert_int_equal(decide_to(*state, Q, &dns, PG_PROTO_TCP, 9153).kind, PG_DECIDE_REJECT);
}

static void external_ip_is_captured(void **state)
{
    struct pg_addr external = pg_make_addr("203.0.113.118");
    struct pg_nat_decision d = decide_to(*state, CLIENT, &external, PG_PROTO_TCP, 80);

    assert_int_equal(d.kind, PG_DECIDE_DNAT);
    assert_int_equal(d.capture, PG_CAPTURE_EXTERNAL_IP);
}

/* loadBalancerSourceRanges are for balancer addresses, policies for all that is outside. */
static void external_ip_has_the_policy_and_not_the_ranges(void **state)
{
    struct pg_world *w = *state;
    struct pg_addr external = pg_make_addr("203.0.113.118");
    struct pg_text text = {0};
    const char *at = strstr(pg_world_manifest, "  externalIPs: [203.0.113.118]\n");

    assert_true(decide_to(w, CLIENT, &external, PG_PROTO_TCP, 80).masquerade);
    assert_true(decide_to(w, Q, &external, PG_PROTO_TCP, 80).masquerade);
    pg_text_add(&text, pg_world_manifest, (size_t)(at - pg_world_manifest));
    pg_text_printf(
        &text, "  externalTrafficPolicy: Local\n  loadBalancerSourceRanges: [192.0.2.99/32]\n%s",
        at);
    pg_world_load(w, text.at);
    pg_text_free(&text);
    struct pg_nat_decision d = decide_to(w, Q, &external, PG_PROTO_TCP, 80);
    assert_int_equal(d.kind, PG_DECIDE_DNAT);
    assert_false(d.masquerade);
}

static void protocol_is_part_of_the_key(void **state)
{
    struct pg_addr two = pg_world_cluster_ip(SVC_TWO);

    assert_int_equal(decide_to(*state, Q, &two, PG_PROTO_UDP, 53).dnat_port, 5353);
    assert_int_equal(decide_to(*state, Q, &two, PG_PROTO_TCP, 80).dnat_port, 8080);
}

static void node_port_is_decided_by_the_node_that_was_asked(void **state)
{
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, Q, 40000, NODE2, 30000 + SVC_REMOTE);
    struct pg_nat_decision d = decide(*state, &t, 0);
    struct pg_addr gateway2 = pg_make_addr(GW2);

    assert_true(pg_addr_equal(&d.snat_addr, &gateway2));
}

static void not_serving_endpoint_is_never_chosen(void **state)
{
    struct pg_addr vip = pg_world_cluster_ip(SVC_ENDING);
    struct pg_addr p1 = pg_make_addr(P1);

    for (uint64_t draw = 0; draw < 8; draw++) {
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 1, "0.0.0.0", 80);
        t.dst = vip;
        struct pg_nat_decision d = decide(*state, &t, draw);
        assert_true(pg_addr_equal(&d.dnat_addr, &p1));
        assert_int_equal(d.candidates, 1);
    }
}

static void cluster_set_prefers_ready_while_the_local_set_uses_terminating(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple local = pg_make_tuple(PG_PROTO_TCP, CLIENT, 1, NODE1, 30000 + SVC_MIXED);
    struct pg_tuple inside = pg_make_tuple(PG_PROTO_TCP, Q, 1, NODE1, 30000 + SVC_MIXED);
    struct pg_addr p1 = pg_make_addr(P1);
    struct pg_addr p2 = pg_make_addr(P2);
    struct pg_nat_decision outside_client = decide(w, &local, 0);
    struct pg_nat_decision pod = decide(w, &inside, 0);

    assert_true(pg_addr_equal(&outside_client.dnat_addr, &p1));
    assert_true(pg_addr_equal(&pod.dnat_addr, &p2));
}

static void hints_hold_only_if_every_ready_endpoint_has_one(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, Q, 1, "0.0.0.0", 80);
    struct pg_addr p1 = pg_make_addr(P1);

    t.dst = pg_world_cluster_ip(SVC_HINTS);
    for (uint64_t draw = 0; draw < 4; draw++) {
        struct pg_nat_decision d = decide(w, &t, draw);
        assert_int_equal(d.candidates, 1);
        assert_true(pg_addr_equal(&d.dnat_addr, &p1));
    }
    t.dst = pg_world_cluster_ip(SVC_HALF_HINTS);
    assert_int_equal(decide(w, &t, 0).candidates, 2);
}

static void choice_is_uniform_over_the_draw(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, Q, 1, "0.0.0.0", 80);
    struct pg_addr p1 = pg_make_addr(P1);
    unsigned first = 0;

    t.dst = pg_world_cluster_ip(SVC_TWO);
    for (uint64_t draw = 0; draw < 100; draw++) {
        struct pg_nat_decision d = decide(w, &t, draw);
        first += pg_addr_equal(&d.dnat_addr, &p1);
    }
    assert_int_equal(first, 50);
}

static void balancer_picks_the_same_node_for_the_same_tuple(void **state)
{
    struct pg_world *w = *state;
    unsigned at[2] = {0};

    for (uint16_t port = 1; port < 200; port++) {
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, port, "0.0.0.0", 80);
        t.dst = pg_world_lb_ip(SVC_LOCAL);
        uint16_t node = pg_nat_entry_node(w->nat->services, &t);
        assert_int_equal(node, pg_nat_entry_node(w->nat->services, &t));
        assert_true(node < 2);
        at[node]++;
    }
    assert_true(at[0] > 50 && at[1] > 50);
}

static void reason_names_field_value_and_line(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 1, NODE1, 30000 + SVC_LOCAL);
    struct pg_nat_decision d = decide(w, &t, 0);
    const struct pg_reason *why = pg_reason_get(d.snat_reason);

    assert_string_equal(why->object, "Service/t/local");
    assert_string_equal(why->field, "spec.externalTrafficPolicy");
    assert_string_equal(why->value, "Cluster");
    assert_true(why->defaulted);
    assert_string_equal(why->file, "world.yaml");
    assert_int_not_equal(why->line, 0);

    t.dst_port = 30000 + SVC_KEEP_LOCAL;
    d = decide(w, &t, 0);
    assert_false(pg_reason_get(d.snat_reason)->defaulted);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pod_sees_what_the_truth_table_says),
        WORLD_TEST(headless_traffic_is_plain),
        WORLD_TEST(cluster_ip_without_such_a_port_rejects),
        WORLD_TEST(unallocated_service_address_is_dropped),
        WORLD_TEST(other_ports_of_nodes_and_balancers_are_plain),
        WORLD_TEST(cluster_dns_is_answered_by_podglass_itself),
        WORLD_TEST(external_ip_is_captured),
        WORLD_TEST(external_ip_has_the_policy_and_not_the_ranges),
        WORLD_TEST(protocol_is_part_of_the_key),
        WORLD_TEST(node_port_is_decided_by_the_node_that_was_asked),
        WORLD_TEST(not_serving_endpoint_is_never_chosen),
        WORLD_TEST(cluster_set_prefers_ready_while_the_local_set_uses_terminating),
        WORLD_TEST(hints_hold_only_if_every_ready_endpoint_has_one),
        WORLD_TEST(choice_is_uniform_over_the_draw),
        WORLD_TEST(balancer_picks_the_same_node_for_the_same_tuple),
        WORLD_TEST(reason_names_field_value_and_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
