/* Who is behind an address: the questions the spine asks between NAT's hooks. What the snapshot knows is cluster/owner.c's; that a
 * request client of the lab may stand at any address is only known here. */
#include "path_internal.h"

static bool is_client(const struct pg_path *path, const struct pg_tuple *to)
{
    return path->clients != NULL && pg_lab_clients_own(path->clients, to);
}

static enum pg_owner owner_of_address(const struct pg_path *path, const struct pg_tuple *to)
{
    return is_client(path, to) ? PG_OWNER_CLIENT
                               : pg_owner_of(path->snapshot, &to->dst, to->dst_port);
}

/* An ICMP error is for whoever sent what it quotes. */
enum pg_owner pg_path_owner(const struct pg_path *path, const struct pg_packet *p)
{
    struct pg_tuple quoted;
    uint16_t offset;
    if (p->proto != PG_PROTO_TCP && p->proto != PG_PROTO_UDP &&
        pg_packet_quoted(p, &quoted, &offset)) {
        struct pg_tuple answer = pg_tuple_invert(&quoted);
        if (is_client(path, &answer)) {
            return PG_OWNER_CLIENT;
        }
    }
    return owner_of_address(path, &p->tuple);
}

bool pg_path_is_lab_end(const struct pg_path *path, const struct pg_tuple *from)
{
    const struct pg_snapshot *s = path->snapshot;
    struct pg_tuple answer = pg_tuple_invert(from);
    uint32_t pod = pg_snapshot_pod_at(s, &from->src, from->src_port);
    if (pod != PG_INDEX_NONE && s->pods[pod].backing == PG_BACKING_ECHO) {
        return true;
    }
    return is_client(path, &answer);
}

enum pg_drop pg_path_check_addresses(const struct pg_path *path, const struct pg_tuple *t)
{
    return pg_owner_check(path->snapshot, t);
}

void pg_path_find_ingress_ports(struct pg_path *path)
{
    path->ingress_port_count = pg_owner_ingress_ports(path->snapshot, path->ingress_ports);
}

const struct pg_listener *pg_path_listener(void *arg, const struct pg_tuple *tuple)
{
    struct pg_path *path = arg;
    switch (owner_of_address(path, tuple)) {
    case PG_OWNER_ECHO: return pg_echo_listener(path->echo);
    case PG_OWNER_NODE: return pg_health_listener(path->health, tuple->dst_port);
    case PG_OWNER_DNS: return tuple->dst_port == 53 ? pg_dns_tcp_listener(path->dns_tcp) : NULL;
    case PG_OWNER_INGRESS:
        for (uint32_t i = 0; i < path->ingress_port_count; i++) {
            if (path->ingress_ports[i].target == tuple->dst_port) {
                return pg_proxy_listener(path->proxy);
            }
        }
        return NULL;
    default: return NULL;
    }
}
