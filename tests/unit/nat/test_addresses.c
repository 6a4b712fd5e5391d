/* nat/addresses.c: what is put in the place of a packet's destination has a number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "nat_internal.h"
#include "nat_world.h"

static void an_address_keeps_its_number_until_there_are_too_many(void **state)
{
    const struct pg_hash_key key = {1, 2};
    struct pg_addresses a;

    (void)state;
    assert_true(pg_addresses_open(&a, &key, 5000));
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < 5000; i++) {
            struct pg_addr first = pg_addr_v4(10, 96, 0, 0);
            struct pg_addr addr = pg_addr_add(&first, i);
            uint32_t number = pg_addresses_number(&a, &addr);
            assert_int_equal(number, i + 1);
            assert_true(pg_addr_equal(&a.at[number], &addr));
        }
    }
    struct pg_addr late = pg_addr_v4(10, 97, 0, 0);
    assert_int_equal(pg_addresses_number(&a, &late), 0);
    pg_addresses_close(&a);
}

/* Many clients, a few addresses: a flow that nobody translates has none. */
static void only_translated_flows_have_numbers(void **state)
{
    struct pg_world w;
    struct pg_made m;

    (void)state;
    pg_world_open(&w, NULL);
    for (uint16_t i = 0; i < 100; i++) {
        struct pg_tuple plain = pg_make_tuple(PG_PROTO_UDP, CLIENT, 2000, P2, (uint16_t)(3000 + i));
        plain.src = pg_addr_add(&plain.src, i);
        assert_int_equal(pg_world_first(&w, &m, &plain), PG_NAT_ACCEPT);
    }
    assert_int_equal(w.nat->addresses.count, 0);
    for (uint16_t i = 0; i < 100;
         i++) { /* the node's own, the gateway's in place of the client's */
        struct pg_tuple t = pg_make_tuple(PG_PROTO_TCP, CLIENT, 4000, NODE1, 30000 + SVC_LOCAL);
        t.src = pg_addr_add(&t.src, i);
        assert_int_equal(pg_world_first(&w, &m, &t), PG_NAT_ACCEPT);
    }
    assert_int_equal(w.nat->addresses.count, 2);
    pg_world_close(&w);
}

static void a_flow_whose_address_gets_no_number_is_refused(void **state)
{
    struct pg_world w;
    struct pg_made m;
    struct pg_tuple one = pg_make_tuple(PG_PROTO_TCP, CLIENT, 4000, NODE1, 30000 + SVC_KEEP_LOCAL);
    struct pg_tuple other = {.src = one.src,
                             .dst = pg_world_lb_ip(SVC_KEEP_LOCAL),
                             .src_port = 4001,
                             .dst_port = 80,
                             .proto = PG_PROTO_TCP};

    (void)state;
    pg_world_open(&w, NULL);
    pg_addresses_close(&w.nat->addresses);
    assert_true(pg_addresses_open(&w.nat->addresses, &w.nat->key, 1));
    assert_int_equal(pg_world_first(&w, &m, &one), PG_NAT_ACCEPT);
    assert_int_equal(pg_world_first(&w, &m, &other), PG_NAT_DROP);
    assert_int_equal(w.drop, PG_DROP_TABLE_FULL);
    assert_int_equal(pg_nat_flow_count(w.nat), 1);
    pg_world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_address_keeps_its_number_until_there_are_too_many),
        cmocka_unit_test(only_translated_flows_have_numbers),
        cmocka_unit_test(a_flow_whose_address_gets_no_number_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
