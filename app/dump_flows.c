/* `get conntrack`, `get nat` and `get affinity`: what the flow table, the service tables and the clients' memory hold.
 *
 * A flow is shown as netfilter shows it: the original tuple, and the reply tuple as an answer will look. The translation is
 * their difference, so nothing here says "before" and "after" of a flow a second time; the reasons say why. For ICMP echo, where a
 * tuple has no ports, there are type, code and identifier instead.
 *
 * Called by dump_json.c, and by control_stream.c, which takes flows in steps; reads nat through pg_nat_walk and pg_nat_walk_rules.
 * The lines give the same flows in the words of conntrack(8), for scripts that know those. */
#include "dump_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void tuple(struct pg_dump *d, const char *key, const struct pg_tuple *t, uint64_t packets,
                  uint64_t bytes)
{
    struct pg_json *j = &d->json;

    pg_json_key(j, key);
    pg_json_object(j);
    pg_json_key_addr(j, "src", &t->src);
    if (pg_proto_has_ports(t->proto)) {
        pg_json_key_uint(j, "srcPort", t->src_port);
    }
    pg_json_key_addr(j, "dst", &t->dst);
    if (pg_proto_is_icmp(t->proto)) {
        pg_json_key_uint(j, "icmpType", t->dst_port >> 8);
        pg_json_key_uint(j, "icmpCode", t->dst_port & 0xff);
        pg_json_key_uint(j, "icmpId", t->src_port);
    } else if (pg_proto_has_ports(t->proto)) {
        pg_json_key_uint(j, "dstPort", t->dst_port);
    }
    pg_json_key_uint(j, "packets", packets);
    pg_json_key_uint(j, "bytes", bytes);
    pg_json_object_end(j);
}

static void on_flow(void *arg, const struct pg_nat_flow_view *f)
{
    struct pg_dump *d = arg;
    struct pg_json *j = &d->json;
    bool served = f->service_name && f->service_name[0];

    pg_json_object(j);
    pg_json_key_uint(j, "id", f->id);
    pg_json_key_string(j, "proto", pg_proto_name(f->orig.proto));
    pg_json_key_string(j, "state", f->state == PG_CT_NONE ? NULL : pg_ct_state_name(f->state));
    tuple(d, "original", &f->orig, f->packets[0], f->bytes[0]);
    tuple(d, "reply", &f->reply, f->packets[1], f->bytes[1]);
    pg_json_key(j, "nat");
    pg_json_array(j);
    if (f->dnat) {
        pg_json_string(j, "dnat");
    }
    if (f->snat) {
        pg_json_string(j, "snat");
    }
    pg_json_array_end(j);
    pg_json_key_string(j, "service", served ? f->service_name : NULL);
    pg_json_key(j, "servicePort");
    if (served) {
        pg_json_uint(j, f->service_port);
    } else {
        pg_json_string(j, NULL);
    }
    pg_dump_node_name(d, "node", f->node);
    pg_json_key_uint(j, "timeoutSeconds", f->timeout_s);
    pg_json_key_bool(j, "seenReply", f->seen_reply);
    pg_json_key_bool(j, "assured", f->assured);
    pg_dump_flow_label(d, "flow", f->label);
    pg_json_key_uint(j, "ageSeconds", f->age_us / 1000000);
    pg_dump_reason(d, "dnatReason", f->dnat_reason);
    pg_dump_reason(d, "snatReason", f->snat_reason);
    pg_json_object_end(j);
}

void pg_dump_conntrack(struct pg_dump *d)
{
    uint64_t cursor = 0;

    while (pg_nat_walk(pg_path_nat(d->path), &cursor, PG_DUMP_STEP, d->now_us, on_flow, d)) {
    }
}

static void on_rule(void *arg, const struct pg_nat_rule_view *r)
{
    struct pg_dump *d = arg;
    struct pg_json *j = &d->json;

    pg_json_object(j);
    pg_json_key_string(j, "hook", r->hook);
    pg_json_key_string(j, "kind", r->kind);
    if (pg_addr_is_none(&r->before) && r->before_port) { /* a node port: of any node */
        pg_json_key(j, "before");
        pg_json_object(j);
        pg_json_key_string(j, "address", NULL);
        pg_json_key_uint(j, "port", r->before_port);
        pg_json_object_end(j);
    } else {
        pg_dump_endpoint(d, "before", &r->before, r->before_port);
    }
    pg_dump_endpoint(d, "after", &r->after, r->after_port);
    pg_json_key_string(j, "portMode", r->port_mode);
    if (r->endpoint_count) {
        pg_json_key_uint(j, "endpointNumber", r->endpoint_number);
        pg_json_key_uint(j, "endpointCount", r->endpoint_count);
    }
    pg_dump_reason(d, "reason", r->reason);
    pg_json_key_uint(j, "activeFlows", r->active);
    pg_json_key_uint(j, "hits", r->hits);
    pg_json_object_end(j);
}

void pg_dump_nat(struct pg_dump *d)
{
    pg_nat_walk_rules(pg_path_nat(d->path), on_rule, d);
}

static void on_affinity(void *arg, const struct pg_nat_affinity_view *a)
{
    struct pg_dump *d = arg;
    struct pg_json *j = &d->json;
    uint32_t pod = d->snapshot ? pg_snapshot_pod_at(d->snapshot, &a->addr, a->port) : PG_INDEX_NONE;

    pg_json_object(j);
    pg_json_key_string(j, "service", a->service_name);
    pg_json_key_uint(j, "servicePort", a->service_port);
    pg_json_key_string(j, "proto", pg_proto_name(a->proto));
    pg_json_key_addr(j, "client", &a->client);
    pg_dump_endpoint(d, "endpoint", &a->addr, a->port);
    pg_dump_pod_name(d, "pod", pod);
    pg_json_key_uint(j, "timeoutSeconds", a->timeout_s);
    pg_json_object_end(j);
}

void pg_dump_affinity(struct pg_dump *d)
{
    pg_nat_walk_affinity(pg_path_nat(d->path), d->now_us, on_affinity, d);
}

/* ---- in steps ---- */

unsigned pg_dump_conntrack_form(const char *name)
{
    if (name == NULL) {
        return 0;
    }
    return strcmp(name, "extended") == 0 ? PG_CONNTRACK_EXTENDED
           : strcmp(name, "id") == 0     ? PG_CONNTRACK_ID
           : strcmp(name, "xml") == 0    ? PG_CONNTRACK_XML
                                         : 0;
}

static bool is_named(const struct pg_nat_flow_view *f, const char *name)
{
    char id[24];
    char label[12];

    snprintf(id, sizeof id, "%" PRIu64, f->id);
    snprintf(label, sizeof label, "%04x", f->label);
    return strcmp(name, id) == 0 || (f->label && strcmp(name, label) == 0);
}

static void on_line(void *arg, const struct pg_nat_flow_view *f)
{
    struct pg_flow_list_dump *l = arg;

    if (l->name[0] && !is_named(f, l->name)) {
        return;
    }
    pg_nat_print_conntrack(f, PG_CONNTRACK_COUNTERS | l->form, l->out);
    pg_text_putc(l->out, '\n');
    l->count++;
}

static void on_item(void *arg, const struct pg_nat_flow_view *f)
{
    struct pg_flow_list_dump *l = arg;

    on_flow(&l->d, f);
}

void pg_flow_list_begin(struct pg_flow_list_dump *l, struct pg_path *p, uint64_t now_us,
                        struct pg_text *out)
{
    l->d = (struct pg_dump){.path = p, .snapshot = pg_path_snapshot(p), .now_us = now_us};
    l->out = out;
    l->cursor = 0;
    l->count = 0;
    if (!l->lines) {
        pg_dump_open(&l->d, "ConntrackList", out);
    }
}

bool pg_flow_list_step(struct pg_flow_list_dump *l, uint32_t slots, uint64_t now_us)
{
    l->d.snapshot = pg_path_snapshot(l->d.path); /* a reload may have come in between */
    l->d.now_us = now_us;
    if (pg_nat_walk(pg_path_nat(l->d.path), &l->cursor, slots, now_us, l->lines ? on_line : on_item,
                    l)) {
        return true;
    }
    if (!l->lines) {
        pg_dump_close(&l->d);
        pg_text_putc(l->out, '\n');
    }
    return false;
}

uint32_t pg_dump_conntrack_lines(struct pg_path *p, uint64_t now_us, struct pg_text *out)
{
    struct pg_flow_list_dump l = {.lines = true};

    pg_flow_list_begin(&l, p, now_us, out);
    while (pg_flow_list_step(&l, PG_DUMP_STEP, now_us)) {
    }
    return l.count;
}
