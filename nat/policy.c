/* The decision about the first packet of a flow: which endpoint, whose source address, or why not
 * at all.
 *
 * Pure: tables, the tuple, the node and a random draw come in, a decision with its reasons goes
 * out. The path and `explain` call the very same functions, so a dry run cannot differ from the
 * wire. The order is kube-proxy's (nftables mode): source ranges, capture, policy, choice,
 * masquerade; what is not captured is looked at last. Other dialects are other values in the same
 * order (dialect.c).
 *
 *   who is the client?      a node itself (its address or pod gateway), a pod (detector.c), or
 *                           somebody outside
 *   which endpoints?        the local set only for outside clients of a policy Local, else the
 *                           cluster set (hints apply)
 *   whose address goes on?  that of the interface the packet leaves by: the pod gateway for a pod
 *                           of this node, else the node's own; none for an endpoint that is this
 *                           node itself
 *
 * Called by hooks.c and tools/explain. */
#include "dialect.h"
#include "nat_internal.h"

#include <string.h>

/* Everything the steps below look at. */
struct question {
    const struct pg_service_table *t;
    const struct pg_snapshot *s;
    const struct pg_dialect_rules *rules;
    const struct pg_tuple *tuple;
    const struct pg_front *front;
    const struct pg_service *service;
    const struct pg_served *served;
    const struct pg_service_why *why;
    const struct pg_group *group;
    uint32_t endpoint_first; /* of the service port: members count from there */
    bool v6;
    bool outside;    /* captured by something else than a cluster IP */
    bool node_local; /* the client is the deciding node */
    bool pod;        /* the client is a pod, for all the node can tell */
};

/* The endpoints to choose among: a range of members, of which some may be filtered out by hints. */
enum filter { FILTER_NONE, FILTER_NODES, FILTER_ZONES };
struct set {
    uint32_t first, count;
    enum filter filter;
    uint32_t chosen; /* how many pass the filter */
};

const char *pg_capture_name(enum pg_capture c)
{
    static const char *const names[] = {"none", "ClusterIP", "NodePort", "LoadBalancer",
                                        "ExternalIP"};
    _Static_assert(sizeof(names) / sizeof(names[0]) == PG_CAPTURE_EXTERNAL_IP + 1,
                   "a name per capture");

    return (unsigned)c <= PG_CAPTURE_EXTERNAL_IP ? names[c] : "none";
}

/* ---- the client ---- */

static bool in_ranges(const struct pg_snapshot *s, const struct pg_service *svc,
                      const struct pg_addr *a)
{
    for (uint32_t i = svc->range_first; i < svc->range_first + svc->range_count; i++) {
        if (pg_prefix_contains(&s->source_ranges[i], a))
            return true;
    }
    return false;
}

/* A node that is itself allowed may meet its own request again with a balancer address as source: balancers put theirs on
 * nodes, too. So where the node is in a range, those addresses are as well. */
static bool is_own_vip(const struct question *q, uint16_t node)
{
    const struct pg_service *svc = q->service;

    if (node >= q->s->node_count || !in_ranges(q->s, svc, &q->s->nodes[node].addr[q->v6]))
        return false;
    for (uint32_t i = svc->lb_first; i < svc->lb_first + svc->lb_count; i++) {
        if (!q->s->lb_ips[i].proxy_mode && pg_addr_equal(&q->s->lb_ips[i].addr, &q->tuple->src))
            return true;
    }
    return false;
}

static bool may_come(const struct question *q, uint16_t node)
{
    const struct pg_service *svc = q->service;

    if (q->front->capture != PG_CAPTURE_LB_IP || svc->range_count == 0)
        return true;
    if (!q->rules->ranges_for_all && (q->pod || q->node_local))
        return true;
    return in_ranges(q->s, svc, &q->tuple->src) || is_own_vip(q, node);
}

/* ---- the endpoints ---- */

static bool is_listed(const char *list, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = list; len && *at;) {
        const char *end = strchrnul(at, ',');
        if ((size_t)(end - at) == len && memcmp(at, name, len) == 0)
            return true;
        at = *end ? end + 1 : end;
    }
    return false;
}

static uint32_t endpoint_of(const struct question *q, uint32_t member)
{
    return q->endpoint_first + q->served->members[member].endpoint;
}

static bool passes(const struct question *q, const struct set *set, uint32_t member, uint32_t node)
{
    const struct pg_endpoint *e = &q->s->endpoints[endpoint_of(q, member)];

    if (set->filter == FILTER_NONE)
        return true;
    if (node >= q->s->node_count)
        return false;
    return set->filter == FILTER_NODES ? is_listed(e->node_hint, q->s->nodes[node].name)
                                       : is_listed(e->zone_hint, q->s->nodes[node].zone);
}

static uint32_t count_passing(const struct question *q, const struct set *set, uint32_t node)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < set->count; i++)
        count += passes(q, set, set->first + i, node);
    return count;
}

/* All or nothing: hints count only if every ready endpoint has them and one names us; nodes before
 * zones. */
static struct set cluster_set(const struct question *q, uint32_t node)
{
    const struct pg_group *g = q->group;
    struct set set = {.first = g->first, .count = g->ready, .chosen = g->ready};

    if (g->ready == 0)
        return (struct set){.first = g->first, .count = g->terminating, .chosen = g->terminating};
    for (int filter = FILTER_NODES; filter <= FILTER_ZONES; filter++) {
        if (filter == FILTER_NODES ? !g->hints_nodes : !g->hints_zones)
            continue;
        set.filter = (enum filter)filter;
        uint32_t count = count_passing(q, &set, node);
        if (count) {
            set.chosen = count;
            return set;
        }
    }
    set.filter = FILTER_NONE;
    return set;
}

static struct set local_set(const struct question *q, uint32_t node)
{
    struct set set = {0};

    set.count = pg_service_local(q->served->members, q->group, node, &set.first);
    set.chosen = set.count;
    return set;
}

static uint32_t find_affine(const struct question *q, const struct set *set, uint32_t node,
                            const struct pg_endpoint *wanted)
{
    for (uint32_t i = set->first; i < set->first + set->count; i++) {
        const struct pg_endpoint *e = &q->s->endpoints[endpoint_of(q, i)];
        if (e->port == wanted->port && pg_addr_equal(&e->addr, &wanted->addr) &&
            passes(q, set, i, node))
            return endpoint_of(q, i);
    }
    return PG_INDEX_NONE;
}

/* The affinity record's endpoint if it is in the set, else the draw's. */
static uint32_t choose(const struct question *q, const struct set *set, uint32_t node,
                       uint64_t draw, uint32_t affinity)
{
    uint32_t left = (uint32_t)(draw % set->chosen);
    uint32_t i = set->first;

    if (affinity != PG_INDEX_NONE) {
        uint32_t found = find_affine(q, set, node, &q->s->endpoints[affinity]);
        if (found != PG_INDEX_NONE)
            return found;
    }
    if (set->filter == FILTER_NONE)
        return endpoint_of(q, i + left);
    while (!passes(q, set, i, node) || left-- > 0)
        i++;
    return endpoint_of(q, i);
}

/* ---- the source address ---- */

struct pg_addr pg_nat_exit_address(const struct pg_snapshot *s, uint32_t endpoint, uint32_t node)
{
    const struct pg_endpoint *e = &s->endpoints[endpoint];
    bool v6 = !pg_addr_is_v4(&e->addr);

    if (node >= s->node_count)
        return (struct pg_addr){0};
    const struct pg_node *own = &s->nodes[node];
    uint32_t at = e->node != PG_INDEX_NONE ? e->node : pg_snapshot_node_of(s, &e->addr);
    bool here = at == node && !pg_addr_is_none(&own->gateway[v6]);

    return here || pg_addr_is_none(&own->addr[v6]) ? own->gateway[v6] : own->addr[v6];
}

/* Whether the chosen endpoint is on the deciding node. */
static bool is_near(const struct question *q, const struct pg_endpoint *e, uint16_t node)
{
    uint32_t at = e->node != PG_INDEX_NONE ? e->node : pg_snapshot_node_of(q->s, &e->addr);

    return node != PG_NODE_NONE && at == node;
}

/* What becomes of the source, and why. */
struct source {
    enum { KEEP, NODE, LOOPBACK } to;
    enum pg_port_rule port;
    pg_reason_id why;
};

static struct source masquerade(const struct question *q, pg_reason_id why)
{
    return (struct source){NODE, q->rules->masquerade_port, why};
}

static struct source keep(pg_reason_id why)
{
    return (struct source){KEEP, PG_PORT_KEEP, why};
}

static struct source source_of_hairpin(const struct question *q)
{
    struct pg_addr loopback = pg_dialect_loopback(q->s->lab.services.dialect, q->v6);

    if (!pg_addr_is_none(&loopback))
        return (struct source){LOOPBACK, PG_PORT_KEEP, q->t->loopback};
    return masquerade(q, q->why->masq_hairpin);
}

static struct source source_from_outside(const struct question *q, const struct pg_endpoint *e,
                                         uint16_t node)
{
    if (q->service->external_local)
        return q->node_local && !q->pod ? masquerade(q, q->why->masq_node_local)
                                        : keep(q->why->kept_local);
    switch (q->rules->cluster_policy) {
    case PG_MASQUERADE_NEVER: return keep(is_near(q, e, node) ? q->t->kept_near : q->t->kept_dsr);
    case PG_MASQUERADE_REMOTE:
        return is_near(q, e, node) ? keep(q->t->kept_near) : masquerade(q, q->why->masq_cluster);
    case PG_MASQUERADE_ALWAYS:
    default: return masquerade(q, q->why->masq_cluster);
    }
}

static struct source choose_source(const struct question *q, const struct pg_endpoint *e,
                                   uint16_t node)
{
    bool itself = pg_addr_equal(&e->addr, &q->tuple->src);

    if (itself && !(q->rules->at_connect && q->node_local))
        return source_of_hairpin(q);
    if (q->rules->at_connect && q->node_local)
        return (struct source){NODE, PG_PORT_KEEP, q->t->node_connect};
    if (q->rules->at_connect && q->pod)
        return keep(q->t->kept_connect);
    if (q->outside)
        return source_from_outside(q, e, node);
    if (q->rules->proxy_settings && q->s->lab.masquerade_all)
        return masquerade(q, q->t->masq_all);
    if (q->pod)
        return keep(q->why->kept_pod);
    if (q->s->lab.services.detector == PG_DETECTOR_NONE)
        return keep(q->t->kept_no_detector);
    return masquerade(q, q->why->masq_not_pod);
}

static void decide_source(const struct question *q, struct pg_nat_decision *ret)
{
    const struct pg_endpoint *e = &q->s->endpoints[ret->endpoint];
    struct source source = choose_source(q, e, ret->node);

    ret->snat_reason = source.why;
    ret->port = source.port;
    if (source.to == KEEP)
        return;
    if (ret->node != PG_NODE_NONE && pg_snapshot_node_by_addr(q->s, &e->addr) == ret->node) {
        ret->snat_reason =
            q->why->kept_host; /* it never leaves the node, so nothing masquerades it */
        ret->port = PG_PORT_KEEP;
        return;
    }
    ret->snat_addr = source.to == LOOPBACK ? pg_dialect_loopback(q->s->lab.services.dialect, q->v6)
                                           : pg_nat_exit_address(q->s, ret->endpoint, ret->node);
    ret->masquerade = true;
    if (pg_addr_is_none(
            &ret->snat_addr)) { /* as the kernel: no address on the way out, no packet */
        ret->kind = PG_DECIDE_DROP;
        ret->dnat_reason = source.why;
    }
}

/* ---- the whole ---- */

static bool is_own_dns(const struct pg_snapshot *s, const struct pg_tuple *t)
{
    if (t->dst_port != 53 || (t->proto != PG_PROTO_UDP && t->proto != PG_PROTO_TCP))
        return false;
    return pg_addr_equal(&t->dst, &s->lab.dns[!pg_addr_is_v4(&t->dst)]);
}

/* Not captured: an address of ours without such a port, an address nobody owns, or ordinary
 * traffic. */
static void decide_rest(const struct pg_service_table *t, const struct pg_tuple *tuple,
                        struct pg_nat_decision *ret)
{
    const struct pg_front *known = pg_service_front(t, &tuple->dst, 0, 0);

    if (known && known->capture == PG_CAPTURE_NONE) {
        ret->dnat_reason = pg_service_at(t, known->slot)->why.balancer;
    } else if (known && known->capture == PG_CAPTURE_CLUSTER_IP) {
        ret->kind = PG_DECIDE_REJECT;
        ret->service = pg_front_service(t, known);
        ret->dnat_reason = known->slot == PG_INDEX_NONE
                               ? t->dns_no_port
                               : pg_service_at(t, known->slot)->why.no_port;
    } else if (!known && pg_snapshot_in_service_cidr(t->snapshot, &tuple->dst)) {
        ret->kind = PG_DECIDE_DROP;
        ret->dnat_reason = t->unallocated;
    }
}

static void decide_endpoint(const struct question *q, uint64_t draw, uint32_t affinity,
                            struct pg_nat_decision *ret)
{
    const struct pg_group *g = q->group;
    bool only_local = q->outside ? q->service->external_local && !q->pod && !q->node_local
                                 : q->service->internal_local;
    struct set set = only_local ? local_set(q, ret->node) : cluster_set(q, ret->node);

    if (g->ready + g->terminating == 0) {
        ret->kind = PG_DECIDE_REJECT;
        ret->dnat_reason = q->why->no_endpoint;
        return;
    }
    if (set.chosen == 0) {
        ret->kind = PG_DECIDE_DROP;
        ret->dnat_reason = q->why->no_local[q->outside];
        return;
    }
    ret->kind = PG_DECIDE_DNAT;
    ret->candidates = set.chosen;
    ret->endpoint = choose(q, &set, ret->node, draw, affinity);
    ret->dnat_addr = q->s->endpoints[ret->endpoint].addr;
    ret->dnat_port = q->s->endpoints[ret->endpoint].port;
    ret->dnat_reason = ret->capture == PG_CAPTURE_NODE_PORT
                           ? q->served->ports[q->front->service_port].node_port_why
                           : q->why->dnat[ret->capture];
    decide_source(q, ret);
}

/* A node port is decided by the node whose address was used; what is translated in connect() at the client's node. */
static uint16_t deciding_node(const struct pg_snapshot *s, const struct pg_front *f,
                              const struct pg_tuple *tuple, uint16_t entry_node)
{
    uint32_t asked = pg_snapshot_node_by_addr(s, &tuple->dst);
    uint32_t own = pg_snapshot_node_of(s, &tuple->src);

    if (pg_dialect_rules(s)->at_connect && own != PG_INDEX_NONE)
        return (uint16_t)own;
    return f->capture == PG_CAPTURE_NODE_PORT && asked != PG_INDEX_NONE ? (uint16_t)asked
                                                                        : entry_node;
}

void pg_nat_decide(const struct pg_service_table *t, const struct pg_tuple *tuple,
                   uint16_t entry_node, uint64_t draw, uint32_t affinity,
                   struct pg_nat_decision *ret)
{
    const struct pg_snapshot *s = t->snapshot;

    *ret = (struct pg_nat_decision){.kind = PG_DECIDE_PLAIN,
                                    .service = PG_INDEX_NONE,
                                    .service_port = PG_INDEX_NONE,
                                    .endpoint = PG_INDEX_NONE,
                                    .node = entry_node,
                                    .dnat_reason = t->plain};
    if (is_own_dns(s, tuple)) {
        ret->dnat_reason = t->plain_dns;
        return;
    }
    const struct pg_front *f = pg_service_capture(t, tuple);

    if (!f) {
        decide_rest(t, tuple, ret);
        return;
    }
    ret->node = deciding_node(s, f, tuple, entry_node);
    ret->capture = (enum pg_capture)f->capture;
    ret->service = pg_front_service(t, f);
    ret->service_port = pg_front_port(t, f);

    struct question q = {.t = t,
                         .s = s,
                         .rules = pg_dialect_rules(s),
                         .tuple = tuple,
                         .front = f,
                         .service = &s->services[ret->service],
                         .served = pg_service_at(t, f->slot),
                         .why = &pg_service_at(t, f->slot)->why,
                         .endpoint_first = s->service_ports[ret->service_port].endpoint_first};
    q.v6 = !pg_addr_is_v4(&tuple->dst);
    q.group = &q.served->ports[f->service_port].group[q.v6];
    q.outside = pg_front_is_outside(ret->capture);
    q.node_local =
        ret->node != PG_NODE_NONE && pg_snapshot_node_by_addr(s, &tuple->src) == ret->node;
    q.pod = pg_nat_is_pod(s, &tuple->src, ret->node);
    if (!may_come(&q, ret->node)) {
        ret->kind = PG_DECIDE_DROP;
        ret->dnat_reason = q.why->source_range;
        return;
    }
    if (!q.outside && !q.pod && !q.node_local && !q.rules->strangers_use_cluster_ips) {
        ret->kind = PG_DECIDE_DROP;
        ret->dnat_reason = t->cluster_ip_outside;
        return;
    }
    decide_endpoint(&q, draw, affinity, ret);
}

enum pg_drop pg_nat_drop_of(const struct pg_nat_decision *d)
{
    if (d->kind != PG_DECIDE_DROP)
        return d->kind == PG_DECIDE_REJECT ? PG_DROP_REJECTED : PG_DROP_NONE;
    switch (pg_reason_get(d->dnat_reason)->code) {
    case PG_CODE_DROP_NO_LOCAL: return PG_DROP_NO_LOCAL_ENDPOINT;
    case PG_CODE_DROP_UNALLOCATED: return PG_DROP_UNALLOCATED_SERVICE_IP;
    case PG_CODE_DROP_SOURCE_RANGE: return PG_DROP_SOURCE_RANGE;
    case PG_CODE_DROP_CLUSTER_IP: return PG_DROP_CLUSTER_IP_OUTSIDE;
    default: return PG_DROP_INSERT_FAILED; /* no address to masquerade with */
    }
}

/* ---- where a packet enters ---- */

/* The nodes a balancer would use for a policy Local: those with a ready endpoint. The n-th of them;
 * *ret_count how many. */
static uint32_t local_node(const struct pg_member *members, const struct pg_group *g,
                           uint32_t number, uint32_t *ret_count)
{
    uint32_t last = PG_INDEX_NONE;
    uint32_t found = PG_INDEX_NONE;
    uint32_t count = 0;

    for (uint32_t i = g->first; i < g->first + g->ready; i++) {
        uint32_t node = members[i].node;
        if (node == last || node == PG_INDEX_NONE)
            continue;
        last = node;
        if (count++ == number)
            found = node;
    }
    *ret_count = count;
    return found;
}

uint16_t pg_nat_entry_choice(const struct pg_service_table *t, const struct pg_tuple *tuple,
                             uint64_t draw, uint32_t *ret_count)
{
    const struct pg_snapshot *s = t->snapshot;
    bool at_connect = pg_dialect_rules(s)->at_connect;
    uint32_t node =
        at_connect ? pg_snapshot_node_of(s, &tuple->src) : pg_snapshot_node_by_addr(s, &tuple->dst);

    *ret_count = 1;
    if (node == PG_INDEX_NONE)
        node = at_connect ? pg_snapshot_node_by_addr(s, &tuple->dst)
                          : pg_snapshot_node_of(s, &tuple->src);
    if (node != PG_INDEX_NONE)
        return (uint16_t)node;

    const struct pg_front *f = pg_service_capture(t, tuple);

    if (f && pg_front_is_outside((enum pg_capture)f->capture) &&
        s->services[pg_front_service(t, f)].external_local) {
        const struct pg_served *served = pg_service_at(t, f->slot);
        const struct pg_group *g =
            &served->ports[f->service_port].group[!pg_addr_is_v4(&tuple->dst)];
        uint32_t count;
        local_node(served->members, g, 0, &count);
        if (count) {
            *ret_count = count;
            return (uint16_t)local_node(served->members, g, (uint32_t)(draw % count), &count);
        }
    }
    if (!f)
        node = pg_snapshot_node_of(s, &tuple->dst);
    if (node != PG_INDEX_NONE)
        return (uint16_t)node;
    if (t->ready_node_count) {
        *ret_count = t->ready_node_count;
        return (uint16_t)t->ready_nodes[draw % t->ready_node_count];
    }
    return s->node_count ? 0 : PG_NODE_NONE;
}

uint16_t pg_nat_entry_node(const struct pg_service_table *t, const struct pg_tuple *tuple)
{
    uint32_t count;

    return pg_nat_entry_choice(t, tuple, pg_hash_tuple(&t->key, tuple), &count);
}
