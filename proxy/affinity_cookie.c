/* Affinity by cookie, as ingress-nginx has it: who comes back with the cookie goes to the pod that it names.
 *
 * Called by balance.c when a pod is chosen, and by response.c when the answer gives the client his cookie. The name of a pod is a keyed hash of its address and port, so a
 * cookie says nothing about the cluster, and those of an earlier process are nobody's: their clients get a new one.
 *
 * Pure. */
#include "affinity_cookie.h"

#include "http_grammar.h"

#include "podglass/packet.h"

#include <stdio.h>
#include <string.h>

#define DIGITS 16

uint64_t pg_cookie_of(const struct pg_hash_key *key, const struct pg_endpoint *e)
{
    struct pg_hash_key of_cookies = {key->k0 ^ UINT64_C(0x636f6f6b6965), key->k1};
    struct pg_tuple bytes = {.dst = e->addr, .dst_port = e->port};
    uint64_t name = pg_hash_tuple(&of_cookies, &bytes);
    return name ? name : 1;
}

static uint64_t parse(struct pg_slice text)
{
    uint64_t n = 0;
    if (text.len != DIGITS)
        return 0;
    for (size_t i = 0; i < DIGITS; i++) {
        if (!pg_http_is(text.at[i], PG_HTTP_HEX))
            return 0;
        n = n << 4 | (uint64_t)pg_http_hex(text.at[i]);
    }
    return n;
}

uint64_t pg_cookie_received(const struct pg_route_filter *by, const struct pg_http_head *head,
                            const char *bytes)
{
    uint64_t found = 0;
    for (uint32_t i = 0; i < head->field_count && found == 0; i++) {
        const struct pg_http_field *f = &head->fields[i];
        if (pg_slice_equal_nocase(pg_span_slice(bytes, f->name), PG_SLICE_LITERAL("cookie")))
            found = parse(pg_http_cookie(pg_span_slice(bytes, f->value), pg_slice_of(by->name)));
    }
    return found;
}

struct pg_slice pg_cookie_print(const struct pg_route_filter *by, const struct pg_route *route,
                                uint64_t cookie, bool https, char out[PG_COOKIE_TEXT])
{
    const char *path = strstr(by->value, "; Path=") ? NULL : route->path;
    if (path && (pg_path_is_regex(route->path_type) || strlen(path) > PG_COOKIE_TEXT / 2))
        path = "/";
    int len = snprintf(out, PG_COOKIE_TEXT, "%s=%016llx%s%s%s%s; HttpOnly", by->name,
                       (unsigned long long)cookie, path ? "; Path=" : "", path ? path : "",
                       by->value, https && !strstr(by->value, "; Secure") ? "; Secure" : "");
    return (struct pg_slice){out, len < PG_COOKIE_TEXT ? (size_t)len : PG_COOKIE_TEXT - 1};
}
