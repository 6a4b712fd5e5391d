/* What the files of proxy/ share: one proxy, its sessions, its upstream connections.
 *
 * A session owns its client connection and, while a request is on its way, one upstream. An upstream belongs to a session
 * or lies idle under its target. Everything comes from pools; whoever ends a session or upstream does so through the
 * functions here, and nobody touches it afterwards. */
#ifndef PODGLASS_PROXY_INTERNAL_H
#define PODGLASS_PROXY_INTERNAL_H

#include "preface.h"
#include "request_log.h"

#include "podglass/buf.h"
#include "podglass/route_filter_decide.h"
#include "podglass/ingress_decide.h"
#include "podglass/pool.h"
#include "podglass/proxy.h"
#include "podglass/table.h"
#include "podglass/wheel.h"

#include "h2.h"
#include "loads.h"
#include "tls.h"
#include "tls_up.h"

struct pg_session;
struct pg_balance; /* balance.h */

enum pg_timer_owner {
    PG_TIMER_OF_SESSION,
    PG_TIMER_OF_UPSTREAM,
    PG_TIMER_OF_PREFACE,
    PG_TIMER_OF_TLS,
    PG_TIMER_OF_TLS_UP,
    PG_TIMER_OF_H2,
    PG_TIMER_OF_H2_UP,
    PG_TIMER_OF_PASSTHROUGH
};

/* A timer that says whose it is. */
struct pg_owned_timer {
    struct pg_timer timer;
    enum pg_timer_owner owner;
};

/* A body on its way from one connection to another. Zeroed: there is none, and it is done once begun. */
struct pg_body {
    struct pg_http_chunks chunks; /* read side, if chunked */
    uint64_t left;                /* read side, if of known length */
    uint64_t passed;              /* data bytes moved */
    uint64_t chunk_left; /* written side: data still owed to the chunk that was announced */
    uint8_t kind;        /* enum pg_http_body, as it comes in */
    bool chunked_out;    /* we write chunks */
    bool owes_line_end;  /* CRLF behind a chunk's data is not yet written */
    bool done;
    uint32_t trailer_len; /* bytes of the trailer section that were looked at, still unread */
    struct pg_session *trailers_of; /* who judges them; NULL: they are dropped unseen */
};

/* Idle upstream connections with the same ends: a last-in-first-out list, so the warmest is used and the rest can expire. Those that began
 * with a PROXY preface are of one client's connection, whose ends it names. */
struct pg_target {
    struct pg_addr local;
    struct pg_addr addr;
    struct pg_tuple client; /* proto 0: no preface was sent */
    uint16_t port;
    bool h2c;
    struct pg_tls_identity tls; /* what is asked of the pod; 0: no TLS */
    pg_reason_id tls_failure;   /* of the last handshake that came to nothing */
    uint32_t hash;
    uint32_t refs; /* upstreams and connections of HTTP/2 that point here */
    struct pg_upstream *idle;
    struct pg_h2_up *h2; /* connections of HTTP/2, that used last in front */
};

/* A connection to a service address. session is NULL while it lies idle. conn is NULL once it is gone. */
struct pg_upstream {
    struct pg_owned_timer timer; /* idle timeout */
    struct pg_proxy *proxy;
    struct pg_conn *conn;
    struct pg_session *session;
    const struct pg_session *last_user; /* while idle, for tables: compared, never followed */
    struct pg_target *target;
    struct pg_upstream *newer, *older; /* in the target's list */
    uint64_t idle_since_ms;
    bool open;
    bool reused;
    bool h2c;          /* conn is one stream of a connection that others use too */
    bool owes_preface; /* nothing was sent yet, and a PROXY preface goes first */
};

enum pg_session_state {
    /* Between requests: nothing of the next one is here. CLIENT_READABLE moves on to HEAD; timeout closes silently. */
    PG_SESSION_IDLE,
    /* Part of a head is here, in the connection or in head_buf. A complete head moves on to CONNECT or REQUEST, or is refused. */
    PG_SESSION_HEAD,
    /* Decided; `up` is connecting. The head is still unread in the client connection. UPSTREAM_OPEN moves on. */
    PG_SESSION_CONNECT,
    /* The head has gone up, its body may follow. Nothing of the answer has gone to the client, so errors can still be answered. */
    PG_SESSION_REQUEST,
    /* The response's head has gone to the client; bodies are on their way. Errors can only abort. */
    PG_SESSION_RESPONSE,
    /* Both ends have switched to another protocol (101 has gone to the client): bytes pass both ways unread, by reference. Either end's FIN is passed on; both, an
     * error, or nothing for the tunnel timeout end it. A reload and a drain leave it alone. */
    PG_SESSION_TUNNEL,
    /* We have said Connection: close and FIN; what still arrives is read away, boundedly. */
    PG_SESSION_LINGER,
    /* Over: freed at the end of the event. */
    PG_SESSION_DEAD,
    PG_SESSION_STATE_COUNT,
};

enum pg_session_event {
    PG_EVENT_CLIENT_READABLE,
    PG_EVENT_CLIENT_WRITABLE,
    PG_EVENT_CLIENT_CLOSED,
    PG_EVENT_UPSTREAM_OPEN,
    PG_EVENT_UPSTREAM_READABLE,
    PG_EVENT_UPSTREAM_WRITABLE,
    PG_EVENT_UPSTREAM_CLOSED,
    PG_EVENT_TIMEOUT,
    PG_EVENT_DRAIN,
};

/* Is who speaks to us the one whose connection it was before NAT? Asked once per connection. */
enum pg_origin { PG_ORIGIN_UNKNOWN, PG_ORIGIN_HOP, PG_ORIGIN_OTHER };

struct pg_session {
    struct pg_owned_timer timer;
    struct pg_proxy *proxy;
    struct pg_conn *client;        /* NULL once it is gone */
    struct pg_upstream *up;        /* CONNECT, REQUEST, RESPONSE */
    struct pg_routes *routes;      /* of the last request; NULL before the first */
    const struct pg_route *route;  /* in routes */
    struct pg_buf *head_buf;       /* a head that came in pieces */
    struct pg_exchange *exchange;  /* NULL in IDLE */
    struct pg_preface_of *preface; /* what the connection began with; NULL: nothing */
    struct pg_addr dialled;        /* whom the client connected to, before anybody changed it */
    uint64_t deadline_ms;
    uint64_t opened_us;
    uint64_t requests;
    uint32_t last_up; /* the upstream of the last request, for tables */
    uint32_t last_up_generation;
    uint32_t
        held_head; /* bytes of the request head that are still unread, so that it can be sent again */
    uint32_t linger_left;
    uint16_t last_status;
    uint16_t dialled_port;
    pg_reason_id reason; /* of the last refusal */
    uint8_t state;
    uint8_t body;   /* of the request, enum pg_http_body */
    uint8_t origin; /* enum pg_origin */
    bool counted;   /* the request in hand is in the counters */
    bool delimited; /* we know where the request in hand ends */
    bool is_head;
    bool websocket; /* asked for: a 101 may come */
    bool http10;
    bool client_keeps; /* the client wants to go on after this request */
    bool keep;         /* and so do we: told in the response */
    bool upstream_keeps;
    bool idempotent;
    bool retried;
    uint8_t tries;       /* connections attempted for this request */
    bool response_begun; /* some byte of the pod's answer was used */
};

struct pg_proxy {
    struct pg_proxy_options options;
    struct pg_ingress_limits limits; /* in force */
    struct pg_stack *stack;
    struct pg_counters *counters;
    struct pg_trace *trace;
    struct pg_random *random;
    struct pg_hash_key key;
    struct pg_routes *routes; /* NULL before the first load */
    const struct pg_zone *zone;
    struct pg_listener listener;
    struct pg_wheel *wheel;
    uint64_t now_us;
    struct pg_pool *sessions;
    struct pg_pool *exchanges; /* one per session at most */
    struct pg_pool *upstreams;
    struct pg_pool *targets;
    struct pg_table *target_table;
    struct pg_buf_pool *heads;
    struct pg_pool *notes; /* NULL: nobody keeps a log */
    struct pg_request_stats *stats;
    struct pg_prefaces *prefaces;
    struct pg_tls_shared *tls;
    struct pg_tls_ups *tls_ups;
    struct pg_pool *passthroughs;
    struct pg_h2_shared *h2;
    struct pg_h2_ups *h2_ups;
    uint32_t idle_upstreams;
    struct pg_balance *balance;
    bool draining;
    /* Scratch of one event: the head that was parsed last, and a head being written. */
    struct pg_http_head head;
    struct pg_route_plan plan; /* of the request in head */
    char out[2 * PG_HTTP_MAX_HEAD];
};

static inline uint64_t pg_proxy_now_ms(const struct pg_proxy *p)
{
    return p->now_us / 1000;
}

static inline uint32_t pg_limit_ms(const struct pg_proxy *p, enum pg_limit l)
{
    return (uint32_t)p->limits.value[l];
}

/* Somebody wants the records of this connection. */
static inline bool pg_session_watched(const struct pg_session *s)
{
    return pg_trace_on(s->proxy->trace) &&
           pg_trace_label_wanted(s->proxy->trace, pg_conn_label(s->client));
}

/* ---- session.c ---- */
void pg_session_begin(struct pg_proxy *p, struct pg_conn *client);
void pg_session_event(struct pg_session *s, enum pg_session_event event, int error);
void pg_session_set(struct pg_session *s, enum pg_session_state state);
/* At most until then without an event that moves something. */
void pg_session_wait(struct pg_session *s, uint32_t ms);
/* How long the pod may be silent now: while the body goes up, or until more of the answer is here. */
uint32_t pg_session_patience(const struct pg_session *s);
const char *pg_session_state_name(enum pg_session_state state);

/* ---- session_io.c ---- */
/* Makes the head at the front of conn contiguous and parses it into proxy->head; *ret_bytes is what its spans point into, until
 * something is consumed from conn or pg_session_drop_head. 0, -EAGAIN, -EBADMSG with *ret_error, -ENOBUFS: no buffer. */
int pg_session_read_head(struct pg_session *s, struct pg_conn *conn, enum pg_http_kind kind,
                         const char **ret_bytes, enum pg_http_error *ret_error);
void pg_session_drop_head(struct pg_session *s);
/* The request is over, or there was none. */
void pg_session_drop_exchange(struct pg_session *s);
/* Answers the request in hand with an error of ours and sets the state that follows; aborts if the answer has begun. */
void pg_session_refuse(struct pg_session *s, enum pg_http_error error);
/* The same for any answer of ours: begin says whether the connection goes on after it; then the answer is written into proxy->out; end sends it. */
bool pg_session_answer_begin(struct pg_session *s);
void pg_session_answer_end(struct pg_session *s, uint32_t len, bool keep);
/* Ends: the client by FIN or reset, the upstream by reset. */
void pg_session_close(struct pg_session *s);
void pg_session_abort(struct pg_session *s);
void pg_session_linger(struct pg_session *s);
/* Reads away. Returns whether the state changed. */
bool pg_session_linger_step(struct pg_session *s);
/* An event for the trace; call only when it is on. */
void pg_session_tell(const struct pg_session *s, enum pg_stage stage, const char *name,
                     struct pg_value before, struct pg_value after, pg_reason_id reason);
/* body_tell.c: an event for the body that h announces, if there is one. Direction 1: of the response. */
void pg_session_tell_body(const struct pg_session *s, const struct pg_http_head *h,
                          unsigned direction);

/* ---- request.c ---- */
/* The head in proxy->head is complete: decide, then open or reuse an upstream. Error, or NONE with the state moved on. */
enum pg_http_error pg_request_begin(struct pg_session *s, const char *bytes);
/* Sends the request in proxy->head on s->up. Error, or NONE with state REQUEST. */
enum pg_http_error pg_request_send(struct pg_session *s, const char *bytes);

/* ---- upstream.c ---- */
/* A pooled connection that was idle for less than idle_below_ms, else a new one. NULL: no connection, port or room left. */
struct pg_upstream *pg_upstream_open(struct pg_session *s, const struct pg_addr *local,
                                     const struct pg_addr *addr, uint16_t port,
                                     uint64_t idle_below_ms);
/* Gives it back: to the pool when it is clean and may live, else it is closed. */
void pg_upstream_release(struct pg_upstream *u, bool reusable);
void pg_upstream_abort(struct pg_upstream *u);
/* The client's connection ends: so does what lies idle and can be of no use to another. */
void pg_upstream_close_of(struct pg_session *s);
void pg_upstream_timeout(struct pg_upstream *u);
void pg_upstream_close_idle(struct pg_proxy *p);
/* One user less; the last one's end is the target's. */
void pg_target_put(struct pg_proxy *p, struct pg_target *t);
bool pg_target_equal(const void *owner, uint32_t value, const void *key);

#include "exchange_internal.h"

#endif
