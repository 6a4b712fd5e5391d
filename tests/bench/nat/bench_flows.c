/* What a million flows cost: memory each, the slowest insert, a lookup with few and with many, the end of them.
 *
 *   bench-nat-flows [FLOWS]       all of it (default 1,000,000)
 *   bench-nat-flows lookup FLOWS  inserts, then 200,000 packets of known flows, for counting instructions:
 *                                 valgrind --tool=callgrind --toggle-collect='look_up*'
 *
 * Flows are TCP connections of pods to a cluster IP with 25 endpoints: two different tuples each. What is timed are
 * the two hooks a packet passes; making it costs about 20 ns more. Random order means that neither table nor flow is in a cache, which is how a
 * million flows are met; `1000 flows` is the same work with everything in the cache. The difference is memory, not work. */
#include "podglass/nat.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PACKETS 1000000u
#define COUNTED 200000u
#define CLIENTS 32u
#define RUNS    5

struct bench {
    struct pg_counters counters;
    struct pg_random random;
    struct pg_trace *trace;
    struct pg_nat *nat;
    uint64_t now_us;
};

/* Of this thread: on a shared machine the clock on the wall shows what others do. */
static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t resident_bytes(void)
{
    char line[128];
    FILE *f = fopen("/proc/self/statm", "re");

    if (!f || !fgets(line, sizeof(line), f))
        abort();
    fclose(f);
    char *second = strchr(line, ' ');
    uint64_t pages = second ? strtoul(second, NULL, 10) : 0;

    return pages * 4096;
}

static struct pg_snapshot *load(void)
{
    struct pg_text text = {0};
    struct pg_findings findings;
    struct pg_snapshot *s = NULL;

    pg_text_puts(&text, "apiVersion: podglass/v1alpha1\nkind: Lab\nmetadata: {name: lab}\nspec:\n  "
                        "podCIDRs: [10.244.0.0/16]\n"
                        "  serviceCIDRs: [10.96.0.0/16]\n  nodes: [{name: n1, address: 192.0.2.11, "
                        "podCIDR: 10.244.1.0/24}]\n"
                        "---\napiVersion: v1\nkind: Service\nmetadata: {name: a, namespace: "
                        "t}\nspec:\n  clusterIP: 10.96.1.1\n"
                        "  ports: [{name: tcp, port: 80, targetPort: 8080}]\n"
                        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
                        "metadata: {name: a-x, namespace: t, labels: {kubernetes.io/service-name: "
                        "a}}\naddressType: IPv4\n"
                        "ports: [{name: tcp, port: 8080}]\nendpoints:\n");
    for (int i = 0; i < 25; i++)
        pg_text_printf(&text, "- {addresses: [10.244.1.%d], nodeName: n1}\n", 100 + i);
    struct pg_manifest_input input = {.path = "bench", .text = text.at, .text_len = text.len};
    if (pg_snapshot_load(&input, 1, NULL, &s, &findings) != 0)
        abort();
    pg_findings_free(&findings);
    pg_text_free(&text);
    return s;
}

static void open_bench(struct bench *b, uint32_t flows)
{
    struct pg_nat_options options = {.flow_limit = flows};

    memset(b, 0, sizeof(*b));
    b->now_us = 1000000;
    pg_random_seed(&b->random, 1);
    b->trace = pg_trace_new(16);
    b->nat = pg_nat_new(&options, &b->counters, b->trace, &b->random, b->now_us);
    struct pg_snapshot *s = load();
    if (!b->trace || !b->nat || pg_nat_load(b->nat, s, b->now_us) != 0)
        abort();
    pg_trace_set_level(b->trace, PG_TRACE_OFF);
    pg_snapshot_put(s);
}

static void close_bench(struct bench *b)
{
    pg_nat_free(b->nat);
    pg_trace_free(b->trace);
}

/* Packet of flow `number`, parsed as from the wire with its sums known to be right. */
static void make(struct pg_packet *p, uint8_t bytes[40], uint32_t number, uint8_t flags)
{
    struct pg_addr src = pg_addr_v4(10, 244, 2, (uint8_t)(number % CLIENTS));
    uint32_t be = pg_addr_v4_be(&src);
    uint32_t vip = htonl(0x0a600101);
    uint16_t port = htons((uint16_t)(1024 + number / CLIENTS));
    static const uint8_t head[40] = {0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, [23] = 80, [32] = 0x50};

    memcpy(bytes, head, 40);
    memcpy(bytes + 12, &be, 4);
    memcpy(bytes + 16, &vip, 4);
    memcpy(bytes + 20, &port, 2);
    bytes[33] = flags;
    bytes[27] = flags & PG_TCP_SYN ? 1 : 2;
    *p = (struct pg_packet){.head = bytes,
                            .head_len = 40,
                            .len = 40,
                            .csum = PG_CSUM_VERIFIED,
                            .entry_node = 0,
                            .id = number,
                            .ip_version = 4,
                            .proto = 6,
                            .tcp_flags = flags,
                            .ttl = 64,
                            .l4_offset = 20,
                            .payload_offset = 40};
    p->tuple = (struct pg_tuple){.src = src,
                                 .dst = pg_addr_v4(10, 96, 1, 1),
                                 .src_port = ntohs(port),
                                 .dst_port = 80,
                                 .proto = 6};
}

/* Both hooks. */
static void pass(struct bench *b, struct pg_packet *p)
{
    enum pg_drop drop;

    if (pg_nat_prerouting(b->nat, p, b->now_us, &drop) != PG_NAT_ACCEPT ||
        pg_nat_postrouting(b->nat, p, b->now_us, &drop) != PG_NAT_ACCEPT)
        abort();
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* ten_us: a flow each ten microseconds of the path's clock, so that their ends are spread as in life. */
static void insert_all(struct bench *b, uint32_t flows, uint64_t *took)
{
    struct pg_packet p;
    uint8_t bytes[40];

    for (uint32_t i = 0; i < flows; i++) {
        make(&p, bytes, i, PG_TCP_SYN);
        b->now_us += 10;
        uint64_t begin = took ? now_ns() : 0;
        pass(b, &p);
        uint64_t ns = took ? now_ns() - begin : 0;
        if (took && ns < took[i])
            took[i] = ns;
    }
}

__attribute__((noinline)) static double look_up(struct bench *b, uint32_t flows, uint32_t packets)
{
    struct pg_random order;
    struct pg_packet p;
    uint8_t bytes[40];
    uint64_t begin = now_ns();

    pg_random_seed(&order, 2);
    for (uint32_t i = 0; i < packets; i++) {
        make(&p, bytes, pg_random_below(&order, flows), PG_TCP_SYN);
        pass(b, &p);
    }
    return (double)(now_ns() - begin) / packets;
}

/* Page faults and neighbours on the machine disturb now one insert, now another. What an insert itself takes is the least of
 * several runs, which do the same in the same order. The last nat stays in *b. */
static void measure_inserts(struct bench *b, uint32_t flows)
{
    uint64_t *took = malloc(flows * sizeof(*took));
    double bytes = 0;

    if (!took)
        abort();
    memset(took, 0xff, flows * sizeof(*took));
    for (int run = 0; run < RUNS; run++) {
        if (run > 0)
            close_bench(b);
        open_bench(b, flows);
        uint64_t before = resident_bytes();
        insert_all(b, flows, took);
        bytes = (double)(resident_bytes() - before) / flows;
    }
    qsort(took, flows, sizeof(*took), compare);
    printf("memory   %u flows: %.1f bytes each, all told (the entry alone: %u)\n", flows, bytes,
           pg_nat_flow_bytes());
    uint64_t median = took[flows / 2];
    uint64_t nearly_all = took[flows - flows / 1000 - 1];
    printf("insert   median %.2f us, 99.9 %% %.2f us, slowest", (double)median / 1e3,
           (double)nearly_all / 1e3);
    for (uint32_t i = 1; i <= 5 && i <= flows; i++)
        printf(" %.1f", (double)took[flows - i] / 1e3);
    printf(" us\n");
    free(took);
}

static void measure_end(struct bench *b, uint32_t flows)
{
    uint64_t slowest = 0;
    uint64_t begin = now_ns();
    uint64_t due;

    while ((due = pg_nat_next_due_us(b->nat)) != UINT64_MAX) {
        b->now_us = due > b->now_us ? due : b->now_us;
        uint64_t one = now_ns();
        pg_nat_advance(b->nat, b->now_us);
        one = now_ns() - one;
        slowest = one > slowest ? one : slowest;
    }
    printf("end      %.0f ns per flow, slowest call %.0f us, %u left\n",
           (double)(now_ns() - begin) / flows, (double)slowest / 1e3, pg_nat_flow_count(b->nat));
}

static void all(uint32_t flows)
{
    struct bench big;
    struct bench few;
    double times[2] = {0};

    open_bench(&few, 1000);
    measure_inserts(&big, flows);
    insert_all(&few, 1000, NULL);
    for (int round = 0; round < 5; round++) { /* in turns, so that both meet the same machine */
        times[0] += look_up(&few, 1000, PACKETS / 5) / 5;
        times[1] += look_up(&big, flows, PACKETS / 5) / 5;
    }
    printf("lookup   1000 flows %.0f ns, %u flows in random order %.0f ns \n", times[0], flows,
           times[1]);
    measure_end(&big, flows);
    close_bench(&few);
    close_bench(&big);
}

int main(int argc, char **argv)
{
    uint32_t flows = argc > 1 ? (uint32_t)strtoul(argv[argc - 1], NULL, 10) : 1000000;
    struct bench b;

    if (flows < 1 || flows > CLIENTS * 64000u)
        return 2;
    if (argc < 3) {
        all(flows);
    } else {
        open_bench(&b, flows);
        insert_all(&b, flows, NULL);
        look_up(&b, flows, COUNTED);
        close_bench(&b);
    }
    pg_reason_forget_all();
    return 0;
}
