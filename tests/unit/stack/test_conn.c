/* Connections between two ends of one stack, over a wire in virtual time: opening, talking,
 * closing, giving up. */
#include "podglass/log.h"

#include "stack_internal.h"
#include "stack_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct stack_world w;
static struct end client;
static struct end server;
static uint64_t blocks_before;

static struct pg_addr client_addr(void)
{
    return pg_addr_v4(198, 51, 100, 7);
}

static struct pg_addr server_addr(void)
{
    return pg_addr_v4(192, 0, 2, 1);
}

static void open_world(const struct pg_stack_options *options)
{
    memset(&client, 0, sizeof client);
    memset(&server, 0, sizeof server);
    blocks_before = pg_lwip_blocks();
    world_open(&w, options);
    w.listener = (struct pg_listener){end_accept, &server};
}

static int set_up(void **state)
{
    open_world(NULL);
    return 0;
}

static int tear_down(void **state)
{
    world_close(&w);
    assert_int_equal(pg_lwip_blocks(), blocks_before);
    return 0;
}

static void connect_ends(void)
{
    end_connect(&w, &client, client_addr(), server_addr(), 80);
    world_run(&w, SECOND_US / 10);
    assert_true(client.opened);
    assert_true(server.opened);
}

static void close_both(void)
{
    if (client.conn != NULL)
        pg_conn_close(client.conn);
    if (server.conn != NULL)
        pg_conn_close(server.conn);
    client.closed = server.closed = true;
}

static void handshake_is_seen_by_both_ends(void **state)
{
    struct pg_conn_view view;
    uint16_t port;

    connect_ends();
    pg_conn_look(server.conn, &view);
    assert_string_equal(view.state, "ESTAB");
    assert_int_equal(view.label, 77);
    assert_int_equal(view.mss, 1460);
    assert_int_equal(view.local_port, 80);
    assert_true(view.rtt_us > 0);
    pg_conn_local(client.conn, &port);
    assert_int_equal(view.peer_port, port);
    assert_int_equal(pg_stack_conn_count(w.stack), 2);
    close_both();
}

static void what_is_written_comes_back_from_an_echo(void **state)
{
    connect_ends();
    server.echoes = true;
    client.to_send = 300000;
    client.shuts_down = true;
    end_pump(&client);
    world_run(&w, 2 * SECOND_US);
    assert_int_equal(client.received, 300000);
    assert_false(client.wrong);
    assert_true(client.ended);
    close_both();
}

static void ipv6_works_alike(void **state)
{
    struct pg_addr a, b;

    assert_int_equal(pg_addr_parse("2001:db8::7", 11, &a), 0);
    assert_int_equal(pg_addr_parse("2001:db8::1", 11, &b), 0);
    end_connect(&w, &client, a, b, 80);
    client.to_send = 200000;
    client.shuts_down = true;
    world_run(&w, SECOND_US);
    assert_int_equal(server.received, 200000);
    assert_false(server.wrong);
    assert_true(server.ended);
    close_both();
}

static void client_may_close_first(void **state)
{
    connect_ends();
    pg_conn_shutdown(client.conn);
    world_run(&w, SECOND_US);
    assert_true(server.ended);
    server.to_send = 5000;
    end_pump(&server);
    world_run(&w, SECOND_US);
    assert_int_equal(client.received, 5000);
    pg_conn_close(server.conn);
    world_run(&w, SECOND_US);
    assert_true(client.ended);
    assert_false(client.closed);
    assert_int_equal(pg_stack_time_wait_count(w.stack), 1);
    pg_conn_close(client.conn);
    world_run(&w, SECOND_US);
    assert_int_equal(pg_stack_conn_count(w.stack), 0);
    world_run(&w, 60 * SECOND_US);
    assert_int_equal(pg_stack_time_wait_count(w.stack), 0);
}

static void server_may_close_first(void **state)
{
    connect_ends();
    pg_conn_shutdown(server.conn);
    world_run(&w, SECOND_US);
    assert_true(client.ended);
    client.to_send = 5000;
    client.shuts_down = true;
    end_pump(&client);
    world_run(&w, SECOND_US);
    assert_int_equal(server.received, 5000);
    assert_true(server.ended);
    close_both();
    world_run(&w, SECOND_US);
    assert_int_equal(pg_stack_conn_count(w.stack), 0);
}

static void both_may_close_at_once(void **state)
{
    connect_ends();
    close_both();
    world_run(&w, SECOND_US);
    assert_int_equal(pg_stack_conn_count(w.stack), 0);
    assert_int_equal(pg_stack_time_wait_count(w.stack), 2);
}

static void close_sends_what_was_written_before(void **state)
{
    connect_ends();
    client.to_send = 900000;
    end_pump(&client);
    assert_int_equal(client.to_send, 0);
    pg_conn_close(client.conn);
    world_run(&w, SECOND_US);
    assert_int_equal(server.received, 900000);
    assert_false(server.wrong);
    assert_true(server.ended);
    pg_conn_close(server.conn);
}

static void abort_resets_the_peer(void **state)
{
    connect_ends();
    pg_conn_abort(client.conn);
    world_run(&w, SECOND_US);
    assert_true(server.closed);
    assert_int_equal(server.error, -ECONNRESET);
    assert_int_equal(pg_stack_conn_count(w.stack), 0);
}

static void bytes_before_a_reset_are_still_read(void **state)
{
    connect_ends();
    client.to_send = 3000;
    end_pump(&client);
    pg_conn_push(client.conn);
    pg_conn_abort(client.conn);
    world_run(&w, SECOND_US);
    assert_int_equal(server.received, 3000);
    assert_true(server.closed);
}

static void nobody_listens_so_connect_is_refused(void **state)
{
    w.listening = false;
    end_connect(&w, &client, client_addr(), server_addr(), 81);
    world_run(&w, SECOND_US);
    assert_true(client.closed);
    assert_int_equal(client.error, -ECONNREFUSED);
    assert_int_equal(w.counters.drop[PG_DROP_NO_LISTENER], 1);
}

static bool stop_listening_at_syn_ack(void *arg, const struct pg_packet *p)
{
    if ((p->tcp_flags & (PG_TCP_SYN | PG_TCP_ACK)) == (PG_TCP_SYN | PG_TCP_ACK))
        w.listening = false;
    return true;
}

static void listener_that_goes_away_during_the_handshake_resets(void **state)
{
    w.look = stop_listening_at_syn_ack;
    end_connect(&w, &client, client_addr(), server_addr(), 80);
    world_run(&w, SECOND_US);
    assert_true(client.closed);
    assert_int_equal(client.error, -ECONNRESET);
    assert_false(server.opened);
}

static bool count_syns(void *arg, const struct pg_packet *p)
{
    uint64_t *times = arg;

    if ((p->tcp_flags & PG_TCP_SYN) && times[0] < 15) {
        times[0]++;
        times[times[0]] = w.now_us / 1000;
    }
    return true;
}

static void syn_is_repeated_after_1_3_7_11_15_19_seconds_and_given_up_at_23(void **state)
{
    static uint64_t times[16];
    uint64_t begin = w.now_us / 1000;
    static const uint64_t expected[] = {0, 1000, 3000, 7000, 11000, 15000, 19000};

    memset(times, 0, sizeof times);
    w.look = count_syns;
    w.look_arg = times;
    w.deaf = true;
    end_connect(&w, &client, client_addr(), server_addr(), 80);
    world_run(&w, 22 * SECOND_US);
    assert_false(client.closed);
    assert_int_equal(times[0], 7);
    for (size_t i = 0; i < 7; i++)
        assert_in_range(times[i + 1] - begin, expected[i], expected[i] + 2 * i);
    world_run(&w, 2 * SECOND_US);
    assert_true(client.closed);
    assert_int_equal(client.error, -ETIMEDOUT);
}

static void icmp_port_unreachable_refuses_an_opening_connection_only(void **state)
{
    struct pg_tuple quoted;

    connect_ends();
    quoted = pg_tuple_invert(&client.conn->tuple);
    pg_stack_icmp_error(w.stack, &quoted, 3, 3);
    world_run(&w, SECOND_US);
    assert_false(client.closed);
    close_both();
    world_run(&w, SECOND_US);

    memset(&client, 0, sizeof client);
    w.deaf = true;
    end_connect(&w, &client, client_addr(), server_addr(), 80);
    quoted = pg_tuple_invert(&client.conn->tuple);
    pg_stack_icmp_error(w.stack, &quoted, 3, 1);
    assert_false(client.closed); /* never from within a call that is not the stack's own turn */
    world_run(&w, SECOND_US / 10);
    assert_true(client.closed);
    assert_int_equal(client.error, -EHOSTUNREACH);
}

static void a_reader_that_stops_holds_at_most_its_window(void **state)
{
    connect_ends();
    server.stalls = true;
    client.to_send = 20000000;
    end_pump(&client);
    world_run(&w, 2 * SECOND_US);
    assert_in_range(pg_conn_unread(server.conn), 200 * 1024, 256 * 1024);
    assert_int_equal(pg_stack_held_bytes(w.stack), pg_conn_unread(server.conn));
    world_run(&w, 300 * SECOND_US); /* probes go on, the connection lives */
    assert_false(client.closed);
    server.stalls = false;
    end_pump(&server);
    world_run(&w, 100 * SECOND_US);
    assert_int_equal(server.received, 20000000);
    assert_false(server.wrong);
    close_both();
}

static bool drop_window_updates(void *arg, const struct pg_packet *p)
{
    bool *on = arg;

    return !*on || p->tuple.src_port != 80;
}

static void a_lost_window_update_is_found_by_a_probe(void **state)
{
    static bool on;

    connect_ends();
    server.stalls = true;
    client.to_send = 1000000;
    end_pump(&client);
    world_run(&w, SECOND_US);
    w.look = drop_window_updates;
    w.look_arg = &on;
    on = true;
    server.stalls = false;
    end_pump(&server);
    world_run(&w, SECOND_US / 1000);
    on = false;
    world_run(&w, 70 * SECOND_US);
    assert_int_equal(server.received, 1000000);
    close_both();
}

static void both_windows_shut_does_not_make_acks_without_end(void **state)
{
    uint64_t packets;

    connect_ends();
    client.stalls = server.stalls = true;
    client.to_send = server.to_send = 2000000;
    end_pump(&client);
    end_pump(&server);
    world_run(&w, 5 * SECOND_US);
    packets = w.packets;
    world_run(&w, 60 * SECOND_US);
    assert_in_range(w.packets - packets, 0, 40);
    client.stalls = server.stalls = false;
    end_pump(&client);
    end_pump(&server);
    world_run(&w, 70 * SECOND_US);
    assert_int_equal(client.received, 2000000);
    assert_int_equal(server.received, 2000000);
    close_both();
}

static void a_dead_peer_is_noticed(void **state)
{
    connect_ends();
    w.deaf = true;
    client.to_send = 1000;
    end_pump(&client);
    world_run(&w, 400 * SECOND_US);
    assert_true(client.closed);
    assert_int_equal(client.error, -ETIMEDOUT);
    pg_conn_close(server.conn);
    world_run(&w, 400 * SECOND_US);
    assert_int_equal(pg_stack_conn_count(w.stack), 0);
}

static void an_idle_connection_has_no_timer(void **state)
{
    connect_ends();
    world_run(&w, 10 * SECOND_US);
    assert_int_equal(pg_stack_next_due_us(w.stack), UINT64_MAX);
    close_both();
}

static void a_lone_small_segment_is_acknowledged_after_40_ms(void **state)
{
    uint64_t begin;

    connect_ends();
    client.to_send = 10;
    end_pump(&client);
    begin = w.packets;
    world_run(&w, 39000);
    assert_int_equal(w.packets - begin, 1);
    world_run(&w, 3000);
    assert_int_equal(w.packets - begin, 2);
    assert_int_equal(pg_conn_unacked(client.conn), 0);
    close_both();
}

static void a_turns_writes_leave_in_one_packet(void **state)
{
    uint64_t begin;

    connect_ends();
    begin = w.packets;
    for (int i = 0; i < 10; i++)
        assert_int_equal(pg_conn_write(client.conn, "0123456789", 10), 0);
    world_run(&w, 0);
    assert_int_equal(w.packets - begin, 1);
    assert_int_equal(pg_conn_unread(server.conn), 0);
    assert_int_equal(server.received, 100);
    close_both();
}

static void write_is_all_or_nothing(void **state)
{
    static uint8_t big[1024 * 1024 + 1];
    uint32_t room;

    connect_ends();
    room = pg_conn_room(client.conn);
    assert_int_equal(room, 1024 * 1024);
    assert_int_equal(pg_conn_write(client.conn, big, room + 1), -ENOBUFS);
    assert_int_equal(pg_conn_room(client.conn), room);
    assert_int_equal(pg_conn_write(client.conn, big, room), 0);
    assert_int_equal(pg_conn_room(client.conn), 0);
    pg_conn_shutdown(client.conn);
    assert_int_equal(pg_conn_write(client.conn, big, 1), -ENOTCONN);
    close_both();
}

static void peek_looks_behind_the_front(void **state)
{
    char out[8];

    connect_ends();
    server.stalls = true;
    assert_int_equal(pg_conn_write(client.conn, "hello ", 6), 0);
    world_run(&w, 1000);
    assert_int_equal(pg_conn_write(client.conn, "world", 5), 0);
    world_run(&w, 1000);
    assert_int_equal(pg_conn_unread(server.conn), 11);
    assert_int_equal(pg_conn_peek(server.conn, 4, out, 4), 4);
    assert_memory_equal(out, "o wo", 4);
    assert_int_equal(pg_conn_peek(server.conn, 9, out, 8), 2);
    assert_int_equal(pg_conn_peek(server.conn, 11, out, 8), 0);
    pg_conn_consume(server.conn, 6);
    assert_int_equal(pg_conn_peek(server.conn, 0, out, 8), 5);
    assert_memory_equal(out, "world", 5);
    close_both();
}

static void a_port_in_time_wait_may_be_used_again(void **state)
{
    struct pg_addr peer = server_addr();
    struct pg_addr local = client_addr();
    struct end again = {0};
    uint16_t port;

    connect_ends();
    pg_conn_local(client.conn, &port);
    pg_conn_close(server.conn); /* so the server's side waits */
    world_run(&w, SECOND_US / 100);
    pg_conn_close(client.conn);
    world_run(&w, SECOND_US);
    assert_int_equal(pg_stack_time_wait_count(w.stack), 1);
    assert_int_equal(pg_stack_conn_count(w.stack), 0);
    memset(&server, 0, sizeof server);
    static const struct pg_conn_events none;
    again.conn = pg_conn_connect(w.stack, &local, port, &peer, 80, 0, &none, &again);
    assert_non_null(again.conn);
    assert_null(pg_conn_connect(w.stack, &local, port, &peer, 80, 0, &none, &again));
    world_run(&w, SECOND_US);
    assert_true(server.opened);
    assert_int_equal(pg_stack_time_wait_count(w.stack), 0);
    pg_conn_abort(again.conn);
    pg_conn_abort(server.conn);
}

static void lots_of_tiny_segments_take_little_memory(void **state)
{
    uint64_t before;

    connect_ends();
    server.stalls = true;
    before = pg_lwip_blocks();
    for (int i = 0; i < 20000; i++) {
        assert_int_equal(pg_conn_write(client.conn, "x", 1), 0);
        pg_conn_push(client.conn);
        world_run(&w, 0);
    }
    world_run(&w, SECOND_US);
    assert_int_equal(pg_conn_unread(server.conn), 20000);
    assert_in_range(pg_lwip_blocks() - before, 0, 20);
    close_both();
}

struct crowd {
    struct pg_conn *conn[64];
    uint32_t accepted;
};

static void crowd_readable(void *owner, struct pg_conn *c)
{
    if (pg_conn_at_end(c))
        pg_conn_close(c);
}

static const struct pg_conn_events crowd_events = {.on_readable = crowd_readable};

static void crowd_accept(void *arg, struct pg_conn *c)
{
    struct crowd *crowd = arg;

    crowd->accepted++;
    pg_conn_own(c, &crowd_events, crowd);
}

static void ten_thousand_connections_leave_nothing_behind(void **state)
{
    static struct crowd crowd;
    struct pg_addr local = client_addr();
    struct pg_addr peer = server_addr();

    memset(&crowd, 0, sizeof crowd);
    w.listener = (struct pg_listener){crowd_accept, &crowd};
    for (int i = 0; i < 10000; i++) {
        struct pg_conn *c =
            pg_conn_connect(w.stack, &local, 0, &peer, 80, 0, &crowd_events, &crowd);

        assert_non_null(c);
        world_run(&w, 1000);
        pg_conn_close(c);
        world_run(&w, 1000);
    }
    world_run(&w, SECOND_US);
    assert_int_equal(crowd.accepted, 10000);
    assert_int_equal(pg_stack_conn_count(w.stack), 0);
    world_run(&w, 70 * SECOND_US);
    assert_int_equal(pg_stack_time_wait_count(w.stack), 0);
    assert_int_equal(w.stack->half_open, 0);
}

static void the_connection_limit_is_a_counted_drop(void **state)
{
    struct pg_stack_options few = {.conn_limit = 4};
    struct pg_addr local = client_addr();
    struct pg_addr peer = server_addr();

    world_close(&w);
    open_world(&few);
    connect_ends(); /* takes two */
    struct end more[2] = {0};
    end_connect(&w, &more[0], local, peer, 80);
    end_connect(&w, &more[1], local, peer, 80);
    assert_null(pg_conn_connect(w.stack, &local, 0, &peer, 80, 0, NULL, NULL));
    world_run(&w, 0);
    assert_int_equal(w.counters.drop[PG_DROP_CONN_LIMIT], 2);
    close_both();
    pg_conn_close(more[0].conn);
    pg_conn_close(more[1].conn);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(handshake_is_seen_by_both_ends),
        CASE(what_is_written_comes_back_from_an_echo),
        CASE(ipv6_works_alike),
        CASE(client_may_close_first),
        CASE(server_may_close_first),
        CASE(both_may_close_at_once),
        CASE(close_sends_what_was_written_before),
        CASE(abort_resets_the_peer),
        CASE(bytes_before_a_reset_are_still_read),
        CASE(nobody_listens_so_connect_is_refused),
        CASE(listener_that_goes_away_during_the_handshake_resets),
        CASE(syn_is_repeated_after_1_3_7_11_15_19_seconds_and_given_up_at_23),
        CASE(icmp_port_unreachable_refuses_an_opening_connection_only),
        CASE(a_reader_that_stops_holds_at_most_its_window),
        CASE(a_lost_window_update_is_found_by_a_probe),
        CASE(both_windows_shut_does_not_make_acks_without_end),
        CASE(a_dead_peer_is_noticed),
        CASE(an_idle_connection_has_no_timer),
        CASE(a_lone_small_segment_is_acknowledged_after_40_ms),
        CASE(a_turns_writes_leave_in_one_packet),
        CASE(write_is_all_or_nothing),
        CASE(peek_looks_behind_the_front),
        CASE(a_port_in_time_wait_may_be_used_again),
        CASE(lots_of_tiny_segments_take_little_memory),
        CASE(ten_thousand_connections_leave_nothing_behind),
        CASE(the_connection_limit_is_a_counted_drop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
