/* dns/dns_wire.c: names and records as bytes. */
#include "dns_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t wire(const char *text, uint8_t out[PG_DNS_NAME_MAX])
{
    uint32_t len = pg_dns_name_parse(text, strlen(text), out);

    assert_true(len > 0);
    return len;
}

static void name_survives_parse_and_print(void **state)
{
    static const char *const names[] = {".", "a.", "web.shop.svc.cluster.local.",
                                        "_http._tcp.Web."};
    uint8_t name[PG_DNS_NAME_MAX];
    char text[300];

    for (size_t i = 0; i < 4; i++) {
        uint32_t len = wire(names[i], name);

        assert_int_equal(len, pg_dns_name_len(name));
        pg_dns_name_print(name, text, sizeof(text));
        assert_string_equal(text, names[i]);
    }
}

static void odd_bytes_are_printed_as_numbers(void **state)
{
    static const uint8_t name[] = {6, 'a', '.', '\\', 0, 0xff, ' ', 1, 'b', 0};
    char text[300];

    pg_dns_name_print(name, text, sizeof(text));
    assert_string_equal(text, "a\\046\\092\\000\\255\\032.b.");
    for (uint32_t room = 1; room < sizeof(text); room++) {
        char *exact = malloc(room);

        assert_non_null(exact);
        pg_dns_name_print(name, exact, room);
        assert_true(strlen(exact) < room);
        free(exact);
    }
}

static void longest_name_is_255_bytes(void **state)
{
    char text[300];
    uint8_t name[PG_DNS_NAME_MAX];

    memset(text, 'a', sizeof(text));
    for (int i = 63; i < 300; i += 64) {
        text[i] = '.';
    }
    assert_int_equal(pg_dns_name_parse(text, 253, name), 255);
    assert_int_equal(pg_dns_name_parse(text, 254, name), 0);
    text[253] = '.';
    assert_int_equal(pg_dns_name_parse(text, 254, name), 255);
}

/* Reads the name at `at` in bytes with a header's length before them. */
static uint32_t read_at(const uint8_t *bytes, uint32_t len, uint32_t at, char *text)
{
    uint8_t *message = calloc(1, PG_DNS_HEADER + len);
    uint8_t name[PG_DNS_NAME_MAX];
    uint32_t name_len;

    assert_non_null(message);
    memcpy(message + PG_DNS_HEADER, bytes, len);
    uint32_t behind =
        pg_dns_name_read(message, PG_DNS_HEADER + len, PG_DNS_HEADER + at, name, &name_len);

    if (behind) {
        assert_int_equal(name_len, pg_dns_name_len(name));
        pg_dns_name_print(name, text, 300);
        behind -= PG_DNS_HEADER;
    }
    free(message);
    return behind;
}

static void pointers_backwards_are_followed(void **state)
{
    static const uint8_t m[] = {1, 'a', 1, 'b', 0, 1, 'c', 0xc0, 12, 0xc0, 17};
    char text[300];

    assert_int_equal(read_at(m, sizeof(m), 0, text), 5);
    assert_string_equal(text, "a.b.");
    assert_int_equal(read_at(m, sizeof(m), 5, text), 9);
    assert_string_equal(text, "c.a.b.");
    assert_int_equal(read_at(m, sizeof(m), 9, text), 11);
    assert_string_equal(text, "c.a.b.");
}

static void pointers_in_circles_or_forwards_are_malformed(void **state)
{
    static const struct {
        uint8_t bytes[8];
        uint32_t len;
    } rows[] = {
        {{0xc0, 12}, 2},         /* itself */
        {{0xc0, 14, 0}, 3},      /* forwards */
        {{1, 'a', 0xc0, 12}, 4}, /* its own beginning */
        {{0xc0, 0}, 2},          /* the header */
        {{0xc0}, 1},             /* cut */
        {{1, 'a', 0xc0}, 3},     /* cut */
        {{0x80, 'a', 0}, 3},     /* reserved kinds of labels */
        {{0x40, 'a', 0}, 3},
        {{2, 'a', 0}, 3}, /* label longer than the message */
        {{1, 'a'}, 2},    /* no end */
    };
    char text[300];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(read_at(rows[i].bytes, rows[i].len, 0, text), 0);
    }
}

static void name_over_255_bytes_is_malformed(void **state)
{
    uint8_t m[300];
    char text[1200];

    memset(m, 1, sizeof(m)); /* labels of one byte \001 */
    m[254] = 0;
    assert_int_equal(read_at(m, sizeof(m), 0, text), 255);
    m[254] = 1;
    m[256] = 0;
    assert_int_equal(read_at(m, sizeof(m), 0, text), 0);
}

/* ---- writing ---- */

struct message {
    uint8_t bytes[512];
    struct pg_dns_writer w;
    struct pg_dns_query q;
};

/* A response to a question about name, with this limit. */
static void begin(struct message *m, const char *name, uint32_t limit)
{
    uint8_t query[512] = {0};
    uint32_t len = PG_DNS_HEADER;

    query[5] = 1;
    len += wire(name, query + len);
    query[len + 1] = 1;
    query[len + 3] = 1;
    memset(m, 0, sizeof(*m));
    assert_int_equal(pg_dns_query_read(query, len + 4, &m->q), 0);
    pg_dns_writer_begin(&m->w, query, &m->q, m->bytes, limit);
}

static uint32_t put_name(struct message *m, const char *text, bool compress)
{
    uint8_t name[PG_DNS_NAME_MAX];
    uint8_t back[PG_DNS_NAME_MAX];
    uint32_t back_len;
    uint32_t at = m->w.len;

    (void)wire(text, name);
    pg_dns_put_name(&m->w, name, compress);
    assert_int_equal(pg_dns_name_read(m->bytes, m->w.len, at, back, &back_len), m->w.len);
    assert_int_equal(back_len, pg_dns_name_len(name));
    return m->w.len - at;
}

static void names_are_compressed_into_what_stands_before(void **state)
{
    struct message m;

    begin(&m, "a.example.test", 512);
    pg_dns_record_begin(&m.w, NULL, PG_DNS_CNAME, 1);
    assert_int_equal(put_name(&m, "a.example.test", true), 2);
    assert_int_equal(put_name(&m, "b.example.test", true), 4);
    assert_int_equal(put_name(&m, "B.EXAMPLE.test", true), 2);
    assert_int_equal(put_name(&m, "c.b.example.test", true), 4);
    assert_int_equal(put_name(&m, "other.", true), 7);
    assert_int_equal(put_name(&m, "x.other", true), 4);
    assert_int_equal(put_name(&m, "test", true), 2);
    assert_int_equal(put_name(&m, ".", true), 1);
}

static void names_in_full_can_be_referred_to(void **state)
{
    struct message m;

    begin(&m, "a.test", 512);
    pg_dns_record_begin(&m.w, NULL, PG_DNS_SRV, 1);
    assert_int_equal(put_name(&m, "b.a.test", false), 10);
    assert_int_equal(put_name(&m, "b.a.test", true), 2);
}

static void record_that_does_not_fit_is_taken_back_whole(void **state)
{
    struct message m;

    begin(&m, "a.test", 512);
    m.w.limit = m.w.len + 16 + 15;
    for (int i = 0; i < 2; i++) {
        uint32_t before = m.w.len;

        pg_dns_record_begin(&m.w, NULL, PG_DNS_A, 1);
        pg_dns_put_u32(&m.w, 0x0a000001);
        assert_int_equal(pg_dns_record_end(&m.w, PG_DNS_ANSWERS), i == 0);
        assert_int_equal(m.w.len, i == 0 ? before + 16 : before);
    }
    assert_int_equal(m.w.counts[PG_DNS_ANSWERS], 1);
    /* and what it had noted does no harm */
    pg_dns_record_begin(&m.w, NULL, PG_DNS_CNAME, 1);
    pg_dns_put_name(&m.w, (const uint8_t *)"\005hello\004test", true);
    assert_false(pg_dns_record_end(&m.w, PG_DNS_ANSWERS));
    m.w.limit = 512;
    pg_dns_record_begin(&m.w, NULL, PG_DNS_CNAME, 1);
    assert_int_equal(put_name(&m, "hello.test", true), 8);
    assert_true(pg_dns_record_end(&m.w, PG_DNS_ANSWERS));
}

static void many_names_stay_correct_when_the_table_is_full(void **state)
{
    static uint8_t out[65535];
    static const uint8_t query[] = {0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0, 0, 1, 0, 1};
    struct pg_dns_query q;
    struct pg_dns_writer w;
    uint8_t name[PG_DNS_NAME_MAX];
    uint8_t back[PG_DNS_NAME_MAX];
    uint32_t back_len;
    char text[64];

    assert_int_equal(pg_dns_query_read(query, sizeof(query), &q), 0);
    pg_dns_writer_begin(&w, query, &q, out, sizeof(out));
    pg_dns_record_begin(&w, NULL, PG_DNS_CNAME, 1);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 2000 && !w.full; i++) {
            uint32_t at = w.len;

            (void)snprintf(text, sizeof(text), "n%d.z%d.test", i, i % 7);
            (void)wire(text, name);
            pg_dns_put_name(&w, name, true);
            if (!w.full) {
                assert_int_equal(pg_dns_name_read(out, w.len, at, back, &back_len), w.len);
                assert_memory_equal(back, name, back_len);
            }
        }
    }
    assert_false(w.full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(name_survives_parse_and_print),
        cmocka_unit_test(odd_bytes_are_printed_as_numbers),
        cmocka_unit_test(longest_name_is_255_bytes),
        cmocka_unit_test(pointers_backwards_are_followed),
        cmocka_unit_test(pointers_in_circles_or_forwards_are_malformed),
        cmocka_unit_test(name_over_255_bytes_is_malformed),
        cmocka_unit_test(names_are_compressed_into_what_stands_before),
        cmocka_unit_test(names_in_full_can_be_referred_to),
        cmocka_unit_test(record_that_does_not_fit_is_taken_back_whole),
        cmocka_unit_test(many_names_stay_correct_when_the_table_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
