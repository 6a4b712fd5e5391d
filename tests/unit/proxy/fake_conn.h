/* Connections without TCP, for tests that send a million requests through real sessions: what is written to one end can be read at
 * once, every call of conn.h does what its contract says, and nothing happens but what the test does.
 *
 * This stands in for stack/conn.c: include it in one file, and link nothing that needs the other. */
#ifndef PODGLASS_TEST_FAKE_CONN_H
#define PODGLASS_TEST_FAKE_CONN_H

#include "podglass/conn.h"
#include "podglass/conn_inner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_BYTES 16384
#define FAKE_CONNS 64

struct pg_conn {
    const struct pg_conn_events *events;
    void *owner;
    struct pg_addr local, peer;
    uint16_t local_port, peer_port;
    bool used, open, ended;  /* ended: the other side sent FIN */
    bool shut, closed, gone; /* what the owner did: FIN, close, abort */
    uint32_t label, in_at, in_len, out_len;
    char in[FAKE_BYTES], out[FAKE_BYTES]; /* unread; written and not yet taken by the test */
};

static struct pg_conn fake_conns[FAKE_CONNS];

static struct pg_conn *fake_new(void)
{
    for (unsigned i = 0; i < FAKE_CONNS; i++) {
        struct pg_conn *c = &fake_conns[i];
        if (c->used)
            continue;
        memset(c, 0, offsetof(struct pg_conn, in));
        c->used = true;
        return c;
    }
    abort();
}

/* Bytes from the other side. */
static void fake_receive(struct pg_conn *c, const char *bytes, size_t len)
{
    if (c->in_at > 0)
        memmove(c->in, c->in + c->in_at, c->in_len - c->in_at);
    c->in_len -= c->in_at;
    c->in_at = 0;
    if (len > FAKE_BYTES - c->in_len)
        abort();
    memcpy(c->in + c->in_len, bytes, len);
    c->in_len += (uint32_t)len;
}

void pg_conn_own(struct pg_conn *c, const struct pg_conn_events *events, void *owner)
{
    c->events = events;
    c->owner = owner;
}

struct pg_conn *pg_conn_connect(struct pg_stack *s, const struct pg_addr *local,
                                uint16_t local_port, const struct pg_addr *peer, uint16_t peer_port,
                                uint32_t label, const struct pg_conn_events *events, void *owner)
{
    struct pg_conn *c = fake_new();
    pg_conn_own(c, events, owner);
    c->local = *local;
    c->local_port = local_port;
    c->peer = *peer;
    c->peer_port = peer_port;
    c->label = label;
    return c;
}

uint64_t pg_conn_unread(const struct pg_conn *c)
{
    return c->in_len - c->in_at;
}

bool pg_conn_front(const struct pg_conn *c, struct pg_slice *ret)
{
    *ret = (struct pg_slice){c->in + c->in_at, c->in_len - c->in_at};
    return ret->len > 0;
}

uint32_t pg_conn_peek(const struct pg_conn *c, uint64_t skip, void *out, uint32_t room)
{
    uint64_t left = pg_conn_unread(c) > skip ? pg_conn_unread(c) - skip : 0;
    uint32_t n = left < room ? (uint32_t)left : room;
    memcpy(out, c->in + c->in_at + skip, n);
    return n;
}

void pg_conn_consume(struct pg_conn *c, uint64_t len)
{
    c->in_at += (uint32_t)len;
}

bool pg_conn_end_seen(const struct pg_conn *c)
{
    return c->ended;
}

bool pg_conn_at_end(const struct pg_conn *c)
{
    return c->ended && pg_conn_unread(c) == 0;
}

uint32_t pg_conn_room(const struct pg_conn *c)
{
    return c->open ? FAKE_BYTES - c->out_len : 0;
}

int pg_conn_write(struct pg_conn *c, const void *bytes, uint32_t len)
{
    if (!c->open || c->shut)
        return -ENOTCONN;
    if (len > pg_conn_room(c))
        return -ENOBUFS;
    memcpy(c->out + c->out_len, bytes, len);
    c->out_len += len;
    return 0;
}

uint64_t pg_conn_move(struct pg_conn *from, struct pg_conn *to, uint64_t len)
{
    uint64_t n = pg_conn_unread(from) < len ? pg_conn_unread(from) : len;
    n = n < pg_conn_room(to) ? n : pg_conn_room(to);
    if (pg_conn_write(to, from->in + from->in_at, (uint32_t)n) != 0)
        return 0;
    pg_conn_consume(from, n);
    return n;
}

void pg_conn_shutdown(struct pg_conn *c)
{
    c->shut = true;
}

void pg_conn_close(struct pg_conn *c)
{
    c->closed = true;
}

void pg_conn_abort(struct pg_conn *c)
{
    c->gone = true;
}

uint32_t pg_conn_label(const struct pg_conn *c)
{
    return c->label;
}

void pg_conn_set_label(struct pg_conn *c, uint32_t label)
{
    c->label = label;
}

struct pg_addr pg_conn_peer(const struct pg_conn *c, uint16_t *ret_port)
{
    *ret_port = c->peer_port;
    return c->peer;
}

struct pg_addr pg_conn_local(const struct pg_conn *c, uint16_t *ret_port)
{
    *ret_port = c->local_port;
    return c->local;
}

void pg_conn_look(const struct pg_conn *c, struct pg_conn_view *ret)
{
    *ret = (struct pg_conn_view){.label = c->label, .state = ""};
}

/* ---- conn_inner.h: none of these is an inner connection, so nobody may ask anything else of one ---- */

void *pg_inner_arg(const struct pg_conn *c, const struct pg_inner_layer *layer)
{
    (void)c;
    (void)layer;
    return NULL;
}

struct pg_conn *pg_inner_below(const struct pg_conn *c)
{
    (void)c;
    return NULL;
}

void pg_inner_set_labels(struct pg_conn *c, uint32_t label)
{
    pg_conn_set_label(c, label);
}

uint64_t pg_conn_unacked(const struct pg_conn *c)
{
    (void)c;
    return 0;
}

struct pg_conn *pg_inner_new(struct pg_conn *below, struct pg_inner *inner)
{
    (void)below;
    (void)inner;
    abort();
}

int pg_inner_give(struct pg_conn *c, const void *bytes, uint32_t len)
{
    (void)c;
    (void)bytes;
    (void)len;
    abort();
}

void pg_inner_give_open(struct pg_conn *c)
{
    (void)c;
    abort();
}

void pg_inner_give_end(struct pg_conn *c)
{
    (void)c;
    abort();
}

void pg_inner_end_all(struct pg_conn *c, int error)
{
    (void)c;
    (void)error;
    abort();
}

uint32_t pg_inner_waiting(const struct pg_conn *c)
{
    (void)c;
    abort();
}

bool pg_inner_front(const struct pg_conn *c, struct pg_slice *ret)
{
    (void)c;
    (void)ret;
    abort();
}

uint32_t pg_inner_peek(const struct pg_conn *c, void *out, uint32_t room)
{
    (void)c;
    (void)out;
    (void)room;
    abort();
}

void pg_inner_take(struct pg_conn *c, uint32_t len)
{
    (void)c;
    (void)len;
    abort();
}

bool pg_inner_shut(const struct pg_conn *c)
{
    (void)c;
    abort();
}

bool pg_inner_released(const struct pg_conn *c)
{
    (void)c;
    abort();
}

bool pg_inner_aborted(const struct pg_conn *c)
{
    (void)c;
    abort();
}

#endif
