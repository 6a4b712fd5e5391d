/* Frames to and from a connection, and fields as HTTP/2 has them: what the client leg (`h2.c`) and the upstream leg (`h2_up.c`) share.
 *
 * Called by both. nghttp2 makes frames; here they are written as far as there is room, and read only as long as what waits to be sent is
 * bounded: who does not read us is not read.
 *
 * Owns nothing. Always true: a frame that was handed out is written before the next one is asked for. */
#include "h2_internal.h"

#define UNSENT_MOST            (256 * 1024) /* of frames: beyond it the peer's are not read */
#define TOO_MANY_CONTINUATIONS (-905) /* nghttp2's, which not every version of its header names */

bool pg_h2_wire_send(struct pg_h2_wire *w)
{
    for (;;) {
        if (w->rest_len == 0) {
            ssize_t n = nghttp2_session_mem_send(w->session, &w->rest);
            w->dead |= n < 0;
            if (n <= 0)
                break;
            w->rest_len = (size_t)n;
        }
        if (pg_conn_write(w->conn, w->rest, (uint32_t)w->rest_len) != 0)
            break; /* the peer is slow: on_writable goes on */
        w->rest_len = 0;
    }
    return w->dead || (w->rest_len == 0 && !nghttp2_session_want_read(w->session) &&
                       !nghttp2_session_want_write(w->session));
}

void pg_h2_wire_read(struct pg_h2_wire *w)
{
    struct pg_slice front;
    while (!w->dead && w->rest_len == 0 && pg_conn_unacked(w->conn) < UNSENT_MOST &&
           pg_conn_front(w->conn, &front)) {
        ssize_t n = nghttp2_session_mem_recv(w->session, (const uint8_t *)front.at, front.len);
        w->dead = n < 0;
        w->flooded = n == NGHTTP2_ERR_FLOODED || n == TOO_MANY_CONTINUATIONS;
        if (n > 0)
            pg_conn_consume(w->conn, (uint64_t)n);
    }
}

/* nghttp2 refuses most of them itself. */
bool pg_h2_is_framing(struct pg_slice name)
{
    static const char *const names[] = {"content-length", "transfer-encoding", "connection",
                                        "keep-alive",     "proxy-connection",  "upgrade"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (pg_slice_is(name, names[i]))
            return true;
    }
    return false;
}

nghttp2_nv pg_h2_field(const char *name, size_t name_len, const char *value, size_t len)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, name_len, len,
                        NGHTTP2_NV_FLAG_NONE};
}

size_t pg_h2_fields(const struct pg_http_head *h, char *bytes, nghttp2_nv *to)
{
    size_t count = 0;
    for (uint32_t i = 0; i < h->field_count; i++) {
        struct pg_span name = h->fields[i].name, value = h->fields[i].value;
        for (uint32_t at = name.at; at < name.at + name.len; at++) {
            if (bytes[at] >= 'A' && bytes[at] <= 'Z')
                bytes[at] = (char)(bytes[at] | 0x20);
        }
        struct pg_slice text = {bytes + name.at, name.len};
        if (!pg_h2_is_framing(text) || h->fields[i].id == PG_HTTP_NAME_CONTENT_LENGTH)
            to[count++] = pg_h2_field(bytes + name.at, name.len, bytes + value.at, value.len);
    }
    return count;
}

void pg_h2_add_line(struct pg_text *lines, struct pg_slice name, struct pg_slice value)
{
    pg_text_add(lines, name.at, name.len);
    pg_text_puts(lines, ": ");
    pg_text_add(lines, value.at, value.len);
    pg_text_puts(lines, "\r\n");
}
