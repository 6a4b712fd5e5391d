/* base/json.c: commas, nesting, escapes; misuse ends the process. */
#include "podglass/json.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void commas_come_by_themselves(void **state)
{
    struct pg_text t = {0};
    struct pg_json j;
    struct pg_addr a = pg_addr_v4(10, 1, 0, 5), none = {0};
    pg_json_begin(&j, &t);
    pg_json_object(&j);
    pg_json_key_string(&j, "name", "web");
    pg_json_key_uint(&j, "most", UINT64_MAX);
    pg_json_key(&j, "least");
    pg_json_int(&j, INT64_MIN);
    pg_json_key_bool(&j, "yes", true);
    pg_json_key(&j, "empty");
    pg_json_object(&j);
    pg_json_object_end(&j);
    pg_json_key(&j, "list");
    pg_json_array(&j);
    pg_json_uint(&j, 1);
    pg_json_array(&j);
    pg_json_array_end(&j);
    pg_json_object(&j);
    pg_json_key_addr(&j, "ip", &a);
    pg_json_key_addr(&j, "nat", &none);
    pg_json_object_end(&j);
    pg_json_bool(&j, false);
    pg_json_string(&j, NULL);
    pg_json_slice(&j, PG_SLICE_LITERAL("s"));
    pg_json_array_end(&j);
    pg_json_key_string(&j, "last", "");
    pg_json_object_end(&j);
    assert_string_equal(t.at, "{\"name\":\"web\",\"most\":18446744073709551615,"
                              "\"least\":-9223372036854775808,\"yes\":true,\"empty\":{},"
                              "\"list\":[1,[],{\"ip\":\"10.1.0.5\",\"nat\":null},false,null,\"s\"],"
                              "\"last\":\"\"}");
    assert_int_equal(j.depth, 0);
    pg_text_free(&t);
}

static void siblings_begin_without_a_comma(void **state)
{
    struct pg_text t = {0};
    struct pg_json j;
    pg_json_begin(&j, &t);
    pg_json_array(&j);
    for (uint64_t i = 0; i < 3; i++) {
        pg_json_array(&j);
        pg_json_uint(&j, i);
        pg_json_uint(&j, i);
        pg_json_array_end(&j);
    }
    pg_json_array_end(&j);
    assert_string_equal(t.at, "[[0,0],[1,1],[2,2]]");
    pg_text_free(&t);
}

static void text_may_be_drained_between_values(void **state)
{
    struct pg_text t = {0};
    struct pg_json j;
    pg_json_begin(&j, &t);
    pg_json_array(&j);
    pg_json_uint(&j, 1);
    assert_string_equal(t.at, "[1");
    pg_text_clear(&t);
    pg_json_uint(&j, 2);
    pg_json_array_end(&j);
    assert_string_equal(t.at, ",2]");
    pg_text_free(&t);
}

static void any_bytes_become_valid_json(void **state)
{
    static const char *const rows[][2] = {
        {"a\"b\\c/", "\"a\\\"b\\\\c/\""},
        {"\n\r\t\b\x01", "\"\\n\\r\\t\\u0008\\u0001\""},
        {"\x7f\xc2\x9b", "\"\\u007f\\u009b\""},
        {"\xe2\x80\xae", "\"\\u202e\""},
        {"\xe2\x80\xa8\xe2\x80\xa9", "\"\\u2028\\u2029\""},
        {"\xf3\xa0\x80\xa1", "\"\\udb40\\udc21\""}, /* a tag character: a surrogate pair */
        {"\xc3\xbc\xf0\x9f\x90\xb3", "\"\xc3\xbc\xf0\x9f\x90\xb3\""},
        {"\xff", "\"\xef\xbf\xbd\""},
        {"\xc3", "\"\xef\xbf\xbd\""},
        {"\xc3x", "\"\xef\xbf\xbdx\""},
        {"\xed\xa0\x80", "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_text t = {0};
        struct pg_json j;
        pg_json_begin(&j, &t);
        pg_json_string(&j, rows[i][0]);
        assert_string_equal(t.at, rows[i][1]);
        pg_text_free(&t);
    }
    struct pg_text t = {0};
    struct pg_json j;
    pg_json_begin(&j, &t);
    pg_json_object(&j);
    pg_json_key(&j, "k\"\n");
    pg_json_slice(&j, (struct pg_slice){"\0", 1});
    pg_json_object_end(&j);
    assert_string_equal(t.at, "{\"k\\\"\\n\":\"\\u0000\"}");
    pg_text_free(&t);
}

static void thirty_two_levels_nest(void **state)
{
    struct pg_text t = {0};
    struct pg_json j;
    pg_json_begin(&j, &t);
    for (int i = 0; i < 32; i++)
        pg_json_array(&j);
    pg_json_uint(&j, 1);
    pg_json_uint(&j, 2);
    for (int i = 0; i < 32; i++)
        pg_json_array_end(&j);
    assert_int_equal(t.len, 32 + 3 + 32);
    assert_memory_equal(t.at + 31, "[1,2]", 5);
    pg_text_free(&t);
}

/* True if doing it in a child ends by abort. */
static bool aborts(void (*fn)(struct pg_json *j))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        struct pg_text t = {0};
        struct pg_json j;
        pg_json_begin(&j, &t);
        fn(&j);
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void nest_33(struct pg_json *j)
{
    for (int i = 0; i < 33; i++)
        pg_json_array(j);
}

static void end_without_begin(struct pg_json *j)
{
    pg_json_object_end(j);
}

static void two_keys(struct pg_json *j)
{
    pg_json_object(j);
    pg_json_key(j, "a");
    pg_json_key(j, "b");
}

static void misuse_is_caught_in_every_build(void **state)
{
    assert_true(aborts(nest_33));
    assert_true(aborts(end_without_begin));
    assert_true(aborts(two_keys));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commas_come_by_themselves),
        cmocka_unit_test(siblings_begin_without_a_comma),
        cmocka_unit_test(text_may_be_drained_between_values),
        cmocka_unit_test(any_bytes_become_valid_json),
        cmocka_unit_test(thirty_two_levels_nest),
        cmocka_unit_test(misuse_is_caught_in_every_build),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
