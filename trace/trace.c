/* The ring of records: written by whoever changes, chooses or refuses something; read by everyone
 * who tells about it.
 *
 * Records are of one size and the ring is a power of two, so a write is one copy and never waits: a
 * reader that is too slow misses the oldest records and is told how many. A position is the running
 * number of a record, which is why readers need no registration: they remember where they were.
 *
 * Called by nat/, proxy/, dns/, stack/ and app/; read by tools/ and app/. Owns the ring and the
 * numbering of flow labels. Always true: records next_seq - room .. next_seq - 1 are in the ring
 * (those >= 1). */
#include "podglass/trace.h"

#include "podglass/log.h"

#include <stdlib.h>
#include <string.h>

#define FILTERED_LABELS (1u << 20) /* a label shares its place with the one so many later */

struct pg_trace {
    uint8_t level; /* first: pg_trace_on reads this byte */
    uint32_t room; /* power of two */
    uint32_t last_label;
    uint32_t round;
    struct pg_trace_filter filter; /* wanted NULL: all flows are */
    uint8_t *flows;                /* enum pg_flow_wanted per label, once there was a filter */
    uint64_t now_us;
    uint64_t (*clock)(void); /* NULL: now_us */
    uint64_t next_seq;
    struct pg_record ring[];
};

static const char *const stage_names[] = {
#define PG_STAGE(id, name, file, function) [PG_STAGE_##id] = (name),
#include "podglass/stages.def"
#undef PG_STAGE
};
_Static_assert(sizeof stage_names / sizeof stage_names[0] == PG_STAGE_COUNT, "a name per stage");

static const char *const field_names[] = {
    [PG_FIELD_NONE] = "",
    [PG_FIELD_SRC] = "src",
    [PG_FIELD_DST] = "dst",
    [PG_FIELD_INNER_SRC] = "quoted src",
    [PG_FIELD_INNER_DST] = "quoted dst",
    [PG_FIELD_TTL] = "ttl",
    [PG_FIELD_HEADER] = "header",
    [PG_FIELD_TARGET] = "target",
    [PG_FIELD_PROXY] = "proxy",
    [PG_FIELD_TRAILER] = "trailer",
};
_Static_assert(sizeof field_names / sizeof field_names[0] == PG_FIELD_COUNT, "a name per field");

const char *pg_stage_name(enum pg_stage s)
{
    return (unsigned)s < PG_STAGE_COUNT ? stage_names[s] : "unknown";
}

const char *pg_field_name(enum pg_field f)
{
    return (unsigned)f < PG_FIELD_COUNT ? field_names[f] : "unknown";
}

struct pg_trace *pg_trace_new(uint32_t ring_records)
{
    uint32_t room = 16;

    while (room < ring_records && room < (1u << 30)) {
        room *= 2;
    }
    struct pg_trace *t = calloc(1, sizeof *t + (size_t)room * sizeof t->ring[0]);

    if (!t) {
        return NULL;
    }
    t->room = room;
    t->next_seq = 1;
    return t;
}

void pg_trace_free(struct pg_trace *t)
{
    if (t) {
        free(t->flows);
    }
    free(t);
}

void pg_trace_set_level(struct pg_trace *t, enum pg_trace_level level)
{
    t->level = (uint8_t)level;
}

enum pg_trace_level pg_trace_level(const struct pg_trace *t)
{
    return (enum pg_trace_level)t->level;
}

void pg_trace_set_time(struct pg_trace *t, uint64_t now_us)
{
    t->now_us = now_us;
}

uint64_t pg_trace_now_us(const struct pg_trace *t)
{
    return t->clock ? t->clock() : t->now_us;
}

uint64_t pg_trace_turn_us(const struct pg_trace *t)
{
    return t->now_us;
}

void pg_trace_set_clock(struct pg_trace *t, uint64_t (*now_us)(void))
{
    t->clock = now_us;
}

static uint8_t *flow_of(const struct pg_trace *t, uint32_t label)
{
    return &t->flows[label % FILTERED_LABELS];
}

uint32_t pg_trace_new_label(struct pg_trace *t)
{
    if (++t->last_label == 0) {
        t->last_label = 1;
    }
    if (t->filter.wanted) {
        *flow_of(t, t->last_label) = PG_FLOW_RECORDED;
    }
    return t->last_label;
}

/* ---- some flows only ---- */

void pg_trace_set_filter(struct pg_trace *t, const struct pg_trace_filter *filter)
{
    t->filter = (struct pg_trace_filter){0};
    if (!filter) {
        return;
    }
    if (!t->flows) {
        t->flows = malloc(FILTERED_LABELS);
    }
    if (!t->flows) {
        return; /* more is recorded than was asked for */
    }
    t->filter = *filter;
    memset(t->flows, filter->sieve ? PG_FLOW_OPEN : PG_FLOW_RECORDED, FILTERED_LABELS);
    t->flows[0] = PG_FLOW_RECORDED; /* packets without a label */
}

uint32_t pg_trace_new_label_for(struct pg_trace *t, const struct pg_addr *from)
{
    uint32_t label = pg_trace_new_label(t);

    if (__builtin_expect(t->filter.wanted != NULL, 0)) {
        *flow_of(t, label) = (uint8_t)t->filter.wanted(t->filter.arg, from);
    }
    return label;
}

void pg_trace_pass_over(struct pg_trace *t, uint32_t label)
{
    if (t->filter.wanted) {
        *flow_of(t, label) = PG_FLOW_PASSED_OVER;
    }
}

bool pg_trace_next_request(struct pg_trace *t, uint32_t label, struct pg_slice target,
                           struct pg_slice host)
{
    uint8_t *flow = t->filter.wanted ? flow_of(t, label) : NULL;

    if (flow && (*flow == PG_FLOW_PASSED_OVER || *flow == PG_FLOW_OPEN)) {
        *flow = t->filter.request(t->filter.arg, target, host) ? PG_FLOW_OPEN : PG_FLOW_PASSED_OVER;
    }
    return pg_trace_label_wanted(t, label);
}

bool pg_trace_label_wanted(const struct pg_trace *t, uint32_t label)
{
    return !t->filter.wanted || *flow_of(t, label) == PG_FLOW_RECORDED ||
           *flow_of(t, label) == PG_FLOW_OPEN;
}

void pg_trace_tell_again(struct pg_trace *t)
{
    t->round++;
}

uint32_t pg_trace_round(const struct pg_trace *t)
{
    return t->round;
}

struct pg_value pg_value_endpoint(const struct pg_addr *a, uint16_t port)
{
    struct pg_value v = {.port = port};

    v.addr = *a;
    return v;
}

struct pg_value pg_value_any_port(const struct pg_addr *a)
{
    struct pg_value v = pg_value_endpoint(a, 0);

    v.any_port = true;
    return v;
}

struct pg_value pg_value_text(const char *text, size_t len)
{
    struct pg_value v = {.is_text = true};

    if (len > sizeof v.text) {
        len = sizeof v.text;
        v.cut = true;
    }
    memcpy(v.text, text, len);
    v.len = (uint16_t)len;
    return v;
}

struct pg_value pg_value_none(void)
{
    return (struct pg_value){0};
}

static struct pg_record *append(struct pg_trace *t, const struct pg_record *r)
{
    struct pg_record *slot = &t->ring[t->next_seq & (t->room - 1)];

    *slot = *r;
    slot->seq = t->next_seq++;
    return slot;
}

void pg_trace_put(struct pg_trace *t, const struct pg_record *r)
{
    (void)append(t, r);
}

static void write_filtered(struct pg_trace *t, const struct pg_record *r)
{
    uint8_t *flow = flow_of(t, r->label);
    struct pg_record timed;

    if (!pg_trace_label_wanted(t, r->label)) {
        return;
    }
    timed = *r;
    timed.time_us = pg_trace_now_us(t);
    if (*flow == PG_FLOW_RECORDED || t->filter.sieve(t->filter.arg, &timed)) {
        (void)append(t, &timed);
    }
}

void pg_trace_write(struct pg_trace *t, const struct pg_record *r)
{
    if (__builtin_expect(t->filter.wanted != NULL, 0)) {
        write_filtered(t, r);
        return;
    }
    append(t, r)->time_us = pg_trace_now_us(t);
}

uint64_t pg_trace_next_seq(const struct pg_trace *t)
{
    return t->next_seq;
}

bool pg_trace_read(const struct pg_trace *t, uint64_t *seq, struct pg_record *ret,
                   uint64_t *ret_missed)
{
    uint64_t oldest = t->next_seq > t->room ? t->next_seq - t->room : 1;

    *ret_missed = 0;
    if (*seq >= t->next_seq) {
        return false;
    }
    if (*seq < oldest) {
        *ret_missed = *seq == 0 ? oldest - 1 : oldest - *seq;
        *seq = oldest;
    }
    *ret = t->ring[*seq & (t->room - 1)];
    PG_ASSERT(ret->seq == *seq);
    (*seq)++;
    return true;
}
