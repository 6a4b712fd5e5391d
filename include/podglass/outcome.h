/* folder: app */
/* What came of a request that was really sent, in words and as JSON. */
#ifndef PODGLASS_OUTCOME_H
#define PODGLASS_OUTCOME_H

#include "podglass/ask.h"
#include "podglass/hops.h"
#include "podglass/lab.h"

/* As a client of the lab sends it; borrows the bytes. */
struct pg_request pg_asked_request(const struct pg_asked *a, uint32_t timeout_ms);

struct pg_outcome {
    struct pg_addr client;
    const char *client_name; /* "" for none */
    const char *request;     /* as the client wrote it; its first line is shown */
    const struct pg_response *response;
    const struct pg_hops *hops;
    bool show_secrets; /* values of Authorization, Cookie and the like */
};
/* "alice 198.51.100.7 sends  GET /cart HTTP/1.1" */
void pg_outcome_sent(const struct pg_outcome *o, struct pg_text *out);
/* What the pod says it saw, and the verdict. false: the answer is not that of a built-in pod, nothing was printed. */
bool pg_outcome_pod(const struct pg_outcome *o, bool color, struct pg_text *out);
/* The response as it came, and the verdict as far as the records know it. */
void pg_outcome_response(const struct pg_outcome *o, bool color, struct pg_text *out);
/* All of it in order: sent, hops, response or pod, verdict. */
void pg_outcome_print(const struct pg_outcome *o, bool color, struct pg_text *out);
/* One JSON object; names may be NULL. */
struct pg_names;
void pg_outcome_json(const struct pg_outcome *o, const struct pg_names *names, struct pg_json *j);
const char *pg_outcome_error(int error); /* "connection refused", ... in words */

#endif
