/* folder: app */
/* Who watches, and what: records are written while somebody wants them, and only of flows that somebody wants.
 *
 * With nobody here the trace has the level it was started with (off, or flows with run --trace or --record). */
#ifndef PODGLASS_WATCH_H
#define PODGLASS_WATCH_H

#include "podglass/path.h"
#include "podglass/sieve.h"
#include "podglass/trace.h"
#include "podglass/want.h"

struct pg_watch { /* the watcher's own; zeroed but for what it wants */
    struct pg_watch *next;
    struct pg_want want;
};

struct pg_watchers {
    struct pg_path *path;
    struct pg_trace *trace;
    struct pg_sieve *sieve; /* once somebody asked for what shows late */
    struct pg_watch *first;
    enum pg_trace_level level; /* without watchers */
};

void pg_watchers_init(struct pg_watchers *all, struct pg_path *path);
void pg_watchers_end(struct pg_watchers *all); /* before the path ends */
void pg_watch_begin(struct pg_watchers *all, struct pg_watch *w);
void pg_watch_end(struct pg_watchers *all, struct pg_watch *w); /* also of one that never began */

#endif
