/* The verdict that the log and the metrics have of each request, under profiles that let others write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "proxy_world.h"

#include "podglass/verdict.h"

#include <stdio.h>

static const struct {
    const char *set, *fields;
    enum pg_verdict verdict;
} rows[] = {
    {"lab.ingress.profile=strict", "", PG_VERDICT_CARRIED},
    {"lab.ingress.profile=strict", "X-Forwarded-For: 9.9.9.9\r\n", PG_VERDICT_CARRIED},
    {"lab.ingress.profile=ingress-nginx", "X-Forwarded-For: 9.9.9.9\r\n", PG_VERDICT_CARRIED},
    {"lab.ingress.profile=envoy-edge", "", PG_VERDICT_CARRIED},
    {"lab.ingress.profile=envoy-edge", "X-Forwarded-For: 9.9.9.9\r\n", PG_VERDICT_AMBIGUOUS},
    {"lab.ingress.profile=envoy-edge", "x-real-ip: 9.9.9.9\r\n", PG_VERDICT_AMBIGUOUS},
    {"lab.ingress.profile=haproxy", "x-forwarded-for: 9.9.9.9\r\n", PG_VERDICT_AMBIGUOUS},
    {"lab.ingress.profile=haproxy", "", PG_VERDICT_CARRIED},
    {"lab.ingress.headers={X-Forwarded-For: pass, X-Real-IP: off}", "", PG_VERDICT_LOST},
    {"lab.ingress.headers={X-Forwarded-For: pass, X-Real-IP: off}", "X-Forwarded-For: 9.9.9.9\r\n",
     PG_VERDICT_FORGED},
    {"lab.ingress={service: shop/web, xForwardedFor: off, headers: {X-Real-IP: off}, "
     "proxyProtocol: {toPods: v2}}",
     "", PG_VERDICT_CARRIED},
};

static void on_done(void *arg, const struct pg_request_done *done)
{
    *(uint8_t *)arg = (uint8_t)(done->has_verdict ? done->verdict : PG_VERDICT_COUNT);
}

static void every_row_has_its_verdict(void **state)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static struct proxy_world pw;
        char bytes[256];
        uint8_t verdict = PG_VERDICT_COUNT;
        struct pg_proxy_options options = {.on_done = on_done, .done_arg = &verdict};
        pw_sets[0] = rows[i].set;
        pw_open(&pw, &options, NULL);
        pg_trace_set_time(pw.w.trace, 1); /* requests of time 0 were never complete */
        (void)snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: shop.test\r\n%s\r\n",
                       rows[i].fields);
        struct pg_response response = pw_ask(&pw, bytes);
        if (response.status != 200 || verdict != rows[i].verdict)
            fail_msg("%s, %s: status %u, %s", rows[i].set, rows[i].fields, response.status,
                     pg_verdict_name(verdict));
        pg_response_free(&response);
        pw_close(&pw);
    }
    pw_sets[0] = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_has_its_verdict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
