/* A TCP stack with a wire between its output and its input, in virtual time, for tests of stack/.
 *
 * Both ends of each connection are in the one stack, as in a lab without a TUN. The wire delays and
 * loses (seeded, each wire segment of a super-segment on its own), and a test may look at every
 * packet or drop it. Packets are parsed and their checksums verified on the way in, as the path
 * does. */
#ifndef PODGLASS_TEST_STACK_WORLD_H
#define PODGLASS_TEST_STACK_WORLD_H

#include "podglass/buf.h"
#include "podglass/conn.h"
#include "podglass/netif.h"

#include <stdbool.h>
#include <stdint.h>

#define SECOND_US 1000000ull

struct flight;

struct stack_world {
    struct pg_stack *stack;
    struct pg_stack_options options;
    struct pg_counters counters;
    struct pg_trace *trace;
    struct pg_random random;
    struct pg_random dice; /* for loss: apart from the stack's */
    struct pg_buf_pool *buffers;
    struct flight *first;
    struct flight *last;
    uint64_t now_us;
    uint64_t delay_us;
    uint32_t loss; /* of 10,000 wire segments */
    bool deaf;     /* nothing arrives */
    struct pg_listener listener;
    struct pg_listener upstream; /* of port 8080, if its on_accept is set */
    bool listening;
    uint32_t refuse; /* so many connections to port 8080 meet no listener */
    uint64_t packets;
    uint64_t biggest;
    /* Sees each packet before loss; false: dropped. */
    bool (*look)(void *arg, const struct pg_packet *p);
    void *look_arg;
};

/* One end of a connection in a test: sends a known stream, checks the one it gets. */
struct end {
    struct pg_conn *conn;
    uint64_t to_send; /* bytes of the stream still to be written */
    uint64_t sent;
    uint64_t received; /* bytes read, all as expected */
    bool wrong;        /* a byte was not */
    bool opened, ended, closed;
    bool stalls;     /* does not read */
    bool echoes;     /* moves what it gets back */
    bool shuts_down; /* FIN after its last byte */
    int error;
    struct end *relay; /* moves what it gets to that end */
};

/* NULL: defaults; callbacks are the world's */
void world_open(struct stack_world *w, const struct pg_stack_options *options);
void world_close(struct stack_world *w); /* everything must have been given back: asserted */
/* Runs until nothing is on the wire and no timer is due before now + for_us; then that is the
 * time. */
void world_run(struct stack_world *w, uint64_t for_us);
/* The same, but stops when *stop becomes true. */
void world_run_until(struct stack_world *w, uint64_t for_us, const bool *stop);
/* A packet as if it came by the wire; parsed like all. */
enum pg_drop world_inject(struct stack_world *w, const void *ip_packet, uint32_t len);

void end_connect(struct stack_world *w, struct end *e, struct pg_addr local, struct pg_addr peer,
                 uint16_t port);
void end_accept(void *end, struct pg_conn *c); /* for a listener */
void end_pump(struct end *e);                  /* writes and reads what it can */
uint8_t stream_byte(uint64_t at);

#endif
