/* nat/rewrite.c: after any rewrite all sums are what a full computation gives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "packet_make.h"
#include "podglass/hash.h"
#include "podglass/nat_rewrite.h"

#include <string.h>

static struct pg_addr random_addr(struct pg_random *r, bool v6)
{
    uint8_t bytes[16];
    uint64_t halves[2] = {pg_random_u64(r), pg_random_u64(r)};

    memcpy(bytes, halves, sizeof(bytes));
    bytes[0] = 0x20;
    return v6 ? pg_addr_from_v6(bytes) : pg_addr_v4(bytes[1], bytes[2], bytes[3], bytes[4]);
}

static struct pg_tuple random_tuple(struct pg_random *r, uint8_t proto, bool v6)
{
    struct pg_tuple t = {.src = random_addr(r, v6), .dst = random_addr(r, v6), .proto = proto};

    t.src_port = (uint16_t)pg_random_u64(r);
    t.dst_port = (uint16_t)pg_random_u64(r);
    if (proto == PG_PROTO_ICMP)
        t.dst_port = 8 << 8;
    if (proto == PG_PROTO_ICMP6)
        t.dst_port = 128 << 8;
    return t;
}

static void sums_stay_right_whatever_is_rewritten(void **state)
{
    static const struct {
        uint8_t proto;
        bool v6;
    } kinds[] = {{PG_PROTO_TCP, false}, {PG_PROTO_TCP, true},   {PG_PROTO_UDP, false},
                 {PG_PROTO_UDP, true},  {PG_PROTO_ICMP, false}, {PG_PROTO_ICMP6, true}};
    static const enum pg_csum sums[] = {PG_CSUM_FULL, PG_CSUM_VERIFIED, PG_CSUM_PARTIAL};
    struct pg_random r;
    struct pg_made m;

    (void)state;
    pg_random_seed(&r, 1);
    for (int i = 0; i < 60000; i++) {
        uint8_t proto = kinds[i % 6].proto;
        enum pg_csum csum = sums[i / 6 % 3];
        struct pg_tuple from = random_tuple(&r, proto, kinds[i % 6].v6);
        struct pg_tuple to = random_tuple(&r, proto, kinds[i % 6].v6);
        bool echo = proto == PG_PROTO_ICMP || proto == PG_PROTO_ICMP6;
        if (csum == PG_CSUM_PARTIAL && echo)
            csum = PG_CSUM_FULL; /* devices do not leave ICMP sums open */
        if (i & 64)
            to.src = from.src;
        if (i & 128)
            to.src_port = from.src_port;
        pg_make_first(&m, &from);
        m.p.csum = csum;
        if (csum == PG_CSUM_PARTIAL)
            pg_make_partial(&m);
        pg_rewrite_tuple(&m.p, &to);
        if (!pg_made_is_right(&m.p) || !pg_tuple_equal(&m.p.tuple, &to))
            fail_msg("proto %u, csum %d, round %d", proto, csum, i);
    }
}

static void quoted_sums_stay_right_too(void **state)
{
    struct pg_random r;
    struct pg_made about;
    struct pg_made m;

    (void)state;
    pg_random_seed(&r, 2);
    for (int i = 0; i < 30000; i++) {
        static const uint8_t protos[2][3] = {{PG_PROTO_TCP, PG_PROTO_UDP, PG_PROTO_ICMP},
                                             {PG_PROTO_TCP, PG_PROTO_UDP, PG_PROTO_ICMP6}};
        bool v6 = i & 1;
        uint8_t proto = protos[v6][i % 3];
        struct pg_tuple from = random_tuple(&r, proto, v6);
        struct pg_tuple to = random_tuple(&r, proto, v6);
        struct pg_addr router = random_addr(&r, v6);
        struct pg_tuple quoted;
        uint16_t at;
        pg_make_first(&about, &from);
        pg_make_error(&m, v6 ? 1 : 3, 3, &router, &about.p, i % 5 == 0 ? (v6 ? 48 : 28) : 0);
        assert_true(pg_packet_quoted(&m.p, &quoted, &at));
        pg_rewrite_quoted(&m.p, at, &to);
        assert_true(pg_packet_quoted(&m.p, &quoted, &at));
        if (!pg_made_is_right(&m.p) || !pg_made_quote_is_right(&m.p) ||
            !pg_tuple_equal(&quoted, &to))
            fail_msg("proto %u, round %d", proto, i);
    }
}

static void damage_done_elsewhere_stays_visible(void **state)
{
    struct pg_tuple from = pg_make_tuple(PG_PROTO_TCP, "10.0.0.1", 1, "10.0.0.2", 2);
    struct pg_tuple to = pg_make_tuple(PG_PROTO_TCP, "10.9.9.9", 77, "10.0.0.2", 2);
    struct pg_made m;

    (void)state;
    pg_make_tcp(&m, &from, PG_TCP_ACK, 1, 1, 50);
    m.bytes[60] ^= 0xff;
    m.p.csum = PG_CSUM_FULL;
    pg_rewrite_tuple(&m.p, &to);
    assert_false(pg_made_is_right(&m.p));
    m.bytes[60] ^= 0xff;
    assert_true(pg_made_is_right(&m.p));
}

static void time_to_live_counts_down_to_one(void **state)
{
    struct pg_tuple v4 = pg_make_tuple(PG_PROTO_TCP, "10.0.0.1", 1, "10.0.0.2", 2);
    struct pg_tuple v6 = pg_make_tuple(PG_PROTO_TCP, "2001:db8::1", 1, "2001:db8::2", 2);
    struct pg_made m;

    (void)state;
    for (int i = 0; i < 2; i++) {
        pg_make_first(&m, i ? &v6 : &v4);
        for (int ttl = 63; ttl >= 1; ttl--) {
            assert_true(pg_rewrite_ttl(&m.p));
            assert_int_equal(m.p.ttl, ttl);
            assert_int_equal(m.bytes[i ? 7 : 8], ttl);
            assert_true(pg_made_is_right(&m.p));
        }
        assert_false(pg_rewrite_ttl(&m.p));
        assert_int_equal(m.bytes[i ? 7 : 8], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_stay_right_whatever_is_rewritten),
        cmocka_unit_test(quoted_sums_stay_right_too),
        cmocka_unit_test(damage_done_elsewhere_stays_visible),
        cmocka_unit_test(time_to_live_counts_down_to_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
