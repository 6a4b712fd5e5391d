/* `get services`, `get endpoints`, `get pods` and `get nodes`: what the manifests came to, with the lines that said so.
 *
 * The snapshot in force is what is shown, not the manifests: derived pods and allocated addresses are in it, and every
 * setting that can change the path says whether somebody wrote it (source) or its default decided (defaulted).
 *
 * Called by dump_json.c; reads the snapshot, and from nat how often each endpoint is used. Without a snapshot all are empty. */
#include "dump_internal.h"

#include "podglass/log.h"

#include <stdlib.h>

static void addr_array(struct pg_dump *d, const char *key, const struct pg_addr *addrs,
                       uint32_t count)
{
    pg_json_key(&d->json, key);
    pg_json_array(&d->json);
    for (uint32_t i = 0; i < count; i++) {
        if (!pg_addr_is_none(&addrs[i])) {
            pg_json_addr(&d->json, &addrs[i]);
        }
    }
    pg_json_array_end(&d->json);
}

/* ---- services ---- */

static void setting(struct pg_dump *d, const char *key, const char *value,
                    const struct pg_source *source)
{
    pg_json_key(&d->json, key);
    pg_json_object(&d->json);
    pg_json_key_string(&d->json, "value", value);
    pg_json_key_bool(&d->json, "defaulted", source->line == 0);
    pg_dump_source(d, "source", source);
    pg_json_object_end(&d->json);
}

static void policies(struct pg_dump *d, const struct pg_service *s)
{
    setting(d, "externalTrafficPolicy", s->external_local ? "Local" : "Cluster",
            &s->external_policy_source);
    setting(d, "internalTrafficPolicy", s->internal_local ? "Local" : "Cluster",
            &s->internal_policy_source);
    setting(d, "sessionAffinity", s->affinity_client_ip ? "ClientIP" : "None", &s->affinity_source);
    if (s->affinity_client_ip) {
        pg_json_key_uint(&d->json, "sessionAffinityTimeoutSeconds", s->affinity_seconds);
    }
    if (s->health_check_node_port) {
        pg_json_key_uint(&d->json, "healthCheckNodePort", s->health_check_node_port);
    }
    pg_json_key_bool(&d->json, "publishNotReadyAddresses", s->publish_not_ready);
}

static void ports(struct pg_dump *d, const struct pg_service *s)
{
    struct pg_json *j = &d->json;

    pg_json_key(j, "ports");
    pg_json_array(j);
    for (uint32_t i = 0; i < s->port_count; i++) {
        const struct pg_service_port *p = &d->snapshot->service_ports[s->port_first + i];

        pg_json_object(j);
        pg_json_key_string(j, "name", p->name && p->name[0] ? p->name : NULL);
        pg_json_key_string(j, "protocol", pg_proto_name(p->proto));
        pg_json_key_uint(j, "port", p->port);
        pg_json_key_string(j, "targetPort", p->target);
        pg_json_key(j, "nodePort");
        if (p->node_port) {
            pg_json_uint(j, p->node_port);
        } else {
            pg_json_string(j, NULL);
        }
        pg_dump_source(d, "source", &p->source);
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
}

/* Endpoints of the port that has most of them: ports of one service have the same pods behind them, save for named ports
 * that not every pod has. */
static void endpoint_counts(struct pg_dump *d, const struct pg_service *s)
{
    uint32_t most = 0;
    uint32_t ready = 0;

    for (uint32_t i = 0; i < s->port_count; i++) {
        const struct pg_service_port *p = &d->snapshot->service_ports[s->port_first + i];
        uint32_t ready_here = 0;

        for (uint32_t e = 0; e < p->endpoint_count; e++) {
            ready_here += d->snapshot->endpoints[p->endpoint_first + e].ready;
        }
        if (p->endpoint_count > most) {
            most = p->endpoint_count;
        }
        if (ready_here > ready) {
            ready = ready_here;
        }
    }
    pg_json_key_uint(&d->json, "endpoints", most);
    pg_json_key_uint(&d->json, "readyEndpoints", ready);
}

static void external_ips(struct pg_dump *d, const struct pg_service *s)
{
    struct pg_json *j = &d->json;

    pg_json_key(j, "loadBalancerIPs");
    pg_json_array(j);
    for (uint32_t i = 0; i < s->lb_count; i++) {
        const struct pg_lb_ip *lb = &d->snapshot->lb_ips[s->lb_first + i];

        pg_json_object(j);
        pg_json_key_addr(j, "address", &lb->addr);
        pg_json_key_string(j, "ipMode", lb->proxy_mode ? "Proxy" : "VIP");
        pg_json_key_bool(j, "allocated", lb->allocated);
        pg_dump_source(d, "source", &lb->source);
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
    addr_array(d, "externalIPs",
               s->external_count ? &d->snapshot->external_ips[s->external_first] : NULL,
               s->external_count);
    pg_json_key(j, "loadBalancerSourceRanges");
    pg_json_array(j);
    for (uint32_t i = 0; i < s->range_count; i++) {
        char text[PG_ENDPOINT_TEXT];

        pg_json_string(j, pg_prefix_print(&d->snapshot->source_ranges[s->range_first + i], text));
    }
    pg_json_array_end(j);
}

void pg_dump_services(struct pg_dump *d)
{
    struct pg_json *j = &d->json;

    for (uint32_t i = 0; d->snapshot && i < d->snapshot->service_count; i++) {
        const struct pg_service *s = &d->snapshot->services[i];

        pg_json_object(j);
        pg_json_key_string(j, "namespace", s->namespace);
        pg_json_key_string(j, "name", s->name);
        setting(d, "type", pg_service_type_name(s->type), &s->type_source);
        addr_array(d, "clusterIPs", s->cluster_ip, 2);
        external_ips(d, s);
        pg_dump_backend_policies(d, s);
        pg_json_key_string(j, "externalName",
                           s->external_name && s->external_name[0] ? s->external_name : NULL);
        ports(d, s);
        endpoint_counts(d, s);
        policies(d, s);
        pg_dump_source(d, "source", &s->source);
        pg_json_object_end(j);
    }
}

/* ---- endpoints ---- */

static void endpoint(struct pg_dump *d, const struct pg_endpoint *e, uint32_t port_index)
{
    const struct pg_service_port *p = &d->snapshot->service_ports[port_index];
    struct pg_json *j = &d->json;
    uint32_t active = 0;
    uint64_t hits = 0;

    pg_nat_endpoint_use(pg_path_nat(d->path), port_index, &e->addr, e->port, &active, &hits);
    pg_json_object(j);
    pg_json_key_addr(j, "address", &e->addr);
    pg_json_key_uint(j, "port", e->port);
    pg_json_key_string(j, "portName", p->name && p->name[0] ? p->name : NULL);
    pg_json_key_string(j, "protocol", pg_proto_name(p->proto));
    pg_json_key_uint(j, "servicePort", p->port);
    pg_json_key_bool(j, "ready", e->ready);
    pg_json_key_bool(j, "serving", e->serving);
    pg_json_key_bool(j, "terminating", e->terminating);
    pg_dump_node_name(d, "node", e->node);
    pg_dump_pod_name(d, "pod", e->pod);
    pg_json_key_uint(j, "active", active);
    pg_json_key_uint(j, "hits", hits);
    pg_dump_source(d, "source", &e->source);
    pg_json_object_end(j);
}

void pg_dump_endpoints(struct pg_dump *d)
{
    struct pg_json *j = &d->json;

    for (uint32_t i = 0; d->snapshot && i < d->snapshot->service_count; i++) {
        const struct pg_service *s = &d->snapshot->services[i];

        pg_json_object(j);
        pg_json_key_string(j, "namespace", s->namespace);
        pg_json_key_string(j, "name", s->name);
        pg_json_key(j, "endpoints");
        pg_json_array(j);
        for (uint32_t n = s->port_first; n < s->port_first + s->port_count; n++) {
            const struct pg_service_port *p = &d->snapshot->service_ports[n];

            for (uint32_t e = 0; e < p->endpoint_count; e++) {
                endpoint(d, &d->snapshot->endpoints[p->endpoint_first + e], n);
            }
        }
        pg_json_array_end(j);
        pg_json_object_end(j);
    }
}

/* ---- nodes ---- */

/* Pods of each node, by node index; the caller frees it. NULL: no nodes. */
static uint32_t *count_pods(const struct pg_snapshot *s)
{
    uint32_t *count = s->node_count ? calloc(s->node_count, sizeof *count) : NULL;

    PG_ASSERT(count || s->node_count == 0); /* as with text: only the control plane asks */
    for (uint32_t i = 0; i < s->pod_count; i++) {
        if (s->pods[i].node < s->node_count) {
            count[s->pods[i].node]++;
        }
    }
    return count;
}

static void node(struct pg_dump *d, const struct pg_node *n, uint32_t pods)
{
    struct pg_json *j = &d->json;

    pg_json_object(j);
    pg_json_key_string(j, "name", n->name);
    pg_json_key_bool(j, "ready", n->ready);
    addr_array(d, "addresses", n->addr, 2);
    pg_json_key(j, "podCIDRs");
    pg_json_array(j);
    for (uint32_t family = 0; family < 2; family++) {
        char text[PG_ENDPOINT_TEXT];

        if (n->pod_cidr[family].bits) {
            pg_json_string(j, pg_prefix_print(&n->pod_cidr[family], text));
        }
    }
    pg_json_array_end(j);
    addr_array(d, "gateways", n->gateway, 2);
    pg_json_key_string(j, "zone", n->zone && n->zone[0] ? n->zone : NULL);
    pg_json_key_uint(j, "pods", pods);
    pg_dump_source(d, "source", &n->source);
    pg_json_object_end(j);
}

/* ---- pods ---- */

void pg_dump_pods(struct pg_dump *d)
{
    static const char *const backings[] = {"echo", "wire", "ingress"};
    struct pg_json *j = &d->json;

    for (uint32_t i = 0; d->snapshot && i < d->snapshot->pod_count; i++) {
        const struct pg_pod *p = &d->snapshot->pods[i];

        pg_json_object(j);
        pg_json_key_string(j, "namespace", p->namespace);
        pg_json_key_string(j, "name", p->name);
        addr_array(d, "addresses", p->addr, 2);
        pg_dump_node_name(d, "node", p->node);
        pg_json_key_bool(j, "ready", p->ready);
        pg_json_key_bool(j, "hostNetwork", p->host_network);
        pg_json_key_bool(j, "derived", p->derived);
        pg_json_key_string(j, "backing", backings[p->backing]);
        pg_dump_source(d, "source", &p->source);
        pg_json_object_end(j);
    }
}

void pg_dump_nodes(struct pg_dump *d)
{
    if (!d->snapshot) {
        return;
    }
    uint32_t *pods = count_pods(d->snapshot);

    for (uint32_t i = 0; i < d->snapshot->node_count; i++) {
        node(d, &d->snapshot->nodes[i], pods[i]);
    }
    free(pods);
}
