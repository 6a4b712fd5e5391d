/* folder: dns */
/* What the zone answers and what is kept of others' answers, record by record, as text: for tables. */
#ifndef PODGLASS_DNS_LIST_H
#define PODGLASS_DNS_LIST_H

#include "podglass/dns.h"
#include "podglass/text.h"

#define PG_DNS_NAME_TEXT 1021 /* 255 bytes, each as \DDD, and NUL */

/* One record of an answer. */
struct pg_dns_line {
    char name[PG_DNS_NAME_TEXT]; /* its owner, with a final dot */
    char type[12];
    uint32_t ttl_s;
    struct pg_text
        data; /* as a zone file has it; \# and hex digits for kinds that are not known. The caller frees it */
};

/* A question of one type, answered as over TCP. Returns the length of the response; 0: name is no name. room: at least 512. */
uint32_t pg_dns_ask(const struct pg_zone *z, const char *name, uint16_t type, void *out,
                    uint32_t room, struct pg_dns_answer *ret_about);
/* The type's number, 0: not one of those the zone has. */
uint16_t pg_dns_type_of(const char *name);
/* The next record of a response's answers; *cursor is 0 to begin. false: that was all. ret->data is written anew. */
bool pg_dns_line_next(const void *message, uint32_t len, uint64_t *cursor, struct pg_dns_line *ret);

/* An answer of somebody else. */
struct pg_dns_kept {
    char name[PG_DNS_NAME_TEXT]; /* of its question */
    char type[12];
    const char *status; /* "NOERROR", "NODATA", "NXDOMAIN", "SERVFAIL" */
    uint32_t left_s, age_s;
    pg_reason_id reason;
    const uint8_t *message; /* as it came; until the forwarder is called again */
    uint32_t len;
};
struct pg_dns_forward;
/* The next that still holds; *cursor is 0 to begin. false: that was all. */
bool pg_dns_kept_next(const struct pg_dns_forward *f, uint32_t *cursor, struct pg_dns_kept *ret);

#endif
