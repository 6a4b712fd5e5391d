/* From the matched rule to what is connected to: a service's name and port, or why nobody can answer.
 *
 * Called by `request.c` for every request and by the tools' dry run; pure. A service that nobody stands behind is refused here, with the
 * object and the line that say so: the TCP stack could not tell its reset from a pod's. */
#include "podglass/ingress_decide.h"
#include "podglass/upstream_tls_decide.h"

#include <stdio.h>
#include <string.h>

static const struct pg_service_port *find_port(const struct pg_snapshot *snapshot,
                                               const struct pg_service *service, uint16_t port)
{
    for (uint32_t i = 0; i < service->port_count; i++) {
        const struct pg_service_port *sp = &snapshot->service_ports[service->port_first + i];
        if (sp->port == port && sp->proto == PG_PROTO_TCP)
            return sp;
    }
    return NULL;
}

static bool usable(const struct pg_endpoint *e)
{
    return e->ready || (e->serving && e->terminating);
}

/* The service as the rule or the snapshot names it, and the line. */
static void refuse(struct pg_backend *b, enum pg_http_error error, const char *namespace,
                   const char *name, const struct pg_source *source)
{
    char object[600];
    (void)snprintf(object, sizeof(object), "Service/%s%s%s", namespace, namespace[0] ? "/" : "",
                   name);
    b->error = error;
    b->reason = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_NO_ENDPOINT_HTTP,
                                                     .object = object,
                                                     .file = source->file,
                                                     .line = source->line});
}

static void refuse_route(struct pg_backend *b, const struct pg_route *route)
{
    const struct pg_source *where =
        route->backend_source.line > 0 ? &route->backend_source : &route->source;
    b->error =
        route->refusal == PG_ROUTE_RESOURCE ? PG_HTTP_ERROR_NO_SERVICE : PG_HTTP_ERROR_BAD_REF;
    b->reason = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_BACKEND_REFUSED,
                                                     .object = route->object,
                                                     .field = "backend",
                                                     .value = route->backend_text,
                                                     .file = where->file,
                                                     .line = where->line});
}

/* Whoever can not be verified as the manifests want it gets nothing: as with ingress-nginx 503, of Gateway API 500. */
static bool refuse_tls(struct pg_backend *b, const struct pg_upstream_tls *tls,
                       const struct pg_route *route)
{
    if (!tls || tls->trouble[0] == '\0')
        return false;
    b->error = route->listener == PG_INDEX_NONE ? PG_HTTP_ERROR_NO_SERVICE : PG_HTTP_ERROR_BAD_REF;
    b->reason = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_BACKEND_REFUSED,
                                                     .object = tls->object,
                                                     .field = tls->field,
                                                     .value = tls->trouble,
                                                     .file = tls->source.file,
                                                     .line = tls->source.line});
    return true;
}

/* "web.shop.svc.cluster.local." false: too long for a name. */
static bool set_name(struct pg_backend *b, const struct pg_snapshot *s,
                     const struct pg_service *service)
{
    const char *const parts[] = {service->name,         ".", service->namespace, ".svc.",
                                 s->lab.cluster_domain, "."};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        size_t n = strlen(parts[i]);
        if (n > sizeof(b->name) - b->name_len)
            return false;
        memcpy(b->name + b->name_len, parts[i], n);
        b->name_len += (uint32_t)n;
    }
    return true;
}

static bool any_usable(const struct pg_snapshot *s, const struct pg_service_port *port)
{
    for (uint32_t i = 0; i < port->endpoint_count; i++) {
        if (usable(&s->endpoints[port->endpoint_first + i]))
            return true;
    }
    return false;
}

void pg_backend_decide(const struct pg_snapshot *s, const struct pg_route *route,
                       struct pg_backend *ret)
{
    ret->error = PG_HTTP_ERROR_NONE;
    ret->reason = 0;
    ret->name_len = 0;
    if (route->refusal != PG_ROUTE_FINE) {
        refuse_route(ret, route);
        return;
    }
    if (route->service == PG_INDEX_NONE) {
        refuse(ret, PG_HTTP_ERROR_NO_SERVICE, "", route->backend_text, &route->source);
        return;
    }
    const struct pg_service *service = &s->services[route->service];
    const struct pg_service_port *port = find_port(s, service, route->service_port);
    if (refuse_tls(ret, pg_upstream_tls(s, route), route))
        return;
    if (!port && service->type != PG_SERVICE_EXTERNAL_NAME)
        refuse(ret, PG_HTTP_ERROR_NO_SERVICE, service->namespace, service->name, &route->source);
    else if (service->type != PG_SERVICE_EXTERNAL_NAME && !any_usable(s, port))
        refuse(ret, PG_HTTP_ERROR_NO_ENDPOINT, service->namespace, service->name, &port->source);
    else if (!set_name(ret, s, service))
        ret->error = PG_HTTP_ERROR_NO_NAME;
}

uint16_t pg_backend_port(const struct pg_snapshot *s, const struct pg_route *route,
                         const struct pg_addr *addr)
{
    const struct pg_service *service = &s->services[route->service];
    const struct pg_service_port *port = find_port(s, service, route->service_port);
    if (service->type != PG_SERVICE_HEADLESS || !port)
        return route->service_port;
    for (uint32_t i = 0; i < port->endpoint_count; i++) {
        const struct pg_endpoint *e = &s->endpoints[port->endpoint_first + i];
        if (pg_addr_equal(&e->addr, addr))
            return e->port;
    }
    return route->service_port;
}
