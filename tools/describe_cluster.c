/* `describe service`, `endpoint`, `node`, `ingress`, `gateway` and `httproute`: what stands, with the flows it has.
 *
 * Made of the same lists as `get`, joined by name. */
#include "describe_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- which ---- */

/* "shop/web", or "web" in any namespace */
static bool is_named(const json_t *item, const char *name)
{
    const char *namespace = pg_describe_string(item, "namespace");
    size_t len = strlen(namespace);
    const char *own = pg_describe_string(item, "name");

    if (strcmp(own, name) == 0) {
        return true;
    }
    return len && strncmp(name, namespace, len) == 0 && name[len] == '/' &&
           strcmp(name + len + 1, own) == 0;
}

static bool flow_of_service(const json_t *flow, const json_t *service)
{
    struct pg_text name = {0};

    pg_text_printf(&name, "%s/%s", pg_describe_string(service, "namespace"),
                   pg_describe_string(service, "name"));
    bool same = strcmp(pg_describe_string(flow, "service"), name.at) == 0;

    pg_text_free(&name);
    return same;
}

static bool flow_of_endpoint(const json_t *flow, const json_t *e)
{
    const json_t *reply = json_object_get(flow, "reply");

    return strcmp(pg_describe_string(reply, "src"), pg_describe_string(e, "address")) == 0 &&
           json_integer_value(json_object_get(reply, "srcPort")) ==
               json_integer_value(json_object_get(e, "port"));
}

static bool flow_of_node(const json_t *flow, const json_t *node)
{
    return strcmp(pg_describe_string(flow, "node"), pg_describe_string(node, "name")) == 0;
}

/* ---- service, endpoint, node ---- */

static int add_translations(struct pg_describe *d, const json_t *service)
{
    struct pg_text object = {0};
    int status = 0;
    json_t *list = pg_describe_ask(d, "nat", &status);
    size_t i = 0;
    const json_t *row = NULL;

    pg_text_printf(&object, "Service/%s/%s", pg_describe_string(service, "namespace"),
                   pg_describe_string(service, "name"));
    pg_describe_head(d, "Translations");
    json_array_foreach(list, i, row)
    {
        if (strcmp(pg_describe_string(json_object_get(row, "reason"), "object"), object.at) == 0) {
            pg_text_puts(&d->out, "  -\n");
            pg_describe_object(&d->out, row, 2);
        }
    }
    json_decref(list);
    pg_text_free(&object);
    return status;
}

int pg_describe_service(struct pg_describe *d)
{
    int status = 0;
    json_t *list = pg_describe_ask(d, "services", &status);
    json_t *endpoints = list ? pg_describe_ask(d, "endpoints", &status) : NULL;
    size_t i = 0;
    const json_t *s = NULL;

    json_array_foreach(list, i, s)
    {
        if (!is_named(s, d->name) || status) {
            continue;
        }
        d->found = true;
        pg_describe_object(&d->out, s, 0);
        pg_describe_head(d, "Endpoints");
        const json_t *own = json_object_get(json_array_get(endpoints, i), "endpoints");

        pg_describe_array(&d->out, own, 0);
        status = add_translations(d, s);
        status = status ? status : pg_describe_flows(d, flow_of_service, s);
    }
    json_decref(list);
    json_decref(endpoints);
    return status;
}

/* By the name of its pod, its address, or both with a port. */
static bool is_endpoint(const json_t *e, const char *name)
{
    char text[64];

    snprintf(text, sizeof text, "%s:%" JSON_INTEGER_FORMAT, pg_describe_string(e, "address"),
             json_integer_value(json_object_get(e, "port")));
    return strcmp(pg_describe_string(e, "pod"), name) == 0 ||
           strcmp(pg_describe_string(e, "address"), name) == 0 || strcmp(text, name) == 0;
}

int pg_describe_endpoint(struct pg_describe *d)
{
    int status = 0;
    json_t *list = pg_describe_ask(d, "endpoints", &status);
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

            pg_text_printf(&title, "Endpoint of %s/%s", pg_describe_string(s, "namespace"),
                           pg_describe_string(s, "name"));
            pg_describe_head(d, title.at);
            pg_text_free(&title);
            pg_describe_object(&d->out, e, 1);
            status = pg_describe_flows(d, flow_of_endpoint, e);
        }
    }
    json_decref(list);
    return status;
}

static int add_pods_of_node(struct pg_describe *d, const json_t *node)
{
    int status = 0;
    json_t *list = pg_describe_ask(d, "endpoints", &status);
    size_t i = 0;
    size_t n = 0;
    const json_t *s = NULL;
    const json_t *e = NULL;

    pg_describe_head(d, "Endpoints");
    json_array_foreach(list, i, s)
    {
        json_array_foreach(json_object_get(s, "endpoints"), n, e)
        {
            if (strcmp(pg_describe_string(e, "node"), pg_describe_string(node, "name")) == 0) {
                pg_text_printf(&d->out, "  %s/%s  %s:%" JSON_INTEGER_FORMAT "  %s\n",
                               pg_describe_string(s, "namespace"), pg_describe_string(s, "name"),
                               pg_describe_string(e, "address"),
                               json_integer_value(json_object_get(e, "port")),
                               pg_describe_string(e, "pod"));
            }
        }
    }
    json_decref(list);
    return status;
}

int pg_describe_node(struct pg_describe *d)
{
    int status = 0;
    json_t *list = pg_describe_ask(d, "nodes", &status);
    size_t i = 0;
    const json_t *n = NULL;

    json_array_foreach(list, i, n)
    {
        if (!is_named(n, d->name) || status) {
            continue;
        }
        d->found = true;
        pg_describe_object(&d->out, n, 0);
        status = add_pods_of_node(d, n);
        status = status ? status : pg_describe_flows(d, flow_of_node, n);
    }
    json_decref(list);
    return status;
}

/* ---- Gateway API: the object with its conditions is all there is ---- */

static int describe_listed(struct pg_describe *d, const char *type)
{
    int status = 0;
    json_t *list = pg_describe_ask(d, type, &status);
    size_t i = 0;
    const json_t *item = NULL;

    json_array_foreach(list, i, item)
    {
        if (is_named(item, d->name) && !status) {
            d->found = true;
            pg_describe_object(&d->out, item, 0);
        }
    }
    json_decref(list);
    return status;
}

int pg_describe_gateway(struct pg_describe *d)
{
    return describe_listed(d, "gateways");
}

int pg_describe_http_route(struct pg_describe *d)
{
    return describe_listed(d, "httproutes");
}

/* ---- Ingress: its routes, and how the ingress as a whole behaves ---- */

static int add_settings(struct pg_describe *d)
{
    int status = 0;
    json_t *list = pg_describe_ask(d, "settings", &status);
    size_t i = 0;
    const json_t *s = NULL;

    pg_describe_head(d, "Settings of the ingress");
    json_array_foreach(list, i, s)
    {
        pg_describe_setting(&d->out, s);
    }
    json_decref(list);
    return status;
}

int pg_describe_ingress(struct pg_describe *d)
{
    int status = describe_listed(d, "ingresses");

    return status || !d->found ? status : add_settings(d);
}
