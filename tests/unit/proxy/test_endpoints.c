/* proxy/endpoints.c: which mode holds and by whose word, and who may be chosen. */
#include "podglass/ingress_decide.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static const char services[] =
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {name: web, namespace: shop}\n"
    "spec: {clusterIPs: [10.96.12.1, 'fd96::1'], clusterIP: 10.96.12.1, ipFamilyPolicy: "
    "RequireDualStack, ports: [{name: http, port: 80}, {name: b, port: 81}]}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {name: out, namespace: shop}\n"
    "spec: {type: ExternalName, externalName: out.example.org}\n"
    "---\n"
    "apiVersion: networking.k8s.io/v1\n"
    "kind: Ingress\n"
    "metadata: {name: plain, namespace: shop}\n"
    "spec: {rules: [{host: plain.example.test, http: {paths: [{path: /, pathType: Prefix, backend: "
    "{service: {name: web, port: {number: 80}}}}]}}]}\n"
    "---\n"
    "apiVersion: networking.k8s.io/v1\n"
    "kind: Ingress\n"
    "metadata: {name: other, namespace: shop}\n"
    "spec: {rules: [{host: z.example.test, http: {paths: [{path: /, pathType: Prefix, backend: "
    "{service: {name: out, port: {number: 80}}}}]}}]}\n"
    "---\n"
    "apiVersion: discovery.k8s.io/v1\n"
    "kind: EndpointSlice\n"
    "metadata: {namespace: shop, name: six, labels: {kubernetes.io/service-name: web}}\n"
    "addressType: IPv6\n"
    "ports: [{name: http, port: 8080}]\n"
    "endpoints: [{addresses: ['fd60::7'], conditions: {ready: true}}]\n";

static const char edge[] =
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: gateway, namespace: edge}\n"
    "spec: {type: LoadBalancer, selector: {app: g}, ports: [{port: 80}]}\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: g-0, namespace: edge, labels: {app: g}}\n";

static const char slice[] =
    "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
    "metadata: {namespace: shop, name: four, labels: {kubernetes.io/service-name: web}}\n"
    "addressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints:\n";

/* spec.ingress beside the service, and IPv4 endpoints of web. */
static struct pg_snapshot *load(const char *ingress, const char *endpoints)
{
    struct pg_text text = {0};
    struct pg_findings findings;
    struct pg_snapshot *s = NULL;

    pg_text_printf(&text,
                   "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n  podCIDRs: [10.244.0.0/16, "
                   "'fd60::/48']\n  serviceCIDRs: [10.96.0.0/16, 'fd96::/112']\n  ingress: "
                   "{service: edge/gateway%s}\n%s%s%s%s",
                   ingress, edge, services, slice, endpoints);
    struct pg_manifest_input input = {.path = "t.yaml", .text = text.at, .text_len = text.len};

    if (pg_snapshot_load(&input, 1, NULL, &s, &findings) != 0) {
        for (uint32_t i = 0; i < findings.count; i++) {
            struct pg_text line = {0};
            pg_finding_print(&findings.at[i], &line);
            print_message("%s\n", line.at);
            pg_text_free(&line);
        }
    }
    pg_findings_free(&findings);
    pg_text_free(&text);
    assert_non_null(s);
    return s;
}

static const struct pg_route *route_of(const struct pg_snapshot *s, const char *host)
{
    for (uint32_t i = 0; i < s->route_count; i++) {
        if (strcmp(s->routes[i].host, host) == 0)
            return &s->routes[i];
    }
    fail();
    return NULL;
}

static void assert_candidates(const struct pg_snapshot *s, bool v6, const char *wanted)
{
    struct pg_candidates c = pg_backend_candidates(s, route_of(s, "plain.example.test"), v6);
    struct pg_text text = {0};
    char out[PG_ENDPOINT_TEXT];

    pg_text_puts(&text, "");
    for (uint32_t i = 0; i < c.count; i++) {
        const struct pg_endpoint *e = pg_backend_candidate(&c, i);
        pg_text_printf(&text, "%s ", pg_endpoint_print(&e->addr, e->port, out));
    }
    assert_null(pg_backend_candidate(&c, c.count));
    assert_string_equal(text.at ? text.at : "", wanted);
    pg_text_free(&text);
}

static void ready_ones_then_those_that_serve_while_they_end(void **state)
{
    static const struct {
        const char *endpoints;
        const char *wanted;
    } rows[] = {
        {"- {addresses: [10.244.1.7], conditions: {ready: true}}\n"
         "- {addresses: [10.244.1.8], conditions: {ready: false, serving: true, terminating: "
         "true}}\n"
         "- {addresses: [10.244.1.9]}\n",
         "10.244.1.7:8080 10.244.1.9:8080 "},
        {"- {addresses: [10.244.1.7], conditions: {ready: false, serving: false, terminating: "
         "true}}\n"
         "- {addresses: [10.244.1.8], conditions: {ready: false, serving: true, terminating: "
         "true}}\n"
         "- {addresses: [10.244.1.9], conditions: {ready: false, serving: true}}\n",
         "10.244.1.8:8080 "},
        {"- {addresses: [10.244.1.7], conditions: {ready: false}}\n", ""},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_snapshot *s = load("", rows[i].endpoints);
        assert_candidates(s, false, rows[i].wanted);
        assert_candidates(s, true, "[fd60::7]:8080 "); /* families are apart */
        pg_snapshot_put(s);
    }
}

static void the_mode_is_the_labs_but_for_names_outside(void **state)
{
    struct pg_snapshot *s = load("", "- {addresses: [10.244.1.7]}\n");
    const struct pg_route *plain = route_of(s, "plain.example.test");
    const struct pg_reason *why = pg_reason_get(pg_upstream_reason(s, plain));

    assert_int_equal(pg_upstream_mode(s, plain), PG_UPSTREAM_SERVICE);
    assert_int_equal(why->code, PG_CODE_TO_SERVICE);
    assert_true(why->defaulted);
    pg_snapshot_put(s);
    s = load(", upstream: endpoints", "- {addresses: [10.244.1.7]}\n");
    plain = route_of(s, "plain.example.test");
    why = pg_reason_get(pg_upstream_reason(s, plain));
    assert_int_equal(pg_upstream_mode(s, plain), PG_UPSTREAM_ENDPOINTS);
    assert_int_equal(why->code, PG_CODE_TO_ENDPOINT);
    assert_string_equal(why->object, "Lab");
    assert_string_equal(why->file, "t.yaml");
    assert_int_equal(why->line, 6);
    assert_int_equal(pg_upstream_mode(s, route_of(s, "z.example.test")), PG_UPSTREAM_SERVICE);
    pg_snapshot_put(s);
}

static int forget(void **state)
{
    pg_reason_forget_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_ones_then_those_that_serve_while_they_end),
        cmocka_unit_test(the_mode_is_the_labs_but_for_names_outside),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
