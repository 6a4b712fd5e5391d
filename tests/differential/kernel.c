/* The kernel's side: packets are written to TUN interfaces of the present namespace and what it sends is read there; flows are asked of ctnetlink, one by
 * its tuple or all.
 *
 * A write to a TUN returns when the packet has gone all its way, so what it brought can be read at once. */
#include "differential.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <libmnl/libmnl.h>
#include <linux/if_tun.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { OUTSIDE, PODS, TUNS };

static int tun[TUNS] = {-1, -1};
static struct mnl_socket *netlink;
static uint32_t sequence;

static int open_tun(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

    snprintf(request.ifr_name, sizeof request.ifr_name, "%s", name);
    if (fd >= 0 && ioctl(fd, TUNSETIFF, &request) != 0) {
        close(fd);
        fd = -1;
    }
    if (fd < 0) {
        perror(name);
    }
    return fd;
}

bool kernel_open(const char *outside_tun, const char *pods_tun)
{
    tun[OUTSIDE] = open_tun(outside_tun);
    tun[PODS] = open_tun(pods_tun);
    netlink = mnl_socket_open(NETLINK_NETFILTER);
    return tun[OUTSIDE] >= 0 && tun[PODS] >= 0 && netlink != NULL &&
           mnl_socket_bind(netlink, 0, MNL_SOCKET_AUTOPID) == 0;
}

bool kernel_set(const char *sysctl, uint32_t value)
{
    char path[160];

    snprintf(path, sizeof path, "/proc/sys/net/netfilter/%s", sysctl);
    FILE *f = fopen(path, "we");
    bool good = f != NULL && fprintf(f, "%u\n", value) > 0;
    if (f != NULL && fclose(f) != 0) {
        good = false;
    }
    if (!good) {
        perror(path);
    }
    return good;
}

void kernel_close(void)
{
    for (int i = 0; i < TUNS; i++) {
        close(tun[i]);
    }
    mnl_socket_close(netlink);
}

/* Pods of the node are 10.244.1.0/24. */
void kernel_send(const struct bytes *b)
{
    static const uint8_t pods[3] = {10, 244, 1};
    struct pg_tuple t;

    packet_tuple(b, &t);
    int fd = tun[memcmp(t.src.bytes + 12, pods, sizeof pods) == 0 ? PODS : OUTSIDE];

    if (write(fd, b->at, b->len) != (ssize_t)b->len && errno != EINVAL) {
        perror("write to TUN");
        exit(1);
    }
}

uint32_t kernel_take(struct bytes *out, uint32_t room)
{
    uint32_t count = 0;

    for (int i = 0; i < TUNS; i++) {
        while (count < room) {
            ssize_t got = read(tun[i], out[count].at, BYTES_MOST);
            if (got <= 0) {
                break;
            }
            out[count].len = (uint32_t)got;
            count += !packet_is_noise(&out[count]);
        }
    }
    return count;
}

/* ---- ctnetlink ---- */

static struct nlmsghdr *begin(char *buffer, uint16_t type, uint16_t flags)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);

    message->nlmsg_type = (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type);
    message->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags);
    message->nlmsg_seq = ++sequence;
    struct nfgenmsg *generic = mnl_nlmsg_put_extra_header(message, sizeof *generic);
    *generic = (struct nfgenmsg){.nfgen_family = AF_UNSPEC, .version = NFNETLINK_V0};
    return message;
}

static void put_addresses(struct nlmsghdr *message, const struct pg_tuple *t)
{
    if (pg_addr_is_v4(&t->src)) {
        mnl_attr_put_u32(message, CTA_IP_V4_SRC, pg_addr_v4_be(&t->src));
        mnl_attr_put_u32(message, CTA_IP_V4_DST, pg_addr_v4_be(&t->dst));
    } else {
        mnl_attr_put(message, CTA_IP_V6_SRC, sizeof t->src.bytes, t->src.bytes);
        mnl_attr_put(message, CTA_IP_V6_DST, sizeof t->dst.bytes, t->dst.bytes);
    }
}

static void put_icmp(struct nlmsghdr *message, const struct pg_tuple *t)
{
    bool v4 = t->proto == PG_PROTO_ICMP;

    mnl_attr_put_u16(message, v4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID, htons(t->src_port));
    mnl_attr_put_u8(message, v4 ? CTA_PROTO_ICMP_TYPE : CTA_PROTO_ICMPV6_TYPE,
                    (uint8_t)(t->dst_port >> 8));
    mnl_attr_put_u8(message, v4 ? CTA_PROTO_ICMP_CODE : CTA_PROTO_ICMPV6_CODE,
                    (uint8_t)t->dst_port);
}

static void put_tuple(struct nlmsghdr *message, const struct pg_tuple *said)
{
    struct pg_tuple real = packet_real_tuple(said);
    const struct pg_tuple *t = &real;
    struct nfgenmsg *generic = mnl_nlmsg_get_payload(message);

    generic->nfgen_family = pg_addr_is_v4(&t->src) ? AF_INET : AF_INET6;
    struct nlattr *tuple = mnl_attr_nest_start(message, CTA_TUPLE_ORIG);
    struct nlattr *part = mnl_attr_nest_start(message, CTA_TUPLE_IP);

    put_addresses(message, t);
    mnl_attr_nest_end(message, part);
    part = mnl_attr_nest_start(message, CTA_TUPLE_PROTO);
    mnl_attr_put_u8(message, CTA_PROTO_NUM, t->proto);
    if (pg_proto_is_icmp(t->proto)) {
        put_icmp(message, t);
    } else if (t->proto == PG_PROTO_TCP || t->proto == PG_PROTO_UDP || t->proto == PG_PROTO_GRE) {
        mnl_attr_put_u16(message, CTA_PROTO_SRC_PORT, htons(t->src_port));
        mnl_attr_put_u16(message, CTA_PROTO_DST_PORT, htons(t->dst_port));
    }
    mnl_attr_nest_end(message, part);
    mnl_attr_nest_end(message, tuple);
}

#define ATTRIBUTES 64
static int collect(const struct nlattr *a, void *arg)
{
    const struct nlattr **table = arg;

    if (mnl_attr_get_type(a) < ATTRIBUTES) {
        table[mnl_attr_get_type(a)] = a;
    }
    return MNL_CB_OK;
}

static void nested(const struct nlattr *a, const struct nlattr *table[ATTRIBUTES])
{
    memset(table, 0, ATTRIBUTES * sizeof *table);
    if (a != NULL) {
        mnl_attr_parse_nested(a, collect, table);
    }
}

static void read_tuple(const struct nlattr *a, struct pg_tuple *ret)
{
    const struct nlattr *parts[ATTRIBUTES];
    const struct nlattr *at[ATTRIBUTES];

    *ret = (struct pg_tuple){0};
    nested(a, parts);
    nested(parts[CTA_TUPLE_IP], at);
    if (at[CTA_IP_V4_SRC] != NULL) {
        ret->src = pg_addr_from_v4_be(mnl_attr_get_u32(at[CTA_IP_V4_SRC]));
        ret->dst = pg_addr_from_v4_be(mnl_attr_get_u32(at[CTA_IP_V4_DST]));
    } else {
        ret->src = pg_addr_from_v6(mnl_attr_get_payload(at[CTA_IP_V6_SRC]));
        ret->dst = pg_addr_from_v6(mnl_attr_get_payload(at[CTA_IP_V6_DST]));
    }
    nested(parts[CTA_TUPLE_PROTO], at);
    ret->proto = mnl_attr_get_u8(at[CTA_PROTO_NUM]);
    if (at[CTA_PROTO_ICMP_ID] != NULL) {
        ret->src_port = ntohs(mnl_attr_get_u16(at[CTA_PROTO_ICMP_ID]));
        ret->dst_port = (uint16_t)(mnl_attr_get_u8(at[CTA_PROTO_ICMP_TYPE]) << 8 |
                                   mnl_attr_get_u8(at[CTA_PROTO_ICMP_CODE]));
    } else if (at[CTA_PROTO_ICMPV6_ID] != NULL) {
        ret->src_port = ntohs(mnl_attr_get_u16(at[CTA_PROTO_ICMPV6_ID]));
        ret->dst_port = (uint16_t)(mnl_attr_get_u8(at[CTA_PROTO_ICMPV6_TYPE]) << 8 |
                                   mnl_attr_get_u8(at[CTA_PROTO_ICMPV6_CODE]));
    } else if (at[CTA_PROTO_SRC_PORT] != NULL) {
        ret->src_port = ntohs(mnl_attr_get_u16(at[CTA_PROTO_SRC_PORT]));
        ret->dst_port = ntohs(mnl_attr_get_u16(at[CTA_PROTO_DST_PORT]));
    }
    *ret = packet_script_tuple(ret);
}

static void read_entry(const struct nlmsghdr *message, struct entry *ret)
{
    const struct nlattr *top[ATTRIBUTES] = {0};
    const struct nlattr *at[ATTRIBUTES];

    mnl_attr_parse(message, sizeof(struct nfgenmsg), collect, top);
    uint32_t status = top[CTA_STATUS] != NULL ? ntohl(mnl_attr_get_u32(top[CTA_STATUS])) : 0;
    *ret = (struct entry){.found = true,
                          .seen_reply = (status & IPS_SEEN_REPLY) != 0,
                          .assured = (status & IPS_ASSURED) != 0,
                          .snat = (status & IPS_SRC_NAT) != 0,
                          .dnat = (status & IPS_DST_NAT) != 0};
    read_tuple(top[CTA_TUPLE_ORIG], &ret->orig);
    read_tuple(top[CTA_TUPLE_REPLY], &ret->reply);
    ret->timeout_s = top[CTA_TIMEOUT] != NULL ? ntohl(mnl_attr_get_u32(top[CTA_TIMEOUT])) : 0;
    nested(top[CTA_PROTOINFO], at);
    nested(at[CTA_PROTOINFO_TCP] != NULL ? at[CTA_PROTOINFO_TCP] : at[CTA_PROTOINFO_SCTP], at);
    ret->state =
        at[CTA_PROTOINFO_TCP_STATE] != NULL ? mnl_attr_get_u8(at[CTA_PROTOINFO_TCP_STATE]) : 0;
    for (int i = 0; i < 2; i++) {
        nested(top[i == 0 ? CTA_COUNTERS_ORIG : CTA_COUNTERS_REPLY], at);
        if (at[CTA_COUNTERS_PACKETS] != NULL) {
            ret->packets[i] = be64toh(mnl_attr_get_u64(at[CTA_COUNTERS_PACKETS]));
            ret->bytes[i] = be64toh(mnl_attr_get_u64(at[CTA_COUNTERS_BYTES]));
        }
    }
}

static ssize_t ask(struct nlmsghdr *message, char *answer, size_t room)
{
    if (mnl_socket_sendto(netlink, message, message->nlmsg_len) < 0) {
        perror("netlink");
        exit(1);
    }
    return mnl_socket_recvfrom(netlink, answer, room);
}

void kernel_find(const struct pg_tuple *t, struct entry *ret)
{
    char buffer[512];
    char answer[4096];
    struct nlmsghdr *message = begin(buffer, IPCTNL_MSG_CT_GET, 0);

    *ret = (struct entry){0};
    put_tuple(message, t);
    ssize_t got = ask(message, answer, sizeof answer);
    const struct nlmsghdr *reply = (const struct nlmsghdr *)answer;
    if (got > 0 && reply->nlmsg_type != NLMSG_ERROR) {
        read_entry(reply, ret);
    }
}

void kernel_delete(const struct entry *e)
{
    char buffer[512];
    char answer[4096];

    if (e->found) {
        struct nlmsghdr *message = begin(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK);
        put_tuple(message, &e->orig);
        ask(message, answer, sizeof answer);
    }
}

void kernel_flush(void)
{
    char buffer[512];
    char answer[4096];

    ask(begin(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK), answer, sizeof answer);
}

void kernel_walk(void (*fn)(void *arg, const struct entry *e), void *arg)
{
    static char answer[65536];
    char buffer[512];
    struct nlmsghdr *request = begin(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP);
    ssize_t got = ask(request, answer, sizeof answer);

    for (; got > 0; got = mnl_socket_recvfrom(netlink, answer, sizeof answer)) {
        const struct nlmsghdr *message = (const struct nlmsghdr *)answer;
        int left = (int)got;
        for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
            struct entry e;
            if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
                return;
            }
            read_entry(message, &e);
            fn(arg, &e);
        }
    }
}
