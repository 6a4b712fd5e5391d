/* The dialects: what kube-proxy and Cilium do differently with the same Service, in one table.
 *
 *                        kube-proxy (nftables)         Cilium, SNAT                      Cilium, DSR
 *   policy Cluster       source always replaced        replaced for a remote endpoint    kept
 *   its port             drawn at random               kept if above the node ports      kept
 *   pod or node process  translated in its packets     translated in connect(): the endpoint sees the pod, or the
 *                                                      node's address on the way to it
 *   cluster IP, outside  works, source replaced        dropped
 *   pod reaches itself   sees its gateway              sees 169.254.42.1 (fe80::1), port kept
 *
 * Cilium is taken as it comes when it replaces kube-proxy: socket load balancing on, cluster IPs not for outside. A pod whose packet carries
 * a service address to us was not translated in connect(), but its per-packet rules come to the same, so one table serves. Where the two differ, a pod
 * that reaches itself, the rule is the per-packet one: the other way no packet leaves the pod.
 *
 * Called by policy.c, service.c and service_why.c. */
#include "dialect.h"

static const struct pg_dialect_rules rules[] = {
    [PG_DIALECT_KUBE_PROXY] = {.cluster_policy = PG_MASQUERADE_ALWAYS,
                               .masquerade_port = PG_PORT_DRAW,
                               .strangers_use_cluster_ips = true,
                               .ranges_for_all = true,
                               .proxy_settings = true},
    [PG_DIALECT_CILIUM_SNAT] = {.cluster_policy = PG_MASQUERADE_REMOTE,
                                .masquerade_port = PG_PORT_KEEP_HIGH,
                                .at_connect = true,
                                .every_address = true},
    [PG_DIALECT_CILIUM_DSR] = {.cluster_policy = PG_MASQUERADE_NEVER,
                               .masquerade_port = PG_PORT_KEEP_HIGH,
                               .at_connect = true,
                               .every_address = true},
};
_Static_assert(sizeof(rules) / sizeof(rules[0]) == PG_DIALECT_COUNT, "rules per dialect");

const struct pg_dialect_rules *pg_dialect_rules(const struct pg_snapshot *s)
{
    return &rules[s->lab.services.dialect];
}
