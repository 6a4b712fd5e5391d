/* The head as it leaves: with `http_rewrite_identity.c` the only file that changes HTTP.
 *
 * Called by `request.c` (request towards the pod), `response.c` (response towards the client) and the tools' dry run. A
 * head is always written anew into one contiguous piece: start line and Host first, the sender's own fields in their
 * order, then ours. Fields of one hop go before ours are written, so a client that names X-Forwarded-For in Connection removes
 * nothing of ours; the lines that tell who is asking are `http_rewrite_identity.c`'s. Framing is never copied, only written from
 * what we understood.
 *
 * Each difference between what came and what goes passes through `change`, which records it; a field that stays says nothing.
 *
 * Owns nothing. Always true: what is written parses again as exactly one message with the framing that was asked for. */
#include "podglass/route_filter_decide.h"

#include "http_grammar.h"
#include "http_writer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- both directions ---- */

static struct pg_slice first_value(const struct pg_http_head *h, const char *bytes,
                                   enum pg_http_name id)
{
    const struct pg_http_field *f = pg_http_field_find(h, id);
    return f ? field_value(bytes, f) : none;
}

/* Named by Connection. The parser has bounded how many options there are. */
static bool nominated(const struct pg_http_head *h, const char *bytes, struct pg_slice name)
{
    for (uint32_t i = 0; i < h->field_count; i++) {
        if (h->fields[i].id != PG_HTTP_NAME_CONNECTION)
            continue;
        struct pg_slice rest = field_value(bytes, &h->fields[i]), option;
        while (pg_http_next_element(&rest, &option)) {
            if (pg_slice_equal_nocase(option, name))
                return true;
        }
    }
    return false;
}

/* Fields that no Connection header may remove: who is asking, and how he is known. The managed set is not here because it is
 * never looked up among nominated fields. */
static bool is_protected(struct pg_slice name)
{
    return pg_slice_equal_nocase(name, PG_SLICE_LITERAL("authorization")) ||
           pg_slice_equal_nocase(name, PG_SLICE_LITERAL("cookie"));
}

static bool is_hop_by_hop(enum pg_http_name id)
{
    switch (id) {
    case PG_HTTP_NAME_CONNECTION:
    case PG_HTTP_NAME_KEEP_ALIVE:
    case PG_HTTP_NAME_PROXY_CONNECTION:
    case PG_HTTP_NAME_TE:
    case PG_HTTP_NAME_TRAILER:
    case PG_HTTP_NAME_UPGRADE:
    case PG_HTTP_NAME_PROXY_AUTHENTICATE:
    case PG_HTTP_NAME_PROXY_AUTHORIZATION: return true;
    default: return false;
    }
}

/* Content-Length or Transfer-Encoding from what we know, never from what stood there. */
static void put_framing(struct writer *w, const struct pg_http_head *h, const char *bytes,
                        enum pg_http_body body, uint64_t content_length)
{
    struct pg_slice length = first_value(h, bytes, PG_HTTP_NAME_CONTENT_LENGTH);
    struct pg_slice coding = first_value(h, bytes, PG_HTTP_NAME_TRANSFER_ENCODING);
    struct pg_slice new_length = none, new_coding = none;
    char digits[21];
    if (body == PG_HTTP_BODY_CHUNKED)
        new_coding = PG_SLICE_LITERAL("chunked");
    else if (body == PG_HTTP_BODY_LENGTH)
        new_length = print_number(content_length, digits);
    else if (body == PG_HTTP_BODY_NONE && length.at && (h->status == 0 || h->status >= 200) &&
             h->status != 204)
        new_length = print_number(h->content_length, digits); /* 0, or of a HEAD or 304 */
    if (new_length.at)
        put_field(w, PG_SLICE_LITERAL("Content-Length"), new_length);
    if (new_coding.at)
        put_field(w, PG_SLICE_LITERAL("Transfer-Encoding"), new_coding);
    if (!w->trace)
        return;
    if (!pg_slice_equal(length, new_length))
        change(w, PG_FIELD_HEADER, PG_SLICE_LITERAL("Content-Length"), length, new_length,
               code_reason(PG_CODE_FRAMING));
    if (!pg_slice_equal_nocase(coding, new_coding))
        change(w, PG_FIELD_HEADER, PG_SLICE_LITERAL("Transfer-Encoding"), coding, new_coding,
               code_reason(PG_CODE_FRAMING));
}

/* Connection and Upgrade belong to one hop; where both hops switch protocols they are written anew. */
static void put_upgrade(struct writer *w, const struct pg_http_head *h, const char *bytes)
{
    if (!h->websocket)
        return;
    put_ours(w, "Connection", first_value(h, bytes, PG_HTTP_NAME_CONNECTION),
             PG_SLICE_LITERAL("Upgrade"), watched_reason(w, PG_CODE_HOP_BY_HOP));
    put_ours(w, "Upgrade", first_value(h, bytes, PG_HTTP_NAME_UPGRADE),
             PG_SLICE_LITERAL("websocket"), watched_reason(w, PG_CODE_HOP_BY_HOP));
}

static bool is_of_upgrade(const struct pg_http_head *h, enum pg_http_name id)
{
    return h->websocket && (id == PG_HTTP_NAME_CONNECTION || id == PG_HTTP_NAME_UPGRADE);
}

/* ---- request ---- */

/* TE belongs to one hop, too, and `trailers` is all of it that can be said to the next. */
static void put_te(struct writer *w, const struct pg_http_rewrite_in *in)
{
    pg_reason_id reason = watched_reason(w, PG_CODE_TRAILER);
    if (!in->h2c)
        put_ours(w, "Connection", first_value(in->head, in->bytes, PG_HTTP_NAME_CONNECTION),
                 PG_SLICE_LITERAL("TE"), reason);
    put_ours(w, "TE", first_value(in->head, in->bytes, PG_HTTP_NAME_TE),
             PG_SLICE_LITERAL("trailers"), reason);
}

/* Fields of one hop that are written anew for the next. */
static bool is_said_anew(const struct pg_http_rewrite_in *in, enum pg_http_name id)
{
    if (in->head->websocket)
        return is_of_upgrade(in->head, id);
    return id == PG_HTTP_NAME_TE || (id == PG_HTTP_NAME_CONNECTION && !in->h2c);
}

static void put_target(struct writer *w, const struct pg_http_rewrite_in *in)
{
    const struct pg_http_head *h = in->head;
    struct pg_slice path = h->path.len ? pg_span_slice(in->bytes, h->path) : PG_SLICE_LITERAL("/");
    const struct pg_route_filter *by = in->plan ? in->plan->target_by : NULL;
    uint32_t begin = w->len;
    if (by)
        path = in->plan->target;
    if (!pg_http_path_is_odd(path)) {
        put(w, path);
    } else if (path.len > w->room - w->len) {
        w->full = true;
    } else {
        w->len += pg_http_path_normalise(path, in->keep_slashes, w->out + w->len);
    }
    struct pg_slice before = pg_span_slice(in->bytes, h->target);
    struct pg_slice after = {w->out + begin, w->len - begin};
    if (w->trace && !pg_slice_equal(before, after))
        change(w, PG_FIELD_TARGET, PG_SLICE_LITERAL("target"), before, after,
               by ? pg_route_filter_reason(by, PG_CODE_FILTERED) : 0);
}

/* X-Forwarded-Host, if the policy of Host lets it take the place. */
static struct pg_slice other_host(const struct pg_http_rewrite_in *in,
                                  const struct pg_identity *identity)
{
    struct pg_slice rest = none, host = none;
    if (identity->policy[PG_IDENTITY_HOST] == PG_POLICY_PASS ||
        pg_identity_fate(identity, in->who, PG_IDENTITY_HOST) != PG_FATE_REPLACE)
        return none;
    for (uint32_t i = 0; i < in->head->field_count && !rest.at; i++) {
        bool twin;
        if (pg_identity_of_field(in->bytes, &in->head->fields[i], &twin) ==
                PG_IDENTITY_X_FORWARDED_HOST &&
            !twin)
            rest = field_value(in->bytes, &in->head->fields[i]);
    }
    return rest.at && pg_http_next_element(&rest, &host) && pg_http_host_valid(host) ? host : none;
}

static void put_host(struct writer *w, const struct pg_http_rewrite_in *in,
                     const struct pg_identity *identity)
{
    const struct pg_http_head *h = in->head;
    struct pg_slice before = h->host.len ? pg_span_slice(in->bytes, h->host) : none;
    struct pg_slice host = other_host(in, identity);
    char text[PG_ENDPOINT_TEXT] = "localhost";
    const struct pg_route_filter *by = in->plan ? in->plan->host : NULL;
    if (by)
        host = pg_slice_of(by->value);
    if (!host.at)
        host = h->authority.len ? pg_span_slice(in->bytes, h->authority) : before;
    if (!host.at) {
        if (!pg_addr_is_none(&in->local))
            (void)pg_endpoint_print(&in->local, in->local_port ? in->local_port : 80, text);
        host = pg_slice_of(text);
    }
    put_field(w, PG_SLICE_LITERAL("Host"), host);
    if (w->trace && !pg_slice_equal(before, host))
        change(w, PG_FIELD_HEADER, PG_SLICE_LITERAL("Host"), before, host,
               by ? pg_route_filter_reason(by, PG_CODE_FILTERED)
                  : identity->written[PG_IDENTITY_HOST]);
}

/* ---- what the route's filters say about fields ---- */

/* Set, add, remove. */
static const enum pg_filter_kind request_kinds[3] = {PG_FILTER_REQUEST_SET, PG_FILTER_REQUEST_ADD,
                                                     PG_FILTER_REQUEST_REMOVE};
static const enum pg_filter_kind response_kinds[3] = {
    PG_FILTER_RESPONSE_SET, PG_FILTER_RESPONSE_ADD, PG_FILTER_RESPONSE_REMOVE};

static struct pg_header_filters filters_of(const struct pg_http_rewrite_in *in)
{
    struct pg_header_filters filters = {0};
    if (in->plan) {
        filters.at = in->plan->filters;
        filters.count = in->plan->filter_count;
    }
    return filters;
}

/* true: a filter takes the field away, whatever comes in its place. */
static bool filtered_by(const struct writer *w, const struct pg_header_filters *filters,
                        const enum pg_filter_kind kinds[3], struct pg_slice name,
                        struct pg_slice value)
{
    for (uint32_t i = 0; i < filters->count; i++) {
        const struct pg_route_filter *f = &filters->at[i];
        if ((f->kind != kinds[0] && f->kind != kinds[2]) ||
            !pg_slice_equal_nocase(pg_slice_of(f->name), name))
            continue;
        if (w->trace)
            change(w, PG_FIELD_HEADER, name, value, none,
                   pg_route_filter_reason(f, PG_CODE_FILTERED));
        return true;
    }
    return false;
}

static bool filtered(const struct writer *w, const struct pg_http_rewrite_in *in,
                     const struct pg_http_field *f)
{
    struct pg_header_filters filters = filters_of(in);
    return filtered_by(w, &filters, request_kinds, field_name(in->bytes, f),
                       field_value(in->bytes, f));
}

/* What filters write, behind the message's own fields. */
static void put_filtered(struct writer *w, const struct pg_header_filters *filters,
                         const enum pg_filter_kind kinds[3])
{
    for (uint32_t i = 0; i < filters->count; i++) {
        const struct pg_route_filter *f = &filters->at[i];
        if (f->kind != kinds[0] && f->kind != kinds[1])
            continue;
        put_field(w, pg_slice_of(f->name), pg_slice_of(f->value));
        if (w->trace)
            change(w, PG_FIELD_HEADER, pg_slice_of(f->name), none, pg_slice_of(f->value),
                   pg_route_filter_reason(f, PG_CODE_FILTERED));
    }
}

static void put_cookie(struct writer *w, const struct pg_header_filters *filters)
{
    struct pg_slice name = PG_SLICE_LITERAL("Set-Cookie");
    if (!filters->cookie.at)
        return;
    put_field(w, name, filters->cookie);
    if (w->trace)
        change(w, PG_FIELD_HEADER, name, none, filters->cookie,
               pg_route_filter_reason(filters->cookie_by, PG_CODE_AFFINITY_COOKIE));
}

/* The client's own fields. */
static void put_fields(struct writer *w, const struct pg_http_rewrite_in *in,
                       const struct pg_identity *identity, struct pg_identity_lines *lines)
{
    const struct pg_http_head *h = in->head;
    bool connection = h->nominates;
    bool says_anew = h->websocket || in->te_trailers;
    for (uint32_t i = 0; i < h->field_count; i++) {
        const struct pg_http_field *f = &h->fields[i];
        if (f->id == PG_HTTP_NAME_HOST || f->id == PG_HTTP_NAME_CONTENT_LENGTH ||
            f->id == PG_HTTP_NAME_TRANSFER_ENCODING ||
            pg_identity_put_line(w, in, identity, i, lines))
            continue;
        struct pg_slice name = field_name(in->bytes, f), value = field_value(in->bytes, f);
        if ((says_anew && is_said_anew(in, f->id)) || filtered(w, in, f))
            continue;
        /* Expect has been answered here. */
        if (is_hop_by_hop(f->id) || f->id == PG_HTTP_NAME_EXPECT ||
            (connection && nominated(h, in->bytes, name) && !is_protected(name)))
            dropped(w, name, value, watched_reason(w, PG_CODE_HOP_BY_HOP));
        else
            put_field(w, name, value);
    }
}

static struct pg_trace *watched(struct pg_trace *trace, uint32_t label)
{
    return trace && pg_trace_wants(trace, label) ? trace : NULL;
}

int64_t pg_http_rewrite(const struct pg_http_rewrite_in *in, char *out, uint32_t room)
{
    const struct pg_http_head *h = in->head;
    struct writer w = {
        .out = out, .room = room, .trace = watched(in->trace, in->label), .label = in->label};
    const struct pg_identity *identity = in->identity ? in->identity : &pg_identity_strict;
    struct pg_identity_lines lines = {0};
    put(&w, pg_span_slice(in->bytes, h->method));
    put(&w, PG_SLICE_LITERAL(" "));
    put_target(&w, in);
    put(&w, PG_SLICE_LITERAL(" HTTP/1.1\r\n"));
    if (w.trace && h->minor == 0)
        change(&w, PG_FIELD_TARGET, PG_SLICE_LITERAL("version"), PG_SLICE_LITERAL("HTTP/1.0"),
               PG_SLICE_LITERAL("HTTP/1.1"), 0);
    put_host(&w, in, identity);
    put_fields(&w, in, identity, &lines);
    put_framing(&w, h, in->bytes, in->body, in->content_length);
    put_upgrade(&w, h, in->bytes);
    if (in->te_trailers && !h->websocket)
        put_te(&w, in);
    pg_identity_put_ours(&w, in, identity, &lines);
    struct pg_header_filters filters = filters_of(in);
    put_filtered(&w, &filters, request_kinds);
    put(&w, PG_SLICE_LITERAL("\r\n"));
    return w.full ? -ENOSPC : (int64_t)w.len;
}

/* ---- response ---- */

static void put_status_line(struct writer *w, const struct pg_http_head *h, const char *bytes)
{
    char digits[21];
    put(w, PG_SLICE_LITERAL("HTTP/1.1 "));
    put(w, print_number(h->status, digits));
    put(w, PG_SLICE_LITERAL(" "));
    put(w, pg_span_slice(bytes, h->phrase));
    put(w, PG_SLICE_LITERAL("\r\n"));
}

int64_t pg_http_rewrite_response(const struct pg_http_head *head, const char *bytes,
                                 enum pg_http_body body, uint64_t content_length,
                                 bool client_http10, bool keep_alive, struct pg_trace *trace,
                                 uint32_t label, const struct pg_header_filters *filters, char *out,
                                 uint32_t room)
{
    static const struct pg_header_filters nothing = {0};
    if (!filters)
        filters = &nothing;
    struct writer w = {
        .out = out, .room = room, .trace = watched(trace, label), .label = label, .direction = 1};
    bool connection = head->nominates;
    put_status_line(&w, head, bytes);
    for (uint32_t i = 0; i < head->field_count; i++) {
        const struct pg_http_field *f = &head->fields[i];
        struct pg_slice name = field_name(bytes, f), value = field_value(bytes, f);
        if (f->id == PG_HTTP_NAME_CONTENT_LENGTH || f->id == PG_HTTP_NAME_TRANSFER_ENCODING ||
            is_of_upgrade(head, f->id))
            continue;
        if (is_hop_by_hop(f->id) || (connection && nominated(head, bytes, name)))
            dropped(&w, name, value, watched_reason(&w, PG_CODE_HOP_BY_HOP));
        else if (!filtered_by(&w, filters, response_kinds, name, value))
            put_field(&w, name, value);
    }
    put_filtered(&w, filters, response_kinds);
    put_cookie(&w, filters);
    put_framing(&w, head, bytes, body, content_length);
    put_upgrade(&w, head, bytes);
    if (head->status >= 200 && !keep_alive)
        put_ours(&w, "Connection", none, PG_SLICE_LITERAL("close"), 0);
    else if (head->status >= 200 && client_http10)
        put_ours(&w, "Connection", none, PG_SLICE_LITERAL("keep-alive"), 0);
    put(&w, PG_SLICE_LITERAL("\r\n"));
    return w.full ? -ENOSPC : (int64_t)w.len;
}
