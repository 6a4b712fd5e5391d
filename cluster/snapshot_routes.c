/* Routing, copied from a load into its snapshot: Ingress objects, routes and their filters.
 *
 * Called by snapshot.c. Indexes stay what they are: routes name Ingress objects and stretches of filters. */
#include "build.h"
#include "gateway.h"

#include <string.h>

const char *pg_build_text(struct pg_build *b, const char *text)
{
    size_t len = text == NULL ? 0 : strlen(text);
    if (len == 0)
        return "";
    uint32_t at = pg_index_find(&b->texts, text, len);
    if (at < b->kept.count && b->kept.at != NULL)
        return PG_LIST_POINTER(b->kept, const char, at);
    const char *copy = pg_arena_text(b->arena, text, len);
    pg_index_add(&b->texts, copy, len, b->kept.count);
    pg_list_add_pointer(&b->kept, copy);
    return copy;
}

struct pg_source pg_build_source(struct pg_build *b, struct pg_source from)
{
    return (struct pg_source){pg_build_text(b, from.file), from.line};
}

void *pg_build_array(struct pg_build *b, uint32_t count, size_t size)
{
    return pg_arena_array(b->arena, count, size);
}

const char *pg_path_type_name(enum pg_path_type t)
{
    static const char *const names[] = {"Prefix", "Exact", "ImplementationSpecific",
                                        "regular expression", "RegularExpression"};
    _Static_assert(sizeof(names) / sizeof(names[0]) == PG_PATH_TYPE_COUNT, "a name per type");
    return names[t];
}

static void keep_route(struct pg_build *b, struct pg_route *r)
{
    r->host = pg_build_text(b, r->host);
    r->path = pg_build_text(b, r->path);
    r->object = pg_build_text(b, r->object);
    r->backend_text = pg_build_text(b, r->backend_text);
    r->source = pg_build_source(b, r->source);
    r->host_source = pg_build_source(b, r->host_source);
    r->backend_source = pg_build_source(b, r->backend_source);
}

static void keep_filter(struct pg_build *b, struct pg_route_filter *f)
{
    struct pg_prefix *ranges = pg_build_array(b, f->range_count, sizeof(*ranges));
    if (f->range_count > 0)
        memcpy(ranges, f->ranges, f->range_count * sizeof(*ranges));
    f->ranges = ranges;
    f->name = pg_build_text(b, f->name);
    f->value = pg_build_text(b, f->value);
    f->host = pg_build_text(b, f->host);
    f->object = pg_build_text(b, f->object);
    f->field = pg_build_text(b, f->field);
    f->text = pg_build_text(b, f->text);
    f->source = pg_build_source(b, f->source);
}

static struct pg_condition condition(struct pg_build *b, const char *trouble,
                                     const char *trouble_reason, const char *fine)
{
    return (struct pg_condition){trouble == NULL,
                                 pg_build_text(b, trouble == NULL ? fine : trouble_reason),
                                 pg_build_text(b, trouble)};
}

static void build_gateways(struct pg_build *b)
{
    const struct pg_load *load = b->load;
    uint32_t total = 0;
    for (uint32_t i = 0; i < load->gateways.count; i++)
        total += PG_LIST_POINTER(load->gateways, struct pg_raw_gateway, i)->listener_count;
    struct pg_gateway *gateways = pg_build_array(b, load->gateways.count, sizeof(*gateways));
    struct pg_gateway_listener *listeners = pg_build_array(b, total, sizeof(*listeners));
    b->s->gateways = gateways;
    b->s->listeners = listeners;
    for (uint32_t i = 0; i < load->gateways.count; i++) {
        const struct pg_raw_gateway *g =
            PG_LIST_POINTER(load->gateways, const struct pg_raw_gateway, i);
        gateways[i] =
            (struct pg_gateway){.namespace = pg_build_text(b, g->object.namespace),
                                .name = pg_build_text(b, g->object.name),
                                .class_name = pg_build_text(b, g->class_name),
                                .listener_first = b->s->listener_count,
                                .listener_count = g->listener_count,
                                .accepted = condition(b, g->trouble, g->trouble_reason, "Accepted"),
                                .source = pg_build_source(b, g->object.source)};
        for (uint32_t j = 0; j < g->listener_count; j++) {
            const struct pg_raw_listener *l = &g->listeners[j];
            const char *trouble = g->trouble != NULL ? g->trouble : l->trouble;
            const char *reason = g->trouble != NULL ? g->trouble_reason : l->trouble_reason;
            listeners[b->s->listener_count++] = (struct pg_gateway_listener){
                .gateway = i,
                .name = pg_build_text(b, l->name),
                .hostname = pg_build_text(b, l->hostname),
                .port = l->port,
                .protocol = l->protocol,
                .attached = l->attached,
                .programmed = condition(b, trouble, reason, "Programmed"),
                .resolved = condition(b, l->unresolved, l->unresolved_reason, "ResolvedRefs"),
                .source = pg_build_source(b, l->source)};
        }
    }
    b->s->gateway_count = load->gateways.count;
}

static void build_http_routes(struct pg_build *b)
{
    const struct pg_load *load = b->load;
    struct pg_http_route *routes = pg_build_array(b, load->http_routes.count, sizeof(*routes));
    struct pg_route_parent *parents =
        pg_build_array(b, load->route_parents.count, sizeof(*parents));
    uint32_t first = 0;
    for (uint32_t i = 0; i < load->http_routes.count; i++) {
        const struct pg_raw_http_route *r =
            PG_LIST_POINTER(load->http_routes, const struct pg_raw_http_route, i);
        routes[i] = (struct pg_http_route){
            .kind = pg_gateway_route_kind_name(r->kind),
            .namespace = pg_build_text(b, r->object.namespace),
            .name = pg_build_text(b, r->object.name),
            .parent_first = first,
            .parent_count = r->parent_count,
            .resolved = condition(b, r->unresolved, r->unresolved_reason, "ResolvedRefs"),
            .source = pg_build_source(b, r->object.source)};
        first += r->parent_count;
    }
    for (uint32_t i = 0; i < load->route_parents.count; i++) {
        parents[i] = *PG_LIST_AT(load->route_parents, struct pg_route_parent, i);
        parents[i].gateway = pg_build_text(b, parents[i].gateway);
        parents[i].section = pg_build_text(b, parents[i].section);
        parents[i].accepted.reason = pg_build_text(b, parents[i].accepted.reason);
        parents[i].accepted.message = pg_build_text(b, parents[i].accepted.message);
        parents[i].source = pg_build_source(b, parents[i].source);
    }
    b->s->http_routes = routes;
    b->s->http_route_count = load->http_routes.count;
    b->s->route_parents = parents;
    b->s->route_parent_count = load->route_parents.count;
}

static void build_tests(struct pg_build *b)
{
    uint32_t count = b->load->tests.count;
    struct pg_route_test *tests = pg_build_array(b, count, sizeof(*tests));
    for (uint32_t i = 0; i < count; i++) {
        tests[i] = *PG_LIST_AT(b->load->tests, struct pg_route_test, i);
        tests[i].name = pg_build_text(b, tests[i].name);
        tests[i].value = pg_build_text(b, tests[i].value);
    }
    b->s->tests = tests;
    b->s->test_count = count;
}

static void build_backend_policies(struct pg_build *b)
{
    uint32_t count = b->load->policies.count;
    struct pg_backend_policy *all = pg_build_array(b, count, sizeof(*all));
    for (uint32_t i = 0; i < count; i++) {
        const struct pg_raw_backend_policy *p =
            PG_LIST_POINTER(b->load->policies, const struct pg_raw_backend_policy, i);
        struct pg_text targets = {0};
        const char **services = pg_build_array(b, p->target_count, sizeof(*services));
        for (uint32_t t = 0; t < p->target_count; t++)
            services[t] = pg_build_text(b, p->targets[t].name);
        for (uint32_t t = 0; t < p->target_count; t++)
            pg_text_printf(&targets, "%s%s%s%s", t > 0 ? ", " : "", p->targets[t].name,
                           p->targets[t].section[0] != '\0' ? ":" : "", p->targets[t].section);
        all[i] = (struct pg_backend_policy){
            .namespace = pg_build_text(b, p->object.namespace),
            .name = pg_build_text(b, p->object.name),
            .services = services,
            .service_count = p->target_count,
            .targets = pg_arena_text(b->arena, targets.at, targets.len),
            .hostname = pg_build_text(b, p->hostname),
            .trust = pg_build_text(b, p->trust),
            .accepted = condition(b, p->trouble, p->trouble_reason, "Accepted"),
            .resolved = condition(b, p->unresolved, p->unresolved_reason, "ResolvedRefs"),
            .source = pg_build_source(b, p->object.source)};
        pg_text_free(&targets);
    }
    b->s->backend_policies = all;
    b->s->backend_policy_count = count;
}

static void build_upstream_tls(struct pg_build *b)
{
    uint32_t count = b->load->upstream_tls.count;
    struct pg_upstream_tls *all = pg_build_array(b, count, sizeof(*all));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_upstream_tls *t = &all[i];
        *t = *PG_LIST_AT(b->load->upstream_tls, const struct pg_upstream_tls, i);
        struct pg_tls_name *names = pg_build_array(b, t->name_count, sizeof(*names));
        for (uint32_t n = 0; n < t->name_count; n++)
            names[n] = (struct pg_tls_name){t->names[n].uri, pg_build_text(b, t->names[n].text)};
        t->names = names;
        t->name = pg_build_text(b, t->name);
        t->ciphers = pg_build_text(b, t->ciphers);
        t->ca = pg_build_text(b, t->ca);
        t->ca_len = (uint32_t)strlen(t->ca);
        t->ca_text = pg_build_text(b, t->ca_text);
        t->trouble = pg_build_text(b, t->trouble);
        t->object = pg_build_text(b, t->object);
        t->field = pg_build_text(b, t->field);
        t->text = pg_build_text(b, t->text);
        t->source = pg_build_source(b, t->source);
    }
    b->s->upstream_tls = all;
    b->s->upstream_tls_count = count;
}

void pg_build_routes(struct pg_build *b)
{
    build_backend_policies(b);
    build_upstream_tls(b);
    build_gateways(b);
    build_http_routes(b);
    build_tests(b);
    const struct pg_load *load = b->load;
    struct pg_ingress *ingresses = pg_build_array(b, load->ingresses.count, sizeof(*ingresses));
    struct pg_route *routes = pg_build_array(b, load->routes.count, sizeof(*routes));
    struct pg_route_filter *filters = pg_build_array(b, load->filters.count, sizeof(*filters));
    for (uint32_t i = 0; i < load->ingresses.count; i++) {
        const struct pg_raw_ingress *from =
            PG_LIST_POINTER(load->ingresses, const struct pg_raw_ingress, i);
        ingresses[i] = (struct pg_ingress){
            pg_build_text(b, from->object.namespace), pg_build_text(b, from->object.name),
            pg_build_text(b, from->class_name), pg_build_source(b, from->object.source)};
    }
    for (uint32_t i = 0; i < load->routes.count; i++) {
        routes[i] = *PG_LIST_AT(load->routes, struct pg_route, i);
        keep_route(b, &routes[i]);
    }
    for (uint32_t i = 0; i < load->filters.count; i++) {
        filters[i] = *PG_LIST_AT(load->filters, struct pg_route_filter, i);
        keep_filter(b, &filters[i]);
    }
    b->s->ingresses = ingresses;
    b->s->ingress_count = load->ingresses.count;
    b->s->routes = routes;
    b->s->route_count = load->routes.count;
    b->s->filters = filters;
    b->s->filter_count = load->filters.count;
}
