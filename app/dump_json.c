/* One list per table, as JSON: the same text for the control API, `get -o json` and tests.
 *
 * A list looks as kubectl's does: apiVersion, kind "ConntrackList", metadata, items. Addresses and ports are members of
 * their own, durations are numbers that carry their unit in the name, and what is not there is null, never "". What a list holds
 * is in dump_flows.c, dump_connections.c, dump_cluster.c, dump_ingress.c, dump_gateways.c, dump_dns.c and dump_counters.c; this file has the frame and the pieces they
 * share.
 *
 * Called by control.c and by tests, between turns of the path, never from within one. Tables are read by their bounded
 * walks; nothing is changed. */
#include "dump_internal.h"

#include <stdio.h>
#include <string.h>

/* The frame writes "items":[ ... ] for lists; the others write their own members. */
static const struct {
    const char *type;
    const char *kind;
    void (*write)(struct pg_dump *d);
    bool list;
} types[] = {
    {"conntrack", "ConntrackList", pg_dump_conntrack, true},
    {"nat", "TranslationList", pg_dump_nat, true},
    {"affinity", "AffinityList", pg_dump_affinity, true},
    {"connections", "ConnectionList", pg_dump_connections, true},
    {"services", "ServiceList", pg_dump_services, true},
    {"endpoints", "EndpointsList", pg_dump_endpoints, true},
    {"nodes", "NodeList", pg_dump_nodes, true},
    {"pods", "PodList", pg_dump_pods, true},
    {"ingresses", "IngressList", pg_dump_ingresses, true},
    {"routes", "RouteList", pg_dump_routes, true},
    {"settings", "SettingList", pg_dump_settings, true},
    {"traffic", "TrafficList", pg_dump_traffic, true},
    {"gateways", "GatewayList", pg_dump_gateways, true},
    {"httproutes", "HTTPRouteList", pg_dump_http_routes, true},
    {"dns", "DNSRecordList", pg_dump_dns, true},
    {"counters", "Counters", pg_dump_counters, false},
};

static void write_head(struct pg_dump *d, const char *kind, struct pg_text *out)
{
    pg_json_begin(&d->json, out);
    pg_json_object(&d->json);
    pg_json_key_string(&d->json, "apiVersion", "podglass/v1alpha1");
    pg_json_key_string(&d->json, "kind", kind);
    pg_json_key(&d->json, "metadata");
    pg_json_object(&d->json);
    pg_json_key_uint(&d->json, "timeMicroseconds", d->now_us);
    pg_json_key_uint(&d->json, "snapshotGeneration", d->snapshot ? d->snapshot->generation : 0);
    pg_json_object_end(&d->json);
}

void pg_dump_open(struct pg_dump *d, const char *kind, struct pg_text *out)
{
    write_head(d, kind, out);
    pg_json_key(&d->json, "items");
    pg_json_array(&d->json);
}

void pg_dump_close(struct pg_dump *d)
{
    pg_json_array_end(&d->json);
    pg_json_object_end(&d->json);
}

bool pg_dump_json(struct pg_path *p, const char *type, const char *name, uint64_t now_us,
                  struct pg_text *out)
{
    struct pg_dump d = {.path = p, .snapshot = pg_path_snapshot(p), .now_us = now_us, .name = name};
    size_t i = 0;

    while (i < sizeof types / sizeof types[0] && strcmp(types[i].type, type) != 0) {
        i++;
    }
    if (i == sizeof types / sizeof types[0]) {
        return false;
    }
    if (types[i].list) {
        pg_dump_open(&d, types[i].kind, out);
        types[i].write(&d);
        pg_dump_close(&d);
    } else {
        write_head(&d, types[i].kind, out);
        types[i].write(&d);
        pg_json_object_end(&d.json);
    }
    return true;
}

/* ---- pieces ---- */

static void file_and_line(struct pg_dump *d, const char *key, const char *file, uint32_t line)
{
    struct pg_text text = {0};

    if (file && file[0]) {
        pg_text_puts(&text, file);
        if (line) {
            pg_text_printf(&text, ":%u", line);
        }
    }
    pg_json_key_string(&d->json, key, text.at);
    pg_text_free(&text);
}

void pg_dump_source(struct pg_dump *d, const char *key, const struct pg_source *s)
{
    file_and_line(d, key, s->file, s->line);
}

static void text_or_null(struct pg_dump *d, const char *key, const char *text)
{
    pg_json_key_string(&d->json, key, text[0] ? text : NULL);
}

void pg_dump_reason(struct pg_dump *d, const char *key, pg_reason_id id)
{
    const struct pg_reason *r = pg_reason_get(id);

    if (id == 0) {
        pg_json_key_string(&d->json, key, NULL);
        return;
    }
    pg_json_key(&d->json, key);
    pg_json_object(&d->json);
    pg_json_key_string(&d->json, "code", pg_code_name(r->code));
    pg_json_key_string(&d->json, "title", pg_code_title(r->code));
    text_or_null(d, "object", r->object);
    text_or_null(d, "field", r->field);
    text_or_null(d, "value", r->value);
    pg_json_key_bool(&d->json, "defaulted", r->defaulted);
    file_and_line(d, "source", r->file, r->line);
    pg_json_object_end(&d->json);
}

void pg_dump_flow_label(struct pg_dump *d, const char *key, uint32_t label)
{
    char text[12];

    snprintf(text, sizeof text, "%04x", label);
    pg_json_key_string(&d->json, key, label ? text : NULL);
}

void pg_dump_node_name(struct pg_dump *d, const char *key, uint32_t node)
{
    bool known = d->snapshot && node < d->snapshot->node_count;

    pg_json_key_string(&d->json, key, known ? d->snapshot->nodes[node].name : NULL);
}

void pg_dump_pod_name(struct pg_dump *d, const char *key, uint32_t pod)
{
    struct pg_text text = {0};

    if (d->snapshot && pod < d->snapshot->pod_count) {
        const struct pg_pod *p = &d->snapshot->pods[pod];

        pg_text_printf(&text, "%s/%s", p->namespace, p->name);
    }
    pg_json_key_string(&d->json, key, text.at);
    pg_text_free(&text);
}

void pg_dump_endpoint(struct pg_dump *d, const char *key, const struct pg_addr *a, uint16_t port)
{
    if (pg_addr_is_none(a)) {
        pg_json_key_string(&d->json, key, NULL);
        return;
    }
    pg_json_key(&d->json, key);
    pg_json_object(&d->json);
    pg_json_key_addr(&d->json, "address", a);
    pg_json_key(&d->json, "port");
    if (port) {
        pg_json_uint(&d->json, port);
    } else {
        pg_json_string(&d->json, NULL);
    }
    pg_json_object_end(&d->json);
}
