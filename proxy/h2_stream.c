/* One stream of HTTP/2 as a connection that speaks HTTP/1.1: the request is written out as text, the response is read as text.
 *
 * Called by h2.c, and by the sweep when the session on the other side did something. The text passes the same strict parser as every other
 * request, so nothing that HTTP/1.1 could misunderstand gets behind it; fields that would frame a message are written by us alone. The body goes
 * through as it comes: what the session has read the client may send again, so a slow pod closes the stream's window.
 *
 * Trailers are lines behind the last chunk, whichever way they go; whether they go on is the session's business (`trailers.c`). A request that says
 * how long it is has no chunks, so its trailers end here, each with a record.
 *
 * Owns streams. Always true: a stream lets go of its inner connection exactly once. */
#include "h2.h"
#include "h2_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROOM        (256 * 1024) /* of a response, not yet sent */
#define FIELDS_MOST PG_HTTP_MAX_HEAD

static const struct pg_inner_layer layer;

/* ---- life ---- */

struct pg_h2_stream *pg_h2_stream_new(struct pg_h2 *h, int32_t id)
{
    struct pg_pool *pool = h->shared->streams;
    uint32_t index = pg_pool_get(pool);
    if (index == PG_POOL_NONE)
        return NULL;
    struct pg_h2_stream *s = pg_pool_at(pool, index);
    s->h2 = h;
    s->id = id;
    s->next = h->streams;
    s->where = &h->streams;
    if (s->next)
        s->next->where = &s->next;
    h->streams = s;
    h->stream_count++;
    return s;
}

static void forget_head(struct pg_h2_stream *s)
{
    char **const texts[] = {&s->method, &s->path, &s->authority, &s->host, &s->cookies};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        free(*texts[i]);
        *texts[i] = NULL;
    }
    pg_text_free(&s->fields);
}

void pg_h2_stream_end(struct pg_h2_stream *s, int error)
{
    struct pg_pool *pool = s->h2->shared->streams;
    /* What nobody will read any more counts for the connection all the same. */
    if (s->given > s->told)
        (void)nghttp2_session_consume_connection(s->h2->w.session, s->given - s->told);
    if (s->inner)
        pg_inner_end_all(s->inner, pg_inner_released(s->inner) ? 0 : error);
    forget_head(s);
    pg_text_free(&s->trailers);
    *s->where = s->next;
    if (s->next)
        s->next->where = s->where;
    s->h2->stream_count--;
    pg_pool_put(pool, pg_pool_index(pool, s));
}

/* ---- the request ---- */

static int keep(char **to, struct pg_slice value)
{
    if (*to)
        return -EBADMSG;
    *to = strndup(value.at, value.len);
    return *to ? 0 : -EBADMSG;
}

static int add_cookie(struct pg_h2_stream *s, struct pg_slice value)
{
    char *joined = NULL; /* RFC 9113 8.2.3: crumbs become one line again */
    int len = asprintf(&joined, "%s%s%.*s", s->cookies ? s->cookies : "", s->cookies ? "; " : "",
                       (int)value.len, value.at);
    if (len < 0)
        return -EBADMSG;
    free(s->cookies);
    s->cookies = joined;
    return 0;
}

int pg_h2_stream_field(struct pg_h2_stream *s, struct pg_slice name, struct pg_slice value)
{
    s->field_bytes += (uint32_t)(name.len + value.len + 32);
    if (s->field_bytes > FIELDS_MOST) {
        s->too_large = true;
        return 0; /* answered with 431 when the head is complete */
    }
    if (pg_slice_is(name, ":method"))
        return keep(&s->method, value);
    if (pg_slice_is(name, ":path"))
        return keep(&s->path, value);
    if (pg_slice_is(name, ":authority"))
        return keep(&s->authority, value);
    if (name.len > 0 && name.at[0] == ':')
        return 0; /* :scheme: that of the connection counts */
    if (pg_slice_is(name, "host"))
        return keep(&s->host, value);
    if (pg_slice_is(name, "cookie"))
        return add_cookie(s, value);
    if (pg_slice_is(name, "content-length")) {
        s->has_length = true;
        pg_text_printf(&s->fields, "Content-Length: %.*s\r\n", (int)value.len, value.at);
        return 0;
    }
    if (pg_h2_is_framing(name))
        return 0;
    pg_h2_add_line(&s->fields, name, value);
    return 0;
}

int pg_h2_stream_trailer(struct pg_h2_stream *s, struct pg_slice name, struct pg_slice value)
{
    s->field_bytes += (uint32_t)(name.len + value.len + 32);
    if (s->field_bytes > FIELDS_MOST)
        return -EBADMSG;
    if (s->chunked_in)
        pg_h2_add_line(&s->trailers, name, value);
    else if (s->inner && s->h2->shared->proxy)
        pg_http_drop_trailer(s->h2->shared->proxy->trace, pg_conn_label(s->inner), 0, name, value);
    return 0;
}

static void write_head(struct pg_h2_stream *s, bool has_body, struct pg_text *out)
{
    s->is_head = strcmp(s->method, "HEAD") == 0;
    s->chunked_in = has_body && !s->has_length;
    pg_text_printf(out, "%s %s HTTP/1.1\r\n", s->method, s->path ? s->path : "*");
    if (s->authority)
        pg_text_printf(out, "Host: %s\r\n", s->authority);
    if (s->host && (!s->authority || strcmp(s->host, s->authority) != 0))
        pg_text_printf(out, "Host: %s\r\n", s->host); /* two of them are refused */
    if (s->cookies)
        pg_text_printf(out, "Cookie: %s\r\n", s->cookies);
    pg_text_puts(out, s->fields.at ? s->fields.at : "");
    pg_text_puts(out, s->chunked_in ? "Transfer-Encoding: chunked\r\n\r\n" : "\r\n");
}

/* No session: the head would not even fit. */
static int answer_too_large(struct pg_h2_stream *s)
{
    static const char status[] = ":status", code[] = "431";
    nghttp2_nv nv = {(uint8_t *)(uintptr_t)status, (uint8_t *)(uintptr_t)code, sizeof(status) - 1,
                     sizeof(code) - 1, NGHTTP2_NV_FLAG_NONE};
    s->answered = s->out.complete = true;
    return nghttp2_submit_response(s->h2->w.session, s->id, &nv, 1, NULL) == 0 ? 0 : -ENOMEM;
}

int pg_h2_stream_begin(struct pg_h2_stream *s, bool has_body)
{
    struct pg_text head = {0};
    if (s->too_large)
        return answer_too_large(s);
    if (!s->method)
        return -EBADMSG;
    s->inner_of = (struct pg_inner){.layer = &layer, .arg = s, .room = ROOM};
    s->inner = pg_inner_new(s->h2->w.conn, &s->inner_of);
    if (!s->inner)
        return -ENOBUFS;
    write_head(s, has_body, &head);
    s->h2->shared->begin(s->h2->shared->arg, s->inner);
    int err = pg_inner_give(s->inner, head.at, (uint32_t)head.len);
    pg_text_free(&head);
    forget_head(s);
    return err;
}

/* What the session has read, the client may send again. Framing of ours is counted as data still unread: it is read soon after. */
static void open_window(struct pg_h2_stream *s)
{
    uint64_t unread = pg_conn_unread(s->inner);
    uint64_t read = s->given > unread ? s->given - unread : 0;
    if (read > s->told) {
        (void)nghttp2_session_consume(s->h2->w.session, s->id, read - s->told);
        s->told = read;
    }
}

int pg_h2_stream_data(struct pg_h2_stream *s, const uint8_t *bytes, size_t len)
{
    if (!s->inner)
        return 0;
    int err = pg_h2_in_data(s->inner, s->chunked_in, bytes, len);
    s->given += len;
    if (pg_inner_released(s->inner))
        open_window(s); /* it was thrown away */
    return err;
}

void pg_h2_stream_data_end(struct pg_h2_stream *s)
{
    if (s->inner)
        (void)pg_h2_in_end(s->inner, s->chunked_in, &s->trailers);
}

/* ---- the response ---- */

static ssize_t on_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct pg_h2_stream *s = source->ptr;
    (void)arg;
    if (!s->inner)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return pg_h2_out_read(&s->out, s->inner, session, id, out, room, flags);
}

/* Reads a head of the answer and submits it. 1: done; 0: more is needed; negative: cannot be. */
static int send_head(struct pg_h2_stream *s)
{
    struct pg_h2_shared *shared = s->h2->shared;
    struct pg_http_head *h = &shared->head;
    static const char status_name[] = ":status";
    nghttp2_nv nv[PG_HTTP_MAX_FIELDS + 1];
    enum pg_http_error error;
    char status[4];
    uint32_t len = pg_inner_peek(s->inner, shared->bytes, sizeof(shared->bytes));
    struct pg_http_scan scan = {0};
    int err = pg_http_parse(PG_HTTP_RESPONSE, &scan, shared->bytes, len, h, &error);
    if (err != 0)
        return err == -EAGAIN ? 0 : err;
    (void)snprintf(status, 4, "%u", h->status % 1000u);
    nv[0] = pg_h2_field(status_name, sizeof(status_name) - 1, status, 3);
    size_t count = 1 + pg_h2_fields(h, shared->bytes, nv + 1);
    pg_inner_take(s->inner, h->head_len);
    if (h->status < 200)
        return nghttp2_submit_headers(s->h2->w.session, NGHTTP2_FLAG_NONE, s->id, NULL, nv, count,
                                      NULL) == 0
                   ? 1
                   : -ENOMEM;
    pg_http_response_body(h, s->is_head, false);
    pg_h2_out_begin(&s->out, h->body, h->content_length);
    s->answered = true;
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = on_body};
    return nghttp2_submit_response(s->h2->w.session, s->id, nv, count,
                                   s->out.complete ? NULL : &body) == 0
               ? 1
               : -ENOMEM;
}

/* Behind an answer that was whole, a reset only says that the rest of the request is not wanted (RFC 9113 8.1). REFUSED_STREAM lets a client ask again
 * whatever it asked, so it is said only where no pod has heard of it. */
static uint32_t reset_code(const struct pg_h2_stream *s)
{
    if (s->answered && s->out.complete)
        return NGHTTP2_NO_ERROR;
    switch (s->why) {
    case -ECANCELED: return NGHTTP2_CANCEL;
    case -EBUSY: return NGHTTP2_ENHANCE_YOUR_CALM;
    case -ENOBUFS: return NGHTTP2_REFUSED_STREAM;
    default: return NGHTTP2_INTERNAL_ERROR;
    }
}

static void reset(struct pg_h2_stream *s)
{
    uint32_t code = reset_code(s);
    s->out.complete = true; /* nothing more is sent */
    (void)nghttp2_submit_rst_stream(s->h2->w.session, NGHTTP2_FLAG_NONE, s->id, code);
    pg_inner_end_all(s->inner, pg_inner_released(s->inner) ? 0 : -ECONNRESET);
    s->inner = NULL;
}

/* The session did something. */
static void on_turn(void *arg, struct pg_conn *inner)
{
    struct pg_h2_stream *s = arg;
    struct pg_h2 *h = s->h2;
    int did = 1;
    open_window(s);
    while (did > 0 && !s->answered && pg_inner_waiting(inner) > 0)
        did = send_head(s);
    pg_h2_out_resume(&s->out, inner, h->w.session, s->id);
    bool cut = pg_inner_released(inner) && pg_inner_waiting(inner) == 0 && !s->out.complete;
    if (did < 0 || pg_inner_aborted(inner) || cut)
        reset(s);
    pg_h2_flush(h);
}

static const struct pg_inner_layer layer = {on_turn};

bool pg_h2_speaks(const struct pg_conn *c)
{
    return pg_inner_arg(c, &layer) != NULL;
}

void pg_h2_abort_because(struct pg_conn *c, int error)
{
    struct pg_h2_stream *s = pg_inner_arg(c, &layer);
    if (s)
        s->why = error;
}
