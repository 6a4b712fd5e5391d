/* What a stranger sends: segments that would break or fool the TCP stack end at the filter, and the
 * connection goes on. */
#include "stack_internal.h"
#include "stack_world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct stack_world w;
static struct end server;

/* A hand-made peer: it has no stack, only a state that the tests set. */
static struct {
    struct pg_addr addr;
    uint16_t port;
    uint32_t seq; /* our next */
    uint32_t ack; /* what we expect */
    /* the last packet that came to it */
    uint32_t heard;
    uint8_t flags;
    uint32_t got_seq;
    uint32_t got_ack;
    uint16_t got_window;
    uint32_t got_len;
} peer;

static bool hear(void *arg, const struct pg_packet *p)
{
    peer.heard++;
    peer.flags = p->tcp_flags;
    peer.got_seq = pg_packet_tcp_seq(p);
    peer.got_ack = pg_packet_tcp_ack(p);
    peer.got_window = pg_packet_tcp_window(p);
    peer.got_len = pg_packet_payload_len(p);
    return false;
}

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
    put16(at, v >> 16);
    put16(at + 2, v);
}

static uint16_t ip_sum(const uint8_t *at)
{
    uint32_t sum = 0;

    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)(at[i] << 8 | at[i + 1]);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

static enum pg_drop send_with(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len,
                              const void *options, uint32_t options_len)
{
    static uint8_t b[65536];
    uint32_t head = 40 + (options_len + 3) / 4 * 4;

    memset(b, 0, head);
    b[0] = 0x45;
    put16(b + 2, head + len);
    b[8] = 64;
    b[9] = PG_PROTO_TCP;
    memcpy(b + 12, peer.addr.bytes + 12, 4);
    memcpy(b + 16, (uint8_t[]){192, 0, 2, 1}, 4);
    put16(b + 10, ip_sum(b));
    put16(b + 20, peer.port);
    put16(b + 22, 80);
    put32(b + 24, seq);
    put32(b + 28, ack);
    b[32] = (uint8_t)((head - 20) / 4 << 4);
    b[33] = flags;
    put16(b + 34, 1000);
    if (options_len > 0)
        memcpy(b + 40, options, options_len);
    memset(b + head, 'x', len);
    peer.flags = 0;
    return world_inject(&w, b, head + len);
}

static enum pg_drop send(uint8_t flags, uint32_t seq, uint32_t ack, uint32_t len)
{
    return send_with(flags, seq, ack, len, NULL, 0);
}

static const uint8_t usual[] = {2, 4, 5, 0xb4, 4, 2, 1, 3, 3, 7, 0, 0};

static int set_up(void **state)
{
    memset(&server, 0, sizeof server);
    memset(&peer, 0, sizeof peer);
    world_open(&w, NULL);
    w.listener = (struct pg_listener){end_accept, &server};
    w.look = hear;
    peer.addr = pg_addr_v4(203, 0, 113, 9);
    peer.port = 4001;
    return 0;
}

static int tear_down(void **state)
{
    if (server.conn != NULL)
        pg_conn_abort(server.conn);
    world_close(&w);
    return 0;
}

static void turn(void)
{
    while (pg_stack_sweep(w.stack, w.now_us))
        ;
}

static void syn(void)
{
    assert_int_equal(send_with(PG_TCP_SYN, 1000, 0, 0, usual, sizeof usual), PG_DROP_NONE);
    assert_int_equal(peer.flags, PG_TCP_SYN | PG_TCP_ACK);
    peer.seq = 1001;
    peer.ack = peer.got_seq + 1;
}

static void open_conn(void)
{
    syn();
    assert_int_equal(send(PG_TCP_ACK, peer.seq, peer.ack, 0), PG_DROP_NONE);
    assert_true(server.opened);
    turn();
}

static void a_segment_beyond_the_window_is_dropped_and_the_window_stays(void **state)
{
    uint32_t window;

    open_conn();
    server.stalls = true;
    window = server.conn->pcb->rcv_wnd;
    assert_int_equal(window, 256 * 1024);
    /* all but 3000 bytes, in order */
    while (server.conn->pcb->rcv_wnd > 3000) {
        uint32_t n = pg_min_u32(60000, server.conn->pcb->rcv_wnd - 3000);

        assert_int_equal(send(PG_TCP_ACK, peer.seq, peer.ack, n), PG_DROP_NONE);
        peer.seq += n;
    }
    /* begins inside, ends beyond: unfiltered, filling the hole would end the process */
    assert_int_equal(send(PG_TCP_ACK, peer.seq + 2000, peer.ack, 5000), PG_DROP_TCP_FILTER);
    assert_int_equal(peer.got_ack, peer.seq);
    assert_int_equal(send(PG_TCP_ACK, peer.seq, peer.ack, 2000), PG_DROP_NONE);
    assert_int_equal(server.conn->pcb->rcv_wnd, 1000);
    /* in order and too long: what fits is taken */
    assert_int_equal(send(PG_TCP_ACK, peer.seq + 2000, peer.ack, 5000), PG_DROP_NONE);
    assert_int_equal(server.conn->pcb->rcv_wnd, 0);
    assert_int_equal(pg_conn_unread(server.conn), window);
}

static void options_that_lie_about_their_length_are_dropped(void **state)
{
    static const uint8_t bad[][8] = {
        {2, 40, 5, 0xb4}, /* longer than the header */
        {1, 1, 1, 2},     /* a kind in the last byte */
        {3, 1, 7, 0},     /* shorter than its own two bytes */
        {5, 9, 0, 0, 0, 0, 0, 0},
    };
    static const uint32_t lens[] = {4, 4, 4, 8};

    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++)
        assert_int_equal(send_with(PG_TCP_SYN, 1000, 0, 0, bad[i], lens[i]), PG_DROP_TCP_OPTIONS);
    assert_int_equal(pg_stack_conn_count(w.stack), 0);
    assert_int_equal(peer.heard, 0);
}

static void flags_that_make_no_sense_are_dropped(void **state)
{
    static const uint8_t odd[] = {0, PG_TCP_FIN, PG_TCP_SYN | PG_TCP_FIN, PG_TCP_SYN | PG_TCP_RST,
                                  PG_TCP_FIN | PG_TCP_PSH | PG_TCP_URG};

    for (size_t i = 0; i < sizeof odd; i++)
        assert_int_equal(send(odd[i], 1000, 0, 0), PG_DROP_TCP_FILTER);
    peer.addr = pg_addr_v4(192, 0, 2, 1);
    peer.port = 80;
    assert_int_equal(send(PG_TCP_SYN, 1000, 0, 0), PG_DROP_TCP_FILTER);
    assert_int_equal(peer.heard, 0);
}

static void syn_ack_does_not_complete_somebody_elses_handshake(void **state)
{
    syn();
    assert_int_equal(send(PG_TCP_SYN | PG_TCP_ACK, peer.seq - 1, peer.ack, 0), PG_DROP_TCP_FILTER);
    assert_false(server.opened);
}

static void a_repeated_syn_is_answered_alike_whatever_its_options(void **state)
{
    uint32_t first;

    assert_int_equal(send(PG_TCP_SYN, 1000, 0, 0), PG_DROP_NONE); /* without window scale */
    first = peer.got_seq;
    assert_int_equal(send_with(PG_TCP_SYN, 1000, 0, 0, usual, sizeof usual), PG_DROP_NONE);
    assert_int_equal(peer.heard, 2);
    assert_int_equal(peer.flags, PG_TCP_SYN | PG_TCP_ACK);
    assert_int_equal(peer.got_seq, first);
    assert_int_equal(pg_stack_conn_count(w.stack), 1);
}

static void data_with_an_impossible_ack_is_challenged(void **state)
{
    open_conn();
    assert_int_equal(send(PG_TCP_ACK | PG_TCP_PSH, peer.seq, peer.ack + 0x40000000, 100),
                     PG_DROP_TCP_FILTER);
    assert_int_equal(peer.flags, PG_TCP_ACK);
    assert_int_equal(peer.got_ack, peer.seq);
    assert_int_equal(send(PG_TCP_ACK | PG_TCP_PSH, peer.seq, peer.ack - 0x40000000, 100),
                     PG_DROP_TCP_FILTER);
    assert_int_equal(server.conn->bytes_in, 0);
}

static void only_an_exact_reset_resets(void **state)
{
    open_conn();
    peer.heard = 0;
    assert_int_equal(send(PG_TCP_RST, peer.seq + 500, 0, 0), PG_DROP_TCP_FILTER);
    assert_int_equal(peer.flags, PG_TCP_ACK);
    assert_int_equal(send(PG_TCP_RST, peer.seq - 500, 0, 0), PG_DROP_TCP_FILTER);
    assert_int_equal(peer.heard, 1);
    assert_false(server.closed);
    assert_int_equal(send(PG_TCP_RST, peer.seq, 0, 0), PG_DROP_NONE);
    assert_true(server.closed);
    assert_int_equal(server.error, -ECONNRESET);
}

static void a_syn_inside_an_open_connection_is_challenged(void **state)
{
    open_conn();
    assert_int_equal(send_with(PG_TCP_SYN, peer.seq + 200, 0, 0, usual, sizeof usual),
                     PG_DROP_TCP_FILTER);
    assert_int_equal(peer.flags, PG_TCP_ACK);
    assert_false(server.closed);
}

static void a_connection_is_challenged_twice_a_second_at_most(void **state)
{
    open_conn();
    peer.heard = 0;
    for (int i = 0; i < 5000; i++) {
        send(PG_TCP_RST, peer.seq + 500, 0, 0);
        w.now_us += 1000;
    }
    assert_int_equal(peer.heard, 10);
}

static void challenges_of_all_connections_are_limited(void **state)
{
    for (uint16_t i = 0; i < 1200; i++) {
        peer.port = (uint16_t)(30000 + i);
        memset(&server, 0, sizeof server);
        open_conn();
    }
    w.now_us += SECOND_US;
    peer.heard = 0;
    for (uint16_t i = 0; i < 1200; i++) {
        peer.port = (uint16_t)(30000 + i);
        send(PG_TCP_RST, peer.seq + 500, 0, 0);
    }
    assert_int_equal(peer.heard, 1000);
}

static void a_probe_is_answered_and_an_echo_of_probes_dies_out(void **state)
{
    open_conn();
    peer.heard = 0;
    assert_int_equal(send(PG_TCP_ACK, peer.seq - 1, peer.ack, 0), PG_DROP_NONE); /* keepalive */
    assert_int_equal(peer.heard, 1);
    assert_int_equal(peer.flags, PG_TCP_ACK);
    assert_int_equal(peer.got_ack, peer.seq);
    for (int i = 0; i < 100; i++)
        assert_int_equal(send(PG_TCP_ACK, peer.seq - 1, peer.ack, 0), PG_DROP_NONE);
    assert_int_equal(peer.heard, 1);
    w.now_us += SECOND_US;
    assert_int_equal(send(PG_TCP_ACK, peer.seq - 1, peer.ack, 0), PG_DROP_NONE);
    assert_int_equal(peer.heard, 2);
}

static void a_late_bare_ack_with_news_is_believed(void **state)
{
    uint8_t bytes[100] = {0};

    open_conn();
    assert_int_equal(pg_conn_write(server.conn, bytes, sizeof bytes), 0);
    turn();
    assert_int_equal(send(PG_TCP_ACK, peer.seq - 1, peer.ack + sizeof bytes, 0), PG_DROP_NONE);
    assert_int_equal(pg_conn_unacked(server.conn), 0);
}

static void a_new_syn_ends_time_wait_and_begins_above_the_old_numbers(void **state)
{
    uint32_t old;

    open_conn();
    pg_conn_close(server.conn);
    server.conn = NULL;
    turn();
    assert_true(peer.flags & PG_TCP_FIN);
    old = peer.got_seq;
    assert_int_equal(send(PG_TCP_ACK | PG_TCP_FIN, peer.seq, old + 1, 0), PG_DROP_NONE);
    turn();
    assert_int_equal(pg_stack_time_wait_count(w.stack), 1);
    memset(&server, 0, sizeof server);
    /* an old one is not believed */
    assert_int_equal(send_with(PG_TCP_SYN, peer.seq - 100, 0, 0, usual, sizeof usual),
                     PG_DROP_TCP_FILTER);
    assert_int_equal(peer.flags, PG_TCP_ACK);
    assert_int_equal(send_with(PG_TCP_SYN, 900000, 0, 0, usual, sizeof usual), PG_DROP_NONE);
    assert_int_equal(peer.flags, PG_TCP_SYN | PG_TCP_ACK);
    assert_true((int32_t)(peer.got_seq - old) > 65535);
    assert_int_equal(pg_stack_time_wait_count(w.stack), 0);
    assert_int_equal(send(PG_TCP_ACK, 900001, peer.got_seq + 1, 0), PG_DROP_NONE);
    assert_true(server.opened);
}

static void a_fin_that_comes_again_restarts_the_wait(void **state)
{
    uint32_t fin;

    open_conn();
    pg_conn_close(server.conn);
    server.conn = NULL;
    turn();
    fin = peer.got_seq;
    send(PG_TCP_ACK | PG_TCP_FIN, peer.seq, fin + 1, 0);
    turn();
    w.now_us += 50 * SECOND_US;
    send(PG_TCP_ACK | PG_TCP_FIN, peer.seq, fin + 1, 0);
    assert_int_equal(peer.flags, PG_TCP_ACK);
    w.now_us += 50 * SECOND_US;
    pg_stack_advance(w.stack, w.now_us);
    assert_int_equal(pg_stack_time_wait_count(w.stack), 1);
    w.now_us += 11 * SECOND_US;
    pg_stack_advance(w.stack, w.now_us);
    assert_int_equal(pg_stack_time_wait_count(w.stack), 0);
}

static void an_mss_of_one_is_raised(void **state)
{
    static const uint8_t tiny[] = {2, 4, 0, 1};

    assert_int_equal(send_with(PG_TCP_SYN, 1000, 0, 0, tiny, sizeof tiny), PG_DROP_NONE);
    peer.ack = peer.got_seq + 1;
    send(PG_TCP_ACK, 1001, peer.ack, 0);
    assert_int_equal(server.conn->mss, 536);
}

static void windows_that_open_from_nothing_do_not_break_the_sender(void **state)
{
    static uint8_t bytes[4000];

    /* lwIP sizes segments by the largest window it saw; nothing, then a little, has ended
     * processes */
    open_conn();
    server.conn->pcb->snd_wnd = server.conn->pcb->snd_wnd_max = 0;
    assert_int_equal(pg_conn_write(server.conn, bytes, sizeof bytes), 0);
    turn();
    server.conn->pcb->snd_wnd_max = 100;
    assert_int_equal(pg_conn_write(server.conn, bytes, sizeof bytes), 0);
    turn();
    assert_int_equal(send(PG_TCP_ACK, peer.seq, peer.ack, 0), PG_DROP_NONE);
    turn();
    assert_true(peer.got_len > 0);
}

static void a_flood_of_syns_is_limited_and_locks_nobody_out(void **state)
{
    struct pg_stack_options few = {.conn_limit = 100};

    world_close(&w);
    world_open(&w, &few);
    w.listener = (struct pg_listener){end_accept, &server};
    w.look = hear;
    for (int i = 0; i < 100; i++) {
        peer.port = (uint16_t)(5000 + i);
        assert_int_equal(send_with(PG_TCP_SYN, 1000, 0, 0, usual, sizeof usual), PG_DROP_NONE);
        turn();
    }
    assert_int_equal(pg_stack_conn_count(w.stack), 25);
    assert_int_equal(w.stack->half_open, 25);
    assert_int_equal(w.counters.value[PG_COUNT_TCP_HALF_OPEN_EVICTED], 75);
    peer.port = 9000;
    open_conn();
    assert_int_equal(w.stack->half_open, 24);
    world_run(&w, 30 * SECOND_US);
    assert_int_equal(pg_stack_conn_count(w.stack), 1);
    assert_int_equal(w.stack->half_open, 0);
    pg_conn_abort(server.conn);
    server.conn = NULL;
    turn();
    assert_int_equal(pg_stack_conn_count(w.stack), 0);
}

/* A handshake that takes a while is not the one that makes room, as long as there are older ones. */
static void in_a_flood_the_old_make_room_for_the_new(void **state)
{
    struct pg_stack_options few = {.conn_limit = 4000};
    unsigned done = 0;

    world_close(&w);
    world_open(&w, &few);
    w.listener = (struct pg_listener){end_accept, &server};
    w.look = hear;
    for (unsigned i = 0; i < 10000; i++) {
        peer.addr = pg_addr_v4(198, 18, (uint8_t)(i >> 8), (uint8_t)i);
        peer.port = 5000;
        assert_int_equal(send_with(PG_TCP_SYN, 1000, 0, 0, usual, sizeof usual), PG_DROP_NONE);
        world_run(&w, 100);
        if (i < 2000 || i % 200 != 0)
            continue;
        /* a tenth of what the table lives for passes between this one's SYN and its ACK */
        peer.addr = pg_addr_v4(203, 0, 113, 9);
        peer.port = (uint16_t)(9000 + i);
        syn();
        uint32_t ack = peer.ack;
        for (unsigned k = 0; k < 100; k++) {
            peer.addr = pg_addr_v4(198, 19, (uint8_t)(i / 200), (uint8_t)k);
            peer.port = 5000;
            assert_int_equal(send_with(PG_TCP_SYN, 1000, 0, 0, usual, sizeof usual), PG_DROP_NONE);
            world_run(&w, 100);
        }
        peer.addr = pg_addr_v4(203, 0, 113, 9);
        peer.port = (uint16_t)(9000 + i);
        server.opened = false;
        (void)send(PG_TCP_ACK, 1001, ack, 0);
        done += server.opened;
        if (server.opened)
            pg_conn_abort(server.conn);
        server.conn = NULL;
        turn();
    }
    assert_int_equal(done, 40);
    world_run(&w, 30 * SECOND_US);
    assert_int_equal(pg_stack_conn_count(w.stack), 0);
}

/* RFC 9293 3.10.7.4: what began passively is forgotten, and the new SYN is looked at afresh. */
static void another_syn_in_the_handshake_begins_anew(void **state)
{
    syn();
    uint32_t first = peer.got_seq;
    world_run(&w, 1000); /* numbers of ours go by the time */
    assert_int_equal(send_with(PG_TCP_SYN, 700000, 0, 0, usual, sizeof usual), PG_DROP_NONE);
    assert_int_equal(peer.flags, PG_TCP_SYN | PG_TCP_ACK);
    assert_int_equal(peer.got_ack, 700001);
    uint32_t second = peer.got_seq;
    turn();
    assert_int_equal(w.stack->half_open, 1);
    assert_int_equal(pg_stack_conn_count(w.stack), 1);
    /* the handshake that was is over */
    assert_int_equal(send(PG_TCP_ACK, 1001, first + 1, 0), PG_DROP_TCP_FILTER);
    assert_false(server.opened);
    assert_int_equal(send(PG_TCP_ACK, 700001, second + 1, 0), PG_DROP_NONE);
    assert_true(server.opened);
    turn();
}

static void a_stray_segment_is_reset_and_a_stray_reset_is_not(void **state)
{
    assert_int_equal(send(PG_TCP_ACK, 500, 600, 10), PG_DROP_NO_LISTENER);
    assert_int_equal(peer.flags, PG_TCP_RST);
    assert_int_equal(peer.got_seq, 600);
    peer.heard = 0;
    assert_int_equal(send(PG_TCP_RST, 500, 0, 0), PG_DROP_NO_LISTENER);
    assert_int_equal(peer.heard, 0);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_segment_beyond_the_window_is_dropped_and_the_window_stays),
        CASE(options_that_lie_about_their_length_are_dropped),
        CASE(flags_that_make_no_sense_are_dropped),
        CASE(syn_ack_does_not_complete_somebody_elses_handshake),
        CASE(a_repeated_syn_is_answered_alike_whatever_its_options),
        CASE(data_with_an_impossible_ack_is_challenged),
        CASE(only_an_exact_reset_resets),
        CASE(a_syn_inside_an_open_connection_is_challenged),
        CASE(a_connection_is_challenged_twice_a_second_at_most),
        CASE(challenges_of_all_connections_are_limited),
        CASE(a_probe_is_answered_and_an_echo_of_probes_dies_out),
        CASE(a_late_bare_ack_with_news_is_believed),
        CASE(a_new_syn_ends_time_wait_and_begins_above_the_old_numbers),
        CASE(a_fin_that_comes_again_restarts_the_wait),
        CASE(an_mss_of_one_is_raised),
        CASE(windows_that_open_from_nothing_do_not_break_the_sender),
        CASE(a_flood_of_syns_is_limited_and_locks_nobody_out),
        CASE(in_a_flood_the_old_make_room_for_the_new),
        CASE(another_syn_in_the_handshake_begins_anew),
        CASE(a_stray_segment_is_reset_and_a_stray_reset_is_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
