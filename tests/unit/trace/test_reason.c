/* trace/reason.c: one id per reason, and its text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/reason.h"

#include <stdio.h>
#include <string.h>

static int forget(void **state)
{
    (void)state;
    pg_reason_forget_all();
    return 0;
}

static struct pg_reason policy(void)
{
    return (struct pg_reason){.code = PG_CODE_MASQ_CLUSTER,
                              .defaulted = true,
                              .object = "Service/edge/gateway",
                              .field = "spec.externalTrafficPolicy",
                              .value = "Cluster",
                              .file = "edge.yaml",
                              .line = 14};
}

static void equal_reasons_have_one_id(void **state)
{
    struct pg_reason r = policy();
    char file[] = "edge.yaml";

    (void)state;
    pg_reason_id first = pg_reason_intern(&r);
    r.file = file; /* other bytes, same text */
    assert_int_equal(pg_reason_intern(&r), first);
    r.line = 15;
    assert_int_not_equal(pg_reason_intern(&r), first);
    assert_int_not_equal(first, 0);
    file[0] = 'X'; /* it was copied */
    assert_string_equal(pg_reason_get(first)->file, "edge.yaml");
}

static void thousands_of_reasons_stay_apart(void **state)
{
    char object[32];
    struct pg_reason r = policy();

    (void)state;
    r.object = object;
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(object, sizeof(object), "Service/a/%u", i);
        assert_int_equal(pg_reason_intern(&r), i + 1);
    }
    for (unsigned i = 0; i < 5000; i++) {
        snprintf(object, sizeof(object), "Service/a/%u", i);
        assert_string_equal(pg_reason_get(i + 1)->object, object);
    }
}

static void id_zero_is_no_reason(void **state)
{
    char out[32];

    (void)state;
    assert_int_equal(pg_reason_get(0)->code, PG_CODE_NONE);
    assert_string_equal(pg_reason_get(0)->object, "");
    assert_string_equal(pg_reason_print(0, out, sizeof(out)), "");
    assert_int_equal(pg_reason_get(4711)->code, PG_CODE_NONE);
}

static void assert_prints(const struct pg_reason *r, const char *wanted)
{
    char out[256];

    assert_string_equal(pg_reason_print(pg_reason_intern(r), out, sizeof(out)), wanted);
}

static void text_names_object_setting_and_place(void **state)
{
    struct pg_reason r = policy();

    (void)state;
    assert_prints(&r, "svc/edge/gateway externalTrafficPolicy: Cluster (default)  edge.yaml:14");
    r.defaulted = false;
    assert_prints(&r, "svc/edge/gateway externalTrafficPolicy: Cluster  edge.yaml:14");
    r.field = "spec.type";
    r.value = "LoadBalancer";
    assert_prints(&r, "svc/edge/gateway LoadBalancer  edge.yaml:14");
    r.field = r.value = NULL;
    r.code = PG_CODE_REJECT_NO_ENDPOINT;
    assert_prints(&r,
                  "svc/edge/gateway: rejected: the service has no usable endpoint  edge.yaml:14");
    struct pg_reason bare = {.code = PG_CODE_REVERSE};
    assert_prints(&bare, "reply put back as its flow demands");
}

static void hostile_text_is_escaped_and_short_room_is_respected(void **state)
{
    struct pg_reason r = policy();
    char out[16];

    (void)state;
    r.object = "Service/a/\033[31m";
    pg_reason_print(pg_reason_intern(&r), out, sizeof(out));
    assert_null(strchr(out, '\033'));
    assert_true(strlen(out) < sizeof(out));
}

static void codes_have_names(void **state)
{
    (void)state;
    assert_string_equal(pg_code_name(PG_CODE_MASQ_CLUSTER), "PG101");
    assert_string_equal(pg_code_name(PG_CODE_DNAT_LOAD_BALANCER), "PG112");
    assert_non_null(strstr(pg_code_title(PG_CODE_MASQ_CLUSTER), "externalTrafficPolicy"));
}

int main(void)
{
#define REASON_TEST(f) cmocka_unit_test_teardown(f, forget)
    const struct CMUnitTest tests[] = {
        REASON_TEST(equal_reasons_have_one_id),
        REASON_TEST(thousands_of_reasons_stay_apart),
        REASON_TEST(id_zero_is_no_reason),
        REASON_TEST(text_names_object_setting_and_place),
        REASON_TEST(hostile_text_is_escaped_and_short_room_is_respected),
        REASON_TEST(codes_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
