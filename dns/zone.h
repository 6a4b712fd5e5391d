/* folder: dns */
/* The compiled zone, for the files of this folder: zone_build.c fills it through zone_tree.c,
 * zone.c finds names in it, records.c writes what they have.
 *
 * Names are a tree of labels. A name is a number; its children are found by hashing (parent,
 * label), so a lookup is one probe per label and what lies between two names (an empty
 * non-terminal) is a name like any other. */
#ifndef PODGLASS_DNS_ZONE_H
#define PODGLASS_DNS_ZONE_H

#include "podglass/dns.h"
#include "podglass/table.h"

#include "dns_wire.h"

#define PG_ZONE_NONE UINT32_MAX
#define PG_ZONE_ROOT 0u
/* In endpoint_names: another endpoint of the same service port has this name and port number
 * already. */
#define PG_ZONE_REPEATS 0x80000000u

enum pg_zone_kind {
    PG_ZONE_EMPTY,      /* there are names below */
    PG_ZONE_APEX,       /* the cluster domain */
    PG_ZONE_SERVICE,    /* what: service index; web.shop.svc */
    PG_ZONE_ENDPOINT,   /* what: first of its addresses in zone->endpoints; web-0.web.shop.svc */
    PG_ZONE_PORT,       /* what: service port index; _http._tcp.web.shop.svc */
    PG_ZONE_PODS,       /* a namespace below pod: its children are computed */
    PG_ZONE_VERSION,    /* dns-version */
    PG_ZONE_NAMESERVER, /* ns.dns */
    PG_ZONE_HOST,       /* what: route index; a host of an Ingress, or "*" below its parent */
    PG_ZONE_REVERSE4,   /* in-addr.arpa: children are computed */
    PG_ZONE_REVERSE6,   /* ip6.arpa */
    PG_ZONE_POD,        /* only found, never kept: 10-244-1-7.shop.pod */
    PG_ZONE_POINTER,    /* only found: a reverse name; what: index into zone->pointers */
    PG_ZONE_KIND_COUNT
};

struct pg_zone_name {
    uint32_t parent;
    uint32_t label; /* offset into zone->labels; lower case */
    uint32_t what;
    uint8_t len;
    uint8_t kind; /* enum pg_zone_kind */
};

/* One ready address of a service. Those of one service lie together. */
struct pg_zone_endpoint {
    uint32_t endpoint;     /* index into the snapshot's */
    uint32_t name;         /* its name below the service */
    uint32_t next_of_name; /* next address with the same name; PG_ZONE_NONE ends */
    uint32_t next_of_addr; /* same address, other service */
    bool repeats;          /* the service has this address already, under another name */
};

/* An address that has a reverse name. */
struct pg_zone_pointer {
    struct pg_addr addr;
    uint32_t service;   /* whose cluster IP it is, or PG_ZONE_NONE */
    uint32_t endpoints; /* first in zone->endpoints, or PG_ZONE_NONE */
};

struct pg_zone_service {
    uint32_t name;         /* PG_ZONE_NONE: has no name (headless without ready endpoint) */
    uint32_t first, count; /* in zone->endpoints */
    uint32_t alias; /* ExternalName: offset of the target's wire name in zone->aliases; 0: none */
    pg_reason_id answer, nodata;
};

struct pg_zone {
    struct pg_snapshot *snapshot;
    struct pg_hash_key key;
    struct pg_table *by_label; /* (parent, label) -> name */
    struct pg_table *by_addr;  /* address -> pointer */
    struct pg_zone_name *names;
    uint32_t name_count, name_room;
    char *labels;
    uint32_t labels_len, labels_room;
    struct pg_zone_endpoint *endpoints;
    uint32_t endpoint_count, endpoint_room;
    struct pg_zone_pointer *pointers;
    uint32_t pointer_count, pointer_room;
    char *aliases;
    uint32_t aliases_len, aliases_room;
    struct pg_zone_service *services; /* by service index */
    /* By endpoint index: its name, PG_ZONE_REPEATS or'ed in; PG_ZONE_NONE: not ready. */
    uint32_t *endpoint_names;
    uint32_t *port_ready;       /* by service port index: ready endpoints */
    pg_reason_id *host_reasons; /* by route index */
    struct pg_addr *host_addrs; /* what every host answers */
    uint32_t host_addr_count;
    uint32_t apex;
    uint32_t dns_service; /* the service whose cluster IP is the DNS address, or PG_ZONE_NONE */
    pg_reason_id reasons[PG_DNS_STATUS_COUNT]; /* of names that no single object stands for */
    uint8_t nameserver[PG_DNS_NAME_MAX];       /* wire names of the SOA record */
    uint8_t hostmaster[PG_DNS_NAME_MAX];
    bool failed; /* out of memory while building */
};

/* ---- zone_tree.c ---- */

/* The child of a name, label in lower case; PG_ZONE_NONE if there is none. */
uint32_t pg_zone_child(const struct pg_zone *z, uint32_t parent, const void *label, uint32_t len);
/* Index into zone->pointers or PG_ZONE_NONE. */
uint32_t pg_zone_pointer_of(const struct pg_zone *z, const struct pg_addr *a);

/* Tables and the root. false: out of memory. */
bool pg_zone_tree_init(struct pg_zone *z);
/* The child of parent with this label, made if it is new. PG_ZONE_NONE: not a label, parent is
 * NONE, or out of memory. */
uint32_t pg_zone_add_label(struct pg_zone *z, uint32_t parent, const char *label, size_t len);
uint32_t pg_zone_add_child(struct pg_zone *z, uint32_t parent, const char *label);
uint32_t pg_zone_add_path(struct pg_zone *z,
                          const char *text); /* a whole name, from the root down */
/* Only of a name that is nothing else yet. */
void pg_zone_set_kind(struct pg_zone *z, uint32_t name, enum pg_zone_kind kind, uint32_t what);
struct pg_zone_pointer *pg_zone_add_pointer(struct pg_zone *z,
                                            const struct pg_addr *a); /* NULL: out of memory */
/* Room for `more` elements behind `count`: the array, moved if needed, or NULL and zone->failed. */
void *pg_zone_grow(struct pg_zone *z, void *array, uint32_t count, uint32_t *room, uint32_t more,
                   size_t size);
#define PG_ZONE_GROW(z, array, count, room, more)                                               \
    __extension__({                                                                             \
        void *grown_ =                                                                          \
            pg_zone_grow((z), (z)->array, (z)->count, &(z)->room, (more), sizeof(*(z)->array)); \
        if (grown_) {                                                                           \
            (z)->array = grown_;                                                                \
        }                                                                                       \
        grown_ != NULL;                                                                         \
    })

/* ---- zone.c ---- */

/* What a name turned out to be. */
struct pg_zone_match {
    enum pg_dns_status status; /* OK: the name exists */
    enum pg_zone_kind kind;
    uint32_t name;       /* PG_ZONE_NONE for computed names */
    uint32_t what;       /* as in struct pg_zone_name */
    uint32_t service;    /* the service it belongs to, or PG_ZONE_NONE */
    uint32_t zone_at;    /* where in the name asked for the zone's own name begins (not REFUSED) */
    struct pg_addr addr; /* of a POD */
};

struct pg_zone_match pg_zone_find(const struct pg_zone *z, const uint8_t *name);
/* The addresses of one family, one after the other; *cursor is 0 to begin. NULL: no more. */
const struct pg_addr *pg_zone_next_addr(const struct pg_zone *z, const struct pg_zone_match *m,
                                        bool want_v6, uint32_t *cursor);
/* The wire name to which m is an alias, or NULL. */
const uint8_t *pg_zone_alias(const struct pg_zone *z, const struct pg_zone_match *m);
/* The wire name of a name in the tree. Length, 0: longer than a name can be. */
uint32_t pg_zone_name_wire(const struct pg_zone *z, uint32_t name, uint8_t ret[PG_DNS_NAME_MAX]);
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
};
struct pg_dns_outcome pg_dns_records(const struct pg_zone *z, const struct pg_zone_match *m,
                                     const struct pg_dns_query *q, uint64_t draw,
                                     struct pg_dns_writer *w);

#endif
