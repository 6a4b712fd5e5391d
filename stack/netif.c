/* A TCP packet for one of our addresses enters.
 *
 * Called by app/path.c for each packet that nat/ left addressed to us. It goes through filter.c,
 * finds its pcb in the bucket of its tuple and is handed straight to tcp_input: lwIP's IP input,
 * which takes one address and no other, is never used. Afterwards recovery.c, send.c and timer.c
 * look at what the segment changed, and owners are told (turn.c).
 *
 * A payload that is worth it keeps the buffer it came in, by reference; a smaller one is copied, so
 * that it does not hold 64 KiB. lwIP writes to the header it is given, so a buffer is handed over
 * only when the caller gave it away. */
#include "stack_internal.h"

#include "podglass/buf.h"
#include "podglass/log.h"

#include <errno.h>
#include <string.h>

#define HALF_OPEN_PARTS \
    4 /* of the connection limit: a flood of SYNs leaves room for what is open */
#define CHALLENGES_A_SECOND 1000 /* RFC 5961 7 */
#define CHALLENGE_MS        500  /* of one connection; as Linux' tcp_invalid_ratelimit */
#define EVICT_LOOKS         64   /* when a quarter is half open, all fail once in 10^8 */
#define EVICT_CHOICE        8    /* of which the oldest goes */
#define COPY_BREAK          8192
#define OWNER_BYTES         256 /* of an owner's struct, that it looks at first */

/* ---- bytes ---- */

struct kept_packet {
    struct pbuf_custom custom;
    struct pg_buf *buf;
};

static void on_pbuf_free(struct pbuf *p)
{
    struct kept_packet *k = (struct kept_packet *)(void *)p;

    pg_buf_put(k->buf);
    pg_lwip_free(k);
}

static struct pbuf *keep(struct pg_packet *p, uint32_t len)
{
    struct kept_packet *k = pg_lwip_malloc(sizeof *k);

    if (k == NULL)
        return NULL;
    k->custom.custom_free_function = on_pbuf_free;
    k->buf = p->buf;
    p->buf = NULL;
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_REF, &k->custom, p->head + p->l4_offset,
                               UINT16_MAX);
}

/* The packet from its TCP header on. */
static struct pbuf *to_pbuf(struct pg_packet *p)
{
    uint32_t len = p->len - p->l4_offset;
    struct pbuf *b;

    if (p->buf != NULL && pg_packet_payload_len(p) > COPY_BREAK)
        return keep(p, len);
    b = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
    if (b != NULL)
        memcpy(b->payload, p->head + p->l4_offset, len);
    return b;
}

/* ---- answers of our own ---- */

static bool was_told_lately(struct pg_stack *s, struct pg_conn *c)
{
    uint32_t now = (uint32_t)pg_stack_now_ms(s) | 1;

    if (c->told_ms != 0 && now - c->told_ms < CHALLENGE_MS)
        return true;
    c->told_ms = now;
    return false;
}

static void challenge(struct pg_stack *s, struct tcp_pcb *pcb, uint32_t bucket)
{
    struct pg_conn *c = pg_conn_of_pcb(pcb);
    uint64_t second = s->now_us / 1000000;
    uint32_t before;

    if (c != NULL && was_told_lately(s, c))
        return;
    if (second != s->challenge_second) {
        s->challenge_second = second;
        s->challenges = 0;
    }
    if (s->challenges >= CHALLENGES_A_SECOND)
        return;
    s->challenges++;
    before = pg_bucket_enter(bucket);
    tcp_send_empty_ack(pcb);
    pg_bucket_leave(before);
}

static void answer_syn_again(struct pg_conn *c)
{
    uint32_t before = pg_bucket_enter(c->bucket);

    pg_rtt_cancel(c);
    tcp_rexmit_rto(c->pcb);
    c->retransmits++;
    c->stack->counters->value[PG_COUNT_TCP_RETRANSMITS]++;
    pg_bucket_leave(before);
}

/* Acts on what the filter says. PG_DROP_NONE: the segment goes on, or was dealt with
 * (*ret_done). */
static enum pg_drop obey(struct pg_stack *s, const struct pg_packet *p, struct tcp_pcb **pcb,
                         uint32_t bucket, const struct pg_segment *seg, bool *ret_done)
{
    *ret_done = false;
    switch (pg_filter_decide(*pcb, seg)) {
    case PG_FILTER_PASS: return PG_DROP_NONE;
    case PG_FILTER_DROP: return PG_DROP_TCP_FILTER;
    case PG_FILTER_CHALLENGE: challenge(s, *pcb, bucket); return PG_DROP_TCP_FILTER;
    case PG_FILTER_RESET: pg_output_reset(s, p); return PG_DROP_TCP_FILTER;
    case PG_FILTER_REPEAT:
        challenge(s, *pcb, bucket);
        *ret_done = true;
        return PG_DROP_NONE;
    case PG_FILTER_AGAIN:
        answer_syn_again(pg_conn_of_pcb(*pcb));
        *ret_done = true;
        return PG_DROP_NONE;
    case PG_FILTER_RENEW:
        pg_conn_drop_pcb(pg_conn_of_pcb(*pcb), false);
        *pcb = NULL;
        return PG_DROP_NONE;
    case PG_FILTER_REUSE:
        pg_stack_isn_above(s, (*pcb)->snd_nxt);
        pg_time_wait_end(s, *pcb);
        *pcb = NULL;
        return PG_DROP_NONE;
    }
    return PG_DROP_TCP_FILTER;
}

/* Many connections are half open: the oldest of eight drawn by lot makes room. Under a flood of SYNs
 * that nobody completes nearly all are of that kind and nearly as old as they get, so a handshake that
 * is completed within a round trip or two is hardly ever hit. false: none was found. */
static bool evict_half_open(struct pg_stack *s)
{
    struct pg_conn *oldest = NULL;
    uint32_t found = 0;

    for (uint32_t i = 0; i < EVICT_LOOKS && found < EVICT_CHOICE; i++) {
        uint32_t index = pg_random_below(s->random, pg_pool_high_water(s->conns));
        struct pg_conn *c;

        if (!pg_pool_in_use(s->conns, index))
            continue;
        c = pg_pool_at(s->conns, index);
        if (c->pcb == NULL || c->pcb->state != SYN_RCVD)
            continue;
        found++;
        if (oldest == NULL || c->opened_us < oldest->opened_us)
            oldest = c;
    }
    if (oldest == NULL)
        return false;
    pg_conn_drop_pcb(oldest, false);
    s->counters->value[PG_COUNT_TCP_HALF_OPEN_EVICTED]++;
    return true;
}

/* A packet that belongs to no connection: may it begin one? Then the listener is made ready for
 * it. */
static enum pg_drop admit(struct pg_stack *s, const struct pg_packet *p)
{
    const struct pg_stack_options *o = &s->options;

    if ((p->tcp_flags & (PG_TCP_SYN | PG_TCP_ACK | PG_TCP_RST)) != PG_TCP_SYN ||
        o->listener(o->arg, &p->tuple) == NULL) {
        pg_output_reset(s, p);
        return PG_DROP_NO_LISTENER;
    }
    if (pg_pool_used(s->conns) >= o->conn_limit)
        return PG_DROP_CONN_LIMIT;
    if (s->half_open >= pg_max_u32(o->conn_limit / HALF_OPEN_PARTS, 1) && !evict_half_open(s))
        return PG_DROP_CONN_LIMIT;
    s->syn = &p->tuple;
    s->syn_label = o->label_of != NULL ? o->label_of(o->arg, &p->tuple) : 0;
    s->listener->local_port = p->tuple.dst_port;
    return PG_DROP_NONE;
}

/* ---- lwIP, and what it changed ---- */

static void call_lwip(const struct pg_packet *p, struct pbuf *b)
{
    memset(&ip_data, 0, sizeof ip_data);
    ip_data.current_netif = ip_data.current_input_netif = pg_stack_netif();
    pg_addr_to_lwip(&p->tuple.src, &ip_data.current_iphdr_src);
    pg_addr_to_lwip(&p->tuple.dst, &ip_data.current_iphdr_dest);
    tcp_input(b, pg_stack_netif());
}

/* The connection that a SYN made, if it did. */
static void after_syn(struct pg_stack *s, const struct pg_packet *p, uint32_t bucket)
{
    struct tcp_pcb *pcb = pg_bucket_find(bucket, &p->tuple);
    struct pg_conn *c = pcb != NULL ? pg_conn_of_pcb(pcb) : NULL;

    s->listener->local_port = 0;
    s->syn = NULL;
    if (c == NULL)
        return;
    c->answer_hint = p->answer_hint;
    pg_rtt_start(c, pcb->snd_nxt);
    pg_timer_update(c);
}

static void after_segment(struct pg_conn *c, const struct pg_ack *ack, uint32_t payload_len)
{
    struct tcp_pcb *pcb = c->pcb;

    if (pcb == NULL)
        return;
    if (pcb->state == TIME_WAIT) {
        pg_time_wait_take(c);
        pg_conn_gone(c, 0);
        return;
    }
    if (c->flags & PG_CONN_OPEN) {
        pg_recovery_acked(c, ack);
        pg_send_fill(c);
    }
    /* lwIP delays the ACK of a super-segment as if it were one; its sender counts the segments in
     * it. */
    if (payload_len > c->mss && (pcb->flags & TF_ACK_DELAY)) {
        tcp_ack_now(pcb);
        pg_stack_todo(c);
    }
    pg_timer_update(c);
}

static void give_to_conn(struct pg_conn *c, const struct pg_packet *p, const struct pg_segment *seg,
                         struct pbuf *b)
{
    struct tcp_pcb *pcb = c->pcb;
    struct pg_ack ack;
    bool lift;

    c->answer_hint = p->answer_hint;
    pg_recovery_read_ack(p, pcb, &ack);
    /* While its window is shut lwIP answers every pure ACK, and two such ends would never stop. */
    lift = ack.pure && pcb->rcv_wnd == 0 && seg->seq == pcb->rcv_nxt;
    if (lift)
        pcb->rcv_wnd = 1;
    call_lwip(p, b);
    if (lift && c->pcb == pcb)
        pcb->rcv_wnd--;
    after_segment(c, &ack, seg->len);
}

struct pg_conn *pg_conn_of_pcb(const struct tcp_pcb *pcb)
{
    return pcb->ext_args[0].callbacks == &pg_conn_pcb_callbacks ? pcb->ext_args[0].data : NULL;
}

/* The same for what stands behind the pcb: both are wanted some hundred instructions later. */
static void fetch(const void *at, size_t len)
{
    for (size_t i = 0; at != NULL && i < len; i += 64)
        __builtin_prefetch((const uint8_t *)at + i);
}

enum pg_drop pg_netif_input(struct pg_stack *s, struct pg_packet *p, uint64_t now_us)
{
    uint32_t bucket = pg_bucket_of(&p->tuple);
    struct tcp_pcb *pcb = pg_bucket_find(bucket, &p->tuple);
    struct pg_segment seg = {pg_packet_tcp_seq(p), pg_packet_tcp_ack(p), pg_packet_payload_len(p),
                             p->tcp_flags};
    struct pg_conn *c = pcb != NULL ? pg_conn_of_pcb(pcb) : NULL;
    enum pg_drop drop;
    struct pbuf *b;
    uint32_t before;
    bool done = false;

    PG_ASSERT(p->tail_count == 0);
    if (c != NULL)
        fetch(c, sizeof *c);
    pg_stack_set_time(s, now_us);
    drop = pg_filter_packet(p);
    if (drop == PG_DROP_NONE && pcb != NULL)
        drop = obey(s, p, &pcb, bucket, &seg, &done);
    if (drop == PG_DROP_NONE && pcb == NULL)
        drop = admit(s, p);
    if (drop != PG_DROP_NONE || done)
        return drop;
    b = to_pbuf(p);
    if (b == NULL)
        return PG_DROP_NO_BUFFER;
    if (c != NULL)
        fetch(c->owner, OWNER_BYTES);
    before = pg_bucket_enter(bucket);
    if (pcb == NULL) {
        call_lwip(p, b);
        after_syn(s, p, bucket);
    } else if (pcb->state == TIME_WAIT) {
        call_lwip(p, b);
        if (seg.flags & PG_TCP_FIN)
            pg_time_wait_again(s, pcb);
    } else {
        give_to_conn(pg_conn_of_pcb(pcb), p, &seg, b);
    }
    pg_bucket_leave(before);
    pg_stack_deliver(s);
    return PG_DROP_NONE;
}

void pg_stack_icmp_error(struct pg_stack *s, const struct pg_tuple *quoted, uint8_t type,
                         uint8_t code)
{
    struct pg_tuple received = pg_tuple_invert(quoted);
    bool v4 = pg_addr_is_v4(&quoted->dst);
    struct tcp_pcb *pcb = pg_bucket_find(pg_bucket_of(&received), &received);
    struct pg_conn *c;
    bool refused;

    PG_ASSERT(pcb == NULL || pcb->state == TIME_WAIT || pg_conn_of_pcb(pcb)->stack == s);
    if (type != (v4 ? 3 : 1) || (v4 && code == 4)) /* destination unreachable, but not "too big" */
        return;
    if (pcb == NULL || pcb->state != SYN_SENT)
        return; /* RFC 5927: an open connection survives what anybody can forge */
    c = pg_conn_of_pcb(pcb);
    refused = v4 ? code == 2 || code == 3 : code == 4;
    pg_conn_drop_pcb(c, false);
    pg_conn_gone(c, refused ? -ECONNREFUSED : -EHOSTUNREACH);
}

void pg_stack_path_mtu(struct pg_stack *s, const struct pg_tuple *quoted, uint32_t mtu)
{
    struct pg_tuple received = pg_tuple_invert(quoted);
    uint32_t heads = pg_addr_is_v4(&quoted->dst) ? 40 : 60;
    struct tcp_pcb *pcb = pg_bucket_find(pg_bucket_of(&received), &received);
    struct pg_conn *c = pcb != NULL ? pg_conn_of_pcb(pcb) : NULL;

    if (c == NULL || !(c->flags & PG_CONN_OPEN) || mtu <= heads || mtu - heads >= c->mss)
        return;
    PG_ASSERT(c->stack == s);
    pg_conn_set_mss(c, pcb, mtu - heads);
    if (pcb->unacked != NULL)
        pg_recovery_timeout(c);
    pg_timer_update(c);
}
