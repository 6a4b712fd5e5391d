/* The second asking: a server's answer was cut for a datagram, and is asked for whole, over TCP.
 *
 *   cut answer ─► a client that came by TCP? ─► the same question on a connection of its own ─► reply: the right one? ─► cache, answer
 *                  └ by UDP: it gets the cut one, and comes back by TCP if it wants more      └ refused, ended, 2 s ─► another server
 *
 * Called by forward.c, and by app/dns_upstream.c for what comes of a connection. The connection has a port of its own and the question
 * a new id, so what was seen of the datagram helps nobody. Always true: a question has a stream only while it waits for
 * it, and leaves it (pg_dns_stop_stream) before it ends or goes to another server. */
#include "forward_internal.h"

static struct pg_dns_ticket ticket_of(const struct pg_dns_forward *f,
                                      const struct pg_dns_waiting *w)
{
    uint32_t index = pg_pool_index(f->waiting, w);

    return (struct pg_dns_ticket){.index = index,
                                  .generation = pg_pool_generation(f->waiting, index)};
}

void pg_dns_stop_stream(struct pg_dns_forward *f, struct pg_dns_waiting *w)
{
    uint32_t stream = w->stream;

    if (stream != PG_DNS_NO_STREAM) {
        w->stream = PG_DNS_NO_STREAM;
        f->o.stop_stream(f->o.arg, stream);
    }
}

bool pg_dns_ask_over_tcp(struct pg_dns_forward *f, struct pg_dns_waiting *w, const uint8_t *m)
{
    uint8_t message[PG_DNS_QUERY_MOST];
    struct pg_dns_server *s = &f->servers[w->server];
    struct pg_tuple t = pg_dns_tuple_to(f, s, 0);

    if (!(m[2] & 0x02) || !w->client.over_tcp || w->port == 0) {
        return false; /* whole, or cut for somebody who wants it so, or cut over TCP: no more is to be had */
    }
    t.proto = PG_PROTO_TCP;
    w->id = (uint16_t)pg_random_u64(f->o.random);
    uint32_t len = pg_dns_query_write(w->id, w->name, &w->q, message);

    w->stream = f->o.ask_stream(f->o.arg, &t, w->client.label, ticket_of(f, w), message, len);
    if (w->stream == PG_DNS_NO_STREAM) {
        pg_dns_count(f, PG_COUNT_DNS_TCP_BUSY);
        return false;
    }
    pg_dns_give_port_back(f, &w->port);
    pg_dns_wait(f, w);
    pg_dns_count(f, PG_COUNT_DNS_FORWARDED_TCP);
    pg_dns_tell(f, w, f->cut, "", &s->at.addr);
    return true;
}

/* NULL: it has ended meanwhile, or asks somebody else. */
static struct pg_dns_waiting *waiting_of(struct pg_dns_forward *f, struct pg_dns_ticket ticket)
{
    if (pg_pool_generation(f->waiting, ticket.index) != ticket.generation) {
        return NULL;
    }
    struct pg_dns_waiting *w = pg_pool_at(f->waiting, ticket.index);
    bool waits = w->stream != PG_DNS_NO_STREAM;

    w->stream = PG_DNS_NO_STREAM;
    return waits ? w : NULL;
}

void pg_dns_forward_stream_reply(struct pg_dns_forward *f, struct pg_dns_ticket ticket,
                                 const void *message, uint32_t len)
{
    const uint8_t *m = message;
    struct pg_dns_waiting *w = waiting_of(f, ticket);

    if (!w) {
        return;
    }
    if (w->server >= f->server_count || len < PG_DNS_HEADER || !(m[2] & 0x80) ||
        (m[0] << 8 | m[1]) != w->id) {
        pg_dns_count(f, PG_COUNT_DNS_REPLIES_DROPPED);
        pg_dns_try_another(f, w);
        return;
    }
    pg_dns_take_answer(f, w, m, len);
}

void pg_dns_forward_stream_failed(struct pg_dns_forward *f, struct pg_dns_ticket ticket)
{
    struct pg_dns_waiting *w = waiting_of(f, ticket);

    if (w) {
        pg_dns_try_another(f, w);
    }
}
