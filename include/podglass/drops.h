/* folder: base */
/* Every reason for which a packet ends here. The list is drops.def; there is no drop without a row
 * in it. */
#ifndef PODGLASS_DROPS_H
#define PODGLASS_DROPS_H

enum pg_drop {
#define PG_DROP(id, name, help) PG_DROP_##id,
#include "podglass/drops.def"
#undef PG_DROP
    PG_DROP_COUNT
};

const char *pg_drop_name(enum pg_drop d);
const char *pg_drop_help(enum pg_drop d);

#endif
