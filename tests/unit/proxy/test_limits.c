/* Limits and timeouts as a Lab sets them: what is beyond, with which status, and with the line that said so; who is too slow; what is tried
 * again. */
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

#define HOST "Host: shop.test\r\n"

static struct proxy_world pw;

static void open_with(const char *const *sets)
{
    memset(pw_sets, 0, sizeof(pw_sets));
    for (unsigned i = 0; sets && sets[i]; i++)
        pw_sets[i] = sets[i];
    pw_open(&pw, NULL, NULL);
}
#define OPEN(...) open_with((const char *const[]){__VA_ARGS__, NULL})

static int tear_down(void **state)
{
    (void)state;
    pw_close(&pw);
    return 0;
}

static void expect(const char *request, uint16_t status, const char *in_body)
{
    struct pg_response r = pw_ask(&pw, request);
    if (r.error != 0 || r.status != status || (in_body && !strstr(r.body.at, in_body)))
        fail_msg("%.60s: error %d status %u, %s", request, r.error, r.status,
                 r.body.at ? r.body.at : "no body");
    pg_response_free(&r);
}

/* ---- limits ---- */

static void heads_beyond_the_limits_are_refused(void **state)
{
    char request[3000], pad[2100];
    (void)state;
    OPEN("lab.ingress.limits.lineBytes=100", "lab.ingress.limits.headBytes=2000",
         "lab.ingress.limits.fields=8");
    memset(pad, 'a', sizeof(pad) - 1);
    pad[sizeof(pad) - 1] = 0;
    (void)snprintf(request, sizeof(request), "GET /%.86s HTTP/1.1\r\n" HOST "\r\n", pad);
    expect(request, 200, NULL);
    (void)snprintf(request, sizeof(request), "GET /%.87s HTTP/1.1\r\n" HOST "\r\n", pad);
    expect(request, 414, "target-too-long");
    (void)snprintf(request, sizeof(request), "GET / HTTP/1.1\r\n" HOST "X: %.1960s\r\n\r\n", pad);
    expect(request, 200, NULL);
    (void)snprintf(request, sizeof(request), "GET / HTTP/1.1\r\n" HOST "X: %.1961s\r\n\r\n", pad);
    expect(request, 431, "head-too-large");
    (void)snprintf(request, sizeof(request), "GET / HTTP/1.1\r\n" HOST "X: %.2050s", pad);
    expect(request, 431, "head-too-large"); /* not waited for */
    expect("GET / HTTP/1.1\r\n" HOST "A:1\r\nB:2\r\nC:3\r\nD:4\r\nE:5\r\nF:6\r\nG:7\r\n\r\n", 200,
           NULL);
    expect("GET / HTTP/1.1\r\n" HOST "A:1\r\nB:2\r\nC:3\r\nD:4\r\nE:5\r\nF:6\r\nG:7\r\nH:8\r\n\r\n",
           431, "too-many-fields");
}

static void a_body_limit_of_the_lab_is_413(void **state)
{
    (void)state;
    OPEN("lab.ingress.limits.bodyBytes=10");
    expect("POST /script HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n", 413, "body-too-large");
    assert_int_equal(pw.script.accepted, 0);
    expect("POST / HTTP/1.1\r\n" HOST "Content-Length: 10\r\n\r\n0123456789", 200, NULL);
}

static void refusals_name_the_line_of_the_limit(void **state)
{
    struct pg_record r;
    uint64_t missed;
    bool told = false;
    (void)state;
    OPEN("lab.ingress.limits.bodyBytes=10");
    pg_trace_set_level(pw.w.trace, PG_TRACE_FLOWS);
    uint64_t seq = pg_trace_next_seq(pw.w.trace);
    expect("POST / HTTP/1.1\r\n" HOST "Content-Length: 11\r\n\r\n", 413, NULL);
    while (pg_trace_read(pw.w.trace, &seq, &r, &missed)) {
        const struct pg_reason *why = pg_reason_get(r.reason);
        told |= strcmp(r.name, "body-too-large") == 0 && why->line == 1 &&
                strcmp(why->field, "spec.ingress.limits.bodyBytes") == 0 &&
                strcmp(why->file, "--set") == 0;
    }
    assert_true(told);
}

static void a_connection_serves_so_many_requests(void **state)
{
    static const char get[] = "GET / HTTP/1.1\r\n" HOST "\r\n";
    char bytes[5 * (sizeof(get) - 1)];
    (void)state;
    OPEN("lab.ingress.limits.requestsPerConnection=3");
    for (unsigned i = 0; i < 5; i++)
        memcpy(bytes + i * (sizeof(get) - 1), get, sizeof(get) - 1);
    struct pg_response r = pw_ask_raw(&pw, bytes, sizeof(bytes));
    unsigned answers = 0;
    for (const char *at = r.body.at; (at = strstr(at, "HTTP/1.1 200")); at++)
        answers++;
    assert_int_equal(answers, 3);
    assert_non_null(strstr(r.body.at, "Connection: close"));
    pg_response_free(&r);
}

static void a_reload_changes_them_for_open_connections(void **state)
{
    static const char get[] = "GET / HTTP/1.1\r\n" HOST "A:1\r\nB:2\r\nC:3\r\nD:4\r\nE:5\r\n"
                              "F:6\r\nG:7\r\nH:8\r\n\r\n";
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    struct script c = {0};
    (void)state;
    open_with(NULL);
    c.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &c);
    pw_run(&pw, 5);
    assert_int_equal(pg_conn_write(c.conn, get, sizeof(get) - 1), 0);
    pw_run(&pw, 20);
    assert_non_null(strstr(c.got.at, " 200 "));
    pg_text_free(&c.got);
    pw.snapshot->lab.ingress.limits.value[PG_LIMIT_FIELDS] = 8;
    pg_proxy_load(pw.proxy, pw.snapshot, pw.zone);
    assert_int_equal(pg_conn_write(c.conn, get, sizeof(get) - 1), 0);
    pw_run(&pw, 20);
    assert_non_null(strstr(c.got.at, " 431 "));
    pg_text_free(&c.got);
    pw_run(&pw, 3000);
}

/* ---- slow clients ---- */

/* Sends one byte of its body a second, or reads so much of an answer of 50 MB. */
static struct script slow_client(uint64_t read_bytes, const char *request)
{
    static const struct pg_conn_events deaf;
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    struct script c = {0};
    c.conn =
        pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, read_bytes ? &deaf : &script_events, &c);
    pw_run(&pw, 5);
    assert_int_equal(pg_conn_write(c.conn, request, (uint32_t)strlen(request)), 0);
    for (unsigned second = 0; second < 45 && pg_proxy_session_count(pw.proxy) > 0; second++) {
        pw_run(&pw, 1000);
        if (read_bytes) {
            uint64_t unread = pg_conn_unread(c.conn);
            pg_conn_consume(c.conn, unread < read_bytes ? unread : read_bytes);
        } else if (c.conn) {
            (void)pg_conn_write(c.conn, "x", 1);
        }
    }
    return c;
}

static void a_body_that_dribbles_is_given_up(void **state)
{
    (void)state;
    open_with(NULL);
    uint64_t began_us = pw.w.now_us;
    struct script c = slow_client(0, "POST / HTTP/1.1\r\n" HOST "Content-Length: 1000\r\n\r\n");
    assert_non_null(strstr(c.got.at, "408 client-too-slow"));
    assert_true(pw.w.now_us - began_us < 25 * SECOND_US);
    pg_text_free(&c.got);
}

static void a_body_that_dribbles_may_if_the_lab_says_so(void **state)
{
    (void)state;
    OPEN("lab.ingress.limits.bytesPerSecond=0");
    struct script c = slow_client(0, "POST / HTTP/1.1\r\n" HOST "Content-Length: 40\r\n\r\n");
    assert_non_null(strstr(c.got.at, "HTTP/1.1 200 "));
    pg_text_free(&c.got);
    if (c.conn)
        pg_conn_abort(c.conn);
    pw_run(&pw, 10);
}

static void who_reads_too_slowly_is_cut_off(void **state)
{
    struct pg_stack_options stack = {.send_buffer = 20000, .receive_window = 20000};
    (void)state;
    open_with(NULL);
    pw_close(&pw);
    pw_open(&pw, NULL, &stack);
    struct script c = slow_client(100, "GET /bytes/50000000 HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
    if (c.conn)
        pg_conn_abort(c.conn);
    pw_run(&pw, 10);
}

static void who_reads_fast_enough_is_not(void **state)
{
    struct pg_stack_options stack = {.send_buffer = 20000, .receive_window = 20000};
    (void)state;
    open_with(NULL);
    pw_close(&pw);
    pw_open(&pw, NULL, &stack);
    struct script c = slow_client(3000, "GET /bytes/50000000 HTTP/1.1\r\n" HOST "\r\n");
    assert_int_equal(pg_proxy_session_count(pw.proxy), 1);
    pg_conn_abort(c.conn);
    pw_run(&pw, 10);
}

static void a_slow_pod_is_not_the_clients_fault(void **state)
{
    (void)state;
    open_with(NULL);
    expect("GET /slow/25000 HTTP/1.1\r\n" HOST "\r\n", 200, NULL);
}

/* ---- trying again ---- */

static void open_refusing(uint32_t refuse, const char *set, const char *other)
{
    const char *const sets[] = {set, other, NULL};
    open_with(sets);
    pw.w.refuse = refuse;
}

static void a_refused_connection_is_tried_elsewhere(void **state)
{
    (void)state;
    open_refusing(2, "deployment/shop/web.spec.replicas=3", NULL);
    expect("POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 200, "\"bodyBytes\":3");
    assert_int_equal(pw.w.counters.value[PG_COUNT_HTTP_REQUESTS], 1);
}

static void not_without_end(void **state)
{
    (void)state;
    open_refusing(100, "deployment/shop/web.spec.replicas=3", NULL);
    expect("GET / HTTP/1.1\r\n" HOST "\r\n", 502, "upstream-refused");
    assert_int_equal(pw.w.refuse, 97);
    expect("GET / HTTP/1.1\r\n" HOST "\r\n", 502, "upstream-refused");
    assert_int_equal(pw.w.refuse, 94);
}

static void not_if_there_is_only_one(void **state)
{
    (void)state;
    open_refusing(100, NULL, NULL);
    expect("GET / HTTP/1.1\r\n" HOST "\r\n", 502, "upstream-refused");
    assert_int_equal(pw.w.refuse, 99);
}

static void as_often_as_the_lab_says(void **state)
{
    (void)state;
    open_refusing(100, "deployment/shop/web.spec.replicas=3", "lab.ingress.limits.tries=5");
    expect("GET / HTTP/1.1\r\n" HOST "\r\n", 502, "upstream-refused");
    assert_int_equal(pw.w.refuse, 95);
}

/* ---- a client that has said all ---- */

static void half_close_behind_a_request_still_gets_its_answer(void **state)
{
    static const char get[] = "GET /slow/200 HTTP/1.1\r\n" HOST "\r\n";
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    struct script c = {0};
    (void)state;
    open_with(NULL);
    c.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &c);
    pw_run(&pw, 5);
    assert_int_equal(pg_conn_write(c.conn, get, sizeof(get) - 1), 0);
    pg_conn_shutdown(c.conn);
    pw_run(&pw, 400);
    assert_non_null(strstr(c.got.at, "HTTP/1.1 200 "));
    assert_true(c.closed);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
    pg_text_free(&c.got);
}

int main(void)
{
#define T(name) cmocka_unit_test_teardown(name, tear_down)
    const struct CMUnitTest tests[] = {
        T(heads_beyond_the_limits_are_refused),
        T(a_body_limit_of_the_lab_is_413),
        T(refusals_name_the_line_of_the_limit),
        T(a_connection_serves_so_many_requests),
        T(a_reload_changes_them_for_open_connections),
        T(a_body_that_dribbles_is_given_up),
        T(a_body_that_dribbles_may_if_the_lab_says_so),
        T(who_reads_too_slowly_is_cut_off),
        T(who_reads_fast_enough_is_not),
        T(a_slow_pod_is_not_the_clients_fault),
        T(a_refused_connection_is_tried_elsewhere),
        T(not_without_end),
        T(not_if_there_is_only_one),
        T(as_often_as_the_lab_says),
        T(half_close_behind_a_request_still_gets_its_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
