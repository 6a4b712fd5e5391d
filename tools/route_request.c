/* The request that a line of routing is there for: its host and path at the port of its listener, with the method, headers, parameters and cookies that it asks for.
 *
 * Called by lint and diff, which ask each line once. What must match an expression is left out: nobody can tell a value from it. */
#include "route_request.h"

#include <string.h>

static const struct pg_route_test *test_at(const struct pg_snapshot *s,
                                           const struct pg_route *route, uint32_t i)
{
    return &s->tests[route->test_first + i];
}

static const char *method_of(const struct pg_snapshot *s, const struct pg_route *route)
{
    for (uint32_t i = 0; i < route->test_count; i++) {
        if (test_at(s, route, i)->kind == PG_TEST_METHOD) {
            return test_at(s, route, i)->value;
        }
    }
    return "GET";
}

/* As it stands in a query: what would end a parameter or a target is escaped. */
static void put_escaped(struct pg_text *to, const char *text)
{
    for (; *text; text++) {
        bool plain = (unsigned char)*text > 0x20 && (unsigned char)*text < 0x7f &&
                     strchr("&#%+=", *text) == NULL;
        pg_text_printf(to, plain ? "%c" : "%%%02X", (unsigned char)*text);
    }
}

static void put_target(const struct pg_snapshot *s, const struct pg_route *route,
                       struct pg_text *to)
{
    char before = '?';
    pg_text_puts(to, route->path);
    for (uint32_t i = 0; i < route->test_count; i++) {
        const struct pg_route_test *t = test_at(s, route, i);
        if (t->kind == PG_TEST_QUERY && !t->regex) {
            pg_text_putc(to, before);
            put_escaped(to, t->name);
            pg_text_putc(to, '=');
            put_escaped(to, t->value);
            before = '&';
        }
    }
}

static void put_fields(const struct pg_snapshot *s, const struct pg_route *route,
                       struct pg_text *to)
{
    for (uint32_t i = 0; i < route->test_count; i++) {
        const struct pg_route_test *t = test_at(s, route, i);
        if (t->kind == PG_TEST_HEADER && !t->regex) {
            pg_text_printf(to, "%s: %s\r\n", t->name, t->value);
        } else if (t->kind == PG_TEST_COOKIE && !t->regex) {
            pg_text_printf(to, "Cookie: %s=%s\r\n", t->name, t->value);
        }
    }
}

void pg_route_request_make(const struct pg_snapshot *s, const struct pg_route *route,
                           struct pg_route_request *ret)
{
    const char *method = method_of(s, route);
    const char *host = route->host;
    uint16_t port = pg_route_port(s, route);
    enum pg_listener_protocol protocol = route->listener == PG_INDEX_NONE
                                             ? PG_LISTENER_HTTP
                                             : s->listeners[route->listener].protocol;

    *ret = (struct pg_route_request){.port = port ? port : 80,
                                     .tls = protocol == PG_LISTENER_HTTPS ||
                                            protocol == PG_LISTENER_TLS};
    pg_text_printf(&ret->host, "%s%s", host[0] == 0 || host[0] == '*' ? "any" : "",
                   host[0] == '*' ? host + 1 : host);
    if (strcmp(method, "GET") != 0) {
        pg_text_printf(&ret->name, "%s ", method);
    }
    pg_text_puts(&ret->name, host[0] ? host : "any host");
    if (ret->port != (ret->tls ? 443 : 80)) {
        pg_text_printf(&ret->name, ":%u", ret->port);
    }
    if (protocol != PG_LISTENER_TLS) {
        pg_text_puts(&ret->name, route->path);
    }
    pg_text_printf(&ret->head, "%s ", method);
    put_target(s, route, &ret->head);
    pg_text_printf(&ret->head, " HTTP/1.1\r\nHost: %s\r\n", ret->host.at);
    put_fields(s, route, &ret->head);
    pg_text_puts(&ret->head, "\r\n");
}

void pg_route_request_free(struct pg_route_request *r)
{
    pg_text_free(&r->head);
    pg_text_free(&r->name);
    pg_text_free(&r->host);
}
