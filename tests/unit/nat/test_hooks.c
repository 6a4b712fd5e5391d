/* nat/hooks.c: packets through the hooks, there and back, bytes and records. Every packet that
 * passes has its sums computed anew by nat_world.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

#include <string.h>

static int open_world(void **state)
{
    static struct pg_world w;

    pg_world_open(&w, NULL);
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    pg_world_close(*state);
    return 0;
}

static void assert_tuple(const struct pg_tuple *got, const struct pg_tuple *wanted)
{
    if (pg_tuple_equal(got, wanted))
        return;
    char text[4][PG_ENDPOINT_TEXT];
    fail_msg("got %s > %s, wanted %s > %s", pg_endpoint_print(&got->src, got->src_port, text[0]),
             pg_endpoint_print(&got->dst, got->dst_port, text[1]),
             pg_endpoint_print(&wanted->src, wanted->src_port, text[2]),
             pg_endpoint_print(&wanted->dst, wanted->dst_port, text[3]));
}

static struct pg_tuple to_lb(uint8_t proto, unsigned service, uint16_t src_port, uint16_t port)
{
    struct pg_tuple t = pg_make_tuple(proto, CLIENT, src_port, "0.0.0.0", port);

    t.dst = pg_world_lb_ip(service);
    return t;
}

static struct pg_tuple to_cluster_ip(const char *src, uint8_t proto, unsigned service,
                                     uint16_t src_port, uint16_t port)
{
    struct pg_tuple t = pg_make_tuple(proto, src, src_port, "0.0.0.0", port);

    t.dst = pg_world_cluster_ip(service);
    return t;
}

/* Sends the first packet of t and then its answer; both must come out exactly. Returns the tuple
 * the endpoint saw. */
static struct pg_tuple there_and_back(struct pg_world *w, const struct pg_tuple *t,
                                      enum pg_csum csum)
{
    struct pg_made m;

    pg_make_first(&m, t);
    m.p.csum = csum;
    if (csum == PG_CSUM_PARTIAL)
        pg_make_partial(&m);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    struct pg_tuple seen = m.p.tuple;
    struct pg_tuple answer = pg_tuple_invert(&seen);

    if (t->proto == PG_PROTO_TCP)
        pg_make_tcp(&m, &answer, PG_TCP_SYN | PG_TCP_ACK, 9000, 1001, 0);
    else if (t->proto == PG_PROTO_UDP)
        pg_make_udp(&m, &answer, 700);
    else
        pg_make_echo(&m, &answer);
    m.p.csum = csum;
    if (csum == PG_CSUM_PARTIAL)
        pg_make_partial(&m);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    struct pg_tuple wanted = pg_tuple_invert(t);
    assert_tuple(&m.p.tuple, &wanted);
    return seen;
}

static void reply_comes_from_the_address_the_client_used(void **state)
{
    struct pg_world *w = *state;
    static const enum pg_csum sums[] = {PG_CSUM_VERIFIED, PG_CSUM_FULL, PG_CSUM_PARTIAL};
    struct pg_addr p1 = pg_make_addr(P1);

    for (uint16_t i = 0; i < 3; i++) {
        struct pg_tuple masqueraded = to_lb(PG_PROTO_TCP, SVC_LOCAL, (uint16_t)(41000 + i), 80);
        struct pg_tuple kept = to_lb(PG_PROTO_TCP, SVC_KEEP_LOCAL, (uint16_t)(42000 + i), 80);
        struct pg_tuple inside = to_cluster_ip(Q, PG_PROTO_UDP, SVC_TWO, (uint16_t)(43000 + i), 53);
        struct pg_tuple plain = pg_make_tuple(PG_PROTO_TCP, Q, (uint16_t)(44000 + i), CLIENT, 443);
        struct pg_tuple seen = there_and_back(w, &masqueraded, sums[i]);
        assert_true(pg_addr_equal(&seen.dst, &p1));
        there_and_back(w, &kept, sums[i]);
        there_and_back(w, &inside, sums[i]);
        struct pg_tuple untouched = there_and_back(w, &plain, sums[i]);
        assert_tuple(&untouched, &plain);
    }
}

static void udp_without_checksum_stays_without(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_cluster_ip(Q, PG_PROTO_UDP, SVC_TWO, 43000, 53);
    struct pg_made m;

    pg_make_udp(&m, &t, 20);
    m.bytes[26] = m.bytes[27] = 0;
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    assert_int_equal(m.bytes[26] | m.bytes[27], 0);
    assert_int_equal(m.p.tuple.dst_port, 5353);
}

static void echo_passes_plain_and_comes_back(void **state)
{
    struct pg_tuple t = pg_make_tuple(PG_PROTO_ICMP, Q, 5439, P2, 8 << 8);
    struct pg_tuple v6 =
        pg_make_tuple(PG_PROTO_ICMP6, "2001:db8::7", 5439, "2001:db8::8", 128 << 8);

    there_and_back(*state, &t, PG_CSUM_VERIFIED);
    there_and_back(*state, &v6, PG_CSUM_VERIFIED);
}

static void echo_reply_that_nobody_asked_for_is_invalid(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_ICMP, P2, 5439, Q, 0);
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_DROP);
    assert_int_equal(w->drop, PG_DROP_INVALID);
}

static void packet_from_a_socket_to_itself_is_invalid(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_UDP, CLIENT, 99, CLIENT, 99);
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_DROP);
    assert_int_equal(w->drop, PG_DROP_INVALID);
}

static void flow_without_postrouting_was_never_there(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_TCP, SVC_LOCAL, 41000, 80);
    struct pg_made m;

    pg_make_first(&m, &t);
    assert_int_equal(pg_nat_prerouting(w->nat, &m.p, w->now_us, &w->drop), PG_NAT_ACCEPT);
    assert_int_equal(pg_nat_flow_count(w->nat), 0);
    there_and_back(w, &t, PG_CSUM_VERIFIED);
    assert_int_equal(pg_nat_flow_count(w->nat), 1);
}

static void refused_address_leaves_no_flow_behind(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, Q, 40000, "10.96.77.7", 80);
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_DROP);
    assert_int_equal(w->drop, PG_DROP_UNALLOCATED_SERVICE_IP);
    assert_int_equal(pg_nat_flow_count(w->nat), 0);
}

static void reject_comes_from_the_side_of_the_client(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple pod = to_cluster_ip(Q, PG_PROTO_TCP, SVC_EMPTY, 40000, 80);
    struct pg_tuple client = pg_make_tuple(PG_PROTO_TCP, CLIENT, 40000, NODE2, 30000 + SVC_EMPTY);
    struct pg_addr gateway = pg_make_addr(GW1);
    struct pg_addr node2 = pg_make_addr(NODE2);
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, &pod), PG_NAT_REJECT);
    assert_int_equal(w->drop, PG_DROP_REJECTED);
    struct pg_addr from = pg_nat_reject_source(w->nat, &m.p);
    assert_true(pg_addr_equal(&from, &gateway));
    assert_int_equal(pg_world_first(w, &m, &client), PG_NAT_REJECT);
    from = pg_nat_reject_source(w->nat, &m.p);
    assert_true(pg_addr_equal(&from, &node2));
    pod.dst = node2; /* a node that is asked itself answers by itself, also to a pod */
    pod.dst_port = 30000 + SVC_EMPTY;
    assert_int_equal(pg_world_first(w, &m, &pod), PG_NAT_REJECT);
    from = pg_nat_reject_source(w->nat, &m.p);
    assert_true(pg_addr_equal(&from, &node2));
}

static void output_decides_like_prerouting(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_cluster_ip("10.244.1.9", PG_PROTO_TCP, SVC_REMOTE, 40001, 80);
    struct pg_tuple wanted = pg_make_tuple(PG_PROTO_TCP, "10.244.1.9", 40001, P2, 8080);
    struct pg_made m;

    pg_make_first(&m, &t);
    m.p.label = 77;
    pg_trace_set_level(w->trace, PG_TRACE_FLOWS);
    assert_int_equal(pg_world_send_out(w, &m), PG_NAT_ACCEPT);
    assert_tuple(&m.p.tuple, &wanted);
    assert_int_equal(pg_world_last_code(w, PG_STAGE_NAT_OUTPUT, PG_FIELD_DST),
                     PG_CODE_DNAT_CLUSTER_IP);
    struct pg_tuple reply = pg_tuple_invert(&wanted);
    assert_int_equal(pg_nat_label_of(w->nat, &reply), 77);
}

static void every_packet_of_a_flow_carries_its_label(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_UDP, SVC_TWO, 41000, 53);
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_ACCEPT);
    uint32_t label = m.p.label;
    assert_int_not_equal(label, 0);
    assert_int_equal(pg_nat_label_of(w->nat, &t), label);
    struct pg_tuple answer = pg_tuple_invert(&m.p.tuple);
    pg_make_udp(&m, &answer, 4);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    assert_int_equal(m.p.label, label);
}

/* ---- records ---- */

static unsigned count_records(const struct pg_world *w, enum pg_stage stage,
                              enum pg_record_kind kind, unsigned direction)
{
    uint64_t seq = 1;
    uint64_t missed;
    struct pg_record r;
    unsigned count = 0;

    while (pg_trace_read(w->trace, &seq, &r, &missed))
        count += r.stage == stage && r.kind == kind && r.direction == direction;
    return count;
}

static void flows_level_tells_the_first_packet_of_each_direction(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_UDP, SVC_TWO, 41000, 53);

    pg_trace_set_level(w->trace, PG_TRACE_FLOWS);
    for (int i = 0; i < 3; i++)
        there_and_back(w, &t, PG_CSUM_VERIFIED);
    assert_int_equal(count_records(w, PG_STAGE_NAT_PREROUTING, PG_RECORD_REWRITE, 0), 1);
    assert_int_equal(count_records(w, PG_STAGE_NAT_POSTROUTING, PG_RECORD_REWRITE, 0), 1);
    assert_int_equal(count_records(w, PG_STAGE_NAT_PREROUTING, PG_RECORD_REWRITE, 1), 1);
    assert_int_equal(count_records(w, PG_STAGE_NAT_POSTROUTING, PG_RECORD_REWRITE, 1), 1);
    assert_int_equal(pg_world_last_code(w, PG_STAGE_NAT_POSTROUTING, PG_FIELD_SRC),
                     PG_CODE_REVERSE);
}

static void packets_level_tells_each(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_UDP, SVC_TWO, 41000, 53);

    pg_trace_set_level(w->trace, PG_TRACE_PACKETS);
    for (int i = 0; i < 3; i++)
        there_and_back(w, &t, PG_CSUM_VERIFIED);
    assert_int_equal(count_records(w, PG_STAGE_NAT_POSTROUTING, PG_RECORD_REWRITE, 0), 3);
    assert_int_equal(count_records(w, PG_STAGE_NAT_POSTROUTING, PG_RECORD_REWRITE, 1), 3);
}

static void kept_source_is_told_with_its_reason(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_TCP, SVC_KEEP_LOCAL, 42000, 80);

    pg_trace_set_level(w->trace, PG_TRACE_FLOWS);
    there_and_back(w, &t, PG_CSUM_VERIFIED);
    assert_int_equal(count_records(w, PG_STAGE_NAT_POSTROUTING, PG_RECORD_KEEP, 0), 1);
}

/* A SYN of t with these options behind its header. */
static void make_syn(struct pg_made *m, const struct pg_tuple *t, const uint8_t *options,
                     uint32_t len)
{
    enum pg_drop drop;

    pg_make_first(m, t);
    uint8_t *tcp = m->p.head + m->p.l4_offset;
    memcpy(tcp + 20, options, len);
    tcp[12] = (uint8_t)((5 + len / 4) << 4);
    tcp[14] = 64240 >> 8;
    tcp[15] = 64240 & 0xff;
    m->p.head_len = m->p.len += len;
    pg_make_repair(m->p.head, m->p.len, false);
    assert_true(pg_packet_parse(&m->p, &drop));
}

static void handshake_tells_its_options(void **state)
{
    static const uint8_t all[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_TCP, SVC_KEEP_LOCAL, 42001, 80);
    struct pg_made m;
    struct pg_record r;
    uint64_t seq = 1;
    uint64_t missed;
    unsigned told = 0;

    pg_trace_set_level(w->trace, PG_TRACE_FLOWS);
    make_syn(&m, &t, all, sizeof(all));
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    while (pg_trace_read(w->trace, &seq, &r, &missed)) {
        if (r.kind != PG_RECORD_EVENT)
            continue;
        char text[128];
        told++;
        assert_string_equal(r.name, "syn");
        assert_string_equal(pg_value_print(&r.after, text, sizeof(text)),
                            "mss 1460, SACK, timestamps, window scale 7, window 64240");
        assert_int_not_equal(r.conntrack, 0);
    }
    assert_int_equal(told, 1);
}

static void silent_trace_writes_nothing(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_TCP, SVC_LOCAL, 42000, 80);

    there_and_back(w, &t, PG_CSUM_VERIFIED);
    assert_int_equal(pg_trace_next_seq(w->trace), 1);
}

/* ---- UDP timers ---- */

static uint64_t seconds_left(struct pg_world *w, const struct pg_tuple *t, bool *ret_assured)
{
    struct pg_nat_flow_view v;

    assert_true(pg_nat_find(w->nat, t, w->now_us, &v));
    *ret_assured = v.assured;
    return v.timeout_s;
}

static void udp_becomes_a_stream_only_after_two_seconds(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_cluster_ip(Q, PG_PROTO_UDP, SVC_TWO, 43000, 53);
    bool assured;

    there_and_back(w, &t, PG_CSUM_VERIFIED);
    assert_int_equal(seconds_left(w, &t, &assured), 30);
    assert_false(assured);
    pg_world_wait(w, 1500);
    there_and_back(w, &t, PG_CSUM_VERIFIED);
    assert_int_equal(seconds_left(w, &t, &assured), 30);
    pg_world_wait(w, 1500);
    there_and_back(w, &t, PG_CSUM_VERIFIED);
    assert_int_equal(seconds_left(w, &t, &assured), 120);
    assert_true(assured);
    pg_world_wait(w, 119000);
    assert_int_equal(pg_nat_flow_count(w->nat), 1);
    pg_world_wait(w, 1001);
    assert_int_equal(pg_nat_flow_count(w->nat), 0);
}

static void one_way_sender_keeps_its_flow_unreplied(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_cluster_ip(Q, PG_PROTO_UDP, SVC_TWO, 43000, 53);
    struct pg_made m;
    bool assured;

    for (int i = 0; i < 10; i++) {
        assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_ACCEPT);
        pg_world_wait(w, 20000);
    }
    assert_int_equal(pg_nat_flow_count(w->nat), 1);
    assert_int_equal(seconds_left(w, &t, &assured), 10);
    assert_false(assured);
}

/* ---- answers that say what they answer ---- */

/* As there_and_back, but the answer is one of ours and has `hint`. */
static void assert_answered(struct pg_world *w, const struct pg_tuple *t,
                            const struct pg_tuple *seen, uint32_t hint)
{
    struct pg_tuple answer = pg_tuple_invert(seen);
    struct pg_tuple back = pg_tuple_invert(t);
    struct pg_made m;

    pg_make_udp(&m, &answer, 10);
    m.p.answer_hint = hint;
    assert_int_equal(pg_world_send_out(w, &m), PG_NAT_ACCEPT);
    assert_tuple(&m.p.tuple, &back);
}

static uint32_t hint_of(struct pg_world *w, const struct pg_tuple *t, struct pg_tuple *ret_seen)
{
    struct pg_made m;

    pg_make_udp(&m, t, 10);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    *ret_seen = m.p.tuple;
    return m.p.answer_hint;
}

static void a_hint_finds_the_flow_that_it_names_and_no_other(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t[2] = {to_cluster_ip(Q, PG_PROTO_UDP, SVC_TWO, 4000, 53),
                            to_cluster_ip(Q, PG_PROTO_UDP, SVC_TWO, 4001, 53)};
    struct pg_tuple seen[2];
    uint32_t hint[2];

    for (int i = 0; i < 2; i++)
        hint[i] = hint_of(w, &t[i], &seen[i]);
    assert_true(hint[0] != 0 && hint[1] != 0 && hint[0] != hint[1]);
    assert_int_equal(hint_of(w, &t[0], &seen[0]), hint[0]); /* of a known flow, too */
    for (int i = 0; i < 2; i++) {
        assert_answered(w, &t[i], &seen[i], hint[i]);
        assert_answered(w, &t[i], &seen[i], hint[!i]);
        assert_answered(w, &t[i], &seen[i], UINT32_MAX);
        assert_answered(w, &t[i], &seen[i], 0);
    }
    assert_int_equal(pg_nat_flow_count(w->nat), 2);
}

/* Its place is free, and holds the same bytes as before: what a free place begins with is the index of the next, here 0. An answer begins a
 * flow then, as it does without a hint. */
static void a_hint_to_a_flow_that_is_gone_finds_none(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t[2] = {to_cluster_ip(Q, PG_PROTO_UDP, SVC_TWO, 4000, 53),
                            to_cluster_ip(Q, PG_PROTO_UDP, SVC_TWO, 4001, 53)};
    struct pg_nat_flow_view v;
    struct pg_tuple seen[2];
    uint32_t hint[2];
    struct pg_made m;

    for (int i = 0; i < 2; i++)
        hint[i] = hint_of(w, &t[i], &seen[i]);
    for (int i = 0; i < 2; i++) {
        assert_true(pg_nat_find(w->nat, &t[i], w->now_us, &v));
        assert_int_equal(pg_nat_delete(w->nat, v.id, w->now_us), 0);
    }
    struct pg_tuple answer = pg_tuple_invert(&seen[1]);
    pg_make_udp(&m, &answer, 10);
    m.p.answer_hint = hint[1];
    assert_int_equal(pg_world_send_out(w, &m), PG_NAT_ACCEPT);
    assert_tuple(&m.p.tuple, &answer);
    assert_true(pg_nat_find(w->nat, &answer, w->now_us, &v));
    assert_tuple(&v.orig, &answer);
}

/* ---- IPv6 ---- */

static void ipv6_flows_translate_too(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, "2001:db8:1::5", 40000, "2001:db8::80", 80);
    struct pg_tuple seen = there_and_back(w, &t, PG_CSUM_PARTIAL);

    assert_tuple(&seen, &t);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(reply_comes_from_the_address_the_client_used),
        WORLD_TEST(udp_without_checksum_stays_without),
        WORLD_TEST(echo_passes_plain_and_comes_back),
        WORLD_TEST(echo_reply_that_nobody_asked_for_is_invalid),
        WORLD_TEST(packet_from_a_socket_to_itself_is_invalid),
        WORLD_TEST(flow_without_postrouting_was_never_there),
        WORLD_TEST(refused_address_leaves_no_flow_behind),
        WORLD_TEST(reject_comes_from_the_side_of_the_client),
        WORLD_TEST(output_decides_like_prerouting),
        WORLD_TEST(every_packet_of_a_flow_carries_its_label),
        WORLD_TEST(flows_level_tells_the_first_packet_of_each_direction),
        WORLD_TEST(packets_level_tells_each),
        WORLD_TEST(kept_source_is_told_with_its_reason),
        WORLD_TEST(handshake_tells_its_options),
        WORLD_TEST(silent_trace_writes_nothing),
        WORLD_TEST(udp_becomes_a_stream_only_after_two_seconds),
        WORLD_TEST(one_way_sender_keeps_its_flow_unreplied),
        WORLD_TEST(a_hint_finds_the_flow_that_it_names_and_no_other),
        WORLD_TEST(a_hint_to_a_flow_that_is_gone_finds_none),
        WORLD_TEST(ipv6_flows_translate_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
