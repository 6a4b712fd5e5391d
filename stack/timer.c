/* Every deadline of a connection, and the clock of its round trips.
 *
 * lwIP's own timers would visit all connections several times a second. Here a connection has one
 * timer on the wheel, armed for the earliest of its deadlines: retransmission, delayed ACK, probe
 * (tail loss, zero window), and the end of a state. Deadlines mostly move later, so an armed timer
 * is left alone and, when it fires early, is set anew: an ACK costs nothing, an idle connection has
 * no timer.
 *
 * Called by netif.c when the wheel turns, and by whoever changed a connection (pg_timer_update).
 * Time is now_us of the last call into the stack, nothing else, so virtual time works. */
#include "stack_internal.h"

#include <errno.h>
#include <stddef.h>

#define RTO_FLOOR_MS \
    200u /* RFC 6298 says 1 s; Linux' floor is what peers' delayed ACKs are tuned to */
#define RTO_CEILING_MS 30000u
#define RTO_MOST       12    /* unanswered retransmissions; about three minutes */
#define SYN_FIRST_MS   1000u /* RFC 6298 2.1 */
#define SYN_CEILING_MS \
    4000u /* 1, 2, 4, 4 ...: six tries in 23 s, for somebody waits for the answer */
#define SYN_MOST           6
#define DELAYED_ACK_MS     40
#define HALF_OPEN_MS       20000
#define FIN_WAIT_2_MS      20000 /* nobody reads any more; the peer has this long to close */
#define PERSIST_MOST       12    /* unanswered; answered ones go on, as long as the owner wants */
#define PERSIST_CEILING_MS 60000u

/* ---- round trip time, RFC 6298 ---- */

void pg_rtt_start(struct pg_conn *c, uint32_t seq)
{
    if (c->flags & PG_CONN_RTT_RUNS)
        return;
    c->flags |= PG_CONN_RTT_RUNS;
    c->rtt_seq = seq;
    c->rtt_from_us = c->stack->now_us;
}

void pg_rtt_cancel(struct pg_conn *c)
{
    c->flags &= (uint16_t)~PG_CONN_RTT_RUNS;
}

void pg_rtt_acked(struct pg_conn *c, uint32_t una)
{
    uint64_t elapsed = c->stack->now_us - c->rtt_from_us;
    uint32_t rtt = elapsed == 0 ? 1 : elapsed > 60000000 ? 60000000 : (uint32_t)elapsed;

    if (!(c->flags & PG_CONN_RTT_RUNS) || TCP_SEQ_LT(una, c->rtt_seq))
        return;
    pg_rtt_cancel(c);
    if (c->srtt_us == 0) {
        c->srtt_us = rtt;
        c->rttvar_us = rtt / 2;
    } else {
        uint32_t off = rtt > c->srtt_us ? rtt - c->srtt_us : c->srtt_us - rtt;

        c->rttvar_us = c->rttvar_us - c->rttvar_us / 4 + off / 4;
        c->srtt_us = pg_max_u32(c->srtt_us - c->srtt_us / 8 + rtt / 8, 1);
    }
}

static uint32_t doubled(uint32_t ms, uint32_t times, uint32_t ceiling)
{
    while (times-- > 0 && ms < ceiling)
        ms *= 2;
    return pg_min_u32(ms, ceiling);
}

uint32_t pg_rto_ms(const struct pg_conn *c)
{
    uint32_t ms;

    if (!(c->flags & PG_CONN_OPEN))
        return doubled(SYN_FIRST_MS, c->backoff, SYN_CEILING_MS);
    ms = c->srtt_us == 0 ? SYN_FIRST_MS : (c->srtt_us + 4 * c->rttvar_us + 999) / 1000;
    return doubled(pg_max_u32(ms, RTO_FLOOR_MS), c->backoff, RTO_CEILING_MS);
}

/* ---- deadlines ---- */

/* Bytes wait, nothing is in flight, and the peer has no room: only a probe will hear that it has
 * again. */
static bool window_is_shut(const struct pg_conn *c)
{
    return c->tx_queued > 0 && c->pcb->snd_wnd == 0 && c->pcb->unacked == NULL &&
           (c->flags & PG_CONN_OPEN);
}

static void set_due(uint64_t *due, bool wanted, uint64_t when)
{
    if (!wanted)
        *due = 0;
    else if (*due == 0)
        *due = when;
}

static void set_probe(struct pg_conn *c, uint64_t now)
{
    uint64_t in;

    if (window_is_shut(c)) {
        set_due(&c->probe_due, true, now + doubled(RTO_FLOOR_MS, c->probes, PERSIST_CEILING_MS));
        return;
    }
    in = pg_recovery_probe_in_ms(c);
    set_due(&c->probe_due, in != 0, now + in);
}

static void set_state_due(struct pg_conn *c, uint64_t now)
{
    uint64_t due;

    if (c->pcb->state == SYN_RCVD) {
        set_due(&c->state_due, true, now + HALF_OPEN_MS);
    } else if (c->pcb->state == FIN_WAIT_2 && (c->flags & PG_CONN_RELEASED)) {
        due = now + FIN_WAIT_2_MS;
        if (c->state_due == 0 || c->state_due > due)
            c->state_due = due;
    }
}

static void arm(struct pg_conn *c)
{
    const uint64_t dues[] = {c->rto_due, c->ack_due, c->probe_due, c->state_due};
    uint64_t next = UINT64_MAX;

    for (size_t i = 0; i < sizeof dues / sizeof dues[0]; i++)
        if (dues[i] != 0 && dues[i] < next)
            next = dues[i];
    if (next != UINT64_MAX && (!pg_timer_armed(&c->timer) || c->timer.due_ms > next))
        pg_wheel_arm(c->stack->wheel, &c->timer, next);
}

void pg_timer_update(struct pg_conn *c)
{
    uint64_t now = pg_stack_now_ms(c->stack);

    if (c->pcb == NULL) {
        pg_timer_stop(c);
        return;
    }
    set_due(&c->rto_due, c->pcb->unacked != NULL, now + pg_rto_ms(c));
    set_due(&c->ack_due, (c->pcb->flags & TF_ACK_DELAY) != 0, now + DELAYED_ACK_MS);
    set_probe(c, now);
    set_state_due(c, now);
    arm(c);
}

void pg_timer_stop(struct pg_conn *c)
{
    pg_wheel_cancel(c->stack->wheel, &c->timer);
    c->rto_due = c->ack_due = c->probe_due = c->state_due = 0;
}

/* ---- what is due ---- */

static void give_up(struct pg_conn *c, int error, bool reset)
{
    pg_conn_drop_pcb(c, reset);
    pg_conn_gone(c, error);
}

static void on_rto(struct pg_conn *c)
{
    bool open = (c->flags & PG_CONN_OPEN) != 0;

    c->rto_due = 0;
    if (c->backoff >= (open ? RTO_MOST : SYN_MOST)) {
        give_up(c, -ETIMEDOUT, false);
        return;
    }
    c->backoff++;
    c->stack->counters->value[PG_COUNT_TCP_RTO]++;
    pg_rtt_cancel(c);
    if (open) {
        pg_recovery_timeout(c);
    } else { /* a SYN or SYN|ACK, the only things lwIP sends again */
        c->retransmits++;
        c->stack->counters->value[PG_COUNT_TCP_RETRANSMITS]++;
        tcp_rexmit_rto(c->pcb);
    }
}

static void on_ack(struct pg_conn *c)
{
    c->ack_due = 0;
    if (c->pcb->flags & TF_ACK_DELAY) {
        tcp_ack_now(c->pcb);
        tcp_output(c->pcb);
    }
}

static void on_probe(struct pg_conn *c)
{
    c->probe_due = 0;
    if (!window_is_shut(c)) {
        pg_recovery_probe(c);
        return;
    }
    if (c->backoff >= PERSIST_MOST) {
        give_up(c, -ETIMEDOUT, true);
        return;
    }
    c->backoff++; /* until anything comes from the peer */
    if (c->probes < UINT8_MAX)
        c->probes++;       /* until the window opens */
    tcp_keepalive(c->pcb); /* a number the peer has already: it must answer with its window */
}

static bool is_due(uint64_t due, uint64_t now)
{
    return due != 0 && due <= now;
}

static void fire(struct pg_conn *c)
{
    uint64_t now = pg_stack_now_ms(c->stack);
    uint32_t before;

    /* Mostly what the timer was armed for has happened in time. Then only the deadlines are looked
     * at: the pcb of a connection that has been quiet since is out of the cache. */
    if (!is_due(c->state_due, now) && !is_due(c->ack_due, now) && !is_due(c->rto_due, now) &&
        !is_due(c->probe_due, now)) {
        arm(c);
        return;
    }
    before = pg_bucket_enter(c->bucket);
    if (is_due(c->state_due, now))
        give_up(c, -ETIMEDOUT, true);
    if (c->pcb != NULL && is_due(c->ack_due, now))
        on_ack(c);
    if (c->pcb != NULL && is_due(c->rto_due, now))
        on_rto(c);
    if (c->pcb != NULL && is_due(c->probe_due, now))
        on_probe(c);
    pg_bucket_leave(before);
    pg_timer_update(c);
}

void pg_timer_fire(void *stack, struct pg_timer *timer)
{
    struct pg_stack *s = stack;

    if (timer == &s->tw_timer)
        pg_time_wait_expire(s);
    else
        fire((struct pg_conn *)(void *)((uint8_t *)timer - offsetof(struct pg_conn, timer)));
}
