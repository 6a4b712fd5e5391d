/* IngressClass: which controller serves an Ingress, and whether it serves those that name no class.
 *
 * Called by kinds.c; adds to load->classes, which derive_routes.c asks. */
#include "cluster_internal.h"

#include <string.h>

static const struct pg_known spec_fields[] = {
    {"controller", NULL}, {"parameters", "parameters of a controller are not read"}, {NULL, NULL}};

void pg_kinds_ingress_class(struct pg_load *load, const struct pg_object *object)
{
    struct pg_raw_class *c = pg_arena_alloc(&load->scratch, sizeof(*c));
    struct pg_field root = pg_field_of(load, object, object->root);
    struct pg_field metadata = pg_field_get(&root, "metadata");
    struct pg_field annotations = pg_field_get(&metadata, "annotations");
    struct pg_field is_default =
        pg_field_get(&annotations, "ingressclass.kubernetes.io/is-default-class");
    struct pg_field spec = pg_field_get(&root, "spec");
    struct pg_field controller = pg_field_get(&spec, "controller");
    (void)pg_field_map(&spec);
    pg_field_known(&spec, spec_fields, false);
    c->object = *object;
    c->controller = pg_field_text(&controller, "");
    c->is_default = strcmp(pg_field_text(&is_default, ""), "true") == 0;
    if (!pg_field_is(&controller))
        pg_field_error(&controller, "an IngressClass needs the name of its controller");
    pg_list_add_pointer(&load->classes, c);
}
