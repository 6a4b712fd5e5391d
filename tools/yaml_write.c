/* JSON as YAML, in the form kubectl prints: blocks, two blanks, lists at the depth of their key.
 *
 * A text is written plain only where no reader, of YAML 1.1 or 1.2, takes it for anything else (yes, 080, 12:30, 1e3, null); everything else stands in double quotes with the
 * escapes that both have, so bytes of strangers do nothing on a terminal. Pure; called by get_forms.c. */
#include "get_internal.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool has_meaning(const char *text)
{
    static const char *const words[] = {"y",     "n",  "yes", "no",  "true",
                                        "false", "on", "off", "null"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasecmp(text, words[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Beginning with a digit: an address, perhaps with its port or range, is no number in any YAML. */
static bool is_address(const char *text)
{
    unsigned dots = 0;

    for (const char *c = text; *c && *c != ':' && *c != '/'; c++) {
        dots += *c == '.';
        if (!is_digit(*c) && *c != '.') {
            return false;
        }
    }
    return dots == 3 && text[strspn(text, "0123456789.:/")] == 0;
}

static bool is_plain(const char *text, size_t len)
{
    if (len == 0 || strlen(text) != len || text[len - 1] == ':' || has_meaning(text)) {
        return false;
    }
    for (const char *c = text; *c; c++) {
        if (!is_letter(*c) && !is_digit(*c) && !strchr("_./-:", *c)) {
            return false;
        }
    }
    return is_letter(text[0]) || text[0] == '/' || (is_digit(text[0]) && is_address(text));
}

/* Behind "\\u": four digits that jansson wrote. 0: there is no such escape here. */
static unsigned escape_at(const char *c)
{
    char digits[5] = {0};

    if (c[0] != '\\' || c[1] != 'u') {
        return 0;
    }
    memcpy(digits, c + 2, strnlen(c + 2, 4));
    return (unsigned)strtoul(digits, NULL, 16);
}

/* Code points above 0xffff have an escape of their own in YAML; JSON's pairs of surrogates are none there. */
static void add_quoted(struct pg_text *out, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_ENSURE_ASCII);

    for (const char *c = text ? text : "\"\""; *c; c++) {
        unsigned high = escape_at(c);

        if (c[0] == '\\' && c[1] != 'u') {
            pg_text_add(out, c, 2);
            c++;
        } else if (high >= 0xd800 && high < 0xdc00) {
            unsigned low = escape_at(c + 6);

            pg_text_printf(out, "\\U%08X", 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            c += 11;
        } else if (*c == 0x7f) {
            pg_text_puts(out, "\\x7f"); /* JSON lets it be */
        } else {
            pg_text_putc(out, *c);
        }
    }
    free(text);
}

static void add_text(struct pg_text *out, const json_t *value)
{
    if (is_plain(json_string_value(value), json_string_length(value))) {
        pg_text_puts(out, json_string_value(value));
    } else {
        add_quoted(out, value);
    }
}

static void add_scalar(struct pg_text *out, const json_t *value)
{
    if (json_is_string(value)) {
        add_text(out, value);
    } else if (json_is_object(value)) {
        pg_text_puts(out, "{}");
    } else if (json_is_array(value)) {
        pg_text_puts(out, "[]");
    } else {
        char *text = json_dumps(value, JSON_ENCODE_ANY);

        pg_text_puts(out, text ? text : "null");
        free(text);
    }
}

static void add_block(struct pg_text *out, const json_t *value, unsigned depth, bool in_line);

static bool is_block(const json_t *value)
{
    return json_object_size(value) > 0 || json_array_size(value) > 0;
}

static void add_key(struct pg_text *out, const char *key)
{
    json_t *text = json_string(key);

    add_text(out, text);
    pg_text_putc(out, ':');
    json_decref(text);
}

static void add_object(struct pg_text *out, const json_t *value, unsigned depth, bool in_line)
{
    const char *key = NULL;
    json_t *member = NULL;

    json_object_foreach((json_t *)(uintptr_t)value, key, member)
    {
        pg_text_printf(out, "%*s", in_line ? 0 : (int)depth, "");
        in_line = false;
        add_key(out, key);
        if (is_block(member)) {
            pg_text_putc(out, '\n');
            add_block(out, member, json_is_array(member) ? depth : depth + 2, false);
        } else {
            pg_text_putc(out, ' ');
            add_scalar(out, member);
            pg_text_putc(out, '\n');
        }
    }
}

/* in_line: the first line is begun, behind a dash. */
static void add_block(struct pg_text *out, const json_t *value, unsigned depth, bool in_line)
{
    size_t i = 0;
    const json_t *item = NULL;

    if (json_is_object(value)) {
        add_object(out, value, depth, in_line);
        return;
    }
    json_array_foreach(value, i, item)
    {
        pg_text_printf(out, "%*s- ", in_line ? 0 : (int)depth, "");
        in_line = false;
        if (is_block(item)) {
            add_block(out, item, depth + 2, true);
        } else {
            add_scalar(out, item);
            pg_text_putc(out, '\n');
        }
    }
}

void pg_get_render_yaml(const json_t *value, struct pg_text *out)
{
    if (is_block(value)) {
        add_block(out, value, 0, false);
    } else {
        add_scalar(out, value);
        pg_text_putc(out, '\n');
    }
}
