/* What does being watchable cost a request? Instructions per request, to be counted by callgrind:
 *
 *   for n in 200 1200; do valgrind --tool=callgrind --callgrind-out-file=/dev/null build/release/tests/bench-app-watch $n off; done
 *
 * The difference of the two sums, divided by 1000, is one request: by keep-alive on one connection (off, flows), or with a connection each (off-new, flows-new). "off" is nobody
 * watching, "flows" somebody watching everything, "other" somebody watching another client only, "host", "service", "pod" another
 * one of these, "capture" a capture of everything. */
#include "podglass/capture.h"
#include "podglass/sim.h"
#include "podglass/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char manifest[] =
    "apiVersion: v1\nkind: Service\nmetadata: {name: gateway, namespace: edge}\n"
    "spec: {type: LoadBalancer, clusterIP: 10.96.5.5, selector: {app: gateway}, ports: [{port: "
    "80}]}\n"
    "status: {loadBalancer: {ingress: [{ip: 203.0.113.10}]}}\n---\n"
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gateway, namespace: edge}\n"
    "spec: {selector: {matchLabels: {app: gateway}}, template: {metadata: {labels: {app: "
    "gateway}}}}\n---\n"
    "apiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
    "spec: {clusterIP: 10.96.12.40, selector: {app: web}, ports: [{port: 80, targetPort: "
    "8080}]}\n---\n"
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\n"
    "spec: {selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}}}\n---\n"
    "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop, namespace: shop}\n"
    "spec: {rules: [{host: shop.example.test, http: {paths: [{path: /, pathType: Prefix, "
    "backend: {service: {name: web, port: {number: 80}}}}]}}]}\n---\n"
    "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: {name: lab}\n"
    "spec: {ingress: {service: edge/gateway}, clients: [{name: alice, address: 198.51.100.7}]}\n";

static struct pg_snapshot *load(void)
{
    struct pg_manifest_input input = {
        .path = "bench.yaml", .text = manifest, .text_len = sizeof manifest - 1};
    struct pg_load_options options = {.pods = PG_PODS_ECHO};
    struct pg_findings findings;
    struct pg_snapshot *s = NULL;
    if (pg_snapshot_load(&input, 1, &options, &s, &findings) != 0) {
        fprintf(stderr, "%s\n", findings.count != 0 ? findings.at[0].text : "?");
        exit(1);
    }
    pg_findings_free(&findings);
    return s;
}

static void ask(struct pg_sim *sim, const char *bytes, size_t len, bool raw)
{
    struct pg_response response;
    struct pg_request r = {.from = pg_addr_v4(198, 51, 100, 7),
                           .to = pg_addr_v4(203, 0, 113, 10),
                           .to_port = 80,
                           .bytes = bytes,
                           .len = (uint32_t)len,
                           .raw = raw};
    if (pg_sim_request(sim, &r, &response) != 0 || response.error != 0) {
        fprintf(stderr, "no response: %d\n", response.error);
        exit(1);
    }
    pg_response_free(&response);
}

static struct pg_want want_of(const char *how)
{
    return (struct pg_want){.has_from = strncmp(how, "other", 5) == 0,
                            .from = pg_addr_v4(192, 0, 2, 200),
                            .host = strncmp(how, "host", 4) == 0 ? "other.example.test" : NULL,
                            .service = strncmp(how, "service", 7) == 0 ? "shop/other" : NULL,
                            .pod = strncmp(how, "pod", 3) == 0 ? "shop/other-0" : NULL};
}

int main(int argc, char **argv)
{
    static const char one[] =
        "GET /bytes/64 HTTP/1.1\r\nHost: shop.example.test\r\nUser-Agent: bench\r\n\r\n";
    static const char last[] =
        "GET / HTTP/1.1\r\nHost: shop.example.test\r\nConnection: close\r\n\r\n";
    unsigned long count = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000;
    const char *how = argc > 2 ? argv[2] : "off";
    struct pg_path_options options = {.trace_records = 16384};
    struct pg_snapshot *s = load();
    struct pg_sim sim;
    struct pg_watchers watchers;
    struct pg_watch watch = {.want = want_of(how)};
    struct pg_text bytes = {0};
    if (pg_sim_open(&options, s, 1, &sim) != 0) {
        return 1;
    }
    pg_watchers_init(&watchers, sim.path);
    if (strncmp(how, "off", 3) != 0 && strncmp(how, "capture", 7) != 0) {
        pg_watch_begin(&watchers, &watch);
    }
    struct pg_capture_options capture = {.buffer_bytes = 1024 * 1024};
    struct pg_capture *c =
        strncmp(how, "capture", 7) == 0 ? pg_capture_begin(sim.path, &capture) : NULL;
    bool each = strstr(how, "-new") != NULL;
    for (unsigned long n = 0; n < count; n++) {
        if (each) {
            ask(&sim, one, sizeof one - 1, false);
        } else {
            pg_text_add(&bytes, one, sizeof one - 1);
        }
    }
    if (!each) {
        pg_text_add(&bytes, last, sizeof last - 1);
        ask(&sim, bytes.at, bytes.len, true);
    }
    printf("%lu requests, %llu records\n", count,
           (unsigned long long)pg_trace_next_seq(pg_path_trace(sim.path)) - 1);
    pg_text_free(&bytes);
    pg_capture_end(sim.path, c);
    pg_watchers_end(&watchers);
    pg_sim_close(&sim);
    pg_snapshot_put(s);
    pg_reason_forget_all();
    return 0;
}
