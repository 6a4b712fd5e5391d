/* folder: proxy */
/* Requests counted by service and by the host of the rule that led there, and one request told to whoever keeps a log.
 *
 * The numbers cost a request a few additions: its service's place is found when routes are loaded, not when it ends. Sets are bounded: so many pairs of
 * hosts that rules name (never what a client wrote) and services, so many different statuses of each; what is beyond is counted as "other". */
#ifndef PODGLASS_REQUEST_STATS_H
#define PODGLASS_REQUEST_STATS_H

#include "podglass/addr.h"
#include "podglass/reason.h"
#include "podglass/text.h"
#include "podglass/verdict.h"

#include <stdbool.h>
#include <stdint.h>

#define PG_STATS_CODES   16 /* different statuses of a service; the last one stands for all others */
#define PG_STATS_BUCKETS 15

struct pg_service_stats {
    char name[132]; /* "shop/web"; "" for requests that found no service */
    char host[132]; /* "shop.example.test", "*.example.test" of the rule; "" for one without */
    uint32_t next_of_service; /* a later place with the same name; 0: none */
    bool is_first_of_service;
    uint64_t requests;
    uint64_t duration_us;                   /* sum */
    uint64_t buckets[PG_STATS_BUCKETS + 1]; /* not cumulative; the last is above all bounds */
    uint64_t verdicts[PG_VERDICT_COUNT];
    struct {
        uint16_t status; /* 0: other */
        uint64_t count;
    } codes[PG_STATS_CODES];
};
extern const uint32_t pg_stats_bounds_us[PG_STATS_BUCKETS]; /* upper, inclusive */

struct pg_request_stats;
/* Place 0 is that of requests without a service, and of those beyond the limit. NULL: out of memory. */
struct pg_request_stats *pg_request_stats_new(uint32_t places);
void pg_request_stats_free(struct pg_request_stats *s);
uint32_t pg_request_stats_place(struct pg_request_stats *s, const char *namespace, const char *name,
                                const char *host);
/* verdict PG_VERDICT_COUNT: none. */
void pg_request_stats_add(struct pg_request_stats *s, uint32_t place, uint16_t status,
                          uint64_t duration_us, enum pg_verdict verdict);
uint32_t pg_request_stats_count(const struct pg_request_stats *s);
const struct pg_service_stats *pg_request_stats_at(const struct pg_request_stats *s,
                                                   uint32_t place);

/* ---- one request, at its end ---- */
#define PG_NOTE_TEXT 1600
/* What its head said; each is cut to what fits. */
struct pg_request_note {
    struct pg_slice method, target, host, referer, agent;
    uint8_t minor;
    uint32_t used;
    char text[PG_NOTE_TEXT];
};
struct pg_request_done {
    const struct pg_request_note *note; /* NULL: the head made no sense */
    const char *service;                /* "shop/web", "" */
    uint32_t label;
    uint16_t status; /* 499: the client went away */
    bool reused;
    struct pg_addr hop;    /* who spoke to the ingress */
    struct pg_addr client; /* whom the ingress takes for the client; none: it did not come so far */
    struct pg_addr origin; /* whose connection it really was, before anybody changed it */
    struct pg_addr upstream; /* service address; none: it did not come so far */
    uint16_t upstream_port;
    struct pg_tuple upstream_sent; /* what goes to the service on that connection; proto 0: none */
    bool has_verdict;
    enum pg_verdict verdict;
    uint64_t took_us;
    uint64_t upstream_us;         /* until the head of the pod's answer; 0: there was none */
    uint64_t bytes_in, bytes_out; /* bodies */
    const char *error;            /* of an answer of ours: "upstream-tls"; NULL: the pod's */
    pg_reason_id why;             /* of the error */
};

#endif
