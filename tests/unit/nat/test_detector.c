/* nat/detector.c: who is a pod under each mode of the local detector, at node1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "dialect.h"
#include "nat_world.h"

#include <stdio.h>
#include <string.h>

/* A pod of node1 with an address outside all ranges, besides the usual ones. */
#define STRAY "172.16.9.9"

static const struct row {
    const char *source;
    bool pod[PG_DETECTOR_COUNT]; /* cluster CIDR, node CIDR, bridge, prefix, none */
    bool pod_of_cilium;
} rows[] = {
    {Q, {true, true, true, true, false}, true},
    {P2, {true, false, false, false, false}, true},
    {"10.244.9.9", {true, false, false, false, false}, true}, /* no node's, but in the ranges */
    {"10.244.1.77", {true, true, true, true, false}, true},   /* no pod has it */
    {STRAY, {false, false, true, true, false}, true},
    {GW1, {true, true, false, false, false}, false}, /* a process that speaks from the bridge */
    {GW2, {true, false, false, false, false}, false},
    {NODE1, {false, false, false, false, false}, false},
    {CLIENT, {false, false, false, false, false}, false},
};

static void load(struct pg_world *w, const char *setting)
{
    struct pg_text text = {0};
    const char *at = strstr(pg_world_manifest, "spec:\n") + strlen("spec:\n");

    pg_text_add(&text, pg_world_manifest, (size_t)(at - pg_world_manifest));
    pg_text_printf(&text, "  %s\n%s", setting, at);
    pg_text_puts(&text, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: stray, namespace: t}\n"
                        "spec: {nodeName: node1, containers: [{name: c, image: i}]}\n"
                        "status: {podIP: " STRAY ", phase: Running}\n");
    pg_world_load(w, text.at);
    pg_text_free(&text);
}

static bool is_pod(const struct pg_world *w, const char *source)
{
    struct pg_addr a = pg_make_addr(source);
    struct pg_addr node1 = pg_make_addr(NODE1);

    return pg_nat_is_pod(w->snapshot, &a, (uint16_t)pg_snapshot_node_by_addr(w->snapshot, &node1));
}

static void each_mode_knows_its_pods(void **state)
{
    (void)state;
    for (int mode = 0; mode < PG_DETECTOR_COUNT; mode++) {
        struct pg_world w;
        char setting[64];
        snprintf(setting, sizeof(setting), "localDetector: %s",
                 pg_detector_name((enum pg_detector)mode));
        pg_world_open(&w, NULL);
        load(&w, setting);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            if (is_pod(&w, rows[i].source) != rows[i].pod[mode])
                fail_msg("%s: %s", setting, rows[i].source);
        }
        pg_world_close(&w);
    }
}

static void cilium_knows_its_pods_without_a_detector(void **state)
{
    (void)state;
    struct pg_world w;

    pg_world_open(&w, NULL);
    load(&w, "dialect: cilium-snat");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(is_pod(&w, rows[i].source), rows[i].pod_of_cilium);
    pg_world_close(&w);
}

static void a_packet_that_enters_nowhere_is_no_pods_of_a_node(void **state)
{
    (void)state;
    struct pg_world w;
    struct pg_addr q = pg_make_addr(Q);

    pg_world_open(&w, NULL);
    load(&w, "localDetector: NodeCIDR");
    assert_false(pg_nat_is_pod(w.snapshot, &q, PG_NODE_NONE));
    pg_world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_mode_knows_its_pods),
        cmocka_unit_test(cilium_knows_its_pods_without_a_detector),
        cmocka_unit_test(a_packet_that_enters_nowhere_is_no_pods_of_a_node),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
