/* The far side of the wire in a walk: packets that peers send, and what the path sends to them.
 *
 *   when wire sends udp A:p > B:p ["text"]
 *   when wire sends udp A:p > B:p big N [pieces SIZE] [reverse 1] [without K] [again K]
 *   when wire sends tcp A:p > B:p FLAGS [seq N] [ack N] [win N] ["text"]     FLAGS of S A F R P U E C, or -
 *   when wire sends sctp A:p > B:p                                    an INIT
 *   when wire sends ... broken 1                                      with a wrong sum
 *   when wire sends ping A > B [id N] [ttl N] [type N]                another ICMP message of an echo's form
 *   when wire sends ip A > B number N [version N]                     a packet of that transport protocol, eight bytes
 *   when wire replies udp ["text"] | tcp FLAGS [seq N] ["text"] | pong | ip
 *   when wire refuses port|host|too-big|time|redirect [from ADDR] [to ADDR] [mtu N]    ICMP error that quotes the last packet
 * `replies` and `refuses` answer the last packet that the path sent, whatever ports it carries. */
#include "podglass/checksum.h"
#include "podglass/dgram.h"
#include "podglass/fragments.h"
#include "podglass/icmp.h"
#include "walk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PG_PIECES 64

static bool parse_copy(const uint8_t *bytes, uint32_t len, uint8_t *copy, struct pg_packet *ret)
{
    enum pg_drop drop;
    memcpy(copy, bytes, len);
    *ret = (struct pg_packet){.head = copy,
                              .head_len = len,
                              .len = len,
                              .csum = PG_CSUM_FULL,
                              .entry_node = PG_NODE_NONE};
    return pg_packet_parse(ret, &drop);
}

static void describe_icmp(const struct pg_packet *p, char *out, size_t room)
{
    char src[PG_ADDR_TEXT], dst[PG_ADDR_TEXT], quoted_src[PG_ENDPOINT_TEXT],
        quoted_dst[PG_ENDPOINT_TEXT];
    struct pg_tuple quoted;
    uint16_t offset;
    pg_addr_print(&p->tuple.src, src);
    pg_addr_print(&p->tuple.dst, dst);
    unsigned type = p->head[p->l4_offset];
    unsigned code = p->head[p->l4_offset + 1];
    if (pg_packet_quoted(p, &quoted, &offset)) {
        snprintf(out, room, "icmp %u/%u %s > %s quoting %s %s > %s", type, code, src, dst,
                 pg_proto_name(quoted.proto),
                 pg_endpoint_print(&quoted.src, quoted.src_port, quoted_src),
                 pg_endpoint_print(&quoted.dst, quoted.dst_port, quoted_dst));
    } else {
        snprintf(out, room, "icmp %u/%u %s > %s id %u", type, code, src, dst, p->tuple.src_port);
    }
}

void walk_wire_describe(const uint8_t *bytes, uint32_t len, char *out, size_t room)
{
    static uint8_t copy[65536 + 64];
    char src[PG_ENDPOINT_TEXT], dst[PG_ENDPOINT_TEXT];
    struct pg_packet p;
    if (!parse_copy(bytes, len, copy, &p)) {
        if (bytes[0] >> 4 == 4 && len > 20 && ((bytes[6] & 0x3f) | bytes[7]) != 0) {
            snprintf(out, room, "fragment %u.%u.%u.%u > %u.%u.%u.%u at %u len %u%s", bytes[12],
                     bytes[13], bytes[14], bytes[15], bytes[16], bytes[17], bytes[18], bytes[19],
                     ((bytes[6] & 0x1fu) << 8 | bytes[7]) * 8, len - 20,
                     (bytes[6] & 0x20) != 0 ? " more" : "");
            return;
        }
        snprintf(out, room, "malformed packet of %u bytes", len);
        return;
    }
    pg_endpoint_print(&p.tuple.src, p.tuple.src_port, src);
    pg_endpoint_print(&p.tuple.dst, p.tuple.dst_port, dst);
    uint32_t payload = pg_packet_payload_len(&p);
    if (p.proto == PG_PROTO_TCP) {
        char flags[8];
        size_t n = 0;
        const char *names = "FSRPA";
        for (unsigned i = 0; names[i] != 0; i++) {
            if ((p.tcp_flags & (1u << i)) != 0) {
                flags[n++] = names[i];
            }
        }
        flags[n] = 0;
        snprintf(out, room, "tcp %s > %s %s seq %u ack %u ttl %u len %u", src, dst, flags,
                 pg_packet_tcp_seq(&p), pg_packet_tcp_ack(&p), p.ttl, payload);
    } else if (p.proto == PG_PROTO_UDP && (p.tuple.src_port == 53 || p.tuple.dst_port == 53)) {
        int used = snprintf(out, room, "udp %s > %s ttl %u ", src, dst, p.ttl);
        walk_dns_describe(p.head + p.payload_offset, payload, out + used, room - (size_t)used);
    } else if (p.proto == PG_PROTO_UDP) {
        snprintf(out, room, "udp %s > %s ttl %u \"%.*s\"", src, dst, p.ttl,
                 (int)(payload < 60 ? payload : 60), (const char *)p.head + p.payload_offset);
    } else if (pg_proto_is_icmp(p.proto)) {
        describe_icmp(&p, out, room);
    } else {
        snprintf(out, room, "%s %s > %s ttl %u len %u", pg_proto_name(p.proto), src, dst, p.ttl,
                 payload);
    }
}

static uint32_t build_ip(uint8_t *out, const struct pg_addr *src, const struct pg_addr *dst,
                         uint8_t proto, uint32_t l4_len, uint8_t ttl)
{
    memset(out, 0, 40);
    if (pg_addr_is_v4(src)) {
        uint32_t total = 20 + l4_len;
        out[0] = 0x45;
        out[2] = (uint8_t)(total >> 8);
        out[3] = (uint8_t)total;
        out[6] = 0x40;
        out[8] = ttl;
        out[9] = proto;
        memcpy(out + 12, src->bytes + 12, 4);
        memcpy(out + 16, dst->bytes + 12, 4);
        uint16_t sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, out, 20));
        memcpy(out + 10, &sum, 2);
        return 20;
    }
    out[0] = 0x60;
    out[4] = (uint8_t)(l4_len >> 8);
    out[5] = (uint8_t)l4_len;
    out[6] = proto;
    out[7] = ttl;
    memcpy(out + 8, src->bytes, 16);
    memcpy(out + 24, dst->bytes, 16);
    return 40;
}

uint32_t walk_tcp_build(uint8_t *out, const struct pg_tuple *t, const struct walk_segment *s)
{
    uint32_t len = 20 + s->len;
    uint32_t seq = s->seq;
    uint32_t ack = s->ack;
    uint32_t ip = build_ip(out, &t->src, &t->dst, PG_PROTO_TCP, len, 64);
    uint8_t *tcp = out + ip;
    uint8_t bits = 0;
    for (const char *flags = s->flags; *flags != 0; flags++) {
        const char *names = "FSRPAUEC";
        const char *at = strchr(names, *flags);
        bits = (uint8_t)(bits | (at != NULL ? 1u << (at - names) : 0u));
    }
    const uint8_t head[20] = {(uint8_t)(t->src_port >> 8),
                              (uint8_t)t->src_port,
                              (uint8_t)(t->dst_port >> 8),
                              (uint8_t)t->dst_port,
                              (uint8_t)(seq >> 24),
                              (uint8_t)(seq >> 16),
                              (uint8_t)(seq >> 8),
                              (uint8_t)seq,
                              (uint8_t)(ack >> 24),
                              (uint8_t)(ack >> 16),
                              (uint8_t)(ack >> 8),
                              (uint8_t)ack,
                              0x50,
                              bits,
                              (uint8_t)(s->window >> 8),
                              (uint8_t)s->window,
                              0,
                              0,
                              0,
                              0};
    memcpy(tcp, head, sizeof head);
    memcpy(tcp + 20, s->payload, s->len);
    uint64_t sum = pg_sum_add(pg_sum_pseudo(&t->src, &t->dst, PG_PROTO_TCP, len), tcp, len);
    uint16_t field = (uint16_t)~pg_sum_fold(sum);
    memcpy(tcp + 16, &field, 2);
    return ip + len;
}

/* An association's first packet (RFC 9260 3.3.2), without its sum. */
static uint32_t build_sctp(uint8_t *out, const struct pg_tuple *t)
{
    uint32_t ip = build_ip(out, &t->src, &t->dst, PG_PROTO_SCTP, 32, 64);
    uint8_t *sctp = out + ip;
    memset(sctp, 0, 32);
    sctp[0] = (uint8_t)(t->src_port >> 8);
    sctp[1] = (uint8_t)t->src_port;
    sctp[2] = (uint8_t)(t->dst_port >> 8);
    sctp[3] = (uint8_t)t->dst_port;
    sctp[12] = 1;
    sctp[15] = 20;
    return ip + 32;
}

static uint32_t build_ping(uint8_t *out, const struct pg_addr *src, const struct pg_addr *dst,
                           uint8_t type, uint16_t id, uint8_t ttl)
{
    bool v4 = pg_addr_is_v4(src);
    uint32_t ip = build_ip(out, src, dst, v4 ? PG_PROTO_ICMP : PG_PROTO_ICMP6, 16, ttl);
    uint8_t *icmp = out + ip;
    const uint8_t message[16] = {
        type, 0,   0,   0,  (uint8_t)(id >> 8), (uint8_t)id, 0, 1, 'p', 'o', 'd', 'g',
        'l',  'a', 's', 's'};
    memcpy(icmp, message, sizeof message);
    uint64_t sum = pg_sum_add(v4 ? 0 : pg_sum_pseudo(src, dst, PG_PROTO_ICMP6, 16), icmp, 16);
    uint16_t field = (uint16_t)~pg_sum_fold(sum);
    memcpy(icmp + 2, &field, 2);
    return ip + 16;
}

/* A transport of which nothing is known; byte 1 has GRE's version. */
static uint32_t build_other(uint8_t *out, const struct pg_tuple *t, uint32_t number,
                            uint32_t version)
{
    const uint8_t l4[8] = {0, (uint8_t)version, 8, 0, 'p', 'o', 'd', 's'};
    uint32_t ip = build_ip(out, &t->src, &t->dst, (uint8_t)number, sizeof l4, 64);
    memcpy(out + ip, l4, sizeof l4);
    return ip + sizeof l4;
}

static uint32_t number_after(const struct walk_line *l, const char *word, uint32_t otherwise)
{
    for (uint32_t i = 2; i + 1 < l->count; i++) {
        if (strcmp(l->tokens[i], word) == 0) {
            return (uint32_t)strtoul(l->tokens[i + 1], NULL, 0);
        }
    }
    return otherwise;
}

void walk_wire_inject(struct walk *w, const uint8_t *bytes, uint32_t len)
{
    if (len == 0 || pg_wire_inject(w->sim.wire, bytes, len) != 0) {
        walk_fail(w, "the packet could not be put on the wire");
        return;
    }
    pg_sim_settle(&w->sim);
}

/* Damaged if it is said: the last byte, which a sum covers. */
static void inject_said(struct walk *w, const struct walk_line *l, uint8_t *bytes, uint32_t len)
{
    if (len != 0 && number_after(l, "broken", 0) != 0) {
        bytes[len - 1] ^= 0xff;
    }
    walk_wire_inject(w, bytes, len);
}

static const char *text_in(const struct walk_line *l)
{
    for (uint32_t i = 2; i < l->count; i++) {
        if (l->quoted[i]) {
            return l->tokens[i];
        }
    }
    return "";
}

/* What the line says of a segment, and what else it has. */
static struct walk_segment segment_in(const struct walk_line *l, const char *flags, uint32_t seq,
                                      uint32_t ack)
{
    const char *text = text_in(l);
    return (struct walk_segment){.flags = flags,
                                 .seq = number_after(l, "seq", seq),
                                 .ack = number_after(l, "ack", ack),
                                 .window = number_after(l, "win", 65535),
                                 .payload = text,
                                 .len = (uint32_t)strlen(text)};
}

/* A datagram of `len` bytes in pieces: IP packets of `size` bytes; in reverse order, or without one of them, if it is said. */
static void send_pieces(struct walk *w, const struct walk_line *l, const struct pg_tuple *t,
                        uint32_t len, uint32_t size)
{
    static uint8_t whole[65536];
    static uint8_t copy[65536];
    static uint8_t pieces[PG_PIECES][2048];
    uint32_t lens[PG_PIECES];
    uint32_t count = 0;
    uint32_t cursor = 0;
    uint8_t payload[60000];
    struct pg_packet p;
    for (uint32_t i = 0; i < len && i < sizeof payload; i++) {
        payload[i] = (uint8_t)('a' + i % 26);
    }
    uint32_t total = pg_dgram_build(t, payload, len, whole, sizeof whole);
    if (total == 0 || !parse_copy(whole, total, copy, &p)) {
        walk_fail(w, "no such datagram");
        return;
    }
    p.fragment_size = (uint16_t)size;
    p.id = 77;
    while (count < PG_PIECES && (lens[count] = pg_fragments_split(&p, &cursor, pieces[count],
                                                                  sizeof pieces[count])) != 0) {
        count++;
    }
    uint32_t without = number_after(l, "without", 0);
    bool reverse = number_after(l, "reverse", 0) != 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t k = reverse ? count - 1 - i : i;
        if (k + 1 != without) {
            walk_wire_inject(w, pieces[k], lens[k]);
        }
    }
    uint32_t again = number_after(l, "again", 0);
    if (again != 0 && again <= count) {
        walk_wire_inject(w, pieces[again - 1], lens[again - 1]);
    }
}

static void wire_sends(struct walk *w, const struct walk_line *l)
{
    uint8_t out[2048];
    struct pg_tuple t = {0};
    if (l->count < 7 || !walk_address(w, l->tokens[4], &t.src, &t.src_port) ||
        !walk_address(w, l->tokens[6], &t.dst, &t.dst_port)) {
        walk_fail(w, "wire sends PROTO A > B: bad addresses");
        return;
    }
    const char *proto = l->tokens[3];
    if (strcmp(proto, "udp") == 0) {
        t.proto = PG_PROTO_UDP;
        const char *text = text_in(l);
        uint32_t big = number_after(l, "big", 0);
        if (big != 0) {
            send_pieces(w, l, &t, big, number_after(l, "pieces", 1500));
            return;
        }
        inject_said(w, l, out, pg_dgram_build(&t, text, (uint32_t)strlen(text), out, sizeof out));
    } else if (strcmp(proto, "tcp") == 0 && l->count >= 8) {
        t.proto = PG_PROTO_TCP;
        struct walk_segment s = segment_in(l, l->tokens[7], 1000, 0);
        inject_said(w, l, out, walk_tcp_build(out, &t, &s));
    } else if (strcmp(proto, "sctp") == 0) {
        walk_wire_inject(w, out, build_sctp(out, &t));
    } else if (strcmp(proto, "ip") == 0) {
        walk_wire_inject(
            w, out,
            build_other(out, &t, number_after(l, "number", 50), number_after(l, "version", 0)));
    } else if (strcmp(proto, "ping") == 0) {
        uint8_t type = (uint8_t)number_after(l, "type", pg_addr_is_v4(&t.src) ? 8 : 128);
        inject_said(w, l, out,
                    build_ping(out, &t.src, &t.dst, type, (uint16_t)number_after(l, "id", 7),
                               (uint8_t)number_after(l, "ttl", 64)));
    } else {
        walk_fail(w, "wire sends %s?", proto);
    }
}

static const char *word_after(const struct walk_line *l, const char *word)
{
    for (uint32_t i = 2; i + 1 < l->count; i++) {
        if (strcmp(l->tokens[i], word) == 0) {
            return l->tokens[i + 1];
        }
    }
    return NULL;
}

static void wire_refuses(struct walk *w, const struct walk_line *l, const struct pg_packet *about,
                         const char *what)
{
    static const struct {
        const char *name;
        uint8_t v4[2], v6[2];
    } kinds[] = {{"port", {3, 3}, {1, 4}},
                 {"host", {3, 1}, {1, 3}},
                 {"too-big", {3, 4}, {2, 0}},
                 {"time", {11, 0}, {3, 0}},
                 {"redirect", {5, 1}, {137, 0}}};
    uint8_t out[2048];
    uint16_t port;
    struct pg_addr from = about->tuple.dst;
    struct pg_addr to = about->tuple.src;
    bool v4 = about->ip_version == 4;
    uint32_t mtu = number_after(l, "mtu", strcmp(what, "too-big") == 0 ? 1400 : 0);
    if ((word_after(l, "from") != NULL && !walk_address(w, word_after(l, "from"), &from, &port)) ||
        (word_after(l, "to") != NULL && !walk_address(w, word_after(l, "to"), &to, &port))) {
        walk_fail(w, "wire refuses: no such address");
        return;
    }
    const uint8_t *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        kind = strcmp(kinds[i].name, what) == 0 ? v4 ? kinds[i].v4 : kinds[i].v6 : kind;
    }
    if (kind == NULL) {
        walk_fail(w, "wire refuses %s?", what);
        return;
    }
    uint32_t quote = about->len < 500 ? about->len : 500;
    uint32_t ip = build_ip(out, &from, &to, v4 ? PG_PROTO_ICMP : PG_PROTO_ICMP6, 8 + quote, 64);
    const uint8_t head[8] = {
        kind[0],     kind[1], 0, 0, (uint8_t)(mtu >> 24), (uint8_t)(mtu >> 16), (uint8_t)(mtu >> 8),
        (uint8_t)mtu};
    memcpy(out + ip, head, sizeof head);
    memcpy(out + ip + 8, about->head, quote);
    uint64_t sum = pg_sum_add(v4 ? 0 : pg_sum_pseudo(&from, &to, PG_PROTO_ICMP6, 8 + quote),
                              out + ip, 8 + quote);
    uint16_t field = (uint16_t)~pg_sum_fold(sum);
    memcpy(out + ip + 2, &field, 2);
    walk_wire_inject(w, out, ip + 8 + quote);
}

bool walk_wire_last(const struct walk *w, struct pg_packet *ret)
{
    static uint8_t copy[2048];
    const struct walk_packet *last = &w->wire[(w->wire_count - 1) % WALK_WIRE_LOG];
    return w->wire_count != 0 && parse_copy(last->bytes, last->len, copy, ret);
}

static void wire_answers(struct walk *w, const struct walk_line *l, bool refuses)
{
    uint8_t out[2048];
    struct pg_packet p;
    if (!walk_wire_last(w, &p)) {
        walk_fail(w, "there is no packet on the wire to answer");
        return;
    }
    struct pg_tuple back = pg_tuple_invert(&p.tuple);
    const char *what = l->count > 3 ? l->tokens[3] : "port";
    if (refuses) {
        wire_refuses(w, l, &p, what);
    } else if (strcmp(what, "udp") == 0) {
        const char *text = text_in(l);
        walk_wire_inject(w, out,
                         pg_dgram_build(&back, text, (uint32_t)strlen(text), out, sizeof out));
    } else if (strcmp(what, "tcp") == 0 && l->count > 4) {
        uint32_t ack = pg_packet_tcp_seq(&p) + pg_packet_payload_len(&p) +
                       ((p.tcp_flags & (PG_TCP_SYN | PG_TCP_FIN)) != 0 ? 1u : 0u);
        struct walk_segment s = segment_in(l, l->tokens[4], 5000, ack);
        walk_wire_inject(w, out, walk_tcp_build(out, &back, &s));
    } else if (strcmp(what, "pong") == 0) {
        uint8_t type = (uint8_t)(back.dst_port >> 8);
        walk_wire_inject(w, out, build_ping(out, &back.src, &back.dst, type, p.tuple.src_port, 64));
    } else if (strcmp(what, "ip") == 0) {
        walk_wire_inject(w, out, build_other(out, &back, p.proto, 0));
    } else {
        walk_fail(w, "wire replies %s?", what);
    }
}

/* Answers the last question that the path sent to somebody. */
static void wire_answers_dns(struct walk *w, const struct walk_line *l)
{
    uint8_t copy[2048];
    struct pg_packet p;
    for (uint32_t i = w->wire_count; i > 0 && w->wire_count - i < WALK_WIRE_LOG; i--) {
        const struct walk_packet *seen = &w->wire[(i - 1) % WALK_WIRE_LOG];
        if (parse_copy(seen->bytes, seen->len, copy, &p) && p.tuple.dst_port == 53 &&
            (p.proto == PG_PROTO_UDP || p.proto == PG_PROTO_TCP) && pg_packet_payload_len(&p) > 2) {
            walk_dns_answers(w, l, &p);
            return;
        }
    }
    walk_fail(w, "there is no question on the wire to answer");
}

void walk_when_wire(struct walk *w, const struct walk_line *l)
{
    const char *verb = l->count > 2 ? l->tokens[2] : "";
    if (strcmp(verb, "sends") == 0) {
        wire_sends(w, l);
    } else if (strcmp(verb, "replies") == 0 || strcmp(verb, "refuses") == 0) {
        wire_answers(w, l, strcmp(verb, "refuses") == 0);
    } else if (strcmp(verb, "answers") == 0) {
        wire_answers_dns(w, l);
    } else {
        walk_fail(w, "wire does what? '%s'", verb);
    }
}
