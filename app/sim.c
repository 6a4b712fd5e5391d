/* The virtual-clock driver: turns of the path, with the clock jumping from one due time to the next.
 *
 * Time begins at one hour, not at zero, so that nothing mistakes "never" for "now". */
#include "podglass/sim.h"

#include <errno.h>
#include <string.h>

#define SIM_START_US     3600000000ull
#define SIM_WIRE_MTU     1500
#define SIM_WIRE_BUFFERS 4096

struct waiting {
    bool done;
    struct pg_response *response;
};

int pg_sim_open(const struct pg_path_options *options, struct pg_snapshot *s, uint64_t seed,
                struct pg_sim *ret)
{
    static const struct pg_path_options defaults = {.trace_level = PG_TRACE_FLOWS,
                                                    .trace_records = 16384};
    struct pg_random random;
    struct pg_sim sim = {.now_us = SIM_START_US};
    pg_random_seed(&random, seed);
    sim.wire_buffers = pg_buf_pool_new(SIM_WIRE_BUFFERS);
    sim.wire = sim.wire_buffers != NULL ? pg_wire_new(SIM_WIRE_MTU, sim.wire_buffers) : NULL;
    if (sim.wire == NULL) {
        pg_buf_pool_free(sim.wire_buffers);
        return -ENOMEM;
    }
    sim.path = pg_path_new(options != NULL ? options : &defaults, &random, sim.now_us);
    if (sim.path == NULL) {
        pg_link_close(sim.wire);
        pg_sim_close(&sim);
        return -ENOMEM;
    }
    int error = pg_path_add_link(sim.path, sim.wire, NULL, 0);
    error = error == 0 ? pg_path_load(sim.path, s, sim.now_us) : error;
    if (error != 0) {
        pg_sim_close(&sim);
        return error;
    }
    *ret = sim;
    return 0;
}

void pg_sim_close(struct pg_sim *sim)
{
    pg_path_free(sim->path); /* closes the wire */
    pg_buf_pool_free(sim->wire_buffers);
    memset(sim, 0, sizeof *sim);
}

void pg_sim_settle(struct pg_sim *sim)
{
    while (pg_path_turn(sim->path, sim->now_us) > 0) {
    }
}

/* Settles, then jumps to the next due time if it is not beyond `end_us`. false: nothing more happens before that. */
static bool step(struct pg_sim *sim, uint64_t end_us)
{
    pg_sim_settle(sim);
    uint64_t due = pg_path_next_due_us(sim->path);
    if (due > end_us) {
        return false;
    }
    /* a wheel may name a time in the past of its next cascade; the clock never stands still */
    sim->now_us = due > sim->now_us ? due : sim->now_us + 1;
    return true;
}

void pg_sim_pass(struct pg_sim *sim, uint64_t span_us)
{
    uint64_t end_us = sim->now_us + span_us;
    while (step(sim, end_us)) {
    }
    sim->now_us = end_us;
    pg_sim_settle(sim);
}

bool pg_sim_until(struct pg_sim *sim, const bool *done, uint64_t limit_us)
{
    uint64_t end_us = sim->now_us + limit_us;
    pg_sim_settle(sim);
    while (!*done && step(sim, end_us)) {
    }
    pg_sim_settle(sim);
    return *done;
}

static void on_response(void *arg, struct pg_response *response)
{
    struct waiting *w = arg;
    *w->response = *response;
    w->done = true;
}

int pg_sim_request(struct pg_sim *sim, const struct pg_request *request, struct pg_response *ret)
{
    struct waiting w = {.response = ret};
    memset(ret, 0, sizeof *ret);
    pg_trace_set_time(pg_path_trace(sim->path), sim->now_us); /* between turns it is the clock */
    int error = pg_lab_request(pg_path_clients(sim->path), request, on_response, &w);
    if (error != 0) {
        return error;
    }
    uint64_t limit_ms = request->timeout_ms != 0 ? request->timeout_ms : 30000;
    return pg_sim_until(sim, &w.done, (limit_ms + 5000) * 1000) ? 0 : -ETIMEDOUT;
}
