/* What get.c and get_table.c share: lists as jansson has them. */
#ifndef PODGLASS_GET_INTERNAL_H
#define PODGLASS_GET_INTERNAL_H

#include "verbs_internal.h"

#include <jansson.h>

/* The items of an answer, for one name or (NULL) all: a new array. Counters, which are no list, become items {kind, name, value}. */
json_t *pg_get_select(enum pg_get_type type, const json_t *answer, const char *name);
/* A list from a file ("-": standard input). 0, or an exit status, said. */
int pg_get_read_saved(enum pg_get_type type, const char *path, json_t **ret);
/* Items as a table. Pure. */
void pg_get_render(enum pg_get_type type, const json_t *items, bool wide, bool with_heads,
                   struct pg_text *out);
/* The type called so, or by an alias; PG_GET_TYPE_COUNT: none. */
enum pg_get_type pg_get_type_of(const char *name);

#endif
