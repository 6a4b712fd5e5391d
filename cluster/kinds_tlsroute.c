/* TLSRoute of Gateway API: connections by their server name, passed on unread.
 *
 * Called by kinds.c; adds to load->http_routes, each rule as one that takes every path of its host names. */
#include "gateway.h"

static const struct pg_known rule_fields[] = {{"name", NULL}, {"backendRefs", NULL}, {NULL, NULL}};

void pg_kinds_tls_route(struct pg_load *load, const struct pg_object *object)
{
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field rules = pg_field_get(&spec, "rules");
    struct pg_field hostnames = pg_field_get(&spec, "hostnames");
    struct pg_raw_http_route *r = pg_gateway_route_new(load, object, PG_ROUTE_KIND_TLS, &spec);
    if (!pg_field_is(&hostnames))
        pg_field_error(&hostnames, "a TLSRoute needs host names");
    for (uint32_t i = 0; i < r->rule_count; i++) {
        struct pg_field none = {.load = load, .object = object};
        struct pg_field item = pg_field_is(&rules) ? pg_field_item(&rules, i) : none;
        struct pg_raw_http_rule *rule = &r->rules[i];
        (void)pg_field_map(&item);
        pg_field_known(&item, rule_fields, false);
        rule->source = pg_field_source(&item);
        rule->filters = PG_LIST(&load->scratch, struct pg_route_filter);
        pg_gateway_matches_none(load, rule, 0);
        pg_gateway_backends_read(&item, object, false, rule);
    }
}
