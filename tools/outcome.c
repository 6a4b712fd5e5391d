/* Words for the outcome of a dry run: verdict or end, with odds where chance decides; who is behind an address; by which header.
 *
 * Called by explain, lint and diff, so that all of them say the same thing in the same words. Pure. */
#include "dry_tool.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define ODDS_SAME 1e-6

const char *pg_odds_print(double odds, char out[8])
{
    if (odds < 0.005) {
        snprintf(out, 8, "<1%%");
    } else {
        snprintf(out, 8, "%.0f%%", odds >= 1 ? 100.0 : odds * 100);
    }
    return out;
}

static void put_upper(const char *text, struct pg_text *out)
{
    for (; *text; text++) {
        pg_text_putc(out, (char)toupper((unsigned char)*text));
    }
}

void pg_carriers_print(const struct pg_seen *seen, struct pg_text *out)
{
    unsigned in = pg_carriers_of(seen, &seen->client) & ~(1u << PG_CARRIER_PEER);
    const char *before = " by ";

    for (unsigned c = 0; c < PG_CARRIER_COUNT; c++) {
        if (in & 1u << c) {
            in &= ~(1u << c);
            pg_text_printf(out, "%s%s", before, pg_carrier_title((enum pg_carrier)c));
            before = in & (in - 1) ? ", " : " and ";
        }
    }
}

/* One end that is no verdict. */
static void put_end(enum pg_dry_end end, const struct pg_dry_result *shown, struct pg_text *out)
{
    switch (end) {
    case PG_DRY_REFUSED:
        pg_text_puts(out, "REFUSED");
        if (shown->end == end) {
            pg_text_printf(out, " by the ingress: %u %s", shown->status, shown->refusal);
        }
        break;
    case PG_DRY_REDIRECTED:
        pg_text_puts(out, "REDIRECTED");
        if (shown->end == end) {
            pg_text_printf(out, " by the ingress: %u to ", shown->status);
            pg_text_add_escaped(out, shown->location.at, shown->location.len);
        }
        break;
    case PG_DRY_REJECTED: pg_text_puts(out, "REJECTED: connection refused"); break;
    case PG_DRY_DROPPED:
        pg_text_puts(out, "DROPPED: no answer");
        if (shown->end == end) {
            pg_text_printf(out, " (%s)", pg_drop_name(shown->drop));
        }
        break;
    case PG_DRY_NO_LISTENER: pg_text_puts(out, "REFUSED: nobody listens there"); break;
    case PG_DRY_DNS: pg_text_puts(out, "answered by the cluster's DNS"); break;
    case PG_DRY_LOOP: pg_text_puts(out, "LOOP: the backend is the ingress itself"); break;
    case PG_DRY_RESET:
        pg_text_printf(out, "RESET: %s, the port demands a PROXY preface", shown->refusal);
        break;
    default: put_upper(pg_dry_end_name(end), out); break;
    }
}

void pg_outcomes_print(const struct pg_dry_odds *odds, const struct pg_dry_result *shown,
                       struct pg_text *out)
{
    char text[8];
    bool many = false;

    for (int v = 0; v < PG_VERDICT_COUNT; v++) {
        if (odds->verdict[v] <= 0) {
            continue;
        }
        pg_text_puts(out, many ? " or " : "");
        put_upper(pg_verdict_name((enum pg_verdict)v), out);
        if (v == PG_VERDICT_CARRIED && shown->has_verdict && shown->verdict == PG_VERDICT_CARRIED) {
            pg_carriers_print(&shown->seen, out);
        }
        if (odds->verdict[v] < 1 - ODDS_SAME) {
            pg_text_printf(out, " %s", pg_odds_print(odds->verdict[v], text));
        }
        many = true;
    }
    for (int e = 0; e < PG_DRY_END_COUNT; e++) {
        if (odds->end[e] <= 0) {
            continue;
        }
        pg_text_puts(out, many ? " or " : "");
        put_end((enum pg_dry_end)e, shown, out);
        if (odds->end[e] < 1 - ODDS_SAME) {
            pg_text_printf(out, " %s", pg_odds_print(odds->end[e], text));
        }
        many = true;
    }
}

bool pg_outcomes_same(const struct pg_dry_odds *a, const struct pg_dry_result *shown_a,
                      const struct pg_dry_odds *b, const struct pg_dry_result *shown_b)
{
    for (int v = 0; v < PG_VERDICT_COUNT; v++) {
        if (fabs(a->verdict[v] - b->verdict[v]) > ODDS_SAME) {
            return false;
        }
    }
    for (int e = 0; e < PG_DRY_END_COUNT; e++) {
        if (fabs(a->end[e] - b->end[e]) > ODDS_SAME) {
            return false;
        }
    }
    return shown_a->end == shown_b->end && shown_a->status == shown_b->status;
}

double pg_outcomes_worth(const struct pg_dry_odds *odds)
{
    static const double worth[PG_VERDICT_COUNT] = {[PG_VERDICT_KEPT] = 5,
                                                   [PG_VERDICT_CARRIED] = 4,
                                                   [PG_VERDICT_AMBIGUOUS] = 3,
                                                   [PG_VERDICT_FORGED] = 1,
                                                   [PG_VERDICT_LOST] = 2};
    double sum = 0;

    for (int v = 0; v < PG_VERDICT_COUNT; v++) {
        sum += odds->verdict[v] * worth[v];
    }
    return sum;
}

void pg_pod_print(const struct pg_snapshot *s, uint32_t pod, struct pg_text *out)
{
    if (pod >= s->pod_count) {
        return;
    }
    const struct pg_pod *p = &s->pods[pod];

    pg_text_add_escaped(out, p->namespace, strlen(p->namespace));
    pg_text_putc(out, '/');
    pg_text_add_escaped(out, p->name, strlen(p->name));
    if (p->node < s->node_count) {
        pg_text_puts(out, " on ");
        pg_text_add_escaped(out, s->nodes[p->node].name, strlen(s->nodes[p->node].name));
    }
}

void pg_who_print(const struct pg_snapshot *s, const struct pg_addr *a, struct pg_text *out)
{
    uint32_t pod = pg_snapshot_pod_by_addr(s, a);
    uint32_t node = pg_snapshot_node_by_addr(s, a);

    if (pod != PG_INDEX_NONE) {
        pg_text_puts(out, "pod ");
        pg_text_printf(out, "%s/%s", s->pods[pod].namespace, s->pods[pod].name);
        return;
    }
    if (node != PG_INDEX_NONE) {
        const struct pg_node *n = &s->nodes[node];
        bool bridge = pg_addr_equal(a, &n->gateway[0]) || pg_addr_equal(a, &n->gateway[1]);
        pg_text_puts(out, bridge ? "the pod bridge of " : "");
        pg_text_add_escaped(out, n->name, strlen(n->name));
        pg_text_puts(out, bridge ? "" : " itself");
        return;
    }
    for (uint32_t i = 0; i < s->client_count; i++) {
        if (pg_addr_equal(&s->clients[i].addr, a)) {
            pg_text_puts(out, s->clients[i].name);
            return;
        }
    }
}
