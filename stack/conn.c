/* A TCP connection as a byte stream.
 *
 * Above: the owner, through podglass/conn.h. Below: lwIP, whose callbacks put received pbufs on the
 * connection's queue and count acknowledged bytes. Nothing of the owner's runs inside a callback of
 * lwIP: what happened is noted as an event, and netif.c tells the owner when lwIP is done. For the
 * same reason closing and aborting only mark; the sweep acts.
 *
 * Owns the queue of received bytes. Back-pressure: the receive window opens by what is consumed or
 * moved, and by nothing else, so a connection never holds more than its window. Always true:
 * rx_unread is the sum of the queue; pcb is NULL as soon as lwIP has freed it; a released
 * connection has no owner and an empty queue. */
#include "stack_internal.h"

#include "podglass/log.h"

#include <errno.h>
#include <string.h>

#define GATHER_MAX 512 /* a smaller segment that has to wait is copied behind the one before */
#define GATHER_BYTES \
    2048 /* into buffers of this size, so that many tiny segments cost little memory */
#define MSS_FLOOR_V4 536 /* RFC 1122: what every host must take; less only multiplies packets */
#define MSS_FLOOR_V6 1220
#define HOPS         64    /* RFC 1700, and what resets of ours have */
#define ORPHAN_MS    60000 /* a closed connection whose peer does not take the rest */

/* ---- from lwIP ---- */

static void append(struct pg_conn *c, struct pbuf *p)
{
    p->next = NULL;
    p->tot_len = p->len;
    if (c->rx_tail != NULL)
        c->rx_tail->next = p;
    else
        c->rx_head = p;
    c->rx_tail = p;
    c->rx_room = 0;
}

static bool gather(struct pg_conn *c, const struct pbuf *p)
{
    struct pbuf *tail = c->rx_tail;

    if (tail == NULL || p->len > GATHER_MAX)
        return false;
    if (c->rx_room < p->len) {
        struct pbuf *fresh = pbuf_alloc(PBUF_RAW, GATHER_BYTES, PBUF_RAM);
        if (fresh == NULL)
            return false;
        fresh->len = 0;
        append(c, fresh);
        tail = fresh;
        c->rx_room = GATHER_BYTES;
    }
    memcpy((uint8_t *)tail->payload + tail->len, p->payload, p->len);
    tail->len = (u16_t)(tail->len + p->len);
    tail->tot_len = tail->len;
    c->rx_room = (uint16_t)(c->rx_room - p->len);
    return true;
}

void pg_conn_receive(struct pg_conn *c, struct pbuf *chain)
{
    while (chain != NULL) {
        struct pbuf *p = chain;

        chain = p->next;
        p->next = NULL;
        c->rx_unread += p->len;
        c->bytes_in += p->len;
        c->stack->held_bytes += p->len;
        if (p->len == 0 || gather(c, p))
            pbuf_free(p);
        else
            append(c, p);
    }
}

static err_t on_recv(void *arg, struct tcp_pcb *pcb, struct pbuf *p, err_t err)
{
    struct pg_conn *c = arg;

    LWIP_UNUSED_ARG(pcb);
    LWIP_UNUSED_ARG(err);
    if (p == NULL)
        c->flags |= PG_CONN_END_SEEN;
    else
        pg_conn_receive(c, p);
    if (c->flags & PG_CONN_RELEASED)
        pg_conn_discard(c);
    else
        pg_stack_event(c, PG_EVENT_READABLE);
    return ERR_OK;
}

static err_t on_sent(void *arg, struct tcp_pcb *pcb, u16_t len)
{
    struct pg_conn *c = arg;

    LWIP_UNUSED_ARG(pcb);
    pg_send_acked(c, len);
    pg_stack_event(c, PG_EVENT_WRITABLE);
    return ERR_OK;
}

/* The pcb is about to be freed by lwIP itself: a reset came, or both FINs are acknowledged. */
static void on_error(void *arg, err_t err)
{
    struct pg_conn *c = arg;

    if (err == ERR_CLSD)
        pg_conn_gone(c, 0);
    else
        pg_conn_gone(c, (c->flags & PG_CONN_OPEN) ? -ECONNRESET : -ECONNREFUSED);
}

static void on_destroy(u8_t id, void *data)
{
    struct pg_conn *c = data;

    LWIP_UNUSED_ARG(id);
    if (c == NULL)
        return;
    c->pcb = NULL;
    pg_conn_gone(c, 0);
}

void pg_conn_set_mss(struct pg_conn *c, struct tcp_pcb *pcb, uint32_t mss)
{
    uint32_t least = IP_IS_V6_VAL(pcb->remote_ip) ? MSS_FLOOR_V6 : MSS_FLOOR_V4;

    c->mss = (uint16_t)pg_max_u32(mss, least);
    pcb->mss = c->mss;
}

/* Never a callback for the handshake's end on the passive side: lwIP's accept callback is
 * netif.c's. */
static err_t on_passive_open(u8_t id, struct tcp_pcb_listen *listener, struct tcp_pcb *pcb)
{
    struct pg_stack *s = listener->callback_arg;
    struct pg_conn *c = pg_conn_new(s, s->syn, s->syn_label);

    LWIP_UNUSED_ARG(id);
    if (c == NULL)
        return ERR_MEM;
    c->flags |= PG_CONN_PASSIVE;
    s->half_open++;
    pg_conn_attach(c, pcb);
    pg_conn_set_mss(c, pcb, pcb->mss);
    pcb->rcv_wnd = pg_min_u32(s->options.receive_window, pcb->rcv_wnd);
    pcb->rcv_ann_wnd = pcb->rcv_wnd;
    return ERR_OK;
}

const struct tcp_ext_arg_callbacks pg_conn_pcb_callbacks = {on_destroy, on_passive_open};

static err_t on_connected(void *arg, struct tcp_pcb *pcb, err_t err)
{
    struct pg_conn *c = arg;

    LWIP_UNUSED_ARG(err);
    pg_conn_set_mss(c, pcb, pcb->mss);
    pcb->rcv_wnd = pg_min_u32(c->stack->options.receive_window, TCP_WND_MAX(pcb));
    pcb->rcv_ann_wnd = pcb->rcv_wnd;
    pg_conn_opened(c);
    c->stack->counters->value[PG_COUNT_TCP_CONNECTED]++;
    pg_stack_event(c, PG_EVENT_OPEN);
    return ERR_OK;
}

/* ---- life ---- */

struct pg_conn *pg_conn_new(struct pg_stack *s, const struct pg_tuple *received, uint32_t label)
{
    uint32_t index = pg_pool_get(s->conns);
    struct pg_conn *c;

    if (index == PG_POOL_NONE)
        return NULL;
    c = pg_pool_at(s->conns, index);
    c->stack = s;
    c->tuple = *received;
    c->bucket = pg_bucket_of(received);
    c->label = label != 0 ? label : pg_trace_new_label(s->trace);
    c->opened_us = s->now_us;
    c->ip_id = (uint16_t)pg_random_u64(s->random);
    return c;
}

void pg_conn_attach(struct pg_conn *c, struct tcp_pcb *pcb)
{
    c->pcb = pcb;
    tcp_arg(pcb, c);
    tcp_ext_arg_set_callbacks(pcb, 0, &pg_conn_pcb_callbacks);
    tcp_ext_arg_set(pcb, 0, c);
    tcp_recv(pcb, on_recv);
    tcp_sent(pcb, on_sent);
    tcp_err(pcb, on_error);
    pcb->ttl = HOPS;
    tcp_nagle_disable(pcb); /* the sweep gathers what a turn wrote */
}

void pg_conn_opened(struct pg_conn *c)
{
    c->flags |= PG_CONN_OPEN;
    c->backoff = 0;
    c->rto_due = 0;
    c->state_due = 0;
    if (c->flags & PG_CONN_PASSIVE)
        c->stack->half_open--;
}

void pg_conn_gone(struct pg_conn *c, int error)
{
    if ((c->flags & (PG_CONN_PASSIVE | PG_CONN_OPEN)) == PG_CONN_PASSIVE) {
        c->flags &= (uint16_t)~PG_CONN_PASSIVE; /* not counted twice */
        c->stack->half_open--;
    }
    pg_timer_stop(c);
    if (error != 0) {
        c->error = error;
        pg_stack_event(c, PG_EVENT_CLOSED);
    }
    if (c->pcb == NULL) {
        pg_send_drop(c);
        pg_recovery_drop(c);
    }
    pg_stack_todo(c);
}

void pg_conn_drop_pcb(struct pg_conn *c, bool reset)
{
    struct tcp_pcb *pcb = c->pcb;
    uint32_t before;

    if (pcb == NULL)
        return;
    before = pg_bucket_enter(c->bucket);
    tcp_err(pcb, NULL);
    tcp_clear_flags(pcb, TF_ACK_DELAY); /* the reset says it all */
    tcp_abandon(pcb, reset && pcb->state != SYN_SENT);
    pg_bucket_leave(before);
}

void pg_conn_free(struct pg_conn *c)
{
    PG_ASSERT(c->pcb == NULL && !(c->flags & (PG_CONN_READY | PG_CONN_TODO)));
    pg_timer_stop(c);
    pg_send_drop(c);
    pg_recovery_drop(c);
    pg_conn_discard(c);
    pg_pool_put(c->stack->conns, pg_pool_index(c->stack->conns, c));
}

void pg_conn_own(struct pg_conn *c, const struct pg_conn_events *events, void *owner)
{
    c->events = events;
    c->owner = owner;
}

/* Makes lwIP send the SYN. */
static int start(struct pg_conn *c)
{
    struct tcp_pcb *pcb =
        tcp_new_ip_type(pg_addr_is_v4(&c->tuple.dst) ? IPADDR_TYPE_V4 : IPADDR_TYPE_V6);
    ip_addr_t peer;
    uint32_t before;
    err_t err;

    if (pcb == NULL)
        return -ENOMEM;
    pg_conn_attach(c, pcb);
    /* Not tcp_bind: it would refuse a port that some other connection of the bucket uses, to
     * whatever peer. */
    pg_addr_to_lwip(&c->tuple.dst, &pcb->local_ip);
    pcb->local_port = c->tuple.dst_port;
    pg_addr_to_lwip(&c->tuple.src, &peer);
    before = pg_bucket_enter(c->bucket);
    err = tcp_connect(pcb, &peer, c->tuple.src_port, on_connected);
    if (err != ERR_OK) {
        tcp_err(pcb, NULL);
        pcb->local_port = 0; /* on no list */
        tcp_abandon(pcb, 0);
    }
    pg_bucket_leave(before);
    return err == ERR_OK ? 0 : -EHOSTUNREACH;
}

struct pg_conn *pg_conn_connect(struct pg_stack *s, const struct pg_addr *local,
                                uint16_t local_port, const struct pg_addr *peer, uint16_t peer_port,
                                uint32_t label, const struct pg_conn_events *events, void *owner)
{
    struct pg_tuple t;
    struct tcp_pcb *old;
    struct pg_conn *c;

    if (pg_addr_is_v4(local) != pg_addr_is_v4(peer) || peer_port == 0)
        return NULL;
    memset(&t, 0, sizeof t);
    t.src = *peer;
    t.dst = *local;
    t.src_port = peer_port;
    t.dst_port = local_port != 0 ? local_port : pg_ports_choose(s, local, peer, peer_port);
    t.proto = PG_PROTO_TCP;
    old = t.dst_port != 0 ? pg_bucket_find(pg_bucket_of(&t), &t) : NULL;
    if (t.dst_port == 0 || (old != NULL && old->state != TIME_WAIT))
        return NULL;
    c = pg_conn_new(s, &t, label);
    if (c == NULL)
        return NULL;
    if (old != NULL) {
        pg_stack_isn_above(s, old->snd_nxt);
        pg_time_wait_end(s, old);
    }
    c->flags |= PG_CONN_SHOWN;
    if (start(c) != 0) {
        c->flags |= PG_CONN_RELEASED;
        pg_stack_todo(c);
        return NULL;
    }
    pg_conn_own(c, events, owner);
    pg_rtt_start(c, c->pcb->snd_nxt);
    pg_timer_update(c);
    return c;
}

/* ---- reading ---- */

/* The window opens by n; the peer is told when it matters to it, at the end of the turn. */
static void open_window(struct pg_conn *c, uint32_t n)
{
    struct tcp_pcb *pcb = c->pcb;
    uint32_t left;
    uint32_t grown;

    c->rx_unread -= n;
    c->stack->held_bytes -= n;
    if (pcb == NULL || n == 0 || (c->flags & PG_CONN_END_SEEN)) {
        if (c->inner != NULL)
            pg_stack_todo(c);
        return;
    }
    left = pcb->rcv_ann_right_edge - pcb->rcv_nxt;
    pcb->rcv_wnd += n;
    grown = tcp_update_rcv_ann_wnd(pcb);
    if (grown >= c->stack->options.receive_window / 4 || (left < c->mss && grown > 0)) {
        tcp_ack_now(pcb);
        pg_stack_todo(c);
    }
}

static void pop_front(struct pg_conn *c)
{
    struct pbuf *p = c->rx_head;

    c->rx_head = p->next;
    if (c->rx_head == NULL) {
        c->rx_tail = NULL;
        c->rx_room = 0;
    }
    p->next = NULL;
}

uint64_t pg_conn_unread(const struct pg_conn *c)
{
    return c->rx_unread;
}

bool pg_conn_front(const struct pg_conn *c, struct pg_slice *ret)
{
    if (c->rx_head == NULL)
        return false;
    ret->at = c->rx_head->payload;
    ret->len = c->rx_head->len;
    return true;
}

uint32_t pg_conn_peek(const struct pg_conn *c, uint64_t skip, void *out, uint32_t room)
{
    uint32_t done = 0;

    for (const struct pbuf *p = c->rx_head; p != NULL && done < room; p = p->next) {
        uint32_t n;

        if (skip >= p->len) {
            skip -= p->len;
            continue;
        }
        n = pg_min_u32(p->len - (uint32_t)skip, room - done);
        memcpy((uint8_t *)out + done, (const uint8_t *)p->payload + skip, n);
        done += n;
        skip = 0;
    }
    return done;
}

void pg_conn_consume(struct pg_conn *c, uint64_t len)
{
    uint32_t left = (uint32_t)(len < c->rx_unread ? len : c->rx_unread);
    uint32_t total = left;

    while (left > 0) {
        struct pbuf *p = c->rx_head;

        if (left < p->len) {
            pbuf_remove_header(p, left);
            break;
        }
        left -= p->len;
        pop_front(c);
        pbuf_free(p);
    }
    open_window(c, total);
}

void pg_conn_discard(struct pg_conn *c)
{
    pg_conn_consume(c, c->rx_unread);
}

bool pg_conn_at_end(const struct pg_conn *c)
{
    return (c->flags & PG_CONN_END_SEEN) && c->rx_unread == 0;
}

bool pg_conn_end_seen(const struct pg_conn *c)
{
    return (c->flags & PG_CONN_END_SEEN) != 0;
}

uint64_t pg_conn_move(struct pg_conn *from, struct pg_conn *to, uint64_t len)
{
    uint32_t left = pg_min_u32(from->rx_unread, pg_conn_room(to));
    uint32_t moved = 0;

    if (len < left)
        left = (uint32_t)len;
    while (left > 0) {
        struct pbuf *p = from->rx_head;
        uint32_t n = pg_min_u32(p->len, left);

        pbuf_ref(p);
        if (pg_send_take(to, p, p->payload, n) != 0)
            break;
        if (n < p->len) {
            pbuf_remove_header(p, n);
        } else {
            pop_front(from);
            pbuf_free(p);
        }
        left -= n;
        moved += n;
    }
    open_window(from, moved);
    return moved;
}

/* ---- ending ---- */

void pg_conn_shutdown(struct pg_conn *c)
{
    c->flags |= PG_CONN_FIN_WANTED;
    pg_stack_todo(c);
}

static void release(struct pg_conn *c)
{
    c->flags |= PG_CONN_RELEASED;
    c->events = NULL;
    c->owner = NULL;
    c->pending = 0;
    pg_conn_discard(c);
    pg_stack_todo(c);
}

void pg_conn_close(struct pg_conn *c)
{
    c->flags |= PG_CONN_FIN_WANTED;
    release(c);
    c->state_due = pg_stack_now_ms(c->stack) + ORPHAN_MS;
}

void pg_conn_abort(struct pg_conn *c)
{
    c->flags |= PG_CONN_ABORT;
    release(c);
}
