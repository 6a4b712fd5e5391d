/* The end of a request: counted by service, and told to whoever keeps a log.
 *
 * Called by `request.c` when a head is complete and when it has been written for the pod, by `response.c` and `session_io.c` at its end. The head's bytes are gone by
 * then, so a note of it is taken at the beginning, but only if there is a log.
 *
 * The verdict about the client's address is decided here as verdict.c defines it, without looking at text in the common case: the headers of a stranger are removed, so
 * what the pod can read is whom the ingress saw, and that is the client or it is not. Only a chain that a trusted hop sent has to be read. Whose the
 * connection was before NAT is asked once per connection. */
#include "proxy_internal.h"

#include "podglass/packet.h"

#include <string.h>

/* Counted to the turn, which costs nothing; a log has it exactly. */
static uint64_t now_us_of(const struct pg_proxy *p)
{
    return p->options.on_done ? pg_trace_now_us(p->trace) : pg_trace_turn_us(p->trace);
}

/* ---- the beginning ---- */

static struct pg_slice keep(struct pg_request_note *n, struct pg_slice s, size_t most)
{
    size_t room = sizeof(n->text) - n->used;
    size_t len = s.len < most ? s.len : most;
    struct pg_slice kept = {n->text + n->used, len < room ? len : room};
    if (kept.len > 0)
        memcpy(n->text + n->used, s.at, kept.len);
    n->used += (uint32_t)kept.len;
    return kept;
}

static struct pg_slice field(const struct pg_http_head *h, const char *bytes, struct pg_slice name)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (pg_slice_equal_nocase(pg_span_slice(bytes, h->fields[i].name), name))
            return pg_span_slice(bytes, h->fields[i].value);
    }
    return (struct pg_slice){NULL, 0};
}

static void take_note(struct pg_session *s, const char *bytes)
{
    struct pg_proxy *p = s->proxy;
    const struct pg_http_head *h = &p->head;
    uint32_t index = pg_pool_get(p->notes);
    if (index == PG_POOL_NONE)
        return; /* as many as sessions: never */
    struct pg_request_note *n = pg_pool_at(p->notes, index);
    s->exchange->note = index + 1;
    n->minor = h->minor;
    n->method = keep(n, pg_span_slice(bytes, h->method), 32);
    n->host = keep(n, pg_span_slice(bytes, h->authority.len ? h->authority : h->host), 255);
    n->target = keep(n, pg_span_slice(bytes, h->target), 800);
    n->agent = keep(n, field(h, bytes, PG_SLICE_LITERAL("user-agent")), 256);
    n->referer = keep(n, field(h, bytes, PG_SLICE_LITERAL("referer")), 256);
}

void pg_request_log_begin(struct pg_session *s, const char *bytes)
{
    struct pg_exchange *x = s->exchange;
    x->began_us = now_us_of(s->proxy);
    x->verdict = PG_VERDICT_COUNT;
    if (s->proxy->options.on_done)
        take_note(s, bytes);
}

/* ---- what the pod can read ---- */

static struct pg_addr origin_of(const struct pg_session *s)
{
    const struct pg_preface *preface = pg_preface_read(s->preface);
    if (preface && !preface->is_real)
        return preface->src; /* who may send one speaks for his client */
    return pg_client_begun_as(s->proxy, s->client).src;
}

#define CHAIN_ROOM \
    1024 /* what is longer is cut: its right end matters less than that there is one */

/* All lines of a header, in any case, as one list; the head was written by http_rewrite.c. */
static struct pg_slice lines_of(const char *head, size_t len, struct pg_slice name,
                                char out[CHAIN_ROOM])
{
    size_t used = 0;
    const char *end = head + len, *at = head;
    while ((at = memmem(at, (size_t)(end - at), "\r\n", 2)) && (size_t)(end - at) > name.len + 4) {
        at += 2;
        if (!pg_slice_equal_nocase((struct pg_slice){at, name.len}, name) ||
            memcmp(at + name.len, ": ", 2) != 0)
            continue;
        at += name.len + 2;
        const char *stop = memchr(at, '\r', (size_t)(end - at));
        size_t n = stop ? (size_t)(stop - at) : 0;
        if (used + n + 2 > CHAIN_ROOM)
            break;
        memcpy(out + used, ", ", used > 0 ? 2 : 0);
        used += used > 0 ? 2 : 0;
        memcpy(out + used, at, n);
        used += n;
    }
    return (struct pg_slice){used ? out : NULL, used};
}

/* What of the list others wrote, by the policy that let it pass. */
static struct pg_slice claimed_of(struct pg_slice chain, enum pg_policy policy)
{
    const char *comma;
    switch (policy) {
    case PG_POLICY_PASS:
    case PG_POLICY_PRESERVE: return chain;
    case PG_POLICY_APPEND:
    case PG_POLICY_APPEND_ALWAYS:
    case PG_POLICY_SECOND_LINE:
        comma = chain.at ? memrchr(chain.at, ',', chain.len) : NULL;
        return (struct pg_slice){chain.at, comma ? (size_t)(comma - chain.at) : 0};
    default: return (struct pg_slice){NULL, 0};
    }
}

/* The pod reads nothing but what we wrote ourselves. */
static bool all_is_ours(const struct pg_identity *identity)
{
    enum pg_policy chain = (enum pg_policy)identity->policy[PG_IDENTITY_X_FORWARDED_FOR];
    enum pg_policy real = (enum pg_policy)identity->policy[PG_IDENTITY_X_REAL_IP];
    return (chain == PG_POLICY_APPEND || chain == PG_POLICY_REPLACE ||
            chain == PG_POLICY_PRESERVE) &&
           real != PG_POLICY_PASS && real != PG_POLICY_ANY_OR_SET;
}

static enum pg_verdict verdict_of_head(const struct pg_session *s, bool trusted, size_t len)
{
    const struct pg_identity *identity = &s->routes->identity;
    uint16_t port;
    char chain[CHAIN_ROOM], real[CHAIN_ROOM];
    const char *head = s->proxy->out;
    struct pg_seen seen = {.client = origin_of(s), .peer = pg_conn_local(s->client, &port)};
    seen.xff = lines_of(head, len, PG_SLICE_LITERAL("X-Forwarded-For"), chain);
    seen.x_real_ip = lines_of(head, len, PG_SLICE_LITERAL("X-Real-IP"), real);
    seen.client_xff =
        claimed_of(seen.xff, (enum pg_policy)identity->policy[PG_IDENTITY_X_FORWARDED_FOR]);
    if (identity->policy[PG_IDENTITY_X_REAL_IP] != PG_POLICY_SET && !trusted)
        seen.client_x_real_ip = seen.x_real_ip;
    if (s->routes->preface.settings->to_pods) {
        seen.has_proxy = true;
        seen.proxy = pg_request_ends(s).client;
    }
    return pg_verdict_decide(&seen);
}

void pg_request_log_sent(struct pg_session *s, const struct pg_client_addr *who, size_t head_len)
{
    struct pg_exchange *x = s->exchange;
    x->client = who->client;
    s->proxy->counters->value[PG_COUNT_REWRITE_INGRESS_HEADER]++;
    if (s->origin == PG_ORIGIN_UNKNOWN) {
        struct pg_addr origin = origin_of(s);
        s->origin = pg_addr_equal(&origin, &who->hop) ? PG_ORIGIN_HOP : PG_ORIGIN_OTHER;
    }
    if (who->hop_trusted || !all_is_ours(&s->routes->identity))
        x->verdict = (uint8_t)verdict_of_head(s, who->hop_trusted, head_len);
    else
        x->verdict = s->origin == PG_ORIGIN_HOP ? PG_VERDICT_CARRIED : PG_VERDICT_LOST;
}

void pg_request_log_answered(struct pg_session *s)
{
    s->exchange->answered_us = now_us_of(s->proxy);
}

/* ---- the end ---- */

static uint32_t place_of(const struct pg_session *s)
{
    if (!s->route || !s->routes || s->route->service == PG_INDEX_NONE || !s->routes->places)
        return 0;
    return s->routes->places[s->route - s->routes->snapshot->routes];
}

/* Who spoke HTTP to us: whom the preface names, if there was one. */
static struct pg_addr hop_of(const struct pg_session *s)
{
    const struct pg_preface *preface = pg_preface_read(s->preface);
    uint16_t port;
    return preface && !preface->is_real ? preface->src : pg_conn_peer(s->client, &port);
}

static void tell(struct pg_session *s, uint16_t status, uint64_t took_us, const char *service)
{
    const struct pg_proxy *p = s->proxy;
    const struct pg_exchange *x = s->exchange;
    struct pg_request_done d = {
        .note = x->note ? pg_pool_at(p->notes, x->note - 1) : NULL,
        .service = service,
        .label = pg_conn_label(s->client),
        .status = status,
        .reused = s->up && s->up->reused,
        .hop = hop_of(s),
        .client = x->client,
        .origin = origin_of(s),
        .upstream = x->service_addr,
        .upstream_port = x->service_port,
        .has_verdict =
            x->began_us && x->verdict<PG_VERDICT_COUNT, .verdict = (enum pg_verdict)x->verdict,
                                      .took_us = took_us, .upstream_us = x->answered_us>
                               x->began_us
                ? x->answered_us - x->began_us
                : 0,
        .bytes_in = x->request.passed,
        .bytes_out = x->response.passed,
    };
    if (x->refused) {
        d.error = pg_http_error_name((enum pg_http_error)x->refused);
        d.why = s->reason;
    }
    if (s->up && s->up->conn) {
        struct pg_tuple *t = &d.upstream_sent;
        t->proto = PG_PROTO_TCP;
        t->src = pg_conn_local(s->up->conn, &t->src_port);
        t->dst = pg_conn_peer(s->up->conn, &t->dst_port);
    }
    p->options.on_done(p->options.done_arg, &d);
}

void pg_request_log_end(struct pg_session *s, uint16_t status)
{
    struct pg_proxy *p = s->proxy;
    struct pg_exchange *x = s->exchange;
    if (!x || x->ended)
        return;
    x->ended = true;
    uint32_t place = s->counted ? place_of(s) : 0;
    uint64_t now_us = now_us_of(p);
    uint64_t took_us = x->began_us && now_us > x->began_us ? now_us - x->began_us : 0;
    pg_request_stats_add(p->stats, place, status, took_us,
                         x->began_us ? (enum pg_verdict)x->verdict : PG_VERDICT_COUNT);
    if (p->options.on_done && s->client)
        tell(s, status, took_us, pg_request_stats_at(p->stats, place)->name);
}

void pg_request_log_forget(struct pg_session *s)
{
    if (s->exchange->note)
        pg_pool_put(s->proxy->notes, s->exchange->note - 1);
    s->exchange->note = 0;
}
