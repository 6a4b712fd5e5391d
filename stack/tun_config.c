/* Sets up an interface over rtnetlink: one request, one acknowledgement each.
 *
 * Called by app/ at start, before privileges are dropped; never in the data path. Each call opens
 * and closes its own socket, so it acts in whatever network namespace the caller is in at that
 * moment. Owns nothing. */
#include "podglass/tun_config.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#define REQUEST_BYTES 1024
/* What the kernel keeps for us; of more it drops without a word, and each drop costs somebody 200 ms.
 * Thousands of connections that all move at once have a few packets each on the way, so the queue
 * is long; senders' windows bound its bytes. */
#define QUEUE_PACKETS 10000

/* Sends the request and waits for what the kernel says. */
static int ask(struct nlmsghdr *request)
{
    struct mnl_socket *s = mnl_socket_open(NETLINK_ROUTE);
    char answer[8192];
    ssize_t n;
    int result = -1;

    if (s == NULL)
        return -errno;
    request->nlmsg_flags |= NLM_F_REQUEST | NLM_F_ACK;
    request->nlmsg_seq = 1;
    if (mnl_socket_bind(s, 0, MNL_SOCKET_AUTOPID) == 0 &&
        mnl_socket_sendto(s, request, request->nlmsg_len) >= 0 &&
        (n = mnl_socket_recvfrom(s, answer, sizeof answer)) >= 0)
        result = mnl_cb_run(answer, (size_t)n, 1, mnl_socket_get_portid(s), NULL, NULL);
    result = result < 0 ? -errno : 0;
    mnl_socket_close(s);
    return result;
}

__attribute__((format(printf, 3, 4))) static int failed(int result, struct pg_text *why,
                                                        const char *format, ...)
{
    va_list args;

    if (result == 0 || why == NULL)
        return result;
    va_start(args, format);
    pg_text_vprintf(why, format, args);
    va_end(args);
    pg_text_printf(why, ": %s", strerror(-result));
    return result;
}

/* 0 when there is no such interface. */
static unsigned int index_of(const char *name)
{
    return if_nametoindex(name);
}

static uint8_t family_of(const struct pg_addr *a)
{
    return pg_addr_is_v4(a) ? AF_INET : AF_INET6;
}

static void put_addr(struct nlmsghdr *h, uint16_t type, const struct pg_addr *a)
{
    if (pg_addr_is_v4(a))
        mnl_attr_put(h, type, 4, a->bytes + 12);
    else
        mnl_attr_put(h, type, 16, a->bytes);
}

int pg_tun_add_address(const char *name, const struct pg_addr *addr, uint8_t bits,
                       struct pg_text *why)
{
    char room[REQUEST_BYTES];
    char text[PG_ADDR_TEXT];
    struct nlmsghdr *h = mnl_nlmsg_put_header(room);
    struct ifaddrmsg *m;

    h->nlmsg_type = RTM_NEWADDR;
    h->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
    m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifa_family = family_of(addr);
    m->ifa_prefixlen = bits;
    m->ifa_index = index_of(name);
    m->ifa_flags = pg_addr_is_v4(addr) ? 0 : IFA_F_NODAD; /* nobody else is on a TUN */
    put_addr(h, IFA_LOCAL, addr);
    put_addr(h, IFA_ADDRESS, addr);
    return failed(m->ifa_index == 0 ? -ENODEV : ask(h), why, "cannot add address %s/%u to %s",
                  pg_addr_print(addr, text), bits, name);
}

/* A change of the interface itself. Returns the message behind its header. */
static struct ifinfomsg *begin_link(char *room, const char *name, struct nlmsghdr **ret)
{
    struct nlmsghdr *h = mnl_nlmsg_put_header(room);
    struct ifinfomsg *m;

    h->nlmsg_type = RTM_NEWLINK;
    m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->ifi_family = AF_UNSPEC;
    m->ifi_index = (int)index_of(name);
    *ret = h;
    return m;
}

int pg_tun_set_mtu(const char *name, uint16_t mtu, struct pg_text *why)
{
    char room[REQUEST_BYTES];
    struct nlmsghdr *h;
    struct ifinfomsg *m = begin_link(room, name, &h);

    mnl_attr_put_u32(h, IFLA_MTU, mtu);
    return failed(m->ifi_index == 0 ? -ENODEV : ask(h), why, "cannot set the MTU of %s to %u", name,
                  mtu);
}

int pg_tun_set_up(const char *name, struct pg_text *why)
{
    char room[REQUEST_BYTES];
    struct nlmsghdr *h;
    struct ifinfomsg *m = begin_link(room, name, &h);

    m->ifi_flags = IFF_UP;
    m->ifi_change = IFF_UP;
    mnl_attr_put_u32(h, IFLA_TXQLEN, QUEUE_PACKETS);
    return failed(m->ifi_index == 0 ? -ENODEV : ask(h), why, "cannot bring %s up", name);
}

int pg_tun_add_route(const char *name, const struct pg_prefix *to, struct pg_text *why)
{
    char room[REQUEST_BYTES];
    char text[PG_ENDPOINT_TEXT];
    struct nlmsghdr *h = mnl_nlmsg_put_header(room);
    struct rtmsg *m;
    unsigned int index = index_of(name);
    bool v4 = pg_addr_is_v4(&to->addr) && to->bits >= 96;

    h->nlmsg_type = RTM_NEWROUTE;
    h->nlmsg_flags = NLM_F_CREATE | NLM_F_REPLACE;
    m = mnl_nlmsg_put_extra_header(h, sizeof *m);
    m->rtm_family = v4 ? AF_INET : AF_INET6;
    m->rtm_dst_len = (uint8_t)(v4 ? to->bits - 96 : to->bits);
    m->rtm_table = RT_TABLE_MAIN;
    m->rtm_protocol = RTPROT_STATIC;
    m->rtm_scope = v4 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    m->rtm_type = RTN_UNICAST;
    if (m->rtm_dst_len > 0)
        put_addr(h, RTA_DST, &to->addr);
    mnl_attr_put_u32(h, RTA_OIF, index);
    return failed(index == 0 ? -ENODEV : ask(h), why, "cannot add route %s to %s",
                  pg_prefix_print(to, text), name);
}

int pg_tun_configure(const char *name, const struct pg_tun_config *config, struct pg_text *why)
{
    int result = config->mtu != 0 ? pg_tun_set_mtu(name, config->mtu, why) : 0;

    for (uint32_t i = 0; result == 0 && i < config->address_count; i++)
        result =
            pg_tun_add_address(name, &config->addresses[i].addr, config->addresses[i].bits, why);
    if (result == 0)
        result = pg_tun_set_up(name, why);
    for (uint32_t i = 0; result == 0 && i < config->route_count; i++)
        result = pg_tun_add_route(name, &config->routes[i], why);
    return result;
}
