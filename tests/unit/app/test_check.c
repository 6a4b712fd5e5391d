/* What is judged of a case, given what became of it; and that texts of strangers stay texts in every form of output. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "check_internal.h"

#include <jansson.h>
#include <stdlib.h>

#include <errno.h>
#include <string.h>

static struct pg_check_run run;
static struct pg_check_result result;
static struct pg_check_case check;

static struct pg_addr addr(const char *text)
{
    struct pg_addr a;
    assert_int_equal(pg_addr_parse(text, strlen(text), &a), 0);
    return a;
}

static struct pg_check_want want(const char *value)
{
    return (struct pg_check_want){value, {"checks.yaml", 9}};
}

static int setup(void **state)
{
    memset(&run, 0, sizeof run);
    memset(&result, 0, sizeof result);
    memset(&check, 0, sizeof check);
    check.name = "case";
    check.source = (struct pg_source){"checks.yaml", 4};
    check.request.url_source = check.source;
    run.check = &check;
    return 0;
}

static int teardown(void **state)
{
    pg_check_result_clear(&result);
    pg_check_run_clear(&run);
    pg_reason_forget_all();
    return 0;
}

/* A pod that answered; client 198.51.100.7. */
static void pod_says(const char *peer, const char *xff, const char *xri)
{
    run.status = 200;
    run.from = addr("198.51.100.7");
    json_t *said = json_pack("{s:s, s:s, s:i, s:s, s:[[s,s],[s,s]]}", "peer", peer, "address",
                             "10.244.1.7", "port", 8080, "pod", "shop/web-0", "headers",
                             "X-Forwarded-For", xff, "X-Real-IP", xri);
    char *body = json_dumps(said, 0);
    assert_true(pg_account_take(pg_slice_of(body), (struct pg_slice){0}, &run.from, &run.account));
    free(body);
    json_decref(said);
    pg_text_puts(&run.endpoint, "10.244.1.7:8080");
    pg_text_puts(&run.service, "shop/web");
}

static void add_record(enum pg_record_kind kind, enum pg_stage stage, enum pg_field field,
                       enum pg_code code, const char *name)
{
    struct pg_record *r = &run.hops.records[run.hops.count++];
    struct pg_reason why = {
        .code = code, .object = "Service/edge/gateway", .file = "edge.yaml", .line = 14};
    *r = (struct pg_record){.seq = run.hops.count,
                            .kind = (uint8_t)kind,
                            .stage = (uint8_t)stage,
                            .field = (uint8_t)field,
                            .conntrack = 1,
                            .reason = pg_reason_intern(&why)};
    strncpy(r->name, name, sizeof r->name - 1);
}

static void assert_fault(uint32_t i, const char *what, const char *wanted, const char *got,
                         enum pg_code code)
{
    assert_true(i < result.fault_count);
    assert_string_equal(result.faults[i].what, what);
    assert_string_equal(result.faults[i].want.at, wanted);
    assert_string_equal(result.faults[i].got.at, got);
    assert_int_equal(pg_reason_get(result.faults[i].reason)->code, code);
}

static void what_is_as_expected_is_no_fault(void **state)
{
    static const struct pg_check_pair headers[] = {{"x-real-ip", "198.51.100.7", {"", 0}},
                                                   {"X-FORWARDED-FOR", "198.*", {"", 0}},
                                                   {"Forwarded", NULL, {"", 0}}};
    static const struct pg_check_pair readers[] = {{"xff-left", "198.51.100.7", {"", 0}},
                                                   {"xff-right=2", NULL, {"", 0}},
                                                   {"peer", "10.244.1.2", {"", 0}}};
    static const struct pg_check_pair drops[] = {{"martian", "", {"", 0}}, {"short", "0", {"", 0}}};
    pod_says("10.244.1.2", "198.51.100.7", "198.51.100.7");
    run.drops[PG_DROP_MARTIAN] = 3;
    check.expect = (struct pg_check_expect){.status = want("200"),
                                            .service = want("shop/web"),
                                            .endpoint = want("10.244.1.7"),
                                            .peer = want("10.244.1.?"),
                                            .verdict = want("carried"),
                                            .not_verdict = want("forged"),
                                            .client = want("198.51.100.7"),
                                            .by = want("x-real-ip"),
                                            .headers = headers,
                                            .header_count = 3,
                                            .readers = readers,
                                            .reader_count = 3,
                                            .drops = drops,
                                            .drop_count = 2};
    pg_check_judge(&run, &result);
    assert_int_equal(result.fault_count, 0);
}

static void a_lost_client_is_blamed_on_who_replaced_the_source(void **state)
{
    static const struct pg_check_pair headers[] = {{"X-Real-IP", "198.51.100.7", {"c.yaml", 3}}};
    pod_says("10.244.1.2", "10.244.1.1", "10.244.1.1");
    add_record(PG_RECORD_REWRITE, PG_STAGE_NAT_PREROUTING, PG_FIELD_DST, PG_CODE_DNAT_LOAD_BALANCER,
               "");
    add_record(PG_RECORD_REWRITE, PG_STAGE_NAT_POSTROUTING, PG_FIELD_SRC, PG_CODE_MASQ_CLUSTER, "");
    add_record(PG_RECORD_REWRITE, PG_STAGE_HTTP_REWRITE, PG_FIELD_HEADER, PG_CODE_XFF_PEER,
               "X-Real-IP");
    check.expect = (struct pg_check_expect){.verdict = want("carried"),
                                            .client = want("198.51.100.7"),
                                            .by = want("x-real-ip"),
                                            .headers = headers,
                                            .header_count = 1};
    pg_check_judge(&run, &result);
    /* address and by would say the same again */
    assert_int_equal(result.fault_count, 2);
    assert_fault(0, "client.verdict", "carried", "lost", PG_CODE_MASQ_CLUSTER);
    assert_int_equal(result.faults[0].hop, 1);
    assert_int_equal(result.faults[0].source.line, 9);
    assert_fault(1, "header.X-Real-IP", "198.51.100.7", "10.244.1.1", PG_CODE_MASQ_CLUSTER);
}

static void an_address_nobody_carries_shows_what_there_is(void **state)
{
    pod_says("10.244.1.2", "192.0.2.1", "10.244.1.1");
    check.expect = (struct pg_check_expect){.client = want("198.51.100.7"), .by = want("peer")};
    pg_check_judge(&run, &result);
    assert_int_equal(result.fault_count, 2);
    assert_fault(0, "client.address", "198.51.100.7",
                 "peer 10.244.1.2, x-forwarded-for 192.0.2.1, x-real-ip 10.244.1.1", PG_CODE_NONE);
    assert_fault(1, "client.by", "peer", "nothing", PG_CODE_NONE);
}

static void without_a_pod_every_question_about_it_fails(void **state)
{
    static const struct pg_check_pair headers[] = {{"X-Real-IP", NULL, {"", 0}}};
    static const struct pg_check_pair readers[] = {{"xff-left", NULL, {"", 0}}};
    run.status = 503;
    add_record(PG_RECORD_EVENT, PG_STAGE_UPSTREAM, PG_FIELD_NONE, PG_CODE_NO_ENDPOINT_HTTP,
               "no-endpoint");
    check.expect = (struct pg_check_expect){.status = want("200"),
                                            .endpoint = want("shop/web-0"),
                                            .peer = want("*"),
                                            .not_verdict = want("forged"),
                                            .headers = headers,
                                            .header_count = 1,
                                            .readers = readers,
                                            .reader_count = 1};
    pg_check_judge(&run, &result);
    assert_int_equal(result.fault_count, 5); /* "*" matches whatever there is */
    assert_fault(0, "status", "200", "503", PG_CODE_NO_ENDPOINT_HTTP);
    assert_fault(1, "endpoint", "shop/web-0", "no pod answered (503)", PG_CODE_NO_ENDPOINT_HTTP);
    assert_fault(2, "client.not", "forged", "no pod answered (503)", PG_CODE_NO_ENDPOINT_HTTP);
    assert_fault(3, "header.X-Real-IP", "absent", "no pod answered (503)",
                 PG_CODE_NO_ENDPOINT_HTTP);
    assert_fault(4, "reader.xff-left", "nothing", "no pod answered (503)",
                 PG_CODE_NO_ENDPOINT_HTTP);
}

static void errors_and_drops_are_counted(void **state)
{
    static const struct pg_check_pair drops[] = {{"source-range", "1", {"", 0}},
                                                 {"martian", "", {"", 0}}};
    run.error = -ETIMEDOUT;
    run.drops[PG_DROP_SOURCE_RANGE] = 3;
    add_record(PG_RECORD_DROP, PG_STAGE_NAT_PREROUTING, PG_FIELD_NONE, PG_CODE_DROP_SOURCE_RANGE,
               "source-range");
    check.expect = (struct pg_check_expect){
        .status = want("200"), .no_drops = true, .drops = drops, .drop_count = 2};
    pg_check_judge(&run, &result);
    assert_int_equal(result.fault_count, 4);
    assert_fault(0, "status", "200", "no answer: timeout", PG_CODE_DROP_SOURCE_RANGE);
    assert_fault(1, "drops", "none", "source-range 3", PG_CODE_DROP_SOURCE_RANGE);
    assert_fault(2, "drops.source-range", "1", "3", PG_CODE_DROP_SOURCE_RANGE);
    assert_fault(3, "drops.martian", "at least 1", "0", PG_CODE_NONE);
}

static void what_could_not_be_sent_says_why(void **state)
{
    check.expect.status = want("200");
    pg_text_puts(&run.problem, "no address for nobody.test: refused");
    pg_check_judge(&run, &result);
    assert_int_equal(result.fault_count, 1);
    assert_fault(0, "request", "sent", "no address for nobody.test: refused", PG_CODE_NONE);
}

#define HOSTILE "]]></testcase>&\"'\x1b[31m\n::error::x # TODO\xff"

static void strangers_texts_stay_texts(void **state)
{
    struct pg_text out = {0};
    struct pg_check_printer p = {.out = &out};
    check.name = HOSTILE;
    check.source.file = "a\",line=1::b.yaml";
    check.expect.status = (struct pg_check_want){"<404>", check.source};
    run.status = 200;
    pg_check_judge(&run, &result);
    for (int form = PG_CHECK_TEXT; form <= PG_CHECK_JSON; form++) {
        p.form = (enum pg_check_form)form;
        pg_check_print_begin(&p, 1);
        pg_check_print_case(&p, &run, &result);
        pg_check_print_end(&p, &(struct pg_check_summary){.cases = 1});
        assert_null(strchr(out.at, '\x1b'));
        assert_null(strstr(out.at, "\n::error"));
        assert_null(strchr(out.at, '\xff'));
        if (p.form == PG_CHECK_TAP) {
            assert_null(strstr(out.at, "x # TODO"));
            assert_non_null(strstr(out.at, "x \\# TODO"));
        }
        pg_text_clear(&out);
    }
    pg_check_junit_case(&result, &out);
    assert_null(strstr(out.at, "]]></testcase>"));
    assert_null(strstr(out.at, "<404>"));
    assert_non_null(strstr(out.at, "]]&gt;&lt;/testcase&gt;&amp;&quot;&apos;"));
    pg_text_clear(&out);
    pg_check_github_case(&result, &out);
    assert_non_null(strstr(out.at, "file=a\"%2Cline=1%3A%3Ab.yaml,line=4,title="));
    assert_ptr_equal(strchr(out.at, '\n'), out.at + out.len - 1);
    pg_text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_as_expected_is_no_fault, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_client_is_blamed_on_who_replaced_the_source, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_address_nobody_carries_shows_what_there_is, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(without_a_pod_every_question_about_it_fails, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(errors_and_drops_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(what_could_not_be_sent_says_why, setup, teardown),
        cmocka_unit_test_setup_teardown(strangers_texts_stay_texts, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
