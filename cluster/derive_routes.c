/* Routes: the rules of all Ingress objects as one table in the order in which they are tried.
 *
 * Called by derive.c last. Exact hosts come before wildcards, those before "any host"; within a
 * host Exact before the rest, a longer path before a shorter one; default backends last. Of two
 * rules for the same host and path the older Ingress wins, then the one whose name comes first, and
 * a warning says so. Which Ingress objects take part is derive_classes.c. */
#include "annotations.h"
#include "gateway.h"

#include "podglass/pattern.h"

#include <stdlib.h>
#include <string.h>

/* A route while it is sorted. */
struct candidate {
    struct pg_route route;
    const char *created;
    uint32_t column;
    uint32_t turn;
    size_t path_len; /* without the slash at the end */
    int host_class;  /* 0 exact, 1 wildcard, 2 any */
    bool taken;      /* a canary: by the main route */
};

static int candidate_same(const struct candidate *x, const struct candidate *y)
{
    if (x->host_class != y->host_class)
        return x->host_class - y->host_class;
    int order = strcmp(x->route.host, y->route.host);
    if (order != 0)
        return order;
    bool x_default = x->route.rule == 0;
    bool y_default = y->route.rule == 0;
    if (x_default != y_default)
        return x_default ? 1 : -1;
    bool x_regex = pg_path_is_regex(x->route.path_type);
    bool y_regex = pg_path_is_regex(y->route.path_type);
    if (x_regex && y_regex) { /* as ingress-nginx tries them */
        if (x->path_len != y->path_len)
            return x->path_len > y->path_len ? -1 : 1;
        return -strcmp(x->route.path, y->route.path);
    }
    bool x_exact = x->route.path_type == PG_PATH_EXACT;
    bool y_exact = y->route.path_type == PG_PATH_EXACT;
    if (x_exact != y_exact)
        return x_exact ? -1 : 1;
    if (x->path_len != y->path_len)
        return x->path_len > y->path_len ? -1 : 1;
    return strncmp(x->route.path, y->route.path, x->path_len);
}

static int candidate_compare(const void *a, const void *b)
{
    const struct candidate *x = a;
    const struct candidate *y = b;
    int order = candidate_same(x, y);
    /* No time counts as oldest only against none; two times compare as text (RFC 3339, UTC). */
    if (order == 0 && x->created[0] != '\0' && y->created[0] != '\0')
        order = strcmp(x->created, y->created);
    if (order == 0)
        order = x->turn < y->turn ? -1 : x->turn > y->turn;
    return order;
}

static void warn(struct pg_load *load, const struct pg_raw_ingress *in,
                 const struct pg_source *source, const char *code, const char *text)
{
    pg_finding_add(load, PG_FINDING_WARNING, code, in->object.title, "backend",
                   source->line > 0 ? source : &in->object.source, "%s", text);
}

/* Service and port of a backend; what is not there is a warning, since a cluster takes such an
 * Ingress too. */
static void backend_find(struct pg_load *load, const struct pg_raw_ingress *in,
                         const struct pg_raw_path *path, struct pg_route *r)
{
    struct pg_arena *scratch = &load->scratch;
    const char *port =
        path->port_name[0] != '\0' ? path->port_name : pg_arena_printf(scratch, "%u", path->port);
    if (path->resource[0] != '\0') {
        r->backend_text =
            pg_arena_printf(scratch, "resource %s/%s", in->object.namespace, path->resource);
        r->service = PG_INDEX_NONE;
        r->refusal = PG_ROUTE_RESOURCE;
        return;
    }
    r->backend_text =
        pg_arena_printf(scratch, "%s/%s:%s", in->object.namespace, path->service, port);
    r->service = pg_name_find(&load->service_by_name, in->object.namespace, path->service);
    if (r->service == PG_INDEX_NONE) {
        if (path->service[0] != '\0')
            warn(load, in, &path->source, PG_CODE_DANGLING,
                 pg_arena_printf(scratch, "there is no Service %s/%s: requests will get 503",
                                 in->object.namespace, path->service));
        return;
    }
    const struct pg_raw_service *s =
        PG_LIST_POINTER(load->services, const struct pg_raw_service, r->service);
    for (uint32_t i = 0; i < s->port_count && r->service_port == 0; i++) {
        const struct pg_service_port *p = &s->ports[i];
        bool meant = path->port_name[0] != '\0' ? strcmp(p->name, path->port_name) == 0
                                                : p->port == path->port;
        if (meant && p->proto == PG_PROTO_TCP)
            r->service_port = p->port;
    }
    if (r->service_port == 0)
        warn(load, in, &path->source, PG_CODE_DANGLING,
             pg_arena_printf(scratch, "%s has no TCP port %s: requests will get 503",
                             s->object.title, port));
    if (s->service.type == PG_SERVICE_EXTERNAL_NAME || s->service.type == PG_SERVICE_HEADLESS)
        warn(load, in, &path->source, PG_CODE_UNSUPPORTED,
             pg_arena_printf(scratch, "%s is of type %s: it has no service address to send to",
                             s->object.title, pg_service_type_name(s->service.type)));
}

/* Of any Ingress: the hosts of one name share a certificate. */
static bool has_certificate(const struct pg_load *load, const char *host)
{
    const struct pg_tls_host *h = pg_tls_host_of(load, host);
    return h != NULL && !h->passthrough;
}

/* As ingress-nginx: one Ingress of a host with use-regex or rewrite-target, and all paths of the host are expressions. */
static void note_hosts(struct pg_load *load)
{
    const struct pg_source *where = NULL;
    for (uint32_t i = 0; i < load->ingresses.count; i++) {
        const struct pg_raw_ingress *in =
            PG_LIST_POINTER(load->ingresses, const struct pg_raw_ingress, i);
        if (!in->served || in->canary.on)
            continue;
        for (uint32_t j = 0; j < in->rule_count && pg_annotations_regex(in, &where); j++)
            pg_index_add(&load->regex_hosts, in->rules[j].host, strlen(in->rules[j].host), i);
    }
}

/* Made once per Ingress and kind of host. */
static void filters_find(struct pg_load *load, uint32_t ingress, bool tls, struct pg_route *r)
{
    struct pg_raw_ingress *in = PG_LIST_POINTER(load->ingresses, struct pg_raw_ingress, ingress);
    struct pg_raw_filters *made = &in->made[tls];
    if (!made->done)
        pg_derive_filters(load, in, tls, &made->first, &made->count);
    made->done = true;
    r->filter_first = made->first;
    r->filter_count = made->count;
}

/* Turns the route into an expression if its host's paths are; wrong ones are told, and match nothing. false: leave it out. */
static bool regex_apply(struct pg_load *load, const struct pg_raw_ingress *in, struct candidate *c)
{
    char why[160];
    const struct pg_source *where = NULL;
    struct pg_route *r = &c->route;
    uint32_t by = pg_index_find(&load->regex_hosts, r->host, strlen(r->host));
    if (r->rule == 0 || by == PG_INDEX_ABSENT)
        return true;
    const struct pg_raw_ingress *cause =
        PG_LIST_POINTER(load->ingresses, const struct pg_raw_ingress, by);
    (void)pg_annotations_regex(cause, &where);
    if (cause != in || r->path_type == PG_PATH_EXACT)
        pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_REGEX, in->object.title, "spec.rules",
                       &r->source,
                       "\"%.80s\" is read as a regular expression, whatever its pathType: %s "
                       "(%s:%u) makes all paths of the host so",
                       r->path, cause->object.title, where->file, where->line);
    r->path_type = PG_PATH_REGEX_BEGIN;
    c->path_len = strlen(r->path);
    struct pg_pattern *p = pg_pattern_new(r->path, PG_PATTERN_BEGIN_NOCASE, why);
    pg_pattern_free(p);
    if (p == NULL)
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, in->object.title, "spec.rules",
                       &r->source, "\"%.80s\" is no regular expression: %s", r->path, why);
    return p != NULL;
}

static void route_add(struct pg_load *load, struct pg_list *all, uint32_t ingress,
                      const struct pg_raw_rule *rule, uint32_t rule_number,
                      const struct pg_raw_path *path)
{
    const struct pg_raw_ingress *in =
        PG_LIST_POINTER(load->ingresses, const struct pg_raw_ingress, ingress);
    struct candidate c = {
        .created = in->object.created, .turn = all->count, .column = path->column};
    size_t len = strlen(path->path);
    c.path_len =
        path->type != PG_PATH_EXACT && len > 0 && path->path[len - 1] == '/' ? len - 1 : len;
    c.route = (struct pg_route){
        .host = rule == NULL ? "" : rule->host,
        .path = path->path,
        .path_type = path->type,
        .object = in->object.title,
        .ingress = ingress,
        .listener = PG_INDEX_NONE,
        .split = 1,
        .weight = 1,
        .weights = 1,
        .rule = rule_number,
        .source = path->source,
        .host_source = rule == NULL ? (struct pg_source){"", 0} : rule->source,
    };
    c.host_class = c.route.host[0] == '\0' ? 2 : c.route.host[0] == '*' ? 1 : 0;
    if (!regex_apply(load, in, &c))
        return;
    backend_find(load, in, path, &c.route);
    filters_find(load, ingress, has_certificate(load, c.route.host), &c.route);
    *(struct candidate *)pg_list_add(all) = c;
}

static int ingress_order(const void *a, const void *b)
{
    return pg_object_compare(&(*(struct pg_raw_ingress *const *)a)->object,
                             &(*(struct pg_raw_ingress *const *)b)->object);
}

/* Canaries take requests of other objects' paths, and have none of their own. */
static void collect(struct pg_load *load, struct pg_list *mains, struct pg_list *canaries)
{
    for (uint32_t i = 0; i < load->ingresses.count; i++) {
        const struct pg_raw_ingress *in =
            PG_LIST_POINTER(load->ingresses, const struct pg_raw_ingress, i);
        bool fallback = in->fallback.service[0] != '\0' || in->fallback.resource[0] != '\0';
        struct pg_list *all = in->canary.on ? canaries : mains;
        if (!in->served)
            continue;
        for (uint32_t j = 0; j < in->rule_count; j++) {
            const struct pg_raw_rule *rule = &in->rules[j];
            for (uint32_t k = 0; k < rule->path_count; k++)
                route_add(load, all, i, rule, j + 1, &rule->paths[k]);
            if (rule->path_count == 0 && fallback) { /* a host alone goes to the default backend */
                struct pg_raw_path path = in->fallback;
                path.source = rule->source;
                route_add(load, all, i, rule, j + 1, &path);
            }
        }
        if (fallback)
            route_add(load, all, i, NULL, 0, &in->fallback);
    }
}

/* With its canary, if there is one. */
static void winner_add(struct pg_load *load, const struct candidate *c,
                       const struct pg_list *canaries)
{
    for (uint32_t i = 0; i < canaries->count; i++) {
        struct candidate *canary = PG_LIST_AT(*canaries, struct candidate, i);
        if (canary->taken || candidate_same(c, canary) != 0)
            continue;
        canary->taken = true;
        pg_canary_lines(
            load, &c->route, &canary->route,
            &PG_LIST_POINTER(load->ingresses, const struct pg_raw_ingress, canary->route.ingress)
                 ->canary);
        return;
    }
    *(struct pg_route *)pg_list_add(&load->routes) = c->route;
}

static void tell_idle_canaries(struct pg_load *load, const struct pg_list *canaries)
{
    for (uint32_t i = 0; i < canaries->count; i++) {
        const struct candidate *c = PG_LIST_AT(*canaries, const struct candidate, i);
        if (!c->taken)
            warn(load, PG_LIST_POINTER(load->ingresses, struct pg_raw_ingress, c->route.ingress),
                 &c->route.source, PG_CODE_DANGLING,
                 "no other Ingress has this host and path, or it has a canary already: this one "
                 "gets no requests");
    }
}

void pg_derive_routes(struct pg_load *load)
{
    struct pg_list all = PG_LIST(&load->scratch, struct candidate);
    struct pg_list canaries = PG_LIST(&load->scratch, struct candidate);
    load->routes = PG_LIST(&load->scratch, struct pg_route);
    if (load->ingresses.count > 1)
        qsort(load->ingresses.at, load->ingresses.count, sizeof(void *), ingress_order);
    pg_derive_classes(load);
    pg_derive_tls(load);
    note_hosts(load);
    collect(load, &all, &canaries);
    if (all.count > 1)
        qsort(all.at, all.count, sizeof(struct candidate), candidate_compare);
    const struct candidate *winner = NULL;
    for (uint32_t i = 0; i < all.count; i++) {
        const struct candidate *c = PG_LIST_AT(all, const struct candidate, i);
        if (winner != NULL && candidate_same(winner, c) == 0) {
            const struct pg_object *o =
                &PG_LIST_POINTER(load->ingresses, struct pg_raw_ingress, c->route.ingress)->object;
            const struct pg_object *first =
                &PG_LIST_POINTER(load->ingresses, struct pg_raw_ingress, winner->route.ingress)
                     ->object;
            pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, o->title,
                           c->route.rule == 0 ? "spec.defaultBackend" : "spec.rules",
                           c->route.source.line > 0 ? &c->route.source : &o->source,
                           "host \"%s\" path \"%s\" is already that of %s (%s:%u), which wins",
                           c->route.host, c->route.path, first->title, winner->route.source.file,
                           winner->route.source.line);
            continue;
        }
        winner = c;
        winner_add(load, c, &canaries);
    }
    tell_idle_canaries(load, &canaries);
    pg_derive_http_routes(load);
}
