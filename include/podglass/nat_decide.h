/* folder: nat */
/* The decision about the first packet of a flow, as pure functions: explain calls the very same ones as the path. */
#ifndef PODGLASS_NAT_DECIDE_H
#define PODGLASS_NAT_DECIDE_H

#include "podglass/drops.h"
#include "podglass/hash.h"
#include "podglass/reason.h"
#include "podglass/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

enum pg_capture {
    PG_CAPTURE_NONE,
    PG_CAPTURE_CLUSTER_IP,
    PG_CAPTURE_NODE_PORT,
    PG_CAPTURE_LB_IP,
    PG_CAPTURE_EXTERNAL_IP
};

enum pg_decision_kind {
    PG_DECIDE_PLAIN,  /* not for a service: pass as it is */
    PG_DECIDE_DNAT,   /* to the endpoint */
    PG_DECIDE_REJECT, /* ICMP port unreachable */
    PG_DECIDE_DROP,
};

/* What becomes of a flow's source port. A port whose reply tuple is taken changes in any case. */
enum pg_port_rule {
    PG_PORT_KEEP,
    PG_PORT_DRAW,      /* anew, at random */
    PG_PORT_KEEP_HIGH, /* kept if it is above the node ports, else drawn from there */
};

struct
    pg_service_table; /* compiled from a snapshot: one hash probe per lookup however many services there are */
struct pg_service_table *pg_service_table_new(
    struct pg_snapshot *s, const struct pg_hash_key *key); /* takes a reference */
/* The same for a tool that asks a few questions: a service is compiled when the first decision needs it. Never for a path: that may wait for memory. */
struct pg_service_table *pg_service_table_on_demand(struct pg_snapshot *s,
                                                    const struct pg_hash_key *key);
void pg_service_table_free(struct pg_service_table *t);
const struct pg_snapshot *pg_service_table_snapshot(const struct pg_service_table *t);

struct pg_nat_decision {
    enum pg_decision_kind kind;
    enum pg_capture capture;
    uint32_t service;      /* index into the snapshot, PG_INDEX_NONE */
    uint32_t service_port; /* index into service_ports */
    uint32_t endpoint;     /* index into endpoints */
    uint32_t candidates;   /* how many endpoints the choice was among: odds are 1/candidates */
    struct pg_addr dnat_addr;
    uint16_t dnat_port;
    bool masquerade;
    enum pg_port_rule port;   /* of the source */
    struct pg_addr snat_addr; /* address of the outgoing interface of the node; none: source kept */
    uint16_t node;            /* node that decides */
    pg_reason_id dnat_reason; /* also why plain, rejected, dropped */
    pg_reason_id snat_reason; /* why masqueraded or why kept */
};

/* The node where a packet of this tuple enters the cluster: a pod's packet at its node, a node address at that node, an LB address at the node
 * the balancer picks for the tuple among those that would serve it (keyed hash: stable for a flow). */
uint16_t pg_nat_entry_node(const struct pg_service_table *t, const struct pg_tuple *tuple);
/* The same with the balancer's choice handed in: the draw-th (modulo how many there are, *ret_count) of the nodes it may pick. */
uint16_t pg_nat_entry_choice(const struct pg_service_table *t, const struct pg_tuple *tuple,
                             uint64_t draw, uint32_t *ret_count);
/* draw is the random choice of the endpoint, handed in. affinity: index of the endpoint a live affinity record names, or PG_INDEX_NONE. */
void pg_nat_decide(const struct pg_service_table *t, const struct pg_tuple *tuple,
                   uint16_t entry_node, uint64_t draw, uint32_t affinity,
                   struct pg_nat_decision *ret);
/* The name a refused packet is counted under; NONE: it is not refused. */
enum pg_drop pg_nat_drop_of(const struct pg_nat_decision *d);
const char *pg_capture_name(enum pg_capture c); /* "ClusterIP", "NodePort", ... */

#endif
