/* What a JSONPath leads to, and a template filled in with it; jsonpath.c has taken it apart.
 *
 * A set of values goes from step to step: each step makes the next set of every value. Objects give their members in their order. What is not there, or not of the kind that a
 * step needs, gives nothing, as kubectl has it. Pure. */
#include "jsonpath_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEEP_MOST 64 /* levels that ".." goes down; our documents have about eight */

struct look {
    const struct pg_jsonpath *path;
    const json_t *root;
};

static void follow(const struct look *l, uint32_t step, const json_t *value, json_t *found);

/* Values are borrowed from a document that outlives the set: jansson only counts. */
static void put(json_t *found, const json_t *value)
{
    json_array_append(found, (json_t *)(uintptr_t)value);
}

static void go_on(const struct look *l, uint32_t next, const json_t *value, json_t *found)
{
    if (value && next == PG_JSONPATH_NONE) {
        put(found, value);
    } else if (value) {
        follow(l, next, value, found);
    }
}

static json_t *find(const struct look *l, uint32_t operand, const json_t *current)
{
    const struct pg_operand *o = &l->path->operands[operand];
    json_t *found = json_array();

    if (o->literal) {
        put(found, o->literal);
    } else {
        go_on(l, o->step, o->from_root ? l->root : current, found);
    }
    return found;
}

/* ---- filters ---- */

static bool holds(enum pg_compare compare, double order)
{
    switch (compare) {
    case PG_EQUAL: return order == 0;
    case PG_NOT_EQUAL: return order != 0;
    case PG_LESS: return order < 0;
    case PG_LESS_EQUAL: return order <= 0;
    case PG_MORE: return order > 0;
    case PG_MORE_EQUAL: return order >= 0;
    case PG_IS_THERE:
    default: return true;
    }
}

static bool is_scalar(const json_t *v)
{
    return !json_is_object(v) && !json_is_array(v);
}

static bool compare_values(enum pg_compare compare, const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b)) {
        double x = json_number_value(a);
        double y = json_number_value(b);

        return holds(compare, x < y ? -1 : x > y);
    }
    if (json_is_string(a) && json_is_string(b)) {
        int order = strcmp(json_string_value(a), json_string_value(b));

        return holds(compare, (double)order);
    }
    bool same = is_scalar(a) && json_equal(a, b);

    return compare == PG_NOT_EQUAL ? !same : compare == PG_EQUAL && same;
}

/* As kubectl: each side is one value, or the comparison does not hold; one that is not there is only unequal. */
static bool passes(const struct look *l, const struct pg_step *s, const json_t *value)
{
    json_t *left = find(l, s->left, value);
    bool yes = json_array_size(left) > 0;

    if (s->compare != PG_IS_THERE) {
        json_t *right = find(l, s->right, value);
        const json_t *a = json_array_get(left, 0);
        const json_t *b = json_array_get(right, 0);

        yes = a && b ? compare_values(s->compare, a, b) : false;
        json_decref(right);
    }
    json_decref(left);
    return yes;
}

/* ---- steps ---- */

static void each_member(const struct look *l, const struct pg_step *s, const json_t *value,
                        json_t *found)
{
    size_t i = 0;
    const json_t *item = NULL;
    const char *key = NULL;
    json_t *member = NULL;

    json_array_foreach(value, i, item)
    {
        if (s->kind == PG_STEP_ALL || passes(l, s, item)) {
            go_on(l, s->next, item, found);
        }
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        if (s->kind == PG_STEP_ALL || passes(l, s, member)) {
            go_on(l, s->next, member, found);
        }
    }
}

static void slice(const struct look *l, const struct pg_step *s, uint32_t next, const json_t *value,
                  json_t *found)
{
    int64_t count = (int64_t)json_array_size(value);
    int64_t from = s->has_from ? s->from : 0;
    int64_t to = s->has_to ? s->to : count;

    from += from < 0 ? count : 0;
    to += to < 0 ? count : 0;
    if (s->is_index) {
        go_on(l, next, from >= 0 ? json_array_get(value, (size_t)from) : NULL, found);
        return;
    }
    for (int64_t i = from > 0 ? from : 0; i < to && i < count; i += s->by) {
        go_on(l, next, json_array_get(value, (size_t)i), found);
    }
}

static void deep(const struct look *l, uint32_t next, const json_t *value, unsigned level,
                 json_t *found)
{
    size_t i = 0;
    const json_t *item = NULL;
    const char *key = NULL;
    json_t *member = NULL;

    go_on(l, next, value, found);
    if (level == DEEP_MOST) {
        return;
    }
    json_array_foreach(value, i, item)
    {
        deep(l, next, item, level + 1, found);
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        deep(l, next, member, level + 1, found);
    }
}

/* Each part of its own, then on from there. */
static void each_part(const struct look *l, const struct pg_step *s, const json_t *value,
                      json_t *found)
{
    for (uint32_t at = s->parts; at != PG_JSONPATH_NONE; at = l->path->steps[at].next) {
        const struct pg_step *part = &l->path->steps[at];

        if (part->kind == PG_STEP_FIELD) {
            go_on(l, s->next, json_object_get(value, part->name), found);
        } else {
            slice(l, part, s->next, value, found);
        }
    }
}

static void follow(const struct look *l, uint32_t step, const json_t *value, json_t *found)
{
    const struct pg_step *s = &l->path->steps[step];

    switch (s->kind) {
    case PG_STEP_FIELD: go_on(l, s->next, json_object_get(value, s->name), found); break;
    case PG_STEP_ALL:
    case PG_STEP_FILTER: each_member(l, s, value, found); break;
    case PG_STEP_SLICE: slice(l, s, s->next, value, found); break;
    case PG_STEP_DEEP: deep(l, s->next, value, 0, found); break;
    case PG_STEP_UNION:
    default: each_part(l, s, value, found); break;
    }
}

json_t *pg_jsonpath_find(const struct pg_jsonpath *p, const json_t *root)
{
    struct look l = {p, root};

    for (uint32_t i = 0; i < p->piece_count; i++) {
        if (p->pieces[i].kind == PG_PIECE_PATH) {
            return find(&l, p->pieces[i].operand, root);
        }
    }
    return json_array();
}

/* ---- printing ---- */

void pg_jsonpath_add_value(struct pg_text *out, const json_t *value)
{
    if (json_is_string(value)) {
        pg_text_add_escaped(out, json_string_value(value), json_string_length(value));
        return;
    }
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);

    pg_text_puts(out, text ? text : "");
    free(text);
}

static void print_pieces(const struct look *l, uint32_t from, uint32_t to, const json_t *current,
                         struct pg_text *out);

static void print_path(const struct look *l, const struct pg_piece *piece, const json_t *current,
                       struct pg_text *out)
{
    json_t *found = find(l, piece->operand, current);
    size_t i = 0;
    const json_t *value = NULL;

    json_array_foreach(found, i, value)
    {
        pg_text_puts(out, i ? " " : "");
        if (!json_is_null(value)) {
            pg_jsonpath_add_value(out, value);
        }
    }
    json_decref(found);
}

static void print_range(const struct look *l, uint32_t range, const json_t *current,
                        struct pg_text *out)
{
    const struct pg_piece *piece = &l->path->pieces[range];
    json_t *found = find(l, piece->operand, current);
    size_t i = 0;
    const json_t *value = NULL;

    json_array_foreach(found, i, value)
    {
        print_pieces(l, range + 1, piece->end, value, out);
    }
    json_decref(found);
}

static void print_pieces(const struct look *l, uint32_t from, uint32_t to, const json_t *current,
                         struct pg_text *out)
{
    for (uint32_t i = from; i < to; i++) {
        const struct pg_piece *piece = &l->path->pieces[i];

        if (piece->kind == PG_PIECE_TEXT) {
            pg_text_add(out, piece->text.at, piece->text.len);
        } else if (piece->kind == PG_PIECE_PATH) {
            print_path(l, piece, current, out);
        } else if (piece->kind == PG_PIECE_RANGE) {
            print_range(l, i, current, out);
            i = piece->end;
        }
    }
}

void pg_jsonpath_print(const struct pg_jsonpath *p, const json_t *root, struct pg_text *out)
{
    struct look l = {p, root};

    print_pieces(&l, 0, p->piece_count, root, out);
}
