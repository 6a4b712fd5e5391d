/* Writes to a TUN that wait for the end of a batch; see tun_uring.c. */
#ifndef PODGLASS_STACK_TUN_URING_H
#define PODGLASS_STACK_TUN_URING_H

#include "podglass/packet.h"

#include <stdbool.h>
#include <stdint.h>

struct virtio_net_hdr;
struct pg_uring;

/* For writes to fd, which stays the caller's. 0, or -errno: the kernel does not offer what is
 * needed, or forbids it. */
int pg_uring_open(int fd, struct pg_uring **ret);
void pg_uring_close(struct pg_uring *u); /* NULL is fine; what waits must have been sent */
/* Keeps a copy until pg_uring_send. false: too large, or no room is left; then everything that
 * waited has been sent, so the caller may write p itself without overtaking anything. */
bool pg_uring_put(struct pg_uring *u, const struct virtio_net_hdr *v, const struct pg_packet *p);
void pg_uring_send(struct pg_uring *u);
/* true: *ret had been kept and was not written, for *ret_error (an errno). Its bytes are valid until
 * the next call. Ask after pg_uring_send until it says false. */
bool pg_uring_lost(struct pg_uring *u, struct pg_packet *ret, int *ret_error);

#endif
