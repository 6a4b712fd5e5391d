/* One number for all that a service is, so that a reload finds the few that changed among thousands by comparing numbers.
 *
 * Taken when a snapshot is built, off the path. What goes in is what diff.c compares, and where the service's own fields are
 * written, since reasons name those places. Nodes go in by index: sums of two snapshots mean something only while pg_frame_sum, which has
 * the nodes in order, is the same too. 64 bits of a SipHash: manifests are the operator's own, two services do not meet by chance.
 *
 * Called by snapshot.c. */
#include "cluster_internal.h"

#include "podglass/hash.h"

#include <string.h>

struct sum {
    struct pg_hash_key key; /* k0: all so far */
};

static void add(struct sum *sum, const void *bytes, size_t len)
{
    sum->key.k0 = pg_hash(&sum->key, bytes, len);
}

static void add_number(struct sum *sum, uint64_t n)
{
    add(sum, &n, sizeof(n));
}

static void add_text(struct sum *sum, const char *text)
{
    add(sum, text, strlen(text));
}

static void add_source(struct sum *sum, const struct pg_source *source)
{
    add_text(sum, source->file);
    add_number(sum, source->line);
}

static void add_endpoint(struct sum *sum, const struct pg_snapshot *s, const struct pg_endpoint *e)
{
    uint64_t numbers[] = {e->addr.halves[0], e->addr.halves[1], e->node,
                          (uint64_t)e->port << 8 | (uint64_t)(e->pod != PG_INDEX_NONE) << 3 |
                              (uint64_t)e->ready << 2 | (uint64_t)e->serving << 1 | e->terminating};

    add(sum, numbers, sizeof(numbers));
    if (e->pod != PG_INDEX_NONE)
        add_text(sum, s->pods[e->pod].name);
    if (e->hostname[0] != '\0' || e->zone_hint[0] != '\0' || e->node_hint[0] != '\0') {
        add_text(sum, e->hostname);
        add_text(sum, ","); /* no name has one: a zone is not taken for a node */
        add_text(sum, e->node_hint);
        add_text(sum, ";");
        add_text(sum, e->zone_hint);
    }
}

static void add_port(struct sum *sum, const struct pg_snapshot *s, const struct pg_service_port *p)
{
    const char *const texts[] = {p->name, p->target, p->app_protocol};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        add_text(sum, texts[i]);
    add_number(sum, (uint64_t)p->proto << 32 | (uint64_t)p->port << 16 | p->node_port);
    add_source(sum, &p->source);
    add_source(sum, &p->node_port_source);
    add_number(sum, p->endpoint_count);
    for (uint32_t i = 0; i < p->endpoint_count; i++)
        add_endpoint(sum, s, &s->endpoints[p->endpoint_first + i]);
}

static void add_settings(struct sum *sum, const struct pg_service *v)
{
    const struct pg_source *const sources[] = {
        &v->source,
        &v->type_source,
        &v->external_policy_source,
        &v->internal_policy_source,
        &v->affinity_source,
        &v->cluster_ip_source,
        &v->external_source,
    };

    add_text(sum, v->namespace);
    add_text(sum, v->name);
    add_text(sum, v->external_name);
    add(sum, v->cluster_ip, sizeof(v->cluster_ip));
    add_number(sum, (uint64_t)v->type << 8 | (uint64_t)v->external_local << 3 |
                        (uint64_t)v->internal_local << 2 | (uint64_t)v->affinity_client_ip << 1 |
                        v->publish_not_ready);
    add_number(sum, (uint64_t)v->affinity_seconds << 16 | v->health_check_node_port);
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
        add_source(sum, sources[i]);
}

static void add_prefix(struct sum *sum, const struct pg_prefix *p)
{
    add(sum, &p->addr, sizeof(p->addr));
    add_number(sum, p->bits);
}

uint64_t pg_service_sum(const struct pg_snapshot *s, uint32_t service)
{
    const struct pg_service *v = &s->services[service];
    struct sum sum = {{1, 2}};

    add_settings(&sum, v);
    add_number(&sum, (uint64_t)v->lb_count << 32 | v->external_count);
    add_number(&sum, (uint64_t)v->range_count << 32 | v->port_count);
    for (uint32_t i = v->lb_first; i < v->lb_first + v->lb_count; i++) {
        add(&sum, &s->lb_ips[i].addr, sizeof(s->lb_ips[i].addr));
        add_number(&sum, s->lb_ips[i].proxy_mode);
    }
    for (uint32_t i = v->external_first; i < v->external_first + v->external_count; i++)
        add(&sum, &s->external_ips[i], sizeof(s->external_ips[i]));
    for (uint32_t i = v->range_first; i < v->range_first + v->range_count; i++)
        add_prefix(&sum, &s->source_ranges[i]);
    for (uint32_t i = v->port_first; i < v->port_first + v->port_count; i++)
        add_port(&sum, s, &s->service_ports[i]);
    return sum.key.k0;
}

uint64_t pg_frame_sum(const struct pg_snapshot *s)
{
    struct sum sum = {{3, 4}};

    add(&sum, s->lab.dns, sizeof(s->lab.dns));
    add_number(&sum, s->lab.services.dialect); /* reasons say so, and where it is written */
    add_source(&sum, &s->lab.services.dialect_source);
    add_number(&sum, s->lab.services.detector);
    add_source(&sum, &s->lab.services.detector_source);
    for (uint32_t i = 0; i < s->node_count; i++) {
        const struct pg_node *n = &s->nodes[i];
        add_text(&sum, n->name);
        add_text(&sum, n->zone);
        add_number(&sum, n->ready);
        for (int family = 0; family < 2; family++) {
            add(&sum, &n->addr[family], sizeof(n->addr[family]));
            add(&sum, &n->gateway[family], sizeof(n->gateway[family]));
            add_prefix(&sum, &n->pod_cidr[family]);
        }
    }
    return sum.key.k0;
}

uint64_t pg_names_sum(const struct pg_snapshot *s)
{
    struct sum sum = {{5, 6}};

    add_text(&sum, s->lab.cluster_domain);
    add_number(&sum, s->lab.pod_records);
    add_number(&sum, s->namespace_count);
    for (uint32_t i = 0; i < s->namespace_count; i++)
        add_text(&sum, s->namespaces[i]);
    for (uint32_t i = 0; i < s->route_count; i++) {
        add_text(&sum, s->routes[i].host);
        add_text(&sum, s->routes[i].object);
        add_source(&sum, &s->routes[i].host_source);
    }
    return sum.key.k0;
}
