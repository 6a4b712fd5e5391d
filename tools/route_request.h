/* A request that a line of routing is there for: route_request.c. */
#ifndef PODGLASS_TOOLS_ROUTE_REQUEST_H
#define PODGLASS_TOOLS_ROUTE_REQUEST_H

#include "podglass/snapshot.h"
#include "podglass/text.h"

struct pg_route_request {
    struct pg_text head; /* as sent */
    struct pg_text
        name; /* "PUT shop.example.test:8080/cart", a GET, the usual port and the path of what is passed on unread are not said */
    struct pg_text host;
    uint16_t port;
    bool tls;
};
void pg_route_request_make(const struct pg_snapshot *s, const struct pg_route *route,
                           struct pg_route_request *ret);
void pg_route_request_free(struct pg_route_request *r);

#endif
