/* Bodies on their way from one leg to the other: moved by reference, never gathered, never looked at.
 *
 * Called by `response.c` for both directions. Nothing is taken from one leg that the other has no room for, so a slow reader
 * closes the sender's window and memory stays within one window and one send buffer. Chunks keep their sizes; their
 * lines are read strictly and written anew, without extensions; their trailers are `trailers.c`'s. A body that ends with its connection becomes
 * chunks for whoever understands them.
 *
 * Owns the state of a body. Always true: a chunk that was announced gets exactly its bytes; the last chunk is written only
 * behind a body that was complete. */
#include "proxy_internal.h"

#include <errno.h>
#include <string.h>

#define CHUNK_LINE 20 /* 16 digits and CR LF, and a little */

void pg_body_begin(struct pg_body *b, enum pg_http_body kind, uint64_t content_length,
                   bool chunked_out)
{
    memset(b, 0, sizeof(*b));
    b->kind = (uint8_t)kind;
    b->left = content_length;
    b->chunked_out = chunked_out;
    b->done = kind == PG_HTTP_BODY_NONE;
}

static bool announce_chunk(struct pg_body *b, struct pg_conn *to, uint64_t len)
{
    char line[CHUNK_LINE];
    char *at = line + sizeof(line);
    uint64_t n = len;
    *--at = '\n';
    *--at = '\r';
    do {
        *--at = "0123456789abcdef"[n & 15];
        n >>= 4;
    } while (n > 0);
    if (pg_conn_write(to, at, (uint32_t)(line + sizeof(line) - at)) != 0)
        return false;
    b->chunk_left = len;
    return true;
}

/* Moves up to len bytes of data. If we write chunks, the present one is as long as len at least. */
static uint64_t move_data(struct pg_body *b, struct pg_conn *from, struct pg_conn *to, uint64_t len)
{
    uint64_t moved = pg_conn_move(from, to, len);
    b->passed += moved;
    if (b->chunked_out) {
        b->chunk_left -= moved;
        b->owes_line_end = moved > 0 && b->chunk_left == 0;
    }
    return moved;
}

static bool pay_line_end(struct pg_body *b, struct pg_conn *to)
{
    if (b->owes_line_end && pg_conn_write(to, "\r\n", 2) == 0)
        b->owes_line_end = false;
    return !b->owes_line_end;
}

static void finish(struct pg_body *b, struct pg_conn *to)
{
    b->done = !b->chunked_out || pg_conn_write(to, "0\r\n\r\n", 5) == 0;
}

static int relay_length(struct pg_body *b, struct pg_conn *from, struct pg_conn *to)
{
    b->left -= move_data(b, from, to, b->left);
    b->done = b->left == 0;
    return !b->done && pg_conn_at_end(from) ? -EPIPE : 0;
}

static int relay_until_close(struct pg_body *b, struct pg_conn *from, struct pg_conn *to)
{
    while (pay_line_end(b, to)) {
        if (pg_conn_at_end(from)) {
            finish(b, to);
            return 0;
        }
        uint64_t unread = pg_conn_unread(from);
        if (unread == 0)
            return 0;
        if (b->chunked_out && b->chunk_left == 0 && !announce_chunk(b, to, unread))
            return 0;
        if (move_data(b, from, to, b->chunked_out ? b->chunk_left : unread) == 0)
            return 0;
    }
    return 0;
}

/* Chunk lines, the line end behind data, trailers. Returns how many bytes went, 0: none here, or -EBADMSG. */
static int64_t read_framing(struct pg_body *b, struct pg_conn *from, enum pg_http_error *ret_error)
{
    struct pg_slice front;
    if (!pg_conn_front(from, &front))
        return 0;
    int64_t used = pg_http_chunks_framing(&b->chunks, front.at, front.len, ret_error);
    if (used > 0)
        pg_conn_consume(from, (uint64_t)used);
    return used;
}

static int relay_chunks(struct pg_body *b, struct pg_conn *from, struct pg_conn *to,
                        enum pg_http_error *ret_error)
{
    while (pay_line_end(b, to)) {
        if (b->trailers_of && (b->chunks.done || pg_http_chunks_in_trailers(&b->chunks)))
            return pg_trailers_relay(b, from, to, ret_error);
        if (b->chunks.done) {
            finish(b, to);
            return 0;
        }
        bool in_data = b->chunks.left > 0 && b->chunk_left > 0;
        if (!in_data) {
            int64_t used = read_framing(b, from, ret_error);
            if (used < 0)
                return (int)used;
            in_data = b->chunks.left > 0;
            if (used == 0 && !in_data)
                return pg_conn_at_end(from) ? -EPIPE : 0;
        }
        if (!in_data)
            continue;
        if (b->chunked_out && b->chunk_left == 0 && !announce_chunk(b, to, b->chunks.left))
            return 0;
        uint64_t moved = move_data(b, from, to, b->chunks.left);
        if (moved == 0)
            return pg_conn_at_end(from) ? -EPIPE : 0;
        pg_http_chunks_skip(&b->chunks, moved);
    }
    return 0;
}

int pg_body_relay(struct pg_body *b, struct pg_conn *from, struct pg_conn *to,
                  enum pg_http_error *ret_error)
{
    if (b->done)
        return 0;
    switch ((enum pg_http_body)b->kind) {
    case PG_HTTP_BODY_LENGTH: return relay_length(b, from, to);
    case PG_HTTP_BODY_CHUNKED: return relay_chunks(b, from, to, ret_error);
    case PG_HTTP_BODY_UNTIL_CLOSE: return relay_until_close(b, from, to);
    case PG_HTTP_BODY_NONE: break;
    }
    return 0;
}
