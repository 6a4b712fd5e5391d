/* dns/zone.c: names as the ingress looks them up, and zones as they are built from unusual
 * manifests. */
#include "dns_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct dns_fixture shop;

static int load_shop(void **state)
{
    shop = dns_fixture_shop();
    return 0;
}

static int free_shop(void **state)
{
    dns_fixture_free(&shop);
    return 0;
}

struct resolved {
    enum pg_dns_status status;
    uint32_t count;
    struct pg_addr addrs[8];
    pg_reason_id reason;
};

static struct resolved resolve(const struct pg_zone *z, const char *name, bool want_v6)
{
    struct resolved r = {0};

    r.status = pg_dns_resolve(z, name, strlen(name), want_v6, r.addrs, 8, &r.count, &r.reason);
    return r;
}

static void assert_addr(const struct pg_addr *a, const char *text)
{
    char out[PG_ADDR_TEXT];

    assert_string_equal(pg_addr_print(a, out), text);
}

static void service_name_resolves_with_and_without_trailing_dot(void **state)
{
    static const char *const names[] = {"web.shop.svc.cluster.local", "web.shop.svc.cluster.local.",
                                        "WEB.Shop.svc.cluster.local"};

    for (size_t i = 0; i < 3; i++) {
        struct resolved r = resolve(shop.zone, names[i], false);

        assert_int_equal(r.status, PG_DNS_OK);
        assert_int_equal(r.count, 1);
        assert_addr(&r.addrs[0], "10.96.12.40");
        assert_string_equal(pg_reason_get(r.reason)->object, "Service/shop/web");
    }
}

static void headless_resolves_in_stable_order_and_counts_beyond_the_room(void **state)
{
    struct pg_addr one[1];
    uint32_t count;
    pg_reason_id reason;
    static const char name[] = "db.shop.svc.cluster.local";
    struct resolved r = resolve(shop.zone, name, false);

    assert_int_equal(r.count, 3);
    assert_addr(&r.addrs[0], "10.244.1.20");
    assert_int_equal(
        pg_dns_resolve(shop.zone, name, sizeof(name) - 1, false, one, 1, &count, &reason),
        PG_DNS_OK);
    assert_int_equal(count, 3);
    assert_true(pg_addr_equal(&one[0], &r.addrs[0]));
    assert_int_equal(
        pg_dns_resolve(shop.zone, name, sizeof(name) - 1, false, NULL, 0, &count, &reason),
        PG_DNS_OK);
    assert_int_equal(count, 3);
}

static void status_says_why_there_is_no_address(void **state)
{
    static const struct {
        const char *name;
        bool want_v6;
        enum pg_dns_status status;
    } rows[] = {
        {"web.shop.svc.cluster.local", true, PG_DNS_NODATA},
        {"shop.svc.cluster.local", false, PG_DNS_NODATA},
        {"_http._tcp.web.shop.svc.cluster.local", false, PG_DNS_NODATA},
        {"asleep.shop.svc.cluster.local", false, PG_DNS_NXDOMAIN},
        {"nowhere.shop.svc.cluster.local", false, PG_DNS_NXDOMAIN},
        {"gone.shop.svc.cluster.local", false, PG_DNS_NXDOMAIN},
        {"circle-a.shop.svc.cluster.local", false, PG_DNS_NODATA},
        {"outside.shop.svc.cluster.local", false, PG_DNS_REFUSED},
        {"example.org", false, PG_DNS_REFUSED},
        {"", false, PG_DNS_NXDOMAIN},
        {"web..svc.cluster.local", false, PG_DNS_NXDOMAIN},
        {".web.shop.svc.cluster.local", false, PG_DNS_NXDOMAIN},
        {"web.shop.svc.cluster.local..", false, PG_DNS_NXDOMAIN},
        {".", false, PG_DNS_REFUSED},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct resolved r = resolve(shop.zone, rows[i].name, rows[i].want_v6);

        assert_int_equal(r.status, rows[i].status);
        assert_int_equal(r.count, 0);
    }
}

static void alias_resolves_to_what_it_leads_to(void **state)
{
    struct resolved r = resolve(shop.zone, "ext-ext.shop.svc.cluster.local", false);

    assert_int_equal(r.status, PG_DNS_OK);
    assert_addr(&r.addrs[0], "10.96.12.40");
    assert_string_equal(pg_reason_get(r.reason)->object, "Service/shop/web");
    r = resolve(shop.zone, "outside.shop.svc.cluster.local", false);
    assert_int_equal(r.status, PG_DNS_REFUSED);
}

static void labels_over_63_bytes_are_no_name(void **state)
{
    char name[600];

    memset(name, 'a', sizeof(name));
    memcpy(name + 64, ".svc.cluster.local", 19);
    assert_int_equal(resolve(shop.zone, name, false).status, PG_DNS_NXDOMAIN);
    memcpy(name + 63, ".svc.cluster.local", 19);
    assert_int_equal(resolve(shop.zone, name, false).status, PG_DNS_NXDOMAIN);
    memset(name, 'a', sizeof(name));
    for (int i = 1; i < 599; i += 2) {
        name[i] = '.';
    }
    name[599] = 0;
    assert_int_equal(resolve(shop.zone, name, false).status, PG_DNS_NXDOMAIN);
}

static const char gateway_head[] = "---\napiVersion: v1\nkind: Service\n"
                                   "metadata: {namespace: edge, name: gateway}\nspec:\n";
static const char gateway_tail[] =
    "  selector: {app: gateway}\n"
    "  ports: [{name: http, port: 80}]\n"
    "---\napiVersion: v1\nkind: Pod\n"
    "metadata: {namespace: edge, name: gateway-0, labels: {app: gateway}}\n"
    "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {namespace: edge, name: i}\n"
    "spec:\n  rules:\n  - host: a.test\n    http: {paths: [{path: /, pathType: Prefix, backend: "
    "{service: {name: gateway, port: {number: 80}}}}]}\n";

static struct resolved resolve_host(const char *spec, bool want_v6)
{
    char service[900];

    (void)snprintf(service, sizeof(service), "%s%s%s", gateway_head, spec, gateway_tail);
    struct dns_fixture f = dns_fixture_load(dns_fixture_lab, service, "");
    struct resolved r = resolve(f.zone, "a.test", want_v6);

    pg_zone_free(f.zone);
    pg_snapshot_put(f.snapshot);
    return r;
}

static void host_is_the_nodes_of_a_node_port(void **state)
{
    struct resolved r = resolve_host("  type: NodePort\n", false);

    assert_int_equal(r.count, 2);
    assert_addr(&r.addrs[0], "192.0.2.11");
    assert_addr(&r.addrs[1], "192.0.2.12");
}

static void host_is_the_cluster_ip_when_nothing_leads_there_from_outside(void **state)
{
    struct resolved r = resolve_host("  clusterIP: 10.96.7.7\n", false);

    assert_int_equal(r.count, 1);
    assert_addr(&r.addrs[0], "10.96.7.7");
}

static void cluster_domain_can_be_another(void **state)
{
    struct dns_fixture f = dns_fixture_load("apiVersion: podglass/v1alpha1\nkind: Lab\n"
                                            "spec: {clusterDomain: k8s.example.org}\n",
                                            dns_fixture_services, "");

    assert_int_equal(resolve(f.zone, "web.shop.svc.k8s.example.org", false).count, 1);
    assert_int_equal(resolve(f.zone, "web.shop.svc.cluster.local", false).status, PG_DNS_REFUSED);
    assert_int_equal(resolve(f.zone, "x.k8s.example.org", false).status, PG_DNS_NXDOMAIN);
    assert_int_equal(resolve(f.zone, "example.org", false).status, PG_DNS_REFUSED);
    pg_zone_free(f.zone);
    pg_snapshot_put(f.snapshot);
}

static void cluster_without_any_object_has_its_fixed_names(void **state)
{
    struct dns_fixture f =
        dns_fixture_load("apiVersion: podglass/v1alpha1\nkind: Lab\nspec: {}\n", "", "");

    assert_int_equal(resolve(f.zone, "svc.cluster.local", false).status, PG_DNS_NODATA);
    assert_int_equal(resolve(f.zone, "ns.dns.cluster.local", false).count, 1);
    pg_zone_free(f.zone);
    pg_snapshot_put(f.snapshot);
}

static void zone_keeps_its_snapshot(void **state)
{
    struct dns_fixture f = dns_fixture_load(dns_fixture_lab, dns_fixture_services, "");

    pg_snapshot_put(f.snapshot);
    assert_int_equal(resolve(f.zone, "web.shop.svc.cluster.local", false).count, 1);
    pg_zone_free(f.zone);
    pg_zone_free(NULL);
}

static void verified_pod_records_need_a_pod_of_that_namespace(void **state)
{
    static const struct {
        const char *name;
        const char *expected;
    } rows[] = {
        {"10-244-1-60.shop.pod.cluster.local",
         "NOERROR aa\nanswer 10-244-1-60.shop.pod.cluster.local. 30 A 10.244.1.60\n"},
        {"10-244-1-60.edge.pod.cluster.local", "NXDOMAIN aa\n"}, /* it is shop's */
        {"10-244-1-61.shop.pod.cluster.local", "NXDOMAIN aa\n"}, /* nobody's */
        {"fd60--60.shop.pod.cluster.local", "NXDOMAIN aa\n"},
    };
    struct dns_fixture f = dns_fixture_load("apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n"
                                            "  dns: {address: 10.96.0.10, podRecords: verified}\n",
                                            "", dns_fixture_services);

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dns_question ask = {.name = rows[i].name, .type = PG_DNS_A};
        struct pg_text got = dns_ask_full(f.zone, ask, NULL, NULL);

        assert_int_equal(strncmp(got.at ? got.at : "", rows[i].expected, strlen(rows[i].expected)),
                         0);
        pg_text_free(&got);
    }
    pg_zone_free(f.zone);
    pg_snapshot_put(f.snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(service_name_resolves_with_and_without_trailing_dot),
        cmocka_unit_test(headless_resolves_in_stable_order_and_counts_beyond_the_room),
        cmocka_unit_test(status_says_why_there_is_no_address),
        cmocka_unit_test(alias_resolves_to_what_it_leads_to),
        cmocka_unit_test(labels_over_63_bytes_are_no_name),
        cmocka_unit_test(host_is_the_nodes_of_a_node_port),
        cmocka_unit_test(host_is_the_cluster_ip_when_nothing_leads_there_from_outside),
        cmocka_unit_test(cluster_domain_can_be_another),
        cmocka_unit_test(cluster_without_any_object_has_its_fixed_names),
        cmocka_unit_test(zone_keeps_its_snapshot),
        cmocka_unit_test(verified_pod_records_need_a_pod_of_that_namespace),
    };
    return cmocka_run_group_tests(tests, load_shop, free_shop);
}
