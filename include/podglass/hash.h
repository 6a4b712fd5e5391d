/* folder: base */
/* The keyed hash every table of ours uses, and the random source that is handed in.
 *
 * Both are SipHash (1-3 for tables, where speed counts; 2-4 in counter mode for random numbers), so
 * a peer who does not know the key can neither aim at one bucket nor guess the next port. The key
 * comes from the system at start, or from --seed in tests and replay: the same seed gives the same
 * numbers. */
#ifndef PODGLASS_HASH_H
#define PODGLASS_HASH_H

#include <stddef.h>
#include <stdint.h>

struct pg_hash_key {
    uint64_t k0;
    uint64_t k1;
};

uint64_t pg_hash(const struct pg_hash_key *key, const void *bytes, size_t len);
/* Fixed-size fast form for tuples (40 bytes). Same value as pg_hash over the same bytes. */
struct pg_tuple;
uint64_t pg_hash_tuple(const struct pg_hash_key *key, const struct pg_tuple *t);

struct pg_random {
    struct pg_hash_key key;
    uint64_t counter;
};

void pg_random_seed(struct pg_random *r, uint64_t seed); /* repeatable */
int pg_random_seed_from_system(struct pg_random *r);     /* getrandom(2); 0 or -errno */
uint64_t pg_random_u64(struct pg_random *r);
uint32_t pg_random_below(struct pg_random *r, uint32_t n); /* uniform in 0..n-1, n > 0 */
struct pg_hash_key pg_random_key(struct pg_random *r);     /* a fresh key drawn from r */

#endif
