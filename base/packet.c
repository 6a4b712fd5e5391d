/* One look at a packet: lengths, options, checksums, and the tuple that names its flow.
 *
 * Called by app/path.c for each packet from a link and for each one lwIP made, before any stage
 * sees it; nat/ also asks it what an ICMP error quotes. After it, header fields are read without
 * further checks, so whatever is not provably consistent ends here with a reason from drops.def. It
 * takes the side of firewalls over that of RFC 791: options, source routes and fragments are
 * refused, since each of them lets two readers see two different packets.
 *
 * Owns nothing and writes no packet byte; it only shortens len and head_len to what the IP header
 * says. Always true: no byte at or behind head + head_len is read.
 * Transports that podglass does not know pass by their addresses alone.
 * Not handled: reassembly (nat/fragments.c, for what is refused here), jumbograms, AH, UDP lengths shorter than the IP payload (RFC
 * 9868). */
#include "podglass/packet.h"

#include "podglass/checksum.h"

#include <arpa/inet.h>
#include <string.h>

#define IP4_HEAD  20
#define IP6_HEAD  40
#define TCP_HEAD  20
#define UDP_HEAD  8
#define SCTP_HEAD 12
#define ICMP_HEAD 8
#define QUOTED_L4 8 /* RFC 792: an ICMP error quotes at least 64 bits of the transport header */

#define IP4_FRAGMENT 0x3fff /* more-fragments bit and offset */
#define IP4_OFFSET   0x1fff

#define EXT_HOP_BY_HOP 0
#define EXT_ROUTING    43
#define EXT_FRAGMENT   44
#define EXT_DEST       60
#define PROTO_DCCP     33
#define PROTO_AH       51
#define PROTO_NONE     59 /* IPv6: nothing follows */
#define PROTO_UDP_LITE 136
#define GRE_HEAD       4
#define GRE_VERSION    0x07
#define EXT_MOST       4 /* RFC 8200 4.1 knows no sender that needs more of those we let pass */

#define ICMP6_UNREACHABLE 1
#define ICMP6_PARAMETER   4

static inline uint16_t get16(const uint8_t *at)
{
    uint16_t be;
    memcpy(&be, at, sizeof(be));
    return ntohs(be);
}

static inline uint32_t get32(const uint8_t *at)
{
    uint32_t be;
    memcpy(&be, at, sizeof(be));
    return ntohl(be);
}

static inline struct pg_addr get_v4(const uint8_t *at)
{
    uint32_t be;
    memcpy(&be, at, sizeof(be));
    return pg_addr_from_v4_be(be);
}

/* Follows IPv6 extension headers inside `len` bytes at `ip`, from *offset and *next on, to the
 * transport header. */
static enum pg_drop skip_extensions(const uint8_t *ip, uint32_t len, uint8_t *next,
                                    uint32_t *offset)
{
    for (int count = 0;; count++) {
        if (*next == EXT_ROUTING)
            return PG_DROP_IP_OPTIONS;
        if (*next == EXT_FRAGMENT)
            return PG_DROP_FRAGMENT;
        if (*next != EXT_HOP_BY_HOP && *next != EXT_DEST)
            return PG_DROP_NONE;
        if (*next == EXT_HOP_BY_HOP && count > 0)
            return PG_DROP_BAD_IP_HEADER; /* RFC 8200 4.3: only right behind the IPv6 header */
        if (count == EXT_MOST)
            return PG_DROP_IP_OPTIONS;
        if (len - *offset < 8)
            return PG_DROP_SHORT;
        uint32_t ext_len = (ip[*offset + 1] + 1u) * 8;
        if (len - *offset < ext_len)
            return PG_DROP_SHORT;
        *next = ip[*offset];
        *offset += ext_len;
    }
}

/* Cuts what the link padded behind the IP packet. false: the packet is shorter than its header
 * says. */
static bool cut_to(struct pg_packet *p, uint32_t total)
{
    if (total > p->len)
        return false;
    if (p->tail_count > 0)
        return total == p->len; /* only our own stack makes tails, and it makes them exact */
    p->len = total;
    p->head_len = total;
    return true;
}

static enum pg_drop parse_v4(struct pg_packet *p)
{
    const uint8_t *ip = p->head;
    if (p->head_len < IP4_HEAD)
        return PG_DROP_SHORT;
    uint32_t head = (ip[0] & 0xfu) * 4, total = get16(ip + 2);
    if (head < IP4_HEAD || total < head)
        return PG_DROP_BAD_IP_HEADER;
    if (head > p->head_len || !cut_to(p, total))
        return PG_DROP_SHORT;
    if (pg_sum_fold(pg_sum_add(0, ip, head)) != 0xffff)
        return PG_DROP_BAD_IP_CHECKSUM;
    if (head > IP4_HEAD)
        return PG_DROP_IP_OPTIONS;
    if ((get16(ip + 6) & IP4_FRAGMENT) != 0)
        return PG_DROP_FRAGMENT;
    p->ttl = ip[8];
    p->proto = ip[9];
    p->l4_offset = IP4_HEAD;
    p->tuple = (struct pg_tuple){.src = get_v4(ip + 12), .dst = get_v4(ip + 16), .proto = ip[9]};
    return PG_DROP_NONE;
}

static enum pg_drop parse_v6(struct pg_packet *p)
{
    const uint8_t *ip = p->head;
    if (p->head_len < IP6_HEAD || !cut_to(p, IP6_HEAD + (uint32_t)get16(ip + 4)))
        return PG_DROP_SHORT;
    uint8_t next = ip[6];
    uint32_t offset = IP6_HEAD;
    enum pg_drop why = skip_extensions(ip, p->head_len, &next, &offset);
    if (why != PG_DROP_NONE)
        return why;
    p->ttl = ip[7];
    p->proto = next;
    p->l4_offset = (uint16_t)offset;
    p->tuple = (struct pg_tuple){
        .src = pg_addr_from_v6(ip + 8),
        .dst = pg_addr_from_v6(ip + 24),
        .proto = next,
    };
    /* ::ffff:a.b.c.d must not appear on the wire (RFC 4291 2.5.5.2); here it would be taken for the
     * IPv4 address. */
    if (pg_addr_is_v4(&p->tuple.src) || pg_addr_is_v4(&p->tuple.dst))
        return PG_DROP_MARTIAN;
    return PG_DROP_NONE;
}

/* RFC 1122 3.2.2 and RFC 4443 2.1: the types that quote what they are about. */
static bool is_icmp_error(uint8_t proto, uint8_t type)
{
    if (proto == PG_PROTO_ICMP)
        return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    return proto == PG_PROTO_ICMP6 && type >= ICMP6_UNREACHABLE && type <= ICMP6_PARAMETER;
}

/* Ports of a transport header of which at least eight bytes are there. */
static void fill_ports(struct pg_tuple *t, const uint8_t *l4)
{
    if (pg_proto_has_ports(t->proto)) {
        t->src_port = get16(l4);
        t->dst_port = get16(l4 + 2);
    } else if (pg_proto_is_icmp(t->proto)) {
        t->src_port = pg_icmp_counterpart(t->proto, l4[0]) >= 0 ? get16(l4 + 4) : 0;
        t->dst_port = get16(l4); /* type << 8 | code */
    }
}

/* Transports whose header is read here. */
static bool proto_known(uint8_t ip_version, uint8_t proto)
{
    return pg_proto_has_ports(proto) || proto == (ip_version == 4 ? PG_PROTO_ICMP : PG_PROTO_ICMP6);
}

/* Transports that go by their addresses alone, as a node passes them on. Not those whose sums cover the addresses (DCCP, UDP-Lite, AH), since
 * nobody here repairs these; nor the other family's ICMP, nor what says that nothing follows. */
static bool proto_opaque(uint8_t proto)
{
    static const uint8_t never[] = {EXT_HOP_BY_HOP, PROTO_DCCP,    EXT_ROUTING,    EXT_FRAGMENT,
                                    PROTO_AH,       PROTO_NONE,    EXT_DEST,       PROTO_UDP_LITE,
                                    PG_PROTO_SCTP,  PG_PROTO_ICMP, PG_PROTO_ICMP6, PG_PROTO_TCP,
                                    PG_PROTO_UDP};

    return memchr(never, proto, sizeof(never)) == NULL;
}

/* Nothing of it is looked at but GRE's version: that of PPTP has calls, which would be flows. */
static enum pg_drop parse_opaque(struct pg_packet *p, const uint8_t *l4, uint32_t here)
{
    if (p->proto == PG_PROTO_GRE && here < GRE_HEAD)
        return PG_DROP_BAD_L4_HEADER;
    if (p->proto == PG_PROTO_GRE && (l4[1] & GRE_VERSION) != 0)
        return PG_DROP_UNSUPPORTED_PROTOCOL;
    if (p->csum == PG_CSUM_PARTIAL)
        return PG_DROP_BAD_GSO; /* a sum to be completed, and nobody knows where */
    p->payload_offset = p->l4_offset;
    return PG_DROP_NONE;
}

/* Its ports stand where those of TCP do: who refuses it can say of what. */
static enum pg_drop refuse_sctp(struct pg_packet *p, const uint8_t *l4, uint32_t here)
{
    if (here < SCTP_HEAD)
        return PG_DROP_BAD_L4_HEADER;
    p->tuple.src_port = get16(l4);
    p->tuple.dst_port = get16(l4 + 2);
    return PG_DROP_SCTP;
}

static enum pg_drop parse_l4(struct pg_packet *p)
{
    const uint8_t *l4 = p->head + p->l4_offset;
    uint32_t l4_len = p->len - p->l4_offset, here = p->head_len - p->l4_offset, head = ICMP_HEAD;
    if (p->proto == PG_PROTO_SCTP)
        return refuse_sctp(p, l4, here);
    if (proto_opaque(p->proto))
        return parse_opaque(p, l4, here);
    if (!proto_known(p->ip_version, p->proto))
        return PG_DROP_UNSUPPORTED_PROTOCOL;
    if (p->proto == PG_PROTO_TCP) {
        if (here < TCP_HEAD)
            return PG_DROP_BAD_L4_HEADER;
        head = (l4[12] >> 4) * 4u;
        if (head < TCP_HEAD || head > here)
            return PG_DROP_BAD_L4_HEADER;
        p->tcp_flags = l4[13] & 0x3f;
    } else if (p->proto == PG_PROTO_UDP) {
        head = UDP_HEAD;
        if (here < UDP_HEAD || get16(l4 + 4) != l4_len)
            return PG_DROP_BAD_L4_HEADER;
    } else if (here < ICMP_HEAD) {
        return PG_DROP_BAD_L4_HEADER;
    }
    p->payload_offset = (uint16_t)(p->l4_offset + head);
    fill_ports(&p->tuple, l4);
    return PG_DROP_NONE;
}

/* A super-segment is TCP or UDP with payload; anything else is a device that contradicts itself. */
static enum pg_drop check_gso(const struct pg_packet *p, enum pg_drop why)
{
    if (p->gso_size == 0)
        return why;
    if (why == PG_DROP_BAD_L4_HEADER || why == PG_DROP_UNSUPPORTED_PROTOCOL || why == PG_DROP_SCTP)
        return PG_DROP_BAD_GSO;
    if (why != PG_DROP_NONE)
        return why;
    bool splits = p->proto == PG_PROTO_TCP || p->proto == PG_PROTO_UDP;
    return splits && pg_packet_payload_len(p) > 0 ? PG_DROP_NONE : PG_DROP_BAD_GSO;
}

static enum pg_drop verify_sum(struct pg_packet *p)
{
    if (p->csum != PG_CSUM_FULL || p->tail_count > 0)
        return PG_DROP_NONE;
    if (proto_opaque(p->proto)) {
        p->csum = PG_CSUM_VERIFIED; /* there is none that we know of */
        return PG_DROP_NONE;
    }
    const uint8_t *l4 = p->head + p->l4_offset;
    uint32_t l4_len = p->len - p->l4_offset;
    if (p->proto == PG_PROTO_UDP && get16(l4 + 6) == 0) {
        if (p->ip_version == 6)
            return PG_DROP_BAD_L4_CHECKSUM; /* RFC 8200 8.1; RFC 6935 tunnels are not for us */
        p->csum = PG_CSUM_VERIFIED;         /* RFC 768: sent without one */
        return PG_DROP_NONE;
    }
    uint64_t sum = 0;
    if (p->proto != PG_PROTO_ICMP) /* RFC 792 has no pseudo header, RFC 4443 has */
        sum = pg_sum_pseudo(&p->tuple.src, &p->tuple.dst, p->proto, l4_len);
    if (pg_sum_fold(pg_sum_add(sum, l4, l4_len)) != 0xffff)
        return PG_DROP_BAD_L4_CHECKSUM;
    p->csum = PG_CSUM_VERIFIED;
    return PG_DROP_NONE;
}

static enum pg_drop parse(struct pg_packet *p)
{
    if (p->head_len == 0)
        return PG_DROP_SHORT;
    p->tcp_flags = 0;
    p->ip_version = p->head[0] >> 4;
    if (p->ip_version != 4 && p->ip_version != 6)
        return PG_DROP_BAD_VERSION;
    enum pg_drop why = p->ip_version == 4 ? parse_v4(p) : parse_v6(p);
    if (why != PG_DROP_NONE)
        return why;
    why = check_gso(p, parse_l4(p));
    return why != PG_DROP_NONE ? why : verify_sum(p);
}

bool pg_packet_parse(struct pg_packet *p, enum pg_drop *ret_drop)
{
    enum pg_drop why = parse(p);
    if (why == PG_DROP_NONE)
        return true;
    *ret_drop = why;
    return false;
}

/* The quoted IP header, as far as it is there: its transport's offset and the addresses. The quoted
 * header sum is not looked at, as in netfilter: routers quote after they counted the time to live
 * down, some without repairing the sum. */
static bool read_quoted_v4(const uint8_t *ip, uint32_t len, struct pg_tuple *t, uint32_t *ret_l4)
{
    if (len < IP4_HEAD)
        return false;
    uint32_t head = (ip[0] & 0xfu) * 4;
    if (head < IP4_HEAD || get16(ip + 2) < head + QUOTED_L4)
        return false;
    if ((get16(ip + 6) & IP4_OFFSET) != 0) /* a first fragment still has the ports */
        return false;
    *t = (struct pg_tuple){.src = get_v4(ip + 12), .dst = get_v4(ip + 16), .proto = ip[9]};
    *ret_l4 = head;
    return true;
}

static bool read_quoted_v6(const uint8_t *ip, uint32_t len, struct pg_tuple *t, uint32_t *ret_l4)
{
    if (len < IP6_HEAD)
        return false;
    uint8_t next = ip[6];
    uint32_t offset = IP6_HEAD;
    if (skip_extensions(ip, len, &next, &offset) != PG_DROP_NONE)
        return false;
    if (get16(ip + 4) < offset - IP6_HEAD + QUOTED_L4)
        return false;
    *t = (struct pg_tuple){
        .src = pg_addr_from_v6(ip + 8),
        .dst = pg_addr_from_v6(ip + 24),
        .proto = next,
    };
    *ret_l4 = offset;
    return !pg_addr_is_v4(&t->src) && !pg_addr_is_v4(&t->dst);
}

bool pg_packet_quoted(const struct pg_packet *p, struct pg_tuple *ret_tuple, uint16_t *ret_offset)
{
    if (!is_icmp_error(p->proto, p->head[p->l4_offset]))
        return false;
    const uint8_t *ip = p->head + p->payload_offset;
    uint32_t len = p->head_len - p->payload_offset, l4 = 0;
    if (len == 0 || ip[0] >> 4 != p->ip_version)
        return false;
    struct pg_tuple t;
    if (p->ip_version == 4 ? !read_quoted_v4(ip, len, &t, &l4) : !read_quoted_v6(ip, len, &t, &l4))
        return false;
    if ((!proto_known(p->ip_version, t.proto) && !proto_opaque(t.proto)) || len < l4 + QUOTED_L4)
        return false;
    if (is_icmp_error(t.proto, ip[l4]))
        return false; /* RFC 1122 3.2.2: nobody may send an error about an error */
    fill_ports(&t, ip + l4);
    *ret_tuple = t;
    *ret_offset = p->payload_offset;
    return true;
}

uint32_t pg_packet_tcp_seq(const struct pg_packet *p)
{
    return get32(p->head + p->l4_offset + 4);
}

uint32_t pg_packet_tcp_ack(const struct pg_packet *p)
{
    return get32(p->head + p->l4_offset + 8);
}

uint16_t pg_packet_tcp_window(const struct pg_packet *p)
{
    return get16(p->head + p->l4_offset + 14);
}
