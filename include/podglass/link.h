/* folder: stack */
/* Where packets come from and go to. Two forms: a TUN device, and the in-process wire (same calls,
 * no kernel).
 *
 * A link hands over packets with what the device knows about them (checksum state, segment size)
 * and takes packets whose payload may be scattered. Calls come in batches: rx until it says 0, tx
 * for each, then flush. */
#ifndef PODGLASS_LINK_H
#define PODGLASS_LINK_H

#include "podglass/buf.h"
#include "podglass/packet.h"

#include <stdbool.h>
#include <stdint.h>

struct pg_link;

/* Next packet, not yet parsed: head, head_len, len, csum, gso_size and buf (one reference, the
 * caller's) are filled, the rest zero. 1: got one. 0: nothing now. -ENOBUFS: no buffer (packet
 * stays). -EIO: interface is down. -ENODEV: the device has vanished. -EBADMSG: what was read made
 * no sense and is gone; *ret_drop says which drop. */
int pg_link_rx(struct pg_link *l, struct pg_buf_pool *pool, struct pg_packet *ret,
               enum pg_drop *ret_drop);
/* Sends p (borrowed; a copy may wait for pg_link_flush). PG_DROP_NONE, or why it did not go. */
enum pg_drop pg_link_tx(struct pg_link *l, const struct pg_packet *p);
/* Sends what waits. true: *ret, which pg_link_tx had taken, did not go, for *ret_drop; its bytes are
 * valid until the next call on the link. To be called until it says false. */
bool pg_link_flush(struct pg_link *l, struct pg_packet *ret, enum pg_drop *ret_drop);
int pg_link_fd(const struct pg_link *l); /* to poll for input; -1: none */
const char *pg_link_name(const struct pg_link *l);
uint16_t pg_link_mtu(const struct pg_link *l);
void pg_link_close(struct pg_link *l);

/* How packets are written: each with a call of its own, or all of a batch with one. AUTO: the latter
 * where the kernel offers it. */
enum pg_tun_io { PG_TUN_IO_AUTO, PG_TUN_IO_PLAIN, PG_TUN_IO_URING };

struct pg_tun_options {
    const char *name; /* interface, "" for one of the kernel's choice */
    bool offload;     /* ask for checksum and segmentation offload; falls back step by step */
    int fd;           /* an attached descriptor handed in, or -1 */
    uint16_t mtu; /* 0: ask the interface (in the present namespace), 1500 if it does not answer */
    enum pg_tun_io io;
};
/* Creates or attaches (IFF_TUN, IFF_NO_PI, IFF_VNET_HDR, non-blocking). 0 or -errno; *ret_text gets
 * what failed in words (static or empty). */
int pg_tun_open(const struct pg_tun_options *options, struct pg_link **ret, const char **ret_text);
/* What the device agreed to: "csum tso4 tso6" ... */
const char *pg_tun_offloads(const struct pg_link *l);
const char *pg_tun_io(const struct pg_link *l); /* "plain" or "uring" */

/* The wire. Its far end is a test or nothing: pg_wire_inject puts a packet in as if a peer had sent
 * it, pg_wire_collect takes what the path sent. */
struct pg_link *pg_wire_new(uint16_t mtu, struct pg_buf_pool *pool);
int pg_wire_inject(struct pg_link *l, const void *ip_packet, uint32_t len); /* 0 or -ENOBUFS */
/* length of the next sent packet with its sums completed, 0: none */
uint32_t pg_wire_collect(struct pg_link *l, void *out, uint32_t room);

#endif
