/* base/wheel.c against a model that sorts: order of due times, ties in order of arming. */
#include "podglass/wheel.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TIMERS 400

/* What the wheel must do, kept as plain numbers. */
struct model {
    struct pg_timer timers[TIMERS];
    bool armed[TIMERS];
    uint64_t due_ms[TIMERS];
    uint64_t order[TIMERS]; /* when it was armed, to break ties */
    bool late[TIMERS];      /* was due already when it was armed */
    uint64_t next_order;
    uint64_t now_ms;    /* as the wheel sees it: inside fn the due time of the timer */
    uint64_t target_ms; /* of the advance that runs */
    uint64_t begun; /* next_order when it began: what is armed for the past waits for the next */
    uint32_t fired;
    bool act; /* fn arms and cancels others */
    struct pg_wheel *wheel;
};

static struct model *model_new(uint64_t now_ms)
{
    struct model *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    m->now_ms = now_ms;
    m->wheel = pg_wheel_new(now_ms);
    assert_non_null(m->wheel);
    return m;
}

static void model_free(struct model *m)
{
    pg_wheel_free(m->wheel);
    free(m);
}

static void arm(struct model *m, uint32_t i, uint64_t due_ms)
{
    pg_wheel_arm(m->wheel, &m->timers[i], due_ms);
    m->armed[i] = true;
    m->due_ms[i] = due_ms > m->now_ms ? due_ms : m->now_ms;
    m->order[i] = m->next_order++;
    m->late[i] = due_ms <= m->now_ms;
}

static void cancel(struct model *m, uint32_t i)
{
    pg_wheel_cancel(m->wheel, &m->timers[i]);
    m->armed[i] = false;
}

/* Whether timer i may fire in this advance at all. */
static bool is_due(const struct model *m, uint32_t i)
{
    bool for_the_next = m->late[i] && m->order[i] >= m->begun;
    return m->armed[i] && m->due_ms[i] <= m->target_ms && !for_the_next;
}

static uint64_t random_distance(void)
{
    static const uint64_t scales[] = {2, 10, 256, 300, 5000, 70000, 20000000, 500000000};
    uint64_t scale = scales[random() % 8];
    return (uint64_t)random() % scale;
}

static void on_timer(void *arg, struct pg_timer *t)
{
    struct model *m = arg;
    uint32_t i = (uint32_t)(t - m->timers);
    assert_true(is_due(m, i));
    assert_false(pg_timer_armed(t));
    for (uint32_t other = 0; other < TIMERS; other++)
        if (other != i && is_due(m, other))
            assert_true(m->due_ms[other] > m->due_ms[i] ||
                        (m->due_ms[other] == m->due_ms[i] && m->order[other] > m->order[i]));
    m->armed[i] = false;
    m->fired++;
    if (m->due_ms[i] > m->now_ms)
        m->now_ms = m->due_ms[i];
    if (!m->act)
        return;
    if (random() % 2)
        arm(m, i, m->now_ms + random_distance()); /* itself, sometimes for now */
    if (random() % 2)
        arm(m, (uint32_t)random() % TIMERS, m->now_ms + random_distance());
    if (random() % 2)
        cancel(m, (uint32_t)random() % TIMERS);
}

static void check_next(const struct model *m)
{
    uint64_t least = UINT64_MAX;
    uint32_t count = 0;
    for (uint32_t i = 0; i < TIMERS; i++) {
        assert_int_equal(pg_timer_armed(&m->timers[i]), m->armed[i]);
        if (!m->armed[i])
            continue;
        count++;
        least = m->due_ms[i] < least ? m->due_ms[i] : least;
    }
    if (least < m->now_ms)
        least = m->now_ms; /* armed too late for the last advance */
    uint64_t next = pg_wheel_next(m->wheel);
    assert_int_equal(pg_wheel_count(m->wheel), count);
    assert_true(next <= least);
    assert_true(next == least || next > m->now_ms);
    if (least >> 8 == m->now_ms >> 8)
        assert_true(next == least);
    if (least == UINT64_MAX)
        assert_true(next == UINT64_MAX);
}

static void advance(struct model *m, uint64_t now_ms)
{
    m->target_ms = now_ms;
    m->begun = m->next_order;
    pg_wheel_advance(m->wheel, now_ms, on_timer, m);
    m->now_ms = now_ms;
    for (uint32_t i = 0; i < TIMERS; i++)
        assert_false(is_due(m, i));
    check_next(m);
}

static void random_arms_cancels_and_advances_agree_with_the_model(void **state)
{
    /* Starts near places where many bytes of the time change at once. */
    static const uint64_t starts[] = {0, 250, 0xfff0, 0xffffff00, 0xfffffffffff0u, 1754000000000u};
    srandom(10);
    for (size_t s = 0; s < sizeof(starts) / sizeof(starts[0]); s++) {
        struct model *m = model_new(starts[s]);
        for (int i = 0; i < 20000; i++) {
            uint32_t which = (uint32_t)random() % TIMERS;
            switch (random() % 4) {
            case 0:
            case 1: {
                uint64_t due_ms = m->now_ms + random_distance();
                arm(m, which, random() % 10 ? due_ms : due_ms / 2); /* some long past */
                break;
            }
            case 2: cancel(m, which); break;
            default:
                m->act = random() % 2;
                advance(m, m->now_ms + (random() % 3 ? random_distance() % 3000 : 0));
                break;
            }
        }
        assert_true(m->fired > 1000);
        m->act = false;
        advance(m, m->now_ms + 1000000000u);
        assert_int_equal(pg_wheel_count(m->wheel), 0);
        model_free(m);
    }
}

static void timers_for_one_moment_fire_in_order_of_arming_from_any_distance(void **state)
{
    struct model *m = model_new(5);
    const uint64_t due_ms = 3 * 86400000u + 12345; /* days ahead: through four rings */
    arm(m, 9, due_ms);
    advance(m, 86400000u);
    arm(m, 3, due_ms);
    advance(m, due_ms - 70000);
    arm(m, 7, due_ms);
    advance(m, due_ms - 300);
    arm(m, 1, due_ms);
    advance(m, due_ms - 1);
    arm(m, 5, due_ms);
    assert_int_equal(m->fired, 0);
    advance(m, due_ms); /* on_timer checks the order */
    assert_int_equal(m->fired, 5);
    model_free(m);
}

/* poll's view: sleeping until pg_wheel_next and advancing exactly there fires on time. */
static void following_next_fires_each_timer_at_its_own_millisecond(void **state)
{
    struct model *m = model_new(1000);
    srandom(11);
    for (uint32_t i = 0; i < TIMERS; i++)
        arm(m, i, m->now_ms + 1 + random_distance());
    uint32_t turns = 0;
    while (pg_wheel_count(m->wheel) > 0) {
        uint64_t next = pg_wheel_next(m->wheel);
        assert_true(next > m->now_ms);
        for (uint32_t i = 0; i < TIMERS; i++)
            assert_true(!m->armed[i] || m->due_ms[i] >= next);
        advance(m, next);
        assert_true(++turns < TIMERS * 8);
    }
    assert_int_equal(m->fired, TIMERS);
    model_free(m);
}

static void on_timer_again(void *arg, struct pg_timer *t)
{
    struct model *m = arg;
    m->fired++;
    pg_wheel_arm(m->wheel, t, 0);
}

static void a_timer_that_rearms_itself_for_the_past_fires_once_per_advance(void **state)
{
    struct model *m = model_new(100);
    pg_wheel_arm(m->wheel, &m->timers[0], 50);
    assert_true(pg_wheel_next(m->wheel) == 100);
    pg_wheel_advance(m->wheel, 100, on_timer_again, m);
    assert_int_equal(m->fired, 1);
    pg_wheel_advance(m->wheel, 100, on_timer_again, m); /* time need not move */
    pg_wheel_advance(m->wheel, 90, on_timer_again, m);  /* and may not go back */
    assert_int_equal(m->fired, 3);
    assert_true(pg_wheel_next(m->wheel) == 100);
    model_free(m);
}

/* The first to fire cancels the other one of its slot, which was the end of the list being
 * fired. */
static void on_timer_cancels_the_next(void *arg, struct pg_timer *t)
{
    struct model *m = arg;
    m->fired++;
    pg_wheel_cancel(m->wheel, t + 1);
}

static void cancelling_the_last_timer_of_a_slot_that_fires_loses_no_later_one(void **state)
{
    struct model *m = model_new(0);
    pg_wheel_arm(m->wheel, &m->timers[0], 10);
    pg_wheel_arm(m->wheel, &m->timers[1], 10);
    pg_wheel_arm(m->wheel, &m->timers[3], 20);
    pg_wheel_advance(m->wheel, 30, on_timer_cancels_the_next, m);
    assert_int_equal(m->fired, 2);
    assert_int_equal(pg_wheel_count(m->wheel), 0);
    model_free(m);
}

static void the_end_of_time_is_a_due_time_like_any(void **state)
{
    struct model *m = model_new(0);
    arm(m, 0, UINT64_MAX);
    arm(m, 1, UINT64_MAX - 1);
    advance(m, UINT64_MAX - 2);
    assert_int_equal(m->fired, 0);
    advance(m, UINT64_MAX);
    assert_int_equal(m->fired, 2);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_arms_cancels_and_advances_agree_with_the_model),
        cmocka_unit_test(timers_for_one_moment_fire_in_order_of_arming_from_any_distance),
        cmocka_unit_test(following_next_fires_each_timer_at_its_own_millisecond),
        cmocka_unit_test(a_timer_that_rearms_itself_for_the_past_fires_once_per_advance),
        cmocka_unit_test(cancelling_the_last_timer_of_a_slot_that_fires_loses_no_later_one),
        cmocka_unit_test(the_end_of_time_is_a_due_time_like_any),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
