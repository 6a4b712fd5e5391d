/* One load of manifests as the ingress has it, and who of the clients belongs to which port of it. */
#ifndef PODGLASS_PROXY_LOADS_H
#define PODGLASS_PROXY_LOADS_H

#include "podglass/ingress_decide.h"
#include "podglass/owner.h"
#include "podglass/preface_decide.h"

struct pg_certs;
struct pg_conn;
struct pg_proxy;

/* One load: what requests are decided by. Sessions keep the one they last used, so its strings stay. */
struct pg_routes {
    uint32_t refs;
    struct pg_snapshot *snapshot;
    struct pg_router *router;
    struct pg_identity identity;
    struct pg_preface_rules preface;
    struct pg_certs *certs;
    struct pg_tls_peers *tls_peers; /* by upstream_tls of the snapshot */
    struct pg_ingress_port ports[PG_INGRESS_PORTS];
    uint32_t port_count;
    uint32_t *turns;  /* service -> requests so far, for one after the other; NULL: as places */
    uint32_t *places; /* route -> place in the stats; NULL: out of memory, all count as none */
};

/* ---- listener.c ---- */
void pg_routes_put(struct pg_routes *r); /* NULL is fine */
/* The port of the ingress that a client connection came to, by the load in force; NULL: none it knows. */
const struct pg_ingress_port *pg_client_port(const struct pg_proxy *p, const struct pg_conn *c);
/* A client connection whose first byte is the client's own: TLS or HTTP. */
/* Both ends of a client's connection before anybody changed them. */
struct pg_tuple pg_client_begun_as(const struct pg_proxy *p, const struct pg_conn *c);
void pg_client_begin(struct pg_proxy *p, struct pg_conn *c);

#endif
