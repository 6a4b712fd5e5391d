/* trace/verdict.c: does the pod see the real client? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/verdict.h"

#include <string.h>

static struct pg_addr addr(const char *text)
{
    struct pg_addr a = {0};

    assert_int_equal(pg_addr_parse(text, strlen(text), &a), 0);
    return a;
}

static struct pg_slice slice(const char *text)
{
    return text ? pg_slice_of(text) : (struct pg_slice){0};
}

struct row {
    const char *name;
    const char *peer;       /* NULL: the ingress pod */
    const char *xff;        /* as the pod gets it */
    const char *real;       /* X-Real-IP */
    const char *client_xff; /* what the client had sent */
    enum pg_verdict verdict;
};

static const struct row rows[] = {
    {"direct", "198.51.100.7", NULL, NULL, NULL, PG_VERDICT_KEPT},
    {"direct, with whatever the client claims", "198.51.100.7", "1.1.1.1", NULL, "1.1.1.1",
     PG_VERDICT_KEPT},
    {"no header at all", NULL, NULL, NULL, NULL, PG_VERDICT_LOST},
    {"ingress saw the client", NULL, "198.51.100.7", "198.51.100.7", NULL, PG_VERDICT_CARRIED},
    {"ingress saw a masqueraded address", NULL, "10.244.1.1", "10.244.1.1", NULL, PG_VERDICT_LOST},
    {"only X-Real-IP", NULL, NULL, "198.51.100.7", NULL, PG_VERDICT_CARRIED},
    {"forged line overwritten", NULL, "198.51.100.7", "198.51.100.7", "1.1.1.1",
     PG_VERDICT_CARRIED},
    {"forged line passed on", NULL, "1.1.1.1", NULL, "1.1.1.1", PG_VERDICT_FORGED},
    {"forged line believed", NULL, "1.1.1.1", "1.1.1.1", "1.1.1.1", PG_VERDICT_FORGED},
    {"forged line extended with the client", NULL, "1.1.1.1, 198.51.100.7", "198.51.100.7",
     "1.1.1.1", PG_VERDICT_AMBIGUOUS},
    {"forged line extended with a masqueraded address", NULL, "1.1.1.1, 10.244.1.1", NULL,
     "1.1.1.1", PG_VERDICT_FORGED},
    {"two elements forged", NULL, "1.1.1.1,2.2.2.2, 10.244.1.1", NULL, "1.1.1.1, 2.2.2.2",
     PG_VERDICT_FORGED},
    {"chain of a trusted proxy", NULL, "198.51.100.7, 192.0.2.50", "198.51.100.7", NULL,
     PG_VERDICT_CARRIED},
    {"headers disagree", NULL, "198.51.100.7", "10.244.1.1", NULL, PG_VERDICT_AMBIGUOUS},
    {"honest client, line passed on", NULL, "198.51.100.7", NULL, "198.51.100.7",
     PG_VERDICT_CARRIED},
    {"garbage", NULL, "unknown, ,", "-", NULL, PG_VERDICT_LOST},
};

static void verdict_is_what_the_definition_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct row *r = &rows[i];
        struct pg_seen seen = {.client = addr("198.51.100.7"),
                               .peer = addr(r->peer ? r->peer : "10.244.1.9"),
                               .xff = slice(r->xff),
                               .x_real_ip = slice(r->real),
                               .client_xff = slice(r->client_xff)};
        enum pg_verdict got = pg_verdict_decide(&seen);
        if (got != r->verdict)
            fail_msg("%s: got %s, wanted %s", r->name, pg_verdict_name(got),
                     pg_verdict_name(r->verdict));
    }
}

static void readers_take_what_such_an_application_takes(void **state)
{
    struct pg_seen seen = {.xff = slice("1.1.1.1, [2001:db8::7]:99 ,198.51.100.7:1234"),
                           .x_real_ip = slice(" 2001:db8::8 ")};
    struct pg_addr a;
    struct pg_addr wanted;

    (void)state;
    assert_true(pg_reader_xff_left(&seen, &a));
    wanted = addr("1.1.1.1");
    assert_true(pg_addr_equal(&a, &wanted));
    assert_true(pg_reader_xff_right(&seen, 1, &a));
    wanted = addr("198.51.100.7");
    assert_true(pg_addr_equal(&a, &wanted));
    assert_true(pg_reader_xff_right(&seen, 2, &a));
    wanted = addr("2001:db8::7");
    assert_true(pg_addr_equal(&a, &wanted));
    assert_true(pg_reader_xff_right(&seen, 3, &a));
    assert_false(pg_reader_xff_right(&seen, 4, &a));
    assert_false(pg_reader_xff_right(&seen, 0, &a));
    assert_true(pg_reader_x_real_ip(&seen, &a));
    wanted = addr("2001:db8::8");
    assert_true(pg_addr_equal(&a, &wanted));
}

static void reader_finds_nothing_in_nothing(void **state)
{
    struct pg_seen seen = {0};
    struct pg_addr a;

    (void)state;
    assert_false(pg_reader_xff_left(&seen, &a));
    assert_false(pg_reader_xff_right(&seen, 1, &a));
    assert_false(pg_reader_x_real_ip(&seen, &a));
    seen.xff = slice(",");
    assert_false(pg_reader_xff_left(&seen, &a));
    assert_false(pg_reader_xff_right(&seen, 1, &a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdict_is_what_the_definition_says),
        cmocka_unit_test(readers_take_what_such_an_application_takes),
        cmocka_unit_test(reader_finds_nothing_in_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
