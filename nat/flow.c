/* Flows: the pool they live in, the one table that finds them by either tuple, and their end.
 *
 * A flow is in the table twice, under its original and under its reply tuple, from the moment its
 * first packet left (confirmed) to its end: by timer, by its protocol, by hand, or early, to make
 * room when the pool is full. Both tuples are unique.
 *
 * hooks.c looks up, inserts and extends; load.c deletes what lost its endpoint; dump.c walks. Owns
 * pool, table and timers. Always true: a flow in the pool is in the table under both tuples and has
 * an armed timer; the timer's due time is never later than due_ms. */
#include "nat_internal.h"
#include "podglass/log.h"

#include <errno.h>
#include <stddef.h>

#define EARLY_DROP_LOOK 32 /* netfilter looks through eight buckets; about as many entries */

struct pg_flow *pg_flow_at(const struct pg_nat *n, uint32_t index)
{
    return pg_pool_at(n->flows, index);
}

uint32_t pg_flow_find(const struct pg_nat *n, const struct pg_tuple *t)
{
    return pg_table_find(n->by_tuple, (uint32_t)pg_hash_tuple(&n->key, t), t);
}

static void set_active(struct pg_nat *n, const struct pg_flow *f, int change)
{
    if (!f->use)
        return;
    const struct pg_use *endpoint = pg_use_at(n->uses, f->use);
    uint32_t counted[2] = {f->use, 0};

    if (f->flags & FLOW_SNAT) {
        struct pg_use_key key = endpoint->key;
        if (pg_addr_equal(&f->tuple[PG_ORIG].src, &f->tuple[PG_REPLY].src)) {
            key.kind = PG_USE_HAIRPIN;
        } else {
            key.kind =
                key.kind == PG_CAPTURE_CLUSTER_IP ? PG_USE_SNAT_SERVICE : PG_USE_SNAT_OUTSIDE;
            key.addr = f->tuple[PG_REPLY].dst;
            key.addr_port = 0;
        }
        counted[1] = pg_use_find(n->uses, &key);
    }
    for (int i = 0; i < 2; i++) {
        if (!counted[i])
            continue;
        struct pg_use *u = pg_use_at(n->uses, counted[i]);
        if (change > 0) {
            u->active++;
            u->hits++;
        } else if (u->active > 0) {
            u->active--; /* a row made by a reload may not have seen this flow begin */
        }
    }
}

static void link_use(struct pg_nat *n, struct pg_flow *f, uint32_t index)
{
    struct pg_use *u = pg_use_at(n->uses, f->use);

    f->previous = PG_POOL_NONE;
    f->next = u->first;
    if (f->next != PG_POOL_NONE)
        pg_flow_at(n, f->next)->previous = index;
    u->first = index;
}

static void unlink_use(struct pg_nat *n, struct pg_flow *f)
{
    if (f->next != PG_POOL_NONE)
        pg_flow_at(n, f->next)->previous = f->previous;
    if (f->previous != PG_POOL_NONE)
        pg_flow_at(n, f->previous)->next = f->next;
    else
        pg_use_at(n->uses, f->use)->first = f->next;
}

uint32_t pg_flow_insert(struct pg_nat *n, const struct pg_flow *from)
{
    uint32_t index = pg_pool_get(n->flows);
    PG_ASSERT(index != PG_POOL_NONE);
    struct pg_flow *f = pg_flow_at(n, index);

    *f = *from;
    for (uint32_t direction = 0; direction < 2; direction++) {
        uint32_t hash = (uint32_t)pg_hash_tuple(&n->key, &f->tuple[direction]);
        int failed = pg_table_add(n->by_tuple, hash, index * 2 + direction);
        PG_ASSERT(!failed); /* the table has room for two entries per flow of the pool */
    }
    link_use(n, f, index);
    set_active(n, f, 1);
    pg_wheel_arm(n->wheel, &f->timer, f->due_ms);
    n->counters->value[PG_COUNT_CT_INSERT]++;
    return index;
}

void pg_flow_delete(struct pg_nat *n, uint32_t index)
{
    struct pg_flow *f = pg_flow_at(n, index);

    for (uint32_t direction = 0; direction < 2; direction++) {
        uint32_t hash = (uint32_t)pg_hash_tuple(&n->key, &f->tuple[direction]);
        bool found = pg_table_del(n->by_tuple, hash, index * 2 + direction);
        PG_ASSERT(found);
    }
    unlink_use(n, f);
    set_active(n, f, -1);
    pg_wheel_cancel(n->wheel, &f->timer);
    pg_pool_put(n->flows, index);
    n->counters->value[PG_COUNT_CT_DELETE]++;
}

bool pg_flow_make_room(struct pg_nat *n)
{
    uint32_t limit = pg_pool_limit(n->flows);

    if (pg_pool_used(n->flows) < limit)
        return true;
    uint32_t at = pg_random_below(n->random, limit); /* full: every index is in use */
    for (uint32_t i = 0; i < EARLY_DROP_LOOK && i < limit; i++) {
        uint32_t index = (at + i) % limit;
        if (pg_flow_at(n, index)->flags & FLOW_ASSURED)
            continue;
        pg_flow_delete(n, index);
        n->counters->value[PG_COUNT_CT_EARLY_DROP]++;
        return true;
    }
    return false;
}

void pg_flow_extend(struct pg_nat *n, struct pg_flow *f, uint64_t due_ms)
{
    f->due_ms = due_ms;
    if (pg_timer_armed(&f->timer) && due_ms < f->timer.due_ms)
        pg_wheel_arm(n->wheel, &f->timer, due_ms);
}

void pg_flow_count(struct pg_flow *f, unsigned direction, const struct pg_packet *p)
{
    f->packets[direction]++;
    f->bytes[direction] += p->len;
}

static void on_timer(void *arg, struct pg_timer *t)
{
    struct pg_nat *n = arg;

    struct pg_flow *f = (struct pg_flow *)((char *)t - offsetof(struct pg_flow, timer));
    if (f->due_ms > n->now_us / 1000)
        pg_wheel_arm(n->wheel, &f->timer, f->due_ms);
    else
        pg_flow_delete(n, pg_pool_index(n->flows, f));
}

void pg_nat_advance(struct pg_nat *n, uint64_t now_us)
{
    n->now_us = now_us;
    pg_wheel_advance(n->wheel, now_us / 1000, on_timer, n);
    pg_affinity_advance(n->affinity, now_us / 1000);
}

uint64_t pg_nat_next_due_us(const struct pg_nat *n)
{
    uint64_t due_ms = pg_wheel_next(n->wheel);
    uint64_t affinity_ms = pg_affinity_next_ms(n->affinity);

    if (affinity_ms < due_ms)
        due_ms = affinity_ms;
    return due_ms == UINT64_MAX ? UINT64_MAX : due_ms * 1000;
}

uint32_t pg_nat_flow_count(const struct pg_nat *n)
{
    return pg_pool_used(n->flows);
}

uint32_t pg_nat_flow_high_water(const struct pg_nat *n)
{
    return pg_pool_high_water(n->flows);
}

uint32_t pg_nat_flow_limit(const struct pg_nat *n)
{
    return pg_pool_limit(n->flows);
}

uint32_t pg_nat_flow_bytes(void)
{
    return sizeof(struct pg_flow);
}

uint32_t pg_nat_label_of(const struct pg_nat *n, const struct pg_tuple *either_direction)
{
    uint32_t found = pg_flow_find(n, either_direction);

    return found == PG_TABLE_NONE ? 0 : pg_flow_at(n, found >> 1)->label;
}

struct id_search {
    const struct pg_nat *n;
    uint64_t id;
    uint32_t found;
};

static void match_id(void *arg, uint32_t value)
{
    struct id_search *search = arg;

    if (pg_flow_at(search->n, value >> 1)->id == search->id)
        search->found = value >> 1;
}

int pg_nat_delete(struct pg_nat *n, uint64_t flow_id, uint64_t now_us)
{
    struct id_search search = {.n = n, .id = flow_id, .found = PG_POOL_NONE};
    uint64_t cursor = 0;

    n->now_us = now_us;
    while (search.found == PG_POOL_NONE &&
           pg_table_walk(n->by_tuple, &cursor, 4096, match_id, &search)) {
    }
    if (search.found == PG_POOL_NONE)
        return -ENOENT;
    pg_flow_delete(n, search.found);
    return 0;
}
