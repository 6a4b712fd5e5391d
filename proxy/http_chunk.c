/* Chunked bodies: framing is read byte by byte, data is never looked at.
 *
 * Called by `relay.c` for bodies that pass, by the lab for bodies it counts. The line of a chunk is a small machine over its
 * bytes, because chunk lines are where other readers disagree: a CR inside an extension, a blank where none may be, a
 * size of 2^64+3. Extensions are checked by grammar and dropped, and so are trailers unless the caller
 * has them held for `trailers.c`.
 *
 * Owns nothing. Always true: `left` is the number of data bytes still to come of the present chunk; framing is read only
 * while it is 0. */
#include "http_grammar.h"

#include <errno.h>

#define MAX_DIGITS          16
#define MAX_EXTENSION_LINE  256
#define MAX_EXTENSION_BYTES 16384
#define MAX_TRAILER_BYTES   8192

enum chunk_state {
    SIZE,             /* at the first digit of a chunk line: zero, as the contract says */
    SIZE_MORE,        /* behind a digit */
    BEFORE_SEMICOLON, /* blanks behind size or extension: a ';' must follow */
    EXT_BEGIN,        /* behind ';' */
    EXT_NAME,
    EXT_NAME_BLANK, /* blanks behind a name: '=' or ';' must follow */
    EXT_VALUE_BEGIN,
    EXT_VALUE,
    EXT_QUOTED,
    EXT_ESCAPED,
    EXT_QUOTED_END,
    SIZE_LF, /* the LF of a chunk line */
    DATA,    /* left > 0 */
    DATA_CR,
    DATA_LF,
    TRAILER_BEGIN,
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    END_LF,
    BROKEN,
};

static void line_ends(struct pg_http_chunks *c)
{
    c->left = c->size;
    c->state = (uint8_t)(c->left > 0 ? DATA : TRAILER_BEGIN);
    c->size = 0;
    c->digits = 0;
    c->line_len = 0;
}

static uint8_t read_digit(struct pg_http_chunks *c, char byte)
{
    if (!pg_http_is(byte, PG_HTTP_HEX) || c->digits == MAX_DIGITS)
        return BROKEN;
    c->digits++;
    c->size = c->size << 4 | pg_http_hex(byte);
    return c->size > INT64_MAX ? BROKEN : SIZE_MORE;
}

/* Behind something that may be followed by the end of the line, another extension, or blanks and then an extension. */
static uint8_t after_element(char byte)
{
    if (byte == '\r')
        return SIZE_LF;
    if (byte == ';')
        return EXT_BEGIN;
    return pg_http_blank(byte) ? BEFORE_SEMICOLON : BROKEN;
}

/* RFC 9112 7.1.1: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) */
static uint8_t read_extension(enum chunk_state state, char byte)
{
    bool token = pg_http_is(byte, PG_HTTP_TCHAR);
    switch (state) {
    case BEFORE_SEMICOLON:
        if (pg_http_blank(byte))
            return BEFORE_SEMICOLON;
        return byte == ';' ? EXT_BEGIN : BROKEN;
    case EXT_BEGIN:
        if (pg_http_blank(byte))
            return EXT_BEGIN;
        return token ? EXT_NAME : BROKEN;
    case EXT_NAME:
        if (token)
            return EXT_NAME;
        if (pg_http_blank(byte))
            return EXT_NAME_BLANK;
        return byte == '=' ? EXT_VALUE_BEGIN : after_element(byte);
    case EXT_NAME_BLANK:
        if (pg_http_blank(byte))
            return EXT_NAME_BLANK;
        if (byte == '=')
            return EXT_VALUE_BEGIN;
        return byte == ';' ? EXT_BEGIN : BROKEN;
    case EXT_VALUE_BEGIN:
        if (pg_http_blank(byte))
            return EXT_VALUE_BEGIN;
        if (byte == '"')
            return EXT_QUOTED;
        return token ? EXT_VALUE : BROKEN;
    case EXT_VALUE: return token ? EXT_VALUE : after_element(byte);
    case EXT_QUOTED:
        if (byte == '"')
            return EXT_QUOTED_END;
        if (byte == '\\')
            return EXT_ESCAPED;
        return pg_http_is(byte, PG_HTTP_VALUE) ? EXT_QUOTED : BROKEN;
    case EXT_ESCAPED: return pg_http_is(byte, PG_HTTP_VALUE) ? EXT_QUOTED : BROKEN;
    case EXT_QUOTED_END: return after_element(byte);
    default: return BROKEN;
    }
}

static uint8_t read_trailer(enum chunk_state state, char byte)
{
    switch (state) {
    case TRAILER_BEGIN:
        if (byte == '\r')
            return END_LF;
        return pg_http_is(byte, PG_HTTP_TCHAR) ? TRAILER_NAME : BROKEN;
    case TRAILER_NAME:
        if (pg_http_is(byte, PG_HTTP_TCHAR))
            return TRAILER_NAME;
        return byte == ':' ? TRAILER_VALUE : BROKEN;
    case TRAILER_VALUE:
        if (byte == '\r')
            return TRAILER_LF;
        return pg_http_is(byte, PG_HTTP_VALUE) ? TRAILER_VALUE : BROKEN;
    case TRAILER_LF: return byte == '\n' ? TRAILER_BEGIN : BROKEN;
    default: return BROKEN;
    }
}

static bool extension_fits(struct pg_http_chunks *c)
{
    c->line_len++;
    c->extension_bytes++;
    return c->line_len <= MAX_EXTENSION_LINE && c->extension_bytes <= MAX_EXTENSION_BYTES;
}

/* One byte of framing; the new state is in c. */
static void read_byte(struct pg_http_chunks *c, char byte)
{
    enum chunk_state state = (enum chunk_state)c->state;
    switch (state) {
    case SIZE: c->state = read_digit(c, byte); break;
    case SIZE_MORE:
        if (pg_http_is(byte, PG_HTTP_HEX))
            c->state = read_digit(c, byte);
        else
            c->state = after_element(byte);
        break;
    case SIZE_LF:
        if (byte == '\n')
            line_ends(c);
        else
            c->state = BROKEN;
        break;
    case DATA_CR: c->state = byte == '\r' ? DATA_LF : BROKEN; break;
    case DATA_LF: c->state = byte == '\n' ? SIZE : BROKEN; break;
    case END_LF:
        c->done = byte == '\n';
        c->state = c->done ? END_LF : BROKEN;
        break;
    default:
        if (state >= TRAILER_BEGIN)
            c->state = ++c->trailer_bytes > MAX_TRAILER_BYTES ? BROKEN : read_trailer(state, byte);
        else
            c->state = extension_fits(c) ? read_extension(state, byte) : BROKEN;
    }
}

int64_t pg_http_chunks_framing(struct pg_http_chunks *c, const char *bytes, uint64_t len,
                               enum pg_http_error *ret_error)
{
    uint64_t used = 0;
    while (used < len && !c->done && c->state != DATA && !(c->hold && c->state == TRAILER_BEGIN)) {
        uint8_t before = c->state;
        read_byte(c, bytes[used++]);
        if (c->state == BROKEN) {
            *ret_error =
                before >= TRAILER_BEGIN ? PG_HTTP_ERROR_BAD_TRAILER : PG_HTTP_ERROR_BAD_CHUNK;
            c->state = before;
            return -EBADMSG;
        }
    }
    return (int64_t)used;
}

bool pg_http_chunks_in_trailers(const struct pg_http_chunks *c)
{
    return c->state >= TRAILER_BEGIN && !c->done;
}

void pg_http_chunks_skip(struct pg_http_chunks *c, uint64_t n)
{
    c->left -= n;
    if (c->left == 0)
        c->state = DATA_CR;
}

int64_t pg_http_chunks_next(struct pg_http_chunks *c, const char *bytes, uint64_t len,
                            uint64_t *ret_data_at, uint64_t *ret_data_len,
                            enum pg_http_error *ret_error)
{
    int64_t used = pg_http_chunks_framing(c, bytes, len, ret_error);
    if (used < 0)
        return used;
    uint64_t data = 0;
    if (c->state == DATA && !c->done) {
        data = len - (uint64_t)used < c->left ? len - (uint64_t)used : c->left;
        if (data > 0)
            pg_http_chunks_skip(c, data);
    }
    *ret_data_at = (uint64_t)used;
    *ret_data_len = data;
    return used + (int64_t)data;
}
