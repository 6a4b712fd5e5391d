/* folder: tests */
/* The kernel and podglass held against each other, packet by packet.
 *
 * Two sides are given the same steps: a network namespace with the rules of kube-proxy.nft, between two TUN interfaces, and a path of ours on the in-process
 * wire with the cluster of cluster.yaml. After each step what came out and what conntrack holds must be the same, but for what each draws at random: there
 * each side has its own port, of the same class, and keeps to it.
 *
 *   script.c    whose turn it is and what is sent: conversations, right and wrong ones
 *   packet.c    bytes of packets, and bytes made comparable
 *   kernel.c    one side: TUN and ctnetlink
 *   ours.c      the other side; ours_run.c the same as an instance of podglass, for the program differential-run
 *   compare.c   the differences, and those that are meant
 *   differential.c   the loop */
#ifndef PODGLASS_DIFFERENTIAL_H
#define PODGLASS_DIFFERENTIAL_H

#include "podglass/addr.h"
#include "podglass/hash.h"
#include "podglass/nat.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define BYTES_MOST  4096
#define OUT_MOST    8  /* packets that one step may bring out */
#define PIECES      4  /* fragments of one datagram */
#define SHORT_QUOTE 24 /* bytes: an IP header and the ports behind it */

enum side { KERNEL, OURS, SIDES };

/* A flow as one side's conntrack has it. */
struct entry {
    bool found;
    struct pg_tuple orig, reply;
    uint8_t state;
    bool seen_reply, assured, snat, dnat;
    uint64_t timeout_s;
    uint64_t packets[2], bytes[2];
    uint64_t id, age_us; /* ours only */
};

struct bytes {
    uint32_t len;
    uint8_t at[BYTES_MOST];
};

/* ---- kernel.c ---- */

bool kernel_open(const char *outside_tun, const char *pods_tun);
bool kernel_set(const char *sysctl, uint32_t value); /* of net.netfilter */
void kernel_close(void);
void kernel_send(const struct bytes *b);
uint32_t kernel_take(struct bytes *out, uint32_t room);
void kernel_find(const struct pg_tuple *t, struct entry *ret);
void kernel_delete(const struct entry *e);
void kernel_flush(void);
/* Calls fn for each flow. */
void kernel_walk(void (*fn)(void *arg, const struct entry *e), void *arg);

/* ---- ours.c, or ours_run.c ---- */

/* In this process: its clock is ours, and flows can be deleted. */
extern const bool ours_is_here;
/* The cluster of a manifest; or the control socket of an instance that has it. */
bool ours_open(const char *manifest_or_socket, const struct pg_nat_options *options, uint64_t seed);
void ours_close(void);
void ours_now(uint64_t elapsed_us); /* the clock, and all that is due */
void ours_send(const struct bytes *b);
uint32_t ours_take(struct bytes out[OUT_MOST]);
void ours_find(const struct pg_tuple *t, struct entry *ret);
void ours_delete(const struct entry *e);
void ours_flush(void);
void ours_walk(void (*fn)(void *arg, const struct entry *e), void *arg);

/* ---- packet.c ---- */

/* One TCP segment, datagram, question of ICMP or packet of another transport, without its addresses. */
struct content {
    uint8_t proto;
    uint8_t ttl;
    uint8_t tcp_flags;
    uint8_t icmp_type;
    uint8_t options_len;
    uint8_t options[40];
    uint16_t window;
    uint32_t seq, ack;
    uint16_t payload;
    bool no_sum;  /* UDP without one */
    bool bad_sum; /* any: a wrong one */
    uint16_t ip_id;
};

/* 4 or 6, once at the start. Tuples, and all that the script says, are IPv4's in any case. */
void packet_family(int version);
bool packet_is_ipv6(void);
/* A tuple of the script as it is on the wire and in tables, and back. */
struct pg_tuple packet_real_tuple(const struct pg_tuple *t);
struct pg_tuple packet_script_tuple(const struct pg_tuple *real);
void packet_build(struct bytes *b, const struct pg_tuple *t, const struct content *c);
/* An ICMP error that quotes `about`; quote: how many bytes of it, 0 all. */
void packet_error(struct bytes *b, uint8_t type, uint8_t code, uint32_t rest,
                  const struct pg_addr *src, const struct pg_addr *dst, const struct bytes *about,
                  uint32_t quote);
/* Cuts b into pieces of at most `size` bytes of payload; how many. */
uint32_t packet_cut(const struct bytes *b, uint16_t id, uint32_t size, struct bytes pieces[PIECES]);
/* Nobody asked for it: sent to everybody by an interface. */
bool packet_is_noise(const struct bytes *b);
/* Sums what its sender left to a device. */
void packet_complete(struct bytes *b);
bool packet_sums_right(const struct bytes *b);
void packet_tuple(const struct bytes *b, struct pg_tuple *ret);
void packet_describe(const struct bytes *b, char *out, size_t room);

/* What a side drew: who its endpoint sees, and which endpoint. */
struct drawn {
    struct pg_addr src;
    uint16_t src_port;
    struct pg_addr endpoint;
    uint16_t endpoint_port;
};
/* Bytes in which what was drawn has names instead (also inside the quote of an ICMP error), and sums and the identification are not there. */
void packet_compare_form(struct bytes *b, const struct drawn *d);

/* ---- script.c ---- */

#define HISTORY 24

struct conversation {
    uint8_t proto;
    struct pg_tuple orig; /* as the client sends */
    unsigned service;     /* 0: none */
    bool draws_endpoint;  /* which endpoint is left to chance */
    bool sticky;          /* but each client keeps his */
    struct drawn drawn[SIDES];
    struct drawn other
        [SIDES]; /* the same of a flow that who answers has begun: then it is the client there */
    struct entry before[SIDES];       /* before its last step */
    struct entry packet_entry[SIDES]; /* the flow of its last packet, after it */
    struct entry entry[SIDES];        /* after its last step */
    uint32_t next_seq[2];             /* by direction: what comes next */
    uint32_t used_seq[2];             /* and what was sent last */
    uint8_t phase;
    uint64_t due_us; /* when the flow may end; 0: no flow */
    uint64_t begun_us;
    struct bytes delivered[2][SIDES]; /* last packet that came out, by direction */
    struct drawn delivered_drawn[2][SIDES];
    char history[HISTORY][160];
    uint32_t history_count;
};

enum step_kind { STEP_PACKET, STEP_ERROR, STEP_FLUSH };
struct step {
    enum step_kind kind;
    struct conversation *conversation;
    bool reply; /* from who answers */
    struct content content;
    uint8_t icmp_type, icmp_code;
    uint32_t icmp_rest;
    uint32_t quote;
    bool from_router, wrong_way;
    uint16_t piece; /* 0: whole */
    bool pieces_reversed;
    uint8_t piece_lost; /* number from 1 */
    char text[160];
};

void script_open(uint64_t seed);
void script_begin_anew(void); /* other conversations; to be called when all flows are gone */
void script_next(struct step *ret, uint64_t now_us);
/* The bytes of a step for one side, at most PIECES packets; how many. 0: this side can not do it. */
uint32_t script_bytes(const struct step *s, enum side side, struct bytes out[PIECES]);
/* Learns from what a step brought. */
void script_learn(const struct step *s, uint64_t now_us);
struct conversation *script_conversation(uint32_t index); /* NULL: no more */

/* What came out of the step, made comparable. */
void script_compare_form(const struct step *s, enum side side, struct bytes *b);

/* ---- compare.c ---- */

/* false: they differ; said on standard error. */
bool compare_step(const struct step *s, struct bytes out[SIDES][OUT_MOST], uint32_t count[SIDES]);
bool compare_entries(const struct conversation *c);
bool compare_tables(uint64_t *ret_flows);
void compare_summary(FILE *out);

#endif
