/* One TCP segment as tracking sees it: tcp_track.c reads it and decides the state, tcp_window.c learns
 * sequence numbers and windows from it. */
#ifndef TCP_INTERNAL_H
#define TCP_INTERNAL_H

#include "nat_internal.h"

#define TCP_HEAD 20u /* its options follow */

enum pg_segment_kind { SEG_SYN, SEG_SYNACK, SEG_FIN, SEG_ACK, SEG_RST, SEG_COUNT };

struct pg_segment {
    enum pg_segment_kind kind;
    uint32_t seq, ack, end; /* end: the first number behind it */
    uint16_t window;        /* as it stands there, not scaled */
    bool has_ack;
    const uint8_t *options;
    uint32_t options_len;
};

/* Half of all numbers away, each is before and after the other: as the kernel has it. */
static inline bool pg_seq_before(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b) < 0;
}

static inline bool pg_seq_after(uint32_t a, uint32_t b)
{
    return pg_seq_before(b, a);
}

/* The next option at *at: 0 none left, or malformed; else its kind, with its value. */
uint8_t pg_tcp_next_option(const struct pg_segment *s, uint32_t *at, const uint8_t **ret_value,
                           uint32_t *ret_len);
/* What the options of a SYN say: bits of TCP_END_SCALES and TCP_END_SACK; *ret_scale if it scales. */
unsigned pg_tcp_syn_options(const struct pg_segment *s, unsigned *ret_scale);
/* What the first segment of a flow says of its sender. */
void pg_tcp_window_begin(struct pg_flow *f, const struct pg_segment *s);
/* Learns from a segment that the state machine has let through. */
void pg_tcp_window(struct pg_flow *f, unsigned direction, const struct pg_segment *s);
/* The connection is not the one it was: what `direction` sends next begins it anew. */
void pg_tcp_window_forget(struct pg_flow *f, unsigned direction);
static inline void pg_tcp_set_scale(struct pg_flow_tcp *tcp, unsigned direction, unsigned scale)
{
    unsigned shift = direction * 4;

    tcp->scales = (uint8_t)((tcp->scales & ~(0xfu << shift)) | scale << shift);
}
static inline void pg_tcp_change_marks(struct pg_flow_tcp *tcp, unsigned off, unsigned on)
{
    tcp->marks = ((tcp->marks & ~off) | on) & ((1u << TCP_MARK_BITS) - 1);
}

#endif
