/* On which queue of a TUN do the packets of a flow come back?
 *
 * Two queues, FLOWS connected UDP sockets of the kernel as peers. Each flow is given to the queue that an instance would have chosen (at random here),
 * by writing one answer there; then the peers send again, and every packet that comes by the other queue is a stray. Four rules are tried:
 *
 *   hash      nobody has written yet: the kernel's symmetric flow hash decides
 *   follow    each flow was written on its queue: the kernel's flow table decides
 *   idle      as follow, after a pause: the table forgets
 *   ebpf      a steering program decides by the port, which an instance can choose
 *
 * bench-cores-flow_queue [FLOWS [PACKETS-PER-FLOW]] */
#include "cores_tun.h"

#include "podglass/checksum.h"
#include "podglass/dgram.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define QUEUES 2

static int queues[QUEUES];
static uint32_t flow_count = 256;
static uint32_t per_flow = 10;
static int *peers;
static uint16_t *peer_port;
static uint32_t flow_of_port[65536];

/* ---- the kernel's side ---- */

static void open_peers(void)
{
    struct rlimit many = {10000, 10000};
    setrlimit(RLIMIT_NOFILE, &many);
    peers = calloc(flow_count, sizeof *peers);
    peer_port = calloc(flow_count, sizeof *peer_port);
    if (peers == NULL || peer_port == NULL) {
        die("peers");
    }
    for (uint32_t i = 0; i < flow_count; i++) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
        struct sockaddr_in own = {0};
        socklen_t len = sizeof own;
        inet_pton(AF_INET, "10.77.0.2", &to.sin_addr);
        peers[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
        if (peers[i] < 0 || connect(peers[i], (struct sockaddr *)&to, sizeof to) != 0 ||
            getsockname(peers[i], (struct sockaddr *)&own, &len) != 0) {
            die("peer");
        }
        peer_port[i] = ntohs(own.sin_port);
        flow_of_port[peer_port[i]] = i;
    }
}

/* ---- ours ---- */

static void answer(uint32_t flow, uint32_t queue)
{
    uint8_t packet[64];
    struct pg_tuple t = {.src = pg_addr_v4(10, 77, 0, 2),
                         .dst = pg_addr_v4(10, 77, 0, 1),
                         .src_port = 9,
                         .dst_port = peer_port[flow],
                         .proto = PG_PROTO_UDP};
    uint32_t len = pg_dgram_build(&t, "a", 1, packet, sizeof packet);
    if (write(queues[queue], packet, len) != (ssize_t)len) {
        die("write");
    }
}

struct seen {
    uint32_t by_queue[QUEUES];
    uint32_t strays;
};

static void read_all(const uint8_t *wanted, struct seen *ret)
{
    uint8_t packet[2048];
    for (uint32_t q = 0; q < QUEUES; q++) {
        while (read(queues[q], packet, sizeof packet) > 0) {
            if (packet[9] != PG_PROTO_UDP) {
                continue;
            }
            uint32_t flow = flow_of_port[packet[20] << 8 | packet[21]];
            ret->by_queue[q]++;
            ret->strays += wanted != NULL && wanted[flow] != q;
        }
    }
}

/* Each peer sends per_flow packets; read in between, so that no queue overflows. */
static struct seen ask_all(const uint8_t *wanted, uint32_t rounds)
{
    struct seen seen = {0};
    for (uint32_t r = 0; r < rounds; r++) {
        for (uint32_t i = 0; i < flow_count; i++) {
            if (send(peers[i], "q", 1, 0) != 1) {
                die("send");
            }
            if (i % 128 == 127) {
                read_all(wanted, &seen);
            }
        }
    }
    read_all(wanted, &seen);
    return seen;
}

static void say(const char *rule, struct seen s)
{
    uint32_t all = s.by_queue[0] + s.by_queue[1];
    printf("%-28s %7u packets  queue 0 %7u  queue 1 %7u  strays %7u (%.2f %%)\n", rule, all,
           s.by_queue[0], s.by_queue[1], s.strays, all != 0 ? 100.0 * s.strays / all : 0.0);
    fflush(stdout);
}

/* ---- steering ---- */

/* Returns the low bit of the source port: what stands for "the port an instance chose" in this program. */
static int steering_program(void)
{
    const struct bpf_insn code[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1},
        {.code = BPF_LD | BPF_ABS | BPF_H,
         .imm = 20}, /* source port behind an IPv4 header without options */
        {.code = BPF_ALU64 | BPF_AND | BPF_K, .dst_reg = BPF_REG_0, .imm = QUEUES - 1},
        {.code = BPF_JMP | BPF_EXIT},
    };
    static char log[4096];
    union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_SOCKET_FILTER,
                           .insns = (uintptr_t)code,
                           .insn_cnt = sizeof code / sizeof code[0],
                           .license = (uintptr_t) "GPL",
                           .log_buf = (uintptr_t)log,
                           .log_size = sizeof log,
                           .log_level = 1};
    int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof attr);
    if (fd < 0) {
        fprintf(stderr, "%s", log);
        return -1;
    }
    return ioctl(queues[0], TUNSETSTEERINGEBPF, &fd);
}

static double write_cost_ns(void)
{
    enum { WRITES = 20000 };
    double before = now_s(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < WRITES; i++) {
        answer(i % flow_count, i % flow_count % QUEUES);
    }
    return (now_s(CLOCK_THREAD_CPUTIME_ID) - before) / WRITES * 1e9;
}

int main(int argc, char **argv)
{
    uint8_t *wanted;
    flow_count = number(argv, argc, 1, 1, 9000, flow_count);
    per_flow = number(argv, argc, 2, 1, 1000, per_flow);
    own_namespace();
    for (uint32_t q = 0; q < QUEUES; q++) {
        queues[q] = open_queue();
    }
    set_up();
    open_peers();
    wanted = calloc(flow_count, 1);
    if (wanted == NULL) {
        die("flows");
    }
    srand(1);
    for (uint32_t i = 0; i < flow_count; i++) {
        wanted[i] = (uint8_t)(rand() >> 8 & 1);
    }
    printf("%u flows on %d queues\n", flow_count, QUEUES);
    say("hash, nothing written", ask_all(wanted, 1));
    for (uint32_t i = 0; i < flow_count; i++) {
        answer(i, wanted[i]);
    }
    say("follow, first packet", ask_all(wanted, 1));
    say("follow, the next ones", ask_all(wanted, per_flow));
    for (unsigned pause = 1; pause <= 7; pause += 2) {
        char rule[64];
        for (uint32_t i = 0; i < flow_count; i++) {
            answer(i, wanted[i]);
        }
        sleep(pause);
        snprintf(rule, sizeof rule, "follow, after %u s of idling", pause);
        say(rule, ask_all(wanted, 1));
    }
    printf("a write with the flow table: %.0f ns\n", write_cost_ns());
    if (steering_program() != 0) {
        printf("no steering program here: %s\n", strerror(errno));
        return 0;
    }
    for (uint32_t i = 0; i < flow_count; i++) {
        wanted[i] = peer_port[i] & (QUEUES - 1);
        answer(i, 1u - wanted[i]); /* on the wrong queue: must not matter */
    }
    say("ebpf, all packets", ask_all(wanted, per_flow));
    printf("a write with a steering program: %.0f ns\n", write_cost_ns());
    return 0;
}
