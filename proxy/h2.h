/* HTTP/2 on the client leg, for the other files of proxy/: no word of nghttp2. */
#ifndef PODGLASS_PROXY_H2_H
#define PODGLASS_PROXY_H2_H

#include <stdbool.h>

struct pg_conn;
struct pg_owned_timer;
struct pg_proxy;

struct pg_h2_shared *pg_h2_new(struct pg_proxy *p); /* NULL: out of memory */
void pg_h2_free(struct pg_proxy *p);                /* and lets go of every connection */
/* Takes over a connection on which the client speaks HTTP/2: each of its streams becomes a session. */
void pg_h2_begin(struct pg_proxy *p, struct pg_conn *wire);
bool pg_h2_speaks(const struct pg_conn *c); /* it is a stream of HTTP/2 */
/* Why c will be aborted, for the code of its reset: -ECANCELED and -EBUSY, that the pod said so, -ENOBUFS, that nothing was done; all others are INTERNAL_ERROR. Does
 * nothing where c is no stream. */
void pg_h2_abort_because(struct pg_conn *c, int error);
void pg_h2_timeout(struct pg_owned_timer *timer);
void pg_h2_drain(struct pg_proxy *p); /* no new streams; those that are open go on */

#endif
