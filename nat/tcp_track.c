/* What a TCP segment does to its flow: netfilter's state machine, its timeouts, and its exceptions.
 *
 * The table says for each direction, kind of segment and state which state follows. `sIG` leaves
 * everything as it is: the segment may be of a connection we do not see rightly, and its peer will
 * tell. `sIV` fits nothing and is dropped: netfilter would let it pass untranslated, and the
 * receiver would reset a healthy connection. Windows are tcp_window.c's; a segment outside of them is
 * translated and goes on, since only its end points can judge it. A reset must be exact to end a flow
 * (see reset_state).
 *
 * hooks.c calls it for every TCP packet; it changes only the flow. Names and values:
 * nf_conntrack_proto_tcp.c; tests/differential/ holds it against the kernel's. */
#include "tcp_internal.h"

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

/* false: a combination of flags that no TCP sends. */
static bool read_segment(const struct pg_packet *p, struct pg_segment *s)
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
    s->options = p->head + p->l4_offset + TCP_HEAD;
    s->options_len = p->payload_offset - p->l4_offset - TCP_HEAD;
    return true;
}

/* How long the flow may now wait. */
static uint64_t timeout_of(const struct pg_nat *n, const struct pg_flow *f,
                           const struct pg_segment *s)
{
    const struct pg_flow_tcp *tcp = &f->tcp;
    uint64_t timeout = n->tcp_timeout_ms[tcp->state];
    bool unacked = (f->flags & (FLOW_UNACKED << PG_ORIG | FLOW_UNACKED << PG_REPLY)) != 0;

    if (tcp->retransmits >= TCP_RETRANSMITS && timeout > n->tcp_max_retrans_ms)
        return n->tcp_max_retrans_ms;
    if (s->kind == SEG_RST)
        return n->tcp_timeout_ms[PG_CT_CLOSE];
    if (unacked && timeout > n->tcp_unacknowledged_ms)
        return n->tcp_unacknowledged_ms;
    if (tcp->last_win == 0 && timeout > n->tcp_max_retrans_ms)
        return n->tcp_max_retrans_ms;
    return timeout;
}

/* Picked up mid-stream, and the other side has not spoken yet. */
static uint64_t timeout_unreplied(const struct pg_nat *n, const struct pg_flow *f, uint64_t timeout)
{
    bool pickup = f->tcp.state == PG_CT_ESTABLISHED && !(f->flags & FLOW_SEEN_REPLY);

    return pickup && timeout > n->tcp_unacknowledged_ms ? n->tcp_unacknowledged_ms : timeout;
}

/* The segment counts: it is the last one now, and the state is `state`. */
static void settle(struct pg_flow *f, unsigned direction, const struct pg_segment *s, uint8_t state)
{
    if (state == PG_CT_FIN_WAIT && f->tcp.state != state)
        pg_tcp_change_marks(&f->tcp, 0, TCP_END_CLOSES << direction);
    f->tcp.last_kind = s->kind & 7u;
    f->tcp.last_direction = direction & 1;
    f->tcp.state = state & 0xfu;
}

bool pg_tcp_begin(struct pg_nat *n, struct pg_flow *f, const struct pg_packet *p, uint64_t now_ms)
{
    struct pg_segment s;

    if (!read_segment(p, &s))
        return false;
    uint8_t state = next_state[PG_ORIG][s.kind][PG_CT_NONE];

    if (state >= PG_CT_COUNT || (state == PG_CT_ESTABLISHED && n->strict_pickup))
        return false;
    f->tcp.last_kind = SEG_COUNT;
    pg_tcp_window_begin(f, &s);
    pg_tcp_window(f, PG_ORIG, &s);
    settle(f, PG_ORIG, &s, state);
    pg_flow_set_due(f, now_ms + timeout_unreplied(n, f, timeout_of(n, f, &s)));
    return true;
}

/* ---- segments that change nothing, and what comes of them ---- */

/* Is this SYN/ACK the answer to a SYN that was ignored because we believed an older connection to
 * be alive? */
static bool answers_ignored_syn(const struct pg_flow_tcp *tcp, unsigned direction,
                                const struct pg_segment *s)
{
    return s->kind == SEG_SYNACK && tcp->last_kind == SEG_SYN && tcp->last_direction != direction &&
           s->ack == tcp->last_end;
}

static void resync(struct pg_flow *f, unsigned direction)
{
    struct pg_flow_tcp *tcp = &f->tcp;
    unsigned marks = (tcp->marks & TCP_LAST_SCALES ? TCP_END_SCALES : 0) |
                     (tcp->marks & TCP_LAST_SACK ? TCP_END_SACK : 0);
    uint32_t win = tcp->last_win ? tcp->last_win : 1;

    pg_tcp_window_forget(f, direction);
    pg_tcp_window_forget(f, !direction);
    tcp->seen[!direction] =
        (struct pg_flow_tcp_end){.end = tcp->last_end, .max_end = tcp->last_end, .max_win = win};
    pg_tcp_set_scale(tcp, !direction, tcp->last_scale);
    pg_tcp_change_marks(tcp, TCP_CHALLENGED, marks << !direction);
}

static enum pg_track ignore(struct pg_flow *f, unsigned direction, const struct pg_segment *s)
{
    struct pg_flow_tcp *tcp = &f->tcp;

    tcp->last_kind = s->kind & 7u;
    tcp->last_direction = direction & 1;
    tcp->last_seq = (uint16_t)s->seq;
    tcp->last_end = s->end;
    tcp->last_win = s->window;
    if (s->kind == SEG_SYN && direction == PG_ORIG) {
        unsigned scale = 0;
        unsigned marks = pg_tcp_syn_options(s, &scale);
        unsigned last = (marks & TCP_END_SCALES ? TCP_LAST_SCALES : 0) |
                        (marks & TCP_END_SACK ? TCP_LAST_SACK : 0) |
                        (tcp->state == PG_CT_LAST_ACK ? TCP_CHALLENGED : 0);
        pg_tcp_change_marks(tcp, TCP_LAST_ALL, last);
        tcp->last_scale = scale & 0xfu;
    }
    if (tcp->state == PG_CT_SYN_SENT && s->kind == SEG_ACK && direction == PG_REPLY)
        tcp->last_ack = s->ack;
    if (direction == PG_REPLY)
        f->flags |= FLOW_SEEN_REPLY;
    return PG_TRACK_IGNORED;
}

/* A SYN in a flow that is over begins a new one if it ended as connections do: by a FIN, or by a
 * reset of the same side. Else the other side may not know, and will tell. */
static bool may_reopen(const struct pg_flow_tcp *tcp, unsigned direction)
{
    return tcp->marks & (TCP_END_CLOSES << PG_ORIG | TCP_END_CLOSES << PG_REPLY) ||
           (tcp->last_direction == direction && tcp->last_kind == SEG_RST);
}

/* ---- resets ---- */

/* A reset counts only when its receiver would take it (RFC 5961 3): exactly at the highest ACK that
 * receiver sent, or right behind what its sender sent last. Below: invalid. Elsewhere: it goes on,
 * and the flow stays so that the challenge ACK can come back. A flow that is about to end anyway
 * takes any. *ret_learn: whether its numbers may be believed. */
static bool reset_state(const struct pg_flow *f, unsigned direction, const struct pg_segment *s,
                        uint8_t *state, bool *ret_learn)
{
    const struct pg_flow_tcp *tcp = &f->tcp;
    bool established = tcp->state == PG_CT_ESTABLISHED && (f->flags & FLOW_ASSURED);
    uint32_t expected = tcp->seen[!direction].max_ack;

    *ret_learn = false;
    if (tcp->state >= PG_CT_FIN_WAIT && tcp->state <= PG_CT_CLOSE)
        return true;
    if ((f->flags & (FLOW_HAS_ACK << !direction)) && tcp->last_kind != SEG_SYN) {
        bool of_train = tcp->last_kind == SEG_ACK && tcp->last_direction == direction &&
                        s->seq == tcp->last_end;
        *ret_learn = true;
        if (s->seq == 0 && !established)
            return true;
        if (pg_seq_before(s->seq, expected))
            return false;
        if (!established || s->seq == expected || of_train)
            return true;
        *state = tcp->state;
    }
    /* the answer to a SYN or ACK that changed nothing here: its receiver knew better */
    bool answers = ((f->flags & FLOW_SEEN_REPLY) && tcp->last_kind == SEG_SYN) ||
                   (!(f->flags & FLOW_ASSURED) && tcp->last_kind == SEG_ACK);
    bool challenged = tcp->state == PG_CT_SYN_SENT && tcp->last_kind == SEG_ACK &&
                      tcp->last_direction == PG_REPLY && s->seq == tcp->last_ack;

    *ret_learn = !(answers && s->ack == tcp->last_end) && !challenged;
    return true;
}

/* ---- a segment of a known flow ---- */

/* Exceptions to the table: a challenge ACK is no last ACK, and two sides may open at once. */
static bool is_challenge_ack(const struct pg_flow_tcp *tcp, unsigned direction,
                             const struct pg_segment *s, uint8_t state)
{
    return state == PG_CT_TIME_WAIT && tcp->state == PG_CT_LAST_ACK && s->kind == SEG_ACK &&
           tcp->last_direction != direction && tcp->last_kind == SEG_SYN &&
           (tcp->marks & TCP_CHALLENGED);
}

static uint8_t simultaneous(struct pg_flow_tcp *tcp, unsigned direction, const struct pg_segment *s,
                            uint8_t state)
{
    if (state == PG_CT_SYN_SENT2)
        pg_tcp_change_marks(tcp, 0, TCP_SIMULTANEOUS);
    if (state == PG_CT_SYN_RECV && direction == PG_REPLY && s->kind == SEG_ACK &&
        (tcp->marks & TCP_SIMULTANEOUS))
        return PG_CT_ESTABLISHED;
    return state;
}

/* What the segment, which has been taken, does to the flow's time and flags. */
static enum pg_track finish(struct pg_nat *n, struct pg_flow *f, unsigned direction,
                            const struct pg_segment *s, uint8_t old, uint64_t now_ms)
{
    bool replied = (f->flags & FLOW_SEEN_REPLY) != 0;
    uint64_t timeout = timeout_unreplied(n, f, timeout_of(n, f, s));

    if (direction == PG_REPLY)
        f->flags |= FLOW_SEEN_REPLY;
    if (!replied && s->kind == SEG_RST)
        return PG_TRACK_LAST; /* refused, or given up before an answer: nothing to remember */
    if (!replied && s->kind == SEG_SYN && old == PG_CT_SYN_SENT)
        return PG_TRACK_IGNORED; /* a repeated SYN keeps no mapping alive */
    if (replied && (old == PG_CT_SYN_RECV || old == PG_CT_ESTABLISHED) &&
        f->tcp.state == PG_CT_ESTABLISHED)
        f->flags |= FLOW_ASSURED;
    pg_flow_extend(n, f, now_ms + timeout);
    return PG_TRACK_OK;
}

enum pg_track pg_tcp_track(struct pg_nat *n, struct pg_flow *f, unsigned direction,
                           const struct pg_packet *p, uint64_t now_ms)
{
    struct pg_segment s;
    struct pg_flow_tcp *tcp = &f->tcp;
    uint8_t old = tcp->state;
    bool learns = true;

    if (!read_segment(p, &s))
        return PG_TRACK_INVALID;
    uint8_t state = next_state[direction][s.kind][old];

    if (state == sIV)
        return PG_TRACK_INVALID;
    if (state == PG_CT_SYN_SENT && (old == PG_CT_TIME_WAIT || old == PG_CT_CLOSE)) {
        if (may_reopen(tcp, direction))
            return PG_TRACK_REOPEN;
        state = sIG;
    }
    if (state == sIG) {
        if (!answers_ignored_syn(tcp, direction, &s))
            return ignore(f, direction, &s);
        resync(f, direction);
        old = PG_CT_SYN_SENT;
        state = PG_CT_SYN_RECV;
    }
    if (is_challenge_ack(tcp, direction, &s, state)) {
        pg_tcp_change_marks(tcp, TCP_CHALLENGED, 0);
        f->flags |= direction == PG_REPLY ? FLOW_SEEN_REPLY : 0;
        return PG_TRACK_IGNORED;
    }
    state = simultaneous(tcp, direction, &s, state);
    if (s.kind == SEG_RST && !reset_state(f, direction, &s, &state, &learns))
        return PG_TRACK_INVALID;
    if (learns)
        pg_tcp_window(f, direction, &s);
    settle(f, direction, &s, state);
    return finish(n, f, direction, &s, old, now_ms);
}
