/* Rows of what the ingress goes by: Ingresses, lines of routing, settings.
 *
 * A type is one function; the cells stand in the order of the heads in get_table.c. */
#include "get_cells.h"

#include <inttypes.h>
#include <string.h>

static void add_number(struct pg_text *t, const json_t *n)
{
    if (json_is_integer(n)) {
        pg_text_printf(t, "%s%" JSON_INTEGER_FORMAT, t->len ? "," : "", json_integer_value(n));
    }
}

void pg_row_ingresses(struct pg_grid *g, const json_t *ingress, bool wide)
{
    size_t i = 0;
    const json_t *port = NULL;
    struct pg_text t = {0};

    pg_grid_cell(g, pg_get_string(ingress, "namespace"));
    pg_grid_cell(g, pg_get_string(ingress, "name"));
    pg_grid_cell(g, pg_get_string(ingress, "class"));
    pg_cell_joined(g, ingress, "hosts");
    pg_cell_joined(g, ingress, "addresses");
    json_array_foreach(json_object_get(ingress, "ports"), i, port)
    {
        add_number(&t, port);
    }
    pg_cell_text(g, &t);
    if (wide) {
        pg_grid_cellf(g, "%zu", json_array_size(json_object_get(ingress, "routes")));
        pg_grid_cell(g, pg_get_string(ingress, "source"));
    }
}

/* "GET", "X-Beta: 1", "?page=2", "Cookie beta=always", with "~" before an expression. */
static void add_test(struct pg_text *t, const json_t *test)
{
    const char *kind = pg_get_string(test, "kind");
    const char *name = pg_get_string(test, "name");
    const char *value = pg_get_string(test, "value");
    const char *about = json_is_true(json_object_get(test, "regex")) ? "~" : "";

    pg_text_puts(t, t->len ? "," : "");
    if (kind && strcmp(kind, "header") == 0) {
        pg_text_printf(t, "%s:%s%s", name ? name : "?", about, value ? value : "");
    } else if (kind && strcmp(kind, "query") == 0) {
        pg_text_printf(t, "?%s=%s%s", name ? name : "?", about, value ? value : "");
    } else if (kind && strcmp(kind, "cookie") == 0) {
        pg_text_printf(t, "Cookie %s=%s%s", name ? name : "?", about, value ? value : "");
    } else {
        pg_text_puts(t, value ? value : "?");
    }
}

/* The last element of "metadata.annotations.nginx.ingress.kubernetes.io/rewrite-target" says enough. */
static void add_filter(struct pg_text *t, const json_t *filter)
{
    const char *field = pg_get_string(filter, "field");
    const char *value = pg_get_string(filter, "value");
    const char *slash = field ? strrchr(field, '/') : NULL;

    pg_text_printf(t, "%s%s=%s", t->len ? "," : "",
                   slash   ? slash + 1
                   : field ? field
                           : "?",
                   value ? value : "");
}

void pg_row_routes(struct pg_grid *g, const json_t *route, bool wide)
{
    size_t i = 0;
    const json_t *one = NULL;
    struct pg_text t = {0};

    pg_grid_cell(g, pg_get_string(route, "host") ? pg_get_string(route, "host") : "*");
    pg_grid_cell(g, pg_get_string(route, "path"));
    pg_grid_cell(g, pg_get_string(route, "pathType"));
    json_array_foreach(json_object_get(route, "tests"), i, one)
    {
        add_test(&t, one);
    }
    pg_cell_text(g, &t);
    pg_text_puts(&t, pg_get_string(route, "backend") ? pg_get_string(route, "backend") : "");
    if (pg_get_string(route, "refused")) {
        pg_text_printf(&t, " (%s)", pg_get_string(route, "refused"));
    } else if (!pg_get_string(route, "service")) {
        pg_text_puts(&t, " (not there)");
    }
    pg_cell_text(g, &t);
    pg_grid_cellf(g, "%" PRIu64 "/%" PRIu64, pg_get_number(route, "weight"),
                  pg_get_number(route, "weights"));
    pg_grid_cell(g, pg_get_string(route, "object"));
    if (wide) {
        json_array_foreach(json_object_get(route, "filters"), i, one)
        {
            add_filter(&t, one);
        }
        pg_cell_text(g, &t);
        pg_grid_cell(g, pg_get_string(route, "listener"));
        pg_grid_cell(g, pg_get_string(route, "source"));
    }
}

void pg_row_settings(struct pg_grid *g, const json_t *setting, bool wide)
{
    const char *object = pg_get_string(setting, "object");
    const char *source = pg_get_string(setting, "source");
    struct pg_text t = {0};

    (void)wide;
    pg_grid_cell(g, pg_get_string(setting, "name"));
    pg_grid_cell(g, pg_get_string(setting, "value"));
    if (json_is_true(json_object_get(setting, "defaulted"))) {
        pg_text_puts(&t, "default");
    } else {
        pg_text_printf(&t, "%s  %s", object ? object : "?", source ? source : "");
    }
    pg_cell_text(g, &t);
}
