/* folder: cluster */
/* How the nodes of the cluster treat services: what is chosen once for all of them, by whoever runs the cluster. From the Lab. */
#ifndef PODGLASS_SERVICE_SETTINGS_H
#define PODGLASS_SERVICE_SETTINGS_H

#include "podglass/addr.h"
#include "podglass/source.h"

#include <stdbool.h>

/* Whose rules the nodes go by. What each means is nat/dialect.c's. */
enum pg_dialect {
    PG_DIALECT_KUBE_PROXY,  /* kube-proxy in nftables mode */
    PG_DIALECT_CILIUM_SNAT, /* Cilium instead of kube-proxy, replacing sources */
    PG_DIALECT_CILIUM_DSR,  /* the same with direct server return */
    PG_DIALECT_COUNT
};
const char *pg_dialect_name(enum pg_dialect d); /* "kube-proxy-nftables", ... */
/* The source of a pod that reaches itself through a service; none: it is the node's. */
struct pg_addr pg_dialect_loopback(enum pg_dialect d, bool v6);

/* How a node of kube-proxy tells its pods from strangers (--detect-local-mode). */
enum pg_detector {
    PG_DETECTOR_CLUSTER_CIDR, /* the source is in the pod ranges of the cluster */
    PG_DETECTOR_NODE_CIDR,    /* ... in the pod range of this node */
    PG_DETECTOR_BRIDGE,       /* the packet came from this node's pod bridge */
    PG_DETECTOR_PREFIX,       /* ... from an interface of one of this node's pods */
    PG_DETECTOR_NONE,
    PG_DETECTOR_COUNT
};
const char *pg_detector_name(enum pg_detector d); /* "ClusterCIDR", ... */

struct pg_service_settings {
    enum pg_dialect dialect;
    struct pg_source dialect_source;
    enum pg_detector detector;
    struct pg_source detector_source;
    bool external_ips; /* Services' externalIPs count */
    struct pg_source external_ips_source;
};

#endif
