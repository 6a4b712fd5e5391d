/* What describe prints of an item, whatever is in it. */
#include "describe_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct pg_text print(const char *text)
{
    json_t *o = json_loads(text, 0, NULL);
    struct pg_text out = {0};

    assert_non_null(o);
    pg_describe_object(&out, o, 0);
    json_decref(o);
    return out;
}

static void settings_show_whose_word_they_are(void **state)
{
    json_t *o = json_loads("{\"object\":\"Lab\",\"name\":\"spec.ingress.profile\",\"value\":"
                           "\"strict\",\"defaulted\":true,\"source\":null}",
                           0, NULL);
    struct pg_text out = {0};

    pg_describe_setting(&out, o);
    assert_non_null(strstr(out.at, "spec.ingress.profile "));
    assert_non_null(strstr(out.at, " strict  (default)\n"));
    json_object_set_new(o, "defaulted", json_false());
    json_object_set_new(o, "source", json_string("lab.yaml:7"));
    json_object_set_new(o, "value", json_null());
    pg_text_clear(&out);
    pg_describe_setting(&out, o);
    assert_non_null(strstr(out.at, " <none>  Lab  lab.yaml:7\n"));
    json_decref(o);
    pg_text_free(&out);
}

static void lists_of_objects_are_set_apart(void **state)
{
    struct pg_text out = print("{\"hosts\":[\"a.test\",\"b.test\"],\"routes\":[{\"path\":\"/\"}],"
                               "\"tls\":[],\"rule\":null}");

    assert_non_null(strstr(out.at, "Hosts:                         a.test, b.test\n"));
    assert_non_null(strstr(out.at, "  -\n    Path:"));
    assert_non_null(strstr(out.at, "Tls:                           <none>\n"));
    assert_non_null(strstr(out.at, "Rule:                          <none>\n"));
    pg_text_free(&out);
}

/* Hosts, paths, annotations and what a request was refused for are strangers' texts. */
static void strangers_texts_are_escaped(void **state)
{
    static const char evil[] = "\\u001b]0;x\\u0007\\u202e";
    char text[512];
    json_t *setting;
    struct pg_text out;

    snprintf(text, sizeof text,
             "{\"host\":\"%s\",\"hosts\":[\"%s\"],\"filters\":[{\"value\":\"%s\"}],"
             "\"externalTrafficPolicy\":{\"value\":\"%s\",\"defaulted\":false,\"source\":\"%s\"},"
             "\"reason\":{\"code\":\"PG101\",\"object\":\"%s\"}}",
             evil, evil, evil, evil, evil, evil);
    out = print(text);
    assert_null(strchr(out.at, '\033'));
    assert_null(strchr(out.at, '\a'));
    assert_null(strstr(out.at, "\xe2\x80\xae"));
    assert_non_null(strstr(out.at, "\\x1b"));
    pg_text_clear(&out);
    snprintf(text, sizeof text,
             "{\"object\":\"%s\",\"name\":\"%s\",\"value\":\"%s\",\"defaulted\":false,"
             "\"source\":\"%s\"}",
             evil, evil, evil, evil);
    setting = json_loads(text, 0, NULL);
    pg_describe_setting(&out, setting);
    assert_null(strchr(out.at, '\033'));
    assert_null(strstr(out.at, "\xe2\x80\xae"));
    json_decref(setting);
    pg_text_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_show_whose_word_they_are),
        cmocka_unit_test(lists_of_objects_are_set_apart),
        cmocka_unit_test(strangers_texts_are_escaped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
