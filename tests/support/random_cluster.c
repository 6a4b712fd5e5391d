/* A small random cluster in words: nodes, an ingress, three services with policies, pods, Ingress rules. */
#include "random_cluster.h"

#include <stdio.h>
#include <string.h>

bool pg_chance(struct pg_random *r, uint32_t percent)
{
    return pg_random_below(r, 100) < percent;
}

const char *pg_one_of(struct pg_random *r, const char *const *words, uint32_t count)
{
    return words[pg_random_below(r, count)];
}

static void put_lab(struct pg_random *r, bool wide, struct pg_text *out)
{
    uint32_t nodes = 1 + pg_random_below(r, 3);

    pg_text_puts(out, "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n");
    pg_text_puts(out, wide ? "  podCIDRs: [10.244.0.0/16, \"fd00:10:244::/56\"]\n"
                             "  serviceCIDRs: [10.96.0.0/16, \"fd00:10:96::/112\"]\n"
                           : "");
    pg_text_puts(out, "  nodes:\n");
    for (uint32_t i = 1; i <= nodes; i++) {
        pg_text_printf(out,
                       "  - {name: node-%u, address: 192.0.2.1%u, podCIDR: 10.244.%u.0/24, zone: "
                       "%s",
                       i, i, i, i == 1 ? "a" : "b");
        if (wide) {
            pg_text_printf(out, ", address6: \"2001:db8::1%u\", podCIDR6: \"fd00:10:244:%u::/64\"",
                           i, i);
        }
        pg_text_puts(out, "}\n");
    }
    pg_text_puts(out, "  ingress:\n    service: edge/gateway\n");
    const char *trusted =
        PG_ONE_OF(r, "", "", "10.244.0.0/16", "192.0.2.0/24", "198.51.100.66/32", "0.0.0.0/0");
    pg_text_printf(out, "    trustedProxies: [%s%s%s]\n", *trusted ? "\"" : "", trusted,
                   *trusted ? "\"" : "");
    pg_text_printf(out, "    upstream: %s\n", PG_ONE_OF(r, "service", "service", "endpoints"));
    if (pg_chance(r, 30)) {
        pg_text_printf(out, "    profile: %s\n",
                       PG_ONE_OF(r, "strict", "ingress-nginx", "envoy-edge", "traefik", "haproxy"));
    }
    if (pg_chance(r, 15)) {
        pg_text_printf(out,
                       "    proxyProtocol: {ports: [80], allowedSources: [\"%s\"], believeTLS: "
                       "true, httpsPorts: [443]}\n",
                       PG_ONE_OF(r, "0.0.0.0/0", "198.51.100.0/24", "192.0.2.0/24"));
    } else if (pg_chance(r, 10)) {
        pg_text_puts(out, "    proxyProtocol: {toPods: v2, tlvs: [crc32c, unique-id]}\n");
    }
    pg_text_printf(out, "  masqueradeAll: %s\n", pg_chance(r, 10) ? "true" : "false");
    pg_text_printf(
        out, "  dialect: %s\n",
        PG_ONE_OF(r, "kube-proxy-nftables", "kube-proxy-nftables", "cilium-snat", "cilium-dsr"));
    pg_text_printf(
        out, "  localDetector: %s\n",
        PG_ONE_OF(r, "ClusterCIDR", "ClusterCIDR", "NodeCIDR", "BridgeInterface", "None"));
    pg_text_printf(out, "  externalIPs: %s\n", pg_chance(r, 90) ? "true" : "false");
}

static void put_workload(struct pg_random *r, const char *ns, const char *name, uint32_t replicas,
                         bool host_network, struct pg_text *out)
{
    (void)r;
    pg_text_printf(out,
                   "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s, namespace: "
                   "%s}\nspec:\n  replicas: %u\n  selector: {matchLabels: {app: %s}}\n"
                   "  template:\n    metadata: {labels: {app: %s}}\n    spec:\n"
                   "      hostNetwork: %s\n"
                   "      containers: [{name: c, ports: [{name: http, containerPort: 8080}]}]\n",
                   name, ns, replicas, name, name, host_network ? "true" : "false");
}

static void put_policies(struct pg_random *r, bool outside, bool balancer, struct pg_text *out)
{
    if (outside && pg_chance(r, 50)) {
        pg_text_printf(out, "  externalTrafficPolicy: %s\n", PG_ONE_OF(r, "Local", "Cluster"));
    }
    if (pg_chance(r, 25)) {
        pg_text_printf(out, "  internalTrafficPolicy: %s\n", PG_ONE_OF(r, "Local", "Cluster"));
    }
    if (pg_chance(r, 20)) {
        pg_text_puts(out, "  sessionAffinity: ClientIP\n");
    }
    if (balancer && pg_chance(r, 15)) {
        pg_text_puts(out, "  loadBalancerSourceRanges: [198.51.100.0/26]\n");
    }
}

static void put_service(struct pg_random *r, const char *ns, const char *name, const char *type,
                        bool wide, struct pg_text *out)
{
    bool headless = strcmp(type, "None") == 0;
    bool balancer = strcmp(type, "LoadBalancer") == 0;
    bool external = !headless && pg_chance(r, 15);
    bool outside = balancer || external || strcmp(type, "NodePort") == 0;

    pg_text_printf(out, "---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, namespace: %s}\n",
                   name, ns);
    pg_text_printf(out, "spec:\n  type: %s\n  selector: {app: %s}\n", headless ? "ClusterIP" : type,
                   name);
    pg_text_puts(out, headless ? "  clusterIP: None\n" : "");
    if (external) {
        uint32_t own = name[0] == 's' ? 100 + 25 * (uint32_t)(name[1] - '0') : 100;
        pg_text_printf(out, "  externalIPs: [203.0.113.%u]\n", own + pg_random_below(r, 25));
    }
    if (wide) {
        pg_text_puts(out, PG_ONE_OF(r, "", "  ipFamilyPolicy: PreferDualStack\n",
                                    "  ipFamilyPolicy: RequireDualStack\n",
                                    "  ipFamilyPolicy: SingleStack\n  ipFamilies: [IPv6]\n"));
    }
    put_policies(r, outside, balancer, out);
    pg_text_printf(out, "  ports:\n  - {name: http, port: 80, targetPort: %s}\n",
                   PG_ONE_OF(r, "8080", "http"));
    if (pg_chance(r, 20)) {
        pg_text_puts(out, "  - {name: other, port: 81, targetPort: 8081}\n");
    }
    if (wide && pg_chance(r, 60)) {
        pg_text_puts(out, "  - {name: udp, port: 53, protocol: UDP, targetPort: 5353}\n");
    }
}

static void put_rules(struct pg_random *r, struct pg_text *out)
{
    uint32_t rules = 1 + pg_random_below(r, 4);

    pg_text_puts(out,
                 "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop, "
                 "namespace: shop}\nspec:\n");
    if (pg_chance(r, 30)) {
        pg_text_puts(out, "  defaultBackend: {service: {name: s1, port: {number: 80}}}\n");
    }
    pg_text_puts(out, "  rules:\n");
    for (uint32_t i = 0; i < rules; i++) {
        const char *host = PG_ONE_OF(r, "a.example.test", "b.example.test", "'*.example.test'", "");
        pg_text_printf(out, "  - %s%s%shttp:\n      paths:\n", *host ? "host: " : "", host,
                       *host ? "\n    " : "");
        pg_text_printf(
            out, "      - {path: %s, pathType: %s, backend: {service: {name: %s, port: %s}}}\n",
            PG_ONE_OF(r, "/", "/x", "/x/y", "/z/"), PG_ONE_OF(r, "Prefix", "Exact"),
            PG_ONE_OF(r, "s1", "s2", "s3", "gone"),
            PG_ONE_OF(r, "{number: 80}", "{name: http}", "{number: 81}"));
    }
}

static void put_cluster(struct pg_random *r, bool wide, struct pg_text *out)
{
    char name[8];

    put_lab(r, wide, out);
    put_service(r, "edge", "gateway", PG_ONE_OF(r, "LoadBalancer", "LoadBalancer", "NodePort"),
                wide, out);
    put_workload(r, "edge", "gateway", 1 + pg_random_below(r, 2), false, out);
    for (uint32_t i = 1; i <= 3; i++) {
        snprintf(name, sizeof name, "s%u", i);
        put_service(r, "shop", name, PG_ONE_OF(r, "ClusterIP", "NodePort", "LoadBalancer", "None"),
                    wide, out);
        bool host = i == 3 && pg_chance(r, 30);
        put_workload(r, "shop", name, host ? 1 : pg_random_below(r, 4), host, out);
    }
    put_rules(r, out);
}

void pg_put_cluster(struct pg_random *r, struct pg_text *out)
{
    put_cluster(r, false, out);
}

void pg_put_wide_cluster(struct pg_random *r, struct pg_text *out)
{
    put_cluster(r, true, out);
}
