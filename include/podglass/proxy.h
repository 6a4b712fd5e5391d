/* folder: proxy */
/* The ingress: a client's byte stream becomes requests, each is routed, rewritten and sent on to a service address.
 *
 * The proxy does not know that NAT exists. It connects to a service IP from the ingress pod's address, and real packets leave. */
#ifndef PODGLASS_PROXY_H
#define PODGLASS_PROXY_H

#include "podglass/addr.h"
#include "podglass/conn.h"
#include "podglass/counter.h"
#include "podglass/dns.h"
#include "podglass/http.h"
#include "podglass/netif.h"
#include "podglass/request_stats.h"
#include "podglass/snapshot.h"
#include "podglass/trace.h"

#include <stdint.h>

struct pg_proxy;

/* 0 keeps the default, which for limits and timeouts is what the Lab of the load in force says. */
struct pg_proxy_options {
    uint32_t session_limit;       /* 100000 */
    uint32_t head_timeout_ms;     /* 10000 */
    uint32_t idle_timeout_ms;     /* 75000, keep-alive */
    uint32_t connect_timeout_ms;  /* 5000 */
    uint32_t response_timeout_ms; /* 60000, between two reads */
    uint32_t tunnel_timeout_ms;   /* 3600000, between two bytes of a WebSocket */
    uint32_t upstream_idle_ms;    /* 60000, pooled */
    uint32_t pool_limit;          /* 1024 idle upstream connections */
    uint32_t keepalive_requests;  /* 1000 per client connection */
    uint32_t tls_timeout_ms;      /* 10000, for a whole handshake */
    uint64_t body_limit;          /* none */
    /* Called at the end of each request, borrowed; NULL: nobody keeps a log. */
    void (*on_done)(void *arg, const struct pg_request_done *done);
    void *done_arg;
    /* A connection before anybody changed its addresses (received as it arrives here): false: as it seems to be. NULL: always. */
    bool (*begun_as)(void *arg, const struct pg_tuple *received, struct pg_tuple *ret);
    void *begun_arg;
};

struct pg_proxy *pg_proxy_new(const struct pg_proxy_options *options, struct pg_stack *stack,
                              struct pg_counters *counters, struct pg_trace *trace,
                              struct pg_random *random, uint64_t now_us);
void pg_proxy_free(struct pg_proxy *p);
/* Routes and zone for requests whose head completes from now on; open connections go on. Takes a reference on s; the zone is borrowed until the next load. */
void pg_proxy_load(struct pg_proxy *p, struct pg_snapshot *s, const struct pg_zone *zone);
const struct pg_listener *pg_proxy_listener(struct pg_proxy *p);
void pg_proxy_set_time(struct pg_proxy *p, uint64_t now_us); /* at the beginning of a turn */
void pg_proxy_advance(struct pg_proxy *p, uint64_t now_us);
uint64_t pg_proxy_next_due_us(const struct pg_proxy *p);
/* Stop accepting work: idle connections close now, others after their current response. */
void pg_proxy_drain(struct pg_proxy *p);

/* The certificate of the authority that signs what is made up, in PEM, for clients that are to trust it. 0 or -errno. */
int pg_proxy_write_ca(struct pg_proxy *p, const char *path);
/* What a client's TLS came to. version NULL: it speaks none, or the pod speaks it. */
struct pg_tls_view {
    const char *version;  /* "TLSv1.3" */
    const char *cipher;   /* "TLS_AES_256_GCM_SHA384" */
    const char *protocol; /* of ALPN; "" if the client named none */
    const char *name;     /* server name, or "" */
    pg_reason_id reason;  /* of the certificate; to a pod: who asks for TLS */
    bool resumed;
    bool verified; /* to a pod only: its certificate was */
};
/* Both legs of one client connection, for `get connections`. */
struct pg_session_view {
    uint32_t label;
    struct pg_conn_view client;
    struct pg_tls_view tls; /* of the client leg */
    bool has_upstream; /* of the request in hand, or of the last one while it still lies idle */
    struct pg_tls_view upstream_tls;
    struct pg_conn_view upstream; /* as the proxy knows it: to the service address, before NAT */
    const char *service;          /* "shop/web"; "" before a route was found */
    const char *state;            /* "head", "connect", "relay", "idle", ... */
    uint64_t requests;
    uint16_t last_status;
    uint64_t age_us;
};
bool pg_proxy_walk(const struct pg_proxy *p, uint64_t *cursor, uint32_t budget, uint64_t now_us,
                   void (*fn)(void *arg, const struct pg_session_view *view), void *arg);
const struct pg_request_stats *pg_proxy_stats(const struct pg_proxy *p);
uint32_t pg_proxy_session_count(const struct pg_proxy *p);
uint32_t pg_proxy_idle_upstreams(const struct pg_proxy *p);

#endif
