/* A request or a connection, put together from the words of a command line or of a file of requests.
 *
 * Called by explain and diff. What the client sends is written as bytes and read by the ingress' own parser later: nothing here judges it, but
 * line ends inside a word are refused, since they would smuggle in a header that nobody typed. */
#include "dry_tool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "podglass/addr.h"

struct url {
    struct pg_slice host; /* with its brackets */
    struct pg_slice authority;
    struct pg_slice path;
    uint16_t port;
};

static bool has_bad_byte(const char *text, bool blanks)
{
    for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
        if (*c < 0x20 || *c == 0x7f || (!blanks && *c == ' ')) {
            return true;
        }
    }
    return false;
}

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

/* "host", "host:port", "[v6]:port". false: the port is none. */
static bool split_port(struct pg_slice text, struct pg_slice *ret_host, uint16_t *port)
{
    const char *colon = memrchr(text.at, ':', text.len);
    const char *bracket = memrchr(text.at, ']', text.len);

    *ret_host = text;
    if (!colon || (bracket && bracket > colon) ||
        (!bracket && memchr(text.at, ':', (size_t)(colon - text.at)))) {
        return true; /* none; or IPv6 without brackets */
    }
    ret_host->len = (size_t)(colon - text.at);
    return read_port((struct pg_slice){colon + 1, text.len - ret_host->len - 1}, port);
}

static int read_url(const char *text, struct url *ret, struct pg_text *why)
{
    const char *at = strstr(text, "://");

    if (at && strncasecmp(text, "http://", 7) != 0) {
        pg_text_printf(why, "%s: only http:// for now; TLS is not ended by the ingress yet", text);
        return -EINVAL;
    }
    at = at ? at + 3 : text;
    size_t len = strcspn(at, "/?#");

    ret->authority = (struct pg_slice){at, len};
    ret->port = 80;
    ret->path = (struct pg_slice){at + len, strcspn(at + len, "#")};
    if (memchr(at, '@', len) || !split_port(ret->authority, &ret->host, &ret->port) ||
        ret->host.len == 0) {
        pg_text_printf(why, "%s: expected http://HOST[:PORT][/PATH]", text);
        return -EINVAL;
    }
    return 0;
}

static bool names_header(const char *header, const char *name)
{
    size_t len = strlen(name);

    return strncasecmp(header, name, len) == 0 && header[len] == ':';
}

static int write_head(const struct pg_dry_ask_words *w, const struct url *u, struct pg_text *out,
                      struct pg_text *why)
{
    bool host = false;

    pg_text_printf(out, "%s %s%.*s HTTP/1.1\r\n", w->method ? w->method : "GET",
                   u->path.len && u->path.at[0] == '/' ? "" : "/", (int)u->path.len, u->path.at);
    for (uint32_t i = 0; i < w->header_count; i++) {
        host = host || names_header(w->headers[i], "Host");
    }
    if (!host) {
        pg_text_printf(out, "Host: %.*s\r\n", (int)u->authority.len, u->authority.at);
    }
    for (uint32_t i = 0; i < w->header_count; i++) {
        if (!strchr(w->headers[i], ':') || has_bad_byte(w->headers[i], true)) {
            pg_text_printf(why, "-H takes NAME: VALUE, not \"%s\"", w->headers[i]);
            return -EINVAL;
        }
        pg_text_printf(out, "%s\r\n", w->headers[i]);
    }
    pg_text_puts(out, "\r\n");
    return 0;
}

static int ask_url(const struct pg_dry *d, const struct pg_dry_ask_words *w, struct pg_dry_ask *a,
                   struct pg_text *why)
{
    struct url u;

    if (has_bad_byte(w->url, false) || (w->method && has_bad_byte(w->method, false))) {
        pg_text_puts(why, "a URL and a method hold neither blanks nor control bytes");
        return -EINVAL;
    }
    int error = read_url(w->url, &u, why);

    error = error ? error : write_head(w, &u, &a->head, why);
    if (error) {
        return error;
    }
    a->request.proto = PG_PROTO_TCP;
    a->request.to_port = u.port;
    a->request.head = (struct pg_slice){a->head.at, a->head.len};
    pg_text_puts(&a->title, w->method ? "" : "GET ");
    if (w->method) {
        pg_text_add_escaped(&a->title, w->method, strlen(w->method));
        pg_text_putc(&a->title, ' ');
    }
    pg_text_puts(&a->title, strstr(w->url, "://") ? "" : "http://");
    pg_text_add_escaped(&a->title, w->url, strlen(w->url));
    return pg_end_resolve(d, u.host, &a->from, &a->request.to, &a->to_reason, &a->to_known, why);
}

/* HOST:PORT, HOST:PORT/udp, node:NAME:PORT */
static int ask_to(const struct pg_dry *d, const struct pg_dry_ask_words *w, struct pg_dry_ask *a,
                  struct pg_text *why)
{
    struct pg_slice text = pg_slice_of(w->to);
    struct pg_slice host;
    const char *slash = memrchr(text.at, '/', text.len);

    a->request.proto = PG_PROTO_TCP;
    if (slash && strcmp(slash, "/udp") == 0) {
        a->request.proto = PG_PROTO_UDP;
    }
    if (slash && (strcmp(slash, "/udp") == 0 || strcmp(slash, "/tcp") == 0)) {
        text.len = (size_t)(slash - text.at);
    }
    bool node = text.len > 5 && memcmp(text.at, "node:", 5) == 0;
    if (node) {
        text = (struct pg_slice){text.at + 5, text.len - 5};
    }
    if (!split_port(text, &host, &a->request.to_port) || a->request.to_port == 0 || host.len == 0) {
        pg_text_printf(why, "--to takes HOST:PORT, HOST:PORT/udp or node:NAME:PORT, not \"%s\"",
                       w->to);
        return -EINVAL;
    }
    pg_text_printf(&a->title, "%s ", pg_proto_name(a->request.proto));
    pg_text_add_escaped(&a->title, text.at, text.len);
    if (!node) {
        int error =
            pg_end_resolve(d, host, &a->from, &a->request.to, &a->to_reason, &a->to_known, why);
        if (error == 0 && !a->to_known) {
            pg_text_printf(why, "%.*s: the cluster's DNS has no address of that name",
                           (int)host.len, host.at);
            error = -EINVAL;
        }
        return error;
    }
    struct pg_end_of end;
    struct pg_text name = {0};
    pg_text_puts(&name, "node:");
    pg_text_add(&name, host.at, host.len);
    int error = pg_end_from(pg_dry_snapshot(d), name.at, &end, why);
    pg_text_free(&name);
    a->request.to = error ? (struct pg_addr){0} : end.addr;
    a->to_known = true;
    return error;
}

int pg_dry_ask_read(const struct pg_dry *d, const struct pg_dry_ask_words *w,
                    struct pg_dry_ask *ret, struct pg_text *why)
{
    *ret = (struct pg_dry_ask){0};
    int error = pg_end_from(pg_dry_snapshot(d), w->from, &ret->from, why);

    if (error == 0) {
        ret->request.from = ret->from.addr;
        ret->request.wire = ret->from.wire;
        error = w->url ? ask_url(d, w, ret, why) : ask_to(d, w, ret, why);
    }
    if (error == 0 && pg_addr_is_v4(&ret->request.from) != pg_addr_is_v4(&ret->request.to)) {
        pg_text_puts(why, "the one who asks and the one who is asked are of different address "
                          "families (say --from with the other one)");
        error = -EINVAL;
    }
    if (error) {
        pg_dry_ask_free(ret);
    }
    return error;
}

void pg_dry_ask_free(struct pg_dry_ask *a)
{
    pg_text_free(&a->head);
    pg_text_free(&a->title);
}
