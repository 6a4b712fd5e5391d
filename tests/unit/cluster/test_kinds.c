/* Objects one by one: every wrong value is one finding that names place, object, field and what
 * was expected. */
#include "load_text.h"

#include <stdlib.h>

#define INGRESS(spec) \
    "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: in}\nspec:\n" spec
#define LAB(spec) "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n" spec
#define BACKEND   "backend: {service: {name: web, port: {number: 80}}}"
#define SLICE(rest)                                          \
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n" \
    "metadata: {name: s, labels: {kubernetes.io/service-name: web}}\naddressType: IPv4\n" rest
#define POD(name, ip)                                         \
    "apiVersion: v1\nkind: Pod\nmetadata: {name: " name "}\n" \
    "spec: {containers: [{name: c}]}\nstatus: {podIP: " ip "}\n"

/* Each text has exactly one error: at this place, with this phrase. */
static const struct {
    const char *text, *place, *phrase;
} errors[] = {
    {SERVICE("web", "  ports:\n  - port: \"80\"\n"), "t.yaml:6:11",
     "spec.ports[0].port: expected a number from 1 to 65535, got the text \"80\": remove the "
     "quotes"},
    {SERVICE("web", "  ports:\n  - port: 70000\n"), "t.yaml:6:11",
     "expected a whole number from 1 to 65535, got 70000"},
    {SERVICE("web", "  ports:\n  - port: 080\n"), "t.yaml:6:11", "without leading zeros"},
    {SERVICE("web", "  ports:\n  - port: 80.5\n"), "t.yaml:6:11", "expected a whole number"},
    {SERVICE("web", "  ports:\n  - name: http\n"), "t.yaml:6:5", "a service port needs a number"},
    {SERVICE("web", "  ports: 80\n"), "t.yaml:5:10",
     "spec.ports: expected a list, got the number 80"},
    {SERVICE("web", "  type: ClusterIP\n"), "t.yaml:4:1", "a service needs at least one port"},
    {SERVICE("web", "  type: Loadbalancer\n  ports: [{port: 80}]\n"), "t.yaml:5:9",
     "expected ClusterIP, NodePort, LoadBalancer or ExternalName, got \"Loadbalancer\""},
    {SERVICE("web", "  ports: [{port: 80, targetPort: \"8080\"}]\n"), "t.yaml:5",
     "remove the quotes to mean the number"},
    {SERVICE("web", "  ports: [{port: 80, targetPort: Http}]\n"), "t.yaml:5",
     "\"Http\" is not a valid name"},
    {SERVICE("web", "  ports:\n  - {port: 80, name: a}\n  - {port: 81}\n"), "t.yaml:7",
     "spec.ports[1].name: needed because the service has more than one port"},
    {SERVICE("web", "  ports:\n  - {port: 80, name: a}\n  - {port: 81, name: a}\n"), "t.yaml:7",
     "two ports of this service are named a"},
    {SERVICE("web", "  ports:\n  - {port: 80, name: a}\n  - {port: 80, name: b}\n"), "t.yaml:7",
     "port 80 with this protocol is given twice"},
    {SERVICE("web", "  ports: [{port: 80, protocol: tcp}]\n"), "t.yaml:5",
     "expected TCP, UDP or SCTP, got \"tcp\""},
    {SERVICE("web", "  ports: [{port: 80, nodePort: 30080}]\n"), "t.yaml:5",
     "only for type NodePort or LoadBalancer"},
    {SERVICE("web", "  type: NodePort\n  ports: [{port: 80, nodePort: 8080}]\n"), "t.yaml:6",
     "from 30000 to 32767"},
    {SERVICE("web", "  clusterIP: 10.96.0.300\n  ports: [{port: 80}]\n"), "t.yaml:5:14",
     "is not an IP address"},
    {SERVICE("web", "  clusterIP: 127.0.0.1\n  ports: [{port: 80}]\n"), "t.yaml:5:14",
     "a cluster IP cannot be a loopback address"},
    {SERVICE("web", "  clusterIP: 10.96.3.1\n  clusterIPs: [10.96.3.2]\n  ports: [{port: 80}]\n"),
     "t.yaml:6", "a second IPv4 cluster IP"},
    {SERVICE("web", "  externalTrafficPolicy: Local\n  ports: [{port: 80}]\n"), "t.yaml:5",
     "only for type NodePort or LoadBalancer"},
    {SERVICE("web", "  sessionAffinity: clientIP\n  ports: [{port: 80}]\n"), "t.yaml:5",
     "expected None or ClientIP"},
    {SERVICE("web", "  publishNotReadyAddresses: \"yes\"\n  ports: [{port: 80}]\n"), "t.yaml:5",
     "expected true or false, got the text \"yes\""},
    {SERVICE("web", "  type: ExternalName\n"), "t.yaml:4",
     "spec.externalName: needed for type ExternalName"},
    {SERVICE("web", "  selector: {app: 5}\n  ports: [{port: 80}]\n"), "t.yaml:5",
     "spec.selector.app: expected text, got the number 5: put it in quotes"},
    {SERVICE("web", "  selector: {app: on}\n  ports: [{port: 80}]\n"), "t.yaml:5",
     "got the truth value on: put it in quotes"},
    {SERVICE("Web", "  ports: [{port: 80}]\n"), "t.yaml:3",
     "metadata.name: \"Web\" is not a valid name"},
    {SERVICE("on", "  ports: [{port: 80}]\n"), "t.yaml:3", "truth value on"},
    {"apiVersion: v1\nkind: Service\nmetadata: {}\nspec: {ports: [{port: 80}]}\n", "t.yaml:3",
     "every object needs a name"},
    {"apiVersion: v2\nkind: Service\nmetadata: {name: a}\n", "t.yaml:1:13",
     "v2 has no Service: expected v1"},
    {"apiVersion: v1\nkind: Deployment\nmetadata: {name: a}\n", "t.yaml:1:13",
     "v1 has no Deployment: expected apps/v1"},
    {"apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: a}\n", "t.yaml:1",
     "expected networking.k8s.io/v1"},
    {"apiVersion: v1\nkind: Servise\nmetadata: {name: a}\n", "t.yaml:2", "no kind Servise in v1"},
    {SERVICE("web", "  ports: [{port: 80}]\n") "---\n" SERVICE("web", "  ports: [{port: 81}]\n"),
     "t.yaml:7", "Service/default/web: given twice: first at t.yaml:1"},
    {SERVICE("a", "  clusterIP: 10.96.3.3\n  ports: [{port: 80}]\n") "---\n" SERVICE(
         "b", "  clusterIP: 10.96.3.3\n  ports: [{port: 80}]\n"),
     "t.yaml:12", "10.96.3.3 is also that of Service/default/a (t.yaml:1)"},
    {SERVICE("a", "  clusterIP: 10.96.0.10\n  ports: [{port: 80}]\n"), "t.yaml:5",
     "10.96.0.10 is also that of the cluster DNS"},
    {SERVICE("a", "  type: NodePort\n  ports: [{port: 80, nodePort: 30080}]\n") "---\n" SERVICE(
         "b", "  type: NodePort\n  ports: [{port: 80, nodePort: 30080}]\n"),
     "t.yaml:13", "node port 30080 is also that of Service/default/a"},
    {SERVICE("a", "  type: LoadBalancer\n  loadBalancerIP: 203.0.113.9\n  ports: [{port: "
                  "80}]\n") "---\n" SERVICE("b", "  type: LoadBalancer\n  loadBalancerIP: "
                                                 "203.0.113.9\n  ports: [{port: 80}]\n"),
     "t.yaml:14", "203.0.113.9:80 is also that of Service/default/a"},
    {POD("a", "10.244.1.5") "---\n" POD("b", "10.244.1.5"), "t.yaml:7",
     "address 10.244.1.5 is also that of Pod/default/a (t.yaml:1)"},
    {POD("a", "169.254.1.5"), "t.yaml:5", "the address of a pod cannot be a link-local address"},
    {SLICE("endpoints: [{addresses: [127.0.0.1]}]\nports: [{port: 80}]\n"), "t.yaml:5",
     "endpoints[0].addresses[0]: an endpoint cannot be a loopback address"},
    {SLICE("endpoints: [{addresses: [\"224.0.0.1\"]}]\nports: [{port: 80}]\n"), "t.yaml:5",
     "a multicast address"},
    {SLICE("endpoints: [{addresses: [\"fd00::1\"]}]\nports: [{port: 80}]\n"), "t.yaml:5",
     "address is not of addressType IPv4"},
    {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  replicas: 5001\n  "
     "selector: {matchLabels: {a: b}}\n  template: {metadata: {labels: {a: b}}}\n",
     "t.yaml:5", "from 0 to 5000, got 5001"},
    {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n  selector: "
     "{matchLabels: {a: b}}\n  template: {metadata: {labels: {a: c}}}\n",
     "t.yaml:6", "must hold a: b, which spec.selector asks for"},
    {INGRESS("  rules:\n  - host: Shop.test\n"), "t.yaml:6", "not a host name in lower case"},
    {INGRESS("  rules:\n  - host: 10.0.0.1\n"), "t.yaml:6", "is an address: expected a host name"},
    {INGRESS("  rules:\n  - host: a.test:80\n"), "t.yaml:6", "must not hold a port"},
    {INGRESS("  rules:\n  - http:\n      paths:\n      - path: x\n        pathType: Prefix\n   "
             "     " BACKEND "\n"),
     "t.yaml:8", "\"x\" must begin with /"},
    {INGRESS("  rules:\n  - http:\n      paths:\n      - path: /a//b\n        pathType: "
             "Exact\n        " BACKEND "\n"),
     "t.yaml:8", "must not hold //"},
    {INGRESS("  rules:\n  - http:\n      paths:\n      - path: /\n        " BACKEND "\n"),
     "t.yaml:8", "pathType: expected Prefix, Exact or ImplementationSpecific"},
    {INGRESS("  rules:\n  - http:\n      paths:\n      - path: /\n        pathType: Prefix\n   "
             "     backend: {serviceName: web, servicePort: 80}\n"),
     "t.yaml:10", "are of v1beta1"},
    {INGRESS("  rules:\n  - http:\n      paths:\n      - path: /\n        pathType: Prefix\n   "
             "     backend: {service: {name: web, port: {name: a, number: 80}}}\n"),
     "t.yaml:10", "either a name or a number"},
    {INGRESS("  ingressClassName: x\n"), "t.yaml:4", "needs rules or a defaultBackend"},
    {LAB("  podCidrs: [10.1.0.0/16]\n"), "t.yaml:4",
     "spec.podCidrs: unknown field: did you mean podCIDRs?"},
    {LAB("  nodes:\n  - {name: a, podCIDR: 10.244.1.1/24}\n"), "t.yaml:5",
     "did you mean 10.244.1.0/24?"},
    {LAB("  nodes:\n  - {name: a, podCIDR: 10.244.0.0/16}\n  - {name: b, podCIDR: "
         "10.244.3.0/24}\n"),
     "t.yaml:6", "pod range 10.244.3.0/24 overlaps that of Node/a"},
    {LAB("  nodes:\n  - {name: a}\n  - {name: a}\n"), "t.yaml:6", "node a is given twice"},
    {LAB("  clients: [{name: bob}]\n"), "t.yaml:4", "a client needs an address"},
    {LAB("  clients: [{name: bob, address: 192.0.2.11}]\n"), "t.yaml:4",
     "address 192.0.2.11 of client bob is also that of Node/node-1"},
    {LAB("  ingress: {service: edge/none}\n"), "t.yaml:4", "there is no Service edge/none"},
    {LAB("  ingress: {service: gateway}\n"), "t.yaml:4", "expected namespace/name"},
    {LAB("  ingress: {upstream: pods}\n"), "t.yaml:4", "endpoints"},
    {LAB("  ingress: {upstream: endpoints, balance: random}\n"), "t.yaml:4", "leastConnections"},
    {LAB("  ingress: {balance: roundRobin}\n"), "t.yaml:4", "only with upstream: endpoints"},
    {LAB("  ingress: {trustedProxies: [10.0.0.0/8], trustedHops: 1}\n"), "t.yaml:4",
     "ingress.trustedHops: beside trustedProxies"},
    {LAB("  ingress: {trustedHops: 17}\n"), "t.yaml:4", "from 0 to 16"},
    {LAB("  ingress: {profile: nginx}\n"), "t.yaml:4",
     "expected strict, ingress-nginx, envoy-edge, traefik or haproxy, got \"nginx\""},
    {LAB("  ingress: {xForwardedFor: set}\n"), "t.yaml:4", "append-always"},
    {LAB("  ingress: {headers: {X-Any: off}}\n"), "t.yaml:4", "no header that has a policy"},
    {LAB("  ingress: {headers: {X-Forwarded-Prefix: set}}\n"), "t.yaml:4",
     "expected one of off, pass, trusted, got \"set\""},
    {LAB("  ingress: {proxyProtocol: {ports: [80]}}\n"), "t.yaml:4", "nobody may send one"},
    {LAB("  ingress: {proxyProtocol: {allowedSources: [10.0.0.0/8]}}\n"), "t.yaml:4",
     "no port demands a preface"},
    {LAB("  ingress: {proxyProtocol: {ports: some, allowedSources: [10.0.0.0/8]}}\n"), "t.yaml:4",
     "expected all, or a list of ports"},
    {LAB("  ingress: {proxyProtocol: {toPods: v3}}\n"), "t.yaml:4", "expected off, v1 or v2"},
    {LAB("  ingress: {proxyProtocol: {toPods: v1, tlvs: [crc32c]}}\n"), "t.yaml:4",
     "only version 2 has them"},
    {LAB("  ingress: {proxyProtocol: {timeoutSeconds: 0}}\n"), "t.yaml:4", "from 1 to 60"},
    {LAB("  ingress: {proxyProtocol: {ports: [0], allowedSources: [10.0.0.0/8]}}\n"), "t.yaml:4",
     "from 1 to 65535"},
    {LAB("  ingress: {forwarded: maybe}\n"), "t.yaml:4", "expected true or false"},
    {LAB("  ingress: {requestId: random}\n"), "t.yaml:4", "expected generate"},
    {LAB("  ingress: {underscores: keep}\n"), "t.yaml:4", "drop-twins"},
    {LAB("  ingress: {clientHeader: \"X Real\"}\n"), "t.yaml:4",
     "can not be the header that names the client"},
    {LAB("  ingress: {clientHeader: Cookie}\n"), "t.yaml:4",
     "can not be the header that names the client"},
    {LAB("  pods: [{match: shop/web-0, address: 10.244.1.7}]\n"), "t.yaml:4",
     "no pod is shop/web-0"},
    {LAB("  pods: [{match: default/*, address: 10.244.1.7}]\n") "---\n" DEPLOYMENT("a", "1"),
     "t.yaml:4", "only for one pod"},
    {LAB("  pods: [{match: default/a-0, address: 10.244.1.7, node: node-2}]\n") "---"
                                                                                "\n" DEPLOYMENT(
                                                                                    "a", "1"),
     "t.yaml:4", "not in the pod range of node node-2"},
    {LAB("  serviceCIDRs: [10.7.0.0/16]\n") "---\n" SERVICE(
         "a", "  clusterIP: 10.96.3.3\n  ports: [{port: 80}]\n"),
     "t.yaml:10", "10.96.3.3 is in no service range"},
    {LAB("  dns: {ttl: 99999}\n"), "t.yaml:4", "from 0 to 3600"},
    {LAB("  dns: {upstream: [192.0.2.53, dns.example.org]}\n"), "t.yaml:4:32",
     "\"dns.example.org\": expected an address"},
    {LAB("  dns: {upstream: ['192.0.2.53:0']}\n"), "t.yaml:4", "an address and a port"},
    {LAB("  dns: {upstream: ['[2001:db8::1]53']}\n"), "t.yaml:4", "an address and a port"},
    {LAB("  dns: {upstream: [127.0.0.1]}\n"), "t.yaml:4", "a loopback address"},
    {LAB("  dns: {upstream: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5, 192.0.2.6, "
         "192.0.2.7, 192.0.2.8, 192.0.2.9, 192.0.2.10, 192.0.2.11, 192.0.2.12, 192.0.2.13, "
         "192.0.2.14, 192.0.2.15, 192.0.2.16]}\n"),
     "t.yaml:4", "at most 15 servers"},
    {LAB("  masqueradeAll: maybe\n"), "t.yaml:4", "expected true or false"},
    {LAB("  masqueradeAll: true\n") "---\n"
                                    "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: "
                                    "{name: two}\n",
     "t.yaml:6", "a second Lab: the first is at t.yaml:1"},
};

static void each_wrong_value_is_one_error_with_place_and_reason(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        struct loaded l = load_text(errors[i].text);
        const struct pg_finding *f = find(&l, errors[i].place, errors[i].phrase);
        if (f == NULL || count_level(&l, PG_FINDING_ERROR) != 1 || l.rc != -22) {
            print_message("row %zu, want %s %s, in\n%s", i, errors[i].place, errors[i].phrase,
                          errors[i].text);
            print_findings(&l);
            fail();
            return;
        }
        assert_int_equal(f->level, PG_FINDING_ERROR);
        assert_string_equal(f->code, "PG400");
        assert_null(l.s);
        unload(&l);
    }
}

static const struct {
    const char *text, *place, *phrase, *code;
} warnings[] = {
    {SERVICE("web", "  selectors: {a: b}\n  ports: [{port: 80}]\n"), "t.yaml:5",
     "spec.selectors: unknown field: did you mean selector?", "PG401"},
    {"apiVersion: v1\nkind: Service\nmetadata: {name: w}\nspec: {type: LoadBalancer, ports: "
     "[{port: "
     "80}]}\nstatus:\n  loadBalancer:\n    ingress:\n    - hostname: lb.example.test\n",
     "t.yaml:8", "status.loadBalancer.ingress[0].hostname: a balancer that has a name only",
     "PG401"},
    {"apiVersion: v1\nkind: Service\nmetadata:\n  name: w\n  annotations:\n    "
     "service.kubernetes.io/topology-mode: auto\nspec: {ports: [{port: 80}]}\n",
     "t.yaml:6", "metadata.annotations[\"service.kubernetes.io/topology-mode\"]", "PG401"},
    {INGRESS("  tls: [{hosts: [a.test], secretName: s}]\n  rules:\n  - host: a.test\n"), "t.yaml:5",
     "there is no Secret default/s", "PG404"},
    {"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: w\n  annotations:\n    "
     "haproxy.org/path-rewrite: /\nspec: {rules: [{host: a.test}]}\n",
     "t.yaml:6", "annotation is not supported", "PG401"},
    {INGRESS("  defaultBackend: {service: {name: web, port: {number: 80}}}\n"), "t.yaml:5",
     "there is no Service default/web", "PG404"},
    {INGRESS("  defaultBackend: {service: {name: web, port: {name: x}}}\n") "---\n" SERVICE(
         "web", "  ports: [{port: 80}]\n"),
     "t.yaml:5", "has no TCP port x", "PG404"},
    {"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\n", "t.yaml:1",
     "NetworkPolicy/a: kind is not supported yet", "PG402"},
    {"apiVersion: gateway.networking.k8s.io/v1\nkind: UDPRoute\nmetadata: {name: a}\n", "t.yaml:1",
     "not supported yet", "PG402"},
    {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {dnsPolicy: None, containers: [{name: "
     "c, ports: [{containerPort: 80, hostPort: 80}]}]}\n",
     "t.yaml:4", "host ports are not supported yet", "PG401"},
    {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {use-forwarded-headers: "
     "\"true\"}\n",
     "t.yaml:4", "data.use-forwarded-headers", "PG401"},
    {LAB("  ingress: {trustedProxies: [0.0.0.0/0]}\n"), "t.yaml:4",
     "the headers of anybody are believed", "PG406"},
    {LAB("  ingress: {trustedProxies: [\"::/0\"]}\n"), "t.yaml:4", "a range of /0", "PG406"},
    {LAB("  ingress: {proxyProtocol: {ports: all, allowedSources: [0.0.0.0/0]}}\n"), "t.yaml:4",
     "anybody may say whose connection it is", "PG406"},
    {LAB("  ingress: {trustedHops: 1}\n"), "t.yaml:4", "believes whoever connects", "PG406"},
    {LAB("  pods: [{match: shop/web-*, backing: wire}]\n"), "t.yaml:4", "no pod is shop/web-*",
     "PG404"},
};

static void what_could_change_the_path_is_a_warning_and_an_error_if_strict(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
        struct loaded l = load_text(warnings[i].text);
        const struct pg_finding *f = find(&l, warnings[i].place, warnings[i].phrase);
        if (f == NULL || l.rc != 0) {
            print_message("row %zu, want %s %s\n", i, warnings[i].place, warnings[i].phrase);
            print_findings(&l);
            fail();
            return;
        }
        assert_int_equal(f->level, PG_FINDING_WARNING);
        assert_string_equal(f->code, warnings[i].code);
        assert_int_equal(l.s->finding_count, l.findings.count);
        unload(&l);
        l = load_bytes(warnings[i].text, strlen(warnings[i].text),
                       (struct pg_load_options){.strict = true});
        assert_int_equal(l.rc, -22);
        assert_null(l.s);
        unload(&l);
    }
}

static void kinds_without_a_part_are_noted_once(void **state)
{
    (void)state;
    struct loaded l =
        load_text("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: a}\n---\n"
                  "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: b}\n---\n"
                  "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\n---\n"
                  "apiVersion: example.test/v1\nkind: Thing\nmetadata: {name: a}\n---\n"
                  "apiVersion: podglass/v1alpha1\nkind: Check\ncases: []\n");
    assert_loads(&l);
    assert_int_equal(l.findings.count, 4);
    assert_int_equal(count_level(&l, PG_FINDING_NOTE), 4);
    assert_non_null(find(&l, "t.yaml:1", "ServiceAccount/a: kind does not take part in the path"));
    unload(&l);
}

static void all_errors_of_all_files_are_told_in_order(void **state)
{
    (void)state;
    static const char a[] = SERVICE("a", "  ports: [{port: 0}]\n");
    static const char b[] = "x: [\n";
    static const char c[] = SERVICE("c", "  type: X\n  ports: [{port: -1}]\n");
    struct pg_manifest_input inputs[] = {
        {"z.yaml", a, sizeof(a) - 1}, {"b.yaml", b, sizeof(b) - 1}, {"a.yaml", c, sizeof(c) - 1}};
    struct loaded l = {0};
    l.rc = pg_snapshot_load(inputs, 3, NULL, &l.s, &l.findings);
    assert_int_equal(l.rc, -22);
    assert_int_equal(l.findings.count, 4);
    static const char *const files[] = {"z.yaml", "b.yaml", "a.yaml", "a.yaml"};
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(l.findings.at[i].source.file, files[i]);
    unload(&l);
}

static void consequences_of_an_error_are_not_told(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "a: [\n---\n" INGRESS("  defaultBackend: {service: {name: web, port: {number: 80}}}\n"),
        SERVICE("Web", "  ports: [{port: 80}]\n") "---\n" INGRESS(
            "  defaultBackend: {service: {name: web, port: {number: 80}}}\n"),
    };
    for (size_t i = 0; i < 2; i++) {
        struct loaded l = load_text(texts[i]);
        assert_int_equal(l.rc, -22);
        assert_int_equal(l.findings.count, 1);
        unload(&l);
    }
}

static void null_counts_as_not_written(void **state)
{
    (void)state;
    struct loaded l = load_text(SERVICE("web", "  clusterIP:\n  type: ~\n  selector: null\n  "
                                               "clusterIPs: []\n  ports: [{port: 80, name: }]\n"));
    assert_loads(&l);
    assert_int_equal(l.findings.count, 0);
    assert_int_equal(service(&l, "default", "web")->type, PG_SERVICE_CLUSTER_IP);
    assert_int_equal(service(&l, "default", "web")->type_source.line, 0);
    unload(&l);
}

static void port_of_sctp_is_warned_of_where_it_stands(void **state)
{
    (void)state;
    struct loaded l = load_text(SERVICE(
        "sig", "  clusterIP: 10.96.3.4\n  ports: [{name: sig, port: 3868, protocol: SCTP}]\n"));
    assert_loads(&l);
    assert_int_equal(l.findings.count, 1);
    assert_string_equal(l.findings.at[0].code, "PG128");
    unload(&l);
}

static void every_field_of_a_service_is_read_with_its_line(void **state)
{
    (void)state;
    struct loaded l = load_text(SERVICE(
        "web", "  type: LoadBalancer\n"
               "  clusterIP: 10.96.3.3\n"
               "  externalTrafficPolicy: Local\n"
               "  internalTrafficPolicy: Local\n"
               "  sessionAffinity: ClientIP\n"
               "  sessionAffinityConfig: {clientIP: {timeoutSeconds: 60}}\n"
               "  loadBalancerSourceRanges: [198.51.100.0/24]\n"
               "  externalIPs: [192.0.2.200]\n"
               "  healthCheckNodePort: 31000\n"
               "  publishNotReadyAddresses: true\n"
               "  ports:\n"
               "  - {name: http, port: 80, targetPort: 8080, nodePort: 30080, appProtocol: http}\n"
               "  - {name: dns, port: 53, protocol: UDP}\n"
               "status: {loadBalancer: {ingress: [{ip: 203.0.113.20, ipMode: Proxy}, {hostname: "
               "x.test}]}}\n"));
    assert_loads(&l);
    assert_int_equal(l.findings.count, 2);
    assert_string_equal(l.findings.at[0].code, "PG405"); /* externalIPs are on their way out */
    assert_string_equal(l.findings.at[1].code, "PG401"); /* a balancer by its name */
    const struct pg_service *v = service(&l, "default", "web");
    assert_int_equal(v->type, PG_SERVICE_LOAD_BALANCER);
    assert_int_equal(v->type_source.line, 5);
    assert_int_equal(v->cluster_ip_source.line, 6);
    assert_true(v->external_local);
    assert_int_equal(v->external_policy_source.line, 7);
    assert_true(v->internal_local);
    assert_int_equal(v->internal_policy_source.line, 8);
    assert_true(v->affinity_client_ip);
    assert_int_equal(v->affinity_source.line, 9);
    assert_int_equal(v->affinity_seconds, 60);
    assert_int_equal(v->health_check_node_port, 31000);
    assert_true(v->publish_not_ready);
    assert_int_equal(v->range_count, 1);
    assert_int_equal(v->external_count, 1);
    assert_addr(&l.s->external_ips[v->external_first], "192.0.2.200");
    assert_int_equal(v->lb_count, 1);
    assert_addr(&l.s->lb_ips[v->lb_first].addr, "203.0.113.20");
    assert_true(l.s->lb_ips[v->lb_first].proxy_mode);
    assert_false(l.s->lb_ips[v->lb_first].allocated);
    const struct pg_service_port *p = &l.s->service_ports[v->port_first];
    assert_int_equal(p[0].node_port, 30080);
    assert_int_equal(p[0].node_port_source.line, 16);
    assert_string_equal(p[0].target, "8080");
    assert_string_equal(p[0].app_protocol, "http");
    assert_int_equal(p[1].proto, PG_PROTO_UDP);
    assert_string_equal(p[1].target, "53");
    assert_true(p[1].node_port >= 30086 && p[1].node_port <= 32767);
    assert_int_equal(p[1].node_port_source.line, 0);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_wrong_value_is_one_error_with_place_and_reason),
        cmocka_unit_test(what_could_change_the_path_is_a_warning_and_an_error_if_strict),
        cmocka_unit_test(kinds_without_a_part_are_noted_once),
        cmocka_unit_test(all_errors_of_all_files_are_told_in_order),
        cmocka_unit_test(consequences_of_an_error_are_not_told),
        cmocka_unit_test(null_counts_as_not_written),
        cmocka_unit_test(port_of_sctp_is_warned_of_where_it_stands),
        cmocka_unit_test(every_field_of_a_service_is_read_with_its_line),
    };
    return cmocka_run_group_tests_name("cluster/kinds", tests, NULL, NULL);
}
