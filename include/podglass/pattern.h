/* folder: base */
/* Regular expressions with bounded cost: whatever the subject, a match takes a bounded number of steps and a bounded amount of memory, or is given up. */
#ifndef PODGLASS_PATTERN_H
#define PODGLASS_PATTERN_H

#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

#define PG_PATTERN_MAX    1024 /* bytes of an expression */
#define PG_PATTERN_GROUPS 10   /* the whole, and nine groups */

enum pg_pattern_form {
    PG_PATTERN_BEGIN_NOCASE, /* must match from the first byte on, whatever the case: a path of ingress-nginx */
    PG_PATTERN_WHOLE, /* must match all of it: Gateway API */
    PG_PATTERN_FORM_COUNT,
};

struct pg_pattern;
/* NULL: wrong, and *ret_why (static text or in why) says how. */
struct pg_pattern *pg_pattern_new(const char *text, enum pg_pattern_form form, char why[160]);
void pg_pattern_free(struct pg_pattern *p);

/* Memory for matching; one match at a time. */
struct pg_pattern_scratch;
struct pg_pattern_scratch *pg_pattern_scratch_new(void); /* NULL: out of memory */
void pg_pattern_scratch_free(struct pg_pattern_scratch *s);

/* 1: matches, groups[0] is what was matched, a group that took no part has at NULL. 0: does not match. -E2BIG: given up, it cost too much. */
int pg_pattern_match(const struct pg_pattern *p, struct pg_pattern_scratch *s,
                     struct pg_slice subject, struct pg_slice groups[PG_PATTERN_GROUPS]);

#endif
