/* What a connection looks like from outside: for `get connections`, the connections table and the
 * records.
 *
 * Called by the owner and by whoever dumps; reads only. States have ss's names, because users know
 * them. */
#include "stack_internal.h"

#include <assert.h>

static const char *const state_names[] = {"CLOSED",  "LISTEN",     "SYN-SENT",   "SYN-RECV",
                                          "ESTAB",   "FIN-WAIT-1", "FIN-WAIT-2", "CLOSE-WAIT",
                                          "CLOSING", "LAST-ACK",   "TIME-WAIT"};
static_assert(sizeof state_names / sizeof state_names[0] == TIME_WAIT + 1,
              "one name for each of lwIP's states");

void pg_conn_look(const struct pg_conn *c, struct pg_conn_view *ret)
{
    if (c->inner != NULL) { /* the wire's numbers are what a user can compare */
        pg_conn_look(c->inner->below, ret);
        ret->label = c->label;
        return;
    }
    *ret = (struct pg_conn_view){
        .local = c->tuple.dst,
        .peer = c->tuple.src,
        .local_port = c->tuple.dst_port,
        .peer_port = c->tuple.src_port,
        .state = state_names[c->pcb != NULL ? c->pcb->state : CLOSED],
        .label = c->label,
        .rtt_us = c->srtt_us,
        .retransmits = c->retransmits,
        .bytes_in = c->bytes_in,
        .bytes_out = c->bytes_out,
        .cwnd = c->window,
        .mss = c->mss,
        .opened_us = c->opened_us,
    };
}

uint32_t pg_conn_label(const struct pg_conn *c)
{
    return c->label;
}

void pg_conn_set_label(struct pg_conn *c, uint32_t label)
{
    c->label = label;
}

struct pg_addr pg_conn_peer(const struct pg_conn *c, uint16_t *ret_port)
{
    if (ret_port != NULL)
        *ret_port = c->tuple.src_port;
    return c->tuple.src;
}

struct pg_addr pg_conn_local(const struct pg_conn *c, uint16_t *ret_port)
{
    if (ret_port != NULL)
        *ret_port = c->tuple.dst_port;
    return c->tuple.dst;
}
