/* trace/exchange.c, exchange_view.c, exchange_print.c, exchange_markup.c: records become requests again, and are printed without doing harm. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/exchange.h"

#include <stdio.h>
#include <string.h>

#define ROOM 8

static struct {
    struct pg_exchange x[ROOM];
    struct pg_record records[ROOM][64];
    uint32_t count;
} got;

static void on_exchange(void *arg, const struct pg_exchange *x)
{
    (void)arg;
    assert_true(got.count < ROOM && x->count <= 64);
    memcpy(got.records[got.count], x->records, x->count * sizeof x->records[0]);
    got.x[got.count] = *x;
    got.x[got.count].records = got.records[got.count];
    got.count++;
}

static const struct pg_exchange_style plain;
static struct pg_exchanges *exchanges;
static uint64_t seq;

static int set_up(void **state)
{
    (void)state;
    memset(&got, 0, sizeof got);
    seq = 0;
    exchanges = pg_exchanges_new(4, on_exchange, NULL);
    return exchanges == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    pg_exchanges_free(exchanges);
    pg_reason_forget_all();
    return 0;
}

static void feed(struct pg_record r)
{
    r.seq = ++seq;
    r.time_us = 1000 + seq * 10;
    r.node = 0xffff;
    pg_exchanges_feed(exchanges, &r);
}

static struct pg_value end_at(uint8_t a, uint8_t b, uint8_t c, uint8_t d, uint16_t port)
{
    struct pg_addr addr = pg_addr_v4(a, b, c, d);
    return pg_value_endpoint(&addr, port);
}

static void nat(uint32_t label, uint64_t flow, enum pg_field field, struct pg_value before,
                struct pg_value after, enum pg_code code)
{
    struct pg_record r = {.kind = PG_RECORD_REWRITE,
                          .stage = PG_STAGE_NAT_POSTROUTING,
                          .field = (uint8_t)field,
                          .label = label,
                          .conntrack = flow,
                          .proto = PG_PROTO_TCP,
                          .before = before,
                          .after = after};
    r.reason = pg_reason_intern(&(struct pg_reason){.code = code, .object = "Service/shop/web"});
    if (before.port == after.port && pg_addr_equal(&before.addr, &after.addr)) {
        r.kind = PG_RECORD_KEEP;
    }
    feed(r);
}

static void event(uint32_t label, enum pg_stage stage, const char *name, struct pg_value before,
                  const char *after, uint8_t direction)
{
    struct pg_record r = {.kind = PG_RECORD_EVENT,
                          .stage = (uint8_t)stage,
                          .label = label,
                          .direction = direction,
                          .before = before,
                          .after = pg_value_text(after, strlen(after))};
    snprintf(r.name, sizeof r.name, "%s", name);
    feed(r);
}

static void header(uint32_t label, const char *name, const char *before, const char *after)
{
    struct pg_record r = {.kind = PG_RECORD_REWRITE,
                          .stage = PG_STAGE_HTTP_REWRITE,
                          .field = PG_FIELD_HEADER,
                          .label = label};
    snprintf(r.name, sizeof r.name, "%s", name);
    r.before = before != NULL ? pg_value_text(before, strlen(before)) : pg_value_none();
    r.after = after != NULL ? pg_value_text(after, strlen(after)) : pg_value_none();
    feed(r);
}

static struct pg_value hop; /* whom the ingress sees */

static void client_leg(uint32_t label, bool masquerade)
{
    hop = masquerade ? end_at(10, 244, 1, 1, 999) : end_at(198, 51, 100, 7, 4000);
    nat(label, 1, PG_FIELD_DST, end_at(203, 0, 113, 10, 80), end_at(10, 244, 1, 2, 80),
        PG_CODE_DNAT_LOAD_BALANCER);
    nat(label, 1, PG_FIELD_SRC, end_at(198, 51, 100, 7, 4000),
        masquerade ? end_at(10, 244, 1, 1, 999) : end_at(198, 51, 100, 7, 4000),
        masquerade ? PG_CODE_MASQ_CLUSTER : PG_CODE_KEPT_LOCAL);
}

static void upstream_leg(uint32_t label, uint64_t flow, uint16_t port)
{
    nat(label, flow, PG_FIELD_DST, end_at(10, 96, 12, 40, 80), end_at(10, 244, 2, 9, 8080),
        PG_CODE_DNAT_CLUSTER_IP);
    nat(label, flow, PG_FIELD_SRC, end_at(10, 244, 1, 2, port), end_at(10, 244, 1, 2, port),
        PG_CODE_KEPT_POD);
}

static void request(uint32_t label, const char *text)
{
    event(label, PG_STAGE_HTTP_PARSE, "request", pg_value_none(), text, 0);
    event(label, PG_STAGE_CLIENT_ADDR, "client", hop, "somebody", 0);
}

static void response(uint32_t label, const char *status)
{
    event(label, PG_STAGE_HTTP_PARSE, "response", pg_value_none(), status, 1);
}

/* ---- put together ---- */

static void both_legs_are_one_exchange(void **state)
{
    struct pg_exchange_view v;
    (void)state;
    client_leg(7, true);
    request(7, "GET /cart host shop.example.test");
    upstream_leg(7, 2, 5000);
    event(7, PG_STAGE_UPSTREAM, "connect", end_at(10, 244, 1, 2, 5000), "service", 0);
    header(7, "X-Forwarded-For", NULL, "10.244.1.1");
    header(7, "X-Real-IP", NULL, "10.244.1.1");
    assert_int_equal(got.count, 0);
    response(7, "200");
    assert_int_equal(got.count, 1);
    pg_exchange_look(&got.x[0], &v);
    assert_true(got.x[0].complete && got.x[0].is_http);
    assert_string_equal(v.method, "GET");
    assert_string_equal(v.target, "/cart");
    assert_string_equal(v.host, "shop.example.test");
    assert_string_equal(v.service, "shop/web");
    assert_int_equal(v.status, 200);
    assert_int_equal(v.client.port, 4000);
    assert_int_equal(v.pod.port, 8080);
    assert_int_equal(v.peer.port, 5000);
    assert_true(v.has_verdict);
    assert_int_equal(v.verdict, PG_VERDICT_LOST);
    assert_int_equal(v.lost_hop, 1);
    assert_int_equal(v.lost_code, PG_CODE_MASQ_CLUSTER);
}

static void the_second_request_gets_what_was_told_once(void **state)
{
    struct pg_exchange_view v;
    (void)state;
    client_leg(7, false);
    for (int n = 0; n < 2; n++) {
        request(7, n == 0 ? "GET /a host x" : "GET /b host x");
        if (n == 0) {
            upstream_leg(7, 2, 5000);
        }
        event(7, PG_STAGE_UPSTREAM, "reuse", end_at(10, 244, 1, 2, 5000), "x", 0);
        header(7, "X-Forwarded-For", NULL, "198.51.100.7");
        response(7, "200");
    }
    assert_int_equal(got.count, 2);
    assert_int_equal(got.x[0].carried, 0);
    assert_int_equal(got.x[1].carried, 4);
    pg_exchange_look(&got.x[1], &v);
    assert_string_equal(v.target, "/b");
    assert_int_equal(v.pod.port, 8080);
    assert_int_equal(v.verdict, PG_VERDICT_CARRIED);
    assert_int_equal(v.began_us, got.x[1].records[4].time_us);
}

static void preface(uint32_t label, bool to_pod, const char *text)
{
    struct pg_record r = {.kind = to_pod ? PG_RECORD_REWRITE : PG_RECORD_EVENT,
                          .stage = PG_STAGE_PROXY_PROTOCOL,
                          .field = to_pod ? PG_FIELD_PROXY : PG_FIELD_NONE,
                          .label = label,
                          .name = "preface",
                          .after = pg_value_text(text, strlen(text))};
    feed(r);
}

/* A balancer speaks for its client, and the ingress hands that on to the pod: once, for all requests of the connection. */
static void prefaces_name_the_client_and_a_carrier(void **state)
{
    struct pg_exchange_view v;
    struct pg_addr behind = pg_addr_v4(203, 0, 113, 77);
    (void)state;
    client_leg(7, false);
    preface(7, false, "v1 TCP4 203.0.113.77:4711 > 203.0.113.10:443");
    for (int n = 0; n < 2; n++) {
        request(7, "GET /a host x");
        if (n == 0) {
            upstream_leg(7, 2, 5000);
        }
        event(7, PG_STAGE_UPSTREAM, n == 0 ? "connect" : "reuse", end_at(10, 244, 1, 2, 5000), "x",
              0);
        if (n == 0) {
            preface(7, true, "v2 TCP4 203.0.113.77:4711 > 203.0.113.10:443");
        }
        response(7, "200");
        assert_int_equal(got.count, n + 1);
        pg_exchange_look(&got.x[n], &v);
        assert_true(pg_addr_equal(&v.seen.client, &behind));
        assert_true(v.seen.has_proxy);
        assert_true(pg_addr_equal(&v.seen.proxy, &behind));
        assert_int_equal(v.verdict, PG_VERDICT_CARRIED);
    }
}

static void prefaces_that_name_nobody(void **state)
{
    static const char *const texts[] = {
        "v2 LOCAL", "v1 UNKNOWN",      "",
        " > ",      "v1 TCP6 ::1 > x", "v2 TCP6 [2001:db8::7]:99 > [2001:db8::1]:80"};
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct pg_exchange_view v;
        uint32_t label = 20 + (uint32_t)i;
        got.count = 0;
        client_leg(label, false);
        request(label, "GET /a host x");
        upstream_leg(label, 2, 5000);
        event(label, PG_STAGE_UPSTREAM, "connect", end_at(10, 244, 1, 2, 5000), "x", 0);
        preface(label, true, texts[i]);
        response(label, "200");
        pg_exchange_look(&got.x[0], &v);
        assert_true(v.seen.has_proxy);
        assert_int_equal(pg_addr_is_none(&v.seen.proxy), i != 5);
    }
}

/* A watcher came while the connection was open: the end of what was before is told first, on the other leg. */
static void legs_are_told_apart_in_any_order(void **state)
{
    struct pg_exchange_view v;
    (void)state;
    upstream_leg(7, 2, 5000);
    client_leg(7, true);
    request(7, "GET / host x");
    event(7, PG_STAGE_UPSTREAM, "reuse", end_at(10, 244, 1, 2, 5000), "service", 0);
    header(7, "X-Forwarded-For", NULL, "10.244.1.1");
    response(7, "200");
    pg_exchange_look(&got.x[0], &v);
    assert_int_equal(v.client.port, 4000);
    assert_int_equal(v.pod.port, 8080);
    assert_int_equal(v.verdict, PG_VERDICT_LOST);
    assert_int_equal(v.client_flow, 1);
    assert_int_equal(v.began_us, got.x[0].records[2].time_us);
}

static void a_refusal_ends_a_request(void **state)
{
    struct pg_exchange_view v;
    (void)state;
    client_leg(7, true);
    request(7, "GET / host nobody");
    event(7, PG_STAGE_ROUTE, "no-route", pg_value_none(), "404", 0);
    assert_int_equal(got.count, 1);
    pg_exchange_look(&got.x[0], &v);
    assert_int_equal(v.status, 404);
    assert_string_equal(v.refusal, "no-route");
    assert_false(v.has_verdict);
    assert_true(pg_addr_is_none(&v.pod.addr));
}

static void a_flow_without_http_is_over_when_it_is_silent(void **state)
{
    struct pg_exchange_view v;
    (void)state;
    nat(9, 3, PG_FIELD_DST, end_at(203, 0, 113, 20, 80), end_at(10, 244, 2, 9, 8080),
        PG_CODE_DNAT_LOAD_BALANCER);
    nat(9, 3, PG_FIELD_SRC, end_at(198, 51, 100, 7, 4000), end_at(198, 51, 100, 7, 4000),
        PG_CODE_KEPT_LOCAL);
    pg_exchanges_pass(exchanges, 500000);
    assert_int_equal(got.count, 0);
    pg_exchanges_pass(exchanges, 5000000);
    assert_int_equal(got.count, 1);
    pg_exchange_look(&got.x[0], &v);
    assert_false(got.x[0].is_http);
    assert_int_equal(v.verdict, PG_VERDICT_KEPT);
    pg_exchanges_flush(exchanges);
    assert_int_equal(got.count, 1);
}

static void a_packet_without_a_label_stands_alone(void **state)
{
    struct pg_exchange_view v;
    struct pg_record r = {.kind = PG_RECORD_DROP,
                          .name = "martian",
                          .proto = PG_PROTO_UDP,
                          .before = end_at(127, 0, 0, 1, 5),
                          .after = end_at(10, 0, 0, 1, 53)};
    (void)state;
    feed(r);
    assert_int_equal(got.count, 1);
    pg_exchange_look(&got.x[0], &v);
    assert_string_equal(v.drop, "martian");
    assert_int_equal(v.client.port, 5);
}

static void the_connection_used_last_stays(void **state)
{
    (void)state;
    for (uint32_t label = 1; label <= 6; label++) {
        client_leg(label, true);
        request(label, "GET / host x");
    }
    assert_int_equal(got.count, 2); /* 1 and 2 had to make room */
    assert_int_equal(got.x[0].label, 1);
    assert_int_equal(got.x[1].label, 2);
    assert_false(got.x[0].complete);
}

/* ---- printed ---- */

#define HOSTILE "</td><script>|`*_[x](javascript:1)\x1b[31m;end @all"

static void hostile(void)
{
    client_leg(7, true);
    request(7, "GET /a;b|c host " HOSTILE);
    header(7, "X-<b>|\x1b", NULL, "v|\"<i>`");
    response(7, "200");
    assert_int_equal(got.count, 1);
}

static void assert_no(const char *text, const char *unwanted)
{
    if (strstr(text, unwanted) != NULL) {
        fail_msg("found \"%s\" in:\n%s", unwanted, text);
    }
}

static const char *nasty_name(void *arg, const struct pg_addr *a)
{
    (void)arg;
    (void)a;
    return "a|<b>\x1b";
}

static void strangers_text_does_no_harm(void **state)
{
    struct pg_text out = {0};
    struct pg_json j;
    struct pg_names names = {.of = nasty_name};
    (void)state;
    hostile();
    pg_exchange_text(&got.x[0], &names, &plain, &out);
    assert_no(out.at, "\x1b");
    pg_text_clear(&out);
    pg_exchange_markdown(&got.x[0], &names, &out);
    assert_no(out.at, "\x1b");
    assert_no(out.at, "<script");
    assert_no(out.at, "<b>");
    assert_no(out.at, " @all");
    assert_no(out.at, "x](");
    pg_text_clear(&out);
    pg_exchange_mermaid(&got.x[0], &names, &out);
    assert_no(out.at, "\x1b");
    assert_no(out.at, "<");
    assert_no(out.at, "m;end");
    assert_no(out.at, "|");
    pg_text_clear(&out);
    pg_json_begin(&j, &out);
    pg_exchange_json(&got.x[0], &names, &j);
    assert_no(out.at, "\x1b");
    assert_non_null(strstr(out.at, "\\u001b"));
    pg_text_free(&out);
}

/* Each row of the table has as many cells as its head. */
static void a_table_of_markdown_keeps_its_columns(void **state)
{
    struct pg_text out = {0};
    (void)state;
    hostile();
    pg_exchange_markdown(&got.x[0], NULL, &out);
    for (const char *line = strstr(out.at, "| ms"); line != NULL && line[0] == '|';
         line = strchr(line, '\n') + 1) {
        int bars = 0;
        for (const char *c = line; *c != '\n'; c++) {
            bars += *c == '|';
        }
        assert_int_equal(bars, 5);
    }
    pg_text_free(&out);
}

static void text_says_it_in_one_line(void **state)
{
    struct pg_text out = {0};
    (void)state;
    client_leg(0xc7f1, true);
    request(0xc7f1, "GET /cart host shop.example.test");
    upstream_leg(0xc7f1, 2, 5000);
    event(0xc7f1, PG_STAGE_UPSTREAM, "connect", end_at(10, 244, 1, 2, 5000), "service", 0);
    header(0xc7f1, "X-Forwarded-For", NULL, "10.244.1.1");
    response(0xc7f1, "200");
    pg_exchange_text(&got.x[0], NULL, &plain, &out);
    *strchr(out.at, '\n') = 0;
    assert_string_equal(out.at, "c7f1  GET shop.example.test/cart 200  0.080ms  198.51.100.7:4000 "
                                "-> 10.244.2.9:8080     client LOST at hop 1");
    pg_text_free(&out);
}

static void line_of(const struct pg_exchange_style *style, int number, char *line, size_t room)
{
    struct pg_text out = {0};
    pg_exchange_text(&got.x[0], NULL, style, &out);
    const char *at = out.at;
    for (; number > 0; number--) {
        at = strchr(at, '\n') + 1;
    }
    snprintf(line, room, "%.*s", (int)strcspn(at, "\n"), at);
    pg_text_free(&out);
}

static void times_are_of_day_or_left_out(void **state)
{
    struct pg_exchange_style abs = {.time = PG_TIME_ABS, .epoch_us = 1764075845000000};
    struct pg_exchange_style none = {.time = PG_TIME_NONE};
    char line[256];
    (void)state;
    client_leg(0xc7f1, true);
    request(0xc7f1, "GET /cart host shop.example.test");
    upstream_leg(0xc7f1, 2, 5000);
    event(0xc7f1, PG_STAGE_UPSTREAM, "connect", end_at(10, 244, 1, 2, 5000), "service", 0);
    response(0xc7f1, "200");
    line_of(&abs, 0, line, sizeof line);
    assert_non_null(strstr(line, "2025-11-25T13:04:05.0010"));
    assert_non_null(strstr(line, "Z  c7f1  GET shop.example.test/cart 200  0."));
    line_of(&abs, 1, line, sizeof line);
    assert_non_null(strstr(line, "  13:04:05.0010"));
    line_of(&none, 0, line, sizeof line);
    assert_string_equal(line, "c7f1  GET shop.example.test/cart 200  198.51.100.7:4000 -> "
                              "10.244.2.9:8080     client LOST at hop 1");
    line_of(&none, 1, line, sizeof line);
    assert_non_null(strstr(line, "            nat "));
}

static void sizes_of_bodies_are_those_of_the_heads(void **state)
{
    struct pg_exchange_view v;
    struct pg_record r = {.label = 0xc7f1,
                          .kind = PG_RECORD_EVENT,
                          .stage = PG_STAGE_HTTP_PARSE,
                          .name = "body",
                          .after = pg_value_text("11 bytes", 8)};
    (void)state;
    client_leg(0xc7f1, true);
    request(0xc7f1, "POST /cart host shop.example.test");
    pg_exchanges_feed(exchanges, &r);
    r.direction = 1;
    r.after = pg_value_text("in chunks", 9);
    pg_exchanges_feed(exchanges, &r);
    response(0xc7f1, "200");
    assert_int_equal(got.count, 1);
    pg_exchange_look(&got.x[0], &v);
    assert_int_equal(v.request_body, 11);
    assert_int_equal(v.response_body, -1);
    assert_int_equal(v.status, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(times_are_of_day_or_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(sizes_of_bodies_are_those_of_the_heads, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_legs_are_one_exchange, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_second_request_gets_what_was_told_once, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(prefaces_name_the_client_and_a_carrier, set_up, tear_down),
        cmocka_unit_test_setup_teardown(prefaces_that_name_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(legs_are_told_apart_in_any_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_refusal_ends_a_request, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flow_without_http_is_over_when_it_is_silent, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_packet_without_a_label_stands_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_connection_used_last_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(strangers_text_does_no_harm, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_table_of_markdown_keeps_its_columns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(text_says_it_in_one_line, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
