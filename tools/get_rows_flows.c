/* Rows of what moves: flows, translations, affinity, connections.
 *
 * A type is one function; the cells stand in the order of the heads in get_table.c. */
#include "get_cells.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- conntrack ---- */

static void cell_tuple(struct pg_grid *g, const json_t *tuple)
{
    struct pg_text t = {0};

    pg_get_add_endpoint(&t, pg_get_string(tuple, "src"), pg_get_number(tuple, "srcPort"));
    pg_text_putc(&t, '>');
    pg_get_add_endpoint(&t, pg_get_string(tuple, "dst"), pg_get_number(tuple, "dstPort"));
    if (pg_get_has(tuple, "icmpId")) {
        pg_text_printf(&t, " id=%" PRIu64, pg_get_number(tuple, "icmpId"));
    }
    pg_cell_text(g, &t);
}

/* Protocols without states still have been answered or not. */
static void cell_state(struct pg_grid *g, const json_t *flow)
{
    const char *state = pg_get_string(flow, "state");

    if (!state && !json_is_true(json_object_get(flow, "seenReply"))) {
        state = "UNREPLIED";
    } else if (!state) {
        state = json_is_true(json_object_get(flow, "assured")) ? "ASSURED" : "REPLIED";
    }
    pg_grid_cell(g, state);
}

static void cell_why(struct pg_grid *g, const json_t *flow)
{
    static const char *const keys[] = {"dnatReason", "snatReason"};
    struct pg_text t = {0};

    for (size_t i = 0; i < 2; i++) {
        const json_t *reason = json_object_get(flow, keys[i]);

        if (json_is_object(reason)) {
            pg_text_puts(&t, t.len ? "; " : "");
            pg_get_add_reason(&t, reason, true);
            pg_text_printf(&t, " %s",
                           pg_get_string(reason, "code") ? pg_get_string(reason, "code") : "");
        }
    }
    pg_cell_text(g, &t);
}

void pg_row_conntrack(struct pg_grid *g, const json_t *flow, bool wide)
{
    const json_t *original = json_object_get(flow, "original");
    const json_t *reply = json_object_get(flow, "reply");
    struct pg_text t = {0};

    pg_cell_number(g, flow, "id");
    pg_grid_cell(g, pg_get_string(flow, "proto"));
    cell_state(g, flow);
    cell_tuple(g, original);
    cell_tuple(g, reply);
    pg_cell_joined(g, flow, "nat");
    pg_grid_cell(g, pg_get_string(flow, "service"));
    pg_cell_duration(g, flow, "timeoutSeconds");
    pg_grid_cell(g, pg_get_string(flow, "flow"));
    if (wide) {
        pg_grid_cell(g, pg_get_string(flow, "node"));
        pg_grid_cellf(g, "%" PRIu64 "/%" PRIu64, pg_get_number(original, "packets"),
                      pg_get_number(reply, "packets"));
        pg_text_add_bytes(&t, pg_get_number(original, "bytes"));
        pg_text_putc(&t, '/');
        pg_text_add_bytes(&t, pg_get_number(reply, "bytes"));
        pg_cell_text(g, &t);
        cell_why(g, flow);
    }
}

/* ---- nat ---- */

void pg_row_nat(struct pg_grid *g, const json_t *rule, bool wide)
{
    const json_t *reason = json_object_get(rule, "reason");
    const char *kind = pg_get_string(rule, "kind");
    uint64_t endpoints = pg_get_number(rule, "endpointCount");
    struct pg_text t = {0};

    pg_grid_cell(g, pg_get_string(rule, "hook"));
    pg_grid_cell(g, kind);
    pg_cell_endpoint(g, json_object_get(rule, "before"), "any");
    pg_grid_cell(g, "=>");
    pg_cell_endpoint(g, json_object_get(rule, "after"), "any");
    pg_grid_cell(g, pg_get_string(rule, "portMode"));
    if (json_is_object(reason)) {
        pg_get_add_reason(&t, reason, false);
    }
    if (endpoints) {
        pg_text_printf(&t, " endpoint %" PRIu64 "/%" PRIu64 " p=%.2f",
                       pg_get_number(rule, "endpointNumber"), endpoints, 1.0 / (double)endpoints);
    } else if (pg_get_string(reason, "code")) {
        pg_text_printf(&t, " %s", pg_get_string(reason, "code"));
    }
    pg_cell_text(g, &t);
    pg_cell_number(g, rule, "activeFlows");
    pg_cell_number(g, rule, "hits");
    if (wide) {
        pg_grid_cell(g, pg_get_string(reason, "code"));
        pg_grid_cell(g, pg_get_string(reason, "source"));
    }
}

/* ---- affinity ---- */

void pg_row_affinity(struct pg_grid *g, const json_t *item, bool wide)
{
    pg_grid_cell(g, pg_get_string(item, "client"));
    pg_grid_cell(g, pg_get_string(item, "service"));
    pg_grid_cellf(g, "%" PRIu64 "/%s", pg_get_number(item, "servicePort"),
                  pg_get_string(item, "proto"));
    pg_cell_endpoint(g, json_object_get(item, "endpoint"), "-");
    pg_cell_duration(g, item, "timeoutSeconds");
    if (wide) {
        pg_grid_cell(g, pg_get_string(item, "pod"));
    }
}

/* ---- connections ---- */

static void cell_rtt(struct pg_grid *g, const json_t *leg)
{
    if (pg_get_has(leg, "rttMicroseconds")) {
        pg_grid_cellf(g, "%.1fms", (double)pg_get_number(leg, "rttMicroseconds") / 1000.0);
    } else {
        pg_grid_cell(g, "-");
    }
}

static void cell_leg(struct pg_grid *g, const json_t *leg, const char *from, const char *to)
{
    const json_t *source = json_object_get(leg, "source");
    const json_t *vip = json_object_get(leg, "vip");
    struct pg_text t = {0};
    char key[24];

    if (json_is_object(source) && json_is_object(vip)) { /* the client leg, as the client sees it */
        pg_get_add_endpoint(&t, pg_get_string(source, "address"), pg_get_number(source, "port"));
        pg_text_putc(&t, '>');
        pg_get_add_endpoint(&t, pg_get_string(vip, "address"), pg_get_number(vip, "port"));
    } else if (json_is_object(leg)) {
        snprintf(key, sizeof key, "%sPort", from);
        pg_get_add_endpoint(&t, pg_get_string(leg, from), pg_get_number(leg, key));
        pg_text_putc(&t, '>');
        snprintf(key, sizeof key, "%sPort", to);
        pg_get_add_endpoint(&t, pg_get_string(leg, to), pg_get_number(leg, key));
    }
    pg_cell_text(g, &t);
    pg_grid_cell(g, pg_get_string(leg, "state") ? pg_get_string(leg, "state") : "-");
    cell_rtt(g, leg);
}

/* "TLSv1.3 TLS_AES_256_GCM_SHA384 h2". */
static void cell_tls(struct pg_grid *g, const json_t *tls)
{
    if (!json_is_object(tls)) {
        pg_grid_cell(g, "-");
        return;
    }
    pg_grid_cellf(g, "%s %s %s", pg_get_string(tls, "version"), pg_get_string(tls, "cipher"),
                  pg_get_has(tls, "protocol") ? pg_get_string(tls, "protocol") : "-");
}

void pg_row_connections(struct pg_grid *g, const json_t *item, bool wide)
{
    const json_t *client = json_object_get(item, "client");
    const json_t *upstream = json_object_get(item, "upstream");
    struct pg_text t = {0};

    pg_grid_cell(g, pg_get_string(item, "flow"));
    cell_leg(g, client, "peer", "local");
    cell_leg(g, upstream, "local", "peer");
    pg_grid_cell(g, pg_get_string(item, "pod"));
    pg_cell_number(g, item, "requests");
    pg_grid_cellf(g, "%" PRIu64,
                  pg_get_number(client, "retransmits") + pg_get_number(upstream, "retransmits"));
    pg_text_add_bytes(&t, pg_get_number(client, "bytesIn"));
    pg_text_putc(&t, '/');
    pg_text_add_bytes(&t, pg_get_number(client, "bytesOut"));
    pg_cell_text(g, &t);
    pg_cell_duration(g, item, "ageSeconds");
    if (wide) {
        pg_grid_cell(g, pg_get_string(item, "service"));
        pg_cell_endpoint(g, json_object_get(upstream, "endpoint"), "");
        pg_cell_endpoint(g, json_object_get(upstream, "seen"), "");
        pg_cell_number(g, item, "lastStatus");
        pg_grid_cell(g, pg_get_string(item, "state"));
        cell_tls(g, json_object_get(item, "tls"));
    }
}
