/* The PROXY preface that a connection to a pod begins with, when pods are to get one.
 *
 * Called by `request.c` in front of the first head on a fresh connection, so that both leave in one segment, and by `passthrough.c` in front of a ClientHello. It names the client as the ingress
 * knows him before headers are looked at, and the address he asked for.
 *
 * Owns nothing. */
#include "h2_up.h"
#include "proxy_internal.h"

#include "podglass/packet.h"

#include <stdio.h>

static void tell(struct pg_proxy *p, const struct pg_preface_rules *rules,
                 const struct pg_ends *ends, uint32_t label)
{
    struct pg_text text = {0};
    if (!pg_trace_on(p->trace) || !pg_trace_label_wanted(p->trace, label))
        return;
    pg_preface_sent_print(rules, ends, &text);
    struct pg_record r = {.label = label,
                          .reason = rules->sent_reason,
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

uint32_t pg_preface_send(struct pg_proxy *p, const struct pg_preface_rules *rules,
                         const struct pg_ends *ends, uint32_t label,
                         uint8_t out[PG_PREFACE_OUT_MAX])
{
    const struct pg_proxy_settings *settings = rules->settings;
    char id[16];
    struct pg_preface_out preface = {
        .version = settings->to_pods ? settings->to_pods : 2,
        .src = ends->client,
        .dst = ends->local,
        .src_port = ends->client_port,
        .dst_port = ends->local_port,
        .crc = settings->send_crc,
    };
    if (settings->send_id) {
        (void)snprintf(id, sizeof(id), "%x", label);
        preface.id = pg_slice_of(id);
    }
    p->counters->value[PG_COUNT_PP_SENT]++;
    tell(p, rules, ends, label);
    return pg_preface_write(&preface, out);
}

uint32_t pg_preface_out(struct pg_session *s, uint8_t out[PG_PREFACE_OUT_MAX])
{
    if (!s->up->owes_preface || (s->up->h2c && !pg_h2_up_owes_preface(s->up->conn)))
        return 0;
    struct pg_ends ends = pg_request_ends(s);
    s->up->owes_preface = false;
    return pg_preface_send(s->proxy, &s->routes->preface, &ends, pg_conn_label(s->client), out);
}
