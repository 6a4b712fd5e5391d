/* base/addr.c: which texts are addresses, how addresses print, prefixes, tuples. */
#include "podglass/addr.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Parses from an exact-size block without NUL, so that a sanitizer sees a byte too many. */
static int parse(const char *text, struct pg_addr *ret)
{
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    int result = pg_addr_parse(copy, len, ret);
    free(copy);
    return result;
}

static int parse_prefix(const char *text, struct pg_prefix *ret)
{
    size_t len = strlen(text);
    char *copy = malloc(len > 0 ? len : 1);
    assert_non_null(copy);
    memcpy(copy, text, len);
    int result = pg_prefix_parse(copy, len, ret);
    free(copy);
    return result;
}

static void addresses_print_in_their_one_canonical_form(void **state)
{
    static const char *const rows[][2] = {
        {"0.0.0.0", "0.0.0.0"},
        {"10.1.20.255", "10.1.20.255"},
        {"255.255.255.255", "255.255.255.255"},
        {"::ffff:10.1.0.5", "10.1.0.5"},
        {"::ffff:a01:5", "10.1.0.5"},
        {"0:0:0:0:0:FFFF:10.1.0.5", "10.1.0.5"},
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"2001:DB8::1", "2001:db8::1"},
        {"2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"},
        {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"}, /* RFC 5952 4.2.2: one group stays */
        {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1"},          /* 4.2.3: the longest run */
        {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"},    /* 4.2.3: the first of equals */
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"},
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:102:304"},
        {"::1.2.3.4", "::102:304"},
        {"fe80::a:0:0:0", "fe80::a:0:0:0"},
        {"abcd:ef01:2345:6789:abcd:ef01:2345:6789", "abcd:ef01:2345:6789:abcd:ef01:2345:6789"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_addr a;
        char text[PG_ADDR_TEXT];
        if (parse(rows[i][0], &a) != 0)
            fail_msg("refused: %s", rows[i][0]);
        assert_string_equal(pg_addr_print(&a, text), rows[i][1]);
    }
}

static const char *const ambiguous[] = {
    "",
    " ",
    "1",
    "127.1",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.",
    ".1.2.3",
    "1..2.3",
    "01.2.3.4",
    "1.2.3.04",
    "00.0.0.0",
    "256.1.1.1",
    "1.2.3.256",
    "1.2.3.4 ",
    " 1.2.3.4",
    "1.2.3.4\n",
    "0x7f.0.0.1",
    "1.2.3.-4",
    "+1.2.3.4",
    "1.2.3.4/8",
    "1.2.3.4:80",
    "2130706433",
    "1.2.3.99999999999",
    ":",
    ":::",
    "1",
    "1:",
    ":1",
    "1:2:3:4:5:6:7",
    "1::2::3",
    "1:::2",
    "12345::",
    "::00001",
    "g::",
    "::1%eth0",
    "fe80::1%1",
    "[::1]",
    "[::1]:80",
    "1:2:3:4:5:6:7:8:9",
    "1:2:3:4:5:6:7:8::",
    "::1:2:3:4:5:6:7:8",
    "1:2:3:4::5:6:7:8",
    "::1.2.3",
    "::1.2.3.4.5",
    "::01.2.3.4",
    "1:2:3:4:5:6:7:1.2.3.4",
    "1.2.3.4::",
    "::1.2.3.4:5",
    "::ffff:256.0.0.1",
    "::ffff:1.2.3.4 ",
    "1:2:3:4:5:6:7:",
    "::g",
    "::1 ",
};

static void texts_that_two_programs_may_read_differently_are_refused(void **state)
{
    for (size_t i = 0; i < sizeof(ambiguous) / sizeof(ambiguous[0]); i++) {
        struct pg_addr a = pg_addr_v4(9, 9, 9, 9), before = a;
        if (parse(ambiguous[i], &a) != -EINVAL)
            fail_msg("accepted: '%s'", ambiguous[i]);
        assert_true(pg_addr_equal(&a, &before));
    }
    struct pg_addr a;
    assert_int_equal(pg_addr_parse("1.2.3.4\0", 8, &a),
                     -EINVAL); /* a NUL inside is a byte like any */
}

static void every_prefix_of_an_address_text_is_read_without_overrun(void **state)
{
    static const char *const rows[] = {"203.0.113.199", "2001:db8:1:2:3:4:5:6",
                                       "64:ff9b::192.0.2.33"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t len = 0; len <= strlen(rows[i]); len++) {
            char *copy = malloc(len > 0 ? len : 1);
            struct pg_addr a;
            struct pg_prefix p;
            memcpy(copy, rows[i], len);
            pg_addr_parse(copy, len, &a);
            pg_prefix_parse(copy, len, &p);
            free(copy);
        }
    }
}

static void printed_addresses_read_back_as_the_same(void **state)
{
    srandom(1);
    for (int i = 0; i < 20000; i++) {
        struct pg_addr a, b;
        char text[PG_ADDR_TEXT];
        for (int w = 0; w < 8; w++) { /* zero groups often, so that runs occur */
            uint16_t group = random() % 2 ? 0 : (uint16_t)random();
            memcpy(a.bytes + 2 * w, &group, 2);
        }
        pg_addr_print(&a, text);
        assert_int_equal(parse(text, &b), 0);
        assert_true(pg_addr_equal(&a, &b));
    }
}

static void prefixes_clear_host_bits_and_print_back(void **state)
{
    static const struct {
        const char *text, *printed;
        int bits;
    } rows[] = {
        {"10.0.0.0/8", "10.0.0.0/8", 104},
        {"10.1.2.3/8", "10.0.0.0/8", 104},
        {"10.1.2.3", "10.1.2.3/32", 128},
        {"10.1.2.255/31", "10.1.2.254/31", 127},
        {"0.0.0.0/0", "0.0.0.0/0", 96},
        {"2001:db8:ffff::1/33", "2001:db8:8000::/33", 33},
        {"::/0", "::/0", 0},
        {"::1", "::1/128", 128},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8", 104},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_prefix p;
        char text[PG_ENDPOINT_TEXT];
        if (parse_prefix(rows[i].text, &p) != 0)
            fail_msg("refused: %s", rows[i].text);
        assert_int_equal(p.bits, rows[i].bits);
        assert_string_equal(pg_prefix_print(&p, text), rows[i].printed);
    }
    static const char *const bad[] = {"",
                                      "/",
                                      "/8",
                                      "10.0.0.0/",
                                      "10.0.0.0/33",
                                      "10.0.0.0/08",
                                      "10.0.0.0/-1",
                                      "10.0.0.0/8/8",
                                      "10.0.0/8",
                                      "::/129",
                                      "::/ 1",
                                      "10.0.0.0/255.0.0.0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct pg_prefix p;
        if (parse_prefix(bad[i], &p) != -EINVAL)
            fail_msg("accepted: %s", bad[i]);
    }
}

static void a_prefix_contains_its_addresses_and_never_the_other_family(void **state)
{
    static const struct {
        const char *prefix, *addr;
        bool inside;
    } rows[] = {
        {"10.0.0.0/8", "10.255.255.255", true},
        {"10.0.0.0/8", "11.0.0.0", false},
        {"10.0.0.0/31", "10.0.0.1", true},
        {"10.0.0.0/31", "10.0.0.2", false},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.0", false},
        {"0.0.0.0/0", "203.0.113.9", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "10.0.0.1", false},
        {"2001:db8::/32", "2001:db8:ffff::", true},
        {"2001:db8::/32", "2001:db9::", false},
        {"2001:db8::/64", "2001:db8::ffff:0:0:1", true},
        {"2001:db8::/65", "2001:db8::8000:0:0:1", false},
        {"2001:db8::/65", "2001:db8::7fff:0:0:1", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_prefix p;
        struct pg_addr a;
        assert_int_equal(parse_prefix(rows[i].prefix, &p), 0);
        assert_int_equal(parse(rows[i].addr, &a), 0);
        if (pg_prefix_contains(&p, &a) != rows[i].inside)
            fail_msg("%s in %s", rows[i].addr, rows[i].prefix);
    }
}

static void addition_carries_through_all_bytes(void **state)
{
    static const struct {
        const char *from;
        uint32_t n;
        const char *to;
    } rows[] = {
        {"10.0.0.255", 1, "10.0.1.0"},
        {"10.0.0.0", 0x00ffffff, "10.255.255.255"},
        {"::ffff:ffff:ffff:ffff", 1, "0:0:0:1::"},
        {"2001:db8::", UINT32_MAX, "2001:db8::ffff:ffff"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_addr a;
        char text[PG_ADDR_TEXT];
        assert_int_equal(parse(rows[i].from, &a), 0);
        a = pg_addr_add(&a, rows[i].n);
        assert_string_equal(pg_addr_print(&a, text), rows[i].to);
    }
}

static void comparison_follows_the_number_not_the_bytes_in_memory(void **state)
{
    struct pg_addr a = pg_addr_v4(10, 0, 0, 2), b = pg_addr_v4(10, 0, 1, 1);
    assert_int_equal(pg_addr_compare(&a, &b), -1);
    assert_int_equal(pg_addr_compare(&b, &a), 1);
    assert_int_equal(pg_addr_compare(&a, &a), 0);
    uint32_t be = pg_addr_v4_be(&b);
    struct pg_addr back = pg_addr_from_v4_be(be);
    assert_true(pg_addr_equal(&b, &back));
    assert_memory_equal(&be, "\x0a\x00\x01\x01", 4);
}

static void endpoints_print_with_brackets_only_around_v6(void **state)
{
    char text[PG_ENDPOINT_TEXT];
    struct pg_addr a = pg_addr_v4(10, 1, 0, 5);
    assert_string_equal(pg_endpoint_print(&a, 8080, text), "10.1.0.5:8080");
    memset(a.bytes, 0xff, sizeof(a.bytes)); /* the longest there is */
    assert_string_equal(pg_endpoint_print(&a, 65535, text),
                        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}

static void inverting_a_tuple_twice_gives_it_back(void **state)
{
    static const struct {
        uint8_t proto;
        uint16_t src_port, dst_port, inverted_src, inverted_dst;
    } rows[] = {
        {PG_PROTO_TCP, 40000, 80, 80, 40000},
        {PG_PROTO_UDP, 5353, 53, 53, 5353},
        {PG_PROTO_ICMP, 77, 8 << 8, 77, 0},
        {PG_PROTO_ICMP, 77, 0, 77, 8 << 8},
        {PG_PROTO_ICMP6, 77, 128 << 8, 77, 129 << 8},
        {PG_PROTO_ICMP6, 77, 129 << 8, 77, 128 << 8},
        {PG_PROTO_ICMP, 0, 3 << 8 | 4, 0, 3 << 8 | 4},
        {PG_PROTO_ICMP, 77, 13 << 8, 77, 14 << 8},
        {PG_PROTO_ICMP, 77, 16 << 8, 77, 15 << 8},
        {PG_PROTO_ICMP, 77, 17 << 8, 77, 18 << 8},
        {PG_PROTO_ICMP, 0, 10 << 8, 0, 10 << 8},
        {PG_PROTO_ICMP, 0, 19 << 8, 0, 19 << 8},
        {PG_PROTO_ICMP6, 0, 8 << 8, 0, 8 << 8},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_tuple t = {.src = pg_addr_v4(1, 2, 3, 4),
                             .dst = pg_addr_v4(5, 6, 7, 8),
                             .src_port = rows[i].src_port,
                             .dst_port = rows[i].dst_port,
                             .proto = rows[i].proto};
        struct pg_tuple inverted = pg_tuple_invert(&t), back = pg_tuple_invert(&inverted);
        assert_int_equal(inverted.src_port, rows[i].inverted_src);
        assert_int_equal(inverted.dst_port, rows[i].inverted_dst);
        assert_true(pg_addr_equal(&inverted.src, &t.dst));
        assert_true(pg_addr_equal(&inverted.dst, &t.src));
        assert_true(pg_tuple_equal(&back, &t));
        assert_false(pg_tuple_equal(&inverted, &t));
    }
}

static void protocols_have_names_that_read_back(void **state)
{
    assert_string_equal(pg_proto_name(PG_PROTO_TCP), "tcp");
    assert_string_equal(pg_proto_name(PG_PROTO_UDP), "udp");
    assert_string_equal(pg_proto_name(PG_PROTO_ICMP), "icmp");
    assert_string_equal(pg_proto_name(PG_PROTO_ICMP6), "icmpv6");
    assert_string_equal(pg_proto_name(PG_PROTO_SCTP), "sctp");
    assert_string_equal(pg_proto_name(PG_PROTO_GRE), "gre");
    assert_string_equal(pg_proto_name(255), "ip-255");
    for (int proto = 0; proto < 256; proto++)
        assert_int_equal(pg_proto_parse(pg_proto_name((uint8_t)proto)), proto);
    assert_int_equal(pg_proto_parse("ip-256"), -1);
    assert_int_equal(pg_proto_parse("ip"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_print_in_their_one_canonical_form),
        cmocka_unit_test(texts_that_two_programs_may_read_differently_are_refused),
        cmocka_unit_test(every_prefix_of_an_address_text_is_read_without_overrun),
        cmocka_unit_test(printed_addresses_read_back_as_the_same),
        cmocka_unit_test(prefixes_clear_host_bits_and_print_back),
        cmocka_unit_test(a_prefix_contains_its_addresses_and_never_the_other_family),
        cmocka_unit_test(addition_carries_through_all_bytes),
        cmocka_unit_test(comparison_follows_the_number_not_the_bytes_in_memory),
        cmocka_unit_test(endpoints_print_with_brackets_only_around_v6),
        cmocka_unit_test(inverting_a_tuple_twice_gives_it_back),
        cmocka_unit_test(protocols_have_names_that_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
