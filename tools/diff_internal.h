/* What the files of the verb diff share. */
#ifndef PODGLASS_TOOLS_DIFF_INTERNAL_H
#define PODGLASS_TOOLS_DIFF_INTERNAL_H

#include "dry_tool.h"

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

#endif
