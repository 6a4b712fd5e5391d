/* What the verbs that run dry share: manifests from flags, who asks and who is asked, the outcome in words, "what if". */
#ifndef PODGLASS_TOOLS_DRY_TOOL_H
#define PODGLASS_TOOLS_DRY_TOOL_H

#include "podglass/change.h"
#include "podglass/dns_decide.h"
#include "podglass/dry.h"
#include "podglass/tools.h"

/* ---- manifests.c ---- */
/* The flags of a verb that say what to load. PG_FLAG_COUNT: the verb has no such flag. */
struct pg_manifest_flags {
    enum pg_flag filename, recursive, namespace, strict, set;
};
/* 0 or PG_EXIT_MANIFEST, findings filled and not said; PG_EXIT_USAGE, said. */
int pg_manifests_read(const struct pg_options *o, const struct pg_manifest_flags *flags,
                      struct pg_snapshot **ret, struct pg_findings *ret_findings);
/* 0; or an exit status after saying why. Findings go to standard error; quiet: notes do not. */
int pg_manifests_load(const struct pg_options *o, const struct pg_manifest_flags *flags, bool quiet,
                      struct pg_snapshot **ret, struct pg_findings *ret_findings);

/* ---- ends.c ---- */
struct pg_end_of {
    struct pg_addr addr;
    bool wire;             /* comes in by a link: neither a client of the lab nor of the cluster */
    char name[320];        /* "alice", "pod shop/web-1", "node node-1", "" */
    const char *namespace; /* of a pod, for its search list; else NULL */
};
/* 0; or -EINVAL with the reason in why (not escaped). */
int pg_end_from(const struct pg_snapshot *s, const char *text, struct pg_end_of *ret,
                struct pg_text *why);
/* An address, or a name that the cluster's DNS knows, as `from` would look it up. *ret_reason: what answered, 0 for an address. *ret_known false: nobody knows
 * it, and the ingress' address was taken. */
int pg_end_resolve(const struct pg_dry *d, struct pg_slice host, const struct pg_end_of *from,
                   struct pg_addr *ret, pg_reason_id *ret_reason, bool *ret_known,
                   struct pg_text *why);
/* First address of the service in front of the ingress that somebody outside can use; none if there is no ingress. */
struct pg_addr pg_end_of_ingress(const struct pg_snapshot *s, bool v6);

/* ---- ask.c: a request or connection, from words ---- */
struct pg_dry_ask {
    struct pg_end_of from;
    struct pg_dry_request request; /* head points into `head` */
    struct pg_text head;
    struct pg_text title; /* "GET http://..." or "tcp 192.0.2.11:30080" as asked, escaped */
    pg_reason_id to_reason;
    bool to_known;
};
struct pg_dry_ask_words {
    const char *url; /* NULL: to is given */
    const char *to;
    const char *from; /* NULL: the first client */
    const char *method;
    const char *const *headers;
    uint32_t header_count;
};
int pg_dry_ask_read(const struct pg_dry *d, const struct pg_dry_ask_words *w,
                    struct pg_dry_ask *ret, struct pg_text *why);
void pg_dry_ask_free(struct pg_dry_ask *a);

/* ---- outcome.c: words for what came out ---- */
/* "LOST", "CARRIED by X-Forwarded-For", "LOST 50% or KEPT 50%", "refused: 404 no-route" */
void pg_outcomes_print(const struct pg_dry_odds *odds, const struct pg_dry_result *shown,
                       struct pg_text *out);
/* Whether two askings come out alike: same ends and verdicts with the same odds. */
bool pg_outcomes_same(const struct pg_dry_odds *a, const struct pg_dry_result *shown_a,
                      const struct pg_dry_odds *b, const struct pg_dry_result *shown_b);
/* How well the client is known, to tell better from worse: 5 is kept for sure, 0 no verdict at all. */
double pg_outcomes_worth(const struct pg_dry_odds *odds);
/* " by X-Forwarded-For and X-Real-IP": which carriers hold the client. */
void pg_carriers_print(const struct pg_seen *seen, struct pg_text *out);
/* "shop/web-0 on node-1"; "" if it is nobody known. Escaped. */
void pg_pod_print(const struct pg_snapshot *s, uint32_t pod, struct pg_text *out);
/* "pod bridge of node-1", "pod edge/gateway-0", "address of node-2", "" */
void pg_who_print(const struct pg_snapshot *s, const struct pg_addr *a, struct pg_text *out);
/* "50%", "<1%" */
const char *pg_odds_print(double odds, char out[8]);

/* ---- predict.c: whom pods will see ---- */
struct pg_prediction {
    const char *object; /* "Service/shop/web"; interned */
    struct pg_text text;
    enum pg_finding_level level;
    pg_reason_id reason; /* code, file and line of it */
};
struct pg_predictions {
    struct pg_prediction *at;
    uint32_t count;
    uint32_t left_out; /* more routes than are looked at */
};
/* One per address a Service answers on from outside, and one per Ingress rule. */
void pg_predict(struct pg_dry *d, struct pg_predictions *ret);
void pg_predictions_free(struct pg_predictions *p);
/* Somebody outside the cluster, of that family. */
struct pg_addr pg_outsider(const struct pg_snapshot *s, bool v6);

/* ---- what_if.c ---- */
/* Changes worth trying for this outcome. Returns how many. */
#define PG_CHANGES_MOST 8
uint32_t pg_changes_for(const struct pg_snapshot *s, const struct pg_dry_result *shown,
                        struct pg_change ret[PG_CHANGES_MOST]);

#endif
