/* Questions to upstream servers over TCP: a connection from the DNS address for each, one question, one answer with its length in front.
 *
 * Called by dns_answer.c for dns/forward_stream.c, which asks a second time like this when an answer was cut. Lives in app/ like dns_tcp.c, the
 * other direction: it joins the byte streams of stack/ and a forwarder that knows no packets. Its packets pass the hooks like any other. How long is waited
 * is the forwarder's business.
 *
 * Owns the connections, from a pool. Always true: whoever is told that one is over (reply, failure) does not stop it, and whoever stops it hears no more
 * of it. */
#include "path_internal.h"

#include <stdlib.h>
#include <string.h>

#define STREAMS   128
#define ANSWER    65535
#define QUERY     512 /* a name of 255 bytes, and EDNS */
#define NO_ANSWER UINT32_MAX

struct stream {
    struct pg_dns_upstreams *owner;
    struct pg_conn *conn;
    struct pg_dns_ticket ticket;
    uint32_t len;
    uint8_t message[2 + QUERY];
};

struct pg_dns_upstreams {
    struct pg_path *path;
    struct pg_pool *pool;
    uint8_t answer[ANSWER];
};

/* The entry goes first: what is told may ask anew. */
static void over(struct stream *s, uint32_t answer_len)
{
    struct pg_dns_upstreams *u = s->owner;
    struct pg_dns_ticket ticket = s->ticket;
    pg_pool_put(u->pool, pg_pool_index(u->pool, s));
    if (answer_len == NO_ANSWER) {
        pg_dns_forward_stream_failed(u->path->dns_forward, ticket);
    } else {
        pg_dns_forward_stream_reply(u->path->dns_forward, ticket, u->answer, answer_len);
    }
}

static void on_open(void *owner, struct pg_conn *c)
{
    struct stream *s = owner;
    if (pg_conn_write(c, s->message, s->len) != 0) {
        pg_conn_abort(c);
        over(s, NO_ANSWER);
    }
}

static void on_readable(void *owner, struct pg_conn *c)
{
    struct stream *s = owner;
    uint8_t prefix[2];
    bool begun = pg_conn_peek(c, 0, prefix, 2) == 2;
    uint32_t len = begun ? (uint32_t)(prefix[0] << 8 | prefix[1]) : 0;
    if (begun && pg_conn_unread(c) >= 2 + (uint64_t)len) {
        (void)pg_conn_peek(c, 2, s->owner->answer, len);
        pg_conn_consume(c, pg_conn_unread(c));
        pg_conn_close(c);
        over(s, len);
    } else if (pg_conn_end_seen(c)) {
        pg_conn_abort(c);
        over(s, NO_ANSWER);
    }
}

static void on_closed(void *owner, struct pg_conn *c, int error)
{
    (void)c;
    (void)error;
    over(owner, NO_ANSWER);
}

static const struct pg_conn_events upstream_events = {
    .on_open = on_open, .on_readable = on_readable, .on_closed = on_closed};

uint32_t pg_dns_upstreams_ask(struct pg_dns_upstreams *u, const struct pg_tuple *t, uint32_t label,
                              struct pg_dns_ticket ticket, const void *message, uint32_t len)
{
    uint32_t index = len <= QUERY ? pg_pool_get(u->pool) : PG_POOL_NONE;
    if (index == PG_POOL_NONE) {
        return PG_DNS_NO_STREAM;
    }
    struct stream *s = pg_pool_at(u->pool, index);
    *s = (struct stream){.owner = u, .ticket = ticket, .len = 2 + len};
    s->message[0] = (uint8_t)(len >> 8);
    s->message[1] = (uint8_t)len;
    memcpy(s->message + 2, message, len);
    s->conn = pg_conn_connect(u->path->stack, &t->src, 0, &t->dst, t->dst_port, label,
                              &upstream_events, s);
    if (s->conn == NULL) {
        pg_pool_put(u->pool, index);
        return PG_DNS_NO_STREAM;
    }
    return index;
}

void pg_dns_upstreams_stop(struct pg_dns_upstreams *u, uint32_t stream)
{
    struct stream *s = pg_pool_at(u->pool, stream);
    pg_conn_abort(s->conn);
    pg_pool_put(u->pool, stream);
}

struct pg_dns_upstreams *pg_dns_upstreams_new(struct pg_path *path)
{
    struct pg_dns_upstreams *u = calloc(1, sizeof *u);
    if (u == NULL) {
        return NULL;
    }
    u->path = path;
    u->pool = pg_pool_new("dns upstreams", sizeof(struct stream), STREAMS);
    if (u->pool == NULL) {
        free(u);
        return NULL;
    }
    return u;
}

void pg_dns_upstreams_free(struct pg_dns_upstreams *u)
{
    if (u != NULL) {
        pg_pool_free(u->pool);
        free(u);
    }
}
