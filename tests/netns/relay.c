/* A wire that delays and loses: relay IF-A IF-B DELAY-US LOSS SEED, for kernels without netem.
 *
 * What comes in by one interface leaves by the other DELAY-US later; of 10,000 IPv4 frames LOSS are
 * lost, in each direction, by a generator with a seed. Frames are taken and sent as they are, so
 * the interfaces must not offload segmentation or checksums. Ends at SIGTERM and says how many went
 * which way. */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MOST 2048
#define HELD_MOST  8192 /* of each direction: 10 ms at a gigabit */
#define BURST      64

struct frame {
    uint64_t due_ns;
    uint32_t len;
    uint8_t bytes[FRAME_MOST];
};

struct direction {
    int from;
    int to;
    uint64_t random;
    struct frame *ring;
    uint32_t first;
    uint32_t count;
    uint64_t passed;
    uint64_t lost;
    uint64_t overflowed; /* held too many, or the far end had no room: must stay 0 */
};

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static void fail(const char *what)
{
    fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int open_interface(const char *name)
{
    struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct packet_mreq all = {.mr_type = PACKET_MR_PROMISC};
    int yes = 1;
    int bytes = 32 << 20;
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETH_P_ALL));

    if (fd < 0)
        fail("socket");
    at.sll_ifindex = all.mr_ifindex = (int)if_nametoindex(name);
    if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof yes) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) != 0 ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof all) != 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) != 0)
        fail(name);
    return fd;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Below 10,000; splitmix64. */
static uint32_t draw(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ z >> 31) % 10000);
}

static void take(struct direction *d, uint64_t delay_ns, uint32_t loss)
{
    for (int n = 0; n < BURST; n++) {
        struct frame *f = &d->ring[(d->first + d->count) % HELD_MOST];
        ssize_t len = recv(d->from, f->bytes, FRAME_MOST, 0);

        if (len <= 0)
            return;
        if (d->count == HELD_MOST - 1) {
            d->overflowed++;
        } else if (f->bytes[12] == 0x08 && f->bytes[13] == 0x00 && draw(&d->random) < loss) {
            d->lost++;
        } else {
            f->len = (uint32_t)len;
            f->due_ns = now_ns() + delay_ns;
            d->count++;
        }
    }
}

static void give(struct direction *d, uint64_t now)
{
    while (d->count > 0 && d->ring[d->first].due_ns <= now) {
        const struct frame *f = &d->ring[d->first];

        if (send(d->to, f->bytes, f->len, 0) == (ssize_t)f->len)
            d->passed++;
        else
            d->overflowed++;
        d->first = (d->first + 1) % HELD_MOST;
        d->count--;
    }
}

static uint64_t earliest(const struct direction d[2])
{
    uint64_t due = UINT64_MAX;

    for (int i = 0; i < 2; i++)
        if (d[i].count > 0 && d[i].ring[d[i].first].due_ns < due)
            due = d[i].ring[d[i].first].due_ns;
    return due;
}

static void wait_for(const struct direction d[2])
{
    struct pollfd fds[2] = {{.fd = d[0].from, .events = POLLIN},
                            {.fd = d[1].from, .events = POLLIN}};
    uint64_t due = earliest(d);
    uint64_t now = now_ns();
    uint64_t left = due <= now ? 0 : due - now < 1000000000u ? due - now : 1000000000u;
    struct timespec timeout = {.tv_sec = (time_t)(left / 1000000000u),
                               .tv_nsec = (long)(left % 1000000000u)};

    (void)ppoll(fds, 2, &timeout, NULL);
}

int main(int argc, char **argv)
{
    struct direction d[2] = {{0}};
    uint64_t delay_ns;
    uint32_t loss;

    if (argc != 6) {
        fprintf(stderr, "usage: relay IF-A IF-B DELAY-US LOSS-OF-10000 SEED\n");
        return 2;
    }
    delay_ns = strtoull(argv[3], NULL, 10) * 1000;
    loss = (uint32_t)strtoul(argv[4], NULL, 10);
    d[0].from = d[1].to = open_interface(argv[1]);
    d[1].from = d[0].to = open_interface(argv[2]);
    for (int i = 0; i < 2; i++) {
        d[i].random = strtoull(argv[5], NULL, 10) * 2 + (uint64_t)i;
        d[i].ring = malloc(HELD_MOST * sizeof *d[i].ring);
        if (d[i].ring == NULL)
            fail("memory");
    }
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    printf("ready\n");
    fflush(stdout);
    while (!stopped) {
        wait_for(d);
        for (int i = 0; i < 2; i++)
            take(&d[i], delay_ns, loss);
        for (int i = 0; i < 2; i++)
            give(&d[i], now_ns());
    }
    for (int i = 0; i < 2; i++)
        printf("%s passed %llu lost %llu overflowed %llu\n", i == 0 ? "up" : "down",
               (unsigned long long)d[i].passed, (unsigned long long)d[i].lost,
               (unsigned long long)d[i].overflowed);
    return 0;
}
