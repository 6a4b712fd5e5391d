/* TLS to pods, for the other files of proxy/: no word of OpenSSL. */
#ifndef PODGLASS_PROXY_TLS_UP_H
#define PODGLASS_PROXY_TLS_UP_H

#include "preface.h"

#include "podglass/snapshot.h"

struct pg_certs;
struct pg_conn;
struct pg_conn_events;
struct pg_owned_timer;
struct pg_proxy;
struct pg_target;
struct pg_tls_view;

/* ---- tls_peers.c: how each setting of a load speaks ---- */
/* Two settings with the same identity ask for and believe the same; 0: no TLS. */
struct pg_tls_identity {
    uint64_t part[2];
};
struct pg_tls_peers;
struct pg_tls_peer;
/* Borrows both; NULL: out of memory. */
struct pg_tls_peers *pg_tls_peers_new(struct pg_proxy *p, const struct pg_snapshot *s,
                                      const struct pg_certs *certs);
void pg_tls_peers_free(struct pg_tls_peers *t); /* NULL is fine */
/* tls as a route has it: 1 + index. NULL: 0, or the setting is not to be used. */
const struct pg_tls_peer *pg_tls_peer_of(const struct pg_tls_peers *t, uint32_t tls);
struct pg_tls_identity pg_tls_peer_identity(const struct pg_tls_peer *peer); /* NULL: none */

/* ---- tls_up.c ---- */
/* What a connection to a pod begins with, once. */
struct pg_tls_up_ask {
    struct pg_target *target;
    const struct pg_tls_peer *peer;
    uint32_t label;
    bool h2;                /* the pod must agree to speak HTTP/2 */
    const uint8_t *preface; /* of the PROXY protocol, in front of TLS */
    uint32_t preface_len;
};
struct pg_tls_ups *pg_tls_ups_new(struct pg_proxy *p); /* NULL: out of memory */
void pg_tls_ups_free(struct pg_proxy *p);              /* and lets go of every connection */
/* A connection to the target through TLS, as pg_conn_connect: on_open when its handshake is done; on_closed with -EPROTO if that came to nothing, and then the target's
 * tls_failure says why. NULL: no connection left. */
struct pg_conn *pg_tls_up_connect(struct pg_proxy *p, const struct pg_tls_up_ask *ask,
                                  const struct pg_conn_events *events, void *owner);
void pg_tls_up_timeout(struct pg_owned_timer *timer);
/* version NULL: it is not over TLS. */
void pg_tls_up_look(const struct pg_conn *c, struct pg_tls_view *ret);

#endif
