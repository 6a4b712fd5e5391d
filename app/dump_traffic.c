/* `get traffic`: requests counted by service and by the host of the rule that led there: statuses, verdicts, how long they took.
 *
 * What /metrics has as series, as one object each; `top` makes rates of two of these lists. Called by dump_json.c. */
#include "dump_internal.h"

#include "podglass/request_stats.h"

#include <stdio.h>

static void codes_of(struct pg_json *j, const struct pg_service_stats *s)
{
    pg_json_key(j, "codes");
    pg_json_object(j);
    for (int k = 0; k < PG_STATS_CODES && s->codes[k].count != 0; k++) {
        char status[8] = "other";
        if (s->codes[k].status != 0) {
            snprintf(status, sizeof status, "%u", s->codes[k].status);
        }
        pg_json_key_uint(j, status, s->codes[k].count);
    }
    pg_json_object_end(j);
}

static void verdicts_of(struct pg_json *j, const struct pg_service_stats *s)
{
    pg_json_key(j, "verdicts");
    pg_json_object(j);
    for (int v = 0; v < PG_VERDICT_COUNT; v++) {
        pg_json_key_uint(j, pg_verdict_name((enum pg_verdict)v), s->verdicts[v]);
    }
    pg_json_object_end(j);
}

/* The last bucket has no bound. */
static void buckets_of(struct pg_json *j, const struct pg_service_stats *s)
{
    pg_json_key(j, "durations");
    pg_json_array(j);
    for (int b = 0; b <= PG_STATS_BUCKETS; b++) {
        pg_json_object(j);
        pg_json_key(j, "upToMicroseconds");
        if (b < PG_STATS_BUCKETS) {
            pg_json_uint(j, pg_stats_bounds_us[b]);
        } else {
            pg_json_string(j, NULL);
        }
        pg_json_key_uint(j, "count", s->buckets[b]);
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
}

void pg_dump_traffic(struct pg_dump *d)
{
    const struct pg_request_stats *stats = pg_proxy_stats(pg_path_proxy(d->path));
    struct pg_json *j = &d->json;

    for (uint32_t i = 0; i < pg_request_stats_count(stats); i++) {
        const struct pg_service_stats *s = pg_request_stats_at(stats, i);
        pg_json_object(j);
        pg_json_key_string(j, "service", s->name[0] ? s->name : NULL);
        pg_json_key_string(j, "host", s->host[0] ? s->host : NULL);
        pg_json_key_uint(j, "requests", s->requests);
        pg_json_key_uint(j, "durationMicroseconds", s->duration_us);
        codes_of(j, s);
        verdicts_of(j, s);
        buckets_of(j, s);
        pg_json_object_end(j);
    }
}
