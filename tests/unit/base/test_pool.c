/* base/pool.c and base/buf.c: indexes, generations, limits, last-in-first-out. */
#include "podglass/pool.h"

#include "podglass/buf.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void an_entry_is_zero_again_after_each_get(void **state)
{
    struct pg_pool *p = pg_pool_new("test", 100, 3);
    for (int i = 0; i < 10; i++) {
        uint32_t index = pg_pool_get(p);
        static const uint8_t zero[100];
        assert_memory_equal(pg_pool_at(p, index), zero, sizeof(zero));
        memset(pg_pool_at(p, index), 0xff, 100);
        if (i % 2)
            pg_pool_put(p, index);
        else if (pg_pool_used(p) == 3)
            break;
    }
    pg_pool_free(p);
}

static void a_full_pool_says_none_until_one_comes_back(void **state)
{
    struct pg_pool *p = pg_pool_new("flows", 8, 2);
    uint32_t a = pg_pool_get(p), b = pg_pool_get(p);
    assert_int_not_equal(a, b);
    assert_int_equal(pg_pool_get(p), PG_POOL_NONE);
    assert_int_equal(pg_pool_used(p), 2);
    pg_pool_put(p, a);
    assert_int_equal(pg_pool_get(p), a);
    assert_int_equal(pg_pool_limit(p), 2);
    assert_int_equal(pg_pool_high_water(p), 2);
    assert_string_equal(pg_pool_name(p), "flows");
    pg_pool_free(p);
}

static void the_last_one_put_is_the_first_one_got(void **state)
{
    struct pg_pool *p = pg_pool_new("test", 4, 10);
    uint32_t index[5];
    for (int i = 0; i < 5; i++)
        index[i] = pg_pool_get(p);
    for (int i = 0; i < 5; i++)
        pg_pool_put(p, index[i]);
    for (int i = 4; i >= 0; i--)
        assert_int_equal(pg_pool_get(p), index[i]);
    assert_int_equal(pg_pool_high_water(p), 5);
    pg_pool_free(p);
}

static void a_generation_tells_a_reused_entry_from_the_old_one(void **state)
{
    struct pg_pool *p = pg_pool_new("test", 16, 4);
    assert_int_equal(pg_pool_generation(p, 0), 0); /* never used */
    uint32_t index = pg_pool_get(p), last = 0;
    assert_int_equal(pg_pool_next(p, &last), 1);
    assert_int_equal(last, 1);
    last = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t now = pg_pool_generation(p, index);
        assert_true(now == last + 1);
        last = now;
        pg_pool_put(p, index);
        assert_int_equal(pg_pool_generation(p, index), 0);
        assert_false(pg_pool_in_use(p, index));
        uint32_t promised = 0;
        assert_int_equal(pg_pool_next(p, &promised), index);
        assert_int_equal(promised, now + 1);
        assert_int_equal(pg_pool_get(p), index);
    }
    assert_int_equal(pg_pool_generation(p, 4), 0); /* indexes of strangers */
    assert_int_equal(pg_pool_generation(p, PG_POOL_NONE), 0);
    assert_false(pg_pool_in_use(p, UINT32_MAX));
    pg_pool_free(p);
}

static void entries_keep_their_address_and_tell_their_index(void **state)
{
    struct pg_pool *p = pg_pool_new("test", 24, 100000);
    void *first = pg_pool_at(p, pg_pool_get(p));
    for (uint32_t i = 1; i < 100000; i++) {
        uint32_t index = pg_pool_get(p);
        void *entry = pg_pool_at(p, index);
        assert_true((uintptr_t)entry % 8 == 0);
        assert_int_equal(pg_pool_index(p, entry), index);
    }
    assert_ptr_equal(pg_pool_at(p, 0), first);
    pg_pool_free(p);
}

/* Runs fn in a child; true if it ended by abort. */
static bool aborts(void (*fn)(void))
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        close(STDERR_FILENO);
        signal(SIGABRT, SIG_DFL);
        fn();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void put_twice(void)
{
    struct pg_pool *p = pg_pool_new("test", 16, 4);
    uint32_t index = pg_pool_get(p);
    pg_pool_put(p, index);
    pg_pool_put(p, index);
}

static void use_after_put(void)
{
    struct pg_pool *p = pg_pool_new("test", 16, 4);
    uint32_t index = pg_pool_get(p);
    pg_pool_put(p, index);
    pg_pool_at(p, index);
}

static void buffer_put_twice(void)
{
    struct pg_buf *b = pg_buf_get(pg_buf_pool_new(2));
    pg_buf_put(b);
    pg_buf_put(b);
}

static void misuse_is_caught_in_every_build(void **state)
{
    assert_true(aborts(put_twice));
    assert_true(aborts(use_after_put));
    assert_true(aborts(buffer_put_twice));
}

static void a_huge_limit_costs_nothing_until_it_is_used(void **state)
{
    struct pg_pool *p = pg_pool_new("test", 256, 16u << 20);
    assert_non_null(p);
    assert_int_equal(pg_pool_get(p), 0);
    pg_pool_free(p);
    pg_pool_free(NULL);
}

static void a_buffer_lives_until_its_last_reference_goes(void **state)
{
    struct pg_buf_pool *p = pg_buf_pool_new(2);
    struct pg_buf *a = pg_buf_get(p), *b = pg_buf_get(p);
    assert_null(pg_buf_get(p));
    assert_int_equal(pg_buf_pool_used(p), 2);
    assert_ptr_equal(pg_buf_ref(a), a);
    pg_buf_put(a);
    assert_null(pg_buf_get(p));
    pg_buf_put(a);
    assert_int_equal(pg_buf_pool_used(p), 1);
    pg_buf_put(b);
    pg_buf_put(NULL);
    struct pg_buf *again = pg_buf_get(p);
    assert_ptr_equal(again, b); /* the hot one */
    assert_int_equal(again->refs, 1);
    assert_int_equal(again->start, PG_BUF_HEADROOM);
    assert_int_equal(again->len, 0);
    assert_null(again->next);
    assert_int_equal(pg_buf_pool_high_water(p), 2);
    pg_buf_pool_free(p);
    pg_buf_pool_free(NULL);
}

static void all_bytes_of_all_buffers_are_their_own(void **state)
{
    struct pg_buf_pool *p = pg_buf_pool_new(8);
    struct pg_buf *b[8];
    for (int i = 0; i < 8; i++) {
        b[i] = pg_buf_get(p);
        memset(b[i]->bytes, i + 1, sizeof(b[i]->bytes));
    }
    for (int i = 0; i < 8; i++) {
        assert_int_equal(b[i]->refs, 1);
        for (size_t at = 0; at < sizeof(b[i]->bytes); at++)
            assert_true(b[i]->bytes[at] == i + 1);
    }
    pg_buf_pool_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_is_zero_again_after_each_get),
        cmocka_unit_test(a_full_pool_says_none_until_one_comes_back),
        cmocka_unit_test(the_last_one_put_is_the_first_one_got),
        cmocka_unit_test(a_generation_tells_a_reused_entry_from_the_old_one),
        cmocka_unit_test(entries_keep_their_address_and_tell_their_index),
        cmocka_unit_test(misuse_is_caught_in_every_build),
        cmocka_unit_test(a_huge_limit_costs_nothing_until_it_is_used),
        cmocka_unit_test(a_buffer_lives_until_its_last_reference_goes),
        cmocka_unit_test(all_bytes_of_all_buffers_are_their_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
