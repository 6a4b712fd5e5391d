/* app/access_log.c: lines of strangers stay lines, and a reader that has stopped holds nobody up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/access_log.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[64];
static char file[96];
static char moved[96];

static int set_up(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/podglass-test-XXXXXX");
    if (mkdtemp(directory) == NULL) {
        return 1;
    }
    snprintf(file, sizeof file, "%s/access.log", directory);
    snprintf(moved, sizeof moved, "%s/access.log.1", directory);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(file);
    unlink(moved);
    return rmdir(directory);
}

static struct pg_request_note note;

static struct pg_request_done request(const char *target, const char *agent)
{
    note = (struct pg_request_note){.method = pg_slice_of("GET"),
                                    .target = pg_slice_of(target),
                                    .host = pg_slice_of("shop.example.test"),
                                    .agent = pg_slice_of(agent),
                                    .minor = 1};
    return (struct pg_request_done){.note = &note,
                                    .service = "shop/web",
                                    .label = 0xc7f1,
                                    .status = 200,
                                    .hop = pg_addr_v4(10, 244, 1, 1),
                                    .client = pg_addr_v4(10, 244, 1, 1),
                                    .origin = pg_addr_v4(198, 51, 100, 7),
                                    .upstream = pg_addr_v4(10, 96, 12, 40),
                                    .upstream_port = 80,
                                    .has_verdict = true,
                                    .verdict = PG_VERDICT_LOST,
                                    .took_us = 1234567,
                                    .upstream_us = 1000,
                                    .bytes_out = 512};
}

static char *content(const char *path)
{
    static char text[65536];
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    return text;
}

static void a_line_is_one_line_as_nginx_has_it(void **state)
{
    struct pg_access_log *l;
    struct pg_request_done d = request("/a\"b\r\nGET", "x\\y\x80");
    (void)state;
    assert_int_equal(pg_access_log_open(file, false, &l), 0);
    assert_int_equal(pg_access_log_start(l, NULL), 0);
    pg_access_log_request(l, &d);
    d.note = NULL;
    d.status = 400;
    d.client = d.upstream = (struct pg_addr){0};
    d.has_verdict = false;
    d.upstream_us = 0;
    d.service = "";
    pg_access_log_request(l, &d);
    pg_access_log_close(l);
    char *first = content(file);
    char *second = strchr(first, '\n') + 1;
    second[-1] = 0;
    assert_memory_equal(first, "10.244.1.1 - - [", 16);
    assert_string_equal(
        strchr(first, ']'),
        "] \"GET /a\\x22b\\x0D\\x0AGET HTTP/1.1\" 200 512 \"-\" \"x\\x5Cy\\x80\" flow=c7f1 "
        "host=\"shop.example.test\" service=shop/web upstream=10.96.12.40:80 "
        "rt=1.234567 urt=0.001000 origin=198.51.100.7 client=lost");
    assert_string_equal(strchr(second, ']'),
                        "] \"\" 400 512 \"-\" \"-\" flow=c7f1 host=\"-\" service=- upstream=- "
                        "rt=1.234567 urt=- origin=198.51.100.7 client=-\n");
}

static void json_is_one_object_a_line(void **state)
{
    struct pg_access_log *l;
    struct pg_request_done d = request("/\n\"", "\xff");
    (void)state;
    d.error = "upstream-tls";
    d.why = pg_reason_intern(&(struct pg_reason){
        .code = PG_CODE_UPSTREAM_TLS, .object = "Ingress/shop/web", .value = "it has expired"});
    assert_int_equal(pg_access_log_open(file, true, &l), 0);
    assert_int_equal(pg_access_log_start(l, NULL), 0);
    pg_access_log_request(l, &d);
    pg_access_log_close(l);
    const char *text = content(file);
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    assert_non_null(strstr(text, "\"error\":\"upstream-tls\",\"reason\":\"ing/shop/web"));
    assert_non_null(strstr(text, "it has expired"));
    pg_reason_forget_all();
    assert_non_null(strstr(text, "\"target\":\"/\\n\\\"\""));
    assert_non_null(strstr(text, "\"verdict\":\"lost\""));
}

static void a_moved_file_is_left_alone_after_reopen(void **state)
{
    struct pg_access_log *l;
    struct pg_request_done d = request("/one", "");
    (void)state;
    assert_int_equal(pg_access_log_open(file, false, &l), 0);
    assert_int_equal(pg_access_log_start(l, NULL), 0);
    pg_access_log_request(l, &d);
    usleep(300000);
    assert_int_equal(rename(file, moved), 0);
    pg_access_log_reopen(l);
    usleep(300000);
    d = request("/two", "");
    pg_access_log_request(l, &d);
    pg_access_log_close(l);
    assert_non_null(strstr(content(moved), "/one"));
    assert_null(strstr(content(moved), "/two"));
    assert_non_null(strstr(content(file), "/two"));
}

/* A pipe whose reader takes nothing: lines are lost, the end comes nevertheless. */
static void nobody_waits_for_a_reader(void **state)
{
    struct pg_access_log *l;
    struct pg_request_done d = request("/", "");
    (void)state;
    assert_int_equal(mkfifo(file, 0600), 0);
    int reader = open(file, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_int_equal(pg_access_log_open(file, false, &l), 0);
    assert_int_equal(pg_access_log_start(l, NULL), 0);
    for (int i = 0; i < 20000; i++) {
        pg_access_log_request(l, &d);
    }
    assert_true(pg_access_log_lost(l) > 1000);
    pg_access_log_close(l);
    close(reader);
}

static void a_file_that_can_not_be_made_is_an_error(void **state)
{
    struct pg_access_log *l;
    (void)state;
    assert_true(pg_access_log_open("/tmp/podglass-no-such/access.log", false, &l) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_is_one_line_as_nginx_has_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_is_one_object_a_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_moved_file_is_left_alone_after_reopen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_waits_for_a_reader, set_up, tear_down),
        cmocka_unit_test(a_file_that_can_not_be_made_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
