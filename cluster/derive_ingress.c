/* Where the ingress runs: the service in front of it and the pods behind that.
 *
 * Called by derive.c twice. Ingress objects say what is routed but not by whom, and people's
 * manifests rarely hold the controller. So: what the Lab says; else the service of an ingress
 * controller that is in the input; else one is made up, edge/gateway with one pod, and a note says
 * so. Of a controller whose service is there but none of its pods, as charts are often taken apart,
 * one pod is made up. Without Ingress objects and without a word in the Lab there is no ingress. */
#include "gateway.h"

#include <stdlib.h>
#include <string.h>

static bool is_controller_name(const char *name)
{
    static const char *const names[] = {
        "ingress-nginx",      "nginx-ingress",    "traefik", "haproxy-ingress",
        "kubernetes-ingress", "contour",          "envoy",   "kong",
        "ambassador",         "emissary-ingress", "apisix",  "podglass-ingress"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool is_controller(const struct pg_raw_service *s)
{
    const struct pg_labels *const both[] = {&s->selector, &s->object.labels};
    for (size_t i = 0; i < 2; i++) {
        for (uint32_t j = 0; j < both[i]->count; j++) {
            if (strcmp(both[i]->at[j].key, "app.kubernetes.io/name") == 0 &&
                is_controller_name(both[i]->at[j].value))
                return true;
            if (strcmp(both[i]->at[j].key, "gateway.networking.k8s.io/gateway-name") == 0)
                return true;
        }
    }
    return strstr(s->object.name, "ingress") != NULL ||
           strstr(s->object.namespace, "ingress") != NULL;
}

/* A load balancer before node ports, then by name. */
static struct pg_raw_service *find_controller(const struct pg_load *load, uint32_t *ret_count)
{
    struct pg_raw_service *best = NULL;
    *ret_count = 0;
    for (uint32_t i = 0; i < load->services.count; i++) {
        struct pg_raw_service *s = PG_LIST_POINTER(load->services, struct pg_raw_service, i);
        enum pg_service_type type = s->service.type;
        if ((type != PG_SERVICE_LOAD_BALANCER && type != PG_SERVICE_NODE_PORT) || !is_controller(s))
            continue;
        ++*ret_count;
        if (best == NULL ||
            (type != best->service.type ? type == PG_SERVICE_LOAD_BALANCER
                                        : pg_object_compare(&s->object, &best->object) < 0))
            best = s;
    }
    return best;
}

static bool object_present(const struct pg_load *load, const char *title)
{
    return pg_index_find(&load->titles, title, strlen(title)) != PG_INDEX_ABSENT;
}

static void object_init(struct pg_load *load, struct pg_object *o, enum pg_kind kind,
                        const char *namespace, const char *name, const struct pg_labels *labels)
{
    o->kind = kind;
    o->kind_name = kind == PG_KIND_POD ? "Pod" : "Service";
    o->namespace = namespace;
    o->name = name;
    o->title = pg_arena_printf(&load->scratch, "%s/%s/%s", o->kind_name, namespace, name);
    o->created = o->owner_kind = o->owner_name = "";
    o->labels = *labels;
    o->source = (struct pg_source){"built-in", 0};
}

/* Container ports for the targets that s names by name: there the ingress listens where its service does. */
static void pod_ports_make(struct pg_load *load, const struct pg_raw_service *s,
                           struct pg_pod_spec *spec)
{
    struct pg_container_port *ports = pg_arena_array(&load->scratch, s->port_count, sizeof(*ports));
    for (uint32_t i = 0; i < s->port_count; i++)
        ports[i] =
            (struct pg_container_port){s->ports[i].target, s->ports[i].proto, s->ports[i].port};
    spec->ports = ports;
    spec->port_count = s->port_count;
}

/* One pod behind s, called as the first of a StatefulSet of its name. */
static const struct pg_raw_pod *pod_make(struct pg_load *load, const struct pg_raw_service *s)
{
    struct pg_raw_pod *p = pg_arena_alloc(&load->scratch, sizeof(*p));
    object_init(load, &p->object, PG_KIND_POD, s->object.namespace,
                pg_arena_printf(&load->scratch, "%s-0", s->object.name), &s->selector);
    p->spec.node_name = p->spec.hostname = p->spec.subdomain = "";
    pod_ports_make(load, s, &p->spec);
    p->ready = p->derived = p->ingress = true;
    p->node = PG_INDEX_NONE;
    pg_list_add_pointer(&load->pods, p);
    return p;
}

static bool wants_tls(const struct pg_load *load)
{
    for (uint32_t i = 0; i < load->ingresses.count; i++) {
        const struct pg_raw_ingress *in =
            PG_LIST_POINTER(load->ingresses, const struct pg_raw_ingress, i);
        if (in->tls_count > 0 || in->passthrough)
            return true;
    }
    return load->options.https;
}

static void port_add(struct pg_load *load, struct pg_raw_service *s, uint16_t port)
{
    struct pg_arena *scratch = &load->scratch;
    for (uint32_t i = 0; i < s->port_count; i++) {
        if (s->ports[i].port == port)
            return;
    }
    s->ports[s->port_count++] =
        (struct pg_service_port){.name = port == 80    ? "http"
                                         : port == 443 ? "https"
                                                       : pg_arena_printf(scratch, "port-%u", port),
                                 .proto = PG_PROTO_TCP,
                                 .port = port,
                                 .target = pg_arena_printf(scratch, "%u", port),
                                 .app_protocol = "",
                                 .source = s->object.source,
                                 .node_port_source = {"", 0}};
}

/* 80 for Ingress objects, 443 if some host of theirs is served over TLS, and the ports of all listeners. */
static void ports_make(struct pg_load *load, struct pg_raw_service *s)
{
    uint32_t room = 2;
    for (uint32_t i = 0; i < load->gateways.count; i++)
        room += PG_LIST_POINTER(load->gateways, struct pg_raw_gateway, i)->listener_count;
    s->ports = pg_arena_array(&load->scratch, room, sizeof(*s->ports));
    if (load->ingresses.count > 0)
        port_add(load, s, 80);
    if (wants_tls(load))
        port_add(load, s, 443);
    for (uint32_t i = 0; i < load->gateways.count; i++) {
        const struct pg_raw_gateway *g =
            PG_LIST_POINTER(load->gateways, const struct pg_raw_gateway, i);
        for (uint32_t j = 0; j < g->listener_count; j++) {
            if (g->listeners[j].protocol <= PG_LISTENER_TLS)
                port_add(load, s, g->listeners[j].port);
        }
    }
    if (s->port_count == 0)
        port_add(load, s, 80);
}

static struct pg_raw_service *make_up(struct pg_load *load)
{
    static const struct pg_label label = {"app.kubernetes.io/name", "podglass-ingress"};
    static const struct pg_labels labels = {&label, 1};
    static const struct pg_source nowhere = {"", 0};
    struct pg_arena *scratch = &load->scratch;
    bool taken = object_present(load, "Service/edge/gateway") ||
                 object_present(load, "Pod/edge/gateway-0") ||
                 object_present(load, "Deployment/edge/gateway") ||
                 object_present(load, "StatefulSet/edge/gateway");
    const char *name = taken ? "podglass-gateway" : "gateway";
    struct pg_raw_service *s = pg_arena_alloc(scratch, sizeof(*s));
    object_init(load, &s->object, PG_KIND_SERVICE, "edge", name, &labels);
    struct pg_service *v = &s->service;
    v->namespace = s->object.namespace;
    v->name = name;
    v->type = PG_SERVICE_LOAD_BALANCER;
    v->affinity_seconds = 10800;
    v->external_name = "";
    v->source = s->object.source;
    v->type_source = v->external_policy_source = v->internal_policy_source = v->affinity_source =
        v->cluster_ip_source = nowhere;
    ports_make(load, s);
    s->lb_ips = pg_arena_array(scratch, 2, sizeof(*s->lb_ips));
    s->selector = s->object.labels;
    s->node_ports = true;
    s->slices = PG_LIST(scratch, struct pg_raw_slice *);
    s->endpoints = PG_LIST(scratch, struct pg_endpoint);
    pg_list_add_pointer(&load->services, s);

    pod_make(load, s);
    pg_list_add_pointer(&load->namespaces, "edge");
    pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_ASSUMED, s->object.title, "", &s->object.source,
                   "no ingress controller is given, so this Service and the Pod %s-0 are made up; "
                   "name another in the Lab's spec.ingress.service",
                   name);
    return s;
}

static struct pg_raw_service *named_by_lab(struct pg_load *load)
{
    const struct pg_raw_lab *lab = load->lab;
    for (uint32_t i = 0; i < load->services.count; i++) {
        struct pg_raw_service *s = PG_LIST_POINTER(load->services, struct pg_raw_service, i);
        if (strcmp(s->object.title + strlen("Service/"), lab->ingress_service) == 0)
            return s;
    }
    pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, lab->object.title, "spec.ingress.service",
                   &lab->ingress_source, "there is no Service %.120s", lab->ingress_service);
    return NULL;
}

/* Some manifest says who is behind s: a pod, a workload (of no replica, too), a slice. */
static bool somebody_is_behind(const struct pg_load *load, const struct pg_raw_service *s)
{
    const struct pg_selector selector = {.labels = s->selector};
    const char *namespace = s->object.namespace;
    for (uint32_t i = 0; i < load->slices.count; i++) {
        const struct pg_raw_slice *slice =
            PG_LIST_POINTER(load->slices, const struct pg_raw_slice, i);
        if (strcmp(slice->object.namespace, namespace) == 0 &&
            strcmp(slice->service, s->object.name) == 0)
            return true;
    }
    for (uint32_t i = 0; i < load->pods.count; i++) {
        const struct pg_object *o =
            &PG_LIST_POINTER(load->pods, const struct pg_raw_pod, i)->object;
        if (strcmp(o->namespace, namespace) == 0 && pg_selector_holds(&selector, o))
            return true;
    }
    for (uint32_t i = 0; i < load->workloads.count; i++) {
        const struct pg_raw_workload *w =
            PG_LIST_POINTER(load->workloads, const struct pg_raw_workload, i);
        const struct pg_object of_template = {.labels = w->labels};
        if (strcmp(w->object.namespace, namespace) == 0 &&
            pg_selector_holds(&selector, &of_template))
            return true;
    }
    return false;
}

static void pod_make_if_nobody(struct pg_load *load)
{
    const struct pg_raw_service *s = load->ingress;
    if (s == NULL || s->selector.count == 0 || somebody_is_behind(load, s))
        return;
    const struct pg_raw_pod *p = pod_make(load, s);
    pg_finding_add(
        load, PG_FINDING_NOTE, PG_CODE_ASSUMED, s->object.title, "spec.selector", &s->object.source,
        "no pod or workload of the ingress controller is given, so %s is made up", p->object.title);
}

static void find_or_make_up(struct pg_load *load)
{
    uint32_t count = 0;
    load->ingress = find_controller(load, &count);
    if (load->ingress == NULL)
        load->ingress = make_up(load);
    else if (count > 1)
        pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_ASSUMED, load->ingress->object.title, "",
                       &load->ingress->object.source,
                       "taken for the service of the ingress controller, of %u that may be; name "
                       "one in the Lab's spec.ingress.service",
                       count);
}

void pg_derive_ingress(struct pg_load *load)
{
    if (load->lab->ingress_service[0] != '\0')
        load->ingress = named_by_lab(load);
    else if (load->ingresses.count > 0 || load->gateways.count > 0)
        find_or_make_up(load);
    pod_make_if_nobody(load);
}

static struct pg_raw_pod *pod_of_index(const struct pg_load *load, uint32_t index)
{
    for (uint32_t i = 0; i < load->pods.count; i++) {
        struct pg_raw_pod *p = PG_LIST_POINTER(load->pods, struct pg_raw_pod, i);
        if (p->index == index)
            return p;
    }
    return NULL;
}

void pg_derive_ingress_pods(struct pg_load *load)
{
    struct pg_lab *lab = &load->lab->lab;
    const struct pg_raw_service *s = load->ingress;
    uint32_t room = sizeof(lab->ingress_pod) / sizeof(lab->ingress_pod[0]);
    bool more = false;
    if (s == NULL)
        return;
    lab->ingress_service =
        pg_name_find(&load->service_by_name, s->object.namespace, s->object.name);
    for (uint32_t i = 0; i < s->endpoints.count; i++) {
        uint32_t pod = PG_LIST_AT(s->endpoints, struct pg_endpoint, i)->pod;
        uint32_t at = 0;
        while (at < lab->ingress_pod_count && lab->ingress_pod[at] != pod)
            at++;
        if (pod == PG_INDEX_NONE || at < lab->ingress_pod_count)
            continue;
        if (at == room) {
            more = true;
            break;
        }
        lab->ingress_pod[lab->ingress_pod_count++] = pod;
        struct pg_raw_pod *p = pod_of_index(load, pod);
        p->backing = PG_BACKING_INGRESS;
    }
    if (more)
        pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_UNSUPPORTED, s->object.title, "",
                       &s->object.source, "the ingress runs in the first %u of its pods only",
                       room);
    if (lab->ingress_pod_count == 0)
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, s->object.title, "spec.selector",
                       &s->object.source,
                       "it is the service of the ingress, but no pod is behind it");
}
