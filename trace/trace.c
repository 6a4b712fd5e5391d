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

struct pg_trace {
    uint8_t level; /* first: pg_trace_on reads this byte */
    uint32_t room; /* power of two */
    uint32_t last_label;
    uint64_t now_us;
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

uint32_t pg_trace_new_label(struct pg_trace *t)
{
    if (++t->last_label == 0) {
        t->last_label = 1;
    }
    return t->last_label;
}

struct pg_value pg_value_endpoint(const struct pg_addr *a, uint16_t port)
{
    struct pg_value v = {.port = port};

    v.addr = *a;
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

void pg_trace_write(struct pg_trace *t, const struct pg_record *r)
{
    struct pg_record *slot = &t->ring[t->next_seq & (t->room - 1)];

    *slot = *r;
    slot->seq = t->next_seq++;
    slot->time_us = t->now_us;
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
