/* folder: trace */
/* Does the pod see the real client? One definition for every output.
 * kept: the pod's TCP peer is the client. carried: a header or PROXY preface written by a hop that should be trusted has it. lost: nothing
 * the pod can read has it. forged: the value a reader would use was chosen by the client. ambiguous: carriers disagree. */
#ifndef PODGLASS_VERDICT_H
#define PODGLASS_VERDICT_H

#include "podglass/addr.h"
#include "podglass/reader.h"
#include "podglass/text.h"

#include <stdbool.h>

enum pg_verdict {
    PG_VERDICT_KEPT,
    PG_VERDICT_CARRIED,
    PG_VERDICT_LOST,
    PG_VERDICT_FORGED,
    PG_VERDICT_AMBIGUOUS,
    PG_VERDICT_COUNT,
};

/* What the pod could read, and what of it the client had said itself. Slices may be empty (absent); several lines of a field are joined by ", ". */
struct pg_seen {
    struct pg_addr client; /* the true client */
    struct pg_addr peer;   /* TCP peer of the pod */
    /* ---- carriers, as the pod gets them ---- */
    struct pg_slice xff; /* X-Forwarded-For */
    struct pg_slice x_real_ip;
    struct pg_slice forwarded; /* Forwarded, RFC 7239 */
    bool has_proxy;            /* a PROXY preface is in front of the pod's connection */
    struct pg_addr proxy;      /* its source; none for LOCAL and UNKNOWN */
    /* ---- what the client itself had sent (not a balancer in front of us): a value found only there is forged ---- */
    struct pg_slice client_xff;
    struct pg_slice client_x_real_ip;
    struct pg_slice client_forwarded;
    struct pg_addr client_proxy; /* source its own PROXY preface names; none: it sent none */
};

enum pg_verdict pg_verdict_decide(const struct pg_seen *seen); /* pure */
const char *pg_verdict_name(enum pg_verdict v);                /* "kept", ... */
/* Readers: what an application that reads it this way takes for the client. false: it would find nothing valid. */
bool pg_reader_xff_left(const struct pg_seen *seen, struct pg_addr *ret);
bool pg_reader_xff_right(const struct pg_seen *seen, unsigned n,
                         struct pg_addr *ret); /* n-th from the right, from 1 */
/* From the right, past every address that is in one of the ranges; the leftmost if all are. */
bool pg_reader_xff_trusted(const struct pg_seen *seen, const struct pg_prefix *trusted,
                           uint32_t count, struct pg_addr *ret);
bool pg_reader_x_real_ip(const struct pg_seen *seen, struct pg_addr *ret);
/* The first for= of Forwarded, if it is an address. */
bool pg_reader_forwarded(const struct pg_seen *seen, struct pg_addr *ret);
bool pg_reader_proxy(const struct pg_seen *seen, struct pg_addr *ret);
/* As the reader's words say. */
bool pg_reader_take(const struct pg_reader *r, const struct pg_seen *seen, struct pg_addr *ret);
/* The readers that are shown when none is asked for: those that could find something. Returns how many. */
#define PG_READERS_USUAL 6
uint32_t pg_readers_usual(const struct pg_seen *seen,
                          const struct pg_reader *ret[PG_READERS_USUAL]);
/* Where a pod finds this address, 1 << enum pg_carrier each. */
unsigned pg_carriers_of(const struct pg_seen *seen, const struct pg_addr *wanted);
/* The verdict for an application that takes exactly this value (has_value false: it finds nothing). */
enum pg_verdict pg_verdict_of_reader(const struct pg_seen *seen, bool has_value,
                                     const struct pg_addr *value);

/* ---- carriers.c: the header fields of one side, gathered one by one ---- */
struct pg_carried { /* zeroed: none */
    struct pg_text xff, x_real_ip, forwarded;
};
/* Does nothing for a field that carries no client. */
void pg_carried_add(struct pg_carried *c, struct pg_slice name, struct pg_slice value);
/* All fields of a request as its sender wrote it, up to the empty line. Not a judge of requests: that is the ingress' parser. */
void pg_carried_add_head(struct pg_carried *c, struct pg_slice head);
/* Let seen point into c: as what the pod gets, or as what the client had sent. */
void pg_carried_as_got(const struct pg_carried *c, struct pg_seen *seen);
void pg_carried_as_claimed(const struct pg_carried *c, struct pg_seen *seen);
void pg_carried_clear(struct pg_carried *c);
void pg_carried_free(struct pg_carried *c);

#endif
