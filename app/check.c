/* The verb `check`: proves in a test what pods see of their clients.
 *
 * Manifests and checks are read as one input, so a mistake in either ends with its place and status 3 before anything is sent. Then each case runs on the
 * in-process wire: real TCP/IP, no privilege, no device, and the same result every time for the same seed. Results are printed as they come. */
#include "podglass/run.h"

#include "check_internal.h"
#include "podglass/manifests.h"
#include "podglass/outcome.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct check {
    struct pg_options options;
    struct pg_checks checks;
    struct pg_snapshot *snapshot;
    struct pg_check_printer printer;
    struct pg_check_summary sum;
    struct pg_text out;     /* for standard output, drained after each case */
    struct pg_text junit;   /* of all cases so far */
    struct pg_text records; /* of all cases so far, as JSON lines */
    bool github;
};

static int read_options(struct check *c, int argc, char **argv)
{
    int status = pg_options_parse(PG_VERB_CHECK, argc, argv, &c->options);
    if (status != 0) {
        return status;
    }
    const struct pg_options *o = &c->options;
    const char *output = o->value[PG_FLAG_CHECK_OUTPUT];
    if (output == NULL) {
        output = isatty(STDOUT_FILENO) ? "text" : "tap";
    }
    c->printer = (struct pg_check_printer){.form = strcmp(output, "text") == 0  ? PG_CHECK_TEXT
                                                   : strcmp(output, "tap") == 0 ? PG_CHECK_TAP
                                                                                : PG_CHECK_JSON,
                                           .color = strcmp(output, "text") == 0 &&
                                                    pg_want_color(o->value[PG_FLAG_CHECK_COLOR]),
                                           .out = &c->out};
    c->github = pg_options_has(o, PG_FLAG_CHECK_GITHUB);
    c->sum.seed = 1;
    status = pg_options_number(o, PG_FLAG_CHECK_SEED, 0, UINT64_MAX, &c->sum.seed);
    return status != 0 ? status : pg_options_args(o, 0, 0);
}

/* ---- manifests and checks ---- */

static void print_findings(const struct check *c, const struct pg_findings *findings)
{
    struct pg_text text = {0};
    for (uint32_t i = 0; i < findings->count; i++) {
        pg_finding_print(&findings->at[i], &text);
        pg_text_putc(&text, '\n');
        if (c->github) {
            pg_check_github_finding(&findings->at[i], &text);
        }
    }
    fputs(text.at != NULL ? text.at : "", stderr);
    pg_text_free(&text);
}

static int load(struct check *c)
{
    struct pg_manifest_flags flags = {.filename = PG_FLAG_CHECK_FILENAME,
                                      .recursive = PG_FLAG_CHECK_RECURSIVE,
                                      .namespace = PG_FLAG_CHECK_NAMESPACE,
                                      .strict = PG_FLAG_CHECK_STRICT,
                                      .set = PG_FLAG_CHECK_SET,
                                      .dialect = PG_FLAG_CHECK_DIALECT,
                                      .pods = PG_PODS_ECHO,
                                      .profile = PG_FLAG_CHECK_PROFILE,
                                      .checks = &c->checks};
    struct pg_findings findings;
    int status = pg_manifests_read(&c->options, &flags, &c->snapshot, &findings);
    if (status == PG_EXIT_USAGE) {
        return status;
    }
    print_findings(c, &findings);
    pg_findings_free(&findings);
    if (status != 0) {
        return status;
    }
    if (c->checks.documents == 0) {
        return pg_options_complain(PG_VERB_CHECK,
                                   "none of the inputs has a document of kind Check");
    }
    return 0;
}

/* ---- the cases ---- */

static uint64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int run_case(struct check *c, uint32_t i, struct pg_check_run *run,
                    struct pg_check_result *result)
{
    bool want_records = pg_options_has(&c->options, PG_FLAG_CHECK_RECORDS);
    uint64_t begin_us = clock_us();
    int error = pg_check_send(&c->checks.cases[i], c->snapshot, c->sum.seed, run,
                              want_records ? &c->records : NULL);
    if (error != 0) {
        pg_options_complain(PG_VERB_CHECK, "no path can be set up: %s", strerror(-error));
        return PG_EXIT_PRIVILEGE;
    }
    pg_check_judge(run, result);
    result->took_us = clock_us() - begin_us;
    c->sum.passed += result->fault_count == 0;
    pg_check_print_case(&c->printer, run, result);
    fwrite(c->out.at, 1, c->out.len, stdout);
    pg_text_clear(&c->out);
    pg_check_junit_case(result, &c->junit);
    if (c->github && result->fault_count != 0) {
        struct pg_text text = {0};
        pg_check_github_case(result, &text);
        fflush(stdout);
        fputs(text.at, stderr);
        pg_text_free(&text);
    }
    return 0;
}

static int run_cases(struct check *c)
{
    struct pg_check_run *run = calloc(1, sizeof *run);
    struct pg_check_result *result = calloc(1, sizeof *result);
    uint64_t begin_us = clock_us();
    int status = 0;
    if (run == NULL || result == NULL) {
        free(run);
        free(result);
        return PG_EXIT_PRIVILEGE;
    }
    c->sum.cases = c->checks.count;
    pg_check_print_begin(&c->printer, c->checks.count);
    for (uint32_t i = 0; i < c->checks.count && status == 0; i++) {
        status = run_case(c, i, run, result);
        pg_check_result_clear(result);
        pg_check_run_clear(run);
    }
    free(run);
    free(result);
    c->sum.took_us = clock_us() - begin_us;
    if (status == 0) {
        pg_check_print_end(&c->printer, &c->sum);
        fwrite(c->out.at != NULL ? c->out.at : "", 1, c->out.len, stdout);
    }
    return status;
}

static bool write_file(const char *path, const struct pg_text *text)
{
    FILE *f = fopen(path, "w");
    bool good = f != NULL && fwrite(text->at != NULL ? text->at : "", 1, text->len, f) == text->len;
    if (f == NULL || fclose(f) != 0 || !good) {
        pg_options_complain(PG_VERB_CHECK, "%s: %s", path, strerror(errno));
        return false;
    }
    return true;
}

static bool write_files(const struct check *c)
{
    const char *junit = c->options.value[PG_FLAG_CHECK_JUNIT];
    const char *records = c->options.value[PG_FLAG_CHECK_RECORDS];
    struct pg_text report = {0};
    pg_check_junit(&c->junit, &c->sum, &report);
    bool good = junit == NULL || write_file(junit, &report);
    good = (records == NULL || write_file(records, &c->records)) && good;
    pg_text_free(&report);
    return good;
}

int pg_run_check(int argc, char **argv)
{
    struct check *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return PG_EXIT_PRIVILEGE;
    }
    int status = read_options(c, argc, argv);
    status = status == 0 ? load(c) : status;
    status = status == 0 ? run_cases(c) : status;
    if (status == 0 && (!write_files(c) || fflush(stdout) != 0 || c->sum.passed < c->sum.cases)) {
        status = PG_EXIT_DIFFERENT;
    }
    pg_checks_free(&c->checks);
    pg_snapshot_put(c->snapshot);
    pg_text_free(&c->out);
    pg_text_free(&c->junit);
    pg_text_free(&c->records);
    pg_options_free(&c->options);
    free(c);
    pg_reason_forget_all();
    return status;
}
