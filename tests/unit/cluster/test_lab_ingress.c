/* Settings of the ingress that a profile decides unless the Lab does, and where they stand. */
#include "load_text.h"

#define LAB(ingress) \
    "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: {name: lab}\nspec:\n  ingress:\n" ingress

static const struct {
    const char *text;
    bool keeps;
    uint32_t line; /* of mergeSlashes */
} slashes[] = {
    {LAB("    trailers: keep\n"), false, 0},
    {LAB("    profile: haproxy\n"), true, 0},
    {LAB("    profile: traefik\n"), false, 0},
    {LAB("    profile: haproxy\n    mergeSlashes: true\n"), false, 7},
    {LAB("    mergeSlashes: false\n    profile: ingress-nginx\n"), true, 6},
};

static void a_profile_decides_unless_the_lab_does(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(slashes) / sizeof(slashes[0]); i++) {
        struct loaded l = load_text(slashes[i].text);
        assert_loads(&l);
        const struct pg_ingress_settings *s = &l.s->lab.ingress;
        assert_int_equal(s->keep_slashes, slashes[i].keeps);
        assert_int_equal(s->slashes_source.line, slashes[i].line);
        unload(&l);
    }
}

static void places_outlive_the_load(void **state)
{
    struct loaded l = load_text(LAB("    trailers: keep\n    mergeSlashes: false\n"));
    (void)state;
    assert_loads(&l);
    assert_string_equal(l.s->lab.ingress.trailers_source.file, "t.yaml");
    assert_string_equal(l.s->lab.ingress.slashes_source.file, "t.yaml");
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_profile_decides_unless_the_lab_does),
        cmocka_unit_test(places_outlive_the_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
