/* An exchange as text and as JSON.
 *
 *   c7f1  GET shop.example.test/cart 200  3.420ms  198.51.100.7:52100 -> shop/web-0     client LOST at hop 1
 *     +0.000  nat      dst 203.0.113.10:80  =>  10.244.1.2:80      svc/edge/gateway LoadBalancer  edge.yaml:9  PG112
 *     ...
 *
 * Times are milliseconds since the first record, or times of day, or left out; "before" stands where a record was told for an earlier request of the same connection. Called by
 * readers of records. Everything that came from a stranger is escaped. */
#include "podglass/exchange.h"

#include "podglass/hops.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static void puts_escaped(struct pg_text *out, const char *text)
{
    pg_text_add_escaped(out, text, strlen(text));
}

static void add_end(struct pg_text *out, const struct pg_end *e)
{
    char text[PG_ENDPOINT_TEXT];
    if (pg_addr_is_none(&e->addr)) {
        pg_text_puts(out, "?");
    } else if (e->port != 0) {
        pg_text_puts(out, pg_endpoint_print(&e->addr, e->port, text));
    } else {
        pg_text_puts(out, pg_addr_print(&e->addr, text));
    }
}

static const char *name_of(const struct pg_names *names, const struct pg_addr *a)
{
    return names != NULL && names->of != NULL && !pg_addr_is_none(a) ? names->of(names->arg, a)
                                                                     : "";
}

static const char *const colors[PG_VERDICT_COUNT] = {[PG_VERDICT_KEPT] = "32",
                                                     [PG_VERDICT_CARRIED] = "32",
                                                     [PG_VERDICT_LOST] = "31",
                                                     [PG_VERDICT_FORGED] = "31",
                                                     [PG_VERDICT_AMBIGUOUS] = "33"};

static void add_verdict(struct pg_text *out, const struct pg_exchange_view *v, bool color)
{
    pg_text_puts(out, "     client ");
    if (color) {
        pg_text_printf(out, "\033[1;%sm", colors[v->verdict]);
    }
    for (const char *name = pg_verdict_name(v->verdict); *name != 0; name++) {
        pg_text_putc(out, (char)(*name - 'a' + 'A'));
    }
    pg_text_puts(out, color ? "\033[0m" : "");
    if (v->lost_hop != 0) {
        pg_text_printf(out, " at hop %u", v->lost_hop);
    }
    if (v->cut) {
        pg_text_puts(out, " (as far as recorded)");
    }
}

/* "GET shop.example.test/cart 200", "tcp 203.0.113.20:80", "drop rejected tcp 10.96.0.9:80" */
static void add_subject(struct pg_text *out, const struct pg_exchange *x,
                        const struct pg_exchange_view *v)
{
    if (!x->is_http) {
        if (v->drop[0] != 0) {
            pg_text_printf(out, "drop %s ", v->drop);
        }
        pg_text_printf(out, "%s ", v->proto != 0 ? pg_proto_name(v->proto) : "ip");
        add_end(out, &v->vip);
        return;
    }
    puts_escaped(out, v->method[0] != 0 ? v->method : "?");
    pg_text_putc(out, ' ');
    puts_escaped(out, v->host);
    puts_escaped(out, v->target);
    if (v->status != 0) {
        pg_text_printf(out, " %u", v->status);
    }
    if (v->refusal[0] != 0) {
        pg_text_puts(out, " ");
        puts_escaped(out, v->refusal);
    }
    if (!x->complete) {
        pg_text_puts(out, " (no answer seen)");
    }
}

/* "13:04:05.000123", and for the head of an exchange the day in front of it: "2026-11-25T13:04:05.000123Z". */
static void add_time_of_day(struct pg_text *out, uint64_t time_us, bool with_day)
{
    time_t seconds = (time_t)(time_us / 1000000);
    struct tm tm;
    if (gmtime_r(&seconds, &tm) == NULL) {
        return;
    }
    if (with_day) {
        pg_text_printf(out, "%04d-%02d-%02dT", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
    }
    pg_text_printf(out, "%02d:%02d:%02d.%06u%s", tm.tm_hour, tm.tm_min, tm.tm_sec,
                   (unsigned)(time_us % 1000000), with_day ? "Z" : "");
}

static void add_head(struct pg_text *out, const struct pg_exchange *x,
                     const struct pg_exchange_view *v, const struct pg_names *names,
                     const struct pg_exchange_style *style)
{
    const char *pod = name_of(names, &v->pod.addr);
    bool color = style->color;
    if (style->time == PG_TIME_ABS) {
        add_time_of_day(out, v->began_us + style->epoch_us, true);
        pg_text_puts(out, "  ");
    }
    pg_text_printf(out, "%s%04x%s  ", color ? "\033[1m" : "", x->label, color ? "\033[0m" : "");
    add_subject(out, x, v);
    if (style->time != PG_TIME_NONE) {
        pg_text_printf(out, "  %llu.%03llums", (unsigned long long)(v->took_us / 1000),
                       (unsigned long long)(v->took_us % 1000));
    }
    pg_text_puts(out, "  ");
    add_end(out, &v->client);
    if (!pg_addr_is_none(&v->pod.addr)) {
        pg_text_puts(out, " -> ");
        if (pod[0] != 0) {
            puts_escaped(out, pod);
        } else {
            add_end(out, &v->pod);
        }
    }
    if (v->has_verdict) {
        add_verdict(out, v, color);
    }
    pg_text_putc(out, '\n');
}

/* When it was, as wide in each line. */
static void add_when(struct pg_text *out, const struct pg_record *r, uint64_t began_us,
                     bool carried, const struct pg_exchange_style *style)
{
    uint64_t at_us = r->time_us > began_us ? r->time_us - began_us : 0;
    char offset[32];
    if (style->time == PG_TIME_ABS) {
        pg_text_puts(out, "  ");
        add_time_of_day(out, r->time_us + style->epoch_us, false);
    } else if (carried) {
        pg_text_puts(out, "    before");
    } else if (style->time == PG_TIME_REL) {
        snprintf(offset, sizeof offset, "+%llu.%03llu", (unsigned long long)(at_us / 1000),
                 (unsigned long long)(at_us % 1000));
        pg_text_printf(out, "%10s", offset);
    } else {
        pg_text_printf(out, "%10s", "");
    }
}

static void add_line(struct pg_text *out, const struct pg_record *r, uint64_t began_us,
                     bool carried, const struct pg_exchange_style *style)
{
    char what[640];
    char why[560];
    bool loud = pg_hops_is_loud(r);
    bool color = style->color;
    pg_text_puts(out, color && loud ? "\033[31m" : "");
    add_when(out, r, began_us, carried, style);
    pg_hops_change(r, what, sizeof what);
    pg_text_printf(out, "  %-7s %c %s", pg_hops_work(r), loud ? '!' : ' ',
                   r->direction != 0 && r->conntrack != 0 ? "reply " : "");
    pg_text_printf(out, "%-58s", what);
    if (pg_hops_why(r, why, sizeof why)[0] != 0) {
        pg_text_printf(out, "  %s", why);
    }
    if (r->conntrack != 0) {
        pg_text_printf(out, "  #%llu", (unsigned long long)r->conntrack);
    }
    while (out->len > 0 && out->at[out->len - 1] == ' ') {
        out->at[--out->len] = 0;
    }
    pg_text_puts(out, color && loud ? "\033[0m\n" : "\n");
}

void pg_exchange_text(const struct pg_exchange *x, const struct pg_names *names,
                      const struct pg_exchange_style *style, struct pg_text *out)
{
    struct pg_exchange_view v;
    pg_exchange_look(x, &v);
    add_head(out, x, &v, names, style);
    for (uint32_t i = 0; i < x->count; i++) {
        add_line(out, &x->records[i], v.began_us, i < x->carried, style);
    }
    if (x->left_out != 0) {
        pg_text_printf(out, "    %u records more were not kept\n", x->left_out);
    }
}

/* ---- JSON ---- */

static void json_end(struct pg_json *j, const char *key, const struct pg_end *e,
                     const struct pg_names *names)
{
    const char *name = name_of(names, &e->addr);
    if (pg_addr_is_none(&e->addr)) {
        pg_json_key_string(j, key, NULL);
        return;
    }
    pg_json_key(j, key);
    pg_json_object(j);
    pg_json_key_addr(j, "address", &e->addr);
    pg_json_key_uint(j, "port", e->port);
    pg_json_key_string(j, "name", name[0] != 0 ? name : NULL);
    pg_json_object_end(j);
}

static void text_or_null(struct pg_json *j, const char *key, const char *text)
{
    pg_json_key_string(j, key, text[0] != 0 ? text : NULL);
}

/* null: the head does not say how many. */
static void bytes_or_null(struct pg_json *j, const char *key, int64_t bytes)
{
    if (bytes < 0) {
        pg_json_key_string(j, key, NULL);
    } else {
        pg_json_key_uint(j, key, (uint64_t)bytes);
    }
}

static void json_verdict(struct pg_json *j, const struct pg_exchange_view *v)
{
    const struct pg_reader *readers[PG_READERS_USUAL];
    uint32_t count = pg_readers_usual(&v->seen, readers);
    pg_json_key_string(j, "verdict", v->has_verdict ? pg_verdict_name(v->verdict) : NULL);
    if (!v->has_verdict) {
        return;
    }
    pg_json_key_bool(j, "verdictCut", v->cut);
    if (v->lost_hop != 0) {
        pg_json_key_uint(j, "lostAtHop", v->lost_hop);
        pg_json_key_string(j, "lostBecause", pg_code_name(v->lost_code));
    }
    pg_json_key(j, "readers");
    pg_json_object(j);
    for (uint32_t i = 0; i < count; i++) {
        struct pg_addr a = {0};
        (void)pg_reader_take(readers[i], &v->seen, &a);
        pg_json_key_addr(j, readers[i]->text, &a);
    }
    pg_json_object_end(j);
}

static void json_request(struct pg_json *j, const struct pg_exchange *x,
                         const struct pg_exchange_view *v)
{
    if (!x->is_http) {
        text_or_null(j, "drop", v->drop);
        return;
    }
    pg_json_key(j, "request");
    pg_json_object(j);
    text_or_null(j, "method", v->method);
    text_or_null(j, "host", v->host);
    text_or_null(j, "target", v->target);
    bytes_or_null(j, "bodyBytes", v->request_body);
    pg_json_object_end(j);
    pg_json_key(j, "status");
    if (v->status != 0) {
        pg_json_uint(j, v->status);
    } else {
        pg_json_string(j, NULL);
    }
    text_or_null(j, "refusal", v->refusal);
    bytes_or_null(j, "responseBodyBytes", v->response_body);
}

void pg_record_json_named(const struct pg_record *r, const struct pg_names *names,
                          struct pg_json *j)
{
    pg_record_json_open(r, j);
    const char *name = r->before.is_text ? "" : name_of(names, &r->before.addr);
    if (name[0] != 0) {
        pg_json_key_string(j, "beforeName", name);
    }
    name = r->after.is_text ? "" : name_of(names, &r->after.addr);
    if (name[0] != 0) {
        pg_json_key_string(j, "afterName", name);
    }
    pg_json_object_end(j);
}

void pg_exchange_json(const struct pg_exchange *x, const struct pg_names *names, struct pg_json *j)
{
    struct pg_exchange_view v;
    char label[12];
    pg_exchange_look(x, &v);
    snprintf(label, sizeof label, "%04x", x->label);
    pg_json_object(j);
    pg_json_key_string(j, "apiVersion", "podglass/v1alpha1");
    pg_json_key_string(j, "kind", "Exchange");
    pg_json_key_string(j, "flow", x->label != 0 ? label : NULL);
    pg_json_key_bool(j, "complete", x->complete);
    pg_json_key_string(j, "proto", v.proto != 0 ? pg_proto_name(v.proto) : NULL);
    json_request(j, x, &v);
    pg_json_key_uint(j, "beganUs", v.began_us);
    pg_json_key_uint(j, "tookUs", v.took_us);
    json_end(j, "client", &v.client, names);
    json_end(j, "vip", &v.vip, names);
    json_end(j, "pod", &v.pod, names);
    json_end(j, "peer", &v.peer, names);
    text_or_null(j, "entryService", v.entry);
    text_or_null(j, "service", v.service);
    json_verdict(j, &v);
    pg_json_key_uint(j, "carriedRecords", x->carried);
    pg_json_key(j, "records");
    pg_json_array(j);
    for (uint32_t i = 0; i < x->count; i++) {
        pg_record_json_named(&x->records[i], names, j);
    }
    pg_json_array_end(j);
    pg_json_object_end(j);
}
