/* What pods are spoken to in, and whether fields behind a body go on.
 *
 * A port of a Service says with appProtocol that its pods understand HTTP/2 without TLS (kubernetes.io/h2c, KEP 3726); ingress-nginx has the annotation
 * backend-protocol: GRPC for it, and what a GRPCRoute leads to is HTTP/2 by its nature. Everything else gets HTTP/1.1. Trailers are the setting's business, except that gRPC tells its status in one: where pods speak
 * HTTP/2 they are kept.
 *
 * Called by `request.c`, `trailers.c` and the tools' dry run; pure. */
#include "podglass/ingress_decide.h"
#include "podglass/route_filter_decide.h"

#include "http_grammar.h"

#include <string.h>

#define H2C "kubernetes.io/h2c"

static const struct pg_service_port *port_of(const struct pg_snapshot *s,
                                             const struct pg_route *route)
{
    if (route->service == PG_INDEX_NONE)
        return NULL;
    const struct pg_service *service = &s->services[route->service];
    for (uint32_t i = 0; i < service->port_count; i++) {
        const struct pg_service_port *port = &s->service_ports[service->port_first + i];
        if (port->port == route->service_port && port->proto == PG_PROTO_TCP)
            return port;
    }
    return NULL;
}

enum pg_upstream_protocol pg_upstream_protocol(const struct pg_snapshot *s,
                                               const struct pg_route *route)
{
    const struct pg_service_port *port = port_of(s, route);
    if (port && port->app_protocol[0] && strcmp(port->app_protocol, H2C) == 0)
        return PG_UPSTREAM_H2C;
    return route->filter_count > 0 && pg_route_find_filter(s, route, PG_FILTER_H2C)
               ? PG_UPSTREAM_H2C
               : PG_UPSTREAM_HTTP1;
}

/* Who says that pods speak HTTP/2, as the reason of something with this code. */
static pg_reason_id said_h2c(const struct pg_snapshot *s, const struct pg_route *route,
                             enum pg_code code)
{
    const struct pg_route_filter *filter = pg_route_find_filter(s, route, PG_FILTER_H2C);
    const struct pg_service_port *port = port_of(s, route);
    struct pg_text object = {0};
    if (!port || strcmp(port->app_protocol, H2C) != 0)
        return pg_route_filter_reason(filter, code);
    const struct pg_service *service = &s->services[route->service];
    pg_text_printf(&object, "Service/%s/%s", service->namespace, service->name);
    pg_reason_id id = pg_reason_intern(&(struct pg_reason){.code = code,
                                                           .object = object.at,
                                                           .field = "appProtocol",
                                                           .value = port->app_protocol,
                                                           .file = port->source.file,
                                                           .line = port->source.line});
    pg_text_free(&object);
    return id;
}

bool pg_h2c_allowed(const struct pg_snapshot *s)
{
    bool allowed = s->lab.ingress.h2c;
    for (uint32_t i = 0; i < s->http_route_count && !allowed; i++)
        allowed = strcmp(s->http_routes[i].kind, "GRPCRoute") == 0;
    return allowed;
}

pg_reason_id pg_upstream_protocol_reason(const struct pg_snapshot *s, const struct pg_route *route)
{
    return said_h2c(s, route, PG_CODE_TO_H2C);
}

bool pg_trailers_kept(const struct pg_snapshot *s, enum pg_upstream_protocol protocol)
{
    return protocol == PG_UPSTREAM_H2C || s->lab.ingress.keep_trailers;
}

pg_reason_id pg_trailers_reason(const struct pg_snapshot *s, const struct pg_route *route)
{
    const struct pg_ingress_settings *lab = &s->lab.ingress;
    if (!lab->keep_trailers && pg_upstream_protocol(s, route) == PG_UPSTREAM_H2C)
        return said_h2c(s, route, PG_CODE_TRAILER);
    return pg_reason_intern(&(struct pg_reason){.code = PG_CODE_TRAILER,
                                                .object = "Lab",
                                                .field = "spec.ingress.trailers",
                                                .value = lab->keep_trailers ? "keep" : "drop",
                                                .file = lab->trailers_source.file,
                                                .line = lab->trailers_source.line,
                                                .defaulted = lab->trailers_source.line == 0});
}

bool pg_trailers_wanted(const struct pg_http_head *h, const char *bytes)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        struct pg_slice rest, option;
        if (h->fields[i].id != PG_HTTP_NAME_TE)
            continue;
        rest = pg_span_slice(bytes, h->fields[i].value);
        while (pg_http_next_element(&rest, &option)) {
            if (pg_slice_equal_nocase(option, PG_SLICE_LITERAL("trailers")))
                return true;
        }
    }
    return false;
}
