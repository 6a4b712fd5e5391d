/* `podglass report`: what somebody who is asked for help wants to see first, as Markdown to paste.
 *
 * Version and command line, what the manifests came to with their policies and lines, findings, the last requests with their hops and verdicts, and every counter that is not zero. What could be
 * a secret is taken out: values of headers that carry credentials, and queries of targets. Everything else is escaped, since it ends up on somebody's page.
 *
 * Called by main; asks the control socket like any other reader. */
#include "podglass/exchange.h"
#include "podglass/record_read.h"
#include "podglass/secrets.h"
#include "podglass/tools.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_DEFAULT 5
#define LAST_MOST    200
#define PASS_US      250000u

struct report {
    struct pg_options options;
    struct pg_text socket;
    struct pg_text out;
    struct pg_name_list names;
    uint64_t last;
    uint64_t count;
    struct pg_text *kept;
};

static const char *string_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

/* A cell of a table. */
static void cell(struct pg_text *out, const char *text)
{
    pg_text_puts(out, " ");
    pg_text_add_markdown(out, text[0] ? text : "-");
    pg_text_puts(out, " |");
}

static void cell_number(struct pg_text *out, const json_t *n)
{
    pg_text_printf(out, " %" JSON_INTEGER_FORMAT " |", json_integer_value(n));
}

/* All texts of an array, or the "address" of its objects. */
static void cell_list(struct pg_text *out, const json_t *list)
{
    struct pg_text plain = {0};
    size_t i = 0;
    const json_t *v = NULL;

    json_array_foreach(list, i, v)
    {
        const char *text = json_is_string(v) ? json_string_value(v) : string_of(v, "address");

        pg_text_printf(&plain, "%s%s", i ? ", " : "", text);
    }
    cell(out, plain.at ? plain.at : "");
    pg_text_free(&plain);
}

/* "Cluster (default)", "Local shop.yaml:14" */
static void cell_setting(struct pg_text *out, const json_t *setting)
{
    struct pg_text plain = {0};

    pg_text_puts(&plain, string_of(setting, "value"));
    if (json_is_true(json_object_get(setting, "defaulted"))) {
        pg_text_puts(&plain, " (default)");
    } else {
        pg_text_printf(&plain, " %s", string_of(setting, "source"));
    }
    cell(out, plain.at);
    pg_text_free(&plain);
}

static void name_cell(struct pg_text *out, const json_t *item)
{
    struct pg_text plain = {0};

    pg_text_printf(&plain, "%s/%s", string_of(item, "namespace"), string_of(item, "name"));
    pg_text_puts(out, "|");
    cell(out, plain.at);
    pg_text_free(&plain);
}

/* ---- what there is ---- */

/* What it may do, by the kernel's account. */
static void process(struct report *r, const json_t *p)
{
    if (!json_is_object(p)) {
        return;
    }
    pg_text_puts(&r->out, "\n- runs with: ");
    pg_text_add_markdown(&r->out, string_of(p, "user"));
    pg_text_puts(&r->out, "; capabilities: ");
    pg_text_add_markdown(&r->out, string_of(p, "capabilities"));
    pg_text_puts(&r->out, "; system calls: ");
    pg_text_add_markdown(&r->out, string_of(p, "systemCalls"));
    pg_text_printf(&r->out, "; core dumps: %s",
                   json_is_true(json_object_get(p, "dumpable")) ? "allowed" : "none");
}

static int about(struct report *r)
{
    int status = 0;
    json_t *a = pg_api_ask(PG_VERB_REPORT, r->socket.at, "/v1/about", &status);
    size_t i = 0;
    const json_t *finding = NULL;

    if (!a) {
        return status;
    }
    pg_text_puts(&r->out, "# podglass report\n\n- version: ");
    pg_text_add_markdown(&r->out, string_of(a, "version"));
    pg_text_puts(&r->out, "\n- started as: ");
    pg_text_add_markdown(&r->out, string_of(a, "commandLine"));
    process(r, json_object_get(a, "process"));
    pg_text_puts(&r->out, "\n\n## Findings\n\n");
    json_array_foreach(json_object_get(a, "findings"), i, finding)
    {
        pg_text_puts(&r->out, "- ");
        pg_text_add_markdown(&r->out, json_string_value(finding));
        pg_text_puts(&r->out, "\n");
    }
    if (i == 0) {
        pg_text_puts(&r->out, "none\n");
    }
    json_decref(a);
    return 0;
}

static int nodes(struct report *r)
{
    int status = 0;
    json_t *list = pg_api_ask(PG_VERB_REPORT, r->socket.at, "/v1/nodes", &status);
    size_t i = 0;
    const json_t *n = NULL;

    pg_text_puts(&r->out,
                 "\n## Nodes\n\n| name | addresses | pods | how many |\n|---|---|---|---:|\n");
    json_array_foreach(json_object_get(list, "items"), i, n)
    {
        pg_text_puts(&r->out, "|");
        cell(&r->out, string_of(n, "name"));
        cell_list(&r->out, json_object_get(n, "addresses"));
        cell_list(&r->out, json_object_get(n, "podCIDRs"));
        cell_number(&r->out, json_object_get(n, "pods"));
        pg_text_puts(&r->out, "\n");
    }
    json_decref(list);
    return status;
}

static int services(struct report *r)
{
    int status = 0;
    json_t *list = pg_api_ask(PG_VERB_REPORT, r->socket.at, "/v1/services", &status);
    size_t i = 0;
    const json_t *s = NULL;

    pg_text_puts(&r->out,
                 "\n## Services\n\n| name | type | cluster IPs | balancer | external policy "
                 "| internal policy | endpoints | ready |\n|---|---|---|---|---|---|---:|---:|\n");
    json_array_foreach(json_object_get(list, "items"), i, s)
    {
        name_cell(&r->out, s);
        cell_setting(&r->out, json_object_get(s, "type"));
        cell_list(&r->out, json_object_get(s, "clusterIPs"));
        cell_list(&r->out, json_object_get(s, "loadBalancerIPs"));
        cell_setting(&r->out, json_object_get(s, "externalTrafficPolicy"));
        cell_setting(&r->out, json_object_get(s, "internalTrafficPolicy"));
        cell_number(&r->out, json_object_get(s, "endpoints"));
        cell_number(&r->out, json_object_get(s, "readyEndpoints"));
        pg_text_puts(&r->out, "\n");
    }
    json_decref(list);
    return status;
}

static int endpoints(struct report *r)
{
    int status = 0;
    json_t *list = pg_api_ask(PG_VERB_REPORT, r->socket.at, "/v1/endpoints", &status);
    size_t i = 0;
    size_t k = 0;
    const json_t *s = NULL;
    const json_t *e = NULL;

    pg_text_puts(&r->out,
                 "\n## Endpoints\n\n| service | address | port | pod | node | ready | uses "
                 "|\n|---|---|---:|---|---|---|---:|\n");
    json_array_foreach(json_object_get(list, "items"), i, s)
    {
        json_array_foreach(json_object_get(s, "endpoints"), k, e)
        {
            name_cell(&r->out, s);
            cell(&r->out, string_of(e, "address"));
            cell_number(&r->out, json_object_get(e, "port"));
            cell(&r->out, string_of(e, "pod"));
            cell(&r->out, string_of(e, "node"));
            cell(&r->out, json_is_true(json_object_get(e, "ready")) ? "yes" : "no");
            cell_number(&r->out, json_object_get(e, "hits"));
            pg_text_puts(&r->out, "\n");
        }
    }
    json_decref(list);
    return status;
}

static void numbers(struct report *r, json_t *list, const char *prefix)
{
    const char *key = NULL;
    json_t *n = NULL;

    json_object_foreach(list, key, n)
    {
        if (json_integer_value(n) != 0) {
            pg_text_puts(&r->out, "|");
            cell(&r->out, prefix);
            cell(&r->out, key);
            cell_number(&r->out, n);
            pg_text_puts(&r->out, "\n");
        }
    }
}

static int counters(struct report *r)
{
    int status = 0;
    json_t *c = pg_api_ask(PG_VERB_REPORT, r->socket.at, "/v1/counters", &status);
    const char *key = NULL;
    json_t *pool = NULL;

    pg_text_puts(&r->out,
                 "\n## Counters that are not zero\n\n| | name | value |\n|---|---|---:|\n");
    numbers(r, json_object_get(c, "counters"), "counter");
    numbers(r, json_object_get(c, "drops"), "drop");
    json_object_foreach(json_object_get(c, "pools"), key, pool)
    {
        pg_text_puts(&r->out, "| pool |");
        cell(&r->out, key);
        cell_number(&r->out, json_object_get(pool, "used"));
        pg_text_puts(&r->out, "\n");
    }
    json_decref(c);
    return status;
}

/* ---- the last requests ---- */

static void on_exchange(void *arg, const struct pg_exchange *x)
{
    struct report *r = arg;
    struct pg_names names = pg_name_list_names(&r->names);
    struct pg_text *slot = &r->kept[r->count++ % r->last];

    pg_text_free(slot);
    pg_exchange_markdown(x, &names, slot);
}

static int requests(struct report *r)
{
    struct pg_exchanges *e = pg_exchanges_new(4096, on_exchange, r);
    struct pg_text body = {0};
    struct pg_record record;
    uint64_t passed_us = 0;
    int http = 0;
    int error = pg_api_get(r->socket.at, "/v1/trace?limit=100000", &http, &body);

    for (const char *at = body.at; e && error == 0 && at && *at;) {
        size_t len = strcspn(at, "\n");

        if (pg_record_read_line(at, len, &record, &r->names) == PG_LINE_RECORD) {
            pg_record_hide(&record, true);
            if (record.time_us > passed_us + PASS_US) { /* in the order of time */
                passed_us = record.time_us;
                pg_exchanges_pass(e, passed_us);
            }
            pg_exchanges_feed(e, &record);
        }
        at += len + (at[len] != 0);
    }
    if (e) {
        pg_exchanges_flush(e);
    }
    pg_text_puts(&r->out, "\n## The last requests and flows\n\n");
    if (r->count == 0) {
        pg_text_puts(&r->out, "none was recorded: records are written while somebody watches, with "
                              "run --record always\n");
    }
    for (uint64_t n = r->count > r->last ? r->count - r->last : 0; n < r->count; n++) {
        const struct pg_text *one = &r->kept[n % r->last];

        pg_text_add(&r->out, one->at ? one->at : "", one->len);
    }
    pg_exchanges_free(e);
    pg_text_free(&body);
    return error ? pg_api_complain(PG_VERB_REPORT, r->socket.at, error) : 0;
}

/* ---- the verb ---- */

static int write_all(struct report *r)
{
    static int (*const parts[])(struct report *) = {about,     nodes,    services,
                                                    endpoints, requests, counters};
    int status = 0;

    for (size_t i = 0; status == 0 && i < sizeof parts / sizeof parts[0]; i++) {
        status = parts[i](r);
    }
    if (status == 0) {
        fwrite(r->out.at, 1, r->out.len, stdout);
    }
    return status;
}

int pg_tool_report(int argc, char **argv)
{
    struct report r = {.last = LAST_DEFAULT};
    int status = pg_options_parse(PG_VERB_REPORT, argc, argv, &r.options);

    if (status) {
        return status;
    }
    status = pg_options_args(&r.options, 0, 0);
    status =
        status ? status : pg_options_number(&r.options, PG_FLAG_REPORT_LAST, 1, LAST_MOST, &r.last);
    if (pg_options_has(&r.options, PG_FLAG_REPORT_SOCKET)) {
        pg_text_puts(&r.socket, r.options.value[PG_FLAG_REPORT_SOCKET]);
    } else {
        pg_api_default_socket(NULL, &r.socket);
    }
    r.kept = calloc(LAST_MOST, sizeof *r.kept);
    if (status == 0 && r.kept) {
        status = write_all(&r);
    }
    if (fflush(stdout) != 0 && status == 0) {
        status = PG_EXIT_DIFFERENT;
    }
    for (size_t n = 0; r.kept && n < LAST_MOST; n++) {
        pg_text_free(&r.kept[n]);
    }
    free(r.kept);
    pg_name_list_free(&r.names);
    pg_text_free(&r.socket);
    pg_text_free(&r.out);
    pg_options_free(&r.options);
    pg_reason_forget_all();
    return status;
}
