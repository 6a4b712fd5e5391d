/* The finished snapshot: the documentation lab as it must come out, lookups, references, and
 * what counts as the same service. */
#include "load_text.h"

#include <stdlib.h>

static const char lab_text[] = SERVICE(
    "gateway, namespace: edge",
    "  type: LoadBalancer\n  "
    "clusterIP: 10.96.5.5\n  "
    "selector: {app: gateway}\n  "
    "ports: [{name: http, port: "
    "80}]\n") "---\n" SERVICE("web, namespace: shop",
                              "  clusterIP: 10.96.12.40\n  selector: {app: web}\n  ports: [{name: "
                              "http, port: 80, "
                              "targetPort: 8080}]\n") "---\n" DEPLOYMENT("gateway, namespace: edge",
                                                                         "1") "---\n" DEPLOYMENT("w"
                                                                                                 "e"
                                                                                                 "b"
                                                                                                 ","
                                                                                                 " "
                                                                                                 "n"
                                                                                                 "a"
                                                                                                 "m"
                                                                                                 "e"
                                                                                                 "s"
                                                                                                 "p"
                                                                                                 "a"
                                                                                                 "c"
                                                                                                 "e"
                                                                                                 ":"
                                                                                                 " "
                                                                                                 "s"
                                                                                                 "h"
                                                                                                 "o"
                                                                                                 "p",
                                                                                                 "2") "---\n"
                                                                                                      "apiVersion: "
                                                                                                      "podglass/"
                                                                                                      "v1alpha1\nkind: "
                                                                                                      "Lab\nspec:\n"
                                                                                                      "  ingress: {service: "
                                                                                                      "edge/gateway, "
                                                                                                      "trustedProxies: "
                                                                                                      "[192.0.2.0/24]}\n"
                                                                                                      "  dns: {ttl: 5, "
                                                                                                      "podRecords: "
                                                                                                      "insecure}\n"
                                                                                                      "  pods:\n"
                                                                                                      "  - {match: "
                                                                                                      "edge/gateway-0, "
                                                                                                      "address: 10.244.1.2}\n"
                                                                                                      "  - {match: "
                                                                                                      "shop/web-0, address: "
                                                                                                      "10.244.1.7}\n"
                                                                                                      "  - {match: "
                                                                                                      "shop/web-1, address: "
                                                                                                      "10.244.2.9}\n";

/* DEPLOYMENT writes its name into selectors too, where "web, namespace: shop" would be two
 * labels: harmless here. */
static void the_documentation_lab_comes_out_as_documented(void **state)
{
    (void)state;
    struct loaded l = load_text(lab_text);
    assert_loads(&l);
    assert_int_equal(l.s->node_count, 2);
    assert_string_equal(l.s->nodes[0].name, "node-1");
    assert_addr(&l.s->nodes[0].addr[0], "192.0.2.11");
    assert_addr(&l.s->nodes[0].gateway[0], "10.244.1.1");
    assert_addr(&l.s->nodes[1].addr[0], "192.0.2.12");
    assert_addr(&pod(&l, "gateway-0")->addr[0], "10.244.1.2");
    assert_int_equal(pod(&l, "gateway-0")->node, 0);
    assert_int_equal(pod(&l, "gateway-0")->backing, PG_BACKING_INGRESS);
    assert_addr(&pod(&l, "web-1")->addr[0], "10.244.2.9");
    assert_int_equal(pod(&l, "web-1")->node, 1);
    assert_string_equal(endpoints(&l, service(&l, "shop", "web"), 0),
                        "10.244.1.7:8080 10.244.2.9:8080");
    assert_addr(&l.s->lb_ips[service(&l, "edge", "gateway")->lb_first].addr, "203.0.113.10");
    assert_addr(&l.s->lab.dns[0], "10.96.0.10");
    assert_int_equal(l.s->lab.dns_ttl, 5);
    assert_true(l.s->lab.pod_records);
    assert_string_equal(l.s->lab.cluster_domain, "cluster.local");
    assert_int_equal(l.s->lab.ingress.trusted_proxy_count, 1);
    assert_int_equal(l.s->client_count, 2);
    assert_string_equal(l.s->clients[0].name, "alice");
    assert_addr(&l.s->clients[1].addr, "198.51.100.66");
    unload(&l);
}

static void lookups_find_what_is_there_and_nothing_else(void **state)
{
    (void)state;
    struct loaded l = load_text(lab_text);
    assert_loads(&l);
    struct pg_addr web = addr("10.244.1.7");
    struct pg_addr nobody = addr("10.244.1.99");
    struct pg_addr node = addr("192.0.2.12");
    struct pg_addr gateway = addr("10.244.2.1");
    uint32_t at = pg_snapshot_pod_by_addr(l.s, &web);
    assert_int_not_equal(at, PG_INDEX_NONE);
    assert_string_equal(l.s->pods[at].name, "web-0");
    assert_int_equal(pg_snapshot_pod_by_addr(l.s, &nobody), PG_INDEX_NONE);
    assert_int_equal(pg_snapshot_node_by_addr(l.s, &node), 1);
    assert_int_equal(pg_snapshot_node_by_addr(l.s, &gateway), 1);
    assert_int_equal(pg_snapshot_node_by_addr(l.s, &web), PG_INDEX_NONE);
    assert_int_equal(pg_snapshot_node_of(l.s, &web), 0);
    assert_int_equal(pg_snapshot_node_of(l.s, &nobody), 0);
    assert_int_equal(pg_snapshot_service(l.s, "shop", "nobody"), PG_INDEX_NONE);
    assert_int_equal(pg_snapshot_service(l.s, "", ""), PG_INDEX_NONE);
    unload(&l);
}

static void a_snapshot_lives_until_its_last_reference(void **state)
{
    (void)state;
    struct loaded l = load_text(lab_text);
    assert_loads(&l);
    struct pg_snapshot *s = pg_snapshot_ref(l.s);
    unload(&l);
    assert_string_equal(s->services[0].name, "gateway");
    pg_snapshot_put(s);
    pg_snapshot_put(NULL);
}

static void cluster_dns_is_the_kube_dns_service_if_given(void **state)
{
    (void)state;
    struct loaded l =
        load_text(SERVICE("kube-dns, namespace: kube-system",
                          "  clusterIP: 10.43.0.10\n  ports: [{port: 53, protocol: UDP}]\n"));
    assert_loads(&l);
    assert_addr(&l.s->lab.dns[0], "10.43.0.10");
    unload(&l);
    l = load_text(
        SERVICE("kube-dns, namespace: kube-system", "  ports: [{port: 53, protocol: UDP}]\n"));
    assert_loads(&l);
    assert_addr(&service(&l, "kube-system", "kube-dns")->cluster_ip[0], "10.96.0.10");
    unload(&l);
}

#define BASE(spec) SERVICE("web", "  clusterIP: 10.96.3.3\n  selector: {app: web}\n" spec)
#define PORT       "  ports: [{name: http, port: 80, targetPort: 8080}]\n"

static void a_service_is_the_same_until_the_path_could_tell(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool same;
    } rows[] = {
        {BASE(PORT) "---\n" DEPLOYMENT("web", "2"), true},
        {"# a comment\n" DEPLOYMENT("web", "2") "---\n" BASE(PORT), true},
        {DEPLOYMENT("aaa", "2") "---\n" SERVICE("aa", "  ports: [{port: 1}]\n") "---\n" BASE(
             PORT) "---\n" DEPLOYMENT("web", "2"),
         true},
        {BASE(PORT) "---\n" DEPLOYMENT("web", "3"), false},
        {BASE("  sessionAffinity: ClientIP\n" PORT) "---\n" DEPLOYMENT("web", "2"), false},
        {BASE("  internalTrafficPolicy: Local\n" PORT) "---\n" DEPLOYMENT("web", "2"), false},
        {BASE("  externalIPs: [192.0.2.99]\n" PORT) "---\n" DEPLOYMENT("web", "2"), false},
        {BASE("  type: NodePort\n" PORT) "---\n" DEPLOYMENT("web", "2"), false},
        {BASE("  ports: [{name: http, port: 81, targetPort: 8080}]\n") "---\n" DEPLOYMENT("web",
                                                                                          "2"),
         false},
        {BASE("  ports: [{name: http, port: 80, targetPort: 8081}]\n") "---\n" DEPLOYMENT("web",
                                                                                          "2"),
         false},
    };
    struct loaded a = load_text(rows[0].text);
    assert_loads(&a);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded b = load_text(rows[i].text);
        assert_loads(&b);
        bool same = pg_service_same(a.s, pg_snapshot_service(a.s, "default", "web"), b.s,
                                    pg_snapshot_service(b.s, "default", "web"));
        if (same != rows[i].same)
            print_message("row %zu\n", i);
        bool sums_same = a.s->service_sums[pg_snapshot_service(a.s, "default", "web")] ==
                         b.s->service_sums[pg_snapshot_service(b.s, "default", "web")];
        assert_int_equal(sums_same, i == 0); /* the others are elsewhere in their file, at least */
        assert_int_equal(a.s->frame_sum, b.s->frame_sum);
        assert_int_equal(same, rows[i].same);
        unload(&b);
    }
    unload(&a);
}

static void thousands_of_services_load_in_a_moment(void **state)
{
    (void)state;
    struct pg_text t = {0};
    for (int i = 0; i < 2000; i++)
        pg_text_printf(
            &t,
            "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d}\nspec: {selector: {app: "
            "s%d}, ports: [{port: 80}]}\n---\n"
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: s%d}\nspec:\n  replicas: 5\n  "
            "selector: {matchLabels: {app: s%d}}\n  template: {metadata: {labels: {app: s%d}}}\n",
            i, i, i, i, i);
    pg_text_puts(&t, "---\napiVersion: podglass/v1alpha1\nkind: Lab\nspec: {nodes: [{name: a, "
                     "podCIDR: 10.244.0.0/18}, {name: b, podCIDR: 10.244.64.0/18}]}\n");
    struct loaded l = load_text(t.at);
    assert_loads(&l);
    assert_int_equal(l.s->service_count, 2000);
    assert_int_equal(l.s->pod_count, 10000);
    assert_int_equal(l.s->endpoint_count, 10000);
    for (uint32_t i = 0; i < l.s->pod_count; i++)
        assert_int_equal(pg_snapshot_pod_by_addr(l.s, &l.s->pods[i].addr[0]), i);
    unload(&l);
    pg_text_free(&t);
}

static struct pg_snapshot *large_snapshot(void)
{
    struct pg_text t = {0};
    for (int i = 0; i < 5000; i++)
        pg_text_printf(
            &t,
            "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%d}\nspec: {selector: "
            "{app: s%d}, ports: [{port: 80}]}\n",
            i, i);
    struct loaded l = load_text(t.at);
    assert_loads(&l);
    pg_text_free(&t);
    pg_findings_free(&l.findings);
    return l.s;
}

static void memory_of_the_last_reference_is_given_back_in_pieces(void **state)
{
    (void)state;
    unsigned pieces = 0;
    struct pg_snapshot *s = large_snapshot();
    pg_snapshot_put(s); /* nobody reclaims: at once, or the sanitizer finds it */
    assert_false(pg_snapshot_reclaim(65536));
    pg_snapshot_reclaim_begin();
    pg_snapshot_put(large_snapshot());
    pg_snapshot_put(large_snapshot());
    while (pg_snapshot_reclaim(65536))
        pieces++;
    assert_true(pieces > 20); /* over a megabyte each */
    pg_snapshot_put(large_snapshot());
    pg_snapshot_reclaim_end(); /* the rest */
    assert_false(pg_snapshot_reclaim(65536));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_documentation_lab_comes_out_as_documented),
        cmocka_unit_test(lookups_find_what_is_there_and_nothing_else),
        cmocka_unit_test(a_snapshot_lives_until_its_last_reference),
        cmocka_unit_test(cluster_dns_is_the_kube_dns_service_if_given),
        cmocka_unit_test(a_service_is_the_same_until_the_path_could_tell),
        cmocka_unit_test(thousands_of_services_load_in_a_moment),
        cmocka_unit_test(memory_of_the_last_reference_is_given_back_in_pieces),
    };
    return cmocka_run_group_tests_name("cluster/snapshot", tests, NULL, NULL);
}
