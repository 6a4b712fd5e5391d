/* One case of `podglass check`, from its request to what is said about it.
 *
 *   check.c         the verb: reads, runs case after case, exit status
 *   check_send.c    sends one case's request on a path of its own      -> struct pg_check_run
 *   check_judge.c   compares what happened with what is expected      -> struct pg_check_result (pure)
 *   check_cause.c   which record is to blame for a difference (pure)
 *   check_print.c   results as text, TAP and JSON
 *   check_report.c  results as JUnit XML and as annotations */
#ifndef PODGLASS_CHECK_INTERNAL_H
#define PODGLASS_CHECK_INTERNAL_H

#include "podglass/account.h"
#include "podglass/checks.h"
#include "podglass/drops.h"
#include "podglass/hops.h"
#include "podglass/json.h"
#include "podglass/sim.h"
#include "podglass/verdict.h"

/* What became of one request. */
struct pg_check_run {
    const struct pg_check_case *check;
    struct pg_text problem; /* why it could not be sent; empty: it was */
    struct pg_addr from, to;
    int error; /* 0 or -errno: no answer */
    uint16_t status;
    struct pg_text service;    /* the last one chosen, "shop/web"; empty: none */
    struct pg_text endpoint;   /* "10.244.1.7:8080" */
    struct pg_account account; /* said NULL: no pod answered */
    uint64_t drops[PG_DROP_COUNT];
    struct pg_hops hops;
};

/* One difference. */
struct pg_check_fault {
    char what[96]; /* "client.verdict" */
    struct pg_text want, got;
    struct pg_source source; /* where it is expected */
    uint32_t hop;            /* 0: unknown */
    pg_reason_id reason;     /* 0: unknown */
};

#define PG_CHECK_FAULTS 128

struct pg_check_result {
    const struct pg_check_case *check;
    struct pg_check_fault faults[PG_CHECK_FAULTS];
    uint32_t fault_count;
    uint64_t took_us; /* of real time */
};

/* Opens a path on s, sends the case's request and lets things settle. r is empty. 0, or -errno: no path could be made. */
int pg_check_send(const struct pg_check_case *check, struct pg_snapshot *s, uint64_t seed,
                  struct pg_check_run *r, struct pg_text *records);
void pg_check_run_clear(struct pg_check_run *r);

void pg_check_judge(const struct pg_check_run *r, struct pg_check_result *ret);
void pg_check_result_clear(struct pg_check_result *r);
const char *pg_check_error_name(int error); /* "refused", ...; "none" */

/* What a difference may be about. */
enum pg_check_about {
    PG_CHECK_ABOUT_CLIENT, /* whom the pod can know as its client */
    PG_CHECK_ABOUT_PEER,
    PG_CHECK_ABOUT_HEADER,
    PG_CHECK_ABOUT_ANSWER, /* status, or that there was none */
    PG_CHECK_ABOUT_CHOICE, /* service, endpoint */
    PG_CHECK_ABOUT_DROP,
};
/* Fills hop and reason. name: of the header or the drop. */
void pg_check_blame(const struct pg_hops *h, enum pg_check_about about, const char *name,
                    struct pg_check_fault *f);

/* ---- output ---- */
struct pg_check_summary {
    uint32_t cases, passed;
    uint64_t seed;
    uint64_t took_us;
};
enum pg_check_form { PG_CHECK_TEXT, PG_CHECK_TAP, PG_CHECK_JSON };
struct pg_check_printer {
    enum pg_check_form form;
    bool color;
    uint32_t number; /* of the case printed last */
    struct pg_json json;
    struct pg_text *out;
};
void pg_check_print_begin(struct pg_check_printer *p, uint32_t cases);
void pg_check_print_case(struct pg_check_printer *p, const struct pg_check_run *r,
                         const struct pg_check_result *result);
void pg_check_print_end(struct pg_check_printer *p, const struct pg_check_summary *sum);
/* "client.verdict: want carried, got lost at hop 1: ...  PG101", in one line, escaped. */
void pg_check_fault_line(const struct pg_check_fault *f, struct pg_text *out);

void pg_check_junit_case(const struct pg_check_result *result, struct pg_text *out);
/* The whole report around what pg_check_junit_case wrote. */
void pg_check_junit(const struct pg_text *cases, const struct pg_check_summary *sum,
                    struct pg_text *out);
void pg_check_github_case(const struct pg_check_result *result, struct pg_text *out);
void pg_check_github_finding(const struct pg_finding *f, struct pg_text *out);

#endif
