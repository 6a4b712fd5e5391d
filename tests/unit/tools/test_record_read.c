/* tools/record_read.c and tools/pcap_filter.c: records come back as they were written, and expressions find flows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/pcap_filter.h"
#include "podglass/record_read.h"

#include <errno.h>
#include <string.h>

static int forget(void **state)
{
    (void)state;
    pg_reason_forget_all();
    return 0;
}

static const char *name_all(void *arg, const struct pg_addr *a)
{
    (void)arg;
    return pg_addr_is_v4(a) ? "shop/web-0" : "";
}

/* Written, read, written again: the same line. */
static void assert_back(const struct pg_record *r)
{
    struct pg_text a = {0};
    struct pg_text b = {0};
    struct pg_json j;
    struct pg_record back;
    struct pg_name_list list = {0};
    struct pg_names all = {.of = name_all};

    pg_json_begin(&j, &a);
    pg_record_json_named(r, &all, &j);
    assert_int_equal(pg_record_read_line(a.at, a.len, &back, &list), PG_LINE_RECORD);
    struct pg_names names = pg_name_list_names(&list);

    pg_json_begin(&j, &b);
    pg_record_json_named(&back, &names, &j);
    assert_string_equal(a.at, b.at);
    assert_int_equal(back.reason, r->reason);
    pg_name_list_free(&list);
    pg_text_free(&a);
    pg_text_free(&b);
}

static struct pg_value v4(uint8_t last, uint16_t port)
{
    struct pg_addr a = pg_addr_v4(10, 0, 0, last);

    return pg_value_endpoint(&a, port);
}

static void records_come_back(void **state)
{
    struct pg_reason why = {.code = PG_CODE_MASQ_CLUSTER,
                            .object = "Service/edge/gateway",
                            .field = "spec.externalTrafficPolicy",
                            .value = "Cluster",
                            .defaulted = true,
                            .file = "a:b/edge.yaml",
                            .line = 14};
    struct pg_record r = {.seq = 5,
                          .time_us = 77,
                          .packet = 3,
                          .conntrack = 1041,
                          .label = 0xc7f1,
                          .node = 1,
                          .proto = PG_PROTO_TCP,
                          .kind = PG_RECORD_REWRITE,
                          .stage = PG_STAGE_NAT_POSTROUTING,
                          .field = PG_FIELD_SRC,
                          .before = v4(1, 80),
                          .after = v4(2, 0)};
    struct pg_addr six = {.bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}};

    (void)state;
    r.reason = pg_reason_intern(&why);
    assert_back(&r);
    r.before = pg_value_endpoint(&six, 443);
    r.after = pg_value_endpoint(&six, 0);
    r.direction = 1;
    assert_back(&r);
    r = (struct pg_record){.kind = PG_RECORD_REWRITE,
                           .stage = PG_STAGE_HTTP_REWRITE,
                           .field = PG_FIELD_HEADER,
                           .node = 0xffff,
                           .name = "X-\x01\"Y",
                           .before = pg_value_text("10.0.0.1", 8),
                           .after = pg_value_none()};
    assert_back(&r);
    r.kind = PG_RECORD_EVENT;
    r.field = PG_FIELD_NONE;
    r.before = pg_value_text("web.shop.svc.", 13);
    r.after = pg_value_text("NXDOMAIN", 8);
    assert_back(&r);
    r.kind = PG_RECORD_DROP;
    r.before = v4(1, 1);
    r.after = v4(2, 65535);
    assert_back(&r);
}

static void other_lines_are_told_apart(void **state)
{
    static const struct {
        const char *line;
        enum pg_line_kind kind;
    } rows[] = {
        {"{\"kind\":\"Missed\",\"count\":12}", PG_LINE_MISSED},
        {"{\"kind\":\"Clock\",\"timeUs\":5,\"unixUs\":12}", PG_LINE_CLOCK},
        {"{\"kind\":\"Service\"}", PG_LINE_OTHER},
        {"{}", PG_LINE_OTHER},
        {"", PG_LINE_BROKEN},
        {"[]", PG_LINE_BROKEN},
        {"{\"kind\":\"Rewrite\"", PG_LINE_BROKEN},
        {"{\"kind\":\"Rewrite\",\"before\":[1],\"after\":{},\"seq\":\"x\",\"reason\":7,\"name\":3}",
         PG_LINE_RECORD},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_record r;

        assert_int_equal(pg_record_read_line(rows[i].line, strlen(rows[i].line), &r, NULL),
                         rows[i].kind);
        if (rows[i].kind == PG_LINE_MISSED) {
            assert_int_equal(r.seq, 12);
        }
    }
}

/* 10.0.0.1:4000 to 10.0.0.9:80, which became 10.0.0.2:5000 to 10.0.0.3:8080. */
static void expressions_see_both_sides_of_a_flow(void **state)
{
    struct pg_record records[2] = {{.conntrack = 1,
                                    .proto = PG_PROTO_TCP,
                                    .field = PG_FIELD_DST,
                                    .before = v4(9, 80),
                                    .after = v4(3, 8080)},
                                   {.conntrack = 1,
                                    .proto = PG_PROTO_TCP,
                                    .field = PG_FIELD_SRC,
                                    .before = v4(1, 4000),
                                    .after = v4(2, 5000)}};
    struct pg_exchange x = {.label = 1, .records = records, .count = 2};
    static const struct {
        const char *expression;
        bool wanted;
    } rows[] = {
        {"", true},
        {"host 10.0.0.1", true},
        {"host 10.0.0.3 and tcp port 8080", true},
        {"src host 10.0.0.9", true},                /* the answer */
        {"host 10.0.0.1 and host 10.0.0.3", false}, /* no packet has both */
        {"udp", false},
        {"port 81", false},
        {"net 10.0.0.0/8 and not port 80", true}, /* behind NAT */
        {"ip6", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_pcap *f = NULL;
        struct pg_text why = {0};

        assert_int_equal(pg_pcap_compile(rows[i].expression, &f, &why), 0);
        assert_int_equal(pg_pcap_exchange(f, &x), rows[i].wanted);
        pg_pcap_free(f);
    }
}

static void a_wrong_expression_says_why(void **state)
{
    struct pg_pcap *f = NULL;
    struct pg_text why = {0};

    (void)state;
    assert_int_equal(pg_pcap_compile("hots 1", &f, &why), -EINVAL);
    assert_true(why.len > 0);
    assert_null(f);
    pg_text_free(&why);
}

static void programs_travel_and_bad_ones_do_not(void **state)
{
    static const char *const bad[] = {
        "0",
        "zz00000000000000",
        "0015000000000000", /* ends nowhere */
        "0005000000000001"
        "0006000000000000", /* jumps behind the end */
        "0034000000000000"
        "0006000000000000", /* divides by zero */
    };
    struct pg_pcap *f = NULL;
    struct pg_pcap *back = NULL;
    struct pg_text hex = {0};
    struct pg_text again = {0};
    uint8_t packet[40] = {0x45, [9] = 6, [12] = 10, [15] = 1};

    (void)state;
    assert_int_equal(pg_pcap_compile("tcp and host 10.0.0.1", &f, &again), 0);
    pg_pcap_print(f, &hex);
    assert_int_equal(pg_pcap_read(hex.at, &back), 0);
    pg_pcap_print(back, &again);
    assert_string_equal(hex.at, again.at);
    assert_true(pg_pcap_packet(back, packet, sizeof packet, sizeof packet));
    packet[15] = 2;
    assert_false(pg_pcap_packet(back, packet, sizeof packet, sizeof packet));
    assert_false(pg_pcap_packet(back, packet, 8, 8)); /* reads nothing behind the end */
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct pg_pcap *none = NULL;

        assert_int_equal(pg_pcap_read(bad[i], &none), -EINVAL);
        assert_null(none);
    }
    pg_pcap_free(f);
    pg_pcap_free(back);
    pg_text_free(&hex);
    pg_text_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(records_come_back, forget),
        cmocka_unit_test_teardown(other_lines_are_told_apart, forget),
        cmocka_unit_test(expressions_see_both_sides_of_a_flow),
        cmocka_unit_test(a_wrong_expression_says_why),
        cmocka_unit_test(programs_travel_and_bad_ones_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
