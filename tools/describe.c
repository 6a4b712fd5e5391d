/* `podglass describe flow|service|endpoint|node|gateway|httproute NAME`: all that a running instance knows about one of them, on one page.
 *
 * Made of the same lists as `get`, joined by name: a service with its endpoints and translations, a flow with its connection and what is recorded of it, a node or an endpoint with
 * the flows it has. Members of an item are printed as they come, so nothing that a list knows is missing here; a setting shows its line, or that its default decided. */
#include "podglass/exchange.h"
#include "podglass/record_read.h"
#include "podglass/tools.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS_SHOWN 20

struct describe {
    struct pg_options options;
    struct pg_text socket;
    struct pg_text out;
    const char *name;
    bool found;
};

/* ---- asking ---- */

/* The items of a list; NULL after *ret_status was set. */
static json_t *ask(const struct describe *d, const char *type, int *ret_status)
{
    struct pg_text path = {0};
    struct pg_text body = {0};
    json_t *list = NULL;
    int http = 0;

    pg_text_printf(&path, "/v1/%s", type);
    int error = pg_api_get(d->socket.at, path.at, &http, &body);

    if (error) {
        *ret_status = pg_api_complain(PG_VERB_DESCRIBE, d->socket.at, error);
    } else if (http != 200) {
        *ret_status = pg_api_refused(PG_VERB_DESCRIBE, d->socket.at, http, &body);
    } else {
        json_t *answer = json_loadb(body.at ? body.at : "", body.len, 0, NULL);

        list = json_incref(json_object_get(answer, "items"));
        json_decref(answer);
        *ret_status = list ? 0 : PG_EXIT_DIFFERENT;
    }
    pg_text_free(&path);
    pg_text_free(&body);
    return list;
}

static const char *string_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

/* ---- printing whatever there is ---- */

static void add_escaped(struct pg_text *out, const char *text)
{
    pg_text_add_escaped(out, text, strlen(text));
}

/* "externalTrafficPolicy" as "External Traffic Policy" */
static void add_title(struct pg_text *out, const char *key)
{
    for (const char *c = key; *c; c++) {
        bool upper = *c >= 'A' && *c <= 'Z';
        bool after_lower = c > key && c[-1] >= 'a' && c[-1] <= 'z';

        if (upper && after_lower) {
            pg_text_putc(out, ' ');
        }
        pg_text_putc(out, c == key && *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
    }
}

static void add_scalar(struct pg_text *out, const json_t *v)
{
    if (json_is_string(v)) {
        add_escaped(out, json_string_value(v));
    } else if (json_is_integer(v)) {
        pg_text_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    } else if (json_is_boolean(v)) {
        pg_text_puts(out, json_is_true(v) ? "yes" : "no");
    } else {
        pg_text_puts(out, "<none>");
    }
}

/* {"value","defaulted","source"}: a setting; {"address","port"}: an endpoint; a reason. On one line. */
static bool add_known_object(struct pg_text *out, const json_t *o)
{
    if (json_object_get(o, "value") && json_object_get(o, "defaulted") &&
        !json_object_get(o, "code")) {
        add_scalar(out, json_object_get(o, "value"));
        if (json_is_true(json_object_get(o, "defaulted"))) {
            pg_text_puts(out, "  (default)");
        } else if (string_of(o, "source")[0]) {
            pg_text_puts(out, "  ");
            add_escaped(out, string_of(o, "source"));
        }
        return true;
    }
    if (json_object_size(o) == 2 && json_object_get(o, "address") && json_object_get(o, "port")) {
        add_scalar(out, json_object_get(o, "address"));
        if (json_is_integer(json_object_get(o, "port"))) {
            pg_text_putc(out, ':');
            add_scalar(out, json_object_get(o, "port"));
        }
        return true;
    }
    if (json_object_get(o, "code")) {
        static const char *const keys[] = {"object", "field", "value", "source", "code"};

        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            if (string_of(o, keys[i])[0]) {
                pg_text_puts(out, i ? "  " : "");
                add_escaped(out, string_of(o, keys[i]));
            }
        }
        return true;
    }
    return false;
}

static void add_object(struct pg_text *out, const json_t *o, int depth);

static void add_array(struct pg_text *out, const json_t *list, int depth)
{
    size_t i = 0;
    const json_t *v = NULL;

    if (json_array_size(list) == 0) {
        pg_text_puts(out, "<none>\n");
        return;
    }
    if (!json_is_object(json_array_get(list, 0))) {
        json_array_foreach(list, i, v)
        {
            pg_text_puts(out, i ? ", " : "");
            add_scalar(out, v);
        }
        pg_text_putc(out, '\n');
        return;
    }
    pg_text_putc(out, '\n');
    json_array_foreach(list, i, v)
    {
        pg_text_printf(out, "%*s-\n", 2 * depth + 2, "");
        add_object(out, v, depth + 2);
    }
}

static void add_object(struct pg_text *out, const json_t *o, int depth)
{
    const char *key = NULL;
    json_t *v = NULL;

    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        struct pg_text title = {0};

        add_title(&title, key);
        pg_text_putc(&title, ':');
        pg_text_printf(out, "%*s%-*s ", 2 * depth, "", 30 - 2 * depth, title.at);
        pg_text_free(&title);
        if (json_is_array(v)) {
            add_array(out, v, depth);
        } else if (!json_is_object(v)) {
            add_scalar(out, v);
            pg_text_putc(out, '\n');
        } else if (add_known_object(out, v)) {
            pg_text_putc(out, '\n');
        } else {
            pg_text_putc(out, '\n');
            add_object(out, v, depth + 1);
        }
    }
}

static void add_head(struct describe *d, const char *title)
{
    pg_text_printf(&d->out, "%s%s:\n", d->out.len ? "\n" : "", title);
}

/* ---- which ---- */

/* "shop/web", or "web" in any namespace */
static bool is_named(const json_t *item, const char *name)
{
    const char *namespace = string_of(item, "namespace");
    size_t len = strlen(namespace);
    const char *own = string_of(item, "name");

    if (strcmp(own, name) == 0) {
        return true;
    }
    return len && strncmp(name, namespace, len) == 0 && name[len] == '/' &&
           strcmp(name + len + 1, own) == 0;
}

static bool is_flow(const json_t *item, const char *name)
{
    char id[24];

    snprintf(id, sizeof id, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(item, "id")));
    return strcmp(string_of(item, "flow"), name) == 0 || strcmp(id, name) == 0;
}

/* One line of a flow. */
static void add_flow(struct pg_text *out, const json_t *f)
{
    const json_t *a = json_object_get(f, "original");
    const json_t *b = json_object_get(f, "reply");

    pg_text_printf(out, "  #%-10" JSON_INTEGER_FORMAT " %-5s %-12s ",
                   json_integer_value(json_object_get(f, "id")), string_of(f, "proto"),
                   string_of(f, "state"));
    for (int side = 0; side < 2; side++) {
        const json_t *t = side ? b : a;

        pg_text_printf(out, "%s:%" JSON_INTEGER_FORMAT ">%s:%" JSON_INTEGER_FORMAT "   ",
                       string_of(t, "src"), json_integer_value(json_object_get(t, "srcPort")),
                       string_of(t, "dst"), json_integer_value(json_object_get(t, "dstPort")));
    }
    pg_text_printf(out, "%s\n", string_of(f, "flow"));
}

/* Flows that `wanted` takes, a few of them, and how many there are. */
static int add_flows(struct describe *d, bool (*wanted)(const json_t *flow, const json_t *arg),
                     const json_t *arg)
{
    int status = 0;
    json_t *list = ask(d, "conntrack", &status);
    size_t count = 0;
    size_t i = 0;
    const json_t *f = NULL;

    if (!list) {
        return status;
    }
    add_head(d, "Flows");
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

static bool flow_of_service(const json_t *flow, const json_t *service)
{
    struct pg_text name = {0};

    pg_text_printf(&name, "%s/%s", string_of(service, "namespace"), string_of(service, "name"));
    bool same = strcmp(string_of(flow, "service"), name.at) == 0;

    pg_text_free(&name);
    return same;
}

static bool flow_of_endpoint(const json_t *flow, const json_t *e)
{
    const json_t *reply = json_object_get(flow, "reply");

    return strcmp(string_of(reply, "src"), string_of(e, "address")) == 0 &&
           json_integer_value(json_object_get(reply, "srcPort")) ==
               json_integer_value(json_object_get(e, "port"));
}

static bool flow_of_node(const json_t *flow, const json_t *node)
{
    return strcmp(string_of(flow, "node"), string_of(node, "name")) == 0;
}

/* ---- service, endpoint, node ---- */

static int add_translations(struct describe *d, const json_t *service)
{
    struct pg_text object = {0};
    int status = 0;
    json_t *list = ask(d, "nat", &status);
    size_t i = 0;
    const json_t *row = NULL;

    pg_text_printf(&object, "Service/%s/%s", string_of(service, "namespace"),
                   string_of(service, "name"));
    add_head(d, "Translations");
    json_array_foreach(list, i, row)
    {
        if (strcmp(string_of(json_object_get(row, "reason"), "object"), object.at) == 0) {
            pg_text_puts(&d->out, "  -\n");
            add_object(&d->out, row, 2);
        }
    }
    json_decref(list);
    pg_text_free(&object);
    return status;
}

static int describe_service(struct describe *d)
{
    int status = 0;
    json_t *list = ask(d, "services", &status);
    json_t *endpoints = list ? ask(d, "endpoints", &status) : NULL;
    size_t i = 0;
    const json_t *s = NULL;

    json_array_foreach(list, i, s)
    {
        if (!is_named(s, d->name) || status) {
            continue;
        }
        d->found = true;
        add_object(&d->out, s, 0);
        add_head(d, "Endpoints");
        const json_t *own = json_object_get(json_array_get(endpoints, i), "endpoints");

        add_array(&d->out, own, 0);
        status = add_translations(d, s);
        status = status ? status : add_flows(d, flow_of_service, s);
    }
    json_decref(list);
    json_decref(endpoints);
    return status;
}

/* By the name of its pod, its address, or both with a port. */
static bool is_endpoint(const json_t *e, const char *name)
{
    char text[64];

    snprintf(text, sizeof text, "%s:%" JSON_INTEGER_FORMAT, string_of(e, "address"),
             json_integer_value(json_object_get(e, "port")));
    return strcmp(string_of(e, "pod"), name) == 0 || strcmp(string_of(e, "address"), name) == 0 ||
           strcmp(text, name) == 0;
}

static int describe_endpoint(struct describe *d)
{
    int status = 0;
    json_t *list = ask(d, "endpoints", &status);
    size_t i = 0;
    const json_t *s = NULL;

    json_array_foreach(list, i, s)
    {
        size_t n = 0;
        const json_t *e = NULL;

        json_array_foreach(json_object_get(s, "endpoints"), n, e)
        {
            if (!is_endpoint(e, d->name) || status) {
                continue;
            }
            d->found = true;
            struct pg_text title = {0};

            pg_text_printf(&title, "Endpoint of %s/%s", string_of(s, "namespace"),
                           string_of(s, "name"));
            add_head(d, title.at);
            pg_text_free(&title);
            add_object(&d->out, e, 1);
            status = add_flows(d, flow_of_endpoint, e);
        }
    }
    json_decref(list);
    return status;
}

static int add_pods_of_node(struct describe *d, const json_t *node)
{
    int status = 0;
    json_t *list = ask(d, "endpoints", &status);
    size_t i = 0;
    size_t n = 0;
    const json_t *s = NULL;
    const json_t *e = NULL;

    add_head(d, "Endpoints");
    json_array_foreach(list, i, s)
    {
        json_array_foreach(json_object_get(s, "endpoints"), n, e)
        {
            if (strcmp(string_of(e, "node"), string_of(node, "name")) == 0) {
                pg_text_printf(&d->out, "  %s/%s  %s:%" JSON_INTEGER_FORMAT "  %s\n",
                               string_of(s, "namespace"), string_of(s, "name"),
                               string_of(e, "address"),
                               json_integer_value(json_object_get(e, "port")), string_of(e, "pod"));
            }
        }
    }
    json_decref(list);
    return status;
}

static int describe_node(struct describe *d)
{
    int status = 0;
    json_t *list = ask(d, "nodes", &status);
    size_t i = 0;
    const json_t *n = NULL;

    json_array_foreach(list, i, n)
    {
        if (!is_named(n, d->name) || status) {
            continue;
        }
        d->found = true;
        add_object(&d->out, n, 0);
        status = add_pods_of_node(d, n);
        status = status ? status : add_flows(d, flow_of_node, n);
    }
    json_decref(list);
    return status;
}

/* ---- Gateway API: the object with its conditions is all there is ---- */

static int describe_listed(struct describe *d, const char *type)
{
    int status = 0;
    json_t *list = ask(d, type, &status);
    size_t i = 0;
    const json_t *item = NULL;

    json_array_foreach(list, i, item)
    {
        if (is_named(item, d->name) && !status) {
            d->found = true;
            add_object(&d->out, item, 0);
        }
    }
    json_decref(list);
    return status;
}

static int describe_gateway(struct describe *d)
{
    return describe_listed(d, "gateways");
}

static int describe_http_route(struct describe *d)
{
    return describe_listed(d, "httproutes");
}

/* ---- flow ---- */

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
        pg_exchange_text(x, &names, false, w->out);
    }
}

static int add_records(struct describe *d, const char *label)
{
    struct wanted_label w = {.out = &d->out, .label = (uint32_t)strtoul(label, NULL, 16)};
    struct pg_exchanges *e = pg_exchanges_new(1024, on_exchange, &w);
    struct pg_text body = {0};
    struct pg_record r;
    int http = 0;
    int error = e ? pg_api_get(d->socket.at, "/v1/trace?limit=100000", &http, &body) : -1;

    add_head(d, "Recorded");
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

static int describe_flow(struct describe *d)
{
    char label[16] = "";
    int status = 0;
    json_t *flows = ask(d, "conntrack", &status);
    json_t *connections = flows ? ask(d, "connections", &status) : NULL;
    size_t i = 0;
    const json_t *f = NULL;

    json_array_foreach(flows, i, f)
    {
        if (is_flow(f, d->name)) {
            snprintf(label, sizeof label, "%s", string_of(f, "flow"));
            add_head(d, "Flow");
            add_object(&d->out, f, 1);
            d->found = true;
        }
    }
    if (!label[0]) {
        snprintf(label, sizeof label, "%s", d->name);
    }
    json_array_foreach(connections, i, f)
    {
        if (strcmp(string_of(f, "flow"), label) == 0) {
            add_head(d, "Connection");
            add_object(&d->out, f, 1);
            d->found = true;
        }
    }
    json_decref(flows);
    json_decref(connections);
    return status || !d->found ? status : add_records(d, label);
}

/* ---- the verb ---- */

static int play(struct describe *d)
{
    static const struct {
        const char *type;
        const char *brief;
        int (*describe)(struct describe *d);
    } types[] = {
        {"flow", "ct", describe_flow},         {"service", "svc", describe_service},
        {"endpoint", "ep", describe_endpoint}, {"node", "no", describe_node},
        {"gateway", "gtw", describe_gateway},  {"httproute", "httproutes", describe_http_route}};
    const char *type = d->options.arg[0];

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        size_t len = strlen(types[i].type);
        bool plural = strncmp(type, types[i].type, len) == 0 && strcmp(type + len, "s") == 0;

        if (strcmp(type, types[i].type) != 0 && strcmp(type, types[i].brief) != 0 && !plural) {
            continue;
        }
        int status = types[i].describe(d);

        if (status == 0 && !d->found) {
            pg_options_complain(PG_VERB_DESCRIBE, "%s \"%s\" not found", types[i].type, d->name);
            return PG_EXIT_DIFFERENT;
        }
        fwrite(d->out.at ? d->out.at : "", 1, d->out.len, stdout);
        return status;
    }
    return pg_options_complain(
        PG_VERB_DESCRIBE,
        "there is no type \"%s\"; there are flow, service, endpoint, node, gateway, httproute",
        type);
}

int pg_tool_describe(int argc, char **argv)
{
    struct describe d = {0};
    int status = pg_options_parse(PG_VERB_DESCRIBE, argc, argv, &d.options);

    if (status) {
        return status;
    }
    if (pg_options_has(&d.options, PG_FLAG_DESCRIBE_SOCKET)) {
        pg_text_puts(&d.socket, d.options.value[PG_FLAG_DESCRIBE_SOCKET]);
    } else {
        pg_api_default_socket(NULL, &d.socket);
    }
    status = pg_options_args(&d.options, 2, 2);
    if (status == 0) {
        d.name = d.options.arg[1];
        status = play(&d);
    }
    if (fflush(stdout) != 0 && status == 0) {
        status = PG_EXIT_DIFFERENT;
    }
    pg_text_free(&d.socket);
    pg_text_free(&d.out);
    pg_options_free(&d.options);
    pg_reason_forget_all();
    return status;
}
