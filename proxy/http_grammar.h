/* Grammar that several files of proxy/ need: classes of bytes, field names, hosts and paths.
 *
 * All pure functions over slices; nothing here allocates or keeps anything. */
#ifndef PODGLASS_PROXY_HTTP_GRAMMAR_H
#define PODGLASS_PROXY_HTTP_GRAMMAR_H

#include "podglass/http.h"

#define PG_HTTP_TCHAR      0x01 /* RFC 9110 5.6.2 */
#define PG_HTTP_TARGET     0x02 /* 0x21-0x7E without '#' */
#define PG_HTTP_VALUE      0x04 /* HTAB, SP, VCHAR, obs-text */
#define PG_HTTP_UNRESERVED 0x08 /* RFC 3986 2.3 */
#define PG_HTTP_HOST       0x10 /* of a reg-name, '%' apart; no comma, which would make a list */
#define PG_HTTP_HEX        0x20
extern const uint8_t pg_http_class[256];

static inline bool pg_http_is(char c, uint8_t classes)
{
    return (pg_http_class[(uint8_t)c] & classes) != 0;
}

/* 0..15 of a hex digit. */
static inline unsigned pg_http_hex(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
}

static inline bool pg_http_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Without blanks at both ends. */
struct pg_slice pg_http_trim(struct pg_slice s);
/* Next element of a comma list, trimmed, cut off the front of *rest. false: none left. Empty elements are skipped. */
bool pg_http_next_element(struct pg_slice *rest, struct pg_slice *ret);
/* The same from the back of *rest. */
bool pg_http_last_element(struct pg_slice *rest, struct pg_slice *ret);

/* Which of the fields that podglass acts on; names with '_' for '-' of the managed set are PG_HTTP_NAME_IDENTITY. */
enum pg_http_name pg_http_name_of(struct pg_slice name);

/* uri-host [":" port] with port 1..65535; no userinfo, comma, blank. */
bool pg_http_host_valid(struct pg_slice host);
/* Without its port. */
struct pg_slice pg_http_host_name(struct pg_slice host);

/* Every '%' has two hex digits and none is %00. path without query. */
bool pg_http_path_valid(struct pg_slice path);
/* false: normalising would change nothing. */
bool pg_http_path_is_odd(struct pg_slice path);
/* RFC 3986 6.2.2, and what servers do beyond it: escaped unreserved bytes decoded, runs of '/' merged unless they are kept, dot segments removed. The query,
 * if any, is copied as it is. out has room for path.len bytes at least; returns the length. */
uint32_t pg_http_path_normalise(struct pg_slice path, bool keep_slashes, char *out);

/* The value of a cookie in the value of a Cookie line (RFC 6265 4.2), quotes included; at NULL: it is not there. */
struct pg_slice pg_http_cookie(struct pg_slice line, struct pg_slice name);

#endif
