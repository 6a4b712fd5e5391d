/* folder: app */
/* Names of addresses out of a snapshot. */
#ifndef PODGLASS_NAMES_H
#define PODGLASS_NAMES_H

#include "podglass/exchange.h"
#include "podglass/snapshot.h"

struct pg_namer {
    const struct pg_snapshot *snapshot; /* NULL: nobody has a name */
    char text[600];
};
/* arg is a pg_namer; the text is valid until its next call. */
const char *pg_name_of(void *arg, const struct pg_addr *a);
struct pg_names pg_namer_names(struct pg_namer *n);

#endif
