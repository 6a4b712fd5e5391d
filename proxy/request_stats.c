/* Counters of requests by service and host.
 *
 * A list that only grows: a service that is gone keeps its numbers, and gets its place back if it returns, so a counter never goes down. Written by `request_log.c`
 * at the end of each request, read by the metrics between turns. Owns the list. */
#include "podglass/request_stats.h"

#include "podglass/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prometheus' usual bounds, and two below for pods that are built in. */
const uint32_t pg_stats_bounds_us[PG_STATS_BUCKETS] = {100,    250,    500,     1000,    2500,
                                                       5000,   10000,  25000,   50000,   100000,
                                                       250000, 500000, 1000000, 2500000, 10000000};

struct pg_request_stats {
    uint32_t limit;
    uint32_t count;
    struct pg_service_stats *at;
};

struct pg_request_stats *pg_request_stats_new(uint32_t places)
{
    struct pg_request_stats *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->limit = places + 1;
    s->at = calloc(16, sizeof(s->at[0]));
    if (!s->at) {
        free(s);
        return NULL;
    }
    s->count = 1; /* place 0 */
    s->at[0].is_first_of_service = true;
    return s;
}

void pg_request_stats_free(struct pg_request_stats *s)
{
    if (!s)
        return;
    free(s->at);
    free(s);
}

uint32_t pg_request_stats_place(struct pg_request_stats *s, const char *namespace, const char *name,
                                const char *host)
{
    char text[sizeof(s->at[0].name)];
    uint32_t last = 0; /* of the same service */
    int len = snprintf(text, sizeof(text), "%s/%s", namespace, name);
    if (len < 0 || (size_t)len >= sizeof(text) || strlen(host) >= sizeof(s->at[0].host))
        return 0;
    for (uint32_t i = 1; i < s->count; i++) {
        if (strcmp(s->at[i].name, text) != 0)
            continue;
        if (strcmp(s->at[i].host, host) == 0)
            return i;
        last = i;
    }
    if (s->count == s->limit)
        return 0;
    if (s->count % 16 == 0) {
        struct pg_service_stats *at = realloc(s->at, (s->count + 16) * sizeof(s->at[0]));
        if (!at)
            return 0;
        memset(at + s->count, 0, 16 * sizeof(at[0]));
        s->at = at;
    }
    struct pg_service_stats *new = &s->at[s->count];
    memcpy(new->name, text, (size_t)len + 1);
    memcpy(new->host, host, strlen(host) + 1);
    new->is_first_of_service = last == 0;
    if (last)
        s->at[last].next_of_service = s->count;
    return s->count++;
}

void pg_request_stats_add(struct pg_request_stats *s, uint32_t place, uint16_t status,
                          uint64_t duration_us, enum pg_verdict verdict)
{
    struct pg_service_stats *at = &s->at[place];
    uint32_t bucket = 0, code = 0;
    PG_ASSERT(place < s->count);
    while (bucket < PG_STATS_BUCKETS && duration_us > pg_stats_bounds_us[bucket])
        bucket++;
    while (code < PG_STATS_CODES - 1 && at->codes[code].count > 0 &&
           at->codes[code].status != status)
        code++;
    if (code < PG_STATS_CODES - 1)
        at->codes[code].status = status;
    at->codes[code].count++;
    at->buckets[bucket]++;
    at->requests++;
    at->duration_us += duration_us;
    if (verdict < PG_VERDICT_COUNT)
        at->verdicts[verdict]++;
}

uint32_t pg_request_stats_count(const struct pg_request_stats *s)
{
    return s->count;
}

const struct pg_service_stats *pg_request_stats_at(const struct pg_request_stats *s, uint32_t place)
{
    PG_ASSERT(place < s->count);
    return &s->at[place];
}
