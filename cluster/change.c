/* A snapshot with one setting changed, for "what if" questions that must not wait for a load.
 *
 * Called by the tools' dry run. The copy has services of its own and shares every other array, and all lookups, with the snapshot it was
 * made of. Only settings that nothing else is derived from can be changed this way; a test compares the result with a load under the same
 * --set. */
#include "cluster_internal.h"
#include "podglass/change.h"

#include <stdlib.h>
#include <string.h>

static const struct pg_source from_set = {"--set", 1};

static void change_service(struct pg_service *v, const struct pg_change *change)
{
    switch (change->kind) {
    case PG_CHANGE_EXTERNAL_POLICY:
        v->external_local = change->on;
        v->external_policy_source = from_set;
        break;
    case PG_CHANGE_INTERNAL_POLICY:
        v->internal_local = change->on;
        v->internal_policy_source = from_set;
        break;
    case PG_CHANGE_SOURCE_RANGES: v->range_count = 0; break;
    case PG_CHANGE_TRUSTED_PROXIES:
    case PG_CHANGE_MASQUERADE_ALL:
    case PG_CHANGE_PROXY_PROTOCOL: break;
    }
}

static void change_proxy(struct pg_proxy_settings *to, const struct pg_change *change)
{
    to->every_port = true;
    to->port_count = 0;
    to->source_count = change->source_count;
    memcpy(to->sources, change->sources, change->source_count * sizeof(*to->sources));
    to->ports_source = from_set;
    to->sources_source = from_set;
}

struct pg_snapshot *pg_snapshot_with(struct pg_snapshot *s, const struct pg_change *change)
{
    struct pg_snapshot *copy = malloc(sizeof(*copy));
    struct pg_service *services = NULL;
    bool one_service = change->kind <= PG_CHANGE_SOURCE_RANGES;
    if (copy == NULL)
        return NULL;
    *copy = *s;
    copy->refs = 1;
    if (one_service) {
        services = malloc(s->service_count * sizeof(*services));
        if (services == NULL) {
            free(copy);
            return NULL;
        }
        memcpy(services, s->services, s->service_count * sizeof(*services));
        change_service(&services[change->service], change);
        copy->services = services;
        copy->service_sums = NULL;
    } else if (change->kind == PG_CHANGE_TRUSTED_PROXIES) {
        copy->lab.ingress.trusted_proxies[0] = change->range;
        copy->lab.ingress.trusted_proxy_count = change->range.bits != 0;
        copy->lab.ingress.trusted_source = from_set;
    } else if (change->kind == PG_CHANGE_PROXY_PROTOCOL) {
        change_proxy(&copy->lab.ingress.proxy, change);
    } else {
        copy->lab.masquerade_all = change->on;
    }
    copy->base = pg_snapshot_ref(s);
    return copy;
}

void pg_change_free(struct pg_snapshot *copy)
{
    struct pg_snapshot *base = copy->base;
    if (copy->services != base->services) {
        /* This copy's own; const for everybody else. */
        void *services;
        memcpy(&services, &copy->services, sizeof(services));
        free(services);
    }
    free(copy);
    pg_snapshot_put(base);
}

static void print_sources(const struct pg_change *change, struct pg_text *out)
{
    char range[PG_ENDPOINT_TEXT];
    pg_text_puts(out, "lab.ingress.proxyProtocol.allowedSources=");
    for (uint32_t i = 0; i < change->source_count; i++)
        pg_text_printf(out, "%s%s", i > 0 ? "," : "", pg_prefix_print(&change->sources[i], range));
}

bool pg_change_print(const struct pg_snapshot *s, const struct pg_change *change, uint32_t n,
                     struct pg_text *out)
{
    char range[PG_ENDPOINT_TEXT];
    if (n > (change->kind == PG_CHANGE_PROXY_PROTOCOL))
        return false;
    if (change->kind <= PG_CHANGE_SOURCE_RANGES) {
        const struct pg_service *v = &s->services[change->service];
        pg_text_printf(out, "svc/%s/%s.", v->namespace, v->name);
    }
    switch (change->kind) {
    case PG_CHANGE_EXTERNAL_POLICY:
        pg_text_printf(out, "externalTrafficPolicy=%s", change->on ? "Local" : "Cluster");
        break;
    case PG_CHANGE_INTERNAL_POLICY:
        pg_text_printf(out, "internalTrafficPolicy=%s", change->on ? "Local" : "Cluster");
        break;
    case PG_CHANGE_SOURCE_RANGES: pg_text_puts(out, "loadBalancerSourceRanges="); break;
    case PG_CHANGE_TRUSTED_PROXIES:
        pg_text_printf(out, "lab.ingress.trustedProxies=%s",
                       change->range.bits != 0 ? pg_prefix_print(&change->range, range) : "");
        break;
    case PG_CHANGE_MASQUERADE_ALL:
        pg_text_printf(out, "lab.masqueradeAll=%s", change->on ? "true" : "false");
        break;
    case PG_CHANGE_PROXY_PROTOCOL:
        if (n == 0)
            pg_text_puts(out, "lab.ingress.proxyProtocol.ports=all");
        else
            print_sources(change, out);
        break;
    }
    return true;
}
