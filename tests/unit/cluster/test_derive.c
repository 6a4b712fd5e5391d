/* What is made up where the manifests say nothing: pods, addresses, ports, endpoints, the ingress,
 * routes. Always the same for the same input, and not moved by objects that have nothing to do with
 * it. */
#include "load_text.h"

#include <stdlib.h>

#define WEB                                                                                \
    SERVICE("web", "  selector: {app: web}\n  ports: [{name: http, port: 80, targetPort: " \
                   "http}]\n")
#define SEP "---\n"
#define INGRESS(name, rules)                                                  \
    "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: " name \
    "}\nspec:\n  rules:\n" rules
#define PATH(path, type, service)                                                     \
    "      - {path: " path ", pathType: " type ", backend: {service: {name: " service \
    ", port: {number: 80}}}}\n"

static void pods_come_from_replicas_with_stable_names_and_addresses(void **state)
{
    (void)state;
    struct loaded a = load_text(WEB SEP DEPLOYMENT("web", "3"));
    struct loaded b = load_text(WEB SEP DEPLOYMENT("web", "3"));
    assert_loads(&a);
    assert_loads(&b);
    assert_int_equal(a.s->pod_count, 3);
    assert_int_not_equal(a.s->generation, b.s->generation);
    for (uint32_t i = 0; i < 3; i++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "web-%u", i);
        const struct pg_pod *p = &a.s->pods[i];
        assert_string_equal(p->name, name);
        assert_true(pg_addr_equal(&p->addr[0], &b.s->pods[i].addr[0]));
        assert_true(pg_prefix_contains(&a.s->nodes[p->node].pod_cidr[0], &p->addr[0]));
        assert_false(pg_addr_equal(&a.s->nodes[p->node].gateway[0], &p->addr[0]));
        assert_true(p->derived && p->ready);
        assert_int_equal(p->backing, PG_BACKING_ECHO);
        assert_int_equal(p->source.line, 8);
    }
    assert_int_not_equal(a.s->pods[0].node, a.s->pods[1].node); /* they go round */
    unload(&a);
    unload(&b);
}

static void an_unrelated_object_moves_nobody(void **state)
{
    (void)state;
    struct loaded a = load_text(WEB SEP DEPLOYMENT("web", "3"));
    struct loaded b = load_text(DEPLOYMENT("aaa", "2") SEP SERVICE("aaa", "  ports: [{port: 1}]\n")
                                    SEP DEPLOYMENT("web", "4") SEP WEB);
    assert_loads(&a);
    assert_loads(&b);
    for (uint32_t i = 0; i < a.s->pod_count; i++) {
        const struct pg_pod *same = pod(&b, a.s->pods[i].name);
        assert_true(pg_addr_equal(&a.s->pods[i].addr[0], &same->addr[0]));
        assert_int_equal(a.s->pods[i].node, same->node);
    }
    assert_true(pg_addr_equal(&service(&a, "default", "web")->cluster_ip[0],
                              &service(&b, "default", "web")->cluster_ip[0]));
    unload(&a);
    unload(&b);
}

static void cluster_ips_avoid_the_band_for_hand_picked_ones(void **state)
{
    (void)state;
    struct loaded l = load_text(WEB);
    assert_loads(&l);
    const struct pg_service *v = service(&l, "default", "web");
    struct pg_addr first = addr("10.96.1.0");
    assert_true(pg_snapshot_in_service_cidr(l.s, &v->cluster_ip[0]));
    assert_true(pg_addr_compare(&v->cluster_ip[0], &first) >= 0);
    assert_int_equal(v->cluster_ip_source.line, 0);
    assert_true(pg_addr_is_none(&v->cluster_ip[1]));
    unload(&l);
}

static void a_full_range_is_an_error_not_an_endless_search(void **state)
{
    (void)state;
    struct loaded l = load_text(
        "apiVersion: podglass/v1alpha1\nkind: Lab\nspec: {serviceCIDRs: [10.9.0.0/30]}\n" SEP
            SERVICE("a", "  ports: [{port: 1}]\n") SEP SERVICE("b", "  ports: [{port: 1}]\n")
                SEP SERVICE("c", "  ports: [{port: 1}]\n"));
    assert_non_null(find(&l, "t.yaml", "no IPv4 address is left in the service ranges"));
    unload(&l);
    l = load_text("apiVersion: podglass/v1alpha1\nkind: Lab\nspec: {nodes: [{name: a, podCIDR: "
                  "10.244.1.0/29}]}\n" SEP DEPLOYMENT("web", "9"));
    assert_non_null(find(&l, "t.yaml:5", "no address is left in the pod ranges"));
    unload(&l);
}

static void balancers_get_addresses_and_node_ports(void **state)
{
    (void)state;
    struct loaded l =
        load_text(SERVICE("b", "  type: LoadBalancer\n  externalTrafficPolicy: "
                               "Local\n  ports: [{port: 80}]\n")
                      SEP SERVICE("a", "  type: LoadBalancer\n  allocateLoadBalancerNodePorts: "
                                       "false\n  ports: [{port: 80}]\n"));
    assert_loads(&l);
    const struct pg_service *a = service(&l, "default", "a");
    const struct pg_service *b = service(&l, "default", "b");
    assert_addr(&l.s->lb_ips[a->lb_first].addr, "203.0.113.10");
    assert_addr(&l.s->lb_ips[b->lb_first].addr, "203.0.113.11");
    assert_true(l.s->lb_ips[a->lb_first].allocated);
    assert_int_equal(l.s->service_ports[a->port_first].node_port, 0);
    assert_in_range(l.s->service_ports[b->port_first].node_port, 30086, 32767);
    assert_in_range(b->health_check_node_port, 30086, 32767);
    unload(&l);
}

static void ipv6_is_given_only_when_asked_for(void **state)
{
    (void)state;
    struct loaded l = load_text(
        "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n  nodes:\n"
        "  - {name: a, address: 192.0.2.11, podCIDR6: fd00:244:1::/64, address6: "
        "2001:db8::11}\n" SEP SERVICE("four", "  selector: {app: web}\n  ports: [{port: 80}]\n")
            SEP SERVICE("dual", "  ipFamilyPolicy: PreferDualStack\n  selector: {app: web}\n  "
                                "ports: [{port: 80}]\n")
                SEP SERVICE("six",
                            "  ipFamilies: [IPv6]\n  selector: {app: web}\n  ports: [{port: 80}]\n")
                    SEP DEPLOYMENT("web", "1"));
    assert_loads(&l);
    struct pg_prefix range;
    assert_int_equal(pg_prefix_parse("fd00:10:96::/112", 16, &range), 0);
    const struct pg_pod *p = pod(&l, "web-0");
    assert_false(pg_addr_is_none(&p->addr[1]));
    assert_true(pg_addr_is_none(&service(&l, "default", "four")->cluster_ip[1]));
    assert_true(pg_prefix_contains(&range, &service(&l, "default", "dual")->cluster_ip[1]));
    assert_false(pg_addr_is_none(&service(&l, "default", "dual")->cluster_ip[0]));
    assert_true(pg_addr_is_none(&service(&l, "default", "six")->cluster_ip[0]));
    assert_int_equal(l.s->service_ports[service(&l, "default", "dual")->port_first].endpoint_count,
                     2);
    const struct pg_service_port *six =
        &l.s->service_ports[service(&l, "default", "six")->port_first];
    assert_int_equal(six->endpoint_count, 1);
    assert_true(pg_addr_equal(&l.s->endpoints[six->endpoint_first].addr, &p->addr[1]));
    unload(&l);
}

static void a_dump_with_deployment_replica_set_and_pods_derives_nothing(void **state)
{
    (void)state;
    struct loaded l = load_text(
        "{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n"
        "{\"apiVersion\": \"apps/v1\", \"kind\": \"Deployment\", \"metadata\": {\"name\": \"web\", "
        "\"namespace\": \"shop\"}, \"spec\": {\"replicas\": 2,"
        " \"selector\": {\"matchLabels\": {\"app\": \"web\"}}, \"template\": {\"metadata\": "
        "{\"labels\": {\"app\": \"web\"}}}}},\n"
        "{\"apiVersion\": \"apps/v1\", \"kind\": \"ReplicaSet\", \"metadata\": {\"name\": "
        "\"web-7f\", \"namespace\": \"shop\", \"ownerReferences\": [{\"kind\": \"Deployment\", "
        "\"name\": \"web\", \"controller\": true}]}, \"spec\": {\"replicas\": 2,"
        " \"selector\": {\"matchLabels\": {\"app\": \"web\", \"h\": \"7f\"}}, \"template\": "
        "{\"metadata\": {\"labels\": {\"app\": \"web\", \"h\": \"7f\"}}}}},\n"
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"web-7f-x\", "
        "\"namespace\": \"shop\", \"labels\": {\"app\": \"web\", \"h\": \"7f\"}}, \"spec\": "
        "{\"nodeName\": \"k1\", \"containers\": []},"
        " \"status\": {\"phase\": \"Running\", \"podIP\": \"10.42.0.7\", \"hostIP\": "
        "\"192.0.2.81\", \"conditions\": [{\"type\": \"Ready\", \"status\": \"True\"}]}},\n"
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"web-7f-y\", "
        "\"namespace\": \"shop\", \"labels\": {\"app\": \"web\", \"h\": \"7f\"}}, \"spec\": "
        "{\"nodeName\": \"k2\", \"containers\": []},"
        " \"status\": {\"phase\": \"Running\", \"podIP\": \"10.42.1.7\", \"hostIP\": "
        "\"192.0.2.82\", \"conditions\": [{\"type\": \"Ready\", \"status\": \"False\"}]}},\n"
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"done\", "
        "\"namespace\": \"shop\", \"labels\": {\"app\": \"web\"}}, \"spec\": {\"nodeName\": "
        "\"k2\"},"
        " \"status\": {\"phase\": \"Succeeded\", \"podIP\": \"10.42.1.7\"}},\n"
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"waits\", "
        "\"namespace\": \"shop\", \"labels\": {\"app\": \"web\"}}, \"spec\": {}, \"status\": "
        "{\"phase\": \"Pending\"}},\n"
        "{\"apiVersion\": \"v1\", \"kind\": \"Service\", \"metadata\": {\"name\": \"web\", "
        "\"namespace\": \"shop\"}, \"spec\": {\"clusterIP\": \"10.43.7.7\", \"selector\": "
        "{\"app\": \"web\"}, \"ports\": [{\"port\": 80, \"targetPort\": 8080}]}}\n"
        "]}\n");
    assert_loads(&l);
    assert_int_equal(l.s->pod_count, 2);
    assert_int_equal(l.s->node_count, 2);
    assert_addr(&l.s->nodes[0].addr[0], "192.0.2.81");
    assert_addr(&l.s->nodes[0].gateway[0], "10.42.0.1");
    assert_int_equal(pod(&l, "web-7f-x")->backing, PG_BACKING_WIRE);
    assert_false(pod(&l, "web-7f-x")->derived);
    const struct pg_service *v = service(&l, "shop", "web");
    assert_string_equal(endpoints(&l, v, 0), "10.42.0.7:8080 10.42.1.7:8080");
    const struct pg_endpoint *e = &l.s->endpoints[l.s->service_ports[v->port_first].endpoint_first];
    assert_true(e[0].ready && e[0].serving);
    assert_false(e[1].ready || e[1].serving);
    struct pg_addr in = addr("10.43.9.9");
    struct pg_addr in_pods = addr("10.42.0.99");
    assert_true(pg_snapshot_in_service_cidr(l.s, &in));
    assert_true(pg_snapshot_in_cluster_cidr(l.s, &in_pods));
    assert_int_equal(pg_snapshot_node_of(l.s, &in_pods), 0);
    unload(&l);
}

static void a_stateful_set_gives_hostnames_and_a_daemon_set_one_pod_per_node(void **state)
{
    (void)state;
    struct loaded l = load_text(
        "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  serviceName: db\n  "
        "replicas: 2\n"
        "  selector: {matchLabels: {app: db}}\n  template: {metadata: {labels: {app: db}}}\n" SEP
            SERVICE("db", "  clusterIP: None\n  selector: {app: db}\n") SEP
        "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec:\n"
        "  selector: {matchLabels: {app: agent}}\n  template: {metadata: {labels: {app: agent}}, "
        "spec: {hostNetwork: true, containers: []}}\n");
    assert_loads(&l);
    const struct pg_service *v = service(&l, "default", "db");
    assert_int_equal(v->type, PG_SERVICE_HEADLESS);
    assert_int_equal(v->port_count,
                     1); /* the one that cannot be used, so that DNS has the addresses */
    const struct pg_service_port *p = &l.s->service_ports[v->port_first];
    assert_int_equal(p->port, 0);
    assert_int_equal(p->endpoint_count, 2);
    const char *one = l.s->endpoints[p->endpoint_first].hostname;
    assert_true(strcmp(one, "db-0") == 0 || strcmp(one, "db-1") == 0);
    assert_non_null(pod(&l, "agent-node-2"));
    assert_true(pod(&l, "agent-node-2")->host_network);
    assert_addr(&pod(&l, "agent-node-2")->addr[0], "192.0.2.12");
    assert_int_equal(pg_snapshot_pod_by_addr(l.s, &pod(&l, "agent-node-2")->addr[0]),
                     PG_INDEX_NONE);
    unload(&l);
}

static void named_target_ports_are_looked_up_in_each_pod(void **state)
{
    (void)state;
    struct loaded l = load_text(
        SERVICE("web", "  selector: {app: web}\n  ports: [{port: 80, targetPort: http}]\n") SEP
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {app: web}}\nspec: {containers: "
        "[{name: c, ports: [{name: http, containerPort: 81}]}]}\nstatus: {podIP: 10.244.1.5}\n" SEP
        "apiVersion: v1\nkind: Pod\nmetadata: {name: b, labels: {app: web}}\nspec: {containers: "
        "[{name: c, ports: [{name: http, containerPort: 82}]}]}\nstatus: {podIP: 10.244.1.6}\n" SEP
        "apiVersion: v1\nkind: Pod\nmetadata: {name: c, labels: {app: web}}\nspec: {containers: "
        "[{name: c}]}\nstatus: {podIP: 10.244.1.7}\n");
    assert_loads(&l);
    assert_string_equal(endpoints(&l, service(&l, "default", "web"), 0),
                        "10.244.1.5:81 10.244.1.6:82");
    assert_non_null(
        find(&l, "t.yaml:6",
             "1 selected pods have no container port named http, among them Pod/default/c"));
    unload(&l);
}

static void slices_win_over_endpoints_and_those_over_the_selector(void **state)
{
    (void)state;
    static const char slice[] =
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s, labels: "
        "{kubernetes.io/service-name: web}}\naddressType: IPv4\n"
        "ports: [{name: http, port: 9090}]\n"
        "endpoints:\n- {addresses: [10.244.2.9], conditions: {ready: false, serving: true, "
        "terminating: true}, nodeName: node-2, hints: {forZones: [{name: z1}], forNodes: [{name: "
        "node-1}]}}\n"
        "- {addresses: [192.0.2.200]}\n";
    static const char old[] = "apiVersion: v1\nkind: Endpoints\nmetadata: {name: web}\nsubsets: "
                              "[{addresses: [{ip: 10.244.1.8}], notReadyAddresses: [{ip: "
                              "10.244.1.9}], ports: [{name: http, port: 7070}]}]\n";
    struct pg_text t = {0};
    pg_text_printf(&t, "%s---\n%s---\n%s---\n%s---\n%s", WEB, DEPLOYMENT("web", "1"), old, slice,
                   slice);
    char *second =
        strstr(t.at + t.len - sizeof(slice), "name: s,"); /* the same endpoints in another slice */
    memcpy(second, "name: t,", 8);
    struct loaded l = load_text(t.at);
    assert_loads(&l);
    const struct pg_service *v = service(&l, "default", "web");
    assert_string_equal(endpoints(&l, v, 0), "10.244.2.9:9090 192.0.2.200:9090");
    const struct pg_endpoint *e = &l.s->endpoints[l.s->service_ports[v->port_first].endpoint_first];
    assert_false(e[0].ready);
    assert_true(e[0].serving && e[0].terminating);
    assert_int_equal(e[0].node, 1);
    assert_int_equal(e[0].pod, PG_INDEX_NONE);
    assert_string_equal(e[0].zone_hint, "z1");
    assert_string_equal(e[0].node_hint, "node-1");
    assert_int_equal(e[1].node, PG_INDEX_NONE);
    assert_true(e[1].ready && e[1].serving && !e[1].terminating);
    unload(&l);
    pg_text_clear(&t);
    pg_text_printf(&t, "%s---\n%s---\n%s", WEB, DEPLOYMENT("web", "1"), old);
    l = load_text(t.at);
    assert_loads(&l);
    assert_string_equal(endpoints(&l, service(&l, "default", "web"), 0),
                        "10.244.1.8:7070 10.244.1.9:7070");
    unload(&l);
    pg_text_free(&t);
}

static void without_a_controller_an_ingress_is_made_up(void **state)
{
    (void)state;
    struct loaded l = load_text(WEB SEP DEPLOYMENT("web", "2") SEP INGRESS(
        "in", "  - host: a.test\n    http:\n      paths:\n" PATH("/", "Prefix", "web")));
    assert_loads(&l);
    assert_non_null(find(&l, "built-in", "note[PG403]: Service/edge/gateway"));
    const struct pg_service *v = service(&l, "edge", "gateway");
    assert_int_equal(l.s->lab.ingress_service, pg_snapshot_service(l.s, "edge", "gateway"));
    assert_addr(&l.s->lb_ips[v->lb_first].addr, "203.0.113.10");
    assert_int_equal(l.s->lab.ingress_pod_count, 1);
    const struct pg_pod *p = &l.s->pods[l.s->lab.ingress_pod[0]];
    assert_string_equal(p->name, "gateway-0");
    assert_int_equal(p->backing, PG_BACKING_INGRESS);
    assert_addr(&p->addr[0], "10.244.1.2");
    assert_int_equal(l.s->namespace_count, 2);
    assert_string_equal(l.s->namespaces[1], "edge");
    unload(&l);
}

static void a_controller_that_is_given_is_taken(void **state)
{
    (void)state;
    struct loaded l = load_text(
        SERVICE("front", "  type: LoadBalancer\n  selector: {app.kubernetes.io/name: "
                         "ingress-nginx}\n  ports: [{port: 80}]\n") SEP
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: front}\nspec:\n  selector: "
        "{matchLabels: {app.kubernetes.io/name: ingress-nginx}}\n"
        "  template: {metadata: {labels: {app.kubernetes.io/name: ingress-nginx}}}\n" SEP WEB SEP
            DEPLOYMENT("web", "1")
                SEP INGRESS("in", "  - http:\n      paths:\n" PATH("/", "Prefix", "web")));
    assert_loads(&l);
    assert_int_equal(l.findings.count, 0);
    assert_int_equal(l.s->lab.ingress_service, pg_snapshot_service(l.s, "default", "front"));
    assert_int_equal(pod(&l, "front-0")->backing, PG_BACKING_INGRESS);
    assert_int_equal(pod(&l, "web-0")->backing, PG_BACKING_ECHO);
    unload(&l);
    l = load_text(SERVICE("ingress", "  type: NodePort\n  ports: [{port: 80}]\n")
                      SEP INGRESS("in", "  - host: a.test\n"));
    assert_non_null(find(&l, "t.yaml:1", "no pod is behind it"));
    unload(&l);
}

#define CONTROLLER                                                             \
    SERVICE("ingress", "  type: LoadBalancer\n  selector: {app: controller}\n" \
                       "  ports: [{name: https, port: 443, targetPort: tls}]\n")
#define CONTROLLER_WORKLOAD(replicas)                                                \
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: controller}\nspec:\n  " \
    "replicas: " replicas "\n  selector: {matchLabels: {app: controller}}\n"         \
    "  template: {metadata: {labels: {app: controller}}}\n"

static void a_controller_of_which_only_the_service_is_given_gets_a_pod(void **state)
{
    (void)state;
    struct loaded l = load_text(CONTROLLER SEP INGRESS("in", "  - host: a.test\n"));
    assert_loads(&l);
    assert_non_null(find(&l, "t.yaml:1", "Pod/default/ingress-0 is made up"));
    assert_int_equal(l.s->lab.ingress_pod_count, 1);
    const struct pg_pod *p = &l.s->pods[l.s->lab.ingress_pod[0]];
    assert_string_equal(p->name, "ingress-0");
    assert_int_equal(p->backing, PG_BACKING_INGRESS);
    const struct pg_service *v = &l.s->services[l.s->lab.ingress_service];
    assert_int_equal(l.s->endpoints[l.s->service_ports[v->port_first].endpoint_first].port, 443);
    unload(&l);
}

static void a_controller_of_no_replica_stays_away(void **state)
{
    (void)state;
    struct loaded l =
        load_text(CONTROLLER SEP CONTROLLER_WORKLOAD("0") SEP INGRESS("in", "  - host: a.test\n"));
    assert_non_null(find(&l, "t.yaml:1", "no pod is behind it"));
    unload(&l);
}

static void routes_are_in_order_of_precedence(void **state)
{
    (void)state;
    struct loaded l = load_text(
        WEB SEP INGRESS(
            "b", "  - http:\n      paths:\n" PATH(
                     "/", "Prefix",
                     "web") "  - host: \"*.a.test\"\n    http:\n      "
                            "paths:\n" PATH("/", "Prefix",
                                            "web") "  - host: x.a.test\n    "
                                                   "http:\n      "
                                                   "paths:\n" PATH("/", "Prefix", "web")
                                                       PATH("/api/", "Prefix", "web")
                                                           PATH("/api", "Exact", "web")
                                                               PATH("/api/v1", "Prefix", "web"))
            SEP INGRESS(
                "c", "  - host: x.a.test\n    http:\n      paths:\n" PATH(
                         "/api", "Prefix",
                         "none")) "  defaultBackend: {service: {name: web, port: {name: http}}}\n");
    assert_loads(&l);
    static const struct {
        const char *host, *path;
        enum pg_path_type type;
    } want[] = {
        {"x.a.test", "/api", PG_PATH_EXACT},
        {"x.a.test", "/api/v1", PG_PATH_PREFIX},
        {"x.a.test", "/api/", PG_PATH_PREFIX},
        {"x.a.test", "/", PG_PATH_PREFIX},
        {"*.a.test", "/", PG_PATH_PREFIX},
        {"", "/", PG_PATH_PREFIX},
        {"", "/", PG_PATH_PREFIX},
    };
    assert_int_equal(l.s->route_count, sizeof(want) / sizeof(want[0]));
    for (uint32_t i = 0; i < l.s->route_count; i++) {
        assert_string_equal(l.s->routes[i].host, want[i].host);
        assert_string_equal(l.s->routes[i].path, want[i].path);
        assert_int_equal(l.s->routes[i].path_type, want[i].type);
        assert_int_equal(l.s->routes[i].service_port, 80);
    }
    assert_int_equal(l.s->routes[0].rule, 3);
    assert_int_equal(l.s->routes[6].rule, 0);
    assert_string_equal(l.s->routes[6].backend_text, "default/web:http");
    /* /api and /api/ are one prefix: the first Ingress keeps it, the other is told. */
    assert_non_null(find(&l, "Ingress/default/c", "is already that of Ingress/default/b"));
    assert_non_null(find(&l, "Ingress/default/c", "there is no Service default/none"));
    unload(&l);
}

static void backing_follows_where_the_address_comes_from(void **state)
{
    (void)state;
    static const char text[] = DEPLOYMENT("web", "1") SEP
        "apiVersion: v1\nkind: Pod\nmetadata: {name: real}\nspec: {containers: []}\nstatus: "
        "{podIP: 10.244.1.5}\n" SEP "apiVersion: podglass/v1alpha1\nkind: Lab\nspec: {pods: "
        "[{match: default/web-*, backing: wire}]}\n";
    static const struct {
        enum pg_pods_mode mode;
        enum pg_backing real, web;
    } rows[] = {{PG_PODS_AUTO, PG_BACKING_WIRE, PG_BACKING_WIRE},
                {PG_PODS_ECHO, PG_BACKING_ECHO, PG_BACKING_WIRE},
                {PG_PODS_WIRE, PG_BACKING_WIRE, PG_BACKING_WIRE}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded l =
            load_bytes(text, sizeof(text) - 1, (struct pg_load_options){.pods = rows[i].mode});
        assert_loads(&l);
        assert_int_equal(pod(&l, "real")->backing, rows[i].real);
        assert_int_equal(pod(&l, "web-0")->backing, rows[i].web);
        unload(&l);
    }
}

static void many_node_ranges_become_four(void **state)
{
    (void)state;
    struct pg_text t = {0};
    pg_text_puts(&t, "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n  nodes:\n");
    for (int i = 0; i < 200; i++)
        pg_text_printf(&t, "  - {name: n%d, podCIDR: 10.%d.%d.0/24}\n", i, 1 + i % 5, i);
    struct loaded l = load_text(t.at);
    assert_loads(&l);
    assert_int_equal(l.s->node_count, 200);
    assert_int_equal(l.s->lab.cluster_cidr_count, 4);
    for (uint32_t i = 0; i < l.s->node_count; i++) {
        struct pg_addr a = pg_addr_add(&l.s->nodes[i].pod_cidr[0].addr, 77);
        assert_true(pg_snapshot_in_cluster_cidr(l.s, &a));
        assert_int_equal(pg_snapshot_node_of(l.s, &a), i);
        assert_int_equal(pg_snapshot_node_by_addr(l.s, &l.s->nodes[i].gateway[0]), i);
    }
    struct pg_addr outside = addr("198.51.100.7");
    assert_false(pg_snapshot_in_cluster_cidr(l.s, &outside));
    assert_int_equal(pg_snapshot_node_of(l.s, &outside), PG_INDEX_NONE);
    unload(&l);
    pg_text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pods_come_from_replicas_with_stable_names_and_addresses),
        cmocka_unit_test(an_unrelated_object_moves_nobody),
        cmocka_unit_test(cluster_ips_avoid_the_band_for_hand_picked_ones),
        cmocka_unit_test(a_full_range_is_an_error_not_an_endless_search),
        cmocka_unit_test(balancers_get_addresses_and_node_ports),
        cmocka_unit_test(ipv6_is_given_only_when_asked_for),
        cmocka_unit_test(a_dump_with_deployment_replica_set_and_pods_derives_nothing),
        cmocka_unit_test(a_stateful_set_gives_hostnames_and_a_daemon_set_one_pod_per_node),
        cmocka_unit_test(named_target_ports_are_looked_up_in_each_pod),
        cmocka_unit_test(slices_win_over_endpoints_and_those_over_the_selector),
        cmocka_unit_test(without_a_controller_an_ingress_is_made_up),
        cmocka_unit_test(a_controller_that_is_given_is_taken),
        cmocka_unit_test(a_controller_of_which_only_the_service_is_given_gets_a_pod),
        cmocka_unit_test(a_controller_of_no_replica_stays_away),
        cmocka_unit_test(routes_are_in_order_of_precedence),
        cmocka_unit_test(backing_follows_where_the_address_comes_from),
        cmocka_unit_test(many_node_ranges_become_four),
    };
    return cmocka_run_group_tests_name("cluster/derive", tests, NULL, NULL);
}
