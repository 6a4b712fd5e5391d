/* folder: app */
/* A request as people name it: a URL, and who sends it. */
#ifndef PODGLASS_ASK_H
#define PODGLASS_ASK_H

#include "podglass/dns.h"
#include "podglass/hops.h"
#include "podglass/lab.h"
#include "podglass/snapshot.h"

struct pg_ask {
    const char *from;   /* address, client of the lab, or "pod:NS/NAME"; NULL: the first client */
    const char *url;    /* http://HOST[:PORT][/PATH] */
    const char *method; /* NULL: GET, with a body POST */
    const char *const *headers; /* "Name: value"; "Name:" leaves a field of ours out */
    uint32_t header_count;
    struct pg_slice body;
    bool has_body;
    uint32_t timeout_ms; /* 0: 30000 */
};

/* Made of it; the texts in `request` belong to this struct. */
struct pg_asked {
    struct pg_request request;
    struct pg_text bytes;
    struct pg_text from_name; /* "alice", "shop/web-0"; empty for a bare address */
};
/* 0, or -EINVAL: *ret_why (appended to) says what is wrong, in words. */
int pg_ask_make(const struct pg_ask *ask, const struct pg_snapshot *s, const struct pg_zone *zone,
                struct pg_asked *ret, struct pg_text *ret_why);
void pg_asked_free(struct pg_asked *a);

/* ---- outcome.c: what came of it ---- */
struct pg_outcome {
    struct pg_addr client;
    const char *client_name; /* "" for none */
    const char *request;     /* as the client wrote it; its first line is shown */
    const struct pg_response *response;
    const struct pg_hops *hops;
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
/* And back: texts of *ret_response and the names in list are the caller's. 0 or -EBADMSG. */
const char *pg_outcome_error(int error); /* "connection refused", ... in words */
bool pg_want_color(const char *given);   /* of --color */

#endif
