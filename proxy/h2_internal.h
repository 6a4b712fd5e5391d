/* What the files about HTTP/2 share; the only ones, with h2*.c, that see nghttp2. */
#ifndef PODGLASS_PROXY_H2_INTERNAL_H
#define PODGLASS_PROXY_H2_INTERNAL_H

#include "proxy_internal.h"

#include "podglass/conn_inner.h"

#include <nghttp2/nghttp2.h>

#define PG_H2_STREAMS 100 /* at the same time, of one client */

struct pg_h2;

/* One request and its answer. The session on the other side of `inner` speaks HTTP/1.1. */
struct pg_h2_stream {
    struct pg_h2 *h2;
    struct pg_h2_stream *next, **where;
    struct pg_conn *inner; /* NULL: not begun, or let go */
    struct pg_inner inner_of;
    struct pg_text fields; /* lines of the head that is being read */
    char *method, *path, *authority, *host, *cookies;
    uint64_t given; /* bytes of body that the session has or had */
    uint64_t told;  /* of these, those that the client may send again */
    int32_t id;
    uint32_t field_bytes;
    struct pg_http_scan scan; /* of the response */
    struct pg_http_chunks chunks;
    uint64_t left;
    uint8_t body;    /* enum pg_http_body of the response */
    bool has_length; /* the request says how long it is */
    bool chunked_in; /* we write its body in chunks */
    bool too_large;  /* its head */
    bool is_head;
    bool answered; /* the response's head has gone */
    bool complete; /* and all of it */
    bool deferred; /* nghttp2 waits for bytes of the body */
};

/* One connection of a client. */
struct pg_h2 {
    struct pg_owned_timer timer;
    struct pg_proxy *proxy;
    struct pg_conn *wire;
    nghttp2_session *session;
    struct pg_h2_stream *streams;
    uint32_t stream_count;
    uint32_t resets; /* by the client, less what time has forgiven */
    uint64_t reset_ms;
    const uint8_t *rest; /* of a frame that nghttp2 has handed out and the wire had no room for */
    size_t rest_len;
    bool dead; /* to be ended when nghttp2 was left */
};

struct pg_h2_shared {
    struct pg_pool *conns;
    struct pg_pool *streams;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    struct pg_http_head head; /* scratch */
    char bytes[PG_HTTP_MAX_HEAD];
};

/* ---- h2_stream.c ---- */
struct pg_h2_stream *pg_h2_stream_new(struct pg_h2 *h, int32_t id); /* NULL: no room */
/* Lets go; error is what the session hears. */
void pg_h2_stream_end(struct pg_h2_stream *s, int error);
/* One field. -EBADMSG: the stream must be refused. */
int pg_h2_stream_field(struct pg_h2_stream *s, struct pg_slice name, struct pg_slice value);
/* The head is complete: a session begins. */
int pg_h2_stream_begin(struct pg_h2_stream *s, bool has_body);
int pg_h2_stream_data(struct pg_h2_stream *s, const uint8_t *bytes, size_t len);
void pg_h2_stream_data_end(struct pg_h2_stream *s);

/* ---- h2.c ---- */
void pg_h2_flush(
    struct pg_h2
        *h); /* what nghttp2 has to say, as far as there is room; h may be gone afterwards */

#endif
