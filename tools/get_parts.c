/* What `get` and `describe` are asked for: kinds and names, as kubectl has them.
 *
 *   svc            all of a kind, by its name, its plural or a short one       svc,ep     of several kinds
 *   svc web        one by its name, or several: svc web shop/api               svc/web    the same; several of different kinds: svc/web no/node-1
 *
 * The name behind the first slash may have a namespace: svc/shop/web. Called by get.c and describe.c; texts are those of argv. */
#include "get_internal.h"

#include <string.h>

enum pg_get_type pg_get_type_of(const char *name)
{
    unsigned t = 0;

    while (t < PG_GET_TYPE_COUNT && strcmp(pg_type_rows[t].name, name) != 0 &&
           !pg_word_in(pg_type_rows[t].aliases, ' ', name)) {
        t++;
    }
    return (enum pg_get_type)t;
}

int pg_get_complain_about_type(enum pg_verb verb, const char *name)
{
    struct pg_text list = {0};

    for (unsigned t = 0; t < PG_GET_TYPE_COUNT; t++) {
        pg_text_printf(&list, "%s%s", t ? ", " : "", pg_type_rows[t].name);
    }
    if (name) {
        pg_options_complain(verb, "there is no type \"%s\"; there are %s", name, list.at);
    } else {
        pg_options_complain(verb, "which type? There are %s", list.at);
    }
    pg_text_free(&list);
    return PG_EXIT_USAGE;
}

/* The type that the first len bytes name. 0, or an exit status, said. */
static int read_type(const struct pg_options *o, const char *at, size_t len, enum pg_get_type *ret)
{
    struct pg_text word = {0};

    pg_text_add(&word, at, len);
    *ret = pg_get_type_of(word.at ? word.at : "");
    int status =
        *ret == PG_GET_TYPE_COUNT ? pg_get_complain_about_type(o->verb, word.at ? word.at : "") : 0;

    pg_text_free(&word);
    return status;
}

static int add_part(const struct pg_options *o, enum pg_get_type type, const char *name,
                    struct pg_get_parts *p)
{
    bool known = false;

    if (p->count == PG_GET_PARTS) {
        return pg_options_complain(o->verb, "more than %d kinds and names", PG_GET_PARTS);
    }
    for (uint32_t i = 0; i < p->count; i++) {
        known = known || p->at[i].type == type;
    }
    p->kinds += !known;
    p->at[p->count++] = (struct pg_get_part){type, name};
    return 0;
}

/* svc/web no/node-1 */
static int read_pairs(const struct pg_options *o, struct pg_get_parts *p)
{
    int status = 0;

    for (uint32_t i = 0; status == 0 && i < o->arg_count; i++) {
        const char *slash = strchr(o->arg[i], '/');
        enum pg_get_type type = PG_GET_TYPE_COUNT;

        if (!slash || !slash[1]) {
            return pg_options_complain(o->verb, "\"%s\": after %s each argument is TYPE/NAME",
                                       o->arg[i], o->arg[0]);
        }
        status = read_type(o, o->arg[i], (size_t)(slash - o->arg[i]), &type);
        status = status ? status : add_part(o, type, slash + 1, p);
    }
    return status;
}

/* svc,ep [NAME...] */
static int read_kinds(const struct pg_options *o, struct pg_get_parts *p)
{
    const char *at = o->arg[0];
    int status = 0;

    while (status == 0) {
        size_t len = strcspn(at, ",");
        enum pg_get_type type = PG_GET_TYPE_COUNT;

        status = read_type(o, at, len, &type);
        for (uint32_t i = 1; status == 0 && i < o->arg_count; i++) {
            status = add_part(o, type, o->arg[i], p);
        }
        if (status == 0 && o->arg_count == 1) {
            status = add_part(o, type, NULL, p);
        }
        if (!at[len]) {
            return status;
        }
        at += len + 1;
    }
    return status;
}

int pg_get_read_parts(const struct pg_options *o, struct pg_get_parts *ret)
{
    if (o->arg_count == 0) {
        return pg_get_complain_about_type(o->verb, NULL);
    }
    int status = pg_options_args(o, 1, UINT32_MAX);

    if (status) {
        return status;
    }
    return strchr(o->arg[0], '/') ? read_pairs(o, ret) : read_kinds(o, ret);
}
