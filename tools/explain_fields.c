/* `explain service.spec.externalTrafficPolicy`: what a field does to the path, as `kubectl explain`, but only that.
 *
 * The table holds the fields that the path reads and that change what becomes of a packet or request; docs/manifests.md has all that are
 * read. */
#include "explain_internal.h"

#include <string.h>
#include <strings.h>

static const struct {
    const char *name; /* without "spec." */
    const char *type;
    const char *text;
} fields[] = {
    {"service.type", "ClusterIP | NodePort | LoadBalancer | ExternalName",
     "Which addresses nodes capture for the service: its cluster IP; with NodePort also a port of\n"
     "every node; with LoadBalancer also the balancer's addresses."},
    {"service.clusterIP", "address | None",
     "The address pods use. None (headless): DNS answers with the pods' own addresses and no NAT\n"
     "takes place, so pods see each other as they are."},
    {"service.externalTrafficPolicy", "Cluster (default) | Local",
     "For what comes from outside by node port, balancer address or external IP. Cluster: any "
     "node\n"
     "sends to any endpoint and replaces the client's address by its own (PG101): pods do not see\n"
     "the client. Local: a node sends to endpoints of its own only and keeps the client's address\n"
     "(PG106); a node without one drops (PG122), so the balancer must know which nodes have one."},
    {"service.internalTrafficPolicy", "Cluster (default) | Local",
     "For what pods send to the cluster IP. Local: only endpoints on the pod's own node; none "
     "there\n"
     "means the packet is dropped (PG122), even if other nodes have some."},
    {"service.sessionAffinity", "None (default) | ClientIP",
     "ClientIP: the endpoint chosen first stays that client's for timeoutSeconds. The client is "
     "the\n"
     "address NAT sees: behind an ingress that is the ingress pod, the same for everybody."},
    {"service.loadBalancerSourceRanges", "list of CIDR",
     "Who may use the balancer addresses; all others are dropped (PG124). The address that counts\n"
     "is the one the node sees."},
    {"service.loadBalancerIP", "address",
     "The balancer address, unless status.loadBalancer.ingress says which."},
    {"service.externalIPs", "list of addresses",
     "More addresses that every node captures; treated as coming from outside."},
    {"service.ports.port", "number",
     "The port clients use with the cluster IP or balancer address."},
    {"service.ports.targetPort", "number | name",
     "The pods' port that the destination is rewritten to; a name is looked up in each pod."},
    {"service.ports.nodePort", "30000-32767",
     "The port captured on every node's address, decided by the node whose address was used."},
    {"service.selector", "labels",
     "Which pods become endpoints, unless EndpointSlices or Endpoints are given."},
    {"service.publishNotReadyAddresses", "true | false",
     "Pods that are not ready count as endpoints too."},
    {"endpointslice.endpoints.conditions.ready", "true | false",
     "Only ready endpoints are chosen; serving ones that are terminating if none is ready."},
    {"endpointslice.endpoints.nodeName", "node",
     "Where the endpoint is: what Local policies go by."},
    {"endpointslice.endpoints.hints", "forNodes | forZones",
     "Nodes or zones that should use this endpoint; counts only if all ready endpoints have "
     "hints."},
    {"ingress.rules.host", "name | *.name",
     "Whose requests the rule takes: the exact host before a one-label wildcard before none."},
    {"ingress.rules.http.paths.path", "path",
     "Exact before Prefix, longer before shorter; Prefix goes by whole elements."},
    {"ingress.rules.http.paths.pathType", "Exact | Prefix | ImplementationSpecific (as Prefix)",
     "How the path is compared."},
    {"ingress.defaultBackend", "service", "What no rule takes."},
    {"deployment.replicas", "number", "How many pods are derived when the input names none."},
    {"pod.hostNetwork", "true | false",
     "The pod has its node's address; to reach it from its own node nothing is masqueraded "
     "(PG108)."},
    {"node.podCIDR", "CIDR",
     "The node's pods. Its first address is the pod bridge, which pods see as their peer when the\n"
     "node masquerades towards them."},
    {"lab.ingress.service", "namespace/name", "The Service in front of the ingress."},
    {"lab.ingress.trustedProxies", "list of CIDR",
     "Whose X-Forwarded-* headers the ingress believes and extends (PG202). Those of anybody else\n"
     "are removed (PG203), and the client is the TCP peer (PG201)."},
    {"lab.ingress.trustedHops", "number",
     "Instead of trustedProxies: the client is that entry of X-Forwarded-For from the right, "
     "whoever\n"
     "connects. Safe only where nobody reaches the ingress past the proxies in front (PG406)."},
    {"lab.ingress.profile", "strict | ingress-nginx | envoy-edge | traefik | haproxy",
     "What becomes of every header that tells who is asking, as that ingress does it (PG206)."},
    {"lab.ingress.headers", "map of header to policy",
     "A policy for one header: off, pass, trusted, set, trusted-or-set, any-or-set, append, ..."},
    {"lab.ingress.clientHeader", "name of a header",
     "Read instead of X-Forwarded-For when the peer is trusted, such as CF-Connecting-IP."},
    {"lab.masqueradeAll", "true | false",
     "Everything sent to a cluster IP is masqueraded (PG105): pods no longer see each other."},
    {"lab.clients", "list of name and address", "Names for --from."},
#define PG_LIMIT(id, group, name, unit, least, most, fallback, text) \
    {"lab.ingress." group "." name, "number, default " #fallback, text},
#include "podglass/ingress_limits.def"
#undef PG_LIMIT
};

/* "service.spec.type" is "service.type"; "svc" is "service". */
static bool is_called(const char *field, const char *asked)
{
    static const char *const brief[][2] = {
        {"svc.", "service."}, {"ing.", "ingress."}, {"deploy.", "deployment."},
        {"no.", "node."},     {"po.", "pod."},      {"eps.", "endpointslice."}};
    size_t kind = strcspn(field, ".") + 1;

    for (size_t i = 0; i < sizeof brief / sizeof brief[0]; i++) {
        if (strncasecmp(asked, brief[i][0], strlen(brief[i][0])) == 0 &&
            strncmp(field, brief[i][1], kind) == 0 && strlen(brief[i][1]) == kind) {
            asked += strlen(brief[i][0]);
            return strcasecmp(field + kind, strncmp(asked, "spec.", 5) ? asked : asked + 5) == 0;
        }
    }
    if (strncasecmp(field, asked, kind) != 0) {
        return false;
    }
    asked += kind;
    return strcasecmp(field + kind, strncmp(asked, "spec.", 5) ? asked : asked + 5) == 0;
}

bool pg_explain_field(const char *name, struct pg_text *out)
{
    size_t len = strlen(name);
    bool found = false;

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        if (is_called(fields[i].name, name)) {
            pg_text_printf(out, "%s  <%s>\n\n%s\n", fields[i].name, fields[i].type, fields[i].text);
            return true;
        }
    }
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) { /* a kind: its fields */
        if (strcspn(fields[i].name, ".") == len && strncasecmp(fields[i].name, name, len) == 0) {
            pg_text_printf(out, "%-45s  <%s>\n", fields[i].name, fields[i].type);
            found = true;
        }
    }
    return found;
}
