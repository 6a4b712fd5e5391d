/* kubectl's JSONPath: templates, paths, columns. Pure: text and JSON in, text and JSON out.
 *
 *   {.items[*].name}   {range .items[*]}{.name}{"\t"}{.namespace}{"\n"}{end}   {.items[?(@.type=="ClusterIP")].name}
 *
 * A path is made of .name, ['name'], ['a','b'], [2], [-1], [0,2], [1:3], [0:9:2], [*] or .*, ..name, [?(@.a == "b")] with == != < <= > >= or nothing (is there). It
 * begins at the current object, with $ at the whole document. A backslash takes a dot into a name. What is not there gives nothing. */
#ifndef PODGLASS_JSONPATH_H
#define PODGLASS_JSONPATH_H

#include "podglass/text.h"

#include <jansson.h>

struct pg_jsonpath;

/* A template as -o jsonpath= has it. NULL: *ret_why says what is wrong, and at which character. */
struct pg_jsonpath *pg_jsonpath_parse(const char *template, struct pg_text *ret_why);
/* One path alone, as --sort-by and columns have it: {.a.b}, .a.b and a.b are the same. */
struct pg_jsonpath *pg_jsonpath_parse_path(const char *path, struct pg_text *ret_why);
void pg_jsonpath_free(struct pg_jsonpath *p);

/* The template filled in. Bytes of strangers are escaped, the template's own texts are not. */
void pg_jsonpath_print(const struct pg_jsonpath *p, const json_t *root, struct pg_text *out);
/* What the path leads to: a new array of borrowed values, empty if there is nothing. */
json_t *pg_jsonpath_find(const struct pg_jsonpath *p, const json_t *root);
/* One value as it is printed: texts without quotes, objects and lists as JSON. */
void pg_jsonpath_add_value(struct pg_text *out, const json_t *value);

#endif
