/* HTTP/2 to pods, with the lab's own pods at the other end: streams share connections, slow readers hold up nobody, and what fails is told. */
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

#define STREAM_HOLDS (160 * 1024) /* a stream's window of 128 KiB, and what frames it */

static struct proxy_world pw;

static int set_up(void **state)
{
    (void)state;
    pw_sets[0] = "svc/shop/web.ports.http.appProtocol=kubernetes.io/h2c";
    pw_sets[1] = "svc/shop/script.ports.http.appProtocol=kubernetes.io/h2c";
    pw_sets[2] = "svc/shop/reset.ports.http.appProtocol=kubernetes.io/h2c";
    pw_open(&pw, NULL, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pw_sets[0] = NULL;
    pw_close(&pw);
    return 0;
}

#define HOST "Host: shop.test\r\n"

static void requests_share_a_connection(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        struct pg_response r =
            pw_ask(&pw, "GET /x HTTP/1.1\r\n" HOST "X-Forwarded-For: 1.2.3.4\r\n\r\n");
        assert_int_equal(r.status, 200);
        assert_non_null(strstr(r.body.at, "[\"x-forwarded-for\",\"198.51.100.7\"]"));
        assert_null(strstr(r.body.at, "1.2.3.4"));
        pg_response_free(&r);
    }
    assert_int_equal(pw.w.counters.value[PG_COUNT_UPSTREAM_REUSED], 4);
}

static void a_body_of_each_framing_arrives(void **state)
{
    static const char *const bodies[] = {
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    };
    char request[256];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(request, sizeof(request), "POST /x HTTP/1.1\r\n" HOST "%s", bodies[i]);
        struct pg_response r = pw_ask(&pw, request);
        assert_int_equal(r.status, 200);
        assert_non_null(strstr(r.body.at, "\"bodyBytes\":5,\"bodyFnv\":\"a430d84680aabd0b\""));
        pg_response_free(&r);
    }
}

static void many_at_once_take_as_many_connections_as_they_need(void **state)
{
    enum { COUNT = 250 };
    static struct asked asked[COUNT];
    static const char request[] = "GET /slow/200 HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    (void)state;
    for (int i = 0; i < COUNT; i++) {
        char from[32];
        (void)snprintf(from, sizeof(from), "198.51.100.%d", 1 + i);
        pw_start(&pw, &asked[i], from, request, sizeof(request) - 1, false);
    }
    pw_run(&pw, 2000);
    for (int i = 0; i < COUNT; i++) {
        assert_true(asked[i].done);
        assert_int_equal(asked[i].response.status, 200);
        pg_response_free(&asked[i].response);
    }
    /* 100 streams on each: three connections, and all but three requests used another's. */
    assert_int_equal(pw.w.counters.value[PG_COUNT_TCP_CONNECTED], COUNT + 3);
}

/* Bytes of the answer that the only session at work has not read. */
static uint64_t held_for_the_session(void)
{
    for (uint32_t i = 0; i < pg_pool_high_water(pw.proxy->sessions); i++) {
        const struct pg_session *s = pg_pool_at(pw.proxy->sessions, i);
        if (pg_pool_in_use(pw.proxy->sessions, i) && s->up)
            return pg_conn_unread(s->up->conn);
    }
    fail_msg("no session waits for a pod");
    return 0;
}

/* What one slow client has not read stays within its stream's window, and others go on. */
static void a_client_that_does_not_read_holds_up_nobody_else(void **state)
{
    struct pg_addr from = pg_addr_v4(198, 51, 100, 8), to = pg_addr_v4(192, 0, 2, 1);
    static const char request[] = "GET /bytes/50000000 HTTP/1.1\r\n" HOST "\r\n";
    static const struct pg_conn_events deaf;
    (void)state;
    struct pg_conn *c = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &deaf, NULL);
    pw_run(&pw, 5);
    assert_int_equal(pg_conn_write(c, request, sizeof(request) - 1), 0);
    pw_run(&pw, 2000);
    uint64_t waiting = pg_conn_unread(c);
    pw_run(&pw, 500);
    assert_true(waiting > 0 && pg_conn_unread(c) == waiting); /* it stands still */
    assert_in_range(held_for_the_session(), 1, STREAM_HOLDS);
    struct pg_response r = pw_ask(&pw, "GET /bytes/1000000 HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_bytes, 1000000);
    pg_response_free(&r);
    pg_conn_abort(c);
    pw_run(&pw, 10);
}

static void a_pod_that_does_not_speak_it_is_502(void **state)
{
    (void)state;
    pw.script.answers[0] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    struct pg_response r = pw_ask(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 502);
    pg_response_free(&r);
    assert_int_equal(strncmp(pw.script.got.at, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24), 0);
}

static void a_pod_that_resets_is_502(void **state)
{
    (void)state;
    struct pg_response r =
        pw_ask(&pw, "POST /reset HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx");
    assert_int_equal(r.status, 502);
    pg_response_free(&r);
    r = pw_ask(&pw, "GET /close HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(r.status, 502);
    pg_response_free(&r);
}

static void nobody_switches_protocols_on_a_stream(void **state)
{
    (void)state;
    struct pg_response r =
        pw_ask(&pw, "GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                    "Sec-WebSocket-Key: k\r\nSec-WebSocket-Version: 13\r\n\r\n");
    assert_int_equal(r.status, 200);
    assert_null(strstr(r.body.at, "pgrade"));
    pg_response_free(&r);
    assert_int_equal(pw.w.counters.value[PG_COUNT_HTTP_TUNNELS], 0);
}

static void an_idle_connection_is_closed(void **state)
{
    (void)state;
    struct pg_response r = pw_ask(&pw, "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n");
    assert_int_equal(r.status, 200);
    pg_response_free(&r);
    pw_run(&pw, 50);
    assert_int_equal(pg_pool_used(pw.proxy->targets), 1);
    pw_run(&pw, 61000);
    assert_int_equal(pg_pool_used(pw.proxy->targets), 0);
}

static void a_drain_closes_it_when_the_last_stream_is_done(void **state)
{
    struct asked a;
    static const char request[] = "GET /slow/300 HTTP/1.1\r\n" HOST "\r\n";
    (void)state;
    pw_start(&pw, &a, "198.51.100.7", request, sizeof(request) - 1, false);
    pw_run(&pw, 100);
    pg_proxy_drain(pw.proxy);
    pw_run(&pw, 1000);
    assert_true(a.done);
    assert_int_equal(a.response.status, 200);
    pg_response_free(&a.response);
    assert_int_equal(pg_pool_used(pw.proxy->targets), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(requests_share_a_connection),
        T(a_body_of_each_framing_arrives),
        T(many_at_once_take_as_many_connections_as_they_need),
        T(a_client_that_does_not_read_holds_up_nobody_else),
        T(a_pod_that_does_not_speak_it_is_502),
        T(a_pod_that_resets_is_502),
        T(nobody_switches_protocols_on_a_stream),
        T(an_idle_connection_is_closed),
        T(a_drain_closes_it_when_the_last_stream_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
