/* Packets that end inside podglass, and the answers they get: TCP to the stack, DNS questions to the zone, echo requests
 * and datagrams to the built-in pods, and the refusals a node would send.
 *
 * Called by the spine only, outside of any call into TCP. Answers leave as packets of their own through the same hooks as everything else. */
#include "path_internal.h"

#include "podglass/dgram.h"
#include "podglass/icmp.h"
#include "podglass/log.h"
#include "podglass/nat_rewrite.h"

#include <string.h>

#define DNS_UDP_ROOM 4096

static void ended_here(struct pg_path *path)
{
    path->counters.value[PG_COUNT_LOCAL_IN]++;
}

/* A packet podglass made itself, in the scratch buffer. */
static bool adopt(struct pg_path *path, uint8_t *bytes, uint32_t len, uint32_t label,
                  struct pg_packet *ret)
{
    enum pg_drop drop;
    *ret = (struct pg_packet){.head = bytes,
                              .head_len = len,
                              .len = len,
                              .csum = PG_CSUM_FULL,
                              .entry_node = PG_NODE_NONE,
                              .label = label};
    ret->id = ++path->packet_id;
    path->counters.value[PG_COUNT_LOCAL_OUT]++;
    bool good = pg_packet_parse(ret, &drop);
    PG_ASSERT(good);
    return good;
}

static void send_own(struct pg_path *path, struct pg_packet *p)
{
    if (pg_path_is_lab_end(path, &p->tuple)) {
        pg_path_enqueue(path, p, PG_QUEUED_RX);
    } else {
        pg_path_tx(path, p);
    }
}

/* translated: `about` has been through NAT, so the hooks must put outer and inner addresses back. */
static void send_error(struct pg_path *path, const struct pg_packet *about, enum pg_icmp_error kind,
                       const struct pg_addr *from, bool translated)
{
    struct pg_packet error;
    uint32_t len = pg_icmp_error(about, kind, from, path->scratch, sizeof path->scratch);
    if (len == 0 || !adopt(path, path->scratch, len, about->label, &error)) {
        return;
    }
    path->counters.value[PG_COUNT_ICMP_OUT]++;
    if (translated) {
        pg_path_tx(path, &error);
    } else {
        pg_path_send_plain(path, &error);
    }
}

/* A node forwards first and refuses then, unless the packet is for itself: what is quoted has been counted down. */
void pg_local_reject(struct pg_path *path, struct pg_packet *p)
{
    struct pg_addr from = pg_nat_reject_source(path->nat, p);
    bool forwarded = pg_path_owner(path, p) != PG_OWNER_NODE;
    bool alive = !forwarded || pg_rewrite_ttl(p);
    pg_path_drop(path, p, alive ? PG_DROP_REJECTED : PG_DROP_TTL);
    send_error(path, p, alive ? PG_ICMP_PORT_UNREACHABLE : PG_ICMP_TIME_EXCEEDED, &from, false);
}

void pg_local_time_exceeded(struct pg_path *path, struct pg_packet *p)
{
    struct pg_addr from = pg_nat_reject_source(path->nat, p);
    pg_path_drop(path, p, PG_DROP_TTL);
    send_error(path, p, PG_ICMP_TIME_EXCEEDED, &from, true);
}

void pg_local_send(struct pg_path *path, const struct pg_tuple *tuple, uint32_t label,
                   const void *payload, uint32_t len)
{
    static uint8_t out[PG_BUF_BYTES]; /* one thread, never nested: send_own copies or sends */
    struct pg_packet p;
    uint32_t packet_len = pg_dgram_build(tuple, payload, len, out, sizeof out);
    if (packet_len != 0 && adopt(path, out, packet_len, label, &p)) {
        p.fragment_size = packet_len > path->mtu ? (uint16_t)path->mtu : 0;
        send_own(path, &p);
    }
}

static void answer_datagram(struct pg_path *path, const struct pg_packet *p, const void *payload,
                            uint32_t len)
{
    struct pg_tuple back = pg_tuple_invert(&p->tuple);
    pg_local_send(path, &back, p->label, payload, len);
}

static void answer_dns(struct pg_path *path, const struct pg_packet *p, const void *payload,
                       uint32_t len)
{
    uint8_t answer[DNS_UDP_ROOM];
    struct pg_dns_client client = {.back = pg_tuple_invert(&p->tuple), .label = p->label};
    uint32_t answer_len;
    if (pg_path_dns_answer(path, payload, len, &client, answer, sizeof answer, &answer_len) ==
        PG_DNS_SAID_NOW) {
        answer_datagram(path, p, answer, answer_len);
    }
}

static void deliver_udp(struct pg_path *path, enum pg_owner owner, struct pg_packet *p)
{
    const uint8_t *payload = p->head + p->payload_offset;
    uint32_t len = pg_packet_payload_len(p);
    if (owner == PG_OWNER_DNS && p->tuple.dst_port == 53) {
        ended_here(path);
        answer_dns(path, p, payload, len);
    } else if (owner == PG_OWNER_DNS &&
               pg_dns_forward_reply(path->dns_forward, &p->tuple, payload, len)) {
        ended_here(path);
    } else if (owner == PG_OWNER_ECHO) {
        ended_here(path);
        answer_datagram(path, p, payload, len);
    } else {
        /* as a host's own stack answers: from the address that was asked */
        pg_path_drop(path, p, PG_DROP_NO_LISTENER);
        send_error(path, p, PG_ICMP_PORT_UNREACHABLE, &p->tuple.dst, true);
    }
}

/* RFC 1191 and RFC 8201: the MTU stands in the second word of the message, in IPv4 in its lower half. */
static void deliver_icmp_error(struct pg_path *path, const struct pg_packet *p,
                               const struct pg_tuple *quoted)
{
    const uint8_t *icmp = p->head + p->l4_offset;
    bool too_big = p->ip_version == 4 ? icmp[0] == 3 && icmp[1] == 4 : icmp[0] == 2;
    if (!too_big && quoted->proto == PG_PROTO_UDP) {
        pg_dns_forward_unreachable(path->dns_forward, quoted);
        return;
    }
    if (!too_big) {
        pg_stack_icmp_error(path->stack, quoted, icmp[0], icmp[1]);
        return;
    }
    uint32_t mtu = (uint32_t)icmp[6] << 8 | icmp[7];
    if (p->ip_version == 6) {
        mtu |= (uint32_t)icmp[4] << 24 | (uint32_t)icmp[5] << 16;
    }
    pg_stack_path_mtu(path->stack, quoted, mtu);
}

static void deliver_icmp(struct pg_path *path, struct pg_packet *p)
{
    struct pg_tuple quoted;
    uint16_t offset;
    if (pg_packet_quoted(p, &quoted, &offset)) {
        ended_here(path);
        deliver_icmp_error(path, p, &quoted);
        return;
    }
    if (!pg_icmp_echo_reply(p)) {
        pg_path_drop(path, p, PG_DROP_ICMP_UNSUPPORTED);
        return;
    }
    ended_here(path);
    path->counters.value[PG_COUNT_LOCAL_OUT]++;
    path->counters.value[PG_COUNT_ICMP_OUT]++;
    p->id = ++path->packet_id;
    p->entry_node = PG_NODE_NONE;
    send_own(path, p);
}

void pg_local_deliver(struct pg_path *path, enum pg_owner owner, struct pg_packet *p)
{
    if (owner == PG_OWNER_NOBODY) {
        struct pg_addr from = pg_nat_reject_source(path->nat, p);
        pg_path_drop(path, p, PG_DROP_NO_ROUTE);
        send_error(path, p, PG_ICMP_HOST_UNREACHABLE, &from, true);
    } else if (p->proto == PG_PROTO_TCP) {
        enum pg_drop drop = pg_netif_input(path->stack, p, path->now_us);
        if (drop == PG_DROP_NONE) {
            ended_here(path);
        } else {
            pg_path_drop(path, p, drop);
        }
    } else if (p->proto == PG_PROTO_UDP) {
        deliver_udp(path, owner, p);
    } else if (pg_proto_is_icmp(p->proto)) {
        deliver_icmp(path, p);
    } else {
        pg_path_drop(path, p, PG_DROP_UNSUPPORTED_PROTOCOL);
        send_error(path, p, PG_ICMP_PROTOCOL_UNREACHABLE, &p->tuple.dst, true);
    }
}
