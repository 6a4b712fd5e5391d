/* HTTP/2 frames of a stranger, behind the preface: nghttp2, the streams, the sessions behind them and the requests that pods get.
 *
 * Byte 0: how many bytes come at a time (0: all at once), byte 1 bit 0: milliseconds pass between them. The rest is what the client
 * sends. What must hold: whatever comes, a strict pod reads whole requests and nothing else; what is sent to the client is frames, one behind the other,
 * within the size it allowed; and when the client has gone, so have the streams, the sessions and the connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../unit/proxy/proxy_world.h"
#include "h2.h"
#include "h2_internal.h"
#include "strict_reader.h"

#define FRAME_HEADER 9u
#define FRAME_MOST   16384u

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct proxy_world pw;
static bool opened;

/* ---- the pod ---- */

struct pod {
    struct strict_reader reader;
    unsigned answered;
};

static void pod_readable(void *owner, struct pg_conn *c)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    struct pod *pod = owner;
    struct pg_slice front;

    while (pg_conn_front(c, &front)) {
        strict_feed(&pod->reader, front.at, front.len);
        pg_conn_consume(c, front.len);
        PG_ASSERT(!pod->reader.wrong);
    }
    PG_ASSERT(pod->reader.requests <= pod->answered + 1);
    if (pod->reader.requests > pod->answered) {
        pod->answered++;
        PG_ASSERT(pg_conn_write(c, answer, sizeof(answer) - 1) == 0);
    }
    if (pg_conn_at_end(c)) {
        pg_conn_close(c);
        strict_free(&pod->reader);
        free(pod);
    }
}

static void pod_closed(void *owner, struct pg_conn *c, int error)
{
    struct pod *pod = owner;

    (void)c;
    (void)error;
    strict_free(&pod->reader);
    free(pod);
}

static const struct pg_conn_events pod_events = {NULL, pod_readable, NULL, pod_closed};

static void on_pod(void *arg, struct pg_conn *c)
{
    struct pod *pod = calloc(1, sizeof(*pod));

    (void)arg;
    PG_ASSERT(pod);
    pg_conn_own(c, &pod_events, pod);
}

static void on_client(void *arg, struct pg_conn *c)
{
    (void)arg;
    pg_h2_begin(pw.proxy, c);
}

/* ---- the client ---- */

struct client {
    struct pg_conn *conn; /* NULL: closed */
    uint8_t head[FRAME_HEADER];
    uint32_t have; /* of it */
    uint32_t left; /* of the frame's payload */
};

/* The first frame is SETTINGS, as the protocol has it; none is longer than we allowed. */
static void check_frames(struct client *c, const char *at, size_t len)
{
    while (len > 0) {
        if (c->left > 0) {
            size_t n = len < c->left ? len : c->left;
            c->left -= (uint32_t)n;
            at += n;
            len -= n;
            continue;
        }
        c->head[c->have++] = (uint8_t)*at++;
        len--;
        if (c->have == FRAME_HEADER) {
            c->left = (uint32_t)c->head[0] << 16 | (uint32_t)c->head[1] << 8 | c->head[2];
            PG_ASSERT(c->left <= FRAME_MOST && c->head[3] <= 9);
            c->have = 0;
        }
    }
}

static void client_readable(void *owner, struct pg_conn *conn)
{
    struct client *c = owner;
    struct pg_slice front;

    while (pg_conn_front(conn, &front)) {
        check_frames(c, front.at, front.len);
        pg_conn_consume(conn, front.len);
    }
    if (pg_conn_at_end(conn)) {
        PG_ASSERT(c->have == 0 && c->left == 0);
        pg_conn_close(conn);
        c->conn = NULL;
    }
}

static void client_closed(void *owner, struct pg_conn *conn, int error)
{
    struct client *c = owner;

    (void)conn;
    (void)error;
    c->conn = NULL;
}

static const struct pg_conn_events client_events = {NULL, client_readable, NULL, client_closed};

static void send_all(struct client *c, const uint8_t *bytes, size_t len, size_t step, bool slow)
{
    while (len > 0 && c->conn) {
        uint32_t room = pg_conn_room(c->conn);
        size_t n = len < step ? len : step;

        n = n < room ? n : room;
        if (n > 0)
            PG_ASSERT(pg_conn_write(c->conn, bytes, (uint32_t)n) == 0);
        bytes += n;
        len -= n;
        if (n == 0 && !slow)
            return; /* it does not read any more */
        world_run(&pw.w, 10);
        if (slow)
            pw_run(&pw, 1);
    }
}

static void open_world(void)
{
    static const struct pg_proxy_options options = {.session_limit = 256};

    pw_sets[0] = "lab.ingress.timeouts.upstreamIdleSeconds=1";
    pw_open(&pw, &options, NULL);
    pw.w.listener = (struct pg_listener){on_client, NULL};
    pw.w.upstream = (struct pg_listener){on_pod, NULL};
    opened = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    static const uint8_t hello[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    struct client c = {0};
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7);
    struct pg_addr to = pg_addr_v4(192, 0, 2, 1);

    if (!opened)
        open_world();
    if (len < 2 || len > 65536)
        return 0;
    c.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &client_events, &c);
    PG_ASSERT(c.conn);
    pw_run(&pw, 1);
    send_all(&c, hello, sizeof(hello), SIZE_MAX, false);
    send_all(&c, bytes + 2, len - 2, bytes[0] ? bytes[0] : SIZE_MAX, bytes[1] & 1);
    pw_run(&pw, 3);
    if (c.conn)
        pg_conn_abort(c.conn);
    pw_run(&pw, 2);
    PG_ASSERT(pg_pool_used(pw.proxy->h2->conns) == 0 && pg_pool_used(pw.proxy->h2->streams) == 0);
    PG_ASSERT(pg_proxy_session_count(pw.proxy) == 0);
    /* Idle connections to pods end, and then TIME_WAIT does. */
    for (unsigned i = 0; i < 3; i++) {
        world_run(&pw.w, SECOND_US);
        pg_proxy_advance(pw.proxy, pw.w.now_us);
    }
    world_run(&pw.w, 61 * SECOND_US);
    PG_ASSERT(pg_pool_used(pw.proxy->upstreams) == 0);
    PG_ASSERT(pg_stack_conn_count(pw.w.stack) + pg_stack_time_wait_count(pw.w.stack) == 0);
    return 0;
}
