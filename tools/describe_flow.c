/* `describe flow`, and the flows of anything else.
 *
 * A flow goes by its id or by its label, which also joins it with the client connection it belongs to and with what is recorded of it. */
#include "podglass/exchange.h"
#include "podglass/record_read.h"

#include "describe_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS_SHOWN 20

/* One line of a flow. */
static void add_flow(struct pg_text *out, const json_t *f)
{
    const json_t *a = json_object_get(f, "original");
    const json_t *b = json_object_get(f, "reply");

    pg_text_printf(out, "  #%-10" JSON_INTEGER_FORMAT " %-5s %-12s ",
                   json_integer_value(json_object_get(f, "id")), pg_describe_string(f, "proto"),
                   pg_describe_string(f, "state"));
    for (int side = 0; side < 2; side++) {
        const json_t *t = side ? b : a;

        pg_text_printf(
            out, "%s:%" JSON_INTEGER_FORMAT ">%s:%" JSON_INTEGER_FORMAT "   ",
            pg_describe_string(t, "src"), json_integer_value(json_object_get(t, "srcPort")),
            pg_describe_string(t, "dst"), json_integer_value(json_object_get(t, "dstPort")));
    }
    pg_text_printf(out, "%s\n", pg_describe_string(f, "flow"));
}

int pg_describe_flows(struct pg_describe *d, bool (*wanted)(const json_t *flow, const json_t *arg),
                      const json_t *arg)
{
    int status = 0;
    json_t *list = pg_describe_ask(d, "conntrack", &status);
    size_t count = 0;
    size_t i = 0;
    const json_t *f = NULL;

    if (!list) {
        return status;
    }
    pg_describe_head(d, "Flows");
    json_array_foreach(list, i, f)
    {
        if (wanted(f, arg) && count++ < FLOWS_SHOWN) {
            add_flow(&d->out, f);
        }
    }
    if (count == 0) {
        pg_text_puts(&d->out, "  <none>\n");
    } else if (count > FLOWS_SHOWN) {
        pg_text_printf(&d->out, "  and %zu more\n", count - FLOWS_SHOWN);
    }
    json_decref(list);
    return 0;
}

/* ---- one flow ---- */

static bool is_flow(const json_t *item, const char *name)
{
    char id[24];

    snprintf(id, sizeof id, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(item, "id")));
    return strcmp(pg_describe_string(item, "flow"), name) == 0 || strcmp(id, name) == 0;
}

struct wanted_label {
    struct pg_text *out;
    struct pg_name_list names;
    uint32_t label;
};

static void on_exchange(void *arg, const struct pg_exchange *x)
{
    struct wanted_label *w = arg;
    struct pg_names names = pg_name_list_names(&w->names);

    if (x->label == w->label) {
        pg_exchange_text(x, &names, &(struct pg_exchange_style){.color = false}, w->out);
    }
}

static int add_records(struct pg_describe *d, const char *label)
{
    struct wanted_label w = {.out = &d->out, .label = (uint32_t)strtoul(label, NULL, 16)};
    struct pg_exchanges *e = pg_exchanges_new(1024, on_exchange, &w);
    struct pg_text body = {0};
    struct pg_record r;
    int http = 0;
    int error = e ? pg_api_get(d->socket.at, "/v1/trace?limit=100000", &http, &body) : -1;

    pg_describe_head(d, "Recorded");
    size_t before = d->out.len;

    for (const char *at = body.at; error == 0 && at && *at;) {
        size_t len = strcspn(at, "\n");

        if (pg_record_read_line(at, len, &r, &w.names) == PG_LINE_RECORD) {
            pg_exchanges_feed(e, &r);
        }
        at += len + (at[len] != 0);
    }
    if (e) {
        pg_exchanges_flush(e);
    }
    if (d->out.len == before) {
        pg_text_puts(&d->out, "  <none>  (records are written while somebody watches)\n");
    }
    pg_exchanges_free(e);
    pg_name_list_free(&w.names);
    pg_text_free(&body);
    return 0;
}

int pg_describe_flow(struct pg_describe *d)
{
    char label[16] = "";
    int status = 0;
    json_t *flows = pg_describe_ask(d, "conntrack", &status);
    json_t *connections = flows ? pg_describe_ask(d, "connections", &status) : NULL;
    size_t i = 0;
    const json_t *f = NULL;

    json_array_foreach(flows, i, f)
    {
        if (is_flow(f, d->name)) {
            snprintf(label, sizeof label, "%s", pg_describe_string(f, "flow"));
            pg_describe_head(d, "Flow");
            pg_describe_object(&d->out, f, 1);
            d->found = true;
        }
    }
    if (!label[0]) {
        snprintf(label, sizeof label, "%s", d->name);
    }
    json_array_foreach(connections, i, f)
    {
        if (strcmp(pg_describe_string(f, "flow"), label) == 0) {
            pg_describe_head(d, "Connection");
            pg_describe_object(&d->out, f, 1);
            d->found = true;
        }
    }
    json_decref(flows);
    json_decref(connections);
    return status || !d->found ? status : add_records(d, label);
}
