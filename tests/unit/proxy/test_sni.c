/* The first message of a TLS client: what is read out of it, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "podglass/tls_decide.h"

/* A message under construction; lengths are filled in when it is wrapped. */
struct bytes {
    uint8_t at[40000];
    uint32_t len;
};

static void put(struct bytes *b, const void *at, size_t len)
{
    memcpy(b->at + b->len, at, len);
    b->len += (uint32_t)len;
}

static void put_number(struct bytes *b, uint32_t n, uint32_t bytes)
{
    for (uint32_t i = bytes; i-- > 0;)
        b->at[b->len++] = (uint8_t)(n >> (8 * i));
}

static void put_extension(struct bytes *b, uint32_t type, const void *at, size_t len)
{
    put_number(b, type, 2);
    put_number(b, (uint32_t)len, 2);
    put(b, at, len);
}

static void put_name(struct bytes *b, const char *name)
{
    struct bytes e = {.len = 0};
    uint32_t len = (uint32_t)strlen(name);
    put_number(&e, len + 3, 2);
    put_number(&e, 0, 1);
    put_number(&e, len, 2);
    put(&e, name, len);
    put_extension(b, 0, e.at, e.len);
}

/* The handshake message, without records. */
static void make_hello(struct bytes *ret, uint32_t version, const struct bytes *extensions)
{
    struct bytes m = {.len = 0};
    put_number(&m, version, 2);
    memset(m.at + m.len, 7, 32);
    m.len += 32;
    put_number(&m, 0, 1); /* session */
    put_number(&m, 2, 2); /* ciphers */
    put_number(&m, 0x1301, 2);
    put_number(&m, 1, 1); /* compressions */
    put_number(&m, 0, 1);
    if (extensions) {
        put_number(&m, extensions->len, 2);
        put(&m, extensions->at, extensions->len);
    }
    ret->len = 0;
    put_number(ret, 1, 1);
    put_number(ret, m.len, 3);
    put(ret, m.at, m.len);
}

/* In records of at most so many bytes. */
static void wrap(struct bytes *ret, const struct bytes *message, uint32_t most)
{
    ret->len = 0;
    for (uint32_t at = 0; at < message->len;) {
        uint32_t n = message->len - at < most ? message->len - at : most;
        put_number(ret, 0x160301, 3);
        put_number(ret, n, 2);
        put(ret, message->at + at, n);
        at += n;
    }
}

static int parse(const struct bytes *b, struct pg_hello *ret, enum pg_hello_error *error)
{
    uint32_t need = 0;
    *error = PG_HELLO_OK;
    return pg_hello_parse(b->at, b->len, ret, &need, error);
}

static const uint8_t both_versions[] = {4, 3, 4, 3, 3};
static const uint8_t both_protocols[] = {0,   12,  2,   'h', '2', 8,   'h',
                                         't', 't', 'p', '/', '1', '.', '1'};

static void usual(struct bytes *ret)
{
    struct bytes e = {.len = 0}, m;
    put_name(&e, "Shop.Example.test");
    put_extension(&e, 16, both_protocols, sizeof(both_protocols));
    put_extension(&e, 43, both_versions, sizeof(both_versions));
    put_extension(&e, 51, "\0\0", 2);
    make_hello(&m, 0x0303, &e);
    wrap(ret, &m, 16384);
}

static void name_protocols_and_versions_are_read(void **state)
{
    struct bytes b;
    struct pg_hello h;
    enum pg_hello_error error;
    usual(&b);
    assert_int_equal(parse(&b, &h, &error), 0);
    assert_string_equal(h.name, "shop.example.test");
    assert_true(h.alpn && h.h2 && h.http11 && h.tls12 && h.tls13);
    assert_int_equal(h.len, b.len);
}

static void what_is_not_there_yet_is_asked_for_by_its_size(void **state)
{
    struct bytes b;
    struct pg_hello h;
    enum pg_hello_error error;
    uint32_t need = 0, asked = 0;
    usual(&b);
    for (uint32_t len = 0; len < b.len; len++) {
        if (len < need)
            continue; /* a caller waits */
        assert_int_equal(pg_hello_parse(b.at, len, &h, &need, &error), -EAGAIN);
        assert_true(need > len);
        asked++;
    }
    assert_int_equal(asked, 2); /* for the record's head, and for the record */
    assert_int_equal(need, b.len);
}

static void a_message_may_come_in_several_records(void **state)
{
    struct bytes e = {.len = 0}, m, b;
    struct pg_hello h;
    enum pg_hello_error error;
    put_name(&e, "a.test");
    make_hello(&m, 0x0303, &e);
    wrap(&b, &m, 10);
    assert_int_equal(parse(&b, &h, &error), 0);
    assert_string_equal(h.name, "a.test");
    wrap(&b, &m, 1); /* but not in any number of them */
    assert_int_equal(parse(&b, &h, &error), -EBADMSG);
    assert_int_equal(error, PG_HELLO_TOO_LARGE);
}

static void a_client_without_extensions_names_nobody(void **state)
{
    struct bytes m, b;
    struct pg_hello h;
    enum pg_hello_error error;
    make_hello(&m, 0x0303, NULL);
    wrap(&b, &m, 16384);
    assert_int_equal(parse(&b, &h, &error), 0);
    assert_string_equal(h.name, "");
    assert_true(h.tls12 && !h.tls13 && !h.alpn);
}

static void refused(const struct bytes *b, enum pg_hello_error want)
{
    struct pg_hello h;
    enum pg_hello_error error;
    int err = parse(b, &h, &error);
    if (err != -EBADMSG || error != want)
        fail_msg("%d %s, not %s", err, pg_hello_error_name(error), pg_hello_error_name(want));
}

static void with_extension(uint32_t type, const void *at, size_t len, enum pg_hello_error want)
{
    struct bytes e = {.len = 0}, m, b;
    put_extension(&e, type, at, len);
    make_hello(&m, 0x0303, &e);
    wrap(&b, &m, 16384);
    refused(&b, want);
}

static void lengths_that_do_not_fit_are_refused(void **state)
{
    with_extension(0, "\0\5\0\0\3a.t", 8, PG_HELLO_BROKEN);  /* list shorter than its name */
    with_extension(0, "\0\6\0\0\3a.tx", 9, PG_HELLO_BROKEN); /* a byte behind the list */
    with_extension(0, "\0\7\0\0\3a.tx", 9, PG_HELLO_BROKEN); /* half of another name */
    with_extension(0, "\0\6\1\0\3a.t", 8, PG_HELLO_BROKEN);  /* of an unknown kind */
    with_extension(0, "\0\3\0\0\0", 5, PG_HELLO_BROKEN);     /* empty */
    with_extension(0, "\0\6\0\0\3a t", 8, PG_HELLO_BROKEN);  /* no letter of a name */
    with_extension(0, "\0\6\0\0\3.ab", 8, PG_HELLO_BROKEN);
    with_extension(0, "\0\6\0\0\3a\0b", 8, PG_HELLO_BROKEN);
    with_extension(16, "\0\1\0", 3, PG_HELLO_BROKEN); /* an empty protocol */
    with_extension(16, "\0\3\3h2", 5, PG_HELLO_BROKEN);
    with_extension(43, "\3\3\4\3", 4, PG_HELLO_BROKEN); /* half a version */
}

static void an_extension_comes_once(void **state)
{
    struct bytes e = {.len = 0}, m, b;
    put_name(&e, "a.test");
    put_name(&e, "b.test");
    make_hello(&m, 0x0303, &e);
    wrap(&b, &m, 16384);
    refused(&b, PG_HELLO_BROKEN);
}

static void old_versions_are_refused(void **state)
{
    struct bytes m, b;
    make_hello(&m, 0x0302, NULL);
    wrap(&b, &m, 16384);
    refused(&b, PG_HELLO_TOO_OLD);
    with_extension(43, "\2\3\2", 3,
                   PG_HELLO_TOO_OLD); /* the list counts, whatever the field says */
}

static void what_is_no_hello_is_told_apart(void **state)
{
    struct bytes b = {.len = 0};
    struct pg_hello h;
    enum pg_hello_error error;
    put(&b, "GET / HTTP/1.1\r\n", 16);
    refused(&b, PG_HELLO_PLAIN_HTTP);
    b.len = 0;
    put(&b, "SSH-2.0-x\r\n", 11);
    refused(&b, PG_HELLO_NOT_TLS);
    b.len = 0;
    put(&b, "\x16\x02\x00\x00\x05\x01\x00\x00\x01\x00", 10); /* no such version of a record */
    refused(&b, PG_HELLO_NOT_TLS);
    b.len = 0;
    put(&b, "\x16\x03\x01\x00\x00", 5); /* an empty record */
    refused(&b, PG_HELLO_NOT_TLS);
    b.len = 0;
    put(&b, "\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9); /* a ServerHello */
    refused(&b, PG_HELLO_NOT_TLS);
    b.len = 0;
    put(&b, "\x16\x03\x01\x00\x04\x01\x01\x00\x00", 9); /* will be 64 KiB */
    refused(&b, PG_HELLO_TOO_LARGE);
    b.len = 0;
    assert_int_equal(parse(&b, &h, &error), -EAGAIN);
    usual(&b);
    b.at[4] = (uint8_t)(b.at[4] + 1); /* a byte behind the message in its record */
    b.at[b.len++] = 0;
    refused(&b, PG_HELLO_BROKEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_protocols_and_versions_are_read),
        cmocka_unit_test(what_is_not_there_yet_is_asked_for_by_its_size),
        cmocka_unit_test(a_message_may_come_in_several_records),
        cmocka_unit_test(a_client_without_extensions_names_nobody),
        cmocka_unit_test(lengths_that_do_not_fit_are_refused),
        cmocka_unit_test(an_extension_comes_once),
        cmocka_unit_test(old_versions_are_refused),
        cmocka_unit_test(what_is_no_hello_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
