/* folder: nat */
/* The only functions that change addresses, ports and TTL of packets. Each keeps the checksums right (full sums
 * incrementally, partial sums by their address part only) and p->tuple true. Recording is the hook's. */
#ifndef PODGLASS_NAT_REWRITE_H
#define PODGLASS_NAT_REWRITE_H

#include "podglass/packet.h"

/* Replaces source and destination (and for ICMP echo the identifier in src_port) so that p says `to`. Families must agree. */
void pg_rewrite_tuple(struct pg_packet *p, const struct pg_tuple *to);
/* In an ICMP error: the quoted packet becomes `to` (as its sender sent it); inner sums and the ICMP sum stay right. */
void pg_rewrite_quoted(struct pg_packet *p, uint16_t quoted_offset, const struct pg_tuple *to);
/* TTL or hop limit minus one. false: it was 1 or less, p unchanged. */
bool pg_rewrite_ttl(struct pg_packet *p);

#endif
