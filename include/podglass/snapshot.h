/* folder: cluster */
/* What the manifests say, as one immutable value: the snapshot.
 *
 * Built aside by pg_snapshot_load, validated as a whole, then only read; references are counted
 * because established flows and open connections may outlive a reload. Every array is in a stable
 * order, so the same input gives the same indexes, addresses and ports. Each field that can change
 * the path keeps where it was written (struct pg_source); a field that nobody wrote has line 0. All
 * strings are NUL-terminated and live as long as the snapshot. */
#ifndef PODGLASS_SNAPSHOT_H
#define PODGLASS_SNAPSHOT_H

#include "podglass/addr.h"
#include "podglass/finding.h"
#include "podglass/ingress_settings.h"
#include "podglass/routing.h"
#include "podglass/service_settings.h"
#include "podglass/source.h"
#include "podglass/text.h"
#include "podglass/tls_hosts.h"
#include "podglass/upstream_tls.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pg_node {
    const char *name;
    struct pg_addr addr[2];       /* [0] IPv4, [1] IPv6 InternalIP; none if absent */
    struct pg_prefix pod_cidr[2]; /* bits 0: none */
    struct pg_addr gateway[2];    /* the node's own address on the pod bridge: first of pod_cidr */
    const char *zone;             /* "" if unknown */
    bool ready;
    struct pg_source source;
};

enum pg_backing {
    PG_BACKING_ECHO,    /* built in: answers what it saw */
    PG_BACKING_WIRE,    /* somebody behind the link */
    PG_BACKING_INGRESS, /* podglass' own ingress runs in it */
};

struct pg_pod {
    const char *namespace;
    const char *name;
    struct pg_addr addr[2];
    uint32_t node; /* index; PG_INDEX_NONE for an address outside the cluster */
    bool host_network;
    bool ready;
    bool derived; /* from a workload's replicas, not from a Pod object */
    enum pg_backing backing;
    struct pg_source source;
};

enum pg_service_type {
    PG_SERVICE_CLUSTER_IP,
    PG_SERVICE_NODE_PORT,
    PG_SERVICE_LOAD_BALANCER,
    PG_SERVICE_HEADLESS,
    PG_SERVICE_EXTERNAL_NAME
};

struct pg_service_port {
    const char *name; /* "" when unnamed */
    uint8_t proto;
    uint16_t port;
    uint16_t node_port; /* 0: none */
    const char *target; /* targetPort as text: number or name */
    const char *app_protocol;
    struct pg_source source;
    struct pg_source node_port_source;
    /* Into snapshot->endpoints: both families of a dual-stack service, IPv4 first, then by address
     * and port. A headless service that has no ports has one entry here with port 0, so that DNS
     * finds its endpoints. */
    uint32_t endpoint_first;
    uint32_t endpoint_count;
    uint32_t service; /* whose port it is: index into services */
};

struct pg_endpoint {
    struct pg_addr addr;
    uint16_t port;
    bool ready;
    bool serving;
    bool terminating;
    uint32_t node;         /* index or PG_INDEX_NONE */
    uint32_t pod;          /* index or PG_INDEX_NONE */
    const char *hostname;  /* "" if none */
    const char *node_hint; /* names of hints.forNodes joined by ','; "" if none */
    const char *zone_hint; /* hints.forZones joined by ','; "" if none */
    struct pg_source source;
};

struct pg_lb_ip {
    struct pg_addr addr;
    bool proxy_mode; /* ipMode: Proxy: not captured by nodes */
    bool allocated;  /* by us, not written */
    struct pg_source source;
};

struct pg_service {
    const char *namespace;
    const char *name;
    enum pg_service_type type;
    struct pg_addr cluster_ip[2];
    uint32_t lb_first, lb_count;             /* into snapshot->lb_ips */
    uint32_t external_first, external_count; /* into snapshot->external_ips */
    uint32_t range_first, range_count; /* loadBalancerSourceRanges, into snapshot->source_ranges */
    uint32_t port_first, port_count;   /* into snapshot->service_ports */
    bool external_local;               /* externalTrafficPolicy: Local */
    bool internal_local;               /* internalTrafficPolicy: Local */
    bool affinity_client_ip;
    uint32_t affinity_seconds;
    uint16_t health_check_node_port;
    bool publish_not_ready;
    const char *external_name; /* "" if none */
    struct pg_source source;
    struct pg_source type_source;
    struct pg_source external_policy_source;
    struct pg_source internal_policy_source;
    struct pg_source affinity_source;
    struct pg_source cluster_ip_source;
    struct pg_source external_source; /* externalIPs */
};

/* A named client of the lab. */
struct pg_client {
    const char *name;
    struct pg_addr addr;
    struct pg_source source;
};

#define PG_DNS_UPSTREAMS 15
struct pg_dns_upstream {
    struct pg_addr addr;
    uint16_t port;
};

/* Names made of a pod's address. */
enum pg_pod_records {
    PG_POD_RECORDS_DISABLED,
    PG_POD_RECORDS_INSECURE, /* any address */
    PG_POD_RECORDS_VERIFIED, /* only that of a pod in this namespace */
};

/* The settings of the path that are the lab's own (kind Lab), or their defaults. */
struct pg_lab {
    const char *cluster_domain;       /* "cluster.local" */
    struct pg_addr dns[2];            /* address of the cluster DNS service */
    struct pg_prefix cluster_cidr[4]; /* pod ranges: the local detector */
    uint32_t cluster_cidr_count;
    struct pg_prefix service_cidr[4];
    uint32_t service_cidr_count;
    uint32_t ingress_service; /* the Service in front of our ingress; PG_INDEX_NONE: no ingress */
    uint32_t ingress_pod[16]; /* pods in which the ingress runs */
    uint32_t ingress_pod_count;
    bool masquerade_all;
    struct pg_service_settings services;
    struct pg_ingress_settings ingress;
    uint32_t dns_ttl;                                      /* seconds */
    struct pg_dns_upstream dns_upstream[PG_DNS_UPSTREAMS]; /* who is asked what is not ours */
    uint32_t dns_upstream_count;                           /* 0: nobody, REFUSED */
    struct pg_source dns_upstream_source;
    enum pg_pod_records pod_records; /* whether 10-244-1-7.ns.pod.zone answers */
};

/* Each count stands beside its array. NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct pg_snapshot {
    uint32_t refs;
    uint32_t generation; /* set by the loader: 1, 2, ... within the process */
    const struct pg_node *nodes;
    uint32_t node_count;
    const char *const *namespaces;
    uint32_t namespace_count; /* sorted */
    const struct pg_pod *pods;
    uint32_t pod_count;
    const struct pg_service *services;
    uint32_t service_count; /* sorted by namespace, name */
    /* Per service, over all that pg_service_same compares and the places of its fields: equal sums in two snapshots with
     * equal frame_sum mean that nothing has to be compiled anew. NULL: not known (a changed copy). */
    const uint64_t *service_sums;
    uint64_t
        frame_sum; /* over what every service may depend on: nodes in their order, the DNS address */
    uint64_t names_sum; /* over names that are no service's: domain, namespaces, hosts of rules */
    const struct pg_service_port *service_ports;
    uint32_t service_port_count;
    const struct pg_endpoint *endpoints;
    uint32_t endpoint_count;
    const struct pg_lb_ip *lb_ips;
    uint32_t lb_ip_count;
    const struct pg_addr *external_ips;
    uint32_t external_ip_count;
    const struct pg_prefix *source_ranges;
    uint32_t source_range_count;
    const struct pg_ingress *ingresses;
    uint32_t ingress_count;
    const struct pg_route *routes;
    uint32_t route_count; /* in order of precedence within a host */
    const struct pg_gateway *gateways;
    uint32_t gateway_count;
    const struct pg_gateway_listener *listeners;
    uint32_t listener_count;
    const struct pg_http_route *http_routes;
    uint32_t http_route_count;
    const struct pg_route_parent *route_parents;
    uint32_t route_parent_count;
    const struct pg_route_test *tests; /* of the routes */
    uint32_t test_count;
    const struct pg_route_filter *filters; /* of the routes, in the order they act */
    uint32_t filter_count;
    const struct pg_secret *secrets;
    uint32_t secret_count;
    const struct pg_tls_host *tls_hosts;
    uint32_t tls_host_count;
    uint32_t tls_listener_first; /* of tls_hosts, from there on those of listeners */
    const struct pg_upstream_tls *upstream_tls;
    uint32_t upstream_tls_count;
    const struct pg_backend_policy *backend_policies;
    uint32_t backend_policy_count;
    const struct pg_client *clients;
    uint32_t client_count;
    const struct pg_finding *findings;
    uint32_t finding_count; /* warnings and notes: what was ignored */
    struct pg_lab lab;
    void *memory;             /* the arena behind everything; private */
    struct pg_snapshot *base; /* of a copy with one change: what the rest belongs to; private */
};

/* Where manifests come from: files, directories, "-" for standard input, or text in memory (tests, demo). */
struct pg_manifest_input {
    const char *path; /* file, directory or "-"; or the name to report for text */
    const char *text; /* NULL: read path */
    size_t text_len;
};
struct pg_checks;
enum pg_pods_mode { PG_PODS_AUTO, PG_PODS_ECHO, PG_PODS_WIRE };
struct pg_load_options {
    bool strict;    /* warnings of unsupported fields become errors */
    bool recursive; /* -R */
    bool https;     /* an ingress that is made up has port 443 even if no Ingress speaks of TLS */
    enum pg_pods_mode
        pods; /* auto: pods whose address is written are on the wire, derived ones echo */
    const char *namespace; /* for objects that name none; NULL: "default" */
    const char *const
        *sets; /* "svc/edge/gateway.externalTrafficPolicy=Local": laid over what was read */
    uint32_t set_count;
    const char *profile; /* of the ingress, as --set lab.ingress.profile=; NULL: as written */
    /* Whether a certificate and a key, both PEM, are a pair that can be used; if not, why in words that hold nothing of them. Words about a pair that can be: what
     * clients will find wrong with it. NULL: not asked. */
    bool (*check_pair)(struct pg_slice cert, struct pg_slice key, struct pg_text *ret_why);
    /* The host names that a certificate is for, each on a line. NULL: not asked, it is for none. */
    void (*names_of)(struct pg_slice cert, struct pg_text *ret);
    /* Whether a certificate that check_pair let pass covers a host. NULL: not asked. */
    bool (*covers_host)(struct pg_slice cert, const char *host);
    /* Whether pods can be spoken to like that: authorities are certificates, ciphers are known. If not, why. NULL: not asked. */
    bool (*check_upstream)(const struct pg_upstream_tls *tls, struct pg_text *ret_why);
    struct pg_checks *
        checks; /* filled with what documents of kind Check ask (checks.h), if the load is good; NULL: such documents are noted and left out */
};
#define PG_SETS_MOST 64

/* Reads, checks and builds. options NULL: all defaults. 0: *ret is a new snapshot with one
 * reference. -EINVAL: the input is wrong, all errors are in *ret_findings. Other -errno: a file
 * could not be read (also in findings). *ret_findings is always filled (warnings too). */
int pg_snapshot_load(const struct pg_manifest_input *inputs, uint32_t count,
                     const struct pg_load_options *options, struct pg_snapshot **ret,
                     struct pg_findings *ret_findings);
struct pg_snapshot *pg_snapshot_ref(struct pg_snapshot *s);
void pg_snapshot_put(struct pg_snapshot *s); /* NULL is fine */
/* From begin to end the memory of a snapshot that was put last is given back by calls of reclaim, about so many bytes each, so
 * that whoever puts it is not held up. true: it gave some back. The last end gives back all. */
void pg_snapshot_reclaim_begin(void);
bool pg_snapshot_reclaim(size_t bytes);
void pg_snapshot_reclaim_end(void);

/* Lookups; index or PG_INDEX_NONE. */
uint32_t pg_snapshot_service(const struct pg_snapshot *s, const char *namespace, const char *name);
uint32_t pg_snapshot_pod_by_addr(
    const struct pg_snapshot *s,
    const struct pg_addr
        *a); /* hashed; hostNetwork pods are not found: their address is the node's */
/* An endpoint that no pod's own address leads to: of a hostNetwork pod, or named only by a slice. Port 0: any. */
uint32_t pg_snapshot_endpoint_at(const struct pg_snapshot *s, const struct pg_addr *a,
                                 uint16_t port);
/* Index into lb_ips of a balancer address that nodes capture (not of ipMode Proxy). */
uint32_t pg_snapshot_lb_ip(const struct pg_snapshot *s, const struct pg_addr *a);
/* The pod that answers there: by its own address, or a hostNetwork pod by its node's address and the endpoint's port. */
uint32_t pg_snapshot_pod_at(const struct pg_snapshot *s, const struct pg_addr *a, uint16_t port);
uint32_t pg_snapshot_node_by_addr(const struct pg_snapshot *s,
                                  const struct pg_addr *a); /* node address or gateway; hashed */
uint32_t pg_snapshot_node_of(const struct pg_snapshot *s,
                             const struct pg_addr *a); /* pod, pod range, node address or gateway */
bool pg_snapshot_in_cluster_cidr(const struct pg_snapshot *s, const struct pg_addr *a);
bool pg_snapshot_in_service_cidr(const struct pg_snapshot *s, const struct pg_addr *a);
const char *pg_service_type_name(enum pg_service_type t); /* "ClusterIP", ... */

/* Whether a service is the same in two snapshots: false if ports, addresses, policies or endpoints differ. Where it is written does not count. */
bool pg_service_same(const struct pg_snapshot *a, uint32_t service_a, const struct pg_snapshot *b,
                     uint32_t service_b);

#endif
