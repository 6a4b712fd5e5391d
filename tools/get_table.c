/* Lists of the control API as tables: what stands in each column.
 *
 * Pure: JSON in, text out, so tests need no instance. kubectl's form: upper-case heads, `-o wide` adds columns at the right only,
 * <none> for what is not there. A member that is missing or of another type counts as not there: an older or newer instance still
 * gives a table. Everything from the API is escaped by the grid.
 *
 * Called by get.c. Columns of each type are one function; heads and cells stand together there. */
#include "get_internal.h"

#include "podglass/reason.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- members ---- */

static const char *string_of(const json_t *item, const char *key)
{
    return json_string_value(json_object_get(item, key));
}

static uint64_t number_of(const json_t *item, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(item, key));

    return n > 0 ? (uint64_t)n : 0;
}

static bool has(const json_t *item, const char *key)
{
    const json_t *value = json_object_get(item, key);

    return value && !json_is_null(value);
}

/* ---- cells ---- */

static void add_endpoint(struct pg_text *t, const char *address, uint64_t port)
{
    bool v6 = address && strchr(address, ':');

    pg_text_printf(t, v6 && port ? "[%s]" : "%s", address ? address : "?");
    if (port) {
        pg_text_printf(t, ":%" PRIu64, port);
    }
}

static void cell_text(struct pg_grid *g, struct pg_text *t)
{
    pg_grid_cell(g, t->at);
    pg_text_free(t);
}

/* Strings of an array, or one member of its objects, with commas between. */
static void add_joined(struct pg_text *t, const json_t *array, const char *member)
{
    size_t i = 0;
    const json_t *value = NULL;

    json_array_foreach(array, i, value)
    {
        const char *text = member ? string_of(value, member) : json_string_value(value);

        if (text) {
            pg_text_printf(t, "%s%s", t->len ? "," : "", text);
        }
    }
}

static void cell_joined(struct pg_grid *g, const json_t *item, const char *key)
{
    struct pg_text t = {0};

    add_joined(&t, json_object_get(item, key), NULL);
    cell_text(g, &t);
}

static void cell_number(struct pg_grid *g, const json_t *item, const char *key)
{
    if (has(item, key)) {
        pg_grid_cellf(g, "%" PRIu64, number_of(item, key));
    } else {
        pg_grid_cell(g, NULL);
    }
}

static void cell_yes(struct pg_grid *g, const json_t *item, const char *key)
{
    pg_grid_cell(g, json_is_true(json_object_get(item, key)) ? "true" : "false");
}

static void cell_duration(struct pg_grid *g, const json_t *item, const char *key)
{
    struct pg_text t = {0};

    pg_text_add_duration(&t, number_of(item, key));
    cell_text(g, &t);
}

static void cell_endpoint(struct pg_grid *g, const json_t *endpoint, const char *none)
{
    struct pg_text t = {0};

    if (json_is_object(endpoint)) {
        add_endpoint(&t, string_of(endpoint, "address"), number_of(endpoint, "port"));
    } else {
        pg_text_puts(&t, none);
    }
    cell_text(g, &t);
}

/* A reason in words: "svc/edge/gateway externalTrafficPolicy: Cluster (default)  edge.yaml:14", by the one who prints it elsewhere too. */
static void add_reason(struct pg_text *t, const json_t *reason, bool with_source)
{
    const char *code = string_of(reason, "code");
    const char *source = with_source ? string_of(reason, "source") : NULL;
    struct pg_reason r = {.code = PG_CODE_NONE,
                          .defaulted = json_is_true(json_object_get(reason, "defaulted")),
                          .object = string_of(reason, "object"),
                          .field = string_of(reason, "field"),
                          .value = string_of(reason, "value"),
                          .file = source};
    char text[512];

    for (unsigned i = 0; code && i < PG_CODE_COUNT; i++) {
        if (strcmp(pg_code_name((enum pg_code)i), code) == 0) {
            r.code = (enum pg_code)i;
        }
    }
    pg_text_puts(t, pg_reason_print(pg_reason_intern(&r), text, sizeof text));
}

/* ---- conntrack ---- */

static void cell_tuple(struct pg_grid *g, const json_t *tuple)
{
    struct pg_text t = {0};

    add_endpoint(&t, string_of(tuple, "src"), number_of(tuple, "srcPort"));
    pg_text_putc(&t, '>');
    add_endpoint(&t, string_of(tuple, "dst"), number_of(tuple, "dstPort"));
    if (has(tuple, "icmpId")) {
        pg_text_printf(&t, " id=%" PRIu64, number_of(tuple, "icmpId"));
    }
    cell_text(g, &t);
}

/* Protocols without states still have been answered or not. */
static void cell_state(struct pg_grid *g, const json_t *flow)
{
    const char *state = string_of(flow, "state");

    if (!state && !json_is_true(json_object_get(flow, "seenReply"))) {
        state = "UNREPLIED";
    } else if (!state) {
        state = json_is_true(json_object_get(flow, "assured")) ? "ASSURED" : "REPLIED";
    }
    pg_grid_cell(g, state);
}

static void cell_why(struct pg_grid *g, const json_t *flow)
{
    static const char *const keys[] = {"dnatReason", "snatReason"};
    struct pg_text t = {0};

    for (size_t i = 0; i < 2; i++) {
        const json_t *reason = json_object_get(flow, keys[i]);

        if (json_is_object(reason)) {
            pg_text_puts(&t, t.len ? "; " : "");
            add_reason(&t, reason, true);
            pg_text_printf(&t, " %s", string_of(reason, "code") ? string_of(reason, "code") : "");
        }
    }
    cell_text(g, &t);
}

static void row_conntrack(struct pg_grid *g, const json_t *flow, bool wide)
{
    const json_t *original = json_object_get(flow, "original");
    const json_t *reply = json_object_get(flow, "reply");
    struct pg_text t = {0};

    cell_number(g, flow, "id");
    pg_grid_cell(g, string_of(flow, "proto"));
    cell_state(g, flow);
    cell_tuple(g, original);
    cell_tuple(g, reply);
    cell_joined(g, flow, "nat");
    pg_grid_cell(g, string_of(flow, "service"));
    cell_duration(g, flow, "timeoutSeconds");
    pg_grid_cell(g, string_of(flow, "flow"));
    if (wide) {
        pg_grid_cell(g, string_of(flow, "node"));
        pg_grid_cellf(g, "%" PRIu64 "/%" PRIu64, number_of(original, "packets"),
                      number_of(reply, "packets"));
        pg_text_add_bytes(&t, number_of(original, "bytes"));
        pg_text_putc(&t, '/');
        pg_text_add_bytes(&t, number_of(reply, "bytes"));
        cell_text(g, &t);
        cell_why(g, flow);
    }
}

/* ---- nat ---- */

static void row_nat(struct pg_grid *g, const json_t *rule, bool wide)
{
    const json_t *reason = json_object_get(rule, "reason");
    const char *kind = string_of(rule, "kind");
    uint64_t endpoints = number_of(rule, "endpointCount");
    struct pg_text t = {0};

    pg_grid_cell(g, string_of(rule, "hook"));
    pg_grid_cell(g, kind);
    cell_endpoint(g, json_object_get(rule, "before"), "any");
    pg_grid_cell(g, "=>");
    cell_endpoint(g, json_object_get(rule, "after"), "any");
    pg_grid_cell(g, string_of(rule, "portMode"));
    if (json_is_object(reason)) {
        add_reason(&t, reason, false);
    }
    if (endpoints) {
        pg_text_printf(&t, " endpoint %" PRIu64 "/%" PRIu64 " p=%.2f",
                       number_of(rule, "endpointNumber"), endpoints, 1.0 / (double)endpoints);
    } else if (string_of(reason, "code")) {
        pg_text_printf(&t, " %s", string_of(reason, "code"));
    }
    cell_text(g, &t);
    cell_number(g, rule, "activeFlows");
    cell_number(g, rule, "hits");
    if (wide) {
        pg_grid_cell(g, string_of(reason, "code"));
        pg_grid_cell(g, string_of(reason, "source"));
    }
}

/* ---- affinity ---- */

static void row_affinity(struct pg_grid *g, const json_t *item, bool wide)
{
    pg_grid_cell(g, string_of(item, "client"));
    pg_grid_cell(g, string_of(item, "service"));
    pg_grid_cellf(g, "%" PRIu64 "/%s", number_of(item, "servicePort"), string_of(item, "proto"));
    cell_endpoint(g, json_object_get(item, "endpoint"), "-");
    cell_duration(g, item, "timeoutSeconds");
    if (wide) {
        pg_grid_cell(g, string_of(item, "pod"));
    }
}

/* ---- connections ---- */

static void cell_rtt(struct pg_grid *g, const json_t *leg)
{
    if (has(leg, "rttMicroseconds")) {
        pg_grid_cellf(g, "%.1fms", (double)number_of(leg, "rttMicroseconds") / 1000.0);
    } else {
        pg_grid_cell(g, "-");
    }
}

static void cell_leg(struct pg_grid *g, const json_t *leg, const char *from, const char *to)
{
    const json_t *source = json_object_get(leg, "source");
    const json_t *vip = json_object_get(leg, "vip");
    struct pg_text t = {0};
    char key[24];

    if (json_is_object(source) && json_is_object(vip)) { /* the client leg, as the client sees it */
        add_endpoint(&t, string_of(source, "address"), number_of(source, "port"));
        pg_text_putc(&t, '>');
        add_endpoint(&t, string_of(vip, "address"), number_of(vip, "port"));
    } else if (json_is_object(leg)) {
        snprintf(key, sizeof key, "%sPort", from);
        add_endpoint(&t, string_of(leg, from), number_of(leg, key));
        pg_text_putc(&t, '>');
        snprintf(key, sizeof key, "%sPort", to);
        add_endpoint(&t, string_of(leg, to), number_of(leg, key));
    }
    cell_text(g, &t);
    pg_grid_cell(g, string_of(leg, "state") ? string_of(leg, "state") : "-");
    cell_rtt(g, leg);
}

static void row_connections(struct pg_grid *g, const json_t *item, bool wide)
{
    const json_t *client = json_object_get(item, "client");
    const json_t *upstream = json_object_get(item, "upstream");
    struct pg_text t = {0};

    pg_grid_cell(g, string_of(item, "flow"));
    cell_leg(g, client, "peer", "local");
    cell_leg(g, upstream, "local", "peer");
    pg_grid_cell(g, string_of(item, "pod"));
    cell_number(g, item, "requests");
    pg_grid_cellf(g, "%" PRIu64,
                  number_of(client, "retransmits") + number_of(upstream, "retransmits"));
    pg_text_add_bytes(&t, number_of(client, "bytesIn"));
    pg_text_putc(&t, '/');
    pg_text_add_bytes(&t, number_of(client, "bytesOut"));
    cell_text(g, &t);
    cell_duration(g, item, "ageSeconds");
    if (wide) {
        pg_grid_cell(g, string_of(item, "service"));
        cell_endpoint(g, json_object_get(upstream, "endpoint"), "");
        cell_endpoint(g, json_object_get(upstream, "seen"), "");
        cell_number(g, item, "lastStatus");
        pg_grid_cell(g, string_of(item, "state"));
    }
}

/* ---- services, endpoints, nodes ---- */

static void cell_external(struct pg_grid *g, const json_t *service, const char *type)
{
    struct pg_text t = {0};

    if (string_of(service, "externalName")) {
        pg_text_puts(&t, string_of(service, "externalName"));
    }
    add_joined(&t, json_object_get(service, "loadBalancerIPs"), "address");
    add_joined(&t, json_object_get(service, "externalIPs"), NULL);
    if (!t.len && type && strcmp(type, "LoadBalancer") == 0) {
        pg_text_puts(&t, "<pending>");
    }
    cell_text(g, &t);
}

static void cell_ports(struct pg_grid *g, const json_t *service)
{
    size_t i = 0;
    const json_t *port = NULL;
    struct pg_text t = {0};

    json_array_foreach(json_object_get(service, "ports"), i, port)
    {
        const char *protocol = string_of(port, "protocol");

        pg_text_printf(&t, "%s%" PRIu64, i ? "," : "", number_of(port, "port"));
        if (has(port, "nodePort")) {
            pg_text_printf(&t, ":%" PRIu64, number_of(port, "nodePort"));
        }
        pg_text_putc(&t, '/');
        for (; protocol && *protocol; protocol++) {
            pg_text_putc(&t, (char)(*protocol >= 'a' && *protocol <= 'z' ? *protocol - 'a' + 'A'
                                                                         : *protocol));
        }
    }
    cell_text(g, &t);
}

static void cell_policies(struct pg_grid *g, const json_t *service)
{
    static const char *const keys[][2] = {{"external", "externalTrafficPolicy"},
                                          {"internal", "internalTrafficPolicy"},
                                          {"affinity", "sessionAffinity"}};
    struct pg_text t = {0};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *policy = json_object_get(service, keys[i][1]);

        if (string_of(policy, "value")) {
            pg_text_printf(&t, "%s%s=%s%s", t.len ? "," : "", keys[i][0],
                           string_of(policy, "value"),
                           json_is_true(json_object_get(policy, "defaulted")) ? "(default)" : "");
        }
    }
    cell_text(g, &t);
}

static void row_services(struct pg_grid *g, const json_t *service, bool wide)
{
    const char *type = string_of(json_object_get(service, "type"), "value");
    struct pg_text ips = {0};

    pg_grid_cell(g, string_of(service, "namespace"));
    pg_grid_cell(g, string_of(service, "name"));
    pg_grid_cell(g, type);
    add_joined(&ips, json_object_get(service, "clusterIPs"), NULL);
    if (!ips.len && !string_of(service, "externalName")) {
        pg_text_puts(&ips, "None"); /* headless */
    }
    cell_text(g, &ips);
    cell_external(g, service, type);
    cell_ports(g, service);
    pg_grid_cellf(g, "%" PRIu64 "/%" PRIu64, number_of(service, "readyEndpoints"),
                  number_of(service, "endpoints"));
    if (wide) {
        cell_policies(g, service);
        pg_grid_cell(g, string_of(service, "source"));
    }
}

static void row_endpoint(struct pg_grid *g, const json_t *service, const json_t *e)
{
    pg_grid_cell(g, string_of(service, "namespace"));
    pg_grid_cell(g, string_of(service, "name"));
    if (string_of(e, "portName")) {
        pg_grid_cell(g, string_of(e, "portName"));
    } else {
        cell_number(g, e, "servicePort");
    }
    cell_endpoint(g, json_is_object(e) ? e : NULL, "");
    cell_yes(g, e, "ready");
    cell_yes(g, e, "serving");
    cell_yes(g, e, "terminating");
    pg_grid_cell(g, string_of(e, "node"));
    pg_grid_cell(g, string_of(e, "pod"));
    cell_number(g, e, "active");
    cell_number(g, e, "hits");
}

static void row_endpoints(struct pg_grid *g, const json_t *service, bool wide)
{
    const json_t *endpoints = json_object_get(service, "endpoints");
    size_t i = 0;
    const json_t *e = NULL;
    struct pg_text t = {0};

    json_array_foreach(endpoints, i, e)
    {
        if (wide) {
            row_endpoint(g, service, e);
        } else {
            pg_text_puts(&t, i ? "," : "");
            add_endpoint(&t, string_of(e, "address"), number_of(e, "port"));
        }
    }
    if (!wide) {
        pg_grid_cell(g, string_of(service, "namespace"));
        pg_grid_cell(g, string_of(service, "name"));
        cell_text(g, &t);
    }
}

/* The condition of that type in "conditions". */
static const json_t *condition_of(const json_t *of, const char *type)
{
    size_t i = 0;
    const json_t *c = NULL;

    json_array_foreach(json_object_get(of, "conditions"), i, c)
    {
        if (strcmp(string_of(c, "type"), type) == 0) {
            return c;
        }
    }
    return NULL;
}

static void cell_condition(struct pg_grid *g, const json_t *of, const char *type)
{
    pg_grid_cell(g, json_is_true(json_object_get(condition_of(of, type), "status")) ? "True"
                                                                                    : "False");
}

static void row_gateways(struct pg_grid *g, const json_t *gateway, bool wide)
{
    size_t i = 0;
    const json_t *l = NULL;

    json_array_foreach(json_object_get(gateway, "listeners"), i, l)
    {
        pg_grid_cell(g, string_of(gateway, "namespace"));
        pg_grid_cell(g, string_of(gateway, "name"));
        pg_grid_cell(g, string_of(gateway, "class"));
        cell_condition(g, l, "Programmed");
        pg_grid_cell(g, string_of(l, "name"));
        pg_grid_cell(g, string_of(l, "protocol"));
        cell_number(g, l, "port");
        pg_grid_cell(g, string_of(l, "hostname"));
        cell_number(g, l, "attachedRoutes");
        if (wide) {
            pg_grid_cell(g, string_of(condition_of(l, "Programmed"), "reason"));
            pg_grid_cell(g, string_of(l, "source"));
        }
    }
}

static void row_http_routes(struct pg_grid *g, const json_t *route, bool wide)
{
    size_t i = 0;
    const json_t *p = NULL;

    json_array_foreach(json_object_get(route, "parents"), i, p)
    {
        pg_grid_cell(g, string_of(route, "namespace"));
        pg_grid_cell(g, string_of(route, "name"));
        pg_grid_cell(g, string_of(p, "gateway"));
        pg_grid_cell(g, string_of(p, "sectionName"));
        cell_number(g, p, "listeners");
        cell_condition(g, p, "Accepted");
        cell_condition(g, p, "ResolvedRefs");
        if (wide) {
            pg_grid_cell(g, string_of(condition_of(p, "Accepted"), "reason"));
            pg_grid_cell(g, string_of(p, "source"));
        }
    }
}

static void row_nodes(struct pg_grid *g, const json_t *node, bool wide)
{
    pg_grid_cell(g, string_of(node, "name"));
    pg_grid_cell(g, json_is_true(json_object_get(node, "ready")) ? "Ready" : "NotReady");
    cell_joined(g, node, "addresses");
    cell_joined(g, node, "podCIDRs");
    cell_joined(g, node, "gateways");
    pg_grid_cell(g, string_of(node, "zone"));
    if (wide) {
        cell_number(g, node, "pods");
        pg_grid_cell(g, string_of(node, "source"));
    }
}

static void row_counters(struct pg_grid *g, const json_t *counter, bool wide)
{
    (void)wide;
    pg_grid_cell(g, string_of(counter, "kind"));
    pg_grid_cell(g, string_of(counter, "name"));
    cell_number(g, counter, "value");
}

/* ---- tables ---- */

#define COLUMNS 18

struct table {
    const char *heads[COLUMNS];
    size_t narrow; /* heads without -o wide; 0: wide has heads of its own */
    size_t wide;
    const char *wide_heads[COLUMNS];
    void (*row)(struct pg_grid *g, const json_t *item, bool wide);
};

static const struct table tables[] = {
    [PG_GET_CONNTRACK] = {{"ID", "PROTO", "STATE", "ORIGINAL", "REPLY", "NAT", "SERVICE", "TIMEOUT",
                           "FLOW", "NODE", "PACKETS", "BYTES", "WHY"},
                          9,
                          13,
                          {NULL},
                          row_conntrack},
    [PG_GET_NAT] = {{"HOOK", "KIND", "BEFORE", "=>", "AFTER", "PORT MODE", "WHY", "ACTIVE", "HITS",
                     "CODE", "SOURCE"},
                    9,
                    11,
                    {NULL},
                    row_nat},
    [PG_GET_AFFINITY] =
        {{"CLIENT", "SERVICE", "PORT", "ENDPOINT", "LEFT", "POD"}, 5, 6, {NULL}, row_affinity},
    [PG_GET_CONNECTIONS] = {{"FLOW", "CLIENT LEG", "STATE", "RTT", "UPSTREAM LEG", "STATE", "RTT",
                             "POD", "REQS", "RETX", "BYTES IN/OUT", "AGE", "SERVICE", "ENDPOINT",
                             "POD SEES", "STATUS", "DOING"},
                            12,
                            17,
                            {NULL},
                            row_connections},
    [PG_GET_SERVICES] = {{"NAMESPACE", "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)",
                          "ENDPOINTS", "POLICIES", "SOURCE"},
                         7,
                         9,
                         {NULL},
                         row_services},
    [PG_GET_ENDPOINTS] = {{"NAMESPACE", "NAME", "ENDPOINTS"},
                          3,
                          11,
                          {"NAMESPACE", "NAME", "PORT", "ENDPOINT", "READY", "SERVING",
                           "TERMINATING", "NODE", "POD", "ACTIVE", "HITS"},
                          row_endpoints},
    [PG_GET_NODES] = {{"NAME", "STATUS", "ADDRESS", "POD-CIDR", "GATEWAY", "ZONE", "PODS",
                       "SOURCE"},
                      6,
                      8,
                      {NULL},
                      row_nodes},
    [PG_GET_GATEWAYS] = {{"NAMESPACE", "NAME", "CLASS", "PROGRAMMED", "LISTENER", "PROTOCOL",
                          "PORT", "HOSTNAME", "ATTACHED", "REASON", "SOURCE"},
                         9,
                         11,
                         {NULL},
                         row_gateways},
    [PG_GET_HTTPROUTES] = {{"NAMESPACE", "NAME", "GATEWAY", "SECTION", "LISTENERS", "ACCEPTED",
                            "RESOLVED", "REASON", "SOURCE"},
                           7,
                           9,
                           {NULL},
                           row_http_routes},
    [PG_GET_COUNTERS] = {{"KIND", "NAME", "VALUE"}, 3, 3, {NULL}, row_counters},
};
_Static_assert(sizeof tables / sizeof tables[0] == PG_GET_TYPE_COUNT, "a table per type");

void pg_get_render(enum pg_get_type type, const json_t *items, bool wide, bool with_heads,
                   struct pg_text *out)
{
    const struct table *t = &tables[type];
    const char *const *heads = wide && t->wide_heads[0] ? t->wide_heads : t->heads;
    struct pg_grid *g = pg_grid_new(heads, wide ? t->wide : t->narrow);
    size_t i = 0;
    const json_t *item = NULL;

    json_array_foreach(items, i, item)
    {
        t->row(g, item, wide);
    }
    pg_grid_print(g, with_heads, out);
    pg_grid_free(g);
}
