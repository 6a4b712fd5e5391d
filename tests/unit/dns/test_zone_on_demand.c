/* A zone that makes parts when they are asked for answers as one that has them all, in any order of questions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "podglass/dns_decide.h"

#include <stdio.h>
#include <string.h>

static struct pg_snapshot *snapshot;
static struct pg_zone *whole;
static const struct pg_hash_key key = {7, 9};

static int set_up(void **state)
{
    struct pg_manifest_input input = {.path = "tests/walk/manifests/shop.yaml"};
    struct pg_findings findings;

    (void)state;
    assert_int_equal(pg_snapshot_load(&input, 1, NULL, &snapshot, &findings), 0);
    pg_findings_free(&findings);
    whole = pg_zone_new(snapshot, &key);
    assert_non_null(whole);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pg_zone_free(whole);
    pg_snapshot_put(snapshot);
    pg_reason_forget_all();
    return 0;
}

static void same_answer(const struct pg_zone *part, const char *name)
{
    for (int v6 = 0; v6 < 2; v6++) {
        struct pg_addr a[8], b[8];
        uint32_t a_count = 0;
        uint32_t b_count = 0;
        pg_reason_id a_reason = 0;
        pg_reason_id b_reason = 0;
        enum pg_dns_status status =
            pg_dns_resolve(whole, name, strlen(name), v6, a, 8, &a_count, &a_reason);
        if (pg_dns_resolve(part, name, strlen(name), v6, b, 8, &b_count, &b_reason) != status ||
            a_count != b_count || a_reason != b_reason)
            fail_msg("%s: %s and %u addresses of the whole, %u of the other", name,
                     pg_dns_status_name(status), a_count, b_count);
        for (uint32_t i = 0; i < a_count && i < 8; i++)
            assert_true(pg_addr_equal(&a[i], &b[i]));
    }
}

static void names_of(const struct pg_zone *part, uint32_t service)
{
    const struct pg_service *s = &snapshot->services[service];
    char name[600];

    snprintf(name, sizeof name, "%s.%s.svc.cluster.local.", s->name, s->namespace);
    same_answer(part, name);
    for (uint32_t p = s->port_first; p < s->port_first + s->port_count; p++) {
        const struct pg_service_port *port = &snapshot->service_ports[p];
        snprintf(name, sizeof name, "_%s._tcp.%s.%s.svc.cluster.local", port->name, s->name,
                 s->namespace);
        same_answer(part, name);
        for (uint32_t e = port->endpoint_first; e < port->endpoint_first + port->endpoint_count;
             e++) {
            char label[PG_ADDR_TEXT];
            pg_addr_print(&snapshot->endpoints[e].addr, label);
            for (char *c = label; *c; c++)
                *c = (char)(*c == '.' || *c == ':' ? '-' : *c);
            snprintf(name, sizeof name, "%s.%s.%s.svc.cluster.local", label, s->name, s->namespace);
            same_answer(part, name);
        }
    }
}

static void every_name_has_the_same_answer(void **state)
{
    static const char *const others[] = {"",
                                         ".",
                                         "cluster.local",
                                         "svc.cluster.local",
                                         "shop.svc.cluster.local",
                                         "gone.shop.svc.cluster.local",
                                         "x.y.z.svc.cluster.local",
                                         "WEB.Shop.SVC.cluster.LOCAL",
                                         "_tcp.web.shop.svc.cluster.local",
                                         "shop.example.test",
                                         "example.com"};
    uint32_t n = snapshot->service_count;

    (void)state;
    for (int order = 0; order < 3; order++) {
        struct pg_zone *part = pg_zone_on_demand(snapshot, &key);
        assert_non_null(part);
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            same_answer(part, others[i]);
        for (uint32_t i = 0; i < n; i++)
            names_of(part, order == 0 ? i : order == 1 ? n - 1 - i : (i * 7 + 3) % n);
        for (uint32_t i = 0; i < n; i++)
            names_of(part, i);
        pg_zone_free(part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_name_has_the_same_answer)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
