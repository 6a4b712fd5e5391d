/* A real TUN in a network namespace of its own, with the kernel's UDP and TCP as the peer, once with
 * plain writes and once with io_uring. Needs root and /dev/net/tun; says so and skips otherwise. */
#include "stack_internal.h"

#include "podglass/dgram.h"
#include "podglass/link.h"
#include "podglass/tun_config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/socket.h>
#include <net/if.h>
#include <sys/ioctl.h>

#include <cmocka.h>

static struct pg_link *tun;
static struct pg_buf_pool *buffers;
static enum pg_tun_io io;
static bool usable;

static uint64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static int open_tun(void **state)
{
    const struct pg_tun_options options = {.name = "pgtest0", .offload = true, .fd = -1, .io = io};
    const struct pg_tun_address addresses[] = {
        {pg_addr_v4(10, 77, 0, 1), 24},
        {{.bytes = {0xfd, 0x77, [15] = 1}}, 64},
    };
    struct pg_prefix route;
    struct pg_tun_config config = {.mtu = 1400,
                                   .addresses = addresses,
                                   .address_count = 2,
                                   .routes = &route,
                                   .route_count = 1};
    struct pg_text why = {0};
    const char *text;
    int result;

    usable = false;
    tun = NULL;
    buffers = NULL;
    if (unshare(CLONE_NEWNET) != 0 || access("/dev/net/tun", R_OK | W_OK) != 0) {
        print_message("SKIPPED: needs root and /dev/net/tun\n");
        return 0;
    }
    result = pg_tun_open(&options, &tun, &text);
    if (result != 0) {
        print_message("SKIPPED: %s: %s\n", text, strerror(-result));
        return 0;
    }
    assert_int_equal(pg_prefix_parse("192.0.2.0/24", 12, &route), 0);
    assert_int_equal(pg_tun_configure("pgtest0", &config, &why), 0);
    assert_int_equal(pg_tun_configure("pgtest0", &config, &why), 0); /* again is no error */
    assert_null(why.at);
    buffers = pg_buf_pool_new(256);
    usable = true;
    return 0;
}

static int close_tun(void **state)
{
    pg_link_close(tun);
    pg_buf_pool_free(buffers);
    return 0;
}

/* Sent, not kept until later. */
static enum pg_drop send_now(const struct pg_packet *p)
{
    struct pg_packet lost;
    enum pg_drop drop = pg_link_tx(tun, p);

    while (drop == PG_DROP_NONE && pg_link_flush(tun, &lost, &drop)) {
        assert_int_equal(lost.len, p->len);
        assert_memory_equal(lost.head, p->head, p->head_len);
    }
    return drop;
}

/* The next packet that is not the kernel's IPv6 noise; false: none within two seconds. */
static bool next_packet(struct pg_packet *p)
{
    for (uint64_t end = now_us() + 2000000; now_us() < end;) {
        enum pg_drop drop;
        int result = pg_link_rx(tun, buffers, p, &drop);

        if (result == 1 && pg_packet_parse(p, &drop) && p->proto != PG_PROTO_ICMP6)
            return true;
        if (result == 1)
            pg_buf_put(p->buf);
        else
            poll(&(struct pollfd){pg_link_fd(tun), POLLIN, 0}, 1, 10);
    }
    return false;
}

static int udp_socket(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct timeval two = {2, 0};

    inet_pton(AF_INET, "10.77.0.2", &to.sin_addr);
    assert_true(s >= 0);
    assert_int_equal(connect(s, (struct sockaddr *)&to, sizeof to), 0);
    setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &two, sizeof two);
    return s;
}

static void a_datagram_comes_out_and_its_answer_goes_in(void **state)
{
    struct pg_packet p = {0};
    uint8_t answer[200];
    char got[16];
    int s = -1;

    if (!usable)
        skip();
    s = udp_socket();
    assert_int_equal(send(s, "ping", 4, 0), 4);
    assert_true(next_packet(&p));
    assert_int_equal(p.proto, PG_PROTO_UDP);
    assert_int_equal(p.tuple.dst_port, 9);
    assert_memory_equal(p.head + p.payload_offset, "ping", 4);

    struct pg_tuple back = pg_tuple_invert(&p.tuple);
    struct pg_packet out = {.head = answer, .csum = PG_CSUM_FULL};
    enum pg_drop drop;
    out.head_len = out.len = pg_dgram_build(&back, "pong!", 5, answer, sizeof answer);
    assert_true(pg_packet_parse(&out, &drop));
    assert_int_equal(out.csum, PG_CSUM_VERIFIED);
    assert_int_equal(send_now(&out), PG_DROP_NONE);
    assert_int_equal(recv(s, got, sizeof got, 0), 5);
    assert_memory_equal(got, "pong!", 5);
    pg_buf_put(p.buf);
    close(s);
    assert_int_equal(pg_buf_pool_used(buffers), 0);
}

static void the_device_says_what_it_can(void **state)
{
    if (!usable)
        skip();
    print_message("offloads: %s, io: %s\n", pg_tun_offloads(tun), pg_tun_io(tun));
    assert_string_equal(pg_tun_io(tun), io == PG_TUN_IO_PLAIN ? "plain" : "uring");
    assert_string_equal(pg_link_name(tun), "pgtest0");
    assert_int_equal(pg_link_mtu(tun), 1500); /* as it was when it was opened */
}

static void set_down(void)
{
    struct ifreq r;
    int s = socket(AF_INET, SOCK_DGRAM, 0);

    memset(&r, 0, sizeof r);
    memcpy(r.ifr_name, "pgtest0", 8);
    assert_int_equal(ioctl(s, SIOCGIFFLAGS, &r), 0);
    r.ifr_flags = (short)(r.ifr_flags & ~IFF_UP);
    assert_int_equal(ioctl(s, SIOCSIFFLAGS, &r), 0);
    close(s);
}

/* A datagram for port `to` of the kernel. */
static struct pg_packet datagram(uint16_t to, const void *text, uint32_t len, uint8_t *bytes,
                                 uint32_t room)
{
    struct pg_tuple t = {.src = pg_addr_v4(10, 77, 0, 2),
                         .dst = pg_addr_v4(10, 77, 0, 1),
                         .src_port = 9,
                         .dst_port = to,
                         .proto = PG_PROTO_UDP};
    struct pg_packet p = {.head = bytes, .csum = PG_CSUM_FULL};
    enum pg_drop drop;

    p.head_len = p.len = pg_dgram_build(&t, text, len, bytes, room);
    assert_true(pg_packet_parse(&p, &drop));
    return p;
}

/* More than can wait, and some that are too large to wait: none overtakes another. */
static void what_waits_for_the_flush_keeps_its_order(void **state)
{
    static uint8_t text[5000];
    static uint8_t bytes[6000];
    struct sockaddr_in own = {0};
    socklen_t own_len = sizeof own;
    const int room = 8 << 20;
    struct pg_packet lost;
    enum pg_drop drop;
    int s = -1;

    if (!usable)
        skip();
    s = udp_socket();
    assert_int_equal(setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room), 0);
    assert_int_equal(getsockname(s, (struct sockaddr *)&own, &own_len), 0);
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t len = i % 50 == 49 ? 5000 : 4 + i;

        memcpy(text, &i, sizeof i);
        struct pg_packet p = datagram(ntohs(own.sin_port), text, len, bytes, sizeof bytes);
        assert_int_equal(pg_link_tx(tun, &p), PG_DROP_NONE);
        memset(bytes, 0, sizeof bytes); /* it was borrowed for the call */
        if (i % 100 == 99)
            assert_false(pg_link_flush(tun, &lost, &drop)); /* nothing to say */
    }
    for (uint32_t i = 0; i < 300; i++) {
        uint32_t n;

        assert_int_equal(recv(s, text, sizeof text, 0), i % 50 == 49 ? 5000 : 4 + i);
        memcpy(&n, text, sizeof n);
        assert_int_equal(n, i);
    }
    close(s);
}

/* Each ends as lost once, with its bytes, however many they are. */
static void what_is_lost_after_all_is_told_one_by_one(void **state)
{
    bool told[200] = {false};
    uint8_t bytes[64];
    struct pg_text why = {0};
    struct pg_packet lost;
    enum pg_drop drop;

    if (!usable)
        skip();
    set_down();
    for (uint32_t i = 0; i < 200; i++) {
        struct pg_packet p = datagram(7, &i, sizeof i, bytes, sizeof bytes);
        drop = pg_link_tx(tun, &p);
        assert_true(drop == PG_DROP_NONE || drop == PG_DROP_LINK_DOWN);
        told[i] = drop != PG_DROP_NONE;
    }
    while (pg_link_flush(tun, &lost, &drop)) {
        uint32_t i;

        assert_int_equal(drop, PG_DROP_LINK_DOWN);
        assert_int_equal(lost.tuple.dst_port, 7);
        assert_int_equal(lost.len, 32);
        memcpy(&i, lost.head + lost.payload_offset, sizeof i);
        assert_true(i < 200 && !told[i]);
        told[i] = true;
    }
    for (uint32_t i = 0; i < 200; i++)
        assert_true(told[i]);
    assert_int_equal(pg_tun_set_up("pgtest0", &why), 0);
    struct pg_packet p = datagram(7, "x", 1, bytes, sizeof bytes);
    assert_int_equal(send_now(&p), PG_DROP_NONE);
}

static void an_interface_that_is_down_is_an_error_of_its_own(void **state)
{
    struct pg_text why = {0};
    uint8_t bytes[64];
    struct pg_packet p;

    if (!usable)
        skip();
    p = datagram(7, "x", 1, bytes, sizeof bytes);
    set_down();
    assert_int_equal(send_now(&p), PG_DROP_LINK_DOWN);
    assert_int_equal(pg_tun_set_up("pgtest0", &why), 0);
    assert_int_equal(send_now(&p), PG_DROP_NONE);
    assert_int_equal(pg_tun_set_up("nosuch0", &why), -ENODEV);
    assert_string_equal(why.at, "cannot bring nosuch0 up: No such device");
    pg_text_free(&why);
}

static void bad_requests_are_told_in_words(void **state)
{
    const struct pg_tun_options long_name = {.name = "a-name-that-is-too-long", .fd = -1};
    const struct pg_tun_options no_tun = {.name = "", .fd = 0};
    struct pg_link *l = NULL;
    const char *text;

    if (!usable)
        skip();
    assert_int_equal(pg_tun_open(&long_name, &l, &text), -ENAMETOOLONG);
    assert_string_equal(text, "interface name is too long");
    assert_true(pg_tun_open(&no_tun, &l, &text) < 0);
    assert_null(l);
}

/* ---- the kernel's TCP against ours ---- */

static void on_output(void *arg, struct pg_packet *p)
{
    assert_int_equal(pg_link_tx(tun, p), PG_DROP_NONE);
}

static void echo_readable(void *owner, struct pg_conn *c)
{
    pg_conn_move(c, c, UINT64_MAX);
    if (pg_conn_at_end(c))
        pg_conn_close(c);
}

static const struct pg_conn_events echo_events = {.on_readable = echo_readable,
                                                  .on_writable = echo_readable};

static void echo_accept(void *arg, struct pg_conn *c)
{
    pg_conn_own(c, &echo_events, NULL);
}

static const struct pg_listener *on_listener(void *arg, const struct pg_tuple *tuple)
{
    static const struct pg_listener echo = {echo_accept, NULL};

    return &echo;
}

static void turn(struct pg_stack *s, uint64_t *biggest)
{
    struct pg_packet p;
    enum pg_drop drop;

    for (int i = 0; i < 64 && pg_link_rx(tun, buffers, &p, &drop) == 1; i++) {
        if (p.len > *biggest)
            *biggest = p.len;
        if (pg_packet_parse(&p, &drop) && p.proto == PG_PROTO_TCP)
            pg_netif_input(s, &p, now_us());
        pg_buf_put(p.buf);
    }
    pg_stack_advance(s, now_us());
    while (pg_stack_sweep(s, now_us()))
        ;
    assert_false(pg_link_flush(tun, &p, &drop));
}

/* Sends and receives `total` bytes over the connected socket while the stack runs. Returns how many
 * came back right. */
static size_t talk(struct pg_stack *s, int fd, size_t total, uint64_t *biggest)
{
    static uint8_t out[65536];
    static uint8_t in[65536];
    size_t sent = 0;
    size_t got = 0;

    for (uint64_t end = now_us() + 20000000; got < total && now_us() < end;) {
        size_t n = total - sent < sizeof out ? total - sent : sizeof out;
        ssize_t k;

        for (size_t i = 0; i < n; i++)
            out[i] = (uint8_t)((sent + i) * 7 + ((sent + i) >> 8));
        k = n > 0 ? send(fd, out, n, MSG_DONTWAIT) : 0;
        if (k > 0)
            sent += (size_t)k;
        turn(s, biggest);
        while ((k = recv(fd, in, sizeof in, MSG_DONTWAIT)) > 0) {
            for (ssize_t i = 0; i < k; i++)
                if (in[i] != (uint8_t)((got + (size_t)i) * 7 + ((got + (size_t)i) >> 8)))
                    return got + (size_t)i;
            got += (size_t)k;
        }
    }
    return got;
}

static void echo_over(int family, const struct sockaddr *to, socklen_t len)
{
    struct pg_counters counters = {0};
    struct pg_trace *trace = pg_trace_new(64);
    struct pg_random random;
    const struct pg_stack_options options = {
        .output = on_output, .listener = on_listener, .mtu = 1400};
    struct pg_stack *s;
    uint64_t biggest = 0;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);

    pg_random_seed(&random, 3);
    s = pg_stack_new(&options, &counters, trace, &random, now_us());
    assert_true(connect(fd, to, len) < 0 && errno == EINPROGRESS);
    turn(s, &biggest);
    assert_int_equal(talk(s, fd, 20000000, &biggest), 20000000);
    print_message("largest packet from the kernel: %llu, retransmitted %llu\n",
                  (unsigned long long)biggest,
                  (unsigned long long)counters.value[PG_COUNT_TCP_RETRANSMITS]);
    close(fd);
    for (uint64_t end = now_us() + 500000; pg_stack_conn_count(s) > 0 && now_us() < end;)
        turn(s, &biggest);
    assert_int_equal(pg_stack_conn_count(s), 0);
    pg_stack_free(s);
    pg_trace_free(trace);
    assert_int_equal(pg_buf_pool_used(buffers), 0);
}

static void twenty_megabytes_are_echoed_to_the_kernels_tcp(void **state)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(80)};

    if (!usable)
        skip();
    inet_pton(AF_INET, "192.0.2.9", &to.sin_addr); /* any address behind the route */
    echo_over(AF_INET, (struct sockaddr *)&to, sizeof to);
}

static void twenty_megabytes_are_echoed_over_ipv6(void **state)
{
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(80)};

    if (!usable)
        skip();
    inet_pton(AF_INET6, "fd77::9", &to.sin6_addr);
    echo_over(AF_INET6, (struct sockaddr *)&to, sizeof to);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_device_says_what_it_can),
        cmocka_unit_test(a_datagram_comes_out_and_its_answer_goes_in),
        cmocka_unit_test(bad_requests_are_told_in_words),
        cmocka_unit_test(what_waits_for_the_flush_keeps_its_order),
        cmocka_unit_test(twenty_megabytes_are_echoed_to_the_kernels_tcp),
        cmocka_unit_test(twenty_megabytes_are_echoed_over_ipv6),
        cmocka_unit_test(an_interface_that_is_down_is_an_error_of_its_own),
        cmocka_unit_test(what_is_lost_after_all_is_told_one_by_one),
    };
    int failed;

    io = PG_TUN_IO_PLAIN;
    failed = cmocka_run_group_tests_name("plain", tests, open_tun, close_tun);
    io = PG_TUN_IO_URING;
    return failed + cmocka_run_group_tests_name("uring", tests, open_tun, close_tun);
}
