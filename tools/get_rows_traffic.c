/* Rows of requests by service and host, for `get traffic` and `top`. */
#include "get_cells.h"

#include <inttypes.h>
#include <string.h>

uint64_t pg_requests_codes(const json_t *item, char first)
{
    const char *status = NULL;
    json_t *count = NULL;
    uint64_t sum = 0;

    json_object_foreach(json_object_get((json_t *)(uintptr_t)item, "codes"), status, count)
    {
        sum += status[0] == first ? (uint64_t)json_integer_value(count) : 0;
    }
    return sum;
}

int64_t pg_requests_below(const json_t *item, unsigned percent)
{
    const json_t *buckets = json_object_get(item, "durations");
    uint64_t all = 0;
    uint64_t below = 0;
    size_t i = 0;
    const json_t *b = NULL;

    json_array_foreach(buckets, i, b)
    {
        all += pg_get_number(b, "count");
    }
    json_array_foreach(buckets, i, b)
    {
        below += pg_get_number(b, "count");
        if (all && below * 100 >= all * percent) {
            return pg_get_has(b, "upToMicroseconds") ? (int64_t)pg_get_number(b, "upToMicroseconds")
                                                     : INT64_MAX;
        }
    }
    return -1;
}

void pg_requests_cell_below(struct pg_grid *g, const json_t *item, unsigned percent)
{
    int64_t us = pg_requests_below(item, percent);

    if (us < 0) {
        pg_grid_cell(g, NULL);
    } else if (us == INT64_MAX) {
        pg_grid_cell(g, ">10s");
    } else if (us < 1000) {
        pg_grid_cellf(g, "%.2gms", (double)us / 1000.0);
    } else if (us < 1000000) {
        pg_grid_cellf(g, "%gms", (double)us / 1000.0);
    } else {
        pg_grid_cellf(g, "%gs", (double)us / 1e6);
    }
}

void pg_row_traffic(struct pg_grid *g, const json_t *item, bool wide)
{
    static const char *const verdicts[] = {"kept", "carried", "lost", "forged", "ambiguous"};
    const json_t *by = json_object_get(item, "verdicts");
    const char *service = pg_get_string(item, "service");
    uint64_t requests = pg_get_number(item, "requests");

    pg_grid_cell(g, service ? service : "-");
    pg_grid_cell(g, pg_get_string(item, "host") ? pg_get_string(item, "host") : "-");
    pg_grid_cellf(g, "%" PRIu64, requests);
    for (const char *first = "2345"; *first; first++) {
        pg_grid_cellf(g, "%" PRIu64, pg_requests_codes(item, *first));
    }
    pg_requests_cell_below(g, item, 50);
    pg_requests_cell_below(g, item, 99);
    for (size_t v = 0; v < 3 || (wide && v < 5); v++) {
        pg_grid_cellf(g, "%" PRIu64, pg_get_number(by, verdicts[v]));
    }
    if (wide && requests) {
        pg_grid_cellf(g, "%.2fms",
                      (double)pg_get_number(item, "durationMicroseconds") / 1000.0 /
                          (double)requests);
    } else if (wide) {
        pg_grid_cell(g, NULL);
    }
}
