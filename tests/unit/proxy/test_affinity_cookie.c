/* Cookies that keep a client with a pod: finding one, and what is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "affinity_cookie.h"
#include "http_grammar.h"

#include <stdio.h>
#include <string.h>

static void a_cookie_is_found_by_its_whole_name(void **state)
{
    static const struct {
        const char *line, *value; /* NULL: not there */
    } rows[] = {
        {"pod=x", "x"},          {"a=1; pod=x; b=2", "x"},
        {"a=1;pod=x ;b=2", "x"}, {"pod=", ""},
        {"pod=a=b", "a=b"},      {"xpod=1; pod=2", "2"},
        {"pod=1; pod=2", "1"},   {"podx=1", NULL},
        {"pod", NULL},           {"pod =1", NULL},
        {"POD=1", NULL},         {"a=pod=1", NULL},
        {";;;", NULL},           {"", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_slice got = pg_http_cookie(pg_slice_of(rows[i].line), PG_SLICE_LITERAL("pod"));
        if (rows[i].value == NULL ? got.at != NULL : !pg_slice_is(got, rows[i].value))
            fail_msg("row %zu: %s", i, rows[i].line);
    }
}

static void what_is_given_comes_back(void **state)
{
    struct pg_hash_key key = {1, 2};
    struct pg_hash_key other = {3, 2};
    struct pg_endpoint one = {.port = 80}, two = {.port = 81};
    struct pg_route_filter by = {.name = "pod", .value = ""};
    struct pg_route route = {.path = "/cart"};
    struct pg_http_head head = {.field_count = 1};
    char out[PG_COOKIE_TEXT], line[64];
    (void)state;
    uint64_t cookie = pg_cookie_of(&key, &one);
    assert_true(cookie != pg_cookie_of(&key, &two));
    assert_true(cookie != pg_cookie_of(&other, &one)); /* of another process */
    struct pg_slice text = pg_cookie_print(&by, &route, cookie, false, out);
    assert_memory_equal(text.at + 20, "; Path=/cart; HttpOnly", 22);
    (void)snprintf(line, sizeof(line), "Cookie%.20s", text.at);
    head.fields[0].name = (struct pg_span){0, 6};
    head.fields[0].value = (struct pg_span){6, 20};
    assert_true(pg_cookie_received(&by, &head, line) == cookie);
    line[12] = 'x'; /* no digit */
    assert_true(pg_cookie_received(&by, &head, line) == 0);
}

static void attributes_are_those_of_the_annotations(void **state)
{
    struct pg_route_filter by = {.name = "c", .value = "; Max-Age=9; Path=/a; Secure"};
    struct pg_route route = {.path = "/b.*", .path_type = PG_PATH_REGEX_BEGIN};
    char out[PG_COOKIE_TEXT];
    (void)state;
    assert_true(pg_slice_is(pg_cookie_print(&by, &route, 1, true, out),
                            "c=0000000000000001; Max-Age=9; Path=/a; Secure; HttpOnly"));
    by.value = "";
    assert_true(pg_slice_is(pg_cookie_print(&by, &route, 1, true, out),
                            "c=0000000000000001; Path=/; Secure; HttpOnly"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cookie_is_found_by_its_whole_name),
        cmocka_unit_test(what_is_given_comes_back),
        cmocka_unit_test(attributes_are_those_of_the_annotations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
