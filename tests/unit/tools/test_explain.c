/* The dry run as explain uses it, on the lab of the documentation: odds, verdicts, what is refused, what words mean. That it does what
 * the path does is tests/unit/app/test_dry.c's business. */
#include "explain_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

static struct pg_snapshot *snapshot;
static struct pg_dry *dry;

static int set_up(void **state)
{
    struct pg_manifest_input input = {.path = "examples/lab"};
    struct pg_findings findings;

    (void)state;
    assert_int_equal(pg_snapshot_load(&input, 1, NULL, &snapshot, &findings), 0);
    pg_findings_free(&findings);
    dry = pg_dry_new(snapshot);
    assert_non_null(dry);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pg_dry_free(dry);
    pg_snapshot_put(snapshot);
    pg_reason_forget_all();
    return 0;
}

/* The outcome of a request in words. */
static void outcome(struct pg_ask words, struct pg_text *ret)
{
    struct pg_dry_ask ask;
    struct pg_text why = {0};
    struct pg_dry_odds odds;
    struct pg_dry_result shown;

    if (pg_dry_ask_read(dry, &words, &ask, &why) != 0) {
        pg_text_puts(ret, why.at);
        pg_text_free(&why);
        return;
    }
    pg_dry_explore(dry, &ask.request, PG_DRY_RUNS_ONE, &odds);
    pg_dry_run(dry, &ask.request, odds.draw, NULL, &shown);
    pg_outcomes_print(&odds, &shown, ret);
    pg_dry_ask_free(&ask);
}

static void outcomes(void **state)
{
    static const struct {
        struct pg_ask words;
        const char *outcome;
    } cases[] = {
        {{.url = "http://shop.example.test/cart"}, "LOST"},
        {{.url = "shop.example.test"}, "LOST"},
        {{.url = "http://web.shop.svc/", .from = "pod:shop/web-1"}, "KEPT 50% or LOST 50%"},
        {{.url = "http://web.shop/", .from = "10.244.2.9"}, "KEPT 50% or LOST 50%"},
        {{.url = "http://web/", .from = "pod:shop/web-1"}, "KEPT 50% or LOST 50%"},
        {{.url = "http://10.244.1.7:8080/", .from = "pod:shop/web-1"}, "KEPT"},
        {{.url = "http://nobody.test/"}, "REFUSED by the ingress: 404 no-route"},
        {{.url = "http://shop.example.test/", .method = "TRACE"},
         "REFUSED by the ingress: 405 method-refused"},
        {{.to = "10.96.12.40:81"}, "REJECTED: connection refused"},
        {{.to = "10.96.77.77:80"}, "DROPPED: no answer (unallocated-service-ip)"},
        {{.to = "10.96.0.10:53/udp"}, "answered by the cluster's DNS"},
        {{.to = "node:node-1:9999"}, "REFUSED: nobody listens there"},
        {{.to = "203.0.113.10:80"}, "LOST"},
        {{.to = "203.0.113.10:80", .from = "127.0.0.1"}, "DROPPED: no answer (martian)"},
        {{.to = "203.0.113.10:80", .from = "10.96.12.40"}, "DROPPED: no answer (spoofed)"},
    };
    struct pg_text text = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pg_text_clear(&text);
        outcome(cases[i].words, &text);
        if (strcmp(text.at, cases[i].outcome) != 0) {
            fail_msg("case %zu: want \"%s\", got \"%s\"", i, cases[i].outcome, text.at);
        }
    }
    pg_text_free(&text);
}

static void words_that_are_refused(void **state)
{
    static const char *const blank = "X: 1\r\nHost: evil";
    static const char *const headless = "no colon";
    static const struct {
        struct pg_ask words;
        const char *why;
    } cases[] = {
        {{.url = "ftp://shop.example.test/"}, "expected http[s]://"},
        {{.url = "http://a b/"}, "no blanks"},
        {{.url = "http:///x"}, "neither a host name"},
        {{.url = "http://a:99999/"}, "not a port"},
        {{.url = "http://user@a/"}, "neither a host name"},
        {{.url = "http://a/", .method = "GET\n"}, "not a method"},
        {{.url = "http://a/", .headers = &blank, .header_count = 1}, "no control characters"},
        {{.url = "http://a/", .headers = &headless, .header_count = 1}, "written \"Name: value\""},
        {{.url = "http://[2001:db8::1]/"}, "different address families"},
        {{.to = "10.0.0.1"}, "--to takes HOST:PORT"},
        {{.to = "10.0.0.1:0"}, "--to takes HOST:PORT"},
        {{.to = ":80"}, "--to takes HOST:PORT"},
        {{.to = "gone.test:80"}, "has no address of that name"},
        {{.to = "10.0.0.1:80", .from = "nobody"}, "neither an address"},
        {{.to = "10.0.0.1:80", .from = "pod:shop/gone"}, "no pod"},
        {{.to = "10.0.0.1:80", .from = "node:gone"}, "no node"},
    };
    struct pg_text text = {0};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pg_text_clear(&text);
        outcome(cases[i].words, &text);
        if (!strstr(text.at, cases[i].why)) {
            fail_msg("case %zu: want \"%s\", got \"%s\"", i, cases[i].why, text.at);
        }
    }
    pg_text_free(&text);
}

static void odds_add_up_to_one(void **state)
{
    struct pg_dry_odds odds;
    struct pg_dry_ask ask;
    struct pg_text why = {0};
    struct pg_ask words = {.url = "http://shop.example.test/cart"};
    double dst = 0, src = 0;

    (void)state;
    assert_int_equal(pg_dry_ask_read(dry, &words, &ask, &why), 0);
    pg_dry_explore(dry, &ask.request, PG_DRY_RUNS_ONE, &odds);
    assert_int_equal(odds.runs, 4); /* two nodes, two endpoints */
    assert_false(odds.partial);
    assert_true(fabs(odds.verdict[PG_VERDICT_LOST] - 1) < 1e-9);
    assert_int_equal(odds.src[0].count, 2);
    for (uint32_t i = 0; i < odds.dst[1].count; i++) {
        dst += odds.dst[1].at[i].odds;
    }
    for (uint32_t i = 0; i < odds.src[0].count; i++) {
        src += odds.src[0].at[i].odds;
    }
    assert_true(fabs(dst - 1) < 1e-9 && fabs(src - 1) < 1e-9);
    pg_dry_ask_free(&ask);
}

static void readers_take_what_they_say(void **state)
{
    struct pg_seen seen = {.client = pg_addr_v4(198, 51, 100, 7),
                           .peer = pg_addr_v4(10, 244, 1, 2),
                           .xff = PG_SLICE_LITERAL("9.9.9.9, 198.51.100.7, 10.0.0.1"),
                           .x_real_ip = PG_SLICE_LITERAL("198.51.100.7"),
                           .forwarded = PG_SLICE_LITERAL("for=9.9.9.9;by=10.0.0.1"),
                           .has_proxy = true,
                           .proxy = pg_addr_v4(198, 51, 100, 7),
                           .client_xff = PG_SLICE_LITERAL("9.9.9.9")};
    static const struct {
        const char *reader;
        const char *takes;
        enum pg_verdict verdict;
    } cases[] = {
        {"peer", "10.244.1.2", PG_VERDICT_LOST},
        {"xff-left", "9.9.9.9", PG_VERDICT_FORGED},
        {"xff-right=1", "10.0.0.1", PG_VERDICT_LOST},
        {"xff-right=2", "198.51.100.7", PG_VERDICT_CARRIED},
        {"xff-trusted=10.0.0.0/8", "198.51.100.7", PG_VERDICT_CARRIED},
        {"xff-trusted=0.0.0.0/0", "9.9.9.9", PG_VERDICT_FORGED},
        {"x-real-ip", "198.51.100.7", PG_VERDICT_CARRIED},
        {"forwarded", "9.9.9.9", PG_VERDICT_FORGED},
        {"proxy", "198.51.100.7", PG_VERDICT_CARRIED},
    };
    static const char *const wrong[] = {
        "",       "xff", "xff-right", "xff-right=0", "xff-right=x", "xff-trusted=", "xff-trusted=a",
        "forward"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pg_reader r;
        struct pg_addr a;
        char text[PG_ADDR_TEXT];
        assert_true(pg_reader_parse(cases[i].reader, &r));
        assert_true(pg_reader_take(&r, &seen, &a));
        assert_string_equal(pg_addr_print(&a, text), cases[i].takes);
        assert_int_equal(pg_verdict_of_reader(&seen, true, &a), cases[i].verdict);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct pg_reader r;
        assert_false(pg_reader_parse(wrong[i], &r));
    }
}

static void fields_have_short_names(void **state)
{
    static const char *const names[] = {"service.spec.externalTrafficPolicy",
                                        "svc.externaltrafficpolicy",
                                        "Service.type",
                                        "service",
                                        "lab.ingress.trustedProxies",
                                        "ing.rules.host"};
    struct pg_text out = {0};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(pg_explain_field(names[i], &out));
    }
    assert_false(pg_explain_field("service.spec.nothing", &out));
    assert_false(pg_explain_field("", &out));
    assert_false(pg_explain_field("servic", &out));
    pg_text_free(&out);
}

static void predictions_name_who_is_seen(void **state)
{
    struct pg_predictions p;

    (void)state;
    pg_predict(dry, &p);
    assert_string_equal(p.at[0].object, "Service/edge/gateway");
    assert_non_null(strstr(p.at[0].text.at, "will see 10.244.1.1 or 192.0.2.12 as their client"));
    assert_int_equal(pg_reason_get(p.at[0].reason)->code, PG_CODE_MASQ_CLUSTER);
    assert_non_null(strstr(p.at[p.count - 1].text.at, "a client outside is LOST"));
    pg_predictions_free(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcomes),
        cmocka_unit_test(words_that_are_refused),
        cmocka_unit_test(odds_add_up_to_one),
        cmocka_unit_test(readers_take_what_they_say),
        cmocka_unit_test(fields_have_short_names),
        cmocka_unit_test(predictions_name_who_is_seen),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
