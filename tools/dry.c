/* The dry run of a connection: the spine's order, with decisions only.
 *
 *   check the source ─► nat: decide ─► who is behind it? ─┬─ a pod, the wire, nobody: the end
 *                                                         └─ the ingress ─► dry_http.c ─► nat: decide ─► who is behind it?
 *
 * Called by explain, lint and diff. The order here is that of app/path.c and of proxy/request.c, and a property test holds this file to it:
 * random clusters, random requests, the same records. Not told: the second record of a drop, which on the path counts it. */
#include "dry_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const end_names[] = {
    [PG_DRY_POD] = "pod",
    [PG_DRY_WIRE] = "wire",
    [PG_DRY_DNS] = "dns",
    [PG_DRY_INGRESS] = "ingress",
    [PG_DRY_REFUSED] = "refused",
    [PG_DRY_REDIRECTED] = "redirected",
    [PG_DRY_REJECTED] = "rejected",
    [PG_DRY_DROPPED] = "dropped",
    [PG_DRY_NO_LISTENER] = "no-listener",
    [PG_DRY_LOOP] = "loop",
    [PG_DRY_RESET] = "reset",
};
_Static_assert(sizeof end_names / sizeof end_names[0] == PG_DRY_END_COUNT, "a name per end");

const char *pg_dry_end_name(enum pg_dry_end e)
{
    return (unsigned)e < PG_DRY_END_COUNT ? end_names[e] : "unknown";
}

/* ---- tables ---- */

/* Nobody aims at these tables: any key will do, and a fixed one makes runs repeatable. */
static const struct pg_hash_key table_key = {0x706f6467u, 0x6c617373u};

static struct pg_dry *begin(struct pg_snapshot *s)
{
    struct pg_dry *d = calloc(1, sizeof *d);

    if (d) {
        d->snapshot = pg_snapshot_ref(s);
        d->identity = pg_identity_of(s);
        d->preface = pg_preface_rules_of(s);
        d->ingress_port_count = pg_owner_ingress_ports(s, d->ingress_ports);
    }
    return d;
}

struct pg_dry *pg_dry_changed(struct pg_dry *d, struct pg_snapshot *changed,
                              enum pg_change_kind kind)
{
    struct pg_dry *other = begin(changed);

    if (!other) {
        return NULL;
    }
    other->router = d->router;
    other->zone = d->zone;
    other->shares_names = true;
    other->shares_services = kind == PG_CHANGE_TRUSTED_PROXIES || kind == PG_CHANGE_PROXY_PROTOCOL;
    other->services =
        other->shares_services ? d->services : pg_service_table_on_demand(changed, &table_key);
    if (!other->services) {
        pg_dry_free(other);
        return NULL;
    }
    return other;
}

struct pg_dry *pg_dry_new(struct pg_snapshot *s)
{
    struct pg_dry *d = begin(s);

    if (!d) {
        return NULL;
    }
    d->services = pg_service_table_on_demand(s, &table_key);
    d->router = pg_router_new(s, &table_key);
    d->zone = pg_zone_on_demand(s, &table_key);
    if (!d->services || !d->router || !d->zone) {
        pg_dry_free(d);
        return NULL;
    }
    return d;
}

void pg_dry_free(struct pg_dry *d)
{
    if (!d) {
        return;
    }
    if (!d->shares_services) {
        pg_service_table_free(d->services);
    }
    if (!d->shares_names) {
        pg_router_free(d->router);
        pg_zone_free(d->zone);
    }
    pg_snapshot_put(d->snapshot);
    pg_carried_free(&d->got);
    pg_carried_free(&d->claimed);
    free(d);
}

const struct pg_snapshot *pg_dry_snapshot(const struct pg_dry *d)
{
    return d->snapshot;
}

const struct pg_zone *pg_dry_zone(const struct pg_dry *d)
{
    return d->zone;
}

/* ---- records ---- */

void pg_dry_tell(struct pg_dry_running *r, struct pg_record *record)
{
    if (!r->trace) {
        return;
    }
    record->label = 1;
    pg_trace_write(r->trace, record);
}

struct pg_value pg_dry_endpoint(const struct pg_addr *a, uint16_t port)
{
    return port ? pg_value_endpoint(a, port) : pg_value_any_port(a);
}

static void tell_drop(struct pg_dry_running *r, const struct pg_tuple *t, enum pg_stage stage,
                      uint16_t node, enum pg_drop drop, pg_reason_id reason)
{
    struct pg_record record = {.kind = PG_RECORD_DROP,
                               .stage = (uint8_t)stage,
                               .node = node,
                               .reason = reason,
                               .before = pg_dry_endpoint(&t->src, t->src_port),
                               .after = pg_value_endpoint(&t->dst, t->dst_port)};

    snprintf(record.name, sizeof record.name, "%s", pg_drop_name(drop));
    pg_dry_tell(r, &record);
}

static void tell_nat(struct pg_dry_running *r, const struct pg_tuple *from,
                     const struct pg_tuple *to, enum pg_stage stage,
                     const struct pg_nat_decision *d)
{
    struct pg_record dst = {.stage = (uint8_t)stage,
                            .field = PG_FIELD_DST,
                            .kind = PG_RECORD_KEEP,
                            .node = d->node,
                            .reason = d->dnat_reason,
                            .before = pg_value_endpoint(&from->dst, from->dst_port),
                            .after = pg_value_endpoint(&to->dst, to->dst_port)};
    struct pg_record src = {.stage = PG_STAGE_NAT_POSTROUTING,
                            .field = PG_FIELD_SRC,
                            .kind = PG_RECORD_KEEP,
                            .node = d->node,
                            .reason = d->snat_reason,
                            .before = pg_dry_endpoint(&from->src, from->src_port),
                            .after = pg_dry_endpoint(&to->src, to->src_port)};

    if (!pg_addr_equal(&from->dst, &to->dst) || from->dst_port != to->dst_port) {
        dst.kind = PG_RECORD_REWRITE;
    }
    if (!pg_addr_equal(&from->src, &to->src) || from->src_port != to->src_port ||
        (d->masquerade && d->port == PG_PORT_DRAW)) {
        src.kind = PG_RECORD_REWRITE;
    }
    pg_dry_tell(r, &dst);
    pg_dry_tell(r, &src);
}

/* ---- NAT ---- */

bool pg_dry_leg(struct pg_dry_running *r, const struct pg_tuple *tuple, enum pg_stage stage)
{
    struct pg_dry_result *result = r->result;
    uint32_t leg = result->leg_count++;
    struct pg_nat_decision *d = &result->leg[leg];
    struct pg_tuple *to = &result->arrives[leg];
    enum pg_dry_choice entry = leg == 0 ? PG_DRY_ENTRY : PG_DRY_UP_ENTRY;
    enum pg_dry_choice endpoint = leg == 0 ? PG_DRY_ENDPOINT : PG_DRY_UP_ENDPOINT;
    uint16_t node = pg_nat_entry_choice(r->d->services, tuple, r->draw[entry], &result->of[entry]);

    pg_nat_decide(r->d->services, tuple, node, r->draw[endpoint], PG_INDEX_NONE, d);
    *to = *tuple;
    if (d->kind == PG_DECIDE_REJECT || d->kind == PG_DECIDE_DROP) {
        result->end = d->kind == PG_DECIDE_REJECT ? PG_DRY_REJECTED : PG_DRY_DROPPED;
        result->drop = pg_nat_drop_of(d);
        result->reason = d->dnat_reason;
        tell_drop(r, tuple, stage, node, result->drop, d->dnat_reason);
        return false;
    }
    if (d->kind == PG_DECIDE_DNAT) {
        result->of[endpoint] = d->candidates;
        to->dst = d->dnat_addr;
        to->dst_port = d->dnat_port;
    }
    if (d->masquerade) {
        to->src = d->snat_addr;
        to->src_port =
            d->port == PG_PORT_KEEP || (d->port == PG_PORT_KEEP_HIGH && tuple->src_port >= 32768)
                ? tuple->src_port
                : 0;
    }
    tell_nat(r, tuple, to, stage, d);
    return true;
}

/* ---- who is behind it ---- */

static void end_drop(struct pg_dry_running *r, const struct pg_tuple *t, enum pg_dry_end end,
                     enum pg_drop drop)
{
    r->result->end = end;
    r->result->drop = drop;
    tell_drop(r, t, PG_STAGE_FORWARD, r->result->leg[r->result->leg_count - 1].node, drop, 0);
}

static bool speaks_http(const struct pg_dry *d, const struct pg_tuple *t)
{
    for (uint32_t i = 0; i < d->ingress_port_count && t->proto == PG_PROTO_TCP; i++) {
        if (d->ingress_ports[i].target == t->dst_port) {
            return true;
        }
    }
    return false;
}

bool pg_dry_arrive(struct pg_dry_running *r)
{
    struct pg_dry_result *result = r->result;
    const struct pg_tuple *t = &result->arrives[result->leg_count - 1];
    const struct pg_snapshot *s = r->d->snapshot;

    result->end_addr = t->dst;
    result->end_port = t->dst_port;
    result->pod = pg_snapshot_pod_at(s, &t->dst, t->dst_port);
    switch (pg_owner_of(s, &t->dst, t->dst_port)) {
    case PG_OWNER_ECHO: result->end = PG_DRY_POD; break;
    case PG_OWNER_WIRE:
        result->end = result->pod != PG_INDEX_NONE ||
                              result->leg[result->leg_count - 1].kind == PG_DECIDE_DNAT
                          ? PG_DRY_POD
                          : PG_DRY_WIRE;
        break;
    case PG_OWNER_DNS:
        if (t->dst_port == 53) {
            result->end = PG_DRY_DNS;
            break;
        }
        end_drop(r, t, PG_DRY_NO_LISTENER, PG_DROP_NO_LISTENER);
        break;
    case PG_OWNER_INGRESS:
        if (speaks_http(r->d, t)) {
            return true;
        }
        end_drop(r, t, PG_DRY_NO_LISTENER, PG_DROP_NO_LISTENER);
        break;
    case PG_OWNER_NOBODY: end_drop(r, t, PG_DRY_REJECTED, PG_DROP_NO_ROUTE); break;
    case PG_OWNER_NODE:
    case PG_OWNER_CLIENT:
    default: end_drop(r, t, PG_DRY_NO_LISTENER, PG_DROP_NO_LISTENER); break;
    }
    return false;
}

/* ---- the whole ---- */

static bool source_is_fine(struct pg_dry_running *r, const struct pg_tuple *tuple)
{
    enum pg_drop drop = PG_DROP_NONE;

    if (r->request->wire) {
        drop = pg_owner_check(r->d->snapshot, tuple);
    }
    if (drop == PG_DROP_NONE) {
        return true;
    }
    r->result->end = PG_DRY_DROPPED;
    r->result->drop = drop;
    tell_drop(r, tuple, PG_STAGE_FORWARD, PG_NODE_NONE, drop, 0);
    return false;
}

static void pass_ingress(struct pg_dry_running *r)
{
    if (!r->request->head.at) {
        r->result->end = PG_DRY_INGRESS;
        return;
    }
    pg_dry_ingress(r);
}

void pg_dry_run(struct pg_dry *d, const struct pg_dry_request *request,
                const uint64_t draw[PG_DRY_CHOICES], struct pg_trace *trace,
                struct pg_dry_result *ret)
{
    struct pg_dry_running r = {d, request, draw, trace, ret, 0, false};
    struct pg_tuple tuple = {.src = request->from,
                             .dst = request->to,
                             .src_port = request->from_port,
                             .dst_port = request->to_port,
                             .proto = request->proto};

    *ret = (struct pg_dry_result){.pod = PG_INDEX_NONE, .refusal = "", .backend_odds = 1};
    for (int i = 0; i < PG_DRY_CHOICES; i++) {
        ret->of[i] = 1;
    }
    if (!source_is_fine(&r, &tuple) || !pg_dry_leg(&r, &tuple, PG_STAGE_NAT_PREROUTING)) {
        return;
    }
    if (pg_dry_arrive(&r)) {
        pass_ingress(&r);
    }
    if (ret->end == PG_DRY_POD || ret->end == PG_DRY_WIRE || ret->end == PG_DRY_INGRESS) {
        pg_dry_see(&r);
    }
}
