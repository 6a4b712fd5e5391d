/* Runs the steps: differential --tun OUTSIDE --tun-pods PODS --podglass MANIFEST|SOCKET [--seed N] [--steps N] [--short] [--ipv6]
 *
 * In rounds: after each, both tables are compared as a whole and emptied. A round takes less time than any flow of it may last, so the same seed gives the same steps and
 * the same outcome. With --short, timeouts are seconds on both sides, and there are pauses in which flows end.
 *
 * Called by run.sh inside its namespace, which gives the manifest to differential, and to differential-run the control socket of an instance on pg0. Ends with the first difference, and says seed and step. */
#include "differential.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ROUND          10000
#define PAUSE_EVERY    1500
#define PAUSE_US_LEAST 200000
#define PAUSE_US       900000
#define HELD_UP_US     20000 /* less than script.c keeps away from times that matter */
#define LATE_US        1000  /* the kernel's packets may come by another processor */
#define LATE_MOST      200

struct arguments {
    const char *outside, *pods, *podglass;
    uint64_t seed, steps;
    bool short_timeouts, ipv6;
};

static uint64_t now_us(void)
{
    static uint64_t start;
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    uint64_t now = (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
    start = start != 0 ? start : now;
    return now - start;
}

static struct drawn drawn_of(const struct entry *e)
{
    uint16_t port = e->orig.proto == PG_PROTO_ICMP ? e->reply.src_port : e->reply.dst_port;

    return (struct drawn){e->reply.dst, port, e->reply.src, e->reply.src_port};
}

static void find(enum side side, const struct pg_tuple *t, struct entry *ret)
{
    if (side == KERNEL) {
        kernel_find(t, ret);
    } else {
        ours_find(t, ret);
    }
}

static void find_own(struct conversation *c)
{
    for (int side = 0; side < SIDES; side++) {
        const struct entry *e = &c->entry[side];
        find((enum side)side, &c->orig, &c->entry[side]);
        if (e->found && pg_tuple_equal(&e->orig, &c->orig)) {
            c->drawn[side] = drawn_of(e);
        }
    }
}

/* The flow of the packet may be another. */
static void find_of_packet(struct conversation *c, const struct pg_tuple packet[SIDES])
{
    for (int side = 0; side < SIDES; side++) {
        const struct entry *e = &c->packet_entry[side];
        find((enum side)side, &packet[side], &c->packet_entry[side]);
        if (e->found && !pg_tuple_equal(&e->orig, &c->orig)) {
            c->other[side] = drawn_of(e);
        }
    }
}

/* A drawn port may be a node port: a late packet to it begins a flow through that service. */
static bool is_drawn_node_port(const struct conversation *c, const struct pg_tuple packet[SIDES])
{
    bool is_one = false;

    for (int side = 0; side < SIDES; side++) {
        is_one =
            is_one || packet[side].dst_port - 30001u < 11 || packet[side].dst_port - 31001u < 11;
    }
    return is_one && !pg_tuple_equal(&packet[OURS], &c->orig);
}

/* A late packet goes to what was drawn once. By chance that may have been drawn again since, on one side, for somebody else. */
static bool meets_another(const struct conversation *c, const struct pg_tuple packet[SIDES],
                          bool is_error)
{
    enum { NO_FLOW, ITS_OWN, BEGUN_BY_IT, SOMEBODY_ELSES } kind[SIDES];

    for (int side = 0; side < SIDES; side++) {
        const struct entry *e = &c->packet_entry[side];
        kind[side] = !e->found                                 ? NO_FLOW
                     : pg_tuple_equal(&e->orig, &c->orig)      ? ITS_OWN
                     : pg_tuple_equal(&e->orig, &packet[side]) ? BEGUN_BY_IT
                                                               : SOMEBODY_ELSES;
    }
    if ((is_error && kind[OURS] == SOMEBODY_ELSES) || is_drawn_node_port(c, packet)) {
        return true;
    }
    return kind[KERNEL] != kind[OURS] ||
           (kind[OURS] == SOMEBODY_ELSES &&
            !pg_tuple_equal(&c->packet_entry[KERNEL].orig, &c->packet_entry[OURS].orig));
}

static void remember(const struct step *s, struct bytes out[SIDES][OUT_MOST],
                     const uint32_t count[SIDES])
{
    for (int side = 0; s->kind == STEP_PACKET && side < SIDES; side++) {
        if (count[side] == 1) {
            s->conversation->delivered[s->reply][side] = out[side][0];
            s->conversation->delivered_drawn[s->reply][side] =
                s->conversation->packet_entry[side].found
                    ? drawn_of(&s->conversation->packet_entry[side])
                    : s->conversation->drawn[side];
        }
    }
}

static uint32_t send(enum side side, const struct bytes in[PIECES], uint32_t n,
                     struct bytes out[OUT_MOST])
{
    for (uint32_t i = 0; i < n; i++) {
        if (side == KERNEL) {
            kernel_send(&in[i]);
        } else {
            ours_send(&in[i]);
        }
    }
    return side == KERNEL ? kernel_take(out, OUT_MOST) : ours_take(out);
}

/* What the kernel has sent less than we did may be on its way still. */
static void take_late(struct bytes out[SIDES][OUT_MOST], uint32_t count[SIDES])
{
    for (int i = 0; count[KERNEL] < count[OURS] && i < LATE_MOST; i++) {
        usleep(LATE_US);
        count[KERNEL] += kernel_take(out[KERNEL] + count[KERNEL], OUT_MOST - count[KERNEL]);
    }
}

static void delete_flow(struct conversation *c)
{
    kernel_delete(&c->entry[KERNEL]);
    ours_delete(&c->entry[OURS]);
}

static void begin_anew(void)
{
    kernel_flush();
    ours_flush();
    script_begin_anew();
}

static bool run_step(struct step *s, uint64_t start_us)
{
    static struct bytes in[SIDES][PIECES];
    static struct bytes out[SIDES][OUT_MOST];
    struct conversation *c = s->conversation;
    struct pg_tuple packet[SIDES] = {c->orig, c->orig};
    uint32_t n[SIDES] = {0};
    uint32_t count[SIDES] = {0};

    ours_now(now_us());
    find_own(c);
    memcpy(c->before, c->entry, sizeof c->before);
    for (int side = 0; s->kind != STEP_FLUSH && side < SIDES; side++) {
        n[side] = script_bytes(s, (enum side)side, in[side]);
        packet_tuple(s->kind == STEP_ERROR ? &c->delivered[!s->reply][side] : &in[side][0],
                     &packet[side]);
        if (s->kind == STEP_ERROR) {
            packet[side] = pg_tuple_invert(&packet[side]);
        }
    }
    find_of_packet(c, packet);
    if (meets_another(c, packet, s->kind == STEP_ERROR) ||
        (s->kind == STEP_FLUSH && !ours_is_here)) {
        return true;
    }
    if (s->kind == STEP_FLUSH) {
        delete_flow(c);
    }
    for (int side = 0; side < SIDES; side++) {
        count[side] = send((enum side)side, in[side], n[side], out[side]);
    }
    if (ours_is_here &&
        now_us() - start_us >
            HELD_UP_US) { /* by others on this machine: the clocks of the sides were not the same */
        begin_anew();
        return true;
    }
    take_late(out, count);
    find_own(c);
    find_of_packet(c, packet);
    bool same = compare_step(s, out, count) && compare_entries(c);
    remember(s, out, count);
    script_learn(s, now_us());
    return same;
}

/* Pauses are as long as their number says, so that a seed gives the same ones. */
static bool after_step(const struct arguments *a, uint64_t i, uint64_t *flows)
{
    if (a->short_timeouts && i % PAUSE_EVERY == 0) {
        usleep((useconds_t)(PAUSE_US_LEAST + i / PAUSE_EVERY * 137137 % PAUSE_US));
        ours_now(now_us());
        return compare_tables(flows);
    }
    if (i % ROUND != 0 && i != a->steps) {
        return true;
    }
    bool same = compare_tables(flows);
    if (!a->short_timeouts) {
        begin_anew();
    }
    return same;
}

static bool run(const struct arguments *a)
{
    uint64_t flows = 0;
    struct step s;

    script_open(a->seed);
    for (uint64_t i = 1; i <= a->steps; i++) {
        uint64_t start_us = now_us();
        script_next(&s, start_us);
        if (!run_step(&s, start_us) || !after_step(a, i, &flows)) {
            fprintf(stderr, "seed %llu step %llu\n", (unsigned long long)a->seed,
                    (unsigned long long)i);
            return false;
        }
    }
    printf("# seed %llu: %llu steps in %.1f s, %llu flows at the end\n",
           (unsigned long long)a->seed, (unsigned long long)a->steps, (double)now_us() / 1e6,
           (unsigned long long)flows);
    return true;
}

/* The same on both sides: kube-proxy's, or seconds. */
static bool set_timeouts(bool are_short, struct pg_nat_options *ret)
{
    static const struct {
        const char *name;
        uint32_t usual, seconds;
    } all[] = {
        {"nf_conntrack_tcp_timeout_syn_sent", 120, 3},
        {"nf_conntrack_tcp_timeout_syn_recv", 60, 3},
        {"nf_conntrack_tcp_timeout_established", 86400, 6},
        {"nf_conntrack_tcp_timeout_fin_wait", 120, 3},
        {"nf_conntrack_tcp_timeout_close_wait", 3600, 5},
        {"nf_conntrack_tcp_timeout_last_ack", 30, 2},
        {"nf_conntrack_tcp_timeout_time_wait", 120, 3},
        {"nf_conntrack_tcp_timeout_close", 10, 2},
        {"nf_conntrack_tcp_timeout_max_retrans", 300, 4},
        {"nf_conntrack_tcp_timeout_unacknowledged", 300, 4},
        {"nf_conntrack_udp_timeout", 30, 3},
        {"nf_conntrack_udp_timeout_stream", 120, 5},
        {"nf_conntrack_icmp_timeout", 30, 2},
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        uint32_t value = are_short ? all[i].seconds : all[i].usual;
        if (!kernel_set(all[i].name, value) || pg_nat_set_sysctl(ret, all[i].name, value) != 0) {
            return false;
        }
    }
    /* what its nftables mode needs for clients that answer late; and counters, to compare */
    return kernel_set("nf_conntrack_tcp_be_liberal", 1) && kernel_set("nf_conntrack_acct", 1);
}

static bool read_arguments(int argc, char **argv, struct arguments *ret)
{
    static const struct option options[] = {
        {"tun", required_argument, NULL, 't'},      {"tun-pods", required_argument, NULL, 'p'},
        {"podglass", required_argument, NULL, 'm'}, {"seed", required_argument, NULL, 's'},
        {"steps", required_argument, NULL, 'n'},    {"short", no_argument, NULL, 'S'},
        {"ipv6", no_argument, NULL, '6'},           {NULL, 0, NULL, 0},
    };

    *ret = (struct arguments){.seed = 1, .steps = 100000};
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 't': ret->outside = optarg; break;
        case 'p': ret->pods = optarg; break;
        case 'm': ret->podglass = optarg; break;
        case 's': ret->seed = strtoull(optarg, NULL, 10); break;
        case 'n': ret->steps = strtoull(optarg, NULL, 10); break;
        case 'S': ret->short_timeouts = true; break;
        case '6': ret->ipv6 = true; break;
        default: return false;
        }
    }
    return ret->outside != NULL && ret->pods != NULL && ret->podglass != NULL;
}

int main(int argc, char **argv)
{
    struct arguments a;
    struct pg_nat_options nat = {0};

    if (!read_arguments(argc, argv, &a)) {
        fprintf(
            stderr,
            "usage: differential --tun OUTSIDE --tun-pods PODS --podglass MANIFEST|SOCKET [--seed "
            "N] [--steps N] [--short] [--ipv6]\n");
        return 2;
    }
    packet_family(a.ipv6 ? 6 : 4);
    if (!kernel_open(a.outside, a.pods) || !set_timeouts(a.short_timeouts, &nat) ||
        !ours_open(a.podglass, &nat, a.seed)) {
        return 2;
    }
    kernel_flush(); /* what another run has left */
    bool same = run(&a);
    compare_summary(stdout);
    ours_close();
    kernel_close();
    return same ? 0 : 1;
}
