/* Secrets with certificates, and the hosts an Ingress wants them for. */
#include "load_text.h"

#include "podglass/private_bytes.h"

#include <stdlib.h>

#define SECRET(name, rest)                                                  \
    "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " name "}\ntype: " \
    "kubernetes.io/tls\n" rest
#define INGRESS(name, rest)                                                                     \
    "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " name "}\nspec:\n" \
    "  rules:\n  - host: a.test\n  - host: b.test\n" rest

static void data_is_base64_and_string_data_wins(void **state)
{
    (void)state;
    struct loaded l = load_text(
        SECRET("coded", "data:\n  tls.crt: Y2VydA==\n  tls.key: a2V5\n")
            SECRET("folded", "data:\n  tls.crt: |\n    Y2Vy\n    dDI=\n  tls.key: a2V5\n") SECRET(
                "both", "data: {tls.crt: Y2VydA==, tls.key: a2V5}\nstringData: {tls.key: k}\n"));
    assert_loads(&l);
    assert_int_equal(l.s->secret_count, 3);
    assert_string_equal(l.s->secrets[0].cert, "cert");
    assert_string_equal(l.s->secrets[0].key, "key");
    assert_int_equal(l.s->secrets[0].key_len, 3);
    assert_true(l.s->secrets[0].usable);
    assert_string_equal(l.s->secrets[1].cert, "cert2");
    assert_string_equal(l.s->secrets[2].key, "k");
    unload(&l);
}

static void wrong_secrets_are_told_without_what_is_in_them(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *why;
    } cases[] = {
        {SECRET("a", "stringData: {tls.crt: CANARY}\n"), "t.yaml:2", "needs tls.key"},
        {SECRET("a", "data: {tls.key: Q0FO}\n"), "t.yaml:6", "needs tls.crt"},
        {SECRET("a", "data: {tls.crt: CANARY, tls.key: Q0FO}\n"), "t.yaml:6", "is not base64"},
        {SECRET("a", "data: {tls.crt: Q0FO, tls.key: \"Q0F=O\"}\n"), "t.yaml:6", "is not base64"},
        {SECRET("a", "data: {tls.crt: Q0FO, tls.key: [CANARY]}\n"), "t.yaml:6", "expected text"},
        {SECRET("a", "data: CANARY\n"), "t.yaml:6", "expected"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_text(cases[i].text);
        assert_int_equal(l.rc, -22);
        if (find(&l, cases[i].place, cases[i].why) == NULL) {
            print_findings(&l);
            fail_msg("case %zu: expected %s: %s", i, cases[i].place, cases[i].why);
        }
        assert_null(find(&l, "", "CANARY"));
        unload(&l);
    }
}

static bool refuse(struct pg_slice cert, struct pg_slice key, struct pg_text *ret_why)
{
    assert_true(pg_slice_is(cert, "cert"));
    assert_true(pg_slice_is(key, "key"));
    pg_text_puts(ret_why, "they do not fit");
    return false;
}

static void a_pair_that_can_not_be_used_is_a_warning(void **state)
{
    (void)state;
    static const char text[] = SECRET("a", "stringData: {tls.crt: cert, tls.key: key}\n");
    struct loaded l =
        load_bytes(text, sizeof(text) - 1, (struct pg_load_options){.check_pair = refuse});
    assert_int_equal(l.rc, 0);
    const struct pg_finding *f = find(&l, "t.yaml:6", "they do not fit: its hosts get");
    assert_non_null(f);
    assert_string_equal(f->code, "PG430");
    assert_false(l.s->secrets[0].usable);
    unload(&l);
}

static bool grumble(struct pg_slice cert, struct pg_slice key, struct pg_text *ret_why)
{
    (void)cert;
    (void)key;
    pg_text_puts(ret_why, "it is old");
    return true;
}

static void a_certificate_outside_its_time_is_told_and_used(void **state)
{
    (void)state;
    static const char text[] = SECRET("a", "stringData: {tls.crt: cert, tls.key: key}\n");
    struct loaded l =
        load_bytes(text, sizeof(text) - 1, (struct pg_load_options){.check_pair = grumble});
    assert_int_equal(l.rc, 0);
    const struct pg_finding *f = find(&l, "t.yaml:6", "it is old: it is shown all the same");
    assert_non_null(f);
    assert_string_equal(f->code, "PG431");
    assert_true(l.s->secrets[0].usable);
    unload(&l);
}

static bool covers(struct pg_slice cert, const char *host)
{
    assert_true(pg_slice_is(cert, "cert"));
    return strcmp(host, "a.test") == 0 || strcmp(host, "any.w.test") == 0;
}

static void a_certificate_that_does_not_cover_its_host_is_told_and_used(void **state)
{
    (void)state;
    static const char text[] = SECRET("s", "stringData: {tls.crt: cert, tls.key: key}\n") INGRESS(
        "i", "  tls:\n  - {hosts: [a.test, b.test, \"*.w.test\", \"*.x.test\"], secretName: s}\n");
    struct loaded l =
        load_bytes(text, sizeof(text) - 1, (struct pg_load_options){.covers_host = covers});
    assert_int_equal(l.rc, 0);
    const struct pg_finding *f = find(&l, "t.yaml:16", "does not cover \"b.test\"");
    assert_non_null(f);
    assert_string_equal(f->code, "PG432");
    assert_non_null(find(&l, "t.yaml:16", "Secret default/s does not cover \"*.x.test\""));
    assert_null(find(&l, "", "does not cover \"a.test\""));
    assert_null(find(&l, "", "does not cover \"*.w.test\""));
    unload(&l);
}

static void other_secrets_have_no_part(void **state)
{
    (void)state;
    struct loaded l = load_text("apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n"
                                "data: {password: CANARY}\n");
    assert_loads(&l);
    assert_int_equal(l.s->secret_count, 0);
    assert_int_equal(l.findings.count, 0);
    unload(&l);
}

static const struct pg_tls_host *host(const struct loaded *l, const char *name)
{
    for (uint32_t i = 0; i < l->s->tls_host_count; i++) {
        if (strcmp(l->s->tls_hosts[i].host, name) == 0)
            return &l->s->tls_hosts[i];
    }
    fail_msg("no host %s", name);
    return NULL;
}

static void hosts_have_the_secret_their_ingress_names(void **state)
{
    (void)state;
    struct loaded l = load_text(SECRET("s", "stringData: {tls.crt: c, tls.key: k}\n") INGRESS(
        "i", "  tls:\n  - {hosts: [b.test, \"*.w.test\"], secretName: s}\n"
             "  - {hosts: [a.test]}\n"));
    assert_loads(&l);
    assert_int_equal(l.s->tls_host_count, 3);
    assert_string_equal(l.s->tls_hosts[0].host, "*.w.test"); /* in the order of the text */
    assert_int_equal(host(&l, "b.test")->secret, 0);
    assert_string_equal(host(&l, "b.test")->secret_text, "default/s");
    assert_string_equal(host(&l, "b.test")->object, "Ingress/default/i");
    assert_int_equal(host(&l, "b.test")->source.line, 16);
    assert_int_equal(host(&l, "a.test")->secret, PG_INDEX_NONE);
    unload(&l);
}

static void an_entry_without_hosts_is_for_those_of_the_rules(void **state)
{
    (void)state;
    struct loaded l = load_text(SECRET("s", "stringData: {tls.crt: c, tls.key: k}\n")
                                    INGRESS("i", "  tls: [{secretName: s}]\n"));
    assert_loads(&l);
    assert_int_equal(l.s->tls_host_count, 2);
    assert_int_equal(host(&l, "a.test")->secret, 0);
    assert_int_equal(host(&l, "b.test")->secret, 0);
    unload(&l);
}

static void a_secret_that_is_missing_and_a_host_that_is_taken_are_warnings(void **state)
{
    (void)state;
    struct loaded l =
        load_text(SECRET("s", "stringData: {tls.crt: c, tls.key: k}\n")
                      INGRESS("i", "  tls: [{hosts: [a.test], secretName: gone}]\n")
                          INGRESS("j", "  tls: [{hosts: [a.test], secretName: s}]\n"));
    assert_int_equal(l.rc, 0);
    assert_non_null(find(&l, "t.yaml:15", "there is no Secret default/gone"));
    assert_non_null(
        find(&l, "t.yaml:24", "host \"a.test\" already has the certificate default/gone"));
    assert_int_equal(host(&l, "a.test")->secret, PG_INDEX_NONE);
    unload(&l);
}

static void passthrough_is_an_annotation(void **state)
{
    (void)state;
    struct loaded l = load_text(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: i\n  annotations:\n"
        "    nginx.ingress.kubernetes.io/ssl-passthrough: \"true\"\nspec:\n  rules:\n"
        "  - host: a.test\n");
    assert_loads(&l);
    assert_true(host(&l, "a.test")->passthrough);
    assert_int_equal(host(&l, "a.test")->source.line, 6);
    unload(&l);
}

static void an_ingress_that_is_made_up_has_port_443_only_for_tls(void **state)
{
    (void)state;
    struct loaded l = load_text(INGRESS("i", ""));
    const struct pg_service *v = &l.s->services[l.s->lab.ingress_service];
    assert_int_equal(v->port_count, 1);
    unload(&l);
    l = load_text(INGRESS("i", "  tls: [{hosts: [a.test]}]\n"));
    v = &l.s->services[l.s->lab.ingress_service];
    assert_int_equal(v->port_count, 2);
    assert_int_equal(l.s->service_ports[v->port_first + 1].port, 443);
    unload(&l);
}

static void private_bytes_are_a_copy(void **state)
{
    (void)state;
    char *copy = pg_private_copy("key", 3);
    assert_string_equal(copy, "key");
    pg_private_free(copy, 3);
    pg_private_free(NULL, 0);
    char text[] = "key";
    pg_private_wipe(text, 3);
    assert_memory_equal(text, "\0\0\0", 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_is_base64_and_string_data_wins),
        cmocka_unit_test(wrong_secrets_are_told_without_what_is_in_them),
        cmocka_unit_test(a_pair_that_can_not_be_used_is_a_warning),
        cmocka_unit_test(a_certificate_outside_its_time_is_told_and_used),
        cmocka_unit_test(a_certificate_that_does_not_cover_its_host_is_told_and_used),
        cmocka_unit_test(other_secrets_have_no_part),
        cmocka_unit_test(hosts_have_the_secret_their_ingress_names),
        cmocka_unit_test(an_entry_without_hosts_is_for_those_of_the_rules),
        cmocka_unit_test(a_secret_that_is_missing_and_a_host_that_is_taken_are_warnings),
        cmocka_unit_test(passthrough_is_an_annotation),
        cmocka_unit_test(an_ingress_that_is_made_up_has_port_443_only_for_tls),
        cmocka_unit_test(private_bytes_are_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
