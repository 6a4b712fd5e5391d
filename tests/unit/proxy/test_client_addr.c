/* Who is the client: hop, what he sent, whom we trust, and who it comes to. The cases of spoofing are among the rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/ingress_decide.h"

#include <stdio.h>
#include <string.h>

#define HOP      "203.0.113.9" /* of the trusted range */
#define STRANGER "198.51.100.7"

static const struct {
    const char *name;
    const char *hop;
    const char *fields;
    const char *client;
    unsigned walked;
    bool malformed;
} rows[] = {
    {"nothing sent", STRANGER, "", STRANGER, 0, false},
    {"plain spoof", STRANGER, "X-Forwarded-For: 1.2.3.4\r\n", STRANGER, 0, false},
    {"odd case", STRANGER, "x-FORWARDED-for: 1.2.3.4\r\n", STRANGER, 0, false},
    {"trusted hop, nothing sent", HOP, "", HOP, 0, false},
    {"trusted hop", HOP, "X-Forwarded-For: 1.2.3.4\r\n", "1.2.3.4", 1, false},
    {"left part is not believed", HOP, "X-Forwarded-For: 9.9.9.9, 1.2.3.4\r\n", "1.2.3.4", 1,
     false},
    {"two lines, the last counts", HOP, "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-For: 1.2.3.4\r\n",
     "1.2.3.4", 1, false},
    {"through two trusted", HOP, "X-Forwarded-For: 9.9.9.9, 1.2.3.4, 203.0.113.5\r\n", "1.2.3.4", 2,
     false},
    {"through two trusted, over lines", HOP,
     "X-Forwarded-For: 1.2.3.4\r\nY: z\r\nX-Forwarded-For: 203.0.113.5\r\n", "1.2.3.4", 2, false},
    {"all trusted: leftmost", HOP, "X-Forwarded-For: 203.0.113.1, 203.0.113.2\r\n", "203.0.113.1",
     2, false},
    {"underscore twin is no chain", HOP, "X_Forwarded_For: 1.2.3.4\r\n", HOP, 0, false},
    {"Forwarded is no chain", HOP, "Forwarded: for=1.2.3.4\r\n", HOP, 0, false},
    {"blanks, tabs and empty elements", HOP, "X-Forwarded-For:  ,\t1.2.3.4 \t, ,\r\n", "1.2.3.4", 1,
     false},
    {"malformed last", HOP, "X-Forwarded-For: 1.2.3.4, unknown\r\n", HOP, 0, true},
    {"malformed behind a trusted", HOP, "X-Forwarded-For: _hidden, 203.0.113.5\r\n", "203.0.113.5",
     1, true},
    {"octal octet", HOP, "X-Forwarded-For: 010.0.0.1\r\n", HOP, 0, true},
    {"short form", HOP, "X-Forwarded-For: 127.1\r\n", HOP, 0, true},
    {"hex form", HOP, "X-Forwarded-For: 0x7f000001\r\n", HOP, 0, true},
    {"quoted", HOP, "X-Forwarded-For: \"1.2.3.4\"\r\n", HOP, 0, true},
    {"blank inside", HOP, "X-Forwarded-For: 1.2.3.4 5\r\n", HOP, 0, true},
    {"with port", HOP, "X-Forwarded-For: 1.2.3.4:5678\r\n", "1.2.3.4", 1, false},
    {"with empty port", HOP, "X-Forwarded-For: 1.2.3.4:\r\n", HOP, 0, true},
    {"with bad port", HOP, "X-Forwarded-For: 1.2.3.4:65536\r\n", HOP, 0, true},
    {"IPv6", HOP, "X-Forwarded-For: 2001:DB8::1\r\n", "2001:db8::1", 1, false},
    {"IPv6 in brackets", HOP, "X-Forwarded-For: [2001:db8::1]\r\n", "2001:db8::1", 1, false},
    {"IPv6 in brackets with port", HOP, "X-Forwarded-For: [2001:db8::1]:443\r\n", "2001:db8::1", 1,
     false},
    {"IPv6 with zone", HOP, "X-Forwarded-For: fe80::1%eth0\r\n", "fe80::1", 1, false},
    {"IPv4 in brackets", HOP, "X-Forwarded-For: [1.2.3.4]\r\n", HOP, 0, true},
    {"junk behind brackets", HOP, "X-Forwarded-For: [2001:db8::1]x\r\n", HOP, 0, true},
    {"open bracket", HOP, "X-Forwarded-For: [2001:db8::1\r\n", HOP, 0, true},
    {"mapped IPv6 is IPv4", HOP, "X-Forwarded-For: ::ffff:1.2.3.4\r\n", "1.2.3.4", 1, false},
    {"mapped trusted is trusted", HOP, "X-Forwarded-For: 1.2.3.4, ::ffff:203.0.113.7\r\n",
     "1.2.3.4", 2, false},
};

static void every_row_comes_to_its_client(void **state)
{
    struct pg_prefix trusted[1];
    assert_int_equal(pg_prefix_parse("203.0.113.0/24", 14, &trusted[0]), 0);
    const struct pg_trust trust = {.trusted = trusted, .trusted_count = 1};
    static struct pg_http_head head;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char bytes[512], text[PG_ADDR_TEXT];
        struct pg_http_scan scan = {0};
        enum pg_http_error error;
        struct pg_client_addr who;
        struct pg_addr hop;
        int len =
            snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", rows[i].fields);
        assert_int_equal(pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, (uint32_t)len, &head, &error),
                         0);
        assert_int_equal(pg_addr_parse(rows[i].hop, strlen(rows[i].hop), &hop), 0);
        pg_client_addr_decide(&trust, &hop, &head, bytes, &who);
        if (strcmp(pg_addr_print(&who.client, text), rows[i].client) != 0 ||
            who.walked != rows[i].walked || who.malformed != rows[i].malformed)
            fail_msg("%s: %s, walked %u%s", rows[i].name, text, who.walked,
                     who.malformed ? ", malformed" : "");
        assert_true(pg_addr_equal(&who.hop, &hop));
        assert_true(who.hop_trusted == (strcmp(rows[i].hop, HOP) == 0));
        assert_int_equal(pg_reason_get(who.reason)->code,
                         who.walked || who.malformed ? PG_CODE_XFF_TRUSTED : PG_CODE_XFF_PEER);
    }
    pg_reason_forget_all();
}

static void trusting_everybody_means_the_leftmost(void **state)
{
    struct pg_prefix all;
    static struct pg_http_head head;
    static const char bytes[] = "GET / HTTP/1.1\r\nHost: a\r\n"
                                "X-Forwarded-For: 1.2.3.4, 5.6.7.8\r\n\r\n";
    struct pg_http_scan scan = {0};
    enum pg_http_error error;
    struct pg_client_addr who;
    struct pg_addr hop = pg_addr_v4(198, 51, 100, 7), left = pg_addr_v4(1, 2, 3, 4);
    assert_int_equal(pg_prefix_parse("0.0.0.0/0", 9, &all), 0);
    const struct pg_trust trust = {.trusted = &all, .trusted_count = 1};
    assert_int_equal(pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, sizeof(bytes) - 1, &head, &error),
                     0);
    pg_client_addr_decide(&trust, &hop, &head, bytes, &who);
    assert_true(pg_addr_equal(&who.client, &left));
    pg_reason_forget_all();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_comes_to_its_client),
        cmocka_unit_test(trusting_everybody_means_the_leftmost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
