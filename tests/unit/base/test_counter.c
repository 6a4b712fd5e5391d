/* base/counter.c and base/log.c: every counter and drop has a name of its own; log lines stay one
 * line. */
#include "podglass/counter.h"

#include "podglass/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Names become metric labels and words of the command line. */
static void check_name(const char *name, const char *help)
{
    assert_non_null(name);
    assert_true(strlen(name) > 1 &&
                strlen(name) == strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_"));
    assert_true(strlen(help) > 3);
}

static void every_counter_has_its_own_name(void **state)
{
    for (int i = 0; i < PG_COUNTER_COUNT; i++) {
        check_name(pg_counter_name((enum pg_counter)i), pg_counter_help((enum pg_counter)i));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(pg_counter_name((enum pg_counter)i),
                                    pg_counter_name((enum pg_counter)k));
    }
    assert_string_equal(pg_counter_name(PG_COUNT_RX_PACKETS), "rx_packets");
}

static void every_drop_has_its_own_name(void **state)
{
    for (int i = 0; i < PG_DROP_COUNT; i++) {
        check_name(pg_drop_name((enum pg_drop)i), pg_drop_help((enum pg_drop)i));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(pg_drop_name((enum pg_drop)i), pg_drop_name((enum pg_drop)k));
    }
    assert_string_equal(pg_drop_name(PG_DROP_NONE), "none");
    assert_string_equal(pg_drop_name(PG_DROP_BAD_GSO), "bad-gso");
}

static void numbers_out_of_range_are_unknown(void **state)
{
    assert_string_equal(pg_drop_name(PG_DROP_COUNT), "unknown");
    assert_string_equal(pg_drop_name((enum pg_drop)0x7fffffff), "unknown");
    assert_string_equal(pg_counter_name(PG_COUNTER_COUNT), "unknown");
    assert_non_null(pg_counter_help(PG_COUNTER_COUNT));
    assert_non_null(pg_drop_help(PG_DROP_COUNT));
}

static void a_log_call_is_one_escaped_line_of_its_level(void **state)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    pg_log(PG_LOG_ERROR, "host %s: no", "a\nerror: forged\x1b[0m");
    pg_log(PG_LOG_DEBUG, "hidden");
    pg_log_set(PG_LOG_DEBUG);
    pg_log(PG_LOG_DEBUG, "shown");
    pg_log_set(PG_LOG_WARN);
    pg_log(PG_LOG_NOTICE, "hidden");
    pg_log(PG_LOG_WARN, "last");
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    char text[500] = "";
    assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
    close(ends[0]);
    pg_log_set(PG_LOG_NOTICE);
    assert_string_equal(text, "error: host a\\x0aerror: forged\\x1b[0m: no\n"
                              "debug: shown\n"
                              "warning: last\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_counter_has_its_own_name),
        cmocka_unit_test(every_drop_has_its_own_name),
        cmocka_unit_test(numbers_out_of_range_are_unknown),
        cmocka_unit_test(a_log_call_is_one_escaped_line_of_its_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
