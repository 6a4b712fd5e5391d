/* Which endpoints nat/policy.c chooses among: conditions, topology hints, the cluster set and the local set, one service at a time (reference A2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

#include <stdio.h>
#include <string.h>

#define NODES 40 /* more than a word has bits */

static void put_lab(struct pg_text *out)
{
    pg_text_puts(out, "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n  nodes:\n");
    for (int i = 1; i <= NODES; i++)
        pg_text_printf(out,
                       "  - {name: n%d, address: 192.0.2.%d, podCIDR: 10.244.%d.0/24, zone: %s}\n",
                       i, i, i, i % 2 ? "odd" : "even");
}

static void put_service(struct pg_text *out, const char *spec)
{
    pg_text_printf(out,
                   "---\napiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: t}\n"
                   "spec: {type: NodePort, clusterIP: 10.96.1.1, %sports: [{name: web, port: 80, "
                   "nodePort: 30080}]}\n",
                   spec);
}

static void put_slice(struct pg_text *out, const char *name, uint16_t port, const char *endpoints)
{
    pg_text_printf(out,
                   "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
                   "metadata: {name: %s, namespace: t, labels: {kubernetes.io/service-name: a}}\n"
                   "addressType: IPv4\nports: [{name: web, port: %u}]\nendpoints:\n%s",
                   name, port, endpoints);
}

static void load(struct pg_world *w, const char *spec, const char *endpoints)
{
    struct pg_text text = {0};

    put_lab(&text);
    put_service(&text, spec);
    put_slice(&text, "a-1", 8080, endpoints);
    pg_world_load(w, text.at);
    pg_text_free(&text);
}

/* What may be chosen at node n, as "2 17": last bytes of the addresses, in order. */
static void choices(struct pg_world *w, int node, bool node_port, const char *client, char out[128])
{
    struct pg_nat_decision d = {.candidates = 1};
    size_t len = 0;
    char address[32];

    out[0] = 0;
    snprintf(address, sizeof(address), "192.0.2.%d", node);
    struct pg_addr at = pg_make_addr(address);
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, client, 1, node_port ? address : "10.96.1.1",
                                      node_port ? 30080 : 80);
    for (uint64_t draw = 0; draw < d.candidates; draw++) {
        pg_nat_decide(w->nat->services, &t, (uint16_t)pg_snapshot_node_by_addr(w->snapshot, &at),
                      draw, PG_INDEX_NONE, &d);
        if (d.kind == PG_DECIDE_REJECT)
            len += (size_t)snprintf(out + len, 128 - len, "reject");
        else if (d.kind == PG_DECIDE_DROP)
            len += (size_t)snprintf(out + len, 128 - len, "drop");
        else
            len += (size_t)snprintf(out + len, 128 - len, "%s%u:%u", draw ? " " : "",
                                    d.dnat_addr.bytes[15], d.dnat_port);
        if (d.kind != PG_DECIDE_DNAT)
            return;
    }
}

#define INSIDE "10.244.99.9" /* a pod, by its range; of no node */

static void assert_choices(struct pg_world *w, int node, const char *wanted)
{
    char got[128];

    choices(w, node, false, INSIDE, got);
    assert_string_equal(got, wanted);
}

static void assert_from_outside(struct pg_world *w, int node, const char *wanted)
{
    char got[128];

    choices(w, node, true, CLIENT, got);
    assert_string_equal(got, wanted);
}

#define EP(n, last, rest) "- {addresses: [10.244." #n "." #last "], nodeName: n" #n rest "}\n"
#define NOT_READY         ", conditions: {ready: false}"
#define TERMINATING       ", conditions: {ready: false, serving: true, terminating: true}"
#define ENDING            ", conditions: {ready: false, serving: false, terminating: true}"
#define ENDING_UNSAID     ", conditions: {ready: false, terminating: true}"
#define ZONE(z)           ", hints: {forZones: [{name: " z "}]}"
#define NODE(n)           ", hints: {forNodes: [{name: " n "}]}"

static void a_condition_that_is_not_written_is_true_but_for_terminating(void **state)
{
    struct pg_world *w = *state;

    load(w, "", EP(1, 2, "") EP(2, 3, ", conditions: {}") EP(3, 4, NOT_READY));
    assert_choices(w, 1, "2:8080 3:8080");
    load(w, "", EP(1, 2, ENDING_UNSAID)); /* serving is true: used when nobody is ready */
    assert_choices(w, 1, "2:8080");
    load(w, "", EP(1, 2, NOT_READY)); /* serving, but not terminating: not ready for good */
    assert_choices(w, 1, "reject");
}

static void terminating_ones_serve_only_while_nobody_is_ready(void **state)
{
    struct pg_world *w = *state;

    load(w, "", EP(1, 2, TERMINATING) EP(2, 3, "") EP(3, 4, ENDING));
    assert_choices(w, 1, "3:8080");
    load(w, "", EP(1, 2, TERMINATING) EP(2, 3, TERMINATING) EP(3, 4, ENDING));
    assert_choices(w, 1, "2:8080 3:8080");
    load(w, "", EP(3, 4, ENDING));
    assert_choices(w, 1, "reject");
}

static void hints_count_only_if_every_ready_endpoint_has_them(void **state)
{
    struct pg_world *w = *state;

    load(w, "", EP(1, 2, ZONE("odd")) EP(2, 3, ZONE("even")));
    assert_choices(w, 1, "2:8080");
    assert_choices(w, 2, "3:8080");
    load(w, "", EP(1, 2, ZONE("odd")) EP(2, 3, ""));
    assert_choices(w, 1, "2:8080 3:8080");
    /* who is not ready has no say */
    load(w, "", EP(1, 2, ZONE("odd")) EP(2, 3, ZONE("even")) EP(3, 4, NOT_READY));
    assert_choices(w, 1, "2:8080");
    /* nobody names us: all */
    load(w, "", EP(1, 2, ZONE("north")) EP(2, 3, ZONE("north")));
    assert_choices(w, 1, "2:8080 3:8080");
}

static void nodes_come_before_zones(void **state)
{
    struct pg_world *w = *state;
    static const char both[] =
        EP(1, 2, ", hints: {forNodes: [{name: n1}], forZones: [{name: odd}]}")
            EP(3, 3, ", hints: {forNodes: [{name: n3}], forZones: [{name: odd}]}");

    load(w, "", both);
    assert_choices(w, 1, "2:8080");
    assert_choices(w, 3, "3:8080");
    assert_choices(w, 5, "2:8080 3:8080"); /* no node hint names it, the zone does */
    assert_choices(w, 2, "2:8080 3:8080"); /* neither: all */
}

static void node_hints_reach_beyond_the_thirty_second_node(void **state)
{
    struct pg_world *w = *state;

    load(w, "", EP(1, 2, NODE("n1")) EP(40, 3, NODE("n40")));
    assert_choices(w, 40, "3:8080");
    assert_choices(w, 1, "2:8080");
    /* and one endpoint may name many */
    load(w, "",
         EP(1, 2, ", hints: {forNodes: [{name: n1}, {name: n33}, {name: n34}, {name: n40}]}")
             EP(40, 3, NODE("n39")));
    assert_choices(w, 34, "2:8080");
    assert_choices(w, 39, "3:8080");
}

static void a_hint_for_a_node_that_is_not_there_is_a_hint(void **state)
{
    struct pg_world *w = *state;

    load(w, "", EP(1, 2, NODE("gone")) EP(2, 3, NODE("n2")));
    assert_choices(w, 2, "3:8080");
    assert_choices(w, 1, "2:8080 3:8080");
}

static void hints_do_not_touch_terminating_endpoints_nor_the_local_set(void **state)
{
    struct pg_world *w = *state;

    load(w, "", EP(1, 2, TERMINATING ZONE("odd")) EP(2, 3, TERMINATING ZONE("even")));
    assert_choices(w, 1, "2:8080 3:8080");
    load(w, "externalTrafficPolicy: Local, ",
         EP(1, 2, ZONE("even")) EP(1, 3, ZONE("odd")) EP(2, 4, ZONE("even")));
    assert_from_outside(w, 1, "2:8080 3:8080");
    assert_choices(w, 1, "3:8080"); /* the cluster set has them */
}

static void local_set_and_cluster_set_fall_back_apart(void **state)
{
    struct pg_world *w = *state;

    load(w, "externalTrafficPolicy: Local, ", EP(1, 2, TERMINATING) EP(2, 3, ""));
    assert_from_outside(w, 1, "2:8080");
    assert_from_outside(w, 2, "3:8080");
    assert_from_outside(w, 3, "drop");
    assert_choices(w, 1, "3:8080");
    load(w, "externalTrafficPolicy: Local, ", EP(2, 3, TERMINATING));
    assert_from_outside(w, 1, "drop"); /* there is one somewhere */
    load(w, "externalTrafficPolicy: Local, ", EP(2, 3, ENDING));
    assert_from_outside(w, 1, "reject"); /* there is none anywhere */
}

static void internal_policy_local_uses_the_local_set_of_cluster_ips_alone(void **state)
{
    struct pg_world *w = *state;
    char got[128];

    load(w, "internalTrafficPolicy: Local, ", EP(1, 2, "") EP(2, 3, ""));
    assert_choices(w, 1, "2:8080");
    assert_choices(w, 3, "drop");
    choices(w, 3, true, INSIDE, got);
    assert_string_equal(got, "2:8080 3:8080");
}

/* Each slice has numbers of its own, and the first address of an endpoint counts. */
static void one_port_may_lead_to_other_numbers_in_other_slices(void **state)
{
    struct pg_world *w = *state;
    struct pg_text text = {0};

    put_lab(&text);
    put_service(&text, "");
    put_slice(&text, "a-1", 8080, "- {addresses: [10.244.1.2, 10.244.1.9], nodeName: n1}\n");
    put_slice(&text, "a-2", 9090, EP(2, 3, "") EP(1, 2, ""));
    put_slice(&text, "a-3", 8080, EP(1, 2, ""));
    pg_world_load(w, text.at);
    assert_choices(w, 1, "2:8080 2:9090 3:9090");
    pg_text_free(&text);
}

static void publish_not_ready_makes_endpoints_ready(void **state)
{
    struct pg_world *w = *state;
    struct pg_text text = {0};
    static const char pod[] =
        "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: t, labels: {app: a}}\n"
        "spec: {nodeName: n1, containers: [{name: c, image: i}]}\n"
        "status: {podIP: 10.244.1.2, phase: Running, conditions: [{type: Ready, status: "
        "\"False\"}]}\n";

    put_lab(&text);
    pg_text_puts(&text, pod);
    put_service(&text, "selector: {app: a}, ");
    pg_world_load(w, text.at);
    assert_choices(w, 1, "reject");
    pg_text_clear(&text);
    put_lab(&text);
    pg_text_puts(&text, pod);
    put_service(&text, "selector: {app: a}, publishNotReadyAddresses: true, ");
    pg_world_load(w, text.at);
    assert_choices(w, 1, "2:80");
    pg_text_free(&text);
}

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

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_condition_that_is_not_written_is_true_but_for_terminating),
        WORLD_TEST(terminating_ones_serve_only_while_nobody_is_ready),
        WORLD_TEST(hints_count_only_if_every_ready_endpoint_has_them),
        WORLD_TEST(nodes_come_before_zones),
        WORLD_TEST(node_hints_reach_beyond_the_thirty_second_node),
        WORLD_TEST(a_hint_for_a_node_that_is_not_there_is_a_hint),
        WORLD_TEST(hints_do_not_touch_terminating_endpoints_nor_the_local_set),
        WORLD_TEST(local_set_and_cluster_set_fall_back_apart),
        WORLD_TEST(internal_policy_local_uses_the_local_set_of_cluster_ips_alone),
        WORLD_TEST(one_port_may_lead_to_other_numbers_in_other_slices),
        WORLD_TEST(publish_not_ready_makes_endpoints_ready),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
