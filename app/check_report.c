/* Results of `podglass check` for machines that show them to people: JUnit XML for continuous integration, and GitHub's workflow commands, which put a
 * message beside a line of a file.
 *
 * Everything printed comes from files and pods. It is made printable first (no control bytes, no invalid UTF-8, which XML could not even
 * hold), then escaped for the format, so that a name can neither end an attribute nor begin a command. Called by check.c. */
#include "check_internal.h"

#include <string.h>

/* ---- XML ---- */

static void add_xml(struct pg_text *out, const char *text)
{
    struct pg_text plain = {0};
    pg_text_add_escaped(&plain, text, strlen(text));
    for (const char *c = plain.at != NULL ? plain.at : ""; *c != 0; c++) {
        switch (*c) {
        case '&': pg_text_puts(out, "&amp;"); break;
        case '<': pg_text_puts(out, "&lt;"); break;
        case '>': pg_text_puts(out, "&gt;"); break;
        case '"': pg_text_puts(out, "&quot;"); break;
        case '\'': pg_text_puts(out, "&apos;"); break;
        default: pg_text_putc(out, *c); break;
        }
    }
    pg_text_free(&plain);
}

static void add_attribute(struct pg_text *out, const char *name, const char *value)
{
    pg_text_printf(out, " %s=\"", name);
    add_xml(out, value);
    pg_text_putc(out, '"');
}

static void add_seconds(struct pg_text *out, uint64_t us)
{
    pg_text_printf(out, " time=\"%llu.%06llu\"", (unsigned long long)us / 1000000,
                   (unsigned long long)us % 1000000);
}

void pg_check_junit_case(const struct pg_check_result *result, struct pg_text *out)
{
    const struct pg_check_case *c = result->check;
    struct pg_text line = {0};
    pg_text_puts(out, "    <testcase");
    add_attribute(out, "name", c->name);
    add_attribute(out, "classname", c->source.file);
    add_attribute(out, "file", c->source.file);
    pg_text_printf(out, " line=\"%u\"", c->source.line);
    add_seconds(out, result->took_us);
    if (result->fault_count == 0) {
        pg_text_puts(out, "/>\n");
        return;
    }
    pg_text_puts(out, ">\n      <failure type=\"check\"");
    pg_check_fault_line(&result->faults[0], &line);
    add_attribute(out, "message", line.at);
    pg_text_putc(out, '>');
    for (uint32_t i = 0; i < result->fault_count; i++) {
        pg_text_clear(&line);
        pg_check_fault_line(&result->faults[i], &line);
        add_xml(out, line.at);
        pg_text_putc(out, '\n');
    }
    pg_text_puts(out, "</failure>\n    </testcase>\n");
    pg_text_free(&line);
}

void pg_check_junit(const struct pg_text *cases, const struct pg_check_summary *sum,
                    struct pg_text *out)
{
    pg_text_puts(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    pg_text_printf(out,
                   "  <testsuite name=\"podglass check\" tests=\"%u\" failures=\"%u\" "
                   "errors=\"0\" skipped=\"0\"",
                   sum->cases, sum->cases - sum->passed);
    add_seconds(out, sum->took_us);
    pg_text_puts(out, ">\n");
    pg_text_puts(out, cases->at != NULL ? cases->at : "");
    pg_text_puts(out, "  </testsuite>\n</testsuites>\n");
}

/* ---- GitHub ---- */

/* %, and in a property also what divides properties; line ends are gone already. */
static void add_command(struct pg_text *out, const char *text, bool property)
{
    struct pg_text plain = {0};
    pg_text_add_escaped(&plain, text, strlen(text));
    for (const char *c = plain.at != NULL ? plain.at : ""; *c != 0; c++) {
        if (*c == '%' || (property && (*c == ':' || *c == ','))) {
            pg_text_printf(out, "%%%02X", (unsigned)*c);
        } else {
            pg_text_putc(out, *c);
        }
    }
    pg_text_free(&plain);
}

static void begin_command(struct pg_text *out, const char *level, const char *file, uint32_t line,
                          const char *title)
{
    pg_text_printf(out, "::%s ", level);
    if (file[0] != 0) {
        pg_text_puts(out, "file=");
        add_command(out, file, true);
        pg_text_printf(out, ",line=%u,", line != 0 ? line : 1);
    }
    pg_text_puts(out, "title=");
    add_command(out, title, true);
    pg_text_puts(out, "::");
}

/* Beside the line that is to blame if there is one, else beside the case. */
void pg_check_github_case(const struct pg_check_result *result, struct pg_text *out)
{
    for (uint32_t i = 0; i < result->fault_count; i++) {
        const struct pg_check_fault *f = &result->faults[i];
        const struct pg_reason *reason = pg_reason_get(f->reason);
        bool to_blame = reason->file[0] != 0 && reason->line != 0;
        struct pg_text line = {0};
        begin_command(out, "error", to_blame ? reason->file : f->source.file,
                      to_blame ? reason->line : f->source.line, result->check->name);
        pg_check_fault_line(f, &line);
        pg_text_printf(&line, " (%s:%u)", f->source.file, f->source.line);
        add_command(out, line.at, false);
        pg_text_putc(out, '\n');
        pg_text_free(&line);
    }
}

void pg_check_github_finding(const struct pg_finding *f, struct pg_text *out)
{
    static const char *const levels[] = {[PG_FINDING_ERROR] = "error",
                                         [PG_FINDING_WARNING] = "warning",
                                         [PG_FINDING_NOTE] = "notice"};
    struct pg_text line = {0};
    begin_command(out, levels[f->level], f->source.file, f->source.line, f->code);
    pg_text_printf(&line, "%s%s%s%s%s", f->object, f->object[0] != 0 ? ": " : "", f->field,
                   f->field[0] != 0 ? ": " : "", f->text);
    add_command(out, line.at, false);
    pg_text_putc(out, '\n');
    pg_text_free(&line);
}
