/* folder: dns */
/* Cluster DNS as a server: one message in, one out. What the zone is and answers is in dns_decide.h. */
#ifndef PODGLASS_DNS_H
#define PODGLASS_DNS_H

#include "podglass/dns_decide.h"

#include <stdbool.h>
#include <stdint.h>

/* What a query was about, for records and tests. */
struct pg_dns_answer {
    char name[256]; /* as text, as asked */
    uint16_t type;
    uint8_t rcode;
    bool truncated;
    uint16_t answers;
    enum pg_dns_status status;
    struct pg_addr first; /* first address in the answer; none if there is none */
    pg_reason_id reason;
    /* Somebody outside may know more: about the name itself, or (alias) about where its aliases lead. */
    bool beyond, beyond_alias;
    uint8_t beyond_name[255]; /* wire name */
};
/* Answers one query message. over_tcp: no size limit but room (at least 512). draw shuffles
 * headless answers. Returns the length of the response in out, 0: no response (a response itself,
 * shorter than a header, or room below 512). *ret_about may be NULL. Never reads beyond len. */
uint32_t pg_dns_answer(const struct pg_zone *z, const void *query, uint32_t len, bool over_tcp,
                       uint64_t draw, void *out, uint32_t room, struct pg_dns_answer *ret_about);
const char *pg_dns_type_name(uint16_t type, char out[12]); /* "A", "SRV", "TYPE65" */

#endif
