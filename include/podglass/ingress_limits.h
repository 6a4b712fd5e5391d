/* folder: cluster */
/* How much the ingress takes, and how long it waits: spec.ingress.limits and spec.ingress.timeouts of a Lab. */
#ifndef PODGLASS_INGRESS_LIMITS_H
#define PODGLASS_INGRESS_LIMITS_H

#include "podglass/source.h"

#include <stdint.h>

enum pg_limit {
#define PG_LIMIT(id, group, name, unit, least, most, fallback, text) PG_LIMIT_##id,
#include "podglass/ingress_limits.def"
#undef PG_LIMIT
    PG_LIMIT_COUNT
};

struct pg_ingress_limits {
    uint64_t value[PG_LIMIT_COUNT];          /* timeouts in milliseconds */
    struct pg_source source[PG_LIMIT_COUNT]; /* line 0: nobody wrote it */
};

/* ---- cluster/kinds_lab_limits.c ---- */
void pg_ingress_limits_default(struct pg_ingress_limits *ret);
const char *pg_limit_path(enum pg_limit l); /* "spec.ingress.limits.headBytes" */

#endif
