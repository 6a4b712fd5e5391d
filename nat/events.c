/* What happens to flows, kept for a while for who watches: begun, changed, ended.
 *
 * A ring of the last few thousand, which exists while somebody watches; otherwise a flow's change costs one
 * predictable branch. A reader keeps a number of its own; what it did not read in time it is told to have
 * missed. What counts as a change is what the kernel tells: another state, the first answer, assured.
 *
 * Written by hooks.c and flow.c, read by app/live_events.c. Owns the ring. */
#include "nat_internal.h"

#include <errno.h>
#include <stdlib.h>

#define RING 4096u

struct pg_nat_events {
    uint32_t watchers;
    uint64_t next; /* number of the next event, from 1 */
    uint64_t first;
    struct pg_nat_event ring[RING];
};

int pg_nat_watch_events(struct pg_nat *n, bool on)
{
    if (on && !n->events) {
        n->events = calloc(1, sizeof(*n->events));
        if (!n->events)
            return -ENOMEM;
        n->events->first = n->events_told + 1;
        n->events->next = n->events_told + 1;
    }
    if (on) {
        n->events->watchers++;
    } else if (--n->events->watchers == 0) {
        n->events_told = n->events->next - 1;
        pg_events_free(n);
    }
    return 0;
}

void pg_events_free(struct pg_nat *n)
{
    free(n->events);
    n->events = NULL;
}

void pg_events_write(struct pg_nat *n, enum pg_nat_event_kind kind, uint32_t index)
{
    struct pg_nat_event *e = &n->events->ring[n->events->next++ % RING];

    e->kind = kind;
    e->time_us = n->now_us;
    pg_flow_view(n, index, n->now_us, &e->flow);
}

uint64_t pg_nat_next_event(const struct pg_nat *n)
{
    return n->events ? n->events->next : n->events_told + 1;
}

bool pg_nat_read_event(const struct pg_nat *n, uint64_t *number, struct pg_nat_event *ret,
                       uint64_t *ret_missed)
{
    const struct pg_nat_events *all = n->events;
    uint64_t oldest = 0;

    *ret_missed = 0;
    if (!all || *number >= all->next)
        return false;
    oldest = all->next - all->first > RING ? all->next - RING : all->first;
    if (*number < oldest) {
        *ret_missed = oldest - *number;
        *number = oldest;
    }
    *ret = all->ring[(*number)++ % RING];
    return true;
}
