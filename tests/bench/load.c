/* A cheap HTTP/1.1 client for compare.sh, so that the path in the middle and not the client is what uses the CPU.
 *
 *   load get  HOST PORT PATH CONNECTIONS SECONDS        bodies, one after the other on each connection
 *   load open HOST PORT PATH CONNECTIONS BUSY SECONDS   many open connections, BUSY requests on their way at any time;
 *                                                       each next request goes to the connection that rested longest
 *
 * `open` says "ready" when all connections stand, and begins when a line comes on standard input, so that the CPU of opening them
 * can be left out. Bodies are dropped in the kernel (MSG_TRUNC), never copied. IPv4, Content-Length only. Ends by itself: SECONDS, or
 * ten more when nothing moves. One line of key=value at the end; times are of the whole run. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_MAX  4096
#define DROP_MAX  (1u << 20)
#define CONNS_MAX 16384
#define EVENTS    256

struct conn {
    int fd;
    int64_t body_left; /* -1: the head is not complete yet */
    uint32_t head_len;
    char head[HEAD_MAX];
};

struct load {
    struct sockaddr_in peer;
    char request[1024];
    size_t request_len;
    int epoll;
    struct conn *conns;
    uint32_t count;
    uint32_t *resting; /* a ring of connections, the longest at rest first */
    uint32_t rest_head, rest_len;
    uint64_t requests, bytes, errors;
    double end;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void open_one(struct load *l, struct conn *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&l->peer, sizeof l->peer) != 0) {
        fail("connect");
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, c->fd, &e) != 0) {
        fail("epoll_ctl");
    }
}

static void rest(struct load *l, struct conn *c)
{
    l->resting[(l->rest_head + l->rest_len++) % l->count] = (uint32_t)(c - l->conns);
}

/* A connection that broke is counted and opened again. */
static void broken(struct load *l, struct conn *c)
{
    l->errors++;
    close(c->fd);
    open_one(l, c);
}

static void ask_next(struct load *l)
{
    if (l->rest_len == 0 || now() >= l->end) {
        return;
    }
    struct conn *c = &l->conns[l->resting[l->rest_head]];
    l->rest_head = (l->rest_head + 1) % l->count;
    l->rest_len--;
    c->body_left = -1;
    c->head_len = 0;
    if (send(c->fd, l->request, l->request_len, MSG_NOSIGNAL) != (ssize_t)l->request_len) {
        broken(l, c);
        rest(l, c);
    }
}

/* How long the body behind a complete head is; -1: the head is not complete; -2: not an answer we want. */
static int64_t body_length(const struct conn *c, const char **ret_body)
{
    const char *end = memmem(c->head, c->head_len, "\r\n\r\n", 4);
    if (end == NULL) {
        return c->head_len == HEAD_MAX ? -2 : -1;
    }
    *ret_body = end + 4;
    if (memcmp(c->head + 8, " 200", 4) != 0) {
        return -2;
    }
    for (const char *line = c->head; line < end;
         line = (const char *)memchr(line, '\n', (size_t)(end + 2 - line)) + 1) {
        if (strncasecmp(line, "content-length:", 15) == 0) {
            return strtoll(line + 15, NULL, 10);
        }
    }
    return -2;
}

static bool read_head(struct conn *c)
{
    ssize_t n = recv(c->fd, c->head + c->head_len, HEAD_MAX - c->head_len, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN) {
        return true;
    }
    if (n <= 0) {
        return false;
    }
    c->head_len += (uint32_t)n;
    const char *body = NULL;
    int64_t len = body_length(c, &body);
    if (len >= 0) {
        c->body_left = len - (c->head + c->head_len - body);
    }
    return len >= -1 && c->body_left >= -1;
}

static void on_ready(struct load *l, struct conn *c)
{
    bool fine = true;
    if (c->body_left < 0) {
        fine = read_head(c);
        l->bytes += c->body_left >= 0 ? c->head_len : 0;
    }
    while (fine && c->body_left > 0) {
        size_t want = c->body_left < DROP_MAX ? (size_t)c->body_left : DROP_MAX;
        ssize_t n = recv(c->fd, NULL, want, MSG_TRUNC | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        fine = n > 0;
        c->body_left -= n;
        l->bytes += fine ? (uint64_t)n : 0;
    }
    if (!fine) {
        broken(l, c);
    } else if (c->body_left == 0) {
        l->requests++;
    } else {
        return;
    }
    rest(l, c);
    ask_next(l);
}

static double run(struct load *l, uint32_t busy, double seconds)
{
    struct epoll_event e[EVENTS];
    double begin = now();
    l->end = begin + seconds;
    for (uint32_t i = 0; i < busy; i++) {
        ask_next(l);
    }
    while (l->rest_len < l->count && now() < l->end + 10) {
        int n = epoll_wait(l->epoll, e, EVENTS, 1000);
        for (int i = 0; i < n; i++) {
            on_ready(l, e[i].data.ptr);
        }
    }
    return now() - begin;
}

int main(int argc, char **argv)
{
    static struct load l;
    bool many = argc == 8 && strcmp(argv[1], "open") == 0;
    if (!many && !(argc == 7 && strcmp(argv[1], "get") == 0)) {
        fprintf(stderr, "usage: load get HOST PORT PATH CONNECTIONS SECONDS\n"
                        "       load open HOST PORT PATH CONNECTIONS BUSY SECONDS\n");
        return 2;
    }
    l.peer.sin_family = AF_INET;
    l.peer.sin_port = htons((uint16_t)atoi(argv[3]));
    l.count = (uint32_t)atoi(argv[5]);
    uint32_t busy = many ? (uint32_t)atoi(argv[6]) : l.count;
    if (inet_pton(AF_INET, argv[2], &l.peer.sin_addr) != 1 || l.count == 0 || l.count > CONNS_MAX ||
        busy > l.count) {
        errno = EINVAL;
        fail("arguments");
    }
    l.request_len = (size_t)snprintf(l.request, sizeof l.request,
                                     "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", argv[4], argv[2]);
    l.conns = calloc(l.count, sizeof *l.conns);
    l.resting = calloc(l.count, sizeof *l.resting);
    l.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l.conns == NULL || l.resting == NULL || l.epoll < 0) {
        fail("start");
    }
    for (uint32_t i = 0; i < l.count; i++) {
        open_one(&l, &l.conns[i]);
        rest(&l, &l.conns[i]);
    }
    if (many) {
        puts("ready");
        fflush(stdout);
        if (getchar() == EOF) {
            return 1;
        }
    }
    double seconds = run(&l, busy, atof(argv[many ? 7 : 6]));
    printf("requests=%llu bytes=%llu errors=%llu seconds=%.3f\n", (unsigned long long)l.requests,
           (unsigned long long)l.bytes, (unsigned long long)(l.errors + (l.count - l.rest_len)),
           seconds);
    return 0;
}
