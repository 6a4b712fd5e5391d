/* folder: app */
/* Packets before and after each rewrite, for those who capture: pcapng in a bounded buffer. */
#ifndef PODGLASS_CAPTURE_H
#define PODGLASS_CAPTURE_H

#include "podglass/path.h"
#include "podglass/pcap_filter.h"

struct pg_capture;

struct pg_capture_options {
    struct pg_pcap *filter; /* taken over; NULL: all packets */
    uint32_t snaplen;       /* bytes of a frame; 0: all */
    uint32_t buffer_bytes;  /* what waits for the reader; 0: 8 MiB */
};
/* Begins to capture what the path carries. The buffer begins with the head of the file and the names. NULL: out of memory. */
struct pg_capture *pg_capture_begin(struct pg_path *path, const struct pg_capture_options *options);
void pg_capture_end(struct pg_path *path, struct pg_capture *c); /* NULL is fine */
/* What was captured since the last call, whole blocks: *out, which is empty, takes it over. */
void pg_capture_take(struct pg_capture *c, struct pg_text *out);
uint64_t pg_capture_dropped(const struct pg_capture *c); /* because the buffer was full */

#endif
