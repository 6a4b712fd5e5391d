/* Host and path to the Ingress rule that takes the request: a table compiled from a snapshot, and the question to it.
 *
 * Called by `request.c` for every request and by the tools' dry run. Ingress v1: the exact host before a one-label wildcard
 * before rules without a host; within a host Exact before Prefix and longer before shorter; prefixes match whole path
 * elements; then the default backend. A rule without host takes "all inbound traffic", so a request that matches no path under
 * its own host goes on to the wildcard and to rules without host. ImplementationSpecific is Prefix.
 *
 * The path is normalised first, by the function that also writes it upstream: what is matched is what is sent.
 *
 * Owns its tables and nothing else; the snapshot is borrowed. One probe per host form, and per host one for Exact and one per path
 * element that a prefix of that host could still have. */
#include "podglass/ingress_decide.h"

#include "http_grammar.h"
#include "podglass/hash.h"
#include "podglass/table.h"

#include <stdlib.h>
#include <string.h>

#define HOST_MAX 255

struct route_host {
    struct pg_slice name; /* as in the rule */
    uint32_t longest;     /* longest prefix, without its final '/' */
};

/* A path under a host; kept for Prefix without its final '/', so "/" is "". */
struct route_path {
    uint32_t host;
    bool exact;
    struct pg_slice path;
    const struct pg_route *route;
    pg_reason_id reason;
};

struct pg_router {
    struct pg_hash_key key;
    struct route_host *hosts;
    uint32_t host_count;
    struct route_path *paths;
    uint32_t path_count;
    struct pg_table *host_table;
    struct pg_table *path_table;
    const struct pg_route *fallback; /* default backend */
    pg_reason_id fallback_reason;
    pg_reason_id none_reason;
};

struct path_key {
    uint32_t host;
    bool exact;
    struct pg_slice path;
};

static bool host_equal(const void *owner, uint32_t value, const void *key)
{
    const struct pg_router *r = owner;
    return pg_slice_equal(r->hosts[value].name, *(const struct pg_slice *)key);
}

static bool path_equal(const void *owner, uint32_t value, const void *key)
{
    const struct pg_router *r = owner;
    const struct route_path *p = &r->paths[value];
    const struct path_key *k = key;
    return p->host == k->host && p->exact == k->exact && pg_slice_equal(p->path, k->path);
}

static uint32_t hash_text(const struct pg_router *r, struct pg_slice text)
{
    return (uint32_t)pg_hash(&r->key, text.at, text.len);
}

static uint32_t hash_path(const struct pg_router *r, const struct path_key *k)
{
    struct pg_hash_key key = {r->key.k0 ^ k->host, r->key.k1 ^ k->exact};
    return (uint32_t)pg_hash(&key, k->path.at, k->path.len);
}

static uint32_t find_host(const struct pg_router *r, struct pg_slice name)
{
    return pg_table_find(r->host_table, hash_text(r, name), &name);
}

static const struct route_path *find_path(const struct pg_router *r, const struct path_key *k)
{
    uint32_t found = pg_table_find(r->path_table, hash_path(r, k), k);
    return found == PG_TABLE_NONE ? NULL : &r->paths[found];
}

/* ---- compiling ---- */

static pg_reason_id reason_of(const struct pg_route *route)
{
    bool by_rule = route->rule > 0;
    return pg_reason_intern(&(struct pg_reason){
        .code = by_rule ? PG_CODE_ROUTE_RULE : PG_CODE_ROUTE_DEFAULT,
        .object = route->object,
        .field = by_rule ? "path" : "spec.defaultBackend",
        .value = by_rule ? route->path : route->backend_text,
        .file = route->source.file,
        .line = route->source.line,
    });
}

static uint32_t add_host(struct pg_router *r, struct pg_slice name)
{
    uint32_t found = find_host(r, name);
    if (found != PG_TABLE_NONE)
        return found;
    r->hosts[r->host_count] = (struct route_host){.name = name};
    if (pg_table_add(r->host_table, hash_text(r, name), r->host_count) != 0)
        return PG_TABLE_NONE;
    return r->host_count++;
}

/* Of two rules that say the same the first in the snapshot counts. */
static bool add_route(struct pg_router *r, const struct pg_route *route)
{
    if (route->rule == 0) {
        if (!r->fallback) {
            r->fallback = route;
            r->fallback_reason = reason_of(route);
        }
        return true;
    }
    uint32_t host = add_host(r, pg_slice_of(route->host));
    if (host == PG_TABLE_NONE)
        return false;
    struct path_key key = {host, route->path_type == PG_PATH_EXACT, pg_slice_of(route->path)};
    if (!key.exact && key.path.len > 0 && key.path.at[key.path.len - 1] == '/')
        key.path.len--;
    if (find_path(r, &key))
        return true;
    if (!key.exact && key.path.len > r->hosts[host].longest)
        r->hosts[host].longest = (uint32_t)key.path.len;
    r->paths[r->path_count] =
        (struct route_path){host, key.exact, key.path, route, reason_of(route)};
    return pg_table_add(r->path_table, hash_path(r, &key), r->path_count++) == 0;
}

struct pg_router *pg_router_new(const struct pg_snapshot *s, const struct pg_hash_key *key)
{
    struct pg_router *r = calloc(1, sizeof(*r));
    uint32_t room = s->route_count + 1;
    if (!r)
        return NULL;
    r->key = *key;
    r->hosts = calloc(room, sizeof(*r->hosts));
    r->paths = calloc(room, sizeof(*r->paths));
    r->host_table = pg_table_new(room, host_equal, r);
    r->path_table = pg_table_new(room, path_equal, r);
    r->none_reason = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_ROUTE_NONE});
    bool good = r->hosts && r->paths && r->host_table && r->path_table;
    for (uint32_t i = 0; good && i < s->route_count; i++)
        good = add_route(r, &s->routes[i]);
    if (good)
        return r;
    pg_router_free(r);
    return NULL;
}

void pg_router_free(struct pg_router *r)
{
    if (!r)
        return;
    pg_table_free(r->host_table);
    pg_table_free(r->path_table);
    free(r->hosts);
    free(r->paths);
    free(r);
}

/* ---- asking ---- */

/* The longest prefix of whole elements: cut at one '/' after the other, from the right. */
static const struct route_path *match_prefix(const struct pg_router *r, uint32_t host,
                                             struct pg_slice path)
{
    size_t longest = r->hosts[host].longest;
    size_t cut = path.len;
    for (;;) {
        bool whole = cut == path.len || path.at[cut] == '/';
        if (whole && cut <= longest) {
            struct path_key key = {host, false, {path.at, cut}};
            const struct route_path *found = find_path(r, &key);
            if (found)
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

static const struct route_path *match_path(const struct pg_router *r, uint32_t host,
                                           struct pg_slice path)
{
    if (host == PG_TABLE_NONE)
        return NULL;
    struct path_key key = {host, true, path};
    const struct route_path *found = find_path(r, &key);
    return found ? found : match_prefix(r, host, path);
}

/* Lower case, without port and final dot. Returns its length, 0 if it is too long for a host name. */
static size_t plain_host(struct pg_slice host, char out[HOST_MAX])
{
    struct pg_slice name = pg_http_host_name(host);
    if (name.len > 0 && name.at[name.len - 1] == '.')
        name.len--;
    if (name.len > HOST_MAX)
        return 0;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.at[i];
        out[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
    }
    return name.len;
}

/* "*.example.test" for shop.example.test, made in place of it. Empty: it has no first label. */
static struct pg_slice wildcard_of(char *name, size_t len)
{
    char *dot = memchr(name, '.', len);
    if (!dot || dot == name)
        return (struct pg_slice){name, 0};
    dot[-1] = '*';
    return (struct pg_slice){dot - 1, len - (size_t)(dot - name) + 1};
}

static const struct route_path *match_hosts(const struct pg_router *r, struct pg_slice host,
                                            struct pg_slice path)
{
    char name[HOST_MAX];
    size_t len = plain_host(host, name);
    const struct route_path *found = NULL;
    if (len > 0) {
        found = match_path(r, find_host(r, (struct pg_slice){name, len}), path);
        struct pg_slice wildcard = found ? (struct pg_slice){name, 0} : wildcard_of(name, len);
        if (wildcard.len > 0)
            found = match_path(r, find_host(r, wildcard), path);
    }
    return found ? found : match_path(r, find_host(r, PG_SLICE_LITERAL("")), path);
}

void pg_route_match(const struct pg_router *r, struct pg_slice host, struct pg_slice path,
                    struct pg_route_match *ret)
{
    char normal[PG_HTTP_MAX_LINE];
    if (pg_http_path_is_odd(path) && path.len <= sizeof(normal))
        path = (struct pg_slice){normal, pg_http_path_normalise(path, normal)};
    const char *query = path.len ? memchr(path.at, '?', path.len) : NULL;
    if (query)
        path.len = (size_t)(query - path.at);
    if (path.len == 0 || path.at[0] != '/')
        path = PG_SLICE_LITERAL("/"); /* absolute-form without a path, and "*" */
    const struct route_path *found = match_hosts(r, host, path);
    if (found)
        *ret = (struct pg_route_match){found->route, found->reason};
    else if (r->fallback)
        *ret = (struct pg_route_match){r->fallback, r->fallback_reason};
    else
        *ret = (struct pg_route_match){NULL, r->none_reason};
}
