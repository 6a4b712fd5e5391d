/* Whole IP packets that need no connection: UDP answers of ours, and resets.
 *
 * Called by dns/ and app/ for UDP, by netif.c and app/path.c for resets. Writes into the caller's
 * buffer, with full sums, and keeps nothing. */
#include "podglass/dgram.h"

#include "podglass/checksum.h"

#include <string.h>

#define IP4_HEAD    20
#define IP6_HEAD    40
#define UDP_HEAD    8
#define TCP_HEAD    20
#define PAYLOAD_MAX 65000
#define HOPS        64

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

/* The IP header for l4_len bytes behind it. Returns its length. */
static uint32_t write_ip(const struct pg_tuple *t, uint8_t proto, uint32_t l4_len, uint8_t *out)
{
    uint16_t sum;

    if (!pg_addr_is_v4(&t->src)) {
        memset(out, 0, IP6_HEAD);
        out[0] = 0x60;
        put16(out + 4, l4_len);
        out[6] = proto;
        out[7] = HOPS;
        memcpy(out + 8, t->src.bytes, 16);
        memcpy(out + 24, t->dst.bytes, 16);
        return IP6_HEAD;
    }
    memset(out, 0, IP4_HEAD);
    out[0] = 0x45;
    put16(out + 2, IP4_HEAD + l4_len);
    out[6] = 0x40; /* DF; such a packet needs no id, RFC 6864 */
    out[8] = HOPS;
    out[9] = proto;
    memcpy(out + 12, t->src.bytes + 12, 4);
    memcpy(out + 16, t->dst.bytes + 12, 4);
    sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, out, IP4_HEAD));
    memcpy(out + 10, &sum, sizeof sum);
    return IP4_HEAD;
}

static uint16_t full_sum(const struct pg_tuple *t, uint8_t proto, const uint8_t *l4, uint32_t len)
{
    return (uint16_t)~pg_sum_fold(pg_sum_add(pg_sum_pseudo(&t->src, &t->dst, proto, len), l4, len));
}

static uint32_t ip_head(const struct pg_tuple *t)
{
    return pg_addr_is_v4(&t->src) ? IP4_HEAD : IP6_HEAD;
}

uint32_t pg_dgram_build(const struct pg_tuple *tuple, const void *payload, uint32_t len,
                        uint8_t *out, uint32_t room)
{
    uint8_t *udp = out + ip_head(tuple);
    uint16_t sum;

    if (len > PAYLOAD_MAX || room < ip_head(tuple) + UDP_HEAD + len)
        return 0;
    write_ip(tuple, PG_PROTO_UDP, UDP_HEAD + len, out);
    put16(udp, tuple->src_port);
    put16(udp + 2, tuple->dst_port);
    put16(udp + 4, UDP_HEAD + len);
    put16(udp + 6, 0);
    if (len > 0)
        memcpy(udp + UDP_HEAD, payload, len);
    sum = full_sum(tuple, PG_PROTO_UDP, udp, UDP_HEAD + len);
    if (sum == 0) /* means "no sum" in UDP */
        sum = 0xffff;
    memcpy(udp + 6, &sum, sizeof sum);
    return ip_head(tuple) + UDP_HEAD + len;
}

uint32_t pg_reset_build(const struct pg_packet *p, uint8_t *out, uint32_t room)
{
    struct pg_tuple t = pg_tuple_invert(&p->tuple);
    uint8_t *tcp = out + ip_head(&t);
    uint16_t sum;

    if (p->proto != PG_PROTO_TCP || (p->tcp_flags & PG_TCP_RST) || room < ip_head(&t) + TCP_HEAD)
        return 0;
    write_ip(&t, PG_PROTO_TCP, TCP_HEAD, out);
    memset(tcp, 0, TCP_HEAD);
    put16(tcp, t.src_port);
    put16(tcp + 2, t.dst_port);
    tcp[12] = TCP_HEAD / 4 << 4;
    if (p->tcp_flags & PG_TCP_ACK) {
        put32(tcp + 4, pg_packet_tcp_ack(p));
        tcp[13] = PG_TCP_RST;
    } else {
        put32(tcp + 8, pg_packet_tcp_seq(p) + pg_packet_payload_len(p) +
                           ((p->tcp_flags & PG_TCP_SYN) ? 1 : 0) +
                           ((p->tcp_flags & PG_TCP_FIN) ? 1 : 0));
        tcp[13] = PG_TCP_RST | PG_TCP_ACK;
    }
    sum = full_sum(&t, PG_PROTO_TCP, tcp, TCP_HEAD);
    memcpy(tcp + 16, &sum, sizeof sum);
    return ip_head(&t) + TCP_HEAD;
}
