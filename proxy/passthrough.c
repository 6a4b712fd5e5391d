/* TLS that goes on to a pod unread: the connection is chosen by the server name, and from then on bytes are bytes.
 *
 * Called by tls.c with a connection whose ClientHello is complete and still unread, so the pod gets it as it came. The route is that of the host's path "/", as
 * ingress-nginx does it: nobody can see another path. Both directions are relayed by reference; the end of one is passed on, and the connection is over
 * when both have ended or one is reset.
 *
 * Owns both connections. Always true: no byte of either side is changed, so no header says who the client is; the event in the trace does. */
#include "passthrough.h"

#include "balance.h"

#include "podglass/packet.h"
#include "podglass/tls_decide.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define IDLE_MS 3600000 /* as tunnels have it everywhere */

/* ---- life ---- */

struct pg_pool *pg_passthrough_pool_new(uint32_t limit)
{
    return pg_pool_new("tls passed through", sizeof(struct pg_passthrough), limit);
}

/* What is still there is closed, or reset if the other side must not take it for a whole. */
static void end(struct pg_passthrough *t, bool reset)
{
    struct pg_proxy *p = t->proxy;
    struct pg_conn *const both[] = {t->client, t->pod};
    for (int i = 0; i < 2; i++) {
        if (both[i] && reset)
            pg_conn_abort(both[i]);
        else if (both[i])
            pg_conn_close(both[i]);
    }
    pg_wheel_cancel(p->wheel, &t->timer.timer);
    pg_preface_put(t->preface);
    pg_routes_put(t->routes);
    pg_pool_put(p->passthroughs, pg_pool_index(p->passthroughs, t));
}

void pg_passthrough_end_all(struct pg_proxy *p)
{
    uint32_t limit = p->passthroughs ? pg_pool_high_water(p->passthroughs) : 0;
    for (uint32_t i = 0; i < limit; i++) {
        if (pg_pool_in_use(p->passthroughs, i))
            end(pg_pool_at(p->passthroughs, i), true);
    }
    pg_pool_free(p->passthroughs);
}

static void wait_ms(struct pg_passthrough *t, uint32_t ms)
{
    t->deadline_ms = pg_proxy_now_ms(t->proxy) + ms;
    if (!pg_timer_armed(&t->timer.timer) || t->timer.timer.due_ms > t->deadline_ms)
        pg_wheel_arm(t->proxy->wheel, &t->timer.timer, t->deadline_ms);
}

void pg_passthrough_timeout(struct pg_owned_timer *timer)
{
    struct pg_passthrough *t = (struct pg_passthrough *)(void *)timer;
    if (pg_proxy_now_ms(t->proxy) < t->deadline_ms)
        pg_wheel_arm(t->proxy->wheel, &t->timer.timer, t->deadline_ms);
    else
        end(t, true);
}

/* ---- telling ---- */

static void tell(const struct pg_passthrough *t, enum pg_stage stage, const char *name,
                 struct pg_value before, struct pg_value after, pg_reason_id reason)
{
    struct pg_trace *trace = t->proxy->trace;
    struct pg_record r = {.label = pg_conn_label(t->client),
                          .reason = reason,
                          .node = PG_NODE_NONE,
                          .kind = PG_RECORD_EVENT,
                          .stage = (uint8_t)stage,
                          .before = before,
                          .after = after};
    if (!pg_trace_on(trace) || !pg_trace_label_wanted(trace, r.label))
        return;
    (void)snprintf(r.name, sizeof(r.name), "%s", name);
    pg_trace_write(trace, &r);
}

static struct pg_value text_of(const char *text)
{
    return text[0] ? pg_value_text(text, strlen(text)) : pg_value_none();
}

/* ---- bytes ---- */

/* One way. The end of what comes is passed on once. */
static void relay(struct pg_conn *from, struct pg_conn *to, bool *said_end)
{
    (void)pg_conn_move(from, to, UINT64_MAX);
    if (!*said_end && pg_conn_at_end(from)) {
        *said_end = true;
        pg_conn_shutdown(to);
    }
}

static void move(struct pg_passthrough *t)
{
    if (!t->open)
        return;
    wait_ms(t, IDLE_MS);
    relay(t->client, t->pod, &t->client_ended);
    relay(t->pod, t->client, &t->pod_ended);
    if (t->client_ended && t->pod_ended)
        end(t, false);
}

/* In front of the ClientHello: who is there, and whom he called, if pods are to know. */
static void send_preface(struct pg_passthrough *t)
{
    struct pg_proxy *p = t->proxy;
    const struct pg_preface_rules *rules = &t->routes->preface;
    uint8_t out[PG_PREFACE_OUT_MAX];
    if (!rules->settings->to_pods)
        return;
    struct pg_tuple begun = pg_client_begun_as(p, t->client);
    begun.src = pg_conn_peer(t->client, &begun.src_port);
    struct pg_ends ends = pg_ends_decide(rules, &begun, pg_preface_read(t->preface));
    uint32_t len = pg_preface_send(p, rules, &ends, pg_conn_label(t->client), out);
    (void)pg_conn_write(t->pod, out, len);
}

static void on_open(void *owner, struct pg_conn *c)
{
    struct pg_passthrough *t = owner;
    (void)c;
    t->open = true;
    send_preface(t);
    move(t);
}

static void on_bytes(void *owner, struct pg_conn *c)
{
    (void)c;
    move(owner);
}

static void on_client_closed(void *owner, struct pg_conn *c, int error)
{
    struct pg_passthrough *t = owner;
    (void)c;
    (void)error;
    t->client = NULL;
    end(t, true);
}

static void on_pod_closed(void *owner, struct pg_conn *c, int error);

static const struct pg_conn_events client_events = {NULL, on_bytes, on_bytes, on_client_closed};
static const struct pg_conn_events pod_events = {on_open, on_bytes, on_bytes, on_pod_closed};

/* ---- where to ---- */

/* The route of the host. false: there is none, and the trace says why. */
static bool find_route(struct pg_passthrough *t, const char *name)
{
    struct pg_route_match match;
    uint16_t port;
    (void)pg_conn_local(t->client, &port);
    struct pg_route_facts facts = {.host = pg_slice_of(name),
                                   .path = PG_SLICE_LITERAL("/"),
                                   .port = port,
                                   .tls = true,
                                   .unread = true};
    pg_route_match(t->routes->router, &facts, &match);
    if (match.route && match.route->split > 1) {
        match.route =
            pg_route_draw(match.route, pg_random_below(t->proxy->random, match.route->weights));
        tell(t, PG_STAGE_ROUTE, "weight", pg_value_none(), text_of(match.route->backend_text),
             pg_route_draw_reason(match.route));
    }
    t->route = match.route;
    tell(t, PG_STAGE_ROUTE, match.route ? "route" : "no-route", pg_value_none(),
         text_of(match.route ? match.route->backend_text : ""), match.reason);
    return match.route != NULL;
}

static void tell_error(const struct pg_passthrough *t, enum pg_http_error error,
                       pg_reason_id reason)
{
    tell(t, PG_STAGE_UPSTREAM, pg_http_error_name(error), pg_value_none(), pg_value_none(), reason);
}

/* A pod, where the ingress chooses them. */
static bool find_pod(struct pg_passthrough *t, bool v6)
{
    const struct pg_endpoint *e = pg_balance_pick(t->proxy, t->routes, t->route, v6);
    if (!e) {
        tell_error(t, PG_HTTP_ERROR_NO_ENDPOINT, 0);
        return false;
    }
    t->to = e->addr;
    t->to_port = e->port;
    return true;
}

/* The service's address. false: there is none, and the trace says why. */
static bool find_service(struct pg_passthrough *t, const struct pg_backend *backend, bool v6)
{
    struct pg_addr found[PG_BACKEND_ADDRS];
    uint32_t count = 0;
    pg_reason_id reason = 0;
    enum pg_dns_status status =
        t->proxy->zone ? pg_dns_resolve(t->proxy->zone, backend->name, backend->name_len, v6, found,
                                        PG_BACKEND_ADDRS, &count, &reason)
                       : PG_DNS_NXDOMAIN;
    bool good = status == PG_DNS_OK && count > 0;
    tell(t, PG_STAGE_DNS, "resolve", pg_value_text(backend->name, backend->name_len),
         good ? pg_value_endpoint(&found[0], 0) : text_of(pg_dns_status_name(status)), reason);
    if (!good)
        return false;
    t->to = found[pg_random_below(t->proxy->random,
                                  count < PG_BACKEND_ADDRS ? count : PG_BACKEND_ADDRS)];
    t->to_port = pg_backend_port(t->routes->snapshot, t->route, &t->to);
    return true;
}

static bool find_backend(struct pg_passthrough *t, bool v6)
{
    const struct pg_snapshot *s = t->routes->snapshot;
    struct pg_backend backend;
    pg_backend_decide(s, t->route, &backend);
    if (backend.error) {
        tell_error(t, backend.error, backend.reason);
        return false;
    }
    return pg_upstream_mode(s, t->route) == PG_UPSTREAM_ENDPOINTS ? find_pod(t, v6)
                                                                  : find_service(t, &backend, v6);
}

static bool connect_pod(struct pg_passthrough *t)
{
    struct pg_proxy *p = t->proxy;
    uint16_t port;
    struct pg_addr local = pg_conn_local(t->client, &port);
    if (!find_backend(t, !pg_addr_is_v4(&local)))
        return false;
    t->pod = pg_conn_connect(p->stack, &local, 0, &t->to, t->to_port, pg_conn_label(t->client),
                             &pod_events, t);
    if (!t->pod)
        return false;
    t->tries++;
    local = pg_conn_local(t->pod, &port);
    tell(t, PG_STAGE_UPSTREAM, "connect", pg_value_endpoint(&local, port),
         pg_value_endpoint(&t->to, t->to_port), pg_upstream_reason(t->routes->snapshot, t->route));
    wait_ms(t, pg_limit_ms(p, PG_LIMIT_CONNECT_TIME));
    return true;
}

/* A pod that can not be connected to: nothing was sent, so another one may have it. */
static bool connect_again(struct pg_passthrough *t)
{
    if (t->open || pg_upstream_mode(t->routes->snapshot, t->route) != PG_UPSTREAM_ENDPOINTS)
        return false;
    pg_balance_failed(t->proxy, &t->to, t->to_port);
    return t->tries < t->proxy->limits.value[PG_LIMIT_TRIES] && connect_pod(t);
}

static void on_pod_closed(void *owner, struct pg_conn *c, int error)
{
    struct pg_passthrough *t = owner;
    (void)c;
    if (!t->open)
        tell(t, PG_STAGE_UPSTREAM, "upstream-refused", pg_value_none(),
             text_of(error == -ETIMEDOUT ? "timeout" : "refused"),
             pg_reason_intern(&(struct pg_reason){.code = PG_CODE_UPSTREAM_REFUSED}));
    t->pod = NULL;
    if (!connect_again(t))
        end(t, true);
}

void pg_passthrough_begin(struct pg_proxy *p, struct pg_conn *client, const char *name,
                          pg_reason_id reason)
{
    uint32_t index = pg_pool_get(p->passthroughs);
    if (index == PG_POOL_NONE) {
        pg_conn_abort(client);
        return;
    }
    struct pg_passthrough *t = pg_pool_at(p->passthroughs, index);
    t->timer.owner = PG_TIMER_OF_PASSTHROUGH;
    t->proxy = p;
    t->client = client;
    t->preface = pg_preface_get(p->prefaces, client);
    t->opened_us = p->now_us;
    t->routes = p->routes;
    t->routes->refs++;
    pg_conn_own(client, &client_events, t);
    p->counters->value[PG_COUNT_TLS_PASSED]++;
    tell(t, PG_STAGE_TLS, "passthrough", text_of(name), pg_value_none(), reason);
    if (!find_route(t, name) || !connect_pod(t))
        end(t, true);
}
