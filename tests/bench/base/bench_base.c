/* How fast the leaf code of the data path is: checksum, tuple hash, table, pool, wheel, packet
 * parse.
 *
 * Prints nanoseconds (or GB/s) per operation, and for the checksum the ratio to memcpy of the same
 * bytes in the same run, since absolute numbers of shared machines mean little. `bench_base NAME`
 * runs one part only, which is what to give to callgrind. */
#include "podglass/addr.h"
#include "podglass/checksum.h"
#include "podglass/hash.h"
#include "podglass/packet.h"
#include "podglass/pool.h"
#include "podglass/table.h"
#include "podglass/wheel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define FLOWS 1000000u

static volatile uint64_t sink; /* keeps results from being optimised away */

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void bench_checksum(void)
{
    static uint8_t from[65536], to[65536];
    static const size_t sizes[] = {20, 64, 1460, 65536};
    memset(from, 0x5a, sizeof(from));
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t turns = (size_t)400000000 / (sizes[i] + 20);
        double begin = now_ns();
        for (size_t n = 0; n < turns; n++)
            sink += pg_sum_fold(pg_sum_add(n, from, sizes[i]));
        double sum_ns = now_ns() - begin;
        begin = now_ns();
        for (size_t n = 0; n < turns; n++) {
            memcpy(to, from, sizes[i]);
            __asm__ volatile("" ::"r"(to) : "memory");
        }
        double copy_ns = now_ns() - begin;
        double bytes = (double)turns * (double)sizes[i];
        printf("checksum %5zu bytes  %6.1f GB/s  (%.2f of memcpy)\n", sizes[i], bytes / sum_ns,
               copy_ns / sum_ns);
    }
}

static void bench_hash(void)
{
    struct pg_hash_key key = {1, 2};
    struct pg_tuple t = {.src = pg_addr_v4(10, 0, 0, 1), .dst = pg_addr_v4(10, 96, 0, 1)};
    double begin = now_ns();
    for (uint32_t i = 0; i < 20000000; i++) {
        t.src_port = (uint16_t)i;
        sink += pg_hash_tuple(&key, &t);
    }
    printf("tuple hash            %6.1f ns\n", (now_ns() - begin) / 20e6);
}

static bool equal(const void *owner, uint32_t value, const void *key)
{
    (void)owner;
    return value == *(const uint32_t *)key;
}

static uint32_t hash_of(uint32_t value)
{
    const struct pg_hash_key key = {3, 4};
    return (uint32_t)pg_hash(&key, &value, sizeof(value));
}

static void bench_table(void)
{
    struct pg_table *t = pg_table_new(FLOWS, equal, NULL);
    double worst = 0, begin = now_ns();
    for (uint32_t v = 0; v < FLOWS; v++) {
        double one = now_ns();
        pg_table_add(t, hash_of(v), v);
        one = now_ns() - one;
        worst = one > worst ? one : worst;
    }
    printf("table add, growing    %6.1f ns, worst %.1f us\n", (now_ns() - begin) / FLOWS,
           worst / 1000);
    begin = now_ns();
    for (uint32_t v = 0; v < FLOWS; v++)
        sink += pg_table_find(t, hash_of(v), &v);
    printf("table find of 1e6     %6.1f ns\n", (now_ns() - begin) / FLOWS);
    begin = now_ns();
    for (uint32_t v = 0; v < FLOWS; v++)
        pg_table_del(t, hash_of(v), v);
    printf("table del             %6.1f ns\n", (now_ns() - begin) / FLOWS);
    pg_table_free(t);
}

static void on_timer(void *arg, struct pg_timer *t)
{
    (void)arg;
    sink += t->due_ms;
}

static void bench_wheel(void)
{
    struct pg_timer *timers = calloc(FLOWS, sizeof(*timers));
    struct pg_wheel *w = pg_wheel_new(0);
    if (!timers || !w)
        abort();
    double begin = now_ns();
    for (int round = 0; round < 4; round++)
        for (uint32_t i = 0; i < FLOWS; i++)
            pg_wheel_arm(w, &timers[i], 1000 + (uint64_t)i * 2654435761u % 300000);
    printf("wheel arm, re-arm     %6.1f ns\n", (now_ns() - begin) / (4.0 * FLOWS));
    begin = now_ns();
    for (uint64_t ms = 0; ms <= 301000; ms++)
        pg_wheel_advance(w, ms, on_timer, NULL);
    printf("wheel fire            %6.1f ns\n", (now_ns() - begin) / FLOWS);
    pg_wheel_free(w);
    free(timers);
}

static void bench_pool(void)
{
    struct pg_pool *p = pg_pool_new("bench", 256, FLOWS);
    if (!p)
        abort();
    double begin = now_ns();
    for (uint32_t i = 0; i < 20000000; i++) {
        uint32_t index = pg_pool_get(p);
        sink += *(uint8_t *)pg_pool_at(p, index);
        pg_pool_put(p, index);
    }
    printf("pool get and put      %6.1f ns\n", (now_ns() - begin) / 20e6);
    pg_pool_free(p);
}

static void bench_packet(void)
{
    uint8_t bytes[40] = {0x45, 0,  0,   40, 0,   0, 64, 0, 64,   6,    0, 0,
                         198,  51, 100, 7,  192, 0, 2,  1, 0x9c, 0x40, 0, 80};
    bytes[32] = 0x50;
    uint16_t sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, bytes, 20));
    memcpy(bytes + 10, &sum, 2);
    double begin = now_ns();
    for (uint32_t i = 0; i < 20000000; i++) {
        struct pg_packet p = {.head = bytes, .head_len = 40, .len = 40, .csum = PG_CSUM_PARTIAL};
        enum pg_drop why = PG_DROP_NONE;
        if (!pg_packet_parse(&p, &why))
            abort();
        sink += p.tuple.src_port;
    }
    printf("packet parse          %6.1f ns\n", (now_ns() - begin) / 20e6);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } parts[] = {{"checksum", bench_checksum}, {"hash", bench_hash}, {"table", bench_table},
                 {"wheel", bench_wheel},       {"pool", bench_pool}, {"packet", bench_packet}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (argc < 2 || strcmp(argv[1], parts[i].name) == 0)
            parts[i].run();
    return 0;
}
