/* The PROXY preface that a connection to a pod begins with, when pods are to get one.
 *
 * Called by `request.c` in front of the first head on a fresh connection, so that both leave in one segment. It names the client as the ingress
 * knows him before headers are looked at, and the address he asked for.
 *
 * Owns nothing. */
#include "h2_up.h"
#include "proxy_internal.h"

#include "podglass/packet.h"

#include <stdio.h>

static void tell(struct pg_session *s, const struct pg_ends *ends)
{
    struct pg_proxy *p = s->proxy;
    struct pg_text text = {0};
    pg_preface_sent_print(&s->routes->preface, ends, &text);
    struct pg_record r = {.label = pg_conn_label(s->client),
                          .reason = s->routes->preface.sent_reason,
                          .node = PG_NODE_NONE,
                          .kind = PG_RECORD_REWRITE,
                          .stage = PG_STAGE_PROXY_PROTOCOL,
                          .field = PG_FIELD_PROXY,
                          .name = "preface",
                          .before = pg_value_none(),
                          .after = pg_value_text(text.at, text.len)};
    pg_trace_write(p->trace, &r);
    pg_text_free(&text);
}

uint32_t pg_preface_out(struct pg_session *s, uint8_t out[PG_PREFACE_OUT_MAX])
{
    const struct pg_proxy_settings *settings = s->routes->preface.settings;
    char id[16];
    if (!s->up->owes_preface || (s->up->h2c && !pg_h2_up_owes_preface(s->up->conn)))
        return 0;
    struct pg_ends ends = pg_request_ends(s);
    struct pg_preface_out preface = {
        .version = settings->to_pods ? settings->to_pods : 2,
        .src = ends.client,
        .dst = ends.local,
        .src_port = ends.client_port,
        .dst_port = ends.local_port,
        .crc = settings->send_crc,
    };
    if (settings->send_id) {
        (void)snprintf(id, sizeof(id), "%x", pg_conn_label(s->client));
        preface.id = pg_slice_of(id);
    }
    s->up->owes_preface = false;
    s->proxy->counters->value[PG_COUNT_PP_SENT]++;
    if (pg_session_watched(s))
        tell(s, &ends);
    return pg_preface_write(&preface, out);
}
