/* nat/port_alloc.c: ports kept, changed on a clash, drawn from their class, and used up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

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

static struct pg_tuple first_of(uint16_t src_port, unsigned service)
{
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, Q, src_port, "0.0.0.0", 80);

    t.dst = pg_world_cluster_ip(service);
    return t;
}

static uint16_t port_seen(struct pg_world *w, const struct pg_tuple *t)
{
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, t), PG_NAT_ACCEPT);
    return m.p.tuple.src_port;
}

static void port_changes_when_two_services_lead_to_one_endpoint(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple one = first_of(42000, SVC_LOCAL);
    struct pg_tuple same = first_of(42000, SVC_SAME);
    struct pg_tuple direct = pg_make_tuple(PG_PROTO_TCP, Q, 42000, P1, 8080);

    pg_trace_set_level(w->trace, PG_TRACE_FLOWS);
    assert_int_equal(port_seen(w, &one), 42000);
    uint16_t second = port_seen(w, &same);
    uint16_t third = port_seen(w, &direct);
    assert_int_not_equal(second, 42000);
    assert_int_not_equal(third, 42000);
    assert_int_not_equal(third, second);
    assert_true(second >= 1024 && third >= 1024);
    assert_int_equal(w->counters.value[PG_COUNT_CT_CLASH], 2);
    assert_int_equal(pg_world_last_code(w, PG_STAGE_NAT_POSTROUTING, PG_FIELD_SRC),
                     PG_CODE_PORT_CLASH);

    /* and the answer to the changed port finds its own flow */
    struct pg_tuple answer = pg_make_tuple(PG_PROTO_TCP, P1, 8080, Q, second);
    struct pg_tuple wanted = pg_tuple_invert(&same);
    struct pg_made m;
    pg_make_tcp(&m, &answer, PG_TCP_SYN | PG_TCP_ACK, 1, 1001, 0);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    assert_true(pg_tuple_equal(&m.p.tuple, &wanted));
}

static void masquerade_draws_from_the_class_of_the_port(void **state)
{
    static const struct {
        uint16_t from, low, high;
    } classes[] = {{1, 1, 511},       {511, 1, 511},       {512, 600, 1023},
                   {1023, 600, 1023}, {1024, 1024, 65535}, {65535, 1024, 65535}};
    struct pg_world *w = *state;

    for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
        for (uint8_t client = 0; client < 50; client++) {
            struct pg_tuple t = pg_make_tuple(PG_PROTO_UDP, CLIENT, classes[i].from, NODE1, 30053);
            t.src = pg_addr_v4(198, 51, (uint8_t)i, client);
            uint16_t port = port_seen(w, &t);
            assert_true(port >= classes[i].low && port <= classes[i].high);
        }
    }
}

static void masquerade_hardly_ever_keeps_the_port(void **state)
{
    struct pg_world *w = *state;
    unsigned kept = 0;

    for (uint16_t port = 40000; port < 40500; port++) {
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, port, NODE1, 30000 + SVC_LOCAL);
        kept += port_seen(w, &t) == port;
    }
    assert_true(kept < 5);
}

/* Class 1..511: with so few ports it fails for good soon, and by chance a little before. */
static void exhaustion_is_a_counted_drop(void **state)
{
    struct pg_world *w = *state;
    unsigned passed = 0;
    unsigned failed = 0;

    for (unsigned i = 0; i < 600; i++) {
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 100, NODE1, 30000 + SVC_LOCAL);
        struct pg_made m;
        t.src = pg_addr_v4(198, 51, (uint8_t)(i / 200), (uint8_t)(1 + i % 200));
        if (pg_world_first(w, &m, &t) == PG_NAT_ACCEPT) {
            passed++;
            continue;
        }
        failed++;
        assert_int_equal(w->drop, PG_DROP_INSERT_FAILED);
        assert_true(pg_tuple_equal(&m.p.tuple, &t)); /* refused before anything was rewritten */
    }
    assert_true(passed > 450 && passed <= 511);
    assert_int_equal(passed + failed, 600);

    /* another endpoint has all its ports still */
    struct pg_tuple other = pg_make_tuple(PG_PROTO_TCP, CLIENT, 100, NODE1, 30000 + SVC_REMOTE);
    struct pg_made m;
    assert_int_equal(pg_world_first(w, &m, &other), PG_NAT_ACCEPT);
}

/* 128 ports, then 64, 32, 16 and 8, each time from a new place: five draws behind the decision's. */
static void five_rounds_are_tried_and_no_more(void **state)
{
    struct pg_world *w = *state;
    struct pg_random then;
    struct pg_made m;

    for (unsigned i = 0; i < 4000; i++) {
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 100, NODE1, 30000 + SVC_LOCAL);
        t.src = pg_addr_v4(198, 51, (uint8_t)(i / 200), (uint8_t)(1 + i % 200));
        then = w->random;
        if (pg_world_first(w, &m, &t) != PG_NAT_ACCEPT)
            break;
    }
    (void)pg_random_u64(&then);
    for (int i = 0; i < 5; i++)
        (void)pg_random_below(&then, 511);
    assert_int_equal(w->drop, PG_DROP_INSERT_FAILED);
    assert_memory_equal(&then, &w->random, sizeof(then));
}

/* 64,512 flows from one address to one port of one endpoint; by chance it ends a little before. */
static void an_address_has_64512_ports_towards_an_endpoint(void **state)
{
    struct pg_world *w = *state;
    unsigned passed = 0;
    unsigned failed = 0;
    struct pg_made m;

    for (unsigned i = 0; i < 70000; i++) {
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 40000, NODE1, 30000 + SVC_LOCAL);
        t.src = pg_addr_v4(198, 18, (uint8_t)(i >> 8), (uint8_t)i);
        t.src_port = (uint16_t)(40000 + (i >> 16));
        bool good = pg_world_first(w, &m, &t) == PG_NAT_ACCEPT;
        assert_true(good || w->drop == PG_DROP_INSERT_FAILED);
        passed += good;
        failed += !good;
    }
    assert_true(passed > 64000 && passed <= 64512);
    assert_true(failed >= 70000 - 64512);
}

/* What has neither port nor identifier can not be told apart by one. */
static void other_transports_have_nothing_to_draw(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(50, Q, 0, P1, 0);
    struct pg_flow f = {.proto = 50};
    struct pg_packet p = {.proto = 50};

    struct pg_addr node = pg_make_addr(NODE1);
    uint32_t hash[2];

    f.src[PG_ORIG] = t.src;
    f.src[PG_REPLY] = t.dst;
    f.dst_number[PG_REPLY] = pg_addresses_number(&w->nat->addresses, &node);
    assert_true(pg_port_choose(w->nat, &f, &p, PG_PORT_DRAW, &hash[PG_REPLY]));
    pg_flow_set_due(&f, 600000);
    assert_true(pg_flow_make_room(w->nat));
    hash[PG_ORIG] = pg_flow_hash(w->nat, &t);
    pg_flow_insert(w->nat, &f, hash);
    f.src[PG_ORIG] = pg_make_addr(CLIENT);
    assert_false(pg_port_choose(w->nat, &f, &p, PG_PORT_DRAW, &hash[PG_REPLY]));
    assert_int_equal(f.src_port[PG_REPLY] | f.dst_port[PG_REPLY], 0);
}

static void finish(struct pg_world *w, const struct pg_tuple *client, const struct pg_tuple *server)
{
    static const struct {
        bool server;
        uint8_t flags;
        uint32_t seq, ack;
    } steps[] = {{true, PG_TCP_SYN | PG_TCP_ACK, 5000, 1001},
                 {false, PG_TCP_ACK, 1001, 5001},
                 {false, PG_TCP_FIN | PG_TCP_ACK, 1001, 5001},
                 {true, PG_TCP_FIN | PG_TCP_ACK, 5001, 1002},
                 {false, PG_TCP_ACK, 1002, 5002}};
    struct pg_made m;

    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        pg_make_tcp(&m, steps[i].server ? server : client, steps[i].flags, steps[i].seq,
                    steps[i].ack, 0);
        assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    }
}

static void time_wait_makes_way_for_a_newer_syn(void **state)
{
    struct pg_world *w = *state;
    struct pg_made m;

    for (unsigned i = 0; i < 511; i++) { /* fill the class with flows in TIME_WAIT */
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 100, NODE1, 30000 + SVC_LOCAL);
        t.src = pg_addr_v4(198, 51, (uint8_t)(i / 200), (uint8_t)(1 + i % 200));
        if (pg_world_first(w, &m, &t) != PG_NAT_ACCEPT)
            continue;
        struct pg_tuple server = pg_tuple_invert(&m.p.tuple);
        finish(w, &t, &server);
    }
    for (unsigned i = 0; i < 200; i++) { /* sequence 1000 is behind all of them: no use */
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 100, NODE1, 30000 + SVC_LOCAL);
        t.src = pg_addr_v4(198, 51, 50, (uint8_t)i);
        (void)pg_world_first(w, &m, &t);
    }
    uint32_t full = pg_nat_flow_count(w->nat);
    assert_true(full > 450);
    for (unsigned i = 0; i < 80;
         i++) { /* more than there are ports left: each new one ends an old one */
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 100, NODE1, 30000 + SVC_LOCAL);
        t.src = pg_addr_v4(198, 51, 99, (uint8_t)i);
        pg_make_tcp(&m, &t, PG_TCP_SYN, 900000, 0, 0);
        assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    }
    assert_true(pg_nat_flow_count(w->nat) <= 511);
}

/* The n-th client that asks from a port of class 1..511. true: it was given one. */
static bool low_port(struct pg_world *w, unsigned n, struct pg_tuple *ret, struct pg_made *m)
{
    *ret = pg_make_tuple(PG_PROTO_TCP, CLIENT, 100, NODE1, 30000 + SVC_LOCAL);
    ret->src = pg_addr_v4(198, 18, (uint8_t)(n >> 8), (uint8_t)n);
    return pg_world_first(w, m, ret) == PG_NAT_ACCEPT;
}

static void who_completes_nothing_gives_its_port_to_a_newcomer(void **state)
{
    struct pg_world *w = *state;
    struct pg_made m;
    struct pg_tuple t;

    for (unsigned i = 0; i < 600; i++)
        (void)low_port(w, i, &t, &m);
    uint32_t full = pg_nat_flow_count(w->nat);
    assert_in_range(full, 450, 511);
    assert_int_equal(w->counters.value[PG_COUNT_CT_PORT_TAKEN_OVER], 0); /* it is early yet */
    pg_world_wait(w, 600);
    for (unsigned i = 600; i < 900; i++)
        assert_true(low_port(w, i, &t, &m));
    assert_in_range(pg_nat_flow_count(w->nat), full, 511);
    assert_true(w->counters.value[PG_COUNT_CT_PORT_TAKEN_OVER] >= 300 - (511 - full));

    /* an answer to the flow that ended is nobody's, one to the newest finds it */
    struct pg_tuple wanted = pg_tuple_invert(&t);
    struct pg_tuple answer = pg_tuple_invert(&m.p.tuple);
    pg_make_tcp(&m, &answer, PG_TCP_SYN | PG_TCP_ACK, 5000, 1001, 0);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    assert_true(pg_tuple_equal(&m.p.tuple, &wanted));
}

static void who_has_completed_keeps_its_port(void **state)
{
    struct pg_world *w = *state;
    struct pg_made m;
    struct pg_tuple t;
    unsigned open = 0;

    for (unsigned i = 0; i < 600; i++) {
        if (!low_port(w, i, &t, &m))
            continue;
        struct pg_tuple server = pg_tuple_invert(&m.p.tuple);
        pg_make_tcp(&m, &server, PG_TCP_SYN | PG_TCP_ACK, 5000, 1001, 0);
        assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
        pg_make_tcp(&m, &t, PG_TCP_ACK, 1001, 5001, 0);
        assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
        open++;
    }
    pg_world_wait(w, 60000);
    for (unsigned i = 600; i < 900; i++)
        open += low_port(w, i, &t, &m);
    assert_int_equal(w->counters.value[PG_COUNT_CT_PORT_TAKEN_OVER], 0);
    assert_int_equal(pg_nat_flow_count(w->nat), open);
    assert_true(open <= 511);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(port_changes_when_two_services_lead_to_one_endpoint),
        WORLD_TEST(masquerade_draws_from_the_class_of_the_port),
        WORLD_TEST(masquerade_hardly_ever_keeps_the_port),
        WORLD_TEST(exhaustion_is_a_counted_drop),
        WORLD_TEST(five_rounds_are_tried_and_no_more),
        WORLD_TEST(an_address_has_64512_ports_towards_an_endpoint),
        WORLD_TEST(other_transports_have_nothing_to_draw),
        WORLD_TEST(time_wait_makes_way_for_a_newer_syn),
        WORLD_TEST(who_completes_nothing_gives_its_port_to_a_newcomer),
        WORLD_TEST(who_has_completed_keeps_its_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
