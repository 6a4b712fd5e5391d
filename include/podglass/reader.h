/* folder: base */
/* How applications find their client, in words, and the carriers they find it in. trace/carriers.c does what they say. */
#ifndef PODGLASS_READER_H
#define PODGLASS_READER_H

#include "podglass/addr.h"

#include <stdbool.h>
#include <stdint.h>

enum pg_reader_kind {
    PG_READER_PEER,
    PG_READER_XFF_LEFT,
    PG_READER_XFF_RIGHT,
    PG_READER_XFF_TRUSTED,
    PG_READER_X_REAL_IP,
    PG_READER_FORWARDED,
    PG_READER_PROXY,
};
#define PG_READER_RANGES 16
#define PG_READER_WORDS \
    "peer, xff-left, xff-right=N, xff-trusted=CIDR,..., x-real-ip, forwarded, proxy"

struct pg_reader {
    const char *text; /* as given; borrowed */
    enum pg_reader_kind kind;
    unsigned n;                                 /* of xff-right */
    struct pg_prefix trusted[PG_READER_RANGES]; /* of xff-trusted */
    uint32_t trusted_count;
};
/* false: no such reader. */
bool pg_reader_parse(const char *text, struct pg_reader *ret);

/* Where a pod may find an address of its client. */
enum pg_carrier {
    PG_CARRIER_PEER,
    PG_CARRIER_XFF,
    PG_CARRIER_X_REAL_IP,
    PG_CARRIER_FORWARDED,
    PG_CARRIER_PROXY,
    PG_CARRIER_COUNT,
};
extern const char *const pg_carrier_names[PG_CARRIER_COUNT + 1]; /* "x-forwarded-for"; NULL ends */
const char *pg_carrier_title(enum pg_carrier c);                 /* "X-Forwarded-For" */

#endif
