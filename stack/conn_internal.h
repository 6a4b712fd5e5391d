/* The connection: what stack/ knows about it beside lwIP's pcb, and what is on its queues. A few
 * hundred bytes when idle; everything that only traffic needs is allocated with the traffic. */
#ifndef PODGLASS_STACK_CONN_INTERNAL_H
#define PODGLASS_STACK_CONN_INTERNAL_H

#include "podglass/conn.h"
#include "podglass/conn_inner.h"
#include "podglass/netif.h"
#include "podglass/wheel.h"

#include <string.h>

#include "lwip/opt.h"
#include "lwip/ip.h"
#include "lwip/ip4.h"
#include "lwip/ip6.h"
#include "lwip/pbuf.h"
#include "lwip/tcp.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/prot/tcp.h"

#define PG_HEADERS_MAX 120     /* IPv6 or IPv4 without options, and a TCP header with all options */
#define PG_SEGMENT_MAX TCP_MSS /* payload of the largest super-segment */

/* What happened to a connection and its owner was not told yet. */
#define PG_EVENT_ACCEPT   0x01
#define PG_EVENT_OPEN     0x02
#define PG_EVENT_READABLE 0x04
#define PG_EVENT_WRITABLE 0x08
#define PG_EVENT_CLOSED   0x10

#define PG_CONN_PASSIVE    0x0001 /* made by a SYN of the peer */
#define PG_CONN_SHOWN      0x0002 /* somebody outside stack/ knows it */
#define PG_CONN_OPEN       0x0004 /* the handshake was completed */
#define PG_CONN_END_SEEN   0x0008 /* the peer sent FIN */
#define PG_CONN_FIN_WANTED 0x0010 /* FIN goes out behind what is queued */
#define PG_CONN_FIN_GIVEN  0x0020 /* lwIP has it */
#define PG_CONN_RELEASED   0x0040 /* the owner is done: no callback, what arrives is discarded */
#define PG_CONN_ABORT      0x0080 /* the next sweep resets it */
#define PG_CONN_READY      0x0100 /* on the list of connections with events */
#define PG_CONN_TODO       0x0200 /* on the list of what the sweep has to do */
#define PG_CONN_RTT_RUNS   0x0400 /* a round trip is being measured */
#define PG_CONN_PROBED     0x0800 /* a tail probe was sent since the last acknowledgement */

/* How what was lost is found and sent again; see recovery.c. */
enum pg_recovery {
    PG_RECOVERY_NONE,
    PG_RECOVERY_FAST,    /* the peer reports holes */
    PG_RECOVERY_TIMEOUT, /* the timer ran out: everything unacknowledged counts as lost */
};

/* A run of bytes to send: copied ones stand behind the struct, relayed ones are in p. */
struct pg_piece {
    struct pg_piece *next;
    struct pbuf *p; /* keeps relayed bytes alive; NULL: bytes[] */
    const uint8_t *at;
    uint32_t len;
    uint32_t room; /* of bytes[] still free behind len */
    uint8_t bytes[];
};

#define PG_SACK_RANGES 32
/* What the peer has beyond the first hole: sorted, disjoint. Exists only while there is a hole. */
struct pg_scoreboard {
    uint32_t count;
    struct {
        uint32_t left;
        uint32_t right;
    } range[PG_SACK_RANGES];
};

struct pg_conn {
    struct pg_stack *stack;
    struct tcp_pcb *pcb;    /* NULL: gone from lwIP, or never there */
    struct pg_inner *inner; /* the layer below, instead of lwIP; see inner.c */
    const struct pg_conn_events *events;
    void *owner;
    struct pg_tuple tuple; /* of the packets it receives: src is the peer */
    uint32_t bucket;
    uint32_t label;
    uint32_t answer_hint; /* of the last packet that came */
    uint16_t flags;       /* PG_CONN_ */
    uint8_t pending;      /* PG_EVENT_ */
    uint8_t recovery;     /* enum pg_recovery */
    int32_t error;        /* for on_closed */
    struct pg_conn *next_ready;
    struct pg_conn *next_todo;
    /* received and not consumed: single pbufs linked by next, tot_len == len */
    struct pbuf *rx_head;
    struct pbuf *rx_tail;
    uint32_t rx_unread;
    uint16_t rx_room; /* free bytes behind the tail pbuf, into which small segments are gathered */
    /* payload of one wire segment; pcb->mss is raised while super-segments are built */
    uint16_t mss;
    /* to send: [tx_head .. cursor) is in lwIP, [cursor .. end) is not */
    struct pg_piece *tx_head;
    struct pg_piece *tx_tail;
    struct pg_piece *tx_cursor;
    uint32_t tx_cursor_at; /* bytes of the cursor's piece that lwIP has */
    uint32_t tx_head_done; /* bytes of the first piece that were acknowledged */
    uint32_t tx_queued;    /* bytes lwIP does not have */
    uint32_t tx_held;      /* bytes of all pieces that are not released */
    /* deadlines in ms, 0: none; the timer is armed for the earliest, or earlier */
    struct pg_timer timer;
    uint64_t rto_due;
    uint64_t ack_due;
    uint64_t probe_due; /* tail loss, lost retransmission, or zero window */
    uint64_t state_due;
    uint8_t backoff; /* unanswered timeouts in a row */
    uint8_t probes;  /* unanswered probes in a row */
    uint8_t dupacks; /* of a peer that sends no SACK */
    uint16_t ip_id;
    uint32_t told_ms; /* when the peer was last told where we are, low bits; 0: never */
    /* round trip time, RFC 6298 */
    uint32_t srtt_us; /* 0: not measured */
    uint32_t rttvar_us;
    uint32_t rtt_seq; /* acknowledged: the measurement ends */
    uint64_t rtt_from_us;
    /* congestion and loss; pcb->cwnd is what lwIP's output looks at */
    struct pg_scoreboard *board;
    uint32_t window;    /* congestion window proper, without what recovery adds to pcb->cwnd */
    uint32_t threshold; /* slow start below */
    uint32_t avoided;   /* bytes acknowledged since the window last grew in congestion avoidance */
    uint32_t recover;   /* recovery ends when this is acknowledged */
    uint32_t resent_to; /* retransmitted up to here in this recovery */
    uint64_t hole_sent_us; /* when the first hole was sent again */
    /* for the view */
    uint64_t bytes_in;
    uint64_t bytes_written;
    uint64_t bytes_out;
    uint64_t opened_us;
    uint32_t retransmits;
};

#endif
