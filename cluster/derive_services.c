/* Addresses and node ports for services, and the clashes among those that are written.
 *
 * Called by derive.c: pg_derive_service_written takes what the input says; pg_derive_services gives
 * the rest, each from a start that the service's own name decides, outside the bands that
 * Kubernetes keeps for hand-picked numbers. */
#include "cluster_internal.h"

#include <stdio.h>
#include <string.h>

#define NODE_PORT_DYNAMIC 30086u /* below it: the band for hand-picked ones (KEP-3668) */
#define NODE_PORT_LAST    32767u

/* What a node answers on: (address or none for node ports, protocol, port) belongs to one
 * service. */
struct claim {
    struct pg_addr addr;
    uint16_t port;
    uint8_t proto;
    uint8_t zero[5];
};

static const struct pg_raw_service *service_at(const struct pg_load *load, uint32_t i)
{
    return PG_LIST_POINTER(load->services, const struct pg_raw_service, i);
}

/* NULL, or the service that claimed it before. */
static const struct pg_raw_service *claim_add(struct pg_load *load, struct pg_index *claims,
                                              const struct pg_addr *a, uint8_t proto, uint16_t port,
                                              uint32_t service)
{
    struct claim *c = pg_arena_alloc(&load->scratch, sizeof(*c));
    c->addr = *a;
    c->proto = proto;
    c->port = port;
    uint32_t before = pg_index_add(claims, c, sizeof(*c), service);
    return before == PG_INDEX_ABSENT || before == service ? NULL : service_at(load, before);
}

static void clash(struct pg_load *load, const struct pg_raw_service *s, const char *field,
                  const struct pg_source *source, const char *what,
                  const struct pg_raw_service *other)
{
    pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, s->object.title, field,
                   source->line > 0 ? source : &s->object.source, "%s is also that of %s (%s:%u)",
                   what, other->object.title, other->object.source.file, other->object.source.line);
}

static void cluster_ip_written(struct pg_load *load, struct pg_raw_service *s)
{
    const struct pg_lab *lab = &load->lab->lab;
    for (int family = 0; family < 2; family++) {
        const struct pg_addr *a = &s->service.cluster_ip[family];
        char text[PG_ADDR_TEXT];
        bool inside = false;
        if (pg_addr_is_none(a))
            continue;
        pg_addr_print(a, text);
        const struct pg_source *source = s->service.cluster_ip_source.line > 0
                                             ? &s->service.cluster_ip_source
                                             : &s->object.source;
        for (uint32_t i = 0; i < lab->service_cidr_count && !inside; i++)
            inside = pg_prefix_contains(&lab->service_cidr[i], a);
        if (!inside)
            pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, s->object.title, "spec.clusterIP",
                           source, "%s is in no service range: see the Lab's spec.serviceCIDRs",
                           text);
        const char *owner = pg_derive_take_addr(load, a, &s->object);
        if (owner != NULL)
            pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, s->object.title, "spec.clusterIP",
                           source, "%s is also that of %s", text, owner);
    }
}

/* Addresses of balancers may be shared by services, but not with pods or nodes; ports of one may
 * not. */
static void outside_addr(struct pg_load *load, const struct pg_raw_service *s, uint32_t at,
                         const struct pg_addr *a, const struct pg_source *source, const char *field,
                         struct pg_index *claims)
{
    char text[PG_ADDR_TEXT];
    uint32_t owner_at = pg_index_find(&load->addr_owner, a, sizeof(*a));
    const struct pg_object *owner =
        owner_at == PG_INDEX_ABSENT
            ? NULL
            : PG_LIST_POINTER(load->owners, const struct pg_object, owner_at);
    bool node = owner != NULL && owner->kind_name != NULL && strcmp(owner->kind_name, "Node") == 0;
    /* k3s' balancer is the nodes' own addresses. */
    if (owner != NULL && !node && owner->kind != PG_KIND_SERVICE)
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, s->object.title, field,
                       source->line > 0 ? source : &s->object.source, "%s is also that of %s",
                       pg_addr_print(a, text), owner->title);
    if (owner == NULL)
        (void)pg_derive_take_addr(load, a, &s->object);
    for (uint32_t i = 0; i < s->port_count; i++) {
        const struct pg_raw_service *other =
            claim_add(load, claims, a, s->ports[i].proto, s->ports[i].port, at);
        char endpoint[PG_ENDPOINT_TEXT];
        if (other != NULL)
            clash(load, s, field, source, pg_endpoint_print(a, s->ports[i].port, endpoint), other);
    }
}

/* Deprecated, and off by default in some release to come: see docs/manifests.md. */
static void external_ips_judge(struct pg_load *load, struct pg_raw_service *s)
{
    const struct pg_service_settings *set = &load->lab->lab.services;
    if (s->external_ip_count == 0)
        return;
    if (!set->external_ips) {
        pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_OUTGOING, s->object.title,
                       "spec.externalIPs", &s->service.external_source,
                       "the Lab says externalIPs: false, so nodes do not answer there");
        s->external_ip_count = 0;
        return;
    }
    bool known = set->external_ips_source.line != 0;
    pg_finding_add(load, known ? PG_FINDING_NOTE : PG_FINDING_WARNING, PG_CODE_OUTGOING,
                   s->object.title, "spec.externalIPs", &s->service.external_source,
                   "deprecated since Kubernetes 1.36 and off by default from 1.40 on%s",
                   known ? "" : ": the Lab's externalIPs: true or false says what your nodes do");
}

static void service_written(struct pg_load *load, uint32_t at, struct pg_index *claims)
{
    static const struct pg_addr none;
    struct pg_raw_service *s = PG_LIST_POINTER(load->services, struct pg_raw_service, at);
    external_ips_judge(load, s);
    cluster_ip_written(load, s);
    for (uint32_t i = 0; i < s->lb_ip_count; i++)
        outside_addr(load, s, at, &s->lb_ips[i].addr, &s->lb_ips[i].source,
                     "status.loadBalancer.ingress", claims);
    for (uint32_t i = 0; i < s->external_ip_count; i++)
        outside_addr(load, s, at, &s->external_ips[i], &s->object.source, "spec.externalIPs",
                     claims);
    for (uint32_t i = 0; i < s->port_count; i++) {
        const struct pg_service_port *p = &s->ports[i];
        char text[32];
        if (p->node_port == 0)
            continue;
        (void)snprintf(text, sizeof(text), "node port %u", p->node_port);
        const struct pg_raw_service *other =
            claim_add(load, claims, &none, p->proto, p->node_port, at);
        if (other != NULL)
            clash(load, s, "spec.ports.nodePort", &p->node_port_source, text, other);
    }
    if (s->service.health_check_node_port != 0) {
        const struct pg_raw_service *other =
            claim_add(load, claims, &none, PG_PROTO_TCP, s->service.health_check_node_port, at);
        if (other != NULL)
            clash(load, s, "spec.healthCheckNodePort", &s->object.source, "the node port", other);
    }
}

void pg_derive_service_written(struct pg_load *load)
{
    struct pg_index claims = {.arena = &load->scratch};
    for (uint32_t i = 0; i < load->services.count; i++)
        service_written(load, i, &claims);
    load->claims = claims;
}

static bool wants_family(const struct pg_load *load, const struct pg_raw_service *s, int family)
{
    bool dual = s->dual_required || (s->dual_asked && load->families[0] && load->families[1]);
    if (s->family_asked[family] || dual)
        return true;
    if (s->family_asked[1 - family])
        return false;
    return load->families[0] ? family == 0 : family == 1;
}

static struct pg_addr cluster_ip_pick(const struct pg_load *load, int family, uint64_t hash)
{
    const struct pg_lab *lab = &load->lab->lab;
    struct pg_addr a = {0};
    for (uint32_t i = 0; i < lab->service_cidr_count && pg_addr_is_none(&a); i++) {
        const struct pg_prefix *range = &lab->service_cidr[i];
        if (pg_addr_is_v4(&range->addr) != (family == 0) || range->bits > 126)
            continue;
        uint32_t size = pg_prefix_size(range);
        uint32_t band = size / 16 < 16 ? 16 : size / 16 > 256 ? 256 : size / 16;
        a = pg_derive_pick(load, range, band, size - 2, hash);
        if (pg_addr_is_none(&a))
            a = pg_derive_pick(load, range, 2, band < size - 1 ? band - 1 : size - 2, hash);
    }
    return a;
}

static void cluster_ip_give(struct pg_load *load, struct pg_raw_service *s, const char *key)
{
    for (int family = 0; family < 2; family++) {
        struct pg_addr *a = &s->service.cluster_ip[family];
        if (!wants_family(load, s, family) || !pg_addr_is_none(a))
            continue;
        *a = cluster_ip_pick(load, family, pg_stable_hash(key, strlen(key)));
        if (pg_addr_is_none(a))
            pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, s->object.title, "spec.clusterIP",
                           &s->object.source, "no IPv%d address is left in the service ranges",
                           family == 0 ? 4 : 6);
        else
            (void)pg_derive_take_addr(load, a, &s->object);
    }
}

static void lb_give(struct pg_load *load, struct pg_raw_service *s)
{
    const struct pg_prefix *range = &load->lab->lb_cidr;
    uint32_t size = pg_prefix_size(range);
    uint32_t first = size > 20 ? 10 : size > 2 ? 1 : 0;
    if (pg_addr_is_none(&s->service.cluster_ip[pg_addr_is_v4(&range->addr) ? 0 : 1])) {
        pg_finding_add(
            load, PG_FINDING_WARNING, PG_CODE_UNSUPPORTED, s->object.title, "status.loadBalancer",
            &s->object.source,
            "no balancer address of its family is given out: write one in status.loadBalancer");
        return;
    }
    struct pg_addr a = pg_derive_pick(load, range, first, size > 2 ? size - 2 : size - 1, 0);
    if (pg_addr_is_none(&a)) {
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, s->object.title,
                       "status.loadBalancer", &s->object.source,
                       "no address is left in the Lab's loadBalancerCIDR");
        return;
    }
    (void)pg_derive_take_addr(load, &a, &s->object);
    s->lb_ips[s->lb_ip_count++] =
        (struct pg_lb_ip){.addr = a, .allocated = true, .source = {"", 0}};
}

static uint16_t node_port_pick(struct pg_load *load, uint32_t at, uint8_t proto, const char *key)
{
    static const struct pg_addr none;
    uint32_t span = NODE_PORT_LAST - NODE_PORT_DYNAMIC + 1;
    uint64_t hash = pg_stable_hash(key, strlen(key));
    for (uint32_t i = 0; i < span; i++) {
        uint16_t port = (uint16_t)(NODE_PORT_DYNAMIC + (hash + i) % span);
        struct claim c = {.addr = none, .port = port, .proto = proto};
        if (pg_index_find(&load->claims, &c, sizeof(c)) != PG_INDEX_ABSENT)
            continue;
        (void)claim_add(load, &load->claims, &none, proto, port, at);
        return port;
    }
    return 0;
}

static void node_ports_give(struct pg_load *load, struct pg_raw_service *s, uint32_t at,
                            const char *key)
{
    for (uint32_t i = 0; i < s->port_count; i++) {
        struct pg_service_port *p = &s->ports[i];
        if (p->node_port != 0)
            continue;
        const char *port_key = pg_arena_printf(&load->scratch, "%s/%u/%u", key, p->proto, p->port);
        p->node_port = node_port_pick(load, at, p->proto, port_key);
        if (p->node_port == 0)
            pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, s->object.title,
                           "spec.ports.nodePort", &p->source, "no node port is left");
    }
    if (s->service.type == PG_SERVICE_LOAD_BALANCER && s->service.external_local &&
        s->service.health_check_node_port == 0)
        s->service.health_check_node_port = node_port_pick(
            load, at, PG_PROTO_TCP, pg_arena_printf(&load->scratch, "%s/health", key));
}

void pg_derive_services(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->services.count; i++) {
        struct pg_raw_service *s = PG_LIST_POINTER(load->services, struct pg_raw_service, i);
        const char *key = s->object.title + strlen("Service/");
        enum pg_service_type type = s->service.type;
        if (type == PG_SERVICE_HEADLESS || type == PG_SERVICE_EXTERNAL_NAME) {
            for (int family = 0; family < 2; family++)
                s->family_asked[family] = wants_family(load, s, family);
            continue;
        }
        cluster_ip_give(load, s, key);
        for (int family = 0; family < 2; family++)
            s->family_asked[family] = !pg_addr_is_none(&s->service.cluster_ip[family]);
        if (type == PG_SERVICE_LOAD_BALANCER && s->lb_ip_count == 0)
            lb_give(load, s);
        if (type == PG_SERVICE_NODE_PORT || (type == PG_SERVICE_LOAD_BALANCER && s->node_ports))
            node_ports_give(load, s, i, key);
    }
}
