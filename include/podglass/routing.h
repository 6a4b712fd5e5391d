/* folder: cluster */
/* What the manifests say about requests: who takes which, and what is done to it on the way. One form for whoever says so: rules of an Ingress with
 * the annotations of its controller. */
#ifndef PODGLASS_ROUTING_H
#define PODGLASS_ROUTING_H

#include "podglass/addr.h"
#include "podglass/source.h"

#include <stdbool.h>
#include <stdint.h>

enum pg_path_type {
    PG_PATH_PREFIX, /* by whole elements */
    PG_PATH_EXACT,
    PG_PATH_IMPLEMENTATION, /* Prefix */
    PG_PATH_REGEX_BEGIN,    /* of ingress-nginx: from the beginning, whatever the case */
    PG_PATH_REGEX_WHOLE,    /* RegularExpression of Gateway API */
    PG_PATH_TYPE_COUNT
};
const char *pg_path_type_name(enum pg_path_type t);
static inline bool pg_path_is_regex(enum pg_path_type t)
{
    return t == PG_PATH_REGEX_BEGIN || t == PG_PATH_REGEX_WHOLE;
}

/* Why nothing can be sent, whatever services there are. */
enum pg_route_refusal {
    PG_ROUTE_FINE,
    PG_ROUTE_RESOURCE, /* an Ingress' backend that is no service: 503 */
    PG_ROUTE_BAD_REF,  /* an HTTPRoute's backend that is not there or not to be had: 500 */
    PG_ROUTE_NO_REF,   /* an HTTPRoute's rule without backends: 500 */
};

/* What a request must have beside host and path. */
enum pg_route_test_kind { PG_TEST_METHOD, PG_TEST_HEADER, PG_TEST_QUERY, PG_TEST_COOKIE };
struct pg_route_test {
    enum pg_route_test_kind kind;
    bool regex;
    const char *name; /* of header, parameter or cookie; a header's in lower case */
    const char *value;
};

/* One line of routing: host, path and what else is asked of a request, to a service port. */
struct pg_route {
    const char *host;                /* lower case; "" any host; "*.x" a wildcard */
    const char *path;                /* "/" at least */
    const char *object;              /* whose rule it is: "Ingress/shop/main" */
    const char *backend_text;        /* "shop/web:http", as written */
    struct pg_source source;         /* the path */
    struct pg_source host_source;    /* the host */
    struct pg_source backend_source; /* of an HTTPRoute's backend */
    enum pg_path_type path_type;
    uint32_t test_first, test_count; /* into snapshot->tests: all must hold */
    uint32_t ingress;                /* index into ingresses; PG_INDEX_NONE: of an HTTPRoute */
    uint32_t
        listener; /* index into listeners: it is asked for what comes to this one; PG_INDEX_NONE: of an Ingress */
    /* A rule with several backends is as many routes in a row, equal but for backend, weight and filters. The first has their number. */
    uint32_t split;  /* 1: no others; 0: one of the others */
    uint32_t weight; /* of this one, of `weights` in all */
    uint32_t weights;
    uint32_t service; /* index into services; PG_INDEX_NONE: the backend does not exist */
    enum pg_route_refusal refusal;
    uint32_t rule;                       /* rule number in its object, from 1; 0: defaultBackend */
    uint32_t filter_first, filter_count; /* into snapshot->filters */
    uint16_t service_port; /* port number of the service, 0 when it could not be resolved */
    uint32_t tls;     /* 1 + index into upstream_tls: pods are spoken to in TLS; 0: they are not */
    bool host_suffix; /* the wildcard stands for one label or more; else for exactly one */
};

struct pg_ingress {
    const char *namespace;
    const char *name;
    const char *class_name;
    struct pg_source source;
};

/* What is done to the requests of a route. The order is that in which they act. */
enum pg_filter_kind {
    PG_FILTER_APP_ROOT,   /* "/" alone is answered with a redirect to `value`, a path */
    PG_FILTER_BODY_LIMIT, /* number: bytes; 0: none */
    PG_FILTER_REDIRECT,   /* number: status; value: an URL, may hold $request_uri, $host, $scheme */
    PG_FILTER_HTTPS,      /* what came without TLS is sent to https; number: status */
    PG_FILTER_ALLOW,      /* the client is in one of `ranges`, else 403 */
    PG_FILTER_DENY,       /* the client is in one of `ranges`: 403 */
    PG_FILTER_REDIRECT_PARTS, /* number: status; name: scheme, host, port, path_change with value: what is not given stays */
    PG_FILTER_REWRITE, /* the target becomes `value`, with $1 to $9 of the path's expression; the query stays unless value ends with '?' */
    PG_FILTER_PATH,    /* path_change with value */
    PG_FILTER_HOST,    /* Host becomes `value` */
    PG_FILTER_REQUEST_SET, /* the request's field `name` becomes `value`, whether it was there or not */
    PG_FILTER_REQUEST_ADD,    /* and this one is added to what is there */
    PG_FILTER_REQUEST_REMOVE, /* and this one goes */
    PG_FILTER_RESPONSE_SET,   /* the same of the answer's fields */
    PG_FILTER_RESPONSE_ADD,
    PG_FILTER_RESPONSE_REMOVE,
    PG_FILTER_WHOLE_TIMEOUT, /* number: milliseconds from the request's head to the end of the answer */
    PG_FILTER_CONNECT_TIMEOUT, /* number: milliseconds, also of the next two */
    PG_FILTER_SEND_TIMEOUT,
    PG_FILTER_READ_TIMEOUT,
    PG_FILTER_H2C, /* pods are spoken to in HTTP/2, whatever the port of the service says */
    PG_FILTER_SERVICE_UPSTREAM, /* number 1: connections go to the service address, whatever the ingress does otherwise */
    PG_FILTER_AFFINITY_COOKIE, /* name: of the cookie; value: its attributes; number: its Max-Age, 0: none. Means something where endpoints are chosen here */
    PG_FILTER_KIND_COUNT,
};
enum pg_path_change {
    PG_PATH_KEEP,
    PG_PATH_FULL,           /* the whole path */
    PG_PATH_REPLACE_PREFIX, /* the elements that the route's prefix took */
};
struct pg_route_filter {
    enum pg_filter_kind kind;
    enum pg_path_change path_change;
    uint16_t port;    /* 0: not given */
    const char *host; /* "" */
    uint32_t range_count;
    uint64_t number;
    const char *name;
    const char *value; /* as it acts; "" if number says all */
    const struct pg_prefix *ranges;
    const char *object; /* who says so: "Ingress/shop/main" */
    const char *field;
    const char *text;        /* what is written there */
    struct pg_source source; /* line 0: nobody wrote it, it is the controller's default */
};

/* ---- Gateway API: who is attached to whom, and what a controller would say of it ---- */
enum pg_listener_protocol {
    PG_LISTENER_HTTP,
    PG_LISTENER_HTTPS,
    PG_LISTENER_TLS,
    PG_LISTENER_TCP,
    PG_LISTENER_UDP
};
/* A condition of the API: reason is "" where it is fine ("Accepted", ...). */
struct pg_condition {
    bool good;
    const char *reason;
    const char *message;
};
struct pg_gateway_listener {
    uint32_t gateway; /* index into gateways */
    const char *name;
    const char *hostname; /* "" any; "*.x" any number of labels */
    uint16_t port;        /* of the Service in front */
    enum pg_listener_protocol protocol;
    uint32_t attached; /* routes */
    struct pg_condition programmed;
    struct pg_condition resolved; /* its certificates and kinds of routes are there */
    struct pg_source source;
};
struct pg_gateway {
    const char *namespace;
    const char *name;
    const char *class_name;
    uint32_t listener_first, listener_count; /* into listeners */
    struct pg_condition accepted;
    struct pg_source source;
};
struct pg_route_parent {
    const char *gateway; /* "edge/main" */
    const char *section; /* "" all listeners */
    uint32_t listeners;  /* attached to so many */
    struct pg_condition accepted;
    struct pg_source source;
};
struct pg_http_route {
    const char *kind; /* "HTTPRoute", "GRPCRoute", "TLSRoute" */
    const char *namespace;
    const char *name;
    uint32_t parent_first, parent_count; /* into route_parents */
    struct pg_condition resolved;        /* all its backends are there and may be named */
    struct pg_source source;
};

#define PG_INDEX_NONE 0xffffffffu

struct pg_snapshot;
/* The port of the listener that an HTTPRoute's line is for; 0: an Ingress'. */
uint16_t pg_route_port(const struct pg_snapshot *s, const struct pg_route *route);
/* The first filter of that kind that a route has; NULL: none. */
const struct pg_route_filter *pg_route_find_filter(const struct pg_snapshot *s,
                                                   const struct pg_route *route,
                                                   enum pg_filter_kind kind);

#endif
