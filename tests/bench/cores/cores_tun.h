/* What the programs about several cores have in common: a TUN with several queues in a network namespace of their own, which goes with the process. */
#ifndef PODGLASS_BENCH_CORES_TUN_H
#define PODGLASS_BENCH_CORES_TUN_H

#include "podglass/tun_config.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#define DEVICE "pgcores0" /* 10.77.0.1/16; all of 10.77 is behind it */

static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

/* The n-th argument as a number in min..max, `otherwise` if there is none; says what is wrong and exits. */
static inline uint32_t number(char **argv, int argc, int n, uint32_t min, uint32_t max,
                              uint32_t otherwise)
{
    char *end = NULL;
    if (argc <= n) {
        return otherwise;
    }
    unsigned long value = strtoul(argv[n], &end, 10);
    if (end == argv[n] || *end != 0 || value < min || value > max) {
        fprintf(stderr, "%s: not a number from %u to %u\n", argv[n], min, max);
        exit(2);
    }
    return (uint32_t)value;
}

/* Exits with 77, "can not run here", without root or TUN. */
static inline void own_namespace(void)
{
    if (unshare(CLONE_NEWNET) != 0 || access("/dev/net/tun", R_OK | W_OK) != 0) {
        fprintf(stderr, "needs root and /dev/net/tun\n");
        exit(77);
    }
}

static inline int open_queue(void)
{
    struct ifreq r = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_MULTI_QUEUE};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    memcpy(r.ifr_name, DEVICE, sizeof DEVICE);
    if (fd < 0 || ioctl(fd, TUNSETIFF, &r) != 0) {
        die("a queue of " DEVICE);
    }
    return fd;
}

/* After the last queue: packets of the host's own (neighbour discovery) would be counted otherwise. */
static inline void set_up(void)
{
    struct pg_text why = {0};
    struct pg_addr addr = pg_addr_v4(10, 77, 0, 1);
    int fd = open("/proc/sys/net/ipv6/conf/all/disable_ipv6", O_WRONLY);
    if (fd >= 0) {
        if (write(fd, "1", 1) != 1) {
            die("disable_ipv6");
        }
        close(fd);
    }
    if (pg_tun_add_address(DEVICE, &addr, 16, &why) != 0 || pg_tun_set_up(DEVICE, &why) != 0) {
        fprintf(stderr, "%s\n", why.at);
        exit(1);
    }
}

static inline double now_s(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static inline void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0) {
        die("sched_setaffinity");
    }
}

#endif
