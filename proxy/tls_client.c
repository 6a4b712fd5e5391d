/* The client's side of TLS: what the lab's requests for https go through.
 *
 * Called by lab/client.c. The same two sides as in tls.c, begun from the other end; allocates, like all of the lab, since nobody's traffic depends on it.
 *
 * Owns its connections and their wires, in a list. Always true: a connection is freed when its plain side was let go of, or told of its end. */
#include "podglass/tls_client.h"

#include "tls_internal.h"

#include <openssl/err.h>

#include <errno.h>
#include <stdlib.h>

struct tls_client {
    struct pg_tls_clients *clients;
    struct tls_client *next, **where;
    struct pg_tls_stream stream;
    bool open; /* the handshake is done */
};

struct pg_tls_clients {
    SSL_CTX *context;
    struct tls_client *first;
    char scratch[PG_TLS_RECORD];
};

static void end(struct tls_client *t, bool reset, int error)
{
    pg_tls_stream_end(&t->stream, reset, error);
    *t->where = t->next;
    if (t->next)
        t->next->where = t->where;
    free(t);
}

static void advance(struct tls_client *t)
{
    if (!t->open) {
        ERR_clear_error();
        int done = SSL_do_handshake(t->stream.ssl);
        int error = SSL_get_error(t->stream.ssl, done);
        if (done != 1) {
            if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                end(t, false, -EPROTO);
            return;
        }
        t->open = true;
        pg_inner_give_open(t->stream.plain);
    }
    if (pg_tls_stream_move(&t->stream, t->clients->scratch) != 0)
        end(t, true, -EPROTO);
    else if (pg_inner_released(t->stream.plain) && t->stream.said_end)
        end(t, false, 0);
}

static void on_turn(void *arg, struct pg_conn *inner)
{
    struct tls_client *t = arg;
    if (pg_inner_aborted(inner) || (pg_inner_released(inner) && !t->open))
        end(t, true, 0);
    else if (t->open)
        advance(t);
}

static const struct pg_inner_layer layer = {on_turn};

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

struct pg_tls_clients *pg_tls_clients_new(void)
{
    struct pg_tls_clients *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->context = pg_tls_context_new(false);
    if (c->context)
        return c;
    free(c);
    return NULL;
}

void pg_tls_clients_free(struct pg_tls_clients *c)
{
    if (!c)
        return;
    for (struct tls_client *t = c->first, *next; t; t = next) {
        next = t->next;
        end(t, true, 0);
    }
    SSL_CTX_free(c->context);
    free(c);
}

static bool prepare(struct tls_client *t, const char *server_name)
{
    static const unsigned char protocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    struct pg_tls_stream *s = &t->stream;
    s->ssl = SSL_new(t->clients->context);
    BIO *bio = pg_tls_bio_new(s->wire);
    if (!s->ssl || !bio || (server_name[0] && SSL_set_tlsext_host_name(s->ssl, server_name) != 1) ||
        SSL_set_alpn_protos(s->ssl, protocols, sizeof(protocols)) != 0 ||
        pg_tls_stream_open(s, &layer, t) != 0) {
        BIO_free(bio);
        return false;
    }
    SSL_set_bio(s->ssl, bio, bio);
    SSL_set_connect_state(s->ssl);
    return true;
}

struct pg_conn *pg_tls_client_begin(struct pg_tls_clients *c, struct pg_conn *wire,
                                    const char *server_name, const struct pg_conn_events *events,
                                    void *owner)
{
    struct tls_client *t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    t->clients = c;
    t->stream.wire = wire;
    if (!prepare(t, server_name)) {
        SSL_free(t->stream.ssl);
        free(t);
        return NULL;
    }
    t->next = c->first;
    t->where = &c->first;
    if (t->next)
        t->next->where = &t->next;
    c->first = t;
    pg_conn_own(wire, &events_of_wire, t);
    pg_conn_own(t->stream.plain, events, owner);
    return t->stream.plain;
}
