/* A packet of ours leaves: from lwIP's pbufs, or from recovery.c, to the spine.
 *
 * Called by lwIP as the netif's output function, by recovery.c for what is sent again, and by
 * netif.c for resets. Hands one struct pg_packet to the output callback of the spine, which puts
 * NAT and the link behind it.
 *
 * The headers are copied to a scratch buffer first, because NAT rewrites them in place and lwIP
 * keeps its own for retransmission; payload is referenced (small packets are copied whole). Here
 * lwIP's blanks are filled in: DF and an IP id of the connection (lwIP's is one global counter,
 * which an idle scan could read), the IPv4 header sum, the partial TCP sum, and the segment size
 * that makes the device cut a super-segment. */
#include "stack_internal.h"

#include "podglass/checksum.h"
#include "podglass/dgram.h"

#include "lwip/hooks.h"

#include <string.h>

#define IP4_HEAD   20
#define IP6_HEAD   40
#define TCP_HEAD   20
#define PIECES_MAX 64

const struct tcp_pcb *pg_lwip_out_pcb;

/* What is sent, apart from its headers, which stand in the scratch buffer. */
struct payload {
    const struct pbuf *p;
    uint32_t skip;
    uint32_t len;
};

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static void read_addresses(struct pg_packet *out)
{
    if (out->ip_version == 4) {
        uint32_t be[2];

        memcpy(be, out->head + 12, sizeof be);
        out->tuple.src = pg_addr_from_v4_be(be[0]);
        out->tuple.dst = pg_addr_from_v4_be(be[1]);
        out->ttl = out->head[8];
    } else {
        out->tuple.src = pg_addr_from_v6(out->head + 8);
        out->tuple.dst = pg_addr_from_v6(out->head + 24);
        out->ttl = out->head[7];
    }
    out->tuple.src_port = get16(out->head + out->l4_offset);
    out->tuple.dst_port = get16(out->head + out->l4_offset + 2);
    out->tuple.proto = PG_PROTO_TCP;
}

static void finish_headers(struct pg_packet *out, uint16_t ip_id)
{
    uint8_t *tcp = out->head + out->l4_offset;
    uint16_t sum;

    if (out->ip_version == 4) {
        put16(out->head + 2, out->len);
        put16(out->head + 4, ip_id);
        put16(out->head + 6, 0x4000); /* DF: RFC 1191 */
        put16(out->head + 10, 0);
        sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, out->head, IP4_HEAD));
        memcpy(out->head + 10, &sum, sizeof sum);
    } else {
        put16(out->head + 4, out->len - IP6_HEAD);
    }
    sum = pg_sum_fold(
        pg_sum_pseudo(&out->tuple.src, &out->tuple.dst, PG_PROTO_TCP, out->len - out->l4_offset));
    memcpy(tcp + 16, &sum, sizeof sum);
}

/* References to the payload; -1: in more pieces than fit. */
static int reference(const struct payload *data, struct iovec iov[PIECES_MAX])
{
    const struct pbuf *p = data->p;
    uint32_t skip = data->skip;
    uint32_t left = data->len;
    int count = 0;

    for (; p != NULL && left > 0; p = p->next) {
        uint32_t n;

        if (skip >= p->len) {
            skip -= p->len;
            continue;
        }
        n = pg_min_u32(p->len - skip, left);
        if (count == PIECES_MAX)
            return -1;
        iov[count].iov_base = (uint8_t *)p->payload + skip;
        iov[count].iov_len = n;
        count++;
        left -= n;
        skip = 0;
    }
    return count;
}

static void copy_behind(struct pg_packet *out, const struct payload *data)
{
    pbuf_copy_partial(data->p, out->head + out->head_len, (u16_t)data->len, (u16_t)data->skip);
    out->head_len += data->len;
}

/* Sends the headers in s->scratch with the payload behind them. */
static void emit(struct pg_stack *s, struct pg_conn *c, uint32_t label, const struct payload *data)
{
    struct iovec iov[PIECES_MAX];
    struct pg_packet out;
    int pieces;

    memset(&out, 0, sizeof out);
    out.head = s->scratch;
    out.ip_version = s->scratch[0] >> 4;
    out.l4_offset = out.ip_version == 4 ? IP4_HEAD : IP6_HEAD;
    out.payload_offset = (uint16_t)(out.l4_offset + (s->scratch[out.l4_offset + 12] >> 4) * 4);
    out.head_len = out.payload_offset;
    out.len = out.head_len + data->len;
    out.proto = PG_PROTO_TCP;
    out.csum = PG_CSUM_PARTIAL;
    out.tcp_flags = s->scratch[out.l4_offset + 13] & 0x3f;
    out.entry_node = PG_NODE_NONE;
    out.label = label;
    out.answer_hint = c != NULL ? c->answer_hint : 0;
    read_addresses(&out);
    if (c != NULL && data->len > c->mss)
        out.gso_size = c->mss;
    if (out.len <= sizeof s->scratch) {
        copy_behind(&out, data);
    } else if ((pieces = reference(data, iov)) >= 0) {
        out.tail = iov;
        out.tail_count = (uint32_t)pieces;
    } else {
        memcpy(s->linear, s->scratch, out.head_len);
        out.head = s->linear;
        copy_behind(&out, data);
    }
    if (out.tcp_flags & PG_TCP_RST)
        s->counters->value[PG_COUNT_TCP_RESETS_OUT]++;
    finish_headers(&out, c != NULL ? c->ip_id : (uint16_t)pg_random_u64(s->random));
    if (c != NULL) /* the device numbers the packets it cuts onward from ours */
        c->ip_id = (uint16_t)(c->ip_id + 1 + (out.gso_size ? data->len / out.gso_size : 0));
    s->options.output(s->options.arg, &out);
}

static err_t output(struct netif *netif, struct pbuf *p, uint32_t l4_offset)
{
    struct pg_stack *s = netif->state;
    const struct tcp_pcb *pcb = pg_lwip_out_pcb;
    struct pg_conn *c = NULL;
    struct payload data = {.p = p};
    uint32_t label = 0;
    uint8_t *tcp;

    pg_lwip_out_pcb = NULL;
    if (pcb != NULL && pcb->state != LISTEN) {
        c = pg_conn_of_pcb(pcb);
        label = c != NULL ? c->label : pg_time_wait_label(pcb);
    }
    tcp = (uint8_t *)p->payload + l4_offset;
    data.skip = l4_offset + (uint32_t)(tcp[12] >> 4) * 4;
    data.len = p->tot_len - data.skip;
    LWIP_ASSERT("headers are in the first pbuf",
                data.skip <= p->len && data.skip <= PG_HEADERS_MAX);
    memcpy(s->scratch, p->payload, data.skip);
    /* lwIP announces 65,535 in a SYN, whatever the window is. */
    if ((tcp[13] & (PG_TCP_SYN | PG_TCP_ACK)) == PG_TCP_SYN)
        put16(s->scratch + l4_offset + 14, pg_min_u32(s->options.receive_window, 65535));
    emit(s, c, label, &data);
    return ERR_OK;
}

err_t pg_output_v4(struct netif *netif, struct pbuf *p, const ip4_addr_t *dst)
{
    LWIP_UNUSED_ARG(dst);
    return output(netif, p, IP4_HEAD);
}

err_t pg_output_v6(struct netif *netif, struct pbuf *p, const ip6_addr_t *dst)
{
    LWIP_UNUSED_ARG(dst);
    return output(netif, p, IP6_HEAD);
}

/* Headers of a data segment of c in the scratch buffer; lengths and sums follow in emit. */
static void write_headers(struct pg_conn *c, uint32_t seq, uint8_t flags)
{
    const struct tcp_pcb *pcb = c->pcb;
    uint8_t *ip = c->stack->scratch;
    uint8_t *tcp;

    memset(ip, 0, IP6_HEAD + TCP_HEAD);
    if (IP_IS_V6_VAL(pcb->remote_ip)) {
        ip[0] = 0x60;
        ip[6] = PG_PROTO_TCP;
        ip[7] = pcb->ttl;
        memcpy(ip + 8, ip_2_ip6(&pcb->local_ip)->addr, 16);
        memcpy(ip + 24, ip_2_ip6(&pcb->remote_ip)->addr, 16);
        tcp = ip + IP6_HEAD;
    } else {
        ip[0] = 0x45;
        ip[8] = pcb->ttl;
        ip[9] = PG_PROTO_TCP;
        memcpy(ip + 12, &ip_2_ip4(&pcb->local_ip)->addr, 4);
        memcpy(ip + 16, &ip_2_ip4(&pcb->remote_ip)->addr, 4);
        tcp = ip + IP4_HEAD;
    }
    put16(tcp, pcb->local_port);
    put16(tcp + 2, pcb->remote_port);
    put32(tcp + 4, seq);
    put32(tcp + 8, pcb->rcv_nxt);
    tcp[12] = TCP_HEAD / 4 << 4;
    tcp[13] = flags;
    put16(tcp + 14, pg_min_u32(pcb->rcv_ann_wnd >> pcb->rcv_scale, 65535));
}

void pg_output_again(struct pg_conn *c, uint32_t from, uint32_t to)
{
    struct tcp_pcb *pcb = c->pcb;

    for (const struct tcp_seg *seg = pcb->unacked; seg != NULL && TCP_SEQ_LT(from, to);
         seg = seg->next) {
        uint32_t begin = lwip_ntohl(seg->tcphdr->seqno);
        uint32_t data_end = begin + seg->len;
        uint32_t end = begin + TCP_TCPLEN(seg);
        uint8_t flags = PG_TCP_ACK;
        struct payload data = {.p = seg->p};

        if (TCP_SEQ_LEQ(end, from))
            continue;
        if (TCP_SEQ_LT(to, end))
            end = to;
        else
            flags |= TCPH_FLAGS(seg->tcphdr) & (PG_TCP_FIN | PG_TCP_PSH);
        data.len = TCP_SEQ_LT(data_end, end) ? data_end - from : end - from;
        data.skip = seg->p->tot_len - seg->len + (from - begin);
        write_headers(c, from, flags);
        emit(c->stack, c, c->label, &data);
        c->retransmits++;
        c->stack->counters->value[PG_COUNT_TCP_RETRANSMITS]++;
        from = end;
    }
    pg_rtt_cancel(c);
}

void pg_output_reset(struct pg_stack *s, const struct pg_packet *answered)
{
    struct payload none = {0};

    if (pg_reset_build(answered, s->scratch, sizeof s->scratch) == 0)
        return;
    emit(s, NULL, answered->label, &none);
}
