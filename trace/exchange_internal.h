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

/* A NAT record of one end of a flow: told once per flow, or once per round. */
bool pg_exchange_is_leg(const struct pg_record *r);
/* A preface that was read, or sent to the pod: once per connection. It has no flow of its own, so the field tells which. */
bool pg_exchange_is_preface(const struct pg_record *r);
/* The first record of a request, and the last one: its response, or why there is none. */
bool pg_exchange_begins(const struct pg_record *r);
bool pg_exchange_ends(const struct pg_record *r);

#endif
