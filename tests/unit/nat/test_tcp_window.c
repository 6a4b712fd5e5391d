/* nat/tcp_window.c: what is learned from a segment, and what from one that does not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tcp_internal.h"

#include <string.h>

/* A connection past its handshake: 1001 and 5001 come next, both offer 10000. */
static struct pg_flow open_flow(const uint8_t *options, uint32_t len)
{
    struct pg_flow f = {.proto = PG_PROTO_TCP};
    struct pg_segment syn = {.kind = SEG_SYN,
                             .seq = 1000,
                             .end = 1001,
                             .window = 10000,
                             .options = options,
                             .options_len = len};
    struct pg_segment synack = {.kind = SEG_SYNACK,
                                .seq = 5000,
                                .end = 5001,
                                .ack = 1001,
                                .has_ack = true,
                                .window = 10000,
                                .options = options,
                                .options_len = len};
    struct pg_segment ack = {
        .kind = SEG_ACK, .seq = 1001, .end = 1001, .ack = 5001, .has_ack = true, .window = 10000};

    pg_tcp_window_begin(&f, &syn);
    pg_tcp_window(&f, PG_ORIG, &syn);
    f.tcp.state = PG_CT_SYN_SENT;
    pg_tcp_window(&f, PG_REPLY, &synack);
    f.tcp.state = PG_CT_SYN_RECV;
    pg_tcp_window(&f, PG_ORIG, &ack);
    f.tcp.state = PG_CT_ESTABLISHED;
    return f;
}

static struct pg_segment data(uint32_t seq, uint32_t len, uint32_t ack)
{
    return (struct pg_segment){.kind = SEG_ACK,
                               .seq = seq,
                               .end = seq + len,
                               .ack = ack,
                               .has_ack = true,
                               .window = 10000};
}

static void handshake_teaches_both_ends(void **state)
{
    struct pg_flow f = open_flow(NULL, 0);

    (void)state;
    assert_int_equal(f.tcp.seen[PG_ORIG].end, 1001);
    assert_int_equal(f.tcp.seen[PG_REPLY].end, 5001);
    assert_int_equal(f.tcp.seen[PG_ORIG].max_end, 11001);
    assert_int_equal(f.tcp.seen[PG_REPLY].max_end, 15001);
    assert_int_equal(f.tcp.seen[PG_ORIG].max_ack, 5001);
    assert_int_equal(f.tcp.seen[PG_REPLY].max_ack, 1001);
}

static void data_within_the_window_is_learned(void **state)
{
    struct pg_flow f = open_flow(NULL, 0);
    struct pg_segment s = data(1001, 500, 5001);

    (void)state;
    pg_tcp_window(&f, PG_ORIG, &s);
    assert_int_equal(f.tcp.seen[PG_ORIG].end, 1501);
    assert_true(f.flags & FLOW_UNACKED << PG_ORIG);
    s = data(5001, 0, 1501);
    pg_tcp_window(&f, PG_REPLY, &s);
    assert_false(f.flags & FLOW_UNACKED << PG_ORIG);
    assert_int_equal(f.tcp.seen[PG_REPLY].max_ack, 1501);
}

static void what_lies_beside_the_window_teaches_nothing(void **state)
{
    static const struct {
        uint32_t seq, len, ack;
    } rows[] = {
        {40000, 500, 5001},          /* above the window */
        {1001, 500, 5002},           /* acknowledges what was never sent */
        {1001u - 20000u, 100, 5001}, /* so old that nobody waits for it */
        {1001, 500, 5001u - 70000u}, /* an ACK as old as that */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_flow f = open_flow(NULL, 0);
        struct pg_segment s = data(rows[i].seq, rows[i].len, rows[i].ack);
        pg_tcp_window(&f, PG_ORIG, &s);
        assert_int_equal(f.tcp.seen[PG_ORIG].end, 1001);
        assert_int_equal(f.tcp.seen[PG_ORIG].max_ack, 5001);
    }
}

/* If the receiver takes it, its ACK must not look like one of unsent data. */
static void little_more_than_the_window_is_learned(void **state)
{
    struct pg_flow f = open_flow(NULL, 0);
    struct pg_segment s = data(11002, 100, 5001);

    (void)state;
    pg_tcp_window(&f, PG_ORIG, &s);
    assert_int_equal(f.tcp.seen[PG_ORIG].end, 11102);
    assert_int_equal(f.tcp.seen[PG_ORIG].max_end, 11001);
}

static void window_scale_holds_if_both_offer_it(void **state)
{
    static const uint8_t scale[4] = {3, 3, 2, 1};
    struct pg_flow f = open_flow(scale, sizeof scale);
    struct pg_segment s = data(30000, 100, 5001); /* within 4 * 10000 */

    (void)state;
    pg_tcp_window(&f, PG_ORIG, &s);
    assert_int_equal(f.tcp.seen[PG_REPLY].max_end, 5001 + 40000);
    s = data(5001 + 35000, 100, 1001);
    pg_tcp_window(&f, PG_REPLY, &s);
    assert_int_equal(f.tcp.seen[PG_REPLY].end, 5001 + 35100);
}

static void scale_that_one_side_offers_does_not_hold(void **state)
{
    static const uint8_t scale[4] = {3, 3, 2, 1};
    struct pg_flow f = {.proto = PG_PROTO_TCP};
    struct pg_segment syn = {.kind = SEG_SYN,
                             .seq = 1000,
                             .end = 1001,
                             .window = 100,
                             .options = scale,
                             .options_len = 4};
    struct pg_segment synack = {
        .kind = SEG_SYNACK, .seq = 5000, .end = 5001, .ack = 1001, .has_ack = true, .window = 100};

    (void)state;
    pg_tcp_window_begin(&f, &syn);
    f.tcp.state = PG_CT_SYN_SENT;
    pg_tcp_window(&f, PG_REPLY, &synack);
    assert_int_equal(f.tcp.scales, 0);
}

static void selective_acknowledgement_moves_the_window(void **state)
{
    static const uint8_t agreed[4] = {1, 1, 4, 2};
    static const uint8_t block[12] = {1, 1, 5, 10, 0, 0, 4, 0xe9 + 4, 0, 0, 5, 0x4d};
    struct pg_flow f = open_flow(agreed, sizeof agreed);
    struct pg_segment sent = data(1001, 500, 5001);
    struct pg_segment ack = data(5001, 0, 1001);

    (void)state;
    pg_tcp_window(&f, PG_ORIG, &sent);
    ack.options = block;
    ack.options_len = sizeof block;
    pg_tcp_window(&f, PG_REPLY, &ack);
    assert_int_equal(f.tcp.seen[PG_ORIG].max_end, 0x54d + 10000);
    assert_int_equal(f.tcp.seen[PG_REPLY].max_ack, 1001);
}

static void options_that_contradict_their_length_are_not_read(void **state)
{
    static const uint8_t rows[][4] = {
        {3, 0, 2, 1}, {3, 1, 2, 1}, {3, 9, 2, 1}, {0, 3, 3, 2}, {1, 1, 1, 3}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_segment s = {.kind = SEG_SYN, .options = rows[i], .options_len = 4};
        unsigned scale = 99;
        assert_int_equal(pg_tcp_syn_options(&s, &scale), 0);
        assert_int_equal(scale, 99);
    }
}

static void scale_is_fourteen_at_most(void **state)
{
    static const uint8_t much[4] = {3, 3, 200, 1};
    struct pg_segment s = {.kind = SEG_SYN, .options = much, .options_len = 4};
    unsigned scale = 0;

    (void)state;
    assert_int_equal(pg_tcp_syn_options(&s, &scale), TCP_END_SCALES);
    assert_int_equal(scale, 14);
}

static void same_segment_again_is_counted(void **state)
{
    struct pg_flow f = open_flow(NULL, 0);
    struct pg_segment s = data(1001, 100, 5001);

    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        pg_tcp_window(&f, PG_ORIG, &s);
        assert_int_equal(f.tcp.retransmits, i < 3 ? i : 3);
    }
    s = data(1101, 100, 5001);
    pg_tcp_window(&f, PG_ORIG, &s);
    assert_int_equal(f.tcp.retransmits, 0);
}

static void half_of_all_numbers_away_is_before_and_after(void **state)
{
    (void)state;
    assert_true(pg_seq_after(7 + (1u << 31), 7));
    assert_true(pg_seq_before(7 + (1u << 31), 7));
    assert_false(pg_seq_after(7, 7));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(handshake_teaches_both_ends),
        cmocka_unit_test(data_within_the_window_is_learned),
        cmocka_unit_test(what_lies_beside_the_window_teaches_nothing),
        cmocka_unit_test(little_more_than_the_window_is_learned),
        cmocka_unit_test(window_scale_holds_if_both_offer_it),
        cmocka_unit_test(scale_that_one_side_offers_does_not_hold),
        cmocka_unit_test(selective_acknowledgement_moves_the_window),
        cmocka_unit_test(options_that_contradict_their_length_are_not_read),
        cmocka_unit_test(scale_is_fourteen_at_most),
        cmocka_unit_test(same_segment_again_is_counted),
        cmocka_unit_test(half_of_all_numbers_away_is_before_and_after),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
