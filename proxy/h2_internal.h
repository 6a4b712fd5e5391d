/* What the files about HTTP/2 share; the only ones, with h2*.c, that see nghttp2. */
#ifndef PODGLASS_PROXY_H2_INTERNAL_H
#define PODGLASS_PROXY_H2_INTERNAL_H

#include "proxy_internal.h"

#include "podglass/conn_inner.h"

#include <nghttp2/nghttp2.h>

#define PG_H2_STREAMS 100 /* at the same time, of one client */

struct pg_h2;

/* A wire and the frames on it: what both roles share. */
struct pg_h2_wire {
    struct pg_conn *conn; /* NULL once it is gone */
    nghttp2_session *session;
    const uint8_t *rest; /* of a frame that nghttp2 has handed out and the wire had no room for */
    size_t rest_len;
    bool dead; /* to be ended when nghttp2 was left */
    bool
        flooded; /* because there were too many frames of a kind that costs us more than the peer */
};

/* What a peer may do for nothing: so much at once, and what time forgives. */
struct pg_h2_budget {
    uint32_t used;
    uint64_t since_ms;
};

/* A body of HTTP/1.1 in an inner connection that becomes DATA frames, and its trailers a HEADERS frame. */
struct pg_h2_out {
    struct pg_http_chunks chunks;
    uint64_t left;
    uint8_t kind;  /* enum pg_http_body */
    bool complete; /* all of it has been taken */
    bool deferred; /* nghttp2 waits for more of it */
};

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
    int why; /* pg_h2_abort_because; 0: nobody said */
    uint32_t field_bytes;
    struct pg_h2_out out;    /* the response's body */
    struct pg_text trailers; /* lines of the request's */
    bool has_length;         /* the request says how long it is */
    bool chunked_in;         /* we write its body in chunks */
    bool too_large;          /* its head */
    bool is_head;
    bool answered; /* the response's head has gone; all of it when out.complete */
};

/* One connection of a client. */
struct pg_h2 {
    struct pg_owned_timer timer;
    struct pg_h2_shared *shared;
    struct pg_preface_of *preface; /* of the connection, kept for all streams; NULL: none */
    struct pg_h2_wire w;
    struct pg_h2_stream *streams;
    uint32_t stream_count;
    struct pg_h2_budget resets; /* requests that the client took back */
    struct pg_h2_budget idles;  /* frames that move nothing */
};

struct pg_h2_shared {
    struct pg_proxy
        *proxy; /* NULL: of the lab's pods, which have no limits but those of this file */
    void (*begin)(void *arg, struct pg_conn *stream);
    void *arg;
    struct pg_pool *conns;
    struct pg_pool *streams;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    struct pg_http_head head; /* scratch */
    char bytes[PG_HTTP_MAX_HEAD];
};

/* ---- h2_wire.c ---- */
/* What nghttp2 has to say, as far as there is room. true: there is no more to say or to hear on this connection. */
bool pg_h2_wire_send(struct pg_h2_wire *w);
void pg_h2_wire_read(struct pg_h2_wire *w); /* as much as may be read now */
/* Fields that say something about the connection: written by us alone. */
bool pg_h2_is_framing(struct pg_slice name);
/* Names of a head's fields in lower case, in place, without those of the connection but Content-Length. Returns how many. */
size_t pg_h2_fields(const struct pg_http_head *h, char *bytes, nghttp2_nv *to);
nghttp2_nv pg_h2_field(const char *name, size_t name_len, const char *value, size_t len);
void pg_h2_add_line(struct pg_text *lines, struct pg_slice name, struct pg_slice value);

/* ---- h2_body.c ---- */
void pg_h2_out_begin(struct pg_h2_out *o, enum pg_http_body kind, uint64_t content_length);
/* For nghttp2's read callback: bytes, or an error of nghttp2. */
ssize_t pg_h2_out_read(struct pg_h2_out *o, struct pg_conn *inner, nghttp2_session *session,
                       int32_t id, uint8_t *out, size_t room, uint32_t *flags);
/* The owner did something: goes on if nghttp2 waits. */
void pg_h2_out_resume(struct pg_h2_out *o, struct pg_conn *inner, nghttp2_session *session,
                      int32_t id);
/* Data that came, as a chunk if it is to be one; and the end of it. 0 or -ENOMEM. */
int pg_h2_in_data(struct pg_conn *inner, bool chunked, const uint8_t *bytes, size_t len);
int pg_h2_in_end(struct pg_conn *inner, bool chunked, const struct pg_text *trailers);

/* ---- h2_stream.c ---- */
struct pg_h2_stream *pg_h2_stream_new(struct pg_h2 *h, int32_t id); /* NULL: no room */
/* Lets go; error is what the session hears. */
void pg_h2_stream_end(struct pg_h2_stream *s, int error);
/* One field. -EBADMSG: the stream must be refused. */
int pg_h2_stream_field(struct pg_h2_stream *s, struct pg_slice name, struct pg_slice value);
int pg_h2_stream_trailer(struct pg_h2_stream *s, struct pg_slice name, struct pg_slice value);
/* The head is complete: a session begins. */
int pg_h2_stream_begin(struct pg_h2_stream *s, bool has_body);
int pg_h2_stream_data(struct pg_h2_stream *s, const uint8_t *bytes, size_t len);
void pg_h2_stream_data_end(struct pg_h2_stream *s);

/* ---- h2.c ---- */
void pg_h2_flush(
    struct pg_h2
        *h); /* what nghttp2 has to say, as far as there is room; h may be gone afterwards */

#endif
