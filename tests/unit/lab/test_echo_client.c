/* Echo pods and request clients, end to end over TCP in virtual time: what is asked, what is seen, how it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "stack_world.h"

#include "podglass/lab.h"
#include "podglass/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct stack_world w;
static struct pg_echo *echo;
static struct pg_lab_clients *clients;
static struct pg_snapshot *snapshot;

static const char manifests[] =
    "apiVersion: v1\nkind: Pod\nmetadata: {namespace: shop, name: web-0}\n"
    "spec: {containers: [{name: c}]}\nstatus: {podIP: 10.244.1.7}\n";

struct asked {
    struct pg_response response;
    bool done;
};

static int set_up(void **state)
{
    struct pg_manifest_input input = {"pod.yaml", manifests, sizeof(manifests) - 1};
    struct pg_load_options options = {0};
    struct pg_findings findings;
    world_open(&w, NULL);
    w.delay_us = 500;
    assert_int_equal(pg_snapshot_load(&input, 1, &options, &snapshot, &findings), 0);
    pg_findings_free(&findings);
    echo = pg_echo_new(w.stack, w.now_us);
    pg_echo_load(echo, snapshot);
    clients = pg_lab_clients_new(w.stack, w.trace, w.now_us);
    w.listener = *pg_echo_listener(echo);
    return 0;
}

static int tear_down(void **state)
{
    pg_lab_clients_free(clients);
    pg_echo_free(echo);
    pg_snapshot_put(snapshot);
    world_close(&w);
    pg_reason_forget_all();
    return 0;
}

static void run(uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        world_run(&w, 1000);
        pg_echo_advance(echo, w.now_us);
        pg_lab_clients_advance(clients, w.now_us);
    }
}

static void on_done(void *arg, struct pg_response *response)
{
    struct asked *a = arg;
    assert_false(a->done);
    a->response = *response;
    a->done = true;
}

static void start(struct asked *a, const char *bytes, bool raw, uint32_t timeout_ms)
{
    struct pg_request r = {.from = pg_addr_v4(198, 51, 100, 7),
                           .to = pg_addr_v4(10, 244, 1, 7),
                           .to_port = 8081,
                           .bytes = bytes,
                           .len = (uint32_t)strlen(bytes),
                           .raw = raw,
                           .is_head = strncmp(bytes, "HEAD ", 5) == 0,
                           .timeout_ms = timeout_ms};
    *a = (struct asked){0};
    assert_int_equal(pg_lab_request(clients, &r, on_done, a), 0);
}

static struct pg_response ask(const char *bytes, bool raw)
{
    struct asked a;
    start(&a, bytes, raw, 0);
    for (int i = 0; i < 31000 && !a.done; i++)
        run(1);
    assert_true(a.done);
    return a.response;
}

#define HOST "Host: a.test\r\n"

static void pod_answers_what_it_saw(void **state)
{
    struct pg_response r =
        ask("POST /p?q HTTP/1.1\r\n" HOST "X-Y: z\r\nContent-Length: 1\r\n\r\na", false);
    assert_int_equal(r.error, 0);
    assert_int_equal(r.status, 200);
    char want[400];
    (void)snprintf(want, sizeof(want),
                   "\"method\":\"POST\",\"path\":\"/p?q\",\"host\":\"a.test\","
                   "\"headers\":[[\"Host\",\"a.test\"],[\"X-Y\",\"z\"],[\"Content-Length\",\"1\"]],"
                   "\"bodyBytes\":1,\"bodyFnv\":\"%016llx\"}\n",
                   0xaf63dc4c8601ec8cull);
    assert_non_null(strstr(r.body.at, want));
    assert_non_null(strstr(r.body.at,
                           "{\"pod\":\"shop/web-0\",\"address\":\"10.244.1.7\",\"port\":8081,"
                           "\"peer\":\"198.51.100.7\",\"peerPort\":"));
    assert_true(r.label != 0 && r.took_us > 0);
    pg_response_free(&r);
}

static void paths_ask_for_what_tests_need(void **state)
{
    static const struct {
        const char *request;
        uint16_t status;
        uint64_t bytes;
    } rows[] = {
        {"GET /bytes/0 HTTP/1.1\r\n" HOST "\r\n", 200, 0},
        {"GET /bytes/3000000 HTTP/1.1\r\n" HOST "\r\n", 200, 3000000},
        {"GET /chunked/70001 HTTP/1.1\r\n" HOST "\r\n", 200, 70001},
        {"GET /chunked/70001 HTTP/1.0\r\n\r\n", 200, 70001},
        {"GET /until-close/70001 HTTP/1.1\r\n" HOST "\r\n", 200, 70001},
        {"HEAD /bytes/70001 HTTP/1.1\r\n" HOST "\r\n", 200, 0},
        {"HEAD /chunked/70001 HTTP/1.1\r\n" HOST "\r\n", 200, 0},
        {"GET /status/204 HTTP/1.1\r\n" HOST "\r\n", 204, 0},
        {"GET /status/304 HTTP/1.1\r\n" HOST "\r\n", 304, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_response r = ask(rows[i].request, false);
        if (r.error != 0 || r.status != rows[i].status || r.body_bytes != rows[i].bytes)
            fail_msg("%.30s: error %d status %u bytes %llu", rows[i].request, r.error, r.status,
                     (unsigned long long)r.body_bytes);
        assert_true(r.body.len <= 1024 * 1024);
        pg_response_free(&r);
    }
    struct pg_response teapot = ask("GET /status/418 HTTP/1.1\r\n" HOST "\r\n", false);
    assert_int_equal(teapot.status, 418);
    assert_non_null(strstr(teapot.body.at, "/status/418"));
    pg_response_free(&teapot);
}

static void slow_waits_and_close_says_nothing(void **state)
{
    uint64_t before = w.now_us;
    struct pg_response r = ask("GET /slow/500 HTTP/1.1\r\n" HOST "\r\n", false);
    assert_int_equal(r.status, 200);
    assert_true(w.now_us - before >= 500000 && w.now_us - before < 700000);
    pg_response_free(&r);
    r = ask("GET /close HTTP/1.1\r\n" HOST "\r\n", false);
    assert_int_equal(r.error, -EPIPE);
    pg_response_free(&r);
}

static void connection_is_kept_for_the_next_request(void **state)
{
    struct pg_response r = ask("GET /one HTTP/1.1\r\n" HOST "\r\n"
                               "GET /bytes/5 HTTP/1.1\r\n" HOST "\r\n"
                               "GET /three HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
                               true);
    assert_int_equal(r.error, 0);
    char *one = strstr(r.body.at, "\"/one\""), *two = strstr(r.body.at, "\r\n\r\n01234HTTP");
    char *three = strstr(r.body.at, "\"/three\"");
    assert_true(one && two && three && one < two && two < three);
    pg_response_free(&r);
}

static void what_is_not_http_comes_back(void **state)
{
    struct pg_response r = ask("hello\nworld\n", true);
    assert_int_equal(r.error, 0);
    assert_string_equal(r.body.at, "hello\nworld\n");
    pg_response_free(&r);
    assert_int_equal(pg_echo_conn_count(echo), 0);
}

static void bad_request_is_refused(void **state)
{
    struct pg_response r = ask("GET / HTTP/1.1\r\n\r\n", false);
    assert_int_equal(r.status, 400);
    assert_non_null(strstr(r.body.at, "bad-host"));
    pg_response_free(&r);
}

static void expectation_is_met_and_interim_skipped(void **state)
{
    struct asked a;
    start(&a, "POST / HTTP/1.1\r\n" HOST "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", false,
          0);
    run(50);
    assert_true(a.done);
    assert_int_equal(a.response.status, 200);
    pg_response_free(&a.response);
}

static void failures_have_their_errno(void **state)
{
    struct asked a;
    w.listening = false;
    start(&a, "GET / HTTP/1.1\r\n" HOST "\r\n", false, 0);
    run(100);
    assert_true(a.done);
    assert_int_equal(a.response.error, -ECONNREFUSED);
    pg_response_free(&a.response);
    w.listening = true;
    w.deaf = true;
    start(&a, "GET / HTTP/1.1\r\n" HOST "\r\n", false, 200);
    run(300);
    assert_true(a.done);
    assert_int_equal(a.response.error, -ETIMEDOUT);
    pg_response_free(&a.response);
    w.deaf = false;
    struct pg_response r = ask("hello\nHTTP", false); /* the echo of it is no response */
    assert_int_equal(r.error, -EBADMSG);
    pg_response_free(&r);
}

struct owned {
    uint32_t seen;
    uint32_t ours;
};

static bool look(void *arg, const struct pg_packet *p)
{
    struct owned *o = arg;
    if (p->tuple.src_port == 8081) {
        o->seen++;
        o->ours += pg_lab_clients_own(clients, &p->tuple);
    }
    return true;
}

static void packets_of_a_request_are_known_as_ours(void **state)
{
    struct owned o = {0};
    w.look = look;
    w.look_arg = &o;
    struct pg_response r = ask("GET / HTTP/1.1\r\n" HOST "\r\n", false);
    pg_response_free(&r);
    run(100);
    assert_true(o.seen >= 3);
    assert_int_equal(o.ours, o.seen);
    assert_int_equal(pg_lab_clients_count(clients), 0);
    struct pg_tuple other = {.src = pg_addr_v4(10, 244, 1, 7),
                             .dst = pg_addr_v4(198, 51, 100, 7),
                             .src_port = 8081,
                             .dst_port = 1,
                             .proto = PG_PROTO_TCP};
    assert_false(pg_lab_clients_own(clients, &other));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(pod_answers_what_it_saw),
        T(paths_ask_for_what_tests_need),
        T(slow_waits_and_close_says_nothing),
        T(connection_is_kept_for_the_next_request),
        T(what_is_not_http_comes_back),
        T(bad_request_is_refused),
        T(expectation_is_met_and_interim_skipped),
        T(failures_have_their_errno),
        T(packets_of_a_request_are_known_as_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
