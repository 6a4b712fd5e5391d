/* EndpointSlice (v1 and v1beta1) and the older Endpoints: addresses behind a Service that the input
 * itself names.
 *
 * Called by kinds.c; adds to load->slices, both kinds in one shape. Nothing is joined here:
 * derive_endpoints.c finds service, node and pod once all objects are known. */
#include "cluster_internal.h"

#include <string.h>

static bool usable_addr(const struct pg_field *f, struct pg_addr *ret)
{
    const char *why = NULL;
    if (!pg_field_addr(f, ret))
        return false;
    if (pg_addr_usable(ret, &why))
        return true;
    pg_field_error(f, "an endpoint cannot be %s", why);
    return false;
}

static void target_ref_read(const struct pg_field *of, struct pg_slice_endpoint *e)
{
    struct pg_field ref = pg_field_get(of, "targetRef");
    struct pg_field kind = pg_field_get(&ref, "kind");
    struct pg_field name = pg_field_get(&ref, "name");
    struct pg_field namespace = pg_field_get(&ref, "namespace");
    e->pod_namespace = e->pod_name = "";
    if (!pg_field_is(&ref) || strcmp(pg_field_text(&kind, ""), "Pod") != 0)
        return;
    e->pod_name = pg_field_text(&name, "");
    e->pod_namespace = pg_field_text(&namespace, of->object->namespace);
}

/* The names of a list of hints, joined by ','. An API server takes eight; we take as many as there are. */
static const char *names_join(const struct pg_field *list)
{
    struct pg_arena *scratch = &list->load->scratch;
    uint32_t count = pg_field_list(list);
    const char **names = pg_arena_array(scratch, count, sizeof(*names));
    size_t len = 0;
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(list, i);
        struct pg_field name = pg_field_get(&item, "name");
        names[i] = pg_field_text(&name, "");
        len += strlen(names[i]) + 1;
    }
    char *joined = pg_arena_array(scratch, len + 1, 1);
    char *at = joined;
    for (uint32_t i = 0; i < count; i++) {
        if (at != joined)
            *at++ = ',';
        at = stpcpy(at, names[i]);
    }
    *at = '\0';
    return joined;
}

static void hints_read(const struct pg_field *of, struct pg_slice_endpoint *e)
{
    struct pg_field hints = pg_field_get(of, "hints");
    struct pg_field nodes = pg_field_get(&hints, "forNodes");
    struct pg_field zones = pg_field_get(&hints, "forZones");
    e->endpoint.node_hint = names_join(&nodes);
    e->endpoint.zone_hint = names_join(&zones);
}

static bool endpoint_read(const struct pg_field *f, struct pg_slice_endpoint *e)
{
    struct pg_field addresses = pg_field_get(f, "addresses");
    struct pg_field conditions = pg_field_get(f, "conditions");
    struct pg_field ready = pg_field_get(&conditions, "ready");
    struct pg_field serving = pg_field_get(&conditions, "serving");
    struct pg_field terminating = pg_field_get(&conditions, "terminating");
    struct pg_field hostname = pg_field_get(f, "hostname");
    struct pg_field node = pg_field_get(f, "nodeName");
    struct pg_field topology = pg_field_get(f, "topology"); /* v1beta1 */
    struct pg_field topology_node = pg_field_get(&topology, "kubernetes.io/hostname");
    if (pg_field_list(&addresses) == 0) {
        if (!pg_field_is(&addresses) || addresses.tree->kind == PG_TREE_LIST)
            pg_field_error(&addresses, "an endpoint needs an address");
        return false;
    }
    /* Only the first address of an endpoint counts (kube-proxy). */
    struct pg_field first = pg_field_item(&addresses, 0);
    if (!usable_addr(&first, &e->endpoint.addr))
        return false;
    e->endpoint.source = pg_field_source(&first);
    e->column = first.tree->column;
    e->endpoint.ready = pg_field_bool(&ready, true);
    e->endpoint.serving =
        pg_field_bool(&serving, true); /* nil means true, also of one that is not ready */
    e->endpoint.terminating = pg_field_bool(&terminating, false);
    e->endpoint.hostname = pg_field_dns_name(&hostname, PG_NAME_LABEL, "");
    e->node_name = pg_field_text(&node, pg_field_text(&topology_node, ""));
    target_ref_read(f, e);
    hints_read(f, e);
    return true;
}

static void ports_read(const struct pg_field *ports, const struct pg_slice_port **ret,
                       uint32_t *ret_count)
{
    uint32_t count = pg_field_list(ports);
    struct pg_slice_port *at = pg_arena_array(&ports->load->scratch, count, sizeof(*at));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(ports, i);
        struct pg_field name = pg_field_get(&f, "name");
        struct pg_field protocol = pg_field_get(&f, "protocol");
        struct pg_field port = pg_field_get(&f, "port");
        at[i].name = pg_field_text(&name, "");
        at[i].proto = pg_kinds_protocol(&protocol);
        at[i].port = (uint16_t)pg_field_int(&port, 1, 65535, 0);
    }
    *ret = at;
    *ret_count = count;
}

void pg_kinds_slice(struct pg_load *load, const struct pg_object *object)
{
    static const char *const types[] = {"IPv4", "IPv6", "FQDN", NULL};
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field type = pg_field_get(&root, "addressType");
    struct pg_field endpoints = pg_field_get(&root, "endpoints");
    struct pg_field ports = pg_field_get(&root, "ports");
    struct pg_raw_slice *s = pg_arena_alloc(&load->scratch, sizeof(*s));
    s->object = *object;
    s->service = "";
    for (uint32_t i = 0; i < object->labels.count; i++) {
        if (strcmp(object->labels.at[i].key, "kubernetes.io/service-name") == 0)
            s->service = object->labels.at[i].value;
    }
    if (!pg_field_is(&type))
        pg_field_error(&type, "expected IPv4 or IPv6");
    int family = pg_field_enum(&type, types, 0);
    if (family == 2) {
        pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_IGNORED, object->title, "addressType",
                       &object->source, "slices of type FQDN are left out, as kube-proxy does");
        return;
    }
    ports_read(&ports, &s->ports, &s->port_count);
    uint32_t count = pg_field_list(&endpoints);
    s->endpoints = pg_arena_array(&load->scratch, count, sizeof(*s->endpoints));
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&endpoints, i);
        struct pg_slice_endpoint *e = &s->endpoints[s->endpoint_count];
        if (!endpoint_read(&f, e))
            continue;
        s->endpoint_count++;
        if (pg_field_is(&type) && pg_addr_is_v4(&e->endpoint.addr) != (family == 0))
            pg_field_error(&f, "address is not of addressType %s", types[family]);
    }
    pg_list_add_pointer(&load->slices, s);
}

/* addresses or notReadyAddresses of one subset. */
static void addresses_read(const struct pg_field *list, bool ready, struct pg_raw_slice *s)
{
    uint32_t count = pg_field_list(list);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(list, i);
        struct pg_field ip = pg_field_get(&f, "ip");
        struct pg_field hostname = pg_field_get(&f, "hostname");
        struct pg_field node = pg_field_get(&f, "nodeName");
        struct pg_slice_endpoint *e = &s->endpoints[s->endpoint_count];
        if (!usable_addr(&ip, &e->endpoint.addr)) {
            if (!pg_field_is(&ip))
                pg_field_error(&ip, "an endpoint needs an address");
            continue;
        }
        s->endpoint_count++;
        e->endpoint.source = pg_field_source(&ip);
        e->column = ip.tree->column;
        e->endpoint.ready = e->endpoint.serving = ready;
        e->endpoint.hostname = pg_field_dns_name(&hostname, PG_NAME_LABEL, "");
        e->endpoint.node_hint = e->endpoint.zone_hint = "";
        e->node_name = pg_field_text(&node, "");
        target_ref_read(&f, e);
    }
}

void pg_kinds_endpoints(struct pg_load *load, const struct pg_object *object)
{
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field subsets = pg_field_get(&root, "subsets");
    uint32_t count = pg_field_list(&subsets);
    for (uint32_t i = 0; i < count || i == 0; i++) {
        struct pg_raw_slice *s = pg_arena_alloc(&load->scratch, sizeof(*s));
        s->object = *object;
        s->service = object->name;
        s->legacy = true;
        if (i < count) {
            struct pg_field f = pg_field_item(&subsets, i);
            struct pg_field ready = pg_field_get(&f, "addresses");
            struct pg_field not_ready = pg_field_get(&f, "notReadyAddresses");
            struct pg_field ports = pg_field_get(&f, "ports");
            size_t most = (size_t)pg_field_list(&ready) + pg_field_list(&not_ready);
            ports_read(&ports, &s->ports, &s->port_count);
            s->endpoints = pg_arena_array(&load->scratch, most, sizeof(*s->endpoints));
            addresses_read(&ready, true, s);
            addresses_read(&not_ready, false, s);
        }
        pg_list_add_pointer(&load->slices, s);
    }
}
