/* folder: base */
/* Fixed-size entries with stable addresses and small indexes. No malloc after start: the address
 * space is reserved at pg_pool_new and memory is touched as entries are first used. Each entry
 * carries a generation in the pool (not in the entry), so an id made of index and generation tells
 * a reused entry from the old one. */
#ifndef PODGLASS_POOL_H
#define PODGLASS_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_pool;
#define PG_POOL_NONE 0xffffffffu

/* NULL: no memory */
struct pg_pool *pg_pool_new(const char *name, size_t entry_size, uint32_t limit);
void pg_pool_free(struct pg_pool *p);
uint32_t pg_pool_get(struct pg_pool *p); /* zeroed entry, or PG_POOL_NONE when full */
/* What pg_pool_get would return now, and its generation. */
uint32_t pg_pool_next(const struct pg_pool *p, uint32_t *ret_generation);
void pg_pool_put(struct pg_pool *p, uint32_t index);
void *pg_pool_at(const struct pg_pool *p, uint32_t index); /* index must be in use: asserted */
/* The same for whose own tables say that index is in use: asserted is only that it once was. Saves a line of memory, where
 * the pool would look it up. */
void *pg_pool_known(const struct pg_pool *p, uint32_t index);
uint32_t pg_pool_index(const struct pg_pool *p, const void *entry);
/* any index; those in use are below the high-water mark */
bool pg_pool_in_use(const struct pg_pool *p, uint32_t index);
/* from 1; 0: not in use (any index) */
uint32_t pg_pool_generation(const struct pg_pool *p, uint32_t index);
uint32_t pg_pool_used(const struct pg_pool *p);
uint32_t pg_pool_high_water(const struct pg_pool *p);
uint32_t pg_pool_limit(const struct pg_pool *p);
const char *pg_pool_name(const struct pg_pool *p);

#endif
