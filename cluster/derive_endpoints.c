/* Endpoints: who stands behind each port of a service.
 *
 * Called by derive.c. A service's slices decide if it has any; else its Endpoints object; else its
 * selector, as the endpoint controller would do it, with the hints it writes for trafficDistribution. Both families of a dual-stack service are in
 * one list, IPv4 first, then by address and port; two slices that name the same address and port
 * give one endpoint. */
#include "cluster_internal.h"

#include <stdlib.h>
#include <string.h>

static int endpoint_compare(const void *a, const void *b)
{
    const struct pg_endpoint *x = a;
    const struct pg_endpoint *y = b;
    bool x4 = pg_addr_is_v4(&x->addr);
    if (x4 != pg_addr_is_v4(&y->addr))
        return x4 ? -1 : 1;
    int order = memcmp(x->addr.bytes, y->addr.bytes, 16);
    if (order == 0)
        order = (int)x->port - (int)y->port;
    if (order == 0) /* the better condition first: that one stays */
        order = (int)y->ready - (int)x->ready;
    return order != 0 ? order : strcmp(x->hostname, y->hostname);
}

/* Sorts what was added for one port, drops doubles and notes the range. */
static void port_close(struct pg_raw_service *s, struct pg_service_port *p, uint32_t first)
{
    struct pg_endpoint *at = s->endpoints.at;
    uint32_t kept = first;
    if (s->endpoints.count > first)
        qsort(&at[first], s->endpoints.count - first, sizeof(*at), endpoint_compare);
    for (uint32_t i = first; i < s->endpoints.count; i++) {
        if (kept > first && pg_addr_equal(&at[kept - 1].addr, &at[i].addr) &&
            at[kept - 1].port == at[i].port)
            continue;
        at[kept++] = at[i];
    }
    s->endpoints.count = kept;
    p->endpoint_first = first;
    p->endpoint_count = kept - first;
}

static uint32_t node_index(const struct pg_load *load, const char *name)
{
    return name[0] == '\0' ? PG_INDEX_ABSENT
                           : pg_index_find(&load->node_by_name, name, strlen(name));
}

static void join_slice(const struct pg_load *load, const struct pg_slice_endpoint *from,
                       struct pg_endpoint *to)
{
    uint32_t pod = PG_INDEX_ABSENT;
    if (from->pod_name[0] != '\0')
        pod = pg_name_find(&load->pod_by_name, from->pod_namespace, from->pod_name);
    if (pod == PG_INDEX_ABSENT)
        pod = pg_index_find(&load->pod_by_addr, &to->addr, sizeof(to->addr));
    const struct pg_raw_pod *p =
        pod == PG_INDEX_ABSENT ? NULL : PG_LIST_POINTER(load->pods, const struct pg_raw_pod, pod);
    to->pod = p == NULL ? PG_INDEX_NONE : p->index;
    to->node = node_index(load, from->node_name);
    if (to->node == PG_INDEX_NONE && p != NULL)
        to->node = p->node;
    if (to->node == PG_INDEX_NONE)
        to->node = pg_derive_node_of(load, &to->addr);
}

static void port_from_slices(const struct pg_load *load, struct pg_raw_service *s,
                             const struct pg_service_port *p)
{
    for (uint32_t i = 0; i < s->slices.count; i++) {
        const struct pg_raw_slice *slice = PG_LIST_POINTER(s->slices, const struct pg_raw_slice, i);
        for (uint32_t j = 0; j < slice->port_count; j++) {
            const struct pg_slice_port *sp = &slice->ports[j];
            if (strcmp(sp->name, p->name) != 0 || sp->proto != p->proto || sp->port == 0)
                continue;
            for (uint32_t k = 0; k < slice->endpoint_count; k++) {
                struct pg_endpoint *e = pg_list_add(&s->endpoints);
                *e = slice->endpoints[k].endpoint;
                e->port = sp->port;
                join_slice(load, &slice->endpoints[k], e);
            }
        }
        /* A headless service without ports still has addresses for DNS. */
        for (uint32_t k = 0; p->port == 0 && slice->port_count == 0 && k < slice->endpoint_count;
             k++) {
            struct pg_endpoint *e = pg_list_add(&s->endpoints);
            *e = slice->endpoints[k].endpoint;
            join_slice(load, &slice->endpoints[k], e);
        }
    }
}

/* The number of a targetPort in one pod; 0: the pod has no port of that name. */
static uint16_t target_port(const struct pg_raw_pod *pod, const struct pg_service_port *p)
{
    if (p->target[0] >= '0' && p->target[0] <= '9' &&
        strspn(p->target, "0123456789") == strlen(p->target))
        return (uint16_t)strtoul(p->target, NULL, 10);
    for (uint32_t i = 0; i < pod->spec.port_count; i++) {
        const struct pg_container_port *c = &pod->spec.ports[i];
        if (strcmp(c->name, p->target) == 0 && c->proto == p->proto)
            return c->port;
    }
    return 0;
}

/* What the controller writes for a preference: each endpoint is for its own zone, or for its own node as well. A node without a zone
 * gives no hint, and then none of the service counts (nat/policy.c). */
static void add_hints(const struct pg_load *load, enum pg_prefer prefers, struct pg_endpoint *e)
{
    bool known = prefers != PG_PREFER_NONE && e->node < load->nodes.count;
    const struct pg_node *n =
        known ? &PG_LIST_POINTER(load->nodes, const struct pg_raw_node, e->node)->node : NULL;
    e->zone_hint = n != NULL ? n->zone : "";
    e->node_hint = n != NULL && prefers == PG_PREFER_NODE ? n->name : "";
}

static void pod_add(const struct pg_load *load, struct pg_raw_service *s,
                    const struct pg_raw_pod *pod, uint16_t port, int family)
{
    struct pg_endpoint *e = pg_list_add(&s->endpoints);
    bool named = pod->spec.hostname[0] != '\0' && strcmp(pod->spec.subdomain, s->object.name) == 0;
    e->addr = pod->addr[family];
    e->port = port;
    e->serving = pod->ready;
    e->terminating = pod->object.deleting;
    e->ready = s->service.publish_not_ready || (pod->ready && !pod->object.deleting);
    e->node = pod->node;
    e->pod = pod->index;
    e->hostname = named ? pod->spec.hostname : "";
    add_hints(load, s->prefers, e);
    e->source = pod->object.source;
}

static void port_from_pods(struct pg_load *load, struct pg_raw_service *s,
                           const struct pg_service_port *p, const uint32_t *pods, uint32_t count)
{
    uint32_t nameless = 0;
    const struct pg_raw_pod *first = NULL;
    for (uint32_t i = 0; i < count; i++) {
        const struct pg_raw_pod *pod =
            PG_LIST_POINTER(load->pods, const struct pg_raw_pod, pods[i]);
        if (pod->index == PG_INDEX_NONE)
            continue;
        uint16_t port = p->port == 0 ? 0 : target_port(pod, p);
        if (port == 0 && p->port != 0) {
            first = first == NULL ? pod : first;
            nameless++;
            continue;
        }
        for (int family = 0; family < 2; family++) {
            if (s->family_asked[family] && !pg_addr_is_none(&pod->addr[family]))
                pod_add(load, s, pod, port, family);
        }
    }
    if (nameless > 0)
        pg_finding_add(
            load, PG_FINDING_WARNING, PG_CODE_DANGLING, s->object.title, "spec.ports.targetPort",
            &p->source,
            "%u selected pods have no container port named %s, among them %s: they get no traffic",
            nameless, p->target, first->object.title);
}

static void slices_share_out(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->slices.count; i++) {
        struct pg_raw_slice *slice = PG_LIST_POINTER(load->slices, struct pg_raw_slice, i);
        if (slice->service[0] == '\0') {
            pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_IGNORED, slice->object.title,
                           "metadata.labels", &slice->object.source,
                           "without the label kubernetes.io/service-name it belongs to no service");
            continue;
        }
        uint32_t at = pg_name_find(&load->service_by_name, slice->object.namespace, slice->service);
        if (at == PG_INDEX_ABSENT) {
            pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_DANGLING, slice->object.title, "",
                           &slice->object.source, "there is no Service %s/%s",
                           slice->object.namespace, slice->service);
            continue;
        }
        pg_list_add_pointer(&PG_LIST_POINTER(load->services, struct pg_raw_service, at)->slices,
                            slice);
    }
}

/* Endpoints objects count only where no slice does: clusters mirror one into the other. */
static void drop_legacy(struct pg_raw_service *s)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < s->slices.count; i++) {
        struct pg_raw_slice *slice = PG_LIST_POINTER(s->slices, struct pg_raw_slice, i);
        if (!slice->legacy)
            PG_LIST_POINTER(s->slices, struct pg_raw_slice, kept++) = slice;
    }
    if (kept > 0)
        s->slices.count = kept;
}

void pg_derive_endpoints(struct pg_load *load)
{
    struct pg_label_index labels;
    slices_share_out(load);
    pg_label_index_build(load, &labels);
    for (uint32_t i = 0; i < load->services.count; i++) {
        struct pg_raw_service *s = PG_LIST_POINTER(load->services, struct pg_raw_service, i);
        uint32_t count = 0;
        const uint32_t *pods = NULL;
        drop_legacy(s);
        struct pg_selector selector = {.labels = s->selector};
        if (s->slices.count == 0 && s->selector.count > 0)
            pods = pg_label_select(&labels, s->object.namespace, &selector, &count);
        for (uint32_t j = 0; j < s->port_count; j++) {
            struct pg_service_port *p = &s->ports[j];
            uint32_t first = s->endpoints.count;
            if (s->service.type == PG_SERVICE_EXTERNAL_NAME)
                continue;
            if (s->slices.count > 0)
                port_from_slices(load, s, p);
            else
                port_from_pods(load, s, p, pods, count);
            port_close(s, p, first);
        }
    }
}
