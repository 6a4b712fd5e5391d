/* Session affinity by client address: which endpoint a client got last from a service port.
 *
 * The key is the source address before any translation and one service port, whichever of its
 * addresses was used; ports of one service do not share records. A record is written or refreshed
 * by each new flow, never by packets, and times out by itself. It names an endpoint by address and
 * port, so it survives a reload as long as the endpoint does; policy.c ignores it when that
 * endpoint is not among those it may choose. When a service loses its affinity, so do its clients.
 *
 * hooks.c asks before it decides and notes after the flow is confirmed. Owns records and their
 * timers. When all records are in use, new clients get none: the choice is then random, as without
 * affinity. */
#include "nat_internal.h"
#include "podglass/wheel.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define RECORDS_MOST    65536u
#define SECONDS_DEFAULT 10800u

/* Hashed as bytes: no padding. */
struct affinity_key {
    struct pg_addr client;
    uint32_t name; /* of the service, interned */
    uint16_t port;
    uint16_t proto;
};
_Static_assert(sizeof(struct affinity_key) == 24, "no padding in a hashed key");

struct record {
    struct pg_timer timer;
    struct affinity_key key;
    struct pg_addr addr;
    uint16_t port;
};

struct pg_affinity {
    struct pg_hash_key hash_key;
    struct pg_wheel *wheel;
    struct pg_pool *records;
    struct pg_table *by_key;
};

static bool same_key(const void *owner, uint32_t value, const void *key)
{
    const struct pg_affinity *a = owner;
    const struct record *r = pg_pool_at(a->records, value);

    return memcmp(&r->key, key, sizeof(r->key)) == 0;
}

struct pg_affinity *pg_affinity_new(const struct pg_hash_key *key, uint64_t now_ms)
{
    struct pg_affinity *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->hash_key = *key;
    a->wheel = pg_wheel_new(now_ms);
    a->records = pg_pool_new("affinity", sizeof(struct record), RECORDS_MOST);
    a->by_key = pg_table_new(RECORDS_MOST, same_key, a);
    if (!a->wheel || !a->records || !a->by_key) {
        pg_affinity_free(a);
        return NULL;
    }
    return a;
}

void pg_affinity_free(struct pg_affinity *a)
{
    if (!a)
        return;
    pg_wheel_free(a->wheel);
    pg_pool_free(a->records);
    pg_table_free(a->by_key);
    free(a);
}

uint32_t pg_affinity_count(const struct pg_affinity *a)
{
    return pg_pool_used(a->records);
}

static struct affinity_key make_key(const struct pg_nat *n, uint32_t service_port,
                                    const struct pg_addr *client)
{
    const struct pg_service_table *t = n->services;
    const struct pg_service_port *port = &t->snapshot->service_ports[service_port];

    return (struct affinity_key){.client = *client,
                                 .name = pg_service_served(t, port->service)->name,
                                 .port = port->port,
                                 .proto = port->proto};
}

static uint32_t hash_of(const struct pg_affinity *a, const struct affinity_key *key)
{
    return (uint32_t)pg_hash(&a->hash_key, key, sizeof(*key));
}

uint32_t pg_affinity_find(const struct pg_nat *n, uint32_t service_port,
                          const struct pg_addr *client)
{
    const struct pg_affinity *a = n->affinity;
    const struct pg_snapshot *s = n->services->snapshot;
    const struct pg_service_port *port = &s->service_ports[service_port];
    struct affinity_key key = make_key(n, service_port, client);
    uint32_t found = pg_table_find(a->by_key, hash_of(a, &key), &key);

    if (found == PG_TABLE_NONE)
        return PG_INDEX_NONE;
    const struct record *r = pg_pool_at(a->records, found);

    for (uint32_t i = port->endpoint_first; i < port->endpoint_first + port->endpoint_count; i++) {
        if (s->endpoints[i].port == r->port && pg_addr_equal(&s->endpoints[i].addr, &r->addr))
            return i;
    }
    return PG_INDEX_NONE;
}

void pg_affinity_note(struct pg_nat *n, uint32_t service_port, const struct pg_addr *client,
                      const struct pg_addr *addr, uint16_t port)
{
    struct pg_affinity *a = n->affinity;
    const struct pg_snapshot *s = n->services->snapshot;
    const struct pg_service *service = &s->services[s->service_ports[service_port].service];
    uint32_t seconds = service->affinity_seconds ? service->affinity_seconds : SECONDS_DEFAULT;
    struct affinity_key key = make_key(n, service_port, client);
    uint32_t hash = hash_of(a, &key);
    uint32_t at = pg_table_find(a->by_key, hash, &key);

    if (at == PG_TABLE_NONE) {
        at = pg_pool_get(a->records);
        if (at == PG_POOL_NONE)
            return;
        struct record *fresh = pg_pool_at(a->records, at);
        fresh->key = key;
        if (pg_table_add(a->by_key, hash, at) != 0) {
            pg_pool_put(a->records, at);
            return;
        }
    }
    struct record *r = pg_pool_at(a->records, at);

    r->addr = *addr;
    r->port = port;
    pg_wheel_arm(a->wheel, &r->timer, n->now_us / 1000 + UINT64_C(1000) * seconds);
}

static void end_record(struct pg_affinity *a, uint32_t at)
{
    struct record *r = pg_pool_at(a->records, at);

    pg_table_del(a->by_key, hash_of(a, &r->key), at);
    pg_pool_put(a->records, at);
}

static void on_timer(void *arg, struct pg_timer *t)
{
    struct pg_affinity *a = arg;
    struct record *r = (struct record *)((char *)t - offsetof(struct record, timer));

    end_record(a, pg_pool_index(a->records, r));
}

struct forgetting {
    struct pg_affinity *a;
    const uint32_t *names;
    uint32_t count;
};

static int compare_names(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x;
    uint32_t b = *(const uint32_t *)y;

    return a < b ? -1 : a > b;
}

static void forget_one(void *arg, uint32_t at)
{
    const struct forgetting *f = arg;
    struct record *r = pg_pool_at(f->a->records, at);

    if (f->names && !bsearch(&r->key.name, f->names, f->count, sizeof(*f->names), compare_names))
        return;
    pg_wheel_cancel(f->a->wheel, &r->timer);
    end_record(f->a, at);
}

void pg_affinity_forget(struct pg_affinity *a, const uint32_t *names, uint32_t count)
{
    struct forgetting f = {a, names, count};
    uint64_t cursor = 0;

    while (pg_table_walk(a->by_key, &cursor, RECORDS_MOST, forget_one, &f))
        ;
}

void pg_affinity_advance(struct pg_affinity *a, uint64_t now_ms)
{
    pg_wheel_advance(a->wheel, now_ms, on_timer, a);
}

uint64_t pg_affinity_next_ms(const struct pg_affinity *a)
{
    return pg_wheel_next(a->wheel);
}

/* ---- looking at it ---- */

struct affinity_walk {
    const struct pg_nat *n;
    uint64_t now_ms;
    void (*fn)(void *arg, const struct pg_nat_affinity_view *a);
    void *arg;
};

static void show(void *arg, uint32_t at)
{
    const struct affinity_walk *w = arg;
    const struct record *r = pg_pool_at(w->n->affinity->records, at);
    uint64_t left_ms = r->timer.due_ms > w->now_ms ? r->timer.due_ms - w->now_ms : 0;
    struct pg_nat_affinity_view v = {.service_name = pg_use_name_text(w->n->uses, r->key.name),
                                     .service_port = r->key.port,
                                     .proto = (uint8_t)r->key.proto,
                                     .client = r->key.client,
                                     .addr = r->addr,
                                     .port = r->port,
                                     .timeout_s = (left_ms + 999) / 1000};

    if (left_ms)
        w->fn(w->arg, &v);
}

void pg_nat_walk_affinity(const struct pg_nat *n, uint64_t now_us,
                          void (*fn)(void *arg, const struct pg_nat_affinity_view *a), void *arg)
{
    struct affinity_walk w = {n, now_us / 1000, fn, arg};
    uint64_t cursor = 0;

    while (pg_table_walk(n->affinity->by_key, &cursor, RECORDS_MOST, show, &w))
        ;
}
