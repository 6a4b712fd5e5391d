/* folder: trace */
/* Which exchanges somebody wants to see: the filters of `podglass trace`, one definition for who reads records and for the path that writes them.
 *
 * While an exchange is under way some of it is not known yet; then the answer may be "not yet". */
#ifndef PODGLASS_WANT_H
#define PODGLASS_WANT_H

#include "podglass/exchange.h"

enum pg_wanted { PG_WANTED_NO, PG_WANTED_NOT_YET, PG_WANTED_YES };

/* What is not asked for is NULL, or has_x is false. The texts are the caller's. */
struct pg_want {
    struct pg_addr from;
    const char *pod;     /* "shop/web-0": got it */
    const char *service; /* "shop/web": in front of the ingress or behind it */
    const char *host;    /* without port; any case */
    const char *path;    /* the target begins so */
    enum pg_verdict verdict;
    bool has_from;
    bool has_verdict;
};

/* Does it ask for anything that shows only after the first packet? */
static inline bool pg_want_needs_more(const struct pg_want *w)
{
    return w->pod || w->service || w->host || w->path || w->has_verdict;
}
/* Whoever begins a flow: NO, YES, or NOT_YET if more is asked for. */
enum pg_wanted pg_want_from(const struct pg_want *w, const struct pg_addr *from);
/* By the head of a request alone: false, it is another host or path. */
bool pg_want_request(const struct pg_want *w, struct pg_slice target, struct pg_slice host);
/* v is what is known so far. routed: the service that the request's route led to, "" unknown. over: nothing more will be known, so never NOT_YET. */
enum pg_wanted pg_want_judge(const struct pg_want *w, const struct pg_exchange_view *v,
                             const char *routed, const struct pg_names *names, bool over);

#endif
