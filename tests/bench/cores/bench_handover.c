/* What does it cost to hand a stray packet to the thread that owns its flow?
 *
 * Two threads on two CPUs and a ring between them, one writer and one reader. A packet is a buffer of 128 bytes, whose first 64 the receiver
 * reads and writes as NAT would; the buffer comes back by a second ring, as a pool of the sender's would want it.
 *
 *   busy      both threads spin: the price of the cache lines
 *   asleep    the receiver sleeps in poll; each packet wakes it by an eventfd
 *   batch     asleep, but one wake-up for 32 packets
 *
 * bench-cores-handover [CPU [CPU]] */
#include "cores_tun.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/eventfd.h>

#define RING    256u
#define BUFFERS 128u
#define PAUSE_S 200e-6

struct packet {
    _Alignas(64) uint8_t bytes[128];
};

/* One writer, one reader; each keeps its position on a cache line of its own. */
struct ring {
    _Alignas(64) atomic_uint head;
    _Alignas(64) atomic_uint tail;
    _Alignas(64) struct packet *slot[RING];
};

static struct ring over, back;
static struct packet packets[BUFFERS];
static int wake_fd;
static int cpus[2] = {0, 1};
static uint32_t total;
static bool asleep;
static double receiver_cpu;

static bool put(struct ring *r, struct packet *p)
{
    unsigned head = atomic_load_explicit(&r->head, memory_order_relaxed);
    if (head - atomic_load_explicit(&r->tail, memory_order_acquire) == RING) {
        return false;
    }
    r->slot[head % RING] = p;
    atomic_store_explicit(&r->head, head + 1, memory_order_release);
    return true;
}

static struct packet *get(struct ring *r)
{
    unsigned tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
    if (atomic_load_explicit(&r->head, memory_order_acquire) == tail) {
        return NULL;
    }
    struct packet *p = r->slot[tail % RING];
    atomic_store_explicit(&r->tail, tail + 1, memory_order_release);
    return p;
}

static void touch(struct packet *p)
{
    uint64_t word;
    for (size_t i = 0; i < 64; i += sizeof word) {
        memcpy(&word, p->bytes + i, sizeof word);
        word += i + 1;
        memcpy(p->bytes + i, &word, sizeof word);
    }
}

static void *receive(void *arg)
{
    (void)arg;
    pin(cpus[1]);
    double before = now_s(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t n = 0; n < total;) {
        struct packet *p = get(&over);
        if (p != NULL) {
            touch(p);
            put(&back, p);
            n++;
        } else if (asleep) {
            struct pollfd fd = {wake_fd, POLLIN, 0};
            eventfd_t value;
            poll(&fd, 1, 1000);
            eventfd_read(wake_fd, &value);
        }
    }
    receiver_cpu = now_s(CLOCK_THREAD_CPUTIME_ID) - before;
    return NULL;
}

/* Sends up to `most` packets of those that are free. */
static uint32_t send_some(struct packet **free_ones, uint32_t *free_count, uint32_t most)
{
    uint32_t sent = 0;
    while (sent<most && * free_count> 0) {
        struct packet *p = free_ones[*free_count - 1];
        touch(p);
        if (!put(&over, p)) {
            break;
        }
        (*free_count)--;
        sent++;
    }
    if (asleep && sent > 0) {
        eventfd_write(wake_fd, 1);
    }
    return sent;
}

/* Returns the seconds from the first packet of each batch to the last one's way back, or of all when nobody sleeps. */
static double send_all(uint32_t batch)
{
    struct packet *free_ones[BUFFERS];
    uint32_t free_count = BUFFERS;
    double busy = 0, began = now_s(CLOCK_MONOTONIC);
    for (uint32_t i = 0; i < BUFFERS; i++) {
        free_ones[i] = &packets[i];
    }
    for (uint32_t n = 0; n < total || free_count < BUFFERS;) {
        struct packet *p;
        while ((p = get(&back)) != NULL) {
            free_ones[free_count++] = p;
        }
        if (asleep && free_count < BUFFERS) {
            continue;
        }
        if (asleep) {
            double now = now_s(CLOCK_MONOTONIC);
            busy += n > 0 ? now - began : 0;
            while (now_s(CLOCK_MONOTONIC) < now + PAUSE_S) { /* so that the receiver sleeps */
            }
            began = now_s(CLOCK_MONOTONIC);
        }
        n += send_some(free_ones, &free_count, batch < total - n ? batch : total - n);
    }
    return asleep ? busy : now_s(CLOCK_MONOTONIC) - began;
}

static void measure(const char *what, bool sleeping, uint32_t packets_in_all, uint32_t batch)
{
    pthread_t receiver;
    memset(&over, 0, sizeof over);
    memset(&back, 0, sizeof back);
    asleep = sleeping;
    total = packets_in_all;
    if (pthread_create(&receiver, NULL, receive, NULL) != 0) {
        die("thread");
    }
    double wall = send_all(batch);
    pthread_join(receiver, NULL);
    printf("%-24s %8.0f ns there and back  %8.0f ns of CPU in the receiver\n", what,
           wall / total * 1e9, receiver_cpu / total * 1e9);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    cpus[0] = (int)number(argv, argc, 1, 0, CPU_SETSIZE - 1, 0);
    cpus[1] = (int)number(argv, argc, 2, 0, CPU_SETSIZE - 1, 1);
    wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (wake_fd < 0) {
        die("eventfd");
    }
    pin(cpus[0]);
    printf("per packet; the receiver's CPU time while it spins is waiting too\n");
    measure("busy, one at a time", false, 2000000, 1);
    measure("busy, 32 at a time", false, 2000000, 32);
    measure("asleep, one at a time", true, 5000, 1);
    measure("asleep, 32 at a time", true, 160000, 32);
    double before = now_s(CLOCK_THREAD_CPUTIME_ID);
    for (uint32_t i = 0; i < 10000000; i++) {
        touch(&packets[i % BUFFERS]);
        __asm__ volatile("" ::: "memory");
    }
    printf("%-24s %8.1f ns: the same work without handing over\n", "one thread",
           (now_s(CLOCK_THREAD_CPUTIME_ID) - before) / 1e7 * 1e9);
    return 0;
}
