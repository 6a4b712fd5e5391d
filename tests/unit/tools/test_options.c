/* The parser of the command line: every form of a flag, and everything that must be refused. */
#include "podglass/tools.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define MOST 16

static struct pg_options options;

/* Parses words divided by blanks. */
static int parse(enum pg_verb verb, const char *line)
{
    static char copy[256];
    static char *argv[MOST + 1];
    int argc = 0;

    pg_options_free(&options);
    snprintf(copy, sizeof copy, "%s", line);
    for (char *word = strtok(copy, " "); word && argc < MOST; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return pg_options_parse(verb, argc, argv, &options);
}

static void every_form_of_a_value_is_the_same(void **state)
{
    static const char *const forms[] = {
        "get ct -o json", "get ct -ojson",        "get ct -o=json",  "get ct --output json",
        "get -o json ct", "get --output=json ct", "get -wo json ct", "get -wojson ct"};

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        assert_int_equal(parse(PG_VERB_GET, forms[i]), 0);
        assert_string_equal(options.value[PG_FLAG_GET_OUTPUT], "json");
        assert_int_equal(options.arg_count, 1);
        assert_string_equal(options.arg[0], "ct");
    }
    assert_true(pg_options_has(&options, PG_FLAG_GET_WATCH));
    assert_false(pg_options_has(&options, PG_FLAG_GET_NO_HEADERS));
}

static void repeated_flags_keep_their_order(void **state)
{
    uint32_t cursor = 0;

    assert_int_equal(parse(PG_VERB_RUN, "run -f a -R --filename=b -f - -fc"), 0);
    assert_string_equal(pg_options_next(&options, PG_FLAG_RUN_FILENAME, &cursor), "a");
    assert_string_equal(pg_options_next(&options, PG_FLAG_RUN_FILENAME, &cursor), "b");
    assert_string_equal(pg_options_next(&options, PG_FLAG_RUN_FILENAME, &cursor), "-");
    assert_string_equal(pg_options_next(&options, PG_FLAG_RUN_FILENAME, &cursor), "c");
    assert_null(pg_options_next(&options, PG_FLAG_RUN_FILENAME, &cursor));
    assert_true(pg_options_has(&options, PG_FLAG_RUN_RECURSIVE));
}

static void a_flag_given_twice_counts_as_given_last(void **state)
{
    assert_int_equal(parse(PG_VERB_RUN, "run -n a -n b"), 0);
    assert_string_equal(options.value[PG_FLAG_RUN_NAMESPACE], "b");
}

static void what_is_behind_the_dashes_is_not_looked_at(void **state)
{
    assert_int_equal(parse(PG_VERB_RUN, "run -f a -- curl -f --strict -- x"), 0);
    assert_true(options.has_command);
    assert_int_equal(options.command_argc, 5);
    assert_string_equal(options.command_argv[0], "curl");
    assert_string_equal(options.command_argv[3], "--");
    assert_null(options.command_argv[5]);
    assert_false(pg_options_has(&options, PG_FLAG_RUN_STRICT));

    assert_int_equal(parse(PG_VERB_RUN, "run -f a --"), 0);
    assert_true(options.has_command);
    assert_int_equal(options.command_argc, 0);
    assert_int_equal(parse(PG_VERB_RUN, "run -f a"), 0);
    assert_false(options.has_command);
}

static void what_the_table_does_not_have_is_refused(void **state)
{
    static const struct {
        enum pg_verb verb;
        const char *line;
    } wrong[] = {
        {PG_VERB_RUN, "run --foo"},
        {PG_VERB_RUN, "run --foo=1"},
        {PG_VERB_RUN, "run -x"},
        {PG_VERB_RUN, "run -Rx"},
        {PG_VERB_RUN, "run -f"},
        {PG_VERB_RUN, "run --filename"},
        {PG_VERB_RUN, "run -f -- x"},
        {PG_VERB_RUN, "run --strict=yes"},
        {PG_VERB_RUN, "run --pods maybe"},
        {PG_VERB_RUN, "run --pods=auto|echo"},
        {PG_VERB_RUN, "run --pods="},
        {PG_VERB_RUN, "run --output json"},
        {PG_VERB_GET, "get -o yam"},
        {PG_VERB_GET, "get -o json="},
        {PG_VERB_GET, "get -o json=x"},
        {PG_VERB_GET, "get -o jsonpath"},
        {PG_VERB_GET, "get -o jsonpath="},
        {PG_VERB_GET, "get -o jsonpat=x"},
        {PG_VERB_GET, "get -o =x"},
        {PG_VERB_GET, "get --out json"},
        {PG_VERB_DEMO, "demo --color pink"},
        {PG_VERB_GET, "get --=json"},
        {PG_VERB_GET, "get -F a"},
    };

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(parse(wrong[i].verb, wrong[i].line), PG_EXIT_USAGE);
    }
    assert_int_equal(parse(PG_VERB_GET, "get -o jsonpath={.a}|b"), 0);
    assert_int_equal(parse(PG_VERB_GET, "get -o=custom-columns=A:.a"), 0);
}

static void numbers_have_a_range(void **state)
{
    static const struct {
        const char *line;
        int status;
        uint64_t number;
    } rows[] = {
        {"run", 0, 7},
        {"run --mtu 1500", 0, 1500},
        {"run --mtu 0x5dc", 0, 1500},
        {"run --mtu 575", PG_EXIT_USAGE, 7},
        {"run --mtu 65536", PG_EXIT_USAGE, 7},
        {"run --mtu -1", PG_EXIT_USAGE, 7},
        {"run --mtu 1500x", PG_EXIT_USAGE, 7},
        {"run --mtu=", PG_EXIT_USAGE, 7},
        {"run --mtu +1500", PG_EXIT_USAGE, 7},
        {"run --mtu 99999999999999999999", PG_EXIT_USAGE, 7},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t number = 7;

        assert_int_equal(parse(PG_VERB_RUN, rows[i].line), 0);
        assert_int_equal(pg_options_number(&options, PG_FLAG_RUN_MTU, 576, 65535, &number),
                         rows[i].status);
        assert_int_equal(number, rows[i].number);
    }
}

static void arguments_are_counted(void **state)
{
    assert_int_equal(parse(PG_VERB_RUN, "run curl x"), 0);
    assert_int_equal(pg_options_args(&options, 0, 0), PG_EXIT_USAGE);
    assert_int_equal(pg_options_args(&options, 0, 2), 0);
    assert_int_equal(parse(PG_VERB_GET, "get"), 0);
    assert_int_equal(pg_options_args(&options, 1, 2), PG_EXIT_USAGE);
    assert_int_equal(parse(PG_VERB_GET, "get ct -- ls"), 0);
    assert_int_equal(pg_options_args(&options, 1, 2), PG_EXIT_USAGE);
}

static enum pg_verb verb_of(const char *first, const char *second)
{
    char program[] = "podglass";
    char a[32];
    char b[32];
    char *argv[] = {program, a, b, NULL};

    snprintf(a, sizeof a, "%s", first);
    snprintf(b, sizeof b, "%s", second);
    return pg_verb_of(first[0] == 0 ? 1 : second[0] == 0 ? 2 : 3, argv);
}

static void the_verb_is_found(void **state)
{
    assert_int_equal(verb_of("", ""), PG_VERB_HELP);
    assert_int_equal(verb_of("--help", ""), PG_VERB_HELP);
    assert_int_equal(verb_of("-h", ""), PG_VERB_HELP);
    assert_int_equal(verb_of("get", "--help"), PG_VERB_HELP);
    assert_int_equal(verb_of("--version", ""), PG_VERB_VERSION);
    assert_int_equal(verb_of("get", "ct"), PG_VERB_GET);
    assert_int_equal(verb_of("run", "--"), PG_VERB_RUN);
    assert_int_equal(verb_of("got", ""), PG_VERB_COUNT);
}

static int tear_down(void **state)
{
    pg_options_free(&options);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(every_form_of_a_value_is_the_same, tear_down),
        cmocka_unit_test_teardown(repeated_flags_keep_their_order, tear_down),
        cmocka_unit_test_teardown(a_flag_given_twice_counts_as_given_last, tear_down),
        cmocka_unit_test_teardown(what_is_behind_the_dashes_is_not_looked_at, tear_down),
        cmocka_unit_test_teardown(what_the_table_does_not_have_is_refused, tear_down),
        cmocka_unit_test_teardown(numbers_have_a_range, tear_down),
        cmocka_unit_test_teardown(arguments_are_counted, tear_down),
        cmocka_unit_test_teardown(the_verb_is_found, tear_down),
    };

    return cmocka_run_group_tests_name("options", tests, NULL, NULL);
}
