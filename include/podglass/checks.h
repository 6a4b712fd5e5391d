/* folder: cluster */
/* What documents of kind Check ask: cases, each one request and what is expected of it.
 *
 * Read by the same load as the manifests (struct pg_load_options.checks), so that names are looked up in them and every mistake is one finding
 * with its place. Immutable; all texts live as long as the checks. What is not asked has no place (line 0), or is NULL or 0 as said. */
#ifndef PODGLASS_CHECKS_H
#define PODGLASS_CHECKS_H

#include "podglass/addr.h"
#include "podglass/snapshot.h"
#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

/* One thing expected: a text, and where it was written. value NULL: not asked. */
struct pg_check_want {
    const char *value;
    struct pg_source source;
};

/* A name and what is expected of it; value NULL: it must be absent. */
struct pg_check_pair {
    const char *name;
    const char *value;
    struct pg_source source;
};

struct pg_check_request {
    struct pg_addr from[2]; /* of the sender, IPv4 and IPv6; none if it has none */
    const char *from_text;  /* as written */
    const char *search;     /* namespace whose short service names the sender may use; "" none */
    const char *url;
    const char *host;  /* of the URL: a name or an address without brackets */
    const char *field; /* host and port as the URL has them, for the Host field */
    const char *path;  /* with its query; at least "/" */
    uint16_t port;
    bool tls;
    const char *method;                  /* "GET" */
    const struct pg_check_pair *headers; /* in order; value is never NULL */
    uint32_t header_count;
    struct pg_slice body; /* at NULL: none */
    uint32_t timeout_seconds;
    struct pg_source url_source;
};

struct pg_check_expect {
    struct pg_check_want status;  /* "200" */
    struct pg_check_want error;   /* "refused", "reset", "timeout", "unreachable", "closed" */
    struct pg_check_want service; /* "shop/web" */
    struct pg_check_want
        endpoint;              /* "shop/web-0", "10.244.1.7" or "10.244.1.7:8080"; '*' matches */
    struct pg_check_want peer; /* address; '*' matches */
    struct pg_check_want verdict, not_verdict;
    struct pg_check_want client;         /* address the pod can know its client by */
    struct pg_check_want by;             /* one of pg_carrier_names */
    const struct pg_check_pair *headers; /* as the pod got them; '*' matches */
    uint32_t header_count;
    const struct pg_check_pair *readers; /* "xff-right=1" and an address; value NULL: finds none */
    uint32_t reader_count;
    const struct pg_check_pair *drops; /* names; value is how often, "" for at least once */
    uint32_t drop_count;
    bool no_drops;
    struct pg_source drops_source;
};

struct pg_check_case {
    const char *name;
    struct pg_source source; /* of the case */
    struct pg_check_request request;
    struct pg_check_expect expect;
};

struct pg_checks {
    const struct pg_check_case *cases; /* in the order of the inputs */
    uint32_t count;
    uint32_t documents; /* of kind Check */
    void *memory;       /* private */
};
void pg_checks_free(struct pg_checks *c); /* and zeroes it */

#endif
