/* How much and how long: the limits and timeouts in force, and who has gone beyond one.
 *
 * Called by `listener.c` at start and at each load, by `session.c` for heads and slow clients, by `session_io.c` for the reason of a refusal. The numbers are
 * the Lab's (spec.ingress.limits and .timeouts); what a caller of pg_proxy_new gives wins over them. A load changes them for open
 * connections too, from their next wait on.
 *
 * A client is too slow if it alone is what a body waits for, and over a window of 20 s less came or went than the rate asks for: its
 * own body does not come although the pod would take it, or an answer lies here and there is no room towards it. A pod that is slow is not its
 * fault. Owns nothing. */
#include "proxy_internal.h"

#define VERSION_LEN 9 /* " HTTP/1.1" */

void pg_limits_load(struct pg_proxy *p)
{
    const struct pg_proxy_options *o = &p->options;
    const struct {
        enum pg_limit limit;
        uint64_t value;
    } given[] = {
        {PG_LIMIT_HEAD_TIME, o->head_timeout_ms},
        {PG_LIMIT_IDLE_TIME, o->idle_timeout_ms},
        {PG_LIMIT_CONNECT_TIME, o->connect_timeout_ms},
        {PG_LIMIT_RESPONSE_TIME, o->response_timeout_ms},
        {PG_LIMIT_TUNNEL_TIME, o->tunnel_timeout_ms},
        {PG_LIMIT_UPSTREAM_TIME, o->upstream_idle_ms},
        {PG_LIMIT_REQUESTS, o->keepalive_requests},
        {PG_LIMIT_BODY, o->body_limit},
    };
    if (p->routes)
        p->limits = p->routes->snapshot->lab.ingress.limits;
    else
        pg_ingress_limits_default(&p->limits);
    for (unsigned i = 0; i < sizeof(given) / sizeof(given[0]); i++) {
        if (given[i].value > 0)
            p->limits.value[given[i].limit] = given[i].value;
    }
    if (p->limits.value[PG_LIMIT_POOL] > o->pool_limit)
        p->limits.value[PG_LIMIT_POOL] = o->pool_limit; /* there is memory for no more */
}

/* ---- heads ---- */

enum pg_http_error pg_limits_of_head(const struct pg_ingress_limits *l,
                                     const struct pg_http_head *h)
{
    uint32_t line = h->target.at + h->target.len + VERSION_LEN - h->method.at;
    if (line > l->value[PG_LIMIT_LINE])
        return PG_HTTP_ERROR_TARGET_TOO_LONG;
    if (h->head_len > l->value[PG_LIMIT_HEAD])
        return PG_HTTP_ERROR_HEAD_TOO_LARGE;
    if (h->field_count > l->value[PG_LIMIT_FIELDS])
        return PG_HTTP_ERROR_TOO_MANY_FIELDS;
    return PG_HTTP_ERROR_NONE;
}

enum pg_http_error pg_limits_of_body(uint64_t most, const struct pg_http_head *h)
{
    bool beyond = most > 0 && h->content_length > most;
    return beyond ? PG_HTTP_ERROR_BODY_TOO_LARGE : PG_HTTP_ERROR_NONE;
}

/* ---- slow clients ---- */

bool pg_limits_too_slow(struct pg_session *s)
{
    struct pg_exchange *x = s->exchange;
    uint64_t now_ms = pg_proxy_now_ms(s->proxy);
    uint64_t took_ms = now_ms - x->window_ms;
    if (took_ms < PG_RATE_WINDOW_MS)
        return false;
    uint64_t least = s->proxy->limits.value[PG_LIMIT_RATE] * took_ms / 1000;
    uint64_t passed = x->request.passed + x->response.passed;
    bool owes = s->state == PG_SESSION_REQUEST && !x->request.done &&
                pg_conn_unread(s->client) == 0 && pg_conn_room(s->up->conn) > 0;
    bool holds_up = s->state == PG_SESSION_RESPONSE && pg_conn_unread(s->up->conn) > 0;
    bool slow = (owes || holds_up) && passed - x->window_passed < least;
    x->window_ms = now_ms;
    x->window_passed = passed;
    return slow;
}

/* ---- the reason ---- */

static enum pg_limit limit_behind(enum pg_http_error error)
{
    switch (error) {
    case PG_HTTP_ERROR_TARGET_TOO_LONG: return PG_LIMIT_LINE;
    case PG_HTTP_ERROR_HEAD_TOO_LARGE: return PG_LIMIT_HEAD;
    case PG_HTTP_ERROR_TOO_MANY_FIELDS: return PG_LIMIT_FIELDS;
    case PG_HTTP_ERROR_BODY_TOO_LARGE: return PG_LIMIT_BODY;
    case PG_HTTP_ERROR_HEAD_TIMEOUT: return PG_LIMIT_HEAD_TIME;
    case PG_HTTP_ERROR_BODY_TIMEOUT:
    case PG_HTTP_ERROR_UPSTREAM_TIMEOUT: return PG_LIMIT_RESPONSE_TIME;
    case PG_HTTP_ERROR_CLIENT_TOO_SLOW: return PG_LIMIT_RATE;
    case PG_HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT: return PG_LIMIT_CONNECT_TIME;
    default: return PG_LIMIT_COUNT;
    }
}

/* The filter of the route that is behind it; NULL: the ingress' own limit is. whole: the time for all of the request is over. */
static const struct pg_route_filter *filter_behind(const struct pg_snapshot *s,
                                                   const struct pg_route *route,
                                                   enum pg_http_error error, bool whole)
{
    const struct pg_route_filter *found = NULL;
    bool timeout =
        error == PG_HTTP_ERROR_UPSTREAM_TIMEOUT || error == PG_HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT;
    enum pg_filter_kind kind = PG_FILTER_BODY_LIMIT;
    if (!timeout && error != PG_HTTP_ERROR_BODY_TOO_LARGE)
        return NULL;
    if (timeout)
        kind = whole                                     ? PG_FILTER_WHOLE_TIMEOUT
               : error == PG_HTTP_ERROR_UPSTREAM_TIMEOUT ? PG_FILTER_READ_TIMEOUT
                                                         : PG_FILTER_CONNECT_TIMEOUT;
    for (uint32_t i = 0; i < route->filter_count; i++) {
        const struct pg_route_filter *f = &s->filters[route->filter_first + i];
        if (f->kind == kind && (!found || !whole || f->number < found->number))
            found = f;
    }
    return found;
}

pg_reason_id pg_limit_reason_of_route(const struct pg_ingress_limits *l,
                                      const struct pg_snapshot *s, const struct pg_route *route,
                                      enum pg_http_error error, bool whole)
{
    const struct pg_route_filter *f = route ? filter_behind(s, route, error, whole) : NULL;
    return f ? pg_route_filter_reason(f, pg_http_error_code(error)) : pg_limit_reason(l, error);
}

pg_reason_id pg_limit_reason(const struct pg_ingress_limits *l, enum pg_http_error error)
{
    enum pg_limit limit = limit_behind(error);
    struct pg_reason reason = {.code = pg_http_error_code(error)};
    if (limit < PG_LIMIT_COUNT) {
        reason.object = "Lab";
        reason.field = pg_limit_path(limit);
        reason.file = l->source[limit].file;
        reason.line = l->source[limit].line;
        reason.defaulted = reason.line == 0;
    }
    return pg_reason_intern(&reason);
}
