/* HTTP/2 to pods whose service says so (`protocol.c`): one connection, many streams, each of them an upstream to a session.
 *
 * Called by `upstream.c` for a stream, by the stack's callbacks and the wheel. By prior knowledge: the client's preface is the first thing on a
 * connection, without TLS or Upgrade. A stream goes to the connection used last that has room for one, by what the pod allows and PG_H2_STREAMS; then another
 * connection is opened. `h2_up_stream.c` has the streams.
 *
 * Memory: what a session has not read yet is at most WINDOW per stream, and the connection's window is that of all its streams together, so a slow client holds up
 * nobody else. GOAWAY: no new streams; those above its last one were not looked at and are sent again.
 *
 * Owns connections and their wires. Always true: nothing of a connection is freed inside a callback of nghttp2 but streams. */
#include "h2_up_internal.h"

#include <errno.h>
#include <stdlib.h>

#define WINDOW     (128 * 1024)
#define ACKS_MOST  1000 /* answers to PING and SETTINGS that wait */
#define ANSWER_MAX PG_HTTP_MAX_HEAD

/* ---- life ---- */

static void up_free(struct pg_h2_up *h, int error, bool reset)
{
    struct pg_proxy *p = h->proxy;
    struct pg_target *t = h->target;
    while (h->streams)
        pg_h2_up_stream_end(h->streams, error);
    if (h->w.conn && reset)
        pg_conn_abort(h->w.conn);
    else if (h->w.conn)
        pg_conn_close(h->w.conn);
    nghttp2_session_del(h->w.session);
    pg_wheel_cancel(p->wheel, &h->timer.timer);
    *h->where = h->next;
    if (h->next)
        h->next->where = h->where;
    pg_pool_put(p->h2_ups->conns, pg_pool_index(p->h2_ups->conns, h));
    pg_target_put(p, t);
}

static void rest(struct pg_h2_up *h)
{
    struct pg_proxy *p = h->proxy;
    if (h->stream_count > 0)
        pg_wheel_cancel(p->wheel, &h->timer.timer);
    else if (!pg_timer_armed(&h->timer.timer))
        pg_wheel_arm(p->wheel, &h->timer.timer,
                     pg_proxy_now_ms(p) + pg_limit_ms(p, PG_LIMIT_UPSTREAM_TIME));
}

void pg_h2_up_settle(struct pg_h2_up *h)
{
    bool unused = h->stream_count == 0;
    if (!h->open || h->owes_preface) {
        if (unused)
            up_free(h, 0, true); /* nobody waits for it any more */
        return;
    }
    if (unused && (h->closing || h->proxy->draining))
        (void)nghttp2_session_terminate_session(h->w.session, NGHTTP2_NO_ERROR);
    if (pg_h2_wire_send(&h->w) || pg_conn_at_end(h->w.conn))
        up_free(h, -ECONNRESET, false);
    else
        rest(h);
}

/* ---- from nghttp2 ---- */

static struct pg_h2_up_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *arg)
{
    struct pg_h2_up_stream *s = stream_of(session, frame->hd.stream_id);
    (void)flags;
    (void)arg;
    if (!s || frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    int err = pg_h2_up_stream_field(s, (struct pg_slice){(const char *)name, name_len},
                                    (struct pg_slice){(const char *)value, value_len});
    return err == 0 ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct pg_h2_up *h = arg;
    struct pg_h2_up_stream *s = stream_of(session, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    int err = 0;
    if (frame->hd.type == NGHTTP2_GOAWAY)
        h->closing = true;
    if (!s)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS)
        err = pg_h2_up_stream_head(s, end);
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) && end)
        pg_h2_up_stream_finish(s);
    return err == 0 ? 0
                    : nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                                NGHTTP2_INTERNAL_ERROR);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t len, void *arg)
{
    struct pg_h2_up_stream *s = stream_of(session, id);
    (void)flags;
    (void)arg;
    if (!s)
        return nghttp2_session_consume(session, id, len); /* nobody reads it any more */
    return pg_h2_up_stream_data(s, bytes, len) == 0
               ? 0
               : nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_INTERNAL_ERROR);
}

/* What the pod says about the request goes on to the client (`h2_stream.c`). What it says about our connection is none of the client's business. */
static int error_of(uint32_t code)
{
    switch (code) {
    case NGHTTP2_CANCEL: return -ECANCELED;
    case NGHTTP2_ENHANCE_YOUR_CALM: return -EBUSY;
    case NGHTTP2_REFUSED_STREAM: return PG_UPSTREAM_UNUSED;
    case NGHTTP2_PROTOCOL_ERROR: return -EBADMSG;
    default: return -ECONNRESET;
    }
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg)
{
    struct pg_h2_up_stream *s = stream_of(session, id);
    (void)arg;
    if (s && s->ended)
        s->gone = true; /* the session may have more to read */
    else if (s)
        pg_h2_up_stream_end(s, error_of(code));
    return 0;
}

/* A request that waited while the pod said GOAWAY. */
static int on_not_sent(nghttp2_session *session, const nghttp2_frame *frame, int error, void *arg)
{
    struct pg_h2_up *h = arg;
    struct pg_h2_up_stream *next;
    (void)session;
    (void)error;
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    for (struct pg_h2_up_stream *s = h->streams; s; s = next) {
        next = s->next;
        if (s->id == frame->hd.stream_id)
            pg_h2_up_stream_end(s, PG_UPSTREAM_UNUSED);
    }
    return 0;
}

/* ---- from the wire ---- */

static void on_open(void *owner, struct pg_conn *c)
{
    struct pg_h2_up *h = owner;
    (void)c;
    h->open = true;
    for (struct pg_h2_up_stream *s = h->streams; s; s = s->next)
        pg_inner_give_open(s->inner);
    pg_h2_up_settle(h);
}

static void on_wire(void *owner, struct pg_conn *c)
{
    struct pg_h2_up *h = owner;
    (void)c;
    pg_h2_wire_read(&h->w);
    pg_h2_up_settle(h);
}

static void on_closed(void *owner, struct pg_conn *c, int error)
{
    struct pg_h2_up *h = owner;
    (void)c;
    h->w.conn = NULL;
    up_free(h, error, false);
}

static const struct pg_conn_events events = {on_open, on_wire, on_wire, on_closed};

/* ---- streams for sessions ---- */

static bool has_room(const struct pg_h2_up *h)
{
    uint32_t most =
        nghttp2_session_get_remote_settings(h->w.session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
    return !h->closing && h->stream_count < PG_H2_STREAMS && h->stream_count < most &&
           nghttp2_session_check_request_allowed(h->w.session);
}

static bool greet(struct pg_h2_up *h)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, ANSWER_MAX},
    };
    return nghttp2_submit_settings(h->w.session, NGHTTP2_FLAG_NONE, settings,
                                   sizeof(settings) / sizeof(settings[0])) == 0 &&
           nghttp2_session_set_local_window_size(h->w.session, NGHTTP2_FLAG_NONE, 0,
                                                 PG_H2_STREAMS * WINDOW) == 0;
}

static struct pg_h2_up *connect_to(struct pg_proxy *p, const struct pg_tls_up_ask *ask)
{
    struct pg_target *t = ask->target;
    uint32_t index = pg_pool_get(p->h2_ups->conns);
    if (index == PG_POOL_NONE)
        return NULL;
    struct pg_h2_up *h = pg_pool_at(p->h2_ups->conns, index);
    h->timer.owner = PG_TIMER_OF_H2_UP;
    h->proxy = p;
    h->owes_preface = t->client.proto != 0 && !ask->peer;
    h->target = t;
    h->next = t->h2;
    h->where = &t->h2;
    if (h->next)
        h->next->where = &h->next;
    t->h2 = h;
    t->refs++;
    h->w.conn = ask->peer ? pg_tls_up_connect(p, ask, &events, h)
                          : pg_conn_connect(p->stack, &t->local, 0, &t->addr, t->port, ask->label,
                                            &events, h);
    if (h->w.conn &&
        nghttp2_session_client_new2(&h->w.session, p->h2_ups->callbacks, h, p->h2_ups->option) ==
            0 &&
        greet(h))
        return h;
    up_free(h, 0, true);
    return NULL;
}

static struct pg_h2_up *with_room(const struct pg_target *t)
{
    struct pg_h2_up *h = t->h2;
    while (h && !has_room(h))
        h = h->next;
    return h;
}

bool pg_h2_up_has_room(const struct pg_target *t)
{
    return with_room(t) != NULL;
}

struct pg_conn *pg_h2_up_stream(struct pg_proxy *p, const struct pg_tls_up_ask *ask, bool *ret_open)
{
    struct pg_target *t = ask->target;
    struct pg_h2_up *h = with_room(t);
    t->refs++; /* it must outlive a connection that comes to nothing */
    if (!h)
        h = connect_to(p, ask);
    struct pg_h2_up_stream *s = h ? pg_h2_up_stream_new(h, ask->label) : NULL;
    if (h && !s)
        pg_h2_up_settle(h);
    t->refs--;
    if (!s)
        return NULL;
    pg_wheel_cancel(p->wheel, &h->timer.timer);
    if (h->stream_count == 1)
        pg_inner_set_labels(h->w.conn, ask->label);
    *ret_open = h->open;
    return s->inner;
}

void pg_h2_up_timeout(struct pg_owned_timer *timer)
{
    struct pg_h2_up *h = (struct pg_h2_up *)(void *)timer;
    h->closing = true;
    pg_h2_up_settle(h);
}

/* ---- all of them ---- */

struct pg_h2_ups *pg_h2_ups_new(struct pg_proxy *p)
{
    struct pg_h2_ups *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->conns = pg_pool_new("h2 upstreams", sizeof(struct pg_h2_up), p->options.session_limit);
    s->streams = pg_pool_new("h2 upstream streams", sizeof(struct pg_h2_up_stream),
                             p->options.session_limit);
    if (!s->conns || !s->streams || nghttp2_session_callbacks_new(&s->callbacks) != 0 ||
        nghttp2_option_new(&s->option) != 0) {
        p->h2_ups = s;
        pg_h2_ups_free(p);
        return NULL;
    }
    nghttp2_session_callbacks_set_on_header_callback(s->callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(s->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(s->callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(s->callbacks, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(s->callbacks, on_not_sent);
    nghttp2_option_set_no_auto_window_update(s->option, 1);
    nghttp2_option_set_max_outbound_ack(s->option, ACKS_MOST);
    return s;
}

void pg_h2_ups_free(struct pg_proxy *p)
{
    struct pg_h2_ups *s = p->h2_ups;
    if (!s)
        return;
    uint32_t limit = s->conns ? pg_pool_high_water(s->conns) : 0;
    for (uint32_t i = 0; i < limit; i++) {
        if (pg_pool_in_use(s->conns, i))
            up_free(pg_pool_at(s->conns, i), -ECONNRESET, true);
    }
    pg_pool_free(s->conns);
    pg_pool_free(s->streams);
    nghttp2_session_callbacks_del(s->callbacks);
    nghttp2_option_del(s->option);
    free(s);
    p->h2_ups = NULL;
}

void pg_h2_ups_close_idle(struct pg_proxy *p)
{
    uint32_t limit = p->h2_ups ? pg_pool_high_water(p->h2_ups->conns) : 0;
    for (uint32_t i = 0; i < limit; i++) {
        struct pg_h2_up *h =
            pg_pool_in_use(p->h2_ups->conns, i) ? pg_pool_at(p->h2_ups->conns, i) : NULL;
        if (!h)
            continue;
        h->closing = true;
        pg_h2_up_settle(h);
    }
}
