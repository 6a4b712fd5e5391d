/* folder: nat */
/* IP fragments become whole datagrams before conntrack looks, and leave as fragments again (netfilter's defrag hook).
 *
 * Limits are those of threat page P3: 64 datagrams at once, 64 pieces each, 30 s; an overlap kills the datagram; the first piece must
 * hold the whole transport header. When there is no room the oldest incomplete datagram goes. */
#ifndef PODGLASS_FRAGMENTS_H
#define PODGLASS_FRAGMENTS_H

#include "podglass/buf.h"
#include "podglass/counter.h"
#include "podglass/packet.h"

struct pg_fragments;

struct pg_fragments *pg_fragments_new(struct pg_counters *counters); /* NULL: out of memory */
void pg_fragments_free(struct pg_fragments *f);

enum pg_fragment {
    PG_FRAGMENT_HELD,  /* waits for the rest; p->buf stays the caller's */
    PG_FRAGMENT_WHOLE, /* p is the whole datagram now, not yet parsed, in a buffer of its own (the caller's; the old one was put) */
    PG_FRAGMENT_BAD,   /* refused, and counted under PG_DROP_FRAGMENT */
};
/* p is what pg_packet_parse refused with PG_DROP_FRAGMENT. */
enum pg_fragment pg_fragments_take(struct pg_fragments *f, struct pg_packet *p,
                                   struct pg_buf_pool *pool, uint64_t now_us);
void pg_fragments_advance(
    struct pg_fragments *f,
    uint64_t now_us); /* incomplete ones that are too old are dropped and counted */
uint64_t pg_fragments_next_due_us(const struct pg_fragments *f);
uint32_t pg_fragments_held(const struct pg_fragments *f); /* pieces that wait */

/* The next piece of a datagram that came in pieces (p->fragment_size), written whole to out; *cursor starts at 0. Returns its length, 0: that was all. */
uint32_t pg_fragments_split(const struct pg_packet *p, uint32_t *cursor, uint8_t *out,
                            uint32_t room);

#endif
