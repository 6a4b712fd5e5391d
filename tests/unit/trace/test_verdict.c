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
    const char *forwarded;
    const char *client_forwarded;
    const char *proxy; /* source of the preface to the pod; "none": there is one without */
    const char *client_proxy;
    const char *client_real;
};

static const struct row rows[] = {
    {.name = "direct", .verdict = PG_VERDICT_KEPT, .peer = "198.51.100.7"},
    {.name = "direct, with whatever the client claims",
     .verdict = PG_VERDICT_KEPT,
     .peer = "198.51.100.7",
     .xff = "1.1.1.1",
     .client_xff = "1.1.1.1"},
    {.name = "no header at all", .verdict = PG_VERDICT_LOST},
    {.name = "ingress saw the client",
     .verdict = PG_VERDICT_CARRIED,
     .xff = "198.51.100.7",
     .real = "198.51.100.7"},
    {.name = "ingress saw a masqueraded address",
     .verdict = PG_VERDICT_LOST,
     .xff = "10.244.1.1",
     .real = "10.244.1.1"},
    {.name = "only X-Real-IP", .verdict = PG_VERDICT_CARRIED, .real = "198.51.100.7"},
    {.name = "forged line overwritten",
     .verdict = PG_VERDICT_CARRIED,
     .xff = "198.51.100.7",
     .real = "198.51.100.7",
     .client_xff = "1.1.1.1"},
    {.name = "forged line passed on",
     .verdict = PG_VERDICT_FORGED,
     .xff = "1.1.1.1",
     .client_xff = "1.1.1.1"},
    {.name = "forged line believed",
     .verdict = PG_VERDICT_FORGED,
     .xff = "1.1.1.1",
     .real = "1.1.1.1",
     .client_xff = "1.1.1.1"},
    {.name = "forged line extended with the client",
     .verdict = PG_VERDICT_AMBIGUOUS,
     .xff = "1.1.1.1, 198.51.100.7",
     .real = "198.51.100.7",
     .client_xff = "1.1.1.1"},
    {.name = "forged line extended with a masqueraded address",
     .verdict = PG_VERDICT_FORGED,
     .xff = "1.1.1.1, 10.244.1.1",
     .client_xff = "1.1.1.1"},
    {.name = "two elements forged",
     .verdict = PG_VERDICT_FORGED,
     .xff = "1.1.1.1,2.2.2.2, 10.244.1.1",
     .client_xff = "1.1.1.1, 2.2.2.2"},
    {.name = "chain of a trusted proxy",
     .verdict = PG_VERDICT_CARRIED,
     .xff = "198.51.100.7, 192.0.2.50",
     .real = "198.51.100.7"},
    {.name = "headers disagree",
     .verdict = PG_VERDICT_AMBIGUOUS,
     .xff = "198.51.100.7",
     .real = "10.244.1.1"},
    {.name = "honest client, line passed on",
     .verdict = PG_VERDICT_CARRIED,
     .xff = "198.51.100.7",
     .client_xff = "198.51.100.7"},
    {.name = "garbage", .verdict = PG_VERDICT_LOST, .xff = "unknown, ,", .real = "-"},
    {.name = "X-Real-IP forged on the way past no ingress",
     .verdict = PG_VERDICT_FORGED,
     .real = "1.1.1.1",
     .client_real = "1.1.1.1"},
    {.name = "only Forwarded",
     .verdict = PG_VERDICT_CARRIED,
     .forwarded = "for=198.51.100.7;proto=http"},
    {.name = "Forwarded of a masqueraded address",
     .verdict = PG_VERDICT_LOST,
     .forwarded = "for=10.244.1.1"},
    {.name = "Forwarded forged and passed on",
     .verdict = PG_VERDICT_FORGED,
     .forwarded = "for=1.1.1.1",
     .client_forwarded = "for=1.1.1.1"},
    {.name = "Forwarded forged and extended with the client",
     .verdict = PG_VERDICT_AMBIGUOUS,
     .forwarded = "for=\"1.1.1.1:80,\";by=x, for=198.51.100.7",
     .client_forwarded = "for=\"1.1.1.1:80,\";by=x"},
    {.name = "Forwarded forged and extended with a masqueraded address",
     .verdict = PG_VERDICT_FORGED,
     .forwarded = "for=1.1.1.1, for=10.244.1.1",
     .client_forwarded = "for=1.1.1.1"},
    {.name = "Forwarded of an honest client",
     .verdict = PG_VERDICT_CARRIED,
     .forwarded = "for=198.51.100.7",
     .client_forwarded = "for=198.51.100.7"},
    {.name = "Forwarded overwritten",
     .verdict = PG_VERDICT_CARRIED,
     .forwarded = "for=198.51.100.7",
     .client_forwarded = "for=1.1.1.1"},
    {.name = "Forwarded and X-Forwarded-For disagree",
     .verdict = PG_VERDICT_AMBIGUOUS,
     .xff = "198.51.100.7",
     .forwarded = "for=10.244.1.1"},
    {.name = "Forwarded says nothing",
     .verdict = PG_VERDICT_CARRIED,
     .xff = "198.51.100.7",
     .forwarded = "for=unknown;by=_gw"},
    {.name = "what was claimed in one field comes back in another",
     .verdict = PG_VERDICT_FORGED,
     .client_xff = "1.1.1.1",
     .forwarded = "for=1.1.1.1"},
    {.name = "only PROXY", .verdict = PG_VERDICT_CARRIED, .proxy = "198.51.100.7"},
    {.name = "PROXY of a masqueraded address", .verdict = PG_VERDICT_LOST, .proxy = "10.244.1.1"},
    {.name = "PROXY without a source", .verdict = PG_VERDICT_LOST, .proxy = "none"},
    {.name = "PROXY disagrees with X-Forwarded-For",
     .verdict = PG_VERDICT_AMBIGUOUS,
     .xff = "198.51.100.7",
     .proxy = "10.244.1.1"},
    {.name = "PROXY the client wrote",
     .verdict = PG_VERDICT_FORGED,
     .proxy = "1.1.1.1",
     .client_proxy = "1.1.1.1"},
    {.name = "PROXY the client wrote, believed and put into headers",
     .verdict = PG_VERDICT_FORGED,
     .xff = "1.1.1.1",
     .real = "1.1.1.1",
     .client_proxy = "1.1.1.1"},
    {.name = "PROXY with a header the client had forged",
     .verdict = PG_VERDICT_FORGED,
     .client_xff = "1.1.1.1",
     .proxy = "1.1.1.1"},
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
                               .client_xff = slice(r->client_xff),
                               .client_x_real_ip = slice(r->client_real),
                               .forwarded = slice(r->forwarded),
                               .client_forwarded = slice(r->client_forwarded),
                               .has_proxy = r->proxy != NULL};
        if (r->proxy && strcmp(r->proxy, "none") != 0)
            seen.proxy = addr(r->proxy);
        if (r->client_proxy)
            seen.client_proxy = addr(r->client_proxy);
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

static void forwarded_is_read_as_rfc_7239_writes_it(void **state)
{
    static const struct {
        const char *field;
        const char *value; /* NULL: nothing */
    } cases[] = {
        {"for=192.0.2.60", "192.0.2.60"},
        {"For=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"},
        {"proto=https; for=\"192.0.2.60:47011\"", "192.0.2.60"},
        {"for=192.0.2.60:80", "192.0.2.60"},
        {"for=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"},
        {"for=\"[2001:db8:cafe::17]\", for=192.0.2.60", "2001:db8:cafe::17"},
        {"by=203.0.113.43, for=192.0.2.60", "192.0.2.60"},
        {"by=\"a,for=1.1.1.1;b\";for=192.0.2.60", "192.0.2.60"},
        {"by=\"a\\\",for=1.1.1.1\";for=192.0.2.60", "192.0.2.60"},
        {"for=unknown, for=192.0.2.60", NULL},
        {"for=_hidden", NULL},
        {"for=\"192.0.2.60", NULL},
        {"by=\"x, for=192.0.2.60", NULL},
        {"for=\"[192.0.2.60]\"", NULL},
        {"for=2001:db8::7", NULL},
        {"for=", NULL},
        {"for=\"\"", NULL},
        {"for=\"[\"", NULL},
        {"for=\"\\", NULL},
        {", ;,", NULL},
        {"forx=192.0.2.60", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pg_seen seen = {.forwarded = slice(cases[i].field)};
        struct pg_addr got = {0};
        struct pg_addr wanted = cases[i].value ? addr(cases[i].value) : (struct pg_addr){0};
        bool found = pg_reader_forwarded(&seen, &got);
        if (found != (cases[i].value != NULL) || (found && !pg_addr_equal(&got, &wanted)))
            fail_msg("%s", cases[i].field);
    }
}

static void proxy_reader_takes_the_source_of_the_preface(void **state)
{
    struct pg_seen seen = {.proxy = addr("198.51.100.7")};
    struct pg_addr a;

    (void)state;
    assert_false(pg_reader_proxy(&seen, &a));
    seen.has_proxy = true;
    assert_true(pg_reader_proxy(&seen, &a));
    assert_true(pg_addr_equal(&a, &seen.proxy));
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
        cmocka_unit_test(forwarded_is_read_as_rfc_7239_writes_it),
        cmocka_unit_test(proxy_reader_takes_the_source_of_the_preface),
        cmocka_unit_test(reader_finds_nothing_in_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
