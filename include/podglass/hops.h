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
/* The way there, then the way back. color: ANSI escapes for what matters. */
void pg_hops_print(const struct pg_hops *h, bool color, struct pg_text *out);

#endif
