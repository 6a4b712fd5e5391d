/* Bytes to send: queued here, and given to lwIP only when they may leave at once.
 *
 * Called by conn.c when the owner writes or moves, and by netif.c, timer.c and recovery.c when the
 * window may have grown. Calls lwIP's tcp_write with references into the queue, never with copies.
 *
 * Late segmentation: how large a segment is gets decided when there is room in the windows, so that
 * it may be a super-segment of many MSS, is never larger than what fits, and never has to be split.
 * lwIP's own MSS stays the real one and is raised only while a segment is built.
 *
 * Owns the queue of pieces. Always true: pieces up to tx_cursor are what lwIP refers to, and live
 * until the segments that refer to them are acknowledged; tx_held is the sum of all pieces minus
 * what was released. */
#include "stack_internal.h"

#include "podglass/log.h"

#include <errno.h>
#include <string.h>

#define PIECE_BYTES 32768 /* of a long write; short ones fill the block they get */
#define SMALL_BLOCK 512   /* a first small write takes this, so that the next ones find room */
#define COPY_MAX    512   /* relayed pieces up to this are copied: cheaper than a reference */
#define WINDOW_PARTS \
    4 /* a segment waits for an ACK rather than be smaller than this part of the window */

static struct pg_piece *add_piece(struct pg_conn *c, uint32_t room)
{
    struct pg_piece *piece = pg_lwip_malloc(sizeof *piece + room);

    if (piece == NULL)
        return NULL;
    piece->next = NULL;
    piece->p = NULL;
    piece->at = piece->bytes;
    piece->len = 0;
    piece->room = room;
    if (c->tx_tail != NULL)
        c->tx_tail->next = piece;
    else
        c->tx_head = piece;
    c->tx_tail = piece;
    if (c->tx_cursor == NULL) {
        c->tx_cursor = piece;
        c->tx_cursor_at = 0;
    }
    return piece;
}

static void count(struct pg_conn *c, uint32_t n)
{
    c->tx_queued += n;
    c->tx_held += n;
    c->bytes_written += n;
    pg_stack_todo(c);
}

/* Takes away the pieces behind `last` again. */
static void cut_behind(struct pg_conn *c, struct pg_piece *last, struct pg_piece *cursor)
{
    struct pg_piece *piece = last != NULL ? last->next : c->tx_head;

    while (piece != NULL) {
        struct pg_piece *next = piece->next;

        pg_lwip_free(piece);
        piece = next;
    }
    if (last != NULL)
        last->next = NULL;
    else
        c->tx_head = NULL;
    c->tx_tail = last;
    c->tx_cursor = cursor;
}

/* Copies all of it behind the last piece, with new pieces as needed, or nothing. */
static bool copy_in(struct pg_conn *c, const uint8_t *bytes, uint32_t len)
{
    struct pg_piece *last = c->tx_tail;
    struct pg_piece *cursor = c->tx_cursor;
    uint32_t have = last != NULL ? last->room : 0;

    while (have < len) {
        uint32_t want = pg_max_u32(len - have, SMALL_BLOCK - (uint32_t)sizeof *last);
        struct pg_piece *piece = add_piece(c, pg_min_u32(want, PIECE_BYTES));

        if (piece == NULL) {
            cut_behind(c, last, cursor);
            return false;
        }
        have += piece->room;
    }
    count(c, len);
    for (struct pg_piece *piece = last != NULL ? last : c->tx_head; len > 0; piece = piece->next) {
        uint32_t n = pg_min_u32(len, piece->room);

        memcpy(piece->bytes + piece->len, bytes, n);
        piece->len += n;
        piece->room -= n;
        bytes += n;
        len -= n;
    }
    return true;
}

/* What the layer below an inner connection lets wait. */
static uint32_t inner_room(const struct pg_conn *c)
{
    if (c->inner == NULL || (c->flags & (PG_CONN_FIN_WANTED | PG_CONN_ABORT)))
        return 0;
    return c->tx_held < c->inner->room ? c->inner->room - c->tx_held : 0;
}

uint32_t pg_conn_room(const struct pg_conn *c)
{
    if (c->pcb == NULL)
        return inner_room(c);
    if (!(c->flags & PG_CONN_OPEN) || (c->flags & (PG_CONN_FIN_WANTED | PG_CONN_ABORT)))
        return 0;
    return c->tx_held < c->stack->options.send_buffer ? c->stack->options.send_buffer - c->tx_held
                                                      : 0;
}

int pg_conn_write(struct pg_conn *c, const void *bytes, uint32_t len)
{
    if ((c->pcb == NULL && c->inner == NULL) || !(c->flags & PG_CONN_OPEN) ||
        (c->flags & (PG_CONN_FIN_WANTED | PG_CONN_ABORT)))
        return -ENOTCONN;
    if (len > pg_conn_room(c))
        return -ENOBUFS;
    return copy_in(c, bytes, len) ? 0 : -ENOBUFS;
}

int pg_send_take(struct pg_conn *c, struct pbuf *p, const uint8_t *at, uint32_t len)
{
    struct pg_piece *piece;

    if (len <= COPY_MAX) {
        bool fine = copy_in(c, at, len);

        pbuf_free(p);
        return fine ? 0 : -ENOMEM;
    }
    piece = add_piece(c, 0);
    if (piece == NULL) {
        pbuf_free(p);
        return -ENOMEM;
    }
    piece->p = p;
    piece->at = at;
    piece->len = len;
    count(c, len);
    return 0;
}

static void free_first(struct pg_conn *c)
{
    struct pg_piece *piece = c->tx_head;

    c->tx_head = piece->next;
    if (c->tx_head == NULL)
        c->tx_tail = NULL;
    if (c->tx_cursor == piece) {
        c->tx_cursor = piece->next;
        c->tx_cursor_at = 0;
    }
    if (piece->p != NULL)
        pbuf_free(piece->p);
    pg_lwip_free(piece);
}

void pg_send_acked(struct pg_conn *c, uint32_t n)
{
    c->tx_held -= n;
    c->tx_head_done += n;
    while (c->tx_head != NULL && c->tx_head_done >= c->tx_head->len) {
        c->tx_head_done -= c->tx_head->len;
        free_first(c);
    }
}

void pg_send_drop(struct pg_conn *c)
{
    while (c->tx_head != NULL)
        free_first(c);
    c->tx_head_done = 0;
    c->tx_queued = 0;
    c->tx_held = 0;
}

/* How much one segment takes now; 0: wait. */
static uint32_t choose(const struct pg_conn *c)
{
    const struct tcp_pcb *pcb = c->pcb;
    uint32_t in_flight = pcb->snd_nxt - pcb->lastack;
    uint32_t window = pg_min_u32(pcb->cwnd, pcb->snd_wnd);
    uint32_t room = window > in_flight ? window - in_flight : 0;
    uint32_t n = pg_min_u32(c->tx_queued, room);

    PG_ASSERT(c->mss > 0);
    n = pg_min_u32(n, pg_min_u32(PG_SEGMENT_MAX, pg_max_u32(c->mss, window / 2)));
    if (n == c->tx_queued)
        return n; /* the rest, whatever its size: Nagle is off */
    if (n >= c->mss)
        n -= n % c->mss;
    else if (in_flight > 0)
        return 0; /* RFC 1122 4.2.3.4: no small segments because of a small window */
    if (in_flight > 0 && n < PG_SEGMENT_MAX / 2 && n < window / WINDOW_PARTS)
        return 0; /* the next ACK makes room for a larger one */
    return n;
}

/* Builds one segment of n bytes and sends it. false: no memory; what was built went out or will. */
static bool give(struct pg_conn *c, uint32_t n)
{
    struct tcp_pcb *pcb = c->pcb;
    u16_t mss = pcb->mss;
    tcpwnd_size_t wnd_max = pcb->snd_wnd_max;
    bool fine = true;

    pcb->mss = TCP_MSS;
    pcb->snd_wnd_max =
        2 * TCP_MSS; /* lwIP would cut at half of the largest window; choose() did better */
    while (n > 0 && fine) {
        struct pg_piece *piece = c->tx_cursor;
        uint32_t k = pg_min_u32(n, piece->len - c->tx_cursor_at);

        if (k == 0) {
            c->tx_cursor = piece->next;
            c->tx_cursor_at = 0;
            continue;
        }
        fine = tcp_write(pcb, piece->at + c->tx_cursor_at, (u16_t)k,
                         k < n ? TCP_WRITE_FLAG_MORE : 0) == ERR_OK;
        if (fine) {
            c->tx_cursor_at += k;
            c->tx_queued -= k;
            n -= k;
        }
    }
    pcb->mss = mss;
    pcb->snd_wnd_max = wnd_max;
    pg_rtt_start(c, pcb->snd_lbb);
    tcp_output(pcb);
    return fine;
}

void pg_send_fill(struct pg_conn *c)
{
    struct tcp_pcb *pcb = c->pcb;
    uint32_t n;

    if (pcb == NULL || !(c->flags & PG_CONN_OPEN))
        return;
    while (c->tx_queued > 0 && pcb->unsent == NULL && (n = choose(c)) > 0)
        if (!give(c, n))
            break;
    if (c->tx_queued == 0 && (c->flags & PG_CONN_FIN_WANTED) && !(c->flags & PG_CONN_FIN_GIVEN)) {
        c->flags |= PG_CONN_FIN_GIVEN;
        tcp_shutdown(pcb, 0,
                     1); /* never tcp_close: it resets unless all that was received was consumed */
    }
}

uint64_t pg_conn_unacked(const struct pg_conn *c)
{
    return c->bytes_written - c->bytes_out;
}
