/* Host, path and the rest of a request to the rule that takes it: the question to the table of route_build.c.
 *
 * Called by `request.c` for every request and by the tools' dry run. HTTPRoutes are asked first, those of the listener the request came in by: per
 * Gateway the one with the best hostname. Then the rules of Ingress objects. In either the exact host comes before a wildcard, a longer wildcard before a shorter
 * one, all before rules without a host; within a host Exact before expressions before Prefix, longer before shorter; prefixes match whole path
 * elements; then the default backend. A rule without host takes "all inbound traffic", so a request that matches no path under its own host
 * goes on to the wildcards and to rules without host. ImplementationSpecific is Prefix.
 *
 * The path is normalised first, by the function that also writes it upstream: what is matched is what is sent.
 *
 * One probe per host form, and per host one for Exact and one per path element that a prefix of that host could still have. Expressions are tried one
 * after the other, each with bounded cost; one that is given up refuses the request, since nobody knows whether it would have matched. */
#include "route_internal.h"

#include "http_grammar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* A search under way. */
struct search {
    const struct pg_router *r;
    const struct pg_route_facts *facts;
    struct pg_slice path; /* normalised, without query */
    const char *host;     /* plain; of host_len bytes */
    size_t host_len;
    uint32_t scope;
    bool given_up;
};

/* The first of those with the same path whose tests hold. */
static const struct route_path *first_fit(struct search *s, uint32_t at)
{
    while (at != PG_TABLE_NONE && at != PG_INDEX_NONE && !s->given_up) {
        const struct route_path *p = &s->r->paths[at];
        int holds = p->route->test_count ? pg_route_tests_hold(s->r, p, s->facts) : 1;
        if (holds > 0)
            return p;
        s->given_up = holds < 0;
        at = p->next;
    }
    return NULL;
}

/* The longest prefix of whole elements: cut at one '/' after the other, from the right. */
static const struct route_path *match_prefix(struct search *s, uint32_t host)
{
    size_t longest = s->r->hosts[host].longest;
    struct pg_slice path = s->path;
    size_t cut = path.len;
    for (;;) {
        bool whole = cut == path.len || path.at[cut] == '/';
        if (whole && cut <= longest) {
            struct path_key key = {host, false, {path.at, cut}};
            const struct route_path *found = first_fit(s, pg_router_find_path(s->r, &key));
            if (found || s->given_up)
                return found;
        }
        if (cut == 0)
            return NULL;
        if (cut > longest + 1)
            cut = longest + 1;
        const char *slash = memrchr(path.at, '/', cut);
        cut = slash ? (size_t)(slash - path.at) : 0;
    }
}

static const struct route_path *match_regex(struct search *s, const struct route_host *host)
{
    struct pg_slice groups[PG_PATTERN_GROUPS];
    for (uint32_t i = 0; i < host->regex_count && !s->given_up; i++) {
        const struct route_path *p = &s->r->paths[host->regex_first + i];
        int found = pg_pattern_match(p->pattern, s->r->scratch, s->path, groups);
        if (found > 0 && p->route->test_count)
            found = pg_route_tests_hold(s->r, p, s->facts);
        if (found > 0)
            return p;
        s->given_up = found < 0;
    }
    return NULL;
}

static const struct route_path *match_path(struct search *s, uint32_t host)
{
    if (host == PG_TABLE_NONE || s->given_up)
        return NULL;
    struct path_key key = {host, true, s->path};
    const struct route_path *found = first_fit(s, pg_router_find_path(s->r, &key));
    if (!found && !s->given_up)
        found = match_regex(s, &s->r->hosts[host]);
    return found || s->given_up ? found : match_prefix(s, host);
}

/* Lower case, without port and final dot. Returns its length, 0 if it is too long for a host name. */
static size_t plain_host(struct pg_slice host, char out[PG_HOST_MAX])
{
    struct pg_slice name = pg_http_host_name(host);
    if (name.len > 0 && name.at[name.len - 1] == '.')
        name.len--;
    if (name.len > PG_HOST_MAX)
        return 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    return name.len;
}

/* "*.example.test" for shop.example.test, then "*.test": made in place, the longest first. */
static const struct route_path *match_wildcards(struct search *s, char *name, size_t len)
{
    const struct route_path *found = NULL;
    size_t labels = 1;
    for (char *dot = memchr(name, '.', len); dot && dot > name && !found && !s->given_up;
         dot = memchr(dot + 1, '.', len - (size_t)(dot + 1 - name))) {
        char before = dot[-1];
        dot[-1] = '*';
        uint32_t host = pg_router_find_host(
            s->r, s->scope, (struct pg_slice){dot - 1, len - (size_t)(dot - name) + 1});
        dot[-1] = before;
        if (host != PG_TABLE_NONE && (labels == 1 || s->r->hosts[host].suffix))
            found = match_path(s, host);
        labels++;
        if (!s->r->has_suffixes)
            break;
    }
    return found;
}

static const struct route_path *match_hosts(struct search *s)
{
    char name[PG_HOST_MAX];
    const struct route_path *found = NULL;
    if (s->host_len > 0) {
        memcpy(name, s->host, s->host_len);
        found = match_path(
            s, pg_router_find_host(s->r, s->scope, (struct pg_slice){name, s->host_len}));
        if (!found && !s->given_up)
            found = match_wildcards(s, name, s->host_len);
    }
    return found ? found : match_path(s, pg_router_find_host(s->r, s->scope, PG_SLICE_LITERAL("")));
}

/* ---- listeners ---- */

size_t pg_route_hostname_fit(const char *hostname, struct pg_slice name)
{
    size_t len = strlen(hostname);
    if (len == 0)
        return 1;
    if (hostname[0] == '*')
        return name.len > len - 1 &&
                       memcmp(name.at + name.len - (len - 1), hostname + 1, len - 1) == 0
                   ? 1 + len
                   : 0;
    return name.len == len && memcmp(name.at, hostname, len) == 0 ? PG_HOST_BEST : 0;
}

static bool came_in(const struct route_listener *l, const struct pg_route_facts *facts)
{
    enum pg_listener_protocol protocol = l->listener->protocol;
    bool there = false;
    for (uint32_t i = 0; i < l->port_count && !there; i++)
        there = l->ports[i] == facts->port;
    if (facts->unread || protocol == PG_LISTENER_TLS)
        return there && facts->unread && protocol == PG_LISTENER_TLS;
    return there && facts->tls == (protocol == PG_LISTENER_HTTPS);
}

/* The best listener of one Gateway alone is asked, as the specification isolates them; then the next Gateway. */
static const struct route_path *match_gateways(struct search *s)
{
    const struct pg_snapshot *all = s->r->snapshot;
    const struct route_path *found = NULL;
    struct pg_slice host = {s->host, s->host_len};
    for (uint32_t g = 0; g < all->gateway_count && !found && !s->given_up; g++) {
        const struct pg_gateway *gateway = &all->gateways[g];
        size_t best = 0;
        for (uint32_t i = 0; i < gateway->listener_count; i++) {
            const struct route_listener *l = &s->r->listeners[gateway->listener_first + i];
            size_t fit =
                came_in(l, s->facts) ? pg_route_hostname_fit(l->listener->hostname, host) : 0;
            if (fit > best) {
                best = fit;
                s->scope = gateway->listener_first + i + 1;
            }
        }
        if (best > 0)
            found = match_hosts(s);
    }
    return found;
}

struct pg_slice pg_route_path(const struct pg_router *r, struct pg_slice target,
                              char normal[PG_HTTP_MAX_LINE])
{
    struct pg_slice path = target;
    if (pg_http_path_is_odd(path) && path.len <= PG_HTTP_MAX_LINE)
        path = (struct pg_slice){
            normal, pg_http_path_normalise(path, r->snapshot->lab.ingress.keep_slashes, normal)};
    const char *query = path.len ? memchr(path.at, '?', path.len) : NULL;
    if (query)
        path.len = (size_t)(query - path.at);
    if (path.len == 0 || path.at[0] != '/')
        path = PG_SLICE_LITERAL("/"); /* absolute-form without a path, and "*" */
    return path;
}

struct pg_route_facts pg_route_facts_of(const struct pg_http_head *h, const char *bytes,
                                        uint16_t port, bool tls)
{
    return (struct pg_route_facts){
        .host = pg_span_slice(bytes, h->authority.len ? h->authority : h->host),
        .path = h->path.len ? pg_span_slice(bytes, h->path) : PG_SLICE_LITERAL("/"),
        .head = h,
        .bytes = bytes,
        .port = port,
        .tls = tls};
}

void pg_route_match(const struct pg_router *r, const struct pg_route_facts *facts,
                    struct pg_route_match *ret)
{
    char normal[PG_HTTP_MAX_LINE];
    char host[PG_HOST_MAX];
    struct search s = {.r = r,
                       .facts = facts,
                       .path = pg_route_path(r, facts->path, normal),
                       .host = host,
                       .host_len = plain_host(facts->host, host)};
    const struct route_path *found = r->snapshot->gateway_count ? match_gateways(&s) : NULL;
    s.scope = 0;
    if (!found && !s.given_up)
        found = match_hosts(&s);
    if (found)
        *ret = (struct pg_route_match){PG_HTTP_ERROR_NONE, found->route, found->reason};
    else if (s.given_up)
        *ret = (struct pg_route_match){PG_HTTP_ERROR_PATTERN_LIMIT, NULL, 0};
    else if (r->fallback)
        *ret = (struct pg_route_match){PG_HTTP_ERROR_NONE, r->fallback, r->fallback_reason};
    else
        *ret = (struct pg_route_match){PG_HTTP_ERROR_NO_ROUTE, NULL, r->none_reason};
}

const struct pg_route *pg_route_draw(const struct pg_route *first, uint64_t draw)
{
    uint64_t at = first->weights ? draw % first->weights : 0;
    const struct pg_route *r = first;
    while (at >= r->weight && r + 1 < first + first->split) {
        at -= r->weight;
        r++;
    }
    return r;
}

pg_reason_id pg_route_draw_reason(const struct pg_route *drawn)
{
    char value[32];
    (void)snprintf(value, sizeof(value), "%u of %u", drawn->weight, drawn->weights);
    return pg_reason_intern(&(struct pg_reason){
        .code = PG_CODE_WEIGHTED,
        .object = drawn->object,
        .field = drawn->listener == PG_INDEX_NONE ? "canary-weight" : "backendRefs.weight",
        .value = value,
        .file = drawn->backend_source.file,
        .line = drawn->backend_source.line});
}

bool pg_route_groups(const struct pg_router *r, const struct pg_route *route, struct pg_slice path,
                     struct pg_slice groups[PG_PATTERN_GROUPS])
{
    uint32_t at = r->path_of[route - r->snapshot->routes];
    const struct pg_pattern *pattern = at != PG_INDEX_NONE ? r->paths[at].pattern : NULL;
    return pattern && pg_pattern_match(pattern, r->scratch, path, groups) > 0;
}
