/* See packet_clients.h. */
#include "packet_clients.h"

#include "podglass/checksum.h"
#include "podglass/snapshot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IP_HEAD    20
#define TCP_HEAD   20
#define SYN_OPTS   12 /* MSS, SACK permitted, window scale */
#define HEADS      (IP_HEAD + TCP_HEAD)
#define PORTS      40000u /* of one client address */
#define FIRST_PORT 20000u
#define FIRST_ADDR 0xc6120001u /* 198.18.0.1 */
#define VIP        0xcb007119u /* 203.0.113.25 */
#define POD        0x0af40107u /* 10.244.1.7 */
#define ROOM       65536
#define TURN_US    200 /* virtual time between two batches */

static const char request[] = "GET /path HTTP/1.1\r\nHost: shop.test\r\n"
                              "User-Agent: packets/1\r\nAccept: */*\r\n\r\n";

static const char manifests[] =
    "apiVersion: podglass/v1alpha1\nkind: Lab\nspec:\n"
    "  podCIDRs: [10.244.0.0/16]\n  serviceCIDRs: [10.96.0.0/16]\n"
    "  ingress: {service: edge/gateway}\n"
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: gateway, namespace: edge}\n"
    "spec: {type: LoadBalancer, clusterIP: 10.96.5.5, selector: {app: gateway}, "
    "ports: [{name: http, port: 80}]}\n"
    "status: {loadBalancer: {ingress: [{ip: 203.0.113.25}]}}\n"
    "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: gateway, namespace: edge}\n"
    "spec:\n  selector: {matchLabels: {app: gateway}}\n"
    "  template: {metadata: {labels: {app: gateway}}, "
    "spec: {containers: [{name: c, ports: [{containerPort: 80}]}]}}\n"
    "---\napiVersion: v1\nkind: Service\nmetadata: {name: web, namespace: shop}\n"
    "spec: {clusterIP: 10.96.12.40, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}\n"
    "---\napiVersion: v1\nkind: Pod\n"
    "metadata: {name: web-0, namespace: shop, labels: {app: web}}\n"
    "spec: {containers: [{name: c, ports: [{containerPort: 8080}]}]}\n"
    "status: {podIP: 10.244.1.7}\n"
    "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: shop, namespace: "
    "shop}\nspec:\n  rules:\n  - host: shop.test\n    http: {paths: [{path: /, pathType: Prefix, "
    "backend: {service: {name: web, port: {number: 80}}}}]}\n";

static struct pg_snapshot *load(void)
{
    struct pg_manifest_input input = {"packet_clients.yaml", manifests, sizeof manifests - 1};
    struct pg_load_options options = {0};
    struct pg_findings findings = {0};
    struct pg_snapshot *s = NULL;
    int error = pg_snapshot_load(&input, 1, &options, &s, &findings);

    pg_findings_free(&findings);
    return error == 0 ? s : NULL;
}

bool packet_clients_open(struct packet_clients *c, uint32_t limit)
{
    struct pg_path_options options = {.conn_limit = limit + 1024, .proxy.session_limit = limit};
    struct pg_snapshot *s = load();
    int error;

    memset(c, 0, sizeof *c);
    if (s == NULL)
        return false;
    error = pg_sim_open(&options, s, 1, &c->sim);
    pg_snapshot_put(s);
    if (error != 0)
        return false;
    c->limit = limit;
    c->body_bytes = 20;
    c->at = calloc(limit, sizeof *c->at);
    return c->at != NULL;
}

void packet_clients_close(struct packet_clients *c)
{
    if (c->sim.path != NULL)
        pg_sim_close(&c->sim);
    free(c->at);
}

/* ---- a segment of a client ---- */

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value >> 16);
    put16(at + 2, value);
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void sum_up(uint8_t *ip, uint32_t len)
{
    uint8_t *tcp = ip + IP_HEAD;
    uint32_t be[2];
    struct pg_addr ends[2];
    uint16_t sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, ip, IP_HEAD));

    memcpy(ip + 10, &sum, sizeof sum);
    memcpy(be, ip + 12, sizeof be);
    ends[0] = pg_addr_from_v4_be(be[0]);
    ends[1] = pg_addr_from_v4_be(be[1]);
    sum = pg_sum_fold(pg_sum_add(pg_sum_pseudo(&ends[0], &ends[1], PG_PROTO_TCP, len - IP_HEAD),
                                 tcp, len - IP_HEAD));
    sum = (uint16_t)~sum;
    memcpy(tcp + 16, &sum, sizeof sum);
}

/* What a segment needs besides its bytes. */
struct head {
    uint32_t src, dst;
    uint32_t ports; /* source, destination */
    uint32_t seq, ack;
    uint8_t flags;
};

static void send_segment(struct packet_clients *c, const struct head *h, const char *bytes,
                         uint32_t len)
{
    static const uint8_t options[SYN_OPTS] = {2, 4, 0x05, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7};
    static uint8_t ip[ROOM];
    uint8_t *tcp = ip + IP_HEAD;
    uint32_t heads = HEADS + ((h->flags & PG_TCP_SYN) ? SYN_OPTS : 0);

    memset(ip, 0, heads);
    ip[0] = 0x45;
    put16(ip + 2, heads + len);
    ip[6] = 0x40;
    ip[8] = 64;
    ip[9] = PG_PROTO_TCP;
    put32(ip + 12, h->src);
    put32(ip + 16, h->dst);
    put32(tcp, h->ports);
    put32(tcp + 4, h->seq);
    put32(tcp + 8, h->ack);
    tcp[12] = (uint8_t)((heads - IP_HEAD) / 4 << 4);
    tcp[13] = h->flags;
    put16(tcp + 14, 512);
    if (h->flags & PG_TCP_SYN)
        memcpy(tcp + TCP_HEAD, options, SYN_OPTS);
    if (len > 0)
        memcpy(ip + heads, bytes, len);
    sum_up(ip, heads + len);
    if (pg_wire_inject(c->sim.wire, ip, heads + len) == 0)
        c->packets++;
}

static void send_of(struct packet_clients *c, uint32_t index, uint8_t flags, const char *bytes,
                    uint32_t len)
{
    struct packet_client *one = &c->at[index];
    struct head h = {.src = FIRST_ADDR + index / PORTS,
                     .dst = VIP,
                     .ports = (FIRST_PORT + index % PORTS) << 16 | 80,
                     .seq = one->seq,
                     .ack = one->ack,
                     .flags = flags};

    send_segment(c, &h, bytes, len);
    one->seq += len + ((flags & PG_TCP_SYN) ? 1 : 0);
}

/* ---- turns ---- */

/* Every segment with bytes is acknowledged. */
static void take_segment(struct packet_clients *c, const uint8_t *ip, uint32_t len)
{
    const uint8_t *tcp = ip + IP_HEAD;
    uint32_t index = (get32(ip + 16) - FIRST_ADDR) * PORTS + (get32(tcp) & 0xffff) - FIRST_PORT;
    uint32_t heads = IP_HEAD + (uint32_t)(tcp[12] >> 4) * 4;

    if (index >= c->limit)
        return;
    if (tcp[13] & PG_TCP_SYN)
        c->at[index].ack = get32(tcp + 4) + 1;
    else if (get32(tcp + 4) == c->at[index].ack)
        c->at[index].ack += len - heads;
    if (len - heads > 12 && memcmp(ip + heads, "HTTP/1.1 200", 12) == 0)
        c->answered++;
    if (len > heads)
        send_of(c, index, PG_TCP_ACK, NULL, 0);
}

/* The pod remembers nothing: what it says next follows from what it is told. */
static void answer_as_pod(struct packet_clients *c, const uint8_t *ip, uint32_t len)
{
    const uint8_t *tcp = ip + IP_HEAD;
    uint32_t ports = get32(tcp);
    uint32_t payload = len - IP_HEAD - (uint32_t)(tcp[12] >> 4) * 4;
    bool syn = (tcp[13] & PG_TCP_SYN) != 0;
    struct head h = {.src = POD,
                     .dst = get32(ip + 12),
                     .ports = ports << 16 | ports >> 16,
                     .seq = get32(tcp + 8),
                     .ack = get32(tcp + 4) + payload + (syn ? 1 : 0),
                     .flags = PG_TCP_ACK};

    if (syn) {
        h.flags |= PG_TCP_SYN;
        send_segment(c, &h, NULL, 0);
    } else if (payload > 0) {
        static char answer[ROOM];
        int n = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %u\r\n\r\n",
                         c->body_bytes);

        send_segment(c, &h, answer, (uint32_t)n + c->body_bytes);
    }
}

static uint64_t cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void turn(struct packet_clients *c)
{
    static uint8_t ip[ROOM];
    uint32_t len;
    uint64_t sent;

    c->sim.now_us += TURN_US;
    do {
        uint64_t begin = cpu_ns();

        pg_sim_settle(&c->sim);
        c->busy_ns += cpu_ns() - begin;
        sent = c->packets;
        while ((len = pg_wire_collect(c->sim.wire, ip, sizeof ip)) > 0) {
            c->received++;
            if (get32(ip + 16) == POD)
                answer_as_pod(c, ip, len);
            else
                take_segment(c, ip, len);
        }
    } while (c->packets != sent);
}

void packet_clients_ask(struct packet_clients *c, const uint32_t *which, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        send_of(c, which[i], PG_TCP_ACK | PG_TCP_PSH, request, sizeof request - 1);
    turn(c);
}

void packet_clients_connect(struct packet_clients *c, uint32_t count)
{
    uint32_t which[PACKET_CLIENTS_BATCH];

    while (count > 0 && c->count < c->limit) {
        uint32_t n = 0;

        while (n < PACKET_CLIENTS_BATCH && n < count && c->count < c->limit)
            which[n++] = c->count++;
        for (uint32_t i = 0; i < n; i++) {
            c->at[which[i]] = (struct packet_client){.seq = which[i] * 2654435761u};
            send_of(c, which[i], PG_TCP_SYN, NULL, 0);
        }
        turn(c);
        packet_clients_ask(c, which, n); /* its first segment completes the handshake */
        count -= n;
    }
}
