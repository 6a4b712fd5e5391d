/* base/text.c and base/grid.c: what strangers' bytes look like on a terminal, and kubectl's
 * look. */
#include "podglass/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void text_grows_and_always_ends_with_nul(void **state)
{
    struct pg_text t = {0};
    pg_text_add(&t, "", 0);
    assert_string_equal(t.at, "");
    for (int i = 0; i < 5000; i++) {
        pg_text_putc(&t, (char)('a' + i % 26));
        assert_int_equal(t.at[t.len], 0);
        assert_true(t.len < t.room);
    }
    assert_int_equal(t.len, 5000);
    pg_text_clear(&t);
    assert_string_equal(t.at, "");
    pg_text_puts(&t, "one ");
    pg_text_printf(&t, "%s %d", "two", 3);
    assert_string_equal(t.at, "one two 3");
    pg_text_free(&t);
    assert_null(t.at);
    pg_text_clear(&t); /* of an empty one is fine */
    pg_text_free(&t);
}

static void printf_of_any_length_is_whole(void **state)
{
    for (int len = 0; len < 700; len++) {
        struct pg_text t = {0};
        pg_text_printf(&t, "%*s|", len, "");
        assert_int_equal(t.len, len + 1);
        assert_int_equal(t.at[len], '|');
        pg_text_printf(&t, "%s", "more");
        assert_string_equal(t.at + len, "|more");
        pg_text_free(&t);
    }
}

static void slices_compare_by_their_bytes(void **state)
{
    struct pg_slice host = PG_SLICE_LITERAL("Host"), empty = {NULL, 0};
    assert_true(pg_slice_is(host, "Host"));
    assert_false(pg_slice_is(host, "host"));
    assert_false(pg_slice_is(host, "Hos"));
    assert_true(pg_slice_equal_nocase(host, pg_slice_of("hOST")));
    assert_false(pg_slice_equal_nocase(host, pg_slice_of("hOSTs")));
    assert_false(pg_slice_equal_nocase(pg_slice_of("@["), pg_slice_of("`{"))); /* 0x20 apart */
    assert_true(pg_slice_equal(empty, pg_slice_of("")));
    assert_true(pg_slice_equal_nocase(empty, empty));
}

static void bytes_of_strangers_are_escaped(void **state)
{
    static const char *const rows[][2] = {
        {"plain text ~!", "plain text ~!"},
        {"back\\slash", "back\\slash"},
        {"line\nfeed\ttab\r", "line\\x0afeed\\x09tab\\x0d"},
        {"\x1b[31mred", "\\x1b[31mred"},
        {"\x7f", "\\x7f"},
        {"b\xc3\xbc"
         "cher \xe2\x82\xac \xf0\x9f\x90\xb3",
         "b\xc3\xbc"
         "cher \xe2\x82\xac \xf0\x9f\x90\xb3"},
        {"\xc2\x9b"
         "31m",
         "\\xc2\\x9b31m"}, /* C1: CSI in UTF-8 */
        {"\x9b"
         "31m",
         "\\x9b31m"}, /* CSI as one byte */
        {"a\xe2\x80\xae"
         "b",
         "a\\xe2\\x80\\xaeb"}, /* right-to-left override */
        {"\xe2\x81\xa6x\xe2\x81\xa9", "\\xe2\\x81\\xa6x\\xe2\\x81\\xa9"}, /* isolates */
        {"\xe2\x80\x8f", "\\xe2\\x80\\x8f"},                              /* right-to-left mark */
        {"\xd8\x9c", "\\xd8\\x9c"},                                       /* Arabic letter mark */
        {"\xe2\x80\xa8", "\\xe2\\x80\\xa8"},                              /* line separator */
        {"\xef\xbb\xbf", "\\xef\\xbb\\xbf"},                              /* byte order mark */
        {"\xc0\xaf", "\\xc0\\xaf"},                                       /* overlong */
        {"\xe0\x80\xaf", "\\xe0\\x80\\xaf"},                              /* overlong */
        {"\xf0\x80\x80\xaf", "\\xf0\\x80\\x80\\xaf"},                     /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                              /* surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},                     /* above U+10FFFF */
        {"\xf5\x80\x80\x80", "\\xf5\\x80\\x80\\x80"},
        {"\xe2\x82", "\\xe2\\x82"}, /* cut off */
        {"\xe2\x82x", "\\xe2\\x82x"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"\x80", "\\x80"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = strlen(rows[i][0]);
        char *copy = malloc(len);
        memcpy(copy, rows[i][0], len);
        struct pg_text t = {0};
        pg_text_add_escaped(&t, copy, len);
        assert_string_equal(t.at, rows[i][1]);
        pg_text_free(&t);
        free(copy);
    }
    struct pg_text t = {0};
    pg_text_add_escaped(&t, "a\0b", 3);
    assert_string_equal(t.at, "a\\x00b");
    pg_text_clear(&t);
    pg_text_add_escaped(&t, NULL, 0);
    assert_string_equal(t.at, "");
    pg_text_free(&t);
}

static void durations_show_their_two_largest_units(void **state)
{
    static const struct {
        uint64_t seconds;
        const char *text;
    } rows[] = {{0, "0s"},          {12, "12s"},
                {59, "59s"},        {60, "1m"},
                {102, "1m42s"},     {3599, "59m59s"},
                {3600, "1h"},       {3601, "1h"},
                {86399, "23h59m"},  {86400, "1d"},
                {273600, "3d4h"},   {432000, "5d"},
                {86400 + 59, "1d"}, {UINT64_MAX, "213503982334601d7h"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_text t = {0};
        pg_text_add_duration(&t, rows[i].seconds);
        assert_string_equal(t.at, rows[i].text);
        pg_text_free(&t);
    }
}

static void byte_counts_are_short(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } rows[] = {{0, "0"},
                {512, "512"},
                {999, "999"},
                {1000, "1.0k"},
                {1100, "1.1k"},
                {1199, "1.1k"},
                {42000, "42.0k"},
                {999999, "999.9k"},
                {1000000, "1.0M"},
                {4200000, "4.2M"},
                {1000000000, "1.0G"},
                {1500000000000, "1.5T"},
                {UINT64_MAX, "18.4E"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_text t = {0};
        pg_text_add_bytes(&t, rows[i].bytes);
        assert_string_equal(t.at, rows[i].text);
        pg_text_free(&t);
    }
}

static struct pg_grid *some_grid(void)
{
    static const char *const heads[] = {"name", "ip", "age"};
    struct pg_grid *g = pg_grid_new(heads, 3);
    pg_grid_cell(g, "web");
    pg_grid_cell(g, "10.96.0.10");
    pg_grid_cellf(g, "%dm", 5);
    pg_grid_cell(g, "b\xc3\xbc"
                    "cher");
    pg_grid_cell(g, NULL);
    pg_grid_cell(g, "");
    return g;
}

static void a_grid_looks_like_kubectls(void **state)
{
    struct pg_grid *g = some_grid();
    struct pg_text t = {0};
    pg_grid_print(g, true, &t);
    assert_string_equal(t.at, "NAME     IP           AGE\n"
                              "web      10.96.0.10   5m\n"
                              "b\xc3\xbc"
                              "cher   <none>       <none>\n");
    pg_text_clear(&t);
    pg_grid_print(g, false, &t);
    assert_string_equal(t.at, "web      10.96.0.10   5m\n"
                              "b\xc3\xbc"
                              "cher   <none>       <none>\n");
    pg_text_free(&t);
    pg_grid_free(g);
}

static void a_cell_can_not_break_its_line_or_the_columns(void **state)
{
    static const char *const heads[] = {"a", "b"};
    struct pg_grid *g = pg_grid_new(heads, 2);
    pg_grid_cell(g, "x\ny");
    pg_grid_cell(g, "1");
    pg_grid_cell(g, "unfinished row");
    struct pg_text t = {0};
    pg_grid_print(g, true, &t);
    assert_string_equal(t.at, "A                B\nx\\x0ay           1\nunfinished row\n");
    pg_text_free(&t);
    pg_grid_free(g);
    pg_grid_free(NULL);
}

static void a_grid_without_rows_prints_its_heads(void **state)
{
    static const char *const heads[] = {"one", "two"};
    struct pg_grid *g = pg_grid_new(heads, 2);
    struct pg_text t = {0};
    pg_grid_print(g, true, &t);
    assert_string_equal(t.at, "ONE   TWO\n");
    pg_text_clear(&t);
    pg_grid_print(g, false, &t);
    assert_string_equal(t.at, "");
    pg_text_free(&t);
    pg_grid_free(g);
}

static void a_grid_of_many_rows_keeps_them_all(void **state)
{
    static const char *const heads[] = {"n", "square"};
    struct pg_grid *g = pg_grid_new(heads, 2);
    for (int i = 0; i < 1000; i++) {
        pg_grid_cellf(g, "%d", i);
        pg_grid_cellf(g, "%d", i * i);
    }
    struct pg_text t = {0};
    pg_grid_print(g, true, &t);
    size_t lines = 0;
    for (size_t i = 0; i < t.len; i++)
        lines += t.at[i] == '\n';
    assert_int_equal(lines, 1001);
    assert_non_null(strstr(t.at, "\n999   998001\n"));
    pg_text_free(&t);
    pg_grid_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_grows_and_always_ends_with_nul),
        cmocka_unit_test(printf_of_any_length_is_whole),
        cmocka_unit_test(slices_compare_by_their_bytes),
        cmocka_unit_test(bytes_of_strangers_are_escaped),
        cmocka_unit_test(durations_show_their_two_largest_units),
        cmocka_unit_test(byte_counts_are_short),
        cmocka_unit_test(a_grid_looks_like_kubectls),
        cmocka_unit_test(a_cell_can_not_break_its_line_or_the_columns),
        cmocka_unit_test(a_grid_without_rows_prints_its_heads),
        cmocka_unit_test(a_grid_of_many_rows_keeps_them_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
