/* Rows of what stands: services, endpoints, nodes, Gateways, routes, counters.
 *
 * A type is one function; the cells stand in the order of the heads in get_table.c. */
#include "get_cells.h"

#include <inttypes.h>
#include <string.h>

/* ---- services, endpoints, nodes ---- */

static void cell_external(struct pg_grid *g, const json_t *service, const char *type)
{
    struct pg_text t = {0};

    if (pg_get_string(service, "externalName")) {
        pg_text_puts(&t, pg_get_string(service, "externalName"));
    }
    pg_get_add_joined(&t, json_object_get(service, "loadBalancerIPs"), "address");
    pg_get_add_joined(&t, json_object_get(service, "externalIPs"), NULL);
    if (!t.len && type && strcmp(type, "LoadBalancer") == 0) {
        pg_text_puts(&t, "<pending>");
    }
    pg_cell_text(g, &t);
}

static void cell_ports(struct pg_grid *g, const json_t *service)
{
    size_t i = 0;
    const json_t *port = NULL;
    struct pg_text t = {0};

    json_array_foreach(json_object_get(service, "ports"), i, port)
    {
        const char *protocol = pg_get_string(port, "protocol");

        pg_text_printf(&t, "%s%" PRIu64, i ? "," : "", pg_get_number(port, "port"));
        if (pg_get_has(port, "nodePort")) {
            pg_text_printf(&t, ":%" PRIu64, pg_get_number(port, "nodePort"));
        }
        pg_text_putc(&t, '/');
        for (; protocol && *protocol; protocol++) {
            pg_text_putc(&t, (char)(*protocol >= 'a' && *protocol <= 'z' ? *protocol - 'a' + 'A'
                                                                         : *protocol));
        }
    }
    pg_cell_text(g, &t);
}

static void cell_policies(struct pg_grid *g, const json_t *service)
{
    static const char *const keys[][2] = {{"external", "externalTrafficPolicy"},
                                          {"internal", "internalTrafficPolicy"},
                                          {"affinity", "sessionAffinity"}};
    struct pg_text t = {0};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *policy = json_object_get(service, keys[i][1]);

        if (pg_get_string(policy, "value")) {
            pg_text_printf(&t, "%s%s=%s%s", t.len ? "," : "", keys[i][0],
                           pg_get_string(policy, "value"),
                           json_is_true(json_object_get(policy, "defaulted")) ? "(default)" : "");
        }
    }
    pg_cell_text(g, &t);
}

void pg_row_services(struct pg_grid *g, const json_t *service, bool wide)
{
    const char *type = pg_get_string(json_object_get(service, "type"), "value");
    struct pg_text ips = {0};

    pg_grid_cell(g, pg_get_string(service, "namespace"));
    pg_grid_cell(g, pg_get_string(service, "name"));
    pg_grid_cell(g, type);
    pg_get_add_joined(&ips, json_object_get(service, "clusterIPs"), NULL);
    if (!ips.len && !pg_get_string(service, "externalName")) {
        pg_text_puts(&ips, "None"); /* headless */
    }
    pg_cell_text(g, &ips);
    cell_external(g, service, type);
    cell_ports(g, service);
    pg_grid_cellf(g, "%" PRIu64 "/%" PRIu64, pg_get_number(service, "readyEndpoints"),
                  pg_get_number(service, "endpoints"));
    if (wide) {
        cell_policies(g, service);
        pg_grid_cell(g, pg_get_string(service, "source"));
    }
}

static void row_endpoint(struct pg_grid *g, const json_t *service, const json_t *e)
{
    pg_grid_cell(g, pg_get_string(service, "namespace"));
    pg_grid_cell(g, pg_get_string(service, "name"));
    if (pg_get_string(e, "portName")) {
        pg_grid_cell(g, pg_get_string(e, "portName"));
    } else {
        pg_cell_number(g, e, "servicePort");
    }
    pg_cell_endpoint(g, json_is_object(e) ? e : NULL, "");
    pg_cell_yes(g, e, "ready");
    pg_cell_yes(g, e, "serving");
    pg_cell_yes(g, e, "terminating");
    pg_grid_cell(g, pg_get_string(e, "node"));
    pg_grid_cell(g, pg_get_string(e, "pod"));
    pg_cell_number(g, e, "active");
    pg_cell_number(g, e, "hits");
}

void pg_row_endpoints(struct pg_grid *g, const json_t *service, bool wide)
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
            pg_get_add_endpoint(&t, pg_get_string(e, "address"), pg_get_number(e, "port"));
        }
    }
    if (!wide) {
        pg_grid_cell(g, pg_get_string(service, "namespace"));
        pg_grid_cell(g, pg_get_string(service, "name"));
        pg_cell_text(g, &t);
    }
}

/* The condition of that type in "conditions". */
static const json_t *condition_of(const json_t *of, const char *type)
{
    size_t i = 0;
    const json_t *c = NULL;

    json_array_foreach(json_object_get(of, "conditions"), i, c)
    {
        if (strcmp(pg_get_string(c, "type"), type) == 0) {
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

/* That of the condition, or of ResolvedRefs where only that is not met. */
static void cell_reason(struct pg_grid *g, const json_t *of, const char *type)
{
    const json_t *condition = condition_of(of, type);
    const json_t *resolved = condition_of(of, "ResolvedRefs");

    if (json_is_true(json_object_get(condition, "status")) && resolved &&
        !json_is_true(json_object_get(resolved, "status"))) {
        condition = resolved;
    }
    pg_grid_cell(g, pg_get_string(condition, "reason"));
}

void pg_row_gateways(struct pg_grid *g, const json_t *gateway, bool wide)
{
    size_t i = 0;
    const json_t *l = NULL;

    json_array_foreach(json_object_get(gateway, "listeners"), i, l)
    {
        pg_grid_cell(g, pg_get_string(gateway, "namespace"));
        pg_grid_cell(g, pg_get_string(gateway, "name"));
        pg_grid_cell(g, pg_get_string(gateway, "class"));
        cell_condition(g, l, "Programmed");
        pg_grid_cell(g, pg_get_string(l, "name"));
        pg_grid_cell(g, pg_get_string(l, "protocol"));
        pg_cell_number(g, l, "port");
        pg_grid_cell(g, pg_get_string(l, "hostname"));
        pg_cell_number(g, l, "attachedRoutes");
        if (wide) {
            cell_reason(g, l, "Programmed");
            pg_grid_cell(g, pg_get_string(l, "source"));
        }
    }
}

void pg_row_http_routes(struct pg_grid *g, const json_t *route, bool wide)
{
    size_t i = 0;
    const json_t *p = NULL;

    json_array_foreach(json_object_get(route, "parents"), i, p)
    {
        pg_grid_cell(g, pg_get_string(route, "namespace"));
        pg_grid_cell(g, pg_get_string(route, "name"));
        pg_grid_cell(g, pg_get_string(route, "kind"));
        pg_grid_cell(g, pg_get_string(p, "gateway"));
        pg_grid_cell(g, pg_get_string(p, "sectionName"));
        pg_cell_number(g, p, "listeners");
        cell_condition(g, p, "Accepted");
        cell_condition(g, p, "ResolvedRefs");
        if (wide) {
            cell_reason(g, p, "Accepted");
            pg_grid_cell(g, pg_get_string(p, "source"));
        }
    }
}

void pg_row_nodes(struct pg_grid *g, const json_t *node, bool wide)
{
    pg_grid_cell(g, pg_get_string(node, "name"));
    pg_grid_cell(g, json_is_true(json_object_get(node, "ready")) ? "Ready" : "NotReady");
    pg_cell_joined(g, node, "addresses");
    pg_cell_joined(g, node, "podCIDRs");
    pg_cell_joined(g, node, "gateways");
    pg_grid_cell(g, pg_get_string(node, "zone"));
    if (wide) {
        pg_cell_number(g, node, "pods");
        pg_grid_cell(g, pg_get_string(node, "source"));
    }
}

void pg_row_pods(struct pg_grid *g, const json_t *pod, bool wide)
{
    pg_grid_cell(g, pg_get_string(pod, "namespace"));
    pg_grid_cell(g, pg_get_string(pod, "name"));
    pg_cell_yes(g, pod, "ready");
    pg_cell_joined(g, pod, "addresses");
    pg_grid_cell(g, pg_get_string(pod, "node"));
    pg_grid_cell(g, pg_get_string(pod, "backing"));
    if (wide) {
        pg_grid_cell(g, pg_get_string(pod, "source"));
    }
}

/* A name without records of that type has the denial where the others have their data. */
void pg_row_dns(struct pg_grid *g, const json_t *record, bool wide)
{
    const json_t *reason = json_object_get(record, "reason");
    bool kept = pg_get_has(record, "timeoutSeconds");

    pg_grid_cell(g, pg_get_string(record, "name"));
    pg_grid_cell(g, pg_get_string(record, "type"));
    pg_cell_number(g, record, kept ? "timeoutSeconds" : "ttlSeconds");
    pg_grid_cell(g, pg_get_string(record, pg_get_has(record, "data") ? "data" : "status"));
    pg_grid_cell(g, pg_get_string(record, "from"));
    if (kept) {
        pg_cell_duration(g, record, "ageSeconds");
    } else {
        pg_grid_cell(g, "-");
    }
    if (wide) {
        pg_grid_cell(g, pg_get_string(reason, "object"));
        pg_grid_cell(g, pg_get_string(reason, "source"));
    }
}

void pg_row_counters(struct pg_grid *g, const json_t *counter, bool wide)
{
    (void)wide;
    pg_grid_cell(g, pg_get_string(counter, "kind"));
    pg_grid_cell(g, pg_get_string(counter, "name"));
    pg_cell_number(g, counter, "value");
}
