/* Datagrams in pieces, for tests that need no walk. */
#include "packet_pieces.h"

#include "podglass/dgram.h"
#include "podglass/fragments.h"

#include <stdio.h>
#include <stdlib.h>

void pg_make_pieces(struct pg_pieces *ret, const struct pg_tuple *t, uint32_t payload_len,
                    uint32_t size, uint32_t id)
{
    static uint8_t whole[PG_PIECES_MOST * PG_MADE_BYTES];
    static const uint8_t payload[sizeof whole - 128];
    uint32_t cursor = 0;
    enum pg_drop drop;
    uint32_t len = pg_dgram_build(t, payload, payload_len, whole, sizeof whole);
    struct pg_packet p = {.head = whole,
                          .head_len = len,
                          .len = len,
                          .csum = PG_CSUM_FULL,
                          .entry_node = PG_NODE_NONE};

    if (!pg_packet_parse(&p, &drop)) {
        fprintf(stderr, "no such datagram\n");
        abort();
    }
    p.fragment_size = (uint16_t)size;
    p.id = id;
    ret->count = 0;
    while (ret->count < PG_PIECES_MOST &&
           (ret->lens[ret->count] =
                pg_fragments_split(&p, &cursor, ret->bytes[ret->count], PG_MADE_BYTES)) != 0) {
        ret->count++;
    }
}
