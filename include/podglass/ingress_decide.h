/* folder: proxy */
/* The ingress' decisions as pure functions: explain calls the very same ones as a request. */
#ifndef PODGLASS_INGRESS_DECIDE_H
#define PODGLASS_INGRESS_DECIDE_H

#include "podglass/addr.h"
#include "podglass/hash.h"
#include "podglass/http.h"
#include "podglass/preface_decide.h"
#include "podglass/reason.h"
#include "podglass/snapshot.h"
#include "podglass/trace.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- route.c ---- */
struct pg_router; /* compiled from a snapshot: hosts by hash, paths by precedence */
struct pg_router *pg_router_new(const struct pg_snapshot *s,
                                const struct pg_hash_key *key); /* borrows s */
void pg_router_free(struct pg_router *r);

/* What is looked at to find a route. */
struct pg_route_facts {
    struct pg_slice host; /* may carry a port, any case */
    struct pg_slice
        path; /* may carry a query; is normalised first, by the very function that writes it upstream */
    const struct pg_http_head *head; /* NULL: no method, header or query is asked for */
    const char *bytes;
    uint16_t port; /* of the pod, where it came in: which listeners of Gateways are meant */
    bool tls;
    bool
        unread; /* TLS that is passed on: the host is the server name, and only routes of such TLS are meant */
};
struct pg_route_match {
    enum pg_http_error
        error; /* NO_ROUTE: nothing matches; PATTERN_LIMIT: an expression was given up */
    const struct pg_route *route; /* NULL with an error */
    pg_reason_id reason;
};
/* Exact host before wildcard before none; Exact before expressions before Prefix, longer before shorter; Prefix by whole path elements; then the
 * default backend. */
void pg_route_match(const struct pg_router *r, const struct pg_route_facts *facts,
                    struct pg_route_match *ret);
struct pg_route_facts pg_route_facts_of(const struct pg_http_head *head, const char *bytes,
                                        uint16_t port, bool tls);
/* How well a listener's hostname fits a plain name: 0 not at all; any name least, then wildcards by length, the same name best. */
size_t pg_route_hostname_fit(const char *hostname, struct pg_slice name);
/* Of routes that share their requests the one that draw, below their weights, falls on; of any other itself. */
const struct pg_route *pg_route_draw(const struct pg_route *first, uint64_t draw);
pg_reason_id pg_route_draw_reason(const struct pg_route *drawn);
/* What the path of a request is for matching: normalised into normal if need be, without query. */
struct pg_slice pg_route_path(const struct pg_router *r, struct pg_slice target,
                              char normal[PG_HTTP_MAX_LINE]);
/* Groups of the expression that is the route's path, in what it matched. false: it has none, or it does not match. */
bool pg_route_groups(const struct pg_router *r, const struct pg_route *route, struct pg_slice path,
                     struct pg_slice groups[10]);

/* ---- backend.c ---- */
#define PG_BACKEND_ADDRS 16 /* addresses of its name that are chosen among */
struct pg_backend {
    enum pg_http_error error; /* NONE: there is a name to resolve */
    pg_reason_id reason;      /* of the error */
    uint32_t name_len;
    char name[256]; /* "web.shop.svc.cluster.local.", no NUL */
};
void pg_backend_decide(const struct pg_snapshot *s, const struct pg_route *route,
                       struct pg_backend *ret);
/* The port to connect to at an address of the name: the service's; of a headless service that of the pod there. */
uint16_t pg_backend_port(const struct pg_snapshot *s, const struct pg_route *route,
                         const struct pg_addr *addr);

/* ---- endpoints.c ---- */
enum pg_upstream_mode pg_upstream_mode(const struct pg_snapshot *s, const struct pg_route *route);
pg_reason_id pg_upstream_reason(const struct pg_snapshot *s,
                                const struct pg_route *route); /* who says so */
/* Endpoints of a route's backend in one family, of which one is chosen. */
struct pg_candidates {
    const struct pg_snapshot *snapshot;
    const struct pg_service_port *port; /* NULL: no such port */
    bool ready;                         /* false: none is, and those that end serve still */
    bool v6;
    uint32_t count;
};
struct pg_candidates pg_backend_candidates(const struct pg_snapshot *s,
                                           const struct pg_route *route, bool v6);
bool pg_backend_is_candidate(const struct pg_candidates *c, const struct pg_endpoint *e);
const struct pg_endpoint *pg_backend_candidate(const struct pg_candidates *c,
                                               uint32_t n); /* below count */

/* ---- protocol.c: what pods are spoken to in, and whether fields behind a body go on ---- */
enum pg_upstream_protocol { PG_UPSTREAM_HTTP1, PG_UPSTREAM_H2C };
enum pg_upstream_protocol pg_upstream_protocol(const struct pg_snapshot *s,
                                               const struct pg_route *route);
pg_reason_id pg_upstream_protocol_reason(const struct pg_snapshot *s,
                                         const struct pg_route *route); /* of H2C */
/* Clients may speak HTTP/2 without TLS: the Lab says so, or there is a GRPCRoute, which asks for it. */
bool pg_h2c_allowed(const struct pg_snapshot *s);
bool pg_trailers_kept(const struct pg_snapshot *s, enum pg_upstream_protocol protocol);
pg_reason_id pg_trailers_reason(const struct pg_snapshot *s, const struct pg_route *route);
/* The client says that it can do with an answer's trailers. */
bool pg_trailers_wanted(const struct pg_http_head *h, const char *bytes);

/* ---- client_addr.c: reference http-ingress.md B2 ---- */
struct pg_trust {
    const struct pg_prefix *trusted;
    uint32_t trusted_count;
    uint32_t hops; /* instead of ranges: so many proxies in front of us append; 0: ranges */
    const char
        *header; /* named by the operator, read instead of X-Forwarded-For; NULL or "": none */
    pg_reason_id peer_reason, trusted_reason; /* 0: the bare codes XFF_PEER and XFF_TRUSTED */
};
struct pg_trust pg_trust_of(const struct pg_snapshot *s); /* borrows s */
struct pg_client_addr {
    struct pg_addr hop;    /* who spoke HTTP to us */
    struct pg_addr client; /* resolved client */
    bool hop_trusted;      /* its headers count */
    bool malformed;        /* the walk stopped at an entry that is no address */
    uint32_t walked;       /* entries taken from the chain */
    pg_reason_id reason;
};
/* head_bytes: buffer that the spans of head point into. */
void pg_client_addr_decide(const struct pg_trust *trust, const struct pg_addr *hop,
                           const struct pg_http_head *head, const char *head_bytes,
                           struct pg_client_addr *ret);

/* The hop is who stands at the client's end; the reason says so if a preface named him and nobody further was believed. */
void pg_client_addr_of_ends(const struct pg_trust *trust, const struct pg_ends *ends,
                            const struct pg_http_head *head, const char *head_bytes,
                            struct pg_client_addr *ret);

/* ---- identity.c: what becomes of the headers that tell who is asking ---- */
/* Settings as a request needs them. */
struct pg_identity {
    struct pg_trust trust;
    uint8_t policy[PG_IDENTITY_COUNT];       /* enum pg_policy */
    pg_reason_id written[PG_IDENTITY_COUNT]; /* why ours stands there; 0: the client's reason */
    pg_reason_id removed[PG_IDENTITY_COUNT]; /* why a received one goes; 0: the bare code */
    uint8_t underscores;                     /* enum pg_underscores */
    bool
        client_header_passes; /* the operator's header stays as it came, as it does with the peers */
    pg_reason_id underscore_reason;
};
struct pg_identity pg_identity_of(const struct pg_snapshot *s); /* borrows s */
extern const struct pg_identity pg_identity_strict;             /* believes nobody */
/* What becomes of a received line. */
enum pg_fate {
    PG_FATE_PASS,    /* goes on as it is */
    PG_FATE_REMOVE,  /* does not count, and goes */
    PG_FATE_REPLACE, /* counts, and ours takes its place */
};
enum pg_fate pg_identity_fate(const struct pg_identity *i, const struct pg_client_addr *who,
                              enum pg_identity_header header);
/* Which header of the policies a field is, PG_IDENTITY_COUNT if none; *ret_twin: by a name with '_'. */
enum pg_identity_header pg_identity_of_field(const char *bytes, const struct pg_http_field *f,
                                             bool *ret_twin);
/* Nothing in it can swallow what is written behind it: quoted strings are closed (RFC 7239). */
bool pg_forwarded_closed(struct pg_slice value);

/* ---- http_errors.c: how a refusal is told ---- */
enum pg_code pg_http_error_code(enum pg_http_error e);
enum pg_stage pg_http_error_stage(enum pg_http_error e);

struct pg_route_plan; /* route_filter_decide.h */
struct pg_header_filters;

/* ---- limits.c ---- */
/* NONE, or the limit that a request head is beyond. */
enum pg_http_error pg_limits_of_head(const struct pg_ingress_limits *l,
                                     const struct pg_http_head *h);
/* The same of its body, if its length is announced; most 0: none. */
enum pg_http_error pg_limits_of_body(uint64_t most, const struct pg_http_head *h);
/* Why it was refused, with the line of the limit if it is one. */
pg_reason_id pg_limit_reason(const struct pg_ingress_limits *l, enum pg_http_error e);
/* The same where the route may have a limit of its own; NULL: no route. whole: the time for all of the request is over. */
pg_reason_id pg_limit_reason_of_route(const struct pg_ingress_limits *l,
                                      const struct pg_snapshot *s, const struct pg_route *route,
                                      enum pg_http_error e, bool whole);

/* ---- http_rewrite.c: what is sent upstream ---- */
struct pg_http_rewrite_in {
    const struct pg_identity *identity; /* NULL: pg_identity_strict */
    const struct pg_http_head *head;
    const char *bytes;
    const struct pg_client_addr *who;
    struct pg_addr
        local; /* stands in for Host when an HTTP/1.0 client sent none; none: "localhost" */
    uint16_t local_port;    /* the client connected to, for X-Forwarded-Port */
    uint16_t listen_port;   /* of the ingress' pod; 0: local_port */
    const char *scheme;     /* "http" */
    enum pg_http_body body; /* framing to write */
    uint64_t content_length;
    bool h2c;          /* the head is for HTTP/2: nothing in it is about the connection */
    bool keep_slashes; /* runs of '/' in the path stay, as they did for its route */
    bool te_trailers;  /* the pod is told that trailers of its answer can be used */
    const struct pg_route_plan *plan; /* of the route's filters; NULL: there are none */
    struct pg_trace *trace;           /* NULL: no records (dry run may pass its own) */
    uint32_t label;
    char request_id
        [33]; /* "" leaves X-Request-ID as it came, else written when the client sent none */
};
/* Writes the new request head: Host first, the client's fields in order without hop-by-hop and untrusted identity fields, then ours. Returns its length, or -ENOSPC. */
int64_t pg_http_rewrite(const struct pg_http_rewrite_in *in, char *out, uint32_t room);
/* ---- http_rewrite_trailers.c ---- */
struct pg_trailers_in {
    struct pg_slice lines; /* of the section, its last empty line included */
    bool keep;
    const struct pg_identity *identity;
    pg_reason_id reason;    /* why they are kept or not */
    struct pg_trace *trace; /* NULL: no records */
    uint32_t label;
    uint8_t direction;
};
/* The section as it goes on, the line of the last chunk in front of it. Returns its length, or -ENOSPC. */
int64_t pg_http_rewrite_trailers(const struct pg_trailers_in *in, char *out, uint32_t room);
/* The record of a trailer behind a body that is not chunked, which goes no further. trace NULL: nobody watches. */
void pg_http_drop_trailer(struct pg_trace *trace, uint32_t label, uint8_t direction,
                          struct pg_slice name, struct pg_slice value);

/* Response head for the client: filters applied (NULL: none), hop-by-hop removed, framing written anew, Connection: close when not keep_alive. */
int64_t pg_http_rewrite_response(const struct pg_http_head *head, const char *bytes,
                                 enum pg_http_body body, uint64_t content_length,
                                 bool client_http10, bool keep_alive, struct pg_trace *trace,
                                 uint32_t label, const struct pg_header_filters *filters, char *out,
                                 uint32_t room);

#endif
