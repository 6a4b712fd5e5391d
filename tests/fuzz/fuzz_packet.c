/* Packets of strangers through parse and the NAT hooks.
 *
 * Input: packets one after another, each as a control byte, its length (two bytes, big end first)
 * and its bytes. Control bits: 0 repair lengths and sums (else they are as they are), 1 the device
 * left the transport sum open, 2 node 2, 3 output instead of prerouting, 4-7 seconds to wait first.
 *
 * What must hold: nothing crashes; a packet that parses has a true tuple and right sums, also after
 * each hook, inside quotes too (checked by tests/support/nat_world.c, which computes them anew); a
 * refused packet is unchanged; an answer to what left comes back as an answer to what came; records
 * print; and when time has passed nothing is left. */
#include "nat_world.h"

#include "podglass/json.h"
#include "podglass/log.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static struct pg_world world;
static bool opened;

/* Whatever left as `out` when `in` came: an answer must be turned into an answer to `in`. */
static void check_answer(const struct pg_tuple *in, const struct pg_tuple *out,
                         const struct pg_packet *p)
{
    struct pg_tuple answer = pg_tuple_invert(out);
    struct pg_tuple wanted = pg_tuple_invert(in);
    struct pg_nat_flow_view flow;
    struct pg_made m;

    if (!pg_nat_find(world.nat, in, world.now_us, &flow))
        return; /* it ended with this packet */
    if (in->proto == PG_PROTO_TCP) {
        uint8_t flags = p->tcp_flags & PG_TCP_SYN ? PG_TCP_SYN | PG_TCP_ACK : PG_TCP_ACK;
        pg_make_tcp(&m, &answer, flags, pg_packet_tcp_ack(p), pg_packet_tcp_seq(p) + 1, 3);
    } else if (in->proto == PG_PROTO_UDP) {
        pg_make_udp(&m, &answer, 3);
    } else {
        pg_make_echo(&m, &answer);
    }
    enum pg_verdict_nat verdict = pg_world_send(&world, &m);
    PG_ASSERT(verdict == PG_NAT_ACCEPT ||
              (in->proto == PG_PROTO_TCP && world.drop == PG_DROP_INVALID));
    PG_ASSERT(verdict != PG_NAT_ACCEPT || pg_tuple_equal(&m.p.tuple, &wanted));
}

/* An error about the packet that left must come back quoting the packet that came. */
static void check_error(const struct pg_tuple *in, const struct pg_packet *out)
{
    struct pg_nat_flow_view flow;
    struct pg_tuple quoted;
    uint16_t at;
    struct pg_made m;

    if (out->len > 1200 || !pg_nat_find(world.nat, in, world.now_us, &flow))
        return;
    pg_make_error(&m, out->ip_version == 4 ? 3 : 1, 1, &out->tuple.dst, out, 0);
    if (!pg_packet_quoted(&m.p, &quoted, &at))
        return;
    PG_ASSERT(pg_world_send(&world, &m) == PG_NAT_ACCEPT);
    PG_ASSERT(pg_packet_quoted(&m.p, &quoted, &at) && pg_tuple_equal(&quoted, in));
    PG_ASSERT(pg_addr_equal(&m.p.tuple.dst, &in->src));
}

static void one_packet(uint8_t control, const uint8_t *bytes, uint32_t len)
{
    static uint64_t id = UINT64_C(1) << 40;
    static struct pg_made m;
    enum pg_drop drop;

    if (len > sizeof(m.bytes))
        len = sizeof(m.bytes);
    memcpy(m.bytes, bytes, len);
    if (control & 1)
        pg_make_repair(m.bytes, len, control & 2);
    m.p = (struct pg_packet){.head = m.bytes, .head_len = len, .len = len, .id = id++};
    m.p.entry_node = control & 4 ? 1 : PG_NODE_NONE;
    m.p.csum = (control & 3) == 3 ? PG_CSUM_PARTIAL : PG_CSUM_FULL;
    pg_world_wait(&world, UINT64_C(1000) * (control >> 4));
    if (!pg_packet_parse(&m.p, &drop))
        return;
    if (m.p.csum == PG_CSUM_PARTIAL && m.p.proto != PG_PROTO_TCP && m.p.proto != PG_PROTO_UDP) {
        m.p.csum = PG_CSUM_FULL; /* devices leave only these open */
        if (!pg_packet_parse(&m.p, &drop))
            return;
    }

    struct pg_tuple in = m.p.tuple;
    static uint8_t before[PG_MADE_BYTES];
    memcpy(before, m.bytes, sizeof(before));
    enum pg_verdict_nat verdict =
        control & 8 ? pg_world_send_out(&world, &m) : pg_world_send(&world, &m);
    if (verdict != PG_NAT_ACCEPT) {
        PG_ASSERT(world.drop != PG_DROP_NONE && memcmp(before, m.bytes, sizeof(before)) == 0);
        return;
    }
    struct pg_tuple quoted;
    uint16_t at;
    if (pg_packet_quoted(&m.p, &quoted, &at))
        return;
    struct pg_tuple out = m.p.tuple;
    check_error(&in, &m.p);
    check_answer(&in, &out, &m.p);
}

static void print_records(uint64_t from)
{
    struct pg_text out = {0};
    struct pg_json j;
    struct pg_record r;
    uint64_t missed;

    while (pg_trace_read(world.trace, &from, &r, &missed)) {
        pg_record_print(&r, &out);
        pg_json_begin(&j, &out);
        pg_record_json(&r, &j);
        pg_text_clear(&out);
    }
    pg_text_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (!opened) {
        pg_world_open(&world, &(struct pg_nat_options){.flow_limit = 256});
        pg_trace_set_level(world.trace, PG_TRACE_PACKETS);
        opened = true;
    }
    uint64_t seq = pg_trace_next_seq(world.trace);

    pg_random_seed(&world.random, 1);
    while (len >= 3) {
        uint32_t packet_len = (uint32_t)bytes[1] << 8 | bytes[2];
        if (packet_len > len - 3)
            packet_len = (uint32_t)(len - 3);
        one_packet(bytes[0], bytes + 3, packet_len);
        bytes += 3 + packet_len;
        len -= 3 + packet_len;
    }
    print_records(seq);
    pg_world_wait(&world, UINT64_C(100000000));
    PG_ASSERT(pg_nat_flow_count(world.nat) == 0);
    return 0;
}
