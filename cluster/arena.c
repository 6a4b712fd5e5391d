/* Arena, growing array and index: the memory of a load.
 *
 * Called by every file of this folder; calls nothing but libc and base/reserve.c. The first chunk has 64 KiB, the others 1 MiB,
 * larger requests get a chunk of their own. Those from 1 MiB on are mapped, so that they can be given back in pieces, at a
 * cost that does not depend on what malloc does. All memory is zeroed, so a raw object starts as "nothing was written". */
#include "arena.h"

#include "podglass/log.h"
#include "podglass/private_bytes.h"
#include "podglass/reserve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_FIRST   ((size_t)64 << 10)
#define CHUNK_LARGEST ((size_t)1 << 20)
#define ALIGNMENT     16u
#define PAGE          ((size_t)4096)

struct pg_arena_chunk {
    struct pg_arena_chunk *next;
    size_t bytes; /* with this head */
    bool mapped;
};
#define CHUNK_HEAD ((sizeof(struct pg_arena_chunk) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT)

void pg_arena_wipe(struct pg_arena *a)
{
    for (struct pg_arena_chunk *chunk = a->chunks; chunk != NULL; chunk = chunk->next)
        pg_private_wipe((char *)chunk + CHUNK_HEAD, chunk->bytes - CHUNK_HEAD);
}

static void chunk_free(struct pg_arena_chunk *chunk)
{
    if (chunk->mapped)
        pg_unreserve(chunk, chunk->bytes);
    else
        free(chunk);
}

void pg_arena_free(struct pg_arena *a)
{
    struct pg_arena_chunk *chunk = a->chunks;
    while (chunk != NULL) {
        struct pg_arena_chunk *next = chunk->next;
        chunk_free(chunk);
        chunk = next;
    }
    memset(a, 0, sizeof(*a));
}

/* Mapped chunks shrink from their ends. */
bool pg_arena_give_back(struct pg_arena *a, size_t bytes)
{
    while (a->chunks != NULL) {
        struct pg_arena_chunk *chunk = a->chunks;
        if (chunk->mapped && chunk->bytes > bytes) {
            size_t kept = (chunk->bytes - bytes + PAGE - 1) / PAGE * PAGE;
            if (kept < chunk->bytes)
                pg_unreserve((char *)chunk + kept, chunk->bytes - kept);
            chunk->bytes = kept;
            return true;
        }
        bytes -= chunk->bytes < bytes ? chunk->bytes : bytes;
        a->chunks = chunk->next;
        chunk_free(chunk);
    }
    return false;
}

static void *chunk_new(struct pg_arena *a, size_t size)
{
    PG_ASSERT(size <= SIZE_MAX / 2);
    size_t bytes = CHUNK_HEAD + size;
    bool mapped = bytes >= CHUNK_LARGEST;
    struct pg_arena_chunk *chunk = mapped ? pg_reserve_small(bytes) : calloc(1, bytes);
    PG_ASSERT(chunk != NULL);
    chunk->bytes = bytes;
    chunk->mapped = mapped;
    chunk->next = a->chunks;
    a->chunks = chunk;
    return (char *)chunk + CHUNK_HEAD;
}

static void *alloc_aligned(struct pg_arena *a, size_t size, size_t alignment)
{
    size_t skip = (alignment - (size_t)((uintptr_t)a->at % alignment)) % alignment;
    if (a->left >= size + skip && a->at != NULL) {
        void *at = a->at + skip;
        a->at += size + skip;
        a->left -= size + skip;
        return at;
    }
    if (size > CHUNK_LARGEST / 4)
        return chunk_new(a, size);
    size_t want = a->chunks == NULL ? CHUNK_FIRST : CHUNK_LARGEST;
    a->at = chunk_new(a, want);
    a->left = want - size;
    void *at = a->at;
    a->at += size;
    return at;
}

void *pg_arena_alloc(struct pg_arena *a, size_t size)
{
    return alloc_aligned(a, size, ALIGNMENT);
}

void *pg_arena_array(struct pg_arena *a, size_t count, size_t size)
{
    PG_ASSERT(size == 0 || count <= SIZE_MAX / 4 / size);
    return pg_arena_alloc(a, count * size);
}

char *pg_arena_text(struct pg_arena *a, const char *at, size_t len)
{
    char *copy = alloc_aligned(a, len + 1, 1);
    if (len > 0)
        memcpy(copy, at, len);
    copy[len] = '\0';
    return copy;
}

const char *pg_arena_vprintf(struct pg_arena *a, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, args);
    PG_ASSERT(len >= 0);
    char *at = alloc_aligned(a, (size_t)len + 1, 1);
    (void)vsnprintf(at, (size_t)len + 1, format, again);
    va_end(again);
    return at;
}

const char *pg_arena_printf(struct pg_arena *a, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const char *text = pg_arena_vprintf(a, format, args);
    va_end(args);
    return text;
}

void *pg_list_add(struct pg_list *list)
{
    if (list->count == list->room) {
        uint32_t room = list->room == 0 ? 8 : list->room * 2;
        PG_ASSERT(room > list->room);
        void *at = pg_arena_array(list->arena, room, list->item_size);
        if (list->count > 0)
            memcpy(at, list->at, (size_t)list->count * list->item_size);
        list->at = at;
        list->room = room;
    }
    return (char *)list->at + (size_t)list->count++ * list->item_size;
}

void pg_list_add_pointer(struct pg_list *list, const void *pointer)
{
    *(const void **)pg_list_add(list) = pointer;
}

/* FNV-1a with a final mix (the one of MurmurHash3): short keys, all bits used. */
uint64_t pg_stable_hash(const void *bytes, size_t len)
{
    const unsigned char *at = bytes;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        h = (h ^ at[i]) * 0x100000001b3u;
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
    h = (h ^ (h >> 33)) * 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 33);
}

/* Not pg_stable_hash, which goes byte by byte: packets ask for addresses here, several times each. */
static uint64_t index_hash(const void *key, size_t len)
{
    const unsigned char *at = key;
    uint64_t h = len * 0x9e3779b97f4a7c15u;
    uint64_t word;
    for (; len >= sizeof(word); at += sizeof(word), len -= sizeof(word)) {
        memcpy(&word, at, sizeof(word));
        h = (h ^ word) * 0xff51afd7ed558ccdu;
        h ^= h >> 32;
    }
    word = 0;
    memcpy(&word, at, len);
    h = (h ^ word) * 0xc4ceb9fe1a85ec53u;
    return h ^ (h >> 32);
}

static struct pg_index_slot *slot_of(const struct pg_index *x, const void *key, size_t len,
                                     uint64_t hash)
{
    for (uint32_t i = (uint32_t)hash & x->mask;; i = (i + 1) & x->mask) {
        struct pg_index_slot *slot = &x->slots[i];
        if (slot->key == NULL)
            return slot;
        if (slot->hash == hash && slot->key_len == len && memcmp(slot->key, key, len) == 0)
            return slot;
    }
}

static void index_grow(struct pg_index *x)
{
    struct pg_index old = *x;
    uint32_t slots = old.mask == 0 ? 16 : (old.mask + 1) * 2;
    x->slots = pg_arena_array(x->arena, slots, sizeof(*x->slots));
    x->mask = slots - 1;
    for (uint32_t i = 0; old.mask != 0 && i <= old.mask; i++) {
        const struct pg_index_slot *from = &old.slots[i];
        if (from->key != NULL)
            *slot_of(x, from->key, from->key_len, from->hash) = *from;
    }
}

uint32_t pg_index_find(const struct pg_index *x, const void *key, size_t len)
{
    if (x->mask == 0)
        return PG_INDEX_ABSENT;
    const struct pg_index_slot *slot = slot_of(x, key, len, index_hash(key, len));
    return slot->key == NULL ? PG_INDEX_ABSENT : slot->value;
}

uint32_t pg_index_add(struct pg_index *x, const void *key, size_t len, uint32_t value)
{
    PG_ASSERT(key != NULL && len < UINT32_MAX);
    if (x->mask == 0 || x->count >= (x->mask + 1) / 2)
        index_grow(x);
    uint64_t hash = index_hash(key, len);
    struct pg_index_slot *slot = slot_of(x, key, len, hash);
    if (slot->key != NULL)
        return slot->value;
    *slot = (struct pg_index_slot){key, (uint32_t)len, value, hash};
    x->count++;
    return PG_INDEX_ABSENT;
}
