/* See stack_world.h. The loop is the path's without NAT: packets, timers, sweep, in that order. */
#include "stack_world.h"

#include "podglass/checksum.h"
#include "podglass/log.h"

#include <stdlib.h>
#include <string.h>

struct flight {
    struct flight *next;
    struct pg_buf *buf;
    enum pg_csum csum;
    uint16_t gso_size;
    uint32_t label;
    uint64_t due_us;
};

uint8_t stream_byte(uint64_t at)
{
    return (uint8_t)(at * 131 + (at >> 8) * 17 + (at >> 16));
}

/* ---- the wire ---- */

static void put16(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 8);
    at[1] = (uint8_t)v;
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void gather(const struct pg_packet *p, uint8_t *out)
{
    memcpy(out, p->head, p->head_len);
    out += p->head_len;
    for (uint32_t i = 0; i < p->tail_count; i++) {
        memcpy(out, p->tail[i].iov_base, p->tail[i].iov_len);
        out += p->tail[i].iov_len;
    }
}

static void launch(struct stack_world *w, struct pg_buf *buf, uint16_t gso_size, uint32_t label)
{
    struct flight *f = calloc(1, sizeof *f);

    PG_ASSERT(f != NULL);
    f->buf = buf;
    f->csum = PG_CSUM_PARTIAL;
    f->gso_size = gso_size;
    f->label = label;
    f->due_us = w->now_us + w->delay_us;
    if (w->last != NULL)
        w->last->next = f;
    else
        w->first = f;
    w->last = f;
}

static struct pg_buf *new_buf(struct stack_world *w, uint32_t len)
{
    struct pg_buf *buf = pg_buf_get(w->buffers);

    PG_ASSERT(buf != NULL && len <= PG_BUF_BYTES);
    buf->start = PG_BUF_HEADROOM;
    buf->len = len;
    return buf;
}

/* The device's work on a super-segment: bytes [from, to) of the payload as a packet of their
 * own. */
static void cut(struct stack_world *w, const struct pg_packet *p, const uint8_t *whole,
                uint32_t from, uint32_t to)
{
    struct pg_buf *buf = new_buf(w, p->payload_offset + to - from);
    uint8_t *at = buf->bytes + buf->start;
    uint8_t *tcp = at + p->l4_offset;
    uint32_t seq;
    uint16_t sum;

    memcpy(at, whole, p->payload_offset);
    memcpy(at + p->payload_offset, whole + p->payload_offset + from, to - from);
    seq = get32(tcp + 4) + from;
    put16(tcp + 4, seq >> 16);
    put16(tcp + 6, seq);
    if (p->payload_offset + to < p->len)
        tcp[13] &= (uint8_t) ~(PG_TCP_FIN | PG_TCP_PSH);
    if (p->ip_version == 4) {
        put16(at + 2, buf->len);
        put16(at + 10, 0);
        sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, at, 20));
        memcpy(at + 10, &sum, 2);
    } else {
        put16(at + 4, buf->len - 40);
    }
    sum = pg_sum_fold(
        pg_sum_pseudo(&p->tuple.src, &p->tuple.dst, PG_PROTO_TCP, buf->len - p->l4_offset));
    memcpy(tcp + 16, &sum, 2);
    launch(w, buf, 0, p->label);
}

static bool lost(struct stack_world *w)
{
    return w->loss > 0 && pg_random_below(&w->dice, 10000) < w->loss;
}

static void on_output(void *arg, struct pg_packet *p)
{
    struct stack_world *w = arg;
    uint32_t payload = p->len - p->payload_offset;
    static uint8_t whole[70000];

    w->packets++;
    if (p->len > w->biggest)
        w->biggest = p->len;
    PG_ASSERT(p->len <= 65535 && p->head_len >= p->payload_offset);
    PG_ASSERT(p->label != 0 ||
              (p->tcp_flags & PG_TCP_RST)); /* a stray's reset has the stray's label */
    PG_ASSERT(p->gso_size == 0 || p->gso_size < payload);
    if (w->look != NULL && !w->look(w->look_arg, p))
        return;
    gather(p, whole);
    if (w->loss == 0 || p->gso_size == 0) {
        struct pg_buf *buf;

        if (lost(w))
            return;
        buf = new_buf(w, p->len);
        memcpy(buf->bytes + buf->start, whole, p->len);
        launch(w, buf, p->gso_size, p->label);
        return;
    }
    for (uint32_t from = 0; from < payload; from += p->gso_size)
        if (!lost(w))
            cut(w, p, whole, from, from + p->gso_size < payload ? from + p->gso_size : payload);
}

static enum pg_drop arrive(struct stack_world *w, struct pg_buf *buf, enum pg_csum csum,
                           uint16_t gso_size, uint32_t label)
{
    struct pg_packet p;
    enum pg_drop drop;

    memset(&p, 0, sizeof p);
    p.head = buf->bytes + buf->start;
    p.head_len = p.len = buf->len;
    p.csum = csum;
    p.gso_size = gso_size;
    p.label = label;
    p.buf = buf;
    if (!pg_packet_parse(&p, &drop)) {
        pg_buf_put(buf);
        w->counters.drop[drop]++;
        return drop;
    }
    drop = pg_netif_input(w->stack, &p, w->now_us);
    w->counters.drop[drop]++;
    pg_buf_put(p.buf);
    return drop;
}

enum pg_drop world_inject(struct stack_world *w, const void *ip_packet, uint32_t len)
{
    struct pg_buf *buf = new_buf(w, len);

    memcpy(buf->bytes + buf->start, ip_packet, len);
    return arrive(w, buf, PG_CSUM_VERIFIED, 0, 0);
}

static bool take_one(struct stack_world *w)
{
    struct flight *f = w->first;

    if (f == NULL || f->due_us > w->now_us)
        return false;
    w->first = f->next;
    if (w->first == NULL)
        w->last = NULL;
    if (w->deaf)
        pg_buf_put(f->buf);
    else
        arrive(w, f->buf, f->csum, f->gso_size, f->label);
    free(f);
    return true;
}

/* ---- the loop ---- */

void world_run_until(struct stack_world *w, uint64_t for_us, const bool *stop)
{
    uint64_t end = w->now_us + for_us;

    for (;;) {
        uint64_t next;

        for (int i = 0; i < 64 && take_one(w); i++)
            ;
        pg_stack_advance(w->stack, w->now_us);
        while (pg_stack_sweep(w->stack, w->now_us))
            ;
        if (stop != NULL && *stop)
            return;
        if (w->first != NULL && w->first->due_us <= w->now_us)
            continue;
        next = pg_stack_next_due_us(w->stack);
        if (w->first != NULL && w->first->due_us < next)
            next = w->first->due_us;
        if (next > end)
            break;
        if (next > w->now_us)
            w->now_us = next;
    }
    w->now_us = end;
    pg_stack_advance(w->stack, w->now_us);
    while (pg_stack_sweep(w->stack, w->now_us))
        ;
}

void world_run(struct stack_world *w, uint64_t for_us)
{
    world_run_until(w, for_us, NULL);
}

static const struct pg_listener *on_listener(void *arg, const struct pg_tuple *tuple)
{
    struct stack_world *w = arg;

    if (tuple->dst_port == 8080 && w->refuse > 0) {
        w->refuse--;
        return NULL;
    }
    if (tuple->dst_port == 8080 && w->upstream.on_accept != NULL)
        return &w->upstream;
    return w->listening ? &w->listener : NULL;
}

static uint32_t on_label(void *arg, const struct pg_tuple *tuple)
{
    (void)arg;
    (void)tuple;
    return 77;
}

void world_open(struct stack_world *w, const struct pg_stack_options *options)
{
    memset(w, 0, sizeof *w);
    w->now_us = 5 * SECOND_US;
    w->listening = true;
    pg_random_seed(&w->random, 1);
    pg_random_seed(&w->dice, 2);
    w->trace = pg_trace_new(1024);
    w->buffers = pg_buf_pool_new(20000);
    if (options != NULL)
        w->options = *options;
    w->options.output = on_output;
    w->options.listener = on_listener;
    w->options.label_of = on_label;
    w->options.arg = w;
    w->stack = pg_stack_new(&w->options, &w->counters, w->trace, &w->random, w->now_us);
    PG_ASSERT(w->stack != NULL && w->trace != NULL && w->buffers != NULL);
}

void world_close(struct stack_world *w)
{
    w->look = NULL; /* what it looks at may be gone with the test's function */
    pg_stack_free(w->stack);
    while (w->first != NULL) {
        struct flight *f = w->first;

        w->first = f->next;
        pg_buf_put(f->buf);
        free(f);
    }
    PG_ASSERT(pg_buf_pool_used(w->buffers) == 0);
    pg_buf_pool_free(w->buffers);
    pg_trace_free(w->trace);
}

/* ---- ends ---- */

static void read_and_check(struct end *e)
{
    struct pg_slice s;

    while (!e->stalls && pg_conn_front(e->conn, &s)) {
        for (size_t i = 0; i < s.len; i++)
            if ((uint8_t)s.at[i] != stream_byte(e->received + i))
                e->wrong = true;
        e->received += s.len;
        pg_conn_consume(e->conn, s.len);
    }
    if (pg_conn_at_end(e->conn))
        e->ended = true;
}

static void write_some(struct end *e)
{
    static uint8_t chunk[10000];

    while (e->to_send > 0) {
        uint32_t n = pg_conn_room(e->conn);

        if (n > sizeof chunk)
            n = sizeof chunk;
        if (n > e->to_send)
            n = (uint32_t)e->to_send;
        if (n == 0)
            return;
        for (uint32_t i = 0; i < n; i++)
            chunk[i] = stream_byte(e->sent + i);
        if (pg_conn_write(e->conn, chunk, n) != 0)
            return;
        e->sent += n;
        e->to_send -= n;
    }
    if (e->shuts_down) {
        e->shuts_down = false;
        pg_conn_shutdown(e->conn);
    }
}

static void pass_on(struct end *e, struct end *to)
{
    e->received += pg_conn_move(e->conn, to->conn, UINT64_MAX);
    if (pg_conn_at_end(e->conn) && !e->ended) {
        e->ended = true;
        pg_conn_shutdown(to->conn);
    }
}

void end_pump(struct end *e)
{
    if (e->conn == NULL || e->closed)
        return;
    if (e->relay != NULL && e->relay->conn != NULL && e->relay->opened)
        pass_on(e, e->relay);
    else if (e->echoes)
        pass_on(e, e);
    else if (e->relay == NULL)
        read_and_check(e);
    if (e->opened)
        write_some(e);
}

static void on_open(void *owner, struct pg_conn *c)
{
    struct end *e = owner;

    PG_ASSERT(e->conn == c);
    e->opened = true;
    end_pump(e);
    if (e->relay != NULL)
        end_pump(e->relay);
}

static void on_readable(void *owner, struct pg_conn *c)
{
    struct end *e = owner;

    PG_ASSERT(e->conn == c);
    end_pump(e);
}

static void on_writable(void *owner, struct pg_conn *c)
{
    struct end *e = owner;

    PG_ASSERT(e->conn == c);
    end_pump(e);
    if (e->relay != NULL)
        end_pump(e->relay);
}

static void on_closed(void *owner, struct pg_conn *c, int error)
{
    struct end *e = owner;

    PG_ASSERT(e->conn == c && !e->closed);
    e->closed = true;
    e->error = error;
    e->conn = NULL;
}

static const struct pg_conn_events end_events = {on_open, on_readable, on_writable, on_closed};

void end_connect(struct stack_world *w, struct end *e, struct pg_addr local, struct pg_addr peer,
                 uint16_t port)
{
    e->conn = pg_conn_connect(w->stack, &local, 0, &peer, port, 0, &end_events, e);
    PG_ASSERT(e->conn != NULL);
}

void end_accept(void *end, struct pg_conn *c)
{
    struct end *e = end;

    e->conn = c;
    e->opened = true;
    pg_conn_own(c, &end_events, e);
    end_pump(e);
}
