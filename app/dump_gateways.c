/* `get gateways` and `get httproutes`, which lists routes of every kind, and the BackendTLSPolicies of a service: Gateway API with the conditions that a controller would write.
 *
 * Called by dump_json.c and dump_cluster.c. */
#include "dump_internal.h"

#include <stdio.h>
#include <string.h>

static const char *protocol_name(enum pg_listener_protocol p)
{
    static const char *const names[] = {"HTTP", "HTTPS", "TLS", "TCP", "UDP"};
    _Static_assert(sizeof names / sizeof names[0] == PG_LISTENER_UDP + 1, "a name per protocol");
    return names[p];
}

/* type, status, reason and message, as in the status of an object. */
static void condition(struct pg_json *j, const char *type, const struct pg_condition *c)
{
    pg_json_object(j);
    pg_json_key_string(j, "type", type);
    pg_json_key_bool(j, "status", c->good);
    pg_json_key_string(j, "reason", c->reason);
    pg_json_key_string(j, "message", c->message[0] ? c->message : NULL);
    pg_json_object_end(j);
}

static void listener(struct pg_dump *d, const struct pg_gateway_listener *l)
{
    struct pg_json *j = &d->json;

    pg_json_object(j);
    pg_json_key_string(j, "name", l->name);
    pg_json_key_string(j, "hostname", l->hostname[0] ? l->hostname : NULL);
    pg_json_key_uint(j, "port", l->port);
    pg_json_key_string(j, "protocol", protocol_name(l->protocol));
    pg_json_key_uint(j, "attachedRoutes", l->attached);
    pg_json_key(j, "conditions");
    pg_json_array(j);
    condition(j, "Programmed", &l->programmed);
    condition(j, "ResolvedRefs", &l->resolved);
    pg_json_array_end(j);
    pg_dump_source(d, "source", &l->source);
    pg_json_object_end(j);
}

void pg_dump_gateways(struct pg_dump *d)
{
    const struct pg_snapshot *s = d->snapshot;
    struct pg_json *j = &d->json;

    for (uint32_t i = 0; s && i < s->gateway_count; i++) {
        const struct pg_gateway *g = &s->gateways[i];
        struct pg_condition programmed = g->accepted;
        pg_json_object(j);
        pg_json_key_string(j, "namespace", g->namespace);
        pg_json_key_string(j, "name", g->name);
        pg_json_key_string(j, "class", g->class_name);
        pg_json_key(j, "conditions");
        pg_json_array(j);
        condition(j, "Accepted", &g->accepted);
        for (uint32_t l = 0; l < g->listener_count && programmed.good; l++) {
            programmed = s->listeners[g->listener_first + l].programmed;
        }
        condition(j, "Programmed", &programmed);
        pg_json_array_end(j);
        pg_json_key(j, "listeners");
        pg_json_array(j);
        for (uint32_t l = 0; l < g->listener_count; l++) {
            listener(d, &s->listeners[g->listener_first + l]);
        }
        pg_json_array_end(j);
        pg_dump_source(d, "source", &g->source);
        pg_json_object_end(j);
    }
}

static void parent(struct pg_dump *d, const struct pg_route_parent *p,
                   const struct pg_condition *resolved)
{
    struct pg_json *j = &d->json;

    pg_json_object(j);
    pg_json_key_string(j, "gateway", p->gateway);
    pg_json_key_string(j, "sectionName", p->section[0] ? p->section : NULL);
    pg_json_key_uint(j, "listeners", p->listeners);
    pg_json_key(j, "conditions");
    pg_json_array(j);
    condition(j, "Accepted", &p->accepted);
    condition(j, "ResolvedRefs", resolved);
    pg_json_array_end(j);
    pg_dump_source(d, "source", &p->source);
    pg_json_object_end(j);
}

void pg_dump_http_routes(struct pg_dump *d)
{
    const struct pg_snapshot *s = d->snapshot;
    struct pg_json *j = &d->json;

    for (uint32_t i = 0; s && i < s->http_route_count; i++) {
        const struct pg_http_route *r = &s->http_routes[i];
        pg_json_object(j);
        pg_json_key_string(j, "kind", r->kind);
        pg_json_key_string(j, "namespace", r->namespace);
        pg_json_key_string(j, "name", r->name);
        pg_json_key(j, "parents");
        pg_json_array(j);
        for (uint32_t p = 0; p < r->parent_count; p++) {
            parent(d, &s->route_parents[r->parent_first + p], &r->resolved);
        }
        pg_json_array_end(j);
        pg_dump_source(d, "source", &r->source);
        pg_json_object_end(j);
    }
}

static bool is_for(const struct pg_backend_policy *p, const struct pg_service *service)
{
    bool found = false;

    for (uint32_t i = 0; i < p->service_count && !found; i++) {
        found = strcmp(p->services[i], service->name) == 0;
    }
    return found && strcmp(p->namespace, service->namespace) == 0;
}

void pg_dump_backend_policies(struct pg_dump *d, const struct pg_service *service)
{
    const struct pg_snapshot *s = d->snapshot;
    struct pg_json *j = &d->json;

    pg_json_key(j, "backendTLSPolicies");
    pg_json_array(j);
    for (uint32_t i = 0; i < s->backend_policy_count; i++) {
        const struct pg_backend_policy *p = &s->backend_policies[i];
        if (!is_for(p, service)) {
            continue;
        }
        pg_json_object(j);
        pg_json_key_string(j, "name", p->name);
        pg_json_key_string(j, "targets", p->targets);
        pg_json_key_string(j, "hostname", p->hostname);
        pg_json_key_string(j, "trust", p->trust[0] ? p->trust : NULL);
        pg_json_key(j, "conditions");
        pg_json_array(j);
        condition(j, "Accepted", &p->accepted);
        condition(j, "ResolvedRefs", &p->resolved);
        pg_json_array_end(j);
        pg_dump_source(d, "source", &p->source);
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
}
