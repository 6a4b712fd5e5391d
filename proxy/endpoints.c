/* Whom the ingress connects to: the service, and NAT chooses a pod for each connection; or a pod, chosen here for each request.
 *
 * Controllers as people run them (ingress-nginx, Envoy) read endpoints themselves and never touch the service address; the lab's default
 * is the service, where every step of the path can be seen. Endpoints are those kube-proxy would use for the whole cluster: ready ones, or
 * if there is none, those that still serve while they end. Hints about zones are not looked at, as in those controllers' defaults.
 *
 * Called by balance.c for each request and by the tools' dry run; pure. */
#include "podglass/ingress_decide.h"

#include <string.h>

enum pg_upstream_mode pg_upstream_mode(const struct pg_snapshot *s, const struct pg_route *route)
{
    const struct pg_route_filter *filter =
        pg_route_find_filter(s, route, PG_FILTER_SERVICE_UPSTREAM);
    if (route->service == PG_INDEX_NONE ||
        s->services[route->service].type == PG_SERVICE_EXTERNAL_NAME)
        return PG_UPSTREAM_SERVICE; /* it has a name and nothing else */
    if (filter && filter->number)
        return PG_UPSTREAM_SERVICE;
    return s->lab.ingress.upstream;
}

pg_reason_id pg_upstream_reason(const struct pg_snapshot *s, const struct pg_route *route)
{
    const struct pg_ingress_settings *lab = &s->lab.ingress;
    const struct pg_route_filter *filter =
        pg_route_find_filter(s, route, PG_FILTER_SERVICE_UPSTREAM);
    enum pg_upstream_mode mode = pg_upstream_mode(s, route);
    struct pg_reason reason = {.code = mode == PG_UPSTREAM_ENDPOINTS ? PG_CODE_TO_ENDPOINT
                                                                     : PG_CODE_TO_SERVICE,
                               .object = "Lab",
                               .field = "spec.ingress.upstream",
                               .value = mode == PG_UPSTREAM_ENDPOINTS ? "endpoints" : "service",
                               .file = lab->upstream_source.file,
                               .line = lab->upstream_source.line,
                               .defaulted = lab->upstream_source.line == 0};
    if (filter && filter->number && mode == PG_UPSTREAM_SERVICE) {
        reason.object = filter->object;
        reason.field = filter->field;
        reason.value = filter->text;
        reason.file = filter->source.file;
        reason.line = filter->source.line;
        reason.defaulted = false;
    }
    return pg_reason_intern(&reason);
}

static bool is_candidate(const struct pg_endpoint *e, bool ready, bool v6)
{
    return pg_addr_is_v4(&e->addr) != v6 &&
           (ready ? e->ready : !e->ready && e->serving && e->terminating);
}

static uint32_t count(const struct pg_snapshot *s, const struct pg_service_port *port, bool ready,
                      bool v6)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < port->endpoint_count; i++)
        n += is_candidate(&s->endpoints[port->endpoint_first + i], ready, v6);
    return n;
}

struct pg_candidates pg_backend_candidates(const struct pg_snapshot *s,
                                           const struct pg_route *route, bool v6)
{
    struct pg_candidates c = {.snapshot = s, .v6 = v6, .ready = true};
    const struct pg_service *service = &s->services[route->service];
    for (uint32_t i = 0; i < service->port_count && !c.port; i++) {
        const struct pg_service_port *sp = &s->service_ports[service->port_first + i];
        if (sp->port == route->service_port && sp->proto == PG_PROTO_TCP)
            c.port = sp;
    }
    if (!c.port)
        return c;
    c.count = count(s, c.port, true, v6);
    if (c.count == 0) {
        c.ready = false;
        c.count = count(s, c.port, false, v6);
    }
    return c;
}

bool pg_backend_is_candidate(const struct pg_candidates *c, const struct pg_endpoint *e)
{
    return is_candidate(e, c->ready, c->v6);
}

const struct pg_endpoint *pg_backend_candidate(const struct pg_candidates *c, uint32_t n)
{
    for (uint32_t i = 0; c->port && i < c->port->endpoint_count; i++) {
        const struct pg_endpoint *e = &c->snapshot->endpoints[c->port->endpoint_first + i];
        if (is_candidate(e, c->ready, c->v6) && n-- == 0)
            return e;
    }
    return NULL;
}
