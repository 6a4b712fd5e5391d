/* How long a list of 200,000 flows takes over the control socket, and how long the path has to wait meanwhile.
 *
 *   bench-app-dump [FLOWS]
 *
 * One process asks (curl, as a user would), this one has a path with flows and the event loop. An event that is always due stands for the
 * path: the longest time between two of its turns is what a packet might have waited. Clocks: on the wall for the whole, and of this thread for the
 * longest pause too, since other processes of the machine make pauses of their own. */
#include "podglass/control.h"
#include "podglass/loop.h"
#include "podglass/nat.h"
#include "podglass/reason.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static struct event_base *base;
static struct event *turn;
static pid_t curl;
static uint64_t last_wall, last_own, pause_wall, pause_own;

static uint64_t now_ns(clockid_t clock)
{
    struct timespec t;

    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
    static const struct timeval at_once = {0};
    uint64_t wall = now_ns(CLOCK_MONOTONIC);
    uint64_t own = now_ns(CLOCK_THREAD_CPUTIME_ID);

    (void)fd;
    (void)what;
    (void)arg;
    pause_wall = last_wall && wall - last_wall > pause_wall ? wall - last_wall : pause_wall;
    pause_own = last_own && own - last_own > pause_own ? own - last_own : pause_own;
    last_wall = wall;
    last_own = own;
    if (waitpid(curl, NULL, WNOHANG) == curl)
        event_base_loopbreak(base);
    else
        event_add(turn, &at_once);
}

static void make_flows(struct pg_nat *nat, uint32_t count)
{
    static uint8_t bytes[28] = {0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17};
    enum pg_drop drop;

    for (uint32_t i = 0; i < count; i++) {
        struct pg_packet p = {.head = bytes,
                              .head_len = 28,
                              .len = 28,
                              .csum = PG_CSUM_VERIFIED,
                              .ip_version = 4,
                              .proto = 17,
                              .ttl = 64,
                              .l4_offset = 20,
                              .payload_offset = 28};
        p.tuple = (struct pg_tuple){.src = pg_addr_v4(198, 51, 100, (uint8_t)(i / 50000)),
                                    .dst = pg_addr_v4(10, 244, 2, 77),
                                    .src_port = (uint16_t)(1024 + i % 50000),
                                    .dst_port = 9999,
                                    .proto = 17};
        if (pg_nat_prerouting(nat, &p, pg_loop_now_us(), &drop) != PG_NAT_ACCEPT ||
            pg_nat_postrouting(nat, &p, pg_loop_now_us(), &drop) != PG_NAT_ACCEPT)
            abort();
    }
}

static void ask(const char *socket_path, const char *url)
{
    uint64_t begin = now_ns(CLOCK_MONOTONIC);
    uint64_t begin_own = now_ns(CLOCK_THREAD_CPUTIME_ID);
    static const struct timeval at_once = {0};

    last_wall = last_own = pause_wall = pause_own = 0;
    curl = fork();
    if (curl == 0) {
        execlp("curl", "curl", "-s", "-o", "/dev/null", "-w", "%{size_download} bytes, ",
               "--unix-socket", socket_path, url, (char *)NULL);
        _exit(127);
    }
    event_add(turn, &at_once);
    event_base_dispatch(base);
    printf("%s: %.3f s (%.3f s of our own work), longest pause %.2f ms (%.2f ms of our own work)\n",
           url, (double)(now_ns(CLOCK_MONOTONIC) - begin) / 1e9,
           (double)(now_ns(CLOCK_THREAD_CPUTIME_ID) - begin_own) / 1e9, (double)pause_wall / 1e6,
           (double)pause_own / 1e6);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    uint32_t flows = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 200000;
    char directory[] = "/tmp/podglass-bench-XXXXXX";
    char socket_path[64];
    struct pg_path_options options = {.nat = {.flow_limit = flows, .udp = 3600}};
    struct pg_control *control = NULL;
    struct pg_random random;
    const char *why = "";

    pg_random_seed(&random, 1);
    base = event_base_new();
    struct pg_path *path = pg_path_new(&options, &random, pg_loop_now_us());
    if (!mkdtemp(directory) || !path)
        return 1;
    snprintf(socket_path, sizeof socket_path, "%s/s", directory);
    turn = event_new(base, -1, 0, on_turn, NULL);
    make_flows(pg_path_nat(path), flows);
    if (pg_control_open(base, socket_path, path, pg_loop_now_us, &control, &why) != 0)
        return 1;
    for (int i = 0; i < 3; i++) {
        ask(socket_path, "http://x/v1/conntrack");
        ask(socket_path, "http://x/v1/conntrack?o=conntrack");
    }
    pg_control_close(control);
    rmdir(directory);
    event_free(turn);
    pg_path_free(path);
    event_base_free(base);
    pg_reason_forget_all();
    return 0;
}
