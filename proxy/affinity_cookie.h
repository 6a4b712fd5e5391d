/* Cookies that keep a client with a pod, for the files of this folder: affinity_cookie.c. */
#ifndef PODGLASS_PROXY_AFFINITY_COOKIE_H
#define PODGLASS_PROXY_AFFINITY_COOKIE_H

#include "podglass/hash.h"
#include "podglass/route_filter_decide.h"

#define PG_COOKIE_TEXT \
    1024 /* of Set-Cookie; annotations that come to more are left out when they are read */

/* The pod's name in cookies; never 0. */
uint64_t pg_cookie_of(const struct pg_hash_key *key, const struct pg_endpoint *e);
/* What the request's cookie names; 0: it has none, or one that was never ours. */
uint64_t pg_cookie_received(const struct pg_route_filter *by, const struct pg_http_head *head,
                            const char *bytes);
/* The value of Set-Cookie. */
struct pg_slice pg_cookie_print(const struct pg_route_filter *by, const struct pg_route *route,
                                uint64_t cookie, bool https, char out[PG_COOKIE_TEXT]);

#endif
