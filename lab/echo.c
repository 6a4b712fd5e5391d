/* Pods that answer what they saw, when nothing real is behind a service.
 *
 * One server for all of them: which pod it speaks for follows from the local address of the connection. The stack hands over
 * connections; this file reads requests with the ingress' own parser and counts their bodies, `echo_http.c` makes answers.
 * HTTP/2 by prior knowledge is understood too: a pod of a service with appProtocol kubernetes.io/h2c is spoken to like that.
 * So is TLS, whose plain side comes back here: a pod that the manifests speak TLS to shows a certificate that was made up.
 * A byte stream that does not begin like HTTP is given back as it is, so that plain TCP services have something behind them.
 *
 * Part of the lab, not of the path: answers are built as text and may allocate. Owns connections and their timers. Always true: nothing is read
 * while an answer waits for room, so a peer that does not read is not read from. */
#include "lab_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONN_LIMIT    131072
#define TLS_HANDSHAKE 22 /* type of the first record */
#define FNV_PRIME     UINT64_C(0x100000001b3)

static void run(struct pg_echo_conn *c);

/* ---- reading ---- */

static void fnv(struct pg_echo_conn *c, const char *at, uint64_t len)
{
    uint64_t h = c->body_fnv;
    for (uint64_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)at[i]) * FNV_PRIME;
    c->body_fnv = h;
    c->body_bytes += len;
}

static void end(struct pg_echo_conn *c, bool reset)
{
    if (c->conn && reset)
        pg_conn_abort(c->conn);
    else if (c->conn)
        pg_conn_close(c->conn);
    c->conn = NULL;
    c->state = PG_ECHO_DEAD;
}

/* Parses the head at the front, in place when it is all in the first piece. */
static int read_head(struct pg_echo_conn *c, const char **ret_bytes, enum pg_http_error *ret_error)
{
    struct pg_slice front;
    if (!pg_conn_front(c->conn, &front))
        return -EAGAIN;
    if (c->gathered.len == 0 && front.len < pg_conn_unread(c->conn)) {
        struct pg_http_scan scan = {0};
        *ret_bytes = front.at;
        int err = pg_http_parse(PG_HTTP_REQUEST, &scan, front.at, (uint32_t)front.len,
                                &c->echo->head, ret_error);
        if (err != -EAGAIN)
            return err;
    } else if (c->gathered.len == 0) {
        *ret_bytes = front.at;
        return pg_http_parse(PG_HTTP_REQUEST, &c->scan, front.at, (uint32_t)front.len,
                             &c->echo->head, ret_error);
    }
    char piece[4096];
    uint32_t n;
    while (c->gathered.len < PG_HTTP_MAX_HEAD &&
           (n = pg_conn_peek(c->conn, c->gathered.len, piece, sizeof(piece))) > 0)
        pg_text_add(&c->gathered, piece, n);
    *ret_bytes = c->gathered.at;
    return pg_http_parse(PG_HTTP_REQUEST, &c->scan, c->gathered.at, (uint32_t)c->gathered.len,
                         &c->echo->head, ret_error);
}

static void refuse(struct pg_echo_conn *c, enum pg_http_error error)
{
    c->keep = false;
    pg_echo_make_refusal(c, error);
    c->state = PG_ECHO_ANSWER;
}

/* A PROXY preface in front of everything is read and shown: a built-in pod takes what it gets. false: its end is not here yet. */
static bool preface_step(struct pg_echo_conn *c)
{
    uint8_t bytes[PG_ECHO_PREFACE_MAX];
    enum pg_preface_error error;
    uint32_t n = pg_conn_peek(c->conn, 0, bytes, sizeof(bytes));
    int len = pg_proxyproto_read(bytes, n, &c->preface, &error);
    if (len == -EAGAIN && n < sizeof(bytes) && !pg_conn_end_seen(c->conn))
        return false;
    if (len > 0)
        pg_conn_consume(c->conn, (uint64_t)len);
    else
        c->preface.version = 0;
    c->preface.tlvs = (struct pg_slice){NULL, 0};
    c->begun = true;
    return true;
}

/* HTTP/2 by prior knowledge: the connection goes to who makes one of each stream, and those come back here. */
static bool is_h2(struct pg_echo_conn *c)
{
    char line[sizeof(PG_H2_PREFACE) - 1];
    if (pg_conn_peek(c->conn, 0, line, sizeof(line)) < sizeof(line) ||
        memcmp(line, PG_H2_PREFACE, sizeof(line)) != 0)
        return false;
    pg_h2_server_begin(c->echo->h2, c->conn);
    c->conn = NULL;
    c->state = PG_ECHO_DEAD;
    return true;
}

/* Returns whether the state changed. */
static bool head_step(struct pg_echo_conn *c)
{
    struct pg_slice front;
    const char *bytes;
    enum pg_http_error error;
    if (!pg_conn_front(c->conn, &front)) {
        if (pg_conn_at_end(c->conn))
            end(c, false);
        return c->state == PG_ECHO_DEAD;
    }
    if (!c->begun)
        return preface_step(c);
    if (front.at[0] == 'P' && is_h2(c))
        return true;
    if (front.at[0] == TLS_HANDSHAKE && c->echo->tls) {
        pg_tls_server_begin(c->echo->tls, c->conn);
        c->conn = NULL;
        c->state = PG_ECHO_DEAD;
        return true;
    }
    if (front.at[0] != '\r' && (front.at[0] < 'A' || front.at[0] > 'Z')) {
        c->state = PG_ECHO_RAW;
        return true;
    }
    int err = read_head(c, &bytes, &error);
    if (err == -EAGAIN) {
        if (pg_conn_end_seen(c->conn))
            end(c, false);
        return c->state == PG_ECHO_DEAD;
    }
    if (err != 0) {
        refuse(c, error);
        return true;
    }
    pg_echo_note_request(c, bytes);
    pg_conn_consume(c->conn, c->echo->head.head_len);
    pg_text_clear(&c->gathered);
    c->scan = (struct pg_http_scan){0};
    c->state = PG_ECHO_BODY;
    if (c->echo->head.expect_continue && pg_conn_unread(c->conn) == 0)
        (void)pg_conn_write(c->conn, "HTTP/1.1 100 Continue\r\n\r\n", 25);
    return true;
}

static bool body_done(const struct pg_echo_conn *c)
{
    return c->body == PG_HTTP_BODY_CHUNKED ? c->chunks.done : c->body_left == 0;
}

/* One piece of body. Negative: the body is broken. */
static int64_t count_piece(struct pg_echo_conn *c, struct pg_slice front)
{
    enum pg_http_error error;
    uint64_t at = 0, len = 0;
    if (c->body == PG_HTTP_BODY_CHUNKED) {
        int64_t used = pg_http_chunks_next(&c->chunks, front.at, front.len, &at, &len, &error);
        fnv(c, front.at + at, len);
        if (used < 0)
            refuse(c, error);
        return used;
    }
    len = front.len < c->body_left ? front.len : c->body_left;
    fnv(c, front.at, len);
    c->body_left -= len;
    return (int64_t)len;
}

static bool body_step(struct pg_echo_conn *c)
{
    struct pg_slice front;
    while (!body_done(c) && pg_conn_front(c->conn, &front)) {
        int64_t used = count_piece(c, front);
        if (used < 0)
            return true;
        pg_conn_consume(c->conn, (uint64_t)used);
    }
    if (!body_done(c)) {
        if (pg_conn_at_end(c->conn))
            end(c, true);
        return c->state == PG_ECHO_DEAD;
    }
    if (c->close_unanswered) {
        end(c, false);
    } else if (c->slow_ms > 0) {
        pg_wheel_arm(c->echo->wheel, &c->timer, c->echo->now_us / 1000 + c->slow_ms);
        c->state = PG_ECHO_SLOW;
    } else {
        pg_echo_make_answer(c);
        c->state = PG_ECHO_ANSWER;
    }
    return true;
}

static bool answer_step(struct pg_echo_conn *c)
{
    if (!pg_echo_write(c))
        return false;
    pg_text_clear(&c->out);
    c->out_at = 0;
    if (c->keep)
        c->state = PG_ECHO_HEAD;
    else
        end(c, false);
    return true;
}

static bool raw_step(struct pg_echo_conn *c)
{
    (void)pg_conn_move(c->conn, c->conn, UINT64_MAX);
    if (!pg_conn_at_end(c->conn))
        return false;
    end(c, false);
    return true;
}

static bool step(struct pg_echo_conn *c)
{
    switch ((enum pg_echo_state)c->state) {
    case PG_ECHO_HEAD: return head_step(c);
    case PG_ECHO_BODY: return body_step(c);
    case PG_ECHO_ANSWER: return answer_step(c);
    case PG_ECHO_RAW: return raw_step(c);
    case PG_ECHO_SLOW:
    case PG_ECHO_DEAD: break;
    }
    return false;
}

static void conn_free(struct pg_echo_conn *c)
{
    pg_wheel_cancel(c->echo->wheel, &c->timer);
    pg_text_free(&c->gathered);
    pg_text_free(&c->out);
    pg_pool_put(c->echo->conns, pg_pool_index(c->echo->conns, c));
}

static void run(struct pg_echo_conn *c)
{
    while (step(c))
        ;
    if (c->state == PG_ECHO_DEAD)
        conn_free(c);
}

/* ---- events ---- */

static void on_moved(void *owner, struct pg_conn *conn)
{
    (void)conn;
    run(owner);
}

static void on_closed(void *owner, struct pg_conn *conn, int error)
{
    struct pg_echo_conn *c = owner;
    (void)conn;
    (void)error;
    c->conn = NULL;
    c->state = PG_ECHO_DEAD;
    run(c);
}

static const struct pg_conn_events events = {on_moved, on_moved, on_moved, on_closed};

static void on_accept(void *arg, struct pg_conn *conn)
{
    struct pg_echo *e = arg;
    uint32_t index = pg_pool_get(e->conns);
    if (index == PG_POOL_NONE) {
        pg_conn_abort(conn);
        return;
    }
    struct pg_echo_conn *c = pg_pool_at(e->conns, index);
    c->echo = e;
    c->conn = conn;
    pg_conn_own(conn, &events, c);
    run(c);
}

static void on_timer(void *arg, struct pg_timer *timer)
{
    struct pg_echo_conn *c = (struct pg_echo_conn *)(void *)timer;
    (void)arg;
    pg_echo_make_answer(c);
    c->state = PG_ECHO_ANSWER;
    run(c);
}

/* ---- the server ---- */

struct pg_echo *pg_echo_new(struct pg_stack *stack, uint64_t now_us)
{
    struct pg_echo *e = calloc(1, sizeof(*e));
    if (!e)
        return NULL;
    e->stack = stack;
    e->now_us = now_us;
    e->listener = (struct pg_listener){.on_accept = on_accept, .arg = e};
    e->conns = pg_pool_new("echo connections", sizeof(struct pg_echo_conn), CONN_LIMIT);
    e->wheel = pg_wheel_new(now_us / 1000);
    e->h2 = pg_h2_server_new(CONN_LIMIT, on_accept, e);
    if (e->conns && e->wheel && e->h2)
        return e;
    pg_echo_free(e);
    return NULL;
}

void pg_echo_free(struct pg_echo *e)
{
    if (!e)
        return;
    pg_h2_server_free(e->h2);
    pg_tls_servers_free(e->tls);
    uint32_t limit = e->conns ? pg_pool_high_water(e->conns) : 0;
    for (uint32_t i = 0; i < limit; i++) {
        if (!pg_pool_in_use(e->conns, i))
            continue;
        struct pg_echo_conn *c = pg_pool_at(e->conns, i);
        end(c, true);
        conn_free(c);
    }
    pg_snapshot_put(e->snapshot);
    pg_wheel_free(e->wheel);
    pg_pool_free(e->conns);
    free(e);
}

bool pg_echo_speak_tls(struct pg_echo *e, struct pg_proxy *p)
{
    e->tls = pg_tls_servers_new(p, on_accept, e);
    return e->tls != NULL;
}

void pg_echo_load(struct pg_echo *e, struct pg_snapshot *s)
{
    struct pg_snapshot *old = e->snapshot;
    e->snapshot = pg_snapshot_ref(s);
    pg_snapshot_put(old);
}

const struct pg_listener *pg_echo_listener(struct pg_echo *e)
{
    return &e->listener;
}

void pg_echo_set_time(struct pg_echo *e, uint64_t now_us)
{
    e->now_us = now_us;
}

void pg_echo_advance(struct pg_echo *e, uint64_t now_us)
{
    e->now_us = now_us;
    pg_wheel_advance(e->wheel, now_us / 1000, on_timer, e);
}

uint64_t pg_echo_next_due_us(const struct pg_echo *e)
{
    uint64_t due_ms = pg_wheel_next(e->wheel);
    return due_ms > UINT64_MAX / 1000 ? UINT64_MAX : due_ms * 1000;
}

uint32_t pg_echo_conn_count(const struct pg_echo *e)
{
    return pg_pool_used(e->conns);
}
