/* folder: base */
/* Hierarchical timer wheel, one millisecond a tick, constant work to arm and cancel. Time comes in
 * as an argument. */
#ifndef PODGLASS_WHEEL_H
#define PODGLASS_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

/* Lives inside its owner; zeroed means idle. */
struct pg_timer {
    struct pg_timer *next;
    struct pg_timer **link; /* what points at us; NULL: idle */
    uint64_t due_ms;
};

struct pg_wheel;
struct pg_wheel *pg_wheel_new(uint64_t now_ms); /* NULL: out of memory */
void pg_wheel_free(struct pg_wheel *w);
/* re-arms if armed; a past due becomes now and fires at the next advance */
void pg_wheel_arm(struct pg_wheel *w, struct pg_timer *t, uint64_t due_ms);
void pg_wheel_cancel(struct pg_wheel *w, struct pg_timer *t); /* idle is fine */
static inline bool pg_timer_armed(const struct pg_timer *t)
{
    return t->link != 0;
}
/* Fires everything due at or before now_ms, in order of due time (ties: order of arming). fn may
 * arm and cancel any timer; while it runs, now is the due time of its timer, and what it arms for
 * later than that but not after now_ms fires in this call. */
void pg_wheel_advance(struct pg_wheel *w, uint64_t now_ms,
                      void (*fn)(void *arg, struct pg_timer *t), void *arg);
/* A time at or before the next due timer and after now (for poll), or now when one waits that was
 * armed too late; UINT64_MAX when none is armed. Exact when now and the due time share all but the
 * low eight bits, else it may be earlier (a wake-up for nothing, at most one per byte of distance),
 * never later. */
uint64_t pg_wheel_next(const struct pg_wheel *w);
uint32_t pg_wheel_count(const struct pg_wheel *w);

#endif
