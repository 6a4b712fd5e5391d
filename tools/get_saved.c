/* Lists that were saved: `podglass get conntrack -o json > F`, and later `podglass get conntrack -f F`.
 *
 * What -o json printed is a list, what -o jsonl printed one item after the other; both give what the control API would have. Called by get.c. */
#include "get_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

const char *pg_get_kind_of_list(enum pg_get_type type)
{
    static const char *const kinds[PG_GET_TYPE_COUNT] = {
        [PG_GET_CONNTRACK] = "ConntrackList",
        [PG_GET_NAT] = "TranslationList",
        [PG_GET_AFFINITY] = "AffinityList",
        [PG_GET_CONNECTIONS] = "ConnectionList",
        [PG_GET_SERVICES] = "ServiceList",
        [PG_GET_ENDPOINTS] = "EndpointsList",
        [PG_GET_NODES] = "NodeList",
        [PG_GET_COUNTERS] = "Counters",
        [PG_GET_PODS] = "PodList",
        [PG_GET_INGRESSES] = "IngressList",
        [PG_GET_ROUTES] = "RouteList",
        [PG_GET_SETTINGS] = "SettingList",
        [PG_GET_TRAFFIC] = "TrafficList",
        [PG_GET_GATEWAYS] = "GatewayList",
        [PG_GET_HTTPROUTES] = "HTTPRouteList",
        [PG_GET_DNS] = "DNSRecordList",
    };

    return kinds[type];
}

struct pg_slice pg_get_kind_of_item(enum pg_get_type type)
{
    struct pg_slice kind = pg_slice_of(pg_get_kind_of_list(type));

    kind.len -= kind.len > 4 && strcmp(kind.at + kind.len - 4, "List") == 0 ? 4 : 0;
    return kind;
}

/* Counters are no list: their items go back to where pg_get_select takes them from. */
static json_t *counters_of(json_t *items)
{
    static const char *const kinds[][2] = {
        {"counter", "counters"}, {"drop", "drops"}, {"pool", "pools"}};
    json_t *all = json_object();
    size_t i = 0;
    json_t *item = NULL;

    for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
        json_object_set_new(all, kinds[k][1], json_object());
    }
    json_array_foreach(items, i, item)
    {
        const char *kind = json_string_value(json_object_get(item, "kind"));
        const char *name = json_string_value(json_object_get(item, "name"));

        for (size_t k = 0; name && kind && k < sizeof kinds / sizeof kinds[0]; k++) {
            if (strcmp(kind, kinds[k][0]) == 0) {
                json_object_set(json_object_get(all, kinds[k][1]), name,
                                json_object_get(item, "value"));
            }
        }
    }
    json_decref(items);
    return all;
}

static int skip_blanks(FILE *f)
{
    int c = getc(f);

    while (c == ' ' || c == '\n' || c == '\r' || c == '\t') {
        c = getc(f);
    }
    return c;
}

/* One list, or one item after the other: then a list of them. NULL: *ret_error says why. */
static json_t *read_values(enum pg_get_type type, FILE *f, json_error_t *ret_error)
{
    json_t *items = json_array();
    json_t *value = NULL;
    int c = skip_blanks(f);

    while (c != EOF) {
        ungetc(c, f);
        value = json_loadf(f, JSON_DISABLE_EOF_CHECK, ret_error);
        if (!value) {
            json_decref(items);
            return NULL;
        }
        if (json_object_get(value, "apiVersion")) {
            json_decref(items);
            return value;
        }
        json_array_append_new(items, value);
        c = skip_blanks(f);
    }
    return type == PG_GET_COUNTERS ? counters_of(items) : json_pack("{s:o}", "items", items);
}

int pg_get_read_saved(enum pg_get_type type, const char *path, json_t **ret)
{
    bool is_stdin = strcmp(path, "-") == 0;
    FILE *f = is_stdin ? stdin : fopen(path, "r");
    json_error_t error = {.line = 0};

    if (!f) {
        pg_options_complain(PG_VERB_GET, "%s: %s", path, strerror(errno));
        return PG_EXIT_DIFFERENT;
    }
    json_t *list = read_values(type, f, &error);

    if (!is_stdin) {
        fclose(f);
    }
    if (!json_is_object(list)) {
        pg_options_complain(PG_VERB_GET, "%s: line %d: %s", path, error.line,
                            list ? "no list" : error.text);
        json_decref(list);
        return PG_EXIT_DIFFERENT;
    }
    const char *kind = json_string_value(json_object_get(list, "kind"));

    if (kind && strcmp(kind, pg_get_kind_of_list(type)) != 0) {
        pg_options_complain(PG_VERB_GET, "%s is a %s, not a %s", path, kind,
                            pg_get_kind_of_list(type));
        json_decref(list);
        return PG_EXIT_DIFFERENT;
    }
    *ret = list;
    return 0;
}
