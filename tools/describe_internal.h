/* What the files of `describe` share: the question, lists of the instance, and pages of whatever an item has. */
#ifndef PODGLASS_DESCRIBE_INTERNAL_H
#define PODGLASS_DESCRIBE_INTERNAL_H

#include "podglass/tools.h"

#include <jansson.h>

struct pg_describe {
    struct pg_options options;
    struct pg_text socket;
    struct pg_text out;
    const char *name;
    bool found;
};

/* ---- describe.c ---- */
/* The items of a list; NULL after *ret_status was set. */
json_t *pg_describe_ask(const struct pg_describe *d, const char *type, int *ret_status);

/* ---- describe_print.c ---- */
/* A member's text, "" if it has none. */
const char *pg_describe_string(const json_t *o, const char *key);
/* "Title:" on a line of its own, a blank line before it. */
void pg_describe_head(struct pg_describe *d, const char *title);
/* All members of an object, or all of a list, escaped, two columns deeper per depth. */
void pg_describe_object(struct pg_text *out, const json_t *o, int depth);
void pg_describe_array(struct pg_text *out, const json_t *list, int depth);

/* An item of the list of settings on a line of its own. */
void pg_describe_setting(struct pg_text *out, const json_t *setting);

/* ---- describe_flow.c ---- */
/* Flows that `wanted` takes, a few of them, and how many there are. */
int pg_describe_flows(struct pg_describe *d, bool (*wanted)(const json_t *flow, const json_t *arg),
                      const json_t *arg);
int pg_describe_flow(struct pg_describe *d);

/* ---- describe_cluster.c ---- */
int pg_describe_service(struct pg_describe *d);
int pg_describe_endpoint(struct pg_describe *d);
int pg_describe_node(struct pg_describe *d);
int pg_describe_ingress(struct pg_describe *d);
int pg_describe_gateway(struct pg_describe *d);
int pg_describe_http_route(struct pg_describe *d);

#endif
