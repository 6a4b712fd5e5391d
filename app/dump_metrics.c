/* /metrics: Prometheus text format 0.0.4.
 *
 * Names follow what people alert on already: node_exporter's suffixes for conntrack, the usual ones for requests. Label sets are bounded: services
 * that a rule leads to, hosts that rules name, statuses, verdicts, names of drops and pools that are lists of ours. Durations are in seconds, as Prometheus wants them.
 *
 * Called by live.c; reads counters and tables, changes nothing. */
#include "podglass/dump.h"

#include "podglass/netif.h"
#include "podglass/request_stats.h"

#include <inttypes.h>

static void head(struct pg_text *out, const char *name, const char *type, const char *help)
{
    pg_text_printf(out, "# HELP podglass_%s %s\n# TYPE podglass_%s %s\n", name, help, name, type);
}

static void single(struct pg_text *out, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    head(out, name, type, help);
    pg_text_printf(out, "podglass_%s %" PRIu64 "\n", name, value);
}

/* A label's value: \ " and line ends are escaped, as the format has it. */
static void label(struct pg_text *out, const char *name, const char *value)
{
    pg_text_printf(out, "%s=\"", name);
    for (const char *c = value; *c != 0; c++) {
        if (*c == '\n') {
            pg_text_puts(out, "\\n");
            continue;
        }
        if (*c == '\\' || *c == '"') {
            pg_text_putc(out, '\\');
        }
        pg_text_putc(out, *c);
    }
    pg_text_putc(out, '"');
}

/* ---- conntrack ---- */

static void conntrack(const struct pg_nat *nat, const struct pg_counters *c, struct pg_text *out)
{
    single(out, "conntrack_entries", "gauge", "Flows in the table.", pg_nat_flow_count(nat));
    single(out, "conntrack_entries_limit", "gauge", "Flows that fit into the table.",
           pg_nat_flow_limit(nat));
    single(out, "conntrack_stat_found_total", "counter", "Lookups that found a flow.",
           c->value[PG_COUNT_CT_FOUND]);
    single(out, "conntrack_stat_invalid_total", "counter", "Packets that fit no state of a flow.",
           c->drop[PG_DROP_INVALID]);
    single(out, "conntrack_stat_insert_total", "counter", "Flows created.",
           c->value[PG_COUNT_CT_INSERT]);
    single(out, "conntrack_stat_insert_failed_total", "counter",
           "Flows that found no free source port.", c->drop[PG_DROP_INSERT_FAILED]);
    single(out, "conntrack_stat_drop_total", "counter",
           "Packets dropped because the table was full.", c->drop[PG_DROP_TABLE_FULL]);
    single(out, "conntrack_stat_early_drop_total", "counter", "Flows ended early to make room.",
           c->value[PG_COUNT_CT_EARLY_DROP]);
}

/* ---- requests ---- */

static void of_service(struct pg_text *out, const char *name, const struct pg_service_stats *s)
{
    pg_text_printf(out, "podglass_%s{", name);
    label(out, "service", s->name);
}

static void request_codes(const struct pg_request_stats *stats, struct pg_text *out)
{
    head(out, "requests_total", "counter",
         "Requests by host of the rule, service and status; 499: the client did not wait.");
    for (uint32_t i = 0; i < pg_request_stats_count(stats); i++) {
        const struct pg_service_stats *s = pg_request_stats_at(stats, i);
        for (int k = 0; k < PG_STATS_CODES && s->codes[k].count != 0; k++) {
            pg_text_puts(out, "podglass_requests_total{");
            label(out, "host", s->host);
            pg_text_putc(out, ',');
            label(out, "service", s->name);
            if (s->codes[k].status != 0) {
                pg_text_printf(out, ",code=\"%u\"}", s->codes[k].status);
            } else {
                pg_text_puts(out, ",code=\"other\"}");
            }
            pg_text_printf(out, " %" PRIu64 "\n", s->codes[k].count);
        }
    }
}

static void histogram(const struct pg_service_stats *s, struct pg_text *out)
{
    static const char name[] = "request_duration_seconds";
    uint64_t below = 0;
    for (int b = 0; b <= PG_STATS_BUCKETS; b++) {
        below += s->buckets[b];
        pg_text_printf(out, "podglass_%s_bucket{", name);
        label(out, "service", s->name);
        if (b < PG_STATS_BUCKETS) {
            pg_text_printf(out, ",le=\"%g\"} %" PRIu64 "\n", pg_stats_bounds_us[b] / 1e6, below);
        } else {
            pg_text_printf(out, ",le=\"+Inf\"} %" PRIu64 "\n", below);
        }
    }
    pg_text_printf(out, "podglass_%s_sum{", name);
    label(out, "service", s->name);
    pg_text_printf(out, "} %" PRIu64 ".%06" PRIu64 "\n", s->duration_us / 1000000,
                   s->duration_us % 1000000);
    pg_text_printf(out, "podglass_%s_count{", name);
    label(out, "service", s->name);
    pg_text_printf(out, "} %" PRIu64 "\n", s->requests);
}

/* All of a service, whatever the host: `first` is its first place. */
static struct pg_service_stats sum_of(const struct pg_request_stats *stats, uint32_t first)
{
    struct pg_service_stats sum = *pg_request_stats_at(stats, first);
    for (uint32_t i = sum.next_of_service; i != 0;) {
        const struct pg_service_stats *s = pg_request_stats_at(stats, i);
        sum.requests += s->requests;
        sum.duration_us += s->duration_us;
        for (int b = 0; b <= PG_STATS_BUCKETS; b++) {
            sum.buckets[b] += s->buckets[b];
        }
        for (int v = 0; v < PG_VERDICT_COUNT; v++) {
            sum.verdicts[v] += s->verdicts[v];
        }
        i = s->next_of_service;
    }
    return sum;
}

static void identities(const struct pg_service_stats *s, struct pg_text *out)
{
    for (int v = 0; v < PG_VERDICT_COUNT; v++) {
        if (s->verdicts[v] != 0) {
            of_service(out, "client_identity_total", s);
            pg_text_printf(out, ",verdict=\"%s\"} %" PRIu64 "\n",
                           pg_verdict_name((enum pg_verdict)v), s->verdicts[v]);
        }
    }
}

static void requests(const struct pg_request_stats *stats, struct pg_text *out)
{
    uint32_t count = pg_request_stats_count(stats);
    request_codes(stats, out);
    head(out, "request_duration_seconds", "histogram",
         "From a complete request head to the end of its response.");
    for (uint32_t i = 0; i < count; i++) {
        if (pg_request_stats_at(stats, i)->is_first_of_service) {
            struct pg_service_stats sum = sum_of(stats, i);
            if (sum.requests != 0) {
                histogram(&sum, out);
            }
        }
    }
    head(out, "client_identity_total", "counter",
         "What became of the client's address on its way to the pod, by request.");
    for (uint32_t i = 0; i < count; i++) {
        if (pg_request_stats_at(stats, i)->is_first_of_service) {
            struct pg_service_stats sum = sum_of(stats, i);
            identities(&sum, out);
        }
    }
}

/* ---- the rest ---- */

static void rewrites(const struct pg_counters *c, struct pg_text *out)
{
    static const struct {
        const char *hop, *field;
        enum pg_counter counter;
    } rows[] = {{"front", "dst", PG_COUNT_REWRITE_FRONT_DST},
                {"front", "src", PG_COUNT_REWRITE_FRONT_SRC},
                {"service", "dst", PG_COUNT_REWRITE_SERVICE_DST},
                {"service", "src", PG_COUNT_REWRITE_SERVICE_SRC},
                {"ingress", "header", PG_COUNT_REWRITE_INGRESS_HEADER}};
    head(out, "rewrites_total", "counter",
         "Flows whose addresses, and requests whose head, was changed at a hop.");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pg_text_printf(out, "podglass_rewrites_total{hop=\"%s\",field=\"%s\"} %" PRIu64 "\n",
                       rows[i].hop, rows[i].field, c->value[rows[i].counter]);
    }
}

static void drops(const struct pg_counters *c, struct pg_text *out)
{
    head(out, "drops_total", "counter", "Packets that ended here, by reason.");
    for (unsigned i = PG_DROP_NONE + 1; i < PG_DROP_COUNT; i++) {
        pg_text_printf(out, "podglass_drops_total{reason=\"%s\"} %" PRIu64 "\n",
                       pg_drop_name((enum pg_drop)i), c->drop[i]);
    }
}

static void pools(struct pg_path *p, struct pg_text *out)
{
    const struct pg_stack *stack = pg_path_stack(p);
    const struct {
        const char *name;
        uint64_t used;
    } rows[] = {{"sessions", pg_proxy_session_count(pg_path_proxy(p))},
                {"idle_upstreams", pg_proxy_idle_upstreams(pg_path_proxy(p))},
                {"connections", pg_stack_conn_count(stack)},
                {"time_wait", pg_stack_time_wait_count(stack)},
                {"buffers", pg_path_buffers_used(p)},
                {"held_packets", pg_path_held_packets(p)}};
    head(out, "pool_used", "gauge", "Entries in use.");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pg_text_printf(out, "podglass_pool_used{pool=\"%s\"} %" PRIu64 "\n", rows[i].name,
                       rows[i].used);
    }
    single(out, "unread_bytes", "gauge", "Bytes received and not taken by the ingress or a pod.",
           pg_stack_held_bytes(stack));
}

static void plain(const struct pg_counters *c, struct pg_text *out)
{
    static const struct {
        const char *name, *help;
        enum pg_counter counter;
    } rows[] = {
        {"rx_packets_total", "Packets read from links.", PG_COUNT_RX_PACKETS},
        {"rx_bytes_total", "Bytes read from links.", PG_COUNT_RX_BYTES},
        {"tx_packets_total", "Packets written to links.", PG_COUNT_TX_PACKETS},
        {"tx_bytes_total", "Bytes written to links.", PG_COUNT_TX_BYTES},
        {"local_in_packets_total", "Packets handed to endpoints inside.", PG_COUNT_LOCAL_IN},
        {"local_out_packets_total", "Packets made by endpoints inside.", PG_COUNT_LOCAL_OUT},
        {"tcp_accepted_total", "Client connections accepted.", PG_COUNT_TCP_ACCEPTED},
        {"tcp_connected_total", "Upstream connections opened.", PG_COUNT_TCP_CONNECTED},
        {"tcp_retransmits_total", "Segments sent again.", PG_COUNT_TCP_RETRANSMITS},
        {"upstream_reused_total", "Requests sent on a pooled connection.",
         PG_COUNT_UPSTREAM_REUSED},
        {"dns_queries_total", "DNS questions answered.", PG_COUNT_DNS_QUERIES},
        {"dns_forwarded_total", "Questions sent to an upstream server.", PG_COUNT_DNS_FORWARDED},
        {"dns_cache_hits_total", "Questions answered from the cache.", PG_COUNT_DNS_CACHE_HITS},
        {"dns_upstream_silent_total", "Attempts at an upstream server without an answer.",
         PG_COUNT_DNS_UPSTREAM_SILENT},
        {"dns_replies_dropped_total", "Datagrams that are not the answer waited for.",
         PG_COUNT_DNS_REPLIES_DROPPED},
        {"records_total", "Records written for those who watch.", PG_COUNT_RECORDS},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        single(out, rows[i].name, "counter", rows[i].help, c->value[rows[i].counter]);
    }
}

void pg_dump_metrics(struct pg_path *p, struct pg_text *out)
{
    const struct pg_counters *c = pg_path_counters(p);
    head(out, "build_info", "gauge", "Always 1; the version is a label.");
    pg_text_puts(out, "podglass_build_info{version=\"" PODGLASS_VERSION "\"} 1\n");
    conntrack(pg_path_nat(p), c, out);
    requests(pg_proxy_stats(pg_path_proxy(p)), out);
    rewrites(c, out);
    drops(c, out);
    pools(p, out);
    plain(c, out);
}
