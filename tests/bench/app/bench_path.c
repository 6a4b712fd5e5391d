/* A packet's whole way through the path, on the in-process wire: all that podglass does for a request but the system calls.
 *
 * Client and pod are a few lines here, not stacks: they answer each data segment by the numbers it carries, which is all that a wire
 * without loss needs. So what is measured is podglass. 64 connections take turns. */
#include "bench.h"

#include "packet_make.h"
#include "podglass/sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECTIONS 64
#define CLIENT_SEQ  1000
#define POD_SEQ     5000
#define FIRST_PORT  40000
#define MTU         1500

static const char manifest[] =
    "apiVersion: podglass/v1alpha1\n"
    "kind: Lab\n"
    "metadata: {name: lab}\n"
    "spec:\n"
    "  podCIDRs: [10.244.0.0/16]\n"
    "  serviceCIDRs: [10.96.0.0/16]\n"
    "  nodes:\n"
    "  - {name: n1, address: 192.0.2.11, podCIDR: 10.244.1.0/24}\n"
    "  - {name: n2, address: 192.0.2.12, podCIDR: 10.244.2.0/24}\n"
    "  clients: [{name: alice, address: 198.51.100.7}]\n"
    "  ingress: {service: default/gateway}\n"
    "---\n"
    "apiVersion: networking.k8s.io/v1\n"
    "kind: Ingress\n"
    "metadata: {name: web}\n"
    "spec: {rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: "
    "{name: web, port: {number: 80}}}}]}}]}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Pod\n"
    "metadata: {name: gateway, labels: {app: gateway}}\n"
    "spec: {nodeName: n1, containers: [{name: main, image: example.test/main}]}\n"
    "status: {phase: Running, podIP: 10.244.1.2}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {name: gateway}\n"
    "spec: {type: LoadBalancer, clusterIP: 10.96.1.1, externalTrafficPolicy: Local, selector: "
    "{app: gateway}, ports: [{port: 80}]}\n"
    "status: {loadBalancer: {ingress: [{ip: 203.0.113.10}]}}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Service\n"
    "metadata: {name: web}\n"
    "spec: {type: LoadBalancer, clusterIP: 10.96.1.2, selector: {app: web}, ports: [{port: 80, "
    "targetPort: 8080}]}\n"
    "status: {loadBalancer: {ingress: [{ip: 203.0.113.20}]}}\n"
    "---\n"
    "apiVersion: v1\n"
    "kind: Pod\n"
    "metadata: {name: web, labels: {app: web}}\n"
    "spec: {nodeName: n2, containers: [{name: main, image: example.test/main}]}\n"
    "status: {phase: Running, podIP: 10.244.2.9}\n";

static const char request[] =
    "GET /api/v1/items?id=42 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
static const char response[] = "HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Tue, 03 Jun 2025 "
                               "09:12:44 GMT\r\nContent-Type: text/plain\r\n"
                               "Content-Length: 3\r\nConnection: keep-alive\r\n\r\nok\n";

static struct pg_sim sim;
static struct pg_addr client, pod;
static uint32_t next_ack[CONNECTIONS], next_seq[CONNECTIONS]; /* of the client */
static uint64_t answered;

static void open_sim(void)
{
    struct pg_manifest_input input = {
        .path = "bench", .text = manifest, .text_len = sizeof manifest - 1};
    struct pg_load_options load = {.pods = PG_PODS_AUTO};
    struct pg_path_options options = {.trace_records = 4096};
    struct pg_findings findings;
    struct pg_snapshot *s = NULL;
    int error = pg_snapshot_load(&input, 1, &load, &s, &findings);

    for (uint32_t i = 0; i < findings.count; i++) {
        struct pg_text text = {0};
        pg_finding_print(&findings.at[i], &text);
        fprintf(stderr, "%s\n", text.at);
        pg_text_free(&text);
    }
    if (error != 0 || pg_sim_open(&options, s, 1, &sim) != 0) {
        abort();
    }
    pg_findings_free(&findings);
    pg_snapshot_put(s);
    client = pg_make_addr("198.51.100.7");
    pod = pg_make_addr("10.244.2.9");
    answered = 0;
}

static void close_sim(void)
{
    pg_sim_close(&sim);
    pg_reason_forget_all();
}

/* ---- the two ends ---- */

static void send_tcp(const struct pg_tuple *t, uint8_t flags, uint32_t seq, uint32_t ack,
                     const char *bytes, uint32_t len)
{
    struct pg_made m;

    pg_make_tcp(&m, t, flags, seq, ack, len);
    memcpy(m.bytes + 40, bytes, len);
    pg_make_repair(m.bytes, 40 + len, false);
    if (pg_wire_inject(sim.wire, m.bytes, 40 + len) != 0) {
        abort();
    }
}

static void client_send(const struct pg_addr *to, uint32_t i, uint8_t flags, const char *bytes,
                        uint32_t len)
{
    struct pg_tuple t = {.src = client,
                         .dst = *to,
                         .src_port = (uint16_t)(FIRST_PORT + i),
                         .dst_port = 80,
                         .proto = PG_PROTO_TCP};

    send_tcp(&t, flags, next_seq[i], flags & PG_TCP_ACK ? next_ack[i] : 0, bytes, len);
    next_seq[i] += len + ((flags & PG_TCP_SYN) != 0);
}

static void client_takes(const struct pg_packet *p)
{
    uint32_t i = p->tuple.dst_port - FIRST_PORT;
    uint32_t len = pg_packet_payload_len(p);

    if (p->tcp_flags & (PG_TCP_SYN | PG_TCP_FIN)) {
        len++;
    }
    if (len == 0) {
        return;
    }
    next_ack[i] = pg_packet_tcp_seq(p) + len;
    if (p->tcp_flags & PG_TCP_SYN) {
        client_send(&p->tuple.src, i, PG_TCP_ACK, "", 0);
    } else {
        answered++;
    }
}

static void pod_takes(const struct pg_packet *p)
{
    struct pg_tuple back = pg_tuple_invert(&p->tuple);
    uint32_t len = pg_packet_payload_len(p);
    uint32_t ack = pg_packet_tcp_seq(p) + len;

    if (p->tcp_flags & PG_TCP_SYN) {
        send_tcp(&back, PG_TCP_SYN | PG_TCP_ACK, POD_SEQ, ack + 1, "", 0);
    } else if (len != 0) {
        send_tcp(&back, PG_TCP_ACK | PG_TCP_PSH, pg_packet_tcp_ack(p), ack, response,
                 sizeof response - 1);
    }
}

/* Turns until nothing is on its way. */
static void settle(void)
{
    uint8_t bytes[MTU];
    uint32_t len;
    int more;

    do {
        more = pg_path_turn(sim.path, sim.now_us);
        while ((len = pg_wire_collect(sim.wire, bytes, sizeof bytes)) != 0) {
            struct pg_packet p = {
                .head = bytes, .head_len = len, .len = len, .csum = PG_CSUM_VERIFIED};
            enum pg_drop drop;
            if (!pg_packet_parse(&p, &drop)) {
                abort();
            }
            if (pg_addr_equal(&p.tuple.dst, &client)) {
                client_takes(&p);
            } else if (pg_addr_equal(&p.tuple.dst, &pod)) {
                pod_takes(&p);
            } else {
                abort();
            }
            more = 1;
        }
        sim.now_us += 10;
    } while (more > 0);
}

/* ---- parts ---- */

static void requests_to(const char *address, uint64_t turns)
{
    struct pg_addr to = pg_make_addr(address);

    open_sim();
    for (uint32_t i = 0; i < CONNECTIONS; i++) {
        next_seq[i] = CLIENT_SEQ;
        client_send(&to, i, PG_TCP_SYN, "", 0);
        settle();
    }
    for (uint32_t round = 0; round < 2; round++) { /* warm: upstream connections stand afterwards */
        for (uint32_t i = 0; i < CONNECTIONS; i++) {
            client_send(&to, i, PG_TCP_ACK | PG_TCP_PSH, request, sizeof request - 1);
        }
        settle();
    }
    if (answered != 2 * CONNECTIONS) {
        fprintf(stderr, "bench_path: %llu answers\n", (unsigned long long)answered);
        abort();
    }
    bench_begin();
    for (uint64_t n = 0; n < turns;) {
        for (uint32_t i = 0; i < CONNECTIONS && n < turns; i++, n++) {
            client_send(&to, i, PG_TCP_ACK | PG_TCP_PSH, request, sizeof request - 1);
        }
        settle();
    }
    bench_end();
    if (answered != turns + 2 * CONNECTIONS) {
        abort();
    }
    close_sim();
}

static void ingress(uint64_t turns)
{
    requests_to("203.0.113.10", turns);
}

static void service(uint64_t turns)
{
    requests_to("203.0.113.20", turns);
}

/* What the two ends above take themselves: to be subtracted. */
static void ends(uint64_t turns)
{
    struct pg_tuple t = {
        .src = client, .dst = pod, .src_port = 1, .dst_port = 80, .proto = PG_PROTO_TCP};
    struct pg_made m;

    bench_begin();
    for (uint64_t n = 0; n < turns; n++) {
        for (uint32_t i = 0; i < 2; i++) {
            const char *bytes = i == 0 ? request : response;
            uint32_t len = i == 0 ? sizeof request - 1 : sizeof response - 1;
            pg_make_tcp(&m, &t, PG_TCP_ACK, 1, 1, len);
            memcpy(m.bytes + 40, bytes, len);
            pg_make_repair(m.bytes, 40 + len, false);
            bench_sink += m.bytes[16];
        }
    }
    bench_end();
}

static const struct bench_part parts[] = {
    {"request-through-the-ingress", ingress, 300000},
    {"request-to-a-service", service, 300000},
    {"client-and-pod-of-this-program", ends, 300000},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, parts, sizeof parts / sizeof parts[0]);
}
