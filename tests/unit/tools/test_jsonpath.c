/* tools/jsonpath.c and jsonpath_find.c: templates as kubectl fills them in, and mistakes with their places. */
#include "jsonpath.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char document[] =
    "{\"kind\":\"ServiceList\",\"items\":["
    "{\"name\":\"web\",\"namespace\":\"shop\",\"labels\":{\"app.kubernetes.io/name\":\"web\"},"
    "\"ips\":[\"10.96.12.40\",\"2001:db8::40\"],"
    "\"ports\":[{\"name\":\"http\",\"port\":80},{\"name\":\"admin\",\"port\":8081}],"
    "\"ready\":true,\"source\":null},"
    "{\"name\":\"db\\u001b[2J\",\"namespace\":\"shop\",\"ips\":[\"None\"],"
    "\"ports\":[{\"name\":\"sql\",\"port\":5432}],\"ready\":false},"
    "{\"name\":\"gateway\",\"namespace\":\"edge\",\"ips\":[],\"ports\":[],\"ready\":true,"
    "\"weight\":1.5}]}";

static json_t *root;

static int load(void **state)
{
    (void)state;
    root = json_loads(document, 0, NULL);
    return root == NULL;
}

static int unload(void **state)
{
    (void)state;
    json_decref(root);
    return 0;
}

static void assert_printed(const char *template, const char *wanted)
{
    struct pg_text why = {0};
    struct pg_text out = {0};
    struct pg_jsonpath *p = pg_jsonpath_parse(template, &why);

    if (!p) {
        fail_msg("%s: %s", template, why.at);
    }
    pg_jsonpath_print(p, root, &out);
    if (strcmp(out.at ? out.at : "", wanted) != 0) {
        fail_msg("%s\n got \"%s\"\nwant \"%s\"", template, out.at ? out.at : "", wanted);
    }
    pg_jsonpath_free(p);
    pg_text_free(&out);
    pg_text_free(&why);
}

static void templates_are_filled_in(void **state)
{
    static const char *const rows[][2] = {
        {"", ""},
        {"no action", "no action"},
        {"{.kind}", "ServiceList"},
        {"kind: {.kind}!", "kind: ServiceList!"},
        {"{.items[*].name}", "web db\\x1b[2J gateway"},
        {"{.items[*]['name','namespace']}", "web shop db\\x1b[2J shop gateway edge"},
        {"{.items[0].ports[*].port}", "80 8081"},
        {"{.items[0].ports}",
         "[{\"name\":\"http\",\"port\":80},{\"name\":\"admin\",\"port\":8081}]"},
        {"{.items[-1].name}", "gateway"},
        {"{.items[0,2].name}", "web gateway"},
        {"{.items[0:2].namespace}", "shop shop"},
        {"{.items[1:].namespace}", "shop edge"},
        {"{.items[::2].name}", "web gateway"},
        {"{.items[:-1].namespace}", "shop shop"},
        {"{.items[7].name}", ""},
        {"{.items[-7].name}", ""},
        {"{.nothing.here}", ""},
        {"{.kind.name}", ""},
        {"{.items[0].source}", ""},
        {"{.items[0].ready} {.items[2].weight}", "true 1.5"},
        {"{.items[0].labels.app\\.kubernetes\\.io/name}", "web"},
        {"{.items[0].labels['app.kubernetes.io/name']}", "web"},
        {"{['kind']}", "ServiceList"},
        {"{$.kind}{@.kind}", "ServiceListServiceList"},
        {"{..port}", "80 8081 5432"},
        {"{.items[0].ports[*].*}", "http 80 admin 8081"},
        {"{.items[?(@.namespace==\"edge\")].name}", "gateway"},
        {"{.items[?(@.namespace!='edge')].ips[0]}", "10.96.12.40 None"},
        {"{.items[?(@.ready==true)].name}", "web gateway"},
        {"{.items[?(@.weight)].name}", "gateway"},
        {"{.items[?( @.weight >= 1.5 )].name}", "gateway"},
        {"{.items[?(@.weight<1.5)].name}", ""},
        {"{.items[*].ports[?(@.port>80)].name}", "admin sql"},
        {"{.items[*].ports[?(@.port<=80)].name}", "http"},
        {"{.items[?(@.namespace==@.name)].name}", ""},
        {"{.items[?(@.ports[0].name=='sql')].namespace}", "shop"},
        {"{range .items[*]}{.namespace}/{.ips[0]}{\"\\n\"}{end}",
         "shop/10.96.12.40\nshop/None\nedge/\n"},
        {"{range .items[*]}[{range .ports[*]}{.port},{end}]{end}.", "[80,8081,][5432,][]."},
        {"{range .items[*]}{$.kind} {end}", "ServiceList ServiceList ServiceList "},
        {"{range .items[:0]}x{end}", ""},
        {"{\"a\\tb\" '\\'' .kind}", "a\tb'ServiceList"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_printed(rows[i][0], rows[i][1]);
    }
}

static void mistakes_are_told_with_their_place(void **state)
{
    static const struct {
        const char *template;
        const char *why;
    } rows[] = {
        {"{.items[*}", "at character 10: ] is expected"},
        {"{.items", "at character 8: } is missing"},
        {"{.items[}", "at character 9: an index"},
        {"{.items[0", "at character 10: ]"},
        {"{items}", "at character 2: a path begins with a dot"},
        {"{.a[?(@.b=1)]}", "at character 10: =="},
        {"{.a[?@.b]}", "at character 6: a filter is"},
        {"{.a[?(@.b==)]}", "at character 12: a path"},
        {"{.a[?(@.b=~'x')]}", "at character 10: =="},
        {"{.a[?(@.b=='x' && @.c)]}", "at character 16: =="},
        {"{\"open}", "at character 2: this quote is not closed"},
        {"{range .a}", "a {range} has no {end}"},
        {"{end}", "an {end} without {range}"},
        {"{range .a}{end}{end}", "an {end} without {range}"},
        {"{range}", "at character 7: a path begins"},
        {"{.a..}", "a name is expected"},
        {"{.a[0:1:0]}", "at least 1"},
        {"{.a[?(@[?(@[?(@[?(@[?(@[?(@[?(@[?(@[?(@[?(@.b)])])])])])])])])])]}", "too many filters"},
        {"{.a b}", "at character 5: a path begins"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_text why = {0};
        struct pg_jsonpath *p = pg_jsonpath_parse(rows[i].template, &why);

        if (p || !strstr(why.at, rows[i].why)) {
            fail_msg("%s: %s, want %s", rows[i].template, p ? "taken" : why.at, rows[i].why);
        }
        pg_text_free(&why);
    }
}

static void paths_alone_may_be_bare(void **state)
{
    static const char *const rows[][2] = {
        {".items[0].name", "web"},        {"items[0].name", "web"}, {"{.items[0].name}", "web"},
        {"$.kind", "ServiceList"},        {"kind", "ServiceList"},  {"{kind}", "ServiceList"},
        {"items[0].ips", NULL /* both */}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pg_text why = {0};
        struct pg_jsonpath *p = pg_jsonpath_parse_path(rows[i][0], &why);
        assert_non_null(p);
        json_t *found = pg_jsonpath_find(p, root);

        assert_int_equal(json_array_size(found), 1);
        if (rows[i][1]) {
            assert_string_equal(json_string_value(json_array_get(found, 0)), rows[i][1]);
        }
        json_decref(found);
        pg_jsonpath_free(p);
        pg_text_free(&why);
    }
    struct pg_text why = {0};
    assert_null(pg_jsonpath_parse_path("a b", &why));
    assert_non_null(strstr(why.at, "at character 2"));
    pg_text_clear(&why);
    assert_null(pg_jsonpath_parse_path("{.a", &why));
    pg_text_free(&why);
}

/* Whatever a command line holds: an answer or an error, and nothing read beyond its end. */
static void any_cut_of_a_template_is_taken_or_refused(void **state)
{
    static const char whole[] =
        "{range .items[?(@.ports[0].port>=80)]}{.name}{\"\\t\"}{..port}{['a','b'][0,1][1:2:3]}"
        "{.a\\.b}{$.kind}{end}";

    (void)state;
    for (size_t len = 0; len <= sizeof whole - 1; len++) {
        char *cut = strndup(whole, len); /* so that a sanitizer sees its end */
        struct pg_text why = {0};
        struct pg_text out = {0};
        struct pg_jsonpath *p = pg_jsonpath_parse(cut, &why);

        assert_true((p != NULL) == (why.len == 0));
        if (p) {
            pg_jsonpath_print(p, root, &out);
        }
        pg_jsonpath_free(p);
        pg_text_free(&out);
        pg_text_free(&why);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(templates_are_filled_in),
        cmocka_unit_test(mistakes_are_told_with_their_place),
        cmocka_unit_test(paths_alone_may_be_bare),
        cmocka_unit_test(any_cut_of_a_template_is_taken_or_refused),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
