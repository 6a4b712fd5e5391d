/* What --set and --dialect lay over the manifests, as pg_snapshot_load takes it.
 *
 * Called by the verbs that load manifests. --dialect X is --set lab.dialect=X; it comes last, so it wins, and the N of a place "--set:N" is that of the command line. */
#include "podglass/service_settings.h"
#include "podglass/tools.h"

#include <string.h>

static const char *dialect_as_set(const char *name)
{
    static const char *const sets[] = {"lab.dialect=kube-proxy-nftables", "lab.dialect=cilium-snat",
                                       "lab.dialect=cilium-dsr"};
    _Static_assert(sizeof(sets) / sizeof(sets[0]) == PG_DIALECT_COUNT, "all of them");

    for (size_t i = 0; i < PG_DIALECT_COUNT; i++) {
        if (strcmp(pg_dialect_name((enum pg_dialect)i), name) == 0) {
            return sets[i];
        }
    }
    return sets[PG_DIALECT_KUBE_PROXY]; /* the parser takes nothing else */
}

int pg_options_sets(const struct pg_options *o, enum pg_flag set, const char *dialect,
                    const char **sets, uint32_t room, uint32_t *ret_count)
{
    uint32_t cursor = 0;
    uint32_t count = 0;
    const char *value = NULL;

    while (set != PG_FLAG_COUNT && (value = pg_options_next(o, set, &cursor)) != NULL) {
        if (count + 1 == room) {
            return pg_options_complain(o->verb, "more than %u --set", room - 1);
        }
        sets[count++] = value;
    }
    if (dialect) {
        sets[count++] = dialect_as_set(dialect);
    }
    *ret_count = count;
    return 0;
}
