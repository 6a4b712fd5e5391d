/* Routing, copied from a load into its snapshot: Ingress objects, routes and their filters.
 *
 * Called by snapshot.c. Indexes stay what they are: routes name Ingress objects and stretches of filters. */
#include "build.h"

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
}

static void keep_filter(struct pg_build *b, struct pg_route_filter *f)
{
    struct pg_prefix *ranges = pg_build_array(b, f->range_count, sizeof(*ranges));
    if (f->range_count > 0)
        memcpy(ranges, f->ranges, f->range_count * sizeof(*ranges));
    f->ranges = ranges;
    f->name = pg_build_text(b, f->name);
    f->value = pg_build_text(b, f->value);
    f->object = pg_build_text(b, f->object);
    f->field = pg_build_text(b, f->field);
    f->text = pg_build_text(b, f->text);
    f->source = pg_build_source(b, f->source);
}

void pg_build_routes(struct pg_build *b)
{
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
