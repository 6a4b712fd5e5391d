/* What the rows of `get` are made of, and the rows themselves. */
#ifndef PODGLASS_GET_CELLS_H
#define PODGLASS_GET_CELLS_H

#include "get_internal.h"

/* ---- members of an item (get_cells.c) ---- */
const char *pg_get_string(const json_t *item, const char *key); /* NULL: not there */
uint64_t pg_get_number(const json_t *item, const char *key);    /* 0: not there */
bool pg_get_has(const json_t *item, const char *key);
void pg_get_add_endpoint(struct pg_text *t, const char *address, uint64_t port);
/* The cell takes over t and empties it. */
void pg_cell_text(struct pg_grid *g, struct pg_text *t);
/* Strings of an array, or one member of its objects, with commas between. */
void pg_get_add_joined(struct pg_text *t, const json_t *array, const char *member);
void pg_cell_joined(struct pg_grid *g, const json_t *item, const char *key);
void pg_cell_number(struct pg_grid *g, const json_t *item, const char *key);
void pg_cell_yes(struct pg_grid *g, const json_t *item, const char *key);
void pg_cell_duration(struct pg_grid *g, const json_t *item, const char *key);
void pg_cell_endpoint(struct pg_grid *g, const json_t *endpoint, const char *none);
/* A reason in words: "svc/edge/gateway externalTrafficPolicy: Cluster (default)  edge.yaml:14", by the one who prints it elsewhere too. */
void pg_get_add_reason(struct pg_text *t, const json_t *reason, bool with_source);

/* ---- of requests, for top too (get_rows_traffic.c) ---- */
uint64_t pg_requests_codes(const json_t *item, char first); /* of a class of status */
/* In how many microseconds so many percent were done, as a bound; INT64_MAX: above all bounds; -1: there were none. */
int64_t pg_requests_below(const json_t *item, unsigned percent);
void pg_requests_cell_below(struct pg_grid *g, const json_t *item, unsigned percent);

/* ---- a row each (get_rows_flows.c, get_rows_cluster.c, get_rows_ingress.c) ---- */
void pg_row_conntrack(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_nat(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_affinity(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_connections(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_services(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_endpoints(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_nodes(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_pods(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_ingresses(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_routes(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_settings(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_traffic(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_gateways(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_http_routes(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_dns(struct pg_grid *g, const json_t *item, bool wide);
void pg_row_counters(struct pg_grid *g, const json_t *item, bool wide);

#endif
