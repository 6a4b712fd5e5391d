/* Documents of kind Check: what they ask, and how mistakes in them are told. */
#include "load_text.h"

#include "podglass/checks.h"

#include <errno.h>

#define WORLD                                                        \
    "apiVersion: v1\n"                                               \
    "kind: Service\n"                                                \
    "metadata: {name: web, namespace: shop}\n"                       \
    "spec: {selector: {app: web}, ports: [{port: 80}]}\n"            \
    "---\n"                                                          \
    "apiVersion: v1\n"                                               \
    "kind: Pod\n"                                                    \
    "metadata: {name: web-0, namespace: shop, labels: {app: web}}\n" \
    "spec: {containers: []}\n"                                       \
    "---\n"
#define HEAD       "apiVersion: podglass/v1alpha1\nkind: Check\ncases:\n"
#define HEAD_LINES 13 /* of WORLD and HEAD: the first case is in the next one */
#define REQUEST    "  request: {from: 198.51.100.7, url: http://shop.example.test/}\n"

static struct loaded load_checks(const char *cases, struct pg_checks *ret)
{
    struct pg_text text = {0};
    memset(ret, 0, sizeof *ret);
    pg_text_printf(&text, "%s%s%s", WORLD, HEAD, cases);
    struct loaded l = load_bytes(text.at, text.len, (struct pg_load_options){.checks = ret});
    pg_text_free(&text);
    return l;
}

static void a_case_keeps_what_it_asks_and_where(void **state)
{
    struct pg_checks checks;
    struct loaded l = load_checks(
        "- name: everything\n"
        "  request:\n"
        "    fromPod: shop/web-0\n"
        "    url: http://[2001:db8::1]:8080/cart?x=1\n"
        "    method: PUT\n"
        "    headers: {X-Forwarded-For: 10.0.0.1, X-Number: 7}\n"
        "    body: \"on\"\n"
        "  expect:\n"
        "    status: 200\n"
        "    service: shop/web\n"
        "    endpoint: shop/web-*\n"
        "    peer: 10.244.1.2\n"
        "    client: {verdict: carried, not: forged, address: 198.51.100.7, by: x-real-ip}\n"
        "    header: {X-A: absent, X-B: \"absent\", X-C: 80}\n"
        "    reader: {xff-left: 10.0.0.1, xff-right=2: nothing}\n"
        "    drops: {source-range: 2}\n",
        &checks);
    print_findings(&l);
    assert_int_equal(l.rc, 0);
    assert_int_equal(checks.count, 1);
    const struct pg_check_case *c = &checks.cases[0];
    assert_string_equal(c->name, "everything");
    assert_string_equal(c->source.file, "t.yaml");
    assert_int_equal(c->source.line, HEAD_LINES + 1);
    assert_string_equal(c->request.search, "shop");
    assert_true(pg_addr_is_v4(&c->request.from[0]));
    assert_string_equal(c->request.host, "2001:db8::1");
    assert_string_equal(c->request.field, "[2001:db8::1]:8080");
    assert_int_equal(c->request.port, 8080);
    assert_string_equal(c->request.path, "/cart?x=1");
    assert_string_equal(c->request.method, "PUT");
    assert_int_equal(c->request.header_count, 2);
    assert_string_equal(c->request.headers[1].value, "7");
    assert_int_equal(c->request.body.len, 2);
    const struct pg_check_expect *e = &c->expect;
    assert_string_equal(e->status.value, "200");
    assert_int_equal(e->status.source.line, HEAD_LINES + 9);
    assert_null(e->error.value);
    assert_string_equal(e->by.value, "x-real-ip");
    assert_string_equal(e->not_verdict.value, "forged");
    assert_int_equal(e->header_count, 3);
    assert_null(e->headers[0].value);
    assert_string_equal(e->headers[1].value, "absent");
    assert_string_equal(e->headers[2].value, "80");
    assert_int_equal(e->reader_count, 2);
    assert_null(e->readers[1].value);
    assert_string_equal(e->drops[0].value, "2");
    pg_checks_free(&checks);
    unload(&l);
}

static void mistakes_have_their_places(void **state)
{
    static const struct {
        const char *cases;
        const char *phrase;
        unsigned line; /* after the head */
    } rows[] = {
        {"- name: a\n" REQUEST "  expect: {}\n", "expects nothing", 3},
        {"- name: a\n" REQUEST, "expects nothing", 1},
        {"- name: a\n  expect: {status: 200}\n", "needs a request", 1},
        {"- request: {from: 198.51.100.7, url: http://a/}\n  expect: {status: 200}\n",
         "needs a name", 1},
        {"- name: a\n" REQUEST "  expect: {status: 20}\n", "100 to 599", 3},
        {"- name: a\n" REQUEST "  expect: {stauts: 200}\n", "did you mean status", 3},
        {"- name: a\n" REQUEST "  expect: {status: 200, error: reset}\n", "either a status", 3},
        {"- name: a\n" REQUEST "  expect: {service: shop/wbe}\n", "no service shop/wbe", 3},
        {"- name: a\n" REQUEST "  expect: {endpoint: shop/web-9}\n", "no pod shop/web-9", 3},
        {"- name: a\n" REQUEST "  expect: {client: {verdict: happy}}\n", "kept, carried", 3},
        {"- name: a\n" REQUEST "  expect: {client: {}}\n", "expected verdict", 3},
        {"- name: a\n" REQUEST "  expect: {reader: {xff-right=0: 10.0.0.1}}\n", "no reader", 3},
        {"- name: a\n" REQUEST "  expect: {reader: {peer: web}}\n", "an address, or nothing", 3},
        {"- name: a\n" REQUEST "  expect: {drops: [lost]}\n", "no drop called", 3},
        {"- name: a\n  request: {fromPod: shop/x, url: http://a/}\n  expect: {status: 200}\n",
         "no pod shop/x", 2},
        {"- name: a\n  request: {fromNode: n9, url: http://a/}\n  expect: {status: 200}\n",
         "no node n9", 2},
        {"- name: a\n  request: {from: bob, url: http://a/}\n  expect: {status: 200}\n",
         "neither an address nor a client of the lab: bob", 2},
        {"- name: a\n  request: {from: 127.0.0.1, url: http://a/}\n  expect: {status: 200}\n",
         "loopback", 2},
        {"- name: a\n  request: {url: http://a/}\n  expect: {status: 200}\n", "one of from", 2},
        {"- name: a\n  request: {from: alice, url: ftp://a/}\n  expect: {status: 200}\n",
         "expected http[s]://", 2},
        {"- name: a\n  request: {from: alice, url: \"http://a:0/\"}\n  expect: {status: 200}\n",
         "not a port", 2},
        {"- name: a\n  request: {from: alice, url: \"http://u@a/\"}\n  expect: {status: 200}\n",
         "neither a host name", 2},
        {"- name: a\n  request: {from: alice, url: \"http://a/b c\"}\n  expect: {status: 200}\n",
         "no blanks", 2},
        {"- name: a\n  request: {from: alice, url: http://a/, method: \"G T\"}\n"
         "  expect: {status: 200}\n",
         "not a method", 2},
        {"- name: a\n  request: {from: alice, url: http://a/, headers: {X: \"a\\r\\nB: c\"}}\n"
         "  expect: {status: 200}\n",
         "one line", 2},
        {"- name: a\n" REQUEST "  expect: {status: 200}\n"
         "- name: a\n" REQUEST "  expect: {status: 200}\n",
         "second case of that name", 4},
        {"  []\n", "no cases", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_checks checks;
        char place[32];
        struct loaded l = load_checks(rows[i].cases, &checks);
        snprintf(place, sizeof place, "t.yaml:%u:", HEAD_LINES + rows[i].line);
        if (l.rc != -EINVAL || find(&l, place, rows[i].phrase) == NULL) {
            print_findings(&l);
            fail_msg("row %zu: expected %s %s", i, place, rows[i].phrase);
        }
        assert_null(checks.memory);
        unload(&l);
    }
}

static void other_verbs_note_a_check_and_go_on(void **state)
{
    struct loaded l = load_text(WORLD HEAD "- 1\n");
    assert_int_equal(l.rc, 0);
    const struct pg_finding *f = find(&l, "PG402", "only podglass check");
    assert_non_null(f);
    assert_int_equal(f->level, PG_FINDING_NOTE);
    unload(&l);
}

static void documents_add_up(void **state)
{
    struct pg_checks checks;
    struct loaded l = load_checks("- name: a\n" REQUEST "  expect: {drops: none}\n"
                                  "---\n" HEAD "- name: b\n" REQUEST "  expect: {status: 404}\n",
                                  &checks);
    print_findings(&l);
    assert_int_equal(l.rc, 0);
    assert_int_equal(checks.documents, 2);
    assert_int_equal(checks.count, 2);
    assert_true(checks.cases[0].expect.no_drops);
    assert_string_equal(checks.cases[1].name, "b");
    pg_checks_free(&checks);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_case_keeps_what_it_asks_and_where),
        cmocka_unit_test(mistakes_have_their_places),
        cmocka_unit_test(other_verbs_note_a_check_and_go_on),
        cmocka_unit_test(documents_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
