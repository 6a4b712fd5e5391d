/* What a TCP segment does to its flow: netfilter's state machine, its timeouts, and its exceptions.
 *
 * The table says for each direction, kind of segment and state which state follows. `sIG` leaves
 * everything as it is: the segment may be of a connection we do not see rightly, and its peer will
 * tell. `sIV` fits nothing and is dropped: netfilter would let it pass untranslated, and the
 * receiver would reset a healthy connection. Window tracking is liberal: a segment outside the
 * window is translated and goes on, since only its end points can judge it; it just does not teach
 * us sequence numbers. A reset must be exact to end a flow (see on_reset).
 *
 * hooks.c calls it for every TCP packet; it changes only the flow. Names and values:
 * nf_conntrack_proto_tcp.c. Not handled: SACK in window checks, simultaneous close details, MSS. */
#include "nat_internal.h"

#define UNACKNOWLEDGED_MS \
    300000u /* most a flow may wait for an ACK, or for a reply after a mid-stream start */
#define MAX_RETRANSMITS 3u
#define FAR             (1u << 30) /* further off than any window: not of this connection */

enum segment { SEG_SYN, SEG_SYNACK, SEG_FIN, SEG_ACK, SEG_RST, SEG_COUNT };

/* States as in enum pg_tcp_state, plus two answers. */
#define sNO PG_CT_NONE
#define sSS PG_CT_SYN_SENT
#define sSR PG_CT_SYN_RECV
#define sES PG_CT_ESTABLISHED
#define sFW PG_CT_FIN_WAIT
#define sCW PG_CT_CLOSE_WAIT
#define sLA PG_CT_LAST_ACK
#define sTW PG_CT_TIME_WAIT
#define sCL PG_CT_CLOSE
#define sS2 PG_CT_SYN_SENT2
#define sIV (PG_CT_COUNT + 0)
#define sIG (PG_CT_COUNT + 1)

/* clang-format off */
static const uint8_t next_state[2][SEG_COUNT][PG_CT_COUNT] = {
    [PG_ORIG] = {
        /*              NO   SS   SR   ES   FW   CW   LA   TW   CL   S2 */
        [SEG_SYN]    = {sSS, sSS, sIG, sIG, sIG, sIG, sIG, sSS, sSS, sS2},
        [SEG_SYNACK] = {sIV, sIV, sSR, sIV, sIV, sIV, sIV, sIV, sIV, sSR},
        [SEG_FIN]    = {sIV, sIV, sFW, sFW, sLA, sLA, sLA, sTW, sCL, sIV},
        [SEG_ACK]    = {sES, sIV, sES, sES, sCW, sCW, sTW, sTW, sCL, sIV},
        [SEG_RST]    = {sIV, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL},
    },
    [PG_REPLY] = {
        /*              NO   SS   SR   ES   FW   CW   LA   TW   CL   S2 */
        [SEG_SYN]    = {sIV, sS2, sIV, sIV, sIV, sIV, sIV, sSS, sIV, sS2},
        [SEG_SYNACK] = {sIV, sSR, sIG, sIG, sIG, sIG, sIG, sIG, sIG, sSR},
        [SEG_FIN]    = {sIV, sIV, sFW, sFW, sLA, sLA, sLA, sTW, sCL, sIV},
        [SEG_ACK]    = {sIV, sIG, sSR, sES, sCW, sCW, sTW, sTW, sCL, sIG},
        [SEG_RST]    = {sIV, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL, sCL},
    },
};
/* clang-format on */

static const char *const state_names[] = {
    [PG_CT_NONE] = "NONE",         [PG_CT_SYN_SENT] = "SYN_SENT",
    [PG_CT_SYN_RECV] = "SYN_RECV", [PG_CT_ESTABLISHED] = "ESTABLISHED",
    [PG_CT_FIN_WAIT] = "FIN_WAIT", [PG_CT_CLOSE_WAIT] = "CLOSE_WAIT",
    [PG_CT_LAST_ACK] = "LAST_ACK", [PG_CT_TIME_WAIT] = "TIME_WAIT",
    [PG_CT_CLOSE] = "CLOSE",       [PG_CT_SYN_SENT2] = "SYN_SENT2",
};
_Static_assert(sizeof(state_names) / sizeof(state_names[0]) == PG_CT_COUNT, "a name per state");

const char *pg_ct_state_name(enum pg_tcp_state s)
{
    return (unsigned)s < PG_CT_COUNT ? state_names[s] : "NONE";
}

/* One segment, read once. */
struct segment_view {
    enum segment kind;
    uint32_t seq, ack, end;
    uint16_t window;
    bool has_ack;
};

static bool after(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) > 0;
}

static bool before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

/* false: a combination of flags that no TCP sends. */
static bool read_segment(const struct pg_packet *p, struct segment_view *s)
{
    uint8_t flags = p->tcp_flags & (uint8_t)~PG_TCP_PSH;

    switch (flags) {
    case PG_TCP_SYN:
    case PG_TCP_SYN | PG_TCP_URG: s->kind = SEG_SYN; break;
    case PG_TCP_SYN | PG_TCP_ACK: s->kind = SEG_SYNACK; break;
    case PG_TCP_RST:
    case PG_TCP_RST | PG_TCP_ACK: s->kind = SEG_RST; break;
    case PG_TCP_FIN | PG_TCP_ACK:
    case PG_TCP_FIN | PG_TCP_ACK | PG_TCP_URG: s->kind = SEG_FIN; break;
    case PG_TCP_ACK:
    case PG_TCP_ACK | PG_TCP_URG: s->kind = SEG_ACK; break;
    default: return false;
    }
    s->seq = pg_packet_tcp_seq(p);
    s->ack = pg_packet_tcp_ack(p);
    s->window = pg_packet_tcp_window(p);
    s->has_ack = (flags & PG_TCP_ACK) != 0;
    s->end = s->seq + pg_packet_payload_len(p) + (flags & PG_TCP_SYN ? 1 : 0) +
             (flags & PG_TCP_FIN ? 1 : 0);
    return true;
}

/* Of all numbers that make two segments the same one. */
static uint16_t sum_of(const struct segment_view *s)
{
    uint32_t sum = s->seq * 0x9e3779b1u + s->ack * 0x85ebca6bu + s->window * 0xc2b2ae35u;

    return (uint16_t)(sum >> 16);
}

static void remember_last(struct pg_flow_tcp *tcp, unsigned direction, const struct segment_view *s)
{
    tcp->last_kind = s->kind & 0xfu;
    tcp->last_direction = direction & 1;
    tcp->last_sum = sum_of(s);
    tcp->last_end = s->end;
}

bool pg_tcp_begin(struct pg_nat *n, struct pg_flow *f, const struct pg_packet *p, uint64_t now_ms)
{
    struct segment_view s;

    if (!read_segment(p, &s))
        return false;
    uint8_t state = next_state[PG_ORIG][s.kind][PG_CT_NONE];

    if (state >= PG_CT_COUNT || (state == PG_CT_ESTABLISHED && n->strict_pickup))
        return false;
    f->tcp.state = state;
    f->tcp.end[PG_ORIG] = s.end;
    if (s.has_ack) {
        f->tcp.max_ack[PG_ORIG] = s.ack;
        f->tcp.end[PG_REPLY] = s.ack;
        f->flags |= FLOW_HAS_ACK << PG_ORIG;
    }
    remember_last(&f->tcp, PG_ORIG, &s);
    uint64_t timeout_ms = n->tcp_timeout_ms[state];
    if (state == PG_CT_ESTABLISHED && timeout_ms > UNACKNOWLEDGED_MS)
        timeout_ms =
            UNACKNOWLEDGED_MS; /* picked up mid-stream: the other side has not spoken yet */
    pg_flow_set_due(f, now_ms + timeout_ms);
    return true;
}

/* Learns sequence numbers from a segment that may be of this connection. */
static void learn(struct pg_flow *f, unsigned direction, const struct segment_view *s)
{
    struct pg_flow_tcp *tcp = &f->tcp;
    bool known = direction == PG_ORIG || (f->flags & FLOW_SEEN_REPLY);
    bool peer_known = direction == PG_REPLY || (f->flags & FLOW_SEEN_REPLY);

    if (known &&
        (after(s->seq, tcp->end[direction] + FAR) || before(s->end, tcp->end[direction] - FAR)))
        return;
    if (s->has_ack && peer_known && after(s->ack, tcp->end[!direction]))
        return; /* acknowledges what was never sent */
    if (!known || after(s->end, tcp->end[direction])) {
        tcp->end[direction] = s->end;
        f->flags |= (uint16_t)(FLOW_UNACKED << direction);
    }
    if (!s->has_ack)
        return;
    uint16_t has_ack = (uint16_t)(FLOW_HAS_ACK << direction);
    if (!(f->flags & has_ack) || after(s->ack, tcp->max_ack[direction])) {
        tcp->max_ack[direction] = s->ack;
        f->flags |= has_ack;
    }
    if (s->ack == tcp->end[!direction])
        f->flags &= (uint16_t) ~(FLOW_UNACKED << !direction);
}

static void count_retransmits(struct pg_flow_tcp *tcp, unsigned direction,
                              const struct segment_view *s)
{
    bool same =
        tcp->last_direction == direction && tcp->last_end == s->end && tcp->last_sum == sum_of(s);

    if (s->kind != SEG_ACK)
        return;
    if (!same)
        tcp->retransmits = 0;
    else if (tcp->retransmits < MAX_RETRANSMITS)
        tcp->retransmits = (tcp->retransmits + 1) & 3;
}

/* A reset counts only when its receiver would take it (RFC 5961 3): exactly at the highest ACK that
 * receiver sent. Below: invalid. Elsewhere: it goes on, and the flow stays so that the challenge
 * ACK can come back. Before the handshake is over any reset will do. */
static enum pg_track on_reset(struct pg_flow *f, unsigned direction, const struct segment_view *s,
                              uint8_t *state)
{
    bool established = f->tcp.state == PG_CT_ESTABLISHED && (f->flags & FLOW_ASSURED);
    uint32_t expected = f->tcp.max_ack[!direction];

    if (!(f->flags & (FLOW_HAS_ACK << !direction)))
        return PG_TRACK_OK;
    if (s->seq == 0 && !established)
        return PG_TRACK_OK; /* answer to a SYN: carries no sequence number */
    if (before(s->seq, expected))
        return PG_TRACK_INVALID;
    bool of_train = f->tcp.last_kind == SEG_ACK && f->tcp.last_direction == direction &&
                    s->seq == f->tcp.last_end;
    if (established && s->seq != expected && !of_train)
        *state = f->tcp.state;
    return PG_TRACK_OK;
}

/* Is this SYN/ACK the answer to a SYN that was ignored because we believed an older connection to
 * be alive? */
static bool answers_ignored_syn(const struct pg_flow_tcp *tcp, unsigned direction,
                                const struct segment_view *s)
{
    return s->kind == SEG_SYNACK && tcp->last_kind == SEG_SYN && tcp->last_direction != direction &&
           s->ack == tcp->last_end;
}

static void resync(struct pg_flow *f, unsigned direction, const struct segment_view *s)
{
    f->tcp.end[!direction] = f->tcp.last_end;
    f->tcp.end[direction] = s->end;
    f->tcp.max_ack[direction] = s->ack;
    f->flags &= (uint16_t) ~(FLOW_HAS_ACK << !direction);
    f->flags |= (uint16_t)(FLOW_HAS_ACK << direction);
}

static uint64_t timeout_of(const struct pg_nat *n, const struct pg_flow *f,
                           const struct segment_view *s)
{
    uint64_t timeout = n->tcp_timeout_ms[f->tcp.state];
    bool stuck = f->tcp.retransmits >= MAX_RETRANSMITS || s->window == 0 ||
                 (f->flags & (FLOW_UNACKED << PG_ORIG | FLOW_UNACKED << PG_REPLY));

    if (s->kind == SEG_RST)
        return n->tcp_timeout_ms[PG_CT_CLOSE];
    if (f->tcp.state == PG_CT_ESTABLISHED && !(f->flags & FLOW_SEEN_REPLY))
        stuck = true;
    return stuck && timeout > UNACKNOWLEDGED_MS ? UNACKNOWLEDGED_MS : timeout;
}

enum pg_track pg_tcp_track(struct pg_nat *n, struct pg_flow *f, unsigned direction,
                           const struct pg_packet *p, uint64_t now_ms)
{
    struct segment_view s;
    uint8_t old = f->tcp.state;

    if (!read_segment(p, &s))
        return PG_TRACK_INVALID;
    uint8_t state = next_state[direction][s.kind][old];

    if (state == sIV)
        return PG_TRACK_INVALID;
    if (state == PG_CT_SYN_SENT && (old == PG_CT_TIME_WAIT || old == PG_CT_CLOSE))
        return PG_TRACK_REOPEN;
    if (state == sIG) {
        if (!answers_ignored_syn(&f->tcp, direction, &s)) {
            remember_last(&f->tcp, direction, &s);
            return PG_TRACK_OK;
        }
        resync(f, direction, &s);
        state = PG_CT_SYN_RECV;
    }
    if (s.kind == SEG_RST && on_reset(f, direction, &s, &state) == PG_TRACK_INVALID)
        return PG_TRACK_INVALID;
    if (s.kind != SEG_RST) /* a reset that is not exact may be anybody's */
        learn(f, direction, &s);
    count_retransmits(&f->tcp, direction, &s);
    bool same_syn = s.kind == SEG_SYN && old == PG_CT_SYN_SENT;
    remember_last(&f->tcp, direction, &s);
    f->tcp.state = state;
    bool replied = (f->flags & FLOW_SEEN_REPLY) != 0;
    if (direction == PG_REPLY)
        f->flags |= FLOW_SEEN_REPLY;
    if (s.kind == SEG_RST && !replied)
        return PG_TRACK_LAST; /* refused, or given up before an answer: nothing to remember */
    if (replied && (old == PG_CT_SYN_RECV || old == PG_CT_ESTABLISHED) &&
        state == PG_CT_ESTABLISHED)
        f->flags |= FLOW_ASSURED;
    if (!same_syn) /* a repeated SYN keeps no mapping alive */
        pg_flow_extend(n, f, now_ms + timeout_of(n, f, &s));
    return PG_TRACK_OK;
}
