/* Clients made of packets: the wire's far end plays thousands of TCP clients of the ingress,
 * and the one pod behind it.
 *
 *   packets of ours -- in-process wire -- path: NAT, ingress, NAT -- wire -- packets of ours
 *
 * A client is two sequence numbers and the pod is none, so what memory and time a run takes is the path's. Segments are
 * written here byte by byte, and only as good as a test needs them: nothing is lost on this wire.
 * Connections are opened and asked in batches, as a busy link would deliver them. */
#ifndef PODGLASS_TEST_PACKET_CLIENTS_H
#define PODGLASS_TEST_PACKET_CLIENTS_H

#include "podglass/sim.h"

#include <stdbool.h>
#include <stdint.h>

#define PACKET_CLIENTS_BATCH 32 /* a batch's answers must fit into what the wire keeps */

struct packet_client {
    uint32_t seq; /* our next byte */
    uint32_t ack; /* theirs */
};

struct packet_clients {
    struct pg_sim sim;
    uint32_t count; /* open connections */
    uint32_t limit;
    uint64_t packets;    /* to the path */
    uint64_t received;   /* from it */
    uint64_t answered;   /* requests whose answer came with status 200 */
    uint64_t busy_ns;    /* CPU time inside the path */
    uint32_t body_bytes; /* of the pod's answers, each one segment; at most 60,000 */
    struct packet_client *at;
};

/* A path with the trace off that has room for `limit` connections. false: it could not be made. */
bool packet_clients_open(struct packet_clients *c, uint32_t limit);
void packet_clients_close(struct packet_clients *c);
/* Opens so many more, one request each. */
void packet_clients_connect(struct packet_clients *c, uint32_t count);
/* One request on each of these connections, all different; at most a batch. */
void packet_clients_ask(struct packet_clients *c, const uint32_t *which, uint32_t count);

#endif
