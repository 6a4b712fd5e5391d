/* DNS over TCP (RFC 7766): questions with a two-byte length in front, answered on the same connection; what is the cluster's own in order, what
 * has to be asked of somebody else when the answer is there.
 *
 * Lives in app/ because it joins two folders that do not know each other: the byte streams of stack/ and the zone of dns/. Connections come from a pool; one
 * that says nothing, or does not take its answers, is closed after ten seconds (idle.c). */
#include "path_internal.h"

#include <stdlib.h>
#include <string.h>

#define DNS_TCP_CONNS  256
#define DNS_TCP_QUERY  1024 /* names end at 255 bytes; options may add some */
#define DNS_TCP_ANSWER 65535

struct dns_conn {
    struct pg_idle_conn idle; /* first */
    struct pg_dns_tcp *owner;
    uint32_t asked; /* questions whose answers are not there yet */
};

struct pg_dns_tcp {
    struct pg_path *path;
    struct pg_pool *pool;
    struct pg_listener listener;
    uint8_t answer[2 + DNS_TCP_ANSWER];
};

static void let_go(struct dns_conn *d)
{
    pg_idle_end(d->owner->path, &d->idle);
}

enum progress { ANSWERED, WAITING, OVER };

static enum progress give_up(struct dns_conn *d)
{
    pg_conn_abort(d->idle.conn);
    let_go(d);
    return OVER;
}

static bool write_answer(struct dns_conn *d, uint32_t len)
{
    struct pg_dns_tcp *t = d->owner;
    t->answer[0] = (uint8_t)(len >> 8);
    t->answer[1] = (uint8_t)len;
    return pg_conn_write(d->idle.conn, t->answer, 2 + len) == 0;
}

static struct pg_dns_client client_of(const struct dns_conn *d)
{
    uint32_t index = pg_pool_index(d->owner->pool, d);
    return (struct pg_dns_client){.conn = index,
                                  .generation = pg_pool_generation(d->owner->pool, index),
                                  .label = pg_conn_label(d->idle.conn),
                                  .over_tcp = true};
}

/* One question, if it is there whole and its answer has room. */
static enum progress answer_one(struct dns_conn *d)
{
    struct pg_dns_tcp *t = d->owner;
    uint8_t query[2 + DNS_TCP_QUERY];
    if (pg_conn_peek(d->idle.conn, 0, query, 2) < 2) {
        return WAITING;
    }
    uint32_t len = (uint32_t)(query[0] << 8 | query[1]);
    if (len > DNS_TCP_QUERY) {
        return give_up(d);
    }
    if (pg_conn_unread(d->idle.conn) < 2 + len || pg_conn_room(d->idle.conn) < sizeof t->answer) {
        return WAITING;
    }
    (void)pg_conn_peek(d->idle.conn, 2, query, len);
    pg_conn_consume(d->idle.conn, 2 + (uint64_t)len);
    struct pg_dns_client client = client_of(d);
    uint32_t answer_len;
    pg_idle_moved(t->path, &d->idle);
    d->asked++;
    enum pg_dns_said said = pg_path_dns_answer(t->path, query, len, &client, t->answer + 2,
                                               DNS_TCP_ANSWER, &answer_len);
    if (said == PG_DNS_SAID_LATER) {
        return ANSWERED;
    }
    d->asked--;
    return said == PG_DNS_SAID_NOW && write_answer(d, answer_len) ? ANSWERED : give_up(d);
}

/* Nothing more comes and nothing is owed: what is left unread is no whole question. */
static bool is_over(const struct dns_conn *d)
{
    return d->asked == 0 && pg_conn_end_seen(d->idle.conn) &&
           pg_conn_room(d->idle.conn) >= sizeof d->owner->answer;
}

void pg_dns_tcp_answer(struct pg_dns_tcp *t, const struct pg_dns_client *client,
                       const void *message, uint32_t len)
{
    if (pg_pool_generation(t->pool, client->conn) != client->generation || len > DNS_TCP_ANSWER) {
        return;
    }
    struct dns_conn *d = pg_pool_at(t->pool, client->conn);
    d->asked--;
    pg_idle_moved(t->path, &d->idle);
    memcpy(t->answer + 2, message, len);
    if (!write_answer(d, len)) {
        (void)give_up(d);
    }
}

static void on_progress(void *owner, struct pg_conn *c)
{
    struct dns_conn *d = owner;
    enum progress progress;
    do {
        progress = answer_one(d);
    } while (progress == ANSWERED);
    if (progress == WAITING && is_over(d)) {
        pg_conn_close(c);
        let_go(d);
    }
}

static void on_closed(void *owner, struct pg_conn *c, int error)
{
    (void)c;
    (void)error;
    let_go(owner);
}

static const struct pg_conn_events dns_events = {
    .on_readable = on_progress, .on_writable = on_progress, .on_closed = on_closed};

static void on_accept(void *arg, struct pg_conn *conn)
{
    struct pg_dns_tcp *t = arg;
    struct dns_conn *d = (void *)pg_idle_begin(t->path, t->pool, conn);
    if (d == NULL) {
        pg_conn_abort(conn);
        return;
    }
    d->owner = t;
    pg_conn_own(conn, &dns_events, d);
}

struct pg_dns_tcp *pg_dns_tcp_new(struct pg_path *path)
{
    struct pg_dns_tcp *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return NULL;
    }
    t->path = path;
    t->listener = (struct pg_listener){.on_accept = on_accept, .arg = t};
    t->pool = pg_pool_new("dns tcp", sizeof(struct dns_conn), DNS_TCP_CONNS);
    if (t->pool == NULL) {
        free(t);
        return NULL;
    }
    return t;
}

void pg_dns_tcp_free(struct pg_dns_tcp *t)
{
    if (t != NULL) {
        pg_pool_free(t->pool);
        free(t);
    }
}

const struct pg_listener *pg_dns_tcp_listener(struct pg_dns_tcp *t)
{
    return &t->listener;
}
