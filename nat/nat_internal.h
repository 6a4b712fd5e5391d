/* What the files of nat/ share: the flow, the whole of a nat, and the verbs between its files.
 *
 * hooks.c takes a packet and asks, in this order: flow.c (is it of a flow we know?), tcp_track.c
 * (does it fit?), policy.c and service.c (else: where should it go?), affinity.c, port_alloc.c
 * (with which port?), rewrite.c (change it). use.c counts per endpoint, load.c swaps tables, dump.c
 * tells. Nothing here is seen outside nat/. */
#ifndef NAT_INTERNAL_H
#define NAT_INTERNAL_H

#include "flow_internal.h"
#include "podglass/nat.h"
#include "podglass/nat_decide.h"
#include "podglass/pool.h"
#include "podglass/table.h"
#include "service_internal.h"

/* ---- how often an endpoint is used ---- */

/* Endpoints chosen through one kind of address have the number of its enum pg_capture; sources that
 * replaced others follow. */
enum pg_use_kind {
    PG_USE_HAIRPIN = PG_CAPTURE_EXTERNAL_IP + 1,
    PG_USE_SNAT_SERVICE,
    PG_USE_SNAT_OUTSIDE
};

/* Hashed as bytes: no padding, zeroed before filling. */
struct pg_use_key {
    struct pg_addr addr;
    uint32_t name; /* of the service, interned */
    uint16_t addr_port;
    uint16_t service_port;
    uint8_t proto;
    uint8_t kind; /* enum pg_capture or enum pg_use_kind */
    uint8_t zero[6];
};
_Static_assert(sizeof(struct pg_use_key) == 32, "no padding in a hashed key");

struct pg_use {
    struct pg_use_key key;
    uint32_t active;
    uint32_t first;  /* its UDP flows (dnat kinds only): index plus one */
    uint32_t loaded; /* generation of the load that last named it */
    uint32_t next_of_name;
    uint32_t free_next;
    uint64_t hits;
    bool serving;
    bool gone; /* no service has it any more: ends with its last flow */
    bool taken;
};

#define PG_SNAT_ROWS_MOST 16u /* nodes whose own address `get nat` lists per service port */

struct pg_uses;
struct pg_uses *pg_uses_new(const struct pg_hash_key *key);
void pg_uses_free(struct pg_uses *u);
uint32_t pg_use_name(struct pg_uses *u, const char *namespace,
                     const char *name); /* interned; PG_INDEX_NONE: no memory */
const char *pg_use_name_text(const struct pg_uses *u, uint32_t name); /* "shop/web" */
void pg_use_name_parts(const struct pg_uses *u, uint32_t name, const char **ret_namespace,
                       const char **ret_name);
uint32_t pg_use_find(const struct pg_uses *u, const struct pg_use_key *key); /* 0: none */
uint32_t pg_use_make(struct pg_uses *u,
                     const struct pg_use_key *key); /* control plane; 0: no memory */
struct pg_use *pg_use_at(const struct pg_uses *u, uint32_t use);
uint32_t pg_use_count(const struct pg_uses *u); /* numbers below this exist; 0 is "no service" */
uint32_t pg_use_first_of(const struct pg_uses *u,
                         uint32_t name); /* rows of one service: by next_of_name; 0 ends */
void pg_use_drop(struct pg_uses *u, uint32_t use);
/* Rows that no service has any more and that are kept for their flows: a load sifts the list, then adds to it. */
void pg_use_sift_gone(struct pg_uses *u);
bool pg_use_add_gone(struct pg_uses *u, uint32_t use); /* false: no memory */
uint32_t pg_use_gone_count(const struct pg_uses *u);
uint32_t pg_use_gone_at(const struct pg_uses *u, uint32_t i); /* may have been dropped since */

/* ---- addresses by number ---- */

/* Addresses that flows are translated from and to, each once: addresses.c. */
struct pg_addresses {
    struct pg_addr *at; /* by number, from 1 */
    uint32_t count, most;
    struct pg_table *by_addr;
    struct pg_hash_key key;
};
bool pg_addresses_open(struct pg_addresses *a, const struct pg_hash_key *key,
                       uint32_t most);           /* false: no memory */
void pg_addresses_close(struct pg_addresses *a); /* also a zeroed one */
/* The number it has or now gets, for good; 0: there are too many. */
uint32_t pg_addresses_number(struct pg_addresses *a, const struct pg_addr *addr);

/* ---- the whole ---- */

/* The packet between prerouting (or output) and postrouting. */
enum pg_passing_kind { PASSING_NONE, PASSING_FLOW, PASSING_NEW, PASSING_ERROR };
struct pg_passing {
    enum pg_passing_kind kind;
    uint8_t direction;
    bool tell;     /* its records are wanted */
    bool dying;    /* the flow ends behind this packet */
    uint32_t flow; /* PASSING_FLOW */
    uint64_t packet;
    uint64_t id;          /* of the flow, as users see it; 0: that of `flow`, nobody asked yet */
    uint32_t hash[2];     /* PASSING_NEW: of its tuples */
    struct pg_tuple half; /* what the packet said between the hooks */
    struct pg_addr
        error_source; /* PASSING_ERROR: outer source to be; none: the router's own stays */
    struct pg_flow
        pending; /* PASSING_NEW: not in the table yet; PASSING_ERROR: a copy of the flow */
    uint32_t new_affinity; /* PASSING_NEW: service port whose affinity it writes; PG_INDEX_NONE */
};

struct pg_affinity;
struct pg_expiry;
struct pg_nat_events;
struct pg_nat {
    struct pg_counters *counters;
    struct pg_trace *trace;
    struct pg_random *random;
    struct pg_hash_key key;
    struct pg_pool *flows;
    struct pg_table *by_tuple;
    struct pg_addresses addresses;
    struct pg_expiry *expiry;
    struct pg_service_table *services; /* NULL before the first load */
    struct pg_uses *uses;
    struct pg_affinity *affinity;
    struct pg_passing passing;
    uint64_t now_us; /* of the last call */
    uint32_t loads;
    uint32_t tcp_timeout_ms[PG_CT_COUNT];
    uint32_t tcp_max_retrans_ms, tcp_unacknowledged_ms;
    uint32_t udp_ms, udp_stream_ms, icmp_ms, gre_ms, gre_stream_ms, generic_ms;
    bool strict_pickup;
    pg_reason_id reverse, port_clash;
    struct pg_nat_events *events; /* NULL: nobody watches */
    uint64_t events_told;
};

/* Where a packet of this direction goes before it is translated. */
static inline const struct pg_addr *pg_flow_dst(const struct pg_nat *n, const struct pg_flow *f,
                                                unsigned direction)
{
    uint32_t number = f->dst_number[direction];

    return number ? &n->addresses.at[number] : &f->src[!direction];
}
static inline struct pg_tuple pg_flow_tuple(const struct pg_nat *n, const struct pg_flow *f,
                                            unsigned direction)
{
    return (struct pg_tuple){.src = f->src[direction],
                             .dst = *pg_flow_dst(n, f, direction),
                             .src_port = f->src_port[direction],
                             .dst_port = f->dst_port[direction],
                             .proto = f->proto};
}

/* flow.c */
struct pg_flow *pg_flow_at(const struct pg_nat *n, uint32_t index);
static inline uint32_t pg_flow_hash(const struct pg_nat *n, const struct pg_tuple *t)
{
    return (uint32_t)pg_hash_tuple(&n->key, t);
}
/* index * 2 + direction, or PG_TABLE_NONE; the second for whom the hash is of no further use */
static inline uint32_t pg_flow_find(const struct pg_nat *n, const struct pg_tuple *t, uint32_t hash)
{
    return pg_table_find(n->by_tuple, hash, t);
}
uint32_t pg_flow_of(const struct pg_nat *n, const struct pg_tuple *t);
bool pg_flow_has_tuple(const void *nat, uint32_t value, const void *tuple); /* a pg_table_equal */
bool pg_flow_make_room(struct pg_nat *n); /* false: full, and nobody to end early */
/* Room was made: always works. hash: of its tuples, by direction. */
uint32_t pg_flow_insert(struct pg_nat *n, const struct pg_flow *f, const uint32_t hash[2]);
void pg_flow_delete(struct pg_nat *n, uint32_t index);
void pg_flow_extend(struct pg_nat *n, struct pg_flow *f, uint64_t due_ms);
static inline void pg_flow_set_due(struct pg_flow *f, uint64_t due_ms)
{
    f->due_ms = due_ms & PG_FLOW_MASK;
}
/* Index and generation in one number, from 1: what users, records and pg_nat_delete name a flow by. */
uint64_t pg_flow_id(const struct pg_nat *n, uint32_t index);
uint64_t pg_flow_next_id(
    const struct pg_nat *n); /* of the next flow to be inserted; room was made */
/* The same of the packet under way. */
static inline uint64_t pg_passing_id(const struct pg_nat *n)
{
    return n->passing.id ? n->passing.id : pg_flow_id(n, n->passing.flow);
}
void pg_flow_count(struct pg_flow *f, unsigned direction, const struct pg_packet *p);

/* dump.c: without its service */
void pg_flow_view(const struct pg_nat *n, uint32_t index, uint64_t now_us,
                  struct pg_nat_flow_view *v);

/* events.c */
void pg_events_free(struct pg_nat *n);
void pg_events_write(struct pg_nat *n, enum pg_nat_event_kind kind, uint32_t index);
static inline void pg_events_note(struct pg_nat *n, enum pg_nat_event_kind kind, uint32_t index)
{
    if (__builtin_expect(n->events != NULL, 0))
        pg_events_write(n, kind, index);
}

/* expiry.c */
struct pg_expiry *pg_expiry_new(uint64_t now_ms);
void pg_expiry_free(struct pg_expiry *e);
void pg_expiry_add(struct pg_nat *n, struct pg_flow *f, uint32_t index);
void pg_expiry_del(struct pg_nat *n, struct pg_flow *f);
/* Whether f would be looked at too late for an end at due_ms. */
bool pg_expiry_is_later(const struct pg_nat *n, const struct pg_flow *f, uint64_t due_ms);
void pg_expiry_advance(struct pg_nat *n, uint64_t now_ms); /* a bounded number of flows */
uint64_t pg_expiry_next_ms(const struct pg_nat *n);        /* UINT64_MAX: nothing */

/* tcp_track.c */
enum pg_track {
    PG_TRACK_OK,
    PG_TRACK_IGNORED, /* goes on translated, and nothing of the flow changes, its counters neither */
    PG_TRACK_LAST,    /* goes on, and the flow ends behind it */
    PG_TRACK_REOPEN,  /* begins a new flow with the same tuple */
    PG_TRACK_INVALID,
};
bool pg_tcp_begin(struct pg_nat *n, struct pg_flow *f, const struct pg_packet *p, uint64_t now_ms);
enum pg_track pg_tcp_track(struct pg_nat *n, struct pg_flow *f, unsigned direction,
                           const struct pg_packet *p, uint64_t now_ms);

/* port_alloc.c: gives the reply tuple of f a destination port that makes it unique. *ret_hash: of that tuple. */
bool pg_port_choose(struct pg_nat *n, struct pg_flow *f, const struct pg_packet *p,
                    enum pg_port_rule rule, uint32_t *ret_hash);

/* affinity.c */
struct pg_affinity *pg_affinity_new(const struct pg_hash_key *key, uint64_t now_ms);
void pg_affinity_free(struct pg_affinity *a);
/* The endpoint (index in the snapshot) a live record names, or PG_INDEX_NONE. */
uint32_t pg_affinity_find(const struct pg_nat *n, uint32_t service_port,
                          const struct pg_addr *client);
void pg_affinity_note(struct pg_nat *n, uint32_t service_port, const struct pg_addr *client,
                      const struct pg_addr *addr, uint16_t port);
/* Ends the records of these services (interned names, ascending); names NULL: all records. */
void pg_affinity_forget(struct pg_affinity *a, const uint32_t *names, uint32_t count);
void pg_affinity_advance(struct pg_affinity *a, uint64_t now_ms);
uint64_t pg_affinity_next_ms(const struct pg_affinity *a);
uint32_t pg_affinity_count(const struct pg_affinity *a);

/* load.c */
struct pg_use_key pg_nat_use_key(const struct pg_nat *n, uint32_t service_port, uint8_t kind,
                                 const struct pg_addr *addr, uint16_t port);

/* icmp.c: an error that arrived, about a packet of some flow. */
bool pg_icmp_is_query(const struct pg_packet *p); /* or its answer */
bool pg_icmp_related(struct pg_nat *n, struct pg_packet *p, enum pg_stage stage);
/* conntrack_text.c: its name for a protocol, "unknown" for those it has none for. conntrack_xml.c: a flow as an element. */
const char *pg_conntrack_proto_name(uint8_t proto);
void pg_conntrack_print_xml(const struct pg_nat_flow_view *f, unsigned form, struct pg_text *out);
/* hooks.c: records of one packet */
void pg_nat_tell(struct pg_nat *n, const struct pg_packet *p, const struct pg_flow *f,
                 struct pg_record *r);
/* handshake.c: what a segment with SYN says of its sender, for the packet that is passing */
void pg_nat_tell_handshake(struct pg_nat *n, const struct pg_packet *p, const struct pg_flow *f);

#endif
