/* Packets for the tests of base/packet.c: made with right sums, changed in one thing, handed in. */
#ifndef PODGLASS_TEST_PACKET_MAKER_H
#define PODGLASS_TEST_PACKET_MAKER_H

#include "podglass/packet.h"

#include "podglass/checksum.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A packet under construction, and how it is handed in. */
struct made {
    uint8_t bytes[2048];
    uint32_t len;
    uint32_t l4;
    enum pg_csum csum;
    uint16_t gso_size;
};

static inline void put16(uint8_t *at, unsigned n)
{
    at[0] = (uint8_t)(n >> 8);
    at[1] = (uint8_t)n;
}

static inline unsigned get16(const uint8_t *at)
{
    return (unsigned)at[0] << 8 | at[1];
}

static inline void fix_ip_sum(struct made *m)
{
    uint32_t head = (m->bytes[0] & 0xfu) * 4;
    put16(m->bytes + 10, 0);
    uint16_t sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, m->bytes, head));
    memcpy(m->bytes + 10, &sum, 2);
}

/* Transport sum over what stands behind m->l4, for protocol `proto`. */
static inline void fix_l4_sum(struct made *m, uint8_t proto)
{
    static const struct {
        uint8_t proto;
        uint32_t offset;
    } fields[] = {{PG_PROTO_TCP, 16}, {PG_PROTO_UDP, 6}, {PG_PROTO_ICMP, 2}, {PG_PROTO_ICMP6, 2}};
    uint8_t *field = NULL;
    for (size_t i = 0; i < 4; i++)
        if (fields[i].proto == proto)
            field = m->bytes + m->l4 + fields[i].offset;
    if (!field)
        return;
    uint32_t l4_len = m->len - m->l4;
    uint64_t sum = 0;
    put16(field, 0);
    struct pg_addr src, dst;
    if (m->bytes[0] >> 4 == 4) {
        uint32_t be[2];
        memcpy(be, m->bytes + 12, 8);
        src = pg_addr_from_v4_be(be[0]);
        dst = pg_addr_from_v4_be(be[1]);
    } else {
        src = pg_addr_from_v6(m->bytes + 8);
        dst = pg_addr_from_v6(m->bytes + 24);
    }
    if (proto != PG_PROTO_ICMP)
        sum = pg_sum_pseudo(&src, &dst, proto, l4_len);
    uint16_t full = (uint16_t)~pg_sum_fold(pg_sum_add(sum, m->bytes + m->l4, l4_len));
    memcpy(field, &full, 2);
}

/* 198.51.100.7 -> 192.0.2.1 or 2001:db8::7 -> 2001:db8::1, transport of l4_len bytes. */
static inline void make_ip(struct made *m, int version, uint8_t proto, uint32_t l4_len)
{
    memset(m, 0, sizeof(*m));
    if (version == 4) {
        static const uint8_t head[20] = {0x45, 0, 0,   0,  0x12, 0x34, 0x40, 0, 64, 0,
                                         0,    0, 198, 51, 100,  7,    192,  0, 2,  1};
        memcpy(m->bytes, head, sizeof(head));
        m->bytes[9] = proto;
        m->l4 = 20;
        put16(m->bytes + 2, 20 + l4_len);
        fix_ip_sum(m);
    } else {
        static const uint8_t net[4] = {0x20, 0x01, 0x0d, 0xb8};
        m->bytes[0] = 0x60;
        put16(m->bytes + 4, l4_len);
        m->bytes[6] = proto;
        m->bytes[7] = 63;
        memcpy(m->bytes + 8, net, 4);
        memcpy(m->bytes + 24, net, 4);
        m->bytes[23] = 7;
        m->bytes[39] = 1;
        m->l4 = 40;
    }
    m->len = m->l4 + l4_len;
}

static inline void make(struct made *m, int version, uint8_t proto)
{
    make_ip(m, version, proto, proto == PG_PROTO_TCP ? 20 + 11 : 8 + 11);
    uint8_t *l4 = m->bytes + m->l4;
    for (uint32_t i = 0; i < 11; i++)
        m->bytes[m->len - 11 + i] = (uint8_t)('a' + i);
    if (proto == PG_PROTO_TCP) {
        put16(l4, 40000);
        put16(l4 + 2, 80);
        memcpy(l4 + 4, "\x01\x02\x03\x04\x05\x06\x07\x08\x50\xd8\x10\x00", 12); /* ECN bits set */
    } else if (proto == PG_PROTO_UDP) {
        put16(l4, 5353);
        put16(l4 + 2, 53);
        put16(l4 + 4, 19);
    } else {
        l4[0] = proto == PG_PROTO_ICMP ? 8 : 128;
        put16(l4 + 4, 4711);
        put16(l4 + 6, 3);
    }
    fix_l4_sum(m, proto);
}

/* Puts an extension header of `len` bytes between the IPv6 header and what follows. */
static inline void insert_ext(struct made *m, uint8_t type, uint32_t len)
{
    memmove(m->bytes + 40 + len, m->bytes + 40, m->len - 40);
    memset(m->bytes + 40, 0, len);
    m->bytes[40] = m->bytes[6];
    m->bytes[41] = (uint8_t)(len / 8 - 1);
    m->bytes[6] = type;
    m->len += len;
    m->l4 += len;
    put16(m->bytes + 4, m->len - 40);
}

/* Parses a copy of exactly `len` bytes, so that a sanitizer sees the first byte too many. */
static inline enum pg_drop parse_len(const struct made *m, uint32_t len, struct pg_packet *p,
                                     uint8_t **copy)
{
    *copy = malloc(len > 0 ? len : 1);
    assert_non_null(*copy);
    memcpy(*copy, m->bytes, len);
    *p = (struct pg_packet){
        .head = *copy, .head_len = len, .len = len, .csum = m->csum, .gso_size = m->gso_size};
    enum pg_drop why = PG_DROP_NONE;
    bool good = pg_packet_parse(p, &why);
    assert_int_equal(good, why == PG_DROP_NONE);
    return why;
}

static inline enum pg_drop parse(const struct made *m)
{
    struct pg_packet p;
    uint8_t *copy;
    enum pg_drop why = parse_len(m, m->len, &p, &copy);
    free(copy);
    return why;
}

static const struct {
    int version;
    uint8_t proto;
} kinds[] = {{4, PG_PROTO_TCP}, {4, PG_PROTO_UDP}, {4, PG_PROTO_ICMP},
             {6, PG_PROTO_TCP}, {6, PG_PROTO_UDP}, {6, PG_PROTO_ICMP6}};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

#endif
