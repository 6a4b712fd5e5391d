/* Addresses as text and as numbers.
 *
 * Called by everything that reads a manifest, an option or a header, and by everything that prints.
 * Text comes from strangers (X-Forwarded-For, PROXY v1, annotations), so only the strict forms
 * pass: a form that two programs read differently (leading zeros in octets, "127.1", zones, blanks)
 * is how a client talks its way past an allow list.
 *
 * Owns nothing. Always true: an IPv4 address has exactly one form here (::ffff:a.b.c.d), whichever
 * text it came from, so comparing bytes compares addresses. An IPv6 prefix therefore must not reach
 * into the mapped range by accident: ::/0 means "all of IPv6" to whoever wrote it, and
 * pg_prefix_contains keeps it so. Not handled: zones (fe80::1%eth0), which mean nothing on a
 * TUN. */
#include "podglass/addr.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define V4_PREFIX_BITS 96 /* bits of the ::ffff:0:0/96 in front of an IPv4 address */

static_assert(sizeof(struct pg_tuple) == 40, "tuples are hashed as 40 bytes without padding");

struct pg_addr pg_addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
    return (struct pg_addr){.bytes = {[10] = 0xff, [11] = 0xff, a, b, c, d}};
}

struct pg_addr pg_addr_from_v4_be(uint32_t be)
{
    struct pg_addr a = {.bytes = {[10] = 0xff, [11] = 0xff}};
    a.words[3] = be;
    return a;
}

struct pg_addr pg_addr_from_v6(const uint8_t bytes[16])
{
    struct pg_addr a;
    memcpy(a.bytes, bytes, sizeof(a.bytes));
    return a;
}

int pg_addr_compare(const struct pg_addr *a, const struct pg_addr *b)
{
    int order = memcmp(a->bytes, b->bytes, sizeof(a->bytes));
    return (order > 0) - (order < 0);
}

uint32_t pg_addr_v4_be(const struct pg_addr *a)
{
    return a->words[3];
}

struct pg_addr pg_addr_add(const struct pg_addr *a, uint32_t n)
{
    uint64_t low = be64toh(a->halves[1]);
    uint64_t sum = low + n;
    struct pg_addr ret = {.halves = {a->halves[0], htobe64(sum)}};
    if (sum < low)
        ret.halves[0] = htobe64(be64toh(a->halves[0]) + 1);
    return ret;
}

/* A decimal number of 1..max_digits digits without leading zeros at *at. -1: not one. */
static int read_decimal(const char *text, size_t len, size_t *at, int most)
{
    size_t begin = *at;
    int n = 0;
    while (*at < len && text[*at] >= '0' && text[*at] <= '9') {
        n = n * 10 + (text[*at] - '0');
        if (n > most)
            return -1;
        (*at)++;
    }
    size_t digits = *at - begin;
    if (digits == 0 || (digits > 1 && text[begin] == '0'))
        return -1;
    return n;
}

static bool read_v4(const char *text, size_t len, uint8_t out[4])
{
    size_t at = 0;
    for (int i = 0; i < 4; i++) {
        if (i > 0 && (at >= len || text[at++] != '.'))
            return false;
        int octet = read_decimal(text, len, &at, 255);
        if (octet < 0)
            return false;
        out[i] = (uint8_t)octet;
    }
    return at == len;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* One group of 1..4 hex digits at *at. -1: not one. */
static int read_group(const char *text, size_t len, size_t *at)
{
    size_t begin = *at;
    int n = 0;
    while (*at < len && hex_digit(text[*at]) >= 0) {
        if (*at - begin == 4)
            return -1;
        n = n << 4 | hex_digit(text[*at]);
        (*at)++;
    }
    return *at == begin ? -1 : n;
}

/* RFC 4291 2.2: groups, at most one "::" standing for one or more zero groups, dotted octets as the
 * last two. */
static bool read_v6(const char *text, size_t len, uint8_t out[16])
{
    size_t at = 0, filled = 0, gap = SIZE_MAX;
    memset(out, 0, 16);
    if (len >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < len) {
        size_t begin = at;
        int group = read_group(text, len, &at);
        if (at < len && text[at] == '.') {
            if (filled > 12 || !read_v4(text + begin, len - begin, out + filled))
                return false;
            filled += 4;
            at = len;
            break;
        }
        if (group < 0 || filled > 14)
            return false;
        out[filled++] = (uint8_t)(group >> 8);
        out[filled++] = (uint8_t)group;
        if (at == len)
            break;
        if (text[at++] != ':' || at == len)
            return false;
        if (text[at] == ':') {
            if (gap != SIZE_MAX)
                return false;
            gap = filled;
            at++;
        }
    }
    if (gap == SIZE_MAX)
        return filled == 16;
    if (filled > 14)
        return false; /* "::" must stand for something */
    memmove(out + 16 - (filled - gap), out + gap, filled - gap);
    memset(out + gap, 0, 16 - filled);
    return true;
}

int pg_addr_parse(const char *text, size_t len, struct pg_addr *ret)
{
    uint8_t bytes[16];
    if (read_v4(text, len, bytes)) {
        *ret = pg_addr_v4(bytes[0], bytes[1], bytes[2], bytes[3]);
        return 0;
    }
    if (!read_v6(text, len, bytes))
        return -EINVAL;
    *ret = pg_addr_from_v6(bytes);
    return 0;
}

static void clear_host_bits(struct pg_addr *a, unsigned bits)
{
    for (unsigned i = 0; i < 16; i++) {
        if (bits >= (i + 1) * 8)
            continue;
        unsigned keep = bits > i * 8 ? bits - i * 8 : 0;
        a->bytes[i] &= (uint8_t)(0xff00u >> keep);
    }
}

int pg_prefix_parse(const char *text, size_t len, struct pg_prefix *ret)
{
    const char *slash = memchr(text, '/', len);
    size_t addr_len = slash ? (size_t)(slash - text) : len;
    struct pg_addr addr;
    if (pg_addr_parse(text, addr_len, &addr) < 0)
        return -EINVAL;
    int bits = 128;
    if (slash) {
        bool dotted = !memchr(text, ':', addr_len);
        size_t at = addr_len + 1;
        bits = read_decimal(text, len, &at, dotted ? 32 : 128);
        if (bits < 0 || at != len)
            return -EINVAL;
        if (dotted)
            bits += V4_PREFIX_BITS;
    }
    clear_host_bits(&addr, (unsigned)bits);
    *ret = (struct pg_prefix){.addr = addr, .bits = (uint8_t)bits};
    return 0;
}

static bool prefix_is_v4(const struct pg_prefix *p)
{
    return p->bits >= V4_PREFIX_BITS && pg_addr_is_v4(&p->addr);
}

bool pg_prefix_contains(const struct pg_prefix *p, const struct pg_addr *a)
{
    if (pg_addr_is_v4(a) != prefix_is_v4(p))
        return false;
    unsigned bits = p->bits;
    for (unsigned i = 0; i < 2 && bits > 0; i++) {
        unsigned here = bits < 64 ? bits : 64;
        uint64_t differ = be64toh(p->addr.halves[i] ^ a->halves[i]);
        if (differ >> (64 - here) != 0)
            return false;
        bits -= here;
    }
    return true;
}

static char *put_decimal(char *at, unsigned n)
{
    char digits[10];
    unsigned count = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

static char *put_hex_group(char *at, unsigned n)
{
    bool started = false;
    for (int shift = 12; shift >= 0; shift -= 4) {
        unsigned digit = n >> shift & 0xf;
        if (digit == 0 && !started && shift > 0)
            continue;
        started = true;
        *at++ = "0123456789abcdef"[digit];
    }
    return at;
}

/* RFC 5952 4.2: the longest run of two or more zero groups, the first of equals, becomes "::". */
static void find_zero_run(const uint8_t bytes[16], unsigned *ret_first, unsigned *ret_count)
{
    unsigned run = 0;
    *ret_first = 8;
    *ret_count = 1;
    for (unsigned i = 0; i < 8; i++) {
        run = (bytes[2 * i] | bytes[2 * i + 1]) == 0 ? run + 1 : 0;
        if (run > *ret_count) {
            *ret_count = run;
            *ret_first = i + 1 - run;
        }
    }
}

static char *put_addr(char *at, const struct pg_addr *a)
{
    if (pg_addr_is_v4(a)) {
        for (unsigned i = 12; i < 16; i++) {
            if (i > 12)
                *at++ = '.';
            at = put_decimal(at, a->bytes[i]);
        }
        return at;
    }
    unsigned first, count;
    find_zero_run(a->bytes, &first, &count);
    for (unsigned i = 0; i < 8; i++) {
        if (i == first) {
            *at++ = ':';
            *at++ = ':';
            i += count - 1;
            continue;
        }
        if (i > 0 && i != first + count)
            *at++ = ':';
        at = put_hex_group(at, (unsigned)a->bytes[2 * i] << 8 | a->bytes[2 * i + 1]);
    }
    return at;
}

const char *pg_addr_print(const struct pg_addr *a, char out[PG_ADDR_TEXT])
{
    *put_addr(out, a) = '\0';
    return out;
}

const char *pg_prefix_print(const struct pg_prefix *p, char out[PG_ENDPOINT_TEXT])
{
    char *at = put_addr(out, &p->addr);
    *at++ = '/';
    at = put_decimal(at, prefix_is_v4(p) ? p->bits - (unsigned)V4_PREFIX_BITS : p->bits);
    *at = '\0';
    return out;
}

const char *pg_endpoint_print(const struct pg_addr *a, uint16_t port, char out[PG_ENDPOINT_TEXT])
{
    char *at = out;
    bool v4 = pg_addr_is_v4(a);
    if (!v4)
        *at++ = '[';
    at = put_addr(at, a);
    if (!v4)
        *at++ = ']';
    *at++ = ':';
    *put_decimal(at, port) = '\0';
    return out;
}

int pg_icmp_counterpart(uint8_t proto, uint8_t type)
{
    static const uint8_t v4[] = {
        [0] = 8, [8] = 0, [13] = 14, [14] = 13, [15] = 16, [16] = 15, [17] = 18, [18] = 17};

    if (proto == PG_PROTO_ICMP6)
        return type == 128 ? 129 : type == 129 ? 128 : -1;
    if (proto != PG_PROTO_ICMP || type >= sizeof(v4) || (v4[type] == 0 && type != 8))
        return -1;
    return v4[type];
}

/* ICMP has no second port: the type says which side speaks. Types without a counterpart stay as
 * they are. */
static uint16_t invert_icmp_type(uint8_t proto, uint16_t type_code)
{
    int other = pg_icmp_counterpart(proto, (uint8_t)(type_code >> 8));

    return other < 0 ? type_code : (uint16_t)((unsigned)other << 8 | (type_code & 0xff));
}

struct pg_tuple pg_tuple_invert(const struct pg_tuple *t)
{
    struct pg_tuple ret = {.src = t->dst, .dst = t->src, .proto = t->proto};
    if (pg_proto_is_icmp(t->proto)) {
        ret.src_port = t->src_port;
        ret.dst_port = invert_icmp_type(t->proto, t->dst_port);
    } else {
        ret.src_port = t->dst_port;
        ret.dst_port = t->src_port;
    }
    return ret;
}

bool pg_tuple_equal(const struct pg_tuple *a, const struct pg_tuple *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

const char *pg_proto_name(uint8_t proto)
{
    static char numbers[256][8]; /* each written once, always with the same */

    switch (proto) {
    case PG_PROTO_ICMP: return "icmp";
    case PG_PROTO_TCP: return "tcp";
    case PG_PROTO_UDP: return "udp";
    case PG_PROTO_GRE: return "gre";
    case PG_PROTO_ICMP6: return "icmpv6";
    case PG_PROTO_SCTP: return "sctp";
    default:
        if (!numbers[proto][0])
            snprintf(numbers[proto], sizeof(numbers[proto]), "ip-%u", proto);
        return numbers[proto];
    }
}

int pg_proto_parse(const char *name)
{
    for (int proto = 0; proto < 256; proto++) {
        if (strcmp(name, pg_proto_name((uint8_t)proto)) == 0)
            return proto;
    }
    return -1;
}
