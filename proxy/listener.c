/* The ingress as a whole: what it owns, where client connections come in, how time passes.
 *
 * Called by app/path.c: new, load, listener, advance, drain, free. A load compiles the routes aside and swaps one pointer;
 * sessions go on with the load they took their last request by.
 *
 * Owns the pools, the wheel and the loads. Always true: limits are fixed at start; nothing is allocated for a connection or a
 * request. */
#include "balance.h"
#include "h2_up.h"
#include "passthrough.h"
#include "proxy_internal.h"

#include "podglass/packet.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#define UPSTREAM_SPARE 1024 /* beyond one per session: idle ones */
#define TARGET_LIMIT   65536
#define STATS_PLACES   2000 /* pairs of host and service of which requests are counted by name */
#define HEAD_BUFFERS   2048 /* heads that arrive in pieces at the same time */

static void use_defaults(struct pg_proxy_options *o)
{
    if (o->session_limit == 0)
        o->session_limit = 100000;
    if (o->pool_limit == 0)
        o->pool_limit = UPSTREAM_SPARE;
    if (o->tls_timeout_ms == 0)
        o->tls_timeout_ms = 10000;
}

const struct pg_ingress_port *pg_client_port(const struct pg_proxy *p, const struct pg_conn *c)
{
    uint16_t port;
    (void)pg_conn_local(c, &port);
    for (uint32_t i = 0; p->routes && i < p->routes->port_count; i++) {
        if (p->routes->ports[i].target == port)
            return &p->routes->ports[i];
    }
    return NULL;
}

struct pg_tuple pg_client_begun_as(const struct pg_proxy *p, const struct pg_conn *c)
{
    const struct pg_proxy_options *o = &p->options;
    struct pg_tuple t = {.proto = PG_PROTO_TCP};
    struct pg_tuple begun;
    t.src = pg_conn_peer(c, &t.src_port);
    t.dst = pg_conn_local(c, &t.dst_port);
    return o->begun_as && o->begun_as(o->begun_arg, &t, &begun) ? begun : t;
}

void pg_client_begin(struct pg_proxy *p, struct pg_conn *c)
{
    const struct pg_ingress_port *port = pg_client_port(p, c);
    if (port && port->tls)
        pg_tls_begin(p, c);
    else
        pg_session_begin(p, c);
}

static void on_accept(void *arg, struct pg_conn *conn)
{
    struct pg_proxy *p = arg;
    uint16_t port;
    (void)pg_conn_local(conn, &port);
    if (p->routes && pg_preface_wanted(&p->routes->preface, port))
        pg_preface_begin(p->prefaces, conn);
    else
        pg_client_begin(p, conn);
}

struct pg_proxy *pg_proxy_new(const struct pg_proxy_options *options, struct pg_stack *stack,
                              struct pg_counters *counters, struct pg_trace *trace,
                              struct pg_random *random, uint64_t now_us)
{
    struct pg_proxy *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->options = *options;
    use_defaults(&p->options);
    pg_limits_load(p);
    p->stack = stack;
    p->counters = counters;
    p->trace = trace;
    p->random = random;
    p->key = pg_random_key(random);
    p->now_us = now_us;
    p->listener = (struct pg_listener){.on_accept = on_accept, .arg = p};
    p->wheel = pg_wheel_new(now_us / 1000);
    p->sessions = pg_pool_new("sessions", sizeof(struct pg_session), p->options.session_limit);
    p->exchanges = pg_pool_new("exchanges", sizeof(struct pg_exchange), p->options.session_limit);
    p->stats = pg_request_stats_new(STATS_PLACES);
    if (p->options.on_done)
        p->notes =
            pg_pool_new("request notes", sizeof(struct pg_request_note), p->options.session_limit);
    p->upstreams = pg_pool_new("upstreams", sizeof(struct pg_upstream),
                               p->options.session_limit + p->options.pool_limit);
    p->targets = pg_pool_new("targets", sizeof(struct pg_target), TARGET_LIMIT);
    p->target_table = pg_table_new(TARGET_LIMIT, pg_target_equal, p);
    p->heads = pg_buf_pool_new(HEAD_BUFFERS);
    p->tls = pg_tls_new(p);
    p->tls_ups = pg_tls_ups_new(p);
    p->passthroughs = pg_passthrough_pool_new(p->options.session_limit);
    p->h2 = pg_h2_new(p);
    p->h2_ups = pg_h2_ups_new(p);
    p->balance = pg_balance_new(p);
    p->prefaces = pg_prefaces_new(p, p->options.session_limit);
    if (p->stats && (p->notes || !p->options.on_done) && p->wheel && p->sessions && p->exchanges &&
        p->upstreams && p->targets && p->target_table && p->heads && p->tls && p->tls_ups &&
        p->passthroughs && p->h2 && p->h2_ups && p->balance && p->prefaces)
        return p;
    pg_proxy_free(p);
    return NULL;
}

/* The stack frees its connections itself; sessions still hold head buffers and loads. */
static void free_sessions(struct pg_proxy *p)
{
    uint32_t limit = p->sessions ? pg_pool_high_water(p->sessions) : 0;
    for (uint32_t i = 0; i < limit; i++) {
        if (!pg_pool_in_use(p->sessions, i))
            continue;
        struct pg_session *s = pg_pool_at(p->sessions, i);
        if (s->up)
            pg_upstream_abort(s->up);
        if (s->client)
            pg_conn_abort(s->client);
        pg_buf_put(s->head_buf);
        pg_routes_put(s->routes);
        pg_preface_put(s->preface);
    }
}

void pg_proxy_free(struct pg_proxy *p)
{
    if (!p)
        return;
    free_sessions(p);
    pg_h2_free(p);
    pg_passthrough_end_all(p);
    if (p->upstreams)
        pg_upstream_close_idle(p);
    pg_h2_ups_free(p);
    pg_tls_ups_free(p);
    pg_tls_free(p);
    pg_prefaces_free(p->prefaces);
    pg_routes_put(p->routes);
    pg_buf_pool_free(p->heads);
    pg_balance_free(p->balance);
    pg_table_free(p->target_table);
    pg_pool_free(p->targets);
    pg_pool_free(p->upstreams);
    pg_pool_free(p->exchanges);
    pg_pool_free(p->notes);
    pg_request_stats_free(p->stats);
    pg_pool_free(p->sessions);
    pg_wheel_free(p->wheel);
    free(p);
}

/* ---- loads ---- */

void pg_routes_put(struct pg_routes *r)
{
    if (!r || --r->refs > 0)
        return;
    free(r->places);
    pg_tls_peers_free(r->tls_peers);
    pg_certs_free(r->certs);
    free(r->turns);
    pg_router_free(r->router);
    pg_snapshot_put(r->snapshot);
    free(r);
}

/* Only services that a rule leads to can have requests. */
static void find_places(struct pg_proxy *p, struct pg_routes *r)
{
    const struct pg_snapshot *s = r->snapshot;
    r->places = calloc(s->route_count ? s->route_count : 1, sizeof(r->places[0]));
    r->turns = calloc(s->service_count ? s->service_count : 1, sizeof(r->turns[0]));
    for (uint32_t i = 0; r->places && i < s->route_count; i++) {
        uint32_t service = s->routes[i].service;
        if (service != PG_INDEX_NONE)
            r->places[i] = pg_request_stats_place(p->stats, s->services[service].namespace,
                                                  s->services[service].name, s->routes[i].host);
    }
}

void pg_proxy_load(struct pg_proxy *p, struct pg_snapshot *s, const struct pg_zone *zone)
{
    struct pg_routes *r = calloc(1, sizeof(*r));
    struct pg_router *router = r ? pg_router_new(s, &p->key) : NULL;
    struct pg_certs *certs = router ? pg_certs_new(s) : NULL;
    struct pg_tls_peers *peers = certs ? pg_tls_peers_new(p, s, certs) : NULL;
    p->zone = zone;
    if (!peers) {
        pg_certs_free(certs);
        pg_router_free(router);
        free(r); /* out of memory: the routes stay as they were */
        return;
    }
    *r = (struct pg_routes){.refs = 1,
                            .snapshot = pg_snapshot_ref(s),
                            .router = router,
                            .certs = certs,
                            .tls_peers = peers,
                            .identity = pg_identity_of(s),
                            .preface = pg_preface_rules_of(s)};
    r->port_count = pg_owner_ingress_ports(s, r->ports);
    find_places(p, r);
    pg_routes_put(p->routes);
    p->routes = r;
    pg_limits_load(p);
}

const struct pg_listener *pg_proxy_listener(struct pg_proxy *p)
{
    return &p->listener;
}

/* ---- time ---- */

static void on_timer(void *arg, struct pg_timer *timer)
{
    struct pg_owned_timer *owned = (struct pg_owned_timer *)(void *)timer;
    (void)arg;
    switch (owned->owner) {
    case PG_TIMER_OF_SESSION:
        pg_session_event((struct pg_session *)(void *)owned, PG_EVENT_TIMEOUT, 0);
        break;
    case PG_TIMER_OF_UPSTREAM: pg_upstream_timeout((struct pg_upstream *)(void *)owned); break;
    case PG_TIMER_OF_PREFACE: pg_preface_timeout(owned); break;
    case PG_TIMER_OF_TLS: pg_tls_timeout(owned); break;
    case PG_TIMER_OF_TLS_UP: pg_tls_up_timeout(owned); break;
    case PG_TIMER_OF_H2: pg_h2_timeout(owned); break;
    case PG_TIMER_OF_H2_UP: pg_h2_up_timeout(owned); break;
    case PG_TIMER_OF_PASSTHROUGH: pg_passthrough_timeout(owned); break;
    }
}

_Static_assert(offsetof(struct pg_owned_timer, timer) == 0 &&
                   offsetof(struct pg_session, timer) == 0 &&
                   offsetof(struct pg_upstream, timer) == 0,
               "a timer is the first thing of its owner");
_Static_assert(sizeof(struct pg_session) <= 176, "what only a request needs is in its exchange");

void pg_proxy_set_time(struct pg_proxy *p, uint64_t now_us)
{
    p->now_us = now_us;
}

void pg_proxy_advance(struct pg_proxy *p, uint64_t now_us)
{
    p->now_us = now_us;
    pg_wheel_advance(p->wheel, now_us / 1000, on_timer, p);
    pg_tls_turn(p);
}

uint64_t pg_proxy_next_due_us(const struct pg_proxy *p)
{
    uint64_t due_ms = pg_wheel_next(p->wheel);
    if (pg_tls_is_waiting(p))
        return p->now_us;
    return due_ms > UINT64_MAX / 1000 ? UINT64_MAX : due_ms * 1000;
}

void pg_proxy_drain(struct pg_proxy *p)
{
    uint32_t limit = pg_pool_high_water(p->sessions);
    p->draining = true;
    pg_upstream_close_idle(p);
    pg_tls_drain(p);
    pg_h2_drain(p);
    for (uint32_t i = 0; i < limit; i++) {
        if (pg_pool_in_use(p->sessions, i))
            pg_session_event(pg_pool_at(p->sessions, i), PG_EVENT_DRAIN, 0);
    }
}
