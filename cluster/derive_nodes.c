/* Nodes with addresses and pod ranges, and the ranges that say what is a pod and what a service.
 *
 * Called by derive.c first. Nodes come from Node objects, with the Lab's values over them; without
 * either, from the node names that pods give (dumps often lack nodes); without those, there are
 * two. Ranges come from the Lab; else the defaults, widened by what the nodes and services show,
 * because dumps of real clusters rarely use 10.244 and 10.96. */
#include "cluster_internal.h"

#include <stdlib.h>
#include <string.h>

#define V4(bits) ((uint8_t)(96 + (bits)))

static struct pg_raw_node *node_add(struct pg_load *load, const char *name)
{
    struct pg_raw_node *n = pg_arena_alloc(&load->scratch, sizeof(*n));
    n->object.kind = PG_KIND_NODE;
    n->object.kind_name = "Node";
    n->object.namespace = "";
    n->object.name = name;
    n->object.title = pg_arena_printf(&load->scratch, "Node/%s", name);
    n->object.source.file = "";
    n->node.name = name;
    n->node.zone = "";
    n->node.ready = true;
    n->node.source.file = "";
    pg_list_add_pointer(&load->nodes, n);
    return n;
}

static int node_order(const void *a, const void *b)
{
    return pg_object_compare(&(*(struct pg_raw_node *const *)a)->object,
                             &(*(struct pg_raw_node *const *)b)->object);
}

static void sort_nodes(const struct pg_load *load)
{
    if (load->nodes.count > 1)
        qsort(load->nodes.at, load->nodes.count, sizeof(void *), node_order);
}

static void lab_over(struct pg_load *load)
{
    struct pg_index names = {.arena = &load->scratch};
    for (uint32_t i = 0; i < load->nodes.count; i++) {
        const char *name = PG_LIST_POINTER(load->nodes, struct pg_raw_node, i)->node.name;
        pg_index_add(&names, name, strlen(name), i);
    }
    for (uint32_t i = 0; i < load->lab->nodes.count; i++) {
        const struct pg_node *from = PG_LIST_AT(load->lab->nodes, struct pg_node, i);
        uint32_t at = pg_index_find(&names, from->name, strlen(from->name));
        struct pg_raw_node *to = at == PG_INDEX_ABSENT
                                     ? node_add(load, from->name)
                                     : PG_LIST_POINTER(load->nodes, struct pg_raw_node, at);
        for (int family = 0; family < 2; family++) {
            if (!pg_addr_is_none(&from->addr[family]))
                to->node.addr[family] = from->addr[family];
            if (from->pod_cidr[family].bits != 0)
                to->node.pod_cidr[family] = from->pod_cidr[family];
        }
        if (from->zone[0] != '\0')
            to->node.zone = from->zone;
        to->node.source = to->object.source = from->source;
    }
}

/* Nodes that only pods and slices name. */
struct sighting {
    struct pg_load *load;
    struct pg_index names;
    struct pg_index ranges; /* first address of a /24 -> node */
    struct pg_list mixed;   /* of bool per node: its addresses do not tell its range */
};

static uint32_t node_seen(struct sighting *seen, const char *name, const struct pg_source *source)
{
    struct pg_load *load = seen->load;
    if (!pg_name_ok(name, PG_NAME_SUBDOMAIN))
        return PG_INDEX_NONE;
    uint32_t at = pg_index_add(&seen->names, name, strlen(name), load->nodes.count);
    if (at != PG_INDEX_ABSENT)
        return at;
    struct pg_raw_node *n = node_add(load, name);
    n->node.source = n->object.source = *source;
    *(bool *)pg_list_add(&seen->mixed) = false;
    return load->nodes.count - 1;
}

/* A node gets as pod range the /24 that all its pods share and that no other node's pod is in. */
static void addr_seen(struct sighting *seen, uint32_t at, const struct pg_addr *a)
{
    if (at == PG_INDEX_NONE || !pg_addr_is_v4(a))
        return;
    struct pg_node *n = &PG_LIST_POINTER(seen->load->nodes, struct pg_raw_node, at)->node;
    struct pg_prefix *range = pg_arena_alloc(&seen->load->scratch, sizeof(*range));
    *range = (struct pg_prefix){*a, V4(24)};
    range->addr.bytes[15] = 0;
    uint32_t other = pg_index_add(&seen->ranges, &range->addr, sizeof(range->addr), at);
    if (other != PG_INDEX_ABSENT && other != at)
        *PG_LIST_AT(seen->mixed, bool, at) = *PG_LIST_AT(seen->mixed, bool, other) = true;
    if (n->pod_cidr[0].bits != 0 && !pg_addr_equal(&n->pod_cidr[0].addr, &range->addr))
        *PG_LIST_AT(seen->mixed, bool, at) = true;
    n->pod_cidr[0] = *range;
}

static void nodes_from_pods(struct pg_load *load)
{
    struct sighting seen = {
        load, {.arena = &load->scratch}, {.arena = &load->scratch}, PG_LIST(&load->scratch, bool)};
    for (uint32_t i = 0; i < load->pods.count; i++) {
        const struct pg_raw_pod *p = PG_LIST_POINTER(load->pods, struct pg_raw_pod, i);
        uint32_t at = node_seen(&seen, p->spec.node_name, &p->object.source);
        const struct pg_addr *host = p->spec.host_network ? &p->addr[0] : &p->host_addr;
        if (at == PG_INDEX_NONE)
            continue;
        struct pg_node *n = &PG_LIST_POINTER(load->nodes, struct pg_raw_node, at)->node;
        if (pg_addr_is_none(&n->addr[0]) && pg_addr_is_v4(host))
            n->addr[0] = *host;
        if (!p->spec.host_network)
            addr_seen(&seen, at, &p->addr[0]);
    }
    for (uint32_t i = 0; i < load->slices.count; i++) {
        const struct pg_raw_slice *s = PG_LIST_POINTER(load->slices, struct pg_raw_slice, i);
        for (uint32_t j = 0; j < s->endpoint_count; j++) {
            const struct pg_slice_endpoint *e = &s->endpoints[j];
            uint32_t at = node_seen(&seen, e->node_name, &e->endpoint.source);
            bool host =
                at != PG_INDEX_NONE &&
                pg_addr_equal(&PG_LIST_POINTER(load->nodes, struct pg_raw_node, at)->node.addr[0],
                              &e->endpoint.addr);
            if (!host)
                addr_seen(&seen, at, &e->endpoint.addr);
        }
    }
    bool usual = true;
    for (uint32_t i = 0; i < load->nodes.count; i++) {
        struct pg_node *n = &PG_LIST_POINTER(load->nodes, struct pg_raw_node, i)->node;
        if (*PG_LIST_AT(seen.mixed, bool, i))
            n->pod_cidr[0].bits = 0;
        usual = usual && (strcmp(n->name, "node-1") == 0 || strcmp(n->name, "node-2") == 0);
    }
    if (usual) /* whoever writes node-2 by hand means the second of the two there are anyway */
        load->nodes.count = 0;
    else
        pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_ASSUMED, "", "", NULL,
                       "no Node is given: %u taken from the pods, with their likely pod ranges",
                       load->nodes.count);
}

static bool range_free(const struct pg_load *load, const struct pg_prefix *p)
{
    for (uint32_t i = 0; i < load->nodes.count; i++) {
        const struct pg_node *n = &PG_LIST_POINTER(load->nodes, struct pg_raw_node, i)->node;
        if (n->pod_cidr[0].bits != 0 && pg_prefix_overlap(&n->pod_cidr[0], p))
            return false;
    }
    return true;
}

/* Pod ranges for nodes that have none: 10.244.1.0/24 for the first node and so on, as kubeadm's
 * controller does. */
static void give_ranges(struct pg_load *load)
{
    struct pg_prefix base = {pg_addr_v4(10, 244, 0, 0), V4(16)};
    for (uint32_t i = load->lab->lab.cluster_cidr_count; i-- > 0;) {
        if (pg_addr_is_v4(&load->lab->lab.cluster_cidr[i].addr))
            base = load->lab->lab.cluster_cidr[i];
    }
    unsigned bits = base.bits <= V4(20) ? V4(24) : base.bits + 4u < 126 ? base.bits + 4u : 126;
    uint32_t most =
        base.bits >= bits ? 1 : (bits - base.bits > 20 ? 1u << 20 : 1u << (bits - base.bits));
    uint32_t turn = 0;
    for (uint32_t i = 0; i < load->nodes.count; i++) {
        struct pg_raw_node *n = PG_LIST_POINTER(load->nodes, struct pg_raw_node, i);
        bool only_v6 = !pg_addr_is_none(&n->node.addr[1]) && pg_addr_is_none(&n->node.addr[0]);
        if (n->node.pod_cidr[0].bits != 0 || only_v6)
            continue;
        for (turn = turn < i + 1 ? i + 1 : turn; turn < most; turn++) {
            struct pg_prefix p = {pg_addr_add(&base.addr, turn << (128 - bits)), (uint8_t)bits};
            if (!range_free(load, &p))
                continue;
            n->node.pod_cidr[0] = p;
            turn++;
            break;
        }
    }
}

static void give_addrs(struct pg_load *load)
{
    struct pg_prefix base = {pg_addr_v4(192, 0, 2, 0), V4(24)};
    for (uint32_t i = 0; i < load->nodes.count; i++) {
        struct pg_raw_node *n = PG_LIST_POINTER(load->nodes, struct pg_raw_node, i);
        if (pg_addr_is_none(&n->node.addr[0]) && pg_addr_is_none(&n->node.addr[1])) {
            n->node.addr[0] = pg_derive_pick(load, &base, 11, 254, i);
            if (pg_addr_is_none(&n->node.addr[0]))
                pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, n->object.title,
                               "status.addresses", &n->object.source,
                               "no InternalIP, and no address is left to give");
            else
                (void)pg_derive_take_addr(load, &n->node.addr[0], &n->object);
        }
    }
}

/* Written addresses first, so that none of them is given to somebody else. */
static void take_addrs(struct pg_load *load)
{
    for (uint32_t i = 0; i < load->nodes.count; i++) {
        struct pg_raw_node *n = PG_LIST_POINTER(load->nodes, struct pg_raw_node, i);
        for (int family = 0; family < 2; family++) {
            const struct pg_prefix *range = &n->node.pod_cidr[family];
            if (range->bits != 0)
                n->node.gateway[family] = pg_addr_add(&range->addr, 1);
            const struct pg_addr *const all[] = {&n->node.addr[family], &n->node.gateway[family]};
            for (size_t j = 0; j < 2; j++) {
                const char *owner =
                    pg_addr_is_none(all[j]) ? NULL : pg_derive_take_addr(load, all[j], &n->object);
                char text[PG_ADDR_TEXT];
                if (owner != NULL)
                    pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, n->object.title, "",
                                   &n->object.source, "address %s is also that of %s",
                                   pg_addr_print(all[j], text), owner);
            }
        }
    }
}

/* A range and whose it is, for finding overlaps. */
struct owned_range {
    struct pg_prefix range;
    const struct pg_raw_node *node;
};

static int owned_compare(const void *a, const void *b)
{
    const struct owned_range *x = a;
    const struct owned_range *y = b;
    int order = memcmp(x->range.addr.bytes, y->range.addr.bytes, 16);
    return order != 0 ? order : (int)x->range.bits - (int)y->range.bits;
}

static void check_overlaps(struct pg_load *load)
{
    struct pg_list all = PG_LIST(&load->scratch, struct owned_range);
    for (uint32_t i = 0; i < load->nodes.count; i++) {
        const struct pg_raw_node *n = PG_LIST_POINTER(load->nodes, struct pg_raw_node, i);
        for (int family = 0; family < 2; family++) {
            if (n->node.pod_cidr[family].bits != 0)
                *(struct owned_range *)pg_list_add(&all) =
                    (struct owned_range){n->node.pod_cidr[family], n};
        }
    }
    if (all.count > 1)
        qsort(all.at, all.count, sizeof(struct owned_range), owned_compare);
    for (uint32_t i = 1; i < all.count; i++) {
        const struct owned_range *before = PG_LIST_AT(all, struct owned_range, i - 1);
        struct owned_range *here = PG_LIST_AT(all, struct owned_range, i);
        if (!pg_prefix_overlap(&before->range, &here->range))
            continue;
        char text[PG_ENDPOINT_TEXT];
        pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, here->node->object.title,
                       "spec.podCIDR", &here->node->object.source,
                       "pod range %s overlaps that of %s (%s:%u)",
                       pg_prefix_print(&here->range, text), before->node->object.title,
                       before->node->object.source.file, before->node->object.source.line);
        *here = *before; /* the wider one may overlap the next too */
    }
}

void pg_derive_nodes(struct pg_load *load)
{
    sort_nodes(load);
    lab_over(load);
    if (load->nodes.count == 0) {
        nodes_from_pods(load);
        sort_nodes(load);
    }
    if (load->nodes.count == 0) {
        node_add(load, "node-1");
        node_add(load, "node-2");
    }
    give_ranges(load);
    check_overlaps(load);
    take_addrs(load);
    give_addrs(load);
    for (uint32_t i = 0; i < load->nodes.count; i++) {
        const struct pg_node *n = &PG_LIST_POINTER(load->nodes, struct pg_raw_node, i)->node;
        pg_index_add(&load->node_by_name, n->name, strlen(n->name), i);
        for (int family = 0; family < 2; family++)
            load->families[family] = load->families[family] || n->pod_cidr[family].bits != 0;
    }
    if (!load->families[0] && !load->families[1])
        load->families[0] = true;
}

uint32_t pg_derive_node_of(const struct pg_load *load, const struct pg_addr *a)
{
    int family = pg_addr_is_v4(a) ? 0 : 1;
    for (uint32_t i = 0; i < load->nodes.count; i++) {
        const struct pg_node *n = &PG_LIST_POINTER(load->nodes, struct pg_raw_node, i)->node;
        if (n->pod_cidr[family].bits != 0 && pg_prefix_contains(&n->pod_cidr[family], a))
            return i;
    }
    return PG_INDEX_NONE;
}

/* Into at most four, which is what the local detector compares with. */
static uint32_t settle(struct pg_load *load, const struct pg_list *all, struct pg_prefix to[4],
                       const char *what)
{
    bool widened = false;
    uint32_t exact = pg_prefix_merge(all->at, all->count, UINT32_MAX);
    uint32_t count = pg_prefix_merge(all->at, exact, 4);
    widened = count < exact;
    for (uint32_t i = 0; i < count; i++)
        to[i] = *PG_LIST_AT(*all, struct pg_prefix, i);
    if (widened)
        pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_ASSUMED, "", "", NULL,
                       "%u %s ranges are taken together as %u wider ones", exact, what, count);
    return count;
}

static void cluster_ranges(struct pg_load *load)
{
    struct pg_lab *lab = &load->lab->lab;
    struct pg_list all = PG_LIST(&load->scratch, struct pg_prefix);
    for (uint32_t i = 0; i < lab->cluster_cidr_count; i++)
        *(struct pg_prefix *)pg_list_add(&all) = lab->cluster_cidr[i];
    if (lab->cluster_cidr_count == 0)
        *(struct pg_prefix *)pg_list_add(&all) =
            (struct pg_prefix){pg_addr_v4(10, 244, 0, 0), V4(16)};
    for (uint32_t i = 0; i < load->nodes.count; i++) {
        const struct pg_node *n = &PG_LIST_POINTER(load->nodes, struct pg_raw_node, i)->node;
        for (int family = 0; family < 2; family++) {
            if (n->pod_cidr[family].bits != 0)
                *(struct pg_prefix *)pg_list_add(&all) = n->pod_cidr[family];
        }
    }
    lab->cluster_cidr_count = settle(load, &all, lab->cluster_cidr, "pod");
}

static bool in_ranges(const struct pg_list *ranges, const struct pg_addr *a)
{
    for (uint32_t i = 0; i < ranges->count; i++) {
        if (pg_prefix_contains(PG_LIST_AT(*ranges, struct pg_prefix, i), a))
            return true;
    }
    return false;
}

/* The range a written cluster IP suggests: kubeadm's default if it fits, else its /16 (IPv6:
 * /112). */
static struct pg_prefix range_around(const struct pg_addr *a)
{
    struct pg_prefix kubeadm = {pg_addr_v4(10, 96, 0, 0), V4(12)};
    if (pg_prefix_contains(&kubeadm, a))
        return kubeadm;
    struct pg_prefix p = {*a, pg_addr_is_v4(a) ? V4(16) : 112};
    p.addr.bytes[14] = p.addr.bytes[15] = 0;
    return p;
}

static void service_ranges_guess(struct pg_load *load, struct pg_list *all)
{
    struct pg_prefix usual = {pg_addr_v4(10, 96, 0, 0), V4(16)};
    uint32_t written = 0;
    uint32_t inside = 0;
    for (uint32_t i = 0; i < load->services.count; i++) {
        const struct pg_raw_service *s = PG_LIST_POINTER(load->services, struct pg_raw_service, i);
        written += !pg_addr_is_none(&s->service.cluster_ip[0]);
        inside += !pg_addr_is_none(&s->service.cluster_ip[0]) &&
                  pg_prefix_contains(&usual, &s->service.cluster_ip[0]);
    }
    if (written == 0 || inside > 0)
        *(struct pg_prefix *)pg_list_add(all) = usual;
    for (uint32_t i = 0; i < load->services.count; i++) {
        const struct pg_raw_service *s = PG_LIST_POINTER(load->services, struct pg_raw_service, i);
        for (int family = 0; family < 2; family++) {
            const struct pg_addr *a = &s->service.cluster_ip[family];
            if (!pg_addr_is_none(a) && !in_ranges(all, a) && all->count < 64)
                *(struct pg_prefix *)pg_list_add(all) = range_around(a);
        }
    }
}

static bool any_asks_v6(const struct pg_load *load)
{
    for (uint32_t i = 0; i < load->services.count; i++) {
        const struct pg_raw_service *s = PG_LIST_POINTER(load->services, struct pg_raw_service, i);
        if (s->family_asked[1] || s->dual_required || (s->dual_asked && load->families[1]))
            return true;
    }
    return load->families[1];
}

static void service_ranges(struct pg_load *load)
{
    struct pg_lab *lab = &load->lab->lab;
    struct pg_list all = PG_LIST(&load->scratch, struct pg_prefix);
    bool v6 = false;
    bool given = lab->service_cidr_count > 0;
    for (uint32_t i = 0; i < lab->service_cidr_count; i++)
        *(struct pg_prefix *)pg_list_add(&all) = lab->service_cidr[i];
    if (!given)
        service_ranges_guess(load, &all);
    for (uint32_t i = 0; i < all.count; i++)
        v6 = v6 || !pg_addr_is_v4(&PG_LIST_AT(all, struct pg_prefix, i)->addr);
    if (!v6 && any_asks_v6(load) && all.count < 4) {
        static const uint8_t usual[16] = {0xfd, 0x00, 0x00, 0x10, 0x00, 0x96};
        *(struct pg_prefix *)pg_list_add(&all) = (struct pg_prefix){pg_addr_from_v6(usual), 112};
    }
    /* The Lab's order counts: its first range has the address of the cluster DNS. */
    if (given) {
        lab->service_cidr_count = all.count < 4 ? all.count : 4;
        memcpy(lab->service_cidr, all.at, lab->service_cidr_count * sizeof(*lab->service_cidr));
    } else {
        lab->service_cidr_count = settle(load, &all, lab->service_cidr, "service");
    }
}

static bool is_cluster_dns(const struct pg_raw_service *s)
{
    if (strcmp(s->object.namespace, "kube-system") != 0 || s->service.type == PG_SERVICE_HEADLESS)
        return false;
    if (strcmp(s->object.name, "kube-dns") == 0)
        return true;
    for (uint32_t i = 0; i < s->object.labels.count; i++) {
        const struct pg_label *l = &s->object.labels.at[i];
        if (strcmp(l->key, "k8s-app") == 0 && strcmp(l->value, "kube-dns") == 0)
            return true;
    }
    return false;
}

/* The DNS address: that of Service kube-system/kube-dns, else the Lab's, else the tenth of the
 * first service range. */
static void dns_addr(struct pg_load *load)
{
    static struct pg_object cluster_dns = {.title = "the cluster DNS", .source = {"", 0}};
    struct pg_lab *lab = &load->lab->lab;
    struct pg_raw_service *service = NULL;
    for (uint32_t i = 0; i < load->services.count && service == NULL; i++) {
        struct pg_raw_service *s = PG_LIST_POINTER(load->services, struct pg_raw_service, i);
        service = is_cluster_dns(s) ? s : NULL;
    }
    bool written = service != NULL && (!pg_addr_is_none(&service->service.cluster_ip[0]) ||
                                       !pg_addr_is_none(&service->service.cluster_ip[1]));
    if (written) {
        memcpy(lab->dns, service->service.cluster_ip, sizeof(lab->dns));
        return;
    }
    if (!load->lab->has_dns) {
        const struct pg_prefix *range = &lab->service_cidr[0];
        uint32_t size = pg_prefix_size(range);
        struct pg_addr a = pg_addr_add(&range->addr, size > 11 ? 10 : size / 2);
        lab->dns[pg_addr_is_v4(&a) ? 0 : 1] = a;
    }
    for (int family = 0; family < 2; family++) {
        if (pg_addr_is_none(&lab->dns[family]))
            continue;
        if (service != NULL) {
            service->service.cluster_ip[family] = lab->dns[family];
            service->family_asked[family] = true;
        } else {
            (void)pg_derive_take_addr(load, &lab->dns[family], &cluster_dns);
        }
    }
}

void pg_derive_ranges(struct pg_load *load)
{
    cluster_ranges(load);
    service_ranges(load);
    dns_addr(load);
}
