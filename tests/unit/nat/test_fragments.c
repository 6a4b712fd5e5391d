/* Fragments come together whatever their order, and hostile ones never do. */
#include "podglass/checksum.h"
#include "podglass/fragments.h"
#include "podglass/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static struct pg_counters counters;
static struct pg_buf_pool *pool;
static struct pg_fragments *fragments;
static struct pg_random rng;

static int setup(void **state)
{
    memset(&counters, 0, sizeof counters);
    pool = pg_buf_pool_new(256);
    fragments = pg_fragments_new(&counters);
    pg_random_seed(&rng, 7);
    return pool == NULL || fragments == NULL;
}

static int teardown(void **state)
{
    pg_fragments_free(fragments);
    assert_int_equal(pg_buf_pool_used(pool), 0);
    pg_buf_pool_free(pool);
    return 0;
}

static void sum_v4(uint8_t *ip)
{
    memset(ip + 10, 0, 2);
    uint16_t sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, ip, 20));
    memcpy(ip + 10, &sum, 2);
}

/* A datagram of an unknown protocol, so that nothing but the IP layer matters. */
static uint32_t datagram(uint8_t *out, bool v4, uint32_t payload)
{
    uint32_t head = v4 ? 20 : 40;
    memset(out, 0, head);
    if (v4) {
        out[0] = 0x45;
        out[2] = (uint8_t)((head + payload) >> 8);
        out[3] = (uint8_t)(head + payload);
        out[5] = (uint8_t)pg_random_below(&rng, 2); /* 0 is a number, too */
        out[8] = 64;
        out[9] = 17;
        out[15] = 1;
        out[19] = 2;
        sum_v4(out);
    } else {
        out[0] = 0x60;
        out[4] = (uint8_t)(payload >> 8);
        out[5] = (uint8_t)payload;
        out[6] = 17;
        out[7] = 64;
        out[23] = 1;
        out[39] = 2;
    }
    for (uint32_t i = 0; i < payload; i++) {
        out[head + i] = (uint8_t)pg_random_u64(&rng);
    }
    return head + payload;
}

/* Hands one piece over as the path would. The result's buffer, if any, is in *ret. */
static enum pg_fragment give(const uint8_t *bytes, uint32_t len, uint64_t now_us,
                             struct pg_packet *ret)
{
    struct pg_buf *buf = pg_buf_get(pool);
    assert_non_null(buf);
    memcpy(buf->bytes + buf->start, bytes, len);
    *ret = (struct pg_packet){
        .head = buf->bytes + buf->start, .head_len = len, .len = len, .buf = buf};
    enum pg_fragment result = pg_fragments_take(fragments, ret, pool, now_us);
    if (result != PG_FRAGMENT_WHOLE) {
        pg_buf_put(ret->buf);
    }
    return result;
}

static void pieces_in_any_order_give_the_datagram_back(void **state)
{
    static uint8_t whole[65536];
    static uint8_t pieces[64][1600];
    uint32_t lens[64] = {0};
    for (int round = 0; round < 300; round++) {
        bool v4 = round % 2 == 0;
        uint32_t len = datagram(whole, v4, 2000 + pg_random_below(&rng, 20000));
        struct pg_packet p = {.head = whole,
                              .head_len = len,
                              .len = len,
                              .ip_version = v4 ? 4 : 6,
                              .id = 4711u + (uint64_t)round,
                              .fragment_size = (uint16_t)(600 + pg_random_below(&rng, 900))};
        uint32_t count = 0; /* two at least: the payload is longer than a piece */
        uint32_t cursor = 0;
        while ((lens[count] =
                    pg_fragments_split(&p, &cursor, pieces[count], sizeof pieces[count])) != 0) {
            assert_true(lens[count] <= p.fragment_size);
            count++;
        }
        for (uint32_t i = count - 1; i > 0; i--) {
            uint32_t k = pg_random_below(&rng, i + 1);
            uint8_t copy[1600];
            uint32_t l = lens[i];
            memcpy(copy, pieces[i], l);
            memcpy(pieces[i], pieces[k], lens[k]);
            lens[i] = lens[k];
            memcpy(pieces[k], copy, l);
            lens[k] = l;
        }
        struct pg_packet got;
        for (uint32_t i = 0; i < count; i++) {
            enum pg_fragment result = give(pieces[i], lens[i], 1, &got);
            assert_int_equal(result, i + 1 == count ? PG_FRAGMENT_WHOLE : PG_FRAGMENT_HELD);
        }
        assert_int_equal(got.len, len);
        assert_memory_equal(got.head, whole, len);
        pg_buf_put(got.buf);
        assert_int_equal(pg_fragments_held(fragments), 0);
    }
    assert_int_equal(counters.drop[PG_DROP_FRAGMENT], 0);
}

static uint32_t piece_v4(uint8_t *out, uint16_t id, uint32_t offset, uint32_t len, bool more)
{
    uint32_t total = datagram(out, true, len);
    out[4] = (uint8_t)(id >> 8);
    out[5] = (uint8_t)id;
    out[6] = (uint8_t)((more ? 0x20 : 0) | (offset / 8) >> 8);
    out[7] = (uint8_t)(offset / 8);
    sum_v4(out);
    return total;
}

static void hostile_pieces_are_refused(void **state)
{
    static const struct {
        const char *what;
        uint32_t offset, len;
        bool more;
    } rows[] = {
        {"ends beyond 65535", 65528, 100, false},
        {"no multiple of eight, and more follows", 0, 100, true},
        {"first piece too short for a UDP header", 0, 0, true},
        {"overlaps the piece before", 1472, 200, false},
        {"ends before a piece that is there", 0, 800, false},
    };
    uint8_t bytes[4096];
    struct pg_packet p;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint16_t id = (uint16_t)(100 + i);
        uint64_t before = counters.drop[PG_DROP_FRAGMENT];
        assert_int_equal(give(bytes, piece_v4(bytes, id, 800, 680, true), 1, &p), PG_FRAGMENT_HELD);
        if (give(bytes, piece_v4(bytes, id, rows[i].offset, rows[i].len, rows[i].more), 1, &p) !=
            PG_FRAGMENT_BAD) {
            fail_msg("taken: %s", rows[i].what);
        }
        assert_true(counters.drop[PG_DROP_FRAGMENT] > before);
    }
}

static void a_flood_of_first_pieces_does_not_keep_whole_datagrams_out(void **state)
{
    uint8_t bytes[4096];
    struct pg_packet p;
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(give(bytes, piece_v4(bytes, (uint16_t)i, 0, 800, true), i, &p),
                         PG_FRAGMENT_HELD);
        assert_true(pg_buf_pool_used(pool) <= 64);
        if (i % 100 == 0) {
            uint16_t id = (uint16_t)(20000 + i);
            assert_int_equal(give(bytes, piece_v4(bytes, id, 0, 1480, true), i, &p),
                             PG_FRAGMENT_HELD);
            assert_int_equal(give(bytes, piece_v4(bytes, id, 1480, 100, false), i, &p),
                             PG_FRAGMENT_WHOLE);
            pg_buf_put(p.buf);
        }
    }
}

static void incomplete_datagrams_go_after_thirty_seconds(void **state)
{
    uint8_t bytes[4096];
    struct pg_packet p;
    assert_int_equal(give(bytes, piece_v4(bytes, 1, 0, 800, true), 1000, &p), PG_FRAGMENT_HELD);
    assert_int_equal(pg_fragments_next_due_us(fragments), 30001000);
    pg_fragments_advance(fragments, 30000999);
    assert_int_equal(pg_fragments_held(fragments), 1);
    pg_fragments_advance(fragments, 30001000);
    assert_int_equal(pg_fragments_held(fragments), 0);
    assert_int_equal(counters.drop[PG_DROP_FRAGMENT], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pieces_in_any_order_give_the_datagram_back, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(hostile_pieces_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flood_of_first_pieces_does_not_keep_whole_datagrams_out,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(incomplete_datagrams_go_after_thirty_seconds, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
