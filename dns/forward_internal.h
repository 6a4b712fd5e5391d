/* What forward.c, forward_stream.c and forward_answer.c share: a question under way, and who is asked. */
#ifndef PODGLASS_DNS_FORWARD_INTERNAL_H
#define PODGLASS_DNS_FORWARD_INTERNAL_H

#include "podglass/dns_forward.h"

#include "cache.h"
#include "podglass/pool.h"
#include "podglass/wheel.h"
#include "zone.h"

#define PG_DNS_WAITING_MOST 1000u
#define PG_DNS_NO_SERVER    UINT32_MAX

enum pg_dns_timer_kind { PG_DNS_TIMER_QUESTION, PG_DNS_TIMER_SERVER };

/* Timers say whose they are; first in both structs. */
struct pg_dns_timer {
    struct pg_timer timer;
    enum pg_dns_timer_kind kind;
    struct pg_dns_forward *forward;
};

struct pg_dns_server {
    struct pg_dns_timer probe;
    struct pg_dns_upstream at;
    uint32_t failures;             /* in a row */
    uint16_t probe_id, probe_port; /* port 0: no probe is under way */
};

/* A question under way. */
struct pg_dns_waiting {
    struct pg_dns_timer timeout;
    struct pg_dns_client client;
    struct pg_dns_query q;         /* the client's */
    uint8_t name[PG_DNS_NAME_MAX]; /* what is asked: its name, or where its aliases lead */
    bool alias;
    uint64_t until_ms;
    uint32_t server;   /* that is asked now */
    uint32_t tried;    /* bit per server */
    uint32_t attempts; /* so far: who refuses at once is not asked for five seconds */
    uint32_t stream;   /* it is asked over TCP; PG_DNS_NO_STREAM: it is not */
    uint16_t id, port;
};

struct pg_dns_forward {
    struct pg_dns_forward_options o;
    const struct pg_zone *zone;
    struct pg_addr own[2];
    struct pg_dns_server servers[PG_DNS_UPSTREAMS];
    uint32_t server_count;
    pg_reason_id asked, cached, silent, cut;
    struct pg_pool *waiting;
    struct pg_dns_cache *cache;
    struct pg_wheel *wheel;
    uint64_t now_us;
    uint16_t by_port[65536]; /* index plus one; PG_DNS_PROBES + server for a probe */
};
#define PG_DNS_PROBES (PG_DNS_WAITING_MOST + 1)

#define PG_DNS_ATTEMPT_MS 2000u

/* ---- forward.c ---- */
uint64_t pg_dns_now_ms(const struct pg_dns_forward *f);
void pg_dns_count(struct pg_dns_forward *f, enum pg_counter which);
struct pg_tuple pg_dns_tuple_to(const struct pg_dns_forward *f, const struct pg_dns_server *s,
                                uint16_t port);
void pg_dns_wait(struct pg_dns_forward *f,
                 struct pg_dns_waiting *w); /* two seconds, but not beyond its five */
void pg_dns_give_port_back(struct pg_dns_forward *f, uint16_t *port);
void pg_dns_try_another(struct pg_dns_forward *f, struct pg_dns_waiting *w);
void pg_dns_take_answer(struct pg_dns_forward *f, struct pg_dns_waiting *w, const uint8_t *m,
                        uint32_t len);
void pg_dns_end(struct pg_dns_forward *f, struct pg_dns_waiting *w);

/* ---- forward_stream.c ---- */
/* An answer was cut, and its client could take all of it: true, it is asked for again over TCP. */
bool pg_dns_ask_over_tcp(struct pg_dns_forward *f, struct pg_dns_waiting *w, const uint8_t *m);
void pg_dns_stop_stream(struct pg_dns_forward *f, struct pg_dns_waiting *w);

/* ---- forward_answer.c ---- */
void pg_dns_tell(struct pg_dns_forward *f, const struct pg_dns_waiting *w, pg_reason_id reason,
                 const char *text, const struct pg_addr *addr);
uint32_t pg_dns_room_of(const struct pg_dns_waiting *w); /* what its client may be sent */
void pg_dns_give_error(struct pg_dns_forward *f, const struct pg_dns_waiting *w, uint16_t rcode);
/* The message is ours to change: id and recursion bit become the client's. */
void pg_dns_give(struct pg_dns_forward *f, const struct pg_dns_waiting *w, uint8_t *message,
                 uint32_t len, pg_reason_id reason);

#endif
