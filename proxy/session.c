/* The state machine of one client connection: one request after the other, each on its way to a pod and back.
 *
 * Called by the stack's callbacks (client leg), `upstream.c` (upstream leg) and the wheel. Events come in through
 * `pg_session_event`, states change through `pg_session_set`, and the contract of each state stands in `proxy_internal.h`. Most
 * events only say that something can move: what the state means is then done step by step until nothing moves any more.
 *
 * Pipelined requests wait unread in the client's connection, whose window closes: that is the whole queue.
 *
 * Owns sessions. Always true: a session is freed at the end of an event and nowhere else; it never frees what a caller of
 * `pg_session_event` still uses. */
#include "proxy_internal.h"

#include "podglass/conn_inner.h"
#include "podglass/h2_server.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

static const char *const state_names[] = {
    [PG_SESSION_IDLE] = "idle",       [PG_SESSION_HEAD] = "head",
    [PG_SESSION_CONNECT] = "connect", [PG_SESSION_REQUEST] = "request",
    [PG_SESSION_RESPONSE] = "relay",  [PG_SESSION_TUNNEL] = "tunnel",
    [PG_SESSION_LINGER] = "linger",   [PG_SESSION_DEAD] = "dead",
};
static_assert(sizeof(state_names) / sizeof(state_names[0]) == PG_SESSION_STATE_COUNT,
              "a name per state");

const char *pg_session_state_name(enum pg_session_state state)
{
    return state_names[state];
}

/* ---- time ---- */

static bool in_exchange(const struct pg_session *s)
{
    return s->state == PG_SESSION_REQUEST || s->state == PG_SESSION_RESPONSE;
}

/* While bodies are on their way the client's speed is looked at once a window. */
static uint64_t next_look(const struct pg_session *s)
{
    uint64_t end_ms = in_exchange(s) ? s->exchange->window_ms + PG_RATE_WINDOW_MS : UINT64_MAX;
    return end_ms < s->deadline_ms ? end_ms : s->deadline_ms;
}

void pg_session_wait(struct pg_session *s, uint32_t ms)
{
    struct pg_timer *t = &s->timer.timer;
    s->deadline_ms = pg_proxy_now_ms(s->proxy) + ms;
    uint64_t due_ms = next_look(s);
    /* A later deadline is looked at when the timer fires: moving it at every event would cost more. */
    if (!pg_timer_armed(t) || t->due_ms > due_ms)
        pg_wheel_arm(s->proxy->wheel, t, due_ms);
}

/* ---- the one place that sets a state ---- */

void pg_session_set(struct pg_session *s, enum pg_session_state state)
{
    s->state = (uint8_t)state;
    if (state == PG_SESSION_IDLE) {
        pg_session_drop_exchange(s);
        s->counted = s->delimited = s->retried = s->response_begun = false;
        s->tries = 0;
        s->reason = 0;
        pg_session_wait(s, pg_limit_ms(s->proxy, PG_LIMIT_IDLE_TIME));
    }
}

/* ---- IDLE and HEAD ---- */

/* HTTP/2 by prior knowledge: its first line is refused as HTTP/1.1, so nobody else pays for looking. Only where it is allowed, and as the first thing
 * on a connection of its own; Upgrade: h2c is never an upgrade. */
static bool hand_over(struct pg_session *s)
{
    char line[sizeof(PG_H2_PREFACE) - 1];
    struct pg_proxy *p = s->proxy;
    if (s->requests > 0 || !p->routes || !pg_h2c_allowed(p->routes->snapshot) ||
        pg_inner_below(s->client) ||
        pg_conn_peek(s->client, 0, line, sizeof(line)) < sizeof(line) ||
        memcmp(line, PG_H2_PREFACE, sizeof(line)) != 0)
        return false;
    struct pg_conn *client = s->client;
    s->client = NULL;
    pg_session_set(s, PG_SESSION_DEAD);
    pg_h2_begin(p, client);
    return true;
}

/* Looks for the next request. Returns whether the state changed. */
static bool take_head(struct pg_session *s)
{
    const char *bytes;
    enum pg_http_error error;
    int err = pg_session_read_head(s, s->client, PG_HTTP_REQUEST, &bytes, &error);
    if (err == -EAGAIN && pg_conn_unread(s->client) >= s->proxy->limits.value[PG_LIMIT_HEAD]) {
        err = -EBADMSG;
        error = PG_HTTP_ERROR_HEAD_TOO_LARGE;
    }
    if (err == -EAGAIN) {
        if (pg_conn_end_seen(s->client)) {
            pg_session_close(s);
            return true;
        }
        if (s->state == PG_SESSION_IDLE && pg_conn_unread(s->client) > 0) {
            pg_session_set(s, PG_SESSION_HEAD);
            pg_session_wait(s, pg_limit_ms(s->proxy, PG_LIMIT_HEAD_TIME));
        }
        return false;
    }
    if (s->state == PG_SESSION_IDLE)
        pg_session_set(s, PG_SESSION_HEAD);
    if (err == -ENOBUFS)
        error = PG_HTTP_ERROR_NO_ROOM;
    else if (err == 0)
        error = pg_limits_of_head(&s->proxy->limits, &s->proxy->head);
    if (error && hand_over(s))
        return true;
    if (error) {
        s->is_head = s->http10 = s->delimited = false;
        s->held_head = 0;
    } else {
        error = pg_request_begin(s, bytes);
    }
    if (error)
        pg_session_refuse(s, error);
    return true;
}

/* ---- CONNECT ---- */

static void connected(struct pg_session *s)
{
    const char *bytes;
    enum pg_http_error error;
    /* Parsed once already; a second time is cheaper than keeping every waiting head in memory. */
    int err = pg_session_read_head(s, s->client, PG_HTTP_REQUEST, &bytes, &error);
    error = err == 0 ? pg_request_send(s, bytes) : PG_HTTP_ERROR_NO_ROOM;
    if (error)
        pg_session_refuse(s, error);
}

/* ---- events ---- */

static void on_timeout(struct pg_session *s)
{
    if (in_exchange(s) && pg_limits_too_slow(s)) {
        pg_session_refuse(s, PG_HTTP_ERROR_CLIENT_TOO_SLOW);
        return;
    }
    if (pg_proxy_now_ms(s->proxy) < s->deadline_ms) {
        pg_wheel_arm(s->proxy->wheel, &s->timer.timer, next_look(s));
        return;
    }
    switch ((enum pg_session_state)s->state) {
    case PG_SESSION_IDLE:
    case PG_SESSION_LINGER: pg_session_close(s); break;
    case PG_SESSION_HEAD:
        s->is_head = s->http10 = s->delimited = false;
        s->held_head = 0;
        pg_session_refuse(s, PG_HTTP_ERROR_HEAD_TIMEOUT);
        break;
    case PG_SESSION_CONNECT: pg_exchange_upstream_gone(s, -ETIMEDOUT); break;
    case PG_SESSION_REQUEST:
    case PG_SESSION_RESPONSE:
        /* Whoever owes us bytes is late: the client if its body is not here, else the pod. */
        pg_session_refuse(s, !s->exchange->request.done && pg_conn_unread(s->client) == 0
                                 ? PG_HTTP_ERROR_BODY_TIMEOUT
                                 : PG_HTTP_ERROR_UPSTREAM_TIMEOUT);
        break;
    case PG_SESSION_TUNNEL: pg_tunnel_end(s, -ETIMEDOUT); break;
    case PG_SESSION_DEAD:
    case PG_SESSION_STATE_COUNT: break;
    }
}

uint32_t pg_session_patience(const struct pg_session *s)
{
    const struct pg_exchange *x = s->exchange;
    uint32_t ms = x->request.done ? x->read_ms : x->send_ms;
    uint64_t now_ms = pg_proxy_now_ms(s->proxy);
    if (x->until_ms && x->until_ms < now_ms + ms)
        ms = x->until_ms > now_ms ? (uint32_t)(x->until_ms - now_ms) : 1;
    return ms;
}

static void on_event(struct pg_session *s, enum pg_session_event event, int error)
{
    switch (event) {
    case PG_EVENT_CLIENT_CLOSED:
        if (s->counted) /* while it can still be said who it was */
            pg_request_log_end(s, s->state == PG_SESSION_TUNNEL ? 101 : 499);
        s->client = NULL;
        pg_session_abort(s);
        break;
    case PG_EVENT_UPSTREAM_OPEN:
        if (s->state == PG_SESSION_CONNECT)
            connected(s);
        break;
    case PG_EVENT_UPSTREAM_CLOSED: pg_exchange_upstream_gone(s, error); break;
    case PG_EVENT_TIMEOUT: on_timeout(s); break;
    case PG_EVENT_DRAIN:
        if (s->state == PG_SESSION_IDLE)
            pg_session_close(s);
        break;
    case PG_EVENT_CLIENT_READABLE:
    case PG_EVENT_CLIENT_WRITABLE:
    case PG_EVENT_UPSTREAM_READABLE:
    case PG_EVENT_UPSTREAM_WRITABLE:
        if (in_exchange(s))
            pg_session_wait(s, pg_session_patience(s));
        break;
    }
}

/* Does what the state asks for. Returns whether it should be asked again. */
static bool step(struct pg_session *s)
{
    switch ((enum pg_session_state)s->state) {
    case PG_SESSION_IDLE:
    case PG_SESSION_HEAD: return take_head(s);
    case PG_SESSION_REQUEST:
    case PG_SESSION_RESPONSE: return pg_exchange_step(s);
    case PG_SESSION_TUNNEL: return pg_tunnel_step(s);
    case PG_SESSION_LINGER: return pg_session_linger_step(s);
    case PG_SESSION_CONNECT:
    case PG_SESSION_DEAD:
    case PG_SESSION_STATE_COUNT: break;
    }
    return false;
}

static void session_free(struct pg_session *s)
{
    struct pg_proxy *p = s->proxy;
    pg_session_drop_exchange(s);
    pg_upstream_close_of(s);
    pg_wheel_cancel(p->wheel, &s->timer.timer);
    pg_routes_put(s->routes);
    pg_preface_put(s->preface);
    pg_pool_put(p->sessions, pg_pool_index(p->sessions, s));
}

void pg_session_event(struct pg_session *s, enum pg_session_event event, int error)
{
    on_event(s, event, error);
    while (step(s))
        ;
    if (s->state == PG_SESSION_DEAD)
        session_free(s);
}

/* ---- the client leg ---- */

static void on_open(void *owner, struct pg_conn *c)
{
    (void)owner; /* accepted connections are open */
    (void)c;
}

static void on_readable(void *owner, struct pg_conn *c)
{
    (void)c;
    pg_session_event(owner, PG_EVENT_CLIENT_READABLE, 0);
}

static void on_writable(void *owner, struct pg_conn *c)
{
    (void)c;
    pg_session_event(owner, PG_EVENT_CLIENT_WRITABLE, 0);
}

static void on_closed(void *owner, struct pg_conn *c, int error)
{
    (void)c;
    pg_session_event(owner, PG_EVENT_CLIENT_CLOSED, error);
}

static const struct pg_conn_events events = {on_open, on_readable, on_writable, on_closed};

void pg_session_begin(struct pg_proxy *p, struct pg_conn *client)
{
    uint32_t index = p->draining ? PG_POOL_NONE : pg_pool_get(p->sessions);
    if (index == PG_POOL_NONE) {
        pg_h2_abort_because(client, -ENOBUFS);
        pg_conn_abort(client);
        return;
    }
    struct pg_session *s = pg_pool_at(p->sessions, index);
    s->timer.owner = PG_TIMER_OF_SESSION;
    s->proxy = p;
    s->client = client;
    s->preface = pg_preface_get(p->prefaces, client);
    s->opened_us = p->now_us;
    struct pg_tuple begun = pg_client_begun_as(p, client);
    s->dialled = begun.dst;
    s->dialled_port = begun.dst_port;
    pg_conn_own(client, &events, s);
    pg_session_wait(s, pg_limit_ms(p, PG_LIMIT_HEAD_TIME));
    if (pg_conn_unread(client) > 0 || pg_conn_end_seen(client))
        pg_session_event(s, PG_EVENT_CLIENT_READABLE, 0);
}
