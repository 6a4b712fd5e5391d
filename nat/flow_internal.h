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
#define FLOW_HAS_ACK     0x080u  /* << direction: max_ack is known */
#define FLOW_UNACKED     0x200u  /* << direction: it sent what nobody acknowledged yet */
#define FLOW_ROUND       0x3000u /* round of telling that FLOW_TOLD is of (hooks.c) */
#define FLOW_ROUND_SHIFT 12
#define FLOW_STREAM      0x800u /* UDP: traffic both ways later than two seconds after the start */

/* What TCP tracking remembers: per direction the highest sequence number sent and acknowledgement
 * given, and the last segment (to notice that one is sent again and again: sixteen bits that its
 * numbers sum up to are enough for that). */
struct pg_flow_tcp {
    uint32_t end[2];
    uint32_t max_ack[2];
    uint32_t last_end;
    uint16_t last_sum;
    uint8_t state;         /* enum pg_tcp_state */
    uint8_t last_kind : 4; /* of the last segment */
    uint8_t last_direction : 1;
    uint8_t retransmits : 2;
};

/* UDP flows of the same use, which a reload may have to find: index plus one; 0 ends. */
struct pg_flow_list {
    uint32_t next, previous;
};

/* One flow: two tuples, whose difference is the translation. In the table under both; the value is
 * index * 2 + direction. `due_ms` is when it ends; expiry.c may look at it earlier, so that a packet
 * costs no work there. There may be a million of these: what is not needed is not here, and a number
 * has the bits it needs (48 of microseconds are nine years). */
struct pg_flow {
    struct pg_addr src[2], dst[2]; /* by direction, as the tuples' */
    uint16_t src_port[2], dst_port[2];
    uint32_t label;
    uint32_t use : 24; /* which endpoint of which service (use.c); 0: none */
    uint8_t proto;
    uint64_t packets[2];
    uint64_t bytes[2];
    uint64_t created_us : 48;
    uint16_t flags;
    uint64_t due_ms : 48;
    uint16_t slot;          /* of expiry.c, as the next two */
    uint32_t later, sooner; /* neighbours in the same slot: index plus one; 0 ends */
    uint64_t dnat_reason : 24;
    uint64_t snat_reason : 24;
    uint16_t node;
    union {
        struct pg_flow_tcp tcp;
        struct pg_flow_list udp;
    };
};
/* All told a flow has 4 bytes in the pool and 21 to 32 in the table besides. */
_Static_assert(sizeof(struct pg_flow) == 168, "a flow has grown");
#define PG_FLOW_BITS 48
#define PG_FLOW_MASK ((UINT64_C(1) << PG_FLOW_BITS) - 1)

static inline struct pg_tuple pg_flow_tuple(const struct pg_flow *f, unsigned direction)
{
    return (struct pg_tuple){.src = f->src[direction],
                             .dst = f->dst[direction],
                             .src_port = f->src_port[direction],
                             .dst_port = f->dst_port[direction],
                             .proto = f->proto};
}

#endif
