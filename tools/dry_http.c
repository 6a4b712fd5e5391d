/* The dry run of a request through the ingress, and what its pod can see.
 *
 * Called by dry.c where a connection has reached the ingress. The order is that of proxy/request.c: client, route, backend, name,
 * connection, rewrite. The new head is written by pg_http_rewrite itself, with the caller's ring behind it. */
#include "dry_internal.h"

#include "podglass/tls_decide.h"
#include "podglass/upstream_tls_decide.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- records ---- */

static void tell(struct pg_dry_running *r, enum pg_stage stage, const char *name,
                 struct pg_value before, struct pg_value after, pg_reason_id reason)
{
    struct pg_record record = {.kind = PG_RECORD_EVENT,
                               .stage = (uint8_t)stage,
                               .node = PG_NODE_NONE,
                               .reason = reason,
                               .before = before,
                               .after = after};

    snprintf(record.name, sizeof record.name, "%s", name);
    pg_dry_tell(r, &record);
}

static void tell_request(struct pg_dry_running *r, const struct pg_http_head *h, const char *bytes)
{
    struct pg_span host = h->authority.len ? h->authority : h->host;
    char text[256];
    int len =
        snprintf(text, sizeof text, "%.*s %.*s host %.*s", (int)h->method.len, bytes + h->method.at,
                 (int)h->target.len, bytes + h->target.at, (int)host.len, bytes + host.at);
    size_t used = len < (int)sizeof text ? (size_t)len : sizeof text - 1;

    tell(r, PG_STAGE_HTTP_PARSE, "request", pg_value_none(), pg_value_text(text, used), 0);
}

static void refuse(struct pg_dry_running *r, enum pg_http_error error, pg_reason_id reason)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%u", pg_http_error_status(error));

    if (!reason) {
        reason = pg_limit_reason(&r->d->snapshot->lab.ingress.limits, error);
    }
    r->result->end = PG_DRY_REFUSED;
    r->result->status = pg_http_error_status(error);
    r->result->refusal = pg_http_error_name(error);
    r->result->reason = reason;
    tell(r, pg_http_error_stage(error), pg_http_error_name(error), pg_value_none(),
         pg_value_text(text, (size_t)len), reason);
}

/* ---- the steps ---- */

/* The draw counts backends, not weights: each is one outcome, with odds of its own. */
static const struct pg_route *draw_backend(struct pg_dry_running *r, const struct pg_route *first)
{
    const struct pg_route *drawn = first + r->draw[PG_DRY_BACKEND] % first->split;

    r->result->of[PG_DRY_BACKEND] = first->split;
    r->result->backend_odds = (double)drawn->weight / drawn->weights;
    tell(r, PG_STAGE_ROUTE, "weight", pg_value_none(),
         pg_value_text(drawn->backend_text, strlen(drawn->backend_text)),
         pg_route_draw_reason(drawn));
    return drawn;
}

static enum pg_http_error route(struct pg_dry_running *r, const char *bytes, pg_reason_id *ret_why)
{
    struct pg_route_facts facts = pg_route_facts_of(
        &r->d->head, bytes, r->result->arrives[0].dst_port, r->request->server_name != NULL);
    struct pg_route_match match;

    pg_route_match(r->d->router, &facts, &match);
    if (match.route && match.route->split > 1) {
        match.route = draw_backend(r, match.route);
    }
    r->result->route = match.route;
    if (match.error || !match.route) {
        *ret_why = match.reason;
        return match.error;
    }
    tell(r, PG_STAGE_ROUTE, "route", pg_value_none(),
         pg_value_text(match.route->backend_text, strlen(match.route->backend_text)), match.reason);
    return PG_HTTP_ERROR_NONE;
}

static void redirect(struct pg_dry_running *r)
{
    const struct pg_route_plan *plan = &r->d->plan;
    char status[8];
    int len = snprintf(status, sizeof status, "%u", plan->status);

    r->result->end = PG_DRY_REDIRECTED;
    r->result->status = plan->status;
    r->result->refusal = "redirect";
    r->result->location = plan->location;
    r->result->reason = plan->reason;
    tell(r, PG_STAGE_ROUTE, "redirect", pg_value_text(status, (size_t)len),
         pg_value_text(plan->location.at, plan->location.len), plan->reason);
}

/* true: the ingress has answered. */
static bool filter(struct pg_dry_running *r, const char *bytes, const struct pg_client_addr *who)
{
    struct pg_route_plan *plan = &r->d->plan;
    struct pg_route_ask ask = {.snapshot = r->d->snapshot,
                               .router = r->d->router,
                               .route = r->result->route,
                               .head = &r->d->head,
                               .bytes = bytes,
                               .who = who,
                               .scheme = r->request->server_name ? "https" : "http",
                               .port = pg_route_port(r->d->snapshot, r->result->route)};

    pg_route_filters_decide(&ask, plan);
    if (plan->error) {
        refuse(r, plan->error, plan->reason);
    } else if (plan->status) {
        redirect(r);
    }
    return plan->error || plan->status;
}

/* TLS that is passed on unread goes to the service. */
static bool chooses_pods(const struct pg_dry_running *r)
{
    return !r->passed_through &&
           pg_upstream_mode(r->d->snapshot, r->result->route) == PG_UPSTREAM_ENDPOINTS;
}

/* One after the other, or the least busy: to one request any of them may fall. */
static enum pg_http_error choose_endpoint(struct pg_dry_running *r, bool v6, struct pg_tuple *ret)
{
    struct pg_candidates c = pg_backend_candidates(r->d->snapshot, r->result->route, v6);

    if (c.count == 0) {
        return PG_HTTP_ERROR_NO_ENDPOINT;
    }
    r->result->of[PG_DRY_ADDRESS] = c.count;
    const struct pg_endpoint *e =
        pg_backend_candidate(&c, (uint32_t)((r->draw[PG_DRY_ADDRESS] + r->tries) % c.count));

    ret->dst = e->addr;
    ret->dst_port = e->port;
    return PG_HTTP_ERROR_NONE;
}

static enum pg_http_error resolve(struct pg_dry_running *r, bool want_v6, struct pg_tuple *ret,
                                  pg_reason_id *ret_why)
{
    struct pg_backend backend;
    struct pg_addr found[PG_BACKEND_ADDRS];
    uint32_t count = 0;
    pg_reason_id reason = 0;

    pg_backend_decide(r->d->snapshot, r->result->route, &backend);
    if (backend.error) {
        *ret_why = backend.reason;
        return backend.error;
    }
    if (chooses_pods(r)) {
        return choose_endpoint(r, want_v6, ret);
    }
    enum pg_dns_status status = pg_dns_resolve(r->d->zone, backend.name, backend.name_len, want_v6,
                                               found, PG_BACKEND_ADDRS, &count, &reason);

    if (status == PG_DNS_OK && count == 0) {
        status = PG_DNS_NODATA;
    }
    if (status == PG_DNS_OK) {
        uint32_t known = count < PG_BACKEND_ADDRS ? count : PG_BACKEND_ADDRS;
        r->result->of[PG_DRY_ADDRESS] = known;
        ret->dst = found[r->draw[PG_DRY_ADDRESS] % known];
        ret->dst_port = pg_backend_port(r->d->snapshot, r->result->route, &ret->dst);
    }
    const char *text = pg_dns_status_name(status);
    tell(r, PG_STAGE_DNS, "resolve", pg_value_text(backend.name, backend.name_len),
         status == PG_DNS_OK ? pg_value_endpoint(&ret->dst, 0) : pg_value_text(text, strlen(text)),
         reason);
    *ret_why = reason;
    return status == PG_DNS_OK ? PG_HTTP_ERROR_NONE : PG_HTTP_ERROR_NO_NAME;
}

static const struct pg_ingress_port *port_of(const struct pg_dry_running *r)
{
    for (uint32_t i = 0; i < r->d->ingress_port_count; i++) {
        if (r->d->ingress_ports[i].target == r->result->arrives[0].dst_port) {
            return &r->d->ingress_ports[i];
        }
    }
    return NULL;
}

/* Whether port and client agree about TLS; the certificate is told where they do. */
static enum pg_http_error shake_hands(struct pg_dry_running *r)
{
    const struct pg_ingress_port *port = port_of(r);
    const char *name = r->request->server_name;

    if (!port || port->tls == (name != NULL)) {
        if (name) {
            const struct pg_tls_host *host =
                pg_tls_host_find(r->d->snapshot, r->result->arrives[0].dst_port, name);
            tell(r, PG_STAGE_TLS, host && host->passthrough ? "passthrough" : "handshake",
                 name[0] ? pg_value_text(name, strlen(name)) : pg_value_none(), pg_value_none(),
                 pg_tls_host_reason(r->d->snapshot, host));
        }
        return PG_HTTP_ERROR_NONE;
    }
    return port->tls ? PG_HTTP_ERROR_PLAIN_HTTP : PG_HTTP_ERROR_BAD_REQUEST_LINE;
}

static enum pg_http_error check_certificate(struct pg_dry_running *r, const char *bytes)
{
    const struct pg_http_head *h = &r->d->head;
    struct pg_slice host = pg_span_slice(bytes, h->authority.len ? h->authority : h->host);
    const char *name = r->request->server_name;

    return name && !pg_tls_host_fits(r->d->snapshot, r->result->arrives[0].dst_port, name, host)
               ? PG_HTTP_ERROR_MISDIRECTED
               : PG_HTTP_ERROR_NONE;
}

/* What the ingress answers when the upstream leg ended before a pod. */
static enum pg_http_error upstream_error(const struct pg_dry_result *result)
{
    switch (result->end) {
    case PG_DRY_DROPPED: return PG_HTTP_ERROR_UPSTREAM_CONNECT_TIMEOUT;
    case PG_DRY_REJECTED:
        return result->drop == PG_DROP_NO_ROUTE ? PG_HTTP_ERROR_UPSTREAM_UNREACHABLE
                                                : PG_HTTP_ERROR_UPSTREAM_REFUSED;
    default: return PG_HTTP_ERROR_UPSTREAM_REFUSED;
    }
}

/* Could another pod be tried? Of this one nothing was heard, and it was sent nothing. */
static bool may_try_another(const struct pg_dry_running *r)
{
    return chooses_pods(r) && r->tries < r->d->snapshot->lab.ingress.limits.value[PG_LIMIT_TRIES] &&
           r->tries < r->result->of[PG_DRY_ADDRESS];
}

static bool speaks_h2c(const struct pg_dry_running *r)
{
    return !r->passed_through &&
           pg_upstream_protocol(r->d->snapshot, r->result->route) == PG_UPSTREAM_H2C;
}

/* The same decision as request.c's: who asks for trailers, and what a stream can not do. */
static bool decide_protocol(struct pg_dry_running *r, const char *bytes)
{
    bool h2c = speaks_h2c(r);
    if (h2c) {
        r->d->head.websocket = false;
    }
    return pg_trailers_kept(r->d->snapshot, h2c ? PG_UPSTREAM_H2C : PG_UPSTREAM_HTTP1) &&
           pg_trailers_wanted(&r->d->head, bytes);
}

/* What is asked of the pod. Whether it can show it only a handshake tells. */
static void tell_tls(struct pg_dry_running *r)
{
    const struct pg_upstream_tls *tls =
        r->passed_through ? NULL : pg_upstream_tls(r->d->snapshot, r->result->route);
    struct pg_text text = {0};

    if (!tls) {
        return;
    }
    pg_upstream_tls_print(tls, &text);
    tell(r, PG_STAGE_UPSTREAM, "tls",
         tls->send_name ? pg_value_text(tls->name, strlen(tls->name)) : pg_value_none(),
         pg_value_text(text.at, text.len), pg_upstream_tls_reason(tls, PG_CODE_TO_TLS));
    pg_text_free(&text);
}

enum connected { CONNECTED, TRY_ANOTHER, ENDED };

/* Connects to the service, or the pod that was chosen. CONNECTED: a pod has the connection. */
static enum connected connect_upstream(struct pg_dry_running *r, const struct pg_tuple *up)
{
    struct pg_dry_result *result = r->result;
    bool arrived = pg_dry_leg(r, up, PG_STAGE_NAT_OUTPUT);

    tell(r, PG_STAGE_UPSTREAM, "connect", pg_value_any_port(&up->src),
         pg_value_endpoint(&up->dst, up->dst_port),
         r->passed_through ? 0 : pg_upstream_reason(r->d->snapshot, result->route));
    tell_tls(r);
    if (speaks_h2c(r)) {
        tell(r, PG_STAGE_UPSTREAM, "protocol", pg_value_none(), pg_value_text("HTTP/2", 6),
             pg_upstream_protocol_reason(r->d->snapshot, result->route));
    }
    if (arrived && pg_dry_arrive(r)) {
        result->end = PG_DRY_LOOP;
        return ENDED;
    }
    if (arrived && (result->end == PG_DRY_POD || result->end == PG_DRY_WIRE)) {
        return CONNECTED;
    }
    r->tries++;
    if (may_try_another(r)) {
        result->leg_count = 1;
        result->reason = 0;
        tell(r, PG_STAGE_UPSTREAM, "retry", pg_value_none(), pg_value_none(), 0);
        return TRY_ANOTHER;
    }
    pg_reason_id cause = result->reason;
    refuse(r, upstream_error(result), 0);
    result->reason = cause ? cause : result->reason;
    return ENDED;
}

static void send_preface(struct pg_dry_running *r, const struct pg_ends *ends)
{
    struct pg_text text = {0};
    struct pg_record record = {.kind = PG_RECORD_REWRITE,
                               .stage = PG_STAGE_PROXY_PROTOCOL,
                               .field = PG_FIELD_PROXY,
                               .name = "preface",
                               .node = PG_NODE_NONE,
                               .reason = r->d->preface.sent_reason,
                               .before = pg_value_none()};

    pg_preface_sent_print(&r->d->preface, ends, &text);
    record.after = pg_value_text(text.at, text.len);
    pg_dry_tell(r, &record);
    pg_text_free(&text);
    r->result->seen.has_proxy = true;
    r->result->seen.proxy = ends->client;
}

static void rewrite(struct pg_dry_running *r, const char *bytes, const struct pg_client_addr *who,
                    const struct pg_ends *ends)
{
    const struct pg_http_head *h = &r->d->head;
    bool te_trailers = decide_protocol(r, bytes);
    struct pg_http_rewrite_in in = {.identity = &r->d->identity,
                                    .head = h,
                                    .bytes = bytes,
                                    .who = who,
                                    .local = ends->local,
                                    .local_port = ends->local_port,
                                    .listen_port = r->result->arrives[0].dst_port,
                                    .scheme = ends->scheme,
                                    .body = h->body,
                                    .content_length = h->content_length,
                                    .keep_slashes = r->d->snapshot->lab.ingress.keep_slashes,
                                    .te_trailers = te_trailers,
                                    .h2c = speaks_h2c(r),
                                    .plan = &r->d->plan,
                                    .trace = r->trace,
                                    .label = 1,
                                    .request_id = "(drawn at random)"};
    if (r->d->preface.settings->to_pods) {
        send_preface(r, ends);
    }
    int64_t len = pg_http_rewrite(&in, r->d->out, sizeof r->d->out);

    if (len < 0) {
        refuse(r, PG_HTTP_ERROR_HEAD_TOO_LARGE, 0);
        return;
    }
    r->result->head = (struct pg_slice){r->d->out, (size_t)len};
}

/* ---- the preface ---- */

static bool end_reset(struct pg_dry_running *r, const char *name, const char *text, bool denied)
{
    const struct pg_tuple *in = &r->result->arrives[0];

    r->result->end = PG_DRY_RESET;
    r->result->refusal = name;
    r->result->reason = pg_preface_reason(&r->d->preface, r->d->snapshot, &in->src, denied);
    tell(r, PG_STAGE_PROXY_PROTOCOL, denied ? "pp-denied" : "pp-invalid",
         pg_dry_endpoint(&in->src, in->src_port), pg_value_text(text, strlen(text)),
         r->result->reason);
    return false;
}

/* What the connection begins with, if its port demands it; version 0: nothing. false: it ends there. */
static bool read_preface(struct pg_dry_running *r, struct pg_preface *ret)
{
    const struct pg_tuple *in = &r->result->arrives[0];
    struct pg_slice sent = r->request->preface;
    enum pg_preface_error error = PG_PREFACE_ERROR_NO_PREFACE;
    struct pg_text text = {0};

    *ret = (struct pg_preface){0};
    if (!pg_preface_wanted(&r->d->preface, in->dst_port)) {
        return true;
    }
    if (!pg_preface_allowed(&r->d->preface, &in->src)) {
        return end_reset(r, "pp-denied", "not in allowedSources", true);
    }
    sent = sent.len ? sent : r->request->head;
    if (pg_proxyproto_read((const uint8_t *)sent.at, (uint32_t)sent.len, ret, &error) <= 0) {
        pg_preface_end_print(error, sent.at, (uint32_t)sent.len, &text);
        end_reset(r, "pp-invalid", text.at, false);
        pg_text_free(&text);
        return false;
    }
    pg_preface_print(ret, &text);
    tell(r, PG_STAGE_PROXY_PROTOCOL, "preface", pg_dry_endpoint(&in->src, in->src_port),
         pg_value_text(text.at, text.len), r->d->preface.client_reason);
    pg_text_free(&text);
    return true;
}

/* The host's TLS goes on to the pod: nobody looks into it, and the pod gets what the client sent. */
static bool pass_through(struct pg_dry_running *r)
{
    const char *name = r->request->server_name;
    const struct pg_tls_host *host =
        name ? pg_tls_host_find(r->d->snapshot, r->result->arrives[0].dst_port, name) : NULL;
    struct pg_tuple up = {.src = r->result->arrives[0].dst, .proto = PG_PROTO_TCP};
    struct pg_route_match match;
    pg_reason_id why = 0;

    if (!host || !host->passthrough) {
        return false;
    }
    struct pg_route_facts facts = {.host = pg_slice_of(name),
                                   .path = PG_SLICE_LITERAL("/"),
                                   .port = r->result->arrives[0].dst_port,
                                   .tls = true,
                                   .unread = true};
    pg_route_match(r->d->router, &facts, &match);
    if (match.route && match.route->split > 1) {
        match.route = draw_backend(r, match.route);
    }
    r->result->route = match.route;
    r->passed_through = true;
    enum pg_http_error error =
        match.route ? resolve(r, !pg_addr_is_v4(&up.src), &up, &why) : PG_HTTP_ERROR_NO_ROUTE;
    if (error) {
        refuse(r, error, match.route ? why : match.reason);
    } else if (connect_upstream(r, &up) == CONNECTED) {
        r->result->head = r->request->head;
    }
    return true;
}

/* From a head to where it goes. false: it ended. */
static bool decide(struct pg_dry_running *r, const char *bytes, const struct pg_ends *ends,
                   struct pg_tuple *up, struct pg_client_addr *who)
{
    pg_reason_id why = 0;

    pg_client_addr_of_ends(&r->d->identity.trust, ends, &r->d->head, bytes, who);
    if (r->tries == 0) {
        tell_request(r, &r->d->head, bytes);
        tell(r, PG_STAGE_CLIENT_ADDR, "client", pg_dry_endpoint(&who->hop, ends->client_port),
             pg_value_endpoint(&who->client, 0), who->reason);
    }
    enum pg_http_error error = check_certificate(r, bytes);

    if (!error) {
        error = route(r, bytes, &why);
    }
    if (!error && filter(r, bytes, who)) {
        return false;
    }
    if (!error) {
        error = resolve(r, !pg_addr_is_v4(&r->result->arrives[0].dst), up, &why);
    }
    if (!error) {
        uint64_t most = r->d->plan.body_limit;
        error = pg_limits_of_body(
            most < UINT64_MAX ? most : r->d->snapshot->lab.ingress.limits.value[PG_LIMIT_BODY],
            &r->d->head);
    }
    if (error) {
        refuse(r, error, why);
    }
    return !error;
}

void pg_dry_ingress(struct pg_dry_running *r)
{
    struct pg_slice sent = r->request->head;
    struct pg_http_scan scan = {0};
    enum pg_http_error error = PG_HTTP_ERROR_NONE;
    const struct pg_tuple *in = &r->result->arrives[0];
    struct pg_tuple up = {.src = in->dst, .proto = PG_PROTO_TCP};
    struct pg_client_addr who;
    struct pg_preface preface;
    const struct pg_ingress_limits *limits = &r->d->snapshot->lab.ingress.limits;
    enum connected connected = TRY_ANOTHER;

    if (!read_preface(r, &preface)) {
        return;
    }
    if (preface.version == 0 && r->request->preface.len > 0) {
        sent = r->request->preface; /* not wanted, so it is taken for HTTP */
    }
    struct pg_tuple begun = *in; /* by the client, to whom he called */
    begun.dst = r->request->to;
    begun.dst_port = r->request->to_port;
    struct pg_ends ends = pg_ends_decide(&r->d->preface, &begun, preface.version ? &preface : NULL);
    if (r->request->server_name) {
        ends.scheme = "https";
    }
    error = shake_hands(r);
    if (error) {
        refuse(r, error, 0);
        return;
    }
    if (pass_through(r)) {
        return;
    }
    int status =
        pg_http_parse(PG_HTTP_REQUEST, &scan, sent.at, (uint32_t)sent.len, &r->d->head, &error);
    if (status != 0) {
        refuse(r, status == -EBADMSG ? error : PG_HTTP_ERROR_HEAD_TIMEOUT, 0);
        return;
    }
    error = pg_limits_of_head(limits, &r->d->head);
    if (error) {
        refuse(r, error, 0);
        return;
    }
    while (connected == TRY_ANOTHER && decide(r, sent.at, &ends, &up, &who)) {
        connected = connect_upstream(r, &up);
    }
    if (connected == CONNECTED) {
        rewrite(r, sent.at, &who, &ends);
    }
}

/* ---- what is seen ---- */

void pg_dry_see(struct pg_dry_running *r)
{
    struct pg_dry *d = r->d;
    struct pg_dry_result *result = r->result;
    struct pg_seen *seen = &result->seen;
    struct pg_slice sent = r->request->head;

    seen->client = r->request->from;
    seen->peer = result->arrives[result->leg_count - 1].src;
    if (r->request->preface.len > 0) {
        struct pg_preface preface;
        enum pg_preface_error wrong;
        if (pg_proxyproto_read((const uint8_t *)r->request->preface.at,
                               (uint32_t)r->request->preface.len, &preface, &wrong) > 0 &&
            !preface.is_real) {
            seen->client = preface.src; /* the sender is a balancer, and speaks for him */
        }
    }
    if (sent.at && result->leg_count == 1) {
        result->head = sent; /* no ingress between */
    }
    pg_carried_clear(&d->claimed);
    pg_carried_add_head(&d->claimed, sent);
    pg_carried_as_claimed(&d->claimed, seen);
    pg_carried_clear(&d->got);
    pg_carried_add_head(&d->got, result->head);
    pg_carried_as_got(&d->got, seen);
    result->has_verdict = true;
    result->verdict = pg_verdict_decide(seen);
}
