/* HTTP/2 on the client leg: frames on one side, a session per stream on the other.
 *
 * Called by tls.c where the client chose h2. nghttp2 does frames, HPACK and the protocol's rules; h2_stream.c makes a connection of each stream that
 * speaks HTTP/1.1, so that requests are parsed, routed, rewritten and sent by the same code as all others.
 *
 * What one client may cost is bounded: streams at the same time, bytes of a head, resets (a client that asks and takes back at once makes us work for
 * nothing, CVE-2023-44487), frames that move nothing (PING, SETTINGS, PRIORITY, DATA without a byte, WINDOW_UPDATE beyond what was sent), and what waits to be
 * sent. Beyond that the connection ends with GOAWAY and ENHANCE_YOUR_CALM; nghttp2 itself ends one whose head never ends (CONTINUATION, CVE-2024-28182).
 *
 * Owns connections and their wires. Always true: nothing is freed inside a callback of nghttp2; whoever calls into it looks at `dead` afterwards. */
#include "h2_internal.h"

#include "h2.h"

#include "podglass/h2_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WINDOW         (256 * 1024)
#define RESETS_MOST    100  /* at once */
#define IDLES_MOST     2000 /* likewise; more than a large page needs */
#define IDLES_PER_DATA 10   /* and so many more for each frame of data they may answer */
#define FORGIVE_MS     10   /* one each */
#define ACKS_MOST      1000 /* answers to PING and SETTINGS that wait */
#define FIELDS_LIST    PG_HTTP_MAX_HEAD
#define CONNECTION_BIG (1024 * 1024)

/* ---- life ---- */

static void h2_free(struct pg_h2 *h, bool reset)
{
    struct pg_h2_shared *shared = h->shared;
    while (h->streams)
        pg_h2_stream_end(h->streams, -ECONNRESET);
    if (h->w.conn && reset)
        pg_conn_abort(h->w.conn);
    else if (h->w.conn)
        pg_conn_close(h->w.conn);
    nghttp2_session_del(h->w.session);
    if (shared->proxy)
        pg_wheel_cancel(shared->proxy->wheel, &h->timer.timer);
    pg_preface_put(h->preface);
    pg_pool_put(shared->conns, pg_pool_index(shared->conns, h));
}

/* ---- from nghttp2 ---- */

static bool is_draining(const struct pg_h2_shared *shared)
{
    return shared->proxy && shared->proxy->draining;
}

static struct pg_h2_stream *stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct pg_h2 *h = arg;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct pg_h2_stream *s =
        is_draining(h->shared) ? NULL : pg_h2_stream_new(h, frame->hd.stream_id);
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
    if (!s)
        return 0;
    struct pg_slice n = {(const char *)name, name_len}, v = {(const char *)value, value_len};
    int err = frame->headers.cat == NGHTTP2_HCAT_REQUEST ? pg_h2_stream_field(s, n, v)
                                                         : pg_h2_stream_trailer(s, n, v);
    return err == 0 ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int refuse(struct pg_h2 *h, int32_t id, uint32_t code)
{
    return nghttp2_submit_rst_stream(h->w.session, NGHTTP2_FLAG_NONE, id, code);
}

static void end_flood(struct pg_h2 *h)
{
    h->shared->proxy->counters->value[PG_COUNT_H2_FLOODS]++;
    (void)nghttp2_session_terminate_session(h->w.session, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* Something that costs the client nothing and us something: fine, but not all the time. */
static void spend(struct pg_h2 *h, struct pg_h2_budget *b, uint32_t most)
{
    if (!h->shared->proxy)
        return; /* a pod of the lab: whoever asks it is ours */
    uint64_t now_ms = pg_proxy_now_ms(h->shared->proxy);
    uint64_t forgiven = (now_ms - b->since_ms) / FORGIVE_MS;
    if (forgiven > 0)
        b->since_ms = now_ms;
    b->used = forgiven < b->used ? b->used - (uint32_t)forgiven : 0;
    if (++b->used == most + 1)
        end_flood(h);
}

static void count_frame(struct pg_h2 *h, const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_RST_STREAM: spend(h, &h->resets, RESETS_MOST); break;
    case NGHTTP2_DATA:
        if (frame->hd.length > 0 || frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            break;
        spend(h, &h->idles, IDLES_MOST);
        break;
    case NGHTTP2_PRIORITY:
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING:
    case NGHTTP2_WINDOW_UPDATE: spend(h, &h->idles, IDLES_MOST); break;
    default: break;
    }
}

/* Who reads much opens its window as often. */
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct pg_h2 *h = arg;
    (void)session;
    if (frame->hd.type == NGHTTP2_DATA)
        h->idles.used -= h->idles.used < IDLES_PER_DATA ? h->idles.used : IDLES_PER_DATA;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg)
{
    struct pg_h2 *h = arg;
    struct pg_h2_stream *s = stream_of(session, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    count_frame(h, frame);
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
    struct pg_proxy *p = h->shared->proxy;
    bool idle = h->stream_count == 0;
    if (p && idle && !pg_timer_armed(&h->timer.timer))
        pg_wheel_arm(p->wheel, &h->timer.timer,
                     pg_proxy_now_ms(p) + pg_limit_ms(p, PG_LIMIT_IDLE_TIME));
    else if (p && !idle)
        pg_wheel_cancel(p->wheel, &h->timer.timer);
}

void pg_h2_flush(struct pg_h2 *h)
{
    bool over = pg_h2_wire_send(&h->w);
    if (over || (pg_conn_at_end(h->w.conn) && h->stream_count == 0)) {
        h2_free(h, false);
        return;
    }
    rest(h);
}

static void receive(struct pg_h2 *h)
{
    pg_h2_wire_read(&h->w);
    if (h->w.flooded && h->shared->proxy)
        h->shared->proxy->counters->value[PG_COUNT_H2_FLOODS]++;
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
    h->w.conn = NULL;
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
    return nghttp2_submit_settings(h->w.session, NGHTTP2_FLAG_NONE, settings,
                                   sizeof(settings) / sizeof(settings[0])) == 0 &&
           nghttp2_session_set_local_window_size(h->w.session, NGHTTP2_FLAG_NONE, 0,
                                                 CONNECTION_BIG) == 0;
}

void pg_h2_server_begin(struct pg_h2_shared *shared, struct pg_conn *wire)
{
    uint32_t index = is_draining(shared) ? PG_POOL_NONE : pg_pool_get(shared->conns);
    if (index == PG_POOL_NONE) {
        pg_conn_abort(wire);
        return;
    }
    struct pg_h2 *h = pg_pool_at(shared->conns, index);
    h->timer.owner = PG_TIMER_OF_H2;
    h->shared = shared;
    h->w.conn = wire;
    if (shared->proxy)
        h->preface = pg_preface_get(shared->proxy->prefaces, wire);
    pg_conn_own(wire, &events, h);
    if (nghttp2_session_server_new2(&h->w.session, shared->callbacks, h, shared->option) != 0 ||
        !greet(h)) {
        h2_free(h, true);
        return;
    }
    if (shared->proxy)
        shared->proxy->counters->value[PG_COUNT_H2_CONNECTIONS]++;
    receive(h);
}

void pg_h2_begin(struct pg_proxy *p, struct pg_conn *wire)
{
    pg_h2_server_begin(p->h2, wire);
}

/* ---- all of them ---- */

struct pg_h2_shared *pg_h2_server_new(uint32_t limit,
                                      void (*begin)(void *arg, struct pg_conn *stream), void *arg)
{
    struct pg_h2_shared *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->begin = begin;
    s->arg = arg;
    s->conns = pg_pool_new("h2 connections", sizeof(struct pg_h2), limit);
    s->streams = pg_pool_new("h2 streams", sizeof(struct pg_h2_stream), limit);
    if (!s->conns || !s->streams || nghttp2_session_callbacks_new(&s->callbacks) != 0 ||
        nghttp2_option_new(&s->option) != 0) {
        pg_h2_server_free(s);
        return NULL;
    }
    nghttp2_session_callbacks_set_on_begin_headers_callback(s->callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(s->callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_send_callback(s->callbacks, on_sent);
    nghttp2_session_callbacks_set_on_frame_recv_callback(s->callbacks, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(s->callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(s->callbacks, on_stream_close);
    nghttp2_option_set_no_auto_window_update(s->option, 1);
    nghttp2_option_set_max_outbound_ack(s->option, ACKS_MOST);
    return s;
}

void pg_h2_server_free(struct pg_h2_shared *s)
{
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
}

static void begin_session(void *arg, struct pg_conn *stream)
{
    pg_session_begin(arg, stream);
}

struct pg_h2_shared *pg_h2_new(struct pg_proxy *p)
{
    struct pg_h2_shared *s = pg_h2_server_new(p->options.session_limit, begin_session, p);
    if (s)
        s->proxy = p;
    return s;
}

void pg_h2_free(struct pg_proxy *p)
{
    pg_h2_server_free(p->h2);
    p->h2 = NULL;
}

void pg_h2_timeout(struct pg_owned_timer *timer)
{
    struct pg_h2 *h = (struct pg_h2 *)(void *)timer;
    (void)nghttp2_session_terminate_session(h->w.session, NGHTTP2_NO_ERROR);
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
            (void)nghttp2_session_terminate_session(h->w.session, NGHTTP2_NO_ERROR);
        else
            (void)nghttp2_submit_goaway(h->w.session, NGHTTP2_FLAG_NONE,
                                        nghttp2_session_get_last_proc_stream_id(h->w.session),
                                        NGHTTP2_NO_ERROR, NULL, 0);
        pg_h2_flush(h);
    }
}
