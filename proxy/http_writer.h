/* Writing a head: what http_rewrite.c and http_rewrite_identity.c share. Each difference between what came and what goes passes through
 * `change`, which records it. */
#ifndef PODGLASS_PROXY_HTTP_WRITER_H
#define PODGLASS_PROXY_HTTP_WRITER_H

#include "podglass/ingress_decide.h"
#include "podglass/packet.h"

#include <string.h>

static const struct pg_slice none = {NULL, 0};

struct writer {
    char *out;
    uint32_t len;
    uint32_t room;
    bool full;
    struct pg_trace *trace; /* NULL: nobody watches */
    uint32_t label;
    uint8_t direction;
};

static inline void put(struct writer *w, struct pg_slice s)
{
    if (w->full || s.len > w->room - w->len) {
        w->full = true;
        return;
    }
    if (s.len == 0)
        return;
    memcpy(w->out + w->len, s.at, s.len);
    w->len += (uint32_t)s.len;
}

static inline void put_field(struct writer *w, struct pg_slice name, struct pg_slice value)
{
    put(w, name);
    put(w, PG_SLICE_LITERAL(": "));
    put(w, value);
    put(w, PG_SLICE_LITERAL("\r\n"));
}

static inline struct pg_slice print_number(uint64_t n, char out[21])
{
    char *at = out + 20;
    do {
        *--at = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return (struct pg_slice){at, (size_t)(out + 20 - at)};
}

/* ---- the record ---- */

static inline pg_reason_id code_reason(enum pg_code code)
{
    return pg_reason_intern(&(struct pg_reason){.code = code});
}

/* The same for a record that is only written when somebody watches: finding a reason costs more than writing a field. */
static inline pg_reason_id watched_reason(const struct writer *w, enum pg_code code)
{
    return w->trace ? code_reason(code) : 0;
}

static inline struct pg_value value_of(struct pg_slice s)
{
    return s.at ? pg_value_text(s.at, s.len) : pg_value_none();
}

/* Every change of a message is told here. none: was not there, or is not there any more. */
static inline void change(const struct writer *w, enum pg_field field, struct pg_slice name,
                          struct pg_slice before, struct pg_slice after, pg_reason_id reason)
{
    struct pg_record r = {.label = w->label,
                          .reason = reason,
                          .node = PG_NODE_NONE,
                          .kind = PG_RECORD_REWRITE,
                          .stage = PG_STAGE_HTTP_REWRITE,
                          .field = (uint8_t)field,
                          .direction = w->direction,
                          .before = value_of(before),
                          .after = value_of(after)};
    if (before.at && after.at && pg_slice_equal(before, after))
        r.kind = PG_RECORD_KEEP;
    size_t len = name.len < sizeof(r.name) - 1 ? name.len : sizeof(r.name) - 1;
    memcpy(r.name, name.at, len);
    pg_trace_write(w->trace, &r);
}

static inline void dropped(const struct writer *w, struct pg_slice name, struct pg_slice value,
                           pg_reason_id reason)
{
    if (w->trace)
        change(w, PG_FIELD_HEADER, name, value, none, reason);
}

/* Writes a field of ours and tells what it replaces. */
static inline void put_ours(struct writer *w, const char *name, struct pg_slice before,
                            struct pg_slice after, pg_reason_id reason)
{
    struct pg_slice name_slice = pg_slice_of(name);
    put_field(w, name_slice, after);
    if (w->trace)
        change(w, PG_FIELD_HEADER, name_slice, before, after, reason);
}

static inline struct pg_slice field_name(const char *bytes, const struct pg_http_field *f)
{
    return pg_span_slice(bytes, f->name);
}

static inline struct pg_slice field_value(const char *bytes, const struct pg_http_field *f)
{
    return pg_span_slice(bytes, f->value);
}

/* ---- http_rewrite_identity.c ---- */
/* What was received of each header that has a policy and counts. */
struct pg_identity_lines {
    uint8_t first[PG_IDENTITY_COUNT]; /* 1 + its field; 0: none */
    bool differ[PG_IDENTITY_COUNT];   /* several lines that do not say the same */
};
/* A line of a header that has a policy: written, removed or remembered. false: it has none. */
bool pg_identity_put_line(struct writer *w, const struct pg_http_rewrite_in *in,
                          const struct pg_identity *identity, uint32_t field,
                          struct pg_identity_lines *lines);
/* Ours, each at most once, behind all that was received. */
void pg_identity_put_ours(struct writer *w, const struct pg_http_rewrite_in *in,
                          const struct pg_identity *identity,
                          const struct pg_identity_lines *lines);

#endif
