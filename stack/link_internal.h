/* What the forms of a link have in common; each begins with a struct pg_link. */
#ifndef PODGLASS_STACK_LINK_INTERNAL_H
#define PODGLASS_STACK_LINK_INTERNAL_H

#include "podglass/link.h"

#define PG_LINK_NAME_MAX 16 /* IFNAMSIZ */

struct pg_link_form {
    int (*rx)(struct pg_link *l, struct pg_buf_pool *pool, struct pg_packet *ret,
              enum pg_drop *ret_drop);
    enum pg_drop (*tx)(struct pg_link *l, const struct pg_packet *p);
    bool (*flush)(struct pg_link *l, struct pg_packet *ret, enum pg_drop *ret_drop);
    void (*close)(struct pg_link *l);
};

struct pg_link {
    const struct pg_link_form *form;
    char name[PG_LINK_NAME_MAX];
    uint16_t mtu;
    int fd; /* -1: none */
};

#endif
