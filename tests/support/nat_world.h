/* A small cluster and a nat in it, for tests: two nodes, pods, and one service per case of the
 * truth table.
 *
 *   client 198.51.100.7      node1 192.0.2.11  pods 10.244.1.0/24  gateway .1: p1 10.244.1.2, q 10.244.1.3, ingress 10.244.1.9
 *                            node2 192.0.2.12  pods 10.244.2.0/24  gateway .1: p2 10.244.2.2
 *
 * Service number N has cluster IP 10.96.1.N, node port 30000 + N, LB address 203.0.113.N, port 80
 * -> 8080 (TCP). */
#ifndef NAT_WORLD_H
#define NAT_WORLD_H

#include "packet_make.h"
#include "podglass/nat.h"

#define CLIENT "198.51.100.7"
#define NODE1  "192.0.2.11"
#define NODE2  "192.0.2.12"
#define GW1    "10.244.1.1"
#define GW2    "10.244.2.1"
#define P1     "10.244.1.2"
#define Q      "10.244.1.3"
#define P2     "10.244.2.2"

/* Service numbers. */
enum {
    SVC_LOCAL = 1,       /* Cluster policy, endpoint p1 */
    SVC_REMOTE = 2,      /* Cluster policy, endpoint p2 */
    SVC_KEEP_LOCAL = 3,  /* Local policy, endpoint p1 */
    SVC_KEEP_REMOTE = 4, /* Local policy, endpoint p2 */
    SVC_HOST_LOCAL = 5,  /* Cluster policy, endpoint node1 itself */
    SVC_HOST_REMOTE = 6, /* Cluster policy, endpoint node2 itself */
    SVC_EMPTY = 7,       /* no endpoint at all */
    SVC_EMPTY_LOCAL = 8, /* no endpoint at all, Local policy */
    SVC_INTERNAL = 9,    /* internalTrafficPolicy Local, endpoint p2 */
    SVC_TWO = 10,        /* endpoints p1 and p2; also UDP 53 -> 5353 */
    SVC_RANGES = 11,     /* loadBalancerSourceRanges 203.0.113.0/24, endpoint p1 */
    SVC_STICKY = 12,     /* ClientIP affinity, endpoints p1, q, p2 */
    SVC_ENDING = 13,     /* only terminating endpoints serve: p1 serving, q not */
    SVC_MIXED = 14,      /* Local policy; p1 (node1) terminating and serving, p2 ready */
    SVC_HINTS = 15,      /* p1 hinted to zone a, p2 to zone b; node1 is in a */
    SVC_HALF_HINTS = 16, /* as 15, one without a hint */
    SVC_SAME = 17,       /* endpoint p1, as service 1: another address of the same pod */
    SVC_EXTERNAL = 18,   /* externalIPs 203.0.113.118, endpoint p1 */
    SVC_PROXY_MODE = 19, /* LB address with ipMode Proxy */
};

struct pg_world {
    struct pg_counters counters;
    struct pg_random random;
    struct pg_trace *trace;
    struct pg_snapshot *snapshot;
    struct pg_nat *nat;
    uint64_t now_us;
    enum pg_drop drop; /* of the last refused packet */
};

extern const char *const pg_world_manifest;

void pg_world_open(struct pg_world *w, const struct pg_nat_options *options); /* NULL: defaults */
void pg_world_load(struct pg_world *w, const char *manifest);
void pg_world_close(struct pg_world *w); /* expires everything and asserts that nothing is left */
void pg_world_wait(struct pg_world *w, uint64_t ms);

/* Through prerouting (or output) and postrouting; checks every sum after each hook. */
enum pg_verdict_nat pg_world_send(struct pg_world *w, struct pg_made *m);
enum pg_verdict_nat pg_world_send_out(struct pg_world *w, struct pg_made *m);
/* A first packet of t; the packet as it left is in *m. */
enum pg_verdict_nat pg_world_first(struct pg_world *w, struct pg_made *m, const struct pg_tuple *t);

/* Addresses of service N. */
struct pg_addr pg_world_cluster_ip(unsigned n);
struct pg_addr pg_world_lb_ip(unsigned n);

/* Code of the newest record of that stage and field, PG_CODE_NONE if there is none. */
enum pg_code pg_world_last_code(const struct pg_world *w, enum pg_stage stage, enum pg_field field);

#endif
