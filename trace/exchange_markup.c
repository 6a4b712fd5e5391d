/* An exchange as Markdown (to paste into an issue) and as a Mermaid sequence diagram.
 *
 * Hosts, paths and header names come from strangers, and here they could become links, HTML or statements of a diagram. In Markdown every
 * character that has a meaning gets a backslash or becomes an entity; in Mermaid everything but letters, digits and a few signs becomes a
 * number code. Called by readers of records and by the report. */
#include "podglass/exchange.h"

#include "podglass/hops.h"

#include <stdio.h>
#include <string.h>

void pg_text_add_markdown(struct pg_text *t, const char *text)
{
    struct pg_text plain = {0};
    pg_text_add_escaped(&plain, text, strlen(text));
    for (const char *c = plain.at != NULL ? plain.at : ""; *c != 0; c++) {
        switch (*c) {
        case '<': pg_text_puts(t, "&lt;"); break;
        case '>': pg_text_puts(t, "&gt;"); break;
        case '&': pg_text_puts(t, "&amp;"); break;
        case '@': pg_text_puts(t, "&#64;"); break; /* would call somebody of that name */
        case '|': pg_text_puts(t, "&#124;"); break;
        case '\\':
        case '`':
        case '*':
        case '_':
        case '[':
        case ']':
        case '#':
        case '~':
        case '!': pg_text_putc(t, '\\'); /* fall through */
        default: pg_text_putc(t, *c); break;
        }
    }
    pg_text_free(&plain);
}

void pg_text_add_mermaid(struct pg_text *t, const char *text)
{
    struct pg_text plain = {0};
    pg_text_add_escaped(&plain, text, strlen(text));
    for (const char *c = plain.at != NULL ? plain.at : ""; *c != 0; c++) {
        unsigned char byte = (unsigned char)*c;
        bool plain_sign = byte >= 0x80 || (byte >= '0' && byte <= '9') ||
                          ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'z') ||
                          strchr(" ./-_,=()", byte) != NULL;
        if (plain_sign) {
            pg_text_putc(t, *c);
        } else {
            pg_text_printf(t, "#%u;", byte);
        }
    }
    pg_text_free(&plain);
}

static const char *name_of(const struct pg_names *names, const struct pg_addr *a)
{
    return names != NULL && names->of != NULL && !pg_addr_is_none(a) ? names->of(names->arg, a)
                                                                     : "";
}

/* "shop/web-0 10.244.1.7:8080" */
static void print_end(const struct pg_end *e, const struct pg_names *names, struct pg_text *out)
{
    char text[PG_ENDPOINT_TEXT];
    const char *name = name_of(names, &e->addr);
    if (pg_addr_is_none(&e->addr)) {
        pg_text_puts(out, "?");
        return;
    }
    pg_text_printf(out, "%s%s%s", name, name[0] != 0 ? " " : "",
                   e->port != 0 ? pg_endpoint_print(&e->addr, e->port, text)
                                : pg_addr_print(&e->addr, text));
}

/* What was asked, plain: whoever prints it escapes. */
static void print_subject(const struct pg_exchange *x, const struct pg_exchange_view *v,
                          struct pg_text *out)
{
    struct pg_text vip = {0};
    if (x->is_http) {
        pg_text_printf(out, "%s %s%s", v->method, v->host, v->target);
        return;
    }
    print_end(&v->vip, NULL, &vip);
    pg_text_printf(out, "%s %s", v->proto != 0 ? pg_proto_name(v->proto) : "ip", vip.at);
    pg_text_free(&vip);
}

static void print_result(const struct pg_exchange_view *v, struct pg_text *out)
{
    if (v->status != 0) {
        pg_text_printf(out, "%u %s", v->status, v->refusal);
    } else {
        pg_text_puts(out, v->drop[0] != 0 ? v->drop : "no answer seen");
    }
    while (out->len > 0 && out->at[out->len - 1] == ' ') {
        out->at[--out->len] = 0;
    }
}

static void put_upper(struct pg_text *out, const char *name)
{
    for (; *name != 0; name++) {
        pg_text_putc(out, (char)(*name - 'a' + 'A'));
    }
}

/* ---- Markdown ---- */

static void md(struct pg_text *out, struct pg_text *plain)
{
    pg_text_add_markdown(out, plain->at != NULL ? plain->at : "");
    pg_text_free(plain);
}

static void md_ends(const struct pg_exchange_view *v, const struct pg_names *names,
                    struct pg_text *out)
{
    struct pg_text plain = {0};
    pg_text_puts(&plain, "client ");
    print_end(&v->client, names, &plain);
    pg_text_puts(&plain, ", called ");
    print_end(&v->vip, names, &plain);
    if (!pg_addr_is_none(&v->pod.addr)) {
        pg_text_puts(&plain, ", pod ");
        print_end(&v->pod, names, &plain);
        pg_text_puts(&plain, " sees ");
        print_end(&v->peer, names, &plain);
    }
    md(out, &plain);
    if (v->has_verdict) {
        pg_text_puts(out, ": **");
        put_upper(out, pg_verdict_name(v->verdict));
        pg_text_puts(out, "**");
        if (v->lost_hop != 0) {
            pg_text_printf(out, " at hop %u (%s)", v->lost_hop, pg_code_name(v->lost_code));
        }
    }
    pg_text_puts(out, "\n\n");
}

void pg_exchange_markdown(const struct pg_exchange *x, const struct pg_names *names,
                          struct pg_text *out)
{
    struct pg_exchange_view v;
    struct pg_text plain = {0};
    pg_exchange_look(x, &v);
    pg_text_printf(out, "### %04x: ", x->label);
    print_subject(x, &v, &plain);
    pg_text_puts(&plain, ": ");
    md(out, &plain);
    print_result(&v, &plain);
    md(out, &plain);
    pg_text_printf(out, ", %llu.%03llu ms\n\n", (unsigned long long)(v.took_us / 1000),
                   (unsigned long long)(v.took_us % 1000));
    md_ends(&v, names, out);
    pg_text_puts(out, "| ms | hop | what | why |\n|---:|---|---|---|\n");
    for (uint32_t i = 0; i < x->count; i++) {
        const struct pg_record *r = &x->records[i];
        char what[640];
        char why[560];
        uint64_t at_us = r->time_us > v.began_us ? r->time_us - v.began_us : 0;
        if (i < x->carried) {
            pg_text_puts(out, "| before");
        } else {
            pg_text_printf(out, "| %llu.%03llu", (unsigned long long)(at_us / 1000),
                           (unsigned long long)(at_us % 1000));
        }
        pg_hops_change(r, what, sizeof what);
        pg_text_printf(out, " | %s%s | ", r->direction != 0 ? "reply, " : "", pg_hops_work(r));
        pg_text_add_markdown(out, what);
        pg_text_puts(out, " | ");
        pg_text_add_markdown(out, pg_hops_why(r, why, sizeof why));
        pg_text_puts(out, " |\n");
    }
    pg_text_putc(out, '\n');
}

/* ---- Mermaid ---- */

static void mm(struct pg_text *out, struct pg_text *plain)
{
    pg_text_add_mermaid(out, plain->at != NULL ? plain->at : "");
    pg_text_free(plain);
}

static void participant(struct pg_text *out, const char *id, const char *what,
                        const struct pg_end *e, const struct pg_names *names)
{
    struct pg_text plain = {0};
    pg_text_printf(out, "    participant %s as ", id);
    pg_text_printf(&plain, "%s ", what);
    print_end(e, names, &plain);
    mm(out, &plain);
    pg_text_putc(out, '\n');
}

/* Who says a record: NAT in front of the ingress or behind it, the ingress, or the DNS. */
static const char *teller_of(const struct pg_exchange *x, uint64_t client_flow,
                             const struct pg_record *r)
{
    const char *work = pg_hops_work(r);
    if (strcmp(work, "nat") != 0 && strcmp(work, "link") != 0) {
        return strcmp(work, "dns") == 0 ? "dns" : "ingress";
    }
    return r->conntrack == client_flow || !x->is_http ? "front" : "service";
}

static void mermaid_note(const char *teller, const struct pg_record *r, struct pg_text *out)
{
    char what[640];
    struct pg_text plain = {0};
    enum pg_code code = pg_reason_get(r->reason)->code;
    pg_hops_change(r, what, sizeof what);
    for (char *from = what, *to = what; (*to = *from) != 0; from++) {
        to += !(from[0] == ' ' && from[1] == ' '); /* columns mean nothing in a box */
    }
    pg_text_printf(out, "    Note over %s: ", teller);
    pg_text_printf(&plain, "%s%s%s", what, code != PG_CODE_NONE ? "  " : "",
                   code != PG_CODE_NONE ? pg_code_name(code) : "");
    mm(out, &plain);
    pg_text_putc(out, '\n');
}

/* An arrow where the request goes from one to the next. */
static void mermaid_step(const char *from, const char *to, struct pg_text *out)
{
    if (strcmp(from, to) != 0) {
        pg_text_printf(out, "    %s->>%s: on\n", from, to);
    }
}

static void mermaid_there(const struct pg_exchange *x, uint64_t client_flow, struct pg_text *out)
{
    const char *last = "front";
    for (uint32_t i = 0; i < x->count; i++) {
        const struct pg_record *r = &x->records[i];
        if (r->direction != 0) {
            continue;
        }
        const char *teller = teller_of(x, client_flow, r);
        mermaid_step(last, teller, out);
        last = teller;
        mermaid_note(teller, r, out);
    }
}

void pg_exchange_mermaid(const struct pg_exchange *x, const struct pg_names *names,
                         struct pg_text *out)
{
    static const struct pg_end nowhere;
    struct pg_exchange_view v;
    struct pg_text plain = {0};
    pg_exchange_look(x, &v);
    bool has_pod = !pg_addr_is_none(&v.pod.addr);
    pg_text_puts(out, "sequenceDiagram\n");
    participant(out, "client", "client", &v.client, names);
    participant(out, "front", "NAT", &v.vip, names);
    if (x->is_http) {
        pg_text_puts(out, "    participant ingress\n    participant dns\n");
        pg_text_puts(out, "    participant service as NAT of services\n");
    }
    participant(out, "pod", "pod", has_pod ? &v.pod : &nowhere, names);
    pg_text_puts(out, "    client->>front: ");
    print_subject(x, &v, &plain);
    mm(out, &plain);
    pg_text_putc(out, '\n');
    mermaid_there(x, v.client_flow, out);
    if (has_pod) {
        pg_text_printf(out, "    %s->>pod: seen from ", x->is_http ? "service" : "front");
        print_end(&v.peer, names, &plain);
        mm(out, &plain);
        pg_text_puts(out, "\n    pod-->>client: ");
    } else {
        pg_text_printf(out, "    %s-->>client: ", x->is_http ? "ingress" : "front");
    }
    print_result(&v, &plain);
    mm(out, &plain);
    pg_text_putc(out, '\n');
    if (v.has_verdict) {
        pg_text_puts(out, "    Note over client,pod: client ");
        put_upper(out, pg_verdict_name(v.verdict));
        pg_text_putc(out, '\n');
    }
}
