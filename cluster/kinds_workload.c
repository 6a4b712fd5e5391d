/* Deployment, StatefulSet, DaemonSet, ReplicaSet: how many pods there are, with which labels and
 * ports.
 *
 * Called by kinds.c; adds to load->workloads. Whether pods are derived from one at all is
 * derive_pods.c's decision. The part of a pod template that Pod objects share is read here too
 * (pg_kinds_pod_spec). */
#include "cluster_internal.h"

#include <string.h>

static void unsupported(const struct pg_field *spec, const char *name, const char *text)
{
    struct pg_field f = pg_field_get(spec, name);
    if (pg_field_is(&f))
        pg_field_warn(&f, PG_CODE_UNSUPPORTED, "%s", text);
}

static void container_read(const struct pg_field *container, bool host_network,
                           struct pg_list *ports)
{
    struct pg_field list = pg_field_get(container, "ports");
    uint32_t count = pg_field_list(&list);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&list, i);
        struct pg_field name = pg_field_get(&f, "name");
        struct pg_field protocol = pg_field_get(&f, "protocol");
        struct pg_field port = pg_field_get(&f, "containerPort");
        struct pg_field host_port = pg_field_get(&f, "hostPort");
        struct pg_container_port *p = pg_list_add(ports);
        p->name = pg_field_dns_name(&name, PG_NAME_PORT, "");
        p->proto = pg_kinds_protocol(&protocol);
        if (!pg_field_is(&port))
            pg_field_error(&port, "a container port needs a number from 1 to 65535");
        p->port = (uint16_t)pg_field_int(&port, 1, 65535, 0);
        if (pg_field_is(&host_port) && !host_network)
            pg_field_warn(&host_port, PG_CODE_UNSUPPORTED,
                          "host ports are not supported yet: the node does not answer on it");
    }
}

struct pg_pod_spec pg_kinds_pod_spec(const struct pg_field *spec)
{
    static const char *const dns_policies[] = {"ClusterFirst", "ClusterFirstWithHostNet", "Default",
                                               "None", NULL};
    struct pg_field containers = pg_field_get(spec, "containers");
    struct pg_field host_network = pg_field_get(spec, "hostNetwork");
    struct pg_field node = pg_field_get(spec, "nodeName");
    struct pg_field hostname = pg_field_get(spec, "hostname");
    struct pg_field subdomain = pg_field_get(spec, "subdomain");
    struct pg_field dns_policy = pg_field_get(spec, "dnsPolicy");
    struct pg_list ports = PG_LIST(&spec->load->scratch, struct pg_container_port);
    bool on_host = pg_field_bool(&host_network, false);
    uint32_t count = pg_field_list(&containers);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field f = pg_field_item(&containers, i);
        container_read(&f, on_host, &ports);
    }
    if (pg_field_enum(&dns_policy, dns_policies, 0) >= 2)
        pg_field_warn(&dns_policy, PG_CODE_UNSUPPORTED,
                      "pods are assumed to ask the cluster DNS whatever their policy");
    unsupported(spec, "dnsConfig", "resolver settings of pods are not supported yet");
    unsupported(spec, "hostAliases", "host aliases of pods are not supported yet");
    return (struct pg_pod_spec){
        .host_network = on_host,
        .node_name = pg_field_text(&node, ""),
        .hostname = pg_field_dns_name(&hostname, PG_NAME_LABEL, ""),
        .subdomain = pg_field_dns_name(&subdomain, PG_NAME_LABEL, ""),
        .ports = ports.at,
        .port_count = ports.count,
    };
}

static struct pg_requirement requirement_read(const struct pg_field *f)
{
    static const char *const ops[] = {"In", "NotIn", "Exists", "DoesNotExist", NULL};
    struct pg_field key = pg_field_get(f, "key");
    struct pg_field op = pg_field_get(f, "operator");
    struct pg_field values = pg_field_get(f, "values");
    struct pg_requirement r = {.key = pg_field_text(&key, "")};
    int which = pg_field_enum(&op, ops, 2);
    r.op = which == 0   ? PG_SELECT_IN
           : which == 1 ? PG_SELECT_NOT_IN
           : which == 2 ? PG_SELECT_EXISTS
                        : PG_SELECT_ABSENT;
    r.value_count = pg_field_list(&values);
    const char **texts = pg_arena_array(&f->load->scratch, r.value_count, sizeof(*texts));
    for (uint32_t i = 0; i < r.value_count; i++) {
        struct pg_field item = pg_field_item(&values, i);
        texts[i] = pg_field_text(&item, "");
    }
    r.values = texts;
    return r;
}

struct pg_selector pg_kinds_selector(const struct pg_field *f)
{
    struct pg_field labels = pg_field_get(f, "matchLabels");
    struct pg_field expressions = pg_field_get(f, "matchExpressions");
    struct pg_selector s = {.labels = pg_kinds_labels(&labels)};
    s.requirement_count = pg_field_list(&expressions);
    struct pg_requirement *all =
        pg_arena_array(&f->load->scratch, s.requirement_count, sizeof(*all));
    for (uint32_t i = 0; i < s.requirement_count; i++) {
        struct pg_field item = pg_field_item(&expressions, i);
        all[i] = requirement_read(&item);
    }
    s.requirements = all;
    return s;
}

/* A workload whose template does not carry the selected labels is refused by an API server. */
static void check_template(const struct pg_field *template_labels, const struct pg_raw_workload *w)
{
    for (uint32_t i = 0; i < w->selector.labels.count; i++) {
        const struct pg_label *want = &w->selector.labels.at[i];
        bool there = false;
        for (uint32_t j = 0; j < w->labels.count && !there; j++)
            there = strcmp(w->labels.at[j].key, want->key) == 0 &&
                    strcmp(w->labels.at[j].value, want->value) == 0;
        if (!there) {
            pg_field_error(template_labels, "must hold %.60s: %.60s, which spec.selector asks for",
                           want->key, want->value);
            return;
        }
    }
}

void pg_kinds_workload(struct pg_load *load, const struct pg_object *object)
{
    struct pg_raw_workload *w = pg_arena_alloc(&load->scratch, sizeof(*w));
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field replicas = pg_field_get(&spec, "replicas");
    struct pg_field selector = pg_field_get(&spec, "selector");
    struct pg_field service_name = pg_field_get(&spec, "serviceName");
    struct pg_field template = pg_field_get(&spec, "template");
    struct pg_field metadata = pg_field_get(&template, "metadata");
    struct pg_field labels = pg_field_get(&metadata, "labels");
    struct pg_field pod_spec = pg_field_get(&template, "spec");
    w->object = *object;
    if (!pg_field_is(&spec))
        pg_field_error(&spec, "a %s needs a spec", object->kind_name);
    if (pg_field_is(&spec) && !pg_field_is(&selector))
        pg_field_error(&selector, "a %s needs a selector", object->kind_name);
    w->replicas = pg_field_int(&replicas, 0, PG_REPLICAS_MAX, 1);
    w->selector = pg_kinds_selector(&selector);
    w->labels = pg_kinds_labels(&labels);
    if (pg_field_is(&selector))
        check_template(&labels, w);
    w->spec = pg_kinds_pod_spec(&pod_spec);
    w->service_name = pg_field_text(&service_name, "");
    pg_list_add_pointer(&load->workloads, w);
}
