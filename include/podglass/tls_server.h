/* folder: proxy */
/* The server's side of TLS, for built-in pods: each shows a certificate that this process made up, whatever name it is asked for. */
#ifndef PODGLASS_TLS_SERVER_H
#define PODGLASS_TLS_SERVER_H

#include "podglass/conn.h"

#include <stdbool.h>

struct pg_proxy;
struct pg_tls_servers;
/* The certificate is signed by the authority of p, which outlives it. begin is given each plain side, as a listener is given a connection, once its handshake is done.
 * NULL: out of memory. */
struct pg_tls_servers *pg_tls_servers_new(struct pg_proxy *p,
                                          void (*begin)(void *arg, struct pg_conn *plain),
                                          void *arg);
void pg_tls_servers_free(struct pg_tls_servers *s); /* NULL is fine; before the stack */
/* Takes over a connection whose first bytes, still unread, are a ClientHello; aborts it if there is no memory. */
void pg_tls_server_begin(struct pg_tls_servers *s, struct pg_conn *wire);

#endif
