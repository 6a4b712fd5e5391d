/* JSON text to trees by jansson, for what libyaml refuses: surrogate escapes, very long names, one
 * object per line.
 *
 * Called by manifest.c only. jansson keeps no lines, so every value has the line on which its
 * document begins; with one object per line that is exact. The tree has the same shape as YAML's.
 */
#include "cluster_internal.h"

#include <jansson.h>
#include <string.h>

struct json_builder {
    struct pg_load *load;
    const char *file;
    uint32_t line;
    const char *problem; /* why the document is refused; NULL: not */
};

static struct pg_tree *from_json(struct json_builder *b, const json_t *j, uint32_t depth);

static struct pg_tree *tree_new(struct json_builder *b, enum pg_tree_kind kind)
{
    struct pg_tree *t = pg_arena_alloc(&b->load->scratch, sizeof(*t));
    t->kind = (uint8_t)kind;
    t->line = b->line;
    t->size = 1;
    t->height = 1;
    if (++b->load->nodes_read > PG_MANIFEST_NODES_MAX)
        b->problem = "more values than one load may have";
    return t;
}

static struct pg_tree *scalar_new(struct json_builder *b, const char *text, size_t len, bool plain)
{
    struct pg_tree *t = tree_new(b, PG_TREE_SCALAR);
    t->plain = plain;
    t->count = (uint32_t)len;
    t->text = pg_arena_text(&b->load->scratch, text, len);
    return t;
}

static void measure(struct pg_tree *t, const struct pg_tree *child)
{
    t->size += child->size;
    if (child->height >= t->height)
        t->height = (uint8_t)(child->height + 1);
}

static struct pg_tree *map_from(struct json_builder *b, const json_t *j, uint32_t depth)
{
    struct pg_tree *t = tree_new(b, PG_TREE_MAP);
    size_t count = json_object_size(j);
    struct pg_tree_entry *entries = pg_arena_array(&b->load->scratch, count, sizeof(*entries));
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)j, key, value)
    {
        struct pg_tree_entry *e = &entries[t->count++];
        e->key = scalar_new(b, key, strlen(key), false);
        e->value = from_json(b, value, depth + 1);
        measure(t, e->value);
    }
    t->entries = entries;
    return t;
}

static struct pg_tree *list_from(struct json_builder *b, const json_t *j, uint32_t depth)
{
    struct pg_tree *t = tree_new(b, PG_TREE_LIST);
    size_t count = json_array_size(j);
    const struct pg_tree **items = pg_arena_array(&b->load->scratch, count, sizeof(*items));
    for (size_t i = 0; i < count; i++) {
        items[i] = from_json(b, json_array_get(j, i), depth + 1);
        measure(t, items[i]);
    }
    t->items = items;
    t->count = (uint32_t)count;
    return t;
}

static struct pg_tree *from_json(struct json_builder *b, const json_t *j, uint32_t depth)
{
    if (depth > PG_MANIFEST_DEPTH_MAX)
        b->problem = "nested too deep";
    if (b->problem != NULL)
        return scalar_new(b, "", 0, true);
    switch (json_typeof(j)) {
    case JSON_OBJECT: return map_from(b, j, depth);
    case JSON_ARRAY: return list_from(b, j, depth);
    case JSON_STRING: return scalar_new(b, json_string_value(j), json_string_length(j), false);
    case JSON_TRUE: return scalar_new(b, "true", 4, true);
    case JSON_FALSE: return scalar_new(b, "false", 5, true);
    case JSON_NULL: return scalar_new(b, "null", 4, true);
    default: break;
    }
    char number[64];
    int len = json_is_integer(j)
                  ? snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(j))
                  : snprintf(number, sizeof(number), "%.17g", json_real_value(j));
    return scalar_new(b, number, (size_t)len, true);
}

static uint32_t lines_in(const char *text, size_t len)
{
    uint32_t lines = 0;
    for (const char *at = text; (at = memchr(at, '\n', len - (size_t)(at - text))) != NULL; at++)
        lines++;
    return lines;
}

void pg_manifest_parse_json(struct pg_load *load, const char *file, const char *text, size_t len,
                            uint32_t yaml_line, uint32_t yaml_column, const char *yaml_problem)
{
    struct json_builder b = {load, file, 1, NULL};
    size_t at = 0;
    bool first = true;
    while (b.problem == NULL) {
        size_t blank = 0;
        while (at + blank < len && memchr(" \t\r\n", text[at + blank], 4) != NULL)
            blank++;
        b.line += lines_in(text + at, blank);
        at += blank;
        if (at == len)
            return;
        json_error_t error;
        json_t *j = json_loadb(text + at, len - at, JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK,
                               &error);
        if (j == NULL) {
            struct pg_source source = {file, b.line + (uint32_t)error.line - 1};
            bool duplicate = json_error_code(&error) == json_error_duplicate_key;
            /* If it never looked like JSON to jansson either, YAML's complaint is the better
             * one: it has a column. */
            if (first && !duplicate) {
                source.line = yaml_line;
                pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, "", "", &source,
                               "%s (column %u); as JSON: %s", yaml_problem, yaml_column,
                               error.text);
            } else {
                pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, "", "", &source,
                               "not valid JSON: %s", error.text);
            }
            return;
        }
        const struct pg_tree *root = from_json(&b, j, 1);
        json_decref(j);
        if (b.problem == NULL && !pg_tree_is_null(root))
            *(struct pg_document *)pg_list_add(&load->documents) = (struct pg_document){file, root};
        size_t used = (size_t)error.position;
        b.line += b.problem == NULL ? lines_in(text + at, used) : 0;
        at += used;
        first = false;
    }
    struct pg_source source = {file, b.line};
    pg_finding_add(load, PG_FINDING_ERROR, PG_CODE_WRONG, "", "", &source, "%s", b.problem);
}
