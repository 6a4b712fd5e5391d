/* What NAT takes for a packet of a flow that is known, and for the whole life of a flow (made, confirmed, expired), with few and with many
 * flows in the table. Packets go to the balancer address of a service that keeps the client's address (the ports of a node's address would
 * not do for a million masqueraded flows to one pod). */
#include "bench.h"
#include "nat_world.h"

#include <stdlib.h>
#include <string.h>

#define FEW       1000u
#define MANY      1000000u
#define LIVES     1000u       /* flows made before time passes and they expire */
#define STEP      2654435761u /* so that flows are met in no order */
#define EXPIRE_MS 130000

static struct pg_made to_service;

/* A packet of client flow number i, from a template; sums are partial, so only differences matter. */
static void set_client(struct pg_made *m, const struct pg_made *from, uint32_t i, uint8_t flags)
{
    uint8_t *ip = m->bytes;

    memcpy(m->bytes, from->bytes, 40);
    m->p = from->p;
    m->p.head = m->bytes;
    uint16_t port = (uint16_t)(1024 + i % 50000);
    struct pg_addr addr = pg_addr_v4(198, 18, (uint8_t)(i / 50000 >> 8), (uint8_t)(i / 50000));
    memcpy(ip + 12, addr.bytes + 12, 4);
    ip[20] = (uint8_t)(port >> 8);
    ip[21] = (uint8_t)port;
    ip[33] = flags;
    m->p.tuple.src = addr;
    m->p.tuple.src_port = port;
    m->p.tcp_flags = flags;
}

static bool through(struct pg_world *w, struct pg_made *m)
{
    enum pg_drop drop;

    return pg_nat_prerouting(w->nat, &m->p, w->now_us, &drop) == PG_NAT_ACCEPT &&
           pg_nat_postrouting(w->nat, &m->p, w->now_us, &drop) == PG_NAT_ACCEPT;
}

static void answer(struct pg_world *w, const struct pg_tuple *seen_by_pod)
{
    struct pg_made m;
    struct pg_tuple back = pg_tuple_invert(seen_by_pod);

    pg_make_tcp(&m, &back, PG_TCP_SYN | PG_TCP_ACK, 1, 1001, 0);
    if (!through(w, &m)) {
        abort();
    }
}

static void open_flow(struct pg_world *w, uint32_t i)
{
    struct pg_made m;

    set_client(&m, &to_service, i, PG_TCP_SYN);
    if (!through(w, &m)) {
        abort();
    }
    answer(w, &m.p.tuple);
    set_client(&m, &to_service, i, PG_TCP_ACK);
    if (!through(w, &m)) {
        abort();
    }
}

static void world_with(struct pg_world *w, uint32_t flows)
{
    struct pg_nat_options options = {.flow_limit = MANY + 2 * LIVES};
    struct pg_tuple t = {.src = pg_addr_v4(198, 18, 0, 1),
                         .dst = pg_world_lb_ip(SVC_KEEP_LOCAL),
                         .src_port = 1,
                         .dst_port = 80,
                         .proto = PG_PROTO_TCP};

    pg_make_tcp(&to_service, &t, PG_TCP_ACK, 1001, 2, 0);
    pg_make_partial(&to_service);
    pg_world_open(w, &options);
    for (uint32_t i = 0; i < flows; i++) {
        open_flow(w, i);
    }
}

static void world_end(struct pg_world *w)
{
    pg_nat_free(w->nat); /* not pg_world_close: no need to expire a million flows */
    pg_snapshot_put(w->snapshot);
    pg_trace_free(w->trace);
    pg_reason_forget_all();
}

static void known(uint32_t flows, uint64_t turns)
{
    struct pg_world w;
    struct pg_made m;

    world_with(&w, flows);
    bench_begin();
    for (uint64_t i = 0; i < turns; i++) {
        set_client(&m, &to_service, (uint32_t)(i * STEP % flows), PG_TCP_ACK);
        bench_sink += through(&w, &m);
    }
    bench_end();
    world_end(&w);
}

static void lives(uint32_t flows, uint64_t turns)
{
    struct pg_world w;
    struct pg_made m;

    world_with(&w, flows);
    bench_begin();
    for (uint64_t i = 0; i < turns; i++) {
        set_client(&m, &to_service, flows + (uint32_t)(i % LIVES), PG_TCP_SYN);
        bench_sink += through(&w, &m);
        if (i % LIVES == LIVES - 1) {
            w.now_us += (uint64_t)EXPIRE_MS * 1000;
            pg_nat_advance(w.nat, w.now_us);
        }
    }
    bench_end();
    world_end(&w);
}

static void known_few(uint64_t turns)
{
    known(FEW, turns);
}

static void known_many(uint64_t turns)
{
    known(MANY, turns);
}

static void lives_few(uint64_t turns)
{
    lives(FEW, turns);
}

static void lives_many(uint64_t turns)
{
    lives(MANY, turns);
}

static const struct bench_part parts[] = {
    {"packet-of-one-in-1000-flows", known_few, 5000000},
    {"packet-of-one-in-1000000-flows", known_many, 3000000},
    {"life-of-a-flow-among-1000", lives_few, 1000000},
    {"life-of-a-flow-among-1000000", lives_many, 300000},
};

int main(int argc, char **argv)
{
    return bench_main(argc, argv, parts, sizeof parts / sizeof parts[0]);
}
