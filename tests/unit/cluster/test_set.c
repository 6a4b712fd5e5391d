/* --set: which object and field a text means, what the value becomes, and what is refused; and that pg_snapshot_with is the same as a load
 * with that --set. */
#include "load_text.h"

#include "podglass/change.h"
#include "podglass/hash.h"

static const char cluster[] =
    "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\nspec:\n"
    "  type: LoadBalancer\n  selector: {app: web}\n  loadBalancerSourceRanges: [198.51.100.0/24]\n"
    "  ports:\n  - {name: http, port: 80, targetPort: 8080}\n"
    "  - {name: admin, port: 81, targetPort: 8081}\n"
    "---\n" DEPLOYMENT("web.v2", "1") "---\n" DEPLOYMENT("web", "2");

static struct loaded load_set(const char *const *sets, uint32_t count)
{
    return load_bytes(cluster, sizeof cluster - 1,
                      (struct pg_load_options){.sets = sets, .set_count = count});
}

static struct loaded load_one(const char *set)
{
    return load_set(&set, 1);
}

static void a_field_of_spec_is_set(void **state)
{
    struct loaded l = load_one("svc/shop/web.externalTrafficPolicy=Local");
    const struct pg_service *v;

    (void)state;
    assert_loads(&l);
    v = service(&l, "shop", "web");
    assert_true(v->external_local);
    assert_string_equal(v->external_policy_source.file, "--set");
    assert_int_equal(v->external_policy_source.line, 1);
    unload(&l);
}

static void kinds_have_short_names_and_spec_may_be_written(void **state)
{
    static const char *const sets[] = {"service/shop/web.spec.internalTrafficPolicy=Local",
                                       "deploy/default/web.replicas=3",
                                       "Deployment/web.replicas=4"};
    struct loaded l = load_set(sets, 3);
    uint32_t pods = 0;

    (void)state;
    assert_loads(&l);
    assert_true(service(&l, "shop", "web")->internal_local);
    assert_int_equal(service(&l, "shop", "web")->internal_policy_source.line, 1);
    for (uint32_t i = 0; i < l.s->pod_count; i++)
        pods += strcmp(l.s->pods[i].namespace, "default") == 0;
    assert_int_equal(pods, 1 + 4); /* the later one wins */
    unload(&l);
}

static void items_are_named_or_numbered(void **state)
{
    static const char *const sets[] = {"svc/shop/web.ports[0].nodePort=30500",
                                       "svc/shop/web.ports.admin.nodePort=30501",
                                       "svc/shop/web.ports[2]={name: more, port: 82}"};
    struct loaded l = load_set(sets, 3);
    const struct pg_service_port *p;

    (void)state;
    assert_loads(&l);
    p = &l.s->service_ports[service(&l, "shop", "web")->port_first];
    assert_int_equal(p[0].node_port, 30500);
    assert_int_equal(p[1].node_port, 30501);
    assert_int_equal(p[1].node_port_source.line, 2);
    assert_int_equal(p[2].port, 82);
    unload(&l);
}

static void a_name_may_hold_dots(void **state)
{
    struct loaded l = load_one("deploy/web.v2.replicas=2");

    (void)state;
    assert_loads(&l);
    assert_non_null(pod(&l, "web.v2-1"));
    unload(&l);
}

static void a_lab_is_made_if_there_is_none(void **state)
{
    struct loaded l = load_one("lab.ingress.trustedProxies=10.0.0.0/8,192.0.2.1/32");

    (void)state;
    assert_loads(&l);
    assert_int_equal(l.s->lab.ingress.trusted_proxy_count, 2);
    assert_string_equal(l.s->lab.ingress.trusted_source.file, "--set");
    unload(&l);
}

static void an_empty_value_takes_a_field_away(void **state)
{
    struct loaded l = load_one("svc/shop/web.loadBalancerSourceRanges=");

    (void)state;
    assert_loads(&l);
    assert_int_equal(service(&l, "shop", "web")->range_count, 0);
    unload(&l);
}

static void what_has_no_effect_is_an_error(void **state)
{
    static const struct {
        const char *set;
        const char *why;
    } cases[] = {
        {"svc/shop/gone.type=NodePort", "no such object"},
        {"svc/other/web.type=NodePort", "no such object"},
        {"ing/shop/web.rules=x", "no such object"},
        {"svc/shop/web.externalTraficPolicy=Local", "nothing reads that field"},
        {"svc/shop/web.externalTrafficPolicy=local", "expected Cluster or Local"},
        {"svc/shop/web.ports[7].port=1", "the list is shorter"},
        {"svc/shop/web.ports.none.port=1", "no item"},
        {"svc/shop/web.type.x=1", "a value stands"},
        {"svc/shop/web.x[0]=1", "no such list"},
        {"svc/shop/web.a..b=1", "expected OBJECT.FIELD=VALUE"},
        {"svc/shop/web.a[=1", "expected OBJECT.FIELD=VALUE"},
        {"svc/shop/web", "expected OBJECT.FIELD=VALUE"},
        {"=", "expected OBJECT.FIELD=VALUE"},
        {"", "expected OBJECT.FIELD=VALUE"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loaded l = load_one(cases[i].set);
        if (l.rc == 0 || !find(&l, "--set:1", cases[i].why)) {
            print_findings(&l);
            fail_msg("%s: expected \"%s\"", cases[i].set, cases[i].why);
        }
        unload(&l);
    }
}

/* Whatever stands there, it is taken or refused; the sanitizers watch. */
static void garbage_is_refused(void **state)
{
    static const char *const pieces[] = {
        "svc", "/",  "shop",        "web",  ".",    "ports", "[",  "0",  "]",
        "=",   "\"", "{",           "}",    "[\"",  "\"]",   ",",  ":",  "a",
        "lab", "-1", "99999999999", "spec", "\xff", "'",     "&x", "*x", "\n"};
    struct pg_random r;
    struct pg_text set = {0};

    (void)state;
    pg_random_seed(&r, 7);
    for (int i = 0; i < 3000; i++) {
        pg_text_clear(&set);
        pg_text_puts(&set, i % 3 ? "svc/shop/web." : "");
        for (uint32_t n = pg_random_below(&r, 10); n > 0; n--)
            pg_text_puts(&set, pieces[pg_random_below(&r, sizeof pieces / sizeof pieces[0])]);
        struct loaded l = load_one(set.at);
        unload(&l);
    }
    pg_text_free(&set);
}

static void assert_same_prefaces(const struct pg_proxy_settings *a,
                                 const struct pg_proxy_settings *b)
{
    assert_int_equal(a->every_port, b->every_port);
    assert_int_equal(a->port_count, b->port_count);
    assert_int_equal(a->source_count, b->source_count);
    for (uint32_t i = 0; i < a->source_count; i++) {
        assert_true(pg_addr_equal(&a->sources[i].addr, &b->sources[i].addr));
        assert_int_equal(a->sources[i].bits, b->sources[i].bits);
    }
}

static void a_change_is_what_set_does(void **state)
{
    struct loaded plain = load_one("svc/shop/web.internalTrafficPolicy=Local");
    uint32_t web = pg_snapshot_service(plain.s, "shop", "web");
    const struct pg_change changes[] = {
        {.kind = PG_CHANGE_EXTERNAL_POLICY, .service = web, .on = true},
        {.kind = PG_CHANGE_INTERNAL_POLICY, .service = web, .on = false},
        {.kind = PG_CHANGE_SOURCE_RANGES, .service = web},
        {.kind = PG_CHANGE_TRUSTED_PROXIES, .range = {pg_addr_v4(10, 0, 0, 0), 104}},
        {.kind = PG_CHANGE_TRUSTED_PROXIES},
        {.kind = PG_CHANGE_MASQUERADE_ALL, .on = true},
        {.kind = PG_CHANGE_PROXY_PROTOCOL,
         .sources = {{pg_addr_v4(10, 244, 1, 1), 128}, {pg_addr_v4(192, 0, 2, 12), 128}},
         .source_count = 2},
    };

    (void)state;
    assert_loads(&plain);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct pg_text text = {0};
        struct pg_text second = {0};
        assert_true(pg_change_print(plain.s, &changes[i], 0, &text));
        bool both = pg_change_print(plain.s, &changes[i], 1, &second);
        assert_int_equal(both, changes[i].kind == PG_CHANGE_PROXY_PROTOCOL);
        assert_false(pg_change_print(plain.s, &changes[i], 2, &second));
        const char *const sets[] = {"svc/shop/web.internalTrafficPolicy=Local", text.at, second.at};
        struct loaded l = load_set(sets, both ? 3 : 2);
        struct pg_snapshot *s = pg_snapshot_with(plain.s, &changes[i]);
        assert_loads(&l);
        for (uint32_t v = 0; v < s->service_count; v++) {
            /* a health-check port is given out under Local, which no decision reads */
            assert_true(changes[i].kind == PG_CHANGE_EXTERNAL_POLICY ||
                        pg_service_same(s, v, l.s, v));
            assert_int_equal(s->services[v].external_local, l.s->services[v].external_local);
            assert_int_equal(s->services[v].range_count, l.s->services[v].range_count);
        }
        assert_int_equal(s->lab.masquerade_all, l.s->lab.masquerade_all);
        assert_int_equal(s->lab.ingress.trusted_proxy_count, l.s->lab.ingress.trusted_proxy_count);
        if (s->lab.ingress.trusted_proxy_count) {
            assert_true(pg_addr_equal(&s->lab.ingress.trusted_proxies[0].addr,
                                      &l.s->lab.ingress.trusted_proxies[0].addr));
            assert_int_equal(s->lab.ingress.trusted_proxies[0].bits,
                             l.s->lab.ingress.trusted_proxies[0].bits);
        }
        assert_same_prefaces(&s->lab.ingress.proxy, &l.s->lab.ingress.proxy);
        assert_int_equal(pg_snapshot_service(s, "shop", "web"), web);
        pg_snapshot_put(s);
        unload(&l);
        pg_text_free(&text);
        pg_text_free(&second);
    }
    unload(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_of_spec_is_set),
        cmocka_unit_test(kinds_have_short_names_and_spec_may_be_written),
        cmocka_unit_test(items_are_named_or_numbered),
        cmocka_unit_test(a_name_may_hold_dots),
        cmocka_unit_test(a_lab_is_made_if_there_is_none),
        cmocka_unit_test(an_empty_value_takes_a_field_away),
        cmocka_unit_test(what_has_no_effect_is_an_error),
        cmocka_unit_test(garbage_is_refused),
        cmocka_unit_test(a_change_is_what_set_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
