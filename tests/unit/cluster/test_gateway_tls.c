/* Listeners of Gateways that speak TLS: what is an error, and which certificate each shows. */
#include "load_text.h"

#include <errno.h>

#define DOC(kind, name)                                                                     \
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: " kind "\nmetadata: {name: " name \
    "}\nspec:\n"
#define GATEWAY(listener) \
    DOC("Gateway", "gw") "  gatewayClassName: x\n  listeners:\n  - " listener "\n"
#define HTTPS(tls) GATEWAY("{name: a, port: 443, protocol: HTTPS, tls: " tls "}")
#define SECRET(name, namespace)                                                                   \
    "---\napiVersion: v1\nkind: Secret\nmetadata: {name: " name                                   \
    ", namespace: " namespace "}\ntype: kubernetes.io/tls\nstringData: {tls.crt: cert, tls.key: " \
                              "key}\n"
#define GRANT(from, to)                                                                           \
    "---\napiVersion: gateway.networking.k8s.io/v1beta1\nkind: ReferenceGrant\nmetadata: {name: " \
    "g, namespace: other}\nspec:\n  from: [{group: gateway.networking.k8s.io, kind: " from        \
    ", namespace: default}]\n  to: [{group: \"\", kind: " to "}]\n"

static void what_an_api_server_refuses_is_an_error(void **state)
{
    static const struct {
        const char *text, *phrase;
    } rows[] = {
        {HTTPS("{certificateRefs: []}"), "mode Terminate needs a certificate"},
        {HTTPS("{certificateRefs: [{namespace: other}]}"), "needs the name of its Secret"},
        {HTTPS("{mode: Passthrough}"), "expected Terminate"},
        {HTTPS("{mode: Both}"), "expected Terminate or Passthrough"},
        {GATEWAY("{name: a, port: 80, protocol: HTTP, tls: {certificateRefs: [{name: s}]}}"),
         "only listeners of protocol HTTPS and TLS have it"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded l = load_text(rows[i].text);
        if (l.rc != -EINVAL || find(&l, "PG400", rows[i].phrase) == NULL) {
            print_findings(&l);
            fail_msg("row %zu: %s", i, rows[i].phrase);
        }
        unload(&l);
    }
}

/* reason: of ResolvedRefs; "": it is met. shown: the Secret, "": one that is made up; NULL: the listener serves nothing. */
static void certificates_are_looked_up(void **state)
{
    static const struct {
        const char *text, *code, *phrase, *reason, *shown;
    } rows[] = {
        {HTTPS("{certificateRefs: [{name: s}]}") SECRET("s", "default"), NULL, NULL, "",
         "default/s"},
        {HTTPS("{certificateRefs: [{name: s}]}"), "PG404", "there is no Secret default/s",
         "InvalidCertificateRef", NULL},
        {HTTPS("{certificateRefs: [{name: s, kind: Vault, group: x}]}") SECRET("s", "default"),
         "PG404", "Vault is no Secret", "InvalidCertificateRef", NULL},
        {HTTPS("{certificateRefs: [{name: s, namespace: other}]}") SECRET("s", "other"), "PG404",
         "no ReferenceGrant in other lets Gateways of default name Secret s", "RefNotPermitted",
         NULL},
        {HTTPS("{certificateRefs: [{name: s, namespace: other}]}") SECRET("s", "other")
             GRANT("Gateway", "Service"),
         "PG404", "no ReferenceGrant in other", "RefNotPermitted", NULL},
        {HTTPS("{certificateRefs: [{name: s, namespace: other}]}") SECRET("s", "other")
             GRANT("HTTPRoute", "Secret"),
         "PG404", "no ReferenceGrant in other", "RefNotPermitted", NULL},
        {HTTPS("{certificateRefs: [{name: s, namespace: other}]}") SECRET("s", "other")
             GRANT("Gateway", "Secret"),
         NULL, NULL, "", "other/s"},
        {HTTPS("{certificateRefs: [{name: none}, {name: s}]}") SECRET("s", "default"), "PG404",
         "there is no Secret default/none", "InvalidCertificateRef", "default/s"},
        {HTTPS("{certificateRefs: [{name: s}, {name: t}]}") SECRET("s", "default")
             SECRET("t", "default"),
         NULL, NULL, "", "default/s"},
        {GATEWAY("{name: a, port: 443, protocol: HTTPS}"), "PG404", "names no certificate", "", ""},
        {GATEWAY("{name: a, port: 443, protocol: TLS, tls: {certificateRefs: [{name: s}]}}")
             SECRET("s", "default"),
         "PG401", "passed on as HTTP only", "", NULL},
        {GATEWAY(
             "{name: a, port: 443, protocol: HTTPS, allowedRoutes: {kinds: [{kind: TCPRoute}]}}"),
         "PG404", "no routes of kind TCPRoute", "InvalidRouteKinds", ""},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded l = load_text(rows[i].text);
        assert_loads(&l);
        const struct pg_gateway_listener *listener = &l.s->listeners[0];
        const char *reason = listener->resolved.good ? "" : listener->resolved.reason;
        bool told = rows[i].code == NULL || find(&l, rows[i].code, rows[i].phrase) != NULL;
        const char *shown = l.s->tls_host_count == 0 ? NULL : l.s->tls_hosts[0].secret_text;
        bool same = shown == NULL || rows[i].shown == NULL ? shown == rows[i].shown
                                                           : strcmp(shown, rows[i].shown) == 0;
        if (!told || strcmp(reason, rows[i].reason) != 0 || !same ||
            listener->programmed.good != (rows[i].shown != NULL)) {
            print_findings(&l);
            fail_msg("row %zu: %s, %s, shows %s", i, listener->programmed.reason, reason,
                     shown == NULL ? "nothing" : shown);
        }
        unload(&l);
    }
}

static void each_certificate_stands_in_its_order(void **state)
{
    struct loaded l = load_text(HTTPS("{certificateRefs: [{name: z}, {name: none}, {name: a}]}")
                                    SECRET("a", "default") SECRET("z", "default"));
    (void)state;
    assert_loads(&l);
    assert_int_equal(l.s->tls_host_count, 2);
    assert_string_equal(l.s->tls_hosts[0].secret_text, "default/z");
    assert_string_equal(l.s->tls_hosts[1].secret_text, "default/a");
    assert_int_equal(l.s->tls_hosts[0].listener, l.s->tls_hosts[1].listener);
    unload(&l);
}

static void listeners_stand_behind_ingress_hosts(void **state)
{
    struct loaded l = load_text(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: i}\nspec:\n"
        "  tls: [{hosts: [z.test, b.test]}]\n  rules: [{host: z.test}]\n" DOC(
            "Gateway", "gw") "  gatewayClassName: x\n  listeners:\n"
                             "  - {name: b, port: 443, protocol: HTTPS, hostname: y.test}\n"
                             "  - {name: c, port: 443, protocol: TLS, hostname: a.test, tls: "
                             "{mode: Passthrough}}\n");
    (void)state;
    assert_loads(&l);
    assert_int_equal(l.s->tls_host_count, 4);
    assert_int_equal(l.s->tls_listener_first, 2);
    assert_string_equal(l.s->tls_hosts[0].host, "b.test");
    assert_string_equal(l.s->tls_hosts[2].host, "y.test");
    assert_int_equal(l.s->tls_hosts[3].listener, 1);
    assert_true(l.s->tls_hosts[3].passthrough);
    assert_true(l.s->listeners[0].programmed.good); /* HTTPS and TLS may share a port */
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_an_api_server_refuses_is_an_error),
        cmocka_unit_test(certificates_are_looked_up),
        cmocka_unit_test(each_certificate_stands_in_its_order),
        cmocka_unit_test(listeners_stand_behind_ingress_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
