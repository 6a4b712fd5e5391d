/* JSON as a stream: the caller names keys and values in order, commas and nesting come by
 * themselves.
 *
 * All JSON leaves podglass through here (records, dumps, control API), so it is valid whatever the
 * bytes are: what is not UTF-8 becomes U+FFFD (one per bad byte), and what a terminal could trip
 * over (C1, DEL, bidi overrides, line separators) is written as \u escapes, which read back as the
 * same text. Numbers are exact 64-bit integers.
 *
 * Owns nothing: text goes to the caller's pg_text, which the caller may drain between values. A
 * wrong order of calls (a value without its key, too deep, too many ends) is our bug and
 * asserted. */
#include "podglass/json.h"

#include "text_internal.h"

#include "podglass/log.h"

#include <string.h>

#define DEPTH_MOST 32 /* bits of the comma word */
#define SHORT_MOST 60

void pg_json_begin(struct pg_json *j, struct pg_text *out)
{
    *j = (struct pg_json){.out = out};
}

static void before_value(struct pg_json *j)
{
    if (j->after_key) {
        j->after_key = false;
        return;
    }
    if (j->depth == 0)
        return;
    uint32_t bit = UINT32_C(1) << (j->depth - 1);
    if (j->comma & bit)
        pg_text_putc(j->out, ',');
    j->comma |= bit;
}

static void open_level(struct pg_json *j, char c)
{
    PG_ASSERT(j->depth < DEPTH_MOST);
    before_value(j);
    pg_text_putc(j->out, c);
    j->depth++;
    j->comma &= ~(UINT32_C(1) << (j->depth - 1));
}

static void close_level(struct pg_json *j, char c)
{
    PG_ASSERT(j->depth > 0 && !j->after_key);
    pg_text_putc(j->out, c);
    j->depth--;
}

void pg_json_object(struct pg_json *j)
{
    open_level(j, '{');
}

void pg_json_object_end(struct pg_json *j)
{
    close_level(j, '}');
}

void pg_json_array(struct pg_json *j)
{
    open_level(j, '[');
}

void pg_json_array_end(struct pg_json *j)
{
    close_level(j, ']');
}

static void put_code(struct pg_text *out, uint32_t code)
{
    if (code >= 0x10000) { /* RFC 8259 7: a pair of surrogates */
        put_code(out, 0xd800 + ((code - 0x10000) >> 10));
        put_code(out, 0xdc00 + ((code - 0x10000) & 0x3ff));
        return;
    }
    pg_text_printf(out, "\\u%04x", (unsigned)code);
}

static inline bool is_plain(char c)
{
    return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* Short and plain, as nearly everything is: quoted with what stands behind it in one piece. false:
 * not so, nothing written. */
static bool put_short(struct pg_text *out, const char *bytes, size_t len, const char *behind)
{
    char piece[SHORT_MOST + 4];
    size_t at = 0;

    if (len > SHORT_MOST)
        return false;
    piece[at++] = '"';
    for (size_t i = 0; i < len; i++) {
        if (!is_plain(bytes[i]))
            return false;
        piece[at++] = bytes[i];
    }
    piece[at++] = '"';
    if (*behind)
        piece[at++] = *behind;
    pg_text_add(out, piece, at);
    return true;
}

static void put_quoted(struct pg_text *out, const char *bytes, size_t len)
{
    if (put_short(out, bytes, len, ""))
        return;
    pg_text_putc(out, '"');
    for (size_t at = 0; at < len;) {
        size_t run = at;
        while (run < len && is_plain(bytes[run]))
            run++;
        if (run > at) {
            pg_text_add(out, bytes + at, run - at);
            at = run;
            continue;
        }
        uint32_t code = 0;
        size_t used = pg_utf8_next(bytes + at, len - at, &code);
        if (used == 0) {
            pg_text_puts(out, "\xef\xbf\xbd");
            used = 1;
        } else if (code == '"' || code == '\\') {
            pg_text_putc(out, '\\');
            pg_text_putc(out, (char)code);
        } else if (code == '\n' || code == '\r' || code == '\t') {
            pg_text_putc(out, '\\');
            pg_text_putc(out, code == '\n' ? 'n' : code == '\r' ? 'r' : 't');
        } else if (pg_utf8_is_unsafe(code)) {
            put_code(out, code);
        } else {
            pg_text_add(out, bytes + at, used);
        }
        at += used;
    }
    pg_text_putc(out, '"');
}

void pg_json_key(struct pg_json *j, const char *key)
{
    PG_ASSERT(!j->after_key && j->depth > 0);
    before_value(j);
    size_t len = strlen(key);
    if (!put_short(j->out, key, len, ":")) {
        put_quoted(j->out, key, len);
        pg_text_putc(j->out, ':');
    }
    j->after_key = true;
}

void pg_json_slice(struct pg_json *j, struct pg_slice s)
{
    before_value(j);
    put_quoted(j->out, s.at, s.len);
}

void pg_json_string(struct pg_json *j, const char *text)
{
    if (text) {
        pg_json_slice(j, pg_slice_of(text));
        return;
    }
    before_value(j);
    pg_text_puts(j->out, "null");
}

void pg_json_uint(struct pg_json *j, uint64_t n)
{
    char digits[20];
    size_t at = sizeof(digits);

    before_value(j);
    do
        digits[--at] = (char)('0' + n % 10);
    while (n /= 10);
    pg_text_add(j->out, digits + at, sizeof(digits) - at);
}

void pg_json_int(struct pg_json *j, int64_t n)
{
    before_value(j);
    pg_text_printf(j->out, "%lld", (long long)n);
}

void pg_json_bool(struct pg_json *j, bool b)
{
    before_value(j);
    pg_text_puts(j->out, b ? "true" : "false");
}

void pg_json_addr(struct pg_json *j, const struct pg_addr *a)
{
    char text[PG_ADDR_TEXT];
    pg_json_string(j, pg_addr_is_none(a) ? NULL : pg_addr_print(a, text));
}

void pg_json_key_string(struct pg_json *j, const char *key, const char *text)
{
    pg_json_key(j, key);
    pg_json_string(j, text);
}

void pg_json_key_uint(struct pg_json *j, const char *key, uint64_t n)
{
    pg_json_key(j, key);
    pg_json_uint(j, n);
}

void pg_json_key_bool(struct pg_json *j, const char *key, bool b)
{
    pg_json_key(j, key);
    pg_json_bool(j, b);
}

void pg_json_key_addr(struct pg_json *j, const char *key, const struct pg_addr *a)
{
    pg_json_key(j, key);
    pg_json_addr(j, a);
}
