/* The rows of verbs.def as tables.
 *
 * The one place where the list becomes data; options.c parses by it, usage.c explains it, completion.c hands it to
 * shells. A verb, flag or type of `get` that is missing there does not exist. */
#include "verbs_internal.h"

#include <string.h>

const struct pg_verb_row pg_verb_rows[] = {
#define PG_VERB(id, name, synopsis, help) [PG_VERB_##id] = {(name), (synopsis), (help)},
#include "podglass/verbs.def"
};

const struct pg_flag_row pg_flag_rows[] = {
#define PG_FLAG(verb, id, name, letter, argument, repeatable, help) \
    [PG_FLAG_##verb##_##id] = {(name), (argument), (help), PG_VERB_##verb, (letter), (repeatable)},
#include "podglass/verbs.def"
};

const struct pg_type_row pg_type_rows[] = {
#define PG_GET_TYPE(id, name, aliases, help) [PG_GET_##id] = {(name), (aliases), (help)},
#include "podglass/verbs.def"
};
_Static_assert(sizeof pg_verb_rows / sizeof pg_verb_rows[0] == PG_VERB_COUNT, "a row per verb");
_Static_assert(sizeof pg_flag_rows / sizeof pg_flag_rows[0] == PG_FLAG_COUNT, "a row per flag");
_Static_assert(sizeof pg_type_rows / sizeof pg_type_rows[0] == PG_GET_TYPE_COUNT, "a row per type");

bool pg_choice_has(const char *list, const char *value)
{
    size_t name = strcspn(value, "=");

    while (*list) {
        size_t word = (size_t)(strchrnul(list, '|') - list);
        size_t fixed = strcspn(list, "=|");
        bool open = fixed < word && value[name] && value[name + 1]; /* "jsonpath=TEMPLATE" */

        if (fixed == name && memcmp(list, value, name) == 0 &&
            (open || (word == name && !value[name]))) {
            return true;
        }
        list += word + (list[word] ? 1 : 0);
    }
    return false;
}

bool pg_word_in(const char *list, char divider, const char *value)
{
    size_t len = strlen(value);

    while (*list && len) {
        size_t word = (size_t)(strchrnul(list, divider) - list);

        if (word == len && memcmp(list, value, len) == 0) {
            return true;
        }
        list += word + (list[word] ? 1 : 0);
    }
    return false;
}
