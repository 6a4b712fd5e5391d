/* Fields behind a chunked body on their way: held in the sender's connection until all are here, then judged and passed on or dropped.
 *
 * Called by `request.c` and `response.c`, which begin a body, and by `relay.c` where its data ends. The section is at most 8 KiB and stays unread in its connection, whose
 * window counts it; each byte is looked at once. When nobody keeps trailers and nobody watches, none is held and `http_chunk.c` drops them.
 *
 * Owns nothing. Always true: the last chunk is written behind a section that was complete. */
#include "h2.h"
#include "proxy_internal.h"

#include <errno.h>

/* The direction of a body's trailers that go on: the client must be able to read them. */
static bool keeps(const struct pg_session *s, const struct pg_body *b)
{
    if (!b->chunked_out || !s->exchange->keeps_trailers)
        return false;
    return b == &s->exchange->request || s->exchange->wants_trailers || pg_h2_speaks(s->client);
}

void pg_trailers_begin(struct pg_session *s, struct pg_body *b)
{
    if (b->kind != PG_HTTP_BODY_CHUNKED || (!keeps(s, b) && !pg_session_watched(s)))
        return;
    b->trailers_of = s;
    b->chunks.hold = true;
}

/* Looks at what is here of the section. 0; negative as pg_body_relay. */
static int scan(struct pg_body *b, struct pg_conn *from, enum pg_http_error *ret_error)
{
    char piece[1024];
    b->chunks.hold = false;
    while (!b->chunks.done) {
        uint32_t n = pg_conn_peek(from, b->trailer_len, piece, sizeof(piece));
        if (n == 0)
            return pg_conn_end_seen(from) ? -EPIPE : 0;
        int64_t used = pg_http_chunks_framing(&b->chunks, piece, n, ret_error);
        if (used < 0)
            return (int)used;
        b->trailer_len += (uint32_t)used;
    }
    return 0;
}

int pg_trailers_relay(struct pg_body *b, struct pg_conn *from, struct pg_conn *to,
                      enum pg_http_error *ret_error)
{
    const struct pg_session *s = b->trailers_of;
    struct pg_proxy *p = s->proxy;
    int err = scan(b, from, ret_error);
    if (err != 0 || !b->chunks.done)
        return err;
    if (pg_conn_room(to) < b->trailer_len + 3)
        return 0; /* the reader is slow: on_writable brings us back */
    uint32_t len = pg_conn_peek(from, 0, p->out, b->trailer_len);
    struct pg_trailers_in in = {
        .lines = {p->out, len},
        .keep = keeps(s, b),
        .identity = &s->routes->identity,
        .reason = pg_session_watched(s) ? pg_trailers_reason(s->routes->snapshot, s->route) : 0,
        .trace = p->trace,
        .label = pg_conn_label(s->client),
        .direction = b == &s->exchange->response};
    int64_t out = pg_http_rewrite_trailers(&in, p->out + len, (uint32_t)sizeof(p->out) - len);
    if (out < 0 || (b->chunked_out && pg_conn_write(to, p->out + len, (uint32_t)out) != 0))
        return 0;
    pg_conn_consume(from, len);
    b->trailers_of = NULL;
    b->done = true;
    return 0;
}
