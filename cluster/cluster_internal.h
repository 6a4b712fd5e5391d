/* folder: cluster
 * What the files of this folder share: one load from text to snapshot.
 *
 *   input.c        files, directories, stdin  -> text
 *   manifest.c     text                       -> documents (tree.h)
 *   kinds*.c       documents                  -> raw objects (raw.h), each checked on its own
 *   derive*.c      raw objects                -> what a cluster would add: nodes, pods, addresses,
 *                                                ports, endpoints, the ingress, routes
 *   snapshot.c     all of it                  -> the arrays of snapshot.h, in memory of its own
 *
 * Raw objects live in load->scratch and point into the trees; only snapshot.c copies. */
#ifndef PODGLASS_CLUSTER_INTERNAL_H
#define PODGLASS_CLUSTER_INTERNAL_H

#include "arena.h"
#include "raw.h"
#include "tree.h"

#include "podglass/checks.h"
#include "podglass/snapshot.h"

#define PG_FINDINGS_MAX 10000u
#define PG_REPLICAS_MAX 5000

/* --- findings.c --- */
struct pg_finding_list {
    struct pg_arena arena;
    struct pg_list list; /* of struct pg_finding */
    uint32_t errors;
    uint32_t warnings;
    bool full;
    bool errors_only; /* warnings and notes would only be consequences of errors */
};
__attribute__((format(printf, 7, 8))) void pg_finding_add(
    struct pg_load *load, enum pg_finding_level level, const char *code, const char *object,
    const char *field, const struct pg_source *source, const char *format, ...);
__attribute__((format(printf, 8, 0))) void pg_finding_vadd(
    struct pg_load *load, enum pg_finding_level level, const char *code, const char *object,
    const char *field, const struct pg_source *source, uint32_t column, const char *format,
    va_list args);
void pg_findings_take(struct pg_load *load,
                      struct pg_findings *ret); /* sorted; the list is empty after */

/* Codes of this folder; codes.def has the numbers. */
#define PG_CODE_SCTP        "PG128" /* a protocol that is not translated */
#define PG_CODE_WRONG       "PG400" /* the input is wrong */
#define PG_CODE_UNSUPPORTED "PG401" /* could change the path, not supported */
#define PG_CODE_IGNORED     "PG402" /* kind does not take part */
#define PG_CODE_ASSUMED     "PG403" /* nobody wrote it, so it was made up */
#define PG_CODE_DANGLING    "PG404" /* names something that is not there */
#define PG_CODE_OUTGOING    "PG405" /* works, and will not for ever */
#define PG_CODE_TRUSTS_ALL  "PG406" /* believes whoever connects */
#define PG_CODE_REGEX       "PG411" /* a path that another rule makes a regular expression */
#define PG_CODE_BAD_PAIR    "PG430" /* certificate and key of a Secret can not be used */
#define PG_CODE_BAD_DATES   "PG431" /* a certificate outside its time */
#define PG_CODE_UNVERIFIED  "PG433" /* TLS to pods that believes whoever answers */
#define PG_CODE_BAD_NAME    "PG432" /* a certificate that does not cover its host */

/* Of a Secret: ca.crt, the certificates of authorities. */
struct pg_raw_ca {
    struct pg_object object;
    const char *pem;
    uint32_t len;
    uint32_t secret; /* its certificate and key, in load->secrets; PG_INDEX_NONE: it has none */
};

/* One load. */
struct pg_load {
    struct pg_load_options options;
    const char *namespace; /* of objects that name none */
    struct pg_arena scratch;
    struct pg_finding_list findings;
    int io_error;             /* a file could not be read */
    uint32_t nodes_read;      /* of all trees */
    struct pg_list sets;      /* of struct pg_set */
    struct pg_list files;     /* of const char *: in the order they were read */
    struct pg_list documents; /* of struct pg_document */
    struct pg_index titles;   /* title -> place in objects */
    struct pg_list objects;   /* of struct pg_object * */
    struct pg_index kinds_noted;
    struct pg_list services; /* of struct pg_raw_service *, and so on */
    struct pg_list slices;
    struct pg_list pods;
    struct pg_list workloads;
    struct pg_list nodes;
    struct pg_list ingresses;
    struct pg_list classes;
    struct pg_list secrets;      /* of struct pg_raw_secret * */
    struct pg_list tls_hosts;    /* of struct pg_tls_host; filled by derive_tls.c */
    struct pg_list cas;          /* of struct pg_raw_ca * */
    struct pg_list policies;     /* of struct pg_raw_backend_policy * */
    struct pg_list upstream_tls; /* of struct pg_upstream_tls; filled by derive_upstream_tls.c */
    bool has_secrets;            /* scratch memory is to be wiped */
    struct pg_list config_maps;  /* of struct pg_object * */
    struct pg_nginx nginx;
    struct pg_list gateway_classes;
    struct pg_list gateways;
    struct pg_list http_routes;
    struct pg_list grants;
    struct pg_list namespaces; /* of const char * */
    struct pg_raw_lab *lab;    /* never NULL */
    struct pg_arena
        check_memory;           /* of what kinds_check.c reads: the caller's if the load is good */
    struct pg_list checks;      /* of struct pg_check_case */
    struct pg_list check_names; /* of struct pg_check_name: what they name, to be looked up */
    struct pg_index case_names;
    const char *check_file; /* name of the last file a case was in */
    uint32_t check_documents;
    /* Filled by derive*.c: */
    struct pg_index service_by_name; /* "ns/name" -> place in services */
    struct pg_index pod_by_name;
    struct pg_index node_by_name;
    struct pg_index secret_by_name;
    struct pg_index policy_by_target; /* 1 + place in upstream_tls */
    struct pg_index tls_by_host;      /* place in tls_hosts */
    struct pg_index addr_owner;       /* struct pg_addr -> place in owners: who has it */
    struct pg_list owners;            /* of const struct pg_object * */
    struct pg_index
        pod_by_addr; /* struct pg_addr -> place in pods; those with an address of their own */
    struct pg_index
        claims;       /* address, protocol and port that a service answers on; derive_services.c */
    bool families[2]; /* whether the cluster has IPv4, IPv6 */
    struct pg_raw_service *ingress; /* the service in front of our ingress; NULL: none */
    struct pg_list
        routes; /* of struct pg_route; service and ingress are indexes of the lists above */
    struct pg_list tests;         /* of struct pg_route_test; routes name stretches of it */
    struct pg_list route_parents; /* of struct pg_route_parent, route after route */
    struct pg_index regex_hosts;  /* host -> the first Ingress that makes its paths expressions */
    struct pg_list filters;       /* of struct pg_route_filter; routes name stretches of it */
};

/* --- input.c --- */
void pg_input_read(struct pg_load *load, const struct pg_manifest_input *input);

/* --- set.c: values of --set, laid over an object before it is read --- */
void pg_sets_read(struct pg_load *load);
void pg_sets_apply(struct pg_load *load,
                   struct pg_object *object);      /* object->root may become another */
bool pg_sets_want_lab(const struct pg_load *load); /* for a Lab, and none was there */
void pg_sets_check(struct pg_load *load);          /* what had no object or no reader is an error */

/* --- change.c --- */
void pg_change_free(struct pg_snapshot *copy); /* the last reference is gone */

/* --- kinds.c --- */
void pg_kinds_read(struct pg_load *load);                   /* every document */
struct pg_labels pg_kinds_labels(const struct pg_field *f); /* a map of texts */
uint8_t pg_kinds_protocol(const struct pg_field *f);        /* TCP if not written */
/* kinds_*.c: one object each; object is complete, root is the whole object. */
void pg_kinds_service(struct pg_load *load, const struct pg_object *object);
void pg_kinds_slice(struct pg_load *load, const struct pg_object *object);
void pg_kinds_endpoints(struct pg_load *load, const struct pg_object *object);
void pg_kinds_pod(struct pg_load *load, const struct pg_object *object);
void pg_kinds_node(struct pg_load *load, const struct pg_object *object);
void pg_kinds_workload(struct pg_load *load, const struct pg_object *object);
void pg_kinds_ingress(struct pg_load *load, const struct pg_object *object);
void pg_kinds_gateway_class(struct pg_load *load, const struct pg_object *object);
void pg_kinds_gateway(struct pg_load *load, const struct pg_object *object);
void pg_kinds_reference_grant(struct pg_load *load, const struct pg_object *object);
void pg_kinds_http_route(struct pg_load *load, const struct pg_object *object);
void pg_kinds_grpc_route(struct pg_load *load, const struct pg_object *object);
void pg_kinds_tls_route(struct pg_load *load, const struct pg_object *object);
void pg_kinds_backend_tls_policy(struct pg_load *load, const struct pg_object *object);
struct pg_selector pg_kinds_selector(const struct pg_field *f); /* of labels */
void pg_kinds_ingress_class(struct pg_load *load, const struct pg_object *object);
void pg_kinds_secret(struct pg_load *load, const struct pg_object *object);
void pg_kinds_ingress_tls(const struct pg_field *spec, struct pg_raw_ingress *in);
const char *pg_kinds_host(const struct pg_field *f); /* a host name of an Ingress; "" if wrong */
void pg_kinds_config_map(struct pg_load *load, const struct pg_object *object);
void pg_kinds_lab(struct pg_load *load, const struct pg_object *object);
void pg_kinds_check(struct pg_load *load, const struct pg_object *object);
void pg_checks_init(struct pg_load *load);
void pg_checks_resolve(struct pg_load *load); /* looks up what the cases name; after derive */
void pg_checks_take(struct pg_load *load, struct pg_checks *ret);
struct pg_raw_lab *pg_lab_default(struct pg_load *load);
/* Reads up to room ranges; more are an error. Returns how many. */
uint32_t pg_lab_prefixes(const struct pg_field *f, struct pg_prefix *to, uint32_t room);
/* "namespace/name"; the name may hold '*' if wild. false: it is not there, or wrong and reported. */
bool pg_lab_name(const struct pg_field *f, bool wild, const char **ret_namespace,
                 const char **ret_name);
/* ---- kinds_lab_ingress.c ---- */
void pg_kinds_lab_ingress(const struct pg_field *spec, struct pg_raw_lab *lab);

/* ---- kinds_lab_limits.c ---- */
void pg_kinds_lab_limits(const struct pg_field *ingress, struct pg_ingress_limits *to);
void pg_kinds_lab_services(const struct pg_field *spec, struct pg_raw_lab *lab);
void pg_lab_default_services(struct pg_service_settings *to);
void pg_kinds_lab_ingress_default(struct pg_ingress_settings *ret);
void pg_kinds_lab_upstream(const struct pg_field *ingress,
                           struct pg_ingress_settings *to); /* kinds_lab_upstream.c */
struct pg_pod_spec pg_kinds_pod_spec(const struct pg_field *spec);

/* --- derive*.c, in the order they run --- */
void pg_derive(struct pg_load *load);
void pg_derive_nodes(struct pg_load *load);
void pg_derive_ranges(struct pg_load *load); /* lab.cluster_cidr, lab.service_cidr, lab.dns */
void pg_derive_ingress(
    struct pg_load *load);                 /* finds or makes the Service in front of the ingress */
void pg_derive_pods(struct pg_load *load); /* who there is, and on which node */
void pg_derive_pod_addrs(struct pg_load *load);
void pg_derive_service_written(
    struct pg_load *load); /* takes what is written, before anything is given out */
void pg_derive_services(struct pg_load *load);
void pg_derive_endpoints(struct pg_load *load);
void pg_derive_ingress_pods(struct pg_load *load);
void pg_derive_routes(struct pg_load *load);
void pg_derive_tls(struct pg_load *load); /* before the routes */
void pg_derive_upstream_tls(struct pg_load *load);
void pg_derive_tls_names(struct pg_load *load);                                   /* after them */
struct pg_tls_host *pg_tls_host_of(const struct pg_load *load, const char *host); /* or NULL */

/* Takes an address for an object. NULL, or who has it already: "Pod/shop/web-0 (shop.yaml:4)". */
const char *pg_derive_take_addr(struct pg_load *load, const struct pg_addr *a,
                                const struct pg_object *object);
bool pg_derive_addr_taken(const struct pg_load *load, const struct pg_addr *a);
/* The first free address of a prefix at or after first + hash % (last - first + 1), going round;
 * counted from the prefix. None if full. */
struct pg_addr pg_derive_pick(const struct pg_load *load, const struct pg_prefix *prefix,
                              uint32_t first, uint32_t last, uint64_t hash);
uint32_t pg_prefix_size(const struct pg_prefix *p); /* addresses in it; at most 2^31 */
uint32_t pg_prefix_merge(struct pg_prefix *at, uint32_t count,
                         uint32_t limit); /* new count; covers at least the same */
int pg_name_compare(const char *a,
                    const char *b); /* numbers inside count as numbers: web-2 before web-10 */
int pg_object_compare(const struct pg_object *a,
                      const struct pg_object *b); /* namespace, name, kind */
void pg_name_add(struct pg_load *load, struct pg_index *x, const char *namespace, const char *name,
                 uint32_t value);
uint32_t pg_name_find(const struct pg_index *x, const char *namespace, const char *name);
uint32_t pg_derive_node_of(const struct pg_load *load,
                           const struct pg_addr *a); /* whose pod range; or PG_INDEX_NONE */
bool pg_prefix_overlap(const struct pg_prefix *a, const struct pg_prefix *b);

bool pg_selector_holds(const struct pg_selector *s, const struct pg_object *o);

/* Pods by label, for selectors. */
struct pg_label_index {
    struct pg_load *load;
    struct pg_index pairs; /* "ns\0key\0value" and "ns\0\0" -> place in lists */
    struct pg_list lists;  /* of struct pg_list of uint32_t */
};
void pg_label_index_build(struct pg_load *load, struct pg_label_index *ret); /* over load->pods */
/* Places in load->pods of those that match, in order; *ret_count. */
const uint32_t *pg_label_select(struct pg_label_index *x, const char *namespace,
                                const struct pg_selector *selector, uint32_t *ret_count);

/* --- snapshot_tls.c --- */
void pg_snapshot_tls_build(const struct pg_load *load, struct pg_arena *arena,
                           struct pg_snapshot *s);
void pg_snapshot_tls_free(struct pg_snapshot *s); /* wipes the keys */

/* sum.c */
uint64_t pg_service_sum(const struct pg_snapshot *s, uint32_t service);
uint64_t pg_frame_sum(const struct pg_snapshot *s);
uint64_t pg_names_sum(const struct pg_snapshot *s);

/* ---- reclaim.c ---- */
/* What is behind a snapshot; the first thing in a malloced block. */
struct pg_memory {
    struct pg_memory *next;
    struct pg_arena arena;
};
void pg_memory_let_go(struct pg_memory *m); /* nobody has it any more */

#endif
