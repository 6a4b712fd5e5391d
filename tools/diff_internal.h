/* What the files of the verb diff share. */
#ifndef PODGLASS_TOOLS_DIFF_INTERNAL_H
#define PODGLASS_TOOLS_DIFF_INTERNAL_H

#include "dry_tool.h"
#include "podglass/hops.h"

enum pg_question_kind {
    PG_QUESTION_URL,
    PG_QUESTION_OUTSIDE, /* a service port, as somebody outside reaches it */
    PG_QUESTION_INSIDE,  /* the same by its cluster IP, from a pod */
    PG_QUESTION_WORDS,   /* a line of a file */
};
struct pg_question {
    enum pg_question_kind kind;
    struct pg_text url; /* also "tcp:HOST:PORT" */
    struct pg_text method;
    struct pg_text from;
    const char *namespace; /* of a snapshot */
    const char *name;
    uint16_t port;
    uint8_t proto;
    const char *const *headers; /* beside those a request has */
    uint32_t header_count;
    const char *about; /* how it is asked, for the reader; NULL: as it is */
};
struct pg_questions {
    struct pg_question *at;
    uint32_t count;
    uint32_t room;
};

/* ---- questions.c ---- */
void pg_questions_of(const struct pg_snapshot *old, const struct pg_snapshot *new,
                     struct pg_questions *ret);
int pg_questions_read(const char *path, struct pg_questions *ret, struct pg_text *why);
void pg_questions_free(struct pg_questions *q);
/* false: it can not be asked there, and why. */
bool pg_question_ask(const struct pg_dry *d, const struct pg_question *q, struct pg_dry_ask *ret,
                     struct pg_text *why);
void pg_question_print(const struct pg_question *q, struct pg_text *out);
struct pg_question *pg_questions_add(struct pg_questions *q);

/* ---- diff_headers.c ---- */
/* Those that are HTTP, each asked in the ways that tell profiles of the ingress apart. */
void pg_questions_vary(struct pg_questions *q, struct pg_snapshot *const sides[2]);
struct pg_diff_side {
    struct pg_slice head; /* as the pod gets it */
    const struct pg_hops *hops;
    const struct pg_dry_result *shown;
};
/* Headers, readers and verdict that differ, each with its reason; nothing: they are the same. */
void pg_diff_headers_print(const struct pg_diff_side side[2], struct pg_text *out);
/* "; headers there: X-Real-IP: "198.51.100.7" ..." */
void pg_diff_headers_words(struct pg_slice head, struct pg_text *out);

#endif
