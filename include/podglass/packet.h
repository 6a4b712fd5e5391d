/* folder: base */
/* One IP packet on its way: where its bytes are, and what was checked about them.
 *
 * pg_packet_parse looks at lengths, options and checksums once; after it, everything here is true
 * and nobody checks again. Packets are borrowed: valid inside the stage call, never stored.
 * The header bytes are always contiguous at `head`; payload that lwIP holds elsewhere follows in
 * `tail`. */
#ifndef PODGLASS_PACKET_H
#define PODGLASS_PACKET_H

#include "podglass/addr.h"
#include "podglass/drops.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct pg_buf;

/* State of the transport checksum field. */
enum pg_csum {
    PG_CSUM_FULL,     /* a full sum that nobody has verified yet */
    PG_CSUM_VERIFIED, /* a full sum, known to be right */
    PG_CSUM_PARTIAL,  /* folded pseudo-header sum, not inverted (virtio NEEDS_CSUM) */
};

#define PG_TCP_FIN 0x01
#define PG_TCP_SYN 0x02
#define PG_TCP_RST 0x04
#define PG_TCP_PSH 0x08
#define PG_TCP_ACK 0x10
#define PG_TCP_URG 0x20

struct pg_packet {
    /* given by whoever has the bytes */
    uint8_t *head;       /* first byte of the IP header */
    uint32_t head_len;   /* contiguous bytes there; all headers are in them */
    uint32_t tail_count; /* further pieces of payload */
    const struct iovec *tail;
    uint32_t len; /* the whole packet: head_len + sum of tail */
    enum pg_csum csum;
    uint16_t gso_size;      /* payload bytes per wire segment; 0: not a super-segment */
    uint16_t fragment_size; /* it came in pieces, the largest an IP packet of this size; 0: whole */
    uint16_t entry_node;    /* node it entered at, PG_NODE_NONE when not yet known */
    uint32_t label;         /* flow label for the records (see trace.h); 0: none yet */
    uint32_t answer_hint; /* whoever answers p gives this with its answer; 0: nothing (see nat.h) */
    uint64_t id;          /* number of this packet, the same before and after each rewrite */
    struct pg_buf *buf;   /* the buffer behind head, when it may be taken over; else NULL */
    /* filled by pg_packet_parse */
    uint8_t ip_version;
    uint8_t proto;     /* the transport after IPv6 extension headers */
    uint8_t tcp_flags; /* PG_TCP_*; the two ECN bits are not in it */
    uint8_t ttl;
    uint16_t l4_offset;
    uint16_t payload_offset;
    struct pg_tuple tuple; /* as the bytes say now; rewrites keep it true */
};

#define PG_NODE_NONE 0xffff

/* Checks and fills the lower half. false: *ret_drop says why, nothing else may be used. Never reads
 * past head_len. Verifies a PG_CSUM_FULL transport sum (and the IPv4 header sum always) when
 * `tail_count` is 0, and then sets PG_CSUM_VERIFIED (UDP over IPv4 without a sum counts as that:
 * its field is 0). PG_CSUM_PARTIAL is trusted. IP options, fragments and IPv6 routing headers are
 * refused with a reason. Trailing bytes behind the IP length are cut. IPv4-mapped addresses in an
 * IPv6 header are martians: in a tuple they would be the IPv4 address. */
bool pg_packet_parse(struct pg_packet *p, enum pg_drop *ret_drop);

/* The tuple quoted by an ICMP error (as its sender sent it: src is the sender of the quoted
 * packet). false: p is no ICMP error, or what it quotes is too short or not intact. *ret_offset is
 * where the quoted IP header begins in head. */
bool pg_packet_quoted(const struct pg_packet *p, struct pg_tuple *ret_tuple, uint16_t *ret_offset);

static inline uint32_t pg_packet_payload_len(const struct pg_packet *p)
{
    return p->len - p->payload_offset;
}
/* TCP fields of a parsed TCP packet, host order. */
uint32_t pg_packet_tcp_seq(const struct pg_packet *p);
uint32_t pg_packet_tcp_ack(const struct pg_packet *p);
uint16_t pg_packet_tcp_window(const struct pg_packet *p);

#endif
