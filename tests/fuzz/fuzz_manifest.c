/* Any bytes as a manifest: the load comes back, with a snapshot that holds together or with at
 * least one error. */
#include "podglass/log.h"
#include "podglass/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void check_endpoints(const struct pg_snapshot *s, const struct pg_service_port *p)
{
    PG_ASSERT(p->endpoint_first + p->endpoint_count <= s->endpoint_count);
    for (uint32_t i = 0; i < p->endpoint_count; i++) {
        const struct pg_endpoint *e = &s->endpoints[p->endpoint_first + i];
        PG_ASSERT(e->node == PG_INDEX_NONE || e->node < s->node_count);
        PG_ASSERT(e->pod == PG_INDEX_NONE || e->pod < s->pod_count);
        PG_ASSERT(!pg_addr_is_none(&e->addr));
    }
}

static void check(const struct pg_snapshot *s)
{
    for (uint32_t i = 0; i < s->service_count; i++) {
        const struct pg_service *v = &s->services[i];
        PG_ASSERT(pg_snapshot_service(s, v->namespace, v->name) == i);
        PG_ASSERT(v->port_first + v->port_count <= s->service_port_count);
        for (uint32_t j = 0; j < v->port_count; j++)
            check_endpoints(s, &s->service_ports[v->port_first + j]);
        PG_ASSERT(pg_service_same(s, i, s, i));
    }
    for (uint32_t i = 0; i < s->pod_count; i++) {
        const struct pg_pod *p = &s->pods[i];
        PG_ASSERT(p->node == PG_INDEX_NONE || p->node < s->node_count);
        for (int family = 0; family < 2; family++)
            PG_ASSERT(p->host_network || pg_addr_is_none(&p->addr[family]) ||
                      pg_snapshot_pod_by_addr(s, &p->addr[family]) == i);
    }
    for (uint32_t i = 0; i < s->route_count; i++) {
        const struct pg_route *r = &s->routes[i];
        PG_ASSERT(r->ingress < s->ingress_count && r->path[0] == '/');
        PG_ASSERT(r->service == PG_INDEX_NONE || r->service < s->service_count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct pg_manifest_input input = {"fuzz", len == 0 ? "" : (const char *)bytes, len};
    struct pg_load_options options = {0};
    struct pg_snapshot *s = NULL;
    struct pg_findings findings;
    int rc = pg_snapshot_load(&input, 1, &options, &s, &findings);
    uint32_t errors = 0;
    struct pg_text line = {0};
    for (uint32_t i = 0; i < findings.count; i++) {
        errors += findings.at[i].level == PG_FINDING_ERROR;
        pg_text_clear(&line);
        pg_finding_print(&findings.at[i], &line);
    }
    PG_ASSERT((rc == 0) == (errors == 0) || findings.count > 10000);
    if (rc == 0)
        check(s);
    pg_text_free(&line);
    pg_snapshot_put(s);
    pg_findings_free(&findings);
    return 0;
}
