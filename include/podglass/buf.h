/* folder: base */
/* Packet buffers: one size, a last-in-first-out pool (the hot one is used again), references
 * counted.
 *
 * A buffer holds one packet as the device gave it, with headroom in front so that headers can grow.
 * Whoever holds a reference may read; only the single holder may write. */
#ifndef PODGLASS_BUF_H
#define PODGLASS_BUF_H

#include <stdint.h>

#define PG_BUF_HEADROOM 64
#define PG_BUF_BYTES    (65536 + 128) /* a 64 KiB super-segment and slack behind it */

struct pg_buf_pool;
struct pg_buf {
    struct pg_buf_pool *pool;
    struct pg_buf *next; /* free list, or a queue of its present owner */
    uint32_t refs;
    uint32_t start; /* offset of the first packet byte in bytes[] */
    uint32_t len;   /* packet bytes */
    uint8_t bytes[PG_BUF_HEADROOM + PG_BUF_BYTES];
};

/* At most `limit` buffers exist at once; memory is taken as they are first used and kept. NULL: out
 * of memory. */
struct pg_buf_pool *pg_buf_pool_new(uint32_t limit);
void pg_buf_pool_free(struct pg_buf_pool *p);
struct pg_buf *pg_buf_get(struct pg_buf_pool *p); /* one reference; NULL when the pool is used up */
struct pg_buf *pg_buf_ref(struct pg_buf *b);
void pg_buf_put(struct pg_buf *b); /* NULL is fine */
uint32_t pg_buf_pool_used(const struct pg_buf_pool *p);
uint32_t pg_buf_pool_high_water(const struct pg_buf_pool *p);

#endif
