/* folder: dns */
/* Cluster DNS: a service name becomes a service address. One zone for everybody: the server's
 * clients, the ingress when it looks for its upstream, and the tools' dry run.
 *
 * The zone is compiled from a snapshot, and at a reload only what changed is compiled anew. Names of Ingress rules outside the cluster
 * domain answer with the address of the service in front of the ingress, so that `curl
 * http://shop.example.test/` works in the lab: its first balancer address, else the nodes' (node
 * ports), else its cluster IP. Any other name is REFUSED here; the server may ask somebody else (dns_forward.h). */
#ifndef PODGLASS_DNS_DECIDE_H
#define PODGLASS_DNS_DECIDE_H

#include "podglass/addr.h"
#include "podglass/hash.h"
#include "podglass/reason.h"
#include "podglass/snapshot.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_zone;
struct pg_zone *pg_zone_new(
    struct pg_snapshot *s,
    const struct pg_hash_key *key); /* takes a reference; NULL: out of memory */
/* The same for a tool that asks for a few names: a service is compiled when its name is asked for. Addresses of names only, no reverse names; never
 * updated, and never for a path. */
struct pg_zone *pg_zone_on_demand(struct pg_snapshot *s, const struct pg_hash_key *key);
void pg_zone_free(struct pg_zone *z);

/* From one snapshot to the next, at the cost of what changed: begin compares and compiles aside, commit
 * exchanges, free lets go what is left, and undoes begin if there was no commit. */
struct pg_zone_update;
struct pg_zone_update *pg_zone_update_begin(struct pg_zone *z,
                                            struct pg_snapshot *s); /* NULL: out of memory */
void pg_zone_update_commit(struct pg_zone_update *u);
void pg_zone_update_free(struct pg_zone_update *u); /* NULL is fine */

enum pg_dns_status {
    PG_DNS_OK,
    PG_DNS_NODATA,
    PG_DNS_NXDOMAIN,
    PG_DNS_REFUSED,
    PG_DNS_STATUS_COUNT
};

/* Addresses of an absolute name (trailing dot or not), IPv4 when want_v6 is false. CNAMEs inside
 * the zone are followed. Fills at most room addresses in stable order, *ret_count how many there
 * are in all. *ret_reason says which object answered (0 allowed). REFUSED: outside, or an alias
 * leads outside. What is no name at all is NXDOMAIN. Pure. */
enum pg_dns_status pg_dns_resolve(const struct pg_zone *z, const char *name, size_t len,
                                  bool want_v6, struct pg_addr *ret, uint32_t room,
                                  uint32_t *ret_count, pg_reason_id *ret_reason);
const char *pg_dns_status_name(enum pg_dns_status s);

#endif
