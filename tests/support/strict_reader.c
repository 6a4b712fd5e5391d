/* The strict reader of strict_reader.h. Written from the grammar, without a look at proxy/. */
#include "strict_reader.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct framing {
    bool has_length, chunked;
    size_t length;
    unsigned hosts;
};

static bool is_token(const char *at, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)at[i]) && !(at[i] && strchr("!#$%&'*+-.^_`|~", at[i])))
            return false;
    }
    return len > 0;
}

static const char *read_start(struct strict_reader *r, const char *line, size_t len)
{
    const char *first = memchr(line, ' ', len);
    const char *last = memrchr(line, ' ', len);
    if (!first || last == first || !is_token(line, (size_t)(first - line)))
        return "request line";
    if (len - (size_t)(last - line) != 9 || memcmp(last, " HTTP/1.1", 9) != 0)
        return "version";
    size_t target = (size_t)(last - first) - 1;
    for (size_t i = 1; i <= target; i++) {
        if (first[i] < 0x21 || first[i] > 0x7e || first[i] == '#')
            return "target";
    }
    if (target == 0 || (first[1] != '/' && !(target == 1 && first[1] == '*')))
        return "target";
    size_t keep = target < sizeof(r->target) - 1 ? target : sizeof(r->target) - 1;
    memcpy(r->target, first + 1, keep);
    r->target[keep] = 0;
    return NULL;
}

/* Whoever reads names less exactly than we do must not find framing where we see none. */
static bool resembles(const char *name, size_t len, const char *what)
{
    for (size_t i = 0; i < len; i++) {
        char c = name[i] == '_' ? '-' : (char)tolower((unsigned char)name[i]);
        if (i >= strlen(what) || c != what[i])
            return false;
    }
    return len == strlen(what);
}

static const char *read_length(const char *value, size_t len, struct framing *f)
{
    if (f->has_length || len == 0 || (len > 1 && value[0] == '0') || len > 19)
        return "content-length";
    f->has_length = true;
    f->length = 0;
    for (size_t i = 0; i < len; i++) {
        if (!isdigit((unsigned char)value[i]))
            return "content-length";
        f->length = f->length * 10 + (size_t)(value[i] - '0');
    }
    return NULL;
}

static const char *read_field(const char *line, size_t len, struct framing *f, bool first)
{
    const char *colon = memchr(line, ':', len);
    size_t name = colon ? (size_t)(colon - line) : 0;
    if (!is_token(line, name) || name + 1 >= len || line[name + 1] != ' ')
        return "field name";
    const char *value = line + name + 2;
    size_t value_len = len - name - 2;
    for (size_t i = 0; i < value_len; i++) {
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
            return "field value";
    }
    if (value_len > 0 &&
        (isblank((unsigned char)value[0]) || isblank((unsigned char)value[value_len - 1])))
        return "blank around a value";
    if (resembles(line, name, "host"))
        f->hosts++;
    if (first != resembles(line, name, "host"))
        return "host is not first, or not alone";
    if (resembles(line, name, "content-length"))
        return memcmp(line, "Content-Length", 14) ? "spelling" : read_length(value, value_len, f);
    if (!resembles(line, name, "transfer-encoding"))
        return NULL;
    if (f->chunked || memcmp(line, "Transfer-Encoding", 17) != 0 || value_len != 7 ||
        memcmp(value, "chunked", 7) != 0)
        return "transfer-encoding";
    f->chunked = true;
    return NULL;
}

/* 1: read, *ret_used bytes; 0: not all here; -1: wrong. */
static int read_chunks(struct strict_reader *r, size_t at, size_t *ret_used)
{
    r->body_bytes = 0;
    for (;;) {
        size_t size = 0, digits = 0;
        while (at < r->len && digits < 16 && isxdigit((unsigned char)r->bytes[at])) {
            char c = r->bytes[at++];
            if (isupper((unsigned char)c) || (digits > 0 && size == 0))
                return -1;
            size = size * 16 + (size_t)(isdigit((unsigned char)c) ? c - '0' : c - 'a' + 10);
            digits++;
        }
        if (r->len - at < 2)
            return at < r->len && r->bytes[at] != '\r' ? -1 : 0;
        if (digits == 0 || memcmp(r->bytes + at, "\r\n", 2) != 0)
            return -1;
        at += 2;
        if (r->len - at < 2 || r->len - at - 2 < size)
            return 0;
        if (memcmp(r->bytes + at + size, "\r\n", 2) != 0)
            return -1;
        at += size + 2;
        r->body_bytes += size;
        if (size == 0) {
            *ret_used = at;
            return 1;
        }
    }
}

static const char *read_head(struct strict_reader *r, const char *end, struct framing *f)
{
    const char *line = r->bytes;
    unsigned number = 0;
    const char *wrong = NULL;
    r->fields = 0;
    while (!wrong && line < end) {
        const char *stop = memchr(line, '\r', (size_t)(end - line));
        stop = stop ? stop : end;
        size_t len = (size_t)(stop - line);
        if (memchr(line, '\n', len) || stop[1] != '\n')
            return "line end";
        wrong = number == 0 ? read_start(r, line, len) : read_field(line, len, f, number == 1);
        r->fields += number > 0;
        number++;
        line = stop + 2;
    }
    if (!wrong && (f->hosts != 1 || (f->has_length && f->chunked)))
        wrong = "framing";
    return wrong;
}

/* Whether a request was read. */
static bool read_one(struct strict_reader *r)
{
    const char *end = memmem(r->bytes, r->len, "\r\n\r\n", 4);
    struct framing f = {0};
    if (!end || r->wrong)
        return false;
    size_t head = (size_t)(end - r->bytes) + 4;
    r->wrong = read_head(r, end, &f);
    size_t used = head + f.length;
    int got = used <= r->len;
    if (!r->wrong && f.chunked) {
        got = read_chunks(r, head, &used);
        r->wrong = got < 0 ? "chunks" : NULL;
    } else {
        r->body_bytes = f.length;
    }
    if (r->wrong || got <= 0)
        return false;
    memmove(r->bytes, r->bytes + used, r->len - used);
    r->len -= used;
    r->requests++;
    return true;
}

void strict_feed(struct strict_reader *r, const char *bytes, size_t len)
{
    if (r->len + len > r->room) {
        r->room = (r->len + len) * 2;
        r->bytes = realloc(r->bytes, r->room);
        if (!r->bytes)
            abort();
    }
    memcpy(r->bytes + r->len, bytes, len);
    r->len += len;
    while (read_one(r))
        ;
}

bool strict_at_boundary(const struct strict_reader *r)
{
    return r->len == 0;
}

void strict_free(struct strict_reader *r)
{
    free(r->bytes);
    *r = (struct strict_reader){0};
}
