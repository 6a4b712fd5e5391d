/* What a load says about PROXY prefaces: which ports demand one, who may send it, and whose connection it then is.
 *
 * Called by `listener.c` at a load, by `preface.c` for each connection, by `request.c` for each request, and by the tools' dry run. A port demands a
 * preface or takes none; nothing is ever guessed from the first bytes.
 *
 * Pure. Owns nothing. */
#include "podglass/preface_decide.h"

#include <string.h>

static pg_reason_id reason_of(enum pg_code code, const char *field, const struct pg_source *source)
{
    return pg_reason_intern(&(struct pg_reason){
        .code = code, .object = "Lab", .field = field, .file = source->file, .line = source->line});
}

static bool is_listed(const struct pg_proxy_settings *settings, uint16_t service_port)
{
    for (uint32_t i = 0; i < settings->port_count; i++) {
        if (settings->ports[i] == service_port)
            return true;
    }
    return settings->every_port;
}

static void add_port(struct pg_preface_rules *r, uint16_t port)
{
    for (uint32_t i = 0; i < r->port_count; i++) {
        if (r->ports[i] == port)
            return;
    }
    if (r->port_count < PG_PROXY_PORTS_MOST)
        r->ports[r->port_count++] = port;
}

/* Ports of the service in front become those of its pods. */
static void find_ports(const struct pg_snapshot *s, struct pg_preface_rules *r)
{
    if (s->lab.ingress_service == PG_INDEX_NONE)
        return;
    const struct pg_service *service = &s->services[s->lab.ingress_service];
    for (uint32_t i = 0; i < service->port_count; i++) {
        const struct pg_service_port *port = &s->service_ports[service->port_first + i];
        if (port->proto != PG_PROTO_TCP || !is_listed(r->settings, port->port))
            continue;
        for (uint32_t e = 0; e < port->endpoint_count; e++)
            add_port(r, s->endpoints[port->endpoint_first + e].port);
    }
}

struct pg_preface_rules pg_preface_rules_of(const struct pg_snapshot *s)
{
    const struct pg_proxy_settings *settings = &s->lab.ingress.proxy;
    struct pg_preface_rules r = {.settings = settings};
    find_ports(s, &r);
    if (settings->every_port || settings->port_count > 0) {
        const char *sources = "spec.ingress.proxyProtocol.allowedSources";
        const char *ports = "spec.ingress.proxyProtocol.ports";
        r.client_reason = reason_of(PG_CODE_PP_CLIENT, sources, &settings->sources_source);
        r.denied_reason = reason_of(PG_CODE_PP_DENIED, sources, &settings->sources_source);
        r.invalid_reason = reason_of(PG_CODE_PP_INVALID, ports, &settings->ports_source);
        r.hairpin_reason = reason_of(PG_CODE_PP_HAIRPIN, ports, &settings->ports_source);
    }
    if (settings->to_pods)
        r.sent_reason = reason_of(PG_CODE_PP_SENT, "spec.ingress.proxyProtocol.toPods",
                                  &settings->to_pods_source);
    return r;
}

bool pg_preface_wanted(const struct pg_preface_rules *r, uint16_t local_port)
{
    for (uint32_t i = 0; i < r->port_count; i++) {
        if (r->ports[i] == local_port)
            return true;
    }
    return false;
}

bool pg_preface_allowed(const struct pg_preface_rules *r, const struct pg_addr *peer)
{
    for (uint32_t i = 0; i < r->settings->source_count; i++) {
        if (pg_prefix_contains(&r->settings->sources[i], peer))
            return true;
    }
    return false;
}

pg_reason_id pg_preface_reason(const struct pg_preface_rules *r, const struct pg_snapshot *s,
                               const struct pg_addr *peer, bool denied)
{
    /* a pod; a node's own address on the pod bridge is in the same range */
    if (pg_snapshot_in_cluster_cidr(s, peer) && pg_snapshot_node_by_addr(s, peer) == PG_INDEX_NONE)
        return r->hairpin_reason;
    return denied ? r->denied_reason : r->invalid_reason;
}

void pg_preface_end_print(enum pg_preface_error e, const void *bytes, uint32_t len,
                          struct pg_text *out)
{
    pg_text_puts(out, pg_preface_error_name(e));
    if (len == 0)
        return;
    pg_text_puts(out, ", first bytes \"");
    pg_text_add_escaped(out, bytes, len < PG_PREFACE_SHOWN ? len : PG_PREFACE_SHOWN);
    pg_text_putc(out, '"');
}

static void print_end(const struct pg_addr *a, uint16_t port, struct pg_text *out)
{
    char text[PG_ENDPOINT_TEXT];
    (void)pg_endpoint_print(a, port, text);
    if (port == 0)
        text[strlen(text) - 1] = '*';
    pg_text_puts(out, text);
}

void pg_preface_sent_print(const struct pg_preface_rules *r, const struct pg_ends *ends,
                           struct pg_text *out)
{
    bool v4 = pg_addr_is_v4(&ends->client) && pg_addr_is_v4(&ends->local);
    pg_text_printf(out, "v%u TCP%c ", r->settings->to_pods, v4 ? '4' : '6');
    print_end(&ends->client, ends->client_port, out);
    pg_text_puts(out, " > ");
    print_end(&ends->local, ends->local_port, out);
}

struct pg_ends pg_ends_decide(const struct pg_preface_rules *r, const struct pg_tuple *conn,
                              const struct pg_preface *preface)
{
    struct pg_ends ends = {.client = conn->src,
                           .local = conn->dst,
                           .client_port = conn->src_port,
                           .local_port = conn->dst_port,
                           .scheme = "http"};
    if (!preface || preface->is_real)
        return ends;
    ends.client = preface->src;
    ends.client_port = preface->src_port;
    ends.local = preface->dst;
    ends.local_port = preface->dst_port;
    ends.reason = r->client_reason;
    bool https = r->settings->believe_tls && preface->tls;
    for (uint32_t i = 0; i < r->settings->https_port_count; i++)
        https = https || r->settings->https_ports[i] == preface->dst_port;
    if (https)
        ends.scheme = "https";
    return ends;
}
