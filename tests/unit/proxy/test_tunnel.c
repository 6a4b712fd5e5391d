/* WebSocket tunnels: who gets one, what passes through it, and how it ends. */
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
#define ASK(connection, upgrade)                                                  \
    "GET /script HTTP/1.1\r\n" HOST connection upgrade "Sec-WebSocket-Key: k\r\n" \
    "Sec-WebSocket-Version: 13\r\n\r\n"
#define RIGHT ASK("Connection: keep-alive, Upgrade\r\n", "Upgrade: WebSocket\r\n")
#define AGREED                                                               \
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: " \
    "Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n"

static struct proxy_world pw;
static struct script client;

static int set_up(void **state)
{
    (void)state;
    pw_open(&pw, NULL, NULL);
    client = (struct script){0};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (client.conn)
        pg_conn_abort(client.conn);
    pg_text_free(&client.got);
    pw_close(&pw);
    return 0;
}

static void reopen(const struct pg_proxy_options *options, const struct pg_stack_options *stack)
{
    pw_close(&pw);
    pw_open(&pw, options, stack);
}

static void say(struct script *who, const char *text)
{
    assert_non_null(who->conn);
    assert_int_equal(pg_conn_write(who->conn, text, (uint32_t)strlen(text)), 0);
    pw_run(&pw, 10);
}

static void connect_client(void)
{
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    client.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &client);
    pw_run(&pw, 5);
}

/* What came since the last look is exactly that. */
static void expect_got(struct script *who, const char *text)
{
    if (!who->got.at || strcmp(who->got.at, text) != 0)
        fail_msg("got %s instead of %s", who->got.at ? who->got.at : "nothing", text);
    pg_text_free(&who->got);
}

static void open_tunnel(void)
{
    pw.script.answers[pw.script.next] = AGREED;
    connect_client();
    say(&client, RIGHT);
    assert_non_null(client.got.at);
    assert_non_null(strstr(client.got.at, "HTTP/1.1 101 "));
    pg_text_free(&client.got);
    pg_text_free(&pw.script.got);
}

/* ---- opening ---- */

static void handshake_passes_and_is_written_anew(void **state)
{
    (void)state;
    pw.script.answers[0] = AGREED;
    connect_client();
    say(&client, RIGHT);
    const char *up = pw.script.got.at;
    assert_non_null(strstr(up, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"));
    assert_non_null(strstr(up, "\r\nSec-WebSocket-Key: k\r\n"));
    assert_null(strstr(up, "keep-alive"));
    const char *down = client.got.at;
    assert_int_equal(strncmp(down, "HTTP/1.1 101 Switching Protocols\r\n", 34), 0);
    assert_non_null(strstr(down, "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"));
    assert_non_null(strstr(down, "\r\nSec-WebSocket-Accept: a\r\n"));
    assert_int_equal(pw.w.counters.value[PG_COUNT_HTTP_TUNNELS], 1);
}

static void bytes_pass_unread_from_the_first_on(void **state)
{
    (void)state;
    pw.script.answers[0] = AGREED "\x81\x05hello";
    connect_client();
    say(&client, RIGHT "GET /gone HTTP/1.1\r\n\r\n"); /* no request: the pod agreed to switch */
    assert_non_null(strstr(client.got.at, "\r\n\r\n\x81\x05hello"));
    assert_non_null(strstr(pw.script.got.at, "13\r\n"));
    const char *behind = strstr(pw.script.got.at, "\r\n\r\n");
    assert_string_equal(behind + 4, "GET /gone HTTP/1.1\r\n\r\n");
    pg_text_free(&client.got);
    pg_text_free(&pw.script.got);
    say(&client, "HTTP/1.1 200 OK\r\n\r\n\n");
    expect_got(&pw.script, "HTTP/1.1 200 OK\r\n\r\n\n");
    say(&pw.script, "GET /");
    expect_got(&client, "GET /");
}

static void a_pod_that_does_not_want_to_is_just_answered(void **state)
{
    (void)state;
    pw.script.answers[0] = "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n";
    pw.script.answers[1] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    connect_client();
    say(&client, RIGHT);
    assert_non_null(strstr(client.got.at, "HTTP/1.1 426 "));
    say(&client, "GET /script HTTP/1.1\r\n" HOST "\r\n");
    assert_non_null(strstr(client.got.at, "HTTP/1.1 200 OK\r\n"));
    assert_int_equal(pw.script.accepted, 1);
}

static const struct {
    const char *name;
    const char *request;
} wrong[] = {
    {"no Connection", ASK("", "Upgrade: websocket\r\n")},
    {"Connection without upgrade", ASK("Connection: keep-alive\r\n", "Upgrade: websocket\r\n")},
    {"no Upgrade", ASK("Connection: upgrade\r\n", "")},
    {"h2c",
     ASK("Connection: upgrade, http2-settings\r\n", "Upgrade: h2c\r\nHTTP2-Settings: AA\r\n")},
    {"h2c beside websocket", ASK("Connection: upgrade\r\n", "Upgrade: h2c, websocket\r\n")},
    {"two Upgrades", ASK("Connection: upgrade\r\n", "Upgrade: websocket\r\nUpgrade: h2c\r\n")},
    {"something else", ASK("Connection: upgrade\r\n", "Upgrade: tls/1.3\r\n")},
    {"POST", "POST /script HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
    {"HTTP/1.0",
     "GET /script HTTP/1.0\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"},
    {"a body", "GET /script HTTP/1.1\r\n" HOST
               "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\nx"},
    {"a chunked body",
     "GET /script HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n"
     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
};

/* The pod is not asked, and if it switches all the same, that is its mistake. */
static void who_does_not_ask_rightly_gets_no_tunnel(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        pw.script.answers[0] = AGREED;
        pw.script.next = 0;
        struct pg_response r = pw_ask(&pw, wrong[i].request);
        const char *up = pw.script.got.at;
        if (r.status != 502 || !up || strcasestr(up, "\r\nupgrade:") ||
            strcasestr(up, "\r\nconnection:") || strcasestr(up, "\r\nhttp2-settings:"))
            fail_msg("%s: status %u, pod got %s", wrong[i].name, r.status, up ? up : "nothing");
        pg_response_free(&r);
        pg_text_free(&pw.script.got);
    }
    assert_int_equal(pw.w.counters.value[PG_COUNT_HTTP_TUNNELS], 0);
}

static void a_101_of_another_protocol_is_502(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        pw.script.answers[0] = answers[i];
        pw.script.next = 0;
        struct pg_response r = pw_ask(&pw, RIGHT);
        assert_int_equal(r.status, 502);
        pg_response_free(&r);
    }
}

/* ---- ends ---- */

static void a_half_close_is_passed_on(void **state)
{
    (void)state;
    open_tunnel();
    assert_int_equal(pg_conn_write(client.conn, "bye", 3), 0);
    pg_conn_shutdown(client.conn);
    pw_run(&pw, 10);
    expect_got(&pw.script, "bye");
    assert_true(
        pw.script.closed); /* its end came behind its last byte, and the script closed too */
    pw_run(&pw, 10);
    assert_true(client.closed);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
    assert_int_equal(pg_proxy_idle_upstreams(pw.proxy), 0);
}

static void the_pods_end_reaches_the_client(void **state)
{
    (void)state;
    open_tunnel();
    assert_int_equal(pg_conn_write(pw.script.conn, "bye", 3), 0);
    pg_conn_close(pw.script.conn);
    pw.script.conn = NULL;
    pw_run(&pw, 20);
    expect_got(&client, "bye");
    assert_true(client.closed);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
}

static void resets_are_passed_on(void **state)
{
    (void)state;
    open_tunnel();
    pg_conn_abort(client.conn);
    client.conn = NULL;
    pw_run(&pw, 10);
    assert_true(pw.script.closed);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
    pw.script.closed = false;
    open_tunnel();
    pg_conn_abort(pw.script.conn);
    pw.script.conn = NULL;
    pw_run(&pw, 10);
    assert_true(client.closed);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
}

static void silence_ends_it_and_bytes_keep_it(void **state)
{
    struct pg_proxy_options options = {.tunnel_timeout_ms = 300, .response_timeout_ms = 100};
    (void)state;
    reopen(&options, NULL);
    open_tunnel();
    for (unsigned i = 0; i < 5; i++) {
        pw_run(&pw, 200);
        say(i % 2 ? &client : &pw.script, "x");
    }
    assert_false(client.closed);
    pw_run(&pw, 400);
    assert_true(client.closed && pw.script.closed);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
}

static void an_end_that_stays_alone_is_given_up_sooner(void **state)
{
    static const struct pg_conn_events deaf;
    struct pg_proxy_options options = {.tunnel_timeout_ms = 100000, .response_timeout_ms = 200};
    (void)state;
    reopen(&options, NULL);
    open_tunnel();
    pg_conn_own(pw.script.conn, &deaf, &pw);
    pg_conn_shutdown(client.conn);
    pw_run(&pw, 100);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 1);
    pw_run(&pw, 300);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
    pg_conn_abort(pw.script.conn);
    pw.script.conn = NULL;
}

static void reload_and_drain_leave_it_alone(void **state)
{
    (void)state;
    open_tunnel();
    pg_proxy_load(pw.proxy, pw.snapshot, pw.zone);
    say(&client, "one");
    expect_got(&pw.script, "one");
    pg_proxy_drain(pw.proxy);
    say(&pw.script, "two");
    expect_got(&client, "two");
    assert_int_equal(pg_proxy_session_count(pw.proxy), 1);
    pg_conn_close(client.conn);
    client.conn = NULL;
    pw_run(&pw, 20);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
}

/* ---- much at once ---- */

static void back_pressure_holds_both_sides(void **state)
{
    struct pg_stack_options options = {.send_buffer = 65536, .receive_window = 65535};
    static const struct pg_conn_events deaf;
    static char block[30000];
    uint64_t sent = 0;
    (void)state;
    reopen(NULL, &options);
    open_tunnel();
    struct pg_conn *c = client.conn;
    pg_conn_own(c, &deaf, &pw);
    memset(block, 'x', sizeof(block));
    for (unsigned i = 0; i < 200; i++) {
        if (pg_conn_write(pw.script.conn, block, sizeof(block)) == 0)
            sent += sizeof(block);
        pw_run(&pw, 5);
    }
    assert_true(sent < 5 * 65536);
    assert_true(pg_stack_held_bytes(pw.w.stack) < 3 * 65536);
    uint64_t got = 0;
    for (unsigned i = 0; i < 200; i++) {
        got += pg_conn_unread(c);
        pg_conn_consume(c, pg_conn_unread(c));
        pw_run(&pw, 5);
    }
    assert_int_equal(got, sent);
}

static void both_ways_at_once_over_a_lossy_wire(void **state)
{
    struct pg_stack_options options = {.send_buffer = 6000, .receive_window = 5000};
    struct end a = {.to_send = 200000, .shuts_down = true},
               b = {.to_send = 150000, .shuts_down = true};
    (void)state;
    reopen(NULL, &options);
    open_tunnel();
    struct pg_conn *up = pw.script.conn, *down = client.conn;
    client.conn = pw.script.conn = NULL;
    pw.w.loss = 100;
    pw.w.delay_us = 500;
    end_accept(&a, down);
    end_accept(&b, up);
    end_pump(&a);
    end_pump(&b);
    for (unsigned i = 0; i < 400 && !(a.closed && b.closed) && !(a.ended && b.ended); i++)
        pw_run(&pw, 100);
    assert_false(a.wrong || b.wrong);
    assert_int_equal(a.received, 150000);
    assert_int_equal(b.received, 200000);
    pw_run(&pw, 1000);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
}

/* ---- looking at it ---- */

static void see(void *arg, const struct pg_session_view *view)
{
    *(struct pg_session_view *)arg = *view;
    assert_string_equal(view->state, "tunnel");
}

static void it_is_in_tables_and_records(void **state)
{
    struct pg_session_view view = {0};
    uint64_t cursor = 0, missed;
    struct pg_record r;
    bool ended = false;
    (void)state;
    pg_trace_set_level(pw.w.trace, PG_TRACE_FLOWS);
    uint64_t seq = pg_trace_next_seq(pw.w.trace);
    open_tunnel();
    assert_false(pg_proxy_walk(pw.proxy, &cursor, 100, pw.w.now_us, see, &view));
    assert_true(view.has_upstream);
    assert_int_equal(view.last_status, 101);
    say(&client, "four");
    say(&pw.script, "seven77");
    pg_conn_close(client.conn);
    client.conn = NULL;
    pw_run(&pw, 20);
    while (pg_trace_read(pw.w.trace, &seq, &r, &missed))
        ended |= strcmp(r.name, "tunnel-end") == 0 && r.after.len == 30 &&
                 memcmp(r.after.text, "both ends closed, 4 up, 7 down", 30) == 0;
    assert_true(ended);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(handshake_passes_and_is_written_anew),
        T(bytes_pass_unread_from_the_first_on),
        T(a_pod_that_does_not_want_to_is_just_answered),
        T(who_does_not_ask_rightly_gets_no_tunnel),
        T(a_101_of_another_protocol_is_502),
        T(a_half_close_is_passed_on),
        T(the_pods_end_reaches_the_client),
        T(resets_are_passed_on),
        T(silence_ends_it_and_bytes_keep_it),
        T(an_end_that_stays_alone_is_given_up_sooner),
        T(reload_and_drain_leave_it_alone),
        T(back_pressure_holds_both_sides),
        T(both_ways_at_once_over_a_lossy_wire),
        T(it_is_in_tables_and_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
