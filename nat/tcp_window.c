/* What conntrack knows of a connection's sequence numbers and windows, and when it believes a segment.
 *
 * Each direction has four numbers: `end`, the first number behind all it has sent; `max_end`, how far
 * its peer lets it go; `max_win`, the largest window it has offered; `max_ack`, the highest number it
 * has acknowledged. A segment that lies within them moves them on. One that does not is of another
 * connection, late, or hostile: it goes its way all the same (nf_conntrack_tcp_be_liberal, which
 * podglass always is: a segment that is not translated would make its receiver reset a healthy
 * connection), but it teaches nothing. So a reset, whose number must be exactly `max_ack`, can not be
 * prepared by sending nonsense first.
 *
 * Called by tcp_track.c. Changes numbers and marks of the flow, never its state. Numbers and bounds:
 * nf_conntrack_proto_tcp.c of Linux 6. */
#include "tcp_internal.h"

#include <arpa/inet.h>
#include <string.h>

#define OPTION_END       0
#define OPTION_NOP       1
#define OPTION_SCALE     3
#define OPTION_SACK_OK   4
#define OPTION_SACK      5
#define MOST_SCALE       14     /* RFC 7323 2.3 */
#define LEAST_ACK_WINDOW 66000u /* an ACK may be so late even if the window is small */

/* ---- options ---- */

uint8_t pg_tcp_next_option(const struct pg_segment *s, uint32_t *at, const uint8_t **ret_value,
                           uint32_t *ret_len)
{
    while (*at < s->options_len && s->options[*at] == OPTION_NOP)
        (*at)++;
    uint32_t left = s->options_len - *at;

    if (left < 2 || s->options[*at] == OPTION_END)
        return 0;
    uint32_t len = s->options[*at + 1];
    uint8_t kind = s->options[*at];

    if (len < 2 || len > left)
        return 0;
    *ret_value = s->options + *at + 2;
    *ret_len = len - 2;
    *at += len;
    return kind;
}

unsigned pg_tcp_syn_options(const struct pg_segment *s, unsigned *ret_scale)
{
    const uint8_t *value;
    unsigned marks = 0;
    uint32_t at = 0;
    uint32_t len;
    uint8_t kind;

    while ((kind = pg_tcp_next_option(s, &at, &value, &len)) != 0) {
        if (kind == OPTION_SACK_OK && len == 0)
            marks |= TCP_END_SACK;
        if (kind == OPTION_SCALE && len == 1) {
            marks |= TCP_END_SCALES;
            *ret_scale = value[0] < MOST_SCALE ? value[0] : MOST_SCALE;
        }
    }
    return marks;
}

/* The highest number that the segment says has arrived: its ACK, or the end of a block behind it. */
static uint32_t highest_arrived(const struct pg_segment *s)
{
    const uint8_t *value;
    uint32_t highest = s->ack;
    uint32_t at = 0;
    uint32_t len;
    uint8_t kind;

    while ((kind = pg_tcp_next_option(s, &at, &value, &len)) != 0) {
        if (kind != OPTION_SACK || len == 0 || len % 8 != 0)
            continue;
        for (uint32_t i = 4; i < len; i += 8) {
            uint32_t edge;
            memcpy(&edge, value + i, sizeof(edge));
            if (pg_seq_after(ntohl(edge), highest))
                highest = ntohl(edge);
        }
        break;
    }
    return highest;
}

/* ---- one direction ---- */

static bool is_marked(const struct pg_flow *f, unsigned direction, unsigned mark)
{
    return (f->tcp.marks & mark << direction) != 0;
}

/* A SYN says who its sender is from now on. Scaling holds only if both have said so. */
static void begin_sender(struct pg_flow *f, unsigned direction, const struct pg_segment *s)
{
    struct pg_flow_tcp *tcp = &f->tcp;
    struct pg_flow_tcp_end *sender = &tcp->seen[direction];

    sender->end = s->end;
    sender->max_end = s->end;
    sender->max_win = s->window ? s->window : 1;
    if (s->options_len) {
        unsigned scale = 0;
        unsigned marks = pg_tcp_syn_options(s, &scale);
        pg_tcp_change_marks(tcp, TCP_END_ALL << direction, marks << direction);
        f->flags &= (uint16_t) ~((FLOW_HAS_ACK | FLOW_UNACKED) << direction);
        pg_tcp_set_scale(tcp, direction, scale);
    }
    if (direction == PG_REPLY &&
        !(is_marked(f, PG_ORIG, TCP_END_SCALES) && is_marked(f, PG_REPLY, TCP_END_SCALES)))
        tcp->scales = 0;
}

static uint32_t scale_of(const struct pg_flow_tcp *tcp, unsigned direction)
{
    return direction ? tcp->scales >> 4 : tcp->scales & 0xf;
}

/* The first that is seen of a sender is no SYN: what it says must do. */
static void begin_in_the_middle(struct pg_flow_tcp *tcp, unsigned direction,
                                const struct pg_segment *s, uint32_t arrived)
{
    struct pg_flow_tcp_end *sender = &tcp->seen[direction];
    struct pg_flow_tcp_end *receiver = &tcp->seen[!direction];
    uint32_t win = (uint32_t)s->window << scale_of(tcp, direction);

    sender->end = s->end;
    sender->max_win = win ? win : 1;
    sender->max_end = s->end + sender->max_win;
    if (receiver->max_win == 0) {
        receiver->end = arrived;
        receiver->max_end = arrived;
    } else if (arrived == receiver->end + 1) {
        receiver->end++; /* the answer to a keepalive */
    }
}

void pg_tcp_window_begin(struct pg_flow *f, const struct pg_segment *s)
{
    struct pg_flow_tcp_end *sender = &f->tcp.seen[PG_ORIG];

    sender->end = s->end;
    sender->max_win = s->window ? s->window : 1;
    if (s->kind == SEG_SYN) {
        unsigned scale = 0;
        sender->max_end = s->end;
        pg_tcp_change_marks(&f->tcp, 0, pg_tcp_syn_options(s, &scale));
        pg_tcp_set_scale(&f->tcp, PG_ORIG, scale);
    } else {
        sender->max_end = s->end + sender->max_win;
        /* who knows what they agreed on */
        pg_tcp_change_marks(&f->tcp, 0, TCP_END_SACK | TCP_END_SACK << PG_REPLY);
    }
}

void pg_tcp_window_forget(struct pg_flow *f, unsigned direction)
{
    f->tcp.seen[direction] = (struct pg_flow_tcp_end){0};
    pg_tcp_change_marks(&f->tcp, TCP_END_ALL << direction, 0);
    f->flags &= (uint16_t) ~((FLOW_HAS_ACK | FLOW_UNACKED) << direction);
    pg_tcp_set_scale(&f->tcp, direction, 0);
}

/* ---- is it within the window, and what does that tell ---- */

static bool is_late_ack(const struct pg_flow_tcp_end *sender,
                        const struct pg_flow_tcp_end *receiver, uint32_t arrived)
{
    uint32_t window = sender->max_win > LEAST_ACK_WINDOW ? sender->max_win : LEAST_ACK_WINDOW;

    return !pg_seq_after(arrived, receiver->end - window - 1);
}

static bool reaches_window(const struct pg_flow_tcp_end *sender,
                           const struct pg_flow_tcp_end *receiver, uint32_t end)
{
    return pg_seq_after(end, sender->end - receiver->max_win - 1);
}

/* Some send a little more than they may. If the receiver takes it, its ACK must be believed, so that
 * much is learned. */
static void learn_overshot(struct pg_flow *f, unsigned direction, uint32_t end, uint32_t arrived)
{
    struct pg_flow_tcp_end *sender = &f->tcp.seen[direction];
    const struct pg_flow_tcp_end *receiver = &f->tcp.seen[!direction];

    if (receiver->max_win == 0 || !reaches_window(sender, receiver, end) ||
        is_late_ack(sender, receiver, arrived) || end - sender->max_end + 1 > receiver->max_win ||
        pg_seq_after(arrived, receiver->end))
        return;
    sender->end = end;
    f->flags |= (uint16_t)(FLOW_UNACKED << direction);
}

static void learn(struct pg_flow *f, unsigned direction, const struct pg_segment *s, uint32_t end,
                  uint32_t ack, uint32_t arrived)
{
    struct pg_flow_tcp_end *sender = &f->tcp.seen[direction];
    struct pg_flow_tcp_end *receiver = &f->tcp.seen[!direction];
    bool is_syn = s->kind == SEG_SYN || s->kind == SEG_SYNACK;
    uint32_t win = (uint32_t)s->window << (is_syn ? 0 : scale_of(&f->tcp, direction));
    uint16_t has_ack = (uint16_t)(FLOW_HAS_ACK << direction);

    if (sender->max_win < win + (arrived - ack))
        sender->max_win = win + (arrived - ack);
    if (pg_seq_after(end, sender->end)) {
        sender->end = end;
        f->flags |= (uint16_t)(FLOW_UNACKED << direction);
    }
    if (s->has_ack && (!(f->flags & has_ack) || pg_seq_after(ack, sender->max_ack))) {
        sender->max_ack = ack;
        f->flags |= has_ack;
    }
    if (receiver->max_win && pg_seq_after(end, sender->max_end))
        receiver->max_win += end - sender->max_end;
    if (pg_seq_after(arrived + win, receiver->max_end - 1))
        receiver->max_end = arrived + win + (win ? 0 : 1);
    if (ack == receiver->end)
        f->flags &= (uint16_t) ~(FLOW_UNACKED << !direction);
}

/* The same segment again and again shortens the wait (tcp_track.c). */
static void count_retransmits(struct pg_flow_tcp *tcp, unsigned direction,
                              const struct pg_segment *s, uint32_t ack)
{
    if (s->kind != SEG_ACK)
        return;
    bool same = tcp->last_direction == direction && tcp->last_seq == (uint16_t)s->seq &&
                tcp->last_ack == ack && tcp->last_end == s->end && tcp->last_win == s->window;

    if (same) {
        tcp->retransmits =
            (tcp->retransmits < TCP_RETRANSMITS ? tcp->retransmits + 1u : TCP_RETRANSMITS) & 3u;
        return;
    }
    tcp->last_direction = direction & 1;
    tcp->last_seq = (uint16_t)s->seq;
    tcp->last_ack = ack;
    tcp->last_end = s->end;
    tcp->last_win = s->window;
    tcp->retransmits = 0;
}

/* true: all that such a segment can tell is told. */
static bool begin_if_new(struct pg_flow *f, unsigned direction, const struct pg_segment *s,
                         uint32_t arrived)
{
    struct pg_flow_tcp *tcp = &f->tcp;
    const struct pg_flow_tcp_end *sender = &tcp->seen[direction];
    bool is_syn = s->kind == SEG_SYN || s->kind == SEG_SYNACK;
    bool opening = tcp->state == PG_CT_SYN_SENT || tcp->state == PG_CT_SYN_RECV;

    if (sender->max_win == 0) {
        if (!is_syn) {
            begin_in_the_middle(tcp, direction, s, arrived);
            return false;
        }
        begin_sender(f, direction, s);
        return s->kind == SEG_SYN; /* both open at once */
    }
    if (is_syn && opening &&
        pg_seq_after(s->end, sender->end)) { /* tried again with other numbers */
        begin_sender(f, direction, s);
        return s->kind == SEG_SYN && direction == PG_REPLY;
    }
    return false;
}

void pg_tcp_window(struct pg_flow *f, unsigned direction, const struct pg_segment *s)
{
    const struct pg_flow_tcp_end *sender = &f->tcp.seen[direction];
    const struct pg_flow_tcp_end *receiver = &f->tcp.seen[!direction];
    uint32_t arrived = is_marked(f, !direction, TCP_END_SACK) ? highest_arrived(s) : s->ack;
    uint32_t seq = s->seq;
    uint32_t end = s->end;
    uint32_t ack = s->ack;

    if (begin_if_new(f, direction, s, arrived))
        return;
    if (!s->has_ack || (s->kind == SEG_RST && ack == 0))
        ack = arrived = receiver->end;
    if (s->kind == SEG_RST && seq == 0 && f->tcp.state == PG_CT_SYN_SENT)
        seq = end = sender->end; /* the answer to a SYN has no number of its own */
    if (pg_seq_after(seq, sender->max_end)) {
        learn_overshot(f, direction, end, arrived);
        return;
    }
    if (pg_seq_after(arrived, receiver->end) ||
        (receiver->max_win && !reaches_window(sender, receiver, end)) ||
        is_late_ack(sender, receiver, arrived))
        return;
    learn(f, direction, s, end, ack, arrived);
    count_retransmits(&f->tcp, direction, s, ack);
}
