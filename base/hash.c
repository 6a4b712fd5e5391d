/* SipHash (Aumasson and Bernstein, 2012) and what is made from it: the table hash and the random
 * source.
 *
 * Every table lookup of the path hashes a tuple here, so the 40-byte form is written out: five
 * words and the length word, no loop, no tail. Tables use 1-3 rounds, as Rust and Linux do for
 * their hash tables; random numbers decide which source port a stranger sees, so they use the full
 * 2-4.
 *
 * The random source is SipHash-2-4 of a counter: its whole state is in struct pg_random, which its
 * owner holds and hands in. Always true: same key and counter, same number, on any machine (words
 * are read little-endian everywhere). */
#include "podglass/hash.h"

#include "podglass/addr.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotl(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static inline uint64_t load_le64(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return le64toh(word);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v1 = rotl(s->v1, 13) ^ s->v0;
    s->v0 = rotl(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = rotl(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = rotl(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = rotl(s->v1, 17) ^ s->v2;
    s->v2 = rotl(s->v2, 32);
}

static inline struct sip sip_begin(const struct pg_hash_key *key)
{
    return (struct sip){
        .v0 = key->k0 ^ 0x736f6d6570736575u,
        .v1 = key->k1 ^ 0x646f72616e646f6du,
        .v2 = key->k0 ^ 0x6c7967656e657261u,
        .v3 = key->k1 ^ 0x7465646279746573u,
    };
}

static inline void sip_word(struct sip *s, uint64_t word, int rounds)
{
    s->v3 ^= word;
    for (int i = 0; i < rounds; i++)
        sip_round(s);
    s->v0 ^= word;
}

static inline uint64_t sip_end(struct sip *s, int rounds)
{
    s->v2 ^= 0xff;
    for (int i = 0; i < rounds; i++)
        sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

uint64_t pg_hash(const struct pg_hash_key *key, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    struct sip s = sip_begin(key);
    for (size_t words = len / 8; words > 0; words--, at += 8)
        sip_word(&s, load_le64(at), 1);
    uint64_t last = (uint64_t)len << 56;
    for (size_t i = 0; i < len % 8; i++)
        last |= (uint64_t)at[i] << (8 * i);
    sip_word(&s, last, 1);
    return sip_end(&s, 3);
}

uint64_t pg_hash_tuple(const struct pg_hash_key *key, const struct pg_tuple *t)
{
    static_assert(sizeof(*t) == 40, "five words");
    const uint8_t *at = (const uint8_t *)t;
    struct sip s = sip_begin(key);
    sip_word(&s, load_le64(at), 1);
    sip_word(&s, load_le64(at + 8), 1);
    sip_word(&s, load_le64(at + 16), 1);
    sip_word(&s, load_le64(at + 24), 1);
    sip_word(&s, load_le64(at + 32), 1);
    sip_word(&s, (uint64_t)sizeof(*t) << 56, 1);
    return sip_end(&s, 3);
}

/* SipHash-2-4 of one little-endian word. */
static uint64_t sip24_word(const struct pg_hash_key *key, uint64_t word)
{
    struct sip s = sip_begin(key);
    sip_word(&s, word, 2);
    sip_word(&s, (uint64_t)8 << 56, 2);
    return sip_end(&s, 4);
}

void pg_random_seed(struct pg_random *r, uint64_t seed)
{
    /* Seeds are small numbers that people type; hashing them keeps neighbouring seeds apart. */
    const struct pg_hash_key left = {seed, 0}, right = {seed, 1};
    *r = (struct pg_random){.key = {sip24_word(&left, 0), sip24_word(&right, 0)}};
}

int pg_random_seed_from_system(struct pg_random *r)
{
    struct pg_hash_key key;
    ssize_t got;
    do
        got = getrandom(&key, sizeof(key), 0);
    while (got < 0 && errno == EINTR);
    if (got != (ssize_t)sizeof(key)) /* up to 256 bytes come whole or not at all */
        return got < 0 ? -errno : -EIO;
    *r = (struct pg_random){.key = key};
    return 0;
}

uint64_t pg_random_u64(struct pg_random *r)
{
    return sip24_word(&r->key, r->counter++);
}

uint32_t pg_random_below(struct pg_random *r, uint32_t n)
{
    /* Lemire 2019: the high half of a product is uniform once the 2^32 mod n low values that come
     * too often are refused. The division is only reached with a chance of n / 2^32. */
    uint64_t product = (pg_random_u64(r) >> 32) * n;
    if ((uint32_t)product < n) {
        uint32_t refuse_below = (0u - n) % n;
        while ((uint32_t)product < refuse_below)
            product = (pg_random_u64(r) >> 32) * n;
    }
    return (uint32_t)(product >> 32);
}

struct pg_hash_key pg_random_key(struct pg_random *r)
{
    struct pg_hash_key key;
    key.k0 = pg_random_u64(r);
    key.k1 = pg_random_u64(r);
    return key;
}
