/* The lines of a request's head that tell who is asking, as they leave: part of `http_rewrite.c`.
 *
 * Called by it alone: once for each line that was received, then once for all that are ours. What becomes of a line is `identity.c`'s decision;
 * here it is carried out and told to the trace. Lines that count are remembered, so that the record of ours shows what it replaces.
 *
 * Owns nothing. Always true: under the profile strict each header of the set leaves at most once, and behind everything a client sent. */
#include "http_grammar.h"
#include "http_writer.h"

#include <string.h>

#define PSEUDONYM "podglass" /* in Via and X-Forwarded-Server */

/* ---- lines as they come ---- */

static pg_reason_id why_removed(const struct writer *w, const struct pg_identity *identity,
                                enum pg_identity_header header)
{
    pg_reason_id reason = identity->removed[header];
    return reason ? reason : watched_reason(w, PG_CODE_IDENTITY_DROPPED);
}

static void remember(struct pg_identity_lines *lines, const struct pg_http_rewrite_in *in,
                     enum pg_identity_header header, uint32_t field)
{
    const struct pg_http_field *fields = in->head->fields;
    if (lines->first[header] == 0)
        lines->first[header] = (uint8_t)(field + 1);
    else if (!pg_slice_equal(field_value(in->bytes, &fields[lines->first[header] - 1]),
                             field_value(in->bytes, &fields[field])))
        lines->differ[header] = true;
}

/* The header the operator named. Ours, if a trusted peer may send it, stands in its place and once. */
static void put_client_header(struct writer *w, const struct pg_http_rewrite_in *in,
                              const struct pg_identity *identity, const struct pg_http_field *f)
{
    struct pg_slice name = field_name(in->bytes, f), value = field_value(in->bytes, f);
    if (identity->client_header_passes)
        put_field(w, name, value);
    else
        dropped(w, name, value,
                watched_reason(w, in->who->hop_trusted ? PG_CODE_HEADER_POLICY
                                                       : PG_CODE_IDENTITY_DROPPED));
}

static bool has_client_header(const struct pg_identity *identity)
{
    return identity->trust.header && identity->trust.header[0];
}

/* A name that has no policy of its own. */
static bool put_other(struct writer *w, const struct pg_http_rewrite_in *in,
                      const struct pg_identity *identity, const struct pg_http_field *f)
{
    struct pg_slice name = field_name(in->bytes, f);
    if (has_client_header(identity) && pg_identity_name_is(name, identity->trust.header)) {
        put_client_header(w, in, identity, f);
        return true;
    }
    if (identity->underscores != PG_UNDERSCORES_ALL || !memchr(name.at, '_', name.len))
        return false;
    dropped(w, name, field_value(in->bytes, f), identity->underscore_reason);
    return true;
}

bool pg_identity_put_line(struct writer *w, const struct pg_http_rewrite_in *in,
                          const struct pg_identity *identity, uint32_t field,
                          struct pg_identity_lines *lines)
{
    const struct pg_http_field *f = &in->head->fields[field];
    bool twin;
    if (f->id == PG_HTTP_NAME_OTHER)
        return put_other(w, in, identity, f);
    enum pg_identity_header header = pg_identity_of_field(in->bytes, f, &twin);
    if (header == PG_IDENTITY_COUNT)
        return put_other(w, in, identity, f);
    struct pg_slice name = field_name(in->bytes, f), value = field_value(in->bytes, f);
    enum pg_fate fate = pg_identity_fate(identity, in->who, header);
    if (twin)
        fate = identity->underscores == PG_UNDERSCORES_PASS ? PG_FATE_PASS : PG_FATE_REMOVE;
    if (header == PG_IDENTITY_X_REQUEST_ID && fate == PG_FATE_REPLACE) {
        remember(lines, in, header, field); /* the value of anybody: it stays where it stands */
        fate = PG_FATE_PASS;
    }
    if (fate == PG_FATE_REPLACE) {
        remember(lines, in, header, field);
    } else if (fate == PG_FATE_REMOVE) {
        dropped(w, name, value, why_removed(w, identity, header));
    } else {
        put_field(w, name, value);
        if (w->trace && identity->written[header])
            change(w, PG_FIELD_HEADER, name, value, value, identity->written[header]);
    }
    return true;
}

/* ---- lists ---- */

/* All lines of a header as received, on one line. */
static void put_list(struct writer *w, const struct pg_http_rewrite_in *in,
                     enum pg_identity_header header)
{
    uint32_t begin = w->len;
    bool twin;
    for (uint32_t i = 0; i < in->head->field_count; i++) {
        const struct pg_http_field *f = &in->head->fields[i];
        if (pg_identity_of_field(in->bytes, f, &twin) != header || twin)
            continue;
        struct pg_slice rest = field_value(in->bytes, f), element;
        if (header == PG_IDENTITY_FORWARDED && rest.len > 0) { /* commas may be quoted */
            put(w, w->len > begin ? PG_SLICE_LITERAL(", ") : none);
            put(w, rest);
            continue;
        }
        while (pg_http_next_element(&rest, &element)) {
            put(w, w->len > begin ? PG_SLICE_LITERAL(", ") : none);
            put(w, element);
        }
    }
}

/* A line "name: ", and where its value begins. */
static uint32_t begin_line(struct writer *w, enum pg_identity_header header)
{
    put(w, pg_slice_of(pg_identity_name(header)));
    put(w, PG_SLICE_LITERAL(": "));
    return w->len;
}

/* Ends a line that began with what was received up to `own`. */
static void end_line(struct writer *w, enum pg_identity_header header, uint32_t begin, uint32_t own,
                     pg_reason_id reason)
{
    struct pg_slice before = own > begin ? (struct pg_slice){w->out + begin, own - begin} : none;
    struct pg_slice after = {w->out + begin, w->len - begin};
    put(w, PG_SLICE_LITERAL("\r\n"));
    if (w->trace && !w->full)
        change(w, PG_FIELD_HEADER, pg_slice_of(pg_identity_name(header)), before, after, reason);
}

static void put_chain(struct writer *w, const struct pg_http_rewrite_in *in, enum pg_policy policy,
                      pg_reason_id reason)
{
    bool keeps =
        policy == PG_POLICY_APPEND_ALWAYS ||
        (in->who->hop_trusted && (policy == PG_POLICY_APPEND || policy == PG_POLICY_PRESERVE));
    char text[PG_ADDR_TEXT];
    uint32_t begin = begin_line(w, PG_IDENTITY_X_FORWARDED_FOR);
    if (keeps)
        put_list(w, in, PG_IDENTITY_X_FORWARDED_FOR);
    uint32_t own = w->len;
    if (policy != PG_POLICY_PRESERVE || own == begin) {
        put(w, own > begin ? PG_SLICE_LITERAL(", ") : none);
        put(w, pg_slice_of(pg_addr_print(
                   policy == PG_POLICY_REPLACE ? &in->who->client : &in->who->hop, text)));
    }
    end_line(w, PG_IDENTITY_X_FORWARDED_FOR, begin, own, reason);
}

/* ---- Forwarded and Via ---- */

static bool is_token(struct pg_slice s)
{
    size_t i = 0;
    while (i < s.len && pg_http_is(s.at[i], PG_HTTP_TCHAR))
        i++;
    return i == s.len && s.len > 0;
}

static void put_parameter(struct writer *w, const char *name, struct pg_slice value)
{
    struct pg_slice quote = is_token(value) ? none : PG_SLICE_LITERAL("\"");
    put(w, pg_slice_of(name));
    put(w, quote);
    put(w, value);
    put(w, quote);
}

static struct pg_slice host_of(const struct pg_http_rewrite_in *in)
{
    const struct pg_http_head *h = in->head;
    return pg_span_slice(in->bytes, h->authority.len ? h->authority : h->host);
}

/* A quoted string that is never closed would swallow what stands behind it. */
static bool all_closed(const struct pg_http_rewrite_in *in)
{
    bool twin;
    for (uint32_t i = 0; i < in->head->field_count; i++) {
        const struct pg_http_field *f = &in->head->fields[i];
        if (f->id == PG_HTTP_NAME_IDENTITY &&
            pg_identity_of_field(in->bytes, f, &twin) == PG_IDENTITY_FORWARDED &&
            !pg_forwarded_closed(field_value(in->bytes, f)))
            return false;
    }
    return true;
}

static void put_forwarded(struct writer *w, const struct pg_http_rewrite_in *in,
                          pg_reason_id reason)
{
    char text[PG_ENDPOINT_TEXT] = "[";
    struct pg_slice node, host = host_of(in);
    uint32_t begin = begin_line(w, PG_IDENTITY_FORWARDED);
    if (in->who->hop_trusted && all_closed(in))
        put_list(w, in, PG_IDENTITY_FORWARDED);
    uint32_t own = w->len;
    (void)pg_addr_print(&in->who->hop, text + 1);
    node = pg_slice_of(text + 1);
    if (!pg_addr_is_v4(&in->who->hop)) {
        node = (struct pg_slice){text, node.len + 2};
        text[node.len - 1] = ']';
    }
    put(w, own > begin ? PG_SLICE_LITERAL(", ") : none);
    put_parameter(w, "for=", node);
    if (host.len > 0)
        put_parameter(w, ";host=", host);
    put_parameter(w, ";proto=", pg_slice_of(in->scheme));
    end_line(w, PG_IDENTITY_FORWARDED, begin, own, reason);
}

static void put_via(struct writer *w, const struct pg_http_rewrite_in *in, pg_reason_id reason)
{
    uint32_t begin = begin_line(w, PG_IDENTITY_VIA);
    put_list(w, in, PG_IDENTITY_VIA);
    uint32_t own = w->len;
    put(w, own > begin ? PG_SLICE_LITERAL(", ") : none);
    put(w, in->head->minor == 0 ? PG_SLICE_LITERAL("1.0 ") : PG_SLICE_LITERAL("1.1 "));
    put(w, PG_SLICE_LITERAL(PSEUDONYM));
    end_line(w, PG_IDENTITY_VIA, begin, own, reason);
}

/* ---- single values ---- */

/* Of one head: what is worked out once. */
struct values {
    char client[PG_ADDR_TEXT];
    char port[8];
    struct pg_slice proto; /* as written in X-Forwarded-Proto */
};

static bool is_port(struct pg_slice s)
{
    unsigned n = 0;
    for (size_t i = 0; i < s.len && s.len <= 5; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
        n = n * 10 + (unsigned)(s.at[i] - '0');
    }
    return n >= 1 && n <= 65535;
}

/* What counts of a value that was received; len 0: nothing. */
static struct pg_slice sound(enum pg_identity_header header, enum pg_policy policy,
                             struct pg_slice value)
{
    struct pg_slice rest = value, first = none;
    if (policy != PG_POLICY_TRUSTED_OR_SET)
        return policy == PG_POLICY_SET || policy == PG_POLICY_SET_LISTEN ? none : value;
    switch (header) {
    case PG_IDENTITY_X_FORWARDED_PROTO:
        return pg_slice_is(value, "http") || pg_slice_is(value, "https") ? value : none;
    case PG_IDENTITY_X_FORWARDED_PORT: return is_port(value) ? value : none;
    case PG_IDENTITY_X_FORWARDED_HOST: return pg_http_next_element(&rest, &first) ? first : none;
    default: return value;
    }
}

static bool lists(const struct pg_http_rewrite_in *in, enum pg_http_name id, const char *wanted)
{
    for (uint32_t i = 0; i < in->head->field_count; i++) {
        if (in->head->fields[i].id != id)
            continue;
        struct pg_slice rest = field_value(in->bytes, &in->head->fields[i]), option;
        while (pg_http_next_element(&rest, &option)) {
            if (pg_slice_equal_nocase(option, pg_slice_of(wanted)))
                return true;
        }
    }
    return false;
}

static struct pg_slice own_proto(const struct pg_http_rewrite_in *in, enum pg_policy policy)
{
    bool https = strcmp(in->scheme, "https") == 0;
    if (policy == PG_POLICY_TRUSTED_OR_WS && lists(in, PG_HTTP_NAME_CONNECTION, "upgrade") &&
        lists(in, PG_HTTP_NAME_UPGRADE, "websocket"))
        return https ? PG_SLICE_LITERAL("wss") : PG_SLICE_LITERAL("ws");
    return pg_slice_of(in->scheme);
}

static struct pg_slice own_port(const struct pg_http_rewrite_in *in, enum pg_policy policy,
                                struct values *v)
{
    struct pg_slice host = host_of(in), name = pg_http_host_name(host);
    char digits[21];
    bool listen = policy == PG_POLICY_SET_LISTEN && in->listen_port > 0;
    struct pg_slice number = print_number(listen ? in->listen_port : in->local_port, digits);
    if (policy == PG_POLICY_TRUSTED_OR_HOST && host.len > name.len + 1)
        return (struct pg_slice){host.at + name.len + 1, host.len - name.len - 1};
    if (policy == PG_POLICY_TRUSTED_OR_HOST)
        return pg_slice_is(v->proto, "https") || pg_slice_is(v->proto, "wss")
                   ? PG_SLICE_LITERAL("443")
                   : PG_SLICE_LITERAL("80");
    memcpy(v->port, number.at, number.len);
    return (struct pg_slice){v->port, number.len};
}

/* Ours; at NULL: we have none. */
static struct pg_slice own_value(const struct pg_http_rewrite_in *in,
                                 enum pg_identity_header header, enum pg_policy policy,
                                 struct values *v)
{
    switch (header) {
    case PG_IDENTITY_X_REAL_IP: return pg_slice_of(pg_addr_print(&in->who->client, v->client));
    case PG_IDENTITY_X_FORWARDED_PROTO: return own_proto(in, policy);
    case PG_IDENTITY_X_FORWARDED_HOST: return host_of(in).len > 0 ? host_of(in) : none;
    case PG_IDENTITY_X_FORWARDED_PORT: return own_port(in, policy, v);
    case PG_IDENTITY_X_FORWARDED_SCHEME:
    case PG_IDENTITY_X_SCHEME: return v->proto;
    case PG_IDENTITY_X_FORWARDED_SERVER: return PG_SLICE_LITERAL(PSEUDONYM);
    case PG_IDENTITY_X_REQUEST_ID: return in->request_id[0] ? pg_slice_of(in->request_id) : none;
    default: return none;
    }
}

static void put_value(struct writer *w, const struct pg_http_rewrite_in *in,
                      enum pg_identity_header header, enum pg_policy policy,
                      const struct pg_identity_lines *lines, struct values *v, pg_reason_id reason)
{
    struct pg_slice before = none, value = none;
    uint32_t first = lines->first[header];
    if (first != 0) {
        before = field_value(in->bytes, &in->head->fields[first - 1]);
        if (header == PG_IDENTITY_X_REQUEST_ID)
            return; /* it stands where it stood */
        value = lines->differ[header] ? none : sound(header, policy, before);
    }
    if (value.len == 0)
        value = own_value(in, header, policy, v);
    if (header == PG_IDENTITY_X_FORWARDED_PROTO)
        v->proto = value;
    if (value.at)
        put_ours(w, pg_identity_name(header), before, value, reason);
}

/* What was received under another name, for pods that still want to see it. */
static void put_copy(struct writer *w, const struct pg_http_rewrite_in *in,
                     const struct pg_identity *identity, enum pg_identity_header header,
                     pg_reason_id reason)
{
    uint32_t line = w->len;
    uint32_t begin = begin_line(w, header);
    if (header == PG_IDENTITY_X_ORIGINAL_FORWARDED_HOST) {
        put_list(w, in, PG_IDENTITY_X_FORWARDED_HOST);
    } else if (!has_client_header(identity)) {
        put_list(w, in, PG_IDENTITY_X_FORWARDED_FOR);
    } else {
        for (uint32_t i = 0; i < in->head->field_count; i++) {
            const struct pg_http_field *f = &in->head->fields[i];
            if (!pg_slice_equal_nocase(field_name(in->bytes, f),
                                       pg_slice_of(identity->trust.header)))
                continue;
            put(w, w->len > begin ? PG_SLICE_LITERAL(", ") : none);
            put(w, field_value(in->bytes, f));
        }
    }
    if (w->len == begin)
        w->len = line;
    else
        end_line(w, header, begin, begin, reason);
}

static void put_header(struct writer *w, const struct pg_http_rewrite_in *in,
                       const struct pg_identity *identity, enum pg_identity_header header,
                       const struct pg_identity_lines *lines, struct values *v)
{
    enum pg_policy policy = (enum pg_policy)identity->policy[header];
    pg_reason_id reason = identity->written[header] ? identity->written[header] : in->who->reason;
    switch (policy) {
    case PG_POLICY_OFF:
    case PG_POLICY_PASS:
    case PG_POLICY_TRUSTED: return;
    case PG_POLICY_APPEND:
        if (header == PG_IDENTITY_FORWARDED)
            put_forwarded(w, in, reason);
        else if (header == PG_IDENTITY_VIA)
            put_via(w, in, reason);
        else
            put_chain(w, in, policy, reason);
        return;
    case PG_POLICY_APPEND_ALWAYS:
    case PG_POLICY_SECOND_LINE:
    case PG_POLICY_REPLACE:
    case PG_POLICY_PRESERVE: put_chain(w, in, policy, reason); return;
    default: break;
    }
    if (header == PG_IDENTITY_X_REQUEST_ID && !identity->written[header])
        reason = 0; /* no answer to who is asking */
    if (header == PG_IDENTITY_X_ORIGINAL_FORWARDED_FOR ||
        header == PG_IDENTITY_X_ORIGINAL_FORWARDED_HOST)
        put_copy(w, in, identity, header, reason);
    else if (header != PG_IDENTITY_HOST)
        put_value(w, in, header, policy, lines, v, reason);
}

void pg_identity_put_ours(struct writer *w, const struct pg_http_rewrite_in *in,
                          const struct pg_identity *identity, const struct pg_identity_lines *lines)
{
    struct values v = {.proto = pg_slice_of(in->scheme)};
    for (enum pg_identity_header h = 0; h < PG_IDENTITY_COUNT; h++)
        put_header(w, in, identity, h, lines, &v);
    if (has_client_header(identity) && !identity->client_header_passes && in->who->hop_trusted &&
        !pg_identity_name_is(PG_SLICE_LITERAL("x-real-ip"), identity->trust.header)) {
        char text[PG_ADDR_TEXT];
        put_ours(w, identity->trust.header, none,
                 pg_slice_of(pg_addr_print(&in->who->client, text)), in->who->reason);
    }
}
