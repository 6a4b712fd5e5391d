/* Micro-benchmarks: parts with a name, each run for a number of turns, nanoseconds per turn printed.
 *
 *   bench-x                 all parts, each with its own number of turns
 *   bench-x NAME TURNS      one part; this is what tests/bench/instructions.sh runs under callgrind
 *   bench-x --list          the names */
#ifndef BENCH_H
#define BENCH_H

#include <stdint.h>

struct bench_part {
    const char *name;
    /* Runs the part; what is not to be counted comes before bench_begin() and behind bench_end(). */
    void (*run)(uint64_t turns);
    uint64_t turns;
};

extern volatile uint64_t bench_sink; /* keeps results from being optimised away */

void bench_begin(void);
void bench_end(void);
int bench_main(int argc, char **argv, const struct bench_part *parts, uint32_t count);

#endif
