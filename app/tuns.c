/* `run --tun NAME[@NETNS][=PREFIX,...]`, once or several times.
 *
 * A TUN without prefixes stands behind a routing node: everything is behind it. TUNs with prefixes can be put directly into the network namespaces of clients and pods, so that no
 * packet is routed twice; the descriptor works from anywhere once it is attached. podglass enters a namespace only to open and configure the device
 * there, and comes back at once; it has one thread, so nothing else can see it there.
 *
 * --configure makes a device ready for what it is: one whose prefixes are single addresses is an end (these addresses, and a default route if
 * it is in a namespace of its own); any other leads to the cluster (routes for pods, services, balancer addresses and nodes). */
#include "podglass/tuns.h"

#include "podglass/tun_config.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct tun_spec {
    char name[IFNAMSIZ];
    char netns[256]; /* "": the present one */
    struct pg_prefix prefixes[PG_LINK_PREFIXES];
    uint32_t prefix_count;
};

/* ---- reading the flag ---- */

static int parse_prefixes(const char *text, struct tun_spec *ret)
{
    while (*text != 0) {
        size_t len = strcspn(text, ",");
        if (ret->prefix_count == PG_LINK_PREFIXES) {
            return pg_options_complain(PG_VERB_RUN, "--tun %s: more than %d prefixes", ret->name,
                                       PG_LINK_PREFIXES);
        }
        if (pg_prefix_parse(text, len, &ret->prefixes[ret->prefix_count++]) != 0) {
            return pg_options_complain(PG_VERB_RUN,
                                       "--tun %s: \"%.*s\" is neither an address nor a prefix",
                                       ret->name, (int)len, text);
        }
        text += len + (text[len] == ',' ? 1 : 0);
    }
    return 0;
}

static int parse_spec(const char *text, struct tun_spec *ret)
{
    size_t name_len = strcspn(text, "@=");
    const char *rest = text + name_len;
    *ret = (struct tun_spec){0};
    if (name_len == 0 || name_len >= sizeof ret->name) {
        return pg_options_complain(PG_VERB_RUN,
                                   "--tun %s: an interface name has 1 to %zu characters", text,
                                   sizeof ret->name - 1);
    }
    memcpy(ret->name, text, name_len);
    if (*rest == '@') {
        size_t len = strcspn(++rest, "=");
        if (len == 0 || len >= sizeof ret->netns) {
            return pg_options_complain(PG_VERB_RUN, "--tun %s: no network namespace behind @",
                                       text);
        }
        memcpy(ret->netns, rest, len);
        rest += len;
    }
    return *rest == '=' ? parse_prefixes(rest + 1, ret) : 0;
}

/* ---- namespaces ---- */

/* Enters a namespace of ip-netns(8), or one given as a path. Returns a descriptor to come back by, -1 when there is nothing to enter, or -errno - 1. */
static int enter_netns(const char *netns)
{
    char path[512];
    if (netns[0] == 0) {
        return -1;
    }
    snprintf(path, sizeof path, "%s%s", strchr(netns, '/') != NULL ? "" : "/run/netns/", netns);
    int back = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    int error = back < 0 || there < 0 || setns(there, CLONE_NEWNET) != 0 ? errno : 0;
    if (there >= 0) {
        close(there);
    }
    if (error != 0 && back >= 0) {
        close(back);
    }
    return error != 0 ? -error - 1 : back;
}

/* false: we are stuck in a namespace that is not ours. */
static bool leave_netns(int back)
{
    if (back < 0) {
        return true;
    }
    bool good = setns(back, CLONE_NEWNET) == 0;
    close(back);
    return good;
}

/* ---- configuring ---- */

static int configure_end(const struct tun_spec *spec, struct pg_text *why)
{
    static const struct pg_prefix everything[2] = {
        {.addr = {.bytes = {[10] = 0xff, [11] = 0xff}}, .bits = 96},
        {.bits = 0},
    };
    int error = 0;
    for (uint32_t i = 0; i < spec->prefix_count && error == 0; i++) {
        const struct pg_addr *addr = &spec->prefixes[i].addr;
        error = pg_tun_add_address(spec->name, addr, pg_addr_is_v4(addr) ? 32 : 128, why);
    }
    error = error == 0 ? pg_tun_set_up(spec->name, why) : error;
    for (uint32_t i = 0; i < spec->prefix_count && error == 0 && spec->netns[0] != 0; i++) {
        error = pg_tun_add_route(spec->name,
                                 &everything[pg_addr_is_v4(&spec->prefixes[i].addr) ? 0 : 1], why);
    }
    return error;
}

static int add_routes(const char *name, const struct pg_prefix *prefixes, uint32_t count,
                      struct pg_text *why)
{
    int error = 0;
    for (uint32_t i = 0; i < count && error == 0; i++) {
        error = pg_tun_add_route(name, &prefixes[i], why);
    }
    return error;
}

static int add_host_route(const char *name, const struct pg_addr *addr, struct pg_text *why)
{
    struct pg_prefix host = {.addr = *addr, .bits = 128};
    return pg_addr_is_none(addr) ? 0 : pg_tun_add_route(name, &host, why);
}

/* The device leads to the cluster; programs of this namespace get the address of the lab's first client. */
static int configure_way_in(const struct pg_snapshot *s, const char *name, struct pg_text *why)
{
    int error = 0;
    if (s->client_count != 0) {
        const struct pg_addr *first = &s->clients[0].addr;
        error = pg_tun_add_address(name, first, pg_addr_is_v4(first) ? 32 : 128, why);
    }
    error = error == 0 ? pg_tun_set_up(name, why) : error;
    error =
        error == 0 ? add_routes(name, s->lab.cluster_cidr, s->lab.cluster_cidr_count, why) : error;
    error =
        error == 0 ? add_routes(name, s->lab.service_cidr, s->lab.service_cidr_count, why) : error;
    for (uint32_t i = 0; i < s->lb_ip_count && error == 0; i++) {
        error = add_host_route(name, &s->lb_ips[i].addr, why);
    }
    for (uint32_t i = 0; i < s->node_count * 2 && error == 0; i++) {
        error = add_host_route(name, &s->nodes[i / 2].addr[i % 2], why);
    }
    return error;
}

static bool is_end(const struct tun_spec *spec)
{
    for (uint32_t i = 0; i < spec->prefix_count; i++) {
        if (spec->prefixes[i].bits != 128) {
            return false;
        }
    }
    return spec->prefix_count != 0;
}

/* ---- opening ---- */

enum pg_tun_io pg_tuns_io(const struct pg_options *options)
{
    const char *io = options->value[PG_FLAG_RUN_IO];
    return io == NULL || strcmp(io, "auto") == 0 ? PG_TUN_IO_AUTO
           : strcmp(io, "plain") == 0            ? PG_TUN_IO_PLAIN
                                                 : PG_TUN_IO_URING;
}

/* In the namespace of the device. 0 or PG_EXIT_*, said. */
static int open_here(const struct pg_options *options, const struct pg_snapshot *s,
                     const struct tun_spec *spec, uint16_t mtu, struct pg_link **ret)
{
    struct pg_tun_options tun = {.name = spec->name,
                                 .offload = !pg_options_has(options, PG_FLAG_RUN_NO_OFFLOAD),
                                 .fd = -1,
                                 .mtu = mtu,
                                 .io = pg_tuns_io(options)};
    const char *what = "";
    struct pg_text why = {0};
    int error = pg_tun_open(&tun, ret, &what);
    if (error != 0) {
        fprintf(stderr, "podglass run: can not attach to TUN %s: %s: %s\n", spec->name, what,
                strerror(-error));
        return PG_EXIT_PRIVILEGE;
    }
    if (!pg_options_has(options, PG_FLAG_RUN_CONFIGURE)) {
        return 0;
    }
    error = mtu != 0 ? pg_tun_set_mtu(spec->name, mtu, &why) : 0;
    if (error == 0) {
        error = is_end(spec) ? configure_end(spec, &why) : configure_way_in(s, spec->name, &why);
    }
    if (error != 0) {
        fprintf(stderr, "podglass run: can not configure %s: %s\n", spec->name, why.at);
        pg_link_close(*ret);
    }
    pg_text_free(&why);
    return error != 0 ? PG_EXIT_PRIVILEGE : 0;
}

static int open_one(const struct pg_options *options, const struct pg_snapshot *s, const char *text,
                    uint16_t mtu, struct pg_opened_tun *ret)
{
    struct tun_spec spec;
    int status = parse_spec(text, &spec);
    if (status != 0) {
        return status;
    }
    int back = enter_netns(spec.netns);
    if (back < -1) {
        fprintf(stderr, "podglass run: network namespace %s: %s\n", spec.netns,
                strerror(-back - 1));
        return PG_EXIT_PRIVILEGE;
    }
    status = open_here(options, s, &spec, mtu, &ret->link);
    if (!leave_netns(back)) {
        fprintf(stderr, "podglass run: can not come back from network namespace %s: %s\n",
                spec.netns, strerror(errno));
        status = PG_EXIT_PRIVILEGE;
    }
    memcpy(ret->prefixes, spec.prefixes, sizeof ret->prefixes);
    ret->prefix_count = spec.prefix_count;
    return status;
}

int pg_tuns_open(const struct pg_options *options, const struct pg_snapshot *s, struct pg_tuns *ret)
{
    uint64_t mtu = 0;
    uint32_t cursor = 0;
    const char *text;
    ret->count = 0;
    int status = pg_options_number(options, PG_FLAG_RUN_MTU, 1280, 65520, &mtu);
    if (status == 0 && mtu != 0 && !pg_options_has(options, PG_FLAG_RUN_CONFIGURE)) {
        status = pg_options_complain(PG_VERB_RUN, "--mtu needs --configure");
    }
    while (status == 0 && (text = pg_options_next(options, PG_FLAG_RUN_TUN, &cursor)) != NULL) {
        if (ret->count == PG_PATH_LINKS) {
            status = pg_options_complain(PG_VERB_RUN, "more than %d --tun", PG_PATH_LINKS);
            break;
        }
        status = open_one(options, s, text, (uint16_t)mtu, &ret->at[ret->count]);
        ret->count += status == 0 ? 1 : 0;
    }
    if (status != 0) {
        pg_tuns_close(ret);
    }
    return status;
}

void pg_tuns_close(struct pg_tuns *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        pg_link_close(t->at[i].link);
    }
    t->count = 0;
}

uint16_t pg_tuns_mtu(const struct pg_tuns *t)
{
    uint16_t mtu = UINT16_MAX;
    for (uint32_t i = 0; i < t->count; i++) {
        uint16_t here = pg_link_mtu(t->at[i].link);
        mtu = here < mtu ? here : mtu;
    }
    return mtu;
}

int pg_tuns_give(struct pg_tuns *t, struct pg_path *path)
{
    int error = 0;
    uint32_t i = 0;
    for (; i < t->count && error == 0; i++) {
        error = pg_path_add_link(path, t->at[i].link, t->at[i].prefixes, t->at[i].prefix_count);
    }
    for (uint32_t rest = i; rest < t->count; rest++) {
        pg_link_close(t->at[rest].link);
    }
    t->count = 0;
    if (error != 0) {
        return pg_options_complain(PG_VERB_RUN, error == -EEXIST
                                                    ? "the same prefix stands behind two --tun"
                                                    : "too many links");
    }
    return 0;
}
