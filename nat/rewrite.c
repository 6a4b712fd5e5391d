/* The one file that changes IP, TCP, UDP and ICMP header bytes of packets on their way.
 *
 * Each change is written together with the sums that cover it: incrementally (RFC 1624) for a full
 * sum, so that damage done elsewhere stays visible, and by its address part only for a partial sum,
 * which the device completes later. What is equal is not written at all. p->tuple always says what
 * the bytes say.
 *
 * Called by hooks.c and icmp.c, and by app/path.c for the time to live; who changes what and why is
 * recorded there. Relies on pg_packet_parse: every header touched here is inside head_len. */
#include "podglass/nat_rewrite.h"

#include "podglass/checksum.h"

#include <arpa/inet.h>
#include <string.h>

#define TCP_SUM_AT  16
#define UDP_SUM_AT  6
#define ICMP_SUM_AT 2
#define ICMP_ID_AT  4

/* Where addresses stand in an IP header, and how long they are. */
struct address_place {
    uint32_t src, dst, len;
};

static struct address_place places(uint8_t ip_version)
{
    return ip_version == 4 ? (struct address_place){12, 16, 4} : (struct address_place){8, 24, 16};
}

static const uint8_t *wire_bytes(const struct pg_addr *a, uint8_t ip_version)
{
    return ip_version == 4 ? a->bytes + 12 : a->bytes;
}

static uint16_t get_sum(const uint8_t *at)
{
    uint16_t sum;
    memcpy(&sum, at, sizeof(sum));
    return sum;
}

static void put_sum(uint8_t *at, uint16_t sum)
{
    memcpy(at, &sum, sizeof(sum));
}

/* Where the transport sum stands behind the transport header's begin; 0: there is none to keep
 * right. */
static uint32_t sum_place(const uint8_t *l4, uint8_t proto, bool partial)
{
    switch (proto) {
    case PG_PROTO_TCP: return TCP_SUM_AT;
    case PG_PROTO_UDP:
        /* RFC 768: zero means none was computed. A partial sum may be zero and still be one. */
        return partial || get_sum(l4 + UDP_SUM_AT) != 0 ? UDP_SUM_AT : 0;
    case PG_PROTO_ICMP: return partial ? 0 : ICMP_SUM_AT;
    case PG_PROTO_ICMP6: return ICMP_SUM_AT;
    default: return 0;
    }
}

static void update_full(uint8_t *field, uint8_t proto, const void *before, const void *after,
                        size_t len)
{
    uint16_t sum = pg_csum_update(get_sum(field), before, after, len);
    put_sum(field, proto == PG_PROTO_UDP && sum == 0 ? 0xffff : sum);
}

/* One address of the header, with the IPv4 header's sum and the pseudo header's part of the
 * transport sum. */
static void set_address(struct pg_packet *p, uint32_t at, uint32_t len, const struct pg_addr *to)
{
    uint8_t *ip = p->head;
    uint8_t *l4 = ip + p->l4_offset;
    const uint8_t *after = wire_bytes(to, p->ip_version);
    bool partial = p->csum == PG_CSUM_PARTIAL;
    uint32_t sum_at = sum_place(l4, p->proto, partial);

    if (p->ip_version == 4)
        put_sum(ip + 10, pg_csum_update(get_sum(ip + 10), ip + at, after, len));
    if (sum_at && partial)
        put_sum(l4 + sum_at, pg_csum_update_partial(get_sum(l4 + sum_at), ip + at, after, len));
    else if (sum_at && p->proto != PG_PROTO_ICMP) /* RFC 792 has no pseudo header */
        update_full(l4 + sum_at, p->proto, ip + at, after, len);
    memcpy(ip + at, after, len);
}

/* A port or an echo identifier, at an even offset of the transport header. */
static void set_port(struct pg_packet *p, uint32_t l4_at, uint16_t port)
{
    uint8_t *l4 = p->head + p->l4_offset;
    uint32_t sum_at = sum_place(l4, p->proto, p->csum == PG_CSUM_PARTIAL);
    uint16_t after = htons(port);

    if (sum_at && p->csum != PG_CSUM_PARTIAL) /* ports are not in a partial sum */
        update_full(l4 + sum_at, p->proto, l4 + l4_at, &after, sizeof(after));
    memcpy(l4 + l4_at, &after, sizeof(after));
}

void pg_rewrite_tuple(struct pg_packet *p, const struct pg_tuple *to)
{
    struct address_place place = places(p->ip_version);
    bool ported = pg_proto_has_ports(p->proto);

    if (!pg_addr_equal(&p->tuple.src, &to->src))
        set_address(p, place.src, place.len, &to->src);
    if (!pg_addr_equal(&p->tuple.dst, &to->dst))
        set_address(p, place.dst, place.len, &to->dst);
    p->tuple.src = to->src;
    p->tuple.dst = to->dst;
    if (ported && p->tuple.src_port != to->src_port)
        set_port(p, 0, to->src_port);
    if (ported && p->tuple.dst_port != to->dst_port)
        set_port(p, 2, to->dst_port);
    if (ported) {
        p->tuple.src_port = to->src_port;
        p->tuple.dst_port = to->dst_port;
    } else if (p->tuple.src_port != to->src_port && pg_proto_is_icmp(p->proto) &&
               pg_icmp_counterpart(p->proto, p->head[p->l4_offset]) >= 0) {
        set_port(p, ICMP_ID_AT, to->src_port);
        p->tuple.src_port = to->src_port;
    }
}

/* ---- inside an ICMP error ---- */

/* Bytes of the quoted packet: the error's own sum covers them, so it is updated with each. `at` is
 * an even offset from the ICMP header, since that and every header before it is of even length. */
static void set_quoted(struct pg_packet *p, uint32_t at, const void *after, size_t len)
{
    uint8_t *field = p->head + p->l4_offset + ICMP_SUM_AT;

    put_sum(field, pg_csum_update(get_sum(field), p->head + at, after, len));
    memcpy(p->head + at, after, len);
}

/* The sum field of the quoted transport header, 0 when it was not quoted or not used. */
static uint32_t quoted_sum_at(const struct pg_packet *p, uint32_t l4, uint8_t proto)
{
    if (!pg_proto_has_ports(proto) && !pg_proto_is_icmp(proto))
        return 0;
    uint32_t at = l4 + (proto == PG_PROTO_TCP   ? TCP_SUM_AT
                        : proto == PG_PROTO_UDP ? UDP_SUM_AT
                                                : ICMP_SUM_AT);

    if (at + 2 > p->head_len || (proto == PG_PROTO_UDP && get_sum(p->head + at) == 0))
        return 0;
    return at;
}

static void update_quoted_sum(struct pg_packet *p, uint32_t at, uint8_t proto, const void *before,
                              const void *after, size_t len)
{
    if (at == 0)
        return;
    uint16_t sum = pg_csum_update(get_sum(p->head + at), before, after, len);
    if (proto == PG_PROTO_UDP && sum == 0)
        sum = 0xffff;
    set_quoted(p, at, &sum, sizeof(sum));
}

static void set_quoted_address(struct pg_packet *p, uint32_t ip, uint32_t at,
                               const struct pg_addr *to, uint32_t sum_at, uint8_t proto)
{
    uint8_t before[16];
    uint32_t len = places(p->ip_version).len;
    const uint8_t *after = wire_bytes(to, p->ip_version);

    memcpy(before, p->head + ip + at, len);
    if (memcmp(before, after, len) == 0)
        return;
    if (p->ip_version == 4) {
        uint16_t sum = pg_csum_update(get_sum(p->head + ip + 10), before, after, len);
        set_quoted(p, ip + 10, &sum, sizeof(sum));
    }
    set_quoted(p, ip + at, after, len);
    if (proto != PG_PROTO_ICMP)
        update_quoted_sum(p, sum_at, proto, before, after, len);
}

static void set_quoted_port(struct pg_packet *p, uint32_t at, uint16_t port, uint32_t sum_at,
                            uint8_t proto)
{
    uint16_t before;
    uint16_t after = htons(port);

    memcpy(&before, p->head + at, sizeof(before));
    if (before == after)
        return;
    set_quoted(p, at, &after, sizeof(after));
    update_quoted_sum(p, sum_at, proto, &before, &after, sizeof(after));
}

/* Offset and protocol of the quoted transport header; pg_packet_quoted has checked that it is
 * there. */
static uint32_t quoted_l4(const struct pg_packet *p, uint32_t ip, uint8_t *ret_proto)
{
    const uint8_t *head = p->head + ip;

    if (p->ip_version == 4) {
        *ret_proto = head[9];
        return ip + (head[0] & 0xfu) * 4;
    }
    uint8_t next = head[6];
    uint32_t at = ip + 40;
    while (next == 0 || next == 60) { /* hop-by-hop and destination options */
        next = p->head[at];
        at += (p->head[at + 1] + 1u) * 8;
    }
    *ret_proto = next;
    return at;
}

void pg_rewrite_quoted(struct pg_packet *p, uint16_t quoted_offset, const struct pg_tuple *to)
{
    uint8_t proto;
    uint32_t ip = quoted_offset;
    uint32_t l4 = quoted_l4(p, ip, &proto);
    uint32_t sum_at = quoted_sum_at(p, l4, proto);
    struct address_place place = places(p->ip_version);

    set_quoted_address(p, ip, place.src, &to->src, sum_at, proto);
    set_quoted_address(p, ip, place.dst, &to->dst, sum_at, proto);
    if (pg_proto_has_ports(proto)) {
        set_quoted_port(p, l4, to->src_port, sum_at, proto);
        set_quoted_port(p, l4 + 2, to->dst_port, sum_at, proto);
    } else if (pg_icmp_counterpart(proto, p->head[l4]) >= 0) {
        set_quoted_port(p, l4 + ICMP_ID_AT, to->src_port, sum_at, proto);
    }
}

bool pg_rewrite_ttl(struct pg_packet *p)
{
    uint8_t *ip = p->head;

    if (p->ttl <= 1)
        return false;
    p->ttl--;
    if (p->ip_version == 6) {
        ip[7] = p->ttl;
        return true;
    }
    uint8_t after[2] = {p->ttl, ip[9]};
    put_sum(ip + 10, pg_csum_update(get_sum(ip + 10), ip + 8, after, sizeof(after)));
    ip[8] = p->ttl;
    return true;
}
