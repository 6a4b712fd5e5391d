/* folder: cluster */
/* Who is behind an address, as the snapshot knows it: what the spine asks between NAT's hooks, and a dry run instead of it. Pure. */
#ifndef PODGLASS_OWNER_H
#define PODGLASS_OWNER_H

#include "podglass/drops.h"
#include "podglass/snapshot.h"

enum pg_owner {
    PG_OWNER_WIRE,    /* somebody behind the link */
    PG_OWNER_INGRESS, /* the ingress pod: TCP for the proxy */
    PG_OWNER_ECHO,    /* a built-in pod */
    PG_OWNER_CLIENT,  /* a request client of the lab; only the path knows those */
    PG_OWNER_DNS,     /* the cluster DNS service */
    PG_OWNER_NODE,    /* a virtual node or pod gateway itself */
    PG_OWNER_NOBODY,  /* inside a range of ours, and nobody has it */
};

enum pg_owner pg_owner_of(const struct pg_snapshot *s, const struct pg_addr *dst, uint16_t port);
/* Address sanity of what comes from outside; PG_DROP_NONE: fine. */
enum pg_drop pg_owner_check(const struct pg_snapshot *s, const struct pg_tuple *t);

#define PG_INGRESS_PORTS 16
/* A port of the ingress pod. Where a listener of a Gateway is behind the service's port, its protocol says whether TLS is spoken; else TLS ends at those that
 * the service has as 443, or with "https" in the name, and the others speak plain HTTP. */
struct pg_ingress_port {
    uint16_t target;  /* of the pod */
    uint16_t service; /* of the service in front: what clients connect to */
    bool tls;
};
/* Everything the ingress service sends to its pods. Returns how many. */
uint32_t pg_owner_ingress_ports(const struct pg_snapshot *s,
                                struct pg_ingress_port ret[PG_INGRESS_PORTS]);
/* Does what comes to that port of an ingress pod come to this listener? */
bool pg_owner_listener_at(const struct pg_snapshot *s, uint32_t listener, uint16_t target);

#endif
