/* One stream to a pod as a connection that a session speaks HTTP/1.1 on: its request becomes frames, the answer becomes text.
 *
 * Called by `h2_up.c` and by the sweep when the session did something. The request's head has been written by `http_rewrite.c`, so every change of it is in the
 * records; here only its form changes: Host is :authority, names are in lower case, lines about the connection stay behind (TE: trailers goes). The answer passes
 * the same strict parser as every other. It is given chunks unless the pod told its length and announced no trailers; those
 * that come all the same have a record.
 *
 * Owns streams. Always true: a stream lets go of its inner connection exactly once. */
#include "h2_up_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM (256 * 1024) /* of a request, not yet sent */

static const struct pg_inner_layer layer;

/* ---- life ---- */

struct pg_h2_up_stream *pg_h2_up_stream_new(struct pg_h2_up *h, uint32_t label)
{
    struct pg_pool *pool = h->proxy->h2_ups->streams;
    uint32_t index = pg_pool_get(pool);
    if (index == PG_POOL_NONE)
        return NULL;
    struct pg_h2_up_stream *s = pg_pool_at(pool, index);
    s->up = h;
    s->inner_of = (struct pg_inner){.layer = &layer, .arg = s, .room = ROOM};
    s->inner = pg_inner_new(h->w.conn, &s->inner_of);
    if (!s->inner) {
        pg_pool_put(pool, index);
        return NULL;
    }
    pg_conn_set_label(s->inner, label);
    s->next = h->streams;
    s->where = &h->streams;
    if (s->next)
        s->next->where = &s->next;
    h->streams = s;
    h->stream_count++;
    return s;
}

void pg_h2_up_stream_end(struct pg_h2_up_stream *s, int error)
{
    struct pg_h2_up *h = s->up;
    struct pg_pool *pool = h->proxy->h2_ups->streams;
    /* What nobody will read any more counts for the connection all the same. */
    if (s->given > s->told)
        (void)nghttp2_session_consume_connection(h->w.session, s->given - s->told);
    if (s->id > 0 && !s->gone)
        (void)nghttp2_session_set_stream_user_data(h->w.session, s->id, NULL);
    pg_inner_end_all(s->inner, pg_inner_released(s->inner) ? 0 : error);
    pg_text_free(&s->fields);
    pg_text_free(&s->trailers);
    *s->where = s->next;
    if (s->next)
        s->next->where = s->where;
    h->stream_count--;
    pg_pool_put(pool, pg_pool_index(pool, s));
}

/* ---- the request ---- */

static ssize_t on_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t room,
                       uint32_t *flags, nghttp2_data_source *source, void *arg)
{
    struct pg_h2_up_stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)source;
    (void)arg;
    if (!s)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return pg_h2_out_read(&s->out, s->inner, session, id, out, room, flags);
}

static nghttp2_nv pseudo(const char *name, struct pg_slice value)
{
    return pg_h2_field(name, strlen(name), value.at, value.len);
}

/* Host has become :authority, and where TE is there it is the one thing it may say (`http_rewrite.c`). */
static size_t without_host(nghttp2_nv *nv, size_t count)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        if (nv[i].namelen != 4 || memcmp(nv[i].name, "host", 4) != 0)
            nv[kept++] = nv[i];
    }
    return kept;
}

/* Reads the request's head and submits it. 0: done, or more is needed; negative: cannot be. */
static int send_head(struct pg_h2_up_stream *s)
{
    struct pg_h2_ups *shared = s->up->proxy->h2_ups;
    struct pg_http_head *h = &shared->head;
    nghttp2_nv nv[PG_HTTP_MAX_FIELDS + 4];
    struct pg_http_scan scan = {0};
    enum pg_http_error error;
    char *bytes = shared->bytes;
    uint32_t len = pg_inner_peek(s->inner, bytes, sizeof(shared->bytes));
    int err = pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, len, h, &error);
    if (err != 0)
        return err == -EAGAIN ? 0 : err;
    nv[0] = pseudo(":method", pg_span_slice(bytes, h->method));
    nv[1] = pseudo(":scheme", PG_SLICE_LITERAL("http"));
    nv[2] = pseudo(":authority", pg_span_slice(bytes, h->host));
    nv[3] = pseudo(":path", pg_span_slice(bytes, h->target));
    size_t count = 4 + without_host(nv + 4, pg_h2_fields(h, bytes, nv + 4));
    pg_h2_out_begin(&s->out, h->body, h->content_length);
    s->is_head = h->is_head;
    pg_inner_take(s->inner, h->head_len);
    nghttp2_data_provider body = {.read_callback = on_body};
    int32_t id = nghttp2_submit_request(s->up->w.session, NULL, nv, count,
                                        s->out.complete ? NULL : &body, s);
    if (id < 0)
        return id == NGHTTP2_ERR_STREAM_ID_NOT_AVAILABLE ? PG_UPSTREAM_UNUSED : -ENOMEM;
    s->id = id;
    return 0;
}

/* ---- the answer ---- */

int pg_h2_up_stream_field(struct pg_h2_up_stream *s, struct pg_slice name, struct pg_slice value)
{
    char digits[24] = "";
    s->field_bytes += (uint32_t)(name.len + value.len + 32);
    if (s->field_bytes > PG_HTTP_MAX_HEAD)
        return -EBADMSG;
    if (s->answered) {
        if (s->chunked_in)
            pg_h2_add_line(&s->trailers, name, value);
        else
            pg_http_drop_trailer(s->up->proxy->trace, pg_conn_label(s->inner), 1, name, value);
        return 0;
    }
    if (value.len < sizeof(digits))
        memcpy(digits, value.at, value.len);
    if (pg_slice_is(name, ":status")) {
        s->status = (uint16_t)strtoul(digits, NULL, 10);
        return 0;
    }
    if (pg_slice_is(name, "content-length")) { /* nghttp2 has read it as a number, too */
        s->has_length = true;
        s->length = strtoull(digits, NULL, 10);
        return 0;
    }
    s->announces = s->announces || pg_slice_is(name, "trailer");
    if (!pg_h2_is_framing(name))
        pg_h2_add_line(&s->fields, name, value);
    return 0;
}

static void add_framing(struct pg_h2_up_stream *s, bool end, struct pg_text *head)
{
    bool bodyless = s->is_head || s->status == 204 || s->status == 304;
    bool length = s->has_length && (end || bodyless || !s->announces);
    s->chunked_in = !length && !end && !bodyless;
    if (length)
        pg_text_printf(head, "Content-Length: %llu\r\n", (unsigned long long)s->length);
    else if (s->chunked_in)
        pg_text_puts(head, "Transfer-Encoding: chunked\r\n");
    else if (!bodyless)
        pg_text_puts(head, "Content-Length: 0\r\n");
}

int pg_h2_up_stream_head(struct pg_h2_up_stream *s, bool end)
{
    struct pg_text head = {0};
    if (s->answered)
        return 0; /* trailers: written with the end */
    pg_text_printf(&head, "HTTP/1.1 %03u %s\r\n", s->status, pg_http_phrase(s->status));
    pg_text_add(&head, s->fields.at, s->fields.len);
    if (s->status >= 200)
        add_framing(s, end, &head);
    pg_text_puts(&head, "\r\n");
    s->answered = s->status >= 200;
    s->field_bytes = 0;
    pg_text_free(&s->fields);
    int err = pg_inner_give(s->inner, head.at, (uint32_t)head.len);
    pg_text_free(&head);
    return err;
}

/* What the session has read, the pod may send again. Framing of ours is counted as data still unread: it is read soon after. */
static void open_window(struct pg_h2_up_stream *s)
{
    uint64_t unread = pg_conn_unread(s->inner);
    uint64_t read = s->given > unread ? s->given - unread : 0;
    if (read > s->told) {
        (void)nghttp2_session_consume(s->up->w.session, s->id, read - s->told);
        s->told = read;
    }
}

int pg_h2_up_stream_data(struct pg_h2_up_stream *s, const uint8_t *bytes, size_t len)
{
    s->given += len;
    int err = pg_h2_in_data(s->inner, s->chunked_in, bytes, len);
    if (pg_inner_released(s->inner))
        open_window(s); /* it was thrown away */
    return err;
}

void pg_h2_up_stream_finish(struct pg_h2_up_stream *s)
{
    s->ended = true;
    (void)pg_h2_in_end(s->inner, s->chunked_in, &s->trailers);
}

/* ---- the session did something ---- */

static void let_go(struct pg_h2_up_stream *s)
{
    if (s->id > 0 && !s->gone)
        (void)nghttp2_submit_rst_stream(s->up->w.session, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
    pg_h2_up_stream_end(s, 0);
}

static void on_turn(void *arg, struct pg_conn *inner)
{
    struct pg_h2_up_stream *s = arg;
    struct pg_h2_up *h = s->up;
    int err = 0;
    if (pg_inner_released(inner)) {
        let_go(s);
        pg_h2_up_settle(h);
        return;
    }
    open_window(s);
    if (s->id == 0 && pg_inner_waiting(inner) > 0)
        err = send_head(s);
    else if (s->id > 0 && !s->gone)
        pg_h2_out_resume(&s->out, inner, h->w.session, s->id);
    if (err < 0)
        pg_h2_up_stream_end(s, err);
    pg_h2_up_settle(h);
}

static const struct pg_inner_layer layer = {on_turn};

/* ---- the PROXY protocol ---- */

bool pg_h2_up_owes_preface(const struct pg_conn *stream)
{
    const struct pg_h2_up_stream *s = pg_inner_arg(stream, &layer);
    return s && s->up->owes_preface;
}

void pg_h2_up_preface(const struct pg_conn *stream, const void *bytes, uint32_t len)
{
    struct pg_h2_up_stream *s = pg_inner_arg(stream, &layer);
    if (!s || len == 0)
        return;
    s->up->owes_preface = pg_conn_write(s->up->w.conn, bytes, len) != 0;
}
