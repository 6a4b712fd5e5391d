/* The exchange: the request's body goes up, the response comes down, and both end where they should.
 *
 * Called by `session.c` in the states REQUEST and RESPONSE. Both directions are tried at every event; each moves what it has as far as
 * the other leg has room. A response head waits in the upstream connection until the client's connection can take it.
 *
 * Until the head of a response has gone to the client, trouble is answered with a status; afterwards only a reset tells the truth about a
 * body that is not complete. If a pooled connection turns out to be closed before a byte of answer, the request is sent once more
 * on a fresh one, provided it may be. */
#include "affinity_cookie.h"
#include "balance.h"
#include "h2.h"

#include "podglass/packet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HEAD_GROWS 128 /* what pg_http_rewrite_response may add to a head */
#define INTERIMS_MAX \
    16 /* one is usual, two are known; a pod that goes on for ever holds its client */

/* cookie: room for the one that the client gets. */
static struct pg_header_filters filters_of(const struct pg_session *s, char cookie[PG_COOKIE_TEXT])
{
    struct pg_header_filters filters = {0};
    if (!s->route)
        return filters;
    filters.at = s->routes->snapshot->filters + s->route->filter_first;
    filters.count = s->route->filter_count;
    if (s->exchange->cookie) {
        filters.cookie_by =
            pg_route_find_filter(s->routes->snapshot, s->route, PG_FILTER_AFFINITY_COOKIE);
        bool https = strcmp(pg_request_ends(s).scheme, "https") == 0;
        filters.cookie =
            pg_cookie_print(filters.cookie_by, s->route, s->exchange->cookie, https, cookie);
    }
    return filters;
}

static void tell_response(struct pg_session *s, uint16_t status, const char *name)
{
    char text[8];
    int len = snprintf(text, sizeof(text), "%u", status);
    struct pg_record r = {.label = pg_conn_label(s->client),
                          .node = PG_NODE_NONE,
                          .kind = PG_RECORD_EVENT,
                          .stage = PG_STAGE_HTTP_PARSE,
                          .direction = 1,
                          .after = pg_value_text(text, (size_t)len)};
    (void)snprintf(r.name, sizeof(r.name), "%s", name);
    pg_trace_write(s->proxy->trace, &r);
}

/* ---- the end of an exchange ---- */

static void finish(struct pg_session *s)
{
    struct pg_proxy *p = s->proxy;
    p->counters->value[PG_COUNT_HTTP_RESPONSES]++;
    pg_request_log_end(s, s->last_status);
    if (s->exchange->request.done) {
        pg_upstream_release(s->up, s->upstream_keeps);
    } else {
        pg_upstream_abort(s->up); /* answered before the body was complete */
    }
    s->up = NULL;
    if (!s->exchange->request.done)
        pg_session_linger(s);
    else if (!s->keep || p->draining)
        pg_session_close(s);
    else
        pg_session_set(s, PG_SESSION_IDLE);
}

void pg_exchange_again(struct pg_session *s)
{
    pg_upstream_abort(s->up);
    s->up = NULL;
    s->retried = true;
    s->held_head = 0;
    pg_session_drop_head(s);
    if (pg_session_watched(s))
        pg_session_tell(s, PG_STAGE_UPSTREAM, "retry", pg_value_none(), pg_value_none(), 0);
    pg_session_set(s, PG_SESSION_HEAD);
}

static enum pg_http_error error_of(int error, bool connected)
{
    switch (error) {
    case -ETIMEDOUT:
        return connected ? PG_HTTP_ERROR_UPSTREAM_TIMEOUT : PG_HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT;
    case -EHOSTUNREACH:
    case -ENETUNREACH: return PG_HTTP_ERROR_UPSTREAM_UNREACHABLE;
    case -EPIPE: return PG_HTTP_ERROR_RESPONSE_CUT;
    case -EBADMSG: return PG_HTTP_ERROR_BAD_RESPONSE;
    case -EPROTO: return PG_HTTP_ERROR_UPSTREAM_TLS;
    default: return PG_HTTP_ERROR_UPSTREAM_REFUSED;
    }
}

static uint32_t ready_endpoints(const struct pg_session *s)
{
    const struct pg_snapshot *snapshot = s->routes->snapshot;
    const struct pg_service *service = &snapshot->services[s->route->service];
    uint32_t most = 0;
    for (uint32_t i = 0; i < service->port_count; i++) {
        const struct pg_service_port *port = &snapshot->service_ports[service->port_first + i];
        uint32_t ready = 0;
        for (uint32_t k = 0; k < port->endpoint_count; k++)
            ready += snapshot->endpoints[port->endpoint_first + k].ready;
        most = ready > most ? ready : most;
    }
    return most;
}

/* Nothing of the request has been sent when connecting fails, so any may be tried again, with luck at another endpoint. Not
 * after a timeout: the client has waited long enough, and what drops packets once drops them again. */
static bool may_connect_again(struct pg_session *s, int error)
{
    if (s->state == PG_SESSION_CONNECT && s->exchange->balanced)
        return pg_balance_again(s); /* whatever it was: the next one is another pod */
    return s->state == PG_SESSION_CONNECT && error != -ETIMEDOUT &&
           s->tries < s->proxy->limits.value[PG_LIMIT_TRIES] && ready_endpoints(s) > 1;
}

void pg_exchange_upstream_gone(struct pg_session *s, int error)
{
    bool unanswered = s->state == PG_SESSION_REQUEST && !s->response_begun;
    if (may_connect_again(s, error))
        pg_exchange_again(s);
    else if (unanswered && s->held_head > 0 &&
             (error == PG_UPSTREAM_UNUSED || (s->up->reused && s->idempotent)))
        pg_exchange_again(s);
    else if (s->state == PG_SESSION_RESPONSE) {
        pg_h2_abort_because(s->client, error);
        pg_session_refuse(s, PG_HTTP_ERROR_RESPONSE_CUT);
    } else if (s->state == PG_SESSION_TUNNEL)
        pg_tunnel_end(s, error);
    else {
        s->reason = error == -EPROTO ? s->up->target->tls_failure : s->reason;
        pg_session_refuse(s, error_of(error, s->state == PG_SESSION_REQUEST));
    }
}

/* ---- request body ---- */

static bool request_body_step(struct pg_session *s)
{
    enum pg_http_error error = PG_HTTP_ERROR_NONE;
    uint64_t limit = s->exchange->body_limit;
    if (s->exchange->request.done)
        return false;
    int err = pg_body_relay(&s->exchange->request, s->client, s->up->conn, &error);
    if (err == 0 && limit > 0 && s->exchange->request.passed > limit) {
        err = -EBADMSG;
        error = PG_HTTP_ERROR_BODY_TOO_LARGE;
    }
    if (err == -EBADMSG)
        pg_session_refuse(s, error);
    else if (err == -EPIPE)
        pg_session_abort(s); /* the client ended inside its body: there is nobody to answer */
    return err != 0;
}

/* ---- response head ---- */

static enum pg_http_body body_for_client(const struct pg_session *s, enum pg_http_body body)
{
    if (body != PG_HTTP_BODY_CHUNKED && body != PG_HTTP_BODY_UNTIL_CLOSE)
        return body;
    return s->http10 ? PG_HTTP_BODY_UNTIL_CLOSE : PG_HTTP_BODY_CHUNKED;
}

/* Some of the answer was used: the request will not be sent again. */
static void begin_response(struct pg_session *s, uint32_t used)
{
    s->response_begun = true;
    pg_conn_consume(s->up->conn, used);
    pg_session_drop_head(s);
    if (s->held_head > 0)
        pg_conn_consume(s->client, s->held_head);
    s->held_head = 0;
}

static int write_head(struct pg_session *s, const char *bytes, enum pg_http_body body)
{
    struct pg_proxy *p = s->proxy;
    char cookie[PG_COOKIE_TEXT];
    struct pg_header_filters filters = filters_of(s, cookie);
    int64_t len = pg_http_rewrite_response(&p->head, bytes, body, p->head.content_length, s->http10,
                                           s->keep, p->trace, pg_conn_label(s->client), &filters,
                                           p->out, sizeof(p->out));
    return len < 0 ? (int)len : pg_conn_write(s->client, p->out, (uint32_t)len);
}

/* 101 to a client that asked for just that, or a mistake of the pod. */
static bool switch_protocols(struct pg_session *s, const char *bytes)
{
    struct pg_proxy *p = s->proxy;
    if (!s->websocket || !p->head.websocket) {
        pg_session_refuse(s, PG_HTTP_ERROR_BAD_RESPONSE);
        return true;
    }
    s->last_status = p->head.status;
    pg_request_log_answered(s);
    if (pg_session_watched(s))
        tell_response(s, p->head.status, "response");
    if (write_head(s, bytes, PG_HTTP_BODY_NONE) != 0) {
        pg_session_abort(s);
        return true;
    }
    begin_response(s, p->head.head_len);
    pg_tunnel_begin(s);
    return true;
}

/* 100 was answered here; others go on to whoever can read them. */
static bool pass_interim(struct pg_session *s, const char *bytes)
{
    struct pg_proxy *p = s->proxy;
    if (p->head.status == 101)
        return switch_protocols(s, bytes);
    if (++s->exchange->interims > INTERIMS_MAX) {
        pg_session_refuse(s, PG_HTTP_ERROR_BAD_RESPONSE);
        return true;
    }
    if (p->head.status != 100 && !s->http10)
        (void)write_head(s, bytes, PG_HTTP_BODY_NONE);
    begin_response(s, p->head.head_len);
    return true;
}

static bool pass_head(struct pg_session *s, const char *bytes)
{
    struct pg_proxy *p = s->proxy;
    struct pg_http_head *h = &p->head;
    pg_http_response_body(h, s->is_head, false);
    enum pg_http_body out = body_for_client(s, h->body);
    s->upstream_keeps = h->keep_alive;
    s->keep = s->client_keeps && !p->draining && out != PG_HTTP_BODY_UNTIL_CLOSE &&
              s->requests < p->limits.value[PG_LIMIT_REQUESTS] &&
              (s->exchange->request.done || h->status < 400);
    s->last_status = h->status;
    pg_request_log_answered(s);
    if (pg_session_watched(s)) {
        pg_session_tell_body(s, h, 1); /* the status is what ends an exchange's records */
        tell_response(s, h->status, "response");
    }
    if (write_head(s, bytes, out) != 0) {
        pg_session_abort(s);
        return true;
    }
    pg_body_begin(&s->exchange->response, h->body, h->content_length, out == PG_HTTP_BODY_CHUNKED);
    pg_trailers_begin(s, &s->exchange->response);
    begin_response(s, h->head_len);
    pg_session_set(s, PG_SESSION_RESPONSE);
    return true;
}

/* Returns whether a head was dealt with or the session moved on. */
static bool response_head_step(struct pg_session *s)
{
    const char *bytes;
    enum pg_http_error error;
    int err = pg_session_read_head(s, s->up->conn, PG_HTTP_RESPONSE, &bytes, &error);
    if (err == -EAGAIN) {
        if (!pg_conn_end_seen(s->up->conn))
            return false;
        if (pg_conn_unread(s->up->conn) > 0)
            s->response_begun = true; /* half a head is no idle close */
        pg_exchange_upstream_gone(s, -EPIPE);
        return true;
    }
    if (err == -EBADMSG && pg_session_watched(s))
        tell_response(s, 0, pg_http_error_name(error));
    if (err != 0) {
        pg_session_refuse(s, err == -EBADMSG ? PG_HTTP_ERROR_BAD_RESPONSE : PG_HTTP_ERROR_NO_ROOM);
        return true;
    }
    char cookie[PG_COOKIE_TEXT];
    struct pg_header_filters filters = filters_of(s, cookie);
    if (pg_conn_room(s->client) <
        s->proxy->head.head_len + HEAD_GROWS + pg_header_filters_room(&filters))
        return false; /* the client is slow: on_writable brings us back */
    return s->proxy->head.status < 200 ? pass_interim(s, bytes) : pass_head(s, bytes);
}

/* ---- response body ---- */

static bool response_body_step(struct pg_session *s)
{
    enum pg_http_error error = PG_HTTP_ERROR_NONE;
    int err = pg_body_relay(&s->exchange->response, s->up->conn, s->client, &error);
    if (err != 0)
        pg_session_refuse(s,
                          err == -EPIPE ? PG_HTTP_ERROR_RESPONSE_CUT : PG_HTTP_ERROR_BAD_RESPONSE);
    else if (s->exchange->response.done)
        finish(s);
    return err != 0 || s->state != PG_SESSION_RESPONSE;
}

bool pg_exchange_step(struct pg_session *s)
{
    if (request_body_step(s))
        return true;
    return s->state == PG_SESSION_REQUEST ? response_head_step(s) : response_body_step(s);
}
