/* The switch of the trace: on with the first watcher, off with the last.
 *
 * The path's cost of all this is one predictable branch (pg_trace_on). If all watchers want certain clients only, the trace asks here once for
 * each new flow, and a flow that nobody wants costs one branch more. Called by the control side. */
#include "podglass/watch.h"

#include <stddef.h>

static bool is_wanted(void *arg, const struct pg_addr *from)
{
    const struct pg_watchers *all = arg;
    for (const struct pg_watch *w = all->first; w != NULL; w = w->next) {
        if (pg_addr_equal(&w->from, from)) {
            return true;
        }
    }
    return false;
}

static void set_switch(struct pg_watchers *all)
{
    bool everything = all->level != PG_TRACE_OFF;
    for (const struct pg_watch *w = all->first; w != NULL; w = w->next) {
        everything = everything || !w->has_from;
    }
    pg_trace_set_filter(all->trace, everything || all->first == NULL ? NULL : is_wanted, all);
    pg_trace_set_level(
        all->trace, all->level != PG_TRACE_OFF || all->first == NULL ? all->level : PG_TRACE_FLOWS);
}

void pg_watchers_init(struct pg_watchers *all, struct pg_trace *trace)
{
    *all = (struct pg_watchers){.trace = trace, .level = pg_trace_level(trace)};
}

void pg_watch_begin(struct pg_watchers *all, struct pg_watch *w)
{
    w->next = all->first;
    all->first = w;
    set_switch(all);
    pg_trace_tell_again(all->trace); /* flows that are under way show their translation once more */
}

void pg_watch_end(struct pg_watchers *all, struct pg_watch *w)
{
    for (struct pg_watch **at = &all->first; *at != NULL; at = &(*at)->next) {
        if (*at == w) {
            *at = w->next;
            set_switch(all);
            return;
        }
    }
}
