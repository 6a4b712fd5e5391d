/* Do two queues with two threads carry twice what one carries?
 *
 * Each thread writes ICMP echo requests, BATCH at a time, and reads the kernel's answers, which it makes inside the write: so there is no peer
 * process, and what is measured is the TUN and the IP stack alone. Every thread uses source addresses of its own, so answers follow its queue.
 *
 *   1 queue, 1 thread · 1 queue, 2 threads (one descriptor each, the same queue) · 2 queues, 2 threads
 *
 * bench-cores-queues [SECONDS-PER-RUN [ROUNDS]] */
#include "cores_tun.h"

#include "podglass/checksum.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define BATCH   32
#define PAYLOAD 64

static double seconds = 1;

struct worker {
    pthread_t thread;
    int cpu;
    int fd;
    uint8_t net;
    uint64_t written, came_back;
    double cpu_s;
};

static uint32_t make_request(uint8_t *p, uint8_t net, uint8_t host)
{
    static const uint8_t head[20] = {0x45, 0, 0,  28 + PAYLOAD, 0, 0, 0,  0,  64, 1,
                                     0,    0, 10, 77,           0, 0, 10, 77, 0,  1};
    uint16_t sum;
    memset(p, 0, 28 + PAYLOAD);
    memcpy(p, head, sizeof head);
    p[14] = net;
    p[15] = host;
    sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, p, 20));
    memcpy(p + 10, &sum, sizeof sum);
    p[20] = 8;
    sum = (uint16_t)~pg_sum_fold(pg_sum_add(0, p + 20, 8 + PAYLOAD));
    memcpy(p + 22, &sum, sizeof sum);
    return 28 + PAYLOAD;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    uint8_t request[BATCH][28 + PAYLOAD], answer[256];
    uint32_t len = 0;
    pin(w->cpu);
    for (uint8_t i = 0; i < BATCH; i++) {
        len = make_request(request[i], w->net, (uint8_t)(i + 1));
    }
    double end = now_s(CLOCK_MONOTONIC) + seconds, cpu = now_s(CLOCK_THREAD_CPUTIME_ID);
    while (now_s(CLOCK_MONOTONIC) < end) {
        for (int i = 0; i < BATCH; i++) {
            w->written += write(w->fd, request[i], len) == (ssize_t)len ? 1 : 0;
        }
        while (read(w->fd, answer, sizeof answer) > 0) {
            w->came_back++;
        }
    }
    w->cpu_s = now_s(CLOCK_THREAD_CPUTIME_ID) - cpu;
    return NULL;
}

static double measure(const char *what, const int *fds, int threads)
{
    struct worker w[2] = {{.cpu = 0, .fd = fds[0], .net = 1}, {.cpu = 1, .fd = fds[1], .net = 2}};
    uint64_t written = 0, back = 0;
    double cpu = 0;
    for (int i = 0; i < threads; i++) {
        if (pthread_create(&w[i].thread, NULL, work, &w[i]) != 0) {
            die("thread");
        }
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(w[i].thread, NULL);
        written += w[i].written;
        back += w[i].came_back;
        cpu += w[i].cpu_s;
    }
    printf("%-22s %8.0f round trips/s  %6.0f ns of CPU each  %.2f %% lost\n", what,
           (double)back / seconds, back != 0 ? cpu / (double)back * 1e9 : 0,
           100.0 * (double)(written - back) / (double)written);
    fflush(stdout);
    return (double)back / seconds;
}

int main(int argc, char **argv)
{
    seconds = number(argv, argc, 1, 1, 60, 1);
    uint32_t rounds = number(argv, argc, 2, 1, 100, 5);
    own_namespace();
    int first = open_queue();
    set_up();
    for (uint32_t i = 0; i < rounds; i++) {
        const int shared[2] = {first, first};
        double one = measure("1 queue, 1 thread", shared, 1);
        double crowd = measure("1 queue, 2 threads", shared, 2);
        int second = open_queue();
        const int own[2] = {first, second};
        double two = measure("2 queues, 2 threads", own, 2);
        close(second);
        printf("round %u: 2 threads on 1 queue %.2f x, on 2 queues %.2f x of 1 thread\n", i + 1,
               crowd / one, two / one);
    }
    return 0;
}
