/* folder: proxy */
/* TLS as pure functions: what a ClientHello says, which certificate answers it, whether a request belongs on its connection. */
#ifndef PODGLASS_TLS_DECIDE_H
#define PODGLASS_TLS_DECIDE_H

#include "podglass/reason.h"
#include "podglass/snapshot.h"
#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- sni.c: the first message of a TLS client (RFC 8446 4.1.2) ---- */
#define PG_HELLO_BYTES   16384 /* longer ones are refused; browsers send two thousand at most */
#define PG_HELLO_RECORDS 16    /* it may come in this many */
#define PG_HELLO_NAME    253

enum pg_hello_error {
    PG_HELLO_OK,
    PG_HELLO_NOT_TLS,    /* no handshake record */
    PG_HELLO_PLAIN_HTTP, /* somebody speaks HTTP to a port of TLS */
    PG_HELLO_BROKEN,     /* lengths that do not fit, or a name that is none */
    PG_HELLO_TOO_LARGE,
    PG_HELLO_TOO_OLD, /* nothing newer than TLS 1.1 */
    PG_HELLO_ERROR_COUNT,
};
const char *pg_hello_error_name(enum pg_hello_error e); /* "not-tls", ... */

struct pg_hello {
    char name[PG_HELLO_NAME + 1]; /* server name in lower case; "" if it names none */
    bool alpn;                    /* it says which protocols it speaks: */
    bool http11, h2;
    bool tls12, tls13;
    uint32_t len; /* bytes of the records it came in */
};

/* bytes[0..len) is all that came. 0: *ret is filled. -EAGAIN: not before *ret_need bytes are there it makes sense to ask again. -EBADMSG with *ret_error. */
int pg_hello_parse(const uint8_t *bytes, uint32_t len, struct pg_hello *ret, uint32_t *ret_need,
                   enum pg_hello_error *ret_error);

/* ---- tls_names.c: whose certificate ---- */
/* Who answers for a name at a port of the ingress pod. Of several certificates of a listener the first that is for the name, else the first. Of the hosts of Ingress objects: the very name, then *.rest with one label for the first. Of the listeners
 * of Gateways there: the one with the best hostname. Of both the better one, the listener if they are equal; none (NULL): the certificate for names
 * nobody knows. name: lower case, without port. */
const struct pg_tls_host *pg_tls_host_find(const struct pg_snapshot *s, uint16_t port,
                                           const char *name);
/* The certificate of a Secret is for that name. */
bool pg_tls_secret_covers(const struct pg_snapshot *s, uint32_t secret, const char *name);
/* Why this one: the Secret's line, or that it is made up. host NULL is fine. */
pg_reason_id pg_tls_host_reason(const struct pg_snapshot *s, const struct pg_tls_host *host);
/* Whether a request for `authority` (Host, may carry a port) may be answered on a connection that was opened for `server_name` ("": it named none): the same
 * certificate, of Gateways the same listener, must answer both, or somebody would get what he was not shown a certificate for (421). */
bool pg_tls_host_fits(const struct pg_snapshot *s, uint16_t port, const char *server_name,
                      struct pg_slice authority);

/* ---- tls_cert.c ---- */
/* For struct pg_load_options.check_pair. */
bool pg_tls_check_pair(struct pg_slice cert, struct pg_slice key, struct pg_text *ret_why);
/* For .names_of. */
void pg_tls_names_of(struct pg_slice cert, struct pg_text *ret);
/* For .covers_host. A subject counts where the certificate has no alternative names, as some clients still have it. */
bool pg_tls_covers_host(struct pg_slice cert, const char *host);

/* ---- tls_peers.c ---- */
/* For .check_upstream. */
bool pg_tls_check_upstream(const struct pg_upstream_tls *tls, struct pg_text *ret_why);

#endif
