/* Growing text and what may stand in it.
 *
 * Dumps, logs, records and the control API are built here. Bytes of strangers (hosts, paths, header
 * values) pass through pg_text_add_escaped before a terminal or a log sees them: an escape sequence
 * can retitle a window, and a bidi override can make an address read as another. What is escaped:
 * control bytes including C1 (as one byte and as UTF-8), DEL, invalid UTF-8, direction marks and
 * overrides, line separators, invisible characters. A backslash stays, so output is safe to look
 * at, not meant to be read back; JSON is.
 *
 * Owns the bytes of each pg_text until pg_text_free. Always true: at[len] is NUL once anything was
 * added. Only control-plane code builds text, so running out of memory ends the process. */
#include "podglass/text.h"

#include "text_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIRST_ROOM 128

struct pg_slice pg_slice_of(const char *text)
{
    return (struct pg_slice){text, strlen(text)};
}

bool pg_slice_equal(struct pg_slice a, struct pg_slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

static inline unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
}

bool pg_slice_equal_nocase(struct pg_slice a, struct pg_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.at[i]) != lower(b.at[i]))
            return false;
    return true;
}

bool pg_slice_is(struct pg_slice a, const char *text)
{
    return pg_slice_equal(a, pg_slice_of(text));
}

__attribute__((noreturn)) static void out_of_memory(void)
{
    static const char line[] = "error: out of memory\n";
    ssize_t ignored = write(STDERR_FILENO, line, sizeof(line) - 1);
    (void)ignored;
    _exit(EXIT_FAILURE);
}

static void make_room(struct pg_text *t, size_t more)
{
    if (more < t->room - t->len)
        return; /* strictly: the NUL needs its place */
    if (more >= SIZE_MAX / 2 - t->len)
        out_of_memory();
    size_t room = t->room > 0 ? t->room : FIRST_ROOM;
    while (room <= t->len + more)
        room *= 2;
    char *at = realloc(t->at, room);
    if (!at)
        out_of_memory();
    t->at = at;
    t->room = room;
}

void pg_text_free(struct pg_text *t)
{
    free(t->at);
    *t = (struct pg_text){0};
}

void pg_text_clear(struct pg_text *t)
{
    t->len = 0;
    if (t->at)
        t->at[0] = '\0';
}

void pg_text_add(struct pg_text *t, const char *bytes, size_t len)
{
    make_room(t, len);
    if (len > 0)
        memcpy(t->at + t->len, bytes, len);
    t->len += len;
    t->at[t->len] = '\0';
}

void pg_text_puts(struct pg_text *t, const char *text)
{
    pg_text_add(t, text, strlen(text));
}

void pg_text_putc(struct pg_text *t, char c)
{
    pg_text_add(t, &c, 1);
}

void pg_text_printf(struct pg_text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pg_text_vprintf(t, format, args);
    va_end(args);
}

void pg_text_vprintf(struct pg_text *t, const char *format, va_list args)
{
    make_room(t, FIRST_ROOM / 2);
    va_list again;
    va_copy(again, args);
    int need = vsnprintf(t->at + t->len, t->room - t->len, format, args);
    if (need > 0 && (size_t)need >= t->room - t->len) {
        make_room(t, (size_t)need);
        need = vsnprintf(t->at + t->len, t->room - t->len, format, again);
    }
    va_end(again);
    t->len += need > 0 ? (size_t)need : 0;
    t->at[t->len] = '\0';
}

size_t pg_utf8_next(const char *at, size_t len, uint32_t *ret_code)
{
    const unsigned char *b = (const unsigned char *)at;
    if (len == 0)
        return 0;
    if (b[0] < 0x80) {
        *ret_code = b[0];
        return 1;
    }
    size_t need = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || len < need)
        return 0;
    uint32_t code = b[0] & (0x7fu >> need);
    for (size_t i = 1; i < need; i++) {
        if ((b[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (b[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < least[need] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    *ret_code = code;
    return need;
}

bool pg_utf8_is_unsafe(uint32_t code)
{
    static const struct {
        uint32_t first, last;
    } ranges[] = {
        {0x00, 0x1f},     {0x7f, 0x9f},     {0xad, 0xad},       {0x61c, 0x61c},
        {0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f},   {0xfeff, 0xfeff},
        {0xfff9, 0xfffb}, {0xfffe, 0xffff}, {0xe0000, 0xe007f},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (code >= ranges[i].first && code <= ranges[i].last)
            return true;
    return false;
}

void pg_text_add_escaped(struct pg_text *t, const char *bytes, size_t len)
{
    make_room(t, len);
    for (size_t at = 0; at < len;) {
        uint32_t code = 0;
        size_t used = pg_utf8_next(bytes + at, len - at, &code);
        if (used > 0 && !pg_utf8_is_unsafe(code)) {
            pg_text_add(t, bytes + at, used);
            at += used;
            continue;
        }
        for (size_t end = at + (used > 0 ? used : 1); at < end; at++)
            pg_text_printf(t, "\\x%02x", (unsigned)(unsigned char)bytes[at]);
    }
    t->at[t->len] = '\0';
}

void pg_text_add_duration(struct pg_text *t, uint64_t seconds)
{
    static const struct {
        uint64_t seconds;
        char letter;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    size_t i = 0;
    while (i < 3 && seconds < units[i].seconds)
        i++;
    uint64_t whole = seconds / units[i].seconds, rest = seconds % units[i].seconds;
    pg_text_printf(t, "%llu%c", (unsigned long long)whole, units[i].letter);
    if (i < 3 && rest / units[i + 1].seconds > 0)
        pg_text_printf(t, "%llu%c", (unsigned long long)(rest / units[i + 1].seconds),
                       units[i + 1].letter);
}

void pg_text_add_bytes(struct pg_text *t, uint64_t bytes)
{
    static const char letters[] = "kMGTPE";
    if (bytes < 1000) {
        pg_text_printf(t, "%llu", (unsigned long long)bytes);
        return;
    }
    /* Tenths of the unit, cut and not rounded: 999999 is 999.9k, never 1000.0k. */
    unsigned unit = 0;
    uint64_t divisor = 100;
    while (unit < 5 && bytes / divisor >= 10000) {
        divisor *= 1000;
        unit++;
    }
    unsigned long long tenths = bytes / divisor;
    pg_text_printf(t, "%llu.%llu%c", tenths / 10, tenths % 10, letters[unit]);
}
