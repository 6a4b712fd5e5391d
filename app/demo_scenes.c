/* The scenes of `podglass demo`: manifests as people write them, and one request each.
 *
 * All scenes are one lab with one line changed, so that a reader can see which line it was. `demo --save DIR` writes the texts as files. */
#include "demo_scenes.h"

#define EDGE_HEAD                                  \
    "apiVersion: v1\n"                             \
    "kind: Namespace\n"                            \
    "metadata: {name: edge}\n"                     \
    "---\n"                                        \
    "apiVersion: v1\n"                             \
    "kind: Service\n"                              \
    "metadata: {name: gateway, namespace: edge}\n" \
    "spec:\n"                                      \
    "  type: LoadBalancer\n"                       \
    "  clusterIP: 10.96.5.5\n"                     \
    "  selector: {app: gateway}\n"                 \
    "  ports: [{name: http, port: 80, targetPort: 80}]\n"
#define EDGE_TAIL                                       \
    "status:\n"                                         \
    "  loadBalancer: {ingress: [{ip: 203.0.113.10}]}\n" \
    "---\n"                                             \
    "apiVersion: apps/v1\n"                             \
    "kind: Deployment\n"                                \
    "metadata: {name: gateway, namespace: edge}\n"      \
    "spec:\n"                                           \
    "  selector: {matchLabels: {app: gateway}}\n"       \
    "  template:\n"                                     \
    "    metadata: {labels: {app: gateway}}\n"          \
    "    spec: {containers: [{name: ingress, image: ingress, ports: [{containerPort: 80}]}]}\n"

#define SHOP_SERVICE                                        \
    "apiVersion: v1\n"                                      \
    "kind: Namespace\n"                                     \
    "metadata: {name: shop}\n"                              \
    "---\n"                                                 \
    "apiVersion: v1\n"                                      \
    "kind: Service\n"                                       \
    "metadata: {name: web, namespace: shop}\n"              \
    "spec:\n"                                               \
    "  clusterIP: 10.96.12.40\n"                            \
    "  selector: {app: web}\n"                              \
    "  ports: [{name: http, port: 80, targetPort: 8080}]\n" \
    "---\n"
#define SHOP_DEPLOYMENT                                                                    \
    "apiVersion: apps/v1\n"                                                                \
    "kind: Deployment\n"                                                                   \
    "metadata: {name: web, namespace: shop}\n"                                             \
    "spec:\n"                                                                              \
    "  replicas: 2\n"                                                                      \
    "  selector: {matchLabels: {app: web}}\n"                                              \
    "  template:\n"                                                                        \
    "    metadata: {labels: {app: web}}\n"                                                 \
    "    spec: {containers: [{name: web, image: shop, ports: [{containerPort: 8080}]}]}\n" \
    "---\n"
#define SHOP_INGRESS                            \
    "apiVersion: networking.k8s.io/v1\n"        \
    "kind: Ingress\n"                           \
    "metadata: {name: shop, namespace: shop}\n" \
    "spec:\n"                                   \
    "  rules:\n"                                \
    "  - host: shop.example.test\n"             \
    "    http:\n"                               \
    "      paths:\n"                            \
    "      - path: /\n"                         \
    "        pathType: Prefix\n"                \
    "        backend: {service: {name: web, port: {name: http}}}\n"
#define SHOP SHOP_SERVICE SHOP_DEPLOYMENT SHOP_INGRESS

/* The same pods, each written out, so that one of them can be told to go: the last, by a line more. */
#define SHOP_PODS                                                                      \
    "apiVersion: v1\n"                                                                 \
    "kind: Pod\n"                                                                      \
    "metadata: {name: web-1, namespace: shop, labels: {app: web}}\n"                   \
    "spec: {containers: [{name: web, image: shop, ports: [{containerPort: 8080}]}]}\n" \
    "---\n"                                                                            \
    "apiVersion: v1\n"                                                                 \
    "kind: Pod\n"                                                                      \
    "metadata: {name: web-0, namespace: shop, labels: {app: web}}\n"                   \
    "spec: {containers: [{name: web, image: shop, ports: [{containerPort: 8080}]}]}\n"
#define NOT_READY "status: {phase: Running, conditions: [{type: Ready, status: \"False\"}]}\n"

#define LAB                                                             \
    "apiVersion: podglass/v1alpha1\n"                                   \
    "kind: Lab\n"                                                       \
    "metadata: {name: lab}\n"                                           \
    "spec:\n"                                                           \
    "  nodes:\n"                                                        \
    "  - {name: node-1, address: 192.0.2.11, podCIDR: 10.244.1.0/24}\n" \
    "  - {name: node-2, address: 192.0.2.12, podCIDR: 10.244.2.0/24}\n" \
    "  clients:\n"                                                      \
    "  - {name: alice, address: 198.51.100.7}\n"                        \
    "  - {name: mallory, address: 198.51.100.66}\n"                     \
    "  ingress: {service: edge/gateway}\n"                              \
    "  pods:\n"                                                         \
    "  - {match: edge/gateway-0, node: node-1, address: 10.244.1.2}\n"  \
    "  - {match: shop/web-0, node: node-1, address: 10.244.1.7}\n"      \
    "  - {match: shop/web-1, node: node-2, address: 10.244.2.9}\n"

const struct pg_scene pg_scenes[] = {
    {
        .title = "externalTrafficPolicy: Cluster, as most clusters are installed",
        .moral = "The node replaced alice's address before HTTP began. The ingress wrote what it "
                 "saw, in good faith: a node.",
        .client = "alice",
        .request = "GET /cart HTTP/1.1\r\nHost: shop.example.test\r\nUser-Agent: demo\r\n\r\n",
        .files = {{"edge.yaml", EDGE_HEAD EDGE_TAIL}, {"shop.yaml", SHOP}, {"lab.yaml", LAB}},
    },
    {
        .title = "externalTrafficPolicy: Local, one line changed in edge.yaml",
        .moral = "No node touches the source now; the ingress sees alice and passes her address on "
                 "in X-Forwarded-For.",
        .client = "alice",
        .request = "GET /cart HTTP/1.1\r\nHost: shop.example.test\r\nUser-Agent: demo\r\n\r\n",
        .files = {{"edge.yaml", EDGE_HEAD "  externalTrafficPolicy: Local\n" EDGE_TAIL},
                  {"shop.yaml", SHOP},
                  {"lab.yaml", LAB}},
    },
    {
        .title = "mallory sends an X-Forwarded-For of her own",
        .moral = "She is no trusted proxy, so what she claims is removed (and shown here), and her "
                 "own address is written.",
        .client = "mallory",
        .request = "GET /admin HTTP/1.1\r\nHost: shop.example.test\r\nUser-Agent: "
                   "demo\r\nX-Forwarded-For: 10.0.0.1\r\nX-Real-IP: 10.0.0.1\r\n\r\n",
        .files = {{"edge.yaml", EDGE_HEAD "  externalTrafficPolicy: Local\n" EDGE_TAIL},
                  {"shop.yaml", SHOP},
                  {"lab.yaml", LAB}},
    },
    {
        .title = "the same, with an ingress that trusts everybody's headers",
        .moral = "trustedProxies: 0.0.0.0/0 believes whoever connects. A reader of the leftmost "
                 "entry takes mallory for 10.0.0.1.",
        .client = "mallory",
        .request = "GET /admin HTTP/1.1\r\nHost: shop.example.test\r\nUser-Agent: "
                   "demo\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n",
        .files = {{"edge.yaml", EDGE_HEAD "  externalTrafficPolicy: Local\n" EDGE_TAIL},
                  {"shop.yaml", SHOP},
                  {"lab.yaml", "apiVersion: podglass/v1alpha1\n"
                               "kind: Lab\n"
                               "metadata: {name: lab}\n"
                               "spec:\n"
                               "  ingress:\n"
                               "    service: edge/gateway\n"
                               "    trustedProxies: [0.0.0.0/0]\n"
                               "  pods:\n"
                               "  - {match: edge/gateway-0, node: node-1, address: 10.244.1.2}\n"
                               "  - {match: shop/web-0, node: node-1, address: 10.244.1.7}\n"
                               "  - {match: shop/web-1, node: node-2, address: 10.244.2.9}\n"}},
    },
    {
        .title =
            "externalTrafficPolicy: Cluster again, and a balancer that speaks the PROXY protocol",
        .moral =
            "The node replaces the balancer's address, and it does not matter: the preface in the "
            "connection names alice. Whoever comes without one is cut off.",
        .client = "balancer",
        .preface = "PROXY TCP4 198.51.100.7 203.0.113.10 40000 80\r\n",
        .named = "alice",
        .request = "GET /cart HTTP/1.1\r\nHost: shop.example.test\r\nUser-Agent: demo\r\n\r\n",
        .files = {{"edge.yaml", EDGE_HEAD EDGE_TAIL},
                  {"shop.yaml", SHOP},
                  {"lab.yaml", "apiVersion: podglass/v1alpha1\n"
                               "kind: Lab\n"
                               "metadata: {name: lab}\n"
                               "spec:\n"
                               "  clients:\n"
                               "  - {name: alice, address: 198.51.100.7}\n"
                               "  - {name: balancer, address: 198.51.100.200}\n"
                               "  ingress:\n"
                               "    service: edge/gateway\n"
                               "    proxyProtocol: {ports: [80], allowedSources: "
                               "[10.244.0.0/16, 192.0.2.0/24]}\n"
                               "  nodes:\n"
                               "  - {name: node-1, address: 192.0.2.11, podCIDR: 10.244.1.0/24}\n"
                               "  - {name: node-2, address: 192.0.2.12, podCIDR: 10.244.2.0/24}\n"
                               "  pods:\n"
                               "  - {match: edge/gateway-0, node: node-1, address: 10.244.1.2}\n"
                               "  - {match: shop/web-0, node: node-1, address: 10.244.1.7}\n"
                               "  - {match: shop/web-1, node: node-2, address: 10.244.2.9}\n"}},
    },
    {
        .title = "web-0 goes away while somebody waits for its answer",
        .moral = "A flow that is established keeps its pod to the end, in or out of the service. "
                 "Whoever comes later gets one of those that are left.",
        .client = "alice",
        .request = "GET /slow/400 HTTP/1.1\r\nHost: shop.example.test\r\nUser-Agent: "
                   "demo\r\n\r\n",
        .files = {{"edge.yaml", EDGE_HEAD "  externalTrafficPolicy: Local\n" EDGE_TAIL},
                  {"shop.yaml", SHOP_SERVICE SHOP_INGRESS "---\n" SHOP_PODS},
                  {"lab.yaml", LAB}},
        .later = SHOP_SERVICE SHOP_INGRESS "---\n" SHOP_PODS NOT_READY,
        .changed = "pod shop/web-0 is not ready any more, so it is no endpoint of shop/web",
    },
};
const uint32_t pg_scene_count = sizeof pg_scenes / sizeof pg_scenes[0];
