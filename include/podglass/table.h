/* folder: base */
/* Hash table from a 32-bit hash to a 32-bit value (a pool index), the only table implementation in
 * the tree.
 *
 * Open addressing, at least half full once it grew, grows a little with every insert (never a stall),
 * deletion without tombstone build-up. Keys stay with the owner: the table asks `equal` whether value is the one
 * meant. The caller's hash must be keyed (hash.h). */
#ifndef PODGLASS_TABLE_H
#define PODGLASS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct pg_table;
typedef bool pg_table_equal(const void *owner, uint32_t value, const void *key);

#define PG_TABLE_NONE 0xffffffffu

/* Room for `limit` entries at most. NULL: out of memory, or limit above 1.6e9. owner is handed to
 * equal. */
struct pg_table *pg_table_new(uint32_t limit, pg_table_equal *equal, const void *owner);
void pg_table_free(struct pg_table *t);
/* value or PG_TABLE_NONE */
uint32_t pg_table_find(const struct pg_table *t, uint32_t hash, const void *key);
/* 0 or -ENOSPC; no check for a double */
int pg_table_add(struct pg_table *t, uint32_t hash, uint32_t value);
/* by value, not by key */
bool pg_table_del(struct pg_table *t, uint32_t hash, uint32_t value);
uint32_t pg_table_count(const struct pg_table *t);
uint64_t pg_table_bytes(const struct pg_table *t);
/* Walk in steps: visits from *cursor (0 to begin) at most `budget` slots, calls fn per value,
 * advances *cursor. true: more to come. Adding and deleting between steps is allowed, and fn itself
 * may delete; an entry moved by growth or by a deletion may be seen twice, never missed. Without
 * either each is seen once. */
bool pg_table_walk(const struct pg_table *t, uint64_t *cursor, uint32_t budget,
                   void (*fn)(void *arg, uint32_t value), void *arg);

#endif
