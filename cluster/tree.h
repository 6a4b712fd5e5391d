/* folder: cluster
 * The text of a manifest as a tree in which every value knows its line, and how typed values are
 * read out of it.
 *
 * Nobody above manifest.c sees YAML or JSON. A struct pg_field is a place in an object: it lives on
 * the C stack and points at the field above it, so that an error can name the whole path
 * ("spec.ports[0].port") while a good value costs nothing. */
#ifndef PODGLASS_CLUSTER_TREE_H
#define PODGLASS_CLUSTER_TREE_H

#include "arena.h"

#include "podglass/snapshot.h"

struct pg_load;

enum pg_tree_kind { PG_TREE_SCALAR, PG_TREE_MAP, PG_TREE_LIST };

struct pg_tree_entry;
struct pg_tree {
    uint8_t kind;   /* enum pg_tree_kind */
    bool plain;     /* a scalar without quotes: may be a number, a truth value or null */
    uint8_t height; /* of the tree under it, aliases expanded */
    uint32_t line;
    uint32_t column;
    uint32_t size;  /* nodes under it, itself included, aliases expanded; stops at UINT32_MAX */
    uint32_t count; /* entries, items, or bytes of text */
    bool *set_read; /* a value of --set: becomes true when somebody asks for it. NULL: of a file */
    union {
        const char *text;
        const struct pg_tree_entry *entries;
        const struct pg_tree *const *items;
    };
};
struct pg_tree_entry {
    const struct pg_tree *key; /* a scalar */
    const struct pg_tree *value;
};

/* One document of one input. */
struct pg_document {
    const char *file;
    const struct pg_tree *root;
};

#define PG_MANIFEST_FILE_MAX  ((size_t)64 << 20)
#define PG_MANIFEST_DEPTH_MAX 64u
#define PG_MANIFEST_NODES_MAX 4000000u /* of one load */
#define PG_MANIFEST_ALIAS_MAX 100000u  /* nodes that aliases of one document may stand for */

/* Text to documents, appended to load->documents. Mistakes become findings. */
void pg_manifest_parse(struct pg_load *load, const char *file, const char *text, size_t len);
/* The way for JSON that libyaml refuses (surrogate escapes, one object per line): a value's line is
 * its document's. The line and text of YAML's own complaint are reported when the text is not JSON
 * either. */
void pg_manifest_parse_json(struct pg_load *load, const char *file, const char *text, size_t len,
                            uint32_t yaml_line, uint32_t yaml_column, const char *yaml_problem);

bool pg_tree_is_null(
    const struct pg_tree *t); /* NULL itself, or ~, null, nothing, without quotes */
const struct pg_tree *pg_tree_get(const struct pg_tree *map, const char *key); /* NULL: not there */

struct pg_object;
struct pg_field {
    struct pg_load *load;
    const struct pg_object *object;
    const struct pg_field *up;
    const char *name; /* NULL: an item of a list */
    uint32_t index;
    const struct pg_tree *tree; /* NULL: not written, or null */
    const struct pg_tree *key;  /* where the name of it stands; NULL for items */
};
#define PG_SET_FILE "--set" /* the file of values that --set gave; the line is its number */

struct pg_field pg_field_of(struct pg_load *load, const struct pg_object *object,
                            const struct pg_tree *root);
struct pg_field pg_field_get(const struct pg_field *map, const char *name);
struct pg_field pg_field_item(const struct pg_field *list, uint32_t i);
struct pg_field pg_field_entry(const struct pg_field *map,
                               uint32_t i); /* the i-th field of a map */
static inline bool pg_field_is(const struct pg_field *f)
{
    return f->tree != NULL;
}
/* The file a value is of: its object's, or PG_SET_FILE. */
const char *pg_tree_file(const struct pg_object *object, const struct pg_tree *t);
struct pg_source pg_field_source(const struct pg_field *f);
const char *pg_field_path(const struct pg_field *f, struct pg_arena *a);

/* Number of entries or items; a value of another shape is an error and counts 0. */
uint32_t pg_field_map(const struct pg_field *f);
uint32_t pg_field_list(const struct pg_field *f);
/* Each reads one value. A wrong value is an error finding and gives the fallback, as does a
 * value that is not there. */
const char *pg_field_text(const struct pg_field *f, const char *fallback);
int64_t pg_field_int(const struct pg_field *f, int64_t least, int64_t most, int64_t fallback);
bool pg_field_bool(const struct pg_field *f, bool fallback);
int pg_field_enum(const struct pg_field *f, const char *const *names,
                  int fallback); /* names end with NULL */
bool pg_field_addr(const struct pg_field *f,
                   struct pg_addr *ret); /* false: nothing there or wrong */
bool pg_field_prefix(const struct pg_field *f, struct pg_prefix *ret); /* host bits must be clear */
bool pg_field_int_written(
    const struct pg_field *f); /* whether the value is an integer without quotes */
enum pg_name_form { PG_NAME_LABEL, PG_NAME_SUBDOMAIN, PG_NAME_PORT };
const char *pg_field_dns_name(const struct pg_field *f, enum pg_name_form form,
                              const char *fallback);
bool pg_name_ok(const char *text, enum pg_name_form form);
bool pg_addr_usable(const struct pg_addr *a,
                    const char **ret_why); /* as the address of a pod, node or endpoint */

__attribute__((format(printf, 2, 3))) void pg_field_error(const struct pg_field *f,
                                                          const char *format, ...);
__attribute__((format(printf, 3, 4))) void pg_field_warn(const struct pg_field *f, const char *code,
                                                         const char *format, ...);

/* The fields somebody may write at one place. why NULL: read, or without effect on the path;
 * else the warning's text. */
struct pg_known {
    const char *name;
    const char *why;
};
/* A field that is not in the table, which ends with a NULL name, is a warning ("unknown field"),
 * or an error if hard. */
void pg_field_known(const struct pg_field *map, const struct pg_known *known, bool hard);

#endif
