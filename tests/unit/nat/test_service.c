/* nat/service.c: what the compiled tables know, for both families. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

#include <stdio.h>
#include <string.h>

static const char dual_stack[] =
    "apiVersion: podglass/v1alpha1\n"
    "kind: Lab\n"
    "metadata: {name: lab}\n"
    "spec:\n"
    "  podCIDRs: [10.244.0.0/16, 'fd00:244::/48']\n"
    "  serviceCIDRs: [10.96.0.0/16, 'fd00:96::/112']\n"
    "  nodes:\n"
    "  - {name: node1, address: 192.0.2.11, address6: '2001:db8::11', podCIDR: 10.244.1.0/24, "
    "podCIDR6: "
    "'fd00:244:0:1::/64'}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {name: a, namespace: t}\n"
    "spec:\n"
    "  type: NodePort\n"
    "  ipFamilyPolicy: RequireDualStack\n"
    "  clusterIPs: [10.96.1.1, 'fd00:96::1']\n"
    "  ports: [{name: tcp, port: 80, targetPort: 8080, nodePort: 30001}]\n"
    "---\n"
    "apiVersion: discovery.k8s.io/v1\n"
    "kind: EndpointSlice\n"
    "metadata: {name: a-6, namespace: t, labels: {kubernetes.io/service-name: a}}\n"
    "addressType: IPv6\n"
    "ports: [{name: tcp, port: 8080}]\n"
    "endpoints: [{addresses: ['fd00:244:0:1::2'], nodeName: node1}, "
    "{addresses: ['fd00:244:0:1::3'], nodeName: node1}]\n"
    "---\n"
    "apiVersion: discovery.k8s.io/v1\n"
    "kind: EndpointSlice\n"
    "metadata: {name: a-6b, namespace: t, labels: {kubernetes.io/service-name: a}}\n"
    "addressType: IPv6\n"
    "ports: [{name: tcp, port: 8080}]\n"
    "endpoints: [{addresses: ['fd00:244:0:1::2'], nodeName: node1}]\n";

static int open_world(void **state)
{
    static struct pg_world w;

    pg_world_open(&w, NULL);
    pg_world_load(&w, dual_stack);
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    pg_world_close(*state);
    return 0;
}

static void ipv6_service_reaches_its_pod_and_back(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, "2001:db8:7::7", 40000, "2001:db8::11", 30001);
    struct pg_addr gateway = pg_make_addr("fd00:244:0:1::1");
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, &t), PG_NAT_ACCEPT);
    assert_true(pg_addr_equal(&m.p.tuple.src, &gateway));
    assert_int_equal(m.p.tuple.dst_port, 8080);
    struct pg_tuple answer = pg_tuple_invert(&m.p.tuple);
    struct pg_tuple wanted = pg_tuple_invert(&t);
    pg_make_tcp(&m, &answer, PG_TCP_SYN | PG_TCP_ACK, 1, 1001, 0);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    assert_true(pg_tuple_equal(&m.p.tuple, &wanted));
}

static void family_without_endpoints_rejects_while_the_other_works(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple v4 = pg_make_tuple(PG_PROTO_TCP, "10.244.1.9", 1, "10.96.1.1", 80);
    struct pg_tuple v6 = pg_make_tuple(PG_PROTO_TCP, "fd00:244:0:1::9", 1, "fd00:96::1", 80);
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &m, &v4), PG_NAT_REJECT);
    assert_int_equal(pg_world_first(w, &m, &v6), PG_NAT_ACCEPT);
    assert_true(pg_addr_equal(&m.p.tuple.src, &v6.src));
}

static void endpoint_in_two_slices_counts_once(void **state)
{
    struct pg_world *w = *state;
    const struct pg_group *g = pg_service_group(w->nat->services, 0, true);

    assert_int_equal(g->ready, 2);
}

static void ipv6_error_comes_back_from_the_service(void **state)
{
    struct pg_world *w = *state;
    struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, "2001:db8:7::7", 40000, "2001:db8::11", 30001);
    struct pg_addr router = pg_make_addr("2001:db8::fe");
    struct pg_tuple quoted;
    uint16_t at;
    struct pg_made first;
    struct pg_made m;

    assert_int_equal(pg_world_first(w, &first, &t), PG_NAT_ACCEPT);
    pg_make_error(&m, 2, 0, &router, &first.p, 0);
    assert_int_equal(pg_world_send(w, &m), PG_NAT_ACCEPT);
    assert_true(pg_addr_equal(&m.p.tuple.src, &t.dst));
    assert_true(pg_addr_equal(&m.p.tuple.dst, &t.src));
    assert_true(pg_packet_quoted(&m.p, &quoted, &at));
    assert_true(pg_tuple_equal(&quoted, &t));
}

static void every_address_of_thousands_of_services_is_found(void **state)
{
    struct pg_world *w = *state;
    struct pg_text text = {0};

    pg_text_puts(&text, "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: {name: lab}\n"
                        "spec: {podCIDRs: [10.244.0.0/16], serviceCIDRs: [10.96.0.0/12]}\n");
    for (unsigned i = 0; i < 3000; i++)
        pg_text_printf(&text,
                       "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%u, namespace: t}\n"
                       "spec: {clusterIP: 10.97.%u.%u, ports: [{port: 80}]}\n",
                       i, i / 250, i % 250 + 1);
    pg_world_load(w, text.at);
    for (unsigned i = 0; i < 3000; i++) {
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, "10.244.1.9", 1, "0.0.0.0", 80);
        char name[16];
        t.dst = pg_addr_v4(10, 97, (uint8_t)(i / 250), (uint8_t)(i % 250 + 1));
        const struct pg_front *f = pg_service_capture(w->nat->services, &t);
        snprintf(name, sizeof(name), "s%u", i);
        assert_non_null(f);
        assert_string_equal(w->snapshot->services[pg_front_service(w->nat->services, f)].name,
                            name);
        t.dst_port = 81;
        assert_null(pg_service_capture(w->nat->services, &t));
    }
    pg_text_free(&text);
}

int main(void)
{
#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, open_world, close_world)
    const struct CMUnitTest tests[] = {
        WORLD_TEST(ipv6_service_reaches_its_pod_and_back),
        WORLD_TEST(family_without_endpoints_rejects_while_the_other_works),
        WORLD_TEST(endpoint_in_two_slices_counts_once),
        WORLD_TEST(ipv6_error_comes_back_from_the_service),
        WORLD_TEST(every_address_of_thousands_of_services_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
