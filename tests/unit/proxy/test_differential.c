/* What we accept against what two widely used parsers accept: llhttp (Node.js) and picohttpparser (h2o), as Debian has them.
 *
 * They are more lenient, so each request that we take they must take too, and read the same: method, target, fields, the end of the head,
 * the body, the end of the message. Where they refuse what we take there is a reason in `exceptions`, and the test counts how often each was
 * needed: one that is never needed has to go.
 *
 * Skipped where the build found no oracles (scripts/deps --tests installs them). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "http_mutate.h"
#include "podglass/http.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef PG_HAVE_ORACLES

int main(void)
{
    puts("no node-llhttp or libh2o-dev when this was built");
    return 77;
}

#else

#include <llhttp.h>

#define MUTANTS 2000000

/* libh2o exports these without a header. */
struct phr_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};
struct phr_chunked_decoder {
    size_t bytes_left_in_chunk;
    char consume_trailer;
    char hex_count;
    char state;
};
/* NOLINTNEXTLINE(readability-identifier-naming): the library's name */
int phr_parse_request(const char *bytes, size_t len, const char **method, size_t *method_len,
                      const char **path, size_t *path_len, int *minor, struct phr_header *headers,
                      size_t *num_headers, size_t last_len);
/* NOLINTNEXTLINE(readability-identifier-naming): the library's name */
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *bytes, size_t *len);

/* ---- what we say ---- */

/* One message at the front of bytes. */
struct reading {
    bool accepted;
    size_t used;        /* head and body */
    bool odd_extension; /* with blanks or quotes, or not the only one */
    char body[MUTANT_MAX];
    size_t body_len;
};

static struct pg_http_head head;

/* framing: what stands between two stretches of data. */
static bool is_odd_extension(const char *framing, size_t len)
{
    size_t at = len >= 2 && memcmp(framing, "\r\n", 2) == 0 ? 2 : 0;
    unsigned extensions = 0;
    for (; at < len && framing[at] != '\r'; at++) {
        if (strchr(" \t\"", framing[at]))
            return true;
        extensions += framing[at] == ';';
    }
    return extensions > 1;
}

static bool read_chunks(struct reading *r, const char *bytes, size_t len)
{
    struct pg_http_chunks c = {0};
    enum pg_http_error error;
    while (!c.done) {
        uint64_t at, n;
        int64_t used = pg_http_chunks_next(&c, bytes + r->used, len - r->used, &at, &n, &error);
        if (used <= 0)
            return false;
        r->odd_extension |= is_odd_extension(bytes + r->used, at);
        memcpy(r->body + r->body_len, bytes + r->used + at, n);
        r->body_len += n;
        r->used += (size_t)used;
    }
    return true;
}

static void read_ours(const char *bytes, size_t len, struct reading *r)
{
    struct pg_http_scan scan = {0};
    enum pg_http_error error;
    r->accepted = r->odd_extension = false;
    r->body_len = 0;
    if (pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, (uint32_t)len, &head, &error) != 0)
        return;
    r->used = head.head_len;
    if (head.body == PG_HTTP_BODY_CHUNKED) {
        r->accepted = read_chunks(r, bytes, len);
        return;
    }
    if (head.content_length > len - r->used)
        return;
    r->body_len = head.content_length;
    memcpy(r->body, bytes + r->used, r->body_len);
    r->used += r->body_len;
    r->accepted = true;
}

/* ---- why an oracle may refuse what we take ---- */

enum exception {
    NONE,
    LLHTTP_METHOD, /* it knows a list of methods, and not in lower case; any token is a method (RFC 9110 9.1) */
    LLHTTP_VERSION, /* it takes 1.0 and 1.1; a higher minor version is read as 1.1 (RFC 9110 2.5) */
    LLHTTP_TAB,     /* no tab behind the value of a framing field; RFC 9110 5.5 trims it */
    LLHTTP_EXTENSION, /* no blanks, no quotes, one extension a chunk; RFC 9112 7.1.1 has all of them */
    LLHTTP_TRAILER, /* it takes Content-Length and Transfer-Encoding in trailers for framing; we drop trailers */
    PICO_LEADING_LINES, /* it skips one empty line, we two (RFC 9112 2.2 asks for one at least) */
    EXCEPTIONS
};
static uint64_t needed[EXCEPTIONS];

static bool listed(struct pg_slice method, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pg_slice_is(method, list[i]))
            return true;
    }
    return false;
}

static bool framing_in_trailers(const char *bytes, size_t used)
{
    static const char *const names[] = {"\ncontent-length:", "\ntransfer-encoding:"};
    for (size_t at = head.head_len; head.body == PG_HTTP_BODY_CHUNKED && at < used; at++) {
        for (unsigned i = 0; i < 2; i++) {
            size_t n = strlen(names[i]);
            if (used - at > n && strncasecmp(bytes + at, names[i], n) == 0)
                return true;
        }
    }
    return false;
}

static bool tab_behind_framing(const char *bytes)
{
    for (uint32_t i = 0; i < head.field_count; i++) {
        const struct pg_http_field *f = &head.fields[i];
        const char *end = bytes + f->value.at + f->value.len;
        if ((f->id == PG_HTTP_NAME_CONTENT_LENGTH || f->id == PG_HTTP_NAME_TRANSFER_ENCODING) &&
            memchr(end, '\t', strcspn(end, "\r")))
            return true;
    }
    return false;
}

static enum exception why_llhttp(const char *bytes, const struct reading *ours)
{
    static const char *const methods[] = {"DELETE", "GET", "HEAD", "POST", "PUT", "OPTIONS"};
    struct pg_slice method = pg_span_slice(bytes, head.method);
    if (!listed(method, methods, sizeof(methods) / sizeof(methods[0])))
        return LLHTTP_METHOD;
    if (head.minor > 1)
        return LLHTTP_VERSION;
    if (tab_behind_framing(bytes))
        return LLHTTP_TAB;
    if (ours->odd_extension)
        return LLHTTP_EXTENSION;
    return framing_in_trailers(bytes, ours->used) ? LLHTTP_TRAILER : NONE;
}

static enum exception why_pico(const char *bytes)
{
    return memcmp(bytes, "\r\n\r\n", 4) == 0 ? PICO_LEADING_LINES : NONE;
}

/* ---- picohttpparser ---- */

static struct pg_slice trimmed(const char *at, size_t len)
{
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    return (struct pg_slice){at, len};
}

/* NULL: the same reading as ours. */
static const char *read_pico(const char *bytes, size_t len, const struct reading *ours)
{
    static struct phr_header headers[PG_HTTP_MAX_FIELDS];
    size_t count = PG_HTTP_MAX_FIELDS, method_len, path_len;
    const char *method, *path;
    int minor;
    int used = phr_parse_request(bytes, len, &method, &method_len, &path, &path_len, &minor,
                                 headers, &count, 0);
    if (used < 0)
        return "refused";
    if ((uint32_t)used != head.head_len || minor != head.minor || count != head.field_count)
        return "another head";
    if (method != bytes + head.method.at || method_len != head.method.len ||
        path != bytes + head.target.at || path_len != head.target.len)
        return "another request line";
    for (size_t i = 0; i < count; i++) {
        struct pg_slice value = trimmed(headers[i].value, headers[i].value_len);
        if (headers[i].name != bytes + head.fields[i].name.at ||
            headers[i].name_len != head.fields[i].name.len ||
            !pg_slice_equal(value, pg_span_slice(bytes, head.fields[i].value)))
            return "another field";
    }
    if (head.body != PG_HTTP_BODY_CHUNKED)
        return NULL;
    struct phr_chunked_decoder decoder = {.consume_trailer = 1};
    char body[MUTANT_MAX];
    size_t body_len = len - head.head_len;
    memcpy(body, bytes + head.head_len, body_len);
    ssize_t rest = phr_decode_chunked(&decoder, body, &body_len);
    if (rest < 0)
        return "chunks refused";
    if ((size_t)rest != len - ours->used || body_len != ours->body_len ||
        memcmp(body, ours->body, body_len) != 0)
        return "another body";
    return NULL;
}

/* ---- llhttp ---- */

struct heard {
    char url[MUTANT_MAX], fields[2 * MUTANT_MAX], body[MUTANT_MAX];
    size_t url_len, fields_len, body_len;
    bool complete;
};

static void hear(char *to, size_t *len, const char *at, size_t n)
{
    memcpy(to + *len, at, n);
    *len += n;
}

static int on_url(llhttp_t *p, const char *at, size_t n)
{
    struct heard *h = p->data;
    hear(h->url, &h->url_len, at, n);
    return 0;
}

static int on_field(llhttp_t *p, const char *at, size_t n)
{
    struct heard *h = p->data;
    hear(h->fields, &h->fields_len, at, n);
    return 0;
}

static int on_separator(llhttp_t *p)
{
    struct heard *h = p->data;
    /* It leaves blanks behind values to its users. */
    while (h->fields_len > 0 &&
           (h->fields[h->fields_len - 1] == ' ' || h->fields[h->fields_len - 1] == '\t'))
        h->fields_len--;
    if (!(p->flags & F_TRAILING))
        hear(h->fields, &h->fields_len, "\n", 1);
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    struct heard *h = p->data;
    hear(h->body, &h->body_len, at, n);
    return 0;
}

static int on_complete(llhttp_t *p)
{
    struct heard *h = p->data;
    h->complete = true;
    return HPE_PAUSED;
}

static void our_fields(const char *bytes, struct heard *h)
{
    for (uint32_t i = 0; i < head.field_count; i++) {
        struct pg_span name = head.fields[i].name, value = head.fields[i].value;
        hear(h->fields, &h->fields_len, bytes + name.at, name.len);
        hear(h->fields, &h->fields_len, "\n", 1);
        hear(h->fields, &h->fields_len, bytes + value.at, value.len);
        hear(h->fields, &h->fields_len, "\n", 1);
    }
}

static const char *read_llhttp(const char *bytes, size_t len, const struct reading *ours)
{
    static struct heard theirs, mine;
    llhttp_settings_t settings;
    llhttp_t parser;
    theirs.url_len = theirs.fields_len = theirs.body_len = mine.fields_len = 0;
    theirs.complete = false;
    llhttp_settings_init(&settings);
    settings.on_url = on_url;
    settings.on_header_field = settings.on_header_value = on_field;
    settings.on_header_field_complete = settings.on_header_value_complete = on_separator;
    settings.on_body = on_body;
    settings.on_message_complete = on_complete;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &theirs;
    llhttp_errno_t err = llhttp_execute(&parser, bytes, len);
    if (!theirs.complete)
        return err == HPE_OK ? "waits for more" : llhttp_get_error_reason(&parser);
    our_fields(bytes, &mine);
    if (theirs.url_len != head.target.len ||
        memcmp(theirs.url, bytes + head.target.at, theirs.url_len) != 0)
        return "another target";
    if (theirs.body_len != ours->body_len || memcmp(theirs.body, ours->body, theirs.body_len) != 0)
        return "another body";
    if (theirs.fields_len < mine.fields_len ||
        memcmp(theirs.fields, mine.fields, mine.fields_len) != 0)
        return "other fields";
    size_t used = (size_t)(llhttp_get_error_pos(&parser) - bytes);
    return used == ours->used ? NULL : "another end";
}

/* ---- the test ---- */

static void judge(const struct mutant *m, const char *who, const char *complaint,
                  enum exception why)
{
    if (!complaint)
        return;
    needed[why]++;
    if (why != NONE)
        return;
    for (size_t i = 0; i < m->len; i++) {
        unsigned char c = (unsigned char)m->bytes[i];
        fprintf(stderr, c >= 0x20 && c < 0x7f ? "%c" : c == '\n' ? "\\n\n" : "\\x%02x", c);
    }
    fail_msg("%s: %s", who, complaint);
}

static void what_we_accept_others_accept_and_read_the_same(void **state)
{
    const char *seed = getenv("PODGLASS_SEED");
    uint64_t dice = seed ? strtoull(seed, NULL, 10) : 7, accepted = 0;
    struct mutant m;
    static struct reading ours;
    (void)state;
    for (uint64_t i = 0; i < MUTANTS; i++) {
        mutant_make(&dice, &m);
        read_ours(m.bytes, m.len, &ours);
        if (!ours.accepted)
            continue;
        accepted++;
        judge(&m, "picohttpparser", read_pico(m.bytes, m.len, &ours), why_pico(m.bytes));
        judge(&m, "llhttp", read_llhttp(m.bytes, m.len, &ours), why_llhttp(m.bytes, &ours));
    }
    print_message("%d mutants, %llu accepted\n", MUTANTS, (unsigned long long)accepted);
    assert_true(accepted > MUTANTS / 5);
    for (unsigned i = NONE + 1; i < EXCEPTIONS; i++) {
        if (needed[i] == 0)
            fail_msg("exception %u was never needed", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_we_accept_others_accept_and_read_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
