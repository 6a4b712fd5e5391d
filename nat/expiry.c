/* When flows end: a ring of 65536 lists, one per millisecond, of flows that are to be looked at then.
 *
 * base/wheel.c would do, but its timer is 24 bytes in every flow. Here a flow pays ten: two indexes
 * of neighbours in its list, and the list's number. Two facts of flows allow it: they live in one
 * pool, and a look that comes too early does no harm. So a flow whose end is beyond the ring stands
 * somewhere in its second half (spread by index, lest all long flows meet in one list) and is put
 * in again from there; an established flow is looked at about every 49 seconds, which for a million
 * of them is two percent of one thread's time at most.
 *
 * An advance ends after a few thousand flows and goes on with the next call: the path is not held
 * up when many end at once. Meanwhile flow.c and hooks.c take a flow past its end for gone.
 *
 * Called by flow.c. Owns the ring. Always true: each flow of the pool is in one list, at or before
 * the time it ends; every list in use is between `at_ms` and a ring's length later. */
#include "nat_internal.h"

#include <stdlib.h>

#define SLOTS         65536u
#define HALF          (SLOTS / 2)
#define WORD_BITS     64u
#define WORDS         (SLOTS / WORD_BITS)
#define LOOKS_AT_ONCE 2048u

struct pg_expiry {
    uint64_t at_ms;                          /* lists before this are empty */
    uint64_t words_taken[WORDS / WORD_BITS]; /* a bit per word of taken */
    uint64_t taken[WORDS];                   /* a bit per list in use */
    uint32_t first[SLOTS];                   /* index plus one; 0: nothing */
};

struct pg_expiry *pg_expiry_new(uint64_t now_ms)
{
    struct pg_expiry *e = calloc(1, sizeof(*e)); /* pages come as lists are used */

    if (e)
        e->at_ms = now_ms;
    return e;
}

void pg_expiry_free(struct pg_expiry *e)
{
    free(e);
}

static void set_taken(struct pg_expiry *e, uint32_t slot, bool taken)
{
    uint32_t word = slot / WORD_BITS;
    uint64_t bit = UINT64_C(1) << slot % WORD_BITS;
    uint64_t word_bit = UINT64_C(1) << word % WORD_BITS;

    e->taken[word] = taken ? e->taken[word] | bit : e->taken[word] & ~bit;
    if (e->taken[word])
        e->words_taken[word / WORD_BITS] |= word_bit;
    else
        e->words_taken[word / WORD_BITS] &= ~word_bit;
}

void pg_expiry_add(struct pg_nat *n, struct pg_flow *f, uint32_t index)
{
    struct pg_expiry *e = n->expiry;
    uint64_t look_ms = f->due_ms;

    if (look_ms < e->at_ms)
        look_ms = e->at_ms;
    else if (look_ms - e->at_ms >= SLOTS)
        look_ms = e->at_ms + HALF + index % HALF;
    f->slot = (uint16_t)(look_ms % SLOTS);
    uint32_t *first = &e->first[f->slot];

    f->later = *first;
    f->sooner = 0;
    if (*first)
        pg_flow_at(n, *first - 1)->sooner = index + 1;
    else
        set_taken(e, f->slot, true);
    *first = index + 1;
}

void pg_expiry_del(struct pg_nat *n, struct pg_flow *f)
{
    struct pg_expiry *e = n->expiry;

    if (f->later)
        pg_flow_at(n, f->later - 1)->sooner = f->sooner;
    if (f->sooner)
        pg_flow_at(n, f->sooner - 1)->later = f->later;
    else
        e->first[f->slot] = f->later;
    if (!e->first[f->slot])
        set_taken(e, f->slot, false);
}

bool pg_expiry_is_later(const struct pg_nat *n, const struct pg_flow *f, uint64_t due_ms)
{
    uint64_t at_ms = n->expiry->at_ms;
    uint64_t look_ms = at_ms + (uint16_t)(f->slot - at_ms);

    return look_ms > (due_ms > at_ms ? due_ms : at_ms);
}

/* First bit set at or after `from`; `count` bits: none. */
static uint32_t next_bit(const uint64_t *words, uint32_t count, uint32_t from)
{
    while (from < count) {
        uint64_t rest = words[from / WORD_BITS] >> from % WORD_BITS;
        if (rest)
            return from + (uint32_t)__builtin_ctzll(rest);
        from = (from / WORD_BITS + 1) * WORD_BITS;
    }
    return count;
}

/* First list in use at or after `slot` without wrapping; SLOTS: none. */
static uint32_t next_taken(const struct pg_expiry *e, uint32_t slot)
{
    uint32_t end = (slot / WORD_BITS + 1) * WORD_BITS;
    uint32_t found = next_bit(e->taken, end, slot);

    if (found < end)
        return found;
    uint32_t word = next_bit(e->words_taken, WORDS, end / WORD_BITS);

    return word == WORDS ? SLOTS : next_bit(e->taken, SLOTS, word * WORD_BITS);
}

uint64_t pg_expiry_next_ms(const struct pg_nat *n)
{
    const struct pg_expiry *e = n->expiry;
    uint32_t now = (uint32_t)(e->at_ms % SLOTS);
    uint32_t slot = next_taken(e, now);

    if (slot < SLOTS)
        return e->at_ms + (slot - now);
    slot = next_taken(e, 0);
    return slot < SLOTS ? e->at_ms + (slot + SLOTS - now) : UINT64_MAX;
}

/* Looks at all flows of one list: those whose time has come end, the others wait elsewhere. Returns
 * how many there were. */
static uint32_t look(struct pg_nat *n, uint32_t slot, uint64_t now_ms)
{
    struct pg_expiry *e = n->expiry;
    uint32_t count = 0;
    uint32_t at = e->first[slot];
    uint32_t later;

    e->first[slot] = 0;
    set_taken(e, slot, false);
    for (; at; at = later, count++) {
        struct pg_flow *f = pg_flow_at(n, at - 1);
        later = f->later;
        pg_expiry_add(n, f, at - 1);
        if (f->due_ms <= now_ms)
            pg_flow_delete(n, at - 1);
    }
    return count;
}

void pg_expiry_advance(struct pg_nat *n, uint64_t now_ms)
{
    struct pg_expiry *e = n->expiry;
    uint32_t looks = 0;

    while (looks < LOOKS_AT_ONCE) {
        uint64_t next_ms = pg_expiry_next_ms(n);
        if (next_ms > now_ms)
            break;
        e->at_ms = next_ms;
        looks += look(n, (uint32_t)(next_ms % SLOTS), now_ms);
    }
    if (looks < LOOKS_AT_ONCE && now_ms > e->at_ms)
        e->at_ms = now_ms;
}
