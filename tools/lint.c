/* The verb `lint`: what is wrong with manifests, and whom pods will see as their clients.
 *
 * Findings are those of the load; predictions (predict.c) follow when the manifests load at all. Exit status: 0 clean or notes only, 1 warnings, 3
 * errors, or warnings under --strict. */
#include "dry_tool.h"
#include "podglass/json.h"

#include <stdio.h>
#include <string.h>

enum format { TEXT, JSON, GITHUB };

static const struct pg_manifest_flags manifest_flags = {
    .filename = PG_FLAG_LINT_FILENAME,
    .recursive = PG_FLAG_LINT_RECURSIVE,
    .namespace = PG_FLAG_LINT_NAMESPACE,
    .strict = PG_FLAG_COUNT, /* judged here, so that predictions are still made */
    .set = PG_FLAG_LINT_SET,
    .dialect = PG_FLAG_LINT_DIALECT,
    .profile = PG_FLAG_LINT_PROFILE,
};

/* A finding or a prediction, to be printed. */
struct line {
    enum pg_finding_level level;
    const char *code;
    const char *object;
    const char *field;
    const char *text;
    const char *file;
    uint32_t line;
    uint32_t column;
};

static struct line line_of_finding(const struct pg_finding *f)
{
    return (struct line){f->level, f->code,        f->object,      f->field,
                         f->text,  f->source.file, f->source.line, f->column};
}

static struct line line_of_prediction(const struct pg_prediction *p)
{
    const struct pg_reason *r = pg_reason_get(p->reason);
    bool placed = r->line != 0;

    return (struct line){p->level,
                         pg_code_name(r->code),
                         p->object,
                         r->field,
                         p->text.at,
                         placed ? r->file : p->place.file,
                         placed ? r->line : p->place.line,
                         0};
}

/* ---- formats ---- */

static void put_text(const struct line *l, struct pg_text *out)
{
    struct pg_finding f = {.level = l->level,
                           .code = l->code,
                           .object = l->object,
                           .field = l->field,
                           .text = l->text,
                           .source = {l->file, l->line},
                           .column = l->column};

    pg_finding_print(&f, out);
    pg_text_putc(out, '\n');
}

static void put_json_line(const struct line *l, struct pg_json *j)
{
    static const char *const levels[] = {"error", "warning", "note"};

    pg_json_key_string(j, "level", levels[l->level]);
    pg_json_key_string(j, "code", l->code);
    pg_json_key_string(j, "object", l->object);
    pg_json_key_string(j, "path", l->field);
    pg_json_key_string(j, "file", l->file);
    pg_json_key_uint(j, "line", l->line);
    pg_json_key_uint(j, "column", l->column);
    pg_json_key_string(j, "text", l->text);
}

static void put_json_finding(const struct pg_finding *f, struct pg_json *j)
{
    struct line l = line_of_finding(f);

    pg_json_object(j);
    put_json_line(&l, j);
    pg_json_object_end(j);
}

static void put_json_prediction(const struct pg_prediction *p, struct pg_json *j)
{
    struct line l = line_of_prediction(p);
    char text[PG_ENDPOINT_TEXT];

    pg_json_object(j);
    put_json_line(&l, j);
    pg_json_key_string(j, "caller", pg_caller_name(p->caller));
    pg_json_key(j, "to");
    pg_json_array(j);
    for (uint32_t i = 0; i < p->to_count; i++) {
        pg_json_string(j, pg_endpoint_print(&p->to[i].addr, p->to[i].port, text));
    }
    pg_json_array_end(j);
    pg_json_key(j, "sees");
    pg_json_array(j);
    for (uint32_t i = 0; i < p->seen.count; i++) {
        pg_json_string(j, pg_addr_print(&p->seen.at[i], text));
    }
    if (p->seen.same) {
        pg_json_string(j, "caller");
    }
    pg_json_array_end(j);
    pg_json_key_bool(j, "maySeeNothing", p->silent);
    pg_json_object_end(j);
}

/* Workflow commands: '%' and line ends are encoded, in properties ':' and ',' too. */
static void put_github_text(const char *text, bool property, struct pg_text *out)
{
    struct pg_text plain = {0};

    pg_text_puts(&plain, "");
    pg_text_add_escaped(&plain, text, strlen(text));
    for (size_t i = 0; i < plain.len; i++) {
        char c = plain.at[i];
        if (c == '%' || (property && (c == ':' || c == ','))) {
            pg_text_printf(out, "%%%02X", (unsigned char)c);
        } else {
            pg_text_putc(out, c);
        }
    }
    pg_text_free(&plain);
}

static void put_github(const struct line *l, struct pg_text *out)
{
    static const char *const commands[] = {"error", "warning", "notice"};

    pg_text_printf(out, "::%s ", commands[l->level]);
    if (l->file[0]) {
        pg_text_puts(out, "file=");
        put_github_text(l->file, true, out);
        pg_text_printf(out, ",line=%u,", l->line);
        if (l->column) {
            pg_text_printf(out, "col=%u,", l->column);
        }
    }
    pg_text_printf(out, "title=%s::", l->code);
    if (l->object[0]) {
        put_github_text(l->object, false, out);
        pg_text_puts(out, ": ");
    }
    put_github_text(l->text, false, out);
    pg_text_putc(out, '\n');
}

/* ---- the whole ---- */

struct report {
    const struct pg_findings *findings;
    const struct pg_predictions *predictions;
    uint32_t counts[3]; /* per level */
};

static void put_lines(const struct report *r, enum format format, struct pg_text *out)
{
    for (uint32_t i = 0; i < r->findings->count + r->predictions->count; i++) {
        struct line l = i < r->findings->count
                            ? line_of_finding(&r->findings->at[i])
                            : line_of_prediction(&r->predictions->at[i - r->findings->count]);
        if (format == GITHUB) {
            put_github(&l, out);
        } else {
            put_text(&l, out);
        }
    }
}

static void put_report_json(const struct report *r, struct pg_text *out)
{
    struct pg_json j;

    pg_json_begin(&j, out);
    pg_json_object(&j);
    pg_json_key_string(&j, "apiVersion", "podglass/v1alpha1");
    pg_json_key_string(&j, "kind", "LintReport");
    pg_json_key_uint(&j, "errors", r->counts[PG_FINDING_ERROR]);
    pg_json_key_uint(&j, "warnings", r->counts[PG_FINDING_WARNING]);
    pg_json_key_uint(&j, "notes", r->counts[PG_FINDING_NOTE]);
    pg_json_key(&j, "findings");
    pg_json_array(&j);
    for (uint32_t i = 0; i < r->findings->count; i++) {
        put_json_finding(&r->findings->at[i], &j);
    }
    pg_json_array_end(&j);
    pg_json_key(&j, "predictions");
    pg_json_array(&j);
    for (uint32_t i = 0; i < r->predictions->count; i++) {
        put_json_prediction(&r->predictions->at[i], &j);
    }
    pg_json_array_end(&j);
    pg_json_object_end(&j);
    pg_text_putc(out, '\n');
}

static void put_report(const struct report *r, enum format format, struct pg_text *out)
{
    if (format == JSON) {
        put_report_json(r, out);
        return;
    }
    put_lines(r, format, out);
    if (format == TEXT && r->predictions->left_out) {
        pg_text_printf(out, "%u Ingress rules more were not looked at\n", r->predictions->left_out);
    }
    if (format == TEXT && r->predictions->outside_only) {
        pg_text_printf(out, "%u service ports more were looked at from outside only\n",
                       r->predictions->outside_only);
    }
    if (format == TEXT) {
        pg_text_printf(out, "%u errors, %u warnings, %u notes\n", r->counts[PG_FINDING_ERROR],
                       r->counts[PG_FINDING_WARNING], r->counts[PG_FINDING_NOTE]);
        pg_text_puts(out, r->counts[PG_FINDING_ERROR] + r->counts[PG_FINDING_WARNING] +
                                      r->counts[PG_FINDING_NOTE] >
                                  0
                              ? "podglass explain CODE says what one means, and what to do\n"
                              : "");
    }
}

static int status_of(const struct report *r, bool strict)
{
    if (r->counts[PG_FINDING_ERROR] || (strict && r->counts[PG_FINDING_WARNING])) {
        return PG_EXIT_MANIFEST;
    }
    return r->counts[PG_FINDING_WARNING] ? PG_EXIT_DIFFERENT : PG_EXIT_OK;
}

static int lint(const struct pg_options *o)
{
    const char *output = o->value[PG_FLAG_LINT_OUTPUT];
    enum format format = !output || strcmp(output, "text") == 0 ? TEXT
                         : strcmp(output, "json") == 0          ? JSON
                                                                : GITHUB;
    struct pg_snapshot *s = NULL;
    struct pg_findings findings = {0};
    struct pg_predictions predictions = {0};
    struct report r = {.findings = &findings, .predictions = &predictions};
    struct pg_text out = {0};
    int status = pg_manifests_read(o, &manifest_flags, &s, &findings);

    if (status == PG_EXIT_USAGE) {
        return status;
    }
    struct pg_dry *d = s ? pg_dry_new(s) : NULL;
    if (d) {
        pg_predict(d, &predictions);
    }
    for (uint32_t i = 0; i < findings.count; i++) {
        r.counts[findings.at[i].level]++;
    }
    for (uint32_t i = 0; i < predictions.count; i++) {
        r.counts[predictions.at[i].level]++;
    }
    put_report(&r, format, &out);
    fwrite(out.at, 1, out.len, stdout);
    status = status_of(&r, pg_options_has(o, PG_FLAG_LINT_STRICT));
    pg_text_free(&out);
    pg_predictions_free(&predictions);
    pg_dry_free(d);
    pg_snapshot_put(s);
    pg_findings_free(&findings);
    return fflush(stdout) == 0 ? status : PG_EXIT_DIFFERENT;
}

int pg_tool_lint(int argc, char **argv)
{
    struct pg_options o;
    int status = pg_options_parse(PG_VERB_LINT, argc, argv, &o);

    if (status) {
        return status;
    }
    status = pg_options_args(&o, 0, 0);
    status = status ? status : lint(&o);
    pg_options_free(&o);
    pg_reason_forget_all();
    return status;
}
