/* What get.c and get_table.c share: lists as jansson has them. */
#ifndef PODGLASS_GET_INTERNAL_H
#define PODGLASS_GET_INTERNAL_H

#include "verbs_internal.h"

#include <jansson.h>

/* The items of an answer, for one name or (NULL) all: a new array. Counters, which are no list, become items {kind, name, value}. */
json_t *pg_get_select(enum pg_get_type type, const json_t *answer, const char *name,
                      const char *namespace); /* NULL: all */
/* A line per item: "services/shop/web", "conntrack/1042". */
void pg_get_names(enum pg_get_type type, const json_t *items, struct pg_text *out);
/* A list from a file ("-": standard input). 0, or an exit status, said. */
int pg_get_read_saved(enum pg_get_type type, const char *path, json_t **ret);
/* Items as a table. Pure. */
void pg_get_render(enum pg_get_type type, const json_t *items, bool wide, bool with_heads,
                   struct pg_text *out);
/* By a member of the items: ".original.src". false: no item has it. */
bool pg_get_sort(json_t *items, const char *path);
/* Flows counted by "service", "node", "state", "proto" or "client", the largest group first: a new array of items {group, entries, new, ...}. */
json_t *pg_get_summary(const json_t *items, const char *by);
void pg_get_render_summary(const char *by, const json_t *groups, bool with_heads,
                           struct pg_text *out);
/* The type called so, or by an alias; PG_GET_TYPE_COUNT: none. */
enum pg_get_type pg_get_type_of(const char *name);

#endif
