/* dns/server.c: what a message as a whole is worth: errors, EDNS, sizes, and what is reported about
 * it. */
#include "dns_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct dns_fixture shop;
static const char web[] = "web.shop.svc.cluster.local";
#define WEB_ANSWER   "answer web.shop.svc.cluster.local. 30 A 10.96.12.40\n"
#define QUESTION_LEN (27 + 1 + 4)

static int load_shop(void **state)
{
    shop = dns_fixture_shop();
    return 0;
}

static int free_shop(void **state)
{
    dns_fixture_free(&shop);
    return 0;
}

static void expect(struct dns_question ask, const char *response)
{
    struct pg_text got = dns_ask_full(shop.zone, ask, NULL, NULL);

    assert_string_equal(got.at ? got.at : "", response);
    pg_text_free(&got);
}

static void id_and_question_come_back_as_sent(void **state)
{
    uint8_t query[512];
    uint8_t out[512];
    struct dns_question ask = {.name = "wEb.shop.SVC.cluster.local", .type = PG_DNS_A};
    uint32_t len = dns_query_build(&ask, query);

    query[3] |= 0x10; /* CD */
    assert_int_equal(pg_dns_answer(shop.zone, query, len, false, 0, out, sizeof(out), NULL),
                     len + 16);
    assert_int_equal(dns_get16(out), 0x4711);
    assert_memory_equal(out + PG_DNS_HEADER, query + PG_DNS_HEADER, len - PG_DNS_HEADER);
    assert_int_equal(out[2], 0x85); /* QR AA RD */
    assert_int_equal(out[3], 0x10); /* CD, not RA: nobody recurses here */
    assert_int_equal(dns_get16(out + len), 0xc00c);
}

static void response_is_not_answered(void **state)
{
    uint8_t query[512];
    uint8_t out[512];
    struct dns_question ask = {.name = web, .type = PG_DNS_A};
    uint32_t len = dns_query_build(&ask, query);

    query[2] |= 0x80;
    assert_int_equal(pg_dns_answer(shop.zone, query, len, false, 0, out, sizeof(out), NULL), 0);
}

static void what_is_shorter_than_a_header_is_not_answered(void **state)
{
    uint8_t query[512];
    uint8_t out[512];
    struct dns_question ask = {.name = web, .type = PG_DNS_A};

    (void)dns_query_build(&ask, query);
    for (uint32_t len = 0; len < PG_DNS_HEADER; len++) {
        assert_int_equal(pg_dns_answer(shop.zone, query, len, true, 0, out, sizeof(out), NULL), 0);
    }
}

static void every_cut_of_a_query_is_a_format_error(void **state)
{
    uint8_t query[512];
    uint8_t out[512];
    struct dns_question ask = {.name = web, .type = PG_DNS_A, .edns_size = 1232};
    uint32_t whole = dns_query_build(&ask, query);

    for (uint32_t len = PG_DNS_HEADER; len < whole; len++) {
        uint8_t *cut = malloc(len);

        assert_non_null(cut);
        memcpy(cut, query, len);
        uint32_t n = pg_dns_answer(shop.zone, cut, len, false, 0, out, sizeof(out), NULL);

        assert_true(n >= PG_DNS_HEADER);
        assert_int_equal(out[3] & 15, PG_DNS_FORMERR);
        free(cut);
    }
}

static void names_outside_all_zones_are_refused(void **state)
{
    expect((struct dns_question){.name = "example.org", .type = PG_DNS_A}, "REFUSED\n");
    expect((struct dns_question){.name = "local", .type = PG_DNS_A}, "REFUSED\n");
    expect((struct dns_question){.name = ".", .type = PG_DNS_NS}, "REFUSED\n");
    expect((struct dns_question){.name = "xcluster.local", .type = PG_DNS_A}, "REFUSED\n");
    expect((struct dns_question){.name = "arpa", .type = PG_DNS_A}, "REFUSED\n");
}

static void transfers_and_other_classes_are_refused(void **state)
{
    expect((struct dns_question){.name = "cluster.local", .type = PG_DNS_AXFR}, "REFUSED\n");
    expect((struct dns_question){.name = "cluster.local", .type = PG_DNS_IXFR}, "REFUSED\n");
    expect((struct dns_question){.name = web, .type = PG_DNS_A, .class = 3}, "REFUSED\n");
    expect((struct dns_question){.name = web, .type = PG_DNS_A, .class = 255}, "REFUSED\n");
}

static void no_question_is_a_server_failure(void **state)
{
    expect((struct dns_question){.name = NULL}, "SERVFAIL\n");
}

static void other_opcodes_are_not_implemented(void **state)
{
    for (uint8_t opcode = 1; opcode < 16; opcode++) {
        expect((struct dns_question){.name = web, .type = PG_DNS_A, .opcode = opcode}, "NOTIMP\n");
    }
}

static void two_questions_are_a_format_error(void **state)
{
    uint8_t query[512];
    uint8_t out[512];
    struct dns_question ask = {.name = web, .type = PG_DNS_A};
    uint32_t len = dns_query_build(&ask, query);

    query[5] = 2;
    memcpy(query + len, query + PG_DNS_HEADER, len - PG_DNS_HEADER);
    assert_int_equal(
        pg_dns_answer(shop.zone, query, 2 * len - PG_DNS_HEADER, false, 0, out, sizeof(out), NULL),
        PG_DNS_HEADER);
    assert_int_equal(out[3] & 15, PG_DNS_FORMERR);
}

static void pointers_in_the_question_are_a_format_error(void **state)
{
    /* to itself, into the header, beyond the message */
    static const uint16_t pointers[] = {0xc00c, 0xc000, 0xc00d, 0xc0ff, 0xffff};
    uint8_t out[512];

    for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
        uint8_t query[18] = {0x47, 0x11, 1, 0, 0, 1};

        dns_put16(query + 12, pointers[i]);
        query[15] = 1;
        query[17] = 1;
        assert_int_equal(
            pg_dns_answer(shop.zone, query, sizeof(query), false, 0, out, sizeof(out), NULL),
            PG_DNS_HEADER);
        assert_int_equal(out[3] & 15, PG_DNS_FORMERR);
    }
}

static void edns_is_answered_with_edns(void **state)
{
    struct dns_question ask = {.name = web, .type = PG_DNS_A, .edns_size = 4096};

    expect(ask, "NOERROR aa\n" WEB_ANSWER "opt 1232 ttl 00000000\n");
    ask.dnssec_ok = true;
    expect(ask, "NOERROR aa\n" WEB_ANSWER "opt 1232 ttl 00008000\n");
    ask.name = "example.org";
    expect(ask, "REFUSED\nopt 1232 ttl 00008000\n");
}

static void other_edns_version_is_bad_version(void **state)
{
    struct pg_dns_answer about;
    struct dns_question ask = {.name = web, .type = PG_DNS_A, .edns_size = 1232, .edns_version = 1};
    struct pg_text got = dns_ask_full(shop.zone, ask, &about, NULL);

    assert_string_equal(got.at, "NOERROR\nopt 1232 ttl 01000000\n"); /* 16 = 1 << 4 | 0 */
    assert_int_equal(about.rcode, 16);
    pg_text_free(&got);
}

static void two_opt_records_are_a_format_error(void **state)
{
    uint8_t query[512];
    uint8_t out[512];
    struct dns_question ask = {.name = web, .type = PG_DNS_A, .edns_size = 1232};
    uint32_t len = dns_query_build(&ask, query);

    memcpy(query + len, query + len - 11, 11);
    query[11] = 2;
    assert_true(pg_dns_answer(shop.zone, query, len + 11, false, 0, out, sizeof(out), NULL) > 0);
    assert_int_equal(out[3] & 15, PG_DNS_FORMERR);
}

/* A headless service with `count` ready endpoints that have hostnames, in fifty slices at most. */
static struct dns_fixture load_big(uint32_t count)
{
    struct pg_text text = {0};

    pg_text_puts(&text,
                 "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: big}\n"
                 "spec: {clusterIP: None, ports: [{name: p, port: 1}]}\n"
                 "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
                 "metadata: {namespace: shop, name: big-1, labels: "
                 "{kubernetes.io/service-name: big}}\naddressType: IPv4\n"
                 "ports: [{name: p, port: 1}]\nendpoints:\n");
    for (uint32_t i = 0; i < count; i++) {
        pg_text_printf(&text, "- {addresses: [10.244.%u.%u], hostname: b-%u}\n", 1 + i / 250,
                       1 + i % 250, i);
    }
    struct dns_fixture f = dns_fixture_load(dns_fixture_lab, dns_fixture_services, text.at);

    pg_text_free(&text);
    return f;
}

static void free_big(struct dns_fixture *f)
{
    pg_zone_free(f->zone);
    pg_snapshot_put(f->snapshot);
}

static void answer_is_cut_at_a_record_and_says_so(void **state)
{
    struct dns_fixture f = load_big(5000);
    struct pg_dns_answer about;
    /* size asked for, over TCP, room; most that may come, records of 16 bytes that fit */
    static const struct {
        uint16_t edns;
        bool over_tcp;
        uint32_t room;
        uint32_t limit;
        uint16_t records;
        bool truncated;
    } rows[] = {
        {0, false, 0, 512, (512 - 44) / 16, true},
        {100, false, 0, 512, (512 - 55) / 16, true},
        {1232, false, 0, 1232, (1232 - 55) / 16, true},
        {4096, false, 0, 4096, (4096 - 55) / 16, true},
        {4096, false, 1400, 1400, (1400 - 55) / 16, true},
        {0, true, 0, 65535, (65535 - 44) / 16, true},
        {0, true, 2000, 2000, (2000 - 44) / 16, true},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint32_t len;
        struct dns_question ask = {.name = "big.shop.svc.cluster.local",
                                   .type = PG_DNS_A,
                                   .edns_size = rows[i].edns,
                                   .over_tcp = rows[i].over_tcp,
                                   .room = rows[i].room};
        struct pg_text got = dns_ask_full(f.zone, ask, &about, &len);

        assert_true(len <= rows[i].limit);
        assert_int_equal(about.truncated, rows[i].truncated);
        assert_int_equal(about.answers, rows[i].records);
        assert_memory_equal(got.at, "NOERROR aa tc\n", 14);
        pg_text_free(&got);
    }
    free_big(&f);
}

static void more_addresses_than_fit_are_offered_in_turn(void **state)
{
    struct dns_fixture f = load_big(5000);
    uint32_t seen[5000] = {0};
    uint32_t missed = 0;
    uint8_t query[512];
    static uint8_t out[65535];
    struct dns_question ask = {.name = "big.shop.svc.cluster.local", .type = PG_DNS_A};
    uint32_t len = dns_query_build(&ask, query);

    for (uint64_t draw = 0; draw < 40; draw++) {
        uint32_t n = pg_dns_answer(f.zone, query, len, true, draw, out, sizeof(out), NULL);

        for (uint32_t at = len; at + 16 <= n; at += 16) {
            uint32_t i = (out[at + 14] - 1u) * 250 + out[at + 15] - 1u;

            assert_true(i < 5000);
            seen[i]++;
            assert_true(seen[i] <= draw + 1); /* none twice in one answer */
        }
    }
    for (int i = 0; i < 5000; i++) {
        missed += seen[i] == 0;
    }
    assert_int_equal(missed, 0);
    free_big(&f);
}

static void large_srv_answers_are_whole_and_compressed(void **state)
{
    struct dns_fixture f = load_big(300);
    struct pg_dns_answer about;
    uint32_t len;
    struct dns_question ask = {
        .name = "_p._tcp.big.shop.svc.cluster.local", .type = PG_DNS_SRV, .over_tcp = true};
    struct pg_text got = dns_ask_full(f.zone, ask, &about, &len);

    assert_int_equal(about.answers, 300);
    assert_false(about.truncated);
    /* a target in full is 33 bytes or so, its second use two; but the table of names is small */
    assert_true(len < 300 * (12 + 6 + 34 + 12 + 4 + 12));
    assert_non_null(strstr(got.at, "30 SRV 0 1 1 b-299.big.shop.svc.cluster.local."));
    assert_non_null(strstr(got.at, "more b-299.big.shop.svc.cluster.local. 30 A 10.244.2.50\n"));
    pg_text_free(&got);

    /* Additional records that do not fit are left out in silence. */
    ask.over_tcp = false;
    ask.edns_size = 15700;
    got = dns_ask_full(f.zone, ask, &about, &len);
    assert_int_equal(about.answers, 300);
    assert_false(about.truncated);
    assert_true(len > 15000);
    pg_text_free(&got);
    free_big(&f);
}

static void what_was_asked_is_reported(void **state)
{
    struct pg_dns_answer about;
    struct pg_addr address = pg_addr_v4(10, 96, 12, 40);
    struct dns_question ask = {.name = "WEB.shop.svc.cluster.local", .type = PG_DNS_A};
    struct pg_text got = dns_ask_full(shop.zone, ask, &about, NULL);
    const struct pg_reason *reason = pg_reason_get(about.reason);

    assert_string_equal(about.name, "WEB.shop.svc.cluster.local.");
    assert_int_equal(about.type, PG_DNS_A);
    assert_int_equal(about.rcode, 0);
    assert_int_equal(about.answers, 1);
    assert_int_equal(about.status, PG_DNS_OK);
    assert_true(pg_addr_equal(&about.first, &address));
    assert_int_equal(reason->code, PG_CODE_DNS_ANSWER);
    assert_string_equal(reason->object, "Service/shop/web");
    assert_string_equal(reason->file, "cluster.yaml");
    assert_true(reason->line > 0);
    pg_text_free(&got);
}

static void reason_says_which_object_answered(void **state)
{
    static const struct {
        const char *name;
        uint16_t type;
        enum pg_dns_status status;
        enum pg_code code;
        const char *object;
    } rows[] = {
        {"web.shop.svc.cluster.local", PG_DNS_AAAA, PG_DNS_NODATA, PG_CODE_DNS_NODATA,
         "Service/shop/web"},
        {"db-0.db.shop.svc.cluster.local", PG_DNS_A, PG_DNS_OK, PG_CODE_DNS_ANSWER,
         "Service/shop/db"},
        {"_sql._tcp.db.shop.svc.cluster.local", PG_DNS_SRV, PG_DNS_OK, PG_CODE_DNS_ANSWER,
         "Service/shop/db"},
        {"7.1.244.10.in-addr.arpa", PG_DNS_PTR, PG_DNS_OK, PG_CODE_DNS_ANSWER, "Service/shop/web"},
        {"40.12.96.10.in-addr.arpa", PG_DNS_PTR, PG_DNS_OK, PG_CODE_DNS_ANSWER, "Service/shop/web"},
        {"shop.example.test", PG_DNS_A, PG_DNS_OK, PG_CODE_DNS_ANSWER, "Ingress/shop/shop"},
        {"ext.shop.svc.cluster.local", PG_DNS_A, PG_DNS_OK, PG_CODE_DNS_ANSWER, "Service/shop/web"},
        {"outside.shop.svc.cluster.local", PG_DNS_A, PG_DNS_OK, PG_CODE_DNS_ANSWER,
         "Service/shop/outside"},
        {"nowhere.shop.svc.cluster.local", PG_DNS_A, PG_DNS_NXDOMAIN, PG_CODE_DNS_NXDOMAIN, ""},
        {"svc.cluster.local", PG_DNS_A, PG_DNS_NODATA, PG_CODE_DNS_NODATA, ""},
        {"example.org", PG_DNS_A, PG_DNS_REFUSED, PG_CODE_NONE, ""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_dns_answer about;
        struct dns_question ask = {.name = rows[i].name, .type = rows[i].type};
        struct pg_text got = dns_ask_full(shop.zone, ask, &about, NULL);

        assert_int_equal(about.status, rows[i].status);
        assert_int_equal(pg_reason_get(about.reason)->code, rows[i].code);
        assert_string_equal(pg_reason_get(about.reason)->object, rows[i].object);
        pg_text_free(&got);
    }
}

static void too_little_room_is_no_response(void **state)
{
    struct dns_question ask = {.name = web, .type = PG_DNS_A, .room = 511};

    expect(ask, "");
    ask.room = 512;
    expect(ask, "NOERROR aa\n" WEB_ANSWER);
}

static void types_and_statuses_have_names(void **state)
{
    char out[12];

    assert_string_equal(pg_dns_type_name(1, out), "A");
    assert_string_equal(pg_dns_type_name(28, out), "AAAA");
    assert_string_equal(pg_dns_type_name(65, out), "HTTPS");
    assert_string_equal(pg_dns_type_name(65535, out), "TYPE65535");
    assert_string_equal(pg_dns_status_name(PG_DNS_OK), "NOERROR");
    assert_string_equal(pg_dns_status_name(PG_DNS_NODATA), "NODATA");
    assert_string_equal(pg_dns_status_name(PG_DNS_STATUS_COUNT), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(id_and_question_come_back_as_sent),
        cmocka_unit_test(response_is_not_answered),
        cmocka_unit_test(what_is_shorter_than_a_header_is_not_answered),
        cmocka_unit_test(every_cut_of_a_query_is_a_format_error),
        cmocka_unit_test(names_outside_all_zones_are_refused),
        cmocka_unit_test(transfers_and_other_classes_are_refused),
        cmocka_unit_test(no_question_is_a_server_failure),
        cmocka_unit_test(other_opcodes_are_not_implemented),
        cmocka_unit_test(two_questions_are_a_format_error),
        cmocka_unit_test(pointers_in_the_question_are_a_format_error),
        cmocka_unit_test(edns_is_answered_with_edns),
        cmocka_unit_test(other_edns_version_is_bad_version),
        cmocka_unit_test(two_opt_records_are_a_format_error),
        cmocka_unit_test(answer_is_cut_at_a_record_and_says_so),
        cmocka_unit_test(more_addresses_than_fit_are_offered_in_turn),
        cmocka_unit_test(large_srv_answers_are_whole_and_compressed),
        cmocka_unit_test(what_was_asked_is_reported),
        cmocka_unit_test(reason_says_which_object_answered),
        cmocka_unit_test(too_little_room_is_no_response),
        cmocka_unit_test(types_and_statuses_have_names),
    };
    return cmocka_run_group_tests(tests, load_shop, free_shop);
}
