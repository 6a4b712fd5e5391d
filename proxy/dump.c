/* What the proxy looks like from outside: both legs of each client connection.
 *
 * Called by the control side, a few entries at a time, so that a dump of 100,000 connections does not hold up a packet. A session
 * that ends between two steps is simply not seen. Reads only. */
#include "proxy_internal.h"

#include <stdio.h>

/* The upstream of the request in hand; between requests the one that the last was sent on, while it lies idle and nobody
 * else has used it since. */
static const struct pg_upstream *upstream_of(const struct pg_proxy *p, const struct pg_session *s)
{
    if (s->up || s->last_up_generation == 0)
        return s->up;
    if (pg_pool_generation(p->upstreams, s->last_up) != s->last_up_generation)
        return NULL;
    const struct pg_upstream *u = pg_pool_at(p->upstreams, s->last_up);
    return !u->session && u->last_user == s ? u : NULL;
}

static void view_session(const struct pg_proxy *p, const struct pg_session *s,
                         struct pg_session_view *ret, char service[600])
{
    *ret = (struct pg_session_view){
        .label = pg_conn_label(s->client),
        .service = service,
        .state = pg_session_state_name((enum pg_session_state)s->state),
        .requests = s->requests,
        .last_status = s->last_status,
    };
    pg_conn_look(s->client, &ret->client);
    const struct pg_upstream *up = upstream_of(p, s);
    if (up && up->conn) {
        ret->has_upstream = true;
        pg_conn_look(up->conn, &ret->upstream);
    }
    service[0] = 0;
    if (s->route && s->route->service != PG_INDEX_NONE) {
        const struct pg_service *found = &s->routes->snapshot->services[s->route->service];
        (void)snprintf(service, 600, "%s/%s", found->namespace, found->name);
    }
}

bool pg_proxy_walk(const struct pg_proxy *p, uint64_t *cursor, uint32_t budget, uint64_t now_us,
                   void (*fn)(void *arg, const struct pg_session_view *view), void *arg)
{
    uint32_t limit = pg_pool_high_water(p->sessions);
    char service[600];
    for (; *cursor < limit && budget > 0; (*cursor)++, budget--) {
        if (!pg_pool_in_use(p->sessions, (uint32_t)*cursor))
            continue;
        const struct pg_session *s = pg_pool_at(p->sessions, (uint32_t)*cursor);
        struct pg_session_view view;
        view_session(p, s, &view, service);
        view.age_us = now_us - s->opened_us;
        fn(arg, &view);
    }
    return *cursor < limit;
}

const struct pg_request_stats *pg_proxy_stats(const struct pg_proxy *p)
{
    return p->stats;
}

uint32_t pg_proxy_session_count(const struct pg_proxy *p)
{
    return pg_pool_used(p->sessions);
}

uint32_t pg_proxy_idle_upstreams(const struct pg_proxy *p)
{
    return p->idle_upstreams;
}
