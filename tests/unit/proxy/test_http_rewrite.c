/* What leaves: whole heads, before and after, for a stranger and for a trusted hop, and what the trace says about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/ingress_decide.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct pg_http_head head;
static struct pg_prefix trusted_range;
static char out[2 * PG_HTTP_MAX_HEAD];

/* Everything of ours that follows in each case. */
#define OURS(real, chain)                                                              \
    "X-Real-IP: " real "\r\nX-Forwarded-For: " chain "\r\nX-Forwarded-Proto: http\r\n" \
    "X-Forwarded-Host: a.test\r\nX-Forwarded-Port: 80\r\n\r\n"
#define ME "198.51.100.7"
#define LB "203.0.113.9"

static const struct {
    const char *name;
    const char *hop;
    const char *in;
    const char *out;
} rows[] = {
    {"plain", ME, "GET /x?y HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n\r\n",
     "GET /x?y HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n" OURS(ME, ME)},
    {"Host comes first", ME, "GET / HTTP/1.1\r\nAccept: */*\r\nHost: a.test\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\n" OURS(ME, ME)},
    {"Host byte for byte", ME, "GET / HTTP/1.1\r\nhOST:  A.Test:8080 \r\n\r\n",
     "GET / HTTP/1.1\r\nHost: A.Test:8080\r\nX-Real-IP: " ME "\r\nX-Forwarded-For: " ME
     "\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: A.Test:8080\r\nX-Forwarded-Port: "
     "80\r\n\r\n"},
    {"identity of a stranger goes", ME,
     "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 1\r\n"
     "X-Real-IP: 1.2.3.4\r\nX-REAL_IP: 1\r\nForwarded: for=1.2.3.4\r\nX-Forwarded-Proto: https\r\n"
     "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 1\r\nX-Forwarded-Prefix: /e\r\nProxy: x\r\n"
     "X-Scheme: https\r\nX-Original-Forwarded-For: 1\r\nX-Keep: me\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a.test\r\nX-Keep: me\r\n" OURS(ME, ME)},
    {"chain of a trusted hop is extended, on one line", LB,
     "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 9.9.9.9 ,1.2.3.4\r\nAccept: */*\r\n"
     "X-Forwarded-For: 203.0.113.1\r\nForwarded: for=x\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a.test\r\nAccept: */*\r\nForwarded: for=x\r\n" OURS(
         "1.2.3.4", "9.9.9.9, 1.2.3.4, 203.0.113.1, " LB)},
    {"trusted proto, host and port", LB,
     "GET / HTTP/1.1\r\nHost: in.test\r\nX-Forwarded-Proto: https\r\n"
     "X-Forwarded-Host: out.test, x\r\nX-Forwarded-Port: 443\r\nX_Forwarded_Proto: x\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: in.test\r\nX-Real-IP: " LB "\r\nX-Forwarded-For: " LB "\r\n"
     "X-Forwarded-Proto: https\r\nX-Forwarded-Host: out.test\r\nX-Forwarded-Port: 443\r\n\r\n"},
    {"trusted, but nonsense", LB,
     "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-Proto: wss\r\nX-Forwarded-Port: 70000\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a.test\r\n" OURS(LB, LB)},
    {"hop-by-hop goes", ME,
     "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: keep-alive, X-Hop, Authorization, Cookie\r\n"
     "X-Hop: 1\r\nAuthorization: b\r\nCookie: c\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\n"
     "TE: trailers\r\nTrailer: x\r\nUpgrade: h2c\r\nProxy-Authorization: x\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a.test\r\nAuthorization: b\r\nCookie: c\r\n" OURS(ME, ME)},
    {"Connection can not remove what we write", ME,
     "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: X-Forwarded-For, X-Real-IP, Host\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a.test\r\n" OURS(ME, ME)},
    {"Connection can not remove a trusted chain", LB,
     "GET / HTTP/1.1\r\nHost: a.test\r\nConnection: X-Forwarded-For\r\nX-Forwarded-For: "
     "1.2.3.4\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a.test\r\n" OURS("1.2.3.4", "1.2.3.4, " LB)},
    {"length is written from the number", ME,
     "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 007\r\nExpect: 100-continue\r\n\r\n",
     "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 7\r\n" OURS(ME, ME)},
    {"no body, but a length", ME, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
     "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n" OURS(ME, ME)},
    {"chunked", ME, "POST / HTTP/1.1\r\nHost: a.test\r\ntransfer-encoding: Chunked\r\n\r\n",
     "POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n" OURS(ME, ME)},
    {"path is normalised", ME,
     "GET /a/%2e%2E/./b%7e/%2F//c/..?q=%2e HTTP/1.1\r\nHost: a.test\r\n\r\n",
     "GET /b~/%2F/?q=%2e HTTP/1.1\r\nHost: a.test\r\n" OURS(ME, ME)},
    {"path can not climb out", ME, "GET /../../etc HTTP/1.1\r\nHost: a.test\r\n\r\n",
     "GET /etc HTTP/1.1\r\nHost: a.test\r\n" OURS(ME, ME)},
    {"absolute-form", ME, "GET http://a.test/p HTTP/1.1\r\nHost: A.test:80\r\n\r\n",
     "GET /p HTTP/1.1\r\nHost: a.test\r\n" OURS(ME, ME)},
    {"absolute-form without path", ME, "GET http://a.test HTTP/1.1\r\nHost: a.test\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a.test\r\n" OURS(ME, ME)},
    {"asterisk", ME, "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n\r\n",
     "OPTIONS * HTTP/1.1\r\nHost: a.test\r\n" OURS(ME, ME)},
    {"HTTP/1.0 without Host", ME, "GET / HTTP/1.0\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\nX-Real-IP: " ME "\r\nX-Forwarded-For: " ME
     "\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Port: 80\r\n\r\n"},
    {"IPv6 client", "2001:db8::7", "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
     "GET / HTTP/1.1\r\nHost: a.test\r\n" OURS("2001:db8::7", "2001:db8::7")},
};

static int64_t rewrite(const char *bytes, const char *hop_text, struct pg_trace *trace,
                       const char *request_id, uint32_t room)
{
    struct pg_http_scan scan = {0};
    enum pg_http_error error;
    struct pg_addr hop;
    struct pg_client_addr who;
    const struct pg_trust trust = {.trusted = &trusted_range, .trusted_count = 1};
    assert_int_equal(
        pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, (uint32_t)strlen(bytes), &head, &error), 0);
    assert_int_equal(pg_addr_parse(hop_text, strlen(hop_text), &hop), 0);
    pg_client_addr_decide(&trust, &hop, &head, bytes, &who);
    struct pg_http_rewrite_in in = {.head = &head,
                                    .bytes = bytes,
                                    .who = &who,
                                    .local = pg_addr_v4(192, 0, 2, 1),
                                    .local_port = 80,
                                    .scheme = "http",
                                    .body = head.body,
                                    .content_length = head.content_length,
                                    .trace = trace,
                                    .label = 7};
    (void)snprintf(in.request_id, sizeof(in.request_id), "%s", request_id);
    return pg_http_rewrite(&in, out, room);
}

static void every_head_leaves_as_it_should(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t len = rewrite(rows[i].in, rows[i].hop, NULL, "", sizeof(out));
        assert_true(len > 0);
        out[len] = 0;
        if (strcmp(out, rows[i].out) != 0)
            fail_msg("%s:\n%s\ninstead of\n%s", rows[i].name, out, rows[i].out);
    }
}

static void no_room_is_said_and_nothing_is_overrun(void **state)
{
    const char *bytes = rows[0].in;
    int64_t len = rewrite(bytes, ME, NULL, "", sizeof(out));
    for (uint32_t room = 0; room < (uint32_t)len; room++) {
        memset(out, 'x', sizeof(out));
        assert_int_equal(rewrite(bytes, ME, NULL, "", room), -ENOSPC);
        assert_int_equal(out[room], 'x');
    }
    assert_int_equal(rewrite(bytes, ME, NULL, "", (uint32_t)len), len);
}

static void request_id_is_made_only_when_absent(void **state)
{
    int64_t len = rewrite("GET / HTTP/1.1\r\nHost: a\r\n\r\n", ME, NULL, "abc", sizeof(out));
    out[len] = 0;
    assert_non_null(strstr(out, "\r\nX-Request-ID: abc\r\n"));
    len = rewrite("GET / HTTP/1.1\r\nHost: a\r\nx-request-id: mine\r\n\r\n", ME, NULL, "abc",
                  sizeof(out));
    out[len] = 0;
    assert_non_null(strstr(out, "\r\nx-request-id: mine\r\n"));
    assert_null(strstr(out, "abc"));
}

/* ---- records ---- */

static const char *text_of(const struct pg_value *v, char room[128])
{
    if (!v->is_text)
        return "-";
    (void)snprintf(room, 128, "%.*s", (int)v->len, v->text);
    return room;
}

static void each_change_has_a_record(void **state)
{
    static const char *const want[] = {
        "target X target: /a/../b => /b",         "header X Connection: close => -",
        "header X X-Forwarded-For: 1.2.3.4 => -", "header X Content-Length: 05 => 5",
        "header X X-Real-IP: - => 198.51.100.7",  "header X X-Forwarded-For: - => 198.51.100.7",
        "header X X-Forwarded-Proto: - => http",  "header X X-Forwarded-Host: - => a.test",
        "header X X-Forwarded-Port: - => 80",     "header X X-Request-ID: - => id",
    };
    struct pg_trace *trace = pg_trace_new(64);
    pg_trace_set_level(trace, PG_TRACE_FLOWS);
    (void)rewrite("PUT /a/../b HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n"
                  "X-Forwarded-For: 1.2.3.4\r\nContent-Length: 05\r\n\r\n",
                  ME, trace, "id", sizeof(out));
    uint64_t seq = 1, missed;
    struct pg_record r;
    size_t count = 0;
    while (pg_trace_read(trace, &seq, &r, &missed)) {
        char line[400], before[128], after[128];
        assert_int_equal(r.label, 7);
        assert_int_equal(r.stage, PG_STAGE_HTTP_REWRITE);
        (void)snprintf(line, sizeof(line), "%s X %s: %s => %s",
                       pg_field_name((enum pg_field)r.field), r.name, text_of(&r.before, before),
                       text_of(&r.after, after));
        assert_true(count < sizeof(want) / sizeof(want[0]));
        assert_string_equal(line, want[count++]);
    }
    assert_int_equal(count, sizeof(want) / sizeof(want[0]));
    pg_trace_free(trace);
}

static void nothing_is_recorded_when_nobody_watches(void **state)
{
    struct pg_trace *trace = pg_trace_new(64);
    (void)rewrite(rows[3].in, ME, trace, "id", sizeof(out));
    assert_int_equal(pg_trace_next_seq(trace), 1);
    pg_trace_free(trace);
}

/* ---- responses ---- */

static const struct {
    const char *name;
    const char *in;
    enum pg_http_body body;
    bool http10, keep;
    const char *out;
} responses[] = {
    {"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\n", PG_HTTP_BODY_LENGTH, false,
     true, "HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\n"},
    {"close", "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", PG_HTTP_BODY_LENGTH, false, false,
     "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"},
    {"keep-alive for 1.0", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", PG_HTTP_BODY_LENGTH,
     true, true, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\n"},
    {"hop-by-hop",
     "HTTP/1.1 200 OK\r\nConnection: close, X-A\r\nX-A: b\r\nKeep-Alive: 5\r\n"
     "Upgrade: h2\r\nTrailer: t\r\nContent-Length: 3\r\n\r\n",
     PG_HTTP_BODY_LENGTH, false, true, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"},
    {"until close becomes chunks", "HTTP/1.1 200 OK\r\n\r\n", PG_HTTP_BODY_CHUNKED, false, true,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
    {"304 keeps its length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
     PG_HTTP_BODY_NONE, false, true, "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"},
    {"204 has none", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", PG_HTTP_BODY_NONE,
     false, true, "HTTP/1.1 204 No Content\r\n\r\n"},
    {"103", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", PG_HTTP_BODY_NONE, false, false,
     "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"},
    {"empty phrase", "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n", PG_HTTP_BODY_NONE, false, true,
     "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"},
};

static void every_response_leaves_as_it_should(void **state)
{
    for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
        struct pg_http_scan scan = {0};
        enum pg_http_error error;
        const char *bytes = responses[i].in;
        assert_int_equal(
            pg_http_parse(PG_HTTP_RESPONSE, &scan, bytes, (uint32_t)strlen(bytes), &head, &error),
            0);
        int64_t len = pg_http_rewrite_response(&head, bytes, responses[i].body, head.content_length,
                                               responses[i].http10, responses[i].keep, NULL, 0,
                                               NULL, out, sizeof(out));
        assert_true(len > 0);
        out[len] = 0;
        if (strcmp(out, responses[i].out) != 0)
            fail_msg("%s:\n%s", responses[i].name, out);
    }
}

static int set_up(void **state)
{
    return pg_prefix_parse("203.0.113.0/24", 14, &trusted_range);
}

static int tear_down(void **state)
{
    pg_reason_forget_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_head_leaves_as_it_should),
        cmocka_unit_test(no_room_is_said_and_nothing_is_overrun),
        cmocka_unit_test(request_id_is_made_only_when_absent),
        cmocka_unit_test(each_change_has_a_record),
        cmocka_unit_test(nothing_is_recorded_when_nobody_watches),
        cmocka_unit_test(every_response_leaves_as_it_should),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
