/* folder: app */
/* Who watches, and whom: records are written while somebody wants them, and only of flows that somebody wants.
 *
 * With nobody here the trace has the level it was started with (off, or flows with run --trace or --record). */
#ifndef PODGLASS_WATCH_H
#define PODGLASS_WATCH_H

#include "podglass/trace.h"

struct pg_watch { /* the watcher's own; zeroed but for whom it wants */
    struct pg_watch *next;
    bool has_from; /* only flows that this address begins */
    struct pg_addr from;
};

struct pg_watchers {
    struct pg_trace *trace;
    struct pg_watch *first;
    enum pg_trace_level level; /* without watchers */
};

void pg_watchers_init(struct pg_watchers *all, struct pg_trace *trace);
void pg_watch_begin(struct pg_watchers *all, struct pg_watch *w);
void pg_watch_end(struct pg_watchers *all, struct pg_watch *w); /* also of one that never began */

#endif
