/* Chunked bodies: every way to get a chunk line wrong, and the same result however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OK      PG_HTTP_ERROR_NONE
#define CHUNK   PG_HTTP_ERROR_BAD_CHUNK
#define TRAILER PG_HTTP_ERROR_BAD_TRAILER

static const struct {
    const char *name;
    const char *bytes;
    enum pg_http_error error;
    const char *body;
} rows[] = {
    {"one chunk", "3\r\nabc\r\n0\r\n\r\n", OK, "abc"},
    {"two chunks", "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", OK, "abcde"},
    {"none", "0\r\n\r\n", OK, ""},
    {"upper and lower hex, leading zeros", "00A\r\n0123456789\r\n00b\r\n0123456789a\r\n0\r\n\r\n",
     OK, "01234567890123456789a"},
    {"sixteen digits", "0000000000000003\r\nabc\r\n0\r\n\r\n", OK, "abc"},
    {"seventeen digits", "00000000000000003\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"extension", "3;a=b;c=\"d\\\"e;\"\r\nabc\r\n0;x\r\n\r\n", OK, "abc"},
    {"extension with blanks", "3 ;\ta = b\r\nabc\r\n0\r\n\r\n", OK, "abc"},
    {"trailer is dropped", "3\r\nabc\r\n0\r\nX-Forwarded-For: 1.2.3.4\r\nY:\r\n\r\n", OK, "abc"},
    {"chunk size ended by LF", "3\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"LF in chunk extension", "3;a\nb\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"CR in extension blank", "3;\rabc\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"CR CR LF", "3\r\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"chunk 0x3", "0x3\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"chunk +3", "+3\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"chunk leading blank", " 3\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"chunk trailing blank", "3 \r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"empty chunk size", "\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"size is only an extension", ";a\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"chunk 2^64+3", "10000000000000003\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"chunk 2^63", "8000000000000000\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"no CRLF after data", "3\r\nabc0\r\n\r\n", CHUNK, NULL},
    {"LF after data", "3\r\nabc\n0\r\n\r\n", CHUNK, NULL},
    {"last chunk with LF", "3\r\nabc\r\n0\n\r\n", CHUNK, NULL},
    {"empty extension", "3;\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"extension value missing", "3;a=\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"extension quote open", "3;a=\"b\r\nabc\r\n0\r\n\r\n", CHUNK, NULL},
    {"trailer without colon", "3\r\nabc\r\n0\r\nX\r\n\r\n", TRAILER, NULL},
    {"trailer ended by LF", "3\r\nabc\r\n0\r\nX: y\n\r\n", TRAILER, NULL},
    {"trailer with empty name", "3\r\nabc\r\n0\r\n: y\r\n\r\n", TRAILER, NULL},
    {"trailer folded", "3\r\nabc\r\n0\r\nX: y\r\n z\r\n\r\n", TRAILER, NULL},
    {"trailer with control byte", "3\r\nabc\r\n0\r\nX: \001\r\n\r\n", TRAILER, NULL},
    {"end with LF", "3\r\nabc\r\n0\r\n\n", TRAILER, NULL},
};

/* Feeds pieces of `step` bytes. Returns the error; *ret_body is what came out. */
static enum pg_http_error feed(const char *bytes, size_t len, size_t step, char *ret_body,
                               bool *ret_done)
{
    struct pg_http_chunks c = {0};
    enum pg_http_error error = OK;
    size_t at = 0, out = 0;
    while (at < len && !c.done) {
        size_t n = len - at < step ? len - at : step;
        char *piece = malloc(n + 1);
        assert_non_null(piece);
        memcpy(piece, bytes + at, n);
        uint64_t data_at = 0, data_len = 0;
        int64_t used = pg_http_chunks_next(&c, piece, n, &data_at, &data_len, &error);
        if (used >= 0) {
            assert_true(data_at + data_len <= (uint64_t)used && (uint64_t)used <= n);
            memcpy(ret_body + out, piece + data_at, data_len);
        }
        free(piece);
        if (used < 0)
            return error;
        assert_true(used > 0);
        out += data_len;
        at += (size_t)used;
    }
    ret_body[out] = 0;
    *ret_done = c.done;
    return OK;
}

static void every_chunk_vector_has_its_one_outcome(void **state)
{
    char body[256];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        for (size_t step = 1; step < 64; step++) {
            bool done = false;
            size_t len = strlen(rows[i].bytes);
            enum pg_http_error error = feed(rows[i].bytes, len, step, body, &done);
            if (error != rows[i].error)
                fail_msg("%s, step %zu: %s", rows[i].name, step, pg_http_error_name(error));
            if (error)
                continue;
            assert_true(done);
            assert_string_equal(body, rows[i].body);
        }
    }
}

static void what_follows_the_last_chunk_is_left_alone(void **state)
{
    struct pg_http_chunks c = {0};
    enum pg_http_error error;
    uint64_t at, len;
    assert_int_equal(pg_http_chunks_next(&c, "0\r\n\r\nGET", 8, &at, &len, &error), 5);
    assert_true(c.done);
    assert_int_equal(pg_http_chunks_next(&c, "GET", 3, &at, &len, &error), 0);
}

/* Who moves data looks at `left` after each piece of framing: a size of which only the first digit has come is no size. */
static void a_chunk_line_cut_in_two_is_not_data_yet(void **state)
{
    static const char line[] = "1f40;a=b\r\n";
    enum pg_http_error error;
    for (size_t cut = 1; cut < sizeof(line) - 1; cut++) {
        struct pg_http_chunks c = {0};
        assert_int_equal(pg_http_chunks_framing(&c, line, cut, &error), cut);
        assert_int_equal(c.left, 0);
        assert_int_equal(pg_http_chunks_framing(&c, line + cut, sizeof(line) - 1 - cut, &error),
                         sizeof(line) - 1 - cut);
        assert_int_equal(c.left, 0x1f40);
    }
}

static void data_may_pass_unseen(void **state)
{
    struct pg_http_chunks c = {0};
    enum pg_http_error error;
    assert_int_equal(pg_http_chunks_framing(&c, "5\r\nhello\r\n", 10, &error), 3);
    assert_int_equal(c.left, 5);
    pg_http_chunks_skip(&c, 2);
    pg_http_chunks_skip(&c, 3);
    assert_int_equal(pg_http_chunks_framing(&c, "\r\n0\r\n\r\n", 7, &error), 7);
    assert_true(c.done);
}

/* n times `unit` between begin and end. */
static enum pg_http_error feed_many(const char *begin, const char *unit, size_t n, const char *end)
{
    struct pg_text bytes = {0};
    pg_text_puts(&bytes, begin);
    for (size_t i = 0; i < n; i++)
        pg_text_puts(&bytes, unit);
    pg_text_puts(&bytes, end);
    char *body = malloc(bytes.len + 1);
    bool done = false;
    enum pg_http_error error = feed(bytes.at, bytes.len, bytes.len, body, &done);
    pg_text_free(&bytes);
    free(body);
    return error;
}

static void nothing_is_data_before_its_line_is_complete(void **state)
{
    struct pg_http_chunks c = {0};
    enum pg_http_error error;
    assert_int_equal(pg_http_chunks_framing(&c, "1", 1, &error), 1);
    assert_int_equal(c.left, 0);
    assert_int_equal(pg_http_chunks_framing(&c, "0;x\r", 4, &error), 4);
    assert_int_equal(c.left, 0);
    assert_int_equal(pg_http_chunks_framing(&c, "\nabc", 4, &error), 1);
    assert_int_equal(c.left, 16);
}

static void extensions_and_trailers_are_bounded(void **state)
{
    assert_int_equal(feed_many("0;", "a", 255, "\r\n\r\n"), OK);
    assert_int_equal(feed_many("0;", "a", 257, "\r\n\r\n"), CHUNK);
    assert_int_equal(feed_many("", "1;abcdefgh\r\nx\r\n", 3000, "0\r\n\r\n"), CHUNK);
    assert_int_equal(feed_many("0\r\nX: ", "a", 8000, "\r\n\r\n"), OK);
    assert_int_equal(feed_many("0\r\nX: ", "a", 8200, "\r\n\r\n"), TRAILER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_chunk_vector_has_its_one_outcome),
        cmocka_unit_test(what_follows_the_last_chunk_is_left_alone),
        cmocka_unit_test(a_chunk_line_cut_in_two_is_not_data_yet),
        cmocka_unit_test(data_may_pass_unseen),
        cmocka_unit_test(nothing_is_data_before_its_line_is_complete),
        cmocka_unit_test(extensions_and_trailers_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
