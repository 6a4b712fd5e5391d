/* Which source port a new flow leaves with, so that its answers find it and nobody else.
 *
 * The reply tuple names the flow on the way back and must be unique. Without masquerade the port
 * stays as it is, unless another flow has that reply tuple already (one client socket, two
 * services, one endpoint): then it changes although nobody asked. Under masquerade it is always
 * drawn anew ("fully random"), from the class the old port was in; Cilium keeps it also then if it is above the
 * node ports.
 *
 * The number of tries is bounded, as the kernel's: 128 ports from a random start, then half as many
 * from a new one, down to 8. Near exhaustion it therefore fails by chance; that is insert_failed.
 *
 * A flood of SYNs that nobody completes would take all ports for a minute, and lock everybody out who
 * is masqueraded the same way. So where ports are short a new SYN ends a flow whose handshake has not been
 * completed in half a second. The kernel has no such rule: a node of its is locked out.
 *
 * Called by hooks.c before anything is rewritten. */
#include "nat_internal.h"

#define MOST_TRIES   128u
#define LEAST_TRIES  8u
#define HIGH_FIRST   32768u /* behind the node ports */
#define HARDER_TRIES 32u    /* in the last ones, a TIME_WAIT flow may be ended for a new SYN */
#define FEW_TRIES    8u     /* that many taken in a row: ports are short */
#define HANDSHAKE_US 500000 /* who has not finished by then may be ended for one, if they are */

struct port_range {
    uint32_t first, count;
};

/* nf_nat_core.c: the class says what a receiver may assume about the sender. An echo identifier has
 * none. */
static struct port_range class_of(uint8_t proto, uint16_t port)
{
    if (!pg_proto_has_ports(proto))
        return (struct port_range){0, 65536};
    if (port < 512)
        return (struct port_range){1, 511};
    if (port < 1024)
        return (struct port_range){600, 1023 - 600 + 1};
    return (struct port_range){1024, 65535 - 1024 + 1};
}

/* Where the flow's "source port" stands in its reply tuple: echo replies carry the identifier in
 * src_port too. */
static uint16_t *reply_port(struct pg_flow *f)
{
    return pg_proto_has_ports(f->proto) ? &f->dst_port[PG_REPLY] : &f->src_port[PG_REPLY];
}

static bool is_half_open(const struct pg_nat *n, const struct pg_flow *f)
{
    bool begins = f->tcp.state == PG_CT_SYN_SENT || f->tcp.state == PG_CT_SYN_RECV;

    return begins && !(f->flags & FLOW_ASSURED) && n->now_us > f->created_us + HANDSHAKE_US;
}

/* Who may be ended for the port. */
#define END_NOBODY    0u
#define END_HALF_OPEN 1u
#define END_OVER      2u

/* A masqueraded flow in TIME_WAIT or CLOSE makes way for a SYN whose sequence number is ahead (RFC 1122
 * 4.2.2.13), one that nobody completes for any. */
static bool gives_way(struct pg_nat *n, uint32_t taken, const struct pg_packet *p, unsigned who)
{
    const struct pg_flow *old = pg_flow_at(n, taken >> 1);

    if (p->proto != PG_PROTO_TCP || (p->tcp_flags & (PG_TCP_SYN | PG_TCP_ACK)) != PG_TCP_SYN)
        return false;
    if (!(old->flags & FLOW_SNAT) || !(taken & 1))
        return false;
    if ((who & END_HALF_OPEN) && is_half_open(n, old)) {
        pg_flow_delete(n, taken >> 1);
        n->counters->value[PG_COUNT_CT_PORT_TAKEN_OVER]++;
        return true;
    }
    bool over = old->tcp.state == PG_CT_TIME_WAIT || old->tcp.state == PG_CT_CLOSE;
    if (!(who & END_OVER) || !over)
        return false;
    if ((int32_t)(pg_packet_tcp_seq(p) + 1 - old->tcp.seen[PG_ORIG].end) <= 0)
        return false;
    pg_flow_delete(n, taken >> 1);
    return true;
}

static bool is_free(struct pg_nat *n, const struct pg_flow *f, const struct pg_packet *p,
                    unsigned who, uint32_t *ret_hash)
{
    struct pg_tuple orig = pg_flow_tuple(n, f, PG_ORIG);
    struct pg_tuple reply = pg_flow_tuple(n, f, PG_REPLY);

    if (pg_tuple_equal(&reply, &orig))
        return false;
    *ret_hash = pg_flow_hash(n, &reply);
    uint32_t taken = pg_flow_find(n, &reply, *ret_hash);

    return taken == PG_TABLE_NONE || (who != END_NOBODY && gives_way(n, taken, p, who));
}

static unsigned who_ends(uint32_t tries, uint32_t i)
{
    unsigned who = i >= FEW_TRIES || tries < MOST_TRIES ? END_HALF_OPEN : END_NOBODY;

    return tries - i <= HARDER_TRIES ? who | END_OVER : who;
}

/* Cilium's range begins behind the node ports, so that no flow's port is one. */
static struct port_range high_ports(uint8_t proto)
{
    if (!pg_proto_has_ports(proto))
        return (struct port_range){0, 65536};
    return (struct port_range){HIGH_FIRST, 65536 - HIGH_FIRST};
}

bool pg_port_choose(struct pg_nat *n, struct pg_flow *f, const struct pg_packet *p,
                    enum pg_port_rule rule, uint32_t *ret_hash)
{
    uint16_t *port = reply_port(f);
    uint16_t asked = *port;
    struct port_range range =
        rule == PG_PORT_KEEP_HIGH ? high_ports(p->proto) : class_of(p->proto, asked);
    bool keep = rule == PG_PORT_KEEP || (rule == PG_PORT_KEEP_HIGH && asked >= range.first);

    if (keep && is_free(n, f, p, END_NOBODY, ret_hash))
        return true;
    if (!pg_proto_has_ports(p->proto) && !pg_proto_is_icmp(p->proto))
        return is_free(n, f, p, END_NOBODY,
                       ret_hash); /* nothing of it can be changed but its addresses */
    for (uint32_t tries = MOST_TRIES; tries >= LEAST_TRIES; tries /= 2) {
        uint32_t start = pg_random_below(n->random, range.count);
        for (uint32_t i = 0; i < tries; i++) {
            *port = (uint16_t)(range.first + (start + i) % range.count);
            if (is_free(n, f, p, who_ends(tries, i), ret_hash))
                return true;
        }
    }
    *port = asked;
    return false;
}
