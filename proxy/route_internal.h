/* What route.c asks of what route_build.c has compiled. */
#ifndef PODGLASS_PROXY_ROUTE_INTERNAL_H
#define PODGLASS_PROXY_ROUTE_INTERNAL_H

#include "podglass/hash.h"
#include "podglass/ingress_decide.h"
#include "podglass/pattern.h"
#include "podglass/table.h"

#define PG_HOST_MAX  255
#define PG_HOST_BEST 1000 /* more than any wildcard's length */

/* Where a request may have come in: a listener of a Gateway, and which ports of pods that is. */
#define PG_LISTENER_PORTS 8
struct route_listener {
    const struct pg_gateway_listener *listener;
    uint16_t ports[PG_LISTENER_PORTS];
    uint32_t port_count;
};

struct route_host {
    uint32_t scope;                    /* 0: of Ingress objects; else 1 + the listener */
    struct pg_slice name;              /* as in the rule */
    bool suffix;                       /* a wildcard of any number of labels */
    uint32_t longest;                  /* longest prefix, without its final '/' */
    uint32_t regex_first, regex_count; /* into paths: expressions, in their order */
};

/* A path under a host; kept for Prefix without its final '/', so "/" is "". */
struct route_path {
    uint32_t host;
    bool exact;
    bool regex;
    struct pg_slice path;
    const struct pg_route *route;
    struct pg_pattern *pattern; /* of the path; NULL: it is none */
    struct pg_pattern *
        *patterns; /* of its tests, one each, NULL where there is none; NULL: no test has one */
    pg_reason_id reason;
    uint32_t next; /* the same path, asked next if this one's tests do not hold; PG_INDEX_NONE */
};

struct pg_router {
    struct pg_hash_key key;
    const struct pg_snapshot *snapshot;
    struct route_host *hosts;
    uint32_t host_count;
    struct route_path *paths;
    uint32_t path_count;
    struct pg_table *host_table;
    struct pg_table *path_table; /* Exact and Prefix; the first of those with the same path */
    struct pg_pattern_scratch *scratch;
    struct route_listener *listeners; /* as in the snapshot */
    uint32_t *path_of;                /* route -> its place in paths, PG_INDEX_NONE */
    bool has_suffixes;                /* some host is a wildcard of any number of labels */
    const struct pg_route *fallback;  /* default backend */
    pg_reason_id fallback_reason;
    pg_reason_id none_reason;
};

struct host_key {
    uint32_t scope;
    struct pg_slice name;
};
struct path_key {
    uint32_t host;
    bool exact;
    struct pg_slice path;
};

/* ---- route_build.c ---- */
uint32_t pg_router_find_host(const struct pg_router *r, uint32_t scope, struct pg_slice name);
uint32_t pg_router_find_path(const struct pg_router *r, const struct path_key *k);

/* ---- route_test.c ---- */
/* 1: every test of the route holds. 0: one does not. -E2BIG: an expression was given up. */
int pg_route_tests_hold(const struct pg_router *r, const struct route_path *p,
                        const struct pg_route_facts *facts);

#endif
