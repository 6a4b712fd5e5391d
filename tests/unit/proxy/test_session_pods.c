/* Pods that misbehave, over real TCP on both legs: answers that are broken, cut, early or too long, and connections that should not be used again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy_internal.h"
#include "proxy_world.h"

#include <errno.h>

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

static void broken_responses_are_502(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "hello\r\n\r\n",
        "HTTP/1.1 101 Switching\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        pw.script.answers[pw.script.next] = answers[i];
        pw_expect(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n", 502, "bad-response");
    }
}

static void pod_that_closes_without_an_answer_is_502(void **state)
{
    pw.script.answers[0] = "";
    pw_expect(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n", 502, "response-cut");
    pw.script.answers[1] = "!";
    pw_expect(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n", 502, "upstream-refused");
}

static void cut_body_aborts_the_client(void **state)
{
    pw.script.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
    struct asked a;
    static const char bytes[] = "GET /script HTTP/1.1\r\n" HOST "\r\n";
    pw_start(&pw, &a, "198.51.100.7", bytes, sizeof(bytes) - 1, false);
    pw_run(&pw, 20);
    assert_false(a.done);
    pg_conn_close(pw.script.conn);
    pw.script.conn = NULL;
    pw_finish(&pw, &a, 100);
    assert_true(a.done);
    assert_int_equal(a.response.error, -ECONNRESET);
    pg_response_free(&a.response);
}

static void interim_responses_pass_and_100_is_swallowed(void **state)
{
    pw.script.answers[0] =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close, x-a\r\nX-A: b\r\n\r\nok";
    static const char bytes[] = "GET /script HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    struct pg_response r = pw_ask_raw(&pw, bytes, sizeof(bytes) - 1);
    assert_null(strstr(r.body.at, "100 Continue"));
    assert_non_null(
        strstr(r.body.at, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK"));
    assert_null(strstr(r.body.at, "X-A"));
    pg_response_free(&r);
}

static void pooled_connection_closed_meanwhile_is_tried_again(void **state)
{
    pw.script.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1";
    pw_expect(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n", 200, "1");
    assert_int_equal(pg_proxy_idle_upstreams(pw.proxy), 1);
    pw.script.answers[1] = ""; /* closes when the second request comes */
    pw.script.answers[2] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2";
    pw_expect(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n", 200, "2");
    assert_int_equal(pw.script.accepted, 2);
    assert_int_equal(pw.w.counters.value[PG_COUNT_UPSTREAM_REUSED], 1);
    assert_int_equal(pw.w.counters.value[PG_COUNT_HTTP_REQUESTS], 2);
}

static void a_post_is_never_sent_twice(void **state)
{
    pw.script.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1";
    pw_expect(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n", 200, "1");
    pw.script.answers[1] = "";
    pw.script.answers[2] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2";
    pw_expect(&pw, "POST /script HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", 502,
              "response-cut");
    assert_int_equal(pw.script.accepted, 1);
}

static void a_post_does_not_risk_an_old_connection(void **state)
{
    pw.script.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1";
    pw_expect(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n", 200, "1");
    pw_run(&pw, 1500);
    pw.script.answers[1] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n2";
    pw_expect(&pw, "POST /script HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\nx", 200, "2");
    assert_int_equal(pw.script.accepted, 2);
}

static void idle_connection_that_speaks_is_closed(void **state)
{
    pw.script.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1";
    pw_expect(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n", 200, "1");
    assert_int_equal(pg_conn_write(pw.script.conn, "HTTP/1.1 200 OK\r\n", 17), 0);
    pw_run(&pw, 10);
    assert_int_equal(pg_proxy_idle_upstreams(pw.proxy), 0);
}

static void bytes_behind_a_response_do_not_reach_the_next_client(void **state)
{
    pw.script.answers[0] = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1HTTP/1.1 200 OK\r\n";
    pw_expect(&pw, "GET /script HTTP/1.1\r\n" HOST "\r\n", 200, "1");
    assert_int_equal(pg_proxy_idle_upstreams(pw.proxy), 0);
}

static void early_answer_is_relayed_and_both_ends_close(void **state)
{
    static const char bytes[] = "POST /script HTTP/1.1\r\n" HOST "Content-Length: 100\r\n\r\nabc";
    pw.script.answers[0] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno";
    struct pg_response r = pw_ask(&pw, bytes);
    assert_int_equal(r.status, 403);
    assert_non_null(strstr(r.head.at, "Connection: close"));
    assert_string_equal(r.body.at, "no");
    pg_response_free(&r);
    pw_run(&pw, 10);
    assert_true(pw.script.closed);
    assert_int_equal(pg_proxy_idle_upstreams(pw.proxy), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(broken_responses_are_502),
        T(pod_that_closes_without_an_answer_is_502),
        T(cut_body_aborts_the_client),
        T(interim_responses_pass_and_100_is_swallowed),
        T(pooled_connection_closed_meanwhile_is_tried_again),
        T(a_post_is_never_sent_twice),
        T(a_post_does_not_risk_an_old_connection),
        T(idle_connection_that_speaks_is_closed),
        T(bytes_behind_a_response_do_not_reach_the_next_client),
        T(early_answer_is_relayed_and_both_ends_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
