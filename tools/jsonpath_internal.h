/* What jsonpath.c makes of a template, and jsonpath_find.c walks along. */
#ifndef PODGLASS_JSONPATH_INTERNAL_H
#define PODGLASS_JSONPATH_INTERNAL_H

#include "jsonpath.h"

#include <stdbool.h>
#include <stdint.h>

#define PG_JSONPATH_NONE UINT32_MAX

enum pg_step_kind {
    PG_STEP_FIELD, /* .name */
    PG_STEP_ALL,   /* [*], .* */
    PG_STEP_SLICE, /* [n], [from:to:by] */
    PG_STEP_DEEP,  /* ..: the object and all below it */
    PG_STEP_UNION, /* [0,2], ['a','b']: each of its parts of the same object */
    PG_STEP_FILTER
};

enum pg_compare {
    PG_IS_THERE,
    PG_EQUAL,
    PG_NOT_EQUAL,
    PG_LESS,
    PG_LESS_EQUAL,
    PG_MORE,
    PG_MORE_EQUAL
};

/* A chain through `next`. `parts` of a union chains through `next`, too. */
struct pg_step {
    enum pg_step_kind kind;
    uint32_t next;
    char *name; /* FIELD */
    bool is_index, has_from, has_to;
    int64_t from, to, by; /* SLICE */
    uint32_t parts;       /* UNION */
    enum pg_compare compare;
    uint32_t left, right; /* FILTER: operands */
};

/* A path, or a value that is written out. */
struct pg_operand {
    bool from_root;
    uint32_t step; /* the first; PG_JSONPATH_NONE: the object itself */
    json_t *literal;
};

enum pg_piece_kind { PG_PIECE_TEXT, PG_PIECE_PATH, PG_PIECE_RANGE, PG_PIECE_END };

struct pg_piece {
    enum pg_piece_kind kind;
    struct pg_text text;
    uint32_t operand;
    uint32_t end; /* RANGE: the piece that ends it */
};

struct pg_jsonpath {
    struct pg_step *steps;
    struct pg_operand *operands;
    struct pg_piece *pieces;
    uint32_t step_count, operand_count, piece_count;
};

#endif
