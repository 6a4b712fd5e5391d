/* folder: proxy */
/* What the filters of a route come to for one request, as a pure function: explain calls the very same one as the path. */
#ifndef PODGLASS_ROUTE_FILTER_DECIDE_H
#define PODGLASS_ROUTE_FILTER_DECIDE_H

#include "podglass/http.h"
#include "podglass/ingress_decide.h"
#include "podglass/reason.h"
#include "podglass/routing.h"

#define PG_ROUTE_PLAN_TEXT (2 * PG_HTTP_MAX_LINE)

/* Filters of headers among a route's, for who writes heads. */
struct pg_header_filters {
    const struct pg_route_filter *at;
    uint32_t count;
    struct pg_slice cookie; /* Set-Cookie of an answer; at NULL: none */
    const struct pg_route_filter *cookie_by;
};
uint32_t pg_header_filters_room(
    const struct pg_header_filters *f); /* bytes they may add to an answer's head */

struct pg_route_ask {
    const struct pg_snapshot *snapshot;
    const struct pg_router *router;
    const struct pg_route *route;
    const struct pg_http_head *head;
    const char *bytes; /* of the head */
    const struct pg_client_addr *who;
    const char *scheme; /* of the connection */
    uint16_t port;      /* it came in by, of the service in front; 0: unknown */
};

struct pg_route_plan {
    /* The request ends here if one of the two is set; then reason says why. */
    enum pg_http_error error;
    uint16_t status; /* of a redirect to `location` */
    pg_reason_id reason;
    struct pg_slice location; /* into text */
    /* Else it goes on, with this: */
    struct pg_slice
        target; /* path and query instead of what came, into text; at NULL: as it came */
    const struct pg_route_filter *target_by;
    const struct pg_route_filter *host; /* its value replaces Host; NULL: as it came */
    const struct pg_route_filter
        *filters; /* all of the route's: those of headers are written as they stand */
    uint32_t filter_count;
    uint64_t body_limit;                   /* UINT64_MAX: the route says nothing; 0: none */
    uint32_t connect_ms, send_ms, read_ms; /* 0: the route says nothing */
    uint32_t whole_ms;                     /* from the request's head to the end of the answer */
    uint32_t text_len;
    char text[PG_ROUTE_PLAN_TEXT];
};

void pg_route_filters_decide(const struct pg_route_ask *ask, struct pg_route_plan *ret);
/* Why something was done, for a record: who wrote the filter, and where. */
pg_reason_id pg_route_filter_reason(const struct pg_route_filter *f, enum pg_code code);

#endif
