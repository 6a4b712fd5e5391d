/* Requests from any address: the client end of the lab.
 *
 * Called by the control side (`podglass request`, checks, the demo). A request is a connection of its own from the address given; its
 * packets pass NAT like anybody's. The response is read with the ingress' own parser, its body taken out of its chunks.
 *
 * The tuple of a connection stays known for a while after its end, so that the peer's last packets find the stack and not the
 * wire.
 *
 * Owns requests; allocates them, since nobody's traffic depends on it. Always true: on_done is called exactly once for a request that was
 * started, and never from within pg_lab_request. */
#include "lab_internal.h"

#include "podglass/hash.h"
#include "podglass/table.h"
#include "podglass/tls_client.h"
#include "podglass/trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_LIMIT      65536
#define DEFAULT_TIMEOUT_MS 30000
#define AFTERGLOW_MS       10000 /* how long packets to an ended request are still ours */
#define BODY_KEPT          (1024 * 1024)

enum lab_state {
    LAB_SENDING, /* connecting, sending, reading the head */
    LAB_BODY,    /* the head is complete */
    LAB_ENDED,   /* on_done was called; only the tuple is kept */
};

struct lab_request {
    struct pg_timer timer; /* first, so that a timer is its owner */
    struct pg_lab_clients *clients;
    struct pg_conn *conn;
    struct pg_tuple tuple; /* of packets to us, their source left out */
    void (*on_done)(void *arg, struct pg_response *response);
    void *arg;
    char *bytes;
    uint32_t len;
    uint32_t sent;
    uint64_t began_us;
    struct pg_http_scan scan;
    struct pg_http_chunks chunks;
    uint64_t body_left;
    struct pg_response response;
    enum pg_http_body body;
    enum lab_state state;
    bool is_head;
    bool raw;
};

struct pg_lab_clients {
    struct pg_stack *stack;
    struct pg_trace *trace;
    struct pg_tls_clients *tls; /* NULL until a request needs it */
    struct pg_wheel *wheel;
    struct pg_pool *requests;
    struct pg_table *by_tuple;
    struct pg_hash_key key;
    struct pg_tuple opening; /* its SYN is on its way and its port not known yet; proto 0: none */
    uint64_t now_us;
    uint32_t open;            /* not ended */
    struct pg_http_head head; /* scratch */
};

static bool tuple_equal(const void *owner, uint32_t value, const void *key)
{
    const struct pg_lab_clients *c = owner;
    const struct lab_request *r = pg_pool_at(c->requests, value);
    return pg_tuple_equal(&r->tuple, key);
}

static uint32_t hash_of(const struct pg_lab_clients *c, const struct pg_tuple *t)
{
    return (uint32_t)pg_hash_tuple(&c->key, t);
}

/* A request may begin between turns, when only the trace has a clock: the later one is now. */
static uint64_t time_of(const struct pg_lab_clients *c)
{
    uint64_t now_us = pg_trace_now_us(c->trace);
    return now_us > c->now_us ? now_us : c->now_us;
}

/* ---- ending ---- */

static void request_free(struct lab_request *r)
{
    struct pg_lab_clients *c = r->clients;
    uint32_t index = pg_pool_index(c->requests, r);
    (void)pg_table_del(c->by_tuple, hash_of(c, &r->tuple), index);
    pg_wheel_cancel(c->wheel, &r->timer);
    pg_response_free(&r->response);
    free(r->bytes);
    pg_pool_put(c->requests, index);
}

static void done(struct lab_request *r, int error)
{
    struct pg_lab_clients *c = r->clients;
    struct pg_response response = r->response;
    if (r->conn && error == 0)
        pg_conn_close(r->conn);
    else if (r->conn)
        pg_conn_abort(r->conn);
    r->conn = NULL;
    r->state = LAB_ENDED;
    free(r->bytes);
    r->bytes = NULL;
    r->response = (struct pg_response){0};
    c->open--;
    pg_wheel_arm(c->wheel, &r->timer, time_of(c) / 1000 + AFTERGLOW_MS);
    response.error = error;
    response.took_us = time_of(c) - r->began_us;
    r->on_done(r->arg, &response);
}

/* ---- reading ---- */

static void keep(struct lab_request *r, const char *at, uint64_t len)
{
    uint64_t room = BODY_KEPT - r->response.body.len;
    r->response.body_bytes += len;
    pg_text_add(&r->response.body, at, (size_t)(len < room ? len : room));
}

/* Body bytes, framing included. 1: complete; 0: more is needed; -EBADMSG. */
static int feed_body(struct lab_request *r, const char *at, uint64_t len)
{
    if (r->body == PG_HTTP_BODY_LENGTH) {
        uint64_t n = len < r->body_left ? len : r->body_left;
        keep(r, at, n);
        r->body_left -= n;
        return r->body_left == 0;
    }
    if (r->body == PG_HTTP_BODY_UNTIL_CLOSE) {
        keep(r, at, len);
        return 0;
    }
    while (len > 0 && !r->chunks.done) {
        enum pg_http_error error;
        uint64_t data_at, data_len;
        int64_t used = pg_http_chunks_next(&r->chunks, at, len, &data_at, &data_len, &error);
        if (used < 0)
            return -EBADMSG;
        keep(r, at + data_at, data_len);
        at += used;
        len -= (uint64_t)used;
    }
    return r->chunks.done;
}

static void begin_body(struct lab_request *r)
{
    struct pg_http_head *h = &r->clients->head;
    pg_http_response_body(h, r->is_head, false);
    r->response.status = h->status;
    r->body = h->body;
    r->body_left = h->content_length;
    r->state = LAB_BODY;
}

/* Head bytes; what is behind the head is fed on as body. Interim responses are skipped. */
static int feed_head(struct lab_request *r, const char *at, uint64_t len)
{
    struct pg_text *head = &r->response.head;
    struct pg_http_head *h = &r->clients->head;
    enum pg_http_error error;
    pg_text_add(head, at, (size_t)len);
    for (;;) {
        int err =
            pg_http_parse(PG_HTTP_RESPONSE, &r->scan, head->at, (uint32_t)head->len, h, &error);
        if (err != 0)
            return err == -EAGAIN ? 0 : err;
        r->scan = (struct pg_http_scan){0};
        if (h->status >= 200)
            break;
        struct pg_text rest = {0};
        pg_text_add(&rest, head->at + h->head_len, head->len - h->head_len);
        pg_text_free(head);
        *head = rest;
        if (head->len == 0)
            return 0;
    }
    begin_body(r);
    struct pg_text rest = {0};
    pg_text_add(&rest, head->at + h->head_len, head->len - h->head_len);
    head->len = h->head_len;
    head->at[head->len] = 0;
    int result = r->body == PG_HTTP_BODY_NONE ? 1 : feed_body(r, rest.at, rest.len);
    pg_text_free(&rest);
    return result;
}

static int feed(struct lab_request *r, const char *at, uint64_t len)
{
    if (r->raw) {
        keep(r, at, len);
        return 0;
    }
    return r->state == LAB_BODY ? feed_body(r, at, len) : feed_head(r, at, len);
}

static bool may_end_here(const struct lab_request *r)
{
    return r->raw || (r->state == LAB_BODY && r->body == PG_HTTP_BODY_UNTIL_CLOSE);
}

static void on_readable(void *owner, struct pg_conn *conn)
{
    struct lab_request *r = owner;
    struct pg_slice front;
    while (pg_conn_front(conn, &front)) {
        int result = feed(r, front.at, front.len);
        pg_conn_consume(conn, front.len);
        if (result != 0) {
            done(r, result < 0 ? result : 0);
            return;
        }
    }
    if (pg_conn_at_end(conn))
        done(r, may_end_here(r) ? 0 : -EPIPE);
}

/* ---- sending ---- */

static void on_writable(void *owner, struct pg_conn *conn)
{
    struct lab_request *r = owner;
    uint32_t room = pg_conn_room(conn);
    uint32_t n = r->len - r->sent < room ? r->len - r->sent : room;
    if (n == 0 || pg_conn_write(conn, r->bytes + r->sent, n) != 0)
        return;
    r->sent += n;
    if (r->raw && r->sent == r->len)
        pg_conn_shutdown(conn); /* the peer's end is what we wait for */
}

static void on_closed(void *owner, struct pg_conn *conn, int error)
{
    struct lab_request *r = owner;
    (void)conn;
    r->conn = NULL;
    done(r, error != 0 ? error : -EPIPE);
}

static const struct pg_conn_events events = {on_writable, on_readable, on_writable, on_closed};

/* ---- the contract ---- */

struct pg_lab_clients *pg_lab_clients_new(struct pg_stack *stack, struct pg_trace *trace,
                                          uint64_t now_us)
{
    struct pg_lab_clients *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->stack = stack;
    c->trace = trace;
    c->now_us = now_us;
    /* Only our own requests are keys: nobody can aim at a bucket. */
    c->key = (struct pg_hash_key){0x6c6162u, 0x636c69656e7473u};
    c->wheel = pg_wheel_new(now_us / 1000);
    c->requests = pg_pool_new("lab requests", sizeof(struct lab_request), REQUEST_LIMIT);
    c->by_tuple = pg_table_new(REQUEST_LIMIT, tuple_equal, c);
    if (c->wheel && c->requests && c->by_tuple)
        return c;
    pg_lab_clients_free(c);
    return NULL;
}

void pg_lab_clients_free(struct pg_lab_clients *c)
{
    if (!c)
        return;
    uint32_t limit = c->requests ? pg_pool_high_water(c->requests) : 0;
    for (uint32_t i = 0; i < limit; i++) {
        if (!pg_pool_in_use(c->requests, i))
            continue;
        struct lab_request *r = pg_pool_at(c->requests, i);
        if (r->conn)
            pg_conn_abort(r->conn);
        request_free(r);
    }
    pg_tls_clients_free(c->tls);
    pg_table_free(c->by_tuple);
    pg_pool_free(c->requests);
    pg_wheel_free(c->wheel);
    free(c);
}

/* The connection that carries TLS is out of sight; the request goes on inside. */
static int open_tls(struct pg_lab_clients *c, struct lab_request *r, const char *server_name)
{
    if (!c->tls)
        c->tls = pg_tls_clients_new();
    struct pg_conn *plain =
        c->tls ? pg_tls_client_begin(c->tls, r->conn, server_name, &events, r) : NULL;
    if (!plain)
        return -ENOMEM;
    r->conn = plain;
    return 0;
}

static int open_conn(struct pg_lab_clients *c, struct lab_request *r,
                     const struct pg_request *request)
{
    uint32_t label = pg_trace_new_label_for(c->trace, &request->from);
    c->opening = (struct pg_tuple){.dst = request->from, .proto = PG_PROTO_TCP};
    r->conn = pg_conn_connect(c->stack, &request->from, request->from_port, &request->to,
                              request->to_port, label, &events, r);
    c->opening.proto = 0;
    if (!r->conn)
        return -EADDRNOTAVAIL;
    uint16_t port;
    (void)pg_conn_local(r->conn, &port);
    r->response.label = pg_conn_label(r->conn);
    r->tuple = (struct pg_tuple){.dst = request->from, .dst_port = port, .proto = PG_PROTO_TCP};
    return request->tls ? open_tls(c, r, request->server_name) : 0;
}

int pg_lab_request(struct pg_lab_clients *c, const struct pg_request *request,
                   void (*on_done)(void *arg, struct pg_response *response), void *arg)
{
    uint32_t index = pg_pool_get(c->requests);
    if (index == PG_POOL_NONE)
        return -ENOBUFS;
    struct lab_request *r = pg_pool_at(c->requests, index);
    r->clients = c;
    r->on_done = on_done;
    r->arg = arg;
    r->began_us = time_of(c);
    r->is_head = request->is_head;
    r->raw = request->raw;
    r->len = request->len;
    r->bytes = malloc(request->len + 1);
    int err = r->bytes ? open_conn(c, r, request) : -ENOMEM;
    if (err == 0)
        err = pg_table_add(c->by_tuple, hash_of(c, &r->tuple), index);
    if (err != 0) {
        if (r->conn)
            pg_conn_abort(r->conn);
        free(r->bytes);
        pg_pool_put(c->requests, index);
        return err;
    }
    memcpy(r->bytes, request->bytes, request->len);
    c->open++;
    pg_wheel_arm(c->wheel, &r->timer,
                 time_of(c) / 1000 +
                     (request->timeout_ms ? request->timeout_ms : DEFAULT_TIMEOUT_MS));
    return 0;
}

void pg_response_free(struct pg_response *r)
{
    pg_text_free(&r->head);
    pg_text_free(&r->body);
}

static void on_timer(void *arg, struct pg_timer *timer)
{
    struct lab_request *r = (struct lab_request *)(void *)timer;
    (void)arg;
    if (r->state == LAB_ENDED)
        request_free(r);
    else
        done(r, -ETIMEDOUT);
}

void pg_lab_clients_set_time(struct pg_lab_clients *c, uint64_t now_us)
{
    c->now_us = now_us;
}

void pg_lab_clients_advance(struct pg_lab_clients *c, uint64_t now_us)
{
    c->now_us = now_us;
    pg_wheel_advance(c->wheel, now_us / 1000, on_timer, c);
}

uint64_t pg_lab_clients_next_due_us(const struct pg_lab_clients *c)
{
    uint64_t due_ms = pg_wheel_next(c->wheel);
    return due_ms > UINT64_MAX / 1000 ? UINT64_MAX : due_ms * 1000;
}

bool pg_lab_clients_own(const struct pg_lab_clients *c, const struct pg_tuple *packet_to_us)
{
    /* by its end of the connection alone: between the hooks of NAT the source is not yet put back */
    struct pg_tuple key = {
        .dst = packet_to_us->dst, .dst_port = packet_to_us->dst_port, .proto = packet_to_us->proto};
    if (c->opening.proto == key.proto && pg_addr_equal(&c->opening.dst, &key.dst))
        return true;
    if (pg_table_count(c->by_tuple) == 0)
        return false; /* the common case on a real wire costs no hash */
    return pg_table_find(c->by_tuple, hash_of(c, &key), &key) != PG_TABLE_NONE;
}

uint32_t pg_lab_clients_count(const struct pg_lab_clients *c)
{
    return c->open;
}
