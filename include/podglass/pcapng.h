/* folder: trace */
/* pcapng, the little of it that a capture with comments needs: blocks appended to a text. The reader of the format is Wireshark's or tcpdump's. */
#ifndef PODGLASS_PCAPNG_H
#define PODGLASS_PCAPNG_H

#include "podglass/addr.h"
#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* Where a packet was seen: one interface each. */
enum pg_point {
    PG_POINT_CLIENT,  /* as the client sends and sees it */
    PG_POINT_FRONT,   /* as the ingress sees it, behind the first NAT */
    PG_POINT_SERVICE, /* as it is sent to a service address */
    PG_POINT_POD,     /* as the pod sees it */
    PG_POINT_COUNT,
};
const char *pg_point_name(enum pg_point p);

#define PG_PCAPNG_COMMENTS 4

struct pg_pcapng_packet {
    enum pg_point point;
    bool outbound;     /* podglass sends it; else it came */
    uint64_t time_ns;  /* since 1970 */
    uint64_t id;       /* the same before and after a rewrite */
    uint64_t dropped;  /* packets that were lost before this one */
    const void *bytes; /* an IP packet, of which len bytes are here */
    uint32_t len;
    uint32_t wire_len;
    const char *comments[PG_PCAPNG_COMMENTS]; /* NULL ends */
};

/* Section header and one interface per point, link type Ethernet. */
void pg_pcapng_begin(struct pg_text *out);
/* The packet behind an Ethernet header whose addresses say the point: 02:70:67:00:PP:01 is the other side, :02 podglass. snaplen bytes at most, that header included. */
void pg_pcapng_packet(const struct pg_pcapng_packet *p, uint32_t snaplen, struct pg_text *out);

/* Names of addresses, a block of them. */
struct pg_pcapng_names {
    struct pg_text *out;
    size_t start;
};
void pg_pcapng_names_begin(struct pg_pcapng_names *n, struct pg_text *out);
void pg_pcapng_name(struct pg_pcapng_names *n, const struct pg_addr *a, const char *name);
void pg_pcapng_names_end(struct pg_pcapng_names *n);

#endif
