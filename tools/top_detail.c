/* The page of `top` behind Enter: one service under one host, with its answers, its endpoints and its connections.
 *
 *   shop/web   shop.example.test
 *   8131 requests: 8100 200, 31 502      half within 0.5ms, 99% within 5ms
 *   clients: kept 0, carried 120, lost 8010, forged 0, ambiguous 1
 *
 *   ENDPOINT          POD          READY   ACTIVE   HITS
 *   FLOW   CLIENT                STATUS   POD          REQS   BYTES IN/OUT   AGE
 *
 * Pure, as top_page.c, which calls it. Narrow enough for 80 columns. */
#include "top_internal.h"

#include "get_cells.h"

#include <inttypes.h>
#include <string.h>

static bool is(const json_t *item, const char *key, const char *wanted)
{
    const char *text = pg_get_string(item, key);

    return strcmp(text ? text : "", wanted) == 0;
}

static const json_t *find(const struct pg_top_sample *now, const struct pg_top_view *view)
{
    size_t i = 0;
    const json_t *item = NULL;

    json_array_foreach(json_object_get(now->requests, "items"), i, item)
    {
        if (is(item, "service", view->service) && is(item, "host", view->host)) {
            return item;
        }
    }
    return NULL;
}

/* ---- what became of its requests ---- */

/* "8100 200, 31 502", or who became what. */
static void put_counts(const json_t *counts, const char *form, struct pg_text *out)
{
    const char *name = NULL;
    json_t *count = NULL;
    unsigned said = 0;

    json_object_foreach((json_t *)(uintptr_t)counts, name, count)
    {
        pg_text_puts(out, said++ ? ", " : "");
        if (form[0] == 'n') { /* the number first */
            pg_text_printf(out, "%" JSON_INTEGER_FORMAT " ", json_integer_value(count));
            pg_text_add_escaped(out, name, strlen(name));
        } else {
            pg_text_add_escaped(out, name, strlen(name));
            pg_text_printf(out, " %" JSON_INTEGER_FORMAT, json_integer_value(count));
        }
    }
    pg_text_puts(out, said ? "" : "none");
}

static void put_within(const json_t *item, unsigned percent, const char *before,
                       struct pg_text *out)
{
    int64_t us = pg_requests_below(item, percent);

    if (us == INT64_MAX) {
        pg_text_printf(out, "%s%u%% took longer than any bound", before, percent);
    } else if (us >= 0) {
        pg_text_printf(out, "%s%u%% within %.1fms", before, percent, (double)us / 1000.0);
    }
}

static void put_requests(const json_t *item, struct pg_text *out)
{
    pg_text_printf(out, "%" PRIu64 " requests: ", pg_get_number(item, "requests"));
    put_counts(json_object_get(item, "codes"), "number", out);
    put_within(item, 50, "      ", out);
    put_within(item, 99, ", ", out);
    pg_text_puts(out, "\nclients: ");
    put_counts(json_object_get(item, "verdicts"), "word", out);
    pg_text_putc(out, '\n');
}

/* ---- tables ---- */

static void add_endpoints(struct pg_grid *g, const json_t *service)
{
    size_t i = 0;
    const json_t *e = NULL;

    json_array_foreach(json_object_get(service, "endpoints"), i, e)
    {
        pg_cell_endpoint(g, e, "");
        pg_grid_cell(g, pg_get_string(e, "pod"));
        pg_grid_cell(g, pg_get_string(e, "node"));
        pg_cell_yes(g, e, "ready");
        pg_cell_number(g, e, "active");
        pg_cell_number(g, e, "hits");
    }
}

static void put_endpoints(const json_t *endpoints, const struct pg_top_view *view,
                          struct pg_text *out)
{
    static const char *const heads[] = {"ENDPOINT", "POD", "NODE", "READY", "ACTIVE", "HITS"};
    struct pg_grid *g = pg_grid_new(heads, sizeof heads / sizeof heads[0]);
    json_t *named = pg_get_select(PG_GET_ENDPOINTS, endpoints, view->service, NULL);
    size_t i = 0;
    const json_t *service = NULL;

    json_array_foreach(named, i, service)
    {
        add_endpoints(g, service);
    }
    pg_grid_print(g, true, out);
    pg_grid_free(g);
    json_decref(named);
}

static void add_connection(struct pg_grid *g, const json_t *c)
{
    const json_t *client = json_object_get(c, "client");
    const json_t *source = json_object_get(client, "source");
    struct pg_text t = {0};

    pg_grid_cell(g, pg_get_string(c, "flow"));
    if (pg_get_string(source, "address")) {
        pg_get_add_endpoint(&t, pg_get_string(source, "address"), pg_get_number(source, "port"));
    } else if (pg_get_string(client, "peer")) {
        pg_get_add_endpoint(&t, pg_get_string(client, "peer"), pg_get_number(client, "peerPort"));
    }
    pg_cell_text(g, &t);
    pg_grid_cell(g, pg_get_string(c, "pod"));
    pg_cell_number(g, c, "requests");
    pg_cell_number(g, c, "lastStatus");
    pg_text_add_bytes(&t, pg_get_number(client, "bytesIn"));
    pg_text_putc(&t, '/');
    pg_text_add_bytes(&t, pg_get_number(client, "bytesOut"));
    pg_cell_text(g, &t);
    pg_cell_duration(g, c, "ageSeconds");
}

static void put_connections(const json_t *connections, const struct pg_top_view *view,
                            struct pg_text *out)
{
    static const char *const heads[] = {"FLOW",   "CLIENT",       "POD", "REQS",
                                        "STATUS", "BYTES IN/OUT", "AGE"};
    struct pg_grid *g = pg_grid_new(heads, sizeof heads / sizeof heads[0]);
    size_t i = 0;
    const json_t *c = NULL;
    unsigned count = 0;

    json_array_foreach(json_object_get(connections, "items"), i, c)
    {
        if (is(c, "service", view->service)) {
            add_connection(g, c);
            count++;
        }
    }
    if (count > 0) {
        pg_grid_print(g, true, out);
    } else {
        pg_text_puts(out, "no connection is at it now\n");
    }
    pg_grid_free(g);
}

void pg_top_detail(const struct pg_top_sample *now, const struct pg_top_view *view,
                   struct pg_text *out)
{
    const json_t *item = find(now, view);

    pg_text_putc(out, '\n');
    pg_text_add_escaped(out, view->service, strlen(view->service));
    pg_text_puts(out, view->service[0] && view->host[0] ? "   " : "");
    pg_text_add_escaped(out, view->host, strlen(view->host));
    pg_text_putc(out, '\n');
    if (item) {
        put_requests(item, out);
    } else {
        pg_text_puts(out, "it is not there any more\n"); /* the manifests were loaded again */
    }
    pg_text_putc(out, '\n');
    put_endpoints(now->endpoints, view, out);
    pg_text_putc(out, '\n');
    put_connections(now->connections, view, out);
}
