/* nat/events.c: what is told of a flow's life, to whom, and what is missed. */
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

static struct pg_tuple client_of(uint16_t port)
{
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, Q, port, "0.0.0.0", 80);

    t.dst = pg_world_cluster_ip(SVC_REMOTE);
    return t;
}

static void send_tcp(struct pg_world *w, const struct pg_tuple *t, uint8_t flags, uint32_t seq,
                     uint32_t ack)
{
    struct pg_made m;

    pg_make_tcp(&m, t, flags, seq, ack, 0);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
}

static void assert_event(struct pg_world *w, uint64_t *number, enum pg_nat_event_kind kind,
                         enum pg_tcp_state state, bool assured)
{
    struct pg_nat_event e;
    uint64_t missed;

    assert_true(pg_nat_read_event(w->nat, number, &e, &missed));
    assert_int_equal(missed, 0);
    assert_int_equal(e.kind, kind);
    assert_string_equal(pg_ct_state_name(e.flow.state), pg_ct_state_name(state));
    assert_int_equal(e.flow.assured, assured);
}

static bool is_over(struct pg_world *w, uint64_t *number)
{
    struct pg_nat_event e;
    uint64_t missed;

    return !pg_nat_read_event(w->nat, number, &e, &missed);
}

static void life_of_a_connection_is_told(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple client = client_of(40000);
    struct pg_tuple server = pg_make_tuple(PG_PROTO_TCP, P2, 8080, Q, 40000);

    assert_int_equal(pg_nat_watch_events(w->nat, true), 0);
    uint64_t number = pg_nat_next_event(w->nat);
    send_tcp(w, &client, PG_TCP_SYN, 100, 0);
    assert_event(w, &number, PG_NAT_EVENT_NEW, PG_CT_SYN_SENT, false);
    send_tcp(w, &client, PG_TCP_SYN, 100, 0);
    assert_true(is_over(w, &number)); /* nothing changed */
    send_tcp(w, &server, PG_TCP_SYN | PG_TCP_ACK, 900, 101);
    assert_event(w, &number, PG_NAT_EVENT_UPDATE, PG_CT_SYN_RECV, false);
    send_tcp(w, &client, PG_TCP_ACK, 101, 901);
    assert_event(w, &number, PG_NAT_EVENT_UPDATE, PG_CT_ESTABLISHED, true);
    send_tcp(w, &client, PG_TCP_ACK, 101, 901);
    assert_true(is_over(w, &number));
    send_tcp(w, &server, PG_TCP_RST, 901, 0);
    assert_event(w, &number, PG_NAT_EVENT_UPDATE, PG_CT_CLOSE, true);
    pg_world_wait(w, 11000);
    assert_event(w, &number, PG_NAT_EVENT_DESTROY, PG_CT_CLOSE, true);
    assert_true(is_over(w, &number));
    assert_int_equal(pg_nat_watch_events(w->nat, false), 0);
}

static void refused_connection_begins_and_ends(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple client = client_of(40000);
    struct pg_tuple server = pg_make_tuple(PG_PROTO_TCP, P2, 8080, Q, 40000);

    pg_nat_watch_events(w->nat, true);
    uint64_t number = pg_nat_next_event(w->nat);
    send_tcp(w, &client, PG_TCP_SYN, 100, 0);
    send_tcp(w, &server, PG_TCP_RST | PG_TCP_ACK, 0, 101);
    assert_event(w, &number, PG_NAT_EVENT_NEW, PG_CT_SYN_SENT, false);
    assert_event(w, &number, PG_NAT_EVENT_DESTROY, PG_CT_CLOSE, false);
    assert_true(is_over(w, &number));
    pg_nat_watch_events(w->nat, false);
}

static void slow_reader_is_told_what_it_missed(void **state)
{
    struct pg_world *w = *state;
    struct pg_nat_event e;
    uint64_t missed;

    pg_nat_watch_events(w->nat, true);
    uint64_t number = pg_nat_next_event(w->nat);
    for (unsigned i = 0; i < 5000; i++) {
        struct pg_tuple client = client_of((uint16_t)(10000 + i));
        send_tcp(w, &client, PG_TCP_SYN, 100, 0);
    }
    assert_true(pg_nat_read_event(w->nat, &number, &e, &missed));
    assert_int_equal(missed, 5000 - 4096);
    assert_int_equal(e.flow.orig.src_port, 10000 + 5000 - 4096);
    pg_nat_watch_events(w->nat, false);
}

static void numbers_go_on_when_nobody_watched_for_a_while(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple client = client_of(40000);

    pg_nat_watch_events(w->nat, true);
    uint64_t number = pg_nat_next_event(w->nat);
    send_tcp(w, &client, PG_TCP_SYN, 100, 0);
    pg_nat_watch_events(w->nat, false);
    client = client_of(40001);
    send_tcp(w, &client, PG_TCP_SYN, 100, 0); /* nobody is told */
    pg_nat_watch_events(w->nat, true);
    assert_int_equal(pg_nat_next_event(w->nat), number + 1);
    assert_true(is_over(w, &(uint64_t){number + 1}));
    pg_nat_watch_events(w->nat, false);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(life_of_a_connection_is_told),
        WORLD_TEST(refused_connection_begins_and_ends),
        WORLD_TEST(slow_reader_is_told_what_it_missed),
        WORLD_TEST(numbers_go_on_when_nobody_watched_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
