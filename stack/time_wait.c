/* Connections that are over and may not be forgotten yet.
 *
 * The end that closed first waits 60 seconds, so that a late segment of the old connection cannot
 * be taken for one of a new connection with the same numbers (RFC 9293 3.4.2). When lwIP moves a
 * pcb to TIME_WAIT, netif.c calls pg_time_wait_take: the connection loses its pcb, and the pcb goes
 * to the end of one queue, which is in order of due time because all wait equally long. A new SYN
 * ends the wait early (filter.c), and so does a full table: the oldest goes first. */
#include "stack_internal.h"

#include "podglass/log.h"

#define WAIT_MS 60000 /* 2 * MSL, with Linux's idea of MSL */

static void on_destroy(u8_t id, void *data)
{
    LWIP_UNUSED_ARG(id);
    LWIP_UNUSED_ARG(data); /* pg_time_wait_end unlinks it before the pcb is freed */
}

static const struct tcp_ext_arg_callbacks time_wait_callbacks = {on_destroy, NULL};

static struct pg_time_wait *of_pcb(const struct tcp_pcb *pcb)
{
    PG_ASSERT(pcb->ext_args[0].callbacks == &time_wait_callbacks);
    return pcb->ext_args[0].data;
}

static void arm(struct pg_stack *s)
{
    if (s->tw_first == NULL)
        pg_wheel_cancel(s->wheel, &s->tw_timer);
    else if (!pg_timer_armed(&s->tw_timer) || s->tw_timer.due_ms > s->tw_first->due_ms)
        pg_wheel_arm(s->wheel, &s->tw_timer, s->tw_first->due_ms);
}

static void append(struct pg_stack *s, struct pg_time_wait *w)
{
    w->due_ms = pg_stack_now_ms(s) + WAIT_MS;
    w->next = NULL;
    w->prev = s->tw_last;
    if (s->tw_last != NULL)
        s->tw_last->next = w;
    else
        s->tw_first = w;
    s->tw_last = w;
    arm(s);
}

static void unlink_entry(struct pg_stack *s, struct pg_time_wait *w)
{
    if (w->prev != NULL)
        w->prev->next = w->next;
    else
        s->tw_first = w->next;
    if (w->next != NULL)
        w->next->prev = w->prev;
    else
        s->tw_last = w->prev;
}

void pg_time_wait_take(struct pg_conn *c)
{
    struct pg_stack *s = c->stack;
    struct tcp_pcb *pcb = c->pcb;
    struct pg_time_wait *w;
    uint32_t index;

    PG_ASSERT(pcb->state == TIME_WAIT);
    index = pg_pool_get(s->time_waits);
    if (index == PG_POOL_NONE) {
        pg_time_wait_end(s, s->tw_first->pcb);
        index = pg_pool_get(s->time_waits);
    }
    w = pg_pool_at(s->time_waits, index);
    w->pcb = pcb;
    w->bucket = c->bucket;
    w->label = c->label;
    c->pcb = NULL;
    pcb->callback_arg = NULL;
    tcp_ext_arg_set_callbacks(pcb, 0, &time_wait_callbacks);
    tcp_ext_arg_set(pcb, 0, w);
    tcp_recv(pcb, NULL);
    tcp_sent(pcb, NULL);
    tcp_err(pcb, NULL);
    append(s, w);
}

void pg_time_wait_end(struct pg_stack *s, struct tcp_pcb *pcb)
{
    struct pg_time_wait *w = of_pcb(pcb);
    uint32_t before = pg_bucket_enter(w->bucket);

    tcp_abandon(pcb, 0); /* in TIME_WAIT: takes it off its list and frees it, nothing is sent */
    pg_bucket_leave(before);
    unlink_entry(s, w);
    pg_pool_put(s->time_waits, pg_pool_index(s->time_waits, w));
    arm(s);
}

void pg_time_wait_again(struct pg_stack *s, struct tcp_pcb *pcb)
{
    struct pg_time_wait *w = of_pcb(pcb);

    unlink_entry(s, w);
    append(s, w);
}

void pg_time_wait_expire(struct pg_stack *s)
{
    while (s->tw_first != NULL && s->tw_first->due_ms <= pg_stack_now_ms(s))
        pg_time_wait_end(s, s->tw_first->pcb);
    arm(s);
}

uint32_t pg_time_wait_label(const struct tcp_pcb *pcb)
{
    return of_pcb(pcb)->label;
}
