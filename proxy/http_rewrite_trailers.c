/* Fields behind a body, as they go on: with `http_rewrite.c` and `http_rewrite_identity.c` the only files that change HTTP.
 *
 * Called by `trailers.c` with a section that `http_chunk.c` has found well-formed, and by `h2_stream.c` and `h2_up_stream.c` with what has no place in one. A kept line is written byte for byte; one whose name frames, routes, authenticates or
 * says who is asking never goes on, because a reader that merges trailers into the head would believe it (RFC 9110 6.5.1).
 *
 * Owns nothing. Always true: what is written is one section and ends the body. */
#include "http_grammar.h"
#include "http_writer.h"

#include <errno.h>

/* What a message means is decided by its head. */
static bool is_for_heads(struct pg_slice name)
{
    static const char *const names[] = {"age",
                                        "authorization",
                                        "cache-control",
                                        "connection",
                                        "content-encoding",
                                        "content-length",
                                        "content-location",
                                        "content-range",
                                        "content-type",
                                        "cookie",
                                        "date",
                                        "expect",
                                        "expires",
                                        "host",
                                        "keep-alive",
                                        "location",
                                        "max-forwards",
                                        "pragma",
                                        "proxy-authenticate",
                                        "proxy-authorization",
                                        "proxy-connection",
                                        "range",
                                        "retry-after",
                                        "set-cookie",
                                        "te",
                                        "trailer",
                                        "transfer-encoding",
                                        "upgrade",
                                        "vary",
                                        "www-authenticate"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (pg_identity_name_is(name, names[i]))
            return true;
    }
    return false;
}

static bool is_identity(const struct pg_identity *identity, struct pg_slice name)
{
    const char *header = identity->trust.header;
    return pg_identity_find(name) < PG_IDENTITY_COUNT ||
           (header && header[0] && pg_identity_name_is(name, header));
}

/* The next line of the section, without its end. false: only the empty one is left. */
static bool next_line(struct pg_slice *rest, struct pg_slice *ret_name, struct pg_slice *ret_value)
{
    const char *end = rest->len ? memchr(rest->at, '\r', rest->len) : NULL;
    const char *colon = end ? memchr(rest->at, ':', (size_t)(end - rest->at)) : NULL;
    if (!colon)
        return false;
    *ret_name = (struct pg_slice){rest->at, (size_t)(colon - rest->at)};
    *ret_value = pg_http_trim((struct pg_slice){colon + 1, (size_t)(end - colon - 1)});
    size_t used = (size_t)(end - rest->at) + 2;
    *rest = (struct pg_slice){rest->at + used, rest->len - used};
    return true;
}

int64_t pg_http_rewrite_trailers(const struct pg_trailers_in *in, char *out, uint32_t room)
{
    struct writer w = {.out = out,
                       .room = room,
                       .trace =
                           in->trace && pg_trace_wants(in->trace, in->label) ? in->trace : NULL,
                       .label = in->label,
                       .direction = in->direction};
    struct pg_slice rest = in->lines, name, value;
    put(&w, PG_SLICE_LITERAL("0\r\n"));
    while (next_line(&rest, &name, &value)) {
        bool wrong = is_for_heads(name) || is_identity(in->identity, name);
        if (in->keep && !wrong)
            put_field(&w, name, value);
        if (w.trace)
            change(&w, PG_FIELD_TRAILER, name, value, in->keep && !wrong ? value : none,
                   in->keep && wrong ? code_reason(PG_CODE_TRAILER_NAME) : in->reason);
    }
    put(&w, PG_SLICE_LITERAL("\r\n"));
    return w.full ? -ENOSPC : (int64_t)w.len;
}

void pg_http_drop_trailer(struct pg_trace *trace, uint32_t label, uint8_t direction,
                          struct pg_slice name, struct pg_slice value)
{
    struct writer w = {.trace = trace, .label = label, .direction = direction};
    if (trace && pg_trace_wants(trace, label))
        change(&w, PG_FIELD_TRAILER, name, value, none, code_reason(PG_CODE_TRAILER_NO_PLACE));
}
