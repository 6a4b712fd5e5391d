/* Fields behind a body: which go on, what the records say, and how they pass a session however they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/ingress_decide.h"
#include "proxy_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define END "\r\n"

static const struct {
    const char *name;
    const char *in;
    bool keep;
    const char *out;
} rows[] = {
    {"none", END, true, "0\r\n\r\n"},
    {"dropped", "X-Sum: 1\r\nY: 2\r\n" END, false, "0\r\n\r\n"},
    {"kept", "X-Sum: 1\r\nY: 2\r\n" END, true, "0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"},
    {"kept byte for byte but for blanks around", "grpc-Message:\t a: b\t\r\nE:\r\n" END, true,
     "0\r\ngrpc-Message: a: b\r\nE: \r\n\r\n"},
    {"framing", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\nTE: x\r\n" END,
     true, "0\r\n\r\n"},
    {"framing by another name", "Content_Length: 5\r\nTRANSFER_ENCODING: chunked\r\n" END, true,
     "0\r\n\r\n"},
    {"routing", "Host: evil.test\r\nX-Forwarded-Host: evil.test\r\n" END, true, "0\r\n\r\n"},
    {"authentication", "Authorization: b\r\nCookie: c\r\nSet-Cookie: c\r\n" END, true, "0\r\n\r\n"},
    {"who is asking",
     "X-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 1\r\nForwarded: for=1\r\nX-Real-IP: "
     "1\r\nVia: x\r\n" END,
     true, "0\r\n\r\n"},
    {"the operator's header", "CF-Connecting-IP: 1.2.3.4\r\nCF-Other: 1\r\n" END, true,
     "0\r\nCF-Other: 1\r\n\r\n"},
    {"what a body is", "Content-Type: text/html\r\nContent-Encoding: gzip\r\nDigest: d\r\n" END,
     true, "0\r\nDigest: d\r\n\r\n"},
};

static char out[4096];

static int64_t rewrite(const char *in, bool keep, struct pg_trace *trace, uint32_t room)
{
    struct pg_identity identity = pg_identity_strict;
    identity.trust.header = "CF-Connecting-IP";
    struct pg_trailers_in ask = {
        .lines = {in, strlen(in)}, .keep = keep, .identity = &identity, .trace = trace, .label = 7};
    return pg_http_rewrite_trailers(&ask, out, room);
}

static void every_section_leaves_as_it_should(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t len = rewrite(rows[i].in, rows[i].keep, NULL, sizeof(out));
        assert_true(len > 0);
        out[len] = 0;
        if (strcmp(out, rows[i].out) != 0)
            fail_msg("%s:\n%s\ninstead of\n%s", rows[i].name, out, rows[i].out);
        assert_int_equal(rewrite(rows[i].in, rows[i].keep, NULL, (uint32_t)len - 1), -ENOSPC);
    }
}

static void each_trailer_has_a_record(void **state)
{
    static const struct {
        enum pg_record_kind kind;
        const char *name;
    } want[] = {
        {PG_RECORD_KEEP, "X-Sum"}, {PG_RECORD_REWRITE, "Host"}, {PG_RECORD_REWRITE, "X-Sum"}};
    struct pg_trace *trace = pg_trace_new(64);
    struct pg_record r = {0};
    uint64_t seq = 0, missed = 0;
    uint32_t i = 0;
    (void)state;
    pg_trace_set_level(trace, PG_TRACE_FLOWS);
    (void)rewrite("X-Sum: 1\r\nHost: x\r\n" END, true, trace, sizeof(out));
    (void)rewrite("X-Sum: 1\r\n" END, false, trace, sizeof(out));
    for (; i < 3 && pg_trace_read(trace, &seq, &r, &missed); i++) {
        assert_int_equal(r.field, PG_FIELD_TRAILER);
        assert_string_equal(r.name, want[i].name);
        assert_int_equal(r.kind, want[i].kind);
    }
    assert_false(pg_trace_read(trace, &seq, &r, &missed));
    assert_int_equal(i, 3);
    pg_trace_free(trace);
    pg_reason_forget_all();
}

/* ---- through a session ---- */

static struct proxy_world pw;
static struct script client;

static void open_world(const char *trailers)
{
    pw_sets[0] = trailers;
    pw_open(&pw, NULL, NULL);
    pw_sets[0] = NULL;
    client = (struct script){0};
}

static void close_world(void)
{
    if (client.conn)
        pg_conn_abort(client.conn);
    pg_text_free(&client.got);
    pw_close(&pw);
}

/* To the scripted pod, in pieces of `step` bytes. */
static void send(const char *bytes, size_t step)
{
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    client.conn = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &client);
    pw_run(&pw, 5);
    for (size_t at = 0; at < strlen(bytes) && client.conn; at += step) {
        size_t n = strlen(bytes) - at < step ? strlen(bytes) - at : step;
        assert_int_equal(pg_conn_write(client.conn, bytes + at, (uint32_t)n), 0);
        pw_run(&pw, 2);
    }
    pw_run(&pw, 10);
}

#define ASK(te) "GET /script HTTP/1.1\r\nHost: shop.test\r\n" te "\r\n"
#define ANSWER                                                              \
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n" \
    "X-Sum: 1\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n"
#define KEEP "Lab/lab.ingress.trailers=keep"

static void an_answers_are_for_who_wants_them(void **state)
{
    static const struct {
        const char *set, *request, *end;
    } cases[] = {
        {NULL, ASK("TE: trailers\r\n"), "\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
        {KEEP, ASK(""), "\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
        {KEEP, ASK("TE: gzip\r\n"), "\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
        {KEEP, ASK("TE: trailers\r\n"), "\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"},
        {KEEP, ASK("TE: gzip, Trailers\r\n"), "\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"},
        {KEEP, "GET /script HTTP/1.0\r\nHost: shop.test\r\nTE: trailers\r\n\r\n", "\r\n\r\nok"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        open_world(cases[i].set);
        pw.script.answers[0] = ANSWER;
        send(cases[i].request, 1000);
        assert_non_null(client.got.at);
        const char *end = strstr(client.got.at, "\r\n\r\n");
        assert_non_null(end);
        assert_string_equal(end, cases[i].end);
        close_world();
    }
}

static void a_requests_pass_however_they_are_cut(void **state)
{
    static const char request[] = "POST /script HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: "
                                  "chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\nY: z\r\n\r\n";
    (void)state;
    for (size_t step = 1; step < 40; step += 4) {
        open_world(KEEP);
        send(request, step);
        const char *end = strstr(pw.script.got.at, "\r\n\r\n");
        assert_string_equal(end, "\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 6\r\nY: z\r\n\r\n");
        close_world();
    }
}

static void what_follows_them_is_the_next_request(void **state)
{
    (void)state;
    open_world(KEEP);
    pw.script.answers[0] = pw.script.answers[1] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    send("POST /script HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: chunked\r\n\r\n"
         "0\r\nX: 1\r\n\r\nGET /script/second HTTP/1.1\r\nHost: shop.test\r\n\r\n",
         1000);
    assert_non_null(strstr(pw.script.got.at, "0\r\nX: 1\r\n\r\nGET /script/second "));
    close_world();
}

static void broken_ones_are_refused_as_without_keeping(void **state)
{
    static const char *const ends[] = {"X\r\n\r\n", "X : 1\r\n\r\n", "X: 1\r\n y\r\n\r\n",
                                       "X: 1\n\r\n", "X: \001\r\n\r\n"};
    char request[256];
    (void)state;
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        open_world(KEEP);
        (void)snprintf(request, sizeof(request),
                       "POST /script HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: "
                       "chunked\r\n\r\n0\r\n%s",
                       ends[i]);
        send(request, 1000);
        assert_non_null(client.got.at);
        assert_non_null(strstr(client.got.at, "400 bad-trailer"));
        assert_true(!pw.script.got.at || !strstr(pw.script.got.at, "\r\n0\r\n"));
        close_world();
    }
}

static void they_are_bounded(void **state)
{
    char *request = calloc(1, 20000);
    (void)state;
    open_world(KEEP);
    int len = snprintf(request, 20000,
                       "POST /script HTTP/1.1\r\nHost: shop.test\r\nTransfer-Encoding: "
                       "chunked\r\n\r\n0\r\nX: ");
    memset(request + len, 'x', 9000);
    send(request, 1000);
    assert_non_null(client.got.at);
    assert_non_null(strstr(client.got.at, "400 bad-trailer"));
    close_world();
    free(request);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_section_leaves_as_it_should),
        cmocka_unit_test(each_trailer_has_a_record),
        cmocka_unit_test(an_answers_are_for_who_wants_them),
        cmocka_unit_test(a_requests_pass_however_they_are_cut),
        cmocka_unit_test(what_follows_them_is_the_next_request),
        cmocka_unit_test(broken_ones_are_refused_as_without_keeping),
        cmocka_unit_test(they_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
