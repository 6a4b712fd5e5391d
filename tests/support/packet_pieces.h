/* Datagrams in pieces: IP packets as a sender makes them of what is too large for one. */
#ifndef PACKET_PIECES_H
#define PACKET_PIECES_H

#include "packet_make.h"

#define PG_PIECES_MOST 8

struct pg_pieces {
    uint32_t count;
    uint32_t lens[PG_PIECES_MOST];
    uint8_t bytes[PG_PIECES_MOST][PG_MADE_BYTES];
};
/* A datagram of t with `payload_len` zeros, in packets of at most `size` bytes with this identification. */
void pg_make_pieces(struct pg_pieces *ret, const struct pg_tuple *t, uint32_t payload_len,
                    uint32_t size, uint32_t id);

#endif
