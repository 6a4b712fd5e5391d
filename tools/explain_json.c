/* An answer of explain as one JSON object: the records of the way, the odds of each rewritten address, what is seen, the verdict. */
#include "explain_internal.h"
#include "podglass/secrets.h"

#include <string.h>

static void put_text(struct pg_json *j, const char *key, const struct pg_text *t)
{
    pg_json_key_string(j, key, t->at ? t->at : "");
}

static void put_others(struct pg_json *j, const char *key, const struct pg_explain *e,
                       const struct pg_dry_others *others)
{
    pg_json_key(j, key);
    pg_json_array(j);
    for (uint32_t i = 0; i < others->count; i++) {
        const struct pg_dry_other *o = &others->at[i];
        pg_json_object(j);
        pg_json_key_addr(j, "address", &o->addr); /* null: the source is kept */
        if (o->port) {
            pg_json_key_uint(j, "port", o->port);
        }
        pg_json_key_bool(j, "changed", !o->same);
        if (o->node < e->snapshot->node_count) {
            pg_json_key_string(j, "node", e->snapshot->nodes[o->node].name);
        }
        pg_json_key_uint(j, "oddsPercent", (uint64_t)(o->odds * 100 + 0.5));
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
}

static void put_hops(struct pg_json *j, const struct pg_explain *e)
{
    pg_json_key(j, "hops");
    pg_json_array(j);
    for (uint32_t i = 0; i < e->hops.count; i++) {
        const struct pg_record *r = &e->hops.records[i];
        pg_json_object(j);
        pg_json_key_uint(j, "hop", pg_hops_number(&e->hops, r->seq));
        pg_json_key(j, "record");
        pg_record_json(r, j);
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
}

static void put_odds(struct pg_json *j, const struct pg_explain *e)
{
    pg_json_key(j, "choices");
    pg_json_array(j);
    for (uint32_t leg = 0; leg < e->shown.leg_count; leg++) {
        pg_json_object(j);
        pg_json_key_string(j, "leg", leg ? "upstream" : "client");
        put_others(j, "destinations", e, &e->odds.dst[leg]);
        put_others(j, "sources", e, &e->odds.src[leg]);
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
}

static void put_headers(struct pg_json *j, struct pg_slice as_sent)
{
    struct pg_text hidden = {0};
    pg_text_add_head_hidden(&hidden, as_sent);
    struct pg_slice head = {hidden.at, hidden.len};
    const char *at = memmem(head.at, head.len, "\r\n", 2);

    pg_json_key(j, "headers");
    pg_json_array(j);
    while (at) {
        const char *line = at + 2;
        size_t left = head.len - (size_t)(line - head.at);
        at = memmem(line, left, "\r\n", 2);
        if (at && at > line) {
            pg_json_slice(j, (struct pg_slice){line, (size_t)(at - line)});
        }
    }
    pg_json_array_end(j);
    pg_text_free(&hidden);
}

static void put_reader(struct pg_json *j, const struct pg_reader *r, const struct pg_seen *seen)
{
    struct pg_addr a = {0};
    bool found = pg_reader_take(r, seen, &a);

    pg_json_object(j);
    pg_json_key_string(j, "reader", r->text);
    pg_json_key_addr(j, "address", &a);
    pg_json_key_string(j, "verdict", pg_verdict_name(pg_verdict_of_reader(seen, found, &a)));
    pg_json_object_end(j);
}

static void put_seen(struct pg_json *j, const struct pg_explain *e)
{
    const struct pg_reader *readers[PG_READERS_USUAL] = {&e->reader};
    uint32_t count = e->reader.text ? 1 : pg_readers_usual(&e->shown.seen, readers);
    struct pg_text pod = {0};

    pg_json_key(j, "seen");
    pg_json_object(j);
    if (e->shown.pod != PG_INDEX_NONE) {
        const struct pg_pod *p = &e->snapshot->pods[e->shown.pod];
        pg_text_printf(&pod, "%s/%s", p->namespace, p->name);
        pg_json_key_string(j, "pod", pod.at);
    }
    pg_json_key_addr(j, "peer", &e->shown.seen.peer);
    if (e->shown.head.at) {
        put_headers(j, e->shown.head);
    }
    pg_json_key(j, "readers");
    pg_json_array(j);
    for (uint32_t i = 0; i < count; i++) {
        put_reader(j, readers[i], &e->shown.seen);
    }
    pg_json_array_end(j);
    pg_json_object_end(j);
    pg_text_free(&pod);
}

static void put_reason(struct pg_json *j, pg_reason_id id)
{
    const struct pg_reason *r = pg_reason_get(id);

    pg_json_key_string(j, "code", pg_code_name(r->code));
    pg_json_key_string(j, "object", r->object);
    pg_json_key_string(j, "path", r->field);
    pg_json_key_string(j, "file", r->file);
    pg_json_key_uint(j, "line", r->line);
}

static void put_client(struct pg_json *j, const struct pg_explain *e)
{
    const struct pg_record *loss = pg_hops_loss(&e->hops);

    pg_json_key(j, "client");
    pg_json_object(j);
    pg_json_key_addr(j, "address", &e->ask.request.from);
    if (e->shown.has_verdict) {
        pg_json_key_string(j, "verdict", pg_verdict_name(e->shown.verdict));
    }
    if (loss && e->shown.has_verdict && e->shown.verdict != PG_VERDICT_CARRIED &&
        e->shown.verdict != PG_VERDICT_KEPT) {
        pg_json_key(j, "lostAt");
        pg_json_object(j);
        pg_json_key_uint(j, "hop", pg_hops_number(&e->hops, loss->seq));
        put_reason(j, loss->reason);
        pg_json_object_end(j);
    }
    pg_json_key(j, "oddsPercent");
    pg_json_object(j);
    for (int v = 0; v < PG_VERDICT_COUNT; v++) {
        if (e->odds.verdict[v] > 0) {
            pg_json_key_uint(j, pg_verdict_name((enum pg_verdict)v),
                             (uint64_t)(e->odds.verdict[v] * 100 + 0.5));
        }
    }
    pg_json_object_end(j);
    pg_json_object_end(j);
}

static void put_end(struct pg_json *j, const struct pg_explain *e)
{
    pg_json_key(j, "end");
    pg_json_object(j);
    pg_json_key_string(j, "kind", pg_dry_end_name(e->shown.end));
    pg_json_key_addr(j, "address", &e->shown.end_addr);
    if (e->shown.end_port) {
        pg_json_key_uint(j, "port", e->shown.end_port);
    }
    if (e->shown.status) {
        pg_json_key_uint(j, "status", e->shown.status);
        pg_json_key_string(j, "refusal", e->shown.refusal);
    }
    if (e->shown.drop != PG_DROP_NONE) {
        pg_json_key_string(j, "drop", pg_drop_name(e->shown.drop));
    }
    if (e->shown.reason) {
        pg_json_key(j, "reason");
        pg_json_object(j);
        put_reason(j, e->shown.reason);
        pg_json_object_end(j);
    }
    pg_json_object_end(j);
}

/* What a pod's resolver asks the DNS for, each name twice: A and AAAA. */
static void put_resolver(struct pg_json *j, const struct pg_explain *e)
{
    const struct pg_asked *a = &e->ask.asked;

    if (!a->from.namespace || a->walk.count == 0) {
        return;
    }
    pg_json_key(j, "resolver");
    pg_json_array(j);
    for (uint32_t i = 0; i < a->walk.count; i++) {
        pg_json_object(j);
        pg_json_key_string(j, "name", a->walk.step[i].name);
        pg_json_key_string(j, "status", pg_dns_status_name(a->walk.step[i].status));
        pg_json_object_end(j);
    }
    pg_json_array_end(j);
}

static void put_tried(struct pg_json *j, const struct pg_tried *t)
{
    pg_json_object(j);
    pg_json_key(j, "set");
    pg_json_array(j);
    for (uint32_t i = 0; i < t->set_count; i++) {
        pg_json_string(j, t->set[i].at);
    }
    pg_json_array_end(j);
    pg_json_key_string(j, "proxyProtocol", t->proxy);
    put_text(j, "outcome", &t->outcome);
    pg_json_key_bool(j, "better", t->better);
    pg_json_object_end(j);
}

void pg_explain_json(const struct pg_explain *e, struct pg_text *out)
{
    struct pg_json j;

    pg_json_begin(&j, out);
    pg_json_object(&j);
    pg_json_key_string(&j, "apiVersion", "podglass/v1alpha1");
    pg_json_key_string(&j, "kind", "Explanation");
    put_text(&j, "request", &e->ask.asked.title);
    pg_json_key_addr(&j, "from", &e->ask.request.from);
    pg_json_key_string(&j, "fromName", e->ask.asked.from.name);
    pg_json_key_addr(&j, "to", &e->ask.request.to);
    pg_json_key_uint(&j, "toPort", e->ask.request.to_port);
    put_resolver(&j, e);
    put_hops(&j, e);
    put_odds(&j, e);
    put_end(&j, e);
    if (e->shown.has_verdict) {
        put_seen(&j, e);
    }
    put_client(&j, e);
    pg_json_key(&j, "try");
    pg_json_array(&j);
    for (uint32_t i = 0; i < e->tried_count; i++) {
        put_tried(&j, &e->tried[i]);
    }
    pg_json_array_end(&j);
    pg_json_object_end(&j);
    pg_text_putc(out, '\n');
}
