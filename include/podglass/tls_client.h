/* folder: proxy */
/* The client's side of TLS, for requests of the lab. The server's certificate is not verified: who asks wants to see what is shown, not to be kept from it. */
#ifndef PODGLASS_TLS_CLIENT_H
#define PODGLASS_TLS_CLIENT_H

#include "podglass/conn.h"

struct pg_tls_clients;
struct pg_tls_clients *pg_tls_clients_new(void);    /* NULL: out of memory */
void pg_tls_clients_free(struct pg_tls_clients *c); /* NULL is fine; before the stack */
/* Takes over wire, a connection that is being opened, and gives an inner one in its place: on_open comes when the handshake is done, on_closed with
 * -EPROTO when it fails. server_name "": none is sent. NULL: out of memory, and wire is still the caller's. */
struct pg_conn *pg_tls_client_begin(struct pg_tls_clients *c, struct pg_conn *wire,
                                    const char *server_name, const struct pg_conn_events *events,
                                    void *owner);

#endif
