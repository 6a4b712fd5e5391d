/* folder: nat */
/* ICMP messages that podglass makes itself: port and protocol unreachable, time exceeded, echo replies. */
#ifndef PODGLASS_ICMP_H
#define PODGLASS_ICMP_H

#include "podglass/packet.h"

enum pg_icmp_error {
    PG_ICMP_PORT_UNREACHABLE,
    PG_ICMP_HOST_UNREACHABLE,
    PG_ICMP_TIME_EXCEEDED,
    PG_ICMP_PROTOCOL_UNREACHABLE,
};

/* Writes a whole IP packet that tells the sender of p about it, from `from`, quoting p as it stands now. Returns its length, or 0 when no
 * error may be sent (p is an ICMP error, a multicast, or room is short: 1280 is enough). ICMPv4 quotes as much as fits 576 bytes, ICMPv6 1280. */
uint32_t pg_icmp_error(const struct pg_packet *p, enum pg_icmp_error kind,
                       const struct pg_addr *from, uint8_t *out, uint32_t room);
/* Turns the echo request p into its reply in place. false: it is none. */
bool pg_icmp_echo_reply(struct pg_packet *p);

#endif
