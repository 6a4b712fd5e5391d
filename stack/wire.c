/* The in-process wire: a link without a kernel.
 *
 * For tier 1 and for tests. What the path sends is kept, with its checksums completed as a device
 * would, until a test collects it; nobody need do so, then the oldest is forgotten. What a test
 * injects is what the path receives next.
 *
 * Owns the packets on it, as buffers of the pool it was given. */
#include "link_internal.h"

#include "podglass/checksum.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SENT_MOST 256

struct queue {
    struct pg_buf *first;
    struct pg_buf *last;
    uint32_t count;
};

struct wire {
    struct pg_link link;
    struct pg_buf_pool *pool;
    struct queue to_path;
    struct queue sent;
};

static void add(struct queue *q, struct pg_buf *b)
{
    b->next = NULL;
    if (q->last != NULL)
        q->last->next = b;
    else
        q->first = b;
    q->last = b;
    q->count++;
}

static struct pg_buf *take(struct queue *q)
{
    struct pg_buf *b = q->first;

    if (b == NULL)
        return NULL;
    q->first = b->next;
    if (q->first == NULL)
        q->last = NULL;
    q->count--;
    b->next = NULL;
    return b;
}

static struct pg_buf *new_buf(struct wire *w, uint32_t len)
{
    struct pg_buf *b = len <= PG_BUF_BYTES ? pg_buf_get(w->pool) : NULL;

    if (b == NULL)
        return NULL;
    b->start = PG_BUF_HEADROOM;
    b->len = len;
    return b;
}

static int rx(struct pg_link *l, struct pg_buf_pool *pool, struct pg_packet *ret,
              enum pg_drop *ret_drop)
{
    struct wire *w = (struct wire *)l;
    struct pg_buf *b = take(&w->to_path);

    (void)pool;
    (void)ret_drop;
    if (b == NULL)
        return 0;
    memset(ret, 0, sizeof *ret);
    ret->head = b->bytes + b->start;
    ret->head_len = ret->len = b->len;
    ret->csum = PG_CSUM_FULL;
    ret->entry_node = PG_NODE_NONE;
    ret->buf = b;
    return 1;
}

/* A partial sum becomes a full one, over the whole packet. */
static void complete_sum(const struct pg_packet *p, uint8_t *bytes)
{
    uint32_t at = p->l4_offset + (p->proto == PG_PROTO_UDP ? 6u : 16u);
    uint16_t sum;

    /* The field itself holds the pseudo header's sum, so summing all of the segment adds it. */
    sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, bytes + p->l4_offset, p->len - p->l4_offset));
    if (sum == 0 && p->proto == PG_PROTO_UDP)
        sum = 0xffff;
    memcpy(bytes + at, &sum, sizeof sum);
}

static enum pg_drop tx(struct pg_link *l, const struct pg_packet *p)
{
    struct wire *w = (struct wire *)l;
    struct pg_buf *b;
    uint8_t *at;

    if (w->sent.count >= SENT_MOST)
        pg_buf_put(take(&w->sent));
    b = new_buf(w, p->len);
    if (b == NULL)
        return PG_DROP_NO_BUFFER;
    at = b->bytes + b->start;
    memcpy(at, p->head, p->head_len);
    at += p->head_len;
    for (uint32_t i = 0; i < p->tail_count; i++) {
        memcpy(at, p->tail[i].iov_base, p->tail[i].iov_len);
        at += p->tail[i].iov_len;
    }
    if (p->csum == PG_CSUM_PARTIAL)
        complete_sum(p, b->bytes + b->start);
    add(&w->sent, b);
    return PG_DROP_NONE;
}

static void close_wire(struct pg_link *l)
{
    struct wire *w = (struct wire *)l;

    while (w->to_path.count > 0)
        pg_buf_put(take(&w->to_path));
    while (w->sent.count > 0)
        pg_buf_put(take(&w->sent));
    free(w);
}

static const struct pg_link_form wire_form = {rx, tx, NULL, close_wire};

struct pg_link *pg_wire_new(uint16_t mtu, struct pg_buf_pool *pool)
{
    struct wire *w = calloc(1, sizeof *w);

    if (w == NULL)
        return NULL;
    w->link.form = &wire_form;
    w->link.mtu = mtu;
    w->link.fd = -1;
    w->pool = pool;
    snprintf(w->link.name, sizeof w->link.name, "wire");
    return &w->link;
}

int pg_wire_inject(struct pg_link *l, const void *ip_packet, uint32_t len)
{
    struct wire *w = (struct wire *)l;
    struct pg_buf *b = new_buf(w, len);

    if (b == NULL)
        return -ENOBUFS;
    memcpy(b->bytes + b->start, ip_packet, len);
    add(&w->to_path, b);
    return 0;
}

uint32_t pg_wire_collect(struct pg_link *l, void *out, uint32_t room)
{
    struct wire *w = (struct wire *)l;
    struct pg_buf *b = w->sent.first;
    uint32_t len;

    if (b == NULL || b->len > room)
        return 0;
    len = b->len;
    memcpy(out, b->bytes + b->start, len);
    pg_buf_put(take(&w->sent));
    return len;
}
