/* Every rule and every vector of strictness, one row each: the bytes, and the one outcome they may have.
 *
 * Each row is tried as the first request of a connection and behind another request, in one go and byte by byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "http_vectors.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK   PG_HTTP_ERROR_NONE
#define E(x) PG_HTTP_ERROR_##x

#define HOST "Host: a.test\r\n"
#define GET  "GET / HTTP/1.1\r\n" HOST

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

static size_t row_len(const struct http_vector *r)
{
    return r->len ? r->len : strlen(r->head);
}

static void expect(const struct http_vector *r, const char *how, enum pg_http_error got)
{
    if (got != r->error)
        fail_msg("%s (%s): %s instead of %s", r->name, how, pg_http_error_name(got),
                 pg_http_error_name(r->error));
}

static void every_vector_has_its_one_outcome(void **state)
{
    for (size_t i = 0; i < http_vector_count; i++) {
        expect(&http_vectors[i], "at once",
               parse_at_once(http_vectors[i].head, row_len(&http_vectors[i])));
        expect(&http_vectors[i], "dribbled",
               parse_dribbled(http_vectors[i].head, row_len(&http_vectors[i])));
    }
}

static void every_vector_has_the_same_outcome_as_second_request(void **state)
{
    static const char first[] = "POST /x HTTP/1.1\r\nHost: b.test\r\nContent-Length: 2\r\n\r\nab";
    char buffer[4096];
    for (size_t i = 0; i < http_vector_count; i++) {
        size_t len = row_len(&http_vectors[i]);
        memcpy(buffer, first, sizeof(first) - 1);
        memcpy(buffer + sizeof(first) - 1, http_vectors[i].head, len);
        struct pg_http_scan scan = {0};
        enum pg_http_error error;
        assert_int_equal(pg_http_parse(PG_HTTP_REQUEST, &scan, buffer,
                                       (uint32_t)(sizeof(first) - 1 + len), &head, &error),
                         0);
        size_t used = head.head_len + head.content_length;
        assert_int_equal(used, sizeof(first) - 1);
        expect(&http_vectors[i], "second", parse_at_once(buffer + used, len));
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
