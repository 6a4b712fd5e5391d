/* Regular expressions: what matches, what is taken out, and that nothing takes longer than it may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/pattern.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int match(const char *text, enum pg_pattern_form form, const char *subject,
                 struct pg_slice groups[PG_PATTERN_GROUPS])
{
    char why[160];
    struct pg_pattern *p = pg_pattern_new(text, form, why);
    struct pg_pattern_scratch *s = pg_pattern_scratch_new();
    if (!p)
        fail_msg("%s: %s", text, why);
    int found = pg_pattern_match(p, s, pg_slice_of(subject), groups);
    pg_pattern_scratch_free(s);
    pg_pattern_free(p);
    return found;
}

static void each_form_matches_its_part(void **state)
{
    static const struct {
        const char *text, *subject;
        int begin, whole;
    } rows[] = {
        {"/foo", "/foo", 1, 1},
        {"/foo", "/FOO", 1, 0},
        {"/foo", "/foobar", 1, 0},
        {"/foo", "/x/foo", 0, 0},
        {"/foo$", "/foobar", 0, 0},
        {"/foo$", "/foo\n", 0, 0},
        {"/[a-z]+/\\d+", "/item/42", 1, 1},
        {"/a|/b", "/bc", 1, 0},
        {"", "", 1, 1},
    };
    struct pg_slice groups[PG_PATTERN_GROUPS];
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (match(rows[i].text, PG_PATTERN_BEGIN_NOCASE, rows[i].subject, groups) != rows[i].begin)
            fail_msg("row %zu from the beginning", i);
        if (match(rows[i].text, PG_PATTERN_WHOLE, rows[i].subject, groups) != rows[i].whole)
            fail_msg("row %zu as a whole", i);
    }
}

static void groups_are_what_they_took(void **state)
{
    struct pg_slice groups[PG_PATTERN_GROUPS];
    (void)state;
    assert_int_equal(match("/(a)|/(b)(c?)", PG_PATTERN_BEGIN_NOCASE, "/bx", groups), 1);
    assert_true(pg_slice_is(groups[0], "/b"));
    assert_null(groups[1].at);
    assert_true(pg_slice_is(groups[2], "b"));
    assert_int_equal(groups[3].len, 0);
    assert_null(groups[9].at);
    assert_int_equal(
        match("/(1)(2)(3)(4)(5)(6)(7)(8)(9)(0)(1)", PG_PATTERN_WHOLE, "/12345678901", groups), 1);
    assert_true(pg_slice_is(groups[9], "9"));
}

static void wrong_ones_say_where(void **state)
{
    char why[160];
    char *longest = malloc(PG_PATTERN_MAX + 2);
    (void)state;
    assert_null(pg_pattern_new("/a(b", PG_PATTERN_WHOLE, why));
    assert_non_null(strstr(why, "at byte"));
    assert_null(pg_pattern_new("/a\\C", PG_PATTERN_WHOLE, why));
    assert_null(pg_pattern_new("((((a{1000}){1000}){1000}){1000})", PG_PATTERN_WHOLE, why));
    memset(longest, 'a', PG_PATTERN_MAX + 1);
    longest[PG_PATTERN_MAX + 1] = 0;
    assert_null(pg_pattern_new(longest, PG_PATTERN_WHOLE, why));
    free(longest);
}

/* The classic ones: each would run for years without limits. */
static void bombs_are_given_up(void **state)
{
    static const char *const bombs[] = {"(a+)+$", "(a|aa)+$", "(.*a){20}b", "(a*)*b",
                                        "((a{1,20}){1,20}){1,20}b"};
    struct pg_slice groups[PG_PATTERN_GROUPS];
    char subject[8001];
    struct timespec begin, end;
    (void)state;
    memset(subject, 'a', sizeof(subject) - 1);
    subject[sizeof(subject) - 1] = 0;
    subject[7999] = '!';
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        int found = match(bombs[i], PG_PATTERN_WHOLE, subject, groups);
        if (found != -E2BIG && found != 0)
            fail_msg("%s: %d", bombs[i], found);
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    assert_true(end.tv_sec - begin.tv_sec < 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_matches_its_part),
        cmocka_unit_test(groups_are_what_they_took),
        cmocka_unit_test(wrong_ones_say_where),
        cmocka_unit_test(bombs_are_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
