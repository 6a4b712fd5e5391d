/* Who is behind an address: the questions the spine asks between NAT's hooks.
 *
 * Everything is read from the snapshot in force by hashed lookups; nothing is kept here. A destination that nobody of ours has belongs to the wire, except
 * inside the pod range: there the kernel on the wire would only send it back to us. */
#include "path_internal.h"

#include <string.h>

static bool is_client(const struct pg_path *path, const struct pg_tuple *to)
{
    return path->clients != NULL && pg_lab_clients_own(path->clients, to);
}

static bool is_dns(const struct pg_snapshot *s, const struct pg_addr *a)
{
    return (pg_addr_equal(a, &s->lab.dns[0]) || pg_addr_equal(a, &s->lab.dns[1])) &&
           !pg_addr_is_none(a);
}

static enum pg_owner owner_of_pod(const struct pg_pod *pod)
{
    switch (pod->backing) {
    case PG_BACKING_ECHO: return PG_OWNER_ECHO;
    case PG_BACKING_INGRESS: return PG_OWNER_INGRESS;
    case PG_BACKING_WIRE: break;
    }
    return PG_OWNER_WIRE;
}

static enum pg_owner owner_of_address(const struct pg_path *path, const struct pg_tuple *to)
{
    const struct pg_snapshot *s = path->snapshot;
    if (is_client(path, to)) {
        return PG_OWNER_CLIENT;
    }
    uint32_t pod = pg_snapshot_pod_at(s, &to->dst, to->dst_port);
    if (pod != PG_INDEX_NONE) {
        return owner_of_pod(&s->pods[pod]);
    }
    if (pg_snapshot_node_by_addr(s, &to->dst) != PG_INDEX_NONE) {
        return PG_OWNER_NODE;
    }
    if (is_dns(s, &to->dst)) {
        return PG_OWNER_DNS;
    }
    if (pg_snapshot_in_cluster_cidr(s, &to->dst) &&
        pg_snapshot_endpoint_at(s, &to->dst, 0) == PG_INDEX_NONE) {
        return PG_OWNER_NOBODY;
    }
    if (pg_snapshot_lb_ip(s, &to->dst) != PG_INDEX_NONE) {
        return PG_OWNER_NOBODY; /* a port that no service has: on the wire it would only come back to us, again and again */
    }
    return PG_OWNER_WIRE; /* an endpoint that only a slice names is real, too */
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

static bool is_noise(const struct pg_addr *a)
{
    if (pg_addr_is_v4(a)) {
        return (a->bytes[12] & 0xf0) == 0xe0 || a->words[3] == 0xffffffffu ||
               (a->bytes[12] == 169 && a->bytes[13] == 254);
    }
    return a->bytes[0] == 0xff || (a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80);
}

static bool is_martian(const struct pg_addr *a)
{
    if (pg_addr_is_v4(a)) {
        return a->bytes[12] == 127 || a->bytes[12] == 0 || a->bytes[12] >= 240;
    }
    struct pg_addr loopback = {.bytes = {[15] = 1}};
    return pg_addr_is_none(a) || pg_addr_equal(a, &loopback);
}

enum pg_drop pg_path_check_addresses(const struct pg_path *path, const struct pg_tuple *t)
{
    const struct pg_snapshot *s = path->snapshot;
    if (is_noise(&t->dst) || is_noise(&t->src)) {
        return PG_DROP_NOT_WATCHED;
    }
    if (is_martian(&t->src) || is_martian(&t->dst) || pg_addr_equal(&t->src, &t->dst)) {
        return PG_DROP_MARTIAN;
    }
    uint32_t pod = pg_snapshot_pod_at(s, &t->src, t->src_port);
    if (pod != PG_INDEX_NONE) {
        return s->pods[pod].backing == PG_BACKING_WIRE ? PG_DROP_NONE : PG_DROP_SPOOFED;
    }
    if (pg_snapshot_node_by_addr(s, &t->src) != PG_INDEX_NONE || is_dns(s, &t->src) ||
        pg_snapshot_in_service_cidr(s, &t->src)) {
        return PG_DROP_SPOOFED;
    }
    return PG_DROP_NONE;
}

/* Which of the ingress service's ports speak plain HTTP. Everything the service sends to its pods does, except what is https by name or number:
 * TLS is not terminated yet, and answering it with HTTP would only confuse. */
void pg_path_find_ingress_ports(struct pg_path *path)
{
    const struct pg_snapshot *s = path->snapshot;
    path->ingress_port_count = 0;
    if (s->lab.ingress_service == PG_INDEX_NONE) {
        return;
    }
    const struct pg_service *service = &s->services[s->lab.ingress_service];
    for (uint32_t i = 0; i < service->port_count; i++) {
        const struct pg_service_port *port = &s->service_ports[service->port_first + i];
        if (port->proto != PG_PROTO_TCP || port->port == 443 ||
            strstr(port->name, "https") != NULL) {
            continue;
        }
        for (uint32_t e = 0;
             e < port->endpoint_count && path->ingress_port_count < PG_INGRESS_PORTS; e++) {
            uint16_t target = s->endpoints[port->endpoint_first + e].port;
            uint32_t seen = 0;
            while (seen < path->ingress_port_count && path->ingress_ports[seen] != target) {
                seen++;
            }
            if (seen == path->ingress_port_count) {
                path->ingress_ports[path->ingress_port_count++] = target;
            }
        }
    }
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
            if (path->ingress_ports[i] == tuple->dst_port) {
                return pg_proxy_listener(path->proxy);
            }
        }
        return NULL;
    default: return NULL;
    }
}
