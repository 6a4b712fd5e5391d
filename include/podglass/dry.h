/* folder: tools */
/* The dry run: what would become of one connection or request, without a packet.
 *
 * It calls the very functions the path calls (nat_decide.h, ingress_decide.h, dns_decide.h, owner.h) in the path's order and writes the
 * records the path would write, to a ring the caller hands in. It decides nothing itself. Where the path draws at random or
 * hashes, the draw is an argument: with all of them, every outcome there may be can be looked at (dry_odds.c). Ports that would be drawn are
 * unknown and print as "*". The fresh state of a path is assumed: no flow, no affinity, no idle upstream connection. */
#ifndef PODGLASS_DRY_H
#define PODGLASS_DRY_H

#include "podglass/change.h"
#include "podglass/drops.h"
#include "podglass/nat_decide.h"
#include "podglass/snapshot.h"
#include "podglass/trace.h"
#include "podglass/verdict.h"

#include <stdbool.h>
#include <stdint.h>

/* ---- dry.c, dry_http.c ---- */
struct pg_dry; /* the tables of a snapshot, compiled as the path compiles them */
struct pg_dry *pg_dry_new(struct pg_snapshot *s); /* takes a reference; NULL: out of memory */
/* For a snapshot that pg_snapshot_with made of d's: shares what the change does not touch, so d must outlive it. NULL: out of memory. */
struct pg_dry *pg_dry_changed(struct pg_dry *d, struct pg_snapshot *changed,
                              enum pg_change_kind kind);
void pg_dry_free(struct pg_dry *d);
const struct pg_snapshot *pg_dry_snapshot(const struct pg_dry *d);
const struct pg_zone *pg_dry_zone(const struct pg_dry *d);

/* What the path leaves to chance, in the order it comes. */
enum pg_dry_choice {
    PG_DRY_ENTRY,       /* the node the balancer picks */
    PG_DRY_ENDPOINT,    /* of the service that was called */
    PG_DRY_BACKEND,     /* of a rule that has several; as likely as their weights say */
    PG_DRY_ADDRESS,     /* of the backend's name, when it has several */
    PG_DRY_UP_ENTRY,    /* node of the upstream leg; that of the ingress pod, unless it has none */
    PG_DRY_UP_ENDPOINT, /* of the backend */
    PG_DRY_CHOICES,
};

struct pg_dry_request {
    struct pg_addr from;
    uint16_t from_port; /* 0: any */
    bool wire;          /* comes in by a link: its source is checked as the path checks it */
    struct pg_addr to;
    uint16_t to_port;
    uint8_t proto;
    const char
        *server_name; /* the connection is for TLS with this name ("": none); NULL: it is plain */
    struct pg_slice
        head; /* an HTTP request head as sent; at NULL: whatever it is, it is not looked at */
    struct pg_slice preface; /* PROXY preface in front of it; len 0: none */
};

enum pg_dry_end {
    PG_DRY_POD,         /* a pod has it */
    PG_DRY_WIRE,        /* it leaves for an address that is nobody of the cluster */
    PG_DRY_DNS,         /* the cluster's DNS has it */
    PG_DRY_INGRESS,     /* the ingress has it, and it is not HTTP */
    PG_DRY_REFUSED,     /* the ingress answers itself, with `status` */
    PG_DRY_REDIRECTED,  /* the ingress sends the client to `location`, with `status` */
    PG_DRY_REJECTED,    /* ICMP port unreachable */
    PG_DRY_DROPPED,     /* no answer: the client waits */
    PG_DRY_NO_LISTENER, /* nobody listens there: reset, or ICMP port unreachable */
    PG_DRY_LOOP,        /* the backend of the ingress is the ingress */
    PG_DRY_RESET,       /* the ingress ends the connection without a word: no good PROXY preface */
    PG_DRY_END_COUNT,
};
const char *pg_dry_end_name(enum pg_dry_end e);

struct pg_dry_result {
    enum pg_dry_end end;
    uint16_t status;
    enum pg_drop drop;
    const char *refusal;           /* REFUSED: name of the HTTP error */
    pg_reason_id reason;           /* of the end, if it is none that one wants */
    uint32_t of[PG_DRY_CHOICES];   /* how many there were to choose among; 1: no choice */
    uint32_t leg_count;            /* 1, or 2 behind the ingress */
    struct pg_nat_decision leg[2]; /* what NAT decided */
    struct pg_tuple arrives[2];    /* what was left of the addresses behind it; ports 0 unknown */
    const struct pg_route *route;  /* NULL: none */
    struct pg_addr end_addr;       /* where it ended */
    uint16_t end_port;
    double backend_odds;      /* of the backend that was drawn; 1: there was no choice */
    struct pg_slice location; /* of a redirect, lives until the next run */
    uint32_t pod;             /* index, PG_INDEX_NONE */
    struct pg_slice head;     /* what the pod gets, lives until the next run; at NULL: not HTTP */
    struct pg_seen seen;      /* for the verdict; slices live until the next run */
    bool has_verdict;         /* somebody saw the client */
    enum pg_verdict verdict;
};

/* trace NULL: no records. Draws are taken modulo what there is. */
void pg_dry_run(struct pg_dry *d, const struct pg_dry_request *request,
                const uint64_t draw[PG_DRY_CHOICES], struct pg_trace *trace,
                struct pg_dry_result *ret);

/* ---- dry_odds.c ---- */
/* Another value there might be at one place, and how likely. */
struct pg_dry_other {
    struct pg_addr addr;
    uint16_t port;
    uint16_t node;     /* that decides */
    uint32_t endpoint; /* one that leads to it; PG_INDEX_NONE */
    bool same;         /* a source that is kept, whatever it is: addr is none */
    pg_reason_id reason;
    double odds;
};
#define PG_DRY_OTHERS 256
struct pg_dry_others {
    struct pg_dry_other at[PG_DRY_OTHERS]; /* likeliest first among those that fit */
    uint32_t count;                        /* those kept */
    uint32_t left_out;                     /* how often one did not fit */
};
struct pg_dry_odds {
    uint64_t draw[PG_DRY_CHOICES]; /* of an outcome with the likeliest end and verdict */
    double verdict[PG_VERDICT_COUNT];
    double end[PG_DRY_END_COUNT];        /* those that have no verdict */
    struct pg_dry_others dst[2], src[2]; /* per leg */
    uint32_t runs;
    bool partial; /* too many: each leg was looked at with the other one fixed */
};
/* Beyond runs_most outcomes the legs are looked at one after the other. */
#define PG_DRY_RUNS_ONE  4096u /* for one question */
#define PG_DRY_RUNS_MANY 1024u /* for thousands of them */
void pg_dry_explore(struct pg_dry *d, const struct pg_dry_request *request, uint32_t runs_most,
                    struct pg_dry_odds *ret);

#endif
