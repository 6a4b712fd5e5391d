/* folder: tests */
/* The walk runner: a scenario in a text file, driven through the whole program on the in-process wire with a virtual clock.
 *
 * A walk states a question (given, when) and its answer (then). The grammar is in docs/walks.md. Each walk is run twice with the same seed, and the record streams must be
 * equal byte for byte. */
#ifndef PODGLASS_WALK_H
#define PODGLASS_WALK_H

#include "podglass/sim.h"

#include <stdbool.h>
#include <stddef.h>

#define WALK_TOKENS   32
#define WALK_WIRE_LOG 256

/* One packet that the path sent to the wire: its text, and its bytes for replies. */
struct walk_packet {
    char text[256];
    uint8_t bytes[2048];
    uint32_t len;
};

struct walk {
    const char *file;
    unsigned line; /* of the statement being run */
    char title[200];
    unsigned failures;
    uint64_t seed;
    /* the world */
    struct pg_text manifests; /* of given blocks, as one text */
    struct pg_manifest_input inputs[16];
    char *input_names[16];
    uint32_t input_count;
    struct pg_load_options load;
    const char *sets[PG_SETS_MOST]; /* as --set */
    struct pg_path_options path_options;
    struct pg_snapshot *snapshot;
    struct pg_sim sim;
    bool open;
    /* what the last `when` brought */
    struct pg_response response;
    bool have_response;
    struct pg_addr request_from;
    struct pg_text request; /* as the client wrote it */
    struct pg_text preface; /* in front of the next request */
    uint64_t first_record;  /* of the last when */
    uint64_t drops_before[PG_DROP_COUNT];
    char dns[2048];
    struct walk_packet wire[WALK_WIRE_LOG];
    uint32_t wire_count;
    struct pg_text stream; /* all records as JSON lines, for the comparison of two runs */
    uint64_t next_record;
};

struct walk_line {
    char *tokens[WALK_TOKENS];
    bool quoted[WALK_TOKENS];
    size_t lens[WALK_TOKENS]; /* quoted ones may hold NUL bytes */
    uint32_t count;
};

__attribute__((format(printf, 2, 3))) void walk_fail(struct walk *w, const char *format, ...);
void walk_open(struct walk *w);    /* on the first `when`: loads what was given */
void walk_collect(struct walk *w); /* takes what the path sent to the wire, and the records */
/* walk_when.c and walk_then.c; `block` is the indented text below the line, NULL if none */
void walk_when(struct walk *w, const struct walk_line *l, const char *block);
void walk_then(struct walk *w, const struct walk_line *l);
/* walk_wire.c */
struct walk_segment {
    const char *flags; /* of "FSRPAUEC" */
    uint32_t seq, ack, window;
    const void *payload;
    uint32_t len;
};
uint32_t walk_tcp_build(uint8_t *out, const struct pg_tuple *t, const struct walk_segment *s);
void walk_wire_inject(struct walk *w, const uint8_t *bytes, uint32_t len);
/* The last packet that the path sent, parsed; what it points to lasts until the next call. false: there is none. */
bool walk_wire_last(const struct walk *w, struct pg_packet *ret);
void walk_wire_describe(const uint8_t *bytes, uint32_t len, char *out, size_t room);
void walk_when_wire(struct walk *w, const struct walk_line *l);
/* walk_dns.c */
void walk_dns_describe(const uint8_t *message, uint32_t len, char *out, size_t room);
void walk_dns_answers(struct walk *w, const struct walk_line *l, const struct pg_packet *question);
void walk_dns_asks_over_tcp(struct walk *w, const struct pg_addr *from, const uint8_t *query,
                            uint32_t len);
bool walk_endpoint(const char *text, struct pg_addr *addr,
                   uint16_t *port); /* "a.b.c.d:p", "a.b.c.d", "[v6]:p", a port of "*" is 0 */
bool walk_address(struct walk *w, const char *text, struct pg_addr *addr,
                  uint16_t *port); /* the same, or a lab client's name, or ns/pod */

#endif
