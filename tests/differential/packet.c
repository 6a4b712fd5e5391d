/* Bytes of packets: made from what a step says, and made comparable after they have been through a side.
 *
 * Sums are computed here, from the bytes alone, by code that neither side uses. */
#include "differential.h"

#include <arpa/inet.h>
#include <string.h>

#define IP_HEAD     20u
#define ICMP_HEAD   8u
#define UNFORWARDED 64 /* time to live of what nobody has forwarded */

static uint16_t get16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
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

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)get16(at) << 16 | get16(at + 2);
}

/* ---- sums ---- */

static uint32_t add(uint32_t sum, const uint8_t *at, uint32_t len)
{
    for (uint32_t i = 0; i + 1 < len; i += 2) {
        sum += get16(at + i);
    }
    return len & 1 ? sum + ((uint32_t)at[len - 1] << 8) : sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)sum;
}

static uint16_t l4_sum(const uint8_t *ip, uint32_t len)
{
    const uint8_t *l4 = ip + IP_HEAD;
    uint32_t l4_len = len - IP_HEAD;
    uint32_t sum = ip[9] == PG_PROTO_ICMP ? 0 : add(ip[9] + l4_len, ip + 12, 8);

    return fold(add(sum, l4, l4_len));
}

/* Where the transport's sum stands; 0: nowhere. */
static uint32_t sum_at(uint8_t proto)
{
    switch (proto) {
    case PG_PROTO_TCP: return IP_HEAD + 16;
    case PG_PROTO_UDP: return IP_HEAD + 6;
    case PG_PROTO_ICMP: return IP_HEAD + 2;
    default: return 0;
    }
}

static void set_ip_sum(uint8_t *ip)
{
    put16(ip + 10, 0);
    put16(ip + 10, (uint16_t)~fold(add(0, ip, IP_HEAD)));
}

bool packet_sums_right(const struct bytes *b)
{
    bool fragment = (get16(b->at + 6) & 0x3fff) != 0;
    bool none = b->at[9] == PG_PROTO_UDP && get16(b->at + IP_HEAD + 6) == 0;

    if (fold(add(0, b->at, IP_HEAD)) != 0xffff) {
        return false;
    }
    return fragment || none || sum_at(b->at[9]) == 0 || l4_sum(b->at, b->len) == 0xffff;
}

/* ---- making ---- */

static void put_ip(uint8_t *ip, uint32_t len, const struct pg_addr *src, const struct pg_addr *dst,
                   uint8_t proto, uint8_t ttl, uint16_t id)
{
    memset(ip, 0, IP_HEAD);
    ip[0] = 0x45;
    put16(ip + 2, len);
    put16(ip + 4, id);
    ip[8] = ttl;
    ip[9] = proto;
    memcpy(ip + 12, src->bytes + 12, 4);
    memcpy(ip + 16, dst->bytes + 12, 4);
    set_ip_sum(ip);
}

static uint32_t put_l4(uint8_t *l4, const struct pg_tuple *t, const struct content *c)
{
    if (c->proto == PG_PROTO_ICMP) {
        memset(l4, 0, ICMP_HEAD);
        l4[0] = c->icmp_type;
        put16(l4 + 4, t->src_port);
        put16(l4 + 6, c->ip_id);
        return ICMP_HEAD;
    }
    put16(l4, t->src_port);
    put16(l4 + 2, t->dst_port);
    if (c->proto == PG_PROTO_UDP) {
        put16(l4 + 4, 8u + c->payload);
        put16(l4 + 6, 0);
        return 8;
    }
    put32(l4 + 4, c->seq);
    put32(l4 + 8, c->ack);
    l4[12] = (uint8_t)((20u + c->options_len) / 4 << 4);
    l4[13] = c->tcp_flags;
    put16(l4 + 14, c->window);
    put32(l4 + 16, 0);
    memcpy(l4 + 20, c->options, c->options_len);
    return 20u + c->options_len;
}

void packet_build(struct bytes *b, const struct pg_tuple *t, const struct content *c)
{
    uint8_t *l4 = b->at + IP_HEAD;
    uint32_t head = put_l4(l4, t, c);

    for (uint32_t i = 0; i < c->payload; i++) {
        l4[head + i] = (uint8_t)('a' + i % 26);
    }
    b->len = IP_HEAD + head + c->payload;
    put_ip(b->at, b->len, &t->src, &t->dst, c->proto, c->ttl, c->ip_id);
    uint16_t sum = (uint16_t)~l4_sum(b->at, b->len);
    if (c->bad_sum) {
        sum ^= 0x1234;
    }
    if (!c->no_sum) {
        put16(b->at + sum_at(c->proto), c->proto == PG_PROTO_UDP && sum == 0 ? 0xffff : sum);
    }
}

void packet_error(struct bytes *b, uint8_t type, uint8_t code, uint32_t rest,
                  const struct pg_addr *src, const struct pg_addr *dst, const struct bytes *about,
                  uint32_t quote)
{
    uint8_t *icmp = b->at + IP_HEAD;
    uint32_t len = quote == 0 || quote > about->len ? about->len : quote;

    memset(icmp, 0, ICMP_HEAD);
    icmp[0] = type;
    icmp[1] = code;
    put32(icmp + 4, rest);
    memcpy(icmp + ICMP_HEAD, about->at, len);
    b->len = IP_HEAD + ICMP_HEAD + len;
    put_ip(b->at, b->len, src, dst, PG_PROTO_ICMP, 64, 1);
    put16(icmp + 2, (uint16_t)~l4_sum(b->at, b->len));
}

uint32_t packet_cut(const struct bytes *b, uint32_t size, struct bytes pieces[PIECES])
{
    uint32_t payload = b->len - IP_HEAD;
    uint32_t count = 0;

    for (uint32_t at = 0; at < payload && count < PIECES; count++) {
        uint32_t n = payload - at < size ? payload - at : size;
        struct bytes *piece = &pieces[count];
        memcpy(piece->at, b->at, IP_HEAD);
        memcpy(piece->at + IP_HEAD, b->at + IP_HEAD + at, n);
        piece->len = IP_HEAD + n;
        put16(piece->at + 2, piece->len);
        put16(piece->at + 6, (at + n < payload ? 0x2000u : 0u) | at / 8);
        set_ip_sum(piece->at);
        at += n;
    }
    return count;
}

/* ---- reading ---- */

void packet_tuple(const struct bytes *b, struct pg_tuple *ret)
{
    uint32_t src;
    uint32_t dst;
    const uint8_t *l4 = b->at + IP_HEAD;

    memcpy(&src, b->at + 12, 4);
    memcpy(&dst, b->at + 16, 4);
    *ret = (struct pg_tuple){
        .src = pg_addr_from_v4_be(src), .dst = pg_addr_from_v4_be(dst), .proto = b->at[9]};
    if (ret->proto == PG_PROTO_TCP || ret->proto == PG_PROTO_UDP) {
        ret->src_port = get16(l4);
        ret->dst_port = get16(l4 + 2);
    } else if (ret->proto == PG_PROTO_ICMP) {
        ret->src_port = get16(l4 + 4);
        ret->dst_port = get16(l4);
    }
}

static void describe_l4(const uint8_t *ip, uint32_t len, char *out, size_t room)
{
    const uint8_t *l4 = ip + IP_HEAD;

    if (ip[9] == PG_PROTO_TCP && len >= IP_HEAD + 20) {
        char flags[9];
        int n = 0;
        for (unsigned i = 0; i < 8; i++) {
            if (l4[13] >> i & 1) {
                flags[n++] = "FSRPAUEC"[i];
            }
        }
        flags[n] = 0;
        snprintf(out, room, "tcp %u>%u [%s] seq %u ack %u win %u", get16(l4), get16(l4 + 2), flags,
                 get32(l4 + 4), get32(l4 + 8), get16(l4 + 14));
    } else if (ip[9] == PG_PROTO_ICMP) {
        snprintf(out, room, "icmp %u/%u id %u", l4[0], l4[1], get16(l4 + 4));
    } else {
        snprintf(out, room, "proto %u %u>%u", ip[9], get16(l4), get16(l4 + 2));
    }
}

void packet_describe(const struct bytes *b, char *out, size_t room)
{
    const uint8_t *ip = b->at;
    char l4[160];
    char inner[160] = "";

    describe_l4(ip, b->len, l4, sizeof l4);
    int n = snprintf(out, room, "%u.%u.%u.%u > %u.%u.%u.%u ttl %u tos %u off %x len %u %s", ip[12],
                     ip[13], ip[14], ip[15], ip[16], ip[17], ip[18], ip[19], ip[8], ip[1],
                     get16(ip + 6), b->len, l4);
    if (ip[9] == PG_PROTO_ICMP && ip[IP_HEAD] != 0 && ip[IP_HEAD] != 8 && b->len >= 56 && n > 0 &&
        (size_t)n < room) {
        const uint8_t *q = ip + IP_HEAD + ICMP_HEAD;
        describe_l4(q, b->len - IP_HEAD - ICMP_HEAD, inner, sizeof inner);
        snprintf(out + n, room - (size_t)n, " quoting %u.%u.%u.%u > %u.%u.%u.%u ttl %u %s", q[12],
                 q[13], q[14], q[15], q[16], q[17], q[18], q[19], q[8], inner);
    }
}

/* ---- comparing ---- */

static bool is_addr(const uint8_t *at, const struct pg_addr *a)
{
    return memcmp(at, a->bytes + 12, 4) == 0;
}

/* One end of a header: address at `addr`, port (or echo identifier) at `port`. */
static void name_end(uint8_t *addr, uint8_t *port, bool id, const struct drawn *d)
{
    static const uint8_t client[4] = {'c', 'l', 'i', 'e'};
    static const uint8_t server[4] = {'s', 'e', 'r', 'v'};

    if (is_addr(addr, &d->src) && (get16(port) == d->src_port || id)) {
        memcpy(addr, client, 4);
        put16(port, 1);
    } else if (is_addr(addr, &d->endpoint) && (id || get16(port) == d->endpoint_port)) {
        memcpy(addr, server, 4);
        put16(port, 2);
    }
}

static void name_header(uint8_t *ip, uint32_t len, const struct drawn *d)
{
    uint8_t *l4 = ip + IP_HEAD;
    uint32_t at = sum_at(ip[9]);
    uint8_t none[2] = {0};

    put16(ip + 10, 0);
    if (at != 0 && at + 2 <= len) {
        put16(ip + at, 0);
    }
    if (len < IP_HEAD + 8 || (get16(ip + 6) & 0x1fff) != 0) {
        name_end(ip + 12, none, true, d);
        name_end(ip + 16, none, true, d);
    } else if (ip[9] == PG_PROTO_TCP || ip[9] == PG_PROTO_UDP) {
        name_end(ip + 12, l4, false, d);
        name_end(ip + 16, l4 + 2, false, d);
    } else if (ip[9] == PG_PROTO_ICMP && (l4[0] == 8 || l4[0] == 0)) {
        bool drawn = get16(l4 + 4) == d->src_port;
        name_end(ip + 12, none, true, d);
        name_end(ip + 16, none, true, d);
        put16(l4 + 4, drawn ? 1 : get16(l4 + 4));
    } else {
        name_end(ip + 12, none, true, d);
        name_end(ip + 16, none, true, d);
    }
}

void packet_compare_form(struct bytes *b, const struct drawn *d)
{
    uint8_t *icmp = b->at + IP_HEAD;
    bool error = b->at[9] == PG_PROTO_ICMP && b->len >= IP_HEAD + ICMP_HEAD + IP_HEAD + 8 &&
                 icmp[0] != 8 && icmp[0] != 0;

    if (error) {
        name_header(icmp + ICMP_HEAD, b->len - IP_HEAD - ICMP_HEAD, d);
    }
    if (error || b->at[8] == UNFORWARDED) { /* the node's own: each numbers them as it likes */
        put16(b->at + 4, 0);
    }
    name_header(b->at, b->len, d);
}
