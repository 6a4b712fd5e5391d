/* Flows in the XML of conntrack(8): what conntrack-tools 1.4.7 prints with -o xml, byte for byte. Everything is on one line, the
 * number is always there, and ICMP has no fields of its own.
 *
 * Called by conntrack_text.c. Changes nothing. */
#include "nat_internal.h"

static void print_layers(const struct pg_tuple *t, struct pg_text *out)
{
    bool v4 = pg_addr_is_v4(&t->src);
    char src[PG_ADDR_TEXT];
    char dst[PG_ADDR_TEXT];

    pg_text_printf(out,
                   "<layer3 protonum=\"%u\" protoname=\"%s\"><src>%s</src><dst>%s</dst></layer3>",
                   v4 ? 2u : 10u, v4 ? "ipv4" : "ipv6", pg_addr_print(&t->src, src),
                   pg_addr_print(&t->dst, dst));
    pg_text_printf(out, "<layer4 protonum=\"%u\" protoname=\"%s\">", t->proto,
                   pg_conntrack_proto_name(t->proto));
    if (pg_proto_has_ports(t->proto))
        pg_text_printf(out, "<sport>%u</sport><dport>%u</dport>", t->src_port, t->dst_port);
    else if (t->proto == PG_PROTO_GRE)
        pg_text_puts(out, "<srckey>0x0</srckey><dstkey>0x0</dstkey>");
    pg_text_puts(out, "</layer4>");
}

static void print_direction(const struct pg_nat_flow_view *f, unsigned direction, unsigned form,
                            struct pg_text *out)
{
    pg_text_printf(out, "<meta direction=\"%s\">", direction == PG_ORIG ? "original" : "reply");
    print_layers(direction == PG_ORIG ? &f->orig : &f->reply, out);
    if (form & PG_CONNTRACK_COUNTERS)
        pg_text_printf(out, "<counters><packets>%llu</packets><bytes>%llu</bytes></counters>",
                       (unsigned long long)f->packets[direction],
                       (unsigned long long)f->bytes[direction]);
    pg_text_puts(out, "</meta>");
}

void pg_conntrack_print_xml(const struct pg_nat_flow_view *f, unsigned form, struct pg_text *out)
{
    pg_text_puts(out, "<flow>");
    print_direction(f, PG_ORIG, form, out);
    print_direction(f, PG_REPLY, form, out);
    pg_text_puts(out, "<meta direction=\"independent\">");
    if (f->orig.proto == PG_PROTO_TCP)
        pg_text_printf(out, "<state>%s</state>", pg_ct_state_name(f->state));
    pg_text_printf(out, "<timeout>%llu</timeout><mark>0</mark><use>1</use><id>%llu</id>%s%s",
                   (unsigned long long)f->timeout_s, (unsigned long long)f->id,
                   f->seen_reply ? "" : "<unreplied/>", f->assured ? "<assured/>" : "");
    pg_text_puts(out, "</meta></flow>");
}
