/* trace/trace_print.c: records as text and as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/json.h"
#include "podglass/trace.h"

#include <string.h>

static int forget(void **state)
{
    (void)state;
    pg_reason_forget_all();
    return 0;
}

static void assert_text(const struct pg_record *r, const char *wanted)
{
    struct pg_text out = {0};

    pg_record_print(r, &out);
    assert_string_equal(out.at, wanted);
    pg_text_free(&out);
}

static struct pg_record rewrite(void)
{
    struct pg_addr before = pg_addr_v4(203, 0, 113, 10);
    struct pg_addr after = pg_addr_v4(10, 244, 1, 2);
    struct pg_reason why = {.code = PG_CODE_DNAT_LOAD_BALANCER,
                            .object = "Service/edge/gateway",
                            .field = "spec.type",
                            .value = "LoadBalancer",
                            .file = "edge.yaml",
                            .line = 9};
    struct pg_record r = {.kind = PG_RECORD_REWRITE,
                          .stage = PG_STAGE_NAT_PREROUTING,
                          .field = PG_FIELD_DST,
                          .conntrack = 1041,
                          .label = 0xc7f1,
                          .packet = 1,
                          .seq = 5,
                          .time_us = 77,
                          .reason = pg_reason_intern(&why)};

    r.before = pg_value_endpoint(&before, 80);
    r.after = pg_value_endpoint(&after, 80);
    return r;
}

static void rewrite_shows_before_after_and_why(void **state)
{
    struct pg_record r = rewrite();

    (void)state;
    assert_text(&r, "nat-prerouting   dst 203.0.113.10:80 => 10.244.1.2:80   svc/edge/gateway "
                    "LoadBalancer  edge.yaml:9  PG112 #1041");
    r.direction = 1;
    r.reason = 0;
    assert_text(&r, "nat-prerouting   reply dst 203.0.113.10:80 => 10.244.1.2:80   #1041");
}

static void kept_value_says_unchanged(void **state)
{
    struct pg_record r = rewrite();

    (void)state;
    r.kind = PG_RECORD_KEEP;
    r.field = PG_FIELD_SRC;
    r.stage = PG_STAGE_NAT_POSTROUTING;
    r.reason = 0;
    assert_text(&r, "nat-postrouting  src 203.0.113.10:80 unchanged   #1041");
}

static void headers_show_how_they_changed(void **state)
{
    struct pg_record r = {.kind = PG_RECORD_REWRITE,
                          .stage = PG_STAGE_HTTP_REWRITE,
                          .field = PG_FIELD_HEADER,
                          .name = "Host"};

    (void)state;
    r.after = pg_value_text("a.test", 6);
    assert_text(&r, "http-rewrite     +Host: a.test");
    r.before = pg_value_text("b.test", 6);
    assert_text(&r, "http-rewrite     ~Host: b.test => a.test");
    r.after = pg_value_none();
    assert_text(&r, "http-rewrite     ~Host: b.test => (removed)");
}

static void drop_names_itself(void **state)
{
    struct pg_addr src = pg_addr_v4(198, 51, 100, 7);
    struct pg_record r = {
        .kind = PG_RECORD_DROP, .stage = PG_STAGE_NAT_PREROUTING, .name = "invalid"};

    (void)state;
    r.before = pg_value_endpoint(&src, 0);
    assert_text(&r, "nat-prerouting   drop invalid 198.51.100.7");
}

static void hostile_bytes_are_escaped(void **state)
{
    struct pg_record r = {
        .kind = PG_RECORD_REWRITE, .stage = PG_STAGE_HTTP_REWRITE, .field = PG_FIELD_HEADER};
    struct pg_text out = {0};
    struct pg_json j;

    (void)state;
    memset(r.name, 0x1b, sizeof(r.name)); /* no NUL anywhere */
    r.after = pg_value_text("\033]0;x\a\r\n\"\xff", 10);
    pg_record_print(&r, &out);
    for (size_t i = 0; i < out.len; i++)
        assert_true((unsigned char)out.at[i] >= 0x20);
    pg_text_clear(&out);
    pg_json_begin(&j, &out);
    pg_record_json(&r, &j);
    for (size_t i = 0; i < out.len; i++)
        assert_true((unsigned char)out.at[i] >= 0x20);
    pg_text_free(&out);
}

static void json_has_every_part(void **state)
{
    struct pg_record r = rewrite();
    struct pg_text out = {0};
    struct pg_json j;

    (void)state;
    pg_json_begin(&j, &out);
    pg_record_json(&r, &j);
    assert_string_equal(
        out.at,
        "{\"apiVersion\":\"podglass/"
        "v1alpha1\",\"kind\":\"Rewrite\",\"seq\":5,\"timeUs\":77,\"flow\":\"c7f1\",\"packet\":1,"
        "\"node\":0,\"stage\":\"nat-prerouting\",\"direction\":\"original\",\"field\":\"dst\","
        "\"before\":\"203.0.113.10:80\","
        "\"after\":\"10.244.1.2:80\",\"reason\":{\"code\":\"PG112\",\"title\":\"destination chosen "
        "among the endpoints of a "
        "load-balancer "
        "address\",\"object\":\"Service/edge/"
        "gateway\",\"path\":\"spec.type\",\"value\":\"LoadBalancer\","
        "\"defaulted\":false,\"source\":\"edge.yaml:9\"},\"conntrack\":1041}");
    pg_text_free(&out);
}

static void value_prints_into_a_small_room(void **state)
{
    struct pg_value v = pg_value_text("0123456789", 10);
    char out[5];

    (void)state;
    assert_string_equal(pg_value_print(&v, out, sizeof(out)), "0123");
    v = pg_value_none();
    assert_string_equal(pg_value_print(&v, out, sizeof(out)), "");
}

int main(void)
{
#define PRINT_TEST(f) cmocka_unit_test_teardown(f, forget)
    const struct CMUnitTest tests[] = {
        PRINT_TEST(rewrite_shows_before_after_and_why), PRINT_TEST(kept_value_says_unchanged),
        PRINT_TEST(headers_show_how_they_changed),      PRINT_TEST(drop_names_itself),
        PRINT_TEST(hostile_bytes_are_escaped),          PRINT_TEST(json_has_every_part),
        PRINT_TEST(value_prints_into_a_small_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
