/* Compiled services: what service.c looks up, service_build.c makes and service_update.c exchanges.
 *
 * A service that is compiled stands in a slot and keeps it from one snapshot to the next, whatever
 * comes or goes around it. So nothing in here is an index of a snapshot, but for the two arrays that
 * translate; endpoints and ports count from the first of their port and service. */
#ifndef SERVICE_INTERNAL_H
#define SERVICE_INTERNAL_H

#include "podglass/nat_decide.h"
#include "podglass/table.h"

enum { PG_REASONS_CAPTURE = PG_CAPTURE_EXTERNAL_IP + 1 };

/* Why, per service: made when it is compiled, copied by decisions. */
struct pg_service_why {
    pg_reason_id dnat[PG_REASONS_CAPTURE];
    pg_reason_id masq_cluster, masq_hairpin, masq_not_pod, masq_node_local;
    pg_reason_id kept_local, kept_pod, kept_host;
    pg_reason_id balancer;                          /* its address of ipMode Proxy */
    pg_reason_id no_endpoint, no_port, no_local[2]; /* [0] internal, [1] external policy */
    pg_reason_id source_range;
};

/* An endpoint that may be used, in the order: ready ones by node, then serving and terminating ones
 * by node. */
struct pg_member {
    uint32_t endpoint; /* from the first of its service port */
    uint32_t node;     /* its nodeName; PG_INDEX_NONE */
};

/* Endpoints of one service port in one family. */
struct pg_group {
    uint32_t first; /* into the service's members */
    uint32_t ready;
    uint32_t terminating;
    bool hints_nodes; /* every ready endpoint names nodes */
    bool hints_zones; /* every ready endpoint names zones */
};

struct pg_served_port {
    struct pg_group group[2]; /* [1] IPv6 */
    pg_reason_id node_port_why;
};

/* One service, compiled. One block of memory. */
struct pg_served {
    struct pg_service_why why;
    uint32_t name; /* interned by load.c; nobody else's business */
    uint32_t port_count;
    bool affine;
    struct pg_member *members;
    struct pg_served_port ports[];
};

/* An address (or node port) a service answers on. proto and port 0: the address as a whole is
 * known. */
struct pg_front {
    struct pg_addr addr; /* none: any node's address (node port) */
    uint16_t port;
    uint8_t proto;
    uint8_t capture;       /* enum pg_capture */
    uint32_t slot;         /* of the service; PG_INDEX_NONE: the cluster DNS */
    uint32_t service_port; /* from the service's first; PG_INDEX_NONE: the address as a whole */
    uint32_t next;         /* of the same service: index plus one; 0 ends */
    uint32_t next_claim;   /* of a later service that claims the same; likewise */
};

struct pg_service_table {
    struct pg_snapshot *snapshot; /* in force */
    struct pg_hash_key key;
    struct pg_front *fronts;
    uint32_t front_count, front_room, front_free; /* free: index plus one, by next */
    struct pg_table *by_front;                    /* the first claim of each */
    struct pg_served **served;                    /* by slot; NULL: free, or not asked for yet */
    bool on_demand; /* services are compiled when they are asked for: of tools, never of a path */
    uint32_t *first_front; /* by slot: index plus one */
    uint32_t *index_of;    /* slot to service of the snapshot */
    uint32_t slot_count, slot_room;
    uint32_t *slot_of; /* service of the snapshot to slot */
    uint32_t *ready_nodes;
    uint32_t ready_node_count;
    uint32_t affine_count; /* services with session affinity */
    pg_reason_id plain, plain_dns, unallocated, dns_no_port, masq_all;
    /* of the dialect and the local detector */
    pg_reason_id loopback, node_connect, kept_connect, kept_near, kept_dsr, kept_no_detector;
    pg_reason_id cluster_ip_outside;
};

/* service.c */
struct pg_front *pg_service_front(const struct pg_service_table *t, const struct pg_addr *addr,
                                  uint8_t proto, uint16_t port);
/* What captures a packet to tuple->dst: exact, else node port. NULL: nothing. */
const struct pg_front *pg_service_capture(const struct pg_service_table *t,
                                          const struct pg_tuple *tuple);
bool pg_front_same(const void *owner, uint32_t value, const void *key);
uint64_t pg_front_hash(const struct pg_hash_key *key, const struct pg_front *f);
/* As indexes of the snapshot; PG_INDEX_NONE: none. */
uint32_t pg_front_service(const struct pg_service_table *t, const struct pg_front *f);
uint32_t pg_front_port(const struct pg_service_table *t, const struct pg_front *f);
struct pg_served *pg_service_served(const struct pg_service_table *t, uint32_t service);
struct pg_served *pg_service_at(const struct pg_service_table *t, uint32_t slot);
const struct pg_served_port *pg_service_port(const struct pg_service_table *t,
                                             uint32_t service_port);
static inline const struct pg_group *pg_service_group(const struct pg_service_table *t,
                                                      uint32_t service_port, bool v6)
{
    return &pg_service_port(t, service_port)->group[v6];
}
const struct pg_member *pg_service_members(const struct pg_service_table *t, uint32_t service_port);
/* The members of a group on one node: ready, else terminating; *ret_first is an index into members.
 * Returns how many. */
uint32_t pg_service_local(const struct pg_member *members, const struct pg_group *g, uint32_t node,
                          uint32_t *ret_first);
static inline bool pg_front_is_outside(enum pg_capture c)
{
    return c == PG_CAPTURE_NODE_PORT || c == PG_CAPTURE_LB_IP || c == PG_CAPTURE_EXTERNAL_IP;
}
static inline bool pg_service_captures(const struct pg_service *svc)
{
    return svc->type != PG_SERVICE_HEADLESS && svc->type != PG_SERVICE_EXTERNAL_NAME;
}
/* Address that a packet to `endpoint` leaves the node with; none: there is no such address. */
struct pg_addr pg_nat_exit_address(const struct pg_snapshot *s, uint32_t endpoint, uint32_t node);

/* service_build.c: a service of s, compiled. NULL: no memory. */
struct pg_served *pg_served_new(const struct pg_snapshot *s, uint32_t service);
/* What it answers on, in order; `slot` goes into each. Returns how many; fronts NULL: only counts. */
uint32_t pg_served_fronts(const struct pg_snapshot *s, uint32_t service, uint32_t slot,
                          struct pg_front *fronts);
/* service_why.c */
void pg_service_why_fill(struct pg_served *served, const struct pg_snapshot *s, uint32_t service);
void pg_service_why_general(struct pg_service_table *t);

/* service_update.c: from the snapshot in force to another one. begin compiles what changed and
 * changes nothing that can be seen; commit can not fail, and takes what begin made. */
struct pg_service_change {
    uint32_t slot;
    uint32_t service;       /* in the new snapshot; PG_INDEX_NONE: it is gone */
    struct pg_served *made; /* before commit: to be; after it: what was, if anything */
    uint32_t front_first, front_count;
};
struct pg_service_update {
    struct pg_service_table *table;
    struct pg_snapshot *snapshot;
    struct pg_service_change *changes;
    uint32_t change_count, change_room;
    uint32_t *slot_of;
    struct pg_front *fronts; /* of all changed services */
    uint32_t front_count, front_room;
    uint32_t slot_count; /* of the table, with the new ones */
    bool
        fronts_changed; /* after commit: an address is answered for that was not before, or by somebody else */
};
struct pg_service_table *pg_service_table_empty(struct pg_snapshot *s,
                                                const struct pg_hash_key *key);
/* Whether what is compiled for the one snapshot may be kept for the other. */
bool pg_service_table_fits(const struct pg_service_table *t, const struct pg_snapshot *s);
int pg_service_update_begin(struct pg_service_update *u, struct pg_service_table *t,
                            struct pg_snapshot *s);
void pg_service_update_commit(struct pg_service_update *u);
void pg_service_update_free(struct pg_service_update *u); /* with or without commit */

#endif
