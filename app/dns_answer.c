/* Questions to the cluster DNS, whatever they came by: answered from the zone, or asked of somebody else.
 *
 * Called by local.c for datagrams and by dns_tcp.c for streams. Joins the zone and forward.c, which know no packets, to the path: what
 * goes to an upstream server is a packet of the DNS address's own and passes the hooks like any other, and so does what comes
 * back. */
#include "path_internal.h"

#include <string.h>

static void record(struct pg_path *path, const char *name, uint16_t type, struct pg_value after,
                   pg_reason_id reason, uint32_t label)
{
    char text[12];
    struct pg_record r = {.kind = PG_RECORD_EVENT,
                          .stage = PG_STAGE_DNS,
                          .label = label,
                          .reason = reason,
                          .before = pg_value_text(name, strlen(name)),
                          .after = after,
                          .node = PG_NODE_NONE};
    strncpy(r.name, pg_dns_type_name(type, text), sizeof r.name - 1);
    pg_trace_write(path->trace, &r);
}

static struct pg_value told(enum pg_dns_status status, const struct pg_addr *first)
{
    const char *text = pg_dns_status_name(status);
    return pg_addr_is_none(first) ? pg_value_text(text, strlen(text)) : pg_value_endpoint(first, 0);
}

enum pg_dns_said pg_path_dns_answer(struct pg_path *path, const void *query, uint32_t len,
                                    const struct pg_dns_client *client, void *out, uint32_t room,
                                    uint32_t *ret_len)
{
    struct pg_dns_answer about;
    *ret_len = pg_dns_answer(path->zone, query, len, client->over_tcp, pg_random_u64(&path->random),
                             out, room, &about);
    if (*ret_len == 0) {
        return PG_DNS_SAID_NOTHING;
    }
    path->counters.value[PG_COUNT_DNS_QUERIES]++;
    if (pg_dns_forward_ask(path->dns_forward, query, len, &about, client)) {
        return PG_DNS_SAID_LATER;
    }
    if (pg_trace_on(path->trace)) {
        record(path, about.name, about.type, told(about.status, &about.first), about.reason,
               client->label);
    }
    return PG_DNS_SAID_NOW;
}

/* ---- what forward.c hands out ---- */

static void on_send(void *arg, const struct pg_tuple *tuple, uint32_t label, const void *message,
                    uint32_t len)
{
    pg_local_send(arg, tuple, label, message, len);
}

static uint32_t on_ask_stream(void *arg, const struct pg_tuple *tuple, uint32_t label,
                              struct pg_dns_ticket ticket, const void *message, uint32_t len)
{
    struct pg_path *path = arg;
    return pg_dns_upstreams_ask(path->dns_upstreams, tuple, label, ticket, message, len);
}

static void on_stop_stream(void *arg, uint32_t stream)
{
    struct pg_path *path = arg;
    pg_dns_upstreams_stop(path->dns_upstreams, stream);
}

static void on_answer(void *arg, const struct pg_dns_client *client, const void *message,
                      uint32_t len)
{
    struct pg_path *path = arg;
    if (client->over_tcp) {
        pg_dns_tcp_answer(path->dns_tcp, client, message, len);
    } else {
        pg_local_send(path, &client->back, client->label, message, len);
    }
}

static bool on_told(void *arg, uint32_t label)
{
    struct pg_path *path = arg;
    return pg_trace_on(path->trace) && pg_trace_wants(path->trace, label);
}

static void on_tell(void *arg, const struct pg_dns_event *e)
{
    record(arg, e->name, e->type,
           pg_addr_is_none(&e->addr) ? pg_value_text(e->text, strlen(e->text))
                                     : pg_value_endpoint(&e->addr, 0),
           e->reason, e->label);
}

bool pg_path_dns_new(struct pg_path *path, uint64_t now_us)
{
    struct pg_dns_forward_options options = {.send = on_send,
                                             .ask_stream = on_ask_stream,
                                             .stop_stream = on_stop_stream,
                                             .answer = on_answer,
                                             .tell = on_tell,
                                             .told = on_told,
                                             .arg = path,
                                             .counters = &path->counters,
                                             .random = &path->random};
    path->dns_tcp = pg_dns_tcp_new(path);
    path->dns_upstreams = pg_dns_upstreams_new(path);
    path->dns_forward = pg_dns_forward_new(&options, now_us);
    return path->dns_tcp != NULL && path->dns_upstreams != NULL && path->dns_forward != NULL;
}

void pg_path_dns_free(struct pg_path *path)
{
    pg_dns_forward_free(path->dns_forward);
    pg_dns_upstreams_free(path->dns_upstreams);
    pg_dns_tcp_free(path->dns_tcp);
}
