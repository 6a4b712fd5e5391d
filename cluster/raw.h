/* folder: cluster
 * Raw objects: what one document says, checked on its own and not yet joined with the others.
 *
 * Made by kinds*.c, completed by derive*.c (fields that say so), copied by snapshot.c. They live in
 * load->scratch and their texts point into the trees. Each begins with its struct pg_object. */
#ifndef PODGLASS_CLUSTER_RAW_H
#define PODGLASS_CLUSTER_RAW_H

#include "arena.h"
#include "tree.h"

#include "podglass/snapshot.h"

struct pg_label {
    const char *key;
    const char *value;
};
struct pg_labels {
    const struct pg_label *at;
    uint32_t count;
};
/* matchLabels and matchExpressions of a workload. */
struct pg_requirement {
    const char *key;
    enum { PG_SELECT_IN, PG_SELECT_NOT_IN, PG_SELECT_EXISTS, PG_SELECT_ABSENT } op;
    const char *const *values;
    uint32_t value_count;
};
struct pg_selector {
    struct pg_labels labels;
    const struct pg_requirement *requirements;
    uint32_t requirement_count;
};

enum pg_kind {
    PG_KIND_SERVICE,
    PG_KIND_SLICE,
    PG_KIND_ENDPOINTS,
    PG_KIND_POD,
    PG_KIND_NODE,
    PG_KIND_DEPLOYMENT,
    PG_KIND_STATEFUL_SET,
    PG_KIND_DAEMON_SET,
    PG_KIND_REPLICA_SET,
    PG_KIND_INGRESS,
    PG_KIND_INGRESS_CLASS,
    PG_KIND_NAMESPACE,
    PG_KIND_LAB,
    PG_KIND_CONFIG_MAP,
    PG_KIND_CHECK,
    PG_KIND_SECRET,
    PG_KIND_GATEWAY_CLASS,
    PG_KIND_GATEWAY,
    PG_KIND_HTTP_ROUTE,
    PG_KIND_GRPC_ROUTE,
    PG_KIND_TLS_ROUTE,
    PG_KIND_REFERENCE_GRANT,
    PG_KIND_BACKEND_TLS_POLICY,
    PG_KIND_COUNT
};

/* What every object has. */
struct pg_object {
    enum pg_kind kind;
    const char *kind_name; /* "Service" */
    const char *namespace; /* "" for kinds that have none */
    const char *name;
    const char *title;      /* "Service/shop/web" */
    const char *created;    /* creationTimestamp; "" */
    const char *owner_kind; /* of the controlling owner; "" */
    const char *owner_name;
    bool deleting; /* has a deletionTimestamp */
    struct pg_labels labels;
    const struct pg_tree *root;
    struct pg_source source;
    uint32_t column;
};

struct pg_raw_service {
    struct pg_object object;
    struct pg_service service; /* first/count fields are filled by snapshot.c */
    struct pg_service_port *ports;
    uint32_t port_count;
    struct pg_lb_ip *lb_ips;
    uint32_t lb_ip_count;
    struct pg_addr *external_ips;
    uint32_t external_ip_count;
    struct pg_prefix *source_ranges;
    uint32_t source_range_count;
    struct pg_labels selector;
    bool family_asked[2]; /* by ipFamilies, or by an address that is written */
    bool dual_asked;      /* PreferDualStack */
    bool dual_required;   /* RequireDualStack */
    bool node_ports;      /* allocateLoadBalancerNodePorts */
    enum pg_prefer {
        PG_PREFER_NONE,
        PG_PREFER_ZONE,
        PG_PREFER_NODE
    } prefers;             /* trafficDistribution */
    struct pg_list slices; /* of struct pg_raw_slice *: what gives its endpoints */
    struct pg_list
        endpoints; /* of struct pg_endpoint, port after port; filled by derive_endpoints.c */
};

struct pg_slice_port {
    const char *name;
    uint8_t proto;
    uint16_t port; /* 0: none */
};
struct pg_slice_endpoint {
    struct pg_endpoint endpoint; /* port, node and pod are filled later */
    const char *node_name;
    const char *pod_namespace; /* of targetRef; "" */
    const char *pod_name;
    uint32_t column;
};
struct pg_raw_slice {
    struct pg_object object;
    const char *service; /* name; "": none */
    bool legacy;         /* an Endpoints object: counts only without slices */
    const struct pg_slice_port *ports;
    uint32_t port_count;
    struct pg_slice_endpoint *endpoints;
    uint32_t endpoint_count;
};

struct pg_container_port {
    const char *name;
    uint8_t proto;
    uint16_t port;
};
/* What Pod objects and the templates of workloads have in common. */
struct pg_pod_spec {
    bool host_network;
    const char *node_name;
    const char *hostname;
    const char *subdomain;
    const struct pg_container_port *ports;
    uint32_t port_count;
};
struct pg_raw_pod {
    struct pg_object object;
    struct pg_pod_spec spec;
    struct pg_addr addr[2];
    struct pg_addr host_addr; /* status.hostIP */
    bool addr_written;        /* in the input, not by the Lab */
    bool has_status;
    bool finished; /* Succeeded or Failed */
    bool ready;
    bool derived;
    bool ingress; /* made up for the ingress */
    uint32_t node;
    uint32_t node_turn; /* which node a derived pod gets when nobody says */
    enum pg_backing backing;
    bool backing_set; /* by the Lab */
    uint32_t index;   /* in the snapshot */
};

struct pg_raw_workload {
    struct pg_object object;
    int64_t replicas;
    struct pg_selector selector;
    struct pg_labels labels; /* of the template */
    struct pg_pod_spec spec;
    const char *service_name; /* StatefulSet */
};

struct pg_raw_node {
    struct pg_object object;
    struct pg_node node;
    bool cidr_written;
};

struct pg_raw_path {
    const char *path;
    enum pg_path_type type;
    const char *service;  /* "": a resource or wrong */
    const char *resource; /* "StorageBucket/assets"; "": none */
    const char *port_name;
    uint16_t port;
    struct pg_source source;
    uint32_t column;
};
struct pg_raw_rule {
    const char *host;
    struct pg_source source;
    const struct pg_raw_path *paths;
    uint32_t path_count;
};
struct pg_raw_tls {
    const char *const *hosts;
    uint32_t host_count; /* 0: those of the rules */
    const char *secret;  /* "" */
    struct pg_source source;
};
struct pg_raw_secret {
    struct pg_object object;
    struct pg_secret secret; /* names are object's */
};
/* A stretch of load->filters. */
struct pg_raw_filters {
    bool done;
    uint32_t first, count;
};
/* What an Ingress with `canary: "true"` says about the requests it wants. */
struct pg_raw_canary {
    bool on;
    uint32_t weight, total;
    const char *header, *value, *pattern, *cookie; /* "": not written */
    struct pg_source weight_source, header_source, cookie_source;
};
/* What annotations say about TLS to pods. */
struct pg_raw_proxy_ssl {
    bool https;           /* backend-protocol */
    const char *protocol; /* as written */
    struct pg_source source;
    const char *secret; /* "ns/name"; "" */
    struct pg_source secret_source;
    struct pg_source first; /* of another proxy-ssl-*; line 0: none */
    const char *first_name;
    bool verify, send_name;
    struct pg_source verify_source;
    uint8_t depth;
    uint8_t versions;    /* of those podglass can */
    const char *name;    /* "" */
    const char *ciphers; /* "" */
    uint32_t made;       /* 1 + place in load->upstream_tls; by derive_upstream_tls.c */
};
struct pg_raw_ingress {
    struct pg_object object;
    const struct pg_raw_tls *tls;
    uint32_t tls_count;
    bool passthrough; /* by annotation */
    struct pg_source passthrough_source;
    const char *class_name; /* "": none */
    struct pg_source class_source;
    const char *class_field; /* "spec.ingressClassName", or the annotation of old */
    const struct pg_raw_rule *rules;
    uint32_t rule_count;
    struct pg_raw_path fallback; /* service "": none */
    /* By annotations.c; what the controller does unasked is added by derive_filters.c. */
    struct pg_list filters; /* of struct pg_route_filter */
    struct pg_route_filter
        https[2]; /* ssl-redirect, force-ssl-redirect; object NULL: not written */
    struct pg_raw_canary canary;
    struct pg_raw_proxy_ssl proxy_ssl;
    bool use_regex;
    struct pg_source regex_source; /* of use-regex */
    bool served;                   /* by our ingress; filled by derive_classes.c */
    struct pg_raw_filters made[2]; /* without and with a certificate; by derive_routes.c */
};
/* What the ConfigMap of ingress-nginx does to the requests of all its Ingress objects; by derive_nginx.c. */
struct pg_nginx {
    const char *title;      /* "": there is none */
    struct pg_list filters; /* of struct pg_route_filter */
    struct pg_route_filter
        https[2]; /* ssl-redirect, force-ssl-redirect; object NULL: not written */
    uint64_t redirect_code;
};
struct pg_raw_class {
    struct pg_object object;
    const char *controller;
    bool is_default;
};

struct pg_lab_pod {
    const char *namespace;
    const char *name; /* may hold '*' */
    bool exact;
    bool has_backing;
    enum pg_backing backing;
    struct pg_addr addr;
    const char *node; /* "" */
    struct pg_source source;
    uint32_t column;
    const char *field;
    bool used;
};
struct pg_raw_lab {
    struct pg_object object;
    struct pg_lab lab;
    struct pg_prefix lb_cidr;
    struct pg_list nodes;   /* of struct pg_node */
    struct pg_list clients; /* of struct pg_client */
    bool has_clients;
    bool has_dns;
    const char *ingress_service; /* "ns/name"; "" */
    struct pg_source ingress_source;
    const char *ingress_class; /* "" */
    struct pg_source ingress_class_source;
    const char *config_map; /* "ns/name"; "" */
    struct pg_source config_map_source;
    struct pg_list pods; /* of struct pg_lab_pod */
};

#endif
