/* Congestion control, and sending again what was lost.
 *
 * lwIP would retransmit whole super-segments, count its window in them and wait a second or more.
 * So it is not let near it: this file reads what lwIP has unacknowledged (pcb->unacked) and what
 * the peer reports (SACK), sends the missing ranges itself, and sets pcb->cwnd, which is all that
 * lwIP's output looks at. lwIP's duplicate-ACK counter is kept at zero.
 *
 *   open       slow start by acknowledged bytes (RFC 3465), then one MSS a round trip (RFC 5681);
 *              initial window RFC 6928
 *   fast       enough was reported beyond a hole (RFC 6675; three duplicate ACKs of a peer without
 *              SACK, RFC 6582): the window shrinks to 7/10 (as CUBIC's), every hole below the
 *              highest report is sent again as the window allows
 *   timeout    all that is unacknowledged counts as lost; slow start from one MSS
 *   probe      the last segment again when a tail stays unacknowledged for two round trips (RFC
 *              8985 7), or the first hole again when its retransmission seems lost
 *
 * Called by netif.c after each segment and by timer.c. Owns the scoreboard. Always true: ranges of
 * the scoreboard are sorted, disjoint, above the first unacknowledged byte and not above what was
 * sent. Not here: reordering that looks like loss for longer than three segments is repaired
 * needlessly; no pacing. */
#include "stack_internal.h"

#include "lwip/hooks.h"

#include <string.h>

#define INITIAL_WINDOW_MSS 10
#define WINDOW_MAX         TCP_SND_BUF
#define LOSS_MSS           3  /* reported beyond a hole before it counts as lost */
#define HOLE_PROBES        4  /* then the timer decides */
#define PROBE_SLACK_MS     10 /* a peer that has to wait for its CPU has lost nothing */

/* ---- scoreboard ---- */

static void board_add(struct pg_conn *c, uint32_t left, uint32_t right)
{
    struct pg_scoreboard *b = c->board;
    uint32_t i = 0;
    uint32_t j;

    if (b == NULL) {
        b = c->board = pg_lwip_calloc(1, sizeof *b);
        if (b == NULL)
            return; /* the timer will repair it */
    }
    while (i < b->count && TCP_SEQ_LT(b->range[i].right, left))
        i++;
    for (j = i; j < b->count && TCP_SEQ_LEQ(b->range[j].left, right); j++) {
        if (TCP_SEQ_LT(b->range[j].left, left))
            left = b->range[j].left;
        if (TCP_SEQ_GT(b->range[j].right, right))
            right = b->range[j].right;
    }
    if (j == i && b->count == PG_SACK_RANGES)
        return; /* more holes than we keep: this range may be sent again needlessly */
    memmove(&b->range[i + 1], &b->range[j], (b->count - j) * sizeof b->range[0]);
    b->count = b->count - (j - i) + 1;
    b->range[i].left = left;
    b->range[i].right = right;
}

static void board_cut_below(struct pg_conn *c, uint32_t una)
{
    struct pg_scoreboard *b = c->board;
    uint32_t gone = 0;

    if (b == NULL)
        return;
    while (gone < b->count && TCP_SEQ_LEQ(b->range[gone].right, una))
        gone++;
    b->count -= gone;
    memmove(&b->range[0], &b->range[gone], b->count * sizeof b->range[0]);
    if (b->count == 0)
        pg_recovery_drop(c);
    else if (TCP_SEQ_LT(b->range[0].left, una))
        b->range[0].left = una;
}

void pg_recovery_drop(struct pg_conn *c)
{
    pg_lwip_free(c->board);
    c->board = NULL;
}

/* Bytes that have left the network without being acknowledged, as far as we were told. */
static uint32_t reported(const struct pg_conn *c)
{
    uint32_t sum = 0;

    if (c->board == NULL)
        return pg_min_u32(c->dupacks * (uint32_t)c->mss, c->pcb->snd_nxt - c->pcb->lastack);
    for (uint32_t i = 0; i < c->board->count; i++)
        sum += c->board->range[i].right - c->board->range[i].left;
    return sum;
}

/* The first hole at or behind `from` and below `limit`. false: none. */
static bool next_hole(const struct pg_conn *c, uint32_t from, uint32_t limit, uint32_t *ret_begin,
                      uint32_t *ret_end)
{
    uint32_t end = limit;

    for (uint32_t i = 0; c->board != NULL && i < c->board->count; i++) {
        if (TCP_SEQ_LEQ(c->board->range[i].right, from))
            continue;
        if (TCP_SEQ_GT(c->board->range[i].left, from)) {
            if (TCP_SEQ_LT(c->board->range[i].left, limit))
                end = c->board->range[i].left;
            break;
        }
        from = c->board->range[i].right;
    }
    if (!TCP_SEQ_LT(from, end))
        return false;
    *ret_begin = from;
    *ret_end = end;
    return true;
}

/* ---- sending again ---- */

/* Up to where holes count as lost. */
static uint32_t lost_below(const struct pg_conn *c)
{
    if (c->recovery == PG_RECOVERY_TIMEOUT)
        return c->recover;
    if (c->board != NULL)
        return c->board->range[c->board->count - 1].left;
    /* Without SACK one segment an acknowledgement is known to be lost; never beyond what was
     * sent. */
    return c->pcb->lastack + pg_min_u32(c->mss, c->pcb->snd_nxt - c->pcb->lastack);
}

static uint32_t lost_bytes(const struct pg_conn *c, uint32_t from, uint32_t limit)
{
    uint32_t begin;
    uint32_t end;
    uint32_t sum = 0;

    while (next_hole(c, from, limit, &begin, &end)) {
        sum += end - begin;
        from = end;
    }
    return sum;
}

/* Sends holes again while fewer bytes than the window are in the network; at least one segment if
 * `forced`. Leaves pcb->cwnd such that lwIP may send new data for what is left of the window. */
static void send_holes(struct pg_conn *c, bool forced)
{
    struct tcp_pcb *pcb = c->pcb;
    uint32_t limit = lost_below(c);
    uint32_t told = reported(c);
    uint32_t lost;
    uint32_t in_network;
    uint32_t begin;
    uint32_t end;

    if (TCP_SEQ_LT(c->resent_to, pcb->lastack))
        c->resent_to = pcb->lastack;
    lost = lost_bytes(c, c->resent_to, limit);
    in_network = pcb->snd_nxt - pcb->lastack - pg_min_u32(told + lost, pcb->snd_nxt - pcb->lastack);
    while (next_hole(c, c->resent_to, limit, &begin, &end)) {
        uint32_t room = c->window > in_network ? c->window - in_network : 0;
        uint32_t n = end - begin;

        if (n > room)
            n = room - room % c->mss;
        if (n == 0 && forced)
            n = pg_min_u32(end - begin, c->mss);
        if (n == 0)
            break;
        forced = false;
        if (begin == pcb->lastack)
            c->hole_sent_us = c->stack->now_us;
        pg_output_again(c, begin, begin + n);
        c->resent_to = begin + n;
        in_network += n;
        lost -= n;
    }
    pcb->cwnd = c->window + told + lost;
}

static void send_first_hole(struct pg_conn *c)
{
    uint32_t una = c->pcb->lastack;
    uint32_t begin;
    uint32_t end;

    if (!next_hole(c, una, c->pcb->snd_nxt, &begin, &end) || begin != una)
        return;
    c->hole_sent_us = c->stack->now_us;
    pg_output_again(c, una, una + pg_min_u32(end - una, c->mss));
}

/* ---- the window ---- */

void pg_recovery_open(struct pg_conn *c)
{
    c->window = INITIAL_WINDOW_MSS * (uint32_t)c->mss;
    c->threshold = UINT32_MAX;
    c->pcb->cwnd = c->window;
    c->pcb->ssthresh = 0; /* lwIP's slow start stays off */
    c->pcb->bytes_acked = 0;
}

static void grow(struct pg_conn *c, uint32_t acked)
{
    if (c->window < c->threshold) {
        c->window += acked;
    } else {
        c->avoided += acked;
        if (c->avoided >= c->window) {
            c->avoided -= c->window;
            c->window += c->mss;
        }
    }
    c->window = pg_min_u32(c->window, WINDOW_MAX);
}

static void enter_fast(struct pg_conn *c)
{
    c->recovery = PG_RECOVERY_FAST;
    c->recover = c->pcb->snd_nxt;
    c->resent_to = c->pcb->lastack;
    c->window = pg_max_u32(c->window / 10 * 7, 2 * (uint32_t)c->mss);
    c->threshold = c->window;
    c->avoided = 0;
    c->probes = 0;
    pg_rtt_cancel(c);
    send_holes(c, true);
}

void pg_recovery_timeout(struct pg_conn *c)
{
    uint32_t flight = c->pcb->snd_nxt - c->pcb->lastack;

    if (c->recovery != PG_RECOVERY_TIMEOUT)
        c->threshold = pg_max_u32(flight / 2, 2 * (uint32_t)c->mss);
    pg_recovery_drop(c); /* a receiver may take back what it reported, RFC 2018 8 */
    c->recovery = PG_RECOVERY_TIMEOUT;
    c->recover = c->pcb->snd_nxt;
    c->resent_to = c->pcb->lastack;
    c->window = c->mss;
    c->avoided = 0;
    c->dupacks = 0;
    c->flags |= PG_CONN_PROBED;
    send_holes(c, true);
}

static void leave(struct pg_conn *c)
{
    c->recovery = PG_RECOVERY_NONE;
    c->dupacks = 0;
    c->pcb->cwnd = c->window;
}

/* ---- what an acknowledgement says ---- */

/* In front of lwIP's state machine: with its counter at zero, its own fast retransmission never
 * begins. */
err_t pg_lwip_inpacket(struct tcp_pcb *pcb, struct tcp_hdr *hdr, u16_t opt_len, u16_t opt1_len,
                       u8_t *opt2, struct pbuf *p)
{
    LWIP_UNUSED_ARG(hdr);
    LWIP_UNUSED_ARG(opt_len);
    LWIP_UNUSED_ARG(opt1_len);
    LWIP_UNUSED_ARG(opt2);
    LWIP_UNUSED_ARG(p);
    if (pcb->state != LISTEN)
        pcb->dupacks = 0;
    return ERR_OK;
}

void pg_recovery_read_ack(const struct pg_packet *p, const struct tcp_pcb *pcb, struct pg_ack *ret)
{
    const uint8_t *at = p->head + p->l4_offset + 20;
    const uint8_t *end = p->head + p->payload_offset;

    ret->una = pcb->lastack;
    ret->wnd = pcb->snd_wnd;
    ret->flight = pcb->snd_nxt - pcb->lastack;
    ret->pure =
        pg_packet_payload_len(p) == 0 && !(p->tcp_flags & (PG_TCP_SYN | PG_TCP_FIN | PG_TCP_RST));
    ret->count = 0;
    if (!(pcb->flags & TF_SACK))
        return;
    while (at < end && at[0] != 0) { /* lengths were checked by filter.c */
        if (at[0] == 1) {
            at++;
            continue;
        }
        for (uint32_t i = 2; at[0] == 5 && i + 8 <= at[1] && ret->count < 4; i += 8, ret->count++) {
            uint32_t be[2];

            memcpy(be, at + i, sizeof be);
            ret->left[ret->count] = lwip_ntohl(be[0]);
            ret->right[ret->count] = lwip_ntohl(be[1]);
        }
        at += at[1];
    }
}

static void take_reports(struct pg_conn *c, const struct pg_ack *ack)
{
    uint32_t una = c->pcb->lastack;

    for (uint32_t i = 0; i < ack->count; i++) {
        uint32_t left = TCP_SEQ_LT(ack->left[i], una) ? una : ack->left[i];

        if (TCP_SEQ_LT(left, ack->right[i]) && TCP_SEQ_LEQ(ack->right[i], c->pcb->snd_nxt))
            board_add(c, left, ack->right[i]);
    }
    if (ack->pure && !(c->pcb->flags & TF_SACK) && una == ack->una && c->pcb->snd_wnd == ack->wnd &&
        ack->flight > 0 && c->dupacks < UINT8_MAX)
        c->dupacks++;
}

static void note_progress(struct pg_conn *c, uint32_t acked)
{
    uint64_t bytes = c->bytes_written - c->bytes_out;

    c->bytes_out += acked < bytes ? acked : bytes; /* SYN and FIN have numbers, too */
    c->backoff = 0;
    c->probes = 0;
    c->dupacks = 0;
    c->rto_due = 0; /* counts from now */
    c->probe_due = 0;
    c->flags &= (uint16_t)~PG_CONN_PROBED;
    c->hole_sent_us = c->stack->now_us;
    pg_rtt_acked(c, c->pcb->lastack);
    board_cut_below(c, c->pcb->lastack);
}

static bool is_loss(const struct pg_conn *c)
{
    if (c->board == NULL)
        return c->dupacks >= LOSS_MSS;
    return (c->flags & PG_CONN_PROBED) || reported(c) >= LOSS_MSS * (uint32_t)c->mss;
}

/* The retransmission of the first hole has been out for more than a round trip while other reports
 * come in. */
static bool first_hole_is_late(const struct pg_conn *c)
{
    return c->board != NULL && c->resent_to != c->pcb->lastack &&
           c->stack->now_us - c->hole_sent_us > c->srtt_us + c->srtt_us / 4 + 2000;
}

void pg_recovery_acked(struct pg_conn *c, const struct pg_ack *ack)
{
    struct tcp_pcb *pcb = c->pcb;
    uint32_t acked = pcb->lastack - ack->una;

    if (c->window == 0) {
        pg_recovery_open(c);
        pg_rtt_acked(c, pcb->lastack);
        return;
    }
    if (pcb->snd_wnd > 0)
        c->probes = c->recovery == PG_RECOVERY_FAST ? c->probes : 0;
    if (pcb->unacked == NULL)
        c->backoff = 0;
    if (acked > 0)
        note_progress(c, acked);
    take_reports(c, ack);
    pcb->bytes_acked = 0;
    if (c->recovery != PG_RECOVERY_NONE && TCP_SEQ_GEQ(pcb->lastack, c->recover))
        leave(c);
    if (c->recovery == PG_RECOVERY_NONE) {
        if (is_loss(c))
            enter_fast(c);
        else if (acked > 0 && ack->flight >= c->window / 2)
            grow(c, acked);
        if (c->recovery == PG_RECOVERY_NONE)
            pcb->cwnd = c->window;
        return;
    }
    if (c->recovery == PG_RECOVERY_TIMEOUT && acked > 0)
        grow(c, acked);
    if (c->recovery == PG_RECOVERY_FAST && first_hole_is_late(c))
        send_first_hole(c);
    send_holes(c, acked > 0 && c->board == NULL);
}

/* ---- probes ---- */

uint64_t pg_recovery_probe_in_ms(const struct pg_conn *c)
{
    uint64_t in = 2 * (uint64_t)c->srtt_us / 1000 + PROBE_SLACK_MS;

    if (c->pcb->unacked == NULL || c->srtt_us == 0)
        return 0;
    if (c->recovery == PG_RECOVERY_FAST)
        return c->probes < HOLE_PROBES ? in << c->probes : 0;
    if (c->recovery != PG_RECOVERY_NONE || (c->flags & PG_CONN_PROBED))
        return 0;
    if (c->pcb->snd_nxt - c->pcb->lastack <= c->mss)
        return 0; /* a lone segment's ACK may be delayed as long as the timeout: that does it */
    return in < pg_rto_ms(c) ? in : 0;
}

void pg_recovery_probe(struct pg_conn *c)
{
    struct tcp_pcb *pcb = c->pcb;

    if (pcb->unacked == NULL)
        return;
    if (c->recovery == PG_RECOVERY_FAST) {
        c->probes++;
        send_first_hole(c);
        return;
    }
    c->flags |= PG_CONN_PROBED;
    c->rto_due = 0; /* counts from the probe */
    pg_output_again(c, pcb->snd_nxt - pg_min_u32(c->mss, pcb->snd_nxt - pcb->lastack),
                    pcb->snd_nxt);
}
