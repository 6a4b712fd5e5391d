/* What the filters of a route come to for one request: an answer of ours, or what changes on the way. Decided, never changed here.
 *
 * Called by `request.c` for every request of a route that has filters, and by the tools' dry run; `http_rewrite.c` writes what is decided here. The
 * order is that of ingress-nginx, whose annotations most filters are: redirect of "/", size of the body, redirects, redirect to https, who may
 * come in. So a client that may not come in is redirected all the same.
 *
 * Pure. Owns nothing; texts that are made lie in the plan. Always true: a location holds visible ASCII only, since its parts are a checked value of a
 * manifest and bytes of a target that the parser let through. */
#include "podglass/route_filter_decide.h"

#include "http_grammar.h"
#include "podglass/pattern.h"

#include <stdio.h>
#include <string.h>

pg_reason_id pg_route_filter_reason(const struct pg_route_filter *f, enum pg_code code)
{
    return pg_reason_intern(&(struct pg_reason){.code = code,
                                                .defaulted = f->source.line == 0,
                                                .object = f->object,
                                                .field = f->field,
                                                .value = f->text,
                                                .file = f->source.file,
                                                .line = f->source.line});
}

uint32_t pg_header_filters_room(const struct pg_header_filters *f)
{
    size_t room = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        if (f->at[i].kind == PG_FILTER_RESPONSE_SET || f->at[i].kind == PG_FILTER_RESPONSE_ADD)
            room += strlen(f->at[i].name) + strlen(f->at[i].value) + 4;
    }
    if (f->cookie.at)
        room += strlen("Set-Cookie: \r\n") + f->cookie.len;
    return (uint32_t)room;
}

/* ---- facts of the request ---- */

static struct pg_slice host_of(const struct pg_route_ask *ask)
{
    const struct pg_http_head *h = ask->head;
    struct pg_span host = h->authority.len ? h->authority : h->host;
    return host.len ? pg_span_slice(ask->bytes, host) : PG_SLICE_LITERAL("localhost");
}

static struct pg_slice without_port(struct pg_slice host)
{
    if (host.len == 0)
        return host;
    const char *close = host.at[0] == '[' ? memchr(host.at, ']', host.len) : host.at;
    size_t begin = close ? (size_t)(close - host.at) : 0;
    const char *colon = memchr(host.at + begin, ':', host.len - begin);
    return (struct pg_slice){host.at, colon ? (size_t)(colon - host.at) : host.len};
}

static struct pg_slice target_of(const struct pg_route_ask *ask)
{
    const struct pg_http_head *h = ask->head;
    return h->path.len ? pg_span_slice(ask->bytes, h->path) : PG_SLICE_LITERAL("/");
}

/* The scheme the client used, as far as a hop that is believed says so. */
static struct pg_slice scheme_of(const struct pg_route_ask *ask)
{
    const struct pg_http_head *h = ask->head;
    for (uint32_t i = 0; ask->who->hop_trusted && i < h->field_count; i++) {
        if (h->fields[i].id != PG_HTTP_NAME_IDENTITY ||
            !pg_slice_equal_nocase(pg_span_slice(ask->bytes, h->fields[i].name),
                                   PG_SLICE_LITERAL("X-Forwarded-Proto")))
            continue;
        struct pg_slice value = pg_span_slice(ask->bytes, h->fields[i].value);
        if (pg_slice_is(value, "http") || pg_slice_is(value, "https"))
            return value;
    }
    return pg_slice_of(ask->scheme);
}

static bool in_ranges(const struct pg_route_filter *f, const struct pg_addr *a)
{
    for (uint32_t i = 0; i < f->range_count; i++) {
        if (pg_prefix_contains(&f->ranges[i], a))
            return true;
    }
    return false;
}

/* ---- texts ---- */

/* What does not fit is an error: half a location leads elsewhere. */
static void put(struct pg_route_plan *plan, struct pg_slice s)
{
    if (s.len > sizeof(plan->text) - plan->text_len) {
        plan->error = PG_HTTP_ERROR_TARGET_TOO_LONG;
        return;
    }
    if (s.len > 0)
        memcpy(plan->text + plan->text_len, s.at, s.len);
    plan->text_len += (uint32_t)s.len;
}

/* A value with $request_uri, $host and $scheme in it; the manifest's reader let no others pass. */
static void put_value(struct pg_route_plan *plan, const struct pg_route_ask *ask, const char *value)
{
    static const struct {
        struct pg_slice name;
        char what;
    } variables[] = {{{"$request_uri", 12}, 'u'}, {{"$host", 5}, 'h'}, {{"$scheme", 7}, 's'}};
    while (*value) {
        size_t plain = strcspn(value, "$");
        put(plan, (struct pg_slice){value, plain});
        value += plain;
        for (size_t i = 0; *value == '$' && i < sizeof(variables) / sizeof(variables[0]); i++) {
            if (strncmp(value, variables[i].name.at, variables[i].name.len) != 0)
                continue;
            put(plan, variables[i].what == 'u'   ? target_of(ask)
                      : variables[i].what == 'h' ? without_port(host_of(ask))
                                                 : scheme_of(ask));
            value += variables[i].name.len;
        }
    }
}

/* ---- another target ---- */

/* value with $1 to $9 replaced by what the path's expression took; other text as it is. */
static void put_template(struct pg_route_plan *plan, const char *value,
                         const struct pg_slice groups[PG_PATTERN_GROUPS])
{
    while (*value) {
        size_t plain = strcspn(value, "$");
        put(plan, (struct pg_slice){value, plain});
        value += plain;
        if (*value == '$') {
            put(plan, groups[value[1] - '0']); /* the manifest's reader let nothing else pass */
            value += 2;
        }
    }
}

static void lead_with_slash(struct pg_route_plan *plan, uint32_t begin)
{
    uint32_t len = plan->text_len - begin;
    if (len > 0 && plan->text[begin] == '/')
        return;
    put(plan, PG_SLICE_LITERAL("/"));
    if (!plan->error) {
        memmove(plan->text + begin + 1, plan->text + begin, len);
        plan->text[begin] = '/';
    }
}

static struct pg_slice query_of(struct pg_slice target)
{
    const char *query = memchr(target.at, '?', target.len);
    return query ? (struct pg_slice){query + 1, target.len - (size_t)(query + 1 - target.at)}
                 : (struct pg_slice){NULL, 0};
}

/* The target's own query goes behind that of the value, as nginx does it; a '?' at the value's end says that it goes. */
static void put_query(struct pg_route_plan *plan, uint32_t begin, struct pg_slice query)
{
    bool ends = plan->text_len > begin && plan->text[plan->text_len - 1] == '?';
    bool has = memchr(plan->text + begin, '?', plan->text_len - begin) != NULL;
    if (ends) {
        plan->text_len--;
    } else if (query.at) {
        put(plan, has ? PG_SLICE_LITERAL("&") : PG_SLICE_LITERAL("?"));
        put(plan, query);
    }
}

/* What was made of pieces is looked at like what came from outside: escapes must be whole. */
static void use_target(struct pg_route_plan *plan, const struct pg_route_filter *f, uint32_t begin)
{
    struct pg_slice target = {plan->text + begin, plan->text_len - begin};
    const char *query = target.len ? memchr(target.at, '?', target.len) : NULL;
    struct pg_slice path = {target.at, query ? (size_t)(query - target.at) : target.len};
    plan->target = target;
    plan->target_by = f;
    if (plan->error)
        return;
    if (target.len > PG_HTTP_MAX_LINE)
        plan->error = PG_HTTP_ERROR_TARGET_TOO_LONG;
    else if (!pg_http_path_valid(path))
        plan->error = PG_HTTP_ERROR_BAD_TARGET;
    if (plan->error)
        plan->reason = pg_route_filter_reason(f, pg_http_error_code(plan->error));
}

static void rewrite(struct pg_route_plan *plan, const struct pg_route_ask *ask,
                    const struct pg_route_filter *f)
{
    char normal[PG_HTTP_MAX_LINE];
    struct pg_slice groups[PG_PATTERN_GROUPS];
    struct pg_slice path = pg_route_path(ask->router, target_of(ask), normal);
    uint32_t begin = plan->text_len;
    if (target_of(ask).at[0] == '*' || !pg_route_groups(ask->router, ask->route, path, groups))
        return; /* not of a path; the same expression has just matched */
    put_template(plan, f->value, groups);
    lead_with_slash(plan, begin);
    put_query(plan, begin, query_of(target_of(ask)));
    use_target(plan, f, begin);
}

/* The path with another beginning, or another altogether; without query. Whole elements: "/foo" and "/foo/" took the same. */
static void put_path(struct pg_route_plan *plan, const struct pg_route_ask *ask,
                     const struct pg_route_filter *f)
{
    char normal[PG_HTTP_MAX_LINE];
    struct pg_slice path = pg_route_path(ask->router, target_of(ask), normal);
    struct pg_slice value = pg_slice_of(f->value);
    uint32_t begin = plan->text_len;
    if (f->path_change == PG_PATH_KEEP) {
        put(plan, path);
        return;
    }
    if (f->path_change == PG_PATH_FULL) {
        put(plan, value);
        return;
    }
    struct pg_slice prefix = pg_slice_of(ask->route->path);
    if (prefix.len > 0 && prefix.at[prefix.len - 1] == '/')
        prefix.len--;
    if (value.len > 0 && value.at[value.len - 1] == '/')
        value.len--;
    put(plan, value);
    if (path.len > prefix.len)
        put(plan, (struct pg_slice){path.at + prefix.len, path.len - prefix.len});
    lead_with_slash(plan, begin);
}

static void change_path(struct pg_route_plan *plan, const struct pg_route_ask *ask,
                        const struct pg_route_filter *f)
{
    uint32_t begin = plan->text_len;
    if (target_of(ask).at[0] == '*')
        return;
    put_path(plan, ask, f);
    put_query(plan, begin, query_of(target_of(ask)));
    use_target(plan, f, begin);
}

/* ---- one filter each ---- */

static void redirect(struct pg_route_plan *plan, const struct pg_route_filter *f, uint16_t status)
{
    plan->status = status;
    plan->location = (struct pg_slice){plan->text, plan->text_len};
    plan->reason = pg_route_filter_reason(f, PG_CODE_REDIRECTED);
}

static void app_root(struct pg_route_plan *plan, const struct pg_route_ask *ask,
                     const struct pg_route_filter *f)
{
    struct pg_slice target = target_of(ask);
    if (target.at[0] != '/' || (target.len > 1 && target.at[1] != '?'))
        return;
    put(plan, scheme_of(ask));
    put(plan, PG_SLICE_LITERAL("://"));
    put(plan, host_of(ask));
    put(plan, pg_slice_of(f->value));
    redirect(plan, f, 302);
}

static void to_https(struct pg_route_plan *plan, const struct pg_route_ask *ask,
                     const struct pg_route_filter *f)
{
    if (!pg_slice_is(scheme_of(ask), "http"))
        return;
    put(plan, PG_SLICE_LITERAL("https://"));
    put(plan, without_port(host_of(ask)));
    put(plan, target_of(ask));
    redirect(plan, f, (uint16_t)f->number);
}

/* The port is said only where the scheme does not say it: given, or else that of the scheme if one is given, or else where the request came in. */
static void put_port(struct pg_route_plan *plan, const struct pg_route_ask *ask,
                     const struct pg_route_filter *f, struct pg_slice scheme)
{
    uint16_t usual = pg_slice_is(scheme, "https") ? 443 : 80;
    uint16_t port = f->port ? f->port : f->name[0] || !ask->port ? usual : ask->port;
    char text[8];
    if (port == usual)
        return;
    int len = snprintf(text, sizeof(text), ":%u", port);
    put(plan, (struct pg_slice){text, (size_t)len});
}

static void redirect_parts(struct pg_route_plan *plan, const struct pg_route_ask *ask,
                           const struct pg_route_filter *f)
{
    struct pg_slice scheme = f->name[0] ? pg_slice_of(f->name) : scheme_of(ask);
    put(plan, scheme);
    put(plan, PG_SLICE_LITERAL("://"));
    put(plan, f->host[0] ? pg_slice_of(f->host) : without_port(host_of(ask)));
    put_port(plan, ask, f, scheme);
    uint32_t begin = plan->text_len;
    put_path(plan, ask, f);
    put_query(plan, begin, query_of(target_of(ask)));
    redirect(plan, f, (uint16_t)f->number);
}

static void refuse(struct pg_route_plan *plan, const struct pg_route_filter *f,
                   enum pg_http_error error)
{
    plan->error = error;
    plan->reason = pg_route_filter_reason(f, pg_http_error_code(error));
}

static void limit_body(struct pg_route_plan *plan, const struct pg_route_ask *ask,
                       const struct pg_route_filter *f)
{
    plan->body_limit = f->number;
    if (f->number > 0 && ask->head->content_length > f->number)
        refuse(plan, f, PG_HTTP_ERROR_BODY_TOO_LARGE);
}

static void apply(struct pg_route_plan *plan, const struct pg_route_ask *ask,
                  const struct pg_route_filter *f)
{
    switch (f->kind) {
    case PG_FILTER_APP_ROOT: app_root(plan, ask, f); break;
    case PG_FILTER_BODY_LIMIT: limit_body(plan, ask, f); break;
    case PG_FILTER_REDIRECT:
        put_value(plan, ask, f->value);
        redirect(plan, f, (uint16_t)f->number);
        break;
    case PG_FILTER_HTTPS: to_https(plan, ask, f); break;
    case PG_FILTER_ALLOW:
        if (!in_ranges(f, &ask->who->client))
            refuse(plan, f, PG_HTTP_ERROR_NOT_ALLOWED);
        break;
    case PG_FILTER_DENY:
        if (in_ranges(f, &ask->who->client))
            refuse(plan, f, PG_HTTP_ERROR_NOT_ALLOWED);
        break;
    case PG_FILTER_REWRITE: rewrite(plan, ask, f); break;
    case PG_FILTER_REDIRECT_PARTS: redirect_parts(plan, ask, f); break;
    case PG_FILTER_PATH: change_path(plan, ask, f); break;
    case PG_FILTER_HOST: plan->host = f; break;
    case PG_FILTER_CONNECT_TIMEOUT: plan->connect_ms = (uint32_t)f->number; break;
    case PG_FILTER_SEND_TIMEOUT: plan->send_ms = (uint32_t)f->number; break;
    case PG_FILTER_READ_TIMEOUT: plan->read_ms = (uint32_t)f->number; break;
    case PG_FILTER_REQUEST_SET: /* written as they stand, by http_rewrite.c */
    case PG_FILTER_REQUEST_ADD:
    case PG_FILTER_REQUEST_REMOVE:
    case PG_FILTER_RESPONSE_SET:
    case PG_FILTER_RESPONSE_ADD:
    case PG_FILTER_RESPONSE_REMOVE: break;
    case PG_FILTER_WHOLE_TIMEOUT:
        if (plan->whole_ms == 0 || f->number < plan->whole_ms)
            plan->whole_ms = (uint32_t)f->number;
        break;
    case PG_FILTER_H2C:              /* protocol.c asks for it */
    case PG_FILTER_SERVICE_UPSTREAM: /* whoever chooses endpoints asks for these two */
    case PG_FILTER_AFFINITY_COOKIE:
    case PG_FILTER_KIND_COUNT: break;
    }
}

void pg_route_filters_decide(const struct pg_route_ask *ask, struct pg_route_plan *ret)
{
    const struct pg_route_filter *filters = ask->snapshot->filters + ask->route->filter_first;
    ret->error = PG_HTTP_ERROR_NONE;
    ret->status = 0;
    ret->reason = 0;
    ret->location = (struct pg_slice){NULL, 0};
    ret->target = (struct pg_slice){NULL, 0};
    ret->target_by = NULL;
    ret->host = NULL;
    ret->filters = filters;
    ret->filter_count = ask->route->filter_count;
    ret->body_limit = UINT64_MAX;
    ret->connect_ms = ret->send_ms = ret->read_ms = ret->whole_ms = 0;
    ret->text_len = 0;
    for (uint32_t i = 0; i < ask->route->filter_count && !ret->error && !ret->status; i++)
        apply(ret, ask, &filters[i]);
    if (ret->error)
        ret->status = 0; /* a location that did not fit */
}
