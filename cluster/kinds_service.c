/* Service: every field the path reads, checked as an API server would.
 *
 * Called by kinds.c for each object; adds to load->services. What is absent stays absent:
 * derive_services.c gives out addresses and ports once all objects are known. */
#include "cluster_internal.h"

#include <string.h>

#define NODE_PORT_FIRST 30000
#define NODE_PORT_LAST  32767

static const struct pg_known spec_fields[] = {{"type", NULL},
                                              {"selector", NULL},
                                              {"ports", NULL},
                                              {"clusterIP", NULL},
                                              {"clusterIPs", NULL},
                                              {"ipFamilies", NULL},
                                              {"ipFamilyPolicy", NULL},
                                              {"externalIPs", NULL},
                                              {"externalTrafficPolicy", NULL},
                                              {"internalTrafficPolicy", NULL},
                                              {"sessionAffinity", NULL},
                                              {"sessionAffinityConfig", NULL},
                                              {"loadBalancerIP", NULL},
                                              {"loadBalancerSourceRanges", NULL},
                                              {"loadBalancerClass", NULL},
                                              {"allocateLoadBalancerNodePorts", NULL},
                                              {"healthCheckNodePort", NULL},
                                              {"publishNotReadyAddresses", NULL},
                                              {"externalName", NULL},
                                              {"trafficDistribution", NULL},
                                              {NULL, NULL}};
static const struct pg_known port_fields[] = {
    {"name", NULL},     {"protocol", NULL},    {"port", NULL}, {"targetPort", NULL},
    {"nodePort", NULL}, {"appProtocol", NULL}, {NULL, NULL}};

/* Annotations by which balancers and topology hints are steered. */
static const char *const annotation_starts[] = {"service.kubernetes.io/topology-",
                                                "service.beta.kubernetes.io/",
                                                "metallb.universe.tf/",
                                                "metallb.io/",
                                                "service.cilium.io/",
                                                "kube-vip.io/",
                                                NULL};

static void annotations_check(const struct pg_field *root)
{
    struct pg_field metadata = pg_field_get(root, "metadata");
    struct pg_field annotations = pg_field_get(&metadata, "annotations");
    uint32_t count = pg_field_map(&annotations);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field entry = pg_field_entry(&annotations, i);
        for (const char *const *start = annotation_starts; *start != NULL; start++) {
            if (strncmp(entry.name, *start, strlen(*start)) == 0)
                pg_field_warn(&entry, PG_CODE_UNSUPPORTED, "annotation is not supported yet");
        }
    }
}

static bool takes_node_ports(enum pg_service_type type)
{
    return type == PG_SERVICE_NODE_PORT || type == PG_SERVICE_LOAD_BALANCER;
}

/* targetPort is a number or the name of a container's port. */
static void target_read(const struct pg_field *f, struct pg_service_port *p)
{
    if (!pg_field_is(f)) {
        p->target = pg_arena_printf(&f->load->scratch, "%u", p->port);
        return;
    }
    if (pg_field_int_written(f)) {
        int64_t n = pg_field_int(f, 1, 65535, p->port);
        p->target = pg_arena_printf(&f->load->scratch, "%lld", (long long)n);
        return;
    }
    const char *text = pg_field_text(f, "");
    p->target = text;
    if (text[0] != '\0' && strspn(text, "0123456789") == strlen(text))
        pg_field_error(
            f, "\"%.60s\" names a port of that name: remove the quotes to mean the number", text);
    else if (text[0] != '\0')
        p->target = pg_field_dns_name(f, PG_NAME_PORT, "");
}

static void port_read(const struct pg_field *f, struct pg_raw_service *s, struct pg_service_port *p)
{
    pg_field_known(f, port_fields, false);
    (void)pg_field_map(f);
    struct pg_field name = pg_field_get(f, "name");
    struct pg_field protocol = pg_field_get(f, "protocol");
    struct pg_field port = pg_field_get(f, "port");
    struct pg_field target = pg_field_get(f, "targetPort");
    struct pg_field node_port = pg_field_get(f, "nodePort");
    struct pg_field app = pg_field_get(f, "appProtocol");
    p->name = pg_field_dns_name(&name, PG_NAME_LABEL, "");
    p->proto = pg_kinds_protocol(&protocol);
    if (p->proto == PG_PROTO_SCTP)
        pg_field_warn(&protocol, PG_CODE_SCTP,
                      "SCTP is not translated: nobody reaches port %s here", p->name);
    if (!pg_field_is(&port))
        pg_field_error(&port, "a service port needs a number from 1 to 65535");
    p->port = (uint16_t)pg_field_int(&port, 1, 65535, 0);
    p->app_protocol = pg_field_text(&app, "");
    p->source = pg_field_source(pg_field_is(&port) ? &port : f);
    target_read(&target, p);
    p->node_port = (uint16_t)pg_field_int(&node_port, NODE_PORT_FIRST, NODE_PORT_LAST, 0);
    p->node_port_source = pg_field_source(&node_port);
    if (p->node_port != 0 && !takes_node_ports(s->service.type))
        pg_field_error(&node_port, "only for type NodePort or LoadBalancer");
}

static void ports_read(const struct pg_field *spec, struct pg_raw_service *s)
{
    struct pg_field ports = pg_field_get(spec, "ports");
    s->port_count = pg_field_list(&ports);
    s->ports = pg_arena_array(&spec->load->scratch, s->port_count, sizeof(*s->ports));
    struct pg_index names = {.arena = &spec->load->scratch};
    struct pg_index numbers = {.arena = &spec->load->scratch};
    for (uint32_t i = 0; i < s->port_count; i++) {
        struct pg_field f = pg_field_item(&ports, i);
        struct pg_service_port *p = &s->ports[i];
        p->name = p->target = p->app_protocol = "";
        port_read(&f, s, p);
        struct pg_field name = pg_field_get(&f, "name");
        if (s->port_count > 1 && !pg_field_is(&name))
            pg_field_error(&name, "needed because the service has more than one port");
        else if (p->name[0] != '\0' &&
                 pg_index_add(&names, p->name, strlen(p->name), i) != PG_INDEX_ABSENT)
            pg_field_error(&name, "two ports of this service are named %s", p->name);
        const char *key = pg_arena_printf(&spec->load->scratch, "%u/%u", p->port, p->proto);
        if (p->port != 0 && pg_index_add(&numbers, key, strlen(key), i) != PG_INDEX_ABSENT)
            pg_field_error(&f, "port %u with this protocol is given twice", p->port);
    }
    if (s->port_count == 0 && s->service.type != PG_SERVICE_HEADLESS &&
        s->service.type != PG_SERVICE_EXTERNAL_NAME &&
        (ports.tree == NULL || ports.tree->kind == PG_TREE_LIST))
        pg_field_error(&ports, "a service needs at least one port");
    if (s->port_count == 0 && s->service.type == PG_SERVICE_HEADLESS) {
        /* DNS answers its endpoints all the same: they hang on a port 0 that nobody can use. */
        s->ports = pg_arena_alloc(&spec->load->scratch, sizeof(*s->ports));
        s->ports[0] = (struct pg_service_port){
            .name = "", .target = "", .app_protocol = "", .proto = PG_PROTO_TCP};
        s->ports[0].source.file = s->ports[0].node_port_source.file = "";
        s->port_count = 1;
    }
}

static void cluster_ip_set(struct pg_raw_service *s, const struct pg_field *f, bool again)
{
    struct pg_addr a;
    const char *why = NULL;
    if (!pg_field_addr(f, &a))
        return;
    int family = pg_addr_is_v4(&a) ? 0 : 1;
    struct pg_addr *to = &s->service.cluster_ip[family];
    if (!pg_addr_usable(&a, &why)) {
        pg_field_error(f, "a cluster IP cannot be %s", why);
    } else if (!pg_addr_is_none(to) && !(again && pg_addr_equal(to, &a))) {
        pg_field_error(f,
                       "a second %s cluster IP: expected one of each family at most, and "
                       "clusterIPs[0] equal to clusterIP",
                       family == 0 ? "IPv4" : "IPv6");
    } else {
        *to = a;
        s->family_asked[family] = true;
        if (s->service.cluster_ip_source.line == 0)
            s->service.cluster_ip_source = pg_field_source(f);
    }
}

static bool is_none(const struct pg_field *f)
{
    return f->tree != NULL && f->tree->kind == PG_TREE_SCALAR && strcmp(f->tree->text, "None") == 0;
}

static void cluster_ips_read(const struct pg_field *spec, struct pg_raw_service *s)
{
    struct pg_field one = pg_field_get(spec, "clusterIP");
    struct pg_field all = pg_field_get(spec, "clusterIPs");
    uint32_t count = pg_field_list(&all);
    bool headless = is_none(&one);
    for (uint32_t i = 0; i < count && !headless; i++) {
        struct pg_field f = pg_field_item(&all, i);
        headless = is_none(&f);
    }
    if (headless) {
        if (s->service.type != PG_SERVICE_CLUSTER_IP)
            pg_field_error(pg_field_is(&one) ? &one : &all, "None is only for type ClusterIP");
        else
            s->service.type = PG_SERVICE_HEADLESS;
        s->service.cluster_ip_source = pg_field_source(pg_field_is(&one) ? &one : &all);
        return;
    }
    if (pg_field_is(&one) && !(one.tree->kind == PG_TREE_SCALAR && one.tree->count == 0))
        cluster_ip_set(s, &one, false);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&all, i);
        cluster_ip_set(s, &f, i == 0);
    }
    if (s->service.type == PG_SERVICE_EXTERNAL_NAME && (s->family_asked[0] || s->family_asked[1]))
        pg_field_error(pg_field_is(&one) ? &one : &all, "not for type ExternalName");
}

static void families_read(const struct pg_field *spec, struct pg_raw_service *s)
{
    static const char *const family_names[] = {"IPv4", "IPv6", NULL};
    static const char *const policies[] = {"SingleStack", "PreferDualStack", "RequireDualStack",
                                           NULL};
    struct pg_field families = pg_field_get(spec, "ipFamilies");
    struct pg_field policy = pg_field_get(spec, "ipFamilyPolicy");
    uint32_t count = pg_field_list(&families);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&families, i);
        int family = pg_field_enum(&f, family_names, -1);
        if (family >= 0)
            s->family_asked[family] = true;
    }
    int p = pg_field_enum(&policy, policies, 0);
    s->dual_asked = p == 1;
    s->dual_required = p == 2;
    if (p == 0 && pg_field_is(&policy) && s->family_asked[0] && s->family_asked[1])
        pg_field_error(&policy, "SingleStack, but two address families are asked for");
}

static void policies_read(const struct pg_field *spec, struct pg_raw_service *s)
{
    static const char *const policies[] = {"Cluster", "Local", NULL};
    static const char *const affinities[] = {"None", "ClientIP", NULL};
    struct pg_service *v = &s->service;
    struct pg_field external = pg_field_get(spec, "externalTrafficPolicy");
    struct pg_field internal = pg_field_get(spec, "internalTrafficPolicy");
    struct pg_field affinity = pg_field_get(spec, "sessionAffinity");
    struct pg_field config = pg_field_get(spec, "sessionAffinityConfig");
    struct pg_field client_ip = pg_field_get(&config, "clientIP");
    struct pg_field timeout = pg_field_get(&client_ip, "timeoutSeconds");
    struct pg_field health = pg_field_get(spec, "healthCheckNodePort");
    struct pg_field not_ready = pg_field_get(spec, "publishNotReadyAddresses");
    v->external_local = pg_field_enum(&external, policies, 0) == 1;
    v->external_policy_source = pg_field_source(&external);
    if (pg_field_is(&external) && !takes_node_ports(v->type) && s->external_ip_count == 0)
        pg_field_error(&external, "only for type NodePort or LoadBalancer, or with externalIPs");
    v->internal_local = pg_field_enum(&internal, policies, 0) == 1;
    v->internal_policy_source = pg_field_source(&internal);
    v->affinity_client_ip = pg_field_enum(&affinity, affinities, 0) == 1;
    v->affinity_source = pg_field_source(&affinity);
    v->affinity_seconds = (uint32_t)pg_field_int(&timeout, 1, 86400, 10800);
    if (pg_field_is(&timeout) && !v->affinity_client_ip)
        pg_field_error(&timeout, "only with sessionAffinity: ClientIP");
    v->health_check_node_port = (uint16_t)pg_field_int(&health, NODE_PORT_FIRST, NODE_PORT_LAST, 0);
    if (v->health_check_node_port != 0 &&
        !(v->type == PG_SERVICE_LOAD_BALANCER && v->external_local))
        pg_field_error(&health, "only for type LoadBalancer with externalTrafficPolicy: Local");
    v->publish_not_ready = pg_field_bool(&not_ready, false);
}

static void lb_ip_add(struct pg_raw_service *s, const struct pg_field *f, bool proxy_mode)
{
    struct pg_addr a;
    const char *why = NULL;
    if (!pg_field_addr(f, &a))
        return;
    if (!pg_addr_usable(&a, &why)) {
        pg_field_error(f, "a load-balancer address cannot be %s", why);
        return;
    }
    for (uint32_t i = 0; i < s->lb_ip_count; i++) {
        if (pg_addr_equal(&s->lb_ips[i].addr, &a))
            return;
    }
    s->lb_ips[s->lb_ip_count++] =
        (struct pg_lb_ip){.addr = a, .proxy_mode = proxy_mode, .source = pg_field_source(f)};
}

/* Addresses of the balancer: what the cluster reports (status), else what was asked for
 * (spec.loadBalancerIP). */
static void lb_read(const struct pg_field *root, const struct pg_field *spec,
                    struct pg_raw_service *s)
{
    static const char *const modes[] = {"VIP", "Proxy", NULL};
    struct pg_field status = pg_field_get(root, "status");
    struct pg_field balancer = pg_field_get(&status, "loadBalancer");
    struct pg_field list = pg_field_get(&balancer, "ingress");
    struct pg_field asked = pg_field_get(spec, "loadBalancerIP");
    struct pg_field node_ports = pg_field_get(spec, "allocateLoadBalancerNodePorts");
    s->node_ports = pg_field_bool(&node_ports, true);
    uint32_t count = pg_field_list(&list);
    s->lb_ips = pg_arena_array(&spec->load->scratch, (size_t)count + 2, sizeof(*s->lb_ips));
    if (s->service.type != PG_SERVICE_LOAD_BALANCER)
        return;
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&list, i);
        struct pg_field ip = pg_field_get(&f, "ip");
        struct pg_field mode = pg_field_get(&f, "ipMode");
        struct pg_field hostname = pg_field_get(&f, "hostname");
        if (pg_field_is(&hostname) && !pg_field_is(&ip))
            pg_field_warn(
                &hostname, PG_CODE_UNSUPPORTED,
                "a balancer that has a name only is given an address here, and nodes answer for "
                "it; a real one is outside: its address is in no node's tables");
        lb_ip_add(s, &ip, pg_field_enum(&mode, modes, 0) == 1);
    }
    if (s->lb_ip_count == 0 && pg_field_is(&asked) && pg_field_text(&asked, "")[0] != '\0')
        lb_ip_add(s, &asked, false);
}

static void ranges_read(const struct pg_field *spec, struct pg_raw_service *s)
{
    struct pg_field external = pg_field_get(spec, "externalIPs");
    struct pg_field ranges = pg_field_get(spec, "loadBalancerSourceRanges");
    uint32_t count = pg_field_list(&external);
    s->service.external_source = pg_field_source(&external);
    s->external_ips = pg_arena_array(&spec->load->scratch, count, sizeof(*s->external_ips));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&external, i);
        const char *why = NULL;
        struct pg_addr a;
        if (!pg_field_addr(&f, &a))
            continue;
        if (!pg_addr_usable(&a, &why))
            pg_field_error(&f, "an external address cannot be %s", why);
        else
            s->external_ips[s->external_ip_count++] = a;
    }
    count = pg_field_list(&ranges);
    s->source_ranges = pg_arena_array(&spec->load->scratch, count, sizeof(*s->source_ranges));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&ranges, i);
        struct pg_prefix p;
        const char *text = pg_field_text(&f, NULL);
        if (text == NULL)
            continue;
        /* Host bits are allowed here, as in a cluster. */
        if (strchr(text, '/') == NULL || pg_prefix_parse(text, strlen(text), &p) != 0)
            pg_field_error(&f, "\"%.60s\" is not an address range like 198.51.100.0/24", text);
        else
            s->source_ranges[s->source_range_count++] = p;
    }
    if (s->source_range_count > 0 && s->service.type != PG_SERVICE_LOAD_BALANCER)
        pg_field_error(&ranges, "only for type LoadBalancer");
}

static void external_name_read(const struct pg_field *spec, struct pg_raw_service *s)
{
    struct pg_field f = pg_field_get(spec, "externalName");
    s->service.external_name = "";
    if (s->service.type != PG_SERVICE_EXTERNAL_NAME)
        return;
    const char *name = pg_field_text(&f, "");
    size_t len = strlen(name);
    const char *bare =
        len > 0 && name[len - 1] == '.' ? pg_arena_text(&spec->load->scratch, name, len - 1) : name;
    if (pg_name_ok(bare, PG_NAME_SUBDOMAIN))
        s->service.external_name = bare;
    else if (len == 0)
        pg_field_error(&f, "needed for type ExternalName");
    else
        pg_field_error(&f, "\"%.80s\" is not a DNS name", name);
}

/* PreferClose is the old word for PreferSameZone. */
static enum pg_prefer distribution_read(const struct pg_field *spec)
{
    static const char *const names[] = {"PreferSameZone", "PreferClose", "PreferSameNode", NULL};
    static const enum pg_prefer values[] = {PG_PREFER_ZONE, PG_PREFER_ZONE, PG_PREFER_NODE};
    struct pg_field f = pg_field_get(spec, "trafficDistribution");
    return pg_field_is(&f) ? values[pg_field_enum(&f, names, 0)] : PG_PREFER_NONE;
}

void pg_kinds_service(struct pg_load *load, const struct pg_object *object)
{
    static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer", "ExternalName",
                                        NULL};
    static const enum pg_service_type values[] = {PG_SERVICE_CLUSTER_IP, PG_SERVICE_NODE_PORT,
                                                  PG_SERVICE_LOAD_BALANCER,
                                                  PG_SERVICE_EXTERNAL_NAME};
    struct pg_raw_service *s = pg_arena_alloc(&load->scratch, sizeof(*s));
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field type = pg_field_get(&spec, "type");
    struct pg_field selector = pg_field_get(&spec, "selector");
    s->object = *object;
    s->slices = PG_LIST(&load->scratch, struct pg_raw_slice *);
    s->endpoints = PG_LIST(&load->scratch, struct pg_endpoint);
    if (!pg_field_is(&spec))
        pg_field_error(&spec, "a service needs a spec");
    (void)pg_field_map(&spec);
    pg_field_known(&spec, spec_fields, false);
    annotations_check(&root);
    s->service.namespace = object->namespace;
    s->service.name = object->name;
    s->service.source = object->source;
    s->service.type = values[pg_field_enum(&type, types, 0)];
    s->service.type_source = pg_field_source(&type);
    s->service.cluster_ip_source.file = "";
    s->selector = pg_kinds_labels(&selector);
    s->prefers = distribution_read(&spec);
    cluster_ips_read(&spec, s);
    families_read(&spec, s);
    ports_read(&spec, s);
    ranges_read(&spec, s);
    policies_read(&spec, s);
    lb_read(&root, &spec, s);
    external_name_read(&spec, s);
    pg_list_add_pointer(&load->services, s);
}
