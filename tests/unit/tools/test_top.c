/* The page of top, from answers as the control API gives them. */
#include "top_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char counters[] =
    "{\"metadata\":{\"timeMicroseconds\":%d},\"counters\":{\"conntrack_insert\":%d},"
    "\"drops\":{\"rejected\":3,\"invalid\":0},"
    "\"pools\":{\"flows\":{\"used\":512,\"limit\":2048}}}";
static const char traffic[] =
    "{\"items\":[{\"service\":null,\"host\":null,\"requests\":0,\"codes\":{},\"verdicts\":{},"
    "\"durations\":[]},"
    "{\"service\":\"shop/web\",\"host\":\"shop.example.test\",\"requests\":%d,"
    "\"durationMicroseconds\":9000,\"codes\":{\"200\":90,\"404\":8,\"502\":2},"
    "\"verdicts\":{\"kept\":0,\"carried\":1,\"lost\":99},"
    "\"durations\":[{\"upToMicroseconds\":500,\"count\":60},{\"upToMicroseconds\":5000,\"count\":"
    "39},{\"upToMicroseconds\":null,\"count\":1}]},"
    "{\"service\":\"shop/api\",\"host\":\"evil\\u001b[31m.test\",\"requests\":400,"
    "\"codes\":{\"503\":400},\"verdicts\":{\"lost\":0},\"durations\":[]}]}";

static struct pg_top_sample sample(int seconds, int flows, int requests)
{
    struct pg_top_sample s = {.endpoints = NULL};
    char text[2048];

    snprintf(text, sizeof text, counters, seconds * 1000000, flows);
    s.counters = json_loads(text, 0, NULL);
    snprintf(text, sizeof text, traffic, requests);
    s.requests = json_loads(text, 0, NULL);
    assert_non_null(s.counters);
    assert_non_null(s.requests);
    return s;
}

static void forget(struct pg_top_sample *s)
{
    json_decref(s->counters);
    json_decref(s->requests);
}

static struct pg_text page_of(const struct pg_top_view *view)
{
    struct pg_top_sample before = sample(10, 100, 60);
    struct pg_top_sample now = sample(12, 150, 100);
    struct pg_text out = {0};

    pg_top_page(&before, &now, view, &out);
    forget(&before);
    forget(&now);
    return out;
}

static void rates_are_between_two_looks(void **state)
{
    struct pg_top_view view = {.filter = "", .columns = 200};
    struct pg_text out = page_of(&view);

    assert_non_null(strstr(out.at, "25.0 flows/s  20.0 req/s  conntrack [###-------] 512 of "
                                   "2048 (25.0%)\n"));
    assert_non_null(strstr(out.at, "clients: kept 0, carried 1, lost 99, forged 0, ambiguous 0\n"));
    assert_non_null(strstr(out.at, "drops: rejected 3\n"));
    const char *web = strstr(out.at, "shop/web   shop.example.test");
    assert_non_null(web);
    assert_non_null(strstr(web, "20.0    100        99     8     2     0.5ms    5ms"));
    assert_true(web < strstr(out.at, "shop/api")); /* nothing happens there now */
    assert_null(strstr(out.at, "-   -   "));       /* no requests without a service */
    pg_text_free(&out);
}

static void one_look_has_no_rates(void **state)
{
    struct pg_top_sample before = {0};
    struct pg_top_sample now = sample(12, 150, 100);
    struct pg_top_view view = {.filter = "", .columns = 200};
    struct pg_text out = {0};

    pg_top_page(&before, &now, &view, &out);
    assert_null(strstr(out.at, "/s   "));
    assert_non_null(strstr(out.at, "shop/web"));
    forget(&now);
    pg_text_free(&out);
}

static void rows_are_sorted_and_filtered(void **state)
{
    struct pg_top_view view = {.filter = "", .columns = 200, .sort = PG_TOP_ERRORS};
    struct pg_text out = page_of(&view);

    assert_true(strstr(out.at, "shop/api") < strstr(out.at, "shop/web"));
    pg_text_free(&out);
    view.filter = "example";
    out = page_of(&view);
    assert_null(strstr(out.at, "shop/api"));
    assert_non_null(strstr(out.at, "shop/web"));
    pg_text_free(&out);
}

static void names_can_not_reach_the_terminal(void **state)
{
    struct pg_top_view view = {.filter = "", .columns = 200};
    struct pg_text out = page_of(&view);

    assert_null(strchr(out.at, '\033'));
    assert_non_null(strstr(out.at, "evil\\x1b[31m.test"));
    pg_text_free(&out);
}

static void a_page_fits_the_terminal(void **state)
{
    struct pg_top_view view = {.filter = "", .columns = 40, .rows = 6};
    struct pg_text out = page_of(&view);
    unsigned lines = 0;

    for (const char *at = out.at; *at; lines++) {
        size_t len = strcspn(at, "\n");
        assert_true(len <= 40);
        at += len + 1;
    }
    assert_int_equal(lines, 6);
    pg_text_free(&out);
    view.rows = 24;
    view.columns = 80;
    view.help = true;
    out = page_of(&view);
    assert_non_null(strstr(out.at, "  q   end\n"));
    pg_text_free(&out);
}

static const char endpoints[] =
    "{\"items\":[{\"namespace\":\"shop\",\"name\":\"web\",\"endpoints\":["
    "{\"address\":\"10.244.1.7\",\"port\":8080,\"pod\":\"shop/web-0\",\"node\":\"node-1\","
    "\"ready\":true,\"active\":1,\"hits\":60}]},"
    "{\"namespace\":\"shop\",\"name\":\"api\",\"endpoints\":["
    "{\"address\":\"10.244.1.8\",\"port\":8080,\"ready\":true}]}]}";
static const char connections[] =
    "{\"items\":[{\"flow\":\"c7f1\",\"service\":\"shop/web\",\"pod\":\"shop/web-0\",\"requests\":3,"
    "\"lastStatus\":200,\"ageSeconds\":8,\"client\":{\"peer\":\"10.244.1.1\",\"peerPort\":5568,"
    "\"bytesIn\":1100,\"bytesOut\":4200,\"source\":{\"address\":\"198.51.100.7\",\"port\":52100}}},"
    "{\"flow\":\"c7f2\",\"service\":\"shop/api\",\"client\":{\"peer\":\"10.244.1.1\"}}]}";

static void one_service_has_a_page(void **state)
{
    struct pg_top_view view = {.filter = "",
                               .columns = 80,
                               .rows = 23,
                               .service = "shop/web",
                               .host = "shop.example.test"};
    struct pg_top_sample now = sample(12, 150, 100);
    struct pg_text out = {0};

    (void)state;
    now.endpoints = json_loads(endpoints, 0, NULL);
    now.connections = json_loads(connections, 0, NULL);
    assert_non_null(now.endpoints);
    assert_non_null(now.connections);
    pg_top_page(&now, &now, &view, &out);
    assert_non_null(strstr(out.at, "\nshop/web   shop.example.test\n"));
    assert_non_null(strstr(out.at, "\n100 requests: 90 200, 8 404, 2 502 "));
    assert_non_null(strstr(out.at, "\nclients: kept 0, carried 1, lost 99\n"));
    assert_non_null(
        strstr(out.at, "\n10.244.1.7:8080   shop/web-0   node-1   true    1        60\n"));
    assert_non_null(strstr(out.at, "\nc7f1   198.51.100.7:52100   shop/web-0   3 "));
    assert_null(strstr(out.at, "10.244.1.8"));
    assert_null(strstr(out.at, "c7f2"));
    pg_text_clear(&out);
    view.service = "shop/api";
    view.host = "evil\x1b[31m.test";
    pg_top_page(&now, &now, &view, &out);
    assert_null(strchr(out.at, 0x1b));
    assert_non_null(strstr(out.at, "400 requests: 400 503"));
    pg_text_clear(&out);
    view.service = "shop/gone";
    pg_top_page(&now, &now, &view, &out);
    assert_non_null(strstr(out.at, "it is not there any more"));
    pg_text_free(&out);
    json_decref(now.endpoints);
    json_decref(now.connections);
    forget(&now);
}

static void the_cursor_marks_a_row(void **state)
{
    struct pg_top_view view = {
        .filter = "", .columns = 200, .rows = 23, .cursor = 2, .sort = PG_TOP_REQUESTS};
    struct pg_top_sample now = sample(12, 150, 100);
    struct pg_text page = page_of(&view);
    const json_t *item = NULL;

    (void)state;
    assert_non_null(strstr(page.at, "\n  SERVICE "));
    assert_non_null(strstr(page.at, "\n  shop/api "));
    assert_non_null(strstr(page.at, "\n> shop/web "));
    assert_int_equal(pg_top_rows(&now, &now, &view, &item), 2);
    assert_string_equal(json_string_value(json_object_get(item, "service")), "shop/web");
    view.cursor = 3;
    assert_int_equal(pg_top_rows(&now, &now, &view, &item), 2);
    assert_null(item);
    pg_text_free(&page);
    forget(&now);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_service_has_a_page),
        cmocka_unit_test(the_cursor_marks_a_row),
        cmocka_unit_test(rates_are_between_two_looks),
        cmocka_unit_test(one_look_has_no_rates),
        cmocka_unit_test(rows_are_sorted_and_filtered),
        cmocka_unit_test(names_can_not_reach_the_terminal),
        cmocka_unit_test(a_page_fits_the_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
