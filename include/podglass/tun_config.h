/* folder: stack */
/* Gives an interface its addresses, MTU and routes, and brings it up: for `run --configure` and
 * `run -- CMD`, without running ip(8). All calls act in the network namespace of the calling
 * thread, at once, and may be repeated: what is there already is no error. They need CAP_NET_ADMIN
 * there.
 *
 * 0 or -errno; on failure what could not be done is added to `why` in words (NULL: nobody asks). */
#ifndef PODGLASS_TUN_CONFIG_H
#define PODGLASS_TUN_CONFIG_H

#include "podglass/addr.h"
#include "podglass/text.h"

/* bits of the family: 24, 64 */
int pg_tun_add_address(const char *name, const struct pg_addr *addr, uint8_t bits,
                       struct pg_text *why);
int pg_tun_set_mtu(const char *name, uint16_t mtu, struct pg_text *why);
int pg_tun_set_up(const char *name, struct pg_text *why);
/* via the device, no gateway */
int pg_tun_add_route(const char *name, const struct pg_prefix *to, struct pg_text *why);

struct pg_tun_address {
    struct pg_addr addr;
    uint8_t bits;
};

struct pg_tun_config {
    uint16_t mtu; /* 0: as it is */
    const struct pg_tun_address *addresses;
    uint32_t address_count;
    const struct pg_prefix *routes;
    uint32_t route_count;
};
/* MTU, addresses, up, routes, in this order; stops at the first failure. */
int pg_tun_configure(const char *name, const struct pg_tun_config *config, struct pg_text *why);

#endif
