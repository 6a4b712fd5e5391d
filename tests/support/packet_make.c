/* Packets for tests. The sums are computed here in the plainest way, on purpose not with
 * base/checksum.c. */
#include "packet_make.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t last_id;

struct pg_addr pg_make_addr(const char *text)
{
    struct pg_addr a;

    if (pg_addr_parse(text, strlen(text), &a) != 0) {
        fprintf(stderr, "not an address: %s\n", text);
        abort();
    }
    return a;
}

struct pg_tuple pg_make_tuple(uint8_t proto, const char *src, uint16_t src_port, const char *dst,
                              uint16_t dst_port)
{
    return (struct pg_tuple){.src = pg_make_addr(src),
                             .dst = pg_make_addr(dst),
                             .src_port = src_port,
                             .dst_port = dst_port,
                             .proto = proto};
}

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

static uint32_t get16(const uint8_t *at)
{
    return (uint32_t)at[0] << 8 | at[1];
}

/* Big-endian sum of 16-bit words, not folded. */
static uint32_t sum_bytes(uint32_t sum, const uint8_t *at, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        sum += i & 1 ? at[i] : (uint32_t)at[i] << 8;
    return sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static uint32_t pseudo(const uint8_t *ip, uint8_t proto, uint32_t l4_len)
{
    bool v4 = ip[0] >> 4 == 4;
    uint32_t sum = sum_bytes(0, ip + (v4 ? 12 : 8), v4 ? 8 : 32);

    return sum + proto + (l4_len >> 16) + (l4_len & 0xffff);
}

static uint32_t sum_at(uint8_t proto)
{
    return proto == PG_PROTO_TCP ? 16 : proto == PG_PROTO_UDP ? 6 : 2;
}

/* Fills the transport sum, then parses. */
static void finish(struct pg_made *m, uint32_t len)
{
    uint8_t *ip = m->bytes;
    bool v4 = ip[0] >> 4 == 4;
    uint32_t head = v4 ? 20 : 40;
    uint8_t proto = v4 ? ip[9] : ip[6];
    uint8_t *field = ip + head + sum_at(proto);
    enum pg_drop drop = PG_DROP_NONE;

    put16(field, 0);
    uint32_t sum = proto == PG_PROTO_ICMP ? 0 : pseudo(ip, proto, len - head);
    uint16_t value = (uint16_t)~fold(sum_bytes(sum, ip + head, len - head));
    put16(field, proto == PG_PROTO_UDP && value == 0 ? 0xffff : value);
    m->p = (struct pg_packet){
        .head = ip, .head_len = len, .len = len, .entry_node = PG_NODE_NONE, .id = ++last_id};
    if (!pg_packet_parse(&m->p, &drop)) {
        fprintf(stderr, "a made packet does not parse: %s\n", pg_drop_name(drop));
        abort();
    }
}

/* IP header for l4_len bytes; returns where the transport begins. */
static uint8_t *ip_head(struct pg_made *m, const struct pg_addr *src, const struct pg_addr *dst,
                        uint8_t proto, uint32_t l4_len)
{
    uint8_t *ip = m->bytes;

    memset(m->bytes, 0, sizeof(m->bytes));
    if (!pg_addr_is_v4(src)) {
        ip[0] = 0x60;
        put16(ip + 4, l4_len);
        ip[6] = proto;
        ip[7] = 64;
        memcpy(ip + 8, src->bytes, 16);
        memcpy(ip + 24, dst->bytes, 16);
        return ip + 40;
    }
    ip[0] = 0x45;
    put16(ip + 2, 20 + l4_len);
    put16(ip + 4, (uint32_t)last_id * 7);
    ip[8] = 64;
    ip[9] = proto;
    memcpy(ip + 12, src->bytes + 12, 4);
    memcpy(ip + 16, dst->bytes + 12, 4);
    put16(ip + 10, (uint16_t)~fold(sum_bytes(0, ip, 20)));
    return ip + 20;
}

static void fill_payload(uint8_t *at, uint32_t len)
{
    for (uint32_t i = 0; i < len; i++)
        at[i] = (uint8_t)(i * 31 + 7);
}

void pg_make_tcp(struct pg_made *m, const struct pg_tuple *t, uint8_t flags, uint32_t seq,
                 uint32_t ack, uint32_t payload_len)
{
    uint8_t *tcp = ip_head(m, &t->src, &t->dst, PG_PROTO_TCP, 20 + payload_len);

    put16(tcp, t->src_port);
    put16(tcp + 2, t->dst_port);
    put32(tcp + 4, seq);
    put32(tcp + 8, ack);
    tcp[12] = 0x50;
    tcp[13] = flags;
    put16(tcp + 14, 64000);
    fill_payload(tcp + 20, payload_len);
    finish(m, (uint32_t)(tcp - m->bytes) + 20 + payload_len);
}

void pg_make_udp(struct pg_made *m, const struct pg_tuple *t, uint32_t payload_len)
{
    uint8_t *udp = ip_head(m, &t->src, &t->dst, PG_PROTO_UDP, 8 + payload_len);

    put16(udp, t->src_port);
    put16(udp + 2, t->dst_port);
    put16(udp + 4, 8 + payload_len);
    fill_payload(udp + 8, payload_len);
    finish(m, (uint32_t)(udp - m->bytes) + 8 + payload_len);
}

void pg_make_echo(struct pg_made *m, const struct pg_tuple *t)
{
    uint8_t *icmp = ip_head(m, &t->src, &t->dst, t->proto, 24);

    put16(icmp, t->dst_port);
    put16(icmp + 4, t->src_port);
    put16(icmp + 6, 1);
    fill_payload(icmp + 8, 16);
    finish(m, (uint32_t)(icmp - m->bytes) + 24);
}

void pg_make_first(struct pg_made *m, const struct pg_tuple *t)
{
    if (t->proto == PG_PROTO_TCP)
        pg_make_tcp(m, t, PG_TCP_SYN, 1000, 0, 0);
    else if (t->proto == PG_PROTO_UDP)
        pg_make_udp(m, t, 11);
    else
        pg_make_echo(m, t);
}

void pg_make_error(struct pg_made *m, uint8_t type, uint8_t code, const struct pg_addr *from,
                   const struct pg_packet *about, uint32_t quote_len)
{
    uint8_t proto = about->ip_version == 4 ? PG_PROTO_ICMP : PG_PROTO_ICMP6;
    uint32_t len = quote_len && quote_len < about->len ? quote_len : about->len;
    uint8_t *icmp = ip_head(m, from, &about->tuple.src, proto, 8 + len);

    icmp[0] = type;
    icmp[1] = code;
    memcpy(icmp + 8, about->head, len);
    finish(m, (uint32_t)(icmp - m->bytes) + 8 + len);
}

void pg_make_partial(struct pg_made *m)
{
    uint8_t *field = m->bytes + m->p.l4_offset + sum_at(m->p.proto);

    put16(field, fold(pseudo(m->bytes, m->p.proto, m->p.len - m->p.l4_offset)));
    m->p.csum = PG_CSUM_PARTIAL;
}

static void repair_l4(uint8_t *ip, uint32_t head, uint8_t proto, uint32_t len, bool partial)
{
    uint32_t field = head + sum_at(proto);
    bool known = proto == PG_PROTO_TCP || proto == PG_PROTO_UDP ||
                 proto == (head == 20 ? PG_PROTO_ICMP : PG_PROTO_ICMP6);

    if (!known || len < field + 2)
        return;
    if (proto == PG_PROTO_UDP && len >= head + 8)
        put16(ip + head + 4, len - head);
    put16(ip + field, 0);
    uint32_t sum = proto == PG_PROTO_ICMP ? 0 : pseudo(ip, proto, len - head);
    if (partial && (proto == PG_PROTO_TCP || proto == PG_PROTO_UDP)) {
        put16(ip + field, fold(sum));
        return;
    }
    uint16_t value = (uint16_t)~fold(sum_bytes(sum, ip + head, len - head));
    put16(ip + field, proto == PG_PROTO_UDP && value == 0 ? 0xffff : value);
}

void pg_make_repair(uint8_t *bytes, uint32_t len, bool partial)
{
    if (len >= 20 && bytes[0] >> 4 == 4) {
        bytes[0] = 0x45;
        put16(bytes + 2, len);
        put16(bytes + 6, 0);
        put16(bytes + 10, 0);
        put16(bytes + 10, (uint16_t)~fold(sum_bytes(0, bytes, 20)));
        repair_l4(bytes, 20, bytes[9], len, partial);
    } else if (len >= 40 && bytes[0] >> 4 == 6) {
        put16(bytes + 4, len - 40);
        repair_l4(bytes, 40, bytes[6], len, partial);
    }
}

/* ---- checking ---- */

static bool ip_sum_right(const uint8_t *ip)
{
    return ip[0] >> 4 != 4 || fold(sum_bytes(0, ip, 20)) == 0xffff;
}

/* The transport sum over what is there; a UDP sum of zero means none. */
static bool l4_sum_right(const uint8_t *ip, uint32_t l4, uint8_t proto, uint32_t len)
{
    bool known = proto == PG_PROTO_TCP || proto == PG_PROTO_UDP || proto == PG_PROTO_ICMP ||
                 proto == PG_PROTO_ICMP6;

    if (!known || (proto == PG_PROTO_UDP && get16(ip + l4 + 6) == 0))
        return true; /* others pass as they are */
    uint32_t sum = proto == PG_PROTO_ICMP ? 0 : pseudo(ip, proto, len - l4);

    return fold(sum_bytes(sum, ip + l4, len - l4)) == 0xffff;
}

/* A quote that is whole must have right sums, too; of a cut one only the IP header's can be told. */
bool pg_made_quote_is_right(const struct pg_packet *p)
{
    struct pg_tuple t;
    uint16_t at;

    if (!pg_packet_quoted(p, &t, &at))
        return true;
    const uint8_t *ip = p->head + at;
    uint32_t here = p->head_len - at;
    uint32_t whole = p->ip_version == 4 ? get16(ip + 2) : 40 + get16(ip + 4);
    uint32_t l4 = p->ip_version == 4 ? 20 : 40;

    if (here < l4 || !ip_sum_right(ip))
        return false;
    return here < whole || l4_sum_right(ip, l4, t.proto, whole);
}

bool pg_made_is_right(const struct pg_packet *p)
{
    uint8_t copy_head[PG_MADE_BYTES];
    struct pg_packet again = *p;
    enum pg_drop drop;

    if (!ip_sum_right(p->head))
        return false;
    if (p->csum == PG_CSUM_PARTIAL) {
        uint32_t field = get16(p->head + p->l4_offset + sum_at(p->proto));
        /* 0 and 0xffff are the same sum */
        if (field % 0xffff != fold(pseudo(p->head, p->proto, p->len - p->l4_offset)) % 0xffff)
            return false;
    } else if (!l4_sum_right(p->head, p->l4_offset, p->proto, p->len)) {
        return false;
    }
    if (p->head_len > sizeof(copy_head))
        return false;
    memcpy(copy_head, p->head, p->head_len);
    again.head = copy_head;
    return pg_packet_parse(&again, &drop) && pg_tuple_equal(&again.tuple, &p->tuple);
}
