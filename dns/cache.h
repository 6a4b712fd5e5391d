/* folder: dns */
/* Answers of other servers, kept for a while: a bounded number, each as long as it says, within bounds. */
#ifndef PODGLASS_DNS_CACHE_H
#define PODGLASS_DNS_CACHE_H

#include "dns_wire.h"
#include "podglass/hash.h"

/* What an answer is found by. What the client said of EDNS and checking is part of it: answers differ by it. */
struct pg_dns_cache_key {
    const uint8_t *name; /* wire name, any spelling */
    uint16_t type;
    bool edns, dnssec_ok, checking_disabled;
};

struct pg_dns_cache;
struct pg_dns_cache *pg_dns_cache_new(const struct pg_hash_key *key); /* NULL: out of memory */
void pg_dns_cache_free(struct pg_dns_cache *c);
uint32_t pg_dns_cache_count(const struct pg_dns_cache *c);
/* Keeps a response to that question if it may be kept: not cut, not too long, and of a kind that says how long it holds. */
void pg_dns_cache_put(struct pg_dns_cache *c, const struct pg_dns_cache_key *key,
                      const uint8_t *message, uint32_t len, uint64_t now_ms);
/* The response with times to live that are left, its question spelled as in key->name, id 0. 0: there is none that fits in room. */
uint32_t pg_dns_cache_get(struct pg_dns_cache *c, const struct pg_dns_cache_key *key,
                          uint64_t now_ms, uint8_t *out, uint32_t room);
/* For tables: the next entry that still holds; *cursor is 0 to begin. Its message is as it came, and the cache's. */
struct pg_dns_cache_entry {
    const uint8_t *message;
    uint32_t len;
    uint32_t left_s, age_s;
    uint16_t type;
};
bool pg_dns_cache_next(const struct pg_dns_cache *c, uint32_t *cursor, uint64_t now_ms,
                       struct pg_dns_cache_entry *ret);

#endif
