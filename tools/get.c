/* `podglass get TYPE [NAME]`: one list of a running instance, as a table or as data.
 *
 * Asks the control API (api_client.c) or reads what was saved (get_saved.c), picks the items meant (get_select.c), prints them (get_table.c knows the columns). kubectl's habits: short
 * names of types, -o, --no-headers, -w, "No resources found" with exit status 0. `-o conntrack`, `extended`, `id` and `xml` hand through lines that the
 * instance writes as conntrack(8) does, with the count on standard error as there; with -w its events, as they happen.
 *
 * -w asks each second and prints items that were not there in this form a second ago. What only tells the time (ages, timeouts,
 * round trips) does not count as a change. Called by main. */
#include "get_internal.h"

#include "podglass/reason.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDLE_MS 200 /* how long an interrupt may go unnoticed */

struct get {
    struct pg_options options;
    enum pg_get_type type;
    const char *name; /* NULL: all */
    const char *form; /* "table", "wide", ... */
    struct pg_text socket;
    json_t *seen; /* -w: forms of the items printed in the last round, as keys */
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static bool is_form(const struct get *g, const char *form)
{
    return strcmp(g->form, form) == 0;
}

/* Lines as conntrack(8) prints them, which the instance makes. */
static bool is_lines(const struct get *g)
{
    return is_form(g, "conntrack") || is_form(g, "extended") || is_form(g, "id") ||
           is_form(g, "xml") || is_form(g, "count");
}

/* ---- asking ---- */

static int explain_failure(const struct get *g, int error)
{
    if (error == -ENOENT || error == -ECONNREFUSED) {
        pg_options_complain(PG_VERB_GET, "no running instance at %s", g->socket.at);
    } else {
        pg_options_complain(PG_VERB_GET, "the instance at %s does not answer: %s", g->socket.at,
                            strerror(-error));
    }
    return PG_EXIT_NOT_RUNNING;
}

/* 0 and the body, or an exit status. */
static int ask(const struct get *g, const char *query, struct pg_text *ret_body)
{
    struct pg_text path = {0};
    int status = 0;

    pg_text_printf(&path, "/v1/%s%s", pg_type_rows[g->type].name, query);
    int error = pg_api_get(g->socket.at, path.at, &status, ret_body);

    pg_text_free(&path);
    if (error) {
        return explain_failure(g, error);
    }
    if (status != 200) {
        json_t *answer = json_loadb(ret_body->at ? ret_body->at : "", ret_body->len, 0, NULL);
        const char *why = json_string_value(json_object_get(answer, "message"));

        pg_options_complain(PG_VERB_GET, "the instance at %s refuses: %s (HTTP %d)", g->socket.at,
                            why ? why : "no reason given", status);
        json_decref(answer);
        return PG_EXIT_DIFFERENT;
    }
    return 0;
}

/* Bytes that mean something in a query, or are not ASCII, as %XX. */
static void add_encoded(struct pg_text *t, const char *text)
{
    for (; *text; text++) {
        if (strchr("-._~/:", *text) || (*text >= '0' && *text <= '9') ||
            ((*text | 0x20) >= 'a' && (*text | 0x20) <= 'z')) {
            pg_text_putc(t, *text);
        } else {
            pg_text_printf(t, "%%%02X", (unsigned)(unsigned char)*text);
        }
    }
}

/* The instance itself looks for a name of the DNS: its list has not all of them. */
static bool is_asked_by_name(const struct get *g)
{
    return g->type == PG_GET_DNS && g->name && !pg_options_has(&g->options, PG_FLAG_GET_FILENAME);
}

static int ask_json(const struct get *g, json_t **ret)
{
    if (pg_options_has(&g->options, PG_FLAG_GET_FILENAME)) {
        return pg_get_read_saved(g->type, g->options.value[PG_FLAG_GET_FILENAME], ret);
    }
    struct pg_text query = {0};
    struct pg_text body = {0};
    json_error_t error;

    if (is_asked_by_name(g)) {
        pg_text_puts(&query, "?name=");
        add_encoded(&query, g->name);
    }
    int status = ask(g, query.at ? query.at : "", &body);

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

/* ---- printing ---- */

static void print_json(const json_t *value, size_t flags)
{
    json_dumpf(value, stdout, flags | JSON_ENSURE_ASCII); /* safe on any terminal */
    putchar('\n');
}

static void print_items(const struct get *g, const json_t *items, bool with_heads)
{
    size_t i = 0;
    const json_t *item = NULL;
    struct pg_text out = {0};

    if (is_form(g, "name")) {
        pg_get_names(g->type, items, &out);
        fwrite(out.at ? out.at : "", 1, out.len, stdout);
        pg_text_free(&out);
        return;
    }
    if (is_form(g, "table") || is_form(g, "wide")) {
        pg_get_render(g->type, items, is_form(g, "wide"), with_heads, &out);
        fwrite(out.at ? out.at : "", 1, out.len, stdout);
        pg_text_free(&out);
        return;
    }
    json_array_foreach(items, i, item)
    {
        print_json(item, is_form(g, "jsonl") ? JSON_COMPACT : JSON_INDENT(2));
    }
}

static int no_items(const struct get *g)
{
    if (g->name) {
        pg_options_complain(PG_VERB_GET, "%s \"%s\" not found", pg_type_rows[g->type].name,
                            g->name);
        return PG_EXIT_DIFFERENT;
    }
    fputs("No resources found\n", stderr);
    return PG_EXIT_OK;
}

/* The answer as it came, but with the items meant; one object if one was named. */
static void print_answer(const struct get *g, json_t *answer, json_t *items)
{
    if (g->name && json_array_size(items) == 1) {
        print_json(json_array_get(items, 0), JSON_INDENT(2));
        return;
    }
    if (json_object_get(answer, "items")) {
        json_object_set(answer, "items", items);
    }
    print_json(answer, JSON_INDENT(2));
}

/* " of 262144 (6.3%)", if the instance says how many there may be. */
static void add_limit(const struct get *g, struct pg_text *out)
{
    struct pg_text body = {0};
    int status = 0;

    if (pg_options_has(&g->options, PG_FLAG_GET_FILENAME) ||
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

/* The items meant, in their order. NULL: said why not. */
static json_t *choose(const struct get *g, const json_t *answer)
{
    const char *path = g->options.value[PG_FLAG_GET_SORT_BY];
    json_t *items = pg_get_select(g->type, answer, is_asked_by_name(g) ? NULL : g->name,
                                  g->options.value[PG_FLAG_GET_NAMESPACE]);

    if (!path && g->type == PG_GET_CONNTRACK) {
        (void)pg_get_sort(items, "id");
    } else if (path && !pg_get_sort(items, path)) {
        pg_options_complain(PG_VERB_GET, "--sort-by: no item has %s", path);
        json_decref(items);
        return NULL;
    }
    return items;
}

/* With how full the table is, which only counters know. */
static void print_summary(const struct get *g, json_t *answer, const json_t *items)
{
    const char *by = g->options.value[PG_FLAG_GET_SUMMARY];
    json_t *groups = pg_get_summary(items, by);
    struct pg_text out = {0};

    if (is_form(g, "json")) {
        json_object_set_new(answer, "kind", json_string("ConntrackSummary"));
        json_object_set(answer, "items", groups);
        print_json(answer, JSON_INDENT(2));
    } else if (is_form(g, "jsonl")) {
        print_items(g, groups, false);
    } else {
        pg_get_render_summary(by, groups, !pg_options_has(&g->options, PG_FLAG_GET_NO_HEADERS),
                              &out);
        pg_text_printf(&out, "total %zu", json_array_size(items));
        add_limit(g, &out);
        pg_text_putc(&out, '\n');
        fwrite(out.at, 1, out.len, stdout);
    }
    pg_text_free(&out);
    json_decref(groups);
}

static int print_once(const struct get *g)
{
    json_t *answer = NULL;
    int status = ask_json(g, &answer);

    if (status) {
        return status;
    }
    json_t *items = choose(g, answer);

    if (!items) {
        json_decref(answer);
        return PG_EXIT_USAGE;
    }
    if (pg_options_has(&g->options, PG_FLAG_GET_SUMMARY)) {
        print_summary(g, answer, items);
    } else if (is_form(g, "json") && (!g->name || json_array_size(items) > 0)) {
        print_answer(g, answer, items);
    } else if (json_array_size(items) == 0) {
        status = no_items(g);
    } else {
        print_items(g, items, !pg_options_has(&g->options, PG_FLAG_GET_NO_HEADERS));
    }
    json_decref(items);
    json_decref(answer);
    return status;
}

static int print_conntrack_lines(const struct get *g)
{
    struct pg_text query = {0};
    struct pg_text body = {0};
    size_t lines = 0;

    pg_text_printf(&query, "?o=conntrack&form=%s", g->form);
    if (g->name) {
        pg_text_puts(&query, "&name=");
        pg_api_add_encoded(&query, g->name);
    }
    int status = ask(g, query.at, &body);

    if (status == 0) {
        for (size_t i = 0; i < body.len; i++) {
            lines += body.at[i] == '\n';
        }
        bool document = is_form(g, "xml") && lines > 0;

        fputs(document ? "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<conntrack>\n" : "", stdout);
        fwrite(body.at ? body.at : "", 1, body.len, stdout);
        fputs(document ? "</conntrack>\n" : "", stdout);
        fflush(stdout);
        if (g->type == PG_GET_CONNTRACK) {
            fprintf(stderr, "podglass: %zu flow entries have been shown.\n", lines);
        }
    }
    pg_text_free(&query);
    pg_text_free(&body);
    return status;
}

/* conntrack -C */
static int print_count(struct get *g)
{
    json_t *answer = NULL;

    g->type = PG_GET_COUNTERS;
    int status = ask_json(g, &answer);

    if (status == 0) {
        const json_t *flows = json_object_get(json_object_get(answer, "pools"), "flows");
        printf("%" JSON_INTEGER_FORMAT "\n", json_integer_value(json_object_get(flows, "used")));
        json_decref(answer);
    }
    return status;
}

/* ---- watching ---- */

/* Members that change by themselves, at any depth. */
static void remove_time(json_t *value)
{
    static const char *const keys[] = {"timeoutSeconds", "ageSeconds", "rttMicroseconds", "cwnd"};
    const char *key = NULL;
    json_t *member = NULL;

    if (!json_is_object(value)) {
        return;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_object_del(value, keys[i]);
    }
    json_object_foreach(value, key, member)
    {
        remove_time(member);
    }
}

/* What an item looks like but for the time; the caller frees it. As it would be printed, so that only visible changes count. */
static char *form_of(const struct get *g, const json_t *item)
{
    json_t *timeless = json_deep_copy(item);
    struct pg_text out = {0};
    char *form = NULL;

    remove_time(timeless);
    if (is_form(g, "table") || is_form(g, "wide")) {
        json_t *one = json_array();

        json_array_append(one, timeless);
        pg_get_render(g->type, one, is_form(g, "wide"), false, &out);
        form = strdup(out.at ? out.at : "");
        json_decref(one);
    } else {
        form = json_dumps(timeless, JSON_COMPACT | JSON_SORT_KEYS);
    }
    pg_text_free(&out);
    json_decref(timeless);
    return form;
}

/* Items that were not there in this form a round ago: a new array. */
static json_t *fresh_items(struct get *g, const json_t *items)
{
    json_t *fresh = json_array();
    json_t *seen = json_object();
    size_t i = 0;
    json_t *item = NULL;

    json_array_foreach(items, i, item)
    {
        char *form = form_of(g, item);

        if (form && !json_object_get(g->seen, form)) {
            json_array_append(fresh, item);
        }
        if (form) {
            json_object_set_new(seen, form, json_true());
        }
        free(form);
    }
    json_decref(g->seen);
    g->seen = seen;
    return fresh;
}

static int watch(struct get *g)
{
    struct sigaction action = {.sa_handler = on_interrupt};
    struct timespec second = {.tv_sec = 1};
    bool with_heads = !pg_options_has(&g->options, PG_FLAG_GET_NO_HEADERS);
    int status = 0;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    while (!interrupted) {
        json_t *answer = NULL;

        status = ask_json(g, &answer);
        if (status) {
            return interrupted ? PG_EXIT_OK : status;
        }
        json_t *items = choose(g, answer);

        if (!items) {
            json_decref(answer);
            return PG_EXIT_USAGE;
        }
        json_t *fresh = fresh_items(g, items);

        if (json_array_size(fresh) > 0) {
            print_items(g, fresh, with_heads);
            with_heads = false;
        }
        json_decref(fresh);
        json_decref(items);
        json_decref(answer);
        if (fflush(stdout) != 0) {
            return PG_EXIT_DIFFERENT; /* nobody reads */
        }
        nanosleep(&second, NULL);
    }
    return PG_EXIT_OK;
}

/* ---- events ---- */

static bool on_events(void *arg, const char *at, size_t len)
{
    (void)arg;
    return fwrite(at, 1, len, stdout) == len && fflush(stdout) == 0 && !interrupted;
}

static bool on_silence(void *arg)
{
    (void)arg;
    return !interrupted;
}

/* conntrack -E, until interrupted. */
static int watch_events(const struct get *g)
{
    struct pg_api_reader reader = {.bytes = on_events, .idle = on_silence, .idle_ms = IDLE_MS};
    struct sigaction action = {.sa_handler = on_interrupt};
    struct pg_text path = {0};
    struct pg_text refusal = {0};
    int answer = 0;

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    pg_text_printf(&path, "/v1/conntrack/events?form=%s", g->form);
    int error = pg_api_stream(g->socket.at, path.at, &reader, &answer, &refusal);
    int status = PG_EXIT_OK;

    if (error == -EPIPE && answer == 200 && !interrupted) {
        pg_options_complain(PG_VERB_GET, "the instance has ended");
        status = PG_EXIT_DIFFERENT;
    } else if (error && !interrupted) {
        status = explain_failure(g, error);
    } else if (answer != 200 && !interrupted) {
        status = pg_api_refused(PG_VERB_GET, g->socket.at, answer, &refusal);
    }
    pg_text_free(&path);
    pg_text_free(&refusal);
    return status;
}

/* ---- the verb ---- */

static int complain_about_type(const char *name)
{
    struct pg_text list = {0};

    for (unsigned t = 0; t < PG_GET_TYPE_COUNT; t++) {
        pg_text_printf(&list, "%s%s", t ? ", " : "", pg_type_rows[t].name);
    }
    if (name) {
        pg_options_complain(PG_VERB_GET, "there is no type \"%s\"; there are %s", name, list.at);
    } else {
        pg_options_complain(PG_VERB_GET, "which type? There are %s", list.at);
    }
    pg_text_free(&list);
    return PG_EXIT_USAGE;
}

static int understand(struct get *g)
{
    const struct pg_options *o = &g->options;

    if (o->arg_count == 0) {
        return complain_about_type(NULL);
    }
    int status = pg_options_args(o, 1, 2);

    if (status) {
        return status;
    }
    g->type = pg_get_type_of(o->arg[0]);
    g->name = o->arg_count > 1 ? o->arg[1] : NULL;
    g->form = pg_options_has(o, PG_FLAG_GET_OUTPUT) ? o->value[PG_FLAG_GET_OUTPUT] : "table";
    if (g->type == PG_GET_TYPE_COUNT) {
        return complain_about_type(o->arg[0]);
    }
    bool statistics = g->type == PG_GET_COUNTERS && is_form(g, "conntrack");
    if (is_lines(g) && g->type != PG_GET_CONNTRACK && !statistics) {
        return pg_options_complain(PG_VERB_GET, "-o %s is for conntrack only", g->form);
    }
    if (pg_options_has(o, PG_FLAG_GET_SUMMARY) &&
        (g->type != PG_GET_CONNTRACK || is_lines(g) || pg_options_has(o, PG_FLAG_GET_WATCH))) {
        return pg_options_complain(PG_VERB_GET,
                                   "--summary is of conntrack, as table, json or jsonl, once");
    }
    if (pg_options_has(o, PG_FLAG_GET_FILENAME) &&
        (is_lines(g) || pg_options_has(o, PG_FLAG_GET_WATCH))) {
        return pg_options_complain(PG_VERB_GET,
                                   "a saved list can be a table, wide, json or jsonl, once");
    }
    bool whole = is_form(g, "xml") || is_form(g, "count");

    if (whole && pg_options_has(o, PG_FLAG_GET_WATCH)) {
        return pg_options_complain(PG_VERB_GET, "-o %s is for what there is now, without -w",
                                   g->form);
    }
    if (is_form(g, "count") && g->name) {
        return pg_options_complain(PG_VERB_GET, "-o count counts all flows");
    }
    if (is_lines(g) && pg_options_has(o, PG_FLAG_GET_WATCH) && (statistics || g->name)) {
        return pg_options_complain(PG_VERB_GET, "events are those of all flows of conntrack");
    }
    if (pg_options_has(o, PG_FLAG_GET_SOCKET)) {
        pg_text_puts(&g->socket, o->value[PG_FLAG_GET_SOCKET]);
    } else {
        pg_api_default_socket(NULL, &g->socket);
    }
    return 0;
}

int pg_tool_get(int argc, char **argv)
{
    struct get g = {0};
    int status = pg_options_parse(PG_VERB_GET, argc, argv, &g.options);

    if (status) {
        return status;
    }
    status = understand(&g);
    bool watches = pg_options_has(&g.options, PG_FLAG_GET_WATCH);
    if (status == 0 && watches && is_lines(&g)) {
        status = watch_events(&g);
    } else if (status == 0 && watches) {
        status = watch(&g);
    } else if (status == 0 && is_form(&g, "count")) {
        status = print_count(&g);
    } else if (status == 0 && is_lines(&g)) {
        status = print_conntrack_lines(&g);
    } else if (status == 0) {
        status = print_once(&g);
    }
    if (fflush(stdout) != 0 && status == 0) {
        status = PG_EXIT_DIFFERENT;
    }
    json_decref(g.seen);
    pg_text_free(&g.socket);
    pg_options_free(&g.options);
    pg_reason_forget_all();
    return status;
}
