/* folder: cluster */
/* Where something was written. */
#ifndef PODGLASS_SOURCE_H
#define PODGLASS_SOURCE_H

#include <stdint.h>

struct pg_source {
    const char *file; /* "" if none */
    uint32_t line;    /* 0: not written anywhere */
};

#endif
