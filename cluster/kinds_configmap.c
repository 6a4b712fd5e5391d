/* ConfigMap: no part of the path, unless it is the one of ingress-nginx.
 *
 * Called by kinds.c. */
#include "annotations.h"

/* A ConfigMap has no part in the path, unless it is the one of ingress-nginx. */
void pg_kinds_config_map(struct pg_load *load, const struct pg_object *object)
{
    static const char *const keys[] = {"use-forwarded-headers",
                                       "compute-full-forwarded-for",
                                       "forwarded-for-header",
                                       "use-proxy-protocol",
                                       "enable-real-ip",
                                       "proxy-real-ip-cidr",
                                       NULL};
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field map = pg_field_get(&root, "data");
    uint32_t found = 0;
    for (const char *const *key = keys; *key != NULL; key++) {
        struct pg_field f = pg_field_get(&map, *key);
        if (!pg_field_is(&f))
            continue;
        found++;
        pg_field_warn(&f, PG_CODE_UNSUPPORTED,
                      "settings of ingress-nginx are not read yet; the Lab's spec.ingress has "
                      "trustedProxies");
    }
    if (found == 0 && pg_index_add(&load->kinds_noted, "ConfigMap", 9, 0) == PG_INDEX_ABSENT)
        pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_IGNORED, object->title, "", &object->source,
                       "kind does not take part in the path");
}
