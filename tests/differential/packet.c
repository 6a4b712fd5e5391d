/* Bytes of packets: made from what a step says, and made comparable after they have been through a side.
 *
 * The script speaks of IPv4. With packet_family(6) everything here is IPv6, whose addresses are the IPv4 ones behind a prefix of 96 bits, and types of ICMP the
 * ones that mean the same; packet_tuple says them back.
 *
 * Sums are computed here, from the bytes alone, by code that neither side uses. */
#include "differential.h"

#include <arpa/inet.h>
#include <string.h>

#define IP4_HEAD    20u
#define IP6_HEAD    40u
#define IP6_MTU     1280u
#define FRAG_HEAD   8u
#define FRAGMENT    44
#define ICMP_HEAD   8u
#define UNFORWARDED 64 /* time to live of what nobody has forwarded */

static bool v6;
static const uint8_t prefix[12] = {0x20, 0x01, 0x0d, 0xb8};

void packet_family(int version)
{
    v6 = version == 6;
}

bool packet_is_ipv6(void)
{
    return v6;
}

/* ---- both families ---- */

static uint32_t ip_head(void)
{
    return v6 ? IP6_HEAD : IP4_HEAD;
}

static uint8_t icmp_number(void)
{
    return v6 ? PG_PROTO_ICMP6 : PG_PROTO_ICMP;
}

/* The transport's number, where it stands behind the IP header or a fragment's. */
static uint8_t proto_of(const uint8_t *ip)
{
    return !v6 ? ip[9] : ip[6] == FRAGMENT ? ip[IP6_HEAD] : ip[6];
}

static uint8_t *ttl_of(uint8_t *ip)
{
    return ip + (v6 ? 7 : 8);
}

static uint8_t *src_of(uint8_t *ip)
{
    return ip + (v6 ? 20 : 12); /* the four bytes that differ */
}

static uint8_t *dst_of(uint8_t *ip)
{
    return ip + (v6 ? 36 : 16);
}

static const struct {
    uint8_t v4[2], v6[2];
} same_icmp[] = {{{8, 0}, {128, 0}}, {{0, 0}, {129, 0}}, {{3, 0}, {1, 0}},  {{3, 1}, {1, 3}},
                 {{3, 3}, {1, 4}},   {{3, 4}, {2, 0}},   {{3, 13}, {1, 1}}, {{11, 0}, {3, 0}},
                 {{11, 1}, {3, 1}},  {{12, 0}, {4, 0}},  {{5, 1}, {1, 5}}};

/* Type and code of the other family; what is in no row stays. */
static void icmp_kind(uint8_t kind[2], bool to_v6)
{
    for (size_t i = 0; i < sizeof same_icmp / sizeof same_icmp[0]; i++) {
        const uint8_t *from = to_v6 ? same_icmp[i].v4 : same_icmp[i].v6;
        if (memcmp(from, kind, 2) == 0) {
            memcpy(kind, to_v6 ? same_icmp[i].v6 : same_icmp[i].v4, 2);
            return;
        }
    }
}

struct pg_tuple packet_real_tuple(const struct pg_tuple *t)
{
    struct pg_tuple real = *t;
    uint8_t kind[2] = {(uint8_t)(t->dst_port >> 8), (uint8_t)t->dst_port};

    if (v6) {
        memcpy(real.src.bytes, prefix, sizeof prefix);
        memcpy(real.dst.bytes, prefix, sizeof prefix);
    }
    if (v6 && t->proto == PG_PROTO_ICMP) {
        icmp_kind(kind, true);
        real.proto = PG_PROTO_ICMP6;
        real.dst_port = (uint16_t)(kind[0] << 8 | kind[1]);
    }
    return real;
}

struct pg_tuple packet_script_tuple(const struct pg_tuple *real)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    struct pg_tuple t = *real;
    uint8_t kind[2] = {(uint8_t)(t.dst_port >> 8), (uint8_t)t.dst_port};

    memcpy(t.src.bytes, mapped, sizeof mapped);
    memcpy(t.dst.bytes, mapped, sizeof mapped);
    if (t.proto == PG_PROTO_ICMP6) {
        icmp_kind(kind, false);
        t.proto = PG_PROTO_ICMP;
        t.dst_port = (uint16_t)(kind[0] << 8 | kind[1]);
    }
    return t;
}

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
    uint32_t l4_len = len - ip_head();
    uint32_t sum = 0;

    if (v6 || proto_of(ip) != PG_PROTO_ICMP) {
        sum = add(proto_of(ip) + l4_len, ip + (v6 ? 8 : 12), v6 ? 32 : 8);
    }
    return fold(add(sum, ip + ip_head(), l4_len));
}

/* Where the transport's sum stands; 0: nowhere. */
static uint32_t sum_at(uint8_t proto)
{
    switch (proto) {
    case PG_PROTO_TCP: return ip_head() + 16;
    case PG_PROTO_UDP: return ip_head() + 6;
    case PG_PROTO_ICMP:
    case PG_PROTO_ICMP6: return ip_head() + 2;
    default: return 0;
    }
}

static void set_ip_sum(uint8_t *ip)
{
    if (!v6) {
        put16(ip + 10, 0);
        put16(ip + 10, (uint16_t)~fold(add(0, ip, IP4_HEAD)));
    }
}

static bool is_fragment(const uint8_t *ip)
{
    return v6 ? ip[6] == FRAGMENT : (get16(ip + 6) & 0x3fff) != 0;
}

bool packet_sums_right(const struct bytes *b)
{
    uint8_t proto = proto_of(b->at);

    if (!v6 && fold(add(0, b->at, IP4_HEAD)) != 0xffff) {
        return false;
    }
    if (is_fragment(b->at) || sum_at(proto) == 0) {
        return true;
    }
    return (!v6 && proto == PG_PROTO_UDP && get16(b->at + sum_at(proto)) == 0) ||
           l4_sum(b->at, b->len) == 0xffff;
}

/* ---- making ---- */

static void put_ip(uint8_t *ip, uint32_t len, const struct pg_addr *src, const struct pg_addr *dst,
                   uint8_t proto, uint8_t ttl, uint16_t id)
{
    memset(ip, 0, ip_head());
    if (v6) {
        ip[0] = 0x60;
        put16(ip + 4, len - IP6_HEAD);
        ip[6] = proto;
        memcpy(ip + 8, prefix, sizeof prefix);
        memcpy(ip + 24, prefix, sizeof prefix);
    } else {
        ip[0] = 0x45;
        put16(ip + 2, len);
        put16(ip + 4, id);
        ip[9] = proto;
    }
    *ttl_of(ip) = ttl;
    memcpy(src_of(ip), src->bytes + 12, 4);
    memcpy(dst_of(ip), dst->bytes + 12, 4);
    set_ip_sum(ip);
}

static uint32_t put_l4(uint8_t *l4, const struct pg_tuple *t, const struct content *c)
{
    if (c->proto == PG_PROTO_ICMP) {
        memset(l4, 0, ICMP_HEAD);
        l4[0] = c->icmp_type;
        if (v6) {
            icmp_kind(l4, true);
        }
        put16(l4 + 4, t->src_port);
        put16(l4 + 6, c->ip_id);
        return ICMP_HEAD;
    }
    if (!pg_proto_has_ports(c->proto)) {
        memset(l4, 0, 4); /* GRE without anything */
        return 4;
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

/* The transport's sum, which is 0 now. */
static void set_l4_sum(struct bytes *b, uint8_t proto)
{
    uint16_t sum = (uint16_t)~l4_sum(b->at, b->len);

    put16(b->at + sum_at(proto), proto == PG_PROTO_UDP && sum == 0 ? 0xffff : sum);
}

void packet_complete(struct bytes *b)
{
    uint8_t proto = proto_of(b->at);

    if (sum_at(proto) != 0) {
        put16(b->at + sum_at(proto), 0);
        set_l4_sum(b, proto);
    }
}

void packet_build(struct bytes *b, const struct pg_tuple *t, const struct content *c)
{
    uint8_t *l4 = b->at + ip_head();
    uint32_t head = put_l4(l4, t, c);
    uint8_t proto = c->proto == PG_PROTO_ICMP ? icmp_number() : c->proto;

    for (uint32_t i = 0; i < c->payload; i++) {
        l4[head + i] = (uint8_t)('a' + i % 26);
    }
    b->len = ip_head() + head + c->payload;
    put_ip(b->at, b->len, &t->src, &t->dst, proto, c->ttl, c->ip_id);
    if (!c->no_sum && sum_at(proto) != 0) {
        set_l4_sum(b, proto);
    }
    if (c->bad_sum && sum_at(proto) != 0) {
        b->at[sum_at(proto)] ^= 0x12;
        b->at[sum_at(proto) + 1] ^= 0x34;
    }
}

void packet_error(struct bytes *b, uint8_t type, uint8_t code, uint32_t rest,
                  const struct pg_addr *src, const struct pg_addr *dst, const struct bytes *about,
                  uint32_t quote)
{
    uint8_t *icmp = b->at + ip_head();
    uint32_t wanted = quote == 0 ? about->len : quote - IP4_HEAD + ip_head();
    uint32_t len = wanted > about->len ? about->len : wanted;

    if (v6 && len > IP6_MTU - IP6_HEAD - ICMP_HEAD) {
        len = IP6_MTU - IP6_HEAD - ICMP_HEAD; /* RFC 4443 2.4 c */
    }
    memset(icmp, 0, ICMP_HEAD);
    icmp[0] = type;
    icmp[1] = code;
    if (v6) {
        icmp_kind(icmp, true);
    }
    put32(icmp + 4, rest);
    memcpy(icmp + ICMP_HEAD, about->at, len);
    b->len = ip_head() + ICMP_HEAD + len;
    put_ip(b->at, b->len, src, dst, icmp_number(), 64, 1);
    put16(icmp + 2, (uint16_t)~l4_sum(b->at, b->len));
}

/* One piece's headers: of IPv6 the fragment header as well, with the identification that IPv4 has in its own. */
static uint32_t put_piece(const struct bytes *whole, uint16_t id, uint32_t at, bool more,
                          uint8_t *to)
{
    memcpy(to, whole->at, ip_head());
    if (!v6) {
        put16(to + 6, (more ? 0x2000u : 0u) | at / 8);
        return IP4_HEAD;
    }
    uint8_t *fragment = to + IP6_HEAD;
    memset(fragment, 0, FRAG_HEAD);
    fragment[0] = to[6];
    to[6] = FRAGMENT;
    put16(fragment + 2, at | (more ? 1u : 0u));
    put16(fragment + 6, id);
    return IP6_HEAD + FRAG_HEAD;
}

uint32_t packet_cut(const struct bytes *b, uint16_t id, uint32_t size, struct bytes pieces[PIECES])
{
    uint32_t payload = b->len - ip_head();
    uint32_t count = 0;

    for (uint32_t at = 0; at < payload && count < PIECES; count++) {
        uint32_t n = payload - at < size ? payload - at : size;
        struct bytes *piece = &pieces[count];
        uint32_t head = put_piece(b, id, at, at + n < payload, piece->at);
        memcpy(piece->at + head, b->at + ip_head() + at, n);
        piece->len = head + n;
        put16(piece->at + (v6 ? 4 : 2), v6 ? piece->len - IP6_HEAD : piece->len);
        set_ip_sum(piece->at);
        at += n;
    }
    return count;
}

/* ---- reading ---- */

void packet_tuple(const struct bytes *b, struct pg_tuple *ret)
{
    const uint8_t *ip = b->at;
    const uint8_t *l4 = ip + ip_head() + (v6 && ip[6] == FRAGMENT ? FRAG_HEAD : 0);
    struct pg_tuple real = {.proto = proto_of(ip)};
    uint32_t at[2];

    memcpy(&at[0], ip + (v6 ? 20 : 12), 4);
    memcpy(&at[1], ip + (v6 ? 36 : 16), 4);
    real.src = pg_addr_from_v4_be(at[0]);
    real.dst = pg_addr_from_v4_be(at[1]);
    if (pg_proto_has_ports(real.proto)) {
        real.src_port = get16(l4);
        real.dst_port = get16(l4 + 2);
    } else if (pg_proto_is_icmp(real.proto)) {
        real.src_port = get16(l4 + 4);
        real.dst_port = get16(l4);
    }
    *ret = packet_script_tuple(&real);
}

bool packet_is_noise(const struct bytes *b)
{
    /* a fresh interface talks to everybody, and in IPv6 */
    return b->at[0] >> 4 != (v6 ? 6 : 4) || (v6 && b->at[24] == 0xff);
}

static void describe_l4(const uint8_t *ip, uint32_t len, char *out, size_t room)
{
    const uint8_t *l4 = ip + ip_head();

    if (proto_of(ip) == PG_PROTO_TCP && len >= ip_head() + 20) {
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
    } else if (pg_proto_is_icmp(proto_of(ip))) {
        snprintf(out, room, "icmp %u/%u id %u", l4[0], l4[1], get16(l4 + 4));
    } else {
        snprintf(out, room, "proto %u %u>%u", proto_of(ip), get16(l4), get16(l4 + 2));
    }
}

/* An ICMP error that quotes enough to be looked at. */
static bool is_error(const uint8_t *ip, uint32_t len)
{
    const uint8_t *icmp = ip + ip_head();

    if (proto_of(ip) != icmp_number() || is_fragment(ip) ||
        len < ip_head() + ICMP_HEAD + ip_head() + 8) {
        return false;
    }
    return v6 ? icmp[0] < 128 : icmp[0] != 8 && icmp[0] != 0;
}

static void describe_ends(const uint8_t *ip, char *out, size_t room)
{
    const uint8_t *a = ip + (v6 ? 20 : 12);
    const uint8_t *b = ip + (v6 ? 36 : 16);

    snprintf(out, room, "%u.%u.%u.%u > %u.%u.%u.%u ttl %u", a[0], a[1], a[2], a[3], b[0], b[1],
             b[2], b[3], ip[v6 ? 7 : 8]);
}

void packet_describe(const struct bytes *b, char *out, size_t room)
{
    const uint8_t *ip = b->at;
    char ends[80];
    char l4[160];

    describe_ends(ip, ends, sizeof ends);
    describe_l4(ip, b->len, l4, sizeof l4);
    int n =
        snprintf(out, room, "%s tos %u off %x len %u %s", ends, ip[1], get16(ip + 6), b->len, l4);
    if (is_error(ip, b->len) && n > 0 && (size_t)n < room) {
        const uint8_t *q = ip + ip_head() + ICMP_HEAD;
        describe_ends(q, ends, sizeof ends);
        describe_l4(q, b->len - ip_head() - ICMP_HEAD, l4, sizeof l4);
        snprintf(out + n, room - (size_t)n, " quoting %s %s", ends, l4);
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

static bool has_no_ports(const uint8_t *ip, uint32_t len)
{
    return len < ip_head() + 8 || (v6 ? ip[6] == FRAGMENT : (get16(ip + 6) & 0x1fff) != 0);
}

static void name_header(uint8_t *ip, uint32_t len, const struct drawn *d)
{
    uint8_t *l4 = ip + ip_head();
    uint8_t proto = proto_of(ip);
    uint32_t at = is_fragment(ip) && v6 ? 0 : sum_at(proto);
    uint8_t none[2] = {0};

    if (!v6) {
        put16(ip + 10, 0);
    }
    if (at != 0 && at + 2 <= len) {
        put16(ip + at, 0);
    }
    if (!has_no_ports(ip, len) && pg_proto_has_ports(proto)) {
        name_end(src_of(ip), l4, false, d);
        name_end(dst_of(ip), l4 + 2, false, d);
        return;
    }
    name_end(src_of(ip), none, true, d);
    name_end(dst_of(ip), none, true, d);
    if (!has_no_ports(ip, len) && pg_proto_is_icmp(proto) &&
        pg_icmp_counterpart(proto, l4[0]) >= 0) {
        put16(l4 + 4, get16(l4 + 4) == d->src_port ? 1 : get16(l4 + 4));
    }
}

/* A first fragment of IPv6 has the transport's header behind its own. */
static void name_first_fragment(uint8_t *ip, uint32_t len, const struct drawn *d)
{
    uint8_t *l4 = ip + IP6_HEAD + FRAG_HEAD;

    put32(ip + IP6_HEAD + 4, 0); /* numbered anew by the kernel */
    if ((get16(ip + IP6_HEAD + 2) & 0xfff8) != 0 || len < IP6_HEAD + FRAG_HEAD + 8 ||
        proto_of(ip) != PG_PROTO_UDP) {
        return;
    }
    put16(l4 + 6, 0);
    name_end(src_of(ip), l4, false, d);
    name_end(dst_of(ip), l4 + 2, false, d);
}

void packet_compare_form(struct bytes *b, const struct drawn *d)
{
    bool error = is_error(b->at, b->len);
    uint8_t *quote = b->at + ip_head() + ICMP_HEAD;

    if (error) {
        name_header(quote, b->len - ip_head() - ICMP_HEAD, d);
    }
    if (v6 && is_fragment(b->at)) {
        name_first_fragment(b->at, b->len, d);
    } else if (!v6 &&
               (error || *ttl_of(b->at) ==
                             UNFORWARDED)) { /* the node's own: each numbers them as it likes */
        put16(b->at + 4, 0);
    }
    name_header(b->at, b->len, d);
}
