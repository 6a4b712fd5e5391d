/* What the files of the verb get share: what is asked for, and lists as jansson has them. */
#ifndef PODGLASS_GET_INTERNAL_H
#define PODGLASS_GET_INTERNAL_H

#include "verbs_internal.h"

#include "jsonpath.h"

#include <jansson.h>

#define PG_GET_PARTS 64 /* kinds, or names: more than anybody writes */

/* One kind, or one object of it. */
struct pg_get_part {
    enum pg_get_type type;
    const char *name; /* NULL: all */
};

struct pg_get_parts {
    struct pg_get_part at[PG_GET_PARTS];
    uint32_t count;
    uint32_t kinds; /* different types among them */
};

struct pg_get_column {
    char *head;
    struct pg_jsonpath *path;
};

struct pg_get {
    struct pg_options options;
    struct pg_get_parts parts;
    const char
        *form; /* "table", "wide", ...; "jsonpath" and "custom-columns" without what follows */
    const char *namespace; /* NULL: all */
    struct pg_jsonpath *template;
    struct pg_get_column *columns;
    size_t column_count;
    struct pg_text socket;
};

static inline bool pg_get_given(const struct pg_get *g, enum pg_flag f)
{
    return pg_options_has(&g->options, f);
}
bool pg_get_is_form(const struct pg_get *g, const char *form);
bool pg_get_is_lines(
    const struct pg_get *g); /* as conntrack(8) prints them, which the instance makes */

/* ---- get_parts.c ---- */
/* TYPE[,TYPE] [NAME...] or TYPE/NAME..., from the arguments of get or describe. 0, or an exit status, said. */
int pg_get_read_parts(const struct pg_options *o, struct pg_get_parts *ret);
/* The type called so, or by an alias; PG_GET_TYPE_COUNT: none. */
enum pg_get_type pg_get_type_of(const char *name);
/* Says which types there are. name NULL: none was given. Returns an exit status. */
int pg_get_complain_about_type(enum pg_verb verb, const char *name);

/* ---- get_forms.c ---- */
/* What -o says, taken apart. 0, or an exit status, said. */
int pg_get_form(struct pg_get *g);
void pg_get_form_free(struct pg_get *g);
/* One document: as JSON, YAML, or what a template makes of it. */
void pg_get_put_document(const struct pg_get *g, const json_t *document);
/* Rows, names or lines of one kind. */
void pg_get_put_items(const struct pg_get *g, enum pg_get_type type, const json_t *items,
                      bool with_heads);

/* ---- get_ask.c ---- */
/* The body for one kind, or an exit status, said. */
int pg_get_ask(const struct pg_get *g, enum pg_get_type type, const char *query,
               struct pg_text *ret_body);
/* The list of a part, from the instance or from a file. The same. */
int pg_get_ask_json(const struct pg_get *g, const struct pg_get_part *part, json_t **ret);
/* Its items that are meant, in their order. NULL: said why not. */
json_t *pg_get_choose(const struct pg_get *g, const struct pg_get_part *part, const json_t *answer);

/* ---- get_watch.c ---- */
/* Goes on until interrupted; an exit status. */
int pg_get_watch(struct pg_get *g);
int pg_get_watch_events(struct pg_get *g);

/* The items of an answer, for one name or (NULL) all: a new array. Counters, which are no list, become items {kind, name, value}. */
json_t *pg_get_select(enum pg_get_type type, const json_t *answer, const char *name,
                      const char *namespace); /* NULL: all */
/* Of the items those whose members are so: "state=ESTABLISHED,original.dstPort!=80". 0, or an exit status, said. */
int pg_get_field_select(json_t *items, const char *selector);
/* A line per item: "services/shop/web", "conntrack/1042". */
void pg_get_names(enum pg_get_type type, const json_t *items, struct pg_text *out);
/* "ServiceList" and "Service" of services, as documents call them. */
const char *pg_get_kind_of_list(enum pg_get_type type);
struct pg_slice pg_get_kind_of_item(enum pg_get_type type);
/* A list from a file ("-": standard input). 0, or an exit status, said. */
int pg_get_read_saved(enum pg_get_type type, const char *path, json_t **ret);
/* Items as a table. Pure. */
void pg_get_render(enum pg_get_type type, const json_t *items, bool wide, bool with_heads,
                   struct pg_text *out);
/* A value as YAML. Pure. */
void pg_get_render_yaml(const json_t *value, struct pg_text *out);
/* By a member of the items: ".original.src". false: no item has it, or it is no path. */
bool pg_get_sort(json_t *items, const char *path);
/* Flows counted by "service", "node", "state", "proto" or "client", the largest group first: a new array of items {group, entries, new, ...}. */
json_t *pg_get_summary(const json_t *items, const char *by);
void pg_get_render_summary(const char *by, const json_t *groups, bool with_heads,
                           struct pg_text *out);

#endif
