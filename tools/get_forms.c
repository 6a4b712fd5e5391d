/* How `get` prints: tables, names, JSON, YAML, templates and columns of one's own, as kubectl has them.
 *
 *   -o jsonpath='{.items[*].name}'                    a template over the document that -o json prints
 *   -o custom-columns=NAME:.name,IP:.clusterIPs[0]    a table with these columns; "<none>" for what is not there
 *
 * Called by get.c and get_watch.c. Everything that strangers wrote is escaped. */
#include "get_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool pg_get_is_form(const struct pg_get *g, const char *form)
{
    return strcmp(g->form, form) == 0;
}

bool pg_get_is_lines(const struct pg_get *g)
{
    return pg_get_is_form(g, "conntrack") || pg_get_is_form(g, "extended") ||
           pg_get_is_form(g, "id") || pg_get_is_form(g, "xml") || pg_get_is_form(g, "count");
}

/* ---- what -o says ---- */

static int complain(const char *form, struct pg_text *why)
{
    pg_options_complain(PG_VERB_GET, "-o %s: %s", form, why->at ? why->at : "");
    pg_text_free(why);
    return PG_EXIT_USAGE;
}

/* HEAD:PATH. 0, or an exit status, said. */
static int read_column(const char *at, size_t len, struct pg_get_column *ret)
{
    struct pg_text why = {0};
    char *spec = strndup(at, len);
    char *colon = spec ? strchr(spec, ':') : NULL;

    if (!colon || colon == spec || !colon[1]) {
        pg_text_printf(&why, "\"%s\" is not HEAD:PATH", spec ? spec : "");
        free(spec);
        return complain("custom-columns", &why);
    }
    *colon = 0;
    ret->head = spec;
    ret->path = pg_jsonpath_parse_path(colon + 1, &why);
    if (!ret->path) {
        struct pg_text all = {0};

        pg_text_printf(&all, "column %s, %s", spec, why.at);
        pg_text_free(&why);
        return complain("custom-columns", &all);
    }
    return 0;
}

/* Behind the bracket or quote at `at`, where a comma divides nothing; or the end. */
static const char *behind(const char *at)
{
    char closes = *at == '[' ? ']' : *at;
    const char *end = strchr(at + 1, closes);

    return end ? end + 1 : at + strlen(at);
}

static int read_columns(struct pg_get *g, const char *spec)
{
    int status = 0;

    while (status == 0) {
        const char *end = spec;

        while (*end && *end != ',') {
            end = *end == '[' ? behind(end) : end + 1;
        }
        struct pg_get_column *more =
            realloc(g->columns, (g->column_count + 1) * sizeof *g->columns);

        if (!more) {
            return pg_options_complain(PG_VERB_GET, "out of memory");
        }
        g->columns = more;
        g->columns[g->column_count] = (struct pg_get_column){0};
        status = read_column(spec, (size_t)(end - spec), &g->columns[g->column_count++]);
        if (!*end) {
            return status;
        }
        spec = end + 1;
    }
    return status;
}

int pg_get_form(struct pg_get *g)
{
    static const char columns[] = "custom-columns=";
    static const char template[] = "jsonpath=";
    const char *form =
        pg_get_given(g, PG_FLAG_GET_OUTPUT) ? g->options.value[PG_FLAG_GET_OUTPUT] : "table";
    struct pg_text why = {0};

    g->form = form;
    if (strncmp(form, columns, sizeof columns - 1) == 0) {
        g->form = "custom-columns";
        return read_columns(g, form + sizeof columns - 1);
    }
    if (strncmp(form, template, sizeof template - 1) == 0) {
        g->form = "jsonpath";
        g->template = pg_jsonpath_parse(form + sizeof template - 1, &why);
        return g->template ? 0 : complain("jsonpath", &why);
    }
    return 0;
}

void pg_get_form_free(struct pg_get *g)
{
    pg_jsonpath_free(g->template);
    for (size_t i = 0; i < g->column_count; i++) {
        free(g->columns[i].head);
        pg_jsonpath_free(g->columns[i].path);
    }
    free(g->columns);
}

/* ---- printing ---- */

static void put_text(struct pg_text *out)
{
    fwrite(out->at ? out->at : "", 1, out->len, stdout);
    pg_text_free(out);
}

static void put_json(const json_t *value, size_t flags)
{
    json_dumpf(value, stdout, flags | JSON_ENSURE_ASCII); /* safe on any terminal */
    putchar('\n');
}

void pg_get_put_document(const struct pg_get *g, const json_t *document)
{
    struct pg_text out = {0};

    if (pg_get_is_form(g, "yaml")) {
        pg_get_render_yaml(document, &out);
    } else if (g->template) {
        pg_jsonpath_print(g->template, document, &out);
    } else {
        put_json(document, JSON_INDENT(2));
    }
    put_text(&out);
}

static void add_cell(struct pg_grid *grid, const struct pg_get_column *column, const json_t *item)
{
    json_t *found = pg_jsonpath_find(column->path, item);
    struct pg_text text = {0};
    size_t i = 0;
    const json_t *value = NULL;

    json_array_foreach(found, i, value)
    {
        pg_text_puts(&text, i ? "," : "");
        if (json_is_string(value)) { /* the grid escapes */
            pg_text_add(&text, json_string_value(value), json_string_length(value));
        } else if (!json_is_null(value)) {
            pg_jsonpath_add_value(&text, value);
        }
    }
    pg_grid_cell(grid, text.at);
    pg_text_free(&text);
    json_decref(found);
}

static void put_columns(const struct pg_get *g, const json_t *items, bool with_heads)
{
    const char **heads = calloc(g->column_count, sizeof *heads);
    struct pg_text out = {0};
    size_t i = 0;
    const json_t *item = NULL;

    for (size_t c = 0; heads && c < g->column_count; c++) {
        heads[c] = g->columns[c].head;
    }
    struct pg_grid *grid = heads ? pg_grid_new(heads, g->column_count) : NULL;

    json_array_foreach(items, i, item)
    {
        for (size_t c = 0; grid && c < g->column_count; c++) {
            add_cell(grid, &g->columns[c], item);
        }
    }
    if (grid) {
        pg_grid_print(grid, with_heads, &out);
        pg_grid_free(grid);
    }
    put_text(&out);
    free(heads);
}

void pg_get_put_items(const struct pg_get *g, enum pg_get_type type, const json_t *items,
                      bool with_heads)
{
    size_t i = 0;
    const json_t *item = NULL;
    struct pg_text out = {0};

    if (pg_get_is_form(g, "name")) {
        pg_get_names(type, items, &out);
        put_text(&out);
    } else if (pg_get_is_form(g, "table") || pg_get_is_form(g, "wide")) {
        pg_get_render(type, items, pg_get_is_form(g, "wide"), with_heads, &out);
        put_text(&out);
    } else if (g->columns) {
        put_columns(g, items, with_heads);
    } else if (pg_get_is_form(g, "jsonl")) {
        json_array_foreach(items, i, item)
        {
            put_json(item, JSON_COMPACT);
        }
    } else {
        json_array_foreach(items, i, item)
        {
            fputs(pg_get_is_form(g, "yaml") ? "---\n" : "", stdout);
            pg_get_put_document(g, item);
        }
    }
}
