/* The memory of snapshots that nobody holds any more, given back in pieces.
 *
 * A snapshot of 10,000 services with 250,000 endpoints is a hundred megabytes, and giving them back at
 * once takes tens of milliseconds; the last reference may be let go between two packets, by a reload or by
 * a connection that was open for long. So while a path runs (begin), what is let go waits in a list, and
 * the path takes a piece of it each turn. Without one it is freed at once.
 *
 * Called by snapshot.c, and by app/ for the turns. Owns what waits. Adding is safe from any thread,
 * taking only from the one that runs the paths. */
#include "cluster_internal.h"

#include <stdlib.h>

static uint32_t reclaimers;
static struct pg_memory *added;   /* from any thread */
static struct pg_memory *waiting; /* the first is being taken apart */

static void free_at_once(struct pg_memory *m)
{
    pg_arena_free(&m->arena);
    free(m);
}

void pg_memory_let_go(struct pg_memory *m)
{
    if (__atomic_load_n(&reclaimers, __ATOMIC_ACQUIRE) == 0) {
        free_at_once(m);
        return;
    }
    m->next = __atomic_load_n(&added, __ATOMIC_RELAXED);
    while (
        !__atomic_compare_exchange_n(&added, &m->next, m, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        ;
}

bool pg_snapshot_reclaim(size_t bytes)
{
    if (waiting == NULL && __atomic_load_n(&added, __ATOMIC_RELAXED) != NULL)
        waiting = __atomic_exchange_n(&added, NULL, __ATOMIC_ACQUIRE);
    struct pg_memory *m = waiting;
    if (m == NULL)
        return false;
    if (!pg_arena_give_back(&m->arena, bytes)) {
        waiting = m->next;
        free(m);
    }
    return true;
}

void pg_snapshot_reclaim_begin(void)
{
    __atomic_add_fetch(&reclaimers, 1, __ATOMIC_ACQ_REL);
}

void pg_snapshot_reclaim_end(void)
{
    if (__atomic_sub_fetch(&reclaimers, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    while (pg_snapshot_reclaim(SIZE_MAX))
        ;
}
