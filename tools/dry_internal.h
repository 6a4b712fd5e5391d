/* What the files of the dry run share. */
#ifndef PODGLASS_TOOLS_DRY_INTERNAL_H
#define PODGLASS_TOOLS_DRY_INTERNAL_H

#include "podglass/dns_decide.h"
#include "podglass/dry.h"
#include "podglass/route_filter_decide.h"
#include "podglass/ingress_decide.h"
#include "podglass/owner.h"
#include "podglass/packet.h"

#define DRY_HEAD_ROOM (PG_HTTP_MAX_HEAD + 4096) /* what the ingress may add */

struct pg_dry {
    struct pg_snapshot *snapshot;
    struct pg_service_table *services;
    struct pg_router *router;
    struct pg_zone *zone;
    bool shares_services; /* with another one, as router and zone then are too */
    bool shares_names;    /* router and zone only */
    struct pg_identity identity;
    struct pg_preface_rules preface;
    struct pg_ingress_port ingress_ports[PG_INGRESS_PORTS];
    uint32_t ingress_port_count;
    struct pg_http_head head; /* as the client sent it */
    struct pg_carried got;    /* what `seen` points into */
    struct pg_carried claimed;
    struct pg_route_plan plan; /* what the route's filters come to */
    char out[DRY_HEAD_ROOM];
};

/* One run under way. */
struct pg_dry_running {
    struct pg_dry *d;
    const struct pg_dry_request *request;
    const uint64_t *draw;
    struct pg_trace *trace; /* NULL: none */
    struct pg_dry_result *result;
    uint32_t tries;      /* pods that could not be connected to */
    bool passed_through; /* its TLS is not ended here */
};

/* dry.c: NAT of the first packet of a connection. true: it goes on, and arrives[leg] is what it became. */
bool pg_dry_leg(struct pg_dry_running *r, const struct pg_tuple *tuple, enum pg_stage stage);
/* Who has what leg_count - 1 brought: sets the end, or says that it is the ingress' HTTP. */
bool pg_dry_arrive(struct pg_dry_running *r);
void pg_dry_tell(struct pg_dry_running *r, struct pg_record *record);
struct pg_value pg_dry_endpoint(const struct pg_addr *a, uint16_t port); /* port 0: any */

/* dry_http.c: the ingress, from the request's head to the head the pod gets. */
void pg_dry_ingress(struct pg_dry_running *r);
/* Fills `seen` from what the pod gets, and decides the verdict. */
void pg_dry_see(struct pg_dry_running *r);

#endif
