/* folder: trace */
/* Why something was changed, chosen or refused: a code, and the object, field and line that decided it.
 *
 * Reasons are interned: equal reasons have one id, ids live as long as the process, so flows and records carry a number and
 * stay readable after a reload. The list of codes is codes.def. */
#ifndef PODGLASS_REASON_H
#define PODGLASS_REASON_H

#include <stdbool.h>
#include <stdint.h>

enum pg_code {
#define PG_CODE(id, number, title) PG_CODE_##id,
#include "podglass/codes.def"
#undef PG_CODE
    PG_CODE_COUNT
};

struct pg_reason {
    enum pg_code code;
    bool defaulted;     /* the field is not in the manifest: its default decided */
    uint32_t line;      /* 0: no line */
    const char *object; /* "Service/edge/gateway"; "" if none */
    const char *field;  /* "spec.externalTrafficPolicy" */
    const char *value;  /* "Cluster" */
    const char *file;   /* "edge.yaml"; "" if none */
};

typedef uint32_t pg_reason_id; /* 0: no reason */

/* Copies what it is given. NULL texts mean "". */
pg_reason_id pg_reason_intern(const struct pg_reason *reason);
const struct pg_reason *pg_reason_get(
    pg_reason_id id);            /* never NULL: id 0 gives an empty reason of code NONE */
void pg_reason_forget_all(void); /* end of process, for leak checks */
const char *pg_code_name(enum pg_code code); /* "PG101" */
const char *pg_code_title(enum pg_code code);
/* "svc/edge/gateway externalTrafficPolicy: Cluster (default)  edge.yaml:14" into out; returns out. */
const char *pg_reason_print(pg_reason_id id, char *out, uint32_t room);

#endif
