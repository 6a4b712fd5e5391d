/* What may differ between the two sides, and what is said when something else does.
 *
 * Chance: each side draws its own port under masquerade and on a clash, and its own endpoint of service 7. A drawn port must be of the class that the
 * client's port is of. Seconds left may differ by one, since the two clocks are read one after the other. */
#include "differential.h"

#include <string.h>

#define SECONDS_OFF              1u
#define REASSEMBLY_TIME_EXCEEDED (11 << 8 | 1)

enum { MEANT_SHORT_QUOTE, MEANT_REASSEMBLY };

static uint64_t steps_compared;
static uint64_t packets_compared;

static const char *const names[SIDES] = {"kernel", "podglass"};

static void tell_entry(enum side side, const struct entry *e)
{
    char a[2][PG_ENDPOINT_TEXT];
    char b[2][PG_ENDPOINT_TEXT];

    if (!e->found) {
        fprintf(stderr, "  %-8s no flow\n", names[side]);
        return;
    }
    fprintf(stderr,
            "  %-8s %s %llu s%s%s%s%s  %s > %s | %s > %s  packets %llu %llu bytes %llu %llu\n",
            names[side],
            e->orig.proto == PG_PROTO_TCP ? pg_ct_state_name((enum pg_tcp_state)e->state)
                                          : pg_proto_name(e->orig.proto),
            (unsigned long long)e->timeout_s, e->seen_reply ? "" : " unreplied",
            e->assured ? " assured" : "", e->snat ? " snat" : "", e->dnat ? " dnat" : "",
            pg_endpoint_print(&e->orig.src, e->orig.src_port, a[0]),
            pg_endpoint_print(&e->orig.dst, e->orig.dst_port, a[1]),
            pg_endpoint_print(&e->reply.src, e->reply.src_port, b[0]),
            pg_endpoint_print(&e->reply.dst, e->reply.dst_port, b[1]),
            (unsigned long long)e->packets[0], (unsigned long long)e->packets[1],
            (unsigned long long)e->bytes[0], (unsigned long long)e->bytes[1]);
}

static void tell_conversation(const struct conversation *c)
{
    uint32_t first = c->history_count > HISTORY ? c->history_count - HISTORY : 0;

    fprintf(stderr, "its conversation so far:\n");
    for (uint32_t i = first; i < c->history_count; i++) {
        fprintf(stderr, "  %u %s\n", i + 1, c->history[i % HISTORY]);
    }
    fprintf(stderr, "what conntrack had of it before:\n");
    tell_entry(KERNEL, &c->before[KERNEL]);
    tell_entry(OURS, &c->before[OURS]);
    fprintf(stderr, "and has now:\n");
    tell_entry(KERNEL, &c->entry[KERNEL]);
    tell_entry(OURS, &c->entry[OURS]);
    fprintf(stderr, "and of the packet's flow:\n");
    tell_entry(KERNEL, &c->packet_entry[KERNEL]);
    tell_entry(OURS, &c->packet_entry[OURS]);
}

/* ---- what is meant to differ: each is in docs/kube-proxy.md ---- */

static struct {
    const char *what;
    uint64_t times;
} meant[] = {
    [MEANT_SHORT_QUOTE] =
        {"ICMP error that quotes less than eight bytes of a transport header: refused (RFC 792)",
         0},
    [MEANT_REASSEMBLY] =
        {"ICMP 11/1 half a minute after a fragment for a node that stayed alone: not sent", 0},
};

/* The kernel's word about fragments comes with the packets of any later step. */
static uint32_t without_reassembly_errors(struct bytes *out, uint32_t count)
{
    uint32_t left = 0;

    for (uint32_t i = 0; i < count; i++) {
        struct pg_tuple t;
        packet_tuple(&out[i], &t);
        if (t.proto == PG_PROTO_ICMP && t.dst_port == REASSEMBLY_TIME_EXCEEDED) {
            meant[MEANT_REASSEMBLY].times++;
        } else {
            out[left++] = out[i];
        }
    }
    return left;
}

static bool is_meant(const struct step *s, const uint32_t count[SIDES])
{
    if (s->kind == STEP_ERROR && s->quote != 0 && s->quote <= SHORT_QUOTE && count[OURS] == 0) {
        meant[MEANT_SHORT_QUOTE].times++;
        return true;
    }
    return false;
}

/* ---- packets ---- */

static void tell_packets(const struct step *s, struct bytes out[SIDES][OUT_MOST],
                         const uint32_t count[SIDES], const char *what)
{
    char text[512];

    fprintf(stderr, "DIFFERENCE: %s\nthe step: %s\n", what, s->text);
    for (int side = 0; side < SIDES; side++) {
        fprintf(stderr, "%s sent %u packets\n", names[side], count[side]);
        for (uint32_t i = 0; i < count[side]; i++) {
            packet_describe(&out[side][i], text, sizeof text);
            fprintf(stderr, "  %s\n", text);
        }
    }
    tell_conversation(s->conversation);
}

bool compare_step(const struct step *s, struct bytes out[SIDES][OUT_MOST], uint32_t count[SIDES])
{
    static struct bytes form[SIDES];

    count[KERNEL] = without_reassembly_errors(out[KERNEL], count[KERNEL]);

    steps_compared++;
    if (count[KERNEL] != count[OURS] && is_meant(s, count)) {
        return true;
    }
    if (count[KERNEL] != count[OURS]) {
        tell_packets(s, out, count, "not as many packets");
        return false;
    }
    for (uint32_t i = 0; i < count[KERNEL]; i++, packets_compared++) {
        for (int side = 0; side < SIDES; side++) {
            form[side] = out[side][i];
            if (!packet_sums_right(&form[side])) {
                tell_packets(s, out, count,
                             side == OURS ? "a sum of ours is wrong"
                                          : "a sum of the kernel's is wrong");
                return false;
            }
            script_compare_form(s, (enum side)side, &form[side]);
        }
        if (form[KERNEL].len != form[OURS].len ||
            memcmp(form[KERNEL].at, form[OURS].at, form[OURS].len) != 0) {
            uint32_t at = 0;
            while (at < form[OURS].len && form[KERNEL].at[at] == form[OURS].at[at]) {
                at++;
            }
            fprintf(stderr, "first byte that differs: %u\n", at);
            tell_packets(s, out, count, "other bytes");
            return false;
        }
    }
    return true;
}

/* ---- flows ---- */

static int class_of(uint16_t port)
{
    return port < 512 ? 0 : port < 1024 ? 1 : 2;
}

static bool is_off(uint64_t a, uint64_t b)
{
    return a > b + SECONDS_OFF || b > a + SECONDS_OFF;
}

static const char *tuples_differ(const struct entry *k, const struct entry *o, bool draws_endpoint)
{
    bool echo = k->orig.proto == PG_PROTO_ICMP;
    bool kept[SIDES] = {k->reply.dst_port == k->orig.src_port,
                        o->reply.dst_port == o->orig.src_port};

    if (!pg_tuple_equal(&k->orig, &o->orig)) {
        return "original tuple";
    }
    if (!draws_endpoint && (!pg_addr_equal(&k->reply.src, &o->reply.src) ||
                            !pg_addr_equal(&k->reply.dst, &o->reply.dst))) {
        return "reply tuple";
    }
    if (echo) {
        return NULL;
    }
    if (k->reply.src_port != o->reply.src_port) {
        return "port of the endpoint";
    }
    if (class_of(k->reply.dst_port) != class_of(k->orig.src_port) ||
        class_of(o->reply.dst_port) != class_of(o->orig.src_port)) {
        return "class of the drawn port";
    }
    return !k->snat && kept[KERNEL] != kept[OURS] ? "whether the port is kept" : NULL;
}

static const char *entries_differ(const struct entry *k, const struct entry *o, bool draws_endpoint)
{
    if (k->found != o->found) {
        return "whether there is a flow";
    }
    if (!k->found) {
        return NULL;
    }
    const char *what = tuples_differ(k, o, draws_endpoint);
    if (what != NULL) {
        return what;
    }
    if (k->orig.proto == PG_PROTO_TCP && k->state != o->state) {
        return "state";
    }
    if (k->seen_reply != o->seen_reply || k->assured != o->assured) {
        return "UNREPLIED or ASSURED";
    }
    if (k->snat != o->snat || k->dnat != o->dnat) {
        return "what is translated";
    }
    if (is_off(k->timeout_s, o->timeout_s)) {
        return "seconds left";
    }
    for (int i = 0; i < 2; i++) {
        if (k->packets[i] != o->packets[i] || k->bytes[i] != o->bytes[i]) {
            return "counters";
        }
    }
    return NULL;
}

/* A flow that who answers began is addressed to what was drawn: only what became of it can be held against each other. */
static const char *others_differ(const struct conversation *c)
{
    struct entry k = c->packet_entry[KERNEL];
    struct entry o = c->packet_entry[OURS];

    if (k.found && o.found && !pg_tuple_equal(&k.orig, &o.orig)) {
        if (pg_tuple_equal(&k.orig, &c->orig) || pg_tuple_equal(&o.orig, &c->orig)) {
            return "which flow the packet is of";
        }
        if ((k.reply.dst_port == k.orig.src_port) != (o.reply.dst_port == o.orig.src_port)) {
            return "whether the port of a flow begun by who answers is kept";
        }
        o.orig = k.orig;
        o.reply = k.reply;
    }
    return entries_differ(&k, &o, c->draws_endpoint);
}

/* A client of the sticky service goes, on each side, where he went there before: by protocol; the last byte of an address and its kind tell him. */
static const char *endpoint_not_kept(const struct conversation *c)
{
    static struct pg_addr kept[SIDES][2][256];
    bool pod = c->orig.src.bytes[12] == 10;
    uint8_t client = (uint8_t)((pod ? 128 : 0) + c->orig.src.bytes[15]);

    for (int side = 0; c->sticky && side < SIDES; side++) {
        const struct entry *e = &c->entry[side];
        struct pg_addr *to = &kept[side][c->proto == PG_PROTO_TCP][client];
        if (!e->found || !e->dnat) {
            continue;
        }
        if (!pg_addr_is_none(to) && !pg_addr_equal(to, &e->reply.src)) {
            return side == OURS ? "podglass sent a client to another endpoint"
                                : "the kernel sent a client to another endpoint";
        }
        *to = e->reply.src;
    }
    return NULL;
}

bool compare_entries(const struct conversation *c)
{
    const char *what = entries_differ(&c->entry[KERNEL], &c->entry[OURS], c->draws_endpoint);

    what = what != NULL ? what : others_differ(c);
    what = what != NULL ? what : endpoint_not_kept(c);
    if (what == NULL) {
        return true;
    }
    fprintf(stderr, "DIFFERENCE: flow: %s\n", what);
    tell_conversation(c);
    return false;
}

/* ---- whole tables ---- */

struct table_check {
    uint64_t flows[SIDES];
    bool same;
};

/* Began by who answers, maybe with a late packet to a port or address that was drawn: the other side has another then. Each step compares such flows by themselves. */
static bool is_drawn(const struct pg_tuple *orig)
{
    struct pg_addr gateway = pg_addr_v4(10, 244, 1, 1);

    return orig->src_port == 8080 || orig->src_port == 5353 || pg_addr_equal(&orig->dst, &gateway);
}

/* A flow about to end may be gone on one side only. */
static void check_kernel(void *arg, const struct entry *e)
{
    struct table_check *t = arg;
    struct entry ours;

    if (e->timeout_s <= SECONDS_OFF || is_drawn(&e->orig)) {
        return;
    }
    t->flows[KERNEL]++;
    ours_find(&e->orig, &ours);
    if (!ours.found && t->same) {
        fprintf(stderr, "DIFFERENCE: a flow that only the kernel has\n");
        tell_entry(KERNEL, e);
        t->same = false;
    }
}

static void check_ours(void *arg, const struct entry *e)
{
    struct table_check *t = arg;
    struct entry kernel;

    if (e->timeout_s <= SECONDS_OFF || is_drawn(&e->orig)) {
        return;
    }
    t->flows[OURS]++;
    kernel_find(&e->orig, &kernel);
    if (!kernel.found && t->same) {
        fprintf(stderr, "DIFFERENCE: a flow that only podglass has\n");
        tell_entry(OURS, e);
        t->same = false;
    }
}

bool compare_tables(uint64_t *ret_flows)
{
    struct table_check t = {.same = true};

    kernel_walk(check_kernel, &t);
    ours_walk(check_ours, &t);
    *ret_flows = t.flows[OURS];
    return t.same;
}

void compare_summary(FILE *out)
{
    fprintf(out, "# %llu steps, %llu packets came out the same on both sides\n",
            (unsigned long long)steps_compared, (unsigned long long)packets_compared);
}
