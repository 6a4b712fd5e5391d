/* folder: tools */
/* Manifests as the flags of a verb name them. */
#ifndef PODGLASS_MANIFESTS_H
#define PODGLASS_MANIFESTS_H

#include "podglass/checks.h"
#include "podglass/snapshot.h"
#include "podglass/tools.h"

/* The flags of a verb that say what to load. PG_FLAG_COUNT: the verb has no such flag. */
struct pg_manifest_flags {
    enum pg_flag filename, recursive, namespace, strict, set, dialect, profile;
    enum pg_pods_mode pods;
    struct pg_checks *checks; /* filled with documents of kind Check; NULL: they are not wanted */
};
/* 0 or PG_EXIT_MANIFEST, findings filled and not said; PG_EXIT_USAGE, said. */
int pg_manifests_read(const struct pg_options *o, const struct pg_manifest_flags *flags,
                      struct pg_snapshot **ret, struct pg_findings *ret_findings);
/* 0; or an exit status after saying why. Findings go to standard error; quiet: notes do not. */
int pg_manifests_load(const struct pg_options *o, const struct pg_manifest_flags *flags, bool quiet,
                      struct pg_snapshot **ret, struct pg_findings *ret_findings);

#endif
