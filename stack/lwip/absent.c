/*
 * The parts of lwIP that this build leaves out and that IPv6 calls all the same: neighbour
 * discovery. A TUN has no neighbours, so each function here is what "nothing to do" means for its
 * caller. Compiled into the library lwip, not into stack/.
 */
#include "lwip/nd6.h"
#include "lwip/netif.h"

void nd6_tmr(void)
{
}

void nd6_cleanup_netif(struct netif *netif)
{
    LWIP_UNUSED_ARG(netif);
}

void nd6_restart_netif(struct netif *netif)
{
    LWIP_UNUSED_ARG(netif);
}

/* The MSS of a new connection is made from this; what really fits a path, stack/ learns. */
u16_t nd6_get_destination_mtu(const ip6_addr_t *ip6addr, struct netif *netif)
{
    LWIP_UNUSED_ARG(ip6addr);
    return netif_mtu6(netif);
}
