/* GatewayClass, Gateway and ReferenceGrant of Gateway API.
 *
 * Called by kinds.c; adds to load->gateway_classes, load->gateways and load->grants. Who is attached to what is derive_gateway.c's. */
#include "gateway.h"

#include <string.h>

static const struct pg_known class_fields[] = {
    {"controllerName", NULL},
    {"description", NULL},
    {"parametersRef", "parameters of a controller are not read"},
    {NULL, NULL}};
static const struct pg_known gateway_fields[] = {
    {"gatewayClassName", NULL},
    {"listeners", NULL},
    {"addresses", "addresses are those of the Service in front of the ingress"},
    {"infrastructure", "what a controller would make out of it is not modelled"},
    {"backendTLS", "no certificate is shown to pods"},
    {"tls", "client certificates are not asked for, and none is shown to pods"},
    {"allowedListeners", "ListenerSets are not supported"},
    {NULL, NULL}};
static const struct pg_known listener_fields[] = {
    {"name", NULL}, {"hostname", NULL},      {"port", NULL}, {"protocol", NULL},
    {"tls", NULL},  {"allowedRoutes", NULL}, {NULL, NULL}};
static const struct pg_known allowed_fields[] = {
    {"namespaces", NULL}, {"kinds", NULL}, {NULL, NULL}};

void pg_kinds_gateway_class(struct pg_load *load, const struct pg_object *object)
{
    struct pg_raw_gateway_class *c = pg_arena_alloc(&load->scratch, sizeof(*c));
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field controller = pg_field_get(&spec, "controllerName");
    (void)pg_field_map(&spec);
    pg_field_known(&spec, class_fields, false);
    c->object = *object;
    c->controller = pg_field_text(&controller, "");
    if (!pg_field_is(&controller))
        pg_field_error(&controller, "a GatewayClass needs the name of its controller");
    pg_list_add_pointer(&load->gateway_classes, c);
}

const char *pg_gateway_hostname(const struct pg_field *f)
{
    const char *host = pg_field_text(f, "");
    const char *rest = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
    struct pg_addr a;
    if (host[0] == '\0')
        return "";
    if (pg_addr_parse(host, strlen(host), &a) == 0)
        pg_field_error(f, "\"%.80s\" is an address: expected a host name", host);
    else if (!pg_name_ok(rest, PG_NAME_SUBDOMAIN))
        pg_field_error(f, "\"%.80s\" is not a host name in lower case (or *. and one)", host);
    else
        return host;
    return "";
}

const char *pg_gateway_route_kind_name(enum pg_gateway_route_kind kind)
{
    static const char *const names[] = {"HTTPRoute", "GRPCRoute", "TLSRoute"};
    _Static_assert(sizeof(names) / sizeof(names[0]) == PG_ROUTE_KIND_COUNT, "a name per kind");
    return names[kind];
}

uint32_t pg_gateway_kinds_of(enum pg_listener_protocol protocol)
{
    if (protocol == PG_LISTENER_TLS)
        return PG_ROUTE_KIND_BIT(PG_ROUTE_KIND_TLS);
    return protocol <= PG_LISTENER_HTTPS
               ? PG_ROUTE_KIND_BIT(PG_ROUTE_KIND_HTTP) | PG_ROUTE_KIND_BIT(PG_ROUTE_KIND_GRPC)
               : 0;
}

/* Those of allowedRoutes.kinds that the protocol can have; all it can have if nothing is written. */
static void kinds_read(const struct pg_field *allowed, struct pg_raw_listener *l)
{
    struct pg_field kinds = pg_field_get(allowed, "kinds");
    uint32_t count = pg_field_list(&kinds);
    uint32_t possible = pg_gateway_kinds_of(l->protocol);
    l->kinds = count == 0 ? possible : 0;
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(&kinds, i);
        struct pg_field kind = pg_field_get(&item, "kind");
        struct pg_field group = pg_field_get(&item, "group");
        const char *name = pg_field_text(&kind, "");
        uint32_t bit = 0;
        for (int k = 0; k < PG_ROUTE_KIND_COUNT; k++) {
            if (strcmp(name, pg_gateway_route_kind_name((enum pg_gateway_route_kind)k)) == 0 &&
                strcmp(pg_field_text(&group, PG_GATEWAY_GROUP), PG_GATEWAY_GROUP) == 0)
                bit = PG_ROUTE_KIND_BIT(k) & possible;
        }
        l->kinds |= bit;
        if (bit == 0 && l->bad_kind == NULL)
            l->bad_kind = name;
    }
}

static void allowed_read(const struct pg_field *f, struct pg_raw_listener *l)
{
    static const char *const froms[] = {"Same", "All", "Selector", NULL};
    struct pg_field allowed = pg_field_get(f, "allowedRoutes");
    struct pg_field namespaces = pg_field_get(&allowed, "namespaces");
    struct pg_field from = pg_field_get(&namespaces, "from");
    struct pg_field selector = pg_field_get(&namespaces, "selector");
    (void)pg_field_map(&allowed);
    pg_field_known(&allowed, allowed_fields, false);
    kinds_read(&allowed, l);
    l->from = (enum pg_allowed_from)pg_field_enum(&from, froms, PG_FROM_SAME);
    l->namespaces = pg_kinds_selector(&selector);
    if (l->from == PG_FROM_SELECTOR && !pg_field_is(&selector))
        pg_field_error(&selector, "from: Selector needs a selector");
}

static void listener_read(const struct pg_field *f, const struct pg_object *object,
                          struct pg_raw_listener *l)
{
    static const char *const protocols[] = {"HTTP", "HTTPS", "TLS", "TCP", "UDP", NULL};
    struct pg_field name = pg_field_get(f, "name");
    struct pg_field hostname = pg_field_get(f, "hostname");
    struct pg_field port = pg_field_get(f, "port");
    struct pg_field protocol = pg_field_get(f, "protocol");
    (void)pg_field_map(f);
    pg_field_known(f, listener_fields, false);
    if (!pg_field_is(&name))
        pg_field_error(&name, "a listener needs a name");
    l->name = pg_field_dns_name(&name, PG_NAME_SUBDOMAIN, "");
    l->hostname = pg_gateway_hostname(&hostname);
    if (!pg_field_is(&port))
        pg_field_error(&port, "a listener needs a port from 1 to 65535");
    l->port = (uint16_t)pg_field_int(&port, 1, 65535, 0);
    if (!pg_field_is(&protocol))
        pg_field_error(&protocol, "expected HTTP, HTTPS, TLS, TCP or UDP");
    l->protocol = (enum pg_listener_protocol)pg_field_enum(&protocol, protocols, 0);
    if (l->protocol > PG_LISTENER_TLS)
        pg_field_warn(&protocol, PG_CODE_UNSUPPORTED,
                      "TCPRoute and UDPRoute are not supported: nothing is served");
    allowed_read(f, l);
    l->source = pg_field_source(pg_field_is(&name) ? &name : f);
    pg_gateway_listener_tls(f, object, l);
}

void pg_kinds_gateway(struct pg_load *load, const struct pg_object *object)
{
    struct pg_raw_gateway *g = pg_arena_alloc(&load->scratch, sizeof(*g));
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field class_name = pg_field_get(&spec, "gatewayClassName");
    struct pg_field listeners = pg_field_get(&spec, "listeners");
    (void)pg_field_map(&spec);
    pg_field_known(&spec, gateway_fields, false);
    g->object = *object;
    g->class_name = pg_field_dns_name(&class_name, PG_NAME_SUBDOMAIN, "");
    if (!pg_field_is(&class_name))
        pg_field_error(&class_name, "a Gateway needs the name of its class");
    g->listener_count = pg_field_list(&listeners);
    if (g->listener_count == 0 || g->listener_count > 64)
        pg_field_error(&listeners, "a Gateway has 1 to 64 listeners, got %u", g->listener_count);
    g->listeners = pg_arena_array(&load->scratch, g->listener_count, sizeof(*g->listeners));
    for (uint32_t i = 0; i < g->listener_count; i++) {
        struct pg_field item = pg_field_item(&listeners, i);
        listener_read(&item, object, &g->listeners[i]);
        for (uint32_t j = 0; j < i; j++) {
            if (g->listeners[i].name[0] != '\0' &&
                strcmp(g->listeners[i].name, g->listeners[j].name) == 0)
                pg_field_error(&item, "two listeners are called %.80s", g->listeners[i].name);
        }
    }
    pg_list_add_pointer(&load->gateways, g);
}

/* One side of a grant; what is left of an item is its namespace or name. */
static void grant_ends(const struct pg_field *list, const char *field, struct pg_list *to)
{
    uint32_t count = pg_field_list(list);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(list, i);
        struct pg_field group = pg_field_get(&item, "group");
        struct pg_field kind = pg_field_get(&item, "kind");
        struct pg_field name = pg_field_get(&item, field);
        const char *kind_name = pg_field_text(&kind, "");
        bool core = strcmp(kind_name, "Service") == 0 || strcmp(kind_name, "Secret") == 0;
        if (strcmp(pg_field_text(&group, ""), core ? "" : PG_GATEWAY_GROUP) == 0)
            *(struct pg_raw_grant_end *)pg_list_add(to) =
                (struct pg_raw_grant_end){kind_name, pg_field_text(&name, "")};
    }
}

void pg_kinds_reference_grant(struct pg_load *load, const struct pg_object *object)
{
    struct pg_raw_grant *g = pg_arena_alloc(&load->scratch, sizeof(*g));
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field from = pg_field_get(&spec, "from");
    struct pg_field to = pg_field_get(&spec, "to");
    (void)pg_field_map(&spec);
    g->object = *object;
    g->from = PG_LIST(&load->scratch, struct pg_raw_grant_end);
    g->to = PG_LIST(&load->scratch, struct pg_raw_grant_end);
    grant_ends(&from, "namespace", &g->from);
    grant_ends(&to, "name", &g->to);
    pg_list_add_pointer(&load->grants, g);
}
