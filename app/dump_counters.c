/* `get counters`: what was counted, what was dropped and why, and how full everything is.
 *
 * Not a list: {"counters":{name:value}, "drops":{reason:value}, "pools":{...}}. Every counter and every reason of drops.def is
 * there, zero or not, so a reader need not guess what a missing name means. Pools have what is used now and, where
 * the module keeps it, the high-water mark and the limit.
 *
 * Called by dump_json.c. */
#include "dump_internal.h"

#include "podglass/buf.h"
#include "podglass/conn.h"
#include "podglass/dns_forward.h"
#include "podglass/netif.h"

static void pool(struct pg_dump *d, const char *key, uint64_t used)
{
    pg_json_key(&d->json, key);
    pg_json_object(&d->json);
    pg_json_key_uint(&d->json, "used", used);
    pg_json_object_end(&d->json);
}

static void pools(struct pg_dump *d)
{
    struct pg_json *j = &d->json;
    const struct pg_nat *nat = pg_path_nat(d->path);
    const struct pg_stack *stack = pg_path_stack(d->path);

    pg_json_key(j, "flows");
    pg_json_object(j);
    pg_json_key_uint(j, "used", pg_nat_flow_count(nat));
    pg_json_key_uint(j, "highWater", pg_nat_flow_high_water(nat));
    pg_json_key_uint(j, "limit", pg_nat_flow_limit(nat));
    pg_json_key_uint(j, "bytesEach", pg_nat_flow_bytes());
    pg_json_object_end(j);
    pool(d, "sessions", pg_proxy_session_count(pg_path_proxy(d->path)));
    pool(d, "idleUpstreams", pg_proxy_idle_upstreams(pg_path_proxy(d->path)));
    pool(d, "connections", pg_stack_conn_count(stack));
    pool(d, "timeWait", pg_stack_time_wait_count(stack));
    pool(d, "unreadBytes", pg_stack_held_bytes(stack));
    pool(d, "buffers", pg_path_buffers_used(d->path));
    pool(d, "heldPackets", pg_path_held_packets(d->path));
    pool(d, "dnsQuestions", pg_dns_forward_waiting(pg_path_dns_forward(d->path)));
    pool(d, "dnsCache", pg_dns_forward_cached(pg_path_dns_forward(d->path)));
}

void pg_dump_counters(struct pg_dump *d)
{
    const struct pg_counters *c = pg_path_counters(d->path);
    struct pg_json *j = &d->json;

    pg_json_key(j, "counters");
    pg_json_object(j);
    for (unsigned i = 0; i < PG_COUNTER_COUNT; i++) {
        pg_json_key_uint(j, pg_counter_name((enum pg_counter)i), c->value[i]);
    }
    pg_json_object_end(j);
    pg_json_key(j, "drops");
    pg_json_object(j);
    for (unsigned i = PG_DROP_NONE + 1; i < PG_DROP_COUNT; i++) {
        pg_json_key_uint(j, pg_drop_name((enum pg_drop)i), c->drop[i]);
    }
    pg_json_object_end(j);
    pg_json_key(j, "pools");
    pg_json_object(j);
    pools(d);
    pg_json_object_end(j);
}
