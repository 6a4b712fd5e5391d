/* Shared by the files of lab/: echo connections and what they answer. */
#ifndef PODGLASS_LAB_INTERNAL_H
#define PODGLASS_LAB_INTERNAL_H

#include "podglass/buf.h"
#include "podglass/conn.h"
#include "podglass/h2_server.h"
#include "podglass/http.h"
#include "podglass/lab.h"
#include "podglass/pool.h"
#include "podglass/preface_decide.h"
#include "podglass/tls_server.h"
#include "podglass/wheel.h"

#define PG_ECHO_BYTES_MAX   (UINT64_C(1) << 30)
#define PG_ECHO_PREFACE_MAX 2048 /* longer ones are taken for what is no HTTP */
#define PG_FNV_OFFSET       UINT64_C(0xcbf29ce484222325)

enum pg_echo_state {
    PG_ECHO_HEAD,   /* reading a request head; the first byte decides whether it is one */
    PG_ECHO_BODY,   /* counting the request's body; `out` has the answer's beginning */
    PG_ECHO_SLOW,   /* waiting for the timer before answering */
    PG_ECHO_ANSWER, /* `out`, then bytes_left of pattern, are being written */
    PG_ECHO_RAW,    /* not HTTP: what comes goes back */
    PG_ECHO_DEAD,
};

struct pg_echo_conn {
    struct pg_timer timer; /* /slow; first, so that a timer is its owner */
    struct pg_echo *echo;
    struct pg_conn *conn;
    struct pg_http_scan scan;
    struct pg_text gathered; /* a head that came in pieces */
    struct pg_text out;      /* JSON while the body is counted, then the answer */
    size_t out_at;
    uint64_t body_left;
    struct pg_http_chunks chunks;
    uint64_t body_bytes;
    uint64_t body_fnv;
    uint64_t bytes_left, bytes_at; /* of the pattern */
    uint32_t slow_ms;
    uint16_t status;
    struct pg_preface preface; /* what the connection began with; version 0: none */
    uint8_t state;             /* enum pg_echo_state */
    uint8_t body;              /* enum pg_http_body of the request */
    uint8_t answers;           /* enum pg_http_body of the answer */
    bool trailers;             /* behind the answer's last chunk */
    bool generated;            /* pattern instead of JSON */
    bool is_head;
    bool keep;
    bool close_unanswered;
    bool begun; /* the first bytes were looked at: they were a preface, or are none */
};

struct pg_echo {
    struct pg_stack *stack;
    struct pg_listener listener;
    struct pg_pool *conns;
    struct pg_wheel *wheel;
    struct pg_snapshot *snapshot;
    struct pg_h2_shared *h2;
    struct pg_tls_servers *tls; /* NULL: TLS is echoed like any bytes */
    uint64_t now_us;
    struct pg_http_head head; /* scratch */
};

/* ---- echo_http.c ---- */
/* The head at bytes is in echo->head: notes what the path asks for and begins the JSON. */
void pg_echo_note_request(struct pg_echo_conn *c, const char *bytes);
/* Whole body counted: makes the answer's head (and JSON) in c->out. */
void pg_echo_make_answer(struct pg_echo_conn *c);
void pg_echo_make_refusal(struct pg_echo_conn *c, enum pg_http_error error);
/* Writes as much as there is room for. Returns whether all is written. */
bool pg_echo_write(struct pg_echo_conn *c);

#endif
