/* Annotations of ingress-nginx: what becomes a filter, what is told, what is an error. */
#include "load_text.h"

#include <errno.h>

#define NGINX(lines)                                                                             \
    "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: w\n  "                  \
    "annotations:\n" lines "spec:\n  tls: [{hosts: [tls.test]}]\n  rules:\n"                     \
    "  - {host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: " BACKEND "}]}}\n"   \
    "  - {host: tls.test, http: {paths: [{path: /, pathType: Prefix, backend: " BACKEND "}]}}\n" \
    "---\n" SERVICE("web", "  ports: [{port: 80}]\n")
#define BACKEND "{service: {name: web, port: {number: 80}}}"
#define N       "    nginx.ingress.kubernetes.io/"

static const struct pg_route *route(const struct loaded *l, const char *host)
{
    for (uint32_t i = 0; i < l->s->route_count; i++) {
        if (strcmp(l->s->routes[i].host, host) == 0)
            return &l->s->routes[i];
    }
    fail_msg("no route for %s", host);
    return NULL;
}

/* What becomes a filter: its kind, number and value. */
static const struct {
    const char *text;
    enum pg_filter_kind kind;
    uint64_t number;
    const char *value;
} filters[] = {
    {NGINX(N "app-root: /start\n"), PG_FILTER_APP_ROOT, 0, "/start"},
    {NGINX(N "proxy-body-size: 8m\n"), PG_FILTER_BODY_LIMIT, 8 << 20, ""},
    {NGINX(N "proxy-body-size: \"0\"\n"), PG_FILTER_BODY_LIMIT, 0, ""},
    {NGINX(N "proxy-body-size: 2G\n"), PG_FILTER_BODY_LIMIT, 2ull << 30, ""},
    {NGINX(N "permanent-redirect: https://b.test/\n"), PG_FILTER_REDIRECT, 301, "https://b.test/"},
    {NGINX(N "permanent-redirect: https://b.test/\n" N "permanent-redirect-code: \"308\"\n"),
     PG_FILTER_REDIRECT, 308, "https://b.test/"},
    {NGINX(N "temporal-redirect: /else\n" N "permanent-redirect: https://b.test/\n"),
     PG_FILTER_REDIRECT, 302, "/else"},
    {NGINX(N "force-ssl-redirect: \"true\"\n"), PG_FILTER_HTTPS, 308, ""},
    {NGINX(N "rewrite-target: /$1$2?a=b\n"), PG_FILTER_REWRITE, 0, "/$1$2?a=b"},
    {NGINX(N "rewrite-target: /\n" N "x-forwarded-prefix: /p\n"), PG_FILTER_REQUEST_SET, 0, "/p"},
    {NGINX(N "upstream-vhost: b.test:8080\n"), PG_FILTER_HOST, 0, "b.test:8080"},
    {NGINX(N "proxy-connect-timeout: \"7\"\n"), PG_FILTER_CONNECT_TIMEOUT, 7000, ""},
    {NGINX(N "proxy-send-timeout: \"8\"\n"), PG_FILTER_SEND_TIMEOUT, 8000, ""},
    {NGINX(N "proxy-read-timeout: \"9\"\n"), PG_FILTER_READ_TIMEOUT, 9000, ""},
    {NGINX(N "service-upstream: \"true\"\n"), PG_FILTER_SERVICE_UPSTREAM, 1, ""},
    {NGINX(N "backend-protocol: GRPC\n"), PG_FILTER_H2C, 1, ""},
    {NGINX(N "affinity: cookie\n" N "session-cookie-name: route\n" N
             "session-cookie-max-age: \"60\"\n"),
     PG_FILTER_AFFINITY_COOKIE, 60, "; Max-Age=60"},
    {NGINX(N "affinity: cookie\n" N "session-cookie-path: /a\n" N
             "session-cookie-domain: a.test\n" N "session-cookie-expires: \"9\"\n" N
             "session-cookie-secure: \"true\"\n" N "session-cookie-samesite: Lax\n"),
     PG_FILTER_AFFINITY_COOKIE, 9, "; Max-Age=9; Domain=a.test; Path=/a; Secure; SameSite=Lax"},
};

static void annotations_become_filters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        struct loaded l = load_text(filters[i].text);
        assert_loads(&l);
        const struct pg_route_filter *f =
            pg_route_find_filter(l.s, route(&l, "a.test"), filters[i].kind);
        if (f == NULL || f->number != filters[i].number ||
            strcmp(f->value, filters[i].value) != 0 ||
            strcmp(f->object, "Ingress/default/w") != 0 || f->source.line < 6)
            fail_msg("row %zu", i);
        unload(&l);
    }
}

static const struct {
    const char *text, *place, *phrase;
} told[] = {
    {NGINX(N "configuration-snippet: \"deny all;\"\n"), "PG401",
     "configuration of nginx is not read"},
    {NGINX(N "auth-url: http://x\n"), "PG401", "nobody is asked who may pass"},
    {NGINX(N "proxy-body-sise: 8m\n"), "PG401", "unknown annotation of ingress-nginx"},
    {NGINX(N "proxy-body-size: 8 mb\n"), "t.yaml:6", "is left out: expected a size"},
    {NGINX(N "ssl-redirect: \"maybe\"\n"), "t.yaml:6", "expected true or false"},
    {NGINX(N "proxy-read-timeout: 10s\n"), "t.yaml:6", "expected a number from 1 to 86400"},
    {NGINX(N "permanent-redirect: \"javascript:x\"\n"), "t.yaml:6", "expected an URL"},
    {NGINX(N "permanent-redirect: https://b.test/$uri\n"), "t.yaml:6", "no variables but"},
    {NGINX(N "permanent-redirect: \"https://b.test/\\r\\nSet-Cookie: a=b\"\n"), "t.yaml:6",
     "expected an URL"},
    {NGINX(N "permanent-redirect-code: \"304\"\n"), "t.yaml:6", "it is no redirect"},
    {NGINX(N "app-root: \"/a b\"\n"), "t.yaml:6", "expected visible ASCII"},
    {NGINX(N "app-root: relative\n"), "t.yaml:6", "expected a path"},
    {NGINX(N "rewrite-target: /$uri\n"), "t.yaml:6", "no variables but $1 to $9"},
    {NGINX(N "rewrite-target: https://b.test/$1\n"), "t.yaml:6", "redirects by rewrite-target"},
    {NGINX(N "rewrite-target: \"/a b\"\n"), "t.yaml:6", "expected a path in visible ASCII"},
    {NGINX(N "rewrite-target: \"/\\r\\nX: y\"\n"), "t.yaml:6", "expected a path in visible ASCII"},
    {NGINX(N "x-forwarded-prefix: /p\n"), "t.yaml:6", "only with rewrite-target"},
    {NGINX(N "upstream-vhost: \"a\\r\\nX: y\"\n"), "t.yaml:6", "expected visible ASCII"},
    {NGINX(N "upstream-vhost: a/b\n"), "t.yaml:6", "expected a host name"},
    {NGINX(N "session-cookie-name: \"a;b\"\n"), "t.yaml:6", "no name for a cookie"},
    {NGINX(N "session-cookie-path: \"/; Domain=b.test\"\n"), "t.yaml:6", "is left out"},
    {NGINX(N "session-cookie-path: \"/;Domain=b.test\"\n"), "t.yaml:6", "no value for a cookie"},
    {NGINX(N "affinity-mode: loose\n"), "t.yaml:6", "expected balanced or persistent"},
    {NGINX(N "backend-protocol: FCGI\n"), "t.yaml:6", "plain HTTP"},
    {NGINX(N "backend-protocol: GRPCS\n"), "t.yaml:6", "whoever answers is believed"},
    {NGINX(N "proxy-ssl-verify: \"on\"\n"), "t.yaml:6", "without backend-protocol HTTPS"},
    {NGINX(N "backend-protocol: HTTPS\n" N "proxy-ssl-verify: \"on\"\n"), "t.yaml:7",
     "only beside proxy-ssl-secret"},
    {NGINX(N "backend-protocol: HTTPS\n" N "proxy-ssl-secret: default/none\n"), "t.yaml:7",
     "there is no Secret default/none"},
    {NGINX(N "backend-protocol: HTTPS\n" N "proxy-ssl-secret: other/ca\n"), "t.yaml:7",
     "is no Secret of namespace default"},
    {NGINX(N "proxy-ssl-verify: maybe\n"), "t.yaml:6", "expected on or off"},
    {NGINX(N "proxy-ssl-verify-depth: \"-1\"\n"), "t.yaml:6", "expected a number from 0"},
    {NGINX(N "proxy-ssl-name: \"a b\"\n"), "t.yaml:6", "expected a host name"},
    {NGINX(N "proxy-ssl-protocols: SPDY\n"), "t.yaml:6", "no protocol"},
    {NGINX(N "proxy-ssl-protocols: TLSv1.1 TLSv1.2\n"), "t.yaml:6", "TLSv1.1 is not offered"},
    {NGINX(N "proxy-ssl-ciphers: \"a; b\"\n"), "t.yaml:6", "expected names of ciphers"},
    {NGINX(N "proxy-ssl-colour: blue\n"), "t.yaml:6", "unknown annotation"},
    {NGINX(N "canary: \"true\"\n"), "t.yaml", "this one gets no requests"},
    {NGINX(N "canary-weight: \"1.5\"\n"), "t.yaml:6", "expected a number from 0"},
    {NGINX(N "canary-by-header: \"a b\"\n"), "t.yaml:6", "expected a name"},
    {NGINX(N "canary-by-header-pattern: \"(\"\n"), "t.yaml:6", "no regular expression"},
    {NGINX(N "canary-color: blue\n"), "t.yaml:6", "unknown annotation"},
    {NGINX("    traefik.ingress.kubernetes.io/router.tls: \"true\"\n"), "t.yaml:6",
     "annotation is not supported"},
};

static void the_rest_is_told_with_its_line(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        struct loaded l = load_text(told[i].text);
        assert_loads(&l);
        if (find(&l, told[i].place, told[i].phrase) == NULL) {
            print_findings(&l);
            fail_msg("row %zu", i);
        }
        unload(&l);
    }
}

static void what_would_let_others_in_is_an_error(void **state)
{
    struct loaded l = load_text(NGINX(N "whitelist-source-range: 10.0.0.0/8, office\n"));
    (void)state;
    assert_int_equal(l.rc, -EINVAL);
    assert_non_null(find(&l, "t.yaml:6", "neither an address nor a range"));
    unload(&l);
    l = load_text(NGINX(N "proxy-body-size: 8\n"));
    assert_int_equal(l.rc, -EINVAL);
    assert_non_null(find(&l, "t.yaml:6", "put it in quotes"));
    unload(&l);
    l = load_text(
        "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: w\n  annotations:\n" N
        "use-regex: \"true\"\nspec:\n  rules:\n  - host: a.test\n    http:\n      paths:\n"
        "      - {path: \"/a(b\", pathType: ImplementationSpecific, backend: " BACKEND "}\n");
    assert_int_equal(l.rc, -EINVAL);
    assert_non_null(find(&l, "t.yaml:12", "is no regular expression"));
    unload(&l);
}

static void ranges_hold_what_is_written(void **state)
{
    struct loaded l =
        load_text(NGINX(N "whitelist-source-range: \"10.0.0.0/8,192.0.2.1 ,2001:db8::/32\"\n"));
    (void)state;
    assert_loads(&l);
    const struct pg_route_filter *f =
        pg_route_find_filter(l.s, route(&l, "a.test"), PG_FILTER_ALLOW);
    assert_non_null(f);
    assert_int_equal(f->range_count, 3);
    assert_int_equal(f->ranges[1].bits, 128);
    assert_addr(&f->ranges[1].addr, "192.0.2.1");
    unload(&l);
}

/* Only where there is a certificate; unasked where ingress-nginx is the controller. */
static void plain_requests_go_to_https_where_there_is_a_certificate(void **state)
{
    static const struct {
        const char *text;
        bool a, tls;
    } cases[] = {
        {NGINX(N "ssl-redirect: \"true\"\n"), false, true},
        {NGINX(N "ssl-redirect: \"false\"\n"), false, false},
        {NGINX(N "force-ssl-redirect: \"true\"\n"), true, true},
        {NGINX(N "proxy-body-size: 1m\n"), false, true},
        {NGINX("    kubernetes.io/ingress.class: nginx\n"), false, true},
        {NGINX("    kubernetes.io/ingress.class: other\n"), false, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_text(cases[i].text);
        assert_loads(&l);
        bool a = pg_route_find_filter(l.s, route(&l, "a.test"), PG_FILTER_HTTPS) != NULL;
        bool tls = pg_route_find_filter(l.s, route(&l, "tls.test"), PG_FILTER_HTTPS) != NULL;
        if (a != cases[i].a || tls != cases[i].tls)
            fail_msg("row %zu: %d %d", i, a, tls);
        unload(&l);
    }
}

#define CONFIG(name, keys)                                    \
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " name \
    ", namespace: ingress-nginx}\ndata:\n" keys               \
    "---\n" NGINX("    kubernetes.io/ingress.class: nginx\n")

static void the_config_map_is_under_the_lab_and_the_annotations(void **state)
{
    struct loaded l =
        load_text(CONFIG("x-ingress-nginx-controller",
                         "  use-forwarded-headers: \"true\"\n  proxy-read-timeout: \"7\"\n"));
    (void)state;
    assert_loads(&l);
    assert_int_equal(l.s->lab.ingress.profile, PG_PROFILE_INGRESS_NGINX);
    assert_int_equal(l.s->lab.ingress.trusted_proxy_count, 1);
    assert_int_equal(l.s->lab.ingress.trusted_proxies[0].bits, 96);
    assert_int_equal(l.s->lab.ingress.trusted_source.line, 5);
    assert_int_equal(l.s->lab.ingress.policy[PG_IDENTITY_HOST], PG_POLICY_ANY_OR_SET);
    assert_string_equal(pg_settings_object(&l.s->lab.ingress, PG_CONFIG_TRUST),
                        "ConfigMap/ingress-nginx/x-ingress-nginx-controller");
    assert_non_null(find(&l, "PG406", "not written, so 0.0.0.0/0"));
    const struct pg_route *r = route(&l, "a.test");
    assert_int_equal(pg_route_find_filter(l.s, r, PG_FILTER_READ_TIMEOUT)->number, 7000);
    assert_int_equal(pg_route_find_filter(l.s, r, PG_FILTER_BODY_LIMIT)->number, 1 << 20);
    unload(&l);

    l = load_text(
        "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n  ingress: {profile: strict, configMap: "
        "ingress-nginx/mine, trustedProxies: [192.0.2.0/24], xForwardedFor: append}\n---\n" CONFIG(
            "mine", "  use-forwarded-headers: \"true\"\n  compute-full-forwarded-for: \"true\"\n"
                    "  proxy-real-ip-cidr: 10.0.0.0/8\n  use-proxy-protocol: \"true\"\n"));
    assert_loads(&l);
    assert_int_equal(l.s->lab.ingress.profile, PG_PROFILE_STRICT);
    assert_int_equal(l.s->lab.ingress.trusted_proxies[0].bits, 120);
    assert_int_equal(l.s->lab.ingress.policy[PG_IDENTITY_X_FORWARDED_FOR], PG_POLICY_APPEND);
    assert_true(l.s->lab.ingress.proxy.every_port);
    unload(&l);
}

static void keys_that_are_not_modelled_are_told(void **state)
{
    static const struct {
        const char *text, *place, *phrase;
    } cases[] = {
        {CONFIG("ingress-nginx-controller", "  server-snippet: x\n"), "t.yaml:5", "not modelled"},
        {CONFIG("ingress-nginx-controller", "  hsts: \"true\"\n"), "t.yaml:5", "Strict-Transport"},
        {CONFIG("ingress-nginx-controller", "  proxy-body-size: big\n"), "t.yaml:5",
         "expected a size"},
        {CONFIG("ingress-nginx-controller", "  proxy-buffer-size: 8k\n"), "PG403",
         "taken for the settings"},
        {CONFIG("other", "  use-forwarded-headers: \"true\"\n"), "t.yaml:5",
         "name it in the Lab's"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct loaded l = load_text(cases[i].text);
        assert_loads(&l);
        if (find(&l, cases[i].place, cases[i].phrase) == NULL) {
            print_findings(&l);
            fail_msg("row %zu", i);
        }
        unload(&l);
    }
    struct loaded l = load_text(
        CONFIG("ingress-nginx-controller", "  proxy-real-ip-cidr: \"10.0.0.0/8, all\"\n"));
    assert_int_equal(l.rc, -EINVAL);
    assert_non_null(find(&l, "t.yaml:5", "neither an address nor a range"));
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(annotations_become_filters),
        cmocka_unit_test(the_rest_is_told_with_its_line),
        cmocka_unit_test(what_would_let_others_in_is_an_error),
        cmocka_unit_test(ranges_hold_what_is_written),
        cmocka_unit_test(the_config_map_is_under_the_lab_and_the_annotations),
        cmocka_unit_test(keys_that_are_not_modelled_are_told),
        cmocka_unit_test(plain_requests_go_to_https_where_there_is_a_certificate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
