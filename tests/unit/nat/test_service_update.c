/* nat/service_update.c: tables that went through many reloads answer as tables that were made at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

#include <stdio.h>
#include <string.h>

#define SERVICES 12
#define ROUNDS   150

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

/* What one service is at the moment; 0: not there. */
struct shape {
    uint32_t seed;
};

static void lab(struct pg_text *out, uint32_t nodes)
{
    pg_text_puts(out, "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: {name: lab}\nspec:\n"
                      "  podCIDRs: [10.244.0.0/16]\n  serviceCIDRs: [10.96.0.0/16]\n  nodes:\n");
    for (uint32_t i = 1; i <= nodes; i++)
        pg_text_printf(out, "  - {name: node%u, address: 192.0.2.1%u, podCIDR: 10.244.%u.0/24}\n",
                       i, i, i);
}

/* Services 2n and 2n+1 may have the same external address, with different ports. */
static void service(struct pg_text *out, uint32_t number, uint32_t seed)
{
    pg_text_printf(out,
                   "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%02u, namespace: t}\n"
                   "spec:\n  clusterIP: 10.96.1.%u\n",
                   number, number + 1);
    if (seed & 1)
        pg_text_printf(out, "  externalIPs: [203.0.113.%u]\n", number / 2 + 1);
    if (seed & 2)
        pg_text_puts(out, "  internalTrafficPolicy: Local\n");
    if (seed & 4)
        pg_text_puts(out, "  sessionAffinity: ClientIP\n");
    if (seed & 8)
        pg_text_printf(out, "  type: NodePort\n  ports: [{port: %u, nodePort: %u}]\n",
                       80 + number % 2, 30000 + number);
    else
        pg_text_printf(out, "  ports: [{port: %u}]\n", 80 + number % 2);
    pg_text_printf(
        out,
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s%02u-x, "
        "namespace: t, labels: {kubernetes.io/service-name: s%02u}}\naddressType: IPv4\n"
        "ports: [{port: 8080}]\nendpoints:\n",
        number, number);
    for (uint32_t i = 0; i < 1 + (seed >> 4) % 4; i++)
        pg_text_printf(out, "- {addresses: [10.244.%u.%u], nodeName: node%u}\n", 1 + (seed + i) % 2,
                       100 + (seed >> 6) % 20 + i, 1 + (seed + i) % 2);
}

static void assert_same_decision(const struct pg_service_table *a, const struct pg_service_table *b,
                                 const struct pg_tuple *t, uint64_t draw)
{
    struct pg_nat_decision x;
    struct pg_nat_decision y;
    uint16_t entry = pg_nat_entry_node(a, t);

    assert_int_equal(entry, pg_nat_entry_node(b, t));
    pg_nat_decide(a, t, entry, draw, PG_INDEX_NONE, &x);
    pg_nat_decide(b, t, entry, draw, PG_INDEX_NONE, &y);
    assert_int_equal(x.kind, y.kind);
    assert_int_equal(x.capture, y.capture);
    assert_int_equal(x.service, y.service);
    assert_int_equal(x.service_port, y.service_port);
    assert_int_equal(x.endpoint, y.endpoint);
    assert_int_equal(x.candidates, y.candidates);
    assert_int_equal(x.dnat_reason, y.dnat_reason); /* its file and line, too */
    assert_int_equal(x.snat_reason, y.snat_reason);
    assert_true(pg_addr_equal(&x.dnat_addr, &y.dnat_addr));
    assert_true(pg_addr_equal(&x.snat_addr, &y.snat_addr));
}

static void assert_as_new(struct pg_world *w)
{
    struct pg_service_table *fresh = pg_service_table_new(w->snapshot, &w->nat->key);

    assert_non_null(fresh);
    assert_int_equal(w->nat->services->affine_count, fresh->affine_count);
    assert_int_equal(pg_table_count(w->nat->services->by_front), pg_table_count(fresh->by_front));
    for (uint32_t n = 0; n < SERVICES; n++) {
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, Q, 1000, "0.0.0.0", 80);
        for (uint64_t draw = 0; draw < 3; draw++) {
            t.dst = pg_addr_v4(10, 96, 1, (uint8_t)(n + 1));
            t.dst_port = 80;
            assert_same_decision(w->nat->services, fresh, &t, draw);
            t.dst_port = 81;
            assert_same_decision(w->nat->services, fresh, &t, draw);
            t.dst = pg_addr_v4(203, 0, 113, (uint8_t)(n / 2 + 1));
            t.dst_port = (uint16_t)(80 + n % 2);
            assert_same_decision(w->nat->services, fresh, &t, draw);
            t.dst = pg_make_addr("192.0.2.11");
            t.dst_port = (uint16_t)(30000 + n);
            assert_same_decision(w->nat->services, fresh, &t, draw);
        }
    }
    pg_service_table_free(fresh);
}

static void tables_after_many_reloads_answer_as_new_ones(void **state)
{
    struct pg_world *w = *state;
    struct shape shapes[SERVICES] = {{0}};
    struct pg_random random;
    struct pg_text text = {0};

    pg_random_seed(&random, 3);
    for (int round = 0; round < ROUNDS; round++) {
        for (uint32_t changes = pg_random_below(&random, 4); changes > 0; changes--) {
            struct shape *s = &shapes[pg_random_below(&random, SERVICES)];
            s->seed = pg_random_below(&random, 3) ? 1 + pg_random_below(&random, 4096) : 0;
        }
        pg_text_clear(&text);
        lab(&text, round % 40 == 39 ? 3 : 2); /* another node: everything anew */
        if (round % 10 == 9)
            pg_text_puts(&text, "# all lines move\n");
        for (uint32_t i = 0; i < SERVICES; i++) {
            if (shapes[i].seed)
                service(&text, i, shapes[i].seed);
        }
        pg_world_load(w, text.at);
        assert_as_new(w);
        for (uint32_t i = 0; i < 4; i++) { /* flows, so that rows have something to hold */
            struct pg_tuple t =
                pg_make_tuple(i % 2 ? PG_PROTO_TCP : PG_PROTO_UDP, Q, 1, "0.0.0.0", 80);
            struct pg_made m;
            t.src_port = (uint16_t)(1 + pg_random_below(&random, 60000));
            uint32_t to = pg_random_below(&random, SERVICES);
            t.dst = pg_addr_v4(10, 96, 1, (uint8_t)(1 + to));
            t.dst_port = (uint16_t)(80 + to % 2);
            pg_world_first(w, &m, &t);
        }
        pg_world_wait(w, pg_random_below(&random, 20000));
    }
    pg_text_free(&text);
}

static const struct pg_served *served_of(const struct pg_world *w, const char *name)
{
    return pg_service_served(w->nat->services, pg_snapshot_service(w->snapshot, "t", name));
}

static void only_what_changed_is_compiled_anew(void **state)
{
    struct pg_world *w = *state;
    struct pg_text text = {0};
    const struct pg_served *before[3];

    for (int round = 0; round < 2; round++) {
        pg_text_clear(&text);
        lab(&text, 2);
        if (round == 1) /* ahead of the others: all indexes of the snapshot move */
            pg_text_puts(&text,
                         "---\napiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: t}\n"
                         "spec: {clusterIP: 10.96.1.200, ports: [{port: 80}]}\n");
        if (round == 0)
            pg_text_puts(
                &text,
                "#\n#\n#\n#\n#\n"); /* as many lines, so that the others stand where they stood */
        service(&text, 1, 1 << 4 | 1);
        service(&text, 2, 1 << 4 | 1);
        service(&text, 3, round ? 2 << 4 | 1 : 1 << 4 | 1); /* last, and one endpoint more */
        pg_world_load(w, text.at);
        const struct pg_served *now[] = {served_of(w, "s01"), served_of(w, "s02"),
                                         served_of(w, "s03")};
        if (round == 1) {
            assert_ptr_equal(now[0], before[0]);
            assert_ptr_equal(now[1], before[1]);
            assert_ptr_not_equal(now[2], before[2]);
        }
        memcpy(before, now, sizeof(before));
    }
    assert_as_new(w);
    pg_text_free(&text);
}

static uint32_t owner_of(const struct pg_world *w, const struct pg_addr *a)
{
    return pg_front_service(w->nat->services, pg_service_front(w->nat->services, a, 0, 0));
}

static void an_address_passes_to_the_next_service_that_has_it_and_back(void **state)
{
    struct pg_world *w = *state;
    struct pg_addr shared = pg_make_addr("203.0.113.1");
    struct pg_text both = {0};
    struct pg_text second = {0};

    lab(&both, 2);
    lab(&second, 2);
    service(&both, 0, 1);
    service(&both, 1, 1);
    service(&second, 1, 1);
    for (int i = 0; i < 3; i++) {
        pg_world_load(w, both.at);
        assert_int_equal(owner_of(w, &shared), pg_snapshot_service(w->snapshot, "t", "s00"));
        pg_world_load(w, second.at);
        assert_int_equal(owner_of(w, &shared), pg_snapshot_service(w->snapshot, "t", "s01"));
    }
    pg_text_free(&both);
    pg_text_free(&second);
}

static void rows_of_a_service_that_is_gone_end_with_its_last_flow(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, Q, 1, "10.96.1.1", 80);
    struct pg_text text = {0};
    struct pg_text none = {0};
    struct pg_made m;

    lab(&none, 2);
    lab(&text, 2);
    service(&text, 0, 1);
    pg_world_load(w, text.at);
    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_ACCEPT);
    uint32_t name = served_of(w, "s00")->name;
    pg_world_load(w, none.at);
    assert_int_not_equal(pg_use_first_of(w->nat->uses, name), 0);
    pg_world_wait(w, 400000);
    assert_int_equal(pg_use_first_of(w->nat->uses, name), 0);
    pg_text_free(&text);
    pg_text_free(&none);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(tables_after_many_reloads_answer_as_new_ones),
        WORLD_TEST(only_what_changed_is_compiled_anew),
        WORLD_TEST(an_address_passes_to_the_next_service_that_has_it_and_back),
        WORLD_TEST(rows_of_a_service_that_is_gone_end_with_its_last_flow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
