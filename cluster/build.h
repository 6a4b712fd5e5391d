/* folder: cluster
 * How a load's results get into the memory of a snapshot: each text once. Used by snapshot.c and snapshot_routes.c. */
#ifndef PODGLASS_CLUSTER_BUILD_H
#define PODGLASS_CLUSTER_BUILD_H

#include "cluster_internal.h"

/* A snapshot in the making. */
struct pg_build {
    struct pg_load *load;
    struct pg_snapshot *s;
    struct pg_arena *arena; /* the snapshot's */
    struct pg_index texts;  /* each text once */
    struct pg_list kept;    /* of const char * */
};

const char *pg_build_text(struct pg_build *b, const char *text); /* NULL: "" */
struct pg_source pg_build_source(struct pg_build *b, struct pg_source from);
void *pg_build_array(struct pg_build *b, uint32_t count, size_t size);

/* ---- snapshot_routes.c ---- */
void pg_build_routes(struct pg_build *b);

#endif
