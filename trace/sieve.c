/* The sieve: between those who write records and the ring, for flows that may turn out to be wanted.
 *
 * Per flow label it has the records of the exchange that is under way, and the NAT records of the connection, which are told once but belong to every
 * request on it. The judge looks at all of it when a record says that this may be worth it: the head of a request, its route, a translation, the end. Yes: what was kept is
 * written, and the rest of the exchange goes straight through. No: it is forgotten, and until the next request on the connection records are not even made
 * (pg_trace_pass_over).
 *
 * Called by trace.c for each record of an undecided flow. No memory is taken after the beginning. */
#include "podglass/sieve.h"

#include "exchange_internal.h"

#include "podglass/log.h"
#include "podglass/pool.h"
#include "podglass/table.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_MOST 40 /* a request with both legs has about 20 */
#define LEGS_MOST 12 /* two legs, two directions, two ends, and an earlier upstream connection */

struct kept {
    uint32_t label;
    uint32_t newer, older; /* by last use */
    uint32_t count, leg_count;
    bool is_http;   /* a request has begun and not ended */
    bool through;   /* this exchange is wanted */
    bool worth;     /* some record was worth a look */
    bool legs_told; /* what is in legs was written once */
    struct pg_record legs[LEGS_MOST];
    struct pg_record records[KEPT_MOST];
};

struct pg_sieve {
    struct pg_pool *pool;
    struct pg_table *by_label;
    pg_sieve_glance *glance;
    pg_sieve_judge *judge;
    void *arg;
    uint32_t newest, oldest;
    struct pg_record shown[LEGS_MOST + KEPT_MOST]; /* to the judge */
};

static bool same_label(const void *owner, uint32_t value, const void *key)
{
    const struct pg_sieve *s = owner;
    const struct kept *k = pg_pool_at(s->pool, value);
    return k->label == *(const uint32_t *)key;
}

/* Labels are numbers of ours, one after the other: no stranger chooses them. */
static uint32_t hash_of(uint32_t label)
{
    return label * 2654435761u;
}

struct pg_sieve *pg_sieve_new(uint32_t flows, pg_sieve_glance *glance, pg_sieve_judge *judge,
                              void *arg)
{
    struct pg_sieve *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return NULL;
    }
    s->glance = glance;
    s->judge = judge;
    s->arg = arg;
    s->newest = s->oldest = PG_POOL_NONE;
    s->pool = pg_pool_new("sieve", sizeof(struct kept), flows);
    s->by_label = pg_table_new(flows, same_label, s);
    if (s->pool == NULL || s->by_label == NULL) {
        pg_sieve_free(s);
        return NULL;
    }
    return s;
}

/* ---- by last use ---- */

static struct kept *at(const struct pg_sieve *s, uint32_t index)
{
    return pg_pool_at(s->pool, index);
}

static void unlink_use(struct pg_sieve *s, uint32_t index)
{
    struct kept *k = at(s, index);
    if (k->newer != PG_POOL_NONE) {
        at(s, k->newer)->older = k->older;
    } else {
        s->newest = k->older;
    }
    if (k->older != PG_POOL_NONE) {
        at(s, k->older)->newer = k->newer;
    } else {
        s->oldest = k->newer;
    }
}

static void link_newest(struct pg_sieve *s, uint32_t index)
{
    struct kept *k = at(s, index);
    k->newer = PG_POOL_NONE;
    k->older = s->newest;
    if (s->newest != PG_POOL_NONE) {
        at(s, s->newest)->newer = index;
    } else {
        s->oldest = index;
    }
    s->newest = index;
}

static void forget(struct pg_sieve *s, uint32_t index)
{
    struct kept *k = at(s, index);
    unlink_use(s, index);
    pg_table_del(s->by_label, hash_of(k->label), index);
    pg_pool_put(s->pool, index);
}

void pg_sieve_forget(struct pg_sieve *s)
{
    while (s->oldest != PG_POOL_NONE) {
        forget(s, s->oldest);
    }
}

void pg_sieve_free(struct pg_sieve *s)
{
    if (s == NULL) {
        return;
    }
    if (s->pool != NULL && s->by_label != NULL) {
        pg_sieve_forget(s);
    }
    pg_table_free(s->by_label);
    pg_pool_free(s->pool);
    free(s);
}

/* ---- asking, writing ---- */

/* What is told once per connection. */
static bool is_told_once(const struct pg_record *r)
{
    return pg_exchange_is_leg(r) || pg_exchange_is_preface(r);
}

static bool is_same_leg(const struct pg_record *a, const struct pg_record *b)
{
    return a->conntrack == b->conntrack && a->direction == b->direction && a->field == b->field &&
           a->stage == b->stage;
}

/* Is it among the records of this exchange, too? */
static bool is_told_now(const struct kept *k, const struct pg_record *leg)
{
    for (uint32_t i = 0; i < k->count; i++) {
        if (is_told_once(&k->records[i]) && is_same_leg(&k->records[i], leg)) {
            return true;
        }
    }
    return false;
}

static enum pg_wanted ask(struct pg_sieve *s, const struct kept *k, bool over)
{
    struct pg_exchange x = {
        .label = k->label, .records = s->shown, .is_http = k->is_http, .complete = over};
    for (uint32_t i = 0; i < k->leg_count; i++) {
        if (!is_told_now(k, &k->legs[i])) {
            s->shown[x.count++] = k->legs[i];
        }
    }
    x.carried = x.count;
    memcpy(&s->shown[x.count], k->records, k->count * sizeof k->records[0]);
    x.count += k->count;
    return x.count != 0 ? s->judge(s->arg, &x, over) : PG_WANTED_NO;
}

static void write_kept(struct pg_trace *t, struct kept *k)
{
    for (uint32_t i = 0; !k->legs_told && i < k->leg_count; i++) {
        if (!is_told_now(k, &k->legs[i])) {
            pg_trace_put(t, &k->legs[i]);
        }
    }
    for (uint32_t i = 0; i < k->count; i++) {
        pg_trace_put(t, &k->records[i]);
    }
    k->legs_told = true;
    k->through = true;
    k->count = 0;
}

/* ---- room ---- */

/* The flow that was silent longest makes room. A request that nobody can judge yet is written. */
static void settle_oldest(struct pg_sieve *s, struct pg_trace *t)
{
    struct kept *k = at(s, s->oldest);
    if (k->count != 0 && !k->through && (k->is_http || ask(s, k, true) == PG_WANTED_YES)) {
        write_kept(t, k);
    }
    forget(s, s->oldest);
}

static struct kept *find_or_make(struct pg_sieve *s, struct pg_trace *t, uint32_t label)
{
    uint32_t index = pg_table_find(s->by_label, hash_of(label), &label);
    if (index != PG_TABLE_NONE) {
        if (index != s->newest) {
            unlink_use(s, index);
            link_newest(s, index);
        }
        return at(s, index);
    }
    index = pg_pool_get(s->pool);
    if (index == PG_POOL_NONE) {
        settle_oldest(s, t);
        index = pg_pool_get(s->pool);
    }
    struct kept *k = at(s, index);
    k->label = label;
    k->count = k->leg_count = 0;
    k->is_http = k->through = k->worth = k->legs_told = false;
    link_newest(s, index);
    int error = pg_table_add(s->by_label, hash_of(label), index);
    PG_ASSERT(error == 0); /* as large as the pool */
    return k;
}

static void keep_leg(struct kept *k, const struct pg_record *r)
{
    for (uint32_t i = 0; i < k->leg_count; i++) {
        if (is_same_leg(&k->legs[i], r)) {
            k->legs[i] = *r;
            return;
        }
    }
    if (k->leg_count == LEGS_MOST) { /* the client's leg came first and stays */
        memmove(&k->legs[4], &k->legs[5], (LEGS_MOST - 5) * sizeof k->legs[0]);
        k->leg_count--;
    }
    k->legs[k->leg_count++] = *r;
}

/* ---- one record ---- */

static bool is_way_there(const struct pg_record *r)
{
    return pg_exchange_is_leg(r) && r->field == PG_FIELD_DST && r->direction == 0;
}

/* A connection to a pod that is used again: its translation was told before. */
static enum pg_glance glance_at_legs(const struct pg_sieve *s, const struct kept *k)
{
    for (uint32_t i = 0; i < k->leg_count; i++) {
        if (is_way_there(&k->legs[i]) && s->glance(s->arg, &k->legs[i]) == PG_GLANCE_LOOK) {
            return PG_GLANCE_LOOK;
        }
    }
    return PG_GLANCE_NOTHING;
}

static enum pg_glance glance(const struct pg_sieve *s, const struct kept *k,
                             const struct pg_record *r, bool over)
{
    if (r->kind == PG_RECORD_EVENT && r->stage == PG_STAGE_UPSTREAM) {
        return glance_at_legs(s, k);
    }
    if (over || is_way_there(r) || pg_exchange_begins(r) || r->kind == PG_RECORD_DROP) {
        return s->glance(s->arg, r);
    }
    if (r->kind != PG_RECORD_EVENT || r->stage != PG_STAGE_ROUTE || k->leg_count == 0) {
        return PG_GLANCE_NOTHING;
    }
    /* Who asks for a service may mean the one in front, which the client's leg says. */
    enum pg_glance seen = s->glance(s->arg, r);
    return seen == PG_GLANCE_NO && glance_at_legs(s, k) == PG_GLANCE_LOOK ? PG_GLANCE_LOOK : seen;
}

static enum pg_wanted decide(struct pg_sieve *s, struct kept *k, const struct pg_record *r,
                             bool over)
{
    enum pg_glance seen = glance(s, k, r, over);
    k->worth = k->worth || seen == PG_GLANCE_LOOK;
    if (seen == PG_GLANCE_NO || (over && !k->worth)) {
        return PG_WANTED_NO;
    }
    return seen == PG_GLANCE_LOOK || over ? ask(s, k, over) : PG_WANTED_NOT_YET;
}

static void begin_request(struct kept *k)
{
    if (k->is_http) { /* the one before has no end that was told */
        k->count = 0;
    }
    k->is_http = true;
    k->through = k->worth = false;
}

static void end_exchange(struct kept *k)
{
    k->count = 0;
    k->is_http = k->through = k->worth = false;
}

bool pg_sieve_take(struct pg_sieve *s, struct pg_trace *t, const struct pg_record *r)
{
    struct kept *k = find_or_make(s, t, r->label);
    bool over = pg_exchange_ends(r);
    if (pg_exchange_begins(r)) {
        begin_request(k);
    }
    if (is_told_once(r)) {
        keep_leg(k, r);
    }
    if (k->through) {
        if (over) {
            end_exchange(k);
        }
        return true;
    }
    k->records[k->count++] = *r;
    k->is_http = k->is_http || over; /* refused before there was a request */
    enum pg_wanted wanted = decide(s, k, r, over);
    if (wanted == PG_WANTED_YES || (wanted == PG_WANTED_NOT_YET && k->count == KEPT_MOST)) {
        write_kept(t, k);
    } else if (wanted == PG_WANTED_NO) {
        k->count = 0;
        if (!over) {
            pg_trace_pass_over(t, r->label);
        }
    }
    if (over) {
        end_exchange(k);
    }
    return false;
}
