/* ConfigMap: no part of the path, unless it is the one of ingress-nginx, which derive_nginx.c looks for among those kept here.
 *
 * Called by kinds.c. */
#include "cluster_internal.h"

void pg_kinds_config_map(struct pg_load *load, const struct pg_object *object)
{
    struct pg_object *kept = pg_arena_alloc(&load->scratch, sizeof(*kept));
    *kept = *object;
    pg_list_add_pointer(&load->config_maps, kept);
}
