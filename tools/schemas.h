/* The schemas of docs/schemas, as the build put them into the program. */
#ifndef PODGLASS_SCHEMAS_H
#define PODGLASS_SCHEMAS_H

struct pg_schema {
    const char *kind;
    const unsigned char *text; /* ends with NUL */
};
extern const struct pg_schema pg_schemas[]; /* by kind; the last has no kind */

#endif
