/* Pages of `describe`: whatever an item has, as it comes.
 *
 * Nothing that a list knows is missing here; a setting shows its line, or that its default decided. Strings are escaped: names come from manifests
 * of strangers. */
#include "describe_internal.h"

#include <stdint.h>
#include <string.h>

const char *pg_describe_string(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));

    return text ? text : "";
}

/* ---- printing whatever there is ---- */

static void add_escaped(struct pg_text *out, const char *text)
{
    pg_text_add_escaped(out, text, strlen(text));
}

/* "externalTrafficPolicy" as "External Traffic Policy" */
static void add_title(struct pg_text *out, const char *key)
{
    for (const char *c = key; *c; c++) {
        bool upper = *c >= 'A' && *c <= 'Z';
        bool after_lower = c > key && c[-1] >= 'a' && c[-1] <= 'z';

        if (upper && after_lower) {
            pg_text_putc(out, ' ');
        }
        pg_text_putc(out, c == key && *c >= 'a' && *c <= 'z' ? (char)(*c - 'a' + 'A') : *c);
    }
}

static void add_scalar(struct pg_text *out, const json_t *v)
{
    if (json_is_string(v)) {
        add_escaped(out, json_string_value(v));
    } else if (json_is_integer(v)) {
        pg_text_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
    } else if (json_is_boolean(v)) {
        pg_text_puts(out, json_is_true(v) ? "yes" : "no");
    } else {
        pg_text_puts(out, "<none>");
    }
}

/* {"value","defaulted","source"}: a setting; {"address","port"}: an endpoint; a reason. On one line. */
static bool add_known_object(struct pg_text *out, const json_t *o)
{
    if (json_object_get(o, "value") && json_object_get(o, "defaulted") &&
        !json_object_get(o, "code")) {
        add_scalar(out, json_object_get(o, "value"));
        if (json_is_true(json_object_get(o, "defaulted"))) {
            pg_text_puts(out, "  (default)");
        } else if (pg_describe_string(o, "source")[0]) {
            pg_text_puts(out, "  ");
            add_escaped(out, pg_describe_string(o, "source"));
        }
        return true;
    }
    if (json_object_size(o) == 2 && json_object_get(o, "address") && json_object_get(o, "port")) {
        add_scalar(out, json_object_get(o, "address"));
        if (json_is_integer(json_object_get(o, "port"))) {
            pg_text_putc(out, ':');
            add_scalar(out, json_object_get(o, "port"));
        }
        return true;
    }
    if (json_object_get(o, "code")) {
        static const char *const keys[] = {"object", "field", "value", "source", "code"};

        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            if (pg_describe_string(o, keys[i])[0]) {
                pg_text_puts(out, i ? "  " : "");
                add_escaped(out, pg_describe_string(o, keys[i]));
            }
        }
        return true;
    }
    return false;
}

void pg_describe_array(struct pg_text *out, const json_t *list, int depth)
{
    size_t i = 0;
    const json_t *v = NULL;

    if (json_array_size(list) == 0) {
        pg_text_puts(out, "<none>\n");
        return;
    }
    if (!json_is_object(json_array_get(list, 0))) {
        json_array_foreach(list, i, v)
        {
            pg_text_puts(out, i ? ", " : "");
            add_scalar(out, v);
        }
        pg_text_putc(out, '\n');
        return;
    }
    pg_text_putc(out, '\n');
    json_array_foreach(list, i, v)
    {
        pg_text_printf(out, "%*s-\n", 2 * depth + 2, "");
        pg_describe_object(out, v, depth + 2);
    }
}

void pg_describe_object(struct pg_text *out, const json_t *o, int depth)
{
    const char *key = NULL;
    json_t *v = NULL;

    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        struct pg_text title = {0};

        add_title(&title, key);
        pg_text_putc(&title, ':');
        pg_text_printf(out, "%*s%-*s ", 2 * depth, "", 30 - 2 * depth, title.at);
        pg_text_free(&title);
        if (json_is_array(v)) {
            pg_describe_array(out, v, depth);
        } else if (!json_is_object(v)) {
            add_scalar(out, v);
            pg_text_putc(out, '\n');
        } else if (add_known_object(out, v)) {
            pg_text_putc(out, '\n');
        } else {
            pg_text_putc(out, '\n');
            pg_describe_object(out, v, depth + 1);
        }
    }
}

void pg_describe_head(struct pg_describe *d, const char *title)
{
    pg_text_printf(&d->out, "%s%s:\n", d->out.len ? "\n" : "", title);
}

void pg_describe_setting(struct pg_text *out, const json_t *setting)
{
    struct pg_text name = {0};

    add_escaped(&name, pg_describe_string(setting, "name"));
    pg_text_printf(out, "  %-48s ", name.at ? name.at : "");
    pg_text_free(&name);
    if (pg_describe_string(setting, "value")[0]) {
        add_escaped(out, pg_describe_string(setting, "value"));
    } else {
        pg_text_puts(out, "<none>");
    }
    if (json_is_true(json_object_get(setting, "defaulted"))) {
        pg_text_puts(out, "  (default)");
    } else {
        pg_text_puts(out, "  ");
        add_escaped(out, pg_describe_string(setting, "object"));
        pg_text_puts(out, "  ");
        add_escaped(out, pg_describe_string(setting, "source"));
    }
    pg_text_putc(out, '\n');
}
