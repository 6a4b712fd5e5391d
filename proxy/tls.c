/* TLS on the client leg: the client's records on one side, a plain byte stream for a session on the other.
 *
 * Called by listener.c for ports where TLS ends. HELLO: the first message is looked at where it lies (sni.c) and a certificate chosen
 * (tls_names.c). HANDSHAKE: OpenSSL works on the wire. OPEN: the plain side is an inner connection that a session owns; what it writes is encrypted once a turn, what comes is
 * decrypted as far as it is read, so a slow reader closes the client's window as without TLS.
 *
 * Computing a handshake takes as long as ten plain requests. So a turn does a bounded number of steps of them, and who comes later waits in line; a
 * connection that is open never waits.
 *
 * Owns its connections, the wire included, and all of OpenSSL's state. Always true: nobody else knows the wire; the plain side's owner may let go at any
 * time and hears of the end at most once. */
#include "tls_internal.h"

#include "passthrough.h"

#include <openssl/err.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS_A_TURN   8 /* of handshakes: about a millisecond */
#define ORPHAN_MS      60000
#define TICKET_SECONDS 7200

/* ---- life ---- */

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    if (!pg_tls_choose_protocol(out, out_len, in, in_len))
        return SSL_TLSEXT_ERR_ALERT_FATAL; /* RFC 7301 3.2: no_application_protocol */
    return SSL_TLSEXT_ERR_OK;
}

struct pg_tls_shared *pg_tls_new(struct pg_proxy *p)
{
    struct pg_tls_shared *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->waiting_end = &s->waiting;
    s->context = pg_tls_context_new(true);
    s->conns = pg_pool_new("tls connections", sizeof(struct pg_tls), p->options.session_limit);
    if (!s->context || !s->conns) {
        SSL_CTX_free(s->context);
        pg_pool_free(s->conns);
        free(s);
        return NULL;
    }
    SSL_CTX_set_alpn_select_cb(s->context, choose_protocol, NULL);
    (void)SSL_CTX_set_timeout(s->context, TICKET_SECONDS);
    return s;
}

static void leave_line(struct pg_tls *t)
{
    struct pg_tls_shared *shared = t->proxy->tls;
    if (!t->where)
        return;
    *t->where = t->next;
    if (t->next)
        t->next->where = t->where;
    else
        shared->waiting_end = t->where;
    t->next = NULL;
    t->where = NULL;
}

static void stand_in_line(struct pg_tls *t)
{
    struct pg_tls_shared *shared = t->proxy->tls;
    if (t->where)
        return;
    t->where = shared->waiting_end;
    *t->where = t;
    shared->waiting_end = &t->next;
}

/* The wire is somebody else's business by now. */
static void tls_free(struct pg_tls *t)
{
    struct pg_proxy *p = t->proxy;
    leave_line(t);
    pg_wheel_cancel(p->wheel, &t->timer.timer);
    free(t->name);
    pg_pool_put(p->tls->conns, pg_pool_index(p->tls->conns, t));
}

static void end(struct pg_tls *t, bool reset, int error)
{
    pg_tls_stream_end(&t->stream, reset, error);
    tls_free(t);
}

void pg_tls_free(struct pg_proxy *p)
{
    struct pg_tls_shared *s = p->tls;
    if (!s)
        return;
    uint32_t limit = pg_pool_high_water(s->conns);
    for (uint32_t i = 0; i < limit; i++) {
        if (pg_pool_in_use(s->conns, i))
            end(pg_pool_at(s->conns, i), true, 0);
    }
    pg_dev_ca_free(&s->ca);
    SSL_CTX_free(s->context);
    pg_pool_free(s->conns);
    free(s);
}

/* ---- telling ---- */

static void tell(const struct pg_tls *t, const char *name, const char *after, pg_reason_id reason)
{
    struct pg_trace *trace = t->proxy->trace;
    struct pg_record r = {.label = pg_conn_label(t->stream.wire),
                          .reason = reason,
                          .node = PG_NODE_NONE,
                          .kind = PG_RECORD_EVENT,
                          .stage = PG_STAGE_TLS,
                          .after = pg_value_text(after, strlen(after))};
    if (!pg_trace_on(trace) || !pg_trace_label_wanted(trace, r.label))
        return;
    if (t->name && t->name[0])
        r.before = pg_value_text(t->name, strlen(t->name));
    (void)snprintf(r.name, sizeof(r.name), "%s", name);
    pg_trace_write(trace, &r);
}

static const char *protocol_of(const struct pg_tls *t)
{
    const unsigned char *at = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(t->stream.ssl, &at, &len);
    return len == 2 ? "h2" : "http/1.1";
}

static void tell_handshake(const struct pg_tls *t)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "%s %s%s", SSL_get_version(t->stream.ssl), protocol_of(t),
                   SSL_session_reused(t->stream.ssl) ? " resumed" : "");
    tell(t, "handshake", text, t->reason);
}

/* Counts, tells, and ends it; what OpenSSL has to say to the client was written already. */
static void fail(struct pg_tls *t, enum pg_counter why, const char *text)
{
    uint64_t *count = t->proxy->counters->value;
    count[PG_COUNT_TLS_FAILED]++;
    count[why]++;
    tell(t, "handshake-failed", text,
         pg_reason_intern(&(struct pg_reason){.code = PG_CODE_TLS_FAILED}));
    end(t, false, 0);
}

/* ---- HELLO ---- */

/* Plain HTTP to whoever typed http:// for https://, as nginx does. */
static void answer_plain(struct pg_tls *t)
{
    char text[512];
    const char *about = pg_http_error_text(PG_HTTP_ERROR_PLAIN_HTTP);
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\n"
                       "Content-Length: %zu\r\nConnection: close\r\n\r\n400 plain-http: %s\n",
                       strlen(about) + 17, about);
    (void)pg_conn_write(t->stream.wire, text, (uint32_t)len);
}

/* An alert the client understands before there is a TLS to speak of: unexpected_message or protocol_version. */
static void refuse(struct pg_tls *t, enum pg_hello_error error)
{
    static const uint8_t alert[] = {21, 3, 3, 0, 2, 2, 10};
    static const uint8_t too_old[] = {21, 3, 1, 0, 2, 2, 70};
    bool plain = error == PG_HELLO_PLAIN_HTTP;
    if (plain)
        answer_plain(t);
    else
        (void)pg_conn_write(t->stream.wire, error == PG_HELLO_TOO_OLD ? too_old : alert,
                            sizeof(alert));
    fail(t,
         plain                       ? PG_COUNT_TLS_FAILED_PLAIN
         : error == PG_HELLO_TOO_OLD ? PG_COUNT_TLS_FAILED_PROTOCOL
                                     : PG_COUNT_TLS_FAILED_HELLO,
         pg_hello_error_name(error));
}

/* OpenSSL takes over; it reads the hello again from the wire. */
static int begin_handshake(struct pg_tls *t, const struct pg_hello *hello,
                           const struct pg_tls_host *host)
{
    struct pg_proxy *p = t->proxy;
    struct pg_routes *routes = p->routes;
    BIO *bio = pg_tls_bio_new(t->stream.wire);
    t->stream.ssl = SSL_new(p->tls->context);
    t->name = strdup(hello->name);
    t->reason = pg_tls_host_reason(routes->snapshot, host);
    if (!t->stream.ssl || !bio || !t->name ||
        pg_certs_use(routes->certs, &p->tls->ca, host, t->name, t->stream.ssl) != 0) {
        BIO_free(bio);
        return -ENOMEM;
    }
    SSL_set_bio(t->stream.ssl, bio, bio);
    SSL_set_accept_state(t->stream.ssl);
    t->state = PG_TLS_HANDSHAKE;
    return 0;
}

/* true: t is still there. */
static bool answer_hello(struct pg_tls *t, const struct pg_hello *hello)
{
    struct pg_proxy *p = t->proxy;
    uint16_t port;
    (void)pg_conn_local(t->stream.wire, &port);
    const struct pg_tls_host *host =
        p->routes ? pg_tls_host_find(p->routes->snapshot, port, hello->name) : NULL;
    if (host && host->passthrough) {
        pg_passthrough_begin(p, t->stream.wire, hello->name,
                             pg_tls_host_reason(p->routes->snapshot, host));
        tls_free(t);
        return false;
    }
    if (p->routes && begin_handshake(t, hello, host) == 0)
        return true;
    fail(t, PG_COUNT_TLS_FAILED_PROTOCOL, "no memory");
    return false;
}

/* true: the state changed and t is still there. */
static bool take_hello(struct pg_tls *t)
{
    uint8_t bytes[PG_HELLO_BYTES + PG_HELLO_RECORDS * 5];
    struct pg_hello hello;
    enum pg_hello_error error = PG_HELLO_OK;
    if (pg_conn_unread(t->stream.wire) < t->need) {
        if (pg_conn_end_seen(t->stream.wire))
            fail(t, PG_COUNT_TLS_FAILED_ALERT, "the client closed");
        return false;
    }
    uint32_t len = pg_conn_peek(t->stream.wire, 0, bytes, sizeof(bytes));
    int err = pg_hello_parse(bytes, len, &hello, &t->need, &error);
    if (err == -EAGAIN && t->need <= sizeof(bytes)) {
        if (pg_conn_end_seen(t->stream.wire))
            fail(t, PG_COUNT_TLS_FAILED_ALERT, "the client closed");
        return false;
    }
    if (err != 0) {
        refuse(t, err == -EAGAIN ? PG_HELLO_TOO_LARGE : error);
        return false;
    }
    return answer_hello(t, &hello);
}

/* ---- HANDSHAKE ---- */

static void handshake_failed(struct pg_tls *t)
{
    unsigned long error = ERR_peek_error();
    const char *text = error ? ERR_reason_error_string(error) : NULL;
    bool alert = !error || ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET ||
                 ERR_GET_REASON(error) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
    fail(t, alert ? PG_COUNT_TLS_FAILED_ALERT : PG_COUNT_TLS_FAILED_PROTOCOL,
         text ? text : "the client closed");
}

static const struct pg_inner_layer layer;

/* The plain side comes into being, and with it a session. */
static bool opened(struct pg_tls *t)
{
    struct pg_proxy *p = t->proxy;
    p->counters->value[PG_COUNT_TLS_HANDSHAKES]++;
    if (SSL_session_reused(t->stream.ssl))
        p->counters->value[PG_COUNT_TLS_RESUMED]++;
    tell_handshake(t);
    if (pg_tls_stream_open(&t->stream, &layer, t) != 0) {
        end(t, true, 0);
        return false;
    }
    t->state = PG_TLS_OPEN;
    pg_wheel_cancel(p->wheel, &t->timer.timer);
    if (strcmp(protocol_of(t), "h2") == 0)
        pg_h2_begin(p, t->stream.plain);
    else
        pg_session_begin(p, t->stream.plain);
    return true;
}

static bool step_handshake(struct pg_tls *t)
{
    struct pg_tls_shared *shared = t->proxy->tls;
    if (shared->budget == 0) {
        stand_in_line(t);
        return false;
    }
    shared->budget--;
    ERR_clear_error();
    int done = SSL_do_handshake(t->stream.ssl);
    if (done == 1)
        return opened(t);
    int error = SSL_get_error(t->stream.ssl, done);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        handshake_failed(t);
    return false;
}

/* ---- OPEN ---- */

static void move(struct pg_tls *t)
{
    struct pg_tls_stream *stream = &t->stream;
    if (pg_tls_stream_move(stream, t->proxy->tls->scratch) != 0) {
        tell(t, "broken", "record",
             pg_reason_intern(&(struct pg_reason){.code = PG_CODE_TLS_FAILED}));
        end(t, true, -ECONNRESET);
    } else if (!pg_inner_released(stream->plain)) {
        return;
    } else if (stream->said_end) {
        end(t, false, 0);
    } else if (!pg_timer_armed(&t->timer.timer)) { /* the client takes its time for the rest */
        pg_wheel_arm(t->proxy->wheel, &t->timer.timer, pg_proxy_now_ms(t->proxy) + ORPHAN_MS);
    }
}

/* The session did something. */
static void on_turn(void *arg, struct pg_conn *inner)
{
    struct pg_tls *t = arg;
    if (pg_inner_aborted(inner))
        end(t, true, 0);
    else
        move(t);
}

static const struct pg_inner_layer layer = {on_turn};

static const struct pg_tls *tls_of(const struct pg_conn *client)
{
    const struct pg_tls *t = NULL;
    for (const struct pg_conn *c = client; c && !t; c = pg_inner_below(c)) /* streams of h2 */
        t = pg_inner_arg(c, &layer);
    return t;
}

const char *pg_tls_name(const struct pg_conn *client)
{
    const struct pg_tls *t = tls_of(client);
    return t ? t->name : NULL;
}

void pg_tls_look(const struct pg_conn *client, struct pg_tls_view *ret)
{
    const struct pg_tls *t = tls_of(client);
    const unsigned char *alpn = NULL;
    unsigned len = 0;
    *ret = (struct pg_tls_view){0};
    if (!t)
        return;
    SSL_get0_alpn_selected(t->stream.ssl, &alpn, &len);
    *ret = (struct pg_tls_view){.version = SSL_get_version(t->stream.ssl),
                                .cipher = SSL_get_cipher_name(t->stream.ssl),
                                .protocol = len > 0 ? protocol_of(t) : "",
                                .name = t->name,
                                .reason = t->reason,
                                .resumed = SSL_session_reused(t->stream.ssl) == 1};
}

/* ---- the wire ---- */

static void advance(struct pg_tls *t)
{
    if (t->state == PG_TLS_HELLO && !take_hello(t))
        return;
    if (t->state == PG_TLS_HANDSHAKE && !step_handshake(t))
        return;
    if (t->state == PG_TLS_OPEN)
        move(t);
}

static void on_wire(void *owner, struct pg_conn *c)
{
    (void)c;
    advance(owner);
}

static void on_wire_closed(void *owner, struct pg_conn *c, int error)
{
    struct pg_tls *t = owner;
    (void)c;
    if (!t->stream.plain) {
        fail(t, PG_COUNT_TLS_FAILED_ALERT, "the client reset the connection");
        return;
    }
    end(t, true, error != 0 ? error : -ECONNRESET);
}

static const struct pg_conn_events events = {on_wire, on_wire, on_wire, on_wire_closed};

void pg_tls_begin(struct pg_proxy *p, struct pg_conn *wire)
{
    uint32_t index = p->draining ? PG_POOL_NONE : pg_pool_get(p->tls->conns);
    if (index == PG_POOL_NONE) {
        pg_conn_abort(wire);
        return;
    }
    struct pg_tls *t = pg_pool_at(p->tls->conns, index);
    t->timer.owner = PG_TIMER_OF_TLS;
    t->proxy = p;
    t->stream.wire = wire;
    t->need = 1;
    pg_conn_own(wire, &events, t);
    pg_wheel_arm(p->wheel, &t->timer.timer, pg_proxy_now_ms(p) + p->options.tls_timeout_ms);
    if (pg_conn_unread(wire) > 0 || pg_conn_end_seen(wire))
        advance(t);
}

/* ---- time ---- */

void pg_tls_timeout(struct pg_owned_timer *timer)
{
    struct pg_tls *t = (struct pg_tls *)(void *)timer;
    if (t->stream.plain)
        end(t, true, 0);
    else
        fail(t, PG_COUNT_TLS_FAILED_TIMEOUT, "not complete in time");
}

void pg_tls_turn(struct pg_proxy *p)
{
    struct pg_tls_shared *s = p->tls;
    s->budget = STEPS_A_TURN;
    while (s->waiting && s->budget > 0) {
        struct pg_tls *t = s->waiting;
        s->waiting = t->next;
        if (t->next)
            t->next->where = &s->waiting;
        else
            s->waiting_end = &s->waiting;
        t->next = NULL;
        t->where = NULL;
        advance(t);
    }
}

bool pg_tls_is_waiting(const struct pg_proxy *p)
{
    return p->tls->waiting != NULL;
}

void pg_tls_drain(struct pg_proxy *p)
{
    struct pg_tls_shared *s = p->tls;
    uint32_t limit = pg_pool_high_water(s->conns);
    for (uint32_t i = 0; i < limit; i++) {
        struct pg_tls *t = pg_pool_in_use(s->conns, i) ? pg_pool_at(s->conns, i) : NULL;
        if (t && !t->stream.plain)
            end(t, true, 0);
    }
}
