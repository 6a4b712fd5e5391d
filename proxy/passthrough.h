/* TLS that goes on to a pod unread, for the files of proxy/ that begin it, end it and show it. */
#ifndef PODGLASS_PROXY_PASSTHROUGH_H
#define PODGLASS_PROXY_PASSTHROUGH_H

#include "proxy_internal.h"

/* A client's TLS connection that goes on to a pod unread. */
struct pg_passthrough {
    struct pg_owned_timer timer;
    struct pg_proxy *proxy;
    struct pg_conn *client; /* NULL once it is gone, as pod */
    struct pg_conn *pod;
    struct pg_routes *routes;
    const struct pg_route *route;  /* in routes; NULL: none */
    struct pg_preface_of *preface; /* what the connection began with; NULL: nothing */
    uint64_t deadline_ms;
    uint64_t opened_us;
    struct pg_addr to; /* the pod, or its service */
    uint16_t to_port;
    uint8_t tries;
    bool open; /* the pod answered */
    bool client_ended, pod_ended;
};

struct pg_pool *pg_passthrough_pool_new(uint32_t limit);
void pg_passthrough_end_all(struct pg_proxy *p); /* and frees the pool */
/* Takes over a connection whose ClientHello, for this name, lies unread in it. */
void pg_passthrough_begin(struct pg_proxy *p, struct pg_conn *client, const char *name,
                          pg_reason_id reason);
void pg_passthrough_timeout(struct pg_owned_timer *timer);

#endif
