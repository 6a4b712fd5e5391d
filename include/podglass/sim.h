/* folder: app */
/* A path on the in-process wire with a virtual clock: the demo and the walks run on it.
 *
 * Nothing waits: when no packet is under way, the clock jumps to what is due next. The same seed and the same calls give the same records, byte for byte. */
#ifndef PODGLASS_SIM_H
#define PODGLASS_SIM_H

#include "podglass/path.h"

struct pg_sim {
    struct pg_path *path;
    struct pg_link *wire;
    struct pg_buf_pool *wire_buffers;
    uint64_t now_us;
};

/* options may be NULL. The snapshot is loaded (reference taken). 0 or -errno. */
int pg_sim_open(const struct pg_path_options *options, struct pg_snapshot *s, uint64_t seed,
                struct pg_sim *ret);
void pg_sim_close(struct pg_sim *sim);
/* Moves everything that can move without time passing. */
void pg_sim_settle(struct pg_sim *sim);
/* Lets `span_us` pass, with every timer on its time. */
void pg_sim_pass(struct pg_sim *sim, uint64_t span_us);
/* Goes on, jumping from timer to timer, until *done or `limit_us` of virtual time have passed. Returns *done. */
bool pg_sim_until(struct pg_sim *sim, const bool *done, uint64_t limit_us);
/* One request of a lab client, to its end. 0 or -errno (nothing sent). The response is the caller's to free. */
int pg_sim_request(struct pg_sim *sim, const struct pg_request *request, struct pg_response *ret);

#endif
