/* Which link leads to an address, and who may speak on which. */
#include "path_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

static struct pg_buf_pool *buffers;
static struct pg_path path; /* only its links are used */

static struct pg_prefix prefix(const char *text)
{
    struct pg_prefix p;
    assert_int_equal(pg_prefix_parse(text, strlen(text), &p), 0);
    return p;
}

static struct pg_addr addr(const char *text)
{
    struct pg_addr a;
    assert_int_equal(pg_addr_parse(text, strlen(text), &a), 0);
    return a;
}

static int add(const char *one, const char *other)
{
    struct pg_prefix prefixes[2];
    uint32_t count = 0;
    if (one != NULL) {
        prefixes[count++] = prefix(one);
    }
    if (other != NULL) {
        prefixes[count++] = prefix(other);
    }
    return pg_path_add_link(&path, pg_wire_new(1500, buffers), prefixes, count);
}

static int towards(const char *text)
{
    struct pg_addr a = addr(text);
    const struct pg_path_link *l = pg_links_towards(&path, &a);
    return l != NULL ? (int)(l - path.links) : -1;
}

static int setup(void **state)
{
    buffers = pg_buf_pool_new(16);
    memset(&path, 0, sizeof path);
    return buffers == NULL;
}

static int teardown(void **state)
{
    pg_links_close(&path);
    pg_buf_pool_free(buffers);
    return 0;
}

static void a_link_without_prefixes_leads_everywhere(void **state)
{
    assert_int_equal(add(NULL, NULL), 0);
    assert_int_equal(towards("198.51.100.7"), 0);
    assert_int_equal(towards("2001:db8::1"), 0);
    struct pg_addr a = addr("192.0.2.1");
    assert_true(pg_links_behind(&path.links[0], &a));
}

static void the_longest_prefix_wins(void **state)
{
    assert_int_equal(add("10.244.0.0/16", "2001:db8::/32"), 0);
    assert_int_equal(add("10.244.1.7", NULL), 0);
    assert_int_equal(add("10.244.1.0/24", "2001:db8:1::/48"), 0);
    assert_int_equal(towards("10.244.1.7"), 1);
    assert_int_equal(towards("10.244.1.8"), 2);
    assert_int_equal(towards("10.244.9.9"), 0);
    assert_int_equal(towards("2001:db8:1::9"), 2);
    assert_int_equal(towards("2001:db8:2::9"), 0);
    assert_int_equal(towards("198.51.100.7"), -1);
}

static void what_is_not_behind_a_link_may_not_speak_on_it(void **state)
{
    assert_int_equal(add("10.244.1.7", "10.244.1.8"), 0);
    struct pg_addr good = addr("10.244.1.8");
    struct pg_addr bad = addr("10.244.1.9");
    assert_true(pg_links_behind(&path.links[0], &good));
    assert_false(pg_links_behind(&path.links[0], &bad));
}

static void the_same_prefix_behind_two_links_is_refused(void **state)
{
    assert_int_equal(add("10.244.1.0/24", NULL), 0);
    assert_int_equal(add("10.244.2.0/24", "10.244.1.0/24"), -EEXIST);
    assert_int_equal(path.link_count, 1);
}

static void a_closed_link_still_says_where_its_addresses_were(void **state)
{
    assert_int_equal(add("10.244.1.0/24", NULL), 0);
    assert_int_equal(add("10.244.2.0/24", NULL), 0);
    assert_int_equal(pg_path_close_link(&path, 0), 1);
    assert_int_equal(towards("10.244.1.9"), 0);
    assert_null(path.links[0].link);
    assert_int_equal(pg_path_close_link(&path, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_link_without_prefixes_leads_everywhere, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_prefix_wins, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_behind_a_link_may_not_speak_on_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_same_prefix_behind_two_links_is_refused, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_closed_link_still_says_where_its_addresses_were, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
