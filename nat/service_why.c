/* The reasons of a service table: for each service, every answer policy.c may have to give, with
 * the manifest line behind it.
 *
 * Made when a service is compiled, so that a decision copies a number. Where a field was not written, its
 * default decided: the reason says so and points to the service. Called by service_build.c; texts live in
 * trace/reason.c for as long as the process. */
#include "dialect.h"
#include "nat_internal.h"

#include <stdio.h>

/* Room for "Service/" and two names of 253 bytes; longer ones would be cut, not overrun. */
#define OBJECT_ROOM 544

struct writer {
    const struct pg_service *service;
    char object[OBJECT_ROOM];
};

static pg_reason_id plain_reason(const struct writer *w, enum pg_code code)
{
    struct pg_reason r = {.code = code,
                          .object = w->object,
                          .file = w->service->source.file,
                          .line = w->service->source.line};

    return pg_reason_intern(&r);
}

/* A field that nobody wrote: its default, and the place of the service instead. */
static pg_reason_id field_reason(const struct writer *w, enum pg_code code, const char *field,
                                 const char *value, struct pg_source at)
{
    bool written = at.line != 0;
    struct pg_source place = written ? at : w->service->source;
    struct pg_reason r = {.code = code,
                          .defaulted = !written,
                          .object = w->object,
                          .field = field,
                          .value = value,
                          .file = place.file,
                          .line = place.line};

    return pg_reason_intern(&r);
}

static pg_reason_id stated_reason(const struct writer *w, enum pg_code code, const char *field,
                                  const char *value, struct pg_source at)
{
    struct pg_source place = at.line ? at : w->service->source;
    struct pg_reason r = {.code = code,
                          .object = w->object,
                          .field = field,
                          .value = value,
                          .file = place.file,
                          .line = place.line};

    return pg_reason_intern(&r);
}

static void fill_captures(const struct pg_snapshot *s, const struct writer *w,
                          struct pg_service_why *why)
{
    const struct pg_service *svc = w->service;
    char addr[PG_ADDR_TEXT];
    const struct pg_addr *ip = &svc->cluster_ip[pg_addr_is_none(&svc->cluster_ip[0])];

    why->dnat[PG_CAPTURE_CLUSTER_IP] =
        stated_reason(w, PG_CODE_DNAT_CLUSTER_IP, "spec.clusterIP", pg_addr_print(ip, addr),
                      svc->cluster_ip_source);
    if (svc->lb_count) {
        struct pg_source at = svc->type_source;
        why->dnat[PG_CAPTURE_LB_IP] =
            stated_reason(w, PG_CODE_DNAT_LOAD_BALANCER, "spec.type", "LoadBalancer", at);
    }
    for (uint32_t i = svc->lb_first; i < svc->lb_first + svc->lb_count; i++) {
        if (s->lb_ips[i].proxy_mode)
            why->balancer =
                stated_reason(w, PG_CODE_PLAIN_BALANCER, "status.loadBalancer.ingress.ipMode",
                              "Proxy", s->lb_ips[i].source);
    }
    if (svc->external_count) {
        const struct pg_addr *first = &s->external_ips[svc->external_first];
        why->dnat[PG_CAPTURE_EXTERNAL_IP] =
            stated_reason(w, PG_CODE_DNAT_EXTERNAL_IP, "spec.externalIPs",
                          pg_addr_print(first, addr), svc->external_source);
    }
}

static bool has_outside(const struct pg_snapshot *s, const struct pg_service *svc)
{
    for (uint32_t i = svc->port_first; i < svc->port_first + svc->port_count; i++) {
        if (s->service_ports[i].node_port)
            return true;
    }
    return svc->lb_count || svc->external_count;
}

static void fill_outside(const struct pg_snapshot *s, const struct writer *w,
                         struct pg_service_why *why)
{
    const struct pg_service *svc = w->service;
    const char *field = "spec.externalTrafficPolicy";
    struct pg_source at = svc->external_policy_source;

    if (svc->external_local) {
        why->kept_local = field_reason(w, PG_CODE_KEPT_LOCAL, field, "Local", at);
        why->masq_node_local = plain_reason(w, PG_CODE_MASQ_NODE_LOCAL);
        why->no_local[1] = field_reason(w, PG_CODE_DROP_NO_LOCAL, field, "Local", at);
    } else {
        bool remote = pg_dialect_rules(s)->cluster_policy == PG_MASQUERADE_REMOTE;
        why->masq_cluster = field_reason(w, remote ? PG_CODE_MASQ_REMOTE : PG_CODE_MASQ_CLUSTER,
                                         field, "Cluster", at);
    }
    if (svc->range_count)
        why->source_range = stated_reason(w, PG_CODE_DROP_SOURCE_RANGE,
                                          "spec.loadBalancerSourceRanges", "", svc->source);
}

void pg_service_why_fill(struct pg_served *served, const struct pg_snapshot *s, uint32_t service)
{
    const struct pg_service *svc = &s->services[service];
    struct pg_service_why *why = &served->why;
    struct writer w = {.service = svc};

    snprintf(w.object, sizeof(w.object), "Service/%s/%s", svc->namespace, svc->name);
    fill_captures(s, &w, why);
    why->masq_hairpin = plain_reason(&w, PG_CODE_MASQ_HAIRPIN);
    why->masq_not_pod = plain_reason(&w, PG_CODE_MASQ_NOT_POD);
    why->kept_pod = plain_reason(&w, PG_CODE_KEPT_POD);
    why->kept_host = plain_reason(&w, PG_CODE_KEPT_HOST_ENDPOINT);
    why->no_endpoint = plain_reason(&w, PG_CODE_REJECT_NO_ENDPOINT);
    why->no_port = plain_reason(&w, PG_CODE_REJECT_NO_PORT);
    if (svc->internal_local)
        why->no_local[0] = field_reason(&w, PG_CODE_DROP_NO_LOCAL, "spec.internalTrafficPolicy",
                                        "Local", svc->internal_policy_source);
    if (has_outside(s, svc))
        fill_outside(s, &w, why);
    for (uint32_t i = 0; i < svc->port_count; i++) {
        const struct pg_service_port *port = &s->service_ports[svc->port_first + i];
        char number[8];
        if (!port->node_port)
            continue;
        snprintf(number, sizeof(number), "%u", port->node_port);
        struct pg_source at = port->node_port_source.line ? port->node_port_source : port->source;
        served->ports[i].node_port_why =
            stated_reason(&w, PG_CODE_DNAT_NODE_PORT, "spec.ports.nodePort", number, at);
    }
}

static pg_reason_id lab_reason(enum pg_code code, const char *field, const char *value,
                               const struct pg_source *at)
{
    return pg_reason_intern(&(struct pg_reason){.code = code,
                                                .defaulted = at->line == 0,
                                                .object = "Lab",
                                                .field = field,
                                                .value = value,
                                                .file = at->file,
                                                .line = at->line});
}

static void fill_settings(struct pg_service_table *t)
{
    const struct pg_service_settings *set = &t->snapshot->lab.services;
    const char *name = pg_dialect_name(set->dialect);
    const struct {
        pg_reason_id *to;
        enum pg_code code;
    } of_dialect[] = {
        {&t->loopback, PG_CODE_MASQ_LOOPBACK},    {&t->node_connect, PG_CODE_NODE_CONNECT},
        {&t->kept_connect, PG_CODE_KEPT_CONNECT}, {&t->kept_near, PG_CODE_KEPT_NEAR},
        {&t->kept_dsr, PG_CODE_KEPT_DSR},         {&t->cluster_ip_outside, PG_CODE_DROP_CLUSTER_IP},
    };

    for (size_t i = 0; i < sizeof(of_dialect) / sizeof(of_dialect[0]); i++)
        *of_dialect[i].to =
            lab_reason(of_dialect[i].code, "spec.dialect", name, &set->dialect_source);
    t->kept_no_detector = lab_reason(PG_CODE_KEPT_NO_DETECTOR, "spec.localDetector",
                                     pg_detector_name(set->detector), &set->detector_source);
}

void pg_service_why_general(struct pg_service_table *t)
{
    t->plain = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_PLAIN});
    t->plain_dns = pg_reason_intern(&(struct pg_reason){
        .code = PG_CODE_PLAIN, .field = "cluster DNS", .value = "podglass answers there itself"});
    t->unallocated = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_DROP_UNALLOCATED});
    t->dns_no_port = pg_reason_intern(&(struct pg_reason){
        .code = PG_CODE_REJECT_NO_PORT, .field = "cluster DNS", .value = "port 53 only"});
    t->masq_all = pg_reason_intern(&(struct pg_reason){
        .code = PG_CODE_MASQ_ALL, .object = "Lab", .field = "masqueradeAll", .value = "true"});
    fill_settings(t);
}
