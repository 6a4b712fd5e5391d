/* What the proxy looks like from outside: both legs of each client connection.
 *
 * Called by the control side, a few entries at a time, so that a dump of 100,000 connections does not hold up a packet. A session
 * that ends between two steps is simply not seen. Reads only. */
#include "passthrough.h"
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
    pg_tls_look(s->client, &ret->tls);
    const struct pg_upstream *up = upstream_of(p, s);
    if (up && up->conn) {
        ret->has_upstream = true;
        pg_conn_look(up->conn, &ret->upstream);
        pg_tls_up_look(up->conn, &ret->upstream_tls);
    }
    service[0] = 0;
    if (s->route && s->route->service != PG_INDEX_NONE) {
        const struct pg_service *found = &s->routes->snapshot->services[s->route->service];
        (void)snprintf(service, 600, "%s/%s", found->namespace, found->name);
    }
}

static void view_passthrough(const struct pg_passthrough *t, struct pg_session_view *ret,
                             char service[600])
{
    *ret = (struct pg_session_view){
        .label = pg_conn_label(t->client), .service = service, .state = "passthrough"};
    pg_conn_look(t->client, &ret->client);
    ret->has_upstream = t->pod != NULL;
    if (t->pod)
        pg_conn_look(t->pod, &ret->upstream);
    service[0] = 0;
    if (t->route && t->route->service != PG_INDEX_NONE) {
        const struct pg_service *found = &t->routes->snapshot->services[t->route->service];
        (void)snprintf(service, 600, "%s/%s", found->namespace, found->name);
    }
}

bool pg_proxy_walk(const struct pg_proxy *p, uint64_t *cursor, uint32_t budget, uint64_t now_us,
                   void (*fn)(void *arg, const struct pg_session_view *view), void *arg)
{
    uint32_t sessions = pg_pool_high_water(p->sessions);
    uint32_t limit = sessions + pg_pool_high_water(p->passthroughs);
    char service[600];
    for (; *cursor < limit && budget > 0; (*cursor)++, budget--) {
        uint32_t at = (uint32_t)*cursor;
        struct pg_session_view view;
        if (at < sessions && pg_pool_in_use(p->sessions, at)) {
            const struct pg_session *s = pg_pool_at(p->sessions, at);
            view_session(p, s, &view, service);
            view.age_us = now_us - s->opened_us;
        } else if (at >= sessions && pg_pool_in_use(p->passthroughs, at - sessions)) {
            const struct pg_passthrough *t = pg_pool_at(p->passthroughs, at - sessions);
            view_passthrough(t, &view, service);
            view.age_us = now_us - t->opened_us;
        } else {
            continue;
        }
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
