/* The two sides of a TLS connection after its handshake: records on the wire, plain bytes on an inner connection.
 *
 * Called by tls.c, tls_up.c and the lab's tls_client.c and tls_server.c when the wire or the owner of the plain side did something. What the owner wrote is encrypted once a turn; what comes
 * is decrypted only as far as it is read, so a slow reader closes the peer's window as without TLS. */
#include "tls_internal.h"

#include <openssl/err.h>

#include <errno.h>

#define PLAIN_MOST  (4 * PG_TLS_RECORD) /* decrypted and not read */
#define OUTPUT_MOST (16 * PG_TLS_RECORD)
#define OVERHEAD    512 /* of a record, and what OpenSSL may want to say beside it */
#define SMALL_PIECE 4096

int pg_tls_stream_open(struct pg_tls_stream *t, const struct pg_inner_layer *layer, void *arg)
{
    t->inner = (struct pg_inner){.layer = layer, .arg = arg, .room = OUTPUT_MOST};
    t->plain = pg_inner_new(t->wire, &t->inner);
    return t->plain ? 0 : -ENOBUFS;
}

void pg_tls_stream_end(struct pg_tls_stream *t, bool reset, int error)
{
    if (t->plain)
        pg_inner_end_all(t->plain, pg_inner_released(t->plain) ? 0 : error);
    if (reset)
        pg_conn_abort(t->wire);
    else
        pg_conn_close(t->wire);
    SSL_free(t->ssl);
    ERR_clear_error(); /* the queue is the thread's: nothing of this connection may be taken for another's */
}

/* From the wire to the owner. */
static int pull(struct pg_tls_stream *t, char *scratch)
{
    while (!t->heard_end && !pg_inner_released(t->plain) && pg_conn_unread(t->plain) < PLAIN_MOST) {
        size_t len = 0;
        ERR_clear_error();
        int good = SSL_read_ex(t->ssl, scratch, PG_TLS_RECORD, &len);
        if (good == 1) {
            if (pg_inner_give(t->plain, scratch, (uint32_t)len) != 0)
                return -ENOMEM;
            continue;
        }
        int error = SSL_get_error(t->ssl, good);
        if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
            return 0;
        if (error != SSL_ERROR_ZERO_RETURN)
            return -EPROTO;
        t->heard_end = true;
        pg_inner_give_end(t->plain);
    }
    return 0;
}

/* Small pieces are put together: a record costs the peer 29 bytes and us a call. */
static struct pg_slice next_piece(struct pg_tls_stream *t, char *scratch, uint32_t most)
{
    struct pg_slice piece = {NULL, 0};
    (void)pg_inner_front(t->plain, &piece);
    if (piece.len < SMALL_PIECE && piece.len < pg_inner_waiting(t->plain)) {
        piece.at = scratch;
        piece.len = pg_inner_peek(t->plain, scratch, most);
    }
    if (piece.len > most)
        piece.len = most;
    return piece;
}

/* From the owner to the wire, as far as there is room. */
static int push(struct pg_tls_stream *t, char *scratch)
{
    while (pg_inner_waiting(t->plain) > 0) {
        uint32_t room = pg_conn_room(t->wire);
        size_t len = 0;
        if (room <= OVERHEAD)
            return 0;
        room -= OVERHEAD;
        struct pg_slice piece = next_piece(t, scratch, room < PG_TLS_RECORD ? room : PG_TLS_RECORD);
        ERR_clear_error();
        int good = SSL_write_ex(t->ssl, piece.at, piece.len, &len);
        if (good == 1) {
            pg_inner_take(t->plain, (uint32_t)len);
            continue;
        }
        int error = SSL_get_error(t->ssl, good);
        return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? 0 : -EPROTO;
    }
    return 0;
}

static void say_end(struct pg_tls_stream *t)
{
    if (t->said_end || pg_inner_waiting(t->plain) > 0 || !pg_inner_shut(t->plain))
        return;
    t->said_end = true;
    (void)SSL_shutdown(t->ssl); /* close_notify */
    if (!pg_inner_released(t->plain))
        pg_conn_shutdown(t->wire);
}

int pg_tls_stream_move(struct pg_tls_stream *t, char *scratch)
{
    int err = push(t, scratch);
    if (err == 0)
        err = pull(t, scratch);
    if (err == 0)
        say_end(t);
    return err;
}
