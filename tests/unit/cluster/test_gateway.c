/* Gateway API in manifests: what is an error, what is told, and who is attached to whom. */
#include "load_text.h"

#include <errno.h>

#define DOC(kind, name)                                                                     \
    "---\napiVersion: gateway.networking.k8s.io/v1\nkind: " kind "\nmetadata: {name: " name \
    "}\nspec:\n"
#define GATEWAY          \
    DOC("Gateway", "gw") \
    "  gatewayClassName: x\n  listeners:\n  - {name: http, port: 80, protocol: HTTP}\n"
#define HTTP(rule) \
    DOC("HTTPRoute", "r") "  parentRefs: [{name: gw}]\n  rules:\n  - " rule "\n" GATEWAY SERVICE_WEB
#define SERVICE_WEB "---\n" SERVICE("web", "  ports: [{port: 80}]\n")
#define BACKEND     "backendRefs: [{name: web, port: 80}]"

static const struct {
    const char *text, *phrase;
} errors[] = {
    {HTTP("{matches: [{path: {value: x}}]}"), "must begin with /"},
    {HTTP("{matches: [{path: {value: /a//b}}]}"), "must not hold //"},
    {HTTP("{matches: [{path: {type: RegularExpression, value: \"/(\"}}]}"),
     "no regular expression"},
    {HTTP("{matches: [{headers: [{name: a, type: RegularExpression, value: \"[\"}]}]}"),
     "no regular expression"},
    {HTTP("{matches: [{method: BREW}]}"), "expected GET"},
    {HTTP("{backendRefs: [{name: web}]}"), "needs a port"},
    {HTTP("{backendRefs: [{name: web, port: 80, weight: -1}]}"), "from 0 to 1000000"},
    {HTTP("{filters: [{type: Nothing}]}"), "no type of filter"},
    {HTTP("{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: \"a b\", "
          "value: c}]}}]}"),
     "is no header name"},
    {HTTP("{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: "
          "\"b\\r\\nc: d\"}]}}]}"),
     "holds control characters"},
    {HTTP("{filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: a, "
          "value: \"b\\nc\"}]}}]}"),
     "holds control characters"},
    {HTTP("{filters: [{type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, "
          "replaceFullPath: \"/a\\r\\nb\"}}}]}"),
     "is no path"},
    {HTTP("{filters: [{type: URLRewrite, urlRewrite: {hostname: \"a b\"}}]}"),
     "is not a valid name"},
    {HTTP("{matches: [{path: {type: Exact, value: /a}}], filters: [{type: URLRewrite, urlRewrite: "
          "{path: {type: ReplacePrefixMatch, replacePrefixMatch: /b}}}]}"),
     "matches of type PathPrefix only"},
    {HTTP("{filters: [{type: RequestRedirect, requestRedirect: {statusCode: 304}}]}"),
     "expected 301, 302"},
    {HTTP("{filters: [{type: RequestRedirect, requestRedirect: {scheme: ftp}}]}"),
     "expected http or https"},
    {HTTP("{filters: [{type: RequestRedirect, requestRedirect: {}}], " BACKEND "}"),
     "has no backends"},
    {HTTP("{filters: [{type: RequestRedirect, requestRedirect: {}}, {type: URLRewrite, urlRewrite: "
          "{hostname: a}}]}"),
     "do not go together"},
    {HTTP("{timeouts: {request: 10}, " BACKEND "}"), "expected text"},
    {HTTP("{timeouts: {request: 10x}, " BACKEND "}"), "is no duration"},
    {HTTP("{timeouts: {request: 1s, backendRequest: 2s}, " BACKEND "}"), "longer than request"},
    {DOC("Gateway", "g") "  gatewayClassName: x\n  listeners: []\n", "has 1 to 64 listeners"},
    {DOC("Gateway",
         "g") "  gatewayClassName: x\n  listeners: [{name: a, port: 0, protocol: HTTP}]\n",
     "from 1 to 65535"},
    {DOC("Gateway",
         "g") "  gatewayClassName: x\n  listeners: [{name: a, port: 80, protocol: QUIC}]\n",
     "expected HTTP"},
    {DOC("Gateway", "g") "  gatewayClassName: x\n  listeners: [{name: a, port: 80, protocol: HTTP, "
                         "hostname: 192.0.2.1}]\n",
     "is an address"},
    {DOC("Gateway", "g") "  gatewayClassName: x\n  listeners: [{name: a, port: 80, protocol: "
                         "HTTP}, {name: a, port: 81, protocol: HTTP}]\n",
     "two listeners are called a"},
    {DOC("GRPCRoute", "r") "  rules: [{matches: [{method: {}}]}]\n",
     "needs service, method or both"},
    {DOC("GRPCRoute", "r") "  rules: [{matches: [{method: {service: a/b}}]}]\n",
     "\"a/b\" is no name of gRPC"},
    {DOC("GRPCRoute", "r") "  rules: [{matches: [{method: {method: a.b}}]}]\n",
     "\"a.b\" is no name of gRPC"},
    {DOC("GRPCRoute",
         "r") "  rules: [{matches: [{method: {type: RegularExpression, service: \"(\"}}]}]\n",
     "are no regular expressions"},
    {DOC("GRPCRoute",
         "r") "  rules: [{filters: [{type: URLRewrite, urlRewrite: {hostname: a}}]}]\n",
     "has no filter of type URLRewrite"},
    {DOC("TLSRoute", "r") "  rules: [{" BACKEND "}]\n", "needs host names"},
};

static void wrong_values_are_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct loaded l = load_text(errors[i].text);
        if (l.rc != -EINVAL || find(&l, "PG400", errors[i].phrase) == NULL) {
            print_findings(&l);
            fail_msg("row %zu: %s", i, errors[i].phrase);
        }
        unload(&l);
    }
}

static const struct {
    const char *text, *code, *phrase;
} told[] = {
    {HTTP("{filters: [{type: RequestMirror, requestMirror: {backendRef: {name: a, port: "
          "80}}}], " BACKEND "}"),
     "PG401", "requests are not mirrored"},
    {HTTP("{filters: [{type: CORS, cors: {}}], " BACKEND "}"), "PG401",
     "CORS headers are not written"},
    {HTTP("{filters: [{type: ExtensionRef, extensionRef: {group: a, kind: b, name: c}}], " BACKEND
          "}"),
     "PG401", "filters of a controller's own"},
    {HTTP("{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: "
          "X-Forwarded-For, value: a}]}}], " BACKEND "}"),
     "PG401", "written by podglass itself"},
    {HTTP("{filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: "
          "[content-length]}}], " BACKEND "}"),
     "PG401", "written by podglass itself"},
    {HTTP("{retry: {attempts: 2}, " BACKEND "}"), "PG401", "podglass' own rules"},
    {HTTP("{backendRefs: [{name: nowhere, port: 80}]}"), "PG404",
     "there is no Service default/nowhere"},
    {HTTP("{backendRefs: [{name: web, port: 81}]}"), "PG404", "has no TCP port 81"},
    {HTTP("{backendRefs: [{name: web, kind: Bucket, group: x}]}"), "PG404", "Bucket is no Service"},
    {HTTP("{backendRefs: [{name: web, namespace: other, port: 80}]}"), "PG404",
     "no ReferenceGrant in other"},
    {HTTP("{matches: []}"), "PG404", "without backends that have a weight"},
    {DOC("HTTPRoute", "r") "  parentRefs: [{name: none}]\n  rules: [{" BACKEND "}]\n" SERVICE_WEB,
     "PG404", "there is no such Gateway"},
    {DOC("HTTPRoute", "r") "  parentRefs: [{name: gw, sectionName: other}]\n  rules: [{" BACKEND
                           "}]\n" GATEWAY SERVICE_WEB,
     "PG404", "no listener of that name"},
    {DOC("HTTPRoute",
         "r") "  parentRefs: [{name: s, kind: Service, group: \"\"}]\n  rules: [{" BACKEND
              "}]\n" SERVICE_WEB,
     "PG401", "a parent that is no Gateway"},
    {DOC("GatewayClass", "other") "  controllerName: a/b\n" GATEWAY, "PG404",
     "there is no GatewayClass x"},
    {DOC("Gateway",
         "g") "  gatewayClassName: x\n  listeners: [{name: a, port: 80, protocol: TCP}]\n",
     "PG401", "nothing is served"},
    {DOC("GRPCRoute", "r") "  parentRefs: [{name: gw}]\n  rules: [{backendRefs: [{name: web, "
                           "namespace: other, port: 80}]}]\n" GATEWAY SERVICE_WEB,
     "PG404", "lets GRPCRoutes of default"},
    {DOC("TLSRoute", "r") "  parentRefs: [{name: gw}]\n  hostnames: [a.test]\n"
                          "  rules: [{" BACKEND "}]\n" GATEWAY SERVICE_WEB,
     "PG404", "no listener of that name and port for TLS"},
    {DOC("Gateway", "g") "  gatewayClassName: x\n  listeners: [{name: a, port: 80, protocol: "
                         "HTTP}, {name: b, port: 80, protocol: HTTP}]\n",
     "PG404", "the same port and hostname"},
};

static void what_is_not_served_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++) {
        struct loaded l = load_text(told[i].text);
        assert_loads(&l);
        if (find(&l, told[i].code, told[i].phrase) == NULL) {
            print_findings(&l);
            fail_msg("row %zu: %s", i, told[i].phrase);
        }
        unload(&l);
    }
}

/* Conditions as a controller would write them. */
static void conditions_say_who_is_attached(void **state)
{
    struct loaded l = load_text(
        DOC("Gateway",
            "gw") "  gatewayClassName: x\n  listeners:\n"
                  "  - {name: a, port: 80, protocol: HTTP, hostname: \"*.a.test\"}\n"
                  "  - {name: b, port: 8080, protocol: HTTP, allowedRoutes: {namespaces: {from: "
                  "All}}}\n"
                  "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: "
                  "{name: one}\nspec:\n"
                  "  parentRefs: [{name: gw}]\n  hostnames: [x.a.test]\n  rules: [{" BACKEND "}]\n"
                  "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: "
                  "{name: two, namespace: other}\nspec:\n"
                  "  parentRefs: [{name: gw, namespace: default}, {name: gw, namespace: default, "
                  "sectionName: a}]\n"
                  "  rules: [{" BACKEND "}]\n"
                  "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: "
                  "{name: three}\nspec:\n"
                  "  parentRefs: [{name: gw, sectionName: a}]\n  hostnames: [b.test]\n  rules: "
                  "[{" BACKEND "}]\n" SERVICE_WEB);
    (void)state;
    assert_loads(&l);
    assert_int_equal(l.s->gateway_count, 1);
    assert_true(l.s->gateways[0].accepted.good);
    assert_int_equal(l.s->listeners[0].attached, 1);
    assert_int_equal(l.s->listeners[1].attached, 2);
    assert_true(l.s->listeners[0].programmed.good);
    const struct pg_route_parent *p = l.s->route_parents;
    assert_int_equal(l.s->route_parent_count, 4);
    assert_true(p[0].accepted.good);
    assert_int_equal(p[0].listeners, 2);
    assert_string_equal(p[1].accepted.reason, "NoMatchingListenerHostname"); /* three */
    assert_true(p[2].accepted.good);
    assert_string_equal(p[3].accepted.reason, "NotAllowedByListeners");
    assert_false(l.s->http_routes[2].resolved.good);
    assert_string_equal(l.s->http_routes[2].resolved.reason, "BackendNotFound");
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_values_are_errors),
        cmocka_unit_test(what_is_not_served_is_told),
        cmocka_unit_test(conditions_say_who_is_attached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
