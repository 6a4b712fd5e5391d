/* An answer of explain as people read it: hops as the demo and `request` print them, with odds and remarks beside the records.
 *
 * Called by explain.c. Everything that comes from manifests or from the command line is escaped on its way into a note. */
#include "podglass/preface_decide.h"

#include "explain_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOTES_MOST  96
#define OTHERS_MOST 7

struct notes {
    struct pg_hops_note at[NOTES_MOST];
    char *texts[2 * NOTES_MOST]; /* owned */
    uint32_t count;
    uint32_t text_count;
};

/* ---- notes ---- */

/* Takes over what text holds. */
static const char *keep(struct notes *n, struct pg_text *text)
{
    char *at = text->at ? text->at : strdup("");

    *text = (struct pg_text){0};
    n->texts[n->text_count++] = at;
    return at ? at : "";
}

static void note(struct notes *n, uint64_t seq, enum pg_note_kind kind, struct pg_text *value,
                 struct pg_text *text)
{
    if (n->count == NOTES_MOST) {
        pg_text_free(text);
        if (value) {
            pg_text_free(value);
        }
        return;
    }
    struct pg_hops_note *to = &n->at[n->count++];

    *to = (struct pg_hops_note){.seq = seq, .kind = kind};
    to->value = value ? keep(n, value) : "";
    to->text = keep(n, text);
}

static void remark(struct notes *n, uint64_t seq, struct pg_text *text)
{
    if (text->len) {
        note(n, seq, PG_NOTE_REMARK, NULL, text);
    }
}

/* ---- what is beside a rewritten address ---- */

static void put_endpoint(const struct pg_dry_other *o, struct pg_text *out)
{
    char text[64];
    struct pg_value v =
        o->port ? pg_value_endpoint(&o->addr, o->port) : pg_value_any_port(&o->addr);

    pg_text_puts(out, o->same ? "unchanged" : pg_value_print(&v, text, sizeof text));
}

/* Whose address it is: an endpoint's pod, or who stands for the client. */
static void put_who(const struct pg_explain *e, const struct pg_dry_other *o, bool dst,
                    struct pg_text *out)
{
    const struct pg_snapshot *s = e->snapshot;

    if (dst && o->endpoint != PG_INDEX_NONE) {
        uint32_t node = s->endpoints[o->endpoint].node;
        pg_pod_print(s, s->endpoints[o->endpoint].pod, out);
        if (s->endpoints[o->endpoint].pod == PG_INDEX_NONE && node < s->node_count) {
            pg_text_puts(out, "an endpoint on ");
            pg_text_add_escaped(out, s->nodes[node].name, strlen(s->nodes[node].name));
        }
    } else if (!o->same) {
        pg_who_print(s, &o->addr, out);
    }
}

static bool is_shown(const struct pg_dry_other *o, const struct pg_value *shown, bool kept)
{
    return o->same == kept &&
           (kept || (pg_addr_equal(&o->addr, &shown->addr) &&
                     (shown->any_port || o->port == shown->port || o->port == 0)));
}

static void note_others(struct notes *n, const struct pg_explain *e, const struct pg_record *r,
                        const struct pg_dry_others *others, bool dst)
{
    char odds[8];
    struct pg_text text = {0};
    struct pg_text value = {0};
    bool kept = !dst && r->kind == PG_RECORD_KEEP;
    uint32_t said = 0;

    for (uint32_t i = 0; i < others->count; i++) {
        const struct pg_dry_other *o = &others->at[i];
        if (!is_shown(o, &r->after, kept)) {
            continue;
        }
        if (others->count > 1) {
            pg_text_puts(&text, pg_odds_print(o->odds, odds));
            note(n, r->seq, PG_NOTE_ODDS, NULL, &text);
        }
        put_who(e, o, dst, &text);
        if (dst && text.len && others->count == 1) {
            pg_text_puts(&text, ", the only endpoint");
        }
        remark(n, r->seq, &text);
    }
    for (uint32_t i = 0; i < others->count && said < OTHERS_MOST; i++) {
        const struct pg_dry_other *o = &others->at[i];
        if (is_shown(o, &r->after, kept)) {
            continue;
        }
        put_endpoint(o, &value);
        pg_text_printf(&text, "%4s  ", pg_odds_print(o->odds, odds));
        put_who(e, o, dst, &text);
        if (o->reason != r->reason && r->kind != PG_RECORD_EVENT) {
            enum pg_code code = pg_reason_get(o->reason)->code;
            pg_text_printf(&text, ": %s  %s", pg_code_title(code), pg_code_name(code));
        }
        note(n, r->seq, PG_NOTE_OR, &value, &text);
        said++;
    }
    if (others->count > said + 1 || others->left_out) {
        pg_text_printf(&text, "and %s%u more", others->left_out ? "at least " : "",
                       others->count - said - 1);
        remark(n, r->seq, &text);
    }
    pg_text_free(&text);
    pg_text_free(&value);
}

/* ---- the heads of hops ---- */

static void head_of_nat(struct notes *n, const struct pg_explain *e, const struct pg_record *r,
                        uint32_t leg)
{
    const struct pg_snapshot *s = e->snapshot;
    const struct pg_nat_decision *d = &e->shown.leg[leg];
    uint32_t nodes = e->shown.of[leg ? PG_DRY_UP_ENTRY : PG_DRY_ENTRY];
    struct pg_text text = {0};

    if (d->service != PG_INDEX_NONE) {
        const struct pg_service *v = &s->services[d->service];
        pg_text_puts(&text, "Service ");
        pg_text_printf(&text, "%s/%s", v->namespace, v->name);
        if (d->capture != PG_CAPTURE_NONE) {
            pg_text_printf(&text, ", %s", pg_capture_name(d->capture));
        }
    }
    if (d->node < s->node_count) {
        pg_text_puts(&text, text.len ? ", at " : "at ");
        pg_text_add_escaped(&text, s->nodes[d->node].name, strlen(s->nodes[d->node].name));
        if (nodes > 1) {
            pg_text_printf(&text, ", which the balancer picks among %u", nodes);
        }
    }
    if (text.len) {
        note(n, r->seq, PG_NOTE_HEAD, NULL, &text);
    }
}

static void head_of_ingress(struct notes *n, const struct pg_explain *e, const struct pg_record *r)
{
    struct pg_preface_rules rules = pg_preface_rules_of(e->snapshot);
    char addr[PG_ADDR_TEXT];
    struct pg_text text = {0};
    uint32_t pod =
        pg_snapshot_pod_at(e->snapshot, &e->shown.arrives[0].dst, e->shown.arrives[0].dst_port);

    if (pod != PG_INDEX_NONE) {
        pg_text_puts(&text, "pod ");
        pg_pod_print(e->snapshot, pod, &text);
        pg_text_puts(&text, "; ");
    }
    pg_text_printf(
        &text, "peer %s; PROXY header: %s", pg_addr_print(&e->shown.arrives[0].src, addr),
        pg_preface_wanted(&rules, e->shown.arrives[0].dst_port) ? "demanded" : "not expected");
    note(n, r->seq, PG_NOTE_HEAD, NULL, &text);
}

/* ---- the route ---- */

static void put_source(const struct pg_source *at, struct pg_text *out)
{
    if (at->file[0]) {
        pg_text_puts(out, "  ");
        pg_text_add_escaped(out, at->file, strlen(at->file));
        pg_text_printf(out, ":%u", at->line);
    }
}

/* Rules of the same host that come before the one that matched, so do not match. */
static void note_route(struct notes *n, const struct pg_explain *e, const struct pg_record *r)
{
    const struct pg_snapshot *s = e->snapshot;
    const struct pg_route *route = e->shown.route;
    struct pg_text text = {0};
    uint32_t said = 0;

    if (!route || route->rule == 0) {
        return;
    }
    pg_text_puts(&text, "host ");
    pg_text_add_escaped(&text, route->host, strlen(route->host));
    pg_text_puts(&text, route->host[0] ? "" : "any");
    pg_text_printf(&text, ", path by %s \"", pg_path_type_name(route->path_type));
    pg_text_add_escaped(&text, route->path, strlen(route->path));
    pg_text_puts(&text, "\"");
    remark(n, r->seq, &text);
    for (const struct pg_route *other = s->routes; other < route && said < 3; other++) {
        if (strcmp(other->host, route->host) != 0 || other->rule == 0) {
            continue;
        }
        pg_text_puts(&text, "over \"");
        pg_text_add_escaped(&text, other->path, strlen(other->path));
        pg_text_printf(&text, "\" %s, which does not match", pg_path_type_name(other->path_type));
        put_source(&other->source, &text);
        remark(n, r->seq, &text);
        said++;
    }
}

static void note_dns(struct notes *n, const struct pg_explain *e, const struct pg_record *r)
{
    struct pg_text text = {0};

    pg_text_printf(&text, "absolute name: 1 query, ttl %u", e->snapshot->lab.dns_ttl);
    if (e->shown.of[PG_DRY_ADDRESS] > 1) {
        pg_text_printf(&text, "; one of %u addresses, drawn each time",
                       e->shown.of[PG_DRY_ADDRESS]);
    }
    remark(n, r->seq, &text);
}

static void note_affinity(struct notes *n, const struct pg_explain *e, const struct pg_record *r,
                          uint32_t leg)
{
    const struct pg_nat_decision *d = &e->shown.leg[leg];
    struct pg_text text = {0};

    if (d->kind == PG_DECIDE_DNAT && e->snapshot->services[d->service].affinity_client_ip) {
        const struct pg_service *v = &e->snapshot->services[d->service];
        pg_text_printf(&text, "then always this one for %us: sessionAffinity: ClientIP",
                       v->affinity_seconds);
        put_source(&v->affinity_source, &text);
        remark(n, r->seq, &text);
    }
}

/* ---- all notes ---- */

static void note_record(struct notes *n, const struct pg_explain *e, const struct pg_record *r,
                        bool first, uint32_t leg)
{
    bool nat = r->kind != PG_RECORD_EVENT && r->kind != PG_RECORD_DROP &&
               r->stage != PG_STAGE_HTTP_REWRITE;

    if (r->field == PG_FIELD_DST || r->kind == PG_RECORD_DROP) {
        if (leg < e->shown.leg_count) {
            head_of_nat(n, e, r, leg);
        }
    }
    if (nat && r->field == PG_FIELD_DST && r->kind == PG_RECORD_REWRITE) {
        note_others(n, e, r, &e->odds.dst[leg], true);
        note_affinity(n, e, r, leg);
    } else if (nat && r->field == PG_FIELD_SRC) {
        note_others(n, e, r, &e->odds.src[leg], false);
    } else if (r->stage == PG_STAGE_ROUTE && strcmp(r->name, "route") == 0) {
        note_route(n, e, r);
    } else if (r->stage == PG_STAGE_DNS) {
        note_dns(n, e, r);
    } else if (r->stage == PG_STAGE_UPSTREAM && strcmp(r->name, "connect") == 0 && leg == 1 &&
               pg_reason_get(r->reason)->code == PG_CODE_TO_ENDPOINT) {
        note_others(n, e, r, &e->odds.dst[1], true);
    }
    if (first) {
        head_of_ingress(n, e, r);
    }
}

static void make_notes(struct notes *n, const struct pg_explain *e)
{
    uint32_t leg = 0;
    bool in_ingress = false;

    for (uint32_t i = 0; i < e->hops.count; i++) {
        const struct pg_record *r = &e->hops.records[i];
        bool first =
            !in_ingress && r->stage >= PG_STAGE_PROXY_PROTOCOL && r->stage <= PG_STAGE_UPSTREAM;
        in_ingress = in_ingress || first;
        leg = in_ingress ? 1 : 0;
        note_record(n, e, r, first, leg);
    }
}

/* ---- the end ---- */

static void put_seen(const struct pg_explain *e, struct pg_text *out)
{
    const struct pg_dry_result *shown = &e->shown;
    const struct pg_seen *seen = &shown->seen;
    uint32_t hops = 0;
    char addr[PG_ADDR_TEXT];
    struct pg_text who = {0};

    for (uint32_t i = 0; i < e->hops.count; i++) {
        uint32_t number = pg_hops_number(&e->hops, e->hops.records[i].seq);
        hops = number > hops ? number : hops;
    }
    pg_text_printf(out, "%2u  %-7s  ", hops + 1, shown->end == PG_DRY_INGRESS ? "ingress" : "pod");
    if (shown->pod != PG_INDEX_NONE) {
        pg_pod_print(e->snapshot, shown->pod, out);
    } else {
        pg_text_puts(out, pg_addr_print(&shown->end_addr, addr));
    }
    pg_text_printf(out, "\n      sees peer %s", pg_addr_print(&seen->peer, addr));
    pg_who_print(e->snapshot, &seen->peer, &who);
    if (who.len) {
        pg_text_printf(out, " (%s)", who.at);
    }
    pg_text_free(&who);
    if (seen->xff.len) {
        pg_text_puts(out, ", X-Forwarded-For ");
        pg_text_add_escaped(out, seen->xff.at, seen->xff.len);
    }
    if (seen->x_real_ip.len) {
        pg_text_puts(out, ", X-Real-IP ");
        pg_text_add_escaped(out, seen->x_real_ip.at, seen->x_real_ip.len);
    }
    if (seen->forwarded.len) {
        pg_text_puts(out, ", Forwarded ");
        pg_text_add_escaped(out, seen->forwarded.at, seen->forwarded.len);
    }
    if (seen->has_proxy) {
        pg_text_printf(out, ", PROXY %s",
                       pg_addr_is_none(&seen->proxy) ? "without a source"
                                                     : pg_addr_print(&seen->proxy, addr));
    }
    pg_text_putc(out, '\n');
}

static void put_reader(const struct pg_reader *r, const struct pg_seen *seen, bool verdict,
                       struct pg_text *out)
{
    struct pg_addr a;
    char addr[PG_ADDR_TEXT];
    bool found = pg_reader_take(r, seen, &a);
    enum pg_verdict v = pg_verdict_of_reader(seen, found, &a);

    pg_text_puts(out, r->text);
    pg_text_printf(out, " %s", found ? pg_addr_print(&a, addr) : "nothing");
    if (verdict || v == PG_VERDICT_FORGED) {
        pg_text_printf(out, " (%s)", pg_verdict_name(v));
    }
}

static void put_readers(const struct pg_explain *e, struct pg_text *out)
{
    const struct pg_reader *readers[PG_READERS_USUAL] = {&e->reader};
    uint32_t count = e->reader.text ? 1 : pg_readers_usual(&e->shown.seen, readers);

    pg_text_puts(out, "  readers: ");
    for (uint32_t i = 0; i < count; i++) {
        pg_text_puts(out, i ? " | " : "");
        put_reader(readers[i], &e->shown.seen, e->reader.text != NULL, out);
    }
    pg_text_putc(out, '\n');
}

/* " at hop 1: replaced by the pod bridge of node-1  edge.yaml:5  PG101" */
static void put_loss(const struct pg_explain *e, struct pg_text *out)
{
    const struct pg_record *loss = pg_hops_loss(&e->hops);
    char why[512];

    if (!loss || e->shown.verdict == PG_VERDICT_CARRIED || e->shown.verdict == PG_VERDICT_KEPT) {
        return;
    }
    pg_text_printf(out, " at hop %u: replaced by ", pg_hops_number(&e->hops, loss->seq));
    size_t before = out->len;
    pg_who_print(e->snapshot, &loss->after.addr, out);
    if (out->len == before) {
        pg_text_puts(out, pg_value_print(&loss->after, why, sizeof why));
    }
    pg_text_printf(out, "\n  because %s  %s", pg_reason_print(loss->reason, why, sizeof why),
                   pg_code_name(pg_reason_get(loss->reason)->code));
}

static const char *color_of(const struct pg_explain *e)
{
    if (!e->shown.has_verdict || e->shown.verdict == PG_VERDICT_LOST ||
        e->shown.verdict == PG_VERDICT_FORGED) {
        return "31";
    }
    return e->shown.verdict == PG_VERDICT_AMBIGUOUS ? "33" : "32";
}

static void put_tried(const struct pg_tried *t, struct pg_text *out)
{
    pg_text_printf(out, "  %s  ", t->better ? "try" : "not");
    if (t->proxy) {
        for (uint32_t i = 0; i < t->set_count; i++) {
            pg_text_printf(out, " --set %s", t->set[i].at);
        }
        pg_text_printf(out, " --proxy-protocol %s\n        %-62s", t->proxy,
                       "with a balancer that sends it");
    } else {
        pg_text_printf(out, " --set %-58s", t->set[0].at);
    }
    pg_text_printf(out, " -> %s\n", t->outcome.at);
}

static void put_outcome(const struct pg_explain *e, bool color, struct pg_text *out)
{
    char text[512];

    pg_text_printf(out, "\nclient %s  ", pg_addr_print(&e->ask.asked.client, text));
    if (color) {
        pg_text_printf(out, "\033[1;%sm", color_of(e));
    }
    pg_outcomes_print(&e->odds, &e->shown, out);
    pg_text_puts(out, color ? "\033[0m" : "");
    put_loss(e, out);
    if (e->shown.reason) {
        pg_text_printf(out, "\n  because %s  %s",
                       pg_reason_print(e->shown.reason, text, sizeof text),
                       pg_code_name(pg_reason_get(e->shown.reason)->code));
    } else if (e->shown.drop != PG_DROP_NONE) {
        pg_text_printf(out, "\n  because %s", pg_drop_help(e->shown.drop));
    }
    pg_text_putc(out, '\n');
    for (uint32_t i = 0; i < e->tried_count; i++) {
        put_tried(&e->tried[i], out);
    }
    if (e->shown.has_verdict) {
        put_readers(e, out);
    }
}

static void put_title(const struct pg_explain *e, struct pg_text *out)
{
    char text[512];
    const struct pg_asked *a = &e->ask.asked;

    pg_text_printf(out, "%s  from %s", a->title.at, pg_addr_print(&a->from.addr, text));
    if (a->from.name[0]) {
        pg_text_puts(out, " (");
        pg_text_add_escaped(out, a->from.name, strlen(a->from.name));
        pg_text_puts(out, ")");
    }
    pg_text_printf(out, "  to %s        dry run: nothing is sent\n",
                   pg_endpoint_print(&a->to, a->to_port, text));
    if (!a->to_known) {
        pg_text_puts(out, "the cluster's DNS does not know that name: asked at the address of the "
                          "ingress\n");
    }
    pg_text_putc(out, '\n');
}

/* A resolver asks for both families at once; a name that is not there is not there in either. */
static void put_walk(const struct pg_explain *e, struct pg_text *out)
{
    const struct pg_asked *a = &e->ask.asked;
    const char *domain = e->snapshot->lab.cluster_domain;
    uint32_t denied = 0;

    if (!a->from.namespace || a->walk.count == 0) {
        return;
    }
    for (uint32_t i = 0; i < a->walk.count; i++) {
        denied += a->walk.step[i].status == PG_DNS_NXDOMAIN ? 2 : 0;
    }
    pg_text_printf(out,
                   "the pod's resolver, search %s.svc.%s svc.%s %s, ndots:5: %u questions (A and "
                   "AAAA), %u NXDOMAIN\n",
                   a->from.namespace, domain, domain, domain, 2 * a->walk.count, denied);
    for (uint32_t i = 0; i < a->walk.count; i++) {
        enum pg_dns_status status = a->walk.step[i].status;
        bool forwarded = status == PG_DNS_REFUSED && e->snapshot->lab.dns_upstream_count > 0;

        pg_text_puts(out, "      ");
        pg_text_add_escaped(out, a->walk.step[i].name, strlen(a->walk.step[i].name));
        pg_text_printf(out, "  %s\n",
                       forwarded ? "asked of an upstream server" : pg_dns_status_name(status));
    }
    pg_text_putc(out, '\n');
}

void pg_explain_text(const struct pg_explain *e, bool color, struct pg_text *out)
{
    struct notes *n = calloc(1, sizeof *n);

    if (!n) {
        return;
    }
    put_title(e, out);
    put_walk(e, out);
    make_notes(n, e);
    pg_hops_print_notes(&e->hops, n->at, n->count, color, out);
    if (e->shown.has_verdict) {
        put_seen(e, out);
    }
    put_outcome(e, color, out);
    for (uint32_t i = 0; i < n->text_count; i++) {
        free(n->texts[i]);
    }
    free(n);
}
