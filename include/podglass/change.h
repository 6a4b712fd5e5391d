/* folder: cluster */
/* "What if": a snapshot with one setting changed, without a load. */
#ifndef PODGLASS_CHANGE_H
#define PODGLASS_CHANGE_H

#include "podglass/snapshot.h"

/* One setting changed, as a load with this --set would change it. Services, pods and addresses stay as they are. */
enum pg_change_kind {
    PG_CHANGE_EXTERNAL_POLICY, /* on: Local */
    PG_CHANGE_INTERNAL_POLICY, /* on: Local */
    PG_CHANGE_SOURCE_RANGES,   /* none any more */
    PG_CHANGE_TRUSTED_PROXIES, /* this range alone; bits 0: none */
    PG_CHANGE_MASQUERADE_ALL,
    PG_CHANGE_PROXY_PROTOCOL, /* every port demands a preface, and these sources may send one */
};
struct pg_change {
    struct pg_prefix range;
    struct pg_prefix sources[PG_TRUSTED_MOST];
    enum pg_change_kind kind;
    uint32_t service; /* of the first three */
    uint32_t source_count;
    bool on;
};
/* A snapshot like s but for the change; shares all else with it and holds a reference. One reference; NULL: out of memory. */
struct pg_snapshot *pg_snapshot_with(struct pg_snapshot *s, const struct pg_change *change);
/* "svc/edge/gateway.externalTrafficPolicy=Local": the n-th of the values to set, from 0. false: there are no more. */
bool pg_change_print(const struct pg_snapshot *s, const struct pg_change *change, uint32_t n,
                     struct pg_text *out);

#endif
