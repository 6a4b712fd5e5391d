/* Which items of a list are meant: `get ct 1042`, `get svc shop/web`, `get conn c7f1`.
 *
 * Pure: JSON in, JSON out. --field-selector asks for members of any kind. A flow goes by its id or its label, a client connection by its label or by the id of either of
 * its flows, a translation by the service it belongs to, a record of the DNS by the name asked for or its service, an object by "namespace/name" or by its name in any namespace. Several items
 * may have one name (a label joins all flows of a request).
 *
 * Called by get.c. Counters are no list in the API; here they become one, so that they can be a table too. */
#include "get_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *string_of(const json_t *item, const char *key)
{
    return json_string_value(json_object_get(item, key));
}

static bool is_text(const json_t *item, const char *key, const char *name)
{
    const char *text = string_of(item, key);

    return text && strcmp(text, name) == 0;
}

static bool is_number(const json_t *item, const char *key, const char *name)
{
    const json_t *n = json_object_get(item, key);
    char text[24];

    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(n));
    return json_is_integer(n) && strcmp(text, name) == 0;
}

/* "shop/web", or "web" in any namespace. */
static bool is_called(const json_t *item, const char *name)
{
    const char *namespace = string_of(item, "namespace");
    const char *slash = strchr(name, '/');

    if (!slash) {
        return is_text(item, "name", name);
    }
    return namespace && strlen(namespace) == (size_t)(slash - name) &&
           strncmp(namespace, name, (size_t)(slash - name)) == 0 &&
           is_text(item, "name", slash + 1);
}

/* The object is "Service/shop/web"; the part behind the kind is a name as well. */
static bool is_object_of(const json_t *item, const char *name)
{
    const char *object = string_of(item, "object");
    const char *slash = object ? strchr(object, '/') : NULL;

    return object && (strcmp(object, name) == 0 || (slash && strcmp(slash + 1, name) == 0));
}

/* In any spelling, with or without the final dot. */
static bool is_dns_name(const json_t *item, const char *name)
{
    const char *question = string_of(item, "question");
    size_t len = strlen(name);

    len -= len > 0 && name[len - 1] == '.';
    return question && strncasecmp(name, question, len) == 0 && strcmp(question + len, ".") == 0;
}

static bool is_named(enum pg_get_type type, const json_t *item, const char *name)
{
    switch (type) {
    case PG_GET_CONNTRACK: return is_number(item, "id", name) || is_text(item, "flow", name);
    case PG_GET_CONNECTIONS:
        return is_text(item, "flow", name) || is_number(item, "conntrackClient", name) ||
               is_number(item, "conntrackUpstream", name);
    case PG_GET_NAT: return is_object_of(json_object_get(item, "reason"), name);
    case PG_GET_AFFINITY: return is_text(item, "client", name) || is_text(item, "service", name);
    case PG_GET_TRAFFIC: return is_text(item, "service", name) || is_text(item, "host", name);
    case PG_GET_ROUTES: return is_text(item, "host", name) || is_object_of(item, name);
    case PG_GET_DNS:
        return is_dns_name(item, name) || is_object_of(json_object_get(item, "reason"), name);
    case PG_GET_SERVICES:
    case PG_GET_PODS:
    case PG_GET_INGRESSES:
    case PG_GET_GATEWAYS:
    case PG_GET_HTTPROUTES:
    case PG_GET_ENDPOINTS: return is_called(item, name);
    case PG_GET_SETTINGS:
    case PG_GET_NODES:
    case PG_GET_COUNTERS:
    case PG_GET_TYPE_COUNT:
    default: return is_text(item, "name", name);
    }
}

/* "shop/web" and "Ingress/shop/web" are in shop. */
static bool begins_with(const char *text, const char *namespace)
{
    size_t len = strlen(namespace);

    return text && strncmp(text, namespace, len) == 0 && text[len] == '/';
}

/* By its own namespace, that of its service, or that of the object it is of. */
static bool is_in(const json_t *item, const char *namespace)
{
    const char *own = string_of(item, "namespace");
    const char *object = string_of(json_object_get(item, "reason"), "object");

    object = object ? object : string_of(item, "object");
    if (own) {
        return strcmp(own, namespace) == 0;
    }
    object = object ? strchr(object, '/') : NULL;
    return begins_with(string_of(item, "service"), namespace) ||
           begins_with(object ? object + 1 : NULL, namespace);
}

/* {"drops":{"short":3}} as [{kind: drop, name: short, value: 3}]. */
static void add_counters(json_t *items, const json_t *values, const char *kind, bool zeros)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)values, name, value)
    {
        json_t *n = json_is_object(value) ? json_object_get(value, "used") : value;

        if (zeros || json_integer_value(n) != 0) {
            json_array_append_new(
                items, json_pack("{s:s, s:s, s:O}", "kind", kind, "name", name, "value", n));
        }
    }
}

json_t *pg_get_select(enum pg_get_type type, const json_t *answer, const char *name,
                      const char *namespace)
{
    json_t *all =
        type == PG_GET_COUNTERS ? json_array() : json_incref(json_object_get(answer, "items"));
    json_t *items = json_array();
    size_t i = 0;
    json_t *item = NULL;

    if (type == PG_GET_COUNTERS) {
        add_counters(all, json_object_get(answer, "counters"), "counter", true);
        add_counters(all, json_object_get(answer, "drops"), "drop", name != NULL);
        add_counters(all, json_object_get(answer, "pools"), "pool", true);
    }
    json_array_foreach(all, i, item)
    {
        if ((!name || is_named(type, item, name)) && (!namespace || is_in(item, namespace))) {
            json_array_append(items, item);
        }
    }
    json_decref(all);
    return items;
}

/* ---- by members ---- */

/* Members that kubectl calls otherwise. */
static const char *own_name(const char *path)
{
    static const char *const names[][2] = {
        {"metadata.name", "name"}, {"metadata.namespace", "namespace"}, {"spec.nodeName", "node"}};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(path, names[i][0]) == 0) {
            return names[i][1];
        }
    }
    return path;
}

static bool value_is(const json_t *found, const char *wanted)
{
    size_t i = 0;
    const json_t *value = NULL;
    bool is = false;

    json_array_foreach(found, i, value)
    {
        struct pg_text text = {0};

        if (json_is_string(value)) {
            pg_text_puts(&text, json_string_value(value));
        } else if (!json_is_null(value)) {
            pg_jsonpath_add_value(&text, value);
        }
        is = is || strcmp(text.at ? text.at : "", wanted) == 0;
        pg_text_free(&text);
    }
    return is || (!*wanted && json_array_size(found) == 0);
}

/* Takes those away that are not as wanted. false: no item has such a member. */
static bool keep_those(json_t *items, const struct pg_jsonpath *path, const char *wanted,
                       bool equal)
{
    bool known = json_array_size(items) == 0;

    for (size_t i = json_array_size(items); i-- > 0;) {
        json_t *found = pg_jsonpath_find(path, json_array_get(items, i));

        known = known || json_array_size(found) > 0;
        if (value_is(found, wanted) != equal) {
            json_array_remove(items, i);
        }
        json_decref(found);
    }
    return known;
}

/* One term: member=value, member==value, member!=value. 0, or an exit status, said. */
static int keep_by(json_t *items, char *term)
{
    char *sign = strchr(term, '=');
    struct pg_text why = {0};

    if (!sign || sign == term) {
        return pg_options_complain(PG_VERB_GET, "--field-selector: \"%s\" is not MEMBER=VALUE",
                                   term);
    }
    bool equal = sign[-1] != '!';
    const char *wanted = sign + 1 + (equal && sign[1] == '=');

    sign[equal ? 0 : -1] = 0;
    struct pg_jsonpath *path = pg_jsonpath_parse_path(own_name(term), &why);

    if (!path) {
        pg_options_complain(PG_VERB_GET, "--field-selector: %s, %s", term, why.at);
        pg_text_free(&why);
        return PG_EXIT_USAGE;
    }
    bool known = keep_those(items, path, wanted, equal);

    pg_jsonpath_free(path);
    return known ? 0
                 : pg_options_complain(PG_VERB_GET,
                                       "--field-selector: no item has %s (see -o json)", term);
}

int pg_get_field_select(json_t *items, const char *selector)
{
    char *terms = strdup(selector);
    char *rest = NULL;
    int status = 0;

    for (char *term = terms ? strtok_r(terms, ",", &rest) : NULL; term && status == 0;
         term = strtok_r(NULL, ",", &rest)) {
        status = keep_by(items, term);
    }
    free(terms);
    return status;
}

void pg_get_names(enum pg_get_type type, const json_t *items, struct pg_text *out)
{
    size_t i = 0;
    const json_t *item = NULL;

    json_array_foreach(items, i, item)
    {
        static const char *const keys[] = {"name", "flow", "service", "host", "client"};
        const char *namespace = string_of(item, "namespace");
        const json_t *id = json_object_get(item, "id");
        const char *text = NULL;

        for (size_t k = 0; !text && k < sizeof keys / sizeof keys[0]; k++) {
            text = string_of(item, keys[k]);
        }
        pg_text_printf(out, "%s/", pg_type_rows[type].name);
        if (json_is_integer(id)) {
            pg_text_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(id));
        } else {
            if (namespace) {
                pg_text_add_escaped(out, namespace, strlen(namespace));
                pg_text_putc(out, '/');
            }
            pg_text_add_escaped(out, text ? text : "", text ? strlen(text) : 0);
        }
        pg_text_putc(out, '\n');
    }
}
