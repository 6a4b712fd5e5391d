/* `podglass get TYPE [NAME]`: lists of a running instance, as tables or as data.
 *
 * What is asked for is read by get_parts.c and get_forms.c; get_ask.c asks the control API, or reads what was saved (get_saved.c), and picks the items meant (get_select.c);
 * get_forms.c prints them. kubectl's habits: short names of types, several types, TYPE/NAME, -o, --no-headers, -w (get_watch.c), "No resources found" with exit status 0.
 * `-o conntrack`, `extended`, `id` and `xml` hand through lines that the instance writes as conntrack(8) does, with the count on standard error as there; with -w its events, as
 * they happen. Called by main. */
#include "get_internal.h"

#include "podglass/reason.h"

#include <stdio.h>
#include <string.h>

/* ---- what was found ---- */

/* The items of one type, of all parts that ask for it. */
struct found {
    enum pg_get_type type;
    json_t *answer, *items;
};

struct all {
    struct found of[PG_GET_PARTS];
    uint32_t count;
    size_t items;
    bool missing; /* somebody was named who is not there */
};

static void forget(struct all *a)
{
    for (uint32_t i = 0; i < a->count; i++) {
        json_decref(a->of[i].answer);
        json_decref(a->of[i].items);
    }
}

static struct found *find_type(struct all *a, enum pg_get_type type)
{
    for (uint32_t i = 0; i < a->count; i++) {
        if (a->of[i].type == type) {
            return &a->of[i];
        }
    }
    a->of[a->count] = (struct found){.type = type};
    return &a->of[a->count++];
}

/* Lists are asked for once; names of the DNS each, since its list has not all of them. */
static int find_part(const struct pg_get *g, const struct pg_get_part *part, struct all *a)
{
    struct found *f = find_type(a, part->type);
    int status = 0;

    if (!f->answer || (part->type == PG_GET_DNS && !pg_get_given(g, PG_FLAG_GET_FILENAME))) {
        json_t *answer = NULL;

        status = pg_get_ask_json(g, part, &answer);
        json_decref(f->answer);
        f->answer = answer;
    }
    json_t *items = status == 0 ? pg_get_choose(g, part, f->answer) : NULL;

    if (!items) {
        return status ? status : PG_EXIT_USAGE;
    }
    if (part->name && json_array_size(items) == 0) {
        pg_options_complain(PG_VERB_GET, "%s \"%s\" not found", pg_type_rows[part->type].name,
                            part->name);
        a->missing = true;
    }
    a->items += json_array_size(items);
    if (f->items) {
        json_array_extend(f->items, items);
        json_decref(items);
    } else {
        f->items = items;
    }
    return 0;
}

/* ---- documents ---- */

static bool is_document(const struct pg_get *g)
{
    return pg_get_is_form(g, "json") || pg_get_is_form(g, "yaml") || g->template;
}

/* Of several kinds each item says which it is. */
static json_t *with_kinds(const struct all *a)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < a->count; i++) {
        struct pg_slice name = pg_get_kind_of_item(a->of[i].type);
        size_t k = 0;
        json_t *item = NULL;

        json_array_foreach(a->of[i].items, k, item)
        {
            json_t *kind = json_object();

            json_object_set_new(kind, "kind", json_stringn(name.at, name.len));
            json_object_update(kind, item);
            json_array_append_new(list, kind);
        }
    }
    return list;
}

/* The answer as it came, but with the items meant; one object if one was named; a List if several kinds or names were asked for. */
static void put_document(const struct pg_get *g, struct all *a)
{
    json_t *document = NULL;
    bool whole =
        json_object_get(a->of[0].answer, "items") || !pg_get_given(g, PG_FLAG_GET_FIELD_SELECTOR);

    if (g->parts.count > 1 || !whole) { /* counters are no list until some of them are chosen */
        document = json_pack("{s:s, s:s, s:o}", "apiVersion", "podglass/v1alpha1", "kind", "List",
                             "items", with_kinds(a));
    } else if (g->parts.at[0].name) {
        document =
            json_incref(json_array_size(a->of[0].items) == 1 ? json_array_get(a->of[0].items, 0)
                                                             : a->of[0].answer);
    } else {
        document = json_incref(a->of[0].answer);
    }
    if (g->parts.count == 1 && json_object_get(document, "items")) {
        json_object_set(document, "items", a->of[0].items);
    }
    pg_get_put_document(g, document);
    json_decref(document);
}

/* ---- rows ---- */

/* "services/web": which of several tables a row is of. */
static void add_kind_to_names(const struct found *f)
{
    size_t i = 0;
    json_t *item = NULL;

    json_array_foreach(f->items, i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));

        if (name) {
            json_object_set_new(item, "name",
                                json_sprintf("%s/%s", pg_type_rows[f->type].name, name));
        }
    }
}

static void put_rows(const struct pg_get *g, struct all *a)
{
    bool with_heads = !pg_get_given(g, PG_FLAG_GET_NO_HEADERS);
    bool table = pg_get_is_form(g, "table") || pg_get_is_form(g, "wide");
    bool first = true;

    if (g->columns || (pg_get_is_form(g, "jsonl") && g->parts.kinds > 1)) {
        json_t *all = g->parts.kinds > 1 ? with_kinds(a) : json_incref(a->of[0].items);

        pg_get_put_items(g, a->of[0].type, all, with_heads);
        json_decref(all);
        return;
    }
    for (uint32_t i = 0; i < a->count; i++) {
        if (json_array_size(a->of[i].items) == 0) {
            continue;
        }
        if (table && g->parts.kinds > 1) {
            add_kind_to_names(&a->of[i]);
        }
        fputs(table && !first ? "\n" : "", stdout);
        pg_get_put_items(g, a->of[i].type, a->of[i].items, with_heads);
        first = false;
    }
}

/* ---- who fills the table ---- */

/* " of 262144 (6.3%)", if the instance says how many there may be. */
static void add_limit(const struct pg_get *g, struct pg_text *out)
{
    struct pg_text body = {0};
    int status = 0;

    if (pg_get_given(g, PG_FLAG_GET_FILENAME) ||
        pg_api_get(g->socket.at, "/v1/counters", &status, &body) != 0 || status != 200) {
        pg_text_free(&body);
        return;
    }
    json_t *counters = json_loadb(body.at ? body.at : "", body.len, 0, NULL);
    const json_t *flows = json_object_get(json_object_get(counters, "pools"), "flows");
    double used = (double)json_integer_value(json_object_get(flows, "used"));
    double limit = (double)json_integer_value(json_object_get(flows, "limit"));
    double bytes = (double)json_integer_value(json_object_get(flows, "bytesEach"));

    if (limit > 0) {
        pg_text_printf(out, "; table %.0f of %.0f (%.1f%%), memory %.1f MiB", used, limit,
                       100.0 * used / limit, used * bytes / (1024.0 * 1024.0));
    }
    json_decref(counters);
    pg_text_free(&body);
}

/* With how full the table is, which only counters know. */
static void print_summary(const struct pg_get *g, json_t *answer, const json_t *items)
{
    const char *by = g->options.value[PG_FLAG_GET_SUMMARY];
    json_t *groups = pg_get_summary(items, by);
    struct pg_text out = {0};

    if (is_document(g)) {
        json_object_set_new(answer, "kind", json_string("ConntrackSummary"));
        json_object_set(answer, "items", groups);
        pg_get_put_document(g, answer);
    } else if (!pg_get_is_form(g, "table") && !pg_get_is_form(g, "wide")) {
        pg_get_put_items(g, PG_GET_CONNTRACK, groups, !pg_get_given(g, PG_FLAG_GET_NO_HEADERS));
    } else {
        pg_get_render_summary(by, groups, !pg_get_given(g, PG_FLAG_GET_NO_HEADERS), &out);
        pg_text_printf(&out, "total %zu", json_array_size(items));
        add_limit(g, &out);
        pg_text_putc(&out, '\n');
        fwrite(out.at, 1, out.len, stdout);
    }
    pg_text_free(&out);
    json_decref(groups);
}

/* ---- once ---- */

static int print_once(const struct pg_get *g)
{
    struct all a = {.count = 0};
    int status = 0;

    for (uint32_t i = 0; status == 0 && i < g->parts.count; i++) {
        status = find_part(g, &g->parts.at[i], &a);
    }
    if (status == 0) {
        if (pg_get_given(g, PG_FLAG_GET_SUMMARY)) {
            print_summary(g, a.of[0].answer, a.of[0].items);
        } else if (is_document(g) && (!a.missing || a.items > 0)) {
            put_document(g, &a);
        } else if (a.items > 0) {
            put_rows(g, &a);
        } else if (!a.missing) {
            fputs("No resources found\n", stderr);
        }
        status = a.missing ? PG_EXIT_DIFFERENT : PG_EXIT_OK;
    }
    forget(&a);
    return status;
}

static int print_conntrack_lines(const struct pg_get *g)
{
    const struct pg_get_part *part = &g->parts.at[0];
    struct pg_text query = {0};
    struct pg_text body = {0};
    size_t lines = 0;

    pg_text_printf(&query, "?o=conntrack&form=%s", g->form);
    if (part->name) {
        pg_text_puts(&query, "&name=");
        pg_api_add_encoded(&query, part->name);
    }
    int status = pg_get_ask(g, part->type, query.at, &body);

    if (status == 0) {
        for (size_t i = 0; i < body.len; i++) {
            lines += body.at[i] == '\n';
        }
        bool document = pg_get_is_form(g, "xml") && lines > 0;

        fputs(document ? "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n" : "", stdout);
        fwrite(body.at ? body.at : "", 1, body.len, stdout);
        fputs(document ? "</conntrack>\n" : "", stdout);
        fflush(stdout);
        if (part->type == PG_GET_CONNTRACK) {
            fprintf(stderr, "podglass: %zu flow entries have been shown.\n", lines);
        }
    }
    pg_text_free(&query);
    pg_text_free(&body);
    return status;
}

/* conntrack -C */
static int print_count(const struct pg_get *g)
{
    const struct pg_get_part counters = {PG_GET_COUNTERS, NULL};
    json_t *answer = NULL;
    int status = pg_get_ask_json(g, &counters, &answer);

    if (status == 0) {
        const json_t *flows = json_object_get(json_object_get(answer, "pools"), "flows");
        printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(flows, "used")));
        json_decref(answer);
    }
    return status;
}

/* ---- the verb ---- */

/* What goes together; get_parts.c and get_forms.c have read it. */
static int check_lines(const struct pg_get *g)
{
    const struct pg_get_part *part = &g->parts.at[0];
    bool statistics = part->type == PG_GET_COUNTERS && pg_get_is_form(g, "conntrack");
    bool whole = pg_get_is_form(g, "xml") || pg_get_is_form(g, "count");

    if (g->parts.count > 1 || (part->type != PG_GET_CONNTRACK && !statistics)) {
        return pg_options_complain(PG_VERB_GET, "-o %s is for conntrack only", g->form);
    }
    if (pg_get_given(g, PG_FLAG_GET_FIELD_SELECTOR)) {
        return pg_options_complain(PG_VERB_GET, "-o %s is of all flows, or of one by its id",
                                   g->form);
    }
    if (whole && pg_get_given(g, PG_FLAG_GET_WATCH)) {
        return pg_options_complain(PG_VERB_GET, "-o %s is for what there is now, without -w",
                                   g->form);
    }
    if (pg_get_is_form(g, "count") && part->name) {
        return pg_options_complain(PG_VERB_GET, "-o count counts all flows");
    }
    if (pg_get_given(g, PG_FLAG_GET_WATCH) && (statistics || part->name)) {
        return pg_options_complain(PG_VERB_GET, "events are those of all flows of conntrack");
    }
    return 0;
}

static int check(const struct pg_get *g)
{
    bool lines = pg_get_is_lines(g);
    bool watches = pg_get_given(g, PG_FLAG_GET_WATCH);

    if (pg_get_given(g, PG_FLAG_GET_SUMMARY) &&
        (g->parts.count > 1 || g->parts.at[0].type != PG_GET_CONNTRACK || lines || watches ||
         pg_get_is_form(g, "name"))) {
        return pg_options_complain(PG_VERB_GET,
                                   "--summary is of conntrack, once, and has no names");
    }
    if (pg_get_given(g, PG_FLAG_GET_FILENAME) && (lines || watches || g->parts.kinds > 1)) {
        return pg_options_complain(PG_VERB_GET, "a saved list is of one type, and is printed once");
    }
    if (watches && g->parts.count > 1) {
        return pg_options_complain(PG_VERB_GET, "-w is for one type, or one name of it");
    }
    return lines ? check_lines(g) : 0;
}

static int understand(struct pg_get *g)
{
    const struct pg_options *o = &g->options;
    int status = pg_get_read_parts(&g->options, &g->parts);

    status = status ? status : pg_get_form(g);
    status = status ? status : check(g);
    if (status) {
        return status;
    }
    g->namespace =
        pg_options_has(o, PG_FLAG_GET_ALL_NAMESPACES) ? NULL : o->value[PG_FLAG_GET_NAMESPACE];
    if (pg_options_has(o, PG_FLAG_GET_SOCKET)) {
        pg_text_puts(&g->socket, o->value[PG_FLAG_GET_SOCKET]);
    } else {
        pg_api_default_socket(NULL, &g->socket);
    }
    return 0;
}

int pg_tool_get(int argc, char **argv)
{
    struct pg_get g = {.form = NULL};
    int status = pg_options_parse(PG_VERB_GET, argc, argv, &g.options);

    if (status) {
        return status;
    }
    status = understand(&g);
    bool watches = pg_get_given(&g, PG_FLAG_GET_WATCH);
    if (status == 0 && watches) {
        status = pg_get_is_lines(&g) ? pg_get_watch_events(&g) : pg_get_watch(&g);
    } else if (status == 0 && pg_get_is_form(&g, "count")) {
        status = print_count(&g);
    } else if (status == 0 && pg_get_is_lines(&g)) {
        status = print_conntrack_lines(&g);
    } else if (status == 0) {
        status = print_once(&g);
    }
    if (fflush(stdout) != 0 && status == 0) {
        status = PG_EXIT_DIFFERENT;
    }
    pg_get_form_free(&g);
    pg_text_free(&g.socket);
    pg_options_free(&g.options);
    pg_reason_forget_all();
    return status;
}
