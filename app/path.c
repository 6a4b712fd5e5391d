/* The spine: the stages of a packet as plain calls, in the order in which a cluster has them. Read this first.
 *
 *   link ─► parse ─► check addresses ─► nat prerouting ─┬─ somebody on the wire ─► forward ─► nat postrouting ─► link
 *                                                       └─ one of ours ─► nat postrouting ─► deliver (local.c)
 *   our TCP ─► nat output ─┬─ somebody on the wire ─► nat postrouting ─► link
 *                          └─ one of ours ─► nat postrouting ─► queue ─► deliver
 *
 * Only this file knows the order; nat and stack do not know each other. A packet made by our own TCP comes out of a call into it, so it can be sent to
 * the link at once but never delivered back at once: it waits in the queue until the stack is left. What a built-in end of the lab (echo pod, request
 * client) sends waits there too and then enters like a packet from the wire, so its way is that of a real one.
 *
 * Every packet begins once (read from the link, or made here) and ends once (sent, delivered, or dropped with a reason): the counters add up. */
#include "path_internal.h"

#include "podglass/icmp.h"
#include "podglass/log.h"
#include "podglass/nat_rewrite.h"
#include "podglass/tap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RX_BATCH \
    64 /* packets read before deferred work runs: tun-limits.md, batches pay up to here */
#define QUEUE_BATCH   1024         /* queued packets handled before the link is read again */
#define RECLAIM_BYTES (256u << 10) /* of a snapshot let go, per turn: some 20 us */

/* ---- ends ---- */

void pg_path_drop(struct pg_path *path, const struct pg_packet *p, enum pg_drop reason)
{
    path->counters.drop[reason]++;
    pg_tap_dropped(path->tap, reason);
    if (!pg_trace_on(path->trace)) {
        return;
    }
    struct pg_record r = {.kind = PG_RECORD_DROP,
                          .stage = PG_STAGE_FORWARD,
                          .packet = p->id,
                          .label = p->label,
                          .proto = p->proto,
                          .node = p->entry_node,
                          .reason = reason == PG_DROP_SCTP ? path->sctp : 0,
                          .before = pg_value_endpoint(&p->tuple.src, p->tuple.src_port),
                          .after = pg_value_endpoint(&p->tuple.dst, p->tuple.dst_port)};
    strncpy(r.name, pg_drop_name(reason), sizeof r.name - 1);
    pg_trace_write(path->trace, &r);
}

static enum pg_drop link_tx_pieces(struct pg_path *path, struct pg_link *link,
                                   const struct pg_packet *p)
{
    struct pg_packet piece = *p;
    uint32_t cursor = 0;
    enum pg_drop reason = PG_DROP_NONE;
    piece.head = path->scratch;
    piece.csum = PG_CSUM_FULL;
    while ((piece.len = pg_fragments_split(p, &cursor, path->scratch, sizeof path->scratch)) != 0 &&
           reason == PG_DROP_NONE) {
        piece.head_len = piece.len;
        reason = pg_link_tx(link, &piece);
        path->counters.value[PG_COUNT_FRAGMENTS_MADE]++;
        path->counters.value[PG_COUNT_TX_PACKETS]++;
    }
    path->counters.value[PG_COUNT_FRAGMENTS_MADE]--; /* one of them is the packet itself */
    path->counters.value[PG_COUNT_TX_PACKETS]--;
    return reason;
}

static enum pg_drop send_on(struct pg_path *path, const struct pg_packet *p)
{
    const struct pg_path_link *to = pg_links_towards(path, &p->tuple.dst);
    if (to == NULL) {
        return PG_DROP_NO_ROUTE;
    }
    if (to->link == NULL) {
        return PG_DROP_LINK_GONE;
    }
    return p->fragment_size != 0 ? link_tx_pieces(path, to->link, p) : pg_link_tx(to->link, p);
}

static void link_tx(struct pg_path *path, const struct pg_packet *p)
{
    enum pg_drop reason = send_on(path, p);
    if (reason != PG_DROP_NONE) {
        pg_path_drop(path, p, reason);
        return;
    }
    path->counters.value[PG_COUNT_TX_PACKETS]++;
    path->counters.value[PG_COUNT_TX_BYTES] += p->len;
}

/* ---- the queue ---- */

void pg_path_enqueue(struct pg_path *path, const struct pg_packet *p, enum pg_queued_kind kind)
{
    uint32_t index = pg_pool_get(path->queue_pool);
    struct pg_buf *buf = index == PG_POOL_NONE ? NULL : pg_buf_get(path->buffers);
    if (buf == NULL) {
        if (index != PG_POOL_NONE) {
            pg_pool_put(path->queue_pool, index);
        }
        pg_path_drop(path, p, PG_DROP_NO_BUFFER);
        return;
    }
    struct pg_queued *q = pg_pool_at(path->queue_pool, index);
    q->packet = *p;
    q->kind = kind;
    q->next = NULL;
    uint8_t *to = buf->bytes + PG_BUF_HEADROOM;
    PG_ASSERT(p->len <= PG_BUF_BYTES);
    memcpy(to, p->head, p->head_len);
    uint32_t at = p->head_len;
    for (uint32_t i = 0; i < p->tail_count; i++) {
        memcpy(to + at, p->tail[i].iov_base, p->tail[i].iov_len);
        at += (uint32_t)p->tail[i].iov_len;
    }
    buf->start = PG_BUF_HEADROOM;
    buf->len = at;
    q->packet.head = to;
    q->packet.head_len = at;
    q->packet.len = at;
    q->packet.tail = NULL;
    q->packet.tail_count = 0;
    q->packet.buf = buf;
    *path->queue_last = q;
    path->queue_last = &q->next;
}

static void run_queued(struct pg_path *path, struct pg_queued *q)
{
    if (q->kind == PG_QUEUED_RX) {
        pg_path_rx(path, &q->packet);
    } else {
        pg_local_deliver(path, pg_path_owner(path, &q->packet), &q->packet);
    }
    pg_buf_put(q->packet.buf); /* NULL when TCP took it over */
}

/* true: packets are left. */
static bool drain_queue(struct pg_path *path)
{
    for (uint32_t n = 0; n < QUEUE_BATCH && path->queue_first != NULL; n++) {
        struct pg_queued *q = path->queue_first;
        path->queue_first = q->next;
        if (path->queue_first == NULL) {
            path->queue_last = &path->queue_first;
        }
        run_queued(path, q);
        pg_pool_put(path->queue_pool, pg_pool_index(path->queue_pool, q));
    }
    return path->queue_first != NULL;
}

/* ---- the stages ---- */

/* A hook's decision, carried out. true: the packet goes on. */
typedef enum pg_verdict_nat nat_hook(struct pg_nat *n, struct pg_packet *p, uint64_t now_us,
                                     enum pg_drop *ret_drop);

static bool pass(struct pg_path *path, struct pg_packet *p, nat_hook *hook)
{
    enum pg_drop drop = PG_DROP_NONE;
    enum pg_verdict_nat verdict = hook(path->nat, p, path->now_us, &drop);
    if (verdict == PG_NAT_ACCEPT) {
        return true;
    }
    pg_tap_dropped(path->tap, drop);
    if (verdict == PG_NAT_REJECT) {
        pg_local_reject(path, p);
    } else {
        path->counters.drop[drop]++; /* nat recorded it, with its reason */
    }
    return false;
}

void pg_path_forward(struct pg_path *path, struct pg_packet *p)
{
    if (!pg_rewrite_ttl(p)) {
        pg_local_time_exceeded(path, p);
        return;
    }
    if (pass(path, p, pg_nat_postrouting)) {
        pg_tap_after(path->tap, p);
        link_tx(path, p);
    }
}

void pg_path_rx(struct pg_path *path, struct pg_packet *p)
{
    pg_tap_before(path->tap, p);
    if (!pass(path, p, pg_nat_prerouting)) {
        return;
    }
    enum pg_owner owner = pg_path_owner(path, p);
    if (owner == PG_OWNER_WIRE) {
        pg_path_forward(path, p);
    } else if (pass(path, p, pg_nat_postrouting)) {
        pg_tap_after(path->tap, p);
        pg_local_deliver(path, owner, p);
    }
}

void pg_path_tx(struct pg_path *path, struct pg_packet *p)
{
    pg_tap_before(path->tap, p);
    if (!pass(path, p, pg_nat_output) || !pass(path, p, pg_nat_postrouting)) {
        return;
    }
    pg_tap_after(path->tap, p);
    if (pg_path_owner(path, p) == PG_OWNER_WIRE) {
        link_tx(path, p);
    } else {
        pg_path_enqueue(path, p, PG_QUEUED_DELIVER);
    }
}

void pg_path_send_plain(struct pg_path *path, struct pg_packet *p)
{
    if (pg_path_owner(path, p) == PG_OWNER_WIRE) {
        link_tx(path, p);
    } else {
        pg_path_enqueue(path, p, PG_QUEUED_DELIVER);
    }
}

/* ---- what comes in ---- */

/* From TCP. The packet is ours to change, its payload is not. */
void pg_path_output(void *arg, struct pg_packet *p)
{
    struct pg_path *path = arg;
    path->counters.value[PG_COUNT_LOCAL_OUT]++;
    p->id = ++path->packet_id;
    p->entry_node = PG_NODE_NONE;
    if (pg_path_is_lab_end(path, &p->tuple)) {
        pg_path_enqueue(path, p, PG_QUEUED_RX);
    } else {
        pg_path_tx(path, p);
    }
}

static void receive(struct pg_path *path, const struct pg_path_link *from, struct pg_packet *p)
{
    enum pg_drop drop = PG_DROP_NONE;
    path->counters.value[PG_COUNT_RX_PACKETS]++;
    path->counters.value[PG_COUNT_RX_BYTES] += p->len;
    p->id = ++path->packet_id;
    p->entry_node = PG_NODE_NONE;
    bool good = pg_packet_parse(p, &drop);
    if (drop == PG_DROP_FRAGMENT) {
        if (pg_fragments_take(path->fragments, p, path->buffers, path->now_us) !=
            PG_FRAGMENT_WHOLE) {
            return; /* held, or counted */
        }
        drop = PG_DROP_NONE;
        good = pg_packet_parse(p, &drop);
    }
    if (good) {
        drop = pg_path_check_addresses(path, &p->tuple);
        if (drop == PG_DROP_NONE && !pg_links_behind(from, &p->tuple.src)) {
            drop = PG_DROP_SPOOFED;
        }
    }
    if (drop != PG_DROP_NONE) {
        pg_path_drop(path, p, drop);
        return;
    }
    pg_path_rx(path, p);
}

/* 1: the batch was full, more may wait. 0: drained. -ENODEV: the link is gone. */
static int read_link(struct pg_path *path, const struct pg_path_link *from)
{
    for (int n = 0; n < RX_BATCH; n++) {
        struct pg_packet p;
        enum pg_drop drop = PG_DROP_NONE;
        int got = pg_link_rx(from->link, path->buffers, &p, &drop);
        if (got == -ENODEV) {
            path->lost_link = (uint32_t)(from - path->links);
            return -ENODEV;
        }
        if (got == -EBADMSG) {
            path->counters.value[PG_COUNT_RX_PACKETS]++;
            path->counters.drop[drop]++;
            continue;
        }
        if (got <= 0) {
            return 0; /* nothing now, interface down, or no buffer until some are returned */
        }
        receive(path, from, &p);
        pg_buf_put(p.buf);
    }
    return 1;
}

static int read_links(struct pg_path *path)
{
    int more = 0;
    for (uint32_t i = 0; i < path->link_count; i++) {
        int got = path->links[i].link != NULL ? read_link(path, &path->links[i]) : 0;
        if (got < 0) {
            return got;
        }
        more |= got;
    }
    return more;
}

/* What a link had taken and could not send in the end was counted as sent; it ends as dropped. */
static void flush_links(struct pg_path *path)
{
    struct pg_packet p;
    enum pg_drop reason = PG_DROP_NONE;
    for (uint32_t i = 0; i < path->link_count; i++) {
        struct pg_link *link = path->links[i].link;
        while (link != NULL && pg_link_flush(link, &p, &reason)) {
            path->counters.value[PG_COUNT_TX_PACKETS]--;
            path->counters.value[PG_COUNT_TX_BYTES] -= p.len;
            pg_path_drop(path, &p, reason);
        }
    }
}

static void run_timers(struct pg_path *path)
{
    pg_fragments_advance(path->fragments, path->now_us);
    pg_nat_advance(path->nat, path->now_us);
    pg_stack_advance(path->stack, path->now_us);
    pg_proxy_advance(path->proxy, path->now_us);
    pg_echo_advance(path->echo, path->now_us);
    pg_lab_clients_advance(path->clients, path->now_us);
    pg_dns_forward_advance(path->dns_forward, path->now_us);
    pg_idle_advance(path);
}

/* Before anything happens: whoever is told of a packet arms timers, and the last turn may have been long ago. */
static void set_time(struct pg_path *path, uint64_t now_us)
{
    path->now_us = now_us;
    pg_trace_set_time(path->trace, now_us);
    pg_proxy_set_time(path->proxy, now_us);
    pg_echo_set_time(path->echo, now_us);
    pg_lab_clients_set_time(path->clients, now_us);
}

int pg_path_turn(struct pg_path *path, uint64_t now_us)
{
    set_time(path, now_us);
    int more = read_links(path);
    bool queued = drain_queue(path);
    run_timers(path);
    while (pg_stack_sweep(path->stack, now_us)) {
        queued = drain_queue(path);
        if (queued) {
            break; /* the rest next turn: the link must be read as well */
        }
    }
    queued = drain_queue(path);
    flush_links(path);
    bool unused = pg_snapshot_reclaim(RECLAIM_BYTES);
    path->counters.value[PG_COUNT_RECORDS] = pg_trace_next_seq(path->trace) - 1;
    return more < 0 ? more : (more > 0 || queued || unused || path->queue_first != NULL);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t pg_path_next_due_us(const struct pg_path *path)
{
    uint64_t due = earlier(pg_nat_next_due_us(path->nat), pg_stack_next_due_us(path->stack));
    due = earlier(due, pg_fragments_next_due_us(path->fragments));
    due = earlier(due, pg_proxy_next_due_us(path->proxy));
    due = earlier(due, pg_echo_next_due_us(path->echo));
    due = earlier(due, pg_dns_forward_next_due_us(path->dns_forward));
    due = earlier(due, pg_idle_next_due_us(path));
    return earlier(due, pg_lab_clients_next_due_us(path->clients));
}
