/* A record as people read it, and as programs do.
 *
 *   nat-prerouting   dst 203.0.113.10:80 => 10.244.1.2:80   svc/edge/gateway LoadBalancer  edge.yaml:9  PG112 #1041
 *   nat-postrouting  reply src 10.244.1.7:8080 => 10.96.12.40:80   reply put back as its flow demands  PG115 #1042
 *   http-rewrite     +X-Forwarded-For: 10.244.1.1   ...
 *
 * Time and flow label stand in front of a line only where the reader wants them, so they are not
 * printed here; the JSON has them. Header names and values come from strangers: everything is
 * escaped. Readers of the ring call this, never the path. */
#include "podglass/trace.h"

#include "podglass/json.h"

#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
    [PG_RECORD_REWRITE] = "Rewrite",
    [PG_RECORD_KEEP] = "Keep",
    [PG_RECORD_EVENT] = "Event",
    [PG_RECORD_DROP] = "Drop",
};
_Static_assert(sizeof kind_names / sizeof kind_names[0] == PG_RECORD_KIND_COUNT, "a name per kind");

static bool is_absent(const struct pg_value *v)
{
    return !v->is_text && pg_addr_is_none(&v->addr) && v->port == 0;
}

static uint16_t text_len(const struct pg_value *v)
{
    return v->len <= sizeof v->text ? v->len : (uint16_t)sizeof v->text;
}

static size_t name_len(const struct pg_record *r)
{
    return strnlen(r->name, sizeof r->name);
}

/* Port 0 is "no port" (ICMP, TTL): the address alone. */
static void add_value(struct pg_text *out, const struct pg_value *v)
{
    char text[PG_ENDPOINT_TEXT];

    if (v->is_text) {
        pg_text_add_escaped(out, v->text, text_len(v));
        if (v->cut) {
            pg_text_puts(out, "...");
        }
    } else if (pg_addr_is_none(&v->addr)) {
        if (v->port) {
            pg_text_printf(out, "%u", v->port);
        }
    } else if (v->any_port) {
        pg_text_printf(out, pg_addr_is_v4(&v->addr) ? "%s:*" : "[%s]:*",
                       pg_addr_print(&v->addr, text));
    } else if (v->port) {
        pg_text_puts(out, pg_endpoint_print(&v->addr, v->port, text));
    } else {
        pg_text_puts(out, pg_addr_print(&v->addr, text));
    }
}

const char *pg_value_print(const struct pg_value *v, char *out, uint32_t room)
{
    struct pg_text text = {0};

    if (room) {
        add_value(&text, v);
        snprintf(out, room, "%s", text.at ? text.at : "");
        pg_text_free(&text);
    }
    return out;
}

/* "+Name: value" for a header that was added, "~Name: value => (removed)", "~Name: old => new". */
static void add_header(struct pg_text *out, const struct pg_record *r)
{
    bool added = is_absent(&r->before);

    pg_text_putc(out, added ? '+' : '~');
    pg_text_add_escaped(out, r->name, name_len(r));
    pg_text_puts(out, ": ");
    if (!added) {
        add_value(out, &r->before);
        pg_text_puts(out, " => ");
    }
    if (is_absent(&r->after)) {
        pg_text_puts(out, "(removed)");
    } else {
        add_value(out, &r->after);
    }
}

static void add_rewrite(struct pg_text *out, const struct pg_record *r)
{
    if (r->field == PG_FIELD_HEADER) {
        add_header(out, r);
        return;
    }
    pg_text_puts(out, pg_field_name((enum pg_field)r->field));
    if (r->name[0]) {
        pg_text_putc(out, ' ');
        pg_text_add_escaped(out, r->name, name_len(r));
    }
    pg_text_putc(out, ' ');
    if (is_absent(&r->before)) {
        pg_text_puts(out, "(none)");
    } else {
        add_value(out, &r->before);
    }
    pg_text_puts(out, " => ");
    if (is_absent(&r->after)) {
        pg_text_puts(out, "(removed)");
    } else {
        add_value(out, &r->after);
    }
}

static void add_keep(struct pg_text *out, const struct pg_record *r)
{
    if (r->field == PG_FIELD_HEADER || r->field == PG_FIELD_TRAILER) {
        pg_text_puts(out, r->field == PG_FIELD_TRAILER ? "trailer " : "");
        pg_text_add_escaped(out, r->name, name_len(r));
        pg_text_puts(out, ": ");
    } else {
        pg_text_puts(out, pg_field_name((enum pg_field)r->field));
        pg_text_putc(out, ' ');
    }
    add_value(out, &r->before);
    pg_text_puts(out, " unchanged");
}

/* An event or a drop: its name, and the values it has. */
static void add_happening(struct pg_text *out, const struct pg_record *r)
{
    if (r->kind == PG_RECORD_DROP) {
        pg_text_puts(out, "drop ");
    }
    pg_text_add_escaped(out, r->name, name_len(r));
    if (!is_absent(&r->before)) {
        pg_text_putc(out, ' ');
        add_value(out, &r->before);
    }
    if (!is_absent(&r->after)) {
        pg_text_puts(out, is_absent(&r->before) ? " " : " => ");
        add_value(out, &r->after);
    }
}

static void add_reason(struct pg_text *out, const struct pg_record *r)
{
    char text[512];

    if (r->reason) {
        pg_text_printf(out, "   %s  %s", pg_reason_print(r->reason, text, sizeof text),
                       pg_code_name(pg_reason_get(r->reason)->code));
    }
    if (r->conntrack) {
        pg_text_printf(out, "%s#%llu", r->reason ? " " : "   ", (unsigned long long)r->conntrack);
    }
}

void pg_record_print(const struct pg_record *r, struct pg_text *out)
{
    pg_text_printf(out, "%-15s  ", pg_stage_name((enum pg_stage)r->stage));
    if (r->direction && r->kind != PG_RECORD_EVENT) {
        pg_text_puts(out, "reply ");
    }
    switch ((enum pg_record_kind)r->kind) {
    case PG_RECORD_REWRITE: add_rewrite(out, r); break;
    case PG_RECORD_KEEP: add_keep(out, r); break;
    case PG_RECORD_EVENT:
    case PG_RECORD_DROP:
    default: add_happening(out, r); break;
    }
    add_reason(out, r);
}

static void json_value(struct pg_json *j, const char *key, const struct pg_value *v)
{
    char text[PG_ENDPOINT_TEXT];

    if (v->is_text) {
        pg_json_key(j, key);
        pg_json_slice(j, (struct pg_slice){v->text, text_len(v)});
    } else if (is_absent(v)) {
        pg_json_key_string(j, key, NULL);
    } else if (pg_addr_is_none(&v->addr)) {
        pg_json_key_uint(j, key, v->port);
    } else if (v->any_port || v->port) {
        char with_port[PG_ENDPOINT_TEXT + 2];

        pg_json_key_string(j, key, pg_value_print(v, with_port, sizeof with_port));
    } else {
        pg_json_key_string(j, key, pg_addr_print(&v->addr, text));
    }
}

static void json_reason(struct pg_json *j, pg_reason_id id)
{
    const struct pg_reason *r = pg_reason_get(id);
    struct pg_text source = {0};

    pg_json_key(j, "reason");
    pg_json_object(j);
    pg_json_key_string(j, "code", pg_code_name(r->code));
    pg_json_key_string(j, "title", pg_code_title(r->code));
    if (r->object[0]) {
        pg_json_key_string(j, "object", r->object);
    }
    if (r->field[0]) {
        pg_json_key_string(j, "path", r->field);
    }
    if (r->value[0]) {
        pg_json_key_string(j, "value", r->value);
    }
    pg_json_key_bool(j, "defaulted", r->defaulted);
    if (r->file[0]) {
        pg_text_puts(&source, r->file);
        if (r->line) {
            pg_text_printf(&source, ":%u", r->line);
        }
        pg_json_key_string(j, "source", source.at);
    }
    pg_json_object_end(j);
    pg_text_free(&source);
}

void pg_record_json_open(const struct pg_record *r, struct pg_json *j)
{
    char label[12];
    unsigned kind = r->kind < PG_RECORD_KIND_COUNT ? r->kind : PG_RECORD_EVENT;

    snprintf(label, sizeof label, "%04x", r->label);
    pg_json_object(j);
    pg_json_key_string(j, "apiVersion", "podglass/v1alpha1");
    pg_json_key_string(j, "kind", kind_names[kind]);
    pg_json_key_uint(j, "seq", r->seq);
    pg_json_key_uint(j, "timeUs", r->time_us);
    if (r->label) {
        pg_json_key_string(j, "flow", label);
    }
    if (r->packet) {
        pg_json_key_uint(j, "packet", r->packet);
    }
    if (r->proto) {
        pg_json_key_string(j, "proto", pg_proto_name(r->proto));
    }
    if (r->node != UINT16_MAX) {
        pg_json_key_uint(j, "node", r->node);
    }
    pg_json_key_string(j, "stage", pg_stage_name((enum pg_stage)r->stage));
    pg_json_key_string(j, "direction", r->direction ? "reply" : "original");
    if (r->field != PG_FIELD_NONE) {
        pg_json_key_string(j, "field", pg_field_name((enum pg_field)r->field));
    }
    if (r->name[0]) {
        pg_json_key(j, "name");
        pg_json_slice(j, (struct pg_slice){r->name, name_len(r)});
    }
    json_value(j, "before", &r->before);
    json_value(j, "after", &r->after);
    if (r->before.cut || r->after.cut) {
        pg_json_key_bool(j, "cut", true);
    }
    if (r->reason) {
        json_reason(j, r->reason);
    }
    if (r->conntrack) {
        pg_json_key_uint(j, "conntrack", r->conntrack);
    }
}

void pg_record_json(const struct pg_record *r, struct pg_json *j)
{
    pg_record_json_open(r, j);
    pg_json_object_end(j);
}
