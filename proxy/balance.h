/* Choosing pods, for the files of this folder: balance.c. */
#ifndef PODGLASS_PROXY_BALANCE_H
#define PODGLASS_PROXY_BALANCE_H

#include "proxy_internal.h"

struct pg_balance *pg_balance_new(const struct pg_proxy *p); /* NULL: out of memory */
void pg_balance_free(struct pg_balance *b);
/* Chooses a pod for the request, whose head is at bytes: exchange->service_addr and its port. */
enum pg_http_error pg_balance_choose(struct pg_session *s, const char *bytes,
                                     const struct pg_addr *local);
/* A pod for a connection that is no request's, one after the other; NULL: there is none of this family. */
const struct pg_endpoint *pg_balance_pick(struct pg_proxy *p, struct pg_routes *r,
                                          const struct pg_route *route, bool v6);
/* It could not be connected to. */
void pg_balance_failed(struct pg_proxy *p, const struct pg_addr *addr, uint16_t port);
/* The pod chosen last could not be connected to. true: another one may be tried. */
bool pg_balance_again(struct pg_session *s);
void pg_balance_done(struct pg_session *s); /* the exchange goes, or chooses anew */

#endif
