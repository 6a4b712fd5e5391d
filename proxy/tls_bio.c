/* OpenSSL's side of a connection: what it reads and writes are the unread bytes and the room of a connection of stack/.
 *
 * Called by OpenSSL only. Without memory buffers in between, what is encrypted is copied once, into the connection's queue. And what all contexts of ours
 * have in common: versions, ciphers, sizes. */
#include "tls_internal.h"

#include <errno.h>
#include <string.h>

/* With forward secrecy and authenticated encryption only; AES first, since processors have it. */
static const char ciphers[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static const char ciphers13[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

static int on_read(BIO *bio, char *out, size_t room, size_t *ret_len)
{
    struct pg_conn *conn = BIO_get_data(bio);
    struct pg_slice front;
    BIO_clear_retry_flags(bio);
    *ret_len = 0;
    if (!pg_conn_front(conn, &front)) {
        if (!pg_conn_end_seen(conn))
            BIO_set_retry_read(bio);
        return 0;
    }
    *ret_len = front.len < room ? front.len : room;
    memcpy(out, front.at, *ret_len);
    pg_conn_consume(conn, *ret_len);
    return 1;
}

static int on_write(BIO *bio, const char *bytes, size_t len, size_t *ret_len)
{
    struct pg_conn *conn = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *ret_len = 0;
    int err = len <= UINT32_MAX ? pg_conn_write(conn, bytes, (uint32_t)len) : -EINVAL;
    if (err == -ENOBUFS)
        BIO_set_retry_write(bio);
    if (err != 0)
        return 0;
    *ret_len = len;
    return 1;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
    struct pg_conn *conn = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    switch (command) {
    case BIO_CTRL_FLUSH: return 1;
    case BIO_CTRL_EOF: return pg_conn_at_end(conn);
    default: return 0;
    }
}

BIO_METHOD *pg_tls_bio_method(void)
{
    static BIO_METHOD
        *method; /* one for the process; OpenSSL keeps such things until the end, too */
    if (method)
        return method;
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "podglass connection");
    if (!m)
        return NULL;
    BIO_meth_set_read_ex(m, on_read);
    BIO_meth_set_write_ex(m, on_write);
    BIO_meth_set_ctrl(m, on_control);
    method = m;
    return m;
}

BIO *pg_tls_bio_new(struct pg_conn *conn)
{
    BIO_METHOD *method = pg_tls_bio_method();
    BIO *bio = method ? BIO_new(method) : NULL;
    if (!bio)
        return NULL;
    BIO_set_data(bio, conn);
    BIO_set_init(bio, 1);
    return bio;
}

bool pg_tls_choose_protocol(const unsigned char **out, unsigned char *out_len,
                            const unsigned char *in, unsigned in_len)
{
    static const unsigned char ours[] = {2, 'h', '2', 8, 'h', 't', 't', 'p', '/', '1', '.', '1'};
    unsigned char *chosen = NULL;
    if (SSL_select_next_proto(&chosen, out_len, ours, sizeof(ours), in, in_len) !=
        OPENSSL_NPN_NEGOTIATED)
        return false;
    *out = chosen;
    return true;
}

/* The machine's openssl.cnf is not read: what is offered is the same everywhere. */
SSL_CTX *pg_tls_context_new(bool server)
{
    (void)OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    SSL_CTX *c = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());
    if (!c)
        return NULL;
    (void)SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_PRIORITIZE_CHACHA |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    (void)SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                  SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_security_level(c, 2); /* 112 bits: no RSA below 2048 */
    (void)SSL_CTX_set_session_cache_mode(c,
                                         SSL_SESS_CACHE_OFF); /* tickets need no memory of ours */
    if (SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(c, ciphers) == 1 && SSL_CTX_set_ciphersuites(c, ciphers13) == 1)
        return c;
    SSL_CTX_free(c);
    return NULL;
}
