/* Service tables: everything a snapshot says about services, compiled so that a packet asks once.
 *
 * One hash of (address, protocol, port) answers for cluster IPs, load-balancer and external
 * addresses alike; a node port is the same key without an address; a key without protocol says that
 * the address as a whole is known. So a lookup costs the same with ten services and with forty
 * thousand. The endpoints of a service port stand in one array per family: ready ones by node, then
 * serving and terminating ones by node. Both policies read their set from it as one range.
 *
 * load.c builds a table and swaps it in; policy.c asks. Owns its arrays and a reference to the
 * snapshot. Immutable once built; the first of two services that claim the same address and port
 * keeps it. */
#include "nat_internal.h"

#include <stdlib.h>
#include <string.h>

#define FRONTS_MOST (1u << 30)

static uint64_t hash_front(const struct pg_hash_key *key, const struct pg_front *f)
{
    struct pg_tuple t = {.dst = f->addr, .dst_port = f->port, .proto = f->proto};

    return pg_hash_tuple(key, &t);
}

static bool same_front(const void *owner, uint32_t value, const void *key)
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
    uint32_t found = pg_table_find(t->by_front, (uint32_t)hash_front(&t->key, &key), &key);

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

    /* Only the primary address of each family, not the pod gateway. */
    if (node == PG_INDEX_NONE ||
        !pg_addr_equal(&s->nodes[node].addr[!pg_addr_is_v4(&tuple->dst)], &tuple->dst))
        return NULL;
    return pg_service_front(t, &none, tuple->proto, tuple->dst_port);
}

const struct pg_group *pg_service_group(const struct pg_service_table *t, uint32_t service_port,
                                        bool v6)
{
    return &t->groups[service_port * 2 + v6];
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

static uint32_t range_of_node(const struct pg_service_table *t, uint32_t first, uint32_t count,
                              uint32_t node, uint32_t *ret_first)
{
    uint32_t from = lower_bound(t->members + first, count, node);
    uint32_t behind = lower_bound(t->members + first, count, node + 1);

    *ret_first = first + from;
    return behind - from;
}

uint32_t pg_service_local(const struct pg_service_table *t, const struct pg_group *g, uint32_t node,
                          uint32_t *ret_first)
{
    if (node == PG_INDEX_NONE || node == PG_NODE_NONE) {
        *ret_first = g->first;
        return 0;
    }
    uint32_t count = range_of_node(t, g->first, g->ready, node, ret_first);

    return count ? count : range_of_node(t, g->first + g->ready, g->terminating, node, ret_first);
}

/* ---- building ---- */

/* The first of two services that claim an address and port keeps it. `fronts` has room for all that
 * could be. */
static bool add_front(struct pg_service_table *t, const struct pg_front *f)
{
    if (pg_addr_is_none(&f->addr) && f->port == 0)
        return true;
    if (pg_service_front(t, &f->addr, f->proto, f->port))
        return true;
    t->fronts[t->front_count] = *f;
    return pg_table_add(t->by_front, (uint32_t)hash_front(&t->key, f), t->front_count++) == 0;
}

/* One address of a service: as a whole, and with each of its ports. */
static bool add_address(struct pg_service_table *t, uint32_t service, const struct pg_addr *addr,
                        enum pg_capture capture)
{
    const struct pg_service *svc = &t->snapshot->services[service];
    struct pg_front f = {.addr = *addr,
                         .capture = (uint8_t)capture,
                         .service = service,
                         .service_port = PG_INDEX_NONE};

    if (pg_addr_is_none(addr))
        return true;
    if (!add_front(t, &f))
        return false;
    for (uint32_t i = svc->port_first; i < svc->port_first + svc->port_count; i++) {
        f.service_port = i;
        f.port = t->snapshot->service_ports[i].port;
        f.proto = t->snapshot->service_ports[i].proto;
        if (!add_front(t, &f))
            return false;
    }
    return true;
}

static bool add_node_ports(struct pg_service_table *t, uint32_t service)
{
    const struct pg_service *svc = &t->snapshot->services[service];

    for (uint32_t i = svc->port_first; i < svc->port_first + svc->port_count; i++) {
        const struct pg_service_port *port = &t->snapshot->service_ports[i];
        struct pg_front f = {.port = port->node_port,
                             .proto = port->proto,
                             .capture = PG_CAPTURE_NODE_PORT,
                             .service = service,
                             .service_port = i};
        if (port->node_port && !add_front(t, &f))
            return false;
    }
    return true;
}

static bool add_service(struct pg_service_table *t, uint32_t service)
{
    const struct pg_snapshot *s = t->snapshot;
    const struct pg_service *svc = &s->services[service];

    if (svc->type == PG_SERVICE_HEADLESS || svc->type == PG_SERVICE_EXTERNAL_NAME)
        return true;
    t->any_affinity |= svc->affinity_client_ip;
    for (int family = 0; family < 2; family++) {
        if (!add_address(t, service, &svc->cluster_ip[family], PG_CAPTURE_CLUSTER_IP))
            return false;
    }
    for (uint32_t i = svc->lb_first; i < svc->lb_first + svc->lb_count; i++) {
        /* ipMode Proxy: the balancer itself answers there, nodes let it pass. */
        if (!s->lb_ips[i].proxy_mode &&
            !add_address(t, service, &s->lb_ips[i].addr, PG_CAPTURE_LB_IP))
            return false;
    }
    for (uint32_t i = svc->external_first; i < svc->external_first + svc->external_count; i++) {
        if (!add_address(t, service, &s->external_ips[i], PG_CAPTURE_EXTERNAL_IP))
            return false;
    }
    return add_node_ports(t, service);
}

/* 0: may be used; 1: only when no ready one is left; 2: never. */
static int class_of(const struct pg_endpoint *e)
{
    if (e->ready)
        return 0;
    return e->serving && e->terminating ? 1 : 2;
}

static int compare_members(const void *a, const void *b, void *arg)
{
    const struct pg_member *x = a;
    const struct pg_member *y = b;
    const struct pg_endpoint *ex = &((const struct pg_endpoint *)arg)[x->endpoint];
    const struct pg_endpoint *ey = &((const struct pg_endpoint *)arg)[y->endpoint];
    int classes = class_of(ex) - class_of(ey);

    if (classes)
        return classes;
    if (x->node != y->node)
        return x->node < y->node ? -1 : 1;
    int addresses = pg_addr_compare(&ex->addr, &ey->addr);

    if (addresses)
        return addresses;
    return (int)ex->port - (int)ey->port;
}

static void add_group(struct pg_service_table *t, uint32_t service_port, bool v6)
{
    const struct pg_endpoint *endpoints = t->snapshot->endpoints;
    const struct pg_service_port *port = &t->snapshot->service_ports[service_port];
    struct pg_group *g = &t->groups[service_port * 2 + v6];
    struct pg_member *at = t->members + t->member_count;
    uint32_t count = 0;

    *g = (struct pg_group){.first = t->member_count, .hints_nodes = true, .hints_zones = true};
    for (uint32_t i = port->endpoint_first; i < port->endpoint_first + port->endpoint_count; i++) {
        if (pg_addr_is_v4(&endpoints[i].addr) != v6 && class_of(&endpoints[i]) < 2)
            at[count++] = (struct pg_member){.endpoint = i, .node = endpoints[i].node};
    }
    qsort_r(at, count, sizeof(*at), compare_members, (void *)(uintptr_t)endpoints);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        /* the same address and port in two slices is one endpoint */
        if (kept && compare_members(&at[kept - 1], &at[i], (void *)(uintptr_t)endpoints) == 0)
            continue;
        at[kept] = at[i];
        const struct pg_endpoint *e = &endpoints[at[kept++].endpoint];
        if (class_of(e) == 1) {
            g->terminating++;
            continue;
        }
        g->ready++;
        g->hints_nodes &= e->zone_hints != 0;
        g->hints_zones &= e->zone_hint[0] != 0;
    }
    t->member_count += kept;
}

static bool build(struct pg_service_table *t)
{
    const struct pg_snapshot *s = t->snapshot;

    for (uint32_t i = 0; i < s->service_count; i++) {
        const struct pg_service *svc = &s->services[i];
        for (uint32_t p = svc->port_first; p < svc->port_first + svc->port_count; p++)
            t->owner[p] = i;
        if (!add_service(t, i))
            return false;
    }
    for (uint32_t p = 0; p < s->service_port_count; p++) {
        add_group(t, p, false);
        add_group(t, p, true);
    }
    for (uint32_t i = 0; i < s->node_count; i++) {
        if (s->nodes[i].ready)
            t->ready_nodes[t->ready_node_count++] = i;
    }
    /* The DNS address is a cluster IP whether or not somebody wrote a Service for it. */
    for (int family = 0; family < 2; family++) {
        struct pg_front f = {.addr = s->lab.dns[family],
                             .capture = PG_CAPTURE_CLUSTER_IP,
                             .service = PG_INDEX_NONE,
                             .service_port = PG_INDEX_NONE};
        if (!pg_addr_is_none(&f.addr) && !add_front(t, &f))
            return false;
    }
    pg_service_why_fill(t);
    return true;
}

static void *array(uint32_t count, size_t size)
{
    return calloc(count ? count : 1, size);
}

/* How many fronts there can be at most: so nothing has to grow. */
static uint64_t most_fronts(const struct pg_snapshot *s)
{
    uint64_t most = 2; /* the DNS address */

    for (uint32_t i = 0; i < s->service_count; i++) {
        const struct pg_service *svc = &s->services[i];
        uint64_t addresses = UINT64_C(2) + svc->lb_count + svc->external_count;
        most += addresses + svc->port_count * (addresses + 1);
    }
    return most;
}

static uint32_t most_members(const struct pg_snapshot *s)
{
    uint32_t most = 0;

    for (uint32_t i = 0; i < s->service_port_count; i++)
        most += s->service_ports[i].endpoint_count;
    return most;
}

struct pg_service_table *pg_service_table_new(struct pg_snapshot *s, const struct pg_hash_key *key)
{
    struct pg_service_table *t = calloc(1, sizeof(*t));
    uint64_t fronts = most_fronts(s);

    if (!t)
        return NULL;
    t->snapshot = pg_snapshot_ref(s);
    t->key = *key;
    if (fronts <= FRONTS_MOST) {
        t->by_front = pg_table_new((uint32_t)fronts, same_front, t);
        t->fronts = array((uint32_t)fronts, sizeof(*t->fronts));
    }
    t->groups = array(s->service_port_count * 2, sizeof(*t->groups));
    t->members = array(most_members(s), sizeof(*t->members));
    t->owner = array(s->service_port_count, sizeof(*t->owner));
    t->why = array(s->service_count, sizeof(*t->why));
    t->node_port_why = array(s->service_port_count, sizeof(*t->node_port_why));
    t->ready_nodes = array(s->node_count, sizeof(*t->ready_nodes));
    if (!t->by_front || !t->fronts || !t->groups || !t->members || !t->owner || !t->why ||
        !t->node_port_why || !t->ready_nodes || !build(t)) {
        pg_service_table_free(t);
        return NULL;
    }
    return t;
}

void pg_service_table_free(struct pg_service_table *t)
{
    if (!t)
        return;
    free(t->fronts);
    pg_table_free(t->by_front);
    free(t->groups);
    free(t->members);
    free(t->owner);
    free(t->why);
    free(t->node_port_why);
    free(t->ready_nodes);
    pg_snapshot_put(t->snapshot);
    free(t);
}

const struct pg_snapshot *pg_service_table_snapshot(const struct pg_service_table *t)
{
    return t->snapshot;
}
