/* Our side: a path on the in-process wire, whose clock is set to how long the test has been running. */
#include "differential.h"

#include "podglass/sim.h"
#include "podglass/text.h"

#include <string.h>

#define WALK_AT_ONCE 4096

const bool ours_is_here = true;

static struct pg_sim sim;
static uint64_t start_us;

static struct pg_snapshot *load(const char *manifest)
{
    struct pg_manifest_input input = {.path = manifest};
    struct pg_load_options options = {.pods = PG_PODS_WIRE};
    struct pg_findings findings;
    struct pg_snapshot *s = NULL;
    struct pg_text out = {0};

    if (pg_snapshot_load(&input, 1, &options, &s, &findings) != 0) {
        for (uint32_t i = 0; i < findings.count; i++) {
            pg_finding_print(&findings.at[i], &out);
            pg_text_putc(&out, '\n');
        }
        fprintf(stderr, "%s: can not be loaded\n%s", manifest, out.at != NULL ? out.at : "");
    }
    pg_findings_free(&findings);
    pg_text_free(&out);
    return s;
}

bool ours_open(const char *manifest, const struct pg_nat_options *options, uint64_t seed)
{
    struct pg_path_options path = {
        .nat = *options, .trace_level = PG_TRACE_OFF, .trace_records = 256};
    struct pg_snapshot *s = load(manifest);

    if (s == NULL) {
        return false;
    }
    int error = pg_sim_open(&path, s, seed, &sim);
    pg_snapshot_put(s);
    start_us = sim.now_us;
    return error == 0;
}

void ours_close(void)
{
    pg_sim_close(&sim);
    pg_reason_forget_all();
}

void ours_now(uint64_t elapsed_us)
{
    sim.now_us = start_us + elapsed_us;
    pg_sim_settle(&sim);
}

void ours_send(const struct bytes *b)
{
    if (pg_wire_inject(sim.wire, b->at, b->len) != 0) {
        fprintf(stderr, "the wire is full\n");
    }
    pg_sim_settle(&sim);
}

uint32_t ours_take(struct bytes out[OUT_MOST])
{
    uint32_t count = 0;

    while (count < OUT_MOST &&
           (out[count].len = pg_wire_collect(sim.wire, out[count].at, BYTES_MOST)) != 0) {
        count++;
    }
    return count;
}

static void fill(const struct pg_nat_flow_view *v, struct entry *ret)
{
    *ret = (struct entry){.found = true,
                          .orig = packet_script_tuple(&v->orig),
                          .reply = packet_script_tuple(&v->reply),
                          .state = (uint8_t)v->state,
                          .seen_reply = v->seen_reply,
                          .assured = v->assured,
                          .snat = v->snat,
                          .dnat = v->dnat,
                          .timeout_s = v->timeout_s,
                          .packets = {v->packets[0], v->packets[1]},
                          .bytes = {v->bytes[0], v->bytes[1]},
                          .id = v->id,
                          .age_us = v->age_us};
}

void ours_find(const struct pg_tuple *t, struct entry *ret)
{
    struct pg_tuple real = packet_real_tuple(t);
    struct pg_nat_flow_view v;

    *ret = (struct entry){0};
    if (pg_nat_find(pg_path_nat(sim.path), &real, sim.now_us, &v)) {
        fill(&v, ret);
    }
}

void ours_delete(const struct entry *e)
{
    if (e->found) {
        pg_nat_delete(pg_path_nat(sim.path), e->id, sim.now_us);
    }
}

static void delete_it(void *arg, const struct pg_nat_flow_view *v)
{
    (void)arg;
    pg_nat_delete(pg_path_nat(sim.path), v->id, sim.now_us);
}

void ours_flush(void)
{
    uint64_t cursor = 0;

    while (pg_nat_walk(pg_path_nat(sim.path), &cursor, WALK_AT_ONCE, sim.now_us, delete_it, NULL)) {
    }
}

struct walker {
    void (*fn)(void *arg, const struct entry *e);
    void *arg;
};

static void show(void *arg, const struct pg_nat_flow_view *v)
{
    const struct walker *w = arg;
    struct entry e;

    fill(v, &e);
    w->fn(w->arg, &e);
}

void ours_walk(void (*fn)(void *arg, const struct entry *e), void *arg)
{
    struct walker w = {fn, arg};
    uint64_t cursor = 0;

    while (pg_nat_walk(pg_path_nat(sim.path), &cursor, WALK_AT_ONCE, sim.now_us, show, &w)) {
    }
}
