/* YAML text to trees, over libyaml's events, because only events know the line and column of every
 * value.
 *
 * Called by input.c through pg_manifest_parse; hands over to manifest_json.c when the text looks
 * like JSON and libyaml refuses it. A document is built without recursion: open maps and lists are
 * frames of a stack at most PG_MANIFEST_DEPTH_MAX high, their finished children wait in one list.
 * An alias is the very tree its anchor names, so an alias bomb costs no memory here; what it would
 * cost those who walk the tree is counted and capped. Duplicate keys are errors, merge keys (<<)
 * are resolved. */
#include "cluster_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct frame {
    bool map;
    uint32_t first; /* of its children in builder->children */
    struct pg_tree *tree;
    const char *anchor; /* NULL: none */
};

struct builder {
    struct pg_load *load;
    const char *file;
    struct frame frames[PG_MANIFEST_DEPTH_MAX];
    uint32_t depth;
    struct pg_list children; /* of const struct pg_tree *: key, value, key, value ... in maps */
    struct pg_index anchors; /* name -> place in anchored */
    struct pg_list anchored; /* of const struct pg_tree * */
    uint32_t alias_nodes;
    const struct pg_tree *root;
    bool failed; /* of this document: its error is reported, the rest is skipped */
};

__attribute__((format(printf, 4, 5))) static void fail(struct builder *b, uint32_t line,
                                                       uint32_t column, const char *format, ...)
{
    struct pg_source source = {b->file, line};
    va_list args;
    va_start(args, format);
    pg_finding_vadd(b->load, PG_FINDING_ERROR, PG_CODE_WRONG, "", "", &source, column, format,
                    args);
    va_end(args);
    b->failed = true;
}

static struct pg_tree *tree_new(struct builder *b, enum pg_tree_kind kind, const yaml_mark_t *mark)
{
    struct pg_tree *t = pg_arena_alloc(&b->load->scratch, sizeof(*t));
    t->kind = (uint8_t)kind;
    t->line = (uint32_t)mark->line + 1;
    t->column = (uint32_t)mark->column + 1;
    t->size = 1;
    t->height = 1;
    if (++b->load->nodes_read > PG_MANIFEST_NODES_MAX && !b->failed)
        fail(b, t->line, t->column, "more than %u values in all inputs", PG_MANIFEST_NODES_MAX);
    return t;
}

static const char *text_keep(struct builder *b, const yaml_char_t *text)
{
    return pg_arena_text(&b->load->scratch, (const char *)text, strlen((const char *)text));
}

static void anchor_add(struct builder *b, const char *name, const struct pg_tree *t)
{
    if (name == NULL)
        return;
    uint32_t at = pg_index_add(&b->anchors, name, strlen(name), b->anchored.count);
    if (at == PG_INDEX_ABSENT)
        pg_list_add_pointer(&b->anchored, t);
    else
        PG_LIST_POINTER(b->anchored, const struct pg_tree, at) = t; /* a name may be used again */
}

/* A finished tree goes to the open map or list, or is the document. */
static void place(struct builder *b, const struct pg_tree *t)
{
    if (b->depth == 0) {
        b->root = t;
        return;
    }
    const struct frame *top = &b->frames[b->depth - 1];
    uint32_t children = b->children.count - top->first;
    if (top->map && children % 2 == 0) {
        if (t->kind != PG_TREE_SCALAR) {
            fail(b, t->line, t->column, "the name of a field must be text");
            return;
        }
        if (strlen(t->text) != t->count) {
            fail(b, t->line, t->column, "the name of a field must not hold a NUL byte");
            return;
        }
    }
    if (b->depth + t->height > PG_MANIFEST_DEPTH_MAX) {
        fail(b, t->line, t->column, "nested more than %u deep", PG_MANIFEST_DEPTH_MAX);
        return;
    }
    pg_list_add_pointer(&b->children, t);
}

static void on_scalar(struct builder *b, const yaml_event_t *e)
{
    struct pg_tree *t = tree_new(b, PG_TREE_SCALAR, &e->start_mark);
    const char *tag = (const char *)e->data.scalar.tag;
    t->plain = e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (tag != NULL && strcmp(tag, YAML_STR_TAG) == 0)
        t->plain = false;
    else if (tag != NULL && (strcmp(tag, YAML_INT_TAG) == 0 || strcmp(tag, YAML_BOOL_TAG) == 0))
        t->plain = true;
    t->count = (uint32_t)e->data.scalar.length;
    t->text =
        pg_arena_text(&b->load->scratch, (const char *)e->data.scalar.value, e->data.scalar.length);
    if (e->data.scalar.anchor != NULL)
        anchor_add(b, text_keep(b, e->data.scalar.anchor), t);
    place(b, t);
}

static void on_start(struct builder *b, const yaml_event_t *e, bool map)
{
    const yaml_char_t *anchor = map ? e->data.mapping_start.anchor : e->data.sequence_start.anchor;
    struct pg_tree *t = tree_new(b, map ? PG_TREE_MAP : PG_TREE_LIST, &e->start_mark);
    if (b->depth == PG_MANIFEST_DEPTH_MAX) {
        fail(b, t->line, t->column, "nested more than %u deep", PG_MANIFEST_DEPTH_MAX);
        return;
    }
    b->frames[b->depth++] =
        (struct frame){map, b->children.count, t, anchor == NULL ? NULL : text_keep(b, anchor)};
}

static void on_alias(struct builder *b, const yaml_event_t *e)
{
    const char *name = (const char *)e->data.alias.anchor;
    uint32_t line = (uint32_t)e->start_mark.line + 1;
    uint32_t column = (uint32_t)e->start_mark.column + 1;
    uint32_t at = pg_index_find(&b->anchors, name, strlen(name));
    if (at == PG_INDEX_ABSENT) {
        fail(b, line, column, "no anchor &%.60s before this alias", name);
        return;
    }
    const struct pg_tree *t = PG_LIST_POINTER(b->anchored, const struct pg_tree, at);
    if (t->size > PG_MANIFEST_ALIAS_MAX - b->alias_nodes) {
        fail(b, line, column, "aliases stand for more than %u values", PG_MANIFEST_ALIAS_MAX);
        return;
    }
    b->alias_nodes += t->size;
    place(b, t);
}

static int key_compare(const void *a, const void *b)
{
    const struct pg_tree *const *x = a;
    const struct pg_tree *const *y = b;
    int order = strcmp((*x)->text, (*y)->text);
    if (order != 0)
        return order;
    return (*x)->line < (*y)->line ? -1 : (*x)->line > (*y)->line;
}

/* Small maps are compared pair by pair, large ones sorted: a map may have a million keys. */
static void check_duplicates(struct builder *b, const struct pg_tree *map)
{
    const struct pg_tree *first = NULL;
    const struct pg_tree *again = NULL;
    if (map->count <= 16) {
        for (uint32_t i = 1; i < map->count && again == NULL; i++) {
            for (uint32_t j = 0; j < i && again == NULL; j++) {
                if (strcmp(map->entries[i].key->text, map->entries[j].key->text) == 0) {
                    first = map->entries[j].key;
                    again = map->entries[i].key;
                }
            }
        }
    } else {
        const struct pg_tree **keys = malloc(map->count * sizeof(*keys));
        if (keys == NULL)
            abort();
        for (uint32_t i = 0; i < map->count; i++)
            keys[i] = map->entries[i].key;
        qsort(keys, map->count, sizeof(*keys), key_compare);
        for (uint32_t i = 1; i < map->count && again == NULL; i++) {
            if (strcmp(keys[i]->text, keys[i - 1]->text) == 0) {
                first = keys[i - 1];
                again = keys[i];
            }
        }
        free(keys);
    }
    if (again != NULL)
        fail(b, again->line, again->column, "field \"%.60s\" is given twice: first in line %u",
             again->text, first->line);
}

static bool is_merge(const struct pg_tree_entry *e)
{
    return e->key->plain && strcmp(e->key->text, "<<") == 0;
}

/* Adds what `from` has and the map has not, where its own fields win over merged ones, earlier
 * over later. */
static void merge_from(struct builder *b, struct pg_list *entries, struct pg_index *names,
                       const struct pg_tree *from, const struct pg_tree_entry *merge)
{
    if (from->kind != PG_TREE_MAP) {
        fail(b, merge->key->line, merge->key->column,
             "a merge key (<<) needs a map or a list of maps");
        return;
    }
    for (uint32_t i = 0; i < from->count; i++) {
        const char *name = from->entries[i].key->text;
        if (pg_index_add(names, name, strlen(name), 0) != PG_INDEX_ABSENT)
            continue;
        *(struct pg_tree_entry *)pg_list_add(entries) = from->entries[i];
    }
}

static void merge_keys(struct builder *b, struct pg_tree *map)
{
    struct pg_index names = {.arena = &b->load->scratch};
    struct pg_list entries = PG_LIST(&b->load->scratch, struct pg_tree_entry);
    for (uint32_t i = 0; i < map->count; i++) {
        if (is_merge(&map->entries[i]))
            continue;
        const char *name = map->entries[i].key->text;
        (void)pg_index_add(&names, name, strlen(name), 0);
        *(struct pg_tree_entry *)pg_list_add(&entries) = map->entries[i];
    }
    for (uint32_t i = 0; i < map->count; i++) {
        const struct pg_tree_entry *e = &map->entries[i];
        if (!is_merge(e))
            continue;
        if (e->value->kind != PG_TREE_LIST) {
            merge_from(b, &entries, &names, e->value, e);
            continue;
        }
        for (uint32_t j = 0; j < e->value->count && !b->failed; j++)
            merge_from(b, &entries, &names, e->value->items[j], e);
    }
    map->entries = entries.at;
    map->count = entries.count;
}

static void measure(struct pg_tree *t, const struct pg_tree *child)
{
    t->size = child->size > UINT32_MAX - t->size ? UINT32_MAX : t->size + child->size;
    if (child->height >= t->height)
        t->height = (uint8_t)(child->height + 1);
}

static void on_end(struct builder *b)
{
    struct frame top = b->frames[--b->depth];
    struct pg_tree *t = top.tree;
    uint32_t count = b->children.count - top.first;
    const struct pg_tree **child =
        count == 0 ? NULL : &PG_LIST_POINTER(b->children, const struct pg_tree, top.first);
    bool merges = false;
    if (top.map) {
        t->count = count / 2;
        struct pg_tree_entry *entries =
            pg_arena_array(&b->load->scratch, t->count, sizeof(*entries));
        for (uint32_t i = 0; i < t->count; i++) {
            entries[i] = (struct pg_tree_entry){child[2 * (size_t)i], child[2 * (size_t)i + 1]};
            measure(t, entries[i].key);
            measure(t, entries[i].value);
            merges = merges || is_merge(&entries[i]);
        }
        t->entries = entries;
        check_duplicates(b, t);
        if (merges && !b->failed)
            merge_keys(b, t);
    } else {
        const struct pg_tree **items = pg_arena_array(&b->load->scratch, count, sizeof(*items));
        for (uint32_t i = 0; i < count; i++) {
            items[i] = child[i];
            measure(t, child[i]);
        }
        t->items = items;
        t->count = count;
    }
    b->children.count = top.first;
    anchor_add(b, top.anchor, t);
    if (!b->failed)
        place(b, t);
}

static void on_document_start(struct builder *b)
{
    b->depth = 0;
    b->children.count = 0;
    b->anchored = PG_LIST(&b->load->scratch, const struct pg_tree *);
    b->anchors = (struct pg_index){.arena = &b->load->scratch};
    b->alias_nodes = 0;
    b->root = NULL;
    b->failed = false;
}

static void on_document_end(struct builder *b)
{
    if (b->failed || pg_tree_is_null(b->root))
        return;
    *(struct pg_document *)pg_list_add(&b->load->documents) =
        (struct pg_document){b->file, b->root};
}

static void on_event(struct builder *b, const yaml_event_t *e)
{
    if (e->type == YAML_DOCUMENT_START_EVENT) {
        on_document_start(b);
        return;
    }
    if (b->failed)
        return;
    switch (e->type) {
    case YAML_DOCUMENT_END_EVENT: on_document_end(b); break;
    case YAML_SCALAR_EVENT: on_scalar(b, e); break;
    case YAML_ALIAS_EVENT: on_alias(b, e); break;
    case YAML_MAPPING_START_EVENT: on_start(b, e, true); break;
    case YAML_SEQUENCE_START_EVENT: on_start(b, e, false); break;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT: on_end(b); break;
    default: break;
    }
}

/* What libyaml found wrong, in words that help. */
static const char *problem_of(struct builder *b, const yaml_parser_t *p, const char *text,
                              size_t len)
{
    const char *problem = p->problem == NULL ? "not YAML" : p->problem;
    size_t line = p->problem_mark.line;
    const char *at = text;
    while (line > 0 && at != NULL) {
        at = memchr(at, '\n', len - (size_t)(at - text));
        at = at == NULL ? NULL : at + 1;
        line--;
    }
    size_t column = p->problem_mark.column;
    if (at != NULL && column < len - (size_t)(at - text) && at[column] == '\t')
        return "a tab cannot indent YAML: use blanks";
    if (p->context == NULL)
        return pg_arena_printf(&b->load->scratch, "not valid YAML: %s", problem);
    return pg_arena_printf(&b->load->scratch, "not valid YAML: %s, %s (begun in line %zu)", problem,
                           p->context, p->context_mark.line + 1);
}

void pg_manifest_parse(struct pg_load *load, const char *file, const char *text, size_t len)
{
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
        text += 3;
        len -= 3;
    }
    pg_list_add_pointer(&load->files, file);
    struct builder *b = pg_arena_alloc(&load->scratch, sizeof(*b));
    b->load = load;
    b->file = file;
    b->children = PG_LIST(&load->scratch, const struct pg_tree *);
    on_document_start(b);
    if (len > PG_MANIFEST_FILE_MAX) {
        fail(b, 0, 0, "larger than %zu MiB", PG_MANIFEST_FILE_MAX >> 20);
        return;
    }
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0)
        abort();
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text, len);
    uint32_t documents_before = load->documents.count;
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) == 0) {
            uint32_t line = (uint32_t)parser.problem_mark.line + 1;
            uint32_t column = (uint32_t)parser.problem_mark.column + 1;
            const char *problem = problem_of(b, &parser, text, len);
            size_t blank = 0;
            while (blank < len && strchr(" \t\r\n", text[blank]) != NULL && text[blank] != '\0')
                blank++;
            if (blank < len && (text[blank] == '{' || text[blank] == '[') && !b->failed) {
                load->documents.count = documents_before;
                pg_manifest_parse_json(load, file, text, len, line, column, problem);
            } else {
                fail(b, line, column, "%s", problem);
            }
            break;
        }
        on_event(b, &event);
        /* A document that is too deep or too large is not read on: its end may be far. */
        more = event.type != YAML_STREAM_END_EVENT && load->nodes_read <= PG_MANIFEST_NODES_MAX;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
}
