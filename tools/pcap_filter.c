/* pcap-filter expressions, compiled by libpcap for bare IP packets.
 *
 * A flow has no packet any more when its records are read, so one is made of each tuple the records tell: an IP header, ports, and nothing else.
 * What looks at other bytes of a packet can not match a flow; for a capture the real packet is there. A program that comes from outside
 * passes bpf_validate, which proves that it ends and stays within itself.
 *
 * Called by the verbs trace and capture, and by app/ for the program that a capture brings. The only file that knows libpcap. */
#include "podglass/pcap_filter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/udp.h>
#include <pcap/pcap.h>
#include <stdlib.h>
#include <string.h>

#define SNAPLEN       262144
#define PROGRAM_LIMIT 4096 /* instructions, as the kernel has it */
#define MADE_BYTES    60

struct pg_pcap {
    uint32_t count;
    struct bpf_insn at[];
};

static int take(const struct bpf_insn *at, uint32_t count, struct pg_pcap **ret)
{
    struct pg_pcap *f = malloc(sizeof *f + count * sizeof at[0]);

    if (!f) {
        return -ENOMEM;
    }
    f->count = count;
    memcpy(f->at, at, count * sizeof at[0]);
    *ret = f;
    return 0;
}

int pg_pcap_compile(const char *expression, struct pg_pcap **ret, struct pg_text *ret_text)
{
    struct bpf_program program;

    *ret = NULL;
    if (expression[0] == 0) {
        return 0;
    }
    pcap_t *dead = pcap_open_dead(DLT_RAW, SNAPLEN);

    if (!dead) {
        return -ENOMEM;
    }
    int error = 0;

    if (pcap_compile(dead, &program, expression, 1, PCAP_NETMASK_UNKNOWN) != 0) {
        pg_text_puts(ret_text, pcap_geterr(dead));
        error = -EINVAL;
    } else {
        error = take(program.bf_insns, program.bf_len, ret);
        pcap_freecode(&program);
    }
    pcap_close(dead);
    return error;
}

void pg_pcap_free(struct pg_pcap *f)
{
    free(f);
}

bool pg_pcap_packet(const struct pg_pcap *f, const void *ip, uint32_t len, uint32_t wire_len)
{
    return !f || bpf_filter(f->at, ip, wire_len, len) != 0;
}

/* ---- flows ---- */

/* A packet that has this tuple and nothing else to say. Returns its length. */
static uint32_t make_packet(const struct pg_tuple *t, uint8_t out[MADE_BYTES])
{
    uint8_t *l4 = out + sizeof(struct iphdr);

    memset(out, 0, MADE_BYTES);
    if (pg_addr_is_v4(&t->src) && pg_addr_is_v4(&t->dst)) {
        struct iphdr h = {.version = 4,
                          .ihl = 5,
                          .tot_len = htons(MADE_BYTES),
                          .ttl = 64,
                          .protocol = t->proto,
                          .saddr = pg_addr_v4_be(&t->src),
                          .daddr = pg_addr_v4_be(&t->dst)};
        memcpy(out, &h, sizeof h);
    } else {
        struct ip6_hdr h = {0};

        h.ip6_vfc = 6 << 4;
        h.ip6_plen = htons(MADE_BYTES - sizeof h);
        h.ip6_nxt = t->proto;
        h.ip6_hlim = 64;
        memcpy(&h.ip6_src, t->src.bytes, 16);
        memcpy(&h.ip6_dst, t->dst.bytes, 16);
        memcpy(out, &h, sizeof h);
        l4 = out + sizeof h;
    }
    if (t->proto == IPPROTO_ICMP || t->proto == IPPROTO_ICMPV6) {
        l4[0] = t->proto == IPPROTO_ICMP ? ICMP_ECHO : ICMP6_ECHO_REQUEST;
    } else {
        uint16_t ports[2] = {htons(t->src_port), htons(t->dst_port)};

        memcpy(l4, ports, sizeof ports);
    }
    return MADE_BYTES;
}

static bool tuple_matches(const struct pg_pcap *f, const struct pg_end *src,
                          const struct pg_end *dst, uint8_t proto)
{
    struct pg_tuple t = {.src = src->addr,
                         .dst = dst->addr,
                         .src_port = src->port,
                         .dst_port = dst->port,
                         .proto = proto ? proto : PG_PROTO_TCP};
    struct pg_tuple back = {.src = dst->addr,
                            .dst = src->addr,
                            .src_port = dst->port,
                            .dst_port = src->port,
                            .proto = t.proto};
    uint8_t packet[MADE_BYTES];

    return pg_pcap_packet(f, packet, make_packet(&t, packet), MADE_BYTES) ||
           pg_pcap_packet(f, packet, make_packet(&back, packet), MADE_BYTES);
}

static struct pg_end end_of(const struct pg_value *v)
{
    return v->is_text ? (struct pg_end){0} : (struct pg_end){v->addr, v->port};
}

/* The two ends that one flow's original direction had before NAT and had behind it. */
static bool flow_matches(const struct pg_pcap *f, const struct pg_exchange *x, uint64_t conntrack)
{
    struct pg_end src[2] = {{.port = 0}};
    struct pg_end dst[2] = {{.port = 0}};
    uint8_t proto = 0;

    for (uint32_t i = 0; i < x->count; i++) {
        const struct pg_record *r = &x->records[i];
        struct pg_end *ends = r->field == PG_FIELD_SRC ? src : dst;

        if (r->conntrack != conntrack || r->direction != 0 ||
            (r->field != PG_FIELD_SRC && r->field != PG_FIELD_DST)) {
            continue;
        }
        ends[0] = end_of(&r->before);
        ends[1] = end_of(&r->after);
        proto = r->proto;
    }
    return tuple_matches(f, &src[0], &dst[0], proto) || tuple_matches(f, &src[1], &dst[1], proto);
}

bool pg_pcap_exchange(const struct pg_pcap *f, const struct pg_exchange *x)
{
    uint64_t last = 0;

    if (!f) {
        return true;
    }
    for (uint32_t i = 0; i < x->count; i++) {
        const struct pg_record *r = &x->records[i];

        if (r->kind == PG_RECORD_DROP && r->conntrack == 0) {
            struct pg_end src = end_of(&r->before);
            struct pg_end dst = end_of(&r->after);

            if (tuple_matches(f, &src, &dst, r->proto)) {
                return true;
            }
        } else if (r->conntrack != 0 && r->conntrack != last) {
            last = r->conntrack;
            if (flow_matches(f, x, last)) {
                return true;
            }
        }
    }
    return false;
}

/* ---- a program on its way ---- */

void pg_pcap_print(const struct pg_pcap *f, struct pg_text *out)
{
    for (uint32_t i = 0; f && i < f->count; i++) {
        const struct bpf_insn *in = &f->at[i];

        pg_text_printf(out, "%04x%02x%02x%08x", in->code, in->jt, in->jf, in->k);
    }
}

static bool read_hex(const char *hex, unsigned digits, uint32_t *ret)
{
    *ret = 0;
    for (unsigned i = 0; i < digits; i++) {
        char c = (char)(hex[i] | 0x20);
        bool letter = c >= 'a' && c <= 'f';

        if (!letter && (hex[i] < '0' || hex[i] > '9')) {
            return false;
        }
        *ret = *ret << 4 | (uint32_t)(letter ? c - 'a' + 10 : hex[i] - '0');
    }
    return true;
}

int pg_pcap_read(const char *hex, struct pg_pcap **ret)
{
    size_t len = strlen(hex);
    uint32_t count = (uint32_t)(len / 16);

    *ret = NULL;
    if (len == 0) {
        return 0;
    }
    if (len % 16 != 0 || len / 16 > PROGRAM_LIMIT) {
        return -EINVAL;
    }
    struct pg_pcap *f = calloc(1, sizeof *f + count * sizeof f->at[0]);

    if (!f) {
        return -ENOMEM;
    }
    f->count = count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t code = 0;
        uint32_t jt = 0;
        uint32_t jf = 0;

        if (!read_hex(hex + i * 16, 4, &code) || !read_hex(hex + i * 16 + 4, 2, &jt) ||
            !read_hex(hex + i * 16 + 6, 2, &jf) || !read_hex(hex + i * 16 + 8, 8, &f->at[i].k)) {
            free(f);
            return -EINVAL;
        }
        f->at[i].code = (u_short)code;
        f->at[i].jt = (u_char)jt;
        f->at[i].jf = (u_char)jf;
    }
    if (!bpf_validate(f->at, (int)count)) {
        free(f);
        return -EINVAL;
    }
    *ret = f;
    return 0;
}
