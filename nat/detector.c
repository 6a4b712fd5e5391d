/* The local detector: how a node tells the cluster's pods from strangers, whose source it has to replace.
 *
 * kube-proxy has five ways. Nodes are virtual here, so "by which interface did it come" becomes "whose is the source": a packet comes by the
 * pod bridge of a node, or by the interface of one of its pods, exactly if its source is a pod of that node or in its range. These two modes are
 * therefore alike here; a real node tells them apart only when somebody forges a source. Cilium knows its pods and asks no detector.
 *
 * A node's address on the pod bridge is in the ranges: where ranges decide, a process that speaks from it passes for a pod; where interfaces do, it does not.
 * Called by policy.c. */
#include "dialect.h"

static bool is_node(const struct pg_snapshot *s, const struct pg_addr *a)
{
    return pg_snapshot_node_by_addr(s, a) != PG_INDEX_NONE;
}

static bool is_known_pod(const struct pg_snapshot *s, const struct pg_addr *a)
{
    return pg_snapshot_in_cluster_cidr(s, a) || pg_snapshot_pod_by_addr(s, a) != PG_INDEX_NONE;
}

bool pg_nat_is_pod(const struct pg_snapshot *s, const struct pg_addr *source, uint16_t node)
{
    bool v6 = !pg_addr_is_v4(source);

    if (!pg_dialect_rules(s)->proxy_settings)
        return is_known_pod(s, source) && !is_node(s, source);
    switch (s->lab.services.detector) {
    case PG_DETECTOR_CLUSTER_CIDR: return pg_snapshot_in_cluster_cidr(s, source);
    case PG_DETECTOR_NODE_CIDR:
        return node < s->node_count && s->nodes[node].pod_cidr[v6].bits != 0 &&
               pg_prefix_contains(&s->nodes[node].pod_cidr[v6], source);
    case PG_DETECTOR_BRIDGE:
    case PG_DETECTOR_PREFIX:
        return node < s->node_count && pg_snapshot_node_of(s, source) == node &&
               !is_node(s, source);
    case PG_DETECTOR_NONE:
    case PG_DETECTOR_COUNT:
    default: return false;
    }
}
