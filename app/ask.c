/* From a URL and a sender to the bytes of a request and the address it goes to.
 *
 * The host is looked up as a client of the lab would: the cluster's own DNS, with the search list of a pod behind it, so that both shop.example.test and
 * web.shop reach something. What the user wrote goes into the request as written, but nothing that would make two requests of it.
 *
 * Called by the verb request and by the control side. */
#include "podglass/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MOST 253

struct url {
    char host[NAME_MOST + 1];
    uint16_t port;
    const char *target; /* "/..." or "" */
    struct pg_slice authority;
};

static int wrong(struct pg_text *why, const char *text, const char *about)
{
    pg_text_puts(why, text);
    pg_text_puts(why, ": ");
    pg_text_add_escaped(why, about, strlen(about));
    return -EINVAL;
}

/* ---- the URL ---- */

static bool read_port(const char *text, size_t len, uint16_t *ret)
{
    unsigned n = 0;
    for (size_t i = 0; i < len && i < 6; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        n = n * 10 + (unsigned)(text[i] - '0');
    }
    *ret = (uint16_t)n;
    return len >= 1 && len <= 5 && n >= 1 && n <= 65535;
}

static int read_url(const char *text, struct url *ret, struct pg_text *why)
{
    const char *at = text;
    if (strncasecmp(at, "https://", 8) == 0) {
        return wrong(why, "TLS is not built yet; say http://", text);
    }
    at += strncasecmp(at, "http://", 7) == 0 ? 7 : 0;
    size_t len = strcspn(at, "/?#");
    ret->authority = (struct pg_slice){at, len};
    ret->target = at + len;
    ret->port = 80;
    for (const char *c = text; *c != 0; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7f || *c == '#') {
            return wrong(why, "a URL has no blanks, control characters or fragment", text);
        }
    }
    const char *host = at;
    size_t host_len;
    const char *port = NULL;
    if (len > 0 && at[0] == '[') {
        const char *end = memchr(at, ']', len);
        if (end == NULL) {
            return wrong(why, "a bracket is not closed", text);
        }
        host = at + 1;
        host_len = (size_t)(end - at) - 1;
        port = end + 1 < at + len ? end + 1 : NULL;
    } else {
        const char *colon = memchr(at, ':', len);
        host_len = colon != NULL ? (size_t)(colon - at) : len;
        port = colon;
    }
    if (port != NULL &&
        (*port != ':' || !read_port(port + 1, (size_t)(at + len - port) - 1, &ret->port))) {
        return wrong(why, "not a port", text);
    }
    if (host_len == 0 || host_len > NAME_MOST || memchr(host, '@', host_len) != NULL) {
        return wrong(why, "not a host", text);
    }
    memcpy(ret->host, host, host_len);
    ret->host[host_len] = 0;
    return 0;
}

/* ---- who and where ---- */

static int find_pod(const struct pg_snapshot *s, const char *name, struct pg_asked *a,
                    struct pg_text *why)
{
    for (uint32_t i = 0; i < s->pod_count; i++) {
        const struct pg_pod *p = &s->pods[i];
        size_t len = strlen(p->namespace);
        if (strncmp(name, p->namespace, len) == 0 && name[len] == '/' &&
            strcmp(name + len + 1, p->name) == 0) {
            a->request.from = pg_addr_is_none(&p->addr[0]) ? p->addr[1] : p->addr[0];
            pg_text_puts(&a->from_name, name);
            return 0;
        }
    }
    return wrong(why, "no such pod (podglass get endpoints has their names)", name);
}

static int find_sender(const char *from, const struct pg_snapshot *s, struct pg_asked *a,
                       struct pg_text *why)
{
    if (from != NULL && strncmp(from, "pod:", 4) == 0) {
        return find_pod(s, from + 4, a, why);
    }
    bool is_addr = from != NULL && pg_addr_parse(from, strlen(from), &a->request.from) == 0;
    for (uint32_t i = 0; i < s->client_count; i++) {
        const struct pg_client *c = &s->clients[i];
        if (from == NULL || strcmp(from, c->name) == 0 ||
            (is_addr && pg_addr_equal(&a->request.from, &c->addr))) {
            a->request.from = c->addr;
            pg_text_puts(&a->from_name, c->name);
            return 0;
        }
    }
    if (is_addr) {
        return 0;
    }
    return from == NULL
               ? wrong(why, "the lab has no client; say --from", "IP")
               : wrong(why, "--from: neither an address, a client of the lab nor pod:NS/NAME",
                       from);
}

static bool resolve(const struct pg_zone *zone, const char *name, bool v6, struct pg_addr *ret)
{
    uint32_t count = 0;
    pg_reason_id reason = 0;
    size_t len = strlen(name);
    return len <= NAME_MOST &&
           pg_dns_resolve(zone, name, len, v6, ret, 1, &count, &reason) == PG_DNS_OK && count != 0;
}

/* As a pod's resolv.conf with ndots:5 has it, the name as it is first. */
static int find_host(const char *host, const struct pg_snapshot *s, const struct pg_zone *zone,
                     struct pg_asked *a, struct pg_text *why)
{
    static const char *const tails[] = {"", ".default.svc.", ".svc.", "."};
    bool v6 = !pg_addr_is_v4(&a->request.from);
    if (pg_addr_parse(host, strlen(host), &a->request.to) == 0) {
        return pg_addr_is_v4(&a->request.to) == !v6
                   ? 0
                   : wrong(why, "sender and destination are of different families", host);
    }
    for (size_t i = 0; i < sizeof tails / sizeof tails[0]; i++) {
        char name[3 * NAME_MOST];
        size_t len = strlen(host);
        const char *domain = s->lab.cluster_domain;
        (void)snprintf(name, sizeof name, "%.*s%s%s", (int)(len - (host[len - 1] == '.')), host,
                       tails[i], i == 0 ? "" : domain);
        if (resolve(zone, name, v6, &a->request.to)) {
            return 0;
        }
    }
    return wrong(why, "the cluster's DNS has no address for", host);
}

/* ---- the bytes ---- */

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c) != NULL) {
            return false;
        }
    }
    return len > 0;
}

static int check_header(const char *line, struct pg_text *why)
{
    size_t len = strcspn(line, ":");
    if (line[len] != ':' || !is_token(line, len)) {
        return wrong(why, "a header is written \"Name: value\"", line);
    }
    for (const char *c = line + len; *c != 0; c++) {
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f) {
            return wrong(why, "a header's value has no control characters", line);
        }
    }
    return 0;
}

static bool has_header(const struct pg_ask *ask, const char *name)
{
    size_t len = strlen(name);
    for (uint32_t i = 0; i < ask->header_count; i++) {
        if (strncasecmp(ask->headers[i], name, len) == 0 && ask->headers[i][len] == ':') {
            return true;
        }
    }
    return false;
}

static int add_headers(const struct pg_ask *ask, struct pg_asked *a, struct pg_text *why)
{
    for (uint32_t i = 0; i < ask->header_count; i++) {
        const char *line = ask->headers[i];
        int error = check_header(line, why);
        if (error != 0) {
            return error;
        }
        const char *value = strchr(line, ':') + 1;
        value += strspn(value, " \t");
        if (*value == 0) {
            continue;
        }
        pg_text_printf(&a->bytes, "%s\r\n", line);
    }
    return 0;
}

static int write_bytes(const struct pg_ask *ask, const struct url *url, struct pg_asked *a,
                       struct pg_text *why)
{
    const char *method = ask->method != NULL ? ask->method : ask->has_body ? "POST" : "GET";
    if (!is_token(method, strlen(method))) {
        return wrong(why, "not a method", method);
    }
    pg_text_printf(&a->bytes, "%s %s%s HTTP/1.1\r\n", method, url->target[0] == '/' ? "" : "/",
                   url->target);
    if (!has_header(ask, "Host")) {
        pg_text_printf(&a->bytes, "Host: %.*s\r\n", (int)url->authority.len, url->authority.at);
    }
    if (!has_header(ask, "User-Agent")) {
        pg_text_puts(&a->bytes, "User-Agent: podglass/" PODGLASS_VERSION "\r\n");
    }
    int error = add_headers(ask, a, why);
    if (ask->has_body && !has_header(ask, "Content-Length") &&
        !has_header(ask, "Transfer-Encoding")) {
        pg_text_printf(&a->bytes, "Content-Length: %zu\r\n", ask->body.len);
    }
    pg_text_puts(&a->bytes, "\r\n");
    if (ask->has_body) {
        pg_text_add(&a->bytes, ask->body.at, ask->body.len);
    }
    a->request.bytes = a->bytes.at;
    a->request.len = (uint32_t)a->bytes.len;
    a->request.is_head = strcmp(method, "HEAD") == 0;
    return error;
}

int pg_ask_make(const struct pg_ask *ask, const struct pg_snapshot *s, const struct pg_zone *zone,
                struct pg_asked *ret, struct pg_text *ret_why)
{
    struct url url = {.port = 80};
    *ret = (struct pg_asked){.request = {.timeout_ms = ask->timeout_ms}};
    int error = read_url(ask->url, &url, ret_why);
    error = error == 0 ? find_sender(ask->from, s, ret, ret_why) : error;
    error = error == 0 ? find_host(url.host, s, zone, ret, ret_why) : error;
    error = error == 0 ? write_bytes(ask, &url, ret, ret_why) : error;
    ret->request.to_port = url.port;
    if (error != 0) {
        pg_asked_free(ret);
    }
    return error;
}

void pg_asked_free(struct pg_asked *a)
{
    pg_text_free(&a->bytes);
    pg_text_free(&a->from_name);
}
