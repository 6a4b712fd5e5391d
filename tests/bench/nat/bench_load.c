/* How long it takes until services are in force: all at once, and one endpoint's change among them.
 *
 *   bench-nat-load [SERVICES [ENDPOINTS]]     default 10,000 services with 25 endpoints each
 *
 * Reading manifests is timed too, but it happens off the path; what holds packets up is pg_nat_load. Each change is timed apart and the
 * median and the slowest are printed, in this thread's time. */
#include "podglass/nat.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHANGES 9

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* changed: this service has other endpoints than in all other variants. */
static struct pg_snapshot *load(uint32_t services, uint32_t endpoints, uint32_t changed,
                                uint64_t *ns)
{
    struct pg_text text = {0};
    struct pg_findings findings;
    struct pg_snapshot *s = NULL;

    pg_text_puts(&text, "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: {name: lab}\nspec:\n"
                        "  podCIDRs: [10.128.0.0/9]\n  serviceCIDRs: [10.96.0.0/12]\n  nodes:\n");
    for (uint32_t i = 0; i < 16; i++)
        pg_text_printf(&text, "  - {name: n%u, address: 192.0.2.%u, podCIDR: 10.%u.0.0/16}\n", i,
                       10 + i, 128 + i);
    for (uint32_t i = 0; i < services; i++) {
        pg_text_printf(&text,
                       "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%u, namespace: t}\n"
                       "spec: {clusterIP: 10.%u.%u.%u, ports: [{port: 80, targetPort: 8080}]}\n"
                       "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: "
                       "{name: s%u-x, namespace: t, "
                       "labels: {kubernetes.io/service-name: s%u}}\naddressType: IPv4\nports: "
                       "[{port: 8080}]\nendpoints:\n",
                       i, 97 + i / 50000, i / 200 % 250, 1 + i % 200, i, i);
        for (uint32_t e = 0; e < endpoints; e++) {
            uint32_t host = i / 16 * endpoints + e + (i == changed && e == 0 ? 60000 : 0);
            pg_text_printf(&text, "- {addresses: [10.%u.%u.%u], nodeName: n%u}\n", 128 + i % 16,
                           host / 250 % 256, 2 + host % 250, i % 16);
        }
    }
    struct pg_manifest_input input = {.path = "bench", .text = text.at, .text_len = text.len};
    *ns = now_ns();
    if (pg_snapshot_load(&input, 1, NULL, &s, &findings) != 0) {
        struct pg_text why = {0};
        for (uint32_t i = 0; i < findings.count && i < 3; i++)
            pg_finding_print(&findings.at[i], &why);
        fprintf(stderr, "%s\n", why.at ? why.at : "");
        exit(1);
    }
    *ns = now_ns() - *ns;
    pg_findings_free(&findings);
    pg_text_free(&text);
    return s;
}

static uint64_t bring_in_force(struct pg_nat *n, struct pg_snapshot *s)
{
    uint64_t begin = now_ns();

    if (pg_nat_load(n, s, 1000000) != 0)
        abort();
    return now_ns() - begin;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    uint32_t services = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 10000;
    uint32_t endpoints = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 25;
    struct pg_counters counters = {0};
    struct pg_nat_options options = {0};
    struct pg_random random;
    uint64_t ns;
    uint64_t took[CHANGES];

    pg_random_seed(&random, 1);
    struct pg_trace *trace = pg_trace_new(16);
    struct pg_nat *n = pg_nat_new(&options, &counters, trace, &random, 1000000);
    struct pg_snapshot *first = load(services, endpoints, PG_INDEX_NONE, &ns);
    printf("read     %u services, %u endpoints: %.2f s\n", services, first->endpoint_count,
           (double)ns / 1e9);
    printf("load     all of them: %.3f s\n", (double)bring_in_force(n, first) / 1e9);
    printf("again    unchanged: %.1f us\n", (double)bring_in_force(n, first) / 1e3);
    struct pg_snapshot *before = pg_snapshot_ref(first);
    for (uint32_t i = 0; i < CHANGES;
         i++) { /* two services change: the one of before changes back */
        struct pg_snapshot *s = load(services, endpoints, i * (services / CHANGES), &ns);
        took[i] = bring_in_force(n, s);
        pg_snapshot_put(before); /* the last reference: giving its memory back is not timed */
        before = s;
    }
    pg_snapshot_put(before);
    qsort(took, CHANGES, sizeof(took[0]), compare);
    uint64_t median = took[CHANGES / 2];
    printf("change   one endpoint, and one back: median %.1f us, slowest %.1f us\n",
           (double)median / 1e3, (double)took[CHANGES - 1] / 1e3);
    pg_nat_free(n);
    pg_snapshot_put(first);
    pg_trace_free(trace);
    pg_reason_forget_all();
    return 0;
}
