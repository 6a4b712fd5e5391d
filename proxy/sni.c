/* The first message of a TLS client, read before TLS is: which host it wants, and what it can speak.
 *
 * Called by `tls.c` with what lies unread in a connection, so that a connection can go on to a pod with its bytes as they came, and so that a certificate is
 * chosen before anything is allocated. Strict: every length must fit exactly, an extension may come once, a name has only the letters of one.
 *
 * The message may be cut over several records; it is put together in a buffer of this call. Nothing is kept between calls: the caller is told how many bytes
 * there must be before asking again makes sense, so a client that sends byte after byte costs no more than one that sends all at once. */
#include "podglass/tls_decide.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define RECORD_HEAD     5
#define RECORD_MOST     16384
#define HANDSHAKE       22
#define CLIENT_HELLO    1
#define EXT_SERVER_NAME 0
#define EXT_ALPN        16
#define EXT_VERSIONS    43
#define EXTENSIONS_MOST 64

static const char *const error_names[] = {"ok",     "not-tls",   "plain-http",
                                          "broken", "too-large", "too-old"};
static_assert(sizeof(error_names) / sizeof(error_names[0]) == PG_HELLO_ERROR_COUNT,
              "a name per error");

const char *pg_hello_error_name(enum pg_hello_error e)
{
    return error_names[e];
}

/* ---- reading ---- */

struct cursor {
    const uint8_t *at;
    uint32_t left;
    bool bad; /* something did not fit: all that was read since is zero */
};

static uint32_t number(struct cursor *c, uint32_t bytes)
{
    uint32_t n = 0;
    if (c->left < bytes) {
        c->bad = true;
        c->left = 0;
        return 0;
    }
    for (uint32_t i = 0; i < bytes; i++)
        n = n << 8 | c->at[i];
    c->at += bytes;
    c->left -= bytes;
    return n;
}

static struct cursor part(struct cursor *c, uint32_t len)
{
    struct cursor p = {c->at, len, c->bad};
    if (c->left < len || c->bad) {
        c->bad = true;
        c->left = 0;
        return (struct cursor){NULL, 0, true};
    }
    c->at += len;
    c->left -= len;
    return p;
}

/* A vector with its length before it. */
static struct cursor vector(struct cursor *c, uint32_t length_bytes)
{
    uint32_t len = number(c, length_bytes);
    return part(c, len);
}

/* ---- extensions ---- */

static bool name_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

/* RFC 6066 3: a list that in truth has one entry. */
static bool read_name(struct cursor e, struct pg_hello *ret)
{
    struct cursor list = vector(&e, 2);
    uint32_t type = number(&list, 1);
    struct cursor name = vector(&list, 2);
    if (e.left > 0 || e.bad || list.left > 0 || list.bad || type != 0 || name.left == 0 ||
        name.left > PG_HELLO_NAME)
        return false;
    for (uint32_t i = 0; i < name.left; i++) {
        uint8_t c = name.at[i];
        c = (uint8_t)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
        if (!name_letter(c))
            return false;
        ret->name[i] = (char)c;
    }
    ret->name[name.left] = '\0';
    return ret->name[0] != '.';
}

static bool read_alpn(struct cursor e, struct pg_hello *ret)
{
    struct cursor list = vector(&e, 2);
    ret->alpn = true;
    while (list.left > 0) {
        struct cursor p = vector(&list, 1);
        if (p.left == 0)
            return false;
        ret->h2 |= p.left == 2 && memcmp(p.at, "h2", 2) == 0;
        ret->http11 |= p.left == 8 && memcmp(p.at, "http/1.1", 8) == 0;
    }
    return e.left == 0 && !e.bad && !list.bad;
}

static bool read_versions(struct cursor e, struct pg_hello *ret)
{
    struct cursor list = vector(&e, 1);
    ret->tls12 = false; /* this list counts, not the field of old */
    while (list.left > 0) {
        uint32_t v = number(&list, 2);
        ret->tls12 |= v == 0x0303;
        ret->tls13 |= v == 0x0304;
    }
    return e.left == 0 && !e.bad && !list.bad;
}

static bool read_extensions(struct cursor all, struct pg_hello *ret)
{
    uint32_t seen[EXTENSIONS_MOST];
    uint32_t count = 0;
    while (all.left > 0) {
        uint32_t type = number(&all, 2);
        struct cursor e = vector(&all, 2);
        bool good = !all.bad && count < EXTENSIONS_MOST;
        for (uint32_t i = 0; good && i < count; i++)
            good = seen[i] != type;
        if (!good)
            return false;
        seen[count++] = type;
        if (type == EXT_SERVER_NAME)
            good = read_name(e, ret);
        else if (type == EXT_ALPN)
            good = read_alpn(e, ret);
        else if (type == EXT_VERSIONS)
            good = read_versions(e, ret);
        if (!good)
            return false;
    }
    return !all.bad;
}

static enum pg_hello_error read_hello(struct cursor m, struct pg_hello *ret)
{
    uint32_t version = number(&m, 2);
    (void)part(&m, 32); /* random */
    struct cursor session = vector(&m, 1);
    struct cursor ciphers = vector(&m, 2);
    struct cursor compressions = vector(&m, 1);
    ret->tls12 = version >= 0x0303;
    if (m.bad || session.left > 32 || ciphers.left < 2 || ciphers.left % 2 != 0 ||
        compressions.left == 0)
        return PG_HELLO_BROKEN;
    if (m.left > 0) {
        struct cursor extensions = vector(&m, 2);
        if (m.bad || m.left > 0 || !read_extensions(extensions, ret))
            return PG_HELLO_BROKEN;
    }
    return ret->tls12 || ret->tls13 ? PG_HELLO_OK : PG_HELLO_TOO_OLD;
}

/* ---- records ---- */

/* Letters of a method, then a blank: worth a word of its own to whoever typed http:// for https://. */
static bool looks_like_http(const uint8_t *bytes, uint32_t len)
{
    uint32_t i = 0;
    while (i < len && i < 8 && bytes[i] >= 'A' && bytes[i] <= 'Z')
        i++;
    return i >= 3 && (i == len || bytes[i] == ' ');
}

static int refuse(enum pg_hello_error error, enum pg_hello_error *ret_error)
{
    *ret_error = error;
    return -EBADMSG;
}

int pg_hello_parse(const uint8_t *bytes, uint32_t len, struct pg_hello *ret, uint32_t *ret_need,
                   enum pg_hello_error *ret_error)
{
    uint8_t message[PG_HELLO_BYTES];
    uint32_t have = 0, want = 4, at = 0;
    memset(ret, 0, sizeof(*ret));
    for (uint32_t records = 0; have < want; records++) {
        const uint8_t *r = bytes + at;
        if (at < len && r[0] != HANDSHAKE)
            return refuse(at == 0 && looks_like_http(bytes, len) ? PG_HELLO_PLAIN_HTTP
                                                                 : PG_HELLO_NOT_TLS,
                          ret_error);
        *ret_need = at + RECORD_HEAD;
        if (len - at < RECORD_HEAD)
            return -EAGAIN;
        uint32_t size = (uint32_t)r[3] << 8 | r[4];
        if (r[1] != 3 || size == 0 || size > RECORD_MOST)
            return refuse(PG_HELLO_NOT_TLS, ret_error);
        if (records == PG_HELLO_RECORDS || have + size > sizeof(message))
            return refuse(PG_HELLO_TOO_LARGE, ret_error);
        *ret_need = at + RECORD_HEAD + size;
        if (len - at - RECORD_HEAD < size)
            return -EAGAIN;
        memcpy(message + have, r + RECORD_HEAD, size);
        have += size;
        at += RECORD_HEAD + size;
        if (have >= 4)
            want = 4 + ((uint32_t)message[1] << 16 | (uint32_t)message[2] << 8 | message[3]);
        if (message[0] != CLIENT_HELLO)
            return refuse(PG_HELLO_NOT_TLS, ret_error);
        if (want > sizeof(message))
            return refuse(PG_HELLO_TOO_LARGE, ret_error);
    }
    if (have > want)
        return refuse(PG_HELLO_BROKEN, ret_error); /* nothing may follow it unanswered */
    ret->len = at;
    enum pg_hello_error error = read_hello((struct cursor){message + 4, want - 4, false}, ret);
    return error == PG_HELLO_OK ? 0 : refuse(error, ret_error);
}
