/* The in-process wire gives back what was put on it, with the sums a device would have
 * completed; and the packets that podglass writes without a connection are right. */
#include "podglass/checksum.h"
#include "podglass/dgram.h"
#include "podglass/link.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct pg_buf_pool *buffers;
static struct pg_link *wire;

static int set_up(void **state)
{
    buffers = pg_buf_pool_new(300);
    wire = pg_wire_new(1500, buffers);
    return 0;
}

static int tear_down(void **state)
{
    pg_link_close(wire);
    assert_int_equal(pg_buf_pool_used(buffers), 0);
    pg_buf_pool_free(buffers);
    return 0;
}

static struct pg_tuple tuple(const char *src, const char *dst, uint8_t proto)
{
    struct pg_tuple t;

    memset(&t, 0, sizeof t);
    assert_int_equal(pg_addr_parse(src, strlen(src), &t.src), 0);
    assert_int_equal(pg_addr_parse(dst, strlen(dst), &t.dst), 0);
    t.src_port = 53;
    t.dst_port = 40000;
    t.proto = proto;
    return t;
}

/* Parses bytes as they would come from a device that vouches for nothing. */
static void parse(struct pg_packet *p, uint8_t *bytes, uint32_t len)
{
    enum pg_drop drop = PG_DROP_NONE;

    memset(p, 0, sizeof *p);
    p->head = bytes;
    p->head_len = p->len = len;
    assert_true(pg_packet_parse(p, &drop));
    assert_int_equal(p->csum, PG_CSUM_VERIFIED);
}

static void a_built_datagram_has_right_sums(void **state)
{
    static const struct {
        const char *src, *dst;
    } rows[] = {{"10.96.0.10", "10.1.0.5"}, {"2001:db8::a", "2001:db8::5"}};

    for (size_t i = 0; i < 2; i++)
        for (uint32_t len = 0; len < 40; len += 13) {
            struct pg_tuple t = tuple(rows[i].src, rows[i].dst, PG_PROTO_UDP);
            struct pg_packet p;
            uint8_t out[200];
            uint32_t n = pg_dgram_build(&t, "0123456789012345678901234567890123456789", len, out,
                                        sizeof out);

            parse(&p, out, n);
            assert_true(pg_tuple_equal(&p.tuple, &t));
            assert_int_equal(pg_packet_payload_len(&p), len);
            assert_int_equal(pg_dgram_build(&t, out, 10, out, 37), 0); /* no room */
            assert_int_equal(pg_dgram_build(&t, out, 65001, out, 70000), 0);
        }
}

static void a_reset_answers_as_rfc_9293_says(void **state)
{
    struct pg_tuple t = tuple("198.51.100.7", "192.0.2.1", PG_PROTO_TCP);
    uint8_t bytes[60] = {0};
    uint8_t out[60];
    struct pg_packet p;
    struct pg_packet r;

    memset(&p, 0, sizeof p);
    p.head = bytes;
    p.l4_offset = 20;
    p.payload_offset = 40;
    p.len = p.head_len = 45;
    p.proto = PG_PROTO_TCP;
    p.tuple = t;
    bytes[27] = 100; /* seq */
    bytes[31] = 200; /* ack */
    p.tcp_flags = PG_TCP_ACK;
    parse(&r, out, pg_reset_build(&p, out, sizeof out));
    assert_int_equal(r.tcp_flags, PG_TCP_RST);
    assert_int_equal(pg_packet_tcp_seq(&r), 200);
    p.tcp_flags = PG_TCP_SYN;
    parse(&r, out, pg_reset_build(&p, out, sizeof out));
    assert_int_equal(r.tcp_flags, PG_TCP_RST | PG_TCP_ACK);
    assert_int_equal(pg_packet_tcp_seq(&r), 0);
    assert_int_equal(pg_packet_tcp_ack(&r), 106);
    assert_int_equal(r.tuple.src_port, 40000);
    p.tcp_flags = PG_TCP_RST;
    assert_int_equal(pg_reset_build(&p, out, sizeof out), 0);
}

static void what_is_injected_is_received_in_order(void **state)
{
    struct pg_packet p;
    enum pg_drop drop;

    assert_int_equal(pg_wire_inject(wire, "first", 5), 0);
    assert_int_equal(pg_wire_inject(wire, "second", 6), 0);
    assert_int_equal(pg_link_rx(wire, buffers, &p, &drop), 1);
    assert_memory_equal(p.head, "first", 5);
    pg_buf_put(p.buf);
    assert_int_equal(pg_link_rx(wire, buffers, &p, &drop), 1);
    assert_int_equal(p.len, 6);
    assert_int_equal(p.csum, PG_CSUM_FULL);
    pg_buf_put(p.buf);
    assert_int_equal(pg_link_rx(wire, buffers, &p, &drop), 0);
    assert_int_equal(pg_link_fd(wire), -1);
    assert_int_equal(pg_link_mtu(wire), 1500);
}

static void a_partial_sum_is_completed_on_the_way_out(void **state)
{
    struct pg_tuple t = tuple("10.0.0.1", "10.0.0.2", PG_PROTO_UDP);
    uint8_t bytes[100];
    uint8_t got[100];
    uint32_t len = pg_dgram_build(&t, "payload in two", 14, bytes, sizeof bytes);
    struct pg_packet p;
    struct iovec tail = {bytes + 35, len - 35};
    uint16_t full;
    uint16_t partial;

    parse(&p, bytes, len);
    memcpy(&full, bytes + 26, 2);
    partial = pg_sum_fold(pg_sum_pseudo(&t.src, &t.dst, PG_PROTO_UDP, len - 20));
    memcpy(bytes + 26, &partial, 2);
    p.csum = PG_CSUM_PARTIAL;
    p.head_len = 35;
    p.tail = &tail;
    p.tail_count = 1;
    assert_int_equal(pg_link_tx(wire, &p), PG_DROP_NONE);
    assert_int_equal(pg_wire_collect(wire, got, 10), 0); /* no room: it stays */
    assert_int_equal(pg_wire_collect(wire, got, sizeof got), len);
    assert_memory_equal(got + 26, &full, 2);
    assert_memory_equal(got + 28, "payload in two", 14);
    assert_int_equal(pg_wire_collect(wire, got, sizeof got), 0);
}

static void a_wire_nobody_collects_from_forgets_the_oldest(void **state)
{
    struct pg_packet p;
    uint8_t bytes[30] = {0};
    uint8_t got[30];

    memset(&p, 0, sizeof p);
    p.head = bytes;
    p.head_len = p.len = sizeof bytes;
    p.csum = PG_CSUM_VERIFIED;
    for (uint32_t i = 0; i < 1000; i++) {
        memcpy(bytes, &i, sizeof i);
        assert_int_equal(pg_link_tx(wire, &p), PG_DROP_NONE);
    }
    assert_int_equal(pg_wire_collect(wire, got, sizeof got), sizeof bytes);
    assert_memory_equal(got, (&(uint32_t){1000 - 256}), 4);
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(a_built_datagram_has_right_sums),
        CASE(a_reset_answers_as_rfc_9293_says),
        CASE(what_is_injected_is_received_in_order),
        CASE(a_partial_sum_is_completed_on_the_way_out),
        CASE(a_wire_nobody_collects_from_forgets_the_oldest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
