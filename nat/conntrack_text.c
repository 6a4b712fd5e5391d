/* Flows, events and counters in the words of conntrack(8): what conntrack-tools 1.4.7 prints, byte for byte,
 * because people's scripts read it.
 *
 * Called by app/ for `get conntrack -o conntrack`, with -w as conntrack -E, and for `get counters -o
 * conntrack`. Changes nothing. */
#include "nat_internal.h"

const char *pg_conntrack_proto_name(uint8_t proto)
{
    bool named = pg_proto_has_ports(proto) || pg_proto_is_icmp(proto) || proto == PG_PROTO_GRE;

    return named ? pg_proto_name(proto) : "unknown";
}

static void print_tuple(const struct pg_tuple *t, struct pg_text *out)
{
    char src[PG_ADDR_TEXT];
    char dst[PG_ADDR_TEXT];

    pg_text_printf(out, "src=%s dst=%s ", pg_addr_print(&t->src, src), pg_addr_print(&t->dst, dst));
    if (pg_proto_is_icmp(t->proto))
        pg_text_printf(out, "type=%u code=%u id=%u ", t->dst_port >> 8, t->dst_port & 0xff,
                       t->src_port);
    else if (pg_proto_has_ports(t->proto))
        pg_text_printf(out, "sport=%u dport=%u ", t->src_port, t->dst_port);
    else if (t->proto == PG_PROTO_GRE)
        pg_text_puts(out, "srckey=0x0 dstkey=0x0 "); /* of PPTP alone */
}

/* Up to [ASSURED]; ends with a blank. */
static void print_flow(const struct pg_nat_flow_view *f, unsigned form, bool timeout,
                       struct pg_text *out)
{
    const struct pg_tuple *tuples[2] = {&f->orig, &f->reply};

    if (form & PG_CONNTRACK_EXTENDED)
        pg_text_puts(out, pg_addr_is_v4(&f->orig.src) ? "ipv4     2 " : "ipv6     10 ");
    pg_text_printf(out, "%-8s %u ", pg_conntrack_proto_name(f->orig.proto), f->orig.proto);
    if (timeout)
        pg_text_printf(out, "%llu ", (unsigned long long)f->timeout_s);
    if (f->orig.proto == PG_PROTO_TCP)
        pg_text_printf(out, "%s ", pg_ct_state_name(f->state));
    for (int i = 0; i < 2; i++) {
        print_tuple(tuples[i], out);
        if (form & PG_CONNTRACK_COUNTERS)
            pg_text_printf(out, "packets=%llu bytes=%llu ", (unsigned long long)f->packets[i],
                           (unsigned long long)f->bytes[i]);
        if (i == 0 && !f->seen_reply)
            pg_text_puts(out, "[UNREPLIED] ");
    }
    if (f->assured)
        pg_text_puts(out, "[ASSURED] ");
}

static void print_id(const struct pg_nat_flow_view *f, unsigned form, struct pg_text *out)
{
    if (form & PG_CONNTRACK_ID)
        pg_text_printf(out, " id=%llu", (unsigned long long)f->id);
}

void pg_nat_print_conntrack(const struct pg_nat_flow_view *f, unsigned form, struct pg_text *out)
{
    if (form & PG_CONNTRACK_XML) {
        pg_conntrack_print_xml(f, form, out);
        return;
    }
    print_flow(f, form, true, out);
    pg_text_puts(out, "mark=0 use=1");
    print_id(f, form, out);
}

void pg_nat_print_event(const struct pg_nat_event *e, unsigned form, struct pg_text *out)
{
    static const char *const labels[] = {[PG_NAT_EVENT_NEW] = "[NEW]",
                                         [PG_NAT_EVENT_UPDATE] = "[UPDATE]",
                                         [PG_NAT_EVENT_DESTROY] = "[DESTROY]"};
    bool ends = e->kind == PG_NAT_EVENT_DESTROY;

    pg_text_printf(out, "%9s ", labels[e->kind]);
    print_flow(&e->flow, (form & ~PG_CONNTRACK_COUNTERS) | (ends ? PG_CONNTRACK_COUNTERS : 0),
               !ends || e->flow.timeout_s > 0, out);
    out->len--; /* the blank: nothing follows here */
    out->at[out->len] = 0;
    print_id(&e->flow, form, out);
}

void pg_nat_print_statistics(const struct pg_counters *c, struct pg_text *out)
{
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"found", c->value[PG_COUNT_CT_FOUND]},
        {"invalid", c->drop[PG_DROP_INVALID]},
        {"insert", c->value[PG_COUNT_CT_INSERT]},
        {"insert_failed", c->drop[PG_DROP_INSERT_FAILED]},
        {"drop", c->drop[PG_DROP_TABLE_FULL]},
        {"early_drop", c->value[PG_COUNT_CT_EARLY_DROP]},
        {"error", c->drop[PG_DROP_ICMP_UNRELATED]},
        {"search_restart", 0}, /* nobody else changes the table meanwhile */
        {"clash_resolve", c->value[PG_COUNT_CT_CLASH]},
        {"chaintoolong", 0}, /* no chains: base/table.c */
    };

    pg_text_puts(out, "cpu=0   \t");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        pg_text_printf(out, "%s=%llu ", rows[i].name, (unsigned long long)rows[i].value);
}
