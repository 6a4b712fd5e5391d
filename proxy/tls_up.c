/* TLS to pods: a connection to a target whose plain side an upstream owns like any other.
 *
 * Called by `upstream.c` and `h2_up.c` in place of pg_conn_connect. The wire is opened, a PROXY preface goes in front of everything if there is one, then OpenSSL shakes hands as the
 * setting says (`tls_peers.c`), and on_open of the plain side comes when that is done. Bytes pass as on the client leg (`tls_stream.c`): what is not read is not decrypted.
 *
 * The last ticket of an address is kept in a place that its target's hash says, so the next connection there is cheaper. It counts only where the same is asked of the pod.
 *
 * Owns its connections and their wires. Always true: the target is looked at only while somebody owns the plain side, who keeps it. */
#include "tls_up.h"

#include "tls_internal.h"

#include "podglass/upstream_tls_decide.h"

#include <openssl/err.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORPHAN_MS 60000
#define TICKETS   1024

struct tls_up {
    struct pg_owned_timer timer; /* once nobody owns the plain side */
    struct pg_proxy *proxy;
    struct pg_target *target;
    struct pg_tls_stream stream;
    pg_reason_id reason; /* of TLS */
    bool verify;
    bool named; /* the setting's name was sent */
    bool h2;
    bool connected; /* the wire is open, OpenSSL at work */
    bool open;      /* the handshake is done */
    bool cut;       /* the wire broke; what was decrypted before is still unread */
    uint16_t preface_len;
    uint8_t preface[PG_PREFACE_OUT_MAX];
};

struct ticket {
    SSL_SESSION *session; /* NULL: none */
    struct pg_addr addr;
    uint16_t port;
    struct pg_tls_identity identity;
};

struct pg_tls_ups {
    struct pg_pool *conns;
    struct ticket tickets[TICKETS];
};

/* ---- ends ---- */

static void end(struct tls_up *t, bool reset, int error)
{
    struct pg_proxy *p = t->proxy;
    pg_tls_stream_end(&t->stream, reset, error);
    pg_wheel_cancel(p->wheel, &t->timer.timer);
    pg_pool_put(p->tls_ups->conns, pg_pool_index(p->tls_ups->conns, t));
}

static void tell(const struct tls_up *t, const char *name, const char *before, const char *after,
                 pg_reason_id reason)
{
    struct pg_trace *trace = t->proxy->trace;
    struct pg_record r = {.label = pg_conn_label(t->stream.wire),
                          .reason = reason,
                          .node = PG_NODE_NONE,
                          .kind = PG_RECORD_EVENT,
                          .stage = PG_STAGE_UPSTREAM,
                          .before =
                              before ? pg_value_text(before, strlen(before)) : pg_value_none(),
                          .after = pg_value_text(after, strlen(after))};
    if (!pg_trace_on(trace) || !pg_trace_label_wanted(trace, r.label))
        return;
    (void)snprintf(r.name, sizeof(r.name), "%s", name);
    pg_trace_write(trace, &r);
}

/* The same place of the manifests, with what went wrong. */
static pg_reason_id reason_of_failure(const struct tls_up *t, const char *text)
{
    struct pg_reason r = *pg_reason_get(t->reason);
    r.code = PG_CODE_UPSTREAM_TLS;
    r.value = text;
    return pg_reason_intern(&r);
}

static void fail(struct tls_up *t, const char *text)
{
    pg_reason_id why = reason_of_failure(t, text);
    t->proxy->counters->value[PG_COUNT_UPSTREAM_TLS_FAILED]++;
    tell(t, "tls-failed", NULL, text, why);
    if (!pg_inner_released(t->stream.plain))
        t->target->tls_failure = why;
    end(t, false, -EPROTO);
}

/* In the pod's or OpenSSL's words; NULL: it just ended. */
static const char *error_text(void)
{
    unsigned long error = ERR_peek_error();
    return error ? ERR_reason_error_string(error) : NULL;
}

/* ---- tickets ---- */

static struct ticket *ticket_place(struct pg_proxy *p, const struct pg_target *target)
{
    return &p->tls_ups->tickets[target->hash % TICKETS];
}

static int on_ticket(SSL *ssl, SSL_SESSION *session)
{
    struct tls_up *t = SSL_get_app_data(ssl);
    if (!t || !t->stream.plain || pg_inner_released(t->stream.plain))
        return 0;
    struct ticket *ticket = ticket_place(t->proxy, t->target);
    SSL_SESSION_free(ticket->session);
    *ticket = (struct ticket){session, t->target->addr, t->target->port, t->target->tls};
    return 1; /* ours now */
}

static SSL_SESSION *ticket_for(struct pg_proxy *p, const struct pg_target *target)
{
    const struct ticket *t = ticket_place(p, target);
    bool fits = t->session && t->port == target->port && pg_addr_equal(&t->addr, &target->addr) &&
                memcmp(&t->identity, &target->tls, sizeof(t->identity)) == 0;
    return fits && SSL_SESSION_is_resumable(t->session) ? t->session : NULL;
}

void pg_tls_up_keep_tickets(SSL_CTX *c)
{
    (void)SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(c, on_ticket);
}

/* ---- the handshake ---- */

static const char *protocol_of(const struct tls_up *t)
{
    const unsigned char *at = NULL;
    unsigned len = 0;
    SSL_get0_alpn_selected(t->stream.ssl, &at, &len);
    return len == 0 ? "" : len == 2 ? "h2" : "http/1.1";
}

static void tell_handshake(const struct tls_up *t)
{
    char text[96];
    const char *name =
        t->named ? SSL_get_servername(t->stream.ssl, TLSEXT_NAMETYPE_host_name) : NULL;
    const char *protocol = protocol_of(t);
    (void)snprintf(text, sizeof(text), "%s%s%s %s%s", SSL_get_version(t->stream.ssl),
                   protocol[0] ? " " : "", protocol, t->verify ? "verified" : "not verified",
                   SSL_session_reused(t->stream.ssl) ? " resumed" : "");
    tell(t, "handshake", name, text, t->reason);
}

/* true: it goes on. */
static bool opened(struct tls_up *t)
{
    uint64_t *count = t->proxy->counters->value;
    if (t->h2 && strcmp(protocol_of(t), "h2") != 0) {
        fail(t, "the pod does not speak HTTP/2 (ALPN)");
        return false;
    }
    count[PG_COUNT_UPSTREAM_TLS_HANDSHAKES]++;
    count[PG_COUNT_UPSTREAM_TLS_RESUMED] += SSL_session_reused(t->stream.ssl) == 1;
    tell_handshake(t);
    t->open = true;
    pg_inner_give_open(t->stream.plain);
    return true;
}

static void handshake_failed(struct tls_up *t)
{
    long verified = SSL_get_verify_result(t->stream.ssl);
    const char *text = error_text();
    if (t->verify && verified != X509_V_OK)
        text = X509_verify_cert_error_string(verified);
    fail(t, text ? text : "the pod closed the connection");
}

/* true: it is done. */
static bool shake(struct tls_up *t)
{
    ERR_clear_error();
    int done = SSL_do_handshake(t->stream.ssl);
    if (done == 1)
        return opened(t);
    int error = SSL_get_error(t->stream.ssl, done);
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
        handshake_failed(t);
    return false;
}

/* ---- bytes ---- */

/* An alert in place of an answer is about the handshake: in TLS 1.3 a pod looks at our certificate only then. */
static void broken(struct tls_up *t)
{
    unsigned long error = ERR_peek_error();
    if (pg_conn_unread(t->stream.plain) > 0 && !pg_inner_released(t->stream.plain)) {
        t->cut = true;
    } else if (ERR_GET_REASON(error) >= SSL_AD_REASON_OFFSET) {
        fail(t, error_text());
    } else {
        const char *text = error_text();
        tell(t, "broken", NULL, text ? text : "record", reason_of_failure(t, text));
        end(t, true, -EPIPE);
    }
}

static void move(struct tls_up *t)
{
    struct pg_tls_stream *s = &t->stream;
    if (t->cut) {
        if (pg_conn_unread(s->plain) == 0 || pg_inner_released(s->plain))
            end(t, true, -EPIPE);
    } else if (pg_tls_stream_move(s, t->proxy->tls->scratch) != 0) {
        broken(t);
    } else if (!pg_inner_released(s->plain)) {
        return;
    } else if (s->said_end) {
        end(t, false, 0);
    } else if (!pg_timer_armed(&t->timer.timer)) {
        pg_wheel_arm(t->proxy->wheel, &t->timer.timer, pg_proxy_now_ms(t->proxy) + ORPHAN_MS);
    }
}

static void advance(struct tls_up *t)
{
    if (t->connected && (t->open || shake(t)))
        move(t);
}

/* ---- events ---- */

static void on_turn(void *arg, struct pg_conn *inner)
{
    struct tls_up *t = arg;
    if (pg_inner_aborted(inner) || (pg_inner_released(inner) && !t->open))
        end(t, true, 0);
    else
        advance(t);
}

static const struct pg_inner_layer layer = {on_turn};

static void on_wire_open(void *owner, struct pg_conn *c)
{
    struct tls_up *t = owner;
    t->connected = true;
    if (t->preface_len > 0)
        (void)pg_conn_write(c, t->preface, t->preface_len);
    advance(t);
}

static void on_wire(void *owner, struct pg_conn *c)
{
    (void)c;
    advance(owner);
}

static void on_wire_closed(void *owner, struct pg_conn *c, int error)
{
    struct tls_up *t = owner;
    (void)c;
    if (t->connected && !t->open && !pg_inner_released(t->stream.plain))
        fail(t, "the pod reset the connection");
    else
        end(t, true, error != 0 ? error : -ECONNRESET);
}

static const struct pg_conn_events events_of_wire = {on_wire_open, on_wire, on_wire,
                                                     on_wire_closed};

/* ---- life ---- */

static bool prepare(struct tls_up *t, const struct pg_tls_up_ask *ask)
{
    static const unsigned char http1[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    static const unsigned char http2[] = {2, 'h', '2'};
    const struct pg_upstream_tls *setting = ask->peer->setting;
    struct pg_tls_stream *s = &t->stream;
    SSL_SESSION *ticket = ticket_for(t->proxy, ask->target);
    s->ssl = SSL_new(ask->peer->context);
    BIO *bio = pg_tls_bio_new(s->wire);
    t->named = setting->send_name && setting->name[0] != '\0';
    if (!s->ssl || !bio || (t->named && SSL_set_tlsext_host_name(s->ssl, setting->name) != 1) ||
        SSL_set_alpn_protos(s->ssl, ask->h2 ? http2 : http1,
                            ask->h2 ? sizeof(http2) : sizeof(http1)) != 0 ||
        pg_tls_stream_open(s, &layer, t) != 0) {
        BIO_free(bio);
        return false;
    }
    SSL_set_app_data(s->ssl, t);
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_connect_state(s->ssl);
    if (ticket)
        (void)SSL_set_session(s->ssl, ticket);
    return true;
}

struct pg_conn *pg_tls_up_connect(struct pg_proxy *p, const struct pg_tls_up_ask *ask,
                                  const struct pg_conn_events *events, void *owner)
{
    struct pg_target *target = ask->target;
    uint32_t index = pg_pool_get(p->tls_ups->conns);
    if (index == PG_POOL_NONE)
        return NULL;
    struct tls_up *t = pg_pool_at(p->tls_ups->conns, index);
    t->timer.owner = PG_TIMER_OF_TLS_UP;
    t->proxy = p;
    t->target = target;
    t->verify = ask->peer->setting->verify;
    t->h2 = ask->h2;
    t->reason = pg_upstream_tls_reason(ask->peer->setting, PG_CODE_TO_TLS);
    t->preface_len = (uint16_t)ask->preface_len;
    if (ask->preface_len > 0)
        memcpy(t->preface, ask->preface, ask->preface_len);
    t->stream.wire = pg_conn_connect(p->stack, &target->local, 0, &target->addr, target->port,
                                     ask->label, &events_of_wire, t);
    if (t->stream.wire && prepare(t, ask)) {
        pg_conn_own(t->stream.plain, events, owner);
        return t->stream.plain;
    }
    if (t->stream.wire)
        end(t, true, 0);
    else
        pg_pool_put(p->tls_ups->conns, index);
    return NULL;
}

void pg_tls_up_timeout(struct pg_owned_timer *timer)
{
    end((struct tls_up *)(void *)timer, true, 0);
}

void pg_tls_up_look(const struct pg_conn *c, struct pg_tls_view *ret)
{
    const struct tls_up *t = NULL;
    for (; c && !t; c = pg_inner_below(c)) /* streams of HTTP/2 */
        t = pg_inner_arg(c, &layer);
    *ret = (struct pg_tls_view){0};
    if (!t || !t->open)
        return;
    const char *name =
        t->named ? SSL_get_servername(t->stream.ssl, TLSEXT_NAMETYPE_host_name) : NULL;
    *ret = (struct pg_tls_view){.version = SSL_get_version(t->stream.ssl),
                                .cipher = SSL_get_cipher_name(t->stream.ssl),
                                .protocol = protocol_of(t),
                                .name = name ? name : "",
                                .reason = t->reason,
                                .resumed = SSL_session_reused(t->stream.ssl) == 1,
                                .verified = t->verify};
}

struct pg_tls_ups *pg_tls_ups_new(struct pg_proxy *p)
{
    struct pg_tls_ups *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->conns = pg_pool_new("tls upstreams", sizeof(struct tls_up),
                           p->options.session_limit + p->options.pool_limit);
    if (s->conns)
        return s;
    free(s);
    return NULL;
}

void pg_tls_ups_free(struct pg_proxy *p)
{
    struct pg_tls_ups *s = p->tls_ups;
    if (!s)
        return;
    uint32_t limit = pg_pool_high_water(s->conns);
    for (uint32_t i = 0; i < limit; i++) {
        if (pg_pool_in_use(s->conns, i))
            end(pg_pool_at(s->conns, i), true, 0);
    }
    for (uint32_t i = 0; i < TICKETS; i++)
        SSL_SESSION_free(s->tickets[i].session);
    pg_pool_free(s->conns);
    free(s);
    p->tls_ups = NULL;
}
