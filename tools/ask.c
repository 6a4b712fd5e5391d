/* A request or a connection, put together from the words of a command line, of a file of requests or of the control socket.
 *
 * Called by explain, diff, request and the control side; check, whose requests come from documents, writes its bytes here too. What the client sends
 * is judged by the ingress' own parser later, not here; but line ends inside a word are refused, since they would smuggle in a header
 * that nobody typed. */
#include "podglass/ask.h"

#include "podglass/packet.h"
#include "podglass/preface_decide.h"
#include "podglass/url.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static int wrong(struct pg_text *why, const char *text, const char *about)
{
    pg_text_puts(why, text);
    pg_text_puts(why, ": ");
    pg_text_add_escaped(why, about, strlen(about));
    return -EINVAL;
}

/* ---- the bytes ---- */

static bool has_field(const struct pg_ask_parts *p, const char *name)
{
    for (uint32_t i = 0; i < p->field_count; i++) {
        if (pg_slice_equal_nocase(p->fields[i].name, pg_slice_of(name))) {
            return true;
        }
    }
    return false;
}

static void put(struct pg_text *out, struct pg_slice s)
{
    pg_text_add(out, s.at, s.len);
}

void pg_ask_write(const struct pg_ask_parts *p, struct pg_text *out)
{
    pg_text_printf(out, "%s %s", p->method, p->target.len && p->target.at[0] == '/' ? "" : "/");
    put(out, p->target);
    pg_text_puts(out, " HTTP/1.1\r\n");
    if (!has_field(p, "Host")) {
        pg_text_puts(out, "Host: ");
        put(out, p->authority);
        pg_text_puts(out, "\r\n");
    }
    if (!has_field(p, "User-Agent")) {
        pg_text_puts(out, "User-Agent: podglass/" PODGLASS_VERSION "\r\n");
    }
    for (uint32_t i = 0; i < p->field_count; i++) {
        if (!p->fields[i].omit) {
            put(out, p->fields[i].name);
            pg_text_puts(out, ": ");
            put(out, p->fields[i].value);
            pg_text_puts(out, "\r\n");
        }
    }
    if (p->body.at && !has_field(p, "Content-Length") && !has_field(p, "Transfer-Encoding")) {
        pg_text_printf(out, "Content-Length: %zu\r\n", p->body.len);
    }
    pg_text_puts(out, "\r\n");
    if (p->body.at) {
        put(out, p->body);
    }
}

/* ---- words ---- */

static bool is_token(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c <= ' ' || c >= 0x7f || strchr("()<>@,;:\\\"/[]?={}", c)) {
            return false;
        }
    }
    return len > 0;
}

static int read_header(const char *line, struct pg_ask_field *ret, struct pg_text *why)
{
    size_t len = strcspn(line, ":");

    if (line[len] != ':' || !is_token(line, len)) {
        return wrong(why, "a header is written \"Name: value\"", line);
    }
    for (const char *c = line + len; *c; c++) {
        if (((unsigned char)*c < ' ' && *c != '\t') || *c == 0x7f) {
            return wrong(why, "a header's value has no control characters", line);
        }
    }
    const char *value = line + len + 1;
    value += strspn(value, " \t");
    *ret = (struct pg_ask_field){{line, len}, pg_slice_of(value), *value == 0};
    return 0;
}

static int write_request(const struct pg_ask *ask, const struct pg_url *url, struct pg_asked *a,
                         struct pg_text *why)
{
    struct pg_ask_field fields[PG_ASK_HEADERS];
    struct pg_ask_parts parts = {.method = ask->method    ? ask->method
                                           : ask->body.at ? "POST"
                                                          : "GET",
                                 .authority = url->authority,
                                 .target = url->target,
                                 .fields = fields,
                                 .field_count = ask->header_count,
                                 .body = ask->body};

    if (ask->header_count > PG_ASK_HEADERS) {
        pg_text_printf(why, "more than %d headers", PG_ASK_HEADERS);
        return -EINVAL;
    }
    if (!is_token(parts.method, strlen(parts.method))) {
        return wrong(why, "not a method", parts.method);
    }
    for (uint32_t i = 0; i < ask->header_count; i++) {
        int error = read_header(ask->headers[i], &fields[i], why);
        if (error) {
            return error;
        }
    }
    pg_ask_write(&parts, &a->bytes);
    a->is_head = strcmp(parts.method, "HEAD") == 0;
    pg_text_printf(&a->title, "%s %s", parts.method, strstr(ask->url, "://") ? "" : "http://");
    pg_text_add_escaped(&a->title, ask->url, strlen(ask->url));
    return 0;
}

/* ---- who is asked ---- */

static int find_host(const struct pg_snapshot *s, const struct pg_zone *zone, struct pg_slice host,
                     bool known_only, struct pg_asked *a, struct pg_text *why)
{
    bool v6 = !pg_addr_is_v4(&a->from.addr);
    enum pg_dns_status status =
        pg_end_resolve(s, zone, host, &a->from, &a->to, &a->to_reason, &a->walk);

    a->to_known = status == PG_DNS_OK;
    if (!a->to_known && !known_only) {
        a->to = pg_end_of_ingress(s, v6);
    }
    if (pg_addr_is_none(&a->to)) {
        pg_text_puts(why, "the cluster's DNS has no address of that name: ");
        pg_text_add_escaped(why, host.at, host.len);
        return -EINVAL;
    }
    if (pg_addr_is_v4(&a->to) == v6) {
        pg_text_puts(why, "the one who asks and the one who is asked are of different address "
                          "families (say --from with the other one)");
        return -EINVAL;
    }
    return 0;
}

/* ---- the preface ---- */

#define PREFACE_PORT 40000 /* of a client that is named without one */

static int write_preface(const struct pg_ask *ask, struct pg_asked *a, struct pg_text *why)
{
    struct pg_preface_out p = {.version = strcmp(ask->proxy, "v1") == 0 ? 1 : 2,
                               .src = a->from.addr,
                               .src_port = PREFACE_PORT,
                               .dst = a->to,
                               .dst_port = a->to_port};
    struct pg_slice host = pg_slice_of(ask->proxy_from ? ask->proxy_from : "");
    struct pg_slice named;
    uint16_t port = 0;
    uint8_t bytes[PG_PREFACE_OUT_MAX];
    char text[PG_ENDPOINT_TEXT];

    if (a->tls) {
        pg_text_puts(why, "a PROXY preface can not be sent with https");
        return -EINVAL;
    }
    if (ask->proxy_from && pg_addr_parse(host.at, host.len, &p.src) != 0) {
        if (!pg_url_split_port(host, &named, &port) || port == 0 ||
            pg_addr_parse(named.at, named.len, &p.src) != 0) {
            return wrong(why,
                         "the client of a PROXY preface is an address, or one with a port, not",
                         ask->proxy_from);
        }
        p.src_port = port;
    }
    a->client = p.src;
    pg_text_printf(&a->title, " behind PROXY %s of %s", ask->proxy,
                   pg_endpoint_print(&p.src, p.src_port, text));
    pg_text_add(&a->preface, (const char *)bytes, pg_preface_write(&p, bytes));
    pg_text_add(&a->sent, a->preface.at, a->preface.len);
    pg_text_add(&a->sent, a->bytes.at, a->bytes.len);
    return 0;
}

static int ask_url(const struct pg_ask *ask, const struct pg_snapshot *s,
                   const struct pg_zone *zone, struct pg_asked *a, struct pg_text *why)
{
    struct pg_url url;
    const char *fault = pg_url_read(ask->url, &url);

    if (fault) {
        return wrong(why, fault, ask->url);
    }
    a->proto = PG_PROTO_TCP;
    a->to_port = url.port;
    a->tls = url.tls;
    pg_url_server_name(url.host, a->server_name);
    int error = write_request(ask, &url, a, why);

    error = error ? error : find_host(s, zone, url.host, ask->known_only, a, why);
    return error || !ask->proxy ? error : write_preface(ask, a, why);
}

/* HOST:PORT, HOST:PORT/udp, node:NAME:PORT */
static int ask_to(const struct pg_ask *ask, const struct pg_snapshot *s, const struct pg_zone *zone,
                  struct pg_asked *a, struct pg_text *why)
{
    struct pg_slice text = pg_slice_of(ask->to);
    struct pg_slice host;
    struct pg_text name = {0};
    struct pg_end_of end;
    const char *slash = memrchr(text.at, '/', text.len);

    a->proto = slash && strcmp(slash, "/udp") == 0 ? PG_PROTO_UDP : PG_PROTO_TCP;
    if (slash && (strcmp(slash, "/udp") == 0 || strcmp(slash, "/tcp") == 0)) {
        text.len = (size_t)(slash - text.at);
    }
    bool node = text.len > 5 && memcmp(text.at, "node:", 5) == 0;
    if (node) {
        text = (struct pg_slice){text.at + 5, text.len - 5};
    }
    if (!pg_url_split_port(text, &host, &a->to_port) || a->to_port == 0 || host.len == 0) {
        return wrong(why, "--to takes HOST:PORT, HOST:PORT/udp or node:NAME:PORT, not", ask->to);
    }
    pg_text_printf(&a->title, "%s ", pg_proto_name(a->proto));
    pg_text_add_escaped(&a->title, text.at, text.len);
    if (!node) {
        return find_host(s, zone, host, true, a, why);
    }
    pg_text_puts(&name, "node:");
    pg_text_add(&name, host.at, host.len);
    int error = pg_end_from(s, name.at, &end, why);
    pg_text_free(&name);
    a->to = error ? (struct pg_addr){0} : end.addr;
    a->to_known = true;
    return error;
}

int pg_ask_read(const struct pg_ask *ask, const struct pg_snapshot *s, const struct pg_zone *zone,
                struct pg_asked *ret, struct pg_text *why)
{
    *ret = (struct pg_asked){0};
    int error = pg_end_from(s, ask->from, &ret->from, why);

    ret->client = ret->from.addr;
    if (error == 0 && ask->proxy_from && !ask->proxy) {
        pg_text_puts(why, "whom a PROXY preface names, without a preface");
        error = -EINVAL;
    }
    if (error == 0 && ask->proxy && !ask->url) {
        pg_text_puts(why, "a PROXY preface goes with an URL");
        error = -EINVAL;
    }
    if (error == 0) {
        error = ask->url ? ask_url(ask, s, zone, ret, why) : ask_to(ask, s, zone, ret, why);
    }
    if (error) {
        pg_asked_free(ret);
    }
    return error;
}

void pg_asked_free(struct pg_asked *a)
{
    pg_text_free(&a->preface);
    pg_text_free(&a->sent);
    pg_text_free(&a->bytes);
    pg_text_free(&a->title);
}
