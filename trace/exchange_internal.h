/* What the files that put exchanges together share: which flow is whose leg. */
#ifndef PODGLASS_EXCHANGE_INTERNAL_H
#define PODGLASS_EXCHANGE_INTERNAL_H

#include "podglass/trace.h"

/* The two ends that the ingress has, as its own records tell them: of the connection to the client (the peer it sees), of the one to the pod (its own end). NULL: not told. */
const struct pg_record *pg_exchange_client_event(const struct pg_record *records, uint32_t count);
const struct pg_record *pg_exchange_upstream_event(const struct pg_record *records, uint32_t count);
/* The flow among these records whose source behind NAT (client leg) or before it (upstream leg) is that end. 0: none. */
uint64_t pg_exchange_flow_of(const struct pg_record *records, uint32_t count,
                             const struct pg_record *event, bool behind_nat);

#endif
