/* Every byte arrives, once and in order, whatever the wire loses; and losses cost round trips, not
 * timeouts. */
#include "stack_internal.h"
#include "stack_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define TEN_MB 10000000

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

static int set_up(void **state)
{
    memset(&client, 0, sizeof client);
    memset(&server, 0, sizeof server);
    blocks_before = pg_lwip_blocks();
    world_open(&w, NULL);
    w.listener = (struct pg_listener){end_accept, &server};
    w.delay_us = 1000;
    return 0;
}

static int tear_down(void **state)
{
    world_close(&w);
    assert_int_equal(pg_lwip_blocks(), blocks_before);
    return 0;
}

static void finish(void)
{
    if (client.conn != NULL)
        pg_conn_abort(client.conn);
    if (server.conn != NULL)
        pg_conn_abort(server.conn);
    client.closed = server.closed = true;
}

static void connect_ends(void)
{
    end_connect(&w, &client, client_addr(), server_addr(), 80);
    world_run(&w, 60 * SECOND_US * (w.loss ? 1 : 0) + SECOND_US / 10);
    assert_true(client.opened);
    assert_true(server.opened);
}

/* Sends both ways at once and reports how it went. */
static void exchange(const char *what, uint64_t up, uint64_t down)
{
    uint64_t begin = w.now_us;
    uint64_t most = 3600 * SECOND_US;

    client.to_send = up;
    server.to_send = down;
    client.shuts_down = server.shuts_down = true;
    end_pump(&client);
    end_pump(&server);
    while (!(client.ended && server.ended) && w.now_us - begin < most && !client.closed &&
           !server.closed)
        world_run(&w, SECOND_US / 20);
    print_message("%s: %.2f s, %llu retransmitted, %llu timeouts\n", what,
                  (double)(w.now_us - begin) / 1e6,
                  (unsigned long long)w.counters.value[PG_COUNT_TCP_RETRANSMITS],
                  (unsigned long long)w.counters.value[PG_COUNT_TCP_RTO]);
    assert_int_equal(server.received, up);
    assert_int_equal(client.received, down);
    assert_false(client.wrong);
    assert_false(server.wrong);
    assert_true(client.ended && server.ended);
}

static void without_loss_nothing_is_sent_twice_and_segments_grow_large(void **state)
{
    connect_ends();
    exchange("no loss", TEN_MB, 0);
    assert_in_range(w.biggest, 60000, 65535);
    assert_int_equal(w.counters.value[PG_COUNT_TCP_RETRANSMITS], 0);
    finish();
}

static void ten_megabytes_pass_at_one_percent_loss(void **state)
{
    connect_ends();
    w.loss = 100;
    exchange("1 % loss", TEN_MB, 0);
    finish();
}

static void ten_megabytes_pass_at_five_percent_loss(void **state)
{
    connect_ends();
    w.loss = 500;
    exchange("5 % loss", TEN_MB, 0);
    finish();
}

static void both_directions_pass_at_once_with_loss(void **state)
{
    connect_ends();
    w.loss = 200;
    exchange("2 % loss, both ways", TEN_MB / 2, TEN_MB / 2);
    finish();
}

static void even_the_handshake_may_be_lost(void **state)
{
    w.loss = 3000;
    connect_ends();
    w.loss = 1000;
    exchange("10 % loss", 300000, 300000);
    finish();
}

/* A middlebox that removes the offer of SACK from SYNs. */
static bool strip_sack(void *arg, const struct pg_packet *p)
{
    uint8_t *at = p->head + p->l4_offset + 20;

    for (uint8_t *end = p->head + p->payload_offset; (p->tcp_flags & PG_TCP_SYN) && at + 1 < end;
         at++)
        if (at[0] == 4 && at[1] == 2)
            at[0] = at[1] = 1;
    return true;
}

static void a_peer_without_sack_gets_everything_too(void **state)
{
    w.look = strip_sack;
    connect_ends();
    assert_false(client.conn->pcb->flags & TF_SACK);
    w.loss = 100;
    exchange("1 % loss, no SACK", TEN_MB / 5, 0);
    finish();
}

struct victim {
    uint32_t skip;  /* data segments that pass before */
    uint32_t times; /* then so many are lost */
    uint8_t flag;   /* that the segment must have; 0: any with payload */
};

static bool lose(void *arg, const struct pg_packet *p)
{
    struct victim *v = arg;

    if (p->tuple.dst_port != 80 || (v->flag == 0 && p->len == p->payload_offset) ||
        (p->tcp_flags & v->flag) != v->flag || v->times == 0)
        return true;
    if (v->skip > 0) {
        v->skip--;
        return true;
    }
    v->times--;
    return false;
}

static void a_lost_tail_is_repaired_by_a_probe_not_by_the_timer(void **state)
{
    struct victim v = {.skip = 1, .times = 1};

    connect_ends();
    client.to_send = 1000; /* a first round trip, so that there is a measure */
    end_pump(&client);
    world_run(&w, SECOND_US);
    w.look = lose;
    w.look_arg = &v;
    client.to_send = 20000; /* two segments: what the initial window holds, and the rest */
    end_pump(&client);
    world_run(&w, SECOND_US);
    assert_int_equal(server.received, 21000);
    assert_int_equal(v.times, 0);
    assert_int_equal(w.counters.value[PG_COUNT_TCP_RTO], 0);
    finish();
}

static void a_lost_retransmission_is_noticed(void **state)
{
    struct victim v = {.skip = 40, .times = 2};

    connect_ends();
    w.look = lose;
    w.look_arg = &v;
    w.loss = 1; /* cuts super-segments, practically without loss */
    exchange("two in a row", TEN_MB / 2, 0);
    finish();
}

static void a_lost_fin_comes_again(void **state)
{
    struct victim v = {.times = 3, .flag = PG_TCP_FIN};

    connect_ends();
    w.look = lose;
    w.look_arg = &v;
    exchange("FIN lost three times", 5000, 0);
    assert_int_equal(v.times, 0);
    finish();
}

static bool see_syn(void *arg, const struct pg_packet *p)
{
    if ((p->tcp_flags & (PG_TCP_SYN | PG_TCP_ACK)) == PG_TCP_SYN)
        *(uint32_t *)arg = pg_packet_tcp_seq(p);
    return true;
}

static void sequence_numbers_may_wrap(void **state)
{
    uint32_t isn = 0;

    w.look = see_syn;
    w.look_arg = &isn;
    for (int i = 0; i < 64 && isn < 0xfff00000; i++) {
        finish();
        world_run(&w, SECOND_US);
        memset(&client, 0, sizeof client);
        memset(&server, 0, sizeof server);
        pg_stack_isn_above(w.stack,
                           0xfff00000); /* has an effect on about every second connection */
        end_connect(&w, &client, client_addr(), server_addr(), 80);
        world_run(&w, SECOND_US);
    }
    assert_in_range(isn, 0xfff00000, 0xffffffff);
    w.loss = 100;
    exchange("1 % loss across the wrap", TEN_MB / 2, 0);
    finish();
}

/* A router that forwards 1400 bytes and no more. */
static bool narrow(void *arg, const struct pg_packet *p)
{
    uint32_t payload = p->gso_size ? p->gso_size : p->len - p->payload_offset;

    if (p->payload_offset + payload <= 1400)
        return true;
    *(struct pg_tuple *)arg = p->tuple;
    return false;
}

static void a_narrower_path_is_learned_from_icmp(void **state)
{
    struct pg_tuple quoted = {0};

    connect_ends();
    w.look = narrow;
    w.look_arg = &quoted;
    client.to_send = 1000000;
    end_pump(&client);
    world_run(&w, SECOND_US / 100);
    assert_int_equal(quoted.dst_port, 80);
    assert_int_equal(server.received, 0);
    pg_stack_path_mtu(w.stack, &quoted, 1400);
    assert_int_equal(client.conn->mss, 1360);
    world_run(&w, SECOND_US);
    assert_int_equal(server.received, 1000000);
    assert_false(server.wrong);
    pg_stack_path_mtu(w.stack, &quoted, 9000); /* never grows */
    pg_stack_path_mtu(w.stack, &quoted, 100);  /* nor to nonsense */
    assert_int_equal(client.conn->mss, 536);
    finish();
    w.look = NULL;
}

/* ---- relay ---- */

static struct end to_upstream;
static struct end upstream;

static void accept_and_dial(void *arg, struct pg_conn *c)
{
    struct pg_addr local = pg_addr_v4(10, 1, 0, 2);
    struct pg_addr pod = pg_addr_v4(10, 1, 0, 5);

    server.relay = &to_upstream;
    to_upstream.relay = &server;
    end_connect(&w, &to_upstream, local, pod, 8080);
    end_accept(&server, c);
}

static void start_relay(void)
{
    memset(&to_upstream, 0, sizeof to_upstream);
    memset(&upstream, 0, sizeof upstream);
    w.listener = (struct pg_listener){accept_and_dial, NULL};
    w.upstream = (struct pg_listener){end_accept, &upstream};
    end_connect(&w, &client, client_addr(), server_addr(), 80);
    world_run(&w, SECOND_US / 10);
    assert_true(upstream.opened);
}

static void finish_relay(void)
{
    finish();
    pg_conn_abort(to_upstream.conn);
    pg_conn_abort(upstream.conn);
}

static void a_relay_moves_all_and_closes_both_ways(void **state)
{
    start_relay();
    client.to_send = TEN_MB;
    upstream.to_send = TEN_MB;
    client.shuts_down = upstream.shuts_down = true;
    end_pump(&client);
    end_pump(&upstream);
    world_run(&w, 20 * SECOND_US);
    assert_int_equal(upstream.received, TEN_MB);
    assert_int_equal(client.received, TEN_MB);
    assert_false(client.wrong || upstream.wrong);
    assert_true(client.ended && upstream.ended);
    finish_relay();
}

static void a_slow_reader_behind_a_relay_bounds_its_memory(void **state)
{
    uint64_t most = 0;

    start_relay();
    upstream.stalls = true;
    client.to_send = TEN_MB;
    end_pump(&client);
    for (int i = 0; i < 1000 && upstream.received < TEN_MB; i++) {
        uint32_t held = to_upstream.conn->tx_held;

        world_run(&w, SECOND_US / 50);
        if (pg_stack_held_bytes(w.stack) > most)
            most = pg_stack_held_bytes(w.stack);
        assert_in_range(held, 0, 1024 * 1024);
        upstream.stalls = i % 3 != 0;
        end_pump(&upstream);
    }
    assert_int_equal(upstream.received, TEN_MB);
    assert_false(upstream.wrong);
    assert_in_range(most, 1, 2 * 256 * 1024); /* a window for each leg that received */
    finish_relay();
}

static void a_relay_survives_loss_on_both_legs(void **state)
{
    start_relay();
    w.loss = 200;
    client.to_send = TEN_MB / 4;
    upstream.to_send = TEN_MB / 4;
    client.shuts_down = upstream.shuts_down = true;
    end_pump(&client);
    end_pump(&upstream);
    world_run(&w, 600 * SECOND_US);
    assert_int_equal(upstream.received, TEN_MB / 4);
    assert_int_equal(client.received, TEN_MB / 4);
    assert_false(client.wrong || upstream.wrong);
    finish_relay();
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(without_loss_nothing_is_sent_twice_and_segments_grow_large),
        CASE(ten_megabytes_pass_at_one_percent_loss),
        CASE(ten_megabytes_pass_at_five_percent_loss),
        CASE(both_directions_pass_at_once_with_loss),
        CASE(even_the_handshake_may_be_lost),
        CASE(a_peer_without_sack_gets_everything_too),
        CASE(a_lost_tail_is_repaired_by_a_probe_not_by_the_timer),
        CASE(a_lost_retransmission_is_noticed),
        CASE(a_lost_fin_comes_again),
        CASE(sequence_numbers_may_wrap),
        CASE(a_narrower_path_is_learned_from_icmp),
        CASE(a_relay_moves_all_and_closes_both_ways),
        CASE(a_slow_reader_behind_a_relay_bounds_its_memory),
        CASE(a_relay_survives_loss_on_both_legs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
