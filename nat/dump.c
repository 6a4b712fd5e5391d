/* Looking at a nat: flows, one by one or all; translations that the tables hold; how often each was
 * used.
 *
 * Called by tools/ and app/ for `get conntrack`, `get nat` and the metrics, never by the path; events.c
 * takes its views. Changes nothing. */
#include "dialect.h"
#include "nat_internal.h"

#include <string.h>

/* ---- flows ---- */

static void fill_service(const struct pg_nat *n, const struct pg_flow *f,
                         struct pg_nat_flow_view *v)
{
    if (!f->use)
        return;
    const struct pg_use *use = pg_use_at(n->uses, f->use);
    const char *namespace;
    const char *name;

    pg_use_name_parts(n->uses, use->key.name, &namespace, &name);
    v->service_name = pg_use_name_text(n->uses, use->key.name);
    v->service_port = use->key.service_port;
    if (n->services)
        v->service = pg_snapshot_service(n->services->snapshot, namespace, name);
}

void pg_flow_view(const struct pg_nat *n, uint32_t index, uint64_t now_us,
                  struct pg_nat_flow_view *v)
{
    const struct pg_flow *f = pg_flow_at(n, index);
    uint64_t now_ms = now_us / 1000;

    *v = (struct pg_nat_flow_view){
        .id = pg_flow_id(n, index),
        .orig = pg_flow_tuple(n, f, PG_ORIG),
        .reply = pg_flow_tuple(n, f, PG_REPLY),
        .state = f->proto == PG_PROTO_TCP ? (enum pg_tcp_state)f->tcp.state : PG_CT_NONE,
        .seen_reply = (f->flags & FLOW_SEEN_REPLY) != 0,
        .assured = (f->flags & FLOW_ASSURED) != 0,
        .snat = (f->flags & FLOW_SNAT) != 0,
        .dnat = (f->flags & FLOW_DNAT) != 0,
        .node = f->node,
        .label = f->label,
        .timeout_s = f->due_ms > now_ms ? (f->due_ms - now_ms) / 1000 : 0,
        .packets = {pg_flow_packets(f, PG_ORIG), pg_flow_packets(f, PG_REPLY)},
        .bytes = {f->total[PG_ORIG].bytes, f->total[PG_REPLY].bytes},
        .dnat_reason = (pg_reason_id)f->dnat_reason,
        .snat_reason = (pg_reason_id)f->snat_reason,
        .age_us = now_us > f->created_us ? now_us - f->created_us : 0,
        .service = PG_INDEX_NONE,
        .service_name = "",
    };
}

static void fill_view(const struct pg_nat *n, uint32_t index, uint64_t now_us,
                      struct pg_nat_flow_view *v)
{
    pg_flow_view(n, index, now_us, v);
    fill_service(n, pg_flow_at(n, index), v);
}

struct flow_walk {
    const struct pg_nat *n;
    uint64_t now_us;
    void (*fn)(void *arg, const struct pg_nat_flow_view *flow);
    void *arg;
};

static void show_value(void *arg, uint32_t value)
{
    const struct flow_walk *w = arg;
    struct pg_nat_flow_view view;

    if (value & 1) /* the reply tuple: shown with the original one */
        return;
    fill_view(w->n, value >> 1, w->now_us, &view);
    w->fn(w->arg, &view);
}

bool pg_nat_walk(const struct pg_nat *n, uint64_t *cursor, uint32_t budget, uint64_t now_us,
                 void (*fn)(void *arg, const struct pg_nat_flow_view *flow), void *arg)
{
    struct flow_walk w = {n, now_us, fn, arg};

    return pg_table_walk(n->by_tuple, cursor, budget, show_value, &w);
}

bool pg_nat_find(const struct pg_nat *n, const struct pg_tuple *either_direction, uint64_t now_us,
                 struct pg_nat_flow_view *ret)
{
    uint32_t found = pg_flow_of(n, either_direction);

    if (found == PG_TABLE_NONE)
        return false;
    fill_view(n, found >> 1, now_us, ret);
    return true;
}

/* ---- translations ---- */

struct rule_walk {
    const struct pg_nat *n;
    void (*fn)(void *arg, const struct pg_nat_rule_view *rule);
    void *arg;
};

static void show_rule(const struct rule_walk *w, uint32_t service_port, uint8_t kind,
                      struct pg_nat_rule_view *r)
{
    const struct pg_addr *about = kind == PG_USE_HAIRPIN ? &r->before : &r->after;
    uint16_t port = kind == PG_USE_HAIRPIN ? r->before_port : r->after_port;
    struct pg_use_key key = pg_nat_use_key(w->n, service_port, kind, about, port);
    uint32_t use = pg_use_find(w->n->uses, &key);

    if (use) {
        r->active = pg_use_at(w->n->uses, use)->active;
        r->hits = pg_use_at(w->n->uses, use)->hits;
    }
    if (kind == PG_USE_HAIRPIN)
        r->before_port = 0;
    /* Cluster IPs used by others than pods: every service could have these rows, so only those that
     * were needed show. */
    if (kind != PG_USE_SNAT_SERVICE || r->hits)
        w->fn(w->arg, r);
}

/* The rows of one address of a service port: one per endpoint it chooses among. */
static void show_front(const struct rule_walk *w, uint32_t service_port, enum pg_capture capture,
                       const struct pg_addr *addr, bool v6)
{
    const struct pg_service_table *t = w->n->services;
    const struct pg_service_port *p = &t->snapshot->service_ports[service_port];
    const struct pg_group *g = pg_service_group(t, service_port, v6);
    const struct pg_member *m = pg_service_members(t, service_port) + g->first;
    uint32_t count = g->ready ? g->ready : g->terminating;

    for (uint32_t i = 0; i < count; i++) {
        const struct pg_endpoint *e = &t->snapshot->endpoints[p->endpoint_first + m[i].endpoint];
        struct pg_nat_rule_view r = {.hook = capture == PG_CAPTURE_CLUSTER_IP ? "service" : "front",
                                     .kind = "dnat",
                                     .before = *addr,
                                     .after = e->addr,
                                     .after_port = e->port,
                                     .port_mode = "fixed",
                                     .endpoint_number = i + 1,
                                     .endpoint_count = count};
        r.before_port = capture == PG_CAPTURE_NODE_PORT ? p->node_port : p->port;
        r.reason = capture == PG_CAPTURE_NODE_PORT
                       ? pg_service_port(t, service_port)->node_port_why
                       : pg_service_served(t, p->service)->why.dnat[capture];
        show_rule(w, service_port, (uint8_t)capture, &r);
    }
}

static void show_masquerade(const struct rule_walk *w, uint32_t service_port,
                            const struct pg_addr *exit, bool outside)
{
    const struct pg_service_table *t = w->n->services;
    const struct pg_service_why *why =
        &pg_service_served(t, t->snapshot->service_ports[service_port].service)->why;
    struct pg_nat_rule_view r = {.hook = outside ? "front" : "service",
                                 .kind = "snat",
                                 .after = *exit,
                                 .port_mode = "random"};
    const struct pg_dialect_rules *rules = pg_dialect_rules(t->snapshot);

    r.reason = outside                           ? why->masq_cluster
               : rules->at_connect               ? t->node_connect
               : t->snapshot->lab.masquerade_all ? t->masq_all
                                                 : why->masq_not_pod;
    if (rules->at_connect)
        r.port_mode = outside ? "kept or random" : "fixed";
    if (!pg_addr_is_none(exit))
        show_rule(w, service_port, outside ? PG_USE_SNAT_OUTSIDE : PG_USE_SNAT_SERVICE, &r);
}

/* Sources that replace others: each endpoint's pod gateway, then the nodes' own addresses if an
 * endpoint is elsewhere. */
static void show_sources(const struct rule_walk *w, uint32_t service_port, bool v6, bool outside)
{
    enum pg_masquerade_rule rule =
        outside ? pg_dialect_rules(w->n->services->snapshot)->cluster_policy : PG_MASQUERADE_ALWAYS;
    const struct pg_service_table *t = w->n->services;
    const struct pg_snapshot *s = t->snapshot;
    const struct pg_group *g = pg_service_group(t, service_port, v6);
    const struct pg_member *m = pg_service_members(t, service_port) + g->first;
    uint32_t first = s->service_ports[service_port].endpoint_first;
    uint32_t count = g->ready ? g->ready : g->terminating;

    for (uint32_t i = 0; i < count && rule == PG_MASQUERADE_ALWAYS; i++) {
        if (m[i].node == PG_INDEX_NONE || (i && m[i].node == m[i - 1].node))
            continue;
        struct pg_addr exit = pg_nat_exit_address(s, first + m[i].endpoint, m[i].node);
        show_masquerade(w, service_port, &exit, outside);
    }
    if (rule == PG_MASQUERADE_NEVER)
        return;
    for (uint32_t node = 0; count && node < s->node_count && node < PG_SNAT_ROWS_MOST; node++) {
        const struct pg_member *elsewhere =
            m[0].node != node ? &m[0] : &m[count - 1]; /* sorted by node */
        if (elsewhere->node == node)
            continue;
        struct pg_addr exit = pg_nat_exit_address(s, first + elsewhere->endpoint, node);
        show_masquerade(w, service_port, &exit, outside);
    }
}

static void show_hairpins(const struct rule_walk *w, uint32_t service_port, bool v6)
{
    const struct pg_service_table *t = w->n->services;
    const struct pg_service_port *p = &t->snapshot->service_ports[service_port];
    const struct pg_group *g = pg_service_group(t, service_port, v6);
    uint32_t count = g->ready ? g->ready : g->terminating;

    for (uint32_t i = 0; i < count; i++) {
        const struct pg_member *m = pg_service_members(t, service_port) + g->first + i;
        uint32_t endpoint = p->endpoint_first + m->endpoint;
        const struct pg_endpoint *e = &t->snapshot->endpoints[endpoint];
        struct pg_nat_rule_view r = {.hook = "service",
                                     .kind = "snat",
                                     .before = e->addr,
                                     .before_port = e->port,
                                     .port_mode = "random",
                                     .reason = pg_service_served(t, p->service)->why.masq_hairpin};
        if (m->node == PG_INDEX_NONE ||
            pg_snapshot_node_by_addr(t->snapshot, &e->addr) != PG_INDEX_NONE)
            continue;
        struct pg_addr loopback = pg_dialect_loopback(t->snapshot->lab.services.dialect, v6);
        r.after = pg_nat_exit_address(t->snapshot, endpoint, m->node);
        if (!pg_addr_is_none(&loopback)) {
            r.after = loopback;
            r.port_mode = "fixed";
            r.reason = t->loopback;
        }
        show_rule(w, service_port, PG_USE_HAIRPIN, &r);
    }
}

static void show_outside(const struct rule_walk *w, uint32_t service_port,
                         const struct pg_service *svc)
{
    const struct pg_snapshot *s = w->n->services->snapshot;
    const struct pg_addr any = {0};

    for (uint32_t i = svc->lb_first; i < svc->lb_first + svc->lb_count; i++) {
        const struct pg_addr *a = &s->lb_ips[i].addr;
        if (!s->lb_ips[i].proxy_mode)
            show_front(w, service_port, PG_CAPTURE_LB_IP, a, !pg_addr_is_v4(a));
    }
    for (uint32_t i = svc->external_first; i < svc->external_first + svc->external_count; i++)
        show_front(w, service_port, PG_CAPTURE_EXTERNAL_IP, &s->external_ips[i],
                   !pg_addr_is_v4(&s->external_ips[i]));
    for (int v6 = 0; v6 < 2; v6++) {
        if (s->service_ports[service_port].node_port)
            show_front(w, service_port, PG_CAPTURE_NODE_PORT, &any, v6);
    }
}

static void show_service_port(const struct rule_walk *w, uint32_t service_port)
{
    const struct pg_service_table *t = w->n->services;
    const struct pg_service *svc =
        &t->snapshot->services[t->snapshot->service_ports[service_port].service];
    bool outside =
        t->snapshot->service_ports[service_port].node_port || svc->lb_count || svc->external_count;

    if (svc->type == PG_SERVICE_HEADLESS || svc->type == PG_SERVICE_EXTERNAL_NAME)
        return;
    show_outside(w, service_port, svc);
    for (int v6 = 0; v6 < 2; v6++) {
        if (outside && !svc->external_local)
            show_sources(w, service_port, v6, true);
    }
    for (int v6 = 0; v6 < 2; v6++) {
        if (pg_addr_is_none(&svc->cluster_ip[v6]))
            continue;
        show_front(w, service_port, PG_CAPTURE_CLUSTER_IP, &svc->cluster_ip[v6], v6);
        show_sources(w, service_port, v6, false);
        show_hairpins(w, service_port, v6);
    }
}

void pg_nat_walk_rules(const struct pg_nat *n,
                       void (*fn)(void *arg, const struct pg_nat_rule_view *rule), void *arg)
{
    struct rule_walk w = {n, fn, arg};

    for (uint32_t p = 0; n->services && p < n->services->snapshot->service_port_count; p++)
        show_service_port(&w, p);
}

void pg_nat_endpoint_use(const struct pg_nat *n, uint32_t service_port_index,
                         const struct pg_addr *addr, uint16_t port, uint32_t *ret_active,
                         uint64_t *ret_hits)
{
    *ret_active = 0;
    *ret_hits = 0;
    if (!n->services || service_port_index >= n->services->snapshot->service_port_count)
        return;
    for (unsigned capture = PG_CAPTURE_CLUSTER_IP; capture <= PG_CAPTURE_EXTERNAL_IP; capture++) {
        struct pg_use_key key = pg_nat_use_key(n, service_port_index, (uint8_t)capture, addr, port);
        uint32_t use = pg_use_find(n->uses, &key);
        if (!use)
            continue;
        *ret_active += pg_use_at(n->uses, use)->active;
        *ret_hits += pg_use_at(n->uses, use)->hits;
    }
}

pg_reason_id pg_nat_why_dropped(const struct pg_nat *n, const struct pg_tuple *tuple,
                                enum pg_drop drop)
{
    struct pg_nat_decision d;

    if (!n->services)
        return 0;
    pg_nat_decide(n->services, tuple, pg_nat_entry_node(n->services, tuple), 0, PG_INDEX_NONE, &d);
    return pg_nat_drop_of(&d) == drop ? d.dnat_reason : 0;
}
