/* Packets for tests: built whole and right, and checked by computing every sum anew. */
#ifndef PACKET_MAKE_H
#define PACKET_MAKE_H

#include "podglass/packet.h"

#include <stdbool.h>
#include <stdint.h>

#define PG_MADE_BYTES 2048

/* A packet with its bytes; parsed by whoever makes it. */
struct pg_made {
    uint8_t bytes[PG_MADE_BYTES];
    struct pg_packet p;
};

struct pg_addr pg_make_addr(const char *text); /* ends the test when text is no address */
struct pg_tuple pg_make_tuple(uint8_t proto, const char *src, uint16_t src_port, const char *dst,
                              uint16_t dst_port);

/* All are parsed, verified and carry a new packet id. Family follows the addresses. */
void pg_make_tcp(struct pg_made *m, const struct pg_tuple *t, uint8_t flags, uint32_t seq,
                 uint32_t ack, uint32_t payload_len);
void pg_make_udp(struct pg_made *m, const struct pg_tuple *t, uint32_t payload_len);
/* t->src_port is the identifier; t->dst_port >> 8 the type. */
void pg_make_echo(struct pg_made *m, const struct pg_tuple *t);
/* Any packet of t: SYN, datagram or echo request. */
void pg_make_first(struct pg_made *m, const struct pg_tuple *t);
/* An ICMP error of that type and code from `from` to the sender of `about`, quoting quote_len bytes
 * of it (0: all). */
void pg_make_error(struct pg_made *m, uint8_t type, uint8_t code, const struct pg_addr *from,
                   const struct pg_packet *about, uint32_t quote_len);
/* The transport sum becomes a partial one, as a device with checksum offload gives it. */
void pg_make_partial(struct pg_made *m);

/* For bytes from a fuzzer: makes lengths and sums right where there is enough of a packet to have
 * them. */
void pg_make_repair(uint8_t *bytes, uint32_t len, bool partial);

/* IP header and transport sums computed anew from the bytes; and the tuple says what the bytes say. */
bool pg_made_is_right(const struct pg_packet *p);
/* The sums inside the quote of an ICMP error; true when there is none. */
bool pg_made_quote_is_right(const struct pg_packet *p);

#endif
