/* First sequence numbers (RFC 6528): nobody learns the next connection's from his own, and the same ends begin above what they had. */
#include "podglass/log.h"

#include "stack_internal.h"
#include "stack_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define CONNECTS 10000

static struct stack_world w;
static uint32_t first; /* of the last answer to a SYN */

static bool note_answer(void *arg, const struct pg_packet *p)
{
    (void)arg;
    if ((p->tcp_flags & (PG_TCP_SYN | PG_TCP_ACK)) == (PG_TCP_SYN | PG_TCP_ACK))
        first = pg_packet_tcp_seq(p);
    return true;
}

static const struct pg_conn_events deaf = {0};

static void accept_it(void *arg, struct pg_conn *c)
{
    (void)arg;
    pg_conn_own(c, &deaf, NULL);
}

static int set_up(void **state)
{
    world_open(&w, NULL);
    w.listener = (struct pg_listener){accept_it, NULL};
    w.look = note_answer;
    return 0;
}

static int tear_down(void **state)
{
    world_close(&w);
    return 0;
}

/* Opens, sees the server's number, and resets. */
static uint32_t number_for(struct pg_addr from, uint16_t port, uint64_t pause_us)
{
    struct pg_addr to = pg_addr_v4(192, 0, 2, 1);
    struct pg_conn *c = pg_conn_connect(w.stack, &from, port, &to, 80, 0, &deaf, NULL);

    assert_non_null(c);
    world_run(&w, 1000);
    pg_conn_abort(c);
    world_run(&w, pause_us);
    return first;
}

/* A stranger extrapolates from the last two numbers he was given. */
static void the_next_number_is_not_the_last_plus_a_step(void **state)
{
    uint32_t before = 0;
    uint32_t last = 0;
    uint32_t near = 0;

    for (uint32_t i = 0; i < CONNECTS; i++) {
        uint32_t n = number_for(pg_addr_v4(198, 51, 100, 7), (uint16_t)(1024 + i), 1000);
        uint32_t off = n - (2 * last - before);

        near += i > 2 && (off < 65536 || off > UINT32_MAX - 65535);
        before = last;
        last = n;
    }
    assert_true(near <= 3);
}

static void at_the_same_time_another_port_has_another_number(void **state)
{
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7);
    uint32_t a = number_for(from, 2000, 1000);
    uint32_t b = number_for(from, 2001, 1000);
    uint32_t c = number_for(pg_addr_v4(198, 51, 100, 8), 2000, 1000);

    assert_true(b - a > 65535 && a - b > 65535);
    assert_true(c - a > 65535 && a - c > 65535);
}

static void the_same_ends_begin_higher(void **state)
{
    struct pg_addr from = pg_addr_v4(198, 51, 100, 7);
    uint32_t last = number_for(from, 2000, SECOND_US);

    for (uint32_t i = 0; i < 20; i++) {
        uint32_t n = number_for(from, 2000, SECOND_US);

        assert_in_range(n - last, 1, INT32_MAX);
        last = n;
    }
}

int main(void)
{
#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        CASE(the_next_number_is_not_the_last_plus_a_step),
        CASE(at_the_same_time_another_port_has_another_number),
        CASE(the_same_ends_begin_higher),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
