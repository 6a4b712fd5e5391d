/* The turn of the loop: owners hear what happened, and what they asked for is done.
 *
 * Nothing of an owner runs inside lwIP. What lwIP calls back about is noted on the connection as an
 * event, which its owner hears when lwIP has returned (pg_stack_deliver: at the end of
 * pg_netif_input, pg_stack_advance and pg_stack_sweep). What owners write, close or abort is noted
 * too, and done by the sweep at the end of the turn: one packet for all that was written, and no
 * pointer goes stale in anybody's hands.
 *
 * Called by the spine; calls owners, send.c and timer.c. Always true: a connection is freed by the
 * sweep and nowhere else, when lwIP has let go of its pcb and its owner has let go of it. */
#include "stack_internal.h"

void pg_stack_todo(struct pg_conn *c)
{
    struct pg_conn_list *list = &c->stack->todo;

    if (c->flags & PG_CONN_TODO)
        return;
    c->flags |= PG_CONN_TODO;
    c->next_todo = NULL;
    if (list->tail != NULL)
        list->tail->next_todo = c;
    else
        list->head = c;
    list->tail = c;
}

void pg_stack_event(struct pg_conn *c, uint8_t event)
{
    struct pg_conn_list *list = &c->stack->ready;

    if (c->flags & PG_CONN_RELEASED)
        return;
    c->pending |= event;
    if (c->flags & PG_CONN_READY)
        return;
    c->flags |= PG_CONN_READY;
    c->next_ready = NULL;
    if (list->tail != NULL)
        list->tail->next_ready = c;
    else
        list->head = c;
    list->tail = c;
}

/* The handshake of c is complete: somebody takes it, or it is reset. */
static void tell_accept(struct pg_stack *s, struct pg_conn *c)
{
    const struct pg_listener *l = NULL;

    if (!(c->pending & PG_EVENT_CLOSED)) /* asked again: whoever listened at the SYN may be gone */
        l = s->options.listener(s->options.arg, &c->tuple);
    if (l != NULL) {
        c->flags |= PG_CONN_SHOWN;
        l->on_accept(l->arg, c);
    }
    if (c->events == NULL && !(c->flags & PG_CONN_RELEASED))
        pg_conn_abort(c);
}

static void tell_owner(struct pg_conn *c, uint8_t event)
{
    static const struct pg_conn_events none;
    const struct pg_conn_events *e = c->events != NULL ? c->events : &none;
    void *owner = c->owner;

    if (c->flags & PG_CONN_RELEASED) /* by the owner, in the callback before */
        return;
    if (event == PG_EVENT_OPEN && e->on_open != NULL)
        e->on_open(owner, c);
    else if (event == PG_EVENT_READABLE && e->on_readable != NULL)
        e->on_readable(owner, c);
    else if (event == PG_EVENT_WRITABLE && e->on_writable != NULL)
        e->on_writable(owner, c);
    if (event == PG_EVENT_CLOSED) {
        int error = c->error;

        pg_conn_abort(c); /* nothing is left to reset: this releases it */
        if (e->on_closed != NULL)
            e->on_closed(owner, c, error);
    }
}

bool pg_stack_deliver(struct pg_stack *s)
{
    bool any = false;

    while (s->ready.head != NULL) {
        struct pg_conn *c = s->ready.head;
        uint8_t pending = c->pending;

        s->ready.head = c->next_ready;
        if (s->ready.head == NULL)
            s->ready.tail = NULL;
        c->flags &= (uint16_t)~PG_CONN_READY;
        any = true;
        if (pending & PG_EVENT_ACCEPT)
            tell_accept(s, c);
        c->pending = 0;
        for (uint8_t event = PG_EVENT_OPEN; event <= PG_EVENT_CLOSED; event = (uint8_t)(event << 1))
            if (pending & event)
                tell_owner(c, event);
    }
    return any;
}

/* Does for one connection what was put off: send, close, abort, free. It counts as listed until the
 * end, so that what lwIP calls back on the way does not list it again. */
static void settle(struct pg_conn *c)
{
    bool give_up =
        (c->flags & PG_CONN_ABORT) || ((c->flags & PG_CONN_RELEASED) && !(c->flags & PG_CONN_OPEN));
    uint32_t before;

    if (give_up)
        pg_conn_drop_pcb(c, true);
    if (c->pcb != NULL) {
        before = pg_bucket_enter(c->bucket);
        pg_send_fill(c);
        if (c->pcb->flags & TF_ACK_NOW)
            tcp_output(c->pcb);
        pg_bucket_leave(before);
        pg_timer_update(c);
    }
    c->flags &= (uint16_t)~PG_CONN_TODO;
    if (c->inner != NULL) {
        c->inner->layer->on_turn(c->inner->arg, c);
        return; /* a layer that has let go has listed it again */
    }
    if (c->pcb == NULL && ((c->flags & PG_CONN_RELEASED) || !(c->flags & PG_CONN_SHOWN)))
        pg_conn_free(c);
}

bool pg_stack_sweep(struct pg_stack *s, uint64_t now_us)
{
    struct pg_conn *c;
    bool any;

    pg_stack_set_time(s, now_us);
    any = pg_stack_deliver(s);
    c = s->todo.head;
    s->todo.head = s->todo.tail = NULL;
    while (c != NULL) {
        struct pg_conn *next = c->next_todo;

        settle(c);
        any = true;
        c = next;
    }
    return any;
}

void pg_conn_push(struct pg_conn *c)
{
    uint32_t before;

    if (c->pcb == NULL || (c->flags & PG_CONN_ABORT))
        return;
    before = pg_bucket_enter(c->bucket);
    pg_send_fill(c);
    pg_bucket_leave(before);
    pg_timer_update(c);
}

void pg_stack_advance(struct pg_stack *s, uint64_t now_us)
{
    pg_stack_set_time(s, now_us);
    pg_wheel_advance(s->wheel, pg_stack_now_ms(s), pg_timer_fire, s);
    pg_stack_deliver(s);
}
