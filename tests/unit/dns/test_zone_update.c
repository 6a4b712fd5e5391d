/* dns/zone_update.c: a zone that was brought from one snapshot to the next answers as a new one would. */
#include "dns_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SERVICES 12
#define STEPS    300

static uint32_t next_draw(uint64_t *draw, uint32_t below)
{
    *draw = *draw * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)((*draw >> 33) % below);
}

/* ---- clusters ---- */

static const char *const kinds[] = {"clusterIP: None,", "",
                                    "publishNotReadyAddresses: true, clusterIP: None,"};

/* A service out of few, each time different: gone, another type, other endpoints, the same addresses as a neighbour's. */
static void add_service(struct pg_text *out, uint32_t i, uint64_t *draw)
{
    uint32_t kind = next_draw(draw, 5);
    const char *namespace = i % 3 ? "shop" : "blog";

    if (kind == 4) {
        return; /* gone */
    }
    pg_text_printf(out,
                   "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: %s, name: s%u}\n",
                   namespace, i);
    if (kind == 3) {
        pg_text_printf(out,
                       "spec: {type: ExternalName, externalName: s%u.shop.svc.cluster.local}\n",
                       next_draw(draw, SERVICES));
        return;
    }
    pg_text_printf(out, "spec: {%s ports: [{name: web, port: %u}, {name: b, port: 81}]}\n",
                   kinds[kind], 79 + next_draw(draw, 2));
    pg_text_printf(out,
                   "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
                   "metadata: {namespace: %s, name: e%u, labels: {kubernetes.io/service-name: "
                   "s%u}}\naddressType: IPv4\nports: [{name: web, port: 8080}, {name: b, port: "
                   "81}]\nendpoints:\n",
                   namespace, i, i);
    for (uint32_t e = 0, count = next_draw(draw, 4); e <= count; e++) {
        pg_text_printf(out, "- {addresses: [10.244.1.%u], conditions: {ready: %s}%s}\n",
                       10 + next_draw(draw, 20), next_draw(draw, 3) ? "true" : "false",
                       next_draw(draw, 2) ? "" : ", hostname: h-1");
    }
}

static struct dns_fixture random_cluster(uint64_t *draw)
{
    struct pg_text text = {0};

    pg_text_puts(&text, dns_fixture_lab);
    pg_text_puts(&text, "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: edge, name: "
                        "gateway}\nspec: {type: LoadBalancer, selector: {app: g}, ports: [{port: "
                        "80}]}\n---\napiVersion: v1\nkind: Pod\nmetadata: {namespace: edge, name: "
                        "g-0, labels: {app: g}}\n");
    if (next_draw(draw, 4) == 0) {
        pg_text_puts(&text, "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: quiet}\n");
    }
    pg_text_printf(&text,
                   "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {namespace: "
                   "shop, name: i}\nspec: {rules: [{host: h%u.example.test, http: {paths: [{path: "
                   "/, pathType: Prefix, backend: {service: {name: s1, port: {number: "
                   "80}}}}]}}]}\n",
                   next_draw(draw, 2));
    for (uint32_t i = 0; i < SERVICES; i++) {
        add_service(&text, i, draw);
    }
    struct dns_fixture f = dns_fixture_load(text.at, "", "");

    pg_text_free(&text);
    return f;
}

/* ---- what they answer ---- */

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The answer as sorted lines: the order of several records is free. */
static void ask(const struct pg_zone *z, const char *name, uint16_t type, struct pg_text *out)
{
    struct dns_question question = {.name = name, .type = type, .over_tcp = true};
    struct pg_text text = dns_ask_full(z, question, NULL, NULL);
    char *lines[512];
    size_t count = 0;

    for (char *line = strtok(text.at, "\n"); line && count < 512; line = strtok(NULL, "\n")) {
        lines[count++] = line;
    }
    qsort(lines, count, sizeof(lines[0]), compare_lines);
    for (size_t i = 0; i < count; i++) {
        pg_text_printf(out, "%s\n", lines[i]);
    }
    pg_text_free(&text);
}

static const struct {
    const char *before, *after; /* the number */
    uint32_t count;
} forms[] = {
    {"s", ".shop.svc.cluster.local", SERVICES},
    {"s", ".blog.svc.cluster.local", SERVICES},
    {"h-1.s", ".shop.svc.cluster.local", SERVICES},
    {"_web._tcp.s", ".shop.svc.cluster.local", SERVICES},
    {"", ".1.244.10.in-addr.arpa", 32},
    {"h", ".example.test", 2},
};

static void ask_all(const struct pg_zone *z, struct pg_text *out)
{
    static const uint16_t types[] = {PG_DNS_A, PG_DNS_SRV, PG_DNS_PTR};
    char name[80];

    for (size_t form = 0; form < sizeof(forms) / sizeof(forms[0]); form++) {
        for (uint32_t i = 0; i < forms[form].count; i++) {
            (void)snprintf(name, sizeof(name), "%s%u%s", forms[form].before, i, forms[form].after);
            for (size_t t = 0; t < 3; t++) {
                ask(z, name, types[t], out);
            }
        }
    }
    ask(z, "quiet.svc.cluster.local", PG_DNS_A, out);
    ask(z, "cluster.local", PG_DNS_NS, out);
}

static void assert_same_answers(const struct pg_zone *z, const struct pg_zone *fresh)
{
    struct pg_text a = {0};
    struct pg_text b = {0};

    ask_all(z, &a);
    ask_all(fresh, &b);
    assert_string_equal(a.at, b.at);
    pg_text_free(&a);
    pg_text_free(&b);
}

/* ---- tests ---- */

static void let_go(struct dns_fixture *f)
{
    pg_zone_free(f->zone);
    pg_snapshot_put(f->snapshot);
}

static void after_any_change_answers_are_those_of_a_new_zone(void **state)
{
    uint64_t draw = 7;
    struct dns_fixture first = random_cluster(&draw);

    for (int step = 0; step < STEPS; step++) {
        struct dns_fixture fresh = random_cluster(&draw);
        struct pg_zone_update *u = pg_zone_update_begin(first.zone, fresh.snapshot);

        assert_non_null(u);
        if (next_draw(&draw, 3)) {
            pg_zone_update_commit(u);
            pg_zone_update_free(u);
            assert_same_answers(first.zone, fresh.zone);
        } else {
            pg_zone_update_free(u); /* taken back: what was in force stays */
        }
        let_go(&fresh);
    }
    let_go(&first);
}

static void an_update_that_is_taken_back_changes_nothing(void **state)
{
    uint64_t draw = 3;
    struct dns_fixture before = random_cluster(&draw);
    struct dns_fixture after = random_cluster(&draw);
    struct pg_hash_key key = {3, 4};
    struct pg_zone *same = pg_zone_new(before.snapshot, &key);

    pg_zone_update_free(pg_zone_update_begin(before.zone, after.snapshot));
    assert_same_answers(before.zone, same);
    pg_zone_free(same);
    let_go(&before);
    let_go(&after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(after_any_change_answers_are_those_of_a_new_zone),
        cmocka_unit_test(an_update_that_is_taken_back_changes_nothing),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    pg_reason_forget_all();
    return failed;
}
