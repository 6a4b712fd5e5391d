/* The cache of forward.c. Names of the cluster never get here: the zone answers them faster than a cache would.
 *
 * How long an answer holds is what a stock CoreDNS makes of it: the smallest time to live of an answer, at most an hour; the
 * SOA's word of a denial, at most half an hour; neither below five seconds; five seconds for SERVFAIL. Answers are
 * kept as they came, and at each use get the seconds that are left.
 *
 * Entries have one size, so a full cache is ENTRIES times that and no more. When it is full the next one in the round goes, old or
 * not. Owns its table and entries; the clock is the caller's. */
#include "cache.h"

#include "podglass/pool.h"
#include "podglass/table.h"

#include <stdlib.h>
#include <string.h>

#define ENTRIES       2048u
#define POSITIVE_MOST 3600u
#define NEGATIVE_MOST 1800u
#define LEAST         5u
#define FAILURE       5u
#define SOA_NUMBERS   20u

struct entry {
    uint64_t since_ms, until_ms;
    uint32_t hash;
    uint16_t type;
    uint16_t len;
    uint8_t flags;
    uint8_t message[PG_DNS_EDNS_SIZE];
};

struct pg_dns_cache {
    struct pg_hash_key key;
    struct pg_pool *entries;
    struct pg_table *by_key;
    uint32_t hand; /* the next to go */
};

static uint8_t flags_of(const struct pg_dns_cache_key *k)
{
    return (uint8_t)(k->edns | k->dnssec_ok << 1 | k->checking_disabled << 2);
}

static bool same_name(const uint8_t *a, const uint8_t *b)
{
    uint32_t len = pg_dns_name_len(a);

    for (uint32_t i = 0; i < len; i++) { /* length bytes are no letters */
        if (pg_dns_lower(a[i]) != pg_dns_lower(b[i])) {
            return false;
        }
    }
    return true;
}

static bool same_key(const void *owner, uint32_t value, const void *key)
{
    const struct pg_dns_cache *c = owner;
    const struct entry *e = pg_pool_at(c->entries, value);
    const struct pg_dns_cache_key *k = key;

    return e->type == k->type && e->flags == flags_of(k) &&
           same_name(k->name, e->message + PG_DNS_HEADER);
}

static uint32_t hash_of(const struct pg_dns_cache *c, const struct pg_dns_cache_key *k)
{
    uint8_t bytes[PG_DNS_NAME_MAX + 3];
    uint32_t len = pg_dns_name_len(k->name);

    for (uint32_t i = 0; i < len; i++) {
        bytes[i] = pg_dns_lower(k->name[i]);
    }
    bytes[len] = (uint8_t)(k->type >> 8);
    bytes[len + 1] = (uint8_t)k->type;
    bytes[len + 2] = flags_of(k);
    return (uint32_t)pg_hash(&c->key, bytes, len + 3);
}

struct pg_dns_cache *pg_dns_cache_new(const struct pg_hash_key *key)
{
    struct pg_dns_cache *c = calloc(1, sizeof(*c));

    if (!c) {
        return NULL;
    }
    c->key = *key;
    c->entries = pg_pool_new("dns cache", sizeof(struct entry), ENTRIES);
    c->by_key = pg_table_new(ENTRIES, same_key, c);
    if (!c->entries || !c->by_key) {
        pg_dns_cache_free(c);
        return NULL;
    }
    return c;
}

void pg_dns_cache_free(struct pg_dns_cache *c)
{
    if (c) {
        pg_table_free(c->by_key);
        pg_pool_free(c->entries);
        free(c);
    }
}

static void drop(struct pg_dns_cache *c, uint32_t index)
{
    const struct entry *e = pg_pool_at(c->entries, index);

    (void)pg_table_del(c->by_key, e->hash, index);
    pg_pool_put(c->entries, index);
}

uint32_t pg_dns_cache_count(const struct pg_dns_cache *c)
{
    return pg_pool_used(c->entries);
}

static uint32_t bounded(uint32_t seconds, uint32_t most)
{
    return seconds < LEAST ? LEAST : seconds < most ? seconds : most;
}

static uint32_t last_u32(const uint8_t *behind)
{
    return (uint32_t)behind[-4] << 24 | (uint32_t)behind[-3] << 16 | (uint32_t)behind[-2] << 8 |
           behind[-1];
}

/* Seconds it holds; 0: it is not to be kept. */
static uint32_t holds(const uint8_t *m, uint32_t len)
{
    uint32_t rcode = m[3] & 0x0f;
    uint32_t least = POSITIVE_MOST;
    uint32_t denied = 0;
    bool answered = false;
    bool soa = false;
    uint64_t cursor = 0;
    struct pg_dns_rr rr;
    bool bad;

    while (pg_dns_rr_next(m, len, &cursor, &rr, &bad)) {
        if (rr.section == PG_DNS_AUTHORITY && rr.type == PG_DNS_SOA && rr.data_len >= SOA_NUMBERS) {
            uint32_t minimum = last_u32(m + rr.data + rr.data_len);

            soa = true;
            denied = rr.ttl < minimum ? rr.ttl : minimum;
        }
        if (rr.type != PG_DNS_OPT && rr.ttl < least) {
            least = rr.ttl;
        }
        answered = answered || rr.section == PG_DNS_ANSWERS;
    }
    if (bad || (m[2] & 0x02)) {
        return 0;
    }
    if (rcode == PG_DNS_SERVFAIL) {
        return FAILURE;
    }
    if (rcode == PG_DNS_NOERROR && answered) {
        return bounded(least, POSITIVE_MOST);
    }
    bool negative = rcode == PG_DNS_NOERROR || rcode == PG_DNS_NAME_ERROR;

    return negative && soa ? bounded(denied, NEGATIVE_MOST) : 0;
}

static uint32_t room_for_one(struct pg_dns_cache *c)
{
    uint32_t index = pg_pool_get(c->entries);

    while (index == PG_POOL_NONE) {
        uint32_t at = c->hand++ % ENTRIES;

        if (pg_pool_in_use(c->entries, at)) {
            drop(c, at);
            index = pg_pool_get(c->entries);
        }
    }
    return index;
}

void pg_dns_cache_put(struct pg_dns_cache *c, const struct pg_dns_cache_key *key,
                      const uint8_t *message, uint32_t len, uint64_t now_ms)
{
    uint32_t seconds = len <= PG_DNS_EDNS_SIZE ? holds(message, len) : 0;
    uint32_t hash = hash_of(c, key);
    uint32_t index = pg_table_find(c->by_key, hash, key);

    if (index != PG_TABLE_NONE) {
        drop(c, index);
    }
    if (seconds == 0) {
        return;
    }
    index = room_for_one(c);
    struct entry *e = pg_pool_at(c->entries, index);

    e->since_ms = now_ms;
    e->until_ms = now_ms + UINT64_C(1000) * seconds;
    e->hash = hash;
    e->type = key->type;
    e->flags = flags_of(key);
    e->len = (uint16_t)len;
    memcpy(e->message, message, len);
    if (pg_table_add(c->by_key, hash, index) != 0) {
        pg_pool_put(c->entries, index);
    }
}

static uint32_t seconds_left(const struct entry *e, uint64_t now_ms)
{
    return (uint32_t)((e->until_ms - now_ms + 999) / 1000);
}

uint32_t pg_dns_cache_get(struct pg_dns_cache *c, const struct pg_dns_cache_key *key,
                          uint64_t now_ms, uint8_t *out, uint32_t room)
{
    uint32_t index = pg_table_find(c->by_key, hash_of(c, key), key);
    uint64_t cursor = 0;
    struct pg_dns_rr rr;
    bool bad;

    if (index == PG_TABLE_NONE) {
        return 0;
    }
    struct entry *e = pg_pool_at(c->entries, index);

    if (e->until_ms <= now_ms) {
        drop(c, index);
        return 0;
    }
    if (e->len > room) {
        return 0;
    }
    uint32_t left = seconds_left(e, now_ms);

    memcpy(out, e->message, e->len);
    out[0] = out[1] = 0;
    memcpy(out + PG_DNS_HEADER, key->name, pg_dns_name_len(key->name));
    while (pg_dns_rr_next(out, e->len, &cursor, &rr, &bad)) {
        uint8_t *ttl = out + rr.fixed + 4;

        if (rr.type != PG_DNS_OPT) {
            ttl[0] = (uint8_t)(left >> 24);
            ttl[1] = (uint8_t)(left >> 16);
            ttl[2] = (uint8_t)(left >> 8);
            ttl[3] = (uint8_t)left;
        }
    }
    return e->len;
}

bool pg_dns_cache_next(const struct pg_dns_cache *c, uint32_t *cursor, uint64_t now_ms,
                       struct pg_dns_cache_entry *ret)
{
    while (*cursor < pg_pool_high_water(c->entries)) {
        uint32_t index = (*cursor)++;
        const struct entry *e =
            pg_pool_in_use(c->entries, index) ? pg_pool_at(c->entries, index) : NULL;

        if (e && e->until_ms > now_ms) {
            *ret = (struct pg_dns_cache_entry){.message = e->message,
                                               .len = e->len,
                                               .left_s = seconds_left(e, now_ms),
                                               .age_s = (uint32_t)((now_ms - e->since_ms) / 1000),
                                               .type = e->type};
            return true;
        }
    }
    return false;
}
