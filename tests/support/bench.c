/* Runs the parts of a micro-benchmark and prints what a turn takes. */
#include "bench.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

volatile uint64_t bench_sink;
static double begun_ns;
static double took_ns;

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID,
                  &t); /* what others do at the same time does not count */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

void bench_begin(void)
{
    begun_ns = now_ns();
}

void bench_end(void)
{
    took_ns += now_ns() - begun_ns;
}

static void run(const struct bench_part *part, uint64_t turns)
{
    took_ns = 0;
    part->run(turns);
    printf("%-44s %10.1f ns\n", part->name, took_ns / (double)turns);
    fflush(stdout);
}

int bench_main(int argc, char **argv, const struct bench_part *parts, uint32_t count)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (uint32_t i = 0; i < count; i++) {
            puts(parts[i].name);
        }
        return 0;
    }
    bool any = argc == 1;
    for (uint32_t i = 0; i < count; i++) {
        if (argc > 1 && strcmp(argv[1], parts[i].name) != 0) {
            continue;
        }
        any = true;
        run(&parts[i], argc > 2 ? strtoull(argv[2], NULL, 10) : parts[i].turns);
    }
    if (!any) {
        fprintf(stderr, "no part %s\n", argv[1]);
    }
    return any ? 0 : 2;
}
