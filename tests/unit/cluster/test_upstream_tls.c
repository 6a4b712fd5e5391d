/* TLS to pods as the manifests ask for it: whose word it is, what a pod must show, and policies that count for nothing. */
#include "load_text.h"

#define N "    nginx.ingress.kubernetes.io/"
#define WEB(port)                                                   \
    "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n" \
    "  selector: {app: web}\n  ports: [{name: tls, port: 443" port "}]\n---\n"
#define INGRESS(annotations)                                                    \
    "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: web\n" \
    "  annotations:\n    x: y\n" annotations "spec:\n"                          \
    "  defaultBackend: {service: {name: web, port: {number: 443}}}\n---\n"
#define SECRET \
    "apiVersion: v1\nkind: Secret\nmetadata: {name: ca}\nstringData: {ca.crt: PEM}\n---\n"
#define GATEWAY                                                                                \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: GatewayClass\nmetadata: {name: pg}\n"     \
    "spec: {controllerName: podglass.io/gateway}\n---\n"                                       \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {name: main}\n"        \
    "spec: {gatewayClassName: pg, listeners: [{name: http, port: 80, protocol: HTTP}]}\n---\n" \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: web}\n"       \
    "spec: {parentRefs: [{name: main}], rules: [{backendRefs: [{name: web, port: 443}]}]}\n---\n"
#define CA "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ca}\ndata: {ca.crt: PEM}\n---\n"
#define POLICY(name, target, validation)                                                       \
    "apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: " name \
    "}\nspec:\n  targetRefs: [{group: \"\", kind: Service, name: web" target "}]\n"            \
    "  validation: {hostname: web.test, " validation "}\n---\n"
#define BY_CA "caCertificateRefs: [{group: \"\", kind: ConfigMap, name: ca}]"

/* Of the only route; NULL: pods are spoken to without TLS. */
static const struct pg_upstream_tls *setting(const struct loaded *l)
{
    assert_int_equal(l->s->route_count, 1);
    uint32_t tls = l->s->routes[0].tls;
    return tls == 0 ? NULL : &l->s->upstream_tls[tls - 1];
}

static void nobody_asks(void **state)
{
    struct loaded l = load_text(WEB(", appProtocol: http") INGRESS(""));
    (void)state;
    assert_loads(&l);
    assert_null(setting(&l));
    unload(&l);
}

static void an_annotation_alone_verifies_nothing(void **state)
{
    struct loaded l = load_text(WEB("") INGRESS(N "backend-protocol: HTTPS\n"));
    (void)state;
    assert_loads(&l);
    const struct pg_upstream_tls *t = setting(&l);
    assert_non_null(t);
    assert_false(t->verify || t->send_name || t->system);
    assert_int_equal(t->versions, PG_UPSTREAM_TLS_12 | PG_UPSTREAM_TLS_13);
    assert_string_equal(t->object, "Ingress/default/web");
    assert_string_equal(t->text, "HTTPS");
    assert_non_null(find(&l, "t.yaml", "whoever answers is believed"));
    unload(&l);
}

static void a_secret_brings_the_rest(void **state)
{
    struct loaded l = load_text(WEB("") SECRET INGRESS(
        N "backend-protocol: HTTPS\n" N "proxy-ssl-secret: default/ca\n" N
          "proxy-ssl-verify: \"on\"\n" N "proxy-ssl-verify-depth: \"3\"\n" N
          "proxy-ssl-name: web.test\n" N "proxy-ssl-server-name: \"on\"\n" N
          "proxy-ssl-protocols: TLSv1.3\n" N "proxy-ssl-ciphers: ECDHE-ECDSA-AES128-GCM-SHA256\n"));
    (void)state;
    assert_loads(&l);
    const struct pg_upstream_tls *t = setting(&l);
    assert_non_null(t);
    assert_true(t->verify && t->send_name);
    assert_int_equal(t->depth, 3);
    assert_int_equal(t->versions, PG_UPSTREAM_TLS_13);
    assert_string_equal(t->name, "web.test");
    assert_string_equal(t->ca, "PEM");
    assert_string_equal(t->ca_text, "Secret/default/ca");
    assert_string_equal(t->ciphers, "ECDHE-ECDSA-AES128-GCM-SHA256");
    assert_int_equal(t->secret, PG_INDEX_NONE);
    assert_null(find(&l, "t.yaml", "whoever answers is believed"));
    unload(&l);
}

static void without_a_name_nothing_can_be_verified(void **state)
{
    struct loaded l = load_text(WEB("") SECRET INGRESS(N "backend-protocol: HTTPS\n" N
                                                         "proxy-ssl-secret: default/ca\n" N
                                                         "proxy-ssl-verify: \"on\"\n"));
    (void)state;
    assert_loads(&l);
    assert_string_equal(setting(&l)->name, "upstream_balancer");
    assert_int_equal(setting(&l)->versions, PG_UPSTREAM_TLS_12);
    assert_non_null(find(&l, "t.yaml", "no pod's is"));
    unload(&l);
}

static void who_can_not_be_verified_gets_nothing(void **state)
{
    struct loaded l = load_text(
        WEB("") INGRESS(N "backend-protocol: HTTPS\n" N "proxy-ssl-secret: default/ca\n"));
    (void)state;
    assert_loads(&l);
    assert_string_equal(setting(&l)->trouble,
                        "there is no Secret default/ca with ca.crt, or tls.crt and tls.key");
    unload(&l);
}

static void ports_say_so_themselves(void **state)
{
    static const char *const said[] = {WEB(", appProtocol: https") INGRESS(""),
                                       WEB(", appProtocol: kubernetes.io/wss") INGRESS(""),
                                       WEB(", appProtocol: https") GATEWAY};
    (void)state;
    for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
        struct loaded l = load_text(said[i]);
        assert_loads(&l);
        assert_non_null(setting(&l));
        assert_string_equal(setting(&l)->field, "appProtocol");
        assert_non_null(find(&l, "t.yaml", "a BackendTLSPolicy says what they must show"));
        unload(&l);
    }
}

static void a_policy_goes_before_the_port(void **state)
{
    struct loaded l = load_text(
        WEB(", appProtocol: https")
            GATEWAY CA POLICY("all", "",
                              BY_CA ", subjectAltNames: [{type: URI, uri: \"spiffe://a/b\"}, "
                                    "{type: Hostname, hostname: b.test}]")
                POLICY("port", ", sectionName: tls", "wellKnownCACertificates: System"));
    (void)state;
    assert_loads(&l);
    const struct pg_upstream_tls *t = setting(&l);
    assert_string_equal(t->object, "BackendTLSPolicy/default/port");
    assert_true(t->system && t->verify && t->send_name);
    assert_int_equal(l.s->backend_policy_count, 2);
    assert_true(l.s->backend_policies[0].accepted.good);
    assert_string_equal(l.s->backend_policies[0].trust, "ConfigMap/default/ca");
    assert_string_equal(l.s->backend_policies[1].targets, "web:tls");
    assert_int_equal(l.s->upstream_tls_count, 2);
    assert_int_equal(l.s->upstream_tls[0].name_count, 2);
    assert_true(l.s->upstream_tls[0].names[0].uri);
    assert_null(find(&l, "t.yaml", "whoever answers is believed"));
    unload(&l);
}

static void an_ingress_does_not_follow_policies(void **state)
{
    struct loaded l = load_text(WEB("") INGRESS("") CA POLICY("all", "", BY_CA));
    (void)state;
    assert_loads(&l);
    assert_null(setting(&l));
    unload(&l);
}

static const struct {
    const char *text;
    const char *reason; /* of the condition that is not good, of the last policy */
    bool accepted, resolved;
    bool sends; /* something is sent to pods */
} policies[] = {
    {WEB("") GATEWAY CA POLICY("a", "", BY_CA) POLICY("b", "", BY_CA), "Conflicted", false, true,
     true},
    {WEB("") GATEWAY POLICY("a", "", BY_CA), "NoValidCACertificate", false, false, false},
    {WEB("") GATEWAY CA POLICY("a", ", sectionName: none", BY_CA), "TargetNotFound", false, true,
     true},
    {WEB("") GATEWAY CA POLICY("a", "",
                               "caCertificateRefs: [{group: \"\", kind: Secret, name: ca}, {group: "
                               "\"\", kind: ConfigMap, name: ca}]"),
     "InvalidKind", true, false, true},
};

static void conditions_say_what_a_controller_would(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        struct loaded l = load_text(policies[i].text);
        assert_loads(&l);
        const struct pg_backend_policy *p = &l.s->backend_policies[l.s->backend_policy_count - 1];
        const struct pg_upstream_tls *t = setting(&l);
        assert_int_equal(p->accepted.good, policies[i].accepted);
        assert_int_equal(p->resolved.good, policies[i].resolved);
        assert_string_equal(p->accepted.good ? p->resolved.reason : p->accepted.reason,
                            policies[i].reason);
        assert_int_equal(t == NULL || t->trouble[0] == '\0', policies[i].sends);
        unload(&l);
    }
}

static const struct {
    const char *text;
    const char *phrase;
} wrong[] = {
    {POLICY("a", "", "wellKnownCACertificates: Mine"), "System"},
    {POLICY("a", "", BY_CA ", wellKnownCACertificates: System"), "only without caCertificateRefs"},
    {POLICY("a", "", "subjectAltNames: []"), "expected caCertificateRefs"},
    {POLICY("a", "", BY_CA ", subjectAltNames: [{type: URI}]"), "needed by its type"},
    {POLICY("a", "", BY_CA ", subjectAltNames: [{type: DNS}]"), "Hostname"},
    {"apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: a}\n"
     "spec: {targetRefs: [{group: \"\", kind: Service, name: web}], validation: {" BY_CA "}}\n",
     "must be for is needed"},
    {"apiVersion: gateway.networking.k8s.io/v1\nkind: BackendTLSPolicy\nmetadata: {name: a}\n"
     "spec: {validation: {hostname: a.test, " BY_CA "}}\n",
     "needs a Service"},
};

static void what_an_api_server_refuses_is_an_error(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct loaded l = load_text(wrong[i].text);
        assert_int_not_equal(l.rc, 0);
        if (find(&l, "t.yaml", wrong[i].phrase) == NULL) {
            print_findings(&l);
            fail_msg("row %zu", i);
        }
        unload(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_asks),
        cmocka_unit_test(an_annotation_alone_verifies_nothing),
        cmocka_unit_test(a_secret_brings_the_rest),
        cmocka_unit_test(without_a_name_nothing_can_be_verified),
        cmocka_unit_test(who_can_not_be_verified_gets_nothing),
        cmocka_unit_test(ports_say_so_themselves),
        cmocka_unit_test(a_policy_goes_before_the_port),
        cmocka_unit_test(an_ingress_does_not_follow_policies),
        cmocka_unit_test(conditions_say_what_a_controller_would),
        cmocka_unit_test(what_an_api_server_refuses_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
