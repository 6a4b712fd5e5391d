/* Conntrack's settings under the names that the kernel gives them, so that what stands in somebody's sysctl.d
 * can be handed over as it is.
 *
 * Called by app/run.c for --sysctl. Not among them, since podglass has one answer to each:
 * nf_conntrack_tcp_be_liberal (always: what is not translated is not sent), nf_conntrack_checksum and
 * nf_conntrack_acct (both always), nf_conntrack_buckets (the table grows). */
#include "podglass/nat.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#define PREFIX   "net.netfilter.nf_conntrack_"
#define MOST_SEC (UINT32_MAX / 1000)

static const struct {
    const char *name;
    size_t at;
    uint32_t least, most;
} rows[] = {
    {"max", offsetof(struct pg_nat_options, flow_limit), 1, 1u << 28},
    {"tcp_timeout_syn_sent", offsetof(struct pg_nat_options, tcp_syn_sent), 1, MOST_SEC},
    {"tcp_timeout_syn_recv", offsetof(struct pg_nat_options, tcp_syn_recv), 1, MOST_SEC},
    {"tcp_timeout_established", offsetof(struct pg_nat_options, tcp_established), 1, MOST_SEC},
    {"tcp_timeout_fin_wait", offsetof(struct pg_nat_options, tcp_fin_wait), 1, MOST_SEC},
    {"tcp_timeout_close_wait", offsetof(struct pg_nat_options, tcp_close_wait), 1, MOST_SEC},
    {"tcp_timeout_last_ack", offsetof(struct pg_nat_options, tcp_last_ack), 1, MOST_SEC},
    {"tcp_timeout_time_wait", offsetof(struct pg_nat_options, tcp_time_wait), 1, MOST_SEC},
    {"tcp_timeout_close", offsetof(struct pg_nat_options, tcp_close), 1, MOST_SEC},
    {"tcp_timeout_max_retrans", offsetof(struct pg_nat_options, tcp_max_retrans), 1, MOST_SEC},
    {"tcp_timeout_unacknowledged", offsetof(struct pg_nat_options, tcp_unacknowledged), 1,
     MOST_SEC},
    {"udp_timeout", offsetof(struct pg_nat_options, udp), 1, MOST_SEC},
    {"udp_timeout_stream", offsetof(struct pg_nat_options, udp_stream), 1, MOST_SEC},
    {"icmp_timeout", offsetof(struct pg_nat_options, icmp), 1, MOST_SEC},
    {"gre_timeout", offsetof(struct pg_nat_options, gre), 1, MOST_SEC},
    {"gre_timeout_stream", offsetof(struct pg_nat_options, gre_stream), 1, MOST_SEC},
    {"generic_timeout", offsetof(struct pg_nat_options, generic), 1, MOST_SEC},
};

/* What stands behind "nf_conntrack_", or NULL. */
static const char *short_name(const char *name)
{
    size_t skip =
        strncmp(name, PREFIX, strlen("net.netfilter.")) == 0 ? 0 : strlen("net.netfilter.");
    size_t len = strlen(PREFIX) - skip;

    return strncmp(name, &PREFIX[skip], len) == 0 ? name + len : NULL;
}

int pg_nat_set_sysctl(struct pg_nat_options *o, const char *name, uint64_t value)
{
    const char *given = short_name(name);

    if (given && strcmp(given, "tcp_loose") == 0) {
        o->tcp_strict_pickup = value == 0;
        return value <= 1 ? 0 : -ERANGE;
    }
    for (size_t i = 0; given && i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (strcmp(given, rows[i].name) != 0)
            continue;
        if (value < rows[i].least || value > rows[i].most)
            return -ERANGE;
        uint32_t set = (uint32_t)value;
        memcpy((char *)o + rows[i].at, &set, sizeof(set));
        return 0;
    }
    return -ENOENT;
}
