/* What a route asks of a request beside host and path: its method, headers, query and cookies.
 *
 * Called by `route.c` for routes that ask for something. Several lines of one header count as one, joined with a comma; of several parameters of one
 * name the first counts, with its escapes decoded. A value that does not fit into the buffers here matches nothing.
 *
 * Pure; an expression costs what base/pattern.c allows it. */
#include "route_internal.h"

#include "http_grammar.h"

#include <string.h>

#define VALUE_MAX 4096

/* All lines of that name. at NULL: there is none, or it is too long. */
static struct pg_slice header_value(const struct pg_route_facts *facts, struct pg_slice name,
                                    char joined[VALUE_MAX])
{
    struct pg_slice found = {NULL, 0};
    for (uint32_t i = 0; i < facts->head->field_count; i++) {
        const struct pg_http_field *f = &facts->head->fields[i];
        if (!pg_slice_equal_nocase(pg_span_slice(facts->bytes, f->name), name))
            continue;
        struct pg_slice value = pg_span_slice(facts->bytes, f->value);
        if (!found.at) {
            found = value;
            continue;
        }
        if (found.len + 1 + value.len > VALUE_MAX)
            return (struct pg_slice){NULL, 0};
        memmove(joined, found.at, found.len);
        joined[found.len] = ',';
        memcpy(joined + found.len + 1, value.at, value.len);
        found = (struct pg_slice){joined, found.len + 1 + value.len};
    }
    return found;
}

/* Of a query: '+' is a blank. Escapes that are none stay as they are. at NULL: too long. */
static struct pg_slice decode(struct pg_slice s, char out[VALUE_MAX])
{
    size_t len = 0;
    if (s.len > VALUE_MAX)
        return (struct pg_slice){NULL, 0};
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];
        if (c == '%' && i + 2 < s.len && pg_http_is(s.at[i + 1], PG_HTTP_HEX) &&
            pg_http_is(s.at[i + 2], PG_HTTP_HEX)) {
            c = (char)(pg_http_hex(s.at[i + 1]) << 4 | pg_http_hex(s.at[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[len++] = c;
    }
    return (struct pg_slice){out, len};
}

static struct pg_slice query_value(const struct pg_route_facts *facts, struct pg_slice wanted,
                                   char out[VALUE_MAX])
{
    struct pg_slice rest = facts->path;
    const char *query = rest.len ? memchr(rest.at, '?', rest.len) : NULL;
    while (query) {
        const char *begin = query + 1;
        size_t left = rest.len - (size_t)(begin - rest.at);
        const char *end = left ? memchr(begin, '&', left) : NULL;
        size_t len = end ? (size_t)(end - begin) : left;
        const char *equal = len ? memchr(begin, '=', len) : NULL;
        size_t name_len = equal ? (size_t)(equal - begin) : len;
        struct pg_slice name = decode((struct pg_slice){begin, name_len}, out);
        if (name.at && pg_slice_equal(name, wanted))
            return equal ? decode((struct pg_slice){equal + 1, len - name_len - 1}, out)
                         : PG_SLICE_LITERAL("");
        query = end;
    }
    return (struct pg_slice){NULL, 0};
}

/* In any line of Cookie; the first of that name. */
static struct pg_slice cookie_value(const struct pg_route_facts *facts, struct pg_slice wanted)
{
    struct pg_slice found = {NULL, 0};
    for (uint32_t i = 0; i < facts->head->field_count && !found.at; i++) {
        const struct pg_http_field *f = &facts->head->fields[i];
        if (pg_slice_equal_nocase(pg_span_slice(facts->bytes, f->name), PG_SLICE_LITERAL("cookie")))
            found = pg_http_cookie(pg_span_slice(facts->bytes, f->value), wanted);
    }
    return found;
}

static struct pg_slice value_of(const struct pg_route_test *t, const struct pg_route_facts *facts,
                                char buffer[VALUE_MAX])
{
    struct pg_slice name = pg_slice_of(t->name);
    switch (t->kind) {
    case PG_TEST_HEADER: return header_value(facts, name, buffer);
    case PG_TEST_QUERY: return query_value(facts, name, buffer);
    case PG_TEST_COOKIE: return cookie_value(facts, name);
    case PG_TEST_METHOD:
    default: return pg_span_slice(facts->bytes, facts->head->method);
    }
}

static int holds(const struct pg_router *r, const struct pg_route_test *t,
                 const struct pg_pattern *pattern, const struct pg_route_facts *facts)
{
    char buffer[VALUE_MAX];
    struct pg_slice groups[PG_PATTERN_GROUPS];
    struct pg_slice value = value_of(t, facts, buffer);
    if (!value.at)
        return 0;
    return pattern ? pg_pattern_match(pattern, r->scratch, value, groups)
                   : pg_slice_is(value, t->value);
}

int pg_route_tests_hold(const struct pg_router *r, const struct route_path *p,
                        const struct pg_route_facts *facts)
{
    int good = facts->head != NULL;
    for (uint32_t i = 0; i < p->route->test_count && good > 0; i++)
        good = holds(r, &r->snapshot->tests[p->route->test_first + i],
                     p->patterns ? p->patterns[i] : NULL, facts);
    return good;
}
