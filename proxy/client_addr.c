/* Who is the client of a request, and whom do we believe? Decided, never changed here.
 *
 * Called by `request.c` for every request and by the tools' dry run. The hop is who spoke HTTP to us: the source that the PROXY preface
 * names if the listener demands one, else the TCP peer as the packet reached us, after whatever NAT did before. Only if the hop is in
 * the trust list does what it wrote count; then X-Forwarded-For, or the header the operator named, is walked from the right for as
 * long as the address reached is trusted itself. An entry that is no address ends the walk at the last address known to be true.
 * With a number of hops instead of ranges it is the entry that far from the right, or the hop when there is none.
 *
 * Pure. Owns nothing. The chain is never copied: it is read backwards in the head. */
#include "podglass/ingress_decide.h"

#include "http_grammar.h"

#include <string.h>

static bool is_trusted(const struct pg_trust *trust, const struct pg_addr *a)
{
    for (uint32_t i = 0; i < trust->trusted_count; i++) {
        if (pg_prefix_contains(&trust->trusted[i], a))
            return true;
    }
    return false;
}

static bool port_text(const char *at, size_t len)
{
    if (len == 0 || len > 5)
        return false;
    unsigned n = 0;
    for (size_t i = 0; i < len; i++) {
        if (at[i] < '0' || at[i] > '9')
            return false;
        n = n * 10 + (unsigned)(at[i] - '0');
    }
    return n <= 65535;
}

/* An IPv6 address may carry a zone, which means nothing to anybody else and is cut. */
static int parse_v6(const char *at, size_t len, struct pg_addr *ret)
{
    const char *zone = memchr(at, '%', len);
    size_t plain = zone ? (size_t)(zone - at) : len;
    if (!memchr(at, ':', plain))
        return -1;
    return pg_addr_parse(at, plain, ret);
}

/* a.b.c.d, a.b.c.d:port, IPv6, [IPv6], [IPv6]:port; anything else is no address. */
static bool parse_entry(struct pg_slice entry, struct pg_addr *ret)
{
    if (entry.at[0] == '[') {
        const char *close = memchr(entry.at, ']', entry.len);
        if (!close || parse_v6(entry.at + 1, (size_t)(close - entry.at) - 1, ret) != 0)
            return false;
        size_t rest = entry.len - (size_t)(close + 1 - entry.at);
        return rest == 0 || (close[1] == ':' && port_text(close + 2, rest - 1));
    }
    const char *colon = memchr(entry.at, ':', entry.len);
    if (!colon)
        return pg_addr_parse(entry.at, entry.len, ret) == 0;
    size_t behind = entry.len - (size_t)(colon - entry.at) - 1;
    if (memchr(colon + 1, ':', behind))
        return parse_v6(entry.at, entry.len, ret) == 0;
    return port_text(colon + 1, behind) &&
           pg_addr_parse(entry.at, (size_t)(colon - entry.at), ret) == 0;
}

/* All lines of the header that names the client as one list, from its end. */
struct chain {
    const struct pg_http_head *head;
    const char *name; /* NULL: X-Forwarded-For */
    const char *bytes;
    uint32_t line; /* lines from here on are done */
    struct pg_slice rest;
};

/* A twin with '_' does not count: nobody who is trusted writes it. */
static bool is_of_chain(const struct chain *c, const struct pg_http_field *f)
{
    if (!c->name)
        return f->id == PG_HTTP_NAME_X_FORWARDED_FOR;
    return pg_slice_equal_nocase(pg_span_slice(c->bytes, f->name), pg_slice_of(c->name));
}

static bool chain_last(struct chain *c, struct pg_slice *ret)
{
    while (!pg_http_last_element(&c->rest, ret)) {
        while (c->line > 0 && !is_of_chain(c, &c->head->fields[c->line - 1]))
            c->line--;
        if (c->line == 0)
            return false;
        c->rest = pg_span_slice(c->bytes, c->head->fields[--c->line].value);
    }
    return true;
}

static pg_reason_id reason_of(pg_reason_id given, enum pg_code code)
{
    return given ? given : pg_reason_intern(&(struct pg_reason){.code = code});
}

static void walk_ranges(const struct pg_trust *trust, struct chain *chain,
                        struct pg_client_addr *ret)
{
    struct pg_slice entry;
    struct pg_addr next;
    bool trusted = ret->hop_trusted;
    while (trusted && chain_last(chain, &entry)) {
        if (!parse_entry(entry, &next)) {
            ret->malformed = true;
            break;
        }
        ret->client = next;
        ret->walked++;
        trusted = is_trusted(trust, &next);
    }
}

/* The entry that the outermost of our own proxies wrote. */
static void count_hops(uint32_t hops, struct chain *chain, struct pg_client_addr *ret)
{
    struct pg_slice entry;
    struct pg_addr at;
    for (uint32_t n = 0; n < hops; n++) {
        if (!chain_last(chain, &entry))
            return;
    }
    if (!parse_entry(entry, &at)) {
        ret->malformed = true;
        return;
    }
    ret->client = at;
    ret->walked = hops;
}

void pg_client_addr_decide(const struct pg_trust *trust, const struct pg_addr *hop,
                           const struct pg_http_head *head, const char *head_bytes,
                           struct pg_client_addr *ret)
{
    struct chain chain = {.head = head,
                          .bytes = head_bytes,
                          .name = trust->header && trust->header[0] ? trust->header : NULL,
                          .line = head->field_count};
    *ret = (struct pg_client_addr){
        .hop = *hop, .client = *hop, .hop_trusted = trust->hops > 0 || is_trusted(trust, hop)};
    if (trust->hops > 0)
        count_hops(trust->hops, &chain, ret);
    else if (ret->hop_trusted)
        walk_ranges(trust, &chain, ret);
    ret->reason = ret->walked > 0 || ret->malformed
                      ? reason_of(trust->trusted_reason, PG_CODE_XFF_TRUSTED)
                      : reason_of(trust->peer_reason, PG_CODE_XFF_PEER);
}

void pg_client_addr_of_ends(const struct pg_trust *trust, const struct pg_ends *ends,
                            const struct pg_http_head *head, const char *head_bytes,
                            struct pg_client_addr *ret)
{
    pg_client_addr_decide(trust, &ends->client, head, head_bytes, ret);
    if (ends->reason && ret->walked == 0 && !ret->malformed)
        ret->reason = ends->reason;
}

struct pg_trust pg_trust_of(const struct pg_snapshot *s)
{
    const struct pg_ingress_settings *ingress = &s->lab.ingress;
    bool counted = ingress->trusted_hops > 0;
    const struct pg_source *source = counted ? &ingress->hops_source : &ingress->trusted_source;
    struct pg_reason reason = {.code = PG_CODE_XFF_TRUSTED,
                               .object = pg_settings_object(ingress, PG_CONFIG_TRUST),
                               .field = counted ? "trustedHops"
                                        : ingress->config_says & PG_CONFIG_TRUST
                                            ? "proxy-real-ip-cidr"
                                            : "trustedProxies",
                               .file = source->file,
                               .line = source->line};
    return (struct pg_trust){
        .trusted = ingress->trusted_proxies,
        .trusted_count = ingress->trusted_proxy_count,
        .hops = ingress->trusted_hops,
        .header = ingress->client_header,
        .peer_reason = pg_reason_intern(&(struct pg_reason){.code = PG_CODE_XFF_PEER}),
        .trusted_reason = pg_reason_intern(&reason),
    };
}
