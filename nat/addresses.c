/* Addresses by number: those that translation puts in a packet's destination, each kept once.
 *
 * A flow has four addresses. Two are its ends, which may be anybody's. The other two are the same
 * again unless the flow is translated, and then they are the cluster's: the address of a service, a
 * node's or a gateway's in place of a client's. Those are few however many flows there are, so a
 * flow has their numbers; nothing that a stranger may choose gets one.
 *
 * A number is for the life of a nat, like a reason's: reloads may add some, and nothing has to be
 * counted per flow. Called by hooks.c for the first packet of a flow; pg_flow_dst reads `at` for
 * every other. Owns the list and the table in front of it. */
#include "nat_internal.h"
#include "podglass/reserve.h"

static bool same_addr(const void *owner, uint32_t value, const void *key)
{
    const struct pg_addresses *a = owner;

    return pg_addr_equal(&a->at[value], key);
}

bool pg_addresses_open(struct pg_addresses *a, const struct pg_hash_key *key, uint32_t most)
{
    *a = (struct pg_addresses){.most = most, .key = *key};
    a->at = pg_reserve_small((most + 1) * sizeof(*a->at));
    a->by_addr = pg_table_new(most, same_addr, a);
    return a->at && a->by_addr;
}

void pg_addresses_close(struct pg_addresses *a)
{
    pg_unreserve(a->at, (a->most + 1) * sizeof(*a->at));
    pg_table_free(a->by_addr);
    *a = (struct pg_addresses){0};
}

uint32_t pg_addresses_number(struct pg_addresses *a, const struct pg_addr *addr)
{
    uint32_t hash = (uint32_t)pg_hash(&a->key, addr, sizeof(*addr));
    uint32_t number = pg_table_find(a->by_addr, hash, addr);

    if (number != PG_TABLE_NONE)
        return number;
    if (pg_table_add(a->by_addr, hash, a->count + 1) != 0)
        return 0;
    a->at[++a->count] = *addr;
    return a->count;
}
