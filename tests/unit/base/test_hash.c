/* base/hash.c: SipHash values known elsewhere, and a random source that repeats. */
#include "podglass/hash.h"

#include "podglass/addr.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The key of the paper's test vectors: bytes 00 01 .. 0f. */
static const struct pg_hash_key paper_key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

/* SipHash straight from the paper, any rounds, byte by byte: the model for all lengths. */
static uint64_t model(const struct pg_hash_key *key, const uint8_t *bytes, size_t len, int c, int d)
{
    uint64_t v[4] = {key->k0 ^ 0x736f6d6570736575u, key->k1 ^ 0x646f72616e646f6du,
                     key->k0 ^ 0x6c7967656e657261u, key->k1 ^ 0x7465646279746573u};
#define ROTL(x, b) ((x) << (b) | (x) >> (64 - (b)))
#define ROUND()                       \
    do {                              \
        v[0] += v[1];                 \
        v[2] += v[3];                 \
        v[1] = ROTL(v[1], 13) ^ v[0]; \
        v[3] = ROTL(v[3], 16) ^ v[2]; \
        v[0] = ROTL(v[0], 32);        \
        v[2] += v[1];                 \
        v[0] += v[3];                 \
        v[1] = ROTL(v[1], 17) ^ v[2]; \
        v[3] = ROTL(v[3], 21) ^ v[0]; \
        v[2] = ROTL(v[2], 32);        \
    } while (0)
    for (size_t at = 0; at <= len; at += 8) {
        uint64_t word = at + 8 > len ? (uint64_t)len << 56 : 0;
        for (size_t i = 0; i < 8 && at + i < len; i++)
            word |= (uint64_t)bytes[at + i] << (8 * i);
        v[3] ^= word;
        for (int i = 0; i < c; i++)
            ROUND();
        v[0] ^= word;
    }
    v[2] ^= 0xff;
    for (int i = 0; i < d; i++)
        ROUND();
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static void the_model_gives_the_vectors_of_the_paper(void **state)
{
    uint8_t bytes[15];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    assert_true(model(&paper_key, bytes, 15, 2, 4) == 0xa129ca6149be45e5u);
    assert_true(model(&paper_key, bytes, 0, 2, 4) == 0x726fdb47dd0e0e31u);
}

static void siphash_1_3_agrees_with_the_model_for_all_lengths(void **state)
{
    uint8_t bytes[100];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    /* First vector of Rust's SipHasher13 (library/core tests): the empty input. */
    assert_true(pg_hash(&paper_key, bytes, 0) == 0xabac0158050fc4dcu);
    for (size_t len = 0; len <= sizeof(bytes); len++)
        assert_true(pg_hash(&paper_key, bytes, len) == model(&paper_key, bytes, len, 1, 3));
}

static void the_tuple_form_gives_the_same_value_as_the_generic_one(void **state)
{
    srandom(6);
    for (int i = 0; i < 1000; i++) {
        struct pg_tuple t;
        uint8_t raw[sizeof(t)];
        for (size_t b = 0; b < sizeof(raw); b++)
            raw[b] = (uint8_t)random();
        memcpy(&t, raw, sizeof(t));
        struct pg_hash_key key = {(uint64_t)random(), (uint64_t)random()};
        assert_true(pg_hash_tuple(&key, &t) == pg_hash(&key, &t, sizeof(t)));
    }
}

static void random_numbers_are_siphash_2_4_of_the_counter(void **state)
{
    struct pg_random r = {.key = paper_key, .counter = 0x0706050403020100u};
    uint8_t bytes[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    assert_true(pg_random_u64(&r) == 0x93f5f5799a932462u); /* vector 8 of the paper */
    bytes[0] = 1;
    assert_true(pg_random_u64(&r) == model(&paper_key, bytes, 8, 2, 4));
}

static void the_same_seed_gives_the_same_numbers_and_another_does_not(void **state)
{
    struct pg_random a, b, c;
    pg_random_seed(&a, 1);
    pg_random_seed(&b, 1);
    pg_random_seed(&c, 2);
    for (int i = 0; i < 100; i++) {
        uint64_t n = pg_random_u64(&a);
        assert_true(n == pg_random_u64(&b));
        assert_true(n != pg_random_u64(&c));
    }
    struct pg_hash_key k1 = pg_random_key(&a), k2 = pg_random_key(&b), k3 = pg_random_key(&a);
    assert_true(k1.k0 == k2.k0 && k1.k1 == k2.k1);
    assert_true(k1.k0 != k1.k1 && k1.k0 != k3.k0);
}

static void the_system_gives_a_new_seed_each_time(void **state)
{
    struct pg_random a, b;
    assert_int_equal(pg_random_seed_from_system(&a), 0);
    assert_int_equal(pg_random_seed_from_system(&b), 0);
    assert_true(pg_random_u64(&a) != pg_random_u64(&b));
}

static void numbers_below_n_are_below_n_and_even(void **state)
{
    struct pg_random r;
    pg_random_seed(&r, 7);
    static const uint32_t limits[] = {1, 2, 3, 10, 28232, 0x80000001u, UINT32_MAX};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
        for (int n = 0; n < 2000; n++)
            assert_true(pg_random_below(&r, limits[i]) < limits[i]);
    unsigned seen[10] = {0};
    for (int n = 0; n < 100000; n++)
        seen[pg_random_below(&r, 10)]++;
    for (int i = 0; i < 10; i++)
        assert_in_range(seen[i], 9600, 10400); /* four standard deviations are 380 */
    /* Four draws fall on three numbers here: without refusal each third number comes twice as
     * often. */
    unsigned thirds = 0;
    for (int n = 0; n < 30000; n++)
        thirds += pg_random_below(&r, 3u << 30) % 3 == 0;
    assert_in_range(thirds, 9600, 10400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_gives_the_vectors_of_the_paper),
        cmocka_unit_test(siphash_1_3_agrees_with_the_model_for_all_lengths),
        cmocka_unit_test(the_tuple_form_gives_the_same_value_as_the_generic_one),
        cmocka_unit_test(random_numbers_are_siphash_2_4_of_the_counter),
        cmocka_unit_test(the_same_seed_gives_the_same_numbers_and_another_does_not),
        cmocka_unit_test(the_system_gives_a_new_seed_each_time),
        cmocka_unit_test(numbers_below_n_are_below_n_and_even),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
