/* Ingress v1, from manifest to answer: the scenarios of the Kubernetes project's ingress controller conformance suite, by their names, and what they
 * leave open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/ingress_decide.h"

#include <string.h>

#define SERVICE(name)                                                                             \
    "apiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {clusterIP: None, selector" \
    ": {app: " name "}, ports: [{name: http, port: 8080}]}\n---\n"
#define PATH(type, path, service)                                                     \
    "      - {path: " path ", pathType: " type ", backend: {service: {name: " service \
    ", port: {number: "                                                               \
    "8080}}}}\n"
#define INGRESS(name, spec) \
    "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " name "}\nspec:\n" spec

static const char default_backend[] = SERVICE("echo-service")
    INGRESS("default", "  defaultBackend: {service: {name: echo-service, port: {number: 8080}}}\n");
static const char host_rules[] = SERVICE("wildcard-foo-com") SERVICE("foo-bar-com") INGRESS(
    "hosts",
    "  tls: [{hosts: [foo.bar.com], secretName: conformance-tls}]\n"
    "  rules:\n"
    "  - host: \"*.foo.com\"\n    http:\n      paths:\n" PATH(
        "Prefix", "/", "wildcard-foo-com") "  - host: foo.bar.com\n    http:\n      paths:\n"
                                           "      - {path: /, pathType: Prefix, backend: {service: "
                                           "{name: foo-bar-com, port: {name: http}}}}\n");
static const char path_rules[] = SERVICE("foo-exact") SERVICE("foo-prefix") SERVICE(
    "aaa-slash-bbb-prefix") SERVICE("aaa-prefix") SERVICE("aaa-slash-bbb-slash-prefix")
    SERVICE("foo-slash-exact") INGRESS(
        "paths",
        "  rules:\n"
        "  - host: exact-path-rules\n    http:\n      paths:\n" PATH(
            "Exact", "/foo",
            "foo-exact") "  - host: prefix-path-rules\n    http:\n      paths:\n" PATH("Prefix",
                                                                                       "/foo",
                                                                                       "foo-prefix")
            PATH("Prefix", "/aaa/bbb", "aaa-slash-bbb-prefix") PATH(
                "Prefix", "/aaa",
                "aaa-prefix") "  - host: mixed-path-rules\n    http:\n      paths:\n" PATH("Prefix",
                                                                                           "/foo",
                                                                                           "foo-"
                                                                                           "prefix")
                PATH("Exact", "/foo",
                     "foo-exact") "  - host: trailing-slash-path-rules\n    http:\n      "
                                  "paths:\n" PATH("Prefix", "/aaa/bbb/",
                                                  "aaa-slash-bbb-slash-prefix")
                                      PATH("Exact", "/foo/", "foo-slash-exact"));
static const char class_rules[] =
    SERVICE("ingress-class-prefix") "apiVersion: networking.k8s.io/v1\nkind: "
                                    "IngressClass\nmetadata: {name: ours}\nspec: {controller: "
                                    "example.test/ours}\n---\n" INGRESS(
                                        "class",
                                        "  ingressClassName: some-invalid-class-name\n"
                                        "  rules:\n  - host: ingress-class\n    http:\n      "
                                        "paths:\n" PATH("Prefix", "/", "ingress-class-prefix"));
/* Beyond the suite: who wins where several say something. */
static const char ties[] = SERVICE("old") SERVICE("new") SERVICE("any") SERVICE(
    "rest") "apiVersion: networking.k8s.io/v1\nkind: Ingress\n"
            "metadata: {name: a, creationTimestamp: \"2026-02-01T00:00:00Z\"}\nspec:\n  rules:\n"
            "  - host: tie\n    http:\n      paths:\n" PATH("Prefix", "/x", "new") PATH(
                "ImplementationSpecific", "/y/",
                "new") "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n"
                       "metadata: {name: b, creationTimestamp: \"2026-01-01T00:00:00Z\"}\nspec:\n"
                       "  defaultBackend: {service: {name: rest, port: {number: 8080}}}\n  rules:\n"
                       "  - host: tie\n    http:\n      paths:\n" PATH("Prefix", "/x/", "old")
                           PATH("Prefix", "/", "rest") "  - http:\n      paths:\n" PATH(
                               "Prefix", "/any", "any") "  - host: alone\n";

static const struct {
    const char *scenario;
    const char *manifest;
    const char *host, *path;
    const char *service; /* NULL: 404 */
} rows[] = {
    {"no rules: all to the default backend", default_backend, "my-host", "/", "echo-service"},
    {"no rules: any path", default_backend, "other", "/sub/path", "echo-service"},
    {"host rule, TLS and plain alike", host_rules, "foo.bar.com", "/", "foo-bar-com"},
    {"host does not match", host_rules, "subdomain.bar.com", "/", NULL},
    {"wildcard matches by shared suffix", host_rules, "bar.foo.com", "/", "wildcard-foo-com"},
    {"wildcard covers a single label", host_rules, "baz.bar.foo.com", "/", NULL},
    {"wildcard needs a label", host_rules, "foo.com", "/", NULL},
    {"exact", path_rules, "exact-path-rules", "/foo", "foo-exact"},
    {"exact, trailing slash", path_rules, "exact-path-rules", "/foo/", NULL},
    {"exact is case sensitive", path_rules, "exact-path-rules", "/FOO", NULL},
    {"exact, any other label", path_rules, "exact-path-rules", "/bar", NULL},
    {"prefix", path_rules, "prefix-path-rules", "/foo", "foo-prefix"},
    {"prefix ignores the request's trailing slash", path_rules, "prefix-path-rules", "/foo/",
     "foo-prefix"},
    {"prefix is case sensitive", path_rules, "prefix-path-rules", "/FOO", NULL},
    {"prefix, longest path", path_rules, "prefix-path-rules", "/aaa/bbb", "aaa-slash-bbb-prefix"},
    {"prefix, longest path and subpaths", path_rules, "prefix-path-rules", "/aaa/bbb/ccc",
     "aaa-slash-bbb-prefix"},
    {"prefix, the shorter one", path_rules, "prefix-path-rules", "/aaa/ccc", "aaa-prefix"},
    {"prefix matches whole labels", path_rules, "prefix-path-rules", "/aaaccc", NULL},
    {"mixed: exact is preferred", path_rules, "mixed-path-rules", "/foo", "foo-exact"},
    {"mixed: the rest to prefix", path_rules, "mixed-path-rules", "/foo/x", "foo-prefix"},
    {"prefix with a trailing slash, request without", path_rules, "trailing-slash-path-rules",
     "/aaa/bbb", "aaa-slash-bbb-slash-prefix"},
    {"prefix with a trailing slash, request with", path_rules, "trailing-slash-path-rules",
     "/aaa/bbb/", "aaa-slash-bbb-slash-prefix"},
    {"exact with a trailing slash, request without", path_rules, "trailing-slash-path-rules",
     "/foo", NULL},
    {"exact with a trailing slash, request with", path_rules, "trailing-slash-path-rules", "/foo/",
     "foo-slash-exact"},
    {"an invalid class is served by nobody", class_rules, "ingress-class", "/", NULL},
    {"the older Ingress wins", ties, "tie", "/x/1", "old"},
    {"ImplementationSpecific is Prefix", ties, "tie", "/y", "new"},
    {"ImplementationSpecific by whole labels", ties, "tie", "/yz", "rest"},
    {"a rule without a host after those with one", ties, "tie", "/any", "rest"},
    {"a rule without a host", ties, "elsewhere", "/any/1", "any"},
    {"a default backend takes the rest", ties, "elsewhere", "/", "rest"},
    {"a host without paths goes to the default backend", ties, "alone", "/any", "rest"},
};

static struct pg_snapshot *load(const char *text)
{
    struct pg_manifest_input input = {"t.yaml", text, strlen(text)};
    struct pg_snapshot *s = NULL;
    struct pg_findings findings;
    int rc = pg_snapshot_load(&input, 1, NULL, &s, &findings);
    for (uint32_t i = 0; rc != 0 && i < findings.count; i++)
        print_message("%u: %s\n", findings.at[i].source.line, findings.at[i].text);
    pg_findings_free(&findings);
    assert_int_equal(rc, 0);
    return s;
}

static void every_scenario_reaches_its_service(void **state)
{
    static const struct pg_hash_key key = {1, 2};
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_snapshot *s = load(rows[i].manifest);
        struct pg_router *r = pg_router_new(s, &key);
        struct pg_route_match match;
        assert_non_null(r);
        pg_route_match(r,
                       &(struct pg_route_facts){.host = pg_slice_of(rows[i].host),
                                                .path = pg_slice_of(rows[i].path)},
                       &match);
        const char *got = match.route ? s->services[match.route->service].name : NULL;
        if ((got == NULL) != (rows[i].service == NULL) ||
            (got != NULL && strcmp(got, rows[i].service) != 0))
            fail_msg("%s: %s%s goes to %s", rows[i].scenario, rows[i].host, rows[i].path,
                     got ? got : "nobody");
        pg_router_free(r);
        pg_snapshot_put(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_scenario_reaches_its_service),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pg_reason_forget_all();
    return failed;
}
