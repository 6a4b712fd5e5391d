/* HTTP/2 towards pods, for the other files of proxy/: no word of nghttp2. */
#ifndef PODGLASS_PROXY_H2_UP_H
#define PODGLASS_PROXY_H2_UP_H

#include <stdbool.h>
#include <stdint.h>

struct pg_tls_up_ask;
struct pg_conn;
struct pg_owned_timer;
struct pg_proxy;
struct pg_target;

struct pg_h2_ups *pg_h2_ups_new(struct pg_proxy *p); /* NULL: out of memory */
void pg_h2_ups_free(struct pg_proxy *p);             /* and lets go of every connection */
void pg_h2_ups_close_idle(struct pg_proxy *p);
/* One stream to ask->target, in TLS if it has a peer, as a connection of the caller's, who writes a request of HTTP/1.1 to it, reads the answer and lets go. *ret_open: that can be done at
 * once; else on_open or on_closed comes. on_closed has PG_UPSTREAM_UNUSED if the pod did nothing with it. NULL: no connection or stream left. */
struct pg_conn *pg_h2_up_stream(struct pg_proxy *p, const struct pg_tls_up_ask *ask,
                                bool *ret_open);
bool pg_h2_up_has_room(const struct pg_target *t); /* a stream needs no new connection */
/* A preface of the PROXY protocol goes in front of everything, once. */
bool pg_h2_up_owes_preface(const struct pg_conn *stream);
void pg_h2_up_preface(const struct pg_conn *stream, const void *bytes, uint32_t len);
void pg_h2_up_timeout(struct pg_owned_timer *timer);

#endif
