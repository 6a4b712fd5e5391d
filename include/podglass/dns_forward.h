/* folder: dns */
/* Questions about names that are not the cluster's, asked of the servers that the Lab names (spec.dns.upstream). With none of them
 * nothing is forwarded.
 *
 * Knows no packets: it is handed what came from a server and hands out what goes to one. */
#ifndef PODGLASS_DNS_FORWARD_H
#define PODGLASS_DNS_FORWARD_H

#include "podglass/counter.h"
#include "podglass/dns.h"

/* Whom an answer is for; kept while a question is under way. */
struct pg_dns_client {
    struct pg_tuple back;      /* over UDP: the answer's addresses and ports */
    uint32_t conn, generation; /* over TCP: the caller's connection */
    uint32_t label;
    bool over_tcp;
};

/* A question that is asked over TCP, in the caller's hands. */
struct pg_dns_ticket {
    uint32_t index, generation;
};
#define PG_DNS_NO_STREAM UINT32_MAX

/* Something happened that a record should tell. */
struct pg_dns_event {
    const char *name; /* of the question, as text */
    uint16_t type;
    struct pg_addr
        addr; /* of the server that is asked, or the first of the answer; none: text says what came of it */
    const char *text; /* "NXDOMAIN" */
    pg_reason_id reason;
    uint32_t label;
};

struct pg_dns_forward_options {
    /* A datagram from a DNS address of ours to a server. */
    void (*send)(void *arg, const struct pg_tuple *tuple, uint32_t label, const void *message,
                 uint32_t len);
    /* The same over a TCP connection of its own, on which nothing else is asked. Returns what stop_stream knows it by;
     * PG_DNS_NO_STREAM: none is left. One of pg_dns_forward_stream_* follows, never from within. */
    uint32_t (*ask_stream)(void *arg, const struct pg_tuple *tuple, uint32_t label,
                           struct pg_dns_ticket ticket, const void *message, uint32_t len);
    void (*stop_stream)(void *arg, uint32_t stream); /* nobody waits for it any more */
    void (*answer)(void *arg, const struct pg_dns_client *client, const void *message,
                   uint32_t len);
    void (*tell)(void *arg, const struct pg_dns_event *event); /* only if `told` */
    bool (*told)(void *arg, uint32_t label);                   /* does somebody want records? */
    void *arg;
    struct pg_counters *counters;
    struct pg_random *random;
};

struct pg_dns_forward;
struct pg_dns_forward *pg_dns_forward_new(const struct pg_dns_forward_options *options,
                                          uint64_t now_us); /* NULL: out of memory */
void pg_dns_forward_free(struct pg_dns_forward *f);
/* Servers from now on. What is under way goes on; other servers begin with an empty cache and in good health. */
void pg_dns_forward_load(struct pg_dns_forward *f, const struct pg_snapshot *s,
                         const struct pg_zone *zone);
/* After pg_dns_answer said `beyond`: true: the client is answered later, or was just now out of the cache; false: nobody to
 * ask, what pg_dns_answer wrote is the answer. */
bool pg_dns_forward_ask(struct pg_dns_forward *f, const void *query, uint32_t len,
                        const struct pg_dns_answer *about, const struct pg_dns_client *client);
/* A datagram that came to a DNS address of ours. false: no question waits at that port. */
bool pg_dns_forward_reply(struct pg_dns_forward *f, const struct pg_tuple *tuple,
                          const void *message, uint32_t len);
/* What came on a stream, or that nothing will: its connection is over, and is the caller's again. */
void pg_dns_forward_stream_reply(struct pg_dns_forward *f, struct pg_dns_ticket ticket,
                                 const void *message, uint32_t len);
void pg_dns_forward_stream_failed(struct pg_dns_forward *f, struct pg_dns_ticket ticket);
/* Somebody said that what we sent with this tuple can not be delivered. */
void pg_dns_forward_unreachable(struct pg_dns_forward *f, const struct pg_tuple *sent);
void pg_dns_forward_advance(struct pg_dns_forward *f, uint64_t now_us);
uint64_t pg_dns_forward_next_due_us(const struct pg_dns_forward *f);

/* For tables. */
uint32_t pg_dns_forward_cached(const struct pg_dns_forward *f);
uint32_t pg_dns_forward_waiting(const struct pg_dns_forward *f);

#endif
