/* spec.ingress.limits and spec.ingress.timeouts of a Lab: the table of ingress_limits.def, read.
 *
 * Called by kinds_lab_ingress.c, and by proxy/ for names. What is not written keeps the table's value. */
#include "cluster_internal.h"

#include <string.h>

static const struct limit {
    const char *group;
    const char *name;
    const char *path;
    int64_t unit, least, most, fallback;
} limits[] = {
#define PG_LIMIT(id, group, name, unit, least, most, fallback, text) \
    {(group), (name), "spec.ingress." group "." name, (unit), (least), (most), (fallback)},
#include "podglass/ingress_limits.def"
#undef PG_LIMIT
};
_Static_assert(sizeof(limits) / sizeof(limits[0]) == PG_LIMIT_COUNT, "a row per limit");

const char *pg_limit_path(enum pg_limit l)
{
    return limits[l].path;
}

void pg_ingress_limits_default(struct pg_ingress_limits *ret)
{
    for (unsigned i = 0; i < PG_LIMIT_COUNT; i++) {
        ret->value[i] = (uint64_t)(limits[i].fallback * limits[i].unit);
        ret->source[i] = (struct pg_source){.file = ""};
    }
}

static void group_read(const struct pg_field *ingress, const char *group,
                       struct pg_ingress_limits *to)
{
    struct pg_known known[PG_LIMIT_COUNT + 1] = {{NULL, NULL}};
    struct pg_field map = pg_field_get(ingress, group);
    unsigned count = 0;
    (void)pg_field_map(&map);
    for (unsigned i = 0; i < PG_LIMIT_COUNT; i++) {
        const struct limit *l = &limits[i];
        if (strcmp(l->group, group) != 0)
            continue;
        known[count++].name = l->name;
        struct pg_field f = pg_field_get(&map, l->name);
        if (!pg_field_is(&f))
            continue;
        to->value[i] = (uint64_t)(pg_field_int(&f, l->least, l->most, l->fallback) * l->unit);
        to->source[i] = pg_field_source(&f);
    }
    pg_field_known(&map, known, true);
}

void pg_kinds_lab_limits(const struct pg_field *ingress, struct pg_ingress_limits *to)
{
    group_read(ingress, "limits", to);
    group_read(ingress, "timeouts", to);
}
