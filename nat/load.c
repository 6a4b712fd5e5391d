/* A nat's beginning and end, and the swap of service tables when the cluster changes.
 *
 * A load compiles what changed aside and swaps it in at the end (service_update.c); only when the
 * nodes or the DNS address are others, everything counts as changed. Flows keep the endpoint they
 * have: TCP until it ends by itself, UDP only while its endpoint still serves, because a UDP sender
 * would never notice. The clean-up goes through the rows of use.c that changed services have: only
 * flows of endpoints that went away are touched. UDP flows whose destination has become a service's, or
 * another one's, are looked for only when an address has. A flow to what is no service any more stays, as
 * with kube-proxy: nobody compares it with anything.
 *
 * Called by app/ at start, at reload and at the end. Owns the parts that struct pg_nat points to;
 * counters, trace and random are borrowed. */
#include "nat_internal.h"

#include <errno.h>
#include <stdlib.h>

#define FLOW_LIMIT      262144u
#define FLOW_LIMIT_MOST (1u << 28)
#define ADDRESS_LIMIT   (1u << 22) /* a /12 of services, and four times that */

static uint32_t or_default_ms(uint32_t seconds, uint32_t by_default)
{
    uint64_t ms = UINT64_C(1000) * (seconds ? seconds : by_default);

    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
}

/* Kernel defaults, with kube-proxy's values for established and close_wait. */
static void set_timeouts(struct pg_nat *n, const struct pg_nat_options *o)
{
    uint32_t *tcp = n->tcp_timeout_ms;

    tcp[PG_CT_SYN_SENT] = or_default_ms(o->tcp_syn_sent, 120);
    tcp[PG_CT_SYN_SENT2] = 120u * 1000; /* the kernel has no setting for it */
    tcp[PG_CT_SYN_RECV] = or_default_ms(o->tcp_syn_recv, 60);
    tcp[PG_CT_ESTABLISHED] = or_default_ms(o->tcp_established, 86400);
    tcp[PG_CT_FIN_WAIT] = or_default_ms(o->tcp_fin_wait, 120);
    tcp[PG_CT_CLOSE_WAIT] = or_default_ms(o->tcp_close_wait, 3600);
    tcp[PG_CT_LAST_ACK] = or_default_ms(o->tcp_last_ack, 30);
    tcp[PG_CT_TIME_WAIT] = or_default_ms(o->tcp_time_wait, 120);
    tcp[PG_CT_CLOSE] = or_default_ms(o->tcp_close, 10);
    n->tcp_max_retrans_ms = or_default_ms(o->tcp_max_retrans, 300);
    n->tcp_unacknowledged_ms = or_default_ms(o->tcp_unacknowledged, 300);
    n->udp_ms = or_default_ms(o->udp, 30);
    n->udp_stream_ms = or_default_ms(o->udp_stream, 120);
    n->icmp_ms = or_default_ms(o->icmp, 30);
    n->gre_ms = or_default_ms(o->gre, 30);
    n->gre_stream_ms = or_default_ms(o->gre_stream, 180);
    n->generic_ms = or_default_ms(o->generic, 600);
    n->strict_pickup = o->tcp_strict_pickup;
}

struct pg_nat *pg_nat_new(const struct pg_nat_options *options, struct pg_counters *counters,
                          struct pg_trace *trace, struct pg_random *random, uint64_t now_us)
{
    uint32_t limit = options->flow_limit ? options->flow_limit : FLOW_LIMIT;
    struct pg_nat *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    if (limit > FLOW_LIMIT_MOST)
        limit = FLOW_LIMIT_MOST;
    n->counters = counters;
    n->trace = trace;
    n->random = random;
    n->now_us = now_us;
    n->key = pg_random_key(random);
    set_timeouts(n, options);
    n->flows = pg_pool_new("flows", sizeof(struct pg_flow), limit);
    n->by_tuple = pg_table_new(limit * 2, pg_flow_has_tuple, n);
    n->expiry = pg_expiry_new(now_us / 1000);
    n->uses = pg_uses_new(&n->key);
    n->affinity = pg_affinity_new(&n->key, now_us / 1000);
    n->reverse = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_REVERSE});
    n->port_clash = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_PORT_CLASH});
    if (!pg_addresses_open(&n->addresses, &n->key, ADDRESS_LIMIT) || !n->flows || !n->by_tuple ||
        !n->expiry || !n->uses || !n->affinity) {
        pg_nat_free(n);
        return NULL;
    }
    return n;
}

void pg_nat_free(struct pg_nat *n)
{
    if (!n)
        return;
    pg_service_table_free(n->services);
    pg_events_free(n);
    pg_affinity_free(n->affinity);
    pg_uses_free(n->uses);
    pg_expiry_free(n->expiry);
    pg_table_free(n->by_tuple);
    pg_pool_free(n->flows);
    pg_addresses_close(&n->addresses);
    free(n);
}

/* ---- rows of use.c ---- */

static struct pg_use_key make_key(const struct pg_snapshot *s, uint32_t name, uint32_t service_port,
                                  uint8_t kind, const struct pg_addr *addr, uint16_t port)
{
    const struct pg_service_port *p = &s->service_ports[service_port];

    return (struct pg_use_key){.addr = *addr,
                               .name = name,
                               .addr_port = port,
                               .service_port = p->port,
                               .proto = p->proto,
                               .kind = kind};
}

struct pg_use_key pg_nat_use_key(const struct pg_nat *n, uint32_t service_port, uint8_t kind,
                                 const struct pg_addr *addr, uint16_t port)
{
    const struct pg_service_table *t = n->services;
    uint32_t service = t->snapshot->service_ports[service_port].service;

    return make_key(t->snapshot, pg_service_served(t, service)->name, service_port, kind, addr,
                    port);
}

/* Makes the rows of one service. */
struct row_maker {
    struct pg_uses *uses;
    const struct pg_snapshot *s;
    uint32_t name;
    uint32_t load;
};

static bool make_row(const struct row_maker *m, uint32_t service_port, uint8_t kind,
                     const struct pg_addr *addr, uint16_t port, bool serving)
{
    if (pg_addr_is_none(addr))
        return true;
    struct pg_use_key key = make_key(m->s, m->name, service_port, kind, addr, port);
    uint32_t use = pg_use_make(m->uses, &key);

    if (!use)
        return false;
    struct pg_use *row = pg_use_at(m->uses, use);
    row->serving =
        serving || (row->serving && row->loaded == m->load); /* one endpoint in two slices */
    row->loaded = m->load;
    row->gone = false;
    return true;
}

/* Which sources of a service port have their rows: many endpoints are on the same few nodes. */
struct sources_made {
    uint64_t here[2];  /* by family, a bit per node */
    uint64_t there[2]; /* the other nodes of an endpoint on this one */
};

static bool make_source(const struct row_maker *m, uint32_t service_port, uint32_t endpoint,
                        uint32_t node, bool outside)
{
    struct pg_addr from = pg_nat_exit_address(m->s, endpoint, node);

    return make_row(m, service_port, PG_USE_SNAT_SERVICE, &from, 0, false) &&
           (!outside || make_row(m, service_port, PG_USE_SNAT_OUTSIDE, &from, 0, false));
}

static bool make_sources(const struct row_maker *m, uint32_t service_port, uint32_t endpoint,
                         bool outside, struct sources_made *made)
{
    const struct pg_snapshot *s = m->s;
    const struct pg_endpoint *e = &s->endpoints[endpoint];
    bool v6 = !pg_addr_is_v4(&e->addr);
    uint64_t bit = e->node < 63 ? UINT64_C(1) << e->node : UINT64_C(1) << 63;

    if (e->node != PG_INDEX_NONE && (e->node >= 63 || !(made->here[v6] & bit))) {
        made->here[v6] |= bit;
        if (!make_source(m, service_port, endpoint, e->node, outside))
            return false;
    }
    if (e->node != PG_INDEX_NONE && e->node < 63 && (made->there[v6] & bit))
        return true;
    made->there[v6] |= e->node < 63 ? bit : 0;
    for (uint32_t node = 0; node < s->node_count && node < PG_SNAT_ROWS_MOST; node++) {
        if (node != e->node && !make_source(m, service_port, endpoint, node, outside))
            return false;
    }
    return true;
}

static bool make_rows(const struct row_maker *m, uint32_t service_port)
{
    const struct pg_snapshot *s = m->s;
    const struct pg_service_port *p = &s->service_ports[service_port];
    const struct pg_service *svc = &s->services[p->service];
    const bool captures[] = {[PG_CAPTURE_CLUSTER_IP] = true,
                             [PG_CAPTURE_NODE_PORT] = p->node_port != 0,
                             [PG_CAPTURE_LB_IP] = svc->lb_count != 0,
                             [PG_CAPTURE_EXTERNAL_IP] = svc->external_count != 0};
    bool outside = p->node_port || svc->lb_count || svc->external_count;
    struct sources_made made = {{0}, {0}};

    for (uint32_t i = p->endpoint_first; i < p->endpoint_first + p->endpoint_count; i++) {
        const struct pg_endpoint *e = &s->endpoints[i];
        bool serving = e->ready || e->serving;
        for (unsigned capture = PG_CAPTURE_CLUSTER_IP; capture <= PG_CAPTURE_EXTERNAL_IP;
             capture++) {
            if (captures[capture] &&
                !make_row(m, service_port, (uint8_t)capture, &e->addr, e->port, serving))
                return false;
        }
        if (!make_row(m, service_port, PG_USE_HAIRPIN, &e->addr, e->port, false) ||
            !make_sources(m, service_port, i, outside, &made))
            return false;
    }
    return true;
}

/* Names and rows of what changed. On failure some rows are too many, which does no harm. */
static bool make_all_rows(struct pg_nat *n, const struct pg_service_update *u)
{
    for (uint32_t i = 0; i < u->change_count; i++) {
        const struct pg_service_change *c = &u->changes[i];
        if (c->service == PG_INDEX_NONE)
            continue;
        const struct pg_service *svc = &u->snapshot->services[c->service];
        struct row_maker m = {.uses = n->uses, .s = u->snapshot, .load = n->loads + 1};
        m.name = c->made->name = pg_use_name(n->uses, svc->namespace, svc->name);
        if (m.name == PG_INDEX_NONE)
            return false;
        for (uint32_t p = 0; p < svc->port_count && pg_service_captures(svc); p++) {
            if (!make_rows(&m, svc->port_first + p))
                return false;
        }
    }
    return true;
}

/* ---- after the swap ---- */

/* kube-proxy's rule: the flow was to an address and port that a service has now, and who answers it is not among the endpoints of that
 * service that serve. What is nobody's any more is left to its timer. */
static bool is_stale(const struct pg_nat *n, const struct pg_flow *f)
{
    const struct pg_service_table *t = n->services;
    const struct pg_snapshot *s = t->snapshot;
    struct pg_tuple orig = pg_flow_tuple(n, f, PG_ORIG);
    bool own_dns = orig.dst_port == 53 && (pg_addr_equal(&orig.dst, &s->lab.dns[0]) ||
                                           pg_addr_equal(&orig.dst, &s->lab.dns[1]));
    const struct pg_front *front = own_dns ? NULL : pg_service_capture(t, &orig);

    if (!front)
        return false;
    const struct pg_service_port *port = &s->service_ports[pg_front_port(t, front)];

    for (uint32_t i = port->endpoint_first; i < port->endpoint_first + port->endpoint_count; i++) {
        const struct pg_endpoint *e = &s->endpoints[i];
        if ((e->ready || e->serving) && pg_addr_equal(&e->addr, &f->src[PG_REPLY]))
            return false;
    }
    return true;
}

/* The UDP flows of a row, or those that are stale. Row 0 has the plain ones: to what is a service's now they would bypass it for as long as
 * they send. */
static void delete_flows(struct pg_nat *n, uint32_t use, bool all)
{
    uint32_t next;

    for (uint32_t i = pg_use_at(n->uses, use)->first; i; i = next) {
        next = pg_flow_at(n, i - 1)->udp.next;
        if (all || is_stale(n, pg_flow_at(n, i - 1)))
            pg_flow_delete(n, i - 1);
    }
}

static void clean_up_row(struct pg_nat *n, uint32_t use)
{
    struct pg_use *row = pg_use_at(n->uses, use);
    bool gone = row->loaded != n->loads;
    bool endpoint = row->key.kind <= PG_CAPTURE_EXTERNAL_IP;
    bool news = gone && !row->gone;

    row->gone = false; /* not dropped under our hands */
    if (endpoint && row->key.proto == PG_PROTO_UDP && (gone || !row->serving))
        delete_flows(n, use, false);
    if (news && row->first && !pg_use_add_gone(n->uses, use))
        delete_flows(n, use, true); /* no memory to find them again */
    row->gone = gone;
    if (gone && row->active == 0 && row->first == 0)
        pg_use_drop(n->uses, use);
}

/* An address has come, or has another owner: flows that no changed service has may be to it. */
static void clean_up_strays(struct pg_nat *n)
{
    delete_flows(n, 0, false);
    for (uint32_t i = 0; i < pg_use_gone_count(n->uses); i++) {
        uint32_t use = pg_use_gone_at(n->uses, i);
        if (pg_use_at(n->uses, use)->taken)
            clean_up_row(n, use);
    }
}

static void clean_up_all(struct pg_nat *n)
{
    for (uint32_t use = 1; use < pg_use_count(n->uses); use++) {
        if (pg_use_at(n->uses, use)->taken)
            clean_up_row(n, use);
    }
}

/* What a change replaced has the name of the service; what replaced nothing has no old rows. */
static void clean_up_changed(struct pg_nat *n, const struct pg_service_update *u)
{
    for (uint32_t i = 0; i < u->change_count; i++) {
        const struct pg_served *was = u->changes[i].made;
        uint32_t next;
        for (uint32_t use = was ? pg_use_first_of(n->uses, was->name) : 0; use; use = next) {
            next = pg_use_at(n->uses, use)->next_of_name;
            clean_up_row(n, use);
        }
    }
}

static int compare_names(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x;
    uint32_t b = *(const uint32_t *)y;

    return a < b ? -1 : a > b;
}

/* Services that had affinity and have it no more: their clients are forgotten. */
struct lost {
    uint32_t *names; /* NULL: no memory */
    uint32_t count;
    bool any;
};

static void note_lost(const struct pg_nat *n, const struct pg_served *was, struct lost *lost)
{
    const struct pg_service_table *t = n->services;
    const char *namespace;
    const char *name;

    if (!was || !was->affine)
        return;
    pg_use_name_parts(n->uses, was->name, &namespace, &name);
    uint32_t now = pg_snapshot_service(t->snapshot, namespace, name);

    if (now != PG_INDEX_NONE && pg_service_served(t, now)->affine)
        return;
    lost->any = true;
    if (lost->names)
        lost->names[lost->count++] = was->name;
}

/* old: the table before, if it was another one. */
static void forget_clients(struct pg_nat *n, const struct pg_service_update *u,
                           const struct pg_service_table *old)
{
    uint32_t most = old ? old->slot_count : u->change_count;
    struct lost lost = {.names = malloc(most * sizeof(*lost.names) + 1)};

    for (uint32_t i = 0; i < most; i++)
        note_lost(n, old ? old->served[i] : u->changes[i].made, &lost);
    if (lost.count)
        qsort(lost.names, lost.count, sizeof(*lost.names), compare_names);
    if (lost.any) /* without memory for names: everybody's choice is random once more */
        pg_affinity_forget(n->affinity, lost.names, lost.count);
    free(lost.names);
}

/* Into the tables in force if they fit, else into new ones. */
int pg_nat_load(struct pg_nat *n, struct pg_snapshot *s, uint64_t now_us)
{
    struct pg_service_table *old = n->services;
    bool anew = !old || !pg_service_table_fits(old, s);
    struct pg_service_table *t = anew ? pg_service_table_empty(s, &n->key) : old;
    struct pg_service_update update;

    n->now_us = now_us;
    if (!t)
        return -ENOMEM;
    int error = pg_service_update_begin(&update, t, s);
    if (error == 0 && !make_all_rows(n, &update)) {
        pg_service_update_free(&update);
        error = -ENOMEM;
    }
    if (error) {
        if (anew)
            pg_service_table_free(t);
        return error;
    }
    pg_service_update_commit(&update);
    n->services = t;
    n->loads++;
    n->passing.kind = PASSING_NONE;
    pg_use_sift_gone(n->uses);
    if (anew)
        clean_up_all(n);
    else
        clean_up_changed(n, &update);
    forget_clients(n, &update, anew ? old : NULL);
    if (update.fronts_changed)
        clean_up_strays(n);
    pg_service_update_free(&update);
    if (anew)
        pg_service_table_free(old);
    return 0;
}
