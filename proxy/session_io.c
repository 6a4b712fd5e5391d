/* Bytes in and out of a session that are not bodies: heads read in one piece, errors of ours, the polite end.
 *
 * Called by `session.c`, `request.c` and `response.c`. A head that lies in the first piece of its connection is parsed there, without
 * a copy; one that came in pieces is gathered in a buffer of a bounded pool, held only until the head is used. Nothing is consumed
 * from the connection by reading a head: whoever acts on it does that.
 *
 * After Connection: close we send FIN and read on for a while, because a reset could overtake the answer. */
#include "balance.h"

#include "podglass/packet.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define LINGER_BYTES       (256 * 1024)
#define STATUS_CLIENT_GONE 499 /* nginx' number for it */
#define LINGER_MS          2000

/* false: no room, which cannot be as long as there is room for the session. */
static bool need_exchange(struct pg_session *s)
{
    struct pg_proxy *p = s->proxy;
    uint32_t index = s->exchange ? PG_POOL_NONE : pg_pool_get(p->exchanges);
    if (index != PG_POOL_NONE)
        s->exchange = pg_pool_at(p->exchanges, index);
    return s->exchange != NULL;
}

int pg_session_read_head(struct pg_session *s, struct pg_conn *conn, enum pg_http_kind kind,
                         const char **ret_bytes, enum pg_http_error *ret_error)
{
    struct pg_proxy *p = s->proxy;
    struct pg_slice front;
    int err;
    if (!pg_conn_front(conn, &front))
        return -EAGAIN;
    if (!need_exchange(s))
        return -ENOBUFS;
    if (!s->head_buf) {
        uint32_t len = front.len < PG_HTTP_MAX_HEAD ? (uint32_t)front.len : PG_HTTP_MAX_HEAD;
        err = pg_http_parse(kind, &s->exchange->scan, front.at, len, &p->head, ret_error);
        *ret_bytes = front.at;
        if (err != -EAGAIN)
            s->exchange->scan = (struct pg_http_scan){0};
        if (err != -EAGAIN || front.len == pg_conn_unread(conn))
            return err;
        s->head_buf = pg_buf_get(p->heads);
        if (!s->head_buf)
            return -ENOBUFS;
        s->head_buf->start = 0;
    }
    struct pg_buf *b = s->head_buf;
    b->len += pg_conn_peek(conn, b->len, b->bytes + b->len, PG_HTTP_MAX_HEAD - b->len);
    err = pg_http_parse(kind, &s->exchange->scan, (const char *)b->bytes, b->len, &p->head,
                        ret_error);
    *ret_bytes = (const char *)b->bytes;
    if (err != -EAGAIN)
        s->exchange->scan = (struct pg_http_scan){0};
    return err;
}

void pg_session_drop_head(struct pg_session *s)
{
    pg_buf_put(s->head_buf);
    s->head_buf = NULL;
    if (s->exchange)
        s->exchange->scan = (struct pg_http_scan){0};
}

void pg_session_drop_exchange(struct pg_session *s)
{
    struct pg_proxy *p = s->proxy;
    pg_session_drop_head(s);
    pg_balance_done(s);
    if (s->exchange)
        pg_request_log_forget(s);
    if (s->exchange)
        pg_pool_put(p->exchanges, pg_pool_index(p->exchanges, s->exchange));
    s->exchange = NULL;
}

/* ---- the trace ---- */

void pg_session_tell(const struct pg_session *s, enum pg_stage stage, const char *name,
                     struct pg_value before, struct pg_value after, pg_reason_id reason)
{
    struct pg_record r = {
        .label = pg_conn_label(s->client),
        .reason = reason,
        .node = PG_NODE_NONE,
        .kind = PG_RECORD_EVENT,
        .stage = (uint8_t)stage,
        .before = before,
        .after = after,
    };
    (void)snprintf(r.name, sizeof(r.name), "%s", name);
    pg_trace_write(s->proxy->trace, &r);
}

static void tell_refusal(struct pg_session *s, enum pg_http_error error)
{
    char text[16];
    const struct pg_exchange *x = s->exchange;
    bool whole = x && x->until_ms && pg_proxy_now_ms(s->proxy) >= x->until_ms;
    pg_reason_id reason =
        s->reason
            ? s->reason
            : pg_limit_reason_of_route(&s->proxy->limits, s->routes ? s->routes->snapshot : NULL,
                                       s->routes ? s->route : NULL, error, whole);
    int len = snprintf(text, sizeof(text), "%u", pg_http_error_status(error));
    pg_session_tell(s, pg_http_error_stage(error), pg_http_error_name(error), pg_value_none(),
                    pg_value_text(text, (size_t)len), reason);
}

/* ---- answers of ours ---- */

/* Into out; returns how long it is. */
static uint32_t print_error(struct pg_session *s, enum pg_http_error error, bool keep)
{
    char body[256];
    struct pg_proxy *p = s->proxy;
    uint16_t status = pg_http_error_status(error);
    int body_len =
        snprintf(body, sizeof(body), "%u %s: %s\nflow %x\n", status, pg_http_error_name(error),
                 pg_http_error_text(error), pg_conn_label(s->client));
    const char *connection =
        keep ? (s->http10 ? "Connection: keep-alive\r\n" : "") : "Connection: close\r\n";
    int len =
        snprintf(p->out, sizeof(p->out),
                 "HTTP/1.1 %u %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n%s%s\r\n%s",
                 status, pg_http_phrase(status), body_len,
                 status == 405 ? "Allow: GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS\r\n" : "",
                 connection, s->is_head ? "" : body);
    return (uint32_t)len;
}

/* Where a body began and did not pass as a whole, nobody knows where the next request begins. */
bool pg_session_answer_begin(struct pg_session *s)
{
    struct pg_proxy *p = s->proxy;
    pg_request_log_end(s, s->last_status);
    if (s->up)
        pg_upstream_abort(s->up);
    s->up = NULL;
    pg_session_drop_head(s);
    return s->delimited && s->client_keeps && !p->draining &&
           (s->body == PG_HTTP_BODY_NONE || (s->held_head == 0 && s->exchange->request.done)) &&
           s->requests < p->limits.value[PG_LIMIT_REQUESTS];
}

void pg_session_answer_end(struct pg_session *s, uint32_t len, bool keep)
{
    if (pg_conn_write(s->client, s->proxy->out, len) != 0) {
        pg_session_abort(s);
        return;
    }
    if (!keep) {
        pg_session_linger(s);
        return;
    }
    pg_conn_consume(s->client, s->held_head);
    s->held_head = 0;
    pg_session_set(s, PG_SESSION_IDLE);
}

void pg_session_refuse(struct pg_session *s, enum pg_http_error error)
{
    struct pg_proxy *p = s->proxy;
    if (pg_session_watched(s))
        tell_refusal(s, error);
    if (s->state == PG_SESSION_RESPONSE || s->state == PG_SESSION_TUNNEL) {
        pg_request_log_end(s, s->last_status);
        pg_session_abort(s);
        return;
    }
    p->counters->value[PG_COUNT_HTTP_ERRORS]++;
    s->last_status = pg_http_error_status(error);
    if (s->exchange)
        s->exchange->refused = (uint8_t)error;
    bool keep = pg_session_answer_begin(s);
    pg_session_answer_end(s, print_error(s, error, keep), keep);
}

/* ---- the end ---- */

static void end(struct pg_session *s)
{
    if (s->counted)
        pg_request_log_end(s, STATUS_CLIENT_GONE);
    if (s->up)
        pg_upstream_abort(s->up);
    s->up = NULL;
    s->client = NULL;
    pg_session_set(s, PG_SESSION_DEAD);
}

void pg_session_close(struct pg_session *s)
{
    if (s->client)
        pg_conn_close(s->client);
    end(s);
}

void pg_session_abort(struct pg_session *s)
{
    if (s->client)
        pg_conn_abort(s->client);
    end(s);
}

void pg_session_linger(struct pg_session *s)
{
    pg_conn_shutdown(s->client);
    s->linger_left = LINGER_BYTES;
    pg_session_set(s, PG_SESSION_LINGER);
    pg_session_wait(s, LINGER_MS);
}

bool pg_session_linger_step(struct pg_session *s)
{
    uint64_t unread = pg_conn_unread(s->client);
    pg_conn_consume(s->client, unread);
    if (unread > s->linger_left) {
        pg_session_abort(s);
        return true;
    }
    s->linger_left -= (uint32_t)unread;
    if (!pg_conn_at_end(s->client))
        return false;
    pg_session_close(s);
    return true;
}
