/* folder: app */
/* The tap of the spine: what a packet was before NAT, and what it was behind it. One predictable branch while nobody captures. */
#ifndef PODGLASS_TAP_H
#define PODGLASS_TAP_H

#include "podglass/packet.h"

struct pg_path;
struct pg_tap;

/* capture.c; only called while there is a tap. Each `before` is followed by one `after` or one `dropped`, before the next. */
void pg_tap_take_before(struct pg_tap *t, const struct pg_packet *p);
void pg_tap_take_after(struct pg_tap *t, const struct pg_packet *p);
void pg_tap_take_dropped(struct pg_tap *t, enum pg_drop reason);

static inline void pg_tap_before(struct pg_tap *t, const struct pg_packet *p)
{
    if (__builtin_expect(t != NULL, 0)) {
        pg_tap_take_before(t, p);
    }
}
static inline void pg_tap_after(struct pg_tap *t, const struct pg_packet *p)
{
    if (__builtin_expect(t != NULL, 0)) {
        pg_tap_take_after(t, p);
    }
}
static inline void pg_tap_dropped(struct pg_tap *t, enum pg_drop reason)
{
    if (__builtin_expect(t != NULL, 0)) {
        pg_tap_take_dropped(t, reason);
    }
}

#endif
