/* folder: stack */
/* UDP datagrams that podglass answers itself: payload in, whole IP packet out. */
#ifndef PODGLASS_DGRAM_H
#define PODGLASS_DGRAM_H

#include "podglass/packet.h"

/* Writes an IPv4 or IPv6 packet with full sums. Returns its length, 0 when room is short or len is
 * over 65,000. */
uint32_t pg_dgram_build(const struct pg_tuple *tuple, const void *payload, uint32_t len,
                        uint8_t *out, uint32_t room);
/* A TCP reset that answers p (RFC 9293 3.5.2), for addresses of ours where no stack listens. 0: p
 * needs none. */
uint32_t pg_reset_build(const struct pg_packet *p, uint8_t *out, uint32_t room);

#endif
