/* Flows: the pool they live in, the one table that finds them by either tuple, and their end.
 *
 * A flow is in the table twice, under its original and under its reply tuple, from the moment its
 * first packet left (confirmed) to its end: by time, by its protocol, by hand, or early, to make
 * room when the pool is full. Both tuples are unique.
 *
 * hooks.c looks up, inserts and extends; load.c deletes what lost its endpoint; dump.c walks. Owns
 * pool and table. Always true: a flow in the pool is in the table under both tuples and in a list of
 * expiry.c. */
#include "nat_internal.h"
#include "podglass/log.h"

#include <errno.h>

#define ID_INDEX_BITS   29 /* an index plus one; the generation is above */
#define EARLY_DROP_LOOK 32 /* netfilter looks through eight buckets; about as many entries */
#define EARLY_DROP_MOST 8  /* of which the oldest goes: in a flood hardly ever one of the others */

struct pg_flow *pg_flow_at(const struct pg_nat *n, uint32_t index)
{
    return pg_pool_known(n->flows, index);
}

bool pg_flow_has_tuple(const void *owner, uint32_t value, const void *key)
{
    const struct pg_nat *n = owner;
    const struct pg_flow *f = pg_flow_at(n, value >> 1);
    const struct pg_tuple *t = key;
    unsigned direction = value & 1;

    __builtin_prefetch((const char *)f + 64); /* who asks wants the rest of it next */
    __builtin_prefetch((const char *)f + 128);
    return f->src_port[direction] == t->src_port && f->dst_port[direction] == t->dst_port &&
           f->proto == t->proto && pg_addr_equal(&f->src[direction], &t->src) &&
           pg_addr_equal(pg_flow_dst(n, f, direction), &t->dst);
}

uint32_t pg_flow_of(const struct pg_nat *n, const struct pg_tuple *t)
{
    return pg_flow_find(n, t, pg_flow_hash(n, t));
}

static void set_active(struct pg_nat *n, const struct pg_flow *f, int change)
{
    if (!f->use)
        return;
    const struct pg_use *endpoint = pg_use_at(n->uses, f->use);
    uint32_t counted[2] = {f->use, 0};

    if (f->flags & FLOW_SNAT) {
        struct pg_use_key key = endpoint->key;
        if (pg_addr_equal(&f->src[PG_ORIG], &f->src[PG_REPLY])) {
            key.kind = PG_USE_HAIRPIN;
        } else {
            key.kind =
                key.kind == PG_CAPTURE_CLUSTER_IP ? PG_USE_SNAT_SERVICE : PG_USE_SNAT_OUTSIDE;
            key.addr = *pg_flow_dst(n, f, PG_REPLY);
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
            if (u->gone && u->active == 0 && u->first == 0)
                pg_use_drop(n->uses, counted[i]);
        }
    }
}

static void link_use(struct pg_nat *n, struct pg_flow *f, uint32_t index)
{
    struct pg_use *u = pg_use_at(n->uses, f->use);

    if (f->proto != PG_PROTO_UDP)
        return;
    f->udp = (struct pg_flow_list){.next = u->first};
    if (u->first)
        pg_flow_at(n, u->first - 1)->udp.previous = index + 1;
    u->first = index + 1;
}

static void unlink_use(struct pg_nat *n, struct pg_flow *f)
{
    if (f->proto != PG_PROTO_UDP)
        return;
    if (f->udp.next)
        pg_flow_at(n, f->udp.next - 1)->udp.previous = f->udp.previous;
    if (f->udp.previous)
        pg_flow_at(n, f->udp.previous - 1)->udp.next = f->udp.next;
    else
        pg_use_at(n->uses, f->use)->first = f->udp.next;
}

uint32_t pg_flow_insert(struct pg_nat *n, const struct pg_flow *from, const uint32_t hash[2])
{
    uint32_t index = pg_pool_get(n->flows);
    PG_ASSERT(index != PG_POOL_NONE);
    struct pg_flow *f = pg_flow_at(n, index);

    *f = *from;
    for (uint32_t direction = 0; direction < 2; direction++) {
        int failed = pg_table_add(n->by_tuple, hash[direction], index * 2 + direction);
        PG_ASSERT(!failed); /* the table has room for two entries per flow of the pool */
    }
    link_use(n, f, index);
    set_active(n, f, 1);
    pg_expiry_add(n, f, index);
    n->counters->value[PG_COUNT_CT_INSERT]++;
    return index;
}

void pg_flow_delete(struct pg_nat *n, uint32_t index)
{
    struct pg_flow *f = pg_flow_at(n, index);

    pg_events_note(n, PG_NAT_EVENT_DESTROY, index);
    for (uint32_t direction = 0; direction < 2; direction++) {
        struct pg_tuple t = pg_flow_tuple(n, f, direction);
        bool found = pg_table_del(n->by_tuple, pg_flow_hash(n, &t), index * 2 + direction);
        PG_ASSERT(found);
    }
    unlink_use(n, f);
    set_active(n, f, -1);
    pg_expiry_del(n, f);
    pg_pool_put(n->flows, index);
    n->counters->value[PG_COUNT_CT_DELETE]++;
}

/* netfilter's collector ends these as well when the table is all but full, a moment after the first packet was refused. */
static bool is_closing(const struct pg_flow *f)
{
    return f->proto == PG_PROTO_TCP && f->tcp.state >= PG_CT_FIN_WAIT &&
           f->tcp.state <= PG_CT_CLOSE;
}

bool pg_flow_make_room(struct pg_nat *n)
{
    uint32_t limit = pg_pool_limit(n->flows);
    uint32_t least = PG_POOL_NONE;

    if (pg_pool_used(n->flows) < limit)
        return true;
    uint32_t at = pg_random_below(n->random, limit); /* full: every index is in use */
    uint32_t unassured = 0;
    for (uint32_t i = 0; i < EARLY_DROP_LOOK && i < limit && unassured < EARLY_DROP_MOST; i++) {
        uint32_t index = (at + i) % limit;
        const struct pg_flow *f = pg_flow_at(n, index);
        if (!(f->flags & FLOW_ASSURED)) {
            if (unassured++ == 0 || f->created_us < pg_flow_at(n, least)->created_us)
                least = index;
        } else if (least == PG_POOL_NONE && is_closing(f)) {
            least = index;
        }
    }
    if (least == PG_POOL_NONE)
        return false;
    pg_flow_delete(n, least);
    n->counters->value[PG_COUNT_CT_EARLY_DROP]++;
    return true;
}

void pg_flow_extend(struct pg_nat *n, struct pg_flow *f, uint64_t due_ms)
{
    bool earlier = due_ms < f->due_ms;

    pg_flow_set_due(f, due_ms);
    if (earlier && pg_expiry_is_later(n, f, due_ms)) {
        pg_expiry_del(n, f);
        pg_expiry_add(n, f, pg_pool_index(n->flows, f));
    }
}

void pg_flow_count(struct pg_flow *f, unsigned direction, const struct pg_packet *p)
{
    if (++f->packets_low[direction] == 0)
        f->total[direction].packets_high++;
    f->total[direction].bytes += p->len;
}

void pg_nat_advance(struct pg_nat *n, uint64_t now_us)
{
    n->now_us = now_us;
    pg_expiry_advance(n, now_us / 1000);
    pg_affinity_advance(n->affinity, now_us / 1000);
}

uint64_t pg_nat_next_due_us(const struct pg_nat *n)
{
    uint64_t due_ms = pg_expiry_next_ms(n);
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
    uint32_t found = pg_flow_of(n, either_direction);

    return found == PG_TABLE_NONE ? 0 : pg_flow_at(n, found >> 1)->label;
}

bool pg_nat_begun_as(const struct pg_nat *n, const struct pg_tuple *either_direction,
                     struct pg_tuple *ret)
{
    uint32_t found = pg_flow_of(n, either_direction);

    if (found == PG_TABLE_NONE) {
        return false;
    }
    *ret = pg_flow_tuple(n, pg_flow_at(n, found >> 1), PG_ORIG);
    return true;
}

static uint64_t make_id(uint32_t index, uint32_t generation)
{
    return (uint64_t)(generation - 1) << ID_INDEX_BITS | (index + 1);
}

uint64_t pg_flow_id(const struct pg_nat *n, uint32_t index)
{
    return make_id(index, pg_pool_generation(n->flows, index));
}

uint64_t pg_flow_next_id(const struct pg_nat *n)
{
    uint32_t generation = 1;
    uint32_t index = pg_pool_next(n->flows, &generation);

    PG_ASSERT(index != PG_POOL_NONE);
    return make_id(index, generation);
}

int pg_nat_delete(struct pg_nat *n, uint64_t flow_id, uint64_t now_us)
{
    uint32_t index = (uint32_t)(flow_id & ((1u << ID_INDEX_BITS) - 1)) - 1;

    n->now_us = now_us;
    if (!pg_pool_in_use(n->flows, index) || pg_flow_id(n, index) != flow_id)
        return -ENOENT;
    pg_flow_delete(n, index);
    return 0;
}
