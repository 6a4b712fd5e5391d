/* The three hooks: what happens to a packet's addresses, in order, and what is told about it.
 *
 *   prerouting, output   1 an ICMP error goes with the flow it is about            (icmp.c)
 *                        2 a packet of a known flow: does it fit?                  (tcp_track.c)
 *                        3 the first of a flow: decide, choose a port              (policy.c, port_alloc.c)
 *                        then the destination is translated
 *   postrouting          the source is translated; a new flow enters the table (confirmed)
 *
 * Between the two the packet is `n->passing`. A new flow whose packet never reaches postrouting (no
 * route, TTL) was never there. For a reply the two halves are the same with the tuples swapped:
 * what the flow changed is put back.
 *
 * Called by app/path.c. Each translation, refusal and drop is recorded here; counting drops is the
 * path's. Always true: a packet of a flow in the table leaves translated or not at all. */
#include "nat_internal.h"
#include "podglass/log.h"
#include "podglass/nat_rewrite.h"

#include <stdio.h>
#include <string.h>

#define REASON_MASK 0xffffffu /* both lists end long before: trace/reason.c, use.c */
#define USE_MASK    0xffffffu
#define UDP_STREAM_AFTER_MS \
    2000 /* nf_conntrack_proto_udp.c: a stream is what still talks after this */

/* ---- records ---- */

void pg_nat_tell(struct pg_nat *n, const struct pg_packet *p, const struct pg_flow *f,
                 struct pg_record *r)
{
    r->packet = p->id;
    r->label = p->label;
    r->proto = p->proto;
    r->node = f ? f->node : p->entry_node;
    r->conntrack = f ? pg_passing_id(n) : 0;
    pg_trace_write(n->trace, r);
}

static bool is_ported(const struct pg_tuple *t)
{
    return pg_proto_has_ports(t->proto);
}

static void tell_end(struct pg_nat *n, const struct pg_packet *p, const struct pg_flow *f,
                     unsigned direction, enum pg_stage stage, const struct pg_tuple *to,
                     enum pg_field field, pg_reason_id reason)
{
    struct pg_record r = {.kind = PG_RECORD_REWRITE,
                          .stage = (uint8_t)stage,
                          .field = (uint8_t)field,
                          .reason = reason,
                          .direction = (uint8_t)direction};

    if (field == PG_FIELD_DST) {
        r.before = pg_value_endpoint(&p->tuple.dst, is_ported(to) ? p->tuple.dst_port : 0);
        r.after = pg_value_endpoint(&to->dst, is_ported(to) ? to->dst_port : 0);
    } else {
        r.before = pg_value_endpoint(&p->tuple.src, p->tuple.src_port);
        r.after = pg_value_endpoint(&to->src, to->src_port);
    }
    if (pg_addr_equal(&r.before.addr, &r.after.addr) && r.before.port == r.after.port)
        r.kind = PG_RECORD_KEEP;
    if (r.kind == PG_RECORD_REWRITE || direction == PG_ORIG)
        pg_nat_tell(n, p, f, &r);
}

static enum pg_verdict_nat refuse(struct pg_nat *n, struct pg_packet *p, enum pg_stage stage,
                                  enum pg_drop drop, pg_reason_id reason, const struct pg_flow *f,
                                  enum pg_drop *ret_drop)
{
    *ret_drop = drop;
    if (pg_trace_on(n->trace)) {
        struct pg_record r = {.kind = PG_RECORD_DROP, .stage = (uint8_t)stage, .reason = reason};
        snprintf(r.name, sizeof(r.name), "%s", pg_drop_name(drop));
        r.before = pg_value_endpoint(&p->tuple.src, p->tuple.src_port);
        r.after = pg_value_endpoint(&p->tuple.dst, is_ported(&p->tuple) ? p->tuple.dst_port : 0);
        if (f) {
            struct pg_tuple orig = pg_flow_tuple(n, f, PG_ORIG);
            r.direction = !pg_tuple_equal(&orig, &p->tuple);
        }
        pg_nat_tell(n, p, f, &r);
    }
    return drop == PG_DROP_REJECTED ? PG_NAT_REJECT : PG_NAT_DROP;
}

/* Which round of telling a flow's FLOW_TOLD bits are of: two bits of a number that counts who began to watch. */
static uint16_t told_round(const struct pg_nat *n)
{
    return (uint16_t)(pg_trace_round(n->trace) << FLOW_ROUND_SHIFT & FLOW_ROUND);
}

/* At level FLOWS only the first packet of each direction is told. */
static bool wants_telling(const struct pg_nat *n, const struct pg_flow *f, unsigned direction)
{
    return pg_trace_wants(n->trace, f->label) &&
           (pg_trace_level(n->trace) == PG_TRACE_PACKETS ||
            !(f->flags & (FLOW_TOLD << direction)) || (f->flags & FLOW_ROUND) != told_round(n));
}

static void mark_told(const struct pg_nat *n, struct pg_flow *f, unsigned direction)
{
    if ((f->flags & FLOW_ROUND) != told_round(n))
        f->flags &= (uint16_t) ~(FLOW_ROUND | FLOW_TOLD | FLOW_TOLD << 1);
    f->flags |= (uint16_t)(FLOW_TOLD << direction | told_round(n));
}

/* ---- translation ---- */

/* A packet that goes one way says, when both halves are done, the other way's tuple turned round.
 * An echo identifier stands in src_port whichever way it goes. */
static void set_destination(struct pg_tuple *t, const struct pg_flow *f, unsigned direction)
{
    t->dst = f->src[!direction];
    if (is_ported(t))
        t->dst_port = f->src_port[!direction];
}

static void set_source(const struct pg_nat *n, struct pg_tuple *t, const struct pg_flow *f,
                       unsigned direction)
{
    t->src = *pg_flow_dst(n, f, !direction);
    t->src_port = is_ported(t) ? f->dst_port[!direction] : f->src_port[!direction];
}

static void translate_destination(struct pg_nat *n, struct pg_packet *p, const struct pg_flow *f,
                                  enum pg_stage stage)
{
    struct pg_passing *now = &n->passing;
    struct pg_tuple to = p->tuple;

    set_destination(&to, f, now->direction);
    if (now->tell)
        tell_end(n, p, f, now->direction, stage, &to, PG_FIELD_DST,
                 now->direction == PG_ORIG ? (pg_reason_id)f->dnat_reason : n->reverse);
    pg_rewrite_tuple(p, &to);
    now->half = p->tuple;
}

static void translate_source(struct pg_nat *n, struct pg_packet *p, struct pg_flow *f)
{
    struct pg_passing *now = &n->passing;
    struct pg_tuple to = p->tuple;

    set_source(n, &to, f, now->direction);
    if (now->tell) {
        pg_reason_id why = now->direction == PG_ORIG ? (pg_reason_id)f->snat_reason : n->reverse;
        /* also of a flow that is left alone: this is the one record that names who began it */
        tell_end(n, p, f, now->direction, PG_STAGE_NAT_POSTROUTING, &to, PG_FIELD_SRC, why);
        if (p->proto == PG_PROTO_TCP && (p->tcp_flags & PG_TCP_SYN))
            pg_nat_tell_handshake(n, p, f);
        mark_told(n, f, now->direction);
    }
    pg_rewrite_tuple(p, &to);
}

/* ---- the first packet of a flow ---- */

static void decide(struct pg_nat *n, struct pg_packet *p, struct pg_nat_decision *ret)
{
    uint32_t affinity = PG_INDEX_NONE;

    n->passing.new_affinity = PG_INDEX_NONE;
    if (!n->services) {
        *ret = (struct pg_nat_decision){
            .kind = PG_DECIDE_PLAIN, .service_port = PG_INDEX_NONE, .node = p->entry_node};
        return;
    }
    if (p->entry_node == PG_NODE_NONE)
        p->entry_node = pg_nat_entry_node(n->services, &p->tuple);
    if (n->services->affine_count) {
        const struct pg_front *front = pg_service_capture(n->services, &p->tuple);
        if (front && n->services->served[front->slot]->affine) {
            uint32_t service_port = pg_front_port(n->services, front);
            affinity = pg_affinity_find(n, service_port, &p->tuple.src);
            n->passing.new_affinity = service_port;
        }
    }
    pg_nat_decide(n->services, &p->tuple, p->entry_node, pg_random_u64(n->random), affinity, ret);
}

/* Of the ICMP types with a counterpart, those that ask: echo, timestamp, information, address mask; echo of IPv6. */
static bool asks(uint8_t icmp_type)
{
    return icmp_type == 8 || icmp_type == 13 || icmp_type == 15 || icmp_type == 17 ||
           icmp_type == 128;
}

/* Does a packet of this kind begin a flow, and for how long does that wait for an answer? */
static bool begin_transport(struct pg_nat *n, struct pg_flow *f, const struct pg_packet *p)
{
    uint64_t now_ms = n->now_us / 1000;

    switch (p->proto) {
    case PG_PROTO_TCP: return pg_tcp_begin(n, f, p, now_ms);
    case PG_PROTO_UDP: pg_flow_set_due(f, now_ms + n->udp_ms); return true;
    case PG_PROTO_GRE: pg_flow_set_due(f, now_ms + n->gre_ms); return true;
    case PG_PROTO_ICMP:
    case PG_PROTO_ICMP6:
        pg_flow_set_due(f, now_ms + n->icmp_ms);
        return asks(p->head[p->l4_offset]); /* an answer begins nothing */
    default: pg_flow_set_due(f, now_ms + n->generic_ms); return true;
    }
}

static void set_ends(struct pg_flow *f, unsigned direction, const struct pg_tuple *t)
{
    f->src[direction] = t->src;
    f->src_port[direction] = t->src_port;
    f->dst_port[direction] = t->dst_port;
}

static bool set_dst(struct pg_nat *n, struct pg_flow *f, unsigned direction,
                    const struct pg_addr *dst)
{
    if (!pg_addr_equal(dst, &f->src[!direction]))
        f->dst_number[direction] = pg_addresses_number(&n->addresses, dst);
    return f->dst_number[direction] != 0 || pg_addr_equal(dst, &f->src[!direction]);
}

/* false: too many addresses. */
static bool set_tuples(struct pg_nat *n, struct pg_flow *f, const struct pg_packet *p,
                       const struct pg_nat_decision *d)
{
    struct pg_tuple end = p->tuple;

    if (d->kind == PG_DECIDE_DNAT) {
        end.dst = d->dnat_addr;
        end.dst_port = d->dnat_port;
        f->flags |= FLOW_DNAT;
    }
    struct pg_tuple reply = pg_tuple_invert(&end);

    f->proto = p->tuple.proto;
    set_ends(f, PG_ORIG, &p->tuple);
    set_ends(f, PG_REPLY, &reply);
    return (d->kind != PG_DECIDE_DNAT || set_dst(n, f, PG_ORIG, &p->tuple.dst)) &&
           (!d->masquerade || set_dst(n, f, PG_REPLY, &d->snat_addr));
}

static bool choose_port(struct pg_nat *n, struct pg_flow *f, const struct pg_packet *p,
                        const struct pg_nat_decision *d)
{
    if (!pg_port_choose(n, f, p, d->port, &n->passing.hash[PG_REPLY]))
        return false;
    struct pg_tuple end = p->tuple;

    set_source(n, &end, f, PG_ORIG);
    if (d->masquerade) {
        f->flags |= FLOW_SNAT;
    } else if (end.src_port != p->tuple.src_port) {
        f->flags |= FLOW_SNAT;
        f->snat_reason = n->port_clash & REASON_MASK;
        n->counters->value[PG_COUNT_CT_CLASH]++;
    }
    return true;
}

static void count_rewrites(struct pg_nat *n, const struct pg_flow *f,
                           const struct pg_nat_decision *d)
{
    bool front = d->kind == PG_DECIDE_DNAT && pg_front_is_outside(d->capture);
    uint64_t *value = n->counters->value;

    value[front ? PG_COUNT_REWRITE_FRONT_DST : PG_COUNT_REWRITE_SERVICE_DST] +=
        (f->flags & FLOW_DNAT) != 0;
    value[front ? PG_COUNT_REWRITE_FRONT_SRC : PG_COUNT_REWRITE_SERVICE_SRC] +=
        (f->flags & FLOW_SNAT) != 0;
}

static void set_use(struct pg_nat *n, struct pg_flow *f, const struct pg_nat_decision *d)
{
    if (d->kind != PG_DECIDE_DNAT)
        return;
    struct pg_use_key key =
        pg_nat_use_key(n, d->service_port, (uint8_t)d->capture, &d->dnat_addr, d->dnat_port);
    f->use = pg_use_find(n->uses, &key) & USE_MASK;
}

static enum pg_verdict_nat begin(struct pg_nat *n, struct pg_packet *p, enum pg_stage stage,
                                 enum pg_drop *ret_drop)
{
    struct pg_passing *now = &n->passing;
    struct pg_flow *f = &now->pending;
    struct pg_tuple turned = pg_tuple_invert(&p->tuple);
    struct pg_nat_decision d;

    *f = (struct pg_flow){.created_us = n->now_us & PG_FLOW_MASK};
    if (pg_tuple_equal(&turned, &p->tuple) || !begin_transport(n, f, p))
        return refuse(n, p, stage, PG_DROP_INVALID, 0, NULL, ret_drop);
    decide(n, p, &d);
    if (d.kind == PG_DECIDE_REJECT)
        return refuse(n, p, stage, PG_DROP_REJECTED, d.dnat_reason, NULL, ret_drop);
    if (d.kind == PG_DECIDE_DROP)
        return refuse(n, p, stage, pg_nat_drop_of(&d), d.dnat_reason, NULL, ret_drop);
    if (d.kind != PG_DECIDE_DNAT)
        now->new_affinity = PG_INDEX_NONE;
    f->node = d.node;
    f->dnat_reason = d.dnat_reason & REASON_MASK;
    f->snat_reason = d.snat_reason & REASON_MASK;
    if (!set_tuples(n, f, p, &d) || !pg_flow_make_room(n))
        return refuse(n, p, stage, PG_DROP_TABLE_FULL, d.dnat_reason, NULL, ret_drop);
    if (!choose_port(n, f, p, &d))
        return refuse(n, p, stage, PG_DROP_INSERT_FAILED, f->snat_reason, NULL, ret_drop);
    count_rewrites(n, f, &d);
    set_use(n, f, &d);
    now->id = pg_flow_next_id(n);
    if (p->label == 0)
        p->label = pg_trace_new_label_for(n->trace, &p->tuple.src);
    f->label = p->label;
    now->kind = PASSING_NEW;
    now->direction = PG_ORIG;
    now->packet = p->id;
    now->tell = wants_telling(n, f, PG_ORIG);
    now->dying = false;
    translate_destination(n, p, f, stage);
    return PG_NAT_ACCEPT;
}

/* ---- a packet of a known flow ---- */

static void track_udp(struct pg_nat *n, struct pg_flow *f, uint64_t now_ms)
{
    bool stream =
        (f->flags & FLOW_SEEN_REPLY) && now_ms > f->created_us / 1000 + UDP_STREAM_AFTER_MS;

    if (stream)
        f->flags |= FLOW_ASSURED;
    pg_flow_extend(n, f, now_ms + (stream ? n->udp_stream_ms : n->udp_ms));
}

/* The kernel's tunnel between two hosts: a stream from the first packet on that follows an answer. */
static void track_gre(struct pg_nat *n, struct pg_flow *f, uint64_t now_ms)
{
    bool stream = (f->flags & FLOW_SEEN_REPLY) != 0;

    if (stream)
        f->flags |= FLOW_ASSURED;
    pg_flow_extend(n, f, now_ms + (stream ? n->gre_stream_ms : n->gre_ms));
}

static enum pg_track track_any(struct pg_nat *n, struct pg_flow *f, unsigned direction,
                               const struct pg_packet *p)
{
    uint64_t now_ms = n->now_us / 1000;

    if (p->proto == PG_PROTO_TCP)
        return pg_tcp_track(n, f, direction, p, now_ms);
    switch (p->proto) {
    case PG_PROTO_UDP: track_udp(n, f, now_ms); break;
    case PG_PROTO_GRE: track_gre(n, f, now_ms); break;
    case PG_PROTO_ICMP:
    case PG_PROTO_ICMP6: pg_flow_extend(n, f, now_ms + n->icmp_ms); break;
    default: pg_flow_extend(n, f, now_ms + n->generic_ms); break;
    }
    if (direction == PG_REPLY)
        f->flags |= FLOW_SEEN_REPLY;
    return PG_TRACK_OK;
}

/* What netfilter tells as an update: another state, the first answer, assured. */
static unsigned told_of(const struct pg_flow *f)
{
    unsigned state = f->proto == PG_PROTO_TCP ? f->tcp.state : 0;

    return state << 16 | (f->flags & (FLOW_SEEN_REPLY | FLOW_ASSURED));
}

static enum pg_track track(struct pg_nat *n, struct pg_flow *f, unsigned direction,
                           const struct pg_packet *p)
{
    unsigned before = told_of(f);
    enum pg_track fits = track_any(n, f, direction, p);

    if ((fits == PG_TRACK_OK || fits == PG_TRACK_IGNORED) && told_of(f) != before)
        pg_events_note(n, PG_NAT_EVENT_UPDATE, pg_pool_index(n->flows, f));
    return fits;
}

/* A flow belongs to whoever uses it now: an idle upstream connection that another client's request goes on is told anew, as a part of that request. Who
 * answers has no say in it: the pod's own end of that connection still has the label of whoever opened it. */
static void adopt_label(struct pg_packet *p, struct pg_flow *f, unsigned direction)
{
    if (direction == PG_ORIG && p->label != 0 && p->label != f->label) {
        f->label = p->label;
        f->flags &= (uint16_t) ~(FLOW_TOLD | FLOW_TOLD << 1);
    }
    p->label = f->label;
}

static enum pg_verdict_nat go_on(struct pg_nat *n, struct pg_packet *p, enum pg_stage stage,
                                 uint32_t found, enum pg_drop *ret_drop)
{
    struct pg_passing *now = &n->passing;
    struct pg_flow *f = pg_flow_at(n, found >> 1);
    unsigned direction = found & 1;
    enum pg_track fits =
        f->due_ms <= n->now_us / 1000 ? PG_TRACK_REOPEN : track(n, f, direction, p);

    if (fits ==
        PG_TRACK_REOPEN) { /* over, only not swept yet; or a new connection of the same ports */
        pg_flow_delete(n, found >> 1);
        now->hash[PG_ORIG] = pg_flow_hash(n, &p->tuple); /* a hint may have found it */
        return begin(n, p, stage, ret_drop);
    }
    p->answer_hint = (found ^ 1) + 1;
    adopt_label(p, f, direction);
    now->id = 0;
    now->flow = found >> 1;
    if (fits == PG_TRACK_INVALID)
        return refuse(n, p, stage, PG_DROP_INVALID, 0, f, ret_drop);
    n->counters->value[PG_COUNT_CT_FOUND]++;
    if (fits != PG_TRACK_IGNORED)
        pg_flow_count(f, direction, p);
    now->kind = PASSING_FLOW;
    now->direction = (uint8_t)direction;
    now->packet = p->id;
    now->tell = wants_telling(n, f, direction);
    now->dying = fits == PG_TRACK_LAST;
    if (now->dying)
        pg_flow_extend(n, f, n->now_us / 1000); /* should postrouting never come */
    translate_destination(n, p, f, stage);
    return PG_NAT_ACCEPT;
}

/* The flow of an answer of ours is at hand: what it answers came a moment ago. */
static bool is_answer(const struct pg_nat *n, const struct pg_packet *p)
{
    uint32_t of = p->answer_hint - 1;

    return pg_pool_in_use(n->flows, of >> 1) && pg_flow_has_tuple(n, of, &p->tuple);
}

static enum pg_verdict_nat enter(struct pg_nat *n, struct pg_packet *p, enum pg_stage stage,
                                 uint64_t now_us, enum pg_drop *ret_drop)
{
    n->now_us = now_us;
    if (pg_proto_is_icmp(p->proto) && !pg_icmp_is_query(p)) {
        struct pg_tuple quoted;
        uint16_t offset;
        if (pg_icmp_related(n, p, stage))
            return PG_NAT_ACCEPT;
        n->passing.kind = PASSING_NONE;
        bool error = pg_packet_quoted(p, &quoted, &offset);
        return refuse(n, p, stage, error ? PG_DROP_ICMP_UNRELATED : PG_DROP_ICMP_UNSUPPORTED, 0,
                      NULL, ret_drop);
    }
    n->passing.kind = PASSING_NONE;
    if (p->answer_hint != 0 && is_answer(n, p))
        return go_on(n, p, stage, p->answer_hint - 1, ret_drop);
    p->answer_hint = 0;
    n->passing.hash[PG_ORIG] = pg_flow_hash(n, &p->tuple);
    uint32_t found = pg_flow_find(n, &p->tuple, n->passing.hash[PG_ORIG]);

    return found == PG_TABLE_NONE ? begin(n, p, stage, ret_drop)
                                  : go_on(n, p, stage, found, ret_drop);
}

enum pg_verdict_nat pg_nat_prerouting(struct pg_nat *n, struct pg_packet *p, uint64_t now_us,
                                      enum pg_drop *ret_drop)
{
    return enter(n, p, PG_STAGE_NAT_PREROUTING, now_us, ret_drop);
}

enum pg_verdict_nat pg_nat_output(struct pg_nat *n, struct pg_packet *p, uint64_t now_us,
                                  enum pg_drop *ret_drop)
{
    return enter(n, p, PG_STAGE_NAT_OUTPUT, now_us, ret_drop);
}

/* ---- behind the routing decision ---- */

static void confirm(struct pg_nat *n, struct pg_packet *p)
{
    struct pg_flow *f = &n->passing.pending;

    pg_flow_count(f, PG_ORIG, p);
    uint32_t index = pg_flow_insert(n, f, n->passing.hash);
    p->answer_hint = index * 2 + PG_REPLY + 1;
    pg_events_note(n, PG_NAT_EVENT_NEW, index);
    if (n->passing.new_affinity != PG_INDEX_NONE)
        pg_affinity_note(n, n->passing.new_affinity, &f->src[PG_ORIG], &f->src[PG_REPLY],
                         f->src_port[PG_REPLY]);
}

static void finish_error(struct pg_nat *n, struct pg_packet *p)
{
    const struct pg_passing *now = &n->passing;
    struct pg_tuple to = p->tuple;

    if (pg_addr_is_none(&now->error_source))
        return;
    to.src = now->error_source;
    if (now->tell && !pg_addr_equal(&to.src, &p->tuple.src))
        tell_end(n, p, &now->pending, now->direction, PG_STAGE_NAT_POSTROUTING, &to, PG_FIELD_SRC,
                 n->reverse);
    pg_rewrite_tuple(p, &to);
}

enum pg_verdict_nat pg_nat_postrouting(struct pg_nat *n, struct pg_packet *p, uint64_t now_us,
                                       enum pg_drop *ret_drop)
{
    struct pg_passing *now = &n->passing;

    n->now_us = now_us;
    *ret_drop = PG_DROP_NONE;
    PG_ASSERT(now->kind != PASSING_NONE && now->packet == p->id);
    switch (now->kind) {
    case PASSING_NEW:
        translate_source(n, p, &now->pending);
        confirm(n, p);
        break;
    case PASSING_FLOW:
        translate_source(n, p, pg_flow_at(n, now->flow));
        if (now->dying)
            pg_flow_delete(n, now->flow);
        break;
    case PASSING_ERROR: finish_error(n, p); break;
    case PASSING_NONE:
    default: break;
    }
    now->kind = PASSING_NONE;
    return PG_NAT_ACCEPT;
}

struct pg_addr pg_nat_reject_source(const struct pg_nat *n, const struct pg_packet *p)
{
    const struct pg_snapshot *s = n->services ? n->services->snapshot : NULL;
    const struct pg_tuple *t = &p->tuple;
    bool v6 = p->ip_version == 6;

    if (!s)
        return t->dst;
    uint32_t at = pg_snapshot_node_of(s, &t->src);
    if (pg_snapshot_node_by_addr(s, &t->dst) != PG_INDEX_NONE)
        return t->dst; /* a node port: who was asked answers */
    bool pod = at != PG_INDEX_NONE && pg_snapshot_node_by_addr(s, &t->src) != at;

    if (at == PG_INDEX_NONE)
        at = p->entry_node != PG_NODE_NONE ? p->entry_node : pg_nat_entry_node(n->services, t);
    if (at >= s->node_count)
        return t->dst;
    const struct pg_addr *from = pod ? &s->nodes[at].gateway[v6] : &s->nodes[at].addr[v6];

    return pg_addr_is_none(from) ? t->dst : *from;
}
