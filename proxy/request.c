/* From a complete request head to a request on an upstream connection: client, route, name, connection, rewrite.
 *
 * Called by `session.c`. Every decision is a call of a pure function (`client_addr.c`, `route.c`, dns/) and is told to the trace in
 * the order of the path.
 *
 * A request that may be sent a second time (no body, idempotent) takes any idle upstream connection, and its head stays unread
 * in the client's connection until an answer comes. Any other takes one only if it was used just now: the pod might have
 * closed it, and then there would be nothing left to do but 502. */
#include "balance.h"
#include "h2_up.h"

#include "podglass/tls_decide.h"
#include "podglass/upstream_tls_decide.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SAFE_IDLE_MS 1000 /* shorter than any server's keep-alive timeout we know of */
#define ADDRS_MAX    PG_BACKEND_ADDRS

/* ---- telling ---- */

static void tell_request(struct pg_session *s, const char *bytes)
{
    const struct pg_http_head *h = &s->proxy->head;
    struct pg_span host = h->authority.len ? h->authority : h->host;
    char text[256];
    int len = snprintf(text, sizeof(text), "%.*s %.*s host %.*s", (int)h->method.len,
                       bytes + h->method.at, (int)h->target.len, bytes + h->target.at,
                       (int)host.len, bytes + host.at);
    size_t used = len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1;
    pg_session_tell(s, PG_STAGE_HTTP_PARSE, "request", pg_value_none(), pg_value_text(text, used),
                    0);
    pg_session_tell_body(s, h, 0);
}

static void tell_client(struct pg_session *s, const struct pg_client_addr *who)
{
    struct pg_ends ends = pg_request_ends(s);
    pg_session_tell(s, PG_STAGE_CLIENT_ADDR, "client",
                    pg_value_endpoint(&who->hop, ends.client_port),
                    pg_value_endpoint(&who->client, 0), who->reason);
}

static void tell_tls(struct pg_session *s)
{
    const struct pg_upstream_tls *tls = pg_upstream_tls(s->routes->snapshot, s->route);
    struct pg_text text = {0};
    pg_upstream_tls_print(tls, &text);
    pg_session_tell(s, PG_STAGE_UPSTREAM, "tls",
                    tls->send_name ? pg_value_text(tls->name, strlen(tls->name)) : pg_value_none(),
                    pg_value_text(text.at, text.len), pg_upstream_tls_reason(tls, PG_CODE_TO_TLS));
    pg_text_free(&text);
}

static void tell_upstream(struct pg_session *s)
{
    uint16_t port;
    struct pg_addr local = pg_conn_local(s->up->conn, &port);
    pg_session_tell(s, PG_STAGE_UPSTREAM, s->up->reused ? "reuse" : "connect",
                    pg_value_endpoint(&local, port),
                    pg_value_endpoint(&s->exchange->service_addr, s->exchange->service_port),
                    pg_upstream_reason(s->routes->snapshot, s->route));
    if (s->route->tls)
        tell_tls(s);
    if (s->exchange->h2c)
        pg_session_tell(s, PG_STAGE_UPSTREAM, "protocol", pg_value_none(),
                        pg_value_text("HTTP/2", 6),
                        pg_upstream_protocol_reason(s->routes->snapshot, s->route));
}

/* ---- deciding ---- */

struct pg_ends pg_request_ends(const struct pg_session *s)
{
    struct pg_tuple t = {.dst = s->dialled, .dst_port = s->dialled_port, .proto = PG_PROTO_TCP};
    t.src = pg_conn_peer(s->client, &t.src_port);
    struct pg_ends ends = pg_ends_decide(&s->routes->preface, &t, pg_preface_read(s->preface));
    if (pg_tls_name(s->client))
        ends.scheme = "https";
    return ends;
}

static void decide_client(struct pg_session *s, const char *bytes, struct pg_client_addr *ret)
{
    struct pg_ends ends = pg_request_ends(s);
    pg_client_addr_of_ends(&s->routes->identity.trust, &ends, &s->proxy->head, bytes, ret);
}

/* Over TLS only: whether the certificate that the client was shown stands for the host it asks for. */
static enum pg_http_error check_certificate(struct pg_session *s, const char *bytes)
{
    const struct pg_http_head *h = &s->proxy->head;
    const char *name = pg_tls_name(s->client);
    struct pg_slice host = pg_span_slice(bytes, h->authority.len ? h->authority : h->host);
    uint16_t port;
    (void)pg_conn_local(s->client, &port);
    if (!name || pg_tls_host_fits(s->routes->snapshot, port, name, host))
        return PG_HTTP_ERROR_NONE;
    return PG_HTTP_ERROR_MISDIRECTED;
}

static const struct pg_route *draw_backend(struct pg_session *s, const struct pg_route *first)
{
    const struct pg_route *drawn =
        pg_route_draw(first, pg_random_below(s->proxy->random, first->weights));
    if (pg_session_watched(s))
        pg_session_tell(s, PG_STAGE_ROUTE, "weight", pg_value_none(),
                        pg_value_text(drawn->backend_text, strlen(drawn->backend_text)),
                        pg_route_draw_reason(drawn));
    return drawn;
}

static enum pg_http_error decide_route(struct pg_session *s, const char *bytes)
{
    uint16_t port;
    (void)pg_conn_local(s->client, &port);
    struct pg_route_facts facts =
        pg_route_facts_of(&s->proxy->head, bytes, port, pg_tls_name(s->client) != NULL);
    struct pg_route_match match;
    pg_route_match(s->routes->router, &facts, &match);
    if (match.route && match.route->split > 1)
        match.route = draw_backend(s, match.route);
    s->route = match.route;
    if (pg_session_watched(s) && match.route)
        pg_session_tell(s, PG_STAGE_ROUTE, "route", pg_value_none(),
                        pg_value_text(match.route->backend_text, strlen(match.route->backend_text)),
                        match.reason);
    s->reason = match.route ? 0 : match.reason;
    return match.error;
}

/* What the route's filters come to, into proxy->plan. */
static void decide_filters(struct pg_session *s, const char *bytes,
                           const struct pg_client_addr *who)
{
    struct pg_route_ask ask = {.snapshot = s->routes->snapshot,
                               .router = s->routes->router,
                               .route = s->route,
                               .head = &s->proxy->head,
                               .bytes = bytes,
                               .who = who,
                               .scheme = pg_request_ends(s).scheme,
                               .port = pg_route_port(s->routes->snapshot, s->route)};
    pg_route_filters_decide(&ask, &s->proxy->plan);
}

/* Error, or NONE: the request goes on, or was answered with a redirect if it has a status. */
static enum pg_http_error filter(struct pg_session *s, const char *bytes)
{
    struct pg_route_plan *plan = &s->proxy->plan;
    struct pg_exchange *x = s->exchange;
    struct pg_client_addr who;
    plan->status = 0;
    if (s->route->filter_count == 0)
        return PG_HTTP_ERROR_NONE;
    decide_client(s, bytes, &who);
    decide_filters(s, bytes, &who);
    s->reason = plan->reason;
    if (plan->error)
        return plan->error;
    if (plan->status) {
        pg_session_redirect(s, plan);
        return PG_HTTP_ERROR_NONE;
    }
    x->body_limit = plan->body_limit < UINT64_MAX ? plan->body_limit : x->body_limit;
    x->connect_ms = plan->connect_ms ? plan->connect_ms : x->connect_ms;
    x->send_ms = plan->send_ms ? plan->send_ms : x->send_ms;
    x->read_ms = plan->read_ms ? plan->read_ms : x->read_ms;
    x->until_ms = plan->whole_ms ? pg_proxy_now_ms(s->proxy) + plan->whole_ms : 0;
    if (x->until_ms)
        x->connect_ms = plan->whole_ms < x->connect_ms ? plan->whole_ms : x->connect_ms;
    return PG_HTTP_ERROR_NONE;
}

static void tell_name(struct pg_session *s, struct pg_slice name, enum pg_dns_status status,
                      pg_reason_id reason)
{
    const char *text = pg_dns_status_name(status);
    pg_session_tell(s, PG_STAGE_DNS, "resolve", pg_value_text(name.at, name.len),
                    status == PG_DNS_OK ? pg_value_endpoint(&s->exchange->service_addr, 0)
                                        : pg_value_text(text, strlen(text)),
                    reason);
}

static enum pg_http_error resolve(struct pg_session *s, const char *bytes,
                                  const struct pg_addr *local)
{
    struct pg_proxy *p = s->proxy;
    struct pg_backend backend;
    struct pg_addr found[ADDRS_MAX];
    uint32_t count = 0;
    pg_reason_id reason = 0;
    pg_backend_decide(s->routes->snapshot, s->route, &backend);
    if (backend.error) {
        s->reason = backend.reason;
        return backend.error;
    }
    if (pg_upstream_mode(s->routes->snapshot, s->route) == PG_UPSTREAM_ENDPOINTS)
        return pg_balance_choose(s, bytes, local);
    if (!p->zone)
        return PG_HTTP_ERROR_NO_NAME;
    enum pg_dns_status status =
        pg_dns_resolve(p->zone, backend.name, backend.name_len, !pg_addr_is_v4(local), found,
                       ADDRS_MAX, &count, &reason);
    if (status == PG_DNS_OK && count == 0)
        status = PG_DNS_NODATA;
    if (status == PG_DNS_OK) {
        uint32_t known = count < ADDRS_MAX ? count : ADDRS_MAX;
        s->exchange->service_addr = found[known > 1 ? pg_random_below(p->random, known) : 0];
    }
    if (pg_session_watched(s))
        tell_name(s, (struct pg_slice){backend.name, backend.name_len}, status, reason);
    if (status != PG_DNS_OK) {
        s->reason = reason;
        return PG_HTTP_ERROR_NO_NAME;
    }
    s->exchange->service_port =
        pg_backend_port(s->routes->snapshot, s->route, &s->exchange->service_addr);
    return PG_HTTP_ERROR_NONE;
}

/* ---- acting ---- */

/* What must be remembered once the head's bytes are gone. */
static void note_request(struct pg_session *s, const char *bytes)
{
    struct pg_proxy *p = s->proxy;
    const struct pg_http_head *h = &p->head;
    s->delimited = true;
    s->held_head = h->head_len;
    s->body = (uint8_t)h->body;
    s->is_head = h->is_head;
    s->websocket = h->websocket;
    s->http10 = h->minor == 0;
    s->client_keeps = h->keep_alive;
    s->idempotent = h->idempotent;
    s->reason = 0;
    s->exchange->until_ms = 0;
    s->exchange->cookie = 0;
    s->exchange->body_limit = p->limits.value[PG_LIMIT_BODY];
    s->exchange->connect_ms = pg_limit_ms(p, PG_LIMIT_CONNECT_TIME);
    s->exchange->send_ms = s->exchange->read_ms = pg_limit_ms(p, PG_LIMIT_RESPONSE_TIME);
    pg_body_begin(&s->exchange->request, h->body, h->content_length,
                  h->body == PG_HTTP_BODY_CHUNKED);
    if (s->counted)
        return;
    s->counted = true;
    s->requests++;
    p->counters->value[PG_COUNT_HTTP_REQUESTS]++;
    pg_request_log_begin(s, bytes);
    s->exchange->request_id[0] = pg_random_u64(p->random);
    s->exchange->request_id[1] = pg_random_u64(p->random);
}

/* What the pod is spoken to in, and what becomes of fields behind bodies. */
static void decide_protocol(struct pg_session *s, const char *bytes)
{
    struct pg_exchange *x = s->exchange;
    const struct pg_snapshot *snapshot = s->routes->snapshot;
    enum pg_upstream_protocol protocol = pg_upstream_protocol(snapshot, s->route);
    x->h2c = protocol == PG_UPSTREAM_H2C;
    x->keeps_trailers = pg_trailers_kept(snapshot, protocol);
    x->wants_trailers = x->keeps_trailers && pg_trailers_wanted(&s->proxy->head, bytes);
    if (x->h2c)
        s->websocket = s->proxy->head.websocket =
            false; /* a stream can not switch (RFC 9113 8.6) */
    pg_trailers_begin(s, &x->request);
}

static bool may_send_twice(const struct pg_session *s)
{
    return s->idempotent && s->body == PG_HTTP_BODY_NONE && !s->retried;
}

static void use_routes(struct pg_session *s)
{
    if (s->routes == s->proxy->routes)
        return;
    pg_routes_put(s->routes);
    s->routes = s->proxy->routes;
    s->routes->refs++;
}

static enum pg_http_error connect_upstream(struct pg_session *s, const char *bytes,
                                           const struct pg_addr *local, uint64_t idle_below_ms)
{
    struct pg_proxy *p = s->proxy;
    s->up = pg_upstream_open(s, local, &s->exchange->service_addr, s->exchange->service_port,
                             idle_below_ms);
    if (!s->up)
        return PG_HTTP_ERROR_NO_ROOM;
    s->tries++;
    s->last_up = pg_pool_index(p->upstreams, s->up);
    s->last_up_generation = pg_pool_generation(p->upstreams, s->last_up);
    if (pg_session_watched(s))
        tell_upstream(s);
    if (s->up->open)
        return pg_request_send(s, bytes);
    pg_session_set(s, PG_SESSION_CONNECT);
    pg_session_wait(s, s->exchange->connect_ms);
    return PG_HTTP_ERROR_NONE;
}

static bool may_be_watched(const struct pg_session *s, const char *bytes)
{
    const struct pg_http_head *h = &s->proxy->head;
    struct pg_span host = h->authority.len ? h->authority : h->host;

    return pg_trace_next_request(s->proxy->trace, pg_conn_label(s->client),
                                 (struct pg_slice){bytes + h->target.at, h->target.len},
                                 (struct pg_slice){bytes + host.at, host.len});
}

enum pg_http_error pg_request_begin(struct pg_session *s, const char *bytes)
{
    struct pg_proxy *p = s->proxy;
    uint16_t port;
    struct pg_addr local = pg_conn_local(s->client, &port);
    note_request(s, bytes);
    if (!p->routes)
        return PG_HTTP_ERROR_NO_ROUTE;
    use_routes(s);
    if (pg_trace_on(p->trace) && s->tries == 0 && may_be_watched(s, bytes)) {
        struct pg_client_addr who;
        decide_client(s, bytes, &who);
        tell_request(s, bytes);
        tell_client(s, &who);
    }
    enum pg_http_error error = check_certificate(s, bytes);
    if (!error)
        error = decide_route(s, bytes);
    if (!error)
        error = filter(s, bytes);
    if (!error && p->plan.status)
        return PG_HTTP_ERROR_NONE;
    if (!error)
        error = resolve(s, bytes, &local);
    if (!error)
        decide_protocol(s, bytes);
    if (!error)
        error = pg_limits_of_body(s->exchange->body_limit, &p->head);
    if (error)
        return error;
    uint64_t idle_below = may_send_twice(s) ? UINT64_MAX : SAFE_IDLE_MS;
    return connect_upstream(s, bytes, &local, s->retried ? 0 : idle_below);
}

static void print_request_id(const struct pg_session *s, char out[33])
{
    for (unsigned i = 0; i < 32; i++)
        out[i] = "0123456789abcdef"[s->exchange->request_id[i / 16] >> (60 - i % 16 * 4) & 15];
    out[32] = 0;
}

static void say_continue(struct pg_session *s)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (s->proxy->head.expect_continue && s->body != PG_HTTP_BODY_NONE &&
        pg_conn_unread(s->client) == s->held_head)
        (void)pg_conn_write(s->client, text, sizeof(text) - 1);
}

enum pg_http_error pg_request_send(struct pg_session *s, const char *bytes)
{
    struct pg_proxy *p = s->proxy;
    const struct pg_http_head *h = &p->head;
    struct pg_client_addr who;
    struct pg_http_rewrite_in in = {.identity = &s->routes->identity,
                                    .head = h,
                                    .bytes = bytes,
                                    .who = &who,
                                    .body = h->body,
                                    .content_length = h->content_length,
                                    .keep_slashes = s->routes->snapshot->lab.ingress.keep_slashes,
                                    .te_trailers = s->exchange->wants_trailers,
                                    .h2c = s->exchange->h2c,
                                    .trace = p->trace,
                                    .label = pg_conn_label(s->client)};
    struct pg_ends ends = pg_request_ends(s);
    (void)pg_conn_local(s->client, &in.listen_port);
    in.local = ends.local;
    in.local_port = ends.local_port;
    in.scheme = ends.scheme;
    decide_client(s, bytes, &who);
    if (s->route->filter_count > 0) {
        decide_filters(s, bytes, &who);
        in.plan = &p->plan;
    }
    print_request_id(s, in.request_id);
    uint32_t preface = pg_preface_out(s, (uint8_t *)p->out);
    if (s->up->h2c) {
        pg_h2_up_preface(s->up->conn, p->out, preface); /* in front of all streams */
        preface = 0;
        p->head.websocket = false;
    }
    int64_t len = pg_http_rewrite(&in, p->out + preface, (uint32_t)sizeof(p->out) - preface);
    if (len < 0)
        return PG_HTTP_ERROR_HEAD_TOO_LARGE;
    pg_request_log_sent(s, &who, (size_t)len + preface);
    int err = pg_conn_write(s->up->conn, p->out, (uint32_t)len + preface);
    if (err == -ENOBUFS)
        return PG_HTTP_ERROR_NO_ROOM;
    if (err != 0 && s->up->reused) {
        pg_exchange_again(s); /* gone already, and nothing was sent */
        return PG_HTTP_ERROR_NONE;
    }
    if (err != 0)
        return PG_HTTP_ERROR_UPSTREAM_REFUSED;
    say_continue(s);
    pg_session_drop_head(s);
    bool may_return = s->up->h2c && s->body == PG_HTTP_BODY_NONE && !s->retried;
    if (!may_return && (!s->up->reused || !may_send_twice(s))) {
        pg_conn_consume(s->client, s->held_head);
        s->held_head = 0;
    }
    s->exchange->window_ms = pg_proxy_now_ms(p);
    pg_session_set(s, PG_SESSION_REQUEST);
    pg_session_wait(s, pg_session_patience(s));
    return PG_HTTP_ERROR_NONE;
}
