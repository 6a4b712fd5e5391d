/* Names and help of counters and drop reasons.
 *
 * The enums, these tables and the documentation grow from counters.def and drops.def, so a counter
 * without a name cannot exist. Called by the dumps of app/, by trace/ and by tools/. Owns nothing
 * but constants. A number out of range (a record from a newer version, say) prints as "unknown"
 * instead of reading past a table. */
#include "podglass/counter.h"

#include <assert.h>
#include <stddef.h>

struct row {
    const char *name;
    const char *help;
};

static const struct row counters[] = {
#define PG_COUNTER(id, name, help) {name, help},
#include "podglass/counters.def"
#undef PG_COUNTER
};
static_assert(sizeof(counters) / sizeof(counters[0]) == PG_COUNTER_COUNT, "a name for each");

static const struct row drops[] = {
#define PG_DROP(id, name, help) {name, help},
#include "podglass/drops.def"
#undef PG_DROP
};
static_assert(sizeof(drops) / sizeof(drops[0]) == PG_DROP_COUNT, "a name for each");

static const struct row unknown = {"unknown", "not known to this version"};

static const struct row *find_row(const struct row *rows, size_t count, size_t index)
{
    return index < count ? &rows[index] : &unknown;
}

const char *pg_counter_name(enum pg_counter c)
{
    return find_row(counters, PG_COUNTER_COUNT, (size_t)c)->name;
}

const char *pg_counter_help(enum pg_counter c)
{
    return find_row(counters, PG_COUNTER_COUNT, (size_t)c)->help;
}

const char *pg_drop_name(enum pg_drop d)
{
    return find_row(drops, PG_DROP_COUNT, (size_t)d)->name;
}

const char *pg_drop_help(enum pg_drop d)
{
    return find_row(drops, PG_DROP_COUNT, (size_t)d)->help;
}
