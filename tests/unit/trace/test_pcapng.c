/* trace/pcapng.c: blocks as the draft has them; that other programs read it is tests/netns/capture.sh' business. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/pcapng.h"

#include <string.h>

static uint32_t at(const struct pg_text *t, size_t offset)
{
    uint32_t n;
    assert_true(offset + sizeof n <= t->len);
    memcpy(&n, t->at + offset, sizeof n);
    return n;
}

/* Length at both ends, a multiple of four. Returns where the next one begins. */
static size_t check_block(const struct pg_text *t, size_t start, uint32_t type)
{
    uint32_t len = at(t, start + 4);
    assert_int_equal(at(t, start), type);
    assert_int_equal(len % 4, 0);
    assert_int_equal(at(t, start + len - 4), len);
    return start + len;
}

static void a_file_begins_with_a_section_and_four_interfaces(void **state)
{
    struct pg_text t = {0};
    (void)state;
    pg_pcapng_begin(&t);
    assert_int_equal(at(&t, 8), 0x1a2b3c4d);
    size_t next = check_block(&t, 0, 0x0a0d0d0a);
    for (int i = 0; i < PG_POINT_COUNT; i++) {
        assert_int_equal(at(&t, next + 8), 1);       /* Ethernet */
        assert_int_equal(at(&t, next + 12), 262144); /* the same on all */
        next = check_block(&t, next, 1);
    }
    assert_int_equal(next, t.len);
    pg_text_free(&t);
}

/* The value of an option, NULL: not there; *count how often it is. */
static const char *option(const struct pg_text *t, size_t from, uint16_t code, uint16_t *len,
                          int *count)
{
    const char *found = NULL;
    *count = 0;
    for (size_t o = from;;) {
        uint32_t head = at(t, o);
        if ((head & 0xffff) == 0) {
            return found;
        }
        if ((head & 0xffff) == code) {
            *len = (uint16_t)(head >> 16);
            found = found != NULL ? found : t->at + o + 4;
            (*count)++;
        }
        o += 4 + ((head >> 16) + 3) / 4 * 4;
    }
}

static void a_packet_has_comments_number_and_direction(void **state)
{
    struct pg_text t = {0};
    uint8_t ip[21] = {0x45};
    uint16_t len = 0;
    uint64_t number;
    int count;
    struct pg_pcapng_packet p = {.point = PG_POINT_POD,
                                 .outbound = true,
                                 .time_ns = 0x1122334455667788,
                                 .id = 77,
                                 .bytes = ip,
                                 .len = sizeof ip,
                                 .wire_len = 1000,
                                 .comments = {"what", "why PG101"}};
    (void)state;
    pg_pcapng_packet(&p, UINT32_MAX, &t);
    assert_int_equal(check_block(&t, 0, 6), t.len);
    assert_int_equal(at(&t, 8), PG_POINT_POD);
    assert_int_equal(at(&t, 12), 0x11223344);
    assert_int_equal(at(&t, 16), 0x55667788);
    assert_int_equal(at(&t, 20), 14 + 21);
    assert_int_equal(at(&t, 24), 1014);
    assert_memory_equal(t.at + 28, "\x02\x70\x67\x00\x03\x01\x02\x70\x67\x00\x03\x02\x08\x00\x45",
                        15);
    assert_memory_equal(option(&t, 28 + 36, 1, &len, &count), "what", 4);
    assert_int_equal(count, 2);
    assert_memory_equal(option(&t, 28 + 36, 2, &len, &count), "\x02\x00\x00\x00", 4);
    memcpy(&number, option(&t, 28 + 36, 5, &len, &count), sizeof number);
    assert_int_equal(number, 77);
    assert_null(option(&t, 28 + 36, 4, &len, &count));
    pg_text_free(&t);
}

static void a_packet_is_cut_and_what_was_lost_is_told(void **state)
{
    struct pg_text t = {0};
    uint8_t ip[100] = {0x60};
    uint16_t len = 0;
    uint64_t number;
    int count;
    struct pg_pcapng_packet p = {
        .dropped = 3, .bytes = ip, .len = sizeof ip, .wire_len = sizeof ip};
    (void)state;
    pg_pcapng_packet(&p, 54, &t);
    check_block(&t, 0, 6);
    assert_int_equal(at(&t, 20), 54);
    assert_int_equal(at(&t, 24), 114);
    assert_memory_equal(t.at + 28 + 12, "\x86\xdd", 2);
    memcpy(&number, option(&t, 28 + 56, 4, &len, &count), sizeof number);
    assert_int_equal(number, 3);
    pg_text_clear(&t);
    pg_pcapng_packet(&p, 7, &t); /* not even the Ethernet header */
    check_block(&t, 0, 6);
    assert_int_equal(at(&t, 20), 7);
    pg_text_free(&t);
}

static void names_are_records_of_one_block(void **state)
{
    struct pg_text t = {0};
    struct pg_pcapng_names n;
    struct pg_addr a = pg_addr_v4(10, 96, 12, 40);
    struct pg_addr b = {.bytes = {0x20, 1, 0xd, 0xb8, [15] = 1}};
    struct pg_addr none = {0};
    (void)state;
    pg_pcapng_names_begin(&n, &t);
    pg_pcapng_name(&n, &a, "web.shop.svc");
    pg_pcapng_name(&n, &b, "six");
    pg_pcapng_name(&n, &none, "nobody");
    pg_pcapng_name(&n, &a, "");
    pg_pcapng_names_end(&n);
    assert_int_equal(check_block(&t, 0, 4), t.len);
    assert_int_equal(at(&t, 8), 17u << 16 | 1);
    assert_memory_equal(t.at + 12, "\x0a\x60\x0c\x28web.shop.svc\0\0\0\0", 20);
    assert_int_equal(at(&t, 32), 20u << 16 | 2);
    assert_int_equal(at(&t, 56), 0);
    pg_text_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_begins_with_a_section_and_four_interfaces),
        cmocka_unit_test(a_packet_has_comments_number_and_direction),
        cmocka_unit_test(a_packet_is_cut_and_what_was_lost_is_told),
        cmocka_unit_test(names_are_records_of_one_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
