/* What the files of stack/ share: the connection, the stack, and the steps a segment takes between
 * them.
 *
 *   in:   netif.c -> filter.c -> lwIP -> conn.c (queue of received bytes) -> recovery.c, send.c,
 *         timer.c
 *   out:  conn.c / send.c (queue of bytes to send) -> lwIP or recovery.c -> output.c -> the spine
 *
 * lwIP keeps sequence numbers, states, reassembly and the list of unacknowledged segments. It is
 * given only what may be sent at once (send.c), so its `unsent` queue is empty outside of a call,
 * except for a FIN that waits for window. It never retransmits data and never counts time: that is
 * recovery.c and timer.c.
 *
 * lwIP's headers come in here and in conn_internal.h. */
#ifndef PODGLASS_STACK_INTERNAL_H
#define PODGLASS_STACK_INTERNAL_H

#include "conn_internal.h"

#include "podglass/netif.h"
#include "podglass/pool.h"

#include "lwip/bucket.h"

#include "lwip/ip4.h"
#include "lwip/ip6.h"

#include <string.h>

/* A pcb in TIME_WAIT; its connection is gone. All wait equally long, so the queue is in order of
 * due time. */
struct pg_time_wait {
    struct tcp_pcb *pcb;
    struct pg_time_wait *prev;
    struct pg_time_wait *next;
    uint64_t due_ms;
    uint32_t bucket;
    uint32_t label;
};

struct pg_conn_list {
    struct pg_conn *head;
    struct pg_conn *tail;
};

struct pg_stack {
    struct pg_stack_options options;
    struct pg_counters *counters;
    struct pg_trace *trace;
    struct pg_random *random;
    struct pg_hash_key isn_key;
    struct pg_hash_key port_key;
    uint64_t now_us;
    struct pg_wheel *wheel;
    struct pg_pool *conns;
    struct pg_pool *time_waits;
    struct tcp_pcb *listener; /* for every address and port: its port is set before each SYN */
    struct pg_conn_list ready;
    struct pg_conn_list todo;
    struct pg_time_wait *tw_first;
    struct pg_time_wait *tw_last;
    struct pg_timer tw_timer; /* due of tw_first */
    uint64_t held_bytes;
    uint32_t half_open;
    uint32_t port_counter;
    uint32_t isn_floor; /* the next ISN is at least this (reuse of a TIME_WAIT tuple); 0: any */
    bool isn_has_floor;
    const struct pg_tuple *syn; /* the SYN that lwIP is being given for the listener */
    uint32_t syn_label;
    uint64_t challenge_second;
    uint32_t challenges; /* challenge ACKs sent in that second */
    uint8_t scratch[2048] __attribute__((aligned(16)));
    uint8_t *linear; /* one whole packet, for payload in too many pieces */
};

/* ---- addresses ---- */

static inline void pg_addr_to_lwip(const struct pg_addr *a, ip_addr_t *ret)
{
    memset(ret, 0, sizeof *ret);
    if (pg_addr_is_v4(a)) {
        IP_SET_TYPE_VAL(*ret, IPADDR_TYPE_V4);
        ip_2_ip4(ret)->addr = pg_addr_v4_be(a);
    } else {
        IP_SET_TYPE_VAL(*ret, IPADDR_TYPE_V6);
        memcpy(ip_2_ip6(ret)->addr, a->bytes, sizeof a->bytes);
    }
}

static inline uint64_t pg_stack_now_ms(const struct pg_stack *s)
{
    return s->now_us / 1000;
}

static inline uint32_t pg_min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static inline uint32_t pg_max_u32(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* ---- stack.c ---- */

struct netif *pg_stack_netif(void);
void pg_stack_set_time(struct pg_stack *s, uint64_t now_us);
void pg_stack_isn_above(struct pg_stack *s, uint32_t seq); /* the next connection begins above */

/* ---- turn.c ---- */

void pg_stack_todo(struct pg_conn *c);                 /* the sweep looks at it */
void pg_stack_event(struct pg_conn *c, uint8_t event); /* its owner is told, soon */
bool pg_stack_deliver(struct pg_stack *s);             /* now; true: somebody was told something */

/* ---- netif.c ---- */

struct pg_conn *pg_conn_of_pcb(const struct tcp_pcb *pcb); /* NULL: in TIME_WAIT, or none */

/* ---- time_wait.c ---- */

void pg_time_wait_take(struct pg_conn *c); /* c->pcb entered TIME_WAIT: c loses it */
void pg_time_wait_end(struct pg_stack *s, struct tcp_pcb *pcb); /* forgets it now */
/* the peer's FIN came again: the wait restarts */
void pg_time_wait_again(struct pg_stack *s, struct tcp_pcb *pcb);
void pg_time_wait_expire(struct pg_stack *s);
uint32_t pg_time_wait_label(const struct tcp_pcb *pcb);

/* ---- filter.c ---- */

enum pg_filter {
    PG_FILTER_PASS,
    PG_FILTER_DROP,      /* silently */
    PG_FILTER_CHALLENGE, /* drop, and say where we are (RFC 5961) */
    PG_FILTER_RESET,     /* drop, and reset the sender */
    PG_FILTER_REPEAT,    /* bare and out of the window (a probe): answered, now and then */
    PG_FILTER_AGAIN,     /* a SYN came again: so does our SYN|ACK */
    PG_FILTER_RENEW, /* another SYN, of another connection: ours is forgotten (RFC 9293 3.10.7.4) */
    PG_FILTER_REUSE, /* a new SYN in TIME_WAIT: that ends, the SYN is looked at afresh */
};

struct pg_segment {
    uint32_t seq;
    uint32_t ack;
    uint32_t len; /* payload */
    uint8_t flags;
};

/* What can be said without knowing the connection. PG_DROP_NONE: nothing against it. */
enum pg_drop pg_filter_packet(const struct pg_packet *p);
/* What may be done with a segment of pcb. Pure. */
enum pg_filter pg_filter_decide(const struct tcp_pcb *pcb, const struct pg_segment *seg);

/* ---- conn.c ---- */

extern const struct tcp_ext_arg_callbacks pg_conn_pcb_callbacks;

/* NULL: limit reached */
struct pg_conn *pg_conn_new(struct pg_stack *s, const struct pg_tuple *received, uint32_t label);
/* The payload of a wire segment; what a peer or a router says is raised to a sensible least. */
void pg_conn_set_mss(struct pg_conn *c, struct tcp_pcb *pcb, uint32_t mss);
void pg_conn_attach(struct pg_conn *c, struct tcp_pcb *pcb);
/* ends it for the owner too; error 0: nothing to tell */
void pg_conn_gone(struct pg_conn *c, int error);
void pg_conn_drop_pcb(struct pg_conn *c, bool reset);
void pg_conn_opened(struct pg_conn *c);
void pg_conn_free(struct pg_conn *c);
void pg_conn_receive(struct pg_conn *c, struct pbuf *chain); /* behind what was received */
void pg_conn_discard(struct pg_conn *c); /* forgets what was received, the window opens */

/* ---- send.c ---- */

void pg_send_fill(struct pg_conn *c); /* gives lwIP what may be sent now, FIN included */
/* releases bytes whose segments are acknowledged */
void pg_send_acked(struct pg_conn *c, uint32_t n);
void pg_send_drop(struct pg_conn *c); /* forgets everything queued */
/* Queues len bytes at `at` inside p, whose reference it takes over in any case. 0 or -ENOMEM. */
int pg_send_take(struct pg_conn *c, struct pbuf *p, const uint8_t *at, uint32_t len);

/* ---- output.c ---- */

err_t pg_output_v4(struct netif *netif, struct pbuf *p, const ip4_addr_t *dst);
err_t pg_output_v6(struct netif *netif, struct pbuf *p, const ip6_addr_t *dst);
/* Sends bytes [from, to) of what c has unacknowledged again, FIN included if its number is in
 * there. */
void pg_output_again(struct pg_conn *c, uint32_t from, uint32_t to);
void pg_output_reset(struct pg_stack *s, const struct pg_packet *answered);

/* ---- recovery.c ---- */

/* The SACK blocks of a received segment, and what its connection looked like before lwIP saw it. */
struct pg_ack {
    uint32_t una; /* first unacknowledged byte before */
    uint32_t wnd; /* peer's window before */
    uint32_t flight;
    bool pure; /* carries an ACK and nothing else */
    uint32_t count;
    uint32_t left[4];
    uint32_t right[4];
};

void pg_recovery_read_ack(const struct pg_packet *p, const struct tcp_pcb *pcb, struct pg_ack *ret);
void pg_recovery_open(struct pg_conn *c); /* handshake complete: initial window */
/* after lwIP processed a segment */
void pg_recovery_acked(struct pg_conn *c, const struct pg_ack *ack);
void pg_recovery_timeout(struct pg_conn *c);
void pg_recovery_probe(struct pg_conn *c);                 /* tail loss or lost retransmission */
uint64_t pg_recovery_probe_in_ms(const struct pg_conn *c); /* from now; 0: no probe wanted */
void pg_recovery_drop(struct pg_conn *c);

/* ---- timer.c ---- */

void pg_timer_update(struct pg_conn *c); /* after anything that may have changed a deadline */
void pg_timer_fire(void *stack, struct pg_timer *timer);
void pg_timer_stop(struct pg_conn *c);
/* measure until seq is acknowledged, unless a measurement runs */
void pg_rtt_start(struct pg_conn *c, uint32_t seq);
void pg_rtt_cancel(struct pg_conn *c); /* something was sent twice (Karn) */
void pg_rtt_acked(struct pg_conn *c, uint32_t una);
uint32_t pg_rto_ms(const struct pg_conn *c);

/* ---- ports.c ---- */

/* 0: none free */
uint16_t pg_ports_choose(struct pg_stack *s, const struct pg_addr *local,
                         const struct pg_addr *peer, uint16_t peer_port);

/* ---- memory.c ---- */

uint64_t pg_lwip_blocks(void); /* blocks lwIP and we hold now */

#endif
