/* A TUN device as a link.
 *
 * The first and the last file a packet meets. Called through link.c. The device is opened with a
 * vnet header in front of each packet (10 bytes, offsets count from the IP header), which carries
 * what makes bulk traffic fast: segments of up to 64 KiB in both directions, and checksums that
 * nobody computes over payload.
 *
 *   read   NEEDS_CSUM: the field holds the pseudo-header sum, payload is trusted -> partial
 *          DATA_VALID: somebody verified it -> verified; neither: full, to be verified by
 *          base/packet.c
 *   write  partial -> NEEDS_CSUM; verified or full -> no flag, the kernel verifies. Never
 *          NEEDS_CSUM for an unverified sum: that would launder corruption. At once, or small
 *          packets together at the end of a batch (tun_uring.c)
 *
 * Never asked for: TUN_F_TSO_ECN (CWR would stand on every cut segment), UDP segmentation (its
 * datagram boundaries would have to survive all of the path). Owns the descriptor. */
#include "link_internal.h"
#include "tun_uring.h"

#include "podglass/checksum.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#define VNET_BYTES 10
#define PIECES_MAX 128
#define TCP_SUM_AT 16
#define UDP_SUM_AT 6

struct tun {
    struct pg_link link;
    const char *offloads;
    struct pg_uring *uring; /* NULL: each packet is written at once */
};

/* ---- in ---- */

static bool read_vnet(const struct virtio_net_hdr *v, struct pg_packet *p)
{
    uint8_t gso = v->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

    p->csum = PG_CSUM_FULL;
    if (v->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
        p->csum = PG_CSUM_PARTIAL;
    else if (v->flags & VIRTIO_NET_HDR_F_DATA_VALID)
        p->csum = PG_CSUM_VERIFIED;
    if (gso == VIRTIO_NET_HDR_GSO_NONE)
        return true;
    p->gso_size = v->gso_size;
    return (gso == VIRTIO_NET_HDR_GSO_TCPV4 || gso == VIRTIO_NET_HDR_GSO_TCPV6) &&
           v->gso_size != 0 && p->csum == PG_CSUM_PARTIAL;
}

static int read_error(int error)
{
    switch (error) {
    case EAGAIN:
    case EINTR: return 0;
    case EBADFD:
    case ENODEV: return -ENODEV;
    default: return -EIO;
    }
}

static int pg_tun_read(struct pg_link *l, struct pg_buf_pool *pool, struct pg_packet *ret,
                       enum pg_drop *ret_drop)
{
    struct pg_buf *b = pg_buf_get(pool);
    struct virtio_net_hdr v;
    ssize_t n;

    if (b == NULL)
        return -ENOBUFS;
    b->start = PG_BUF_HEADROOM; /* the vnet header goes in front, so one read does it all */
    n = read(l->fd, b->bytes + b->start - VNET_BYTES, VNET_BYTES + PG_BUF_BYTES);
    if (n < 0) {
        int error = errno;

        pg_buf_put(b);
        return read_error(error);
    }
    memset(ret, 0, sizeof *ret);
    *ret_drop = n <= VNET_BYTES ? PG_DROP_SHORT : PG_DROP_BAD_GSO;
    memcpy(&v, b->bytes + b->start - VNET_BYTES, VNET_BYTES);
    if (n <= VNET_BYTES || !read_vnet(&v, ret)) {
        pg_buf_put(b);
        return -EBADMSG;
    }
    b->len = (uint32_t)n - VNET_BYTES;
    ret->head = b->bytes + b->start;
    ret->head_len = ret->len = b->len;
    ret->entry_node = PG_NODE_NONE;
    ret->buf = b;
    return 1;
}

/* ---- out ---- */

static void ask_for_sum(const struct pg_packet *p, struct virtio_net_hdr *v)
{
    v->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
    v->csum_start = p->l4_offset;
    v->csum_offset = p->proto == PG_PROTO_UDP ? UDP_SUM_AT : TCP_SUM_AT;
    v->hdr_len = p->payload_offset;
}

/* A device cuts only what it sums, so the sum of a super-segment becomes a partial one. Only if it
 * is known to be right. */
static bool make_partial(const struct pg_packet *p)
{
    uint16_t sum;

    if (p->csum == PG_CSUM_PARTIAL)
        return true;
    if (p->csum != PG_CSUM_VERIFIED || p->proto != PG_PROTO_TCP)
        return false;
    sum = pg_sum_fold(pg_sum_pseudo(&p->tuple.src, &p->tuple.dst, p->proto, p->len - p->l4_offset));
    memcpy(p->head + p->l4_offset + TCP_SUM_AT, &sum, sizeof sum);
    return true;
}

static bool write_vnet(const struct pg_packet *p, struct virtio_net_hdr *v)
{
    memset(v, 0, sizeof *v);
    if (p->gso_size != 0) {
        if (!make_partial(p))
            return false;
        v->gso_type = p->ip_version == 4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
        v->gso_size = p->gso_size;
    }
    if (p->gso_size != 0 || p->csum == PG_CSUM_PARTIAL)
        ask_for_sum(p, v);
    return true;
}

static enum pg_drop write_error(int error)
{
    switch (error) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM: return PG_DROP_LINK_FULL;
    case EIO: return PG_DROP_LINK_DOWN;
    case EBADFD:
    case ENODEV: return PG_DROP_LINK_GONE;
    default: return PG_DROP_LINK_ERROR;
    }
}

static enum pg_drop pg_tun_write(struct pg_link *l, const struct pg_packet *p)
{
    const struct tun *t = (const struct tun *)l;
    struct iovec iov[PIECES_MAX + 2];
    struct virtio_net_hdr v;
    ssize_t n;

    if (!write_vnet(p, &v))
        return PG_DROP_BAD_GSO;
    if (p->tail_count > PIECES_MAX)
        return PG_DROP_LINK_ERROR;
    if (t->uring != NULL && pg_uring_put(t->uring, &v, p))
        return PG_DROP_NONE;
    iov[0] = (struct iovec){&v, VNET_BYTES};
    iov[1] = (struct iovec){p->head, p->head_len};
    if (p->tail_count > 0)
        memcpy(iov + 2, p->tail, p->tail_count * sizeof *p->tail);
    do {
        n = writev(l->fd, iov, (int)p->tail_count + 2);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return write_error(errno);
    return n == (ssize_t)(VNET_BYTES + p->len) ? PG_DROP_NONE : PG_DROP_LINK_ERROR;
}

static bool pg_tun_flush(struct pg_link *l, struct pg_packet *ret, enum pg_drop *ret_drop)
{
    const struct tun *t = (const struct tun *)l;
    int error = 0;

    if (t->uring == NULL)
        return false;
    pg_uring_send(t->uring);
    if (!pg_uring_lost(t->uring, ret, &error))
        return false;
    *ret_drop = write_error(error);
    return true;
}

/* ---- open and close ---- */

static void pg_tun_close(struct pg_link *l)
{
    struct tun *t = (struct tun *)l;

    if (t->uring != NULL)
        pg_uring_send(t->uring);
    pg_uring_close(t->uring);
    close(l->fd);
    free(l);
}

static const struct pg_link_form tun_form = {pg_tun_read, pg_tun_write, pg_tun_flush, pg_tun_close};

static int attach(struct tun *t, const char *name, const char **ret_text)
{
    struct ifreq r;

    *ret_text = "cannot open /dev/net/tun";
    t->link.fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (t->link.fd < 0)
        return -errno;
    memset(&r, 0, sizeof r);
    r.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR;
    *ret_text = "interface name is too long";
    if (strlen(name) >= sizeof r.ifr_name)
        return -ENAMETOOLONG;
    memcpy(r.ifr_name, name, strlen(name));
    *ret_text = "cannot create or attach to the TUN interface";
    return ioctl(t->link.fd, TUNSETIFF, &r) < 0 ? -errno : 0;
}

static int adopt(struct tun *t, int fd, const char **ret_text)
{
    struct ifreq r;
    int flags = fcntl(fd, F_GETFL);

    t->link.fd = fd;
    memset(&r, 0, sizeof r);
    *ret_text = "descriptor handed in is not an attached TUN";
    if (flags < 0 || ioctl(fd, TUNGETIFF, &r) < 0)
        return -errno;
    *ret_text = "TUN handed in is not IFF_TUN with IFF_NO_PI and IFF_VNET_HDR";
    if ((r.ifr_flags & (IFF_TUN | IFF_NO_PI | IFF_VNET_HDR)) !=
        (IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
        return -EINVAL;
    *ret_text = "cannot make the descriptor non-blocking";
    return fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

/* From the most that helps to nothing; what an earlier owner of a persistent device agreed to is
 * replaced in any case. */
static int agree_on_offloads(struct tun *t, bool wanted, const char **ret_text)
{
    static const struct {
        unsigned int flags;
        const char *words;
    } steps[] = {
        {TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6, "csum tso4 tso6"},
        {TUN_F_CSUM | TUN_F_TSO4, "csum tso4"},
        {TUN_F_CSUM, "csum"},
        {0, "none"},
    };
    int header = VNET_BYTES;

    *ret_text = "device refuses a vnet header of 10 bytes";
    if (ioctl(t->link.fd, TUNSETVNETHDRSZ, &header) < 0)
        return -errno;
    for (size_t i = wanted ? 0 : 3; i < sizeof steps / sizeof steps[0]; i++)
        if (ioctl(t->link.fd, TUNSETOFFLOAD, (unsigned long)steps[i].flags) == 0) {
            t->offloads = steps[i].words;
            return 0;
        }
    *ret_text = "device refuses every set of offloads";
    return -errno;
}

static int ask_name_and_mtu(struct tun *t, uint16_t mtu, const char **ret_text)
{
    struct ifreq r;
    int s;

    memset(&r, 0, sizeof r);
    *ret_text = "cannot ask for the name of the interface";
    if (ioctl(t->link.fd, TUNGETIFF, &r) < 0)
        return -errno;
    memcpy(t->link.name, r.ifr_name, sizeof t->link.name - 1);
    t->link.mtu = mtu;
    if (mtu != 0)
        return 0;
    t->link.mtu = 1500; /* a new TUN's; one handed in may be where we cannot ask */
    s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s >= 0 && ioctl(s, SIOCGIFMTU, &r) == 0 && r.ifr_mtu > 0)
        t->link.mtu = (uint16_t)(r.ifr_mtu < UINT16_MAX ? r.ifr_mtu : UINT16_MAX);
    if (s >= 0)
        close(s);
    return 0;
}

static int choose_io(struct tun *t, enum pg_tun_io io, const char **ret_text)
{
    int result = io == PG_TUN_IO_PLAIN ? 0 : pg_uring_open(t->link.fd, &t->uring);

    *ret_text = "the kernel offers no io_uring for this";
    return io == PG_TUN_IO_URING ? result : 0;
}

int pg_tun_open(const struct pg_tun_options *options, struct pg_link **ret, const char **ret_text)
{
    struct tun *t = calloc(1, sizeof *t);
    int result;

    *ret_text = "";
    if (t == NULL)
        return -ENOMEM;
    t->link.form = &tun_form;
    t->link.fd = -1;
    result =
        options->fd >= 0 ? adopt(t, options->fd, ret_text) : attach(t, options->name, ret_text);
    if (result == 0)
        result = agree_on_offloads(t, options->offload, ret_text);
    if (result == 0)
        result = ask_name_and_mtu(t, options->mtu, ret_text);
    if (result == 0)
        result = choose_io(t, options->io, ret_text);
    if (result != 0) {
        if (t->link.fd >= 0 && options->fd < 0)
            close(t->link.fd); /* one handed in stays the caller's */
        free(t);
        return result;
    }
    *ret_text = "";
    *ret = &t->link;
    return 0;
}

const char *pg_tun_offloads(const struct pg_link *l)
{
    return ((const struct tun *)l)->offloads;
}

const char *pg_tun_io(const struct pg_link *l)
{
    return ((const struct tun *)l)->uring != NULL ? "uring" : "plain";
}
