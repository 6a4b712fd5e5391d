/* folder: cluster */
/* What is wrong with manifests, or was left out of them, and where. */
#ifndef PODGLASS_FINDING_H
#define PODGLASS_FINDING_H

#include "podglass/source.h"
#include "podglass/text.h"

#include <stdint.h>

enum pg_finding_level { PG_FINDING_ERROR, PG_FINDING_WARNING, PG_FINDING_NOTE };
struct pg_finding {
    enum pg_finding_level level;
    const char *code;   /* "PG401" */
    const char *object; /* "Service/shop/web" or "" */
    const char *field;  /* "spec.sessionAffinity" or "" */
    const char *text;   /* what and why */
    struct pg_source source;
    uint32_t column; /* 0: unknown */
};

/* Findings of a load, errors included; owned by the list. */
struct pg_findings {
    struct pg_finding *at;
    uint32_t count;
    void *memory;
};
void pg_findings_free(struct pg_findings *f);
/* "shop.yaml:14:3: error[PG400]: Service/shop/web: spec.ports[0].port: ..." one line, no newline */
void pg_finding_print(const struct pg_finding *f, struct pg_text *out);

#endif
