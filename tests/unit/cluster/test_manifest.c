/* Text to trees: what YAML and JSON may look like, and what is refused with its line. */
#include "load_text.h"

#include <stdlib.h>

#define WEB "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports:\n  - port: 80\n"

static void line_of_every_value_survives_crlf_and_bom(void **state)
{
    (void)state;
    struct loaded l =
        load_text("\xef\xbb\xbf"
                  "apiVersion: v1\r\nkind: Service\r\nmetadata:\r\n  name: web\r\nspec:\r\n"
                  "  ports:\r\n  - port: 80\r\n");
    assert_loads(&l);
    const struct pg_service *v = service(&l, "default", "web");
    assert_int_equal(v->source.line, 1);
    assert_int_equal(l.s->service_ports[v->port_first].source.line, 7);
    assert_string_equal(l.s->service_ports[v->port_first].source.file, "t.yaml");
    unload(&l);
}

static void empty_documents_and_comments_are_skipped(void **state)
{
    (void)state;
    static const char *const texts[] = {"",
                                        "\n\n",
                                        "---\n",
                                        "# only a comment\n",
                                        "---\n---\n# x\n---\nnull\n",
                                        ("---\n" WEB "---\n---\n")};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct loaded l = load_text(texts[i]);
        assert_loads(&l);
        assert_int_equal(l.findings.count, 0);
        unload(&l);
    }
}

static void json_has_lines_too(void **state)
{
    (void)state;
    struct loaded l =
        load_text("{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Service\",\n"
                  "\t\"metadata\": {\"name\": \"web\"},\n"
                  "\t\"spec\": {\n\t\t\"ports\": [\n\t\t\t{\"port\":80}\n\t\t]\n\t}\n}\n");
    assert_loads(&l);
    const struct pg_service *v = service(&l, "default", "web");
    assert_int_equal(l.s->service_ports[v->port_first].source.line, 7);
    unload(&l);
}

static void json_that_yaml_refuses_is_read_as_json(void **state)
{
    (void)state;
    struct loaded l = load_text(
        "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{\"name\":\"web\","
        "\"annotations\":{\"note\":\"\\ud83d\\ude00\"}},\"spec\":{\"ports\":[{\"port\":80}]}}");
    assert_loads(&l);
    assert_int_equal(service(&l, "default", "web")->source.line, 1);
    unload(&l);
}

static void json_lines_keep_their_lines(void **state)
{
    (void)state;
    struct loaded l = load_text("{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{"
                                "\"name\":\"a\"},\"spec\":{\"ports\":[{\"port\":80}]}}\n"
                                "\n"
                                "{\"apiVersion\":\"v1\",\"kind\":\"Service\",\"metadata\":{"
                                "\"name\":\"b\"},\"spec\":{\"ports\":[{\"port\":\"80\"}]}}\n");
    assert_int_equal(l.rc, -22);
    assert_non_null(find(&l, "t.yaml:3", "remove the quotes"));
    unload(&l);
}

static void anchors_and_merge_keys_are_resolved(void **state)
{
    (void)state;
    struct loaded l =
        load_text("apiVersion: v1\nkind: List\nitems:\n"
                  "- apiVersion: v1\n  kind: Service\n  metadata: {name: a}\n"
                  "  spec: &spec\n    type: NodePort\n    ports: &ports\n    - port: 80\n"
                  "- apiVersion: v1\n  kind: Service\n  metadata: {name: b}\n"
                  "  spec: {<<: *spec, type: ClusterIP}\n"
                  "- apiVersion: v1\n  kind: Service\n  metadata: {name: c}\n"
                  "  spec:\n    <<: [{type: LoadBalancer}, *spec]\n    ports: *ports\n");
    assert_loads(&l);
    assert_int_equal(service(&l, "default", "a")->type, PG_SERVICE_NODE_PORT);
    assert_int_equal(service(&l, "default", "b")->type, PG_SERVICE_CLUSTER_IP);
    assert_int_equal(service(&l, "default", "c")->type, PG_SERVICE_LOAD_BALANCER);
    assert_int_equal(service(&l, "default", "c")->port_count, 1);
    unload(&l);
}

static void broken_text_is_one_error_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *phrase;
    } rows[] = {
        {"a:\n\t- b\n", "t.yaml:2:1", "a tab cannot indent YAML"},
        {"a: [1, 2\nb: 3\n", "t.yaml:2", "not valid YAML"},
        {"a: 1\nb: 2\na: 3\n", "t.yaml:3:1", "\"a\" is given twice: first in line 1"},
        {"a: *nobody\n", "t.yaml:1:4", "no anchor &nobody"},
        {"[a]: b\n", "t.yaml:1:1", "the name of a field must be text"},
        {"a: {<<: 5}\n", "t.yaml:1:5", "a merge key (<<) needs a map"},
        {"{\"a\": 1,\n \"b\": \"\\ud83d\\ude00\",\n \"a\": 2}", "t.yaml:3", "duplicate"},
        {"{\"a\": \"\\ud83d\"}", "t.yaml:1", "as JSON"},
        {"{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"a\"}}}",
         "t.yaml:1", "not valid"},
        {"a: \xff\n", "t.yaml:1", "UTF-8"},
        {"just text\n", "t.yaml:1", "expected an object"},
        {"kind: Service\n", "t.yaml:1", "no apiVersion"},
        {"apiVersion: v1\n", "t.yaml:1", "no kind"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct loaded l = load_text(rows[i].text);
        if (find(&l, rows[i].place, rows[i].phrase) == NULL) {
            print_message("row %zu: %s", i, rows[i].text);
            print_findings(&l);
            fail();
        }
        assert_int_equal(l.rc, -22);
        if (count_level(&l, PG_FINDING_ERROR) != 1)
            print_findings(&l);
        assert_int_equal(count_level(&l, PG_FINDING_ERROR), 1);
        unload(&l);
    }
}

static void documents_after_a_broken_one_are_still_read(void **state)
{
    (void)state;
    struct loaded l = load_text("a: 1\na: 2\n---\n" SERVICE("web", "  ports: [{port: 0}]\n"));
    assert_non_null(find(&l, "t.yaml:2:1", "given twice"));
    assert_non_null(find(&l, "t.yaml:8", "spec.ports[0].port"));
    unload(&l);
}

static void an_alias_bomb_is_refused(void **state)
{
    (void)state;
    struct pg_text t = {0};
    pg_text_puts(&t, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 12; i++) {
        pg_text_printf(&t, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            pg_text_printf(&t, "%s*a%d", j == 0 ? "" : ", ", i - 1);
        pg_text_puts(&t, "]\n");
    }
    struct loaded l = load_bytes(t.at, t.len, (struct pg_load_options){0});
    assert_non_null(find(&l, "t.yaml:", "aliases stand for more than 100000 values"));
    assert_int_equal(count_level(&l, PG_FINDING_ERROR), 1);
    unload(&l);
    pg_text_free(&t);
}

static void depth_is_limited_also_through_aliases(void **state)
{
    (void)state;
    struct pg_text t = {0};
    for (int i = 0; i < 1000; i++)
        pg_text_putc(&t, '[');
    struct loaded l = load_bytes(t.at, t.len, (struct pg_load_options){0});
    assert_int_equal(l.rc, -22);
    unload(&l);
    pg_text_clear(&t);
    pg_text_puts(&t, "a0: &a0 x\n");
    for (int i = 1; i < 100; i++)
        pg_text_printf(&t, "a%d: &a%d [*a%d]\n", i, i, i - 1);
    l = load_bytes(t.at, t.len, (struct pg_load_options){0});
    assert_non_null(find(&l, "t.yaml:", "nested more than 64 deep"));
    unload(&l);
    pg_text_free(&t);
}

static void a_huge_file_is_refused_by_size(void **state)
{
    (void)state;
    size_t len = ((size_t)64 << 20) + 1;
    char *text = malloc(len);
    assert_non_null(text);
    memset(text, ' ', len);
    struct loaded l = load_bytes(text, len, (struct pg_load_options){0});
    assert_int_equal(l.rc, -22);
    assert_non_null(find(&l, "t.yaml", "larger than 64 MiB"));
    unload(&l);
    free(text);
}

static void a_million_keys_are_quick_and_a_flood_of_findings_is_cut(void **state)
{
    (void)state;
    struct pg_text t = {0};
    pg_text_puts(&t, "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec:\n");
    for (int i = 0; i < 200000; i++)
        pg_text_printf(&t, "  k%d: 1\n", i);
    struct loaded l = load_bytes(t.at, t.len, (struct pg_load_options){0});
    assert_int_equal(l.rc, -22); /* no ports */
    assert_int_equal(l.findings.count, 10001);
    assert_non_null(find(&l, "", "too many findings"));
    unload(&l);
    pg_text_free(&t);
}

static void files_directories_and_missing_ones(void **state)
{
    (void)state;
    struct loaded l = {0};
    struct pg_manifest_input inputs[] = {{"examples/lab", NULL, 0},
                                         {"/nonexistent/x.yaml", NULL, 0}};
    struct pg_load_options options = {0};
    /* Tests run in the source folder; elsewhere only the missing file can be tried. */
    l.rc = pg_snapshot_load(&inputs[1], 1, &options, &l.s, &l.findings);
    assert_int_equal(l.rc, -2);
    assert_non_null(find(&l, "/nonexistent/x.yaml", "cannot be read"));
    unload(&l);
    l.rc = pg_snapshot_load(inputs, 1, &options, &l.s, &l.findings);
    if (l.rc == -2)
        skip();
    assert_loads(&l);
    assert_string_equal(service(&l, "shop", "web")->source.file, "examples/lab/shop.yaml");
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(line_of_every_value_survives_crlf_and_bom),
        cmocka_unit_test(empty_documents_and_comments_are_skipped),
        cmocka_unit_test(json_has_lines_too),
        cmocka_unit_test(json_that_yaml_refuses_is_read_as_json),
        cmocka_unit_test(json_lines_keep_their_lines),
        cmocka_unit_test(anchors_and_merge_keys_are_resolved),
        cmocka_unit_test(broken_text_is_one_error_with_its_place),
        cmocka_unit_test(documents_after_a_broken_one_are_still_read),
        cmocka_unit_test(an_alias_bomb_is_refused),
        cmocka_unit_test(depth_is_limited_also_through_aliases),
        cmocka_unit_test(a_huge_file_is_refused_by_size),
        cmocka_unit_test(a_million_keys_are_quick_and_a_flood_of_findings_is_cut),
        cmocka_unit_test(files_directories_and_missing_ones),
    };
    return cmocka_run_group_tests_name("cluster/manifest", tests, NULL, NULL);
}
