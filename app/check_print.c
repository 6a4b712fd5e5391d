/* Results of `podglass check` as text for people, as TAP 13 for test harnesses and as JSON.
 *
 * Names and values come from files and from pods, so each is escaped twice: once against terminals, once for the format. Only text has times, the
 * other two are the same for the same input. Called by check.c case after case; prints into a text that the caller drains. */
#include "check_internal.h"

#include <stdio.h>
#include <string.h>

#define NAME_WIDTH 72

static void puts_escaped(struct pg_text *out, const char *text)
{
    pg_text_add_escaped(out, text, strlen(text));
}

static void escaped_copy(const char *text, struct pg_text *out)
{
    pg_text_clear(out);
    pg_text_puts(out, "");
    puts_escaped(out, text);
}

/* Why, in the words of the record; without the file and line, which are printed apart. Empty: unknown. */
static void print_why(const struct pg_check_fault *f, struct pg_text *out)
{
    char why[512] = "";
    const struct pg_reason *reason = pg_reason_get(f->reason);
    if (f->reason != 0) {
        pg_reason_print(f->reason, why, sizeof why);
    }
    if (f->hop != 0) {
        pg_text_printf(out, "at hop %u", f->hop);
    }
    if (why[0] != 0) {
        pg_text_printf(out, "%s%s", f->hop != 0 ? ": " : "", why);
    }
    if (reason->code != PG_CODE_NONE && strstr(why, pg_code_name(reason->code)) == NULL) {
        pg_text_printf(out, "  %s", pg_code_name(reason->code));
    }
}

void pg_check_fault_line(const struct pg_check_fault *f, struct pg_text *out)
{
    puts_escaped(out, f->what);
    pg_text_puts(out, ": want ");
    puts_escaped(out, f->want.at);
    pg_text_puts(out, ", got ");
    puts_escaped(out, f->got.at);
    if (f->hop != 0 || f->reason != 0) {
        pg_text_puts(out, "; ");
        print_why(f, out);
    }
}

static void print_took(struct pg_text *out, uint64_t us)
{
    pg_text_printf(out, "%llu.%llums", (unsigned long long)us / 1000,
                   (unsigned long long)us / 100 % 10);
}

/* ---- text ---- */

static void print_text_faults(const struct pg_check_result *result, struct pg_text *out)
{
    struct pg_text cell = {0};
    int widths[3] = {0};
    for (uint32_t i = 0; i < result->fault_count; i++) {
        const struct pg_check_fault *f = &result->faults[i];
        const char *const cells[] = {f->what, f->want.at, f->got.at};
        for (int c = 0; c < 3; c++) {
            escaped_copy(cells[c], &cell);
            int width = cell.len < 40 ? (int)cell.len : 40;
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    for (uint32_t i = 0; i < result->fault_count; i++) {
        const struct pg_check_fault *f = &result->faults[i];
        escaped_copy(f->what, &cell);
        pg_text_printf(out, "      %-*s", widths[0], cell.at);
        escaped_copy(f->want.at, &cell);
        pg_text_printf(out, "   want %-*s", widths[1], cell.at);
        escaped_copy(f->got.at, &cell);
        pg_text_printf(out, "   got %-*s", widths[2], cell.at);
        if (f->hop != 0 || f->reason != 0) {
            pg_text_puts(out, "   ");
            print_why(f, out);
        }
        while (out->len > 0 && out->at[out->len - 1] == ' ') {
            out->at[--out->len] = 0;
        }
        pg_text_putc(out, '\n');
    }
    pg_text_free(&cell);
}

static void print_text(const struct pg_check_printer *p, const struct pg_check_result *result)
{
    bool good = result->fault_count == 0;
    struct pg_text name = {0};
    escaped_copy(result->check->name, &name);
    const char *color = !p->color ? "" : good ? "\033[32m" : "\033[1;31m";
    pg_text_printf(p->out, "%s%s%s  %-*s  ", color, good ? "ok  " : "FAIL",
                   p->color ? "\033[0m" : "", NAME_WIDTH, name.at);
    if (good) {
        print_took(p->out, result->took_us);
    } else {
        puts_escaped(p->out, result->check->source.file);
        pg_text_printf(p->out, ":%u", result->check->source.line);
    }
    pg_text_putc(p->out, '\n');
    print_text_faults(result, p->out);
    pg_text_free(&name);
}

/* ---- TAP ---- */

/* '#' would begin a directive (TODO, SKIP), and a backslash is what escapes it. */
static void print_description(struct pg_text *out, const char *text)
{
    struct pg_text plain = {0};
    escaped_copy(text, &plain);
    for (const char *c = plain.at; *c != 0; c++) {
        if (*c == '#' || *c == '\\') {
            pg_text_putc(out, '\\');
        }
        pg_text_putc(out, *c);
    }
    pg_text_free(&plain);
}

/* A JSON string is a YAML string, too. */
static void print_quoted(struct pg_text *out, const char *text)
{
    struct pg_text plain = {0};
    struct pg_json j;
    escaped_copy(text, &plain);
    pg_json_begin(&j, out);
    pg_json_string(&j, plain.at);
    pg_text_free(&plain);
}

static void print_place(struct pg_text *out, const char *file, uint32_t line)
{
    struct pg_text place = {0};
    pg_text_printf(&place, "%s:%u", file, line);
    print_quoted(out, place.at);
    pg_text_free(&place);
}

static void print_tap_fault(const struct pg_check_fault *f, struct pg_text *out)
{
    const struct pg_reason *reason = pg_reason_get(f->reason);
    struct pg_text why = {0};
    pg_text_puts(out, "    - what: ");
    print_quoted(out, f->what);
    pg_text_puts(out, "\n      want: ");
    print_quoted(out, f->want.at);
    pg_text_puts(out, "\n      got: ");
    print_quoted(out, f->got.at);
    pg_text_puts(out, "\n      expected_at: ");
    print_place(out, f->source.file, f->source.line);
    pg_text_putc(out, '\n');
    if (f->hop != 0) {
        pg_text_printf(out, "      hop: %u\n", f->hop);
    }
    if (reason->code != PG_CODE_NONE) {
        pg_text_printf(out, "      code: %s\n", pg_code_name(reason->code));
    }
    print_why(f, &why);
    if (why.len != 0) {
        pg_text_puts(out, "      why: ");
        print_quoted(out, why.at);
        pg_text_putc(out, '\n');
    }
    if (reason->file[0] != 0) {
        pg_text_puts(out, "      source: ");
        print_place(out, reason->file, reason->line);
        pg_text_putc(out, '\n');
    }
    pg_text_free(&why);
}

static void print_tap(const struct pg_check_printer *p, const struct pg_check_result *result)
{
    struct pg_text *out = p->out;
    bool good = result->fault_count == 0;
    pg_text_printf(out, "%s %u - ", good ? "ok" : "not ok", p->number);
    print_description(out, result->check->name);
    pg_text_putc(out, '\n');
    if (good) {
        return;
    }
    pg_text_puts(out, "  ---\n  at: ");
    print_place(out, result->check->source.file, result->check->source.line);
    pg_text_puts(out, "\n  faults:\n");
    for (uint32_t i = 0; i < result->fault_count; i++) {
        print_tap_fault(&result->faults[i], out);
    }
    pg_text_puts(out, "  ...\n");
}

/* ---- JSON ---- */

static void json_place(struct pg_json *j, const char *key, const char *file, uint32_t line)
{
    struct pg_text place = {0};
    pg_text_printf(&place, "%s:%u", file, line);
    pg_json_key_string(j, key, place.at);
    pg_text_free(&place);
}

static void json_text_or_null(struct pg_json *j, const char *key, const struct pg_text *text)
{
    pg_json_key_string(j, key, text->len != 0 ? text->at : NULL);
}

static void json_fault(struct pg_json *j, const struct pg_check_fault *f)
{
    const struct pg_reason *reason = pg_reason_get(f->reason);
    pg_json_object(j);
    pg_json_key_string(j, "what", f->what);
    pg_json_key_string(j, "want", f->want.at);
    pg_json_key_string(j, "got", f->got.at);
    json_place(j, "expectedAt", f->source.file, f->source.line);
    if (f->hop != 0) {
        pg_json_key_uint(j, "hop", f->hop);
    }
    if (reason->code != PG_CODE_NONE) {
        pg_json_key(j, "reason");
        pg_json_object(j);
        pg_json_key_string(j, "code", pg_code_name(reason->code));
        pg_json_key_string(j, "title", pg_code_title(reason->code));
        pg_json_key_string(j, "object", reason->object);
        pg_json_key_string(j, "path", reason->field);
        pg_json_key_string(j, "value", reason->value);
        pg_json_key_bool(j, "defaulted", reason->defaulted);
        if (reason->file[0] != 0) {
            json_place(j, "source", reason->file, reason->line);
        }
        pg_json_object_end(j);
    }
    pg_json_object_end(j);
}

static void print_json(struct pg_check_printer *p, const struct pg_check_run *r,
                       const struct pg_check_result *result)
{
    struct pg_json *j = &p->json;
    const struct pg_check_request *q = &result->check->request;
    pg_json_object(j);
    pg_json_key_string(j, "name", result->check->name);
    pg_json_key_bool(j, "passed", result->fault_count == 0);
    json_place(j, "source", result->check->source.file, result->check->source.line);
    pg_json_key_string(j, "from", q->from_text);
    pg_json_key_addr(j, "fromAddress", &r->from);
    pg_json_key_string(j, "method", q->method);
    pg_json_key_string(j, "url", q->url);
    pg_json_key_uint(j, "status", r->status);
    pg_json_key_string(j, "error",
                       r->problem.len != 0 ? r->problem.at
                       : r->error != 0     ? pg_check_error_name(r->error)
                                           : NULL);
    json_text_or_null(j, "service", &r->service);
    pg_json_key_string(j, "pod", r->account.pod);
    json_text_or_null(j, "endpoint", &r->endpoint);
    pg_json_key_addr(j, "peer", &r->account.seen.peer);
    pg_json_key_string(
        j, "verdict",
        r->account.said != NULL ? pg_verdict_name(pg_verdict_decide(&r->account.seen)) : NULL);
    pg_json_key(j, "faults");
    pg_json_array(j);
    for (uint32_t i = 0; i < result->fault_count; i++) {
        json_fault(j, &result->faults[i]);
    }
    pg_json_array_end(j);
    pg_json_object_end(j);
}

/* ---- all of it ---- */

void pg_check_print_begin(struct pg_check_printer *p, uint32_t cases)
{
    p->number = 0;
    if (p->form == PG_CHECK_TAP) {
        pg_text_printf(p->out, "TAP version 13\n1..%u\n", cases);
    } else if (p->form == PG_CHECK_JSON) {
        pg_json_begin(&p->json, p->out);
        pg_json_object(&p->json);
        pg_json_key_string(&p->json, "apiVersion", "podglass/v1alpha1");
        pg_json_key_string(&p->json, "kind", "CheckResult");
        pg_json_key(&p->json, "items");
        pg_json_array(&p->json);
    }
}

void pg_check_print_case(struct pg_check_printer *p, const struct pg_check_run *r,
                         const struct pg_check_result *result)
{
    p->number++;
    switch (p->form) {
    case PG_CHECK_TEXT: print_text(p, result); break;
    case PG_CHECK_TAP: print_tap(p, result); break;
    case PG_CHECK_JSON: print_json(p, r, result); break;
    }
}

void pg_check_print_end(struct pg_check_printer *p, const struct pg_check_summary *sum)
{
    if (p->form == PG_CHECK_TEXT) {
        pg_text_printf(p->out, "%u %s: %u passed, %u failed in %llu.%03llus\n", sum->cases,
                       sum->cases == 1 ? "case" : "cases", sum->passed, sum->cases - sum->passed,
                       (unsigned long long)sum->took_us / 1000000,
                       (unsigned long long)sum->took_us / 1000 % 1000);
        if (sum->passed != sum->cases) {
            pg_text_puts(p->out, "(their way: check --records FILE, then trace -f FILE; a code: "
                                 "explain PG101)\n");
        }
    } else if (p->form == PG_CHECK_JSON) {
        pg_json_array_end(&p->json);
        pg_json_key_uint(&p->json, "cases", sum->cases);
        pg_json_key_uint(&p->json, "passed", sum->passed);
        pg_json_key_uint(&p->json, "failed", sum->cases - sum->passed);
        pg_json_key_uint(&p->json, "seed", sum->seed);
        pg_json_object_end(&p->json);
        pg_text_putc(p->out, '\n');
    }
}
