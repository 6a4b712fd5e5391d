/* tools/yaml_write.c, read back by libyaml: the same texts, and as texts what is one. */
#include "get_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yaml.h>

/* What the document says, as JSON: a plain scalar is what JSON reads it as, or a text. */
static json_t *read_node(yaml_document_t *d, int id)
{
    yaml_node_t *n = yaml_document_get_node(d, id);
    json_t *value = NULL;

    if (n->type == YAML_SCALAR_NODE) {
        const char *at = (const char *)n->data.scalar.value;
        size_t len = n->data.scalar.length;

        if (n->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
            value = json_loadb(at, len, JSON_DECODE_ANY, NULL);
        }
        return value ? value : json_stringn(at, len);
    }
    if (n->type == YAML_SEQUENCE_NODE) {
        value = json_array();
        for (yaml_node_item_t *i = n->data.sequence.items.start; i < n->data.sequence.items.top;
             i++) {
            json_array_append_new(value, read_node(d, *i));
        }
        return value;
    }
    value = json_object();
    for (yaml_node_pair_t *p = n->data.mapping.pairs.start; p < n->data.mapping.pairs.top; p++) {
        yaml_node_t *key = yaml_document_get_node(d, p->key);

        json_object_set_new(value, (const char *)key->data.scalar.value, read_node(d, p->value));
    }
    return value;
}

static void assert_reads_back(const json_t *value)
{
    struct pg_text out = {0};
    yaml_parser_t parser;
    yaml_document_t document;

    pg_get_render_yaml(value, &out);
    yaml_parser_initialize(&parser);
    yaml_parser_set_input_string(&parser, (const unsigned char *)out.at, out.len);
    if (!yaml_parser_load(&parser, &document) || !yaml_document_get_root_node(&document)) {
        fail_msg("no YAML: %s", out.at);
    }
    json_t *back = read_node(&document, 1);

    if (!json_equal(value, back)) {
        char *said = json_dumps(back, JSON_ENCODE_ANY);

        fail_msg("reads back as %s:\n%s", said, out.at);
    }
    json_decref(back);
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    pg_text_free(&out);
}

static void documents_read_back(void **state)
{
    static const char *const rows[] = {
        "{}",
        "[]",
        "[[],{},[[]],[{}],[[1,2],[3]]]",
        "{\"a\":{\"b\":{\"c\":[{\"d\":1,\"e\":[]},{\"d\":null}]}},\"f\":{},\"g\":true}",
        "{\"items\":[{\"name\":\"web\",\"ports\":[{\"port\":80}]},{\"name\":\"db\"}],\"n\":-1.5}",
        "[[[[\"deep\"]]],{\"a\":[[{\"b\":[]}]]}]",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *value = json_loads(rows[i], 0, NULL);

        assert_non_null(value);
        assert_reads_back(value);
        json_decref(value);
    }
}

static const char *const texts[] = {"",
                                    " ",
                                    "web",
                                    "shop/web",
                                    "10.96.12.40",
                                    "10.96.12.40:80",
                                    "10.0.0.0/8",
                                    "2001:db8::7",
                                    "[2001:db8::7]:80",
                                    "80",
                                    "080",
                                    "1e3",
                                    "0x1f",
                                    "1.5",
                                    "12:30",
                                    "1:2:3.5",
                                    "-1",
                                    "+1",
                                    "~",
                                    "null",
                                    "Null",
                                    "true",
                                    "False",
                                    "yes",
                                    "No",
                                    "on",
                                    "OFF",
                                    "y",
                                    "N",
                                    ".inf",
                                    ".nan",
                                    "-",
                                    "--- ",
                                    "- a",
                                    "a: b",
                                    "a:",
                                    "a #b",
                                    "#b",
                                    "&a",
                                    "*a",
                                    "!a",
                                    "|",
                                    ">",
                                    "%a",
                                    "@a",
                                    "`a",
                                    "'",
                                    "\"",
                                    "\\",
                                    "a'b",
                                    "a\nb",
                                    "\ttab",
                                    "trailing ",
                                    "{a}",
                                    "[a]",
                                    "a,b",
                                    "?",
                                    ": ",
                                    "=",
                                    "<<",
                                    "2026-11-25",
                                    "\x1b[2J",
                                    "\u00fc",
                                    "\u202e",
                                    "\U0001f600",
                                    "\x7f",
                                    "examples/lab/shop.yaml:13"};

static void texts_stay_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *value = json_pack("{s:s, s:[s], s:{s:i}}", "a", texts[i], "b", texts[i], "c",
                                  texts[i][0] ? texts[i] : "x", 1);

        assert_non_null(value);
        assert_reads_back(value);
        json_decref(value);
    }
}

static void it_looks_as_kubectl_prints_it(void **state)
{
    json_t *value =
        json_pack("{s:[{s:s, s:s, s:[s], s:n, s:b, s:s, s:[]}]}", "items", "name", "web", "port",
                  "80", "ips", "10.96.12.40", "source", "ready", 1, "why", "\x1b[2J", "none");
    struct pg_text out = {0};

    (void)state;
    pg_get_render_yaml(value, &out);
    assert_string_equal(out.at, "items:\n"
                                "- name: web\n"
                                "  port: \"80\"\n"
                                "  ips:\n"
                                "  - 10.96.12.40\n"
                                "  source: null\n"
                                "  ready: true\n"
                                "  why: \"\\u001B[2J\"\n"
                                "  none: []\n");
    pg_text_free(&out);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_read_back),
        cmocka_unit_test(texts_stay_texts),
        cmocka_unit_test(it_looks_as_kubectl_prints_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
