/* folder: stack */
/* TCP for every address podglass answers for: lwIP behind a filter, with constant-time lookup and
 * timers of our own.
 *
 * Packets go in by pg_netif_input and come out through the output callback, never onto a device:
 * the spine (app/path.c) puts NAT between. One instance a process (lwIP's state is global). */
#ifndef PODGLASS_NETIF_H
#define PODGLASS_NETIF_H

#include "podglass/counter.h"
#include "podglass/hash.h"
#include "podglass/packet.h"
#include "podglass/trace.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_stack;
struct pg_conn;

/* Who takes connections to an address and port. */
struct pg_listener {
    /* A client's handshake is complete. The callee sets events and owner (pg_conn_own), or aborts
     * it. */
    void (*on_accept)(void *arg, struct pg_conn *conn);
    void *arg;
};

struct pg_stack_options {
    /* A packet made by TCP (SYN, data, ACK, RST): borrowed for the call; label is that of its
     * connection. p is parsed (tuple and offsets are filled), its TCP sum is partial. It may be
     * called from within pg_netif_input and pg_conn_* calls; it must not call back into the
     * stack. */
    void (*output)(void *arg, struct pg_packet *p);
    /* The listener for a SYN's destination, or NULL (answered with a reset). */
    const struct pg_listener *(*listener)(void *arg, const struct pg_tuple *tuple);
    /* The label that an accepted connection adopts (from its client leg's flow), 0: a new one. */
    uint32_t (*label_of)(void *arg, const struct pg_tuple *tuple);
    void *arg;
    uint16_t mtu;        /* 1500: decides the MSS we announce */
    uint32_t conn_limit; /* default 100000 */
    /* bytes per connection that may be queued and unacknowledged; default 1 MiB */
    uint32_t send_buffer;
    uint32_t receive_window; /* bytes per connection; default 256 KiB */
};

struct pg_stack *pg_stack_new(const struct pg_stack_options *options, struct pg_counters *counters,
                              struct pg_trace *trace, struct pg_random *random, uint64_t now_us);
void pg_stack_free(struct pg_stack *s); /* aborts what is open */

/* A parsed TCP packet for one of our addresses. Takes over p->buf if it keeps the bytes (then sets
 * p->buf to NULL); otherwise the caller keeps it. PG_DROP_NONE: taken. Else the reason; nothing is
 * kept. */
enum pg_drop pg_netif_input(struct pg_stack *s, struct pg_packet *p, uint64_t now_us);
/* An ICMP error that quotes a packet of ours (quoted as we sent it; v4 or v6 by its addresses). A
 * connection that is still opening ends by it: -ECONNREFUSED for port and protocol unreachable,
 * -EHOSTUNREACH for the rest. An open one goes on. */
void pg_stack_icmp_error(struct pg_stack *s, const struct pg_tuple *quoted, uint8_t type,
                         uint8_t code);
/* An ICMP "too big" (type 3 code 4 of v4, type 2 of v6) that quotes a packet of ours: segments of
 * that connection become small enough for mtu, and what is in flight is sent again. Never grows. */
void pg_stack_path_mtu(struct pg_stack *s, const struct pg_tuple *quoted, uint32_t mtu);
void pg_stack_advance(struct pg_stack *s, uint64_t now_us); /* timers */
uint64_t pg_stack_next_due_us(const struct pg_stack *s);
/* End of a turn: frees what was marked dead, sends what was held back (window updates, ACKs).
 * Callbacks may run. true: something happened (call again). */
bool pg_stack_sweep(struct pg_stack *s, uint64_t now_us);
uint32_t pg_stack_conn_count(const struct pg_stack *s); /* open or closing, TIME_WAIT not counted */
uint32_t pg_stack_time_wait_count(const struct pg_stack *s);
/* received and not consumed, all connections */
uint64_t pg_stack_held_bytes(const struct pg_stack *s);

#endif
