/* What a Lab says about how nodes treat services: dialect, local detector, whether externalIPs count.
 *
 * Called by kinds_lab.c. What is not written keeps the value of pg_lab_default. */
#include "cluster_internal.h"

void pg_lab_default_services(struct pg_service_settings *to)
{
    static const struct pg_source nowhere = {"", 0};

    *to = (struct pg_service_settings){.external_ips = true,
                                       .dialect_source = nowhere,
                                       .detector_source = nowhere,
                                       .external_ips_source = nowhere};
}

static void for_kube_proxy(const struct pg_field *f, enum pg_dialect dialect)
{
    if (pg_field_is(f) && dialect != PG_DIALECT_KUBE_PROXY)
        pg_field_warn(f, PG_CODE_UNSUPPORTED,
                      "is a setting of kube-proxy: without effect under dialect %s",
                      pg_dialect_name(dialect));
}

void pg_kinds_lab_services(const struct pg_field *spec, struct pg_raw_lab *lab)
{
    static const char *const dialects[] = {"kube-proxy-nftables", "cilium-snat", "cilium-dsr",
                                           NULL};
    static const char *const detectors[] = {"ClusterCIDR",         "NodeCIDR", "BridgeInterface",
                                            "InterfaceNamePrefix", "None",     NULL};
    _Static_assert(sizeof(dialects) / sizeof(dialects[0]) == PG_DIALECT_COUNT + 1, "all of them");
    _Static_assert(sizeof(detectors) / sizeof(detectors[0]) == PG_DETECTOR_COUNT + 1,
                   "all of them");
    struct pg_service_settings *to = &lab->lab.services;
    struct pg_field dialect = pg_field_get(spec, "dialect");
    struct pg_field detector = pg_field_get(spec, "localDetector");
    struct pg_field masquerade = pg_field_get(spec, "masqueradeAll");
    struct pg_field external = pg_field_get(spec, "externalIPs");

    to->dialect = (enum pg_dialect)pg_field_enum(&dialect, dialects, PG_DIALECT_KUBE_PROXY);
    to->dialect_source = pg_field_source(&dialect);
    to->detector = (enum pg_detector)pg_field_enum(&detector, detectors, PG_DETECTOR_CLUSTER_CIDR);
    to->detector_source = pg_field_source(&detector);
    to->external_ips = pg_field_bool(&external, true);
    to->external_ips_source = pg_field_source(&external);
    lab->lab.masquerade_all = pg_field_bool(&masquerade, false);
    for_kube_proxy(&detector, to->dialect);
    if (lab->lab.masquerade_all)
        for_kube_proxy(&masquerade, to->dialect);
}
