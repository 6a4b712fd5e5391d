/* nat/conntrack_text.c: lines as conntrack-tools 1.4.7 printed them on Linux 6.18. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "packet_make.h"
#include "podglass/nat.h"

static struct pg_nat_flow_view connection(void)
{
    return (struct pg_nat_flow_view){
        .id = 3573268973,
        .orig = pg_make_tuple(PG_PROTO_TCP, "127.0.0.1", 59450, "127.0.0.1", 5555),
        .reply = pg_make_tuple(PG_PROTO_TCP, "127.0.0.1", 5555, "127.0.0.1", 59450),
        .state = PG_CT_TIME_WAIT,
        .seen_reply = true,
        .assured = true,
        .timeout_s = 118,
        .packets = {5, 3},
        .bytes = {271, 164}};
}

static void assert_text(struct pg_text *out, const char *wanted)
{
    assert_string_equal(out->at, wanted);
    pg_text_free(out);
}

static void extended_form_names_the_network_protocol(void **state)
{
    struct pg_nat_flow_view v = connection();
    struct pg_text out = {0};

    (void)state;
    pg_nat_print_conntrack(&v, PG_CONNTRACK_COUNTERS | PG_CONNTRACK_EXTENDED, &out);
    assert_text(&out, "ipv4     2 tcp      6 118 TIME_WAIT src=127.0.0.1 dst=127.0.0.1 sport=59450 "
                      "dport=5555 packets=5 bytes=271 "
                      "src=127.0.0.1 dst=127.0.0.1 sport=5555 dport=59450 packets=3 bytes=164 "
                      "[ASSURED] mark=0 use=1");
    v.orig.src = pg_make_addr("2001:db8::1");
    pg_nat_print_conntrack(&v, PG_CONNTRACK_EXTENDED, &out);
    assert_memory_equal(out.at, "ipv6     10 tcp      6 ", 23);
    pg_text_free(&out);
}

static void transports_without_ports_have_addresses_alone(void **state)
{
    struct pg_nat_flow_view v = {.orig = pg_make_tuple(50, "192.0.2.7", 0, "192.0.2.1", 0),
                                 .reply = pg_make_tuple(50, "192.0.2.1", 0, "192.0.2.7", 0),
                                 .timeout_s = 599,
                                 .packets = {1, 0},
                                 .bytes = {28, 0}};
    struct pg_text out = {0};

    (void)state;
    pg_nat_print_conntrack(&v, 0, &out);
    assert_text(&out, "unknown  50 599 src=192.0.2.7 dst=192.0.2.1 [UNREPLIED] src=192.0.2.1 "
                      "dst=192.0.2.7 mark=0 use=1");
    v.orig.proto = PG_PROTO_GRE;
    v.reply.proto = PG_PROTO_GRE;
    v.timeout_s = 29;
    pg_nat_print_conntrack(&v, PG_CONNTRACK_COUNTERS, &out);
    assert_text(&out, "gre      47 29 src=192.0.2.7 dst=192.0.2.1 srckey=0x0 dstkey=0x0 packets=1 "
                      "bytes=28 [UNREPLIED] src=192.0.2.1 dst=192.0.2.7 srckey=0x0 dstkey=0x0 "
                      "packets=0 bytes=0 mark=0 use=1");
}

static void xml_is_an_element_per_flow(void **state)
{
    static const char icmp6[] =
        "<flow><meta direction=\"original\"><layer3 protonum=\"10\" protoname=\"ipv6\">"
        "<src>2001:db8::1</src><dst>2001:db8::2</dst></layer3><layer4 protonum=\"58\" "
        "protoname=\"icmpv6\"></layer4></meta><meta direction=\"reply\">";
    struct pg_nat_flow_view v = connection();
    struct pg_text out = {0};

    (void)state;
    pg_nat_print_conntrack(&v, PG_CONNTRACK_COUNTERS | PG_CONNTRACK_XML, &out);
    assert_text(
        &out,
        "<flow><meta direction=\"original\"><layer3 protonum=\"2\" protoname=\"ipv4\">"
        "<src>127.0.0.1</src><dst>127.0.0.1</dst></layer3><layer4 protonum=\"6\" "
        "protoname=\"tcp\"><sport>59450</sport><dport>5555</dport></layer4><counters>"
        "<packets>5</packets><bytes>271</bytes></counters></meta><meta direction=\"reply\">"
        "<layer3 protonum=\"2\" protoname=\"ipv4\"><src>127.0.0.1</src><dst>127.0.0.1</dst>"
        "</layer3><layer4 protonum=\"6\" protoname=\"tcp\"><sport>5555</sport>"
        "<dport>59450</dport></layer4><counters><packets>3</packets><bytes>164</bytes></counters>"
        "</meta><meta direction=\"independent\"><state>TIME_WAIT</state><timeout>118</timeout>"
        "<mark>0</mark><use>1</use><id>3573268973</id><assured/></meta></flow>");
    v.orig = pg_make_tuple(PG_PROTO_ICMP6, "2001:db8::1", 77, "2001:db8::2", 128 << 8);
    v.seen_reply = false;
    pg_nat_print_conntrack(&v, PG_CONNTRACK_XML, &out);
    assert_memory_equal(out.at, icmp6, sizeof(icmp6) - 1);
    pg_text_free(&out);
}

static void id_form_ends_with_the_number(void **state)
{
    struct pg_nat_flow_view v = connection();
    struct pg_text out = {0};

    (void)state;
    pg_nat_print_conntrack(&v, PG_CONNTRACK_COUNTERS | PG_CONNTRACK_ID, &out);
    assert_text(&out, "tcp      6 118 TIME_WAIT src=127.0.0.1 dst=127.0.0.1 sport=59450 dport=5555 "
                      "packets=5 bytes=271 "
                      "src=127.0.0.1 dst=127.0.0.1 sport=5555 dport=59450 packets=3 bytes=164 "
                      "[ASSURED] mark=0 use=1 id=3573268973");
}

static void label_stands_at_the_right_of_nine_columns(void **state)
{
    struct pg_nat_event e = {.kind = PG_NAT_EVENT_NEW, .flow = connection()};
    struct pg_text out = {0};

    (void)state;
    e.flow.state = PG_CT_SYN_SENT;
    e.flow.timeout_s = 120;
    e.flow.seen_reply = false;
    e.flow.assured = false;
    pg_nat_print_event(&e, 0, &out);
    assert_text(&out, "    [NEW] tcp      6 120 SYN_SENT src=127.0.0.1 dst=127.0.0.1 sport=59450 "
                      "dport=5555 [UNREPLIED] "
                      "src=127.0.0.1 dst=127.0.0.1 sport=5555 dport=59450");
    e.kind = PG_NAT_EVENT_UPDATE;
    e.flow = connection();
    pg_nat_print_event(&e, PG_CONNTRACK_EXTENDED | PG_CONNTRACK_ID, &out);
    assert_text(&out, " [UPDATE] ipv4     2 tcp      6 118 TIME_WAIT src=127.0.0.1 dst=127.0.0.1 "
                      "sport=59450 dport=5555 "
                      "src=127.0.0.1 dst=127.0.0.1 sport=5555 dport=59450 [ASSURED] id=3573268973");
}

static void end_of_a_flow_has_its_counters(void **state)
{
    struct pg_nat_event e = {.kind = PG_NAT_EVENT_DESTROY, .flow = connection()};
    struct pg_text out = {0};

    (void)state;
    e.flow.timeout_s = 0; /* it ran out: nothing is left to say */
    pg_nat_print_event(&e, 0, &out);
    assert_text(&out,
                "[DESTROY] tcp      6 TIME_WAIT src=127.0.0.1 dst=127.0.0.1 sport=59450 dport=5555 "
                "packets=5 bytes=271 "
                "src=127.0.0.1 dst=127.0.0.1 sport=5555 dport=59450 packets=3 bytes=164 [ASSURED]");
}

static void statistics_have_all_of_the_kernels_names(void **state)
{
    struct pg_counters c = {0};
    struct pg_text out = {0};

    (void)state;
    c.value[PG_COUNT_CT_FOUND] = 7;
    c.value[PG_COUNT_CT_INSERT] = 2;
    c.value[PG_COUNT_CT_EARLY_DROP] = 5;
    c.value[PG_COUNT_CT_CLASH] = 6;
    c.drop[PG_DROP_INVALID] = 1;
    c.drop[PG_DROP_INSERT_FAILED] = 3;
    c.drop[PG_DROP_TABLE_FULL] = 4;
    c.drop[PG_DROP_ICMP_UNRELATED] = 8;
    pg_nat_print_statistics(&c, &out);
    assert_text(&out, "cpu=0   \tfound=7 invalid=1 insert=2 insert_failed=3 drop=4 early_drop=5 "
                      "error=8 search_restart=0 "
                      "clash_resolve=6 chaintoolong=0 ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extended_form_names_the_network_protocol),
        cmocka_unit_test(transports_without_ports_have_addresses_alone),
        cmocka_unit_test(xml_is_an_element_per_flow),
        cmocka_unit_test(id_form_ends_with_the_number),
        cmocka_unit_test(label_stands_at_the_right_of_nine_columns),
        cmocka_unit_test(end_of_a_flow_has_its_counters),
        cmocka_unit_test(statistics_have_all_of_the_kernels_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
