/* base/table.c against a plain array, with growth, deletion and walks at all times. */
#include "podglass/table.h"

#include "podglass/hash.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VALUES 60000

/* The model: value v is present or not; its key is v itself. */
struct model {
    bool present[VALUES];
    uint32_t seen[VALUES];
    uint32_t count;
    struct pg_table *table;
};

static const struct pg_hash_key key = {1, 2};

static uint32_t hash_of(uint32_t value)
{
    return (uint32_t)pg_hash(&key, &value, sizeof(value));
}

static bool equal(const void *owner, uint32_t value, const void *wanted)
{
    (void)owner;
    return value == *(const uint32_t *)wanted;
}

static struct model *model_new(uint32_t limit)
{
    struct model *m = calloc(1, sizeof(*m));
    assert_non_null(m);
    m->table = pg_table_new(limit, equal, m);
    assert_non_null(m->table);
    return m;
}

static void model_free(struct model *m)
{
    pg_table_free(m->table);
    free(m);
}

static void add(struct model *m, uint32_t value)
{
    assert_int_equal(pg_table_add(m->table, hash_of(value), value), 0);
    m->present[value] = true;
    m->count++;
}

static void del(struct model *m, uint32_t value)
{
    assert_true(pg_table_del(m->table, hash_of(value), value));
    m->present[value] = false;
    m->count--;
}

static void check(const struct model *m, uint32_t value)
{
    uint32_t got = pg_table_find(m->table, hash_of(value), &value);
    assert_int_equal(got, m->present[value] ? value : PG_TABLE_NONE);
}

static void check_all(const struct model *m)
{
    for (uint32_t v = 0; v < VALUES; v++)
        check(m, v);
    assert_int_equal(pg_table_count(m->table), m->count);
}

static void on_seen(void *arg, uint32_t value)
{
    struct model *m = arg;
    assert_true(value < VALUES && m->present[value]);
    m->seen[value]++;
}

static void random_adds_and_deletes_agree_with_the_model(void **state)
{
    struct model *m = model_new(VALUES);
    srandom(8);
    for (int i = 0; i < 200000; i++) {
        uint32_t value = (uint32_t)random() % VALUES;
        /* Waves: mostly adding, then mostly deleting, so that growth meets full and empty
         * tables. */
        bool adding = i / 50000 % 2 == 0 ? random() % 4 != 0 : random() % 4 == 0;
        if (adding && !m->present[value])
            add(m, value);
        else if (!adding && m->present[value])
            del(m, value);
        else
            check(m, value);
        check(m, (uint32_t)random() % VALUES);
        if (i % 20000 == 0)
            check_all(m);
    }
    check_all(m);
    for (uint32_t v = 0; v < VALUES; v++)
        if (m->present[v])
            del(m, v);
    check_all(m);
    assert_int_equal(pg_table_count(m->table), 0);
    model_free(m);
}

/* Around each point of growth every entry must be found in whichever array it is. */
static void nothing_is_lost_at_any_step_of_a_migration(void **state)
{
    struct model *m = model_new(VALUES);
    for (uint32_t v = 0; v < 4000; v++) {
        add(m, v);
        bool near_growth = (v > 760 && v < 860) || (v > 1530 && v < 1700);
        for (uint32_t w = 0; near_growth && w <= v; w++)
            check(m, w);
        uint32_t gone = v * 7919 % (v + 1); /* some from the old array, some from the new one */
        if (near_growth && v % 3 == 0 && m->present[gone])
            del(m, gone);
        if (near_growth)
            for (uint32_t w = 0; w <= v; w++)
                check(m, w);
    }
    check_all(m);
    model_free(m);
}

static void deletion_is_by_value_among_equal_hashes(void **state)
{
    struct pg_table *t = pg_table_new(100, equal, NULL);
    for (uint32_t v = 0; v < 50; v++)
        assert_int_equal(pg_table_add(t, 0xffffffffu, v),
                         0); /* the last home: leans into the spill */
    for (uint32_t v = 0; v < 50; v += 2)
        assert_true(pg_table_del(t, 0xffffffffu, v));
    assert_false(pg_table_del(t, 0xffffffffu, 0));
    assert_false(pg_table_del(t, 0xfffffffeu, 1));
    for (uint32_t v = 0; v < 50; v++)
        assert_int_equal(pg_table_find(t, 0xffffffffu, &v), v % 2 ? v : PG_TABLE_NONE);
    assert_int_equal(pg_table_count(t), 25);
    pg_table_free(t);
}

static void the_limit_is_exact_and_free_places_are_used_again(void **state)
{
    static const uint32_t limits[] = {0, 1, 768, 769, 1000, 40000};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        struct model *m = model_new(limits[i]);
        for (uint32_t v = 0; v < limits[i]; v++)
            add(m, v);
        assert_int_equal(pg_table_add(m->table, 1, 50000), -ENOSPC);
        for (uint32_t round = 0; limits[i] > 0 && round < 3000; round++) {
            uint32_t gone = round * 7919 % limits[i];
            del(m, gone);
            add(m, gone);
        }
        check_all(m);
        model_free(m);
    }
}

static void a_run_that_fills_the_spill_is_refused_and_not_written_past_the_end(void **state)
{
    struct pg_table *t = pg_table_new(700, equal, NULL);
    uint32_t added = 0;
    while (added < 700 && pg_table_add(t, 0xffffffffu, added) == 0)
        added++;
    assert_int_equal(added, 129);
    assert_int_equal(pg_table_count(t), 129);
    pg_table_free(t);
}

static void a_walk_of_a_resting_table_sees_each_entry_once(void **state)
{
    struct model *m = model_new(VALUES);
    static const uint32_t sizes[] = {0, 1, 700, 770, 800, 5000};
    uint32_t v = 0;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        while (v < sizes[i])
            add(m, v++);
        for (uint32_t budget = 1; budget < 5000; budget = budget * 5 + 2) {
            uint64_t cursor = 0;
            uint32_t steps = 0;
            memset(m->seen, 0, sizeof(m->seen));
            while (pg_table_walk(m->table, &cursor, budget, on_seen, m))
                assert_true(++steps < 100000);
            for (uint32_t w = 0; w < VALUES; w++)
                assert_int_equal(m->seen[w], m->present[w] ? 1 : 0);
        }
    }
    model_free(m);
}

/* Values below 2000 stay all the time; others come and go between the steps of the walk. */
static void a_walk_never_misses_what_stays_while_others_come_and_go(void **state)
{
    srandom(9);
    for (int round = 0; round < 60; round++) {
        struct model *m = model_new(VALUES);
        uint32_t next = 2000;
        for (uint32_t v = 0; v < 2000; v++)
            add(m, v);
        while (next < 2000 + 100 * (uint32_t)round)
            add(m, next++);
        uint64_t cursor = 0;
        bool more = true;
        while (more) {
            more = pg_table_walk(m->table, &cursor, 1 + (uint32_t)random() % 50, on_seen, m);
            for (long n = random() % 60; n > 0; n--) {
                uint32_t v = 2000 + (uint32_t)random() % (next - 1999);
                if (v < next && m->present[v])
                    del(m, v);
                else if (next < VALUES && random() % 3 == 0)
                    add(m, next++);
            }
        }
        for (uint32_t v = 0; v < 2000; v++)
            assert_true(m->seen[v] >= 1);
        model_free(m);
    }
}

static void on_seen_del(void *arg, uint32_t value)
{
    struct model *m = arg;
    on_seen(m, value);
    if (value % 2)
        del(m, value);
    uint32_t other = (value * 31 + 1) % 5000 | 1; /* and another odd one, anywhere */
    if (m->present[other])
        del(m, other);
}

static void a_walk_may_delete_what_it_sees_and_others(void **state)
{
    for (uint32_t size = 700; size < 5000; size += 61) {
        struct model *m = model_new(VALUES);
        for (uint32_t v = 0; v < size; v++)
            add(m, v);
        uint64_t cursor = 0;
        while (pg_table_walk(m->table, &cursor, 13, on_seen_del, m))
            ;
        for (uint32_t v = 0; v < size; v++) {
            assert_int_equal(m->present[v], v % 2 == 0);
            if (v % 2 == 0)
                assert_true(m->seen[v] >= 1);
        }
        check_all(m);
        model_free(m);
    }
}

/* Seen from outside: while both arrays exist the table is larger than after the move. */
static void growth_is_spread_over_many_inserts_and_ends_soon(void **state)
{
    struct model *m = model_new(VALUES);
    uint32_t v = 0, steps = 0;
    uint64_t small = pg_table_bytes(m->table);
    while (pg_table_bytes(m->table) == small)
        add(m, v++);
    uint64_t both = pg_table_bytes(m->table);
    for (; pg_table_bytes(m->table) == both; steps++)
        add(m, v++);
    assert_int_equal(v - steps, 769); /* three quarters of 1024, and the one that found it full */
    assert_in_range(steps, 60, 80);   /* 1024 slots and the spill, 16 at a time */
    check_all(m);
    model_free(m);
}

static void memory_follows_the_number_of_entries(void **state)
{
    struct model *m = model_new(1000000);
    assert_true(pg_table_bytes(m->table) < 16 * 1024);
    for (uint32_t v = 0; v < VALUES; v++)
        add(m, v);
    assert_true(pg_table_bytes(m->table) <= 8 * (131072 + 65536 + 300) + 1024);
    model_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_adds_and_deletes_agree_with_the_model),
        cmocka_unit_test(nothing_is_lost_at_any_step_of_a_migration),
        cmocka_unit_test(deletion_is_by_value_among_equal_hashes),
        cmocka_unit_test(the_limit_is_exact_and_free_places_are_used_again),
        cmocka_unit_test(a_run_that_fills_the_spill_is_refused_and_not_written_past_the_end),
        cmocka_unit_test(a_walk_of_a_resting_table_sees_each_entry_once),
        cmocka_unit_test(a_walk_never_misses_what_stays_while_others_come_and_go),
        cmocka_unit_test(a_walk_may_delete_what_it_sees_and_others),
        cmocka_unit_test(growth_is_spread_over_many_inserts_and_ends_soon),
        cmocka_unit_test(memory_follows_the_number_of_entries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
