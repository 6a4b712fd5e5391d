/* HTTPRoutes, from manifest to rule: the specification's order of precedence, hostnames, listeners, and what paths and locations filters make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/packet.h"
#include "podglass/route_filter_decide.h"

#include <stdio.h>
#include <string.h>

#define DOC(kind) "---\napiVersion: gateway.networking.k8s.io/v1\nkind: " kind "\nmetadata: "
#define SERVICE(name)                                                                        \
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: " name "}\nspec: {ports: [{port: " \
    "80}]}\n"
#define ROUTE(meta, hosts, rules)                                               \
    DOC("HTTPRoute")                                                            \
    "{" meta "}\nspec:\n  parentRefs: [{name: gw}]\n  hostnames: [" hosts "]\n" \
    "  rules:\n" rules
#define TO(service) ", backendRefs: [{name: " service ", port: 80}]}\n"

static const char world[] =
    "apiVersion: podglass/v1alpha1\nkind: Lab\nspec: {ingress: {service: default/front}}\n"
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: front}\nspec: {type: LoadBalancer, "
    "selector: {app: front}, ports: [{name: a, port: 80}, {name: b, port: 8080}]}\n"
    "---\napiVersion: v1\nkind: Pod\nmetadata: {name: front, labels: {app: front}}\n"
    "status: {podIP: 10.244.1.2, phase: Running, conditions: [{type: Ready, status: "
    "\"True\"}]}\n" DOC("Gateway") "{name: gw}\nspec:\n  gatewayClassName: x\n  listeners:\n"
                                   "  - {name: http, port: 80, protocol: HTTP}\n"
                                   "  - {name: only, port: 8080, protocol: HTTP, hostname: "
                                   "\"*.only.test\"}\n" SERVICE("a") SERVICE("b") SERVICE("c")
                                       SERVICE("d") SERVICE("e") SERVICE("f")
    /* paths, methods, headers, queries: each rule with one thing more beats the one before */
    ROUTE("name: order", "o.test",
          "  - {matches: [{path: {value: /}}]" TO("a") "  - {matches: [{path: {value: /p}}]" TO(
              "b") "  - {matches: [{path: {value: /p}, "
                   "queryParams: [{name: q, value: "
                   "\"1\"}]}]" TO("c") "  - {matches: "
                                       "[{path: "
                                       "{value: /p}, "
                                       "headers: "
                                       "[{name: H, "
                                       "value: "
                                       "v}]}]" TO("d") "  "
                                                       "- "
                                                       "{ma"
                                                       "tch"
                                                       "es:"
                                                       " [{"
                                                       "pat"
                                                       "h: "
                                                       "{va"
                                                       "lue"
                                                       ": "
                                                       "/p}"
                                                       ", "
                                                       "met"
                                                       "hod"
                                                       ": "
                                                       "GET"
                                                       "}"
                                                       "]" TO("e") "  - {matches: [{path: "
                                                                   "{type: Exact, value: "
                                                                   "/p}}]" TO("f") "  - "
                                                                                   "{match"
                                                                                   "es: "
                                                                                   "[{"
                                                                                   "path: "
                                                                                   "{type:"
                                                                                   " Regul"
                                                                                   "arExpr"
                                                                                   "ession"
                                                                                   ", "
                                                                                   "value:"
                                                                                   " \"/p/"
                                                                                   "[0-9]+"
                                                                                   "\"}}"
                                                                                   "]" TO("f"))
    /* more headers, then more queries */
    ROUTE(
        "name: counts", "c.test",
        "  - {matches: [{headers: [{name: X, value: \"1\"}]}]" TO(
            "a") "  - {matches: [{headers: [{name: X, value: \"1\"}, {name: Yy, value: "
                 "\"2\"}]}]" TO("b") "  - {matches: [{headers: [{name: X, value: \"1\"}], "
                                     "queryParams: [{name: q, value: z}]}]" TO("c") "  - {matches: "
                                                                                    "[{headers: "
                                                                                    "[{name: x, "
                                                                                    "type: "
                                                                                    "RegularExpress"
                                                                                    "ion, value: "
                                                                                    "\"[5-9]\"}]}"
                                                                                    "]" TO("d"))
    /* ties: older, then name, then earlier rule */
    ROUTE("name: young, creationTimestamp: \"2026-02-01T00:00:00Z\"", "t.test",
          "  - {matches: [{path: {value: /age}}]" TO("a"))
        ROUTE("name: zold, creationTimestamp: \"2026-01-01T00:00:00Z\"", "t.test",
              "  - {matches: [{path: {value: /age}}]" TO(
                  "b") "  - {matches: [{path: {value: /rule}}]" TO("c") "  - {matches: [{path: "
                                                                        "{value: /rule/}}]" TO("d"))
            ROUTE("name: bname", "t.test", "  - {matches: [{path: {value: /name}}]" TO("b"))
                ROUTE("name: aname", "t.test", "  - {matches: [{path: {value: /name}}]" TO("a"))
    /* hostnames */
    ROUTE("name: exact", "x.y.h.test", "  - {matches: [{path: {value: /deep}}]" TO("a"))
        ROUTE("name: longer", "\"*.y.h.test\"", "  - {matches: [{path: {value: /}}]" TO("b"))
            ROUTE("name: shorter", "\"*.h.test\"", "  - {matches: [{path: {value: /}}]" TO("c"))
    /* the listener on 8080 takes part of the names */
    ROUTE("name: part", "\"*.test\"", "  - {matches: [{path: {value: /part}}]" TO("e"));

static const struct {
    const char *host, *target;
    const char *method, *fields;
    uint16_t port;
    const char *service; /* NULL: none */
} rows[] = {
    {"o.test", "/", "GET", "", 80, "a"},
    {"o.test", "/px", "GET", "", 80, "a"},
    {"o.test", "/p/x", "PUT", "", 80, "b"},
    {"o.test", "/p/x?q=1", "PUT", "", 80, "c"},
    {"o.test", "/p/x?q=2&q=1", "PUT", "", 80, "b"}, /* the first of a name counts */
    {"o.test", "/p/x?q=%31", "PUT", "", 80, "c"},
    {"o.test", "/p/x?q=1", "PUT", "H: v\r\n", 80, "d"},
    {"o.test", "/p/x?q=1", "GET", "h: v\r\n", 80, "e"},
    {"o.test", "/p?q=1", "GET", "H: v\r\n", 80, "f"},
    {"o.test", "/p/42", "GET", "H: v\r\n", 80, "f"},
    {"o.test", "/p/42x", "PUT", "", 80, "b"},
    {"o.test", "/p", "PUT", "H: x\r\nH: v\r\n", 80, "f"},
    {"c.test", "/", "GET", "X: 1\r\n", 80, "a"},
    {"c.test", "/", "GET", "X: 1\r\nYy: 2\r\n", 80, "b"},
    {"c.test", "/?q=z", "GET", "X: 1\r\nYy: 2\r\n", 80, "b"},
    {"c.test", "/?q=z", "GET", "X: 1\r\n", 80, "c"},
    {"c.test", "/", "GET", "X: 7\r\n", 80, "d"},
    {"c.test", "/", "GET", "X: 77\r\n", 80, NULL},
    {"c.test", "/", "GET", "X: 1\r\nX: 1\r\n", 80, NULL}, /* "1,1" */
    {"c.test", "/", "GET", "", 80, NULL},
    {"t.test", "/age", "GET", "", 80, "b"},
    {"t.test", "/name", "GET", "", 80, "a"},
    {"t.test", "/rule/1", "GET", "", 80, "d"}, /* the longer text */
    {"x.y.h.test", "/deep", "GET", "", 80, "a"},
    {"x.y.h.test", "/", "GET", "", 80, "b"}, /* on to the next best name */
    {"z.x.y.h.test", "/", "GET", "", 80, "b"},
    {"Y.H.Test:80", "/", "GET", "", 80, "c"},
    {"h.test", "/", "GET", "", 80, NULL},
    {"h.test", "/part", "GET", "", 80, "e"},
    {"a.only.test", "/part", "GET", "", 8080, "e"},
    {"a.other.test", "/part", "GET", "", 8080, NULL},
    {"only.test", "/part", "GET", "", 8080, NULL},
    {"o.test", "/", "GET", "", 9, NULL},
};

static struct pg_snapshot *load(const char *text)
{
    struct pg_manifest_input input = {"t.yaml", text, strlen(text)};
    struct pg_snapshot *s = NULL;
    struct pg_findings findings;
    int rc = pg_snapshot_load(&input, 1, NULL, &s, &findings);
    for (uint32_t i = 0; rc != 0 && i < findings.count; i++)
        print_message("%u: %s %s\n", findings.at[i].source.line, findings.at[i].field,
                      findings.at[i].text);
    pg_findings_free(&findings);
    assert_int_equal(rc, 0);
    return s;
}

static void parse(struct pg_http_head *head, char *bytes, size_t room, const char *method,
                  const char *target, const char *host, const char *fields)
{
    struct pg_http_scan scan = {0};
    enum pg_http_error error;
    int len =
        snprintf(bytes, room, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", method, target, host, fields);
    assert_int_equal(pg_http_parse(PG_HTTP_REQUEST, &scan, bytes, (uint32_t)len, head, &error), 0);
}

static void every_row_finds_its_rule(void **state)
{
    static const struct pg_hash_key key = {1, 2};
    static struct pg_http_head head;
    char bytes[1024];
    struct pg_snapshot *s = load(world);
    struct pg_router *r = pg_router_new(s, &key);
    (void)state;
    assert_non_null(r);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_route_match match;
        parse(&head, bytes, sizeof(bytes), rows[i].method, rows[i].target, rows[i].host,
              rows[i].fields);
        struct pg_route_facts facts = pg_route_facts_of(&head, bytes, rows[i].port, false);
        pg_route_match(r, &facts, &match);
        const char *got = match.route ? s->services[match.route->service].name : NULL;
        if ((got == NULL) != (rows[i].service == NULL) ||
            (got != NULL && strcmp(got, rows[i].service) != 0))
            fail_msg("row %zu: %s%s goes to %s", i, rows[i].host, rows[i].target,
                     got ? got : "nobody");
    }
    pg_router_free(r);
    pg_snapshot_put(s);
}

/* Each backend as often as its weight says, and never one without. */
static void draws_fall_on_backends_by_weight(void **state)
{
    const struct pg_route routes[3] = {
        {.backend_text = "a", .split = 3, .weight = 5, .weights = 10},
        {.backend_text = "b", .weight = 1, .weights = 10},
        {.backend_text = "c", .weight = 4, .weights = 10}};
    uint32_t met[3] = {0};
    (void)state;
    for (uint64_t draw = 0; draw < 10; draw++)
        met[pg_route_draw(routes, draw) - routes]++;
    assert_int_equal(met[0], 5);
    assert_int_equal(met[1], 1);
    assert_int_equal(met[2], 4);
}

/* ---- filters ---- */

static const struct {
    const char *prefix;            /* of the match */
    struct pg_route_filter filter; /* the rest of it */
    const char *target;
    uint16_t port;
    const char *made; /* target or location */
} made[] = {
#define PATH(change, with)                                                                       \
    {                                                                                            \
        .kind = PG_FILTER_PATH, .path_change = (change), .value = (with), .name = "", .host = "" \
    }
    /* the specification's table */
    {"/foo", PATH(PG_PATH_REPLACE_PREFIX, "/xyz"), "/foo/bar", 0, "/xyz/bar"},
    {"/foo", PATH(PG_PATH_REPLACE_PREFIX, "/xyz/"), "/foo/bar", 0, "/xyz/bar"},
    {"/foo/", PATH(PG_PATH_REPLACE_PREFIX, "/xyz"), "/foo/bar", 0, "/xyz/bar"},
    {"/foo/", PATH(PG_PATH_REPLACE_PREFIX, "/xyz/"), "/foo/bar", 0, "/xyz/bar"},
    {"/foo", PATH(PG_PATH_REPLACE_PREFIX, "/xyz"), "/foo", 0, "/xyz"},
    {"/foo", PATH(PG_PATH_REPLACE_PREFIX, "/xyz"), "/foo/", 0, "/xyz/"},
    {"/foo", PATH(PG_PATH_REPLACE_PREFIX, ""), "/foo/bar", 0, "/bar"},
    {"/foo", PATH(PG_PATH_REPLACE_PREFIX, ""), "/foo/", 0, "/"},
    {"/foo", PATH(PG_PATH_REPLACE_PREFIX, ""), "/foo", 0, "/"},
    {"/foo", PATH(PG_PATH_REPLACE_PREFIX, "/"), "/foo/", 0, "/"},
    {"/foo", PATH(PG_PATH_REPLACE_PREFIX, "/"), "/foo", 0, "/"},
    {"/", PATH(PG_PATH_REPLACE_PREFIX, "/xyz"), "/a?b", 0, "/xyz/a?b"},
    {"/foo", PATH(PG_PATH_FULL, "/one"), "/foo/bar?x", 0, "/one?x"},
#define REDIRECT(scheme_, host_, port_, change, with)                                         \
    {                                                                                         \
        .kind = PG_FILTER_REDIRECT_PARTS, .number = 302, .name = (scheme_), .host = (host_),  \
        .port = (port_), .path_change = (change), .value = (with), .object = "", .field = "", \
        .text = ""                                                                            \
    }
    {"/", REDIRECT("", "", 0, PG_PATH_KEEP, ""), "/a?b", 80, "http://h.test/a?b"},
    {"/", REDIRECT("", "", 0, PG_PATH_KEEP, ""), "/a", 8080, "http://h.test:8080/a"},
    {"/", REDIRECT("https", "", 0, PG_PATH_KEEP, ""), "/a", 8080, "https://h.test/a"},
    {"/", REDIRECT("https", "", 8443, PG_PATH_KEEP, ""), "/a", 80, "https://h.test:8443/a"},
    {"/", REDIRECT("http", "o.test", 80, PG_PATH_KEEP, ""), "/a", 8080, "http://o.test/a"},
    {"/", REDIRECT("", "o.test", 443, PG_PATH_KEEP, ""), "/a", 80, "http://o.test:443/a"},
    {"/foo", REDIRECT("", "", 0, PG_PATH_REPLACE_PREFIX, "/x"), "/foo/b?q", 80,
     "http://h.test/x/b?q"},
    {"/foo", REDIRECT("", "", 0, PG_PATH_FULL, "/x"), "/foo/b", 80, "http://h.test/x"},
};

static void paths_and_locations_come_out_as_specified(void **state)
{
    static struct pg_http_head head;
    static struct pg_route_plan plan;
    char bytes[1024];
    struct pg_client_addr who = {0};
    (void)state;
    for (size_t i = 0; i < sizeof(made) / sizeof(made[0]); i++) {
        struct pg_route route = {.path = made[i].prefix, .filter_count = 1};
        struct pg_snapshot s = {.filters = &made[i].filter, .filter_count = 1};
        parse(&head, bytes, sizeof(bytes), "GET", made[i].target, "h.test:80", "");
        struct pg_route_ask ask = {.snapshot = &s,
                                   .route = &route,
                                   .head = &head,
                                   .bytes = bytes,
                                   .who = &who,
                                   .scheme = "http",
                                   .port = made[i].port};
        pg_route_filters_decide(&ask, &plan);
        struct pg_slice got = plan.status ? plan.location : plan.target;
        if (plan.error || !pg_slice_is(got, made[i].made))
            fail_msg("row %zu: %.*s, not %s", i, (int)got.len, got.at, made[i].made);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_finds_its_rule),
        cmocka_unit_test(draws_fall_on_backends_by_weight),
        cmocka_unit_test(paths_and_locations_come_out_as_specified),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    pg_reason_forget_all();
    return failed;
}
