/* The assembler: records in the order of the ring go in, exchanges come out.
 *
 * Per label it keeps what it is gathering and the NAT records of the connection, which are told once per flow but belong to every request on
 * it. Connections are kept by last use; the oldest makes room. A request is over with its response (or refusal); a flow without HTTP when it has
 * been silent for a second, since the first packet of each direction is all that is told about it.
 *
 * Called by readers of records (tools/, app/), never by the path. Allocates: no packet waits for it. */
#include "podglass/exchange.h"

#include "exchange_internal.h"

#include "podglass/hash.h"
#include "podglass/log.h"
#include "podglass/pool.h"
#include "podglass/table.h"

#include <stdlib.h>
#include <string.h>

#define RECORDS_MOST  512
#define LEGS_MOST     48 /* NAT records of a connection: four per flow and direction */
#define SILENT_US     1000000u
#define UNANSWERED_US 60000000u /* as long as the ingress waits for a pod between two reads */

struct gathering {
    uint32_t label;
    uint32_t newer, older; /* by last use */
    uint32_t count, room;
    uint32_t carried;
    uint32_t left_out;
    uint32_t leg_count;
    uint64_t last_us;
    bool is_http; /* a request was seen and its end not yet */
    bool had_http;
    struct pg_record *records;
    struct pg_record *legs;
};

struct pg_exchanges {
    struct pg_pool *pool;
    struct pg_table *by_label;
    pg_exchange_fn *fn;
    void *arg;
    uint32_t newest, oldest;
};

static bool same_label(const void *owner, uint32_t value, const void *key)
{
    const struct pg_exchanges *e = owner;
    const struct gathering *g = pg_pool_at(e->pool, value);
    return g->label == *(const uint32_t *)key;
}

/* Labels are numbers of ours, one after the other: no stranger chooses them. */
static uint32_t hash_of(uint32_t label)
{
    return label * 2654435761u;
}

struct pg_exchanges *pg_exchanges_new(uint32_t labels, pg_exchange_fn *fn, void *arg)
{
    struct pg_exchanges *e = calloc(1, sizeof *e);
    if (e == NULL) {
        return NULL;
    }
    e->fn = fn;
    e->arg = arg;
    e->newest = e->oldest = PG_POOL_NONE;
    e->pool = pg_pool_new("exchanges", sizeof(struct gathering), labels);
    e->by_label = pg_table_new(labels, same_label, e);
    if (e->pool == NULL || e->by_label == NULL) {
        pg_exchanges_free(e);
        return NULL;
    }
    return e;
}

/* ---- by last use ---- */

static struct gathering *at(const struct pg_exchanges *e, uint32_t index)
{
    return pg_pool_at(e->pool, index);
}

static void unlink_use(struct pg_exchanges *e, uint32_t index)
{
    struct gathering *g = at(e, index);
    if (g->newer != PG_POOL_NONE) {
        at(e, g->newer)->older = g->older;
    } else {
        e->newest = g->older;
    }
    if (g->older != PG_POOL_NONE) {
        at(e, g->older)->newer = g->newer;
    } else {
        e->oldest = g->newer;
    }
}

static void link_newest(struct pg_exchanges *e, uint32_t index)
{
    struct gathering *g = at(e, index);
    g->newer = PG_POOL_NONE;
    g->older = e->newest;
    if (e->newest != PG_POOL_NONE) {
        at(e, e->newest)->newer = index;
    } else {
        e->oldest = index;
    }
    e->newest = index;
}

/* ---- one exchange ---- */

static void add(struct gathering *g, const struct pg_record *r)
{
    if (g->count == RECORDS_MOST) {
        g->left_out++;
        return;
    }
    if (g->count == g->room) {
        g->room = g->room != 0 ? g->room * 2 : 16;
        g->records = realloc(g->records, g->room * sizeof g->records[0]);
        PG_ASSERT(g->records != NULL); /* as with text: only who looks is concerned */
    }
    g->records[g->count++] = *r;
}

bool pg_exchange_is_leg(const struct pg_record *r)
{
    return r->conntrack != 0 && (r->kind == PG_RECORD_REWRITE || r->kind == PG_RECORD_KEEP) &&
           (r->field == PG_FIELD_SRC || r->field == PG_FIELD_DST);
}

static void keep_leg(struct gathering *g, const struct pg_record *r)
{
    for (uint32_t i = 0; i < g->leg_count; i++) {
        const struct pg_record *old = &g->legs[i];
        if (old->conntrack == r->conntrack && old->direction == r->direction &&
            old->field == r->field) {
            g->legs[i] = *r;
            return;
        }
    }
    if (g->legs == NULL) {
        g->legs = malloc(LEGS_MOST * sizeof g->legs[0]);
        PG_ASSERT(g->legs != NULL);
    }
    if (g->leg_count == LEGS_MOST) {
        memmove(g->legs, g->legs + 1, (LEGS_MOST - 1) * sizeof g->legs[0]);
        g->leg_count--;
    }
    g->legs[g->leg_count++] = *r;
}

/* ---- whose leg is which flow ---- */

const struct pg_record *pg_exchange_client_event(const struct pg_record *records, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct pg_record *r = &records[i];
        if (r->kind == PG_RECORD_EVENT && r->stage == PG_STAGE_CLIENT_ADDR && !r->before.is_text) {
            return r;
        }
    }
    return NULL;
}

const struct pg_record *pg_exchange_upstream_event(const struct pg_record *records, uint32_t count)
{
    for (uint32_t i = count; i-- > 0;) { /* the last: it may have been tried twice */
        const struct pg_record *r = &records[i];
        if (r->kind == PG_RECORD_EVENT && r->stage == PG_STAGE_UPSTREAM && !r->before.is_text &&
            !pg_addr_is_none(&r->before.addr)) {
            return r;
        }
    }
    return NULL;
}

uint64_t pg_exchange_flow_of(const struct pg_record *records, uint32_t count,
                             const struct pg_record *event, bool behind_nat)
{
    for (uint32_t i = 0; event != NULL && i < count; i++) {
        const struct pg_record *r = &records[i];
        const struct pg_value *end = behind_nat ? &r->after : &r->before;
        if (pg_exchange_is_leg(r) && r->field == PG_FIELD_SRC && r->direction == 0 &&
            end->port == event->before.port && pg_addr_equal(&end->addr, &event->before.addr)) {
            return r->conntrack;
        }
    }
    return 0;
}

bool pg_exchange_is_preface(const struct pg_record *r)
{
    return r->stage == PG_STAGE_PROXY_PROTOCOL && strcmp(r->name, "preface") == 0;
}

static bool told_now(const struct gathering *g, const struct pg_record *leg)
{
    for (uint32_t i = g->carried; i < g->count; i++) {
        const struct pg_record *r = &g->records[i];
        if (pg_exchange_is_leg(r) == pg_exchange_is_leg(leg) &&
            pg_exchange_is_preface(r) == pg_exchange_is_preface(leg) &&
            r->conntrack == leg->conntrack && r->direction == leg->direction &&
            r->field == leg->field) {
            return true;
        }
    }
    return false;
}

/* Puts the client leg's records, and those of the upstream connection in use, in front. */
static void carry_legs(struct gathering *g)
{
    const struct pg_record *from = pg_exchange_client_event(g->records, g->count);
    const struct pg_record *to = pg_exchange_upstream_event(g->records, g->count);
    uint64_t client = pg_exchange_flow_of(g->legs, g->leg_count, from, true);
    uint64_t upstream = pg_exchange_flow_of(g->legs, g->leg_count, to, false);
    struct pg_record *own = g->records;
    uint32_t own_count = g->count;
    g->records = NULL;
    g->count = g->room = 0;
    struct gathering plain = *g;
    plain.records = own;
    plain.count = own_count;
    for (uint32_t i = 0; i < g->leg_count; i++) {
        const struct pg_record *leg = &g->legs[i];
        bool ours =
            leg->conntrack == client || leg->conntrack == upstream || pg_exchange_is_preface(leg);
        if (ours && !told_now(&plain, leg)) {
            add(g, leg);
        }
    }
    g->carried = g->count;
    for (uint32_t i = 0; i < own_count; i++) {
        add(g, &own[i]);
    }
    free(own);
}

static void hand_over(struct pg_exchanges *e, struct gathering *g, bool complete)
{
    if (g->count == 0) {
        return;
    }
    if (g->is_http && g->had_http) {
        carry_legs(g);
    }
    struct pg_exchange x = {.label = g->label,
                            .records = g->records,
                            .count = g->count,
                            .carried = g->carried,
                            .left_out = g->left_out,
                            .is_http = g->is_http,
                            .complete = complete};
    g->had_http = g->had_http || g->is_http;
    e->fn(e->arg, &x);
    g->count = g->carried = g->left_out = 0;
    g->is_http = false;
}

static void forget(struct pg_exchanges *e, uint32_t index)
{
    struct gathering *g = at(e, index);
    unlink_use(e, index);
    pg_table_del(e->by_label, hash_of(g->label), index);
    free(g->records);
    free(g->legs);
    pg_pool_put(e->pool, index);
}

static struct gathering *find_or_make(struct pg_exchanges *e, uint32_t label)
{
    uint32_t index = pg_table_find(e->by_label, hash_of(label), &label);
    if (index != PG_TABLE_NONE) {
        unlink_use(e, index);
        link_newest(e, index);
        return at(e, index);
    }
    index = pg_pool_get(e->pool);
    if (index == PG_POOL_NONE) {
        hand_over(e, at(e, e->oldest), false);
        forget(e, e->oldest);
        index = pg_pool_get(e->pool);
    }
    struct gathering *g = at(e, index);
    g->label = label;
    link_newest(e, index);
    int error = pg_table_add(e->by_label, hash_of(label), index);
    PG_ASSERT(error == 0); /* as large as the pool */
    return g;
}

/* ---- what a record means ---- */

static bool is_event(const struct pg_record *r, const char *name)
{
    return r->kind == PG_RECORD_EVENT && strcmp(r->name, name) == 0;
}

bool pg_exchange_begins(const struct pg_record *r)
{
    return r->stage == PG_STAGE_HTTP_PARSE && r->direction == 0 && is_event(r, "request");
}

/* "404": a refusal says its status; a route, a name or a request says more. */
static bool is_status(const struct pg_value *v)
{
    return v->is_text && v->len == 3 && v->text[0] >= '1' && v->text[0] <= '5' &&
           v->text[1] >= '0' && v->text[1] <= '9' && v->text[2] >= '0' && v->text[2] <= '9';
}

bool pg_exchange_ends(const struct pg_record *r)
{
    if (r->kind != PG_RECORD_EVENT || !is_status(&r->after)) {
        return false;
    }
    if (r->direction == 1) {
        return is_event(r, "response");
    }
    return r->before.is_text == 0 && pg_addr_is_none(&r->before.addr) && !is_event(r, "request") &&
           !is_event(r, "route") && !is_event(r, "resolve");
}

void pg_exchanges_feed(struct pg_exchanges *e, const struct pg_record *r)
{
    if (r->label == 0) {
        struct pg_record copy = *r;
        struct pg_exchange alone = {.records = &copy, .count = 1, .complete = true};
        e->fn(e->arg, &alone);
        return;
    }
    struct gathering *g = find_or_make(e, r->label);
    g->last_us = r->time_us;
    if (pg_exchange_begins(r)) {
        if (g->is_http) {
            hand_over(e, g, false);
        }
        g->is_http = true;
    }
    add(g, r);
    if (pg_exchange_is_leg(r) || pg_exchange_is_preface(r)) {
        keep_leg(g, r);
    }
    if (pg_exchange_ends(r)) {
        g->is_http = true; /* refused before there was a request: a head that made no sense */
        hand_over(e, g, true);
    }
}

/* A flow that an ingress has been on shows its late records with the next request. */
static bool is_over(const struct gathering *g, uint64_t now_us)
{
    uint64_t silent_us = now_us > g->last_us ? now_us - g->last_us : 0;
    return g->count != 0 && silent_us > (g->is_http ? UNANSWERED_US : SILENT_US);
}

static bool has_reply(const struct gathering *g)
{
    for (uint32_t i = 0; i < g->count; i++) {
        if (g->records[i].direction == 1 || g->records[i].kind == PG_RECORD_DROP) {
            return true;
        }
    }
    return false;
}

void pg_exchanges_pass(struct pg_exchanges *e, uint64_t now_us)
{
    uint32_t index = e->oldest;
    while (index != PG_POOL_NONE) {
        struct gathering *g = at(e, index);
        uint32_t next = g->newer;
        if (is_over(g, now_us)) {
            if (!g->is_http && g->had_http) {
                g->count = 0; /* an end of a connection whose requests were shown */
            } else {
                hand_over(e, g, !g->is_http && has_reply(g));
            }
        }
        index = next;
    }
}

void pg_exchanges_flush(struct pg_exchanges *e)
{
    for (uint32_t index = e->oldest; index != PG_POOL_NONE; index = at(e, index)->newer) {
        struct gathering *g = at(e, index);
        if (g->is_http || !g->had_http) {
            hand_over(e, g, !g->is_http && has_reply(g));
        }
    }
}

void pg_exchanges_free(struct pg_exchanges *e)
{
    if (e == NULL) {
        return;
    }
    while (e->pool != NULL && e->oldest != PG_POOL_NONE) {
        forget(e, e->oldest);
    }
    pg_table_free(e->by_label);
    pg_pool_free(e->pool);
    free(e);
}
