/* Whether a service is the same in two snapshots, so that a reload touches only what changed.
 *
 * Called by whoever compiles snapshots into tables. Compared is what the path can see: addresses,
 * ports, policies, endpoints with their conditions and the nodes they are on, by name, since
 * indexes move when an unrelated object comes or goes. Lines in files are not compared: a comment
 * added above a service changes nothing. */
#include "podglass/snapshot.h"

#include <string.h>

struct side {
    const struct pg_snapshot *s;
    const struct pg_service *v;
};

static bool addrs_same(const struct pg_addr *a, const struct pg_addr *b, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!pg_addr_equal(&a[i], &b[i]))
            return false;
    }
    return true;
}

static const char *node_name(const struct pg_snapshot *s, uint32_t node)
{
    return node == PG_INDEX_NONE ? "" : s->nodes[node].name;
}

static bool endpoint_same(const struct side *a, const struct side *b, const struct pg_endpoint *x,
                          const struct pg_endpoint *y)
{
    bool pod_x = x->pod != PG_INDEX_NONE;
    bool pod_y = y->pod != PG_INDEX_NONE;
    return pg_addr_equal(&x->addr, &y->addr) && x->port == y->port && x->ready == y->ready &&
           x->serving == y->serving && x->terminating == y->terminating && pod_x == pod_y &&
           (!pod_x || strcmp(a->s->pods[x->pod].name, b->s->pods[y->pod].name) == 0) &&
           strcmp(node_name(a->s, x->node), node_name(b->s, y->node)) == 0 &&
           strcmp(x->hostname, y->hostname) == 0 && strcmp(x->zone_hint, y->zone_hint) == 0 &&
           strcmp(x->node_hint, y->node_hint) == 0;
}

static bool port_same(const struct side *a, const struct side *b, const struct pg_service_port *x,
                      const struct pg_service_port *y)
{
    if (strcmp(x->name, y->name) != 0 || x->proto != y->proto || x->port != y->port ||
        x->node_port != y->node_port || strcmp(x->target, y->target) != 0 ||
        strcmp(x->app_protocol, y->app_protocol) != 0 || x->endpoint_count != y->endpoint_count)
        return false;
    for (uint32_t i = 0; i < x->endpoint_count; i++) {
        if (!endpoint_same(a, b, &a->s->endpoints[x->endpoint_first + i],
                           &b->s->endpoints[y->endpoint_first + i]))
            return false;
    }
    return true;
}

static bool settings_same(const struct pg_service *x, const struct pg_service *y)
{
    return strcmp(x->namespace, y->namespace) == 0 && strcmp(x->name, y->name) == 0 &&
           x->type == y->type && addrs_same(x->cluster_ip, y->cluster_ip, 2) &&
           x->external_local == y->external_local && x->internal_local == y->internal_local &&
           x->affinity_client_ip == y->affinity_client_ip &&
           x->affinity_seconds == y->affinity_seconds &&
           x->health_check_node_port == y->health_check_node_port &&
           x->publish_not_ready == y->publish_not_ready &&
           strcmp(x->external_name, y->external_name) == 0;
}

static bool outside_same(const struct side *a, const struct side *b)
{
    const struct pg_service *x = a->v;
    const struct pg_service *y = b->v;
    if (x->lb_count != y->lb_count || x->external_count != y->external_count ||
        x->range_count != y->range_count)
        return false;
    for (uint32_t i = 0; i < x->lb_count; i++) {
        const struct pg_lb_ip *p = &a->s->lb_ips[x->lb_first + i];
        const struct pg_lb_ip *q = &b->s->lb_ips[y->lb_first + i];
        if (!pg_addr_equal(&p->addr, &q->addr) || p->proxy_mode != q->proxy_mode)
            return false;
    }
    for (uint32_t i = 0; i < x->range_count; i++) {
        const struct pg_prefix *p = &a->s->source_ranges[x->range_first + i];
        const struct pg_prefix *q = &b->s->source_ranges[y->range_first + i];
        if (!pg_addr_equal(&p->addr, &q->addr) || p->bits != q->bits)
            return false;
    }
    return addrs_same(&a->s->external_ips[x->external_first],
                      &b->s->external_ips[y->external_first], x->external_count);
}

bool pg_service_same(const struct pg_snapshot *a, uint32_t service_a, const struct pg_snapshot *b,
                     uint32_t service_b)
{
    struct side x = {a, &a->services[service_a]};
    struct side y = {b, &b->services[service_b]};
    if (!settings_same(x.v, y.v) || !outside_same(&x, &y) || x.v->port_count != y.v->port_count)
        return false;
    for (uint32_t i = 0; i < x.v->port_count; i++) {
        if (!port_same(&x, &y, &a->service_ports[x.v->port_first + i],
                       &b->service_ports[y.v->port_first + i]))
            return false;
    }
    return true;
}
