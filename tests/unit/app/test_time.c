/* app/path.c: what a turn does belongs to the turn's time, also for those who hear of it before the timers run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/sim.h"

#include <stdio.h>

#define SECOND 1000000u

static struct pg_sim sim;
static struct pg_snapshot *snapshot;

static int set_up(void **state)
{
    struct pg_manifest_input input = {.path = "examples/lab"};
    struct pg_load_options load = {.pods = PG_PODS_ECHO};
    struct pg_findings findings;

    (void)state;
    assert_int_equal(pg_snapshot_load(&input, 1, &load, &snapshot, &findings), 0);
    pg_findings_free(&findings);
    assert_int_equal(pg_sim_open(NULL, snapshot, 1, &sim), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pg_sim_close(&sim);
    pg_snapshot_put(snapshot);
    pg_reason_forget_all();
    return 0;
}

static uint16_t ask(const char *target)
{
    char bytes[200];
    int len =
        snprintf(bytes, sizeof bytes, "GET %s HTTP/1.1\r\nHost: shop.example.test\r\n\r\n", target);
    struct pg_request request = {.from = pg_addr_v4(198, 51, 100, 7),
                                 .to = pg_addr_v4(203, 0, 113, 10),
                                 .to_port = 80,
                                 .bytes = bytes,
                                 .len = (uint32_t)len,
                                 .timeout_ms = 100000};
    struct pg_response response;

    assert_int_equal(pg_sim_request(&sim, &request, &response), 0);
    assert_int_equal(response.error, 0);
    uint16_t status = response.status;
    pg_response_free(&response);
    return status;
}

/* Nothing is due for hours and no turn happens; then a packet wakes the loop. */
static void idle(uint64_t us)
{
    pg_sim_settle(&sim);
    sim.now_us += us;
}

static void a_connection_after_a_gap_is_not_late(void **state)
{
    (void)state;
    assert_int_equal(ask("/"), 200);
    for (uint64_t gap = 1; gap < 100000; gap *= 3) {
        idle(gap * SECOND);
        assert_int_equal(ask("/"), 200);
    }
}

/* A pod that takes 50 of its 60 seconds has them, however long nothing happened before. */
static void a_slow_answer_after_a_gap_has_all_its_time(void **state)
{
    (void)state;
    assert_int_equal(ask("/"), 200);
    idle(40 * SECOND);
    assert_int_equal(ask("/slow/50000"), 200);
    idle(4000 * SECOND);
    uint64_t began = sim.now_us;
    assert_int_equal(ask("/slow/50000"), 200);
    assert_in_range(sim.now_us - began, 50 * SECOND, 51 * SECOND);
    began = sim.now_us;
    assert_int_equal(ask("/slow/90000"), 504);
    assert_in_range(sim.now_us - began, 60 * SECOND, 70 * SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_connection_after_a_gap_is_not_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_slow_answer_after_a_gap_has_all_its_time, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
