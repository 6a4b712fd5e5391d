/* Rows of verbs.def as the parser, the help and the completion read them. */
#ifndef PODGLASS_VERBS_INTERNAL_H
#define PODGLASS_VERBS_INTERNAL_H

#include "podglass/tools.h"

struct pg_verb_row {
    const char *name;
    const char *synopsis;
    const char *help;
};
struct pg_flag_row {
    const char *name;
    const char *argument; /* NULL: takes none */
    const char *help;
    enum pg_verb verb;
    char letter; /* 0: none */
    bool repeatable;
};
struct pg_type_row {
    const char *name;
    const char *aliases; /* divided by ' ' */
    const char *help;
};
extern const struct pg_verb_row pg_verb_rows[PG_VERB_COUNT];
extern const struct pg_flag_row pg_flag_rows[PG_FLAG_COUNT];

enum pg_get_type {
#define PG_GET_TYPE(id, name, aliases, help) PG_GET_##id,
#include "podglass/verbs.def"
    PG_GET_TYPE_COUNT
};
extern const struct pg_type_row pg_type_rows[PG_GET_TYPE_COUNT];

/* "a|b|c=NAME" is a choice, "NAME" is not. */
static inline bool pg_argument_is_choice(const char *argument)
{
    return argument && argument[0] >= 'a' && argument[0] <= 'z';
}
/* Is value one of a choice? Behind "c=" stands what the user likes. */
bool pg_choice_has(const char *list, const char *value);
/* Is value one of the words of list? */
bool pg_word_in(const char *list, char divider, const char *value);

#endif
