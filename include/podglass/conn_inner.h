/* folder: stack */
/* A connection whose other side is a layer of ours and no peer: the plain side of TLS, one stream of HTTP/2.
 *
 * Its owner has it through conn.h and knows no difference. The layer gives it the bytes that came, takes those to send, and hears once
 * a turn that there is something to do. The layer owns the connection below; the inner one only has its addresses and its label.
 *
 * on_turn is called at the end of a turn, never from within a call of the owner: it wrote, consumed, shut down, closed or aborted.
 * A layer lets go of an inner connection exactly once, by pg_inner_end_all, and does not use it afterwards. */
#ifndef PODGLASS_CONN_INNER_H
#define PODGLASS_CONN_INNER_H

#include "podglass/conn.h"

struct pg_inner_layer {
    void (*on_turn)(void *layer, struct pg_conn *inner);
};

/* Lives in the layer, as long as the inner connection does. */
struct pg_inner {
    const struct pg_inner_layer *layer;
    void *arg;
    struct pg_conn *below;
    uint32_t room; /* bytes of the owner that may wait to be taken */
};

/* Open at once, with nobody's events. NULL: no connection left. */
struct pg_conn *pg_inner_new(struct pg_conn *below, struct pg_inner *inner);
/* arg of the layer, if it is this layer's; NULL: it is another's, or a connection of its own. */
void *pg_inner_arg(const struct pg_conn *c, const struct pg_inner_layer *layer);
struct pg_conn *pg_inner_below(const struct pg_conn *c); /* NULL: it is no inner connection */
/* As pg_conn_set_label, and of all that lies below: what it has for itself. */
void pg_inner_set_labels(struct pg_conn *c, uint32_t label);

/* ---- to the owner ---- */
int pg_inner_give(struct pg_conn *c, const void *bytes, uint32_t len); /* 0 or -ENOMEM */
void pg_inner_give_open(struct pg_conn *c); /* on_open, as of a connect */
void pg_inner_give_end(struct pg_conn *c);  /* as a FIN */
/* The layer is done. error 0: the owner was told the end already, or has let go itself. */
void pg_inner_end_all(struct pg_conn *c, int error);

/* ---- from the owner ---- */
uint32_t pg_inner_waiting(const struct pg_conn *c); /* bytes to take */
bool pg_inner_front(const struct pg_conn *c, struct pg_slice *ret);
uint32_t pg_inner_peek(const struct pg_conn *c, void *out, uint32_t room);
void pg_inner_take(struct pg_conn *c, uint32_t len);
/* it wants no more than what waits: shut down or closed */
bool pg_inner_shut(const struct pg_conn *c);
bool pg_inner_released(const struct pg_conn *c); /* closed or aborted: nobody reads any more */
bool pg_inner_aborted(const struct pg_conn *c);

#endif
