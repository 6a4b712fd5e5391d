/* Paths as they are matched and sent: one form for all that means the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_grammar.h"

#include <string.h>

static const struct {
    const char *path, *normal;
} paths[] = {
    {"/", "/"},
    {"/a/b?x=1", "/a/b?x=1"},
    {"/a%62c", "/abc"},
    {"/%7Euser/%2D%2e%5F", "/~user/-._"},
    {"/a%2Fb%2f", "/a%2Fb%2f"},
    {"/a%25%34%31", "/a%2541"},
    {"/a/./b/.", "/a/b/"},
    {"/a/../b", "/b"},
    {"/a/..", "/"},
    {"/../../etc", "/etc"},
    {"/%2e%2E/etc", "/etc"},
    {"/a/b/%2e%2e/%2e/c", "/a/c"},
    {"/a/.b/..c/...", "/a/.b/..c/..."},
    {"//", "/"},
    {"//a///b//", "/a/b/"},
    {"/a//../b", "/b"},
    {"/a/.//./b", "/a/b"},
    {"/a//b?c//d/../%62", "/a/b?c//d/../%62"},
    {"*", "*"},
};

static void paths_have_one_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char out[64] = {0}, again[64] = {0};
        struct pg_slice path = pg_slice_of(paths[i].path);
        uint32_t len = pg_http_path_normalise(path, false, out);
        if (len != strlen(paths[i].normal) || memcmp(out, paths[i].normal, len) != 0)
            fail_msg("%s: %.*s", paths[i].path, (int)len, out);
        assert_int_equal(pg_http_path_normalise((struct pg_slice){out, len}, false, again), len);
        assert_memory_equal(out, again, len);
        if (!pg_http_path_is_odd(path))
            assert_string_equal(paths[i].path, paths[i].normal);
    }
}

static void runs_of_slashes_may_stay(void **state)
{
    static const struct {
        const char *path, *normal;
    } kept[] = {{"//a///b//", "//a///b//"},
                {"/a//../b", "/a/b"},
                {"//../b", "/b"},
                {"/a/%2e//%62", "/a//b"}};
    (void)state;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++) {
        char out[64] = {0}, again[64] = {0};
        uint32_t len = pg_http_path_normalise(pg_slice_of(kept[i].path), true, out);
        assert_int_equal(len, strlen(kept[i].normal));
        assert_memory_equal(out, kept[i].normal, len);
        assert_int_equal(pg_http_path_normalise((struct pg_slice){out, len}, true, again), len);
        assert_memory_equal(out, again, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_of_slashes_may_stay),
        cmocka_unit_test(paths_have_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
