/* Regular expressions, by PCRE2: the one file that knows the library.
 *
 * Called by cluster/ to tell a wrong expression with its line, and by proxy/ to match paths, headers and queries. Expressions come from manifests,
 * subjects from strangers: limits on steps, depth and heap make a match end, whatever both are. No just-in-time code: it wants memory that
 * can be written and run, which the sandbox forbids. Bytes are bytes, without Unicode.
 *
 * The memory of a match is kept in the scratch and used again, so in steady state nothing comes from the heap. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "podglass/pattern.h"

#include <errno.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_MOST 50000 /* about a millisecond */
#define DEPTH_MOST 2000
#define HEAP_KIB   512

struct pg_pattern {
    pcre2_code *code;
};

struct pg_pattern_scratch {
    pcre2_match_data *data;
    pcre2_match_context *limits;
};

struct pg_pattern *pg_pattern_new(const char *text, enum pg_pattern_form form, char why[160])
{
    static const uint32_t options[] = {
        [PG_PATTERN_BEGIN_NOCASE] = PCRE2_ANCHORED | PCRE2_CASELESS,
        [PG_PATTERN_WHOLE] = PCRE2_ANCHORED | PCRE2_ENDANCHORED,
    };
    _Static_assert(sizeof(options) / sizeof(options[0]) == PG_PATTERN_FORM_COUNT, "a row per form");
    size_t len = strlen(text);
    int error = 0;
    PCRE2_SIZE at = 0;
    char said[120];
    if (len > PG_PATTERN_MAX) {
        (void)snprintf(why, 160, "longer than %d bytes", PG_PATTERN_MAX);
        return NULL;
    }
    struct pg_pattern *p = calloc(1, sizeof(*p));
    if (!p) {
        (void)snprintf(why, 160, "out of memory");
        return NULL;
    }
    p->code = pcre2_compile((PCRE2_SPTR)text, len,
                            options[form] | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP |
                                PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY,
                            &error, &at, NULL);
    if (p->code)
        return p;
    (void)pcre2_get_error_message(error, (PCRE2_UCHAR *)said, sizeof(said));
    (void)snprintf(why, 160, "%s, at byte %zu", said, (size_t)at + 1);
    free(p);
    return NULL;
}

void pg_pattern_free(struct pg_pattern *p)
{
    if (!p)
        return;
    pcre2_code_free(p->code);
    free(p);
}

struct pg_pattern_scratch *pg_pattern_scratch_new(void)
{
    struct pg_pattern_scratch *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->data = pcre2_match_data_create(PG_PATTERN_GROUPS, NULL);
    s->limits = pcre2_match_context_create(NULL);
    if (!s->data || !s->limits) {
        pg_pattern_scratch_free(s);
        return NULL;
    }
    (void)pcre2_set_match_limit(s->limits, STEPS_MOST);
    (void)pcre2_set_depth_limit(s->limits, DEPTH_MOST);
    (void)pcre2_set_heap_limit(s->limits, HEAP_KIB);
    return s;
}

void pg_pattern_scratch_free(struct pg_pattern_scratch *s)
{
    if (!s)
        return;
    pcre2_match_data_free(s->data);
    pcre2_match_context_free(s->limits);
    free(s);
}

int pg_pattern_match(const struct pg_pattern *p, struct pg_pattern_scratch *s,
                     struct pg_slice subject, struct pg_slice groups[PG_PATTERN_GROUPS])
{
    const char *at = subject.len > 0 ? subject.at : "";
    int found = pcre2_match(p->code, (PCRE2_SPTR)at, subject.len, 0, PCRE2_NO_UTF_CHECK, s->data,
                            s->limits);
    if (found == PCRE2_ERROR_NOMATCH)
        return 0;
    if (found < 0)
        return -E2BIG;
    const PCRE2_SIZE *ends = pcre2_get_ovector_pointer(s->data);
    int known = found == 0 ? PG_PATTERN_GROUPS : found; /* 0: more groups than are wanted */
    for (int i = 0; i < PG_PATTERN_GROUPS; i++) {
        bool there = i < known && ends[2 * i] != PCRE2_UNSET && ends[2 * i] <= ends[2 * i + 1];
        groups[i] = there ? (struct pg_slice){at + ends[2 * i], ends[2 * i + 1] - ends[2 * i]}
                          : (struct pg_slice){NULL, 0};
    }
    return 1;
}
