/* Does an exchange, or the part of it that is known, fit what somebody asked for?
 *
 * Who called is known with the first packet, host and path with the request's head, the service with its route, the pod with the translation behind it, and
 * the verdict at the end. A filter on something that is known and different settles it at once. A pod may refuse and another be tried, so
 * a pod that does not fit settles nothing before the end.
 *
 * Pure; called by tools/trace.c with whole exchanges, and by app/watch.c for the sieve (sieve.c). */
#include "podglass/want.h"

#include <string.h>
#include <strings.h>

enum pg_wanted pg_want_from(const struct pg_want *w, const struct pg_addr *from)
{
    if (w->has_from && !pg_addr_equal(&w->from, from)) {
        return PG_WANTED_NO;
    }
    return pg_want_needs_more(w) ? PG_WANTED_NOT_YET : PG_WANTED_YES;
}

static bool host_matches(const char *wanted, const char *host)
{
    size_t len = strlen(wanted);

    return strncasecmp(host, wanted, len) == 0 && (host[len] == 0 || host[len] == ':');
}

bool pg_want_request(const struct pg_want *w, struct pg_slice target, struct pg_slice host)
{
    size_t len = w->host ? strlen(w->host) : 0;
    bool host_fits = !w->host || (host.len >= len && strncasecmp(host.at, w->host, len) == 0 &&
                                  (host.len == len || host.at[len] == ':'));

    len = w->path ? strlen(w->path) : 0;
    return host_fits && target.len >= len && (len == 0 || memcmp(target.at, w->path, len) == 0);
}

static enum pg_wanted worse(enum pg_wanted a, enum pg_wanted b)
{
    return a < b ? a : b;
}

/* fits: as far as is known; final: more will not be known. */
static enum pg_wanted step(bool fits, bool final)
{
    if (fits) {
        return PG_WANTED_YES;
    }
    return final ? PG_WANTED_NO : PG_WANTED_NOT_YET;
}

static enum pg_wanted judge_service(const struct pg_want *w, const struct pg_exchange_view *v,
                                    const char *routed, bool over)
{
    bool fits = strcmp(v->service, w->service) == 0 || strcmp(v->entry, w->service) == 0;
    bool elsewhere = v->entry[0] && routed[0] && strcmp(routed, w->service) != 0;

    return step(fits, over || elsewhere);
}

enum pg_wanted pg_want_judge(const struct pg_want *w, const struct pg_exchange_view *v,
                             const char *routed, const struct pg_names *names, bool over)
{
    enum pg_wanted all = PG_WANTED_YES;
    bool has_head = v->method[0] != 0;

    if (w->has_from) {
        all = step(pg_addr_equal(&w->from, &v->client.addr),
                   over || !pg_addr_is_none(&v->client.addr));
    }
    if (w->host) {
        all = worse(all, step(has_head && host_matches(w->host, v->host), over || has_head));
    }
    if (w->path) {
        all = worse(all, step(has_head && strncmp(v->target, w->path, strlen(w->path)) == 0,
                              over || has_head));
    }
    if (w->service) {
        all = worse(all, judge_service(w, v, routed, over));
    }
    if (w->pod && all != PG_WANTED_NO) {
        all = worse(all, step(strcmp(names->of(names->arg, &v->pod.addr), w->pod) == 0, over));
    }
    if (w->has_verdict) {
        all = worse(all, step(over && v->has_verdict && v->verdict == w->verdict, over));
    }
    return all;
}
