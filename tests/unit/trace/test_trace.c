/* trace/trace.c: the ring and its readers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/trace.h"

#include <string.h>

static void write_one(struct pg_trace *t, uint64_t packet)
{
    struct pg_record r = {.packet = packet};

    pg_trace_write(t, &r);
}

static void reader_gets_records_in_order(void **state)
{
    struct pg_trace *t = pg_trace_new(16);
    struct pg_record r;
    uint64_t seq = 1;
    uint64_t missed;

    (void)state;
    assert_false(pg_trace_read(t, &seq, &r, &missed));
    for (uint64_t i = 1; i <= 5; i++) {
        pg_trace_set_time(t, i * 10);
        write_one(t, 100 + i);
    }
    for (uint64_t i = 1; i <= 5; i++) {
        assert_true(pg_trace_read(t, &seq, &r, &missed));
        assert_int_equal(missed, 0);
        assert_int_equal(r.seq, i);
        assert_int_equal(r.packet, 100 + i);
        assert_int_equal(r.time_us, i * 10);
    }
    assert_false(pg_trace_read(t, &seq, &r, &missed));
    assert_int_equal(pg_trace_next_seq(t), 6);
    pg_trace_free(t);
}

static void slow_reader_is_told_how_many_it_missed(void **state)
{
    struct pg_trace *t = pg_trace_new(16);
    struct pg_record r;
    uint64_t seq = 1;
    uint64_t missed;

    (void)state;
    for (uint64_t i = 1; i <= 100; i++)
        write_one(t, i);
    assert_true(pg_trace_read(t, &seq, &r, &missed));
    assert_int_equal(missed, 84);
    assert_int_equal(r.packet, 85);
    assert_true(pg_trace_read(t, &seq, &r, &missed));
    assert_int_equal(missed, 0);
    assert_int_equal(r.packet, 86);
    pg_trace_free(t);
}

static void trace_is_off_until_told(void **state)
{
    struct pg_trace *t = pg_trace_new(16);

    (void)state;
    assert_false(pg_trace_on(t));
    pg_trace_set_level(t, PG_TRACE_PACKETS);
    assert_true(pg_trace_on(t));
    assert_int_equal(pg_trace_level(t), PG_TRACE_PACKETS);
    pg_trace_set_level(t, PG_TRACE_OFF);
    assert_false(pg_trace_on(t));
    pg_trace_free(t);
}

static void labels_are_never_zero(void **state)
{
    struct pg_trace *t = pg_trace_new(16);

    (void)state;
    assert_int_equal(pg_trace_new_label(t), 1);
    assert_int_equal(pg_trace_new_label(t), 2);
    pg_trace_free(t);
}

static void long_text_is_cut_and_says_so(void **state)
{
    char text[300];
    struct pg_value v;

    (void)state;
    memset(text, 'a', sizeof(text));
    v = pg_value_text(text, sizeof(text));
    assert_true(v.cut);
    assert_int_equal(v.len, sizeof(v.text));
    v = pg_value_text(text, 10);
    assert_false(v.cut);
    assert_int_equal(v.len, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_gets_records_in_order),
        cmocka_unit_test(slow_reader_is_told_how_many_it_missed),
        cmocka_unit_test(trace_is_off_until_told),
        cmocka_unit_test(labels_are_never_zero),
        cmocka_unit_test(long_text_is_cut_and_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
