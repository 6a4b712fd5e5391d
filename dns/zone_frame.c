/* The names that belong to no service: the domain itself, namespaces, reverse zones, hosts of Ingress rules.
 *
 * Called by zone_update.c at start, and at a reload that changed one of them: few names beside those of
 * services, so they are made anew as a whole. Owns all arrays of struct pg_zone_frame. Running out of
 * memory anywhere sets tree->failed (zone_tree.c); the rest of the build then adds nothing, and
 * pg_zone_frame_new gives up at its end. */
#include "zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- hosts ---- */

static void add_host_addr(struct pg_zone_frame *f, const struct pg_addr *a)
{
    if (!pg_addr_is_none(a)) {
        f->host_addrs[f->host_addr_count++] = *a;
    }
}

/* What a client outside would be told: the balancer's address, else the nodes', else the cluster
 * IP. */
static void choose_host_addrs(struct pg_zone_frame *f, const struct pg_snapshot *snapshot)
{
    const struct pg_service *s = &snapshot->services[snapshot->lab.ingress_service];

    for (int v6 = 0; v6 < 2 && s->type == PG_SERVICE_LOAD_BALANCER; v6++) {
        for (uint32_t i = 0; i < s->lb_count; i++) {
            const struct pg_addr *a = &snapshot->lb_ips[s->lb_first + i].addr;

            if (pg_addr_is_v4(a) == !v6) {
                add_host_addr(f, a);
                break;
            }
        }
    }
    if (f->host_addr_count == 0 &&
        (s->type == PG_SERVICE_NODE_PORT || s->type == PG_SERVICE_LOAD_BALANCER)) {
        for (uint32_t i = 0; i < snapshot->node_count; i++) {
            add_host_addr(f, &snapshot->nodes[i].addr[0]);
            add_host_addr(f, &snapshot->nodes[i].addr[1]);
        }
    }
    if (f->host_addr_count == 0) {
        add_host_addr(f, &s->cluster_ip[0]);
        add_host_addr(f, &s->cluster_ip[1]);
    }
}

/* Is it the cluster domain or below it? Names there are the cluster's alone. */
static bool in_cluster_domain(const struct pg_zone_frame *f, uint32_t name)
{
    while (name != PG_ZONE_ROOT && name != f->apex) {
        name = f->tree.names[name].parent;
    }
    return name == f->apex;
}

static void add_host(struct pg_zone_frame *f, const struct pg_route *r)
{
    if (r->host[0] == 0) {
        return;
    }
    uint32_t name = pg_zone_add_path(&f->tree, r->host);

    if (name == PG_ZONE_NONE || name == PG_ZONE_ROOT || in_cluster_domain(f, name) ||
        f->tree.names[name].kind != PG_ZONE_EMPTY) {
        return;
    }
    pg_zone_set_kind(&f->tree, name, PG_ZONE_HOST, f->host_reason_count);
    f->host_reasons[f->host_reason_count++] =
        pg_reason_intern(&(struct pg_reason){.code = PG_CODE_DNS_ANSWER,
                                             .object = r->object,
                                             .field = "spec.rules.host",
                                             .value = r->host,
                                             .file = r->host_source.file,
                                             .line = r->host_source.line});
}

static void add_hosts(struct pg_zone_frame *f, const struct pg_snapshot *s)
{
    if (s->lab.ingress_service == PG_INDEX_NONE) {
        return;
    }
    choose_host_addrs(f, s);
    for (uint32_t i = 0; i < s->route_count; i++) {
        add_host(f, &s->routes[i]);
    }
}

/* ---- all of it ---- */

static bool alloc_arrays(struct pg_zone_frame *f, const struct pg_snapshot *s)
{
    f->host_reasons = calloc((size_t)s->route_count + 1, sizeof(*f->host_reasons));
    f->host_addrs = calloc(2 * ((size_t)s->node_count + 1), sizeof(*f->host_addrs));
    return f->host_reasons && f->host_addrs;
}

/* The names that are there whatever the manifests say, and the namespaces. */
static void add_fixed(struct pg_zone_frame *f, const struct pg_snapshot *s)
{
    struct pg_zone_tree *t = &f->tree;
    uint32_t arpa = pg_zone_add_child(t, PG_ZONE_ROOT, "arpa");

    pg_zone_set_kind(t, pg_zone_add_child(t, arpa, "in-addr"), PG_ZONE_REVERSE4, PG_ZONE_NONE);
    pg_zone_set_kind(t, pg_zone_add_child(t, arpa, "ip6"), PG_ZONE_REVERSE6, PG_ZONE_NONE);
    f->apex = pg_zone_add_path(t, s->lab.cluster_domain);
    pg_zone_set_kind(t, f->apex, PG_ZONE_APEX, PG_ZONE_NONE);
    pg_zone_set_kind(t, pg_zone_add_child(t, f->apex, "dns-version"), PG_ZONE_VERSION,
                     PG_ZONE_NONE);
    pg_zone_set_kind(t, pg_zone_add_child(t, pg_zone_add_child(t, f->apex, "dns"), "ns"),
                     PG_ZONE_NAMESERVER, PG_ZONE_NONE);
    uint32_t svc = pg_zone_add_child(t, f->apex, "svc");
    uint32_t pod = pg_zone_add_child(t, f->apex, "pod");

    for (uint32_t i = 0; i < s->namespace_count; i++) {
        pg_zone_set_kind(t, pg_zone_add_child(t, svc, s->namespaces[i]), PG_ZONE_NAMESPACE,
                         PG_ZONE_NONE);
        if (s->lab.pod_records != PG_POD_RECORDS_DISABLED) {
            pg_zone_set_kind(t, pg_zone_add_child(t, pod, s->namespaces[i]), PG_ZONE_PODS,
                             PG_ZONE_NONE);
        }
    }
}

/* "ns.dns.", "hostmaster." or nothing in front of the cluster domain, or the root if that is no name. */
static void name_in_domain(const struct pg_snapshot *s, const char *labels,
                           uint8_t ret[PG_DNS_NAME_MAX])
{
    char text[2 * PG_DNS_NAME_MAX];

    (void)snprintf(text, sizeof(text), "%s%s", labels, s->lab.cluster_domain);
    if (pg_dns_name_parse(text, strlen(text), ret) == 0) {
        ret[0] = 0;
    }
}

/* What answers are written from that no single object gives. */
static void set_texts(struct pg_zone_frame *f, const struct pg_snapshot *s)
{
    name_in_domain(s, "svc.", f->domain);
    name_in_domain(s, "ns.dns.", f->nameserver);
    name_in_domain(s, "hostmaster.", f->hostmaster);
    f->reasons[PG_DNS_OK] = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_DNS_ANSWER});
    f->reasons[PG_DNS_NODATA] = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_DNS_NODATA});
    f->reasons[PG_DNS_NXDOMAIN] =
        pg_reason_intern(&(struct pg_reason){.code = PG_CODE_DNS_NXDOMAIN});
}

struct pg_zone_frame *pg_zone_frame_new(const struct pg_snapshot *s, const struct pg_hash_key *key)
{
    struct pg_zone_frame *f = calloc(1, sizeof(*f));

    if (!f) {
        return NULL;
    }
    if (!pg_zone_tree_init(&f->tree, key) || !alloc_arrays(f, s)) {
        pg_zone_frame_free(f);
        return NULL;
    }
    set_texts(f, s);
    add_fixed(f, s);
    add_hosts(f, s);
    if (f->tree.failed) {
        pg_zone_frame_free(f);
        return NULL;
    }
    return f;
}

void pg_zone_frame_free(struct pg_zone_frame *f)
{
    if (f) {
        pg_zone_tree_free(&f->tree);
        free(f->host_reasons);
        free(f->host_addrs);
        free(f);
    }
}

/* The ingress' own Service says what hosts answer. */
bool pg_zone_frame_fits(const struct pg_snapshot *a, const struct pg_snapshot *b)
{
    uint32_t in_a = a->lab.ingress_service;
    uint32_t in_b = b->lab.ingress_service;

    if (!a->service_sums || !b->service_sums || a->frame_sum != b->frame_sum ||
        a->names_sum != b->names_sum) {
        return false;
    }
    return in_a == PG_INDEX_NONE || in_b == PG_INDEX_NONE
               ? in_a == in_b
               : a->service_sums[in_a] == b->service_sums[in_b];
}
