/* folder: base */
/* All counters of one path, by name. A drop is counted under its reason; the sums say in = out +
 * drops + held. */
#ifndef PODGLASS_COUNTER_H
#define PODGLASS_COUNTER_H

#include "podglass/drops.h"

#include <stdint.h>

enum pg_counter {
#define PG_COUNTER(id, name, help) PG_COUNT_##id,
#include "podglass/counters.def"
#undef PG_COUNTER
    PG_COUNTER_COUNT
};

struct pg_counters {
    uint64_t value[PG_COUNTER_COUNT];
    uint64_t drop[PG_DROP_COUNT];
};

const char *pg_counter_name(enum pg_counter c);
const char *pg_counter_help(enum pg_counter c);

#endif
