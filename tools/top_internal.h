/* What top.c (asking, keys, the terminal) and top_page.c (what stands where) share. */
#ifndef PODGLASS_TOP_INTERNAL_H
#define PODGLASS_TOP_INTERNAL_H

#include "podglass/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum pg_top_sort {
    PG_TOP_RATE,
    PG_TOP_REQUESTS,
    PG_TOP_ERRORS,
    PG_TOP_LOST,
    PG_TOP_SERVICE,
    PG_TOP_SORT_COUNT
};

/* One look at an instance: the lists "counters" and "traffic" of the control API, and of one service the other two. */
struct pg_top_sample {
    json_t *counters;
    json_t *requests;
    json_t *endpoints;
    json_t *connections;
};

struct pg_top_view {
    enum pg_top_sort sort;
    const char *filter; /* services or hosts that have this in them; "" all */
    bool help;
    const char *service; /* shown alone, with its host; NULL: all are a table */
    const char *host;
    unsigned cursor;        /* which row of the table is marked, from 1; 0: none */
    unsigned columns, rows; /* of the terminal; rows 0: as many as there are */
};

/* What is shown: lines, each at most `columns` wide. `before` is an earlier look, its counters NULL if there was none; then rates are missing. */
void pg_top_page(const struct pg_top_sample *before, const struct pg_top_sample *now,
                 const struct pg_top_view *view, struct pg_text *out);
/* How many rows the table has, and which item the cursor is at (borrowed, NULL: none). */
unsigned pg_top_rows(const struct pg_top_sample *before, const struct pg_top_sample *now,
                     const struct pg_top_view *view, const json_t **ret_item);
/* top_detail.c: what there is of view->service. */
void pg_top_detail(const struct pg_top_sample *now, const struct pg_top_view *view,
                   struct pg_text *out);
const char *pg_top_sort_name(enum pg_top_sort s);

#endif
