/* Turns the records of one request into hops a person can follow. A reader of the trace like any other: it sees only records, so what it prints is what was
 * done.
 *
 * A hop is a run of records of one kind of work (nat of one flow, ingress, dns, upstream). The way there is printed first; the replies' reversals, which the ring has
 * between (the handshake answers before the request is sent), are gathered behind it, nearest to the pod first, as the answer meets them. */
#include "podglass/hops.h"

#include <stdio.h>
#include <string.h>

enum work { WORK_NAT, WORK_INGRESS, WORK_DNS, WORK_UPSTREAM, WORK_LINK };

static enum work work_of(const struct pg_record *r)
{
    switch ((enum pg_stage)r->stage) {
    case PG_STAGE_NAT_PREROUTING:
    case PG_STAGE_NAT_OUTPUT:
    case PG_STAGE_NAT_POSTROUTING:
    case PG_STAGE_FORWARD: return WORK_NAT;
    case PG_STAGE_DNS: return WORK_DNS;
    case PG_STAGE_UPSTREAM: return WORK_UPSTREAM;
    case PG_STAGE_LINK:
    case PG_STAGE_PARSE: return WORK_LINK;
    default: return WORK_INGRESS;
    }
}

static const char *work_name(enum work w)
{
    static const char *const names[] = {"nat", "ingress", "dns", "connect", "link"};
    return names[w];
}

const char *pg_hops_work(const struct pg_record *r)
{
    return work_name(work_of(r));
}

void pg_hops_collect(struct pg_hops *h, const struct pg_trace *t, uint64_t from_seq, uint32_t label)
{
    struct pg_record r;
    uint64_t seq = from_seq;
    uint64_t missed = 0;
    h->count = 0;
    h->left_out = 0;
    while (pg_trace_read(t, &seq, &r, &missed)) {
        if (r.label != label) {
            continue;
        }
        if (h->count < PG_HOPS_RECORDS) {
            h->records[h->count++] = r;
        } else {
            h->left_out++;
        }
    }
    h->left_out += (uint32_t)missed;
}

/* What takes the client's address away from who stands behind. */
bool pg_hops_is_loss(const struct pg_record *r)
{
    enum pg_code code = pg_reason_get(r->reason)->code;
    return r->kind == PG_RECORD_REWRITE && r->field == PG_FIELD_SRC && r->direction == 0 &&
           ((code >= PG_CODE_MASQ_CLUSTER && code <= PG_CODE_MASQ_ALL) ||
            code == PG_CODE_MASQ_REMOTE || code == PG_CODE_MASQ_LOOPBACK ||
            code == PG_CODE_NODE_CONNECT);
}

bool pg_hops_is_loud(const struct pg_record *r)
{
    return pg_hops_is_loss(r) || r->kind == PG_RECORD_DROP ||
           pg_reason_get(r->reason)->code == PG_CODE_IDENTITY_DROPPED;
}

static bool is_absent(const struct pg_value *v)
{
    return !v->is_text && pg_addr_is_none(&v->addr);
}

/* How to print: what the functions below share. */
struct style {
    const struct pg_hops_note *notes;
    uint32_t note_count;
    bool color;
};

static const struct pg_hops_note *find_note(const struct style *style, uint64_t seq,
                                            enum pg_note_kind kind)
{
    for (uint32_t i = 0; i < style->note_count; i++) {
        if (style->notes[i].seq == seq && style->notes[i].kind == kind) {
            return &style->notes[i];
        }
    }
    return NULL;
}

static void print_notes(const struct style *style, uint64_t seq, struct pg_text *out)
{
    for (uint32_t i = 0; i < style->note_count; i++) {
        const struct pg_hops_note *note = &style->notes[i];
        if (note->seq == seq && note->kind == PG_NOTE_OR) {
            pg_text_printf(out, "%35s  or  %-18s %s\n", "", note->value, note->text);
        } else if (note->seq == seq && note->kind == PG_NOTE_REMARK) {
            pg_text_printf(out, "%14s%s\n", "", note->text);
        }
    }
}

/* A header: set, removed, or its value before and after. */
static void print_header_change(const struct pg_record *r, const char *before, const char *after,
                                char *what, size_t room)
{
    struct pg_text name = {0};
    pg_text_add_escaped(&name, r->name, strnlen(r->name, sizeof r->name));
    const char *text = name.at != NULL ? name.at : "";
    if (r->field == PG_FIELD_TRAILER && r->kind == PG_RECORD_KEEP) {
        snprintf(what, room, "keep    %s: %s  (trailer)", text, before);
    } else if (r->field == PG_FIELD_TRAILER) {
        snprintf(what, room, "remove  %s: %s  (trailer)", text, before);
    } else if (is_absent(&r->before)) {
        snprintf(what, room, "set     %s: %s", text, after);
    } else if (is_absent(&r->after)) {
        snprintf(what, room, "remove  %s: %s", text, before);
    } else {
        snprintf(what, room, "change  %s: %s  =>  %s", text, before, after);
    }
    pg_text_free(&name);
}

void pg_hops_change(const struct pg_record *r, char *what, size_t room)
{
    char before[256];
    char after[256];
    pg_value_print(&r->before, before, sizeof before);
    pg_value_print(&r->after, after, sizeof after);
    const char *name = pg_field_name((enum pg_field)r->field);
    if (r->field == PG_FIELD_HEADER || r->field == PG_FIELD_TRAILER) {
        print_header_change(r, before, after, what, room);
    } else if (r->kind == PG_RECORD_EVENT && is_absent(&r->before)) {
        snprintf(what, room, "%-7s %s", r->name, after);
    } else if (r->kind == PG_RECORD_EVENT && is_absent(&r->after)) {
        snprintf(what, room, "%-7s %s", r->name, before);
    } else if (r->kind == PG_RECORD_EVENT) {
        snprintf(what, room, "%-7s %-21s  =>  %s", r->name, before, after);
    } else if (r->kind == PG_RECORD_KEEP) {
        snprintf(what, room, "%-7s %-21s      unchanged", name, before);
    } else if (r->kind == PG_RECORD_DROP) {
        snprintf(what, room, "drop    %-21s  ->  %s: %s", before, after, r->name);
    } else {
        snprintf(what, room, "%-7s %-21s  =>  %s", name, before, after);
    }
}

const char *pg_hops_why(const struct pg_record *r, char *out, size_t room)
{
    char text[512] = "";
    enum pg_code code = pg_reason_get(r->reason)->code;
    if (r->reason != 0) {
        pg_reason_print(r->reason, text, sizeof text);
    }
    bool named = code == PG_CODE_NONE || strstr(text, pg_code_name(code)) != NULL;
    snprintf(out, room, "%s%s%s", text, !named && text[0] != 0 ? "  " : "",
             named ? "" : pg_code_name(code));
    return out;
}

static void print_record(const struct pg_record *r, const struct style *style, struct pg_text *out)
{
    char what[640];
    char why[560];
    const struct pg_hops_note *odds = find_note(style, r->seq, PG_NOTE_ODDS);
    bool loud = pg_hops_is_loud(r);
    pg_hops_change(r, what, sizeof what);
    pg_text_puts(out, style->color && loud ? "\033[31m" : "");
    if (odds != NULL) {
        pg_text_printf(out, "   %c  %-53s %4s", loud ? '!' : ' ', what, odds->text);
    } else {
        pg_text_printf(out, "   %c  %-58s", loud ? '!' : ' ', what);
    }
    if (pg_hops_why(r, why, sizeof why)[0] != 0) {
        pg_text_printf(out, "  %s", why);
    }
    while (out->len > 0 && out->at[out->len - 1] == ' ') {
        out->at[--out->len] = 0;
    }
    pg_text_puts(out, style->color && loud ? "\033[0m\n" : "\n");
    print_notes(style, r->seq, out);
}

/* A new hop begins where other work begins, or nat turns to another flow. */
static bool begins_hop(const struct pg_record *last, const struct pg_record *r)
{
    return last == NULL || work_of(last) != work_of(r) ||
           (work_of(r) == WORK_NAT && last->conntrack != r->conntrack);
}

uint32_t pg_hops_number_at(const struct pg_record *records, uint32_t count, uint32_t index)
{
    const struct pg_record *last = NULL;
    uint32_t number = 0;
    for (uint32_t i = 0; i < count && i <= index; i++) {
        if (records[i].direction == 1) {
            continue;
        }
        number += begins_hop(last, &records[i]);
        last = &records[i];
    }
    return number;
}

static void print_head(uint32_t number, const struct pg_record *r, const struct style *style,
                       struct pg_text *out)
{
    const struct pg_hops_note *note = find_note(style, r->seq, PG_NOTE_HEAD);
    pg_text_printf(out, "%2u  %s", number, work_name(work_of(r)));
    if (note != NULL) {
        pg_text_printf(out, "%*s%s", 9 - (int)strlen(work_name(work_of(r))), "", note->text);
    }
    if (r->conntrack != 0) {
        pg_text_printf(out, "  #%llu", (unsigned long long)r->conntrack);
    }
    pg_text_putc(out, '\n');
}

static bool in_reply_nat(const struct pg_record *r)
{
    return r->direction == 1 && work_of(r) == WORK_NAT;
}

/* The replies' reversals of one flow. */
static void print_reply_flow(const struct pg_hops *h, uint64_t conntrack, uint32_t number,
                             const struct style *style, struct pg_text *out)
{
    bool first = true;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct pg_record *r = &h->records[i];
        if (!in_reply_nat(r) || r->conntrack != conntrack) {
            continue;
        }
        if (first) {
            print_head(number, r, style, out);
            first = false;
        }
        print_record(r, style, out);
    }
}

static void print_way_back(const struct pg_hops *h, uint32_t number, const struct style *style,
                           struct pg_text *out)
{
    uint64_t flows[16];
    uint32_t flow_count = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct pg_record *r = &h->records[i];
        bool seen = !in_reply_nat(r);
        for (uint32_t f = 0; f < flow_count && !seen; f++) {
            seen = flows[f] == r->conntrack;
        }
        if (!seen && flow_count < 16) {
            flows[flow_count++] = r->conntrack;
        }
    }
    for (uint32_t f = flow_count; f-- > 0;) {
        print_reply_flow(h, flows[f], number++, style, out);
        if (f != flow_count - 1 || flow_count == 1) {
            continue;
        }
        bool first = true; /* the response passes the ingress between its two legs */
        for (uint32_t i = 0; i < h->count; i++) {
            const struct pg_record *r = &h->records[i];
            if (r->direction != 1 || work_of(r) != WORK_INGRESS) {
                continue;
            }
            if (first) {
                print_head(number++, r, style, out);
                first = false;
            }
            print_record(r, style, out);
        }
    }
}

uint32_t pg_hops_number(const struct pg_hops *h, uint64_t seq)
{
    const struct pg_record *last = NULL;
    uint32_t number = 0;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct pg_record *r = &h->records[i];
        if (r->direction == 1) {
            continue;
        }
        number += begins_hop(last, r);
        if (r->seq == seq) {
            return number;
        }
        last = r;
    }
    return 0;
}

const struct pg_record *pg_hops_loss(const struct pg_hops *h)
{
    for (uint32_t i = 0; i < h->count; i++) {
        if (pg_hops_is_loss(&h->records[i])) {
            return &h->records[i];
        }
    }
    return NULL;
}

static void print_all(const struct pg_hops *h, const struct style *style, struct pg_text *out)
{
    const struct pg_record *last = NULL;
    uint32_t number = 1;
    bool back = false;
    for (uint32_t i = 0; i < h->count; i++) {
        const struct pg_record *r = &h->records[i];
        back = back || r->direction == 1;
        if (r->direction == 1) {
            continue;
        }
        if (begins_hop(last, r)) {
            print_head(number++, r, style, out);
        }
        print_record(r, style, out);
        last = r;
    }
    if (back) {
        pg_text_puts(out, "    and back\n");
        print_way_back(h, number, style, out);
    }
    if (h->left_out != 0) {
        pg_text_printf(out, "    %u records more were not kept\n", h->left_out);
    }
}

void pg_hops_print(const struct pg_hops *h, bool color, struct pg_text *out)
{
    print_all(h, &(struct style){.color = color}, out);
}

void pg_hops_print_notes(const struct pg_hops *h, const struct pg_hops_note *notes,
                         uint32_t note_count, bool color, struct pg_text *out)
{
    print_all(h, &(struct style){notes, note_count, color}, out);
}
