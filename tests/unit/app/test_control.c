/* The control socket: what it answers, whom it refuses, and what becomes of the socket file. The path behind it is a real
 * one on the in-process wire; the loop is turned by hand until the answer is there. */
#include "podglass/control.h"
#include "podglass/tools.h"

#include "packet_make.h"

#include <jansson.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct event_base *base;
static struct pg_buf_pool *buffers;
static struct pg_path *path;
static struct pg_control *control;
static char directory[64];
static char socket_path[96];
static const char *why;

static uint64_t now_us(void)
{
    return 1000000;
}

static int open_control(void)
{
    return pg_control_open(base, socket_path, path, now_us, &control, &why);
}

static int set_up(void **state)
{
    struct pg_path_options options = {.trace_level = PG_TRACE_FLOWS};
    struct pg_random random;

    snprintf(directory, sizeof directory, "/tmp/podglass-test-XXXXXX");
    assert_non_null(mkdtemp(directory));
    snprintf(socket_path, sizeof socket_path, "%s/made/x.sock", directory);
    pg_random_seed(&random, 1);
    signal(SIGPIPE, SIG_IGN); /* as run does */
    base = event_base_new();
    buffers = pg_buf_pool_new(16);
    path = pg_path_new(&options, &random, now_us());
    assert_non_null(path);
    assert_int_equal(pg_path_add_link(path, pg_wire_new(1500, buffers), NULL, 0), 0);
    assert_non_null(path);
    assert_int_equal(open_control(), 0);
    return 0;
}

static int tear_down(void **state)
{
    pg_control_close(control);
    control = NULL;
    pg_path_free(path);
    pg_buf_pool_free(buffers);
    event_base_free(base);
    assert_int_not_equal(access(socket_path, F_OK), 0);
    *strrchr(socket_path, '/') = 0;
    rmdir(socket_path);
    assert_int_equal(rmdir(directory), 0);
    return 0;
}

static int connect_to(const char *to)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", to);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Sends bytes and turns the loop until the server closes (true), or for a second (false). */
static bool exchange(const void *bytes, size_t len, struct pg_text *ret)
{
    int fd = connect_to(socket_path);
    bool ended = false;
    struct timespec pause = {.tv_nsec = 1000000};

    pg_text_clear(ret);
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
    for (int turn = 0; turn < 1000 && !ended; turn++) {
        char piece[4096];

        event_base_loop(base, EVLOOP_NONBLOCK);
        ssize_t n = recv(fd, piece, sizeof piece, 0);

        ended = n == 0 || (n < 0 && errno != EAGAIN);
        if (n > 0) {
            pg_text_add(ret, piece, (size_t)n);
        } else if (!ended) {
            nanosleep(&pause, NULL);
        }
    }
    close(fd);
    event_base_loop(base, EVLOOP_NONBLOCK);
    return ended;
}

static int ask(const char *target, struct pg_text *ret)
{
    struct pg_text request = {0};

    pg_text_printf(&request, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", target);
    assert_true(exchange(request.at, request.len, ret));
    pg_text_free(&request);
    assert_int_equal(strncmp(ret->at, "HTTP/1.1 ", 9), 0);
    return (int)strtol(ret->at + 9, NULL, 10);
}

static const char *body_of(const struct pg_text *answer)
{
    const char *end = strstr(answer->at ? answer->at : "", "\r\n\r\n");

    assert_non_null(end);
    return end + 4;
}

/* Straight into the path's nat: what is asked here is how they come out. */
static void make_flows(uint32_t count)
{
    struct pg_nat *nat = pg_path_nat(path);
    struct pg_tuple t = pg_make_tuple(PG_PROTO_UDP, "198.51.100.0", 0, "10.244.2.77", 9999);
    struct pg_made m;
    enum pg_drop drop;

    for (uint32_t i = 0; i < count; i++) {
        t.src_port = (uint16_t)(1 + i);
        pg_make_first(&m, &t);
        assert_int_equal(pg_nat_prerouting(nat, &m.p, now_us(), &drop), PG_NAT_ACCEPT);
        assert_int_equal(pg_nat_postrouting(nat, &m.p, now_us(), &drop), PG_NAT_ACCEPT);
    }
}

static int ask_and_go_on(const char *target)
{
    struct pg_text request = {0};
    int fd = connect_to(socket_path);

    pg_text_printf(&request, "GET %s HTTP/1.0\r\n\r\n", target); /* 1.0: no chunks to undo */
    assert_int_equal(send(fd, request.at, request.len, MSG_NOSIGNAL), request.len);
    pg_text_free(&request);
    return fd;
}

/* Reads to the end; turns the loop whenever nothing is there. */
static void read_all(int fd, struct pg_text *ret)
{
    static char piece[65536];
    ssize_t n;

    while ((n = recv(fd, piece, sizeof piece, 0)) != 0) {
        if (n > 0) {
            pg_text_add(ret, piece, (size_t)n);
        } else {
            assert_int_equal(errno, EAGAIN);
            event_base_loop(base, EVLOOP_NONBLOCK);
        }
    }
    close(fd);
}

static void every_list_is_json(void **state)
{
    static const char *const types[] = {"conntrack",  "nat",       "affinity", "connections",
                                        "services",   "endpoints", "nodes",    "gateways",
                                        "httproutes", "dns",       "counters"};
    struct pg_text answer = {0};
    char target[64];

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        snprintf(target, sizeof target, "/v1/%s", types[i]);
        pg_text_clear(&answer);
        read_all(ask_and_go_on(target), &answer);
        assert_non_null(answer.at);
        assert_non_null(strstr(answer.at, " 200 "));
        json_t *root = json_loads(body_of(&answer), JSON_REJECT_DUPLICATES, NULL);

        assert_string_equal(json_string_value(json_object_get(root, "apiVersion")),
                            "podglass/v1alpha1");
        assert_true(json_is_object(json_object_get(root, "metadata")));
        assert_true(strcmp(types[i], "counters") == 0 ||
                    json_is_array(json_object_get(root, "items")));
        json_decref(root);
    }
    assert_int_equal(ask("/v1/conntrack?o=conntrack", &answer), 200);
    assert_non_null(strstr(answer.at, "text/plain"));
    pg_text_free(&answer);
}

static void a_long_list_of_flows_comes_whole(void **state)
{
    struct pg_text answer = {0};

    make_flows(20000);
    read_all(ask_and_go_on("/v1/conntrack"), &answer);
    json_t *root = json_loads(body_of(&answer), JSON_REJECT_DUPLICATES, NULL);
    size_t count = json_array_size(json_object_get(root, "items"));
    assert_in_range(count, 20000, 22000); /* a few twice while the table grows */
    json_decref(root);
    pg_text_clear(&answer);
    read_all(ask_and_go_on("/v1/conntrack?o=conntrack&name=17"), &answer);
    assert_non_null(strstr(body_of(&answer), "sport=17 "));
    assert_string_equal(strchr(body_of(&answer), '\n'), "\n");
    pg_text_free(&answer);
}

static void a_reader_that_is_slow_holds_nobody_up_and_little_memory(void **state)
{
    struct pg_text answer = {0};
    struct pg_text other = {0};

    make_flows(20000);
    int fd = ask_and_go_on("/v1/conntrack");
    for (int turn = 0; turn < 500; turn++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    assert_int_equal(ask("/healthz", &other), 200);
    pg_nat_delete(pg_path_nat(path), 1, now_us()); /* the path goes on in between */
    read_all(fd, &answer);
    json_t *root = json_loads(body_of(&answer), 0, NULL);
    assert_non_null(root);
    json_decref(root);
    pg_text_free(&other);
    pg_text_free(&answer);
}

static void a_reader_that_goes_away_is_forgotten(void **state)
{
    struct pg_text answer = {0};

    make_flows(20000);
    for (int i = 0; i < 100; i++) { /* more than are answered at once */
        int fd = ask_and_go_on("/v1/conntrack");
        for (int turn = 0; turn < 1 + i % 7; turn++) {
            event_base_loop(base, EVLOOP_NONBLOCK);
        }
        close(fd);
        event_base_loop(base, EVLOOP_NONBLOCK);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    assert_int_equal(ask("/healthz", &answer), 200);
    close(ask_and_go_on("/v1/conntrack")); /* and one is open at the end */
    int last = ask_and_go_on("/v1/conntrack");
    for (int turn = 0; turn < 4; turn++) {
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    pg_control_close(control);
    control = NULL;
    close(last);
    pg_text_free(&answer);
}

static void records_come_in_pieces(void **state)
{
    struct pg_record record = {.kind = PG_RECORD_EVENT, .stage = PG_STAGE_ROUTE, .name = "test"};
    struct pg_text answer = {0};
    uint64_t first = pg_trace_next_seq(pg_path_trace(path));
    char target[64];
    char next[48];

    for (int i = 0; i < 3; i++) {
        pg_trace_write(pg_path_trace(path), &record);
    }
    snprintf(target, sizeof target, "/v1/trace?since=%llu&limit=2", (unsigned long long)first);
    snprintf(next, sizeof next, "X-Podglass-Next: %llu\r\n", (unsigned long long)first + 2);
    assert_int_equal(ask(target, &answer), 200);
    assert_non_null(strstr(answer.at, next));
    const char *line = body_of(&answer);

    for (int i = 0; i < 3; i++) {
        const char *end = strchr(line, '\n');
        json_t *one = json_loadb(line, (size_t)(end - line), 0, NULL);

        if (i == 0) { /* what time the records are of */
            assert_string_equal(json_string_value(json_object_get(one, "kind")), "Clock");
        } else {
            assert_int_equal(json_integer_value(json_object_get(one, "seq")),
                             first + (uint64_t)i - 1);
        }
        json_decref(one);
        line = end + 1;
    }
    assert_int_equal(*line, 0);
    assert_int_equal(ask("/v1/trace?since=x", &answer), 400);
    assert_int_equal(ask("/v1/trace?limit=-1", &answer), 400);
    pg_text_free(&answer);
}

static void health_readiness_version(void **state)
{
    struct pg_text answer = {0};

    assert_int_equal(ask("/healthz", &answer), 200);
    assert_int_equal(ask("/readyz", &answer), 503); /* nothing was loaded */
    assert_int_equal(ask("/version", &answer), 200);
    assert_non_null(strstr(answer.at, "{\"version\":\""));
    pg_text_free(&answer);
}

static void what_is_not_there_is_a_404_in_json(void **state)
{
    static const char *const targets[] = {"/",           "/v1/",   "/v1/bridges", "/v1/conntrack/1",
                                          "/../healthz", "/v2/nat"};
    struct pg_text answer = {0};

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        assert_int_equal(ask(targets[i], &answer), 404);
        json_t *root = json_loads(body_of(&answer), 0, NULL);

        assert_int_equal(json_integer_value(json_object_get(root, "code")), 404);
        json_decref(root);
    }
    assert_int_equal(ask("/v1/nat?o=conntrack", &answer), 400);
    pg_text_free(&answer);
}

static void only_get_is_known(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"};
    struct pg_text answer = {0};
    char request[96];

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        snprintf(request, sizeof request,
                 "%s /v1/nat HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", methods[i]);
        assert_true(exchange(request, strlen(request), &answer));
        assert_non_null(strstr(answer.at, " 405 "));
        assert_non_null(strstr(answer.at, "Allow: GET"));
    }
    pg_text_free(&answer);
}

static void strange_bytes_do_no_harm(void **state)
{
    static const char *const requests[] = {
        "\r\n\r\n",
        "GET\r\n\r\n",
        "GET  HTTP/1.1\r\n\r\n",
        "GET /v1/nat HTTP/9.9\r\n\r\n",
        "GET http://[ HTTP/1.1\r\n\r\n",
        "GET /v1/%00%ff?o=%zz&&&=&o HTTP/1.1\r\n\r\n",
        "POST /v1/nat HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /v1/nat HTTP/1.1\r\nContent-Length: 100000\r\n\r\n",
        "POST /v1/nat HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
        "\x16\x03\x01\x02\x01\xfc\x03\x03",
    };
    struct pg_text answer = {0};
    struct pg_text large = {0};

    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        exchange(requests[i], strlen(requests[i]), &answer);
    }
    pg_text_puts(&large, "GET /v1/nat HTTP/1.1\r\nX: ");
    for (int i = 0; i < 3000; i++) {
        pg_text_puts(&large, "aaaaaaaaaaaaaaaa");
    }
    exchange(large.at, large.len, &answer);
    assert_null(answer.at ? strstr(answer.at, " 200 ") : NULL);
    assert_int_equal(ask("/healthz", &answer), 200);
    pg_text_free(&large);
    pg_text_free(&answer);
}

static void clients_that_say_nothing_do_not_stop_others(void **state)
{
    struct pg_text answer = {0};
    int idle[100];

    for (size_t i = 0; i < 100; i++) {
        idle[i] = connect_to(socket_path);
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    assert_int_equal(ask("/healthz", &answer), 200);
    for (size_t i = 0; i < 100; i++) {
        close(idle[i]);
    }
    event_base_loop(base, EVLOOP_NONBLOCK);
    pg_text_free(&answer);
}

static void answers_that_were_read_make_room_for_others(void **state)
{
    struct pg_text answer = {0};

    for (int i = 0; i < 200; i++) {
        assert_int_equal(ask("/healthz", &answer), 200);
    }
    pg_text_free(&answer);
}

static void only_the_owner_may_come_near(void **state)
{
    struct stat st;
    char above[96];

    assert_int_equal(stat(socket_path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    snprintf(above, sizeof above, "%s/made", directory);
    assert_int_equal(stat(above, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void a_live_socket_is_not_taken_over(void **state)
{
    struct pg_control *second = NULL;
    struct pg_text answer = {0};

    assert_int_equal(pg_control_open(base, socket_path, path, now_us, &second, &why), -EADDRINUSE);
    assert_non_null(strstr(why, "another instance"));
    assert_int_equal(ask("/healthz", &answer), 200);
    pg_text_free(&answer);
}

static void a_stale_socket_is_replaced(void **state)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct pg_text answer = {0};

    pg_control_close(control);
    control = NULL;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", socket_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd); /* the file stays, as after a crash */
    assert_int_equal(open_control(), 0);
    assert_int_equal(ask("/healthz", &answer), 200);
    pg_text_free(&answer);
}

static void what_is_no_socket_is_left_alone(void **state)
{
    struct pg_control *second = NULL;
    char file[96];
    struct stat st;

    snprintf(file, sizeof file, "%s/file", directory);
    close(open(file, O_CREAT | O_WRONLY, 0644));
    assert_int_equal(pg_control_open(base, file, path, now_us, &second, &why), -EEXIST);
    assert_int_equal(stat(file, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    unlink(file);
}

static void the_socket_of_a_successor_stays(void **state)
{
    struct pg_control *old = control;

    unlink(socket_path);
    assert_int_equal(open_control(), 0);
    pg_control_close(old);
    assert_int_equal(access(socket_path, F_OK), 0);
}

static void paths_that_can_not_be_are_refused(void **state)
{
    struct pg_control *second = NULL;
    char path_too_long[200];

    memset(path_too_long, 'a', sizeof path_too_long);
    path_too_long[0] = '/';
    path_too_long[sizeof path_too_long - 1] = 0;
    assert_int_equal(pg_control_open(base, path_too_long, path, now_us, &second, &why),
                     -ENAMETOOLONG);
    assert_int_equal(pg_control_open(base, "/nowhere/at/all.sock", path, now_us, &second, &why),
                     -ENOENT);
}

/* The client's process asks while ours turns the loop. Returns its exit status. */
static int in_client(int (*run)(void))
{
    int status = 0;
    pid_t child = fork();

    if (child == 0) {
        _exit(run());
    }
    while (waitpid(child, &status, WNOHANG) == 0) {
        event_base_loop(base, EVLOOP_NONBLOCK);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int client_asks(void)
{
    struct pg_text body = {0};
    int status = 0;
    int error = pg_api_get(socket_path, "/v1/counters", &status, &body);
    json_t *root = json_loadb(body.at ? body.at : "", body.len, 0, NULL);
    bool good = error == 0 && status == 200 && root;

    json_decref(root);
    pg_text_free(&body);
    return good ? 0 : 1;
}

static int get_counters(void)
{
    char *argv[] = {"get", "counters", "-o", "json", "--socket", socket_path, NULL};

    close(STDOUT_FILENO);
    open("/dev/null", O_WRONLY);
    return pg_tool_get(6, argv);
}

static void the_client_of_the_tools_understands(void **state)
{
    assert_int_equal(in_client(client_asks), 0);
    assert_int_equal(in_client(get_counters), 0);
}

static void nobody_there_is_exit_status_5(void **state)
{
    char *argv[] = {"get", "ct", "--socket", "/nowhere/x.sock", NULL};

    assert_int_equal(pg_tool_get(4, argv), PG_EXIT_NOT_RUNNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_list_is_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_long_list_of_flows_comes_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_is_slow_holds_nobody_up_and_little_memory,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_reader_that_goes_away_is_forgotten, set_up, tear_down),
        cmocka_unit_test_setup_teardown(records_come_in_pieces, set_up, tear_down),
        cmocka_unit_test_setup_teardown(health_readiness_version, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_a_404_in_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_get_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strange_bytes_do_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(clients_that_say_nothing_do_not_stop_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(answers_that_were_read_make_room_for_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(only_the_owner_may_come_near, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_live_socket_is_not_taken_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stale_socket_is_replaced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_socket_is_left_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_socket_of_a_successor_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(paths_that_can_not_be_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_client_of_the_tools_understands, set_up, tear_down),
        cmocka_unit_test(nobody_there_is_exit_status_5),
    };

    return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}
