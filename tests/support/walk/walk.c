/* Reads a walk file line by line and runs it; twice, and compares what was recorded.
 *
 *   walk   "title"
 *   given  manifest FILE          or  given  and an indented block of YAML
 *   given  seed N | pods echo|wire|auto | set OBJ.FIELD=VALUE
 *   when   set OBJ.FIELD=VALUE...      these instead of what was set before, by a reload
 *   when   ...                    walk_when.c, walk_wire.c
 *   then   ...                    walk_then.c
 * '#' begins a comment. A statement's block is every following line that is indented. */
#include "walk.h"

#include "podglass/dump.h"
#include "podglass/json.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void walk_fail(struct walk *w, const char *format, ...)
{
    va_list args;
    w->failures++;
    fprintf(stderr, "%s:%u: ", w->file, w->line);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* ---- the world ---- */

static void add_input(struct walk *w, const char *name, const char *text, size_t len)
{
    char *copy = strdup(name);
    w->input_names[w->input_count] = copy;
    w->inputs[w->input_count++] =
        (struct pg_manifest_input){.path = copy, .text = text, .text_len = len};
}

static void print_findings(struct walk *w, const struct pg_findings *findings)
{
    struct pg_text text = {0};
    for (uint32_t i = 0; i < findings->count; i++) {
        pg_text_clear(&text);
        pg_finding_print(&findings->at[i], &text);
        fprintf(stderr, "%s: %s\n", w->file, text.at);
    }
    pg_text_free(&text);
}

static struct pg_snapshot *load_snapshot(struct walk *w)
{
    struct pg_snapshot *s = NULL;
    struct pg_findings findings;
    int error = pg_snapshot_load(w->inputs, w->input_count, &w->load, &s, &findings);
    if (error != 0) {
        walk_fail(w, "the manifests do not load (%d)", error);
        print_findings(w, &findings);
    }
    pg_findings_free(&findings);
    return s;
}

void walk_open(struct walk *w)
{
    if (w->open) {
        return;
    }
    if (w->manifests.len != 0) {
        add_input(w, "walk.yaml", w->manifests.at, w->manifests.len);
    }
    w->snapshot = load_snapshot(w);
    if (w->snapshot == NULL) {
        return;
    }
    int error = pg_sim_open(&w->path_options, w->snapshot, w->seed, &w->sim);
    if (error != 0) {
        walk_fail(w, "the path does not start (%d)", error);
        return;
    }
    w->open = true;
    w->next_record = 1;
}

void walk_collect(struct walk *w)
{
    struct pg_record r;
    uint64_t missed = 0;
    uint8_t bytes[65536];
    uint32_t len;
    while ((len = pg_wire_collect(w->sim.wire, bytes, sizeof bytes)) != 0) {
        struct walk_packet *p = &w->wire[w->wire_count % WALK_WIRE_LOG];
        w->wire_count++;
        walk_wire_describe(bytes, len, p->text, sizeof p->text);
        p->len = len < sizeof p->bytes ? len : (uint32_t)sizeof p->bytes;
        memcpy(p->bytes, bytes, p->len);
    }
    while (pg_trace_read(pg_path_trace(w->sim.path), &w->next_record, &r, &missed)) {
        struct pg_json j;
        pg_json_begin(&j, &w->stream);
        pg_record_json(&r, &j);
        pg_text_putc(&w->stream, '\n');
    }
    if (missed != 0) {
        walk_fail(w, "the record ring overran the walk: %llu records missed",
                  (unsigned long long)missed);
    }
}

static void reload(struct walk *w, const char *block)
{
    if (block != NULL) {
        pg_text_clear(&w->manifests);
        pg_text_puts(&w->manifests, block);
        for (uint32_t i = 0; i < w->input_count; i++) {
            free(w->input_names[i]);
        }
        w->input_count = 0;
        add_input(w, "walk.yaml", w->manifests.at, w->manifests.len);
    }
    struct pg_snapshot *s = load_snapshot(w);
    if (s == NULL || pg_path_load(w->sim.path, s, w->sim.now_us) != 0) {
        walk_fail(w, "the reload failed");
        pg_snapshot_put(s);
        return;
    }
    pg_snapshot_put(w->snapshot);
    w->snapshot = s;
}

/* Texts after the verb, as --set would have them; false: there is no room. */
static bool add_sets(struct walk *w, const struct walk_line *l)
{
    w->load.sets = w->sets;
    for (uint32_t i = 2; i < l->count; i++) {
        if (w->load.set_count == PG_SETS_MOST) {
            walk_fail(w, "too many values are set");
            return false;
        }
        w->sets[w->load.set_count++] = strdup(l->tokens[i]);
    }
    return true;
}

static void drop_sets(struct walk *w)
{
    for (uint32_t i = 0; i < w->load.set_count; i++) {
        char *text;
        memcpy(&text, &w->sets[i], sizeof text);
        free(text);
    }
    w->load.set_count = 0;
}

/* ---- statements ---- */

static void given(struct walk *w, const struct walk_line *l, const char *block)
{
    const char *what = l->count > 1 ? l->tokens[1] : "";
    const char *value = l->count > 2 ? l->tokens[2] : "";
    if (block != NULL) {
        pg_text_puts(&w->manifests, w->manifests.len != 0 ? "---\n" : "");
        pg_text_puts(&w->manifests, block);
    } else if (strcmp(what, "manifest") == 0) {
        add_input(w, value, NULL, 0);
    } else if (strcmp(what, "seed") == 0) {
        w->seed = strtoull(value, NULL, 0);
    } else if (strcmp(what, "pods") == 0) {
        w->load.pods = strcmp(value, "echo") == 0   ? PG_PODS_ECHO
                       : strcmp(value, "wire") == 0 ? PG_PODS_WIRE
                                                    : PG_PODS_AUTO;
    } else if (strcmp(what, "set") == 0) {
        add_sets(w, l);
    } else if (strcmp(what, "flow-limit") == 0) {
        w->path_options.nat.flow_limit = (uint32_t)strtoul(value, NULL, 0);
    } else if (strcmp(what, "sysctl") == 0) {
        const char *number = l->count > 3 ? l->tokens[3] : "";
        if (pg_nat_set_sysctl(&w->path_options.nat, value, strtoull(number, NULL, 10)) != 0) {
            walk_fail(w, "no such setting: %s %s", value, number);
        }
    } else if (strcmp(what, "body-limit") == 0) {
        w->path_options.proxy.body_limit = strtoull(value, NULL, 0);
    } else if (strcmp(what, "records") == 0) {
        w->path_options.trace_level =
            strcmp(value, "packets") == 0 ? PG_TRACE_PACKETS : PG_TRACE_FLOWS;
    } else {
        walk_fail(w, "given what? %s", what);
    }
}

static void run_statement(struct walk *w, const struct walk_line *l, const char *block)
{
    const char *verb = l->tokens[0];
    if (strcmp(verb, "walk") == 0) {
        snprintf(w->title, sizeof w->title, "%s", l->count > 1 ? l->tokens[1] : "");
    } else if (strcmp(verb, "given") == 0) {
        given(w, l, block);
    } else if (strcmp(verb, "when") == 0) {
        walk_open(w);
        if (!w->open) {
            return;
        }
        w->first_record = pg_trace_next_seq(pg_path_trace(w->sim.path));
        memcpy(w->drops_before, pg_path_counters(w->sim.path)->drop, sizeof w->drops_before);
        if (l->count > 1 && strcmp(l->tokens[1], "reload") == 0) {
            reload(w, block);
        } else if (l->count > 1 && strcmp(l->tokens[1], "set") == 0) {
            drop_sets(w);
            if (add_sets(w, l)) {
                reload(w, NULL);
            }
        } else {
            walk_when(w, l, block);
        }
        walk_collect(w);
    } else if (strcmp(verb, "then") == 0) {
        walk_open(w);
        if (w->open) {
            walk_then(w, l);
        }
    } else {
        walk_fail(w, "a statement begins with walk, given, when or then, not '%s'", verb);
    }
}

/* Splits a line at blanks; "..." is one token, with \r \n \t \" \\ and \xNN. */
static void split(struct walk *w, char *text, struct walk_line *l)
{
    memset(l, 0, sizeof *l);
    char *at = text;
    while (*at != 0 && l->count < WALK_TOKENS) {
        while (isspace((unsigned char)*at)) {
            at++;
        }
        if (*at == 0 || *at == '#') {
            return;
        }
        l->quoted[l->count] = *at == '"';
        if (*at != '"') {
            l->tokens[l->count++] = at;
            while (*at != 0 && !isspace((unsigned char)*at)) {
                at++;
            }
        } else {
            char *to = ++at;
            l->tokens[l->count++] = to;
            while (*at != 0 && *at != '"') {
                if (*at == '\\' && at[1] != 0) {
                    at++;
                    if (*at == 'x') {
                        char hex[3] = {at[1], at[2], 0};
                        *to++ = (char)strtoul(hex, NULL, 16);
                        at += 3;
                        continue;
                    }
                    *to++ = *at == 'r' ? '\r' : *at == 'n' ? '\n' : *at == 't' ? '\t' : *at;
                    at++;
                } else {
                    *to++ = *at++;
                }
            }
            if (*at != '"') {
                walk_fail(w, "a quote is not closed");
            }
            bool end = at[0] == 0 || at[1] == 0;
            l->lens[l->count - 1] = (size_t)(to - l->tokens[l->count - 1]);
            *to = 0;
            at += end ? 0 : 1;
            if (end) {
                return;
            }
        }
        if (*at != 0) {
            *at++ = 0;
        }
    }
}

/* The indented lines that follow, without their common first indentation. */
static char *take_block(char **rest, unsigned *line)
{
    struct pg_text block = {0};
    size_t indent = 0;
    while (**rest == ' ' || **rest == '\n') {
        char *end = strchr(*rest, '\n');
        size_t len = end != NULL ? (size_t)(end - *rest) : strlen(*rest);
        if (**rest == '\n') { /* a blank line ends a block unless more of it follows */
            const char *after = *rest;
            while (*after == '\n') {
                after++;
            }
            if (*after != ' ') {
                break;
            }
            pg_text_putc(&block, '\n');
        } else {
            size_t here = strspn(*rest, " ");
            indent = indent == 0 ? here : indent;
            size_t cut = here < indent ? here : indent;
            pg_text_add(&block, *rest + cut, len - cut);
            pg_text_putc(&block, '\n');
        }
        *rest += len + (end != NULL ? 1 : 0);
        (*line)++;
    }
    return block.at;
}

static void run_text(struct walk *w, char *text)
{
    unsigned line = 0;
    char *at = text;
    while (*at != 0) {
        char *end = strchr(at, '\n');
        char *next = end != NULL ? end + 1 : at + strlen(at);
        if (end != NULL) {
            *end = 0;
        }
        w->line = ++line;
        char *copy = strdup(at);
        struct walk_line l;
        split(w, copy, &l);
        at = next;
        if (l.count != 0) {
            char *block = take_block(&at, &line);
            run_statement(w, &l, block);
            free(block);
        }
        free(copy);
    }
}

static char *read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct pg_text text = {0};
    char piece[4096];
    size_t n;
    if (f == NULL) {
        return NULL;
    }
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        pg_text_add(&text, piece, n);
    }
    fclose(f);
    pg_text_putc(&text, '\n');
    return text.at;
}

/* All lists as they are at the end, one in a line: WALK_LISTS=1, for the tests of schemas and of `get -f`. */
static void print_lists(const struct walk *w)
{
    static const char *const types[] = {"conntrack", "nat",        "affinity", "connections",
                                        "services",  "endpoints",  "nodes",    "pods",
                                        "ingresses", "routes",     "settings", "traffic",
                                        "gateways",  "httproutes", "dns",      "counters"};
    struct pg_text out = {0};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        pg_dump_json(w->sim.path, types[i], NULL, w->sim.now_us, &out);
        while (out.len != 0 && out.at[out.len - 1] == '\n') {
            out.len--;
        }
        pg_text_putc(&out, '\n');
    }
    fwrite(out.at, 1, out.len, stdout);
    pg_text_free(&out);
}

static void walk_close(struct walk *w)
{
    if (w->have_response) {
        pg_response_free(&w->response);
    }
    if (w->open) {
        pg_sim_close(&w->sim);
    }
    pg_snapshot_put(w->snapshot);
    for (uint32_t i = 0; i < w->input_count; i++) {
        free(w->input_names[i]);
    }
    drop_sets(w);
    pg_text_free(&w->manifests);
    pg_text_free(&w->preface);
    pg_text_free(&w->request);
}

/* One run; the record stream is the caller's. */
static unsigned run_once(const char *path, bool lists, struct pg_text *ret_stream, char title[200])
{
    struct walk *w = calloc(1, sizeof *w);
    char *text = read_file(path);
    if (w == NULL || text == NULL) {
        fprintf(stderr, "%s: can not be read\n", path);
        free(w);
        free(text);
        return 1;
    }
    w->file = path;
    w->seed = 1;
    w->load.pods = PG_PODS_AUTO;
    w->path_options =
        (struct pg_path_options){.trace_level = PG_TRACE_FLOWS, .trace_records = 65536};
    run_text(w, text);
    if (!w->open) {
        walk_fail(w, "nothing was tried: a walk needs a when");
    }
    unsigned failures = w->failures;
    memcpy(title, w->title, 200);
    *ret_stream = w->stream;
    if (lists && w->open) {
        print_lists(w);
    }
    walk_close(w);
    free(w);
    free(text);
    return failures;
}

int main(int argc, char **argv)
{
    unsigned failures = 0;
    bool verbose = getenv("WALK_RECORDS") != NULL;
    if (argc < 2) {
        fprintf(stderr, "usage: walk FILE.walk...   (WALK_RECORDS=1 prints the records, "
                        "WALK_LISTS=1 all lists)\n");
        return 2;
    }
    for (int i = 1; i < argc; i++) {
        struct pg_text first = {0};
        struct pg_text second = {0};
        char title[200];
        unsigned bad = run_once(argv[i], getenv("WALK_LISTS") != NULL, &first, title);
        if (verbose && first.len != 0) {
            fputs(first.at, stdout);
        }
        if (bad == 0) {
            bad = run_once(argv[i], false, &second, title);
            if (bad == 0 && (first.len != second.len ||
                             (first.len != 0 && memcmp(first.at, second.at, first.len) != 0))) {
                fprintf(stderr, "%s: two runs recorded different things\n", argv[i]);
                bad = 1;
            }
        }
        printf("%s  %s  \"%s\"\n", bad == 0 ? "ok  " : "FAIL", argv[i], title);
        failures += bad;
        pg_text_free(&first);
        pg_text_free(&second);
    }
    pg_reason_forget_all();
    return failures == 0 ? 0 : 1;
}
