/* Manifests as the flags of a verb name them.
 *
 * Called by the verbs that run dry, and by those that send requests in this process. What is wrong with the input is said on standard error, one finding a line, as `run` does. */
#include "podglass/manifests.h"

#include "podglass/tls_decide.h"

#include <stdio.h>
#include <stdlib.h>

#define INPUTS_MOST 256

static const char *value_of(const struct pg_options *o, enum pg_flag f)
{
    return f == PG_FLAG_COUNT ? NULL : o->value[f];
}

static void say_findings(const struct pg_findings *f, bool quiet)
{
    struct pg_text line = {0};

    for (uint32_t i = 0; i < f->count; i++) {
        if (quiet && f->at[i].level == PG_FINDING_NOTE) {
            continue;
        }
        pg_text_clear(&line);
        pg_finding_print(&f->at[i], &line);
        fprintf(stderr, "%s\n", line.at);
    }
    pg_text_free(&line);
}

int pg_manifests_read(const struct pg_options *o, const struct pg_manifest_flags *flags,
                      struct pg_snapshot **ret, struct pg_findings *ret_findings)
{
    struct pg_manifest_input inputs[INPUTS_MOST] = {{0}};
    const char *sets[PG_SETS_MOST];
    struct pg_load_options load = {.strict = value_of(o, flags->strict) != NULL,
                                   .recursive = value_of(o, flags->recursive) != NULL,
                                   .namespace = value_of(o, flags->namespace),
                                   .pods = flags->pods,
                                   .checks = flags->checks,
                                   .check_pair = pg_tls_check_pair,
                                   .covers_host = pg_tls_covers_host,
                                   .names_of = pg_tls_names_of,
                                   .check_upstream = pg_tls_check_upstream,
                                   .profile = value_of(o, flags->profile),
                                   .sets = sets};
    uint32_t count = 0;
    uint32_t cursor = 0;
    const char *value;

    while ((value = pg_options_next(o, flags->filename, &cursor)) != NULL) {
        if (count == INPUTS_MOST) {
            return pg_options_complain(o->verb, "more than %d -f; give a directory", INPUTS_MOST);
        }
        inputs[count++].path = value;
    }
    if (count == 0) {
        return pg_options_complain(o->verb, "no manifests: give -f FILE, -f DIR or -f -");
    }
    if (pg_options_sets(o, flags->set, value_of(o, flags->dialect), sets, PG_SETS_MOST,
                        &load.set_count) != 0) {
        return PG_EXIT_USAGE;
    }
    return pg_snapshot_load(inputs, count, &load, ret, ret_findings) == 0 ? 0 : PG_EXIT_MANIFEST;
}

int pg_manifests_load(const struct pg_options *o, const struct pg_manifest_flags *flags, bool quiet,
                      struct pg_snapshot **ret, struct pg_findings *ret_findings)
{
    int status = pg_manifests_read(o, flags, ret, ret_findings);

    if (status != PG_EXIT_USAGE) {
        say_findings(ret_findings, quiet && status == 0);
    }
    return status;
}
