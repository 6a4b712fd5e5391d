/* Which rule takes a request: rows of host and path, and the backend they must find. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "podglass/ingress_decide.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUTE(h, p, type, backend, number)                                                      \
    {                                                                                           \
        .host = (h), .path = (p), .path_type = PG_PATH_##type, .backend_text = (backend),       \
        .object = "Ingress/shop/main", .listener = PG_INDEX_NONE, .split = 1, .rule = (number), \
        .source = {"shop.yaml", 10}, .host_source = {                                           \
            "shop.yaml",                                                                        \
            9                                                                                   \
        }                                                                                       \
    }

static const struct pg_route routes[] = {
    ROUTE("a.test", "/cart", EXACT, "exact-cart", 1),
    ROUTE("a.test", "/cart", PREFIX, "cart", 1),
    ROUTE("a.test", "/cart/items/", PREFIX, "items", 1),
    ROUTE("a.test", "/api", IMPLEMENTATION, "api", 1),
    ROUTE("a.test", "/api", PREFIX, "never: the first of equals counts", 2),
    ROUTE("*.wild.test", "/", PREFIX, "wild", 1),
    ROUTE("x.wild.test", "/only", PREFIX, "x", 1),
    ROUTE("", "/any", PREFIX, "any", 1),
    ROUTE("b.test", "/", PREFIX, "b", 1),
};
static const struct pg_route fallback = ROUTE("", "/", PREFIX, "default", 0);

static const struct {
    const char *host;
    const char *path;
    const char *backend; /* NULL: none */
} rows[] = {
    {"a.test", "/cart", "exact-cart"},
    {"a.test", "/cart/", "cart"},
    {"a.test", "/cart/x", "cart"},
    {"a.test", "/cartoon", NULL},
    {"a.test", "/Cart", NULL},
    {"a.test", "/cart?x=/y", "exact-cart"},
    {"a.test", "/cart/items", "items"},
    {"a.test", "/cart/items/", "items"},
    {"a.test", "/cart/items/7", "items"},
    {"a.test", "/cart/itemsx", "cart"},
    {"a.test", "/api", "api"},
    {"a.test", "/api/v1/very/long/path/that/goes/on", "api"},
    {"a.test", "/", NULL},
    {"a.test", "/any/thing", "any"}, /* a rule without host takes all traffic */
    {"A.TEST:8080", "/cart", "exact-cart"},
    {"a.test.", "/cart", "exact-cart"},
    {"a.test", "/%63art", "exact-cart"},
    {"a.test", "/x/../cart", "exact-cart"},
    {"a.test", "/cart/items/../7", "cart"},
    {"a.test", "/cart%2Fitems", NULL}, /* an escaped slash is no separator */
    {"y.wild.test", "/", "wild"},
    {"Y.Wild.Test:80", "/deep/path", "wild"},
    {"x.wild.test", "/only/this", "x"},
    {"x.wild.test", "/other", "wild"},
    {"wild.test", "/", NULL},
    {"a.b.wild.test", "/", NULL},
    {".wild.test", "/", NULL},
    {"b.test", "/whatever", "b"},
    {"b.test", "", "b"},
    {"b.test", "*", "b"},
    {"", "/any", "any"},
    {"", "/", NULL},
    {"[2001:db8::1]:80", "/any", "any"},
};

static struct pg_router *make(struct pg_snapshot *s, const struct pg_route *list, uint32_t count)
{
    static const struct pg_hash_key key = {1, 2};
    *s = (struct pg_snapshot){.routes = list, .route_count = count};
    struct pg_router *r = pg_router_new(s, &key);
    assert_non_null(r);
    return r;
}

static void every_row_finds_its_rule(void **state)
{
    struct pg_snapshot s;
    struct pg_router *r = make(&s, routes, sizeof(routes) / sizeof(routes[0]));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct pg_route_match match;
        pg_route_match(r,
                       &(struct pg_route_facts){.host = pg_slice_of(rows[i].host),
                                                .path = pg_slice_of(rows[i].path)},
                       &match);
        const char *got = match.route ? match.route->backend_text : NULL;
        if ((got == NULL) != (rows[i].backend == NULL) ||
            (got && strcmp(got, rows[i].backend) != 0))
            fail_msg("%s%s: %s", rows[i].host, rows[i].path, got ? got : "nothing");
    }
    pg_router_free(r);
}

static void reason_names_the_line(void **state)
{
    struct pg_snapshot s;
    struct pg_router *r = make(&s, routes, sizeof(routes) / sizeof(routes[0]));
    struct pg_route_match match;
    pg_route_match(
        r, &(struct pg_route_facts){.host = pg_slice_of("a.test"), .path = pg_slice_of("/cart")},
        &match);
    const struct pg_reason *reason = pg_reason_get(match.reason);
    assert_int_equal(reason->code, PG_CODE_ROUTE_RULE);
    assert_string_equal(reason->object, "Ingress/shop/main");
    assert_string_equal(reason->value, "/cart");
    assert_string_equal(reason->file, "shop.yaml");
    assert_int_equal(reason->line, 10);
    pg_route_match(
        r, &(struct pg_route_facts){.host = pg_slice_of("c.test"), .path = pg_slice_of("/")},
        &match);
    assert_int_equal(pg_reason_get(match.reason)->code, PG_CODE_ROUTE_NONE);
    pg_router_free(r);
}

static void default_backend_takes_what_no_rule_does(void **state)
{
    struct pg_route list[2] = {fallback, routes[0]};
    struct pg_snapshot s;
    struct pg_router *r = make(&s, list, 2);
    struct pg_route_match match;
    pg_route_match(
        r, &(struct pg_route_facts){.host = pg_slice_of("a.test"), .path = pg_slice_of("/cart")},
        &match);
    assert_string_equal(match.route->backend_text, "exact-cart");
    pg_route_match(
        r, &(struct pg_route_facts){.host = pg_slice_of("a.test"), .path = pg_slice_of("/other")},
        &match);
    assert_string_equal(match.route->backend_text, "default");
    assert_int_equal(pg_reason_get(match.reason)->code, PG_CODE_ROUTE_DEFAULT);
    pg_router_free(r);
}

static void longest_prefix_wins_among_thousands(void **state)
{
    enum { COUNT = 5000 };
    struct pg_route *list = calloc(COUNT, sizeof(*list));
    char(*paths)[32] = calloc(COUNT, 32);
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf(paths[i], 32, "/s%u/p%u", i / 100, i % 100);
        list[i] = (struct pg_route)ROUTE("a.test", paths[i], PREFIX, paths[i], 1);
    }
    struct pg_snapshot s;
    struct pg_router *r = make(&s, list, COUNT);
    for (uint32_t i = 0; i < COUNT; i += 7) {
        char path[64];
        struct pg_route_match match;
        (void)snprintf(path, sizeof(path), "%s/and/more", paths[i]);
        pg_route_match(
            r, &(struct pg_route_facts){.host = pg_slice_of("a.test"), .path = pg_slice_of(path)},
            &match);
        assert_string_equal(match.route->backend_text, paths[i]);
    }
    pg_router_free(r);
    free(paths);
    free(list);
}

static int forget(void **state)
{
    pg_reason_forget_all();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_finds_its_rule),
        cmocka_unit_test(reason_names_the_line),
        cmocka_unit_test(default_backend_takes_what_no_rule_does),
        cmocka_unit_test(longest_prefix_wins_among_thousands),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
