/* folder: dns */
/* The compiled zone, for the files of this folder. It has two halves.
 *
 * What does not belong to a service (the domain itself, namespaces, hosts of Ingress rules) is a tree
 * of labels, the frame: zone_frame.c fills it through zone_tree.c. What a service has (its name, its
 * endpoints' names, its ports) is a part: zone_part.c makes one from a service of a snapshot, after
 * which it holds no index of that snapshot. zone_update.c exchanges parts whose service changed, so
 * a reload costs what changed. zone.c finds names in both, records.c writes what they have. */
#ifndef PODGLASS_DNS_ZONE_H
#define PODGLASS_DNS_ZONE_H

#include "podglass/dns.h"
#include "podglass/table.h"

#include "dns_wire.h"

#define PG_ZONE_NONE UINT32_MAX
#define PG_ZONE_ROOT 0u

enum pg_zone_kind {
    PG_ZONE_EMPTY,      /* there are names below */
    PG_ZONE_APEX,       /* the cluster domain */
    PG_ZONE_NAMESPACE,  /* below svc: its children are services */
    PG_ZONE_PODS,       /* below pod: its children are computed */
    PG_ZONE_VERSION,    /* dns-version */
    PG_ZONE_NAMESERVER, /* ns.dns */
    PG_ZONE_HOST,       /* what: into frame->host_reasons; a host of an Ingress, or "*" */
    PG_ZONE_REVERSE4,   /* in-addr.arpa: children are computed */
    PG_ZONE_REVERSE6,   /* ip6.arpa */
    /* Only found, never in the tree: */
    PG_ZONE_SERVICE,  /* web.shop.svc */
    PG_ZONE_ENDPOINT, /* what: first in part->by_label; web-0.web.shop.svc */
    PG_ZONE_PORT,     /* what: into part->ports; _http._tcp.web.shop.svc */
    PG_ZONE_POD,      /* 10-244-1-7.shop.pod */
    PG_ZONE_POINTER,  /* a reverse name; what: first in zone->refs */
    PG_ZONE_KIND_COUNT
};

/* ---- a service: zone_part.c ---- */

/* One ready address of a service under one name. */
struct pg_zone_end {
    struct pg_addr addr;
    uint32_t label; /* into part->texts */
    bool repeats;   /* the service has this address already, under another name */
};

/* What an SRV record of a headless service says; each pair of name and port number once. */
struct pg_zone_target {
    uint32_t end; /* the first of its name */
    uint16_t port;
};

struct pg_zone_port {
    uint32_t label;        /* into part->texts; 0: no name, so nothing asks for it */
    uint32_t first, count; /* targets */
    uint32_t ready; /* ready endpoints, those that say nothing new included: shares of the weight */
    uint16_t port;  /* 0: a headless service without ports */
    uint8_t proto;
};

/* One block of memory. Texts are a length byte and lower-case letters: a label as it is on the wire. */
struct pg_zone_part {
    enum pg_service_type type;
    bool named; /* false: there is no such name (headless without ready endpoint) */
    uint32_t namespace, name;
    uint32_t alias; /* ExternalName: the target's wire name, into texts; 0: none */
    struct pg_addr cluster_ip[2];
    pg_reason_id answer, nodata;
    uint32_t end_count, port_count, target_count;
    uint32_t first_ref;             /* its entries in zone->refs: index plus one, by next_of_part */
    const struct pg_zone_end *ends; /* in the snapshot's order */
    const uint32_t *by_label;       /* ends sorted by label */
    const struct pg_zone_port *ports; /* as in the manifest */
    const struct pg_zone_target *targets;
    const uint8_t *texts;
};

/* NULL: out of memory. Freed with free(). A service whose name cannot be a label is not named. */
struct pg_zone_part *pg_zone_part_new(const struct pg_snapshot *s, uint32_t service);
/* First in by_label of the ends with this label, or PG_ZONE_NONE. Lower case, length byte first. */
uint32_t pg_zone_part_find(const struct pg_zone_part *p, const uint8_t *label);
bool pg_zone_same_label(const uint8_t *a, const uint8_t *b);

/* ---- the tree: zone_tree.c ---- */

struct pg_zone_name {
    uint32_t parent;
    uint32_t label; /* offset into tree->labels; lower case */
    uint32_t what;
    uint8_t len;
    uint8_t kind; /* enum pg_zone_kind */
};

/* A name is a number; its children are found by hashing (parent, label), so a lookup is one probe
 * per label and what lies between two names (an empty non-terminal) is a name like any other. */
struct pg_zone_tree {
    struct pg_hash_key key;
    struct pg_table *by_label; /* (parent, label) -> name */
    struct pg_zone_name *names;
    uint32_t name_count, name_room;
    char *labels;
    uint32_t labels_len, labels_room;
    bool failed; /* out of memory while building */
};

bool pg_zone_tree_init(struct pg_zone_tree *t, const struct pg_hash_key *key); /* with the root */
void pg_zone_tree_free(struct pg_zone_tree *t);
/* The child of a name, label in lower case; PG_ZONE_NONE if there is none. */
uint32_t pg_zone_child(const struct pg_zone_tree *t, uint32_t parent, const void *label,
                       uint32_t len);
/* The child of parent with this label, made if it is new. PG_ZONE_NONE: not a label, parent is
 * NONE, or out of memory. */
uint32_t pg_zone_add_child(struct pg_zone_tree *t, uint32_t parent, const char *label);
uint32_t pg_zone_add_path(struct pg_zone_tree *t,
                          const char *text); /* a whole name, from the root down */
/* Only of a name that is nothing else yet. */
void pg_zone_set_kind(struct pg_zone_tree *t, uint32_t name, enum pg_zone_kind kind, uint32_t what);

/* ---- what belongs to no service: zone_frame.c ---- */

struct pg_zone_frame {
    struct pg_zone_tree tree;
    uint32_t apex;
    pg_reason_id *host_reasons;
    uint32_t host_reason_count;
    struct pg_addr *host_addrs; /* what every host answers */
    uint32_t host_addr_count;
    pg_reason_id reasons[PG_DNS_STATUS_COUNT]; /* of names that no single object stands for */
    uint8_t domain[PG_DNS_NAME_MAX];           /* wire names: svc.<domain> ... */
    uint8_t nameserver[PG_DNS_NAME_MAX];       /* ... and those of the SOA record */
    uint8_t hostmaster[PG_DNS_NAME_MAX];
};

struct pg_zone_frame *pg_zone_frame_new(const struct pg_snapshot *s, const struct pg_hash_key *key);
void pg_zone_frame_free(struct pg_zone_frame *f);
/* Whether the frame of one snapshot is that of another. */
bool pg_zone_frame_fits(const struct pg_snapshot *a, const struct pg_snapshot *b);

/* ---- the whole: zone_update.c ---- */

#define PG_ZONE_CLUSTER_IP 0xfffffffeu /* plus 1 for IPv6: no end, but a cluster IP */

/* A reverse name: an address that some part has. Those with the same address are a chain. */
struct pg_zone_ref {
    const struct pg_zone_part *part;
    uint32_t end;          /* of the part, or PG_ZONE_CLUSTER_IP */
    uint32_t next_of_addr; /* index plus one */
    uint32_t next_of_part; /* index plus one; of a free one: the next free one */
};

struct pg_zone {
    struct pg_snapshot *snapshot;
    struct pg_hash_key key;
    struct pg_zone_frame *frame;
    struct pg_zone_part **parts; /* by slot; NULL: free, or not asked for yet */
    bool
        on_demand; /* parts are made when they are asked for, slots are service indexes; reverse names are not known */
    uint32_t slot_count, slot_room;
    uint32_t *slot_of;        /* by service index of the snapshot */
    struct pg_table *by_name; /* (namespace, name) -> slot; parts that are named */
    struct pg_table *by_addr; /* address -> first of its refs */
    struct pg_zone_ref *refs;
    uint32_t ref_count, ref_room, ref_free; /* ref_free: index plus one */
};

/* The part of a service by its labels in lower case, length byte first; NULL: none. */
const struct pg_zone_part *pg_zone_service(const struct pg_zone *z, const uint8_t *namespace,
                                           const uint8_t *name);
/* Index of the first ref of an address, or PG_ZONE_NONE. */
uint32_t pg_zone_pointer_of(const struct pg_zone *z, const struct pg_addr *a);
/* The part whose cluster IP it is, or NULL; `ref` begins the chain. */
const struct pg_zone_part *pg_zone_cluster_ip_of(const struct pg_zone *z, uint32_t ref);

/* ---- zone.c ---- */

/* What a name turned out to be. */
struct pg_zone_match {
    enum pg_dns_status status; /* OK: the name exists */
    enum pg_zone_kind kind;
    uint32_t what;                   /* as told at the kind */
    const struct pg_zone_part *part; /* of SERVICE, ENDPOINT and PORT; else NULL */
    bool elsewhere;                  /* NXDOMAIN of a reverse name: somebody else may have it */
    uint32_t zone_at;    /* where in the name asked for the zone's own name begins (not REFUSED) */
    struct pg_addr addr; /* of a POD */
};

struct pg_zone_match pg_zone_find(const struct pg_zone *z, const uint8_t *name);
/* The addresses of one family, one after the other; *cursor is 0 to begin. NULL: no more. */
const struct pg_addr *pg_zone_next_addr(const struct pg_zone *z, const struct pg_zone_match *m,
                                        bool want_v6, uint32_t *cursor);
/* The wire name to which m is an alias, or NULL. */
const uint8_t *pg_zone_alias(const struct pg_zone_match *m);
/* The wire name of a service, or of one of its ends. Length, 0: longer than a name can be. */
uint32_t pg_zone_name_wire(const struct pg_zone *z, const struct pg_zone_part *p, uint32_t end,
                           uint8_t ret[PG_DNS_NAME_MAX]);
pg_reason_id pg_zone_reason(const struct pg_zone *z, const struct pg_zone_match *m,
                            enum pg_dns_status status);

#define PG_DNS_CHAIN_MOST 10 /* CNAMEs followed for one question */

/* ---- records.c ---- */

/* What goes into the response to a question about a name that is not refused. */
struct pg_dns_outcome {
    enum pg_dns_status status;
    bool truncated;
    struct pg_addr first;
    pg_reason_id reason;
    const uint8_t *beyond; /* wire name outside to which aliases lead; NULL: they do not */
};

/* What somebody else answered to a question about such a name. */
struct pg_dns_foreign {
    const uint8_t *message;
    uint32_t len;
};
struct pg_dns_outcome pg_dns_records(const struct pg_zone *z, const struct pg_zone_match *m,
                                     const struct pg_dns_query *q,
                                     const struct pg_dns_foreign *foreign, uint64_t draw,
                                     struct pg_dns_writer *w);
/* Parses, decides the kind of answer and writes it: pg_dns_answer, with what lies behind an alias if it is known. */
uint32_t pg_dns_answer_with(const struct pg_zone *z, const void *query, uint32_t len, bool over_tcp,
                            uint64_t draw, const struct pg_dns_foreign *foreign, void *out,
                            uint32_t room, struct pg_dns_answer *ret_about);
/* An answer that is an error code and the question. */
uint32_t pg_dns_error(const void *query, uint32_t len, uint16_t rcode, void *out, uint32_t room);

#endif
