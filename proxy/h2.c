/* HTTP/2 on the client leg: frames on one side, a session per stream on the other.
 *
 * Called by tls.c where the client chose h2. nghttp2 does frames, HPACK and the protocol's rules; h2_stream.c makes a connection of each stream that
 * speaks HTTP/1.1, so that requests are parsed, routed, rewritten and sent by the same code as all others.
 *
 * What one client may cost is bounded: streams at the same time, bytes of a head, resets (a client that asks and takes back at once makes us work for
 * nothing, CVE-2023-44487), and what waits to be sent. Beyond that the connection ends with GOAWAY and ENHANCE_YOUR_CALM.
 *
 * Owns connections and their wires. Always true: nothing is freed inside a callback of nghttp2; whoever calls into it looks at `dead` afterwards. */
#include "h2_internal.h"

#include "h2.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW         (256 * 1024)
#define RESETS_MOST    100 /* at once; a stream in ten milliseconds is forgiven */
#define RESET_MS       10
#define UNSENT_MOST    (256 * 1024) /* of frames: beyond it the client's are not read */
#define ACKS_MOST      1000         /* answers to PING and SETTINGS that wait */
#define FIELDS_LIST    PG_HTTP_MAX_HEAD
#define CONNECTION_BIG (1024 * 1024)

/* ---- life ---- */

static void h2_free(struct pg_h2 *h, bool reset)
{
    struct pg_proxy *p = h->proxy;
    while (h->streams)
        pg_h2_stream_end(h->streams, -ECONNRESET);
    if (h->wire && reset)
        pg_conn_abort(h->wire);
    else if (h->wire)
        pg_conn_close(h->wire);
    nghttp2_session_del(h->session);
    pg_wheel_cancel(p->wheel, &h->timer.timer);
    pg_pool_put(p->h2->conns, pg_pool_index(p->h2->conns, h));
}

/* ---- from nghttp2 ---- */

static struct pg_h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct pg_h2 *h = arg;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct pg_h2_stream *s = h->proxy->draining ? NULL : pg_h2_stream_new(h, frame->hd.stream_id);
    if (!s)
        return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                         NGHTTP2_REFUSED_STREAM);
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct pg_h2_stream *s = stream_of(session, frame->hd.stream_id);
    (void)flags;
    (void)arg;
    if (!s || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0; /* of a trailer section: dropped */
    int err = pg_h2_stream_field(s, (struct pg_slice){(const char *)name, name_len},
                                 (struct pg_slice){(const char *)value, value_len});
    return err == 0 ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int refuse(struct pg_h2 *h, int32_t id, uint32_t code)
{
    return nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, code);
}

/* A client may change its mind, but not all the time. */
static void count_reset(struct pg_h2 *h)
{
    uint64_t now = pg_proxy_now_ms(h->proxy);
    uint64_t forgiven = (now - h->reset_ms) / RESET_MS;
    h->resets = forgiven < h->resets ? h->resets - (uint32_t)forgiven : 0;
    h->reset_ms = now;
    if (++h->resets <= RESETS_MOST)
        return;
    h->proxy->counters->value[PG_COUNT_H2_FLOODS]++;
    (void)nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct pg_h2 *h = arg;
    struct pg_h2_stream *s = stream_of(session, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        count_reset(h);
    if (!s)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        int err = pg_h2_stream_begin(s, !end);
        return err == 0 ? 0
                        : refuse(h, s->id,
                                 err == -EBADMSG ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_REFUSED_STREAM);
    }
    if ((frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS) && end)
        pg_h2_stream_data_end(s);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *arg)
{
    struct pg_h2_stream *s = stream_of(session, id);
    struct pg_h2 *h = arg;
    (void)flags;
    if (!s || !s->inner)
        return nghttp2_session_consume(session, id, len); /* nobody reads it any more */
    return pg_h2_stream_data(s, bytes, len) == 0 ? 0 : refuse(h, id, NGHTTP2_INTERNAL_ERROR);
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct pg_h2_stream *s = stream_of(session, id);
    (void)arg;
    if (s)
        pg_h2_stream_end(s, code == NGHTTP2_NO_ERROR ? -EPIPE : -ECONNRESET);
    return 0;
}

/* ---- to and from the wire ---- */

static void rest(struct pg_h2 *h)
{
    bool idle = h->stream_count == 0;
    if (idle && !pg_timer_armed(&h->timer.timer))
        pg_wheel_arm(h->proxy->wheel, &h->timer.timer,
                     pg_proxy_now_ms(h->proxy) + pg_limit_ms(h->proxy, PG_LIMIT_IDLE_TIME));
    else if (!idle)
        pg_wheel_cancel(h->proxy->wheel, &h->timer.timer);
}

void pg_h2_flush(struct pg_h2 *h)
{
    for (;;) {
        if (h->rest_len == 0) {
            ssize_t n = nghttp2_session_mem_send(h->session, &h->rest);
            h->dead |= n < 0;
            if (n <= 0)
                break;
            h->rest_len = (size_t)n;
        }
        if (pg_conn_write(h->wire, h->rest, (uint32_t)h->rest_len) != 0)
            break; /* the client is slow: on_writable goes on */
        h->rest_len = 0;
    }
    bool over = h->rest_len == 0 && !nghttp2_session_want_read(h->session) &&
                !nghttp2_session_want_write(h->session);
    if (h->dead || over || (pg_conn_at_end(h->wire) && h->stream_count == 0)) {
        h2_free(h, false);
        return;
    }
    rest(h);
}

static void receive(struct pg_h2 *h)
{
    struct pg_slice front;
    while (!h->dead && h->rest_len == 0 && pg_conn_unacked(h->wire) < UNSENT_MOST &&
           pg_conn_front(h->wire, &front)) {
        ssize_t n = nghttp2_session_mem_recv(h->session, (const uint8_t *)front.at, front.len);
        h->dead = n < 0;
        if (n > 0)
            pg_conn_consume(h->wire, (uint64_t)n);
    }
    pg_h2_flush(h);
}

static void on_wire(void *owner, struct pg_conn *c)
{
    (void)c;
    receive(owner);
}

static void on_closed(void *owner, struct pg_conn *c, int error)
{
    struct pg_h2 *h = owner;
    (void)c;
    (void)error;
    h->wire = NULL;
    h2_free(h, false);
}

static const struct pg_conn_events events = {on_wire, on_wire, on_wire, on_closed};

static bool greet(struct pg_h2 *h)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, PG_H2_STREAMS},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, FIELDS_LIST},
    };
    return nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                   sizeof(settings) / sizeof(settings[0])) == 0 &&
           nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                 CONNECTION_BIG) == 0;
}

void pg_h2_begin(struct pg_proxy *p, struct pg_conn *wire)
{
    uint32_t index = p->draining ? PG_POOL_NONE : pg_pool_get(p->h2->conns);
    if (index == PG_POOL_NONE) {
        pg_conn_abort(wire);
        return;
    }
    struct pg_h2 *h = pg_pool_at(p->h2->conns, index);
    h->timer.owner = PG_TIMER_OF_H2;
    h->proxy = p;
    h->wire = wire;
    pg_conn_own(wire, &events, h);
    if (nghttp2_session_server_new2(&h->session, p->h2->callbacks, h, p->h2->option) != 0 ||
        !greet(h)) {
        h2_free(h, true);
        return;
    }
    p->counters->value[PG_COUNT_H2_CONNECTIONS]++;
    receive(h);
}

/* ---- all of them ---- */

struct pg_h2_shared *pg_h2_new(struct pg_proxy *p)
{
    struct pg_h2_shared *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->conns = pg_pool_new("h2 connections", sizeof(struct pg_h2), p->options.session_limit);
    s->streams = pg_pool_new("h2 streams", sizeof(struct pg_h2_stream), p->options.session_limit);
    if (!s->conns || !s->streams || nghttp2_session_callbacks_new(&s->callbacks) != 0 ||
        nghttp2_option_new(&s->option) != 0) {
        p->h2 = s;
        pg_h2_free(p);
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(s->callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(s->callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(s->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(s->callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(s->callbacks, on_stream_close);
    nghttp2_option_set_no_auto_window_update(s->option, 1);
    nghttp2_option_set_max_outbound_ack(s->option, ACKS_MOST);
    return s;
}

void pg_h2_free(struct pg_proxy *p)
{
    struct pg_h2_shared *s = p->h2;
    if (!s)
        return;
    uint32_t limit = s->conns ? pg_pool_high_water(s->conns) : 0;
    for (uint32_t i = 0; i < limit; i++) {
        if (pg_pool_in_use(s->conns, i))
            h2_free(pg_pool_at(s->conns, i), true);
    }
    pg_pool_free(s->conns);
    pg_pool_free(s->streams);
    nghttp2_session_callbacks_del(s->callbacks);
    nghttp2_option_del(s->option);
    free(s);
    p->h2 = NULL;
}

void pg_h2_timeout(struct pg_owned_timer *timer)
{
    struct pg_h2 *h = (struct pg_h2 *)(void *)timer;
    (void)nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
    pg_h2_flush(h);
}

void pg_h2_drain(struct pg_proxy *p)
{
    uint32_t limit = pg_pool_high_water(p->h2->conns);
    for (uint32_t i = 0; i < limit; i++) {
        struct pg_h2 *h = pg_pool_in_use(p->h2->conns, i) ? pg_pool_at(p->h2->conns, i) : NULL;
        if (!h)
            continue;
        if (h->stream_count == 0)
            (void)nghttp2_session_terminate_session(h->session, NGHTTP2_NO_ERROR);
        else
            (void)nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                                        nghttp2_session_get_last_proc_stream_id(h->session),
                                        NGHTTP2_NO_ERROR, NULL, 0);
        pg_h2_flush(h);
    }
}
