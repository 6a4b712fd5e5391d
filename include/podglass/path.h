/* folder: app */
/* The spine: one path instance, from links to links, with everything between in order.
 *
 * Device, clock and randomness are handed in, so the same path runs on a TUN, on the in-process wire and in a walk with a virtual
 * clock, and does the same thing each time. One thread, no locks: every call is made from the loop that owns the path. */
#ifndef PODGLASS_PATH_H
#define PODGLASS_PATH_H

#include "podglass/counter.h"
#include "podglass/dns.h"
#include "podglass/hash.h"
#include "podglass/lab.h"
#include "podglass/link.h"
#include "podglass/nat.h"
#include "podglass/proxy.h"
#include "podglass/snapshot.h"
#include "podglass/trace.h"

#include <stdbool.h>
#include <stdint.h>

#define PG_PATH_LINKS    64
#define PG_LINK_PREFIXES 16

struct pg_path;

struct pg_path_options {
    struct pg_nat_options nat;
    struct pg_proxy_options proxy;
    uint32_t conn_limit;    /* 0: default of the stack */
    uint32_t buffer_limit;  /* packet buffers; 0: 8192 */
    uint32_t trace_records; /* ring; 0: 4096 */
    enum pg_trace_level trace_level;
    uint64_t (*clock_us)(void); /* for times of records within a turn; NULL: the turn's */
    uint16_t mtu;               /* the smallest of its links; 0: 1500 */
};

/* random is copied. NULL: out of memory. */
struct pg_path *pg_path_new(const struct pg_path_options *options, const struct pg_random *random,
                            uint64_t now_us);
void pg_path_free(struct pg_path *p);
/* Gives the path a link, which it takes over, with the prefixes behind it. A packet goes to the link with the longest prefix of its
 * destination, and what comes from a link must have a source behind it. No prefixes: everything is behind it. 0, -ENOSPC (too many links or
 * prefixes), -EEXIST (the same prefix behind another link); the link is closed then. */
int pg_path_add_link(struct pg_path *p, struct pg_link *link, const struct pg_prefix *prefixes,
                     uint32_t count);
/* Puts a snapshot in force for what begins from now on; open connections and flows go on. 0 or -errno (the old one stays). Takes a reference. */
int pg_path_load(struct pg_path *p, struct pg_snapshot *s, uint64_t now_us);
/* One turn: reads a batch, moves it to the end, runs due timers, sweeps. 1: there is more to do right now. 0: nothing until the link has input
 * or pg_path_next_due_us. -ENODEV: a link is gone: pg_path_lost_link says which, pg_path_close_link lets it go. */
int pg_path_turn(struct pg_path *p, uint64_t now_us);
uint64_t pg_path_next_due_us(const struct pg_path *p); /* UINT64_MAX: only input can wake it */
uint32_t pg_path_lost_link(const struct pg_path *p);   /* index, for pg_path_link */
/* What is behind it can not be reached from now on (drop link-gone). Returns how many links are left. */
uint32_t pg_path_close_link(struct pg_path *p, uint32_t index);
void pg_path_drain(struct pg_path *p); /* no new requests; open ones finish */

/* What looks at the path may borrow its parts. */
struct pg_nat *pg_path_nat(struct pg_path *p);
struct pg_proxy *pg_path_proxy(struct pg_path *p);
struct pg_stack *pg_path_stack(struct pg_path *p);
struct pg_trace *pg_path_trace(struct pg_path *p);
struct pg_echo *pg_path_echo(struct pg_path *p);
struct pg_lab_clients *pg_path_clients(struct pg_path *p);
const struct pg_counters *pg_path_counters(const struct pg_path *p);
void pg_path_count(struct pg_path *p, enum pg_counter counter); /* one more */
const struct pg_snapshot *pg_path_snapshot(const struct pg_path *p);
struct pg_dns_forward;
const struct pg_dns_forward *pg_path_dns_forward(const struct pg_path *p);
const struct pg_zone *pg_path_zone(const struct pg_path *p);
uint32_t pg_path_link_count(const struct pg_path *p);
struct pg_link *pg_path_link(struct pg_path *p, uint32_t index); /* NULL: closed, or no such */
uint32_t pg_path_held_packets(const struct pg_path *p);          /* in the queue between stages */
uint32_t pg_path_buffers_used(const struct pg_path *p);

#endif
