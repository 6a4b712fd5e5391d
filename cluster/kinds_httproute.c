/* HTTPRoute of Gateway API: parents, host names, rules with matches, filters and backends.
 *
 * Called by kinds.c; adds to load->http_routes. What the other kinds of routes have in common with it is read here for them, too. What an API server would refuse is an error here; names are looked up by derive_httproute.c. */
#include "gateway.h"

#include "podglass/pattern.h"

#include <string.h>

static const struct pg_known spec_fields[] = {
    {"parentRefs", NULL},
    {"hostnames", NULL},
    {"rules", NULL},
    {"useDefaultGateways", "there is no default Gateway: name it in parentRefs"},
    {NULL, NULL}};
static const struct pg_known rule_fields[] = {
    {"name", NULL},
    {"matches", NULL},
    {"filters", NULL},
    {"backendRefs", NULL},
    {"timeouts", NULL},
    {"retry", "retries follow podglass' own rules"},
    {"sessionPersistence", "sessions are not kept with one pod"},
    {NULL, NULL}};
static const struct pg_known match_fields[] = {
    {"path", NULL}, {"headers", NULL}, {"queryParams", NULL}, {"method", NULL}, {NULL, NULL}};
static const struct pg_known timeout_fields[] = {
    {"request", NULL}, {"backendRequest", NULL}, {NULL, NULL}};

/* ---- references ---- */

static bool group_is(const struct pg_field *ref, const char *group, const char *fallback)
{
    struct pg_field f = pg_field_get(ref, "group");
    return strcmp(pg_field_text(&f, fallback), group) == 0;
}

static void parent_read(const struct pg_field *f, const struct pg_object *object,
                        struct pg_raw_parent *p)
{
    struct pg_field kind = pg_field_get(f, "kind");
    struct pg_field namespace = pg_field_get(f, "namespace");
    struct pg_field name = pg_field_get(f, "name");
    struct pg_field section = pg_field_get(f, "sectionName");
    struct pg_field port = pg_field_get(f, "port");
    (void)pg_field_map(f);
    if (!pg_field_is(&name))
        pg_field_error(&name, "a parent needs a name");
    p->other = strcmp(pg_field_text(&kind, "Gateway"), "Gateway") != 0 ||
               !group_is(f, PG_GATEWAY_GROUP, PG_GATEWAY_GROUP);
    p->namespace = pg_field_dns_name(&namespace, PG_NAME_LABEL, object->namespace);
    p->name = pg_field_dns_name(&name, PG_NAME_SUBDOMAIN, "");
    p->section = pg_field_text(&section, "");
    p->port = (uint16_t)pg_field_int(&port, 1, 65535, 0);
    p->source = pg_field_source(pg_field_is(&name) ? &name : f);
    if (p->other)
        pg_field_warn(f, PG_CODE_UNSUPPORTED,
                      "a parent that is no Gateway: the route is not attached to it");
}

static void backend_read(const struct pg_field *f, const struct pg_object *object, bool prefix,
                         struct pg_raw_backend *b)
{
    struct pg_field kind = pg_field_get(f, "kind");
    struct pg_field namespace = pg_field_get(f, "namespace");
    struct pg_field name = pg_field_get(f, "name");
    struct pg_field port = pg_field_get(f, "port");
    struct pg_field weight = pg_field_get(f, "weight");
    struct pg_field filters = pg_field_get(f, "filters");
    const char *kind_name = pg_field_text(&kind, "Service");
    (void)pg_field_map(f);
    if (!pg_field_is(&name))
        pg_field_error(&name, "a backend needs a name");
    b->namespace = pg_field_dns_name(&namespace, PG_NAME_LABEL, object->namespace);
    b->name = pg_field_text(&name, "");
    b->port = (uint16_t)pg_field_int(&port, 1, 65535, 0);
    b->weight = (uint32_t)pg_field_int(&weight, 0, 1000000, 1);
    if (strcmp(kind_name, "Service") != 0 || !group_is(f, "", ""))
        b->wrong_kind = kind_name;
    else if (!pg_field_is(&port))
        pg_field_error(&port, "a Service as backend needs a port");
    b->filters = PG_LIST(&f->load->scratch, struct pg_route_filter);
    pg_http_filters_read(&filters, prefix, &b->filters);
    b->source = pg_field_source(pg_field_is(&name) ? &name : f);
}

/* ---- matches ---- */

static void pattern_check(const struct pg_field *f, const char *text)
{
    char why[160];
    struct pg_pattern *p = pg_pattern_new(text, PG_PATTERN_WHOLE, why);
    if (p == NULL)
        pg_field_error(f, "\"%.80s\" is no regular expression: %s", text, why);
    pg_pattern_free(p);
}

/* What an API server refuses in a path of type Exact or PathPrefix. */
static void path_check(const struct pg_field *f, const char *path)
{
    static const char *const bad[] = {"//", "/./", "/../", "%2f", "%2F", "#", NULL};
    size_t len = strlen(path);
    if (path[0] != '/')
        pg_field_error(f, "\"%.80s\" must begin with /", path);
    for (const char *const *b = bad; *b != NULL; b++) {
        if (strstr(path, *b) != NULL)
            pg_field_error(f, "\"%.80s\" must not hold %s", path, *b);
    }
    if ((len >= 2 && strcmp(path + len - 2, "/.") == 0) ||
        (len >= 3 && strcmp(path + len - 3, "/..") == 0))
        pg_field_error(f, "\"%.80s\" must not end with /. or /..", path);
}

static void path_read(const struct pg_field *match, struct pg_raw_match *m)
{
    static const char *const types[] = {"PathPrefix", "Exact", "RegularExpression", NULL};
    static const enum pg_path_type values[] = {PG_PATH_PREFIX, PG_PATH_EXACT, PG_PATH_REGEX_WHOLE};
    struct pg_field path = pg_field_get(match, "path");
    struct pg_field type = pg_field_get(&path, "type");
    struct pg_field value = pg_field_get(&path, "value");
    (void)pg_field_map(&path);
    m->type = values[pg_field_enum(&type, types, 0)];
    m->path = pg_field_text(&value, "/");
    if (m->type == PG_PATH_REGEX_WHOLE)
        pattern_check(&value, m->path);
    else
        path_check(&value, m->path);
    if (m->path[0] != '/' && m->type != PG_PATH_REGEX_WHOLE)
        m->path = "/";
    if (pg_field_is(&value))
        m->source = pg_field_source(&value);
}

static const char *lower(struct pg_load *load, const char *text)
{
    size_t len = strlen(text);
    char *copy = pg_arena_text(&load->scratch, text, len);
    for (size_t i = 0; i < len; i++)
        copy[i] = (char)(copy[i] >= 'A' && copy[i] <= 'Z' ? copy[i] | 0x20 : copy[i]);
    return copy;
}

/* Of several tests of one name the first counts, as the specification says. */
static bool named_before(const struct pg_load *load, const struct pg_raw_match *m,
                         enum pg_route_test_kind kind, const char *name)
{
    for (uint32_t i = m->test_first; i < load->tests.count; i++) {
        const struct pg_route_test *t = PG_LIST_AT(load->tests, const struct pg_route_test, i);
        if (t->kind == kind && strcmp(t->name, name) == 0)
            return true;
    }
    return false;
}

static uint32_t tests_read(const struct pg_field *match, const char *field,
                           enum pg_route_test_kind kind, struct pg_raw_match *m)
{
    static const char *const types[] = {"Exact", "RegularExpression", NULL};
    struct pg_load *load = match->load;
    struct pg_field list = pg_field_get(match, field);
    uint32_t count = pg_field_list(&list);
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(&list, i);
        struct pg_field type = pg_field_get(&item, "type");
        struct pg_field name = pg_field_get(&item, "name");
        struct pg_field value = pg_field_get(&item, "value");
        (void)pg_field_map(&item);
        if (!pg_field_is(&name) || !pg_field_is(&value))
            pg_field_error(&item, "needs name and value");
        struct pg_route_test t = {.kind = kind,
                                  .regex = pg_field_enum(&type, types, 0) == 1,
                                  .name = pg_field_text(&name, ""),
                                  .value = pg_field_text(&value, "")};
        if (kind == PG_TEST_HEADER)
            t.name = lower(load, t.name);
        if (t.regex)
            pattern_check(&value, t.value);
        if (named_before(load, m, kind, t.name))
            continue;
        *(struct pg_route_test *)pg_list_add(&load->tests) = t;
        used++;
    }
    return used;
}

uint32_t pg_gateway_headers_read(const struct pg_field *match, struct pg_raw_match *m)
{
    return tests_read(match, "headers", PG_TEST_HEADER, m);
}

static void match_read(const struct pg_field *f, struct pg_raw_match *m)
{
    static const char *const methods[] = {"GET",     "HEAD",    "POST",  "PUT",   "DELETE",
                                          "CONNECT", "OPTIONS", "TRACE", "PATCH", NULL};
    struct pg_load *load = f->load;
    struct pg_field method = pg_field_get(f, "method");
    (void)pg_field_map(f);
    pg_field_known(f, match_fields, false);
    m->source = pg_field_source(f);
    m->test_first = load->tests.count;
    m->method = pg_field_is(&method);
    if (m->method) {
        int which = pg_field_enum(&method, methods, 0);
        *(struct pg_route_test *)pg_list_add(&load->tests) =
            (struct pg_route_test){.kind = PG_TEST_METHOD, .name = "", .value = methods[which]};
    }
    m->headers = pg_gateway_headers_read(f, m);
    m->queries = tests_read(f, "queryParams", PG_TEST_QUERY, m);
    m->test_count = load->tests.count - m->test_first;
    path_read(f, m);
}

/* ---- rules ---- */

static void timeouts_read(const struct pg_field *rule, struct pg_list *filters)
{
    static const char *const names[] = {"request", "backendRequest"};
    struct pg_field timeouts = pg_field_get(rule, "timeouts");
    uint64_t ms[2] = {0, 0};
    (void)pg_field_map(&timeouts);
    pg_field_known(&timeouts, timeout_fields, false);
    for (size_t i = 0; i < 2; i++) {
        struct pg_field f = pg_field_get(&timeouts, names[i]);
        if (!pg_gateway_duration(&f, &ms[i]) || ms[i] == 0)
            continue;
        *(struct pg_route_filter *)pg_list_add(filters) = (struct pg_route_filter){
            .kind = PG_FILTER_WHOLE_TIMEOUT,
            .number = ms[i],
            .name = "",
            .value = "",
            .object = rule->object->title,
            .field = i == 0 ? "timeouts.request" : "timeouts.backendRequest",
            .text = pg_field_text(&f, ""),
            .source = pg_field_source(&f)};
    }
    struct pg_field backend = pg_field_get(&timeouts, "backendRequest");
    if (ms[0] > 0 && ms[1] > ms[0])
        pg_field_error(&backend, "must not be longer than request");
}

void pg_gateway_matches_none(struct pg_load *load, struct pg_raw_http_rule *r, uint32_t count)
{
    r->match_count = count == 0 ? 1 : count;
    r->matches = pg_arena_array(&load->scratch, r->match_count, sizeof(*r->matches));
    r->matches[0] = (struct pg_raw_match){
        .path = "/", .type = PG_PATH_PREFIX, .test_first = load->tests.count, .source = r->source};
}

void pg_gateway_backends_read(const struct pg_field *rule, const struct pg_object *object,
                              bool prefix, struct pg_raw_http_rule *r)
{
    struct pg_field backends = pg_field_get(rule, "backendRefs");
    r->backend_count = pg_field_list(&backends);
    if (r->answers && r->backend_count > 0)
        pg_field_error(&backends, "a rule with RequestRedirect has no backends");
    r->backends = pg_arena_array(&rule->load->scratch, r->backend_count, sizeof(*r->backends));
    for (uint32_t i = 0; i < r->backend_count; i++) {
        struct pg_field item = pg_field_item(&backends, i);
        backend_read(&item, object, prefix, &r->backends[i]);
    }
}

static void rule_read(const struct pg_field *f, const struct pg_object *object,
                      struct pg_raw_http_rule *r)
{
    struct pg_load *load = f->load;
    struct pg_field matches = pg_field_get(f, "matches");
    struct pg_field filters = pg_field_get(f, "filters");
    (void)pg_field_map(f);
    pg_field_known(f, rule_fields, false);
    r->source = pg_field_source(f);
    uint32_t written = pg_field_list(&matches);
    pg_gateway_matches_none(load, r, written);
    bool prefix = true;
    for (uint32_t i = 0; i < written; i++) {
        struct pg_field item = pg_field_item(&matches, i);
        match_read(&item, &r->matches[i]);
        prefix = prefix && r->matches[i].type == PG_PATH_PREFIX;
    }
    r->filters = PG_LIST(&load->scratch, struct pg_route_filter);
    pg_http_filters_read(&filters, prefix, &r->filters);
    for (uint32_t i = 0; i < r->filters.count; i++)
        r->answers = r->answers || PG_LIST_AT(r->filters, struct pg_route_filter, i)->kind ==
                                       PG_FILTER_REDIRECT_PARTS;
    timeouts_read(f, &r->filters);
    pg_gateway_backends_read(f, object, prefix, r);
}

static void hostnames_read(const struct pg_field *spec, struct pg_raw_http_route *r)
{
    struct pg_arena *scratch = &spec->load->scratch;
    struct pg_field hostnames = pg_field_get(spec, "hostnames");
    uint32_t count = pg_field_list(&hostnames);
    r->hostnames = pg_arena_array(scratch, count, sizeof(*r->hostnames));
    r->hostname_sources = pg_arena_array(scratch, count, sizeof(*r->hostname_sources));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(&hostnames, i);
        const char *host = pg_gateway_hostname(&item);
        if (host[0] == '\0')
            continue;
        r->hostnames[r->hostname_count] = host;
        r->hostname_sources[r->hostname_count++] = pg_field_source(&item);
    }
}

struct pg_raw_http_route *pg_gateway_route_new(struct pg_load *load, const struct pg_object *object,
                                               enum pg_gateway_route_kind kind,
                                               const struct pg_field *spec)
{
    struct pg_raw_http_route *r = pg_arena_alloc(&load->scratch, sizeof(*r));
    struct pg_field parents = pg_field_get(spec, "parentRefs");
    struct pg_field rules = pg_field_get(spec, "rules");
    (void)pg_field_map(spec);
    pg_field_known(spec, spec_fields, false);
    r->object = *object;
    r->kind = kind;
    r->parent_count = pg_field_list(&parents);
    r->parents = pg_arena_array(&load->scratch, r->parent_count, sizeof(*r->parents));
    for (uint32_t i = 0; i < r->parent_count; i++) {
        struct pg_field item = pg_field_item(&parents, i);
        parent_read(&item, object, &r->parents[i]);
    }
    hostnames_read(spec, r);
    uint32_t written = pg_field_list(&rules);
    r->rule_count = written == 0 ? 1 : written;
    r->rules = pg_arena_array(&load->scratch, r->rule_count, sizeof(*r->rules));
    pg_list_add_pointer(&load->http_routes, r);
    return r;
}

void pg_kinds_http_route(struct pg_load *load, const struct pg_object *object)
{
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field rules = pg_field_get(&spec, "rules");
    struct pg_raw_http_route *r = pg_gateway_route_new(load, object, PG_ROUTE_KIND_HTTP, &spec);
    for (uint32_t i = 0; i < r->rule_count; i++) {
        struct pg_field none = {.load = load, .object = object};
        struct pg_field item = pg_field_is(&rules) ? pg_field_item(&rules, i) : none;
        rule_read(&item, object, &r->rules[i]);
    }
}
