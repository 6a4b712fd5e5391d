/* Connections of podglass' own small servers (dns_tcp.c, health.c) that say nothing are closed after ten seconds: there are a few hundred, and who opened
 * them and went away would hold them for ever.
 *
 * Called by the servers when a connection begins, moves and ends, and by path.c for time. The wheel is the path's; entries are in the servers' pools and begin with a
 * struct pg_idle_conn, so an end needs no word of the server. */
#include "path_internal.h"

#include "podglass/conn.h"

#define IDLE_MS \
    10000 /* CoreDNS waits as long for the next question (RFC 7766 6.2.3: a few seconds) */

struct pg_idle_conn *pg_idle_begin(struct pg_path *path, struct pg_pool *pool, struct pg_conn *conn)
{
    uint32_t index = pg_pool_get(pool);
    if (index == PG_POOL_NONE) {
        return NULL;
    }
    struct pg_idle_conn *c = pg_pool_at(pool, index);
    c->pool = pool;
    c->conn = conn;
    pg_idle_moved(path, c);
    return c;
}

void pg_idle_moved(struct pg_path *path, struct pg_idle_conn *c)
{
    pg_wheel_arm(path->idle, &c->timer, path->now_us / 1000 + IDLE_MS);
}

void pg_idle_end(struct pg_path *path, struct pg_idle_conn *c)
{
    pg_wheel_cancel(path->idle, &c->timer);
    pg_pool_put(c->pool, pg_pool_index(c->pool, c));
}

static void on_timer(void *arg, struct pg_timer *timer)
{
    struct pg_idle_conn *c = (struct pg_idle_conn *)(void *)timer;
    struct pg_conn *conn = c->conn;
    pg_idle_end(arg, c);
    pg_conn_close(conn);
}

void pg_idle_advance(struct pg_path *path)
{
    pg_wheel_advance(path->idle, path->now_us / 1000, on_timer, path);
}

uint64_t pg_idle_next_due_us(const struct pg_path *path)
{
    uint64_t due = pg_wheel_next(path->idle);
    return due > UINT64_MAX / 1000 ? UINT64_MAX : due * 1000;
}
