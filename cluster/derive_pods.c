/* Pods: those of the input, and those a controller would make from the workloads.
 *
 * Called by derive.c in two steps, since addresses are given only after all written ones are taken.
 * Nothing is derived from a workload whose pods are in the input, as in a dump that holds
 * Deployment, ReplicaSet and Pods. Names are stable (web-0, web-1, not random suffixes); nodes go
 * round from a start that the workload's name decides; a pod's address is looked for in its node's
 * range from a start that its own name decides. What the Lab says about a pod wins. */
#include "cluster_internal.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether the owner of a workload is here too: then the owner's pods are the ones to derive. */
static bool owner_present(const struct pg_load *load, const struct pg_object *o)
{
    if (o->owner_kind[0] == '\0' || o->owner_name[0] == '\0')
        return false;
    struct pg_text title = {0};
    pg_text_printf(&title, "%s/%s/%s", o->owner_kind, o->namespace, o->owner_name);
    bool present = pg_index_find(&load->titles, title.at, title.len) != PG_INDEX_ABSENT;
    pg_text_free(&title);
    return present;
}

static struct pg_raw_pod *derived_new(struct pg_load *load, const struct pg_raw_workload *w,
                                      const char *name, uint32_t node_turn)
{
    struct pg_raw_pod *p = pg_arena_alloc(&load->scratch, sizeof(*p));
    p->object = w->object;
    p->object.kind = PG_KIND_POD;
    p->object.kind_name = "Pod";
    p->object.name = name;
    p->object.title = pg_arena_printf(&load->scratch, "Pod/%s/%s", w->object.namespace, name);
    p->object.labels = w->labels;
    p->object.owner_kind = w->object.kind_name;
    p->object.owner_name = w->object.name;
    p->spec = w->spec;
    p->ready = p->derived = true;
    p->node = PG_INDEX_NONE;
    p->node_turn = node_turn;
    if (w->object.kind == PG_KIND_STATEFUL_SET) {
        p->spec.hostname = name;
        p->spec.subdomain = w->service_name;
    }
    return p;
}

static void derived_add(struct pg_load *load, const struct pg_raw_workload *w, const char *suffix,
                        uint32_t node_turn)
{
    struct pg_arena *scratch = &load->scratch;
    const char *name = pg_arena_printf(scratch, "%s-%s", w->object.name, suffix);
    if (pg_name_find(&load->pod_by_name, w->object.namespace, name) != PG_INDEX_ABSENT) {
        /* A StatefulSet and a Deployment of one name, or a Pod called as ours would be. */
        name = pg_arena_printf(scratch, "%s-%s-%s", w->object.name,
                               w->object.kind == PG_KIND_DEPLOYMENT     ? "deployment"
                               : w->object.kind == PG_KIND_STATEFUL_SET ? "statefulset"
                               : w->object.kind == PG_KIND_DAEMON_SET   ? "daemonset"
                                                                        : "replicaset",
                               suffix);
        if (pg_name_find(&load->pod_by_name, w->object.namespace, name) != PG_INDEX_ABSENT) {
            pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, w->object.title, "",
                           &w->object.source, "its pod cannot be named %s: there is one already",
                           name);
            return;
        }
    }
    pg_name_add(load, &load->pod_by_name, w->object.namespace, name, load->pods.count);
    pg_list_add_pointer(&load->pods, derived_new(load, w, name, node_turn));
}

static void workload_derive(struct pg_load *load, const struct pg_raw_workload *w)
{
    uint32_t start =
        (uint32_t)(pg_stable_hash(w->object.title + strlen(w->object.kind_name) + 1,
                                  strlen(w->object.title) - strlen(w->object.kind_name) - 1) %
                   load->nodes.count);
    if (w->object.kind == PG_KIND_DAEMON_SET) {
        for (uint32_t i = 0; i < load->nodes.count; i++)
            derived_add(load, w, PG_LIST_POINTER(load->nodes, struct pg_raw_node, i)->node.name, i);
        return;
    }
    for (uint32_t i = 0; i < (uint32_t)w->replicas; i++) {
        char suffix[16];
        (void)snprintf(suffix, sizeof(suffix), "%u", i);
        derived_add(load, w, suffix, (start + i) % load->nodes.count);
    }
}

static int pod_order(const void *a, const void *b)
{
    return pg_object_compare(&(*(struct pg_raw_pod *const *)a)->object,
                             &(*(struct pg_raw_pod *const *)b)->object);
}

static void lab_pod_apply(struct pg_load *load, struct pg_lab_pod *rule, struct pg_raw_pod *p)
{
    rule->used = true;
    if (rule->has_backing) {
        p->backing = rule->backing;
        p->backing_set = true;
    }
    if (rule->node[0] != '\0') {
        uint32_t node = pg_index_find(&load->node_by_name, rule->node, strlen(rule->node));
        if (node == PG_INDEX_ABSENT)
            pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, load->lab->object.title,
                           rule->field, &rule->source, "there is no node %.80s", rule->node);
        else
            p->node = node;
    }
    if (pg_addr_is_none(&rule->addr))
        return;
    if (p->spec.host_network) {
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, load->lab->object.title, rule->field,
                       &rule->source, "%s has hostNetwork: its address is its node's",
                       p->object.title);
        return;
    }
    p->addr[pg_addr_is_v4(&rule->addr) ? 0 : 1] = rule->addr;
    p->addr_written = false;
    uint32_t of = pg_derive_node_of(load, &rule->addr);
    if (p->node == PG_INDEX_NONE)
        p->node = of;
    else if (of != p->node)
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, load->lab->object.title, rule->field,
                       &rule->source, "its address is not in the pod range of node %s", rule->node);
}

static void lab_pods_apply(struct pg_load *load)
{
    struct pg_raw_lab *lab = load->lab;
    for (uint32_t i = 0; i < lab->pods.count; i++) {
        struct pg_lab_pod *rule = PG_LIST_AT(lab->pods, struct pg_lab_pod, i);
        if (rule->exact) {
            uint32_t at = pg_name_find(&load->pod_by_name, rule->namespace, rule->name);
            if (at != PG_INDEX_ABSENT)
                lab_pod_apply(load, rule, PG_LIST_POINTER(load->pods, struct pg_raw_pod, at));
        }
        for (uint32_t j = 0; j < load->pods.count && !rule->exact; j++) {
            struct pg_raw_pod *p = PG_LIST_POINTER(load->pods, struct pg_raw_pod, j);
            if (fnmatch(rule->namespace, p->object.namespace, 0) == 0 &&
                fnmatch(rule->name, p->object.name, 0) == 0)
                lab_pod_apply(load, rule, p);
        }
        if (!rule->used)
            pg_finding_add(load, rule->exact ? PG_FINDING_ERROR : PG_FINDING_WARNING,
                           rule->exact ? PG_CODE_WRONG : PG_CODE_DANGLING, lab->object.title,
                           rule->field, &rule->source, "no pod is %s/%s", rule->namespace,
                           rule->name);
    }
}

/* The node a pod says it is on, or that has its address, or whose turn it is. */
static void node_settle(struct pg_load *load, struct pg_raw_pod *p, struct pg_index *missing)
{
    const char *name = p->spec.node_name;
    if (p->node != PG_INDEX_NONE)
        return;
    if (name[0] != '\0') {
        p->node = pg_index_find(&load->node_by_name, name, strlen(name));
        if (p->node != PG_INDEX_ABSENT)
            return;
        if (pg_index_add(missing, name, strlen(name), 0) == PG_INDEX_ABSENT)
            pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, p->object.title,
                           "spec.nodeName", &p->object.source, "there is no node %.80s", name);
    }
    for (int family = 0; family < 2 && p->node == PG_INDEX_NONE; family++) {
        if (!pg_addr_is_none(&p->addr[family]))
            p->node = pg_derive_node_of(load, &p->addr[family]);
    }
    bool placed = p->addr_written || (p->has_status && !p->derived);
    if (p->node == PG_INDEX_NONE && !placed)
        p->node = p->node_turn % load->nodes.count;
}

static void pods_index(struct pg_load *load)
{
    load->pod_by_name = (struct pg_index){.arena = &load->scratch};
    for (uint32_t i = 0; i < load->pods.count; i++) {
        const struct pg_object *o = &PG_LIST_POINTER(load->pods, struct pg_raw_pod, i)->object;
        pg_name_add(load, &load->pod_by_name, o->namespace, o->name, i);
    }
}

void pg_derive_pods(struct pg_load *load)
{
    struct pg_label_index labels;
    struct pg_index missing = {.arena = &load->scratch};
    for (uint32_t i = 0; i < load->pods.count; i++) {
        struct pg_raw_pod *p = PG_LIST_POINTER(load->pods, struct pg_raw_pod, i);
        const char *name = p->object.title;
        p->node_turn = (uint32_t)(pg_stable_hash(name, strlen(name)) % load->nodes.count);
        if (p->ingress)
            p->node_turn = 0;
    }
    pods_index(load);
    pg_label_index_build(load, &labels);
    for (uint32_t i = 0; i < load->workloads.count; i++) {
        const struct pg_raw_workload *w =
            PG_LIST_POINTER(load->workloads, const struct pg_raw_workload, i);
        uint32_t present = 0;
        if (w->selector.labels.count + w->selector.requirement_count > 0)
            (void)pg_label_select(&labels, w->object.namespace, &w->selector, &present);
        if (present == 0 && !owner_present(load, &w->object))
            workload_derive(load, w);
    }
    if (load->pods.count > 1)
        qsort(load->pods.at, load->pods.count, sizeof(void *), pod_order);
    pods_index(load);
    lab_pods_apply(load);
    for (uint32_t i = 0; i < load->pods.count; i++)
        node_settle(load, PG_LIST_POINTER(load->pods, struct pg_raw_pod, i), &missing);
    /* Written addresses, before anything is given out. */
    for (uint32_t i = 0; i < load->pods.count; i++) {
        struct pg_raw_pod *p = PG_LIST_POINTER(load->pods, struct pg_raw_pod, i);
        for (int family = 0; family < 2 && !p->spec.host_network && !p->finished; family++) {
            if (pg_addr_is_none(&p->addr[family]))
                continue;
            const char *owner = pg_derive_take_addr(load, &p->addr[family], &p->object);
            char text[PG_ADDR_TEXT];
            if (owner != NULL)
                pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, p->object.title,
                               "status.podIP", &p->object.source, "address %s is also that of %s",
                               pg_addr_print(&p->addr[family], text), owner);
        }
    }
}

/* An address in the node's range, else in that of the nodes after it. */
static void give_addr(struct pg_load *load, struct pg_raw_pod *p, int family)
{
    const char *name = p->object.title + strlen("Pod/");
    uint64_t hash = p->ingress ? 0 : pg_stable_hash(name, strlen(name));
    bool fixed = p->spec.node_name[0] != '\0' || p->node_turn != p->node;
    for (uint32_t i = 0; i < load->nodes.count && pg_addr_is_none(&p->addr[family]); i++) {
        uint32_t node = (p->node + i) % load->nodes.count;
        const struct pg_prefix *range =
            &PG_LIST_POINTER(load->nodes, struct pg_raw_node, node)->node.pod_cidr[family];
        if (range->bits != 0) {
            uint32_t size = pg_prefix_size(range);
            /* .0 is the network, .1 the gateway, the last one the broadcast address. */
            p->addr[family] = pg_derive_pick(load, range, 2, size - 2, hash);
        }
        if (!pg_addr_is_none(&p->addr[family])) {
            p->node = node;
            (void)pg_derive_take_addr(load, &p->addr[family], &p->object);
        }
        if (fixed || family == 1)
            break; /* IPv6 must be on the node that IPv4 found */
    }
}

static void addrs_settle(struct pg_load *load, struct pg_raw_pod *p)
{
    bool waiting = p->has_status && !p->derived && !p->addr_written && !p->spec.host_network &&
                   pg_addr_is_none(&p->addr[0]) && pg_addr_is_none(&p->addr[1]);
    if (p->finished || waiting)
        return;
    if (p->spec.host_network) {
        if (p->node != PG_INDEX_NONE)
            memcpy(p->addr, PG_LIST_POINTER(load->nodes, struct pg_raw_node, p->node)->node.addr,
                   sizeof(p->addr));
        return;
    }
    if (p->addr_written || p->node == PG_INDEX_NONE)
        return;
    for (int family = 0; family < 2; family++) {
        if (load->families[family] && pg_addr_is_none(&p->addr[family]))
            give_addr(load, p, family);
    }
    if (pg_addr_is_none(&p->addr[0]) && pg_addr_is_none(&p->addr[1]))
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, p->object.title, "",
                       &p->object.source, "no address is left in the pod ranges of the nodes");
}

static void backing_settle(const struct pg_load *load, struct pg_raw_pod *p)
{
    if (p->backing_set)
        return;
    if (load->options.pods == PG_PODS_ECHO)
        p->backing = PG_BACKING_ECHO;
    else if (load->options.pods == PG_PODS_WIRE)
        p->backing = PG_BACKING_WIRE;
    else
        p->backing = p->addr_written ? PG_BACKING_WIRE : PG_BACKING_ECHO;
}

/* A pod outside all pod ranges is taken for a client from outside: its source is replaced. Said
 * once. */
static void check_outside(struct pg_load *load)
{
    const struct pg_raw_pod *first = NULL;
    uint32_t count = 0;
    const struct pg_lab *lab = &load->lab->lab;
    for (uint32_t i = 0; i < load->pods.count; i++) {
        const struct pg_raw_pod *p = PG_LIST_POINTER(load->pods, const struct pg_raw_pod, i);
        for (int family = 0; family < 2 && !p->spec.host_network; family++) {
            bool inside = pg_addr_is_none(&p->addr[family]);
            for (uint32_t j = 0; j < lab->cluster_cidr_count && !inside; j++)
                inside = pg_prefix_contains(&lab->cluster_cidr[j], &p->addr[family]);
            first = !inside && first == NULL ? p : first;
            count += !inside;
        }
    }
    if (first != NULL)
        pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_ASSUMED, first->object.title,
                       "status.podIP", &first->object.source,
                       "outside every pod range (%u such addresses): the nodes will not know it "
                       "for a pod; give the range in the Lab's spec.podCIDRs",
                       count);
}

void pg_derive_pod_addrs(struct pg_load *load)
{
    uint32_t index = 0;
    load->pod_by_addr = (struct pg_index){.arena = &load->scratch};
    for (uint32_t turn = 0; turn < 2; turn++) { /* the made-up ingress pod picks first */
        for (uint32_t i = 0; i < load->pods.count; i++) {
            struct pg_raw_pod *p = PG_LIST_POINTER(load->pods, struct pg_raw_pod, i);
            if (p->ingress == (turn == 0))
                addrs_settle(load, p);
        }
    }
    for (uint32_t i = 0; i < load->pods.count; i++) {
        struct pg_raw_pod *p = PG_LIST_POINTER(load->pods, struct pg_raw_pod, i);
        bool here = !pg_addr_is_none(&p->addr[0]) || !pg_addr_is_none(&p->addr[1]);
        p->index = here && !p->finished ? index++ : PG_INDEX_NONE;
        backing_settle(load, p);
        for (int family = 0; family < 2 && p->index != PG_INDEX_NONE && !p->spec.host_network;
             family++) {
            if (!pg_addr_is_none(&p->addr[family]))
                pg_index_add(&load->pod_by_addr, &p->addr[family], sizeof(p->addr[family]), i);
        }
    }
    check_outside(load);
}
