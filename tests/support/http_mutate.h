/* Requests that are nearly right: vectors and ordinary requests with a few seeded changes. */
#ifndef PODGLASS_TEST_HTTP_MUTATE_H
#define PODGLASS_TEST_HTTP_MUTATE_H

#include <stddef.h>
#include <stdint.h>

#define MUTANT_MAX 4096

struct mutant {
    char bytes[MUTANT_MAX];
    size_t len;
};

/* The same state gives the same request; it moves on. */
void mutant_make(uint64_t *state, struct mutant *ret);
uint64_t mutant_dice(uint64_t *state, uint64_t below);

#endif
