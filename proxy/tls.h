/* TLS on the client leg, for the other files of proxy/: no word of OpenSSL. */
#ifndef PODGLASS_PROXY_TLS_H
#define PODGLASS_PROXY_TLS_H

#include "podglass/snapshot.h"
#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_conn;
struct pg_proxy;
struct pg_certs;
struct pg_owned_timer;

/* ---- tls.c ---- */
struct pg_tls_shared *pg_tls_new(struct pg_proxy *p);
void pg_tls_free(struct pg_proxy *p); /* and lets go of every connection */
/* Takes over a connection to a port where TLS ends: a session begins when its handshake is done. */
void pg_tls_begin(struct pg_proxy *p, struct pg_conn *wire);
void pg_tls_timeout(struct pg_owned_timer *timer);
void pg_tls_turn(struct pg_proxy *p);             /* those that waited for their turn to compute */
bool pg_tls_is_waiting(const struct pg_proxy *p); /* there is work without an event */
void pg_tls_drain(struct pg_proxy *p);            /* no handshake goes on */
/* The server name a client connection was opened for ("": none); NULL: it is not over TLS. */
const char *pg_tls_name(const struct pg_conn *client);

struct pg_tls_view;
/* version NULL: it is not over TLS. */
void pg_tls_look(const struct pg_conn *client, struct pg_tls_view *ret);

/* ---- tls_cert.c ---- */
struct pg_certs *pg_certs_new(const struct pg_snapshot *s); /* borrows s; NULL: out of memory */
void pg_certs_free(struct pg_certs *c);                     /* NULL is fine */

#endif
