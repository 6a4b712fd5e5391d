/* base/checksum.c against a byte-by-byte sum written from RFC 1071. */
#include "podglass/checksum.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* RFC 1071 4.1, one byte after the other; result as it stands in memory. */
static uint16_t slow_sum(const uint8_t *bytes, size_t len)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < len; i++)
        sum += i % 2 == 0 ? (uint32_t)bytes[i] << 8 : bytes[i];
    while (sum >> 16)
        sum = (sum >> 16) + (sum & 0xffff);
    return htons((uint16_t)sum);
}

static void fill_random(uint8_t *bytes, size_t len)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (uint8_t)random();
}

static void the_example_of_rfc_1071_comes_out(void **state)
{
    const uint8_t bytes[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
    assert_int_equal(ntohs(pg_sum_fold(pg_sum_add(0, bytes, sizeof(bytes)))), 0xddf2);
}

static void every_length_and_alignment_gives_the_slow_sum(void **state)
{
    srandom(2);
    for (size_t len = 0; len < 400; len++) {
        for (size_t shift = 0; shift < 8; shift++) {
            uint8_t *bytes = malloc(len + shift + 1);
            fill_random(bytes, len + shift);
            uint16_t want = slow_sum(bytes + shift, len);
            uint8_t *exact = malloc(len > 0 ? len : 1); /* an overrun is seen */
            memcpy(exact, bytes + shift, len);
            assert_int_equal(pg_sum_fold(pg_sum_add(0, bytes + shift, len)), want);
            assert_int_equal(pg_sum_fold(pg_sum_add(0, exact, len)), want);
            free(exact);
            free(bytes);
        }
    }
}

static void all_ones_do_not_overflow_the_lanes(void **state)
{
    size_t len = (size_t)1 << 20;
    uint8_t *bytes = malloc(len);
    memset(bytes, 0xff, len);
    assert_int_equal(pg_sum_fold(pg_sum_add(0, bytes, len)), 0xffff);
    free(bytes);
    assert_int_equal(pg_sum_fold(UINT64_MAX), 0xffff);
    assert_int_equal(pg_sum_fold(0), 0);
    assert_int_equal(pg_sum_fold(0x1ffff), 1);
    assert_int_equal(pg_sum_fold(0xfffffffeffffffffu), 0xfffe);
}

static void pieces_of_even_length_sum_to_the_whole(void **state)
{
    uint8_t bytes[301];
    srandom(3);
    fill_random(bytes, sizeof(bytes));
    for (size_t cut = 0; cut < sizeof(bytes); cut += 2) {
        uint64_t sum = pg_sum_add(0, bytes, cut);
        sum = pg_sum_add(sum, bytes + cut, sizeof(bytes) - cut);
        assert_int_equal(pg_sum_fold(sum), slow_sum(bytes, sizeof(bytes)));
    }
}

static void the_pseudo_header_is_that_of_rfc_793_and_rfc_8200(void **state)
{
    const uint8_t v4[12] = {192, 0, 2, 1, 198, 51, 100, 7, 0, 6, 0x12, 0x34};
    struct pg_addr src = pg_addr_v4(192, 0, 2, 1), dst = pg_addr_v4(198, 51, 100, 7);
    assert_int_equal(pg_sum_fold(pg_sum_pseudo(&src, &dst, 6, 0x1234)), slow_sum(v4, sizeof(v4)));

    uint8_t v6[40] = {0};
    srandom(4);
    fill_random(v6, 32);
    v6[33] = 1; /* length 0x00012345 */
    v6[34] = 0x23;
    v6[35] = 0x45;
    v6[39] = 58;
    src = pg_addr_from_v6(v6);
    dst = pg_addr_from_v6(v6 + 16);
    assert_int_equal(pg_sum_fold(pg_sum_pseudo(&src, &dst, 58, 0x12345)), slow_sum(v6, sizeof(v6)));
}

/* Both give the field after a change; the property is that they agree. */
static void an_incremental_update_equals_the_full_sum(void **state)
{
    srandom(5);
    for (int i = 0; i < 50000; i++) {
        uint8_t bytes[64], next[64];
        size_t len = 2 * (1 + (size_t)random() % 8), at = 2 * ((size_t)random() % 16);
        fill_random(bytes, sizeof(bytes));
        if (random() % 4 == 0)
            memset(bytes + at, random() % 2 ? 0xff : 0, len);
        bytes[63] = 1; /* never all zero: there the two forms of zero differ */
        memcpy(next, bytes, sizeof(next));
        fill_random(next + at, len);
        if (random() % 4 == 0)
            memset(next + at, random() % 2 ? 0xff : 0, len);
        uint16_t before = (uint16_t)~slow_sum(bytes, sizeof(bytes));
        uint16_t after = (uint16_t)~slow_sum(next, sizeof(next));
        assert_int_equal(pg_csum_update(before, bytes + at, next + at, len), after);
        uint16_t partial = slow_sum(bytes, sizeof(bytes));
        assert_int_equal(pg_csum_update_partial(partial, bytes + at, next + at, len),
                         slow_sum(next, sizeof(next)));
    }
}

static void the_corner_of_rfc_1624_section_4_gives_zero_and_not_ones(void **state)
{
    /* HC = 0xDD2F, m = 0x5555, m' = 0x3285: eqn. 2 of RFC 1141 fails here. */
    uint16_t field = htons(0xdd2f), old_word = htons(0x5555), new_word = htons(0x3285);
    assert_int_equal(pg_csum_update(field, &old_word, &new_word, 2), 0x0000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_rfc_1071_comes_out),
        cmocka_unit_test(every_length_and_alignment_gives_the_slow_sum),
        cmocka_unit_test(all_ones_do_not_overflow_the_lanes),
        cmocka_unit_test(pieces_of_even_length_sum_to_the_whole),
        cmocka_unit_test(the_pseudo_header_is_that_of_rfc_793_and_rfc_8200),
        cmocka_unit_test(an_incremental_update_equals_the_full_sum),
        cmocka_unit_test(the_corner_of_rfc_1624_section_4_gives_zero_and_not_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
