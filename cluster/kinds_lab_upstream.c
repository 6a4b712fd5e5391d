/* spec.ingress.upstream and balance of a Lab: whom the ingress connects to, and how it chooses among pods.
 *
 * Called by kinds_lab_ingress.c. */
#include "cluster_internal.h"

void pg_kinds_lab_upstream(const struct pg_field *ingress, struct pg_ingress_settings *to)
{
    static const char *const modes[] = {"service", "endpoints", NULL};
    static const char *const balances[] = {"roundRobin", "leastConnections", NULL};
    struct pg_field mode = pg_field_get(ingress, "upstream");
    struct pg_field balance = pg_field_get(ingress, "balance");
    to->upstream = (enum pg_upstream_mode)pg_field_enum(&mode, modes, PG_UPSTREAM_SERVICE);
    to->balance = (enum pg_balance_kind)pg_field_enum(&balance, balances, PG_BALANCE_ROUND_ROBIN);
    to->upstream_source = pg_field_source(&mode);
    if (pg_field_is(&balance) && to->upstream != PG_UPSTREAM_ENDPOINTS)
        pg_field_error(&balance, "means something only with upstream: endpoints");
}
