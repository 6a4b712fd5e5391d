/* folder: base */
/* Addresses, ports and tuples: one type for IPv4 and IPv6.
 *
 * An IPv4 address is kept as its IPv4-mapped IPv6 form (::ffff:a.b.c.d), so that an address is
 * sixteen bytes, two words to compare, and needs no family beside it. All zero bytes mean "no
 * address". Ports are in host order everywhere; the network's order exists only inside packets. */
#ifndef PODGLASS_ADDR_H
#define PODGLASS_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PG_PROTO_ICMP  1
#define PG_PROTO_TCP   6
#define PG_PROTO_UDP   17
#define PG_PROTO_GRE   47
#define PG_PROTO_ICMP6 58
#define PG_PROTO_SCTP  132

struct pg_addr {
    union {
        uint8_t bytes[16];
        uint32_t words[4];
        uint64_t halves[2];
    };
};

/* A prefix of addresses; bits counts from the 128-bit form, so 10.0.0.0/8 has bits 104. */
struct pg_prefix {
    struct pg_addr addr;
    uint8_t bits;
};

/* What tells one flow from another, seen from its sender.
 * ICMP echo: src_port is the identifier, dst_port is type << 8 | code. */
struct pg_tuple {
    struct pg_addr src;
    struct pg_addr dst;
    uint16_t src_port;
    uint16_t dst_port;
    uint8_t proto;
    uint8_t zero[3]; /* kept zero: tuples are hashed as bytes */
};

#define PG_ADDR_TEXT     46 /* room for any address with its final NUL */
#define PG_ENDPOINT_TEXT 54 /* [address]:port with its final NUL */

struct pg_addr pg_addr_v4(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
struct pg_addr pg_addr_from_v4_be(uint32_t be); /* four bytes as they stand in a packet */
struct pg_addr pg_addr_from_v6(const uint8_t bytes[16]);
static inline bool pg_addr_is_v4(const struct pg_addr *a)
{
    return a->halves[0] == 0 && a->bytes[8] == 0 && a->bytes[9] == 0 && a->bytes[10] == 0xff &&
           a->bytes[11] == 0xff;
}
static inline bool pg_addr_is_none(const struct pg_addr *a)
{
    return (a->halves[0] | a->halves[1]) == 0;
}
static inline bool pg_addr_is_loopback(const struct pg_addr *a) /* 127.0.0.0/8, ::1 */
{
    return pg_addr_is_v4(a) ? a->bytes[12] == 127
                            : a->halves[0] == 0 && a->words[2] == 0 && a->bytes[12] == 0 &&
                                  a->bytes[13] == 0 && a->bytes[14] == 0 && a->bytes[15] == 1;
}
static inline bool pg_addr_equal(const struct pg_addr *a, const struct pg_addr *b)
{
    return a->halves[0] == b->halves[0] && a->halves[1] == b->halves[1];
}
int pg_addr_compare(const struct pg_addr *a, const struct pg_addr *b); /* numeric order */
uint32_t pg_addr_v4_be(const struct pg_addr *a);                       /* only of an IPv4 address */
struct pg_addr pg_addr_add(const struct pg_addr *a, uint32_t n);       /* a + n, carry included */

/* Strict text forms only: four decimal octets without leading zeros, or RFC 4291 text. Text need
 * not end with NUL. 0 or -EINVAL. An IPv4-mapped IPv6 text gives the IPv4 address. */
int pg_addr_parse(const char *text, size_t len, struct pg_addr *ret);
/* "10.0.0.0/8", "2001:db8::/32", or an address alone (all bits). Host bits may be set; they are
 * cleared. */
int pg_prefix_parse(const char *text, size_t len, struct pg_prefix *ret);
/* An IPv6 prefix contains no IPv4 address: ::/0 does not reach into the mapped range. */
bool pg_prefix_contains(const struct pg_prefix *p, const struct pg_addr *a);
/* RFC 5952 text, always with NUL. All return out. */
const char *pg_addr_print(const struct pg_addr *a, char out[PG_ADDR_TEXT]);
const char *pg_prefix_print(const struct pg_prefix *p, char out[PG_ENDPOINT_TEXT]);
/* a:port, [v6]:port */
const char *pg_endpoint_print(const struct pg_addr *a, uint16_t port, char out[PG_ENDPOINT_TEXT]);

/* TCP and UDP. */
static inline bool pg_proto_has_ports(uint8_t proto)
{
    return proto == PG_PROTO_TCP || proto == PG_PROTO_UDP;
}
static inline bool pg_proto_is_icmp(uint8_t proto)
{
    return proto == PG_PROTO_ICMP || proto == PG_PROTO_ICMP6;
}
/* The ICMP type that answers this question, or asks for this answer: echo, and in IPv4 timestamp, information and address
 * mask. -1: neither. All of these have an identifier. */
int pg_icmp_counterpart(uint8_t proto, uint8_t type);

/* The same flow seen from the other side (ICMP: question <-> answer). */
struct pg_tuple pg_tuple_invert(const struct pg_tuple *t);
bool pg_tuple_equal(const struct pg_tuple *a, const struct pg_tuple *b);
/* "tcp", "udp", "icmp", "icmpv6", "sctp", "gre"; others by their number: "ip-50". */
const char *pg_proto_name(uint8_t proto);
int pg_proto_parse(const char *name); /* such a name; -1: none */

#endif
