/* Bytes, names, hosts and paths of HTTP/1.1: what is a token, which field is which, what a host may look like.
 *
 * Called by `http_parse.c` for every message and by `client_addr.c`, `route.c`, `http_rewrite.c` for the fields they act on. The tables are
 * the grammar of RFC 9110 and RFC 3986 with the strict choice wherever they leave one.
 *
 * Owns nothing. Always true: nothing is read outside the slice given. */
#include "http_grammar.h"

#include "podglass/addr.h"

#include <string.h>

const uint8_t pg_http_class[256] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x04, 0x17, 0x06, 0x05, 0x17, 0x07, 0x17, 0x17, 0x16, 0x16, 0x17, 0x17, 0x06, 0x1f, 0x1f, 0x06,
    0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x06, 0x16, 0x06, 0x16, 0x06, 0x06,
    0x06, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f,
    0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x06, 0x06, 0x06, 0x07, 0x1f,
    0x07, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f,
    0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x1f, 0x06, 0x07, 0x06, 0x1f, 0x00,
    0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04,
    0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04,
    0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04,
    0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04,
    0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04,
    0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04,
    0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04,
    0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04, 0x04,
};

struct pg_slice pg_http_trim(struct pg_slice s)
{
    while (s.len > 0 && pg_http_blank(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && pg_http_blank(s.at[s.len - 1]))
        s.len--;
    return s;
}

bool pg_http_next_element(struct pg_slice *rest, struct pg_slice *ret)
{
    while (rest->len > 0) {
        const char *comma = memchr(rest->at, ',', rest->len);
        size_t len = comma ? (size_t)(comma - rest->at) : rest->len;
        struct pg_slice element = pg_http_trim((struct pg_slice){rest->at, len});
        size_t used = comma ? len + 1 : len;
        rest->at += used;
        rest->len -= used;
        if (element.len > 0) {
            *ret = element;
            return true;
        }
    }
    return false;
}

bool pg_http_last_element(struct pg_slice *rest, struct pg_slice *ret)
{
    while (rest->len > 0) {
        const char *comma = memrchr(rest->at, ',', rest->len);
        size_t begin = comma ? (size_t)(comma - rest->at) + 1 : 0;
        struct pg_slice element =
            pg_http_trim((struct pg_slice){rest->at + begin, rest->len - begin});
        rest->len = comma ? begin - 1 : 0;
        if (element.len > 0) {
            *ret = element;
            return true;
        }
    }
    return false;
}

/* ---- field names ---- */

struct known_name {
    const char *text; /* lower case */
    enum pg_http_name id;
    bool twins; /* '_' equals '-', because a CGI reader takes them for the same */
};

/* By length, so that a name is compared with two or three others at most. Each group ends with NULL. */
#define NAME_LENGTHS     26
#define NAMES_PER_LENGTH 5
static const struct known_name names[NAME_LENGTHS][NAMES_PER_LENGTH] = {
    [2] = {{"te", PG_HTTP_NAME_TE, false}},
    [3] = {{"via", PG_HTTP_NAME_VIA, false}},
    [4] = {{"host", PG_HTTP_NAME_HOST, false}},
    [5] = {{"proxy", PG_HTTP_NAME_IDENTITY, true}},
    [6] = {{"expect", PG_HTTP_NAME_EXPECT, false}},
    [7] = {{"upgrade", PG_HTTP_NAME_UPGRADE, false}, {"trailer", PG_HTTP_NAME_TRAILER, false}},
    [8] = {{"x-scheme", PG_HTTP_NAME_IDENTITY, true}},
    [9] = {{"x-real-ip", PG_HTTP_NAME_X_REAL_IP, true}, {"forwarded", PG_HTTP_NAME_IDENTITY, true}},
    [10] = {{"connection", PG_HTTP_NAME_CONNECTION, false},
            {"keep-alive", PG_HTTP_NAME_KEEP_ALIVE, false}},
    [12] = {{"x-request-id", PG_HTTP_NAME_X_REQUEST_ID, false}},
    [14] = {{"content-length", PG_HTTP_NAME_CONTENT_LENGTH, true}},
    [15] = {{"x-forwarded-for", PG_HTTP_NAME_X_FORWARDED_FOR, true}},
    [16] = {{"proxy-connection", PG_HTTP_NAME_PROXY_CONNECTION, false},
            {"x-forwarded-host", PG_HTTP_NAME_IDENTITY, true},
            {"x-forwarded-port", PG_HTTP_NAME_IDENTITY, true}},
    [17] = {{"transfer-encoding", PG_HTTP_NAME_TRANSFER_ENCODING, true},
            {"x-forwarded-proto", PG_HTTP_NAME_IDENTITY, true}},
    [18] = {{"proxy-authenticate", PG_HTTP_NAME_PROXY_AUTHENTICATE, false},
            {"x-forwarded-scheme", PG_HTTP_NAME_IDENTITY, true},
            {"x-forwarded-server", PG_HTTP_NAME_IDENTITY, true},
            {"x-forwarded-prefix", PG_HTTP_NAME_IDENTITY, true}},
    [19] = {{"proxy-authorization", PG_HTTP_NAME_PROXY_AUTHORIZATION, false}},
    [24] = {{"x-original-forwarded-for", PG_HTTP_NAME_IDENTITY, true}},
    [25] = {{"x-original-forwarded-host", PG_HTTP_NAME_IDENTITY, true}},
};

/* PG_HTTP_NAME_OTHER when it is not that one. */
static enum pg_http_name match_name(const struct known_name *known, struct pg_slice name)
{
    bool twin = false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c | 0x20);
        if (c == '_' && known->twins) {
            twin = true;
            c = '-';
        }
        if (c != known->text[i])
            return PG_HTTP_NAME_OTHER;
    }
    if (!twin)
        return known->id;
    bool framing =
        known->id == PG_HTTP_NAME_CONTENT_LENGTH || known->id == PG_HTTP_NAME_TRANSFER_ENCODING;
    return framing ? PG_HTTP_NAME_FRAMING_TWIN : PG_HTTP_NAME_IDENTITY;
}

enum pg_http_name pg_http_name_of(struct pg_slice name)
{
    if (name.len >= NAME_LENGTHS)
        return PG_HTTP_NAME_OTHER;
    for (unsigned i = 0; i < NAMES_PER_LENGTH && names[name.len][i].text; i++) {
        const struct known_name *known = &names[name.len][i];
        if ((name.at[0] | 0x20) != known->text[0])
            continue;
        enum pg_http_name id = match_name(known, name);
        if (id != PG_HTTP_NAME_OTHER)
            return id;
    }
    return PG_HTTP_NAME_OTHER;
}

/* ---- hosts ---- */

static bool port_valid(struct pg_slice port)
{
    unsigned n = 0;
    if (port.len == 0 || port.len > 5)
        return false;
    for (size_t i = 0; i < port.len; i++) {
        if (port.at[i] < '0' || port.at[i] > '9')
            return false;
        n = n * 10 + (unsigned)(port.at[i] - '0');
    }
    return n >= 1 && n <= 65535;
}

static bool reg_name_valid(struct pg_slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (pg_http_is(name.at[i], PG_HTTP_HOST))
            continue;
        if (name.at[i] != '%' || name.len - i < 3 || !pg_http_is(name.at[i + 1], PG_HTTP_HEX) ||
            !pg_http_is(name.at[i + 2], PG_HTTP_HEX))
            return false;
        i += 2;
    }
    return name.len > 0;
}

struct pg_slice pg_http_host_name(struct pg_slice host)
{
    if (host.len > 0 && host.at[0] == '[') {
        const char *close = memchr(host.at, ']', host.len);
        return close ? (struct pg_slice){host.at, (size_t)(close - host.at) + 1} : host;
    }
    const char *colon = memchr(host.at, ':', host.len);
    return colon ? (struct pg_slice){host.at, (size_t)(colon - host.at)} : host;
}

bool pg_http_host_valid(struct pg_slice host)
{
    if (host.len == 0)
        return false;
    struct pg_slice name = pg_http_host_name(host);
    if (name.len < host.len) {
        struct pg_slice port = {host.at + name.len + 1, host.len - name.len - 1};
        if (host.at[name.len] != ':' || !port_valid(port))
            return false;
    }
    if (name.len == 0 || name.at[0] != '[')
        return reg_name_valid(name);
    struct pg_addr unused;
    struct pg_slice inner = {name.at + 1, name.len - 2};
    return name.len > 2 && name.at[name.len - 1] == ']' && memchr(inner.at, ':', inner.len) &&
           pg_addr_parse(inner.at, inner.len, &unused) == 0;
}

/* ---- paths ---- */

bool pg_http_path_valid(struct pg_slice path)
{
    const char *end = path.at + path.len;
    const char *at = path.at;
    while ((at = memchr(at, '%', (size_t)(end - at)))) {
        if (end - at < 3 || !pg_http_is(at[1], PG_HTTP_HEX) || !pg_http_is(at[2], PG_HTTP_HEX))
            return false;
        if (at[1] == '0' && at[2] == '0')
            return false;
        at += 3;
    }
    return true;
}

static struct pg_slice without_query(struct pg_slice path)
{
    const char *query = memchr(path.at, '?', path.len);
    return query ? (struct pg_slice){path.at, (size_t)(query - path.at)} : path;
}

bool pg_http_path_is_odd(struct pg_slice path)
{
    path = without_query(path);
    return path.len > 0 && (memchr(path.at, '%', path.len) || memmem(path.at, path.len, "/.", 2) ||
                            memmem(path.at, path.len, "//", 2));
}

static uint32_t decode_unreserved(struct pg_slice path, char *out)
{
    uint32_t len = 0;
    for (size_t i = 0; i < path.len; i++) {
        char c = path.at[i];
        if (c == '%' && path.len - i >= 3) {
            char decoded = (char)(pg_http_hex(path.at[i + 1]) << 4 | pg_http_hex(path.at[i + 2]));
            if (pg_http_is(decoded, PG_HTTP_UNRESERVED)) {
                c = decoded;
                i += 2;
            }
        }
        out[len++] = c;
    }
    return len;
}

/* Before dots, as a file system and nginx do it: "/a//../b" is "/b". */
static uint32_t merge_slashes(char *path, uint32_t len)
{
    uint32_t to = 0;
    for (uint32_t i = 0; i < len; i++) {
        if (path[i] != '/' || to == 0 || path[to - 1] != '/')
            path[to++] = path[i];
    }
    return to;
}

/* RFC 3986 5.2.4 in place, for a path that begins with '/': each segment is "/" and what follows it. */
static uint32_t remove_dot_segments(char *path, uint32_t len)
{
    uint32_t from = 0, to = 0;
    while (from < len) {
        const char *slash = from + 1 < len ? memchr(path + from + 1, '/', len - from - 1) : NULL;
        uint32_t end = slash ? (uint32_t)(slash - path) : len;
        uint32_t segment = end - from - 1;
        bool one_dot = segment == 1 && path[from + 1] == '.';
        bool two_dots = segment == 2 && path[from + 1] == '.' && path[from + 2] == '.';
        if (two_dots) {
            while (to > 0 && path[--to] != '/')
                ;
        } else if (!one_dot) {
            memmove(path + to, path + from, end - from);
            to += end - from;
        }
        if ((one_dot || two_dots) && end == len)
            path[to++] = '/'; /* "/a/.." is "/" and not "" */
        from = end;
    }
    return to;
}

uint32_t pg_http_path_normalise(struct pg_slice path, bool keep_slashes, char *out)
{
    struct pg_slice plain = without_query(path);
    uint32_t len = decode_unreserved(plain, out);
    if (len > 0 && out[0] == '/')
        len = remove_dot_segments(out, keep_slashes ? len : merge_slashes(out, len));
    memcpy(out + len, plain.at + plain.len, path.len - plain.len);
    return len + (uint32_t)(path.len - plain.len);
}

struct pg_slice pg_http_cookie(struct pg_slice line, struct pg_slice name)
{
    size_t at = 0;
    while (at < line.len) {
        const char *end = memchr(line.at + at, ';', line.len - at);
        size_t stop = end ? (size_t)(end - line.at) : line.len;
        while (at < stop && (line.at[at] == ' ' || line.at[at] == '\t'))
            at++;
        if (stop - at > name.len && line.at[at + name.len] == '=' &&
            memcmp(line.at + at, name.at, name.len) == 0) {
            at += name.len + 1;
            while (stop > at && (line.at[stop - 1] == ' ' || line.at[stop - 1] == '\t'))
                stop--;
            return (struct pg_slice){line.at + at, stop - at};
        }
        at = stop + 1;
    }
    return (struct pg_slice){NULL, 0};
}
