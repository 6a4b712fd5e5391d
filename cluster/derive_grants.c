/* ReferenceGrants: who may name an object of another namespace.
 *
 * Called by derive_httproute.c for backends and by derive_gateway_tls.c for certificates. A grant lies in the namespace of what is named, and says which kind out of which
 * namespace may name which kind here, all or one of a name. */
#include "gateway.h"

#include <string.h>

/* all: an end without a name stands for every name. */
static bool end_there(const struct pg_list *ends, const char *kind, const char *name, bool all)
{
    for (uint32_t i = 0; i < ends->count; i++) {
        const struct pg_raw_grant_end *e = PG_LIST_AT(*ends, const struct pg_raw_grant_end, i);
        if (strcmp(e->kind, kind) == 0 &&
            (strcmp(e->name, name) == 0 || (all && e->name[0] == '\0')))
            return true;
    }
    return false;
}

bool pg_gateway_granted(const struct pg_load *load, const char *from_kind, const char *from,
                        const char *to_kind, const char *to, const char *name)
{
    for (uint32_t i = 0; i < load->grants.count; i++) {
        const struct pg_raw_grant *g = PG_LIST_POINTER(load->grants, const struct pg_raw_grant, i);
        if (strcmp(g->object.namespace, to) == 0 && end_there(&g->from, from_kind, from, false) &&
            end_there(&g->to, to_kind, name, true))
            return true;
    }
    return false;
}
