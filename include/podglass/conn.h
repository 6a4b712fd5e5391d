/* folder: stack */
/* One TCP connection as a byte stream: read by peeking and consuming, relayed by reference, written
 * by copy.
 *
 * A connection belongs to whoever accepted or opened it. Nobody frees inside a callback: close and
 * abort mark it, and the stack's sweep at the end of the turn lets it go. After on_closed, or after
 * the owner's own close or abort, no callback comes any more and the pointer is not used again. */
#ifndef PODGLASS_CONN_H
#define PODGLASS_CONN_H

#include "podglass/addr.h"
#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_conn;
struct pg_stack;

struct pg_conn_events {
    void (*on_open)(void *owner, struct pg_conn *c);     /* our connect was answered */
    void (*on_readable)(void *owner, struct pg_conn *c); /* more bytes, or the end */
    void (*on_writable)(void *owner, struct pg_conn *c); /* the peer acknowledged: room grew */
    /* Gone without our doing. error: -ECONNREFUSED, -ECONNRESET, -ETIMEDOUT, -EHOSTUNREACH. */
    void (*on_closed)(void *owner, struct pg_conn *c, int error);
};

void pg_conn_own(struct pg_conn *c, const struct pg_conn_events *events, void *owner);
/* Starts a connection. local_port 0: chosen (keyed, per destination). NULL: no port or connection
 * left. on_open or on_closed follows, never from within this call. */
struct pg_conn *pg_conn_connect(struct pg_stack *s, const struct pg_addr *local,
                                uint16_t local_port, const struct pg_addr *peer, uint16_t peer_port,
                                uint32_t label, const struct pg_conn_events *events, void *owner);

/* ---- reading ---- */
uint64_t pg_conn_unread(const struct pg_conn *c); /* bytes received and not consumed */
/* first contiguous piece of them; false: none. Valid until consume or move */
bool pg_conn_front(const struct pg_conn *c, struct pg_slice *ret);
/* Copies up to room unread bytes, from `skip` bytes behind the front, without consuming. Returns
 * how many. */
uint32_t pg_conn_peek(const struct pg_conn *c, uint64_t skip, void *out, uint32_t room);
/* at most what is unread; opens the window */
void pg_conn_consume(struct pg_conn *c, uint64_t len);
/* the peer sent FIN and everything before it was consumed */
bool pg_conn_at_end(const struct pg_conn *c);
bool pg_conn_end_seen(const struct pg_conn *c); /* the peer sent FIN; unread bytes may remain */

/* ---- writing ---- */
/* bytes that may be written or moved in now; 0 before open */
uint32_t pg_conn_room(const struct pg_conn *c);
/* copies all of it, or -ENOBUFS and nothing, or -ENOTCONN */
int pg_conn_write(struct pg_conn *c, const void *bytes, uint32_t len);
/* Relays up to len unread bytes of `from` to `to` by reference. Returns how many moved (limited
 * by room). from's window opens as they move; the bytes stay alive until to's peer acknowledged
 * them. */
uint64_t pg_conn_move(struct pg_conn *from, struct pg_conn *to, uint64_t len);
uint64_t pg_conn_unacked(const struct pg_conn *c); /* bytes written and not yet acknowledged */
/* send now what is queued (write and move queue only; the sweep pushes too) */
void pg_conn_push(struct pg_conn *c);

/* ---- ending ---- */
void pg_conn_shutdown(struct pg_conn *c); /* FIN behind what is queued; reading goes on */
/* FIN behind what is queued; what still arrives is discarded; owner is done */
void pg_conn_close(struct pg_conn *c);
void pg_conn_abort(struct pg_conn *c); /* reset; owner is done */

/* ---- looking at it ---- */
struct pg_conn_view {
    struct pg_addr local, peer;
    uint16_t local_port, peer_port;
    const char *state; /* ss's names: "ESTAB", "SYN-SENT", "FIN-WAIT-1", ... */
    uint32_t label;
    uint32_t rtt_us; /* 0: not measured */
    uint32_t retransmits;
    uint64_t bytes_in, bytes_out; /* out: acknowledged */
    uint32_t cwnd, mss;
    uint64_t opened_us;
};
void pg_conn_look(const struct pg_conn *c, struct pg_conn_view *ret);
uint32_t pg_conn_label(const struct pg_conn *c);
/* What it is used for from now on belongs to another request: its packets carry that label. */
void pg_conn_set_label(struct pg_conn *c, uint32_t label);
struct pg_addr pg_conn_peer(const struct pg_conn *c, uint16_t *ret_port);
struct pg_addr pg_conn_local(const struct pg_conn *c, uint16_t *ret_port);

#endif
