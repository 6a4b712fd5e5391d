/* folder: cluster
 * Memory that is given back all at once.
 *
 * A load makes two arenas: one for the parsed text and the raw objects, freed when the load ends,
 * and one that the snapshot keeps. Findings have a third, because they outlive a load that failed.
 * Nothing is freed singly, so no error path can leak. Running out of memory ends the process, as
 * everywhere in the control plane (text.h). */
#ifndef PODGLASS_CLUSTER_ARENA_H
#define PODGLASS_CLUSTER_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_arena_chunk;
/* Zeroed means empty. */
struct pg_arena {
    struct pg_arena_chunk *chunks;
    char *at;
    size_t left;
};

void pg_arena_free(struct pg_arena *a); /* and zeroes it */
/* Gives back about this much, of an arena that nobody uses any more. false: that was all. */
bool pg_arena_give_back(struct pg_arena *a, size_t bytes);
void pg_arena_wipe(struct pg_arena *a); /* overwrites all that is in it, before it is freed */
void *pg_arena_alloc(struct pg_arena *a,
                     size_t size); /* zeroed, aligned for anything; never NULL */
void *pg_arena_array(struct pg_arena *a, size_t count, size_t size);
char *pg_arena_text(struct pg_arena *a, const char *at, size_t len); /* a copy with a final NUL */
__attribute__((format(printf, 2, 3))) const char *pg_arena_printf(struct pg_arena *a,
                                                                  const char *format, ...);
__attribute__((format(printf, 2, 0))) const char *pg_arena_vprintf(struct pg_arena *a,
                                                                   const char *format,
                                                                   va_list args);

/* A growing array in an arena. Items move when it grows: keep indexes, not pointers. */
struct pg_list {
    struct pg_arena *arena;
    void *at;
    uint32_t item_size;
    uint32_t count;
    uint32_t room;
};
#define PG_LIST(arena_of_it, type) ((struct pg_list){(arena_of_it), NULL, sizeof(type), 0, 0})
void *pg_list_add(struct pg_list *list); /* a zeroed item at the end */
/* `type` cannot stand in parentheses. NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define PG_LIST_AT(list, type, i) (&((type *)(list).at)[i])
/* For lists of pointers. */
void pg_list_add_pointer(struct pg_list *list, const void *pointer);
/* `type` cannot stand in parentheses. NOLINTNEXTLINE(bugprone-macro-parentheses) */
#define PG_LIST_POINTER(list, type, i) (((type **)(list).at)[i])

/* From bytes to a number, in an arena; keys are not copied. Open addressing; there is no deletion.
 * base/table.c is the data path's table (bounded work, deletion, its own memory); this one lives
 * and dies with its arena, also in the snapshot. */
struct pg_index_slot {
    const void *key;
    uint32_t key_len;
    uint32_t value;
    uint64_t hash;
};
struct pg_index {
    struct pg_arena *arena;
    struct pg_index_slot *slots;
    uint32_t count;
    uint32_t mask; /* slots - 1; 0: no slot yet */
};
#define PG_INDEX_ABSENT 0xffffffffu
uint32_t pg_index_find(const struct pg_index *x, const void *key,
                       size_t len); /* or PG_INDEX_ABSENT */
/* The value already there, or PG_INDEX_ABSENT after adding this one. */
uint32_t pg_index_add(struct pg_index *x, const void *key, size_t len, uint32_t value);

/* The hash behind every derived address and port. It must never change: addresses in people's
 * notes come from it. */
uint64_t pg_stable_hash(const void *bytes, size_t len);

#endif
