/* HTTPRoutes as lines of routing: one per listener, host name, rule, match and backend, in the order in which they are tried.
 *
 * Called by derive_routes.c behind the Ingress rules. The order is the specification's: the more exact host name, Exact before expressions before
 * PathPrefix, the longer path, a method, more headers, more query parameters, the older route, its name, the earlier rule. Backends that are not there,
 * are no Service or lie in another namespace without a ReferenceGrant keep their share of the requests and answer 500. */
#include "gateway.h"

#include "annotations.h"

#include <stdlib.h>
#include <string.h>

struct line {
    struct pg_route route;
    const struct pg_raw_http_route *from;
    const struct pg_raw_match *match;
    uint32_t rule, turn;
    uint32_t backend_first, backend_count; /* into backends */
};

/* A backend after looking it up. */
struct backend {
    uint32_t service;
    uint16_t port;
    uint32_t weight;
    enum pg_route_refusal refusal;
    const char *text;
    uint32_t filter_first, filter_count;
    struct pg_source source;
};

struct making {
    struct pg_load *load;
    struct pg_list lines;    /* of struct line */
    struct pg_list backends; /* of struct backend */
    bool full;
};

/* ---- backends ---- */

static void bad_ref(struct pg_load *load, struct pg_raw_http_route *r,
                    const struct pg_raw_backend *b, struct backend *to, const char *reason,
                    const char *text)
{
    to->refusal = PG_ROUTE_BAD_REF;
    to->service = PG_INDEX_NONE;
    if (r->unresolved == NULL) {
        r->unresolved = text;
        r->unresolved_reason = reason;
    }
    pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, r->object.title, "backendRefs",
                   &b->source,
                   r->kind == PG_ROUTE_KIND_TLS ? "%s: connections will be reset"
                                                : "%s: requests will get 500",
                   text);
}

static void backend_find(struct pg_load *load, struct pg_raw_http_route *r,
                         const struct pg_raw_backend *b, struct backend *to)
{
    struct pg_arena *scratch = &load->scratch;
    const char *kind = pg_gateway_route_kind_name(r->kind);
    to->text = pg_arena_printf(scratch, "%s/%s:%u", b->namespace, b->name, b->port);
    to->weight = b->weight;
    to->source = b->source;
    to->port = b->port;
    if (b->wrong_kind != NULL) {
        bad_ref(load, r, b, to, "InvalidKind",
                pg_arena_printf(scratch, "%.60s is no Service", b->wrong_kind));
        return;
    }
    if (strcmp(b->namespace, r->object.namespace) != 0 &&
        !pg_gateway_granted(load, kind, r->object.namespace, "Service", b->namespace, b->name)) {
        bad_ref(load, r, b, to, "RefNotPermitted",
                pg_arena_printf(scratch,
                                "no ReferenceGrant in %.60s lets %ss of %.60s name Service "
                                "%.80s",
                                b->namespace, kind, r->object.namespace, b->name));
        return;
    }
    to->service = pg_name_find(&load->service_by_name, b->namespace, b->name);
    if (to->service == PG_INDEX_NONE) {
        bad_ref(load, r, b, to, "BackendNotFound",
                pg_arena_printf(scratch, "there is no Service %.60s/%.80s", b->namespace, b->name));
        return;
    }
    const struct pg_raw_service *s =
        PG_LIST_POINTER(load->services, const struct pg_raw_service, to->service);
    for (uint32_t i = 0; i < s->port_count; i++) {
        if (s->ports[i].port == b->port && s->ports[i].proto == PG_PROTO_TCP)
            return;
    }
    bad_ref(load, r, b, to, "BackendNotFound",
            pg_arena_printf(scratch, "%s has no TCP port %u", s->object.title, b->port));
}

/* Filters of the rule and those of the backend, in the order they act. */
static void filters_make(struct pg_load *load, const struct pg_list *rule,
                         const struct pg_list *backend, struct backend *to)
{
    to->filter_first = load->filters.count;
    for (uint32_t i = 0; i < rule->count; i++)
        pg_derive_filter_insert(&load->filters, to->filter_first,
                                PG_LIST_AT(*rule, const struct pg_route_filter, i));
    for (uint32_t i = 0; backend != NULL && i < backend->count; i++)
        pg_derive_filter_insert(&load->filters, to->filter_first,
                                PG_LIST_AT(*backend, const struct pg_route_filter, i));
    to->filter_count = load->filters.count - to->filter_first;
}

/* Those with a weight; one that answers 500 if there is none. */
static void backends_make(struct making *m, struct pg_raw_http_route *r,
                          const struct pg_raw_http_rule *rule)
{
    uint32_t before = m->backends.count;
    for (uint32_t i = 0; i < rule->backend_count; i++) {
        const struct pg_raw_backend *b = &rule->backends[i];
        struct backend to = {0};
        backend_find(m->load, r, b, &to);
        if (b->weight == 0)
            continue;
        filters_make(m->load, &rule->filters, &b->filters, &to);
        *(struct backend *)pg_list_add(&m->backends) = to;
    }
    if (m->backends.count > before)
        return;
    struct backend none = {.service = PG_INDEX_NONE,
                           .weight = 1,
                           .text = rule->answers ? "no backend: redirected" : "no backend",
                           .refusal = PG_ROUTE_NO_REF,
                           .source = rule->source};
    filters_make(m->load, &rule->filters, NULL, &none);
    *(struct backend *)pg_list_add(&m->backends) = none;
    if (!rule->answers)
        pg_finding_add(m->load, PG_FINDING_WARNING, PG_CODE_DANGLING, r->object.title, "spec.rules",
                       rule->source.line > 0 ? &rule->source : &r->object.source,
                       "a rule without backends that have a weight: requests will get 500");
}

/* ---- lines ---- */

static void line_add(struct making *m, struct pg_raw_http_route *r, uint32_t rule_number,
                     const struct pg_raw_match *match, const struct pg_raw_listener *l,
                     const char *host, const struct pg_source *host_source, uint32_t first)
{
    if (m->lines.count >= PG_GATEWAY_ROUTES_MAX) {
        if (!m->full)
            pg_finding_add(m->load, PG_FINDING_ERROR, PG_CODE_WRONG, r->object.title, "spec.rules",
                           &r->object.source,
                           "listeners, hostnames and matches come to more than %u lines",
                           PG_GATEWAY_ROUTES_MAX);
        m->full = true;
        return;
    }
    struct line *line = pg_list_add(&m->lines);
    line->from = r;
    line->match = match;
    line->rule = rule_number;
    line->turn = m->lines.count;
    line->backend_first = first;
    line->backend_count = m->backends.count - first;
    line->route =
        (struct pg_route){.host = host,
                          .host_suffix = host[0] == '*',
                          .path = match->path,
                          .path_type = match->type,
                          .test_first = match->test_first,
                          .test_count = match->test_count,
                          .object = r->object.title,
                          .ingress = PG_INDEX_NONE,
                          .listener = l->index,
                          .rule = rule_number,
                          .source = match->source.line > 0 ? match->source : r->object.source,
                          .host_source = *host_source};
}

static void rule_expand(struct making *m, struct pg_raw_http_route *r, uint32_t rule,
                        const struct pg_list *listeners)
{
    const struct pg_raw_http_rule *from = &r->rules[rule];
    uint32_t first = m->backends.count;
    backends_make(m, r, from);
    for (uint32_t i = 0; i < listeners->count; i++) {
        const struct pg_raw_listener *l =
            PG_LIST_POINTER(*listeners, const struct pg_raw_listener, i);
        for (uint32_t h = 0; h < r->hostname_count || h == 0; h++) {
            bool any = r->hostname_count == 0;
            const char *host = pg_gateway_intersect(l->hostname, any ? "" : r->hostnames[h]);
            const struct pg_source *source = any ? &l->source : &r->hostname_sources[h];
            for (uint32_t k = 0; host != NULL && k < from->match_count; k++)
                line_add(m, r, rule + 1, &from->matches[k], l, host, source, first);
        }
    }
}

static int class_of(const char *host)
{
    return host[0] == '\0' ? 2 : host[0] == '*' ? 1 : 0;
}

static int path_class(enum pg_path_type t)
{
    return t == PG_PATH_EXACT ? 0 : pg_path_is_regex(t) ? 1 : 2;
}

/* Negative: x is tried first. */
static int match_compare(const struct line *x, const struct line *y)
{
    size_t lx = strlen(x->route.path);
    size_t ly = strlen(y->route.path);
    int order = path_class(x->route.path_type) - path_class(y->route.path_type);
    if (order == 0 && lx != ly)
        order = lx > ly ? -1 : 1;
    if (order == 0)
        order = (int)y->match->method - (int)x->match->method;
    if (order == 0)
        order = (int)y->match->headers - (int)x->match->headers;
    if (order == 0)
        order = (int)y->match->queries - (int)x->match->queries;
    return order;
}

static int line_compare(const void *a, const void *b)
{
    const struct line *x = a;
    const struct line *y = b;
    const struct pg_object *ox = &x->from->object;
    const struct pg_object *oy = &y->from->object;
    int order = x->route.listener < y->route.listener ? -1 : x->route.listener > y->route.listener;
    if (order == 0)
        order = class_of(x->route.host) - class_of(y->route.host);
    if (order == 0)
        order = (int)strlen(y->route.host) - (int)strlen(x->route.host);
    if (order == 0)
        order = strcmp(x->route.host, y->route.host);
    if (order == 0)
        order = match_compare(x, y);
    if (order == 0 && ox->created[0] != '\0' && oy->created[0] != '\0')
        order = strcmp(ox->created, oy->created);
    if (order == 0)
        order = strcmp(ox->namespace, oy->namespace);
    if (order == 0)
        order = strcmp(ox->name, oy->name);
    if (order == 0)
        order = x->rule < y->rule ? -1 : x->rule > y->rule;
    return order != 0 ? order : (x->turn < y->turn ? -1 : x->turn > y->turn);
}

static void line_finish(struct making *m, const struct line *line)
{
    uint32_t weights = 0;
    for (uint32_t i = 0; i < line->backend_count; i++)
        weights += PG_LIST_AT(m->backends, struct backend, line->backend_first + i)->weight;
    for (uint32_t i = 0; i < line->backend_count; i++) {
        const struct backend *b =
            PG_LIST_AT(m->backends, const struct backend, line->backend_first + i);
        struct pg_route *r = pg_list_add(&m->load->routes);
        *r = line->route;
        r->service = b->service;
        r->service_port = b->refusal == PG_ROUTE_FINE ? b->port : 0;
        r->backend_text = b->text;
        r->refusal = b->refusal;
        r->backend_source = b->source;
        r->filter_first = b->filter_first;
        r->filter_count = b->filter_count;
        r->split = i == 0 ? line->backend_count : 0;
        r->weight = b->weight;
        r->weights = weights;
    }
}

/* ---- all ---- */

static bool port_there(const struct pg_load *load, uint16_t port)
{
    for (uint32_t i = 0; load->ingress != NULL && i < load->ingress->port_count; i++) {
        if (load->ingress->ports[i].port == port && load->ingress->ports[i].proto == PG_PROTO_TCP)
            return true;
    }
    return false;
}

/* Numbers the listeners; those whose port the service in front has not got can not be reached. */
static void listeners_number(struct pg_load *load)
{
    uint32_t index = 0;
    for (uint32_t i = 0; i < load->gateways.count; i++) {
        struct pg_raw_gateway *g = PG_LIST_POINTER(load->gateways, struct pg_raw_gateway, i);
        for (uint32_t j = 0; j < g->listener_count; j++) {
            struct pg_raw_listener *l = &g->listeners[j];
            l->index = index++;
            if (l->trouble != NULL || g->trouble != NULL || port_there(load, l->port))
                continue;
            l->trouble_reason = "PortUnavailable";
            l->trouble = pg_arena_printf(
                &load->scratch, "the Service in front of the ingress has no port %u", l->port);
            pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, g->object.title,
                           pg_arena_printf(&load->scratch, "spec.listeners %s", l->name),
                           &l->source, "%s", l->trouble);
        }
    }
}

void pg_derive_http_routes(struct pg_load *load)
{
    struct making m = {.load = load,
                       .lines = PG_LIST(&load->scratch, struct line),
                       .backends = PG_LIST(&load->scratch, struct backend)};
    listeners_number(load);
    pg_derive_listener_certs(load);
    for (uint32_t i = 0; i < load->http_routes.count; i++) {
        struct pg_raw_http_route *r =
            PG_LIST_POINTER(load->http_routes, struct pg_raw_http_route, i);
        struct pg_list listeners = PG_LIST(&load->scratch, struct pg_raw_listener *);
        for (uint32_t j = 0; j < r->parent_count; j++)
            pg_gateway_attach(load, r, &r->parents[j], &listeners,
                              pg_list_add(&load->route_parents));
        if (r->parent_count == 0)
            pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, r->object.title,
                           "spec.parentRefs", &r->object.source,
                           "names no parent: it is attached to nothing");
        for (uint32_t k = 0; k < r->rule_count; k++)
            rule_expand(&m, r, k, &listeners);
    }
    if (m.lines.count > 1)
        qsort(m.lines.at, m.lines.count, sizeof(struct line), line_compare);
    for (uint32_t i = 0; i < m.lines.count; i++)
        line_finish(&m, PG_LIST_AT(m.lines, const struct line, i));
}
