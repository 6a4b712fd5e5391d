/* Whom the pods of each service will see as their client: the truth table of traffic policies, in words, for these manifests.
 *
 * Called by lint. Each address by which a service can be reached from outside is asked once, from somebody outside, over all that chance leaves
 * open; each Ingress rule likewise, as a request. Node ports whose nodes do the same are one line. */
#include "dry_tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEN_MOST   3 /* addresses that are named */
#define NODES_MOST  8 /* nodes whose port is tried */
#define ROUTES_MOST 500

struct maker {
    struct pg_dry *d;
    const struct pg_snapshot *s;
    struct pg_predictions *ret;
};

struct pg_addr pg_outsider(const struct pg_snapshot *s, bool v6)
{
    static const struct pg_addr stranger = {
        .bytes = {0x20, 0x01, 0x0d, 0xb8, 0xff, 0xff, [15] = 7}};

    for (uint32_t i = 0; i < s->client_count; i++) {
        const struct pg_addr *a = &s->clients[i].addr;
        if (pg_addr_is_v4(a) != v6 && !pg_snapshot_in_cluster_cidr(s, a)) {
            return *a;
        }
    }
    return v6 ? stranger : pg_addr_v4(198, 51, 100, 7);
}

static struct pg_prediction *add(struct maker *m, const char *object)
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

    *one = (struct pg_prediction){.level = PG_FINDING_NOTE};
    one->object = pg_reason_get(pg_reason_intern(&(struct pg_reason){.object = object}))->object;
    return one;
}

/* ---- services ---- */

static struct pg_prediction *add_service(struct maker *m, const struct pg_service *v)
{
    char object[600];

    snprintf(object, sizeof object, "Service/%s/%s", v->namespace, v->name);
    return add(m, object);
}

static void put_seen(const struct pg_dry_others *src, struct pg_text *out)
{
    char addr[PG_ADDR_TEXT];
    uint32_t said = 0;

    for (uint32_t i = 0; i < src->count && said < SEEN_MOST; i++) {
        const struct pg_dry_other *o = &src->at[i];
        pg_text_puts(out, said ? " or " : "");
        pg_text_puts(out, o->same ? "the client itself" : pg_addr_print(&o->addr, addr));
        said++;
    }
    if (src->count > said) {
        pg_text_printf(out, " or one of %s%u others", src->left_out ? "at least " : "",
                       src->count - said);
    }
}

static void put_sentence(const struct maker *m, const struct pg_service *v,
                         const struct pg_dry_odds *odds, const struct pg_dry_result *shown,
                         const char *via, struct pg_prediction *ret)
{
    bool ingress = m->s->lab.ingress_service != PG_INDEX_NONE &&
                   v == &m->s->services[m->s->lab.ingress_service];

    if (odds->src[0].count == 0) {
        pg_text_printf(&ret->text, "nobody outside reaches %s/%s by %s: ", v->namespace, v->name,
                       via);
        pg_outcomes_print(odds, shown, &ret->text);
        ret->reason = shown->reason;
        ret->level = pg_reason_get(shown->reason)->code == PG_CODE_REJECT_NO_ENDPOINT
                         ? PG_FINDING_WARNING
                         : PG_FINDING_NOTE;
        return;
    }
    pg_text_printf(&ret->text, "pods of %s/%s%s will see ", v->namespace, v->name,
                   ingress ? " (the ingress)" : "");
    put_seen(&odds->src[0], &ret->text);
    pg_text_printf(&ret->text, " as their client by %s", via);
    ret->reason = shown->leg[0].snat_reason;
}

static void ask(struct maker *m, const struct pg_addr *to, uint16_t port, uint8_t proto,
                struct pg_dry_odds *odds, struct pg_dry_result *shown)
{
    struct pg_dry_request request = {
        .from = pg_outsider(m->s, !pg_addr_is_v4(to)), .to = *to, .to_port = port, .proto = proto};

    pg_dry_explore(m->d, &request, PG_DRY_RUNS_MANY, odds);
    pg_dry_run(m->d, &request, odds->draw, NULL, shown);
}

static void predict_address(struct maker *m, const struct pg_service *v,
                            const struct pg_service_port *p, const char *what,
                            const struct pg_addr *addr)
{
    struct pg_dry_odds odds;
    struct pg_dry_result shown;
    char via[128];
    char text[PG_ENDPOINT_TEXT];

    ask(m, addr, p->port, p->proto, &odds, &shown);
    snprintf(via, sizeof via, "%s %s", what, pg_endpoint_print(addr, p->port, text));
    put_sentence(m, v, &odds, &shown, via, add_service(m, v));
}

/* What a node port does at one node, to be compared: who is seen, or how it ends. */
static void print_node_port(struct maker *m, uint32_t node, const struct pg_service_port *p,
                            struct pg_dry_odds *odds, struct pg_dry_result *shown,
                            struct pg_text *out)
{
    const struct pg_node *n = &m->s->nodes[node];

    ask(m, &n->addr[pg_addr_is_none(&n->addr[0])], p->node_port, p->proto, odds, shown);
    pg_text_clear(out);
    if (odds->src[0].count) {
        put_seen(&odds->src[0], out);
    } else {
        pg_outcomes_print(odds, shown, out);
    }
}

/* The first node that does the same stands for all. */
static void predict_node_port(struct maker *m, const struct pg_service *v,
                              const struct pg_service_port *p)
{
    struct pg_text did[NODES_MOST] = {{0}};
    uint32_t count = m->s->node_count < NODES_MOST ? m->s->node_count : NODES_MOST;
    struct pg_dry_odds odds;
    struct pg_dry_result shown;

    for (uint32_t i = 0; i < count; i++) {
        print_node_port(m, i, p, &odds, &shown, &did[i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        struct pg_text via = {0};
        struct pg_text again = {0};
        bool first = true;
        uint32_t alike = 0;
        for (uint32_t other = 0; other < count; other++) {
            bool same = strcmp(did[other].at, did[i].at) == 0;
            first = first && !(same && other < i);
            alike += same;
        }
        if (first) {
            pg_text_printf(&via, "NodePort %u", p->node_port);
            for (uint32_t n = 0; n < count && alike < count; n++) {
                if (strcmp(did[n].at, did[i].at) == 0) {
                    pg_text_printf(&via, "%s %s", n == i ? " of" : " and", m->s->nodes[n].name);
                }
            }
            print_node_port(m, i, p, &odds, &shown, &again);
            put_sentence(m, v, &odds, &shown, via.at, add_service(m, v));
        }
        pg_text_free(&via);
        pg_text_free(&again);
    }
    for (uint32_t i = 0; i < count; i++) {
        pg_text_free(&did[i]);
    }
}

static void predict_port(struct maker *m, const struct pg_service *v,
                         const struct pg_service_port *p)
{
    if (p->port == 0) {
        return;
    }
    for (uint32_t i = v->lb_first; i < v->lb_first + v->lb_count; i++) {
        if (!m->s->lb_ips[i].proxy_mode) {
            predict_address(m, v, p, "LoadBalancer", &m->s->lb_ips[i].addr);
        }
    }
    for (uint32_t i = v->external_first; i < v->external_first + v->external_count; i++) {
        predict_address(m, v, p, "ExternalIP", &m->s->external_ips[i]);
    }
    if (p->node_port && v->lb_count == 0) { /* a balancer's service is used by its balancer */
        predict_node_port(m, v, p);
    }
}

/* ---- rules ---- */

static void predict_route(struct maker *m, const struct pg_route *route)
{
    struct pg_addr to = pg_end_of_ingress(m->s, false);
    bool v6 = pg_addr_is_none(&to);
    struct pg_dry_odds odds;
    struct pg_dry_result shown;
    struct pg_text head = {0};
    const char *host = route->host;

    to = v6 ? pg_end_of_ingress(m->s, true) : to;
    pg_text_printf(&head, "GET %s HTTP/1.1\r\nHost: %s%s\r\n\r\n", route->path,
                   host[0] == 0 ? "any" : (host[0] == '*' ? "any" : ""),
                   host[0] == '*' ? host + 1 : host);
    struct pg_dry_request request = {.from = pg_outsider(m->s, v6),
                                     .to = to,
                                     .to_port = 80,
                                     .proto = PG_PROTO_TCP,
                                     .head = {head.at, head.len}};
    pg_dry_explore(m->d, &request, PG_DRY_RUNS_MANY, &odds);
    pg_dry_run(m->d, &request, odds.draw, NULL, &shown);
    struct pg_prediction *one = add(m, route->object);

    pg_text_printf(&one->text, "%s%s to %s: a client outside is ", host[0] ? host : "any host",
                   route->path, route->backend_text);
    pg_outcomes_print(&odds, &shown, &one->text);
    one->reason = shown.has_verdict ? shown.leg[0].snat_reason : shown.reason;
    if (shown.end == PG_DRY_REFUSED) {
        one->level = PG_FINDING_WARNING;
    }
    pg_text_free(&head);
}

/* ---- all ---- */

void pg_predict(struct pg_dry *d, struct pg_predictions *ret)
{
    struct maker m = {.d = d, .s = pg_dry_snapshot(d), .ret = ret};
    const struct pg_snapshot *s = m.s;
    uint32_t routes = 0;

    *ret = (struct pg_predictions){0};
    for (uint32_t i = 0; i < s->service_count; i++) {
        const struct pg_service *v = &s->services[i];
        for (uint32_t p = 0; p < v->port_count; p++) {
            predict_port(&m, v, &s->service_ports[v->port_first + p]);
        }
    }
    struct pg_addr to = pg_end_of_ingress(s, false);
    struct pg_addr to6 = pg_end_of_ingress(s, true);

    for (uint32_t i = 0; i < s->route_count && !(pg_addr_is_none(&to) && pg_addr_is_none(&to6));
         i++) {
        if (s->routes[i].rule == 0) {
            continue;
        }
        if (routes++ < ROUTES_MOST) {
            predict_route(&m, &s->routes[i]);
        } else {
            ret->left_out++;
        }
    }
}

void pg_predictions_free(struct pg_predictions *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        pg_text_free(&p->at[i].text);
    }
    free(p->at);
    *p = (struct pg_predictions){0};
}
