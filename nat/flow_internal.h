/* One flow, as it is kept. flow.c makes and ends it, expiry.c waits for its end, tcp_track.c moves its
 * state, hooks.c translates by it. */
#ifndef FLOW_INTERNAL_H
#define FLOW_INTERNAL_H

#include "podglass/addr.h"

#include <stdint.h>

enum { PG_ORIG, PG_REPLY };

#define FLOW_SEEN_REPLY  0x001u
#define FLOW_ASSURED     0x002u
#define FLOW_DNAT        0x008u
#define FLOW_SNAT        0x010u
#define FLOW_TOLD        0x020u  /* << direction: its first packet is in the trace */
#define FLOW_HAS_ACK     0x080u  /* << direction: TCP, max_ack is known */
#define FLOW_UNACKED     0x200u  /* << direction: TCP, it sent what nobody acknowledged yet */
#define FLOW_ROUND       0x3000u /* round of telling that FLOW_TOLD is of (hooks.c) */
#define FLOW_ROUND_SHIFT 12
#define FLOW_STREAM      0x800u /* UDP: traffic both ways later than two seconds after the start */

/* What TCP tracking remembers of one direction (tcp_window.c). max_win 0: nothing was seen of it. */
struct pg_flow_tcp_end {
    uint32_t end, max_end, max_win, max_ack;
};

/* Marks, each << direction. */
#define TCP_END_SCALES 0x001u /* its SYN offered window scaling */
#define TCP_END_SACK   0x004u /* and selective acknowledgements */
#define TCP_END_CLOSES 0x010u /* it sent the first FIN */
#define TCP_END_ALL    (TCP_END_SCALES | TCP_END_SACK | TCP_END_CLOSES)
/* Of the last SYN that changed nothing, and of how the connection began. */
#define TCP_LAST_SCALES  0x040u
#define TCP_LAST_SACK    0x080u
#define TCP_CHALLENGED   0x100u /* an ACK may answer that SYN: it acknowledges no FIN */
#define TCP_SIMULTANEOUS 0x200u
#define TCP_LAST_ALL     (TCP_LAST_SCALES | TCP_LAST_SACK | TCP_CHALLENGED | TCP_SIMULTANEOUS)
#define TCP_MARK_BITS    10
#define TCP_RETRANSMITS  3u /* as often as matters */

/* And of both. last_*: of the last segment, or the last that was let through without changing anything; sixteen
 * bits of its number are enough, since its end is there too. */
struct pg_flow_tcp {
    struct pg_flow_tcp_end seen[2];
    uint32_t last_end, last_ack;
    uint16_t last_seq, last_win;
    uint8_t state : 4;     /* enum pg_tcp_state */
    uint8_t last_kind : 3; /* enum pg_segment_kind */
    uint8_t last_direction : 1;
    uint8_t scales; /* four bits per direction */
    uint16_t last_scale : 4;
    uint16_t retransmits : 2;
    uint16_t marks : TCP_MARK_BITS;
};
_Static_assert(sizeof(struct pg_flow_tcp) == 48, "TCP tracking has grown");

/* UDP flows of the same use, which a reload may have to find: index plus one; 0 ends. */
struct pg_flow_list {
    uint32_t next, previous;
};

/* 40 bits of packets and 56 of bytes: at the rate one core can do, one flow fills either in more than a month. */
struct pg_flow_total {
    uint64_t bytes : 56;
    uint64_t packets_high : 8;
};

/* One flow: two tuples, whose difference is the translation. In the table under both; the value is
 * index * 2 + direction. `due_ms` is when it ends; expiry.c may look at it earlier, so that a packet
 * costs no work there. There may be a million of these: what is not needed is not here, and a number
 * has the bits it needs (48 of microseconds are nine years). What a packet is compared with comes first,
 * what only a flow's beginning and end, expiry.c and dumps look at comes last. */
struct pg_flow {
    struct pg_addr src[2]; /* by direction, as the tuples' */
    uint16_t src_port[2], dst_port[2];
    uint32_t
        dst_number[2]; /* of addresses.c; 0: dst is the other direction's src, nobody changed it */
    uint32_t label;
    uint32_t use : 24; /* which endpoint of which service (use.c); 0: none */
    uint32_t proto : 8;
    uint64_t due_ms : 48;
    uint64_t flags : 16;
    union {
        struct pg_flow_tcp tcp;
        struct pg_flow_list udp;
    };
    struct pg_flow_total total[2];
    uint32_t packets_low[2];
    uint64_t created_us : 48;
    uint64_t slot : 16;     /* of expiry.c, as the next two */
    uint32_t later, sooner; /* neighbours in the same slot: index plus one; 0 ends */
    uint64_t dnat_reason : 24;
    uint64_t snat_reason : 24;
    uint64_t node : 16;
};
/* All told a flow has 4 bytes in the pool and 21 to 32 in the table besides: at most 196. */
_Static_assert(sizeof(struct pg_flow) == 160, "a flow has grown");
#define PG_FLOW_BITS 48
#define PG_FLOW_MASK ((UINT64_C(1) << PG_FLOW_BITS) - 1)

static inline uint64_t pg_flow_packets(const struct pg_flow *f, unsigned direction)
{
    return (uint64_t)f->total[direction].packets_high << 32 | f->packets_low[direction];
}

#endif
