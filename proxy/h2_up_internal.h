/* What the files about HTTP/2 towards pods share. */
#ifndef PODGLASS_PROXY_H2_UP_INTERNAL_H
#define PODGLASS_PROXY_H2_UP_INTERNAL_H

#include "h2_internal.h"
#include "h2_up.h"

struct pg_h2_up;

/* One request and its answer. The session on the other side of `inner` speaks HTTP/1.1. */
struct pg_h2_up_stream {
    struct pg_h2_up *up;
    struct pg_h2_up_stream *next, **where;
    struct pg_conn *inner;
    struct pg_inner inner_of;
    struct pg_h2_out out;            /* the request's body */
    struct pg_text fields, trailers; /* of the answer, as lines */
    uint64_t given;                  /* bytes of the answer's body that the session has or had */
    uint64_t told;                   /* of these, those that the pod may send again */
    uint64_t length;
    uint32_t field_bytes;
    int32_t id; /* 0: nothing was sent */
    uint16_t status;
    bool has_length; /* the answer says how long it is */
    bool announces;  /* it says that trailers follow */
    bool is_head;
    bool answered;   /* the answer's head has gone to the session */
    bool chunked_in; /* its body is written in chunks */
    bool ended;      /* and has been written to its end */
    bool gone;       /* nghttp2 has no such stream any more */
};

/* One connection to a pod. */
struct pg_h2_up {
    struct pg_owned_timer timer; /* idle */
    struct pg_proxy *proxy;
    struct pg_target *target;
    struct pg_h2_up *next, **where; /* of the target */
    struct pg_h2_wire w;
    struct pg_h2_up_stream *streams;
    uint32_t stream_count;
    bool open;
    bool owes_preface; /* of the PROXY protocol: nothing may go before it */
    bool closing;      /* no new streams: the pod said GOAWAY */
};

struct pg_h2_ups {
    struct pg_pool *conns;
    struct pg_pool *streams;
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *option;
    struct pg_http_head head; /* scratch */
    char bytes[2 * PG_HTTP_MAX_HEAD];
};

/* ---- h2_up_stream.c ---- */
struct pg_h2_up_stream *pg_h2_up_stream_new(struct pg_h2_up *h, uint32_t label); /* NULL: no room */
/* Lets go; error is what the session hears, unless it has let go itself. */
void pg_h2_up_stream_end(struct pg_h2_up_stream *s, int error);
/* One field of a head or of trailers. -EBADMSG: too many. */
int pg_h2_up_stream_field(struct pg_h2_up_stream *s, struct pg_slice name, struct pg_slice value);
/* A head is complete, or the trailers are; end: nothing follows. */
int pg_h2_up_stream_head(struct pg_h2_up_stream *s, bool end);
int pg_h2_up_stream_data(struct pg_h2_up_stream *s, const uint8_t *bytes, size_t len);
void pg_h2_up_stream_finish(struct pg_h2_up_stream *s);

/* ---- h2_up.c ---- */
void pg_h2_up_settle(
    struct pg_h2_up *h); /* sends, and ends what is over; h may be gone afterwards */

#endif
