/* How long explain takes on a large cluster: 5,000 services, 50,000 endpoints, 5,000 Ingress rules, 100 nodes.
 *
 *   bench-tools-explain [SERVICES]     milliseconds of a load, of compiling the tables, of one question, and of a question with each "try" line
 *
 * Bars: load below 1500 ms, everything after it below 50 ms. */
#include "podglass/dry.h"
#include "podglass/text.h"

#include "dry_tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ENDPOINTS 10
#define NODES     100

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void put_service(uint32_t i, struct pg_text *out)
{
    pg_text_printf(out,
                   "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%u, namespace: shop}\n"
                   "spec:\n  type: %s\n  clusterIP: 10.96.%u.%u\n"
                   "  ports:\n  - {name: http, port: 80, targetPort: 8080}\n",
                   i, i % 10 ? "ClusterIP" : "NodePort", 1 + i / 250, 1 + i % 250);
    pg_text_printf(out,
                   "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n"
                   "  name: s%u-x\n  namespace: shop\n"
                   "  labels: {kubernetes.io/service-name: s%u}\naddressType: IPv4\n"
                   "ports:\n- {name: http, port: 8080}\nendpoints:\n",
                   i, i);
    for (uint32_t e = 0; e < ENDPOINTS; e++) {
        uint32_t n = i * ENDPOINTS + e;
        pg_text_printf(out,
                       "- addresses: [10.%u.%u.%u]\n  conditions: {ready: true}\n"
                       "  nodeName: node-%u\n",
                       128 + n % NODES, n / NODES / 200, 2 + n / NODES % 200, n % NODES);
    }
    pg_text_printf(
        out,
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n"
        "metadata: {name: i%u, namespace: shop}\nspec:\n  rules:\n"
        "  - host: h%u.example.test\n    http:\n      paths:\n      - path: /\n"
        "        pathType: Prefix\n        backend: {service: {name: s%u, port: {number: "
        "80}}}\n",
        i, i, i);
}

static void put_cluster(uint32_t services, struct pg_text *out)
{
    pg_text_puts(out, "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n  serviceCIDRs: "
                      "[10.96.0.0/16]\n  podCIDRs: [10.128.0.0/9]\n  ingress: {service: "
                      "edge/gateway}\n  nodes:\n");
    for (uint32_t i = 0; i < NODES; i++) {
        pg_text_printf(out, "  - {name: node-%u, address: 192.168.0.%u, podCIDR: 10.%u.0.0/16}\n",
                       i, 1 + i, 128 + i);
    }
    pg_text_puts(out, "---\napiVersion: v1\nkind: Service\nmetadata: {name: gateway, namespace: "
                      "edge}\nspec:\n  type: LoadBalancer\n  selector: {app: g}\n  ports: [{port: "
                      "80}]\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gateway, "
                      "namespace: edge}\nspec:\n  replicas: 3\n  selector: {matchLabels: {app: "
                      "g}}\n  template: {metadata: {labels: {app: g}}, spec: {containers: [{name: "
                      "c}]}}\n");
    for (uint32_t i = 0; i < services; i++) {
        put_service(i, out);
    }
}

static void ask(struct pg_dry *dry, const struct pg_dry_request *request, struct pg_dry_odds *odds,
                struct pg_dry_result *shown)
{
    pg_dry_explore(dry, request, PG_DRY_RUNS_ONE, odds);
    pg_dry_run(dry, request, odds->draw, NULL, shown);
}

int main(int argc, char **argv)
{
    uint32_t services = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 5000;
    struct pg_text yaml = {0};
    struct pg_snapshot *s = NULL;
    struct pg_findings findings;
    struct pg_dry_odds odds;
    struct pg_dry_result shown;
    struct pg_change changes[PG_CHANGES_MOST];
    struct pg_slice head = PG_SLICE_LITERAL("GET /x HTTP/1.1\r\nHost: h1234.example.test\r\n\r\n");

    put_cluster(services, &yaml);
    struct pg_manifest_input input = {.path = "bench.yaml", .text = yaml.at, .text_len = yaml.len};
    double begin = now_ms();
    if (pg_snapshot_load(&input, 1, NULL, &s, &findings) != 0) {
        struct pg_text line = {0};
        pg_finding_print(&findings.at[0], &line);
        fprintf(stderr, "%s\n", line.at);
        return 1;
    }
    double loaded = now_ms();
    struct pg_dry *dry = pg_dry_new(s);
    double compiled = now_ms();
    struct pg_addr to = pg_end_of_ingress(s, false);
    struct pg_dry_request request = {.from = pg_addr_v4(198, 51, 100, 7),
                                     .to = to,
                                     .to_port = 80,
                                     .proto = PG_PROTO_TCP,
                                     .head = head};
    ask(dry, &request, &odds, &shown);
    double asked = now_ms();
    uint32_t runs = odds.runs;
    uint32_t count = pg_changes_for(s, &shown, changes);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_snapshot *changed = pg_snapshot_with(s, &changes[i]);
        struct pg_dry *other = pg_dry_changed(dry, changed, changes[i].kind);
        ask(other, &request, &odds, &shown);
        pg_dry_free(other);
        pg_snapshot_put(changed);
    }
    double tried = now_ms();
    printf("%u services, %u endpoints, %.1f MB of YAML\n", s->service_count, s->endpoint_count,
           (double)yaml.len / 1e6);
    printf(
        "load %.0f ms, tables %.1f ms, question %.2f ms (%u outcomes), %u changes tried %.1f ms\n",
        loaded - begin, compiled - loaded, asked - compiled, runs, count, tried - asked);
    printf("after loading: %.1f ms\n", tried - loaded);
    pg_dry_free(dry);
    pg_snapshot_put(s);
    pg_findings_free(&findings);
    pg_text_free(&yaml);
    pg_reason_forget_all();
    return 0;
}
