/* trace/secrets.c: what is hidden, and that nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/secrets.h"

#include <string.h>

static void names_of_headers_decide(void **state)
{
    static const char *const secret[] = {"Authorization", "proxy-authorization", "Cookie",
                                         "Set-Cookie",    "X-Api-Key",           "X-Auth-Token",
                                         "X-CSRF-Token",  "x-amz-security-token"};
    static const char *const plain[] = {"",          "Host",         "X-Forwarded-For", "X-Real-IP",
                                        "Forwarded", "X-Request-ID", "Accept",          "coo"};

    (void)state;
    for (size_t i = 0; i < sizeof secret / sizeof secret[0]; i++)
        assert_true(pg_secret_header(pg_slice_of(secret[i])));
    for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
        assert_false(pg_secret_header(pg_slice_of(plain[i])));
}

static void assert_value(const struct pg_value *v, const char *text)
{
    assert_int_equal(v->len, strlen(text));
    assert_memory_equal(v->text, text, v->len);
}

static void records_keep_what_is_no_secret(void **state)
{
    struct pg_record r = {.kind = PG_RECORD_REWRITE,
                          .field = PG_FIELD_HEADER,
                          .name = "Proxy-Authorization",
                          .before = pg_value_text("Basic c2VjcmV0", 14)};
    struct pg_record request = {.kind = PG_RECORD_EVENT,
                                .stage = PG_STAGE_HTTP_PARSE,
                                .name = "request",
                                .after = pg_value_text("GET /a?token=x host b", 21)};
    char long_target[104];

    (void)state;
    pg_record_hide(&r, false);
    assert_value(&r.before, "(hidden)");
    assert_false(r.after.is_text); /* absent stays absent */
    pg_record_hide(&request, false);
    assert_value(&request.after, "GET /a?token=x host b");
    pg_record_hide(&request, true);
    assert_value(&request.after, "GET /a?(hidden) host b");
    memset(long_target, '?', sizeof long_target);
    request.after = pg_value_text(long_target, sizeof long_target);
    pg_record_hide(&request, true);
    assert_value(&request.after, "?(hidden)");
}

static void heads_are_hidden_line_by_line(void **state)
{
    static const struct {
        const char *head, *shown;
    } rows[] = {
        {"GET /token: HTTP/1.1\r\nCookie: a=b\r\nX: y\r\n\r\nCookie: body",
         "GET /token: HTTP/1.1\r\nCookie: (hidden)\r\nX: y\r\n\r\nCookie: body"},
        {"HTTP/1.1 200 OK\nset-cookie:a", "HTTP/1.1 200 OK\nset-cookie: (hidden)"},
        {"\n\nCookie: a", "\n\nCookie: a"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_text t = {0};
        pg_text_add_head_hidden(&t, pg_slice_of(rows[i].head));
        assert_string_equal(t.at ? t.at : "", rows[i].shown);
        pg_text_free(&t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_headers_decide),
        cmocka_unit_test(records_keep_what_is_no_secret),
        cmocka_unit_test(heads_are_hidden_line_by_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
