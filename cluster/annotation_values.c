/* Values of annotations and of ConfigMap keys: all are text, and ingress-nginx reads each in its own way.
 *
 * Called by annotations.c and kinds_configmap.c. A wrong value is told as a warning and left out, as the controller does it with a line in its log;
 * lists of who may pass are the exception. */
#include "annotations.h"

#include <stdlib.h>
#include <string.h>

static bool left_out(const struct pg_field *f, const char *expected, const char *text)
{
    pg_field_warn(f, PG_CODE_UNSUPPORTED, "\"%.80s\" is left out: expected %s", text, expected);
    return false;
}

bool pg_annotation_truth(const struct pg_field *f, bool *ret)
{
    static const char *const words[][6] = {{"0", "f", "F", "FALSE", "false", "False"},
                                           {"1", "t", "T", "TRUE", "true", "True"}};
    const char *text = pg_field_text(f, NULL);
    if (text == NULL)
        return false;
    for (int truth = 0; truth < 2; truth++) {
        for (size_t i = 0; i < 6; i++) {
            if (strcmp(text, words[truth][i]) == 0) {
                *ret = truth == 1;
                return true;
            }
        }
    }
    return left_out(f, "true or false", text);
}

/* Decimal digits from text on; the rest is at *ret_end. false: none, or too many. */
static bool digits(const char *text, uint64_t *ret, const char **ret_end)
{
    size_t len = strspn(text, "0123456789");
    if (len == 0 || len > 15)
        return false;
    *ret = strtoull(text, NULL, 10);
    *ret_end = text + len;
    return true;
}

bool pg_annotation_number(const struct pg_field *f, uint64_t least, uint64_t most, uint64_t *ret)
{
    const char *text = pg_field_text(f, NULL);
    const char *end = NULL;
    uint64_t n = 0;
    if (text == NULL)
        return false;
    if (!digits(text, &n, &end) || *end != '\0' || n < least || n > most) {
        pg_field_warn(f, PG_CODE_UNSUPPORTED,
                      "\"%.80s\" is left out: expected a number from %llu to %llu", text,
                      (unsigned long long)least, (unsigned long long)most);
        return false;
    }
    *ret = n;
    return true;
}

bool pg_annotation_seconds(const struct pg_field *f, uint64_t *ret_ms)
{
    uint64_t seconds = 0;
    if (!pg_annotation_number(f, 1, 86400, &seconds))
        return false;
    *ret_ms = seconds * 1000;
    return true;
}

bool pg_annotation_size(const struct pg_field *f, uint64_t *ret)
{
    static const char units[] = "kmg";
    const char *text = pg_field_text(f, NULL);
    const char *end = NULL;
    uint64_t n = 0;
    if (text == NULL)
        return false;
    if (!digits(text, &n, &end))
        return left_out(f, "a size like 8m", text);
    const char *unit = *end == '\0' ? NULL : strchr(units, *end | 0x20);
    if (*end != '\0' && (unit == NULL || end[1] != '\0'))
        return left_out(f, "a size like 8m", text);
    unsigned shift = unit == NULL ? 0 : 10 * (unsigned)(unit - units + 1);
    *ret = n > UINT64_MAX >> shift ? UINT64_MAX : n << shift;
    return true;
}

/* One range of a list, or one address. */
static bool range_read(const struct pg_field *f, const char *at, size_t len, struct pg_prefix *ret)
{
    struct pg_addr a;
    if (memchr(at, '/', len) != NULL && pg_prefix_parse(at, len, ret) == 0)
        return true;
    if (pg_addr_parse(at, len, &a) == 0) {
        *ret = (struct pg_prefix){a, 128};
        return true;
    }
    pg_field_error(f, "\"%.*s\" is neither an address nor a range like 10.0.0.0/8",
                   len > 80 ? 80 : (int)len, at);
    return false;
}

const struct pg_prefix *pg_annotation_ranges(const struct pg_field *f, uint32_t *ret_count)
{
    const char *text = pg_field_text(f, "");
    uint32_t room = 1;
    for (const char *c = text; *c != '\0'; c++)
        room += *c == ',';
    struct pg_prefix *at = pg_arena_array(&f->load->scratch, room, sizeof(*at));
    uint32_t used = 0;
    while (*text != '\0') {
        text += strspn(text, " \t\r\n,");
        size_t len = strcspn(text, ", \t\r\n");
        if (len > 0 && range_read(f, text, len, &at[used]))
            used++;
        text += len;
    }
    *ret_count = used;
    return at;
}

static bool visible(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == '"' || *c == '\\')
            return false;
    }
    return true;
}

/* Only $request_uri, $host and $scheme. */
static bool variables_known(const char *text)
{
    static const char *const known[] = {"$request_uri", "$host", "$scheme"};
    for (const char *at = strchr(text, '$'); at != NULL; at = strchr(at + 1, '$')) {
        bool found = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && !found; i++)
            found = strncmp(at, known[i], strlen(known[i])) == 0;
        if (!found)
            return false;
    }
    return true;
}

bool pg_annotation_url(const struct pg_field *f, const char **ret)
{
    const char *text = pg_field_text(f, NULL);
    if (text == NULL)
        return false;
    bool good = strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0 ||
                strncmp(text, "$scheme://", 10) == 0 || text[0] == '/';
    if (!good || !visible(text) || strlen(text) > 2048)
        return left_out(f, "an URL", text);
    if (!variables_known(text))
        return left_out(f, "no variables but $request_uri, $host and $scheme", text);
    *ret = text;
    return true;
}

bool pg_annotation_template(const struct pg_field *f, const char **ret)
{
    const char *text = pg_field_text(f, NULL);
    if (text == NULL)
        return false;
    if (text[0] == '\0' || !visible(text) || strchr(text, '#') != NULL || strlen(text) > 1024)
        return left_out(f, "a path in visible ASCII", text);
    for (const char *at = strchr(text, '$'); at != NULL; at = strchr(at + 1, '$')) {
        if (at[1] < '1' || at[1] > '9')
            return left_out(f, "no variables but $1 to $9", text);
    }
    if (strstr(text, "://") != NULL)
        return left_out(f, "a path: redirects by rewrite-target are not modelled", text);
    *ret = text;
    return true;
}

bool pg_annotation_plain(const struct pg_field *f, const char **ret)
{
    const char *text = pg_field_text(f, NULL);
    if (text == NULL)
        return false;
    if (text[0] == '\0' || !visible(text) || strchr(text, '$') != NULL || strlen(text) > 1024)
        return left_out(f, "visible ASCII without blanks, quotes and $", text);
    *ret = text;
    return true;
}
