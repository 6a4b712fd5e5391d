/* Ingress: rules, backends and hosts with a certificate; annotations.c reads what is beside them.
 *
 * Called by kinds.c; adds to load->ingresses. Backends are names here; derive_routes.c looks them
 * up. */
#include "annotations.h"

#include <string.h>

static const struct pg_known spec_fields[] = {{"ingressClassName", NULL},
                                              {"rules", NULL},
                                              {"defaultBackend", NULL},
                                              {"tls", NULL},
                                              {NULL, NULL}};
static const struct pg_known rule_fields[] = {{"host", NULL}, {"http", NULL}, {NULL, NULL}};
static const struct pg_known path_fields[] = {
    {"path", NULL}, {"pathType", NULL}, {"backend", NULL}, {NULL, NULL}};
static const struct pg_known backend_fields[] = {
    {"service", NULL}, {"resource", NULL}, {NULL, NULL}};

/* What it is only its controller knows: requests are refused. */
static void resource_read(const struct pg_field *f, struct pg_raw_path *p)
{
    struct pg_field kind = pg_field_get(f, "kind");
    struct pg_field name = pg_field_get(f, "name");
    (void)pg_field_map(f);
    p->resource = pg_arena_printf(&f->load->scratch, "%s/%s", pg_field_text(&kind, "?"),
                                  pg_field_text(&name, "?"));
    pg_field_warn(f, PG_CODE_UNSUPPORTED, "resource backends are refused: requests will get 503");
}

static void backend_read(const struct pg_field *f, struct pg_raw_path *p)
{
    p->service = p->port_name = p->resource = "";
    pg_field_known(f, backend_fields, false);
    struct pg_field service = pg_field_get(f, "service");
    struct pg_field name = pg_field_get(&service, "name");
    struct pg_field port = pg_field_get(&service, "port");
    struct pg_field number = pg_field_get(&port, "number");
    struct pg_field port_name = pg_field_get(&port, "name");
    struct pg_field resource = pg_field_get(f, "resource");
    struct pg_field old = pg_field_get(f, "serviceName");
    if (pg_field_is(&resource) && pg_field_is(&service))
        pg_field_error(&resource, "a backend is a service or a resource, not both");
    else if (pg_field_is(&resource))
        resource_read(&resource, p);
    if (pg_field_map(&service) == 0) {
        if (!pg_field_is(&resource) && !pg_field_is(&service))
            pg_field_error(&service, "a backend needs a service%s",
                           pg_field_is(&old)
                               ? " with name and port: serviceName and servicePort are of v1beta1"
                               : "");
        return;
    }
    if (!pg_field_is(&name))
        pg_field_error(&name, "a backend needs the name of a service");
    p->service = pg_field_dns_name(&name, PG_NAME_LABEL, "");
    (void)pg_field_map(&port);
    p->port = (uint16_t)pg_field_int(&number, 1, 65535, 0);
    p->port_name = pg_field_dns_name(&port_name, PG_NAME_LABEL, "");
    if (pg_field_is(&number) == pg_field_is(&port_name))
        pg_field_error(&port, "expected either a name or a number");
}

/* What an API server refuses in a path of type Exact or Prefix. */
static void path_check(const struct pg_field *f, const char *path)
{
    static const char *const bad[] = {"//", "/./", "/../", "%2f", "%2F", NULL};
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

static void path_read(const struct pg_field *f, struct pg_raw_path *p)
{
    static const char *const types[] = {"Prefix", "Exact", "ImplementationSpecific", NULL};
    static const enum pg_path_type values[] = {PG_PATH_PREFIX, PG_PATH_EXACT,
                                               PG_PATH_IMPLEMENTATION};
    pg_field_known(f, path_fields, false);
    (void)pg_field_map(f);
    struct pg_field path = pg_field_get(f, "path");
    struct pg_field type = pg_field_get(f, "pathType");
    struct pg_field backend = pg_field_get(f, "backend");
    const struct pg_field *where = pg_field_is(&path) ? &path : f;
    p->path = pg_field_text(&path, "");
    p->source = pg_field_source(where);
    p->column = where->tree == NULL ? 0 : where->tree->column;
    if (!pg_field_is(&type))
        pg_field_error(&type, "expected Prefix, Exact or ImplementationSpecific");
    p->type = values[pg_field_enum(&type, types, 0)];
    if (p->type != PG_PATH_IMPLEMENTATION || p->path[0] != '\0') {
        if (!pg_field_is(&path))
            pg_field_error(&path, "needed for this pathType");
        else if (path.tree->kind == PG_TREE_SCALAR && p->type != PG_PATH_IMPLEMENTATION)
            path_check(&path, p->path);
        else if (p->path[0] != '/')
            pg_field_error(&path, "\"%.80s\" must begin with /", p->path);
    }
    if (p->path[0] != '/')
        p->path = "/";
    backend_read(&backend, p);
}

const char *pg_kinds_host(const struct pg_field *f)
{
    const char *host = pg_field_text(f, "");
    const char *rest = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
    struct pg_addr a;
    if (host[0] == '\0')
        return "";
    if (pg_addr_parse(host, strlen(host), &a) == 0)
        pg_field_error(f, "\"%.80s\" is an address: expected a host name", host);
    else if (strchr(host, ':') != NULL)
        pg_field_error(f, "\"%.80s\" must not hold a port", host);
    else if (!pg_name_ok(rest, PG_NAME_SUBDOMAIN))
        pg_field_error(f, "\"%.80s\" is not a host name in lower case (or *. and one)", host);
    else
        return host;
    return "";
}

static void rule_read(const struct pg_field *f, struct pg_raw_rule *r)
{
    pg_field_known(f, rule_fields, false);
    (void)pg_field_map(f);
    struct pg_field host = pg_field_get(f, "host");
    struct pg_field http = pg_field_get(f, "http");
    struct pg_field paths = pg_field_get(&http, "paths");
    r->host = pg_kinds_host(&host);
    r->source = pg_field_source(pg_field_is(&host) ? &host : f);
    r->path_count = pg_field_list(&paths);
    if (pg_field_is(&http) && r->path_count == 0)
        pg_field_error(&paths, "a rule with http needs at least one path");
    struct pg_raw_path *all = pg_arena_array(&f->load->scratch, r->path_count, sizeof(*all));
    for (uint32_t i = 0; i < r->path_count; i++) {
        struct pg_field item = pg_field_item(&paths, i);
        path_read(&item, &all[i]);
    }
    r->paths = all;
}

/* The annotation of old wins: controllers look at it first. */
static void class_read(const struct pg_field *f, struct pg_raw_ingress *in)
{
    const char *name = pg_field_dns_name(f, PG_NAME_SUBDOMAIN, "");
    if (in->class_name[0] != '\0') {
        if (pg_field_is(f) && strcmp(name, in->class_name) != 0)
            pg_field_warn(f, PG_CODE_DANGLING,
                          "the annotation kubernetes.io/ingress.class says \"%.60s\" and wins; an "
                          "API server takes only one of the two",
                          in->class_name);
        return;
    }
    in->class_name = name;
    in->class_source = pg_field_source(f);
}

void pg_kinds_ingress(struct pg_load *load, const struct pg_object *object)
{
    struct pg_raw_ingress *in = pg_arena_alloc(&load->scratch, sizeof(*in));
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field class_name = pg_field_get(&spec, "ingressClassName");
    struct pg_field rules = pg_field_get(&spec, "rules");
    struct pg_field fallback = pg_field_get(&spec, "defaultBackend");
    in->object = *object;
    in->class_name = "";
    in->class_field = "spec.ingressClassName";
    in->filters = PG_LIST(&load->scratch, struct pg_route_filter);
    pg_annotations_read(&root, in);
    class_read(&class_name, in);
    (void)pg_field_map(&spec);
    pg_field_known(&spec, spec_fields, false);
    in->fallback =
        (struct pg_raw_path){.path = "/", .service = "", .port_name = "", .resource = ""};
    if (pg_field_is(&fallback)) {
        backend_read(&fallback, &in->fallback);
        in->fallback.source = pg_field_source(&fallback);
    }
    pg_kinds_ingress_tls(&spec, in);
    in->rule_count = pg_field_list(&rules);
    if (in->rule_count == 0 && !pg_field_is(&fallback))
        pg_field_error(&rules, "an Ingress needs rules or a defaultBackend");
    struct pg_raw_rule *all = pg_arena_array(&load->scratch, in->rule_count, sizeof(*all));
    for (uint32_t i = 0; i < in->rule_count; i++) {
        struct pg_field item = pg_field_item(&rules, i);
        rule_read(&item, &all[i]);
    }
    in->rules = all;
    pg_list_add_pointer(&load->ingresses, in);
}
