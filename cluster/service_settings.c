/* What the values of struct pg_service_settings are called, and the one address that they bring with them. */
#include "podglass/service_settings.h"

const char *pg_dialect_name(enum pg_dialect d)
{
    switch (d) {
    case PG_DIALECT_CILIUM_SNAT: return "cilium-snat";
    case PG_DIALECT_CILIUM_DSR: return "cilium-dsr";
    case PG_DIALECT_KUBE_PROXY:
    case PG_DIALECT_COUNT:
    default: return "kube-proxy-nftables";
    }
}

const char *pg_detector_name(enum pg_detector d)
{
    switch (d) {
    case PG_DETECTOR_NODE_CIDR: return "NodeCIDR";
    case PG_DETECTOR_BRIDGE: return "BridgeInterface";
    case PG_DETECTOR_PREFIX: return "InterfaceNamePrefix";
    case PG_DETECTOR_NONE: return "None";
    case PG_DETECTOR_CLUSTER_CIDR:
    case PG_DETECTOR_COUNT:
    default: return "ClusterCIDR";
    }
}

struct pg_addr pg_dialect_loopback(enum pg_dialect d, bool v6)
{
    static const struct pg_addr none;
    static const struct pg_addr link_local = {.bytes = {0xfe, 0x80, [15] = 1}};

    if (d == PG_DIALECT_KUBE_PROXY)
        return none;
    return v6 ? link_local : pg_addr_v4(169, 254, 42, 1);
}
