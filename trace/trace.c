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

#define UNWANTED_LABELS (1u << 20) /* bits; a label shares its bit with the one so many later */

struct pg_trace {
    uint8_t level; /* first: pg_trace_on reads this byte */
    uint32_t room; /* power of two */
    uint32_t last_label;
    uint32_t round;
    bool (*wanted)(void *arg, const struct pg_addr *from); /* NULL: all flows are */
    void *wanted_arg;
    uint64_t *unwanted; /* bit per label, once there was a filter */
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
        free(t->unwanted);
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

static uint64_t *unwanted_word(const struct pg_trace *t, uint32_t label)
{
    return &t->unwanted[label % UNWANTED_LABELS / 64];
}

static uint64_t unwanted_bit(uint32_t label)
{
    return 1ull << label % 64;
}

uint32_t pg_trace_new_label(struct pg_trace *t)
{
    if (++t->last_label == 0) {
        t->last_label = 1;
    }
    if (t->wanted) {
        *unwanted_word(t, t->last_label) &= ~unwanted_bit(t->last_label);
    }
    return t->last_label;
}

/* ---- some flows only ---- */

void pg_trace_set_filter(struct pg_trace *t, bool (*wanted)(void *arg, const struct pg_addr *from),
                         void *arg)
{
    if (wanted && !t->unwanted) {
        t->unwanted = calloc(UNWANTED_LABELS / 64, sizeof t->unwanted[0]);
    }
    t->wanted = t->unwanted ? wanted : NULL; /* no memory: more is recorded than was asked for */
    t->wanted_arg = arg;
    if (t->wanted) {
        memset(t->unwanted, 0, UNWANTED_LABELS / 8);
    }
}

uint32_t pg_trace_new_label_for(struct pg_trace *t, const struct pg_addr *from)
{
    uint32_t label = pg_trace_new_label(t);

    if (__builtin_expect(t->wanted != NULL, 0) && !t->wanted(t->wanted_arg, from)) {
        *unwanted_word(t, label) |= unwanted_bit(label);
    }
    return label;
}

bool pg_trace_label_wanted(const struct pg_trace *t, uint32_t label)
{
    return !t->wanted || !(*unwanted_word(t, label) & unwanted_bit(label));
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

void pg_trace_write(struct pg_trace *t, const struct pg_record *r)
{
    struct pg_record *slot = &t->ring[t->next_seq & (t->room - 1)];

    if (!pg_trace_label_wanted(t, r->label)) {
        return;
    }
    *slot = *r;
    slot->seq = t->next_seq++;
    slot->time_us = pg_trace_now_us(t);
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
