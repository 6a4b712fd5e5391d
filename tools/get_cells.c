/* Cells of the tables of `get`: members of an item of JSON as kubectl prints them.
 *
 * A member that is missing or of another type counts as not there: an older or newer instance still gives a table. Everything from the API is
 * escaped by the grid. Called by get_rows_flows.c and get_rows_cluster.c. */
#include "get_cells.h"

#include "podglass/reason.h"

#include <inttypes.h>
#include <string.h>

/* ---- members ---- */

const char *pg_get_string(const json_t *item, const char *key)
{
    return json_string_value(json_object_get(item, key));
}

uint64_t pg_get_number(const json_t *item, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(item, key));

    return n > 0 ? (uint64_t)n : 0;
}

bool pg_get_has(const json_t *item, const char *key)
{
    const json_t *value = json_object_get(item, key);

    return value && !json_is_null(value);
}

/* ---- cells ---- */

void pg_get_add_endpoint(struct pg_text *t, const char *address, uint64_t port)
{
    bool v6 = address && strchr(address, ':');

    pg_text_printf(t, v6 && port ? "[%s]" : "%s", address ? address : "?");
    if (port) {
        pg_text_printf(t, ":%" PRIu64, port);
    }
}

void pg_cell_text(struct pg_grid *g, struct pg_text *t)
{
    pg_grid_cell(g, t->at);
    pg_text_free(t);
}

void pg_get_add_joined(struct pg_text *t, const json_t *array, const char *member)
{
    size_t i = 0;
    const json_t *value = NULL;

    json_array_foreach(array, i, value)
    {
        const char *text = member ? pg_get_string(value, member) : json_string_value(value);

        if (text) {
            pg_text_printf(t, "%s%s", t->len ? "," : "", text);
        }
    }
}

void pg_cell_joined(struct pg_grid *g, const json_t *item, const char *key)
{
    struct pg_text t = {0};

    pg_get_add_joined(&t, json_object_get(item, key), NULL);
    pg_cell_text(g, &t);
}

void pg_cell_number(struct pg_grid *g, const json_t *item, const char *key)
{
    if (pg_get_has(item, key)) {
        pg_grid_cellf(g, "%" PRIu64, pg_get_number(item, key));
    } else {
        pg_grid_cell(g, NULL);
    }
}

void pg_cell_yes(struct pg_grid *g, const json_t *item, const char *key)
{
    pg_grid_cell(g, json_is_true(json_object_get(item, key)) ? "true" : "false");
}

void pg_cell_duration(struct pg_grid *g, const json_t *item, const char *key)
{
    struct pg_text t = {0};

    pg_text_add_duration(&t, pg_get_number(item, key));
    pg_cell_text(g, &t);
}

void pg_cell_endpoint(struct pg_grid *g, const json_t *endpoint, const char *none)
{
    struct pg_text t = {0};

    if (json_is_object(endpoint) && !pg_get_string(endpoint, "address")) {
        pg_text_printf(&t, "any node:%" PRIu64, pg_get_number(endpoint, "port"));
    } else if (json_is_object(endpoint)) {
        pg_get_add_endpoint(&t, pg_get_string(endpoint, "address"),
                            pg_get_number(endpoint, "port"));
    } else {
        pg_text_puts(&t, none);
    }
    pg_cell_text(g, &t);
}

void pg_get_add_reason(struct pg_text *t, const json_t *reason, bool with_source)
{
    const char *code = pg_get_string(reason, "code");
    const char *source = with_source ? pg_get_string(reason, "source") : NULL;
    struct pg_reason r = {.code = PG_CODE_NONE,
                          .defaulted = json_is_true(json_object_get(reason, "defaulted")),
                          .object = pg_get_string(reason, "object"),
                          .field = pg_get_string(reason, "field"),
                          .value = pg_get_string(reason, "value"),
                          .file = source};
    char text[512];

    for (unsigned i = 0; code && i < PG_CODE_COUNT; i++) {
        if (strcmp(pg_code_name((enum pg_code)i), code) == 0) {
            r.code = (enum pg_code)i;
        }
    }
    pg_text_puts(t, pg_reason_print(pg_reason_intern(&r), text, sizeof text));
}
