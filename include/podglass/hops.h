/* folder: trace */
/* Records as hops: what became of one request, numbered, in the order of the path, with before, after and why. */
#ifndef PODGLASS_HOPS_H
#define PODGLASS_HOPS_H

#include "podglass/text.h"
#include "podglass/trace.h"

#include <stdint.h>

#define PG_HOPS_RECORDS 512

/* The records of one request, copied from the ring. */
struct pg_hops {
    struct pg_record records[PG_HOPS_RECORDS];
    uint32_t count;
    uint32_t left_out; /* more than fit */
};

/* Takes the records of this label from *seq on; records without a label are left out. */
void pg_hops_collect(struct pg_hops *h, const struct pg_trace *t, uint64_t from_seq,
                     uint32_t label);
/* The way there, then the way back, if there are records of one. color: ANSI escapes for what matters. */
void pg_hops_print(const struct pg_hops *h, bool color, struct pg_text *out);

/* ---- one record, for other printers ---- */
const char *pg_hops_work(
    const struct pg_record *r); /* "nat", "ingress", "dns", "connect", "link" */
/* "src     198.51.100.7:40000  =>  10.244.1.1:5568", without why; escaped */
void pg_hops_change(const struct pg_record *r, char *what, size_t room);
/* "svc/edge/gateway externalTrafficPolicy: Cluster (default)  edge.yaml:5  PG101"; returns out */
const char *pg_hops_why(const struct pg_record *r, char *out, size_t room);
bool pg_hops_is_loss(const struct pg_record *r); /* takes the client's address away */
bool pg_hops_is_loud(
    const struct pg_record *r); /* deserves a mark: a loss, a drop, a forged header */
/* Number of the hop that records[index] belongs to, as pg_hops_print counts. */
uint32_t pg_hops_number_at(const struct pg_record *records, uint32_t count, uint32_t index);

/* ---- dry runs ---- */
/* What a dry run says about a record that only tells one of several outcomes. */
enum pg_note_kind {
    PG_NOTE_HEAD,   /* behind the name of the hop that the record begins */
    PG_NOTE_ODDS,   /* behind the value after: "50%" */
    PG_NOTE_OR,     /* another value after, with its odds and what it is */
    PG_NOTE_REMARK, /* a line of its own */
};
struct pg_hops_note {
    uint64_t seq; /* of the record */
    enum pg_note_kind kind;
    const char *value; /* OR: the other value; already escaped */
    const char *text;  /* already escaped */
};
void pg_hops_print_notes(const struct pg_hops *h, const struct pg_hops_note *notes,
                         uint32_t note_count, bool color, struct pg_text *out);
/* The number that the hop with this record is printed under; 0: none of the way there. */
uint32_t pg_hops_number(const struct pg_hops *h, uint64_t seq);
/* The record that took the client's address away on the way there; NULL: none did. */
const struct pg_record *pg_hops_loss(const struct pg_hops *h);

#endif
