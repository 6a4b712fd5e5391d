/* spec.ingress.upstream, balance, trailers, h2c and mergeSlashes of a Lab: whom the ingress connects to, how it chooses among pods, and what of HTTP it lets through.
 *
 * Called by kinds_lab_ingress.c. */
#include "cluster_internal.h"

static void protocols_read(const struct pg_field *ingress, struct pg_ingress_settings *to)
{
    static const char *const fates[] = {"drop", "keep", NULL};
    struct pg_field trailers = pg_field_get(ingress, "trailers");
    struct pg_field h2c = pg_field_get(ingress, "h2c");
    struct pg_field merge = pg_field_get(ingress, "mergeSlashes");
    to->keep_trailers = pg_field_enum(&trailers, fates, 0) == 1;
    to->trailers_source = pg_field_source(&trailers);
    to->h2c = pg_field_bool(&h2c, false);
    to->slashes_source = pg_field_source(&merge);
    if (pg_field_is(&merge))
        to->keep_slashes = !pg_field_bool(&merge, true);
}

void pg_kinds_lab_upstream(const struct pg_field *ingress, struct pg_ingress_settings *to)
{
    static const char *const modes[] = {"service", "endpoints", NULL};
    static const char *const balances[] = {"roundRobin", "leastConnections", NULL};
    struct pg_field mode = pg_field_get(ingress, "upstream");
    struct pg_field balance = pg_field_get(ingress, "balance");
    to->upstream = (enum pg_upstream_mode)pg_field_enum(&mode, modes, PG_UPSTREAM_SERVICE);
    to->balance = (enum pg_balance_kind)pg_field_enum(&balance, balances, PG_BALANCE_ROUND_ROBIN);
    to->upstream_source = pg_field_source(&mode);
    protocols_read(ingress, to);
    if (pg_field_is(&balance) && to->upstream != PG_UPSTREAM_ENDPOINTS)
        pg_field_error(&balance, "means something only with upstream: endpoints");
}
