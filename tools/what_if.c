/* Which settings are worth changing for an outcome: the candidates of the "try" lines.
 *
 * Called by explain. Only settings that a decision on the way has read are tried, and whoever asks runs the request again with each of them:
 * a candidate that changes nothing is not shown. */
#include "dry_tool.h"
#include "podglass/preface_decide.h"

static void add(struct pg_change ret[PG_CHANGES_MOST], uint32_t *count, struct pg_change change)
{
    if (*count < PG_CHANGES_MOST) {
        ret[(*count)++] = change;
    }
}

/* Policies can be written only where an API server takes them. */
static bool has_external_policy(const struct pg_service *v)
{
    return v->type == PG_SERVICE_NODE_PORT || v->type == PG_SERVICE_LOAD_BALANCER ||
           v->external_count > 0;
}

static void try_leg(const struct pg_snapshot *s, const struct pg_nat_decision *d,
                    struct pg_change ret[PG_CHANGES_MOST], uint32_t *count)
{
    if (d->service == PG_INDEX_NONE) {
        return;
    }
    const struct pg_service *v = &s->services[d->service];
    bool outside = d->capture != PG_CAPTURE_CLUSTER_IP && d->capture != PG_CAPTURE_NONE;

    if (outside && has_external_policy(v)) {
        add(ret, count,
            (struct pg_change){.kind = PG_CHANGE_EXTERNAL_POLICY,
                               .service = d->service,
                               .on = !v->external_local});
    }
    if (!outside && v->internal_local) {
        add(ret, count,
            (struct pg_change){.kind = PG_CHANGE_INTERNAL_POLICY, .service = d->service});
    }
    if (outside && v->range_count) {
        add(ret, count, (struct pg_change){.kind = PG_CHANGE_SOURCE_RANGES, .service = d->service});
    }
}

/* ---- the PROXY protocol ---- */

/* What the ingress may see as the source of somebody from outside who was masqueraded: a node's own address on the pod bridge if the ingress
 * runs there, and a node's address if it runs elsewhere. false: more than fit. */
static bool masqueraded_sources(const struct pg_snapshot *s, const struct pg_nat_decision *d,
                                struct pg_change *to)
{
    const struct pg_service_port *port = &s->service_ports[d->service_port];
    bool v6 = !pg_addr_is_v4(&d->dnat_addr);

    for (uint32_t n = 0; n < s->node_count; n++) {
        const struct pg_node *node = &s->nodes[n];
        bool here = false;
        bool elsewhere = false;
        for (uint32_t i = 0; i < port->endpoint_count; i++) {
            bool same = s->endpoints[port->endpoint_first + i].node == n;
            here = here || same;
            elsewhere = elsewhere || !same;
        }
        const struct pg_addr *own[] = {here ? &node->gateway[v6] : NULL,
                                       elsewhere ? &node->addr[v6] : NULL};
        for (int i = 0; i < 2; i++) {
            if (own[i] == NULL || pg_addr_is_none(own[i])) {
                continue;
            }
            if (to->source_count == PG_TRUSTED_MOST) {
                return false;
            }
            to->sources[to->source_count++] = (struct pg_prefix){.addr = *own[i], .bits = 128};
        }
    }
    return to->source_count > 0;
}

/* A balancer stands in front of what a node takes from outside; where the node replaces the address, a preface could carry it past that. */
static void try_preface(const struct pg_snapshot *s, const struct pg_dry_result *shown,
                        struct pg_change ret[PG_CHANGES_MOST], uint32_t *count)
{
    const struct pg_nat_decision *d = &shown->leg[0];
    struct pg_preface_rules rules = pg_preface_rules_of(s);
    struct pg_change change = {.kind = PG_CHANGE_PROXY_PROTOCOL};
    bool balanced = d->capture == PG_CAPTURE_LB_IP || d->capture == PG_CAPTURE_NODE_PORT;

    if (balanced && d->masquerade && d->service == s->lab.ingress_service &&
        !pg_preface_wanted(&rules, shown->arrives[0].dst_port) &&
        masqueraded_sources(s, d, &change)) {
        add(ret, count, change);
    }
}

uint32_t pg_changes_for(const struct pg_snapshot *s, const struct pg_dry_result *shown,
                        struct pg_change ret[PG_CHANGES_MOST])
{
    uint32_t count = 0;

    for (uint32_t leg = 0; leg < shown->leg_count; leg++) {
        try_leg(s, &shown->leg[leg], ret, &count);
    }
    if (s->lab.masquerade_all) {
        add(ret, &count, (struct pg_change){.kind = PG_CHANGE_MASQUERADE_ALL});
    }
    if (shown->leg_count == 2) {
        const struct pg_addr *hop = &shown->arrives[0].src;
        add(ret, &count,
            (struct pg_change){.kind = PG_CHANGE_TRUSTED_PROXIES,
                               .range = {.addr = *hop, .bits = 128}});
        if (s->lab.ingress.trusted_proxy_count) {
            add(ret, &count, (struct pg_change){.kind = PG_CHANGE_TRUSTED_PROXIES});
        }
        try_preface(s, shown, ret, &count);
    }
    return count;
}
