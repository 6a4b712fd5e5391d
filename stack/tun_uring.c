/* Writes to a TUN, many in one system call.
 *
 * Used by tun.c when the kernel has io_uring. A small packet is copied into a slot, and at the end of
 * the turn all slots go to the kernel at once: docs/io.md has what that saves. Packets are
 * borrowed for the call only, so there is always a copy; a packet too large to be worth one (a
 * super-segment) is left to the caller, after what waited has been sent, so that nothing overtakes.
 *
 *   put ─► slot ─► send ─┬─ written: the slot is free
 *                        └─ failed: the slot is kept until pg_uring_lost has told of it
 *
 * Only writes, and each is asked for with RWF_NOWAIT: a TUN takes a packet or refuses it on the spot,
 * so when the submitting call returns, everything is done and slots can be used again. Nothing is
 * ever in flight: no completion to wait for, no descriptor to poll, no buffer the kernel still reads.
 * Reads stay plain, since reading by the ring was measured to gain nothing more. The device is not
 * registered with the ring: a registered file is let go some time after close, and until then the
 * interface would be busy for whoever starts next.
 *
 * Owns the ring and the slots. Always true: order[0..lost) failed, order[lost..filled) wait. */
#include "tun_uring.h"

#include "podglass/log.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/virtio_net.h>

#define SLOTS      128
#define SLOT_BYTES 2048 /* a packet of the usual MTU; copying it costs less than a system call */
#define VNET_BYTES 10
#define FEW        2 /* up to here plain writes are cheaper than the ring */

struct slot {
    struct pg_packet packet; /* head points into bytes */
    uint32_t len;
    int error; /* 0: written, or not yet tried */
    uint8_t bytes[SLOT_BYTES];
};

struct pg_uring {
    struct io_uring ring;
    int fd;
    bool broken; /* never enter it again */
    uint32_t lost;
    uint32_t filled;
    struct slot *order[SLOTS];
    struct slot slots[SLOTS];
};

/* ---- in ---- */

bool pg_uring_put(struct pg_uring *u, const struct virtio_net_hdr *v, const struct pg_packet *p)
{
    struct slot *s;
    uint32_t at = VNET_BYTES;

    if (u->filled == SLOTS)
        pg_uring_send(u);
    if (p->len > SLOT_BYTES - VNET_BYTES || u->filled == SLOTS) {
        pg_uring_send(u);
        return false;
    }
    s = u->order[u->filled++];
    memcpy(s->bytes, v, VNET_BYTES);
    memcpy(s->bytes + at, p->head, p->head_len);
    at += p->head_len;
    for (uint32_t i = 0; i < p->tail_count; i++) {
        memcpy(s->bytes + at, p->tail[i].iov_base, p->tail[i].iov_len);
        at += (uint32_t)p->tail[i].iov_len;
    }
    s->packet = *p;
    s->packet.head = s->bytes + VNET_BYTES;
    s->packet.head_len = p->len;
    s->packet.tail_count = 0;
    s->packet.tail = NULL;
    s->packet.buf = NULL;
    s->len = at;
    s->error = 0;
    return true;
}

/* ---- out ---- */

static void write_plainly(struct pg_uring *u, uint32_t from)
{
    for (uint32_t i = from; i < u->filled; i++) {
        struct slot *s = u->order[i];
        ssize_t n;

        do {
            n = write(u->fd, s->bytes, s->len);
        } while (n < 0 && errno == EINTR);
        s->error = n == (ssize_t)s->len ? 0 : n < 0 ? errno : EMSGSIZE;
    }
}

static void prepare(struct pg_uring *u, struct slot *s)
{
    struct io_uring_sqe *e = io_uring_get_sqe(&u->ring);

    PG_ASSERT(e != NULL); /* the ring has an entry for each slot */
    io_uring_prep_write(e, u->fd, s->bytes, s->len, 0);
    e->flags |= IOSQE_CQE_SKIP_SUCCESS;
    e->rw_flags = RWF_NOWAIT;
    io_uring_sqe_set_data(e, s);
}

/* Errors only: a write that succeeded leaves no completion. */
static void take_errors(struct pg_uring *u)
{
    struct io_uring_cqe *c;

    while (io_uring_peek_cqe(&u->ring, &c) == 0) {
        struct slot *s = io_uring_cqe_get_data(c);

        s->error = c->res < 0 ? -c->res : EMSGSIZE;
        io_uring_cqe_seen(&u->ring, c);
    }
}

/* The kernel may take fewer entries than there are; it is asked again for the rest. If it takes none,
 * out of memory or whatever else, the ring is not used any more. */
static void write_by_ring(struct pg_uring *u)
{
    uint32_t left = u->filled - u->lost;

    for (uint32_t i = u->lost; i < u->filled; i++)
        prepare(u, u->order[i]);
    while (left > 0 && !u->broken) {
        int n = io_uring_submit(&u->ring);

        if (n > 0)
            left -= (uint32_t)n;
        else if (n != -EINTR)
            u->broken = true;
    }
    take_errors(u);
    write_plainly(u, u->filled - left);
}

static void keep_failed(struct pg_uring *u)
{
    for (uint32_t i = u->lost; i < u->filled; i++) {
        struct slot *s = u->order[i];

        if (s->error == 0)
            continue;
        u->order[i] = u->order[u->lost];
        u->order[u->lost++] = s;
    }
    u->filled = u->lost;
}

void pg_uring_send(struct pg_uring *u)
{
    if (u->filled == u->lost)
        return;
    if (u->broken || u->filled - u->lost <= FEW)
        write_plainly(u, u->lost);
    else
        write_by_ring(u);
    keep_failed(u);
}

bool pg_uring_lost(struct pg_uring *u, struct pg_packet *ret, int *ret_error)
{
    const struct slot *s;

    if (u->lost == 0 || u->filled != u->lost)
        return false;
    s = u->order[--u->lost];
    u->filled = u->lost;
    *ret = s->packet;
    *ret_error = s->error;
    return true;
}

/* ---- open and close ---- */

/* A write of nothing, which a TUN refuses: EINVAL. A kernel whose TUN can not promise to answer on the
 * spot says EOPNOTSUPP. */
static int try_write(struct pg_uring *u)
{
    struct io_uring_cqe *c;
    struct slot *s = &u->slots[0];
    int result;

    s->len = 0;
    prepare(u, s);
    result = io_uring_submit_and_wait(&u->ring, 1);
    if (result < 0)
        return result;
    result = io_uring_peek_cqe(&u->ring, &c);
    if (result != 0)
        return result;
    result = c->res == -EINVAL ? 0 : c->res < 0 ? c->res : -EOPNOTSUPP;
    io_uring_cqe_seen(&u->ring, c);
    return result;
}

/* liburing 2.3 declares functions for this and does not export them. */
static int tell_ring(const struct pg_uring *u, unsigned int what, const void *arg, unsigned int n)
{
    return syscall(__NR_io_uring_register, u->ring.ring_fd, what, arg, n) < 0 ? -errno : 0;
}

/* A ring does what it is told without any filter of system calls: so this one does nothing but writes, and can
 * not be told otherwise later. */
static int restrict_ring(struct pg_uring *u)
{
    struct io_uring_restriction only[] = {
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITE},
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_CQE_SKIP_SUCCESS},
    };
    int result = tell_ring(u, IORING_REGISTER_RESTRICTIONS, only, sizeof only / sizeof only[0]);

    return result != 0 ? result : tell_ring(u, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
}

int pg_uring_open(int fd, struct pg_uring **ret)
{
    struct pg_uring *u = calloc(1, sizeof *u);
    struct io_uring_params params = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_R_DISABLED};
    int result;

    if (u == NULL)
        return -ENOMEM;
    u->fd = fd;
    for (uint32_t i = 0; i < SLOTS; i++)
        u->order[i] = &u->slots[i];
    result = io_uring_queue_init_params(SLOTS, &u->ring, &params);
    if (result != 0) {
        free(u);
        return result;
    }
    result = params.features & IORING_FEAT_CQE_SKIP ? restrict_ring(u) : -EOPNOTSUPP;
    if (result == 0)
        result = try_write(u);
    if (result != 0) {
        pg_uring_close(u);
        return result;
    }
    *ret = u;
    return 0;
}

void pg_uring_close(struct pg_uring *u)
{
    if (u == NULL)
        return;
    io_uring_queue_exit(&u->ring);
    free(u);
}
