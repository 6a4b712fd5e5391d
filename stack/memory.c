/* Memory behind lwIP: segments, pbufs and pcbs, and our own short-lived queue entries.
 *
 * Called by lwIP through stack/lwip/arch/cc.h, and by send.c, conn.c, recovery.c. Blocks come from
 * lists of their size class, cut from slabs that are kept, so steady traffic never reaches malloc
 * (tests/unit/app/test_steady.c counts). Larger ones, for long writes, go to malloc.
 *
 * With address sanitizer each block is a heap block of its exact size, because a pool would hide an
 * overflow. */
#include "stack_internal.h"

#include "podglass/reserve.h"

#include <stdlib.h>
#include <string.h>

static uint64_t blocks;

uint64_t pg_lwip_blocks(void)
{
    return blocks;
}

#ifdef __SANITIZE_ADDRESS__
#define PLAIN_MALLOC 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PLAIN_MALLOC 1
#endif
#endif

#ifdef PLAIN_MALLOC

void *pg_lwip_malloc(size_t size)
{
    void *block = malloc(size);

    if (block != NULL)
        blocks++;
    return block;
}

void pg_lwip_free(void *block)
{
    if (block != NULL)
        blocks--;
    free(block);
}

#else

/* What is asked for: pbufs of a header or a segment of the common MTU, segments, pcbs, heads of
 * requests, and the largest segment that is copied in (netif.c). Each open connection has a pcb, so
 * that class fits exactly. */
static const uint16_t class_bytes[] = {
    64, 96, 128, 192, 256, sizeof(struct tcp_pcb), 384, 512, 768, 1024, 1536, 2048, 4096, 8320};
_Static_assert(sizeof(struct tcp_pcb) > 256 && sizeof(struct tcp_pcb) < 384, "classes ascend");
#define CLASS_COUNT (sizeof class_bytes / sizeof class_bytes[0])
#define SLAB_BYTES  65536
#define RANGE_BYTES (SLAB_BYTES * 1024)

/* In front of each block: which list it returns to, CLASS_COUNT for malloc's. Blocks are 8-byte
 * aligned, which is all that lwIP and we have in them (MEM_ALIGNMENT). */
union head {
    union head *next;
    uint64_t class_index;
};

static union head *free_blocks[CLASS_COUNT];
static uint8_t *range; /* slabs are cut from its front */
static size_t range_left;

static uint8_t *new_slab(void)
{
    if (range_left == 0) {
        range = pg_reserve(RANGE_BYTES);
        if (range == NULL)
            return NULL;
        range_left = RANGE_BYTES;
    }
    range_left -= SLAB_BYTES;
    return range + (RANGE_BYTES - SLAB_BYTES - range_left);
}

static bool cut_slab(size_t class_index)
{
    size_t step = sizeof(union head) + class_bytes[class_index];
    uint8_t *slab = new_slab();

    if (slab == NULL)
        return false;
    for (size_t at = 0; at + step <= SLAB_BYTES; at += step) {
        union head *h = (union head *)(void *)(slab + at);
        h->next = free_blocks[class_index];
        free_blocks[class_index] = h;
    }
    return true; /* the slab is never returned: its blocks are */
}

void *pg_lwip_malloc(size_t size)
{
    size_t class_index = 0;
    union head *h;

    while (class_index < CLASS_COUNT && class_bytes[class_index] < size)
        class_index++;
    if (class_index == CLASS_COUNT) {
        h = malloc(sizeof *h + size);
        if (h == NULL)
            return NULL;
    } else {
        if (free_blocks[class_index] == NULL && !cut_slab(class_index))
            return NULL;
        h = free_blocks[class_index];
        free_blocks[class_index] = h->next;
    }
    h->class_index = class_index;
    blocks++;
    return h + 1;
}

void pg_lwip_free(void *block)
{
    union head *h = block;
    size_t class_index;

    if (block == NULL)
        return;
    h--;
    blocks--;
    class_index = h->class_index;
    if (class_index >= CLASS_COUNT) {
        free(h);
        return;
    }
    h->next = free_blocks[class_index];
    free_blocks[class_index] = h;
}

#endif

void *pg_lwip_calloc(size_t count, size_t size)
{
    size_t bytes;
    void *block;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    block = pg_lwip_malloc(bytes);
    if (block != NULL)
        memset(block, 0, bytes);
    return block;
}
