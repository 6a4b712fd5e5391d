/* Names of addresses, as people call them: "shop/web-0", "edge/gateway" for any address of a service, a client or node by its name.
 *
 * Asked by printers of records and by captures, for the snapshot in force. Pods and nodes are found by hash, the rest by
 * looking through lists that only the control side has time for. */
#include "podglass/names.h"

#include <stdio.h>

static bool has_addr(const struct pg_addr *list, uint32_t count, const struct pg_addr *a)
{
    for (uint32_t i = 0; i < count; i++) {
        if (pg_addr_equal(&list[i], a)) {
            return true;
        }
    }
    return false;
}

static bool service_has(const struct pg_snapshot *s, const struct pg_service *service,
                        const struct pg_addr *a)
{
    for (uint32_t i = 0; i < service->lb_count; i++) {
        if (pg_addr_equal(&s->lb_ips[service->lb_first + i].addr, a)) {
            return true;
        }
    }
    return has_addr(service->cluster_ip, 2, a) ||
           (service->external_count != 0 &&
            has_addr(&s->external_ips[service->external_first], service->external_count, a));
}

const char *pg_name_of(void *arg, const struct pg_addr *a)
{
    struct pg_namer *n = arg;
    const struct pg_snapshot *s = n->snapshot;
    n->text[0] = 0;
    if (s == NULL || pg_addr_is_none(a)) {
        return n->text;
    }
    uint32_t at = pg_snapshot_pod_by_addr(s, a);
    if (at != PG_INDEX_NONE) {
        (void)snprintf(n->text, sizeof n->text, "%s/%s", s->pods[at].namespace, s->pods[at].name);
        return n->text;
    }
    at = pg_snapshot_node_by_addr(s, a);
    if (at != PG_INDEX_NONE) {
        return s->nodes[at].name;
    }
    for (uint32_t i = 0; i < s->client_count; i++) {
        if (pg_addr_equal(&s->clients[i].addr, a)) {
            return s->clients[i].name;
        }
    }
    for (uint32_t i = 0; i < s->service_count; i++) {
        if (service_has(s, &s->services[i], a)) {
            (void)snprintf(n->text, sizeof n->text, "%s/%s", s->services[i].namespace,
                           s->services[i].name);
            return n->text;
        }
    }
    return n->text;
}

struct pg_names pg_namer_names(struct pg_namer *n)
{
    return (struct pg_names){.of = pg_name_of, .arg = n};
}
