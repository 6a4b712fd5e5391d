/* Where the service proxies of clusters differ, as values: policy.c has one procedure, and asks these. */
#ifndef DIALECT_H
#define DIALECT_H

#include "podglass/nat_decide.h"

/* Policy Cluster, a client from outside: whose source is replaced? */
enum pg_masquerade_rule {
    PG_MASQUERADE_ALWAYS,
    PG_MASQUERADE_REMOTE, /* only where the endpoint is on another node */
    PG_MASQUERADE_NEVER,  /* the endpoint's node answers the client itself */
};

struct pg_dialect_rules {
    enum pg_masquerade_rule cluster_policy;
    enum pg_port_rule masquerade_port;
    bool
        at_connect; /* who runs on a node is translated where it connects, not where its packet arrives */
    bool strangers_use_cluster_ips;
    bool ranges_for_all; /* loadBalancerSourceRanges hold for clients in the cluster, too */
    bool every_address; /* node ports are answered on every address of a node, not only the first */
    bool proxy_settings; /* the local detector and masqueradeAll count */
};

const struct pg_dialect_rules *pg_dialect_rules(const struct pg_snapshot *s);
/* detector.c: whether a node takes the source of a packet for one of the cluster's pods. */
bool pg_nat_is_pod(const struct pg_snapshot *s, const struct pg_addr *source, uint16_t node);

#endif
