/* What the files of the verb explain share. */
#ifndef PODGLASS_TOOLS_EXPLAIN_INTERNAL_H
#define PODGLASS_TOOLS_EXPLAIN_INTERNAL_H

#include "dry_tool.h"
#include "podglass/hops.h"
#include "podglass/json.h"

/* How an application finds its client. */
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
struct pg_reader {
    const char *text; /* as given */
    enum pg_reader_kind kind;
    unsigned n;
    struct pg_prefix trusted[PG_READER_RANGES];
    uint32_t trusted_count;
};
/* false: no such reader. */
bool pg_reader_parse(const char *text, struct pg_reader *ret);
bool pg_reader_take(const struct pg_reader *r, const struct pg_seen *seen, struct pg_addr *ret);
/* The readers that are shown when none is asked for. Returns how many. */
uint32_t pg_readers_usual(const struct pg_seen *seen, const struct pg_reader **ret);

/* A change that was tried. */
struct pg_tried {
    struct pg_text set;     /* "svc/edge/gateway.externalTrafficPolicy=Local" */
    struct pg_text outcome; /* "CARRIED by X-Forwarded-For" */
    bool better;
};

/* The answer to one question. */
struct pg_explain {
    struct pg_snapshot *snapshot;
    struct pg_dry *dry;
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
