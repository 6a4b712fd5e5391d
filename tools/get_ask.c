/* Lists of a running instance, or of a file, and which of their items are meant. Called by get.c and get_watch.c.
 *
 * A selector of labels is not among the flags: labels choose pods when manifests are loaded, and what is shown is what came of that. Every member of an item can choose instead. */
#include "get_internal.h"

int pg_get_ask(const struct pg_get *g, enum pg_get_type type, const char *query,
               struct pg_text *ret_body)
{
    struct pg_text path = {0};
    int status = 0;

    pg_text_printf(&path, "/v1/%s%s", pg_type_rows[type].name, query);
    int error = pg_api_get(g->socket.at, path.at, &status, ret_body);

    pg_text_free(&path);
    if (error) {
        return pg_api_complain(PG_VERB_GET, g->socket.at, error);
    }
    return status == 200 ? 0 : pg_api_refused(PG_VERB_GET, g->socket.at, status, ret_body);
}

/* The instance itself looks for a name of the DNS: its list has not all of them. */
static bool is_asked_by_name(const struct pg_get *g, const struct pg_get_part *part)
{
    return part->type == PG_GET_DNS && part->name && !pg_get_given(g, PG_FLAG_GET_FILENAME);
}

int pg_get_ask_json(const struct pg_get *g, const struct pg_get_part *part, json_t **ret)
{
    if (pg_get_given(g, PG_FLAG_GET_FILENAME)) {
        return pg_get_read_saved(part->type, g->options.value[PG_FLAG_GET_FILENAME], ret);
    }
    struct pg_text query = {0};
    struct pg_text body = {0};
    json_error_t error;

    if (is_asked_by_name(g, part)) {
        pg_text_puts(&query, "?name=");
        pg_api_add_encoded(&query, part->name);
    }
    int status = pg_get_ask(g, part->type, query.at ? query.at : "", &body);

    pg_text_free(&query);
    if (status == 0) {
        *ret = json_loadb(body.at ? body.at : "", body.len, 0, &error);
        if (!*ret) {
            pg_options_complain(PG_VERB_GET, "the answer is not JSON: %s", error.text);
            status = PG_EXIT_DIFFERENT;
        }
    }
    pg_text_free(&body);
    return status;
}

json_t *pg_get_choose(const struct pg_get *g, const struct pg_get_part *part, const json_t *answer)
{
    const char *path = g->options.value[PG_FLAG_GET_SORT_BY];
    const char *fields = g->options.value[PG_FLAG_GET_FIELD_SELECTOR];
    json_t *items = pg_get_select(part->type, answer, is_asked_by_name(g, part) ? NULL : part->name,
                                  g->namespace);

    if (fields && pg_get_field_select(items, fields) != 0) {
        json_decref(items);
        return NULL;
    }
    if (!path && part->type == PG_GET_CONNTRACK) {
        (void)pg_get_sort(items, "id");
    } else if (path && !pg_get_sort(items, path)) {
        pg_options_complain(PG_VERB_GET, "--sort-by: no item has %s", path);
        json_decref(items);
        return NULL;
    }
    return items;
}
