/* What must not reach lwIP. Stock TCP code trusts a segment more than a stranger deserves.
 *
 * Called by netif.c in front of tcp_input for every segment: pg_filter_packet looks at the packet
 * alone, pg_filter_decide at the packet and the pcb it belongs to. Both only decide; netif.c acts.
 * Closed here:
 *   - options that lie about their length, which lwIP's parser would follow past the header
 *   - a segment that reaches beyond the window, which lwIP would queue and later count twice
 *   - SYN|ACK to somebody who did not send a SYN, a second SYN with other options, SYN with FIN, no
 *     flags at all, an address that talks to itself
 *   - blind data, blind SYN and blind RST (RFC 5961): an ACK or sequence number out of range is
 *     answered, not believed
 *   - a bare ACK out of the window that says nothing new, which lwIP would answer each time: of two
 *     such ends neither would stop
 *   - a connection refused because its predecessor is still in TIME_WAIT (RFC 1122 4.2.2.13 allows
 *     it)
 * Not here: limits on how many connections there are (conn.c), checksums and lengths
 * (base/packet.c). */
#include "stack_internal.h"

#define OPT_END     0
#define OPT_NOP     1
#define OPT_MSS     2
#define OPT_SCALE   3
#define OPT_SACK_OK 4
#define OPT_SACK    5
#define OPT_TIMES   8

static bool option_len_fits(uint8_t kind, uint8_t len)
{
    switch (kind) {
    case OPT_MSS: return len == 4;
    case OPT_SCALE: return len == 3;
    case OPT_SACK_OK: return len == 2;
    case OPT_SACK: return len >= 10 && (len - 2) % 8 == 0;
    case OPT_TIMES: return len == 10;
    default: return len >= 2;
    }
}

static bool options_are_sound(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at != OPT_END) {
        if (*at == OPT_NOP) {
            at++;
            continue;
        }
        if (end - at < 2 || at[1] > end - at || !option_len_fits(at[0], at[1]))
            return false;
        at += at[1];
    }
    return true;
}

enum pg_drop pg_filter_packet(const struct pg_packet *p)
{
    uint8_t flags = p->tcp_flags;

    if (p->tuple.src_port == 0 || p->tuple.dst_port == 0)
        return PG_DROP_TCP_FILTER;
    if (p->tuple.src_port == p->tuple.dst_port && pg_addr_equal(&p->tuple.src, &p->tuple.dst))
        return PG_DROP_TCP_FILTER; /* LAND: it would answer itself */
    if ((flags & PG_TCP_SYN) && (flags & (PG_TCP_FIN | PG_TCP_RST)))
        return PG_DROP_TCP_FILTER;
    if (!(flags & (PG_TCP_SYN | PG_TCP_RST | PG_TCP_ACK)))
        return PG_DROP_TCP_FILTER; /* RFC 9293 3.10.7.4: no ACK, drop */
    if (!options_are_sound(p->head + p->l4_offset + 20, p->head + p->payload_offset))
        return PG_DROP_TCP_OPTIONS;
    return PG_DROP_NONE;
}

static enum pg_filter decide_syn_sent(const struct tcp_pcb *pcb, const struct pg_segment *seg)
{
    bool acks_our_syn = (seg->flags & PG_TCP_ACK) && seg->ack == pcb->snd_nxt;

    if (seg->flags & PG_TCP_RST)
        return acks_our_syn ? PG_FILTER_PASS : PG_FILTER_DROP;
    if ((seg->flags & PG_TCP_ACK) && !acks_our_syn)
        return PG_FILTER_RESET; /* the peer still has an older connection: end that */
    /* A SYN alone would be a simultaneous open, which lwIP cannot do but whose options it would
     * take over. */
    return (seg->flags & PG_TCP_SYN) && acks_our_syn ? PG_FILTER_PASS : PG_FILTER_DROP;
}

static enum pg_filter decide_syn(const struct tcp_pcb *pcb, const struct pg_segment *seg)
{
    if (pcb->state == SYN_RCVD && !(seg->flags & PG_TCP_ACK) && seg->seq == pcb->rcv_nxt - 1)
        return PG_FILTER_AGAIN;
    if (pcb->state == SYN_RCVD)
        return seg->flags & PG_TCP_ACK ? PG_FILTER_DROP : PG_FILTER_RENEW;
    if (pcb->state == TIME_WAIT && !(seg->flags & PG_TCP_ACK) && TCP_SEQ_GT(seg->seq, pcb->rcv_nxt))
        return PG_FILTER_REUSE;
    /* A peer that restarted answers the challenge with a reset, and its next SYN is accepted. */
    return PG_FILTER_CHALLENGE;
}

static enum pg_filter decide_reset(const struct tcp_pcb *pcb, const struct pg_segment *seg)
{
    if (pcb->state == TIME_WAIT)
        return PG_FILTER_DROP; /* RFC 1337 */
    if (seg->seq == pcb->rcv_nxt)
        return PG_FILTER_PASS;
    if (TCP_SEQ_GT(seg->seq, pcb->rcv_nxt) && TCP_SEQ_LT(seg->seq, pcb->rcv_nxt + pcb->rcv_wnd))
        return PG_FILTER_CHALLENGE;
    return PG_FILTER_DROP;
}

static enum pg_filter decide_window(const struct tcp_pcb *pcb, const struct pg_segment *seg)
{
    uint32_t edge = pcb->rcv_nxt + pcb->rcv_wnd;
    uint32_t end = seg->seq + seg->len + ((seg->flags & PG_TCP_FIN) ? 1 : 0);

    /* In order and too long is a window probe, or a sender that lwIP cuts to what fits. */
    if (TCP_SEQ_LEQ(end, edge) || TCP_SEQ_LEQ(seg->seq, pcb->rcv_nxt))
        return PG_FILTER_PASS;
    return PG_FILTER_CHALLENGE; /* early and beyond: nothing an honest sender does */
}

static bool repeats(const struct tcp_pcb *pcb, const struct pg_segment *seg)
{
    bool outside =
        TCP_SEQ_LT(seg->seq, pcb->rcv_nxt) || TCP_SEQ_GT(seg->seq, pcb->rcv_nxt + pcb->rcv_wnd);

    return outside && seg->len == 0 && !(seg->flags & PG_TCP_FIN) &&
           TCP_SEQ_LEQ(seg->ack, pcb->lastack);
}

enum pg_filter pg_filter_decide(const struct tcp_pcb *pcb, const struct pg_segment *seg)
{
    if (pcb->state == SYN_SENT)
        return decide_syn_sent(pcb, seg);
    if (seg->flags & PG_TCP_SYN)
        return decide_syn(pcb, seg);
    if (seg->flags & PG_TCP_RST)
        return decide_reset(pcb, seg);
    if (pcb->state == TIME_WAIT)
        return PG_FILTER_PASS;
    if (pcb->state == SYN_RCVD) {
        if (seg->ack != pcb->snd_nxt)
            return PG_FILTER_RESET;
    } else if (TCP_SEQ_GT(seg->ack, pcb->snd_nxt) ||
               TCP_SEQ_LT(seg->ack, pcb->lastack - pg_max_u32(pcb->snd_wnd_max, 65535))) {
        return PG_FILTER_CHALLENGE; /* RFC 5961 5.2 */
    }
    if (pcb->state != SYN_RCVD && repeats(pcb, seg))
        return PG_FILTER_REPEAT;
    return decide_window(pcb, seg);
}
