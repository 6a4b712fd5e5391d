/* Every rule and every vector of strictness, one row each: the bytes, and the one outcome they may have.
 *
 * Each row is tried as the first request of a connection and behind another request, in one go and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK   PG_HTTP_ERROR_NONE
#define E(x) PG_HTTP_ERROR_##x

struct row {
    const char *name;
    const char *head; /* up to its end */
    enum pg_http_error error;
    size_t len; /* 0: strlen */
};

#define HOST "Host: a.test\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST
#define POST "POST / HTTP/1.1\r\n" HOST

static const struct row rows[] = {
    /* framing */
    {"CL then TE", POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
     E(BAD_TRANSFER_ENCODING), 0},
    {"TE then CL", POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
     E(BAD_TRANSFER_ENCODING), 0},
    {"two CL, different", POST "Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
     E(BAD_CONTENT_LENGTH), 0},
    {"two CL, equal", POST "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", E(BAD_CONTENT_LENGTH),
     0},
    {"CL list", POST "Content-Length: 1, 1\r\n\r\n", E(BAD_CONTENT_LENGTH), 0},
    {"CL +1", POST "Content-Length: +1\r\n\r\n", E(BAD_CONTENT_LENGTH), 0},
    {"CL -1", POST "Content-Length: -1\r\n\r\n", E(BAD_CONTENT_LENGTH), 0},
    {"CL 0x1", POST "Content-Length: 0x1\r\n\r\n", E(BAD_CONTENT_LENGTH), 0},
    {"CL 1_0", POST "Content-Length: 1_0\r\n\r\n", E(BAD_CONTENT_LENGTH), 0},
    {"CL empty", POST "Content-Length:\r\n\r\n", E(BAD_CONTENT_LENGTH), 0},
    {"CL 1Z", POST "Content-Length: 1Z\r\n\r\n", E(BAD_CONTENT_LENGTH), 0},
    {"CL 001 is legal", POST "Content-Length: 001\r\n\r\n", OK, 0},
    {"CL 2^64+1", POST "Content-Length: 18446744073709551617\r\n\r\n", E(BAD_CONTENT_LENGTH), 0},
    {"CL 2^63", POST "Content-Length: 9223372036854775808\r\n\r\n", E(BAD_CONTENT_LENGTH), 0},
    {"CL 2^63-1", POST "Content-Length: 9223372036854775807\r\n\r\n", OK, 0},
    {"CL with 20 digits", POST "Content-Length: 00000000000000000001\r\n\r\n",
     E(BAD_CONTENT_LENGTH), 0},
    {"blank before colon (CL)", POST "Content-Length : 1\r\n\r\n", E(BAD_FIELD_NAME), 0},
    {"blank before colon (TE)", POST "Transfer-Encoding : chunked\r\n\r\n", E(BAD_FIELD_NAME), 0},
    {"TE with leading tab is legal", POST "Transfer-Encoding:\tchunked\r\n\r\n", OK, 0},
    {"TE in any case", POST "transfer-encoding: CHUNKED\r\n\r\n", OK, 0},
    {"TE with vertical tab",
     POST "Transfer-Encoding: \x0b"
          "chunked\r\n\r\n",
     E(BAD_FIELD_VALUE), 0},
    {"TE xchunked", POST "Transfer-Encoding: xchunked\r\n\r\n", E(UNKNOWN_CODING), 0},
    {"TE ,chunked", POST "Transfer-Encoding: ,chunked\r\n\r\n", E(BAD_TRANSFER_ENCODING), 0},
    {"TE quoted", POST "Transfer-Encoding: \"chunked\"\r\n\r\n", E(BAD_TRANSFER_ENCODING), 0},
    {"two TE lines", POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     E(BAD_TRANSFER_ENCODING), 0},
    {"TE chunked, chunked", POST "Transfer-Encoding: chunked, chunked\r\n\r\n",
     E(BAD_TRANSFER_ENCODING), 0},
    {"TE gzip, chunked", POST "Transfer-Encoding: gzip, chunked\r\n\r\n", E(UNKNOWN_CODING), 0},
    {"TE chunked, gzip", POST "Transfer-Encoding: chunked, gzip\r\n\r\n", E(UNKNOWN_CODING), 0},
    {"TE identity + CL", POST "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\n",
     E(BAD_TRANSFER_ENCODING), 0},
    {"TE in HTTP/1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n",
     E(BAD_TRANSFER_ENCODING), 0},
    {"TE chunked;q=1", POST "Transfer-Encoding: chunked;q=1\r\n\r\n", E(BAD_TRANSFER_ENCODING), 0},
    {"TE empty", POST "Transfer-Encoding:\r\n\r\n", E(BAD_TRANSFER_ENCODING), 0},
    /* line ends */
    {"whole head with LF", "GET / HTTP/1.1\nHost: a.test\n\n", E(BAD_LINE_END), 0},
    {"one LF in head", "GET / HTTP/1.1\r\nHost: a.test\nX: y\r\n\r\n", E(BAD_LINE_END), 0},
    {"LF as the empty line", GET "\n", E(BAD_LINE_END), 0},
    {"CR CR LF", GET "X: y\r\r\n\r\n", E(BAD_LINE_END), 0},
    {"CR in value", GET "X: a\rb\r\n\r\n", E(BAD_LINE_END), 0},
    {"CR in name", GET "X\rY: b\r\n\r\n", E(BAD_FIELD_NAME), 0},
    {"CR before request line", "\rGET / HTTP/1.1\r\n" HOST "\r\n", E(BAD_LINE_END), 0},
    {"LF before request line", "\nGET / HTTP/1.1\r\n" HOST "\r\n", E(BAD_LINE_END), 0},
    {"one leading CRLF", "\r\n" GET "\r\n", OK, 0},
    {"two leading CRLF", "\r\n\r\n" GET "\r\n", OK, 0},
    {"three leading CRLF", "\r\n\r\n\r\n" GET "\r\n", E(BAD_REQUEST_LINE), 0},
    /* field lines */
    {"NUL in value", GET "X: a\0b\r\n\r\n", E(BAD_FIELD_VALUE), sizeof(GET "X: a\0b\r\n\r\n") - 1},
    {"0x01 in value", GET "X: a\001b\r\n\r\n", E(BAD_FIELD_VALUE), 0},
    {"DEL in value", GET "X: a\177b\r\n\r\n", E(BAD_FIELD_VALUE), 0},
    {"tab in value is legal", GET "X: a\tb\r\n\r\n", OK, 0},
    {"0x80 in value is legal", GET "X: a\200\377b\r\n\r\n", OK, 0},
    {"control byte in the ninth place", GET "X: abcdefgh\037ijklmnopq\r\n\r\n", E(BAD_FIELD_VALUE),
     0},
    {"obs-fold", GET "X: a\r\n b\r\n\r\n", E(FOLDED_FIELD), 0},
    {"obs-fold with tab", GET "X: a\r\n\tb\r\n\r\n", E(FOLDED_FIELD), 0},
    {"blank before first field", "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n", E(BAD_FIELD_NAME), 0},
    {"no colon", GET "Nonsense\r\n\r\n", E(BAD_FIELD_NAME), 0},
    {"empty name", GET ": x\r\n\r\n", E(BAD_FIELD_NAME), 0},
    {"( in name", GET "X(: y\r\n\r\n", E(BAD_FIELD_NAME), 0},
    {"0x85 in name", GET "X\205: y\r\n\r\n", E(BAD_FIELD_NAME), 0},
    {"blank in name", GET "X Y: z\r\n\r\n", E(BAD_FIELD_NAME), 0},
    {"empty value is legal", GET "X:\r\n\r\n", OK, 0},
    /* Host */
    {"no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", E(BAD_HOST), 0},
    {"no Host in HTTP/1.0", "GET / HTTP/1.0\r\n\r\n", OK, 0},
    {"two Hosts, different", GET "Host: b.test\r\n\r\n", E(BAD_HOST), 0},
    {"two Hosts, equal", GET HOST "\r\n", E(BAD_HOST), 0},
    {"two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\n" HOST HOST "\r\n", E(BAD_HOST), 0},
    {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", E(BAD_HOST), 0},
    {"Host a@b", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", E(BAD_HOST), 0},
    {"Host with path", "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", E(BAD_HOST), 0},
    {"Host with query", "GET / HTTP/1.1\r\nHost: a.test?x\r\n\r\n", E(BAD_HOST), 0},
    {"Host list", "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", E(BAD_HOST), 0},
    {"Host with blank", "GET / HTTP/1.1\r\nHost: a. test\r\n\r\n", E(BAD_HOST), 0},
    {"Host port 99999", "GET / HTTP/1.1\r\nHost: a.test:99999\r\n\r\n", E(BAD_HOST), 0},
    {"Host port 0", "GET / HTTP/1.1\r\nHost: a.test:0\r\n\r\n", E(BAD_HOST), 0},
    {"Host port empty", "GET / HTTP/1.1\r\nHost: a.test:\r\n\r\n", E(BAD_HOST), 0},
    {"Host port with sign", "GET / HTTP/1.1\r\nHost: a.test:+80\r\n\r\n", E(BAD_HOST), 0},
    {"Host port 65535", "GET / HTTP/1.1\r\nHost: a.test:65535\r\n\r\n", OK, 0},
    {"Host IPv6", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n", OK, 0},
    {"Host IPv6 without bracket", "GET / HTTP/1.1\r\nHost: 2001:db8::1\r\n\r\n", E(BAD_HOST), 0},
    {"Host broken IPv6", "GET / HTTP/1.1\r\nHost: [2001:db8::1\r\n\r\n", E(BAD_HOST), 0},
    {"Host IPv4 in brackets", "GET / HTTP/1.1\r\nHost: [10.0.0.1]\r\n\r\n", E(BAD_HOST), 0},
    {"Host with broken percent", "GET / HTTP/1.1\r\nHost: a%zz.test\r\n\r\n", E(BAD_HOST), 0},
    {"Host with high bytes", "GET / HTTP/1.1\r\nHost: a\303\244.test\r\n\r\n", E(BAD_HOST), 0},
    /* request line */
    {"absolute-form", "GET http://a.test/x HTTP/1.1\r\n" HOST "\r\n", OK, 0},
    {"absolute-form, no path", "GET http://a.test HTTP/1.1\r\n" HOST "\r\n", OK, 0},
    {"absolute-form, default port", "GET http://A.test:80/ HTTP/1.1\r\n" HOST "\r\n", OK, 0},
    {"absolute-form, other host", "GET http://b.test/ HTTP/1.1\r\n" HOST "\r\n", E(HOST_MISMATCH),
     0},
    {"absolute-form, other port", "GET http://a.test:81/ HTTP/1.1\r\n" HOST "\r\n",
     E(HOST_MISMATCH), 0},
    {"absolute-form, userinfo", "GET http://u@a.test/ HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"absolute-form, other scheme", "GET ftp://a.test/ HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"absolute-form, empty authority", "GET http:///x HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"two blanks in request line", "GET  / HTTP/1.1\r\n" HOST "\r\n", E(BAD_REQUEST_LINE), 0},
    {"two blanks before version", "GET /  HTTP/1.1\r\n" HOST "\r\n", E(BAD_REQUEST_LINE), 0},
    {"blank behind version", "GET / HTTP/1.1 \r\n" HOST "\r\n", E(BAD_REQUEST_LINE), 0},
    {"blank before method", " GET / HTTP/1.1\r\n" HOST "\r\n", E(BAD_METHOD), 0},
    {"tab in request line", "GET\t/ HTTP/1.1\r\n" HOST "\r\n", E(BAD_METHOD), 0},
    {"tab behind target", "GET /\tHTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"blank in target", "GET /a b HTTP/1.1\r\n" HOST "\r\n", E(BAD_REQUEST_LINE), 0},
    {"LF as separator", "GET\n/ HTTP/1.1\r\n" HOST "\r\n", E(BAD_REQUEST_LINE), 0},
    {"HTTP/0.9", "GET /\r\n", E(BAD_REQUEST_LINE), 0},
    {"no target", "GET HTTP/1.1\r\n" HOST "\r\n", E(BAD_REQUEST_LINE), 0},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", OK, 0},
    {"HTTP/2.0 as text", "GET / HTTP/2.0\r\n" HOST "\r\n", E(BAD_VERSION), 0},
    {"HTTP/9.9", "GET / HTTP/9.9\r\n" HOST "\r\n", E(BAD_VERSION), 0},
    {"HTTP/1.10", "GET / HTTP/1.10\r\n" HOST "\r\n", E(BAD_REQUEST_LINE), 0},
    {"HTTP/11.1", "GET / HTTP/11.1\r\n" HOST "\r\n", E(BAD_REQUEST_LINE), 0},
    {"HTTP/1", "GET / HTTP/1\r\n" HOST "\r\n", E(BAD_REQUEST_LINE), 0},
    {"http/1.1", "GET / http/1.1\r\n" HOST "\r\n", E(BAD_REQUEST_LINE), 0},
    {"fragment in target", "GET /#a HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"byte > 127 in target", "GET /\303\244 HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"NUL in target", "GET /\0 HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET),
     sizeof("GET /\0 HTTP/1.1\r\n" HOST "\r\n") - 1},
    {"DEL in target", "GET /\177 HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"target without slash", "GET x HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"GET *", "GET * HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"OPTIONS *", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", OK, 0},
    {"OPTIONS *x", "OPTIONS *x HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"CONNECT", "CONNECT a.test:80 HTTP/1.1\r\n" HOST "\r\n", E(METHOD_REFUSED), 0},
    {"TRACE", "TRACE / HTTP/1.1\r\n" HOST "\r\n", E(METHOD_REFUSED), 0},
    {"( in method", "GE(T / HTTP/1.1\r\n" HOST "\r\n", E(BAD_METHOD), 0},
    {"unknown method is legal", "BREW / HTTP/1.1\r\n" HOST "\r\n", OK, 0},
    {"TLS hello", "\026\003\001\002", E(BAD_METHOD), 0},
    {"%00 in path", "GET /a%00 HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"%zz in path", "GET /%zz HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"% at the end of path", "GET /a%2 HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    {"%zz in query is left alone", "GET /?a=%zz HTTP/1.1\r\n" HOST "\r\n", OK, 0},
    {"%00 in absolute path", "GET http://a.test/%00 HTTP/1.1\r\n" HOST "\r\n", E(BAD_TARGET), 0},
    /* Expect, Upgrade, Connection */
    {"Expect 100-continue", POST "Expect: 100-Continue\r\nContent-Length: 3\r\n\r\n", OK, 0},
    {"Expect with junk", POST "Expect: 100-continue, x\r\n\r\n", E(BAD_EXPECT), 0},
    {"Expect twice", POST "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", E(BAD_EXPECT), 0},
    {"Upgrade: h2c is parsed", GET "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", OK, 0},
};

static struct pg_http_head head;

static enum pg_http_error parse_at_once(const char *bytes, size_t len)
{
    struct pg_http_scan scan = {0};
    enum pg_http_error error = PG_HTTP_ERROR_NONE;
    int err = pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, (uint32_t)len, &head, &error);
    assert_int_not_equal(err, -EAGAIN);
    assert_true((err == 0) == (error == PG_HTTP_ERROR_NONE));
    return error;
}

/* Each prefix lies in a block of its own, so that a read behind it is seen. */
static enum pg_http_error parse_dribbled(const char *bytes, size_t len)
{
    struct pg_http_scan scan = {0};
    enum pg_http_error error = PG_HTTP_ERROR_NONE;
    int err = -EAGAIN;
    for (size_t have = 1; have <= len && err == -EAGAIN; have++) {
        char *copy = malloc(have);
        memcpy(copy, bytes, have);
        err = pg_http_parse(PG_HTTP_REQUEST, &scan, copy, (uint32_t)have, &head, &error);
        free(copy);
    }
    assert_int_not_equal(err, -EAGAIN);
    return error;
}

static size_t row_len(const struct row *r)
{
    return r->len ? r->len : strlen(r->head);
}

static void expect(const struct row *r, const char *how, enum pg_http_error got)
{
    if (got != r->error)
        fail_msg("%s (%s): %s instead of %s", r->name, how, pg_http_error_name(got),
                 pg_http_error_name(r->error));
}

static void every_vector_has_its_one_outcome(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        expect(&rows[i], "at once", parse_at_once(rows[i].head, row_len(&rows[i])));
        expect(&rows[i], "dribbled", parse_dribbled(rows[i].head, row_len(&rows[i])));
    }
}

static void every_vector_has_the_same_outcome_as_second_request(void **state)
{
    static const char first[] = "POST /x HTTP/1.1\r\nHost: b.test\r\nContent-Length: 2\r\n\r\nab";
    char buffer[4096];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        size_t len = row_len(&rows[i]);
        memcpy(buffer, first, sizeof(first) - 1);
        memcpy(buffer + sizeof(first) - 1, rows[i].head, len);
        struct pg_http_scan scan = {0};
        enum pg_http_error error;
        assert_int_equal(pg_http_parse(PG_HTTP_REQUEST, &scan, buffer,
                                       (uint32_t)(sizeof(first) - 1 + len), &head, &error),
                         0);
        size_t used = head.head_len + head.content_length;
        assert_int_equal(used, sizeof(first) - 1);
        expect(&rows[i], "second", parse_at_once(buffer + used, len));
    }
}

static void spans_point_at_what_they_name(void **state)
{
    static const char bytes[] = "\r\nGET /cart?x=1 HTTP/1.1\r\nHost:  shop.test:80 \r\n"
                                "X-Forwarded-For: 1.2.3.4\r\nx_real_ip: 5.6.7.8\r\n"
                                "CONTENT-LENGTH: 007\r\nConnection: close\r\n\r\nrest";
    assert_int_equal(parse_at_once(bytes, sizeof(bytes) - 1), PG_HTTP_ERROR_NONE);
    assert_true(pg_slice_is(pg_span_slice(bytes, head.method), "GET"));
    assert_true(pg_slice_is(pg_span_slice(bytes, head.target), "/cart?x=1"));
    assert_true(pg_slice_is(pg_span_slice(bytes, head.path), "/cart?x=1"));
    assert_true(pg_slice_is(pg_span_slice(bytes, head.host), "shop.test:80"));
    assert_int_equal(head.head_len, sizeof(bytes) - 1 - 4);
    assert_int_equal(head.field_count, 5);
    assert_int_equal(head.fields[1].id, PG_HTTP_NAME_X_FORWARDED_FOR);
    assert_int_equal(head.fields[2].id, PG_HTTP_NAME_IDENTITY);
    assert_int_equal(head.body, PG_HTTP_BODY_LENGTH);
    assert_int_equal(head.content_length, 7);
    assert_false(head.keep_alive);
    assert_true(head.idempotent);
}

static void absolute_form_is_taken_apart(void **state)
{
    static const char bytes[] = "GET http://A.test/p?q HTTP/1.1\r\nHost: a.test\r\n\r\n";
    assert_int_equal(parse_at_once(bytes, sizeof(bytes) - 1), PG_HTTP_ERROR_NONE);
    assert_true(pg_slice_is(pg_span_slice(bytes, head.authority), "A.test"));
    assert_true(pg_slice_is(pg_span_slice(bytes, head.path), "/p?q"));
}

static void http10_closes_unless_it_asks_otherwise(void **state)
{
    static const char plain[] = "GET / HTTP/1.0\r\n\r\n";
    static const char keep[] = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n";
    static const char expects[] = "GET / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n";
    (void)parse_at_once(plain, sizeof(plain) - 1);
    assert_false(head.keep_alive);
    (void)parse_at_once(keep, sizeof(keep) - 1);
    assert_true(head.keep_alive);
    assert_int_equal(parse_at_once(expects, sizeof(expects) - 1), PG_HTTP_ERROR_NONE);
    assert_false(head.expect_continue);
}

/* A head of n filler bytes between its first and its last line. */
static char *long_head(const char *begin, char fill, size_t n, const char *end, size_t *ret_len)
{
    size_t a = strlen(begin), b = strlen(end);
    char *bytes = malloc(a + n + b);
    memcpy(bytes, begin, a);
    memset(bytes + a, fill, n);
    memcpy(bytes + a + n, end, b);
    *ret_len = a + n + b;
    return bytes;
}

static void limits_are_where_they_are_said_to_be(void **state)
{
    static const struct {
        const char *begin;
        size_t total; /* of line or head */
        const char *end;
        bool head;
        enum pg_http_error error;
    } limits[] = {
        {"GET /", PG_HTTP_MAX_LINE, " HTTP/1.1\r\n" HOST "\r\n", false, OK},
        {"GET /", PG_HTTP_MAX_LINE + 1, " HTTP/1.1\r\n" HOST "\r\n", false, E(TARGET_TOO_LONG)},
        {GET "X: ", PG_HTTP_MAX_HEAD, "\r\n\r\n", true, OK},
        {GET "X: ", PG_HTTP_MAX_HEAD + 1, "\r\n\r\n", true, E(HEAD_TOO_LARGE)},
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        size_t frame = limits[i].head ? strlen(limits[i].begin) + strlen(limits[i].end)
                                      : strlen(limits[i].begin) + strlen(" HTTP/1.1");
        size_t len;
        char *bytes = long_head(limits[i].begin, 'a', limits[i].total - frame, limits[i].end, &len);
        assert_int_equal(parse_at_once(bytes, len), limits[i].error);
        free(bytes);
    }
}

static void a_hundred_and_twenty_nine_fields_are_too_many(void **state)
{
    char bytes[2048];
    for (unsigned fields = 128; fields <= 129; fields++) {
        size_t len = (size_t)sprintf(bytes, "GET / HTTP/1.1\r\n" HOST);
        for (unsigned i = 1; i < fields; i++)
            len += (size_t)sprintf(bytes + len, "X: y\r\n");
        len += (size_t)sprintf(bytes + len, "\r\n");
        enum pg_http_error want = fields == 128 ? OK : E(TOO_MANY_FIELDS);
        assert_int_equal(parse_at_once(bytes, len), want);
        assert_int_equal(parse_dribbled(bytes, len), want);
    }
}

static void connection_options_are_bounded(void **state)
{
    for (unsigned count = 64; count <= 65; count++) {
        struct pg_text bytes = {0};
        pg_text_puts(&bytes, GET "Connection: ");
        for (unsigned i = 0; i < count; i++)
            pg_text_puts(&bytes, "x,");
        pg_text_puts(&bytes, "\r\n\r\n");
        assert_int_equal(parse_at_once(bytes.at, bytes.len), count == 64 ? OK : E(BAD_FIELD_VALUE));
        pg_text_free(&bytes);
    }
}

static void an_endless_line_is_refused_before_it_ends(void **state)
{
    struct pg_http_scan scan = {0};
    enum pg_http_error error;
    static char bytes[PG_HTTP_MAX_HEAD];
    memset(bytes, 'a', sizeof(bytes));
    assert_int_equal(
        pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, PG_HTTP_MAX_LINE + 1, &head, &error), -EAGAIN);
    assert_int_equal(
        pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, PG_HTTP_MAX_LINE + 2, &head, &error),
        -EBADMSG);
    assert_int_equal(error, E(TARGET_TOO_LONG));
}

/* ---- responses ---- */

static const struct {
    const char *name;
    const char *head;
    enum pg_http_error error;
    enum pg_http_body body;
} responses[] = {
    {"length", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", OK, PG_HTTP_BODY_LENGTH},
    {"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", OK, PG_HTTP_BODY_CHUNKED},
    {"neither", "HTTP/1.1 200 OK\r\n\r\n", OK, PG_HTTP_BODY_UNTIL_CLOSE},
    {"empty phrase", "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", OK, PG_HTTP_BODY_NONE},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", OK, PG_HTTP_BODY_NONE},
    {"304 with length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", OK,
     PG_HTTP_BODY_NONE},
    {"100", "HTTP/1.1 100 Continue\r\n\r\n", OK, PG_HTTP_BODY_NONE},
    {"CL and TE", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
     E(BAD_TRANSFER_ENCODING), 0},
    {"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
     E(BAD_CONTENT_LENGTH), 0},
    {"NUL-like control", "HTTP/1.1 200 OK\r\nX: \001\r\n\r\n", E(BAD_FIELD_VALUE), 0},
    {"CR in field", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n", E(BAD_LINE_END), 0},
    {"LF only", "HTTP/1.1 200 OK\nX: a\n\n", E(BAD_LINE_END), 0},
    {"no blank behind status", "HTTP/1.1 200\r\n\r\n", E(BAD_RESPONSE), 0},
    {"four digits", "HTTP/1.1 2000 OK\r\n\r\n", E(BAD_RESPONSE), 0},
    {"status 099", "HTTP/1.1 099 OK\r\n\r\n", E(BAD_RESPONSE), 0},
    {"status 600", "HTTP/1.1 600 OK\r\n\r\n", E(BAD_RESPONSE), 0},
    {"not HTTP", "SSH-2.0-x\r\n\r\n", E(BAD_RESPONSE), 0},
    {"HTTP/2", "HTTP/2.0 200 OK\r\n\r\n", E(BAD_RESPONSE), 0},
    {"leading CRLF", "\r\nHTTP/1.1 200 OK\r\n\r\n", E(BAD_RESPONSE), 0},
};

static void responses_are_read_as_strictly(void **state)
{
    for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
        struct pg_http_scan scan = {0}, dribble = {0};
        enum pg_http_error error = OK, dribbled = OK;
        uint32_t len = (uint32_t)strlen(responses[i].head);
        int err = -EAGAIN;
        for (uint32_t have = 1; have <= len && err == -EAGAIN; have++)
            err = pg_http_parse(PG_HTTP_RESPONSE, &dribble, responses[i].head, have, &head,
                                &dribbled);
        (void)pg_http_parse(PG_HTTP_RESPONSE, &scan, responses[i].head, len, &head, &error);
        if (error != responses[i].error || dribbled != error)
            fail_msg("%s: %s, dribbled %s", responses[i].name, pg_http_error_name(error),
                     pg_http_error_name(dribbled));
        if (error)
            continue;
        pg_http_response_body(&head, false, false);
        assert_int_equal(head.body, responses[i].body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_has_its_one_outcome),
        cmocka_unit_test(every_vector_has_the_same_outcome_as_second_request),
        cmocka_unit_test(spans_point_at_what_they_name),
        cmocka_unit_test(absolute_form_is_taken_apart),
        cmocka_unit_test(http10_closes_unless_it_asks_otherwise),
        cmocka_unit_test(limits_are_where_they_are_said_to_be),
        cmocka_unit_test(a_hundred_and_twenty_nine_fields_are_too_many),
        cmocka_unit_test(connection_options_are_bounded),
        cmocka_unit_test(an_endless_line_is_refused_before_it_ends),
        cmocka_unit_test(responses_are_read_as_strictly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
