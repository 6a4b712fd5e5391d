/* folder: app */
/* One list per table, as JSON: the same text for the control API, `get -o json` and tests. */
#ifndef PODGLASS_DUMP_H
#define PODGLASS_DUMP_H

#include "podglass/json.h"
#include "podglass/path.h"

/* Writes {"apiVersion":"podglass/v1alpha1","kind":"ConntrackList","metadata":{...},"items":[...]}. type: "conntrack", "nat", "affinity", "connections", "services",
 * "endpoints", "nodes", "pods", "ingresses", "routes", "settings", "traffic", "gateways", "httproutes", "dns", "counters". name: of what is meant, for "dns" alone; NULL: all. false: no such type. */
bool pg_dump_json(struct pg_path *p, const char *type, const char *name, uint64_t now_us,
                  struct pg_text *out);
/* Prometheus text 0.0.4. */
void pg_dump_metrics(struct pg_path *p, struct pg_text *out);
/* Form of conntrack's lines by its name, "extended", "id" or "xml"; anything else, or NULL: the usual one. */
unsigned pg_dump_conntrack_form(const char *name);
/* conntrack -L lines, and its summary is the caller's. */
uint32_t pg_dump_conntrack_lines(struct pg_path *p, uint64_t now_us, struct pg_text *out);

#endif
