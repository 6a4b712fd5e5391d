/* Service tables: everything a snapshot says about services, compiled so that a packet asks once.
 *
 * One hash of (address, protocol, port) answers for cluster IPs, load-balancer and external
 * addresses alike; a node port is the same key without an address; a key without protocol says that
 * the address as a whole is known. So a lookup costs the same with ten services and with forty
 * thousand. The endpoints of a service port stand in one array per family: ready ones by node, then
 * serving and terminating ones by node. Both policies read their set from it as one range.
 *
 * policy.c asks; load.c brings a new snapshot in force by way of service_update.c. Owns the compiled
 * services and a reference to the snapshot. The first of two services that claim the same address and
 * port has it, and the second gets it when the first is gone. */
#include "dialect.h"
#include "nat_internal.h"
#include "podglass/log.h"

#include <stdlib.h>
#include <string.h>

uint64_t pg_front_hash(const struct pg_hash_key *key, const struct pg_front *f)
{
    struct pg_tuple t = {.dst = f->addr, .dst_port = f->port, .proto = f->proto};

    return pg_hash_tuple(key, &t);
}

bool pg_front_same(const void *owner, uint32_t value, const void *key)
{
    const struct pg_service_table *t = owner;
    const struct pg_front *a = &t->fronts[value];
    const struct pg_front *b = key;

    return a->port == b->port && a->proto == b->proto && pg_addr_equal(&a->addr, &b->addr);
}

struct pg_front *pg_service_front(const struct pg_service_table *t, const struct pg_addr *addr,
                                  uint8_t proto, uint16_t port)
{
    struct pg_front key = {.addr = *addr, .proto = proto, .port = port};
    uint32_t found = pg_table_find(t->by_front, (uint32_t)pg_front_hash(&t->key, &key), &key);

    return found == PG_TABLE_NONE ? NULL : &t->fronts[found];
}

const struct pg_front *pg_service_capture(const struct pg_service_table *t,
                                          const struct pg_tuple *tuple)
{
    const struct pg_snapshot *s = t->snapshot;
    const struct pg_addr none = {0};

    if (tuple->proto != PG_PROTO_TCP && tuple->proto != PG_PROTO_UDP)
        return NULL;
    const struct pg_front *f = pg_service_front(t, &tuple->dst, tuple->proto, tuple->dst_port);

    if (f)
        return f;
    uint32_t node = pg_snapshot_node_by_addr(s, &tuple->dst);

    /* Cilium: a process of a node may also ask 127.0.0.1, since connect() is where it is translated */
    if (pg_dialect_rules(s)->every_address && pg_addr_is_loopback(&tuple->dst))
        node = pg_snapshot_node_by_addr(s, &tuple->src);
    if (node == PG_INDEX_NONE)
        return NULL;
    /* kube-proxy: only the primary address of each family, not the pod gateway */
    if (!pg_dialect_rules(s)->every_address &&
        !pg_addr_equal(&s->nodes[node].addr[!pg_addr_is_v4(&tuple->dst)], &tuple->dst))
        return NULL;
    return pg_service_front(t, &none, tuple->proto, tuple->dst_port);
}

uint32_t pg_front_service(const struct pg_service_table *t, const struct pg_front *f)
{
    return f->slot == PG_INDEX_NONE ? PG_INDEX_NONE : t->index_of[f->slot];
}

uint32_t pg_front_port(const struct pg_service_table *t, const struct pg_front *f)
{
    return f->service_port == PG_INDEX_NONE
               ? PG_INDEX_NONE
               : t->snapshot->services[pg_front_service(t, f)].port_first + f->service_port;
}

struct pg_served *pg_service_at(const struct pg_service_table *t, uint32_t slot)
{
    if (__builtin_expect(t->served[slot] == NULL, 0)) {
        PG_ASSERT(t->on_demand);
        t->served[slot] = pg_served_new(t->snapshot, t->index_of[slot]);
        PG_ASSERT(t->served[slot]); /* out of memory ends a tool */
    }
    return t->served[slot];
}

struct pg_served *pg_service_served(const struct pg_service_table *t, uint32_t service)
{
    return pg_service_at(t, t->slot_of[service]);
}

const struct pg_served_port *pg_service_port(const struct pg_service_table *t,
                                             uint32_t service_port)
{
    uint32_t service = t->snapshot->service_ports[service_port].service;

    return &pg_service_served(t, service)
                ->ports[service_port - t->snapshot->services[service].port_first];
}

const struct pg_member *pg_service_members(const struct pg_service_table *t, uint32_t service_port)
{
    return pg_service_served(t, t->snapshot->service_ports[service_port].service)->members;
}

/* First member of at[0..count) whose node is not below `node`. */
static uint32_t lower_bound(const struct pg_member *at, uint32_t count, uint32_t node)
{
    uint32_t low = 0;

    while (low < count) {
        uint32_t middle = low + (count - low) / 2;
        if (at[middle].node < node)
            low = middle + 1;
        else
            count = middle;
    }
    return low;
}

static uint32_t range_of_node(const struct pg_member *members, uint32_t first, uint32_t count,
                              uint32_t node, uint32_t *ret_first)
{
    uint32_t from = lower_bound(members + first, count, node);
    uint32_t behind = lower_bound(members + first, count, node + 1);

    *ret_first = first + from;
    return behind - from;
}

uint32_t pg_service_local(const struct pg_member *members, const struct pg_group *g, uint32_t node,
                          uint32_t *ret_first)
{
    if (node == PG_INDEX_NONE || node == PG_NODE_NONE) {
        *ret_first = g->first;
        return 0;
    }
    uint32_t count = range_of_node(members, g->first, g->ready, node, ret_first);

    return count ? count
                 : range_of_node(members, g->first + g->ready, g->terminating, node, ret_first);
}

/* ---- the whole ---- */

static struct pg_service_table *table_new(struct pg_snapshot *s, const struct pg_hash_key *key,
                                          bool on_demand)
{
    struct pg_service_table *t = pg_service_table_empty(s, key);
    struct pg_service_update update;

    if (t)
        t->on_demand = on_demand;
    if (!t || pg_service_update_begin(&update, t, s) != 0) {
        pg_service_table_free(t);
        return NULL;
    }
    pg_service_update_commit(&update);
    pg_service_update_free(&update);
    return t;
}

struct pg_service_table *pg_service_table_new(struct pg_snapshot *s, const struct pg_hash_key *key)
{
    return table_new(s, key, false);
}

struct pg_service_table *pg_service_table_on_demand(struct pg_snapshot *s,
                                                    const struct pg_hash_key *key)
{
    return table_new(s, key, true);
}

void pg_service_table_free(struct pg_service_table *t)
{
    if (!t)
        return;
    for (uint32_t i = 0; i < t->slot_count; i++)
        free(t->served[i]);
    free(t->served);
    free(t->first_front);
    free(t->index_of);
    free(t->slot_of);
    free(t->fronts);
    pg_table_free(t->by_front);
    free(t->ready_nodes);
    pg_snapshot_put(t->snapshot);
    free(t);
}

const struct pg_snapshot *pg_service_table_snapshot(const struct pg_service_table *t)
{
    return t->snapshot;
}
