/* From a snapshot to a zone: every name that exists, once, at load.
 *
 * Called at start and at reload; the data path only reads the result. Services are taken one after
 * the other, their ports and endpoints in order, and each adds a constant number of names, so the
 * work is linear in the snapshot. What has no name is as important as what has: a headless service
 * without a ready endpoint gets none (NXDOMAIN), a ClusterIP service without endpoints gets one.
 *
 * Owns all arrays of struct pg_zone, and a reference to the snapshot, whose addresses it points to.
 * Names that are not names (labels over 63 bytes, an ExternalName that is an address) are left out.
 * Running out of memory anywhere sets zone->failed (zone_tree.c); the rest of the build then adds
 * nothing, and pg_zone_new gives up at its end. */
#include "zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT_TEXT 600

/* ---- services ---- */

/* The hostname, or the address with dashes. */
static const char *endpoint_label(const struct pg_endpoint *e, char out[PG_ADDR_TEXT + 1])
{
    if (e->hostname[0]) {
        return e->hostname;
    }
    pg_addr_print(&e->addr, out);
    size_t len = strlen(out);

    for (size_t i = 0; i < len; i++) {
        out[i] = out[i] == '.' || out[i] == ':' ? '-' : out[i];
    }
    if (len > 0 && out[len - 1] == '-') { /* fd60:: ; a label does not end in a dash */
        out[len] = '0';
        out[len + 1] = 0;
    }
    return out;
}

/* Notes address and name of a ready endpoint of a service, each pair once. */
static void add_address(struct pg_zone *z, const struct pg_zone_service *zs, uint32_t name,
                        uint32_t endpoint)
{
    struct pg_zone_pointer *p = pg_zone_add_pointer(z, &z->snapshot->endpoints[endpoint].addr);
    bool repeats = false;

    if (!p || name == PG_ZONE_NONE) {
        return;
    }
    /* The newest stand first, so those of this service are in front. */
    for (uint32_t i = p->endpoints; i != PG_ZONE_NONE && i >= zs->first;
         i = z->endpoints[i].next_of_addr) {
        if (z->endpoints[i].name == name) {
            return;
        }
        repeats = true;
    }
    if (!PG_ZONE_GROW(z, endpoints, endpoint_count, endpoint_room, 1)) {
        return;
    }
    uint32_t at = z->endpoint_count++;

    z->endpoints[at] = (struct pg_zone_endpoint){.endpoint = endpoint,
                                                 .name = name,
                                                 .next_of_name = z->names[name].what,
                                                 .next_of_addr = p->endpoints,
                                                 .repeats = repeats};
    z->names[name].what = at;
    p->endpoints = at;
}

/* All ready endpoints of one port. */
static void add_endpoints(struct pg_zone *z, const struct pg_service *s,
                          const struct pg_zone_service *zs, uint32_t port)
{
    const struct pg_snapshot *snapshot = z->snapshot;
    const struct pg_service_port *sp = &snapshot->service_ports[port];
    char text[PG_ADDR_TEXT + 1];

    for (uint32_t k = 0; k < sp->endpoint_count && !z->failed; k++) {
        uint32_t i = sp->endpoint_first + k;
        const struct pg_endpoint *e = &snapshot->endpoints[i];

        if (!e->ready && !s->publish_not_ready) {
            continue;
        }
        uint32_t name = pg_zone_add_child(z, zs->name, endpoint_label(e, text));

        pg_zone_set_kind(z, name, PG_ZONE_ENDPOINT, PG_ZONE_NONE);
        if (name == PG_ZONE_NONE || z->names[name].kind != PG_ZONE_ENDPOINT) {
            continue;
        }
        add_address(z, zs, name, i);
        z->endpoint_names[i] = name;
        z->port_ready[port]++;
    }
}

/* Dual stack and shared hostnames: several addresses, one name, one SRV. Marks all but the first of
 * a name in a port. */
static void mark_repeats(struct pg_zone *z, uint32_t port, uint32_t *seen_by_name)
{
    const struct pg_service_port *sp = &z->snapshot->service_ports[port];

    for (uint32_t k = 0; k < sp->endpoint_count; k++) {
        uint32_t i = sp->endpoint_first + k;
        uint32_t name = z->endpoint_names[i];

        if (name == PG_ZONE_NONE) {
            continue;
        }
        uint32_t seen = seen_by_name[name];

        if (seen != PG_ZONE_NONE && seen - sp->endpoint_first < sp->endpoint_count &&
            z->snapshot->endpoints[seen].port == z->snapshot->endpoints[i].port) {
            z->endpoint_names[i] |= PG_ZONE_REPEATS;
        } else {
            seen_by_name[name] = i;
        }
    }
}

static void mark_all_repeats(struct pg_zone *z)
{
    uint32_t *seen = z->failed ? NULL : malloc((size_t)z->name_count * sizeof(*seen));

    if (!seen) {
        z->failed = true;
        return;
    }
    memset(seen, 0xff, (size_t)z->name_count * sizeof(*seen)); /* PG_ZONE_NONE */
    for (uint32_t i = 0; i < z->snapshot->service_port_count; i++) {
        mark_repeats(z, i, seen);
    }
    free(seen);
}

/* _http._tcp below the service. */
static void add_port(struct pg_zone *z, uint32_t service_name, uint32_t port)
{
    const struct pg_service_port *sp = &z->snapshot->service_ports[port];
    char label[PG_DNS_LABEL_MAX + 2];

    if (sp->name[0] == 0 || strlen(sp->name) >= PG_DNS_LABEL_MAX) {
        return;
    }
    (void)snprintf(label, sizeof(label), "_%s", pg_proto_name(sp->proto));
    uint32_t proto = pg_zone_add_child(z, service_name, label);

    (void)snprintf(label, sizeof(label), "_%s", sp->name);
    pg_zone_set_kind(z, pg_zone_add_child(z, proto, label), PG_ZONE_PORT, port);
}

/* Offset of the target's wire name in zone->aliases; 0: it is not a name (an address is none). */
static uint32_t add_alias(struct pg_zone *z, const char *text)
{
    uint8_t wire[PG_DNS_NAME_MAX];
    struct pg_addr a;
    uint32_t len = pg_dns_name_parse(text, strlen(text), wire);

    if (len <= 1 || pg_addr_parse(text, strlen(text), &a) == 0 ||
        !PG_ZONE_GROW(z, aliases, aliases_len, aliases_room, len + 1)) {
        return 0;
    }
    uint32_t at = z->aliases_len ? z->aliases_len : 1; /* 0 means none */

    memcpy(z->aliases + at, wire, len);
    z->aliases_len = at + len;
    return at;
}

static pg_reason_id service_reason(const struct pg_service *s, enum pg_code code)
{
    char object[OBJECT_TEXT];

    (void)snprintf(object, sizeof(object), "Service/%s/%s", s->namespace, s->name);
    return pg_reason_intern(&(struct pg_reason){
        .code = code, .object = object, .file = s->source.file, .line = s->source.line});
}

static bool has_ready_endpoint(const struct pg_snapshot *snapshot, const struct pg_service *s)
{
    for (uint32_t k = 0; k < s->port_count; k++) {
        const struct pg_service_port *sp = &snapshot->service_ports[s->port_first + k];

        for (uint32_t i = 0; i < sp->endpoint_count; i++) {
            if (s->publish_not_ready || snapshot->endpoints[sp->endpoint_first + i].ready) {
                return true;
            }
        }
    }
    return false;
}

static void add_service(struct pg_zone *z, uint32_t index, uint32_t svc)
{
    const struct pg_service *s = &z->snapshot->services[index];
    struct pg_zone_service *zs = &z->services[index];

    zs->name = PG_ZONE_NONE;
    zs->first = z->endpoint_count;
    zs->answer = service_reason(s, PG_CODE_DNS_ANSWER);
    zs->nodata = service_reason(s, PG_CODE_DNS_NODATA);
    if (s->type == PG_SERVICE_EXTERNAL_NAME) {
        zs->alias = add_alias(z, s->external_name);
        if (zs->alias == 0) {
            return;
        }
    } else if (s->type == PG_SERVICE_HEADLESS && !has_ready_endpoint(z->snapshot, s)) {
        return;
    }
    zs->name = pg_zone_add_child(z, pg_zone_add_child(z, svc, s->namespace), s->name);
    pg_zone_set_kind(z, zs->name, PG_ZONE_SERVICE, index);
    if (zs->name == PG_ZONE_NONE || s->type == PG_SERVICE_EXTERNAL_NAME) {
        return;
    }
    for (uint32_t k = 0; k < s->port_count; k++) {
        uint32_t port = s->port_first + k;

        add_endpoints(z, s, zs, port);
        if (s->type != PG_SERVICE_HEADLESS || z->port_ready[port] > 0) {
            add_port(z, zs->name, port);
        }
    }
    zs->count = z->endpoint_count - zs->first;
    for (int v = 0; v < 2; v++) {
        if (!pg_addr_is_none(&s->cluster_ip[v])) {
            struct pg_zone_pointer *p = pg_zone_add_pointer(z, &s->cluster_ip[v]);

            if (p && p->service == PG_ZONE_NONE) {
                p->service = index;
            }
        }
    }
}

/* ---- hosts ---- */

static void add_host_addr(struct pg_zone *z, const struct pg_addr *a)
{
    if (!pg_addr_is_none(a)) {
        z->host_addrs[z->host_addr_count++] = *a;
    }
}

/* What a client outside would be told: the balancer's address, else the nodes', else the cluster
 * IP. */
static void choose_host_addrs(struct pg_zone *z, const struct pg_service *s)
{
    const struct pg_snapshot *snapshot = z->snapshot;

    for (int v6 = 0; v6 < 2 && s->type == PG_SERVICE_LOAD_BALANCER; v6++) {
        for (uint32_t i = 0; i < s->lb_count; i++) {
            const struct pg_addr *a = &snapshot->lb_ips[s->lb_first + i].addr;

            if (pg_addr_is_v4(a) == !v6) {
                add_host_addr(z, a);
                break;
            }
        }
    }
    if (z->host_addr_count == 0 &&
        (s->type == PG_SERVICE_NODE_PORT || s->type == PG_SERVICE_LOAD_BALANCER)) {
        for (uint32_t i = 0; i < snapshot->node_count; i++) {
            add_host_addr(z, &snapshot->nodes[i].addr[0]);
            add_host_addr(z, &snapshot->nodes[i].addr[1]);
        }
    }
    if (z->host_addr_count == 0) {
        add_host_addr(z, &s->cluster_ip[0]);
        add_host_addr(z, &s->cluster_ip[1]);
    }
}

/* Is it the cluster domain or below it? Names there are the cluster's alone. */
static bool in_cluster_domain(const struct pg_zone *z, uint32_t name)
{
    while (name != PG_ZONE_ROOT && name != z->apex) {
        name = z->names[name].parent;
    }
    return name == z->apex;
}

static void add_host(struct pg_zone *z, uint32_t route)
{
    const struct pg_route *r = &z->snapshot->routes[route];

    if (r->host[0] == 0) {
        return;
    }
    uint32_t name = pg_zone_add_path(z, r->host);

    if (name == PG_ZONE_NONE || name == PG_ZONE_ROOT || in_cluster_domain(z, name) ||
        z->names[name].kind != PG_ZONE_EMPTY) {
        return;
    }
    pg_zone_set_kind(z, name, PG_ZONE_HOST, route);
    z->host_reasons[route] = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_DNS_ANSWER,
                                                                  .object = r->object,
                                                                  .field = "spec.rules.host",
                                                                  .value = r->host,
                                                                  .file = r->host_source.file,
                                                                  .line = r->host_source.line});
}

static void add_hosts(struct pg_zone *z)
{
    const struct pg_snapshot *s = z->snapshot;

    if (s->lab.ingress_service == PG_INDEX_NONE || z->failed) {
        return;
    }
    choose_host_addrs(z, &s->services[s->lab.ingress_service]);
    for (uint32_t i = 0; i < s->route_count && !z->failed; i++) {
        add_host(z, i);
    }
}

/* ---- all of it ---- */

static void *zeroed(uint32_t count, size_t size)
{
    return calloc(count ? count : 1, size);
}

static bool alloc_arrays(struct pg_zone *z)
{
    const struct pg_snapshot *s = z->snapshot;

    z->services = zeroed(s->service_count, sizeof(*z->services));
    z->endpoint_names = zeroed(s->endpoint_count, sizeof(*z->endpoint_names));
    z->port_ready = zeroed(s->service_port_count, sizeof(*z->port_ready));
    z->host_reasons = zeroed(s->route_count, sizeof(*z->host_reasons));
    z->host_addrs = zeroed(2 * (s->node_count + 1), sizeof(*z->host_addrs));
    if (!pg_zone_tree_init(z) || !z->services || !z->endpoint_names || !z->port_ready ||
        !z->host_reasons || !z->host_addrs) {
        return false;
    }
    memset(z->endpoint_names, 0xff, s->endpoint_count * sizeof(*z->endpoint_names));
    return true;
}

/* The names that are there whatever the manifests say, and the namespaces. Returns svc.<domain>. */
static uint32_t add_fixed(struct pg_zone *z)
{
    const struct pg_snapshot *s = z->snapshot;
    uint32_t arpa = pg_zone_add_child(z, PG_ZONE_ROOT, "arpa");

    pg_zone_set_kind(z, pg_zone_add_child(z, arpa, "in-addr"), PG_ZONE_REVERSE4, PG_ZONE_NONE);
    pg_zone_set_kind(z, pg_zone_add_child(z, arpa, "ip6"), PG_ZONE_REVERSE6, PG_ZONE_NONE);
    z->apex = pg_zone_add_path(z, s->lab.cluster_domain);
    pg_zone_set_kind(z, z->apex, PG_ZONE_APEX, PG_ZONE_NONE);
    pg_zone_set_kind(z, pg_zone_add_child(z, z->apex, "dns-version"), PG_ZONE_VERSION,
                     PG_ZONE_NONE);
    pg_zone_set_kind(z, pg_zone_add_child(z, pg_zone_add_child(z, z->apex, "dns"), "ns"),
                     PG_ZONE_NAMESERVER, PG_ZONE_NONE);
    uint32_t svc = pg_zone_add_child(z, z->apex, "svc");
    uint32_t pod = pg_zone_add_child(z, z->apex, "pod");

    for (uint32_t i = 0; i < s->namespace_count; i++) {
        (void)pg_zone_add_child(z, svc, s->namespaces[i]);
        if (s->lab.pod_records) {
            pg_zone_set_kind(z, pg_zone_add_child(z, pod, s->namespaces[i]), PG_ZONE_PODS,
                             PG_ZONE_NONE);
        }
    }
    return svc;
}

/* "ns.dns" or "hostmaster" in the cluster domain, or the root if that is no name. */
static void name_in_domain(const struct pg_zone *z, const char *labels,
                           uint8_t ret[PG_DNS_NAME_MAX])
{
    char text[2 * PG_DNS_NAME_MAX];

    (void)snprintf(text, sizeof(text), "%s.%s", labels, z->snapshot->lab.cluster_domain);
    if (pg_dns_name_parse(text, strlen(text), ret) == 0) {
        ret[0] = 0;
    }
}

/* What answers are written from that no single object gives. */
static void set_texts(struct pg_zone *z)
{
    name_in_domain(z, "ns.dns", z->nameserver);
    name_in_domain(z, "hostmaster", z->hostmaster);
    z->reasons[PG_DNS_OK] = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_DNS_ANSWER});
    z->reasons[PG_DNS_NODATA] = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_DNS_NODATA});
    z->reasons[PG_DNS_NXDOMAIN] =
        pg_reason_intern(&(struct pg_reason){.code = PG_CODE_DNS_NXDOMAIN});
}

static void find_dns_service(struct pg_zone *z)
{
    z->dns_service = PG_ZONE_NONE;
    for (int v = 0; v < 2 && z->dns_service == PG_ZONE_NONE; v++) {
        const struct pg_addr *a = &z->snapshot->lab.dns[v];
        uint32_t i = pg_addr_is_none(a) ? PG_ZONE_NONE : pg_zone_pointer_of(z, a);

        if (i != PG_ZONE_NONE && z->pointers[i].service != PG_ZONE_NONE &&
            z->services[z->pointers[i].service].name != PG_ZONE_NONE) {
            z->dns_service = z->pointers[i].service;
        }
    }
}

struct pg_zone *pg_zone_new(struct pg_snapshot *s, const struct pg_hash_key *key)
{
    struct pg_zone *z = calloc(1, sizeof(*z));

    if (!z) {
        return NULL;
    }
    z->snapshot = pg_snapshot_ref(s);
    z->key = *key;
    if (!alloc_arrays(z)) {
        pg_zone_free(z);
        return NULL;
    }
    set_texts(z);
    uint32_t svc = add_fixed(z);

    for (uint32_t i = 0; i < s->service_count && !z->failed; i++) {
        add_service(z, i, svc);
    }
    mark_all_repeats(z);
    add_hosts(z);
    find_dns_service(z);
    if (z->failed) {
        pg_zone_free(z);
        return NULL;
    }
    return z;
}

void pg_zone_free(struct pg_zone *z)
{
    if (!z) {
        return;
    }
    pg_table_free(z->by_label);
    pg_table_free(z->by_addr);
    free(z->names);
    free(z->labels);
    free(z->endpoints);
    free(z->pointers);
    free(z->aliases);
    free(z->services);
    free(z->endpoint_names);
    free(z->port_ready);
    free(z->host_reasons);
    free(z->host_addrs);
    pg_snapshot_put(z->snapshot);
    free(z);
}
