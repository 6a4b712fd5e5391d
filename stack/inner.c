/* Inner connections: the byte stream of conn.c without lwIP below, for layers like TLS.
 *
 * Above: an owner, by the functions of conn.c, which find no pcb and look here. Below: a layer in proxy/ that puts bytes on the queue of
 * received ones and takes them from the queue of those to send; both queues are conn.c's and send.c's own, so relaying by reference works the same.
 *
 * Nothing of a layer runs inside a call of the owner: what the owner did puts the connection on the list of the sweep, and that calls on_turn.
 * Always true: c->inner is NULL from pg_inner_end_all on, and then the sweep frees the connection as soon as its owner has let go. */
#include "stack_internal.h"

#include <errno.h>

#define GIVE_MOST 32768 /* bytes of one pbuf */

struct pg_conn *pg_inner_new(struct pg_conn *below, struct pg_inner *inner)
{
    struct pg_conn *c = pg_conn_new(below->stack, &below->tuple, below->label);

    if (c == NULL)
        return NULL;
    inner->below = below;
    c->inner = inner;
    c->flags |= PG_CONN_SHOWN | PG_CONN_OPEN;
    c->opened_us = below->opened_us;
    return c;
}

void *pg_inner_arg(const struct pg_conn *c, const struct pg_inner_layer *layer)
{
    return c != NULL && c->inner != NULL && c->inner->layer == layer ? c->inner->arg : NULL;
}

struct pg_conn *pg_inner_below(const struct pg_conn *c)
{
    return c->inner != NULL ? c->inner->below : NULL;
}

void pg_inner_set_labels(struct pg_conn *c, uint32_t label)
{
    for (; c != NULL; c = pg_inner_below(c))
        pg_conn_set_label(c, label);
}

/* ---- to the owner ---- */

int pg_inner_give(struct pg_conn *c, const void *bytes, uint32_t len)
{
    const uint8_t *at = bytes;

    while (len > 0) {
        uint32_t n = pg_min_u32(len, GIVE_MOST);
        struct pbuf *p = pbuf_alloc(PBUF_RAW, (u16_t)n, PBUF_RAM);

        if (p == NULL)
            return -ENOMEM;
        memcpy(p->payload, at, n);
        pg_conn_receive(c, p);
        at += n;
        len -= n;
    }
    if (c->flags & PG_CONN_RELEASED)
        pg_conn_discard(c);
    else
        pg_stack_event(c, PG_EVENT_READABLE);
    return 0;
}

void pg_inner_give_open(struct pg_conn *c)
{
    pg_stack_event(c, PG_EVENT_OPEN);
}

void pg_inner_give_end(struct pg_conn *c)
{
    c->flags |= PG_CONN_END_SEEN;
    pg_stack_event(c, PG_EVENT_READABLE);
}

void pg_inner_end_all(struct pg_conn *c, int error)
{
    c->inner = NULL;
    pg_send_drop(c);
    if (error != 0) {
        c->error = error;
        pg_stack_event(c, PG_EVENT_CLOSED);
    }
    pg_stack_todo(c);
}

/* ---- from the owner ---- */

uint32_t pg_inner_waiting(const struct pg_conn *c)
{
    return c->tx_held;
}

bool pg_inner_front(const struct pg_conn *c, struct pg_slice *ret)
{
    if (c->tx_held == 0)
        return false;
    ret->at = (const char *)c->tx_head->at + c->tx_head_done;
    ret->len = c->tx_head->len - c->tx_head_done;
    return true;
}

uint32_t pg_inner_peek(const struct pg_conn *c, void *out, uint32_t room)
{
    uint32_t done = 0;
    uint32_t skip = c->tx_head_done;

    for (const struct pg_piece *piece = c->tx_head; piece != NULL && done < room;
         piece = piece->next) {
        uint32_t n = pg_min_u32(piece->len - skip, room - done);

        memcpy((uint8_t *)out + done, piece->at + skip, n);
        done += n;
        skip = 0;
    }
    return done;
}

void pg_inner_take(struct pg_conn *c, uint32_t len)
{
    c->bytes_out += len;
    c->tx_queued -= len;
    pg_send_acked(c, len);
    pg_stack_event(c, PG_EVENT_WRITABLE);
}

bool pg_inner_shut(const struct pg_conn *c)
{
    return (c->flags & PG_CONN_FIN_WANTED) != 0;
}

bool pg_inner_released(const struct pg_conn *c)
{
    return (c->flags & PG_CONN_RELEASED) != 0;
}

bool pg_inner_aborted(const struct pg_conn *c)
{
    return (c->flags & PG_CONN_ABORT) != 0;
}
