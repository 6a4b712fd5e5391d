/* base/packet.c: each way a packet can be wrong, each form that is right, no byte read too many. */
#include "packet_faults.h"

static void good_packets_fill_every_field(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct made m;
        struct pg_packet p;
        uint8_t *copy;
        make(&m, kinds[i].version, kinds[i].proto);
        assert_int_equal(parse_len(&m, m.len, &p, &copy), PG_DROP_NONE);
        bool tcp = p.proto == PG_PROTO_TCP, udp = p.proto == PG_PROTO_UDP, v4 = p.ip_version == 4;
        assert_int_equal(p.ip_version, kinds[i].version);
        assert_int_equal(p.proto, kinds[i].proto);
        assert_int_equal(p.ttl, v4 ? 64 : 63);
        assert_int_equal(p.csum, PG_CSUM_VERIFIED);
        assert_int_equal(p.l4_offset, m.l4);
        assert_int_equal(p.payload_offset, m.l4 + (tcp ? 20 : 8));
        assert_int_equal(pg_packet_payload_len(&p), 11);
        char text[PG_ENDPOINT_TEXT];
        assert_string_equal(pg_addr_print(&p.tuple.src, text), v4 ? "198.51.100.7" : "2001:db8::7");
        assert_string_equal(pg_addr_print(&p.tuple.dst, text), v4 ? "192.0.2.1" : "2001:db8::1");
        assert_int_equal(p.tuple.proto, p.proto);
        assert_memory_equal(p.tuple.zero, "\0\0\0", 3);
        assert_int_equal(p.tuple.src_port, tcp ? 40000 : udp ? 5353 : 4711);
        assert_int_equal(p.tuple.dst_port, tcp ? 80 : udp ? 53 : v4 ? 8 << 8 : 128 << 8);
        if (tcp) {
            assert_int_equal(p.tcp_flags, PG_TCP_ACK | PG_TCP_PSH);
            assert_int_equal(pg_packet_tcp_seq(&p), 0x01020304);
            assert_int_equal(pg_packet_tcp_ack(&p), 0x05060708);
            assert_int_equal(pg_packet_tcp_window(&p), 0x1000);
        } else {
            assert_int_equal(p.tcp_flags, 0);
        }
        free(copy);
    }
}

static void a_packet_cut_at_any_length_is_refused_without_reading_on(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        struct made m;
        make(&m, kinds[i].version, kinds[i].proto);
        for (uint32_t len = 0; len < m.len; len++) {
            struct pg_packet p;
            uint8_t *copy;
            assert_int_equal(parse_len(&m, len, &p, &copy), PG_DROP_SHORT);
            free(copy);
        }
    }
}

/* The IP length says the cut one: now the transport has to notice, and extension headers too. */
static void a_transport_cut_at_any_length_is_refused_without_reading_on(void **state)
{
    for (size_t i = 0; i < KINDS; i++) {
        for (int with_ext = 0; with_ext <= (kinds[i].version == 6); with_ext++) {
            struct made whole;
            make(&whole, kinds[i].version, kinds[i].proto);
            if (with_ext) {
                insert_ext(&whole, 60, 16);
                insert_ext(&whole, 0, 24);
            }
            uint32_t ip_head = kinds[i].version == 4 ? 20 : 40;
            for (uint32_t len = ip_head; len < whole.len; len++) {
                struct made m = whole;
                struct pg_packet p;
                uint8_t *copy;
                put16(m.bytes + (ip_head == 20 ? 2 : 4), ip_head == 20 ? len : len - 40);
                if (ip_head == 20)
                    fix_ip_sum(&m);
                enum pg_drop why = parse_len(&m, len, &p, &copy);
                free(copy);
                uint32_t head = kinds[i].proto == PG_PROTO_TCP ? 20 : 8;
                if (len < m.l4)
                    assert_int_equal(why, PG_DROP_SHORT);
                else if (len < m.l4 + head || kinds[i].proto == PG_PROTO_UDP)
                    assert_int_equal(why, PG_DROP_BAD_L4_HEADER);
                else
                    assert_int_equal(why, PG_DROP_BAD_L4_CHECKSUM);
            }
        }
    }
}

static void any_bytes_are_judged_without_reading_on(void **state)
{
    srandom(12);
    unsigned good = 0;
    for (int i = 0; i < 200000; i++) {
        struct made m;
        size_t kind = (size_t)random() % KINDS;
        make(&m, kinds[kind].version, kinds[kind].proto);
        m.gso_size = random() % 4 ? 0 : 5;
        m.csum = random() % 2 ? PG_CSUM_PARTIAL : PG_CSUM_FULL; /* partial gets further in */
        if (m.bytes[0] >> 4 == 6 && random() % 2)
            insert_ext(&m, random() % 2 ? 0 : 60, 8 * (1 + (uint32_t)random() % 4));
        for (long n = random() % 4; n > 0; n--)
            m.bytes[(uint32_t)random() % m.len] = (uint8_t)random();
        if (m.bytes[0] >> 4 == 4)
            fix_ip_sum(&m);
        struct pg_packet p;
        struct pg_tuple quoted;
        uint16_t offset;
        uint8_t *copy;
        uint32_t len = random() % 2 ? m.len : (uint32_t)random() % (m.len + 1);
        if (parse_len(&m, len, &p, &copy) == PG_DROP_NONE) {
            good++;
            assert_true(p.payload_offset <= p.head_len && p.head_len == p.len && p.len <= len);
            pg_packet_quoted(&p, &quoted, &offset);
        }
        free(copy);
    }
    assert_true(good > 10000);
}

#define ROW(version, proto, change, why)     \
    {                                        \
        version, proto, change, why, #change \
    }
static const struct {
    int version;
    uint8_t proto;
    void (*change)(struct made *m);
    enum pg_drop why;
    const char *name;
} faults[] = {
    ROW(4, PG_PROTO_TCP, version_5, PG_DROP_BAD_VERSION),
    ROW(4, PG_PROTO_TCP, header_length_4, PG_DROP_BAD_IP_HEADER),
    ROW(4, PG_PROTO_TCP, total_below_header, PG_DROP_BAD_IP_HEADER),
    ROW(4, PG_PROTO_TCP, total_above_bytes, PG_DROP_SHORT),
    ROW(6, PG_PROTO_TCP, payload_above_bytes, PG_DROP_SHORT),
    ROW(4, PG_PROTO_TCP, header_sum_wrong, PG_DROP_BAD_IP_CHECKSUM),
    ROW(4, PG_PROTO_TCP, header_sum_wrong_and_partial, PG_DROP_BAD_IP_CHECKSUM),
    ROW(4, PG_PROTO_TCP, options, PG_DROP_IP_OPTIONS),
    ROW(4, PG_PROTO_UDP, more_fragments, PG_DROP_FRAGMENT),
    ROW(4, PG_PROTO_UDP, fragment_offset, PG_DROP_FRAGMENT),
    ROW(4, PG_PROTO_UDP, do_not_fragment_and_reserved_bit, PG_DROP_NONE),
    ROW(6, PG_PROTO_UDP, fragment_header, PG_DROP_FRAGMENT),
    ROW(6, PG_PROTO_TCP, routing_header, PG_DROP_IP_OPTIONS),
    ROW(6, PG_PROTO_TCP, routing_behind_options, PG_DROP_IP_OPTIONS),
    ROW(6, PG_PROTO_TCP, hop_by_hop_in_second_place, PG_DROP_BAD_IP_HEADER),
    ROW(6, PG_PROTO_TCP, too_many_extensions, PG_DROP_IP_OPTIONS),
    ROW(6, PG_PROTO_TCP, extension_leans_out, PG_DROP_SHORT),
    ROW(6, PG_PROTO_TCP, jumbogram, PG_DROP_BAD_L4_HEADER),
    ROW(6, PG_PROTO_TCP, options_of_hosts, PG_DROP_NONE),
    ROW(4, PG_PROTO_TCP, sctp, PG_DROP_SCTP),
    ROW(4, PG_PROTO_ICMP, icmp_of_the_other_family_v4, PG_DROP_UNSUPPORTED_PROTOCOL),
    ROW(6, PG_PROTO_ICMP6, icmp_of_the_other_family_v6, PG_DROP_UNSUPPORTED_PROTOCOL),
    ROW(6, PG_PROTO_TCP, no_next_header, PG_DROP_UNSUPPORTED_PROTOCOL),
    ROW(4, PG_PROTO_TCP, esp, PG_DROP_NONE),
    ROW(4, PG_PROTO_TCP, esp_of_no_byte, PG_DROP_NONE),
    ROW(4, PG_PROTO_TCP, esp_and_partial, PG_DROP_BAD_GSO),
    ROW(6, PG_PROTO_TCP, esp_v6, PG_DROP_NONE),
    ROW(4, PG_PROTO_TCP, authentication_header, PG_DROP_UNSUPPORTED_PROTOCOL),
    ROW(4, PG_PROTO_TCP, udp_lite, PG_DROP_UNSUPPORTED_PROTOCOL),
    ROW(4, PG_PROTO_TCP, gre, PG_DROP_NONE),
    ROW(4, PG_PROTO_TCP, gre_of_pptp, PG_DROP_UNSUPPORTED_PROTOCOL),
    ROW(4, PG_PROTO_TCP, gre_too_short, PG_DROP_BAD_L4_HEADER),
    ROW(6, PG_PROTO_TCP, mapped_source, PG_DROP_MARTIAN),
    ROW(4, PG_PROTO_TCP, data_offset_4, PG_DROP_BAD_L4_HEADER),
    ROW(6, PG_PROTO_TCP, data_offset_behind_the_end, PG_DROP_BAD_L4_HEADER),
    ROW(4, PG_PROTO_UDP, udp_length_7, PG_DROP_BAD_L4_HEADER),
    ROW(4, PG_PROTO_UDP, udp_length_one_more, PG_DROP_BAD_L4_HEADER),
    ROW(6, PG_PROTO_UDP, udp_length_one_less, PG_DROP_BAD_L4_HEADER),
    ROW(4, PG_PROTO_TCP, last_byte_flipped, PG_DROP_BAD_L4_CHECKSUM),
    ROW(6, PG_PROTO_TCP, last_byte_flipped, PG_DROP_BAD_L4_CHECKSUM),
    ROW(4, PG_PROTO_UDP, last_byte_flipped, PG_DROP_BAD_L4_CHECKSUM),
    ROW(4, PG_PROTO_ICMP, last_byte_flipped, PG_DROP_BAD_L4_CHECKSUM),
    ROW(6, PG_PROTO_ICMP6, last_byte_flipped, PG_DROP_BAD_L4_CHECKSUM),
    ROW(6, PG_PROTO_ICMP6, icmp6_sum_without_pseudo_header, PG_DROP_BAD_L4_CHECKSUM),
    ROW(4, PG_PROTO_UDP, udp_without_sum, PG_DROP_NONE),
    ROW(6, PG_PROTO_UDP, udp_without_sum, PG_DROP_BAD_L4_CHECKSUM),
    ROW(4, PG_PROTO_TCP, any_sum_but_partial, PG_DROP_NONE),
    ROW(4, PG_PROTO_TCP, super_segment, PG_DROP_NONE),
    ROW(4, PG_PROTO_UDP, super_segment, PG_DROP_NONE),
    ROW(4, PG_PROTO_ICMP, super_segment, PG_DROP_BAD_GSO),
    ROW(4, PG_PROTO_TCP, super_segment_sctp, PG_DROP_BAD_GSO),
    ROW(4, PG_PROTO_TCP, super_segment_without_payload, PG_DROP_BAD_GSO),
    ROW(4, PG_PROTO_TCP, super_segment_data_offset_4, PG_DROP_BAD_GSO),
    ROW(4, PG_PROTO_TCP, padded, PG_DROP_NONE),
    ROW(6, PG_PROTO_ICMP6, padded, PG_DROP_NONE),
};

static void each_fault_gives_its_own_reason(void **state)
{
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        struct made m;
        make(&m, faults[i].version, faults[i].proto);
        assert_int_equal(parse(&m), PG_DROP_NONE);
        faults[i].change(&m);
        enum pg_drop why = parse(&m);
        if (why != faults[i].why)
            fail_msg("v%d proto %d %s: %s, not %s", faults[i].version, faults[i].proto,
                     faults[i].name, pg_drop_name(why), pg_drop_name(faults[i].why));
    }
}

static void trailing_bytes_are_cut(void **state)
{
    struct made m;
    struct pg_packet p;
    uint8_t *copy;
    make(&m, 4, PG_PROTO_UDP);
    padded(&m);
    assert_int_equal(parse_len(&m, m.len, &p, &copy), PG_DROP_NONE);
    assert_int_equal(p.len, m.len - 6);
    assert_int_equal(p.head_len, m.len - 6);
    assert_int_equal(pg_packet_payload_len(&p), 11);
    free(copy);
}

static void a_tail_counts_but_is_not_summed(void **state)
{
    struct made m;
    make(&m, 4, PG_PROTO_TCP);
    m.bytes[m.len - 1] ^= 1; /* in the tail: a sum over it would fail */
    struct iovec tail = {m.bytes + m.len - 11, 11};
    struct pg_packet p = {
        .head = m.bytes, .head_len = m.len - 11, .len = m.len, .tail = &tail, .tail_count = 1};
    enum pg_drop why = PG_DROP_NONE;
    assert_true(pg_packet_parse(&p, &why));
    assert_int_equal(p.csum, PG_CSUM_FULL);
    assert_int_equal(pg_packet_payload_len(&p), 11);
    assert_int_equal(p.head_len, m.len - 11);
    p.len += 1; /* a tail longer than the IP length is a bug of ours or a lie */
    assert_false(pg_packet_parse(&p, &why));
    assert_int_equal(why, PG_DROP_SHORT);
}

static void icmp_that_is_no_question_has_its_type_and_no_identifier(void **state)
{
    static const struct {
        int version;
        uint8_t proto, type, code;
    } rows[] = {{4, PG_PROTO_ICMP, 3, 4},
                {4, PG_PROTO_ICMP, 10, 0},
                {6, PG_PROTO_ICMP6, 2, 0},
                {6, PG_PROTO_ICMP6, 135, 0},
                {6, PG_PROTO_ICMP6, 8, 0}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct made m;
        struct pg_packet p;
        uint8_t *copy;
        make(&m, rows[i].version, rows[i].proto);
        m.bytes[m.l4] = rows[i].type;
        m.bytes[m.l4 + 1] = rows[i].code;
        fix_l4_sum(&m, rows[i].proto);
        assert_int_equal(parse_len(&m, m.len, &p, &copy), PG_DROP_NONE);
        assert_int_equal(p.tuple.src_port, 0);
        assert_int_equal(p.tuple.dst_port, rows[i].type << 8 | rows[i].code);
        free(copy);
    }
}

/* The helpers above are themselves checked: here every byte and both sums are written out. */
static void an_echo_written_byte_by_byte_is_good(void **state)
{
    struct made m = {.len = 36};
    static const uint8_t bytes[36] = {0x45, 0x00, 0x00, 0x24, 0x00, 0x00, 0x40, 0x00, 0x40,
                                      0x01, 0x3c, 0xd7, 0x7f, 0x00, 0x00, 0x01, 0x7f, 0x00,
                                      0x00, 0x01, 0x08, 0x00, 0xf7, 0xfd, 0x00, 0x01, 0x00,
                                      0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00};
    memcpy(m.bytes, bytes, sizeof(bytes));
    assert_int_equal(parse(&m), PG_DROP_NONE);
    assert_int_equal(get16(m.bytes + 2), 36);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_packets_fill_every_field),
        cmocka_unit_test(a_packet_cut_at_any_length_is_refused_without_reading_on),
        cmocka_unit_test(a_transport_cut_at_any_length_is_refused_without_reading_on),
        cmocka_unit_test(any_bytes_are_judged_without_reading_on),
        cmocka_unit_test(each_fault_gives_its_own_reason),
        cmocka_unit_test(trailing_bytes_are_cut),
        cmocka_unit_test(a_tail_counts_but_is_not_summed),
        cmocka_unit_test(icmp_that_is_no_question_has_its_type_and_no_identifier),
        cmocka_unit_test(an_echo_written_byte_by_byte_is_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
