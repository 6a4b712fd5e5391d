/* The one hash table: from a keyed 32-bit hash to a 32-bit value, eight bytes a slot.
 *
 * nat/ keeps both tuples of each flow here, stack/ and proxy/ their connections. A lookup is a walk
 * over adjacent slots that compares hashes and asks the owner only when they are equal: usually one
 * cache line here and one at the owner.
 *
 * Growth never stalls. When an array is three quarters full the next one is mapped (its pages are
 * zero and come as they are touched), and each add or del then moves MOVE_SLOTS slots of the old
 * array, lowest first. The old array is empty long before the new one is full: it takes a sixteenth
 * of its slots in turns, and the new one has room for a quarter of them. Moved slots of the old
 * array are not looked at again: a probe in it starts at `moved` or later, so its pages go back in
 * pieces as the move proceeds.
 *
 * Sizes are 1024 times 1, 1.5, 2, 3, 4, 6 and so on, so a table that grew is at least half full. A
 * hash's home is its share of the whole (hash * size >> 32), which needs no power of two and keeps
 * the order of entries when they move.
 *
 * Probes never wrap around. Behind the slots that are homes there are SPILL more, so a run may lean
 * over the end; with a keyed hash at three quarters, a run leans over by more than k slots with a
 * chance of about e^(-0.57 k), 1e-31 for 128 of them. That gives the walk its order: deletion in
 * the current array shifts entries towards lower slots only (Knuth 6.4 R), so a walk from the top
 * down may meet one twice but cannot miss one. In the old array deletion leaves a tombstone, gone
 * with the array.
 *
 * Always true: an entry is in exactly one array; in the current array every slot between an entry's
 * home and its place is taken. */
#include "podglass/table.h"

#include "podglass/log.h"
#include "podglass/reserve.h"

#include <errno.h>
#include <stdlib.h>

#define FIRST_SLOTS   1024 /* 8 KiB: most tables of a small cluster never grow */
#define SPILL         128
#define MOVE_SLOTS    16   /* 2 would do; more ends the time of double probes sooner */
#define RELEASE_SLOTS 8192 /* 64 KiB: give pages back in pieces that cost microseconds */
#define MOST_SLOTS    (UINT64_C(1) << 31)

#define EMPTY     0u
#define TOMBSTONE UINT32_MAX

struct slot {
    uint32_t hash;
    uint32_t value_plus_1; /* EMPTY, TOMBSTONE, or value + 1: fresh pages are empty slots */
};

struct array {
    struct slot *slots; /* NULL: no such array */
    uint32_t homes;
    uint32_t serial; /* 1, 2, 3 ...: what a walk remembers */
};

struct pg_table {
    struct array now;
    struct array old;  /* being emptied into `now`, or absent */
    uint32_t moved;    /* slots of old below this are done with */
    uint32_t released; /* slots of old below this are unmapped */
    uint32_t count;
    uint32_t limit;
    uint32_t most_homes; /* of the largest array `limit` needs */
    pg_table_equal *equal;
    const void *owner;
};

static inline size_t slots_of(const struct array *a)
{
    return (size_t)a->homes + SPILL;
}

static inline uint32_t home_of(const struct array *a, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash * a->homes >> 32);
}

/* The next size: from 2^n to 1.5 times that, from there to 2^(n+1). */
static inline uint64_t size_after(uint64_t homes)
{
    return (homes & (homes - 1)) == 0 ? homes + homes / 2 : homes / 3 * 4;
}

static bool array_open(struct array *a, uint32_t homes, uint32_t serial)
{
    size_t bytes = ((size_t)homes + SPILL) * sizeof(struct slot);
    void *at = pg_reserve_small(bytes);
    if (!at)
        return false;
    *a = (struct array){.slots = at, .homes = homes, .serial = serial};
    return true;
}

static void array_close(struct array *a, uint32_t released)
{
    if (a->slots)
        pg_unreserve(a->slots + released, (slots_of(a) - released) * sizeof(struct slot));
    a->slots = NULL;
}

struct pg_table *pg_table_new(uint32_t limit, pg_table_equal *equal, const void *owner)
{
    uint64_t most = FIRST_SLOTS;
    while (most - most / 4 < limit)
        most = size_after(most);
    if (most > MOST_SLOTS)
        return NULL;
    struct pg_table *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->limit = limit;
    t->most_homes = (uint32_t)most;
    t->equal = equal;
    t->owner = owner;
    if (!array_open(&t->now, FIRST_SLOTS, 1)) {
        free(t);
        return NULL;
    }
    return t;
}

void pg_table_free(struct pg_table *t)
{
    if (!t)
        return;
    array_close(&t->now, 0);
    array_close(&t->old, t->released);
    free(t);
}

/* First slot of `a` from `at` on where `key` stands. */
static uint32_t probe_key(const struct pg_table *t, const struct array *a, uint32_t at,
                          uint32_t hash, const void *key)
{
    for (const struct slot *s = a->slots + at, *end = a->slots + slots_of(a); s < end; s++) {
        if (s->value_plus_1 == EMPTY)
            break;
        if (s->hash == hash && s->value_plus_1 != TOMBSTONE &&
            t->equal(t->owner, s->value_plus_1 - 1, key))
            return s->value_plus_1 - 1;
    }
    return PG_TABLE_NONE;
}

static struct slot *probe_value(const struct array *a, uint32_t at, uint32_t hash, uint32_t value)
{
    for (struct slot *s = a->slots + at, *end = a->slots + slots_of(a); s < end; s++) {
        if (s->value_plus_1 == EMPTY)
            break;
        if (s->hash == hash && s->value_plus_1 == value + 1)
            return s;
    }
    return NULL;
}

/* Where a probe for `hash` in the old array begins: what stood below `moved` is gone from there. */
static inline uint32_t old_home(const struct pg_table *t, uint32_t hash)
{
    uint32_t home = home_of(&t->old, hash);
    return home > t->moved ? home : t->moved;
}

uint32_t pg_table_find(const struct pg_table *t, uint32_t hash, const void *key)
{
    uint32_t value = probe_key(t, &t->now, home_of(&t->now, hash), hash, key);
    if (value == PG_TABLE_NONE && t->old.slots)
        value = probe_key(t, &t->old, old_home(t, hash), hash, key);
    return value;
}

static bool put(struct array *a, uint32_t hash, uint32_t value_plus_1)
{
    struct slot *s = a->slots + home_of(a, hash), *end = a->slots + slots_of(a);
    while (s < end && s->value_plus_1 != EMPTY)
        s++;
    if (s == end)
        return false;
    *s = (struct slot){.hash = hash, .value_plus_1 = value_plus_1};
    return true;
}

/* Moves a bounded number of slots from the old array. */
static void move_some(struct pg_table *t)
{
    if (!t->old.slots)
        return;
    uint32_t end = (uint32_t)slots_of(&t->old);
    uint32_t stop = end - t->moved > MOVE_SLOTS ? t->moved + MOVE_SLOTS : end;
    for (; t->moved < stop; t->moved++) {
        const struct slot *s = &t->old.slots[t->moved];
        if (s->value_plus_1 == EMPTY || s->value_plus_1 == TOMBSTONE)
            continue;
        if (!put(&t->now, s->hash, s->value_plus_1))
            return; /* spill is full (see above): this slot stays until something is deleted */
    }
    if (t->moved == end) {
        array_close(&t->old, t->released);
        return;
    }
    while (t->moved - t->released >= RELEASE_SLOTS) {
        pg_unreserve(t->old.slots + t->released, RELEASE_SLOTS * sizeof(struct slot));
        t->released += RELEASE_SLOTS;
    }
}

/* Makes room for one more. false: the system has no memory for the next array. */
static bool grow_if_due(struct pg_table *t)
{
    uint32_t homes = t->now.homes;
    if (t->count < homes - homes / 4 || t->old.slots)
        return true;
    struct array next;
    if (homes >= t->most_homes ||
        !array_open(&next, (uint32_t)size_after(homes), t->now.serial + 1))
        return false;
    t->old = t->now;
    t->now = next;
    t->moved = t->released = 0;
    return true;
}

int pg_table_add(struct pg_table *t, uint32_t hash, uint32_t value)
{
    PG_ASSERT(value < TOMBSTONE - 1);
    move_some(t);
    if (t->count >= t->limit || !grow_if_due(t) || !put(&t->now, hash, value + 1))
        return -ENOSPC;
    t->count++;
    return 0;
}

/* Closes the gap at `hole` by moving later entries of the run down, as far as their homes allow. */
static void shift_back(struct array *a, struct slot *hole)
{
    struct slot *end = a->slots + slots_of(a);
    for (struct slot *s = hole + 1; s < end && s->value_plus_1 != EMPTY; s++) {
        if (a->slots + home_of(a, s->hash) <= hole) {
            *hole = *s;
            hole = s;
        }
    }
    *hole = (struct slot){.value_plus_1 = EMPTY};
}

bool pg_table_del(struct pg_table *t, uint32_t hash, uint32_t value)
{
    struct slot *s = probe_value(&t->now, home_of(&t->now, hash), hash, value);
    if (s) {
        shift_back(&t->now, s);
    } else {
        s = t->old.slots ? probe_value(&t->old, old_home(t, hash), hash, value) : NULL;
        if (!s)
            return false;
        s->value_plus_1 = TOMBSTONE;
    }
    t->count--;
    move_some(t);
    return true;
}

uint32_t pg_table_count(const struct pg_table *t)
{
    return t->count;
}

uint64_t pg_table_bytes(const struct pg_table *t)
{
    uint64_t slots = slots_of(&t->now);
    if (t->old.slots)
        slots += slots_of(&t->old) - t->released;
    return sizeof(*t) + slots * sizeof(struct slot);
}

/* A cursor is the serial of an array and the number of its slots yet to visit. Entries move only
 * from an array to the next one, so visiting arrays by serial, each from the top down, meets every
 * entry. */
static const struct array *array_of_walk(const struct pg_table *t, uint32_t *serial, uint32_t *left)
{
    const struct array *first = t->old.slots ? &t->old : &t->now;
    if (*serial < first->serial) {
        *serial = first->serial;
        *left = (uint32_t)slots_of(first);
    } else if (*left == 0 && *serial < t->now.serial) {
        *serial = t->now.serial;
        *left = (uint32_t)slots_of(&t->now);
    }
    return *serial == t->now.serial ? &t->now : &t->old;
}

bool pg_table_walk(const struct pg_table *t, uint64_t *cursor, uint32_t budget,
                   void (*fn)(void *arg, uint32_t value), void *arg)
{
    uint32_t serial = (uint32_t)(*cursor >> 32), left = (uint32_t)*cursor;
    for (; budget > 0; budget--) {
        const struct array *a =
            array_of_walk(t, &serial, &left); /* fn may have ended the old one */
        if (left == 0)
            break;
        left--;
        if (a == &t->old && left < t->moved) {
            left = 0;
            continue;
        }
        uint32_t value_plus_1 = a->slots[left].value_plus_1;
        if (value_plus_1 != EMPTY && value_plus_1 != TOMBSTONE)
            fn(arg, value_plus_1 - 1);
    }
    *cursor = (uint64_t)serial << 32 | left;
    return left > 0 || serial < t->now.serial;
}
