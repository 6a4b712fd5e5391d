/* The switch of the trace: on with the first watcher, off with the last; and whose flows are recorded.
 *
 * The path's cost of all this is one predictable branch (pg_trace_on). While all watchers ask for something, a flow is recorded if one of them gets what he asked
 * for: by who begins it at once, else as soon as its records say so (trace/sieve.c). A flow that nobody wants costs one branch more per record, and one
 * whose host or path nobody wants is recognised at each request. Called by the control side. */
#include "podglass/watch.h"

#include "podglass/names.h"

#include <stddef.h>
#include <string.h>

#define UNDECIDED_MOST 256 /* flows whose records are kept back at a time: 4 MB */

static enum pg_flow_wanted begins_flow(void *arg, const struct pg_addr *from)
{
    const struct pg_watchers *all = arg;
    enum pg_flow_wanted best = PG_FLOW_NEVER;

    for (const struct pg_watch *w = all->first; w != NULL; w = w->next) {
        enum pg_wanted wanted = pg_want_from(&w->want, from);
        if (wanted == PG_WANTED_YES) {
            return PG_FLOW_RECORDED;
        }
        best = wanted == PG_WANTED_NOT_YET ? PG_FLOW_OPEN : best;
    }
    return best;
}

/* "shop/web" of the last route's "shop/web:http"; "" for none yet */
static const char *routed(const struct pg_exchange *x, char *out, size_t room)
{
    out[0] = 0;
    for (uint32_t i = x->count; i-- > x->carried;) {
        const struct pg_record *r = &x->records[i];
        const char *colon = r->after.is_text ? memchr(r->after.text, ':', r->after.len) : NULL;
        if (r->stage == PG_STAGE_ROUTE && colon != NULL && strcmp(r->name, "route") == 0) {
            size_t len = (size_t)(colon - r->after.text);
            memcpy(out, r->after.text, len < room ? len : room - 1);
            out[len < room ? len : room - 1] = 0;
            return out;
        }
    }
    return out;
}

/* ---- one record ---- */

static bool may_want_request(void *arg, struct pg_slice target, struct pg_slice host)
{
    const struct pg_watchers *all = arg;

    for (const struct pg_watch *w = all->first; w != NULL; w = w->next) {
        if (pg_want_request(&w->want, target, host)) {
            return true;
        }
    }
    return false;
}

static bool is_pod(const struct pg_watchers *all, const struct pg_want *w,
                   const struct pg_record *r)
{
    struct pg_namer namer = {.snapshot = pg_path_snapshot(all->path)};

    return !r->after.is_text && strcmp(pg_name_of(&namer, &r->after.addr), w->pod) == 0;
}

static bool is_service(const struct pg_want *w, const struct pg_record *r)
{
    const char *object = pg_reason_get(r->reason)->object;

    return strncmp(object, "Service/", 8) == 0 && strcmp(object + 8, w->service) == 0;
}

/* A translation of the destination: does it lead to what this watcher asks for last? */
static bool leads_there(const struct pg_watchers *all, const struct pg_want *w,
                        const struct pg_record *r)
{
    if (w->pod != NULL) {
        return is_pod(all, w, r);
    }
    return w->service != NULL ? is_service(w, r) : w->has_from;
}

static bool is_route_to(const struct pg_want *w, const struct pg_record *r)
{
    size_t len = strlen(w->service);

    return r->after.is_text && r->after.len > len && memcmp(r->after.text, w->service, len) == 0 &&
           r->after.text[len] == ':';
}

/* Nobody gets what he asks for by this route, whatever comes. */
static bool nobody_wants_route(const struct pg_watchers *all, const struct pg_record *r)
{
    for (const struct pg_watch *w = all->first; w != NULL; w = w->next) {
        if (w->want.service == NULL || is_route_to(&w->want, r)) {
            return false;
        }
    }
    return strcmp(r->name, "route") == 0;
}

static enum pg_glance glance(void *arg, const struct pg_record *r)
{
    const struct pg_watchers *all = arg;

    if (r->stage == PG_STAGE_ROUTE && r->kind == PG_RECORD_EVENT) {
        return nobody_wants_route(all, r) ? PG_GLANCE_NO : PG_GLANCE_NOTHING;
    }
    bool leg = r->field == PG_FIELD_DST && r->conntrack != 0;
    for (const struct pg_watch *w = all->first; w != NULL; w = w->next) {
        bool by_head = w->want.pod == NULL && w->want.service == NULL && !w->want.has_verdict;
        if (leg ? leads_there(all, &w->want, r) : by_head || w->want.has_verdict) {
            return PG_GLANCE_LOOK;
        }
    }
    return PG_GLANCE_NOTHING;
}

/* ---- all there is ---- */

/* The best that any watcher says. */
static enum pg_wanted judge(void *arg, const struct pg_exchange *x, bool over)
{
    struct pg_watchers *all = arg;
    struct pg_namer namer = {.snapshot = pg_path_snapshot(all->path)};
    struct pg_names names = pg_namer_names(&namer);
    enum pg_wanted best = PG_WANTED_NO;
    struct pg_exchange_view v;
    char service[128];

    pg_exchange_look(x, &v);
    routed(x, service, sizeof service);
    for (const struct pg_watch *w = all->first; w != NULL && best != PG_WANTED_YES; w = w->next) {
        enum pg_wanted wanted = pg_want_judge(&w->want, &v, service, &names, over);
        best = wanted > best ? wanted : best;
    }
    return best;
}

static bool sieve(void *arg, const struct pg_record *r)
{
    struct pg_watchers *all = arg;
    return pg_sieve_take(all->sieve, all->trace, r);
}

static void set_switch(struct pg_watchers *all)
{
    struct pg_trace_filter filter = {.wanted = begins_flow, .arg = all};
    bool everything = all->level != PG_TRACE_OFF || all->first == NULL;
    bool more = false;

    for (const struct pg_watch *w = all->first; w != NULL; w = w->next) {
        everything = everything || (!w->want.has_from && !pg_want_needs_more(&w->want));
        more = more || pg_want_needs_more(&w->want);
    }
    if (more && !everything && all->sieve == NULL) {
        all->sieve = pg_sieve_new(UNDECIDED_MOST, glance, judge, all);
    }
    everything =
        everything || (more && all->sieve == NULL); /* no memory: more than was asked for */
    if (all->sieve != NULL) {
        pg_sieve_forget(all->sieve);
    }
    filter.sieve = more ? sieve : NULL;
    filter.request = may_want_request;
    pg_trace_set_filter(all->trace, everything ? NULL : &filter);
    pg_trace_set_level(
        all->trace, all->level != PG_TRACE_OFF || all->first == NULL ? all->level : PG_TRACE_FLOWS);
}

void pg_watchers_init(struct pg_watchers *all, struct pg_path *path)
{
    *all = (struct pg_watchers){.path = path, .trace = pg_path_trace(path)};
    all->level = pg_trace_level(all->trace);
}

void pg_watchers_end(struct pg_watchers *all)
{
    all->first = NULL;
    set_switch(all);
    pg_sieve_free(all->sieve);
    all->sieve = NULL;
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
