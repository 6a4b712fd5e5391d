/* folder: trace */
/* The record of one change: who changed which field of which packet or request, from what to what, and why.
 *
 * Every act on passing bytes calls pg_trace_rewrite; every choice, refusal and drop worth telling calls pg_trace_event. Records go to a ring.
 * Text, JSON lines and the demo are readers of that ring; nobody prints along the way. With nobody watching, pg_trace_on is
 * one predictable branch and nothing else is done.
 *
 * A flow label joins what belongs together: the client leg, the request on it and the upstream leg it opened share one. */
#ifndef PODGLASS_TRACE_H
#define PODGLASS_TRACE_H

#include "podglass/addr.h"
#include "podglass/reason.h"
#include "podglass/text.h"

#include <stdbool.h>
#include <stdint.h>

enum pg_stage {
#define PG_STAGE(id, name, file, function) PG_STAGE_##id,
#include "podglass/stages.def"
#undef PG_STAGE
    PG_STAGE_COUNT
};
const char *pg_stage_name(enum pg_stage s);

enum pg_field {
    PG_FIELD_NONE,
    PG_FIELD_SRC,       /* source address and port */
    PG_FIELD_DST,       /* destination address and port */
    PG_FIELD_INNER_SRC, /* the same in a quoted packet */
    PG_FIELD_INNER_DST,
    PG_FIELD_TTL,
    PG_FIELD_HEADER,  /* an HTTP header; name says which */
    PG_FIELD_TARGET,  /* HTTP request target or start line */
    PG_FIELD_PROXY,   /* PROXY preface */
    PG_FIELD_TRAILER, /* a field behind a body; name says which */
    PG_FIELD_COUNT,
};
const char *pg_field_name(enum pg_field f);

enum pg_record_kind {
    PG_RECORD_REWRITE, /* before => after */
    PG_RECORD_KEEP,    /* looked at and left alone; before == after */
    PG_RECORD_EVENT,   /* something was decided, opened or closed; `after` says what */
    PG_RECORD_DROP,    /* the packet ended here; name is the drop's name */
    PG_RECORD_KIND_COUNT,
};

/* A value before or after: an endpoint, or text (a header's value). */
struct pg_value {
    bool is_text;
    bool cut;      /* the text was longer than fits */
    bool any_port; /* of an endpoint: some port nobody knows yet (a dry run); printed as "*" */
    uint16_t port;
    uint16_t len;
    union {
        struct pg_addr addr; /* none: absent */
        char text[104];
    };
};

struct pg_record {
    uint64_t seq;       /* position in the stream, from 1 */
    uint64_t time_us;   /* the path's clock */
    uint64_t packet;    /* packet id; 0 for HTTP and other byte-stream acts */
    uint64_t conntrack; /* flow id of nat; 0: none */
    uint32_t label;     /* flow label */
    pg_reason_id reason;
    uint16_t node;     /* node index, PG_NODE_NONE */
    uint8_t kind;      /* enum pg_record_kind */
    uint8_t stage;     /* enum pg_stage */
    uint8_t field;     /* enum pg_field */
    uint8_t direction; /* 0 original / request, 1 reply / response */
    uint8_t proto;     /* of the packet; 0 for byte-stream acts */
    char name[45];     /* header name, or what the event is about */
    struct pg_value before;
    struct pg_value after;
};

enum pg_trace_level {
    PG_TRACE_OFF,
    PG_TRACE_FLOWS,   /* NAT: the first packet of each direction of a flow; HTTP: every request */
    PG_TRACE_PACKETS, /* every packet */
};

struct pg_trace;
struct pg_trace *pg_trace_new(uint32_t ring_records); /* NULL: out of memory */
void pg_trace_free(struct pg_trace *t);
void pg_trace_set_level(struct pg_trace *t, enum pg_trace_level level);
enum pg_trace_level pg_trace_level(const struct pg_trace *t);
static inline bool pg_trace_on(const struct pg_trace *t)
{
    return __builtin_expect(*(const uint8_t *)t != 0, 0); /* level is the first member */
}
/* The clock of records; the path sets it once per turn. */
void pg_trace_set_time(struct pg_trace *t, uint64_t now_us);
uint64_t pg_trace_now_us(const struct pg_trace *t);
uint64_t pg_trace_turn_us(const struct pg_trace *t); /* as it was set, without asking a clock */
/* A clock that goes on within a turn, so that records of one turn have times of their own; asked only when one is written. NULL: the turn's time. */
void pg_trace_set_clock(struct pg_trace *t, uint64_t (*now_us)(void));
uint32_t pg_trace_new_label(struct pg_trace *t); /* never 0 */

/* ---- watching some flows only ---- */
/* Who begins a flow may decide whether it is recorded: `wanted` is asked once, when the flow gets its label. What shows only later is decided by
 * `sieve`, which gets each record of a flow that is not decided, and says whether it may be written; it may write what it kept back with pg_trace_put. */
enum pg_flow_wanted {
    PG_FLOW_RECORDED,
    PG_FLOW_NEVER,
    PG_FLOW_OPEN,        /* through the sieve */
    PG_FLOW_PASSED_OVER, /* not before the next request on it; then it is open again */
};
struct pg_trace_filter {
    enum pg_flow_wanted (*wanted)(void *arg, const struct pg_addr *from);
    bool (*sieve)(void *arg, const struct pg_record *r);
    bool (*request)(void *arg, struct pg_slice target, struct pg_slice host); /* may be wanted */
    void *arg;
};
/* NULL: all flows are recorded. Flows that are known already are open. */
void pg_trace_set_filter(struct pg_trace *t, const struct pg_trace_filter *filter);
void pg_trace_pass_over(struct pg_trace *t, uint32_t label);
/* A request begins on the flow, the first one or another: what was passed over is open again, unless nobody wants such a request. Is it recorded, as far as is known? */
bool pg_trace_next_request(struct pg_trace *t, uint32_t label, struct pg_slice target,
                           struct pg_slice host);
uint32_t pg_trace_new_label_for(struct pg_trace *t, const struct pg_addr *from);
bool pg_trace_label_wanted(const struct pg_trace *t, uint32_t label);
/* As pg_trace_on, for one flow: still one predictable branch when nobody watches, one more for a flow that nobody wants. */
static inline bool pg_trace_wants(const struct pg_trace *t, uint32_t label)
{
    return pg_trace_on(t) && pg_trace_label_wanted(t, label);
}
/* Somebody new watches: what is told once per flow is told once more. Readers compare the number. */
void pg_trace_tell_again(struct pg_trace *t);
uint32_t pg_trace_round(const struct pg_trace *t);

struct pg_value pg_value_endpoint(const struct pg_addr *a, uint16_t port);
struct pg_value pg_value_any_port(const struct pg_addr *a);
struct pg_value pg_value_text(const char *text, size_t len);
struct pg_value pg_value_none(void);
const char *pg_value_print(const struct pg_value *v, char *out,
                           uint32_t room); /* escaped; returns out */

/* Copies r into the ring and fills seq and time_us. Call only when pg_trace_on(). */
void pg_trace_write(struct pg_trace *t, const struct pg_record *r);

/* The same past every filter, with the time that r has. */
void pg_trace_put(struct pg_trace *t, const struct pg_record *r);

/* Readers. A reader keeps the seq of the next record it wants, starting at 1 (or pg_trace_next_seq for "from now on").
 * true: *ret is filled and *seq advanced. If the ring overran the reader, *ret_missed gets how many are gone. */
uint64_t pg_trace_next_seq(const struct pg_trace *t);
bool pg_trace_read(const struct pg_trace *t, uint64_t *seq, struct pg_record *ret,
                   uint64_t *ret_missed);

/* One record as text (no newline) and as one JSON object. */
void pg_record_print(const struct pg_record *r, struct pg_text *out);
struct pg_json;
void pg_record_json(const struct pg_record *r, struct pg_json *j);
/* The same without the closing brace: the caller adds members and closes. */
void pg_record_json_open(const struct pg_record *r, struct pg_json *j);

#endif
