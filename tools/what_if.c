/* Which settings are worth changing for an outcome: the candidates of the "try" lines.
 *
 * Called by explain. Only settings that a decision on the way has read are tried, and whoever asks runs the request again with each of them:
 * a candidate that changes nothing is not shown. */
#include "dry_tool.h"

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
    }
    return count;
}
