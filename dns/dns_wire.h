/* folder: dns */
/* DNS messages as bytes (RFC 1035, RFC 6891): names, the query that came, the response being
 * written.
 *
 * A "wire name" is a name as it stands in a message without compression: length byte, label, ...,
 * zero byte; at most 255 bytes, spelling as written. Nothing here knows what a zone is. */
#ifndef PODGLASS_DNS_WIRE_H
#define PODGLASS_DNS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_DNS_NAME_MAX   255
#define PG_DNS_LABEL_MAX  63
#define PG_DNS_LABELS_MAX 127
#define PG_DNS_HEADER     12
#define PG_DNS_EDNS_SIZE  1232 /* what we say we can take: no fragments on any usual path */
#define PG_DNS_CLASS_IN   1

enum pg_dns_type {
    PG_DNS_A = 1,
    PG_DNS_NS = 2,
    PG_DNS_CNAME = 5,
    PG_DNS_SOA = 6,
    PG_DNS_PTR = 12,
    PG_DNS_MX = 15,
    PG_DNS_TXT = 16,
    PG_DNS_AAAA = 28,
    PG_DNS_SRV = 33,
    PG_DNS_OPT = 41,
    PG_DNS_IXFR = 251,
    PG_DNS_AXFR = 252,
};

enum pg_dns_rcode {
    PG_DNS_NOERROR = 0,
    PG_DNS_FORMERR = 1,
    PG_DNS_SERVFAIL = 2,
    PG_DNS_NAME_ERROR = 3, /* NXDOMAIN */
    PG_DNS_NOTIMP = 4,
    PG_DNS_REFUSE = 5,
    PG_DNS_BADVERS = 16,
};

enum pg_dns_section { PG_DNS_ANSWERS, PG_DNS_AUTHORITY, PG_DNS_ADDITIONAL, PG_DNS_SECTION_COUNT };

/* ---- names ---- */

/* Reads the name at `at`, following pointers; each must point before the part it was read from, so
 * it ends. Returns the offset behind the name in the message, 0: malformed. ret gets the wire name,
 * *ret_len its length. */
uint32_t pg_dns_name_read(const uint8_t *message, uint32_t len, uint32_t at,
                          uint8_t ret[PG_DNS_NAME_MAX], uint32_t *ret_len);
/* From text, absolute with or without trailing dot; no escapes. Returns the length of the wire
 * name, 0: not a name. */
uint32_t pg_dns_name_parse(const char *text, size_t len, uint8_t ret[PG_DNS_NAME_MAX]);
/* As text with trailing dot; bytes that are not plain are written as \DDD (RFC 4343). Always with
 * NUL, cut to room. */
void pg_dns_name_print(const uint8_t *name, char *out, uint32_t room);
/* Offsets of the labels of a valid wire name, the root not counted. Returns how many. */
uint32_t pg_dns_name_labels(const uint8_t *name, uint8_t ret[PG_DNS_LABELS_MAX]);
uint32_t pg_dns_name_len(const uint8_t *name); /* of a valid wire name, with its zero byte */

static inline uint8_t pg_dns_lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + ('a' - 'A')) : c;
}

/* ---- the query ---- */

struct pg_dns_query {
    uint16_t id;
    uint8_t opcode;
    bool is_response;
    bool recursion_desired;
    bool checking_disabled;
    uint16_t questions;
    /* of the question, if there is exactly one */
    uint16_t type;
    uint16_t class;
    uint32_t question_len; /* its bytes, from PG_DNS_HEADER on */
    uint32_t name_len;
    uint8_t name[PG_DNS_NAME_MAX];
    /* of the OPT record */
    bool edns;
    bool dnssec_ok;
    uint8_t edns_version;
    uint16_t edns_size;
};

/* 0. -EMSGSIZE: shorter than a header. -EBADMSG: malformed; header fields are valid, and the
 * question if question_len is not 0. Only a message with opcode 0 and one question is read further
 * than the header. */
int pg_dns_query_read(const uint8_t *message, uint32_t len, struct pg_dns_query *ret);

/* ---- a message of somebody else's ---- */

struct pg_dns_rr {
    uint32_t owner; /* offsets: of the owner's name, */
    uint32_t fixed; /* of type, class, time to live and length, */
    uint32_t data;  /* and of the data */
    uint16_t type, class, data_len;
    uint32_t ttl;
    uint8_t section; /* enum pg_dns_section */
};
/* Goes through the records; *cursor is 0 to begin. false: that was all, or *ret_bad. The question must have been read. */
bool pg_dns_rr_next(const uint8_t *message, uint32_t len, uint64_t *cursor, struct pg_dns_rr *ret,
                    bool *ret_bad);

/* ---- the response ---- */

#define PG_DNS_WRITER_NAMES 256 /* power of two */

/* Writes into the caller's room, never past limit. What does not fit is left out whole. */
struct pg_dns_writer {
    uint8_t *at;
    uint32_t len;
    uint32_t limit;
    uint32_t rdata; /* of the record being written */
    uint32_t mark;  /* where that record began */
    bool full;      /* that record does not fit */
    bool knows_question;
    uint16_t counts[PG_DNS_SECTION_COUNT];
    uint16_t names[PG_DNS_WRITER_NAMES]; /* offsets of names written so far, by hash; 0: free */
};

/* Header and question of q. limit counts the OPT record, for which room is kept when q has one; at
 * least 512. */
void pg_dns_writer_begin(struct pg_dns_writer *w, const uint8_t *message,
                         const struct pg_dns_query *q, uint8_t *out, uint32_t limit);
/* owner NULL: the name of the question. Then the puts for its data, then end, which says whether it
 * fitted. */
void pg_dns_record_begin(struct pg_dns_writer *w, const uint8_t *owner, uint16_t type,
                         uint32_t ttl);
void pg_dns_put_u16(struct pg_dns_writer *w, uint16_t value);
void pg_dns_put_u32(struct pg_dns_writer *w, uint32_t value);
void pg_dns_put_bytes(struct pg_dns_writer *w, const void *bytes, uint32_t len);
/* compress false: the name in full (SRV targets, RFC 2782); later names may still refer to it. */
void pg_dns_put_name(struct pg_dns_writer *w, const uint8_t *name, bool compress);
bool pg_dns_record_end(struct pg_dns_writer *w, enum pg_dns_section section);

struct pg_dns_flags {
    uint16_t rcode; /* above 15 only with EDNS */
    bool authoritative;
    bool truncated;
};
/* The OPT record and the header's flags and counts. Returns the length of the message. */
/* The question of q as a message of our own to somebody else: recursion desired, and an OPT record if q has one, with at most
 * PG_DNS_EDNS_SIZE and the caller's DO. Room for PG_DNS_HEADER + 255 + 4 + 11. Returns its length. */
#define PG_DNS_QUERY_MOST (PG_DNS_HEADER + PG_DNS_NAME_MAX + 4 + 11)
uint32_t pg_dns_query_write(uint16_t id, const uint8_t *name, const struct pg_dns_query *q,
                            uint8_t *out);
uint32_t pg_dns_writer_end(struct pg_dns_writer *w, const struct pg_dns_query *q,
                           struct pg_dns_flags flags);

#endif
