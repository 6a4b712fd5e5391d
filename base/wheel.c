/* Timers: eight rings of 256 slots, one per byte of the due time, so any 64-bit due time has a
 * place.
 *
 * Flow timeouts, lwIP's clock, health checks and pool expiry all hang here. A timer sits in the
 * ring of the highest byte in which its due time differs from now, at that byte's value. So its
 * place follows from two numbers and is never stored, and all timers with the same due time are
 * always in the same list: first-in-first-out lists then keep the order of arming by themselves,
 * also when time reaches a slot of a higher ring and its timers come down (cascade). That order is
 * what makes replay exact.
 *
 * Rings carry a bitmap of their slots in use, so advancing jumps from event to event; idle hours
 * cost nothing.
 *
 * Owns only the slots; timers live in their owners. Always true: in ring r, bytes above r of a
 * timer's due time equal those of now and byte r is greater; what is due now or earlier waits in
 * `ready`. */
#include "podglass/wheel.h"

#include "podglass/log.h"

#include <stddef.h>
#include <stdlib.h>

#define RINGS      8
#define RING_BITS  8
#define RING_SLOTS (1 << RING_BITS)
#define WORD_BITS  64
#define WORDS      (RING_SLOTS / WORD_BITS)

struct list {
    struct pg_timer *first;
    struct pg_timer **last; /* the pointer that will point at the next one */
};

struct ring {
    struct list slots[RING_SLOTS];
    uint64_t taken[WORDS];
};

struct pg_wheel {
    uint64_t now_ms;
    uint32_t count;
    uint32_t rings_taken; /* bit per ring: some slot is in use */
    bool advancing;
    struct list ready;  /* due when armed: fires first in the next advance */
    struct list firing; /* due at now_ms, being fired */
    struct ring rings[RINGS];
};

static void list_clear(struct list *l)
{
    l->first = NULL;
    l->last = &l->first;
}

static void list_add(struct list *l, struct pg_timer *t)
{
    t->next = NULL;
    t->link = l->last;
    *l->last = t;
    l->last = &t->next;
}

/* Takes t out of the list it is in; `l` is that list, or any other when nothing is added to t's any
 * more. */
static void list_del(struct list *l, struct pg_timer *t)
{
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    if (l->last == &t->next)
        l->last = t->link;
    t->next = NULL;
    t->link = NULL;
}

static void list_move_all(struct list *from, struct list *to)
{
    list_clear(to);
    if (from->first) {
        to->first = from->first;
        to->first->link = &to->first;
        to->last = from->last;
    }
    list_clear(from);
}

static inline unsigned byte_of(uint64_t ms, unsigned ring)
{
    return (unsigned)(ms >> (RING_BITS * ring)) % RING_SLOTS;
}

/* Ring of a due time after now. */
static inline unsigned ring_of(const struct pg_wheel *w, uint64_t due_ms)
{
    return (WORD_BITS - 1 - (unsigned)__builtin_clzll(due_ms ^ w->now_ms)) / RING_BITS;
}

struct pg_wheel *pg_wheel_new(uint64_t now_ms)
{
    struct pg_wheel *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    w->now_ms = now_ms;
    list_clear(&w->ready);
    list_clear(&w->firing);
    for (unsigned r = 0; r < RINGS; r++)
        for (unsigned s = 0; s < RING_SLOTS; s++)
            list_clear(&w->rings[r].slots[s]);
    return w;
}

void pg_wheel_free(struct pg_wheel *w)
{
    free(w);
}

static void place(struct pg_wheel *w, struct pg_timer *t)
{
    unsigned r = ring_of(w, t->due_ms), s = byte_of(t->due_ms, r);
    list_add(&w->rings[r].slots[s], t);
    w->rings[r].taken[s / WORD_BITS] |= UINT64_C(1) << s % WORD_BITS;
    w->rings_taken |= 1u << r;
}

static void slot_emptied(struct pg_wheel *w, unsigned r, unsigned s)
{
    struct ring *ring = &w->rings[r];
    ring->taken[s / WORD_BITS] &= ~(UINT64_C(1) << s % WORD_BITS);
    uint64_t any = 0;
    for (unsigned i = 0; i < WORDS; i++)
        any |= ring->taken[i];
    if (any == 0)
        w->rings_taken &= ~(1u << r);
}

void pg_wheel_cancel(struct pg_wheel *w, struct pg_timer *t)
{
    if (!pg_timer_armed(t))
        return;
    w->count--;
    if (t->due_ms <= w->now_ms) {
        list_del(&w->ready, t);
        return;
    }
    unsigned r = ring_of(w, t->due_ms), s = byte_of(t->due_ms, r);
    list_del(&w->rings[r].slots[s], t);
    if (!w->rings[r].slots[s].first)
        slot_emptied(w, r, s);
}

void pg_wheel_arm(struct pg_wheel *w, struct pg_timer *t, uint64_t due_ms)
{
    pg_wheel_cancel(w, t);
    w->count++;
    if (due_ms > w->now_ms) {
        t->due_ms = due_ms;
        place(w, t);
    } else {
        t->due_ms = w->now_ms;
        list_add(&w->ready, t);
    }
}

/* Lowest slot in use of a ring. By the invariant it is after now. */
static unsigned first_slot(const struct ring *ring)
{
    unsigned i = 0;
    while (ring->taken[i] == 0)
        i++;
    return i * WORD_BITS + (unsigned)__builtin_ctzll(ring->taken[i]);
}

/* When the next slot begins: of ring 0 that is when its timers are due, of others when they come
 * down. */
static uint64_t next_slot(const struct pg_wheel *w, unsigned *ret_ring, unsigned *ret_slot)
{
    if (w->rings_taken == 0)
        return UINT64_MAX;
    unsigned r = (unsigned)__builtin_ctz(w->rings_taken);
    unsigned s = first_slot(&w->rings[r]), shift = r * RING_BITS;
    *ret_ring = r;
    *ret_slot = s;
    uint64_t above = r == RINGS - 1 ? 0 : w->now_ms >> (shift + RING_BITS) << (shift + RING_BITS);
    return above | (uint64_t)s << shift;
}

static void fire(struct pg_wheel *w, void (*fn)(void *arg, struct pg_timer *t), void *arg)
{
    while (w->firing.first) {
        struct pg_timer *t = w->firing.first;
        __builtin_prefetch(t->next);
        list_del(&w->firing, t);
        w->count--;
        fn(arg, t);
    }
}

/* Brings the timers of a slot whose time has come to their next place; those due now to
 * `firing`. */
static void cascade(struct pg_wheel *w, unsigned r, unsigned s)
{
    struct list moving;
    list_move_all(&w->rings[r].slots[s], &moving);
    slot_emptied(w, r, s);
    list_clear(&w->firing); /* empty, but its end is stale if fn cancelled the last one in it */
    for (struct pg_timer *t = moving.first, *next; t; t = next) {
        next = t->next;
        if (t->due_ms == w->now_ms)
            list_add(&w->firing, t);
        else
            place(w, t);
    }
}

void pg_wheel_advance(struct pg_wheel *w, uint64_t now_ms,
                      void (*fn)(void *arg, struct pg_timer *t), void *arg)
{
    PG_ASSERT(!w->advancing);
    w->advancing = true;
    list_move_all(&w->ready, &w->firing);
    fire(w, fn, arg);
    unsigned r, s;
    uint64_t at_ms;
    while (w->rings_taken != 0 && (at_ms = next_slot(w, &r, &s)) <= now_ms) {
        w->now_ms = at_ms;
        cascade(w, r, s);
        fire(w, fn, arg);
    }
    if (now_ms > w->now_ms)
        w->now_ms = now_ms;
    w->advancing = false;
}

uint64_t pg_wheel_next(const struct pg_wheel *w)
{
    unsigned r, s;
    return w->ready.first ? w->now_ms : next_slot(w, &r, &s);
}

uint32_t pg_wheel_count(const struct pg_wheel *w)
{
    return w->count;
}
