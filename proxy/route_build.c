/* The table that route.c asks: compiled from a snapshot's routes, in their order.
 *
 * Called by `listener.c` for each load and by the tools. Hosts are found by hash, Exact and Prefix paths under a host too; expressions lie in a row
 * per host. Routes with the same host and path are a chain: the first whose tests hold is taken, so the snapshot's order is what decides.
 *
 * Owns its tables and patterns; the snapshot is borrowed. */
#include "route_internal.h"

#include <stdlib.h>
#include <string.h>

static bool host_equal(const void *owner, uint32_t value, const void *key)
{
    const struct pg_router *r = owner;
    const struct host_key *k = key;
    return r->hosts[value].scope == k->scope && pg_slice_equal(r->hosts[value].name, k->name);
}

static bool path_equal(const void *owner, uint32_t value, const void *key)
{
    const struct pg_router *r = owner;
    const struct route_path *p = &r->paths[value];
    const struct path_key *k = key;
    return p->host == k->host && p->exact == k->exact && pg_slice_equal(p->path, k->path);
}

static uint32_t hash_host(const struct pg_router *r, const struct host_key *k)
{
    struct pg_hash_key key = {r->key.k0 ^ k->scope, r->key.k1};
    return (uint32_t)pg_hash(&key, k->name.at, k->name.len);
}

static uint32_t hash_path(const struct pg_router *r, const struct path_key *k)
{
    struct pg_hash_key key = {r->key.k0 ^ k->host, r->key.k1 ^ k->exact};
    return (uint32_t)pg_hash(&key, k->path.at, k->path.len);
}

uint32_t pg_router_find_host(const struct pg_router *r, uint32_t scope, struct pg_slice name)
{
    struct host_key key = {scope, name};
    return pg_table_find(r->host_table, hash_host(r, &key), &key);
}

uint32_t pg_router_find_path(const struct pg_router *r, const struct path_key *k)
{
    return pg_table_find(r->path_table, hash_path(r, k), k);
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

static uint32_t add_host(struct pg_router *r, const struct pg_route *route)
{
    struct host_key key = {route->listener == PG_INDEX_NONE ? 0 : route->listener + 1,
                           pg_slice_of(route->host)};
    uint32_t found = pg_router_find_host(r, key.scope, key.name);
    if (found != PG_TABLE_NONE)
        return found;
    r->hosts[r->host_count] =
        (struct route_host){.scope = key.scope, .name = key.name, .suffix = route->host_suffix};
    r->has_suffixes = r->has_suffixes || route->host_suffix;
    if (pg_table_add(r->host_table, hash_host(r, &key), r->host_count) != 0)
        return PG_TABLE_NONE;
    return r->host_count++;
}

/* Patterns of manifests were compiled once when they were read: here only memory can be lacking. */
static struct pg_pattern *pattern_of(const char *text, enum pg_pattern_form form)
{
    char why[160];
    return pg_pattern_new(text, form, why);
}

static bool add_tests(struct route_path *p, const struct pg_snapshot *s)
{
    const struct pg_route *route = p->route;
    for (uint32_t i = 0; i < route->test_count; i++) {
        const struct pg_route_test *t = &s->tests[route->test_first + i];
        if (!t->regex)
            continue;
        if (!p->patterns)
            p->patterns = calloc(route->test_count, sizeof(struct pg_pattern *));
        if (!p->patterns)
            return false;
        p->patterns[i] = pattern_of(t->value, PG_PATTERN_WHOLE);
        if (!p->patterns[i])
            return false;
    }
    return true;
}

static bool add_regex(struct pg_router *r, struct route_path *p)
{
    struct route_host *host = &r->hosts[p->host];
    if (host->regex_count++ == 0)
        host->regex_first = (uint32_t)(p - r->paths);
    p->pattern = pattern_of(p->route->path, p->route->path_type == PG_PATH_REGEX_WHOLE
                                                ? PG_PATTERN_WHOLE
                                                : PG_PATTERN_BEGIN_NOCASE);
    return p->pattern != NULL;
}

/* Behind those with the same path, if there are any. */
static bool add_literal(struct pg_router *r, struct route_path *p)
{
    struct path_key key = {p->host, p->exact, p->path};
    uint32_t index = (uint32_t)(p - r->paths);
    uint32_t at = pg_router_find_path(r, &key);
    if (at == PG_TABLE_NONE)
        return pg_table_add(r->path_table, hash_path(r, &key), index) == 0;
    while (r->paths[at].next != PG_INDEX_NONE)
        at = r->paths[at].next;
    r->paths[at].next = index;
    return true;
}

static bool add_route(struct pg_router *r, const struct pg_route *route)
{
    if (route->rule == 0) {
        if (!r->fallback) {
            r->fallback = route;
            r->fallback_reason = reason_of(route);
        }
        return true;
    }
    uint32_t host = add_host(r, route);
    if (host == PG_TABLE_NONE)
        return false;
    struct route_path *p = &r->paths[r->path_count];
    *p = (struct route_path){.host = host,
                             .exact = route->path_type == PG_PATH_EXACT,
                             .regex = pg_path_is_regex(route->path_type),
                             .path = pg_slice_of(route->path),
                             .route = route,
                             .reason = reason_of(route),
                             .next = PG_INDEX_NONE};
    r->path_of[route - r->snapshot->routes] = r->path_count++;
    if (!add_tests(p, r->snapshot))
        return false;
    if (p->regex)
        return add_regex(r, p);
    if (!p->exact && p->path.len > 0 && p->path.at[p->path.len - 1] == '/')
        p->path.len--;
    if (!p->exact && p->path.len > r->hosts[host].longest)
        r->hosts[host].longest = (uint32_t)p->path.len;
    return add_literal(r, p);
}

/* The ports of pods that lead to a listener: those behind its port of the service in front. */
static void add_listener(struct pg_router *r, const struct pg_snapshot *s, uint32_t index)
{
    struct route_listener *to = &r->listeners[index];
    to->listener = &s->listeners[index];
    if (s->lab.ingress_service == PG_INDEX_NONE || !to->listener->programmed.good)
        return;
    const struct pg_service *front = &s->services[s->lab.ingress_service];
    for (uint32_t i = 0; i < front->port_count; i++) {
        const struct pg_service_port *p = &s->service_ports[front->port_first + i];
        for (uint32_t j = 0; p->port == to->listener->port && j < p->endpoint_count; j++) {
            uint16_t port = s->endpoints[p->endpoint_first + j].port;
            uint32_t at = 0;
            while (at < to->port_count && to->ports[at] != port)
                at++;
            if (at == to->port_count && at < PG_LISTENER_PORTS)
                to->ports[to->port_count++] = port;
        }
    }
}

struct pg_router *pg_router_new(const struct pg_snapshot *s, const struct pg_hash_key *key)
{
    struct pg_router *r = calloc(1, sizeof(*r));
    uint32_t room = s->route_count + 1;
    if (!r)
        return NULL;
    r->key = *key;
    r->snapshot = s;
    r->hosts = calloc(room, sizeof(*r->hosts));
    r->paths = calloc(room, sizeof(*r->paths));
    r->path_of = malloc(room * sizeof(*r->path_of));
    r->scratch = pg_pattern_scratch_new();
    r->listeners = calloc(s->listener_count + 1, sizeof(*r->listeners));
    r->host_table = pg_table_new(room, host_equal, r);
    r->path_table = pg_table_new(room, path_equal, r);
    r->none_reason = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_ROUTE_NONE});
    bool good = r->hosts && r->paths && r->path_of && r->scratch && r->listeners && r->host_table &&
                r->path_table;
    if (good)
        memset(r->path_of, 0xff, room * sizeof(*r->path_of));
    for (uint32_t i = 0; good && i < s->listener_count; i++)
        add_listener(r, s, i);
    for (uint32_t i = 0; good && i < s->route_count; i++) {
        if (s->routes[i].split > 0)
            good = add_route(r, &s->routes[i]);
    }
    if (good)
        return r;
    pg_router_free(r);
    return NULL;
}

static void free_path(struct route_path *p)
{
    pg_pattern_free(p->pattern);
    for (uint32_t i = 0; p->patterns && i < p->route->test_count; i++)
        pg_pattern_free(p->patterns[i]);
    free(p->patterns);
}

void pg_router_free(struct pg_router *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; r->paths && i < r->path_count; i++)
        free_path(&r->paths[i]);
    pg_pattern_scratch_free(r->scratch);
    pg_table_free(r->host_table);
    pg_table_free(r->path_table);
    free(r->path_of);
    free(r->listeners);
    free(r->hosts);
    free(r->paths);
    free(r);
}
