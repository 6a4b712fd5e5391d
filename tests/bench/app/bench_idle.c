/* What an idle client connection costs: in memory, and in time of the packets of others.
 *
 *   bench-app-idle [memory|packets] [CONNECTIONS] [REQUESTS]
 *
 * memory   opens CONNECTIONS (100,000) through the in-process wire, one request each, and prints how
 *          much resident memory one takes: TCP, ingress, NAT flow and tables.
 * packets  sends REQUESTS (200,000) on random ones of CONNECTIONS open ones and prints the CPU time
 *          of the path per packet, the least of nine rounds. Compare 128 with 100,000.
 * The clients are packets made here (packet_clients.h), so all state is the path's. For instructions
 * a packet, run `packets 128` and `packets 100000` under callgrind, each with 20000 and
 * 40000 requests, and take differences. */
#include "packet_clients.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ROUNDS 9

_Noreturn static void fail(const char *what)
{
    fprintf(stderr, "bench-app-idle: %s\n", what);
    exit(1);
}

/* The second number of statm, in pages. */
static uint64_t resident_bytes(void)
{
    char line[256];
    char *at;
    FILE *f = fopen("/proc/self/statm", "r");

    if (f == NULL || fgets(line, sizeof line, f) == NULL || (at = strchr(line, ' ')) == NULL)
        fail("no /proc/self/statm");
    fclose(f);
    return strtoull(at, NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void open_or_fail(struct packet_clients *c, uint32_t limit)
{
    if (!packet_clients_open(c, limit))
        fail("no path");
}

static void memory(uint32_t count)
{
    struct packet_clients c;
    uint32_t warm = 1000;
    uint64_t before;

    open_or_fail(&c, count + warm);
    memset(c.at, 1, (count + warm) * sizeof *c.at);
    packet_clients_connect(&c, warm);
    before = resident_bytes();
    packet_clients_connect(&c, count);
    if (c.answered != count + warm)
        fail("a request was not answered");
    printf("%u idle connections: %.0f bytes each\n", count,
           (double)(resident_bytes() - before) / count);
    packet_clients_close(&c);
}

/* ns a packet */
static double ask_some(struct packet_clients *c, uint32_t among, uint32_t requests, uint32_t *state)
{
    uint64_t packets = c->packets + c->received;
    uint64_t begin = c->busy_ns;

    for (uint32_t n = 0; n < requests; n += PACKET_CLIENTS_BATCH) {
        uint32_t which[PACKET_CLIENTS_BATCH];

        *state = *state * 1664525u + 1013904223u;
        for (uint32_t i = 0; i < PACKET_CLIENTS_BATCH; i++) {
            uint32_t part = among / PACKET_CLIENTS_BATCH;

            *state = *state * 1664525u + 1013904223u;
            which[i] = i * part + (uint32_t)((uint64_t)*state * part >> 32);
        }
        packet_clients_ask(c, which, PACKET_CLIENTS_BATCH);
    }
    return (double)(c->busy_ns - begin) / (double)(c->packets + c->received - packets);
}

static void packets(uint32_t count, uint32_t requests)
{
    struct packet_clients c;
    double least = 1e9; /* of some rounds: others use this machine, too */
    uint32_t state = 1;

    open_or_fail(&c, count);
    packet_clients_connect(&c, count);
    ask_some(&c, count, requests / ROUNDS, &state);
    for (uint32_t i = 0; i < ROUNDS; i++) {
        double ns = ask_some(&c, count, requests / ROUNDS, &state);
        if (ns < least)
            least = ns;
    }
    printf("%7u connections: %.0f ns a packet\n", count, least);
    packet_clients_close(&c);
}

int main(int argc, char **argv)
{
    const char *part = argc > 1 ? argv[1] : "all";
    uint32_t count = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 100000;
    uint32_t requests = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 200000;

    if (strcmp(part, "packets") != 0)
        memory(count);
    if (strcmp(part, "memory") != 0)
        packets(count, requests);
    return 0;
}
