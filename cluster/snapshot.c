/* From inputs to a snapshot, and the lookups in one.
 *
 * pg_snapshot_load is the folder's entry: read input.c, kinds.c and derive.c in the order it calls
 * them. The last step copies what they made into the snapshot's own arena, so that text and trees
 * can be freed. A snapshot is never changed afterwards; its references are counted with atomics
 * because a reader in another thread may drop the last one. */
#include "build.h"

#include "podglass/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A pod range and its node, sorted by address; ranges do not overlap. */
struct range_node {
    struct pg_prefix range;
    uint32_t node;
};

/* What snapshot->memory points at. */
struct memory {
    struct pg_memory base;
    struct pg_index services; /* "ns/name" */
    struct pg_index pods;     /* struct pg_addr, hostNetwork pods not */
    struct pg_index nodes;    /* struct pg_addr: node addresses and gateways */
    struct pg_index ends;     /* struct end: endpoints that no pod's own address leads to */
    struct pg_index vips;     /* struct pg_addr: balancer addresses that nodes capture */
    struct range_node *ranges;
    uint32_t range_count;
};

/* An endpoint of a hostNetwork pod, or one that only a slice names. Zero bytes behind the port: hashed whole. */
struct end {
    struct pg_addr addr;
    uint16_t port; /* 0: whatever port */
    uint16_t zero;
};

/* A snapshot in the making. */
struct build {
    struct pg_build common;
    struct pg_load *load;
    struct pg_snapshot *s;
    struct memory *memory;
};

static const char *keep(struct build *b, const char *text)
{
    return pg_build_text(&b->common, text);
}

static struct pg_source keep_source(struct build *b, struct pg_source from)
{
    return pg_build_source(&b->common, from);
}

static void *array_of(struct build *b, uint32_t count, size_t size)
{
    return pg_build_array(&b->common, count, size);
}

static int range_compare(const void *a, const void *b)
{
    return memcmp(((const struct range_node *)a)->range.addr.bytes,
                  ((const struct range_node *)b)->range.addr.bytes, 16);
}

static void build_nodes(struct build *b)
{
    uint32_t count = b->load->nodes.count;
    struct pg_node *nodes = array_of(b, count, sizeof(*nodes));
    struct memory *m = b->memory;
    m->ranges = array_of(b, 2 * count, sizeof(*m->ranges));
    for (uint32_t i = 0; i < count; i++) {
        nodes[i] = PG_LIST_POINTER(b->load->nodes, struct pg_raw_node, i)->node;
        nodes[i].name = keep(b, nodes[i].name);
        nodes[i].zone = keep(b, nodes[i].zone);
        nodes[i].source = keep_source(b, nodes[i].source);
        for (int family = 0; family < 2; family++) {
            if (!pg_addr_is_none(&nodes[i].addr[family]))
                pg_index_add(&m->nodes, &nodes[i].addr[family], sizeof(struct pg_addr), i);
            if (!pg_addr_is_none(&nodes[i].gateway[family]))
                pg_index_add(&m->nodes, &nodes[i].gateway[family], sizeof(struct pg_addr), i);
            if (nodes[i].pod_cidr[family].bits != 0)
                m->ranges[m->range_count++] = (struct range_node){nodes[i].pod_cidr[family], i};
        }
    }
    if (m->range_count > 1)
        qsort(m->ranges, m->range_count, sizeof(*m->ranges), range_compare);
    b->s->nodes = nodes;
    b->s->node_count = count;
}

static int text_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void build_namespaces(struct build *b)
{
    const struct pg_list *from = &b->load->namespaces;
    const char **names = array_of(b, from->count, sizeof(*names));
    uint32_t kept = 0;
    if (from->count > 1)
        qsort(from->at, from->count, sizeof(char *), text_compare);
    for (uint32_t i = 0; i < from->count; i++) {
        const char *name = PG_LIST_POINTER(*from, const char, i);
        if (kept == 0 || strcmp(names[kept - 1], name) != 0)
            names[kept++] = keep(b, name);
    }
    b->s->namespaces = names;
    b->s->namespace_count = kept;
}

static void build_pods(struct build *b)
{
    struct pg_pod *pods = array_of(b, b->load->pods.count, sizeof(*pods));
    uint32_t count = 0;
    for (uint32_t i = 0; i < b->load->pods.count; i++) {
        const struct pg_raw_pod *from = PG_LIST_POINTER(b->load->pods, const struct pg_raw_pod, i);
        if (from->index == PG_INDEX_NONE)
            continue;
        PG_ASSERT(from->index == count);
        struct pg_pod *p = &pods[count];
        *p = (struct pg_pod){
            .namespace = keep(b, from->object.namespace),
            .name = keep(b, from->object.name),
            .addr = {from->addr[0], from->addr[1]},
            .node = from->node,
            .host_network = from->spec.host_network,
            .ready = from->ready,
            .derived = from->derived,
            .backing = from->backing,
            .source = keep_source(b, from->object.source),
        };
        for (int family = 0; family < 2 && !p->host_network; family++) {
            if (!pg_addr_is_none(&p->addr[family]))
                pg_index_add(&b->memory->pods, &p->addr[family], sizeof(struct pg_addr), count);
        }
        count++;
    }
    b->s->pods = pods;
    b->s->pod_count = count;
}

static struct pg_service keep_service(struct build *b, const struct pg_service *from)
{
    struct pg_service v = *from;
    v.namespace = keep(b, v.namespace);
    v.name = keep(b, v.name);
    v.external_name = keep(b, v.external_name);
    struct pg_source *const sources[] = {&v.source,
                                         &v.type_source,
                                         &v.external_policy_source,
                                         &v.internal_policy_source,
                                         &v.affinity_source,
                                         &v.cluster_ip_source,
                                         &v.external_source};
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++)
        *sources[i] = keep_source(b, *sources[i]);
    return v;
}

static void keep_ports(struct build *b, uint32_t service, struct pg_raw_service *from,
                       struct pg_service_port *ports, struct pg_endpoint *endpoints)
{
    for (uint32_t i = 0; i < from->endpoints.count; i++) {
        struct pg_endpoint *e = &endpoints[b->s->endpoint_count + i];
        *e = *PG_LIST_AT(from->endpoints, struct pg_endpoint, i);
        e->hostname = keep(b, e->hostname);
        e->node_hint = keep(b, e->node_hint);
        e->zone_hint = keep(b, e->zone_hint);
        e->source = keep_source(b, e->source);
    }
    for (uint32_t i = 0; i < from->port_count; i++) {
        struct pg_service_port *p = &ports[b->s->service_port_count + i];
        *p = from->ports[i];
        p->name = keep(b, p->name);
        p->target = keep(b, p->target);
        p->app_protocol = keep(b, p->app_protocol);
        p->source = keep_source(b, p->source);
        p->node_port_source = keep_source(b, p->node_port_source);
        p->endpoint_first += b->s->endpoint_count;
        p->service = service;
    }
    b->s->endpoint_count += from->endpoints.count;
    b->s->service_port_count += from->port_count;
}

struct service_totals {
    uint32_t ports, endpoints, lb_ips, external_ips, ranges;
};

static struct service_totals count_services(const struct pg_load *load)
{
    struct service_totals t = {0};
    for (uint32_t i = 0; i < load->services.count; i++) {
        const struct pg_raw_service *s =
            PG_LIST_POINTER(load->services, const struct pg_raw_service, i);
        t.ports += s->port_count;
        t.endpoints += s->endpoints.count;
        t.lb_ips += s->lb_ip_count;
        t.external_ips += s->external_ip_count;
        t.ranges += s->source_range_count;
    }
    return t;
}

static void copy(void *to, const void *from, size_t size)
{
    if (size > 0)
        memcpy(to, from, size);
}

static void build_services(struct build *b)
{
    struct pg_snapshot *s = b->s;
    struct service_totals total = count_services(b->load);
    struct pg_service *services = array_of(b, b->load->services.count, sizeof(*services));
    struct pg_service_port *ports = array_of(b, total.ports, sizeof(*ports));
    struct pg_endpoint *endpoints = array_of(b, total.endpoints, sizeof(*endpoints));
    struct pg_lb_ip *lb_ips = array_of(b, total.lb_ips, sizeof(*lb_ips));
    struct pg_addr *external = array_of(b, total.external_ips, sizeof(*external));
    struct pg_prefix *ranges = array_of(b, total.ranges, sizeof(*ranges));
    for (uint32_t i = 0; i < b->load->services.count; i++) {
        struct pg_raw_service *from = PG_LIST_POINTER(b->load->services, struct pg_raw_service, i);
        struct pg_service v = keep_service(b, &from->service);
        v.port_first = s->service_port_count;
        v.port_count = from->port_count;
        v.lb_first = s->lb_ip_count;
        v.lb_count = from->lb_ip_count;
        v.external_first = s->external_ip_count;
        v.external_count = from->external_ip_count;
        v.range_first = s->source_range_count;
        v.range_count = from->source_range_count;
        services[i] = v;
        for (uint32_t j = 0; j < from->lb_ip_count; j++) {
            lb_ips[s->lb_ip_count] = from->lb_ips[j];
            lb_ips[s->lb_ip_count++].source = keep_source(b, from->lb_ips[j].source);
        }
        copy(&external[v.external_first], from->external_ips, v.external_count * sizeof(*external));
        copy(&ranges[v.range_first], from->source_ranges, v.range_count * sizeof(*ranges));
        s->external_ip_count += v.external_count;
        s->source_range_count += v.range_count;
        keep_ports(b, i, from, ports, endpoints);
        const char *key = pg_arena_printf(&b->memory->base.arena, "%s/%s", v.namespace, v.name);
        pg_index_add(&b->memory->services, key, strlen(key), i);
    }
    s->services = services;
    s->service_count = b->load->services.count;
    s->service_ports = ports;
    s->endpoints = endpoints;
    s->lb_ips = lb_ips;
    s->external_ips = external;
    s->source_ranges = ranges;
}

static void add_end(struct build *b, const struct pg_endpoint *e, uint16_t port, uint32_t index)
{
    struct end *key = array_of(b, 1, sizeof(*key));
    key->addr = e->addr;
    key->port = port;
    pg_index_add(&b->memory->ends, key, sizeof(*key), index);
}

static void build_ends(struct build *b)
{
    const struct pg_snapshot *s = b->s;
    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        const struct pg_endpoint *e = &s->endpoints[i];
        if (pg_snapshot_pod_by_addr(s, &e->addr) != PG_INDEX_NONE)
            continue;
        add_end(b, e, e->port, i);
        add_end(b, e, 0, i);
    }
}

static void build_vips(struct build *b)
{
    for (uint32_t i = 0; i < b->s->lb_ip_count; i++) {
        if (!b->s->lb_ips[i].proxy_mode)
            pg_index_add(&b->memory->vips, &b->s->lb_ips[i].addr, sizeof(struct pg_addr), i);
    }
}

static void keep_ingress_sources(struct build *b, struct pg_ingress_settings *to)
{
    to->config_map = keep(b, to->config_map);
    to->trusted_source = keep_source(b, to->trusted_source);
    to->hops_source = keep_source(b, to->hops_source);
    to->upstream_source = keep_source(b, to->upstream_source);
    to->trailers_source = keep_source(b, to->trailers_source);
    to->slashes_source = keep_source(b, to->slashes_source);
    to->profile_source = keep_source(b, to->profile_source);
    for (uint32_t i = 0; i < PG_IDENTITY_COUNT; i++)
        to->policy_source[i] = keep_source(b, to->policy_source[i]);
    for (uint32_t i = 0; i < PG_LIMIT_COUNT; i++)
        to->limits.source[i] = keep_source(b, to->limits.source[i]);
    to->proxy.ports_source = keep_source(b, to->proxy.ports_source);
    to->proxy.sources_source = keep_source(b, to->proxy.sources_source);
    to->proxy.to_pods_source = keep_source(b, to->proxy.to_pods_source);
}

static void build_lab(struct build *b)
{
    const struct pg_raw_lab *from = b->load->lab;
    struct pg_client *clients = array_of(b, from->clients.count, sizeof(*clients));
    for (uint32_t i = 0; i < from->clients.count; i++) {
        clients[i] = *PG_LIST_AT(from->clients, struct pg_client, i);
        clients[i].name = keep(b, clients[i].name);
        clients[i].source = keep_source(b, clients[i].source);
    }
    b->s->clients = clients;
    b->s->client_count = from->clients.count;
    b->s->lab = from->lab;
    b->s->lab.dns_upstream_source = keep_source(b, from->lab.dns_upstream_source);
    b->s->lab.cluster_domain = keep(b, from->lab.cluster_domain);
    keep_ingress_sources(b, &b->s->lab.ingress);
    struct pg_service_settings *services = &b->s->lab.services;
    services->dialect_source = keep_source(b, services->dialect_source);
    services->detector_source = keep_source(b, services->detector_source);
    services->external_ips_source = keep_source(b, services->external_ips_source);
}

static void build_sums(struct build *b)
{
    uint64_t *sums = array_of(b, b->s->service_count, sizeof(*sums));
    for (uint32_t i = 0; i < b->s->service_count; i++)
        sums[i] = pg_service_sum(b->s, i);
    b->s->service_sums = sums;
    b->s->frame_sum = pg_frame_sum(b->s);
    b->s->names_sum = pg_names_sum(b->s);
}

static void build_findings(struct build *b, const struct pg_findings *from)
{
    struct pg_finding *all = array_of(b, from->count, sizeof(*all));
    for (uint32_t i = 0; i < from->count; i++) {
        all[i] = from->at[i];
        all[i].object = keep(b, all[i].object);
        all[i].field = keep(b, all[i].field);
        all[i].text = keep(b, all[i].text);
        all[i].source = keep_source(b, all[i].source);
    }
    b->s->findings = all;
    b->s->finding_count = from->count;
}

static struct pg_snapshot *snapshot_build(struct pg_load *load, const struct pg_findings *findings)
{
    static uint32_t generation;
    struct memory *m = calloc(1, sizeof(*m));
    PG_ASSERT(m != NULL);
    m->services.arena = m->pods.arena = m->nodes.arena = m->ends.arena = m->vips.arena =
        &m->base.arena;
    struct pg_snapshot *s = pg_arena_alloc(&m->base.arena, sizeof(*s));
    struct build b = {.common = {.load = load,
                                 .s = s,
                                 .arena = &m->base.arena,
                                 .texts = {.arena = &load->scratch},
                                 .kept = PG_LIST(&load->scratch, const char *)},
                      .load = load,
                      .s = s,
                      .memory = m};
    b.s->refs = 1;
    b.s->generation = __atomic_add_fetch(&generation, 1, __ATOMIC_RELAXED);
    b.s->memory = m;
    build_nodes(&b);
    build_namespaces(&b);
    build_pods(&b);
    build_services(&b);
    build_ends(&b);
    build_vips(&b);
    pg_build_routes(&b.common);
    pg_snapshot_tls_build(load, &m->base.arena, b.s);
    build_lab(&b);
    build_sums(&b);
    build_findings(&b, findings);
    return b.s;
}

static void load_init(struct pg_load *load, const struct pg_load_options *options)
{
    struct pg_arena *scratch = &load->scratch;
    if (options != NULL)
        load->options = *options;
    load->namespace = load->options.namespace == NULL ? "default" : load->options.namespace;
    load->documents = PG_LIST(scratch, struct pg_document);
    struct pg_list *const pointers[] = {
        &load->objects,         &load->services,   &load->slices,      &load->pods,
        &load->workloads,       &load->nodes,      &load->ingresses,   &load->classes,
        &load->gateway_classes, &load->gateways,   &load->http_routes, &load->grants,
        &load->config_maps,     &load->namespaces, &load->owners,      &load->files,
        &load->secrets,         &load->cas,        &load->policies};
    for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++)
        *pointers[i] = PG_LIST(scratch, void *);
    struct pg_index *const indexes[] = {
        &load->titles,         &load->kinds_noted,  &load->service_by_name,
        &load->pod_by_name,    &load->node_by_name, &load->addr_owner,
        &load->secret_by_name, &load->tls_by_host,  &load->regex_hosts};
    for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++)
        indexes[i]->arena = scratch;
    load->filters = PG_LIST(scratch, struct pg_route_filter);
    load->tls_hosts = PG_LIST(scratch, struct pg_tls_host);
    load->upstream_tls = PG_LIST(scratch, struct pg_upstream_tls);
    load->tests = PG_LIST(scratch, struct pg_route_test);
    load->route_parents = PG_LIST(scratch, struct pg_route_parent);
    load->lab = pg_lab_default(load);
    pg_checks_init(load);
}

int pg_snapshot_load(const struct pg_manifest_input *inputs, uint32_t count,
                     const struct pg_load_options *options, struct pg_snapshot **ret,
                     struct pg_findings *ret_findings)
{
    struct pg_load load = {0};
    load_init(&load, options);
    for (uint32_t i = 0; i < count; i++)
        pg_input_read(&load, &inputs[i]);
    pg_sets_read(&load);
    /* Where text could not be read objects are missing: what that leads to is not worth telling. */
    bool complete = load.findings.errors == 0;
    pg_kinds_read(&load);
    /* After wrong values clashes are worth telling in the same run, but not what was made up. */
    load.findings.errors_only = load.findings.errors > 0;
    if (complete) {
        pg_derive(&load);
        pg_checks_resolve(&load);
    }
    bool good = load.findings.errors == 0 && !(load.options.strict && load.findings.warnings > 0);
    pg_findings_take(&load, ret_findings);
    if (good)
        *ret = snapshot_build(&load, ret_findings);
    if (good && load.options.checks != NULL)
        pg_checks_take(&load, load.options.checks);
    if (load.has_secrets)
        pg_arena_wipe(&load.scratch);
    pg_arena_free(&load.scratch);
    pg_arena_free(&load.check_memory);
    return good ? 0 : load.io_error != 0 ? load.io_error : -EINVAL;
}

struct pg_snapshot *pg_snapshot_ref(struct pg_snapshot *s)
{
    __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
    return s;
}

void pg_snapshot_put(struct pg_snapshot *s)
{
    if (s == NULL || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (s->base != NULL) {
        pg_change_free(s);
        return;
    }
    struct memory *m = s->memory;
    pg_snapshot_tls_free(s);
    pg_memory_let_go(&m->base);
}

uint32_t pg_snapshot_service(const struct pg_snapshot *s, const char *namespace, const char *name)
{
    const struct memory *m = s->memory;
    return pg_name_find(&m->services, namespace, name);
}

uint32_t pg_snapshot_pod_by_addr(const struct pg_snapshot *s, const struct pg_addr *a)
{
    const struct memory *m = s->memory;
    return pg_index_find(&m->pods, a, sizeof(*a));
}

uint32_t pg_snapshot_endpoint_at(const struct pg_snapshot *s, const struct pg_addr *a,
                                 uint16_t port)
{
    const struct memory *m = s->memory;
    struct end key = {.addr = *a, .port = port};
    return pg_index_find(&m->ends, &key, sizeof(key));
}

uint32_t pg_snapshot_lb_ip(const struct pg_snapshot *s, const struct pg_addr *a)
{
    const struct memory *m = s->memory;
    return pg_index_find(&m->vips, a, sizeof(*a));
}

uint32_t pg_snapshot_pod_at(const struct pg_snapshot *s, const struct pg_addr *a, uint16_t port)
{
    uint32_t pod = pg_snapshot_pod_by_addr(s, a);
    uint32_t endpoint = pod == PG_INDEX_NONE ? pg_snapshot_endpoint_at(s, a, port) : PG_INDEX_NONE;
    return endpoint != PG_INDEX_NONE ? s->endpoints[endpoint].pod : pod;
}

uint32_t pg_snapshot_node_by_addr(const struct pg_snapshot *s, const struct pg_addr *a)
{
    const struct memory *m = s->memory;
    return pg_index_find(&m->nodes, a, sizeof(*a));
}

uint32_t pg_snapshot_node_of(const struct pg_snapshot *s, const struct pg_addr *a)
{
    const struct memory *m = s->memory;
    uint32_t pod = pg_snapshot_pod_by_addr(s, a);
    if (pod != PG_INDEX_NONE && s->pods[pod].node != PG_INDEX_NONE)
        return s->pods[pod].node;
    uint32_t node = pg_snapshot_node_by_addr(s, a);
    uint32_t low = 0;
    uint32_t high = m->range_count;
    while (node == PG_INDEX_NONE && low < high) { /* the last range that begins at or before a */
        uint32_t middle = low + (high - low) / 2;
        if (pg_prefix_contains(&m->ranges[middle].range, a))
            return m->ranges[middle].node;
        if (memcmp(m->ranges[middle].range.addr.bytes, a->bytes, 16) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return node;
}

bool pg_snapshot_in_cluster_cidr(const struct pg_snapshot *s, const struct pg_addr *a)
{
    for (uint32_t i = 0; i < s->lab.cluster_cidr_count; i++) {
        if (pg_prefix_contains(&s->lab.cluster_cidr[i], a))
            return true;
    }
    return false;
}

bool pg_snapshot_in_service_cidr(const struct pg_snapshot *s, const struct pg_addr *a)
{
    for (uint32_t i = 0; i < s->lab.service_cidr_count; i++) {
        if (pg_prefix_contains(&s->lab.service_cidr[i], a))
            return true;
    }
    return false;
}

const char *pg_service_type_name(enum pg_service_type t)
{
    static const char *const names[] = {"ClusterIP", "NodePort", "LoadBalancer",
                                        "ClusterIP (headless)", "ExternalName"};
    _Static_assert(sizeof(names) / sizeof(names[0]) == PG_SERVICE_EXTERNAL_NAME + 1,
                   "a name per type");
    return names[t];
}
