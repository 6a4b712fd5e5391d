/* The server's side of TLS: what built-in pods are reached through where the manifests have TLS to pods.
 *
 * Called by lab/echo.c. The same two sides as in tls_client.c, begun from the other end; allocates, like all of the lab, since nobody's traffic depends on it. The certificate is one for all pods and
 * names; it is signed by the development authority of this process, whose certificates `tls_peers.c` believes.
 *
 * Owns its connections and their wires, in a list. Always true: a connection is freed when its plain side was let go of, or told of its end. */
#include "podglass/tls_server.h"

#include "tls_internal.h"

#include <openssl/err.h>

#include <errno.h>
#include <stdlib.h>

struct tls_server {
    struct pg_tls_servers *servers;
    struct tls_server *next, **where;
    struct pg_tls_stream stream;
};

struct pg_tls_servers {
    SSL_CTX *context;
    struct pg_proxy *proxy;
    struct pg_cert cert; /* made when it is first needed */
    void (*begin)(void *arg, struct pg_conn *plain);
    void *arg;
    struct tls_server *first;
    char scratch[PG_TLS_RECORD];
};

static void end(struct tls_server *t, bool reset, int error)
{
    pg_tls_stream_end(&t->stream, reset, error);
    *t->where = t->next;
    if (t->next)
        t->next->where = t->where;
    free(t);
}

static void on_turn(void *arg, struct pg_conn *inner);
static const struct pg_inner_layer layer = {on_turn};

/* Nobody's events: whoever is given it sets his own. */
static bool opened(struct tls_server *t)
{
    if (pg_tls_stream_open(&t->stream, &layer, t) != 0) {
        end(t, true, 0);
        return false;
    }
    t->servers->begin(t->servers->arg, t->stream.plain);
    return true;
}

static void advance(struct tls_server *t)
{
    if (!t->stream.plain) {
        ERR_clear_error();
        int done = SSL_do_handshake(t->stream.ssl);
        int error = SSL_get_error(t->stream.ssl, done);
        if (done != 1) {
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                end(t, false, 0);
            return;
        }
        if (!opened(t))
            return;
    }
    if (pg_tls_stream_move(&t->stream, t->servers->scratch) != 0)
        end(t, true, -EPIPE);
    else if (pg_inner_released(t->stream.plain) && t->stream.said_end)
        end(t, false, 0);
}

static void on_turn(void *arg, struct pg_conn *inner)
{
    if (pg_inner_aborted(inner))
        end(arg, true, 0);
    else
        advance(arg);
}

static void on_wire(void *owner, struct pg_conn *c)
{
    (void)c;
    advance(owner);
}

static void on_wire_closed(void *owner, struct pg_conn *c, int error)
{
    (void)c;
    end(owner, true, error != 0 ? error : -EPIPE);
}

static const struct pg_conn_events events_of_wire = {on_wire, on_wire, on_wire, on_wire_closed};

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                           const unsigned char *in, unsigned in_len, void *arg)
{
    (void)ssl;
    (void)arg;
    if (!pg_tls_choose_protocol(out, out_len, in, in_len))
        return SSL_TLSEXT_ERR_NOACK;
    return SSL_TLSEXT_ERR_OK;
}

struct pg_tls_servers *pg_tls_servers_new(struct pg_proxy *p,
                                          void (*begin)(void *arg, struct pg_conn *plain),
                                          void *arg)
{
    struct pg_tls_servers *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->proxy = p;
    s->begin = begin;
    s->arg = arg;
    s->context = pg_tls_context_new(true);
    if (s->context) {
        SSL_CTX_set_alpn_select_cb(s->context, choose_protocol, NULL);
        return s;
    }
    free(s);
    return NULL;
}

void pg_tls_servers_free(struct pg_tls_servers *s)
{
    if (!s)
        return;
    for (struct tls_server *t = s->first, *next; t; t = next) {
        next = t->next;
        end(t, true, 0);
    }
    pg_cert_free(&s->cert);
    SSL_CTX_free(s->context);
    free(s);
}

static bool prepare(struct tls_server *t)
{
    struct pg_tls_servers *s = t->servers;
    t->stream.ssl = SSL_new(s->context);
    BIO *bio = pg_tls_bio_new(t->stream.wire);
    if (!t->stream.ssl || !bio ||
        (!s->cert.cert &&
         !pg_dev_cert_make(&s->proxy->tls->ca, "pod.podglass.invalid", &s->cert)) ||
        SSL_use_cert_and_key(t->stream.ssl, s->cert.cert, s->cert.key, s->cert.chain, 1) != 1) {
        BIO_free(bio);
        return false;
    }
    SSL_set_bio(t->stream.ssl, bio, bio);
    SSL_set_accept_state(t->stream.ssl);
    return true;
}

void pg_tls_server_begin(struct pg_tls_servers *s, struct pg_conn *wire)
{
    struct tls_server *t = calloc(1, sizeof(*t));
    if (t) {
        t->servers = s;
        t->stream.wire = wire;
    }
    if (!t || !prepare(t)) {
        if (t)
            SSL_free(t->stream.ssl);
        free(t);
        ERR_clear_error();
        pg_conn_abort(wire);
        return;
    }
    t->next = s->first;
    t->where = &s->first;
    if (t->next)
        t->next->where = &t->next;
    s->first = t;
    pg_conn_own(wire, &events_of_wire, t);
    advance(t);
}
