/* ICMP: the messages podglass makes itself, and errors that arrive about a flow.
 *
 * An error quotes the packet it is about as that packet was where the error arose, so behind our
 * translation. The quoted tuple, turned round, names the flow; the quote becomes what the receiver
 * of the error once sent, and the error goes to that receiver, from the address it talked to. So a
 * client behind a service gets an error from the service address that quotes its own packet,
 * whoever raised it. Errors about nothing we know are dropped: nobody could use them, and they
 * would show addresses that do not exist for their receiver. Errors make no flow and keep none
 * alive.
 *
 * hooks.c asks for translation, app/path.c and stack/ for messages. Writes bytes of its own
 * messages only; those of passing packets change in rewrite.c. */
#include "podglass/icmp.h"

#include "nat_internal.h"
#include "podglass/checksum.h"
#include "podglass/nat_rewrite.h"

#include <arpa/inet.h>
#include <string.h>

#define IP4_HEAD  20u
#define IP6_HEAD  40u
#define ICMP_HEAD 8u
#define TTL       64
#define TOS       0xc0  /* RFC 1812 4.3.2.5: errors have the precedence of internetwork control */
#define V4_MOST   576u  /* RFC 1812 4.3.2.3: as much as fits without exceeding this */
#define V6_MOST   1280u /* RFC 4443 2.4 c: the minimum MTU */
#define REDIRECT  5

static const uint8_t codes_v4[][2] = {
    [PG_ICMP_PORT_UNREACHABLE] = {3, 3},
    [PG_ICMP_HOST_UNREACHABLE] = {3, 1},
    [PG_ICMP_TIME_EXCEEDED] = {11, 0},
    [PG_ICMP_PROTOCOL_UNREACHABLE] = {3, 2},
};
static const uint8_t codes_v6[][2] = {
    [PG_ICMP_PORT_UNREACHABLE] = {1, 4},
    [PG_ICMP_HOST_UNREACHABLE] = {1, 3},
    [PG_ICMP_TIME_EXCEEDED] = {3, 0},
    [PG_ICMP_PROTOCOL_UNREACHABLE] = {4, 1},
};

bool pg_icmp_is_query(const struct pg_packet *p)
{
    return pg_proto_is_icmp(p->proto) && pg_icmp_counterpart(p->proto, p->head[p->l4_offset]) >= 0;
}

/* RFC 1122 3.2.2: no error about an error, nor about what many receive or nobody sent. */
static bool may_tell(const struct pg_packet *p)
{
    const struct pg_addr *ends[] = {&p->tuple.src, &p->tuple.dst};

    if (p->proto == PG_PROTO_ICMP && !pg_icmp_is_query(p))
        return false;
    if (p->proto == PG_PROTO_ICMP6 && p->head[p->l4_offset] < 128)
        return false;
    for (int i = 0; i < 2; i++) {
        const uint8_t *b = ends[i]->bytes;
        bool v4 = pg_addr_is_v4(ends[i]);
        if (v4 ? b[12] >= 224 || b[12] == 0 : b[0] == 0xff)
            return false; /* multicast, broadcast, "this host" */
    }
    return !pg_addr_is_none(&p->tuple.src);
}

/* Copies the first `want` bytes of the packet, head and tail. */
static void copy_packet(const struct pg_packet *p, uint8_t *to, uint32_t want)
{
    uint32_t piece = want < p->head_len ? want : p->head_len;

    memcpy(to, p->head, piece);
    for (uint32_t i = 0; i < p->tail_count && piece < want; i++) {
        uint32_t left = want - piece;
        uint32_t len = p->tail[i].iov_len < left ? (uint32_t)p->tail[i].iov_len : left;
        memcpy(to + piece, p->tail[i].iov_base, len);
        piece += len;
    }
}

static void put16(uint8_t *at, uint16_t value)
{
    uint16_t be = htons(value);
    memcpy(at, &be, sizeof(be));
}

static void write_ip4(uint8_t *out, uint32_t len, const struct pg_addr *from,
                      const struct pg_addr *to)
{
    memset(out, 0, IP4_HEAD);
    out[0] = 0x45;
    out[1] = TOS;
    put16(out + 2, (uint16_t)len);
    out[8] = TTL;
    out[9] = PG_PROTO_ICMP;
    memcpy(out + 12, from->bytes + 12, 4);
    memcpy(out + 16, to->bytes + 12, 4);
    uint16_t sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, out, IP4_HEAD));
    memcpy(out + 10, &sum, sizeof(sum));
}

static void write_ip6(uint8_t *out, uint32_t len, const struct pg_addr *from,
                      const struct pg_addr *to)
{
    memset(out, 0, 8);
    out[0] = 0x60;
    put16(out + 4, (uint16_t)(len - IP6_HEAD));
    out[6] = PG_PROTO_ICMP6;
    out[7] = TTL;
    memcpy(out + 8, from->bytes, 16);
    memcpy(out + 24, to->bytes, 16);
}

/* Where the number of the transport stands: RFC 4443 3.4 points at it. */
static uint16_t next_header_at(const struct pg_packet *p)
{
    uint32_t at = 6;

    for (uint32_t header = IP6_HEAD; header < p->l4_offset;) {
        at = header;
        header += (p->head[header + 1] + 1u) * 8;
    }
    return (uint16_t)at;
}

uint32_t pg_icmp_error(const struct pg_packet *p, enum pg_icmp_error kind,
                       const struct pg_addr *from, uint8_t *out, uint32_t room)
{
    bool v4 = p->ip_version == 4;
    uint32_t head = (v4 ? IP4_HEAD : IP6_HEAD) + ICMP_HEAD;
    uint32_t most = v4 ? V4_MOST : V6_MOST;
    const uint8_t *code = v4 ? codes_v4[kind] : codes_v6[kind];

    if (!may_tell(p) || pg_addr_is_none(from) || pg_addr_is_v4(from) != v4 || room < most)
        return 0;
    uint32_t quote = p->len < most - head ? p->len : most - head;
    uint8_t *icmp = out + head - ICMP_HEAD;
    const struct pg_addr *to = &p->tuple.src;
    uint64_t sum = 0;

    memset(icmp, 0, ICMP_HEAD);
    icmp[0] = code[0];
    icmp[1] = code[1];
    if (!v4 && kind == PG_ICMP_PROTOCOL_UNREACHABLE)
        put16(icmp + 6, next_header_at(p));
    copy_packet(p, icmp + ICMP_HEAD, quote);
    if (v4) {
        write_ip4(out, head + quote, from, to);
    } else {
        write_ip6(out, head + quote, from, to);
        sum = pg_sum_pseudo(from, to, PG_PROTO_ICMP6, ICMP_HEAD + quote);
    }
    uint16_t folded = (uint16_t)~pg_sum_fold(pg_sum_add(sum, icmp, ICMP_HEAD + quote));
    memcpy(icmp + 2, &folded, sizeof(folded));
    return head + quote;
}

bool pg_icmp_echo_reply(struct pg_packet *p)
{
    uint8_t *icmp = p->head + p->l4_offset;
    uint8_t request = p->proto == PG_PROTO_ICMP ? 8 : 128;

    if (!pg_proto_is_icmp(p->proto) || icmp[0] != request)
        return false;
    struct pg_tuple reply = pg_tuple_invert(&p->tuple);
    uint8_t type[2] = {request == 8 ? 0 : 129, icmp[1]};
    uint16_t sum;

    memcpy(&sum, icmp + 2, sizeof(sum));
    sum = pg_csum_update(sum, icmp, type, sizeof(type));
    memcpy(icmp + 2, &sum, sizeof(sum));
    icmp[0] = type[0];
    pg_rewrite_tuple(p, &reply);
    p->tuple = reply;
    if (p->ip_version == 6) {
        p->head[7] = TTL;
    } else {
        uint8_t ttl[2] = {TTL, p->head[9]};
        memcpy(&sum, p->head + 10, sizeof(sum));
        sum = pg_csum_update(sum, p->head + 8, ttl, sizeof(ttl));
        memcpy(p->head + 10, &sum, sizeof(sum));
        p->head[8] = TTL;
    }
    p->ttl = TTL;
    return true;
}

/* ---- errors about a flow ---- */

/* The flow whose packet is quoted, as a copy; *ret_direction is the way the error goes. Either the
 * tuple is in the table, or it is half translated and of the packet under way: an error that
 * podglass raised itself between two hooks. */
static bool find_quoted(const struct pg_nat *n, const struct pg_tuple *quoted, struct pg_flow *ret,
                        uint64_t *ret_id, unsigned *ret_direction)
{
    const struct pg_passing *now = &n->passing;

    if ((now->kind == PASSING_FLOW || now->kind == PASSING_NEW) &&
        pg_tuple_equal(quoted, &now->half)) {
        *ret_direction = !now->direction;
        *ret_id = pg_passing_id(n);
        *ret = now->kind == PASSING_NEW ? now->pending : *pg_flow_at(n, now->flow);
        return true;
    }
    struct pg_tuple turned = pg_tuple_invert(quoted);
    uint32_t found = pg_flow_of(n, &turned);

    if (found == PG_TABLE_NONE)
        return false;
    *ret_direction = found & 1;
    *ret_id = pg_flow_id(n, found >> 1);
    *ret = *pg_flow_at(n, found >> 1);
    return true;
}

static void tell_quote(struct pg_nat *n, const struct pg_packet *p, const struct pg_flow *f,
                       unsigned direction, enum pg_stage stage, const struct pg_tuple *before,
                       const struct pg_tuple *after)
{
    struct pg_record r = {.kind = PG_RECORD_REWRITE,
                          .stage = (uint8_t)stage,
                          .reason = n->reverse,
                          .direction = (uint8_t)direction};
    bool echo = pg_proto_is_icmp(before->proto);

    if (!pg_addr_equal(&before->src, &after->src) || before->src_port != after->src_port) {
        r.field = PG_FIELD_INNER_SRC;
        r.before = pg_value_endpoint(&before->src, before->src_port);
        r.after = pg_value_endpoint(&after->src, after->src_port);
        pg_nat_tell(n, p, f, &r);
    }
    if (!pg_addr_equal(&before->dst, &after->dst) ||
        (!echo && before->dst_port != after->dst_port)) {
        r.field = PG_FIELD_INNER_DST;
        r.before = pg_value_endpoint(&before->dst, echo ? 0 : before->dst_port);
        r.after = pg_value_endpoint(&after->dst, echo ? 0 : after->dst_port);
        pg_nat_tell(n, p, f, &r);
    }
}

static void tell_outer(struct pg_nat *n, const struct pg_packet *p, const struct pg_flow *f,
                       unsigned direction, enum pg_stage stage, const struct pg_addr *before,
                       const struct pg_addr *after)
{
    struct pg_record r = {.kind = PG_RECORD_REWRITE,
                          .stage = (uint8_t)stage,
                          .field = PG_FIELD_DST,
                          .reason = n->reverse,
                          .direction = (uint8_t)direction};

    r.before = pg_value_endpoint(before, 0);
    r.after = pg_value_endpoint(after, 0);
    pg_nat_tell(n, p, f, &r);
}

bool pg_icmp_related(struct pg_nat *n, struct pg_packet *p, enum pg_stage stage)
{
    struct pg_tuple quoted;
    uint16_t offset;
    unsigned direction;
    struct pg_flow f;
    uint64_t id;

    if (!pg_packet_quoted(p, &quoted, &offset) || !find_quoted(n, &quoted, &f, &id, &direction))
        return false;
    if (!pg_addr_equal(&p->tuple.dst, &quoted.src))
        return false;
    /* A redirect about a translated flow would teach the client a route to an address it must not
     * know. */
    if (p->proto == PG_PROTO_ICMP && p->head[p->l4_offset] == REDIRECT &&
        (f.flags & (FLOW_DNAT | FLOW_SNAT)))
        return false;

    struct pg_tuple origin = pg_flow_tuple(n, &f, !direction); /* what the error's receiver sent */
    struct pg_tuple outer = p->tuple;
    struct pg_passing *now = &n->passing;

    *now = (struct pg_passing){.kind = PASSING_ERROR,
                               .direction = (uint8_t)direction,
                               .packet = p->id,
                               .id = id,
                               .pending = f,
                               .tell = pg_trace_on(n->trace)};
    if (f.flags & (direction == PG_ORIG ? FLOW_SNAT : FLOW_DNAT))
        now->error_source = origin.dst; /* though only a port may have changed: as netfilter */
    p->label = f.label;
    pg_rewrite_quoted(p, offset, &origin);
    outer.dst = origin.src;
    if (now->tell) {
        tell_quote(n, p, &f, direction, stage, &quoted, &origin);
        if (!pg_addr_equal(&p->tuple.dst, &outer.dst))
            tell_outer(n, p, &f, direction, stage, &p->tuple.dst, &outer.dst);
    }
    pg_rewrite_tuple(p, &outer);
    return true;
}
