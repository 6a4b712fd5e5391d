/* nat/tcp_track.c: a connection's life as the table sees it, and the exceptions that naive trackers
 * miss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

#define SYN    PG_TCP_SYN
#define SYNACK (PG_TCP_SYN | PG_TCP_ACK)
#define ACK    PG_TCP_ACK
#define FINACK (PG_TCP_FIN | PG_TCP_ACK)
#define RST    PG_TCP_RST
#define RSTACK (PG_TCP_RST | PG_TCP_ACK)

/* One connection of a pod to a cluster IP; q 10.244.1.3:40000 > 10.96.1.2:80, endpoint p2. */
struct link {
    struct pg_world w;
    struct pg_tuple client; /* what the client sends */
    struct pg_tuple server; /* what the endpoint sends */
};

static int open_link(void **state)
{
    static struct link l;

    pg_world_open(&l.w, NULL);
    l.client = pg_make_tuple(PG_PROTO_TCP, Q, 40000, "0.0.0.0", 80);
    l.client.dst = pg_world_cluster_ip(SVC_REMOTE);
    l.server = pg_make_tuple(PG_PROTO_TCP, P2, 8080, Q, 40000);
    *state = &l;
    return 0;
}

static int close_link(void **state)
{
    struct link *l = *state;

    pg_world_close(&l->w);
    return 0;
}

static enum pg_verdict_nat send_bytes(struct link *l, bool server, uint8_t flags, uint32_t seq,
                                      uint32_t ack, uint32_t len)
{
    struct pg_made m;

    pg_make_tcp(&m, server ? &l->server : &l->client, flags, seq, ack, len);
    enum pg_verdict_nat verdict = pg_world_send(&l->w, &m);
    if (verdict == PG_NAT_ACCEPT) { /* never untranslated */
        struct pg_tuple wanted = pg_tuple_invert(server ? &l->client : &l->server);
        assert_true(pg_tuple_equal(&m.p.tuple, &wanted));
    }
    return verdict;
}

static enum pg_verdict_nat from_client(struct link *l, uint8_t flags, uint32_t seq, uint32_t ack)
{
    return send_bytes(l, false, flags, seq, ack, 0);
}

static enum pg_verdict_nat from_server(struct link *l, uint8_t flags, uint32_t seq, uint32_t ack)
{
    return send_bytes(l, true, flags, seq, ack, 0);
}

static struct pg_nat_flow_view view(struct link *l)
{
    struct pg_nat_flow_view v;

    assert_true(pg_nat_find(l->w.nat, &l->client, l->w.now_us, &v));
    return v;
}

static void assert_state(struct link *l, enum pg_tcp_state state, uint64_t seconds)
{
    struct pg_nat_flow_view v = view(l);

    assert_string_equal(pg_ct_state_name(v.state), pg_ct_state_name(state));
    assert_int_equal(v.timeout_s, seconds);
}

static void establish(struct link *l)
{
    assert_int_equal(from_client(l, SYN, 1000, 0), PG_NAT_ACCEPT);
    assert_int_equal(from_server(l, SYNACK, 5000, 1001), PG_NAT_ACCEPT);
    assert_int_equal(from_client(l, ACK, 1001, 5001), PG_NAT_ACCEPT);
}

static void connection_walks_through_its_states(void **state)
{
    struct link *l = *state;

    from_client(l, SYN, 1000, 0);
    assert_state(l, PG_CT_SYN_SENT, 120);
    assert_false(view(l).seen_reply);
    from_server(l, SYNACK, 5000, 1001);
    assert_state(l, PG_CT_SYN_RECV, 60);
    assert_true(view(l).seen_reply);
    assert_false(view(l).assured);
    from_client(l, ACK, 1001, 5001);
    assert_state(l, PG_CT_ESTABLISHED, 86400);
    assert_true(view(l).assured);
    from_client(l, FINACK, 1001, 5001);
    assert_state(l, PG_CT_FIN_WAIT, 120);
    from_server(l, ACK, 5001, 1002);
    assert_state(l, PG_CT_CLOSE_WAIT, 3600);
    from_server(l, FINACK, 5001, 1002);
    assert_state(l, PG_CT_LAST_ACK, 30);
    from_client(l, ACK, 1002, 5002);
    assert_state(l, PG_CT_TIME_WAIT, 120);
    pg_world_wait(&l->w, 119999);
    assert_int_equal(pg_nat_flow_count(l->w.nat), 1);
    pg_world_wait(&l->w, 1);
    assert_int_equal(pg_nat_flow_count(l->w.nat), 0);
}

static void repeated_syn_does_not_refresh(void **state)
{
    struct link *l = *state;

    from_client(l, SYN, 1000, 0);
    uint64_t id = view(l).id;
    pg_world_wait(&l->w, 50000);
    from_client(l, SYN, 1000, 0);
    assert_state(l, PG_CT_SYN_SENT, 70);
    assert_int_equal(view(l).id, id); /* nor is another endpoint picked */
}

static void unacknowledged_data_waits_five_minutes_at_most(void **state)
{
    struct link *l = *state;

    establish(l);
    send_bytes(l, false, ACK | PG_TCP_PSH, 1001, 5001, 100);
    assert_state(l, PG_CT_ESTABLISHED, 300);
    from_server(l, ACK, 5001, 1101);
    assert_state(l, PG_CT_ESTABLISHED, 86400);
}

static void segment_sent_again_and_again_shortens_the_wait(void **state)
{
    struct link *l = *state;

    establish(l);
    for (int i = 0; i < 5; i++)
        from_client(l, ACK, 1001, 5001);
    assert_state(l, PG_CT_ESTABLISHED, 300);
    send_bytes(l, false, ACK, 1001, 5001, 10);
    from_server(l, ACK, 5001, 1011);
    assert_state(l, PG_CT_ESTABLISHED, 86400);
}

static void syn_in_an_established_flow_changes_nothing(void **state)
{
    struct link *l = *state;

    establish(l);
    pg_world_wait(&l->w, 10000);
    assert_int_equal(from_client(l, SYN, 777, 0), PG_NAT_ACCEPT);
    assert_state(l, PG_CT_ESTABLISHED, 86390);
    assert_int_equal(from_server(l, ACK, 5001, 1001),
                     PG_NAT_ACCEPT); /* the challenge ACK comes back */
    assert_state(l, PG_CT_ESTABLISHED, 86400);
}

static void syn_ack_to_an_ignored_syn_resynchronises(void **state)
{
    struct link *l = *state;

    establish(l);
    from_client(l, SYN, 900000, 0);
    assert_int_equal(from_server(l, SYNACK, 70000, 900001), PG_NAT_ACCEPT);
    assert_state(l, PG_CT_SYN_RECV, 60);
    from_client(l, ACK, 900001, 70001);
    assert_state(l, PG_CT_ESTABLISHED, 86400);
}

static void only_the_exact_reset_closes(void **state)
{
    struct link *l = *state;

    establish(l);
    send_bytes(l, true, ACK, 5001, 1001, 100);
    from_client(l, ACK, 1001, 5101);
    from_server(l, ACK, 5101, 1001);
    assert_int_equal(from_server(l, RST, 5050, 0),
                     PG_NAT_DROP); /* below what the client acknowledged */
    assert_int_equal(l->w.drop, PG_DROP_INVALID);
    assert_int_equal(view(l).state, PG_CT_ESTABLISHED);
    assert_int_equal(from_server(l, RST, 5201, 0),
                     PG_NAT_ACCEPT); /* in the window, not exact: a challenge ACK may follow */
    assert_int_equal(view(l).state, PG_CT_ESTABLISHED);
    from_client(l, ACK, 1001, 5101); /* nothing up to where the reset stood: something is missing */
    assert_state(l, PG_CT_ESTABLISHED, 300);
    assert_int_equal(from_server(l, RST, 5101, 0), PG_NAT_ACCEPT);
    assert_state(l, PG_CT_CLOSE, 10);
}

static void old_connection_that_closes_is_gone_in_time(void **state)
{
    struct link *l = *state;

    establish(l);
    pg_world_wait(&l->w, 600000); /* its timer stands at a day by now */
    assert_int_equal(from_server(l, RST, 5001, 0), PG_NAT_ACCEPT);
    assert_state(l, PG_CT_CLOSE, 10);
    pg_world_wait(&l->w, 10000);
    assert_int_equal(pg_nat_flow_count(l->w.nat), 0);
}

static void reset_as_the_only_answer_ends_the_flow_at_once(void **state)
{
    struct link *l = *state;

    from_client(l, SYN, 1000, 0);
    assert_int_equal(pg_nat_flow_count(l->w.nat), 1);
    assert_int_equal(from_server(l, RSTACK, 0, 1001),
                     PG_NAT_ACCEPT); /* translated before it goes */
    assert_int_equal(pg_nat_flow_count(l->w.nat), 0);
}

static void syn_in_time_wait_decides_anew(void **state)
{
    struct link *l = *state;

    establish(l);
    uint64_t id = view(l).id;
    from_client(l, FINACK, 1001, 5001);
    from_server(l, FINACK, 5001, 1002);
    from_client(l, ACK, 1002, 5002);
    assert_state(l, PG_CT_TIME_WAIT, 120);
    assert_int_equal(from_client(l, SYN, 50000, 0), PG_NAT_ACCEPT);
    assert_state(l, PG_CT_SYN_SENT, 120);
    assert_int_not_equal(view(l).id, id);
    assert_int_equal(pg_nat_flow_count(l->w.nat), 1);
}

static void syn_after_its_own_reset_decides_anew(void **state)
{
    struct link *l = *state;

    establish(l);
    uint64_t id = view(l).id;
    from_client(l, RST, 1001, 0);
    assert_state(l, PG_CT_CLOSE, 10);
    from_client(l, SYN, 50000, 0);
    assert_state(l, PG_CT_SYN_SENT, 120);
    assert_int_not_equal(view(l).id, id);
}

/* The client may know nothing of the reset, and the server of the SYN: the answer tells. */
static void syn_after_the_other_sides_reset_waits_for_the_answer(void **state)
{
    struct link *l = *state;

    establish(l);
    uint64_t id = view(l).id;
    from_server(l, RST, 5001, 0);
    assert_state(l, PG_CT_CLOSE, 10);
    assert_int_equal(from_client(l, SYN, 50000, 0), PG_NAT_ACCEPT);
    assert_state(l, PG_CT_CLOSE, 10);
    from_server(l, SYNACK, 90000, 50001);
    assert_state(l, PG_CT_SYN_RECV, 60);
    assert_int_equal(view(l).id, id);
}

static void any_reset_closes_a_flow_that_is_closing(void **state)
{
    struct link *l = *state;

    establish(l);
    from_client(l, FINACK, 1001, 5001);
    assert_int_equal(from_server(l, RST, 77, 0), PG_NAT_ACCEPT);
    assert_state(l, PG_CT_CLOSE, 10);
}

static void ignored_segments_are_not_counted(void **state)
{
    struct link *l = *state;

    from_client(l, SYN, 1000, 0);
    from_client(l, SYN, 1000, 0);
    assert_int_equal(view(l).packets[0], 1);
    from_server(l, ACK, 7000, 900); /* of a half-open connection that only the server knows */
    assert_state(l, PG_CT_SYN_SENT, 120);
    assert_int_equal(view(l).packets[1], 0);
    assert_true(view(l).seen_reply);
}

static void reset_that_answers_a_challenge_closes(void **state)
{
    struct link *l = *state;

    from_client(l, SYN, 1000, 0);
    from_server(l, ACK, 7000, 900);
    assert_int_equal(from_client(l, RST, 900, 0), PG_NAT_ACCEPT);
    assert_state(l, PG_CT_CLOSE, 10);
}

static void challenge_ack_is_not_the_last_ack(void **state)
{
    struct link *l = *state;

    establish(l);
    from_client(l, FINACK, 1001, 5001);
    from_server(l, FINACK, 5001, 1002);
    assert_state(l, PG_CT_LAST_ACK, 30);
    from_client(l, SYN, 90000, 0);
    from_server(l, ACK, 5002, 1002);
    assert_state(l, PG_CT_LAST_ACK, 30);
    from_client(l, ACK, 1002, 5002);
    assert_state(l, PG_CT_TIME_WAIT, 120);
}

static void timeouts_are_those_that_were_set(void **state)
{
    struct pg_nat_options few = {.tcp_syn_sent = 5, .tcp_unacknowledged = 7, .tcp_max_retrans = 9};
    struct link l;

    (void)state;
    pg_world_open(&l.w, &few);
    l.client = pg_make_tuple(PG_PROTO_TCP, Q, 40000, "0.0.0.0", 80);
    l.client.dst = pg_world_cluster_ip(SVC_REMOTE);
    l.server = pg_make_tuple(PG_PROTO_TCP, P2, 8080, Q, 40000);
    from_client(&l, SYN, 1000, 0);
    assert_state(&l, PG_CT_SYN_SENT, 5);
    from_server(&l, SYN, 5000, 0);
    from_client(&l, SYNACK, 1000, 5001);
    from_server(&l, ACK, 5001, 1001);
    assert_state(&l, PG_CT_ESTABLISHED,
                 86400); /* both opened at once: the other side's ACK is enough */
    send_bytes(&l, false, ACK, 1001, 5001, 10);
    assert_state(&l, PG_CT_ESTABLISHED, 7);
    pg_world_close(&l.w);
}

static void impossible_flags_are_invalid(void **state)
{
    struct link *l = *state;
    static const uint8_t bad[] = {0,          PG_TCP_FIN, SYN | PG_TCP_FIN, SYN | RST, FINACK | SYN,
                                  PG_TCP_URG, PG_TCP_PSH, RST | PG_TCP_FIN};

    for (size_t i = 0; i < sizeof(bad); i++) {
        assert_int_equal(from_client(l, bad[i], 1000, 0), PG_NAT_DROP);
        assert_int_equal(l->w.drop, PG_DROP_INVALID);
    }
    establish(l);
    for (size_t i = 0; i < sizeof(bad); i++)
        assert_int_equal(from_client(l, bad[i], 1001, 5001), PG_NAT_DROP);
    assert_int_equal(view(l).state, PG_CT_ESTABLISHED);
}

static void segment_out_of_window_is_translated_all_the_same(void **state)
{
    struct link *l = *state;

    establish(l);
    assert_int_equal(send_bytes(l, true, ACK, 5001 + (1u << 31), 1001, 100), PG_NAT_ACCEPT);
    assert_int_equal(from_server(l, RST, 5001, 0),
                     PG_NAT_ACCEPT); /* it taught us no sequence number */
    assert_state(l, PG_CT_CLOSE, 10);
}

static void acknowledgement_of_unsent_data_teaches_nothing(void **state)
{
    struct link *l = *state;

    establish(l);
    from_client(l, ACK, 1001, 5001 + 70000);
    assert_int_equal(from_server(l, RST, 5001, 0), PG_NAT_ACCEPT);
    assert_state(l, PG_CT_CLOSE, 10);
}

static void mid_stream_start_is_picked_up_for_five_minutes(void **state)
{
    struct link *l = *state;

    assert_int_equal(from_client(l, ACK, 1001, 5001), PG_NAT_ACCEPT);
    assert_state(l, PG_CT_ESTABLISHED, 300);
    assert_false(view(l).assured);
    from_server(l, ACK, 5001, 1001);
    from_client(l, ACK, 1001, 5001);
    assert_state(l, PG_CT_ESTABLISHED, 86400);
    assert_true(view(l).assured);
}

static void strict_pickup_refuses_it(void **state)
{
    struct link l;
    struct pg_nat_options strict = {.tcp_strict_pickup = true};

    (void)state;
    pg_world_open(&l.w, &strict);
    l.client = pg_make_tuple(PG_PROTO_TCP, Q, 40000, "0.0.0.0", 80);
    l.client.dst = pg_world_cluster_ip(SVC_REMOTE);
    assert_int_equal(from_client(&l, ACK, 1001, 5001), PG_NAT_DROP);
    assert_int_equal(l.w.drop, PG_DROP_INVALID);
    pg_world_close(&l.w);
}

static void fin_or_syn_ack_without_a_flow_is_invalid(void **state)
{
    struct link *l = *state;

    assert_int_equal(from_client(l, FINACK, 1001, 5001), PG_NAT_DROP);
    assert_int_equal(from_client(l, SYNACK, 1001, 5001), PG_NAT_DROP);
    assert_int_equal(from_client(l, RST, 1001, 5001), PG_NAT_DROP);
    assert_int_equal(pg_nat_flow_count(l->w.nat), 0);
}

static void both_sides_may_send_syn(void **state)
{
    struct link *l = *state;

    from_client(l, SYN, 1000, 0);
    from_server(l, SYN, 5000, 0);
    assert_state(l, PG_CT_SYN_SENT2, 120);
    from_client(l, SYNACK, 1000, 5001);
    assert_state(l, PG_CT_SYN_RECV, 60);
}

static void flow_that_is_due_is_over_even_before_the_sweep(void **state)
{
    struct link *l = *state;

    from_client(l, SYN, 1000, 0);
    uint64_t id = view(l).id;
    l->w.now_us += 120000000; /* nobody called pg_nat_advance */
    from_client(l, SYN, 1000, 0);
    assert_int_not_equal(view(l).id, id);
    assert_state(l, PG_CT_SYN_SENT, 120);
}

int main(void)
{
#define LINK_TEST(f) cmocka_unit_test_setup_teardown(f, open_link, close_link)
    const struct CMUnitTest tests[] = {
        LINK_TEST(connection_walks_through_its_states),
        LINK_TEST(repeated_syn_does_not_refresh),
        LINK_TEST(unacknowledged_data_waits_five_minutes_at_most),
        LINK_TEST(segment_sent_again_and_again_shortens_the_wait),
        LINK_TEST(syn_in_an_established_flow_changes_nothing),
        LINK_TEST(syn_ack_to_an_ignored_syn_resynchronises),
        LINK_TEST(only_the_exact_reset_closes),
        LINK_TEST(old_connection_that_closes_is_gone_in_time),
        LINK_TEST(reset_as_the_only_answer_ends_the_flow_at_once),
        LINK_TEST(syn_in_time_wait_decides_anew),
        LINK_TEST(syn_after_its_own_reset_decides_anew),
        LINK_TEST(syn_after_the_other_sides_reset_waits_for_the_answer),
        LINK_TEST(any_reset_closes_a_flow_that_is_closing),
        LINK_TEST(ignored_segments_are_not_counted),
        LINK_TEST(reset_that_answers_a_challenge_closes),
        LINK_TEST(challenge_ack_is_not_the_last_ack),
        cmocka_unit_test(timeouts_are_those_that_were_set),
        LINK_TEST(impossible_flags_are_invalid),
        LINK_TEST(segment_out_of_window_is_translated_all_the_same),
        LINK_TEST(acknowledgement_of_unsent_data_teaches_nothing),
        LINK_TEST(mid_stream_start_is_picked_up_for_five_minutes),
        cmocka_unit_test(strict_pickup_refuses_it),
        LINK_TEST(fin_or_syn_ack_without_a_flow_is_invalid),
        LINK_TEST(both_sides_may_send_syn),
        LINK_TEST(flow_that_is_due_is_over_even_before_the_sweep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
