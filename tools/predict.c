/* Whom the pods of each service will see as their client: the truth table of traffic policies, in words, for these manifests.
 *
 * Called by lint. Services are predict_service.c's; here each Ingress rule is asked once, as a request from somebody outside, over all that chance leaves open. */
#include "predict_internal.h"

#include "route_request.h"

#include <stdlib.h>
#include <string.h>

#define PEERS_SAID  3
#define ROUTES_MOST 500
#define INSIDE_MOST 500 /* service ports that pods and nodes are made to call: each on every node */

struct pg_prediction *pg_predictor_add(struct pg_predictor *m, const char *object)
{
    struct pg_predictions *p = m->ret;

    if ((p->count & (p->count + 1)) == 0 || p->count == 0) {
        struct pg_prediction *more = realloc(p->at, (2 * (size_t)p->count + 2) * sizeof *more);
        if (!more) {
            abort();
        }
        p->at = more;
    }
    struct pg_prediction *one = &p->at[p->count++];

    *one = (struct pg_prediction){.level = PG_FINDING_NOTE, .place = {"", 0}};
    one->object = pg_reason_get(pg_reason_intern(&(struct pg_reason){.object = object}))->object;
    return one;
}

/* ---- rules ---- */

/* Whom the application's pod has as its peer: the ingress, or what becomes of it on the way. */
static void put_peers(const struct pg_dry_odds *odds, struct pg_text *out)
{
    const struct pg_dry_others *src = &odds->src[1];
    char addr[PG_ADDR_TEXT];

    for (uint32_t i = 0; i < src->count && i < PEERS_SAID; i++) {
        pg_text_puts(out, i ? " or " : "; its peer is ");
        pg_text_puts(out, src->at[i].same ? "the ingress" : pg_addr_print(&src->at[i].addr, addr));
    }
}

static void predict_route(struct pg_predictor *m, const struct pg_route *route)
{
    struct pg_addr to = pg_end_of_ingress(m->s, false);
    bool v6 = pg_addr_is_none(&to);
    struct pg_dry_odds *odds = &m->odds;
    struct pg_dry_result shown;
    struct pg_route_request ask;

    to = v6 ? pg_end_of_ingress(m->s, true) : to;
    pg_route_request_make(m->s, route, &ask);
    struct pg_dry_request request = {.from = pg_outsider(m->s, v6),
                                     .to = to,
                                     .to_port = ask.port,
                                     .proto = PG_PROTO_TCP,
                                     .server_name = ask.tls ? ask.host.at : NULL,
                                     .head = {ask.head.at, ask.head.len}};
    pg_dry_explore(m->d, &request, PG_DRY_RUNS_MANY, odds);
    pg_dry_run(m->d, &request, odds->draw, NULL, &shown);
    struct pg_prediction *one = pg_predictor_add(m, route->object);

    pg_text_printf(&one->text, "%s to %s: a client outside is ", ask.name.at, route->backend_text);
    pg_outcomes_print(odds, &shown, &one->text);
    put_peers(odds, &one->text);
    one->caller = PG_CALLER_OUTSIDE;
    one->place = route->source;
    one->reason = shown.has_verdict ? shown.leg[0].snat_reason : shown.reason;
    if (shown.end == PG_DRY_REFUSED) {
        one->level = PG_FINDING_WARNING;
    }
    pg_route_request_free(&ask);
}

/* ---- all ---- */

void pg_predict(struct pg_dry *d, struct pg_predictions *ret)
{
    struct pg_predictor *m = calloc(1, sizeof *m);
    const struct pg_snapshot *s = pg_dry_snapshot(d);
    uint32_t routes = 0;

    if (!m) {
        abort();
    }
    *m = (struct pg_predictor){.d = d, .s = s, .ret = ret};
    *ret = (struct pg_predictions){0};
    for (uint32_t i = 0; i < s->service_port_count; i++) {
        const struct pg_service_port *port = &s->service_ports[i];
        pg_predict_port(m, &s->services[port->service], port, i < INSIDE_MOST);
    }
    ret->outside_only =
        s->service_port_count > INSIDE_MOST ? s->service_port_count - INSIDE_MOST : 0;
    struct pg_addr to = pg_end_of_ingress(s, false);
    struct pg_addr to6 = pg_end_of_ingress(s, true);

    for (uint32_t i = 0; i < s->route_count && !(pg_addr_is_none(&to) && pg_addr_is_none(&to6));
         i++) {
        if (s->routes[i].rule == 0 || s->routes[i].split == 0) {
            continue;
        }
        if (routes++ < ROUTES_MOST) {
            predict_route(m, &s->routes[i]);
        } else {
            ret->left_out++;
        }
    }
    free(m->house);
    free(m);
}

void pg_predictions_free(struct pg_predictions *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        pg_text_free(&p->at[i].text);
        free(p->at[i].to);
    }
    free(p->at);
    *p = (struct pg_predictions){0};
}
