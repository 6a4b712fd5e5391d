/* What the two ends of a TCP connection tell each other in their first segments, as it passes: an event beside the records of the addresses.
 *
 *   syn      mss 1460, window scale 7, SACK, timestamps, window 64240
 *
 * It is the only time that the largest segment, scaling and selective acknowledgements are said, and the first thing to ask about a connection that is slow or stuck. Only told,
 * never changed. Called by hooks.c for a segment with SYN whose addresses are told, so with nobody watching it costs nothing; no heap. */
#include "tcp_internal.h"

#include <stdio.h>

#define OPTION_MSS        2
#define OPTION_SCALE      3
#define OPTION_SACK_OK    4
#define OPTION_TIMESTAMPS 8

struct line {
    char text[104]; /* as long as a record's value may be: all that is said fits */
    size_t len;
};

static void add(struct line *l, const char *what, unsigned number, bool has_number)
{
    size_t room = sizeof(l->text) - l->len;
    const char *comma = l->len > 0 ? ", " : "";
    int n = has_number ? snprintf(l->text + l->len, room, "%s%s %u", comma, what, number)
                       : snprintf(l->text + l->len, room, "%s%s", comma, what);

    l->len += n > 0 && (size_t)n < room ? (size_t)n : 0;
}

/* Those that have a meaning in a SYN; others are not named. */
static void add_option(struct line *l, uint8_t kind, const uint8_t *value, uint32_t len)
{
    if (kind == OPTION_MSS && len == 2)
        add(l, "mss", (unsigned)value[0] << 8 | value[1], true);
    else if (kind == OPTION_SCALE && len == 1)
        add(l, "window scale", value[0], true);
    else if (kind == OPTION_SACK_OK && len == 0)
        add(l, "SACK", 0, false);
    else if (kind == OPTION_TIMESTAMPS && len == 8)
        add(l, "timestamps", 0, false);
}

void pg_nat_tell_handshake(struct pg_nat *n, const struct pg_packet *p, const struct pg_flow *f)
{
    struct pg_segment s = {.options = p->head + p->l4_offset + TCP_HEAD,
                           .options_len = p->payload_offset - p->l4_offset - TCP_HEAD};
    struct pg_record r = {.kind = PG_RECORD_EVENT,
                          .stage = PG_STAGE_NAT_POSTROUTING,
                          .direction = n->passing.direction};
    struct line l = {.len = 0};
    const uint8_t *value;
    uint32_t at = 0;
    uint32_t len;
    uint8_t kind;

    while ((kind = pg_tcp_next_option(&s, &at, &value, &len)) != 0)
        add_option(&l, kind, value, len);
    add(&l, "window", pg_packet_tcp_window(p), true);
    r.after = pg_value_text(l.text, l.len);
    (void)snprintf(r.name, sizeof(r.name), "%s", p->tcp_flags & PG_TCP_ACK ? "syn-ack" : "syn");
    pg_nat_tell(n, p, f, &r);
}
