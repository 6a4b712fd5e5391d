/* Which local port a new connection gets.
 *
 * Called by pg_conn_connect. A port is free if no connection with the same four numbers is open or
 * in TIME_WAIT, so about 64,000 connections fit between one address and one service. The search
 * begins at a keyed hash of the destination plus a counter (RFC 6056, algorithm 3): a stranger
 * cannot guess the next port, and a port comes back as late as possible, when the far end's
 * TIME_WAIT for it has ended. */
#include "stack_internal.h"

#include <string.h>

#define FIRST_PORT 1024u
#define PORT_COUNT (65536u - FIRST_PORT)

uint16_t pg_ports_choose(struct pg_stack *s, const struct pg_addr *local,
                         const struct pg_addr *peer, uint16_t peer_port)
{
    struct pg_tuple t;
    uint32_t start;

    memset(&t, 0, sizeof t);
    t.src = *peer;
    t.dst = *local;
    t.src_port = peer_port;
    t.proto = PG_PROTO_TCP;
    start =
        (uint32_t)(pg_hash_tuple(&s->port_key, &t) % PORT_COUNT) + s->port_counter++ % PORT_COUNT;
    for (uint32_t i = 0; i < PORT_COUNT; i++) {
        t.dst_port = (uint16_t)(FIRST_PORT + (start + i) % PORT_COUNT);
        if (pg_bucket_find(pg_bucket_of(&t), &t) == NULL)
            return t.dst_port;
    }
    return 0;
}
