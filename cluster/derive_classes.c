/* Classes: which Ingress objects our ingress serves.
 *
 * Called by derive_routes.c. Without IngressClass objects in the input nobody can tell whose an Ingress is, so all are served, with a note where they
 * differ. With IngressClass objects it is as in a cluster: an Ingress belongs to the class it names, or to the default class if it names none; one
 * that has no class, or names one that is not there, is served by nobody. One ingress has one controller: that of the Lab's `spec.ingress.class`,
 * or whichever is there. The annotation of old names a class as well, and needs no object of that name. */
#include "annotations.h"

#include <string.h>

static const struct pg_raw_class *class_named(const struct pg_load *load, const char *name)
{
    for (uint32_t i = 0; i < load->classes.count; i++) {
        const struct pg_raw_class *c = PG_LIST_POINTER(load->classes, const struct pg_raw_class, i);
        if (strcmp(c->object.name, name) == 0)
            return c;
    }
    return NULL;
}

/* Of several the one made last, as the API server does it; then the first by name. */
static const struct pg_raw_class *default_class(const struct pg_load *load)
{
    const struct pg_raw_class *best = NULL;
    for (uint32_t i = 0; i < load->classes.count; i++) {
        const struct pg_raw_class *c = PG_LIST_POINTER(load->classes, const struct pg_raw_class, i);
        if (!c->is_default)
            continue;
        int order = best == NULL ? 1 : strcmp(c->object.created, best->object.created);
        if (order > 0 || (order == 0 && strcmp(c->object.name, best->object.name) < 0))
            best = c;
    }
    return best;
}

static void leave_out(struct pg_load *load, struct pg_raw_ingress *in, const char *text)
{
    bool written = in->class_source.line > 0;
    in->served = false;
    pg_finding_add(load, PG_FINDING_WARNING, PG_CODE_DANGLING, in->object.title,
                   written ? in->class_field : "spec.ingressClassName",
                   written ? &in->class_source : &in->object.source, "%s", text);
}

static void note_other(struct pg_load *load, const struct pg_raw_ingress *first,
                       const struct pg_raw_ingress *in)
{
    pg_finding_add(load, PG_FINDING_NOTE, PG_CODE_ASSUMED, in->object.title, in->class_field,
                   &in->class_source,
                   "class \"%.60s\", while %s has \"%.60s\": all classes are served by the one "
                   "ingress",
                   in->class_name, first->object.title, first->class_name);
}

/* Which class decides, with a controller that must be ours. false: said why. */
static bool decide(struct pg_load *load, struct pg_raw_ingress *in, const char *controller)
{
    struct pg_arena *scratch = &load->scratch;
    bool named = in->class_name[0] != '\0';
    const struct pg_raw_class *c = named ? class_named(load, in->class_name) : default_class(load);
    if (c == NULL && named)
        leave_out(load, in,
                  pg_arena_printf(scratch,
                                  "there is no IngressClass %.80s: no controller serves this "
                                  "Ingress",
                                  in->class_name));
    else if (c == NULL)
        leave_out(load, in,
                  "it names no class and no IngressClass is the default one: no controller serves "
                  "this Ingress");
    else if (controller != NULL && strcmp(c->controller, controller) != 0)
        leave_out(load, in,
                  pg_arena_printf(
                      scratch, "class %.80s belongs to the controller %.80s, our ingress is %.80s",
                      c->object.name, c->controller, controller));
    else
        return true;
    return false;
}

/* The controller the Lab chose; NULL: any. */
static const char *controller_of_lab(struct pg_load *load)
{
    const struct pg_raw_lab *lab = load->lab;
    if (lab->ingress_class[0] == '\0')
        return NULL;
    const struct pg_raw_class *c = class_named(load, lab->ingress_class);
    if (c != NULL)
        return c->controller;
    pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, lab->object.title, "spec.ingress.class",
                   &lab->ingress_class_source, "there is no IngressClass %.80s",
                   lab->ingress_class);
    return NULL;
}

void pg_derive_classes(struct pg_load *load)
{
    const char *controller = load->classes.count > 0 ? controller_of_lab(load) : NULL;
    const char *wanted = load->classes.count > 0 ? "" : load->lab->ingress_class;
    const struct pg_raw_ingress *first = NULL;
    bool noted = false;
    for (uint32_t i = 0; i < load->ingresses.count; i++) {
        struct pg_raw_ingress *in = PG_LIST_POINTER(load->ingresses, struct pg_raw_ingress, i);
        in->served = true;
        if (load->classes.count > 0 && !decide(load, in, controller))
            continue;
        if (wanted[0] != '\0' && in->class_name[0] != '\0' && strcmp(wanted, in->class_name) != 0) {
            leave_out(load, in, "the Lab's spec.ingress.class is another");
            continue;
        }
        if (in->class_name[0] == '\0')
            continue;
        if (first == NULL)
            first = in;
        else if (!noted && strcmp(first->class_name, in->class_name) != 0) {
            note_other(load, first, in);
            noted = true;
        }
    }
}
