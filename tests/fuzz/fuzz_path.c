/* Packets of strangers through the whole path: parse, addresses, fragments, NAT, TCP, the ingress, the DNS, ICMP.
 *
 * Input: packets one after another, each as a control byte, its length (two bytes, big end first) and its bytes. Control bits: 0 repair lengths and sums, 4-7 tens
 * of milliseconds to wait first. A TCP packet whose acknowledgement bytes are all ones gets the number that the path's last segment to it asks for, so that
 * connections open.
 *
 * What must hold: nothing crashes; every packet that began has ended; what leaves is well formed with right sums; records print; and when a day has passed no flow, no
 * session, no connection and no buffer is left. */
#include "packet_make.h"

#include "podglass/json.h"
#include "podglass/log.h"
#include "podglass/nat.h"
#include "podglass/netif.h"
#include "podglass/proxy.h"
#include "podglass/sim.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static const char manifests[] =
    "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n"
    "  podCIDRs: [10.244.0.0/16, 'fd60::/48']\n  serviceCIDRs: [10.96.0.0/16, 'fd96::/112']\n"
    "  dns: {address: 10.96.0.10}\n  ingress: {service: edge/front}\n"
    "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: edge, name: front}\n"
    "spec: {type: LoadBalancer, clusterIP: 10.96.0.1, selector: {app: front}, ports: [{port: 80, "
    "nodePort: 30080}]}\n"
    "status: {loadBalancer: {ingress: [{ip: 203.0.113.10}]}}\n"
    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: edge, name: front}\n"
    "spec:\n  replicas: 1\n  selector: {matchLabels: {app: front}}\n  template:\n    metadata: "
    "{labels: {app: front}}\n"
    "    spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}\n"
    "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: web}\n"
    "spec: {clusterIP: 10.96.0.2, selector: {app: web}, ports: [{name: http, port: 80, targetPort: "
    "8080}, {name: u, protocol: UDP, port: 53, targetPort: 5353}]}\n"
    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {namespace: shop, name: web}\n"
    "spec:\n  replicas: 2\n  selector: {matchLabels: {app: web}}\n  template:\n    metadata: "
    "{labels: {app: web}}\n"
    "    spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}\n"
    "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {namespace: shop, name: all}\n"
    "spec: {defaultBackend: {service: {name: web, port: {number: 80}}}}\n";

static struct pg_sim sim;
static uint32_t next_ack; /* what the last segment that left asks to be acknowledged */

static void open_world(void)
{
    static const struct pg_path_options options = {.trace_level = PG_TRACE_PACKETS,
                                                   .trace_records = 1024,
                                                   .conn_limit = 256,
                                                   .nat = {.flow_limit = 1024},
                                                   .proxy = {.session_limit = 64}};
    struct pg_manifest_input input = {"fuzz.yaml", manifests, sizeof(manifests) - 1};
    struct pg_load_options load = {0};
    struct pg_findings findings;
    struct pg_snapshot *s;

    PG_ASSERT(pg_snapshot_load(&input, 1, &load, &s, &findings) == 0);
    pg_findings_free(&findings);
    PG_ASSERT(pg_sim_open(&options, s, 1, &sim) == 0);
    pg_snapshot_put(s);
}

/* ---- what comes out ---- */

static void collect(void)
{
    static uint8_t bytes[70000];
    uint32_t len;

    while ((len = pg_wire_collect(sim.wire, bytes, sizeof(bytes))) != 0) {
        uint8_t *exact = malloc(len);
        enum pg_drop drop;

        PG_ASSERT(exact);
        memcpy(exact, bytes, len);
        struct pg_packet p = {.head = exact,
                              .head_len = len,
                              .len = len,
                              .csum = PG_CSUM_FULL,
                              .entry_node = PG_NODE_NONE};
        bool good = pg_packet_parse(&p, &drop);

        PG_ASSERT(good || drop == PG_DROP_FRAGMENT);
        PG_ASSERT(!good || pg_made_is_right(&p));
        if (good && p.proto == PG_PROTO_TCP) {
            next_ack = pg_packet_tcp_seq(&p) + pg_packet_payload_len(&p) +
                       ((p.tcp_flags & (PG_TCP_SYN | PG_TCP_FIN)) != 0);
        }
        free(exact);
    }
}

static void check_balance(void)
{
    const struct pg_counters *c = pg_path_counters(sim.path);
    uint64_t begun = c->value[PG_COUNT_RX_PACKETS] + c->value[PG_COUNT_LOCAL_OUT] +
                     c->value[PG_COUNT_FRAGMENTS_MADE];
    uint64_t ended = c->value[PG_COUNT_TX_PACKETS] + c->value[PG_COUNT_LOCAL_IN] +
                     c->value[PG_COUNT_FRAGMENTS_JOINED] + pg_path_held_packets(sim.path);

    for (unsigned i = 0; i < PG_DROP_COUNT; i++) {
        ended += c->drop[i];
    }
    PG_ASSERT(begun == ended);
}

static void print_records(uint64_t from)
{
    struct pg_text out = {0};
    struct pg_json j;
    struct pg_record r;
    uint64_t missed;

    while (pg_trace_read(pg_path_trace(sim.path), &from, &r, &missed)) {
        pg_record_print(&r, &out);
        pg_json_begin(&j, &out);
        pg_record_json(&r, &j);
        pg_text_clear(&out);
    }
    pg_text_free(&out);
}

/* ---- what goes in ---- */

/* The acknowledgement of a v4 segment without options, if it is to be the right one. */
static void fill_ack(uint8_t *bytes, uint32_t len)
{
    static const uint8_t ones[4] = {0xff, 0xff, 0xff, 0xff};

    if (len >= 40 && bytes[0] == 0x45 && bytes[9] == PG_PROTO_TCP &&
        memcmp(bytes + 28, ones, 4) == 0) {
        memcpy(bytes + 28,
               (const uint8_t[]){(uint8_t)(next_ack >> 24), (uint8_t)(next_ack >> 16),
                                 (uint8_t)(next_ack >> 8), (uint8_t)next_ack},
               4);
    }
}

static void one_packet(uint8_t control, const uint8_t *bytes, uint32_t len)
{
    uint8_t *copy = malloc(len ? len : 1);

    PG_ASSERT(copy);
    memcpy(copy, bytes, len);
    if (control & 1) {
        fill_ack(copy, len);
        pg_make_repair(copy, len, false);
    }
    if (control >> 4) {
        pg_sim_pass(&sim, UINT64_C(10000) * (control >> 4));
    }
    if (len > 0) {
        (void)pg_wire_inject(sim.wire, copy, len);
    }
    free(copy);
    pg_sim_settle(&sim);
    collect();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    if (!sim.path) {
        open_world();
    }
    uint64_t seq = pg_trace_next_seq(pg_path_trace(sim.path));

    while (len >= 3) {
        uint32_t packet_len = (uint32_t)bytes[1] << 8 | bytes[2];

        if (packet_len > len - 3) {
            packet_len = (uint32_t)(len - 3);
        }
        one_packet(bytes[0], bytes + 3, packet_len > 1500 ? 1500 : packet_len);
        bytes += 3 + packet_len;
        len -= 3 + packet_len;
    }
    print_records(seq);
    for (unsigned i = 0; i < 10; i++) { /* a day and more: the longest timeout of a flow */
        pg_sim_pass(&sim, UINT64_C(10000000000));
        collect();
    }
    check_balance();
    PG_ASSERT(pg_nat_flow_count(pg_path_nat(sim.path)) == 0);
    PG_ASSERT(pg_proxy_session_count(pg_path_proxy(sim.path)) == 0);
    PG_ASSERT(pg_stack_conn_count(pg_path_stack(sim.path)) == 0);
    PG_ASSERT(pg_path_buffers_used(sim.path) == 0);
    return 0;
}
