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
    struct pg_top_sample s;
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

    assert_non_null(strstr(out.at, "25.0 flows/s   20.0 requests/s   conntrack [###-------] 512 of "
                                   "2048 (25.0%)\n"));
    assert_non_null(strstr(out.at, "clients: kept 0, carried 1, lost 99, forged 0, ambiguous 0\n"));
    assert_non_null(strstr(out.at, "drops: rejected 3\n"));
    const char *web = strstr(out.at, "shop/web   shop.example.test");
    assert_non_null(web);
    assert_non_null(strstr(web, "20.0    100        8     2     0.5ms    5ms"));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_between_two_looks),
        cmocka_unit_test(one_look_has_no_rates),
        cmocka_unit_test(rows_are_sorted_and_filtered),
        cmocka_unit_test(names_can_not_reach_the_terminal),
        cmocka_unit_test(a_page_fits_the_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
