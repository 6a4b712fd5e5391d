/* What the files about TLS share; the only ones, with tls*.c, that see OpenSSL.
 *
 * The wire is a connection of stack/, the plain side an inner one that a session owns like any client (podglass/conn_inner.h). So sessions know nothing of
 * TLS, and the plain path pays nothing for it. */
#ifndef PODGLASS_PROXY_TLS_INTERNAL_H
#define PODGLASS_PROXY_TLS_INTERNAL_H

#include "proxy_internal.h"

#include "podglass/conn_inner.h"
#include "podglass/tls_decide.h"

#include <openssl/ssl.h>

#define PG_TLS_RECORD 16384

/* A certificate that can be shown: itself, those that vouch for it, its key. */
struct pg_cert {
    X509 *cert;
    STACK_OF(X509) * chain; /* NULL: none */
    EVP_PKEY *key;
};

/* Signs what no Secret has: made when it is first needed, new in each process. */
struct pg_dev_ca {
    X509 *cert; /* NULL: not made yet */
    EVP_PKEY *key;
    EVP_PKEY *leaf_key; /* of all certificates it signs */
};

/* Certificates of one load, by the indexes of its snapshot. */
struct pg_certs {
    const struct pg_snapshot *snapshot; /* of the load that owns this */
    struct pg_cert *secrets;            /* cert NULL: not usable */
    struct pg_cert *made; /* per host, when first asked for; the last for unknown names */
};

enum pg_tls_state {
    PG_TLS_HELLO,     /* the client's first message is not complete; nothing of it was taken */
    PG_TLS_HANDSHAKE, /* OpenSSL has it; there is no plain side yet */
    PG_TLS_OPEN,      /* bytes go both ways */
};

/* A connection and its plain side. plain is NULL before the handshake's end; wire never is. */
struct pg_tls_stream {
    struct pg_conn *wire;
    struct pg_conn *plain;
    struct pg_inner inner;
    SSL *ssl;
    bool said_end;  /* close_notify was sent, and our FIN */
    bool heard_end; /* the peer's end was given on */
};

/* One connection of a client. */
struct pg_tls {
    struct pg_owned_timer timer;
    struct pg_proxy *proxy;
    struct pg_tls_stream stream;
    char *name;                   /* server name, or "" */
    struct pg_tls *next, **where; /* while it waits for its turn to compute */
    pg_reason_id reason;          /* of the certificate */
    uint32_t need;                /* bytes of the hello before it is looked at again */
    uint8_t state;                /* enum pg_tls_state */
};

/* Of the whole proxy. */
struct pg_tls_shared {
    SSL_CTX *context;
    struct pg_pool *conns;
    struct pg_dev_ca ca;
    struct pg_tls *waiting; /* first come, first served */
    struct pg_tls **waiting_end;
    uint32_t budget; /* steps of handshakes left in this turn */
    char scratch[PG_TLS_RECORD];
};

/* One setting of a load about TLS to pods. */
struct pg_tls_peer {
    SSL_CTX *context; /* NULL: it can not be used */
    struct pg_tls_identity identity;
    const struct pg_upstream_tls *setting;
};

/* ---- tls_up.c ---- */
void pg_tls_up_keep_tickets(SSL_CTX *c); /* those that pods give are kept for the next handshake */

/* ---- tls_bio.c ---- */
BIO_METHOD *pg_tls_bio_method(void); /* NULL: out of memory */
BIO *pg_tls_bio_new(struct pg_conn *conn);
SSL_CTX *pg_tls_context_new(bool server); /* what all of ours have in common; NULL: out of memory */
/* Of the protocols a client offers (ALPN): h2, else http/1.1. false: neither. *out is in our list or the client's. */
bool pg_tls_choose_protocol(const unsigned char **out, unsigned char *out_len,
                            const unsigned char *in, unsigned in_len);

/* ---- tls_stream.c ---- */
/* The handshake is done: the plain side begins, with nobody's events. */
int pg_tls_stream_open(struct pg_tls_stream *t, const struct pg_inner_layer *layer, void *arg);
/* Moves what there is and what there is room for, scratch has PG_TLS_RECORD bytes. 0, or the error after which it must be ended. */
int pg_tls_stream_move(struct pg_tls_stream *t, char *scratch);
/* By reset if the peer must not take it for a whole; error is what the owner of the plain side hears if it is still there. */
void pg_tls_stream_end(struct pg_tls_stream *t, bool reset, int error);

/* ---- tls_cert.c ---- */
/* Shows the certificate for a name, which host was found for. 0 or -ENOMEM. */
int pg_certs_use(struct pg_certs *c, struct pg_dev_ca *ca, const struct pg_tls_host *host,
                 const char *server_name, SSL *ssl);
bool pg_dev_ca_make(struct pg_dev_ca *ca); /* once */
void pg_dev_ca_free(struct pg_dev_ca *ca);
/* A certificate for that host, signed by the authority; *ret is pg_cert_free's. */
bool pg_dev_cert_make(struct pg_dev_ca *ca, const char *host, struct pg_cert *ret);
void pg_cert_free(struct pg_cert *c); /* zeroed is fine */

#endif
