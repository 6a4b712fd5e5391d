/* Packet buffers, all of one size, taken and given back thousands of times a second.
 *
 * stack/tun.c reads into them, lwIP's pbufs and the writers hold references. One size (a 64 KiB
 * super-segment) is simpler than classes and costs no memory: a page of a buffer exists only once
 * bytes were written to it, and the free list is last-in-first-out, so light traffic keeps using
 * the same few warm buffers.
 *
 * Owns one reserved address range for all buffers. Always true: a buffer on the free list has no
 * references; the pool outlives its buffers. One thread per path, so counts are plain integers. */
#include "podglass/buf.h"

#include "podglass/log.h"

#include <stdlib.h>
#include <sys/mman.h>

#define CACHE_LINE 64

static const size_t stride = (sizeof(struct pg_buf) + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;

struct pg_buf_pool {
    uint8_t *range;
    struct pg_buf *free_first;
    uint32_t limit;
    uint32_t fresh; /* buffers from here on were never used */
    uint32_t used;
    uint32_t high_water;
};

struct pg_buf_pool *pg_buf_pool_new(uint32_t limit)
{
    struct pg_buf_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    void *range = mmap(NULL, stride * (limit > 0 ? limit : 1), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) {
        free(p);
        return NULL;
    }
    p->range = range;
    p->limit = limit;
    return p;
}

void pg_buf_pool_free(struct pg_buf_pool *p)
{
    if (!p)
        return;
    munmap(p->range, stride * (p->limit > 0 ? p->limit : 1));
    free(p);
}

struct pg_buf *pg_buf_get(struct pg_buf_pool *p)
{
    struct pg_buf *b = p->free_first;
    if (b) {
        p->free_first = b->next;
    } else if (p->fresh < p->limit) {
        b = (struct pg_buf *)(void *)(p->range + stride * p->fresh++);
        b->pool = p;
    } else {
        return NULL;
    }
    b->next = NULL;
    b->refs = 1;
    b->start = PG_BUF_HEADROOM;
    b->len = 0;
    p->used++;
    if (p->used > p->high_water)
        p->high_water = p->used;
    return b;
}

struct pg_buf *pg_buf_ref(struct pg_buf *b)
{
    PG_ASSERT(b->refs > 0 && b->refs < UINT32_MAX);
    b->refs++;
    return b;
}

void pg_buf_put(struct pg_buf *b)
{
    if (!b)
        return;
    PG_ASSERT(b->refs > 0);
    if (--b->refs > 0)
        return;
    struct pg_buf_pool *p = b->pool;
    b->next = p->free_first;
    p->free_first = b;
    p->used--;
}

uint32_t pg_buf_pool_used(const struct pg_buf_pool *p)
{
    return p->used;
}

uint32_t pg_buf_pool_high_water(const struct pg_buf_pool *p)
{
    return p->high_water;
}
