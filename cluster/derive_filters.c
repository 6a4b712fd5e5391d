/* Filters: what is done to the requests of an Ingress, from its annotations and what its controller does unasked.
 *
 * Called by derive_routes.c, once for the hosts of an Ingress that have a certificate and once for those that have none. The result is sorted by
 * the order in which filters act; of two that say the same the one that is written wins. */
#include "annotations.h"

#include <string.h>

const struct pg_route_filter *pg_route_find_filter(const struct pg_snapshot *s,
                                                   const struct pg_route *route,
                                                   enum pg_filter_kind kind)
{
    for (uint32_t i = 0; i < route->filter_count; i++) {
        const struct pg_route_filter *f = &s->filters[route->filter_first + i];
        if (f->kind == kind)
            return f;
    }
    return NULL;
}

uint16_t pg_route_port(const struct pg_snapshot *s, const struct pg_route *route)
{
    return route->listener == PG_INDEX_NONE ? 0 : s->listeners[route->listener].port;
}

/* Is the controller of this Ingress ingress-nginx, as far as anybody says so? */
static bool is_nginx(const struct pg_load *load, const struct pg_raw_ingress *in)
{
    for (uint32_t i = 0; i < load->classes.count; i++) {
        const struct pg_raw_class *c = PG_LIST_POINTER(load->classes, const struct pg_raw_class, i);
        bool meant =
            in->class_name[0] == '\0' ? c->is_default : strcmp(c->object.name, in->class_name) == 0;
        if (meant)
            return strcmp(c->controller, "k8s.io/ingress-nginx") == 0;
    }
    return strcmp(in->class_name, "nginx") == 0 || in->filters.count > 0 ||
           in->https[0].object != NULL || in->https[1].object != NULL ||
           (in->class_name[0] == '\0' && load->nginx.title[0] != '\0');
}

/* The annotation's word, else that of the ConfigMap. NULL: nobody wrote it. */
static const struct pg_route_filter *said(const struct pg_load *load,
                                          const struct pg_raw_ingress *in, int which)
{
    const struct pg_route_filter *own = &in->https[which];
    const struct pg_route_filter *all = &load->nginx.https[which];
    if (own->object != NULL)
        return own;
    return all->object != NULL && is_nginx(load, in) ? all : NULL;
}

/* A redirect to https: asked for whatever there is, asked for where there is a certificate, or what ingress-nginx does there by itself. */
static bool https_of(const struct pg_load *load, const struct pg_raw_ingress *in, bool tls,
                     struct pg_route_filter *ret)
{
    const struct pg_route_filter *asked = said(load, in, 0);
    const struct pg_route_filter *forced = said(load, in, 1);
    if (forced != NULL && forced->number != 0)
        *ret = *forced;
    else if (tls && asked != NULL && asked->number != 0)
        *ret = *asked;
    else if (tls && asked == NULL && is_nginx(load, in))
        *ret = (struct pg_route_filter){.kind = PG_FILTER_HTTPS,
                                        .name = "",
                                        .value = "",
                                        .object = in->object.title,
                                        .field = PG_NGINX_PREFIX "ssl-redirect",
                                        .text = "true",
                                        .source = {"", 0}};
    else
        return false;
    ret->number = load->nginx.redirect_code;
    return true;
}

void pg_derive_filter_insert(struct pg_list *all, uint32_t first, const struct pg_route_filter *f)
{
    (void)pg_list_add(all);
    struct pg_route_filter *at = PG_LIST_AT(*all, struct pg_route_filter, 0);
    uint32_t i = all->count - 1;
    for (; i > first && at[i - 1].kind > f->kind; i--)
        at[i] = at[i - 1];
    at[i] = *f;
}

static bool has_filter(const struct pg_list *list, enum pg_filter_kind kind)
{
    for (uint32_t i = 0; i < list->count; i++) {
        if (PG_LIST_AT(*list, const struct pg_route_filter, i)->kind == kind)
            return true;
    }
    return false;
}

/* What the ConfigMap says where the Ingress says nothing, and the size that ingress-nginx takes if neither does. */
static void settings_insert(struct pg_load *load, const struct pg_raw_ingress *in, uint32_t first)
{
    const struct pg_nginx *nginx = &load->nginx;
    for (uint32_t i = 0; i < nginx->filters.count; i++) {
        const struct pg_route_filter *f =
            PG_LIST_AT(nginx->filters, const struct pg_route_filter, i);
        if (!has_filter(&in->filters, f->kind))
            pg_derive_filter_insert(&load->filters, first, f);
    }
    struct pg_route_filter size = {.kind = PG_FILTER_BODY_LIMIT,
                                   .number = 1 << 20,
                                   .name = "",
                                   .value = "",
                                   .object = nginx->title,
                                   .field = "proxy-body-size",
                                   .text = "1m",
                                   .source = {"", 0}};
    if (!has_filter(&in->filters, size.kind) && !has_filter(&nginx->filters, size.kind))
        pg_derive_filter_insert(&load->filters, first, &size);
}

void pg_derive_filters(struct pg_load *load, const struct pg_raw_ingress *in, bool tls,
                       uint32_t *ret_first, uint32_t *ret_count)
{
    struct pg_route_filter https;
    uint32_t first = load->filters.count;
    for (uint32_t i = 0; i < in->filters.count; i++)
        pg_derive_filter_insert(&load->filters, first,
                                PG_LIST_AT(in->filters, const struct pg_route_filter, i));
    if (load->nginx.title[0] != '\0' && is_nginx(load, in))
        settings_insert(load, in, first);
    if (https_of(load, in, tls, &https))
        pg_derive_filter_insert(&load->filters, first, &https);
    *ret_first = first;
    *ret_count = load->filters.count - first;
}
