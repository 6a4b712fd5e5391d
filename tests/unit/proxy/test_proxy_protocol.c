/* The PROXY preface as bytes: every row of the table of what peers get wrong, cut at every byte, and what is written reads back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/preface_decide.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIG        "\r\n\r\n\0\r\nQUIT\n"
#define V4         "\xcb\0\x71\x4d\xcb\0\x71\x0a\x12\x67\x01\xbb" /* 203.0.113.77:4711 > 203.0.113.10:443 */
#define ROW(bytes) bytes, sizeof(bytes) - 1

static const struct {
    const char *name;
    const char *bytes;
    size_t len;
    const char *says; /* NULL: refused */
    enum pg_preface_error error;
} rows[] = {
    {"v1 TCP4", ROW("PROXY TCP4 203.0.113.77 203.0.113.10 4711 443\r\n"),
     "v1 TCP4 203.0.113.77:4711 > 203.0.113.10:443", 0},
    {"v1 TCP6", ROW("PROXY TCP6 2001:db8::7 2001:DB8::1 0 65535\r\n"),
     "v1 TCP6 [2001:db8::7]:0 > [2001:db8::1]:65535", 0},
    {"v1 mapped is IPv4", ROW("PROXY TCP6 ::ffff:1.2.3.4 ::ffff:5.6.7.8 1 2\r\n"),
     "v1 TCP4 1.2.3.4:1 > 5.6.7.8:2", 0},
    {"v1 UNKNOWN", ROW("PROXY UNKNOWN\r\n"), "v1 UNKNOWN", 0},
    {"v1 UNKNOWN followed by text", ROW("PROXY UNKNOWN ffff::1  junk 65536\r\n"), "v1 UNKNOWN", 0},
    {"v1 as long as it may be",
     ROW("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
     "v1 UNKNOWN", 0},
    {"v1 one byte longer",
     ROW("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535x\r\n"),
     NULL, PG_PREFACE_ERROR_TOO_LONG},
    {"v1 leading zero in an octet", ROW("PROXY TCP4 203.0.113.077 203.0.113.10 1 2\r\n"), NULL,
     PG_PREFACE_ERROR_BAD_ADDRESS},
    {"v1 leading zero in a port", ROW("PROXY TCP4 1.2.3.4 5.6.7.8 01 2\r\n"), NULL,
     PG_PREFACE_ERROR_BAD_PORT},
    {"v1 port 65536", ROW("PROXY TCP4 1.2.3.4 5.6.7.8 65536 2\r\n"), NULL,
     PG_PREFACE_ERROR_BAD_PORT},
    {"v1 negative port", ROW("PROXY TCP4 1.2.3.4 5.6.7.8 -1 2\r\n"), NULL,
     PG_PREFACE_ERROR_BAD_PORT},
    {"v1 TCP4 with IPv6", ROW("PROXY TCP4 2001:db8::7 5.6.7.8 1 2\r\n"), NULL,
     PG_PREFACE_ERROR_BAD_ADDRESS},
    {"v1 TCP6 with IPv4", ROW("PROXY TCP6 1.2.3.4 5.6.7.8 1 2\r\n"), NULL,
     PG_PREFACE_ERROR_BAD_ADDRESS},
    {"v1 short form", ROW("PROXY TCP4 127.1 5.6.7.8 1 2\r\n"), NULL, PG_PREFACE_ERROR_BAD_ADDRESS},
    {"v1 a name", ROW("PROXY TCP4 localhost 5.6.7.8 1 2\r\n"), NULL, PG_PREFACE_ERROR_BAD_ADDRESS},
    {"v1 zone", ROW("PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n"), NULL, PG_PREFACE_ERROR_BAD_ADDRESS},
    {"v1 two blanks", ROW("PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n"), NULL, PG_PREFACE_ERROR_BAD_LINE},
    {"v1 tab", ROW("PROXY TCP4\t1.2.3.4 5.6.7.8 1 2\r\n"), NULL, PG_PREFACE_ERROR_BAD_FAMILY},
    {"v1 blank at the end", ROW("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n"), NULL,
     PG_PREFACE_ERROR_BAD_LINE},
    {"v1 a word more", ROW("PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"), NULL,
     PG_PREFACE_ERROR_BAD_LINE},
    {"v1 a word less", ROW("PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n"), NULL, PG_PREFACE_ERROR_BAD_LINE},
    {"v1 LF alone", ROW("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n"), NULL, PG_PREFACE_ERROR_BAD_LINE},
    {"v1 CR inside", ROW("PROXY TCP4 1.2.3.4 5.6.7.8 1 2\rx\r\n"), NULL, PG_PREFACE_ERROR_BAD_LINE},
    {"v1 lower case", ROW("proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n"), NULL, PG_PREFACE_ERROR_NO_PREFACE},
    {"v1 UDP", ROW("PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n"), NULL, PG_PREFACE_ERROR_BAD_FAMILY},
    {"v1 no family", ROW("PROXY \r\n"), NULL, PG_PREFACE_ERROR_BAD_LINE},
    {"HTTP", ROW("GET / HTTP/1.1\r\n"), NULL, PG_PREFACE_ERROR_NO_PREFACE},
    {"HTTP that begins like it", ROW("PROPFIND / HTTP/1.1\r\n"), NULL, PG_PREFACE_ERROR_NO_PREFACE},
    {"TLS", ROW("\x16\x03\x01\x02"), NULL, PG_PREFACE_ERROR_NO_PREFACE},

    {"v2 TCP4", ROW(SIG "\x21\x11\0\x0c" V4), "v2 TCP4 203.0.113.77:4711 > 203.0.113.10:443", 0},
    {"v2 UDP4", ROW(SIG "\x21\x12\0\x0c" V4), "v2 UDP4 203.0.113.77:4711 > 203.0.113.10:443", 0},
    {"v2 TCP6",
     ROW(SIG "\x21\x21\0\x24"
             "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
             "\0\x01\0\x02"),
     "v2 TCP6 [2001:db8::7]:1 > [2001:db8::1]:2", 0},
    {"v2 LOCAL", ROW(SIG "\x20\0\0\0"), "v2 LOCAL", 0},
    {"v2 LOCAL, its length honoured", ROW(SIG "\x20\x11\0\x0fxxxxxxxxxxxxxxx"), "v2 LOCAL", 0},
    {"v2 LOCAL of a family nobody knows", ROW(SIG "\x20\x41\0\x01x"), "v2 LOCAL", 0},
    {"v2 UNSPEC", ROW(SIG "\x21\0\0\x03xxx"), "v2 LOCAL", 0},
    {"v2 command 2", ROW(SIG "\x22\x11\0\x0c" V4), NULL, PG_PREFACE_ERROR_BAD_COMMAND},
    {"v2 version 3", ROW(SIG "\x31\x11\0\x0c" V4), NULL, PG_PREFACE_ERROR_BAD_VERSION},
    {"v2 family 4", ROW(SIG "\x21\x41\0\x0c" V4), NULL, PG_PREFACE_ERROR_BAD_FAMILY},
    {"v2 transport 3", ROW(SIG "\x21\x13\0\x0c" V4), NULL, PG_PREFACE_ERROR_BAD_FAMILY},
    {"v2 family without transport", ROW(SIG "\x21\x10\0\x0c" V4), NULL,
     PG_PREFACE_ERROR_BAD_FAMILY},
    {"v2 shorter than its addresses", ROW(SIG "\x21\x11\0\x0b" V4), NULL,
     PG_PREFACE_ERROR_BAD_LENGTH},
    {"v2 IPv6 with the length of IPv4", ROW(SIG "\x21\x21\0\x0c" V4), NULL,
     PG_PREFACE_ERROR_BAD_LENGTH},
    {"v2 signature with another last byte", ROW("\r\n\r\n\0\r\nQUIT\r\x21\x11\0\x0c" V4), NULL,
     PG_PREFACE_ERROR_NO_PREFACE},
    {"v2 extension cut",
     ROW(SIG "\x21\x11\0\x28" V4 "\x01\0\x02h2\x02\0\x06"
             "a.test\x05\0\x02\xab\xcd\x04\0\0\x30\0\x02ns\xea"),
     NULL, PG_PREFACE_ERROR_BAD_TLV},
    {"v2 extensions, all of them",
     ROW(SIG "\x21\x11\0\x2c" V4 "\x01\0\x02h2\x02\0\x06"
             "a.test\x05\0\x02\xab\xcd\x04\0\0\x30\0\x02ns\xea\0\x02\x01\x02"),
     "v2 TCP4 203.0.113.77:4711 > 203.0.113.10:443 alpn=h2 authority=a.test unique-id=abcd noop= "
     "netns=ns 0xea=0102",
     0},
    {"v2 extension that overruns", ROW(SIG "\x21\x11\0\x11" V4 "\x01\0\x03h2"), NULL,
     PG_PREFACE_ERROR_BAD_TLV},
    {"v2 junk behind", ROW(SIG "\x21\x11\0\x0e" V4 "\0\0"), NULL, PG_PREFACE_ERROR_BAD_TLV},
    {"v2 TLS", ROW(SIG "\x21\x11\0\x1e" V4 "\x20\0\x0f\x01\0\0\0\0\x21\0\x07TLSv1.3"),
     "v2 TCP4 203.0.113.77:4711 > 203.0.113.10:443 tls=yes tls-version=TLSv1.3", 0},
    {"v2 TLS of somebody else", ROW(SIG "\x21\x11\0\x14" V4 "\x20\0\x05\0\0\0\0\0"),
     "v2 TCP4 203.0.113.77:4711 > 203.0.113.10:443 tls=no", 0},
    {"v2 TLS cut", ROW(SIG "\x21\x11\0\x13" V4 "\x20\0\x04\x01\0\0\0"), NULL,
     PG_PREFACE_ERROR_BAD_TLV},
    {"v2 TLS whose own extensions overrun",
     ROW(SIG "\x21\x11\0\x1e" V4 "\x20\0\x0f\x01\0\0\0\0\x21\0\x08TLSv1.3"), NULL,
     PG_PREFACE_ERROR_BAD_TLV},
    {"v2 checksum", ROW(SIG "\x21\x11\0\x13" V4 "\x03\0\x04\xc9\xf1\x7b\x0e"),
     "v2 TCP4 203.0.113.77:4711 > 203.0.113.10:443 crc32c=good", 0},
    {"v2 checksum wrong", ROW(SIG "\x21\x11\0\x13" V4 "\x03\0\x04\xde\xad\xbe\xef"), NULL,
     PG_PREFACE_ERROR_BAD_CRC},
    {"v2 checksum too short", ROW(SIG "\x21\x11\0\x12" V4 "\x03\0\x03\xde\xad\xbe"), NULL,
     PG_PREFACE_ERROR_BAD_TLV},
};

/* A copy that ends where the bytes end, so that reading on is found. */
static int read_exactly(const char *bytes, uint32_t len, struct pg_preface *ret,
                        enum pg_preface_error *error, struct pg_text *says)
{
    uint8_t *copy = malloc(len ? len : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, len);
    int used = pg_proxyproto_read(copy, len, ret, error);
    if (used > 0)
        pg_preface_print(ret, says);
    free(copy);
    return used;
}

static void every_row_has_one_outcome_however_it_is_cut(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_preface preface;
        enum pg_preface_error error;
        struct pg_text says = {0};
        int used = 0;
        uint32_t n = 0;
        while (n <= rows[i].len &&
               (used = read_exactly(rows[i].bytes, n, &preface, &error, &says)) == -EAGAIN)
            n++;
        if (rows[i].says &&
            (used != (int)rows[i].len || !says.at || strcmp(says.at, rows[i].says) != 0))
            fail_msg("%s: %d %s %s", rows[i].name, used, pg_preface_error_name(error),
                     says.at ? says.at : "");
        if (!rows[i].says && (used != -EBADMSG || error != rows[i].error))
            fail_msg("%s: %d %s", rows[i].name, used, pg_preface_error_name(error));
        /* all at once says the same */
        struct pg_text again = {0};
        enum pg_preface_error error_again;
        int used_again =
            read_exactly(rows[i].bytes, (uint32_t)rows[i].len, &preface, &error_again, &again);
        assert_true(used_again == used || (used < 0 && used_again == -EBADMSG));
        pg_text_free(&again);
        pg_text_free(&says);
    }
}

static void what_is_behind_it_is_left_alone(void **state)
{
    static const char bytes[] = "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET / HTTP/1.1\r\n";
    struct pg_preface preface;
    enum pg_preface_error error;
    assert_int_equal(
        pg_proxyproto_read((const uint8_t *)bytes, sizeof(bytes) - 1, &preface, &error), 32);
}

static void what_is_written_reads_back(void **state)
{
    static const struct {
        const char *src, *dst;
        bool v4;
    } pairs[] = {{"203.0.113.77", "203.0.113.10", true},
                 {"2001:db8::7", "2001:db8::1", false},
                 {"203.0.113.77", "2001:db8::1", false},
                 {"2001:db8::7", "203.0.113.10", false}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        for (unsigned form = 0; form < 5; form++) {
            struct pg_preface_out w = {.version = form == 0 ? 1 : 2,
                                       .src_port = 4711,
                                       .dst_port = 443,
                                       .crc = form == 2 || form == 4};
            uint8_t out[PG_PREFACE_OUT_MAX];
            struct pg_preface r;
            enum pg_preface_error error;
            if (form >= 3)
                w.id = PG_SLICE_LITERAL("flow-7");
            assert_int_equal(pg_addr_parse(pairs[i].src, strlen(pairs[i].src), &w.src), 0);
            assert_int_equal(pg_addr_parse(pairs[i].dst, strlen(pairs[i].dst), &w.dst), 0);
            uint32_t len = pg_preface_write(&w, out);
            assert_int_equal(pg_proxyproto_read(out, len, &r, &error), len);
            assert_true(pg_addr_equal(&r.src, &w.src) && pg_addr_equal(&r.dst, &w.dst));
            assert_true(r.src_port == 4711 && r.dst_port == 443 && !r.is_real);
            if (form == 0)
                assert_memory_equal(out, pairs[i].v4 ? "PROXY TCP4 " : "PROXY TCP6 ", 11);
            else
                assert_int_equal(out[13], pairs[i].v4 ? 0x11 : 0x21);
            if (w.crc) { /* any flipped bit is found */
                out[len / 2] ^= 1;
                assert_true(pg_proxyproto_read(out, len, &r, &error) < 0);
            }
        }
    }
}

static void a_preface_may_be_as_long_as_its_length_says(void **state)
{
    uint8_t *bytes = calloc(1, PG_PREFACE_MAX);
    struct pg_preface preface;
    enum pg_preface_error error;
    assert_non_null(bytes);
    memcpy(bytes, SIG "\x21\x11\xff\xff" V4, 28);
    bytes[28] = 0x04; /* NOOP to the end */
    bytes[29] = (65535 - 15) >> 8;
    bytes[30] = (65535 - 15) & 255;
    assert_int_equal(pg_proxyproto_read(bytes, PG_PREFACE_MAX - 1, &preface, &error), -EAGAIN);
    assert_int_equal(pg_proxyproto_read(bytes, PG_PREFACE_MAX, &preface, &error), PG_PREFACE_MAX);
    bytes[28] = 0x05; /* but a UNIQUE_ID has 128 bytes at most */
    assert_int_equal(pg_proxyproto_read(bytes, PG_PREFACE_MAX, &preface, &error), -EBADMSG);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_one_outcome_however_it_is_cut),
        cmocka_unit_test(what_is_behind_it_is_left_alone),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(a_preface_may_be_as_long_as_its_length_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
