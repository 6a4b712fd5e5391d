/* Fixed-size entries addressed by a small index, for everything that comes and goes with traffic.
 *
 * Flows, sessions and connections live here. The whole address range for `limit` entries is
 * reserved at the start and the kernel gives pages as entries are first used, so a high limit costs
 * nothing until traffic needs it and the data path never allocates. Freed entries are used again
 * last-in-first-out, while their cache lines are still warm.
 *
 * Owns two mappings: the entries, and one word per entry that counts its births and deaths (odd: in
 * use). The word is outside the entry, so clearing an entry cannot lose it. Free entries hold the
 * index of the next free one in their first bytes. Always true: an entry handed out is all zero;
 * its address does not change until it is put back; `at` of an index not in use is a bug and ends
 * the process. */
#include "podglass/pool.h"

#include "podglass/log.h"
#include "podglass/reserve.h"

#include <stdlib.h>
#include <string.h>

#define ENTRY_ALIGN 8 /* as much as a word needs */

struct pg_pool {
    uint8_t *entries;
    uint32_t *life; /* births plus deaths of each entry */
    size_t stride;
    uint32_t limit;
    uint32_t fresh; /* entries from here on were never used */
    uint32_t free_first;
    uint32_t used;
    uint32_t high_water;
    const char *name;
};

struct pg_pool *pg_pool_new(const char *name, size_t entry_size, uint32_t limit)
{
    PG_ASSERT(entry_size > 0 && limit > 0 && limit < PG_POOL_NONE);
    struct pg_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->name = name;
    p->limit = limit;
    p->free_first = PG_POOL_NONE;
    p->stride = (entry_size + ENTRY_ALIGN - 1) / ENTRY_ALIGN * ENTRY_ALIGN;
    if (p->stride > SIZE_MAX / limit)
        goto fail;
    p->entries = pg_reserve_small(p->stride * limit);
    p->life = pg_reserve_small(sizeof(*p->life) * limit);
    if (!p->entries || !p->life)
        goto fail;
    return p;
fail:
    pg_pool_free(p);
    return NULL;
}

void pg_pool_free(struct pg_pool *p)
{
    if (!p)
        return;
    pg_unreserve(p->entries, p->stride * p->limit);
    pg_unreserve(p->life, sizeof(*p->life) * p->limit);
    free(p);
}

static inline uint8_t *entry_at(const struct pg_pool *p, uint32_t index)
{
    return p->entries + p->stride * index;
}

bool pg_pool_in_use(const struct pg_pool *p, uint32_t index)
{
    return index < p->fresh && (p->life[index] & 1) != 0;
}

uint32_t pg_pool_get(struct pg_pool *p)
{
    uint32_t index = p->free_first;
    if (index != PG_POOL_NONE) {
        uint8_t *entry = entry_at(p, index);
        memcpy(&p->free_first, entry, sizeof(p->free_first));
        memset(entry, 0, p->stride);
    } else if (p->fresh < p->limit) {
        index = p->fresh++;
    } else {
        return PG_POOL_NONE;
    }
    p->life[index]++;
    p->used++;
    if (p->used > p->high_water)
        p->high_water = p->used;
    return index;
}

uint32_t pg_pool_next(const struct pg_pool *p, uint32_t *ret_generation)
{
    uint32_t index = p->free_first != PG_POOL_NONE ? p->free_first : p->fresh;

    if (index >= p->limit)
        return PG_POOL_NONE;
    *ret_generation = ((p->life[index] + 1) >> 1) + 1;
    return index;
}

void pg_pool_put(struct pg_pool *p, uint32_t index)
{
    PG_ASSERT(pg_pool_in_use(p, index));
    memcpy(entry_at(p, index), &p->free_first, sizeof(p->free_first));
    p->free_first = index;
    p->life[index]++;
    p->used--;
}

void *pg_pool_at(const struct pg_pool *p, uint32_t index)
{
    PG_ASSERT(pg_pool_in_use(p, index));
    return entry_at(p, index);
}

void *pg_pool_known(const struct pg_pool *p, uint32_t index)
{
    PG_ASSERT(index < p->fresh);
    return entry_at(p, index);
}

uint32_t pg_pool_index(const struct pg_pool *p, const void *entry)
{
    size_t offset = (size_t)((const uint8_t *)entry - p->entries);
    PG_ASSERT(offset < p->stride * p->fresh && offset % p->stride == 0);
    return (uint32_t)(offset / p->stride);
}

uint32_t pg_pool_generation(const struct pg_pool *p, uint32_t index)
{
    return pg_pool_in_use(p, index) ? (p->life[index] >> 1) + 1 : 0;
}

uint32_t pg_pool_used(const struct pg_pool *p)
{
    return p->used;
}

uint32_t pg_pool_high_water(const struct pg_pool *p)
{
    return p->high_water;
}

uint32_t pg_pool_limit(const struct pg_pool *p)
{
    return p->limit;
}

const char *pg_pool_name(const struct pg_pool *p)
{
    return p->name;
}
