/* folder: cluster
 * Gateway API in a load: what the documents say (kinds_gateway.c, kinds_httproute.c, kinds_httproute_filters.c), who is attached to whom
 * (derive_gateway.c), and the routes that come of it (derive_httproute.c). */
#ifndef PODGLASS_CLUSTER_GATEWAY_H
#define PODGLASS_CLUSTER_GATEWAY_H

#include "cluster_internal.h"

#define PG_GATEWAY_GROUP      "gateway.networking.k8s.io"
#define PG_GATEWAY_ROUTES_MAX 200000u /* lines that one load may expand to */

struct pg_raw_gateway_class {
    struct pg_object object;
    const char *controller;
};

/* Which namespaces' routes a listener lets in. */
enum pg_allowed_from { PG_FROM_SAME, PG_FROM_ALL, PG_FROM_SELECTOR };

struct pg_raw_listener {
    const char *name;
    const char *hostname; /* "" any; "*.x" */
    uint16_t port;
    enum pg_listener_protocol protocol;
    bool kinds_fit; /* HTTPRoute is among allowedRoutes.kinds, or they are not written */
    enum pg_allowed_from from;
    struct pg_selector namespaces;
    struct pg_source source;
    /* By derive_gateway.c: */
    uint32_t index;      /* in the snapshot */
    const char *trouble; /* why nothing is served on it; NULL: it is */
    const char *trouble_reason;
    uint32_t attached;
};

struct pg_raw_gateway {
    struct pg_object object;
    const char *class_name;
    struct pg_raw_listener *listeners;
    uint32_t listener_count;
    const char *trouble; /* not accepted, and why; NULL: accepted */
    const char *trouble_reason;
};

struct pg_raw_parent {
    const char *namespace;
    const char *name;
    const char *section; /* "": all listeners */
    uint16_t port;       /* 0: any */
    bool other;          /* not a Gateway: nobody here knows it */
    struct pg_source source;
};

struct pg_raw_backend {
    const char *namespace;
    const char *name;
    uint16_t port; /* 0: not written */
    uint32_t weight;
    const char *wrong_kind; /* "Group/Kind" of what is no Service; NULL: it is one */
    struct pg_list filters; /* of struct pg_route_filter */
    struct pg_source source;
};

struct pg_raw_match {
    const char *path;
    enum pg_path_type type;
    uint32_t test_first, test_count; /* into load->tests */
    bool method;
    uint32_t headers, queries;
    struct pg_source source;
};

struct pg_raw_http_rule {
    struct pg_raw_match *matches;
    uint32_t match_count; /* at least one */
    struct pg_list filters;
    struct pg_raw_backend *backends;
    uint32_t backend_count;
    bool answers; /* a redirect: needs no backend */
    struct pg_source source;
};

struct pg_raw_http_route {
    struct pg_object object;
    struct pg_raw_parent *parents;
    uint32_t parent_count;
    const char **hostnames;
    struct pg_source *hostname_sources;
    uint32_t hostname_count;
    struct pg_raw_http_rule *rules;
    uint32_t rule_count;
    const char *unresolved; /* the first backend that is not to be had, and why; NULL: none */
    const char *unresolved_reason;
};

struct pg_raw_grant {
    struct pg_object object;
    struct pg_list from; /* of const char *: namespaces whose HTTPRoutes may name Services here */
    struct pg_list to;   /* of const char *: names of Services; "": all */
};

/* ---- kinds_gateway.c, kinds_httproute.c ---- */
void pg_kinds_gateway_class(struct pg_load *load, const struct pg_object *object);
void pg_kinds_gateway(struct pg_load *load, const struct pg_object *object);
void pg_kinds_reference_grant(struct pg_load *load, const struct pg_object *object);
void pg_kinds_http_route(struct pg_load *load, const struct pg_object *object);
/* "" any; a host name, or "*." and one; wrong ones are reported. */
const char *pg_gateway_hostname(const struct pg_field *f);

/* ---- kinds_httproute_filters.c ---- */
/* Filters of a rule or of a backend, appended to `to`. prefix: the rule's matches are all PathPrefix. */
void pg_http_filters_read(const struct pg_field *list, bool prefix, struct pg_list *to);
/* "1m30s": milliseconds. false: not there, or wrong and reported. */
bool pg_gateway_duration(const struct pg_field *f, uint64_t *ret_ms);

/* ---- derive_gateway.c ---- */
/* Who is served at all, before the service in front is looked for. */
void pg_derive_gateways(struct pg_load *load);
/* Listeners of that gateway that let the route in, appended to ret (struct pg_raw_listener *); conditions of the parent into it. */
void pg_gateway_attach(struct pg_load *load, const struct pg_raw_http_route *route,
                       const struct pg_raw_parent *parent, struct pg_list *ret,
                       struct pg_route_parent *ret_parent);
/* The host names that both let in, "" for any; NULL: none. */
const char *pg_gateway_intersect(const char *listener, const char *route);

/* ---- derive_httproute.c ---- */
void pg_derive_http_routes(struct pg_load *load); /* into load->routes, behind those of Ingress */
bool pg_gateway_granted(const struct pg_load *load, const char *from, const char *to,
                        const char *service);

#endif
