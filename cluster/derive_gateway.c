/* Gateways: which are served, which listeners let a route in, and the conditions a controller would write.
 *
 * Called by derive.c before the service in front is looked for, and by derive_httproute.c for each parent of a route. Without GatewayClass objects in
 * the input all classes are ours; with them a Gateway needs its class to be there. */
#include "gateway.h"

#include <stdio.h>
#include <string.h>

static bool class_there(const struct pg_load *load, const char *name)
{
    for (uint32_t i = 0; i < load->gateway_classes.count; i++) {
        if (strcmp(PG_LIST_POINTER(load->gateway_classes, const struct pg_raw_gateway_class, i)
                       ->object.name,
                   name) == 0)
            return true;
    }
    return load->gateway_classes.count == 0;
}

static void listener_trouble(struct pg_load *load, const struct pg_raw_gateway *g,
                             struct pg_raw_listener *l, const char *reason, const char *text)
{
    l->trouble = text;
    l->trouble_reason = reason;
    pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, g->object.title,
                   pg_arena_printf(&load->scratch, "spec.listeners %s", l->name), &l->source, "%s",
                   text);
}

/* HTTPS and TLS may share a port: the server name tells them apart. */
static bool protocols_clash(enum pg_listener_protocol a, enum pg_listener_protocol b)
{
    bool tls_a = a == PG_LISTENER_HTTPS || a == PG_LISTENER_TLS;
    bool tls_b = b == PG_LISTENER_HTTPS || b == PG_LISTENER_TLS;
    return a != b && !(tls_a && tls_b);
}

/* Same port and name, or one port in two protocols: as the specification has it, none of the two is served. */
static void conflicts_find(struct pg_load *load, struct pg_raw_gateway *g)
{
    for (uint32_t i = 0; i < g->listener_count; i++) {
        for (uint32_t j = 0; j < g->listener_count; j++) {
            struct pg_raw_listener *a = &g->listeners[i];
            const struct pg_raw_listener *b = &g->listeners[j];
            if (i == j || a->trouble != NULL || a->port != b->port)
                continue;
            if (protocols_clash(a->protocol, b->protocol))
                listener_trouble(load, g, a, "ProtocolConflict",
                                 "another listener has the same port in another protocol");
            else if (strcmp(a->hostname, b->hostname) == 0)
                listener_trouble(load, g, a, "HostnameConflict",
                                 "another listener has the same port and hostname");
        }
    }
}

void pg_derive_gateways(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->gateways.count; i++) {
        struct pg_raw_gateway *g = PG_LIST_POINTER(load->gateways, struct pg_raw_gateway, i);
        conflicts_find(load, g);
        for (uint32_t j = 0; j < g->listener_count; j++) {
            struct pg_raw_listener *l = &g->listeners[j];
            bool served = l->protocol <= PG_LISTENER_HTTPS ||
                          (l->protocol == PG_LISTENER_TLS && l->passthrough);
            if (!served && l->trouble == NULL) {
                l->trouble = l->protocol == PG_LISTENER_TLS
                                 ? "mode Terminate of protocol TLS is not supported"
                                 : "protocol is not supported";
                l->trouble_reason = "UnsupportedProtocol";
            }
        }
        if (class_there(load, g->class_name))
            continue;
        g->trouble = pg_arena_printf(&load->scratch,
                                     "there is no GatewayClass %.80s: no controller "
                                     "serves this Gateway",
                                     g->class_name);
        g->trouble_reason = "Pending";
        pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, g->object.title,
                       "spec.gatewayClassName", &g->object.source, "%s", g->trouble);
    }
}

/* ---- attaching ---- */

static bool selector_holds(struct pg_load *load, const struct pg_selector *s, const char *namespace)
{
    char title[80];
    int len = snprintf(title, sizeof(title), "Namespace/%s", namespace);
    uint32_t at = pg_index_find(&load->titles, title, (size_t)len);
    const struct pg_object *o =
        at == PG_INDEX_ABSENT ? NULL : PG_LIST_POINTER(load->objects, const struct pg_object, at);
    uint32_t count = o == NULL ? 0 : o->labels.count;
    struct pg_label *labels = pg_arena_array(&load->scratch, count + 1, sizeof(*labels));
    for (uint32_t i = 0; i < count; i++)
        labels[i] = o->labels.at[i];
    labels[count] = (struct pg_label){"kubernetes.io/metadata.name", namespace};
    struct pg_object all = {.labels = {labels, count + 1}};
    return pg_selector_holds(s, &all);
}

static bool lets_in(struct pg_load *load, const struct pg_raw_gateway *g,
                    const struct pg_raw_listener *l, const struct pg_raw_http_route *route)
{
    const char *namespace = route->object.namespace;
    if ((l->kinds & PG_ROUTE_KIND_BIT(route->kind)) == 0)
        return false;
    switch (l->from) {
    case PG_FROM_ALL: return true;
    case PG_FROM_SAME: return strcmp(g->object.namespace, namespace) == 0;
    case PG_FROM_SELECTOR: return selector_holds(load, &l->namespaces, namespace);
    }
    return false;
}

/* Is name, "*.x" or not, within the wildcard "*.y"? */
static bool within(const char *name, const char *wildcard)
{
    const char *plain = name[0] == '*' ? name + 1 : name;
    size_t len = strlen(plain);
    size_t end = strlen(wildcard + 1); /* ".y" */
    return name[0] == '*' ? len >= end && strcmp(plain + len - end, wildcard + 1) == 0
                          : len > end && strcmp(plain + len - end, wildcard + 1) == 0;
}

const char *pg_gateway_intersect(const char *listener, const char *route)
{
    if (listener[0] == '\0' || strcmp(listener, route) == 0)
        return route;
    if (route[0] == '\0')
        return listener;
    if (listener[0] == '*' && within(route, listener))
        return route;
    if (route[0] == '*' && within(listener, route))
        return listener;
    return NULL;
}

static bool hostname_fits(const struct pg_raw_listener *l, const struct pg_raw_http_route *r)
{
    bool fits = r->hostname_count == 0;
    for (uint32_t i = 0; i < r->hostname_count && !fits; i++)
        fits = pg_gateway_intersect(l->hostname, r->hostnames[i]) != NULL;
    return fits;
}

static struct pg_raw_gateway *gateway_of(const struct pg_load *load, const struct pg_raw_parent *p)
{
    for (uint32_t i = 0; i < load->gateways.count && !p->other; i++) {
        struct pg_raw_gateway *g = PG_LIST_POINTER(load->gateways, struct pg_raw_gateway, i);
        if (strcmp(g->object.namespace, p->namespace) == 0 && strcmp(g->object.name, p->name) == 0)
            return g;
    }
    return NULL;
}

static void refuse(struct pg_load *load, const struct pg_raw_http_route *route,
                   const struct pg_raw_parent *p, struct pg_route_parent *ret, const char *reason,
                   const char *text)
{
    ret->accepted = (struct pg_condition){false, reason, text};
    if (!p->other)
        pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, route->object.title,
                       "spec.parentRefs", &p->source, "not attached to Gateway %.80s/%.80s: %s",
                       p->namespace, p->name, text);
}

void pg_gateway_attach(struct pg_load *load, const struct pg_raw_http_route *route,
                       const struct pg_raw_parent *parent, struct pg_list *ret,
                       struct pg_route_parent *ret_parent)
{
    struct pg_raw_gateway *g = gateway_of(load, parent);
    bool named = false;
    bool let_in = false;
    *ret_parent = (struct pg_route_parent){
        .gateway = pg_arena_printf(&load->scratch, "%s/%s", parent->namespace, parent->name),
        .section = parent->section,
        .accepted = {true, "Accepted", ""},
        .source = parent->source};
    if (g == NULL) {
        refuse(load, route, parent, ret_parent, "NoMatchingParent", "there is no such Gateway");
        return;
    }
    for (uint32_t i = 0; i < g->listener_count && g->trouble == NULL; i++) {
        struct pg_raw_listener *l = &g->listeners[i];
        bool meant = (parent->section[0] == '\0' || strcmp(parent->section, l->name) == 0) &&
                     (parent->port == 0 || parent->port == l->port) &&
                     (pg_gateway_kinds_of(l->protocol) & PG_ROUTE_KIND_BIT(route->kind)) != 0;
        named = named || meant;
        meant = meant && lets_in(load, g, l, route);
        let_in = let_in || meant;
        if (!meant || !hostname_fits(l, route))
            continue;
        l->attached++;
        ret_parent->listeners++;
        pg_list_add_pointer(ret, l);
    }
    if (g->trouble != NULL)
        refuse(load, route, parent, ret_parent, g->trouble_reason, g->trouble);
    else if (!named)
        refuse(load, route, parent, ret_parent, "NoMatchingParent",
               route->kind == PG_ROUTE_KIND_TLS
                   ? "it has no listener of that name and port for TLS"
                   : "it has no listener of that name and port for HTTP");
    else if (!let_in)
        refuse(load, route, parent, ret_parent, "NotAllowedByListeners",
               "no listener's allowedRoutes lets routes of this kind and namespace in");
    else if (ret_parent->listeners == 0)
        refuse(load, route, parent, ret_parent, "NoMatchingListenerHostname",
               "no listener's hostname has a name in common with the route's hostnames");
}
