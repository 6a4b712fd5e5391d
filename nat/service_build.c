/* One service, compiled: its endpoints in the order policy.c reads them, its reasons, and the list of what it
 * answers on.
 *
 * Called by service_update.c for each service that is new or changed. Pure, but for reasons, which are
 * interned. */
#include "nat_internal.h"

#include <stdlib.h>

/* ---- what it answers on ---- */

struct front_list {
    const struct pg_snapshot *s;
    const struct pg_service *service;
    struct pg_front *at; /* NULL: only count */
    uint32_t count;
    uint32_t slot;
};

static void add_front(struct front_list *l, struct pg_front f)
{
    f.slot = l->slot;
    if (l->at)
        l->at[l->count] = f;
    l->count++;
}

/* One address of a service: as a whole, and with each of its ports. */
static void add_address(struct front_list *l, const struct pg_addr *addr, enum pg_capture capture)
{
    struct pg_front f = {.addr = *addr, .capture = (uint8_t)capture, .service_port = PG_INDEX_NONE};

    if (pg_addr_is_none(addr))
        return;
    add_front(l, f);
    for (uint32_t i = 0; i < l->service->port_count; i++) {
        const struct pg_service_port *port = &l->s->service_ports[l->service->port_first + i];
        f.service_port = i;
        f.port = port->port;
        f.proto = port->proto;
        add_front(l, f);
    }
}

static void add_node_ports(struct front_list *l)
{
    for (uint32_t i = 0; i < l->service->port_count; i++) {
        const struct pg_service_port *port = &l->s->service_ports[l->service->port_first + i];
        struct pg_front f = {.port = port->node_port,
                             .proto = port->proto,
                             .capture = PG_CAPTURE_NODE_PORT,
                             .service_port = i};
        if (port->node_port)
            add_front(l, f);
    }
}

uint32_t pg_served_fronts(const struct pg_snapshot *s, uint32_t service, uint32_t slot,
                          struct pg_front *fronts)
{
    const struct pg_service *svc = &s->services[service];
    struct front_list l = {.s = s, .service = svc, .at = fronts, .slot = slot};

    if (!pg_service_captures(svc))
        return 0;
    for (int family = 0; family < 2; family++)
        add_address(&l, &svc->cluster_ip[family], PG_CAPTURE_CLUSTER_IP);
    for (uint32_t i = svc->lb_first; i < svc->lb_first + svc->lb_count; i++) {
        if (!s->lb_ips[i].proxy_mode)
            add_address(&l, &s->lb_ips[i].addr, PG_CAPTURE_LB_IP);
        else /* the balancer itself answers there: nodes know the address and let it pass */
            add_front(&l, (struct pg_front){.addr = s->lb_ips[i].addr,
                                            .capture = PG_CAPTURE_NONE,
                                            .service_port = PG_INDEX_NONE});
    }
    for (uint32_t i = svc->external_first; i < svc->external_first + svc->external_count; i++)
        add_address(&l, &s->external_ips[i], PG_CAPTURE_EXTERNAL_IP);
    add_node_ports(&l);
    return l.count;
}

/* ---- its endpoints ---- */

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

/* `first` is where its members begin. Returns how many it has. */
static uint32_t fill_group(struct pg_group *g, struct pg_member *members, uint32_t first,
                           const struct pg_snapshot *s, const struct pg_service_port *port, bool v6)
{
    const struct pg_endpoint *endpoints = s->endpoints + port->endpoint_first;
    struct pg_member *at = members + first;
    uint32_t count = 0;

    *g = (struct pg_group){.first = first, .hints_nodes = true, .hints_zones = true};
    for (uint32_t i = 0; i < port->endpoint_count; i++) {
        if (pg_addr_is_v4(&endpoints[i].addr) != v6 && class_of(&endpoints[i]) < 2)
            at[count++] = (struct pg_member){.endpoint = i, .node = endpoints[i].node};
    }
    if (count > 1)
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
        g->hints_nodes &= e->node_hint[0] != 0;
        g->hints_zones &= e->zone_hint[0] != 0;
    }
    return kept;
}

struct pg_served *pg_served_new(const struct pg_snapshot *s, uint32_t service)
{
    const struct pg_service *svc = &s->services[service];
    size_t endpoints = 0;

    for (uint32_t i = 0; i < svc->port_count; i++)
        endpoints += s->service_ports[svc->port_first + i].endpoint_count;
    struct pg_served *served =
        calloc(1, sizeof(*served) + svc->port_count * sizeof(struct pg_served_port) +
                      endpoints * sizeof(struct pg_member));
    if (!served)
        return NULL;
    served->port_count = svc->port_count;
    served->affine = svc->affinity_client_ip && pg_service_captures(svc);
    served->members = (struct pg_member *)&served->ports[svc->port_count];
    uint32_t first = 0;

    for (uint32_t i = 0; i < svc->port_count; i++) {
        const struct pg_service_port *port = &s->service_ports[svc->port_first + i];
        for (int v6 = 0; v6 < 2; v6++)
            first += fill_group(&served->ports[i].group[v6], served->members, first, s, port, v6);
    }
    if (pg_service_captures(svc))
        pg_service_why_fill(served, s, service);
    return served;
}
