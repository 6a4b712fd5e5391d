/* folder: trace */
/* Records put together again: one request with both its legs, or one flow that no ingress was on.
 *
 * Records come as they were written, those of many flows in between; what belongs together shares a label. A request ends with the record of its
 * response or refusal; the next one on the same connection is an exchange of its own, and gets the NAT records that were told only once, in front
 * of its own. Who reads a ring, a socket or a file feeds records here, and is handed exchanges. */
#ifndef PODGLASS_EXCHANGE_H
#define PODGLASS_EXCHANGE_H

#include "podglass/addr.h"
#include "podglass/json.h"
#include "podglass/trace.h"
#include "podglass/verdict.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_exchange {
    uint32_t label; /* 0: a packet that ended before it had one */
    uint32_t count;
    uint32_t
        carried; /* the first so many were told on behalf of an earlier request of this connection */
    uint32_t left_out; /* more than fit */
    bool is_http;
    bool complete; /* the response, the refusal or the reply was seen */
    struct pg_record *records;
};

typedef void pg_exchange_fn(void *arg, const struct pg_exchange *x);

struct pg_exchanges;
/* Remembers up to `labels` connections, the ones used last. fn gets each exchange once, borrowed for the call. NULL: out of memory. */
struct pg_exchanges *pg_exchanges_new(uint32_t labels, pg_exchange_fn *fn, void *arg);
void pg_exchanges_free(struct pg_exchanges *e);
void pg_exchanges_feed(struct pg_exchanges *e, const struct pg_record *r);
/* Hands over flows that said nothing for a second, and requests that are without an answer for a minute. */
void pg_exchanges_pass(struct pg_exchanges *e, uint64_t now_us);
void pg_exchanges_flush(struct pg_exchanges *e); /* hands over everything, complete or not */

/* ---- what an exchange came to ---- */
struct pg_end {
    struct pg_addr addr; /* none: not known */
    uint16_t port;
};

struct pg_exchange_view {
    struct pg_end client; /* as it called */
    struct pg_end vip;    /* whom it called */
    struct pg_end pod;    /* who got it in the end */
    struct pg_end peer;   /* whom that one sees */
    uint64_t client_flow; /* conntrack id of the flow the client called on; 0: not told */
    uint8_t proto;
    uint16_t status; /* 0: no answer yet, or no HTTP */
    char method[20];
    char target[105];
    char host[105];
    int64_t request_body;  /* bytes announced; -1: the head does not say how many */
    int64_t response_body; /* 0: none, or no answer yet */
    char entry[128];       /* "edge/gateway": service the client called; "" for none */
    char service[128];     /* "shop/web": service of the pod */
    char refusal[46];      /* why podglass answered itself: "no-route", "no-endpoint", ... */
    char drop[46];         /* name of the drop that ended it */
    uint64_t began_us;
    uint64_t took_us;
    bool has_verdict;
    bool cut; /* a header is longer than its record: the verdict is of what is there */
    enum pg_verdict verdict;
    struct pg_seen seen; /* its slices point into the exchange */
    uint32_t lost_hop;   /* where the client's address went, 0: nowhere */
    enum pg_code lost_code;
};
void pg_exchange_look(const struct pg_exchange *x, struct pg_exchange_view *ret);

/* ---- printing ---- */
/* Names of addresses: "shop/web-0", "" for unknown. Borrowed until the next call. */
struct pg_names {
    const char *(*of)(void *arg, const struct pg_addr *a);
    void *arg;
};
enum pg_time_form {
    PG_TIME_REL,  /* milliseconds since the exchange began */
    PG_TIME_ABS,  /* the time of day, in UTC */
    PG_TIME_NONE, /* nothing that differs from one run to the next */
};
struct pg_exchange_style {
    bool color;
    enum pg_time_form time;
    uint64_t epoch_us; /* PG_TIME_ABS: the clock of the records began so long after 1970 */
};
/* The head line and a line per record. */
void pg_exchange_text(const struct pg_exchange *x, const struct pg_names *names,
                      const struct pg_exchange_style *style, struct pg_text *out);
/* One JSON object, records within. */
void pg_exchange_json(const struct pg_exchange *x, const struct pg_names *names, struct pg_json *j);
/* A headline and a table. */
void pg_exchange_markdown(const struct pg_exchange *x, const struct pg_names *names,
                          struct pg_text *out);
/* A sequence diagram. */
void pg_exchange_mermaid(const struct pg_exchange *x, const struct pg_names *names,
                         struct pg_text *out);
/* Text of strangers inside of Markdown and Mermaid: nothing in it has a meaning any more. */
void pg_text_add_markdown(struct pg_text *t, const char *text);
void pg_text_add_mermaid(struct pg_text *t, const char *text);

/* A record as JSON, with the names of its addresses. */
void pg_record_json_named(const struct pg_record *r, const struct pg_names *names,
                          struct pg_json *j);

#endif
