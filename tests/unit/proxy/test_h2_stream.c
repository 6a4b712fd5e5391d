/* Streams of HTTP/2 whose frames are written by hand, at the client's end and at the pod's: what becomes of trailers and resets, and of a request to a pod that refuses or leaves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy_internal.h"
#include "proxy_world.h"

#include <errno.h>

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, GOAWAY = 7 };
enum { END_STREAM = 1, END_HEADERS = 4 };

static struct proxy_world pw;
static struct script client;

static void open_world(const struct pg_proxy_options *options)
{
    pw_sets[0] = "svc/shop/script.ports.http.appProtocol=kubernetes.io/h2c";
    pw_sets[1] = "Lab/lab.ingress.h2c=true";
    pw_open(&pw, options, NULL);
    pw_sets[0] = pw_sets[1] = NULL;
    client = (struct script){0};
    pg_trace_set_level(pw.w.trace, PG_TRACE_FLOWS);
}

static int set_up(void **state)
{
    (void)state;
    open_world(NULL);
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

static void send_bytes(struct pg_conn *c, const void *bytes, size_t len)
{
    assert_non_null(c);
    assert_int_equal(pg_conn_write(c, bytes, (uint32_t)len), 0);
}

/* A frame of stream 1; SETTINGS and GOAWAY: of the connection. */
static void send_frame(struct pg_conn *c, int type, int flags, const char *payload, size_t len)
{
    const uint8_t head[9] = {0, 0, (uint8_t)len,   (uint8_t)type, (uint8_t)flags, 0,
                             0, 0, type < SETTINGS};
    send_bytes(c, head, sizeof(head));
    if (len > 0)
        send_bytes(c, payload, len);
}

/* The payload of the first frame of that type of a stream. NULL: none came. */
static const uint8_t *find_frame_of(const struct pg_text *got, size_t from, int type, int id)
{
    const uint8_t *at = (const uint8_t *)got->at;
    while (from + 9 <= got->len) {
        size_t len = (size_t)at[from] << 16 | (size_t)at[from + 1] << 8 | at[from + 2];
        if (at[from + 3] == type && at[from + 8] == id)
            return at + from + 9;
        from += 9 + len;
    }
    return NULL;
}

static const uint8_t *find_frame(const struct pg_text *got, size_t from, int type)
{
    return find_frame_of(got, from, type, 1);
}

static uint32_t reset_code(const struct pg_text *got, size_t from)
{
    const uint8_t *at = find_frame(got, from, RST_STREAM);
    if (!at)
        fail_msg("no reset came");
    return at ? (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3] : 0;
}

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static void connect_client(void)
{
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    client.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &client);
    pw_run(&pw, 5);
    send_bytes(client.conn, PREFACE, sizeof(PREFACE) - 1);
    send_frame(client.conn, SETTINGS, 0, NULL, 0);
    pw_run(&pw, 5);
}

/* GET /script on shop.test, by HPACK's static table (RFC 7541 A). */
static void ask(void)
{
    static const char fields[] = "\x82\x86\x04\x07/script\x01\x09shop.test";
    send_frame(client.conn, HEADERS, END_HEADERS | END_STREAM, fields, sizeof(fields) - 1);
    pw_run(&pw, 10);
}

/* The pod begins to answer: 200, and a length unless it is to go on. */
static void answer(bool length)
{
    static const char fields[] = "\x88\x0f\x0d\x01"
                                 "2";
    send_frame(pw.script.conn, SETTINGS, 0, NULL, 0);
    send_frame(pw.script.conn, HEADERS, END_HEADERS, fields, length ? sizeof(fields) - 1 : 1);
    pw_run(&pw, 10);
}

static uint32_t trailer_records(const char *name, uint8_t direction)
{
    struct pg_record r;
    uint64_t seq = 0, missed = 0;
    uint32_t count = 0;
    while (pg_trace_read(pw.w.trace, &seq, &r, &missed)) {
        if (r.kind == PG_RECORD_REWRITE && r.field == PG_FIELD_TRAILER &&
            strcmp(r.name, name) == 0 && r.direction == direction &&
            pg_reason_get(r.reason)->code == PG_CODE_TRAILER_NO_PLACE)
            count++;
    }
    return count;
}

static void a_trailer_behind_a_length_has_a_record(void **state)
{
    static const char trailer[] = "\x00\x05x-sum\x01"
                                  "6";
    (void)state;
    connect_client();
    ask();
    answer(true);
    send_frame(pw.script.conn, DATA, 0, "ok", 2);
    send_frame(pw.script.conn, HEADERS, END_HEADERS | END_STREAM, trailer, sizeof(trailer) - 1);
    pw_run(&pw, 10);
    assert_memory_equal(find_frame(&client.got, 0, DATA), "ok", 2);
    assert_null(find_frame(&client.got, 0, RST_STREAM));
    assert_int_equal(trailer_records("x-sum", 1), 1);
}

/* Codes of RFC 9113 7. What a pod says of the request reaches the client; what it says of our connection, or once it has begun to answer, that it did nothing, does not. */
static void a_pods_reset_reaches_the_client(void **state)
{
    static const struct {
        uint16_t pod, client;
    } rows[] = {
        {8, 8}, {0xb, 0xb}, {2, 2}, {0, 2}, {7, 2}, {1, 2}, {3, 2}, {0xd, 2}, {0x1234, 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const char code[4] = {0, 0, (char)(rows[i].pod >> 8), (char)rows[i].pod};
        connect_client();
        ask();
        answer(false);
        send_frame(pw.script.conn, RST_STREAM, 0, code, sizeof(code));
        pw_run(&pw, 10);
        assert_non_null(find_frame(&client.got, 0, HEADERS));
        if (reset_code(&client.got, 0) != rows[i].client)
            fail_msg("%x is told as %x", rows[i].pod, reset_code(&client.got, 0));
        (void)tear_down(NULL);
        open_world(NULL);
    }
}

static void a_lost_connection_to_the_pod_is_an_internal_error(void **state)
{
    (void)state;
    connect_client();
    ask();
    answer(false);
    pg_conn_abort(pw.script.conn);
    pw.script.conn = NULL;
    pw_run(&pw, 10);
    assert_int_equal(reset_code(&client.got, 0), 2);
}

static void a_stream_without_a_session_is_refused(void **state)
{
    struct pg_addr from = pg_addr_v4(198, 51, 100, 8), to = pg_addr_v4(192, 0, 2, 1);
    struct script other = {0};
    (void)state;
    (void)tear_down(NULL);
    open_world(&(struct pg_proxy_options){.session_limit = 1});
    connect_client();
    other.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &other);
    pw_run(&pw, 5);
    ask();
    assert_int_equal(reset_code(&client.got, 0), 7);
    assert_int_equal(pw.script.accepted, 0);
    pg_conn_abort(other.conn);
    pw_run(&pw, 5);
}

static void a_client_that_takes_back_its_request_is_told_to_the_pod(void **state)
{
    static const char code[4] = {0, 0, 0, 8};
    (void)state;
    connect_client();
    ask();
    answer(false);
    send_frame(client.conn, RST_STREAM, 0, code, sizeof(code));
    pw_run(&pw, 10);
    assert_int_equal(reset_code(&pw.script.got, sizeof(PREFACE) - 1), 8);
    assert_null(find_frame(&client.got, 0, RST_STREAM));
}

/* A length that the pod tells, and trailers that it announces: both go on, the body in chunks. */
static void an_announced_trailer_passes(void **state)
{
    static const char fields[] = "\x88\x0f\x0d\x01"
                                 "2\x00\x07trailer\x05x-sum";
    static const char trailer[] = "\x00\x05x-sum\x01"
                                  "6";
    (void)state;
    connect_client();
    ask();
    send_frame(pw.script.conn, SETTINGS, 0, NULL, 0);
    send_frame(pw.script.conn, HEADERS, END_HEADERS, fields, sizeof(fields) - 1);
    send_frame(pw.script.conn, DATA, 0, "ok", 2);
    send_frame(pw.script.conn, HEADERS, END_HEADERS | END_STREAM, trailer, sizeof(trailer) - 1);
    pw_run(&pw, 10);
    const uint8_t *sent = find_frame(&client.got, 0, DATA);
    assert_non_null(sent);
    assert_memory_equal(sent, "ok", 2);
    size_t behind = (size_t)(sent + 2 - (const uint8_t *)client.got.at);
    assert_non_null(find_frame(&client.got, behind, HEADERS));
    assert_int_equal(trailer_records("x-sum", 1), 0);
}

static void a_request_that_the_pod_refused_is_sent_again(void **state)
{
    static const char code[4] = {0, 0, 0, 7};
    (void)state;
    connect_client();
    ask();
    send_frame(pw.script.conn, SETTINGS, 0, NULL, 0);
    send_frame(pw.script.conn, RST_STREAM, 0, code, sizeof(code));
    pw_run(&pw, 10);
    assert_non_null(find_frame_of(&pw.script.got, sizeof(PREFACE) - 1, HEADERS, 3));
    assert_int_equal(pw.script.accepted, 1);
    assert_null(find_frame(&client.got, 0, HEADERS)); /* the client waits */
}

/* Of the streams that a pod has not looked at when it leaves, GOAWAY tells by their number. */
static void a_request_that_a_leaving_pod_did_not_look_at_goes_to_another_connection(void **state)
{
    static const char none_looked_at[8] = {0};
    (void)state;
    connect_client();
    ask();
    send_frame(pw.script.conn, SETTINGS, 0, NULL, 0);
    send_frame(pw.script.conn, GOAWAY, 0, none_looked_at, sizeof(none_looked_at));
    pw_run(&pw, 10);
    assert_int_equal(pw.script.accepted, 2);
    assert_null(find_frame(&client.got, 0, HEADERS));
    answer(false);
    assert_non_null(find_frame(&client.got, 0, HEADERS));
}

static void a_pod_that_leaves_gets_no_new_streams(void **state)
{
    static const char first_looked_at[8] = {0, 0, 0, 1};
    static const char request[] = "GET /script HTTP/1.1\r\nHost: shop.test\r\n\r\n";
    struct asked other;
    (void)state;
    connect_client();
    ask();
    answer(false);
    send_frame(pw.script.conn, GOAWAY, 0, first_looked_at, sizeof(first_looked_at));
    pw_run(&pw, 10);
    assert_int_equal(pw.script.accepted, 1);
    pw_start(&pw, &other, "198.51.100.8", request, sizeof(request) - 1, false);
    pw_run(&pw, 10);
    assert_int_equal(pw.script.accepted, 2);
    assert_false(other.done);
    answer(true);
    send_frame(pw.script.conn, DATA, END_STREAM, "ok", 2);
    pw_run(&pw, 10);
    assert_true(other.done);
    assert_int_equal(other.response.status, 200);
    pg_response_free(&other.response);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_trailer_behind_a_length_has_a_record),
        T(a_pods_reset_reaches_the_client),
        T(a_lost_connection_to_the_pod_is_an_internal_error),
        T(a_stream_without_a_session_is_refused),
        T(a_client_that_takes_back_its_request_is_told_to_the_pod),
        T(an_announced_trailer_passes),
        T(a_request_that_the_pod_refused_is_sent_again),
        T(a_request_that_a_leaving_pod_did_not_look_at_goes_to_another_connection),
        T(a_pod_that_leaves_gets_no_new_streams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
