/* nat/dump.c: the conntrack line byte for byte, and the translations as `get nat` shows them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

#include <string.h>

static void assert_line(const struct pg_nat_flow_view *v, bool accounting, const char *wanted)
{
    struct pg_text out = {0};

    pg_nat_print_conntrack(v, accounting ? PG_CONNTRACK_COUNTERS : 0, &out);
    assert_string_equal(out.at, wanted);
    pg_text_free(&out);
}

static void tcp_line_is_as_conntrack_prints_it(void **state)
{
    struct pg_nat_flow_view v = {
        .orig = pg_make_tuple(PG_PROTO_TCP, "203.0.113.10", 41002, "192.0.2.11", 30011),
        .reply = pg_make_tuple(PG_PROTO_TCP, "10.244.1.2", 8080, "10.244.1.1", 52777),
        .state = PG_CT_ESTABLISHED,
        .seen_reply = true,
        .assured = true,
        .timeout_s = 431998,
        .packets = {3, 2},
        .bytes = {164, 160}};

    (void)state;
    assert_line(&v, true,
                "tcp      6 431998 ESTABLISHED src=203.0.113.10 dst=192.0.2.11 sport=41002 "
                "dport=30011 packets=3 bytes=164 "
                "src=10.244.1.2 dst=10.244.1.1 sport=8080 dport=52777 packets=2 bytes=160 "
                "[ASSURED] mark=0 use=1");
    assert_line(
        &v, false,
        "tcp      6 431998 ESTABLISHED src=203.0.113.10 dst=192.0.2.11 sport=41002 dport=30011 "
        "src=10.244.1.2 dst=10.244.1.1 sport=8080 dport=52777 [ASSURED] mark=0 use=1");
}

static void udp_line_says_unreplied_between_the_tuples(void **state)
{
    struct pg_nat_flow_view v = {
        .orig = pg_make_tuple(PG_PROTO_UDP, "10.244.1.3", 41005, "10.244.2.250", 9999),
        .reply = pg_make_tuple(PG_PROTO_UDP, "10.244.2.250", 9999, "10.244.1.3", 41005),
        .timeout_s = 28,
        .packets = {1, 0},
        .bytes = {29, 0}};

    (void)state;
    assert_line(
        &v, true,
        "udp      17 28 src=10.244.1.3 dst=10.244.2.250 sport=41005 dport=9999 packets=1 bytes=29 "
        "[UNREPLIED] "
        "src=10.244.2.250 dst=10.244.1.3 sport=9999 dport=41005 packets=0 bytes=0 mark=0 use=1");
}

static void icmp_line_has_type_code_and_id(void **state)
{
    struct pg_nat_flow_view v = {
        .orig = pg_make_tuple(PG_PROTO_ICMP, "10.244.1.3", 5439, "10.244.2.2", 8 << 8),
        .reply = pg_make_tuple(PG_PROTO_ICMP, "10.244.2.2", 5439, "10.244.1.3", 0),
        .seen_reply = true,
        .timeout_s = 28};

    (void)state;
    assert_line(&v, false,
                "icmp     1 28 src=10.244.1.3 dst=10.244.2.2 type=8 code=0 id=5439 "
                "src=10.244.2.2 dst=10.244.1.3 type=0 code=0 id=5439 mark=0 use=1");
}

struct search {
    const char *hook, *kind;
    struct pg_addr before, after;
    uint16_t before_port;
    unsigned found;
    struct pg_nat_rule_view last;
};

static void match_rule(void *arg, const struct pg_nat_rule_view *r)
{
    struct search *s = arg;

    if (strcmp(r->hook, s->hook) != 0 || strcmp(r->kind, s->kind) != 0 ||
        !pg_addr_equal(&r->before, &s->before) || !pg_addr_equal(&r->after, &s->after) ||
        r->before_port != s->before_port)
        return;
    s->found++;
    s->last = *r;
}

static struct search find_rule(struct pg_world *w, const char *hook, const char *kind,
                               const char *before, uint16_t port, const char *after)
{
    struct search s = {
        .hook = hook, .kind = kind, .before_port = port, .after = pg_make_addr(after)};

    if (before)
        s.before = pg_make_addr(before);
    pg_nat_walk_rules(w->nat, match_rule, &s);
    return s;
}

static void rules_show_each_translation_with_its_use(void **state)
{
    struct pg_world w;
    struct pg_made m;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 40000, "203.0.113.1", 80);
    struct pg_tuple hairpin = pg_make_tuple(PG_PROTO_TCP, P1, 40000, "10.96.1.1", 80);

    (void)state;
    pg_world_open(&w, NULL);
    pg_make_first(&m, &t);
    m.p.entry_node = 0;
    assert_int_equal(pg_world_send(&w, &m), PG_NAT_ACCEPT);
    assert_int_equal(pg_world_first(&w, &m, &hairpin), PG_NAT_ACCEPT);

    struct search s = find_rule(&w, "front", "dnat", "203.0.113.1", 80, P1);
    assert_int_equal(s.found, 1);
    assert_int_equal(s.last.active, 1);
    assert_int_equal(s.last.hits, 1);
    assert_int_equal(s.last.endpoint_number, 1);
    assert_int_equal(s.last.endpoint_count, 1);
    assert_int_equal(pg_reason_get(s.last.reason)->code, PG_CODE_DNAT_LOAD_BALANCER);
    s = find_rule(&w, "front", "dnat", NULL, 30001, P1);
    assert_int_equal(s.found, 1);
    assert_int_equal(s.last.hits, 0);
    s = find_rule(&w, "service", "dnat", "10.96.1.10", 80, P2);
    assert_int_equal(s.found, 1);
    assert_int_equal(s.last.endpoint_number, 2);
    assert_int_equal(s.last.endpoint_count, 2);
    s = find_rule(&w, "service", "snat", P1, 0, GW1);
    assert_true(s.found > 1); /* one per service that has p1 */
    s = find_rule(&w, "front", "snat", NULL, 0, GW1);
    assert_true(s.found > 1);
    pg_world_close(&w);
}

static void sum_hits(void *arg, const struct pg_nat_rule_view *r)
{
    uint64_t *sums = arg;

    sums[strcmp(r->kind, "snat") == 0] += r->hits;
    sums[2] += r->active;
}

static void masquerades_are_counted_once(void **state)
{
    struct pg_world w;
    uint64_t sums[3] = {0};

    (void)state;
    pg_world_open(&w, NULL);
    for (uint16_t port = 1000; port < 1100; port++) {
        struct pg_made m;
        struct pg_tuple t =
            pg_make_tuple(PG_PROTO_TCP, CLIENT, port, port & 1 ? NODE1 : NODE2, 30000 + SVC_TWO);
        assert_int_equal(pg_world_first(&w, &m, &t), PG_NAT_ACCEPT);
    }
    pg_nat_walk_rules(w.nat, sum_hits, sums);
    assert_int_equal(sums[0], 100);
    assert_int_equal(sums[1], 100);
    assert_int_equal(sums[2], 200);
    pg_world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tcp_line_is_as_conntrack_prints_it),
        cmocka_unit_test(udp_line_says_unreplied_between_the_tuples),
        cmocka_unit_test(icmp_line_has_type_code_and_id),
        cmocka_unit_test(rules_show_each_translation_with_its_use),
        cmocka_unit_test(masquerades_are_counted_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
