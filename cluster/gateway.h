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

/* Routes of Gateway API that are read. One form for all: an HTTPRoute's, which a GRPCRoute and a TLSRoute are translated to. */
enum pg_gateway_route_kind {
    PG_ROUTE_KIND_HTTP,
    PG_ROUTE_KIND_GRPC,
    PG_ROUTE_KIND_TLS,
    PG_ROUTE_KIND_COUNT
};
#define PG_ROUTE_KIND_BIT(kind) (1u << (kind))

/* Which namespaces' routes a listener lets in. */
enum pg_allowed_from { PG_FROM_SAME, PG_FROM_ALL, PG_FROM_SELECTOR };

/* One of tls.certificateRefs. */
struct pg_raw_cert_ref {
    const char *namespace;
    const char *name;
    const char *wrong_kind; /* "Group/Kind" of what is no Secret; NULL: it is one */
    struct pg_source source;
};

struct pg_raw_listener {
    const char *name;
    const char *hostname; /* "" any; "*.x" */
    uint16_t port;
    enum pg_listener_protocol protocol;
    uint32_t
        kinds; /* PG_ROUTE_KIND_BIT: those of its protocol, or of them those in allowedRoutes.kinds */
    const char *bad_kind; /* one of allowedRoutes.kinds that it can not have; NULL: none */
    bool passthrough;     /* tls.mode */
    struct pg_raw_cert_ref *certs;
    uint32_t cert_count;
    struct pg_source tls_source;
    enum pg_allowed_from from;
    struct pg_selector namespaces;
    struct pg_source source;
    /* By derive_gateway.c: */
    uint32_t index;      /* in the snapshot */
    const char *trouble; /* why nothing is served on it; NULL: it is */
    const char *trouble_reason;
    const char *unresolved; /* a certificate or kind that is not to be had, and why; NULL: none */
    const char *unresolved_reason;
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
    enum pg_gateway_route_kind kind;
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

/* A BackendTLSPolicy. */
struct pg_raw_policy_target {
    const char *name;
    const char *section;    /* port's name; "": all ports */
    const char *wrong_kind; /* "Group/Kind" of what is no Service; NULL: it is one */
    struct pg_source source;
};
struct pg_raw_backend_policy {
    struct pg_object object;
    struct pg_raw_policy_target *targets;
    uint32_t target_count;
    struct pg_raw_cert_ref *refs; /* of ConfigMaps */
    uint32_t ref_count;
    bool system;
    const char *hostname;
    struct pg_tls_name *names;
    uint32_t name_count;
    /* By derive_backend_policy.c: */
    const char *trouble; /* not accepted, and why; NULL: accepted */
    const char *trouble_reason;
    const char *unresolved; /* an authority that is not to be had; NULL: none */
    const char *unresolved_reason;
    const char *trust;
    uint32_t made; /* 1 + place in load->upstream_tls; 0: it counts for nothing */
};

/* Who may name what: kind and namespace, or kind and name ("": all). */
struct pg_raw_grant_end {
    const char *kind;
    const char *name;
};
struct pg_raw_grant {
    struct pg_object object;
    struct pg_list from; /* of struct pg_raw_grant_end; both */
    struct pg_list to;
};

/* ---- kinds_gateway.c, kinds_httproute.c ---- */
void pg_kinds_gateway_class(struct pg_load *load, const struct pg_object *object);
void pg_kinds_gateway(struct pg_load *load, const struct pg_object *object);
void pg_kinds_reference_grant(struct pg_load *load, const struct pg_object *object);
void pg_kinds_http_route(struct pg_load *load, const struct pg_object *object);
void pg_kinds_grpc_route(struct pg_load *load, const struct pg_object *object);
void pg_kinds_tls_route(struct pg_load *load, const struct pg_object *object);
/* What routes of all kinds have: parents, host names and as many rules as `rules` has items, at least one. Added to the load. */
struct pg_raw_http_route *pg_gateway_route_new(struct pg_load *load, const struct pg_object *object,
                                               enum pg_gateway_route_kind kind,
                                               const struct pg_field *spec);
/* backendRefs of a rule. prefix: its matches are all PathPrefix. */
void pg_gateway_backends_read(const struct pg_field *rule, const struct pg_object *object,
                              bool prefix, struct pg_raw_http_rule *r);
/* matches of a rule that asks for nothing. */
void pg_gateway_matches_none(struct pg_load *load, struct pg_raw_http_rule *r, uint32_t count);
/* headers of a match, behind load->tests; how many. */
uint32_t pg_gateway_headers_read(const struct pg_field *match, struct pg_raw_match *m);
/* "" any; a host name, or "*." and one; wrong ones are reported. */
const char *pg_gateway_hostname(const struct pg_field *f);

/* "HTTPRoute", ... */
const char *pg_gateway_route_kind_name(enum pg_gateway_route_kind kind);
/* Kinds that a listener of that protocol can have. */
uint32_t pg_gateway_kinds_of(enum pg_listener_protocol protocol);

/* ---- kinds_gateway_tls.c ---- */
/* The listener's tls, once its protocol is known. */
void pg_gateway_listener_tls(const struct pg_field *listener, const struct pg_object *object,
                             struct pg_raw_listener *l);

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

/* ---- derive_gateway_tls.c ---- */
/* Which certificate each listener shows: into load->tls_hosts, behind those of Ingress objects; conditions of listeners. */
void pg_derive_listener_certs(struct pg_load *load);

/* ---- derive_backend_policy.c ---- */
/* Settings of all policies that count for something, in load->upstream_tls; conditions. */
void pg_derive_backend_policies(struct pg_load *load);
/* Whether that ConfigMap holds authorities of one. */
bool pg_backend_policy_names(const struct pg_load *load, const struct pg_object *config_map);
/* The setting for the pods behind a port of a service, as 1 + its place; 0: no policy is for it. */
uint32_t pg_backend_policy_of(struct pg_load *load, const struct pg_raw_service *service,
                              const struct pg_service_port *port);

/* ---- derive_grants.c ---- */
/* Does a ReferenceGrant in the namespace `to` let objects of that kind and namespace name this one? */
bool pg_gateway_granted(const struct pg_load *load, const char *from_kind, const char *from,
                        const char *to_kind, const char *to, const char *name);

#endif
