/* Lists of the control API as tables: which columns a type has.
 *
 * Pure: JSON in, text out, so tests need no instance. kubectl's form: upper-case heads, `-o wide` adds columns at the right only,
 * <none> for what is not there. What stands in the cells is in get_rows_flows.c, get_rows_cluster.c and get_rows_ingress.c. Called by get.c. */
#include "get_cells.h"

#include <stdio.h>

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
                          pg_row_conntrack},
    [PG_GET_NAT] = {{"HOOK", "KIND", "BEFORE", "=>", "AFTER", "PORT MODE", "WHY", "ACTIVE", "HITS",
                     "CODE", "SOURCE"},
                    9,
                    11,
                    {NULL},
                    pg_row_nat},
    [PG_GET_AFFINITY] =
        {{"CLIENT", "SERVICE", "PORT", "ENDPOINT", "LEFT", "POD"}, 5, 6, {NULL}, pg_row_affinity},
    [PG_GET_CONNECTIONS] = {{"FLOW", "CLIENT LEG", "STATE", "RTT", "UPSTREAM LEG", "STATE", "RTT",
                             "POD", "REQS", "RETX", "BYTES IN/OUT", "AGE", "SERVICE", "ENDPOINT",
                             "POD SEES", "STATUS", "DOING", "TLS"},
                            12,
                            18,
                            {NULL},
                            pg_row_connections},
    [PG_GET_SERVICES] = {{"NAMESPACE", "NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)",
                          "ENDPOINTS", "POLICIES", "SOURCE"},
                         7,
                         9,
                         {NULL},
                         pg_row_services},
    [PG_GET_ENDPOINTS] = {{"NAMESPACE", "NAME", "ENDPOINTS"},
                          3,
                          11,
                          {"NAMESPACE", "NAME", "PORT", "ENDPOINT", "READY", "SERVING",
                           "TERMINATING", "NODE", "POD", "ACTIVE", "HITS"},
                          pg_row_endpoints},
    [PG_GET_NODES] = {{"NAME", "STATUS", "ADDRESS", "POD-CIDR", "GATEWAY", "ZONE", "PODS",
                       "SOURCE"},
                      6,
                      8,
                      {NULL},
                      pg_row_nodes},
    [PG_GET_PODS] = {{"NAMESPACE", "NAME", "READY", "ADDRESS", "NODE", "BACKED BY", "SOURCE"},
                     6,
                     7,
                     {NULL},
                     pg_row_pods},
    [PG_GET_INGRESSES] = {{"NAMESPACE", "NAME", "CLASS", "HOSTS", "ADDRESS", "PORTS", "ROUTES",
                           "SOURCE"},
                          6,
                          8,
                          {NULL},
                          pg_row_ingresses},
    [PG_GET_ROUTES] = {{"HOST", "PATH", "BY", "ASKS", "BACKEND", "WEIGHT", "OBJECT", "FILTERS",
                        "LISTENER", "SOURCE"},
                       7,
                       10,
                       {NULL},
                       pg_row_routes},
    [PG_GET_SETTINGS] = {{"NAME", "VALUE", "WHY"}, 3, 3, {NULL}, pg_row_settings},
    [PG_GET_TRAFFIC] = {{"SERVICE", "HOST", "REQUESTS", "2XX", "3XX", "4XX", "5XX", "P50", "P99",
                         "KEPT", "CARRIED", "LOST", "FORGED", "AMBIGUOUS", "MEAN"},
                        12,
                        15,
                        {NULL},
                        pg_row_traffic},
    [PG_GET_GATEWAYS] = {{"NAMESPACE", "NAME", "CLASS", "PROGRAMMED", "LISTENER", "PROTOCOL",
                          "PORT", "HOSTNAME", "ATTACHED", "REASON", "SOURCE"},
                         9,
                         11,
                         {NULL},
                         pg_row_gateways},
    [PG_GET_HTTPROUTES] = {{"NAMESPACE", "NAME", "KIND", "GATEWAY", "SECTION", "LISTENERS",
                            "ACCEPTED", "RESOLVED", "REASON", "SOURCE"},
                           8,
                           10,
                           {NULL},
                           pg_row_http_routes},
    [PG_GET_DNS] = {{"NAME", "TYPE", "TTL", "DATA", "FROM", "AGE", "OBJECT", "SOURCE"},
                    6,
                    8,
                    {NULL},
                    pg_row_dns},
    [PG_GET_COUNTERS] = {{"KIND", "NAME", "VALUE"}, 3, 3, {NULL}, pg_row_counters},
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

void pg_get_render_summary(const char *by, const json_t *groups, bool with_heads,
                           struct pg_text *out)
{
    char head[16];
    const char *heads[] = {head, "ENTRIES", "NEW/10S", "TIME_WAIT", "UNREPLIED", "OLDEST", "SHARE"};
    size_t i = 0;
    const json_t *group = NULL;

    snprintf(head, sizeof head, "%s", by);
    for (char *c = head; *c; c++) {
        *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c);
    }
    struct pg_grid *g = pg_grid_new(heads, sizeof heads / sizeof heads[0]);

    json_array_foreach(groups, i, group)
    {
        uint64_t of = pg_get_number(group, "of");

        pg_grid_cell(g, pg_get_string(group, "group"));
        pg_cell_number(g, group, "entries");
        pg_cell_number(g, group, "new");
        pg_cell_number(g, group, "timeWait");
        pg_cell_number(g, group, "unreplied");
        pg_cell_duration(g, group, "oldestSeconds");
        pg_grid_cellf(g, "%.1f%%",
                      of ? 100.0 * (double)pg_get_number(group, "entries") / (double)of : 0.0);
    }
    pg_grid_print(g, with_heads, out);
    pg_grid_free(g);
}
