/* A small cluster and a nat in it, for tests of nat/ and for fuzzing it. */
#include "nat_world.h"

#include "podglass/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE(number, two, name, spec)                         \
    "---\n"                                                      \
    "apiVersion: v1\n"                                           \
    "kind: Service\n"                                            \
    "metadata: {name: " name ", namespace: t}\n"                 \
    "spec:\n"                                                    \
    "  type: LoadBalancer\n"                                     \
    "  clusterIP: 10.96.1." number "\n"                          \
    "  loadBalancerIP: 203.0.113." number "\n" spec "  ports:\n" \
    "  - {name: web, protocol: TCP, port: 80, targetPort: 8080, nodePort: 300" two "}\n"

#define SLICE(name, endpoints)                                                                     \
    "---\n"                                                                                        \
    "apiVersion: discovery.k8s.io/v1\n"                                                            \
    "kind: EndpointSlice\n"                                                                        \
    "metadata: {name: " name "-x, namespace: t, labels: {kubernetes.io/service-name: " name "}}\n" \
    "addressType: IPv4\n"                                                                          \
    "ports:\n"                                                                                     \
    "- {name: web, protocol: TCP, port: 8080}\n"                                                   \
    "- {name: dns, protocol: UDP, port: 5353}\n"                                                   \
    "endpoints:\n" endpoints

#define EP_P1 "- {addresses: [10.244.1.2], nodeName: node1}\n"
#define EP_Q  "- {addresses: [10.244.1.3], nodeName: node1}\n"
#define EP_P2 "- {addresses: [10.244.2.2], nodeName: node2}\n"
#define KEEP  "  externalTrafficPolicy: Local\n"

const char *const pg_world_manifest =
    "apiVersion: podglass/v1alpha1\n"
    "kind: Lab\n"
    "metadata: {name: lab}\n"
    "spec:\n"
    "  podCIDRs: [10.244.0.0/16]\n"
    "  serviceCIDRs: [10.96.0.0/16]\n"
    "  dns: {address: 10.96.0.10}\n"
    "  nodes:\n"
    "  - {name: node1, address: 192.0.2.11, podCIDR: 10.244.1.0/24, zone: a}\n"
    "  - {name: node2, address: 192.0.2.12, podCIDR: 10.244.2.0/24, zone: b}\n" SERVICE(
        "1", "01", "local", "") SLICE("local", EP_P1) SERVICE("2", "02", "remote", "")
        SLICE("remote", EP_P2) SERVICE("3", "03", "keep-local", KEEP) SLICE(
            "keep-local", EP_P1) SERVICE("4", "04", "keep-remote",
                                         KEEP) SLICE("keep-remote", EP_P2) SERVICE("5", "05",
                                                                                   "host-local", "")
            SLICE("host-local", "- {addresses: [192.0.2.11], nodeName: node1}\n") SERVICE(
                "6", "06", "host-remote",
                "") SLICE("host-remote", "- {addresses: [192.0.2.12], nodeName: node2}\n")
                SERVICE("7", "07", "empty", "") SERVICE("8", "08", "empty-local", KEEP) SERVICE(
                    "9", "09", "internal", "  internalTrafficPolicy: Local\n")
                    SLICE("internal", EP_P2) SERVICE(
                        "10", "10",
                        "two",
                        "") "  - {name: dns, protocol: UDP, port: 53, targetPort: 5353, nodePort: "
                            "30053}\n" SLICE("two",
                                             EP_P1 EP_P2) SERVICE("11", "11", "ranges",
                                                                  "  loadBalancerSourceRanges: "
                                                                  "[203.0.113.0/24]\n") SLICE("rang"
                                                                                              "es",
                                                                                              EP_P1)
                                SERVICE(
                                    "12", "12",
                                    "sticky",
                                    "  sessionAffinity: ClientIP\n  sessionAffinityConfig: "
                                    "{clientIP: {timeoutSeconds: 60}}\n") SLICE("sticky",
                                                                                EP_P1 EP_Q EP_P2)
                                    SERVICE("13", "13", "ending", "") SLICE(
                                        "ending",
                                        "- {addresses: [10.244.1.2], nodeName: node1, conditions: "
                                        "{ready: false, serving: true, terminating: true}}\n"
                                        "- {addresses: [10.244.1.3], nodeName: node1, conditions: "
                                        "{ready: false, serving: false, terminating: true}}\n")
                                        SERVICE("14", "14", "mixed", KEEP) SLICE(
                                            "mixed", "- {addresses: [10.244.1.2], nodeName: node1, "
                                                     "conditions: {ready: false, serving: true, "
                                                     "terminating: true}}\n" EP_P2)
                                            SERVICE("15", "15", "hints", "") SLICE(
                                                "hints", "- {addresses: [10.244.1.2], nodeName: "
                                                         "node1, hints: {forZones: [{name: a}]}}\n"
                                                         "- {addresses: [10.244.2.2], nodeName: "
                                                         "node2, hints: {forZones: [{name: b}]}}\n")
                                                SERVICE("16", "16", "half-hints", "") SLICE(
                                                    "half-hints",
                                                    "- {addresses: [10.244.1.2], nodeName: node1, "
                                                    "hints: {forZones: [{name: a}]}}\n" EP_P2)
                                                    SERVICE("17", "17", "same", KEEP) SLICE(
                                                        "same", EP_P1) SERVICE("18", "18",
                                                                               "external",
                                                                               "  externalIPs: "
                                                                               "[203.0.113.118]\n")
                                                        SLICE("external", EP_P1) SERVICE(
                                                            "19", "19",
                                                            "proxy-mode",
                                                            "") "status: {loadBalancer: {ingress: "
                                                                "[{ip: 203.0.113.19, ipMode: "
                                                                "Proxy}]}}\n" SLICE("proxy-mode",
                                                                                    EP_P1);

static struct pg_snapshot *load_text(const char *text)
{
    struct pg_manifest_input input = {.path = "world.yaml", .text = text, .text_len = strlen(text)};
    struct pg_load_options options = {0};
    struct pg_findings findings;
    struct pg_snapshot *s = NULL;
    struct pg_text out = {0};

    if (pg_snapshot_load(&input, 1, &options, &s, &findings) != 0) {
        for (uint32_t i = 0; i < findings.count; i++) {
            pg_finding_print(&findings.at[i], &out);
            pg_text_putc(&out, '\n');
        }
        fprintf(stderr, "%s", out.at ? out.at : "cannot load\n");
        abort();
    }
    pg_findings_free(&findings);
    pg_text_free(&out);
    return s;
}

void pg_world_load(struct pg_world *w, const char *manifest)
{
    struct pg_snapshot *s = load_text(manifest);

    PG_ASSERT(pg_nat_load(w->nat, s, w->now_us) == 0);
    pg_snapshot_put(w->snapshot);
    w->snapshot = s;
}

void pg_world_open(struct pg_world *w, const struct pg_nat_options *options)
{
    struct pg_nat_options defaults = {0};

    *w = (struct pg_world){.now_us = 1000000};
    pg_random_seed(&w->random, 42);
    w->trace = pg_trace_new(4096);
    w->nat =
        pg_nat_new(options ? options : &defaults, &w->counters, w->trace, &w->random, w->now_us);
    PG_ASSERT(w->trace && w->nat);
    pg_world_load(w, pg_world_manifest);
}

void pg_world_close(struct pg_world *w)
{
    pg_world_wait(w, UINT64_C(400000000));
    PG_ASSERT(pg_nat_flow_count(w->nat) == 0);
    PG_ASSERT(pg_nat_next_due_us(w->nat) == UINT64_MAX);
    PG_ASSERT(w->counters.value[PG_COUNT_CT_INSERT] == w->counters.value[PG_COUNT_CT_DELETE]);
    pg_nat_free(w->nat);
    pg_snapshot_put(w->snapshot);
    pg_trace_free(w->trace);
    pg_reason_forget_all();
}

void pg_world_wait(struct pg_world *w, uint64_t ms)
{
    w->now_us += ms * 1000;
    do
        pg_nat_advance(w->nat, w->now_us);
    while (pg_nat_next_due_us(w->nat) < w->now_us);
}

static enum pg_verdict_nat through(struct pg_world *w, struct pg_made *m, bool out)
{
    enum pg_verdict_nat verdict;
    bool quote = pg_made_quote_is_right(&m->p);

    w->drop = PG_DROP_NONE;
    pg_trace_set_time(w->trace, w->now_us);
    PG_ASSERT(pg_made_is_right(&m->p));
    verdict = out ? pg_nat_output(w->nat, &m->p, w->now_us, &w->drop)
                  : pg_nat_prerouting(w->nat, &m->p, w->now_us, &w->drop);
    PG_ASSERT(pg_made_is_right(&m->p) && (!quote || pg_made_quote_is_right(&m->p)));
    if (verdict != PG_NAT_ACCEPT)
        return verdict;
    verdict = pg_nat_postrouting(w->nat, &m->p, w->now_us, &w->drop);
    PG_ASSERT(pg_made_is_right(&m->p) && (!quote || pg_made_quote_is_right(&m->p)));
    return verdict;
}

enum pg_verdict_nat pg_world_send(struct pg_world *w, struct pg_made *m)
{
    return through(w, m, false);
}

enum pg_verdict_nat pg_world_send_out(struct pg_world *w, struct pg_made *m)
{
    return through(w, m, true);
}

enum pg_verdict_nat pg_world_first(struct pg_world *w, struct pg_made *m, const struct pg_tuple *t)
{
    pg_make_first(m, t);
    return pg_world_send(w, m);
}

struct pg_addr pg_world_cluster_ip(unsigned n)
{
    return pg_addr_v4(10, 96, 1, (uint8_t)n);
}

struct pg_addr pg_world_lb_ip(unsigned n)
{
    return pg_addr_v4(203, 0, 113, (uint8_t)n);
}

enum pg_code pg_world_last_code(const struct pg_world *w, enum pg_stage stage, enum pg_field field)
{
    uint64_t seq = 1;
    uint64_t missed;
    struct pg_record r;
    enum pg_code code = PG_CODE_NONE;

    while (pg_trace_read(w->trace, &seq, &r, &missed)) {
        if (r.stage == stage && (r.field == field || r.kind == PG_RECORD_DROP))
            code = pg_reason_get(r.reason)->code;
    }
    return code;
}
