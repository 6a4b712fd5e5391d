/* What the verbs that run dry share: questions, the outcome in words, "what if". */
#ifndef PODGLASS_TOOLS_DRY_TOOL_H
#define PODGLASS_TOOLS_DRY_TOOL_H

#include "podglass/ask.h"
#include "podglass/change.h"
#include "podglass/dns_decide.h"
#include "podglass/dry.h"
#include "podglass/manifests.h"
#include "podglass/tools.h"

/* ---- dry_ask.c: a question to the dry run, from words ---- */
struct pg_dry_ask {
    struct pg_asked asked;
    struct pg_dry_request request; /* head points into asked.bytes */
};
int pg_dry_ask_read(const struct pg_dry *d, const struct pg_ask *ask, struct pg_dry_ask *ret,
                    struct pg_text *why);
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

/* ---- predict.c, predict_service.c: whom pods will see ---- */
enum pg_caller { PG_CALLER_OUTSIDE, PG_CALLER_BALANCER, PG_CALLER_POD, PG_CALLER_NODE };
const char *pg_caller_name(enum pg_caller c); /* "outside", ... */
#define PG_SEEN_MOST 16
struct pg_prediction_seen {
    struct pg_addr at[PG_SEEN_MOST];
    uint32_t count;
    bool same; /* or the caller as it is */
    bool more; /* there are addresses beyond those */
};
struct pg_prediction_to {
    struct pg_addr addr;
    uint16_t port;
};
struct pg_prediction {
    const char *object; /* "Service/shop/web"; interned */
    struct pg_text text;
    enum pg_finding_level level;
    pg_reason_id reason;    /* code, file and line of it */
    struct pg_source place; /* if the reason has none */
    enum pg_caller caller;
    uint8_t proto;
    struct pg_prediction_to *
        to; /* what the caller calls, any of them; none for an Ingress rule and a headless service */
    uint32_t to_count;
    struct pg_prediction_seen seen; /* nothing: none of its packets arrives */
    bool silent;                    /* or, by node or by chance, nothing arrives */
};
struct pg_predictions {
    struct pg_prediction *at;
    uint32_t count;
    uint32_t left_out;     /* more rules than are looked at */
    uint32_t outside_only; /* service ports that were not looked at from inside */
};
/* For each port of a Service and each kind of caller what comes of its addresses, and one per Ingress rule. */
void pg_predict(struct pg_dry *d, struct pg_predictions *ret);
void pg_predictions_free(struct pg_predictions *p);
/* Somebody outside the cluster, of that family. */
struct pg_addr pg_outsider(const struct pg_snapshot *s, bool v6);

/* ---- what_if.c ---- */
/* Changes worth trying for this outcome; with PG_CHANGE_PROXY_PROTOCOL the request is to begin with a preface. Returns how many. */
#define PG_CHANGES_MOST 8
uint32_t pg_changes_for(const struct pg_snapshot *s, const struct pg_dry_result *shown,
                        struct pg_change ret[PG_CHANGES_MOST]);

#endif
