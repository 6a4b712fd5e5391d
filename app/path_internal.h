/* folder: app */
/* What the files of the spine share: the path's parts, and the few steps that more than one of them takes. */
#ifndef PODGLASS_APP_PATH_INTERNAL_H
#define PODGLASS_APP_PATH_INTERNAL_H

#include "podglass/dns_forward.h"
#include "podglass/fragments.h"
#include "podglass/owner.h"
#include "podglass/path.h"
#include "podglass/pool.h"
#include "podglass/wheel.h"

struct pg_dns_tcp;
struct pg_dns_upstreams;
struct pg_tap;
struct pg_health;

enum pg_queued_kind {
    PG_QUEUED_RX,      /* made by a built-in end: enters the path as from the wire */
    PG_QUEUED_DELIVER, /* been through NAT: goes to its owner inside podglass */
};

/* A packet that waits for the end of the current callback: TCP must not be entered from within itself. */
struct pg_queued {
    struct pg_queued *next;
    struct pg_packet packet; /* head points into packet.buf, one reference held */
    enum pg_queued_kind kind;
};

#define PG_SCRATCH_BYTES 4096

/* A link and what is behind it. */
struct pg_path_link {
    struct pg_link *link; /* NULL: it has vanished */
    struct pg_prefix prefixes[PG_LINK_PREFIXES];
    uint32_t prefix_count; /* 0: everything */
};

struct pg_path {
    struct pg_path_link links[PG_PATH_LINKS];
    uint32_t link_count;
    uint32_t lost_link;
    struct pg_buf_pool *buffers;
    struct pg_fragments *fragments;
    struct pg_nat *nat;
    struct pg_stack *stack;
    struct pg_proxy *proxy;
    struct pg_echo *echo;
    struct pg_lab_clients *clients;
    struct pg_dns_tcp *dns_tcp;
    struct pg_dns_upstreams *dns_upstreams;
    struct pg_dns_forward *dns_forward;
    struct pg_health *health;
    struct pg_wheel *idle; /* of connections of dns_tcp and health */
    struct pg_zone *zone;
    struct pg_snapshot *snapshot;
    struct pg_trace *trace;
    struct pg_tap *tap; /* NULL: nobody captures */
    struct pg_counters counters;
    struct pg_random random;
    struct pg_hash_key zone_key;
    uint64_t now_us;
    uint64_t packet_id;
    pg_reason_id sctp; /* why it is refused */
    uint32_t mtu;      /* the smallest of its links */
    struct pg_pool *queue_pool;
    struct pg_queued *queue_first;
    struct pg_queued **queue_last;
    struct pg_ingress_port ingress_ports[PG_INGRESS_PORTS];
    uint32_t ingress_port_count;
    uint8_t scratch[PG_SCRATCH_BYTES]; /* for packets podglass makes itself */
};

/* path.c: the stages, in order. p is parsed. */
void pg_path_rx(struct pg_path *path,
                struct pg_packet *p); /* from the wire, or from a built-in end of the lab */
void pg_path_tx(struct pg_path *path,
                struct pg_packet *p); /* from our own endpoints inside the path */
void pg_path_forward(struct pg_path *path,
                     struct pg_packet *p); /* accepted, addressed to somebody on the wire */
void pg_path_drop(struct pg_path *path, const struct pg_packet *p, enum pg_drop reason);
void pg_path_output(void *arg, struct pg_packet *p); /* arg: the path; the stack's output */
/* Sends without NAT: messages of our own that belong to no flow (ICMP errors). */
void pg_path_send_plain(struct pg_path *path, struct pg_packet *p);
void pg_path_enqueue(struct pg_path *path, const struct pg_packet *p, enum pg_queued_kind kind);

/* owner.c */
enum pg_owner pg_path_owner(const struct pg_path *path,
                            const struct pg_packet *p); /* by its destination */
bool pg_path_is_lab_end(
    const struct pg_path *path,
    const struct pg_tuple *from); /* sender is an echo pod or a request client */
/* Address sanity of what came from the link; PG_DROP_NONE: fine. */
enum pg_drop pg_path_check_addresses(const struct pg_path *path, const struct pg_tuple *tuple);
const struct pg_listener *pg_path_listener(void *arg, const struct pg_tuple *tuple);
void pg_path_find_ingress_ports(struct pg_path *path);

/* links.c */
const struct pg_path_link *pg_links_towards(
    const struct pg_path *path, const struct pg_addr *dst); /* NULL: no link leads there */
bool pg_links_behind(const struct pg_path_link *l, const struct pg_addr *src);
void pg_links_close(struct pg_path *path);

/* local.c: packets that end here, and the answers they get. */
void pg_local_deliver(struct pg_path *path, enum pg_owner owner, struct pg_packet *p);
/* A datagram of an address of ours. */
void pg_local_send(struct pg_path *path, const struct pg_tuple *tuple, uint32_t label,
                   const void *payload, uint32_t len);
void pg_local_reject(struct pg_path *path,
                     struct pg_packet *p); /* nat refused it: ICMP to its sender */
void pg_local_time_exceeded(struct pg_path *path, struct pg_packet *p);

/* idle.c: connections of the servers below, closed when they say nothing. First in what their pools hold. */
struct pg_idle_conn {
    struct pg_timer timer;
    struct pg_conn *conn;
    struct pg_pool *pool;
};
struct pg_idle_conn *pg_idle_begin(struct pg_path *path, struct pg_pool *pool,
                                   struct pg_conn *conn); /* NULL: the pool is used up */
void pg_idle_moved(struct pg_path *path, struct pg_idle_conn *c);
void pg_idle_end(struct pg_path *path,
                 struct pg_idle_conn *c); /* the entry goes back to its pool */
void pg_idle_advance(struct pg_path *path);
uint64_t pg_idle_next_due_us(const struct pg_path *path);

/* health.c: what load balancers ask the nodes. */
struct pg_health *pg_health_new(struct pg_path *path);
void pg_health_free(struct pg_health *h);
const struct pg_listener *pg_health_listener(struct pg_health *h,
                                             uint16_t port); /* NULL: not a port of ours */

/* dns_tcp.c: the DNS server's TCP side. */
struct pg_dns_tcp *pg_dns_tcp_new(struct pg_path *path);
void pg_dns_tcp_free(struct pg_dns_tcp *d);
const struct pg_listener *pg_dns_tcp_listener(struct pg_dns_tcp *d);
/* An answer that took longer; if the connection is gone, nobody waits for it. */
void pg_dns_tcp_answer(struct pg_dns_tcp *d, const struct pg_dns_client *client,
                       const void *message, uint32_t len);

/* dns_upstream.c: the same towards other servers; the contract is dns_forward.h's ask_stream and stop_stream. */
struct pg_dns_upstreams *pg_dns_upstreams_new(struct pg_path *path);
void pg_dns_upstreams_free(struct pg_dns_upstreams *u);
uint32_t pg_dns_upstreams_ask(struct pg_dns_upstreams *u, const struct pg_tuple *t, uint32_t label,
                              struct pg_dns_ticket ticket, const void *message, uint32_t len);
void pg_dns_upstreams_stop(struct pg_dns_upstreams *u, uint32_t stream);

/* dns_answer.c: one question, UDP or TCP, from the zone in force or from elsewhere; counts and records. */
enum pg_dns_said {
    PG_DNS_SAID_NOTHING, /* it deserves no answer */
    PG_DNS_SAID_NOW,     /* *ret_len bytes in out */
    PG_DNS_SAID_LATER,   /* the client is answered by itself, then or already */
};
enum pg_dns_said pg_path_dns_answer(struct pg_path *path, const void *query, uint32_t len,
                                    const struct pg_dns_client *client, void *out, uint32_t room,
                                    uint32_t *ret_len);
bool pg_path_dns_new(struct pg_path *path, uint64_t now_us); /* false: out of memory */
void pg_path_dns_free(struct pg_path *path);

#endif
