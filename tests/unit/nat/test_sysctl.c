/* nat/sysctl.c: the kernel's names for conntrack's settings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/nat.h"

#include <errno.h>

static void names_are_the_kernels(void **state)
{
    struct pg_nat_options o = {0};

    (void)state;
    assert_int_equal(pg_nat_set_sysctl(&o, "nf_conntrack_udp_timeout_stream", 77), 0);
    assert_int_equal(o.udp_stream, 77);
    assert_int_equal(pg_nat_set_sysctl(&o, "net.netfilter.nf_conntrack_tcp_timeout_close_wait", 60),
                     0);
    assert_int_equal(o.tcp_close_wait, 60);
    assert_int_equal(pg_nat_set_sysctl(&o, "nf_conntrack_max", 1000), 0);
    assert_int_equal(o.flow_limit, 1000);
    assert_int_equal(pg_nat_set_sysctl(&o, "nf_conntrack_generic_timeout", 601), 0);
    assert_int_equal(o.generic, 601);
    assert_int_equal(pg_nat_set_sysctl(&o, "nf_conntrack_gre_timeout", 31), 0);
    assert_int_equal(pg_nat_set_sysctl(&o, "nf_conntrack_gre_timeout_stream", 181), 0);
    assert_int_equal(o.gre + o.gre_stream, 212);
}

static void loose_turned_off_is_strict(void **state)
{
    struct pg_nat_options o = {0};

    (void)state;
    assert_int_equal(pg_nat_set_sysctl(&o, "nf_conntrack_tcp_loose", 0), 0);
    assert_true(o.tcp_strict_pickup);
    assert_int_equal(pg_nat_set_sysctl(&o, "nf_conntrack_tcp_loose", 1), 0);
    assert_false(o.tcp_strict_pickup);
}

static void what_is_no_setting_is_refused(void **state)
{
    static const struct {
        const char *name;
        uint64_t value;
        int error;
    } rows[] = {
        {"nf_conntrack_udp_timeout", 0, -ERANGE},
        {"nf_conntrack_udp_timeout", UINT32_MAX, -ERANGE},
        {"nf_conntrack_max", 0, -ERANGE},
        {"nf_conntrack_tcp_loose", 2, -ERANGE},
        {"nf_conntrack_tcp_be_liberal", 1, -ENOENT},
        {"nf_conntrack_", 1, -ENOENT},
        {"udp_timeout", 1, -ENOENT},
        {"net.ipv4.ip_forward", 1, -ENOENT},
        {"", 1, -ENOENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_nat_options o = {0};
        assert_int_equal(pg_nat_set_sysctl(&o, rows[i].name, rows[i].value), rows[i].error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_the_kernels),
        cmocka_unit_test(loose_turned_off_is_strict),
        cmocka_unit_test(what_is_no_setting_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
