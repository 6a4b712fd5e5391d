/* base/url.c: what is a URL, and its parts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/url.h"

#include <stdio.h>
#include <string.h>

static void parts_of_a_url(void **state)
{
    static const struct {
        const char *text;
        const char *host;
        uint16_t port;
        const char *authority;
        const char *target;
    } rows[] = {
        {"http://shop.example.test/cart", "shop.example.test", 80, "shop.example.test", "/cart"},
        {"HTTP://Shop:8080?a=b", "Shop", 8080, "Shop:8080", "?a=b"},
        {"shop.example.test", "shop.example.test", 80, "shop.example.test", ""},
        {"192.0.2.1:65535/", "192.0.2.1", 65535, "192.0.2.1:65535", "/"},
        {"http://[2001:db8::1]:81/x", "2001:db8::1", 81, "[2001:db8::1]:81", "/x"},
        {"http://[2001:db8::1]", "2001:db8::1", 80, "[2001:db8::1]", ""},
        {"http://a/?u=http://b/", "a", 80, "a", "/?u=http://b/"},
        {"a/?u=http://b/", "a", 80, "a", "/?u=http://b/"},
        {"http://_a-b.c./", "_a-b.c.", 80, "_a-b.c.", "/"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_url u;
        const char *wrong = pg_url_read(rows[i].text, &u);
        if (wrong)
            fail_msg("%s: %s", rows[i].text, wrong);
        assert_true(pg_slice_is(u.host, rows[i].host));
        assert_true(pg_slice_is(u.authority, rows[i].authority));
        assert_true(pg_slice_is(u.target, rows[i].target));
        assert_int_equal(u.port, rows[i].port);
    }
}

static void what_is_no_url_is_told_in_words(void **state)
{
    static const struct {
        const char *text;
        const char *wrong;
    } rows[] = {
        {"", "neither a host"},
        {"http://", "neither a host"},
        {"http:///x", "neither a host"},
        {"http://:80/", "neither a host"},
        {"ftp://a/", "expected http"},
        {"http://a:0/", "not a port"},
        {"http://a:65536/", "not a port"},
        {"http://a:/", "not a port"},
        {"http://a:8x/", "not a port"},
        {"http://a b/", "blanks"},
        {"http://a/\r\nX: y", "blanks"},
        {"http://a/#top", "fragment"},
        {"http://me@a/", "neither a host"},
        {"http://a_b%20/", "neither a host"},
        {"http://2001:db8::1/", "neither a host"},
        {"http://[192.0.2.1]/", "neither a host"},
        {"http://[2001:db8::1/", "neither a host"},
        {"http://[]/", "neither a host"},
        {"http://[a]/", "neither a host"},
        {"http://[", "neither a host"},
    };
    char long_name[300];
    char text[PG_URL_MOST + 20];
    struct pg_url u;
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *wrong = pg_url_read(rows[i].text, &u);
        if (!wrong || !strstr(wrong, rows[i].wrong))
            fail_msg("%s: %s", rows[i].text, wrong ? wrong : "taken");
    }
    memset(long_name, 'a', sizeof long_name);
    snprintf(text, sizeof text, "http://%.254s/", long_name);
    assert_non_null(pg_url_read(text, &u));
    snprintf(text, sizeof text, "http://%.253s/", long_name);
    assert_null(pg_url_read(text, &u));
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    assert_non_null(strstr(pg_url_read(text, &u), "8000"));
}

static void https_has_a_port_and_a_server_name(void **state)
{
    struct pg_url u;
    char name[PG_SERVER_NAME];
    (void)state;
    assert_null(pg_url_read("https://Shop.example.test/cart", &u));
    assert_true(u.tls);
    assert_int_equal(u.port, 443);
    pg_url_server_name(u.host, name);
    assert_string_equal(name, "shop.example.test");
    assert_null(pg_url_read("https://[2001:db8::1]:8443/", &u));
    assert_int_equal(u.port, 8443);
    pg_url_server_name(u.host, name);
    assert_string_equal(name, "");
    assert_null(pg_url_read("shop.example.test", &u));
    assert_false(u.tls);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(https_has_a_port_and_a_server_name),
        cmocka_unit_test(parts_of_a_url),
        cmocka_unit_test(what_is_no_url_is_told_in_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
