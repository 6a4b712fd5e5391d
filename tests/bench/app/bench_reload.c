/* How long a reload holds packets up: one endpoint among many changes, for the next connection and in DNS.
 *
 *   bench-app-reload [SERVICES [ENDPOINTS]]     default 10,000 services with 25 endpoints each
 *
 * Every second service is headless. Timed is pg_path_load, which puts a snapshot in force for NAT, DNS and the ingress, and after it each
 * turn of the path until the old snapshot's memory is given back. Reading manifests is not: it is printed beside. After each change
 * DNS is asked and must know the new endpoint. In this thread's time. */
#include "podglass/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHANGES 9

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add_service(struct pg_text *text, uint32_t i, uint32_t endpoints, bool changed)
{
    char ip[32] = "None";

    if (i % 2 == 0)
        (void)snprintf(ip, sizeof(ip), "10.%u.%u.%u", 97 + i / 50000, i / 200 % 250, 1 + i % 200);
    pg_text_printf(text,
                   "---\napiVersion: v1\nkind: Service\nmetadata: {name: s%u, namespace: t}\n"
                   "spec: {clusterIP: %s, ports: [{name: web, port: 80, targetPort: 8080}]}\n"
                   "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: "
                   "{name: s%u-x, namespace: t, labels: {kubernetes.io/service-name: s%u}}\n"
                   "addressType: IPv4\nports: [{name: web, port: 8080}]\nendpoints:\n",
                   i, ip, i, i);
    for (uint32_t e = 0; e < endpoints; e++) {
        uint32_t host = i / 16 * endpoints + e + (changed ? 60000 : 0);
        pg_text_printf(text, "- {addresses: [10.%u.%u.%u], nodeName: n%u}\n", 128 + i % 16,
                       host / 250 % 256, 2 + host % 250, i % 16);
        changed = false; /* the first only */
    }
}

/* changed: this service and the next one have another first endpoint than in all other variants. */
static struct pg_snapshot *load(uint32_t services, uint32_t endpoints, uint32_t changed,
                                uint64_t *ns)
{
    struct pg_text text = {0};
    struct pg_findings findings;
    struct pg_snapshot *s = NULL;

    pg_text_puts(&text, "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: {name: lab}\nspec:\n"
                        "  podCIDRs: [10.128.0.0/9]\n  serviceCIDRs: [10.96.0.0/12]\n"
                        "  dns: {address: 10.96.0.10}\n  nodes:\n");
    for (uint32_t i = 0; i < 16; i++)
        pg_text_printf(&text, "  - {name: n%u, address: 192.0.2.%u, podCIDR: 10.%u.0.0/16}\n", i,
                       10 + i, 128 + i);
    for (uint32_t i = 0; i < services; i++)
        add_service(&text, i, endpoints, i == changed || i == changed + 1);
    struct pg_manifest_input input = {.path = "bench", .text = text.at, .text_len = text.len};
    *ns = now_ns();
    if (pg_snapshot_load(&input, 1, NULL, &s, &findings) != 0)
        abort();
    *ns = now_ns() - *ns;
    pg_findings_free(&findings);
    pg_text_free(&text);
    return s;
}

/* Does DNS answer with the first endpoint of the headless service behind `changed`? */
static bool dns_has(struct pg_path *path, const struct pg_snapshot *s, uint32_t changed)
{
    char name[64];
    struct pg_addr found[64];
    uint32_t count;
    pg_reason_id reason;
    int len = snprintf(name, sizeof(name), "s%u.t.svc.cluster.local", changed + 1);
    char label[16];
    (void)snprintf(label, sizeof(label), "s%u", changed + 1);
    uint32_t service = pg_snapshot_service(s, "t", label);
    const struct pg_service_port *port = &s->service_ports[s->services[service].port_first];
    const struct pg_addr *wanted = NULL;

    for (uint32_t i = 0; i < port->endpoint_count; i++) { /* the one beyond the others */
        const struct pg_addr *a = &s->endpoints[port->endpoint_first + i].addr;
        wanted = !wanted || memcmp(a, wanted, sizeof(*a)) > 0 ? a : wanted;
    }
    (void)pg_dns_resolve(pg_path_zone(path), name, (size_t)len, false, found, 64, &count, &reason);
    for (uint32_t i = 0; wanted && i < count && i < 64; i++) {
        if (pg_addr_equal(&found[i], wanted))
            return count == port->endpoint_count;
    }
    return false;
}

/* The slowest turn until nothing is left to do. */
static uint64_t run_turns(struct pg_sim *sim, uint32_t *turns)
{
    uint64_t slowest = 0;
    int more = 1;

    while (more > 0) {
        uint64_t begin = now_ns();
        more = pg_path_turn(sim->path, sim->now_us);
        uint64_t took = now_ns() - begin;
        slowest = took > slowest ? took : slowest;
        ++*turns;
    }
    return slowest;
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
    struct pg_path_options options = {0};
    struct pg_sim sim;
    uint64_t ns;
    uint64_t took[CHANGES];
    uint64_t slowest = 0;
    uint32_t turns = 0;
    struct pg_snapshot *s = load(services, endpoints, PG_INDEX_NONE - 1, &ns);
    uint64_t begin = now_ns();

    printf("read     %u services, %u endpoints: %.2f s\n", services, s->endpoint_count,
           (double)ns / 1e9);
    if (pg_sim_open(&options, s, 1, &sim) != 0)
        abort();
    printf("load     all of them: %.3f s\n", (double)(now_ns() - begin) / 1e9);
    pg_snapshot_put(s);
    for (uint32_t i = 0; i < CHANGES; i++) { /* two more change back: those of before */
        uint32_t changed = i * (services / CHANGES) / 2 * 2;
        s = load(services, endpoints, changed, &ns);
        begin = now_ns();
        if (pg_path_load(sim.path, s, sim.now_us) != 0)
            abort();
        took[i] = now_ns() - begin;
        if (!dns_has(sim.path, s, changed))
            abort();
        pg_snapshot_put(s);
        uint64_t slow = run_turns(&sim, &turns);
        slowest = slow > slowest ? slow : slowest;
    }
    qsort(took, CHANGES, sizeof(took[0]), compare);
    uint64_t median = took[CHANGES / 2];
    printf("change   two services, and two back: median %.1f us, slowest %.1f us\n",
           (double)median / 1e3, (double)took[CHANGES - 1] / 1e3);
    printf("turns    %u a reload, slowest %.1f us\n", turns / CHANGES, (double)slowest / 1e3);
    pg_sim_close(&sim);
    pg_reason_forget_all();
    return 0;
}
