/* What the files of the verb explain share. */
#ifndef PODGLASS_TOOLS_EXPLAIN_INTERNAL_H
#define PODGLASS_TOOLS_EXPLAIN_INTERNAL_H

#include "dry_tool.h"
#include "podglass/hops.h"
#include "podglass/json.h"

/* A change that was tried: the flags that ask the same with it. */
struct pg_tried {
    struct pg_text set[2]; /* "svc/edge/gateway.externalTrafficPolicy=Local" */
    uint32_t set_count;
    const char *proxy;      /* of --proxy-protocol; NULL: it is asked as before */
    struct pg_text outcome; /* "CARRIED by X-Forwarded-For" */
    bool better;
};

/* The answer to one question. */
struct pg_explain {
    struct pg_snapshot *snapshot;
    struct pg_dry *dry;
    const char *headers[PG_ASK_HEADERS];
    struct pg_ask words; /* what `ask` was read from */
    struct pg_dry_ask ask;
    struct pg_reader reader; /* text NULL: the usual ones */
    struct pg_dry_odds odds;
    struct pg_dry_result shown; /* of odds.draw; alive while dry runs nothing else */
    struct pg_hops hops;
    struct pg_tried tried[PG_CHANGES_MOST];
    uint32_t tried_count;
};

/* ---- explain_text.c, explain_json.c ---- */
void pg_explain_text(const struct pg_explain *e, bool color, struct pg_text *out);
void pg_explain_json(const struct pg_explain *e, struct pg_text *out);

/* ---- explain_fields.c ---- */
/* "service.spec.externalTrafficPolicy", with or without "spec.". false: no such field is read. */
bool pg_explain_field(const char *name, struct pg_text *out);

#endif
