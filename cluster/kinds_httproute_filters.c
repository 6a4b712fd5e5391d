/* Filters of an HTTPRoute: what a rule or one of its backends does to requests and answers.
 *
 * Called by kinds_httproute.c. Each becomes one or more filters of routing.h with the line that says so. Values that could end a line of a message are
 * errors; names that decide about framing, about one hop or about the client's identity are left to podglass, with a warning. */
#include "gateway.h"

#include <string.h>
#include <strings.h>

static struct pg_route_filter *filter_add(struct pg_list *to, const struct pg_field *f,
                                          enum pg_filter_kind kind, const char *field)
{
    struct pg_route_filter *added = pg_list_add(to);
    *added = (struct pg_route_filter){.kind = kind,
                                      .name = "",
                                      .value = "",
                                      .object = f->object->title,
                                      .field = field,
                                      .text = "",
                                      .source = pg_field_source(f)};
    return added;
}

/* ---- headers ---- */

/* Names podglass writes itself, whatever anybody says. */
static bool is_ours(const char *name)
{
    static const char *const names[] = {"host",
                                        "content-length",
                                        "transfer-encoding",
                                        "connection",
                                        "keep-alive",
                                        "proxy-connection",
                                        "te",
                                        "trailer",
                                        "upgrade",
                                        "expect",
                                        "via",
                                        "x-forwarded-for",
                                        "x-forwarded-host",
                                        "x-forwarded-port",
                                        "x-forwarded-proto",
                                        "x-real-ip",
                                        "forwarded",
                                        "x-request-id",
                                        "proxy-authenticate",
                                        "proxy-authorization"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcasecmp(name, names[i]) == 0)
            return true;
    }
    return false;
}

static bool name_ok(const char *name)
{
    static const char tchars[] = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLM"
                                 "NOPQRSTUVWXYZ";
    size_t len = strlen(name);
    return len > 0 && len <= 256 && strspn(name, tchars) == len;
}

static bool value_ok(const char *value)
{
    size_t len = strlen(value);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return len <= 4096 && (len == 0 || (value[0] != ' ' && value[0] != '\t' &&
                                        value[len - 1] != ' ' && value[len - 1] != '\t'));
}

/* false: it is not to be written, and that was said. */
static bool header_usable(const struct pg_field *where, const char *name, const char *value)
{
    if (!name_ok(name))
        pg_field_error(where, "\"%.80s\" is no header name", name);
    else if (!value_ok(value))
        pg_field_error(where,
                       "the value of %.80s holds control characters, blanks at its ends, or "
                       "more than 4096 bytes",
                       name);
    else if (is_ours(name))
        pg_field_warn(where, PG_CODE_UNSUPPORTED,
                      "%.80s is written by podglass itself: the Lab's spec.ingress says how", name);
    else
        return true;
    return false;
}

static void header_put(const struct pg_field *item, enum pg_filter_kind kind, const char *field,
                       struct pg_list *to)
{
    struct pg_field name = pg_field_get(item, "name");
    struct pg_field value = pg_field_get(item, "value");
    const char *name_text = pg_field_text(&name, "");
    const char *value_text = pg_field_text(&value, "");
    (void)pg_field_map(item);
    if (!header_usable(item, name_text, value_text))
        return;
    struct pg_route_filter *f = filter_add(to, pg_field_is(&value) ? &value : item, kind, field);
    f->name = name_text;
    f->value = value_text;
    f->text = pg_arena_printf(&item->load->scratch, "%s: %s", name_text, value_text);
}

static void headers_read(const struct pg_field *filter, bool response, struct pg_list *to)
{
    static const char *const fields[2][3] = {
        {"requestHeaderModifier.set", "requestHeaderModifier.add", "requestHeaderModifier.remove"},
        {"responseHeaderModifier.set", "responseHeaderModifier.add",
         "responseHeaderModifier.remove"}};
    static const enum pg_filter_kind kinds[2][3] = {
        {PG_FILTER_REQUEST_SET, PG_FILTER_REQUEST_ADD, PG_FILTER_REQUEST_REMOVE},
        {PG_FILTER_RESPONSE_SET, PG_FILTER_RESPONSE_ADD, PG_FILTER_RESPONSE_REMOVE}};
    static const char *const ops[] = {"set", "add", "remove"};
    struct pg_field body =
        pg_field_get(filter, response ? "responseHeaderModifier" : "requestHeaderModifier");
    (void)pg_field_map(&body);
    for (size_t op = 0; op < 3; op++) {
        struct pg_field list = pg_field_get(&body, ops[op]);
        uint32_t count = pg_field_list(&list);
        for (uint32_t i = 0; i < count; i++) {
            struct pg_field item = pg_field_item(&list, i);
            if (op < 2) {
                header_put(&item, kinds[response][op], fields[response][op], to);
                continue;
            }
            const char *name = pg_field_text(&item, "");
            if (!header_usable(&item, name, ""))
                continue;
            struct pg_route_filter *f =
                filter_add(to, &item, kinds[response][op], fields[response][op]);
            f->name = f->text = name;
        }
    }
}

/* ---- paths and hosts ---- */

static bool path_text_ok(const char *path)
{
    for (const char *c = path; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~' || *c == '?' || *c == '#' || *c == '"' || *c == '\\')
            return false;
    }
    return strlen(path) <= 1024;
}

/* "path" of a filter: false if it is not there or wrong. */
static bool path_read(const struct pg_field *body, bool prefix, enum pg_path_change *ret_change,
                      struct pg_field *ret_value)
{
    static const char *const types[] = {"ReplaceFullPath", "ReplacePrefixMatch", NULL};
    struct pg_field path = pg_field_get(body, "path");
    struct pg_field type = pg_field_get(&path, "type");
    if (!pg_field_is(&path))
        return false;
    (void)pg_field_map(&path);
    if (!pg_field_is(&type))
        pg_field_error(&type, "expected ReplaceFullPath or ReplacePrefixMatch");
    bool full = pg_field_enum(&type, types, 0) == 0;
    *ret_value = pg_field_get(&path, full ? "replaceFullPath" : "replacePrefixMatch");
    *ret_change = full ? PG_PATH_FULL : PG_PATH_REPLACE_PREFIX;
    const char *text = pg_field_text(ret_value, NULL);
    if (text == NULL)
        pg_field_error(ret_value, "needed for this type");
    else if (!path_text_ok(text) || (full && text[0] != '/'))
        pg_field_error(ret_value, "\"%.80s\" is no path", text);
    else if (!full && !prefix)
        pg_field_error(&type, "ReplacePrefixMatch needs matches of type PathPrefix only");
    else
        return true;
    return false;
}

static void rewrite_read(const struct pg_field *filter, bool prefix, struct pg_list *to)
{
    struct pg_field body = pg_field_get(filter, "urlRewrite");
    struct pg_field hostname = pg_field_get(&body, "hostname");
    struct pg_field value;
    enum pg_path_change change = PG_PATH_KEEP;
    (void)pg_field_map(&body);
    if (pg_field_is(&hostname)) {
        struct pg_route_filter *f =
            filter_add(to, &hostname, PG_FILTER_HOST, "urlRewrite.hostname");
        f->value = f->text = pg_field_dns_name(&hostname, PG_NAME_SUBDOMAIN, "");
    }
    if (path_read(&body, prefix, &change, &value)) {
        struct pg_route_filter *f = filter_add(to, &value, PG_FILTER_PATH, "urlRewrite.path");
        f->path_change = change;
        f->value = f->text = pg_field_text(&value, "");
    }
}

static void redirect_read(const struct pg_field *filter, bool prefix, struct pg_list *to)
{
    static const char *const schemes[] = {"http", "https", NULL};
    static const int64_t codes[] = {301, 302, 303, 307, 308};
    struct pg_field body = pg_field_get(filter, "requestRedirect");
    struct pg_field scheme = pg_field_get(&body, "scheme");
    struct pg_field hostname = pg_field_get(&body, "hostname");
    struct pg_field port = pg_field_get(&body, "port");
    struct pg_field status = pg_field_get(&body, "statusCode");
    struct pg_field value;
    (void)pg_field_map(&body);
    struct pg_route_filter *f = filter_add(to, pg_field_is(&body) ? &body : filter,
                                           PG_FILTER_REDIRECT_PARTS, "requestRedirect");
    f->name = pg_field_is(&scheme) ? schemes[pg_field_enum(&scheme, schemes, 0)] : "";
    f->host = pg_field_dns_name(&hostname, PG_NAME_SUBDOMAIN, "");
    f->port = (uint16_t)pg_field_int(&port, 1, 65535, 0);
    f->number = (uint64_t)pg_field_int(&status, 301, 308, 302);
    f->text = pg_arena_printf(&filter->load->scratch, "%u", (unsigned)f->number);
    bool known = false;
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        known = known || (uint64_t)codes[i] == f->number;
    if (!known)
        pg_field_error(&status, "expected 301, 302, 303, 307 or 308");
    if (path_read(&body, prefix, &f->path_change, &value))
        f->value = pg_field_text(&value, "");
    else
        f->path_change = PG_PATH_KEEP;
}

static const struct {
    const char *type;
    const char *why;
} unsupported[] = {
    {"RequestMirror", "requests are not mirrored"},
    {"CORS", "CORS headers are not written, preflights go to the pod"},
    {"ExternalAuth", "nobody is asked who may pass: requests that would be refused go on"},
    {"ExtensionRef", "filters of a controller's own are not known"},
};

static void filter_read(const struct pg_field *f, bool prefix, struct pg_list *to)
{
    struct pg_field type = pg_field_get(f, "type");
    const char *name = pg_field_text(&type, "");
    (void)pg_field_map(f);
    if (strcmp(name, "RequestHeaderModifier") == 0) {
        headers_read(f, false, to);
        return;
    }
    if (strcmp(name, "ResponseHeaderModifier") == 0) {
        headers_read(f, true, to);
        return;
    }
    if (strcmp(name, "RequestRedirect") == 0) {
        redirect_read(f, prefix, to);
        return;
    }
    if (strcmp(name, "URLRewrite") == 0) {
        rewrite_read(f, prefix, to);
        return;
    }
    for (size_t i = 0; i < sizeof(unsupported) / sizeof(unsupported[0]); i++) {
        if (strcmp(name, unsupported[i].type) == 0) {
            pg_field_warn(&type, PG_CODE_UNSUPPORTED, "not modelled: %s", unsupported[i].why);
            return;
        }
    }
    pg_field_error(&type, "\"%.60s\" is no type of filter", name);
}

void pg_http_filters_read(const struct pg_field *list, bool prefix, struct pg_list *to)
{
    uint32_t count = pg_field_list(list);
    bool redirects = false;
    bool rewrites = false;
    for (uint32_t i = 0; i < count; i++) {
        struct pg_field item = pg_field_item(list, i);
        filter_read(&item, prefix, to);
    }
    for (uint32_t i = 0; i < to->count; i++) {
        enum pg_filter_kind kind = PG_LIST_AT(*to, struct pg_route_filter, i)->kind;
        redirects = redirects || kind == PG_FILTER_REDIRECT_PARTS;
        rewrites = rewrites || kind == PG_FILTER_PATH || kind == PG_FILTER_HOST;
    }
    if (redirects && rewrites)
        pg_field_error(list, "URLRewrite and RequestRedirect do not go together");
}

bool pg_gateway_duration(const struct pg_field *f, uint64_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
    const char *text = pg_field_text(f, NULL);
    uint64_t ms = 0;
    unsigned parts = 0;
    if (text == NULL)
        return false;
    for (const char *at = text; *at != '\0'; parts++) {
        uint64_t n = 0;
        size_t digits = strspn(at, "0123456789");
        size_t unit = 0;
        for (size_t i = 0; i < digits && i < 5; i++)
            n = n * 10 + (uint64_t)(at[i] - '0');
        at += digits;
        while (unit < 4 && strncmp(at, units[unit].unit, strlen(units[unit].unit)) != 0)
            unit++;
        if (digits == 0 || digits > 5 || unit == 4 || parts == 4) {
            pg_field_error(f, "\"%.40s\" is no duration like 10s or 1m30s", text);
            return false;
        }
        ms += n * units[unit].ms;
        at += strlen(units[unit].unit);
    }
    *ret_ms = ms > 86400000 ? 86400000 : ms;
    return parts > 0;
}
