/* Requests through the ingress, over real TCP on both legs: what arrives at the pod, what comes back, and what happens when one
 * of the three misbehaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy_internal.h"
#include "proxy_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct proxy_world pw;

static int set_up(void **state)
{
    pw_open(&pw, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    pw_close(&pw);
    return 0;
}

#define HOST "Host: shop.test\r\n"

/* ---- the ordinary way ---- */

static void request_reaches_the_pod_with_its_client_in_the_header(void **state)
{
    struct pg_response r =
        pw_ask(&pw, "GET /cart?a=1 HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.2.3.4\r\n\r\n");
    assert_int_equal(r.error, 0);
    assert_int_equal(r.status, 200);
    assert_non_null(
        strstr(r.body.at, "\"method\":\"GET\",\"path\":\"/cart?a=1\",\"host\":\"shop.test\""));
    assert_non_null(strstr(r.body.at, "[\"X-Forwarded-For\",\"198.51.100.7\"]"));
    assert_non_null(strstr(r.body.at, "[\"X-Real-IP\",\"198.51.100.7\"]"));
    assert_non_null(strstr(r.body.at, "\"peer\":\"192.0.2.1\""));
    assert_null(strstr(r.body.at, "1.2.3.4"));
    pg_response_free(&r);
    assert_int_equal(pw.w.counters.value[PG_COUNT_HTTP_REQUESTS], 1);
    assert_int_equal(pw.w.counters.value[PG_COUNT_HTTP_RESPONSES], 1);
    assert_int_equal(pg_proxy_idle_upstreams(pw.proxy), 1);
}

static void chain_of_a_trusted_proxy_is_extended(void **state)
{
    static const char bytes[] = "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.2.3.4\r\n\r\n";
    struct asked a;
    pw_start(&pw, &a, "203.0.113.9", bytes, sizeof(bytes) - 1, false);
    pw_finish(&pw, &a, 1000);
    assert_true(a.done);
    assert_non_null(strstr(a.response.body.at, "[\"X-Forwarded-For\",\"1.2.3.4, 203.0.113.9\"]"));
    assert_non_null(strstr(a.response.body.at, "[\"X-Real-IP\",\"1.2.3.4\"]"));
    pg_response_free(&a.response);
}

static void head_has_the_length_and_no_body(void **state)
{
    struct pg_response r = pw_ask(&pw, "HEAD /bytes/1234 HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.head.at, "Content-Length: 1234\r\n"));
    assert_int_equal(r.body_bytes, 0);
    pg_response_free(&r);
    pw_expect(&pw, "GET /status/204 HTTP/1.1\r\n" HOST "\r\n", 204, NULL);
    pw_expect(&pw, "GET /status/304 HTTP/1.1\r\n" HOST "\r\n", 304, NULL);
}

static uint64_t fnv_of(const char *at, size_t len)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++)
        h = (h ^ (uint8_t)at[i]) * UINT64_C(0x100000001b3);
    return h;
}

/* A POST of n bytes, in chunks of `chunk` (0: by length). Returns its length. */
static size_t make_post(char *out, size_t n, size_t chunk, uint64_t *ret_fnv)
{
    char *body = malloc(n + 1);
    for (size_t i = 0; i < n; i++)
        body[i] = (char)('a' + i % 23);
    *ret_fnv = fnv_of(body, n);
    size_t len = (size_t)sprintf(out, "POST /up HTTP/1.1\r\n" HOST);
    if (chunk == 0)
        len += (size_t)sprintf(out + len, "Content-Length: %zu\r\n\r\n", n);
    else
        len += (size_t)sprintf(out + len, "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t at = 0; at < n;) {
        size_t piece = chunk == 0 || n - at < chunk ? n - at : chunk;
        if (chunk)
            len += (size_t)sprintf(out + len, "%zx;ext=\"x\"\r\n", piece);
        memcpy(out + len, body + at, piece);
        len += piece;
        at += piece;
        if (chunk)
            len += (size_t)sprintf(out + len, "\r\n");
    }
    if (chunk)
        len += (size_t)sprintf(out + len, "0\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n");
    free(body);
    return len;
}

static void uploads_arrive_byte_for_byte(void **state)
{
    static const struct {
        size_t bytes, chunk;
    } sizes[] = {{0, 0},         {1, 0},       {1, 1},          {100000, 0},
                 {100000, 7777}, {3000000, 0}, {3000000, 65536}};
    char *bytes = malloc(4000000);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t fnv;
        char want[80];
        struct asked a;
        size_t len = make_post(bytes, sizes[i].bytes, sizes[i].chunk, &fnv);
        pw_start(&pw, &a, "198.51.100.7", bytes, len, false);
        pw_finish(&pw, &a, 20000);
        assert_true(a.done);
        assert_int_equal(a.response.status, 200);
        (void)snprintf(want, sizeof(want), "\"bodyBytes\":%zu,\"bodyFnv\":\"%016llx\"",
                       sizes[i].bytes, (unsigned long long)fnv);
        if (!strstr(a.response.body.at, want))
            fail_msg("%zu/%zu: %s", sizes[i].bytes, sizes[i].chunk, a.response.body.at);
        assert_null(strstr(a.response.body.at, "6.6.6.6"));
        pg_response_free(&a.response);
    }
    free(bytes);
}

static void downloads_come_in_every_framing(void **state)
{
    static const char *const paths[] = {"/bytes/", "/chunked/", "/until-close/"};
    static const unsigned sizes[] = {0, 1, 1000, 700001};
    for (size_t p = 0; p < 3; p++) {
        for (size_t s = 0; s < 4; s++) {
            char request[200];
            (void)snprintf(request, sizeof(request), "GET %s%u HTTP/1.1\r\n" HOST "\r\n", paths[p],
                           sizes[s]);
            struct pg_response r = pw_ask(&pw, request);
            if (r.error != 0 || r.body_bytes != sizes[s])
                fail_msg("%s%u: error %d, %llu bytes", paths[p], sizes[s], r.error,
                         (unsigned long long)r.body_bytes);
            for (size_t i = 0; i < r.body.len; i++)
                assert_int_equal(
                    r.body.at[i],
                    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-\n"[i % 64]);
            pg_response_free(&r);
        }
    }
}

static void http10_client_gets_no_chunks(void **state)
{
    struct pg_response r = pw_ask(&pw, "GET /chunked/5000 HTTP/1.0\r\n" HOST "\r\n");
    assert_int_equal(r.status, 200);
    assert_null(strstr(r.head.at, "hunked"));
    assert_non_null(strstr(r.head.at, "Connection: close"));
    assert_int_equal(r.body_bytes, 5000);
    pg_response_free(&r);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    static const char bytes[] = "GET /one HTTP/1.1\r\n" HOST "\r\n"
                                "POST /two HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc"
                                "GET /empty HTTP/1.1\r\n" HOST "\r\n"
                                "GET /three HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"
                                "GET /four HTTP/1.1\r\n" HOST "\r\n";
    struct pg_response r = pw_ask_raw(&pw, bytes, sizeof(bytes) - 1);
    char *one = strstr(r.body.at, "\"/one\""), *two = strstr(r.body.at, "\"/two\"");
    char *none = strstr(r.body.at, "no-endpoint"), *three = strstr(r.body.at, "\"/three\"");
    assert_true(one && two && none && three && one < two && two < none && none < three);
    assert_null(strstr(r.body.at, "\"/four\""));
    pg_response_free(&r);
}

static void dribbled_head_is_gathered(void **state)
{
    static const char bytes[] = "GET /slowly HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    struct script reader = {0};
    struct pg_conn *c = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &reader);
    reader.conn = c;
    pw_run(&pw, 5);
    for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
        assert_int_equal(pg_conn_write(c, bytes + i, 1), 0);
        pw_run(&pw, 2);
    }
    pw_run(&pw, 50);
    assert_true(reader.closed);
    assert_non_null(strstr(reader.got.at, "\"/slowly\""));
    pg_text_free(&reader.got);
}

static void dribbled_chunks_arrive_as_they_are(void **state)
{
    static const char bytes[] = "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n"
                                "Connection: close\r\n\r\n"
                                "10;a=b\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\nT: u\r\n\r\n";
    char want[80];
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    struct script reader = {0};
    struct pg_conn *c = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &reader);
    reader.conn = c;
    pw_run(&pw, 5);
    for (size_t i = 0; i < sizeof(bytes) - 1; i++) {
        assert_int_equal(pg_conn_write(c, bytes + i, 1), 0);
        pw_run(&pw, 2);
    }
    pw_run(&pw, 50);
    (void)snprintf(want, sizeof(want), "\"bodyBytes\":17,\"bodyFnv\":\"%016llx\"",
                   (unsigned long long)fnv_of("0123456789abcdefx", 17));
    assert_non_null(strstr(reader.got.at, want));
    pg_text_free(&reader.got);
}

static void expect_continue_is_answered_here(void **state)
{
    static const char head[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n"
                               "Expect: 100-continue\r\nConnection: close\r\n\r\n";
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    struct script reader = {0};
    struct pg_conn *c = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &reader);
    reader.conn = c;
    pw_run(&pw, 5);
    assert_int_equal(pg_conn_write(c, head, sizeof(head) - 1), 0);
    pw_run(&pw, 20);
    assert_string_equal(reader.got.at, "HTTP/1.1 100 Continue\r\n\r\n");
    assert_int_equal(pg_conn_write(c, "hello", 5), 0);
    pw_run(&pw, 20);
    assert_non_null(strstr(reader.got.at, "\"bodyBytes\":5"));
    assert_null(strstr(reader.got.at, "[\"Expect\""));
    pg_text_free(&reader.got);
}

/* ---- refusals ---- */

static void refusals_have_their_status_and_name(void **state)
{
    pw_expect(&pw, "GET / HTTP/1.1\r\nHost: other.test\r\n\r\n", 404, "no-route");
    pw_expect(&pw, "GET /gone HTTP/1.1\r\n" HOST "\r\n", 503, "no-service");
    pw_expect(&pw, "GET /empty HTTP/1.1\r\n" HOST "\r\n", 503, "no-endpoint");
    pw_expect(&pw, "GET /reset HTTP/1.1\r\n" HOST "\r\n", 502, "upstream-refused");
    pw_expect(&pw, "GET / HTTP/1.1\r\n\r\n", 400, "bad-host");
    pw_expect(&pw, "CONNECT x:1 HTTP/1.1\r\n" HOST "\r\n", 405, "method-refused");
    pw_expect(&pw, "GET / HTTP/3.0\r\n" HOST "\r\n", 505, "bad-version");
    pw_expect(&pw, "\x16\x03\x01", 400, "bad-method");
    assert_int_equal(pw.w.counters.value[PG_COUNT_HTTP_ERRORS], 8);
}

static void broken_request_ends_its_connection(void **state)
{
    static const char bytes[] = "GET / HTTP/1.1\nHost: shop.test\n\nGET / HTTP/1.1\r\n" HOST "\r\n";
    struct pg_response r = pw_ask_raw(&pw, bytes, sizeof(bytes) - 1);
    assert_non_null(strstr(r.body.at, "HTTP/1.1 400 Bad Request\r\n"));
    assert_non_null(strstr(r.body.at, "Connection: close"));
    assert_non_null(strstr(r.body.at, "flow "));
    assert_null(strstr(r.body.at, "HTTP/1.1 200"));
    pg_response_free(&r);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
}

static void broken_chunk_is_refused_before_the_answer(void **state)
{
    pw.script.answers[0] = NULL;
    pw_expect(&pw, "POST /script HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n3\nabc", 400,
              "bad-chunk");
    assert_true(!pw.script.got.at || !strstr(pw.script.got.at, "0\r\n\r\n"));
    pw_run(&pw, 10);
    assert_true(pw.script.closed);
    assert_int_equal(pg_proxy_idle_upstreams(pw.proxy), 0);
}

static void body_limit_is_413_before_the_pod_is_asked(void **state)
{
    struct pg_proxy_options options = {.body_limit = 10};
    pw_close(&pw);
    pw_open(&pw, &options, NULL);
    pw_expect(&pw, "POST /script HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n01234567890", 413,
              "body-too-large");
    assert_int_equal(pw.script.accepted, 0);
    pw_expect(&pw,
              "POST /script HTTP/1.1\r\n" HOST
              "Transfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n0\r\n\r\n",
              413, "body-too-large");
}

/* ---- time ---- */

static void silent_pod_is_504(void **state)
{
    struct pg_proxy_options options = {.response_timeout_ms = 500, .connect_timeout_ms = 300};
    pw_close(&pw);
    pw_open(&pw, &options, NULL);
    pw_expect(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n", 504, "upstream-timeout");
}

static bool drop_pods(void *arg, const struct pg_packet *p)
{
    return p->tuple.dst_port != 8080;
}

static void unreachable_pod_is_504_on_connect(void **state)
{
    struct pg_proxy_options options = {.connect_timeout_ms = 300};
    pw_close(&pw);
    pw_open(&pw, &options, NULL);
    pw.w.look = drop_pods;
    pw_expect(&pw, "GET / HTTP/1.1\r\n" HOST "\r\n", 504, "upstream-connect-timeout");
}

static void slow_clients_are_given_up(void **state)
{
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    struct pg_proxy_options options = {.head_timeout_ms = 200, .response_timeout_ms = 300};
    struct script silent = {0}, half = {0}, body = {0};
    pw_close(&pw);
    pw_open(&pw, &options, NULL);
    silent.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &silent);
    half.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &half);
    body.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &body);
    pw_run(&pw, 5);
    assert_int_equal(pg_conn_write(half.conn, "GET / HT", 8), 0);
    static const char post[] = "POST / HTTP/1.1\r\n" HOST "Content-Length: 9\r\n\r\nabc";
    assert_int_equal(pg_conn_write(body.conn, post, sizeof(post) - 1), 0);
    pw_run(&pw, 3000);
    assert_true(silent.closed && half.closed && body.closed);
    assert_int_equal(silent.got.len, 0);
    assert_non_null(strstr(half.got.at, "408 head-timeout"));
    assert_non_null(strstr(body.got.at, "408 body-timeout"));
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
    pg_text_free(&half.got);
    pg_text_free(&body.got);
}

static void idle_connections_expire_on_both_sides(void **state)
{
    struct pg_proxy_options options = {.upstream_idle_ms = 400, .idle_timeout_ms = 300};
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    struct script c = {0};
    pw_close(&pw);
    pw_open(&pw, &options, NULL);
    c.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &c);
    pw_run(&pw, 5);
    static const char get[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    assert_int_equal(pg_conn_write(c.conn, get, sizeof(get) - 1), 0);
    pw_run(&pw, 100);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 1);
    assert_int_equal(pg_pool_high_water(pw.proxy->exchanges),
                     1); /* held while there was a request */
    assert_int_equal(pg_pool_used(pw.proxy->exchanges), 0);
    assert_int_equal(pg_proxy_idle_upstreams(pw.proxy), 1);
    pw_run(&pw, 600);
    assert_true(c.closed);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
    assert_int_equal(pg_proxy_idle_upstreams(pw.proxy), 0);
    pg_text_free(&c.got);
}

/* ---- back-pressure ---- */

static void client_that_does_not_read_holds_back_the_pod(void **state)
{
    struct pg_stack_options options = {.send_buffer = 65536, .receive_window = 65535};
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    static const struct pg_conn_events deaf;
    static const char get[] = "GET /bytes/50000000 HTTP/1.1\r\n" HOST "\r\n";
    pw_close(&pw);
    pw_open(&pw, NULL, &options);
    struct pg_conn *c = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &deaf, &pw);
    pw_run(&pw, 5);
    assert_int_equal(pg_conn_write(c, get, sizeof(get) - 1), 0);
    pw_run(&pw, 2000);
    assert_true(pg_conn_unread(c) > 0);
    assert_true(pg_stack_held_bytes(pw.w.stack) < 3 * 65536);
    pg_conn_abort(c);
    pw_run(&pw, 50);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
}

static void bodies_survive_small_buffers_and_a_lossy_wire(void **state)
{
    struct pg_stack_options options = {.send_buffer = 6000, .receive_window = 5000};
    static const char *const gets[] = {"GET /bytes/60000 HTTP/1.1\r\n" HOST "\r\n",
                                       "GET /chunked/60000 HTTP/1.1\r\n" HOST "\r\n",
                                       "GET /until-close/60000 HTTP/1.1\r\n" HOST "\r\n"};
    struct asked asked[5];
    char *posts[2] = {malloc(100000), malloc(100000)};
    char want[2][80];
    pw_close(&pw);
    pw_open(&pw, NULL, &options);
    pw.w.loss = 100; /* one in a hundred */
    pw.w.delay_us = 1000;
    for (size_t i = 0; i < 3; i++)
        pw_start(&pw, &asked[i], "198.51.100.7", gets[i], strlen(gets[i]), false);
    for (size_t i = 0; i < 2; i++) {
        uint64_t fnv;
        size_t len = make_post(posts[i], 70000, i * 3333, &fnv);
        (void)snprintf(want[i], sizeof(want[i]), "\"bodyBytes\":70000,\"bodyFnv\":\"%016llx\"",
                       (unsigned long long)fnv);
        pw_start(&pw, &asked[3 + i], "198.51.100.7", posts[i], len, false);
    }
    for (size_t i = 0; i < 5; i++) {
        pw_finish(&pw, &asked[i], 40000);
        assert_true(asked[i].done);
        assert_int_equal(asked[i].response.error, 0);
        assert_int_equal(asked[i].response.status, 200);
        if (i < 3)
            assert_int_equal(asked[i].response.body_bytes, 60000);
        else
            assert_non_null(strstr(asked[i].response.body.at, want[i - 3]));
        pg_response_free(&asked[i].response);
    }
    free(posts[0]);
    free(posts[1]);
}

/* ---- looking and draining ---- */

static void see(void *arg, const struct pg_session_view *view)
{
    struct pg_session_view *out = arg;
    *out = *view;
    assert_string_equal(view->service, "shop/script");
    assert_string_equal(view->state, "request");
}

static void walk_shows_both_legs(void **state)
{
    static const char get[] = "GET /script HTTP/1.1\r\n" HOST "\r\n";
    struct asked a;
    struct pg_session_view view = {0};
    uint64_t cursor = 0;
    pw_start(&pw, &a, "198.51.100.7", get, sizeof(get) - 1, false);
    pw_run(&pw, 20);
    assert_false(pg_proxy_walk(pw.proxy, &cursor, 100, pw.w.now_us, see, &view));
    assert_true(view.has_upstream);
    assert_int_equal(view.upstream.peer_port, 8080);
    assert_int_equal(view.requests, 1);
}

static void drain_lets_the_running_response_end(void **state)
{
    static const char get[] = "GET /script HTTP/1.1\r\n" HOST "\r\n";
    struct asked a;
    pw.script.answers[0] = NULL;
    pw_start(&pw, &a, "198.51.100.7", get, sizeof(get) - 1, false);
    pw_run(&pw, 20);
    pg_proxy_drain(pw.proxy);
    pw.script.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1";
    script_write(&pw.script);
    pw_finish(&pw, &a, 100);
    assert_int_equal(a.response.status, 200);
    assert_non_null(strstr(a.response.head.at, "Connection: close"));
    pg_response_free(&a.response);
    pw_run(&pw, 20);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
    assert_int_equal(pg_proxy_idle_upstreams(pw.proxy), 0);
}

static void trace_tells_the_way_in_order(void **state)
{
    static const char *const names[] = {"request", "client", "route", "resolve", "connect"};
    pg_trace_set_level(pw.w.trace, PG_TRACE_FLOWS);
    uint64_t seq = pg_trace_next_seq(pw.w.trace), missed;
    struct pg_record r;
    pw_expect(&pw, "GET /cart HTTP/1.1\r\n" HOST "X-Real-IP: 9.9.9.9\r\n\r\n", 200, NULL);
    size_t at = 0;
    bool forwarded = false, dropped = false, response = false;
    while (pg_trace_read(pw.w.trace, &seq, &r, &missed)) {
        if (at < 5 && r.kind == PG_RECORD_EVENT && strcmp(r.name, names[at]) == 0)
            at++;
        forwarded |= r.stage == PG_STAGE_HTTP_REWRITE && strcmp(r.name, "X-Forwarded-For") == 0;
        dropped |= r.stage == PG_STAGE_HTTP_REWRITE && strcmp(r.name, "X-Real-IP") == 0 &&
                   pg_reason_get(r.reason)->code == PG_CODE_IDENTITY_DROPPED;
        response |= strcmp(r.name, "response") == 0 && r.direction == 1;
    }
    assert_int_equal(at, 5);
    assert_true(forwarded && dropped && response);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(request_reaches_the_pod_with_its_client_in_the_header),
        T(chain_of_a_trusted_proxy_is_extended),
        T(head_has_the_length_and_no_body),
        T(uploads_arrive_byte_for_byte),
        T(downloads_come_in_every_framing),
        T(http10_client_gets_no_chunks),
        T(pipelined_requests_are_answered_in_order),
        T(dribbled_head_is_gathered),
        T(dribbled_chunks_arrive_as_they_are),
        T(expect_continue_is_answered_here),
        T(refusals_have_their_status_and_name),
        T(broken_request_ends_its_connection),
        T(broken_chunk_is_refused_before_the_answer),
        T(body_limit_is_413_before_the_pod_is_asked),
        T(silent_pod_is_504),
        T(unreachable_pod_is_504_on_connect),
        T(slow_clients_are_given_up),
        T(idle_connections_expire_on_both_sides),
        T(client_that_does_not_read_holds_back_the_pod),
        T(bodies_survive_small_buffers_and_a_lossy_wire),
        T(walk_shows_both_legs),
        T(drain_lets_the_running_response_end),
        T(trace_tells_the_way_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
