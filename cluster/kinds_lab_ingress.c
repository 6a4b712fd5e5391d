/* spec.ingress of a Lab: which service is in front of the ingress, and how it behaves.
 *
 * Called by kinds_lab.c. What is not written keeps the value of pg_lab_default. */
#include "cluster_internal.h"

static const struct pg_known ingress_fields[] = {
    {"service", NULL}, {"class", NULL}, {"trustedProxies", NULL}, {NULL, NULL}};

void pg_kinds_lab_ingress(const struct pg_field *spec, struct pg_raw_lab *lab)
{
    struct pg_ingress_settings *to = &lab->lab.ingress;
    struct pg_field ingress = pg_field_get(spec, "ingress");
    struct pg_field service = pg_field_get(&ingress, "service");
    struct pg_field trusted = pg_field_get(&ingress, "trustedProxies");
    const char *namespace = NULL;
    const char *name = NULL;
    (void)pg_field_map(&ingress);
    pg_field_known(&ingress, ingress_fields, true);
    if (pg_lab_name(&service, false, &namespace, &name)) {
        lab->ingress_service = pg_field_text(&service, "");
        lab->ingress_source = pg_field_source(&service);
    }
    struct pg_field class_name = pg_field_get(&ingress, "class");
    lab->ingress_class = pg_field_dns_name(&class_name, PG_NAME_SUBDOMAIN, "");
    lab->ingress_class_source = pg_field_source(&class_name);
    to->trusted_proxy_count =
        pg_lab_prefixes(&trusted, to->trusted_proxies,
                        sizeof(to->trusted_proxies) / sizeof(to->trusted_proxies[0]));
    to->trusted_source = pg_field_source(&trusted);
}
