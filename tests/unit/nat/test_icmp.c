/* nat/icmp.c: errors go with the flow they are about, inside and outside right; and the messages
 * podglass makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"
#include "podglass/icmp.h"
#include "podglass/nat_rewrite.h"

#include <string.h>

#define ROUTER "192.0.2.254"

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

static struct pg_tuple to_lb(uint8_t proto, unsigned service, uint16_t src_port, uint16_t port)
{
    struct pg_tuple t = pg_make_tuple(proto, CLIENT, src_port, "0.0.0.0", port);

    t.dst = pg_world_lb_ip(service);
    return t;
}

static void assert_quotes(const struct pg_packet *p, const struct pg_tuple *wanted)
{
    struct pg_tuple quoted;
    uint16_t at;

    assert_true(pg_packet_quoted(p, &quoted, &at));
    assert_true(pg_tuple_equal(&quoted, wanted));
}

static void assert_addr(const struct pg_addr *got, const struct pg_addr *wanted)
{
    char text[2][PG_ADDR_TEXT];

    if (!pg_addr_equal(got, wanted))
        fail_msg("got %s, wanted %s", pg_addr_print(got, text[0]), pg_addr_print(wanted, text[1]));
}

/* Sends t's first packet; an error about it, as the endpoint got it, comes back from `from` (NULL:
 * the endpoint). */
static void error_about_first(struct pg_world *w, const struct pg_tuple *t, const char *from,
                              uint32_t quote_len, struct pg_made *ret)
{
    struct pg_made m;

    pg_make_first(&m, t);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    struct pg_addr sender = from ? pg_make_addr(from) : m.p.tuple.dst;
    pg_make_error(ret, 3, from ? 4 : 3, &sender, &m.p, quote_len);
    assert_int_equal(pg_world_send(w, ret), PG_NAT_ACCEPT);
}

static void error_of_the_endpoint_comes_from_the_service(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_UDP, SVC_TWO, 43100, 53);
    struct pg_addr client = pg_make_addr(CLIENT);
    struct pg_made m;

    error_about_first(w, &t, NULL, 0, &m);
    assert_addr(&m.p.tuple.src, &t.dst);
    assert_addr(&m.p.tuple.dst, &client);
    assert_quotes(&m.p, &t);
}

static void error_of_a_router_comes_from_the_service_too(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_TCP, SVC_LOCAL, 43100, 80);
    struct pg_made m;

    error_about_first(w, &t, ROUTER, 0, &m);
    assert_addr(&m.p.tuple.src, &t.dst);
    assert_quotes(&m.p, &t);
}

static void router_of_an_untranslated_flow_stays_itself(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, Q, 40000, "198.51.100.80", 443);
    struct pg_addr router = pg_make_addr(ROUTER);
    struct pg_made m;

    error_about_first(w, &t, ROUTER, 0, &m);
    assert_addr(&m.p.tuple.src, &router);
    assert_quotes(&m.p, &t);
}

/* A clash changed only the port of its client, and yet the error comes from whom the endpoint talks to, as any answer does. */
static void router_behind_a_changed_port_is_hidden_too(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple first = to_lb(PG_PROTO_TCP, SVC_SAME, 43100, 80);
    struct pg_tuple direct = pg_make_tuple(PG_PROTO_TCP, CLIENT, 43100, P1, 8080);
    struct pg_addr client = pg_make_addr(CLIENT);
    struct pg_addr router = pg_make_addr(ROUTER);
    struct pg_made m;
    struct pg_made error;

    assert_int_equal(pg_world_first(w, &m, &first), PG_NAT_ACCEPT);
    assert_int_equal(pg_world_first(w, &m, &direct), PG_NAT_ACCEPT);
    assert_int_not_equal(m.p.tuple.src_port, 43100);
    struct pg_tuple answer = pg_tuple_invert(&m.p.tuple);
    pg_make_tcp(&m, &answer, PG_TCP_SYN | PG_TCP_ACK, 1, 2, 0);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    pg_make_error(&error, 3, 4, &router, &m.p, 0);
    assert_int_equal(pg_world_send(w, &error), PG_NAT_ACCEPT);
    assert_addr(&error.p.tuple.src, &client);
    assert_quotes(&error.p, &answer);
}

static void shortest_quote_is_enough(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_TCP, SVC_LOCAL, 43100, 80);
    struct pg_made m;

    error_about_first(w, &t, NULL, 28, &m);
    assert_quotes(&m.p, &t);
}

/* A client's error about an answer: the pod must see an error about what it sent. */
static void error_about_a_reply_reaches_the_endpoint(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_UDP, SVC_TWO, 43100, 53);
    struct pg_made m;
    struct pg_made error;

    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_ACCEPT);
    struct pg_tuple answer = pg_tuple_invert(&m.p.tuple);
    pg_make_udp(&m, &answer, 900);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    struct pg_addr client = pg_make_addr(CLIENT);
    pg_make_error(&error, 3, 4, &client, &m.p, 0);
    assert_int_equal(pg_world_send(w, &error), PG_NAT_ACCEPT);
    assert_addr(&error.p.tuple.dst, &answer.src);
    assert_addr(&error.p.tuple.src,
                &answer.dst); /* the masquerade address, as for any packet that way */
    assert_quotes(&error.p, &answer);
}

static void error_about_an_echo_finds_its_flow(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_ICMP, Q, 77, P2, 8 << 8);
    struct pg_made m;

    error_about_first(w, &t, ROUTER, 0, &m);
    assert_quotes(&m.p, &t);
}

static void error_neither_makes_nor_refreshes_a_flow(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_UDP, SVC_TWO, 43100, 53);
    struct pg_nat_flow_view v;
    struct pg_made first;
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &first, &t), PG_NAT_ACCEPT);
    pg_world_wait(w, 20000);
    pg_make_error(&m, 3, 3, &first.p.tuple.dst, &first.p, 0);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    assert_int_equal(pg_nat_flow_count(w->nat), 1);
    assert_true(pg_nat_find(w->nat, &t, w->now_us, &v));
    assert_int_equal(v.timeout_s, 10);
    assert_false(v.seen_reply);
}

static void error_about_nothing_we_know_is_dropped(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_UDP, SVC_TWO, 43100, 53);
    struct pg_addr router = pg_make_addr(ROUTER);
    struct pg_made never_sent;
    struct pg_made m;

    pg_make_first(&never_sent, &t);
    pg_make_error(&m, 3, 3, &router, &never_sent.p, 0);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_DROP);
    assert_int_equal(w->drop, PG_DROP_ICMP_UNRELATED);
}

static void error_to_somebody_else_is_dropped(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_UDP, SVC_TWO, 43100, 53);
    struct pg_made first;
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &first, &t), PG_NAT_ACCEPT);
    pg_make_error(&m, 3, 3, &first.p.tuple.dst, &first.p, 0);
    struct pg_tuple other = m.p.tuple;
    other.dst = pg_make_addr(Q);
    pg_rewrite_tuple(&m.p, &other);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_DROP);
    assert_int_equal(w->drop, PG_DROP_ICMP_UNRELATED);
}

static void redirect_about_a_translated_flow_is_dropped(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_UDP, SVC_TWO, 43100, 53);
    struct pg_made first;
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &first, &t), PG_NAT_ACCEPT);
    pg_make_error(&m, 5, 1, &first.p.tuple.dst, &first.p, 0);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_DROP);
}

static void other_icmp_is_not_supported(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t =
        pg_make_tuple(PG_PROTO_ICMP, CLIENT, 1, P1, 10 << 8); /* router solicitation */
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_DROP);
    assert_int_equal(w->drop, PG_DROP_ICMP_UNSUPPORTED);
}

/* Podglass itself raises an error between the hooks (TTL): the packet is half translated then. */
static void own_error_about_a_half_translated_packet_is_put_back(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_TCP, SVC_LOCAL, 43100, 80);
    struct pg_addr node = pg_make_addr(NODE1);
    struct pg_made m;
    struct pg_made error = {.p = {.entry_node = PG_NODE_NONE}};

    pg_make_first(&m, &t);
    assert_int_equal(pg_nat_prerouting(w->nat, &m.p, w->now_us, &w->drop), PG_NAT_ACCEPT);
    error.p.head = error.bytes;
    error.p.len = error.p.head_len =
        pg_icmp_error(&m.p, PG_ICMP_TIME_EXCEEDED, &node, error.bytes, sizeof(error.bytes));
    error.p.id = 12345;
    assert_true(pg_packet_parse(&error.p, &w->drop));
    assert_int_equal(pg_world_send_out(w, &error), PG_NAT_ACCEPT);
    assert_quotes(&error.p, &t);
    assert_addr(&error.p.tuple.dst, &t.src);
    assert_int_equal(pg_nat_flow_count(w->nat), 0);
}

static void quotes_are_told(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = to_lb(PG_PROTO_UDP, SVC_TWO, 43100, 53);
    struct pg_made m;

    pg_trace_set_level(w->trace, PG_TRACE_FLOWS);
    error_about_first(w, &t, NULL, 0, &m);
    assert_int_equal(pg_world_last_code(w, PG_STAGE_NAT_PREROUTING, PG_FIELD_INNER_SRC),
                     PG_CODE_REVERSE);
    assert_int_equal(pg_world_last_code(w, PG_STAGE_NAT_PREROUTING, PG_FIELD_INNER_DST),
                     PG_CODE_REVERSE);
    assert_int_equal(pg_world_last_code(w, PG_STAGE_NAT_POSTROUTING, PG_FIELD_SRC),
                     PG_CODE_REVERSE);
}

/* ---- own messages ---- */

static void check_own_error(const struct pg_packet *about, const struct pg_addr *from,
                            uint32_t most)
{
    struct pg_made m = {.p = {.entry_node = PG_NODE_NONE}};
    enum pg_drop drop;

    m.p.head = m.bytes;
    m.p.len = m.p.head_len = pg_icmp_error(about, PG_ICMP_PORT_UNREACHABLE, from, m.bytes, 1280);
    assert_true(m.p.len > 0 && m.p.len <= most);
    assert_true(pg_packet_parse(&m.p, &drop));
    assert_true(pg_made_is_right(&m.p));
    assert_addr(&m.p.tuple.src, from);
    assert_addr(&m.p.tuple.dst, &about->tuple.src);
    assert_quotes(&m.p, &about->tuple);
}

static void own_errors_quote_the_packet(void **state)
{
    struct pg_tuple v4 = pg_make_tuple(PG_PROTO_UDP, CLIENT, 1000, "10.96.1.7", 80);
    struct pg_tuple v6 = pg_make_tuple(PG_PROTO_UDP, "2001:db8::7", 1000, "2001:db8::80", 80);
    struct pg_addr from4 = pg_make_addr(NODE1);
    struct pg_addr from6 = pg_make_addr("2001:db8::1");
    struct pg_made m;

    (void)state;
    pg_make_udp(&m, &v4, 1400);
    check_own_error(&m.p, &from4, 576);
    pg_make_udp(&m, &v6, 1400);
    check_own_error(&m.p, &from6, 1280);
    pg_make_udp(&m, &v4, 3);
    check_own_error(&m.p, &from4, 576);
    assert_int_equal(pg_icmp_error(&m.p, PG_ICMP_PORT_UNREACHABLE, &from6, m.bytes + 1000, 1048),
                     0);
}

static void no_error_about_an_error_or_a_multicast(void **state)
{
    struct pg_tuple t = pg_make_tuple(PG_PROTO_UDP, CLIENT, 1000, "10.96.1.7", 80);
    struct pg_tuple group = pg_make_tuple(PG_PROTO_UDP, CLIENT, 1000, "224.0.0.251", 5353);
    struct pg_addr from = pg_make_addr(NODE1);
    uint8_t out[1280];
    struct pg_made m;
    struct pg_made error;

    (void)state;
    pg_make_first(&m, &t);
    pg_make_error(&error, 3, 3, &from, &m.p, 0);
    assert_int_equal(pg_icmp_error(&error.p, PG_ICMP_PORT_UNREACHABLE, &from, out, sizeof(out)), 0);
    pg_make_first(&m, &group);
    assert_int_equal(pg_icmp_error(&m.p, PG_ICMP_PORT_UNREACHABLE, &from, out, sizeof(out)), 0);
}

/* RFC 4443 3.4: an unknown transport is a parameter problem, and its place is told. */
static void unknown_transport_of_ipv6_is_pointed_at(void **state)
{
    static const struct {
        uint8_t options; /* of eight bytes, in front of it */
        uint8_t place;
    } rows[] = {{0, 6}, {1, 40}, {3, 56}};
    struct pg_addr from = pg_make_addr("2001:db8::1");
    uint8_t out[1280];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint8_t ip[88] = {0x60, [5] = 48, [6] = rows[i].options ? 60 : 50, [7] = 64, [8] = 0x20};
        struct pg_packet p = {.head = ip, .head_len = sizeof(ip), .len = sizeof(ip)};
        enum pg_drop drop;
        ip[24] = 0x20;
        ip[39] = 1;
        for (int k = 0; k < rows[i].options; k++)
            ip[40 + 8 * k] = k + 1 == rows[i].options ? 50 : 60;
        assert_true(pg_packet_parse(&p, &drop));
        assert_int_equal(p.proto, 50);
        assert_int_equal(pg_icmp_error(&p, PG_ICMP_PROTOCOL_UNREACHABLE, &from, out, sizeof(out)),
                         48 + 88);
        assert_int_equal(out[40] << 8 | out[41], 4 << 8 | 1);
        assert_int_equal(out[44] << 24 | out[45] << 16 | out[46] << 8 | out[47], rows[i].place);
    }
}

static void own_error_gathers_head_and_tail(void **state)
{
    struct pg_tuple t = pg_make_tuple(PG_PROTO_UDP, CLIENT, 1000, "10.96.1.7", 80);
    struct pg_addr from = pg_make_addr(NODE1);
    uint8_t whole[1280];
    uint8_t split[1280];
    struct pg_made m;

    (void)state;
    pg_make_udp(&m, &t, 300);
    uint32_t len = pg_icmp_error(&m.p, PG_ICMP_TIME_EXCEEDED, &from, whole, sizeof(whole));
    struct iovec tail[2] = {{m.bytes + 28, 100}, {m.bytes + 128, 200}};
    m.p.head_len = 28;
    m.p.tail = tail;
    m.p.tail_count = 2;
    assert_int_equal(pg_icmp_error(&m.p, PG_ICMP_TIME_EXCEEDED, &from, split, sizeof(split)), len);
    assert_memory_equal(whole, split, len);
}

static void echo_request_becomes_its_reply(void **state)
{
    static const struct {
        uint8_t proto;
        const char *src, *dst;
        uint16_t type;
    } rows[] = {{PG_PROTO_ICMP, CLIENT, NODE1, 8},
                {PG_PROTO_ICMP6, "2001:db8::7", "2001:db8::1", 128}};
    struct pg_made m;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct pg_tuple t = pg_make_tuple(rows[i].proto, rows[i].src, 99, rows[i].dst,
                                          (uint16_t)(rows[i].type << 8));
        pg_make_echo(&m, &t);
        struct pg_tuple reply = pg_tuple_invert(&t);
        assert_true(pg_icmp_echo_reply(&m.p));
        assert_true(pg_made_is_right(&m.p));
        assert_true(pg_tuple_equal(&m.p.tuple, &reply));
        assert_false(pg_icmp_echo_reply(&m.p)); /* a reply is not answered */
    }
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(error_of_the_endpoint_comes_from_the_service),
        WORLD_TEST(error_of_a_router_comes_from_the_service_too),
        WORLD_TEST(router_of_an_untranslated_flow_stays_itself),
        WORLD_TEST(router_behind_a_changed_port_is_hidden_too),
        WORLD_TEST(shortest_quote_is_enough),
        WORLD_TEST(error_about_a_reply_reaches_the_endpoint),
        WORLD_TEST(error_about_an_echo_finds_its_flow),
        WORLD_TEST(error_neither_makes_nor_refreshes_a_flow),
        WORLD_TEST(error_about_nothing_we_know_is_dropped),
        WORLD_TEST(error_to_somebody_else_is_dropped),
        WORLD_TEST(redirect_about_a_translated_flow_is_dropped),
        WORLD_TEST(other_icmp_is_not_supported),
        WORLD_TEST(own_error_about_a_half_translated_packet_is_put_back),
        WORLD_TEST(quotes_are_told),
        cmocka_unit_test(own_errors_quote_the_packet),
        cmocka_unit_test(no_error_about_an_error_or_a_multicast),
        cmocka_unit_test(unknown_transport_of_ipv6_is_pointed_at),
        cmocka_unit_test(own_error_gathers_head_and_tail),
        cmocka_unit_test(echo_request_becomes_its_reply),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
