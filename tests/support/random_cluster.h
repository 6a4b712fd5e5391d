/* Random clusters for property tests: the same draws give the same manifests. */
#ifndef RANDOM_CLUSTER_H
#define RANDOM_CLUSTER_H

#include "podglass/hash.h"
#include "podglass/text.h"

#include <stdbool.h>

bool pg_chance(struct pg_random *r, uint32_t percent);
const char *pg_one_of(struct pg_random *r, const char *const *words, uint32_t count);
#define PG_ONE_OF(r, ...)                              \
    pg_one_of((r), (const char *const[]){__VA_ARGS__}, \
              sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

/* Manifests: one to three nodes with pod ranges 10.244.N.0/24, Service edge/gateway in front of the ingress, shop/s1 to s3 of any type,
 * any dialect and local detector. */
void pg_put_cluster(struct pg_random *r, struct pg_text *out);
/* The same with IPv6 beside IPv4 (nodes 2001:db8::1N, pods fd00:10:244:N::/64), services of one family or both, and UDP ports. */
void pg_put_wide_cluster(struct pg_random *r, struct pg_text *out);

#endif
