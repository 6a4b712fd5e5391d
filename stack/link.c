/* One set of calls for every kind of device.
 *
 * Called by app/path.c and app/loop.c. The forms are tun.c and wire.c, and in tests a wrapper that
 * loses and delays; who uses a link does not know which it has. Batches: rx until it says 0, tx for
 * each packet, then flush: a TUN with io_uring (tun_uring.c) holds packets back until then. */
#include "link_internal.h"

int pg_link_rx(struct pg_link *l, struct pg_buf_pool *pool, struct pg_packet *ret,
               enum pg_drop *ret_drop)
{
    return l->form->rx(l, pool, ret, ret_drop);
}

enum pg_drop pg_link_tx(struct pg_link *l, const struct pg_packet *p)
{
    return l->form->tx(l, p);
}

bool pg_link_flush(struct pg_link *l, struct pg_packet *ret, enum pg_drop *ret_drop)
{
    return l->form->flush != NULL && l->form->flush(l, ret, ret_drop);
}

int pg_link_fd(const struct pg_link *l)
{
    return l->fd;
}

const char *pg_link_name(const struct pg_link *l)
{
    return l->name;
}

uint16_t pg_link_mtu(const struct pg_link *l)
{
    return l->mtu;
}

void pg_link_close(struct pg_link *l)
{
    if (l != NULL)
        l->form->close(l);
}
