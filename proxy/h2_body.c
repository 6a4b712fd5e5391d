/* Bodies and trailers between the text of HTTP/1.1 in an inner connection and the frames of HTTP/2.
 *
 * Called by `h2_stream.c` (client leg) and `h2_up_stream.c` (upstream leg). Out: data behind the framing of a body becomes DATA as nghttp2 asks for it, so the
 * windows of the peer close the inner connection. In: DATA becomes a chunk, unless the length was told. Trailers are the lines behind the last
 * chunk, and a HEADERS frame at the end.
 *
 * Owns nothing. Always true: the end of a stream is only sent behind a body that was complete. */
#include "h2_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TRAILERS_MOST 64
#define SECTION_MOST  8448 /* what http_chunk.c lets through, and a little */

void pg_h2_out_begin(struct pg_h2_out *o, enum pg_http_body kind, uint64_t content_length)
{
    *o = (struct pg_h2_out){.kind = (uint8_t)kind};
    o->left = kind == PG_HTTP_BODY_LENGTH ? content_length : 0;
    o->chunks.hold = true;
    o->complete = kind == PG_HTTP_BODY_NONE || (kind == PG_HTTP_BODY_LENGTH && o->left == 0);
}

/* Up to where data or the trailers begin. Negative: broken. */
static int64_t skip_framing(struct pg_h2_out *o, struct pg_conn *inner)
{
    struct pg_slice front;
    enum pg_http_error error;
    while (o->chunks.left == 0 && !pg_http_chunks_in_trailers(&o->chunks) &&
           pg_inner_front(inner, &front)) {
        int64_t used = pg_http_chunks_framing(&o->chunks, front.at, front.len, &error);
        if (used < 0)
            return used;
        pg_inner_take(inner, (uint32_t)used);
    }
    return 0;
}

/* Bytes of data. Negative: broken. */
static int64_t take_data(struct pg_h2_out *o, struct pg_conn *inner, uint8_t *out, size_t room)
{
    bool chunked = o->kind == PG_HTTP_BODY_CHUNKED;
    uint64_t want = chunked ? o->chunks.left : o->left;
    uint32_t n = pg_inner_peek(inner, out, (uint32_t)(want < room ? want : room));
    pg_inner_take(inner, n);
    if (chunked && n > 0)
        pg_http_chunks_skip(&o->chunks, n);
    else if (!chunked)
        o->left -= n;
    return n;
}

/* The lines at text, each a name, a colon and a value, as http_chunk.c has found them. Returns how many. */
static size_t read_lines(char *text, size_t len, nghttp2_nv nv[TRAILERS_MOST])
{
    size_t count = 0;
    char *end = text + len;
    while (text < end && *text != '\r' && count < TRAILERS_MOST) {
        char *line_end = memchr(text, '\r', (size_t)(end - text));
        char *colon = line_end ? memchr(text, ':', (size_t)(line_end - text)) : NULL;
        if (!colon)
            break;
        struct pg_slice value = {colon + 1, (size_t)(line_end - colon - 1)};
        while (value.len > 0 && (*value.at == ' ' || *value.at == '\t'))
            value = (struct pg_slice){value.at + 1, value.len - 1};
        while (value.len > 0 && (value.at[value.len - 1] == ' ' || value.at[value.len - 1] == '\t'))
            value.len--;
        for (char *at = text; at < colon; at++)
            *at = (char)(*at >= 'A' && *at <= 'Z' ? *at | 0x20 : *at);
        nv[count++] = pg_h2_field(text, (size_t)(colon - text), value.at, value.len);
        text = line_end + 2;
    }
    return count;
}

/* 1: the body has ended; 0: more must come; negative: broken. */
static int take_trailers(struct pg_h2_out *o, struct pg_conn *inner, nghttp2_session *session,
                         int32_t id, uint32_t *flags)
{
    char section[SECTION_MOST];
    nghttp2_nv nv[TRAILERS_MOST];
    struct pg_http_chunks scan = o->chunks;
    enum pg_http_error error;
    uint32_t len = pg_inner_peek(inner, section, sizeof(section));
    scan.hold = false;
    int64_t used = pg_http_chunks_framing(&scan, section, len, &error);
    if (used < 0 || !scan.done)
        return used < 0 ? -EBADMSG : 0;
    pg_inner_take(inner, (uint32_t)used);
    o->chunks = scan;
    size_t count = read_lines(section, (size_t)used, nv);
    if (count == TRAILERS_MOST)
        return -EBADMSG;
    if (count > 0 && nghttp2_submit_trailer(session, id, nv, count) == 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM; /* the trailers end it */
    return 1;
}

/* Whether the end of the body is here. Negative: broken. */
static int at_end(struct pg_h2_out *o, struct pg_conn *inner, nghttp2_session *session, int32_t id,
                  uint32_t *flags)
{
    if (o->kind != PG_HTTP_BODY_CHUNKED)
        return o->left == 0;
    if (skip_framing(o, inner) < 0)
        return -EBADMSG;
    return pg_http_chunks_in_trailers(&o->chunks) ? take_trailers(o, inner, session, id, flags) : 0;
}

ssize_t pg_h2_out_read(struct pg_h2_out *o, struct pg_conn *inner, nghttp2_session *session,
                       int32_t id, uint8_t *out, size_t room, uint32_t *flags)
{
    if (o->kind == PG_HTTP_BODY_CHUNKED && skip_framing(o, inner) < 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    int64_t n = take_data(o, inner, out, room);
    int end = at_end(o, inner, session, id, flags);
    if (n < 0 || end < 0)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    if (end) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        o->complete = true;
    } else if (n == 0) {
        o->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    return (ssize_t)n;
}

void pg_h2_out_resume(struct pg_h2_out *o, struct pg_conn *inner, nghttp2_session *session,
                      int32_t id)
{
    if (!o->deferred || (pg_inner_waiting(inner) == 0 && !pg_inner_shut(inner)))
        return;
    o->deferred = false;
    (void)nghttp2_session_resume_data(session, id);
}

/* ---- in ---- */

int pg_h2_in_data(struct pg_conn *inner, bool chunked, const uint8_t *bytes, size_t len)
{
    char line[24];
    if (len == 0)
        return 0; /* an empty chunk would be the last one */
    if (chunked) {
        int n = snprintf(line, sizeof(line), "%zx\r\n", len);
        if (pg_inner_give(inner, line, (uint32_t)n) != 0)
            return -ENOMEM;
    }
    int err = pg_inner_give(inner, bytes, (uint32_t)len);
    if (err == 0 && chunked)
        err = pg_inner_give(inner, "\r\n", 2);
    return err;
}

int pg_h2_in_end(struct pg_conn *inner, bool chunked, const struct pg_text *trailers)
{
    if (!chunked)
        return 0;
    int err = pg_inner_give(inner, "0\r\n", 3);
    if (err == 0 && trailers->len > 0)
        err = pg_inner_give(inner, trailers->at, (uint32_t)trailers->len);
    return err == 0 ? pg_inner_give(inner, "\r\n", 2) : err;
}
