/* Many connections at once that do what they like, over a wire that loses, and a stranger who
 * sends what he likes: every byte that is read is right, no limit is exceeded, and everything is
 * given back. Seeded, so a failure repeats. */
#include "stack_internal.h"
#include "stack_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAIRS 60

static struct stack_world w;
static struct pg_random dice;

struct pair {
    struct end client;
    struct end server;
};

static struct pair pairs[PAIRS];
static uint32_t completed;

static uint32_t roll(uint32_t n)
{
    return pg_random_below(&dice, n);
}

/* The server end of a connection is found by the client's port, which is its number. */
static void accept_any(void *arg, struct pg_conn *c)
{
    uint16_t port;

    pg_conn_peer(c, &port);
    for (size_t i = 0; i < PAIRS; i++) {
        struct end *client = &pairs[i].client;
        uint16_t its;

        if (client->conn == NULL)
            continue;
        pg_conn_local(client->conn, &its);
        if (its != port || pairs[i].server.conn != NULL)
            continue;
        memset(&pairs[i].server, 0, sizeof pairs[i].server);
        pairs[i].server.to_send = roll(3) ? roll(200000) : 0;
        pairs[i].server.shuts_down = roll(2);
        pairs[i].server.stalls = roll(4) == 0;
        end_accept(&pairs[i].server, c);
        return;
    }
    pg_conn_abort(c);
}

static void drop_end(struct end *e)
{
    if (e->conn == NULL)
        return;
    if (roll(2))
        pg_conn_close(e->conn);
    else
        pg_conn_abort(e->conn);
    e->conn = NULL;
    e->closed = true;
}

static void act_on(struct pair *p)
{
    assert_false(p->client.wrong);
    assert_false(p->server.wrong);
    if (p->client.conn == NULL && p->server.conn == NULL) {
        memset(p, 0, sizeof *p);
        p->client.to_send = roll(300000);
        p->client.shuts_down = roll(2);
        p->client.stalls = roll(4) == 0;
        end_connect(&w, &p->client, pg_addr_v4(198, 51, 100, (uint8_t)roll(3)),
                    pg_addr_v4(192, 0, 2, 1), 80);
        return;
    }
    if (p->client.ended && p->server.ended)
        completed++;
    if (roll(10) == 0 || (p->client.ended && p->server.ended))
        drop_end(roll(2) ? &p->client : &p->server);
    if (roll(3) == 0) {
        p->client.stalls = p->server.stalls = false;
        end_pump(&p->client);
        end_pump(&p->server);
    }
}

static void check_bounds(void)
{
    uint64_t held = 0;

    for (size_t i = 0; i < PAIRS; i++)
        for (int side = 0; side < 2; side++) {
            struct end *e = side ? &pairs[i].server : &pairs[i].client;

            if (e->conn == NULL)
                continue;
            assert_in_range(pg_conn_unread(e->conn), 0, 256 * 1024);
            assert_in_range(e->conn->tx_held, 0, 1024 * 1024);
            held += pg_conn_unread(e->conn);
            if (e->conn->pcb != NULL)
                assert_true(pg_bucket_holds(e->conn->bucket, e->conn->pcb) ||
                            e->conn->pcb->state == TIME_WAIT);
        }
    assert_true(held <= pg_stack_held_bytes(w.stack));
}

static void whatever_connections_do_everything_is_given_back(void **state)
{
    uint64_t before = pg_lwip_blocks();

    for (uint64_t seed = 1; seed <= 4; seed++) {
        pg_random_seed(&dice, seed);
        memset(pairs, 0, sizeof pairs);
        world_open(&w, NULL);
        w.listener = (struct pg_listener){accept_any, NULL};
        w.delay_us = 200 * seed;
        w.loss = 150 * (uint32_t)(seed - 1);
        for (int step = 0; step < 300; step++) {
            for (int i = 0; i < 10; i++)
                act_on(&pairs[roll(PAIRS)]);
            world_run(&w, roll(20) == 0 ? 3 * SECOND_US : roll(30000));
            check_bounds();
        }
        for (size_t i = 0; i < PAIRS; i++) {
            drop_end(&pairs[i].client);
            drop_end(&pairs[i].server);
        }
        world_run(&w, 300 * SECOND_US);
        assert_int_equal(pg_stack_conn_count(w.stack), 0);
        assert_int_equal(pg_stack_time_wait_count(w.stack), 0);
        assert_int_equal(pg_stack_held_bytes(w.stack), 0);
        assert_int_equal(w.stack->half_open, 0);
        assert_int_equal(pg_stack_next_due_us(w.stack), UINT64_MAX);
        world_close(&w);
        assert_int_equal(pg_lwip_blocks(), before);
    }
    assert_true(completed > 50);
}

/* ---- a stranger ---- */

static uint32_t last_seq;
static uint32_t last_ack;

static bool overhear(void *arg, const struct pg_packet *p)
{
    last_seq = pg_packet_tcp_seq(p) + pg_packet_payload_len(p) +
               ((p->tcp_flags & (PG_TCP_SYN | PG_TCP_FIN)) ? 1 : 0);
    last_ack = pg_packet_tcp_ack(p);
    return false;
}

static void put32(uint8_t *at, uint32_t v)
{
    at[0] = (uint8_t)(v >> 24);
    at[1] = (uint8_t)(v >> 16);
    at[2] = (uint8_t)(v >> 8);
    at[3] = (uint8_t)v;
}

static uint32_t near_to(uint32_t n)
{
    switch (roll(8)) {
    case 0: return (uint32_t)pg_random_u64(&dice);
    case 1: return n + roll(300000);
    case 2: return n - roll(300000);
    case 3: return n + 0x80000000u - roll(3);
    case 4: return n + roll(4000);
    default: return n;
    }
}

static void send_nonsense(void)
{
    static const uint8_t kinds[] = {0, 1, 2, 3, 4, 5, 8, 34, 254};
    static uint8_t b[65536];
    uint32_t options = roll(3) ? 0 : roll(11) * 4;
    uint32_t len = roll(3) == 0 ? 0 : roll(20) == 0 ? roll(60000) : roll(3000);
    uint32_t total = 40 + options + len;
    uint32_t sum = 0;

    memset(b, 0, 40 + options);
    b[0] = 0x45;
    b[2] = (uint8_t)(total >> 8);
    b[3] = (uint8_t)total;
    b[8] = 64;
    b[9] = PG_PROTO_TCP;
    memcpy(b + 12, (uint8_t[]){203, 0, 113, 9, 192, 0, 2, 1}, 8);
    for (int i = 0; i < 20; i += 2)
        sum += (uint32_t)(b[i] << 8 | b[i + 1]);
    sum = ~((sum & 0xffff) + (sum >> 16));
    b[10] = (uint8_t)(sum >> 8);
    b[11] = (uint8_t)sum;
    b[20] = 0x10;
    b[21] = (uint8_t)roll(3);
    b[23] = 80;
    put32(b + 24, near_to(last_ack));
    put32(b + 28, near_to(last_seq));
    b[32] = (uint8_t)((20 + options) / 4 << 4);
    b[33] = roll(3) ? PG_TCP_ACK : roll(4) == 0 ? PG_TCP_SYN : (uint8_t)roll(64);
    b[34] = roll(4) ? 0xff : (uint8_t)roll(2);
    b[35] = (uint8_t)roll(256);
    for (uint32_t i = 0; i < options;) {
        uint8_t kind = kinds[roll(sizeof kinds)];
        uint32_t n = kind < 2    ? 1
                     : kind == 2 ? 4
                     : kind == 3 ? 3
                     : kind == 4 ? 2
                     : kind == 5 ? 10
                                 : 10;

        b[40 + i] = kind;
        if (kind > 1 && i + 1 < options)
            b[40 + i + 1] = (uint8_t)(roll(8) ? n : roll(40));
        for (uint32_t k = 2; k < n && i + k < options; k++)
            b[40 + i + k] = (uint8_t)roll(256);
        i += n;
    }
    world_inject(&w, b, total);
}

static struct end victims[64];

static void accept_victim(void *arg, struct pg_conn *c)
{
    for (size_t i = 0; i < 64; i++)
        if (victims[i].conn == NULL) {
            memset(&victims[i], 0, sizeof victims[i]);
            victims[i].to_send = roll(100000);
            victims[i].stalls = roll(2);
            end_accept(&victims[i], c);
            return;
        }
    pg_conn_abort(c);
}

static void whatever_a_stranger_sends_the_stack_stands(void **state)
{
    uint64_t before = pg_lwip_blocks();
    uint64_t accepted = 0;

    for (uint64_t seed = 10; seed < 14; seed++) {
        pg_random_seed(&dice, seed);
        memset(victims, 0, sizeof victims);
        world_open(&w, NULL);
        w.listener = (struct pg_listener){accept_victim, NULL};
        w.look = overhear;
        for (int i = 0; i < 30000; i++) {
            send_nonsense();
            if (roll(5) == 0)
                world_run(&w, roll(50) == 0 ? 2 * SECOND_US : roll(2000));
            for (size_t v = 0; v < 64; v++) {
                if (victims[v].conn == NULL)
                    continue;
                assert_in_range(pg_conn_unread(victims[v].conn), 0, 256 * 1024);
                if (victims[v].conn->pcb != NULL)
                    assert_in_range(victims[v].conn->pcb->rcv_wnd, 0, 256 * 1024 + 1);
                if (roll(400) == 0)
                    drop_end(&victims[v]);
            }
        }
        accepted += w.counters.value[PG_COUNT_TCP_ACCEPTED];
        for (size_t v = 0; v < 64; v++)
            drop_end(&victims[v]);
        world_run(&w, 300 * SECOND_US);
        assert_int_equal(pg_stack_conn_count(w.stack), 0);
        assert_int_equal(w.stack->half_open, 0);
        world_close(&w);
        assert_int_equal(pg_lwip_blocks(), before);
    }
    print_message("%llu handshakes completed\n", (unsigned long long)accepted);
    assert_true(accepted > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_connections_do_everything_is_given_back),
        cmocka_unit_test(whatever_a_stranger_sends_the_stack_stands),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
