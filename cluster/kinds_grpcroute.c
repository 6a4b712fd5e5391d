/* GRPCRoute of Gateway API: an HTTPRoute whose paths are made of services and methods.
 *
 * Called by kinds.c; adds to load->http_routes. A call to method M of service S is a request for "/S/M", so a match becomes one of that path: Exact with both
 * names, PathPrefix with the service alone, an expression with the method alone or where the names are expressions. The order in which matches are tried is thereby
 * the specification's: longer services first, then longer methods, then headers. Pods are
 * spoken to in HTTP/2, whatever the port of their Service says. */
#include "gateway.h"

#include "podglass/pattern.h"

#include <string.h>

static const struct pg_known rule_fields[] = {
    {"name", NULL},
    {"matches", NULL},
    {"filters", NULL},
    {"backendRefs", NULL},
    {"sessionPersistence", "sessions are not kept with one pod"},
    {NULL, NULL}};
static const struct pg_known match_fields[] = {{"method", NULL}, {"headers", NULL}, {NULL, NULL}};

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789"

static void name_check(const struct pg_field *f, const char *name, const char *letters)
{
    if (strspn(name, letters) < strlen(name))
        pg_field_error(f, "\"%.80s\" is no name of gRPC", name);
}

static void path_of_expressions(const struct pg_field *method, const char *service,
                                const char *name, struct pg_raw_match *m)
{
    char why[160];
    m->type = PG_PATH_REGEX_WHOLE;
    m->path =
        pg_arena_printf(&method->load->scratch, "/(?:%s)/(?:%s)",
                        service[0] == '\0' ? "[^/]+" : service, name[0] == '\0' ? "[^/]+" : name);
    struct pg_pattern *p = pg_pattern_new(m->path, PG_PATTERN_WHOLE, why);
    if (p == NULL)
        pg_field_error(method, "service and method are no regular expressions: %s", why);
    pg_pattern_free(p);
}

static void method_read(const struct pg_field *match, struct pg_raw_match *m)
{
    static const char *const types[] = {"Exact", "RegularExpression", NULL};
    struct pg_field method = pg_field_get(match, "method");
    struct pg_field type = pg_field_get(&method, "type");
    struct pg_field service = pg_field_get(&method, "service");
    struct pg_field name = pg_field_get(&method, "method");
    const char *s = pg_field_text(&service, "");
    const char *n = pg_field_text(&name, "");
    m->path = "/";
    m->type = PG_PATH_PREFIX;
    (void)pg_field_map(&method);
    if (!pg_field_is(&method))
        return;
    m->source = pg_field_source(&method);
    if (s[0] == '\0' && n[0] == '\0') {
        pg_field_error(&method, "needs service, method or both");
    } else if (pg_field_enum(&type, types, 0) == 1) {
        path_of_expressions(&method, s, n, m);
    } else {
        name_check(&service, s, LETTERS ".");
        name_check(&name, n, LETTERS);
        if (s[0] == '\0') {
            path_of_expressions(&method, "", n, m);
            return;
        }
        m->type = n[0] == '\0' ? PG_PATH_PREFIX : PG_PATH_EXACT;
        m->path = pg_arena_printf(&match->load->scratch, n[0] == '\0' ? "/%s%s" : "/%s/%s", s, n);
    }
}

static void match_read(const struct pg_field *f, struct pg_raw_match *m)
{
    (void)pg_field_map(f);
    pg_field_known(f, match_fields, false);
    m->source = pg_field_source(f);
    m->test_first = f->load->tests.count;
    m->headers = pg_gateway_headers_read(f, m);
    m->test_count = f->load->tests.count - m->test_first;
    method_read(f, m);
}

/* Those of an HTTPRoute that change a path or answer are no filters of a GRPCRoute. */
static void filters_check(const struct pg_field *filters)
{
    static const char *const known[] = {"RequestHeaderModifier", "ResponseHeaderModifier",
                                        "RequestMirror", "ExtensionRef", NULL};
    uint32_t count = pg_field_list(filters);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(filters, i);
        struct pg_field type = pg_field_get(&item, "type");
        const char *name = pg_field_text(&type, "");
        const char *const *k = known;
        while (*k != NULL && strcmp(*k, name) != 0)
            k++;
        if (*k == NULL)
            pg_field_error(&type, "a GRPCRoute has no filter of type %.60s", name);
    }
}

static void rule_read(const struct pg_field *f, const struct pg_object *object,
                      struct pg_raw_http_rule *r)
{
    struct pg_field matches = pg_field_get(f, "matches");
    struct pg_field filters = pg_field_get(f, "filters");
    (void)pg_field_map(f);
    pg_field_known(f, rule_fields, false);
    r->source = pg_field_source(f);
    uint32_t written = pg_field_list(&matches);
    pg_gateway_matches_none(f->load, r, written);
    for (uint32_t i = 0; i < written; i++) {
        struct pg_field item = pg_field_item(&matches, i);
        match_read(&item, &r->matches[i]);
    }
    r->filters = PG_LIST(&f->load->scratch, struct pg_route_filter);
    filters_check(&filters);
    pg_http_filters_read(&filters, false, &r->filters);
    *(struct pg_route_filter *)pg_list_add(&r->filters) =
        (struct pg_route_filter){.kind = PG_FILTER_H2C,
                                 .number = 1,
                                 .name = "",
                                 .value = "",
                                 .host = "",
                                 .object = object->title,
                                 .field = "kind",
                                 .text = "GRPCRoute",
                                 .source = object->source};
    pg_gateway_backends_read(f, object, false, r);
}

void pg_kinds_grpc_route(struct pg_load *load, const struct pg_object *object)
{
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field rules = pg_field_get(&spec, "rules");
    struct pg_raw_http_route *r = pg_gateway_route_new(load, object, PG_ROUTE_KIND_GRPC, &spec);
    for (uint32_t i = 0; i < r->rule_count; i++) {
        struct pg_field none = {.load = load, .object = object};
        struct pg_field item = pg_field_is(&rules) ? pg_field_item(&rules, i) : none;
        rule_read(&item, object, &r->rules[i]);
    }
}
