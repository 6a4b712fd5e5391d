/* nat/flow.c: flows come, are found both ways, and go; also against a model of 100,000. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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

static struct pg_tuple plain(uint8_t proto, uint32_t number)
{
    struct pg_tuple t =
        pg_make_tuple(proto, "198.51.0.0", (uint16_t)(1024 + number % 50000), "10.244.2.77", 9999);

    t.src = pg_addr_add(&t.src, number / 50000);
    return t;
}

static enum pg_verdict_nat send_first(struct pg_world *w, const struct pg_tuple *t)
{
    struct pg_made m;

    return pg_world_first(w, &m, t);
}

/* Entry, its word in the pool and its share of the table: also right after the table grew, when it is least full. */
static void a_flow_takes_at_most_200_bytes_all_told(void **state)
{
    struct pg_world *w = *state;

    for (uint32_t i = 1; i <= 110000; i++) {
        struct pg_tuple t = plain(PG_PROTO_UDP, i);
        uint64_t all = (uint64_t)i * (pg_nat_flow_bytes() + sizeof(uint32_t));
        bool had_time_to_move = i == 80000 || i == 110000;

        assert_int_equal(send_first(w, &t), PG_NAT_ACCEPT);
        if (had_time_to_move)
            assert_true(all + pg_table_bytes(w->nat->by_tuple) <= UINT64_C(200) * i);
    }
}

static void packets_are_counted_beyond_32_bits(void **state)
{
    struct pg_flow f = {.packets_low = {UINT32_MAX, 7}, .total = {{.bytes = 1000}}};
    struct pg_packet p = {.len = 40};

    (void)state;
    pg_flow_count(&f, PG_ORIG, &p);
    pg_flow_count(&f, PG_ORIG, &p);
    pg_flow_count(&f, PG_REPLY, &p);
    assert_int_equal(pg_flow_packets(&f, PG_ORIG), (UINT64_C(1) << 32) + 1);
    assert_int_equal(f.total[PG_ORIG].bytes, 1080);
    assert_int_equal(pg_flow_packets(&f, PG_REPLY), 8);
}

static void a_long_flow_ends_when_it_should_and_not_when_it_is_looked_at(void **state)
{
    struct pg_world w;
    struct pg_nat_options options = {.udp = 3000};
    struct pg_tuple t = plain(PG_PROTO_UDP, 1);

    (void)state;
    pg_world_open(&w, &options);
    send_first(&w, &t);
    pg_world_wait(&w, 2999999);
    assert_int_equal(pg_nat_flow_count(w.nat), 1);
    assert_true(pg_nat_next_due_us(w.nat) <= w.now_us + 1000);
    pg_world_wait(&w, 1);
    assert_int_equal(pg_nat_flow_count(w.nat), 0);
    pg_world_close(&w);
}

static void many_ends_at_once_are_taken_in_bounded_steps(void **state)
{
    struct pg_world *w = *state;
    unsigned calls = 0;

    for (uint32_t i = 0; i < 20000; i++) {
        struct pg_tuple t = plain(PG_PROTO_UDP, i);
        w->now_us += 100;
        send_first(w, &t);
    }
    w->now_us += UINT64_C(100000000);
    for (; pg_nat_flow_count(w->nat) > 0; calls++)
        pg_nat_advance(w->nat, w->now_us);
    assert_in_range(calls, 9, 20);
    struct pg_tuple t = plain(PG_PROTO_UDP, 1); /* and the ring goes on as before */
    send_first(w, &t);
    pg_world_wait(w, 29999);
    assert_int_equal(pg_nat_flow_count(w->nat), 1);
    pg_world_wait(w, 1);
    assert_int_equal(pg_nat_flow_count(w->nat), 0);
}

static void an_id_names_one_flow_also_after_its_place_is_used_again(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = plain(PG_PROTO_UDP, 1);
    struct pg_nat_flow_view first;
    struct pg_nat_flow_view second;

    send_first(w, &t);
    assert_true(pg_nat_find(w->nat, &t, w->now_us, &first));
    assert_int_equal(first.id, 1);
    assert_int_equal(pg_nat_delete(w->nat, first.id, w->now_us), 0);
    send_first(w, &t);
    assert_true(pg_nat_find(w->nat, &t, w->now_us, &second));
    assert_true(second.id != first.id);
    assert_int_equal(pg_nat_delete(w->nat, first.id, w->now_us), -ENOENT);
    assert_int_equal(pg_nat_delete(w->nat, 0, w->now_us), -ENOENT);
    assert_int_equal(pg_nat_delete(w->nat, second.id, w->now_us), 0);
}

static void flow_is_found_by_either_tuple(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 40000, NODE1, 30000 + SVC_LOCAL);
    struct pg_nat_flow_view a;
    struct pg_nat_flow_view b;

    assert_int_equal(send_first(w, &t), PG_NAT_ACCEPT);
    assert_true(pg_nat_find(w->nat, &t, w->now_us, &a));
    assert_true(pg_nat_find(w->nat, &a.reply, w->now_us, &b));
    assert_int_equal(a.id, b.id);
    assert_true(a.dnat && a.snat);
    assert_string_equal(a.service_name, "t/local");
    assert_int_equal(a.service, pg_snapshot_service(w->snapshot, "t", "local"));
    assert_int_equal(a.service_port, 80);
    assert_int_equal(a.packets[0], 1);
    assert_int_equal(a.bytes[0], 40);
}

static void deleted_flow_is_gone(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = plain(PG_PROTO_UDP, 1);
    struct pg_nat_flow_view v;

    send_first(w, &t);
    assert_true(pg_nat_find(w->nat, &t, w->now_us, &v));
    assert_int_equal(pg_nat_delete(w->nat, v.id, w->now_us), 0);
    assert_int_equal(pg_nat_delete(w->nat, v.id, w->now_us), -ENOENT);
    assert_false(pg_nat_find(w->nat, &t, w->now_us, &v));
    assert_int_equal(pg_nat_next_due_us(w->nat), UINT64_MAX);
}

static void full_table_ends_an_unassured_flow_first(void **state)
{
    struct pg_world w;
    struct pg_nat_options options = {.flow_limit = 64};

    (void)state;
    pg_world_open(&w, &options);
    for (uint32_t i = 0; i < 100; i++) {
        struct pg_tuple t = plain(PG_PROTO_UDP, i);
        assert_int_equal(send_first(&w, &t), PG_NAT_ACCEPT);
    }
    assert_int_equal(pg_nat_flow_count(w.nat), 64);
    assert_int_equal(w.counters.value[PG_COUNT_CT_EARLY_DROP], 36);
    assert_int_equal(pg_nat_flow_high_water(w.nat), 64);
    pg_world_close(&w);
}

static void the_oldest_of_eight_makes_room(void **state)
{
    struct pg_world w;
    struct pg_nat_options options = {.flow_limit = 8};

    (void)state;
    pg_world_open(&w, &options);
    for (uint32_t i = 0; i < 40; i++) { /* each pushes out the one eight before it */
        struct pg_tuple t = plain(PG_PROTO_TCP, i);
        assert_int_equal(send_first(&w, &t), PG_NAT_ACCEPT);
        for (uint32_t k = 0; k <= i; k++) {
            struct pg_tuple other = plain(PG_PROTO_TCP, k);
            struct pg_tuple begun;
            assert_int_equal(pg_nat_begun_as(w.nat, &other, &begun), k + 8 > i);
        }
        pg_world_wait(&w, 10);
    }
    pg_world_close(&w);
}

static void assured_flows_are_not_pushed_out(void **state)
{
    struct pg_world w;
    struct pg_nat_options options = {.flow_limit = 8};
    struct pg_made m;

    (void)state;
    pg_world_open(&w, &options);
    for (uint32_t i = 0; i < 8; i++) {
        struct pg_tuple t = plain(PG_PROTO_TCP, i);
        struct pg_tuple answer = pg_tuple_invert(&t);
        assert_int_equal(send_first(&w, &t), PG_NAT_ACCEPT);
        pg_make_tcp(&m, &answer, PG_TCP_SYN | PG_TCP_ACK, 1, 1001, 0);
        assert_int_equal(pg_world_send(&w, &m), PG_NAT_ACCEPT);
        pg_make_tcp(&m, &t, PG_TCP_ACK, 1001, 2, 0);
        assert_int_equal(pg_world_send(&w, &m), PG_NAT_ACCEPT);
    }
    struct pg_tuple late = plain(PG_PROTO_TCP, 99);
    assert_int_equal(send_first(&w, &late), PG_NAT_DROP);
    assert_int_equal(w.drop, PG_DROP_TABLE_FULL);
    pg_world_close(&w);
}

struct counted {
    uint32_t flows;
    uint64_t ids;
};

static void count_flow(void *arg, const struct pg_nat_flow_view *f)
{
    struct counted *c = arg;

    c->flows++;
    c->ids += f->id;
}

static void walk_shows_each_flow_once(void **state)
{
    struct pg_world *w = *state;
    struct counted c = {0};
    uint64_t cursor = 0;
    unsigned steps = 1;

    for (uint32_t i = 0; i < 500; i++) {
        struct pg_tuple t = plain(PG_PROTO_UDP, i);
        send_first(w, &t);
    }
    /* The table may be growing: begin when it has moved everything. */
    while (pg_nat_walk(w->nat, &cursor, 50, w->now_us, count_flow, &c))
        steps++;
    assert_in_range(c.flows, 500, 600); /* a few twice */
    assert_true(steps > 10);
}

/* ---- the model ---- */

#define MODEL_FLOWS 100000u
#define MODEL_STEPS 100000u
#define UDP_MS      30000u

/* What a table of plain UDP flows must say: number -> when it ends. */
static void table_agrees_with_a_model_of_100000_random_flows(void **state)
{
    struct pg_world *w = *state;
    uint64_t *due = calloc(MODEL_FLOWS, sizeof(*due));
    struct pg_random random;
    uint32_t live = 0;

    assert_non_null(due);
    pg_random_seed(&random, 7);
    for (uint32_t step = 0; step < MODEL_STEPS; step++) {
        uint32_t number = pg_random_below(&random, MODEL_FLOWS);
        struct pg_tuple t = plain(PG_PROTO_UDP, number);
        if (send_first(w, &t) != PG_NAT_ACCEPT)
            fail_msg("step %u refused", step);
        due[number] = w->now_us / 1000 + UDP_MS;
        if (step % 1000 != 999)
            continue;
        pg_world_wait(w, pg_random_below(&random, 3000));
        live = 0;
        for (uint32_t i = 0; i < MODEL_FLOWS; i++)
            live += due[i] > w->now_us / 1000;
        assert_int_equal(pg_nat_flow_count(w->nat), live);
    }
    for (uint32_t i = 0; i < MODEL_FLOWS; i += 7) {
        struct pg_tuple t = plain(PG_PROTO_UDP, i);
        struct pg_tuple answer = pg_tuple_invert(&t);
        struct pg_nat_flow_view v;
        bool wanted = due[i] > w->now_us / 1000;
        assert_int_equal(pg_nat_find(w->nat, &t, w->now_us, &v), wanted);
        assert_int_equal(pg_nat_find(w->nat, &answer, w->now_us, &v), wanted);
    }
    assert_true(live > 0);
    free(due);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(a_flow_takes_at_most_200_bytes_all_told),
        cmocka_unit_test(packets_are_counted_beyond_32_bits),
        WORLD_TEST(flow_is_found_by_either_tuple),
        WORLD_TEST(deleted_flow_is_gone),
        cmocka_unit_test(full_table_ends_an_unassured_flow_first),
        cmocka_unit_test(the_oldest_of_eight_makes_room),
        cmocka_unit_test(assured_flows_are_not_pushed_out),
        cmocka_unit_test(a_long_flow_ends_when_it_should_and_not_when_it_is_looked_at),
        WORLD_TEST(many_ends_at_once_are_taken_in_bounded_steps),
        WORLD_TEST(an_id_names_one_flow_also_after_its_place_is_used_again),
        WORLD_TEST(walk_shows_each_flow_once),
        WORLD_TEST(table_agrees_with_a_model_of_100000_random_flows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
