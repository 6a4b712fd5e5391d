/* A tunnel: client and pod have switched to another protocol (WebSocket), and bytes pass both ways unread.
 *
 * Called by `response.c` when the pod's 101 has gone to the client, then by `session.c` at every event. Bytes move by reference, and only as far as the
 * other side has room, so a slow end closes the other's window. An end's FIN is passed on behind its last byte; the tunnel is over when
 * both have sent one, or one has and the other stays silent for as long as a response may take.
 *
 * It belongs to its session like an exchange: a reload swaps routes beside it, a drain waits for it until the process ends. Owns nothing.
 * Always true: the request is told as ended when the tunnel is, with status 101 and the bytes of both directions. */
#include "proxy_internal.h"

#include "podglass/packet.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

static void wait_for_bytes(struct pg_session *s)
{
    bool half = pg_conn_at_end(s->client) || pg_conn_at_end(s->up->conn);
    pg_session_wait(s, pg_limit_ms(s->proxy, half ? PG_LIMIT_RESPONSE_TIME : PG_LIMIT_TUNNEL_TIME));
}

void pg_tunnel_begin(struct pg_session *s)
{
    struct pg_exchange *x = s->exchange;
    s->proxy->counters->value[PG_COUNT_HTTP_RESPONSES]++;
    s->proxy->counters->value[PG_COUNT_HTTP_TUNNELS]++;
    s->keep = false;
    x->request = x->response = (struct pg_body){0};
    pg_session_set(s, PG_SESSION_TUNNEL);
    wait_for_bytes(s);
}

static void tell_end(struct pg_session *s, const char *why)
{
    const struct pg_exchange *x = s->exchange;
    char text[80];
    int len = snprintf(text, sizeof(text), "%s, %" PRIu64 " up, %" PRIu64 " down", why,
                       x->request.passed, x->response.passed);
    pg_session_tell(s, PG_STAGE_UPSTREAM, "tunnel-end", pg_value_none(),
                    pg_value_text(text, (size_t)len), 0);
}

static void over(struct pg_session *s, const char *why)
{
    if (pg_session_watched(s))
        tell_end(s, why);
    pg_request_log_end(s, s->last_status);
}

void pg_tunnel_end(struct pg_session *s, int error)
{
    over(s, error == -ETIMEDOUT ? "silent" : "reset by the pod");
    if (error != -ETIMEDOUT) {
        pg_session_abort(s);
        return;
    }
    pg_upstream_release(s->up, false);
    s->up = NULL;
    pg_session_close(s);
}

/* Returns whether bytes moved. */
static bool pass(struct pg_body *b, struct pg_conn *from, struct pg_conn *to)
{
    uint64_t moved = pg_conn_move(from, to, pg_conn_unread(from));
    b->passed += moved;
    if (!b->done && pg_conn_at_end(from)) {
        pg_conn_shutdown(to);
        b->done = true;
        return true;
    }
    return moved > 0;
}

bool pg_tunnel_step(struct pg_session *s)
{
    struct pg_exchange *x = s->exchange;
    bool up = pass(&x->request, s->client, s->up->conn);
    bool down = pass(&x->response, s->up->conn, s->client);
    if (x->request.done && x->response.done) {
        over(s, "both ends closed");
        pg_upstream_release(s->up, false);
        s->up = NULL;
        pg_session_close(s);
        return true;
    }
    if (up || down)
        wait_for_bytes(s);
    return false;
}
