/* What the files behind pg_dump_json share. Each list writes the inside of "items" (an array that is open). */
#ifndef PODGLASS_DUMP_INTERNAL_H
#define PODGLASS_DUMP_INTERNAL_H

#include "podglass/dump.h"

struct pg_dump {
    struct pg_path *path;
    const struct pg_snapshot *snapshot; /* NULL: none in force yet */
    uint64_t now_us;
    const char *name; /* only what is called so, where the list knows names (dns); NULL: all */
    struct pg_json json;
};

#define PG_DUMP_STEP 1024 /* slots of a table per call of its walk */

/* dump_flows.c */
void pg_dump_conntrack(struct pg_dump *d);
/* A conntrack list in steps, so that the path goes on in between; flows that come and go meanwhile may be in it or not. */
struct pg_flow_list_dump {
    struct pg_dump d;
    struct pg_text *out;
    bool lines;     /* as conntrack(8), not JSON */
    unsigned form;  /* of lines: as pg_nat_print_conntrack */
    char name[24];  /* of lines: only the flows of this id or label; "" all */
    uint32_t count; /* lines written */
    uint64_t cursor;
};
void pg_flow_list_begin(struct pg_flow_list_dump *l, struct pg_path *p, uint64_t now_us,
                        struct pg_text *out);
/* Appends to out what the next `slots` of the table hold. true: more to come; else the end is written too. */
bool pg_flow_list_step(struct pg_flow_list_dump *l, uint32_t slots, uint64_t now_us);
void pg_dump_nat(struct pg_dump *d);
void pg_dump_affinity(struct pg_dump *d);
/* dump_connections.c */
void pg_dump_connections(struct pg_dump *d);
/* dump_cluster.c */
void pg_dump_services(struct pg_dump *d);
void pg_dump_endpoints(struct pg_dump *d);
void pg_dump_nodes(struct pg_dump *d);
void pg_dump_pods(struct pg_dump *d);
void pg_dump_gateways(struct pg_dump *d); /* dump_gateways.c */
void pg_dump_http_routes(struct pg_dump *d);
void pg_dump_backend_policies(struct pg_dump *d, const struct pg_service *service);
void pg_dump_ingresses(struct pg_dump *d); /* dump_ingress.c */
void pg_dump_routes(struct pg_dump *d);
void pg_dump_settings(struct pg_dump *d);
void pg_dump_traffic(struct pg_dump *d); /* dump_traffic.c */
void pg_dump_dns(struct pg_dump *d);     /* dump_dns.c */
/* dump_counters.c: members of the outer object, since counters are no list */
void pg_dump_counters(struct pg_dump *d);

/* dump_json.c: the frame of a list, and pieces of items */
void pg_dump_open(struct pg_dump *d, const char *kind, struct pg_text *out);
void pg_dump_close(struct pg_dump *d);
void pg_dump_reason(struct pg_dump *d, const char *key, pg_reason_id id); /* null for none */
void pg_dump_source(struct pg_dump *d, const char *key,
                    const struct pg_source *s); /* "file:line" or null */
void pg_dump_flow_label(struct pg_dump *d, const char *key, uint32_t label); /* "c7f1" or null */
/* Name of a node, null for none; node may be PG_NODE_NONE or PG_INDEX_NONE. */
void pg_dump_node_name(struct pg_dump *d, const char *key, uint32_t node);
void pg_dump_pod_name(struct pg_dump *d, const char *key, uint32_t pod); /* "shop/web-0" or null */
void pg_dump_endpoint(struct pg_dump *d, const char *key, const struct pg_addr *a, uint16_t port);

#endif
