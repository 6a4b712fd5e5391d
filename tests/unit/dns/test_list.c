/* dns/list.c: records as text, whatever they are, and what is kept. */
#include "dns_fixture.h"
#include "podglass/dns_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct dns_fixture shop;

static int load_shop(void **state)
{
    shop = dns_fixture_shop();
    return 0;
}

static int free_shop(void **state)
{
    dns_fixture_free(&shop);
    return 0;
}

static void add_lines(struct pg_text *out, const void *message, uint32_t len)
{
    struct pg_dns_line line = {.data = {0}};
    uint64_t cursor = 0;

    while (pg_dns_line_next(message, len, &cursor, &line)) {
        pg_text_printf(out, "%s %s %u %s\n", line.name, line.type, line.ttl_s, line.data.at);
    }
    pg_text_free(&line.data);
}

static void says(const char *name, const char *type, const char *lines)
{
    static uint8_t answer[65535];
    struct pg_text out = {0};
    uint32_t len = pg_dns_ask(shop.zone, name, pg_dns_type_of(type), answer, sizeof(answer), NULL);

    add_lines(&out, answer, len);
    assert_string_equal(out.at ? out.at : "", lines);
    pg_text_free(&out);
}

static void the_zone_says_what_it_answers(void **state)
{
    says("web.shop.svc.cluster.local", "A", "web.shop.svc.cluster.local. A 30 10.96.12.40\n");
    says("WEB.shop.svc.cluster.local.", "A", "WEB.shop.svc.cluster.local. A 30 10.96.12.40\n");
    says("_http._tcp.web.shop.svc.cluster.local", "SRV",
         "_http._tcp.web.shop.svc.cluster.local. SRV 30 0 100 80 web.shop.svc.cluster.local.\n");
    says("40.12.96.10.in-addr.arpa", "PTR",
         "40.12.96.10.in-addr.arpa. PTR 30 web.shop.svc.cluster.local.\n");
    says("dns-version.cluster.local", "TXT", "dns-version.cluster.local. TXT 28800 \"1.1.0\"\n");
    says("nobody.shop.svc.cluster.local", "A", "");
    says("no..name", "A", "");
    assert_int_equal(pg_dns_type_of("HTTPS"), 0);
}

/* A response with one record of type and data to a question of the root. */
static void reads(uint16_t type, const void *data, uint16_t len, const char *text)
{
    uint8_t head[] = {0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0};
    uint8_t m[512];
    struct pg_text out = {0};
    uint32_t at = sizeof(head);

    memcpy(m, head, sizeof(head));
    m[at - 1] = 0; /* the record's owner: the root; its class was the question's */
    m[at++] = (uint8_t)(type >> 8);
    m[at++] = (uint8_t)type;
    memcpy(m + at, (const uint8_t[]){0, 1, 0, 0, 0, 9, (uint8_t)(len >> 8), (uint8_t)len}, 8);
    memcpy(m + at + 8, data, len);
    uint8_t *exact = malloc(at + 8 + len);

    memcpy(exact, m, at + 8 + len);
    add_lines(&out, exact, at + 8 + len);
    free(exact);
    assert_string_equal(out.at ? out.at : "", text);
    pg_text_free(&out);
}

static void records_of_others_are_text_whatever_they_hold(void **state)
{
    reads(PG_DNS_AAAA, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16, ". AAAA 9 2001:db8::1\n");
    reads(PG_DNS_MX, "\0\12\1m\0", 5, ". MX 9 10 m.\n");
    reads(PG_DNS_SOA, "\1a\0\1b\0\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\0\0\0\5", 26,
          ". SOA 9 a. b. 1 2 3 4 5\n");
    reads(PG_DNS_TXT, "\3a\"\33\1b", 6, ". TXT 9 \"a\\034\\027\" \"b\"\n");
    reads(999, "\0\5", 2, ". TYPE999 9 \\# 2 0005\n");
    reads(PG_DNS_A, "\1\2\3", 3, ". A 9 \\# 3 010203\n"); /* an address of three bytes is none */
    reads(PG_DNS_CNAME, "\5ab", 3, ". CNAME 9 ?\n");      /* a name that ends behind its data */
    reads(PG_DNS_SRV, "\0\1\0", 3, ". SRV 9 1 0 0 ?\n");
    reads(PG_DNS_TXT,
          "\x09"
          "ab",
          3, ". TXT 9 \"ab\"\n");
    reads(PG_DNS_A, "", 0, ". A 9 \\# 0\n");
    reads(PG_DNS_TXT, "", 0, ". TXT 9 \\# 0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_zone_says_what_it_answers),
        cmocka_unit_test(records_of_others_are_text_whatever_they_hold),
    };
    return cmocka_run_group_tests(tests, load_shop, free_shop);
}
