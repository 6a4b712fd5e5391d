/* What is sent: a few dozen conversations at a time, each a client's socket and the address it talks to, and in each step one of them goes on.
 *
 * Most steps are what a peer would do next; the others are what only a broken or hostile one does: flags that do not go together, numbers beside the window,
 * resets that are nearly right, SYNs in the middle, errors about packets that were never sent. Ports are few, so that sockets meet again.
 *
 * Everything is drawn from the seed. Packets of who answers are addressed to what the client's side drew, so each side has its own bytes for the same step. */
#include "differential.h"

#include <string.h>
#include <unistd.h>

#define CONVERSATIONS 96
#define REPLACED      60 /* one step in so many begins a new conversation */
#define ODD           4  /* one TCP segment in so many is odd */
#define NEAR_END_US   400000u
#define PAST_END_US   1400000u
#define UDP_STREAM_US 2000000u /* from here on a flow both ways is a stream */
#define IDS_APART     4099u
#define CLOCKS_OFF_US 50000u

enum phase { IDLE, ASKED, ANSWERED, OPEN, CLOSING };

/* Clients of the service whose endpoint is drawn have ports of their own. */
#define ALONE_FIRST 20000u
#define ALONE_PORTS 19000u

#define OF_THE_NODE 11 /* the service whose endpoint is the node */

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define PSH 0x08
#define ACK 0x10
#define URG 0x20
#define ECE 0x40
#define CWR 0x80

static struct pg_random source;
static struct conversation conversations[CONVERSATIONS];
static uint16_t
    pieces_id;         /* no two datagrams in pieces have the same for as long as pieces are kept */
static uint32_t alone; /* conversations whose socket is nobody else's */

static uint32_t below(uint32_t n)
{
    return pg_random_below(&source, n);
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

struct conversation *script_conversation(uint32_t index)
{
    return index < CONVERSATIONS ? &conversations[index] : NULL;
}

/* ---- conversations ---- */

static struct pg_addr a_client(bool *ret_pod)
{
    uint32_t n = below(8);

    *ret_pod = n >= 6;
    return *ret_pod ? pg_addr_v4(10, 244, 1, (uint8_t)(n - 4)) /* p1 and q */
                    : pg_addr_v4(198, 51, 100, (uint8_t)(n + 1));
}

static uint16_t a_port(uint8_t proto)
{
    switch (below(10)) {
    case 0: return (uint16_t)(100 + below(6));
    case 1: return (uint16_t)(700 + below(6));
    case 2: return proto == PG_PROTO_TCP ? 8080 : 5353; /* as if an endpoint called */
    default: return (uint16_t)(40000 + below(12));
    }
}

/* What ICMP asks: echo, timestamp, information, address mask; IPv6 has only the first. */
static uint8_t a_question(void)
{
    static const uint8_t types[] = {8, 8, 13, 15, 17};

    return packet_is_ipv6() ? 8 : types[below(5)];
}

/* ESP or GRE. What the kernel has never heard of it refuses only if all of it sums up as TCP would. */
static uint8_t another_transport(void)
{
    return one_in(2) ? 50 : PG_PROTO_GRE;
}

/* An address without a service: pods, others outside, and what the cluster refuses. */
static void plain_address(struct conversation *c, bool pod)
{
    uint16_t port = c->proto == PG_PROTO_TCP ? 8080 : 5353;
    uint16_t odd_port = c->proto == PG_PROTO_TCP ? 81 : 54;
    uint32_t n = below(pod ? 6 : 5);

    switch (n) {
    case 0: c->orig.dst = pg_addr_v4(10, 244, 1, 2); break;
    case 1: c->orig.dst = pg_addr_v4(10, 244, 1, 3); break;
    case 2: c->orig.dst = pg_addr_v4(10, 244, 2, 2); break;
    case 3: c->orig.dst = pg_addr_v4(10, 96, 9, 9); break; /* nobody's */
    case 4: c->orig.dst = pg_addr_v4(10, 96, 1, 1); break; /* a port that nobody has */
    default: c->orig.dst = pg_addr_v4(198, 51, 100, 1); break;
    }
    c->orig.dst_port = n == 4 ? odd_port : port;
    if (pg_addr_equal(&c->orig.dst, &c->orig.src)) {
        c->orig.dst = pg_addr_v4(10, 244, 2, 2);
    }
}

static void service_address(struct conversation *c)
{
    bool tcp = c->proto == PG_PROTO_TCP;
    struct pg_addr p1 = pg_addr_v4(10, 244, 1, 2);
    uint8_t n = (uint8_t)(1 + below(11));

    c->service = n;
    c->orig.dst_port = tcp ? 80 : 53;
    c->sticky = n == 10;
    c->draws_endpoint = n == 7 || c->sticky;
    switch (c->draws_endpoint
                ? 1 + below(3)
                : below(4)) { /* a node port's answers could be mistaken for a drawn source */
    case 0:
        c->orig.dst = pg_addr_v4(192, 0, 2, 11);
        c->orig.dst_port = (uint16_t)((tcp ? 30000 : 31000) + n);
        break;
    case 1: c->orig.dst = pg_addr_v4(203, 0, 113, n); break;
    default: c->orig.dst = pg_addr_v4(10, 96, 1, n); break;
    }
    if (c->draws_endpoint) { /* where chance leads different ways, nobody else must be in the way */
        c->orig.src_port = (uint16_t)(ALONE_FIRST + alone++ % ALONE_PORTS);
        if (pg_addr_equal(&c->orig.src, &p1)) { /* for one endpoint of two it would be a hairpin */
            c->orig.src = pg_addr_v4(10, 244, 1, 3);
        }
    }
}

static void begin_conversation(struct conversation *c)
{
    bool pod;
    uint32_t kind = below(20);

    *c = (struct conversation){.proto = kind < 13   ? PG_PROTO_TCP
                                        : kind < 17 ? PG_PROTO_UDP
                                        : kind < 19 ? PG_PROTO_ICMP
                                                    : another_transport()};
    c->orig =
        (struct pg_tuple){.src = a_client(&pod), .src_port = a_port(c->proto), .proto = c->proto};
    if (!pg_proto_has_ports(c->proto) || one_in(6)) {
        plain_address(c, pod);
    } else {
        service_address(c);
    }
    if (c->proto == PG_PROTO_ICMP) {
        c->orig.dst_port = (uint16_t)(a_question() << 8);
    } else if (!pg_proto_has_ports(c->proto)) {
        c->orig.src_port = 0;
        c->orig.dst_port = 0;
    }
    for (int i = 0; i < SIDES; i++) {
        c->drawn[i] = (struct drawn){c->orig.src, c->orig.src_port, c->orig.dst, c->orig.dst_port};
    }
    c->next_seq[0] = (uint32_t)pg_random_u64(&source);
    c->next_seq[1] = (uint32_t)pg_random_u64(&source);
}

void script_open(uint64_t seed)
{
    pg_random_seed(&source, seed);
    pieces_id = (uint16_t)((unsigned)getpid() *
                           IDS_APART); /* pieces of the program that ran before may still be kept */
    script_begin_anew();
}

void script_begin_anew(void)
{
    for (uint32_t i = 0; i < CONVERSATIONS; i++) {
        begin_conversation(&conversations[i]);
    }
}

/* ---- TCP ---- */

static void put_sack(struct content *p, uint32_t near)
{
    uint32_t edges[2] = {near + below(2000), 0};

    edges[1] = edges[0] + 1 + below(2000);
    p->options[0] = 1;
    p->options[1] = 1;
    p->options[2] = 5;
    p->options[3] = 10;
    for (int i = 0; i < 2; i++) {
        for (int k = 0; k < 4; k++) {
            p->options[4 + i * 4 + k] = (uint8_t)(edges[i] >> (24 - 8 * k));
        }
    }
    p->options_len = 12;
}

static void put_options(struct content *p, uint32_t peer_seq)
{
    static const uint8_t both[8] = {4, 2, 3, 3, 7, 1, 1, 0};
    static const uint8_t scale[4] = {3, 3, 2, 1};
    static const uint8_t sack[4] = {1, 1, 4, 2};
    static const uint8_t time[12] = {1, 1, 8, 10};

    if (p->tcp_flags & SYN) {
        switch (below(4)) {
        case 0: break;
        case 1:
            memcpy(p->options, scale, p->options_len = sizeof scale);
            p->options[2] = (uint8_t)below(16);
            break;
        case 2: memcpy(p->options, sack, p->options_len = sizeof sack); break;
        default:
            memcpy(p->options, both, p->options_len = sizeof both);
            p->options[4] = (uint8_t)below(15);
            break;
        }
    } else if (one_in(12)) {
        put_sack(p, peer_seq);
    } else if (one_in(6)) {
        memcpy(p->options, time, p->options_len = sizeof time);
    }
}

/* The flags of what comes next, and whose turn it is. */
static uint8_t next_flags(struct conversation *c, bool *reply)
{
    uint32_t n = below(100);

    switch (c->phase) {
    case IDLE: return SYN;
    case ASKED:
        *reply = n < 75;
        return n < 60   ? SYN | ACK
               : n < 68 ? RST | ACK
               : n < 72 ? SYN
               : n < 75 ? ACK
               : n < 95 ? SYN
                        : RST;
    case ANSWERED: *reply = n >= 80; return n < 80 ? ACK : SYN | ACK;
    case OPEN:
        *reply = one_in(2);
        return n < 86 ? ACK : n < 95 ? FIN | ACK : n < 98 ? RST : RST | ACK;
    default:
        *reply = one_in(2);
        if (n >= 90) {
            *reply = n >= 98;
            return SYN;
        }
        return n < 55 ? ACK : n < 85 ? FIN | ACK : RST;
    }
}

static void next_segment(struct conversation *c, struct step *s)
{
    struct content *p = &s->content;

    p->tcp_flags = next_flags(c, &s->reply);
    p->seq = c->next_seq[s->reply];
    p->ack = p->tcp_flags & ACK ? c->next_seq[!s->reply] : 0;
    if (p->tcp_flags == SYN) {
        p->seq = c->phase == ASKED && !s->reply && !one_in(4) ? c->used_seq[0]
                                                              : (uint32_t)pg_random_u64(&source);
    }
    if (p->tcp_flags == (SYN | ACK) && c->phase == ANSWERED) {
        p->seq = c->used_seq[1];
    }
    if (p->tcp_flags == (RST | ACK) && c->phase == ASKED) {
        p->seq = 0;
    }
    if (p->tcp_flags == ACK && c->phase >= OPEN && one_in(2)) {
        p->payload = (uint16_t)(1 + below(1400));
        p->tcp_flags |= one_in(2) ? PSH : 0;
    }
    if (p->tcp_flags == ACK && c->phase == OPEN && one_in(8)) {
        p->seq = c->used_seq[s->reply]; /* again */
    }
}

static uint32_t beside(uint32_t number)
{
    static const uint32_t steps[] = {1,     2,     100,   1460,     29200,    65535,
                                     65536, 66000, 66001, 1u << 20, 1u << 30, 1u << 31};

    if (one_in(8)) {
        return (uint32_t)pg_random_u64(&source);
    }
    uint32_t by = steps[below(sizeof steps / sizeof steps[0])];
    return one_in(3) ? number : one_in(2) ? number + by : number - by;
}

static void odd_segment(struct conversation *c, struct step *s)
{
    static const uint8_t usual[] = {SYN, SYN | ACK, ACK, ACK, ACK, FIN | ACK, RST, RST, RST | ACK};
    struct content *p = &s->content;

    s->reply = one_in(2);
    p->tcp_flags = one_in(10) ? (uint8_t)below(256) : usual[below(sizeof usual)];
    p->seq = beside(c->next_seq[s->reply]);
    p->ack = p->tcp_flags & ACK || one_in(20) ? beside(c->next_seq[!s->reply]) : 0;
    if (p->tcp_flags & RST && one_in(2)) {
        p->seq = c->next_seq[s->reply]; /* the exact one */
    }
    p->payload = one_in(3) && !(p->tcp_flags & (SYN | RST)) ? (uint16_t)below(1400) : 0;
    if (one_in(10)) {
        p->tcp_flags |= one_in(2) ? URG : ECE | CWR;
    }
}

static void tcp_step(struct conversation *c, struct step *s)
{
    static const uint16_t windows[] = {0, 1, 1000, 29200, 64240, 65535};

    s->content.proto = PG_PROTO_TCP;
    s->content.window = windows[one_in(10) ? below(6) : 3 + below(3)];
    if (one_in(ODD)) {
        odd_segment(c, s);
    } else {
        next_segment(c, s);
    }
    if (c->draws_endpoint && (s->content.tcp_flags & (SYN | ACK)) == SYN) {
        s->reply = false; /* or it might begin a flow of its own */
    }
    put_options(&s->content, c->next_seq[!s->reply]);
}

static void learn_tcp(struct conversation *c, const struct step *s)
{
    const struct content *p = &s->content;
    uint32_t end =
        p->seq + p->payload + (p->tcp_flags & SYN ? 1 : 0) + (p->tcp_flags & FIN ? 1 : 0);
    bool far = (int32_t)(end - c->next_seq[s->reply]) > 70000 ||
               (int32_t)(end - c->next_seq[s->reply]) < 0;
    uint8_t kind = p->tcp_flags & (SYN | ACK | FIN | RST);

    c->used_seq[s->reply] = p->seq;
    if (!far || (kind & SYN)) {
        c->next_seq[s->reply] = end;
    }
    if (kind == SYN && !s->reply && (c->phase == IDLE || c->phase >= CLOSING || one_in(2))) {
        c->phase = ASKED;
    } else if (kind == (SYN | ACK) && s->reply && c->phase == ASKED) {
        c->phase = ANSWERED;
    } else if (kind == ACK && !s->reply && c->phase == ANSWERED) {
        c->phase = OPEN;
    } else if (kind & (FIN | RST) && c->phase != IDLE && !far) {
        c->phase = CLOSING;
    }
    if (c->phase == CLOSING && one_in(30)) {
        c->phase = IDLE;
    }
}

/* ---- the others ---- */

static void udp_step(struct step *s)
{
    s->content.proto = PG_PROTO_UDP;
    s->reply = one_in(3);
    s->content.payload = (uint16_t)below(600);
    s->content.no_sum = one_in(10) && !packet_is_ipv6(); /* which has none without, RFC 8200 8.1 */
    if (one_in(12)) {
        s->content.payload = (uint16_t)(700 + below(1800));
        s->piece = (uint16_t)(800 + 8 * below(40));
        s->pieces_reversed = one_in(3);
        s->piece_lost = one_in(6) ? 1 : 0;
        s->content.ip_id = ++pieces_id;
    }
}

static void echo_step(const struct conversation *c, struct step *s)
{
    s->content.proto = PG_PROTO_ICMP;
    s->reply = one_in(3);
    s->content.icmp_type = (uint8_t)(c->orig.dst_port >> 8);
    s->content.payload = (uint16_t)below(100);
}

static void other_step(const struct conversation *c, struct step *s)
{
    s->content.proto = c->proto;
    s->reply = one_in(3);
    s->content.payload = (uint16_t)(8 + below(100));
}

/* About the packet that last came out in some direction, so each side quotes what it sent. */
static bool error_step(struct conversation *c, struct step *s)
{
    static const uint8_t kinds[][2] = {{3, 0},  {3, 1},  {3, 3},  {3, 4},
                                       {3, 13}, {11, 0}, {12, 0}, {5, 1}};
    static const uint32_t quotes[] = {0, 0, 28, 28, 40, 40, 22, SHORT_QUOTE};
    uint32_t kind = below(8);
    bool about = one_in(2);

    if (c->service == OF_THE_NODE || c->delivered[about][KERNEL].len == 0 ||
        c->delivered[about][OURS].len == 0) {
        return false;
    }
    s->kind = STEP_ERROR;
    s->reply = !about;
    s->icmp_type = kinds[kind][0];
    s->icmp_code = kinds[kind][1];
    s->icmp_rest = kind == 3 ? 1400 : kind == 7 ? 0xc0000201u : 0;
    s->quote = quotes[below(8)];
    s->from_router = one_in(3);
    s->wrong_way = one_in(10);
    return true;
}

static void describe(struct step *s)
{
    const struct content *p = &s->content;
    const char *who = s->reply ? "server" : "client";

    if (s->kind == STEP_FLUSH) {
        snprintf(s->text, sizeof s->text, "flow deleted");
    } else if (s->kind == STEP_ERROR) {
        snprintf(s->text, sizeof s->text, "%s: icmp error %u/%u quote %u%s%s", who, s->icmp_type,
                 s->icmp_code, s->quote, s->from_router ? " router" : "",
                 s->wrong_way ? " wrong way" : "");
    } else {
        snprintf(s->text, sizeof s->text,
                 "%s: proto %u flags %02x seq %u ack %u win %u payload %u options %u ttl %u%s%s "
                 "piece %u%s lost %u",
                 who, p->proto, p->tcp_flags, p->seq, p->ack, p->window, p->payload, p->options_len,
                 p->ttl, p->no_sum ? " no-sum" : "", p->bad_sum ? " bad-sum" : "", s->piece,
                 s->pieces_reversed ? " reversed" : "", s->piece_lost);
    }
}

/* Clocks of the two sides differ a little: nothing is sent when that could matter. */
static bool is_near_its_end(const struct conversation *c, uint64_t now_us)
{
    uint64_t age_us = now_us - c->begun_us;

    if (c->proto == PG_PROTO_UDP && age_us > UDP_STREAM_US - CLOCKS_OFF_US &&
        age_us < UDP_STREAM_US + CLOCKS_OFF_US) {
        return true;
    }
    return c->due_us != 0 && now_us + NEAR_END_US >= c->due_us && now_us < c->due_us + PAST_END_US;
}

/* Who answers must have been asked: only then it is known where its packets go. If its endpoint was drawn, the flow must still be there: a late packet would
 * begin another, of another pod on each side. */
static bool can_answer(const struct conversation *c)
{
    if (c->service == OF_THE_NODE) {
        return false; /* it does so by itself */
    }
    if (c->draws_endpoint) {
        return c->entry[KERNEL].found && c->entry[OURS].found;
    }
    if (c->service == 0) {
        return c->orig.dst_port != 81 && c->orig.dst_port != 54 && c->orig.dst.bytes[13] != 96;
    }
    return c->entry[KERNEL].dnat || !pg_addr_equal(&c->drawn[KERNEL].endpoint, &c->orig.dst);
}

void script_next(struct step *ret, uint64_t now_us)
{
    struct conversation *c = &conversations[below(CONVERSATIONS)];

    for (uint32_t i = 0; i < CONVERSATIONS && is_near_its_end(c, now_us); i++) {
        c = &conversations[(uint32_t)(c - conversations + 1) % CONVERSATIONS];
    }
    if (one_in(REPLACED)) {
        begin_conversation(c);
    }
    *ret = (struct step){
        .conversation = c, .content.ttl = 64, .content.ip_id = (uint16_t)(1 + below(65535))};
    if (one_in(400)) {
        ret->kind = STEP_FLUSH;
    } else if (!one_in(15) || !error_step(c, ret)) {
        switch (c->proto) {
        case PG_PROTO_TCP: tcp_step(c, ret); break;
        case PG_PROTO_UDP: udp_step(ret); break;
        case PG_PROTO_ICMP: echo_step(c, ret); break;
        default: other_step(c, ret); break;
        }
        ret->content.bad_sum = one_in(300) && !ret->content.no_sum;
        if (ret->reply && !can_answer(c)) {
            ret->reply = false;
        }
        if (ret->reply && c->proto == PG_PROTO_ICMP) {
            ret->content.icmp_type =
                (uint8_t)pg_icmp_counterpart(PG_PROTO_ICMP, ret->content.icmp_type);
        }
        if (can_answer(c) && !c->draws_endpoint && one_in(200)) {
            ret->content.ttl = 1;
        }
    }
    describe(ret);
    snprintf(c->history[c->history_count++ % HISTORY], sizeof c->history[0], "%s", ret->text);
}

/* ---- bytes ---- */

static void error_bytes(const struct step *s, enum side side, struct bytes *out)
{
    const struct bytes *about = &s->conversation->delivered[!s->reply][side];
    struct pg_addr router = pg_addr_v4(192, 0, 2, 1);
    struct pg_tuple t;

    packet_tuple(about, &t);
    struct pg_addr to = s->wrong_way ? pg_addr_v4(198, 51, 100, 77) : t.src;
    packet_error(out, s->icmp_type, s->icmp_code, s->icmp_rest, s->from_router ? &router : &t.dst,
                 &to, about, s->quote);
}

uint32_t script_bytes(const struct step *s, enum side side, struct bytes out[PIECES])
{
    const struct conversation *c = s->conversation;
    const struct drawn *d = &c->drawn[side];
    struct pg_tuple t = c->orig;

    if (s->kind == STEP_ERROR) {
        error_bytes(s, side, &out[0]);
        return 1;
    }
    if (s->reply) {
        t.src = d->endpoint;
        t.src_port = c->proto == PG_PROTO_ICMP ? d->src_port : d->endpoint_port;
        t.dst = d->src;
        t.dst_port = d->src_port;
    }
    if (s->piece == 0) {
        packet_build(&out[0], &t, &s->content);
        return 1;
    }
    struct bytes whole;
    packet_build(&whole, &t, &s->content);
    uint32_t count = packet_cut(&whole, s->content.ip_id, s->piece, out);
    for (uint32_t i = 0; s->pieces_reversed && i < count / 2; i++) {
        struct bytes other = out[i];
        out[i] = out[count - 1 - i];
        out[count - 1 - i] = other;
    }
    if (s->piece_lost != 0 && count > 1) {
        out[s->piece_lost - 1] = out[--count];
    }
    return count;
}

void script_compare_form(const struct step *s, enum side side, struct bytes *b)
{
    const struct conversation *c = s->conversation;

    packet_compare_form(b, &c->drawn[side]);
    packet_compare_form(b, &c->other[side]);
    if (s->kind == STEP_ERROR) { /* what it quotes may be of an earlier flow */
        packet_compare_form(b, &c->delivered_drawn[!s->reply][side]);
    }
}

void script_learn(const struct step *s, uint64_t now_us)
{
    struct conversation *c = s->conversation;

    if (s->kind == STEP_PACKET && c->proto == PG_PROTO_TCP) {
        learn_tcp(c, s);
    }
    c->begun_us = c->entry[OURS].found ? now_us - c->entry[OURS].age_us : 0;
    c->due_us = c->entry[KERNEL].found ? now_us + c->entry[KERNEL].timeout_s * 1000000 : 0;
}
