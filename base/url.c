/* Takes a URL apart: for the verbs that are given one, and for documents of kind Check.
 *
 * Strict about what would end up in a request: no blanks, no control bytes, no fragment, no user name. Whether the host is a name that means
 * something is asked later, of the cluster's DNS. */
#include "podglass/url.h"

#include "podglass/addr.h"

#include <string.h>
#include <strings.h>

#define HOST_MOST 253

static bool read_port(struct pg_slice text, uint16_t *ret)
{
    uint32_t n = 0;

    for (size_t i = 0; i < text.len && i < 6; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
        n = n * 10 + (uint32_t)(text.at[i] - '0');
    }
    *ret = (uint16_t)n;
    return text.len > 0 && text.len < 6 && n > 0 && n < 65536;
}

static struct pg_slice without_brackets(struct pg_slice host)
{
    bool has = host.len > 1 && host.at[0] == '[' && host.at[host.len - 1] == ']';

    return has ? (struct pg_slice){host.at + 1, host.len - 2} : host;
}

bool pg_url_split_port(struct pg_slice text, struct pg_slice *ret_host, uint16_t *port)
{
    const char *colon = text.len ? memrchr(text.at, ':', text.len) : NULL;
    const char *bracket = text.len ? memrchr(text.at, ']', text.len) : NULL;

    *ret_host = without_brackets(text);
    if (!colon || (bracket && bracket > colon) ||
        (!bracket && memchr(text.at, ':', (size_t)(colon - text.at)))) {
        return true; /* none; or IPv6 without brackets */
    }
    size_t len = (size_t)(colon - text.at);
    *ret_host = without_brackets((struct pg_slice){text.at, len});
    return read_port((struct pg_slice){colon + 1, text.len - len - 1}, port);
}

static bool is_host(struct pg_slice authority, struct pg_slice host)
{
    bool brackets = authority.at[0] == '[';
    struct pg_addr a;

    if (pg_addr_parse(host.at, host.len, &a) == 0) {
        return brackets == !pg_addr_is_v4(&a);
    }
    for (size_t i = 0; i < host.len; i++) {
        char c = host.at[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && c != '-' && c != '.' && c != '_') {
            return false;
        }
    }
    return !brackets && host.len > 0 && host.len <= HOST_MOST;
}

const char *pg_url_read(const char *text, struct pg_url *ret)
{
    const char *scheme = strstr(text, "://");
    const char *at = text;

    if (strlen(text) > PG_URL_MOST) {
        return "a URL has at most 8000 bytes";
    }
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c <= ' ' || *c == 0x7f || *c == '#') {
            return "a URL has no blanks, control characters or fragment";
        }
    }
    bool tls = strncasecmp(text, "https://", 8) == 0;
    if (tls || strncasecmp(text, "http://", 7) == 0) {
        at = text + (tls ? 8 : 7);
    } else if (scheme && scheme < text + strcspn(text, "/?")) {
        return "expected http[s]://HOST[:PORT][/PATH]";
    }
    size_t len = strcspn(at, "/?");

    *ret = (struct pg_url){.authority = {at, len},
                           .target = pg_slice_of(at + len),
                           .port = tls ? 443 : 80,
                           .tls = tls};
    if (!pg_url_split_port(ret->authority, &ret->host, &ret->port)) {
        return "not a port";
    }
    return is_host(ret->authority, ret->host) ? NULL : "neither a host name nor an address";
}

void pg_url_server_name(struct pg_slice host, char out[PG_SERVER_NAME])
{
    struct pg_addr a;
    size_t len = host.len < PG_SERVER_NAME ? host.len : PG_SERVER_NAME - 1;

    if (pg_addr_parse(host.at, host.len, &a) == 0) {
        len = 0;
    }
    for (size_t i = 0; i < len; i++) {
        char c = host.at[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    out[len] = 0;
}
