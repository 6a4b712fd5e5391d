/* Who is behind an address: read from the snapshot by hashed lookups; nothing is kept here.
 *
 * Called by app/owner.c for each packet, and by the tools' dry run. A destination that nobody of ours has belongs to the wire, except inside
 * the pod range: there the kernel on the wire would only send it back to us. */
#include "podglass/owner.h"

#include <string.h>

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

enum pg_owner pg_owner_of(const struct pg_snapshot *s, const struct pg_addr *dst, uint16_t port)
{
    uint32_t pod = pg_snapshot_pod_at(s, dst, port);
    if (pod != PG_INDEX_NONE) {
        return owner_of_pod(&s->pods[pod]);
    }
    if (pg_snapshot_node_by_addr(s, dst) != PG_INDEX_NONE) {
        return PG_OWNER_NODE;
    }
    if (is_dns(s, dst)) {
        return PG_OWNER_DNS;
    }
    if (pg_snapshot_in_cluster_cidr(s, dst) &&
        pg_snapshot_endpoint_at(s, dst, 0) == PG_INDEX_NONE) {
        return PG_OWNER_NOBODY;
    }
    if (pg_addr_is_loopback(dst)) {
        return PG_OWNER_NOBODY; /* it would never leave its sender, who has nothing there */
    }
    if (pg_snapshot_lb_ip(s, dst) != PG_INDEX_NONE) {
        return PG_OWNER_NOBODY; /* a port that no service has: on the wire it would only come back to us, again and again */
    }
    return PG_OWNER_WIRE; /* an endpoint that only a slice names is real, too */
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
        return pg_addr_is_loopback(a) || a->bytes[12] == 0 || a->bytes[12] >= 240;
    }
    return pg_addr_is_none(a) || pg_addr_is_loopback(a);
}

enum pg_drop pg_owner_check(const struct pg_snapshot *s, const struct pg_tuple *t)
{
    struct pg_addr loopback = pg_dialect_loopback(s->lab.services.dialect, !pg_addr_is_v4(&t->dst));
    bool to_itself = pg_addr_equal(&t->dst, &loopback); /* a pod answers itself */

    if ((is_noise(&t->dst) && !to_itself) || is_noise(&t->src)) {
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

static bool is_tls(const struct pg_snapshot *s, const struct pg_service_port *port)
{
    bool plain = false;
    for (uint32_t i = 0; i < s->listener_count; i++) {
        enum pg_listener_protocol protocol = s->listeners[i].protocol;
        if (s->listeners[i].port != port->port) {
            continue;
        }
        if (protocol == PG_LISTENER_HTTPS || protocol == PG_LISTENER_TLS) {
            return true;
        }
        plain = plain || protocol == PG_LISTENER_HTTP;
    }
    return plain ? false : port->port == 443 || strstr(port->name, "https") != NULL;
}

bool pg_owner_listener_at(const struct pg_snapshot *s, uint32_t listener, uint16_t target)
{
    if (s->lab.ingress_service == PG_INDEX_NONE) {
        return false;
    }
    const struct pg_service *front = &s->services[s->lab.ingress_service];
    for (uint32_t i = 0; i < front->port_count; i++) {
        const struct pg_service_port *port = &s->service_ports[front->port_first + i];
        for (uint32_t e = 0; port->port == s->listeners[listener].port && e < port->endpoint_count;
             e++) {
            if (s->endpoints[port->endpoint_first + e].port == target) {
                return true;
            }
        }
    }
    return false;
}

/* Two service ports may lead to one target; the first says what it speaks. */
uint32_t pg_owner_ingress_ports(const struct pg_snapshot *s,
                                struct pg_ingress_port ret[PG_INGRESS_PORTS])
{
    uint32_t count = 0;
    if (s->lab.ingress_service == PG_INDEX_NONE) {
        return 0;
    }
    const struct pg_service *service = &s->services[s->lab.ingress_service];
    for (uint32_t i = 0; i < service->port_count; i++) {
        const struct pg_service_port *port = &s->service_ports[service->port_first + i];
        for (uint32_t e = 0; port->proto == PG_PROTO_TCP && e < port->endpoint_count; e++) {
            uint16_t target = s->endpoints[port->endpoint_first + e].port;
            uint32_t seen = 0;
            while (seen < count && ret[seen].target != target) {
                seen++;
            }
            if (seen == count && count < PG_INGRESS_PORTS) {
                ret[count++] = (struct pg_ingress_port){target, port->port, is_tls(s, port)};
            }
        }
    }
    return count;
}
