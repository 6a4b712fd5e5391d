/* One stream of HTTP/2 as a connection that speaks HTTP/1.1: the request is written out as text, the response is read as text.
 *
 * Called by h2.c, and by the sweep when the session on the other side did something. The text passes the same strict parser as every other
 * request, so nothing that HTTP/1.1 could misunderstand gets behind it; fields that would frame a message are written by us alone. The body goes
 * through as it comes: what the session has read the client may send again, so a slow pod closes the stream's window.
 *
 * Not here: trailers. They are dropped in both directions, as on HTTP/1.1.
 *
 * Owns streams. Always true: a stream lets go of its inner connection exactly once. */
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
    struct pg_pool *pool = h->proxy->h2->streams;
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
    struct pg_pool *pool = s->h2->proxy->h2->streams;
    /* What nobody will read any more counts for the connection all the same. */
    if (s->given > s->told)
        (void)nghttp2_session_consume_connection(s->h2->session, s->given - s->told);
    if (s->inner)
        pg_inner_end_all(s->inner, pg_inner_released(s->inner) ? 0 : error);
    forget_head(s);
    *s->where = s->next;
    if (s->next)
        s->next->where = s->where;
    s->h2->stream_count--;
    pg_pool_put(pool, pg_pool_index(pool, s));
}

/* ---- the request ---- */

/* Fields that say something about the connection: ours to write. nghttp2 refuses most of them itself. */
static bool is_framing(struct pg_slice name)
{
    static const char *const names[] = {"content-length", "transfer-encoding", "connection",
                                        "keep-alive",     "proxy-connection",  "upgrade"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (pg_slice_is(name, names[i]))
            return true;
    }
    return false;
}

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
    if (is_framing(name))
        return 0;
    pg_text_add(&s->fields, name.at, name.len);
    pg_text_puts(&s->fields, ": ");
    pg_text_add(&s->fields, value.at, value.len);
    pg_text_puts(&s->fields, "\r\n");
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
    s->answered = s->complete = true;
    return nghttp2_submit_response(s->h2->session, s->id, &nv, 1, NULL) == 0 ? 0 : -ENOMEM;
}

int pg_h2_stream_begin(struct pg_h2_stream *s, bool has_body)
{
    struct pg_text head = {0};
    if (s->too_large)
        return answer_too_large(s);
    if (!s->method)
        return -EBADMSG;
    s->inner_of = (struct pg_inner){.layer = &layer, .arg = s, .room = ROOM};
    s->inner = pg_inner_new(s->h2->wire, &s->inner_of);
    if (!s->inner)
        return -ENOBUFS;
    write_head(s, has_body, &head);
    pg_session_begin(s->h2->proxy, s->inner);
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
        (void)nghttp2_session_consume(s->h2->session, s->id, read - s->told);
        s->told = read;
    }
}

int pg_h2_stream_data(struct pg_h2_stream *s, const uint8_t *bytes, size_t len)
{
    char line[24];
    if (!s->inner)
        return 0;
    if (s->chunked_in) {
        int n = snprintf(line, sizeof(line), "%zx\r\n", len);
        if (pg_inner_give(s->inner, line, (uint32_t)n) != 0)
            return -ENOMEM;
    }
    int err = pg_inner_give(s->inner, bytes, (uint32_t)len);
    if (err == 0 && s->chunked_in)
        err = pg_inner_give(s->inner, "\r\n", 2);
    s->given += len;
    if (pg_inner_released(s->inner))
        open_window(s); /* it was thrown away */
    return err;
}

void pg_h2_stream_data_end(struct pg_h2_stream *s)
{
    if (s->inner && s->chunked_in)
        (void)pg_inner_give(s->inner, "0\r\n\r\n", 5);
}

/* ---- the response ---- */

/* Bytes of the body for a DATA frame. 0: none now. */
static int64_t take_body(struct pg_h2_stream *s, uint8_t *out, size_t room)
{
    struct pg_slice front;
    while (s->body == PG_HTTP_BODY_CHUNKED && s->chunks.left == 0 && !s->chunks.done) {
        enum pg_http_error error;
        if (!pg_inner_front(s->inner, &front))
            return 0;
        int64_t used = pg_http_chunks_framing(&s->chunks, front.at, front.len, &error);
        if (used < 0)
            return used;
        pg_inner_take(s->inner, (uint32_t)used);
    }
    uint64_t want = s->body == PG_HTTP_BODY_CHUNKED ? s->chunks.left : s->left;
    uint32_t n = pg_inner_peek(s->inner, out, (uint32_t)(want < room ? want : room));
    pg_inner_take(s->inner, n);
    if (s->body == PG_HTTP_BODY_CHUNKED)
        pg_http_chunks_skip(&s->chunks, n);
    else
        s->left -= n;
    return n;
}

static bool body_done(const struct pg_h2_stream *s)
{
    return s->body == PG_HTTP_BODY_CHUNKED ? s->chunks.done : s->left == 0;
}

static ssize_t on_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct pg_h2_stream *s = source->ptr;
    (void)session;
    (void)id;
    (void)arg;
    if (!s->inner)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    int64_t n = take_body(s, out, room);
    if (n >= 0 && !body_done(s) && s->body == PG_HTTP_BODY_CHUNKED && s->chunks.left == 0) {
        uint8_t none; /* the last chunk may be here already: then this frame ends the stream */
        if (take_body(s, &none, 0) < 0)
            n = -1;
    }
    if (n < 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (body_done(s)) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        s->complete = true;
    } else if (n == 0) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}

static nghttp2_nv field(char *name, size_t name_len, const char *value, size_t len)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)(uintptr_t)value, name_len, len,
                        NGHTTP2_NV_FLAG_NONE};
}

/* Names in lower case, in place; nothing about the connection. Returns how many. */
static size_t make_fields(const struct pg_http_head *h, char *bytes, char status[4],
                          nghttp2_nv nv[PG_HTTP_MAX_FIELDS + 1])
{
    static char status_name[] = ":status";
    size_t count = 0;
    (void)snprintf(status, 4, "%u", h->status % 1000u);
    nv[count++] = field(status_name, sizeof(status_name) - 1, status, 3);
    for (uint32_t i = 0; i < h->field_count; i++) {
        struct pg_span name = h->fields[i].name, value = h->fields[i].value;
        for (uint32_t at = name.at; at < name.at + name.len; at++) {
            if (bytes[at] >= 'A' && bytes[at] <= 'Z')
                bytes[at] = (char)(bytes[at] | 0x20);
        }
        struct pg_slice text = {bytes + name.at, name.len};
        if (!is_framing(text) || h->fields[i].id == PG_HTTP_NAME_CONTENT_LENGTH)
            nv[count++] = field(bytes + name.at, name.len, bytes + value.at, value.len);
    }
    return count;
}

/* Reads a head of the answer and submits it. 1: done; 0: more is needed; negative: cannot be. */
static int send_head(struct pg_h2_stream *s)
{
    struct pg_h2_shared *shared = s->h2->proxy->h2;
    struct pg_http_head *h = &shared->head;
    nghttp2_nv nv[PG_HTTP_MAX_FIELDS + 1];
    enum pg_http_error error;
    char status[4];
    uint32_t len = pg_inner_peek(s->inner, shared->bytes, sizeof(shared->bytes));
    struct pg_http_scan scan = {0};
    int err = pg_http_parse(PG_HTTP_RESPONSE, &scan, shared->bytes, len, h, &error);
    if (err != 0)
        return err == -EAGAIN ? 0 : err;
    size_t count = make_fields(h, shared->bytes, status, nv);
    pg_inner_take(s->inner, h->head_len);
    if (h->status < 200)
        return nghttp2_submit_headers(s->h2->session, NGHTTP2_FLAG_NONE, s->id, NULL, nv, count,
                                      NULL) == 0
                   ? 1
                   : -ENOMEM;
    pg_http_response_body(h, s->is_head, false);
    s->body = (uint8_t)h->body;
    s->left = h->body == PG_HTTP_BODY_LENGTH ? h->content_length : 0;
    s->answered = true;
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = on_body};
    bool none = h->body == PG_HTTP_BODY_NONE || (h->body == PG_HTTP_BODY_LENGTH && s->left == 0);
    s->complete = none;
    return nghttp2_submit_response(s->h2->session, s->id, nv, count, none ? NULL : &body) == 0
               ? 1
               : -ENOMEM;
}

static void reset(struct pg_h2_stream *s)
{
    s->complete = true; /* nothing more is sent */
    (void)nghttp2_submit_rst_stream(s->h2->session, NGHTTP2_FLAG_NONE, s->id,
                                    NGHTTP2_INTERNAL_ERROR);
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
    if (s->deferred && (pg_inner_waiting(inner) > 0 || pg_inner_shut(inner))) {
        s->deferred = false;
        (void)nghttp2_session_resume_data(h->session, s->id);
    }
    bool cut = pg_inner_released(inner) && pg_inner_waiting(inner) == 0 && !s->complete;
    if (did < 0 || pg_inner_aborted(inner) || cut)
        reset(s);
    pg_h2_flush(h);
}

static const struct pg_inner_layer layer = {on_turn};
