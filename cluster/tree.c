/* Typed values out of a tree, as strictly as an API server reads them.
 *
 * Called by kinds*.c. `port: "80"` is text, not a number; `name: on` is a truth value, not text;
 * `field:` and `field: null` count as not written. Each mistake becomes one error finding that
 * names the object, the path, what stands there and what was expected, and the reader goes on with
 * a fallback. */
#include "cluster_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool text_in(const char *text, const char *const *words)
{
    for (; *words != NULL; words++) {
        if (strcmp(text, *words) == 0)
            return true;
    }
    return false;
}

bool pg_tree_is_null(const struct pg_tree *t)
{
    static const char *const words[] = {"", "~", "null", "Null", "NULL", NULL};
    return t == NULL || (t->kind == PG_TREE_SCALAR && t->plain && text_in(t->text, words));
}

const struct pg_tree *pg_tree_get(const struct pg_tree *map, const char *key)
{
    if (map == NULL || map->kind != PG_TREE_MAP)
        return NULL;
    for (uint32_t i = 0; i < map->count; i++) {
        if (strcmp(map->entries[i].key->text, key) == 0)
            return map->entries[i].value;
    }
    return NULL;
}

struct pg_field pg_field_of(struct pg_load *load, const struct pg_object *object,
                            const struct pg_tree *root)
{
    return (struct pg_field){.load = load, .object = object, .name = "", .tree = root};
}

struct pg_field pg_field_get(const struct pg_field *map, const char *name)
{
    struct pg_field f = {map->load, map->object, map, name, 0, NULL, NULL};
    if (map->tree == NULL || map->tree->kind != PG_TREE_MAP)
        return f;
    for (uint32_t i = 0; i < map->tree->count; i++) {
        const struct pg_tree_entry *e = &map->tree->entries[i];
        if (strcmp(e->key->text, name) != 0)
            continue;
        f.key = e->key;
        f.tree = pg_tree_is_null(e->value) ? NULL : e->value;
        if (e->value->set_read != NULL)
            *e->value->set_read = true;
        break;
    }
    return f;
}

struct pg_field pg_field_item(const struct pg_field *list, uint32_t i)
{
    const struct pg_tree *t = list->tree->items[i];
    return (struct pg_field){list->load, list->object, list, NULL, i, pg_tree_is_null(t) ? NULL : t,
                             NULL};
}

struct pg_field pg_field_entry(const struct pg_field *map, uint32_t i)
{
    const struct pg_tree_entry *e = &map->tree->entries[i];
    return (struct pg_field){map->load,    map->object, map,
                             e->key->text, i,           pg_tree_is_null(e->value) ? NULL : e->value,
                             e->key};
}

const char *pg_tree_file(const struct pg_object *object, const struct pg_tree *t)
{
    return t != NULL && t->set_read != NULL ? PG_SET_FILE : object->source.file;
}

struct pg_source pg_field_source(const struct pg_field *f)
{
    if (f->tree == NULL)
        return (struct pg_source){"", 0};
    /* A map begins on the line after its name; people look for the name. */
    uint32_t line =
        f->tree->kind != PG_TREE_SCALAR && f->key != NULL ? f->key->line : f->tree->line;
    return (struct pg_source){pg_tree_file(f->object, f->tree), line};
}

static void path_add(const struct pg_field *f, struct pg_text *out)
{
    if (f->up != NULL)
        path_add(f->up, out);
    if (f->name == NULL)
        pg_text_printf(out, "[%u]", f->index);
    else if (f->name[0] != '\0')
        pg_text_printf(
            out, strchr(f->name, '.') == NULL ? "%s%s" : "%s[\"%s\"]",
            f->up != NULL && f->up->up != NULL && strchr(f->name, '.') == NULL ? "." : "", f->name);
}

const char *pg_field_path(const struct pg_field *f, struct pg_arena *a)
{
    struct pg_text text = {0};
    path_add(f, &text);
    const char *copy = pg_arena_text(a, text.at == NULL ? "" : text.at, text.len);
    pg_text_free(&text);
    return copy;
}

/* Where a finding about f points: its value, else the field above it that is there. */
__attribute__((format(printf, 4, 0))) static void field_find(const struct pg_field *f,
                                                             enum pg_finding_level level,
                                                             const char *code, const char *format,
                                                             va_list args)
{
    const struct pg_tree *at = f->tree != NULL ? f->tree : f->key;
    if (f->tree != NULL && f->tree->kind != PG_TREE_SCALAR && f->key != NULL)
        at = f->key;
    for (const struct pg_field *up = f->up; at == NULL && up != NULL; up = up->up)
        at = up->key != NULL ? up->key : up->tree;
    struct pg_source source = {pg_tree_file(f->object, at),
                               at == NULL ? f->object->source.line : at->line};
    pg_finding_vadd(f->load, level, code, f->object->title, pg_field_path(f, &f->load->scratch),
                    &source, at == NULL ? 0 : at->column, format, args);
}

void pg_field_error(const struct pg_field *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    field_find(f, PG_FINDING_ERROR, PG_CODE_WRONG, format, args);
    va_end(args);
}

void pg_field_warn(const struct pg_field *f, const char *code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    field_find(f, PG_FINDING_WARNING, code, format, args);
    va_end(args);
}

/* YAML 1.1's idea of a number, as far as manifests use it. */
static bool looks_like_number(const char *s)
{
    static const char *const words[] = {".inf", "-.inf", "+.inf", ".Inf", "-.Inf",
                                        ".INF", ".nan",  ".NaN",  ".NAN", NULL};
    if (text_in(s, words))
        return true;
    size_t sign = s[0] == '-' || s[0] == '+';
    const char *digits = s + sign;
    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'o' || digits[1] == 'b'))
        return digits[2] != '\0' &&
               strspn(digits + 2, "0123456789abcdefABCDEF_") == strlen(digits + 2);
    if (!((digits[0] >= '0' && digits[0] <= '9') ||
          (digits[0] == '.' && digits[1] >= '0' && digits[1] <= '9')))
        return false;
    size_t len = strspn(digits, "0123456789_");
    if (digits[len] == '.')
        len += 1 + strspn(digits + len + 1, "0123456789_");
    if (digits[len] == 'e' || digits[len] == 'E') {
        size_t exponent = len + 1 + (digits[len + 1] == '-' || digits[len + 1] == '+');
        size_t more = strspn(digits + exponent, "0123456789");
        len = more == 0 ? len : exponent + more;
    }
    return digits[len] == '\0';
}

static int truth_of(const char *s)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "Yes", "YES",
                                      "on",   "On",   "ON",   "y",   "Y",   NULL};
    static const char *const no[] = {"false", "False", "FALSE", "no", "No", "NO",
                                     "off",   "Off",   "OFF",   "n",  "N",  NULL};
    return text_in(s, yes) ? 1 : text_in(s, no) ? 0 : -1;
}

/* "the number 80", "a list": what stands there, for messages. */
static const char *shape_of(const struct pg_field *f)
{
    const struct pg_tree *t = f->tree;
    if (t->kind != PG_TREE_SCALAR)
        return t->kind == PG_TREE_MAP ? "a map" : "a list";
    if (f->object->kind == PG_KIND_SECRET)
        return "something else"; /* which may be a key */
    const char *what = !t->plain                    ? "the text \"%.60s\""
                       : looks_like_number(t->text) ? "the number %.60s"
                       : truth_of(t->text) >= 0     ? "the truth value %.60s"
                                                    : "the text \"%.60s\"";
    char line[96];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int len = snprintf(line, sizeof(line), what, t->text);
#pragma GCC diagnostic pop
    return pg_arena_text(&f->load->scratch, line, (size_t)len);
}

uint32_t pg_field_map(const struct pg_field *f)
{
    if (f->tree == NULL)
        return 0;
    if (f->tree->kind == PG_TREE_MAP)
        return f->tree->count;
    pg_field_error(f, "expected a map, got %s", shape_of(f));
    return 0;
}

uint32_t pg_field_list(const struct pg_field *f)
{
    if (f->tree == NULL)
        return 0;
    if (f->tree->kind == PG_TREE_LIST)
        return f->tree->count;
    pg_field_error(f, "expected a list, got %s", shape_of(f));
    return 0;
}

const char *pg_field_text(const struct pg_field *f, const char *fallback)
{
    if (f->tree != NULL && f->tree->set_read != NULL)
        *f->tree->set_read = true; /* of a map that is read entry by entry */
    const struct pg_tree *t = f->tree;
    if (t == NULL)
        return fallback;
    if (t->kind != PG_TREE_SCALAR) {
        pg_field_error(f, "expected text, got %s", shape_of(f));
        return fallback;
    }
    if (strlen(t->text) != t->count) {
        pg_field_error(f, "text must not hold a NUL byte");
        return fallback;
    }
    if (t->plain && (looks_like_number(t->text) || truth_of(t->text) >= 0)) {
        pg_field_error(f, "expected text, got %s: put it in quotes", shape_of(f));
        return fallback;
    }
    return t->text;
}

bool pg_field_int_written(const struct pg_field *f)
{
    return f->tree != NULL && f->tree->kind == PG_TREE_SCALAR && f->tree->plain &&
           looks_like_number(f->tree->text);
}

int64_t pg_field_int(const struct pg_field *f, int64_t least, int64_t most, int64_t fallback)
{
    if (f->tree == NULL)
        return fallback;
    if (!pg_field_int_written(f)) {
        bool quoted = f->tree->kind == PG_TREE_SCALAR && looks_like_number(f->tree->text);
        pg_field_error(f, "expected a number from %lld to %lld, got %s%s", (long long)least,
                       (long long)most, shape_of(f), quoted ? ": remove the quotes" : "");
        return fallback;
    }
    const char *s = f->tree->text;
    char *end = NULL;
    errno = 0;
    bool hex = strncmp(s, "0x", 2) == 0;
    long long n = strtoll(s, &end, hex ? 16 : 10);
    if (!hex && s[0] == '0' && s[1] >= '0' && s[1] <= '9') {
        pg_field_error(f, "got %s: write it without leading zeros", s);
        return fallback;
    }
    if (*end != '\0' || errno != 0 || n < least || n > most) {
        pg_field_error(f, "expected a whole number from %lld to %lld, got %.60s", (long long)least,
                       (long long)most, s);
        return fallback;
    }
    return n;
}

bool pg_field_bool(const struct pg_field *f, bool fallback)
{
    if (f->tree == NULL)
        return fallback;
    int truth = f->tree->kind == PG_TREE_SCALAR && f->tree->plain ? truth_of(f->tree->text) : -1;
    if (truth < 0) {
        pg_field_error(f, "expected true or false, got %s", shape_of(f));
        return fallback;
    }
    return truth == 1;
}

int pg_field_enum(const struct pg_field *f, const char *const *names, int fallback)
{
    const char *text = pg_field_text(f, NULL);
    if (text == NULL)
        return fallback;
    for (int i = 0; names[i] != NULL; i++) {
        if (strcmp(text, names[i]) == 0)
            return i;
    }
    struct pg_text all = {0};
    for (int i = 0; names[i] != NULL; i++)
        pg_text_printf(&all, "%s%s", i == 0 ? "" : names[i + 1] == NULL ? " or " : ", ", names[i]);
    pg_field_error(f, "expected %s, got \"%.60s\"", all.at, text);
    pg_text_free(&all);
    return fallback;
}

bool pg_field_addr(const struct pg_field *f, struct pg_addr *ret)
{
    const char *text = pg_field_text(f, NULL);
    if (text == NULL)
        return false;
    if (pg_addr_parse(text, strlen(text), ret) == 0)
        return true;
    pg_field_error(f, "\"%.60s\" is not an IP address", text);
    return false;
}

bool pg_field_prefix(const struct pg_field *f, struct pg_prefix *ret)
{
    const char *text = pg_field_text(f, NULL);
    if (text == NULL)
        return false;
    struct pg_prefix p;
    const char *slash = strchr(text, '/');
    if (slash == NULL || pg_prefix_parse(text, strlen(text), &p) != 0) {
        pg_field_error(f, "\"%.60s\" is not an address range like 10.244.0.0/16", text);
        return false;
    }
    struct pg_addr written;
    if (pg_addr_parse(text, (size_t)(slash - text), &written) != 0 ||
        !pg_addr_equal(&written, &p.addr)) {
        char good[PG_ENDPOINT_TEXT];
        pg_field_error(f, "\"%.60s\" has bits set after the prefix: did you mean %s?", text,
                       pg_prefix_print(&p, good));
        return false;
    }
    *ret = p;
    return true;
}

static bool label_ok(const char *s, size_t len)
{
    static const char inner[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    if (len == 0 || len > 63 || s[0] == '-' || s[len - 1] == '-')
        return false;
    for (size_t i = 0; i < len; i++) {
        if (memchr(inner, s[i], sizeof(inner) - 1) == NULL)
            return false;
    }
    return true;
}

bool pg_name_ok(const char *text, enum pg_name_form form)
{
    size_t len = strlen(text);
    if (form == PG_NAME_LABEL)
        return label_ok(text, len);
    if (form == PG_NAME_PORT) {
        bool letter = strpbrk(text, "abcdefghijklmnopqrstuvwxyz") != NULL;
        return len <= 15 && letter && label_ok(text, len) && strstr(text, "--") == NULL;
    }
    if (len == 0 || len > 253)
        return false;
    for (const char *at = text;;) {
        size_t part = strcspn(at, ".");
        if (!label_ok(at, part))
            return false;
        if (at[part] == '\0')
            return true;
        at += part + 1;
    }
}

const char *pg_field_dns_name(const struct pg_field *f, enum pg_name_form form,
                              const char *fallback)
{
    static const char *const forms[] = {
        "lower-case letters, digits and '-', at most 63, no '-' at either end",
        "lower-case letters, digits, '-' and '.', at most 253, no '-' at the end of a part",
        "lower-case letters, digits and '-', at most 15, with at least one letter",
    };
    const char *text = pg_field_text(f, NULL);
    if (text == NULL)
        return fallback;
    if (pg_name_ok(text, form))
        return text;
    pg_field_error(f, "\"%.80s\" is not a valid name: expected %s", text, forms[form]);
    return fallback;
}

bool pg_addr_usable(const struct pg_addr *a, const char **ret_why)
{
    const uint8_t *b = a->bytes;
    const char *why = NULL;
    if (pg_addr_is_v4(a)) {
        why = b[12] == 0                     ? "unspecified"
              : b[12] == 127                 ? "a loopback address"
              : b[12] == 169 && b[13] == 254 ? "a link-local address"
              : b[12] >= 224 && b[12] <= 239 ? "a multicast address"
              : b[12] >= 240                 ? "a reserved address"
                                             : NULL;
    } else {
        static const uint8_t loopback[16] = {[15] = 1};
        why = pg_addr_is_none(a)                      ? "unspecified"
              : memcmp(b, loopback, 16) == 0          ? "a loopback address"
              : b[0] == 0xfe && (b[1] & 0xc0) == 0x80 ? "a link-local address"
              : b[0] == 0xff                          ? "a multicast address"
                                                      : NULL;
    }
    if (why != NULL && ret_why != NULL)
        *ret_why = why;
    return why == NULL;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Levenshtein distance without regard to case, rows of at most 40; far apart counts 99. */
static unsigned distance(const char *a, const char *b)
{
    size_t la = strlen(a);
    size_t lb = strlen(b);
    unsigned row[41];
    if (la > 40 || lb > 40)
        return 99;
    for (unsigned j = 0; j <= lb; j++)
        row[j] = j;
    for (size_t i = 1; i <= la; i++) {
        unsigned corner = row[0]++;
        for (size_t j = 1; j <= lb; j++) {
            unsigned best = corner + (lower(a[i - 1]) != lower(b[j - 1]));
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            corner = row[j];
            row[j] = best;
        }
    }
    return row[lb];
}

static void unknown_add(const struct pg_field *f, const struct pg_known *known, bool hard)
{
    const char *near = NULL;
    unsigned best = 3;
    for (const struct pg_known *k = known; k->name != NULL; k++) {
        unsigned d = distance(f->name, k->name);
        if (d < best) {
            best = d;
            near = k->name;
        }
    }
    const char *ask = near == NULL ? "" : ": did you mean ";
    if (hard)
        pg_field_error(f, "unknown field%s%s%s", ask, near == NULL ? "" : near,
                       near == NULL ? "" : "?");
    else
        pg_field_warn(f, PG_CODE_UNSUPPORTED, "unknown field%s%s%s", ask, near == NULL ? "" : near,
                      near == NULL ? "" : "?");
}

void pg_field_known(const struct pg_field *map, const struct pg_known *known, bool hard)
{
    if (map->tree == NULL || map->tree->kind != PG_TREE_MAP)
        return;
    for (uint32_t i = 0; i < map->tree->count && !map->load->findings.full; i++) {
        struct pg_field f = pg_field_entry(map, i);
        const struct pg_known *k = known;
        while (k->name != NULL && strcmp(k->name, f.name) != 0)
            k++;
        if (k->name == NULL)
            unknown_add(&f, known, hard);
        else if (k->why != NULL && f.tree != NULL)
            pg_field_warn(&f, PG_CODE_UNSUPPORTED, "%s", k->why);
    }
}
