/* spec.ingress.limits and .timeouts of a Lab: defaults, values with their lines, mistakes with their places. */
#include "load_text.h"

#define LAB "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: {name: l}\nspec:\n  ingress:\n"

static void what_is_not_written_has_its_default(void **state)
{
    struct loaded l = load_text(LAB "    limits: {tries: 7}\n");
    (void)state;
    assert_int_equal(l.rc, 0);
    const struct pg_ingress_limits *limits = &l.s->lab.ingress.limits;
    assert_int_equal(limits->value[PG_LIMIT_TRIES], 7);
    assert_int_equal(limits->source[PG_LIMIT_TRIES].line, 6);
    assert_string_equal(limits->source[PG_LIMIT_TRIES].file, "t.yaml");
    assert_int_equal(limits->value[PG_LIMIT_REQUESTS], 1000);
    assert_int_equal(limits->value[PG_LIMIT_IDLE_TIME], 75000);
    assert_int_equal(limits->source[PG_LIMIT_IDLE_TIME].line, 0);
    unload(&l);
}

static void a_cluster_without_a_lab_has_them_too(void **state)
{
    struct loaded l = load_text("apiVersion: v1\nkind: Service\nmetadata: {name: w}\nspec: {ports: "
                                "[{port: 80}]}\n");
    (void)state;
    assert_int_equal(l.rc, 0);
    assert_int_equal(l.s->lab.ingress.limits.value[PG_LIMIT_HEAD_TIME], 10000);
    unload(&l);
}

static void mistakes_have_their_place(void **state)
{
    static const struct {
        const char *text, *place, *says;
    } wrong[] = {
        {LAB "    limits: {tries: 0}\n", "t.yaml:6:", "spec.ingress.limits.tries"},
        {LAB "    limits: {headBytes: 65537}\n", "t.yaml:6:", "spec.ingress.limits.headBytes"},
        {LAB "    limits: {bodyBytes: lots}\n", "t.yaml:6:", "spec.ingress.limits.bodyBytes"},
        {LAB "    limits: {idleSeconds: 3}\n", "t.yaml:6:", "idleSeconds"},
        {LAB "    timeouts: {idleSeconds: -1}\n", "t.yaml:6:", "spec.ingress.timeouts.idleSeconds"},
        {LAB "    timeouts: [1]\n", "t.yaml:6:", "spec.ingress.timeouts"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct loaded l = load_text(wrong[i].text);
        if (l.rc == 0 || find(&l, wrong[i].place, wrong[i].says) == NULL) {
            print_findings(&l);
            fail_msg("%s", wrong[i].text);
        }
        unload(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_written_has_its_default),
        cmocka_unit_test(a_cluster_without_a_lab_has_them_too),
        cmocka_unit_test(mistakes_have_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
