/* What the ingress does to a request's head, step by step, without a connection. */
#include "bench.h"

#include "podglass/ingress_decide.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PLAIN \
    "GET /api/v1/items?id=42 HTTP/1.1\r\nHost: shop.example.test\r\nAccept: */*\r\n\r\n" /* 77 */

/* What a browser sends, more or less; 703 bytes. */
#define BROWSER                                                                              \
    "GET /catalog/items/summer?page=2&sort=price HTTP/1.1\r\n"                               \
    "Host: shop.example.test\r\n"                                                            \
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n" \
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8\r\n" \
    "Accept-Language: en-GB,en;q=0.7,de;q=0.3\r\n"                                           \
    "Accept-Encoding: gzip, deflate, br\r\n"                                                 \
    "Referer: http://shop.example.test/catalog/items/spring\r\n"                             \
    "Connection: keep-alive\r\n"                                                             \
    "Cookie: session=4f1c2d9ab07e4c5d8e6f; theme=dark; consent=yes; cart=17-2,22-1,98-4; "   \
    "seen=a1b2c3d4e5f60718293a4b5c6d7e8f90\r\n"                                              \
    "Upgrade-Insecure-Requests: 1\r\n"                                                       \
    "If-Modified-Since: Tue, 03 Jun 2025 09:12:44 GMT\r\n"                                   \
    "Cache-Control: max-age=0\r\n"                                                           \
    "X-Requested-With: fetch\r\n"

static const char response[] = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 03 Jun 2025 "
                               "09:12:44 GMT\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 3\r\nConnection: keep-alive\r\n\r\n";

static char browser[704];
static struct pg_http_head head;
static char out[2 * PG_HTTP_MAX_HEAD];

static void parse(enum pg_http_kind kind, const char *bytes, uint32_t len)
{
    struct pg_http_scan scan = {0};
    enum pg_http_error error;

    if (pg_http_parse(kind, &scan, bytes, len, &head, &error) != 0) {
        abort();
    }
}

static void parse_turns(enum pg_http_kind kind, const char *bytes, uint32_t len, uint64_t turns)
{
    bench_begin();
    for (uint64_t i = 0; i < turns; i++) {
        parse(kind, bytes, len);
        bench_sink += head.field_count;
    }
    bench_end();
}

static void parse_plain(uint64_t turns)
{
    parse_turns(PG_HTTP_REQUEST, PLAIN, sizeof PLAIN - 1, turns);
}

static void parse_browser(uint64_t turns)
{
    parse_turns(PG_HTTP_REQUEST, browser, 703, turns);
}

static void parse_response(uint64_t turns)
{
    parse_turns(PG_HTTP_RESPONSE, response, sizeof response - 1, turns);
}

/* ---- decisions ---- */

static struct pg_snapshot *load(void)
{
    static char text[65536];
    int len = snprintf(text, sizeof text,
                       "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: {name: lab}\n"
                       "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: "
                       "x}\nspec:\n  rules:\n");
    for (int i = 0; i < 100; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len,
                        "  - host: %s%d.example.test\n    http:\n      paths:\n"
                        "      - {path: /, pathType: Prefix, backend: {service: {name: w, port: "
                        "{number: 80}}}}\n"
                        "      - {path: /api/v1, pathType: Prefix, backend: {service: {name: w, "
                        "port: {number: 80}}}}\n",
                        i == 0 ? "shop" : "s", i);
    }
    struct pg_manifest_input input = {.path = "bench", .text = text, .text_len = (size_t)len};
    struct pg_load_options options = {0};
    struct pg_findings findings;
    struct pg_snapshot *s = NULL;
    if (pg_snapshot_load(&input, 1, &options, &s, &findings) != 0) {
        abort();
    }
    pg_findings_free(&findings);
    return s;
}

static void route(uint64_t turns)
{
    struct pg_snapshot *s = load();
    struct pg_hash_key key = {1, 2};
    struct pg_router *r = pg_router_new(s, &key);
    struct pg_route_match match = {0};

    bench_begin();
    for (uint64_t i = 0; i < turns; i++) {
        pg_route_match(r,
                       &(struct pg_route_facts){.host = PG_SLICE_LITERAL("s42.example.test"),
                                                .path = PG_SLICE_LITERAL("/api/v1/items?id=42")},
                       &match);
        bench_sink += match.reason;
    }
    bench_end();
    if (match.route == NULL) {
        abort();
    }
    pg_router_free(r);
    pg_snapshot_put(s);
}

static struct pg_prefix trusted = {.bits = 104};
static const struct pg_trust trust = {.trusted = &trusted, .trusted_count = 1};

static void identity(uint64_t turns)
{
    static const char bytes[] =
        "GET / HTTP/1.1\r\nHost: a.test\r\nX-Forwarded-For: 198.51.100.7, 10.0.0.9\r\n\r\n";
    struct pg_addr hop = pg_addr_v4(10, 0, 0, 1);
    struct pg_client_addr who;

    trusted.addr = pg_addr_v4(10, 0, 0, 0);
    parse(PG_HTTP_REQUEST, bytes, sizeof bytes - 1);
    bench_begin();
    for (uint64_t i = 0; i < turns; i++) {
        pg_client_addr_decide(&trust, &hop, &head, bytes, &who);
        bench_sink += who.walked;
    }
    bench_end();
}

/* ---- heads written ---- */

static void rewrite_turns(const char *bytes, uint32_t len, uint64_t turns)
{
    struct pg_addr hop = pg_addr_v4(198, 51, 100, 7);
    struct pg_client_addr who;
    struct pg_http_rewrite_in in = {.head = &head,
                                    .bytes = bytes,
                                    .who = &who,
                                    .local = pg_addr_v4(192, 0, 2, 1),
                                    .local_port = 80,
                                    .scheme = "http",
                                    .body = PG_HTTP_BODY_NONE};

    parse(PG_HTTP_REQUEST, bytes, len);
    pg_client_addr_decide(&trust, &hop, &head, bytes, &who);
    bench_begin();
    for (uint64_t i = 0; i < turns; i++) {
        bench_sink += (uint64_t)pg_http_rewrite(&in, out, sizeof out);
    }
    bench_end();
}

static void rewrite_plain(uint64_t turns)
{
    rewrite_turns(PLAIN, sizeof PLAIN - 1, turns);
}

static void rewrite_browser(uint64_t turns)
{
    rewrite_turns(browser, 703, turns);
}

/* All that a request's head costs the ingress: read, whose it is, where it goes, written anew. */
static void whole_turns(const char *bytes, uint32_t len, uint64_t turns)
{
    struct pg_snapshot *s = load();
    struct pg_hash_key key = {1, 2};
    struct pg_router *r = pg_router_new(s, &key);
    struct pg_identity id = pg_identity_of(s);
    struct pg_addr hop = pg_addr_v4(198, 51, 100, 7);
    struct pg_client_addr who;
    struct pg_http_rewrite_in in = {.identity = &id,
                                    .head = &head,
                                    .bytes = bytes,
                                    .who = &who,
                                    .local = pg_addr_v4(192, 0, 2, 1),
                                    .local_port = 80,
                                    .scheme = "http",
                                    .body = PG_HTTP_BODY_NONE,
                                    .request_id = "0123456789abcdef0123456789abcdef"};

    bench_begin();
    for (uint64_t i = 0; i < turns; i++) {
        struct pg_route_match match;
        parse(PG_HTTP_REQUEST, bytes, len);
        pg_client_addr_decide(&id.trust, &hop, &head, bytes, &who);
        struct pg_route_facts facts = pg_route_facts_of(&head, bytes, 80, false);
        pg_route_match(r, &facts, &match);
        bench_sink += match.reason + (uint64_t)pg_http_rewrite(&in, out, sizeof out);
    }
    bench_end();
    pg_router_free(r);
    pg_snapshot_put(s);
}

static void whole_plain(uint64_t turns)
{
    whole_turns(PLAIN, sizeof PLAIN - 1, turns);
}

static void whole_browser(uint64_t turns)
{
    whole_turns(browser, 703, turns);
}

static void rewrite_response(uint64_t turns)
{
    parse(PG_HTTP_RESPONSE, response, sizeof response - 1);
    bench_begin();
    for (uint64_t i = 0; i < turns; i++) {
        bench_sink += (uint64_t)pg_http_rewrite_response(
            &head, response, PG_HTTP_BODY_LENGTH, 3, false, true, NULL, 0, NULL, out, sizeof out);
    }
    bench_end();
}

static const struct bench_part parts[] = {
    {"parse-request-77", parse_plain, 2000000},
    {"parse-request-703", parse_browser, 500000},
    {"parse-response", parse_response, 2000000},
    {"route-of-200", route, 2000000},
    {"identity-of-a-trusted-chain", identity, 2000000},
    {"rewrite-request-77", rewrite_plain, 1000000},
    {"rewrite-request-703", rewrite_browser, 500000},
    {"rewrite-response", rewrite_response, 1000000},
    {"whole-request-77", whole_plain, 1000000},
    {"whole-request-703", whole_browser, 500000},
};

int main(int argc, char **argv)
{
    static const char filler[] = "X-Filler: ";
    size_t len = strlen(BROWSER);

    /* filled up to its exact size */
    memcpy(browser, BROWSER, len);
    memcpy(browser + len, filler, sizeof filler - 1);
    memset(browser + len + sizeof filler - 1, 'x', 703 - 4 - len - (sizeof filler - 1));
    memcpy(browser + 699, "\r\n\r\n", 4);
    return bench_main(argc, argv, parts, sizeof parts / sizeof parts[0]);
}
