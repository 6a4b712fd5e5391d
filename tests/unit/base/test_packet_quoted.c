/* base/packet.c: what an ICMP error quotes, and quotes that say nothing. */
#include "packet_faults.h"

/* An ICMP error about `inner`, quoting its first `quoted` bytes. */
static void make_error(struct made *m, const struct made *inner, uint8_t type, uint32_t quoted)
{
    bool v4 = inner->bytes[0] >> 4 == 4;
    uint8_t proto = v4 ? PG_PROTO_ICMP : PG_PROTO_ICMP6;
    make_ip(m, v4 ? 4 : 6, proto, 8 + quoted);
    m->bytes[m->l4] = type;
    memcpy(m->bytes + m->l4 + 8, inner->bytes, quoted);
    fix_l4_sum(m, proto);
}

static bool quoted(const struct made *m, struct pg_tuple *ret)
{
    struct pg_packet p;
    uint8_t *copy;
    uint16_t offset = 0;
    assert_int_equal(parse_len(m, m->len, &p, &copy), PG_DROP_NONE);
    bool good = pg_packet_quoted(&p, ret, &offset);
    if (good)
        assert_int_equal(offset, m->l4 + 8);
    free(copy);
    return good;
}

static void an_icmp_error_tells_the_tuple_of_what_it_quotes(void **state)
{
    static const uint8_t types4[] = {3, 4, 5, 11, 12}, types6[] = {1, 2, 3, 4};
    for (size_t i = 0; i < KINDS; i++) {
        struct made inner, m;
        make(&inner, kinds[i].version, kinds[i].proto);
        const uint8_t *types = kinds[i].version == 4 ? types4 : types6;
        for (size_t t = 0; t < (kinds[i].version == 4 ? sizeof(types4) : sizeof(types6)); t++) {
            struct pg_tuple tuple;
            make_error(&m, &inner, types[t], inner.l4 + 8);
            assert_true(quoted(&m, &tuple));
            struct pg_packet p;
            uint8_t *copy;
            assert_int_equal(parse_len(&inner, inner.len, &p, &copy), PG_DROP_NONE);
            assert_true(pg_tuple_equal(&tuple, &p.tuple));
            free(copy);
        }
    }
}

static void a_quote_too_short_for_ports_is_refused_at_any_length(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct made inner, m;
        make(&inner, kinds[i].version, kinds[i].proto);
        for (uint32_t len = 0; len <= inner.len; len++) {
            struct pg_tuple tuple;
            make_error(&m, &inner, 3, len);
            assert_int_equal(quoted(&m, &tuple), len >= inner.l4 + 8);
        }
    }
}

static void quotes_that_can_not_be_of_our_packets_are_refused(void **state)
{
    struct made inner, m, v6;
    struct pg_tuple tuple;
    make(&inner, 4, PG_PROTO_TCP);
    make(&v6, 6, PG_PROTO_TCP);

    make_error(&m, &inner, 8, 28); /* an echo quotes nothing */
    assert_false(quoted(&m, &tuple));
    make_error(&m, &inner, 3, 28);
    assert_true(quoted(&m, &tuple));

    m.bytes[m.l4 + 8] = 0x65; /* the other family */
    fix_l4_sum(&m, PG_PROTO_ICMP);
    assert_false(quoted(&m, &tuple));

    struct made changed = inner;
    put16(changed.bytes + 2, 27); /* quoted packet shorter than the eight bytes */
    make_error(&m, &changed, 3, 28);
    assert_false(quoted(&m, &tuple));

    changed = inner;
    fragment_offset(&changed);
    make_error(&m, &changed, 3, 28);
    assert_false(quoted(&m, &tuple));
    changed = inner;
    more_fragments(&changed); /* a first fragment has ports */
    make_error(&m, &changed, 3, 28);
    assert_true(quoted(&m, &tuple));
    changed = inner;
    header_sum_wrong(&changed); /* as netfilter: not looked at */
    make_error(&m, &changed, 3, 28);
    assert_true(quoted(&m, &tuple));
    changed = inner;
    sctp(&changed);
    make_error(&m, &changed, 3, 28);
    assert_false(quoted(&m, &tuple));

    make(&changed, 4, PG_PROTO_ICMP);
    changed.bytes[changed.l4] = 3; /* an error about an error */
    make_error(&m, &changed, 3, 28);
    assert_false(quoted(&m, &tuple));

    changed = v6;
    options_of_hosts(&changed);
    make_error(&m, &changed, 1, changed.l4 + 8);
    assert_true(quoted(&m, &tuple));
    assert_int_equal(tuple.dst_port, 80);
    changed = v6;
    fragment_header(&changed);
    make_error(&m, &changed, 1, changed.l4 + 8);
    assert_false(quoted(&m, &tuple));
    changed = v6;
    mapped_source(&changed);
    make_error(&m, &changed, 1, 48);
    assert_false(quoted(&m, &tuple));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_icmp_error_tells_the_tuple_of_what_it_quotes),
        cmocka_unit_test(a_quote_too_short_for_ports_is_refused_at_any_length),
        cmocka_unit_test(quotes_that_can_not_be_of_our_packets_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
