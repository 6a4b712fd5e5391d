/* Whom the pods of one service port will see as their client, for each kind of caller and each address it may call.
 *
 *   caller     somebody outside, a pod, a process of a node, a balancer of ipMode Proxy
 *   door       an address and port the service answers on; a node port has one per node
 *
 * Each caller is asked at each door, dry, over all that chance leaves open. Doors behind which the same comes out are one line. A caller inside
 * stands on every node in turn, as a pod that is no endpoint; what a pod sees that reaches itself is not said.
 *
 * Called by predict.c. Nothing is decided here: pg_dry_explore does what the path does. */
#include "predict_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODES_MOST 8 /* that callers stand on, and whose node ports are tried */
#define DOORS_MOST 64
#define SEEN_SAID  4 /* addresses that are named in a sentence */

/* What comes out behind a door for all callers of a kind. */
struct answer {
    struct pg_prediction_seen seen;
    uint32_t asked;
    uint32_t silent;     /* callers of which nothing arrives, whatever chance does */
    bool partly;         /* for one of them it depends on chance */
    pg_reason_id reason; /* of what is seen; of the silence if nothing is */
    struct pg_text end;  /* the silence in words */
};

struct door {
    const char *what; /* "ClusterIP" */
    struct pg_addr to[NODES_MOST];
    uint32_t to_count;
    uint16_t port;
    uint32_t node; /* of a node port that stands for itself; PG_INDEX_NONE */
    struct answer answer;
    bool told;
};

struct house {
    struct pg_predictor *p;
    const struct pg_service *service;
    const struct pg_service_port *port;
    enum pg_caller caller;
    struct pg_addr balancer; /* of caller BALANCER */
    struct door doors[DOORS_MOST];
    uint32_t door_count;
};

/* ---- callers ---- */

const char *pg_caller_name(enum pg_caller c)
{
    static const char *const names[] = {"outside", "balancer", "pod", "node"};
    _Static_assert(sizeof names / sizeof names[0] == PG_CALLER_NODE + 1, "a name per caller");

    return names[c];
}

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

/* An address that a pod of this node may have and no endpoint has; none: there is no such range. */
static struct pg_addr pod_on(const struct pg_snapshot *s, uint32_t node, bool v6)
{
    const struct pg_prefix *range = &s->nodes[node].pod_cidr[v6];
    struct pg_addr none = {0};

    if (range->bits == 0 || range->bits > 120) {
        return none;
    }
    for (uint8_t last = 250; last > 1; last--) {
        struct pg_addr a = range->addr;
        a.bytes[15] = last;
        if (pg_snapshot_pod_by_addr(s, &a) == PG_INDEX_NONE &&
            pg_snapshot_endpoint_at(s, &a, 0) == PG_INDEX_NONE) {
            return a;
        }
    }
    return none;
}

/* The i-th caller of the kind; false: there are no more. None: there is none on this node. */
static bool caller_at(const struct house *h, uint32_t i, bool v6, struct pg_addr *ret)
{
    const struct pg_snapshot *s = h->p->s;

    switch (h->caller) {
    case PG_CALLER_OUTSIDE: *ret = pg_outsider(s, v6); return i == 0;
    case PG_CALLER_BALANCER: *ret = h->balancer; return i == 0;
    case PG_CALLER_POD:
        if (i < s->node_count && i < NODES_MOST) {
            *ret = pod_on(s, i, v6);
            return true;
        }
        return false;
    case PG_CALLER_NODE:
    default:
        if (i < s->node_count && i < NODES_MOST) {
            *ret = s->nodes[i].addr[v6];
            return true;
        }
        return false;
    }
}

/* ---- asking ---- */

static void note_seen(struct pg_prediction_seen *seen, const struct pg_dry_other *o)
{
    if (o->same) {
        seen->same = true;
        return;
    }
    for (uint32_t i = 0; i < seen->count; i++) {
        if (pg_addr_equal(&seen->at[i], &o->addr)) {
            return;
        }
    }
    if (seen->count < PG_SEEN_MOST) {
        seen->at[seen->count++] = o->addr;
    } else {
        seen->more = true;
    }
}

static void ask(const struct house *h, struct door *d, const struct pg_addr *from,
                const struct pg_addr *to)
{
    struct pg_dry_request request = {
        .from = *from, .to = *to, .to_port = d->port, .proto = h->port->proto};
    struct pg_dry_odds *odds = &h->p->odds;
    struct pg_dry_result shown;
    struct answer *a = &d->answer;

    pg_dry_explore(h->p->d, &request, PG_DRY_RUNS_MANY, odds);
    pg_dry_run(h->p->d, &request, odds->draw, NULL, &shown);
    a->asked++;
    if (odds->src[0].count == 0) {
        a->silent++;
        if (a->end.len == 0) {
            pg_outcomes_print(odds, &shown, &a->end);
        }
        a->reason = a->seen.count || a->seen.same ? a->reason : shown.reason;
        return;
    }
    if (a->seen.count == 0 && !a->seen.same) {
        a->reason = shown.leg_count ? shown.leg[0].snat_reason : 0;
    }
    a->partly = a->partly || odds->end[PG_DRY_DROPPED] > 0 || odds->end[PG_DRY_REJECTED] > 0;
    a->seen.more = a->seen.more || odds->src[0].left_out > 0;
    for (uint32_t i = 0; i < odds->src[0].count; i++) {
        note_seen(&a->seen, &odds->src[0].at[i]);
    }
}

static void ask_all(const struct house *h, struct door *d)
{
    struct pg_addr from;

    for (uint32_t t = 0; t < d->to_count; t++) {
        bool v6 = !pg_addr_is_v4(&d->to[t]);
        for (uint32_t i = 0; caller_at(h, i, v6, &from); i++) {
            if (!pg_addr_is_none(&from) && pg_addr_is_v4(&from) != v6) {
                ask(h, d, &from, &d->to[t]);
            }
        }
    }
}

static bool same_answer(const struct answer *a, const struct answer *b)
{
    if (a->seen.count != b->seen.count || a->seen.same != b->seen.same ||
        a->seen.more != b->seen.more || (a->silent != 0) != (b->silent != 0) ||
        a->partly != b->partly ||
        pg_reason_get(a->reason)->code != pg_reason_get(b->reason)->code) {
        return false;
    }
    for (uint32_t i = 0; i < a->seen.count; i++) {
        bool found = false;
        for (uint32_t k = 0; k < b->seen.count; k++) {
            found = found || pg_addr_equal(&a->seen.at[i], &b->seen.at[k]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* ---- doors ---- */

static struct door *add_door(struct house *h, const char *what, const struct pg_addr *to,
                             uint16_t port)
{
    if (h->door_count == DOORS_MOST) {
        h->p->ret->left_out++;
        return NULL;
    }
    struct door *d = &h->doors[h->door_count++];

    *d = (struct door){.what = what, .port = port, .node = PG_INDEX_NONE};
    if (to) {
        d->to[d->to_count++] = *to;
    }
    return d;
}

/* From outside each node's port is a door of its own, since nodes may do differently; from inside all are one. */
static void add_node_ports(struct house *h, bool v6)
{
    const struct pg_snapshot *s = h->p->s;
    bool apart = h->caller == PG_CALLER_OUTSIDE || h->caller == PG_CALLER_BALANCER;
    struct door *d = NULL;

    if (h->port->node_port == 0 || pg_addr_is_none(&h->service->cluster_ip[v6])) {
        return;
    }
    for (uint32_t i = 0; i < s->node_count && i < NODES_MOST; i++) {
        const struct pg_addr *a = &s->nodes[i].addr[v6];
        if (pg_addr_is_none(a)) {
            continue;
        }
        if (apart || !d) {
            d = add_door(h, v6 ? "IPv6 NodePort" : "NodePort", NULL, h->port->node_port);
        }
        if (!d) {
            return;
        }
        d->to[d->to_count++] = *a;
        d->node = apart ? i : PG_INDEX_NONE;
    }
}

static void add_addresses(struct house *h)
{
    const struct pg_snapshot *s = h->p->s;
    const struct pg_service *v = h->service;

    for (uint32_t i = v->lb_first; i < v->lb_first + v->lb_count; i++) {
        if (!s->lb_ips[i].proxy_mode) {
            add_door(h, "LoadBalancer", &s->lb_ips[i].addr, h->port->port);
        }
    }
    for (uint32_t i = v->external_first; i < v->external_first + v->external_count; i++) {
        add_door(h, "ExternalIP", &s->external_ips[i], h->port->port);
    }
}

static void add_doors(struct house *h)
{
    const struct pg_service *v = h->service;

    h->door_count = 0;
    for (int v6 = 0; v6 < 2; v6++) {
        bool inside = h->caller == PG_CALLER_POD || h->caller == PG_CALLER_NODE;
        if (inside && !pg_addr_is_none(&v->cluster_ip[v6])) {
            add_door(h, "ClusterIP", &v->cluster_ip[v6], h->port->port);
        }
    }
    if (h->caller != PG_CALLER_BALANCER) {
        add_addresses(h);
    }
    for (int v6 = 0; v6 < 2; v6++) {
        if (h->caller != PG_CALLER_BALANCER || pg_addr_is_v4(&h->balancer) != v6) {
            add_node_ports(h, v6);
        }
    }
}

/* ---- telling ---- */

static struct pg_prediction *add(struct pg_predictor *p, const struct pg_service *v)
{
    char object[600];

    snprintf(object, sizeof object, "Service/%s/%s", v->namespace, v->name);
    return pg_predictor_add(p, object);
}

static void put_seen(const struct house *h, const struct answer *a, struct pg_text *out)
{
    static const char *const itself[] = {"the client itself", "the balancer itself",
                                         "the pod itself", "the node itself"};
    char addr[PG_ADDR_TEXT];
    uint32_t said = 0;

    for (; said < a->seen.count && said < SEEN_SAID; said++) {
        pg_text_puts(out, said ? " or " : "");
        pg_text_puts(out, pg_addr_print(&a->seen.at[said], addr));
    }
    if (a->seen.same) {
        pg_text_printf(out, "%s%s", said ? " or " : "", itself[h->caller]);
    }
    if (a->seen.more || a->seen.count > said) {
        pg_text_printf(out, " or one of %s%u others", a->seen.more ? "at least " : "",
                       a->seen.count - said);
    }
}

/* The i-th door is a node's, and those of other nodes that do the same are told with it; which nodes is said unless it is all. */
static void put_node_port(struct house *h, uint32_t i, struct pg_text *out)
{
    const struct door *d = &h->doors[i];
    uint32_t others = 0;
    const char *of = " of ";

    for (uint32_t k = 0; k < h->door_count; k++) {
        others += h->doors[k].what == d->what && !same_answer(&h->doors[k].answer, &d->answer);
    }
    for (uint32_t k = i; k < h->door_count; k++) {
        struct door *alike = &h->doors[k];
        if (alike->what != d->what || !same_answer(&alike->answer, &d->answer)) {
            continue;
        }
        alike->told = true;
        if (others) {
            pg_text_printf(out, "%s%s", of, h->p->s->nodes[alike->node].name);
            of = " and ";
        }
    }
}

/* The doors with this answer: told now. */
static void put_doors(struct house *h, const struct door *first, struct pg_text *out)
{
    char text[PG_ENDPOINT_TEXT];
    const char *joint = "";

    for (uint32_t i = 0; i < h->door_count; i++) {
        struct door *d = &h->doors[i];
        if (d->told || !same_answer(&d->answer, &first->answer)) {
            continue;
        }
        d->told = true;
        pg_text_printf(out, "%s%s ", joint, d->what);
        joint = " or ";
        if (d->to_count == 1 && d->node == PG_INDEX_NONE && d->port == h->port->port) {
            pg_text_puts(out, pg_endpoint_print(&d->to[0], d->port, text));
            continue;
        }
        pg_text_printf(out, "%u", d->port);
        if (d->node != PG_INDEX_NONE) {
            put_node_port(h, i, out);
        }
    }
}

static void put_caller(const struct house *h, struct pg_text *out)
{
    char addr[PG_ADDR_TEXT];

    switch (h->caller) {
    case PG_CALLER_OUTSIDE: pg_text_puts(out, " by "); break;
    case PG_CALLER_BALANCER:
        pg_text_printf(out, " when the balancer %s (ipMode Proxy) calls ",
                       pg_addr_print(&h->balancer, addr));
        break;
    case PG_CALLER_POD: pg_text_puts(out, " when a pod calls "); break;
    case PG_CALLER_NODE:
    default: pg_text_puts(out, " when a node calls "); break;
    }
}

static void put_nobody(struct house *h, const struct door *d, struct pg_prediction *ret)
{
    static const char *const nobody[] = {"nobody outside", "no balancer", "no pod",
                                         "no process of a node"};
    const struct pg_service *v = h->service;
    bool empty = pg_reason_get(d->answer.reason)->code == PG_CODE_REJECT_NO_ENDPOINT;

    pg_text_printf(&ret->text, "%s reaches %s/%s by ", nobody[h->caller], v->namespace, v->name);
    put_doors(h, d, &ret->text);
    pg_text_printf(&ret->text, ": %s", d->answer.end.at ? d->answer.end.at : "");
    ret->level = empty && h->caller == PG_CALLER_OUTSIDE ? PG_FINDING_WARNING : PG_FINDING_NOTE;
}

static void keep_doors(const struct house *h, const struct door *first, struct pg_prediction *ret)
{
    for (uint32_t i = 0; i < h->door_count; i++) {
        const struct door *d = &h->doors[i];
        if (d->told || !same_answer(&d->answer, &first->answer)) {
            continue;
        }
        for (uint32_t t = 0; t < d->to_count; t++) {
            ret->to = realloc(ret->to, (ret->to_count + 1) * sizeof *ret->to);
            if (!ret->to) {
                abort();
            }
            ret->to[ret->to_count++] = (struct pg_prediction_to){d->to[t], d->port};
        }
    }
}

static void tell(struct house *h, const struct door *d)
{
    const struct pg_service *v = h->service;
    const struct pg_snapshot *s = h->p->s;
    const struct answer *a = &d->answer;
    bool ingress =
        s->lab.ingress_service != PG_INDEX_NONE && v == &s->services[s->lab.ingress_service];
    struct pg_prediction *one = add(h->p, v);

    one->caller = h->caller;
    one->proto = h->port->proto;
    one->reason = a->reason;
    one->place = h->port->source;
    one->seen = a->seen;
    one->silent = a->silent != 0 || a->partly;
    keep_doors(h, d, one);
    if (a->seen.count == 0 && !a->seen.same) {
        put_nobody(h, d, one);
        return;
    }
    pg_text_printf(&one->text, "pods of %s/%s%s will see ", v->namespace, v->name,
                   ingress ? " (the ingress)" : "");
    put_seen(h, a, &one->text);
    pg_text_puts(&one->text, " as their client");
    put_caller(h, &one->text);
    put_doors(h, d, &one->text);
    if (a->silent) {
        pg_text_printf(&one->text, "; from some nodes nothing arrives (%s)",
                       a->end.at ? a->end.at : "");
    } else if (a->partly) {
        pg_text_puts(&one->text, "; by chance nothing arrives");
    }
    if (s->node_count > NODES_MOST &&
        (h->caller != PG_CALLER_OUTSIDE || d->node != PG_INDEX_NONE)) {
        pg_text_printf(&one->text, " (looked at on %u of %u nodes)", NODES_MOST, s->node_count);
    }
}

static void predict_caller(struct house *h)
{
    add_doors(h);
    for (uint32_t i = 0; i < h->door_count; i++) {
        ask_all(h, &h->doors[i]);
    }
    for (uint32_t i = 0; i < h->door_count; i++) {
        if (!h->doors[i].told && h->doors[i].answer.asked) {
            tell(h, &h->doors[i]);
        }
    }
    for (uint32_t i = 0; i < h->door_count; i++) {
        pg_text_free(&h->doors[i].answer.end);
    }
}

/* ---- the whole ---- */

static void predict_headless(struct pg_predictor *p, const struct pg_service *v,
                             const struct pg_service_port *port)
{
    struct pg_prediction *one = add(p, v);

    one->caller = PG_CALLER_POD;
    one->proto = port->proto;
    one->seen.same = true;
    one->place = port->source;
    one->reason = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_PLAIN});
    pg_text_printf(&one->text,
                   "pods of %s/%s will see the pod itself as their client when a pod calls them: "
                   "headless, so nothing is translated",
                   v->namespace, v->name);
}

void pg_predict_port(struct pg_predictor *p, const struct pg_service *v,
                     const struct pg_service_port *port, bool inside)
{
    struct house *h = p->house ? p->house : calloc(1, sizeof *h);

    if (!h) {
        abort();
    }
    p->house = h;
    h->p = p;
    h->service = v;
    h->port = port;
    if (port->port == 0 || v->type == PG_SERVICE_EXTERNAL_NAME || port->proto == PG_PROTO_SCTP) {
        return;
    }
    if (v->type == PG_SERVICE_HEADLESS) {
        predict_headless(p, v, port);
        return;
    }
    h->caller = PG_CALLER_OUTSIDE;
    predict_caller(h);
    for (uint32_t i = v->lb_first; i < v->lb_first + v->lb_count; i++) {
        if (p->s->lb_ips[i].proxy_mode) {
            h->caller = PG_CALLER_BALANCER;
            h->balancer = p->s->lb_ips[i].addr;
            predict_caller(h);
        }
    }
    for (int caller = PG_CALLER_POD; inside && caller <= PG_CALLER_NODE; caller++) {
        h->caller = (enum pg_caller)caller;
        predict_caller(h);
    }
}
