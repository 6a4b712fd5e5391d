/* folder: nat */
/* kube-proxy's job and conntrack's: which packets are for a service, which endpoint gets them, whose address they carry,
 * and the way back.
 *
 * Hooks carry netfilter's names. A packet from the wire meets prerouting, one that podglass' own TCP made meets output; both decide the same
 * way. Whatever goes on to somebody meets postrouting. A decision is taken once, for the first packet of a flow, and kept as two tuples.
 *
 * Zones: a flow belongs to the node that decided about it (struct pg_nat_flow_view.node). The table needs no zone in its
 * key: every address belongs to one node, and what leaves a node for a remote endpoint from outside is masqueraded. */
#ifndef PODGLASS_NAT_H
#define PODGLASS_NAT_H

#include "podglass/counter.h"
#include "podglass/hash.h"
#include "podglass/packet.h"
#include "podglass/snapshot.h"
#include "podglass/text.h"
#include "podglass/trace.h"

#include <stdbool.h>
#include <stdint.h>

/* What a hook says about a packet. */
enum pg_verdict_nat {
    PG_NAT_ACCEPT, /* go on; the packet may have been rewritten */
    PG_NAT_DROP,   /* ends here: *ret_drop; already recorded, not yet counted */
    PG_NAT_REJECT, /* ends here, and its sender gets an ICMP port unreachable from ret_from */
};

/* Timeouts in seconds, kernel names; 0 keeps the default (kube-proxy's values: established 86400, close_wait 3600). */
struct pg_nat_options {
    uint32_t flow_limit; /* default 262144 */
    uint32_t tcp_syn_sent, tcp_syn_recv, tcp_established, tcp_fin_wait, tcp_close_wait,
        tcp_last_ack, tcp_time_wait, tcp_close, tcp_max_retrans, tcp_unacknowledged;
    uint32_t udp, udp_stream, icmp, gre, gre_stream, generic;
    bool
        tcp_strict_pickup; /* refuse mid-stream packets without a flow (nf_conntrack_tcp_loose=0) */
};

/* Sets what the kernel's setting of that name sets (nf_conntrack_udp_timeout, with net.netfilter. before it or not). 0; -ENOENT: no such name;
 * -ERANGE: no such value. */
int pg_nat_set_sysctl(struct pg_nat_options *o, const char *name, uint64_t value);

struct pg_nat;

/* The nat borrows counters, trace and random for its life. NULL: out of memory. */
struct pg_nat *pg_nat_new(const struct pg_nat_options *options, struct pg_counters *counters,
                          struct pg_trace *trace, struct pg_random *random, uint64_t now_us);
void pg_nat_free(struct pg_nat *n);
/* Compiles service tables from s (takes its own reference) and swaps them in; established flows keep their endpoint; UDP flows to endpoints
 * that are gone are deleted. 0 or -errno (then the old tables stay). */
int pg_nat_load(struct pg_nat *n, struct pg_snapshot *s, uint64_t now_us);

/* From the wire. Finds or makes the flow, translates. p->entry_node is set, and p->answer_hint: when an answer of ours brings it back, its flow
 * is at hand; whether it is the right one is looked at each time. */
enum pg_verdict_nat pg_nat_prerouting(struct pg_nat *n, struct pg_packet *p, uint64_t now_us,
                                      enum pg_drop *ret_drop);
/* From our own endpoints inside the path (the ingress pod's upstream leg and its answers to clients). */
enum pg_verdict_nat pg_nat_output(struct pg_nat *n, struct pg_packet *p, uint64_t now_us,
                                  enum pg_drop *ret_drop);
/* Behind the routing decision: masquerade or keep the source. Must follow every accepted prerouting or output, for packets to
 * the wire and for packets to our own endpoints alike; confirms a new flow (only now it is in the table). */
enum pg_verdict_nat pg_nat_postrouting(struct pg_nat *n, struct pg_packet *p, uint64_t now_us,
                                       enum pg_drop *ret_drop);
/* The address an ICMP reject of p should come from: the node's address on the side of the client. */
struct pg_addr pg_nat_reject_source(const struct pg_nat *n, const struct pg_packet *p);

/* Expires what is due. */
void pg_nat_advance(struct pg_nat *n, uint64_t now_us);
uint64_t pg_nat_next_due_us(const struct pg_nat *n); /* UINT64_MAX: nothing */

/* ---- looking at it ---- */
enum pg_tcp_state {
    PG_CT_NONE,
    PG_CT_SYN_SENT,
    PG_CT_SYN_RECV,
    PG_CT_ESTABLISHED,
    PG_CT_FIN_WAIT,
    PG_CT_CLOSE_WAIT,
    PG_CT_LAST_ACK,
    PG_CT_TIME_WAIT,
    PG_CT_CLOSE,
    PG_CT_SYN_SENT2,
    PG_CT_COUNT
};
const char *pg_ct_state_name(
    enum pg_tcp_state s); /* conntrack's names; "NONE" for other protocols */

struct pg_nat_flow_view {
    uint64_t id;
    struct pg_tuple orig;
    struct pg_tuple reply;
    enum pg_tcp_state state;
    bool seen_reply; /* false prints [UNREPLIED] */
    bool assured;
    bool snat, dnat; /* what the difference of the tuples amounts to */
    uint16_t node;
    uint32_t label;
    uint32_t service; /* index in the snapshot of `generation`; PG_INDEX_NONE: none */
    uint16_t service_port;
    const char *service_name; /* "shop/web", "" for none; valid until the next call into nat */
    uint64_t timeout_s;       /* left */
    uint64_t packets[2], bytes[2];
    pg_reason_id dnat_reason, snat_reason;
    uint64_t age_us;
};
/* Walk in bounded steps, as pg_table_walk. Each flow once (by its original direction). */
bool pg_nat_walk(const struct pg_nat *n, uint64_t *cursor, uint32_t budget, uint64_t now_us,
                 void (*fn)(void *arg, const struct pg_nat_flow_view *flow), void *arg);
/* Why a packet of this tuple was dropped for that, if the policy said so: the decision made once more. 0: somebody else did. */
pg_reason_id pg_nat_why_dropped(const struct pg_nat *n, const struct pg_tuple *tuple,
                                enum pg_drop drop);
bool pg_nat_find(const struct pg_nat *n, const struct pg_tuple *either_direction, uint64_t now_us,
                 struct pg_nat_flow_view *ret);
uint32_t pg_nat_flow_count(const struct pg_nat *n);
uint32_t pg_nat_flow_high_water(const struct pg_nat *n);
uint32_t pg_nat_flow_limit(const struct pg_nat *n);
uint32_t pg_nat_flow_bytes(void); /* sizeof a flow */
/* Sets the label of the flow this tuple belongs to and returns it, or 0: a session adopts the label its client leg got at the first SYN. */
uint32_t pg_nat_label_of(const struct pg_nat *n, const struct pg_tuple *either_direction);
/* The flow as it began, before NAT: whose it is, and to whom. false: there is none. */
bool pg_nat_begun_as(const struct pg_nat *n, const struct pg_tuple *either_direction,
                     struct pg_tuple *ret);
int pg_nat_delete(struct pg_nat *n, uint64_t flow_id, uint64_t now_us); /* 0 or -ENOENT */

/* One line as `conntrack -L` prints it, without newline; form: of these. */
#define PG_CONNTRACK_COUNTERS 1u /* as with nf_conntrack_acct */
#define PG_CONNTRACK_EXTENDED 2u /* -o extended: the network protocol before it */
#define PG_CONNTRACK_ID       4u /* -o id: its number behind it */
#define PG_CONNTRACK_XML      8u /* -o xml: an element; the document around it is the caller's */
void pg_nat_print_conntrack(const struct pg_nat_flow_view *f, unsigned form, struct pg_text *out);
/* The line of `conntrack -S` for one processor, without newline. */
void pg_nat_print_statistics(const struct pg_counters *c, struct pg_text *out);

/* ---- what happens to flows, for who watches ---- */
enum pg_nat_event_kind { PG_NAT_EVENT_NEW, PG_NAT_EVENT_UPDATE, PG_NAT_EVENT_DESTROY };
struct pg_nat_event {
    enum pg_nat_event_kind kind;
    uint64_t time_us;
    struct pg_nat_flow_view flow; /* as it was then; without the service's name */
};
/* Each watch on has its off. 0 or -ENOMEM. */
int pg_nat_watch_events(struct pg_nat *n, bool on);
uint64_t pg_nat_next_event(const struct pg_nat *n); /* number of the next that happens */
/* The event *number, or the oldest that is still there; *number goes on. false: none yet. *ret_missed: how many were too old. */
bool pg_nat_read_event(const struct pg_nat *n, uint64_t *number, struct pg_nat_event *ret,
                       uint64_t *ret_missed);
/* As `conntrack -E` prints it, without newline: label in nine columns, counters at the end of a flow. form: PG_CONNTRACK_EXTENDED, _ID. */
void pg_nat_print_event(const struct pg_nat_event *e, unsigned form, struct pg_text *out);

/* A row of `get nat`: one translation that the service tables hold, with how often it was used. */
struct pg_nat_rule_view {
    const char *hook; /* "front": node port and LB; "service": cluster IP */
    const char *kind; /* "dnat", "snat" */
    struct pg_addr before;
    uint16_t before_port; /* none: any */
    struct pg_addr after;
    uint16_t after_port;
    const char *port_mode; /* "fixed", "random" */
    pg_reason_id reason;
    uint32_t endpoint_number, endpoint_count; /* "endpoint 1/2"; 0 for snat */
    uint32_t active;
    uint64_t hits;
};
void pg_nat_walk_rules(const struct pg_nat *n,
                       void (*fn)(void *arg, const struct pg_nat_rule_view *rule), void *arg);
/* A row of `get affinity`: the endpoint a client keeps at one service port until the time is over. */
struct pg_nat_affinity_view {
    const char *service_name; /* "shop/web"; valid until the next call into nat */
    uint16_t service_port;
    uint8_t proto;
    struct pg_addr client; /* as it came, before any translation */
    struct pg_addr addr;
    uint16_t port;
    uint64_t timeout_s; /* left; a new connection begins it anew */
};
void pg_nat_walk_affinity(const struct pg_nat *n, uint64_t now_us,
                          void (*fn)(void *arg, const struct pg_nat_affinity_view *a), void *arg);
/* Flows of one endpoint: how many are live and how many there were. */
void pg_nat_endpoint_use(const struct pg_nat *n, uint32_t service_port_index,
                         const struct pg_addr *addr, uint16_t port, uint32_t *ret_active,
                         uint64_t *ret_hits);

#endif
