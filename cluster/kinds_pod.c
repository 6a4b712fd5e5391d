/* Pod and Node objects, mostly from dumps: addresses, readiness, where a pod runs.
 *
 * Called by kinds.c; adds to load->pods and load->nodes. A Pod without any status is a manifest
 * somebody wrote: it is taken to be ready and gets an address later. A Pod that has a status but no
 * address does not run yet. */
#include "cluster_internal.h"

#include <string.h>

/* Whether conditions hold "type: <type>, status: True"; fallback if there is no such condition. */
static bool condition(const struct pg_field *status, const char *type, bool fallback)
{
    struct pg_field list = pg_field_get(status, "conditions");
    uint32_t count = pg_field_list(&list);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&list, i);
        struct pg_field name = pg_field_get(&f, "type");
        struct pg_field value = pg_field_get(&f, "status");
        if (strcmp(pg_field_text(&name, ""), type) == 0)
            return strcmp(pg_field_text(&value, ""), "True") == 0;
    }
    return fallback;
}

static void addr_set(const struct pg_field *f, struct pg_addr addr[2], const char *what)
{
    struct pg_addr a;
    const char *why = NULL;
    if (!pg_field_addr(f, &a))
        return;
    struct pg_addr *to = &addr[pg_addr_is_v4(&a) ? 0 : 1];
    if (!pg_addr_usable(&a, &why))
        pg_field_error(f, "the address of a %s cannot be %s", what, why);
    else if (pg_addr_is_none(to))
        *to = a;
}

void pg_kinds_pod(struct pg_load *load, const struct pg_object *object)
{
    static const char *const phases[] = {"Pending", "Running", "Succeeded",
                                         "Failed",  "Unknown", NULL};
    struct pg_raw_pod *p = pg_arena_alloc(&load->scratch, sizeof(*p));
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field status = pg_field_get(&root, "status");
    struct pg_field phase = pg_field_get(&status, "phase");
    struct pg_field ip = pg_field_get(&status, "podIP");
    struct pg_field ips = pg_field_get(&status, "podIPs");
    struct pg_field host_ip = pg_field_get(&status, "hostIP");
    p->object = *object;
    p->spec = pg_kinds_pod_spec(&spec);
    int which = pg_field_enum(&phase, phases, 1);
    p->finished = which == 2 || which == 3;
    p->has_status = pg_field_map(&status) > 0;
    p->ready = condition(&status, "Ready", which == 1) && !p->finished;
    if (!p->finished) {
        addr_set(&ip, p->addr, "pod");
        uint32_t count = pg_field_list(&ips);
        for (uint32_t i = 0; i < count; i++) {
            struct pg_field item = pg_field_item(&ips, i);
            struct pg_field item_ip = pg_field_get(&item, "ip");
            addr_set(&item_ip, p->addr, "pod");
        }
        (void)pg_field_addr(&host_ip, &p->host_addr);
    }
    p->addr_written = !pg_addr_is_none(&p->addr[0]) || !pg_addr_is_none(&p->addr[1]);
    p->node = PG_INDEX_NONE;
    pg_list_add_pointer(&load->pods, p);
}

static void cidr_set(const struct pg_field *f, struct pg_raw_node *n)
{
    struct pg_prefix p;
    if (!pg_field_prefix(f, &p))
        return;
    struct pg_prefix *to = &n->node.pod_cidr[pg_addr_is_v4(&p.addr) ? 0 : 1];
    if (p.bits > 126)
        pg_field_error(f, "too small for a gateway and a pod");
    else if (to->bits == 0)
        *to = p;
    n->cidr_written = true;
}

void pg_kinds_node(struct pg_load *load, const struct pg_object *object)
{
    struct pg_raw_node *n = pg_arena_alloc(&load->scratch, sizeof(*n));
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field cidr = pg_field_get(&spec, "podCIDR");
    struct pg_field cidrs = pg_field_get(&spec, "podCIDRs");
    struct pg_field status = pg_field_get(&root, "status");
    struct pg_field addresses = pg_field_get(&status, "addresses");
    n->object = *object;
    n->node.name = object->name;
    n->node.source = object->source;
    n->node.zone = "";
    for (uint32_t i = 0; i < object->labels.count; i++) {
        if (strcmp(object->labels.at[i].key, "topology.kubernetes.io/zone") == 0)
            n->node.zone = object->labels.at[i].value;
    }
    n->node.ready = condition(&status, "Ready", true);
    cidr_set(&cidr, n);
    uint32_t count = pg_field_list(&cidrs);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&cidrs, i);
        cidr_set(&f, n);
    }
    count = pg_field_list(&addresses);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&addresses, i);
        struct pg_field type = pg_field_get(&f, "type");
        struct pg_field address = pg_field_get(&f, "address");
        if (strcmp(pg_field_text(&type, ""), "InternalIP") == 0)
            addr_set(&address, n->node.addr, "node");
    }
    pg_list_add_pointer(&load->nodes, n);
}
