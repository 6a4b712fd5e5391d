/* What carries an exchange once its request is on its way: the answer, bodies, tunnels, and how long all of it may take.
 *
 * The last part of proxy_internal.h, which includes it and has the structures. */
#ifndef PODGLASS_EXCHANGE_INTERNAL_H
#define PODGLASS_EXCHANGE_INTERNAL_H

#include "podglass/http.h"

struct pg_conn;
struct pg_proxy;
struct pg_session;

/* What only a request on its way needs: from the first byte of its head until the session is idle again. */
struct pg_exchange {
    struct pg_http_scan scan; /* of the head that is being read, either leg */
    struct pg_body request, response;
    uint64_t request_id[2];
    struct pg_addr service_addr; /* where the request goes */
    struct pg_addr client;       /* as told to the pod; none: it did not come so far */
    uint64_t began_us;           /* its head was complete; 0: it never was */
    uint64_t answered_us;        /* the pod's head was here; 0: not yet */
    uint64_t body_limit;         /* 0: none */
    uint64_t until_ms;           /* the end of all patience; 0: none */
    uint32_t connect_ms, send_ms, read_ms;
    uint32_t load; /* 1 + its pod's load; 0: not counted */
    uint32_t note; /* 1 + its note for the log; 0: none */
    uint16_t service_port;
    uint64_t window_ms;     /* in which the client's speed is looked at: since then, */
    uint64_t window_passed; /* and so many bytes had passed both ways */
    uint8_t interims;       /* informational answers so far */
    uint8_t candidates;     /* pods there were to choose among */
    uint8_t refused;        /* enum pg_http_error of the answer; NONE: it is not ours */
    uint64_t
        cookie; /* the answer gives the client a cookie that names its pod so; 0: it does not */
    bool h2c;   /* the pod is spoken to in HTTP/2 */
    bool keeps_trailers; /* of both bodies, where the other side can take them */
    bool wants_trailers; /* the client said so */
    bool balanced;       /* service_addr is a pod's, chosen by balance.c */
    uint8_t verdict;     /* enum pg_verdict about the client; PG_VERDICT_COUNT: not decided */
    bool ended;          /* counted and told */
};

/* ---- response.c ---- */
/* Moves what can be moved of request body, response head and response body. Returns whether the state changed. */
bool pg_exchange_step(struct pg_session *s);
/* Takes the request up again, from the client's connection where its head has stayed, for a fresh upstream. */
void pg_exchange_again(struct pg_session *s);
#define PG_UPSTREAM_UNUSED (-EAGAIN) /* the pod has said that it did nothing with the request */
/* The upstream ended or failed before its response was complete. */
void pg_exchange_upstream_gone(struct pg_session *s, int error);

/* ---- redirect.c ---- */
void pg_session_redirect(struct pg_session *s, const struct pg_route_plan *plan);

/* ---- tunnel.c ---- */
/* The pod's 101 has gone to the client: bytes from now on are the tunnel's. */
void pg_tunnel_begin(struct pg_session *s);
/* Moves what can be moved. Returns whether the state changed. */
bool pg_tunnel_step(struct pg_session *s);
/* The pod's side is gone, or nothing moved for too long. */
void pg_tunnel_end(struct pg_session *s, int error);

/* ---- relay.c ---- */
void pg_body_begin(struct pg_body *b, enum pg_http_body kind, uint64_t content_length,
                   bool chunked_out);
/* Moves by reference what there is and what there is room for. 0; -EBADMSG with *ret_error; -EPIPE: ended too early. */
int pg_body_relay(struct pg_body *b, struct pg_conn *from, struct pg_conn *to,
                  enum pg_http_error *ret_error);

/* ---- trailers.c ---- */
/* Behind pg_body_begin: whether the body's trailers are held, to be told and perhaps passed on. */
void pg_trailers_begin(struct pg_session *s, struct pg_body *b);
/* In the trailers of a body that holds them: reads on, and ends the body. As pg_body_relay. */
int pg_trailers_relay(struct pg_body *b, struct pg_conn *from, struct pg_conn *to,
                      enum pg_http_error *ret_error);

/* ---- limits.c ---- */
#define PG_RATE_WINDOW_MS 20000
void pg_limits_load(struct pg_proxy *p); /* from the load in force */
/* In REQUEST or RESPONSE: a window is over and the client was what held it up. Begins the next window. */
bool pg_limits_too_slow(struct pg_session *s);

#endif
