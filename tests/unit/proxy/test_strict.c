/* Every vector through whole sessions over real TCP: alone, behind another request of the same connection, and byte by byte.
 *
 * A request follows each vector. What is refused is answered once, with its status, and the connection ends: the request behind it is
 * neither answered nor seen by a pod. What is accepted is exactly one request for the pod, read by `strict_reader.c`, which shares no code with
 * the ingress. The other way round, what a pod may say and what becomes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_vectors.h"
#include "proxy_internal.h"
#include "proxy_world.h"
#include "strict_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define HOST  "Host: shop.test\r\n"
#define FIRST "POST /first HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nab"
#define AFTER "GET /after HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n"
#define PODS  8

static struct proxy_world pw;

/* A connection of the ingress to a pod. */
static struct pod {
    struct pg_conn *conn;
    struct strict_reader reader;
    bool saw_after;
} pods[PODS];
static unsigned pod_count;

static void pod_readable(void *owner, struct pg_conn *c)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    struct pod *p = owner;
    struct pg_slice front;
    while (pg_conn_front(c, &front)) {
        unsigned before = p->reader.requests;
        strict_feed(&p->reader, front.at, front.len);
        pg_conn_consume(c, front.len);
        p->saw_after |= strcmp(p->reader.target, "/after") == 0;
        for (; before < p->reader.requests; before++)
            assert_int_equal(pg_conn_write(c, answer, sizeof(answer) - 1), 0);
    }
    if (pg_conn_at_end(c)) {
        pg_conn_close(c);
        p->conn = NULL;
    }
}

static void pod_closed(void *owner, struct pg_conn *c, int error)
{
    struct pod *p = owner;
    (void)c;
    (void)error;
    p->conn = NULL;
}

static const struct pg_conn_events pod_events = {NULL, pod_readable, NULL, pod_closed};

static void pod_accept(void *arg, struct pg_conn *c)
{
    (void)arg;
    assert_true(pod_count < PODS);
    pods[pod_count] = (struct pod){.conn = c};
    pg_conn_own(c, &pod_events, &pods[pod_count++]);
}

static void forget_pods(void)
{
    for (unsigned i = 0; i < pod_count; i++) {
        strict_free(&pods[i].reader);
        if (pods[i].conn)
            pg_conn_abort(pods[i].conn);
    }
    pod_count = 0;
}

static int set_up(void **state)
{
    struct pg_proxy_options options = {.response_timeout_ms = 300};
    (void)state;
    pw_open(&pw, &options, NULL);
    pw.w.upstream = (struct pg_listener){pod_accept, NULL};
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    forget_pods();
    pw_close(&pw);
    return 0;
}

/* ---- one exchange ---- */

struct outcome {
    unsigned answers;  /* final ones that the client got */
    uint16_t last;     /* status of the last */
    bool says_close;   /* the last one does */
    unsigned requests; /* that pods have read as a whole */
    bool saw_after;
    const char *wrong; /* a pod's complaint */
};

static struct outcome look(const char *got)
{
    struct outcome o = {0};
    for (const char *at = got; at && (at = strstr(at, "HTTP/1.1 ")); at += 9) {
        unsigned status = (unsigned)strtoul(at + 9, NULL, 10);
        if (status < 200)
            continue;
        o.answers++;
        o.last = (uint16_t)status;
        o.says_close = strstr(at, "Connection: close\r\n") != NULL;
    }
    for (unsigned i = 0; i < pod_count; i++) {
        o.requests += pods[i].reader.requests;
        o.saw_after |= pods[i].saw_after;
        if (pods[i].reader.wrong)
            o.wrong = pods[i].reader.wrong;
    }
    return o;
}

/* step: bytes at a time. */
static struct outcome send_all(const char *bytes, size_t len, size_t step)
{
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7), to = pg_addr_v4(192, 0, 2, 1);
    struct script client = {0};
    forget_pods();
    struct pg_conn *c = pg_conn_connect(pw.w.stack, &from, 0, &to, 80, 0, &script_events, &client);
    client.conn = c;
    pw_run(&pw, 3);
    for (size_t at = 0; at < len && client.conn && !client.closed; at += step) {
        size_t n = len - at < step ? len - at : step;
        if (pg_conn_write(c, bytes + at, (uint32_t)n) != 0)
            break;
        if (step < len)
            pw_run(&pw, 1);
    }
    for (unsigned i = 0; i < 3000 && !client.closed; i++)
        pw_run(&pw, 1);
    assert_true(client.closed);
    pw_run(&pw, 3);
    struct outcome o = look(client.got.at);
    pg_text_free(&client.got);
    return o;
}

/* ---- the client's side ---- */

static size_t append(char *to, size_t at, const char *bytes, size_t len)
{
    memcpy(to + at, bytes, len);
    return at + len;
}

static void expect(const struct http_vector *v, const char *how, struct outcome got,
                   struct outcome want)
{
    bool same = got.answers == want.answers && got.last == want.last && !got.wrong &&
                got.requests == want.requests && got.saw_after == want.saw_after && got.says_close;
    if (!same)
        fail_msg("%s (%s): %u answers, last %u%s, %u requests%s; wanted %u, %u, %u; pod: %s",
                 v->name, how, got.answers, got.last, got.says_close ? "" : " without close",
                 got.requests, got.saw_after ? " and the one behind" : "", want.answers, want.last,
                 want.requests, got.wrong ? got.wrong : "content");
}

static struct outcome wanted(const struct http_vector *v)
{
    struct outcome o = {0};
    bool http10 = strstr(v->head, "HTTP/1.0\r\n") != NULL;
    bool routed = strstr(v->head, "Host: shop.test") != NULL; /* else legal, and 404 */
    if (v->error || v->endless) {
        o.answers = 1;
        o.last = v->endless ? 408 : pg_http_error_status(v->error);
    } else {
        o.answers = http10 ? 1 : 2;
        o.requests = o.answers - !routed;
        o.saw_after = !http10;
        o.last = http10 && !routed ? 404 : 200;
    }
    return o;
}

static void try_vector(const struct http_vector *v)
{
    char bytes[4096];
    size_t head = v->len ? v->len : strlen(v->head);
    size_t begin = append(bytes, 0, FIRST, strlen(FIRST));
    size_t end = append(bytes, begin, v->head, head);
    end = append(bytes, end, v->body ? v->body : "", v->body ? strlen(v->body) : 0);
    end = append(bytes, end, AFTER, strlen(AFTER));
    struct outcome want = wanted(v);
    expect(v, "alone", send_all(bytes + begin, end - begin, end), want);
    expect(v, "dribbled", send_all(bytes + begin, end - begin, 1), want);
    want.answers++;
    want.requests++;
    expect(v, "second", send_all(bytes, end, end), want);
    expect(v, "second, dribbled", send_all(bytes, end, 3), want);
}

static void heads_have_their_one_outcome(void **state)
{
    (void)state;
    for (size_t i = 0; i < http_vector_count; i++)
        try_vector(&http_vectors[i]);
}

static void bodies_have_their_one_outcome(void **state)
{
    (void)state;
    for (size_t i = 0; i < http_body_vector_count; i++)
        try_vector(&http_body_vectors[i]);
}

/* ---- the pod's side ---- */

#define OK_HEAD  "HTTP/1.1 200 OK\r\n"
#define CHUNKS   OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
#define CUT      1 /* stands for a reset: the head had gone to the client */
#define INTERIM  "HTTP/1.1 103 Early Hints\r\n\r\n"
#define INTERIM4 INTERIM INTERIM INTERIM INTERIM

static const struct {
    const char *name;
    const char *answer;
    uint16_t status; /* for the client */
    bool kept;       /* the connection to the pod may serve another request */
} answers[] = {
    {"by length", OK_HEAD "Content-Length: 2\r\n\r\nok", 200, true},
    {"chunked", CHUNKS "2;a=b\r\nok\r\n0\r\nT: u\r\n\r\n", 200, true},
    {"CL and TE", OK_HEAD "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok", 502, false},
    {"two CL, equal", OK_HEAD "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", 502, false},
    {"two CL, different", OK_HEAD "Content-Length: 2\r\nContent-Length: 1\r\n\r\nok", 502, false},
    {"CL list", OK_HEAD "Content-Length: 2, 2\r\n\r\nok", 502, false},
    {"CL +2", OK_HEAD "Content-Length: +2\r\n\r\nok", 502, false},
    {"CL -1", OK_HEAD "Content-Length: -1\r\n\r\nok", 502, false},
    {"CL 2^64+2", OK_HEAD "Content-Length: 18446744073709551618\r\n\r\nok", 502, false},
    {"two TE", OK_HEAD "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 502,
     false},
    {"TE gzip, chunked", OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n", 502, false},
    {"TE in HTTP/1.0", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 502, false},
    {"control byte in a field", OK_HEAD "X: a\001\r\nContent-Length: 0\r\n\r\n", 502, false},
    {"CR in a field", OK_HEAD "X: a\rb\r\nContent-Length: 0\r\n\r\n", 502, false},
    {"LF as line end", "HTTP/1.1 200 OK\nContent-Length: 0\n\n", 502, false},
    {"folded field", OK_HEAD "X: a\r\n b\r\nContent-Length: 0\r\n\r\n", 502, false},
    {"blank before the colon", OK_HEAD "Content-Length : 0\r\n\r\n", 502, false},
    {"empty name", OK_HEAD ": x\r\nContent-Length: 0\r\n\r\n", 502, false},
    {"no status", "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n", 502, false},
    {"status 2000", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n", 502, false},
    {"status 0", "HTTP/1.1 000 OK\r\nContent-Length: 0\r\n\r\n", 502, false},
    {"two blanks", "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n", 502, false},
    {"HTTP/2.0", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", 502, false},
    {"no HTTP", "SSH-2.0-x\r\n", 502, false},
    {"line end in front", "\r\n" OK_HEAD "Content-Length: 0\r\n\r\n", 502, false},
    {"101 that nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 502,
     false},
    {"chunk size ended by LF", CHUNKS "2\nok\r\n0\r\n\r\n", CUT, false},
    {"chunk 0x2", CHUNKS "0x2\r\nok\r\n0\r\n\r\n", CUT, false},
    {"chunk without line end", CHUNKS "2\r\nok0\r\n\r\n", CUT, false},
    {"chunk 2^64+2", CHUNKS "10000000000000002\r\nok\r\n0\r\n\r\n", CUT, false},
    {"trailer without colon", CHUNKS "2\r\nok\r\n0\r\nX\r\n\r\n", CUT, false},
    {"more than its length", OK_HEAD "Content-Length: 2\r\n\r\nok" OK_HEAD, 200, false},
    {"a body with 204", "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok", 204, false},
    {"a body with 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\n\r\nok", 304, false},
    {"close", OK_HEAD "Content-Length: 2\r\nConnection: close\r\n\r\nok", 200, false},
    {"sixteen interim answers",
     INTERIM4 INTERIM4 INTERIM4 INTERIM4 OK_HEAD "Content-Length: 2\r\n\r\nok", 200, true},
    {"seventeen interim answers",
     INTERIM4 INTERIM4 INTERIM4 INTERIM4 INTERIM OK_HEAD "Content-Length: 2\r\n\r\nok", 502, false},
};

static void pods_are_read_as_strictly(void **state)
{
    static const char get[] = "GET /script HTTP/1.1\r\n" HOST "\r\n";
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        struct pg_response r;
        pw.script.answers[0] = answers[i].answer;
        pw.script.next = 0;
        r = pw_ask(&pw, get);
        bool cut = r.error == -ECONNRESET;
        pg_response_free(&r);
        pw_run(&pw, 5);
        bool kept = pg_proxy_idle_upstreams(pw.proxy) == 1;
        if (cut != (answers[i].status == CUT) || (!cut && r.status != answers[i].status) ||
            kept != answers[i].kept)
            fail_msg("%s: error %d, status %u%s", answers[i].name, r.error, r.status,
                     kept ? ", kept" : "");
        pg_upstream_close_idle(pw.proxy);
        pw_run(&pw, 5);
    }
}

/* Behind a good answer on the same connection, and a good one behind it never reaches the client as if it were his. */
static void broken_answers_end_the_clients_connection_too(void **state)
{
    static const char gets[] = "GET /script HTTP/1.1\r\n" HOST "\r\nGET /script HTTP/1.1\r\n" HOST
                               "\r\nGET /script HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n";
    (void)state;
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        pw.script.answers[0] = OK_HEAD "Content-Length: 5\r\n\r\nfirst";
        pw.script.answers[1] = answers[i].answer;
        pw.script.answers[2] = OK_HEAD "Content-Length: 5\r\n\r\nthird";
        pw.script.next = 0;
        struct pg_response r = pw_ask_raw(&pw, gets, sizeof(gets) - 1);
        bool cut = r.error == -ECONNRESET;
        if (cut != (answers[i].status == CUT) || !strstr(r.body.at, "first") ||
            (cut && strstr(r.body.at, "third")) || (!cut && !strstr(r.body.at, "third")))
            fail_msg("%s: error %d, %s", answers[i].name, r.error, r.body.at);
        pg_response_free(&r);
        pg_upstream_close_idle(pw.proxy);
        pw_run(&pw, 5);
    }
}

static int set_up_script(void **state)
{
    (void)state;
    pw_open(&pw, NULL, NULL);
    return 0;
}

static void nothing_is_left_behind(void **state)
{
    (void)state;
    pw_run(&pw, 5000);
    assert_int_equal(pg_proxy_session_count(pw.proxy), 0);
}

int main(void)
{
    const struct CMUnitTest heard[] = {
        cmocka_unit_test(heads_have_their_one_outcome),
        cmocka_unit_test(bodies_have_their_one_outcome),
        cmocka_unit_test(nothing_is_left_behind),
    };
    const struct CMUnitTest answered[] = {
        cmocka_unit_test(pods_are_read_as_strictly),
        cmocka_unit_test(broken_answers_end_the_clients_connection_too),
    };
    int failed = cmocka_run_group_tests(heard, set_up, tear_down);
    return cmocka_run_group_tests(answered, set_up_script, tear_down) + failed;
}
