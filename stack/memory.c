/* Memory behind lwIP: segments, pbufs and pcbs, and our own short-lived queue entries.
 *
 * Called by lwIP through stack/lwip/arch/cc.h, and by send.c, conn.c, recovery.c. Small blocks come
 * from lists of their size class, cut from slabs that are kept, so steady traffic never reaches
 * malloc. Large ones, of which a connection has few, go to malloc.
 *
 * With address sanitizer each block is a heap block of its exact size, because a pool would hide an
 * overflow. */
#include "stack_internal.h"

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

/* What lwIP asks for: pbufs of a header or a segment of the common MTU, segments, pcbs. */
static const uint16_t class_bytes[] = {64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048};
#define CLASS_COUNT (sizeof class_bytes / sizeof class_bytes[0])
#define SLAB_BYTES  65536

/* In front of each block: which list it returns to, CLASS_COUNT for malloc's. Keeps the block
 * 16-byte aligned. */
struct head {
    union {
        struct head *next;
        uint64_t class_index;
    };
    uint64_t unused;
};

static struct head *free_blocks[CLASS_COUNT];

static bool cut_slab(size_t class_index)
{
    size_t step = sizeof(struct head) + class_bytes[class_index];
    uint8_t *slab = malloc(SLAB_BYTES);

    if (slab == NULL)
        return false;
    for (size_t at = 0; at + step <= SLAB_BYTES; at += step) {
        struct head *h = (struct head *)(void *)(slab + at);
        h->next = free_blocks[class_index];
        free_blocks[class_index] = h;
    }
    return true; /* the slab is never returned: its blocks are */
}

void *pg_lwip_malloc(size_t size)
{
    size_t class_index = 0;
    struct head *h;

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
    struct head *h = block;
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
